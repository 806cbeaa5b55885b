#pragma once
#include <yyjson.h>
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/str.h"

/* JSON with one meaning (RFC 8259, strict): refuses, at any depth, duplicate keys (compared after unescaping),
 * invalid UTF-8, a BOM, lone surrogates, numbers that are not finite as double, NUL bytes outside escapes, and
 * trailing bytes. Who passes a list of known keys gets keys refused that equal one of them except for
 * case (ASCII, and the two characters outside it that fold into it).
 *
 *   gw_json_check   hot path: validates the whole text without a tree and finds the spans of wanted members
 *   gw_json_read    cold path: the same rules, then a yyjson tree (config, admin API); use yyjson_* on it
 *   lib/json_scan.h incremental scan of replies that arrive in pieces
 *   lib/json_write.h  writing
 */
enum gw_json_type { GW_JSON_NONE, GW_JSON_NULL, GW_JSON_BOOL, GW_JSON_NUM, GW_JSON_STR, GW_JSON_ARR, GW_JSON_OBJ };

/* What each element of a wanted list must be: an object with this member of this type. Looked at on the way, so that nobody has to walk
 * through a long list once more. The first fault counts. */
enum gw_json_item_fault { GW_ITEM_OK, GW_ITEM_NO_OBJECT, GW_ITEM_WITHOUT, GW_ITEM_OTHER_TYPE };
struct gw_json_items {
	struct gw_str of; /* the wanted member that is a list */
	struct gw_str key; /* what each element must have */
	enum gw_json_type type;
	uint32_t n; /* elements */
	uint32_t at; /* which has the fault */
	enum gw_json_item_fault fault;
};
enum { GW_JSON_KNOWN_BYTES = 31 }; /* of one known key */
struct gw_json_limits {
	uint32_t max_depth; /* 64 */
	uint32_t max_nodes; /* 1,000,000 values and keys */
	const struct gw_str
	    *known; /* keys whose case variants are refused at any depth, in order of length; may be NULL */
	uint32_t n_known;
	const uint8_t *known_first; /* known[known_first[n]] is the first with at least n bytes; NULL: worked out */
	struct gw_json_items *items; /* or NULL */
};
extern const struct gw_json_limits gw_json_default_limits; /* no known keys */

/* Where and what the fault is. `what` is a literal such as "duplicate key"; `key` points into the text or is NIL. */
struct gw_json_fault {
	size_t offset;
	uint32_t line, column; /* from 1; column counts bytes */
	const char *what;
	struct gw_str key;
};

/* A value's bytes inside the text that was checked: for strings the quotes are included. */
struct gw_json_span {
	size_t off, len;
	enum gw_json_type type; /* GW_JSON_NONE: the member is absent */
};
struct gw_json_want {
	struct gw_str key; /* member of the top-level object, unescaped */
	struct gw_json_span *out; /* set to NONE first */
};

/* Top level must be an object when n_want > 0. Errors: GW_E_SYNTAX (fault filled), GW_E_NOMEM (more nodes or deeper
 * than allowed is GW_E_SYNTAX too, with `what` saying so). Scratch memory for large objects comes from `a`. */
GW_MUST enum gw_err gw_json_check(struct gw_arena *a, struct gw_str text, const struct gw_json_limits *lim,
				  const struct gw_json_want *want, size_t n_want, struct gw_json_fault *fault);
/* Members of an object span that an earlier check accepted (no validation again). */
void gw_json_members(struct gw_str text, struct gw_json_span obj, const struct gw_json_want *want, size_t n_want);
/* Calls fn for each member of an accepted object span; key is raw (still escaped, without quotes). fn returns false to stop. */
typedef bool gw_json_member_fn(void *ctx, struct gw_str raw_key, struct gw_json_span value);
void gw_json_each(struct gw_str text, struct gw_json_span obj, gw_json_member_fn *fn, void *ctx);
/* Elements of an accepted array span. */
typedef bool gw_json_item_fn(void *ctx, struct gw_json_span value);
void gw_json_each_item(struct gw_str text, struct gw_json_span arr, gw_json_item_fn *fn, void *ctx);

/* The key equals a known one but for case, as readers that ignore case see it. */
bool gw_json_is_case_variant(struct gw_str key, struct gw_str known);
/* A string span (with quotes) as text: a view when nothing is escaped, else a copy in the arena; .p NULL when full. */
struct gw_str gw_json_unescape(struct gw_arena *a, struct gw_str quoted);
/* Integer value of a number token: false when it has a fraction, an exponent or overflows. */
bool gw_json_int(struct gw_str token, int64_t *out);
bool gw_json_bool(struct gw_str token, bool *out);
bool gw_json_double(struct gw_str token, double *out);

/* Tree for cold paths. On success *out is to be freed by yyjson_doc_free. `text` need not outlive the call. */
GW_MUST enum gw_err gw_json_read(struct gw_str text, const struct gw_json_limits *lim, yyjson_doc **out,
				 struct gw_json_fault *fault);
/* The same with the arena's memory: nothing to free. lim NULL: the text was checked before, or comes from where duplicate keys do no harm
 * (providers); deeper than 64 is refused all the same. GW_E_SYNTAX, GW_E_NOMEM. */
GW_MUST enum gw_err gw_json_tree(struct gw_arena *a, struct gw_str text, const struct gw_json_limits *lim,
				 const yyjson_val **out, struct gw_json_fault *fault);

/* NIL for whatever is no string: input may have any type anywhere. */
static inline struct gw_str gw_json_str(const yyjson_val *v)
{
	yyjson_val *m = (yyjson_val *)(uintptr_t)v;

	return yyjson_is_str(m) ? gw_str(unsafe_yyjson_get_str(m), unsafe_yyjson_get_len(m)) : GW_NIL;
}
static inline yyjson_val *gw_json_get(const yyjson_val *obj, struct gw_str key)
{
	return yyjson_obj_getn((yyjson_val *)(uintptr_t)obj, key.p, key.n);
}
