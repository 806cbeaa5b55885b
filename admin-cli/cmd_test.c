/* test chat: one request through the data plane, as a client would send it. */
#include <stdlib.h>
#include "admin-cli/cli.h"

static bool on_piece(void *ctx, struct gw_str p)
{
	struct gw_buf *b = ctx;

	if (b)
		gw_buf_puts(b, p);
	else
		printf("%.*s", GW_FMT(p));
	fflush(stdout);
	return !b || !b->err;
}

static void write_body(struct cli *c, struct gw_buf *b)
{
	struct gw_json_out w;

	gw_jw_init(&w, b);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "model", gw_str_z(c->args[0]));
	gw_jw_key(&w, GW_LIT("messages"));
	gw_jw_arr(&w);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "role", GW_LIT("user"));
	gw_jw_kstr(&w, "content", gw_str_z(c->n_args > 1 ? c->args[1] : "Say hello in one short sentence."));
	gw_jw_end_obj(&w);
	gw_jw_end_arr(&w);
	if (c->o.stream)
		gw_jw_kbool(&w, "stream", true);
	gw_jw_end_obj(&w);
}

static int show(struct cli *c, struct gw_buf *reply, long status)
{
	struct cli_reply r = { .status = status, .body = *reply };
	struct gw_json_fault fault;
	yyjson_doc *doc;

	if (status >= 400)
		return cli_say_error(c, &r);
	if (cli_format(c) != CLI_TABLE)
		return cli_print(c, gw_buf_view(reply), NULL, NULL);
	if (gw_json_read(gw_buf_view(reply), &gw_json_default_limits, &doc, &fault)) {
		cli_error("the answer is not JSON");
		return CLI_FAILED;
	}
	yyjson_val *choice = yyjson_arr_get_first(yyjson_obj_get(yyjson_doc_get_root(doc), "choices"));
	const char *text = yyjson_get_str(yyjson_obj_get(yyjson_obj_get(choice, "message"), "content"));
	printf("%s\n", text ? text : "(no text)");
	yyjson_doc_free(doc);
	return CLI_OK;
}

int cli_cmd_test_chat(struct cli *c)
{
	const char *gateway = c->o.gateway ? c->o.gateway : getenv("LLMGW_URL");
	struct gw_buf body, reply;
	struct gw_str key = cli_key(c), base = gw_str_z(gateway ? gateway : "http://127.0.0.1:4000");
	long status = 0;
	int rc;

	if (!key.n) {
		cli_error("no virtual key: set LLMGW_KEY or give --key @FILE (llmgwctl key create makes one)");
		return CLI_USAGE;
	}
	while (base.n && base.p[base.n - 1] == '/')
		base.n--;
	if (base.n > 3 && gw_str_eq(gw_str_skip(base, base.n - 3), GW_LIT("/v1")))
		base.n -= 3;
	gw_buf_init(&body, 1 << 20);
	gw_buf_init(&reply, 64 << 20);
	write_body(c, &body);
	rc = cli_post_gateway(c, gw_arena_printf(&c->arena, "%.*s/v1/chat/completions", GW_FMT(base)), key,
			      gw_buf_view(&body), on_piece, c->o.stream ? NULL : &reply, &status);
	if (!rc && c->o.stream)
		rc = status >= 400 ? CLI_FAILED : CLI_OK;
	else if (!rc)
		rc = show(c, &reply, status);
	gw_buf_done(&body);
	gw_buf_done(&reply);
	return rc;
}
