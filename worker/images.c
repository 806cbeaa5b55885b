/* Taking image sets into service: their digests are checked in a pool thread before LMDB sees a byte (a corrupt tree can crash it), then
 * they are opened and swapped between two loop turns, and the old ones closed. One set at a time, in the order in which they came. */
#include <stdlib.h>
#include "core/config_types.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "worker/worker.h"

enum { SETTINGS_MEMORY = 64 << 10 };

/* One set on its way in; owns its descriptors until they are opened. */
struct gw_image_job {
	uv_work_t work;
	struct gw_worker *w;
	struct gw_image_job *next;
	uint64_t generation;
	uint32_t n;
	struct {
		int fd;
		enum gw_image_name name;
		uint64_t size;
		uint8_t want[32], got[32];
	} part[GW_IMAGE_COUNT];
};

static void ack(struct gw_worker *w, uint64_t generation, enum gw_err e, struct gw_str detail)
{
	struct gw_msg m = { .type = GW_MSG_IMAGE_ACK };

	GW_MSG_SET(&m, generation, generation);
	GW_MSG_SET(&m, status, (uint64_t) - (int64_t)e);
	if (detail.n)
		GW_MSG_SET(&m, detail, detail);
	if (w->confd && gw_channel_send(w->confd, &m) != GW_OK)
		gw_log_slow(GW_WARN, "cannot tell confd about generation %llu", (unsigned long long)generation);
}

static void read_settings(struct gw_worker *w)
{
	struct gw_rows rows = gw_worker_rows(w);
	struct gw_cf_settings s;
	struct gw_arena a;
	struct gw_str row;
	char block[4096];

	gw_arena_init(&a, block, sizeof block, SETTINGS_MEMORY);
	w->limits = (struct gw_cf_limits){ .max_body_bytes = 32 << 20,
					   .max_upload_bytes = 512 << 20,
					   .max_in_flight_per_key = 256,
					   .retries = 2,
					   .hold_ms = 3000 };
	if (rows.object(rows.ctx, GW_KIND_settings, GW_LIT("default"), &row) == GW_OK &&
	    gw_cf_read_settings(row, &a, &s) == GW_OK) {
		w->limits = (struct gw_cf_limits){ s.max_body_bytes, s.max_in_flight_per_key, s.retries,
						   s.hold_ms,        s.server_timing,         s.max_upload_bytes };
		gw_h1_set_caps(w->server, (uint32_t)s.max_connections, (uint32_t)s.max_connections_per_ip);
		gw_edge_settings(w, &s);
	}
	gw_arena_done(&a);
}

static void on_hash(uv_work_t *work)
{
	struct gw_image_job *j = work->data;

	for (uint32_t i = 0; i < j->n; i++)
		gw_image_fd_digest(j->part[i].fd, j->part[i].size, j->part[i].got);
}

static enum gw_err open_all(struct gw_image_job *j, struct gw_image *image[GW_IMAGE_COUNT])
{
	for (uint32_t i = 0; i < j->n; i++) {
		if (memcmp(j->part[i].want, j->part[i].got, 32) != 0)
			return GW_E_CORRUPT;
		enum gw_err e = gw_image_open(j->part[i].fd, j->part[i].name, j->part[i].size, &image[j->part[i].name]);

		if (e)
			return e;
		j->part[i].fd = -1;
	}
	return GW_OK;
}

static void swap(struct gw_worker *w, uint64_t generation, struct gw_image *image[GW_IMAGE_COUNT])
{
	uint64_t begun = gw_now_ns();

	for (int n = 0; n < GW_IMAGE_COUNT; n++) {
		if (!image[n])
			continue;
		gw_image_close(w->images.image[n]);
		w->images.image[n] = image[n];
	}
	w->images.generation = generation;
	gw_memo_swapped(w);
	read_settings(w);
	gw_worker_tls_refresh(w);
	atomic_store_explicit(&w->page->generation, generation, memory_order_release);
	gw_count(&w->page->metric[GW_M_images_swapped], 1);
	gw_observe(&w->page->hist[GW_MH_swap_pause], (gw_now_ns() - begun) / 1000);
}

static void refuse(struct gw_worker *w, uint64_t generation, enum gw_err e)
{
	gw_log(GW_ERROR, "images of generation %llu refused: %s", (unsigned long long)generation, gw_err_info(e)->doc);
	gw_count(&w->page->metric[GW_M_images_refused], 1);
	ack(w, generation, e, gw_str_z(gw_err_info(e)->doc));
}

static void start_next(struct gw_worker *w);

static void drop(struct gw_image_job *j)
{
	for (uint32_t i = 0; i < j->n; i++)
		gw_close(&j->part[i].fd);
	free(j);
}

static void on_hashed(uv_work_t *work, int status)
{
	struct gw_image_job *j = work->data;
	struct gw_worker *w = j->w;
	struct gw_image *image[GW_IMAGE_COUNT] = { 0 };
	enum gw_err e = status == 0 ? open_all(j, image) : GW_E_IO;

	w->image_jobs = j->next;
	if (e) {
		for (int n = 0; n < GW_IMAGE_COUNT; n++)
			gw_image_close(image[n]);
		refuse(w, j->generation, e);
	} else {
		swap(w, j->generation, image);
		ack(w, j->generation, GW_OK, GW_NIL);
		gw_worker_check_ready(w);
		gw_lease_ahead(w);
	}
	drop(j);
	start_next(w);
}

static void start_next(struct gw_worker *w)
{
	struct gw_image_job *j = w->image_jobs;

	if (!j)
		return;
	j->work.data = j;
	if (uv_queue_work(&w->loop, &j->work, on_hash, on_hashed) != 0) {
		w->image_jobs = j->next;
		refuse(w, j->generation, GW_E_BUSY);
		drop(j);
	}
}

static enum gw_err read_message(struct gw_msg *m, struct gw_image_job *j)
{
	struct gw_mp r = gw_mp_reader(m->table);
	uint32_t n = gw_mp_read_arr(&r) / 2;

	if (n != m->n_fds || n > GW_IMAGE_COUNT || m->digest.n != (size_t)n * 32)
		return GW_E_GARBLED;
	for (uint32_t i = 0; i < n; i++) {
		struct gw_str text = gw_mp_read_str(&r);

		j->part[i].size = gw_mp_read_u64(&r);
		if (r.err || !gw_image_by_text(text, &j->part[i].name))
			return GW_E_GARBLED;
		memcpy(j->part[i].want, m->digest.p + i * 32, 32);
	}
	for (; j->n < n; j->n++) {
		j->part[j->n].fd = m->fds[j->n];
		m->fds[j->n] = -1;
	}
	return GW_OK;
}

void gw_worker_image(struct gw_worker *w, struct gw_msg *m)
{
	bool is_full = GW_MSG_HAS(m, flags) && (m->flags & 1), is_first = !w->image_jobs;
	struct gw_image_job *j, **at = &w->image_jobs;
	enum gw_err e;

	if (m->generation < w->images.generation && !is_full) {
		ack(w, m->generation, GW_OK, GW_NIL); /* overtaken */
		return;
	}
	j = calloc(1, sizeof *j);
	e = j ? read_message(m, j) : GW_E_NOMEM;
	if (e) {
		free(j);
		refuse(w, m->generation, e);
		return;
	}
	j->w = w;
	j->generation = m->generation;
	while (*at)
		at = &(*at)->next;
	*at = j;
	if (is_first)
		start_next(w);
}

/* --- rows --- */
static enum gw_err object_row(void *ctx, enum gw_cf_kind kind, struct gw_str id, struct gw_str *row)
{
	struct gw_worker *w = ctx;
	char key[80];

	if (!w->images.image[GW_IMAGE_CONFIG] || id.n + 1 > sizeof key)
		return GW_E_NOT_FOUND;
	key[0] = (char)kind;
	memcpy(key + 1, id.p, id.n);
	return gw_image_get(w->images.image[GW_IMAGE_CONFIG], GW_DB_OBJECT, gw_str(key, id.n + 1), row);
}

static enum gw_err model_id(void *ctx, struct gw_str tenant, struct gw_str name, struct gw_str *id)
{
	struct gw_worker *w = ctx;
	char key[320];

	if (!w->images.image[GW_IMAGE_CONFIG] || tenant.n + 1 + name.n > sizeof key)
		return GW_E_NOT_FOUND;
	memcpy(key, tenant.p, tenant.n);
	key[tenant.n] = 0x1f;
	memcpy(key + tenant.n + 1, name.p, name.n);
	return gw_image_get(w->images.image[GW_IMAGE_CONFIG], GW_DB_MODEL, gw_str(key, tenant.n + 1 + name.n), id);
}

struct each {
	enum gw_cf_kind kind;
	bool (*fn)(void *arg, struct gw_str row);
	void *arg;
};

static bool on_each(void *ctx, struct gw_str key, struct gw_str value)
{
	struct each *e = ctx;

	return key.n && key.p[0] == (char)e->kind && e->fn(e->arg, value);
}

static enum gw_err each_row(void *ctx, enum gw_cf_kind kind, bool (*fn)(void *arg, struct gw_str row), void *arg)
{
	struct gw_worker *w = ctx;
	struct each e = { kind, fn, arg };
	char from = (char)kind;

	return w->images.image[GW_IMAGE_CONFIG]
		   ? gw_image_walk(w->images.image[GW_IMAGE_CONFIG], GW_DB_OBJECT, gw_str(&from, 1), on_each, &e)
		   : GW_OK;
}

struct gw_rows gw_worker_rows(struct gw_worker *w)
{
	return (struct gw_rows){ w, object_row, model_id, each_row };
}

void gw_worker_images_done(struct gw_worker *w)
{
	gw_memo_forget(w);
	for (int n = 0; n < GW_IMAGE_COUNT; n++) {
		gw_image_close(w->images.image[n]);
		w->images.image[n] = NULL;
	}
}
