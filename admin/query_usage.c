/* GET usage: roll-ups of the index added up by the dimensions that are asked for, per minute, hour, day or as a whole. Hours are used for what
 * whole hours cover, minutes for the rest, so a long range reads little. Runs in a pool thread; more rows than the ceiling are
 * refused rather than cut, because a part of a sum is a wrong sum. */
#include <sqlite3.h>
#include <stdlib.h>
#include "admin/query.h"
#include "core/rollup.h"
#include "lib/json_write.h"
#include "lib/sys/clock.h"
#include "lib/text.h"

enum { GROUPS_MAX = 5000, TABLE = 16384, TAGS_MAX = 16, TIME_MS = 5000, USAGES_MAX = 2, BYTES_MAX = 16 << 20 };
#define MINUTE_US 60000000LL
#define NO_GROUP  UINT32_MAX

struct group {
	int64_t bucket; /* Unix us; 0 = none */
	uint32_t names; /* index of its texts */
	struct gw_rollup sum;
};
/* The texts of one combination of the asked dimensions; each tuple of the index belongs to one (several, by tag). */
struct names {
	struct gw_str text[GW_RD_COUNT];
	uint32_t next; /* in its chain; NO_GROUP = end */
};
struct member {
	uint32_t names, next;
};

struct usage {
	uv_work_t work;
	struct gw_adm_req *q;
	struct gw_admin *ad;
	struct gw_arena arena;
	struct gw_q y; /* index and limits of the caller */
	bool by[GW_RD_COUNT];
	int64_t from_min, to_min, bucket_min; /* minutes; bucket 0 = one for all */
	int64_t coverage_us, newest_us;
	bool is_caught_up, is_index_there;
	struct names *names;
	uint32_t n_names, cap_names, chain[TABLE];
	struct member *members; /* of tuples: first by id, further ones behind */
	uint32_t *first, n_first, n_members, cap_members;
	struct group **groups;
	uint32_t n_groups, table[TABLE];
	struct gw_rollup total;
	struct gw_buf out;
	enum gw_err err;
	const char *why;
};

static bool fail(struct usage *u, enum gw_err e, const char *why)
{
	u->err = e;
	u->why = why;
	return false;
}

static void *more(void *v, uint32_t n, uint32_t *cap, size_t size)
{
	if (n < *cap)
		return v;
	uint32_t bigger = *cap ? *cap * 2 : 256;
	void *p = realloc(v, bigger * size);

	if (p)
		*cap = bigger;
	return p;
}

/* --- tuples: which of them count, and under which names --- */
static uint32_t hash_names(const struct gw_str *text)
{
	uint32_t h = 2166136261u;

	for (int k = 0; k < GW_RD_COUNT; k++) {
		for (size_t i = 0; i < text[k].n; i++)
			h = (h ^ (uint8_t)text[k].p[i]) * 16777619u;
		h = (h ^ 0xff) * 16777619u;
	}
	return h % TABLE;
}

static bool same_names(const struct gw_str *a, const struct gw_str *b)
{
	for (int k = 0; k < GW_RD_COUNT; k++)
		if (!gw_str_eq(a[k], b[k]))
			return false;
	return true;
}

static uint32_t names_for(struct usage *u, const struct gw_str *text)
{
	uint32_t at = hash_names(text), i;

	for (i = u->chain[at]; i != NO_GROUP; i = u->names[i].next)
		if (same_names(u->names[i].text, text))
			return i;
	void *p = more(u->names, u->n_names, &u->cap_names, sizeof *u->names);
	if (!p)
		return NO_GROUP;
	u->names = p;
	struct names *n = &u->names[u->n_names];
	for (int k = 0; k < GW_RD_COUNT; k++) {
		n->text[k] = gw_arena_str(&u->arena, text[k]);
		if (!n->text[k].p)
			return NO_GROUP;
	}
	n->next = u->chain[at];
	return u->chain[at] = u->n_names++;
}

static bool add_member(struct usage *u, uint32_t tuple, const struct gw_str *text)
{
	void *p = more(u->members, u->n_members, &u->cap_members, sizeof *u->members);

	if (!p)
		return fail(u, GW_E_NOMEM, NULL);
	u->members = p;
	uint32_t names = names_for(u, text);
	if (names == NO_GROUP)
		return fail(u, GW_E_TOO_BIG, "Too many combinations: ask by fewer dimensions, or add a filter.");
	for (uint32_t i = u->first[tuple]; i != NO_GROUP; i = u->members[i].next)
		if (u->members[i].names == names)
			return true; /* a tag twice */
	u->members[u->n_members] = (struct member){ names, u->first[tuple] };
	u->first[tuple] = u->n_members++;
	return true;
}

/* By tag a request counts under each of its tags. */
static bool add_tuple(struct usage *u, uint32_t tuple, const struct gw_str *all)
{
	struct gw_str text[GW_RD_COUNT], rest = all[GW_RD_TAGS], one;

	for (int k = 0; k < GW_RD_COUNT; k++)
		text[k] = u->by[k] ? all[k] : gw_str("", 0);
	if (!u->by[GW_RD_TAGS] || !rest.n)
		return add_member(u, tuple, text);
	for (int i = 0; i < TAGS_MAX && rest.n; i++) {
		if (!gw_str_cut(rest, ',', &one, &rest))
			rest = GW_NIL;
		text[GW_RD_TAGS] = gw_str_trim(one);
		if (text[GW_RD_TAGS].n && !add_member(u, tuple, text))
			return false;
	}
	return true;
}

static bool is_wanted(const struct usage *u, const struct gw_str *t)
{
	const struct gw_adm_want *w = &u->y.want;
	struct gw_record r = { .org = t[GW_RD_ORG],
			       .team = t[GW_RD_TEAM],
			       .user = t[GW_RD_USER],
			       .key = t[GW_RD_KEY],
			       .model = t[GW_RD_MODEL],
			       .provider = t[GW_RD_PROVIDER],
			       .deployment = t[GW_RD_DEPLOYMENT],
			       .tags = t[GW_RD_TAGS] };

	return (!w->org.n || gw_str_eq(w->org, r.org)) && (!w->team.n || gw_str_eq(w->team, r.team)) &&
	       (!w->user.n || gw_str_eq(w->user, r.user)) && (!w->filter || gw_record_filter_match(w->filter, &r));
}

static bool sql_fault(struct usage *u)
{
	int code = sqlite3_errcode(u->y.db) & 0xff;

	if (code == SQLITE_INTERRUPT)
		return fail(u, GW_E_BUSY, "This takes too long: ask for a shorter time, or add a filter.");
	u->y.is_index_bad = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
	return fail(u, GW_E_NOT_READY, "The index cannot be read now; it is being looked after.");
}

static bool read_tuples(struct usage *u)
{
	int64_t max = gw_q_number(&u->y, "SELECT coalesce(max(id), 0) FROM tuple", -1);
	sqlite3_stmt *s = NULL;
	struct gw_buf b;
	int rc;

	u->n_first = max < 0 ? 0 : (uint32_t)max + 1;
	u->first = malloc((size_t)u->n_first * sizeof *u->first + 1);
	if (!u->first || max < 0)
		return u->first ? sql_fault(u) : fail(u, GW_E_NOMEM, NULL);
	memset(u->first, 0xff, (size_t)u->n_first * sizeof *u->first);
	memset(u->chain, 0xff, sizeof u->chain);
	gw_buf_init(&b, 8192);
	gw_buf_puts(&b, GW_LIT("SELECT t.id"));
	for (int k = 0; k < GW_RD_COUNT; k++)
		gw_buf_printf(&b, ", d%d.text", k);
	gw_buf_puts(&b, GW_LIT(" FROM tuple t"));
	for (int k = 0; k < GW_RD_COUNT; k++)
		gw_buf_printf(&b, " JOIN dim d%d ON d%d.id = t.\"%s\"", k, k, gw_rollup_dim_names[k]);
	rc = sqlite3_prepare_v2(u->y.db, b.p, (int)b.n, &s, NULL);
	gw_buf_done(&b);
	while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		struct gw_str text[GW_RD_COUNT];

		for (int k = 0; k < GW_RD_COUNT; k++)
			text[k] =
			    gw_str((const char *)sqlite3_column_text(s, k + 1), (size_t)sqlite3_column_bytes(s, k + 1));
		uint32_t id = (uint32_t)sqlite3_column_int64(s, 0);
		if (id < u->n_first && is_wanted(u, text) && !add_tuple(u, id, text))
			break;
		rc = SQLITE_OK;
	}
	bool ok = u->err || rc == SQLITE_DONE || sql_fault(u);
	sqlite3_finalize(s);
	return ok && !u->err;
}

/* --- sums --- */
static struct group *group_for(struct usage *u, int64_t bucket, uint32_t names)
{
	uint32_t at = ((uint32_t)(bucket / MINUTE_US) * 2654435761u ^ names * 40503u) % TABLE;

	for (; u->table[at] != NO_GROUP; at = (at + 1) % TABLE) {
		struct group *g = u->groups[u->table[at]];

		if (g->bucket == bucket && g->names == names)
			return g;
	}
	if (u->n_groups == GROUPS_MAX) {
		fail(u, GW_E_TOO_BIG,
		     "More than 5000 rows: ask by fewer dimensions, in longer buckets, or add a filter.");
		return NULL;
	}
	struct group *g = calloc(1, sizeof *g);
	if (!g) {
		fail(u, GW_E_NOMEM, NULL);
		return NULL;
	}
	g->bucket = bucket;
	g->names = names;
	u->table[at] = u->n_groups;
	u->groups[u->n_groups++] = g;
	return g;
}

static bool add_row(struct usage *u, int64_t at, uint32_t tuple, struct gw_str data)
{
	int64_t bucket = u->bucket_min ? at / u->bucket_min * u->bucket_min * MINUTE_US : 0;

	if (tuple >= u->n_first || u->first[tuple] == NO_GROUP)
		return true;
	if (gw_rollup_merge(&u->total, data))
		return fail(u, GW_E_CORRUPT, "A roll-up cannot be read: llmgwctl index rebuild makes them anew.");
	for (uint32_t i = u->first[tuple]; i != NO_GROUP; i = u->members[i].next) {
		struct group *g = group_for(u, bucket, u->members[i].names);

		if (!g || gw_rollup_merge(&g->sum, data))
			return false;
	}
	return true;
}

static bool add_span(struct usage *u, int span, int64_t from, int64_t to)
{
	sqlite3_stmt *s = NULL;
	int rc;

	if (from >= to)
		return true;
	rc = sqlite3_prepare_v2(u->y.db, "SELECT at, tuple, data FROM rollup WHERE span = ? AND at >= ? AND at < ?", -1,
				&s, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_bind_int(s, 1, span);
		sqlite3_bind_int64(s, 2, from);
		sqlite3_bind_int64(s, 3, to);
	}
	while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		rc = SQLITE_OK;
		if (!add_row(u, sqlite3_column_int64(s, 0), (uint32_t)sqlite3_column_int64(s, 1),
			     gw_str(sqlite3_column_blob(s, 2), (size_t)sqlite3_column_bytes(s, 2))))
			break;
	}
	bool ok = u->err || rc == SQLITE_DONE || sql_fault(u);
	sqlite3_finalize(s);
	return ok && !u->err;
}

static bool add_all(struct usage *u)
{
	int64_t lo = (u->from_min + 59) / 60 * 60, hi = u->to_min / 60 * 60;

	memset(u->table, 0xff, sizeof u->table);
	if (u->bucket_min == 1 || lo >= hi)
		return add_span(u, 1, u->from_min, u->to_min);
	return add_span(u, 1, u->from_min, lo) && add_span(u, 60, lo, hi) && add_span(u, 1, hi, u->to_min);
}

static void run_usage(uv_work_t *work)
{
	struct usage *u = work->data;

	u->y.until_ms = gw_now_ms() + TIME_MS;
	u->is_index_there = gw_q_index_open(&u->y);
	if (!u->is_index_there)
		return;
	u->coverage_us = gw_q_number(&u->y, "SELECT value FROM meta WHERE name = 'coverage_us'", 0);
	u->is_caught_up = gw_q_number(&u->y, "SELECT value FROM meta WHERE name = 'caught_up'", 0) != 0;
	u->newest_us = gw_q_number(&u->y, "SELECT coalesce(max(max_us), 0) FROM seg", 0);
	int64_t first = (u->coverage_us + MINUTE_US - 1) / MINUTE_US;
	if (u->from_min < first)
		u->from_min = first;
	u->groups = calloc(GROUPS_MAX, sizeof *u->groups);
	if (!u->groups)
		fail(u, GW_E_NOMEM, NULL);
	else if (read_tuples(u))
		add_all(u);
	gw_q_index_close(&u->y);
}

/* --- answer --- */
static int by_bucket_cost(const void *a, const void *b)
{
	const struct group *x = *(struct group *const *)a, *y = *(struct group *const *)b;

	if (x->bucket != y->bucket)
		return x->bucket < y->bucket ? -1 : 1;
	if (x->sum.cost_nanousd != y->sum.cost_nanousd)
		return x->sum.cost_nanousd > y->sum.cost_nanousd ? -1 : 1;
	if (x->sum.sum[GW_RS_REQUESTS] != y->sum.sum[GW_RS_REQUESTS])
		return x->sum.sum[GW_RS_REQUESTS] > y->sum.sum[GW_RS_REQUESTS] ? -1 : 1;
	return x->names < y->names ? -1 : 1;
}

static void put_time(struct gw_json_out *w, const char *key, int64_t us)
{
	struct gw_buf b;

	gw_buf_init(&b, 64);
	gw_time_put(&b, us);
	gw_jw_kstr(w, key, gw_buf_view(&b));
	gw_buf_done(&b);
}

static void put_quantiles(struct gw_json_out *w, const char *what, const uint64_t *slots)
{
	static const struct {
		const char *name;
		double q;
	} all[] = { { "p50", 0.5 }, { "p95", 0.95 }, { "p99", 0.99 } };
	char key[32];

	for (size_t i = 0; i < 3; i++) {
		snprintf(key, sizeof key, "%s_%s_us", what, all[i].name);
		gw_jw_ku64(w, key, gw_rollup_quantile(slots, all[i].q));
	}
}

static void put_sums(struct gw_json_out *w, const struct gw_rollup *r)
{
	for (int k = 0; k < GW_RS_COUNT; k++)
		gw_jw_ku64(w, gw_rollup_sum_names[k], r->sum[k]);
	gw_jw_ki64(w, "cost_nanousd", r->cost_nanousd);
	put_quantiles(w, "latency", r->latency);
	put_quantiles(w, "ttft", r->ttft);
}

static void put_answer(struct usage *u, struct gw_json_out *w)
{
	qsort(u->groups, u->n_groups, sizeof *u->groups, by_bucket_cost);
	gw_jw_obj(w);
	put_time(w, "from", u->from_min * MINUTE_US);
	put_time(w, "to", u->to_min * MINUTE_US);
	if (u->coverage_us)
		put_time(w, "covered_from", u->coverage_us);
	if (u->newest_us)
		put_time(w, "newest", u->newest_us);
	gw_jw_kbool(w, "complete", u->is_caught_up);
	gw_jw_key(w, GW_LIT("items"));
	gw_jw_arr(w);
	for (uint32_t i = 0; i < u->n_groups; i++) {
		const struct group *g = u->groups[i];

		gw_jw_obj(w);
		if (u->bucket_min)
			put_time(w, "at", g->bucket);
		for (int k = 0; k < GW_RD_COUNT; k++)
			if (u->by[k])
				gw_jw_kstr(w, gw_rollup_dim_names[k], u->names[g->names].text[k]);
		put_sums(w, &g->sum);
		gw_jw_end_obj(w);
	}
	gw_jw_end_arr(w);
	gw_jw_key(w, GW_LIT("total"));
	gw_jw_obj(w);
	put_sums(w, &u->total);
	gw_jw_end_obj(w);
	gw_jw_end_obj(w);
}

static void free_usage(struct usage *u)
{
	for (uint32_t i = 0; i < u->n_groups; i++)
		free(u->groups[i]);
	free(u->groups);
	free(u->names);
	free(u->members);
	free(u->first);
	gw_buf_done(&u->out);
	gw_arena_done(&u->arena);
	free(u);
}

static void after_usage(uv_work_t *work, int status)
{
	struct usage *u = work->data;
	struct gw_json_out w;

	(void)status;
	u->ad->n_usages--;
	if (u->y.is_index_bad)
		gw_q_report_bad_index(u->ad);
	if (!u->is_index_there) {
		gw_adm_fail(u->q, GW_E_NOT_READY,
			    GW_LIT("There is no index yet; GET index says how the exporter is doing."));
	} else if (u->err) {
		gw_adm_fail(u->q, u->err, u->why ? gw_str_z(u->why) : GW_NIL);
	} else {
		gw_jw_init(&w, &u->out);
		put_answer(u, &w);
		if (u->out.err)
			gw_adm_fail(u->q, GW_E_NOMEM, GW_NIL);
		else
			gw_adm_answer(u->q, 200, GW_LIT("application/json"), gw_buf_view(&u->out), 0, 0);
	}
	free_usage(u);
}

/* --- parameters --- */
static bool read_by(struct usage *u, struct gw_str s)
{
	struct gw_str one;

	while (s.n) {
		int k = 0;

		if (!gw_str_cut(s, ',', &one, &s))
			s = GW_NIL;
		while (k < GW_RD_COUNT && !gw_str_eq(one, gw_str_z(gw_rollup_dim_names[k])))
			k++;
		if (k == GW_RD_COUNT)
			return false;
		u->by[k] = true;
	}
	return true;
}

static bool read_bucket(struct usage *u, struct gw_str s)
{
	static const struct {
		const char *name;
		int64_t minutes;
	} all[] = { { "none", 0 }, { "minute", 1 }, { "hour", 60 }, { "day", 1440 } };

	for (size_t i = 0; i < 4; i++)
		if (gw_str_eq(s, gw_str_z(all[i].name))) {
			u->bucket_min = all[i].minutes;
			return true;
		}
	return false;
}

/* Only what roll-ups are kept by can be asked for. */
static bool are_dims(const struct gw_record_filter *f)
{
	for (unsigned i = 0; i < gw_record_filter_terms(f); i++) {
		struct gw_str name = gw_str_z(gw_record_filter_term(f, i).field->name);
		int k = 0;

		while (k < GW_RD_COUNT && !gw_str_eq(name, gw_str_z(k == GW_RD_TAGS ? "tags" : gw_rollup_dim_names[k])))
			k++;
		if (k == GW_RD_COUNT)
			return false;
	}
	return true;
}

static enum gw_err read_params(struct gw_adm_req *q, struct usage *u, struct gw_str *why)
{
	enum gw_err e = gw_q_read(q, &u->arena, &u->y, why);
	struct gw_adm_want *w = &u->y.want;
	int64_t now = gw_unix_us();
	struct gw_str v;

	if (e)
		return e;
	if (w->to_us == INT64_MAX)
		w->to_us = now + MINUTE_US;
	if (w->from_us == 0)
		w->from_us = (w->to_us < now ? w->to_us : now) - 1440 * MINUTE_US;
	u->from_min = w->from_us < 0 ? 0 : w->from_us / MINUTE_US;
	u->to_min = w->to_us < 0 ? 0 : (w->to_us + MINUTE_US - 1) / MINUTE_US;
	e = GW_E_INVALID;
	if (w->cls != GW_SEG_REQUEST || w->text.n || w->with_starts)
		*why = GW_LIT("class, text, starts: usage has sums of requests only");
	else if (gw_adm_param(q, "by", &v) && !read_by(u, v))
		*why = GW_LIT("by: any of org, team, user, key, model, provider, deployment, tag, separated by commas");
	else if (gw_adm_param(q, "bucket", &v) && !read_bucket(u, v))
		*why = GW_LIT("bucket: none, minute, hour or day");
	else if (!are_dims(w->filter))
		*why =
		    GW_LIT("filter: usage is kept by org, team, user, key, model, provider, deployment and tags only");
	else if (u->from_min >= u->to_min)
		*why = GW_LIT("from, to: the range is empty");
	else
		e = GW_OK;
	return e;
}

void gw_adm_usage(struct gw_adm_req *q)
{
	struct usage *u = q->ad->n_usages < USAGES_MAX ? calloc(1, sizeof *u) : NULL;
	struct gw_str why = GW_NIL;
	enum gw_err e;

	if (!u) {
		gw_adm_fail(q, GW_E_BUSY, GW_LIT("Too many usage queries at once; try again in a moment."));
		return;
	}
	u->q = q;
	u->ad = q->ad;
	gw_arena_init(&u->arena, NULL, 0, 8 << 20);
	gw_buf_init(&u->out, BYTES_MAX);
	e = read_params(q, u, &why);
	if (!e) {
		u->work.data = u;
		e = uv_queue_work(&q->ad->loop, &u->work, run_usage, after_usage) == 0 ? GW_OK : GW_E_BUSY;
	}
	if (e) {
		gw_adm_fail(q, e, why);
		free_usage(u);
		return;
	}
	q->ad->n_usages++;
}
