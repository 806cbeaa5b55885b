/* get, apply, diff, export, validate, delete: objects as they are. */
#include "admin-cli/cli.h"
#include "core/config.h"
#include "lib/secret.h"

enum { COLUMNS = 8, COLUMNS_WIDE = 16, PAGE = 1000 };

/* Columns of a kind: id, then its first short fields; the rest and the tenant with -o wide. */
static const char *const *columns_of(const char *plural)
{
	static const char *columns[COLUMNS_WIDE + 8];
	static char wide[COLUMNS_WIDE][64];
	enum gw_cf_kind k;
	unsigned n = 0;

	if (!gw_cf_kind_by_plural(gw_str_z(plural), &k))
		return NULL;
	columns[n++] = "id";
	for (unsigned i = 0; i < gw_cf_kinds[k].n_fields && n < COLUMNS_WIDE; i++) {
		const struct gw_cf_field *f = gw_cf_kinds[k].fields[i];

		if (f->kind == GW_KIND_common || f->type == GW_CF_MAP || f->type == GW_CF_PEM ||
		    f->type == GW_CF_SECRET || (f->flags & GW_CF_WO) || strcmp(f->name, "index") == 0)
			continue;
		snprintf(wide[n], sizeof wide[n], "+%s", f->name);
		columns[n] = n < COLUMNS && f->type != GW_CF_TIME ? f->name : wide[n];
		n++;
	}
	columns[n++] = "+org";
	columns[n++] = "+team";
	columns[n++] = "version";
	columns[n++] = "+updated_at";
	columns[n] = NULL;
	return columns;
}

/* Filters are done by the gateway: the fields are those of the kind, and only equality is known there. */
static int put_filters(struct cli *c, enum gw_cf_kind kind, struct gw_buf *q)
{
	for (unsigned i = 0; i < c->o.n_filters; i++) {
		struct gw_str name, value, top, rest;

		if (!gw_str_cut(gw_str_z(c->o.filters[i]), '=', &name, &value) || !name.n ||
		    strchr("!<>~", name.p[name.n - 1])) {
			cli_error("--filter %s: lists of objects take field=value (records take more: llmgwctl logs)",
				  c->o.filters[i]);
			return CLI_USAGE;
		}
		gw_str_cut(name, '.', &top, &rest);
		if (!gw_cf_field_find(kind, top)) {
			cli_no_field("--filter: ", gw_cf_kinds[kind].plural, top);
			return CLI_USAGE;
		}
		char *z = gw_arena_z(&c->arena, name);

		if (z)
			cli_query(q, z, value.p);
	}
	return CLI_OK;
}

static const struct gw_json_limits big = { .max_depth = 64, .max_nodes = 1u << 28 };

/* The rows of one page go to w; *after becomes where the next begins, NULL at the end. */
static int add_page(struct cli *c, const struct cli_reply *r, struct gw_json_out *w, uint64_t *n, uint64_t most,
		    const char **after)
{
	struct gw_json_fault fault;
	yyjson_doc *doc;
	size_t i, max;
	yyjson_val *v;

	if (gw_json_read(gw_buf_view(&r->body), &big, &doc, &fault)) {
		cli_error("the gateway's answer is not JSON (%s)", fault.what);
		return CLI_FAILED;
	}
	yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "items"), i, max, v)
	{
		if (most && *n == most)
			break;
		gw_jw_val(w, v);
		(*n)++;
	}
	v = yyjson_obj_get(yyjson_doc_get_root(doc), "next");
	*after = yyjson_is_str(v) && !(most && *n >= most) ? gw_arena_z(&c->arena, gw_json_str(v)) : NULL;
	yyjson_doc_free(doc);
	return CLI_OK;
}

int cli_fetch_all(struct cli *c, const char *plural, struct gw_str filters, uint64_t most, struct gw_buf *out)
{
	const char *after = NULL;
	struct gw_json_out w;
	uint64_t n = 0;
	int rc;

	gw_buf_init(out, 1u << 30);
	gw_jw_init(&w, out);
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("items"));
	gw_jw_arr(&w);
	do {
		char limit[24];
		struct cli_reply r;
		struct gw_buf q;

		snprintf(limit, sizeof limit, "%llu",
			 most && most - n < PAGE ? (unsigned long long)(most - n) : (unsigned long long)PAGE);
		gw_buf_init(&q, 32768);
		gw_buf_puts(&q, filters);
		cli_query(&q, "limit", limit);
		cli_query(&q, "after", after);
		rc = cli_call_ok(c, "GET", cli_path(c, "/admin/v1/%s", plural), gw_buf_view(&q), GW_NIL, &r);
		gw_buf_done(&q);
		if (!rc)
			rc = add_page(c, &r, &w, &n, most, &after);
		cli_reply_done(&r);
		if (after)
			cli_progress("%s: %llu so far", plural, (unsigned long long)n);
	} while (!rc && after);
	cli_progress_end();
	gw_jw_end_arr(&w);
	gw_jw_end_obj(&w);
	if (!rc && out->err) {
		cli_error("the list is too large; take a part of it with --limit or --filter");
		rc = CLI_FAILED;
	}
	return rc;
}

/* --field names fields of the kind. */
static int check_fields(struct cli *c, enum gw_cf_kind kind)
{
	struct gw_str rest = gw_str_z(c->o.field), one, top, below;

	while (c->o.field && rest.n) {
		if (!gw_str_cut(rest, ',', &one, &rest))
			rest = GW_NIL;
		one = gw_str_trim(one);
		if (one.n && one.p[0] == '.')
			one = gw_str_skip(one, 1);
		gw_str_cut(one, '.', &top, &below);
		if (!gw_cf_field_find(kind, top)) {
			cli_no_field("--field: ", gw_cf_kinds[kind].plural, top);
			return CLI_USAGE;
		}
	}
	return CLI_OK;
}

int cli_list(struct cli *c, const char *plural)
{
	struct gw_buf q, all = { 0 };
	enum gw_cf_kind kind;
	uint64_t most = 0;
	int rc;

	if (!gw_cf_kind_by_plural(gw_str_z(plural), &kind))
		return CLI_USAGE;
	if (c->o.limit && !c->o.all && (!gw_str_u64(gw_str_z(c->o.limit), &most) || !most)) {
		cli_error("--limit: a number from 1, not \"%s\"", c->o.limit);
		return CLI_USAGE;
	}
	gw_buf_init(&q, 16384);
	rc = check_fields(c, kind);
	if (!rc)
		rc = put_filters(c, kind, &q);
	if (!rc)
		rc = cli_fetch_all(c, plural, gw_buf_view(&q), most, &all);
	c->kind = gw_cf_kinds[kind].name;
	if (!rc)
		rc = cli_print(c, gw_buf_view(&all), "items", columns_of(plural));
	gw_buf_done(&q);
	gw_buf_done(&all);
	return rc;
}

/* The nearest id of the kind, when it is not there: one page is asked for, the first letter narrows nothing. */
static void say_nearest(struct cli *c, const char *plural, const char *id)
{
	static const struct cli_how how = { .is_silent = true, .timeout_ms = 2000 };
	const char *names[PAGE], *near;
	struct gw_json_fault fault;
	struct cli_reply r;
	yyjson_doc *doc;
	size_t i, max, n = 0;
	yyjson_val *v;

	if (cli_call_how(c, "GET", cli_path(c, "/admin/v1/%s", plural), GW_LIT("limit=1000"), GW_NIL, &how, &r) ==
		CLI_OK &&
	    r.status == 200 && gw_json_read(gw_buf_view(&r.body), &big, &doc, &fault) == GW_OK) {
		yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "items"), i, max, v)
		{
			const char *one = yyjson_get_str(yyjson_obj_get(v, "id"));

			if (one && n < PAGE)
				names[n++] = one;
		}
		near = cli_nearest(id, names, n);
		if (near)
			cli_hint("Did you mean \"%s\"?", near);
		yyjson_doc_free(doc);
	}
	cli_reply_done(&r);
}

int cli_fetch(struct cli *c, const char *plural, const char *id, struct cli_reply *r)
{
	int rc =
	    cli_call_ok(c, "GET", cli_path(c, "/admin/v1/%s/%.*s", plural, GW_FMT(cli_enc(c, id))), GW_NIL, GW_NIL, r);

	if (rc == CLI_NOT_FOUND)
		say_nearest(c, plural, id);
	return rc;
}

static int show(struct cli *c, const char *plural, const char *id)
{
	struct cli_reply r;
	enum gw_cf_kind kind;
	int rc = gw_cf_kind_by_plural(gw_str_z(plural), &kind) ? check_fields(c, kind) : CLI_USAGE;

	if (rc)
		return rc;
	rc = cli_fetch(c, plural, id, &r);
	c->kind = gw_cf_kinds[kind].name;
	if (!rc)
		rc = cli_print(c, gw_buf_view(&r.body), NULL, NULL);
	cli_reply_done(&r);
	return rc;
}

int cli_cmd_get(struct cli *c)
{
	const char *plural = cli_plural(c->args[0]);

	if (!plural)
		return CLI_USAGE;
	int rc = c->n_args == 2 ? show(c, plural, c->args[1]) : cli_list(c, plural);
	return !rc && c->o.watch ? cli_watch(c, plural, c->n_args == 2 ? c->args[1] : NULL) : rc;
}

/* --- files --- */
static void change_query(struct cli *c, struct gw_buf *q)
{
	gw_buf_init(q, 256);
	cli_query(q, "dry_run", c->o.dry_run ? "true" : NULL);
	cli_query(q, "wait", c->o.wait);
	cli_query(q, "timeout", c->o.server_timeout);
}

int cli_apply(struct cli *c, struct gw_str objects, struct cli_reply *r, bool *is_kept)
{
	struct gw_buf q;
	unsigned n = 0;
	int rc;

	*r = (struct cli_reply){ 0 };
	*is_kept = cli_txn_is_open(c) && !c->o.dry_run;
	if (*is_kept) {
		rc = cli_txn_add(c, objects, &n);
		if (!rc)
			cli_note("kept for commit; the transaction holds %u object%s (llmgwctl commit, llmgwctl abort)",
				 n, n == 1 ? "" : "s");
		return rc;
	}
	change_query(c, &q);
	rc = cli_call_ok(c, "POST", GW_LIT("/admin/v1/config:apply"), gw_buf_view(&q), objects, r);
	gw_buf_done(&q);
	if (!rc && r->status == 202)
		cli_note("Saved; some workers do not serve it yet (llmgwctl workers).");
	return rc;
}

static int send_file(struct cli *c, const char *verb, struct cli_reply *r)
{
	struct gw_buf json, q;
	int rc;

	gw_buf_init(&json, 64 << 20);
	*r = (struct cli_reply){ 0 };
	rc = cli_read_objects(c, &json);
	if (!rc) {
		change_query(c, &q);
		rc = cli_call_ok(c, "POST", cli_path(c, "/admin/v1/config:%s", verb), gw_buf_view(&q),
				 gw_buf_view(&json), r);
		gw_buf_done(&q);
	}
	gw_buf_done(&json);
	return rc;
}

int cli_cmd_apply(struct cli *c)
{
	static const char *const columns[] = { "act", "kind", "id", "version", "token", NULL };
	struct cli_reply r = { 0 };
	struct gw_buf json;
	bool is_kept;
	int rc;

	gw_buf_init(&json, 64 << 20);
	rc = cli_read_objects(c, &json);
	if (!rc)
		rc = cli_apply(c, gw_buf_view(&json), &r, &is_kept);
	if (!rc && !is_kept)
		rc = cli_print(c, gw_buf_view(&r.body), "changes", columns);
	if (json.p)
		gw_wipe(json.p, json.n);
	gw_buf_done(&json);
	cli_reply_done(&r);
	return rc;
}

int cli_cmd_validate(struct cli *c)
{
	struct cli_reply r;
	int rc = send_file(c, "validate", &r);

	if (!rc)
		rc = cli_print(c, gw_buf_view(&r.body), NULL, NULL);
	cli_reply_done(&r);
	return rc;
}

int cli_cmd_export(struct cli *c)
{
	struct cli_reply r;
	struct gw_buf q;
	int rc;

	gw_buf_init(&q, 4096);
	cli_query(&q, "generation", c->o.generation);
	cli_query(&q, "kinds", c->o.kinds);
	cli_query(&q, "org", c->o.org);
	cli_query(&q, "team", c->o.team);
	rc = cli_call_ok(c, "GET", GW_LIT("/admin/v1/config:export"), gw_buf_view(&q), GW_NIL, &r);
	if (!rc)
		rc = cli_print(c, gw_buf_view(&r.body), NULL, NULL);
	gw_buf_done(&q);
	cli_reply_done(&r);
	return rc;
}

int cli_cmd_delete(struct cli *c)
{
	const char *plural = cli_plural(c->args[0]);
	struct cli_reply r;
	struct gw_buf q;
	int rc;

	if (!plural)
		return CLI_USAGE;
	if (cli_txn_is_open(c) && !c->o.dry_run) {
		cli_error("a transaction is open, and deletes are not part of one");
		cli_hint("llmgwctl commit or llmgwctl abort first.");
		return CLI_CONFLICT;
	}
	rc = cli_fetch(c, plural, c->args[1], &r); /* a question about what is not there makes no sense */
	cli_reply_done(&r);
	if (rc)
		return rc;
	if (!c->o.dry_run && !cli_confirm(c, "Delete %s %s on %s?", c->args[0], c->args[1], cli_server(c)))
		return CLI_USAGE;
	change_query(c, &q);
	rc = cli_call_ok(c, "DELETE", cli_path(c, "/admin/v1/%s/%.*s", plural, GW_FMT(cli_enc(c, c->args[1]))),
			 gw_buf_view(&q), GW_NIL, &r);
	if (!rc)
		cli_note("%s %s %s", c->args[0], c->args[1], c->o.dry_run ? "could be deleted" : "deleted");
	gw_buf_done(&q);
	cli_reply_done(&r);
	return rc;
}
