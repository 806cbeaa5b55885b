/* Images against the store: whatever is published says exactly what is committed, whichever way it got there (delta, folded
 * shards, rebuilt after an overflow). LLMGW_CONFD_KEYS and LLMGW_CONFD_MODELS set the size for the figures of the timing. */
#include "fixture.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "confd/delta.h"
#include "confd/publish.h"
#include "core/config_types.h"
#include "core/key.h"

struct world {
	struct fixture *f;
	struct gw_publisher *p;
	int event;
	int fd[GW_IMAGE_COUNT];
	uint64_t size[GW_IMAGE_COUNT];
	struct gw_image_set set;
	uint64_t n_full, n_folded;
};

static void ready(void *ctx)
{
	struct world *w = ctx;

	assert_int_equal(eventfd_write(w->event, 1), 0);
}

static void before_commit(void *ctx, const struct gw_effects *fx, uint64_t generation)
{
	struct world *w = ctx;

	gw_publisher_note(w->p, fx, generation);
}

static void after_commit(void *ctx, const struct gw_effects *fx, uint64_t generation)
{
	struct world *w = ctx;

	(void)generation;
	if (fx->is_config_changed || fx->keys.n > 0)
		gw_publisher_kick(w->p);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->f = fx_new();
	w->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (int i = 0; i < GW_IMAGE_COUNT; i++)
		w->fd[i] = -1;
	assert_int_equal(gw_publisher_start(w->f->core.store, ready, w, &w->p), GW_OK);
	w->f->core.before_commit = before_commit;
	w->f->core.after_commit = after_commit;
	w->f->core.commit_ctx = w;
	*state = w;
	return 0;
}

static void drop_images(struct world *w)
{
	for (int i = 0; i < GW_IMAGE_COUNT; i++) {
		gw_image_close(w->set.image[i]);
		w->set.image[i] = NULL;
	}
}

static int teardown(void **state)
{
	struct world *w = *state;

	gw_publisher_stop(w->p);
	drop_images(w);
	fx_free(w->f);
	close(w->event);
	free(w);
	return 0;
}

/* Takes publications like a worker would, until this generation is there. */
static void until(struct world *w, uint64_t generation)
{
	uint64_t end = gw_now_ms() + 60000, n;

	while (w->set.generation < generation || w->set.image[GW_IMAGE_CONFIG] == NULL) {
		struct pollfd p = { .fd = w->event, .events = POLLIN };
		struct gw_publication *pub;

		assert_true(gw_now_ms() < end);
		poll(&p, 1, 1000);
		(void)eventfd_read(w->event, &n);
		while ((pub = gw_publisher_take(w->p)) != NULL) {
			assert_int_equal(pub->err, GW_OK);
			assert_true(pub->generation >= w->set.generation);
			for (int i = 0; i < GW_IMAGE_COUNT; i++) {
				uint8_t digest[32];

				if (pub->image[i].fd < 0)
					continue;
				w->n_folded += !pub->is_full && i >= GW_IMAGE_KEYS0;
				gw_image_close(w->set.image[i]);
				assert_int_equal(gw_image_open(pub->image[i].fd, (enum gw_image_name)i,
							       pub->image[i].size, &w->set.image[i]),
						 GW_OK);
				pub->image[i].fd = -1;
				gw_image_digest(w->set.image[i], digest);
				assert_memory_equal(digest, pub->image[i].digest, 32);
			}
			w->n_full += pub->is_full;
			w->set.generation = pub->generation;
			gw_publication_free(pub);
		}
	}
}

struct count {
	struct world *w;
	uint64_t n;
};

static bool count_object(void *ctx, struct gw_str key, struct gw_str value)
{
	struct count *c = ctx;

	(void)value;
	assert_int_not_equal(key.p[0], GW_KIND_key);
	assert_true(gw_cf_kinds[(int)key.p[0]].is_served);
	c->n++;
	return true;
}

static bool count_live(void *ctx, struct gw_str key, struct gw_str value)
{
	struct count *c = ctx;
	struct gw_str row;

	(void)value;
	/* a key of a shard counts when the whole set still knows it */
	c->n += gw_image_key(&c->w->set, (const uint8_t *)key.p, &row) == GW_OK;
	return true;
}

static bool count_new(void *ctx, struct gw_str key, struct gw_str value)
{
	struct count *c = ctx;
	struct gw_str row;

	if (value.n > 0 && gw_image_get(c->w->set.image[gw_image_shard((const uint8_t *)key.p)], GW_DB_KEY, key,
					&row) == GW_E_NOT_FOUND)
		c->n++;
	return true;
}

/* Every object and key of the store is in the images with its version, and nothing else is. */
static void same_as_store(struct world *w)
{
	struct gw_txn t;
	struct gw_scan s;
	struct count c = { w, 0 };
	uint64_t keys = 0, objects = 0, shards = 0;
	char block[4096];
	struct gw_arena a;

	until(w, w->f->generation);
	assert_int_equal(gw_txn_read(w->f->core.store, &t), GW_OK);
	assert_int_equal(gw_scan_start(&s, &t, GW_T_OBJECT, GW_NIL, false), GW_OK);
	while (gw_scan_next(&s)) {
		enum gw_cf_kind kind = (enum gw_cf_kind)s.key.p[0];
		yyjson_doc *doc = yyjson_read(s.value.p, s.value.n, 0);
		yyjson_val *obj = yyjson_doc_get_root(doc);
		uint64_t version = yyjson_get_uint(yyjson_obj_get(obj, "version"));
		struct gw_str row;
		uint8_t index[32];

		gw_arena_init(&a, block, sizeof(block), 1 << 20);
		if (kind == GW_KIND_key) {
			struct gw_cf_key k;

			assert_true(gw_hex_read(gw_json_str(yyjson_obj_get(obj, "index")), index, 32));
			assert_int_equal(gw_image_key(&w->set, index, &row), GW_OK);
			assert_int_equal(gw_cf_read_key(row, &a, &k), GW_OK);
			assert_int_equal(k.version, version);
			keys++;
		} else if (gw_cf_kinds[kind].is_served) {
			struct gw_cf_common *common = gw_alloc(&a, 4096 / 2);

			assert_int_equal(gw_image_get(w->set.image[GW_IMAGE_CONFIG], GW_DB_OBJECT, s.key, &row), GW_OK);
			assert_int_equal(gw_cf_read(kind, row, &a, common), GW_OK);
			assert_int_equal(common->version, version);
			assert_null(memmem(row.p, row.n, "labelcanary", 11));
			objects++;
		}
		gw_arena_done(&a);
		yyjson_doc_free(doc);
	}
	assert_int_equal(s.err, GW_OK);
	gw_scan_end(&s);
	assert_int_equal(gw_image_walk(w->set.image[GW_IMAGE_CONFIG], GW_DB_OBJECT, GW_NIL, count_object, &c), GW_OK);
	assert_int_equal(c.n, objects);
	c.n = 0;
	assert_int_equal(gw_image_walk(w->set.image[GW_IMAGE_DELTA], GW_DB_KEY, GW_NIL, count_new, &c), GW_OK);
	for (int i = 0; i < GW_KEY_SHARDS; i++)
		assert_int_equal(gw_image_walk(w->set.image[GW_IMAGE_KEYS0 + i], GW_DB_KEY, GW_NIL, count_live, &c),
				 GW_OK);
	shards = c.n;
	assert_int_equal(shards, keys);
	gw_txn_abort(&t);
}

static void images_say_what_the_store_says(void **state)
{
	struct world *w = *state;
	struct fixture *f = w->f;
	struct gw_str id, text;
	char body[200];

	gw_publisher_all(w->p);
	fx_seed(f);
	CALL(f, 200, "patch", "model", "{\"id\":\"m1\",\"patch\":{\"labels\":{\"a\":\"labelcanary\"}}}");
	same_as_store(w);
	for (int i = 0; i < 40; i++) {
		snprintf(body, sizeof(body), "{\"id\":\"k%d\",\"disabled\":%s}", i, i % 2 ? "true" : "false");
		CALL(f, 201, "put", "key", body);
		if (i % 3 == 0) {
			snprintf(body, sizeof(body), "{\"id\":\"k%d\"}", i / 2);
			fx_call(f, "delete", "key", body);
		}
		if (i % 10 == 0)
			same_as_store(w);
	}
	same_as_store(w);
	assert_int_equal(w->n_full, 1);
	assert_int_equal(w->n_folded, 0);
	/* names find models, by tenant */
	CALL(f, 201, "put", "org", "{\"id\":\"acme\"}");
	CALL(f, 201, "put", "model",
	     "{\"id\":\"m2\",\"org\":\"acme\",\"name\":\"m1\",\"targets\":[{\"deployment\":\"d1\"}]}");
	until(w, f->generation);
	assert_int_equal(gw_image_get(w->set.image[GW_IMAGE_CONFIG], GW_DB_MODEL, GW_LIT("\x1fm1"), &id), GW_OK);
	assert_true(gw_str_eq(id, GW_LIT("m1")));
	assert_int_equal(gw_image_get(w->set.image[GW_IMAGE_CONFIG], GW_DB_MODEL, GW_LIT("o:acme\x1fm1"), &id), GW_OK);
	assert_true(gw_str_eq(id, GW_LIT("m2")));
	assert_int_equal(gw_image_get(w->set.image[GW_IMAGE_CONFIG], GW_DB_META, GW_LIT("generation"), &text), GW_OK);
	snprintf(body, sizeof(body), "%llu", (unsigned long long)f->generation);
	assert_true(gw_str_eq(text, gw_str_z(body)));
}

static void apply_keys(struct fixture *f, unsigned from, unsigned n, bool is_disabled)
{
	size_t room = n * 120 + 64, at = 1;
	char *body = malloc(room);

	body[0] = '[';
	for (unsigned i = from; i < from + n; i++)
		at += (size_t)snprintf(body + at, room - at, "%s{\"kind\":\"key\",\"id\":\"bulk%u\",\"disabled\":%s}",
				       i > from ? "," : "", i, is_disabled ? "true" : "false");
	snprintf(body + at, room - at, "]");
	assert_int_equal(fx_call(f, "apply", "", body), 200);
	free(body);
}

/* More changed keys than the delta is meant to hold are folded into shards in the background, without a moment in which a
 * key is missing or old. */
static void folding(void **state)
{
	struct world *w = *state;
	struct fixture *f = w->f;
	char body[100];

	gw_publisher_all(w->p);
	until(w, 1);
	apply_keys(f, 0, 1500, false);
	same_as_store(w);
	assert_int_equal(w->n_folded, 0);
	for (unsigned i = 0; i < 4; i++) {
		apply_keys(f, 1500 + i * 300, 300, false);
		snprintf(body, sizeof(body), "{\"id\":\"bulk%u\"}", i * 100);
		CALL(f, 200, "delete", "key", body);
		same_as_store(w);
	}
	for (int i = 0; i < 200 && gw_publisher_delta(w->p) > GW_FOLD_AT; i++)
		gw_sleep_ms(10);
	snprintf(body, sizeof(body), "{\"id\":\"bulk%u\"}", 1001);
	CALL(f, 200, "delete", "key", body);
	same_as_store(w);
	assert_true(w->n_folded >= 1);
	assert_true(gw_publisher_delta(w->p) < GW_FOLD_AT);
	assert_int_equal(w->n_full, 1);
}

/* More at once than the delta can hold: all shards are built anew. */
static void overflow(void **state)
{
	struct world *w = *state;

	gw_publisher_all(w->p);
	until(w, 1);
	apply_keys(w->f, 0, GW_DELTA_MAX + 500, false);
	same_as_store(w);
	assert_true(w->n_folded >= GW_KEY_SHARDS);
	apply_keys(w->f, 0, 100, true);
	same_as_store(w);
}

static void delta_set(void **state)
{
	static struct gw_delta d;
	static uint8_t sorted[GW_DELTA_MAX][32];
	uint8_t index[32] = { 0 };

	(void)state;
	for (unsigned i = 0; i < GW_DELTA_MAX; i++) {
		index[0] = (uint8_t)i;
		index[31] = (uint8_t)(i >> 8); /* all collide: the hash looks at other bytes */
		gw_delta_add(&d, index, i);
	}
	assert_int_equal(d.n, GW_DELTA_MAX);
	assert_int_equal(d.overflow, 0);
	gw_delta_add(&d, index, 77777);
	assert_int_equal(d.n, GW_DELTA_MAX); /* it was there */
	index[5] = 1;
	gw_delta_add(&d, index, 88888);
	assert_int_equal(d.overflow, 88888);
	assert_int_equal(gw_delta_sorted(&d, sorted), GW_DELTA_MAX);
	for (unsigned i = 1; i < GW_DELTA_MAX; i++)
		assert_true(memcmp(sorted[i - 1], sorted[i], 32) < 0);
	assert_int_equal(gw_delta_of_shard(&d, 3), GW_DELTA_MAX / 16);
	gw_delta_drop(&d, 3, 1000);
	for (unsigned i = 0, left = 0; i <= 1000; i++)
		left += i % 16 == 3, assert_true(i < 1000 || d.n == GW_DELTA_MAX - left);
	gw_delta_drop(&d, -1, UINT64_MAX);
	assert_int_equal(d.n, 0);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static unsigned from_env(const char *name, unsigned otherwise)
{
	uint64_t v;

	return gw_str_u64(gw_str_z(getenv(name)), &v) && v < 1000000 ? (unsigned)v : otherwise;
}

/* From a call to verified images in the hands of a reader, one change after another, the commit's fsync included. */
static void timing(void **state)
{
	struct world *w = *state;
	struct fixture *f = w->f;
	unsigned keys = from_env("LLMGW_CONFD_KEYS", 2000), models = from_env("LLMGW_CONFD_MODELS", 50), rounds = 200;
	static uint64_t us[2][200], built[200];
	char body[200];

	CALL(f, 201, "put", "provider", "{\"id\":\"p1\",\"type\":\"openai\"}");
	CALL(f, 201, "put", "credential", "{\"id\":\"c1\",\"provider\":\"p1\",\"secret\":\"sk-x\"}");
	for (unsigned i = 0; i < models; i++) {
		snprintf(body, sizeof(body),
			 "{\"id\":\"d%u\",\"provider\":\"p1\",\"credential\":\"c1\",\"upstream_model\":\"u%u\"}", i, i);
		CALL(f, 201, "put", "deployment", body);
		snprintf(body, sizeof(body), "{\"id\":\"m%u\",\"targets\":[{\"deployment\":\"d%u\"}]}", i, i);
		CALL(f, 201, "put", "model", body);
	}
	for (unsigned i = 0; i < keys; i += 5000)
		apply_keys(f, i, keys - i < 5000 ? keys - i : 5000, false);
	gw_publisher_all(w->p);
	uint64_t begun = gw_now_ns();

	until(w, f->generation);
	print_message("%u keys, %u models: all images %llu ms\n", keys, models,
		      (unsigned long long)((gw_now_ns() - begun) / 1000000));
	for (unsigned i = 0; i < 2 * rounds; i++) {
		begun = gw_now_ns();
		if (i % 2 == 0) {
			snprintf(body, sizeof(body), "{\"id\":\"new%u\",\"models\":[\"m0\"]}", i);
			CALL(f, 201, "put", "key", body);
		} else {
			snprintf(body, sizeof(body), "{\"id\":\"m%u\",\"patch\":{\"labels\":{\"i\":\"%u\"}}}",
				 i % models, i);
			CALL(f, 200, "patch", "model", body);
		}
		uint64_t committed = gw_now_ns();

		until(w, f->generation);
		us[i % 2][i / 2] = (gw_now_ns() - begun) / 1000;
		built[i / 2] = (gw_now_ns() - committed) / 1000;
	}
	for (int k = 0; k < 2; k++) {
		qsort(us[k], rounds, sizeof(us[k][0]), by_value);
		print_message("%s write to images: p50 %.1f ms, p99 %.1f ms, max %.1f ms\n", k == 0 ? "key" : "model",
			      (double)us[k][rounds / 2] / 1000, (double)us[k][rounds * 99 / 100] / 1000,
			      (double)us[k][rounds - 1] / 1000);
	}
	qsort(built, rounds, sizeof(built[0]), by_value);
	print_message("of that after the commit (models): p50 %.1f ms, p99 %.1f ms\n", (double)built[rounds / 2] / 1000,
		      (double)built[rounds * 99 / 100] / 1000);
	assert_true(us[0][rounds / 2] < 1000000 && us[1][rounds / 2] < 1000000);
	same_as_store(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delta_set),
		cmocka_unit_test_setup_teardown(images_say_what_the_store_says, setup, teardown),
		cmocka_unit_test_setup_teardown(folding, setup, teardown),
		cmocka_unit_test_setup_teardown(overflow, setup, teardown),
		cmocka_unit_test_setup_teardown(timing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
