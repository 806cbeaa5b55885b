/* lib/msgpack.h against msgpack-c as the oracle, both ways, and against broken bytes. */
#include "util.h"

#include <math.h>
#include <msgpack.h>

#include "lib/msgpack.h"

/* ---- random documents ---- */

static uint64_t random_u64(void)
{
	return rng() >> rng_below(64);
}

static double random_double(void)
{
	static const double picks[] = { 0.0, -0.0, 1.5, -1e300, 5e-324, 1.7976931348623157e308, 3.4e38 };

	return rng_below(2) ? picks[rng_below(N_OF(picks))] : (double)(int64_t)rng() / 1000.0;
}

static size_t random_len(void)
{
	static const size_t edges[] = { 0, 1, 15, 16, 31, 32, 33, 255, 256, 257, 65535, 65536 };

	return rng_below(8) ? rng_below(40) : edges[rng_below(N_OF(edges))];
}

/* The same random value by our writer and by the library's; must give the same bytes. */
static void write_both(struct gw_buf *b, msgpack_packer *pk, unsigned depth)
{
	static char bytes[65536];
	unsigned kind = (unsigned)rng_below(depth < 4 ? 9 : 7);
	uint64_t u = random_u64();
	int64_t i = (int64_t)rng() >> rng_below(64);
	size_t n = random_len();
	double d = random_double();

	switch (kind) {
	case 0:
		gw_mp_nil(b);
		msgpack_pack_nil(pk);
		break;
	case 1:
		gw_mp_bool(b, u & 1);
		u & 1 ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
		break;
	case 2:
		gw_mp_u64(b, u);
		msgpack_pack_uint64(pk, u);
		break;
	case 3:
		gw_mp_i64(b, i);
		msgpack_pack_int64(pk, i);
		break;
	case 4:
		gw_mp_double(b, d);
		msgpack_pack_double(pk, d);
		break;
	case 5:
		gw_mp_str(b, gw_str(bytes, n));
		msgpack_pack_str(pk, n);
		msgpack_pack_str_body(pk, bytes, n);
		break;
	case 6:
		gw_mp_bin(b, gw_str(bytes, n));
		msgpack_pack_bin(pk, n);
		msgpack_pack_bin_body(pk, bytes, n);
		break;
	default:
		n = depth == 0 && rng_below(10) == 0 ? 70000 : rng_below(20);
		if (kind == 7) {
			gw_mp_arr(b, (uint32_t)n);
			msgpack_pack_array(pk, n);
		} else {
			gw_mp_map(b, (uint32_t)n);
			msgpack_pack_map(pk, n);
		}
		for (size_t k = 0; k < (kind == 7 ? n : 2 * n); k++)
			n > 100 ? (gw_mp_nil(b), (void)msgpack_pack_nil(pk)) : write_both(b, pk, depth + 1);
	}
}

/* Does the cursor read what the library's tree says? */
static void read_same(struct gw_mp *r, const msgpack_object *o)
{
	switch (o->type) {
	case MSGPACK_OBJECT_NIL:
		assert_int_equal(gw_mp_peek(r), GW_MP_NIL);
		gw_mp_skip(r);
		break;
	case MSGPACK_OBJECT_BOOLEAN:
		assert_int_equal(gw_mp_peek(r), GW_MP_BOOL);
		assert_int_equal(gw_mp_read_bool(r), o->via.boolean);
		break;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		assert_int_equal(gw_mp_peek(r), GW_MP_INT);
		assert_true(gw_mp_read_u64(r) == o->via.u64);
		break;
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		assert_int_equal(gw_mp_peek(r), GW_MP_INT);
		assert_true(gw_mp_read_i64(r) == o->via.i64);
		break;
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		assert_int_equal(gw_mp_peek(r), GW_MP_DOUBLE);
		assert_true(gw_mp_read_double(r) == o->via.f64);
		break;
	case MSGPACK_OBJECT_STR:
		assert_int_equal(gw_mp_peek(r), GW_MP_STR);
		assert_same(gw_mp_read_str(r), gw_str(o->via.str.ptr, o->via.str.size));
		break;
	case MSGPACK_OBJECT_BIN:
		assert_int_equal(gw_mp_peek(r), GW_MP_BIN);
		assert_same(gw_mp_read_str(r), gw_str(o->via.bin.ptr, o->via.bin.size));
		break;
	case MSGPACK_OBJECT_ARRAY:
		assert_int_equal(gw_mp_peek(r), GW_MP_ARR);
		assert_int_equal(gw_mp_read_arr(r), o->via.array.size);
		for (uint32_t i = 0; i < o->via.array.size; i++)
			read_same(r, &o->via.array.ptr[i]);
		break;
	case MSGPACK_OBJECT_MAP:
		assert_int_equal(gw_mp_peek(r), GW_MP_MAP);
		assert_int_equal(gw_mp_read_map(r), o->via.map.size);
		for (uint32_t i = 0; i < o->via.map.size; i++) {
			read_same(r, &o->via.map.ptr[i].key);
			read_same(r, &o->via.map.ptr[i].val);
		}
		break;
	default:
		fail_msg("type %d", o->type);
	}
	assert_int_equal(r->err, GW_OK);
}

static void oracle(void **st)
{
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 64 << 20);
	for (int round = 0; round < 500; round++) {
		msgpack_sbuffer sb;
		msgpack_packer pk;
		msgpack_unpacked u;
		struct gw_str bytes;
		struct gw_mp r;
		size_t off = 0;

		msgpack_sbuffer_init(&sb);
		msgpack_packer_init(&pk, &sb, msgpack_sbuffer_write);
		gw_buf_clear(&b, 1 << 20);
		write_both(&b, &pk, 0);
		assert_int_equal(b.err, GW_OK);
		assert_same(gw_buf_view(&b), gw_str(sb.data, sb.size));
		bytes = exact(gw_buf_view(&b));
		msgpack_unpacked_init(&u);
		assert_int_equal(msgpack_unpack_next(&u, bytes.p, bytes.n, &off), MSGPACK_UNPACK_SUCCESS);
		r = gw_mp_reader(bytes);
		read_same(&r, &u.data);
		assert_int_equal(gw_mp_peek(&r), GW_MP_END);
		r = gw_mp_reader(bytes);
		gw_mp_skip(&r);
		assert_true(r.err == GW_OK && r.at == r.end);
		/* one byte short is always an error */
		r = gw_mp_reader(gw_str(bytes.p, bytes.n - 1));
		gw_mp_skip(&r);
		assert_int_equal(r.err, GW_E_GARBLED);
		msgpack_unpacked_destroy(&u);
		msgpack_sbuffer_destroy(&sb);
		free((char *)(uintptr_t)bytes.p);
	}
	gw_buf_done(&b);
}

/* Random bytes: what we accept as one value, the library accepts with the same length (it may accept more: ext). */
static void random_bytes(void **st)
{
	unsigned accepted = 0;

	(void)st;
	for (int round = 0; round < 60000; round++) {
		char raw[24];
		struct gw_str s = gw_str(raw, 1 + rng_below(sizeof(raw)));
		struct gw_str e;
		struct gw_mp r;
		msgpack_unpacked u;
		size_t off = 0;
		msgpack_unpack_return ret;

		for (size_t i = 0; i < s.n; i++) {
			raw[i] = (char)(rng_below(3) ? 0x80 + rng_below(0x70) : rng());
			/* no 32-bit counts: the library would allocate what they promise */
			if ((uint8_t)raw[i] == 0xdd || (uint8_t)raw[i] == 0xdf)
				raw[i] = '\x92';
		}
		e = exact(s);
		r = gw_mp_reader(e);
		gw_mp_skip(&r);
		msgpack_unpacked_init(&u);
		ret = msgpack_unpack_next(&u, e.p, e.n, &off);
		if (r.err == GW_OK) {
			accepted++;
			assert_true(ret == MSGPACK_UNPACK_SUCCESS || ret == MSGPACK_UNPACK_EXTRA_BYTES);
			assert_int_equal(off, (const char *)r.at - e.p);
		} else if (ret == MSGPACK_UNPACK_SUCCESS) { /* then it must hold an ext value or be deep */
			bool has_ext = false;

			for (size_t i = 0; i < off; i++)
				has_ext = has_ext || ((uint8_t)e.p[i] >= 0xc7 && (uint8_t)e.p[i] <= 0xc9) ||
					  ((uint8_t)e.p[i] >= 0xd4 && (uint8_t)e.p[i] <= 0xd8);
			assert_true(has_ext);
		}
		msgpack_unpacked_destroy(&u);
		free((char *)(uintptr_t)e.p);
	}
	assert_true(accepted > 2000);
}

static struct gw_mp reader_of(const char *bytes, size_t n)
{
	return gw_mp_reader(gw_str(bytes, n));
}
#define READER(lit) reader_of("" lit, sizeof(lit) - 1)

static void errors_stick(void **st)
{
	struct gw_mp r;

	(void)st;
	r = READER("\x05\x06");
	assert_int_equal(gw_mp_read_str(&r).n, 0); /* wrong type */
	assert_int_equal(r.err, GW_E_GARBLED);
	assert_int_equal(gw_mp_read_u64(&r), 0); /* though a number would follow */
	assert_int_equal(gw_mp_peek(&r), GW_MP_END);
	r = READER("\xff");
	assert_int_equal(gw_mp_read_u64(&r), 0); /* negative */
	assert_int_equal(r.err, GW_E_GARBLED);
	r = READER("\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
	assert_int_equal(gw_mp_read_i64(&r), 0); /* too large */
	assert_int_equal(r.err, GW_E_GARBLED);
	r = READER("\xd3\x80\x00\x00\x00\x00\x00\x00\x00");
	assert_true(gw_mp_read_i64(&r) == INT64_MIN);
	assert_int_equal(r.err, GW_OK);
	r = READER("\xd0\xff");
	assert_true(gw_mp_read_double(&r) == -1.0);
	r = READER("\xca\x3f\x80\x00\x00");
	assert_true(gw_mp_read_double(&r) == 1.0);
	r = READER("\xdd\xff\xff\xff\xff\x01");
	assert_int_equal(gw_mp_read_arr(&r), 0); /* more items than bytes */
	assert_int_equal(r.err, GW_E_GARBLED);
	r = READER("\x83\x01\x01\x01\x01"); /* three pairs in four bytes */
	assert_int_equal(gw_mp_read_map(&r), 0);
	assert_int_equal(r.err, GW_E_GARBLED);
	r = READER("\xdf\x80\x00\x00\x00\x01\x01"); /* 2^31 pairs: 2 * n must not wrap */
	assert_int_equal(gw_mp_read_map(&r), 0);
	assert_int_equal(r.err, GW_E_GARBLED);
	r = READER("\xc1");
	assert_int_equal(gw_mp_peek(&r), GW_MP_END);
	assert_int_equal(r.err, GW_E_GARBLED);
	r = READER("\xd4\x01\x02"); /* ext */
	assert_int_equal(gw_mp_peek(&r), GW_MP_END);
	assert_int_equal(r.err, GW_E_GARBLED);
	r = gw_mp_reader(GW_NIL);
	assert_int_equal(gw_mp_peek(&r), GW_MP_END);
	assert_int_equal(r.err, GW_OK); /* the end is no error */
	gw_mp_skip(&r);
	assert_int_equal(r.err, GW_E_GARBLED); /* reading past it is */
}

static void depth(void **st)
{
	char nested[40];
	struct gw_mp r;

	(void)st;
	memset(nested, '\x91', sizeof(nested));
	nested[32] = '\x01';
	r = gw_mp_reader(gw_str(nested, 33)); /* 32 arrays in each other */
	gw_mp_skip(&r);
	assert_int_equal(r.err, GW_OK);
	nested[32] = '\x91';
	nested[33] = '\x01';
	r = gw_mp_reader(gw_str(nested, 34));
	gw_mp_skip(&r);
	assert_int_equal(r.err, GW_E_GARBLED);
}

static void sticky_buffer(void **st)
{
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 4);
	gw_mp_u64(&b, 1);
	gw_mp_str(&b, GW_LIT("does not fit"));
	gw_mp_u64(&b, 2);
	assert_int_equal(b.err, GW_E_TOO_BIG);
	gw_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(oracle), cmocka_unit_test(random_bytes),
					    cmocka_unit_test(errors_stick), cmocka_unit_test(depth),
					    cmocka_unit_test(sticky_buffer) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
