/* get, describe, apply, diff, export, validate, delete: objects as they are. */
#include "admin-cli/cli.h"
#include "core/config.h"

enum { COLUMNS = 8 };

/* Columns of a kind: id, tenant, then its first short fields. */
static const char *const *columns_of(const char *plural)
{
	static const char *columns[COLUMNS + 4];
	enum gw_cf_kind k;
	unsigned n = 0;

	if (!gw_cf_kind_by_plural(gw_str_z(plural), &k))
		return NULL;
	columns[n++] = "id";
	for (unsigned i = 0; i < gw_cf_kinds[k].n_fields && n < COLUMNS; i++) {
		const struct gw_cf_field *f = gw_cf_kinds[k].fields[i];
		bool is_short =
		    f->type != GW_CF_MAP && f->type != GW_CF_PEM && f->type != GW_CF_SECRET && f->type != GW_CF_TIME;

		if (f->kind != GW_KIND_common && is_short && !(f->flags & GW_CF_WO) && strcmp(f->name, "index") != 0)
			columns[n++] = f->name;
	}
	columns[n++] = "version";
	columns[n] = NULL;
	return columns;
}

static void put_filters(struct cli *c, struct gw_buf *q)
{
	for (unsigned i = 0; i < c->o.n_filters; i++) {
		struct gw_str name, value;

		if (gw_str_cut(gw_str_z(c->o.filters[i]), '=', &name, &value)) {
			char *z = gw_arena_z(&c->arena, name);

			if (z)
				cli_query(q, z, value.p);
		}
	}
}

int cli_list(struct cli *c, const char *plural)
{
	struct cli_reply r;
	struct gw_buf q;
	int rc;

	gw_buf_init(&q, 16384);
	cli_query(&q, "limit", c->o.limit ? c->o.limit : "1000");
	put_filters(c, &q);
	rc = cli_call_ok(c, "GET", cli_path(c, "/admin/v1/%s", plural), gw_buf_view(&q), GW_NIL, &r);
	if (!rc)
		rc = cli_print(c, gw_buf_view(&r.body), "items", columns_of(plural));
	gw_buf_done(&q);
	cli_reply_done(&r);
	return rc;
}

static int show(struct cli *c, const char *plural, const char *id)
{
	struct cli_reply r;
	int rc =
	    cli_call_ok(c, "GET", cli_path(c, "/admin/v1/%s/%.*s", plural, GW_FMT(cli_enc(c, id))), GW_NIL, GW_NIL, &r);

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
	return c->n_args == 2 ? show(c, plural, c->args[1]) : cli_list(c, plural);
}

int cli_cmd_describe(struct cli *c)
{
	static const char *const columns[] = { "seq", "ts", "generation", "actor", "act", NULL };
	const char *plural = cli_plural(c->args[0]);
	struct cli_reply r;
	enum gw_cf_kind kind;
	struct gw_buf q;
	int rc;

	if (!plural || !gw_cf_kind_by_plural(gw_str_z(plural), &kind))
		return CLI_USAGE;
	rc = show(c, plural, c->args[1]);
	if (rc)
		return rc;
	if (kind == GW_KIND_deployment) {
		if (!cli_call_ok(c, "GET",
				 cli_path(c, "/admin/v1/deployments/%.*s:health", GW_FMT(cli_enc(c, c->args[1]))),
				 GW_NIL, GW_NIL, &r)) {
			printf("\nHealth:\n");
			cli_print(c, gw_buf_view(&r.body), NULL, NULL);
		}
		cli_reply_done(&r);
	}
	gw_buf_init(&q, 1024);
	cli_query(&q, "kind", gw_cf_kinds[kind].name);
	cli_query(&q, "id", c->args[1]);
	cli_query(&q, "limit", "10");
	rc = cli_call(c, "GET", GW_LIT("/admin/v1/generations"), gw_buf_view(&q), GW_NIL, NULL, &r);
	if (!rc && r.status == 200) {
		printf("\nLast changes:\n");
		cli_print(c, gw_buf_view(&r.body), "items", columns);
	}
	gw_buf_done(&q);
	cli_reply_done(&r);
	return rc;
}

/* --- files --- */
static void change_query(struct cli *c, struct gw_buf *q)
{
	gw_buf_init(q, 256);
	cli_query(q, "dry_run", c->o.dry_run ? "true" : NULL);
	cli_query(q, "wait", c->o.wait);
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
	struct cli_reply r;
	int rc = send_file(c, "apply", &r);

	if (!rc)
		rc = cli_print(c, gw_buf_view(&r.body), "changes", columns);
	if (!rc && r.status == 202)
		cli_note("Saved; some workers do not serve it yet (llmgwctl workers).");
	cli_reply_done(&r);
	return rc;
}

int cli_cmd_diff(struct cli *c)
{
	struct gw_json_fault fault;
	struct cli_reply r;
	yyjson_doc *doc;
	int rc = send_file(c, "diff", &r);

	if (!rc)
		rc = cli_print(c, gw_buf_view(&r.body), NULL, NULL);
	if (!rc && gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault) == GW_OK) {
		if (yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(doc), "changes")))
			rc = CLI_DIFFERS;
		yyjson_doc_free(doc);
	}
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
	if (!c->o.dry_run && !cli_confirm(c, "Delete %s %s?", c->args[0], c->args[1]))
		return CLI_FAILED;
	change_query(c, &q);
	rc = cli_call_ok(c, "DELETE", cli_path(c, "/admin/v1/%s/%.*s", plural, GW_FMT(cli_enc(c, c->args[1]))),
			 gw_buf_view(&q), GW_NIL, &r);
	if (!rc)
		cli_note("%s %s %s", c->args[0], c->args[1], c->o.dry_run ? "could be deleted" : "deleted");
	gw_buf_done(&q);
	cli_reply_done(&r);
	return rc;
}
