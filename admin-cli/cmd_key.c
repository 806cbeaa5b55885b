/* key create|list|revoke. The token of a new key is printed once and kept nowhere. */
#include "admin-cli/cli.h"
#include "lib/text.h"

static void put_list(struct gw_json_out *w, const char *key, const char *list)
{
	struct gw_str rest = gw_str_z(list), one;

	if (!list)
		return;
	gw_jw_key(w, gw_str_z(key));
	gw_jw_arr(w);
	while (rest.n) {
		if (!gw_str_cut(rest, ',', &one, &rest))
			rest = GW_NIL;
		gw_jw_str(w, gw_str_trim(one));
	}
	gw_jw_end_arr(w);
}

static int show_new(struct cli *c, struct cli_reply *r)
{
	struct gw_json_fault fault;
	yyjson_doc *doc;

	if (cli_format(c) != CLI_TABLE)
		return cli_print(c, gw_buf_view(&r->body), NULL, NULL);
	if (gw_json_read(gw_buf_view(&r->body), &gw_json_default_limits, &doc, &fault))
		return CLI_FAILED;
	yyjson_val *v = yyjson_doc_get_root(doc);
	const char *id = yyjson_get_str(yyjson_obj_get(v, "id")), *token = yyjson_get_str(yyjson_obj_get(v, "token"));

	cli_note("key %s made; its token is shown only now:", id ? id : "?");
	printf("%s\n", token ? token : "(an existing token was taken over)");
	yyjson_doc_free(doc);
	return CLI_OK;
}

int cli_cmd_key_create(struct cli *c)
{
	struct gw_json_out w;
	struct cli_reply r = { 0 };
	struct gw_buf b;
	int rc;

	gw_buf_init(&b, 64 << 10);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	cli_put_opt(&w, "id", c->n_args ? c->args[0] : NULL);
	cli_put_opt(&w, "name", c->o.name);
	cli_put_opt(&w, "org", c->o.org);
	cli_put_opt(&w, "team", c->o.team);
	cli_put_opt(&w, "user", c->o.user);
	cli_put_opt(&w, "purpose", c->o.purpose);
	put_list(&w, "models", c->o.models);
	rc = cli_put_expiry(&w, c->o.expires);
	gw_jw_end_obj(&w);
	if (!rc)
		rc = cli_call_ok(c, "POST", GW_LIT("/admin/v1/keys"), GW_NIL, gw_buf_view(&b), &r);
	if (!rc)
		rc = show_new(c, &r);
	cli_reply_done(&r);
	gw_buf_done(&b);
	return rc;
}

int cli_cmd_key_list(struct cli *c)
{
	return cli_list(c, "keys");
}

int cli_cmd_key_revoke(struct cli *c)
{
	struct cli_reply r;
	int rc;

	if (!cli_confirm(c, "Revoke key %s? Its running streams end within a second.", c->args[0]))
		return CLI_USAGE;
	rc = cli_call_ok(c, "PATCH", cli_path(c, "/admin/v1/keys/%.*s", GW_FMT(cli_enc(c, c->args[0]))), GW_NIL,
			 GW_LIT("{\"disabled\":true}"), &r);
	if (!rc)
		cli_note("key %s is revoked", c->args[0]);
	cli_reply_done(&r);
	return rc;
}
