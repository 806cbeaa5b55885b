/* import litellm: the files in, each line of the report out, what would change, a question, and one call that applies all of it or nothing. */
#include <fcntl.h>
#include <unistd.h>
#include "admin-cli/import.h"
#include "core/config.h"
#include "lib/secret.h"
#include "lib/sys/fd.h"
#include "lib/yaml.h"

enum { FILE_MAX = 64 << 20, JSON_MAX = 64 << 20 };

static int slurp(const char *path, struct gw_buf *b)
{
	enum gw_err e;

	gw_buf_init(b, FILE_MAX);
	e = gw_read_file(AT_FDCWD, path, b);
	if (!e)
		return CLI_OK;
	cli_error("cannot read %s: %s", path, e == GW_E_NOT_FOUND ? "there is no such file" : gw_err_info(e)->doc);
	return CLI_FAILED;
}

static int read_config(struct imp *m, const char *path, struct gw_buf *text, yyjson_doc **doc)
{
	struct gw_json_fault fault = { 0 };
	int rc = slurp(path, text);

	if (rc)
		return rc;
	if (gw_yaml_read(gw_buf_view(text), false, doc, &fault)) {
		cli_error("%s: line %u, column %u: %s%s%.*s", path, fault.line, fault.column, fault.what,
			  fault.key.n ? ": " : "", GW_FMT(fault.key));
		return CLI_INVALID;
	}
	if (!yyjson_is_obj(yyjson_doc_get_root(*doc))) {
		cli_error("%s: not the configuration of a LiteLLM proxy", path);
		return CLI_INVALID;
	}
	imp_litellm(m, yyjson_doc_get_root(*doc));
	return CLI_OK;
}

static int read_keys(struct imp *m, const char *path)
{
	struct gw_buf text;
	int rc = slurp(path, &text);

	if (!rc && !imp_keys(m, gw_buf_view(&text)))
		rc = CLI_INVALID;
	gw_buf_done(&text);
	return rc;
}

static int report(struct imp *m)
{
	static const char *const columns[] = { "result", "what", "note", NULL };
	int rc;

	gw_jw_end_arr(&m->told);
	gw_jw_end_obj(&m->told);
	if (m->told_text.err || m->a->is_full) {
		cli_error("too much for one import: divide the file");
		return CLI_FAILED;
	}
	rc = cli_print(m->c, gw_buf_view(&m->told_text), "items", columns);
	if (!rc && m->has_fault) {
		cli_error("nothing was changed: put right what the lines with \"error\" tell");
		rc = CLI_INVALID;
	}
	return rc;
}

/* What is there of the settings stays. */
static int objects(struct imp *m, struct gw_buf *out)
{
	struct gw_json_fault fault;
	struct gw_json_out w;
	struct cli_reply r = { 0 };
	yyjson_doc *doc = NULL;
	int rc = CLI_OK;

	gw_jw_init(&w, out);
	if (m->retries != UINT64_MAX) {
		rc = cli_call(m->c, "GET", GW_LIT("/admin/v1/settings/default"), GW_NIL, GW_NIL, NULL, &r);
		if (!rc && r.status == 200 && gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault))
			rc = CLI_FAILED;
		else if (!rc && r.status != 200 && r.status != 404)
			rc = cli_say_error(m->c, &r);
	}
	if (!rc)
		imp_put_objects(m, yyjson_doc_get_root(doc), &w);
	if (!rc && out->err)
		rc = CLI_FAILED;
	yyjson_doc_free(doc);
	cli_reply_done(&r);
	return rc;
}

static int apply(struct imp *m, struct gw_str json)
{
	struct cli_reply r = { 0 };
	unsigned changes = 0;
	int rc = cli_call_ok(m->c, "POST", GW_LIT("/admin/v1/config:diff"), GW_NIL, json, &r);

	if (!rc)
		changes = cli_show_diff(m->c, gw_buf_view(&r.body), stderr);
	cli_reply_done(&r);
	if (rc || m->c->o.dry_run || !changes) {
		if (!rc)
			cli_note(changes ? "%u objects would change; nothing was changed" : "nothing would change",
				 changes);
		return rc;
	}
	if (!cli_confirm(m->c, "Apply %u changes to %s?", changes, cli_server(m->c)))
		return CLI_USAGE;
	rc = cli_call_ok(m->c, "POST", GW_LIT("/admin/v1/config:apply"), GW_NIL, json, &r);
	if (!rc)
		cli_note("imported: %llu carried, %llu left out%s", (unsigned long long)m->n_carried,
			 (unsigned long long)m->n_left,
			 r.status == 202 ? "; some workers do not serve it yet (llmgwctl workers)" : "");
	cli_reply_done(&r);
	return rc;
}

static int check_use(struct cli *c)
{
	if (!c->n_args && !c->o.keys) {
		cli_error("name the proxy's config.yaml, or its keys with --keys FILE");
		return CLI_USAGE;
	}
	if (!cli_txn_is_open(c))
		return CLI_OK;
	cli_error("a transaction is open, and an import holds secrets, which may not wait in a file");
	cli_hint("llmgwctl commit or llmgwctl abort first; an import is one change by itself.");
	return CLI_CONFLICT;
}

int cli_cmd_import_litellm(struct cli *c)
{
	struct gw_buf text = { 0 }, json;
	yyjson_doc *doc = NULL;
	struct imp m;
	int rc = check_use(c);

	if (rc)
		return rc;
	gw_buf_init(&json, JSON_MAX);
	rc = imp_begin(&m, c) ? CLI_OK : CLI_FAILED;
	if (!rc && c->n_args)
		rc = read_config(&m, c->args[0], &text, &doc);
	if (!rc && c->o.keys)
		rc = read_keys(&m, c->o.keys);
	if (!rc)
		rc = objects(&m, &json); /* before the report: targets that find no room are told too */
	if (!rc)
		rc = report(&m);
	if (!rc)
		rc = apply(&m, gw_buf_view(&json));
	imp_done(&m);
	yyjson_doc_free(doc);
	if (json.p)
		gw_wipe(json.p, json.n);
	if (text.p)
		gw_wipe(text.p, text.n);
	gw_buf_done(&json);
	gw_buf_done(&text);
	return rc;
}
