/* Embeddings and reranking at providers of another shape (single.h; core/dialect/embed.h). More texts than a provider takes at once are asked for
 * in several calls, one after the other: when one fails, those behind it are not made, and the client gets an error, never a part. A call
 * that is made again at the same deployment is that one alone; another deployment is asked for all texts, as its vectors are others. */
#include "worker/single.h"

#include "core/dialect/embed.h"
#include "core/provider.h"
#include "worker/api.h"
#include "worker/guess.h"

enum { MAX_CALLS = 32, UNIT_DOCUMENTS = 100 };

struct embedding {
	enum embed_shape shape;
	struct embed_request rq;
	struct embed_reply reply;
	uint32_t first, n; /* of the call under way */
};

static struct gw_str base_of(const struct gw_candidate *c)
{
	struct gw_str base = c->base_path, v2 = GW_LIT("/v2");

	if (base.n >= v2.n && gw_str_eq(gw_str_skip(base, base.n - v2.n), v2))
		base.n -= v2.n; /* the paths say it themselves */
	return base;
}

static enum gw_err embed_begin(struct gw_req *r, const struct gw_candidate *c, struct gw_talk *t)
{
	struct embedding *x = GW_NEW(&t->arena, struct embedding);
	struct gw_str param = GW_NIL, why = GW_NIL;
	const yyjson_val *root;
	enum gw_err e;

	if (!x)
		return GW_E_NOMEM;
	x->shape = embed_shape_of(&gw_providers[c->provider_type], c->upstream_model);
	if (x->shape == EMBED_COUNT)
		return gw_single_refuse(r, c, "embeddings");
	e = gw_single_tree(r, t, &root);
	if (!e && r->api->is_embed)
		e = embed_gemini_read(&t->arena, root, r->api->is_batch, &x->rq, &param, &why);
	else if (!e)
		e = embed_request_read(&t->arena, root, &x->rq, &param, &why);
	if (!e)
		e = embed_reply_init(&t->arena, x->rq.n, &x->reply);
	if (e)
		return gw_single_fault(r, e, param, why);
	uint64_t most = (uint64_t)embed_limits[x->shape].max_batch * MAX_CALLS;

	if (x->rq.n > most) {
		r->err_param = GW_LIT("input");
		r->at.detail = gw_arena_printf(&r->arena, "input: at most %llu texts at once for this model.",
					       (unsigned long long)most);
		return GW_E_INVALID;
	}
	t->asked = x;
	return GW_OK;
}

static enum gw_err embed_write(struct gw_req *r, const struct gw_candidate *c, struct gw_talk *t, struct gw_buf *path)
{
	struct gw_str param = GW_NIL, why = GW_NIL;
	enum gw_err e = t->asked ? GW_OK : embed_begin(r, c, t);
	struct embedding *x = t->asked;

	if (e)
		return e;
	x->n = x->rq.n - x->first;
	if (x->n > embed_limits[x->shape].max_batch)
		x->n = embed_limits[x->shape].max_batch;
	e = embed_request_write(&x->rq, x->shape, c->upstream_model, x->first, x->n, &t->body, &param, &why);
	if (e)
		return gw_single_fault(r, e, param, why);
	embed_path_write(x->shape, base_of(c), c->upstream_model, path);
	t->dropped = gw_translate_names(&r->arena, x->rq.notes.dropped);
	return GW_OK;
}

static enum gw_err embed_read(struct gw_req *r, struct gw_talk *t, const yyjson_val *root)
{
	struct embedding *x = t->asked;
	enum gw_err e = embed_reply_read(&t->arena, root, x->shape, x->first, x->n, &x->reply);

	if (e)
		return e;
	x->first += x->n;
	if (x->first == x->rq.n && !x->reply.usage.is_known)
		gw_guess_input(r, &x->reply.usage);
	r->usage = x->reply.usage; /* so far: it is paid for, also when a later call fails */
	gw_usage_settle(&r->usage);
	if (x->first < x->rq.n)
		return GW_E_AGAIN;
	if (r->api->is_embed)
		return embed_gemini_reply(&x->reply, r->api->is_batch, &t->out);
	return embed_reply_write(&x->reply, x->rq.wants_base64, r->chat.model, &t->out);
}

static struct gw_str embed_part(struct gw_req *r, const struct gw_talk *t)
{
	const struct embedding *x = t->asked;

	if (!x || x->n == x->rq.n)
		return GW_NIL;
	return gw_arena_printf(&r->arena, "Texts %u to %u of %u, asked for in a call of their own", x->first + 1,
			       x->first + x->n, x->rq.n);
}

const struct gw_single gw_single_embed = { embed_write, embed_read, embed_part };

/* ---- reranking ---- */

static enum gw_err rerank_write(struct gw_req *r, const struct gw_candidate *c, struct gw_talk *t, struct gw_buf *path)
{
	const struct gw_provider *p = &gw_providers[c->provider_type];
	bool is_cohere = p->dialect_id == GW_D_COHERE;
	struct rerank_request *rq = GW_NEW(&t->arena, struct rerank_request);
	struct gw_str param = GW_NIL, why = GW_NIL;
	const yyjson_val *root;
	enum gw_err e;

	if (!rq)
		return GW_E_NOMEM;
	if (!is_cohere && p->dialect_id != GW_D_OPENAI)
		return gw_single_refuse(r, c, "reranking");
	t->asked = rq;
	e = gw_single_tree(r, t, &root);
	if (!e)
		e = rerank_request_read(&t->arena, root, rq, &param, &why);
	if (e)
		return gw_single_fault(r, e, param, why);
	bool is_voyage = embed_shape_of(p, c->upstream_model) == EMBED_VOYAGE;

	e = rerank_request_write(rq,
				 is_cohere   ? RERANK_COHERE
				 : is_voyage ? RERANK_VOYAGE
					     : RERANK_JINA,
				 c->upstream_model, &t->body);
	if (is_cohere)
		rerank_path_write(RERANK_COHERE, base_of(c), path);
	else
		gw_provider_path(p, c->base_path, c->upstream_model, c->api_version, GW_LIT("/rerank"), GW_NIL, path);
	t->dropped = gw_translate_names(&r->arena, rq->notes.dropped);
	return e;
}

/* Cohere bills by search units: a query with up to a hundred documents is one. */
static void guess_rerank(const struct gw_req *r, const struct rerank_request *rq, struct gw_usage *u)
{
	if (gw_providers[r->plan.candidates[r->at.candidate].provider_type].dialect_id != GW_D_COHERE) {
		gw_guess_input(r, u);
		return;
	}
	u->queries = (rq->n + UNIT_DOCUMENTS - 1) / UNIT_DOCUMENTS;
	u->is_known = u->is_estimated = true;
}

static enum gw_err rerank_read(struct gw_req *r, struct gw_talk *t, const yyjson_val *root)
{
	const struct rerank_request *rq = t->asked;
	struct rerank_reply reply;
	enum gw_err e = rerank_reply_read(&t->arena, root, rq->n, &reply);

	if (e)
		return e;
	if (!reply.usage.is_known)
		guess_rerank(r, rq, &reply.usage);
	r->usage = reply.usage;
	gw_usage_settle(&r->usage);
	if (r->usage.queries) {
		r->rec.unit = GW_LIT("query");
		r->rec.units = r->usage.queries;
	}
	return rerank_reply_write(&reply, rq, r->chat.model, gw_str(r->id_text, sizeof(r->id_text)), &t->out);
}

const struct gw_single gw_single_rerank = { rerank_write, rerank_read, NULL };
