/* Image sets for the agent: opened, checked against their digests at once (no client waits here), swapped; then the list of deployments
 * is compared with what is known. */
#include "core/config_types.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "agent/agent.h"

static void ack(struct gw_agent *ag, uint64_t generation, enum gw_err e)
{
	struct gw_msg m = { .type = GW_MSG_IMAGE_ACK };

	GW_MSG_SET(&m, generation, generation);
	GW_MSG_SET(&m, status, (uint64_t) - (int64_t)e);
	if (ag->confd && gw_channel_send(ag->confd, &m) != GW_OK)
		gw_log_slow(GW_WARN, "cannot tell confd about generation %llu", (unsigned long long)generation);
}

/* Only the config image matters here; key shards are closed unread. */
static enum gw_err take(struct gw_agent *ag, struct gw_msg *m)
{
	struct gw_mp r = gw_mp_reader(m->table);
	uint32_t n = gw_mp_read_arr(&r) / 2;

	if (n != m->n_fds || m->digest.n != (size_t)n * 32)
		return GW_E_GARBLED;
	for (uint32_t i = 0; i < n; i++) {
		struct gw_str text = gw_mp_read_str(&r);
		uint64_t size = gw_mp_read_u64(&r);
		enum gw_image_name name;
		struct gw_image *im;
		uint8_t digest[32];

		if (r.err || !gw_image_by_text(text, &name))
			return GW_E_GARBLED;
		if (name != GW_IMAGE_CONFIG)
			continue;
		gw_image_fd_digest(m->fds[i], size, digest); /* before LMDB sees a byte of it */
		if (memcmp(digest, m->digest.p + i * 32, 32) != 0)
			return GW_E_CORRUPT;
		enum gw_err e = gw_image_open(m->fds[i], name, size, &im);
		if (e)
			return e;
		m->fds[i] = -1;
		gw_image_close(ag->images.image[name]);
		ag->images.image[name] = im;
	}
	return GW_OK;
}

void gw_agent_image(struct gw_agent *ag, struct gw_msg *m)
{
	bool is_full = GW_MSG_HAS(m, flags) && (m->flags & 1);

	if (m->generation < ag->images.generation && !is_full) {
		ack(ag, m->generation, GW_OK);
		return;
	}
	enum gw_err e = take(ag, m);
	if (!e) {
		ag->images.generation = m->generation;
		gw_agent_reschedule(ag);
	} else {
		gw_log(GW_ERROR, "images of generation %llu refused: %s", (unsigned long long)m->generation,
		       gw_err_info(e)->doc);
	}
	ack(ag, m->generation, e);
}

static enum gw_err object_row(void *ctx, enum gw_cf_kind kind, struct gw_str id, struct gw_str *row)
{
	struct gw_agent *ag = ctx;
	char key[80];

	if (!ag->images.image[GW_IMAGE_CONFIG] || id.n + 1 > sizeof key)
		return GW_E_NOT_FOUND;
	key[0] = (char)kind;
	memcpy(key + 1, id.p, id.n);
	return gw_image_get(ag->images.image[GW_IMAGE_CONFIG], GW_DB_OBJECT, gw_str(key, id.n + 1), row);
}

/* The agent never resolves a name that a client sent. */
static enum gw_err no_model(void *ctx, struct gw_str tenant, struct gw_str name, struct gw_str *id)
{
	(void)ctx;
	(void)tenant;
	(void)name;
	(void)id;
	return GW_E_NOT_FOUND;
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
	struct gw_agent *ag = ctx;
	struct each e = { kind, fn, arg };
	char from = (char)kind;

	return ag->images.image[GW_IMAGE_CONFIG]
		   ? gw_image_walk(ag->images.image[GW_IMAGE_CONFIG], GW_DB_OBJECT, gw_str(&from, 1), on_each, &e)
		   : GW_OK;
}

struct gw_rows gw_agent_rows(struct gw_agent *ag)
{
	return (struct gw_rows){ ag, object_row, no_model, each_row };
}
