#pragma once
/* The readers of one dialect on any input, and its writers on what they made of it. First byte: which reader. */
#include "core/dialect/dialect.h"
#include "input.h"

struct dialect_run {
	const struct gw_dialect *d;
	struct gw_arena keep, scratch;
	struct gw_carry carry;
	struct gw_stream_state in, out;
	struct gw_buf body;
};

static inline void must_be_json(struct dialect_run *r)
{
	const yyjson_val *root;

	if (r->body.err || gw_json_tree(&r->keep, gw_buf_view(&r->body), NULL, &root, NULL) != GW_E_SYNTAX)
		return;
	fprintf(stderr, "no JSON: %.*s\n", (int)r->body.n, r->body.p);
	abort();
}

/* A request that may be read is written for its own dialect, and as if it had come from another. */
static inline void run_request(struct dialect_run *r, struct gw_str text)
{
	struct gw_write_opts o = { .model = GW_LIT("m"), .default_max_tokens = 4096, .carry = &r->carry };
	struct gw_str param = GW_NIL, why = GW_NIL;
	const yyjson_val *root;

	if (gw_json_tree(&r->keep, text, &gw_json_default_limits, &root, NULL))
		return;
	for (int pass = 0; pass < 2; pass++) {
		struct ir_request rq = { .arena = &r->keep, .source = r->d->id };
		enum gw_err e = r->d->read_request(&r->keep, root, &rq, &param, &why);

		MUST_HOLD(!e || e == GW_E_INVALID || e == GW_E_MISSING || e == GW_E_NOMEM);
		MUST_HOLD(!e || e == GW_E_NOMEM || why.n);
		if (e)
			return;
		if (pass)
			rq.source = r->d->id == GW_D_OPENAI ? GW_D_GEMINI : GW_D_OPENAI;
		gw_buf_clear(&r->body, 1 << 16);
		e = r->d->write_request(&r->keep, &rq, &o, &r->body, &param, &why);
		MUST_HOLD(!e || e == GW_E_INVALID || e == GW_E_NOMEM || e == GW_E_TOO_BIG);
		if (!e)
			must_be_json(r);
	}
}

static inline void run_reply(struct dialect_run *r, struct gw_str text)
{
	struct ir_reply rp = { 0 };
	const yyjson_val *root;

	if (gw_json_tree(&r->keep, text, NULL, &root, NULL) || r->d->read_reply(&r->keep, root, &r->carry, &rp))
		return;
	MUST_HOLD(rp.choices);
	if (!r->d->write_reply(&r->keep, &rp, &r->carry, &r->body))
		must_be_json(r);
}

static inline enum gw_err on_fuzz_event(void *ctx, const struct ir_event *ev)
{
	struct dialect_run *r = ctx;

	return ev->kind == IR_EV_ERROR ? GW_OK : r->d->write_event(&r->out, ev, &r->body);
}

/* One frame a line. */
static inline void run_stream(struct dialect_run *r, struct gw_str text)
{
	enum gw_err e = GW_OK;

	r->in =
	    (struct gw_stream_state){ r->d, &r->keep, &r->scratch, &r->carry, gw_alloc(&r->keep, r->d->reader_bytes) };
	r->out =
	    (struct gw_stream_state){ r->d, &r->keep, &r->scratch, &r->carry, gw_alloc(&r->keep, r->d->writer_bytes) };
	while (!e && text.n) {
		struct gw_str line;
		struct gw_mark m = gw_arena_mark(&r->scratch);

		if (!gw_str_cut(text, '\n', &line, &text))
			text = GW_NIL;
		struct gw_frame f = { .data = line };

		if (r->d->framing == GW_FRAMING_AWS &&
		    gw_str_cut(line, ' ', &f.event, &f.data)) /* "name data", "!name data" */
			f.is_exception = f.event.n && *f.event.p == '!';
		e = r->d->read_event(&r->in, &f, on_fuzz_event, r);
		gw_arena_reset(&r->scratch, m);
	}
	if (!e)
		e = r->d->read_end(&r->in, on_fuzz_event, r);
	if (r->d->writer_done)
		r->d->writer_done(&r->out);
}

static inline int run_dialect(const struct gw_dialect *d, const uint8_t *data, size_t n)
{
	static void (*const runs[])(struct dialect_run *, struct gw_str) = { run_request, run_reply, run_stream };
	struct dialect_run r = { .d = d, .carry = { .model = GW_LIT("alias"), .wants_reasoning_text = true } };

	if (n < 2)
		return 0;
	gw_arena_init(&r.keep, NULL, 0, 64 << 20);
	gw_arena_init(&r.scratch, NULL, 0, 64 << 20);
	gw_buf_init(&r.body, 64 << 20);
	runs[data[0] % 3](&r, input(data + 1, n - 1));
	gw_buf_done(&r.body);
	gw_arena_done(&r.keep);
	gw_arena_done(&r.scratch);
	return 0;
}
