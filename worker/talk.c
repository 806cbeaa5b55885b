/* Conversations between dialects (talk.h). */
#include "worker/talk.h"

#include "core/dialect/anthropic/endpoints.h"
#include "core/dialect/text.h"
#include "core/error_body.h"
#include "core/provider.h"
#include "lib/json.h"
#include "lib/sys/clock.h"
#include "lib/url.h"
#include "worker/api.h"
#include "worker/guess.h"
#include "worker/home.h"
#include "worker/moves.h"
#include "worker/single.h"

static const struct gw_dialect *client_of(const struct gw_req *r)
{
	return r->endpoint->usage == GW_EPU_TEXT ? &gw_text : gw_dialect_of(r->endpoint->dialect);
}

/* Chat to chat and responses to those who have them pass as bytes, by code that knows them by heart. */
bool gw_talk_is_needed(const struct gw_req *r, const struct gw_candidate *c)
{
	const struct gw_provider *p = &gw_providers[c->provider_type];
	enum gw_dialect_id client = r->endpoint->dialect;

	if (r->api && gw_single_of(r, c))
		return true;
	if (r->endpoint->usage == GW_EPU_TEXT) /* those who have them are asked for text completions as they are */
		return (p->dialect_id != GW_D_OPENAI && p->dialect_id != GW_D_RESPONSES) ||
		       p->quirks & GW_Q_NO_COMPLETIONS;
	if (client == GW_D_NONE)
		return false;
	if (client == GW_D_OPENAI && p->dialect_id == GW_D_OPENAI)
		return (p->quirks & GW_Q_EDITED) != 0;
	return !(client == GW_D_RESPONSES && p->dialect_id == GW_D_OPENAI && !(p->quirks & GW_Q_NO_RESPONSES));
}

/* ---- to the provider ---- */

static enum gw_framing framing_of(const struct gw_req *r, const struct gw_dialect *client)
{
	struct gw_str alt;

	if (!client)
		return GW_FRAMING_SSE;
	if (client->id == GW_D_GEMINI &&
	    !(gw_query_get(r->api->query, GW_LIT("alt"), &alt) && gw_str_eq(alt, GW_LIT("sse"))))
		return GW_FRAMING_ARRAY;
	return gw_api_is_invoked(r) ? GW_FRAMING_AWS : client->framing;
}

static void fill_carry(struct gw_req *r, struct gw_talk *t)
{
	t->carry = (struct gw_carry){
		.model = r->chat.model,
		.request_id = gw_str(r->id_text, sizeof(r->id_text)),
		.now_s = gw_unix_recent_us() / 1000000,
		.is_stream = r->chat.is_stream,
		.wants_usage = r->chat.wants_usage,
		.framing = framing_of(r, t->client),
		.wants_reasoning_text = true,
		.asked = r->body,
		.family = gw_guess_family(r),
	};
	memcpy(&t->carry.seed, r->id + 8, sizeof(t->carry.seed));
}

static struct gw_talk *begin(struct gw_req *r, const struct gw_candidate *c)
{
	struct gw_talk *t = GW_NEW(&r->arena, struct gw_talk);

	if (!t)
		return NULL;
	t->provider = gw_dialect_of(gw_providers[c->provider_type].dialect_id);
	t->client = client_of(r);
	t->single = r->api ? gw_single_of(r, c) : NULL;
	if (!t->provider || (!t->client && !t->single))
		return NULL;
	fill_carry(r, t);
	t->is_same = t->provider == t->client && (!r->chat.is_stream || t->carry.framing == t->client->framing);
	gw_arena_init(&t->arena, NULL, 0, (1 << 20) + GW_TALK_BODY_FACTOR * r->body.n);
	gw_buf_init(&t->body, (1 << 20) + 4 * r->body.n);
	gw_buf_init(&t->echo, (1 << 20) + 4 * r->body.n);
	gw_buf_init(&t->in, GW_TALK_REPLY_MAX);
	gw_buf_init(&t->out, 4 * GW_TALK_REPLY_MAX);
	return t;
}

static enum gw_err translate(struct gw_req *r, const struct gw_candidate *c, struct gw_talk *t)
{
	const struct gw_provider *p = &gw_providers[c->provider_type];
	struct gw_translate_in in = {
		.from = t->client,
		.to = t->provider,
		.body = r->body,
		.is_checked = true,
		.path_model = r->endpoint->model == GW_EPM_IN_PATH ? &r->chat.model : NULL,
		.is_stream = r->chat.is_stream,
		.wants_needs = r->at.equals != 0,
		.opts = { .model = c->upstream_model,
			  .quirks = p->quirks,
			  .default_max_tokens = 4096,
			  .carry = &t->carry,
			  .needs_usage = true },
		.echo = &t->echo,
	};
	struct gw_translate_out out = { .body = &t->body };
	enum gw_err e = gw_translate_request(&t->arena, &r->arena, &in, &out);

	if (e) {
		r->err_param = out.param;
		r->at.detail = out.why;
		if (e != GW_E_NOMEM)
			gw_moves_refused(r, out.is_unread);
		return e;
	}
	if (t->echo.err)
		return t->echo.err == GW_E_TOO_BIG ? GW_E_TOO_BIG : GW_E_NOMEM;
	t->carry.echo = gw_buf_view(&t->echo);
	gw_arena_reset(&t->arena, (struct gw_mark){ 0 });
	if (out.dropped.n && !r->is_strict && gw_moves_is_set_aside(r, &out.needs)) {
		r->at.left_out = out.dropped;
		return GW_E_INVALID;
	}
	return gw_home_dropped(r, out.dropped);
}

static enum gw_err body_of(struct gw_req *r, const struct gw_candidate *c, struct gw_talk *t, struct gw_str pieces[8],
			   uint32_t *n)
{
	enum gw_err e = GW_OK;

	*n = 1;
	if (t->is_same && r->api && !t->single && !gw_api_is_wrapped(r)) {
		e = gw_home_body(r, c, t->client, &pieces[0]);
		if (!e && !pieces[0].p)
			e = gw_api_splice(&r->arena, r->endpoint, r->body, &r->chat, c->upstream_model, pieces, n);
		return e;
	}
	if (!t->single)
		e = translate(r, c, t);
	pieces[0] = gw_buf_view(&t->body);
	return e;
}

/* The body, for a question with one answer; its path. */
static struct gw_str write_single(struct gw_req *r, const struct gw_candidate *c, struct gw_talk *t, enum gw_err *e)
{
	struct gw_str path = GW_NIL;
	struct gw_buf b;

	gw_buf_init(&b, 4096);
	gw_buf_clear(&t->body, SIZE_MAX);
	*e = t->single->write(r, c, t, &b);
	if (*e && *e != GW_E_NOMEM && !t->n_calls)
		gw_moves_refused(r, false);
	if (!*e)
		*e = gw_home_dropped(r, t->dropped);
	if (!*e)
		path = b.err ? GW_NIL : gw_arena_str(&r->arena, gw_buf_view(&b));
	gw_buf_done(&b);
	return path;
}

static struct gw_str path_of(struct gw_req *r, const struct gw_candidate *c, const struct gw_talk *t)
{
	struct gw_path_in in = { c->base_path, c->upstream_model, r->chat.is_stream };
	struct gw_str path;
	struct gw_buf b;

	gw_buf_init(&b, 4096);
	if (t->provider->id == GW_D_OPENAI)
		gw_provider_path(&gw_providers[c->provider_type], c->base_path, c->upstream_model, c->api_version,
				 GW_LIT("/chat/completions"), GW_NIL, &b);
	else
		t->provider->write_path(&in, &b);
	path = b.err ? GW_NIL : gw_arena_str(&r->arena, gw_buf_view(&b));
	gw_buf_done(&b);
	return path;
}

static bool is_given(const struct gw_up_header *h, uint32_t n, struct gw_str name)
{
	for (uint32_t i = 0; i < n; i++) {
		if (gw_str_ieq(h[i].name, name))
			return true;
	}
	return false;
}

/* What the provider's dialect wants beside the key; the client's own words for it when it speaks the same. */
static uint32_t headers_of(const struct gw_req *r, const struct gw_talk *t, struct gw_up_header h[GW_API_PASS + 1])
{
	uint32_t n = 0;

	for (uint32_t i = 0; t->provider == t->client && r->api && i < r->api->n_pass; i++)
		h[n++] = r->api->pass[i];
	if (t->provider->id == GW_D_ANTHROPIC && !is_given(h, n, GW_LIT("anthropic-version")))
		h[n++] = (struct gw_up_header){ GW_LIT("anthropic-version"), GW_LIT("2023-06-01") };
	return n < GW_API_PASS ? n : GW_API_PASS;
}

static enum gw_err send_call(struct gw_req *r, const struct gw_candidate *c, struct gw_talk *t)
{
	struct gw_up_header h[GW_API_PASS + 1];
	struct gw_str *pieces = GW_NEW_N(&r->arena, struct gw_str, 8), path = GW_NIL;
	enum gw_err e = GW_OK;
	uint32_t n = 0;

	if (!pieces)
		return GW_E_NOMEM;
	if (t->single)
		path = write_single(r, c, t, &e);
	if (!e)
		e = body_of(r, c, t, pieces, &n);
	if (e)
		return e;
	if (!t->single)
		path = path_of(r, c, t);
	if (!path.p)
		return GW_E_NOMEM;
	struct gw_send_more more = {
		.method = GW_LIT("POST"),
		.content_type = GW_LIT("application/json"),
		.accept = !r->chat.is_stream || t->single          ? GW_LIT("application/json")
			  : t->provider->framing == GW_FRAMING_AWS ? GW_LIT("application/vnd.amazon.eventstream")
								   : GW_LIT("text/event-stream"),
		.pass = h,
		.n_pass = headers_of(r, t, h),
	};
	t->n_calls++;
	return gw_send_with(r, c, path, pieces, n, &more);
}

enum gw_err gw_talk_dispatch(struct gw_req *r, const struct gw_candidate *c)
{
	if (r->talk && gw_talk_goes_on(r)) {
		gw_buf_clear(&r->talk->in, GW_TALK_REPLY_MAX);
		return send_call(r, c, r->talk);
	}
	gw_talk_done(r);
	r->talk = begin(r, c);
	return r->talk ? send_call(r, c, r->talk) : GW_E_NOMEM;
}

bool gw_talk_goes_on(const struct gw_req *r)
{
	return r->talk && r->talk->single && r->talk->n_calls > 1;
}

/* ---- what comes back ---- */

static bool is_type(struct gw_str value, struct gw_str want)
{
	return gw_str_ieq(gw_str_trim(gw_str(value.p, gw_str_find(value, ';'))), want);
}

bool gw_talk_head(struct gw_req *r, const struct gw_up_reply *rep, struct gw_str content_type)
{
	struct gw_talk *t = r->talk;
	struct gw_str want = t->provider->framing == GW_FRAMING_AWS ? GW_LIT("application/vnd.amazon.eventstream")
								    : GW_LIT("text/event-stream");

	(void)rep;
	if (!r->chat.is_stream || t->single || is_type(content_type, GW_LIT("application/json")))
		return is_type(content_type,
			       GW_LIT("application/json")); /* instead of a stream: an error, most likely */
	if (!is_type(content_type, want) ||
	    gw_translate_open(&t->stream, t->provider, t->is_same ? NULL : t->client, &t->carry))
		return false;
	t->is_open = true;
	r->at.is_sse = true;
	r->hold_until_ns = gw_recent_ns() + (uint64_t)r->plan.hold_ms * 1000000;
	return true;
}

static void take_told(struct gw_req *r, const struct gw_told *told)
{
	if (told->usage.is_known)
		r->usage = told->usage;
	if (told->model.n && !gw_str_eq(told->model, r->response_model))
		r->response_model = gw_arena_str(&r->arena, told->model);
	r->finish_reason = told->finish;
}

static enum gw_err after_feed(struct gw_req *r, struct gw_talk *t, enum gw_err e)
{
	take_told(r, &t->stream.told);
	if (e)
		return t->stream.error_json.p ? gw_relay_error_event(r, t->stream.error_status, t->stream.error_json)
					      : e;
	if (t->stream.has_ended && !r->saw_done) {
		r->saw_done = true;
		r->done_ns = gw_recent_ns();
	}
	return GW_OK;
}

/* Bedrock's wrapping of what was written. */
static enum gw_err wrap(struct gw_req *r, struct gw_talk *t)
{
	struct gw_buf plain = t->out;

	if (!gw_api_is_invoked(r) || !gw_buf_len(&plain))
		return GW_OK;
	gw_buf_clear(&t->in, 64 << 10);
	anthropic_invoke_chunks(gw_buf_view(&plain), &t->in);
	t->out = t->in;
	t->in = plain;
	return t->out.err;
}

/* Held until the first content; then at once. What comes with the end leaves after the record. */
static void pass(struct gw_req *r, struct gw_str bytes)
{
	struct gw_talk *t = r->talk;

	if (t->stream.has_content && !r->saw_content) {
		r->saw_content = true;
		r->first_content_ns = gw_recent_ns();
	}
	if (r->saw_done) {
		if (bytes.p != t->out.p) { /* passed: the piece is gone when the record is written */
			gw_buf_puts(&t->out, bytes);
			bytes = gw_buf_view(&t->out);
		}
		r->tail = bytes;
		if (r->saw_content)
			gw_relay_release(r);
		return;
	}
	if (r->out == GW_OUT_NONE && !r->saw_content && gw_buf_len(&r->held) + bytes.n <= GW_HELD_REPLY_MAX) {
		gw_buf_puts(&r->held, bytes);
		return;
	}
	gw_relay_release(r);
	gw_relay_send(r, bytes);
}

static enum gw_err stream_piece(struct gw_req *r, struct gw_talk *t, struct gw_str piece)
{
	enum gw_err e;

	if (r->saw_done)
		return GW_OK; /* after the end nothing counts */
	gw_buf_clear(&t->out, 64 << 10);
	e = after_feed(r, t, gw_translate_feed(&t->stream, piece, &t->out));
	if (!t->is_same && wrap(r, t))
		return GW_E_NOMEM;
	if (!e)
		t->seq = t->stream.in.seq;
	if (t->is_same ? !e : gw_buf_len(&t->out) > 0)
		pass(r, t->is_same ? piece : gw_buf_view(&t->out));
	return e;
}

enum gw_err gw_talk_piece(struct gw_req *r, struct gw_str piece)
{
	struct gw_talk *t = r->talk;

	if (t->is_open)
		return stream_piece(r, t, piece);
	if (!r->first_content_ns)
		r->first_content_ns = gw_recent_ns();
	gw_buf_puts(&t->in, piece);
	return t->in.err == GW_E_TOO_BIG ? GW_E_UP_TOO_BIG : t->in.err;
}

static enum gw_err end_of_stream(struct gw_req *r, struct gw_talk *t)
{
	enum gw_err e;

	if (r->saw_done)
		return GW_OK; /* however the connection ends */
	if (r->up_err)
		return r->up_err;
	gw_buf_clear(&t->out, 64 << 10);
	e = after_feed(r, t, gw_translate_end(&t->stream, &t->out));
	if (!e && t->is_same && t->client->id == GW_D_OPENAI)
		gw_buf_puts(&t->out,
			    GW_LIT("\ndata: [DONE]\n\n")); /* a vendor that leaves it out: clients wait for it */
	if (!e)
		e = wrap(r, t);
	if (!e)
		pass(r, gw_buf_view(&t->out));
	return e;
}

/* A call of several went well, the next one follows: an attempt of its own that is no retry. */
static void part_done(struct gw_req *r)
{
	const struct gw_candidate *c = &r->plan.candidates[r->at.candidate];
	const struct gw_up_times *times = &r->at.times;
	uint64_t from = times->sent_ns ? times->sent_ns : times->queued_ns;

	gw_relay_note_attempt(r);
	r->parts_us += from && times->end_ns > from ? (times->end_ns - from) / 1000 : 0;
	r->n_parts++;
	r->attempts++;
	r->free_attempts++;
	r->ev_head = r->ev_end = false;
	r->at = (struct gw_attempt){ .candidate = r->at.candidate, .begun_ns = gw_recent_ns() };
	r->first_token_until_ns = r->at.begun_ns + c->first_token_ms * 1000000;
}

/* Some questions take several calls. */
static enum gw_err end_of_single(struct gw_req *r, struct gw_talk *t)
{
	const yyjson_val *root;
	enum gw_err e;

	t->arena.max_bytes += (1 << 20) + GW_TALK_BODY_FACTOR * gw_buf_len(&t->in);
	e = gw_json_tree(&t->arena, gw_buf_view(&t->in), NULL, &root, NULL);
	e = e == GW_E_SYNTAX ? GW_E_UP_GARBLED : e ? e : t->single->read(r, t, root);
	if (e != GW_E_AGAIN)
		return e;
	gw_buf_clear(&t->in, GW_TALK_REPLY_MAX);
	part_done(r);
	e = send_call(r, &r->plan.candidates[r->at.candidate], t);
	return e ? e : GW_E_AGAIN;
}

enum gw_err gw_talk_end(struct gw_req *r)
{
	struct gw_talk *t = r->talk;
	struct gw_told told = { 0 };
	enum gw_err e;

	if (t->is_open)
		return end_of_stream(r, t);
	if (r->up_err)
		return r->up_err;
	if (t->single)
		return end_of_single(r, t);
	gw_arena_done(&t->arena); /* the request's tree is gone, the reply's may be larger */
	gw_arena_init(&t->arena, NULL, 0, (1 << 20) + GW_TALK_BODY_FACTOR * gw_buf_len(&t->in));
	e = gw_translate_reply(&t->arena, t->provider, t->is_same ? NULL : t->client, &t->carry, gw_buf_view(&t->in),
			       &t->out, &told);
	if (!e && r->chat.is_stream)
		e = GW_E_UP_GARBLED; /* a stream was asked for */
	if (!e)
		take_told(r, &told);
	else if (e != GW_E_NOMEM && e != GW_E_TOO_BIG && gw_upstream_is_error(&r->arena, gw_buf_view(&t->in)))
		e = gw_relay_error_event(r, 200, gw_buf_view(&t->in));
	return e;
}

struct gw_str gw_talk_whole(const struct gw_talk *t)
{
	return gw_buf_view(t->is_same && !t->single ? &t->in : &t->out);
}

void gw_talk_done(struct gw_req *r)
{
	struct gw_talk *t = r->talk;

	if (!t)
		return;
	r->talk = NULL;
	if (t->is_open)
		gw_translate_close(&t->stream);
	gw_arena_done(&t->arena);
	gw_buf_done(&t->body);
	gw_buf_done(&t->in);
	gw_buf_done(&t->out);
	gw_buf_done(&t->echo);
}

/* ---- the client's way of saying things ---- */

static enum gw_framing client_framing(const struct gw_req *r)
{
	const struct gw_dialect *d = client_of(r);

	return r->talk ? r->talk->carry.framing : d ? d->framing : GW_FRAMING_SSE;
}

struct gw_str gw_talk_stream_type(const struct gw_req *r)
{
	switch (client_framing(r)) {
	case GW_FRAMING_AWS:
		return GW_LIT("application/vnd.amazon.eventstream");
	case GW_FRAMING_ARRAY:
		return GW_LIT("application/json");
	case GW_FRAMING_LINES:
		return GW_LIT("application/x-ndjson");
	case GW_FRAMING_SSE:
		break;
	}
	return GW_LIT("text/event-stream; charset=utf-8");
}

struct gw_str gw_talk_ping(const struct gw_req *r)
{
	if (client_framing(r) != GW_FRAMING_SSE)
		return GW_NIL;
	if (r->endpoint->dialect == GW_D_ANTHROPIC)
		return GW_LIT("event: ping\ndata: {\"type\": \"ping\"}\n\n");
	return GW_LIT(": keep-alive\n\n");
}

void gw_talk_error(const struct gw_req *r, const struct gw_error_told *told, bool is_midway, struct gw_buf *out)
{
	const struct gw_dialect *d = client_of(r);
	struct gw_carry at = { .framing = d ? d->framing : GW_FRAMING_SSE,
			       .model = r->chat.model,
			       .request_id = gw_str(r->id_text, sizeof(r->id_text)),
			       .now_s = gw_unix_recent_us() / 1000000,
			       .seq = r->n_events };

	if (is_midway && r->talk) {
		const struct gw_talk *t = r->talk;
		const struct gw_stream_state *st = t->is_same ? &t->stream.in : &t->stream.out;

		at = t->carry;
		at.seq = !t->is_open ? 0 : t->is_same ? t->seq : st->seq;
		at.reply_id = t->is_open ? st->id : GW_NIL;
		at.reply_created = t->is_open ? st->created : 0;
	}
	if (!is_midway) {
		gw_dialect_error(r->endpoint->dialect, told, out);
	} else if (gw_api_is_invoked(r)) {
		gw_bedrock.write_error_event(told, &at, out);
	} else if (d) {
		d->write_error_event(told, &at, out);
	} else {
		gw_buf_puts(out, GW_LIT("data: "));
		gw_error_write_openai(out, told);
		gw_buf_puts(out, GW_LIT("\n\n"));
	}
}
