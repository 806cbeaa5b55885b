/* What is published and who uses it. Every process that serves gets the images as descriptors; the last set is kept for
 * those that come later, the one before for the case that a worker refuses the present one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "confd/server.h"
#include "confd/tokens.h"
#include "confd/failpoint.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"

enum { FULL_SET = 1 /* bit of IMAGE's flags */ };

void gw_set_drop(struct gw_set *set)
{
	for (int i = 0; i < GW_IMAGE_COUNT; i++)
		gw_built_drop(&set->image[i]);
	set->is_there = false;
}

/* --- sending --- */

struct parcel {
	struct gw_buf table, digest;
	struct gw_msg msg;
};

static void pack(struct parcel *p, const struct gw_built image[GW_IMAGE_COUNT], uint64_t generation, bool is_full)
{
	uint32_t n = 0;

	p->msg = (struct gw_msg){ .type = GW_MSG_IMAGE };
	gw_buf_init(&p->table, 4096);
	gw_buf_init(&p->digest, GW_IMAGE_COUNT * 32);
	for (int i = 0; i < GW_IMAGE_COUNT; i++)
		n += image[i].fd >= 0;
	gw_mp_arr(&p->table, 2 * n);
	for (int i = 0; i < GW_IMAGE_COUNT; i++) {
		if (image[i].fd < 0)
			continue;
		gw_mp_str(&p->table, gw_str_z(gw_image_text((enum gw_image_name)i)));
		gw_mp_u64(&p->table, image[i].size);
		gw_buf_put(&p->digest, image[i].digest, 32);
		p->msg.fds[p->msg.n_fds++] = image[i].fd;
	}
	GW_MSG_SET(&p->msg, generation, generation);
	GW_MSG_SET(&p->msg, table, gw_buf_view(&p->table));
	GW_MSG_SET(&p->msg, digest, gw_buf_view(&p->digest));
	GW_MSG_SET(&p->msg, flags, is_full ? FULL_SET : 0);
}

static void unpack(struct parcel *p)
{
	gw_buf_done(&p->table);
	gw_buf_done(&p->digest);
}

static bool is_reader(const struct gw_peer *p)
{
	return p->channel != NULL && (p->role == GW_ROLE_WORKER || p->role == GW_ROLE_AGENT);
}

static void send_to(struct gw_peer *p, const struct parcel *parcel, bool is_full)
{
	if (p->needs_all && !is_full)
		return;
	p->needs_all = gw_channel_send(p->channel, &parcel->msg) != GW_OK;
	if (p->needs_all)
		gw_log_slow(GW_WARN, "%s[%u] does not read its channel; it gets the whole set later",
			    gw_role_name(p->role), p->slot);
}

/* Master first: a worker that starts meanwhile gets the newest from it. */
static void send_to_all(struct gw_server *s, const struct gw_built image[GW_IMAGE_COUNT], uint64_t generation,
			bool is_full)
{
	struct parcel parcel;

	pack(&parcel, image, generation, is_full);
	if (gw_failpoint_hit("corrupt-image")) /* bytes are sealed: what they should be is changed instead */
		parcel.digest.p[0] ^= 1;
	if (s->master != NULL && gw_channel_send(s->master, &parcel.msg) != GW_OK)
		gw_log(GW_ERROR, "the master does not take images");
	for (int i = 0; i < GW_CONFD_PEERS; i++) {
		if (!is_reader(&s->peers[i]))
			continue;
		send_to(&s->peers[i], &parcel, is_full);
		gw_failpoint("after-first-send");
	}
	unpack(&parcel);
}

void gw_images_send_all(struct gw_server *s, struct gw_peer *p)
{
	const struct gw_set *set = s->refused != 0 && s->before.is_there ? &s->before : &s->now;
	struct parcel parcel;

	if (!set->is_there || !is_reader(p))
		return;
	pack(&parcel, set->image, set->generation, true);
	send_to(p, &parcel, true);
	unpack(&parcel);
}

/* --- a publication --- */

static bool keep_before(struct gw_server *s)
{
	struct gw_set copy = { .generation = s->now.generation, .is_there = s->now.is_there };

	for (int i = 0; i < GW_IMAGE_COUNT; i++) {
		copy.image[i] = s->now.image[i];
		copy.image[i].fd = s->now.image[i].fd >= 0 ? dup(s->now.image[i].fd) : -1;
		if (copy.image[i].fd < 0 && s->now.image[i].fd >= 0)
			copy.is_there = false;
	}
	gw_set_drop(&s->before);
	s->before = copy;
	return copy.is_there;
}

static void take(struct gw_server *s, struct gw_publication *p)
{
	uint64_t was = s->now.generation;
	struct gw_built changed[GW_IMAGE_COUNT]; /* views: the descriptors are those of s->now */

	s->last_build_us = p->build_us;
	if (p->err != GW_OK)
		return;
	/* folding gives the same generation again; the set to fall back to is of another one */
	if (s->refused == 0 && s->now.is_there && p->generation != was)
		(void)keep_before(s);
	memcpy(changed, p->image, sizeof(changed));
	for (int i = 0; i < GW_IMAGE_COUNT; i++) {
		if (p->image[i].fd < 0)
			continue;
		gw_built_drop(&s->now.image[i]);
		s->now.image[i] = p->image[i];
		p->image[i].fd = -1;
	}
	s->now.generation = p->generation;
	s->n_published++;
	bool is_first = !s->now.is_there, is_full = p->is_full || is_first || s->refused != 0;

	s->now.is_there = true;
	s->refused = 0;
	s->core.blocked = NULL;
	send_to_all(s, is_full ? s->now.image : changed, s->now.generation, is_full);
}

void gw_images_published(struct gw_server *s)
{
	for (struct gw_publication *p; (p = gw_publisher_take(s->publisher)) != NULL;) {
		take(s, p);
		gw_publication_free(p);
	}
	gw_queue_check(s);
}

/* --- acknowledgement, refusal --- */

uint64_t gw_images_applied(const struct gw_server *s)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < GW_CONFD_PEERS; i++) {
		const struct gw_peer *p = &s->peers[i];

		if (p->channel != NULL && p->role == GW_ROLE_WORKER && p->acked < least)
			least = p->acked;
	}
	return least;
}

void gw_images_lagging(const struct gw_server *s, uint64_t generation, struct gw_buf *out)
{
	bool has_one = false;

	gw_buf_putc(out, '[');
	for (int i = 0; i < GW_CONFD_PEERS; i++) {
		const struct gw_peer *p = &s->peers[i];

		if (p->channel == NULL || p->role != GW_ROLE_WORKER || p->acked >= generation)
			continue;
		gw_buf_printf(out, "%s%u", has_one ? "," : "", p->slot);
		has_one = true;
	}
	gw_buf_putc(out, ']');
}

/* A refused generation is taken back everywhere; changes wait until somebody has looked. */
static void withdraw(struct gw_server *s, const struct gw_peer *p, const struct gw_msg *m)
{
	struct gw_msg back = { .type = GW_MSG_IMAGE_BACK };

	if (s->refused != 0)
		return;
	s->refused = m->generation;
	(void)snprintf(s->blocked, sizeof(s->blocked), "%s %u refused the images of generation %llu (%.*s)",
		       gw_role_name(p->role), p->slot, (unsigned long long)m->generation,
		       (int)(m->detail.n < 100 ? m->detail.n : 100), m->detail.p != NULL ? m->detail.p : "");
	s->core.blocked = s->blocked;
	gw_log(GW_ERROR, "%s; going back to generation %llu", s->blocked,
	       (unsigned long long)(s->before.is_there ? s->before.generation : 0));
	if (!s->before.is_there)
		return;
	GW_MSG_SET(&back, generation, s->before.generation);
	if (s->master != NULL && gw_channel_send(s->master, &back) != GW_OK)
		gw_log(GW_ERROR, "the master does not take images");
	for (int i = 0; i < GW_CONFD_PEERS; i++) {
		if (is_reader(&s->peers[i]) && gw_channel_send(s->peers[i].channel, &back) != GW_OK)
			s->peers[i].needs_all = true;
	}
	send_to_all(s, s->before.image, s->before.generation, true);
}

static void note_time(struct gw_server *s, uint64_t applied)
{
	while (s->seen_generation < applied && applied != UINT64_MAX) {
		uint64_t g = ++s->seen_generation, at = s->committed_ns[g % 64];

		if (at == 0)
			continue;
		uint64_t us = (gw_now_ns() - at) / 1000;

		s->times_us[s->n_times++ % GW_CONFD_TIMES] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
		s->committed_ns[g % 64] = 0;
	}
}

void gw_images_acked(struct gw_server *s, struct gw_peer *p, const struct gw_msg *m)
{
	if (m->status != 0) {
		withdraw(s, p, m);
		return;
	}
	/* It went back: the master's set, which may be older, reached it after ours. What is sent from now on would not fit. */
	if (m->generation < p->acked && s->refused == 0)
		p->needs_all = true;
	p->acked = m->generation;
	if (p->role != GW_ROLE_WORKER)
		return;
	note_time(s, gw_images_applied(s));
	gw_queue_check(s);
}

void gw_images_tick(struct gw_server *s)
{
	for (int i = 0; i < GW_CONFD_PEERS; i++) {
		if (is_reader(&s->peers[i]) && s->peers[i].needs_all)
			gw_images_send_all(s, &s->peers[i]);
	}
}

/* --- hooks of the core --- */

static void before_commit(void *ctx, const struct gw_effects *fx, uint64_t generation)
{
	struct gw_server *s = ctx;

	gw_publisher_note(s->publisher, fx, generation);
}

static void after_commit(void *ctx, const struct gw_effects *fx, uint64_t generation)
{
	struct gw_server *s = ctx;

	gw_revocation_commit(s, fx, generation); /* first of all: it works at once */
	if (fx->is_config_changed || fx->keys.n > 0) {
		s->committed_ns[generation % 64] = gw_now_ns();
		gw_publisher_kick(s->publisher);
	}
	for (size_t at = 0; at < fx->drop.n; at += strlen(fx->drop.p + at) + 1)
		gw_peers_lease_drop(s, gw_str_z(fx->drop.p + at));
	if (fx->has_audit)
		gw_audit_pump(s);
}

static void republish(void *ctx)
{
	struct gw_server *s = ctx;

	gw_publisher_all(s->publisher);
}

static void on_published(uv_async_t *a)
{
	gw_images_published(a->data);
}

static void wake(void *ctx)
{
	struct gw_server *s = ctx;

	uv_async_send(&s->published);
}

void gw_images_attach(struct gw_server *s)
{
	for (int i = 0; i < GW_IMAGE_COUNT; i++)
		s->now.image[i].fd = s->before.image[i].fd = -1;
	s->core.before_commit = before_commit;
	s->core.after_commit = after_commit;
	s->core.republish = republish;
	s->core.commit_ctx = s;
	s->core.status = gw_images_status;
	s->core.status_ctx = s;
	if (uv_async_init(&s->loop, &s->published, on_published) != 0 ||
	    gw_publisher_start(s->core.store, wake, s, &s->publisher) != GW_OK)
		gw_role_fatal("cannot start the publishing thread");
	s->published.data = s;
	gw_publisher_all(s->publisher);
}

/* --- status --- */

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void put_times(const struct gw_server *s, struct gw_json_out *w)
{
	static uint32_t sorted[GW_CONFD_TIMES];
	size_t n = s->n_times < GW_CONFD_TIMES ? (size_t)s->n_times : GW_CONFD_TIMES;

	memcpy(sorted, s->times_us, n * sizeof(sorted[0]));
	qsort(sorted, n, sizeof(sorted[0]), by_value);
	gw_jw_key(w, GW_LIT("publish"));
	gw_jw_obj(w);
	gw_jw_ku64(w, "n", s->n_published);
	gw_jw_ku64(w, "build_us", s->last_build_us);
	gw_jw_ku64(w, "last_us", n > 0 ? s->times_us[(s->n_times - 1) % GW_CONFD_TIMES] : 0);
	gw_jw_ku64(w, "p50_us", n > 0 ? sorted[n / 2] : 0);
	gw_jw_ku64(w, "p99_us", n > 0 ? sorted[n * 99 / 100] : 0);
	gw_jw_ku64(w, "max_us", n > 0 ? sorted[n - 1] : 0);
	gw_jw_ku64(w, "delta_keys", gw_publisher_delta(s->publisher));
	gw_jw_end_obj(w);
}

void gw_images_status(void *ctx, struct gw_json_out *w)
{
	const struct gw_server *s = ctx;

	gw_tokens_status(ctx, w);
	gw_jw_ku64(w, "published", s->refused != 0 ? s->before.generation : s->now.generation);
	gw_jw_ku64(w, "refused", s->refused);
	gw_jw_key(w, GW_LIT("peers"));
	gw_jw_arr(w);
	for (int i = 0; i < GW_CONFD_PEERS; i++) {
		const struct gw_peer *p = &s->peers[i];

		if (p->channel == NULL)
			continue;
		gw_jw_obj(w);
		gw_jw_kstr(w, "role", gw_str_z(gw_role_name(p->role)));
		gw_jw_ku64(w, "slot", p->slot);
		gw_jw_ku64(w, "epoch", p->epoch);
		gw_jw_ku64(w, "acked", p->acked);
		gw_jw_ku64(w, "queued_bytes", gw_channel_queued(p->channel));
		gw_jw_end_obj(w);
	}
	gw_jw_end_arr(w);
	put_times(s, w);
}
