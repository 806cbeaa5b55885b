/* The cut does not matter, and no byte is lost or doubled. First byte: where to cut. */
#include "input.h"
#include "lib/sse.h"

struct log {
	struct gw_buf events, raw;
};

static void on_event(void *ctx, const struct gw_sse_event *ev)
{
	struct log *l = ctx;

	gw_buf_printf(&l->events, "%zu %zu %zu %zu %d\n", ev->raw.n, ev->event.n, ev->data.n, ev->id.n, ev->has_data);
	gw_buf_puts(&l->events, ev->event);
	gw_buf_puts(&l->events, ev->data);
	gw_buf_puts(&l->events, ev->id);
	gw_buf_puts(&l->raw, ev->raw);
}

/* Bytes of the input that were taken before an error. */
static enum gw_err run(struct log *l, struct gw_str text, size_t step)
{
	struct gw_sse s;
	enum gw_err err = GW_OK;

	gw_buf_init(&l->events, 256 << 20);
	gw_buf_init(&l->raw, 16 << 20);
	gw_sse_init(&s, 200, 400);
	for (size_t i = 0; i < text.n && !err; i += step) {
		size_t k = text.n - i < step ? text.n - i : step;
		char *piece = malloc(k);

		memcpy(piece, text.p + i, k);
		err = gw_sse_feed(&s, piece, k, on_event, l);
		free(piece);
	}
	if (!err)
		err = gw_sse_end(&s, on_event, l);
	if (!err)
		gw_buf_puts(&l->raw, gw_sse_rest(&s));
	gw_sse_done(&s);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct gw_str text;
	struct log a, b;
	enum gw_err err;

	if (n < 2)
		return 0;
	text = input(data + 1, n - 1);
	err = run(&a, text, n);
	MUST_HOLD(run(&b, text, 1 + data[0] % 16) == err);
	MUST_HOLD(gw_str_eq(gw_buf_view(&a.events), gw_buf_view(&b.events)));
	MUST_HOLD(gw_str_eq(gw_buf_view(&a.raw), gw_buf_view(&b.raw)));
	MUST_HOLD(err || gw_str_eq(gw_buf_view(&a.raw), text));
	gw_buf_done(&a.events);
	gw_buf_done(&a.raw);
	gw_buf_done(&b.events);
	gw_buf_done(&b.raw);
	return 0;
}
