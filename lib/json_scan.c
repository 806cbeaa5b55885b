/* Picking a few scalars out of JSON that arrives in pieces (lib/json_scan.h): a byte machine in fixed memory. It runs
 * beside every relayed reply, so bytes inside strings, the bulk of a reply, are passed over in runs. */
#include "lib/json_impl.h"
#include "lib/json_scan.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { NONE = 255 }; /* no row of the tree */
enum state { S_VALUE, S_FIRST_ITEM, S_FIRST_KEY, S_KEY, S_COLON, S_AFTER, S_STRING, S_KEY_STRING, S_NUMBER, S_WORD };

static void broken(struct gw_json_scan *s)
{
	s->is_broken = true;
	if (s->capture >= 0)
		s->values[s->capture].type = GW_JSON_NONE;
	s->capture = -1;
}

void gw_json_scan_init(struct gw_json_scan *s, const struct gw_scan_node *tree, struct gw_scan_value *values,
		       uint32_t n_values)
{
	s->tree = tree;
	s->values = values;
	s->n_values = n_values;
	gw_json_scan_reset(s);
}

void gw_json_scan_reset(struct gw_json_scan *s)
{
	for (uint32_t i = 0; i < s->n_values; i++)
		s->values[i].type = GW_JSON_NONE; /* the rest is cleared when a value begins */
	s->state = S_VALUE;
	s->depth = s->esc = s->key_len = 0;
	s->is_broken = s->is_done = s->key_cut = false;
	s->capture = -1;
	s->next = 0;
}

/* ---- names ---- */

static uint8_t child_named(const struct gw_scan_node *tree, uint8_t node, const char *name, size_t n)
{
	const struct gw_scan_node *c = tree + tree[node].first, *end = c + tree[node].n;

	for (; c < end; c++)
		if (c->name_n == n && memcmp(c->name, name, n) == 0)
			return (uint8_t)(c - tree);
	return NONE;
}

static uint8_t child_numbered(const struct gw_scan_node *tree, uint8_t node, uint32_t index)
{
	char digits[10];
	size_t at = sizeof(digits);

	if (!tree[node].n)
		return NONE;
	do {
		digits[--at] = (char)('0' + index % 10);
		index /= 10;
	} while (index);
	return child_named(tree, node, digits + at, sizeof(digits) - at);
}

/* The tree's row of the value that begins. */
static uint8_t row_of_value(const struct gw_json_scan *s)
{
	uint8_t in = s->depth ? s->node[s->depth] : 0;

	if (s->depth == 0 || in == NONE)
		return in;
	return s->is_obj[s->depth] ? s->next : child_numbered(s->tree, in, s->index[s->depth]);
}

/* ---- captured values ---- */

static void capture_begin(struct gw_json_scan *s, uint8_t row)
{
	struct gw_scan_value *v;

	s->capture = row == NONE ? -1 : s->tree[row].value;
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

static void key_end(struct gw_json_scan *s)
{
	s->next = s->key_cut ? NONE : child_named(s->tree, s->node[s->depth], s->key, s->key_len);
	s->state = S_COLON;
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

/* First quote, backslash or control byte at or after p. UTF-8 is not this scan's business. */
static const char *string_stop(const char *p, const char *end)
{
#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1f);

	while (end - p >= 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i is_control = _mm_cmpeq_epi8(_mm_max_epu8(v, control), control);
		__m128i hit =
		    _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)), is_control);
		unsigned mask = (unsigned)_mm_movemask_epi8(hit);

		if (mask)
			return p + __builtin_ctz(mask);
		p += 16;
	}
#endif
	while (p < end && (uint8_t)*p >= 0x20 && *p != '"' && *p != '\\')
		p++;
	return p;
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
	stop = string_stop(p, end);
	if (is_key)
		key_add(s, p, (size_t)(stop - p));
	else if (s->capture >= 0)
		capture_add(s, p, (size_t)(stop - p));
	if (stop == end)
		return stop;
	if (*stop == '\\') {
		s->esc = 1;
		if (!is_key)
			capture_add(s, stop, 1);
	} else if (*stop != '"') {
		broken(s);
	} else if (is_key) {
		key_end(s);
	} else {
		value_end(s, GW_JSON_STR);
	}
	return stop + 1;
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

static const char *feed_number(struct gw_json_scan *s, const char *p, const char *end)
{
	const char *from = p;
	enum number next = N_NO;

	for (; p < end; p++) {
		next = number_next((enum number)s->num, *p);
		if (next == N_NO)
			break;
		s->num = (uint8_t)next;
	}
	capture_add(s, from, (size_t)(p - from));
	if (p == end)
		return p;
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

static void open_container(struct gw_json_scan *s, bool is_obj, uint8_t row)
{
	if (s->depth == GW_SCAN_MAX_DEPTH) {
		broken(s);
		return;
	}
	capture_begin(s, row);
	if (s->capture >= 0)
		s->values[s->capture].type = is_obj ? GW_JSON_OBJ : GW_JSON_ARR;
	s->capture = -1;
	s->depth++;
	s->node[s->depth] = row == NONE || !s->tree[row].n ? NONE : row;
	s->index[s->depth] = 0;
	s->is_obj[s->depth] = is_obj;
	s->state = is_obj ? S_FIRST_KEY : S_FIRST_ITEM;
}

static void begin_scalar(struct gw_json_scan *s, char c)
{
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

static void begin_value(struct gw_json_scan *s, char c)
{
	uint8_t row = row_of_value(s);

	if (c == '{' || c == '[') {
		open_container(s, c == '{', row);
		return;
	}
	capture_begin(s, row);
	begin_scalar(s, c);
}

/* Behind a key's opening quote. Most keys are whole and plain: they are looked up where they stand. */
static const char *begin_key(struct gw_json_scan *s, const char *p, const char *end)
{
	const char *stop = string_stop(p, end);
	uint8_t in = s->node[s->depth];

	if (stop < end && *stop == '"') {
		s->next = in == NONE ? NONE : child_named(s->tree, in, p, (size_t)(stop - p));
		s->state = S_COLON;
		return stop + 1;
	}
	s->state = S_KEY_STRING;
	s->key_len = 0;
	s->key_cut = in == NONE; /* where nothing can match, keys need not be kept */
	return p;
}

static void close_container(struct gw_json_scan *s)
{
	s->depth--;
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

/* ---- the common case ---- */

/* A scalar that is whole and plain here: its end, text and type; NULL: somebody else must look. */
static const char *plain_scalar(const char *v, const char *end, struct gw_str *text, enum gw_json_type *type)
{
	const char *at = v + 1;

	if (*v == '"') {
		at = string_stop(at, end);
		*text = gw_str(v + 1, (size_t)(at - v - 1));
		*type = GW_JSON_STR;
		return at < end && *at == '"' ? at + 1 : NULL;
	}
	if (*v >= '1' && *v <= '9') {
		while (at < end && *at >= '0' && *at <= '9')
			at++;
		*text = gw_str(v, (size_t)(at - v));
		*type = GW_JSON_NUM;
		return at < end && (*at == ',' || *at == '}') ? at : NULL;
	}
	*text = gw_str(v, 4);
	*type = GW_JSON_NULL;
	return end - v > 4 && memcmp(v, "null", 4) == 0 ? v + 4 : NULL;
}

static void take_whole(struct gw_json_scan *s, uint8_t row, struct gw_str text, enum gw_json_type type)
{
	capture_begin(s, row);
	if (s->capture < 0)
		return;
	capture_add(s, text.p, text.n);
	s->values[s->capture].type = (uint8_t)type;
	s->capture = -1;
}

/* Members of an object as providers write them, no spaces between: as many as are whole and plain, without a step of the machine for each
 * byte. What is left, from the returned place on, is the machine's. */
static const char *feed_members(struct gw_json_scan *s, const char *p, const char *end)
{
	uint8_t in = s->node[s->depth], row;

	while (p < end) {
		const char *key = p + (s->state == S_AFTER), *stop, *next;
		enum gw_json_type type;
		struct gw_str text;

		if (end - key < 4 || (s->state == S_AFTER && *p != ',') || *key++ != '"')
			break;
		stop = string_stop(key, end);
		if (end - stop < 3 || stop[0] != '"' || stop[1] != ':')
			break;
		row = in == NONE ? NONE : child_named(s->tree, in, key, (size_t)(stop - key));
		if (stop[2] == '{' || stop[2] == '[') {
			s->next = row;
			s->state = S_VALUE;
			return stop + 2;
		}
		next = plain_scalar(stop + 2, end, &text, &type);
		if (!next)
			break;
		if (row != NONE)
			take_whole(s, row, text, type);
		s->state = S_AFTER;
		p = next;
	}
	return p;
}

/* A byte between tokens, no space; returns where to go on. */
static const char *feed_structure(struct gw_json_scan *s, const char *p, const char *end)
{
	char c = *p++;

	switch (s->state) {
	case S_FIRST_ITEM:
		if (c == ']')
			close_container(s);
		else
			begin_value(s, c);
		break;
	case S_VALUE:
		begin_value(s, c);
		break;
	case S_FIRST_KEY:
	case S_KEY:
		if (c == '"')
			return begin_key(s, p, end);
		if (c == '}' && s->state == S_FIRST_KEY)
			close_container(s);
		else
			broken(s);
		break;
	case S_COLON:
		if (c == ':')
			s->state = S_VALUE;
		else
			broken(s);
		break;
	default:
		after_value(s, c);
	}
	return p;
}

static const char *feed_between(struct gw_json_scan *s, const char *p, const char *end)
{
	if (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')
		return p + 1;
	if ((*p == ',' && s->state == S_AFTER && s->depth && s->is_obj[s->depth]) ||
	    (*p == '"' && s->state == S_FIRST_KEY)) {
		const char *next = feed_members(s, p, end);

		if (next != p)
			return next;
	}
	return feed_structure(s, p, end);
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
			p = feed_number(s, p, end);
			break;
		case S_WORD:
			p = feed_word(s, p);
			break;
		default:
			p = feed_between(s, p, end);
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
