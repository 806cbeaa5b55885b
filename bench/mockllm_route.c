/* Which answer a request gets. */
#include "bench/mockllm.h"
#include "lib/json_write.h"

static bool ends_with(struct gw_str s, struct gw_str tail)
{
	return s.n >= tail.n && gw_str_eq(gw_str(s.p + s.n - tail.n, tail.n), tail);
}

static bool has_key(const struct mock_conn *c)
{
	struct gw_str want = gw_str_z(mock_options.require_key), got = c->rq.authorization;

	if (!mock_options.require_key)
		return true;
	if (gw_str_has_prefix(got, GW_LIT("Bearer ")) && gw_str_eq(gw_str_skip(got, 7), want))
		return true;
	return gw_str_eq(c->rq.api_key, want);
}

static void put_model(struct gw_buf *b, struct gw_str id)
{
	gw_buf_puts(b, GW_LIT("{\"id\":"));
	gw_json_quote(b, id);
	gw_buf_puts(b, GW_LIT(",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"mockllm\"}"));
}

static void models(struct mock_conn *c)
{
	gw_buf_clear(&c->body, 65536);
	gw_buf_puts(&c->body, GW_LIT("{\"object\":\"list\",\"data\":["));
	put_model(&c->body, GW_LIT("demo"));
	gw_buf_putc(&c->body, ',');
	put_model(&c->body, GW_LIT("mock-paced"));
	gw_buf_puts(&c->body, GW_LIT("]}"));
	mock_whole(c, 200, "application/json", gw_buf_view(&c->body), "");
}

static void model(struct mock_conn *c, struct gw_str id)
{
	if (memmem(id.p, id.n, "missing", 7)) {
		mock_error(c, 404, "invalid_request_error", "model_not_found", "The model does not exist", "");
		return;
	}
	gw_buf_clear(&c->body, 65536);
	put_model(&c->body, id);
	mock_whole(c, 200, "application/json", gw_buf_view(&c->body), "");
}

static void status_fault(struct mock_conn *c)
{
	static const struct {
		int status;
		const char *type, *code, *message;
	} rows[] = {
		{ 400, "invalid_request_error", "invalid_value", "Invalid value for 'temperature'" },
		{ 401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided" },
		{ 403, "permission_error", "permission_denied", "You are not allowed to use this model" },
		{ 404, "invalid_request_error", "model_not_found", "The model does not exist" },
		{ 503, "server_error", "overloaded", "The server is overloaded" },
		{ 529, "overloaded_error", "overloaded", "Overloaded" },
	};
	int status = c->fault->status;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].status == status) {
			mock_error(c, status, rows[i].type, rows[i].code, rows[i].message, "");
			return;
		}
	}
	mock_error(c, status, status < 500 ? "invalid_request_error" : "server_error", "mock_error",
		   "A scripted failure", "");
}

void mock_fault_now(struct mock_conn *c)
{
	if (c->fault->start)
		c->fault->start(c);
	else
		status_fault(c);
}

static void chat_now(struct mock_conn *c)
{
	if (!c->fault)
		mock_chat_start(c);
	else
		mock_fault_now(c);
}

static void chat(struct mock_conn *c)
{
	atomic_fetch_add_explicit(&mock_counts.chat, 1, memory_order_relaxed);
	if (!mock_chat_read(c)) {
		mock_error(c, 400, "invalid_request_error", "invalid_json",
			   "We could not parse the JSON body of your request.", "");
		return;
	}
	if (!c->fault && strstr(c->chat.model, "mock-paced") && c->tune.chunk_ms == 0)
		c->tune.chunk_ms = 20;
	if (c->tune.delay_ms > 0) {
		c->step = chat_now;
		c->wait_ms = c->tune.delay_ms;
		return;
	}
	chat_now(c);
}

static void route(struct mock_conn *c)
{
	struct gw_str path = c->rq.path, models_path = GW_LIT("/models/");
	const char *at;

	if (gw_str_has_prefix(path, GW_LIT("/mock/"))) {
		mock_control(c);
		return;
	}
	atomic_fetch_add_explicit(&mock_counts.requests, 1, memory_order_relaxed);
	mock_journal(c);
	if (!has_key(c)) {
		mock_error(c, 401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided.", "");
		return;
	}
	if (mock_play(c))
		return;
	if (gw_str_eq(c->rq.method, GW_LIT("POST")) && ends_with(path, GW_LIT("/chat/completions"))) {
		chat(c);
		return;
	}
	at = path.n ? memmem(path.p, path.n, models_path.p, models_path.n) : NULL;
	if (gw_str_eq(c->rq.method, GW_LIT("GET")) && ends_with(path, GW_LIT("/models")))
		models(c);
	else if (gw_str_eq(c->rq.method, GW_LIT("GET")) && at)
		model(c, gw_str_skip(path, (size_t)(at - path.p) + models_path.n));
	else if (!mock_endpoint(c))
		mock_error(c, 404, "invalid_request_error", "unknown_url", "Unknown request URL", "");
}

void mock_answer(struct mock_conn *c)
{
	c->step = route;
}

static void start_early(struct mock_conn *c)
{
	c->fault->start(c);
}

static void continue_100(struct mock_conn *c)
{
	gw_buf_puts(&c->out, GW_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
}

void mock_answer_head(struct mock_conn *c)
{
	char name[64] = "";

	c->step = NULL;
	if (gw_str_eq(c->rq.fault, GW_LIT("early")) || gw_str_eq(c->rq.fault, GW_LIT("early-response")) ||
	    mock_rule_take(GW_NIL, name, sizeof(name))) {
		c->fault = mock_fault_find(GW_LIT("early"));
		c->step = start_early;
	} else if (c->rq.wants_continue) {
		continue_100(c);
	}
}
