#pragma once
#include "core/dialect/gemini/gemini.h"

/* A place of a JSON Schema, as the writer of Gemini's schemas looks at it (schema_view.c, schema.c). Several schema objects may stand for one
 * place ($ref beside other members, allOf, a member of anyOf with what its parent says): they are looked at together, the nearest first. */
enum { SCHEMA_SOURCES = 16, SCHEMA_REFS = 32, SCHEMA_DEPTH = 32 };

/* One place of the schema. */
struct schema_view {
	struct {
		const yyjson_val *s;
		bool is_spent; /* its anyOf was looked at already */
	} src[SCHEMA_SOURCES];
	int n;
};

struct schema_out {
	struct gw_arena *a;
	const yyjson_val *root;
	struct ir_request *rq;
	const char *where;
	struct gw_json_out *w;
	size_t began;
	bool is_strict;
	const yyjson_val *refs[SCHEMA_REFS]; /* being unfolded */
	int n_refs;
	struct gw_str lost; /* the first keyword that could not be said */
	bool is_too_big;
};

enum schema_type { T_STRING = 1, T_NUMBER = 2, T_INTEGER = 4, T_BOOLEAN = 8, T_ARRAY = 16, T_OBJECT = 32, T_NULL = 64 };
enum { SCHEMA_TYPES = 7 };
extern const struct schema_type_row {
	enum schema_type t;
	const char *ours, *theirs;
} schema_types[SCHEMA_TYPES];

/* Notes a keyword that cannot be said. */
void schema_lose(struct schema_out *o, struct gw_str keyword);
/* Adds a schema and what it refers to. References stay on o's list: the caller takes them off when the place is done. */
void schema_gather(struct schema_out *o, struct schema_view *v, const yyjson_val *s, int depth);
/* The member of the nearest source that has it. */
const yyjson_val *schema_look(const struct schema_view *v, const char *key);
/* The alternatives (anyOf, or oneOf, which here can only mean the same), once; NULL: none left. */
const yyjson_val *schema_take_any(struct schema_view *v);
/* Types, as bits, of the values of a list; and of a place: as told, or as its other members let us know. */
unsigned schema_types_of_values(const yyjson_val *list);
unsigned schema_types_of(const struct schema_view *v);
