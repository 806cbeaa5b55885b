/* The provider's answer, as it comes: head, pieces, end. Bytes go on to the client from here; what the steps must decide is stored
 * as an event and the engine is called. */
#include "core/error_body.h"
#include "core/price.h"
#include "lib/json_write.h"
#include "lib/sys/clock.h"
#include "worker/api.h"
#include "worker/guess.h"
#include "worker/talk.h"

/* Contiguous bytes of one upstream piece that pass unchanged: written to the client as one piece. */
struct run {
	struct gw_req *r;
	struct gw_str piece, pending;
};

static void fail_attempt(struct gw_req *r, enum gw_err e)
{
	if (r->at.up) {
		r->at.times = *gw_upstream_times(r->at.up);
		gw_upstream_cancel(r->at.up);
		r->at.up = NULL;
	}
	r->ev_end = true;
	r->up_err = e;
}

static struct gw_str header_of(const struct gw_up_reply *rep, struct gw_str name)
{
	for (uint32_t i = 0; i < rep->n_headers; i++)
		if (gw_str_ieq(rep->headers[i].name, name))
			return rep->headers[i].value;
	return GW_NIL;
}

static struct gw_str header_in(const void *from, struct gw_str name)
{
	return header_of(from, name);
}

static void read_retry_after(struct gw_req *r, const struct gw_up_reply *rep)
{
	struct gw_str ms = header_of(rep, GW_LIT("retry-after-ms")), text = header_of(rep, GW_LIT("retry-after"));

	if (ms.n || text.n)
		r->at.retry_after_ms = gw_retry_after_ms(text, ms, gw_unix_us() / 1000000);
	if (!r->at.retry_after_ms && rep->status >= 429)
		r->at.retry_after_ms = gw_retry_reset_ms(header_in, rep, gw_unix_us() / 1000000);
}

static void read_request_id(struct gw_req *r, const struct gw_up_reply *rep)
{
	struct gw_str id = GW_NIL;

	for (const char *const *name = gw_upstream_id_headers; *name && !id.n; name++)
		id = header_of(rep, gw_str_z(*name));
	if (id.n > 128)
		id.n = 128;
	r->at.upstream_request_id = gw_arena_str(&r->arena, id);
}

static bool is_type(struct gw_str value, struct gw_str want)
{
	size_t n = gw_str_find(value, ';');

	return gw_str_ieq(gw_str_trim(gw_str(value.p, n)), want);
}

static bool is_json_type(struct gw_str value)
{
	struct gw_str t = gw_str_trim(gw_str(value.p, gw_str_find(value, ';')));

	return t.n >= 4 && gw_str_ieq(gw_str_skip(t, t.n - 4), GW_LIT("json"));
}

static void begin_stream(struct gw_req *r)
{
	gw_sse_init(&r->sse, 1 << 20, 4 << 20);
	r->has_sse = true;
	r->said = gw_estimate_begin(gw_guess_family(r));
	r->shape.before_n = 0;
	r->at.is_sse = true;
	r->hold_until_ns = gw_recent_ns() + (uint64_t)r->plan.hold_ms * 1000000;
}

/* We ask for none; what comes packed all the same could be anything once it is unpacked. */
static bool is_packed(const struct gw_up_reply *rep)
{
	struct gw_str encoding = gw_str_trim(header_of(rep, GW_LIT("content-encoding")));

	return encoding.n > 0 && !gw_str_ieq(encoding, GW_LIT("identity"));
}

/* A stream is read event by event: each uses the same place. */
static bool begin_picks(struct gw_req *r, bool is_stream)
{
	if (is_stream)
		r->values = r->w->event_picks.values;
	else if (!gw_req_take_picks(r))
		return false;
	gw_json_scan_init(&r->scan, gw_usage_tree, r->values, GW_UP_PATHS);
	return true;
}

static void on_head(void *ctx, struct gw_up_req *q, const struct gw_up_reply *rep)
{
	struct gw_req *r = ctx;
	struct gw_str type = header_of(rep, GW_LIT("content-type"));

	(void)q;
	r->at.status = rep->status;
	r->at.is_reused = rep->is_reused;
	r->at.content_length = rep->content_length;
	read_request_id(r, rep);
	read_retry_after(r, rep);
	if (rep->status >= 400)
		r->at.error_type = gw_arena_str(&r->arena, header_of(rep, GW_LIT("x-amzn-errortype")));
	gw_buf_clear(&r->held, 16 << 10);
	if (!begin_picks(r, rep->status < 300 && r->chat.is_stream && is_type(type, GW_LIT("text/event-stream")))) {
		fail_attempt(r, GW_E_NOMEM);
		gw_req_run(r);
		return;
	}
	if (rep->status >= 400) { /* the body says more */
		if (r->api && gw_api_reply_head(r, rep, is_json_type(type)))
			r->content_type = gw_arena_str(&r->arena, type);
		return;
	}
	if (rep->status >= 300) {
		fail_attempt(r, GW_E_UP_REDIRECT);
	} else if (r->talk) {
		if (!is_packed(rep) && gw_talk_head(r, rep, type))
			return;
		fail_attempt(r, GW_E_UP_GARBLED);
	} else if (!r->api && is_packed(rep)) {
		fail_attempt(r, GW_E_UP_GARBLED);
	} else if (r->chat.is_stream && is_type(type, GW_LIT("text/event-stream"))) {
		begin_stream(r);
		return;
	} else if (r->api ? gw_api_reply_head(r, rep, is_json_type(type)) : is_json_type(type)) {
		r->content_type = gw_arena_str(&r->arena, type);
		return;
	} else {
		fail_attempt(r, GW_E_UP_GARBLED);
	}
	gw_req_run(r);
}

void gw_relay_send(struct gw_req *r, struct gw_str bytes)
{
	if (!r->conn || !bytes.n)
		return;
	r->bytes_out += bytes.n;
	r->chunks++;
	if (!gw_h1_reply_piece(r->conn, bytes) && r->at.up && !r->is_paused) {
		r->is_paused = true;
		gw_upstream_pause(r->at.up);
	}
}

static void flush(struct run *run)
{
	struct gw_str p = run->pending;

	run->pending = GW_NIL;
	gw_relay_send(run->r, p);
}

void gw_relay_release(struct gw_req *r)
{
	if (r->out != GW_OUT_NONE || !r->conn)
		return;
	gw_answer_start_stream(r, gw_talk_stream_type(r), -1);
	gw_relay_send(r, gw_buf_view(&r->held));
	gw_buf_clear(&r->held, 16 << 10);
}

static void keep_text(struct gw_req *r, struct gw_str *dst, const struct gw_scan_value *v)
{
	struct gw_str s = gw_scan_str(v);

	if (v->type == GW_JSON_STR && !gw_str_eq(s, *dst))
		*dst = gw_arena_str(&r->arena, s);
}

static void take_values(struct gw_req *r)
{
	uint64_t before = r->usage.output;

	gw_usage_take(&r->usage, r->values);
	if (r->usage.output > before)
		gw_guess_told(r);
	keep_text(r, &r->response_model, &r->values[GW_UP_MODEL]);
	keep_text(r, &r->finish_reason, &r->values[GW_UP_FINISH]);
}

/* An error object inside a 200 stream: classified by its code and type, told in our words. */
enum gw_err gw_relay_error_event(struct gw_req *r, int status, struct gw_str json)
{
	struct gw_str secrets[GW_REQ_SECRETS];
	struct gw_upstream_error ue = { 0 };

	gw_upstream_error_read(&r->arena, status ? status : 200, json, GW_NIL, GW_NIL, secrets,
			       gw_req_secrets(r, secrets), &ue);
	r->at.detail = ue.message;
	r->at.told = ue;
	r->at.said = ue.code.n ? ue.code : ue.type;
	if (!r->at.upstream_request_id.n)
		r->at.upstream_request_id = ue.request_id;
	if (!r->at.retry_after_ms)
		r->at.retry_after_ms = ue.retry_after_ms;
	r->saw_error_event = true;
	return ue.err ? ue.err : GW_E_UP_SERVER;
}

static void pass(struct run *run, struct gw_str raw)
{
	struct gw_req *r = run->r;

	if (r->out == GW_OUT_NONE && gw_buf_len(&r->held) + raw.n <= GW_HELD_REPLY_MAX) {
		gw_buf_puts(&r->held, raw);
		return;
	}
	gw_relay_release(r); /* more than we hold: let it go, this too */
	bool is_inside = raw.p >= run->piece.p && raw.p + raw.n <= run->piece.p + run->piece.n;
	if (run->pending.n && is_inside && run->pending.p + run->pending.n == raw.p) {
		run->pending.n += raw.n;
		return;
	}
	flush(run);
	if (is_inside)
		run->pending = raw;
	else
		gw_relay_send(r, raw);
}

static void on_event(void *ctx, const struct gw_sse_event *ev)
{
	struct run *run = ctx;
	struct gw_req *r = run->r;
	struct gw_chat_event ce = { 0 };
	struct gw_buf *scratch = &r->w->pack;

	if (r->ev_end || r->saw_done)
		return; /* after the end nothing counts */
	gw_buf_clear(scratch, 64 << 10);
	enum gw_err e = r->api ? gw_api_event(r->endpoint->usage, ev, r->chat.wants_usage, r->values, scratch, &ce)
			       : gw_chat_event(ev, r->chat.wants_usage, &r->shape, r->values, scratch, &ce);

	if (e) {
		fail_attempt(r, GW_E_UP_GARBLED);
		return;
	}
	if (ce.kind == GW_EV_ERROR) {
		flush(run);
		if (ce.has_values)
			take_values(r); /* what failed may have cost something all the same */
		fail_attempt(r, gw_relay_error_event(r, 200, ev->data));
		return;
	}
	if (ce.said.n)
		gw_guess_said(r, ce.said);
	r->n_events += ev->has_data;
	if (ce.has_values)
		take_values(r);
	if (ce.kind == GW_EV_DONE) {
		r->saw_done = true;
		r->done_ns = gw_recent_ns();
		flush(run);
		r->tail = gw_arena_str(&r->arena, ev->raw);
		return;
	}
	if (ce.kind == GW_EV_PASS)
		pass(run, ev->raw);
	else if (ce.kind == GW_EV_EDIT)
		pass(run, ce.edited); /* lies outside the piece: leaves at once */
	if (ce.has_content && !r->saw_content) {
		r->saw_content = true;
		r->first_content_ns = gw_recent_ns();
		flush(run);
		gw_relay_release(r);
	}
}

static void stream_piece(struct gw_req *r, struct gw_str piece)
{
	struct run run = { r, piece, GW_NIL };
	enum gw_err e = gw_sse_feed(&r->sse, piece.p, piece.n, on_event, &run);

	flush(&run);
	if (e && !r->ev_end)
		fail_attempt(r, GW_E_UP_TOO_BIG);
	if (r->ev_end)
		gw_req_run(r);
}

/* Some providers end the stream without the empty line behind its last event. What is whole all the same counts: [DONE], or an object that
 * closes; anything else stays what it is, a cut. */
static void end_stream(struct gw_req *r)
{
	struct run run = { r, GW_NIL, GW_NIL };
	enum gw_err e = gw_sse_end(&r->sse, on_event, &run);
	struct gw_str rest = gw_sse_rest(&r->sse);
	char last;

	while (rest.n && (rest.p[rest.n - 1] == '\n' || rest.p[rest.n - 1] == '\r'))
		rest.n--;
	last = rest.n ? rest.p[rest.n - 1] : 0;
	if (!e && gw_sse_is_pending(&r->sse) && (last == '}' || last == ']'))
		e = gw_sse_feed(&r->sse, "\n\n", 2, on_event, &run);
	flush(&run);
	if (r->ev_end && !r->saw_error_event)
		r->up_err = GW_E_UP_CUT; /* it only looked whole */
	else if (e && !r->ev_end)
		r->up_err = GW_E_UP_TOO_BIG;
}

/* A whole reply is held while small; a large one goes through, one piece behind, so that END can precede its last byte. */
static void whole_piece(struct gw_req *r, struct gw_str piece)
{
	gw_json_scan_feed(&r->scan, piece.p, piece.n);
	if (!r->first_content_ns)
		r->first_content_ns = gw_recent_ns();
	if (r->out == GW_OUT_NONE && gw_buf_len(&r->held) + piece.n <= GW_HELD_REPLY_MAX) {
		gw_buf_puts(&r->held, piece);
		return;
	}
	if (r->out == GW_OUT_NONE) {
		gw_guess_sample(r, gw_buf_view(&r->held));
		gw_answer_start_stream(r, r->content_type, r->at.content_length);
	}
	gw_relay_send(r, gw_buf_view(&r->held));
	gw_buf_clear(&r->held, 16 << 10);
	gw_buf_puts(&r->held, piece);
}

static void on_body(void *ctx, struct gw_up_req *q, struct gw_str piece)
{
	struct gw_req *r = ctx;

	(void)q;
	if (r->at.status >= 400) {
		size_t room = GW_ERROR_BODY_MAX - gw_buf_len(&r->held);

		gw_buf_put(&r->held, piece.p, piece.n < room ? piece.n : room);
		if (piece.n >= room) {
			fail_attempt(r, GW_OK);
			gw_req_run(r);
		}
	} else if (r->talk) {
		enum gw_err e = r->ev_end ? GW_OK : gw_talk_piece(r, piece);

		if (!e)
			return;
		fail_attempt(r, e);
		gw_req_run(r);
	} else if (r->at.is_sse) {
		stream_piece(r, piece);
	} else if (r->api && !r->api->is_json) {
		gw_api_relay_piece(r, piece);
	} else {
		whole_piece(r, piece);
	}
}

static void on_end(void *ctx, struct gw_up_req *q, enum gw_err err, struct gw_str detail)
{
	struct gw_req *r = ctx;

	r->at.times = *gw_upstream_times(q);
	r->at.up = NULL;
	if (!err && r->at.is_sse && !r->talk && r->at.status < 300 && !r->ev_end && !r->saw_done)
		end_stream(r); /* may find an error event, whose error then stays */
	if (!r->ev_end)
		r->up_err = err ? err : r->up_err;
	r->ev_end = true;
	if (err == GW_E_UP_STALE)
		r->at.is_reused = true; /* there was no head to say it */
	if (err && detail.n && !r->at.detail.n)
		r->at.detail = gw_scrub(&r->arena, detail, NULL, 0);
	gw_req_run(r);
}

const struct gw_up_ops gw_relay_ops = { on_head, on_body, on_end };

void gw_relay_drop_attempt(struct gw_req *r)
{
	if (!r->at.up)
		return;
	r->at.times = *gw_upstream_times(r->at.up);
	gw_upstream_cancel(r->at.up);
	r->at.up = NULL;
}

static void note_usage(struct gw_req *r, struct gw_json_out *w)
{
	struct gw_str version;
	struct gw_cost cost;

	gw_account_price(r, &cost, &version);
	gw_jw_ku64(w, "tokens_input", r->usage.input);
	gw_jw_ku64(w, "tokens_output", r->usage.output);
	if (cost.is_known)
		gw_jw_ku64(w, "cost_nanousd", (uint64_t)cost.total);
}

void gw_relay_note_attempt(struct gw_req *r)
{
	const struct gw_candidate *c = &r->plan.candidates[r->at.candidate];
	struct gw_json_out w;
	struct gw_str before = gw_buf_view(&r->attempt_log);

	if (before.n > 2048)
		return; /* the first attempts tell the story */
	if (before.n)
		gw_buf_putc(&r->attempt_log, ',');
	gw_jw_init(&w, &r->attempt_log);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "deployment", c->deployment);
	gw_jw_ku64(&w, "status", (uint64_t)r->at.status);
	if (r->at.err)
		gw_jw_kstr(&w, "error", gw_str_z(gw_err_info(r->at.err)->name));
	gw_jw_ku64(&w, "ms", r->at.begun_ns ? (gw_now_ns() - r->at.begun_ns) / 1000000 : 0);
	if (r->at.upstream_request_id.n)
		gw_jw_kstr(&w, "upstream_request_id", r->at.upstream_request_id);
	if (r->usage.is_known)
		note_usage(r, &w);
	gw_jw_end_obj(&w);
}
