/* A name server for tests of resolvers: good.mock is 127.0.0.1, flip.mock 127.0.0.1 and 127.0.0.2 in turn (one question each),
 * slow.mock comes after five seconds, silent.mock never; every other name does not exist. A records only, time to live 1 s. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include "bench/mockllm.h"

enum { MAX_PACKET = 512, SLOW_MS = 5000, HEAD = 12, KIND_A = 1 };

static uv_udp_t server;
static char incoming[MAX_PACKET];

struct reply {
	uv_udp_send_t send;
	uv_timer_t timer;
	struct sockaddr_storage to;
	uint8_t bytes[MAX_PACKET + 16];
	unsigned n;
};

static void on_timer_closed(uv_handle_t *h)
{
	free(h->data);
}

static void on_sent(uv_udp_send_t *s, int status)
{
	struct reply *r = s->data;

	(void)status;
	uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}

static void send_reply(uv_timer_t *t)
{
	struct reply *r = t->data;
	uv_buf_t b = uv_buf_init((char *)r->bytes, r->n);

	r->send.data = r;
	if (uv_udp_send(&r->send, &server, &b, 1, (const struct sockaddr *)&r->to, on_sent) != 0)
		uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}

/* The question's name as text, and where the question ends; 0 when it is none. */
static unsigned read_question(const uint8_t *p, unsigned n, char name[256])
{
	unsigned at = HEAD, to = 0;

	while (at < n && p[at] != 0) {
		unsigned label = p[at];

		if (label > 63 || at + 1 + label >= n || to + label + 2 > 255)
			return 0;
		if (to > 0)
			name[to++] = '.';
		memcpy(name + to, p + at + 1, label);
		to += label;
		at += label + 1;
	}
	name[to] = '\0';
	return at + 5 <= n && to > 0 ? at + 5 : 0;
}

static bool is_name(const char *name, const char *want)
{
	return gw_str_ieq(gw_str_z(name), gw_str_z(want));
}

static void answer(const uint8_t *p, unsigned n, const struct sockaddr *from)
{
	static unsigned flips;
	char name[256];
	unsigned end = read_question(p, n, name), kind;
	struct reply *r;
	bool is_known, is_flip, has_answer;

	if (end == 0 || is_name(name, "silent.mock"))
		return;
	r = calloc(1, sizeof(*r));
	GW_REQUIRE(r != NULL && uv_timer_init(server.loop, &r->timer) == 0);
	r->timer.data = r;
	memcpy(&r->to, from, sizeof(struct sockaddr_in));
	memcpy(r->bytes, p, end);
	is_flip = is_name(name, "flip.mock");
	is_known = is_flip || is_name(name, "good.mock") || is_name(name, "slow.mock");
	kind = (unsigned)(p[end - 4] << 8 | p[end - 3]);
	has_answer = is_known && kind == KIND_A;
	r->bytes[2] = 0x81; /* an answer; recursion asked for and there */
	r->bytes[3] = is_known ? 0x80 : 0x83;
	memcpy(r->bytes + 4, "\0\1\0\0\0\0\0\0", 8);
	r->bytes[7] = has_answer;
	r->n = end;
	if (has_answer) {
		static const uint8_t row[] = { 0xc0, HEAD, 0, KIND_A, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1 };

		memcpy(r->bytes + end, row, sizeof(row));
		r->n += sizeof(row);
		if (is_flip)
			r->bytes[r->n - 1] = (uint8_t)(1 + flips++ % 2);
	}
	uv_timer_start(&r->timer, send_reply, is_name(name, "slow.mock") ? SLOW_MS : 0, 0);
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
	(void)h;
	(void)hint;
	*out = uv_buf_init(incoming, sizeof(incoming));
}

static void on_packet(uv_udp_t *h, ssize_t n, const uv_buf_t *b, const struct sockaddr *from, unsigned flags)
{
	(void)h;
	(void)flags;
	if (n > HEAD && from && from->sa_family == AF_INET)
		answer((const uint8_t *)b->base, (unsigned)n, from);
}

bool mock_dns_open(uv_loop_t *loop, const char *host, uint16_t port)
{
	struct sockaddr_in a;

	return uv_ip4_addr(host, port, &a) == 0 && uv_udp_init(loop, &server) == 0 &&
	       uv_udp_bind(&server, (const struct sockaddr *)&a, 0) == 0 &&
	       uv_udp_recv_start(&server, on_alloc, on_packet) == 0;
}
