/* Labelled counters: one cell per combination of configured ids. The cell is found by its label text, the very text that
 * /metrics prints, so that two cells can never become one series. Cells are never freed: a slot serves until the next
 * boot, and the overflow cell takes what comes after the last free one. */
#include "shm/slot.h"

enum {
	N_LABELS = 5,
	FRAME_BYTES = 49, /* names, ="" and commas */
	VALUES_BYTES = GW_CELL_LABEL_BYTES - 1 - FRAME_BYTES,
	SHORT_BYTES = VALUES_BYTES / N_LABELS /* what is left of a value when all five do not fit: a UUID does */
};
_Static_assert(SHORT_BYTES >= 36, "a UUID is never cut");

static const char *const names[N_LABELS] = { "model", "provider", "deployment", "org", "team" };

/* One byte or escape of the exposition format into out[2]. Ids are checked text; anything else becomes '_'. */
static size_t escape(char c, bool is_utf8, char out[2])
{
	if (c == '"' || c == '\\') {
		out[0] = '\\';
		out[1] = c;
		return 2;
	}
	out[0] = (uint8_t)c < 0x20 || c == 0x7f || ((uint8_t)c >= 0x80 && !is_utf8) ? '_' : c;
	return 1;
}

static size_t escaped_bytes(struct gw_str s)
{
	size_t n = s.n;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '"' || s.p[i] == '\\';
	return n;
}

/* At most `max` bytes, never half an escape or half a character; a cut value ends with "~" and four digits of its hash,
 * so that long ids with the same beginning stay apart. */
static char *put_value(char *at, struct gw_str s, size_t max)
{
	static const char digits[] = "0123456789abcdef";
	bool is_utf8 = gw_str_is_utf8(s), is_cut = escaped_bytes(s) > max;
	size_t room = is_cut ? max - 5 : max, n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char e[2];
		size_t len = escape(s.p[i], is_utf8, e);

		if (n + len > room)
			break;
		memcpy(at + n, e, len);
		n += len;
	}
	if (!is_cut)
		return at + n;
	while (is_utf8 && n > 0 && ((uint8_t)at[n - 1] & 0xc0) == 0x80)
		n--; /* the last character may be half: drop its tail, then its head */
	if (is_utf8 && n > 0 && (uint8_t)at[n - 1] >= 0xc0)
		n--;
	at[n++] = '~';
	for (unsigned shift = 0; shift < 16; shift += 4)
		at[n++] = digits[(gw_layout_hash(s.p, s.n) >> shift) & 15];
	return at + n;
}

#define EACH_BYTE(c) (0x0101010101010101ULL * (c))

/* High bit set in each byte that is zero (and perhaps in ones above it: we only ask whether there is any). */
static uint64_t zero_bytes(uint64_t w)
{
	return (w - EACH_BYTE(0x01)) & ~w & EACH_BYTE(0x80);
}

/* What nearly all ids are: printable ASCII that needs no escape. Eight bytes at a time; this runs once a request. */
static bool is_plain(struct gw_str s)
{
	uint64_t odd = 0, w;

	for (size_t at = 0; at < s.n; at += 8) {
		size_t n = s.n - at < 8 ? s.n - at : 8;

		w = EACH_BYTE('a');
		if (n == 8)
			memcpy(&w, s.p + at, 8);
		else
			memcpy(&w, s.p + at, n);
		odd |= (w | (w - EACH_BYTE(0x20))) & EACH_BYTE(0x80); /* above 0x7f, below a space */
		odd |=
		    zero_bytes(w ^ EACH_BYTE('"')) | zero_bytes(w ^ EACH_BYTE('\\')) | zero_bytes(w ^ EACH_BYTE(0x7f));
	}
	return odd == 0;
}

static size_t print_labels(const struct gw_cell_ids *ids, char out[GW_CELL_LABEL_BYTES])
{
	struct gw_str v[N_LABELS] = { ids->model, ids->provider, ids->deployment, ids->org, ids->team };
	size_t total = 0, max;
	char *at = out;

	bool may_copy[N_LABELS];

	for (unsigned i = 0; i < N_LABELS; i++) {
		may_copy[i] = v[i].n <= VALUES_BYTES && is_plain(v[i]);
		total += v[i].n > VALUES_BYTES ? VALUES_BYTES + 1 : may_copy[i] ? v[i].n : escaped_bytes(v[i]);
	}
	max = total <= VALUES_BYTES ? VALUES_BYTES : SHORT_BYTES;
	for (unsigned i = 0; i < N_LABELS; i++) {
		size_t n = strlen(names[i]);

		if (i)
			*at++ = ',';
		memcpy(at, names[i], n);
		at += n;
		*at++ = '=';
		*at++ = '"';
		if (!may_copy[i] || v[i].n > max)
			at = put_value(at, v[i], max);
		else if (v[i].n)
			at = (char *)memcpy(at, v[i].p, v[i].n) + v[i].n;
		*at++ = '"';
	}
	*at = 0;
	return (size_t)(at - out);
}

/* Word by word: this runs once a request. */
static uint64_t hash_labels(const char *p, size_t n)
{
	uint64_t h = n * 0x9e3779b97f4a7c15ULL, w;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&w, p, 8);
		h = (h ^ w) * 0xd6e8feb86659fd93ULL;
		h ^= h >> 32;
	}
	w = 0;
	memcpy(&w, p, n);
	h = (h ^ w) * 0xd6e8feb86659fd93ULL;
	h ^= h >> 32;
	return h > 1 ? h : h + 2;
}

struct gw_cell *gw_slot_cell(struct gw_slot *s, const struct gw_cell_ids *ids)
{
	char labels[GW_CELL_LABEL_BYTES];
	size_t n = print_labels(ids, labels);
	uint64_t key = hash_labels(labels, n);
	uint32_t n_cells = atomic_load_explicit(&s->n_cells, memory_order_relaxed);

	for (uint32_t i = 0; i < GW_CELLS; i++) {
		struct gw_cell *c = &s->cells[(key + i) % GW_CELLS];
		uint64_t have = atomic_load_explicit(&c->key, memory_order_relaxed);

		if (have == key && memcmp(c->labels, labels, n + 1) == 0)
			return c;
		if (have)
			continue;
		if (n_cells >=
		    GW_CELLS / 8 * 7) /* the last eighth stays free, so that a search for a new one ends soon */
			break;
		memcpy(c->labels, labels, n + 1);
		atomic_store_explicit(&s->n_cells, n_cells + 1, memory_order_relaxed);
		atomic_store_explicit(&c->key, key, memory_order_release); /* after it was counted: see gw_slot_start */
		return c;
	}
	return &s->overflow;
}
