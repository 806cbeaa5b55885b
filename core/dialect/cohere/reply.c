/* Whole v2 chat replies, both ways. Numbers may come as floats; content, plan, calls and citations stand beside each other. */
#include "core/dialect/cohere/cohere.h"

static bool count(const yyjson_val *obj, const char *key, uint64_t *out)
{
	yyjson_val *v = cohere_get(obj, key);
	double d = yyjson_get_num(v);

	if (!yyjson_is_num(v) || !(d >= 0))
		return false;
	*out = d > 1e9 ? 1000000000 : (uint64_t)d;
	return true;
}

struct gw_usage cohere_usage_read(const yyjson_val *v)
{
	const yyjson_val *tokens = cohere_get(v, "tokens"), *billed = cohere_get(v, "billed_units");
	struct gw_usage u = { 0 };

	u.is_known = count(tokens, "input_tokens", &u.input);
	u.is_known |= count(tokens, "output_tokens", &u.output);
	if (!u.is_known) {
		u.is_known = count(billed, "input_tokens", &u.input);
		u.is_known |= count(billed, "output_tokens", &u.output);
	}
	u.is_billed_apart = tokens && count(billed, "input_tokens", &u.billed_input);
	u.is_billed_apart &= count(billed, "output_tokens", &u.billed_output);
	count(tokens, "reasoning_tokens", &u.reasoning);
	count(v, "cached_tokens", &u.cache_read);
	count(billed, "search_units", &u.queries);
	gw_usage_settle(&u);
	return u;
}

static void tokens_write(struct gw_json_out *w, const char *key, const struct gw_usage *u, bool has_reasoning)
{
	gw_jw_key(w, gw_str_z(key));
	gw_jw_obj(w);
	gw_jw_ku64(w, "input_tokens", u->input);
	gw_jw_ku64(w, "output_tokens", u->output);
	if (has_reasoning && u->reasoning)
		gw_jw_ku64(w, "reasoning_tokens", u->reasoning);
	gw_jw_end_obj(w);
}

void cohere_usage_write(struct gw_json_out *w, const struct gw_usage *u)
{
	struct gw_usage billed = *u;

	if (u->is_billed_apart) {
		billed.input = u->billed_input;
		billed.output = u->billed_output;
	}
	gw_jw_obj(w);
	tokens_write(w, "billed_units", &billed, false);
	tokens_write(w, "tokens", u, true);
	gw_jw_ku64(w, "cached_tokens", u->cache_read);
	gw_jw_end_obj(w);
}

static const struct {
	const char *word;
	enum ir_finish finish;
} reasons[] = { { "COMPLETE", IR_FINISH_STOP },      { "STOP_SEQUENCE", IR_FINISH_STOP_SEQUENCE },
		{ "MAX_TOKENS", IR_FINISH_LENGTH },  { "TOOL_CALL", IR_FINISH_TOOL_CALLS },
		{ "ERROR_TOXIC", IR_FINISH_FILTER }, { "ERROR_LIMIT", IR_FINISH_LENGTH } };

enum gw_err cohere_finish_read(struct gw_str word, enum ir_finish *out)
{
	*out = word.n ? IR_FINISH_STOP : IR_FINISH_UNSET;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (gw_str_eq(word, gw_str_z(reasons[i].word)))
			*out = reasons[i].finish;
	}
	if (gw_str_eq(word, GW_LIT("TIMEOUT")))
		return GW_E_UP_TIMEOUT;
	return gw_str_eq(word, GW_LIT("ERROR")) ? GW_E_UP_SERVER : GW_OK;
}

struct gw_str cohere_finish_write(enum ir_finish f, bool has_call)
{
	if (f == IR_FINISH_FILTER || f == IR_FINISH_REFUSAL)
		return GW_LIT("ERROR"); /* the format has no other word for an answer that was held back */
	if (f == IR_FINISH_LENGTH)
		return GW_LIT("MAX_TOKENS");
	if (has_call || f == IR_FINISH_TOOL_CALLS)
		return GW_LIT("TOOL_CALL");
	return f == IR_FINISH_STOP_SEQUENCE ? GW_LIT("STOP_SEQUENCE") : GW_LIT("COMPLETE");
}

void cohere_citation_take(struct ir_citation *c, const yyjson_val *v)
{
	yyjson_val *start = cohere_get(v, "start"), *end = cohere_get(v, "end");
	const yyjson_val *source = yyjson_arr_get_first(cohere_get(v, "sources")),
			 *doc = cohere_get(source, "document");

	*c = (struct ir_citation){ .of = GW_D_COHERE, .raw = v, .next = c->next };
	c->start = yyjson_is_int(start) ? yyjson_get_sint(start) : -1;
	c->end = yyjson_is_int(end) ? yyjson_get_sint(end) : -1;
	c->quoted = cohere_str(cohere_get(v, "text"));
	c->url = cohere_str(cohere_get(doc, "url"));
	c->title = cohere_str(cohere_get(doc, "title"));
	if (!c->title.p)
		c->title = cohere_str(cohere_get(source, "id"));
}

void cohere_citation_write(struct gw_json_out *w, const struct ir_citation *c)
{
	if (c->raw && c->of == GW_D_COHERE) {
		gw_jw_val(w, c->raw);
		return;
	}
	gw_jw_obj(w);
	gw_jw_ki64(w, "start", c->start < 0 ? 0 : c->start);
	gw_jw_ki64(w, "end", c->end < 0 ? 0 : c->end);
	gw_jw_kstr(w, "text", c->quoted);
	gw_jw_key(w, GW_LIT("sources"));
	gw_jw_arr(w);
	gw_jw_obj(w);
	gw_jw_kstr(w, "type", GW_LIT("document"));
	gw_jw_kstr(w, "id", c->url.n ? c->url : c->title);
	gw_jw_key(w, GW_LIT("document"));
	gw_jw_obj(w);
	gw_jw_kstr(w, "url", c->url);
	gw_jw_kstr(w, "title", c->title);
	gw_jw_end_obj(w);
	gw_jw_end_obj(w);
	gw_jw_end_arr(w);
	gw_jw_kstr(w, "type", GW_LIT("TEXT_CONTENT"));
	gw_jw_end_obj(w);
}

/* ---- log probabilities ---- */

/* A piece may have several tokens whose texts are not told: they count as one, as probable as all of them together. */
static void token_read(struct gw_json_out *w, const yyjson_val *piece)
{
	struct gw_str text = cohere_str(cohere_get(piece, "text"));
	yyjson_arr_iter it = yyjson_arr_iter_with(cohere_get(piece, "logprobs"));
	double sum = 0;

	for (yyjson_val *p; (p = yyjson_arr_iter_next(&it));)
		sum += yyjson_get_num(p);
	gw_jw_obj(w);
	gw_jw_kstr(w, "token", text);
	gw_jw_key(w, GW_LIT("logprob"));
	gw_jw_double(w, sum >= -9999.0 && sum <= 0 ? sum : -9999.0);
	gw_jw_key(w, GW_LIT("bytes"));
	gw_jw_arr(w);
	for (size_t i = 0; i < text.n; i++)
		gw_jw_u64(w, (uint8_t)text.p[i]);
	gw_jw_end_arr(w);
	gw_jw_key(w, GW_LIT("top_logprobs"));
	gw_jw_raw(w, GW_LIT("[]"));
	gw_jw_end_obj(w);
}

const yyjson_val *cohere_logprobs_read(struct gw_arena *a, const yyjson_val *v)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(cohere_val(v));
	struct gw_json_out w;
	struct gw_buf b;

	if (!yyjson_is_ctn(cohere_val(v)))
		return NULL;
	ir_logprobs_begin(a, &w, &b);
	if (yyjson_is_obj(cohere_val(v)))
		token_read(&w, v);
	for (yyjson_val *p; (p = yyjson_arr_iter_next(&it));)
		token_read(&w, p);
	return ir_logprobs_end(a, &w);
}

/* Other vendors tell no token ids. */
void cohere_logprob_write(struct gw_json_out *w, const yyjson_val *token)
{
	const yyjson_val *p = cohere_get(token, "logprob");

	gw_jw_obj(w);
	gw_jw_key(w, GW_LIT("token_ids"));
	gw_jw_raw(w, GW_LIT("[]"));
	gw_jw_kstr(w, "text", cohere_str(cohere_get(token, "token")));
	gw_jw_key(w, GW_LIT("logprobs"));
	gw_jw_arr(w);
	if (yyjson_is_num(cohere_val(p)))
		gw_jw_val(w, p);
	gw_jw_end_arr(w);
	gw_jw_end_obj(w);
}

static void logprobs_write(struct gw_json_out *w, const yyjson_val *logprobs)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(cohere_get(logprobs, "content"));

	if (!logprobs)
		return;
	gw_jw_key(w, GW_LIT("logprobs"));
	gw_jw_arr(w);
	for (yyjson_val *t; (t = yyjson_arr_iter_next(&it));)
		cohere_logprob_write(w, t);
	gw_jw_end_arr(w);
}

/* ---- reading ---- */

static enum gw_err content_read(struct gw_arena *a, const yyjson_val *v, struct ir_block ***tail)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(cohere_val(v));

	for (yyjson_val *p; (p = yyjson_arr_iter_next(&it));) {
		bool is_thinking = cohere_is(cohere_get(p, "type"), "thinking");
		struct ir_block *b;

		if (!is_thinking && !cohere_is(cohere_get(p, "type"), "text"))
			continue;
		b = ir_block_add(a, *tail, is_thinking ? IR_REASONING : IR_TEXT);
		if (!b)
			return GW_E_NOMEM;
		b->text = cohere_str(cohere_get(p, is_thinking ? "thinking" : "text"));
		*tail = &b->next;
	}
	return GW_OK;
}

static enum gw_err calls_read(struct gw_arena *a, const yyjson_val *v, const struct gw_carry *c,
			      struct ir_block ***tail)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(cohere_val(v));

	for (yyjson_val *call; (call = yyjson_arr_iter_next(&it));) {
		const yyjson_val *f = cohere_get(call, "function");
		struct ir_block *b;

		if (!yyjson_is_obj(call))
			continue;
		b = ir_block_add(a, *tail, IR_TOOL_CALL);
		if (!b)
			return GW_E_NOMEM;
		b->id = cohere_str(cohere_get(call, "id"));
		b->name = gw_carry_name_back(c, cohere_str(cohere_get(f, "name")));
		b->args = cohere_str(cohere_get(f, "arguments"));
		if (!b->args.n)
			b->args = GW_LIT("{}");
		*tail = &b->next;
	}
	return GW_OK;
}

static enum gw_err citations_read(struct gw_arena *a, const yyjson_val *v, struct ir_block *blocks)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(cohere_val(v));
	struct ir_citation **tail;

	while (blocks && blocks->kind != IR_TEXT)
		blocks = blocks->next;
	if (!blocks)
		return GW_OK;
	tail = &blocks->citations;
	for (yyjson_val *one; (one = yyjson_arr_iter_next(&it));) {
		struct ir_block tmp = { 0 };

		if (!yyjson_is_obj(one))
			continue;
		*tail = ir_citation_add(a, &tmp);
		if (!*tail)
			return GW_E_NOMEM;
		cohere_citation_take(*tail, one);
		tail = &(*tail)->next;
	}
	return GW_OK;
}

enum gw_err cohere_reply_read(struct gw_arena *a, const yyjson_val *root, const struct gw_carry *c,
			      struct ir_reply *out)
{
	const yyjson_val *m = cohere_get(root, "message");
	struct gw_str plan = cohere_str(cohere_get(m, "tool_plan"));
	struct ir_block **tail, *b;
	struct ir_choice *ch;
	enum gw_err e;

	if (!yyjson_is_obj(cohere_val(m)))
		return GW_E_UP_GARBLED;
	out->source = GW_D_COHERE;
	out->id = cohere_str(cohere_get(root, "id"));
	ch = ir_choice_add(a, out, 0);
	if (!ch)
		return GW_E_NOMEM;
	ch->finish_raw = cohere_str(cohere_get(root, "finish_reason"));
	e = cohere_finish_read(ch->finish_raw, &ch->finish);
	if (e)
		return e;
	tail = &ch->blocks;
	if (plan.n) {
		b = ir_block_add(a, tail, IR_REASONING);
		if (!b)
			return GW_E_NOMEM;
		b->text = plan;
		b->form = COHERE_B_PLAN;
		tail = &b->next;
	}
	if (content_read(a, cohere_get(m, "content"), &tail) || calls_read(a, cohere_get(m, "tool_calls"), c, &tail) ||
	    citations_read(a, cohere_get(m, "citations"), ch->blocks))
		return GW_E_NOMEM;
	ch->logprobs = cohere_logprobs_read(a, cohere_get(root, "logprobs"));
	out->usage = cohere_usage_read(cohere_get(root, "usage"));
	return GW_OK;
}

/* ---- writing ---- */

struct gw_str cohere_id_out(const struct gw_str id, enum gw_dialect_id source, const struct gw_carry *c)
{
	return source == GW_D_COHERE && id.n ? id : c->request_id;
}

/* The plan of its own replies stands beside the content. */
static bool is_written(const struct ir_block *b, const struct gw_carry *c, bool is_home)
{
	if (b->kind == IR_REASONING)
		return b->text.n && c->wants_reasoning_text && !(is_home && (b->form & COHERE_B_PLAN));
	return (b->kind == IR_TEXT || b->kind == IR_REFUSAL) && b->text.n;
}

static void content_write(struct gw_json_out *w, const struct ir_block *blocks, const struct gw_carry *c, bool is_home)
{
	size_t n = 0;

	for (const struct ir_block *b = blocks; b; b = b->next) {
		const char *type = b->kind == IR_REASONING ? "thinking" : "text";

		if (!is_written(b, c, is_home))
			continue;
		if (!n++) {
			gw_jw_key(w, GW_LIT("content"));
			gw_jw_arr(w);
		}
		gw_jw_obj(w);
		gw_jw_kstr(w, "type", gw_str_z(type));
		gw_jw_kstr(w, type, b->text);
		gw_jw_end_obj(w);
	}
	if (n)
		gw_jw_end_arr(w);
}

static bool calls_write(struct gw_arena *a, struct gw_json_out *w, const struct ir_block *blocks,
			const struct gw_carry *c)
{
	uint64_t n = 0;

	for (const struct ir_block *b = blocks; b; b = b->next) {
		if (b->kind != IR_TOOL_CALL)
			continue;
		if (!n++) {
			gw_jw_key(w, GW_LIT("tool_calls"));
			gw_jw_arr(w);
		}
		gw_jw_obj(w);
		gw_jw_kstr(w, "id", b->id.n ? b->id : ir_make_id(a, "call_", c->seed, n, 24));
		gw_jw_kstr(w, "type", GW_LIT("function"));
		gw_jw_key(w, GW_LIT("function"));
		gw_jw_obj(w);
		gw_jw_kstr(w, "name", b->name);
		gw_jw_kstr(w, "arguments", b->args.n ? b->args : GW_LIT("{}"));
		gw_jw_end_obj(w);
		gw_jw_end_obj(w);
	}
	if (n)
		gw_jw_end_arr(w);
	return n > 0;
}

static void citations_write(struct gw_json_out *w, const struct ir_block *blocks)
{
	size_t n = 0;

	for (const struct ir_block *b = blocks; b; b = b->next) {
		for (const struct ir_citation *c = b->kind == IR_TEXT ? b->citations : NULL; c; c = c->next) {
			if (!n++) {
				gw_jw_key(w, GW_LIT("citations"));
				gw_jw_arr(w);
			}
			cohere_citation_write(w, c);
		}
	}
	if (n)
		gw_jw_end_arr(w);
}

enum gw_err cohere_reply_write(struct gw_arena *a, const struct ir_reply *in, const struct gw_carry *c,
			       struct gw_buf *body)
{
	const struct ir_choice *ch = in->choices;
	struct gw_json_out w;
	bool has_call;

	gw_jw_init(&w, body);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "id", cohere_id_out(in->id, in->source, c));
	gw_jw_key(&w, GW_LIT("message"));
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "role", GW_LIT("assistant"));
	for (const struct ir_block *b = ch->blocks; b; b = b->next) {
		if (in->source == GW_D_COHERE && (b->form & COHERE_B_PLAN))
			gw_jw_kstr(&w, "tool_plan", b->text);
	}
	content_write(&w, ch->blocks, c, in->source == GW_D_COHERE);
	has_call = calls_write(a, &w, ch->blocks, c);
	citations_write(&w, ch->blocks);
	gw_jw_end_obj(&w);
	gw_jw_kstr(&w, "finish_reason", cohere_finish_write(ch->finish, has_call));
	gw_jw_key(&w, GW_LIT("usage"));
	cohere_usage_write(&w, &in->usage);
	logprobs_write(&w, ch->logprobs);
	gw_jw_end_obj(&w);
	return a->is_full ? GW_E_NOMEM : body->err;
}
