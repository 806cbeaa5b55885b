/* Errors as OpenAI clients read them. */
#include "core/error_body.h"

#include "lib/json_write.h"

/* What a provider says about our key, bill or rights is for the operator, not for clients. */
static bool is_private(enum gw_err e)
{
	return e == GW_E_UP_AUTH || e == GW_E_UP_BILLING || e == GW_E_UP_PERMISSION;
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

/* The message with the request id behind it, as one JSON string. */
static void put_message(struct gw_buf *out, struct gw_str message, struct gw_str request_id)
{
	gw_json_quote(out, message);
	if (request_id.n == 0 || out->err || out->n < 2)
		return;
	out->n--; /* the closing quote */
	gw_buf_puts(out, GW_LIT(" (request id "));
	for (size_t i = 0; i < request_id.n; i++) {
		char c = request_id.p[i];

		gw_buf_putc(out, (unsigned char)c > ' ' && c != '"' && c != '\\' && (unsigned char)c < 0x7f ? c : '?');
	}
	gw_buf_puts(out, GW_LIT(")\""));
}

static void put_error(struct gw_buf *out, enum gw_err e, struct gw_str message, struct gw_str param, struct gw_str code,
		      struct gw_str request_id)
{
	const struct gw_err_info *row = gw_err_info(e);

	if (message.n == 0 || is_private(e))
		message = gw_str_z(row->doc);
	gw_buf_puts(out, GW_LIT("{\"error\":{\"message\":"));
	put_message(out, message, row->http >= 500 ? request_id : GW_NIL);
	put_member(out, "type", gw_str_z(row->type));
	put_member(out, "param", param);
	put_member(out, "code", code.n ? code : gw_str_z(row->code));
	gw_buf_puts(out, GW_LIT("}}"));
}

void gw_error_body(struct gw_buf *out, enum gw_err e, struct gw_str message, struct gw_str param,
		   struct gw_str request_id)
{
	put_error(out, e, message, param, GW_NIL, request_id);
}

void gw_error_event(struct gw_buf *out, enum gw_err e, struct gw_str message, struct gw_str request_id)
{
	gw_buf_puts(out, GW_LIT("data: "));
	put_error(out, e, message, GW_NIL, GW_NIL, request_id);
	gw_buf_puts(out, GW_LIT("\n\n"));
}

void gw_upstream_error_body(struct gw_buf *out, const struct gw_upstream_error *ue, struct gw_str request_id)
{
	bool is_ours = gw_err_info(ue->err)->code[0] != '\0'; /* the row has a code of its own */

	put_error(out, ue->err, ue->message, is_private(ue->err) ? GW_NIL : ue->param, is_ours ? GW_NIL : ue->code,
		  request_id);
}
