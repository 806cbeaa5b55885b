#pragma once
#include "lib/arena.h"
#include "lib/json.h"
#include "lib/msgpack.h"

/* Configuration objects from the rows of schemas/config.def: tables, checks, canonical JSON, image rows, structs.
 *
 *   JSON from outside --gw_cf_check--> canonical JSON (defaults left out, keys in row order)
 *   canonical JSON    --gw_cf_image_row--> msgpack map {field number: value}, only IMG fields
 *   image row         --gw_cf_read_<kind>--> struct with views into the row (copy what must outlive the image)
 * Pure: no clocks, no store. References between objects are checked by the caller through a look-up function. */
enum gw_cf_kind {
#define GW_KIND(kind, plural, owner, served, doc) GW_KIND_##kind,
#define GW_FIELD_DEF(kind, name, type, def, min, max, flags, doc)
#include "schemas/config.def"
#undef GW_KIND
#undef GW_FIELD_DEF
	GW_KIND_COUNT,
	GW_KIND_common = GW_KIND_COUNT
};
enum gw_cf_type {
	GW_CF_STR,
	GW_CF_ID,
	GW_CF_NAME,
	GW_CF_U64,
	GW_CF_BOOL,
	GW_CF_DUR,
	GW_CF_ENUM,
	GW_CF_STRS,
	GW_CF_IDS,
	GW_CF_MAP,
	GW_CF_REF,
	GW_CF_REFS,
	GW_CF_TARGETS,
	GW_CF_URL,
	GW_CF_CIDRS,
	GW_CF_PEM,
	GW_CF_TIME,
	GW_CF_SECRET,
	GW_CF_NANO
};
enum gw_cf_flags { GW_CF_REQ = 1, GW_CF_IMG = 2, GW_CF_RO = 4, GW_CF_WO = 8, GW_CF_PLAT = 16, GW_CF_VOL = 32 };
enum gw_cf_owner { GW_CF_PLATFORM, GW_CF_ANY };

struct gw_cf_field {
	const char *name;
	enum gw_cf_type type;
	enum gw_cf_kind ref; /* of REF and REFS */
	const char *def; /* default; ENUM: all words separated by '|' */
	uint64_t min, max;
	unsigned flags;
	const char *doc;
	enum gw_cf_kind kind; /* GW_KIND_common or the kind */
	unsigned number; /* key in image rows, from 1, over the whole file */
	size_t offset; /* in the struct of the kind (common fields first, same offset in every kind) */
};
struct gw_cf_kind_info {
	const char *name, *plural;
	enum gw_cf_owner owner;
	bool is_served;
	const char *doc;
	const struct gw_cf_field *const *fields; /* common and own, in row order */
	unsigned n_fields;
};
extern const struct gw_cf_kind_info gw_cf_kinds[GW_KIND_COUNT];
bool gw_cf_kind_by_name(struct gw_str name, enum gw_cf_kind *out); /* "key" */
bool gw_cf_kind_by_plural(struct gw_str name, enum gw_cf_kind *out); /* "keys" */
const struct gw_cf_field *gw_cf_field_find(enum gw_cf_kind kind, struct gw_str name);

/* One fault of an object: a JSON pointer, words that name the field and the remedy. */
struct gw_cf_fault {
	enum gw_err err;
	struct gw_str pointer; /* "/targets/0/deployment" */
	struct gw_str message;
};
enum { GW_CF_MAX_FAULTS = 16 };
struct gw_cf_faults {
	unsigned n;
	struct gw_cf_fault v[GW_CF_MAX_FAULTS];
};

/* Does an object exist and may `org`/`team` refer to it? */
typedef bool gw_cf_lookup_fn(void *ctx, enum gw_cf_kind kind, struct gw_str id, struct gw_str org, struct gw_str team);

/* Checks `in` (an object tree) against the rows: unknown fields (with "did you mean"), types, ranges, required ones, RO fields
 * (allowed only when equal to `old`), references, rules across fields (alias_of xor targets, team needs org, ...).
 * `old` is the present object or NULL. On success appends canonical JSON to `out` (RO fields are taken from old; SECRET and other WO
 * fields are left out and returned through `secrets`). A member that is null counts as not given. All faults are collected (the first
 * GW_CF_MAX_FAULTS of them); the answer is the error of the first, and `out` is untouched then. lookup NULL: references are not checked. */
struct gw_cf_secret_in {
	const struct gw_cf_field *field;
	struct gw_str value;
};
struct gw_cf_check {
	enum gw_cf_kind kind;
	const yyjson_val *in, *old;
	gw_cf_lookup_fn *lookup;
	void *lookup_ctx;
	struct gw_arena *arena; /* for messages */
	struct gw_cf_faults faults; /* out */
	struct gw_cf_secret_in secrets[4]; /* out: views into `in` */
	unsigned n_secrets;
};
GW_MUST enum gw_err gw_cf_check(struct gw_cf_check *c, struct gw_buf *out);
enum { GW_CF_MAX_OBJECT_BYTES = 262144 }; /* of canonical JSON */

/* Canonical JSON of an object that was checked before, with some fields set by the server (version, created_at, index, ...).
 * Unknown members of obj are dropped. A set field replaces what obj has. */
struct gw_cf_set {
	const char *field;
	enum { GW_CF_SET_STR, GW_CF_SET_U64 } type;
	struct gw_str str;
	uint64_t u64;
};
void gw_cf_canonical(enum gw_cf_kind kind, const yyjson_val *obj, const struct gw_cf_set *sets, unsigned n_sets,
		     struct gw_buf *out);

/* Effective value of an optional field with its default, from canonical JSON: for readers of trees (confd, admin). */
uint64_t gw_cf_u64(const yyjson_val *obj, enum gw_cf_kind kind, const char *field);
bool gw_cf_bool(const yyjson_val *obj, enum gw_cf_kind kind, const char *field);
struct gw_str gw_cf_str(const yyjson_val *obj, enum gw_cf_kind kind, const char *field);

/* Image row of an object (canonical JSON tree): msgpack map, defaults filled in, only IMG fields. */
void gw_cf_image_row(enum gw_cf_kind kind, const yyjson_val *obj, struct gw_buf *out);

/* --- what workers read --- */
struct gw_strs {
	const struct gw_str *v;
	uint32_t n;
};
struct gw_cf_target {
	struct gw_str deployment;
	uint32_t weight, priority;
};
struct gw_cf_targets {
	const struct gw_cf_target *v;
	uint32_t n;
};
#define GW_CT_STR     struct gw_str
#define GW_CT_ID      struct gw_str
#define GW_CT_NAME    struct gw_str
#define GW_CT_U64     uint64_t
#define GW_CT_BOOL    bool
#define GW_CT_DUR     uint64_t /* ms */
#define GW_CT_ENUM    uint32_t /* index of the word */
#define GW_CT_STRS    struct gw_strs
#define GW_CT_IDS     struct gw_strs
#define GW_CT_MAP     struct gw_str /* JSON text */
#define GW_CT_REF(k)  struct gw_str
#define GW_CT_REFS(k) struct gw_strs
#define GW_CT_TARGETS struct gw_cf_targets
#define GW_CT_URL     struct gw_str
#define GW_CT_CIDRS   struct gw_strs
#define GW_CT_PEM     struct gw_str
#define GW_CT_TIME    int64_t /* Unix us, 0 = none */
#define GW_CT_SECRET  struct gw_str /* always NIL */
#define GW_CT_NANO    uint64_t
/* struct gw_cf_model { <common fields>; <own fields> }: made in core/config_types.h by expanding the rows per kind. There too:
 * gw_cf_read_model(row, arena, &out) and its kin; this is what they do. Absent fields are zero (rows leave zeros out), unknown field
 * numbers are skipped. Texts are views into the row, lists are in the arena. GW_E_GARBLED, GW_E_NOMEM; *out is half-filled then. */
#define GW_KIND(kind, plural, owner, served, doc) struct gw_cf_##kind;
#define GW_FIELD_DEF(kind, name, type, def, min, max, flags, doc)
#include "schemas/config.def"
#undef GW_KIND
#undef GW_FIELD_DEF
struct gw_cf_common;
GW_MUST enum gw_err gw_cf_read(enum gw_cf_kind kind, struct gw_str row, struct gw_arena *a, void *out);
