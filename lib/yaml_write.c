/* A tree as YAML text for people (lib/yaml.h): block style, plain scalars wherever no reader could mistake them. */
#include "lib/utf8.h"
#include "lib/json_write.h"
#include "lib/yaml.h"
#include "lib/yaml_impl.h"

enum { MAX_DEPTH = 64, LONG_KEY = 256 };

static void indent(struct gw_buf *b, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		gw_buf_puts(b, GW_LIT("  "));
}

/* Code points that a YAML reader does not take as they are (5.1), or takes for a line break. */
static bool must_escape(uint32_t cp)
{
	return (cp >= 0x7f && cp <= 0x9f) || cp == 0x2028 || cp == 0x2029 || cp == 0xfeff || cp == 0xfffe ||
	       cp == 0xffff;
}

static uint32_t code_point(const uint8_t *p, size_t len)
{
	static const uint8_t first[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t cp = p[0] & first[len];

	for (size_t i = 1; i < len; i++)
		cp = cp << 6 | (p[i] & 0x3f);
	return cp;
}

/* Double-quoted: a JSON string is one, except for a few code points. */
static void put_quoted(struct gw_buf *b, struct gw_str s)
{
	const uint8_t *p = (const uint8_t *)s.p;
	struct gw_buf json;
	struct gw_str text;
	size_t from = 0, i = 0;

	gw_buf_init(&json, b->max);
	gw_json_quote(&json, s);
	text = gw_buf_view(&json);
	p = (const uint8_t *)text.p;
	while (i < text.n) {
		size_t len = gw_utf8_len(p + i, text.n - i);
		uint32_t cp = code_point(p + i, len ? len : 1);

		if (must_escape(cp)) {
			gw_buf_put(b, text.p + from, i - from);
			gw_buf_printf(b, "\\u%04x", cp);
			from = i + len;
		}
		i += len ? len : 1;
	}
	gw_buf_put(b, text.p + from, text.n - from);
	if (json.err && !b->err)
		b->err = json.err;
	gw_buf_done(&json);
}

/* Words that YAML 1.1 readers take for booleans; quoting them costs nothing. */
static bool is_old_bool(struct gw_str s)
{
	static const char *const words[] = { "y", "n", "yes", "no", "on", "off" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (gw_str_ieq(s, gw_str_z(words[i])))
			return true;
	return false;
}

/* Safe as a plain scalar anywhere in block context: letters, digits and inner marks that mean nothing there. */
static bool is_plain(struct gw_str s)
{
	if (s.n == 0 || s.n > LONG_KEY || gw_yaml_resolve(s) != GW_YAML_STR || is_old_bool(s))
		return false;
	if (strchr("-?:,[]{}#&*!|>'\"%@`=<. ", s.p[0]) || s.p[s.n - 1] == ' ' || s.p[s.n - 1] == ':')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c < 0x20 || c == 0x7f) /* a control byte, or (char being signed) beyond ASCII */
			return false;
		if ((c == ':' && s.p[i + 1] == ' ') || (c == ' ' && s.p[i + 1] == '#'))
			return false;
	}
	return true;
}

static void put_string(struct gw_buf *b, struct gw_str s)
{
	if (is_plain(s))
		gw_buf_puts(b, s);
	else
		put_quoted(b, s);
}

static bool is_block(yyjson_val *v)
{
	return (yyjson_is_obj(v) || yyjson_is_arr(v)) && yyjson_get_len(v) > 0;
}

static void put_scalar(struct gw_buf *b, yyjson_val *v)
{
	struct gw_json_out w;

	if (yyjson_is_str(v)) {
		put_string(b, gw_json_str(v));
		return;
	}
	gw_jw_init(&w, b); /* numbers, true, false, null, [] and {} are spelled as in JSON */
	gw_jw_val(&w, v);
}

static void put_node(struct gw_buf *b, yyjson_val *v, unsigned depth, bool is_inline);

static void put_key(struct gw_buf *b, struct gw_str key, unsigned depth)
{
	if (key.n <= LONG_KEY) {
		put_string(b, key);
	} else { /* a long key must be announced */
		gw_buf_puts(b, GW_LIT("? "));
		put_quoted(b, key);
		gw_buf_putc(b, '\n');
		indent(b, depth);
	}
	gw_buf_putc(b, ':');
}

static void put_map(struct gw_buf *b, yyjson_val *obj, unsigned depth, bool is_inline)
{
	yyjson_obj_iter it;
	yyjson_val *k;

	yyjson_obj_iter_init(obj, &it);
	while ((k = yyjson_obj_iter_next(&it)) && !b->err) {
		yyjson_val *v = yyjson_obj_iter_get_val(k);

		if (!is_inline)
			indent(b, depth);
		is_inline = false;
		put_key(b, gw_json_str(k), depth);
		if (is_block(v)) {
			gw_buf_putc(b, '\n');
			put_node(b, v, depth + 1, false);
		} else {
			gw_buf_putc(b, ' ');
			put_scalar(b, v);
			gw_buf_putc(b, '\n');
		}
	}
}

/* is_inline: the first line stands behind "- " already. */
static void put_node(struct gw_buf *b, yyjson_val *v, unsigned depth, bool is_inline)
{
	yyjson_arr_iter it;
	yyjson_val *item;

	if (depth > MAX_DEPTH) {
		if (!b->err)
			b->err = GW_E_TOO_BIG;
		return;
	}
	if (!is_block(v)) {
		put_scalar(b, v);
		gw_buf_putc(b, '\n');
		return;
	}
	if (yyjson_is_obj(v)) {
		put_map(b, v, depth, is_inline);
		return;
	}
	yyjson_arr_iter_init(v, &it);
	while ((item = yyjson_arr_iter_next(&it)) && !b->err) {
		if (!is_inline)
			indent(b, depth);
		is_inline = false;
		gw_buf_puts(b, GW_LIT("- "));
		put_node(b, item, depth + 1, true);
	}
}

void gw_yaml_write(struct gw_buf *b, const yyjson_val *v)
{
	put_node(b, (yyjson_val *)(uintptr_t)v, 0, false);
}
