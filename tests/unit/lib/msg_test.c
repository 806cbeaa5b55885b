/* lib/msg.h: every message and key there and back; broken bytes. */
#include "util.h"

#include "lib/msg.h"

static struct gw_buf out;

static enum gw_err unpack(struct gw_str s, struct gw_msg *m)
{
	memset(m, 0x77, sizeof(*m));
	return gw_msg_unpack(s, m);
}

static void there_and_back(void **st)
{
	(void)st;
	for (int t = GW_MSG_none_ + 1; t < GW_MSG_COUNT; t++) {
		struct gw_msg m = { .type = (enum gw_msg_type)t }, back;
		struct gw_str bytes;

		if (rng_below(2))
			GW_MSG_SET(&m, corr, rng());
		if (rng_below(2))
			GW_MSG_SET(&m, pid, 4711);
		if (rng_below(2))
			GW_MSG_SET(&m, body, GW_LIT("{\"a\":\"\0\xff\"}"));
		if (rng_below(2))
			GW_MSG_SET(&m, next_version, UINT64_MAX);
		GW_MSG_SET(&m, name, GW_LIT(""));
		gw_buf_clear(&out, 1 << 20);
		gw_msg_pack(&out, &m);
		assert_int_equal(out.err, GW_OK);
		bytes = exact(gw_buf_view(&out));
		assert_int_equal(unpack(bytes, &back), GW_OK);
		assert_int_equal(back.type, t);
		assert_true(back.has == m.has);
		assert_true(GW_MSG_HAS(&back, name) && !GW_MSG_HAS(&back, detail));
		assert_true(back.corr == m.corr && back.pid == m.pid && back.next_version == m.next_version);
		assert_same(back.body, m.body);
		assert_int_equal(back.epoch, 0); /* what is absent is zero */
		assert_int_equal(back.detail.n, 0);
		assert_int_equal(back.n_fds, 0x77777777); /* descriptors are not unpack's */
		/* each shorter piece is refused */
		for (size_t n = 0; n < bytes.n; n++)
			assert_int_equal(unpack(gw_str(bytes.p, n), &back), GW_E_GARBLED);
		free((char *)(uintptr_t)bytes.p);
	}
}

static void names(void **st)
{
	(void)st;
	assert_string_equal(gw_msg_name(GW_MSG_INIT), "INIT");
	assert_string_equal(gw_msg_name(GW_MSG_COUNT), "unknown");
	assert_string_equal(gw_msg_name((enum gw_msg_type) - 1), "unknown");
	for (int t = 1; t < GW_MSG_COUNT; t++)
		assert_true(strlen(gw_msg_name((enum gw_msg_type)t)) > 1);
}

static void begin(uint32_t pairs)
{
	gw_buf_clear(&out, 1 << 20);
	gw_mp_map(&out, pairs);
	gw_mp_u64(&out, GW_MK_type_);
	gw_mp_u64(&out, GW_MSG_READY);
}

static void strict(void **st)
{
	struct gw_msg m;

	(void)st;
	/* a key of a newer peer is skipped, whatever it holds */
	begin(3);
	gw_mp_u64(&out, 4000);
	gw_mp_map(&out, 1);
	gw_mp_str(&out, GW_LIT("x"));
	gw_mp_nil(&out);
	gw_mp_u64(&out, GW_MK_flags);
	gw_mp_u64(&out, 3);
	assert_int_equal(unpack(gw_buf_view(&out), &m), GW_OK);
	assert_true(m.type == GW_MSG_READY && GW_MSG_HAS(&m, flags) && m.flags == 3);
	/* a wrong type */
	begin(2);
	gw_mp_u64(&out, GW_MK_flags);
	gw_mp_str(&out, GW_LIT("3"));
	assert_int_equal(unpack(gw_buf_view(&out), &m), GW_E_GARBLED);
	begin(2);
	gw_mp_u64(&out, GW_MK_body);
	gw_mp_u64(&out, 3);
	assert_int_equal(unpack(gw_buf_view(&out), &m), GW_E_GARBLED);
	/* a key twice */
	begin(3);
	gw_mp_u64(&out, GW_MK_flags);
	gw_mp_u64(&out, 3);
	gw_mp_u64(&out, GW_MK_flags);
	gw_mp_u64(&out, 4);
	assert_int_equal(unpack(gw_buf_view(&out), &m), GW_E_GARBLED);
	/* bytes behind */
	begin(1);
	gw_mp_nil(&out);
	assert_int_equal(unpack(gw_buf_view(&out), &m), GW_E_GARBLED);
	/* no type, type 0 */
	gw_buf_clear(&out, 1 << 20);
	gw_mp_map(&out, 0);
	assert_int_equal(unpack(gw_buf_view(&out), &m), GW_E_GARBLED);
	gw_buf_clear(&out, 1 << 20);
	gw_mp_map(&out, 1);
	gw_mp_u64(&out, GW_MK_type_);
	gw_mp_u64(&out, 0);
	assert_int_equal(unpack(gw_buf_view(&out), &m), GW_E_GARBLED);
	gw_buf_clear(&out, 1 << 20);
	gw_mp_map(&out, 1);
	gw_mp_u64(&out, GW_MK_type_);
	gw_mp_u64(&out, (uint64_t)GW_MSG_COUNT + 7); /* a newer peer's: for the receiver to pass over */
	assert_int_equal(unpack(gw_buf_view(&out), &m), GW_OK);
	assert_int_equal(m.type, GW_MSG_COUNT);
	/* no map at all */
	assert_int_equal(unpack(GW_LIT("\x05"), &m), GW_E_GARBLED);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(there_and_back), cmocka_unit_test(names),
					    cmocka_unit_test(strict) };
	int rc;

	gw_buf_init(&out, 1 << 20);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	gw_buf_done(&out);
	return rc;
}
