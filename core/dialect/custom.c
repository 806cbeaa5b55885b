/* Free-text tools as functions with one text, and back (custom.h). */
#include "core/dialect/custom.h"

#include "core/dialect/dialect.h"

static const char schema_text[] = "{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\",\"description\":"
				  "\"The text that the tool takes, as it is.\"}},\"required\":[\"input\"]}";

/* ---- requests ---- */

static struct gw_str member(const yyjson_val *v, const char *key)
{
	yyjson_val *m = yyjson_obj_get((yyjson_val *)(uintptr_t)v, key);

	return yyjson_is_str(m) ? gw_json_str(m) : GW_NIL;
}

/* {"type":"grammar","grammar":{"syntax","definition"}} of chat, or with both members beside the type. */
static bool tell_grammar(struct gw_arena *a, struct ir_request *rq, struct ir_tool *t)
{
	const yyjson_val *inner = yyjson_obj_get((yyjson_val *)(uintptr_t)t->parameters, "grammar"),
			 *g = inner ? inner : t->parameters;
	struct gw_str syntax = member(g, "syntax"), words = member(g, "definition");

	if (!t->parameters || gw_str_eq(member(t->parameters, "type"), GW_LIT("text")))
		return true;
	ir_drop(rq, rq->source == GW_D_RESPONSES ? "tools[].format" : "tools[].custom.format");
	if (!words.n)
		return true;
	t->description =
	    gw_arena_printf(a, "%.*s%sThe text must follow this grammar (%.*s):\n%.*s", GW_FMT(t->description),
			    t->description.n ? "\n\n" : "", GW_FMT(syntax), GW_FMT(words));
	return t->description.p != NULL;
}

static bool hide_tool(struct gw_arena *a, struct ir_request *rq, struct ir_tool *t, struct gw_carry *carry)
{
	struct gw_arena *keep = carry && carry->keep ? carry->keep : a;
	struct gw_carry_name *n = GW_NEW(keep, struct gw_carry_name);

	if (!n || !tell_grammar(a, rq, t) ||
	    gw_json_tree(a, gw_str(schema_text, sizeof(schema_text) - 1), NULL, &t->parameters, NULL))
		return false;
	t->kind = IR_TOOL_FUNCTION;
	if (!carry)
		return true;
	*n = (struct gw_carry_name){ .next = carry->customs, .ours = gw_arena_str(keep, t->name) };
	carry->customs = n;
	return n->ours.p != NULL;
}

static bool hide_call(struct gw_arena *a, struct ir_block *b)
{
	struct gw_buf t;

	b->is_custom = false;
	if (b->kind != IR_TOOL_CALL)
		return true;
	gw_buf_init(&t, 6 * b->args.n + 64);
	gw_buf_puts(&t, GW_LIT("{\"input\":"));
	gw_json_quote(&t, b->args);
	gw_buf_putc(&t, '}');
	b->args = t.err ? GW_NIL : gw_arena_str(a, gw_buf_view(&t));
	gw_buf_done(&t);
	return b->args.p != NULL;
}

bool gw_custom_hide(struct gw_arena *a, struct ir_request *rq, struct gw_carry *carry)
{
	for (struct ir_tool *t = rq->tools; t; t = t->next) {
		if (t->kind == IR_TOOL_CUSTOM && !hide_tool(a, rq, t, carry))
			return false;
	}
	for (struct ir_message *m = rq->messages; m; m = m->next) {
		for (struct ir_block *b = m->blocks; b; b = b->next) {
			if (b->is_custom && !hide_call(a, b))
				return false;
		}
	}
	return true;
}

/* ---- whole replies ---- */

static bool is_custom(const struct gw_carry *carry, struct gw_str name)
{
	for (const struct gw_carry_name *n = carry->customs; n; n = n->next) {
		if (gw_str_eq(n->ours, name))
			return true;
	}
	return false;
}

/* The text of whole arguments: that of "input", or all of them when there is none, so that nothing is lost. */
static bool text_of(struct gw_arena *a, struct gw_str args, struct gw_str *out)
{
	const yyjson_val *root = NULL;
	enum gw_err e = args.n ? gw_json_tree(a, args, NULL, &root, NULL) : GW_OK;

	if (e == GW_E_NOMEM)
		return false;
	*out = root ? member(root, "input") : GW_NIL;
	if (!out->p)
		*out = yyjson_is_obj((yyjson_val *)(uintptr_t)root) && !yyjson_obj_size((yyjson_val *)(uintptr_t)root)
			   ? GW_LIT("")
			   : args;
	return true;
}

bool gw_custom_show(struct gw_arena *a, struct ir_reply *rp, const struct gw_carry *carry)
{
	if (!carry->customs)
		return true;
	for (struct ir_choice *c = rp->choices; c; c = c->next) {
		for (struct ir_block *b = c->blocks; b; b = b->next) {
			if (b->kind != IR_TOOL_CALL || !is_custom(carry, b->name))
				continue;
			b->is_custom = true;
			if (!text_of(a, b->args, &b->args))
				return false;
		}
	}
	return true;
}

/* ---- streams ---- */

void gw_custom_done(struct gw_custom *c)
{
	for (unsigned i = 0; c->calls && i < GW_CUSTOM_OPEN; i++)
		gw_buf_done(&c->calls[i].held);
	c->calls = NULL;
}

static struct gw_custom_call *find(struct gw_custom *c, const struct ir_event *ev)
{
	for (unsigned i = 0; c->calls && i < GW_CUSTOM_OPEN; i++) {
		struct gw_custom_call *k = &c->calls[i];

		if (k->is_open && k->choice == ev->choice && k->block == ev->block)
			return k;
	}
	return NULL;
}

static enum gw_err open_call(struct gw_custom *c, const struct ir_event *ev)
{
	if (!c->calls)
		c->calls = GW_NEW_N(c->keep, struct gw_custom_call, GW_CUSTOM_OPEN);
	if (!c->calls)
		return GW_E_NOMEM;
	for (unsigned i = 0; i < GW_CUSTOM_OPEN; i++) {
		struct gw_custom_call *k = &c->calls[i];

		if (k->is_open)
			continue;
		gw_buf_done(&k->held);
		*k = (struct gw_custom_call){ .is_open = true, .choice = ev->choice, .block = ev->block };
		gw_buf_init(&k->held, GW_CUSTOM_BYTES);
		return GW_OK;
	}
	return GW_E_UP_TOO_BIG;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Bytes of what stands before the text: {"input":" with white space anywhere. 0: more is needed. -1: it is something else. */
static int64_t before_text(struct gw_str s)
{
	static const char *const words[] = { "{", "\"input\"", ":", "\"" };
	size_t at = 0;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i]), left;

		while (at < s.n && is_space(s.p[at]))
			at++;
		left = s.n - at;
		if (memcmp(s.p + at, words[i], left < n ? left : n) != 0)
			return -1;
		if (left < n)
			return 0;
		at += n;
	}
	return (int64_t)at;
}

/* Four hexadecimal digits, -1: they are none. */
static int32_t hex4(const char *p)
{
	int32_t v = 0;

	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;

		if (d < 0)
			return -1;
		v = v * 16 + d;
	}
	return v;
}

static char *put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

/* One escape at the beginning of s; the bytes that it takes, 0: more is needed. Halves of a pair that stand alone become U+FFFD; what is no
 * escape stands for itself. Never more bytes out than in. */
static size_t take_escape(struct gw_str s, char **to)
{
	static const char from[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	const char *known;
	int32_t high, low;

	if (s.n < 2)
		return 0;
	known = memchr(from, s.p[1], sizeof(from) - 1);
	if (s.p[1] != 'u') {
		*(*to)++ = known ? means[known - from] : s.p[1];
		return 2;
	}
	if (s.n < 6)
		return 0;
	high = hex4(s.p + 2);
	if (high < 0xd800 || high > 0xdfff) {
		*to = put_utf8(*to, high < 0 ? 0xfffd : (uint32_t)high);
		return 6;
	}
	if (high < 0xdc00 && (s.n == 6 || (s.n < 12 && s.p[6] == '\\' && (s.n == 7 || s.p[7] == 'u'))))
		return 0;
	low = high < 0xdc00 && s.n >= 12 && s.p[6] == '\\' && s.p[7] == 'u' ? hex4(s.p + 8) : -1;
	if (low < 0xdc00 || low > 0xdfff) {
		*to = put_utf8(*to, 0xfffd);
		return 6;
	}
	*to = put_utf8(*to, 0x10000 + (((uint32_t)high & 0x3ff) << 10) + ((uint32_t)low & 0x3ff));
	return 12;
}

/* As much of the text as is there; *used of the bytes are told. */
static bool take_text(struct gw_custom_call *k, struct gw_str s, char *to, size_t *used, size_t *n)
{
	char *const begin = to;
	size_t at = 0;

	while (at < s.n && s.p[at] != '"') {
		size_t step = 1;

		if (s.p[at] == '\\') {
			step = take_escape(gw_str_skip(s, at), &to);
			if (!step)
				break;
		} else {
			*to++ = s.p[at];
		}
		at += step;
	}
	if (at < s.n && s.p[at] == '"')
		k->at = GW_CUSTOM_AFTER;
	*used = at;
	*n = (size_t)(to - begin);
	return *n > 0;
}

static enum gw_err tell(const struct gw_custom_call *k, struct gw_str text, ir_event_fn *fn, void *ctx)
{
	const struct ir_event ev = {
		.kind = IR_EV_DELTA, .choice = k->choice, .block = k->block, .delta = IR_DELTA_ARGS, .text = text
	};

	return text.n ? fn(ctx, &ev) : GW_OK;
}

static enum gw_err more(struct gw_custom *c, struct gw_custom_call *k, struct gw_str piece, ir_event_fn *fn, void *ctx)
{
	struct gw_str s;
	size_t used = 0, n = 0;
	int64_t from;
	char *text;

	if (k->at == GW_CUSTOM_AFTER)
		return GW_OK;
	gw_buf_puts(&k->held, piece);
	if (k->held.err)
		return GW_E_UP_TOO_BIG;
	s = gw_buf_view(&k->held);
	if (k->at == GW_CUSTOM_BEFORE) {
		from = before_text(s);
		if (from <= 0) {
			k->at = from < 0 ? GW_CUSTOM_ODD : GW_CUSTOM_BEFORE;
			return GW_OK;
		}
		k->at = GW_CUSTOM_INSIDE;
		gw_buf_consume(&k->held, (size_t)from);
		s = gw_buf_view(&k->held);
	}
	if (k->at != GW_CUSTOM_INSIDE || !s.n)
		return GW_OK;
	text = gw_alloc_bytes(c->scratch, s.n);
	if (!text)
		return GW_E_NOMEM;
	(void)take_text(k, s, text, &used, &n);
	gw_buf_consume(&k->held, used);
	return tell(k, gw_str(text, n), fn, ctx);
}

static enum gw_err close_call(struct gw_custom *c, struct gw_custom_call *k, ir_event_fn *fn, void *ctx)
{
	struct gw_str text = GW_NIL;

	k->is_open = false;
	if (k->at != GW_CUSTOM_BEFORE && k->at != GW_CUSTOM_ODD)
		return GW_OK;
	if (!text_of(c->scratch, gw_buf_view(&k->held), &text))
		return GW_E_NOMEM;
	return tell(k, text, fn, ctx);
}

enum gw_err gw_custom_event(struct gw_custom *c, const struct gw_carry *carry, const struct ir_event *ev,
			    ir_event_fn *fn, void *ctx)
{
	struct gw_custom_call *k;
	struct ir_event as = *ev;
	enum gw_err e;

	if (ev->kind == IR_EV_BLOCK_START && ev->start.kind == IR_TOOL_CALL && is_custom(carry, ev->start.name)) {
		e = open_call(c, ev);
		as.start.is_custom = true;
		return e ? e : fn(ctx, &as);
	}
	if (ev->kind != IR_EV_DELTA && ev->kind != IR_EV_BLOCK_STOP)
		return fn(ctx, ev);
	k = find(c, ev);
	if (!k || (ev->kind == IR_EV_DELTA && ev->delta != IR_DELTA_ARGS))
		return fn(ctx, ev);
	if (ev->kind == IR_EV_DELTA)
		return more(c, k, ev->text, fn, ctx);
	e = close_call(c, k, fn, ctx);
	return e ? e : fn(ctx, ev);
}
