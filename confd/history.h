#pragma once
#include "confd/core.h"

/* The change log read backwards: what objects were at a generation. Nothing else is kept for history: the state then is
 * the state now with every later change undone. */
struct gw_past {
	enum gw_cf_kind kind;
	struct gw_str id;
	struct gw_str from, to; /* canonical JSON at the two generations; NIL = not there */
	struct gw_past *next; /* in its bucket */
	struct gw_past *all; /* in order of discovery */
};
enum { GW_PAST_BUCKETS = 4096 };
struct gw_history {
	struct gw_past *bucket[GW_PAST_BUCKETS];
	struct gw_past *first, **last;
	size_t n;
};
/* Every object that changed after `from`, with its state at `from` and at `to` (UINT64_MAX = now). from <= to.
 * GW_E_NOT_FOUND with words: the log does not reach back so far, or there was no such generation. */
GW_MUST enum gw_err gw_history_read(struct gw_ctx *c, uint64_t from, uint64_t to, struct gw_history **out);
struct gw_past *gw_history_find(const struct gw_history *h, enum gw_cf_kind kind, struct gw_str id);
/* Drops entries older than `oldest_us`, or while the log takes more than max_bytes; at most `max` per call. */
GW_MUST enum gw_err gw_history_prune(struct gw_txn *t, int64_t oldest_us, uint64_t max_bytes, unsigned max,
				     unsigned *n);

/* {"kind","id","act","before","after"} of a change, as callers see it; before/after may be NULL. */
void gw_history_put_change(struct gw_json_out *w, enum gw_cf_kind kind, struct gw_str id, const char *act,
			   const yyjson_val *before, const yyjson_val *after);
/* act by what is there before and after. */
const char *gw_history_act(struct gw_str before, struct gw_str after);
/* Scope of a call over many objects: {"kinds":[..],"org":..,"team":..,"objects":[{"kind","id"}]}, all optional. */
struct gw_selection {
	bool kinds[GW_KIND_COUNT];
	bool has_kinds;
	struct gw_str org, team;
	yyjson_val *objects; /* NULL = all */
};
GW_MUST enum gw_err gw_selection_read(struct gw_ctx *c, yyjson_val *root, struct gw_selection *out);
bool gw_selection_has(const struct gw_selection *s, enum gw_cf_kind kind, const yyjson_val *obj);
