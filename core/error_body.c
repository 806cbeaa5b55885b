/* What clients are told of an error, and how OpenAI clients read it. */
#include "core/error_body.h"

#include "lib/json_write.h"

/* What a provider says about our key, bill or rights is for the operator, not for clients. */
static bool is_private(enum gw_err e)
{
	return e == GW_E_UP_AUTH || e == GW_E_UP_BILLING || e == GW_E_UP_PERMISSION || e == GW_E_UP_REGION;
}

/* ,"key":"value" or null */
static void put_member(struct gw_buf *out, const char *key, struct gw_str s)
{
	gw_buf_puts(out, GW_LIT(",\""));
	gw_buf_puts(out, gw_str_z(key));
	gw_buf_puts(out, GW_LIT("\":"));
	if (s.n)
		gw_json_quote(out, s);
	else
		gw_buf_puts(out, GW_LIT("null"));
}

void gw_error_put_message(struct gw_buf *out, const struct gw_error_told *told)
{
	struct gw_str id = told->http >= 500 ? told->request_id : GW_NIL;

	gw_json_quote(out, told->message);
	if (id.n == 0 || out->err || out->n < 2)
		return;
	out->n--; /* the closing quote */
	gw_buf_puts(out, GW_LIT(" (request id "));
	for (size_t i = 0; i < id.n; i++) {
		char c = id.p[i];

		gw_buf_putc(out, (unsigned char)c > ' ' && c != '"' && c != '\\' && (unsigned char)c < 0x7f ? c : '?');
	}
	gw_buf_puts(out, GW_LIT(")\""));
}

void gw_error_tell(struct gw_error_told *out, enum gw_err e, struct gw_str message, struct gw_str param,
		   struct gw_str request_id)
{
	const struct gw_err_info *row = gw_err_info(e);
	bool is_ours = message.n == 0 || is_private(e);

	*out = (struct gw_error_told){ .err = e,
				       .http = row->http,
				       .message = is_ours ? gw_str_z(row->doc) : message,
				       .param = is_private(e) ? GW_NIL : param,
				       .code = gw_str_z(row->code),
				       .request_id = request_id };
}

void gw_error_tell_upstream(struct gw_error_told *out, const struct gw_upstream_error *ue, struct gw_str request_id)
{
	gw_error_tell(out, ue->err, ue->message, ue->param, request_id);
	if (out->code.n == 0)
		out->code = ue->code;
	out->retry_after_ms = ue->retry_after_ms;
}

void gw_error_write_openai(struct gw_buf *out, const struct gw_error_told *told)
{
	gw_buf_puts(out, GW_LIT("{\"error\":{\"message\":"));
	gw_error_put_message(out, told);
	put_member(out, "type", gw_str_z(gw_err_info(told->err)->type));
	put_member(out, "param", told->param);
	put_member(out, "code", told->code);
	gw_buf_puts(out, GW_LIT("}}"));
}

void gw_error_body(struct gw_buf *out, enum gw_err e, struct gw_str message, struct gw_str param,
		   struct gw_str request_id)
{
	struct gw_error_told told;

	gw_error_tell(&told, e, message, param, request_id);
	gw_error_write_openai(out, &told);
}

void gw_error_event(struct gw_buf *out, enum gw_err e, struct gw_str message, struct gw_str request_id)
{
	gw_buf_puts(out, GW_LIT("data: "));
	gw_error_body(out, e, message, GW_NIL, request_id);
	gw_buf_puts(out, GW_LIT("\n\n"));
}

void gw_upstream_error_body(struct gw_buf *out, const struct gw_upstream_error *ue, struct gw_str request_id)
{
	struct gw_error_told told;

	gw_error_tell_upstream(&told, ue, request_id);
	gw_error_write_openai(out, &told);
}
