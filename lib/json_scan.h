#pragma once
#include <stdint.h>
#include "lib/err.h"
#include "lib/str.h"

/* Incremental scan of one JSON text that arrives in pieces of any size: picks scalars at given paths, builds no tree,
 * uses fixed memory, costs the same whatever the text's size. Not a validator: it stops picking at the first
 * impossible byte (`is_broken`), which for a reply means "usage unknown". Upstream replies are hostile input.
 *
 * A path is written "usage.prompt_tokens_details.cached_tokens" or "choices.0.finish_reason" (numbers: array index). */
enum { GW_SCAN_MAX_PATHS = 24, GW_SCAN_MAX_DEPTH = 64, GW_SCAN_VALUE_BYTES = 128 };

struct gw_scan_value {
	uint8_t type; /* enum gw_json_type; NONE until seen; OBJ and ARR only mark presence */
	bool is_cut; /* longer than GW_SCAN_VALUE_BYTES */
	uint8_t len;
	char text[GW_SCAN_VALUE_BYTES]; /* number/bool text, or string without quotes, escapes kept */
};

struct gw_json_scan {
	const char *const *paths; /* n_paths literals, shared and const */
	struct gw_scan_value *values; /* n_paths, caller's memory; the last match wins */
	uint32_t n_paths;
	/* machine state, private to json_scan.c */
	bool is_broken, is_done;
	uint8_t state, depth;
	uint8_t esc; /* position in an escape sequence; 0 = outside */
	uint8_t num; /* state of the number grammar */
	uint8_t word_at; /* matched bytes of true, false or null */
	uint8_t key_len;
	bool key_cut; /* the key cannot match: too long or not ASCII */
	char key[64];
	uint16_t hex; /* value of a \u escape under way */
	const char *word;
	uint32_t targets; /* paths whose value is being read, one bit each */
	int32_t capture; /* lowest of them, -1 none */
	uint32_t match[GW_SCAN_MAX_DEPTH + 1]; /* paths (bit set) still matching at this depth */
	uint32_t index[GW_SCAN_MAX_DEPTH + 1]; /* in arrays */
	bool is_obj[GW_SCAN_MAX_DEPTH + 1];
};

void gw_json_scan_init(struct gw_json_scan *s, const char *const *paths, struct gw_scan_value *values, uint32_t n);
/* Ready for another text with the same paths; values are cleared. */
void gw_json_scan_reset(struct gw_json_scan *s);
void gw_json_scan_feed(struct gw_json_scan *s, const char *p, size_t n);
static inline struct gw_str gw_scan_str(const struct gw_scan_value *v)
{
	return gw_str(v->text, v->len);
}
/* Non-negative integer value; false if absent, of another type, negative, fractional or above 10^15. */
bool gw_scan_u64(const struct gw_scan_value *v, uint64_t *out);
