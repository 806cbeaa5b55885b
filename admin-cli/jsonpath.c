/* kubectl's jsonpath in a documented subset:
 *
 *   {.items[*].id}            fields, all elements        {['odd name']}  {.labels.env}  {.*}
 *   {.items[0]} {.items[-1]}  an index, from the end too  {"\n"}          text
 *   {.items[?(@.provider=="openai")].id}                  == != < <= > >= against text, number, true, false, null;
 *                                                         without a comparison: the field is there
 *   {range .items[*]}{.id}{"\t"}{.version}{"\n"}{end}     the same for each
 *
 * $ is the whole answer, @ (or nothing) what `range` is at. Without braces the whole text is one expression. Several results are joined
 * by spaces. Text is printed as it is, objects and lists as JSON. Pure: a tree in, text out. */
#include "admin-cli/cli.h"

enum { MAX_RESULTS = 4 << 20, MAX_DEPTH = 16 };

struct path_run {
	struct gw_arena *a;
	struct gw_buf *out;
	yyjson_val *root;
	const char *why;
	unsigned depth;
};
struct nodes {
	yyjson_val **v;
	size_t n, cap;
};

static bool fail(struct path_run *r, const char *why)
{
	r->why = why;
	return false;
}

static bool add(struct path_run *r, struct nodes *l, yyjson_val *v)
{
	if (!v)
		return true;
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 16;
		yyjson_val **more = cap <= MAX_RESULTS ? GW_NEW_N(r->a, yyjson_val *, cap) : NULL;

		if (!more)
			return fail(r, "too many results");
		if (l->n)
			memcpy(more, l->v, l->n * sizeof(yyjson_val *));
		l->v = more;
		l->cap = cap;
	}
	l->v[l->n++] = v;
	return true;
}

static bool each(struct path_run *r, yyjson_val *v, struct nodes *to)
{
	size_t i, n;
	yyjson_val *key, *one;

	if (yyjson_is_arr(v)) {
		yyjson_arr_foreach(v, i, n, one) if (!add(r, to, one)) return false;
	} else if (yyjson_is_obj(v)) {
		yyjson_obj_foreach(v, i, n, key, one) if (!add(r, to, one)) return false;
	}
	return true;
}

/* A quoted text at the beginning of *s, with \n \t \r \\ \" \'. */
static bool read_quoted(struct path_run *r, struct gw_str *s, struct gw_str *out)
{
	char quote = s->p[0], *to = gw_alloc_bytes(r->a, s->n);
	size_t n = 0, i = 1;

	if (!to)
		return fail(r, "out of memory");
	for (; i < s->n && s->p[i] != quote; i++) {
		char ch = s->p[i];

		if (ch == '\\' && i + 1 < s->n) {
			ch = s->p[++i];
			ch = ch == 'n' ? '\n' : ch == 't' ? '\t' : ch == 'r' ? '\r' : ch;
		}
		to[n++] = ch;
	}
	if (i >= s->n)
		return fail(r, "a quote is not closed");
	*out = gw_str(to, n);
	*s = gw_str_skip(*s, i + 1);
	return true;
}

/* Between the character at the beginning of *s and the one that closes it; the same inside nests, quotes are passed over. */
static bool enclosed(struct path_run *r, struct gw_str *s, char open, char close, const char *why,
		     struct gw_str *inside)
{
	char quote = 0;
	unsigned deep = 0;

	for (size_t i = 0; i < s->n; i++) {
		char ch = s->p[i];

		if (quote) {
			i += ch == '\\';
			quote = ch == quote ? 0 : quote;
		} else if (ch == '"' || ch == '\'') {
			quote = ch;
		} else if (ch == open) {
			deep++;
		} else if (ch == close && --deep == 0) {
			*inside = gw_str_trim(gw_str(s->p + 1, i - 1));
			*s = gw_str_skip(*s, i + 1);
			return true;
		}
	}
	return fail(r, why);
}

static bool bracket(struct path_run *r, struct gw_str *s, struct gw_str *inside)
{
	return enclosed(r, s, '[', ']', "a [ is not closed", inside);
}

static bool block(struct path_run *r, struct gw_str *s, struct gw_str *inside)
{
	return enclosed(r, s, '{', '}', "a { is not closed", inside);
}

static bool follow(struct path_run *r, struct gw_str path, struct nodes *at);

/* --- filters --- */
enum op { OP_THERE, OP_EQ, OP_NE, OP_LE, OP_GE, OP_LT, OP_GT };

static size_t find_op(struct gw_str s, enum op *op, size_t *len)
{
	static const struct {
		const char *text;
		enum op op;
	} ops[] = {
		{ "==", OP_EQ }, { "!=", OP_NE }, { "<=", OP_LE }, { ">=", OP_GE }, { "<", OP_LT }, { ">", OP_GT }
	};
	char quote = 0;

	for (size_t i = 0; i < s.n; i++) {
		char ch = s.p[i];

		if (quote || ch == '"' || ch == '\'') {
			quote = quote == ch ? 0 : quote ? quote : ch;
			continue;
		}
		for (size_t k = 0; k < sizeof ops / sizeof ops[0]; k++)
			if (gw_str_has_prefix(gw_str_skip(s, i), gw_str_z(ops[k].text))) {
				*op = ops[k].op;
				*len = strlen(ops[k].text);
				return i;
			}
	}
	*op = OP_THERE;
	return s.n;
}

static bool holds(enum op op, int order, bool is_equal)
{
	switch (op) {
	case OP_EQ:
		return is_equal;
	case OP_NE:
		return !is_equal;
	case OP_LE:
		return order <= 0;
	case OP_GE:
		return order >= 0;
	case OP_LT:
		return order < 0;
	case OP_GT:
		return order > 0;
	default:
		return true;
	}
}

/* The field against what was written; values of different kinds are unequal and without order. */
static bool compare(struct path_run *r, yyjson_val *v, enum op op, struct gw_str lit, bool *is_true)
{
	struct gw_str text;
	double number;

	*is_true = op == OP_NE;
	if (lit.n && (lit.p[0] == '"' || lit.p[0] == '\'')) {
		if (!read_quoted(r, &lit, &text))
			return false;
		int order = gw_str_cmp(gw_json_str(v), text);
		if (yyjson_is_str(v))
			*is_true = holds(op, order, order == 0);
	} else if (gw_str_eq(lit, GW_LIT("true")) || gw_str_eq(lit, GW_LIT("false"))) {
		if (yyjson_is_bool(v))
			*is_true = holds(op, 0, yyjson_get_bool(v) == (lit.n == 4)) && (op == OP_EQ || op == OP_NE);
	} else if (gw_str_eq(lit, GW_LIT("null"))) {
		*is_true = holds(op, 0, yyjson_is_null(v)) && (op == OP_EQ || op == OP_NE);
	} else if (gw_json_double(lit, &number)) {
		double x = yyjson_get_num(v);
		if (yyjson_is_num(v))
			*is_true = holds(op, x < number ? -1 : x > number, x >= number && x <= number);
	} else {
		return fail(r, "a filter compares with \"text\", a number, true, false or null");
	}
	return true;
}

/* "?(@.a == 'b')" */
static bool filter(struct path_run *r, struct gw_str s, struct nodes *at)
{
	struct nodes from = *at, all = { 0 };
	enum op op;
	size_t len = 0, i;

	s = gw_str_trim(gw_str_skip(s, 1));
	if (s.n < 3 || s.p[0] != '(' || s.p[s.n - 1] != ')')
		return fail(r, "a filter looks like [?(@.field==\"value\")]");
	s = gw_str_trim(gw_str(s.p + 1, s.n - 2));
	if (!s.n || s.p[0] != '@')
		return fail(r, "a filter begins with @");
	i = find_op(s, &op, &len);
	struct gw_str left = gw_str_trim(gw_str(s.p + 1, i - 1)), lit = gw_str_trim(gw_str_skip(s, i + len));
	for (size_t k = 0; k < from.n; k++)
		if (!each(r, from.v[k], &all))
			return false;
	*at = (struct nodes){ 0 };
	for (size_t k = 0; k < all.n; k++) {
		struct nodes one = { 0 };
		bool is_true = true;

		if (!add(r, &one, all.v[k]) || !follow(r, left, &one))
			return false;
		if (!one.n)
			is_true = op == OP_NE;
		else if (op != OP_THERE && !compare(r, one.v[0], op, lit, &is_true))
			return false;
		if (is_true && !add(r, at, all.v[k]))
			return false;
	}
	return true;
}

/* --- steps --- */
static bool by_name(struct path_run *r, struct gw_str name, struct nodes *at)
{
	struct nodes from = *at;

	*at = (struct nodes){ 0 };
	for (size_t i = 0; i < from.n; i++)
		if (!(gw_str_eq(name, GW_LIT("*")) ? each(r, from.v[i], at) : add(r, at, gw_json_get(from.v[i], name))))
			return false;
	return true;
}

static bool by_index(struct path_run *r, int64_t index, struct nodes *at)
{
	struct nodes from = *at;

	*at = (struct nodes){ 0 };
	for (size_t i = 0; i < from.n; i++) {
		int64_t n = (int64_t)yyjson_arr_size(from.v[i]), k = index < 0 ? n + index : index;

		if (k >= 0 && k < n && !add(r, at, yyjson_arr_get(from.v[i], (size_t)k)))
			return false;
	}
	return true;
}

static bool in_brackets(struct path_run *r, struct gw_str s, struct nodes *at)
{
	struct gw_str name;
	int64_t index;

	if (s.n && s.p[0] == '?')
		return filter(r, s, at);
	if (s.n && (s.p[0] == '"' || s.p[0] == '\''))
		return read_quoted(r, &s, &name) && by_name(r, name, at);
	if (gw_str_eq(s, GW_LIT("*")))
		return by_name(r, s, at);
	if (gw_str_i64(s, &index))
		return by_index(r, index, at);
	return fail(r, "in brackets stands a number, *, 'a name' or ?(a filter)");
}

static bool follow(struct path_run *r, struct gw_str path, struct nodes *at)
{
	if (++r->depth > MAX_DEPTH)
		return fail(r, "nested too deep");
	while (path.n) {
		if (path.p[0] == '[') {
			struct gw_str inside;

			if (!bracket(r, &path, &inside) || !in_brackets(r, inside, at))
				return false;
			continue;
		}
		if (path.p[0] == '.')
			path = gw_str_skip(path, 1);
		size_t n = 0;
		while (n < path.n && path.p[n] != '.' && path.p[n] != '[')
			n++;
		struct gw_str name = gw_str_trim(gw_str(path.p, n));
		if (!name.n && path.n)
			return fail(r, "a field's name is missing after a point (\"..\" is not supported)");
		if (name.n && !by_name(r, name, at))
			return false;
		path = gw_str_skip(path, n);
	}
	r->depth--;
	return true;
}

static bool look_up(struct path_run *r, struct gw_str path, yyjson_val *here, struct nodes *at)
{
	yyjson_val *from = here;

	*at = (struct nodes){ 0 };
	if (path.n && (path.p[0] == '$' || path.p[0] == '@')) {
		from = path.p[0] == '$' ? r->root : here;
		path = gw_str_skip(path, 1);
	}
	return add(r, at, from) && follow(r, path, at);
}

static void put_value(struct path_run *r, yyjson_val *v)
{
	struct gw_json_out w;

	if (yyjson_is_str(v)) {
		gw_buf_puts(r->out, gw_json_str(v));
		return;
	}
	gw_jw_init(&w, r->out);
	gw_jw_val(&w, v);
}

/* --- templates --- */
/* The text between {range} and its {end}; *s goes on behind. */
static bool range_body(struct path_run *r, struct gw_str *s, struct gw_str *body)
{
	struct gw_str begun = *s, inside;
	unsigned deep = 1;

	while (s->n) {
		const char *at = s->p;

		if (at[0] != '{') {
			*s = gw_str_skip(*s, 1);
			continue;
		}
		if (!block(r, s, &inside))
			return false;
		deep += gw_str_has_prefix(inside, GW_LIT("range "));
		if (gw_str_eq(inside, GW_LIT("end")) && --deep == 0) {
			*body = gw_str(begun.p, (size_t)(at - begun.p));
			return true;
		}
	}
	return fail(r, "{range} without {end}");
}

static bool expression(struct path_run *r, struct gw_str e, yyjson_val *here)
{
	struct nodes at;
	struct gw_str text;

	if (e.n && (e.p[0] == '"' || e.p[0] == '\'')) {
		if (!read_quoted(r, &e, &text))
			return false;
		gw_buf_puts(r->out, text);
		return true;
	}
	if (!look_up(r, e, here, &at))
		return false;
	for (size_t i = 0; i < at.n; i++) {
		if (i)
			gw_buf_putc(r->out, ' ');
		put_value(r, at.v[i]);
	}
	return true;
}

static bool template_run(struct path_run *r, struct gw_str s, yyjson_val *here)
{
	struct gw_str inside, body;
	struct nodes at;

	if (++r->depth > MAX_DEPTH)
		return fail(r, "nested too deep");
	while (s.n) {
		if (s.p[0] != '{') {
			gw_buf_putc(r->out, s.p[0]);
			s = gw_str_skip(s, 1);
			continue;
		}
		if (!block(r, &s, &inside))
			return false;
		if (gw_str_eq(inside, GW_LIT("end")))
			return fail(r, "{end} without {range}");
		if (!gw_str_has_prefix(inside, GW_LIT("range "))) {
			if (!expression(r, inside, here))
				return false;
			continue;
		}
		if (!range_body(r, &s, &body) || !look_up(r, gw_str_trim(gw_str_skip(inside, 6)), here, &at))
			return false;
		for (size_t i = 0; i < at.n; i++)
			if (!template_run(r, body, at.v[i]))
				return false;
	}
	r->depth--;
	return true;
}

bool cli_jsonpath(struct gw_arena *a, const char *text, yyjson_val *root, struct gw_buf *out, const char **why)
{
	struct path_run r = { .a = a, .out = out, .root = root };
	struct gw_str s = gw_str_z(text);
	bool ok;

	if (!s.n)
		ok = fail(&r, "give a template: -o jsonpath='{.items[*].id}'");
	else if (gw_str_find(s, '{') == s.n)
		ok = expression(&r, s, root);
	else
		ok = template_run(&r, s, root);
	*why = r.why;
	return ok;
}
