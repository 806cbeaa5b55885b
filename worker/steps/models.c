/* models: GET /v1/models and /v1/models/{id}, straight from the images: what this key may use. */
#include "core/config_types.h"
#include "lib/json_write.h"
#include "worker/req.h"

enum { LIST_MAX_BYTES = 4 << 20 };

struct listing {
	struct gw_req *r;
	struct gw_json_out *out;
	struct gw_str tenant, only; /* only: one model name, NIL = all */
	uint32_t n;
	struct gw_mark mark;
};

static void put_model(struct gw_json_out *w, struct gw_str name, const struct gw_cf_model *m)
{
	gw_jw_obj(w);
	gw_jw_kstr(w, "id", name);
	gw_jw_kstr(w, "object", GW_LIT("model"));
	gw_jw_ku64(w, "created", 0);
	gw_jw_kstr(w, "owned_by", m->owned_by);
	gw_jw_end_obj(w);
}

/* What a chat request of this name would meet. */
static bool usable(struct gw_req *r, struct gw_str name, struct gw_cf_model *m)
{
	struct gw_rows rows = gw_worker_rows(r->w);

	return gw_plan_find(&rows, &r->arena, &r->subject, name, m) == GW_OK &&
	       gw_plan_may_use(&rows, &r->subject, m) == GW_OK;
}

/* Key: tenant | 0x1f | name. */
static bool on_model(void *ctx, struct gw_str key, struct gw_str id)
{
	struct listing *l = ctx;
	struct gw_cf_model m;
	struct gw_str name;

	if (key.n <= l->tenant.n || !gw_str_has_prefix(key, l->tenant) || key.p[l->tenant.n] != 0x1f)
		return false;
	name = gw_str_skip(key, l->tenant.n + 1);
	gw_arena_reset(&l->r->arena, l->mark);
	/* a name that the platform and the tenant have is listed where it resolves to */
	if (usable(l->r, name, &m) && gw_str_eq(m.id, id) && !m.hidden) {
		put_model(l->out, name, &m);
		l->n++;
	}
	return true;
}

static void list_tenant(struct listing *l, struct gw_str tenant)
{
	struct gw_image *config = l->r->w->images.image[GW_IMAGE_CONFIG];
	char from[160];

	if (tenant.n + 1 > sizeof from)
		return;
	l->tenant = tenant;
	memcpy(from, tenant.p, tenant.n);
	from[tenant.n] = 0x1f;
	if (gw_image_walk(config, GW_DB_MODEL, gw_str(from, tenant.n + 1), on_model, l) != GW_OK)
		l->r->err = GW_E_CORRUPT;
}

static void list_all(struct gw_req *r, struct gw_json_out *w)
{
	struct listing l = { .r = r, .out = w };
	struct gw_str org = gw_arena_printf(&r->arena, "o:%.*s", GW_FMT(r->subject.org));
	struct gw_str team = gw_arena_printf(&r->arena, "t:%.*s", GW_FMT(r->subject.team));

	l.mark = gw_arena_mark(&r->arena);
	gw_jw_obj(w);
	gw_jw_kstr(w, "object", GW_LIT("list"));
	gw_jw_key(w, GW_LIT("data"));
	gw_jw_arr(w);
	list_tenant(&l, GW_LIT(""));
	if (r->subject.org.n)
		list_tenant(&l, org);
	if (r->subject.team.n)
		list_tenant(&l, team);
	gw_jw_end_arr(w);
	gw_jw_end_obj(w);
}

static enum gw_err one_model(struct gw_req *r, struct gw_json_out *w)
{
	struct gw_cf_model m;

	if (!usable(r, r->path_arg, &m))
		return GW_E_MODEL_NOT_FOUND;
	put_model(w, r->path_arg, &m);
	return GW_OK;
}

enum gw_step_id gw_step_models(struct gw_req *r)
{
	struct gw_json_out w;
	struct gw_buf b;
	enum gw_err e = GW_OK;
	struct gw_str body = GW_NIL;

	gw_buf_init(&b, LIST_MAX_BYTES);
	gw_jw_init(&w, &b);
	if (r->endpoint->id == GW_EP_MODELS)
		list_all(r, &w);
	else
		e = one_model(r, &w);
	if (!e && !r->err && !b.err) {
		body = gw_arena_str(&r->arena, gw_buf_view(&b));
		e = body.p ? GW_OK : GW_E_NOMEM;
	} else if (!e) {
		e = r->err ? r->err : b.err;
	}
	gw_buf_done(&b);
	if (e)
		return gw_req_fail(r, e, GW_NIL);
	r->status = 200;
	gw_answer_whole(r, GW_LIT("application/json"), body);
	return GW_STEP_account;
}
