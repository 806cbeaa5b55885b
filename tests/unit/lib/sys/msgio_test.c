/* Messages over SEQPACKET: small, large, with descriptors; and a peer that lies in every field of the header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/fd.h"
#include "lib/sys/msgio.h"

static int n_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void close_pair(int *pair)
{
	gw_close(&pair[0]);
	gw_close(&pair[1]);
}

static void test_small_with_fds(void **state)
{
	struct gw_msg m = { .type = GW_MSG_PEER }, got;
	struct gw_msg_in in = { 0 };
	int pair[2], before = n_open();

	(void)state;
	assert_int_equal(gw_socketpair(pair, true), GW_OK);
	assert_int_equal(gw_msg_recv(pair[1], &in, &got), GW_E_AGAIN);
	GW_MSG_SET(&m, role, 3);
	GW_MSG_SET(&m, detail, GW_LIT("hello"));
	m.fds[0] = m.fds[1] = pair[0];
	m.n_fds = 2;
	assert_int_equal(gw_msg_send(pair[0], &m, 100), GW_OK);
	assert_int_equal(gw_msg_recv(pair[1], &in, &got), GW_OK);
	assert_int_equal(got.type, GW_MSG_PEER);
	assert_int_equal(got.role, 3);
	assert_true(gw_str_eq(got.detail, GW_LIT("hello")));
	assert_false(GW_MSG_HAS(&got, slot));
	assert_int_equal(got.n_fds, 2);
	assert_int_equal(got.fds[2], -1);
	gw_close(&got.fds[0]);
	gw_close(&got.fds[1]);
	gw_close(&pair[0]);
	assert_int_equal(gw_msg_recv(pair[1], &in, &got), GW_E_IO);
	gw_msg_in_done(&in);
	gw_msg_in_done(&in);
	close_pair(pair);
	assert_int_equal(n_open(), before);
}

struct sender {
	int fd;
	struct gw_msg *m;
	enum gw_err e;
};
static void *send_it(void *p)
{
	struct sender *s = p;

	s->e = gw_msg_send(s->fd, s->m, 20000);
	return NULL;
}

/* Many packets: the sender waits for room, the receiver puts them together. */
static void test_large(void **state)
{
	static const size_t sizes[] = { 65000, 65536, 1 << 20, 9000000 };
	struct gw_msg_in in = { 0 };
	int pair[2];

	(void)state;
	assert_int_equal(gw_socketpair(pair, false), GW_OK);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *body = malloc(sizes[i]);
		struct gw_msg m = { .type = GW_MSG_CALL }, got;
		struct sender s = { pair[0], &m, GW_OK };
		pthread_t t;

		for (size_t k = 0; k < sizes[i]; k++)
			body[k] = (char)(k * 31 >> 3);
		GW_MSG_SET(&m, body, gw_str(body, sizes[i]));
		assert_int_equal(pthread_create(&t, NULL, send_it, &s), 0);
		assert_int_equal(gw_msg_recv(pair[1], &in, &got), GW_OK);
		pthread_join(t, NULL);
		assert_int_equal(s.e, GW_OK);
		assert_true(gw_str_eq(got.body, m.body));
		free(body);
	}
	gw_msg_in_done(&in);
	close_pair(pair);
}

static void test_sender_does_not_wait_for_ever(void **state)
{
	struct gw_msg m = { .type = GW_MSG_CALL };
	static char body[60000], huge[4000000];
	uint64_t start;
	enum gw_err e;
	int pair[2];

	(void)state;
	GW_MSG_SET(&m, body, gw_str(body, sizeof(body)));
	for (int is_nonblocking = 0; is_nonblocking < 2; is_nonblocking++) {
		assert_int_equal(gw_socketpair(pair, is_nonblocking), GW_OK);
		do
			e = gw_msg_send(pair[0], &m, 0);
		while (e == GW_OK);
		assert_int_equal(e, GW_E_AGAIN);
		start = gw_now_ms();
		assert_int_equal(gw_msg_send(pair[0], &m, 60), GW_E_AGAIN);
		assert_in_range(gw_now_ms() - start, 50, 3000);
		close_pair(pair);
	}
	/* Stuck in the middle of a message: the channel cannot be used any more, and that is another answer. */
	assert_int_equal(gw_socketpair(pair, true), GW_OK);
	GW_MSG_SET(&m, body, gw_str(huge, sizeof(huge)));
	assert_int_equal(gw_msg_send(pair[0], &m, 30), GW_E_IO);
	gw_close(&pair[1]);
	assert_int_equal(gw_msg_send(pair[0], &m, 30), GW_E_IO);
	close_pair(pair);
}

static void test_secret_is_wiped(void **state)
{
	static const char canary[] = "canary-of-a-leased-secret-0123456789";
	struct gw_msg m = { .type = GW_MSG_LEASED }, plain = { .type = GW_MSG_READY }, got;
	struct gw_msg_in in = { 0 };
	int pair[2];

	(void)state;
	assert_int_equal(gw_socketpair(pair, true), GW_OK);
	GW_MSG_SET(&m, secret, gw_str(canary, sizeof(canary)));
	assert_int_equal(gw_msg_send(pair[0], &m, 10), GW_OK);
	assert_int_equal(gw_msg_recv(pair[1], &in, &got), GW_OK);
	assert_true(gw_str_eq(got.secret, m.secret));
	assert_int_equal(gw_msg_send(pair[0], &plain, 10), GW_OK);
	assert_int_equal(gw_msg_recv(pair[1], &in, &got), GW_OK);
	assert_null(memmem(in.buf.p, in.buf.cap, "canary", 6));
	gw_msg_in_done(&in);
	close_pair(pair);
}

static struct gw_str packet(char *out, uint32_t total, uint32_t offset, uint32_t no, size_t n)
{
	gw_msg_head_put((uint8_t *)out, total, offset, no);
	memset(out + GW_MSG_HEAD_BYTES, 'x', n);
	return gw_str(out, GW_MSG_HEAD_BYTES + n);
}

static void refuse(struct gw_msg_in *in, struct gw_str p)
{
	int fd = dup(0), before = n_open();
	bool is_whole = true;

	assert_int_equal(gw_msg_in_packet(in, p, &fd, 1, &is_whole), GW_E_GARBLED);
	assert_false(is_whole);
	assert_int_equal(n_open(), before - 1); /* the descriptor is closed */
	assert_int_equal(in->total, 0);
	assert_int_equal(in->n_fds, 0);
}

static void test_lying_headers(void **state)
{
	static char b[GW_PACKET_BYTES + 100];
	struct gw_msg_in in = { 0 };
	bool is_whole;

	(void)state;
	refuse(&in, gw_str(b, 0));
	refuse(&in, gw_str(b, GW_MSG_HEAD_BYTES)); /* nothing in it */
	refuse(&in, packet(b, 0, 0, 1, 10)); /* more than the total */
	refuse(&in, packet(b, 9, 0, 1, 10));
	refuse(&in, packet(b, 10, 0, 1, 0));
	refuse(&in, packet(b, 10, 5, 1, 5)); /* begins in the middle */
	refuse(&in, packet(b, GW_MSG_MAX_BYTES + 1u, 0, 1, 10)); /* over the ceiling */
	refuse(&in, packet(b, 0xffffffff, 0, 1, 10));
	refuse(&in, packet(b, 70000, 0, 1, GW_PACKET_BYTES)); /* longer than a packet may be */
	packet(b, 10, 0, 1, 10);
	b[0] = 'X';
	refuse(&in, gw_str(b, GW_MSG_HEAD_BYTES + 10)); /* magic */

	static const struct {
		uint32_t total, offset, no;
		size_t n;
		bool has_fd;
	} second[] = {
		{ 100, 50, 8, 50, false }, /* another message's number */
		{ 101, 50, 7, 50, false }, /* another total */
		{ 100, 49, 7, 50, false }, /* overlap */
		{ 100, 51, 7, 49, false }, /* gap */
		{ 100, 50, 7, 51, false }, /* too much */
		{ 100, 0, 7, 50, false }, /* begins anew */
		{ 100, 50, 7, 50, true }, /* descriptors come first only */
	};
	for (size_t i = 0; i < sizeof(second) / sizeof(second[0]); i++) {
		int fds[2] = { dup(0), dup(0) }, before = n_open();

		assert_int_equal(gw_msg_in_packet(&in, packet(b, 100, 0, 7, 50), fds, 1, &is_whole), GW_OK);
		assert_false(is_whole);
		assert_int_equal(
		    gw_msg_in_packet(&in, packet(b, second[i].total, second[i].offset, second[i].no, second[i].n),
				     fds + 1, second[i].has_fd, &is_whole),
		    GW_E_GARBLED);
		if (!second[i].has_fd)
			close(fds[1]);
		assert_int_equal(n_open(), before - 2);
	}
	assert_int_equal(gw_msg_in_packet(&in, packet(b, 100, 0, 7, 50), NULL, 0, &is_whole), GW_OK);
	assert_int_equal(gw_msg_in_packet(&in, packet(b, 100, 50, 7, 50), NULL, 0, &is_whole), GW_OK);
	assert_true(is_whole);
	gw_msg_in_done(&in);
}

/* Whole by its framing, but not a message. */
static void test_garbage_inside(void **state)
{
	struct gw_msg_in in = { 0 };
	int pair[2], before = n_open();
	struct gw_msg got;
	char b[100];

	(void)state;
	assert_int_equal(gw_socketpair(pair, true), GW_OK);
	assert_int_equal(gw_packet_send(pair[0], packet(b, 20, 0, 1, 20).p, 36, &pair[0], 1), 36);
	assert_int_equal(gw_msg_recv(pair[1], &in, &got), GW_E_GARBLED);
	assert_int_equal(gw_packet_send(pair[0], "short", 5, &pair[0], 1), 5);
	assert_int_equal(gw_msg_recv(pair[1], &in, &got), GW_E_GARBLED);
	gw_msg_in_done(&in);
	close_pair(pair);
	assert_int_equal(n_open(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_with_fds),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_sender_does_not_wait_for_ever),
		cmocka_unit_test(test_secret_is_wiped),
		cmocka_unit_test(test_lying_headers),
		cmocka_unit_test(test_garbage_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
