/* Writing JSON into a gw_buf (lib/json_write.h). */
#include "lib/json_write.h"
#include "lib/json_impl.h"
#include "lib/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_DEPTH = 64 };

void gw_jw_init(struct gw_json_out *w, struct gw_buf *b)
{
	*w = (struct gw_json_out){ .b = b };
}

/* Before any value or key: the comma, when one is due at this level. */
static void separate(struct gw_json_out *w)
{
	uint64_t bit;

	if (w->after_key) {
		w->after_key = false;
		return;
	}
	if (w->depth == 0 || w->depth > MAX_DEPTH)
		return;
	bit = 1ull << (w->depth - 1);
	if (w->has_item & bit)
		gw_buf_putc(w->b, ',');
	w->has_item |= bit;
}

static void open_level(struct gw_json_out *w, char c)
{
	separate(w);
	gw_buf_putc(w->b, c);
	w->depth++;
	if (w->depth <= MAX_DEPTH)
		w->has_item &= ~(1ull << (w->depth - 1));
	else if (!w->b->err)
		w->b->err = GW_E_TOO_BIG;
}

static void close_level(struct gw_json_out *w, char c)
{
	GW_REQUIRE(w->depth > 0 && !w->after_key);
	w->depth--;
	gw_buf_putc(w->b, c);
}

void gw_jw_obj(struct gw_json_out *w)
{
	open_level(w, '{');
}
void gw_jw_end_obj(struct gw_json_out *w)
{
	close_level(w, '}');
}
void gw_jw_arr(struct gw_json_out *w)
{
	open_level(w, '[');
}
void gw_jw_end_arr(struct gw_json_out *w)
{
	close_level(w, ']');
}

void gw_jw_key(struct gw_json_out *w, struct gw_str key)
{
	GW_REQUIRE(!w->after_key);
	separate(w);
	gw_json_quote(w->b, key);
	gw_buf_putc(w->b, ':');
	w->after_key = true;
}

void gw_jw_str(struct gw_json_out *w, struct gw_str s)
{
	separate(w);
	gw_json_quote(w->b, s);
}

void gw_jw_u64(struct gw_json_out *w, uint64_t v)
{
	separate(w);
	gw_buf_put_u64(w->b, v);
}

void gw_jw_i64(struct gw_json_out *w, int64_t v)
{
	separate(w);
	gw_buf_put_i64(w->b, v);
}

void gw_jw_double(struct gw_json_out *w, double v)
{
	char text[40];
	int n = 0;

	separate(w);
	if (!isfinite(v)) { /* JSON has no word for it */
		gw_buf_puts(w->b, GW_LIT("null"));
		return;
	}
	for (int digits = 15; digits <= 17; digits++) { /* the shortest of three that reads back the same */
		n = snprintf(text, sizeof(text) - 2, "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	if (!strpbrk(text, ".e")) { /* stays a floating number for who reads it */
		memcpy(text + n, ".0", 2);
		n += 2;
	}
	gw_buf_put(w->b, text, (size_t)n);
}

void gw_jw_bool(struct gw_json_out *w, bool v)
{
	gw_jw_raw(w, v ? GW_LIT("true") : GW_LIT("false"));
}

void gw_jw_null(struct gw_json_out *w)
{
	gw_jw_raw(w, GW_LIT("null"));
}

void gw_jw_raw(struct gw_json_out *w, struct gw_str json)
{
	separate(w);
	gw_buf_puts(w->b, json);
}

static void write_number(struct gw_json_out *w, yyjson_val *v)
{
	if (yyjson_is_uint(v))
		gw_jw_u64(w, yyjson_get_uint(v));
	else if (yyjson_is_sint(v))
		gw_jw_i64(w, yyjson_get_sint(v));
	else
		gw_jw_double(w, yyjson_get_real(v));
}

/* Recursion is bounded: past the depth ceiling the buffer has its error and we stop. */
static void write_val(struct gw_json_out *w, yyjson_val *v)
{
	yyjson_obj_iter oi;
	yyjson_arr_iter ai;
	yyjson_val *k;

	if (w->b->err)
		return;
	switch (yyjson_get_type(v)) {
	case YYJSON_TYPE_BOOL:
		gw_jw_bool(w, yyjson_get_bool(v));
		break;
	case YYJSON_TYPE_NUM:
		write_number(w, v);
		break;
	case YYJSON_TYPE_STR:
		gw_jw_str(w, gw_json_str(v));
		break;
	case YYJSON_TYPE_RAW:
		gw_jw_raw(w, gw_str(yyjson_get_raw(v), yyjson_get_len(v)));
		break;
	case YYJSON_TYPE_ARR:
		gw_jw_arr(w);
		yyjson_arr_iter_init(v, &ai);
		while ((k = yyjson_arr_iter_next(&ai)))
			write_val(w, k);
		gw_jw_end_arr(w);
		break;
	case YYJSON_TYPE_OBJ:
		gw_jw_obj(w);
		yyjson_obj_iter_init(v, &oi);
		while ((k = yyjson_obj_iter_next(&oi))) {
			gw_jw_key(w, gw_json_str(k));
			write_val(w, yyjson_obj_iter_get_val(k));
			w->after_key = false; /* also when the value was cut off by an error */
		}
		gw_jw_end_obj(w);
		break;
	default: /* null; an absent value is written as null too */
		gw_jw_null(w);
	}
}

void gw_jw_val(struct gw_json_out *w, const yyjson_val *v)
{
	write_val(w, (yyjson_val *)(uintptr_t)v);
	w->after_key = false;
}

void gw_jw_kstr(struct gw_json_out *w, const char *key, struct gw_str s)
{
	gw_jw_key(w, gw_str_z(key));
	gw_jw_str(w, s);
}

void gw_jw_ku64(struct gw_json_out *w, const char *key, uint64_t v)
{
	gw_jw_key(w, gw_str_z(key));
	gw_jw_u64(w, v);
}

void gw_jw_ki64(struct gw_json_out *w, const char *key, int64_t v)
{
	gw_jw_key(w, gw_str_z(key));
	gw_jw_i64(w, v);
}

void gw_jw_kbool(struct gw_json_out *w, const char *key, bool v)
{
	gw_jw_key(w, gw_str_z(key));
	gw_jw_bool(w, v);
}

/* The escape for a byte that cannot stand as it is. */
static void put_escape(struct gw_buf *b, uint8_t c)
{
	static const char short_forms[][2] = {
		{ '"', '"' }, { '\\', '\\' }, { '\n', 'n' }, { '\r', 'r' }, { '\t', 't' }, { '\b', 'b' }, { '\f', 'f' },
	};

	for (size_t i = 0; i < sizeof(short_forms) / sizeof(short_forms[0]); i++)
		if ((uint8_t)short_forms[i][0] == c) {
			gw_buf_putc(b, '\\');
			gw_buf_putc(b, short_forms[i][1]);
			return;
		}
	gw_buf_printf(b, "\\u%04x", c);
}

/* First byte of s at or after i that may not stand as it is; UTF-8 that is right may. */
static size_t plain_until(struct gw_str s, size_t i)
{
	const uint8_t *p = (const uint8_t *)s.p;

	while (i < s.n) {
		size_t len;

		i = (size_t)(gw_json_plain_end(p + i, p + s.n) - p);
		if (i == s.n || p[i] < 0x80)
			return i;
		len = gw_utf8_len(p + i, s.n - i);
		if (!len)
			return i;
		i += len;
	}
	return i;
}

void gw_json_quote(struct gw_buf *b, struct gw_str s)
{
	size_t from = 0;

	gw_buf_putc(b, '"');
	for (size_t i = plain_until(s, 0); i < s.n; i = plain_until(s, from)) {
		uint8_t c = (uint8_t)s.p[i];

		gw_buf_put(b, s.p + from, i - from);
		if (c < 0x80)
			put_escape(b, c);
		else
			gw_buf_puts(b, GW_LIT("\xef\xbf\xbd")); /* U+FFFD */
		from = i + 1;
	}
	if (s.n > from)
		gw_buf_put(b, s.p + from, s.n - from);
	gw_buf_putc(b, '"');
}
