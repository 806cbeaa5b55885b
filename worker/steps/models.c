/* models: GET /v1/models and /v1/models/{id}, straight from the images: what this key may use. In the shape of the client's dialect. */
#include "core/config_types.h"
#include "core/dialect/anthropic/endpoints.h"
#include "core/dialect/gemini/endpoints.h"
#include "lib/json_write.h"
#include "worker/req.h"

enum { LIST_MAX_BYTES = 4 << 20 };

/* A model's name, for lists that are written when all of them are known. */
struct named {
	struct named *next;
	struct gw_str name;
};

struct listing {
	struct gw_req *r;
	struct gw_json_out *out;
	struct gw_gemini_models *gemini; /* NULL: another shape */
	struct named **tail; /* Anthropic's lists end with what they began with; NULL: written as they come */
	struct gw_str tenant;
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

static bool keep_name(struct listing *l, struct gw_str name)
{
	struct named *n;

	gw_arena_reset(&l->r->arena, l->mark);
	n = GW_NEW(&l->r->arena, struct named);
	if (n)
		n->name = gw_arena_str(&l->r->arena, name);
	if (!n || !n->name.p) {
		l->r->err = GW_E_NOMEM;
		return false;
	}
	*l->tail = n;
	l->tail = &n->next;
	l->mark = gw_arena_mark(&l->r->arena);
	return true;
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
	if (!usable(l->r, name, &m) || !gw_str_eq(m.id, id) || m.hidden)
		return true;
	l->n++;
	if (l->tail)
		return keep_name(l, name);
	if (l->gemini)
		gw_gemini_models_add(l->gemini, name, GW_NIL);
	else
		put_model(l->out, name, &m);
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

static void walk(struct listing *l)
{
	struct gw_req *r = l->r;
	struct gw_str org = gw_arena_printf(&r->arena, "o:%.*s", GW_FMT(r->subject.org));
	struct gw_str team = gw_arena_printf(&r->arena, "t:%.*s", GW_FMT(r->subject.team));

	l->mark = gw_arena_mark(&r->arena);
	list_tenant(l, GW_LIT(""));
	if (r->subject.org.n)
		list_tenant(l, org);
	if (r->subject.team.n)
		list_tenant(l, team);
}

static void list_openai(struct gw_req *r, struct gw_buf *out)
{
	struct gw_json_out w;
	struct listing l = { .r = r, .out = &w };

	gw_jw_init(&w, out);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "object", GW_LIT("list"));
	gw_jw_key(&w, GW_LIT("data"));
	gw_jw_arr(&w);
	walk(&l);
	gw_jw_end_arr(&w);
	gw_jw_end_obj(&w);
}

static void list_gemini(struct gw_req *r, struct gw_buf *out)
{
	struct gw_gemini_models m;
	struct listing l = { .r = r, .gemini = &m };

	gw_gemini_models_begin(&m, out);
	walk(&l);
	gw_gemini_models_end(&m);
}

static void list_anthropic(struct gw_req *r, struct gw_buf *out)
{
	struct named *first = NULL;
	struct listing l = { .r = r, .tail = &first };
	struct anthropic_model *all;
	size_t n = 0;

	walk(&l);
	if (r->err)
		return;
	gw_arena_reset(&r->arena, l.mark);
	all = GW_NEW_N(&r->arena, struct anthropic_model, l.n + 1);
	if (!all) {
		r->err = GW_E_NOMEM;
		return;
	}
	for (const struct named *i = first; i; i = i->next)
		all[n++] = (struct anthropic_model){ .id = i->name };
	anthropic_models_write(all, n, out);
}

static enum gw_err one_model(struct gw_req *r, struct gw_buf *out)
{
	const struct anthropic_model named = { .id = r->path_arg };
	struct gw_gemini_models g;
	struct gw_json_out w;
	struct gw_cf_model m;

	if (!usable(r, r->path_arg, &m))
		return GW_E_MODEL_NOT_FOUND;
	if (r->endpoint->dialect == GW_D_ANTHROPIC) {
		anthropic_model_write(&named, out);
	} else if (r->endpoint->dialect == GW_D_GEMINI) {
		gw_jw_init(&g.w, out);
		gw_gemini_models_add(&g, r->path_arg, GW_NIL);
	} else {
		gw_jw_init(&w, out);
		put_model(&w, r->path_arg, &m);
	}
	return GW_OK;
}

static enum gw_err write_answer(struct gw_req *r, struct gw_buf *out)
{
	if (r->endpoint->id == GW_EP_MODEL)
		return one_model(r, out);
	if (r->endpoint->dialect == GW_D_ANTHROPIC)
		list_anthropic(r, out);
	else if (r->endpoint->dialect == GW_D_GEMINI)
		list_gemini(r, out);
	else
		list_openai(r, out);
	return GW_OK;
}

enum gw_step_id gw_step_models(struct gw_req *r)
{
	struct gw_str body = GW_NIL;
	struct gw_buf b;
	enum gw_err e;

	gw_buf_init(&b, LIST_MAX_BYTES);
	e = write_answer(r, &b);
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
