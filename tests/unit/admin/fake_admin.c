#include "tests/unit/admin/fake_admin.h"

struct fake_admin fake;
struct gw_admin the_admin;
static char answer_bytes[65536];

static void copy(char *to, size_t room, struct gw_str s)
{
	snprintf(to, room, "%.*s", GW_FMT(s));
}

enum gw_err gw_channel_ask(struct gw_channel *ch, struct gw_msg *m, uint64_t timeout_ms, gw_answer_fn *fn, void *ctx)
{
	(void)ch;
	(void)timeout_ms;
	if (gw_str_eq(m->kind, GW_LIT("settings")) && gw_str_eq(m->name, GW_LIT("get")))
		return GW_E_BUSY; /* its own question, for the limits */
	fake.n_asks++;
	copy(fake.method, sizeof fake.method, m->name);
	copy(fake.kind, sizeof fake.kind, m->kind);
	copy(fake.actor, sizeof fake.actor, m->actor);
	copy(fake.body, sizeof fake.body, m->body);
	fake.flags = m->flags;
	fake.version = GW_MSG_HAS(m, version) ? m->version : 0;
	fake.fn = fn;
	fake.ctx = ctx;
	return GW_OK;
}
enum gw_err gw_channel_send(struct gw_channel *ch, const struct gw_msg *m)
{
	struct gw_admin_record r;

	(void)ch;
	if (m->type != GW_MSG_AUDIT)
		return GW_OK;
	fake.n_audits++;
	GW_REQUIRE(gw_admin_record_unpack(m->body, &r) == GW_OK);
	copy(fake.audit_route, sizeof fake.audit_route, r.route);
	copy(fake.audit_error, sizeof fake.audit_error, r.error);
	return GW_OK;
}
void confd_says(uint64_t status, const char *body)
{
	struct gw_msg m = { .type = GW_MSG_ANSWER };
	gw_answer_fn *fn = fake.fn;

	GW_REQUIRE(fn != NULL);
	fake.fn = NULL;
	snprintf(answer_bytes, sizeof answer_bytes, "%s", body);
	GW_MSG_SET(&m, status, status);
	GW_MSG_SET(&m, body, gw_str_z(answer_bytes));
	fn(fake.ctx, GW_OK, &m);
}

void gw_h1_reply(struct gw_h1_conn *c, const struct gw_h1_answer *a, struct gw_str body)
{
	c->status = a->status;
	c->n_answers++;
	copy(c->body, sizeof c->body, body);
}
void gw_h1_reply_start(struct gw_h1_conn *c, const struct gw_h1_answer *a)
{
	c->status = a->status;
}
bool gw_h1_reply_piece(struct gw_h1_conn *c, struct gw_str bytes)
{
	size_t n = strlen(c->body);

	copy(c->body + n, sizeof c->body - n, bytes);
	return true;
}
void gw_h1_reply_end(struct gw_h1_conn *c)
{
	c->n_answers++;
}
void gw_h1_reply_cut(struct gw_h1_conn *c)
{
	c->n_answers++;
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
	return GW_LIT("127.0.0.1");
}
uint64_t gw_h1_queued(const struct gw_h1_conn *c)
{
	(void)c;
	return 0;
}
struct gw_str gw_h1_header(const struct gw_h1_request *rq, struct gw_str name, uint32_t *count)
{
	(void)count;
	for (uint32_t i = 0; i < rq->n_headers; i++)
		if (gw_str_ieq(rq->headers[i].name, name))
			return rq->headers[i].value;
	return GW_NIL;
}

void call(struct gw_h1_conn *c, enum gw_h1_method m, const char *target, const char *auth, const char *type,
	  const char *body)
{
	static struct gw_h1_request rq;
	static struct gw_h1_header h[2];
	static char text[1 << 20], line[16384];
	size_t max = 0;
	enum gw_err e;

	memset(c, 0, sizeof *c);
	memset(h, 0, sizeof h);
	snprintf(line, sizeof line, "%s", target);
	snprintf(text, sizeof text, "%s", body ? body : "");
	rq = (struct gw_h1_request){ .method = m, .headers = h, .body = gw_str_z(text) };
	rq.path = rq.target = gw_str_z(line);
	if (gw_str_cut(rq.target, '?', &rq.path, &rq.query) == false)
		rq.path = rq.target;
	if (auth)
		h[rq.n_headers++] = (struct gw_h1_header){ GW_LIT("Authorization"), gw_str_z(auth) };
	if (type)
		h[rq.n_headers++] = (struct gw_h1_header){ GW_LIT("Content-Type"), gw_str_z(type) };
	e = gw_adm_ops.on_head(&the_admin, c, &rq, &max);
	if (e) {
		c->status = gw_err_info(e)->http;
		c->n_answers = 1;
		return;
	}
	gw_adm_ops.on_request(&the_admin, c, &rq);
}

/* --- TLS: not part of these tests; every connection is plain --- */
#include "net/tls.h"

void gw_h1_set_tls(struct gw_h1_server *s, struct gw_tls_ctx *ctx)
{
	(void)s, (void)ctx;
}

enum gw_err gw_h1_listen_tls(struct gw_h1_server *s, int fd, int id)
{
	(void)s;
	(void)fd;
	(void)id;
	return GW_OK;
}
struct gw_tls *gw_h1_tls(const struct gw_h1_conn *c)
{
	(void)c;
	return NULL;
}
bool gw_tls_peer_subject(const struct gw_tls *t, char *out, size_t n)
{
	(void)t, (void)out, (void)n;
	return false;
}
enum gw_err gw_tls_listener_ctx(const struct gw_tls_server_desc *d, struct gw_tls_ctx **out, uint32_t *bad)
{
	(void)d, (void)out, (void)bad;
	return GW_E_INVALID;
}
