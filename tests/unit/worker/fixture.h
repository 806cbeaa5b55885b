#pragma once
/* One worker without its process: real images, ring, in-flight table, slot page; client, provider and confd are fake_net's. */
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
#include "core/config_types.h"
#include "core/key.h"
#include "lib/crypto.h"
#include "shm/image_write.h"
#include "tests/unit/worker/fake_net.h"

#define TOKEN "sk-of-the-tests"
static char test_dir[64];
static struct gw_worker worker, *const w = &worker;
static struct gw_ring_reader reader;
static struct gw_buf reader_scratch;
static uint8_t key_index[32];
static char steps_seen[1 << 16];
static struct gw_h1_server *const no_server = (struct gw_h1_server *)(uintptr_t)8;
static struct gw_channel *const some_channel = (struct gw_channel *)(uintptr_t)16;

/* worker/main.c is not linked */
void gw_worker_check_ready(struct gw_worker *x)
{
	(void)x;
}

static const struct {
	enum gw_cf_kind kind;
	const char *id, *json;
} objects[] = {
	{ GW_KIND_org, "acme", "{\"id\":\"acme\"}" },
	{ GW_KIND_team, "red", "{\"id\":\"red\",\"org\":\"acme\"}" },
	{ GW_KIND_provider, "p",
	  "{\"id\":\"p\",\"type\":\"openai\",\"base_url\":\"http://127.0.0.1:9000/v1\",\"allow_private\":[\"127.0.0.1/"
	  "32\"]}" },
	{ GW_KIND_credential, "cred", "{\"id\":\"cred\",\"provider\":\"p\",\"secret_version\":4}" },
	{ GW_KIND_credential, "turning",
	  "{\"id\":\"turning\",\"provider\":\"p\",\"secret_version\":4,\"next_version\":5}" },
	{ GW_KIND_deployment, "d1",
	  "{\"id\":\"d1\",\"provider\":\"p\",\"upstream_model\":\"real-1\",\"activation\":\"immediate\",\"input_"
	  "price\":1000,\"output_price\":2000}" },
	{ GW_KIND_deployment, "d2",
	  "{\"id\":\"d2\",\"provider\":\"p\",\"upstream_model\":\"real-2\",\"activation\":\"immediate\",\"input_"
	  "price\":3000,\"output_price\":4000}" },
	{ GW_KIND_deployment, "dc",
	  "{\"id\":\"dc\",\"provider\":\"p\",\"credential\":\"cred\",\"upstream_model\":\"real-c\",\"activation\":"
	  "\"immediate\"}" },
	{ GW_KIND_deployment, "dp", "{\"id\":\"dp\",\"provider\":\"p\",\"upstream_model\":\"real-p\"}" },
	{ GW_KIND_deployment, "dt",
	  "{\"id\":\"dt\",\"provider\":\"p\",\"credential\":\"turning\",\"upstream_model\":\"real-t\",\"activation\":"
	  "\"immediate\"}" },
	{ GW_KIND_model, "m-one", "{\"id\":\"m-one\",\"name\":\"one\",\"targets\":[{\"deployment\":\"d1\"}]}" },
	{ GW_KIND_model, "m-pend", "{\"id\":\"m-pend\",\"name\":\"pend\",\"targets\":[{\"deployment\":\"dp\"}]}" },
	{ GW_KIND_model, "m-sec", "{\"id\":\"m-sec\",\"name\":\"sec\",\"targets\":[{\"deployment\":\"dc\"}]}" },
	{ GW_KIND_model, "m-turn", "{\"id\":\"m-turn\",\"name\":\"turn\",\"targets\":[{\"deployment\":\"dt\"}]}" },
	{ GW_KIND_model, "m-two",
	  "{\"id\":\"m-two\",\"name\":\"two\",\"targets\":[{\"deployment\":\"d1\"},{\"deployment\":\"d2\",\"priority\":"
	  "1}]}" },
};

static inline struct gw_str row_of(enum gw_cf_kind kind, const char *json, struct gw_buf *b)
{
	struct gw_json_fault f;
	yyjson_doc *d;

	gw_buf_clear(b, 1 << 20);
	assert_int_equal(gw_json_read(gw_str_z(json), &gw_json_default_limits, &d, &f), GW_OK);
	gw_cf_image_row(kind, yyjson_doc_get_root(d), b);
	yyjson_doc_free(d);
	assert_int_equal(b->err, GW_OK);
	return gw_buf_view(b);
}

static inline int by_key(const void *a, const void *b)
{
	const struct gw_str *x = a, *y = b;
	size_t n = x->n < y->n ? x->n : y->n;
	int d = memcmp(x->p, y->p, n);

	return d ? d : (x->n > y->n) - (x->n < y->n);
}

static inline void serve(struct gw_image_writer *iw, enum gw_image_name name)
{
	uint8_t digest[32];
	uint64_t size;
	int fd;

	assert_int_equal(gw_image_write_end(iw, &fd, &size, digest), GW_OK);
	assert_int_equal(gw_image_open(fd, name, size, &w->images.image[name]), GW_OK);
}

static inline void make_images(void)
{
	enum { N = sizeof objects / sizeof objects[0] };
	struct gw_image_writer *iw;
	char keys[N][80];
	struct gw_str order[N];
	struct gw_buf b;

	gw_buf_init(&b, 1 << 20);
	assert_int_equal(gw_image_write_start(GW_IMAGE_CONFIG, 1 << 20, &iw), GW_OK);
	for (size_t i = 0; i < N; i++) {
		keys[i][0] = (char)objects[i].kind;
		keys[i][79] = (char)i;
		strcpy(keys[i] + 1, objects[i].id);
		order[i] = gw_str(keys[i], 1 + strlen(objects[i].id));
	}
	qsort(order, N, sizeof order[0], by_key);
	for (size_t i = 0; i < N; i++) {
		size_t k = (size_t)order[i].p[79];

		assert_int_equal(gw_image_put(iw, GW_DB_OBJECT, order[i], row_of(objects[k].kind, objects[k].json, &b)),
				 GW_OK);
	}
	static const char *const models[][2] = {
		{ "one", "m-one" }, { "pend", "m-pend" }, { "sec", "m-sec" }, { "turn", "m-turn" }, { "two", "m-two" }
	};
	for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
		char key[32];
		int n = snprintf(key, sizeof key, "\x1f%s", models[i][0]);

		assert_int_equal(gw_image_put(iw, GW_DB_MODEL, gw_str(key, (size_t)n), gw_str_z(models[i][1])), GW_OK);
	}
	serve(iw, GW_IMAGE_CONFIG);
	assert_int_equal(gw_image_write_start(GW_IMAGE_DELTA, 65536, &iw), GW_OK);
	assert_int_equal(gw_image_put(iw, GW_DB_KEY, gw_str((char *)key_index, 32),
				      row_of(GW_KIND_key, "{\"id\":\"k1\",\"org\":\"acme\",\"team\":\"red\"}", &b)),
			 GW_OK);
	serve(iw, GW_IMAGE_DELTA);
	gw_buf_done(&b);
}

static inline int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline int set_up(void **state)
{
	struct gw_secret *pepper = gw_secret_new("0123456789abcdef0123456789abcdef", 32);
	struct gw_ring_shared *ring;
	struct gw_revoke *revoke;
	struct gw_health *health;

	(void)state;
	snprintf(test_dir, sizeof test_dir, "/dev/shm/llmgw-test-XXXXXX");
	if (!mkdtemp(test_dir) || gw_crypto_init())
		return -1;
	memset(w, 0, sizeof *w);
	memset(&fake, 0, sizeof fake);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	w->slot = 2;
	w->epoch = 9;
	w->rng = 88172645463325252ULL;
	w->server = no_server;
	w->confd = some_channel;
	assert_int_equal(gw_ring_make(test_dir, 2, 1 << 20), GW_OK);
	assert_int_equal(gw_inflight_make(test_dir, 2), GW_OK);
	assert_int_equal(gw_slot_make(test_dir, 2, &w->page), GW_OK);
	assert_int_equal(gw_ring_open(test_dir, 2, &ring), GW_OK);
	assert_int_equal(gw_inflight_open(test_dir, 2, &w->inflight), GW_OK);
	assert_int_equal(gw_revoke_open(test_dir, true, true, &revoke), GW_OK);
	assert_int_equal(gw_health_open(test_dir, true, true, &health), GW_OK);
	w->revoke = revoke;
	w->health = health;
	gw_ring_start(&w->ring, ring, 2, 9);
	gw_ring_read_start(&reader, ring, 2);
	gw_buf_init(&reader_scratch, 1 << 20);
	gw_inflight_start(&w->inflight_free, w->inflight, 9);
	gw_slot_start(w->page, (uint32_t)getpid(), 9);
	gw_buf_init(&w->pack, 4 << 20);
	w->loads = calloc(GW_KEY_LOADS, sizeof *w->loads);
	assert_int_equal(gw_lease_init(w), GW_OK);
	w->limits = (struct gw_cf_limits){ 32 << 20, 256, 2, 3000, false, 512 << 20 };
	w->pepper = gw_hmac_new(pepper);
	gw_secret_unref(pepper);
	gw_key_index(w->pepper, GW_LIT(TOKEN), key_index);
	w->images.generation = 77;
	make_images();
	w->has_leases = true; /* as if it had asked for all credentials of this generation */
	w->ahead.generation = w->images.generation;
	gw_tick_start(w);
	return 0;
}

static inline int tear_down(void **state)
{
	struct gw_map map[] = { { w->inflight, sizeof *w->inflight },
				{ w->page, sizeof *w->page },
				{ (void *)(uintptr_t)w->revoke, sizeof *w->revoke },
				{ (void *)(uintptr_t)w->health, sizeof *w->health } };

	(void)state;
	assert_null(w->active);
	assert_int_equal(fake.n_under_way, 0);
	uv_close((uv_handle_t *)&w->tick, NULL);
	uv_close((uv_handle_t *)&w->turn_end, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	while (w->spare_picks) {
		struct gw_picks *p = w->spare_picks;

		w->spare_picks = p->next;
		free(p);
	}
	while (w->pool) {
		struct gw_req *r = w->pool;

		w->pool = r->next;
		gw_buf_done(&r->held);
		gw_buf_done(&r->attempt_log);
		free(r);
	}
	gw_worker_images_done(w);
	gw_ring_close(w->ring.ring);
	for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
		gw_unmap(&map[i]);
	/* leases are a table that lives as long as the process */
	gw_lease_drop(w, GW_LIT("cred"), false);
	gw_lease_drop(w, GW_LIT("turning"), false);
	free(w->leases);
	free(w->loads);
	gw_hmac_free(w->pepper);
	gw_buf_done(&w->pack);
	gw_buf_done(&reader_scratch);
	return nftw(test_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void tick(void)
{
	w->tick.timer_cb(&w->tick);
}
/* n ms in steps of the timer */
static inline void pass(uint64_t ms)
{
	for (uint64_t i = 0; i < ms; i += 50) {
		fake_pass_ms(50);
		tick();
	}
}

/* --- a client's request --- */
struct ask {
	struct gw_h1_request rq;
	struct gw_h1_header h[4];
	char *body;
	struct gw_h1_conn *c;
};

static inline struct ask *ask_with(enum gw_h1_method method, const char *path, const char *token, const char *body)
{
	struct ask *a = calloc(1, sizeof *a);
	static char bearer[128];

	snprintf(bearer, sizeof bearer, "Bearer %s", token ? token : "");
	a->c = fake_conn();
	a->body = strdup(body);
	if (token)
		a->h[a->rq.n_headers++] = (struct gw_h1_header){ GW_LIT("Authorization"), gw_str_z(bearer) };
	a->h[a->rq.n_headers++] = (struct gw_h1_header){ GW_LIT("user-agent"), GW_LIT("tests") };
	a->rq.headers = a->h;
	a->rq.method = method;
	a->rq.path = a->rq.target = gw_str_z(path);
	a->rq.body = gw_str_z(a->body);
	a->rq.has_body = a->rq.body.n > 0;
	a->rq.content_length = (int64_t)a->rq.body.n;
	a->rq.first_byte_ns = fake_ns;
	a->rq.head_done_ns = a->rq.body_done_ns = fake_ns + 100;
	a->rq.wire_bytes = 200;
	gw_front_ops.on_request(w, a->c, &a->rq);
	return a;
}

static inline struct ask *ask_chat(const char *model, bool is_stream, bool wants_usage)
{
	char body[256];

	snprintf(body, sizeof body, "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]%s%s}",
		 model, is_stream ? ",\"stream\":true" : "",
		 wants_usage ? ",\"stream_options\":{\"include_usage\":true}" : "");
	return ask_with(GW_H1_POST, "/v1/chat/completions", TOKEN, body);
}

static inline void ask_done(struct ask *a)
{
	assert_true(a->c->is_ended);
	assert_null(a->c->user);
	fake_conn_free(a->c);
	free(a->body);
	free(a);
}

static inline const char *out_of(struct ask *a)
{
	gw_buf_putc(&a->c->out, 0);
	gw_buf_putc(&a->c->head, 0);
	a->c->out.n--;
	a->c->head.n--;
	return a->c->out.p;
}
static inline const char *head_of(struct ask *a)
{
	out_of(a);
	return a->c->head.p;
}

static inline void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in '%s'", part, text);
}

/* --- records --- */
struct ended {
	uint32_t n_start, n_end;
	struct gw_record rec; /* the last END; views until the next call */
	char error[48], deployment[64], attempt_log[2048], finish[64], param[8];
};

static inline void read_records(struct ended *e)
{
	struct gw_seg_record rec;

	*e = (struct ended){ 0 };
	while (gw_ring_next(&reader, &reader_scratch, &rec)) {
		e->n_start += rec.type == GW_REC_START;
		e->n_end += rec.type == GW_REC_END;
		if (rec.type != GW_REC_END)
			continue;
		assert_int_equal(gw_record_unpack(rec.body, &e->rec), GW_OK);
		snprintf(e->error, sizeof e->error, "%.*s", GW_FMT(e->rec.error));
		snprintf(e->deployment, sizeof e->deployment, "%.*s", GW_FMT(e->rec.deployment));
		snprintf(e->attempt_log, sizeof e->attempt_log, "%.*s", GW_FMT(e->rec.attempt_log));
		snprintf(e->finish, sizeof e->finish, "%.*s", GW_FMT(e->rec.finish_reason));
		size_t n = strlen(steps_seen);
		if (n + e->rec.steps_us.n + 2 < sizeof steps_seen)
			snprintf(steps_seen + n, sizeof steps_seen - n, ",%.*s", GW_FMT(e->rec.steps_us));
	}
	assert_int_equal(reader.corrupt, 0);
	gw_ring_advance(&reader, 9, 0);
}

/* Exactly one request ended, with this status and error ("" = none); nothing is left of it. */
static inline void assert_end(struct ended *e, uint64_t status, const char *error)
{
	read_records(e);
	assert_int_equal(e->n_start, 1);
	assert_int_equal(e->n_end, 1);
	assert_int_equal(e->rec.status, status);
	assert_string_equal(e->error, error);
}

static inline void assert_nothing_left(void)
{
	assert_int_equal(atomic_load(&w->ring.ring->reserved), 0);
	assert_int_equal(atomic_load(&w->inflight->n_used), 0);
	assert_int_equal(w->n_active, 0);
	assert_int_equal(w->n_streams, 0);
	assert_int_equal(fake.n_under_way, 0);
	for (int i = 0; i < GW_KEY_LOADS; i++)
		assert_int_equal(w->loads[i].n, 0);
}

static const char content_event[] =
    "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"}}],\"usage\":null}\n\n";
static const char role_event[] =
    "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
static const char finish_event[] =
    "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
static const char usage_event[] =
    "data: "
    "{\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":5,\"total_tokens\":16}}\n\n";
static const char done_event[] = "data: [DONE]\n\n";
static const char whole_reply[] =
    "{\"id\":\"x\",\"model\":\"real-1\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
    "\"Hello\"},"
    "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":5,\"total_tokens\":16}}";
