/* The application behind the HTTP server tests. Routes:
 *   GET /  POST /            fixed text; the body back      OPTIONS / 204, DELETE / 405
 *   POST /echo  GET /echo    the body back; the request's header lines back
 *   GET /cookie              the Cookie value
 *   GET /v1/models           JSON       POST /v1/chat/completions: 200 for a JSON object, 400 else
 *   GET /slow?N              answers after N ms
 *   GET /stream?N            N pieces of 1000 bytes, heeding back-pressure
 *   GET /hold                never answers by itself
 *   GET /inject              tries to put a line break into header values
 *   GET /cut                 one piece, then a cut
 *   GET /deny                refused from on_head
 *   GET /early               answered from on_head
 *   GET /smuggled            200 with its own name: no test ever asks for it openly */
#include "tests/unit/net/h1_app.h"

#include <stdlib.h>

#include "lib/json.h"

struct h1_job {
	struct h1_app *app;
	struct gw_h1_conn *c;
	uv_timer_t timer;
	uint64_t left; /* pieces */
	bool is_timed, is_over;
};

static struct gw_str text_plain = { "text/plain", 10 };

static void reply_text(struct gw_h1_conn *c, int status, struct gw_str body)
{
	struct gw_h1_answer a = { .status = status, .content_type = text_plain };

	gw_h1_reply(c, &a, body);
}

static enum gw_err on_head(void *ctx, struct gw_h1_conn *c, const struct gw_h1_request *rq, size_t *body_max)
{
	(void)ctx;
	if (gw_str_eq(rq->path, GW_LIT("/deny")))
		return GW_E_BAD_KEY;
	if (gw_str_eq(rq->path, GW_LIT("/early")))
		reply_text(c, 200, GW_LIT("early\n"));
	*body_max = rq->method == GW_H1_POST ? 1 << 20 : 4096;
	return GW_OK;
}

static void on_job_closed(uv_handle_t *h)
{
	free(h->data);
}

static void end_job(struct h1_job *j)
{
	if (j->is_over)
		return;
	j->is_over = true;
	if (j->app->held == j)
		j->app->held = NULL;
	if (j->is_timed)
		uv_close((uv_handle_t *)&j->timer, on_job_closed);
	else
		free(j);
}

static struct h1_job *new_job(struct h1_app *app, struct gw_h1_conn *c)
{
	struct h1_job *j = calloc(1, sizeof(*j));

	j->app = app;
	j->c = c;
	gw_h1_set_user(c, j);
	return j;
}

static void on_late(uv_timer_t *t)
{
	struct h1_job *j = t->data;

	reply_text(j->c, 200, GW_LIT("late\n"));
}

static void pump(struct h1_job *j)
{
	static char piece[1000];
	bool may_go = true;

	memset(piece, 'p', sizeof(piece));
	while (j->left && may_go) {
		j->left--;
		may_go = gw_h1_reply_piece(j->c, gw_str(piece, sizeof(piece)));
		if (gw_h1_queued(j->c) > j->app->queued_max)
			j->app->queued_max = gw_h1_queued(j->c);
	}
	if (j->left == 0 && may_go)
		gw_h1_reply_end(j->c);
}

static void echo_head(struct gw_h1_conn *c, const struct gw_h1_request *rq)
{
	struct gw_buf b;

	gw_buf_init(&b, 64 << 10);
	for (uint32_t i = 0; i < rq->n_headers; i++) {
		gw_buf_puts(&b, rq->headers[i].name);
		gw_buf_puts(&b, GW_LIT(": "));
		gw_buf_puts(&b, rq->headers[i].value);
		gw_buf_putc(&b, '\n');
	}
	reply_text(c, 200, gw_buf_view(&b));
	gw_buf_done(&b);
}

static void root(struct gw_h1_conn *c, const struct gw_h1_request *rq)
{
	static const struct gw_h1_header allow = { { "allow", 5 }, { "GET, HEAD, POST, OPTIONS", 24 } };
	struct gw_h1_answer a = { .status = 204, .headers = &allow, .n_headers = 1 };

	switch (rq->method) {
	case GW_H1_POST:
		reply_text(c, 200, rq->body);
		break;
	case GW_H1_OPTIONS:
		gw_h1_reply(c, &a, GW_NIL);
		break;
	case GW_H1_GET:
	case GW_H1_HEAD:
		reply_text(c, 200, GW_LIT("hello\n"));
		break;
	default:
		a.status = 405;
		a.content_type = text_plain;
		gw_h1_reply(c, &a, GW_LIT("no\n"));
	}
}

static void later(struct h1_app *app, struct gw_h1_conn *c, const struct gw_h1_request *rq)
{
	struct h1_job *j = new_job(app, c);
	uint64_t n = 0;

	(void)gw_str_u64(rq->query, &n);
	if (gw_str_eq(rq->path, GW_LIT("/slow"))) {
		j->is_timed = true;
		(void)uv_timer_init(app->loop, &j->timer);
		j->timer.data = j;
		(void)uv_timer_start(&j->timer, on_late, n, 0);
	} else if (gw_str_eq(rq->path, GW_LIT("/stream"))) {
		struct gw_h1_answer a = { .status = 200, .content_type = text_plain, .content_length = -1 };

		j->left = n;
		gw_h1_reply_start(c, &a);
		pump(j);
	} else {
		app->held = j;
	}
}

static void inject(struct gw_h1_conn *c)
{
	static const struct gw_h1_header h[] = {
		{ { "x-bad", 5 }, { "a\r\nx-evil: 1", 12 } },
		{ { "x-bad\n", 6 }, { "b", 1 } },
		{ { "x-nul", 5 }, { "a\0b", 3 } },
		{ { "x-good", 6 }, { "fine", 4 } },
		{ { "Content-Length", 14 }, { "99", 2 } },
		{ { "transfer-encoding", 17 }, { "chunked", 7 } },
	};
	struct gw_h1_answer a = {
		.status = 200, .headers = h, .n_headers = 6, .content_type = { "text/x\r\ny: z", 12 }
	};

	gw_h1_reply(c, &a, GW_LIT("ok\n"));
}

static void cut(struct gw_h1_conn *c)
{
	struct gw_h1_answer a = { .status = 200, .content_length = -1 };

	gw_h1_reply_start(c, &a);
	(void)gw_h1_reply_piece(c, GW_LIT("piece"));
	gw_h1_reply_cut(c);
}

static void chat(struct gw_h1_conn *c, const struct gw_h1_request *rq)
{
	struct gw_json_span model;
	struct gw_json_want want = { GW_LIT("model"), &model };
	struct gw_json_fault fault;
	struct gw_arena arena;
	bool is_json;

	gw_arena_init(&arena, NULL, 0, 4 << 20);
	is_json = gw_json_check(&arena, rq->body, &gw_json_default_limits, &want, 1, &fault) == GW_OK;
	gw_arena_done(&arena);
	if (gw_h1_header(rq, GW_LIT("content-encoding"), NULL).n)
		reply_text(c, 415, GW_LIT("no\n"));
	else
		reply_text(c, is_json ? 200 : 400, rq->body);
}

static void on_request(void *ctx, struct gw_h1_conn *c, const struct gw_h1_request *rq)
{
	struct h1_app *app = ctx;
	struct gw_str p = rq->path;

	app->served++;
	if (gw_str_eq(p, GW_LIT("/")))
		root(c, rq);
	else if (gw_str_eq(p, GW_LIT("/echo")) && rq->method == GW_H1_POST)
		reply_text(c, 200, rq->body);
	else if (gw_str_eq(p, GW_LIT("/echo")))
		echo_head(c, rq);
	else if (gw_str_eq(p, GW_LIT("/cookie")))
		reply_text(c, 200, gw_h1_header(rq, GW_LIT("cookie"), NULL));
	else if (gw_str_eq(p, GW_LIT("/v1/models")))
		reply_text(c, 200, GW_LIT("{\"data\":[]}\n"));
	else if (gw_str_eq(p, GW_LIT("/v1/chat/completions")))
		chat(c, rq);
	else if (gw_str_eq(p, GW_LIT("/inject")))
		inject(c);
	else if (gw_str_eq(p, GW_LIT("/cut")))
		cut(c);
	else if (gw_str_eq(p, GW_LIT("/smuggled")))
		reply_text(c, 200, p);
	else if (gw_str_eq(p, GW_LIT("/slow")) || gw_str_eq(p, GW_LIT("/stream")) || gw_str_eq(p, GW_LIT("/hold")))
		later(app, c, rq);
	else
		reply_text(c, 404, GW_LIT("not here\n"));
}

static void on_gone(void *ctx, struct gw_h1_conn *c)
{
	struct h1_app *app = ctx;

	app->gone++;
	gw_h1_reply_cut(c);
}

static void on_drain(void *ctx, struct gw_h1_conn *c)
{
	struct h1_app *app = ctx;

	app->drained++;
	pump(gw_h1_user(c));
}

static void on_done(void *ctx, struct gw_h1_conn *c)
{
	struct h1_app *app = ctx;
	struct h1_job *j = gw_h1_user(c);

	app->done++;
	if (j)
		end_job(j);
}

static void on_bad(void *ctx, enum gw_err e, struct gw_str path, struct gw_buf *body)
{
	(void)ctx;
	(void)path;
	gw_buf_puts(body, GW_LIT("{\"error\":\""));
	gw_buf_puts(body, gw_str_z(gw_err_info(e)->code));
	gw_buf_puts(body, GW_LIT("\"}\n"));
}

const struct gw_h1_ops h1_app_ops = { on_head, on_request, on_gone, on_drain, on_done, on_bad, NULL, NULL };

struct gw_h1_conn *h1_app_held(struct h1_app *a)
{
	return a->held ? a->held->c : NULL;
}

void h1_app_empty(void *ctx)
{
	struct h1_app *app = ctx;

	app->empty++;
}
