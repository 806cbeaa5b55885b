#include "tests/unit/worker/fake_net.h"
#include <stdio.h>
#include <stdlib.h>
#include "lib/sys/clock.h"

struct fake_net fake;
uint64_t fake_ns = 1000000000000, fake_tick_ns = 11000;

/* --- the clock (all of lib/sys/clock.c) --- */
uint64_t gw_now_ns(void)
{
	return fake_ns += fake_tick_ns;
}
uint64_t gw_recent_ns(void)
{
	return gw_now_ns();
}
int64_t gw_unix_recent_us(void)
{
	return gw_unix_us();
}
uint64_t gw_now_ms(void)
{
	return gw_now_ns() / 1000000;
}
int64_t gw_unix_us(void)
{
	return 1700000000000000 + (int64_t)(gw_now_ns() / 1000);
}
uint64_t gw_cpu_ns(void)
{
	return gw_now_ns();
}
void gw_sleep_ms(uint64_t ms)
{
	fake_pass_ms(ms);
}
void fake_pass_ms(uint64_t ms)
{
	fake_ns += ms * 1000000;
}

/* --- the client --- */
struct gw_h1_conn *fake_conn(void)
{
	struct gw_h1_conn *c = calloc(1, sizeof *c);

	gw_buf_init(&c->out, 16 << 20);
	gw_buf_init(&c->head, 65536);
	return c;
}

void fake_conn_free(struct gw_h1_conn *c)
{
	gw_buf_done(&c->out);
	gw_buf_done(&c->head);
	free(c);
}

static void put_head(struct gw_h1_conn *c, const struct gw_h1_answer *a)
{
	GW_REQUIRE(!c->is_started && !c->is_ended);
	c->is_started = true;
	c->status = a->status;
	c->length = a->content_length;
	snprintf(c->type, sizeof c->type, "%.*s", GW_FMT(a->content_type));
	for (uint32_t i = 0; i < a->n_headers; i++)
		gw_buf_printf(&c->head, "%.*s: %.*s\n", GW_FMT(a->headers[i].name), GW_FMT(a->headers[i].value));
}

void gw_h1_reply(struct gw_h1_conn *c, const struct gw_h1_answer *a, struct gw_str body)
{
	put_head(c, a);
	gw_buf_puts(&c->out, body);
	c->is_ended = c->is_whole = true;
}
void gw_h1_reply_start(struct gw_h1_conn *c, const struct gw_h1_answer *a)
{
	put_head(c, a);
}
bool gw_h1_reply_piece(struct gw_h1_conn *c, struct gw_str bytes)
{
	GW_REQUIRE(c->is_started && !c->is_ended && bytes.n > 0);
	gw_buf_puts(&c->out, bytes);
	c->n_pieces++;
	return !c->is_blocked;
}
void gw_h1_reply_end(struct gw_h1_conn *c)
{
	GW_REQUIRE(c->is_started && !c->is_ended);
	c->is_ended = true;
}
void gw_h1_reply_cut(struct gw_h1_conn *c)
{
	GW_REQUIRE(!c->is_ended);
	c->is_ended = c->is_cut = true;
}
void gw_h1_set_user(struct gw_h1_conn *c, void *user)
{
	c->user = user;
}
void *gw_h1_user(const struct gw_h1_conn *c)
{
	return c->user;
}
struct gw_str gw_h1_peer(const struct gw_h1_conn *c)
{
	(void)c;
	return GW_LIT("192.0.2.7");
}
struct gw_str gw_h1_header(const struct gw_h1_request *rq, struct gw_str name, uint32_t *count)
{
	struct gw_str first = GW_NIL;
	uint32_t n = 0;

	for (uint32_t i = 0; i < rq->n_headers; i++)
		if (gw_str_ieq(rq->headers[i].name, name) && n++ == 0)
			first = rq->headers[i].value;
	if (count)
		*count = n;
	return first;
}
void gw_h1_stream_body(struct gw_h1_conn *c)
{
	c->is_streamed = true;
}

void gw_h1_body_pause(struct gw_h1_conn *c)
{
	c->is_body_paused = true;
}

void gw_h1_body_resume(struct gw_h1_conn *c)
{
	c->is_body_paused = false;
}

uint32_t gw_h1_open(const struct gw_h1_server *s)
{
	(void)s;
	return 0;
}
void gw_h1_set_caps(struct gw_h1_server *s, uint32_t connections, uint32_t per_ip)
{
	(void)s;
	(void)connections;
	(void)per_ip;
}
const struct gw_h1_stats *gw_h1_stats(const struct gw_h1_server *s)
{
	static const struct gw_h1_stats none;

	(void)s;
	return &none;
}

/* --- the provider --- */
enum gw_err gw_upstream_endpoint(struct gw_upstream *u, const struct gw_endpoint_desc *d, struct gw_endpoint **out)
{
	(void)u;
	(void)d;
	*out = NULL;
	return GW_OK;
}

enum gw_err gw_upstream_send(struct gw_upstream *u, const struct gw_up_send *s, const struct gw_up_ops *ops, void *ctx,
			     struct gw_up_req **out)
{
	struct gw_up_req *q;

	(void)u;
	if (fake.send_err)
		return fake.send_err;
	q = calloc(1, sizeof *q);
	q->ops = ops;
	q->ctx = ctx;
	q->must_be_fresh = s->must_be_fresh;
	q->stream_length = s->is_streamed ? s->stream_length : -2;
	q->on_room = s->on_room;
	q->times.queued_ns = gw_now_ns();
	gw_buf_init(&q->body, 1 << 20);
	for (uint32_t i = 0; i < s->n_body; i++)
		gw_buf_puts(&q->body, s->body[i]);
	for (uint32_t i = 0; i < s->n_headers; i++)
		if (gw_str_ieq(s->headers[i].name, GW_LIT("authorization")))
			snprintf(q->auth, sizeof q->auth, "%.*s", GW_FMT(s->headers[i].value));
	q->next = fake.first;
	fake.first = q;
	fake.n_under_way++;
	fake.n_sent++;
	*out = q;
	return GW_OK;
}

bool gw_upstream_write(struct gw_up_req *q, struct gw_str bytes)
{
	gw_buf_puts(&q->body, bytes);
	return !q->is_full;
}

void gw_upstream_write_end(struct gw_up_req *q)
{
	q->is_upload_ended = true;
}

bool up_is_alive(const struct gw_up_req *q)
{
	for (struct gw_up_req *i = fake.first; i; i = i->next)
		if (i == q)
			return true;
	return false;
}

static void drop(struct gw_up_req *q)
{
	struct gw_up_req **at = &fake.first;

	while (*at && *at != q)
		at = &(*at)->next;
	GW_REQUIRE(*at == q); /* cancelled twice, or after its end */
	*at = q->next;
	fake.n_under_way--;
	gw_buf_done(&q->body);
	free(q);
}

void gw_upstream_cancel(struct gw_up_req *q)
{
	fake.n_cancelled++;
	drop(q);
}
void gw_upstream_pause(struct gw_up_req *q)
{
	GW_REQUIRE(!q->is_paused);
	q->is_paused = true;
}
void gw_upstream_resume(struct gw_up_req *q)
{
	GW_REQUIRE(q->is_paused);
	q->is_paused = false;
}
const struct gw_up_times *gw_upstream_times(const struct gw_up_req *q)
{
	return &q->times;
}
void gw_upstream_trim(struct gw_upstream *u)
{
	(void)u; /* nothing is kept here */
}

const struct gw_up_stats *gw_upstream_stats(const struct gw_upstream *u)
{
	static const struct gw_up_stats none;

	(void)u;
	return &none;
}

void up_head(struct gw_up_req *q, int status, const char *type)
{
	struct gw_up_header h[3] = { { GW_LIT("content-type"), gw_str_z(type) },
				     { GW_LIT("x-request-id"), GW_LIT("up-1") },
				     { GW_LIT("retry-after"), GW_LIT("7") } };
	struct gw_up_reply rep = { .status = status, .headers = h, .n_headers = 3, .content_length = -1 };

	q->times.sent_ns = q->times.head_ns = gw_now_ns();
	q->ops->on_head(q->ctx, q, &rep);
}

/* Bytes in memory of their own that is gone afterwards, as the contract says. */
void up_bytes(struct gw_up_req *q, struct gw_str bytes)
{
	char *p = malloc(bytes.n ? bytes.n : 1);

	memcpy(p, bytes.p, bytes.n);
	q->ops->on_body(q->ctx, q, gw_str(p, bytes.n));
	free(p);
}
void up_body(struct gw_up_req *q, const char *text)
{
	up_bytes(q, gw_str_z(text));
}
void up_end(struct gw_up_req *q, enum gw_err err)
{
	q->times.end_ns = gw_now_ns();
	q->ops->on_end(q->ctx, q, err, err ? GW_LIT("words of the transport") : GW_NIL);
	drop(q);
}

/* --- confd and the logger --- */
enum gw_err gw_channel_ask(struct gw_channel *ch, struct gw_msg *m, uint64_t timeout_ms, gw_answer_fn *fn, void *ctx)
{
	struct fake_ask *a = &fake.asks[fake.n_asks];

	(void)ch;
	(void)timeout_ms;
	if (fake.ask_err)
		return fake.ask_err;
	GW_REQUIRE(fake.n_asks < 16);
	*a = (struct fake_ask){ .is_open = true, .fn = fn, .ctx = ctx };
	snprintf(a->name, sizeof a->name, "%.*s", GW_FMT(m->name));
	fake.n_asks++;
	return GW_OK;
}
enum gw_err gw_channel_send(struct gw_channel *ch, const struct gw_msg *m)
{
	(void)ch;
	(void)m;
	return GW_OK;
}
void confd_answers(uint32_t n, enum gw_err err, uint64_t status, uint64_t version, const char *secret,
		   uint64_t next_version, const char *next)
{
	struct fake_ask a = fake.asks[n];
	struct gw_msg m = { .type = GW_MSG_LEASED };
	char mine[64], other[64];

	GW_REQUIRE(a.is_open);
	fake.asks[n].is_open = false;
	GW_MSG_SET(&m, status, status);
	if (secret) {
		snprintf(mine, sizeof mine, "%s", secret);
		GW_MSG_SET(&m, secret, gw_str_z(mine));
		GW_MSG_SET(&m, version, version);
		GW_MSG_SET(&m, deadline_ms, 600000);
	}
	if (next) {
		snprintf(other, sizeof other, "%s", next);
		GW_MSG_SET(&m, next, gw_str_z(other));
		GW_MSG_SET(&m, next_version, next_version);
	}
	a.fn(a.ctx, err, err ? NULL : &m);
}

/* --- the edge and TLS: not part of these tests; nobody is trusted, no certificate is made --- */
#include "net/client_addr.h"
#include "net/tls.h"

const uint8_t *gw_h1_addr(const struct gw_h1_conn *c)
{
	(void)c;
	return NULL;
}
enum gw_err gw_h1_set_proxies(struct gw_h1_server *s, const struct gw_cidr *proxies, uint32_t n_proxies,
			      const struct gw_cidr *trusted, uint32_t n_trusted)
{
	(void)s, (void)proxies, (void)n_proxies, (void)trusted, (void)n_trusted;
	return GW_OK;
}
void gw_h1_set_tls(struct gw_h1_server *s, struct gw_tls_ctx *ctx)
{
	(void)s, (void)ctx;
}
enum gw_err gw_h1_listen_tls(struct gw_h1_server *s, int fd, int id)
{
	(void)s, (void)fd, (void)id;
	return GW_OK;
}
enum gw_err gw_cidr_read(struct gw_str text, struct gw_cidr *out)
{
	(void)text, (void)out;
	return GW_E_INVALID;
}
bool gw_addr_in(const uint8_t addr[16], const struct gw_cidr *v, uint32_t n)
{
	(void)addr, (void)v, (void)n;
	return false;
}
bool gw_addr_forwarded(struct gw_str line, const struct gw_cidr *trusted, uint32_t n, uint8_t addr[16])
{
	(void)line, (void)trusted, (void)n, (void)addr;
	return false;
}
size_t gw_addr_print(const uint8_t addr[16], char out[GW_ADDR_TEXT])
{
	(void)addr, (void)out;
	return 0;
}
enum gw_err gw_tls_listener_ctx(const struct gw_tls_server_desc *d, struct gw_tls_ctx **out, uint32_t *bad)
{
	(void)d, (void)out, (void)bad;
	return GW_E_INVALID;
}
enum gw_err gw_tls_ticket_keys(struct gw_tls_ctx *c, const struct gw_secret *before, const struct gw_secret *now)
{
	(void)c, (void)before, (void)now;
	return GW_OK;
}
