/* The dialect's entry: OpenAI responses. */
#include "core/dialect/responses/responses.h"

#include "core/error_body.h"

static void write_path(const struct gw_path_in *in, struct gw_buf *out)
{
	gw_buf_puts(out, in->base);
	gw_buf_puts(out, GW_LIT("/responses"));
}

static void write_error(const struct gw_error_told *told, struct gw_buf *out)
{
	gw_error_write_openai(out, told);
}

/* Nested, as recorded traffic has it; the number is above all that came. */
static void write_error_event(const struct gw_error_told *told, const struct gw_carry *c, struct gw_buf *out)
{
	struct gw_buf b;
	struct gw_str inner;

	(void)c;
	gw_buf_init(&b, 65536);
	gw_error_write_openai(&b, told); /* {"error":{...}} */
	inner = gw_buf_view(&b);
	gw_buf_puts(out, GW_LIT("event: error\ndata: {\"type\":\"error\",\"sequence_number\":0,"));
	gw_buf_puts(out, gw_str_skip(inner, 1));
	gw_buf_puts(out, GW_LIT("\n\n"));
	gw_buf_done(&b);
}

const struct gw_dialect gw_responses = {
	.id = GW_D_RESPONSES,
	.name = "responses",
	.framing = GW_FRAMING_SSE,
	.is_serial = true,
	.reader_bytes = RESPONSES_READER_BYTES,
	.writer_bytes = RESPONSES_WRITER_BYTES,
	.read_request = responses_read_request,
	.write_request = responses_write_request,
	.write_path = write_path,
	.read_reply = responses_read_reply,
	.write_reply = responses_write_reply,
	.read_event = responses_read_event,
	.read_end = responses_read_end,
	.write_event = responses_write_event,
	.writer_done = responses_writer_done,
	.write_error = write_error,
	.write_error_event = write_error_event,
};
