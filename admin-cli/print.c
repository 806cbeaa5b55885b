/* How answers look: a table for people, JSON and YAML for programs. */
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include "admin-cli/cli.h"
#include "lib/text.h"
#include "lib/yaml.h"

enum { COLUMNS_MAX = 16, CELL_MAX = 60 };

/* What comes from outside must not steer the terminal: C0 and C1 control characters (C1: U+0080 to U+009F, in UTF-8 c2 80 to c2 9f), DEL.
 * Line ends stay where several lines may be. */
static void disarm(char *text, bool has_lines)
{
	for (char *p = text; *p; p++) {
		unsigned char u = (unsigned char)*p, next = (unsigned char)p[1];

		if ((u < 0x20 && !(has_lines && u == '\n')) || u == 0x7f)
			*p = '?';
		else if (u == 0xc2 && next >= 0x80 && next <= 0x9f)
			p[0] = p[1] = '?';
	}
}

__attribute__((format(printf, 1, 0))) static void say(const char *fmt, va_list ap)
{
	char text[8192];

	vsnprintf(text, sizeof text, fmt, ap);
	disarm(text, true);
	fputs(text, stderr);
	fputc('\n', stderr);
}

void cli_error(const char *fmt, ...)
{
	va_list ap;

	fputs("llmgwctl: ", stderr);
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

void cli_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

bool cli_confirm(struct cli *c, const char *fmt, ...)
{
	char line[16];
	va_list ap;

	if (c->o.yes)
		return true;
	if (!isatty(STDIN_FILENO)) {
		cli_error("this needs --yes when nobody can be asked");
		return false;
	}
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs(" [y/N] ", stderr);
	return fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
}

enum cli_format cli_format(const struct cli *c)
{
	if (!c->o.output || strcmp(c->o.output, "table") == 0)
		return CLI_TABLE;
	return strcmp(c->o.output, "yaml") == 0 ? CLI_YAML : CLI_JSON;
}

/* "a.b.0" inside v. */
static const yyjson_val *at_path(const yyjson_val *v, const char *path)
{
	struct gw_str rest = gw_str_z(path), one;
	uint64_t index;

	while (v && rest.n) {
		if (!gw_str_cut(rest, '.', &one, &rest))
			rest = GW_NIL;
		if (yyjson_is_arr((yyjson_val *)(uintptr_t)v) && gw_str_u64(one, &index))
			v = yyjson_arr_get((yyjson_val *)(uintptr_t)v, index);
		else
			v = gw_json_get(v, one);
	}
	return v;
}

/* Columns of moments: Unix microseconds in records, shown as time of day. */
static bool is_moment(const char *column)
{
	return strncmp(column, "ts_", 3) == 0;
}

/* A text that was cut ends with a whole letter. */
static void whole_letters(char *text)
{
	size_t n = strlen(text), at = n;

	while (at > 0 && n - at < 4 && ((unsigned char)text[at - 1] & 0xc0) == 0x80)
		at--;
	if (at == 0 || (unsigned char)text[at - 1] < 0xc0)
		return;
	unsigned char lead = (unsigned char)text[at - 1];
	size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	if (n - at + 1 < want)
		text[at - 1] = 0;
}

static void cell_text(const char *column, const yyjson_val *cv, char *out, size_t n)
{
	yyjson_val *v = (yyjson_val *)(uintptr_t)cv;
	struct gw_buf b;

	out[0] = 0;
	if (!v || yyjson_is_null(v))
		return;
	if (is_moment(column) && yyjson_is_int(v)) {
		gw_buf_init(&b, 64);
		gw_time_put(&b, yyjson_get_sint(v));
		snprintf(out, n, "%.*s", GW_FMT(gw_buf_view(&b)));
		gw_buf_done(&b);
	} else if (yyjson_is_str(v)) {
		snprintf(out, n, "%s", yyjson_get_str(v));
	} else if (yyjson_is_bool(v)) {
		snprintf(out, n, "%s", yyjson_get_bool(v) ? "yes" : "no");
	} else {
		struct gw_json_out w;

		gw_buf_init(&b, 4096);
		gw_jw_init(&w, &b);
		gw_jw_val(&w, v);
		snprintf(out, n, "%.*s", GW_FMT(gw_buf_view(&b)));
		gw_buf_done(&b);
	}
	whole_letters(out);
	disarm(out, false);
}

static void print_row(const yyjson_val *row, const char *const *columns, const int *width)
{
	char text[CELL_MAX + 1];

	for (int i = 0; columns[i]; i++) {
		cell_text(columns[i], at_path(row, columns[i]), text, sizeof text);
		printf(columns[i + 1] ? "%-*s  " : "%.*s", columns[i + 1] ? width[i] : CELL_MAX, text);
	}
	putchar('\n');
}

static void print_table(yyjson_val *rows, const char *const *columns)
{
	int width[COLUMNS_MAX] = { 0 };
	char text[CELL_MAX + 1];
	size_t i, n;
	yyjson_val *v;

	for (int k = 0; columns[k] && k < COLUMNS_MAX; k++)
		width[k] = (int)strlen(columns[k]);
	yyjson_arr_foreach(rows, i, n, v) for (int k = 0; columns[k] && k < COLUMNS_MAX; k++)
	{
		cell_text(columns[k], at_path(v, columns[k]), text, sizeof text);
		if ((int)strlen(text) > width[k])
			width[k] = (int)strlen(text);
	}
	for (int k = 0; columns[k]; k++) {
		size_t len = strlen(columns[k]);

		for (size_t j = 0; j < len; j++)
			putchar(columns[k][j] >= 'a' && columns[k][j] <= 'z' ? columns[k][j] - 32 : columns[k][j]);
		if (columns[k + 1])
			printf("%*s", width[k] - (int)len + 2, "");
	}
	putchar('\n');
	yyjson_arr_foreach(rows, i, n, v) print_row(v, columns, width);
	if (!yyjson_arr_size(rows))
		cli_note("(none)");
}

static void print_yaml(const yyjson_val *v)
{
	struct gw_buf b;

	gw_buf_init(&b, 256 << 20);
	gw_yaml_write(&b, v);
	fwrite(b.p, 1, b.n, stdout);
	gw_buf_done(&b);
}

int cli_print(struct cli *c, struct gw_str json, const char *rows, const char *const *columns)
{
	struct gw_json_fault fault;
	yyjson_doc *doc;

	if (cli_format(c) == CLI_JSON) {
		printf("%.*s\n", GW_FMT(json));
		return CLI_OK;
	}
	if (gw_json_read(json, &gw_json_default_limits, &doc, &fault)) {
		cli_error("the gateway's answer is not JSON (%s)", fault.what);
		return CLI_FAILED;
	}
	yyjson_val *root = yyjson_doc_get_root(doc), *list = rows ? yyjson_obj_get(root, rows) : NULL;
	if (cli_format(c) == CLI_TABLE && list && columns)
		print_table(list, columns);
	else
		print_yaml(root);
	yyjson_doc_free(doc);
	return CLI_OK;
}
