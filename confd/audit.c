/* The audit outbox on its way to the logger: committed with the change, sent afterwards, deleted when the logger has it on
 * disk. After a crash on either side everything that is still there is sent again; the logger knows change numbers. */
#include "confd/server.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"

enum { WANT_ANSWER = 1, DELETE_AT = 1024 };

struct shipping {
	struct gw_server *s;
	struct gw_peer *logger;
};

static bool ship(void *ctx, uint64_t seq, struct gw_str record)
{
	struct shipping *sh = ctx;
	struct gw_server *s = sh->s;
	struct gw_msg m = { .type = GW_MSG_AUDIT };

	if (s->n_audit_out == GW_CONFD_AUDITS)
		return false;
	GW_MSG_SET(&m, corr, seq);
	GW_MSG_SET(&m, body, record);
	GW_MSG_SET(&m, flags, WANT_ANSWER);
	if (gw_channel_send(sh->logger->channel, &m) != GW_OK)
		return false; /* its queue is full: the tick tries again */
	s->audit_sent = seq;
	s->n_audit_out++;
	return true;
}

void gw_audit_pump(struct gw_server *s)
{
	struct shipping sh = { s, gw_peer_logger(s) };

	if (!s->is_open || sh.logger == NULL || s->n_audit_out == GW_CONFD_AUDITS)
		return;
	enum gw_err e = gw_outbox_each(&s->core, s->audit_sent, ship, &sh);

	if (e != GW_OK)
		gw_log_slow(GW_ERROR, "the audit outbox cannot be read: %s", gw_err_info(e)->doc);
}

void gw_audit_connected(struct gw_server *s)
{
	s->audit_sent = 0;
	s->n_audit_out = 0;
	gw_audit_flush(s);
	gw_audit_pump(s);
}

void gw_audit_flush(struct gw_server *s)
{
	if (!s->is_open || s->n_audited == 0)
		return;
	enum gw_err e = gw_outbox_delete(&s->core, s->audited, s->n_audited);

	if (e != GW_OK)
		gw_log_slow(GW_ERROR, "the audit outbox cannot be emptied: %s", gw_err_info(e)->doc);
	else
		s->n_audited = 0;
}

/* Refused (no room on the logger's disk): this one and those after it are sent again by the tick. */
void gw_audit_done(struct gw_server *s, uint64_t seq, bool is_durable)
{
	if (s->n_audit_out > 0)
		s->n_audit_out--;
	if (!is_durable) {
		if (seq <= s->audit_sent)
			s->audit_sent = seq - 1;
		return;
	}
	if (s->n_audited < GW_CONFD_AUDITS)
		s->audited[s->n_audited++] = seq;
	if (s->n_audited >= DELETE_AT)
		gw_audit_flush(s);
	gw_audit_pump(s);
}

static bool stop_at_first(void *ctx, uint64_t seq, struct gw_str record)
{
	(void)seq;
	(void)record;
	*(bool *)ctx = false;
	return false;
}

bool gw_audit_is_empty(struct gw_server *s)
{
	bool is_empty = true;

	if (!s->is_open)
		return true;
	gw_audit_flush(s);
	if (gw_outbox_each(&s->core, 0, stop_at_first, &is_empty) != GW_OK)
		return true;
	return is_empty;
}
