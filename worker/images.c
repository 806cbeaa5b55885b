/* Taking image sets into service: checked and opened, swapped between two loop turns, hashed in a pool thread, withdrawn when the digest
 * does not fit. At most two images of a name are alive: the present one and, until it is proven, the one before. */
#include <stdlib.h>
#include "core/config_types.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "worker/worker.h"

/* One image that a pool thread hashes. The image outlives the job: who replaces it meanwhile leaves the closing to the job. */
struct gw_image_job {
	uv_work_t work;
	struct gw_worker *w;
	struct gw_image *image;
	enum gw_image_name name;
	uint64_t generation;
	uint8_t want[32], got[32];
	bool is_orphan;
	struct gw_image_job *next;
};

static void ack(struct gw_worker *w, uint64_t generation, enum gw_err e, struct gw_str detail)
{
	struct gw_msg m = { .type = GW_MSG_IMAGE_ACK };

	GW_MSG_SET(&m, generation, generation);
	GW_MSG_SET(&m, status, (uint64_t)-(int64_t)e);
	if (detail.n)
		GW_MSG_SET(&m, detail, detail);
	if (w->confd && gw_channel_send(w->confd, &m) != GW_OK)
		gw_log_slow(GW_WARN, "cannot tell confd about generation %llu", (unsigned long long)generation);
}

/* Closes an image unless a job still reads it. */
static void drop(struct gw_worker *w, struct gw_image *im)
{
	if (!im)
		return;
	for (struct gw_image_job *j = w->image_jobs; j; j = j->next) {
		if (j->image == im) {
			j->is_orphan = true;
			return;
		}
	}
	gw_image_close(im);
}

static void read_settings(struct gw_worker *w)
{
	struct gw_rows rows = gw_worker_rows(w);
	struct gw_cf_settings s;
	struct gw_arena a;
	struct gw_str row;
	char block[4096];

	gw_arena_init(&a, block, sizeof block, sizeof block);
	w->limits = (struct gw_cf_limits){ .max_body_bytes = 32 << 20, .max_in_flight_per_key = 256, .retries = 2, .hold_ms = 3000 };
	if (rows.object(rows.ctx, GW_KIND_settings, GW_LIT("default"), &row) == GW_OK &&
	    gw_cf_read_settings(row, &a, &s) == GW_OK) {
		w->limits = (struct gw_cf_limits){ s.max_body_bytes, s.max_in_flight_per_key, s.retries, s.hold_ms, s.server_timing };
		gw_h1_set_caps(w->server, (uint32_t)s.max_connections, (uint32_t)s.max_connections_per_ip);
	}
	gw_arena_done(&a);
}

static void on_hash(uv_work_t *work)
{
	struct gw_image_job *j = work->data;

	gw_image_digest(j->image, j->got);
}

static void withdraw(struct gw_worker *w, struct gw_image_job *j)
{
	gw_log(GW_ERROR, "image %s of generation %llu does not match its digest: withdrawn", gw_image_text(j->name),
	       (unsigned long long)j->generation);
	gw_count(&w->page->metric[GW_M_images_refused], 1);
	if (w->images.image[j->name] == j->image && w->previous[j->name]) {
		w->images.image[j->name] = w->previous[j->name];
		w->previous[j->name] = NULL;
		j->is_orphan = true;
	}
	ack(w, j->generation, GW_E_CORRUPT, gw_str_z(gw_image_text(j->name)));
}

static void on_hashed(uv_work_t *work, int status)
{
	struct gw_image_job *j = work->data, **at = &j->w->image_jobs;
	struct gw_worker *w = j->w;

	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	if (status == 0 && memcmp(j->want, j->got, 32) != 0) {
		withdraw(w, j);
	} else if (w->images.image[j->name] == j->image) {
		drop(w, w->previous[j->name]);
		w->previous[j->name] = NULL;
	}
	if (j->is_orphan)
		gw_image_close(j->image);
	free(j);
}

static void hash_later(struct gw_worker *w, enum gw_image_name name, uint64_t generation, struct gw_str digest)
{
	struct gw_image_job *j = calloc(1, sizeof *j);

	if (!j)
		return;
	*j = (struct gw_image_job){ .w = w, .image = w->images.image[name], .name = name, .generation = generation,
				    .next = w->image_jobs };
	memcpy(j->want, digest.p, 32);
	j->work.data = j;
	w->image_jobs = j;
	if (uv_queue_work(&w->loop, &j->work, on_hash, on_hashed) != 0) {
		w->image_jobs = j->next;
		free(j);
	}
}

struct incoming {
	struct gw_image *image[GW_IMAGE_COUNT];
	int at[GW_IMAGE_COUNT]; /* position in the message, for the digest */
};

static enum gw_err open_all(struct gw_msg *m, struct incoming *in)
{
	struct gw_mp r = gw_mp_reader(m->table);
	uint32_t n = gw_mp_read_arr(&r) / 2;

	if (n != m->n_fds || m->digest.n != (size_t)n * 32)
		return GW_E_GARBLED;
	for (uint32_t i = 0; i < n; i++) {
		struct gw_str text = gw_mp_read_str(&r);
		uint64_t size = gw_mp_read_u64(&r);
		enum gw_image_name name;

		if (r.err || !gw_image_by_text(text, &name) || in->image[name])
			return GW_E_GARBLED;
		int fd = m->fds[i];
		m->fds[i] = -1;
		enum gw_err e = gw_image_open(fd, name, size, &in->image[name]);
		if (e)
			return e;
		in->at[name] = (int)i;
	}
	return GW_OK;
}

static void swap(struct gw_worker *w, struct gw_msg *m, struct incoming *in)
{
	uint64_t begun = gw_now_ns();

	for (int n = 0; n < GW_IMAGE_COUNT; n++) {
		if (!in->image[n])
			continue;
		drop(w, w->previous[n]);
		w->previous[n] = w->images.image[n];
		w->images.image[n] = in->image[n];
	}
	w->images.generation = m->generation;
	for (int n = 0; n < GW_IMAGE_COUNT; n++)
		if (in->image[n])
			hash_later(w, (enum gw_image_name)n, m->generation, gw_str(m->digest.p + in->at[n] * 32, 32));
	read_settings(w);
	gw_gauge(&w->page->metric[GW_M_generation], m->generation);
	atomic_store_explicit(&w->page->generation, m->generation, memory_order_release);
	gw_count(&w->page->metric[GW_M_images_swapped], 1);
	gw_observe(&w->page->hist[GW_MH_swap_pause], (gw_now_ns() - begun) / 1000);
}

void gw_worker_image(struct gw_worker *w, struct gw_msg *m)
{
	struct incoming in = { 0 };
	bool is_full = GW_MSG_HAS(m, flags) && (m->flags & 1);

	if (m->generation < w->images.generation && !is_full) {
		ack(w, m->generation, GW_OK, GW_NIL); /* overtaken */
		return;
	}
	enum gw_err e = open_all(m, &in);
	if (e) {
		for (int n = 0; n < GW_IMAGE_COUNT; n++)
			gw_image_close(in.image[n]);
		gw_log(GW_ERROR, "images of generation %llu refused: %s", (unsigned long long)m->generation, gw_err_info(e)->doc);
		gw_count(&w->page->metric[GW_M_images_refused], 1);
		ack(w, m->generation, e, gw_str_z(gw_err_info(e)->doc));
		return;
	}
	swap(w, m, &in);
	ack(w, m->generation, GW_OK, GW_NIL);
	gw_worker_check_ready(w);
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

struct gw_rows gw_worker_rows(struct gw_worker *w) { return (struct gw_rows){ w, object_row, model_id }; }

void gw_worker_images_done(struct gw_worker *w)
{
	for (int n = 0; n < GW_IMAGE_COUNT; n++) {
		drop(w, w->images.image[n]);
		drop(w, w->previous[n]);
		w->images.image[n] = w->previous[n] = NULL;
	}
}
