/* How answers look: a table for people, JSON, YAML, names and jsonpath for programs. */
#include <stdlib.h>
#include <unistd.h>
#include "admin-cli/cli.h"
#include "lib/text.h"
#include "lib/yaml.h"

enum { COLUMNS_MAX = 24, CELL = 60, CELL_WIDE = 200, CELL_FIELD = 4000, OUT_MAX = 256 << 20 };

static const char *jsonpath_of(const struct cli *c)
{
	const char *o = c->o.output;

	return o && strncmp(o, "jsonpath=", 9) == 0 ? o + 9 : NULL;
}

static bool is_wide(const struct cli *c)
{
	return c->o.output && strcmp(c->o.output, "wide") == 0;
}

enum cli_format cli_format(const struct cli *c)
{
	const char *o = c->o.output;

	if (c->o.json)
		return CLI_JSON;
	if (!o || strcmp(o, "table") == 0 || is_wide(c))
		return CLI_TABLE;
	if (jsonpath_of(c))
		return CLI_JSONPATH;
	return strcmp(o, "yaml") == 0 ? CLI_YAML : strcmp(o, "name") == 0 ? CLI_NAME : CLI_JSON;
}

static int check_spans(const struct cli *c)
{
	const char *const spans[] = { c->o.timeout, c->o.server_timeout }, *const names[] = { "timeout",
											      "server-timeout" };
	uint64_t ms;

	for (int i = 0; i < 2; i++)
		if (spans[i] && (!gw_duration_read(gw_str_z(spans[i]), &ms) || !ms)) {
			cli_error("--%s: a span like 500ms, 30s or 2m, not \"%s\"", names[i], spans[i]);
			return CLI_USAGE;
		}
	return CLI_OK;
}

int cli_check_format(const struct cli *c)
{
	static const char *const known[] = { "table", "wide", "name", "json", "yaml", "jsonpath=" };
	enum { N = sizeof known / sizeof known[0] };
	const char *o = c->o.output;
	bool is_known = !o || jsonpath_of(c);

	for (int i = 0; o && i < N; i++)
		is_known |= strcmp(o, known[i]) == 0;
	if (!is_known) {
		const char *near = cli_nearest(o, known, N);

		cli_error("--output: table, wide, name, json, yaml or jsonpath=TEMPLATE, not \"%s\"%s%s%s", o,
			  near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
		return CLI_USAGE;
	}
	if (o && c->o.json && strcmp(o, "json") != 0) {
		cli_error("--json and --output %s contradict each other", o);
		return CLI_USAGE;
	}
	if (cli_format(c) != CLI_TABLE && (c->o.field || c->o.no_headers)) {
		cli_error("--%s is for tables; with --output %s use jq, or --output jsonpath=TEMPLATE",
			  c->o.field ? "field" : "no-headers", o ? o : "json");
		return CLI_USAGE;
	}
	if (c->o.sort_by && cli_format(c) != CLI_TABLE && cli_format(c) != CLI_NAME) {
		cli_error("--sort-by is for table, wide and name");
		return CLI_USAGE;
	}
	if (c->o.color && strcmp(c->o.color, "auto") != 0 && strcmp(c->o.color, "always") != 0 &&
	    strcmp(c->o.color, "never") != 0) {
		cli_error("--color: auto, always or never, not \"%s\"", c->o.color);
		return CLI_USAGE;
	}
	return check_spans(c);
}

static void flush_buf(struct gw_buf *b)
{
	fwrite(b->p, 1, b->n, stdout);
	gw_buf_done(b);
}

/* The columns in use: --field's, else the given ones, of which those with a plus are for wide only. */
static const char *const *columns_now(struct cli *c, const char *const *given)
{
	static const char *now[COLUMNS_MAX + 1];
	unsigned n = 0;

	if (c->o.field) {
		struct gw_str rest = gw_str_z(c->o.field), one;

		while (rest.n && n < COLUMNS_MAX) {
			if (!gw_str_cut(rest, ',', &one, &rest))
				rest = GW_NIL;
			one = gw_str_trim(one);
			now[n++] = gw_arena_z(&c->arena, one.n && one.p[0] == '.' ? gw_str_skip(one, 1) : one);
		}
	} else {
		for (; *given && n < COLUMNS_MAX; given++)
			if ((*given)[0] != '+' || is_wide(c))
				now[n++] = *given + ((*given)[0] == '+');
	}
	now[n] = NULL;
	return now;
}

static void print_table(struct cli *c, yyjson_val **rows, size_t n, const char *const *columns)
{
	struct cli_table t = { .rows = rows,
			       .n = n,
			       .columns = columns_now(c, columns),
			       .cell_max = c->o.field   ? CELL_FIELD
					   : is_wide(c) ? CELL_WIDE
							: CELL,
			       .no_headers = c->o.no_headers != NULL,
			       .bold = cli_paint(CLI_BOLD),
			       .plain = cli_paint(CLI_PLAIN) };
	struct gw_buf b;

	gw_buf_init(&b, OUT_MAX);
	cli_table_put(&b, &t);
	flush_buf(&b);
	if (!n)
		cli_note("(none)");
}

/* "model/gpt-4o"; rows that know their kind (changes) say it themselves. */
static void print_names(struct cli *c, yyjson_val **rows, size_t n)
{
	static const char *const ids[] = { "id", "name", "request_id", "seq", "slot", "role" };
	char kind[256], id[512] = "";

	for (size_t i = 0; i < n; i++) {
		cli_cell("", cli_at(rows[i], "kind"), kind, sizeof kind);
		if (!kind[0])
			snprintf(kind, sizeof kind, "%s", c->kind ? c->kind : "");
		for (size_t k = 0; k < sizeof ids / sizeof ids[0]; k++) {
			cli_cell("", cli_at(rows[i], ids[k]), id, sizeof id);
			if (id[0])
				break;
		}
		printf("%s%s%s\n", kind, kind[0] ? "/" : "", id);
	}
}

static int print_jsonpath(struct cli *c, yyjson_val *root)
{
	const char *why = NULL;
	struct gw_buf b;

	gw_buf_init(&b, OUT_MAX);
	if (!cli_jsonpath(&c->arena, jsonpath_of(c), root, &b, &why) || b.err) {
		cli_error("jsonpath: %s", why ? why : "the result is too large");
		gw_buf_done(&b);
		return CLI_USAGE;
	}
	gw_buf_putc(&b, '\n');
	if (isatty(STDOUT_FILENO)) {
		gw_buf_putc(&b, 0);
		cli_disarm(b.p, true);
		b.n--;
	}
	flush_buf(&b);
	return CLI_OK;
}

static int print_tree(struct cli *c, yyjson_val *root, const char *list_name, const char *const *columns)
{
	yyjson_val *list = list_name ? yyjson_obj_get(root, list_name) : NULL, **rows, *v;
	enum cli_format f = cli_format(c);
	size_t n = list ? yyjson_arr_size(list) : 1, i, max;
	struct gw_buf b;

	if (f == CLI_JSONPATH)
		return print_jsonpath(c, root);
	rows = malloc((n + 1) * sizeof(yyjson_val *));
	if (!rows)
		return CLI_FAILED;
	rows[0] = root;
	if (list)
		yyjson_arr_foreach(list, i, max, v) rows[i] = v;
	if (c->o.sort_by)
		cli_sort(rows, n, c->o.sort_by);
	if (f == CLI_NAME) {
		print_names(c, rows, n);
	} else if (f == CLI_TABLE && ((list && columns) || c->o.field)) {
		print_table(c, rows, n, columns);
	} else {
		gw_buf_init(&b, OUT_MAX);
		gw_yaml_write(&b, root);
		flush_buf(&b);
	}
	free(rows);
	return CLI_OK;
}

int cli_print(struct cli *c, struct gw_str json, const char *rows, const char *const *columns)
{
	struct gw_json_fault fault;
	yyjson_doc *doc;
	int rc;

	if (cli_format(c) == CLI_JSON) {
		while (json.n && json.p[json.n - 1] == '\n')
			json.n--;
		fwrite(json.p, 1, json.n, stdout);
		putchar('\n');
		return CLI_OK;
	}
	if (gw_json_read(json, &gw_json_default_limits, &doc, &fault)) {
		cli_error("the gateway's answer is not JSON (%s)", fault.what);
		return CLI_FAILED;
	}
	rc = print_tree(c, yyjson_doc_get_root(doc), rows, columns);
	yyjson_doc_free(doc);
	return rc;
}
