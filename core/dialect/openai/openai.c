/* The dialect's entry: chat completions of OpenAI and everybody who speaks it. */
#include "core/dialect/openai/openai.h"

#include "core/error_body.h"

static void write_path(const struct gw_path_in *in, struct gw_buf *out)
{
	gw_buf_puts(out, in->base);
	gw_buf_puts(out, GW_LIT("/chat/completions"));
}

static void write_error(const struct gw_error_told *told, struct gw_buf *out)
{
	gw_error_write_openai(out, told);
}

/* SDKs raise on the error; nothing comes after it. */
static void write_error_event(const struct gw_error_told *told, const struct gw_carry *c, struct gw_buf *out)
{
	(void)c;
	gw_buf_puts(out, GW_LIT("data: "));
	gw_error_write_openai(out, told);
	gw_buf_puts(out, GW_LIT("\n\n"));
}

const struct gw_dialect gw_openai = {
	.id = GW_D_OPENAI,
	.name = "openai",
	.framing = GW_FRAMING_SSE,
	.is_serial = false,
	.reader_bytes = OPENAI_READER_BYTES,
	.writer_bytes = OPENAI_WRITER_BYTES,
	.read_request = openai_read_request,
	.write_request = openai_write_request,
	.write_path = write_path,
	.read_reply = openai_read_reply,
	.write_reply = openai_write_reply,
	.read_event = openai_read_event,
	.read_end = openai_read_end,
	.write_event = openai_write_event,
	.write_error = write_error,
	.write_error_event = write_error_event,
};
