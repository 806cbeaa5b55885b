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

/* Nested, as recorded traffic has it, and behind it the end of the response: some clients wait for the one, some for the other. */
static void write_error_event(const struct gw_error_told *told, const struct gw_carry *c, struct gw_buf *out)
{
	struct gw_buf b;
	struct gw_str inner;

	(void)c;
	gw_buf_init(&b, 65536);
	gw_error_write_openai(&b, told); /* {"error":{...}} */
	inner = gw_str_skip(gw_buf_view(&b), 1);
	gw_buf_puts(out, GW_LIT("event: error\ndata: {\"type\":\"error\",\"sequence_number\":0,"));
	gw_buf_puts(out, inner);
	gw_buf_puts(out, GW_LIT("\n\nevent: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":1,"
				"\"response\":{\"id\":"));
	gw_json_quote(out, told->request_id);
	gw_buf_puts(out, GW_LIT(",\"object\":\"response\",\"status\":\"failed\",\"output\":[],"));
	gw_buf_puts(out, inner);
	gw_buf_puts(out, GW_LIT("}\n\n"));
	gw_buf_done(&b);
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
