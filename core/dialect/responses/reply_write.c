/* Whole replies of responses from the IR; the response object repeats what the request asked for. */
#include "core/dialect/responses/responses.h"

struct gw_str responses_reason(enum ir_finish f)
{
	if (f == IR_FINISH_LENGTH)
		return GW_LIT("max_output_tokens");
	return f == IR_FINISH_FILTER || f == IR_FINISH_REFUSAL ? GW_LIT("content_filter") : GW_NIL;
}

static const struct {
	const char *name, *otherwise; /* NULL: not told when it was not sent */
} repeated[] = {
	{ "instructions", "null" },
	{ "max_output_tokens", "null" },
	{ "max_tool_calls", "null" },
	{ "parallel_tool_calls", "true" },
	{ "reasoning", "{\"effort\":null,\"summary\":null}" },
	{ "temperature", "1.0" },
	{ "text", "{\"format\":{\"type\":\"text\"}}" },
	{ "tool_choice", "\"auto\"" },
	{ "tools", "[]" },
	{ "top_logprobs", "0" },
	{ "top_p", "1.0" },
	{ "truncation", "\"disabled\"" },
	{ "user", "null" },
	{ "metadata", "{}" },
	{ "prompt_cache_key", NULL },
	{ "safety_identifier", NULL },
};

/* The parameters of the request, or what they are when they were not sent. root NULL: none was. */
void responses_write_echo(const yyjson_val *root, struct gw_buf *out)
{
	bool is_first = true;

	for (size_t i = 0; i < sizeof(repeated) / sizeof(repeated[0]); i++) {
		yyjson_val *v = root ? gw_json_get(root, gw_str_z(repeated[i].name)) : NULL;
		struct gw_json_out w;

		if (yyjson_is_null(v))
			v = NULL;
		if (!v && !repeated[i].otherwise)
			continue;
		gw_buf_puts(out, is_first ? GW_LIT("\"") : GW_LIT(",\""));
		gw_buf_puts(out, gw_str_z(repeated[i].name));
		gw_buf_puts(out, GW_LIT("\":"));
		is_first = false;
		if (!v) {
			gw_buf_puts(out, gw_str_z(repeated[i].otherwise));
			continue;
		}
		gw_jw_init(&w, out);
		gw_jw_val(&w, v);
	}
}

static void put_error(struct gw_json_out *w, const struct gw_error_told *told)
{
	gw_jw_key(w, GW_LIT("error"));
	if (!told) {
		gw_jw_null(w);
		return;
	}
	gw_jw_obj(w);
	gw_jw_kstr(w, "code", told->code.n ? told->code : GW_LIT("server_error"));
	gw_jw_key(w, GW_LIT("message"));
	gw_jw_raw(w, GW_LIT(""));
	gw_error_put_message(w->b, told);
	gw_jw_end_obj(w);
}

void responses_write_response(struct gw_json_out *w, const struct gw_carry *c, const struct responses_told *t)
{
	gw_jw_obj(w);
	gw_jw_kstr(w, "id", t->id);
	gw_jw_kstr(w, "object", GW_LIT("response"));
	gw_jw_ki64(w, "created_at", t->created > 0 ? t->created : c->now_s);
	gw_jw_kstr(w, "status", t->status);
	gw_jw_kbool(w, "background", false);
	put_error(w, t->error);
	gw_jw_key(w, GW_LIT("incomplete_details"));
	if (t->reason.n) {
		gw_jw_obj(w);
		gw_jw_kstr(w, "reason", t->reason);
		gw_jw_end_obj(w);
	} else {
		gw_jw_null(w);
	}
	gw_jw_kstr(w, "model", c->model);
	gw_jw_key(w, GW_LIT("output"));
	gw_jw_raw(w, GW_LIT("["));
	gw_buf_puts(w->b, t->output);
	gw_buf_puts(w->b, GW_LIT("],"));
	if (c->echo.n)
		gw_buf_puts(w->b, c->echo);
	else
		responses_write_echo(NULL, w->b);
	gw_jw_key(w, GW_LIT("previous_response_id"));
	gw_jw_null(w);
	gw_jw_kbool(w, "store", false);
	gw_jw_kstr(w, "service_tier", ir_tier_word(t->tier).p ? ir_tier_word(t->tier) : GW_LIT("default"));
	gw_jw_key(w, GW_LIT("usage"));
	if (t->usage && t->usage->is_known)
		ir_usage_write(w, t->usage, true);
	else
		gw_jw_null(w);
	gw_jw_end_obj(w);
}

void responses_write_annotation(struct gw_json_out *w, const struct ir_citation *c)
{
	if (c->of == GW_D_RESPONSES && c->raw) {
		gw_jw_val(w, c->raw);
		return;
	}
	gw_jw_obj(w);
	gw_jw_kstr(w, "type", GW_LIT("url_citation"));
	gw_jw_ki64(w, "start_index", c->start < 0 ? 0 : c->start);
	gw_jw_ki64(w, "end_index", c->end < 0 ? 0 : c->end);
	gw_jw_kstr(w, "url", c->url);
	gw_jw_kstr(w, "title", c->title);
	gw_jw_end_obj(w);
}

static void put_message(struct gw_json_out *w, const struct responses_item *it, struct gw_str status)
{
	bool is_refusal = it->block->kind == IR_REFUSAL;

	gw_jw_kstr(w, "status", status);
	gw_jw_kstr(w, "role", GW_LIT("assistant"));
	gw_jw_key(w, GW_LIT("content"));
	gw_jw_arr(w);
	if (it->is_done) {
		gw_jw_obj(w);
		gw_jw_kstr(w, "type", is_refusal ? GW_LIT("refusal") : GW_LIT("output_text"));
		gw_jw_kstr(w, is_refusal ? "refusal" : "text", it->text);
		if (!is_refusal) {
			gw_jw_key(w, GW_LIT("annotations"));
			gw_jw_raw(w, GW_LIT("["));
			gw_buf_puts(w->b, it->annotations);
			gw_buf_puts(w->b, GW_LIT("],\"logprobs\":["));
			gw_buf_puts(w->b, it->logprobs);
			gw_buf_putc(w->b, ']');
		}
		gw_jw_end_obj(w);
	}
	gw_jw_end_arr(w);
}

static void put_reasoning(struct gw_json_out *w, const struct responses_item *it)
{
	gw_jw_key(w, GW_LIT("summary"));
	gw_jw_arr(w);
	if (it->is_done && it->text.n) {
		gw_jw_obj(w);
		gw_jw_kstr(w, "type", GW_LIT("summary_text"));
		gw_jw_kstr(w, "text", it->text);
		gw_jw_end_obj(w);
	}
	gw_jw_end_arr(w);
	if (!it->is_done && !it->block->signature.n)
		return;
	gw_jw_key(w, GW_LIT("encrypted_content"));
	gw_jw_raw(w, GW_NIL); /* what comes next is its value */
	ir_mark_quote(w->b, it->block->signature, it->block->signature_of, GW_D_RESPONSES);
}

void responses_write_item(struct gw_json_out *w, const struct responses_item *it)
{
	const struct ir_block *b = it->block;
	struct gw_str status = it->is_done ? GW_LIT("completed") : GW_LIT("in_progress");

	if (b->kind == IR_OTHER) {
		gw_jw_val(w, b->other);
		return;
	}
	gw_jw_obj(w);
	gw_jw_kstr(w, "id", it->id);
	gw_jw_kstr(w, "type",
		   b->kind == IR_REASONING   ? GW_LIT("reasoning")
		   : b->kind != IR_TOOL_CALL ? GW_LIT("message")
		   : b->is_custom            ? GW_LIT("custom_tool_call")
					     : GW_LIT("function_call"));
	if (b->kind == IR_REASONING) {
		put_reasoning(w, it);
	} else if (b->kind == IR_TOOL_CALL) {
		gw_jw_kstr(w, "status", status);
		gw_jw_kstr(w, "call_id", b->id);
		gw_jw_kstr(w, "name", b->name);
		gw_jw_kstr(w, b->is_custom ? "input" : "arguments",
			   it->text.n || b->is_custom || !it->is_done ? it->text : GW_LIT("{}"));
	} else {
		put_message(w, it, status);
	}
	gw_jw_end_obj(w);
}

static bool is_item(const struct ir_block *b)
{
	if (b->kind == IR_OTHER)
		return b->other_of == GW_D_RESPONSES;
	return b->kind == IR_TEXT || b->kind == IR_REFUSAL || b->kind == IR_REASONING || b->kind == IR_TOOL_CALL;
}

struct gw_str responses_item_id(struct gw_arena *a, const struct ir_block *b, const struct gw_carry *c, uint64_t n)
{
	const char *prefix = b->kind == IR_REASONING   ? "rs_"
			     : b->kind != IR_TOOL_CALL ? "msg_"
			     : b->is_custom            ? "ctc_"
						       : "fc_";

	return ir_make_id(a, prefix, c->seed, n + 1, 32);
}

void responses_write_logprobs(struct gw_buf *out, const yyjson_val *logprobs)
{
	yyjson_val *v, *list = gw_json_get(logprobs, GW_LIT("content"));
	struct gw_json_out w;
	size_t i, max;

	yyjson_arr_foreach(list, i, max, v)
	{
		if (out->n)
			gw_buf_putc(out, ',');
		gw_jw_init(&w, out);
		gw_jw_val(&w, v);
	}
}

static void put_notes(const struct ir_block *b, struct gw_buf *notes)
{
	struct gw_json_out w;

	for (const struct ir_citation *k = b->citations; k; k = k->next) {
		if (!k->url.n && !(k->of == GW_D_RESPONSES && k->raw))
			continue;
		if (notes->n)
			gw_buf_putc(notes, ',');
		gw_jw_init(&w, notes);
		responses_write_annotation(&w, k);
	}
}

static enum gw_err put_output(struct gw_arena *a, const struct ir_reply *in, const struct gw_carry *c,
			      struct gw_buf *out)
{
	const yyjson_val *logprobs = in->choices->logprobs; /* of the first text: there is one list for all */
	struct gw_buf notes, probs;
	struct gw_json_out w;
	uint64_t n = 0;
	enum gw_err e = GW_OK;

	for (const struct ir_block *b = in->choices->blocks; b && !e; b = b->next) {
		struct responses_item it = { .block = b,
					     .is_done = true,
					     .text = b->kind == IR_TOOL_CALL ? b->args : b->text };

		if (!is_item(b))
			continue;
		it.id = responses_item_id(a, b, c, n++);
		if (!it.id.p)
			return GW_E_NOMEM;
		gw_buf_init(&notes, 4 << 20);
		gw_buf_init(&probs, 4 << 20);
		put_notes(b, &notes);
		if (b->kind == IR_TEXT && logprobs) {
			responses_write_logprobs(&probs, logprobs);
			logprobs = NULL;
		}
		it.logprobs = gw_buf_view(&probs);
		it.annotations = gw_buf_view(&notes);
		if (out->n)
			gw_buf_putc(out, ',');
		gw_jw_init(&w, out);
		responses_write_item(&w, &it);
		e = notes.err ? notes.err : probs.err;
		gw_buf_done(&notes);
		gw_buf_done(&probs);
	}
	return e ? e : out->err;
}

enum gw_err responses_write_reply(struct gw_arena *a, const struct ir_reply *in, const struct gw_carry *c,
				  struct gw_buf *body)
{
	struct responses_told t = {
		.id = in->id, .created = in->created, .usage = &in->usage, .tier = in->service_tier
	};
	struct gw_json_out w;
	struct gw_buf items;
	enum gw_err e;

	if (!gw_str_has_prefix(t.id, GW_LIT("resp_")))
		t.id = ir_make_id(a, "resp_", c->seed, 0, 48);
	if (!t.id.p)
		return GW_E_NOMEM;
	gw_buf_init(&items, body->max);
	e = put_output(a, in, c, &items);
	t.output = gw_buf_view(&items);
	t.reason = responses_reason(in->choices->finish);
	t.status = t.reason.n ? GW_LIT("incomplete") : GW_LIT("completed");
	if (!e) {
		gw_jw_init(&w, body);
		responses_write_response(&w, c, &t);
		e = body->err;
	}
	gw_buf_done(&items);
	return e;
}
