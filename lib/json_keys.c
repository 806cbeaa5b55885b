/* Duplicate and look-alike keys (lib/json_impl.h), for gw_json_check.
 *
 * Bodies are hostile: one may hold half a million keys in one object, made to collide. So the hash is seeded from
 * addresses (which the sender does not know; the verdict does not depend on them), and a search that still meets too
 * many collisions gives up with a fault, which bounds the work whatever the seed. */
#include "lib/json_impl.h"

enum { SMALL_OBJECT = 16, MAX_PROBES = 512 };
static const uint32_t not_tabled = UINT32_MAX;

static uint64_t mix(uint64_t a, uint64_t b)
{
	__extension__ typedef unsigned __int128 u128;
	u128 m = (u128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t load(const void *p, size_t n)
{
	uint64_t w = 0;

	memcpy(&w, p, n);
	return w;
}

static uint32_t hash_bytes(uint64_t seed, struct gw_str s)
{
	const uint64_t k1 = 0x9e3779b97f4a7c15u, k2 = 0xd6e8feb86659fd93u;
	uint64_t h = seed ^ s.n * k2;
	const char *p = s.p;
	size_t n = s.n;

	for (; n > 8; n -= 8, p += 8)
		h = mix(h ^ load(p, 8), k1 ^ seed);
	if (n == 8)
		h ^= load(p, 8);
	else if (n >= 4)
		h ^= load(p, 4) << 32 | load(p + n - 4, 4);
	else if (n > 0)
		h ^= load(p, 1) << 16 | load(p + n / 2, 1) << 8 | load(p + n - 1, 1);
	h = mix(h, k1 ^ seed);
	return (uint32_t)(h ^ h >> 32);
}

/* Case variants: the known keys by length, so that a key meets only a few of them. */
static void index_known(struct gw_json_keys *k, const struct gw_json_limits *lim)
{
	size_t n = 0;

	GW_REQUIRE(lim->n_known <= GW_JSON_KNOWN_MAX);
	k->known = lim->n_known ? lim->known : NULL;
	if (!k->known)
		return;
	k->known_first = lim->known_first ? lim->known_first : k->own_first;
	if (lim->known_first)
		return;
	k->own_first[0] = 0;
	for (uint32_t i = 0; i < lim->n_known; i++) {
		GW_REQUIRE(k->known[i].n >= n && k->known[i].n <= GW_JSON_KNOWN_BYTES);
		while (n < k->known[i].n)
			k->own_first[++n] = (uint8_t)i;
	}
	while (n <= GW_JSON_KNOWN_BYTES)
		k->own_first[++n] = (uint8_t)lim->n_known;
}

static bool is_ascii(struct gw_str s)
{
	uint64_t seen = 0;

	if (s.n < 8) {
		for (size_t i = 0; i < s.n; i++)
			seen |= (unsigned char)s.p[i];
		return seen < 0x80;
	}
	for (size_t i = 0; i < s.n; i += 8) /* the last eight overlap those before */
		seen |= load(s.p + (s.n - i >= 8 ? i : s.n - 8), 8);
	return (seen & 0x8080808080808080u) == 0;
}

/* Two characters outside ASCII fold to ASCII letters (Unicode simple case folding; Go's encoding/json compares by it): U+017F to s,
 * U+212A to k. The key as such a reader sees it; a key too long for buf is no known one. */
static struct gw_str fold_kin(struct gw_str key, char *buf, size_t size)
{
	size_t n = 0;

	if (is_ascii(key))
		return key;
	for (size_t i = 0; i < key.n; n++) {
		struct gw_str rest = gw_str_skip(key, i);
		bool is_s = gw_str_has_prefix(rest, GW_LIT("\xc5\xbf")),
		     is_k = gw_str_has_prefix(rest, GW_LIT("\xe2\x84\xaa"));

		if (n == size)
			return key;
		buf[n] = is_s ? 's' : is_k ? 'k' : key.p[i];
		i += is_s ? 2 : is_k ? 3 : 1;
	}
	return gw_str(buf, n);
}

bool gw_json_is_case_variant(struct gw_str key, struct gw_str known)
{
	char buf[64];

	return gw_str_ieq(fold_kin(key, buf, sizeof(buf)), known) && !gw_str_eq(key, known);
}

static bool is_case_variant(const struct gw_json_keys *k, struct gw_str key)
{
	char buf[64];
	struct gw_str seen;
	bool differs = false;

	if (!k->known || key.n == 0)
		return false;
	seen = fold_kin(key, buf, sizeof(buf));
	if (seen.n > GW_JSON_KNOWN_BYTES)
		return false;
	for (unsigned i = k->known_first[seen.n]; i < k->known_first[seen.n + 1]; i++) {
		struct gw_str known = k->known[i];

		if ((known.p[0] ^ seen.p[0]) & ~0x20) /* not even but for case */
			continue;
		if (gw_str_eq(known, key))
			return false;
		differs = differs || gw_str_ieq(known, seen);
	}
	return differs;
}

void gw_json_keys_init(struct gw_json_keys *k, struct gw_arena *a, struct gw_str text, const struct gw_json_limits *lim)
{
	k->text = text;
	k->a = a;
	k->is_marked = false;
	k->seed = mix((uint64_t)(uintptr_t)k ^ 0xa0761d6478bd642fu, (uint64_t)(uintptr_t)text.p ^ 0xe7037ed1a0b428dbu) ^
		  (uint64_t)(uintptr_t)&gw_json_default_limits;
	k->keys = k->first_keys;
	k->n_keys = 0;
	k->cap_keys = GW_JSON_KEYS_INLINE;
	k->table = NULL;
	k->table_size = k->n_tabled = 0;
	index_known(k, lim);
}

void gw_json_keys_done(struct gw_json_keys *k)
{
	if (k->is_marked)
		gw_arena_reset(k->a, k->mark);
}

static void *scratch(struct gw_json_keys *k, size_t n)
{
	if (!k->is_marked) {
		k->mark = gw_arena_mark(k->a);
		k->is_marked = true;
	}
	return gw_alloc(k->a, n);
}

static struct gw_str inside_of(const struct gw_json_keys *k, const struct gw_json_key *key)
{
	return gw_str(k->text.p + key->off, key->len);
}

static bool same_key(struct gw_str a, struct gw_str b)
{
	struct gw_json_chars ca, cb;

	if (gw_str_eq(a, b))
		return true;
	if (gw_str_find(a, '\\') == a.n && gw_str_find(b, '\\') == b.n)
		return false;
	ca = gw_json_chars(a);
	cb = gw_json_chars(b);
	for (;;) {
		int x = gw_json_next(&ca), y = gw_json_next(&cb);

		if (x != y)
			return false;
		if (x < 0)
			return true;
	}
}

/* Puts key i into the table. The probe sees keys of outer objects too; only those from `first` on count as twins. */
static enum gw_json_key_fault table_put(struct gw_json_keys *k, uint32_t i, uint32_t first)
{
	struct gw_json_key *key = &k->keys[i];
	uint32_t at = key->hash & (k->table_size - 1);

	for (unsigned probes = 0; k->table[at]; probes++) {
		const struct gw_json_key *other = &k->keys[k->table[at] - 1];

		if (probes == MAX_PROBES)
			return GW_KEY_FLOOD;
		if (other->hash == key->hash && k->table[at] - 1 >= first &&
		    same_key(inside_of(k, other), inside_of(k, key)))
			return GW_KEY_TWICE;
		at = (at + 1) & (k->table_size - 1);
	}
	k->table[at] = i + 1;
	key->slot = at;
	k->n_tabled++;
	return GW_KEY_OK;
}

/* A table at most half full. Entries go in oldest first, so that removing newest first leaves no holes in chains. */
static enum gw_json_key_fault table_grow(struct gw_json_keys *k, uint32_t extra)
{
	uint32_t size = k->table_size ? k->table_size : 64;

	while (size / 2 < k->n_tabled + extra)
		size *= 2;
	if (size == k->table_size)
		return GW_KEY_OK;
	k->table = scratch(k, size * sizeof(*k->table));
	if (!k->table)
		return GW_KEY_NOMEM;
	k->table_size = size;
	k->n_tabled = 0;
	for (uint32_t i = 0; i < k->n_keys; i++) {
		enum gw_json_key_fault f;

		if (k->keys[i].slot == not_tabled)
			continue;
		f = table_put(k, i, UINT32_MAX); /* known to be different */
		if (f)
			return f;
	}
	return GW_KEY_OK;
}

static enum gw_json_key_fault push(struct gw_json_keys *k, struct gw_json_key key)
{
	if (k->n_keys == k->cap_keys) {
		struct gw_json_key *more = scratch(k, 2 * (size_t)k->cap_keys * sizeof(*more));

		if (!more)
			return GW_KEY_NOMEM;
		memcpy(more, k->keys, k->n_keys * sizeof(*more));
		k->keys = more;
		k->cap_keys *= 2;
	}
	k->keys[k->n_keys++] = key;
	return GW_KEY_OK;
}

/* The innermost object has grown large: its keys so far move into the table. They are known to be different. */
static enum gw_json_key_fault start_table(struct gw_json_keys *k, struct gw_json_level *level)
{
	enum gw_json_key_fault f = table_grow(k, k->n_keys - level->first_key);

	for (uint32_t i = level->first_key; i < k->n_keys && !f; i++)
		f = table_put(k, i, UINT32_MAX);
	level->is_tabled = true;
	return f;
}

static enum gw_json_key_fault add_hashed(struct gw_json_keys *k, struct gw_json_level *level, struct gw_json_key key)
{
	uint64_t bit = 1ull << (key.hash & 63);
	enum gw_json_key_fault f;

	if (!level->is_tabled && (level->seen & bit))
		for (uint32_t i = level->first_key; i < k->n_keys; i++)
			if (k->keys[i].hash == key.hash && same_key(inside_of(k, &k->keys[i]), inside_of(k, &key)))
				return GW_KEY_TWICE;
	level->seen |= bit;
	if (!level->is_tabled && k->n_keys - level->first_key >= SMALL_OBJECT) {
		f = start_table(k, level);
		if (f)
			return f;
	}
	f = level->is_tabled ? table_grow(k, 1) : GW_KEY_OK;
	if (!f)
		f = push(k, key);
	if (!f && level->is_tabled)
		f = table_put(k, k->n_keys - 1, level->first_key);
	return f;
}

/* The plain bytes of a key: itself, or unescaped into buf, or into the arena when longer. */
static struct gw_str plain_key(struct gw_json_keys *k, struct gw_str inside, char *buf, size_t n_buf)
{
	struct gw_json_chars c = gw_json_chars(inside);
	char *to = inside.n <= n_buf ? buf : gw_alloc_bytes(k->a, inside.n);
	size_t n = 0;

	if (!to)
		return GW_NIL;
	for (int ch = gw_json_next(&c); ch >= 0; ch = gw_json_next(&c))
		to[n++] = (char)ch;
	return gw_str(to, n);
}

enum gw_json_key_fault gw_json_keys_add(struct gw_json_keys *k, struct gw_json_level *level, size_t off, size_t len,
					bool has_escape)
{
	struct gw_str inside = gw_str(k->text.p + off, len), plain = inside;
	struct gw_json_key key = { .off = (uint32_t)off, .len = (uint32_t)len, .slot = not_tabled };
	bool is_variant;

	if (!has_escape) {
		is_variant = is_case_variant(k, inside);
		key.hash = hash_bytes(k->seed, inside);
	} else {
		char buf[256];
		struct gw_mark m = gw_arena_mark(k->a);
		bool in_arena = len > sizeof(buf);

		plain = plain_key(k, inside, buf, sizeof(buf));
		if (!plain.p)
			return GW_KEY_NOMEM;
		is_variant = is_case_variant(k, plain);
		key.hash = hash_bytes(k->seed, plain);
		if (in_arena)
			gw_arena_reset(k->a, m);
	}
	return is_variant ? GW_KEY_CASE : add_hashed(k, level, key);
}

void gw_json_keys_pop(struct gw_json_keys *k, const struct gw_json_level *level)
{
	if (level->is_tabled) {
		for (uint32_t i = k->n_keys; i > level->first_key; i--)
			k->table[k->keys[i - 1].slot] = 0;
		k->n_tabled -= k->n_keys - level->first_key;
	}
	k->n_keys = level->first_key;
}
