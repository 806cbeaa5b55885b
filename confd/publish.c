/* The publishing thread. What must be built follows from numbers, not from flags that could be lost: a change is noted with
 * its generation before it is committed, and is done with when an image was built from a state of that generation or a
 * later one. A note whose commit failed costs one needless build.
 *
 * Folding keys into their shards goes in slices of some hundred keys; between two slices a waiting change is published. */
#include "confd/publish.h"
#include "confd/failpoint.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "confd/delta.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"

enum { SLICE_KEYS = 256, RETRY_MS = 200, MAX_INTERVAL_MS = 100 };

struct gw_publisher {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct gw_store *store;
	gw_publisher_fn *ready;
	void *ctx;
	/* under the lock */
	bool is_stopping, is_kicked, is_all_wanted;
	uint64_t config_generation; /* of the last change of config objects */
	struct gw_delta delta;
	struct gw_publication *first_done, *last_done;
	/* of the thread */
	uint64_t built_config; /* generation of the present config image */
	uint64_t last_ms, last_build_us; /* when the last publication was begun, and how long it took */
	struct gw_built folded[GW_KEY_SHARDS];
	uint64_t folded_at[GW_KEY_SHARDS]; /* generation of the state that the folded shard shows */
	bool is_delta_due; /* shards were folded: the delta shrinks */
	unsigned whole_builds; /* of all shards: a fold that began before one is stale */
	uint8_t sorted[GW_DELTA_MAX][32];
};

void gw_publication_free(struct gw_publication *p)
{
	if (p == NULL)
		return;
	for (int i = 0; i < GW_IMAGE_COUNT; i++)
		gw_built_drop(&p->image[i]);
	free(p);
}

static struct gw_publication *new_publication(void)
{
	struct gw_publication *p = calloc(1, sizeof(*p));

	for (int i = 0; p != NULL && i < GW_IMAGE_COUNT; i++)
		p->image[i].fd = -1;
	return p;
}

/* --- building --- */

static enum gw_err build_shard(struct gw_txn *t, unsigned shard, struct gw_built *out)
{
	struct gw_shard_build b;
	bool is_done = false;
	enum gw_err e = gw_shard_start(&b, t, shard);

	while (e == GW_OK && !is_done)
		e = gw_shard_step(&b, 4096, &is_done);
	return e == GW_OK ? gw_shard_end(&b, out) : e;
}

/* All shards in one go: at start, and when more keys changed than the delta holds. */
static enum gw_err build_shards(struct gw_publisher *p, struct gw_txn *t, struct gw_publication *out)
{
	enum gw_err e = GW_OK;

	for (unsigned s = 0; e == GW_OK && s < GW_KEY_SHARDS; s++) {
		gw_built_drop(&p->folded[s]);
		e = build_shard(t, s, &out->image[GW_IMAGE_KEYS0 + s]);
	}
	if (e != GW_OK)
		return e;
	pthread_mutex_lock(&p->lock);
	gw_delta_drop(&p->delta, -1, out->generation);
	if (p->delta.overflow <= out->generation)
		p->delta.overflow = 0;
	pthread_mutex_unlock(&p->lock);
	p->whole_builds++;
	return GW_OK;
}

/* Shards that were folded meanwhile go out with the delta that no longer has their keys. */
static void take_folded(struct gw_publisher *p, struct gw_publication *out)
{
	for (unsigned s = 0; s < GW_KEY_SHARDS; s++) {
		if (p->folded[s].fd < 0)
			continue;
		out->image[GW_IMAGE_KEYS0 + s] = p->folded[s];
		p->folded[s].fd = -1;
		gw_delta_drop(&p->delta, (int)s, p->folded_at[s]);
	}
}

struct todo {
	bool is_all, is_config, is_shards, is_delta;
	size_t n_delta;
};

static struct todo look(struct gw_publisher *p, struct gw_publication *out)
{
	struct todo t = { 0 };

	pthread_mutex_lock(&p->lock);
	t.is_all = p->is_all_wanted;
	p->is_all_wanted = false;
	t.is_config = t.is_all || p->config_generation > p->built_config;
	t.is_shards = t.is_all || p->delta.overflow != 0;
	if (!t.is_shards)
		take_folded(p, out);
	t.is_delta = t.is_shards || p->is_delta_due || p->delta.n > 0;
	t.n_delta = gw_delta_sorted(&p->delta, p->sorted);
	p->is_delta_due = false;
	pthread_mutex_unlock(&p->lock);
	return t;
}

static enum gw_err build_parts(struct gw_publisher *p, struct gw_txn *t, struct todo *todo, struct gw_publication *out)
{
	enum gw_err e = GW_OK;

	if (todo->is_shards) {
		e = build_shards(p, t, out);
		pthread_mutex_lock(&p->lock);
		todo->n_delta = gw_delta_sorted(&p->delta, p->sorted);
		pthread_mutex_unlock(&p->lock);
	}
	gw_failpoint("mid-build");
	if (e == GW_OK && todo->is_config)
		e = gw_build_config(t, out->generation, &out->image[GW_IMAGE_CONFIG]);
	if (e == GW_OK && todo->is_delta)
		e = gw_build_delta(t, (const uint8_t(*)[32])p->sorted, todo->n_delta, &out->image[GW_IMAGE_DELTA]);
	if (e == GW_OK && todo->is_config)
		p->built_config = out->generation;
	return e;
}

static enum gw_err build(struct gw_publisher *p, struct gw_publication *out)
{
	struct gw_txn t;
	enum gw_err e = gw_txn_read(p->store, &t);

	if (e != GW_OK)
		return e;
	e = gw_meta_u64(&t, "generation", &out->generation);
	if (e == GW_OK) {
		struct todo todo = look(p, out);

		out->is_full = todo.is_all;
		e = build_parts(p, &t, &todo, out);
	}
	gw_txn_abort(&t);
	return e;
}

static void hand_over(struct gw_publisher *p, struct gw_publication *out)
{
	pthread_mutex_lock(&p->lock);
	if (p->last_done != NULL)
		p->last_done->next = out;
	else
		p->first_done = out;
	p->last_done = out;
	pthread_mutex_unlock(&p->lock);
	p->ready(p->ctx);
}

static void sleep_ms(uint64_t ms)
{
	struct timespec t = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	(void)nanosleep(&t, NULL);
}

static void publish(struct gw_publisher *p)
{
	uint64_t now = gw_now_ms(), begun_us, interval_ms = 2 * p->last_build_us / 1000;

	if (interval_ms < GW_PUBLISH_INTERVAL_MS)
		interval_ms = GW_PUBLISH_INTERVAL_MS;
	if (interval_ms > MAX_INTERVAL_MS)
		interval_ms = MAX_INTERVAL_MS;
	if (now < p->last_ms + interval_ms)
		sleep_ms(p->last_ms + interval_ms - now);
	p->last_ms = gw_now_ms();
	begun_us = gw_now_ns() / 1000;
	struct gw_publication *out = new_publication();

	if (out == NULL)
		return;
	out->err = build(p, out);
	out->build_us = gw_now_ns() / 1000 - begun_us;
	p->last_build_us = out->build_us;
	if (out->err != GW_OK) { /* half a set is of no use; next time all of it */
		gw_log_slow(GW_ERROR, "images cannot be built: %s", gw_err_info(out->err)->doc);
		for (int i = 0; i < GW_IMAGE_COUNT; i++)
			gw_built_drop(&out->image[i]);
		pthread_mutex_lock(&p->lock);
		p->is_all_wanted = true;
		p->is_kicked = true;
		pthread_mutex_unlock(&p->lock);
		p->last_ms = gw_now_ms() + RETRY_MS;
	}
	hand_over(p, out);
}

/* --- folding --- */

static bool take_kick(struct gw_publisher *p)
{
	pthread_mutex_lock(&p->lock);
	bool is = p->is_kicked && !p->is_stopping;

	p->is_kicked = p->is_kicked && !is;
	pthread_mutex_unlock(&p->lock);
	return is;
}

static bool must_end(struct gw_publisher *p)
{
	pthread_mutex_lock(&p->lock);
	bool is = p->is_stopping || p->is_all_wanted || p->delta.overflow != 0;

	pthread_mutex_unlock(&p->lock);
	return is || gw_store_wants_grow(p->store);
}

/* One shard from a state of its own. False: given up, something else is to be done first. */
static bool fold_shard(struct gw_publisher *p, unsigned shard)
{
	struct gw_shard_build b;
	struct gw_built built = { .fd = -1 };
	struct gw_txn t;
	uint64_t generation;
	unsigned whole_builds = p->whole_builds;
	bool is_done = false;

	if (gw_txn_read(p->store, &t) != GW_OK)
		return false;
	enum gw_err e = gw_meta_u64(&t, "generation", &generation);

	if (e == GW_OK)
		e = gw_shard_start(&b, &t, shard);
	while (e == GW_OK && !is_done) {
		e = gw_shard_step(&b, SLICE_KEYS, &is_done);
		if (e == GW_OK && !is_done && must_end(p)) {
			gw_shard_drop(&b);
			e = GW_E_AGAIN;
		}
		if (e == GW_OK && take_kick(p))
			publish(p);
	}
	if (e == GW_OK)
		e = gw_shard_end(&b, &built);
	gw_txn_abort(&t);
	if (e != GW_OK || whole_builds != p->whole_builds) {
		gw_built_drop(&built);
		return false;
	}
	gw_built_drop(&p->folded[shard]);
	p->folded[shard] = built;
	p->folded_at[shard] = generation;
	return true;
}

/* All shards with changed keys, then one publication of the same generation with the small delta. */
static void fold(struct gw_publisher *p)
{
	bool is_any = false;

	for (unsigned s = 0; s < GW_KEY_SHARDS; s++) {
		pthread_mutex_lock(&p->lock);
		size_t n = gw_delta_of_shard(&p->delta, s);

		pthread_mutex_unlock(&p->lock);
		if (n == 0)
			continue;
		if (!fold_shard(p, s))
			return; /* what is folded so far goes out with the next publication */
		is_any = true;
	}
	p->is_delta_due = is_any;
	if (is_any)
		publish(p);
}

/* --- the thread --- */

static void *run(void *arg)
{
	struct gw_publisher *p = arg;

	for (;;) {
		pthread_mutex_lock(&p->lock);
		while (!p->is_kicked && !p->is_stopping && p->delta.n < GW_FOLD_AT)
			pthread_cond_wait(&p->wake, &p->lock);
		bool is_stopping = p->is_stopping, is_kicked = p->is_kicked;

		p->is_kicked = false;
		pthread_mutex_unlock(&p->lock);
		if (is_stopping)
			return NULL;
		if (is_kicked)
			publish(p);
		if (gw_publisher_delta(p) < GW_FOLD_AT)
			continue;
		if (must_end(p))
			sleep_ms(GW_PUBLISH_INTERVAL_MS); /* whoever is in the way acts soon */
		else
			fold(p);
	}
}

enum gw_err gw_publisher_start(struct gw_store *s, gw_publisher_fn *ready, void *ctx, struct gw_publisher **out)
{
	struct gw_publisher *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return GW_E_NOMEM;
	p->store = s;
	p->ready = ready;
	p->ctx = ctx;
	p->is_all_wanted = true;
	for (unsigned i = 0; i < GW_KEY_SHARDS; i++)
		p->folded[i].fd = -1;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	if (pthread_create(&p->thread, NULL, run, p) != 0) {
		free(p);
		return GW_E_NOMEM;
	}
	*out = p;
	return GW_OK;
}

void gw_publisher_stop(struct gw_publisher *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->is_stopping = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	for (struct gw_publication *d; (d = gw_publisher_take(p)) != NULL;)
		gw_publication_free(d);
	for (unsigned i = 0; i < GW_KEY_SHARDS; i++)
		gw_built_drop(&p->folded[i]);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void gw_publisher_note(struct gw_publisher *p, const struct gw_effects *fx, uint64_t generation)
{
	pthread_mutex_lock(&p->lock);
	if (fx->is_config_changed)
		p->config_generation = generation;
	for (size_t i = 0; i + 32 <= fx->keys.n; i += 32)
		gw_delta_add(&p->delta, (const uint8_t *)fx->keys.p + i, generation);
	pthread_mutex_unlock(&p->lock);
}

void gw_publisher_kick(struct gw_publisher *p)
{
	pthread_mutex_lock(&p->lock);
	p->is_kicked = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

void gw_publisher_all(struct gw_publisher *p)
{
	pthread_mutex_lock(&p->lock);
	p->is_all_wanted = true;
	p->is_kicked = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

struct gw_publication *gw_publisher_take(struct gw_publisher *p)
{
	pthread_mutex_lock(&p->lock);
	struct gw_publication *d = p->first_done;

	if (d != NULL)
		p->first_done = d->next;
	if (p->first_done == NULL)
		p->last_done = NULL;
	pthread_mutex_unlock(&p->lock);
	if (d != NULL)
		d->next = NULL;
	return d;
}

size_t gw_publisher_delta(struct gw_publisher *p)
{
	pthread_mutex_lock(&p->lock);
	size_t n = p->delta.n;

	pthread_mutex_unlock(&p->lock);
	return n;
}
