/* The other processes, one channel each: what they may ask, and from whom it is taken. */
#include <unistd.h>

#include "confd/server.h"
#include "confd/tokens.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"

enum { SMALL_QUEUE = 4 << 20, ADMIN_QUEUE = 160 << 20, LOGGER_QUEUE = 16 << 20, LEASE_MS = 600000 };
static const double LEASES_PER_S = 1000, LEASE_BURST = 4096;

struct gw_peer *gw_peer_of(struct gw_server *s, const struct gw_channel *ch)
{
	for (int i = 0; i < GW_CONFD_PEERS; i++) {
		if (s->peers[i].channel == ch && ch != NULL)
			return &s->peers[i];
	}
	return NULL;
}

/* During an upgrade there are two loggers; the one of our own master is at work as long as we are. */
struct gw_peer *gw_peer_logger(struct gw_server *s)
{
	struct gw_peer *found = NULL;

	for (int i = 0; i < GW_CONFD_PEERS; i++) {
		struct gw_peer *p = &s->peers[i];

		if (p->channel == NULL || p->role != GW_ROLE_LOGGER)
			continue;
		if (p->slot == s->start.slot)
			return p;
		found = p;
	}
	return found;
}

/* --- leases --- */

static bool take_token(struct gw_peer *p)
{
	uint64_t now = gw_now_ms();

	p->lease_tokens += (double)(now - p->lease_ms) * LEASES_PER_S / 1000;
	if (p->lease_tokens > LEASE_BURST)
		p->lease_tokens = LEASE_BURST;
	p->lease_ms = now;
	if (p->lease_tokens < 1)
		return false;
	p->lease_tokens -= 1;
	return true;
}

static void answer_lease(struct gw_server *s, struct gw_peer *p, const struct gw_msg *m)
{
	struct gw_msg a = { .type = GW_MSG_LEASED };
	struct gw_leased l = { 0 };
	enum gw_err e = GW_E_NOT_READY;

	if (s->is_open)
		e = take_token(p)
			? gw_lease(&s->core, m->name, GW_MSG_HAS(m, version) ? m->version : 0, (int)p->role, &l)
			: GW_E_LIMIT;
	if (e == GW_OK && l.is_fetched) {
		gw_tokens_lease(s, p, m, &l);
		gw_leased_done(&l);
		return;
	}
	GW_MSG_SET(&a, corr, m->corr);
	if (e != GW_OK && l.text.n > 0)
		GW_MSG_SET(&a, detail, gw_buf_view(&l.text));
	GW_MSG_SET(&a, status, (uint64_t) - (int64_t)e);
	GW_MSG_SET(&a, name, m->name);
	if (e == GW_OK) {
		GW_MSG_SET(&a, version, l.version);
		GW_MSG_SET(&a, secret, gw_secret_expose(l.secret));
		GW_MSG_SET(&a, deadline_ms, l.life_ms != 0 ? l.life_ms : LEASE_MS);
		if (l.text.n > 0)
			GW_MSG_SET(&a, body, gw_buf_view(&l.text));
		if (l.next != NULL) {
			GW_MSG_SET(&a, next, gw_secret_expose(l.next));
			GW_MSG_SET(&a, next_version, l.next_version);
		}
	}
	if (gw_channel_send(p->channel, &a) != GW_OK)
		gw_log_slow(GW_WARN, "lease for %s[%u] not sent: its channel is full", gw_role_name(p->role), p->slot);
	gw_leased_done(&l);
}

static void tell_readers(struct gw_server *s, struct gw_str id, uint64_t flags)
{
	struct gw_msg m = { .type = GW_MSG_LEASE_DROP };

	GW_MSG_SET(&m, name, id);
	GW_MSG_SET(&m, flags, flags);
	for (int i = 0; i < GW_CONFD_PEERS; i++) {
		struct gw_peer *p = &s->peers[i];

		if (p->channel == NULL || (p->role != GW_ROLE_WORKER && p->role != GW_ROLE_AGENT))
			continue;
		if (gw_channel_send(p->channel, &m) != GW_OK) /* the revocation cell and the next image say it too */
			gw_log_slow(GW_WARN, "lease drop for %s[%u] not sent: its channel is full",
				    gw_role_name(p->role), p->slot);
	}
}

void gw_peers_lease_drop(struct gw_server *s, struct gw_str id)
{
	gw_tokens_drop(s, id);
	tell_readers(s, id, 0);
}

void gw_peers_lease_renew(struct gw_server *s, struct gw_str id)
{
	tell_readers(s, id, GW_DROP_RENEW);
}

/* --- messages --- */

/* All that exporter and logger may ask: how long and how much they shall keep. */
static bool is_settings(const struct gw_msg *m)
{
	return gw_str_eq(m->name, GW_LIT("get")) && gw_str_eq(m->kind, GW_LIT("settings"));
}

static void on_message(void *ctx, struct gw_channel *ch, struct gw_msg *m)
{
	struct gw_server *s = ctx;
	struct gw_peer *p = gw_peer_of(s, ch);

	if (p == NULL)
		return;
	bool is_reader = p->role == GW_ROLE_WORKER || p->role == GW_ROLE_AGENT;

	if (m->type == GW_MSG_CALL && (p->role == GW_ROLE_ADMIN || p->role == GW_ROLE_AGENT))
		gw_queue_call(s, p, m);
	else if (m->type == GW_MSG_CALL && (p->role == GW_ROLE_EXPORTER || p->role == GW_ROLE_LOGGER) && is_settings(m))
		gw_queue_call(s, p, m);
	else if (m->type == GW_MSG_LEASE && (is_reader || p->role == GW_ROLE_LOGGER || p->role == GW_ROLE_ADMIN))
		answer_lease(s, p, m);
	else if (m->type == GW_MSG_IMAGE_ACK && is_reader)
		gw_images_acked(s, p, m);
	else if (m->type == GW_MSG_AUDITED && p->role == GW_ROLE_LOGGER)
		gw_audit_done(s, m->corr, m->status == 0);
	else if (m->type != GW_MSG_LEDGER)
		gw_log_slow(GW_WARN, "%s from %s[%u] is not for confd: ignored", gw_msg_name(m->type),
			    gw_role_name(p->role), p->slot);
}

static void forget(struct gw_server *s, struct gw_peer *p)
{
	gw_queue_channel_gone(s, p->channel);
	*p = (struct gw_peer){ 0 };
	gw_queue_check(s); /* one worker fewer to wait for */
}

static void on_end(void *ctx, struct gw_channel *ch)
{
	struct gw_server *s = ctx;
	struct gw_peer *p = gw_peer_of(s, ch);

	if (p != NULL)
		forget(s, p);
}

static const struct gw_channel_ops ops = { on_message, on_end };

static size_t queue_bytes(enum gw_role role)
{
	return role == GW_ROLE_ADMIN ? ADMIN_QUEUE : role == GW_ROLE_LOGGER ? LOGGER_QUEUE : SMALL_QUEUE;
}

static struct gw_peer *place_for(struct gw_server *s, enum gw_role role, uint32_t slot)
{
	struct gw_peer *unused = NULL;

	for (int i = 0; i < GW_CONFD_PEERS; i++) {
		struct gw_peer *p = &s->peers[i];

		if (p->channel != NULL && p->role == role && p->slot == slot)
			return p;
		if (p->channel == NULL && unused == NULL)
			unused = p;
	}
	return unused;
}

void gw_peers_connect(struct gw_server *s, enum gw_role role, uint32_t slot, uint32_t epoch, int fd)
{
	struct gw_peer *p = role > GW_ROLE_MASTER && role < GW_ROLE_COUNT ? place_for(s, role, slot) : NULL;
	struct gw_channel *ch, *old = p != NULL ? p->channel : NULL;

	if (p == NULL || gw_channel_open(&s->loop, fd, &ops, s, queue_bytes(role), &ch) != GW_OK) {
		gw_log(GW_ERROR, "cannot open a channel to %s[%u]", role < GW_ROLE_COUNT ? gw_role_name(role) : "?",
		       slot);
		close(fd);
		return;
	}
	if (old != NULL) {
		forget(s, p);
		gw_channel_close(old);
	}
	*p = (struct gw_peer){ .channel = ch,
			       .role = role,
			       .slot = slot,
			       .epoch = epoch,
			       .since_ms = gw_now_ms(),
			       .lease_tokens = LEASE_BURST,
			       .lease_ms = gw_now_ms() };
	if (role == GW_ROLE_WORKER || role == GW_ROLE_AGENT)
		gw_images_send_all(s, p);
	if (s->is_open && gw_peer_logger(s) == p)
		gw_audit_connected(s);
}

void gw_peers_close(struct gw_server *s)
{
	for (int i = 0; i < GW_CONFD_PEERS; i++) {
		if (s->peers[i].channel != NULL)
			gw_channel_close(s->peers[i].channel);
		s->peers[i] = (struct gw_peer){ 0 };
	}
}
