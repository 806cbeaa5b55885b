/* account create|list|password|disable, token create|list|revoke, login: who may call the admin API. Passwords are read like other secrets:
 * from standard input or the environment, never from the command line. */
#include "admin-cli/cli.h"
#include "lib/crypto.h"
#include "lib/text.h"

/* What accounts and tokens have in common. */
static int put_object(struct cli *c, struct gw_json_out *w, const char *name_field)
{
	int rc;

	gw_jw_obj(w);
	cli_put_opt(w, "id", c->n_args ? c->args[0] : NULL);
	cli_put_opt(w, name_field, c->o.name);
	cli_put_opt(w, "role", c->o.role ? c->o.role : "viewer");
	cli_put_opt(w, "org", c->o.org);
	cli_put_opt(w, "team", c->o.team);
	cli_put_opt(w, "user", c->o.user);
	rc = cli_put_expiry(w, c->o.expires);
	gw_jw_end_obj(w);
	return rc;
}

static int patch(struct cli *c, const char *plural, const char *json, const char *done)
{
	struct cli_reply r;
	int rc = cli_call_ok(c, "PATCH", cli_path(c, "/admin/v1/%s/%.*s", plural, GW_FMT(cli_enc(c, c->args[0]))),
			     GW_NIL, gw_str_z(json), &r);

	if (!rc)
		cli_note(done, c->args[0]);
	cli_reply_done(&r);
	return rc;
}

/* --- passwords --- */

/* {"<field>": password, ...} without the closing bracket; read where secrets are read. */
static int put_password(struct cli *c, const char *field, struct gw_buf *body)
{
	struct gw_buf secret;
	int rc;

	gw_buf_init(&secret, 4096);
	rc = cli_read_secret(c, &secret);
	if (!rc) {
		gw_buf_printf(body, "\"%s\":", field);
		gw_json_quote(body, gw_buf_view(&secret));
	}
	if (secret.p)
		gw_wipe(secret.p, secret.cap);
	gw_buf_done(&secret);
	return rc;
}

static int set_password(struct cli *c)
{
	struct cli_reply r = { 0 };
	struct gw_buf body;
	int rc;

	gw_buf_init(&body, 16384);
	gw_buf_putc(&body, '{');
	rc = put_password(c, "password", &body);
	gw_buf_putc(&body, '}');
	if (!rc)
		rc = cli_call_ok(c, "POST",
				 cli_path(c, "/admin/v1/accounts/%.*s:password", GW_FMT(cli_enc(c, c->args[0]))),
				 GW_NIL, gw_buf_view(&body), &r);
	cli_reply_done(&r);
	if (body.p)
		gw_wipe(body.p, body.cap);
	gw_buf_done(&body);
	return rc;
}

int cli_cmd_account_create(struct cli *c)
{
	struct gw_json_out w;
	struct cli_reply r = { 0 };
	struct gw_buf b;
	int rc;

	gw_buf_init(&b, 64 << 10);
	gw_jw_init(&w, &b);
	rc = put_object(c, &w, "display_name");
	if (!rc)
		rc = cli_call_ok(c, "POST", GW_LIT("/admin/v1/accounts"), GW_NIL, gw_buf_view(&b), &r);
	if (!rc && (rc = set_password(c)) != CLI_OK)
		cli_note("The account %s is made, but has no password: `llmgwctl account password %s` sets it.",
			 c->args[0], c->args[0]);
	if (!rc && cli_format(c) != CLI_TABLE)
		rc = cli_print(c, gw_buf_view(&r.body), NULL, NULL);
	else if (!rc)
		cli_note("account %s made", c->args[0]);
	cli_reply_done(&r);
	gw_buf_done(&b);
	return rc;
}

int cli_cmd_account_password(struct cli *c)
{
	int rc = set_password(c);

	if (!rc)
		cli_note("the password of %s is set; its sessions have ended", c->args[0]);
	return rc;
}

int cli_cmd_account_list(struct cli *c)
{
	return cli_list(c, "accounts");
}

int cli_cmd_account_disable(struct cli *c)
{
	if (!cli_confirm(c, "Disable account %s? Its sessions end at once.", c->args[0]))
		return CLI_USAGE;
	return patch(c, "accounts", "{\"disabled\":true}", "account %s is disabled");
}

/* --- tokens --- */

/* The member of an answer that is shown once; table: alone on standard output. */
static int show_secret(struct cli *c, const struct cli_reply *r, const char *note)
{
	struct gw_json_fault fault;
	yyjson_doc *doc;

	if (cli_format(c) != CLI_TABLE)
		return cli_print(c, gw_buf_view(&r->body), NULL, NULL);
	if (gw_json_read(gw_buf_view(&r->body), &gw_json_default_limits, &doc, &fault))
		return CLI_FAILED;
	const char *token = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "token"));

	cli_note("%s", note);
	printf("%s\n", token ? token : "");
	yyjson_doc_free(doc);
	return CLI_OK;
}

int cli_cmd_token_create(struct cli *c)
{
	struct gw_json_out w;
	struct cli_reply r = { 0 };
	struct gw_buf b;
	int rc;

	gw_buf_init(&b, 64 << 10);
	gw_jw_init(&w, &b);
	rc = put_object(c, &w, "name");
	if (!rc)
		rc = cli_call_ok(c, "POST", GW_LIT("/admin/v1/tokens"), GW_NIL, gw_buf_view(&b), &r);
	if (!rc)
		rc = show_secret(c, &r, "the token is shown only now:");
	cli_reply_done(&r);
	gw_buf_done(&b);
	return rc;
}

int cli_cmd_token_list(struct cli *c)
{
	return cli_list(c, "tokens");
}

int cli_cmd_token_revoke(struct cli *c)
{
	if (!cli_confirm(c, "Revoke token %s?", c->args[0]))
		return CLI_USAGE;
	return patch(c, "tokens", "{\"disabled\":true}", "token %s is revoked");
}

/* --- login --- */

int cli_cmd_login(struct cli *c)
{
	struct cli_reply r = { 0 };
	struct gw_buf body;
	int rc;

	gw_buf_init(&body, 16384);
	gw_buf_puts(&body, GW_LIT("{\"account\":"));
	gw_json_quote(&body, gw_str_z(c->args[0]));
	gw_buf_putc(&body, ',');
	rc = put_password(c, "password", &body);
	gw_buf_putc(&body, '}');
	if (!rc)
		rc = cli_call_ok(c, "POST", GW_LIT("/admin/v1/session"), GW_NIL, gw_buf_view(&body), &r);
	if (body.p)
		gw_wipe(body.p, body.cap);
	if (!rc)
		rc = show_secret(c, &r,
				 "signed in; the session's token (for LLMGW_ADMIN_TOKEN) ends after 30 minutes without "
				 "a call, at the latest after 12 hours:");
	cli_reply_done(&r);
	gw_buf_done(&body);
	return rc;
}

int cli_cmd_logout(struct cli *c)
{
	struct cli_reply r;
	int rc = cli_call_ok(c, "DELETE", GW_LIT("/admin/v1/session"), GW_NIL, GW_NIL, &r);

	if (!rc)
		cli_note("signed out");
	cli_reply_done(&r);
	return rc;
}
