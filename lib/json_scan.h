#pragma once
#include <stdint.h>
#include "lib/err.h"
#include "lib/str.h"

/* Incremental scan of one JSON text that arrives in pieces of any size: picks scalars at given places, builds no tree,
 * uses fixed memory, costs the same whatever the text's size. Not a validator: it stops picking at the first
 * impossible byte (`is_broken`), which for a reply means "usage unknown". Upstream replies are hostile input.
 *
 * What is wanted is a tree of names, made once and const: row 0 is the text's top value, the children of a row stand together, a
 * child of an array is named by its index ("0"). `value` is the place of what is found there, -1 = only on the way. */
enum { GW_SCAN_MAX_DEPTH = 64, GW_SCAN_VALUE_BYTES = 128 };

struct gw_scan_node {
	const char *name;
	uint8_t name_n; /* at most 64 */
	uint8_t first, n; /* its children in the tree; fewer than 255 rows */
	int8_t value;
};
#define GW_SCAN_NODE(name, first, n, value)                                                                            \
	{                                                                                                              \
		(name), sizeof(name) - 1, (first), (n), (value)                                                        \
	}

struct gw_scan_value {
	uint8_t
	    type; /* enum gw_json_type; NONE until seen (nothing else is set then); OBJ and ARR only mark presence */
	bool is_cut; /* longer than GW_SCAN_VALUE_BYTES */
	uint8_t len;
	char text[GW_SCAN_VALUE_BYTES]; /* number/bool text, or string without quotes, escapes kept */
};

struct gw_json_scan {
	const struct gw_scan_node *tree; /* shared and const */
	struct gw_scan_value *values; /* caller's memory; the last match wins */
	uint32_t n_values;
	/* machine state, private to json_scan.c */
	bool is_broken, is_done;
	uint8_t state, depth;
	uint8_t esc; /* position in an escape sequence; 0 = outside */
	uint8_t num; /* state of the number grammar */
	uint8_t word_at; /* matched bytes of true, false or null */
	uint8_t next; /* the tree's row for the value behind this key */
	uint8_t key_len;
	bool key_cut; /* the key cannot match: too long or not ASCII */
	char key[64]; /* of a key that came in pieces or with escapes */
	uint16_t hex; /* value of a \u escape under way */
	const char *word;
	int32_t capture; /* the value being read, -1 none */
	uint8_t node[GW_SCAN_MAX_DEPTH + 1]; /* the tree's row of each open container */
	bool is_obj[GW_SCAN_MAX_DEPTH + 1];
	uint32_t index[GW_SCAN_MAX_DEPTH + 1]; /* in arrays */
};

void gw_json_scan_init(struct gw_json_scan *s, const struct gw_scan_node *tree, struct gw_scan_value *values,
		       uint32_t n_values);
/* Ready for another text with the same tree; values are cleared. */
void gw_json_scan_reset(struct gw_json_scan *s);
void gw_json_scan_feed(struct gw_json_scan *s, const char *p, size_t n);
static inline struct gw_str gw_scan_str(const struct gw_scan_value *v)
{
	return gw_str(v->text, v->len);
}
/* Non-negative integer value; false if absent, of another type, negative, fractional or above 10^15. */
bool gw_scan_u64(const struct gw_scan_value *v, uint64_t *out);
