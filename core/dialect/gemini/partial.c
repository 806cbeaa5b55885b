/* Arguments of calls that stream as {jsonPath, value} (streamFunctionCallArguments) as one growing JSON text. Paths come in the order of the
 * document: what the new path does not share with the last one is closed, what it adds is opened. Invariant: the text written so far is a
 * prefix of a JSON object in which the containers 0 .. depth-1 are open; container k holds step k of the path. */
#include "core/dialect/gemini/gemini.h"

static yyjson_val *mut(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}

static bool add_key(struct gemini_partial *p, struct gw_str key)
{
	if (!key.n || p->depth == GEMINI_PATH_DEPTH || key.n > (size_t)(GEMINI_PATH_BYTES - p->n))
		return false;
	memcpy(p->steps + p->n, key.p, key.n);
	p->path[p->depth].at = p->n;
	p->path[p->depth].n = (uint16_t)key.n;
	p->path[p->depth].is_index = false;
	p->path[p->depth++].index = 0;
	p->n = (uint16_t)(p->n + key.n);
	return true;
}

static bool add_index(struct gemini_partial *p, struct gw_str digits)
{
	uint64_t v;

	if (p->depth == GEMINI_PATH_DEPTH || !gw_str_u64(digits, &v) || v > UINT32_MAX)
		return false;
	p->path[p->depth].at = p->path[p->depth].n = 0;
	p->path[p->depth].is_index = true;
	p->path[p->depth++].index = (uint32_t)v;
	return true;
}

/* $.a.b[0]["key with . in it"] */
static bool parse(struct gemini_partial *p, struct gw_str s)
{
	p->depth = p->n = 0;
	if (!s.n || *s.p != '$')
		return false;
	s = gw_str_skip(s, 1);
	while (s.n) {
		size_t n = 0;

		if (*s.p == '.') {
			s = gw_str_skip(s, 1);
			while (n < s.n && s.p[n] != '.' && s.p[n] != '[')
				n++;
			if (!add_key(p, gw_str(s.p, n)))
				return false;
		} else if (s.n > 2 && *s.p == '[' && (s.p[1] == '\'' || s.p[1] == '"')) {
			char quote = s.p[1];

			s = gw_str_skip(s, 2);
			while (n < s.n && s.p[n] != quote)
				n++;
			if (n + 1 >= s.n || s.p[n + 1] != ']' || !add_key(p, gw_str(s.p, n)))
				return false;
			n += 2;
		} else if (*s.p == '[') {
			n = gw_str_find(s, ']');
			if (n == s.n || !add_index(p, gw_str(s.p + 1, n - 1)))
				return false;
			n++;
		} else {
			return false;
		}
		s = gw_str_skip(s, n);
	}
	return p->depth > 0 && !p->path[0].is_index;
}

static struct gw_str step(const struct gemini_partial *p, int i)
{
	return gw_str(p->steps + p->path[i].at, p->path[i].n);
}

static int shared(const struct gemini_partial *a, const struct gemini_partial *b)
{
	int i = 0;

	while (i < a->depth && i < b->depth && a->path[i].is_index == b->path[i].is_index &&
	       a->path[i].index == b->path[i].index && gw_str_eq(step(a, i), step(b, i)))
		i++;
	return i;
}

static void close_to(struct gemini_partial *p, int level, struct gw_buf *out)
{
	for (int k = p->depth - 1; k >= level; k--)
		gw_buf_putc(out, p->path[k].is_index ? ']' : '}');
}

static void put_step(const struct gemini_partial *p, int i, struct gw_buf *out)
{
	if (p->path[i].is_index)
		return;
	gw_json_quote(out, step(p, i));
	gw_buf_putc(out, ':');
}

/* From the place of the last value to that of the next. False: it lies where we were already. */
static bool move_to(struct gemini_partial *p, const struct gemini_partial *next, struct gw_buf *out)
{
	int c = shared(p, next);

	if (p->depth) {
		if (c == p->depth || c == next->depth || p->path[c].is_index != next->path[c].is_index)
			return false;
		if (p->path[c].is_index && next->path[c].index != p->path[c].index + 1)
			return false;
		close_to(p, c + 1, out);
		gw_buf_putc(out, ',');
	} else {
		gw_buf_putc(out, '{');
	}
	put_step(next, c, out);
	for (int k = c + 1; k < next->depth; k++) {
		if (next->path[k].is_index && next->path[k].index)
			return false;
		gw_buf_putc(out, next->path[k].is_index ? '[' : '{');
		put_step(next, k, out);
	}
	p->depth = next->depth;
	p->n = next->n;
	memcpy(p->path, next->path, sizeof(p->path));
	memcpy(p->steps, next->steps, sizeof(p->steps));
	return true;
}

/* The text's characters as they stand between quotes. */
static void put_inside(struct gw_buf *out, struct gw_str s)
{
	size_t from = out->n;

	gw_json_quote(out, s);
	if (out->err)
		return;
	memmove(out->p + from, out->p + from + 1, out->n - from - 2);
	out->n -= 2;
}

static void put_value(struct gemini_partial *p, const yyjson_val *arg, struct gw_buf *out)
{
	const yyjson_val *text = gemini_get(arg, "stringValue"), *v = gemini_get(arg, "numberValue");
	struct gw_json_out w;

	if (!v)
		v = gemini_get(arg, "boolValue");
	if (yyjson_is_str(mut(text))) {
		gw_buf_putc(out, '"');
		put_inside(out, gw_json_str(text));
		p->in_string = yyjson_is_true(mut(gemini_get(arg, "willContinue")));
		if (!p->in_string)
			gw_buf_putc(out, '"');
		return;
	}
	gw_jw_init(&w, out);
	if (yyjson_is_num(mut(v)) || yyjson_is_bool(mut(v)))
		gw_jw_val(&w, v);
	else
		gw_jw_null(&w);
}

bool gemini_partial_take(struct gemini_partial *p, const yyjson_val *arg, struct gw_buf *out)
{
	struct gemini_partial next;
	const yyjson_val *text = gemini_get(arg, "stringValue");

	if (!parse(&next, gw_json_str(gemini_get(arg, "jsonPath"))))
		return false;
	if (p->in_string && p->depth == next.depth && shared(p, &next) == p->depth) {
		put_inside(out, gw_json_str(text));
		p->in_string = yyjson_is_true(mut(gemini_get(arg, "willContinue")));
		if (!p->in_string)
			gw_buf_putc(out, '"');
		return true;
	}
	if (p->in_string)
		gw_buf_putc(out, '"');
	p->in_string = false;
	if (!move_to(p, &next, out))
		return false;
	put_value(p, arg, out);
	return true;
}

void gemini_partial_close(struct gemini_partial *p, struct gw_buf *out)
{
	if (p->in_string)
		gw_buf_putc(out, '"');
	if (p->depth)
		close_to(p, 0, out);
	else
		gw_buf_puts(out, GW_LIT("{}"));
	p->is_open = p->in_string = false;
	p->depth = p->n = 0;
}
