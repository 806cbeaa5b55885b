/* What was: rebuilding old states from the change log, and pruning it. */
#include "confd/history.h"

#include "confd/object.h"

static size_t bucket_of(enum gw_cf_kind kind, struct gw_str id)
{
	uint32_t h = 2166136261u ^ (uint32_t)kind;

	for (size_t i = 0; i < id.n; i++)
		h = (h ^ (uint8_t)id.p[i]) * 16777619u;
	return h % GW_PAST_BUCKETS;
}

struct gw_past *gw_history_find(const struct gw_history *h, enum gw_cf_kind kind, struct gw_str id)
{
	for (struct gw_past *p = h->bucket[bucket_of(kind, id)]; p != NULL; p = p->next) {
		if (p->kind == kind && gw_str_eq(p->id, id))
			return p;
	}
	return NULL;
}

static struct gw_past *find_or_add(struct gw_ctx *c, struct gw_history *h, enum gw_cf_kind kind, struct gw_str id)
{
	struct gw_past *p = gw_history_find(h, kind, id);

	if (p != NULL)
		return p;
	p = GW_NEW(&c->arena, struct gw_past);
	if (p == NULL)
		return NULL;
	size_t b = bucket_of(kind, id);

	*p = (struct gw_past){ .kind = kind, .id = gw_arena_str(&c->arena, id), .next = h->bucket[b] };
	h->bucket[b] = p;
	*h->last = p;
	h->last = &p->all;
	h->n++;
	return p->id.p != NULL ? p : NULL;
}

/* An object inside a log entry, as canonical text again (the log holds canonical JSON, so writing it gives the same bytes). */
static struct gw_str text_of(struct gw_ctx *c, yyjson_val *v)
{
	struct gw_json_out w;
	struct gw_buf b;

	if (!yyjson_is_obj(v))
		return GW_NIL;
	gw_buf_init(&b, GW_CF_MAX_OBJECT_BYTES * 2);
	gw_jw_init(&w, &b);
	gw_jw_val(&w, v);
	struct gw_str s = b.err == GW_OK ? gw_arena_str(&c->arena, gw_buf_view(&b)) : GW_NIL;

	gw_buf_done(&b);
	return s;
}

/* One entry, seen on the way from the newest to the oldest. */
static enum gw_err undo(struct gw_ctx *c, struct gw_history *h, yyjson_val *entry, uint64_t to)
{
	enum gw_cf_kind kind;
	struct gw_str id = gw_obj_str(entry, "id");

	if (!gw_cf_kind_by_name(gw_obj_str(entry, "kind"), &kind))
		return GW_OK; /* a key rotation */
	bool is_new = gw_history_find(h, kind, id) == NULL;
	struct gw_past *p = find_or_add(c, h, kind, id);

	if (p == NULL)
		return GW_E_NOMEM;
	if (is_new)
		p->to = text_of(c, yyjson_obj_get(entry, "after"));
	p->from = text_of(c, yyjson_obj_get(entry, "before"));
	if (gw_obj_u64(entry, "generation") > to)
		p->to = p->from;
	return GW_OK;
}

static enum gw_err check_range(struct gw_ctx *c, uint64_t from)
{
	uint64_t floor;
	enum gw_err e = gw_meta_u64(c->txn, "history_floor", &floor);

	if (e != GW_OK)
		return e;
	if (from > c->generation)
		return gw_fail(c, GW_E_NOT_FOUND, "There is no generation %llu yet; the newest is %llu.",
			       (unsigned long long)from, (unsigned long long)c->generation);
	if (from < floor)
		return gw_fail(c, GW_E_NOT_FOUND,
			       "History reaches back to generation %llu; older changes were dropped.",
			       (unsigned long long)floor);
	return GW_OK;
}

enum gw_err gw_history_read(struct gw_ctx *c, uint64_t from, uint64_t to, struct gw_history **out)
{
	struct gw_history *h = GW_NEW(&c->arena, struct gw_history);
	struct gw_scan s;
	enum gw_err e = check_range(c, from);

	if (e != GW_OK)
		return e;
	if (h == NULL)
		return GW_E_NOMEM;
	h->last = &h->first;
	e = gw_scan_start(&s, c->txn, GW_T_CHANGE, GW_NIL, true);
	if (e != GW_OK)
		return e;
	while (e == GW_OK && gw_scan_next(&s)) {
		yyjson_doc *doc = yyjson_read(s.value.p, s.value.n, 0);
		yyjson_val *entry = yyjson_doc_get_root(doc);
		bool is_past = entry != NULL && gw_obj_u64(entry, "generation") <= from;

		if (entry == NULL)
			e = GW_E_CORRUPT;
		else if (!is_past)
			e = undo(c, h, entry, to);
		yyjson_doc_free(doc);
		if (is_past)
			break;
	}
	if (e == GW_OK)
		e = s.err;
	gw_scan_end(&s);
	if (e == GW_OK)
		*out = h;
	return e;
}

/* --- pruning --- */

struct oldest {
	uint64_t seq, generation;
	int64_t ts_us;
};

static enum gw_err read_oldest(struct gw_txn *t, struct oldest *o)
{
	struct gw_scan s;
	enum gw_err e = gw_scan_start(&s, t, GW_T_CHANGE, GW_NIL, false);

	if (e != GW_OK)
		return e;
	if (!gw_scan_next(&s)) {
		e = s.err != GW_OK ? s.err : GW_E_NOT_FOUND;
	} else {
		yyjson_doc *doc = yyjson_read(s.value.p, s.value.n, 0);
		yyjson_val *entry = yyjson_doc_get_root(doc);

		*o = (struct oldest){ gw_be64_read(s.key), gw_obj_u64(entry, "generation"),
				      (int64_t)gw_obj_u64(entry, "ts_us") };
		yyjson_doc_free(doc);
	}
	gw_scan_end(&s);
	return e;
}

enum gw_err gw_history_prune(struct gw_txn *t, int64_t oldest_us, uint64_t max_bytes, unsigned max, unsigned *n)
{
	struct oldest o;
	char key[8];

	for (*n = 0; *n < max; (*n)++) {
		enum gw_err e = read_oldest(t, &o);

		if (e == GW_E_NOT_FOUND)
			return GW_OK;
		if (e != GW_OK)
			return e;
		if (o.ts_us >= oldest_us && gw_txn_bytes(t, GW_T_CHANGE) <= max_bytes)
			return GW_OK;
		e = gw_txn_del(t, GW_T_CHANGE, gw_be64(o.seq, key));
		if (e == GW_OK)
			e = gw_meta_set_u64(t, "history_floor", o.generation);
		if (e != GW_OK)
			return e;
	}
	return GW_OK;
}

/* --- for the calls --- */

void gw_history_put_change(struct gw_json_out *w, enum gw_cf_kind kind, struct gw_str id, const char *act,
			   const yyjson_val *before, const yyjson_val *after)
{
	gw_jw_obj(w);
	gw_jw_kstr(w, "kind", gw_str_z(gw_cf_kinds[kind].name));
	gw_jw_kstr(w, "id", id);
	gw_jw_kstr(w, "act", gw_str_z(act));
	gw_jw_key(w, GW_LIT("before"));
	if (before != NULL)
		gw_obj_print(w, kind, before, false, GW_NIL);
	else
		gw_jw_null(w);
	gw_jw_key(w, GW_LIT("after"));
	if (after != NULL)
		gw_obj_print(w, kind, after, false, GW_NIL);
	else
		gw_jw_null(w);
	gw_jw_end_obj(w);
}

const char *gw_history_act(struct gw_str before, struct gw_str after)
{
	return before.p == NULL ? "create" : after.p == NULL ? "delete" : "update";
}

enum gw_err gw_selection_read(struct gw_ctx *c, yyjson_val *root, struct gw_selection *out)
{
	yyjson_val *kinds = yyjson_obj_get(root, "kinds"), *v;
	size_t i, max;

	*out = (struct gw_selection){ .org = gw_obj_str(root, "org"),
				      .team = gw_obj_str(root, "team"),
				      .objects = yyjson_obj_get(root, "objects") };
	if ((kinds != NULL && !yyjson_is_arr(kinds)) || (out->objects != NULL && !yyjson_is_arr(out->objects)))
		return gw_fail(c, GW_E_INVALID, "kinds and objects must be arrays.");
	yyjson_arr_foreach(kinds, i, max, v)
	{
		enum gw_cf_kind kind;

		if (!gw_cf_kind_by_name(gw_json_str(v), &kind) && !gw_cf_kind_by_plural(gw_json_str(v), &kind))
			return gw_fault(c, GW_E_INVALID, gw_arena_printf(&c->arena, "/kinds/%zu", i),
					"There is no such kind of object. Kinds are settings, org, team, user, key, "
					"role_binding, provider, "
					"credential, deployment, model, certificate, price.");
		out->kinds[kind] = true;
		out->has_kinds = true;
	}
	return GW_OK;
}

bool gw_selection_has(const struct gw_selection *s, enum gw_cf_kind kind, const yyjson_val *obj)
{
	yyjson_val *v;
	size_t i, max;

	if (s->has_kinds && !s->kinds[kind])
		return false;
	if (s->org.n > 0 && !gw_str_eq(s->org, gw_obj_str(obj, "org")))
		return false;
	if (s->team.n > 0 && !gw_str_eq(s->team, gw_obj_str(obj, "team")))
		return false;
	if (s->objects == NULL)
		return true;
	yyjson_arr_foreach(s->objects, i, max, v)
	{
		enum gw_cf_kind k;

		if (gw_cf_kind_by_name(gw_obj_str(v, "kind"), &k) && k == kind &&
		    gw_str_eq(gw_obj_str(v, "id"), gw_obj_str(obj, "id")))
			return true;
	}
	return false;
}
