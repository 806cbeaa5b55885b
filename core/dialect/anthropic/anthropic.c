/* The Anthropic dialect: its errors, its other endpoints, and the table of its functions. */
#include "core/dialect/anthropic/anthropic.h"
#include "core/dialect/claude.h"
#include "core/dialect/anthropic/endpoints.h"

#include "lib/text.h"

/* ---- errors ---- */

/* Clients of this vendor choose what to do next by this word. */
static const char *error_type(const struct gw_error_told *t)
{
	switch (t->err) {
	case GW_E_UP_BILLING:
		return "billing_error";
	case GW_E_UP_OVERLOADED:
	case GW_E_BUSY:
	case GW_E_DRAINING:
	case GW_E_NOT_READY:
	case GW_E_AUDIT_FULL:
		return "overloaded_error";
	case GW_E_UP_NOT_FOUND:
	case GW_E_UP_NO_DEPLOYMENT:
		return "not_found_error";
	case GW_E_UP_PERMISSION:
	case GW_E_UP_REGION:
		return "permission_error";
	default:
		break;
	}
	switch (t->http) {
	case 401:
		return "authentication_error";
	case 403:
		return "permission_error";
	case 404:
		return "not_found_error";
	case 413:
		return "request_too_large";
	case 429:
		return "rate_limit_error";
	case 408:
	case 504:
		return "timeout_error";
	default:
		return t->http >= 500 ? "api_error" : "invalid_request_error";
	}
}

static bool contains(struct gw_str s, struct gw_str part)
{
	for (; s.n >= part.n; s = gw_str_skip(s, 1)) {
		if (gw_str_has_prefix(s, part))
			return true;
	}
	return false;
}

void anthropic_error_write(const struct gw_error_told *t, struct gw_buf *out)
{
	static const char too_long[] = "prompt is too long";
	size_t at;

	gw_buf_puts(out, GW_LIT("{\"type\":\"error\",\"error\":{\"type\":"));
	gw_json_quote(out, gw_str_z(error_type(t)));
	gw_buf_puts(out, GW_LIT(",\"message\":"));
	at = out->n;
	gw_error_put_message(out, t);
	if (t->err == GW_E_UP_CONTEXT && !out->err && !contains(t->message, gw_str(too_long, sizeof(too_long) - 1))) {
		/* coding tools compact the conversation when they read these words */
		out->n = at;
		gw_buf_puts(out, GW_LIT("\"prompt is too long: "));
		at = out->n;
		gw_error_put_message(out, t);
		if (!out->err) {
			memmove(out->p + at, out->p + at + 1, out->n - at - 1);
			out->n--;
		}
	}
	gw_buf_puts(out, GW_LIT("},\"request_id\":"));
	if (t->request_id.n)
		gw_json_quote(out, t->request_id);
	else
		gw_buf_puts(out, GW_LIT("null"));
	gw_buf_putc(out, '}');
}

void anthropic_error_event_write(const struct gw_error_told *t, const struct gw_carry *c, struct gw_buf *out)
{
	(void)c;
	gw_buf_puts(out, GW_LIT("event: error\ndata: "));
	anthropic_error_write(t, out);
	gw_buf_puts(out, GW_LIT("\n\n"));
}

/* ---- other endpoints ---- */

bool anthropic_count_read(const yyjson_val *root, uint64_t *out)
{
	const yyjson_val *v = anthropic_get(root, "input_tokens");

	if (!yyjson_is_uint((yyjson_val *)(uintptr_t)v))
		return false;
	*out = yyjson_get_uint((yyjson_val *)(uintptr_t)v);
	return true;
}

void anthropic_count_reply(uint64_t input_tokens, struct gw_buf *out)
{
	gw_buf_puts(out, GW_LIT("{\"input_tokens\":"));
	gw_buf_put_u64(out, input_tokens);
	gw_buf_putc(out, '}');
}

void anthropic_model_write(const struct anthropic_model *m, struct gw_buf *out)
{
	gw_buf_puts(out, GW_LIT("{\"type\":\"model\",\"id\":"));
	gw_json_quote(out, m->id);
	gw_buf_puts(out, GW_LIT(",\"display_name\":"));
	gw_json_quote(out, m->display_name.n ? m->display_name : m->id);
	gw_buf_puts(out, GW_LIT(",\"created_at\":\""));
	gw_time_put(out, m->created_s * 1000000);
	gw_buf_puts(out, GW_LIT("\"}"));
}

void anthropic_models_write(const struct anthropic_model *models, size_t n, struct gw_buf *out)
{
	gw_buf_puts(out, GW_LIT("{\"data\":["));
	for (size_t i = 0; i < n; i++) {
		if (i)
			gw_buf_putc(out, ',');
		anthropic_model_write(&models[i], out);
	}
	gw_buf_puts(out, GW_LIT("],\"has_more\":false,\"first_id\":"));
	if (n)
		gw_json_quote(out, models[0].id);
	else
		gw_buf_puts(out, GW_LIT("null"));
	gw_buf_puts(out, GW_LIT(",\"last_id\":"));
	if (n)
		gw_json_quote(out, models[n - 1].id);
	else
		gw_buf_puts(out, GW_LIT("null"));
	gw_buf_putc(out, '}');
}

/* ---- the table ---- */

static void path_write(const struct gw_path_in *in, struct gw_buf *out)
{
	gw_buf_puts(out, in->base);
	gw_buf_puts(out, GW_LIT("/messages"));
}

static bool may_be_mixed(struct gw_str body, struct gw_str model)
{
	(void)model;
	return ir_claude_may_be_mixed(body, GW_LIT("\"tool_use_id\""), GW_LIT("toolu_"));
}

const struct gw_dialect gw_anthropic = {
	.id = GW_D_ANTHROPIC,
	.name = "anthropic",
	.framing = GW_FRAMING_SSE,
	.is_serial = true,
	.reader_bytes = ANTHROPIC_READER_BYTES,
	.writer_bytes = ANTHROPIC_WRITER_BYTES,
	.read_request = anthropic_request_read,
	.write_request = anthropic_request_write,
	.may_be_mixed = may_be_mixed,
	.write_path = path_write,
	.read_reply = anthropic_reply_read,
	.write_reply = anthropic_reply_write,
	.read_event = anthropic_event_read,
	.read_end = anthropic_end_read,
	.write_event = anthropic_event_write,
	.write_error = anthropic_error_write,
	.write_error_event = anthropic_error_event_write,
};
