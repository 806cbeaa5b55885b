/* Rows of LiteLLM's table of virtual keys, as JSON or CSV. Their tokens are SHA-256 hashes, which is what this gateway asks for to take a key over
 * (key.import_sha256): clients keep their keys. Teams and users that keys name are made along with them, in one org. */
#include "admin-cli/import.h"

#include "lib/text.h"

enum { COLUMNS = 128, LISTED = 256 };
static const char default_org[] = "litellm";

struct ids { /* of one kind: made once */
	char (*v)[IMP_ID];
	uint32_t n;
};
struct take {
	struct imp *m;
	struct ids orgs, teams, users, keys;
	uint64_t n, n_limits;
};
/* A row, whatever it came from. */
struct row {
	struct gw_str token, alias, team, user, org, expires;
	struct gw_str models[LISTED];
	uint32_t n_models;
	bool is_blocked, has_limits;
};

static bool add_id(struct imp *m, struct ids *l, struct gw_str text, char id[IMP_ID])
{
	imp_id(id, text);
	for (uint32_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], id) == 0)
			return false;
	if (!l->v)
		l->v = gw_alloc(m->a, sizeof *l->v * IMP_KEYS);
	if (!l->v || l->n == IMP_KEYS)
		return false;
	memcpy(l->v[l->n++], id, IMP_ID);
	return true;
}

static void put_owner(struct take *t, const char *kind, const char *id, const char *org, struct gw_str shown)
{
	struct gw_json_out *w = &t->m->out;

	gw_jw_obj(w);
	gw_jw_kstr(w, "kind", gw_str_z(kind));
	gw_jw_kstr(w, "id", gw_str_z(id));
	if (org)
		gw_jw_kstr(w, "org", gw_str_z(org));
	gw_jw_kstr(w, "display_name", gw_str(shown.p, shown.n < 200 ? shown.n : 200));
	gw_jw_end_obj(w);
	imp_carried(t->m, imp_text(t->m, "%s %s", kind, id), "");
}

/* "2026-01-31 12:00:00+00" is near enough to what is wanted: NIL when it is not a time. */
static struct gw_str time_of(struct imp *m, struct gw_str s)
{
	char *z = gw_arena_z(m->a, s);
	struct gw_str t;
	int64_t us;

	if (!z || s.n < 19)
		return GW_NIL;
	if (z[10] == ' ')
		z[10] = 'T';
	for (int i = 0; i < 3; i++) {
		static const char *const tails[] = { "", "Z", ":00" };

		t = imp_text(m, "%s%s", z, tails[i]);
		if (gw_time_read(t, &us))
			return t;
	}
	return GW_NIL;
}

/* LiteLLM's words for "what the team may", which is what an empty list means here. */
static bool is_word_for_all(struct gw_str s)
{
	return gw_str_eq(s, GW_LIT("all-team-models")) || gw_str_eq(s, GW_LIT("all-proxy-models"));
}

static void put_models(struct gw_json_out *w, const struct row *r)
{
	gw_jw_key(w, GW_LIT("models"));
	gw_jw_arr(w);
	for (uint32_t i = 0; i < r->n_models; i++)
		if (!is_word_for_all(r->models[i]))
			gw_jw_str(w, r->models[i]);
	gw_jw_end_arr(w);
}

static const char *owner(struct take *t, struct ids *list, const char *kind, const char *org, struct gw_str text,
			 char id[IMP_ID])
{
	if (!text.n)
		return NULL;
	if (add_id(t->m, list, text, id))
		put_owner(t, kind, id, org, text);
	return id;
}

static void put_key(struct take *t, const struct row *r, struct gw_str expires)
{
	char org[IMP_ID], team[IMP_ID], user[IMP_ID], id[IMP_ID];
	struct gw_json_out *w = &t->m->out;
	struct gw_str name = r->alias.n ? r->alias : imp_text(t->m, "key-%.*s", 12, r->token.p);
	const char *of_team, *of_user;

	if (t->m->org.n) /* of the caller: there already */
		imp_id(org, t->m->org);
	else
		owner(t, &t->orgs, "org", NULL, r->org.n ? r->org : gw_str_z(default_org), org);
	of_team = owner(t, &t->teams, "team", org, t->m->team.n ? GW_NIL : r->team, team);
	of_user = owner(t, &t->users, "user", org, r->user, user);
	if (!add_id(t->m, &t->keys, name, id) &&
	    !add_id(t->m, &t->keys, imp_text(t->m, "key-%.*s", 12, r->token.p), id)) {
		imp_left(t->m, imp_text(t->m, "key %.*s", GW_FMT(name)), "another of this name was carried");
		return;
	}
	gw_jw_obj(w);
	gw_jw_kstr(w, "kind", GW_LIT("key"));
	gw_jw_kstr(w, "id", gw_str_z(id));
	gw_jw_kstr(w, "org", gw_str_z(org));
	if (of_team || t->m->team.n)
		gw_jw_kstr(w, "team", of_team ? gw_str_z(of_team) : t->m->team);
	if (of_user)
		gw_jw_kstr(w, "user", gw_str_z(of_user));
	gw_jw_kstr(w, "name", gw_str(name.p, name.n < 200 ? name.n : 200));
	put_models(w, r);
	if (r->is_blocked)
		gw_jw_kbool(w, "disabled", true);
	if (expires.n)
		gw_jw_kstr(w, "expires_at", expires);
	gw_jw_kstr(w, "import_sha256", r->token);
	gw_jw_end_obj(w);
	imp_carried(t->m, imp_text(t->m, "key %s", id), r->is_blocked ? "blocked, as it was" : "");
}

static void take_row(struct take *t, const struct row *r, size_t number)
{
	struct imp *m = t->m;
	struct gw_str what = imp_text(m, "keys row %zu %.*s", number, GW_FMT(r->alias)), expires = GW_NIL;
	uint8_t hash[32];

	if (!gw_hex_read(r->token, hash, 32)) {
		imp_left(m, what, "token is not a SHA-256 hash in hex");
		return;
	}
	for (uint32_t i = 0; i < r->n_models; i++)
		if (gw_str_eq(r->models[i], GW_LIT("no-default-models"))) {
			imp_left(m, what, "it may use no model of its own; give it models here");
			return;
		}
	if (r->expires.n && !(expires = time_of(m, r->expires)).n) {
		imp_left(m, what, "expires is not a time");
		return;
	}
	t->n_limits += r->has_limits;
	t->n++;
	put_key(t, r, expires);
}

/* --- JSON --- */
static bool has_value(yyjson_val *v)
{
	return v && !yyjson_is_null(v) && !(yyjson_is_num(v) && yyjson_get_num(v) == 0) &&
	       !((yyjson_is_obj(v) || yyjson_is_arr(v)) && yyjson_get_len(v) == 0);
}

static const char *const limit_names[] = { "max_budget", "rpm_limit", "tpm_limit", "max_parallel_requests",
					   "budget_duration" };
enum { N_LIMITS = sizeof limit_names / sizeof limit_names[0] };

static void from_json(yyjson_val *o, struct row *r)
{
	yyjson_val *one;
	size_t i, n;

	*r = (struct row){ .token = imp_str(yyjson_obj_get(o, "token")),
			   .alias = imp_str(yyjson_obj_get(o, "key_alias")),
			   .team = imp_str(yyjson_obj_get(o, "team_id")),
			   .user = imp_str(yyjson_obj_get(o, "user_id")),
			   .org = imp_str(yyjson_obj_get(o, "organization_id")),
			   .expires = imp_str(yyjson_obj_get(o, "expires")),
			   .is_blocked = yyjson_is_true(yyjson_obj_get(o, "blocked")) };
	if (!r->org.n)
		r->org = imp_str(yyjson_obj_get(o, "org_id"));
	yyjson_arr_foreach(yyjson_obj_get(o, "models"), i, n, one) if (imp_str(one).n && r->n_models < LISTED)
	    r->models[r->n_models++] = imp_str(one);
	for (i = 0; i < N_LIMITS; i++)
		r->has_limits |= has_value(yyjson_obj_get(o, limit_names[i]));
}

static yyjson_val *rows_of(yyjson_val *root)
{
	yyjson_val *key, *v;
	size_t i, n;

	if (yyjson_is_arr(root))
		return root;
	yyjson_obj_foreach(root, i, n, key, v)
	{
		if (yyjson_is_arr(v))
			return v;
	}
	return NULL;
}

static bool take_json(struct take *t, struct gw_str text)
{
	static const struct gw_json_limits big = { .max_depth = 64, .max_nodes = 1u << 26 };
	struct gw_json_fault fault;
	yyjson_doc *doc;
	yyjson_val *list, *one;
	struct row r;
	size_t i, n;

	if (gw_json_read(text, &big, &doc, &fault)) {
		cli_error("--keys: line %u, column %u: %s", fault.line, fault.column, fault.what);
		return false;
	}
	list = rows_of(yyjson_doc_get_root(doc));
	yyjson_arr_foreach(list, i, n, one)
	{
		from_json(one, &r);
		take_row(t, &r, i + 1); /* what it keeps is copied into the JSON of the objects */
	}
	yyjson_doc_free(doc);
	if (!list)
		cli_error("--keys: no list of rows in it");
	return list != NULL;
}

/* --- CSV (RFC 4180) --- */
/* One field off the front; *is_last: it was the last of its line. False at a quote that does not close. */
static bool csv_field(struct imp *m, struct gw_str *s, struct gw_str *out, bool *is_last)
{
	bool is_quoted = s->n && s->p[0] == '"';
	size_t end = is_quoted, n = 0;
	char *p;

	for (; end < s->n; end++) { /* where it ends */
		char c = s->p[end];

		if (is_quoted ? c == '"' && !(end + 1 < s->n && s->p[end + 1] == '"')
			      : c == ',' || c == '\n' || c == '\r')
			break;
		end += is_quoted && c == '"';
	}
	if (is_quoted && end >= s->n)
		return false;
	p = gw_alloc_bytes(m->a, end + 1);
	for (size_t i = is_quoted; p && i < end; i++) {
		p[n++] = s->p[i];
		i += is_quoted && s->p[i] == '"';
	}
	*out = gw_str(p, n);
	end += is_quoted;
	*is_last = end >= s->n || s->p[end] != ',';
	if (!*is_last)
		end++;
	else if (end < s->n && s->p[end] == '\r')
		end++;
	if (*is_last && end < s->n && s->p[end] == '\n')
		end++;
	*s = gw_str_skip(*s, end);
	return p != NULL;
}

/* "{a,b}" of PostgreSQL, or ["a","b"]. */
static void csv_models(struct row *r, struct gw_str s)
{
	struct gw_str one;

	if (s.n >= 2 && (s.p[0] == '{' || s.p[0] == '['))
		s = gw_str(s.p + 1, s.n - 2);
	while (s.n) {
		if (!gw_str_cut(s, ',', &one, &s))
			s = GW_NIL;
		one = gw_str_trim(one);
		if (one.n >= 2 && one.p[0] == '"')
			one = gw_str(one.p + 1, one.n - 2);
		if (one.n && r->n_models < LISTED)
			r->models[r->n_models++] = one;
	}
}

static bool is_set(struct gw_str v)
{
	return v.n && !gw_str_eq(v, GW_LIT("0")) && !gw_str_ieq(v, GW_LIT("null")) && !gw_str_eq(v, GW_LIT("\\N"));
}

static void from_csv(const struct gw_str *head, const struct gw_str *cell, unsigned n, struct row *r)
{
	const struct {
		const char *name;
		struct gw_str *to;
	} texts[] = { { "token", &r->token },  { "key_alias", &r->alias },     { "team_id", &r->team },
		      { "user_id", &r->user }, { "organization_id", &r->org }, { "expires", &r->expires } };

	*r = (struct row){ 0 };
	for (unsigned i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++)
			if (gw_str_eq(head[i], gw_str_z(texts[k].name)) && is_set(cell[i]))
				*texts[k].to = cell[i];
		for (size_t k = 0; k < N_LIMITS; k++)
			r->has_limits |= gw_str_eq(head[i], gw_str_z(limit_names[k])) && is_set(cell[i]);
		if (gw_str_eq(head[i], GW_LIT("models")))
			csv_models(r, cell[i]);
		if (gw_str_eq(head[i], GW_LIT("blocked")))
			r->is_blocked =
			    cell[i].n && (cell[i].p[0] == 't' || cell[i].p[0] == 'T' || cell[i].p[0] == '1');
	}
}

static bool take_csv(struct take *t, struct gw_str text)
{
	struct gw_str head[COLUMNS], cell[COLUMNS];
	unsigned n_head = 0;
	struct row r;
	size_t rows = 0;

	for (size_t line = 1; text.n; line++) {
		struct gw_str *to = line == 1 ? head : cell, begin = text;
		unsigned n = 0;
		bool is_last = false;

		while (!is_last && n < COLUMNS)
			if (!csv_field(t->m, &text, &to[n++], &is_last) || (n == COLUMNS && !is_last)) {
				cli_error("--keys: row %zu: a quote that does not close, or more than 127 columns",
					  line);
				return false;
			}
		if (text.n == begin.n)
			return false;
		if (line == 1) {
			n_head = n;
		} else if (n == n_head) {
			from_csv(head, cell, n, &r);
			take_row(t, &r, ++rows);
		} else if (n > 1 || cell[0].n) {
			cli_error("--keys: row %zu has %u columns, the head has %u", line, n, n_head);
			return false;
		}
	}
	return true;
}

bool imp_keys(struct imp *m, struct gw_str text)
{
	struct take t = { .m = m };
	struct gw_str s = gw_str_trim(text);
	bool ok = s.n && (s.p[0] == '{' || s.p[0] == '[') ? take_json(&t, s) : take_csv(&t, s);

	if (t.n_limits)
		imp_left(m, imp_text(m, "limits and budgets of %llu keys", (unsigned long long)t.n_limits),
			 "no counterpart yet");
	if (t.n)
		imp_left(m, GW_LIT("spend and metadata of keys"), "records begin anew");
	return ok;
}
