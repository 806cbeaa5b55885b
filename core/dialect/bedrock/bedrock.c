/* The Bedrock Converse dialect as the rest of the gateway sees it: its struct, paths, errors, token counts. */
#include "core/dialect/bedrock/bedrock.h"
#include "core/dialect/bedrock/endpoints.h"
#include "core/error_body.h"
#include "lib/awsframe.h"
#include "lib/url.h"

/* ---- paths: the model is one segment, ':' and '/' encoded ---- */

static void put_path(const struct gw_path_in *in, const char *call, struct gw_buf *out)
{
	gw_buf_puts(out, in->base);
	gw_buf_puts(out, GW_LIT("/model/"));
	gw_url_encode(out, in->model);
	gw_buf_puts(out, gw_str_z(call));
}

static void write_path(const struct gw_path_in *in, struct gw_buf *out)
{
	put_path(in, in->is_stream ? "/converse-stream" : "/converse", out);
}

void gw_bedrock_count_path(const struct gw_path_in *in, struct gw_buf *out)
{
	put_path(in, "/count-tokens", out);
}

/* ---- errors ---- */

/* lowerCamel, as streams have it; whole replies begin with a capital. */
static const char *exception_of(int http)
{
	switch (http) {
	case 401:
	case 403:
		return "accessDeniedException";
	case 404:
		return "resourceNotFoundException";
	case 408:
	case 504:
		return "modelTimeoutException";
	case 402:
	case 429:
		return "throttlingException";
	case 424:
	case 502:
		return "modelErrorException";
	case 503:
		return "serviceUnavailableException";
	default:
		return http >= 500 ? "internalServerException" : "validationException";
	}
}

static void write_error(const struct gw_error_told *t, struct gw_buf *out)
{
	const char *name = exception_of(t->http);

	gw_buf_puts(out, GW_LIT("{\"__type\":\""));
	gw_buf_putc(out, (char)(*name - 'a' + 'A'));
	gw_buf_puts(out, gw_str_z(name + 1));
	gw_buf_puts(out, GW_LIT("\",\"message\":"));
	gw_error_put_message(out, t);
	gw_buf_putc(out, '}');
}

/* Streams know only some of the exceptions. */
static void write_error_event(const struct gw_error_told *t, const struct gw_carry *c, struct gw_buf *out)
{
	const char *name = t->http == 429   ? "throttlingException"
			   : t->http == 503 ? "serviceUnavailableException"
			   : t->http < 500  ? "validationException"
			   : t->http == 500 ? "internalServerException"
					    : "modelStreamErrorException";
	struct gw_buf b;

	(void)c;
	gw_buf_init(&b, 64 << 10);
	gw_buf_puts(&b, GW_LIT("{\"message\":"));
	gw_error_put_message(&b, t);
	gw_buf_putc(&b, '}');
	if ((b.err || gw_awsframe_put_exception(out, gw_str_z(name), gw_buf_view(&b))) && !out->err)
		out->err = GW_E_NOMEM;
	gw_buf_done(&b);
}

/* ---- token counts ---- */

enum gw_err gw_bedrock_count_read(struct gw_arena *a, const yyjson_val *root, struct ir_request *out,
				  struct gw_str *param, struct gw_str *why)
{
	const yyjson_val *converse = gw_json_get(gw_json_get(root, GW_LIT("input")), GW_LIT("converse"));

	if (!converse) {
		*param = GW_LIT("input.converse");
		*why = GW_LIT("is required: the request whose tokens are counted, as Converse takes it");
		return GW_E_MISSING;
	}
	return bedrock_read_request(a, converse, out, param, why);
}

bool gw_bedrock_count_reply_read(const yyjson_val *root, uint64_t *tokens)
{
	yyjson_val *n = gw_json_get(root, GW_LIT("inputTokens"));

	if (!yyjson_is_uint(n))
		return false;
	*tokens = yyjson_get_uint(n);
	return true;
}

void gw_bedrock_count_reply_write(uint64_t tokens, struct gw_buf *out)
{
	gw_buf_puts(out, GW_LIT("{\"inputTokens\":"));
	gw_buf_put_u64(out, tokens);
	gw_buf_putc(out, '}');
}

static bool may_be_mixed(struct gw_str body, struct gw_str model)
{
	(void)model;
	return ir_claude_may_be_mixed(body, GW_LIT("\"toolUseId\""), GW_LIT("tooluse_"));
}

const struct gw_dialect gw_bedrock = {
	.id = GW_D_BEDROCK,
	.name = "bedrock",
	.framing = GW_FRAMING_AWS,
	.is_serial = true,
	.reader_bytes = BEDROCK_READER_BYTES,
	.writer_bytes = BEDROCK_WRITER_BYTES,
	.read_request = bedrock_read_request,
	.write_request = bedrock_write_request,
	.may_be_mixed = may_be_mixed,
	.write_path = write_path,
	.read_reply = bedrock_read_reply,
	.write_reply = bedrock_write_reply,
	.read_event = bedrock_read_event,
	.read_end = bedrock_read_end,
	.write_event = bedrock_write_event,
	.writer_done = bedrock_writer_done,
	.write_error = write_error,
	.write_error_event = write_error_event,
};
