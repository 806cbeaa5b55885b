/* The whole way from one dialect to another, as the data plane calls it: the bytes of a body or of a stream in, the other dialect's bytes out.
 * Input: what (request, reply, stream), from, to, options, then the bytes. A stream is fed whole and in pieces: both must say the same. */
#include "core/dialect/translate.h"
#include "input.h"

enum { HEAD = 4, OUT_BYTES = 64 << 20 };

struct way {
	const struct gw_dialect *from, *to;
	struct gw_carry carry;
	uint8_t options;
};

static void must_be_json(struct gw_arena *a, const struct gw_buf *body)
{
	const yyjson_val *root;

	MUST_HOLD(body->err || gw_json_tree(a, gw_buf_view(body), NULL, &root, NULL) != GW_E_SYNTAX);
}

static void run_request(struct way *w, struct gw_arena *a, struct gw_str text)
{
	struct gw_str model = GW_LIT("m");
	struct gw_buf body;
	struct gw_translate_out out = { .body = &body };
	struct gw_translate_in in = {
		.from = w->from,
		.to = w->to,
		.body = text,
		.path_model = w->options & 1 ? &model : NULL,
		.is_stream = w->options & 2,
		.opts = { .model = model, .default_max_tokens = 4096, .carry = &w->carry },
	};

	gw_buf_init(&body, OUT_BYTES);
	/* Bytes that are no JSON never come this far in the gateway (is_checked): here they are checked on the way. */
	enum gw_err e = gw_translate_request(a, a, &in, &out);
	MUST_HOLD(e != GW_E_INVALID || out.why.n);
	if (!e)
		must_be_json(a, &body);
	gw_buf_done(&body);
}

static void run_reply(struct way *w, struct gw_arena *a, struct gw_str text)
{
	struct gw_told told = { 0 };
	struct gw_buf body;

	gw_buf_init(&body, OUT_BYTES);
	if (!gw_translate_reply(a, w->from, w->to, &w->carry, text, &body, &told) && w->to)
		must_be_json(a, &body);
	gw_buf_done(&body);
}

/* step 0: all at once. What the translation came to; the client's bytes in `out`. */
static enum gw_err feed(struct way *w, struct gw_str text, size_t step, struct gw_buf *out)
{
	struct gw_translate t;
	enum gw_err e = gw_translate_open(&t, w->from, w->to, &w->carry);

	MUST_HOLD(!e);
	while (!e && text.n) {
		size_t n = step && step < text.n ? step : text.n;

		e = gw_translate_feed(&t, gw_str(text.p, n), out);
		text = gw_str(text.p + n, text.n - n);
		step = step ? step % 61 * 7 % 31 + 1 : 0;
	}
	if (!e)
		e = gw_translate_end(&t, out);
	gw_translate_close(&t);
	return e;
}

static void run_stream(struct way *w, struct gw_str text)
{
	struct gw_buf whole, pieces;

	gw_buf_init(&whole, OUT_BYTES);
	gw_buf_init(&pieces, OUT_BYTES);
	enum gw_err e1 = feed(w, text, 0, &whole);
	enum gw_err e2 = feed(w, text, (size_t)(w->options >> 2) % 31 + 1, &pieces);
	MUST_HOLD(e1 == e2);
	MUST_HOLD(gw_str_eq(gw_buf_view(&whole), gw_buf_view(&pieces)));
	gw_buf_done(&whole);
	gw_buf_done(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct gw_arena a;

	if (n <= HEAD)
		return 0;
	struct way w = { .from = gw_dialect_of((enum gw_dialect_id)(data[1] % GW_D_COUNT)),
			 .to = gw_dialect_of(
			     (enum gw_dialect_id)(data[2] % (GW_D_COUNT + 1))), /* one in seven: only looked at */
			 .options = data[3] };
	struct gw_str text = input(data + HEAD, n - HEAD);

	gw_arena_init(&a, NULL, 0, 64 << 20);
	w.carry = (struct gw_carry){ .model = GW_LIT("alias"),
				     .request_id = GW_LIT("01234567-89ab-7cde-8f01-23456789abcd"),
				     .seed = 7,
				     .now_s = 1700000000,
				     .is_stream = data[0] % 3 == 2,
				     .wants_usage = w.options & 1,
				     .wants_reasoning_text = w.options & 2,
				     .framing = w.to ? w.to->framing : GW_FRAMING_SSE,
				     .keep = &a };
	if (w.to && w.to->id == GW_D_GEMINI && w.options & 128)
		w.carry.framing = GW_FRAMING_ARRAY;
	if (data[0] % 3 == 2)
		run_stream(&w, text);
	else if (data[0] % 3 == 1)
		run_reply(&w, &a, text);
	else if (w.to)
		run_request(&w, &a, text);
	gw_arena_done(&a);
	return 0;
}
