/* The dialect's entry: OpenAI responses. */
#include "core/dialect/responses/responses.h"

#include <string.h>

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

static void open_event(const char *type, uint64_t seq, struct gw_buf *out)
{
	gw_buf_puts(out, GW_LIT("event: "));
	gw_buf_puts(out, gw_str_z(type));
	gw_buf_puts(out, GW_LIT("\ndata: {\"type\":\""));
	gw_buf_puts(out, gw_str_z(type));
	gw_buf_puts(out, GW_LIT("\",\"sequence_number\":"));
	gw_buf_put_u64(out, seq);
}

/* As recorded traffic has it: the error nested in an event, for SDKs that raise on it, then the response that failed, for those that wait for one
 * of the three ends. Both are numbered on. */
static void write_error_event(const struct gw_error_told *told, const struct gw_carry *c, struct gw_buf *out)
{
	struct responses_told t = { .id = c->reply_id, .status = GW_LIT("failed"), .error = told };
	char id[64] = "resp_";
	struct gw_json_out w;
	struct gw_buf b;

	gw_buf_init(&b, 65536);
	gw_error_write_openai(&b, told); /* {"error":{...}} */
	open_event("error", c->seq, out);
	gw_buf_putc(out, ',');
	gw_buf_puts(out, gw_str_skip(gw_buf_view(&b), 1));
	gw_buf_puts(out, GW_LIT("\n\n"));
	gw_buf_done(&b);
	if (!t.id.n && c->request_id.n <= sizeof(id) - 5) { /* it never told its own */
		memcpy(id + 5, c->request_id.p ? c->request_id.p : "", c->request_id.n);
		t.id = gw_str(id, 5 + c->request_id.n);
	}
	t.created = c->reply_created;
	open_event("response.failed", c->seq + 1, out);
	gw_buf_puts(out, GW_LIT(",\"response\":"));
	gw_jw_init(&w, out);
	responses_write_response(&w, c, &t);
	gw_buf_puts(out, GW_LIT("}\n\n"));
}

static bool is_foreign(struct gw_arena *a, yyjson_val *item)
{
	struct gw_str proof = ir_get_str(item, GW_LIT("encrypted_content"));
	enum gw_dialect_id of = GW_D_RESPONSES;

	if (proof.n)
		(void)ir_mark_take(a, proof, GW_D_RESPONSES, false, &of);
	return of != GW_D_RESPONSES;
}

static void put_items(struct gw_arena *a, struct gw_json_out *w, yyjson_val *input, struct ir_request *notes)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(input);

	gw_jw_arr(w);
	for (yyjson_val *item; (item = yyjson_arr_iter_next(&it));) {
		if (is_foreign(a, item))
			ir_drop(notes, "input[].encrypted_content");
		else
			gw_jw_val(w, item);
	}
	gw_jw_end_arr(w);
}

/* Everything as it came, but for reasoning items of other makers. */
static enum gw_err write_home(struct gw_arena *a, const yyjson_val *root, const struct gw_write_opts *o,
			      struct ir_request *notes, struct gw_buf *body)
{
	yyjson_obj_iter it = yyjson_obj_iter_with((yyjson_val *)(uintptr_t)root);
	struct gw_json_out w;

	gw_jw_init(&w, body);
	gw_jw_obj(&w);
	for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
		yyjson_val *val = yyjson_obj_iter_get_val(key);

		gw_jw_key(&w, gw_json_str(key));
		if (yyjson_equals_str(key, "model"))
			gw_jw_str(&w, o->model);
		else if (yyjson_equals_str(key, "input") && yyjson_is_arr(val))
			put_items(a, &w, val, notes);
		else
			gw_jw_val(&w, val);
	}
	gw_jw_end_obj(&w);
	return a->is_full ? GW_E_NOMEM : body->err;
}

const struct gw_dialect gw_responses = {
	.id = GW_D_RESPONSES,
	.name = "responses",
	.framing = GW_FRAMING_SSE,
	.is_serial = true,
	.reader_bytes = RESPONSES_READER_BYTES,
	.writer_bytes = RESPONSES_WRITER_BYTES,
	.read_request = responses_read_request,
	.write_echo = responses_write_echo,
	.write_request = responses_write_request,
	.write_home = write_home,
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
