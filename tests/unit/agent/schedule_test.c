/* The schedule of first probes: who must pass, when it is tried again, what a change or a deletion does to it. Probes themselves are made
 * here; the clock is ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <ftw.h>
#include <unistd.h>
#include "agent/agent.h"
#include "core/config_types.h"
#include "lib/crypto.h"
#include "lib/json.h"
#include "lib/sys/clock.h"
#include "shm/image_write.h"

/* --- the clock (all of lib/sys/clock.c) --- */
static uint64_t now_ns = 1000000000000;
uint64_t gw_now_ns(void)
{
	return now_ns;
}
uint64_t gw_recent_ns(void)
{
	return now_ns;
}
int64_t gw_unix_recent_us(void)
{
	return (int64_t)(now_ns / 1000);
}
uint64_t gw_now_ms(void)
{
	return now_ns / 1000000;
}
int64_t gw_unix_us(void)
{
	return (int64_t)(now_ns / 1000);
}
uint64_t gw_cpu_ns(void)
{
	return 0;
}
void gw_sleep_ms(uint64_t ms)
{
	now_ns += ms * 1000000;
}

/* --- probes (agent/probe.c) --- */
static struct probe {
	char id[64];
	gw_ag_probe_fn *fn;
	void *ctx;
} probes[64];
static uint32_t n_probes, n_started;
static enum gw_err probe_err;

enum gw_err gw_agent_probe(struct gw_agent *ag, struct gw_str deployment, bool is_test, gw_ag_probe_fn *fn, void *ctx)
{
	(void)ag;
	assert_false(is_test);
	if (probe_err)
		return probe_err;
	snprintf(probes[n_probes].id, sizeof probes[0].id, "%.*s", GW_FMT(deployment));
	probes[n_probes].fn = fn;
	probes[n_probes++].ctx = ctx;
	n_started++;
	return GW_OK;
}

/* The oldest probe of this deployment that runs comes back. */
static void comes_back(const char *id, enum gw_err err)
{
	struct gw_ag_result r = {
		.err = err, .status = err ? 500 : 200, .us = 7000, .detail = err ? GW_LIT("words") : GW_NIL
	};

	for (uint32_t i = 0; i < n_probes; i++) {
		struct probe p = probes[i];

		if (strcmp(p.id, id) != 0)
			continue;
		memmove(probes + i, probes + i + 1, (--n_probes - i) * sizeof probes[0]);
		p.fn(p.ctx, &r);
		return;
	}
	fail_msg("no probe of %s runs", id);
}

static uint32_t running(const char *id)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < n_probes; i++)
		n += strcmp(probes[i].id, id) == 0;
	return n;
}

/* --- images --- */
static struct gw_agent *ag;
static char dir[64];

static void serve(const char *const *rows, size_t n, const char *settings)
{
	struct gw_image_writer *iw;
	uint8_t digest[32];
	struct gw_buf b;
	uint64_t size;
	int fd;

	gw_buf_init(&b, 1 << 20);
	assert_int_equal(gw_image_write_start(GW_IMAGE_CONFIG, 1 << 20, &iw), GW_OK);
	for (int pass = 0; pass < 2; pass++) { /* kinds rise */
		enum gw_cf_kind kind =
		    (pass == 0) == (GW_KIND_settings < GW_KIND_deployment) ? GW_KIND_settings : GW_KIND_deployment;

		for (size_t i = 0; i < (kind == GW_KIND_settings ? (settings ? 1 : 0) : n); i++) {
			const char *json = kind == GW_KIND_settings ? settings : rows[i];
			struct gw_json_fault f;
			char key[80];
			yyjson_doc *d;

			assert_int_equal(gw_json_read(gw_str_z(json), &gw_json_default_limits, &d, &f), GW_OK);
			key[0] = (char)kind;
			strcpy(key + 1, yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(d), "id")));
			gw_buf_clear(&b, 1 << 20);
			gw_cf_image_row(kind, yyjson_doc_get_root(d), &b);
			yyjson_doc_free(d);
			assert_int_equal(
			    gw_image_put(iw, GW_DB_OBJECT, gw_str(key, 1 + strlen(key + 1)), gw_buf_view(&b)), GW_OK);
		}
	}
	gw_buf_done(&b);
	assert_int_equal(gw_image_write_end(iw, &fd, &size, digest), GW_OK);
	gw_image_close(ag->images.image[GW_IMAGE_CONFIG]);
	ag->images.image[GW_IMAGE_CONFIG] = NULL;
	assert_int_equal(gw_image_open(fd, GW_IMAGE_CONFIG, size, &ag->images.image[GW_IMAGE_CONFIG]), GW_OK);
	gw_agent_reschedule(ag);
}
#define SERVE(settings, ...)                                                                                           \
	do {                                                                                                           \
		static const char *const rows_[] = { __VA_ARGS__ };                                                    \
		serve(rows_, sizeof rows_ / sizeof rows_[0], settings);                                                \
	} while (0)

static void pass_ms(uint64_t ms)
{
	gw_sleep_ms(ms);
	gw_agent_reschedule(ag);
}

static enum gw_verdict verdict(const char *id, uint64_t version)
{
	const struct gw_health_cell *c = gw_health_get(ag->health, gw_health_key(gw_str_z(id), version));

	return c ? (enum gw_verdict)atomic_load(&c->verdict) : GW_VERDICT_NONE;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int set_up(void **state)
{
	(void)state;
	ag = calloc(1, sizeof *ag);
	n_probes = n_started = 0;
	probe_err = GW_OK;
	snprintf(dir, sizeof dir, "/dev/shm/llmgw-test-XXXXXX");
	if (!mkdtemp(dir) || gw_crypto_init())
		return -1;
	return gw_health_open(dir, true, true, &ag->health);
}

static int tear_down(void **state)
{
	struct gw_map m = { ag->health, sizeof *ag->health };

	(void)state;
	while (n_probes)
		comes_back(probes[0].id, GW_E_UP_REFUSED);
	gw_image_close(ag->images.image[GW_IMAGE_CONFIG]);
	gw_unmap(&m);
	free(ag);
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#define D(id, more) "{\"id\":\"" id "\",\"provider\":\"p\",\"upstream_model\":\"m\"" more "}"

/* What is there when a service begins has served before; what comes later must pass. */
static void first_images_count_as_up(void **state)
{
	(void)state;
	SERVE(NULL, D("a", ",\"version\":1"), D("b", ",\"version\":4"));
	assert_int_equal(verdict("a", 1), GW_VERDICT_UP);
	assert_int_equal(verdict("b", 4), GW_VERDICT_UP);
	assert_int_equal(n_started, 0);
	SERVE(NULL, D("a", ",\"version\":1"), D("b", ",\"version\":4"), D("c", ",\"version\":1"));
	assert_int_equal(verdict("c", 1), GW_VERDICT_PENDING);
	assert_int_equal(n_started, 1);
	assert_int_equal(running("c"), 1);
	comes_back("c", GW_OK);
	assert_int_equal(verdict("c", 1), GW_VERDICT_UP);
	pass_ms(100000); /* once is enough */
	assert_int_equal(n_started, 1);
}

/* A verdict that the memory remembers outlives the agent: pending stays pending, and is tried. */
static void a_new_agent(void **state)
{
	(void)state;
	SERVE(NULL, D("a", ""));
	SERVE(NULL, D("a", ""), D("c", ",\"version\":2"));
	comes_back("c", GW_E_UP_REFUSED);
	assert_int_equal(verdict("c", 2), GW_VERDICT_PENDING);
	struct gw_health *h = ag->health;
	gw_image_close(ag->images.image[GW_IMAGE_CONFIG]);
	memset(ag, 0, sizeof *ag);
	ag->health = h;
	SERVE(NULL, D("a", ""), D("c", ",\"version\":2"));
	assert_int_equal(verdict("a", 0), GW_VERDICT_UP);
	assert_int_equal(verdict("c", 2), GW_VERDICT_PENDING);
	assert_int_equal(running("c"), 1);
}

static void failures_slow_it_down(void **state)
{
	(void)state;
	static const uint64_t waits[] = { 2000, 4000, 8000, 16000, 30000, 30000, 30000 };

	SERVE(NULL, D("a", ""));
	SERVE(NULL, D("a", ""), D("c", ""));
	for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
		const struct gw_health_cell *c = gw_health_get(ag->health, gw_health_key(GW_LIT("c"), 0));
		char words[GW_HEALTH_DETAIL];

		assert_int_equal(running("c"), 1);
		comes_back("c", GW_E_UP_REFUSED);
		assert_int_equal(verdict("c", 0), GW_VERDICT_PENDING);
		assert_int_equal((int)atomic_load(&c->error), -(int)GW_E_UP_REFUSED);
		gw_health_detail(c, words);
		assert_string_equal(words, "words");
		pass_ms(waits[i] - 1);
		assert_int_equal(running("c"), 0);
		pass_ms(1);
	}
	comes_back("c", GW_OK);
	assert_int_equal(verdict("c", 0), GW_VERDICT_UP);
}

/* A changed deployment begins again, also while a probe of its former self is on the way: that one decides nothing. */
static void changes(void **state)
{
	(void)state;
	SERVE(NULL, D("a", ""));
	SERVE(NULL, D("a", ""), D("c", ",\"version\":1"));
	assert_int_equal(running("c"), 1);
	SERVE(NULL, D("a", ""), D("c", ",\"version\":2"));
	assert_int_equal(running("c"), 1); /* one at a time */
	assert_int_equal(verdict("c", 2), GW_VERDICT_PENDING);
	comes_back("c", GW_OK);
	assert_int_equal(verdict("c", 2), GW_VERDICT_PENDING);
	pass_ms(1);
	assert_int_equal(running("c"), 1);
	comes_back("c", GW_OK);
	assert_int_equal(verdict("c", 2), GW_VERDICT_UP);
	for (int i = 0; i < 4; i++)
		pass_ms(40000);
	SERVE(NULL, D("a", ",\"version\":9"), D("c", ",\"version\":2")); /* one that was up from the start too */
	assert_int_equal(verdict("a", 9), GW_VERDICT_PENDING);
	assert_int_equal(running("a"), 1);
	comes_back("a", GW_E_UP_AUTH);
	SERVE(NULL, D("a", ",\"version\":10"), D("c", ",\"version\":2")); /* patience begins anew */
	assert_int_equal(running("a"), 1);
}

static void deleted_ones_are_forgotten(void **state)
{
	(void)state;
	SERVE(NULL, D("a", ""));
	SERVE(NULL, D("a", ""), D("c", ""), D("d", ""));
	comes_back("d", GW_E_UP_REFUSED);
	SERVE(NULL, D("a", "")); /* c has a probe on the way, d waits for its next */
	assert_int_equal(verdict("d", 0), GW_VERDICT_NONE);
	pass_ms(60000);
	assert_int_equal(running("d"), 0);
	comes_back("c", GW_E_UP_REFUSED);
	pass_ms(60000);
	assert_int_equal(running("c"), 0); /* nobody asks for it any more */
	assert_int_equal(verdict("c", 0), GW_VERDICT_NONE);
	assert_int_equal(ag->n_deps, 1);
	SERVE(NULL, D("a", ""), D("c", "")); /* and when it comes back it is new */
	assert_int_equal(running("c"), 1);
}

static void those_that_need_no_probe(void **state)
{
	(void)state;
	SERVE(NULL, D("a", ""));
	SERVE(NULL, D("a", ""), D("i", ",\"activation\":\"immediate\""), D("n", ",\"probe\":\"none\""), D("p", ""));
	assert_int_equal(verdict("i", 0), GW_VERDICT_UP);
	assert_int_equal(verdict("n", 0), GW_VERDICT_UP);
	assert_int_equal(verdict("p", 0), GW_VERDICT_PENDING);
	assert_int_equal(n_started, 1);
	SERVE("{\"id\":\"default\",\"activation\":\"immediate\"}", D("a", ""), D("x", ""),
	      D("y", ",\"activation\":\"probe\""));
	assert_int_equal(verdict("x", 0), GW_VERDICT_UP);
	assert_int_equal(verdict("y", 0), GW_VERDICT_PENDING);
}

static void no_probe_can_be_made(void **state)
{
	(void)state;
	SERVE(NULL, D("a", ""));
	probe_err = GW_E_BUSY; /* too many at once: soon again, nothing is said about it */
	SERVE(NULL, D("a", ""), D("c", ""));
	assert_int_equal(n_started, 0);
	probe_err = GW_OK;
	pass_ms(100);
	assert_int_equal(running("c"), 1);
	comes_back("c", GW_E_UP_REFUSED);
	probe_err = GW_E_NOT_FOUND;
	pass_ms(2000);
	assert_int_equal((int)atomic_load(&gw_health_get(ag->health, gw_health_key(GW_LIT("c"), 0))->error),
			 -(int)GW_E_NOT_FOUND);
	probe_err = GW_OK;
	pass_ms(2000);
	assert_int_equal(running("c"), 1);
}

/* In standby (an upgrade) nothing is probed; the old agent still does. */
static void standby_is_quiet(void **state)
{
	(void)state;
	ag->start.is_standby = true;
	SERVE(NULL, D("a", ""));
	SERVE(NULL, D("a", ""), D("c", ""));
	assert_int_equal(n_started, 0);
	ag->start.is_standby = false;
	pass_ms(1);
	assert_int_equal(running("c"), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(first_images_count_as_up),   T(a_new_agent),
		T(failures_slow_it_down),      T(changes),
		T(deleted_ones_are_forgotten), T(those_that_need_no_probe),
		T(no_probe_can_be_made),       T(standby_is_quiet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
