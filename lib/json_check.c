/* The one JSON reader of the hot path (lib/json.h): one pass over the text, no tree, no recursion. Every request body
 * passes here before anything else looks at it, so that guardrail, access check and provider read the same document. */
#include "lib/json_impl.h"

const struct gw_json_limits gw_json_default_limits = { .max_depth = 64, .max_nodes = 1000000 };

struct check {
	const uint8_t *text, *p, *end;
	const struct gw_json_limits *lim;
	const struct gw_json_want *want;
	size_t n_want;
	struct gw_json_span *out; /* of the wanted member under way */
	struct gw_json_items *items; /* of the wanted list under way */
	bool is_item_key; /* the value that comes is the one that items wants */
	bool has_item_key; /* the element under way has it */
	struct gw_json_fault *fault;
	enum gw_err err;
	uint32_t depth, max_depth, nodes;
	struct gw_json_level levels[GW_JSON_MAX_DEPTH + 1];
	struct gw_json_keys keys;
};

/* Fills the fault and returns false, for `return refuse(...)`. */
__attribute__((cold)) static bool refuse(struct check *c, const uint8_t *at, const char *what)
{
	c->err = GW_E_SYNTAX;
	if (!c->fault)
		return false;
	*c->fault = (struct gw_json_fault){ .offset = (size_t)(at - c->text), .line = 1, .column = 1, .what = what };
	for (const uint8_t *q = c->text; q < at; q++) {
		c->fault->column++;
		if (*q == '\n') {
			c->fault->line++;
			c->fault->column = 1;
		}
	}
	return false;
}

/* "expected ..." at the present byte, or the more telling word that the text ends here. */
static bool refuse_here(struct check *c, const char *expected)
{
	return refuse(c, c->p, c->p == c->end ? "the text ends too early" : expected);
}

static inline void skip_space(struct check *c)
{
	if (c->p<c->end && * c->p> ' ') /* as in compact JSON */
		return;
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t'))
		c->p++;
}

static bool count_node(struct check *c)
{
	return ++c->nodes <= c->lim->max_nodes || refuse(c, c->p, "more values than allowed");
}

/* ---- strings ---- */

/* Four hex digits at p; -1 when they are not. */
static int32_t read_hex4(const uint8_t *p, const uint8_t *end)
{
	int32_t v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		uint8_t lower = p[i] | 0x20;

		if (p[i] >= '0' && p[i] <= '9')
			v = v << 4 | (p[i] - '0');
		else if (lower >= 'a' && lower <= 'f')
			v = v << 4 | (lower - 'a' + 10);
		else
			return -1;
	}
	return v;
}

/* p is at a backslash; moves behind the escape, a surrogate pair as one. */
static bool scan_escape(struct check *c, const uint8_t **p)
{
	const uint8_t *at = *p;
	int32_t hi, lo;

	if (c->end - at < 2)
		return refuse(c, c->end, "the text ends too early");
	switch (at[1]) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		*p = at + 2;
		return true;
	case 'u':
		break;
	default:
		return refuse(c, at, "unknown escape in a string");
	}
	hi = read_hex4(at + 2, c->end);
	if (hi < 0)
		return refuse(c, at, "\\u needs four hex digits");
	if (hi < 0xd800 || hi > 0xdfff) {
		*p = at + 6;
		return true;
	}
	lo = c->end - at >= 12 && at[6] == '\\' && at[7] == 'u' ? read_hex4(at + 8, c->end) : -1;
	if (hi > 0xdbff || lo < 0xdc00 || lo > 0xdfff)
		return refuse(c, at, "lone surrogate");
	*p = at + 12;
	return true;
}

/* Most text beyond Latin script is runs of three-byte characters (U+0800..U+FFFF without surrogates): each is
 * checked in one go. Stops at whatever is none. */
static inline const uint8_t *skip_three_byte_run(const uint8_t *p, const uint8_t *end)
{
	while (end - p >= 3) {
		uint32_t w = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
		uint32_t top = w & 0x0f2000; /* the five highest bits of the code point */

		if ((w & 0xf0c0c0) != 0xe08080 || top == 0 || top == 0x0d2000)
			break;
		p += 3;
	}
	return p;
}

/* c->p is at the opening quote; moves behind the closing one. */
static bool scan_string(struct check *c, bool *has_escape)
{
	const uint8_t *p = c->p + 1;

	*has_escape = false;
	for (;;) {
		p = gw_json_plain_end(p, c->end);
		if (p == c->end)
			return refuse(c, p, "the text ends inside a string");
		if (*p == '"') {
			c->p = p + 1;
			return true;
		}
		if (*p == '\\') {
			*has_escape = true;
			if (!scan_escape(c, &p))
				return false;
			continue;
		}
		if (*p < 0x20)
			return refuse(c, p, "control byte in a string (write it as \\u00XX)");
		p = skip_three_byte_run(p, c->end);
		while (p < c->end && *p >= 0x80) {
			size_t n = gw_utf8_len(p, (size_t)(c->end - p));

			if (!n)
				return refuse(c, p, "invalid UTF-8");
			p += n;
		}
	}
}

/* ---- scalars ---- */

static inline const uint8_t *digits(const uint8_t *p, const uint8_t *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

static bool scan_number(struct check *c)
{
	const uint8_t *from = c->p, *p = from + (*from == '-'), *q;
	bool has_exp = false;

	q = digits(p, c->end);
	if (q == p)
		return refuse(c, from, "a number needs a digit here");
	if (*p == '0' && q - p > 1)
		return refuse(c, from, "a number must not begin with 0");
	p = q;
	if (p < c->end && *p == '.') {
		q = digits(p + 1, c->end);
		if (q == p + 1)
			return refuse(c, from, "a number needs a digit after the point");
		p = q;
	}
	if (p < c->end && (*p | 0x20) == 'e') {
		has_exp = true;
		p++;
		if (p < c->end && (*p == '+' || *p == '-'))
			p++;
		q = digits(p, c->end);
		if (q == p)
			return refuse(c, from, "a number needs a digit in the exponent");
		p = q;
	}
	if ((has_exp || p - from >= 309) && !gw_json_number_is_finite(gw_str((const char *)from, (size_t)(p - from))))
		return refuse(c, from, "number too large");
	c->p = p;
	return true;
}

static bool scan_word(struct check *c, const char *word, size_t n)
{
	if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n) != 0)
		return refuse(c, c->p, "expected a JSON value");
	c->p += n;
	return true;
}

/* ---- keys ---- */

static void match_wanted(struct check *c, struct gw_str inside, bool has_escape)
{
	for (size_t i = 0; i < c->n_want; i++) {
		const struct gw_json_want *w = &c->want[i];

		if (has_escape ? gw_json_inside_eq(inside, w->key) : gw_str_eq(inside, w->key)) {
			c->out = w->out;
			if (c->lim->items && gw_str_eq(w->key, c->lim->items->of))
				c->items = c->lim->items;
			return;
		}
	}
}

/* ---- elements of a wanted list ---- */

static void item_fault(struct check *c, enum gw_json_item_fault f)
{
	if (c->items->fault != GW_ITEM_OK)
		return;
	c->items->fault = f;
	c->items->at = c->items->n - 1;
}

/* A value of this type begins, the list's own included. */
static void items_value(struct check *c, enum gw_json_type type)
{
	if (c->depth == 1 && type != GW_JSON_ARR) {
		c->items = NULL;
	} else if (c->depth == 2) {
		c->items->n++;
		c->has_item_key = false;
		if (type != GW_JSON_OBJ)
			item_fault(c, GW_ITEM_NO_OBJECT);
	} else if (c->depth == 3 && c->is_item_key) {
		c->is_item_key = false;
		c->has_item_key = true;
		if (type != c->items->type)
			item_fault(c, GW_ITEM_OTHER_TYPE);
	}
}

static bool refuse_key(struct check *c, const uint8_t *at, struct gw_str inside, enum gw_json_key_fault f)
{
	static const char *const what[] = {
		[GW_KEY_TWICE] = "duplicate key",
		[GW_KEY_CASE] = "the key differs only in upper and lower case from one with a meaning",
		[GW_KEY_FLOOD] = "too many keys that collide",
	};

	if (f == GW_KEY_NOMEM) {
		c->err = GW_E_NOMEM;
		return false;
	}
	refuse(c, at, what[f]);
	if (c->fault)
		c->fault->key = inside;
	return false;
}

/* "key" : */
static bool scan_key(struct check *c)
{
	const uint8_t *from;
	struct gw_str inside;
	enum gw_json_key_fault f;
	bool has_escape;

	skip_space(c);
	if (c->p == c->end || *c->p != '"')
		return refuse_here(c, "expected a key in quotes");
	from = c->p;
	if (!count_node(c) || !scan_string(c, &has_escape))
		return false;
	inside = gw_str((const char *)from + 1, (size_t)(c->p - from) - 2);
	f = gw_json_keys_add(&c->keys, &c->levels[c->depth], (size_t)(from + 1 - c->text), inside.n, has_escape);
	if (f)
		return refuse_key(c, from, inside, f);
	if (c->depth == 1)
		match_wanted(c, inside, has_escape);
	else if (c->depth == 3 && c->items)
		c->is_item_key = gw_json_inside_eq(inside, c->items->key);
	skip_space(c);
	if (c->p == c->end || *c->p != ':')
		return refuse_here(c, "expected ':' after the key");
	c->p++;
	return true;
}

/* ---- structure ---- */

/* After '{' or '['. *is_open is false when the container closes at once. */
static bool open_container(struct check *c, bool is_obj, bool *is_open)
{
	struct gw_json_level *level;

	if (c->depth == c->max_depth)
		return refuse(c, c->p, "nested deeper than allowed");
	c->p++;
	skip_space(c);
	*is_open = c->p == c->end || *c->p != (is_obj ? '}' : ']');
	if (!*is_open) {
		c->p++;
		return true;
	}
	level = &c->levels[++c->depth];
	level->seen = 0;
	level->first_key = c->keys.n_keys;
	level->is_obj = is_obj;
	level->is_tabled = false;
	return !is_obj || scan_key(c);
}

static enum gw_json_type type_of(uint8_t ch)
{
	switch (ch) {
	case '{':
		return GW_JSON_OBJ;
	case '[':
		return GW_JSON_ARR;
	case '"':
		return GW_JSON_STR;
	case 't':
	case 'f':
		return GW_JSON_BOOL;
	case 'n':
		return GW_JSON_NULL;
	default:
		return GW_JSON_NUM;
	}
}

/* A whole scalar or empty container, or the opening of a container up to where its first value begins. */
static bool scan_value(struct check *c, bool *is_open)
{
	bool has_escape;

	*is_open = false;
	skip_space(c);
	if (c->p == c->end)
		return refuse_here(c, "");
	if (!count_node(c))
		return false;
	if (c->out && c->depth == 1)
		*c->out = (struct gw_json_span){ (size_t)(c->p - c->text), 0, type_of(*c->p) };
	if (c->items && c->depth <= 3)
		items_value(c, type_of(*c->p));
	switch (*c->p) {
	case '{':
		return open_container(c, true, is_open);
	case '[':
		return open_container(c, false, is_open);
	case '"':
		return scan_string(c, &has_escape);
	case 't':
		return scan_word(c, "true", 4);
	case 'f':
		return scan_word(c, "false", 5);
	case 'n':
		return scan_word(c, "null", 4);
	default:
		if (*c->p == '-' || (*c->p >= '0' && *c->p <= '9'))
			return scan_number(c);
		return refuse(c, c->p, "expected a JSON value");
	}
}

/* Behind a value: closes what ends here. *more tells whether another value follows, up to which all is read. */
static bool scan_ends(struct check *c, bool *more)
{
	*more = false;
	while (c->depth > 0) {
		struct gw_json_level *level = &c->levels[c->depth];

		if (c->depth == 1 && c->out) {
			c->out->len = (size_t)(c->p - c->text) - c->out->off;
			c->out = NULL;
			c->items = NULL;
		} else if (c->depth == 2 && c->items && !c->has_item_key) {
			item_fault(c, GW_ITEM_WITHOUT);
		}
		skip_space(c);
		if (c->p < c->end && *c->p == ',') {
			c->p++;
			*more = true;
			return !level->is_obj || scan_key(c);
		}
		if (c->p == c->end || *c->p != (level->is_obj ? '}' : ']'))
			return refuse_here(c, level->is_obj ? "expected ',' or '}'" : "expected ',' or ']'");
		c->p++;
		if (level->is_obj)
			gw_json_keys_pop(&c->keys, level);
		c->depth--;
	}
	return true;
}

static bool scan_text(struct check *c)
{
	bool more, is_open;

	skip_space(c);
	if (c->end - c->p >= 3 && memcmp(c->p, "\xef\xbb\xbf", 3) == 0)
		return refuse(c, c->p, "a byte order mark is not JSON");
	if (c->n_want && (c->p == c->end || *c->p != '{'))
		return refuse_here(c, "the top level must be an object");
	do {
		if (!scan_value(c, &is_open))
			return false;
		more = is_open;
		if (!is_open && !scan_ends(c, &more))
			return false;
	} while (more);
	skip_space(c);
	return c->p == c->end || refuse(c, c->p, "bytes after the end of the JSON text");
}

enum gw_err gw_json_check(struct gw_arena *a, struct gw_str text, const struct gw_json_limits *lim,
			  const struct gw_json_want *want, size_t n_want, struct gw_json_fault *fault)
{
	struct check c; /* 4 KiB, most of it scratch that needs no zeroing */

	c.text = (const uint8_t *)(text.p ? text.p : "");
	c.p = c.text;
	c.end = c.text + text.n;
	c.lim = lim ? lim : &gw_json_default_limits;
	c.max_depth = c.lim->max_depth < GW_JSON_MAX_DEPTH ? c.lim->max_depth : GW_JSON_MAX_DEPTH;
	c.want = want;
	c.n_want = n_want;
	c.out = NULL;
	c.items = NULL;
	c.is_item_key = c.has_item_key = false;
	c.fault = fault;
	c.err = GW_OK;
	c.depth = c.nodes = 0;
	gw_json_keys_init(&c.keys, a, text, c.lim);
	for (size_t i = 0; i < n_want; i++)
		*want[i].out = (struct gw_json_span){ 0 };
	if (c.lim->items) {
		c.lim->items->n = 0;
		c.lim->items->fault = GW_ITEM_OK;
	}
	if (text.n > INT32_MAX)
		refuse(&c, c.text, "larger than 2 GiB");
	else if (scan_text(&c))
		c.err = GW_OK;
	gw_json_keys_done(&c.keys);
	for (size_t i = 0; c.err && i < n_want; i++)
		*want[i].out = (struct gw_json_span){ 0 };
	return c.err;
}
