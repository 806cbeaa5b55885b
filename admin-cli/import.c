/* What both readers of `import litellm` share: lists, ids, the report, and the objects as JSON. */
#include "admin-cli/import.h"

#include <ctype.h>
#include <stdarg.h>

#include "lib/secret.h"

enum { OUT_MAX = 64 << 20 };

bool imp_begin(struct imp *m, struct cli *c)
{
	*m = (struct imp){ .c = c, .a = &c->arena, .retries = UINT64_MAX };
	m->org = gw_str_z(c->o.org);
	m->team = gw_str_z(c->o.team);
	m->providers = GW_NEW_N(m->a, struct imp_provider, IMP_PROVIDERS);
	m->credentials = GW_NEW_N(m->a, struct imp_credential, IMP_CREDENTIALS);
	m->deployments = GW_NEW_N(m->a, struct imp_deployment, IMP_DEPLOYMENTS);
	m->models = GW_NEW_N(m->a, struct imp_model, IMP_MODELS);
	gw_buf_init(&m->told_text, OUT_MAX);
	gw_buf_init(&m->out_text, OUT_MAX);
	gw_jw_init(&m->told, &m->told_text);
	gw_jw_init(&m->out, &m->out_text);
	gw_jw_obj(&m->told);
	gw_jw_key(&m->told, GW_LIT("items"));
	gw_jw_arr(&m->told);
	gw_jw_arr(&m->out);
	return m->providers && m->credentials && m->deployments && m->models;
}

void imp_done(struct imp *m)
{
	for (uint32_t i = 0; i < m->n_credentials; i++)
		if (m->credentials[i].secret.p)
			gw_wipe((void *)(uintptr_t)m->credentials[i].secret.p, m->credentials[i].secret.n);
	gw_buf_done(&m->told_text);
	gw_buf_done(&m->out_text);
}

struct gw_str imp_text(struct imp *m, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return gw_arena_str(m->a, gw_str(text, n < (int)sizeof text ? (size_t)n : sizeof text - 1));
}

static void tell(struct imp *m, const char *result, struct gw_str what, const char *note)
{
	gw_jw_obj(&m->told);
	gw_jw_kstr(&m->told, "result", gw_str_z(result));
	gw_jw_kstr(&m->told, "what", what);
	gw_jw_kstr(&m->told, "note", gw_str_z(note));
	gw_jw_end_obj(&m->told);
}

void imp_carried(struct imp *m, struct gw_str what, const char *note)
{
	m->n_carried++;
	tell(m, "carried", what, note);
}

void imp_left(struct imp *m, struct gw_str what, const char *note)
{
	m->n_left++;
	tell(m, "left", what, note);
}

void imp_fault(struct imp *m, struct gw_str what, const char *note)
{
	m->has_fault = true;
	tell(m, "error", what, note);
}

void imp_id(char out[IMP_ID], struct gw_str text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n && n < IMP_ID - 1; i++) {
		char c = (char)tolower((unsigned char)text.p[i]);
		bool is_good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (is_good || (n > 0 && (c == '.' || c == '_' || c == '-')))
			out[n++] = c;
		else if (n > 0 && out[n - 1] != '-')
			out[n++] = '-';
	}
	while (n > 0 && out[n - 1] == '-')
		n--;
	if (n == 0)
		out[n++] = 'x';
	out[n] = 0;
}

void imp_unique(char id[IMP_ID], const void *list, size_t size, uint32_t n)
{
	char base[IMP_ID];

	memcpy(base, id, IMP_ID);
	base[IMP_ID - 8] = 0;
	for (unsigned k = 2;; k++) {
		bool is_taken = false;

		for (uint32_t i = 0; i < n && !is_taken; i++)
			is_taken = strcmp((const char *)list + i * size, id) == 0;
		if (!is_taken)
			return;
		snprintf(id, IMP_ID, "%.*s-%u", IMP_ID - 8, base, k % 100000);
	}
}

struct gw_str imp_str(yyjson_val *v)
{
	return yyjson_is_str(v) ? gw_json_str(v) : GW_NIL; /* else its length is that of a list */
}

/* --- objects --- */
bool imp_put_head(struct imp *m, struct gw_json_out *w, const char *kind, const char *id)
{
	gw_jw_obj(w);
	gw_jw_kstr(w, "kind", gw_str_z(kind));
	gw_jw_kstr(w, "id", gw_str_z(id));
	if (m->org.n)
		gw_jw_kstr(w, "org", m->org);
	if (m->team.n)
		gw_jw_kstr(w, "team", m->team);
	return true;
}

static void put_text(struct gw_json_out *w, const char *key, struct gw_str s)
{
	if (s.n)
		gw_jw_kstr(w, key, s);
}

static void put_number(struct gw_json_out *w, const char *key, uint64_t v)
{
	if (v)
		gw_jw_ku64(w, key, v);
}

static void put_provider(struct imp *m, struct gw_json_out *w, const struct imp_provider *p)
{
	imp_put_head(m, w, "provider", p->id);
	gw_jw_kstr(w, "type", p->type);
	put_text(w, "base_url", p->base_url);
	put_text(w, "api_version", p->api_version);
	put_text(w, "project", p->project);
	put_text(w, "location", p->location);
	put_number(w, "total_timeout", p->total_timeout_ms);
	if (p->private_range.n) {
		gw_jw_key(w, GW_LIT("allow_private"));
		gw_jw_arr(w);
		gw_jw_str(w, p->private_range);
		gw_jw_end_arr(w);
	}
	gw_jw_end_obj(w);
}

static void put_deployment(struct imp *m, struct gw_json_out *w, const struct imp_deployment *d)
{
	imp_put_head(m, w, "deployment", d->id);
	gw_jw_kstr(w, "provider", gw_str_z(d->provider->id));
	if (d->credential)
		gw_jw_kstr(w, "credential", gw_str_z(d->credential->id));
	gw_jw_kstr(w, "upstream_model", d->upstream);
	put_text(w, "region", d->region);
	put_number(w, "input_price", d->input_price);
	put_number(w, "output_price", d->output_price);
	put_number(w, "cached_price", d->cached_price);
	gw_jw_end_obj(w);
}

static struct imp_model *model_of(struct imp *m, struct gw_str name)
{
	for (uint32_t i = 0; i < m->n_models; i++)
		if (gw_str_eq(m->models[i].name, name))
			return &m->models[i];
	return NULL;
}

/* Its own deployments, then those of its fallbacks with later priorities. */
static unsigned put_targets(struct imp *m, struct gw_json_out *w, const struct imp_model *of, unsigned base, unsigned n)
{
	unsigned first = n;

	for (uint32_t i = 0; i < m->n_deployments; i++) {
		const struct imp_deployment *d = &m->deployments[i];
		unsigned order = base + d->order;

		if (&m->models[d->model] != of)
			continue;
		if (n == IMP_TARGETS) {
			imp_left(m, imp_text(m, "deployment %s of model %.*s", d->id, GW_FMT(of->name)),
				 "a model has at most 16 targets");
			break;
		}
		gw_jw_obj(w);
		gw_jw_kstr(w, "deployment", gw_str_z(d->id));
		gw_jw_ku64(w, "weight", d->weight ? d->weight : 1);
		gw_jw_ku64(w, "priority", order > 15 ? 15 : order);
		gw_jw_end_obj(w);
		n++;
	}
	return n > first ? n : first;
}

static unsigned highest_order(const struct imp *m, const struct imp_model *of)
{
	unsigned highest = 0;

	for (uint32_t i = 0; i < m->n_deployments; i++)
		if (&m->models[m->deployments[i].model] == of && m->deployments[i].order > highest)
			highest = m->deployments[i].order;
	return highest;
}

static void put_model(struct imp *m, struct gw_json_out *w, const struct imp_model *x)
{
	const struct imp_model *other = x->alias_of.n ? model_of(m, x->alias_of) : NULL;
	unsigned n = 0, base = 0;

	imp_put_head(m, w, "model", x->id);
	gw_jw_kstr(w, "name", x->name);
	if (x->hidden)
		gw_jw_kbool(w, "hidden", true);
	if (other) {
		gw_jw_kstr(w, "alias_of", gw_str_z(other->id));
	} else {
		gw_jw_key(w, GW_LIT("targets"));
		gw_jw_arr(w);
		n = put_targets(m, w, x, 0, 0);
		base = highest_order(m, x) + 1;
		for (uint32_t i = 0; i < x->n_fallbacks && n < IMP_TARGETS; i++) {
			other = model_of(m, x->fallbacks[i]);
			if (!other || other == x)
				continue;
			n = put_targets(m, w, other, base, n);
			base += highest_order(m, other) + 1;
		}
		gw_jw_end_arr(w);
	}
	gw_jw_end_obj(w);
}

/* The settings object is one for all: what is there stays, but for the number of retries. */
static void put_settings(struct imp *m, yyjson_val *now, struct gw_json_out *w)
{
	static const char *const own[] = { "retries", "version", "created_at", "updated_at", "kind" };
	yyjson_val *key, *v;
	size_t i, n;

	gw_jw_obj(w);
	gw_jw_kstr(w, "kind", GW_LIT("settings"));
	if (!now)
		gw_jw_kstr(w, "id", GW_LIT("default"));
	yyjson_obj_foreach(now, i, n, key, v)
	{
		bool is_own = false;

		for (size_t k = 0; k < sizeof own / sizeof own[0]; k++)
			is_own |= gw_str_eq(gw_json_str(key), gw_str_z(own[k]));
		if (is_own)
			continue;
		gw_jw_key(w, gw_json_str(key));
		gw_jw_val(w, v);
	}
	gw_jw_ku64(w, "retries", m->retries);
	gw_jw_end_obj(w);
}

void imp_put_objects(struct imp *m, yyjson_val *settings, struct gw_json_out *w)
{
	struct gw_str more = gw_buf_view(&m->out_text); /* "[...", closed by nobody yet */

	gw_jw_arr(w);
	for (uint32_t i = 0; i < m->n_providers; i++)
		put_provider(m, w, &m->providers[i]);
	for (uint32_t i = 0; i < m->n_credentials; i++) {
		imp_put_head(m, w, "credential", m->credentials[i].id);
		gw_jw_kstr(w, "provider", gw_str_z(m->credentials[i].provider->id));
		put_text(w, "secret", m->credentials[i].secret);
		gw_jw_end_obj(w);
	}
	for (uint32_t i = 0; i < m->n_deployments; i++)
		put_deployment(m, w, &m->deployments[i]);
	for (uint32_t i = 0; i < m->n_models; i++)
		put_model(m, w, &m->models[i]);
	if (m->retries != UINT64_MAX)
		put_settings(m, settings, w);
	if (more.n > 1)
		gw_jw_raw(w, gw_str_skip(more, 1));
	gw_jw_end_arr(w);
}
