/* describe: one object with all that stands around it: health, who refers to it, its last changes. */
#include "admin-cli/cli.h"
#include "core/config.h"

enum { USED_BY_MAX = 20 };

static yyjson_doc *ask(struct cli *c, struct gw_str path, struct gw_str query)
{
	static const struct cli_how how = { .is_silent = true };
	struct gw_json_fault fault;
	struct cli_reply r;
	yyjson_doc *doc = NULL;

	if (cli_call_how(c, "GET", path, query, GW_NIL, &how, &r) || r.status != 200 ||
	    gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault))
		doc = NULL;
	cli_reply_done(&r);
	return doc;
}

static void put_health(struct cli *c, const char *id, struct gw_json_out *w)
{
	yyjson_doc *doc = ask(c, cli_path(c, "/admin/v1/deployments/%.*s:health", GW_FMT(cli_enc(c, id))), GW_NIL);
	yyjson_val *root = yyjson_doc_get_root(doc), *key, *v;
	size_t i, n;

	if (!doc)
		return;
	gw_jw_obj(w);
	gw_jw_kstr(w, "deployment", gw_str_z(id));
	yyjson_obj_foreach(root, i, n, key, v)
	{
		if (gw_str_eq(gw_json_str(key), GW_LIT("deployment")) || gw_str_eq(gw_json_str(key), GW_LIT("id")))
			continue;
		gw_jw_key(w, gw_json_str(key));
		gw_jw_val(w, v);
	}
	gw_jw_end_obj(w);
	yyjson_doc_free(doc);
}

/* A deployment's own, a model's targets'. */
static void health(struct cli *c, enum gw_cf_kind kind, yyjson_val *obj, struct gw_json_out *w)
{
	size_t i, n;
	yyjson_val *v;

	gw_jw_key(w, GW_LIT("health"));
	gw_jw_arr(w);
	if (kind == GW_KIND_deployment)
		put_health(c, c->args[1], w);
	yyjson_arr_foreach(kind == GW_KIND_model ? yyjson_obj_get(obj, "targets") : NULL, i, n, v)
	{
		const char *id = yyjson_get_str(yyjson_obj_get(v, "deployment"));

		if (id)
			put_health(c, id, w);
	}
	gw_jw_end_arr(w);
}

static void put_user(struct gw_json_out *w, enum gw_cf_kind kind, yyjson_val *obj, const char *by)
{
	gw_jw_obj(w);
	gw_jw_kstr(w, "kind", gw_str_z(gw_cf_kinds[kind].name));
	gw_jw_kstr(w, "id", gw_json_str(yyjson_obj_get(obj, "id")));
	gw_jw_kstr(w, "by", gw_str_z(by));
	gw_jw_end_obj(w);
}

/* Objects of a kind whose reference field names ours: the gateway filters. */
static void by_reference(struct cli *c, enum gw_cf_kind from, const struct gw_cf_field *f, const char *id,
			 struct gw_json_out *w)
{
	yyjson_doc *doc;
	struct gw_buf q;
	size_t i, n;
	yyjson_val *v;

	gw_buf_init(&q, 1024);
	cli_query(&q, f->name, id);
	cli_query(&q, "limit", "20");
	doc = ask(c, cli_path(c, "/admin/v1/%s", gw_cf_kinds[from].plural), gw_buf_view(&q));
	gw_buf_done(&q);
	yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "items"), i, n, v) put_user(w, from, v, f->name);
	yyjson_doc_free(doc);
}

/* Models whose targets name a deployment: a list inside the object, so they are looked through here. */
static void by_target(struct cli *c, const char *id, struct gw_json_out *w)
{
	struct gw_json_fault fault;
	struct gw_buf all;
	yyjson_doc *doc;
	size_t i, n, k, m;
	unsigned found = 0;
	yyjson_val *v, *t;

	if (cli_fetch_all(c, "models", GW_NIL, 0, &all) == CLI_OK &&
	    gw_json_read(gw_buf_view(&all), &gw_json_default_limits, &doc, &fault) == GW_OK) {
		yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "items"), i, n, v)
		{
			yyjson_arr_foreach(yyjson_obj_get(v, "targets"), k, m, t)
			{
				if (gw_str_eq(gw_json_str(yyjson_obj_get(t, "deployment")), gw_str_z(id)) &&
				    found++ < USED_BY_MAX)
					put_user(w, GW_KIND_model, v, "targets");
			}
		}
		yyjson_doc_free(doc);
	}
	gw_buf_done(&all);
}

static void used_by(struct cli *c, enum gw_cf_kind kind, struct gw_json_out *w)
{
	gw_jw_key(w, GW_LIT("used_by"));
	gw_jw_arr(w);
	for (int k = 0; k < GW_KIND_COUNT; k++)
		for (unsigned i = 0; i < gw_cf_kinds[k].n_fields; i++) {
			const struct gw_cf_field *f = gw_cf_kinds[k].fields[i];
			bool is_tenant =
			    f->kind == GW_KIND_common && ((kind == GW_KIND_org && strcmp(f->name, "org") == 0) ||
							  (kind == GW_KIND_team && strcmp(f->name, "team") == 0));

			if ((f->type == GW_CF_REF && f->ref == kind) || is_tenant)
				by_reference(c, (enum gw_cf_kind)k, f, c->args[1], w);
		}
	if (kind == GW_KIND_deployment)
		by_target(c, c->args[1], w);
	gw_jw_end_arr(w);
}

static void changes(struct cli *c, enum gw_cf_kind kind, struct gw_json_out *w)
{
	yyjson_val *items;
	yyjson_doc *doc;
	struct gw_buf q;

	gw_buf_init(&q, 1024);
	cli_query(&q, "kind", gw_cf_kinds[kind].name);
	cli_query(&q, "id", c->args[1]);
	cli_query(&q, "limit", "10");
	doc = ask(c, GW_LIT("/admin/v1/generations"), gw_buf_view(&q));
	gw_buf_done(&q);
	items = yyjson_obj_get(yyjson_doc_get_root(doc), "items");
	gw_jw_key(w, GW_LIT("changes"));
	if (items)
		gw_jw_val(w, items);
	else
		gw_jw_null(w); /* the caller's role may not see the change log */
	yyjson_doc_free(doc);
}

static void section(struct cli *c, struct gw_str json, const char *name, const char *title, const char *const *columns)
{
	struct gw_json_fault fault;
	yyjson_doc *doc;

	if (gw_json_read(json, &gw_json_default_limits, &doc, &fault))
		return;
	if (yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(doc), name))) {
		printf("\n%s%s:%s\n", cli_paint(CLI_BOLD), title, cli_paint(CLI_PLAIN));
		cli_print(c, json, name, columns);
	}
	yyjson_doc_free(doc);
}

static void show(struct cli *c, struct gw_str object, struct gw_str json)
{
	static const char *const health_columns[] = { "deployment", "state", "reason", "error", "latency_ms", NULL },
				 *const used_columns[] = { "kind", "id", "by", NULL },
				 *const change_columns[] = { "seq", "ts", "generation", "actor", "act", NULL };

	cli_print(c, object, NULL, NULL);
	section(c, json, "health", "Health", health_columns);
	section(c, json, "used_by", "Used by", used_columns);
	section(c, json, "changes", "Last changes", change_columns);
}

int cli_cmd_describe(struct cli *c)
{
	const char *plural = cli_plural(c->args[0]);
	struct gw_json_fault fault;
	struct gw_json_out w;
	enum gw_cf_kind kind;
	struct cli_reply r;
	yyjson_doc *doc = NULL;
	struct gw_buf b;
	int rc;

	if (!plural || !gw_cf_kind_by_plural(gw_str_z(plural), &kind))
		return CLI_USAGE;
	rc = cli_fetch(c, plural, c->args[1], &r);
	if (!rc && gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault))
		rc = CLI_FAILED;
	if (!rc) {
		gw_buf_init(&b, 16 << 20);
		gw_jw_init(&w, &b);
		gw_jw_obj(&w);
		gw_jw_key(&w, GW_LIT("object"));
		gw_jw_val(&w, yyjson_doc_get_root(doc));
		health(c, kind, yyjson_doc_get_root(doc), &w);
		used_by(c, kind, &w);
		changes(c, kind, &w);
		gw_jw_end_obj(&w);
		c->kind = gw_cf_kinds[kind].name;
		if (cli_format(c) == CLI_TABLE)
			show(c, gw_buf_view(&r.body), gw_buf_view(&b));
		else
			rc = cli_print(c, gw_buf_view(&b), NULL, NULL);
		gw_buf_done(&b);
	}
	yyjson_doc_free(doc);
	cli_reply_done(&r);
	return rc;
}
