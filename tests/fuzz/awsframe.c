/* The cut does not matter, no byte is lost or doubled, and what was read can be written again with the same bytes. First byte: where to
 * cut; second: whether checksums are put right first, so that the fuzzer gets behind them. */
#include "input.h"
#include "lib/awsframe.h"
#include "lib/crc32.h"

struct log {
	struct gw_buf events, raw;
};

static void on_message(void *ctx, const struct gw_awsframe_message *m)
{
	struct log *l = ctx;
	struct gw_buf again;

	gw_buf_printf(&l->events, "%zu %u %zu %zu\n", m->payload.n, m->n_headers, m->event_type.n, m->exception_type.n);
	for (uint32_t i = 0; i < m->n_headers; i++) {
		gw_buf_puts(&l->events, m->headers[i].name);
		gw_buf_puts(&l->events, m->headers[i].bytes);
	}
	gw_buf_puts(&l->raw, m->raw);
	gw_buf_init(&again, 1 << 20);
	MUST_HOLD(gw_awsframe_put(&again, m->headers, m->n_headers, m->payload) == GW_OK);
	MUST_HOLD(gw_str_eq(gw_buf_view(&again), m->raw));
	gw_buf_done(&again);
}

static enum gw_err run(struct log *l, struct gw_str text, size_t step)
{
	struct gw_awsframe f;
	enum gw_err err = GW_OK;

	gw_buf_init(&l->events, 64 << 20);
	gw_buf_init(&l->raw, 16 << 20);
	gw_awsframe_init(&f, 1000);
	for (size_t i = 0; i < text.n && !err; i += step) {
		size_t k = text.n - i < step ? text.n - i : step;
		char *piece = malloc(k);

		memcpy(piece, text.p + i, k);
		err = gw_awsframe_feed(&f, piece, k, on_message, l);
		free(piece);
	}
	if (!err)
		gw_buf_puts(&l->raw, gw_awsframe_rest(&f));
	gw_awsframe_done(&f);
	return err;
}

static uint32_t be32(const char *p)
{
	return (uint32_t)(uint8_t)p[0] << 24 | (uint32_t)(uint8_t)p[1] << 16 | (uint32_t)(uint8_t)p[2] << 8 |
	       (uint8_t)p[3];
}

static void put32(char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(v >> (24 - 8 * i));
}

static void mend(char *p, size_t n)
{
	while (n >= 16) {
		uint32_t total = be32(p) & 0x3ff;

		put32(p, total);
		put32(p + 8, gw_crc32(0, p, 8));
		if (total < 16 || total > n)
			return;
		put32(p + total - 4, gw_crc32(0, p, total - 4));
		p += total;
		n -= total;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct gw_str text;
	struct log a, b;
	enum gw_err err;
	char *copy;

	if (n < 3)
		return 0;
	copy = malloc(n - 2);
	memcpy(copy, data + 2, n - 2);
	if (data[1] & 1)
		mend(copy, n - 2);
	text = gw_str(copy, n - 2);
	err = run(&a, text, text.n);
	MUST_HOLD(run(&b, text, 1 + data[0] % 16) == err);
	MUST_HOLD(gw_str_eq(gw_buf_view(&a.events), gw_buf_view(&b.events)));
	MUST_HOLD(err || gw_str_eq(gw_buf_view(&a.raw), text));
	MUST_HOLD(gw_str_eq(gw_buf_view(&a.raw), gw_buf_view(&b.raw)));
	gw_buf_done(&a.events);
	gw_buf_done(&a.raw);
	gw_buf_done(&b.events);
	gw_buf_done(&b.raw);
	free(copy);
	return 0;
}
