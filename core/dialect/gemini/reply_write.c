/* Replies of any provider as generateContent replies. */
#include "core/dialect/gemini/gemini.h"

static yyjson_val *mut(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}

struct gw_str gemini_finish_write(enum ir_finish f, struct gw_str raw, bool is_own)
{
	if (is_own && raw.n)
		return raw;
	switch (f) {
	case IR_FINISH_LENGTH:
		return GW_LIT("MAX_TOKENS");
	case IR_FINISH_FILTER:
	case IR_FINISH_REFUSAL:
		return GW_LIT("SAFETY");
	default:
		return GW_LIT("STOP");
	}
}

static void put_detail(struct gw_json_out *w, const char *modality, uint64_t n)
{
	if (!n)
		return;
	gw_jw_obj(w);
	gw_jw_kstr(w, "modality", gw_str_z(modality));
	gw_jw_ku64(w, "tokenCount", n);
	gw_jw_end_obj(w);
}

static void put_details(struct gw_json_out *w, const char *key, uint64_t total, uint64_t audio, uint64_t image)
{
	if (!audio && !image)
		return;
	gw_jw_key(w, gw_str_z(key));
	gw_jw_arr(w);
	put_detail(w, "TEXT", total > audio + image ? total - audio - image : 0);
	put_detail(w, "AUDIO", audio);
	put_detail(w, "IMAGE", image);
	gw_jw_end_arr(w);
}

void gemini_usage_write(struct gw_json_out *w, const struct gw_usage *u)
{
	uint64_t answer = u->output > u->reasoning ? u->output - u->reasoning : 0;

	gw_jw_key(w, GW_LIT("usageMetadata"));
	gw_jw_obj(w);
	gw_jw_ku64(w, "promptTokenCount", u->input);
	gw_jw_ku64(w, "candidatesTokenCount", answer);
	gw_jw_ku64(w, "totalTokenCount", u->input + u->output);
	if (u->cache_read)
		gw_jw_ku64(w, "cachedContentTokenCount", u->cache_read);
	if (u->reasoning)
		gw_jw_ku64(w, "thoughtsTokenCount", u->reasoning);
	put_details(w, "promptTokensDetails", u->input, u->audio_in, u->image_in);
	put_details(w, "candidatesTokensDetails", answer, u->audio_out, u->image_out);
	gw_jw_end_obj(w);
}

/* ---- log probabilities ---- */

static void put_token(struct gw_json_out *w, const yyjson_val *t)
{
	const yyjson_val *p = gw_json_get(t, GW_LIT("logprob"));

	gw_jw_obj(w);
	gw_jw_kstr(w, "token", gw_json_str(gw_json_get(t, GW_LIT("token"))));
	if (yyjson_is_num(mut(p))) {
		gw_jw_key(w, GW_LIT("logProbability"));
		gw_jw_val(w, p);
	}
	gw_jw_end_obj(w);
}

static void put_tokens(struct gw_json_out *w, const yyjson_val *list)
{
	yyjson_arr_iter it;
	yyjson_val *t;

	gw_jw_arr(w);
	if (yyjson_is_arr(mut(list))) {
		yyjson_arr_iter_init(mut(list), &it);
		while ((t = yyjson_arr_iter_next(&it)))
			put_token(w, t);
	}
	gw_jw_end_arr(w);
}

void gemini_logprobs_write(struct gw_json_out *w, const yyjson_val *logprobs)
{
	const yyjson_val *content = gw_json_get(logprobs, GW_LIT("content"));
	yyjson_arr_iter it;
	yyjson_val *t;

	if (!yyjson_is_arr(mut(content)))
		return;
	gw_jw_key(w, GW_LIT("logprobsResult"));
	gw_jw_obj(w);
	gw_jw_key(w, GW_LIT("topCandidates"));
	gw_jw_arr(w);
	yyjson_arr_iter_init(mut(content), &it);
	while ((t = yyjson_arr_iter_next(&it))) {
		gw_jw_obj(w);
		gw_jw_key(w, GW_LIT("candidates"));
		put_tokens(w, gw_json_get(t, GW_LIT("top_logprobs")));
		gw_jw_end_obj(w);
	}
	gw_jw_end_arr(w);
	gw_jw_key(w, GW_LIT("chosenCandidates"));
	put_tokens(w, content);
	gw_jw_end_obj(w);
}

/* ---- parts ---- */

static void put_media(struct gw_json_out *w, const struct ir_media *m)
{
	bool is_inline = m->from == IR_BASE64;

	gw_jw_key(w, is_inline ? GW_LIT("inlineData") : GW_LIT("fileData"));
	gw_jw_obj(w);
	if (m->mime.n)
		gw_jw_kstr(w, "mimeType", m->mime);
	gw_jw_kstr(w, is_inline ? "data" : "fileUri", m->data);
	gw_jw_end_obj(w);
}

void gemini_reply_part_write(struct gw_arena *a, struct gw_json_out *w, const struct ir_block *b)
{
	bool was_object;

	if (b->kind == IR_OTHER) {
		if (b->other_of == GW_D_GEMINI)
			gw_jw_val(w, b->other);
		return;
	}
	gw_jw_obj(w);
	switch (b->kind) {
	case IR_TOOL_CALL:
		gw_jw_key(w, GW_LIT("functionCall"));
		gw_jw_obj(w);
		gw_jw_kstr(w, "id", b->id);
		gw_jw_kstr(w, "name", b->name);
		gw_jw_key(w, GW_LIT("args"));
		gw_jw_raw(w, ir_args_object(a, b->args, &was_object));
		gw_jw_end_obj(w);
		break;
	case IR_IMAGE:
	case IR_FILE:
	case IR_AUDIO:
	case IR_VIDEO:
		put_media(w, &b->media);
		break;
	default:
		gw_jw_kstr(w, "text", b->text);
		if (b->kind == IR_REASONING)
			gw_jw_kbool(w, "thought", true);
	}
	if (b->signature.n && b->signature_of == GW_D_GEMINI)
		gw_jw_kstr(w, "thoughtSignature", b->signature);
	gw_jw_end_obj(w);
}

static bool is_told(const struct ir_block *b, const struct gw_carry *c)
{
	switch (b->kind) {
	case IR_REASONING:
		return !b->is_redacted && c->wants_reasoning_text && (b->text.n || b->signature_of == GW_D_GEMINI);
	case IR_TEXT:
	case IR_REFUSAL:
		return b->text.n || (b->signature.n && b->signature_of == GW_D_GEMINI);
	case IR_OTHER:
		return b->other_of == GW_D_GEMINI && b->other;
	case IR_TOOL_RESULT:
		return false;
	default:
		return true;
	}
}

/* ---- citations, as Google's own web search tells them ---- */

static void put_citations(struct gw_json_out *w, const struct ir_choice *c)
{
	bool is_open = false;

	for (const struct ir_block *b = c->blocks; b; b = b->next) {
		for (const struct ir_citation *x = b->citations; x; x = x->next) {
			if (!x->url.n && !x->title.n)
				continue;
			if (!is_open) {
				gw_jw_key(w, GW_LIT("citationMetadata"));
				gw_jw_obj(w);
				gw_jw_key(w, GW_LIT("citations"));
				gw_jw_arr(w);
				is_open = true;
			}
			gw_jw_obj(w);
			if (x->start >= 0)
				gw_jw_ki64(w, "startIndex", x->start);
			if (x->end >= 0)
				gw_jw_ki64(w, "endIndex", x->end);
			if (x->url.n)
				gw_jw_kstr(w, "uri", x->url);
			if (x->title.n)
				gw_jw_kstr(w, "title", x->title);
			gw_jw_end_obj(w);
		}
	}
	if (is_open) {
		gw_jw_end_arr(w);
		gw_jw_end_obj(w);
	}
}

static void put_candidate(struct gw_arena *a, struct gw_json_out *w, const struct ir_reply *in,
			  const struct ir_choice *c, const struct gw_carry *carry)
{
	gw_jw_obj(w);
	gw_jw_key(w, GW_LIT("content"));
	gw_jw_obj(w);
	gw_jw_key(w, GW_LIT("parts"));
	gw_jw_arr(w);
	for (const struct ir_block *b = c->blocks; b; b = b->next) {
		if (is_told(b, carry))
			gemini_reply_part_write(a, w, b);
	}
	gw_jw_end_arr(w);
	gw_jw_kstr(w, "role", GW_LIT("model"));
	gw_jw_end_obj(w);
	gw_jw_kstr(w, "finishReason", gemini_finish_write(c->finish, c->finish_raw, in->source == GW_D_GEMINI));
	gw_jw_ku64(w, "index", c->index);
	put_citations(w, c);
	if (c->logprobs)
		gemini_logprobs_write(w, c->logprobs);
	gw_jw_end_obj(w);
}

enum gw_err gemini_write_reply(struct gw_arena *a, const struct ir_reply *in, const struct gw_carry *c,
			       struct gw_buf *body)
{
	struct gw_json_out w;

	gw_jw_init(&w, body);
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("candidates"));
	gw_jw_arr(&w);
	for (const struct ir_choice *x = in->choices; x; x = x->next)
		put_candidate(a, &w, in, x, c);
	gw_jw_end_arr(&w);
	if (in->usage.is_known)
		gemini_usage_write(&w, &in->usage);
	gw_jw_kstr(&w, "modelVersion", c->model);
	gw_jw_kstr(&w, "responseId", in->id.n ? in->id : c->request_id);
	gw_jw_end_obj(&w);
	return body->err == GW_E_TOO_BIG ? GW_E_UP_TOO_BIG : body->err || a->is_full ? GW_E_NOMEM : GW_OK;
}
