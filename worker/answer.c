/* What goes back to the client: heads, whole answers, the end of a stream. */
#include "worker/api.h"
#include "worker/talk.h"

enum { HEADERS_MAX = 20 };

struct heads {
	struct gw_h1_header v[HEADERS_MAX];
	uint32_t n;
};

static void add(struct heads *h, struct gw_str name, struct gw_str value)
{
	if (h->n < HEADERS_MAX && value.n)
		h->v[h->n++] = (struct gw_h1_header){ name, value };
}

/* Decimal by hand: printf costs more than the rest of the head. */
static void add_u64(struct gw_req *r, struct heads *h, struct gw_str name, uint64_t v)
{
	char text[20];
	size_t at = sizeof text;

	do {
		text[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	add(h, name, gw_arena_str(&r->arena, gw_str(text + at, sizeof text - at)));
}

/* Retry advice that official SDKs obey: wait times on 429 and 503, and "do not" after our own tries are used up. */
static void add_retry(struct gw_req *r, struct heads *h)
{
	int http = gw_err_info(r->err)->http;

	if (!r->err || (http != 429 && http < 500))
		return;
	if (http == 429 || http == 503) {
		uint64_t ms = r->at.retry_after_ms ? r->at.retry_after_ms : 1000;

		if (ms > 60000)
			ms = 60000; /* above that SDKs ignore it or stop for good */
		add_u64(r, h, GW_LIT("retry-after"), (ms + 999) / 1000);
		add_u64(r, h, GW_LIT("retry-after-ms"), ms);
	}
	if (r->attempts)
		add(h, GW_LIT("x-should-retry"), http == 429 ? GW_LIT("true") : GW_LIT("false"));
}

static void common(struct gw_req *r, struct heads *h)
{
	add(h, GW_LIT("x-request-id"), gw_str(r->id_text, sizeof r->id_text));
	if (r->at.candidate >= 0)
		add(h, GW_LIT("x-llmgw-deployment"), r->plan.candidates[r->at.candidate].deployment);
	if (r->attempts)
		add_u64(r, h, GW_LIT("x-llmgw-attempts"), r->attempts);
	if (r->rec.generation)
		add_u64(r, h, GW_LIT("x-llmgw-generation"), r->rec.generation);
	add(h, GW_LIT("x-llmgw-upstream-request-id"), r->at.upstream_request_id);
	if (r->dropped.n)
		add(h, GW_LIT("x-llmgw-dropped"), r->dropped);
	if (r->endpoint->dialect == GW_D_ANTHROPIC)
		add(h, GW_LIT("request-id"), gw_str(r->id_text, sizeof r->id_text)); /* where that SDK looks */
	else if (r->endpoint->dialect == GW_D_BEDROCK)
		add(h, GW_LIT("x-amzn-requestid"), gw_str(r->id_text, sizeof r->id_text));
	for (uint32_t i = 0; r->api && !r->err && i < r->api->n_back; i++)
		add(h, r->api->back[i].name, r->api->back[i].value);
}

/* Server-Timing (W3C): the steps so far and, when they are known, the provider's part and all of it, in milliseconds. */
static void add_timing(struct gw_req *r, struct heads *h, bool is_whole)
{
	struct gw_buf b;

	if (!r->wants_timing && !(r->plan.server_timing && r->plan.n_candidates))
		return;
	gw_buf_init(&b, 1024);
	for (int i = 0; i < GW_STEP_end; i++)
		if (r->step_ns[i])
			gw_buf_printf(&b, "%s;dur=%.3f, ", gw_steps[i].name, (double)r->step_ns[i] / 1e6);
	if (is_whole && r->rec.upstream_us)
		gw_buf_printf(&b, "upstream;dur=%.3f, ", (double)r->rec.upstream_us / 1e3);
	if (is_whole && r->rec.total_us)
		gw_buf_printf(&b, "gateway;dur=%.3f, total;dur=%.3f, ", (double)r->rec.overhead_us / 1e3,
			      (double)r->rec.total_us / 1e3);
	if (gw_buf_len(&b) > 2 && !b.err)
		add(h, GW_LIT("server-timing"), gw_arena_str(&r->arena, gw_str(b.p, b.n - 2)));
	gw_buf_done(&b);
}

void gw_answer_whole(struct gw_req *r, struct gw_str content_type, struct gw_str body)
{
	r->whole_type = content_type;
	r->whole_body = body;
	r->bytes_out = body.n;
}

void gw_answer_start_stream(struct gw_req *r, struct gw_str content_type, int64_t content_length)
{
	struct heads h = { .n = 0 };

	GW_REQUIRE(r->out == GW_OUT_NONE && r->conn);
	common(r, &h);
	add_timing(r, &h, false);
	if (r->at.is_sse) {
		add(&h, GW_LIT("cache-control"), GW_LIT("no-cache"));
		add(&h, GW_LIT("x-accel-buffering"), GW_LIT("no"));
	}
	struct gw_h1_answer a = { .status = r->at.status,
				  .headers = h.v,
				  .n_headers = h.n,
				  .content_type = content_type,
				  .content_length = content_length };
	r->status = r->at.status;
	r->out = GW_OUT_STREAMING;
	r->w->n_streams++;
	gw_h1_reply_start(r->conn, &a);
}

static void deliver_whole(struct gw_req *r)
{
	struct heads h = { .n = 0 };

	common(r, &h);
	add_timing(r, &h, true);
	add_retry(r, &h);
	if (r->rec.is_estimated)
		add(&h, GW_LIT("x-llmgw-estimated"), GW_LIT("1"));
	if (r->plan.server_timing && r->plan.n_candidates) {
		add_u64(r, &h, GW_LIT("x-llmgw-overhead-us"), r->rec.overhead_us);
		if (!r->rec.is_unpriced)
			add(&h, GW_LIT("x-llmgw-cost-usd"),
			    gw_arena_printf(&r->arena, "%lld.%09lld", (long long)(r->rec.cost_nanousd / 1000000000),
					    (long long)(r->rec.cost_nanousd % 1000000000)));
	}
	struct gw_h1_answer a = { .status = r->status,
				  .headers = h.v,
				  .n_headers = h.n,
				  .content_type = r->whole_type,
				  .content_length = (int64_t)r->whole_body.n };
	gw_h1_reply(r->conn, &a, r->whole_body);
}

void gw_answer_deliver(struct gw_req *r)
{
	struct gw_h1_conn *c = r->conn;

	if (r->out == GW_OUT_STREAMING)
		r->w->n_streams--;
	if (c) {
		/* From here on the connection's events are no longer this request's. */
		gw_h1_set_user(c, NULL);
		if (r->out != GW_OUT_STREAMING) {
			deliver_whole(r);
		} else {
			if (r->tail.n)
				gw_h1_reply_piece(c, r->tail);
			if (r->err)
				gw_h1_reply_cut(c);
			else
				gw_h1_reply_end(c);
		}
	}
	r->conn = NULL;
	r->out = GW_OUT_DONE;
}
