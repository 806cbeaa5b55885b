/* Picking a few scalars out of JSON that arrives in pieces (lib/json_scan.h): a byte machine in fixed memory. It runs
 * beside every relayed reply, so bytes inside strings, the bulk of a reply, are passed over in runs. */
#include "lib/json_impl.h"
#include "lib/json_scan.h"

enum state { S_VALUE, S_FIRST_ITEM, S_FIRST_KEY, S_KEY, S_COLON, S_AFTER, S_STRING, S_KEY_STRING, S_NUMBER, S_WORD };

static void broken(struct gw_json_scan *s)
{
	s->is_broken = true;
	if (s->capture >= 0)
		s->values[s->capture].type = GW_JSON_NONE;
	s->capture = -1;
}

void gw_json_scan_init(struct gw_json_scan *s, const char *const *paths, struct gw_scan_value *values, uint32_t n)
{
	GW_REQUIRE(n <= GW_SCAN_MAX_PATHS);
	s->paths = paths;
	s->values = values;
	s->n_paths = n;
	gw_json_scan_reset(s);
}

void gw_json_scan_reset(struct gw_json_scan *s)
{
	for (uint32_t i = 0; i < s->n_paths; i++) {
		s->values[i].type = GW_JSON_NONE;
		s->values[i].is_cut = false;
		s->values[i].len = 0;
	}
	s->state = S_VALUE;
	s->depth = s->esc = s->key_len = 0;
	s->is_broken = s->is_done = s->key_cut = false;
	s->targets = 0;
	s->capture = -1;
	s->match[0] = (uint32_t)((1ull << s->n_paths) - 1);
}

/* ---- paths ---- */

/* Is segment number `depth` of a path this name? */
static bool is_segment(const char *path, unsigned depth, struct gw_str name, bool *is_last)
{
	size_t i;

	for (; depth; depth--, path++) {
		while (*path && *path != '.')
			path++;
		if (!*path)
			return false;
	}
	for (i = 0; i < name.n; i++) {
		if (!path[i] || path[i] == '.' || path[i] != name.p[i])
			return false;
	}
	*is_last = path[i] == '\0';
	return *is_last || path[i] == '.';
}

/* The member or item that comes next: what of match[depth] ends here, and what goes on below it. */
static void step(struct gw_json_scan *s, struct gw_str name, uint32_t *ends, uint32_t *deeper)
{
	*ends = *deeper = 0;
	for (uint32_t left = s->match[s->depth]; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctz(left);
		bool is_last;

		if (!is_segment(s->paths[i], s->depth - 1u, name, &is_last))
			continue;
		if (is_last)
			*ends |= 1u << i;
		else
			*deeper |= 1u << i;
	}
}

static struct gw_str decimal(uint32_t v, char buf[10])
{
	size_t at = 10;

	do {
		buf[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	return gw_str(buf + at, 10 - at);
}

/* A value begins: sets targets to the paths that mean it and returns those that go on below it. */
static uint32_t enter(struct gw_json_scan *s)
{
	uint32_t deeper = 0;
	char buf[10];

	s->targets = 0;
	if (s->depth == 0)
		return s->match[0];
	if (s->match[s->depth] == 0)
		return 0;
	if (!s->is_obj[s->depth])
		step(s, decimal(s->index[s->depth], buf), &s->targets, &deeper);
	else if (!s->key_cut)
		step(s, gw_str(s->key, s->key_len), &s->targets, &deeper);
	return deeper;
}

/* ---- captured values ---- */

static void capture_begin(struct gw_json_scan *s)
{
	struct gw_scan_value *v;

	s->capture = s->targets ? __builtin_ctz(s->targets) : -1;
	if (s->capture < 0)
		return;
	v = &s->values[s->capture];
	v->type = GW_JSON_NONE; /* an earlier one is forgotten even if this one is never finished */
	v->is_cut = false;
	v->len = 0;
}

static void capture_add(struct gw_json_scan *s, const char *p, size_t n)
{
	struct gw_scan_value *v;
	size_t room;

	if (s->capture < 0)
		return;
	v = &s->values[s->capture];
	room = GW_SCAN_VALUE_BYTES - v->len;
	if (n > room) {
		v->is_cut = true;
		n = room;
	}
	memcpy(v->text + v->len, p, n);
	v->len = (uint8_t)(v->len + n);
}

static void value_end(struct gw_json_scan *s, enum gw_json_type type)
{
	if (s->capture >= 0) {
		s->values[s->capture].type = (uint8_t)type;
		for (uint32_t left = s->targets & (s->targets - 1); left; left &= left - 1) /* the same path twice */
			s->values[__builtin_ctz(left)] = s->values[s->capture];
		s->capture = -1;
	}
	s->state = S_AFTER;
	s->is_done = s->depth == 0;
}

static void key_add(struct gw_json_scan *s, const char *p, size_t n)
{
	if (s->key_cut || n > sizeof(s->key) - s->key_len) {
		s->key_cut = true;
		return;
	}
	memcpy(s->key + s->key_len, p, n);
	s->key_len = (uint8_t)(s->key_len + n);
}

/* ---- strings ---- */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of an escape sequence. Values keep escapes as they are; keys are unescaped, since "us\u0061ge" is a
 * spelling of "usage" that a client would understand. */
static void feed_escape(struct gw_json_scan *s, char c)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	bool is_key = s->state == S_KEY_STRING;
	const char *at;
	int h;

	if (s->esc == 1) {
		if (c == 'u') {
			s->esc = 2;
			s->hex = 0;
			return;
		}
		at = c ? strchr(from, c) : NULL;
		s->esc = 0;
		if (!at)
			broken(s);
		else if (is_key)
			key_add(s, &to[at - from], 1);
		return;
	}
	h = hex_value(c);
	if (h < 0) {
		broken(s);
		return;
	}
	s->hex = (uint16_t)(s->hex << 4 | h);
	if (++s->esc < 6)
		return;
	s->esc = 0;
	if (is_key && s->hex < 0x80)
		key_add(s, &(char){ (char)s->hex }, 1);
	else if (is_key)
		s->key_cut = true; /* no path has such a letter */
}

/* Inside a string; returns where to go on. */
static const char *feed_string(struct gw_json_scan *s, const char *p, const char *end)
{
	bool is_key = s->state == S_KEY_STRING;
	const char *stop;

	if (s->esc) {
		if (!is_key)
			capture_add(s, p, 1);
		feed_escape(s, *p);
		return p + 1;
	}
	stop = (const char *)gw_json_plain_end((const uint8_t *)p, (const uint8_t *)end);
	while (stop < end && (uint8_t)*stop >= 0x80) /* UTF-8 is not this scan's business */
		stop++;
	if (stop > p) {
		if (is_key)
			key_add(s, p, (size_t)(stop - p));
		else
			capture_add(s, p, (size_t)(stop - p));
		return stop;
	}
	if (*p == '\\') {
		s->esc = 1;
		if (!is_key)
			capture_add(s, p, 1);
	} else if (*p != '"') {
		broken(s);
	} else if (is_key) {
		s->state = S_COLON;
	} else {
		value_end(s, GW_JSON_STR);
	}
	return p + 1;
}

/* ---- other scalars ---- */

enum number { N_MINUS, N_ZERO, N_INT, N_POINT, N_FRACTION, N_E, N_SIGN, N_EXP, N_NO };

/* Where the grammar of RFC 8259 section 6 goes from state n with byte c. */
static enum number number_next(enum number n, char c)
{
	bool digit = c >= '0' && c <= '9', e = c == 'e' || c == 'E';

	switch (n) {
	case N_MINUS:
		return c == '0' ? N_ZERO : digit ? N_INT : N_NO;
	case N_ZERO:
	case N_INT:
		return digit && n == N_INT ? N_INT : c == '.' ? N_POINT : e ? N_E : N_NO;
	case N_POINT:
	case N_FRACTION:
		return digit ? N_FRACTION : e && n == N_FRACTION ? N_E : N_NO;
	case N_E:
		return digit ? N_EXP : c == '+' || c == '-' ? N_SIGN : N_NO;
	case N_SIGN:
	case N_EXP:
		return digit ? N_EXP : N_NO;
	case N_NO:
	default:
		return N_NO;
	}
}

static const char *feed_number(struct gw_json_scan *s, const char *p)
{
	enum number next = number_next((enum number)s->num, *p);

	if (next != N_NO) {
		capture_add(s, p, 1);
		s->num = (uint8_t)next;
		return p + 1;
	}
	if (s->num == N_ZERO || s->num == N_INT || s->num == N_FRACTION || s->num == N_EXP)
		value_end(s, GW_JSON_NUM); /* the byte belongs to what follows */
	else
		broken(s);
	return p;
}

static const char *feed_word(struct gw_json_scan *s, const char *p)
{
	if (*p != s->word[s->word_at]) {
		broken(s);
		return p;
	}
	capture_add(s, p, 1);
	if (!s->word[++s->word_at])
		value_end(s, s->word[0] == 'n' ? GW_JSON_NULL : GW_JSON_BOOL);
	return p + 1;
}

/* ---- structure ---- */

static void open_container(struct gw_json_scan *s, bool is_obj, uint32_t deeper)
{
	if (s->depth == GW_SCAN_MAX_DEPTH) {
		broken(s);
		return;
	}
	for (uint32_t left = s->targets; left; left &= left - 1) {
		struct gw_scan_value *v = &s->values[__builtin_ctz(left)];

		v->type = is_obj ? GW_JSON_OBJ : GW_JSON_ARR;
		v->is_cut = false;
		v->len = 0;
	}
	s->depth++;
	s->match[s->depth] = deeper;
	s->index[s->depth] = 0;
	s->is_obj[s->depth] = is_obj;
	s->state = is_obj ? S_FIRST_KEY : S_FIRST_ITEM;
}

static void begin_value(struct gw_json_scan *s, char c)
{
	uint32_t deeper = enter(s);

	if (c == '{' || c == '[') {
		open_container(s, c == '{', deeper);
		return;
	}
	capture_begin(s);
	if (c == '"') {
		s->state = S_STRING;
		return;
	}
	if (c == '-' || (c >= '0' && c <= '9')) {
		s->state = S_NUMBER;
		s->num = c == '-' ? N_MINUS : c == '0' ? N_ZERO : N_INT;
		capture_add(s, &c, 1);
		return;
	}
	if (c != 't' && c != 'f' && c != 'n') {
		broken(s);
		return;
	}
	s->state = S_WORD;
	s->word = c == 't' ? "true" : c == 'f' ? "false" : "null";
	s->word_at = 1;
	capture_add(s, &c, 1);
}

static void begin_key(struct gw_json_scan *s, char c)
{
	if (c != '"') {
		broken(s);
		return;
	}
	s->state = S_KEY_STRING;
	s->key_len = 0;
	/* where no path can match, keys need not be kept */
	s->key_cut = s->match[s->depth] == 0;
}

static void close_container(struct gw_json_scan *s)
{
	s->depth--;
	s->targets = 0;
	value_end(s, GW_JSON_NONE);
}

static void after_value(struct gw_json_scan *s, char c)
{
	bool is_obj = s->depth > 0 && s->is_obj[s->depth];

	if (s->depth == 0) {
		broken(s); /* bytes after the end */
	} else if (c == ',') {
		s->state = is_obj ? S_KEY : S_VALUE;
		s->index[s->depth]++;
	} else if (c == (is_obj ? '}' : ']')) {
		close_container(s);
	} else {
		broken(s);
	}
}

/* A byte between tokens. */
static void feed_structure(struct gw_json_scan *s, char c)
{
	if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
		return;
	switch (s->state) {
	case S_FIRST_ITEM:
		if (c == ']') {
			close_container(s);
			return;
		}
		begin_value(s, c);
		return;
	case S_VALUE:
		begin_value(s, c);
		return;
	case S_FIRST_KEY:
		if (c == '}') {
			close_container(s);
			return;
		}
		begin_key(s, c);
		return;
	case S_KEY:
		begin_key(s, c);
		return;
	case S_COLON:
		if (c == ':')
			s->state = S_VALUE;
		else
			broken(s);
		return;
	default:
		after_value(s, c);
	}
}

void gw_json_scan_feed(struct gw_json_scan *s, const char *p, size_t n)
{
	const char *end = n ? p + n : p;

	while (p < end && !s->is_broken) {
		switch (s->state) {
		case S_STRING:
		case S_KEY_STRING:
			p = feed_string(s, p, end);
			break;
		case S_NUMBER:
			p = feed_number(s, p);
			break;
		case S_WORD:
			p = feed_word(s, p);
			break;
		default:
			feed_structure(s, *p++);
		}
	}
}

bool gw_scan_u64(const struct gw_scan_value *v, uint64_t *out)
{
	uint64_t u;

	if (v->type != GW_JSON_NUM || v->is_cut || !gw_str_u64(gw_scan_str(v), &u) || u > 1000000000000000u)
		return false;
	*out = u;
	return true;
}
