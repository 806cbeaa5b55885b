/* Skipping a value and reading it piece by piece take the same bytes; writing what was read gives a value that reads the
 * same again. */
#include "input.h"
#include "lib/msgpack.h"

static void copy(struct gw_mp *r, struct gw_buf *b, unsigned depth)
{
	uint32_t n;

	if (r->err || depth > 40)
		return;
	switch (gw_mp_peek(r)) {
	case GW_MP_NIL:
		gw_mp_skip(r);
		gw_mp_nil(b);
		break;
	case GW_MP_BOOL:
		gw_mp_bool(b, gw_mp_read_bool(r));
		break;
	case GW_MP_INT: {
		struct gw_mp again = *r;
		int64_t i = gw_mp_read_i64(r);

		if (r->err) { /* too large for it, so it is unsigned */
			*r = again;
			gw_mp_u64(b, gw_mp_read_u64(r));
			MUST_HOLD(r->err || r->at > again.at);
		} else {
			gw_mp_i64(b, i);
		}
		break;
	}
	case GW_MP_DOUBLE:
		gw_mp_double(b, gw_mp_read_double(r));
		break;
	case GW_MP_STR:
		gw_mp_str(b, gw_mp_read_str(r));
		break;
	case GW_MP_BIN:
		gw_mp_bin(b, gw_mp_read_str(r));
		break;
	case GW_MP_ARR:
		n = gw_mp_read_arr(r);
		gw_mp_arr(b, n);
		for (uint32_t i = 0; i < n && !r->err; i++)
			copy(r, b, depth + 1);
		break;
	case GW_MP_MAP:
		n = gw_mp_read_map(r);
		gw_mp_map(b, n);
		for (uint32_t i = 0; i < 2 * n && !r->err; i++)
			copy(r, b, depth + 1);
		break;
	default:
		gw_mp_skip(r); /* at the end: an error */
		MUST_HOLD(r->err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct gw_mp skip = gw_mp_reader(input(data, n)), read = skip, again;
	struct gw_buf b, c;

	gw_mp_skip(&skip);
	MUST_HOLD(skip.err || skip.at <= data + n);
	gw_buf_init(&b, 16 << 20);
	gw_buf_init(&c, 16 << 20);
	copy(&read, &b, 0);
	if (!skip.err) {
		MUST_HOLD(!read.err && read.at == skip.at && !b.err);
		again = gw_mp_reader(gw_buf_view(&b));
		copy(&again, &c, 0);
		MUST_HOLD(!again.err && again.at == again.end && gw_str_eq(gw_buf_view(&b), gw_buf_view(&c)));
	}
	gw_buf_done(&b);
	gw_buf_done(&c);
	return 0;
}
