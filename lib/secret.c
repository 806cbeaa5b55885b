/* Memory for secrets. Small ones live in cells of 64 KiB chunks, one list of chunks per cell size, each chunk a mapping
 * of its own: locked, left out of core dumps, empty in a forked child. Larger ones get a mapping each. A cell is wiped
 * when it is freed and poisoned under ASan until it is used again.
 *
 *   chunk (64 KiB, aligned to 64 KiB):  struct chunk | cell | cell | ...        cell: struct gw_secret, bytes
 */
#include "lib/secret.h"

#include <pthread.h>
#include <sys/mman.h>

#include "lib/crypto.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { CHUNK_BYTES = 65536, MIN_CELL = 64, N_CLASSES = 7, MAX_CELL = MIN_CELL << (N_CLASSES - 1), MAX_SECRET = 65536 };

struct gw_secret {
	uint32_t refs; /* atomic */
	uint32_t len;
	uint32_t cell_bytes; /* 0: a mapping of its own */
	uint32_t map_bytes;
	uint8_t bytes[];
};

struct chunk {
	struct chunk *next;
	uint32_t n_used, n_cells;
	uint64_t used[CHUNK_BYTES / MIN_CELL / 64];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct chunk *chunks[N_CLASSES];
static size_t n_alive;

static size_t cells_offset(size_t cell)
{
	return (sizeof(struct chunk) + cell - 1) / cell * cell;
}

/* Whether the pages may be locked depends on RLIMIT_MEMLOCK; going on without is better than not starting. */
static void protect(void *p, size_t n)
{
	(void)mlock(p, n);
	(void)madvise(p, n, MADV_DONTDUMP);
	(void)madvise(p, n, MADV_WIPEONFORK);
}

static void *map_pages(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static struct chunk *new_chunk(size_t cell)
{
	uint8_t *p = map_pages(2 * (size_t)CHUNK_BYTES), *at;
	struct chunk *c;

	if (!p)
		return NULL;
	/* Aligned to its size, so that a cell's chunk is found by masking its address. */
	at = p + (CHUNK_BYTES - ((uintptr_t)p & (CHUNK_BYTES - 1))) % CHUNK_BYTES;
	if (at > p)
		munmap(p, (size_t)(at - p));
	munmap(at + CHUNK_BYTES, (size_t)(p + CHUNK_BYTES - at));
	protect(at, CHUNK_BYTES);
	c = (struct chunk *)(void *)at;
	c->n_cells = (uint32_t)((CHUNK_BYTES - cells_offset(cell)) / cell);
	ASAN_POISON_MEMORY_REGION(at + sizeof(*c), CHUNK_BYTES - sizeof(*c));
	return c;
}

static struct gw_secret *take_cell(struct chunk *c, size_t cell)
{
	for (uint32_t i = 0; i < c->n_cells; i++) {
		struct gw_secret *s;

		if (c->used[i / 64] >> (i % 64) & 1)
			continue;
		c->used[i / 64] |= 1ull << (i % 64);
		c->n_used++;
		s = (struct gw_secret *)(void *)((uint8_t *)c + cells_offset(cell) + i * cell);
		ASAN_UNPOISON_MEMORY_REGION(s, cell);
		return s;
	}
	return NULL;
}

static struct gw_secret *alloc_cell(unsigned cls, size_t cell)
{
	struct chunk *c = chunks[cls];

	while (c && c->n_used == c->n_cells)
		c = c->next;
	if (!c) {
		c = new_chunk(cell);
		if (!c)
			return NULL;
		c->next = chunks[cls];
		chunks[cls] = c;
	}
	return take_cell(c, cell);
}

static void free_cell(struct gw_secret *s, size_t cell)
{
	struct chunk *c = (struct chunk *)((uintptr_t)s & ~(uintptr_t)(CHUNK_BYTES - 1));
	size_t i = ((size_t)((uint8_t *)s - (uint8_t *)c) - cells_offset(cell)) / cell;

	gw_wipe(s, cell);
	ASAN_POISON_MEMORY_REGION(s, cell);
	c->used[i / 64] &= ~(1ull << (i % 64));
	c->n_used--;
}

struct gw_secret *gw_secret_room(size_t n, uint8_t **bytes)
{
	size_t want = sizeof(struct gw_secret) + n, cell = MIN_CELL;
	struct gw_secret *s;
	unsigned cls = 0;

	if (n > MAX_SECRET)
		return NULL;
	while (cell < want)
		cell *= 2, cls++;
	if (cell > MAX_CELL) {
		want = (want + 4095) / 4096 * 4096;
		s = map_pages(want);
		if (s)
			protect(s, want);
		cell = 0;
	} else {
		pthread_mutex_lock(&lock);
		s = alloc_cell(cls, cell);
		pthread_mutex_unlock(&lock);
	}
	if (!s)
		return NULL;
	s->refs = 1;
	s->len = (uint32_t)n;
	s->cell_bytes = (uint32_t)cell;
	s->map_bytes = (uint32_t)want;
	__atomic_add_fetch(&n_alive, 1, __ATOMIC_RELAXED);
	*bytes = s->bytes;
	return s;
}

struct gw_secret *gw_secret_new(const void *p, size_t n)
{
	uint8_t *bytes;
	struct gw_secret *s = gw_secret_room(n, &bytes);

	if (s && n)
		memcpy(bytes, p, n);
	return s;
}

struct gw_secret *gw_secret_ref(struct gw_secret *s)
{
	/* 0 here means a freed secret, or one looked at from a forked child. */
	GW_REQUIRE(__atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED) > 0);
	return s;
}

void gw_secret_unref(struct gw_secret *s)
{
	uint32_t before;

	if (!s)
		return;
	before = __atomic_fetch_sub(&s->refs, 1, __ATOMIC_ACQ_REL);
	GW_REQUIRE(before > 0);
	if (before > 1)
		return;
	if (s->cell_bytes == 0) {
		size_t n = s->map_bytes;

		gw_wipe(s, n);
		munmap(s, n);
	} else {
		pthread_mutex_lock(&lock);
		free_cell(s, s->cell_bytes);
		pthread_mutex_unlock(&lock);
	}
	__atomic_sub_fetch(&n_alive, 1, __ATOMIC_RELAXED);
}

size_t gw_secret_len(const struct gw_secret *s)
{
	return s->len;
}

struct gw_str gw_secret_expose(const struct gw_secret *s)
{
	return gw_str((const char *)s->bytes, s->len);
}

void gw_secret_fingerprint(const struct gw_secret *s, char out[9])
{
	static const char digits[] = "0123456789abcdef";
	struct gw_sha256_ctx c;
	uint8_t hash[32];

	gw_sha256_start(&c);
	gw_sha256_add(&c, "llmgw/fp", 8);
	gw_sha256_add(&c, s->bytes, s->len);
	gw_sha256_end(&c, hash);
	for (int i = 0; i < 4; i++) {
		out[2 * i] = digits[hash[i] >> 4];
		out[2 * i + 1] = digits[hash[i] & 15];
	}
	out[8] = 0;
}

void gw_wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}

size_t gw_secret_alive(void)
{
	return __atomic_load_n(&n_alive, __ATOMIC_RELAXED);
}
