/* The smallest call to a deployment (probe_call.h). */
#include "core/probe_call.h"

#include "core/dialect/translate.h"
#include "core/provider.h"
#include "lib/json_write.h"

enum { BODY_MAX = 8 << 10 };

/* Where the models are listed, behind the base; NULL: nowhere. */
static const char *list_of(const struct gw_provider *p)
{
	switch (p->dialect_id) {
	case GW_D_OPENAI:
		return p->quirks & GW_Q_DEPLOYMENT_PATH ? NULL : "/models";
	case GW_D_RESPONSES:
		return "/models";
	case GW_D_ANTHROPIC:
		return "/models?limit=1";
	case GW_D_GEMINI: /* Vertex AI has no such list below its publishers */
		return p->quirks & GW_Q_GEMINI_FETCHES_URLS ? NULL : "/models?pageSize=1";
	case GW_D_COHERE:
		return "/v1/models?page_size=1";
	default:
		return NULL;
	}
}

static enum gw_err write_ping(struct gw_arena *a, const struct gw_candidate *c, struct gw_str *body)
{
	const struct gw_provider *p = &gw_providers[c->provider_type];
	struct gw_carry carry = { .model = c->upstream_model };
	struct gw_translate_in in = {
		.from = gw_dialect_of(GW_D_OPENAI),
		.to = gw_dialect_of(p->dialect_id),
		.opts = { .model = c->upstream_model, .quirks = p->quirks, .default_max_tokens = 1, .carry = &carry },
	};
	struct gw_translate_out out = { 0 };
	struct gw_json_out w;
	struct gw_buf ask, b;
	enum gw_err e;

	gw_buf_init(&ask, BODY_MAX);
	gw_buf_init(&b, BODY_MAX);
	gw_jw_init(&w, &ask);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "model", c->upstream_model);
	gw_jw_key(&w, GW_LIT("messages"));
	gw_jw_raw(&w, GW_LIT("[{\"role\":\"user\",\"content\":\"ping\"}]"));
	gw_jw_ku64(&w, "max_tokens", 1);
	gw_jw_end_obj(&w);
	in.body = gw_buf_view(&ask);
	out.body = &b;
	e = ask.err ? ask.err : gw_translate_request(a, a, &in, &out);
	*body = e ? GW_NIL : gw_arena_str(a, gw_buf_view(&b));
	gw_buf_done(&ask);
	gw_buf_done(&b);
	return e ? e : body->p ? GW_OK : GW_E_NOMEM;
}

enum gw_err gw_probe_call(struct gw_arena *a, const struct gw_candidate *c, bool is_chat, struct gw_probe_call *out)
{
	const struct gw_provider *p = &gw_providers[c->provider_type];
	const struct gw_dialect *d = gw_dialect_of(p->dialect_id);
	struct gw_path_in in = { c->base_path, c->upstream_model, false };
	const char *list = list_of(p);
	enum gw_err e = GW_OK;
	struct gw_buf path;

	*out = (struct gw_probe_call){ .is_chat = is_chat || !list };
	out->method = out->is_chat ? GW_LIT("POST") : GW_LIT("GET");
	if (p->dialect_id == GW_D_ANTHROPIC) {
		out->header = GW_LIT("anthropic-version");
		out->header_value = GW_LIT("2023-06-01");
	}
	gw_buf_init(&path, 4096);
	if (p->dialect_id == GW_D_OPENAI)
		gw_provider_path(p, c->base_path, c->upstream_model, c->api_version,
				 out->is_chat ? GW_LIT("/chat/completions") : gw_str_z(list), GW_NIL, &path);
	else if (out->is_chat)
		d->write_path(&in, &path);
	else
		gw_buf_printf(&path, "%.*s%s", GW_FMT(c->base_path), list);
	out->path = path.err ? GW_NIL : gw_arena_str(a, gw_buf_view(&path));
	gw_buf_done(&path);
	if (out->is_chat)
		e = write_ping(a, c, &out->body);
	return e ? e : out->path.p ? GW_OK : GW_E_NOMEM;
}
