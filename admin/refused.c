/* Refused calls of known callers go to the trail too. Answers do not wait for it; the logger makes them durable within its batch. */
#include "admin/admin.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"

void gw_adm_audit_refused(struct gw_adm_req *q, enum gw_err e, int status)
{
	struct gw_msg m = { .type = GW_MSG_AUDIT };
	struct gw_buf b;
	struct gw_admin_record r = {
		.ts_us = gw_unix_us(),
		.actor = q->who.key,
		.act = GW_LIT("refused"),
		.object = q->id,
		.status = (uint64_t)status,
		.error = gw_str_z(gw_err_info(e)->name),
		.route = gw_str_z(q->route->name),
		.request_id = gw_str(q->request_id, sizeof q->request_id),
		.source = gw_adm_source(q),
	};

	if (q->kind_text.n)
		r.kind = gw_str_z(gw_cf_kinds[q->kind].name);
	q->ad->n_refused++;
	gw_buf_init(&b, 16384);
	gw_admin_record_pack(&r, &b);
	GW_MSG_SET(&m, corr, ++q->ad->audit_seq);
	GW_MSG_SET(&m, body, gw_buf_view(&b));
	if (!q->ad->logger || gw_channel_send(q->ad->logger, &m) != GW_OK)
		gw_log_slow(GW_WARN, "a refused call could not be handed to the logger");
	gw_buf_done(&b);
}
