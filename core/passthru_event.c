/* One event of an OpenAI-compatible provider's stream: does it go to the client as it is, changed, or not at all, and does it
 * carry the first content? One pass over the JSON text, no tree. The gateway always asks the provider for usage; a client that
 * did not ask must not see it. This runs for every token of every stream: most chunks end after a few hundred bytes of looking. */
#include "core/passthru.h"

#include "core/usage.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { KEEP_BYTES = 65536, MAX_DEPTH = 64 };

/* A member of the chunk: from its key's quote to behind its value. */
struct member {
	const char *comma; /* before it; NULL for the first */
	const char *key, *end;
};
struct look {
	const char *p, *end;
	bool has_content, has_finish, has_role, has_choice, is_error;
	bool has_usage, is_usage_null;
	unsigned n_contents; /* members that are content */
	struct gw_str said; /* the last of them, as it stands */
	struct gw_str content; /* the same if it is a string, quotes included */
	struct member usage;
};

/* ---- the text ---- */

static inline void skip_space(struct look *l)
{
	while (l->p < l->end && (*l->p == ' ' || *l->p == '\n' || *l->p == '\r' || *l->p == '\t'))
		l->p++;
}

static inline bool eat(struct look *l, char c)
{
	skip_space(l);
	if (l->p == l->end || *l->p != c)
		return false;
	l->p++;
	return true;
}

/* The next quote at or after p, or end. The strings of a chunk are short: comparing in place beats calling memchr. */
static inline const char *find_quote(const char *p, const char *end)
{
#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"');

	while (end - p >= 16) {
		int hit = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), quote));

		if (hit)
			return p + __builtin_ctz((unsigned)hit);
		p += 16;
	}
#endif
	while (p < end && *p != '"')
		p++;
	return p;
}

/* At an opening quote; *inside is what lies between the quotes, escapes as they are. */
static inline bool take_string(struct look *l, struct gw_str *inside)
{
	const char *from = l->p + 1, *q = from;

	for (;;) {
		const char *back;

		q = find_quote(q, l->end);
		if (q >= l->end)
			return false;
		for (back = q; back > from && back[-1] == '\\'; back--)
			;
		if (((q - back) & 1) == 0)
			break;
		q++;
	}
	*inside = gw_str(from, (size_t)(q - from));
	l->p = q + 1;
	return true;
}

static bool skip_container(struct look *l)
{
	unsigned depth = 0;
	struct gw_str s;

	while (l->p < l->end) {
		switch (*l->p) {
		case '"':
			if (!take_string(l, &s))
				return false;
			continue;
		case '{':
		case '[':
			if (++depth > MAX_DEPTH)
				return false;
			break;
		case '}':
		case ']':
			if (--depth == 0) {
				l->p++;
				return true;
			}
			break;
		default:
			break;
		}
		l->p++;
	}
	return false;
}

/* Number or word; at least one byte. */
static bool skip_scalar(struct look *l)
{
	const char *from = l->p;

	while (l->p < l->end && ((*l->p >= '0' && *l->p <= '9') || (*l->p >= 'a' && *l->p <= 'z') || *l->p == '-' ||
				 *l->p == '+' || *l->p == '.' || *l->p == 'E'))
		l->p++;
	return l->p > from;
}

static bool skip_value(struct look *l)
{
	struct gw_str s;

	if (l->p == l->end)
		return false;
	if (*l->p == '"')
		return take_string(l, &s);
	if (*l->p == '{' || *l->p == '[')
		return skip_container(l);
	return skip_scalar(l);
}

/* Moves to the next member's value. At the end of the object *is_end. `m->comma` and `m->key` are set. */
static bool next_member(struct look *l, struct gw_str *key, struct member *m, bool *is_end)
{
	m->comma = NULL;
	*is_end = eat(l, '}');
	if (*is_end)
		return true;
	if (m->key) {
		m->comma = l->p;
		if (!eat(l, ','))
			return false;
		skip_space(l);
	}
	m->key = l->p;
	if (l->p == l->end || *l->p != '"' || !take_string(l, key) || !eat(l, ':'))
		return false;
	skip_space(l);
	return l->p < l->end;
}

/* ---- meaning ---- */

static bool is_key(struct gw_str key, const char *name, size_t n)
{
	return key.n == n && memcmp(key.p, name, n) == 0;
}
#define IS(key, lit) is_key(key, lit, sizeof(lit) - 1)

/* Members of a delta that are content when they are not empty. */
static bool is_content_key(struct gw_str key)
{
	switch (key.n) {
	case 5:
		return IS(key, "audio");
	case 7:
		return IS(key, "content") || IS(key, "refusal");
	case 9:
		return IS(key, "reasoning");
	case 10:
		return IS(key, "tool_calls");
	case 13:
		return IS(key, "function_call");
	case 17:
		return IS(key, "reasoning_content") || IS(key, "reasoning_details");
	default:
		return false;
	}
}

/* Behind a value that began at `from`: is it more than null, false, 0, "", [] and {}? */
static bool is_truthy(const char *from, const char *end)
{
	size_t n = (size_t)(end - from);

	if (*from == '"')
		return n > 2;
	if (*from == '[' || *from == '{') {
		while (++from < end && (*from == ' ' || *from == '\n' || *from == '\r' || *from == '\t'))
			;
		return from < end && *from != ']' && *from != '}';
	}
	return !is_key(gw_str(from, n), "null", 4) && !is_key(gw_str(from, n), "false", 5) &&
	       !is_key(gw_str(from, n), "0", 1);
}

static bool look_at_delta(struct look *l)
{
	struct member m = { 0 };
	struct gw_str key;
	bool is_end;

	if (*l->p != '{')
		return skip_value(l);
	l->p++;
	for (;;) {
		const char *from;

		if (!next_member(l, &key, &m, &is_end))
			return false;
		if (is_end)
			return true;
		from = l->p;
		if (!skip_value(l))
			return false;
		l->has_role |= IS(key, "role");
		if (is_content_key(key)) {
			l->has_content |= is_truthy(from, l->p);
			l->said = gw_str(from, (size_t)(l->p - from));
			l->content = *from == '"' ? l->said : gw_str(from, 0);
			l->n_contents++;
		}
	}
}

static bool look_at_choice(struct look *l)
{
	struct member m = { 0 };
	struct gw_str key;
	bool is_end;

	if (*l->p != '{')
		return skip_value(l);
	l->p++;
	for (;;) {
		const char *from;

		if (!next_member(l, &key, &m, &is_end))
			return false;
		if (is_end)
			return true;
		from = l->p;
		if (IS(key, "delta") ? !look_at_delta(l) : !skip_value(l))
			return false;
		if (IS(key, "finish_reason"))
			l->has_finish |= is_truthy(from, l->p);
	}
}

static bool look_at_choices(struct look *l)
{
	if (*l->p != '[')
		return skip_value(l);
	l->p++;
	if (eat(l, ']'))
		return true;
	l->has_choice = true;
	do {
		skip_space(l);
		if (l->p == l->end || !look_at_choice(l))
			return false;
	} while (eat(l, ','));
	return eat(l, ']');
}

/* A member of the chunk. Two usages or errors would be read differently by different readers. */
static bool look_at_member(struct look *l, struct gw_str key, struct member *m)
{
	const char *from = l->p;

	if (IS(key, "choices"))
		return !l->has_choice && look_at_choices(l);
	if (!skip_value(l))
		return false;
	m->end = l->p;
	if (IS(key, "usage")) {
		if (l->has_usage)
			return false;
		l->has_usage = true;
		l->is_usage_null = is_key(gw_str(from, (size_t)(l->p - from)), "null", 4);
		l->usage = *m;
	} else if (IS(key, "error")) {
		l->is_error |= is_truthy(from, l->p);
	}
	return true;
}

static bool look_at_chunk(struct look *l)
{
	struct member m = { 0 };
	struct gw_str key;
	bool is_end;

	if (!eat(l, '{'))
		return false;
	for (;;) {
		if (!next_member(l, &key, &m, &is_end))
			return false;
		if (is_end)
			break;
		if (!look_at_member(l, key, &m))
			return false;
	}
	skip_space(l);
	return l->p == l->end;
}

/* ---- taking the usage out ---- */

/* The bytes to leave out: with the comma before, or, for the first member, the comma behind. */
static struct gw_str usage_bytes(const struct look *l)
{
	const char *end = l->usage.end;

	if (l->usage.comma)
		return gw_str(l->usage.comma, (size_t)(end - l->usage.comma));
	while (end < l->end && (*end == ' ' || *end == '\n' || *end == '\r' || *end == '\t'))
		end++;
	if (end < l->end && *end == ',') {
		end++;
		while (end < l->end && (*end == ' ' || *end == '\n' || *end == '\r' || *end == '\t'))
			end++;
	} else {
		end = l->usage.end;
	}
	return gw_str(l->usage.key, (size_t)(end - l->usage.key));
}

/* The line at the front of *rest without its end, and the end. */
static struct gw_str cut_line(struct gw_str *rest, struct gw_str *line_end)
{
	size_t n = 0, e;

	while (n < rest->n && rest->p[n] != '\n' && rest->p[n] != '\r')
		n++;
	e = n < rest->n ? 1 : 0;
	if (e && rest->p[n] == '\r' && n + 1 < rest->n && rest->p[n + 1] == '\n')
		e = 2;
	struct gw_str line = gw_str(rest->p, n);

	*line_end = gw_str(rest->p + n, e);
	*rest = gw_str_skip(*rest, n + e);
	return line;
}

static bool is_data_line(struct gw_str line)
{
	return gw_str_has_prefix(line, GW_LIT("data")) && (line.n == 4 || line.p[4] == ':');
}

/* The data came in several lines and was joined: its lines are written anew, without the cut, in place of the first of them. */
static void put_joined(const struct gw_sse_event *ev, struct gw_str cut, struct gw_buf *out)
{
	struct gw_str rest = ev->raw, eol;
	bool is_done = false;

	if (gw_str_has_prefix(rest, GW_LIT("\xef\xbb\xbf")))
		rest = gw_str_skip(rest, 3);
	while (rest.n) {
		struct gw_str line = cut_line(&rest, &eol);

		if (!is_data_line(line)) {
			gw_buf_puts(out, line);
			gw_buf_puts(out, eol);
			continue;
		}
		if (is_done)
			continue;
		is_done = true;
		gw_buf_puts(out, GW_LIT("data: "));
		for (const char *p = ev->data.p; p < ev->data.p + ev->data.n; p++) {
			if (p >= cut.p && p < cut.p + cut.n)
				continue;
			gw_buf_putc(out, *p);
			if (*p == '\n')
				gw_buf_puts(out, GW_LIT("data: "));
		}
		gw_buf_puts(out, eol);
	}
}

static enum gw_err edit(const struct gw_sse_event *ev, struct gw_str cut, struct gw_buf *scratch,
			struct gw_chat_event *out)
{
	struct gw_str raw = ev->raw;

	gw_buf_clear(scratch, KEEP_BYTES);
	if ((uintptr_t)cut.p >= (uintptr_t)raw.p && (uintptr_t)cut.p < (uintptr_t)raw.p + raw.n) {
		gw_buf_put(scratch, raw.p, (size_t)(cut.p - raw.p));
		gw_buf_put(scratch, cut.p + cut.n, (size_t)(raw.p + raw.n - cut.p) - cut.n);
	} else {
		put_joined(ev, cut, scratch);
	}
	out->kind = GW_EV_EDIT;
	out->edited = gw_buf_view(scratch);
	return scratch->err;
}

static void pick_values(struct gw_str data, struct gw_scan_value *values)
{
	struct gw_json_scan scan;

	gw_json_scan_init(&scan, gw_usage_tree, values, GW_UP_PATHS);
	gw_json_scan_feed(&scan, data.p, data.n);
}

/* ---- chunks like the one before ---- */

static void learn_shape(struct gw_chat_shape *shape, struct gw_str data, const struct look *l)
{
	size_t before = (size_t)(l->content.p - data.p) + 1, after = data.n - before - l->content.n + 2;

	shape->before_n = 0;
	if (l->n_contents != 1 || l->content.n < 2 || before + after > sizeof(shape->text))
		return;
	shape->cut_back = shape->cut_n = 0;
	if (l->has_usage) {
		struct gw_str cut = usage_bytes(l);

		if (cut.p < l->content.p + l->content.n)
			return;
		shape->cut_back = (uint16_t)(data.p + data.n - cut.p);
		shape->cut_n = (uint16_t)cut.n;
	}
	memcpy(shape->text, data.p, before);
	memcpy(shape->text + before, data.p + data.n - after, after);
	shape->before_n = (uint16_t)before;
	shape->after_n = (uint16_t)after;
}

/* The same bytes before and after one string: only what is in the string differs. */
static bool fits_shape(const struct gw_chat_shape *shape, struct gw_str data, struct gw_chat_event *out)
{
	size_t before = shape->before_n, after = shape->after_n;
	struct look l = { 0 };
	struct gw_str inside;

	if (!before || data.n < before + after || memcmp(data.p, shape->text, before) != 0 ||
	    memcmp(data.p + data.n - after, shape->text + before, after) != 0)
		return false;
	l.p = data.p + before - 1;
	l.end = data.p + data.n;
	out->has_content = data.n > before + after;
	if (!take_string(&l, &inside) || inside.n != data.n - before - after)
		return false;
	out->said = gw_str(inside.p - 1, inside.n + 2);
	return true;
}

enum gw_err gw_chat_event(const struct gw_sse_event *ev, bool wants_usage, struct gw_chat_shape *shape,
			  struct gw_scan_value *values, struct gw_buf *scratch, struct gw_chat_event *out)
{
	struct look l = { .p = ev->data.p, .end = ev->data.p + ev->data.n };
	bool is_told = gw_str_eq(ev->event, GW_LIT("error"));

	*out = (struct gw_chat_event){ .kind = GW_EV_PASS };
	if (shape && !ev->event.n && fits_shape(shape, ev->data, out))
		return wants_usage || !shape->cut_n
			   ? GW_OK
			   : edit(ev, gw_str(l.end - shape->cut_back, shape->cut_n), scratch, out);
	if (!ev->has_data || ev->data.n == 0)
		return GW_OK;
	if (ev->data.n <= 16 && gw_str_eq(gw_str_trim(ev->data), GW_LIT("[DONE]"))) {
		out->kind = GW_EV_DONE;
		return GW_OK;
	}
	if (!look_at_chunk(&l))
		return GW_E_UP_GARBLED;
	out->has_content = l.has_content;
	if (l.has_content)
		out->said = l.n_contents == 1 ? l.said : ev->data;
	out->has_values = (l.has_usage && !l.is_usage_null) || l.is_error || is_told || l.has_finish || l.has_role;
	if (out->has_values)
		pick_values(ev->data, values);
	else if (shape && !ev->event.n)
		learn_shape(shape, ev->data, &l);
	if (l.is_error || is_told)
		out->kind = GW_EV_ERROR;
	else if (wants_usage || !l.has_usage)
		out->kind = GW_EV_PASS;
	else if (!l.is_usage_null && !l.has_choice)
		out->kind = GW_EV_DROP;
	else
		return edit(ev, usage_bytes(&l), scratch, out);
	return GW_OK;
}
