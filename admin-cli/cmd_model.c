/* model add|alias, credential set|rotate: the one-line ways to the most frequent changes. */
#include "admin-cli/cli.h"
#include "lib/secret.h"
#include "lib/sys/clock.h"

static void opt_number(struct gw_json_out *w, const char *key, const char *v)
{
	uint64_t n;

	if (v && gw_str_u64(gw_str_z(v), &n))
		gw_jw_ku64(w, key, n);
	else if (v)
		gw_jw_kstr(w, key, gw_str_z(v)); /* the gateway says what is wrong with it */
}

/* A model's name may hold what an id may not: "openai/gpt-4o" has the id "openai-gpt-4o". */
static const char *id_of(struct cli *c, const char *name)
{
	char *id = gw_arena_z(&c->arena, gw_str_z(name));

	for (char *p = id; p && *p; p++) {
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 32);
		else if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '.' || *p == '_' || *p == '-'))
			*p = '-';
	}
	return id;
}

static void put_deployment(struct cli *c, struct gw_json_out *w, const char *id)
{
	gw_jw_obj(w);
	gw_jw_kstr(w, "kind", GW_LIT("deployment"));
	gw_jw_kstr(w, "id", gw_str_z(id));
	cli_put_opt(w, "org", c->o.org);
	cli_put_opt(w, "team", c->o.team);
	gw_jw_kstr(w, "provider", gw_str_z(c->o.provider));
	cli_put_opt(w, "credential", c->o.credential);
	gw_jw_kstr(w, "upstream_model", gw_str_z(c->o.upstream ? c->o.upstream : c->args[0]));
	opt_number(w, "input_price", c->o.input_price);
	opt_number(w, "output_price", c->o.output_price);
	cli_put_opt(w, "activation", c->o.activation);
	gw_jw_end_obj(w);
}

static void put_model(struct cli *c, struct gw_json_out *w, const char *id)
{
	gw_jw_obj(w);
	gw_jw_kstr(w, "kind", GW_LIT("model"));
	gw_jw_kstr(w, "id", gw_str_z(id));
	gw_jw_kstr(w, "name", gw_str_z(c->args[0]));
	cli_put_opt(w, "org", c->o.org);
	cli_put_opt(w, "team", c->o.team);
	gw_jw_key(w, GW_LIT("targets"));
	gw_jw_arr(w);
	gw_jw_obj(w);
	gw_jw_kstr(w, "deployment", gw_str_z(id));
	gw_jw_end_obj(w);
	gw_jw_end_arr(w);
	gw_jw_end_obj(w);
}

/* Waits for the first probe's verdict by asking for the deployment's health. */
static int say_health(struct cli *c, const char *id)
{
	struct cli_reply r;
	int rc = CLI_OK;

	for (int i = 0; i < 50; i++) {
		rc = cli_call(c, "GET", cli_path(c, "/admin/v1/deployments/%.*s:health", GW_FMT(cli_enc(c, id))),
			      GW_NIL, GW_NIL, NULL, &r);
		struct gw_json_fault fault;
		yyjson_doc *doc;
		bool is_over = rc != CLI_OK || r.status != 200;

		if (!is_over && gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault) == GW_OK) {
			yyjson_val *v = yyjson_doc_get_root(doc);
			const char *state = yyjson_get_str(yyjson_obj_get(v, "state")),
				   *why = yyjson_get_str(yyjson_obj_get(v, "reason"));

			is_over = (state && strcmp(state, "active") == 0) || yyjson_obj_get(v, "error");
			if (is_over && state && strcmp(state, "active") == 0)
				cli_note("model %s is active: every worker serves it", c->args[0]);
			else if (is_over)
				cli_note("model %s is saved but pending: %s\nIt becomes active by itself when a probe "
					 "passes (llmgwctl describe deployment %s).",
					 c->args[0], why ? why : "the probe failed", id);
			yyjson_doc_free(doc);
		}
		cli_reply_done(&r);
		if (is_over)
			return rc;
		gw_sleep_ms(100);
	}
	cli_note("model %s is saved; its first probe is still under way (llmgwctl describe deployment %s)", c->args[0],
		 id);
	return rc;
}

int cli_cmd_model_add(struct cli *c)
{
	struct gw_json_out w;
	struct cli_reply r;
	struct gw_buf b;
	const char *id = id_of(c, c->args[0]);
	bool is_kept;
	int rc;

	if (!c->o.provider) {
		cli_error("name the provider with --provider ID (llmgwctl get providers)");
		return CLI_USAGE;
	}
	gw_buf_init(&b, 64 << 10);
	gw_jw_init(&w, &b);
	gw_jw_arr(&w);
	put_deployment(c, &w, id);
	put_model(c, &w, id);
	gw_jw_end_arr(&w);
	rc = cli_apply(c, gw_buf_view(&b), &r, &is_kept);
	if (!rc && !is_kept && cli_format(c) == CLI_JSON)
		rc = cli_print(c, gw_buf_view(&r.body), NULL, NULL);
	cli_reply_done(&r);
	gw_buf_done(&b);
	if (rc || is_kept || (c->o.wait && strcmp(c->o.wait, "none") == 0) ||
	    (c->o.activation && strcmp(c->o.activation, "immediate") == 0))
		return rc;
	return say_health(c, id);
}

int cli_cmd_model_alias(struct cli *c)
{
	static const char *const columns[] = { "act", "kind", "id", "version", NULL };
	struct gw_json_out w;
	struct cli_reply r;
	struct gw_buf b;
	bool is_kept;
	int rc = cli_txn_is_open(c) ? CLI_OK : cli_fetch(c, "models", id_of(c, c->args[1]), &r); /* names the nearest */

	if (!cli_txn_is_open(c))
		cli_reply_done(&r);
	if (rc)
		return rc;
	gw_buf_init(&b, 64 << 10);
	gw_jw_init(&w, &b);
	gw_jw_arr(&w);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "kind", GW_LIT("model"));
	gw_jw_kstr(&w, "id", gw_str_z(id_of(c, c->args[0])));
	gw_jw_kstr(&w, "name", gw_str_z(c->args[0]));
	gw_jw_kstr(&w, "alias_of", gw_str_z(id_of(c, c->args[1])));
	cli_put_opt(&w, "org", c->o.org);
	cli_put_opt(&w, "team", c->o.team);
	gw_jw_end_obj(&w);
	gw_jw_end_arr(&w);
	rc = cli_apply(c, gw_buf_view(&b), &r, &is_kept);
	if (!rc && !is_kept)
		rc = cli_print(c, gw_buf_view(&r.body), "changes", columns);
	cli_reply_done(&r);
	gw_buf_done(&b);
	return rc;
}

/* --- credentials --- */
static int put_secret(struct cli *c, struct gw_json_out *w, const char *member)
{
	struct gw_buf s;
	int rc = cli_read_secret(c, &s);

	if (!rc)
		gw_jw_kstr(w, member, gw_buf_view(&s));
	if (s.p)
		gw_wipe(s.p, s.cap);
	gw_buf_done(&s);
	return rc;
}

/* What is odd about the secret is said where it is seen, whatever the format of the answer. */
static void warn_of(struct gw_str body)
{
	struct gw_json_fault fault;
	yyjson_doc *doc;

	if (gw_json_read(body, &gw_json_default_limits, &doc, &fault))
		return;
	struct gw_str words = gw_json_str(gw_json_get(yyjson_doc_get_root(doc), GW_LIT("warning")));

	if (words.n)
		fprintf(stderr, "warning: %.*s\n", GW_FMT(words));
	yyjson_doc_free(doc);
}

static int send_secret(struct cli *c, const char *method, struct gw_str path, struct gw_buf *body)
{
	struct cli_reply r;
	int rc = cli_call_ok(c, method, path, GW_NIL, gw_buf_view(body), &r);

	if (!rc)
		rc = cli_print(c, gw_buf_view(&r.body), NULL, NULL);
	if (!rc)
		warn_of(gw_buf_view(&r.body));
	cli_reply_done(&r);
	return rc;
}

int cli_cmd_credential_set(struct cli *c)
{
	struct gw_json_out w;
	struct gw_buf b;
	int rc;

	gw_buf_init(&b, 64 << 10);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	cli_put_opt(&w, "provider", c->o.provider);
	cli_put_opt(&w, "org", c->o.org);
	cli_put_opt(&w, "team", c->o.team);
	cli_put_opt(&w, "type", c->o.type);
	cli_put_opt(&w, "source", c->o.source);
	cli_put_opt(&w, "region", c->o.region);
	cli_put_opt(&w, "role_arn", c->o.role_arn);
	cli_put_opt(&w, "external_id", c->o.external_id);
	cli_put_opt(&w, "tenant_id", c->o.tenant_id);
	cli_put_opt(&w, "client_id", c->o.client_id);
	cli_put_opt(&w, "scope", c->o.scope);
	cli_put_opt(&w, "token_url", c->o.token_url);
	bool has_secret = !c->o.source || strcmp(c->o.source, "secret") == 0;

	rc = has_secret ? put_secret(c, &w, "secret") : CLI_OK;
	gw_jw_end_obj(&w);
	/* with a provider the credential is made or replaced, without one it must be there */
	if (!rc)
		rc = send_secret(c, c->o.provider ? "PUT" : "PATCH",
				 cli_path(c, "/admin/v1/credentials/%.*s", GW_FMT(cli_enc(c, c->args[0]))), &b);
	if (b.p)
		gw_wipe(b.p, b.cap);
	gw_buf_done(&b);
	return rc;
}

int cli_cmd_credential_rotate(struct cli *c)
{
	const char *mode = c->o.mode ? c->o.mode : "now";
	struct gw_json_out w;
	struct gw_buf b;
	int rc = CLI_OK;

	gw_buf_init(&b, 64 << 10);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "mode", gw_str_z(mode));
	if (strcmp(mode, "promote") != 0)
		rc = put_secret(c, &w, "secret");
	gw_jw_end_obj(&w);
	if (!rc)
		rc = send_secret(c, "POST",
				 cli_path(c, "/admin/v1/credentials/%.*s:rotate", GW_FMT(cli_enc(c, c->args[0]))), &b);
	if (b.p)
		gw_wipe(b.p, b.cap);
	gw_buf_done(&b);
	return rc;
}
