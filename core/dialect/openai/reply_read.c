/* Whole chat completions replies into the IR. Providers are hostile or merely odd: any value may have any type. */
#include "core/dialect/openai/openai.h"

enum { MAX_CHOICES = 128 };

enum ir_finish openai_finish(struct gw_str word, int *status)
{
	static const struct {
		const char *word;
		enum ir_finish finish;
		int status;
	} words[] = {
		{ "stop", IR_FINISH_STOP, 0 },
		{ "length", IR_FINISH_LENGTH, 0 },
		{ "tool_calls", IR_FINISH_TOOL_CALLS, 0 },
		{ "function_call", IR_FINISH_TOOL_CALLS, 0 },
		{ "content_filter", IR_FINISH_FILTER, 0 },
		{ "model_length", IR_FINISH_LENGTH, 0 },
		{ "max_tokens", IR_FINISH_LENGTH, 0 },
		{ "model_context_window_exceeded", IR_FINISH_LENGTH, 0 },
		{ "tool_use", IR_FINISH_TOOL_CALLS, 0 },
		{ "stop_sequence", IR_FINISH_STOP_SEQUENCE, 0 },
		{ "sensitive", IR_FINISH_FILTER, 0 },
		{ "refusal", IR_FINISH_REFUSAL, 0 },
		{ "error", IR_FINISH_STOP, 500 },
		{ "insufficient_system_resource", IR_FINISH_STOP, 503 },
		{ "network_error", IR_FINISH_STOP, 502 },
	};

	*status = 0;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (gw_str_eq(word, gw_str_z(words[i].word))) {
			*status = words[i].status;
			return words[i].finish;
		}
	}
	return IR_FINISH_STOP; /* eos, end_turn and what else they say */
}

/* ---- citations ---- */

static int64_t position(const yyjson_val *v, struct gw_str key)
{
	yyjson_val *n = gw_json_get(v, key);

	return yyjson_is_int(n) && yyjson_get_sint(n) >= 0 ? yyjson_get_sint(n) : -1;
}

static bool add_citation(struct gw_arena *a, struct ir_block *to, struct gw_str url, struct gw_str title,
			 const yyjson_val *raw)
{
	struct ir_citation *c = ir_citation_add(a, to);

	if (!c)
		return false;
	c->url = url;
	c->title = title;
	c->of = GW_D_OPENAI;
	c->raw = raw;
	return true;
}

bool openai_read_annotations(struct gw_arena *a, yyjson_val *list, struct ir_block *to)
{
	yyjson_val *v;
	size_t i, max;

	yyjson_arr_foreach(list, i, max, v)
	{
		yyjson_val *url = yyjson_obj_get(v, "url_citation");
		struct ir_citation *c;

		if (!yyjson_is_obj(url))
			continue;
		if (!add_citation(a, to, ir_get_str(url, GW_LIT("url")), ir_get_str(url, GW_LIT("title")), v))
			return false;
		for (c = to->citations; c->next; c = c->next)
			;
		c->quoted = ir_get_str(url, GW_LIT("content"));
		c->start = position(url, GW_LIT("start_index"));
		c->end = position(url, GW_LIT("end_index"));
	}
	return true;
}

/* Perplexity: beside the choices, as search_results or plain addresses. */
bool openai_read_citations(struct gw_arena *a, const yyjson_val *root, struct ir_block *to)
{
	yyjson_val *results = gw_json_get(root, GW_LIT("search_results")),
		   *plain = gw_json_get(root, GW_LIT("citations")), *v;
	bool has_results = yyjson_is_arr(results) && yyjson_arr_size(results);
	size_t i, max;

	yyjson_arr_foreach(has_results ? results : plain, i, max, v)
	{
		struct gw_str url = yyjson_is_str(v) ? gw_json_str(v) : ir_get_str(v, GW_LIT("url"));

		if (url.n && !add_citation(a, to, url, ir_get_str(v, GW_LIT("title")), NULL))
			return false;
	}
	return true;
}

/* ---- blocks ---- */

static bool add_text(struct gw_arena *a, struct ir_block **list, enum ir_block_kind kind, struct gw_str text)
{
	struct ir_block *b;

	if (!text.n)
		return true;
	b = ir_block_add(a, list, kind);
	if (b)
		b->text = text;
	return b != NULL;
}

static bool add_image(struct gw_arena *a, struct ir_block **list, const yyjson_val *part)
{
	struct gw_str url = ir_get_str(gw_json_get(part, GW_LIT("image_url")), GW_LIT("url"));
	struct ir_block *b;

	if (!url.n)
		return true;
	b = ir_block_add(a, list, IR_IMAGE);
	if (!b)
		return false;
	b->media.from = ir_data_url(url, &b->media.mime, &b->media.data) ? IR_BASE64 : IR_URL;
	if (b->media.from == IR_URL)
		b->media.data = url;
	return true;
}

/* A text, or Mistral's list of text, thinking and references. */
static bool read_content(struct gw_arena *a, yyjson_val *v, struct ir_block **list)
{
	yyjson_val *part;
	size_t i, max;

	if (yyjson_is_str(v))
		return add_text(a, list, IR_TEXT, gw_json_str(v));
	yyjson_arr_foreach(v, i, max, part)
	{
		struct gw_str type = ir_get_str(part, GW_LIT("type"));

		if (gw_str_eq(type, GW_LIT("thinking"))) {
			if (!add_text(a, list, IR_REASONING, openai_thinking_text(a, part)))
				return false;
		} else if (gw_str_eq(type, GW_LIT("image_url"))) {
			if (!add_image(a, list, part))
				return false;
		} else if (!add_text(a, list, gw_str_eq(type, GW_LIT("refusal")) ? IR_REFUSAL : IR_TEXT,
				     ir_get_str(part, gw_str_eq(type, GW_LIT("refusal")) ? GW_LIT("refusal")
											 : GW_LIT("text")))) {
			return false;
		}
	}
	return true;
}

static bool read_call(struct gw_arena *a, yyjson_val *call, const struct gw_carry *c, uint64_t counter,
		      struct ir_block **list)
{
	bool is_custom = gw_str_eq(ir_get_str(call, GW_LIT("type")), GW_LIT("custom"));
	yyjson_val *fn = gw_json_get(call, is_custom ? GW_LIT("custom") : GW_LIT("function")), *args;
	struct gw_str name = ir_get_str(fn, GW_LIT("name"));
	struct ir_block *b;

	if (!name.n)
		return true;
	b = ir_block_add(a, list, IR_TOOL_CALL);
	if (!b)
		return false;
	b->is_custom = is_custom;
	b->name = gw_carry_name_back(c, name);
	b->id = ir_get_str(call, GW_LIT("id"));
	if (!b->id.n)
		b->id = ir_make_id(a, "call_", c->seed, counter, 24);
	b->signature = openai_call_signature(call);
	b->signature_of = b->signature.n ? GW_D_GEMINI : GW_D_NONE;
	args = gw_json_get(fn, is_custom ? GW_LIT("input") : GW_LIT("arguments"));
	if (yyjson_is_str(args))
		b->args = gw_json_str(args);
	else if (yyjson_is_obj(args))
		b->args = ir_tree_text(a, args);
	return b->id.p && (b->args.p || !yyjson_is_obj(args));
}

static bool read_calls(struct gw_arena *a, yyjson_val *message, const struct gw_carry *c, uint32_t choice,
		       struct ir_block **list)
{
	yyjson_val *calls = gw_json_get(message, GW_LIT("tool_calls")),
		   *old = gw_json_get(message, GW_LIT("function_call")), *v;
	size_t i, max;

	yyjson_arr_foreach(calls, i, max, v)
	{
		if (!read_call(a, v, c, ((uint64_t)choice << 32) + i, list))
			return false;
	}
	if (ir_get_str(old, GW_LIT("name")).n) {
		struct ir_block *b = ir_block_add(a, list, IR_TOOL_CALL);

		if (!b)
			return false;
		b->name = gw_carry_name_back(c, ir_get_str(old, GW_LIT("name")));
		b->args = ir_get_str(old, GW_LIT("arguments"));
		b->id = ir_make_id(a, "call_", c->seed, (uint64_t)choice << 32, 24);
		return b->id.p != NULL;
	}
	return true;
}

static bool read_media(struct gw_arena *a, yyjson_val *message, struct ir_block **list)
{
	yyjson_val *images = gw_json_get(message, GW_LIT("images")), *audio = gw_json_get(message, GW_LIT("audio")), *v;
	struct gw_str data = ir_get_str(audio, GW_LIT("data"));
	struct ir_block *b;
	size_t i, max;

	yyjson_arr_foreach(images, i, max, v)
	{
		if (!add_image(a, list, v))
			return false;
	}
	if (!data.n)
		return true;
	b = ir_block_add(a, list, IR_AUDIO);
	if (!b)
		return false;
	b->media = (struct ir_media){ .from = IR_BASE64, .data = data };
	b->text = ir_get_str(audio, GW_LIT("transcript"));
	b->id = ir_get_str(audio, GW_LIT("id"));
	b->other = audio;
	return true;
}

bool openai_read_extra(struct gw_arena *a, const yyjson_val *root, struct ir_extra **to)
{
	static const char *const known[] = { "id",      "object", "created", "model",
					     "choices", "usage",  "error",   "service_tier" };
	yyjson_obj_iter it = yyjson_obj_iter_with((yyjson_val *)(uintptr_t)root);
	size_t i;

	for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
		for (i = 0; i < sizeof(known) / sizeof(known[0]) && !yyjson_equals_str(key, known[i]); i++)
			;
		if (i == sizeof(known) / sizeof(known[0]) &&
		    !ir_extra_add(a, to, GW_D_OPENAI, key, yyjson_obj_iter_get_val(key)))
			return false;
	}
	return true;
}

static struct ir_block *first_text(struct ir_block *list)
{
	while (list && list->kind != IR_TEXT)
		list = list->next;
	return list;
}

static bool has_kind(const struct ir_block *b, enum ir_block_kind k)
{
	while (b && b->kind != k)
		b = b->next;
	return b != NULL;
}

static bool read_message(struct gw_arena *a, const yyjson_val *root, yyjson_val *m, const struct gw_carry *c,
			 struct ir_choice *ch)
{
	struct ir_block *text;
	unsigned took;

	if (!openai_read_reasoning(a, m, &ch->blocks, &took) ||
	    !read_content(a, gw_json_get(m, GW_LIT("content")), &ch->blocks) ||
	    !add_text(a, &ch->blocks, IR_REFUSAL, ir_get_str(m, GW_LIT("refusal"))) || !read_media(a, m, &ch->blocks) ||
	    !read_calls(a, m, c, ch->index, &ch->blocks))
		return false;
	text = first_text(ch->blocks);
	if (!text)
		return true;
	return openai_read_annotations(a, gw_json_get(m, GW_LIT("annotations")), text) &&
	       (text->citations || openai_read_citations(a, root, text));
}

static enum gw_err read_choice(struct gw_arena *a, const yyjson_val *root, yyjson_val *v, const struct gw_carry *c,
			       struct ir_reply *out, size_t at)
{
	yyjson_val *index = gw_json_get(v, GW_LIT("index")), *m = gw_json_get(v, GW_LIT("message")), *lp;
	struct ir_choice *ch;
	int status;

	ch = ir_choice_add(a, out,
			   yyjson_is_uint(index) && yyjson_get_uint(index) < MAX_CHOICES
			       ? (uint32_t)yyjson_get_uint(index)
			       : (uint32_t)at);
	if (!ch || !read_message(a, root, m, c, ch))
		return GW_E_NOMEM;
	ch->finish_raw = ir_get_str(v, GW_LIT("finish_reason"));
	ch->finish = openai_finish(ch->finish_raw, &status);
	if (status && !ch->blocks)
		return GW_E_UP_SERVER;
	if (ch->finish == IR_FINISH_STOP && has_kind(ch->blocks, IR_TOOL_CALL))
		ch->finish = IR_FINISH_TOOL_CALLS; /* some never say so, and others never when one tool was demanded */
	lp = gw_json_get(v, GW_LIT("logprobs"));
	if (yyjson_is_obj(lp) && yyjson_is_arr(gw_json_get(lp, GW_LIT("content"))))
		ch->logprobs = lp;
	return GW_OK;
}

enum gw_err openai_read_reply(struct gw_arena *a, const yyjson_val *root, const struct gw_carry *c,
			      struct ir_reply *out)
{
	yyjson_val *choices =
	    yyjson_is_obj((yyjson_val *)(uintptr_t)root) ? gw_json_get(root, GW_LIT("choices")) : NULL;
	yyjson_val *created, *v;
	size_t i, max;
	enum gw_err e;

	if (!yyjson_is_arr(choices) || !yyjson_arr_size(choices))
		return GW_E_UP_GARBLED;
	created = gw_json_get(root, GW_LIT("created"));
	out->id = ir_get_str(root, GW_LIT("id"));
	out->model = ir_get_str(root, GW_LIT("model"));
	out->created = yyjson_is_int(created) ? yyjson_get_sint(created) : 0;
	out->service_tier = ir_get_str(root, GW_LIT("service_tier"));
	yyjson_arr_foreach(choices, i, max, v)
	{
		if (i == MAX_CHOICES)
			break;
		if (!yyjson_is_obj(v))
			return GW_E_UP_GARBLED;
		e = read_choice(a, root, v, c, out, i);
		if (e)
			return e;
	}
	ir_usage_read(&out->usage, root);
	return openai_read_extra(a, root, &out->extra) ? GW_OK : GW_E_NOMEM;
}
