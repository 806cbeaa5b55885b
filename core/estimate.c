/* Texts into numbers of tokens (estimate.h): the kind of each character, and what it costs at its place. */
#include "core/estimate.h"

#include "core/estimate_impl.h"

/* What may be waiting for its end. */
enum { PENDING_NONE, PENDING_UTF8, PENDING_ESCAPE, PENDING_HEX };
/* Bytes that need a closer look. */
enum { SEE_BACKSLASH = GW_EK_COUNT, SEE_HIGH };
enum { FOREIGN_WORDS = 60, SPACE_UNITS = 256 };

#define LO GW_EK_LOWER
#define UP GW_EK_UPPER
#define DG GW_EK_DIGIT
#define SP GW_EK_SPACE
#define NL GW_EK_NEWLINE
#define TB GW_EK_TAB
#define P1 GW_EK_POINT
#define P2 GW_EK_FRAME
#define P3 GW_EK_SIGN
#define BD GW_EK_BAD
#define BS SEE_BACKSLASH
#define HI SEE_HIGH
static const uint8_t kind_of_byte[256] = {
	BD, BD, BD, BD, BD, BD, BD,         BD, BD, TB, NL, BD,         BD, NL, BD, BD, BD, BD,          BD, BD, BD,
	BD, BD, BD, BD, BD, BD, BD,         BD, BD, BD, BD, /*   */ SP, P1, P2, P3, P3, P3, P3,          P1, P2, P2,
	P3, P3, P1, P1, P1, P2, /* 0 */
	DG, DG, DG, DG, DG, DG, DG,         DG, DG, DG, P1, P1,         P2, P2, P2, P1, P3, UP,          UP, UP, UP,
	UP, UP, UP, UP, UP, UP, UP,         UP, UP, UP, UP, UP,         UP, UP, UP, UP, UP, UP,          UP, UP, UP,
	UP, P2, BS, P2, P3, P2, /* ` */ P3, LO, LO, LO, LO, LO,         LO, LO, LO, LO, LO, LO,          LO, LO, LO,
	LO, LO, LO, LO, LO, LO, LO,         LO, LO, LO, LO, LO,         P2, P3, P2, P3, BD, /* 80 */ HI, HI, HI, HI,
	HI, HI, HI, HI, HI, HI, HI,         HI, HI, HI, HI, HI,         HI, HI, HI, HI, HI, HI,          HI, HI, HI,
	HI, HI, HI, HI, HI, HI, HI,         HI, HI, HI, HI, HI,         HI, HI, HI, HI, HI, HI,          HI, HI, HI,
	HI, HI, HI, HI, HI, HI, HI,         HI, HI, HI, HI, HI,         HI, HI, HI, HI, HI, HI,          HI, HI, HI,
	HI, HI, HI, HI, HI, HI, HI,         HI, HI, HI, HI, HI,         HI, HI, HI, HI, HI, HI,          HI, HI, HI,
	HI, HI, HI, HI, HI, HI, HI,         HI, HI, HI, HI, HI,         HI, HI, HI, HI, HI, HI,          HI, HI, HI,
	HI, HI, HI, HI, HI, HI, HI,         HI, HI, HI, HI, HI,         HI, HI, HI, HI, HI, HI,          HI
};
#undef LO
#undef UP
#undef DG
#undef SP
#undef NL
#undef TB
#undef P1
#undef P2
#undef P3
#undef BD
#undef BS
#undef HI

/* Kinds that make up one run together. 0 is none. */
enum { RUN_WORD = 1, RUN_DIGIT, RUN_SPACE, RUN_NEWLINE, RUN_PUNCT, RUN_HAN, RUN_KANA, RUN_HANGUL, RUN_EMOJI, RUN_BAD };
static const uint8_t run_of[GW_EK_COUNT] = {
	[GW_EK_LOWER] = RUN_WORD,         [GW_EK_UPPER] = RUN_WORD,
	[GW_EK_LOWER_FOREIGN] = RUN_WORD, [GW_EK_UPPER_FOREIGN] = RUN_WORD,
	[GW_EK_MARKED] = RUN_WORD,        [GW_EK_GREEK] = RUN_WORD,
	[GW_EK_CYRILLIC] = RUN_WORD,      [GW_EK_HEBREW] = RUN_WORD,
	[GW_EK_ARABIC] = RUN_WORD,        [GW_EK_INDIC] = RUN_WORD,
	[GW_EK_THAI] = RUN_WORD,          [GW_EK_LETTER] = RUN_WORD,
	[GW_EK_DIGIT] = RUN_DIGIT,        [GW_EK_SPACE] = RUN_SPACE,
	[GW_EK_TAB] = RUN_SPACE,          [GW_EK_NEWLINE] = RUN_NEWLINE,
	[GW_EK_POINT] = RUN_PUNCT,        [GW_EK_FRAME] = RUN_PUNCT,
	[GW_EK_SIGN] = RUN_PUNCT,         [GW_EK_SYMBOL] = RUN_PUNCT,
	[GW_EK_CJK_POINT] = RUN_PUNCT,    [GW_EK_HAN] = RUN_HAN,
	[GW_EK_KANA] = RUN_KANA,          [GW_EK_HANGUL] = RUN_HANGUL,
	[GW_EK_EMOJI] = RUN_EMOJI,        [GW_EK_BAD] = RUN_BAD,
};

/* Places go 0 .. 11 and on in threes, as digits do. */
static const uint8_t next_place[GW_EK_PLACES] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 9 };

/* The run of characters under way; in registers while plain bytes come. */
struct run {
	uint64_t units;
	unsigned group, at, kind, foreign;
};

static inline void step(struct run *r, const uint16_t (*cost)[GW_EK_PLACES], unsigned kind)
{
	unsigned group = run_of[kind], row = kind;

	if (group != r->group || (kind == GW_EK_UPPER && r->kind == GW_EK_LOWER)) {
		if (group == RUN_DIGIT && r->kind == GW_EK_SPACE)
			r->units +=
			    SPACE_UNITS; /* a word takes the space before it into its first token, a number does not */
		r->group = group;
		r->at = 0;
		r->foreign -= group == RUN_WORD && r->foreign;
	} else {
		r->at = next_place[r->at];
	}
	r->kind = kind;
	if (r->foreign && kind <= GW_EK_UPPER)
		row += GW_EK_LOWER_FOREIGN - GW_EK_LOWER;
	r->units += cost[row][r->at];
}

static inline struct run run_begin(const struct gw_estimate *e)
{
	return (struct run){ e->units, e->group, e->at, e->kind, e->foreign };
}

static inline void run_end(struct gw_estimate *e, const struct run *r)
{
	e->units = r->units;
	e->group = (uint8_t)r->group;
	e->at = (uint8_t)r->at;
	e->kind = (uint8_t)r->kind;
	e->foreign = (uint8_t)r->foreign;
}

static void take(struct gw_estimate *e, const uint16_t (*cost)[GW_EK_PLACES], unsigned kind)
{
	struct run r = run_begin(e);

	step(&r, cost, kind);
	run_end(e, &r);
}

struct range {
	uint32_t last; /* code points up to this one, from behind the row before */
	uint8_t kind;
};
static const struct range ranges[] = {
	{ 0xbf, GW_EK_SYMBOL },    { 0x24f, GW_EK_MARKED },     { 0x2ff, GW_EK_LETTER },  { 0x36f, GW_EK_MARKED },
	{ 0x3ff, GW_EK_GREEK },    { 0x52f, GW_EK_CYRILLIC },   { 0x58f, GW_EK_LETTER },  { 0x5ff, GW_EK_HEBREW },
	{ 0x8ff, GW_EK_ARABIC },   { 0xdff, GW_EK_INDIC },      { 0xeff, GW_EK_THAI },    { 0x10ff, GW_EK_LETTER },
	{ 0x11ff, GW_EK_HANGUL },  { 0x1dff, GW_EK_LETTER },    { 0x1eff, GW_EK_MARKED }, { 0x1fff, GW_EK_GREEK },
	{ 0x2bff, GW_EK_SYMBOL },  { 0x2dff, GW_EK_LETTER },    { 0x2fff, GW_EK_HAN },    { 0x303f, GW_EK_CJK_POINT },
	{ 0x30ff, GW_EK_KANA },    { 0x312f, GW_EK_HAN },       { 0x318f, GW_EK_HANGUL }, { 0x31ef, GW_EK_HAN },
	{ 0x31ff, GW_EK_KANA },    { 0x33ff, GW_EK_CJK_POINT }, { 0x9fff, GW_EK_HAN },    { 0xabff, GW_EK_LETTER },
	{ 0xd7ff, GW_EK_HANGUL },  { 0xdfff, GW_EK_BAD },       { 0xf8ff, GW_EK_SYMBOL }, { 0xfaff, GW_EK_HAN },
	{ 0xfdff, GW_EK_ARABIC },  { 0xfe6f, GW_EK_SYMBOL },    { 0xfeff, GW_EK_ARABIC }, { 0xffef, GW_EK_CJK_POINT },
	{ 0x1efff, GW_EK_LETTER }, { 0x1ffff, GW_EK_EMOJI },    { 0x3ffff, GW_EK_HAN },   { 0x10ffff, GW_EK_SYMBOL }
};

static unsigned kind_of_code(uint32_t c)
{
	unsigned low = 0, high = sizeof(ranges) / sizeof(ranges[0]) - 1;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (c <= ranges[mid].last)
			high = mid;
		else
			low = mid + 1;
	}
	return c <= 0x10ffff ? ranges[low].kind : GW_EK_BAD;
}

static void take_code(struct gw_estimate *e, const uint16_t (*cost)[GW_EK_PLACES], uint32_t c)
{
	unsigned kind = c < 0x80 ? kind_of_byte[c] : kind_of_code(c);

	if (kind == SEE_BACKSLASH)
		kind = GW_EK_SIGN;
	if (kind == GW_EK_MARKED)
		e->foreign = FOREIGN_WORDS;
	take(e, cost, kind);
}

/* The second half of an escaped pair, or one that stands alone. */
static void take_unit(struct gw_estimate *e, const uint16_t (*cost)[GW_EK_PLACES], uint32_t unit)
{
	uint32_t high = e->high;

	e->high = 0;
	if (high && unit >= 0xdc00 && unit <= 0xdfff) {
		take_code(e, cost, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
		return;
	}
	if (high)
		take(e, cost, GW_EK_BAD);
	if (unit >= 0xd800 && unit <= 0xdbff)
		e->high = (uint16_t)unit;
	else
		take_code(e, cost, unit);
}

static void take_escaped(struct gw_estimate *e, const uint16_t (*cost)[GW_EK_PLACES], uint8_t c)
{
	static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";
	const char *hit = c ? strchr(from, c) : NULL;

	e->pending = PENDING_NONE;
	if (c == 'u') {
		e->pending = PENDING_HEX;
		e->need = 4;
		e->code = 0;
		return;
	}
	take_unit(e, cost, hit ? (uint8_t)to[hit - from] : c < 0x80 ? c : '?');
}

static void take_hex(struct gw_estimate *e, const uint16_t (*cost)[GW_EK_PLACES], uint8_t c)
{
	unsigned low = c | 32U, digit = low >= 'a' && low <= 'f' ? low - 'a' + 10 : c >= '0' && c <= '9' ? c - 48U : 0;

	e->code = e->code << 4 | digit;
	if (--e->need)
		return;
	e->pending = PENDING_NONE;
	take_unit(e, cost, e->code);
}

/* A byte that begins, goes on with or ends something longer than itself. */
static void take_byte(struct gw_estimate *e, const uint16_t (*cost)[GW_EK_PLACES], uint8_t c, bool is_escaped)
{
	if (e->pending == PENDING_UTF8) {
		if ((c & 0xc0) == 0x80) {
			e->code = e->code << 6 | (c & 0x3f);
			if (--e->need == 0) {
				e->pending = PENDING_NONE;
				take_unit(e, cost, e->code);
			}
			return;
		}
		e->pending = PENDING_NONE;
		take(e, cost, GW_EK_BAD);
	} else if (e->pending == PENDING_ESCAPE) {
		take_escaped(e, cost, c);
		return;
	} else if (e->pending == PENDING_HEX) {
		take_hex(e, cost, c);
		return;
	}
	if (c == '\\' && is_escaped) {
		e->pending = PENDING_ESCAPE;
	} else if (c < 0x80) {
		take_unit(e, cost, c);
	} else if (c >= 0xc2 && c <= 0xf4) {
		e->pending = PENDING_UTF8;
		e->need = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
		e->code = c & (0x3fU >> e->need);
	} else {
		take(e, cost, GW_EK_BAD);
	}
}

static inline void feed(struct gw_estimate *e, struct gw_str s, bool is_escaped)
{
	const uint16_t(*cost)[GW_EK_PLACES] = gw_estimate_cost[e->family];
	const uint8_t *p = (const uint8_t *)s.p, *end = p + s.n;

	while (p < end) {
		struct run r = run_begin(e);

		if (!e->pending && !e->high)
			for (; p < end && kind_of_byte[*p] < GW_EK_COUNT; p++)
				step(&r, cost, kind_of_byte[*p]);
		run_end(e, &r);
		if (p < end)
			take_byte(e, cost, *p++, is_escaped);
	}
}

void gw_estimate_text(struct gw_estimate *e, struct gw_str text)
{
	feed(e, text, false);
}

void gw_estimate_escaped(struct gw_estimate *e, struct gw_str inside)
{
	feed(e, inside, true);
}

void gw_estimate_new_run(struct gw_estimate *e)
{
	e->group = e->pending = 0;
	e->high = 0;
}

/* ---- families ---- */

static bool has(struct gw_str model, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= model.n; i++) {
		if (gw_str_ieq(gw_str(model.p + i, n), gw_str(word, n)))
			return true;
	}
	return false;
}

enum gw_estimate_family gw_estimate_family_of(struct gw_str model)
{
	static const struct {
		const char *word;
		enum gw_estimate_family family;
	} words[] = {
		/* the first that is in the name */
		{ "claude", GW_EF_CLAUDE },  { "gemini", GW_EF_GEMINI },  { "gemma", GW_EF_GEMINI },
		{ "gpt-4o", GW_EF_O200K },   { "gpt-4.", GW_EF_O200K },   { "gpt-4", GW_EF_CL100K },
		{ "gpt-3", GW_EF_CL100K },   { "gpt-35", GW_EF_CL100K },  { "text-embedding-", GW_EF_CL100K },
		{ "davinci", GW_EF_CL100K }, { "babbage", GW_EF_CL100K }, { "llama", GW_EF_OPEN },
		{ "mistral", GW_EF_OPEN },   { "mixtral", GW_EF_OPEN },   { "qwen", GW_EF_OPEN },
		{ "deepseek", GW_EF_OPEN },  { "command", GW_EF_OPEN },   { "nova", GW_EF_OPEN },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (has(model, words[i].word))
			return words[i].family;
	}
	return GW_EF_O200K;
}

const char *gw_estimate_family_name(enum gw_estimate_family f)
{
	static const char *const names[GW_EF_COUNT] = { "o200k", "cl100k", "claude", "gemini", "open" };

	return (unsigned)f < GW_EF_COUNT ? names[f] : names[0];
}
