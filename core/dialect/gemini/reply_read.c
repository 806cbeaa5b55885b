/* A generateContent reply into the IR, and what streams share with it: finish reasons, usage, log probabilities, citations. Any value may
 * have any type. */
#include "core/dialect/gemini/gemini.h"
#include "lib/text.h"

enum { MAX_CANDIDATES = 128, MAX_CITATIONS = 1024, MAX_DETAILS = 64 };

static yyjson_val *mut(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}

static struct gw_str word_of(const yyjson_val *obj, const char *key)
{
	return gw_json_str(gemini_get(obj, key));
}

/* ---- finish reasons ---- */

static const struct {
	const char *word;
	enum ir_finish finish;
	bool is_broken;
} reasons[] = {
	{ "STOP", IR_FINISH_STOP, false },
	{ "MAX_TOKENS", IR_FINISH_LENGTH, false },
	{ "SAFETY", IR_FINISH_FILTER, false },
	{ "RECITATION", IR_FINISH_FILTER, false },
	{ "LANGUAGE", IR_FINISH_FILTER, false },
	{ "BLOCKLIST", IR_FINISH_FILTER, false },
	{ "PROHIBITED_CONTENT", IR_FINISH_FILTER, false },
	{ "SPII", IR_FINISH_FILTER, false },
	{ "IMAGE_SAFETY", IR_FINISH_FILTER, false },
	{ "IMAGE_PROHIBITED_CONTENT", IR_FINISH_FILTER, false },
	{ "IMAGE_RECITATION", IR_FINISH_FILTER, false },
	{ "MODEL_ARMOR", IR_FINISH_FILTER, false },
	{ "MALFORMED_FUNCTION_CALL", IR_FINISH_STOP, true },
	{ "UNEXPECTED_TOOL_CALL", IR_FINISH_STOP, true },
	{ "TOO_MANY_TOOL_CALLS", IR_FINISH_STOP, true },
	{ "MISSING_THOUGHT_SIGNATURE", IR_FINISH_STOP, true },
	{ "MALFORMED_RESPONSE", IR_FINISH_STOP, true },
};
enum { N_REASONS = sizeof(reasons) / sizeof(reasons[0]) };

enum ir_finish gemini_finish_read(struct gw_str word, bool has_calls)
{
	enum ir_finish f = IR_FINISH_STOP;

	for (int i = 0; i < N_REASONS; i++) {
		if (gw_str_eq(gw_str_z(reasons[i].word), word))
			f = reasons[i].finish;
	}
	return f == IR_FINISH_STOP && has_calls ? IR_FINISH_TOOL_CALLS : f;
}

bool gemini_finish_is_known(struct gw_str word)
{
	for (int i = 0; i < N_REASONS; i++) {
		if (gw_str_eq(gw_str_z(reasons[i].word), word))
			return true;
	}
	return false;
}

bool gemini_finish_is_broken(struct gw_str word)
{
	for (int i = 0; i < N_REASONS; i++) {
		if (reasons[i].is_broken && gw_str_eq(gw_str_z(reasons[i].word), word))
			return true;
	}
	return false;
}

/* ---- usage ---- */

static bool count(const yyjson_val *meta, const char *key, uint64_t *out)
{
	const yyjson_val *v = gemini_get(meta, key);
	double d;

	if (!yyjson_is_num(mut(v)))
		return false;
	d = yyjson_get_num(mut(v));
	*out = d > 0 ? d < 1e9 ? (uint64_t)d : 1000000000 : 0;
	return true;
}

static void details(const yyjson_val *meta, const char *key, uint64_t *audio, uint64_t *image)
{
	const yyjson_val *list = gemini_get(meta, key);
	yyjson_arr_iter it;
	yyjson_val *d;
	unsigned n = 0;

	if (!yyjson_is_arr(mut(list)))
		return;
	yyjson_arr_iter_init(mut(list), &it);
	while ((d = yyjson_arr_iter_next(&it)) && ++n <= MAX_DETAILS) {
		struct gw_str m = word_of(d, "modality");

		if (gw_str_eq(m, GW_LIT("AUDIO")))
			(void)count(d, "tokenCount", audio);
		else if (gw_str_eq(m, GW_LIT("IMAGE")))
			(void)count(d, "tokenCount", image);
	}
}

/* Each chunk of a stream tells the totals so far, some of them only parts of it: what it does not tell stays. Gemini counts thoughts and
 * the results of its own tools apart from the answer and the prompt. */
void gemini_usage_read(const yyjson_val *meta, struct gemini_counts *k, struct gw_usage *u, struct gw_str *tier)
{
	uint64_t total = 0;
	bool is_told;

	if (!yyjson_is_obj(mut(meta)))
		return;
	is_told = count(meta, "promptTokenCount", &k->prompt);
	is_told |= count(meta, "toolUsePromptTokenCount", &k->tools);
	is_told |= count(meta, "thoughtsTokenCount", &k->thoughts);
	k->has_answer |= count(meta, "candidatesTokenCount", &k->answer);
	(void)count(meta, "cachedContentTokenCount", &u->cache_read);
	if (!k->has_answer &&
	    count(meta, "totalTokenCount", &total)) /* not told when it is nothing, or by older models */
		k->answer = total > k->prompt + k->tools + k->thoughts ? total - k->prompt - k->tools - k->thoughts : 0;
	if (is_told || k->has_answer) {
		u->input = k->prompt + k->tools;
		u->output = k->answer + k->thoughts;
		u->reasoning = k->thoughts;
		u->is_known = true;
	}
	details(meta, "promptTokensDetails", &u->audio_in, &u->image_in);
	details(meta, "candidatesTokensDetails", &u->audio_out, &u->image_out);
	if (tier && word_of(meta, "serviceTier").n) {
		*tier = word_of(meta, "serviceTier");
		u->tier = (uint8_t)gw_tier_of(*tier);
	}
	gw_usage_settle(u);
}

/* ---- log probabilities ---- */

static void put_token(struct gw_json_out *w, const yyjson_val *t)
{
	const yyjson_val *p = gemini_get(t, "logProbability");
	struct gw_str token = word_of(t, "token");

	gw_jw_kstr(w, "token", token);
	gw_jw_key(w, GW_LIT("logprob"));
	gw_jw_double(w, yyjson_is_num(mut(p)) ? yyjson_get_num(mut(p)) : -9999.0);
	gw_jw_key(w, GW_LIT("bytes"));
	gw_jw_arr(w);
	for (size_t i = 0; i < token.n; i++)
		gw_jw_u64(w, (uint8_t)token.p[i]);
	gw_jw_end_arr(w);
}

static void put_top(struct gw_json_out *w, const yyjson_val *top)
{
	const yyjson_val *list = gemini_get(top, "candidates");
	yyjson_arr_iter it;
	yyjson_val *t;

	gw_jw_key(w, GW_LIT("top_logprobs"));
	gw_jw_arr(w);
	if (yyjson_is_arr(mut(list))) {
		yyjson_arr_iter_init(mut(list), &it);
		while ((t = yyjson_arr_iter_next(&it))) {
			gw_jw_obj(w);
			put_token(w, t);
			gw_jw_end_obj(w);
		}
	}
	gw_jw_end_arr(w);
}

const yyjson_val *gemini_logprobs_read(struct gw_arena *a, const yyjson_val *result)
{
	const yyjson_val *chosen = gemini_get(result, "chosenCandidates"), *tops = gemini_get(result, "topCandidates");
	yyjson_arr_iter it, ti;
	struct gw_json_out w;
	struct gw_buf b;
	yyjson_val *t;

	if (!yyjson_is_arr(mut(chosen)))
		return NULL;
	ir_logprobs_begin(a, &w, &b);
	yyjson_arr_iter_init(mut(chosen), &it);
	yyjson_arr_iter_init(mut(tops), &ti);
	while ((t = yyjson_arr_iter_next(&it))) {
		gw_jw_obj(&w);
		put_token(&w, t);
		put_top(&w, yyjson_is_arr(mut(tops)) ? yyjson_arr_iter_next(&ti) : NULL);
		gw_jw_end_obj(&w);
	}
	return ir_logprobs_end(a, &w);
}

/* ---- citations ---- */

/* Places are told in bytes; ours count characters. -1: the text is not at hand or is shorter. */
static int64_t characters(struct gw_str text, const yyjson_val *bytes, int64_t absent)
{
	int64_t at, n = 0;

	if (!bytes)
		return text.n ? absent : -1;
	if (!yyjson_is_int(mut(bytes)))
		return -1;
	at = yyjson_get_sint(mut(bytes));
	if (at < 0 || (uint64_t)at > text.n)
		return -1;
	if (!text.p)
		return at;
	for (int64_t i = 0; i < at; i++)
		n += ((uint8_t)text.p[i] & 0xc0) != 0x80;
	return n;
}

static bool add(struct gw_arena *a, struct ir_citation ***tail, struct ir_citation c)
{
	**tail = GW_NEW(a, struct ir_citation);
	if (!**tail)
		return false;
	***tail = c;
	*tail = &(**tail)->next;
	return true;
}

/* groundingSupports say which piece of the text rests on which chunks. */
static bool read_grounding(struct gw_arena *a, const yyjson_val *g, struct gw_str text, struct ir_citation ***tail,
			   unsigned *n)
{
	const yyjson_val *chunks = gemini_get(g, "groundingChunks"), *supports = gemini_get(g, "groundingSupports");
	yyjson_arr_iter it, ci;
	yyjson_val *s, *i;

	if (!yyjson_is_arr(mut(supports)) || !yyjson_is_arr(mut(chunks)))
		return true;
	yyjson_arr_iter_init(mut(supports), &it);
	while ((s = yyjson_arr_iter_next(&it))) {
		const yyjson_val *seg = gemini_get(s, "segment"), *of = gemini_get(s, "groundingChunkIndices");

		if (!yyjson_is_arr(mut(of)))
			continue;
		yyjson_arr_iter_init(mut(of), &ci);
		while ((i = yyjson_arr_iter_next(&ci))) {
			const yyjson_val *chunk = yyjson_is_uint(i) && yyjson_get_uint(i) < MAX_CITATIONS
						      ? yyjson_arr_get(mut(chunks), (size_t)yyjson_get_uint(i))
						      : NULL;
			const yyjson_val *src = gemini_get(chunk, "web");

			if (!src)
				src = gemini_get(chunk, "retrievedContext");
			if (!chunk || ++*n > MAX_CITATIONS)
				continue;
			if (!add(a, tail,
				 (struct ir_citation){ .url = word_of(src, "uri"),
						       .title = word_of(src, "title"),
						       .quoted = word_of(seg, "text"),
						       .start = characters(text, gemini_get(seg, "startIndex"), 0),
						       .end = characters(text, gemini_get(seg, "endIndex"), -1),
						       .of = GW_D_NONE }))
				return false;
		}
	}
	return true;
}

bool gemini_citations_read(struct gw_arena *a, const yyjson_val *candidate, struct gw_str text, struct ir_block *b)
{
	const yyjson_val *meta = gemini_get(candidate, "citationMetadata"), *list = gemini_get(meta, "citations");
	struct ir_citation **tail = &b->citations;
	yyjson_arr_iter it;
	yyjson_val *c;
	unsigned n = 0;

	if (!list)
		list = gemini_get(meta, "citationSources");
	if (yyjson_is_arr(mut(list))) {
		yyjson_arr_iter_init(mut(list), &it);
		while ((c = yyjson_arr_iter_next(&it)) && ++n <= MAX_CITATIONS) {
			if (!add(a, &tail,
				 (struct ir_citation){ .url = word_of(c, "uri"),
						       .title = word_of(c, "title"),
						       .start = characters(text, gemini_get(c, "startIndex"), 0),
						       .end = characters(text, gemini_get(c, "endIndex"), -1),
						       .of = GW_D_NONE }))
				return false;
		}
	}
	return read_grounding(a, gemini_get(candidate, "groundingMetadata"), text, &tail, &n);
}

/* ---- whole replies ---- */

struct reading {
	struct gw_arena *a;
	const struct gw_carry *c;
	struct ir_choice *choice;
	uint64_t calls;
	bool has_calls;
};

static bool read_call(struct reading *r, const yyjson_val *part, const yyjson_val *call, struct ir_block **tail)
{
	const yyjson_val *args = gemini_get(call, "args");
	struct gw_str signature = word_of(part, "thoughtSignature");
	struct ir_block *b = ir_block_add(r->a, tail, IR_TOOL_CALL);

	if (!b)
		return false;
	r->has_calls = true;
	b->id = word_of(call, "id");
	if (!b->id.n)
		b->id = ir_make_id(r->a, "call_", r->c->seed, ((uint64_t)r->choice->index << 32) + r->calls, 24);
	r->calls++;
	b->name = gw_carry_name_back(r->c, word_of(call, "name"));
	b->args = yyjson_is_obj(mut(args)) ? gemini_json(r->a, args) : GW_LIT("{}");
	if (signature.p) {
		b->signature = signature;
		b->signature_of = GW_D_GEMINI;
	}
	return b->id.p && b->args.p;
}

static bool read_parts(struct reading *r, const yyjson_val *parts)
{
	struct ir_block **tail = &r->choice->blocks;
	yyjson_arr_iter it;
	yyjson_val *p;

	if (!yyjson_is_arr(mut(parts)))
		return true;
	yyjson_arr_iter_init(mut(parts), &it);
	while ((p = yyjson_arr_iter_next(&it))) {
		const yyjson_val *call = gemini_get(p, "functionCall"), *text = gw_json_get(p, GW_LIT("text"));

		if (!yyjson_is_obj(p) ||
		    (yyjson_is_str(mut(text)) && !yyjson_get_len(mut(text)) && !gemini_get(p, "thoughtSignature")))
			continue;
		if (yyjson_is_obj(mut(call)) ? !read_call(r, p, call, tail) : !gemini_part_read(r->a, p, tail))
			return false;
		tail = &(*tail)->next;
	}
	return true;
}

/* All of the visible text, and the last block of it. */
static bool read_citations(struct reading *r, const yyjson_val *candidate)
{
	struct ir_block *last = NULL, *texts = NULL, **tail = &texts;

	if (!gemini_get(candidate, "groundingMetadata") && !gemini_get(candidate, "citationMetadata"))
		return true;
	for (struct ir_block *b = r->choice->blocks; b; b = b->next) {
		if (b->kind != IR_TEXT)
			continue;
		last = b;
		*tail = GW_NEW(r->a, struct ir_block);
		if (!*tail)
			return false;
		**tail = (struct ir_block){ .kind = IR_TEXT, .text = b->text };
		tail = &(*tail)->next;
	}
	return !last || gemini_citations_read(r->a, candidate, ir_text_of(r->a, texts, GW_LIT("")), last);
}

static enum gw_err read_candidate(struct reading *r, const yyjson_val *cand)
{
	struct gw_str reason = word_of(cand, "finishReason");
	const yyjson_val *logprobs = gemini_get(cand, "logprobsResult");

	r->has_calls = false;
	if (!read_parts(r, gemini_get(gemini_get(cand, "content"), "parts")) || !read_citations(r, cand))
		return GW_E_NOMEM;
	if (gemini_finish_is_broken(reason) && !r->choice->blocks)
		return GW_E_UP_GARBLED;
	r->choice->finish = gemini_finish_read(reason, r->has_calls);
	r->choice->finish_raw = reason;
	if (logprobs)
		r->choice->logprobs = gemini_logprobs_read(r->a, logprobs);
	return r->a->is_full ? GW_E_NOMEM : GW_OK;
}

/* The prompt was refused: HTTP 200 without a candidate. */
static enum gw_err read_blocked(struct gw_arena *a, const yyjson_val *root, struct ir_reply *out)
{
	struct gw_str why = word_of(gemini_get(root, "promptFeedback"), "blockReason");
	struct ir_choice *c;

	if (!why.n)
		return GW_E_UP_GARBLED;
	c = ir_choice_add(a, out, 0);
	if (!c)
		return GW_E_NOMEM;
	c->finish = IR_FINISH_FILTER;
	c->finish_raw = why;
	return GW_OK;
}

enum gw_err gemini_read_reply(struct gw_arena *a, const yyjson_val *root, const struct gw_carry *c,
			      struct ir_reply *out)
{
	const yyjson_val *list = gemini_get(root, "candidates"), *index;
	struct reading r = { .a = a, .c = c };
	struct gemini_counts counts = { 0 };
	yyjson_arr_iter it;
	yyjson_val *cand;
	uint32_t n = 0;
	int64_t us;

	if (!yyjson_is_obj(mut(root)) || gw_json_get(root, GW_LIT("error")))
		return GW_E_UP_GARBLED;
	out->source = GW_D_GEMINI;
	out->id = word_of(root, "responseId");
	out->model = word_of(root, "modelVersion");
	gemini_usage_read(gemini_get(root, "usageMetadata"), &counts, &out->usage, &out->service_tier);
	if (gw_time_read(word_of(root, "createTime"), &us))
		out->created = us / 1000000;
	if (!yyjson_is_arr(mut(list)) || !yyjson_arr_size(mut(list)))
		return read_blocked(a, root, out);
	yyjson_arr_iter_init(mut(list), &it);
	while ((cand = yyjson_arr_iter_next(&it)) && n < MAX_CANDIDATES) {
		enum gw_err e;

		if (!yyjson_is_obj(cand))
			continue;
		index = gemini_get(cand, "index");
		r.choice = ir_choice_add(a, out,
					 yyjson_is_uint(mut(index)) && yyjson_get_uint(mut(index)) < MAX_CANDIDATES
					     ? (uint32_t)yyjson_get_uint(mut(index))
					     : n);
		n++;
		if (!r.choice)
			return GW_E_NOMEM;
		e = read_candidate(&r, cand);
		if (e)
			return e;
	}
	return out->choices ? GW_OK : GW_E_UP_GARBLED;
}
