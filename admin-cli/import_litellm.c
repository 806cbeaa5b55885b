/* A LiteLLM proxy's config.yaml: model_list, model_group_alias, fallbacks, retries, timeout. Each key that is not carried is told. The format is
 * theirs and hostile to us only by being wide: everything is looked at by type. */
#include "admin-cli/import.h"

#include <math.h>
#include <stdlib.h>

#include "core/provider.h"
#include "lib/url.h"

/* Names that differ; the first that this gateway knows counts. Others: the same name, or with '-' for '_'. */
static const struct {
	const char *theirs, *ours;
} renamed[] = {
	{ "azure", "azure-openai" },      { "azure_ai", "azure-openai" },
	{ "azure_text", "azure-openai" }, { "text-completion-openai", "openai" },
	{ "hosted_vllm", "vllm" },        { "ollama_chat", "ollama" },
	{ "cohere_chat", "cohere" },      { "bedrock_converse", "bedrock" },
	{ "vertex_ai", "vertex" },        { "vertex_ai_beta", "vertex" },
	{ "fireworks_ai", "fireworks" },  { "together_ai", "together" },
	{ "nvidia_nim", "nvidia" },
};
/* Model names that LiteLLM takes without a provider before them. */
static const struct {
	const char *prefix, *provider;
} known_models[] = {
	{ "gpt-", "openai" },     { "o1", "openai" },          { "o3", "openai" },      { "o4", "openai" },
	{ "chatgpt-", "openai" }, { "text-", "openai" },       { "dall-e", "openai" },  { "whisper", "openai" },
	{ "tts-", "openai" },     { "claude-", "anthropic" },  { "gemini-", "gemini" }, { "mistral-", "mistral" },
	{ "command-", "cohere" }, { "deepseek-", "deepseek" },
};

/* --- values --- */
/* "os.environ/NAME" is looked up here, on the operator's machine. False: it is not set. */
static bool resolve(struct imp *m, struct gw_str text, struct gw_str *out, struct gw_str *name)
{
	struct gw_str prefix = GW_LIT("os.environ/"), v;
	const char *z, *env;

	*name = GW_NIL;
	*out = text;
	if (!gw_str_has_prefix(text, prefix))
		return true;
	*name = gw_str_skip(text, prefix.n);
	v = imp_str(gw_json_get(m->environment, *name));
	if (v.n) {
		*out = v;
		return true;
	}
	z = gw_arena_z(m->a, *name);
	env = z ? getenv(z) : NULL;
	*out = env ? gw_arena_str(m->a, gw_str_z(env)) : GW_NIL;
	return env && env[0];
}

static struct gw_str plain(struct imp *m, yyjson_val *v, struct gw_str what)
{
	struct gw_str out, name;

	if (resolve(m, imp_str(v), &out, &name))
		return out;
	imp_fault(m, what, gw_arena_z(m->a, imp_text(m, "the environment has no %.*s", GW_FMT(name))));
	return GW_NIL;
}

/* USD as a pico-USD integer; false when it is no price. */
static bool price(yyjson_val *v, uint64_t *out)
{
	double d = yyjson_is_num(v)   ? yyjson_get_num(v) * 1e12
		   : yyjson_is_str(v) ? strtod(yyjson_get_str(v), NULL) * 1e12
				      : -1;

	if (!(d >= 0 && d <= 1e9))
		return false;
	*out = (uint64_t)llround(d);
	return true;
}

/* --- providers --- */
static const char *type_of(struct imp *m, struct gw_str theirs, bool has_base)
{
	char *same = gw_arena_z(m->a, theirs);

	for (size_t i = 0; i < sizeof renamed / sizeof renamed[0]; i++)
		if (gw_str_eq(theirs, gw_str_z(renamed[i].theirs)) && gw_provider_find(gw_str_z(renamed[i].ours)))
			return renamed[i].ours;
	if (same && gw_provider_find(gw_str_z(same)))
		return same;
	for (char *p = same; p && *p; p++)
		if (*p == '_')
			*p = '-';
	if (same && gw_provider_find(gw_str_z(same)))
		return same;
	return has_base ? "openai-compatible" : NULL;
}

/* Loopback and private addresses are reached only when the provider says so. */
static struct gw_str private_range(struct gw_str url)
{
	static const struct {
		const char *prefix, *range;
	} ranges[] = { { "127.", "127.0.0.0/8" }, { "10.", "10.0.0.0/8" }, { "192.168.", "192.168.0.0/16" } };
	struct gw_url u;

	if (gw_url_parse(url, &u))
		return GW_NIL;
	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		if (gw_str_has_prefix(u.host, gw_str_z(ranges[i].prefix)))
			return gw_str_z(ranges[i].range);
	return gw_str_eq(u.host, GW_LIT("localhost")) ? GW_LIT("127.0.0.0/8") : GW_NIL;
}

static const struct imp_provider *provider_of(struct imp *m, const struct imp_provider *want)
{
	struct imp_provider *p;
	struct gw_url u;

	for (uint32_t i = 0; i < m->n_providers; i++) {
		p = &m->providers[i];
		if (gw_str_eq(p->type, want->type) && gw_str_eq(p->base_url, want->base_url) &&
		    gw_str_eq(p->api_version, want->api_version) && gw_str_eq(p->project, want->project) &&
		    gw_str_eq(p->location, want->location))
			return p;
	}
	if (m->n_providers == IMP_PROVIDERS)
		return NULL;
	p = &m->providers[m->n_providers];
	*p = *want;
	if (want->base_url.n && gw_url_parse(want->base_url, &u) == GW_OK)
		imp_id(p->id, imp_text(m, "%.*s-%.*s", GW_FMT(want->type), GW_FMT(u.host)));
	else
		imp_id(p->id, want->type);
	imp_unique(p->id, m->providers, sizeof *p, m->n_providers);
	m->n_providers++;
	p->private_range = private_range(want->base_url);
	imp_carried(m, imp_text(m, "provider %s", p->id),
		    p->private_range.n ? "with allow_private, because its address is a private one" : "");
	return p;
}

/* --- credentials --- */
static const struct imp_credential *credential_of(struct imp *m, const struct imp_provider *p, struct gw_str from,
						  struct gw_str what)
{
	struct gw_str secret, name;
	struct imp_credential *k;

	if (!from.n)
		return NULL;
	for (uint32_t i = 0; i < m->n_credentials; i++)
		if (m->credentials[i].provider == p && gw_str_eq(m->credentials[i].from, from))
			return &m->credentials[i];
	if (m->n_credentials == IMP_CREDENTIALS)
		return NULL;
	k = &m->credentials[m->n_credentials];
	*k = (struct imp_credential){ .provider = p, .from = from };
	if (!resolve(m, from, &secret, &name)) {
		const char *note = gw_arena_z(m->a, imp_text(m, "the environment has no %.*s", GW_FMT(name)));

		if (!m->c->o.dry_run)
			imp_fault(m, what, note);
		else
			imp_left(m, what, note);
	}
	k->secret = gw_arena_str(m->a, secret);
	imp_id(k->id, name.n ? imp_text(m, "%s-%.*s", p->id, GW_FMT(name)) : imp_text(m, "%s-key", p->id));
	imp_unique(k->id, m->credentials, sizeof *k, m->n_credentials);
	m->n_credentials++;
	if (secret.n)
		imp_carried(m, imp_text(m, "credential %s", k->id), name.n ? "from the environment" : "from the file");
	return k;
}

/* --- models --- */
/* A model's name here: printable, without space, quote, backslash. */
static bool is_name(struct gw_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '"' || s.p[i] == '\'' || s.p[i] == '\\')
			return false;
	return s.n > 0 && s.n <= 200;
}

static struct imp_model *model_named(struct imp *m, struct gw_str name)
{
	struct imp_model *x;

	for (uint32_t i = 0; i < m->n_models; i++)
		if (gw_str_eq(m->models[i].name, name))
			return &m->models[i];
	if (m->n_models == IMP_MODELS)
		return NULL;
	x = &m->models[m->n_models];
	*x = (struct imp_model){ .name = name };
	imp_id(x->id, name);
	imp_unique(x->id, m->models, sizeof *x, m->n_models);
	m->n_models++;
	return x;
}

/* --- one entry of model_list --- */
struct entry {
	struct imp *m;
	struct gw_str where; /* "model_list[3] gpt-4o" */
	yyjson_val *params, *info, *shared; /* shared: the named credential's values */
};

static yyjson_val *param(const struct entry *e, const char *name)
{
	yyjson_val *v = yyjson_obj_get(e->params, name);

	return v ? v : yyjson_obj_get(e->shared, name);
}

static bool is_one_of(struct gw_str s, const char *const *list)
{
	for (; *list; list++)
		if (gw_str_eq(s, gw_str_z(*list)))
			return true;
	return false;
}

static void tell_rest(const struct entry *e, yyjson_val *obj, const char *of, const char *const *carried)
{
	static const char *const logins[] = { "aws_access_key_id",  "aws_secret_access_key", "aws_session_token",
					      "aws_role_name",      "aws_session_name",      "aws_profile_name",
					      "vertex_credentials", "azure_ad_token",        "tenant_id",
					      "client_id",          "client_secret",         NULL };
	static const char *const limits[] = { "rpm", "tpm", "max_parallel_requests", "max_budget", "budget_duration",
					      NULL };
	yyjson_val *key, *v;
	size_t i, n;

	yyjson_obj_foreach(obj, i, n, key, v)
	{
		struct gw_str k = gw_json_str(key);

		if (is_one_of(k, carried))
			continue;
		imp_left(e->m, imp_text(e->m, "%.*s: %s.%.*s", GW_FMT(e->where), of, GW_FMT(k)),
			 is_one_of(k, logins)
			     ? "this kind of sign-in is set up with llmgwctl apply (explain credential)"
			 : is_one_of(k, limits) ? "limits of a deployment are not carried"
						: "no counterpart");
	}
}

/* "azure/my-gpt4o" -> provider and name. */
static bool split_model(const struct entry *e, struct gw_str model, struct gw_str *provider, struct gw_str *name)
{
	*provider = imp_str(param(e, "custom_llm_provider"));
	*name = model;
	if (provider->n) {
		if (gw_str_has_prefix(model, *provider) && model.n > provider->n && model.p[provider->n] == '/')
			*name = gw_str_skip(model, provider->n + 1);
		return true;
	}
	if (gw_str_cut(model, '/', provider, name))
		return provider->n && name->n;
	*name = model;
	for (size_t i = 0; i < sizeof known_models / sizeof known_models[0]; i++)
		if (gw_str_has_prefix(model, gw_str_z(known_models[i].prefix))) {
			*provider = gw_str_z(known_models[i].provider);
			return true;
		}
	return false;
}

static bool want_provider(const struct entry *e, struct gw_str theirs, struct imp_provider *p)
{
	struct imp *m = e->m;
	struct gw_str base = plain(m, param(e, "api_base") ? param(e, "api_base") : param(e, "base_url"), e->where);
	struct gw_url u;
	const char *type;

	while (base.n && base.p[base.n - 1] == '/')
		base.n--;
	if (base.n && gw_url_parse(base, &u)) {
		imp_left(m, e->where, "api_base is no http or https URL");
		return false;
	}
	type = type_of(m, theirs, base.n > 0);
	if (!type) {
		imp_left(m, e->where,
			 gw_arena_z(m->a, imp_text(m, "provider %.*s is not known here, and there is no api_base",
						   GW_FMT(theirs))));
		return false;
	}
	*p = (struct imp_provider){ .type = gw_str_z(type), .base_url = base, .total_timeout_ms = m->timeout_ms };
	if (base.n && gw_str_eq(theirs, GW_LIT("openai")) && !gw_str_eq(u.host, GW_LIT("api.openai.com")))
		p->type = GW_LIT("openai-compatible");
	p->api_version = plain(m, param(e, "api_version"), e->where);
	p->project = plain(m, param(e, "vertex_project"), e->where);
	p->location = plain(m, param(e, "vertex_location"), e->where);
	return true;
}

/* Without api_key LiteLLM takes the provider's usual variable. */
static struct gw_str key_of(const struct entry *e, const struct imp_provider *p)
{
	struct gw_str key = imp_str(param(e, "api_key"));
	const struct gw_provider *row = gw_provider_find(p->type);
	const char *z;

	if (key.n || !row || !row->env[0])
		return key;
	z = row->env;
	return getenv(z) ? imp_text(e->m, "os.environ/%s", z) : GW_NIL;
}

static void prices(const struct entry *e, struct imp_deployment *d)
{
	const struct {
		const char *name;
		uint64_t *to;
	} row[] = { { "input_cost_per_token", &d->input_price },
		    { "output_cost_per_token", &d->output_price },
		    { "cache_read_input_token_cost", &d->cached_price } };

	for (size_t i = 0; i < 3; i++) {
		yyjson_val *v = yyjson_obj_get(e->info, row[i].name);

		v = v ? v : yyjson_obj_get(e->params, row[i].name);
		if (v && !yyjson_is_null(v) && !price(v, row[i].to))
			imp_left(e->m, imp_text(e->m, "%.*s: %s", GW_FMT(e->where), row[i].name),
				 "not a price in USD per token (0 to 0.001)");
	}
}

static void place_of(const struct entry *e, struct imp_deployment *d)
{
	yyjson_val *w = yyjson_obj_get(e->params, "weight"), *o = yyjson_obj_get(e->params, "order");
	uint64_t weight = yyjson_is_uint(w) ? yyjson_get_uint(w) : 1,
		 order = yyjson_is_uint(o) ? yyjson_get_uint(o) : 1;

	d->weight = (uint32_t)(weight < 1 ? 1 : weight > 1000 ? 1000 : weight);
	d->order = (uint32_t)(order < 1 ? 0 : order > 16 ? 15 : order - 1);
	d->region = plain(e->m, yyjson_obj_get(e->params, "aws_region_name"), e->where);
	if (!d->region.n)
		d->region = plain(e->m, yyjson_obj_get(e->params, "region_name"), e->where);
}

static void take_entry(const struct entry *e, struct gw_str name)
{
	static const char *const params[] = { "model",
					      "api_base",
					      "base_url",
					      "api_key",
					      "api_version",
					      "custom_llm_provider",
					      "weight",
					      "order",
					      "region_name",
					      "aws_region_name",
					      "vertex_project",
					      "vertex_location",
					      "input_cost_per_token",
					      "output_cost_per_token",
					      "cache_read_input_token_cost",
					      "litellm_credential_name",
					      NULL };
	static const char *const info[] = { "id", "input_cost_per_token", "output_cost_per_token",
					    "cache_read_input_token_cost", NULL };
	struct imp *m = e->m;
	struct gw_str model = plain(m, yyjson_obj_get(e->params, "model"), e->where), theirs, id;
	struct imp_deployment *d = &m->deployments[m->n_deployments];
	struct imp_provider want;
	struct imp_model *x;

	if (!split_model(e, model, &theirs, &d->upstream) || !is_name(d->upstream)) {
		imp_left(m, e->where, "litellm_params.model is not \"provider/model\"");
		return;
	}
	if (!want_provider(e, theirs, &want))
		return;
	x = m->n_deployments < IMP_DEPLOYMENTS ? model_named(m, name) : NULL;
	d->provider = x ? provider_of(m, &want) : NULL;
	if (!d->provider) {
		imp_fault(m, e->where, "more models or providers than an import takes at once: divide the file");
		return;
	}
	d->credential = credential_of(m, d->provider, key_of(e, d->provider), e->where);
	d->model = (uint32_t)(x - m->models);
	d->input_price = d->output_price = d->cached_price = 0;
	prices(e, d);
	place_of(e, d);
	id = imp_str(yyjson_obj_get(e->info, "id"));
	imp_id(d->id, id.n ? id : imp_text(m, "%s-%s", x->id, d->provider->id));
	imp_unique(d->id, m->deployments, sizeof *d, m->n_deployments);
	m->n_deployments++;
	imp_carried(m, e->where,
		    gw_arena_z(m->a, imp_text(m, "deployment %s: %.*s at %s%s%s", d->id, GW_FMT(d->upstream),
					      d->provider->id, d->credential ? " with " : ", no credential",
					      d->credential ? d->credential->id : "")));
	tell_rest(e, e->params, "litellm_params", params);
	tell_rest(e, e->info, "model_info", info);
}

static yyjson_val *shared_credential(struct imp *m, struct gw_str name)
{
	yyjson_val *one;
	size_t i, n;

	yyjson_arr_foreach(m->credential_list, i, n,
			   one) if (name.n && gw_str_eq(imp_str(yyjson_obj_get(one, "credential_name")),
							name)) return yyjson_obj_get(one, "credential_values");
	return NULL;
}

static void take_models(struct imp *m, yyjson_val *list)
{
	static const char *const keys[] = { "model_name", "litellm_params", "model_info", NULL };
	yyjson_val *one;
	size_t i, n;

	yyjson_arr_foreach(list, i, n, one)
	{
		struct gw_str name = imp_str(yyjson_obj_get(one, "model_name"));
		struct entry e = { .m = m,
				   .where = imp_text(m, "model_list[%zu] %.*s", i, GW_FMT(name)),
				   .params = yyjson_obj_get(one, "litellm_params"),
				   .info = yyjson_obj_get(one, "model_info") };

		e.shared = shared_credential(m, imp_str(yyjson_obj_get(e.params, "litellm_credential_name")));
		if (!name.n || !yyjson_is_obj(e.params))
			imp_left(m, e.where, "model_name or litellm_params is missing");
		else if (!is_name(name))
			imp_left(m, e.where, "model names have no spaces, quotes or backslashes here");
		else if (gw_str_find(name, '*') < name.n)
			imp_left(m, e.where, "a name with * stands for any model; name the models you serve");
		else
			take_entry(&e, name);
		tell_rest(&e, one, "entry", keys);
	}
}

/* --- routing --- */
static void take_aliases(struct imp *m, yyjson_val *aliases)
{
	yyjson_val *key, *v;
	size_t i, n;

	yyjson_obj_foreach(aliases, i, n, key, v)
	{
		struct gw_str name = gw_json_str(key),
			      to = yyjson_is_obj(v) ? imp_str(yyjson_obj_get(v, "model")) : imp_str(v);
		struct gw_str what = imp_text(m, "model_group_alias %.*s", GW_FMT(name));
		bool is_there = false, is_taken = false;
		struct imp_model *x;

		for (uint32_t k = 0; k < m->n_models; k++) {
			is_there |= gw_str_eq(m->models[k].name, to) && !m->models[k].alias_of.n;
			is_taken |= gw_str_eq(m->models[k].name, name);
		}
		if (!is_there || is_taken || !is_name(name) || !(x = model_named(m, name))) {
			imp_left(m, what,
				 is_taken         ? "a model of that name is in model_list"
				 : !is_name(name) ? "model names have no spaces, quotes or backslashes here"
						  : "its model is not carried");
			continue;
		}
		x->alias_of = to;
		x->hidden = yyjson_is_true(yyjson_obj_get(v, "hidden"));
		imp_carried(m, what, gw_arena_z(m->a, imp_text(m, "model %s, alias of %.*s", x->id, GW_FMT(to))));
	}
}

/* One {"a": ["b", "c"]}. */
static void take_fallback(struct imp *m, struct gw_str name, yyjson_val *to)
{
	struct gw_str what = imp_text(m, "fallbacks %.*s", GW_FMT(name));
	struct imp_model *x = NULL;
	yyjson_val *one;
	size_t i, n;

	for (uint32_t k = 0; k < m->n_models; k++)
		if (gw_str_eq(m->models[k].name, name) && !m->models[k].alias_of.n)
			x = &m->models[k];
	if (!x) {
		imp_left(m, what, "its model is not carried");
		return;
	}
	yyjson_arr_foreach(to, i, n, one)
	{
		if (imp_str(one).n && x->n_fallbacks < IMP_FALLBACKS)
			x->fallbacks[x->n_fallbacks++] = imp_str(one);
		else
			imp_left(m, what, "more than 8 fallbacks, or one that is no name");
	}
	imp_carried(m, what, "their deployments are targets with a later priority");
}

static void take_fallbacks(struct imp *m, yyjson_val *list)
{
	yyjson_val *one, *key, *v;
	size_t i, n, k, o;

	yyjson_arr_foreach(list, i, n, one)
	{
		yyjson_obj_foreach(one, k, o, key, v) take_fallback(m, gw_json_str(key), v);
	}
}

static void take_retries(struct imp *m, yyjson_val *v)
{
	uint64_t n = yyjson_is_uint(v) ? yyjson_get_uint(v) : 6;

	if (m->org.n || n > 5) {
		imp_left(m, GW_LIT("num_retries"),
			 m->org.n ? "settings are the platform's: leave --org out" : "from 0 to 5");
		return;
	}
	m->retries = n;
	imp_carried(m, GW_LIT("num_retries"), "settings.retries: further deployments tried before any content");
}

static void take_timeout(struct imp *m, yyjson_val *v)
{
	double s = yyjson_is_num(v) ? yyjson_get_num(v) : 0;

	if (!(s >= 1 && s <= 7200)) {
		imp_left(m, GW_LIT("timeout"), "from 1 s to 2 h");
		return;
	}
	m->timeout_ms = (uint64_t)(s * 1000);
	imp_carried(m, GW_LIT("timeout"), "total_timeout of each provider");
}

/* What is asked for in either section; told once each. */
static void take_section(struct imp *m, yyjson_val *config, const char *section, bool is_models_done)
{
	yyjson_val *key, *v;
	size_t i, n;

	yyjson_obj_foreach(yyjson_obj_get(config, section), i, n, key, v)
	{
		struct gw_str k = gw_json_str(key);
		bool is_late = gw_str_eq(k, GW_LIT("fallbacks")) || gw_str_eq(k, GW_LIT("model_group_alias"));

		if (is_late != is_models_done)
			continue;
		if (gw_str_eq(k, GW_LIT("fallbacks")))
			take_fallbacks(m, v);
		else if (gw_str_eq(k, GW_LIT("model_group_alias")))
			take_aliases(m, v);
		else if (gw_str_eq(k, GW_LIT("num_retries")))
			take_retries(m, v);
		else if (gw_str_eq(k, GW_LIT("timeout")) || gw_str_eq(k, GW_LIT("request_timeout")))
			take_timeout(m, v);
		else
			imp_left(m, imp_text(m, "%s.%.*s", section, GW_FMT(k)), "no counterpart");
	}
}

static void take_general(struct imp *m, yyjson_val *general)
{
	yyjson_val *key, *v;
	size_t i, n;

	yyjson_obj_foreach(general, i, n, key, v)
	{
		struct gw_str k = gw_json_str(key);

		imp_left(m, imp_text(m, "general_settings.%.*s", GW_FMT(k)),
			 gw_str_eq(k, GW_LIT("master_key"))
			     ? "administrators sign in with accounts or tokens here (llmgwctl account, token)"
			 : gw_str_eq(k, GW_LIT("database_url")) ? "keys are carried with --keys"
								: "no counterpart");
	}
}

void imp_litellm(struct imp *m, yyjson_val *config)
{
	static const char *const sections[] = { "model_list",
						"router_settings",
						"litellm_settings",
						"general_settings",
						"environment_variables",
						"credential_list",
						NULL };
	yyjson_val *key, *v;
	size_t i, n;

	m->environment = yyjson_obj_get(config, "environment_variables");
	m->credential_list = yyjson_obj_get(config, "credential_list");
	take_section(m, config, "litellm_settings", false);
	take_section(m, config, "router_settings", false);
	take_models(m, yyjson_obj_get(config, "model_list"));
	take_section(m, config, "litellm_settings", true);
	take_section(m, config, "router_settings", true);
	take_general(m, yyjson_obj_get(config, "general_settings"));
	yyjson_obj_foreach(config, i, n, key, v)
	{
		if (!is_one_of(gw_json_str(key), sections))
			imp_left(m, gw_json_str(key), "no counterpart");
	}
	if (yyjson_obj_size(m->environment))
		imp_carried(m, GW_LIT("environment_variables"), "read for os.environ/ in this file; not stored");
}
