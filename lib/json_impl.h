#pragma once
#include "lib/json.h"
#include "lib/utf8.h"

/* Shared by lib/json_*.c only. */

/* The characters of an accepted string token's inside (no quotes), one byte of unescaped UTF-8 at a time. */
struct gw_json_chars {
	const uint8_t *at, *end;
	char pending[4]; /* rest of a character written as \u */
	uint8_t n_pending, i_pending;
};
static inline struct gw_json_chars gw_json_chars(struct gw_str inside)
{
	const uint8_t *p = (const uint8_t *)inside.p;

	return (struct gw_json_chars){ .at = p, .end = inside.n ? p + inside.n : p };
}
/* Next byte, or -1 at the end. */
int gw_json_next(struct gw_json_chars *c);
/* Do the inside of a token and a plain text mean the same bytes? */
bool gw_json_inside_eq(struct gw_str inside, struct gw_str plain);

/* First byte at or after p that ends or breaks a plain ASCII run: '"', '\\', below 0x20 or above 0x7f. */
const uint8_t *gw_json_plain_end(const uint8_t *p, const uint8_t *end);

/* A number token taken apart: value = 0.d1d2d3... * 10^exp10 with d1 != 0. */
struct gw_json_number {
	struct gw_str digits; /* from the first non-zero digit on; a '.' may lie between */
	int64_t exp10;
	bool is_negative, is_zero;
};
struct gw_json_number gw_json_number_split(struct gw_str token);
bool gw_json_number_is_finite(struct gw_str token);

/* ---- keys of the objects that are open during a check (lib/json_keys.c) ---- */

enum { GW_JSON_MAX_DEPTH = 64, GW_JSON_KNOWN_MAX = 255, GW_JSON_KEYS_INLINE = 64 };

struct gw_json_key {
	uint32_t hash;
	uint32_t off, len; /* of the inside, in the text */
	uint32_t slot; /* in the table, or NOT_TABLED */
};
/* One open container. */
struct gw_json_level {
	uint64_t seen; /* bit per hash value mod 64: most new keys need no comparison */
	uint32_t first_key;
	bool is_obj, is_tabled;
};
/* A stack of keys, newest last; those of the innermost object are on top. Small objects are searched one by one,
 * objects of many members through a hash table that all open objects share. */
struct gw_json_keys {
	struct gw_str text;
	struct gw_arena *a;
	struct gw_mark mark; /* where the arena stood before we took from it */
	bool is_marked;
	uint64_t seed;
	struct gw_json_key *keys;
	uint32_t n_keys, cap_keys;
	uint32_t *table; /* key index + 1, 0 = free */
	uint32_t table_size, n_tabled;
	const struct gw_str *known;
	const uint8_t *known_first; /* as in gw_json_limits */
	uint8_t own_first[GW_JSON_KNOWN_BYTES + 2];
	struct gw_json_key first_keys[GW_JSON_KEYS_INLINE];
};
enum gw_json_key_fault { GW_KEY_OK, GW_KEY_TWICE, GW_KEY_CASE, GW_KEY_FLOOD, GW_KEY_NOMEM };

void gw_json_keys_init(struct gw_json_keys *k, struct gw_arena *a, struct gw_str text,
		       const struct gw_json_limits *lim);
void gw_json_keys_done(struct gw_json_keys *k);
/* Adds the key whose inside is text[off, off+len) to the innermost object. */
enum gw_json_key_fault gw_json_keys_add(struct gw_json_keys *k, struct gw_json_level *level, size_t off, size_t len,
					bool has_escape);
/* The innermost object ends. */
void gw_json_keys_pop(struct gw_json_keys *k, const struct gw_json_level *level);
