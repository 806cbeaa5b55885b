/* The Cohere dialect: its errors and the table of its functions. */
#include "core/dialect/cohere/cohere.h"

static void error_write(const struct gw_error_told *t, struct gw_buf *out)
{
	gw_buf_puts(out, GW_LIT("{\"id\":"));
	gw_json_quote(out, t->request_id);
	gw_buf_puts(out, GW_LIT(",\"message\":"));
	gw_error_put_message(out, t);
	gw_buf_putc(out, '}');
}

/* Streams have no event for errors: they end with one as their reason. */
static void error_event_write(const struct gw_error_told *t, const struct gw_carry *c, struct gw_buf *out)
{
	(void)c;
	gw_buf_puts(out, GW_LIT("event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":"));
	gw_buf_puts(out, t->http == 504 ? GW_LIT("\"TIMEOUT\"") : GW_LIT("\"ERROR\""));
	gw_buf_puts(out, GW_LIT(",\"error\":"));
	gw_error_put_message(out, t);
	gw_buf_puts(out, GW_LIT("}}\n\n"));
}

static void path_write(const struct gw_path_in *in, struct gw_buf *out)
{
	bool has_version = in->base.n >= 3 && gw_str_eq(gw_str_skip(in->base, in->base.n - 3), GW_LIT("/v2"));

	gw_buf_puts(out, in->base);
	gw_buf_puts(out, has_version ? GW_LIT("/chat") : GW_LIT("/v2/chat"));
}

const struct gw_dialect gw_cohere = {
	.id = GW_D_COHERE,
	.name = "cohere",
	.framing = GW_FRAMING_SSE,
	.is_serial = true,
	.reader_bytes = COHERE_STATE_BYTES,
	.writer_bytes = COHERE_STATE_BYTES,
	.read_request = cohere_request_read,
	.write_request = cohere_request_write,
	.write_path = path_write,
	.read_reply = cohere_reply_read,
	.write_reply = cohere_reply_write,
	.read_event = cohere_event_read,
	.read_end = cohere_end_read,
	.write_event = cohere_event_write,
	.writer_done = cohere_writer_done,
	.write_error = error_write,
	.write_error_event = error_event_write,
};
