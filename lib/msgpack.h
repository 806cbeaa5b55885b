#pragma once
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/str.h"

/* msgpack (github.com/msgpack/msgpack spec). Writing appends to a gw_buf (sticky error there).
 * Reading is a cursor over bytes that may be hostile: depth <= 32, every length checked against what is left; the
 * error sticks in the cursor and every later read gives zero / NIL. Strings are views into the bytes. */
void gw_mp_map(struct gw_buf *b, uint32_t pairs);
void gw_mp_arr(struct gw_buf *b, uint32_t items);
void gw_mp_nil(struct gw_buf *b);
void gw_mp_bool(struct gw_buf *b, bool v);
void gw_mp_u64(struct gw_buf *b, uint64_t v);
void gw_mp_i64(struct gw_buf *b, int64_t v);
void gw_mp_double(struct gw_buf *b, double v);
void gw_mp_str(struct gw_buf *b, struct gw_str s);
void gw_mp_bin(struct gw_buf *b, struct gw_str s);

enum gw_mp_type {
	GW_MP_END,
	GW_MP_NIL,
	GW_MP_BOOL,
	GW_MP_INT,
	GW_MP_DOUBLE,
	GW_MP_STR,
	GW_MP_BIN,
	GW_MP_ARR,
	GW_MP_MAP
};

struct gw_mp {
	const uint8_t *at, *end;
	enum gw_err err; /* GW_OK or GW_E_GARBLED */
};
static inline struct gw_mp gw_mp_reader(struct gw_str s)
{
	const uint8_t *p = (const uint8_t *)s.p;

	return (struct gw_mp){ p, s.n ? p + s.n : p, GW_OK };
}
/* Type of the next value without consuming it; END at the end or after an error. ext types are an error. */
enum gw_mp_type gw_mp_peek(struct gw_mp *r);
uint32_t gw_mp_read_map(struct gw_mp *r); /* number of pairs */
uint32_t gw_mp_read_arr(struct gw_mp *r);
uint64_t gw_mp_read_u64(struct gw_mp *r); /* negative is an error */
int64_t gw_mp_read_i64(struct gw_mp *r);
bool gw_mp_read_bool(struct gw_mp *r);
double gw_mp_read_double(struct gw_mp *r); /* ints too */
struct gw_str gw_mp_read_str(struct gw_mp *r); /* str or bin */
void gw_mp_skip(struct gw_mp *r); /* one value, whatever it holds */
