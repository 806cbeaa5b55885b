/* A provider's stream through gw_sse and gw_chat_event: what goes out for a client that did not ask for usage has none at the top
 * of any event, and an edited event is the event without some bytes. */
#include "input.h"
#include "core/passthru.h"
#include "core/usage.h"

static struct gw_scan_value values[GW_UP_PATHS];
static struct gw_buf scratch;
static bool is_second;

/* `part` comes out of `whole` by leaving bytes out. */
static bool is_subsequence(struct gw_str part, struct gw_str whole)
{
	size_t k = 0;

	for (size_t i = 0; i < whole.n && k < part.n; i++)
		k += whole.p[i] == part.p[k];
	return k == part.n;
}

static void on_edited(void *ctx, const struct gw_sse_event *ev)
{
	struct gw_buf own;
	struct gw_chat_event out;

	(void)ctx;
	gw_buf_init(&own, 8 << 20);
	MUST_HOLD(gw_chat_event(ev, false, NULL, values, &own, &out) == GW_OK);
	MUST_HOLD(out.kind != GW_EV_EDIT && out.kind != GW_EV_DROP);
	gw_buf_done(&own);
}

static void on_event(void *ctx, const struct gw_sse_event *ev)
{
	static struct gw_chat_shape shape; /* of any text before: it must not matter */
	struct gw_chat_event out, with;
	struct gw_sse s;
	enum gw_err e_with = gw_chat_event(ev, is_second, &shape, values, &scratch, &with);
	enum gw_err e = gw_chat_event(ev, is_second, NULL, values, &scratch, &out);

	(void)ctx;
	MUST_HOLD(e == e_with && (e || (out.kind == with.kind && out.has_content == with.has_content)));
	MUST_HOLD(e == GW_OK || e == GW_E_UP_GARBLED || e == GW_E_TOO_BIG);
	if (e || is_second) {
		MUST_HOLD(e || (out.kind != GW_EV_EDIT && out.kind != GW_EV_DROP));
		return;
	}
	if (out.kind != GW_EV_EDIT || gw_str_has_prefix(ev->raw, GW_LIT("\xef\xbb\xbf")))
		return;
	if (memchr(ev->data.p, '\n', ev->data.n) == NULL)
		MUST_HOLD(is_subsequence(out.edited, ev->raw));
	gw_sse_init(&s, 4 << 20, 8 << 20);
	MUST_HOLD(gw_sse_feed(&s, out.edited.p, out.edited.n, on_edited, NULL) == GW_OK);
	MUST_HOLD(gw_sse_end(&s, on_edited, NULL) == GW_OK);
	gw_sse_done(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_sse s;

	gw_buf_init(&scratch, 8 << 20);
	for (int i = 0; i < 2; i++) {
		is_second = i == 1;
		gw_sse_init(&s, 1 << 20, 4 << 20);
		if (gw_sse_feed(&s, (const char *)data, size, on_event, NULL) == GW_OK)
			MUST_HOLD(gw_sse_end(&s, on_event, NULL) == GW_OK);
		gw_sse_done(&s);
	}
	gw_buf_done(&scratch);
	return 0;
}
