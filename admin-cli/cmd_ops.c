/* generations, keyring, status, workers, crashes, upgrade: asked and shown. */
#include "admin-cli/cli.h"

static int show(struct cli *c, const char *method, struct gw_str path, struct gw_str query, struct gw_str body,
		const char *rows, const char *const *columns)
{
	struct cli_reply r;
	int rc = cli_call_ok(c, method, path, query, body, &r);

	if (!rc)
		rc = cli_print(c, gw_buf_view(&r.body), rows, columns);
	cli_reply_done(&r);
	return rc;
}

int cli_cmd_generations_list(struct cli *c)
{
	static const char *const columns[] = { "seq", "generation", "ts", "actor", "act", "kind", "id", NULL };
	struct gw_buf q;
	int rc;

	gw_buf_init(&q, 1024);
	cli_query(&q, "limit", c->o.limit ? c->o.limit : "50");
	cli_query(&q, "kind", c->o.kinds);
	rc = show(c, "GET", GW_LIT("/admin/v1/generations"), gw_buf_view(&q), GW_NIL, "items", columns);
	gw_buf_done(&q);
	return rc;
}

int cli_cmd_generations_diff(struct cli *c)
{
	struct gw_buf q;
	int rc;

	if (!c->o.from) {
		cli_error("name the generations: --from N [--to M]");
		return CLI_USAGE;
	}
	gw_buf_init(&q, 1024);
	cli_query(&q, "from", c->o.from);
	cli_query(&q, "to", c->o.to);
	rc = show(c, "GET", GW_LIT("/admin/v1/generations:diff"), gw_buf_view(&q), GW_NIL, NULL, NULL);
	gw_buf_done(&q);
	return rc;
}

static void rollback_body(struct cli *c, uint64_t to, struct gw_buf *b)
{
	struct gw_json_out w;

	gw_jw_init(&w, b);
	gw_jw_obj(&w);
	gw_jw_ku64(&w, "to", to);
	if (c->o.org)
		gw_jw_kstr(&w, "org", gw_str_z(c->o.org));
	if (c->o.team)
		gw_jw_kstr(&w, "team", gw_str_z(c->o.team));
	if (c->o.kinds) {
		struct gw_str rest = gw_str_z(c->o.kinds), one;

		gw_jw_key(&w, GW_LIT("kinds"));
		gw_jw_arr(&w);
		while (rest.n) {
			if (!gw_str_cut(rest, ',', &one, &rest))
				rest = GW_NIL;
			gw_jw_str(&w, one);
		}
		gw_jw_end_arr(&w);
	}
	gw_jw_end_obj(&w);
}

int cli_cmd_generations_rollback(struct cli *c)
{
	struct gw_buf b;
	uint64_t to;
	int rc;

	if (!gw_str_u64(gw_str_z(c->args[0]), &to)) {
		cli_error("\"%s\" is not a generation; llmgwctl generations list shows them", c->args[0]);
		return CLI_USAGE;
	}
	if (!c->o.dry_run &&
	    !cli_confirm(c, "Go back to generation %s? (--dry-run shows what would change)", c->args[0]))
		return CLI_USAGE;
	gw_buf_init(&b, 16384);
	rollback_body(c, to, &b);
	rc = show(c, "POST", GW_LIT("/admin/v1/generations:rollback"), c->o.dry_run ? GW_LIT("dry_run=true") : GW_NIL,
		  gw_buf_view(&b), NULL, NULL);
	gw_buf_done(&b);
	return rc;
}

int cli_cmd_keyring_status(struct cli *c)
{
	return show(c, "GET", GW_LIT("/admin/v1/keyring"), GW_NIL, GW_NIL, NULL, NULL);
}
int cli_cmd_keyring_dek(struct cli *c)
{
	return show(c, "POST", GW_LIT("/admin/v1/keyring:rotate-dek"), GW_NIL, GW_NIL, NULL, NULL);
}

int cli_cmd_keyring_root(struct cli *c)
{
	if (!cli_confirm(c, "Make a new root key? The old one opens nothing afterwards; back up the new file."))
		return CLI_FAILED;
	return show(c, "POST", GW_LIT("/admin/v1/keyring:rotate-root"), GW_NIL, GW_NIL, NULL, NULL);
}

static const char *const worker_columns[] = {
	"slot", "state", "pid", "ready", "generation", "connections", "requests_in_flight", "restarts", "beat_ms", NULL
};

int cli_cmd_workers(struct cli *c)
{
	return show(c, "GET", GW_LIT("/admin/v1/workers"), GW_NIL, GW_NIL, "items", worker_columns);
}

int cli_cmd_status(struct cli *c)
{
	static const char *const role_columns[] = { "role",     "state",    "pid",       "epoch",
						    "restarts", "uptime_s", "locked_by", NULL };
	struct gw_json_fault fault;
	struct cli_reply r;
	yyjson_doc *doc;
	int rc = cli_call_ok(c, "GET", GW_LIT("/admin/v1/status"), GW_NIL, GW_NIL, &r);

	if (rc || cli_format(c) != CLI_TABLE) {
		if (!rc)
			rc = cli_print(c, gw_buf_view(&r.body), NULL, NULL);
		cli_reply_done(&r);
		return rc;
	}
	if (gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault) == GW_OK) {
		yyjson_val *v = yyjson_doc_get_root(doc);
		struct gw_str version = gw_json_str(yyjson_obj_get(v, "version"));

		printf("llmgw %.*s, generation %llu, master %llu\n", (int)version.n, version.n ? version.p : "",
		       (unsigned long long)yyjson_get_uint(yyjson_obj_get(v, "generation")),
		       (unsigned long long)yyjson_get_uint(yyjson_obj_get(v, "master_pid")));
		cli_index_line(yyjson_obj_get(v, "index"));
		putchar('\n');
		yyjson_doc_free(doc);
	}
	cli_print(c, gw_buf_view(&r.body), "roles", role_columns);
	putchar('\n');
	cli_print(c, gw_buf_view(&r.body), "workers", worker_columns);
	cli_reply_done(&r);
	return CLI_OK;
}

int cli_cmd_crashes(struct cli *c)
{
	static const char *const columns[] = { "at", "role", "slot", "pid", "exit", "what", "request_id", NULL };

	return show(c, "GET", GW_LIT("/admin/v1/crashes"), GW_NIL, GW_NIL, "items", columns);
}

int cli_cmd_upgrade(struct cli *c)
{
	if (!c->o.timeout)
		c->o.timeout = "60s";
	return show(c, "POST", GW_LIT("/admin/v1/upgrade"), GW_NIL, GW_NIL, NULL, NULL);
}

int cli_cmd_test_deployment(struct cli *c)
{
	return show(c, "POST", cli_path(c, "/admin/v1/deployments/%.*s:test", GW_FMT(cli_enc(c, c->args[0]))), GW_NIL,
		    GW_NIL, NULL, NULL);
}
