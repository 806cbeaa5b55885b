/* Provider answers, as hostile as can be: whatever the cut, the same answer or the same refusal; no header view outside
 * the head; nothing told after the end. First byte: the step. Second byte's low bit: the answer is to a HEAD. */
#include "input.h"
#include "net/h1_client_parse.h"

static struct gw_h1p_heads heads;

struct seen {
	struct gw_buf text;
	struct gw_h1p h;
	int heads, bodies;
};

static bool on_head(void *ctx)
{
	struct seen *s = ctx;
	struct gw_up_header views[GW_H1P_HEADERS];

	MUST_HOLD(s->heads++ == 0 && s->bodies == 0);
	MUST_HOLD(s->h.status >= 200 && s->h.status <= 599 && s->h.n_headers <= GW_H1P_HEADERS);
	gw_h1p_headers(&s->h, views);
	gw_buf_printf(&s->text, "%d %lld\n", s->h.status, (long long)s->h.content_length);
	for (uint32_t i = 0; i < s->h.n_headers; i++) {
		MUST_HOLD(!memchr(views[i].name.p, '\n', views[i].name.n) &&
			  !memchr(views[i].value.p, '\n', views[i].value.n));
		MUST_HOLD(!memchr(views[i].value.p, '\r', views[i].value.n) &&
			  !memchr(views[i].value.p, '\0', views[i].value.n));
		gw_buf_puts(&s->text, views[i].name);
		gw_buf_putc(&s->text, '=');
		gw_buf_puts(&s->text, views[i].value);
		gw_buf_putc(&s->text, '\n');
	}
	return true;
}

static bool on_body(void *ctx, struct gw_str piece)
{
	struct seen *s = ctx;

	MUST_HOLD(s->heads == 1 && !s->h.is_done && piece.n > 0);
	s->bodies++;
	gw_buf_puts(&s->text, piece);
	return true;
}

static enum gw_err run(struct seen *s, struct gw_str text, size_t step, bool is_head, size_t *taken)
{
	enum gw_err e = GW_OK;

	memset(s, 0, sizeof(*s));
	gw_buf_init(&s->text, 64 << 20);
	gw_h1p_init(&s->h, &heads);
	s->h.on_head = on_head;
	s->h.on_body = on_body;
	s->h.ctx = s;
	gw_h1p_start(&s->h, is_head);
	*taken = 0;
	while (*taken < text.n && e == GW_OK && !s->h.is_done) {
		size_t k = text.n - *taken < step ? text.n - *taken : step, used = 0;
		char *piece = malloc(k); /* its exact size: reading past it is seen */

		memcpy(piece, text.p + *taken, k);
		e = gw_h1p_feed(&s->h, piece, k, &used);
		MUST_HOLD(used <= k);
		if (e == GW_OK)
			*taken += used;
		MUST_HOLD(e != GW_OK || used == k || s->h.is_done);
		free(piece);
	}
	if (e == GW_OK && !s->h.is_done)
		e = gw_h1p_eof(&s->h);
	MUST_HOLD(e != GW_OK || s->h.is_done);
	MUST_HOLD(e != GW_OK || s->heads == 1);
	return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct seen whole, cut;
	struct gw_str text;
	size_t a, b;
	enum gw_err e, f;

	if (n < 2 || n > 200000)
		return 0;
	text = input(data + 2, n - 2);
	e = run(&whole, text, text.n + 1, data[1] & 1, &a);
	f = run(&cut, text, (size_t)data[0] % 64 + 1, data[1] & 1, &b);
	MUST_HOLD(e == f);
	if (e == GW_OK) {
		MUST_HOLD(a == b && gw_h1p_may_reuse(&whole.h) == gw_h1p_may_reuse(&cut.h));
		MUST_HOLD(gw_str_eq(gw_buf_view(&whole.text), gw_buf_view(&cut.text)));
	}
	gw_buf_done(&whole.text);
	gw_buf_done(&cut.text);
	gw_h1p_done(&whole.h);
	gw_h1p_done(&cut.h);
	gw_h1p_heads_done(&heads);
	return 0;
}
