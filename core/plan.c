/* From a key row and a model name to a plan: everything of the configuration that a request needs, copied out of the images.
 * Order of the questions: may this key be used at all, does it see the model, may it use it, who can answer. What a key
 * cannot see is told like what does not exist. */
#include "core/plan.h"

#include "core/plan_impl.h"

enum { MAX_ALIASES = 8 };

struct gw_str gw_plan_copy(struct gw_plan_room *m, struct gw_str s)
{
	if (s.n > m->left)
		return GW_NIL;
	m->left -= s.n;
	return gw_arena_str(m->arena, s);
}

bool gw_plan_copy_list(struct gw_plan_room *m, const struct gw_strs *in, struct gw_strs *out)
{
	struct gw_str *v;

	if (in->n * sizeof(*v) > m->left)
		return false;
	m->left -= in->n * sizeof(*v);
	v = gw_alloc(m->arena, in->n * sizeof(*v));
	if (!v)
		return false;
	for (uint32_t i = 0; i < in->n; i++) {
		v[i] = gw_plan_copy(m, in->v[i]);
		if (!v[i].p)
			return false;
	}
	*out = (struct gw_strs){ v, in->n };
	return true;
}

bool gw_access_list_has(const struct gw_strs *list, struct gw_str name)
{
	if (list->n == 0)
		return true;
	for (uint32_t i = 0; i < list->n; i++) {
		struct gw_str s = list->v[i];

		if (s.n && s.p[s.n - 1] == '*' ? gw_str_has_prefix(name, gw_str(s.p, s.n - 1)) : gw_str_eq(name, s))
			return true;
	}
	return false;
}

/* ---- who asks ---- */

/* An owner that is gone is refused like one that is disabled. */
static enum gw_err not_found_is(enum gw_err e, enum gw_err meaning)
{
	return e == GW_E_NOT_FOUND ? meaning : e;
}

static enum gw_err check_org(struct gw_arena *a, const struct gw_rows *rows, struct gw_subject *s)
{
	struct gw_str id = s->org;
	struct gw_cf_org org;
	struct gw_str row;
	enum gw_err e;

	if (id.n == 0)
		return GW_OK;
	e = rows->object(rows->ctx, GW_KIND_org, id, &row);
	if (!e)
		e = gw_cf_read_org(row, a, &org);
	if (e)
		return not_found_is(e, GW_E_KEY_DISABLED);
	s->is_strict |= org.strict;
	return org.disabled ? GW_E_KEY_DISABLED : GW_OK;
}

static enum gw_err check_user(struct gw_arena *a, const struct gw_rows *rows, struct gw_str id)
{
	struct gw_cf_user user;
	struct gw_str row;
	enum gw_err e;

	if (id.n == 0)
		return GW_OK;
	e = rows->object(rows->ctx, GW_KIND_user, id, &row);
	if (!e)
		e = gw_cf_read_user(row, a, &user);
	if (e)
		return not_found_is(e, GW_E_KEY_DISABLED);
	return user.disabled ? GW_E_KEY_DISABLED : GW_OK;
}

static enum gw_err check_team(struct gw_plan_room *m, const struct gw_rows *rows, struct gw_subject *s)
{
	struct gw_cf_team team;
	struct gw_str row;
	enum gw_err e;

	if (s->team.n == 0)
		return GW_OK;
	e = rows->object(rows->ctx, GW_KIND_team, s->team, &row);
	if (!e)
		e = gw_cf_read_team(row, m->arena, &team);
	if (e)
		return not_found_is(e, GW_E_KEY_DISABLED);
	if (team.disabled)
		return GW_E_KEY_DISABLED;
	s->may_relay_raw |= team.raw_relay;
	s->is_strict |= team.strict;
	return gw_plan_copy_list(m, &team.models, &s->team_models) ? GW_OK : GW_E_NOMEM;
}

enum gw_err gw_plan_subject(struct gw_arena *a, const struct gw_rows *rows, struct gw_str key_row, int64_t now_us,
			    const uint8_t key_index[32], struct gw_subject *out)
{
	struct gw_plan_room m = { .arena = a,
				  .left = SIZE_MAX }; /* access lists may be long; the arena has a ceiling of its own */
	struct gw_subject s = { 0 };
	struct gw_cf_key key;
	enum gw_err e = gw_cf_read_key(key_row, a, &key);

	if (e)
		return e;
	if (key.disabled)
		return GW_E_KEY_DISABLED;
	if (key.expires_at && now_us >= key.expires_at)
		return GW_E_KEY_EXPIRED;
	if (key.purpose != 0)
		return GW_E_FORBIDDEN;
	memcpy(s.key_index, key_index, sizeof(s.key_index));
	s.expires_at_us = key.expires_at;
	s.may_relay_raw = key.raw_relay;
	s.is_strict = key.strict;
	s.key = gw_plan_copy(&m, key.id);
	s.org = gw_plan_copy(&m, key.org);
	s.team = gw_plan_copy(&m, key.team);
	s.user = gw_plan_copy(&m, key.user);
	if (!s.key.p || !s.org.p || !s.team.p || !s.user.p || !gw_plan_copy_list(&m, &key.models, &s.key_models))
		return GW_E_NOMEM;
	e = check_org(a, rows, &s);
	if (!e)
		e = check_team(&m, rows, &s);
	if (!e)
		e = check_user(a, rows, s.user);
	if (!e)
		*out = s;
	return e;
}

/* ---- may it ---- */

/* Objects are seen by keys of the same owner or below it. */
static bool may_see(const struct gw_subject *s, struct gw_str org, struct gw_str team)
{
	return (org.n == 0 || gw_str_eq(org, s->org)) && (team.n == 0 || gw_str_eq(team, s->team));
}

static bool has_team(const struct gw_cf_model *m, struct gw_str team)
{
	if (m->teams.n == 0)
		return true;
	for (uint32_t i = 0; i < m->teams.n; i++) {
		if (team.n && gw_str_eq(m->teams.v[i], team))
			return true;
	}
	return false;
}

enum gw_err gw_plan_may_call(const struct gw_subject *s, struct gw_str name)
{
	return gw_access_list_has(&s->team_models, name) && gw_access_list_has(&s->key_models, name)
		   ? GW_OK
		   : GW_E_MODEL_DENIED;
}

enum gw_err gw_plan_may_use(const struct gw_rows *rows, const struct gw_subject *s, const struct gw_cf_model *m)
{
	(void)rows;
	if (m->disabled || !may_see(s, m->org, m->team))
		return GW_E_MODEL_NOT_FOUND;
	return has_team(m, s->team) ? gw_plan_may_call(s, m->name) : GW_E_MODEL_DENIED;
}

/* ---- the model ---- */

/* Id of the model object of this name that the subject sees first: its team's, its org's, the platform's. */
static enum gw_err find_in_tenant(const struct gw_rows *rows, struct gw_arena *a, const char *prefix,
				  struct gw_str owner, struct gw_str name, struct gw_cf_model *model)
{
	struct gw_str tenant = prefix[0] ? gw_arena_printf(a, "%s%.*s", prefix, GW_FMT(owner)) : GW_LIT(""), id, row;
	enum gw_err e;

	if (!tenant.p)
		return GW_E_NOMEM;
	e = rows->model(rows->ctx, tenant, name, &id);
	if (e)
		return e;
	id = gw_arena_str(a, id);
	if (!id.p)
		return GW_E_NOMEM;
	e = rows->object(rows->ctx, GW_KIND_model, id, &row);
	if (!e)
		e = gw_cf_read_model(row, a, model);
	if (!e && model->disabled)
		e = GW_E_NOT_FOUND;
	return e;
}

enum gw_err gw_plan_find(const struct gw_rows *rows, struct gw_arena *a, const struct gw_subject *s, struct gw_str name,
			 struct gw_cf_model *model)
{
	enum gw_err e = GW_E_NOT_FOUND;

	if (s->team.n)
		e = find_in_tenant(rows, a, "t:", s->team, name, model);
	if (e == GW_E_NOT_FOUND && s->org.n)
		e = find_in_tenant(rows, a, "o:", s->org, name, model);
	if (e == GW_E_NOT_FOUND)
		e = find_in_tenant(rows, a, "", GW_NIL, name, model);
	return not_found_is(e, GW_E_MODEL_NOT_FOUND);
}

/* Goes on to what an alias stands for. A target that its owner keeps to other teams is not opened by an alias to it. */
static enum gw_err follow_aliases(const struct gw_rows *rows, struct gw_arena *a, const struct gw_subject *s,
				  struct gw_cf_model *model, bool *is_strict)
{
	*is_strict = model->strict;
	for (int i = 0; model->alias_of.n; i++) {
		struct gw_str id = gw_arena_str(a, model->alias_of), row;
		enum gw_err e;

		if (i == MAX_ALIASES)
			return GW_E_MODEL_DOWN; /* a circle, or as good as one */
		if (!id.p)
			return GW_E_NOMEM;
		e = rows->object(rows->ctx, GW_KIND_model, id, &row);
		if (!e)
			e = gw_cf_read_model(row, a, model);
		if (e)
			return not_found_is(e, GW_E_MODEL_NOT_FOUND);
		if (model->disabled || !may_see(s, model->org, model->team))
			return GW_E_MODEL_NOT_FOUND;
		if (!has_team(model, s->team))
			return GW_E_MODEL_DENIED;
		*is_strict |= model->strict;
	}
	return GW_OK;
}

/* ---- who answers ---- */

static enum gw_err read_settings(const struct gw_rows *rows, struct gw_arena *a, struct gw_plan *plan,
				 bool *is_probe_default)
{
	struct gw_cf_settings set;
	struct gw_str row;
	enum gw_err e = rows->object(rows->ctx, GW_KIND_settings, GW_LIT("default"), &row);

	if (e == GW_E_NOT_FOUND) {
		plan->retries = (uint32_t)gw_cf_u64(NULL, GW_KIND_settings, "retries");
		plan->hold_ms = (uint32_t)gw_cf_u64(NULL, GW_KIND_settings, "hold_ms");
		plan->server_timing = gw_cf_bool(NULL, GW_KIND_settings, "server_timing");
		plan->is_strict |= gw_cf_bool(NULL, GW_KIND_settings, "strict");
		*is_probe_default = gw_cf_u64(NULL, GW_KIND_settings, "activation") == 0;
		return GW_OK;
	}
	if (!e)
		e = gw_cf_read_settings(row, a, &set);
	if (e)
		return e;
	plan->retries = (uint32_t)set.retries;
	plan->hold_ms = (uint32_t)set.hold_ms;
	plan->server_timing = set.server_timing;
	plan->is_strict |= set.strict;
	*is_probe_default = set.activation == 0;
	return GW_OK;
}

/* Targets are views into the model's row, which the next look-up invalidates. */
static enum gw_err keep_targets(struct gw_plan_room *m, const struct gw_cf_model *model, struct gw_cf_target *out,
				uint32_t *n)
{
	uint32_t want = model->targets.n < GW_PLAN_MAX_CANDIDATES ? model->targets.n : GW_PLAN_MAX_CANDIDATES;

	for (uint32_t i = 0; i < want; i++) {
		out[i] = model->targets.v[i];
		out[i].deployment = gw_plan_copy(m, out[i].deployment);
		if (!out[i].deployment.p)
			return GW_E_NOMEM;
	}
	*n = want;
	return GW_OK;
}

static enum gw_err make_candidates(struct gw_plan_room *m, uint32_t n, struct gw_plan *plan)
{
	if (n * sizeof(struct gw_candidate) > m->left)
		return GW_E_NOMEM;
	m->left -= n * sizeof(struct gw_candidate);
	plan->candidates = GW_NEW_N(m->arena, struct gw_candidate, n);
	return plan->candidates ? GW_OK : GW_E_NOMEM;
}

enum gw_err gw_plan_resolve(struct gw_arena *a, const struct gw_rows *rows, const struct gw_subject *s,
			    struct gw_str name, struct gw_plan *out)
{
	struct gw_plan_room m = { .arena = a, .left = GW_PLAN_MAX_BYTES, .subject = s, .has_owner = true };
	struct gw_plan plan = { .generation = out->generation };
	struct gw_cf_target targets[GW_PLAN_MAX_CANDIDATES];
	struct gw_cf_model model;
	bool is_probe_default = true;
	uint32_t n = 0;
	enum gw_err e = gw_plan_find(rows, a, s, name, &model);

	if (!e)
		e = gw_plan_may_use(rows, s, &model);
	if (e)
		return e;
	plan.name = gw_plan_copy(&m, model.name);
	e = follow_aliases(rows, a, s, &model, &plan.is_strict);
	if (e)
		return e;
	plan.model = gw_plan_copy(&m, model.id);
	m.org = gw_arena_str(a, model.org);
	m.team = gw_arena_str(a, model.team);
	if (!plan.model.p || !plan.name.p || !m.org.p || !m.team.p)
		return GW_E_NOMEM;
	e = keep_targets(&m, &model, targets, &n);
	if (!e)
		e = make_candidates(&m, n, &plan);
	if (!e)
		e = read_settings(rows, a, &plan, &is_probe_default);
	for (uint32_t i = 0; i < n && !e; i++) {
		e = gw_plan_candidate(&m, rows, &targets[i], is_probe_default, &plan);
		if (e == GW_E_NOT_FOUND)
			e = GW_OK; /* this one is disabled or gone; another may answer */
	}
	if (!e && plan.n_candidates == 0)
		e = GW_E_MODEL_DOWN;
	if (!e)
		*out = plan;
	return e;
}
