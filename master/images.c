/* The last published images. The master never looks into them; it keeps their descriptors, so that a process that starts
 * while confd is down still gets what all others serve. `good` is the set that workers have run on without dying: in a crash
 * loop the next worker gets that one instead. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "lib/sys/map.h"
#include "master/master.h"

enum { DIGEST_BYTES = 32, YOUNG_MS = 5000 };

enum gw_err gw_images_add(struct gw_images *im, struct gw_str name, const uint8_t digest[32], int fd)
{
	uint32_t i = 0;

	if (name.n == 0 || name.n >= sizeof(im->item[0].name))
		return GW_E_INVALID;
	while (i < im->n && !gw_str_eq(gw_str_z(im->item[i].name), name))
		i++;
	if (i == GW_IMAGES_MAX)
		return GW_E_TOO_BIG;
	if (i == im->n) {
		im->n++;
		im->item[i].fd = -1;
	}
	gw_close(&im->item[i].fd);
	memcpy(im->item[i].name, name.p, name.n);
	im->item[i].name[name.n] = 0;
	memcpy(im->item[i].digest, digest, DIGEST_BYTES);
	im->item[i].fd = fd;
	return GW_OK;
}

/* The table is pairs of a name and a size; there is a digest and a descriptor for each. Returns how many, 0 when it does not fit. */
static uint32_t read_table(const struct gw_msg *msg, struct gw_str names[GW_IMAGES_MAX])
{
	struct gw_mp r = gw_mp_reader(msg->table);
	uint32_t n = gw_mp_read_arr(&r) / 2;

	if (n == 0 || n > GW_IMAGES_MAX || n != msg->n_fds || msg->digest.n != (size_t)n * DIGEST_BYTES)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		names[i] = gw_mp_read_str(&r);
		(void)gw_mp_read_u64(&r);
	}
	return r.err ? 0 : n;
}

void gw_images_take(struct gw_master *m, struct gw_msg *msg)
{
	struct gw_str names[GW_IMAGES_MAX];
	uint32_t n = GW_MSG_HAS(msg, generation) ? read_table(msg, names) : 0;

	if (n == 0) {
		gw_log(GW_WARN, "confd sent images that do not match their table; kept the last ones");
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		if (!gw_images_add(&m->now, names[i], (const uint8_t *)msg->digest.p + i * DIGEST_BYTES, msg->fds[i]))
			msg->fds[i] = -1; /* ours now */
	m->now.generation = msg->generation;
	m->images_at_ms = gw_now_ms();
	atomic_store(&m->control->generation, msg->generation);
	/* A process that started a moment ago may have been too late for confd's round and too early for our last set. */
	for (uint32_t i = 0; i < GW_MAX_CHILDREN; i++)
		if (gw_child_has_process(&m->child[i]) && m->images_at_ms - m->child[i].started_ms < YOUNG_MS)
			gw_images_send(m, &m->child[i]);
}

void gw_images_to_message(const struct gw_images *im, struct gw_msg *msg, struct gw_buf *names, struct gw_buf *digests)
{
	gw_mp_arr(names, im->n * 2);
	for (uint32_t i = 0; i < im->n; i++) {
		gw_mp_str(names, gw_str_z(im->item[i].name));
		gw_mp_u64(names, gw_fd_size(im->item[i].fd));
		gw_buf_put(digests, im->item[i].digest, DIGEST_BYTES);
		msg->fds[i] = im->item[i].fd;
	}
	msg->n_fds = im->n;
	GW_MSG_SET(msg, table, gw_buf_view(names));
	GW_MSG_SET(msg, flags, 1); /* the full set */
	GW_MSG_SET(msg, generation, im->generation);
	GW_MSG_SET(msg, digest, gw_buf_view(digests));
}

void gw_images_send(struct gw_master *m, struct gw_child *c)
{
	const struct gw_images *im = gw_supervise_in_loop(m, gw_now_ms()) && m->good.n ? &m->good : &m->now;
	struct gw_msg msg = { .type = GW_MSG_IMAGE };
	struct gw_buf names, digests;

	if (im->n == 0 || (c->role != GW_ROLE_WORKER && c->role != GW_ROLE_AGENT))
		return;
	gw_buf_init(&names, 4096);
	gw_buf_init(&digests, (size_t)GW_IMAGES_MAX * DIGEST_BYTES);
	gw_images_to_message(im, &msg, &names, &digests);
	gw_child_tell(m, c, &msg);
	gw_buf_done(&names);
	gw_buf_done(&digests);
}

static void copy_set(struct gw_images *to, const struct gw_images *from)
{
	for (uint32_t i = 0; i < to->n; i++)
		gw_close(&to->item[i].fd);
	*to = (struct gw_images){ .generation = from->generation };
	for (uint32_t i = 0; i < from->n; i++) {
		int fd = fcntl(from->item[i].fd, F_DUPFD_CLOEXEC, 10);

		if (fd >= 0 && gw_images_add(to, gw_str_z(from->item[i].name), from->item[i].digest, fd))
			close(fd);
	}
}

void gw_images_keep_good(struct gw_master *m, uint64_t now_ms)
{
	uint64_t last_death = 0;

	if (m->now.n == 0 || m->now.generation == m->good.generation || now_ms - m->images_at_ms < GW_STABLE_MS)
		return;
	for (uint64_t i = 0; i < GW_DEATHS_KEPT && i < m->n_deaths; i++)
		if (m->death[i].role == GW_ROLE_WORKER && m->death[i].at_ms > last_death)
			last_death = m->death[i].at_ms;
	if (last_death < m->images_at_ms)
		copy_set(&m->good, &m->now);
}
