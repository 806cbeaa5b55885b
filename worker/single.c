/* Which questions are no conversations (single.h), and the first of them: how many tokens a request has. Anthropic, Gemini and Bedrock count;
 * each client's question is put to each of them. */
#include "worker/single.h"

#include "core/dialect/anthropic/endpoints.h"
#include "core/dialect/bedrock/endpoints.h"
#include "core/dialect/embed.h"
#include "core/dialect/gemini/endpoints.h"
#include "core/dialect/mark.h"
#include "core/provider.h"
#include "lib/json.h"
#include "worker/api.h"

enum gw_err gw_single_fault(struct gw_req *r, enum gw_err e, struct gw_str param, struct gw_str why)
{
	r->err_param = gw_arena_str(&r->arena, param);
	while (why.n && why.p[why.n - 1] == '.')
		why.n--;
	if (why.n)
		r->at.detail =
		    gw_arena_printf(&r->arena, "%.*s%s%.*s.", GW_FMT(param), param.n ? ": " : "", GW_FMT(why));
	return e;
}

enum gw_err gw_single_refuse(struct gw_req *r, const struct gw_candidate *c, const char *what)
{
	r->err_param = GW_LIT("model");
	r->at.detail = gw_arena_printf(&r->arena, "The provider of this model (%s) has no %s here. Name another model.",
				       gw_providers[c->provider_type].name, what);
	return GW_E_INVALID;
}

/* In front of what the provider said, or of what happened. Nothing of the parts that went well is answered: a list with holes is none. */
void gw_single_say_part(struct gw_req *r)
{
	const struct gw_talk *t = r->talk;
	struct gw_str part = t && t->single && t->single->part ? t->single->part(r, t) : GW_NIL, said = r->at.detail;

	if (!part.n)
		return;
	if (!said.n)
		said = gw_str_z(gw_err_info(r->at.err)->doc);
	r->at.detail = gw_arena_printf(&r->arena, "%.*s: %.*s", GW_FMT(part), GW_FMT(said));
	if (r->at.told.err)
		r->at.told.message = r->at.detail;
}

enum gw_err gw_single_tree(struct gw_req *r, struct gw_talk *t, const yyjson_val **root)
{
	struct gw_json_fault f = { 0 };

	return gw_json_tree(&t->arena, r->body, NULL, root, &f);
}

/* ---- counts of tokens ---- */

static enum gw_err read_request(struct gw_req *r, struct gw_talk *t, struct ir_request *rq)
{
	struct gw_str param = GW_NIL, why = GW_NIL;
	const yyjson_val *root;
	enum gw_err e = gw_single_tree(r, t, &root);

	if (e)
		return e;
	*rq = (struct ir_request){ .source = t->client->id, .arena = &t->arena };
	if (t->client->id == GW_D_GEMINI)
		e = gw_gemini_count_read(&t->arena, root, rq, &param, &why);
	else if (t->client->id == GW_D_BEDROCK)
		e = gw_bedrock_count_read(&t->arena, root, rq, &param, &why);
	else
		e = t->client->read_request(&t->arena, root, rq, &param, &why);
	return e ? gw_single_fault(r, e, param, why) : GW_OK;
}

static enum gw_err write_request(struct gw_req *r, const struct gw_candidate *c, struct gw_talk *t,
				 struct ir_request *rq)
{
	const struct gw_provider *p = &gw_providers[c->provider_type];
	const struct gw_write_opts o = {
		.model = c->upstream_model, .quirks = p->quirks, .default_max_tokens = 4096, .carry = &t->carry
	};
	struct gw_str param = GW_NIL, why = GW_NIL;
	enum gw_err e;

	t->carry.keep = &t->arena;
	switch (p->dialect_id) {
	case GW_D_ANTHROPIC:
		e = anthropic_count_write(&t->arena, rq, &o, &t->body, &param, &why);
		break;
	case GW_D_GEMINI: /* the quirk is Vertex AI's */
		e = gw_gemini_count_write(&t->arena, rq, &o, (p->quirks & GW_Q_GEMINI_FETCHES_URLS) != 0, &t->body,
					  &param, &why);
		break;
	default:
		gw_buf_puts(&t->body, GW_LIT("{\"input\":{\"converse\":"));
		e = t->provider->write_request(&t->arena, rq, &o, &t->body, &param, &why);
		gw_buf_puts(&t->body, GW_LIT("}}"));
		break;
	}
	if (e)
		return gw_single_fault(r, e, param, why);
	if (rq->is_drop_lost || t->body.err)
		return t->body.err == GW_E_TOO_BIG ? GW_E_TOO_BIG : GW_E_NOMEM;
	t->dropped = gw_translate_names(&r->arena, rq->dropped);
	return GW_OK;
}

/* Anthropic to Anthropic: the client's own words, but for the model. */
static enum gw_err pass_request(struct gw_req *r, const struct gw_candidate *c, struct gw_talk *t)
{
	struct gw_str pieces[8];
	uint32_t n = 0;
	enum gw_err e = gw_api_splice(&r->arena, r->endpoint, r->body, &r->chat, c->upstream_model, pieces, &n);

	for (uint32_t i = 0; !e && i < n; i++)
		gw_buf_puts(&t->body, pieces[i]);
	return e ? e : t->body.err;
}

static enum gw_err count_write(struct gw_req *r, const struct gw_candidate *c, struct gw_talk *t, struct gw_buf *path)
{
	const struct gw_path_in in = { c->base_path, c->upstream_model, false };
	struct ir_request *rq;

	switch (t->provider->id) {
	case GW_D_ANTHROPIC:
		gw_buf_puts(path, c->base_path);
		gw_buf_puts(path, GW_LIT("/messages/count_tokens"));
		break;
	case GW_D_GEMINI:
		gw_gemini_count_path(&in, path);
		break;
	case GW_D_BEDROCK:
		gw_bedrock_count_path(&in, path);
		break;
	default: /* in strict mode the client gets this 404, which clients take for "guess yourself"; else we guess (guess_count.c) */
		rq = GW_NEW(&t->arena, struct ir_request);
		if (!rq)
			return GW_E_NOMEM;
		enum gw_err bad = read_request(r, t, rq);

		if (bad)
			return bad;
		r->at.detail = gw_arena_printf(&r->arena, "The provider of this model (%s) does not count tokens.",
					       gw_providers[c->provider_type].name);
		return GW_E_NOT_FOUND;
	}
	if (t->is_same && t->client->id == GW_D_ANTHROPIC && !gw_api_is_wrapped(r) &&
	    !ir_mark_is_in(GW_D_ANTHROPIC, r->body))
		return pass_request(r, c, t);
	rq = GW_NEW(&t->arena, struct ir_request);
	enum gw_err e = rq ? read_request(r, t, rq) : GW_E_NOMEM;

	return e ? e : write_request(r, c, t, rq);
}

static enum gw_err count_read(struct gw_req *r, struct gw_talk *t, const yyjson_val *root)
{
	uint64_t n = 0;
	bool is_told = t->provider->id == GW_D_ANTHROPIC ? anthropic_count_read(root, &n)
		       : t->provider->id == GW_D_GEMINI  ? gw_gemini_count_reply_read(root, &n)
							 : gw_bedrock_count_reply_read(root, &n);

	(void)r;
	if (!is_told)
		return GW_E_UP_GARBLED;
	if (t->is_same)
		gw_buf_puts(&t->out, gw_buf_view(&t->in));
	else if (t->client->id == GW_D_ANTHROPIC)
		anthropic_count_reply(n, &t->out);
	else if (t->client->id == GW_D_GEMINI)
		gw_gemini_count_reply_write(n, &t->out);
	else
		gw_bedrock_count_reply_write(n, &t->out);
	return t->out.err;
}

static const struct gw_single count = { count_write, count_read, NULL };

/* ---- which ---- */

const struct gw_single *gw_single_of(const struct gw_req *r, const struct gw_candidate *c)
{
	struct gw_str name = gw_str_z(r->endpoint->name);

	if (!r->api)
		return NULL;
	if (r->api->is_count)
		return &count;
	if (gw_str_eq(name, GW_LIT("rerank")))
		return &gw_single_rerank;
	if (r->api->is_embed || (gw_str_eq(name, GW_LIT("embeddings")) &&
				 embed_shape_of(&gw_providers[c->provider_type], c->upstream_model) != EMBED_OPENAI))
		return &gw_single_embed;
	return NULL;
}
