/* Rows as a table for people: widths in letters, cells cut at whole letters, and nothing that comes from outside steers the terminal. */
#include <stdlib.h>
#include "admin-cli/cli.h"
#include "lib/text.h"

enum { COLUMNS_MAX = 32, CELL_ROOM = 4096 };

/* C0 and C1 control characters (C1: U+0080 to U+009F, in UTF-8 c2 80 to c2 9f), DEL. Line ends stay where several lines may be. */
void cli_disarm(char *text, bool has_lines)
{
	for (char *p = text; *p; p++) {
		unsigned char u = (unsigned char)*p, next = (unsigned char)p[1];

		if ((u < 0x20 && !(has_lines && u == '\n')) || u == 0x7f)
			*p = '?';
		else if (u == 0xc2 && next >= 0x80 && next <= 0x9f)
			p[0] = p[1] = '?';
	}
}

yyjson_val *cli_at(yyjson_val *v, const char *path)
{
	struct gw_str rest = gw_str_z(path), one;
	uint64_t index;

	if (rest.n && rest.p[0] == '.')
		rest = gw_str_skip(rest, 1);
	while (v && rest.n) {
		yyjson_val *whole = gw_json_get(v, rest);

		if (whole)
			return whole;
		if (!gw_str_cut(rest, '.', &one, &rest))
			rest = GW_NIL;
		if (yyjson_is_arr(v) && gw_str_u64(one, &index))
			v = yyjson_arr_get(v, index);
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

void cli_cell(const char *column, yyjson_val *v, char *out, size_t n)
{
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

		gw_buf_init(&b, CELL_ROOM);
		gw_jw_init(&w, &b);
		gw_jw_val(&w, v);
		snprintf(out, n, "%.*s", GW_FMT(gw_buf_view(&b)));
		gw_buf_done(&b);
	}
	whole_letters(out);
	cli_disarm(out, false);
}

static size_t letters(const char *text)
{
	size_t n = 0;

	for (const char *p = text; *p; p++)
		n += ((unsigned char)*p & 0xc0) != 0x80;
	return n;
}

static void pad(struct gw_buf *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		gw_buf_putc(b, ' ');
}

static void put_head(struct gw_buf *b, const struct cli_table *t, const size_t *width)
{
	gw_buf_puts(b, gw_str_z(t->bold ? t->bold : ""));
	for (int k = 0; t->columns[k] && k < COLUMNS_MAX; k++) {
		for (const char *p = t->columns[k]; *p; p++)
			gw_buf_putc(b, *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p);
		if (t->columns[k + 1])
			pad(b, width[k] - letters(t->columns[k]) + 2);
	}
	gw_buf_puts(b, gw_str_z(t->plain ? t->plain : ""));
	gw_buf_putc(b, '\n');
}

void cli_table_put(struct gw_buf *b, const struct cli_table *t)
{
	size_t width[COLUMNS_MAX] = { 0 }, cell = t->cell_max + 1 < CELL_ROOM ? t->cell_max + 1 : CELL_ROOM;
	char text[CELL_ROOM];

	for (int k = 0; t->columns[k] && k < COLUMNS_MAX; k++) {
		width[k] = t->no_headers ? 0 : letters(t->columns[k]);
		for (size_t i = 0; i < t->n; i++) {
			cli_cell(t->columns[k], cli_at(t->rows[i], t->columns[k]), text, cell);
			width[k] = letters(text) > width[k] ? letters(text) : width[k];
		}
	}
	if (!t->no_headers)
		put_head(b, t, width);
	for (size_t i = 0; i < t->n; i++) {
		for (int k = 0; t->columns[k] && k < COLUMNS_MAX; k++) {
			cli_cell(t->columns[k], cli_at(t->rows[i], t->columns[k]), text, cell);
			gw_buf_puts(b, gw_str_z(text));
			if (t->columns[k + 1])
				pad(b, width[k] - letters(text) + 2);
		}
		gw_buf_putc(b, '\n');
	}
}

/* --- order --- */
struct sorted {
	yyjson_val *row, *at;
	size_t no;
	bool is_down;
};

static int compare(const void *pa, const void *pb)
{
	const struct sorted *a = pa, *b = pb;
	int d = 0;

	if (!a->at || !b->at) {
		d = (a->at == NULL) - (b->at == NULL); /* what has none comes last */
		return d ? d : a->no < b->no ? -1 : 1;
	}
	if (yyjson_is_num(a->at) && yyjson_is_num(b->at)) {
		double x = yyjson_get_num(a->at), y = yyjson_get_num(b->at);

		d = x < y ? -1 : x > y;
	} else {
		char x[256], y[256];

		cli_cell("", a->at, x, sizeof x);
		cli_cell("", b->at, y, sizeof y);
		d = strcmp(x, y);
	}
	if (a->is_down)
		d = -d;
	return d ? d : a->no < b->no ? -1 : 1;
}

void cli_sort(yyjson_val **rows, size_t n, const char *path)
{
	bool is_down = path[0] == '-';
	struct sorted *s = n ? calloc(n, sizeof *s) : NULL;

	if (!s)
		return;
	for (size_t i = 0; i < n; i++)
		s[i] = (struct sorted){ rows[i], cli_at(rows[i], path + is_down), i, is_down };
	qsort(s, n, sizeof *s, compare);
	for (size_t i = 0; i < n; i++)
		rows[i] = s[i].row;
	free(s);
}
