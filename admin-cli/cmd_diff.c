/* diff: what would change, field by field, for people; the gateway's own answer for programs. Exit status 8 when something would. */
#include "admin-cli/cli.h"

static void value(FILE *f, yyjson_val *v)
{
	char text[400];

	cli_cell("", v, text, sizeof text);
	fprintf(f, "%s", text);
}

static const char *colour(FILE *f, enum cli_colour k)
{
	return f == stdout ? cli_paint(k) : "";
}

static void one_line(FILE *f, char sign, yyjson_val *key, yyjson_val *v)
{
	char name[256];

	cli_cell("", key, name, sizeof name);
	fprintf(f, "%s  %c %s: ", colour(f, sign == '+' ? CLI_GREEN : CLI_RED), sign, name);
	value(f, v);
	fprintf(f, "%s\n", colour(f, CLI_PLAIN));
}

/* Set by the server with every change: not what somebody wants to know. */
static bool is_noise(yyjson_val *key)
{
	return yyjson_equals_str(key, "version") || yyjson_equals_str(key, "updated_at") ||
	       yyjson_equals_str(key, "created_at");
}

static void fields(FILE *f, yyjson_val *before, yyjson_val *after)
{
	size_t i, n;
	yyjson_val *key, *v, *other;

	yyjson_obj_foreach(before, i, n, key, v)
	{
		other = gw_json_get(after, gw_json_str(key));
		if (is_noise(key) || (other && yyjson_equals(v, other)))
			continue;
		one_line(f, '-', key, v);
		if (other)
			one_line(f, '+', key, other);
	}
	yyjson_obj_foreach(after, i, n, key, v)
	{
		if (!is_noise(key) && !gw_json_get(before, gw_json_str(key)))
			one_line(f, '+', key, v);
	}
}

unsigned cli_show_diff(struct cli *c, struct gw_str json, FILE *f)
{
	struct gw_json_fault fault;
	yyjson_doc *doc;
	size_t i, n;
	yyjson_val *v;
	unsigned count;

	(void)c;
	if (gw_json_read(json, &gw_json_default_limits, &doc, &fault))
		return 0;
	yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "changes");
	yyjson_arr_foreach(list, i, n, v)
	{
		fprintf(f, "%s", colour(f, CLI_BOLD));
		value(f, yyjson_obj_get(v, "act"));
		fputc(' ', f);
		value(f, yyjson_obj_get(v, "kind"));
		fputc('/', f);
		value(f, yyjson_obj_get(v, "id"));
		fprintf(f, "%s\n", colour(f, CLI_PLAIN));
		fields(f, yyjson_obj_get(v, "before"), yyjson_obj_get(v, "after"));
	}
	count = (unsigned)yyjson_arr_size(list);
	yyjson_doc_free(doc);
	return count;
}

static unsigned count_changes(struct gw_str json)
{
	struct gw_json_fault fault;
	yyjson_doc *doc;
	unsigned n;

	if (gw_json_read(json, &gw_json_default_limits, &doc, &fault))
		return 0;
	n = (unsigned)yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(doc), "changes"));
	yyjson_doc_free(doc);
	return n;
}

int cli_print_diff(struct cli *c, struct gw_str json)
{
	static const char *const columns[] = { "act", "kind", "id", NULL };
	unsigned n = count_changes(json);

	if (cli_format(c) != CLI_TABLE || c->o.field)
		cli_print(c, json, "changes", columns);
	else if (!cli_show_diff(c, json, stdout))
		cli_note("nothing would change");
	return n ? CLI_DIFFERS : CLI_OK;
}

int cli_cmd_diff(struct cli *c)
{
	struct cli_reply r = { 0 };
	struct gw_buf json;
	int rc;

	if (!c->o.file && cli_txn_is_open(c)) {
		rc = cli_txn_diff(c, &r);
	} else {
		gw_buf_init(&json, 64 << 20);
		rc = cli_read_objects(c, &json);
		if (!rc)
			rc = cli_call_ok(c, "POST", GW_LIT("/admin/v1/config:diff"), GW_NIL, gw_buf_view(&json), &r);
		gw_buf_done(&json);
	}
	if (!rc)
		rc = cli_print_diff(c, gw_buf_view(&r.body));
	cli_reply_done(&r);
	return rc;
}
