/* Channels between the children. A child that starts gets its ends in INIT; the living peers get the other ends as PEER, which
 * replaces what they had. So first start and respawn are the same thing. */
#include <stdio.h>
#include <unistd.h>

#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "master/master.h"

static const struct {
	enum gw_role a, b;
} wires[] = {
	{ GW_ROLE_CONFD, GW_ROLE_ADMIN },    { GW_ROLE_CONFD, GW_ROLE_LOGGER }, { GW_ROLE_CONFD, GW_ROLE_AGENT },
	{ GW_ROLE_CONFD, GW_ROLE_WORKER },   { GW_ROLE_LOGGER, GW_ROLE_ADMIN }, { GW_ROLE_LOGGER, GW_ROLE_AGENT },
	{ GW_ROLE_LOGGER, GW_ROLE_WORKER },  { GW_ROLE_ADMIN, GW_ROLE_AGENT },  { GW_ROLE_CONFD, GW_ROLE_EXPORTER },
	{ GW_ROLE_ADMIN, GW_ROLE_EXPORTER },
};

bool gw_wire_are_peers(enum gw_role a, enum gw_role b)
{
	for (size_t i = 0; i < sizeof(wires) / sizeof(wires[0]); i++)
		if ((wires[i].a == a && wires[i].b == b) || (wires[i].a == b && wires[i].b == a))
			return true;
	return false;
}

void gw_msg_set_names(struct gw_msg *msg, struct gw_buf *b, const struct gw_role_fd *fds, uint32_t n)
{
	gw_mp_arr(b, n);
	for (uint32_t i = 0; i < n; i++) {
		gw_mp_str(b, gw_str_z(fds[i].name));
		msg->fds[i] = fds[i].fd;
	}
	msg->n_fds = n;
	GW_MSG_SET(msg, table, gw_buf_view(b));
}

enum gw_err gw_msg_get_names(const struct gw_msg *msg, struct gw_role_fd *fds, uint32_t *n)
{
	struct gw_mp r = gw_mp_reader(msg->table);
	uint32_t k = GW_MSG_HAS(msg, table) ? gw_mp_read_arr(&r) : 0;

	if (r.err || k != msg->n_fds || k > *n)
		return GW_E_GARBLED;
	for (uint32_t i = 0; i < k; i++) {
		struct gw_str name = gw_mp_read_str(&r);

		if (r.err || name.n == 0 || name.n >= sizeof(fds[i].name))
			return GW_E_GARBLED;
		memcpy(fds[i].name, name.p, name.n);
		fds[i].name[name.n] = 0;
		fds[i].fd = msg->fds[i];
	}
	*n = k;
	return GW_OK;
}

static void put_name(const struct gw_child *peer, char out[28])
{
	if (peer->role == GW_ROLE_WORKER)
		snprintf(out, 28, "chan.worker.%u", peer->slot);
	else
		snprintf(out, 28, "chan.%s", gw_role_name(peer->role));
}

void gw_wire_tell_peer(struct gw_master *m, struct gw_child *to, enum gw_role role, uint32_t slot, uint32_t epoch,
		       pid_t pid, int fd)
{
	struct gw_msg msg = { .type = GW_MSG_PEER };

	GW_MSG_SET(&msg, role, (uint64_t)role);
	GW_MSG_SET(&msg, slot, slot);
	GW_MSG_SET(&msg, epoch, epoch);
	GW_MSG_SET(&msg, pid, (uint64_t)pid);
	msg.fds[0] = fd;
	msg.n_fds = 1;
	gw_child_tell(m, to, &msg);
}

enum gw_err gw_wire_make(struct gw_master *m, struct gw_child *c, struct gw_role_fd *fds, uint32_t *n)
{
	for (uint32_t i = 0; i < GW_MAX_CHILDREN; i++) {
		struct gw_child *peer = &m->child[i];
		int pair[2];
		enum gw_err e;

		if (peer == c || !gw_child_has_process(peer) || !gw_wire_are_peers(c->role, peer->role))
			continue;
		/* Until GO the new processes of an upgrade talk to the old confd. */
		if ((c->role == GW_ROLE_CONFD && c->is_standby) || (peer->role == GW_ROLE_CONFD && peer->is_standby))
			continue;
		if (*n >= GW_ROLE_MAX_FDS)
			return GW_E_TOO_BIG;
		e = gw_socketpair(pair, true);
		if (e)
			return e;
		gw_wire_tell_peer(m, peer, c->role, c->slot, c->epoch, c->pid, pair[1]);
		close(pair[1]);
		put_name(peer, fds[*n].name);
		fds[(*n)++].fd = pair[0];
	}
	return GW_OK;
}

enum gw_err gw_wire_pair(struct gw_master *m, struct gw_child *a, struct gw_child *b)
{
	int pair[2];
	enum gw_err e = gw_socketpair(pair, true);

	if (e)
		return e;
	gw_wire_tell_peer(m, a, b->role, b->slot, b->epoch, b->pid, pair[0]);
	gw_wire_tell_peer(m, b, a->role, a->slot, a->epoch, a->pid, pair[1]);
	close(pair[0]);
	close(pair[1]);
	return GW_OK;
}

void gw_wire_gone(struct gw_master *m, const struct gw_child *c)
{
	struct gw_msg msg = { .type = GW_MSG_PEER_GONE };

	GW_MSG_SET(&msg, role, (uint64_t)c->role);
	GW_MSG_SET(&msg, slot, c->slot);
	GW_MSG_SET(&msg, epoch, c->epoch);
	for (uint32_t i = 0; i < GW_MAX_CHILDREN; i++) {
		struct gw_child *peer = &m->child[i];

		if (peer != c && gw_child_has_process(peer) && gw_wire_are_peers(c->role, peer->role))
			gw_child_tell(m, peer, &msg);
	}
}
