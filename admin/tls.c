/* The admin API over TLS: certificate and key are asked from confd at start and, cheaply, each two seconds ("anything new
 * since this generation?"), so that a new certificate or another client authority is in force without a restart. */
#include "admin/admin.h"

#include <stdio.h>

#include "lib/json.h"
#include "lib/sys/diag.h"
#include "net/tls.h"

enum {
	ASK_MS = 2000,
	EVERY_TICKS = 4,
	SUBJECT_BYTES = 256,
	LISTEN_TLS = 2 /* beside LISTEN_TCP and LISTEN_UNIX of main.c */
};

/* The context from confd's answer; NULL: what it says cannot be used. */
static struct gw_tls_ctx *make(const struct gw_msg *m, const struct gw_secret *key)
{
	struct gw_json_fault fault;
	struct gw_tls_ctx *ctx = NULL;
	yyjson_doc *doc;
	uint32_t bad;

	if (gw_json_read(m->body, &gw_json_default_limits, &doc, &fault))
		return NULL;
	yyjson_val *root = yyjson_doc_get_root(doc);
	struct gw_str ca = gw_json_str(yyjson_obj_get(root, "client_ca"));
	struct gw_tls_own own = { .chain_pem = gw_json_str(yyjson_obj_get(root, "chain")), .key = key };
	struct gw_tls_server_desc d = { .own = &own, .n_own = 1, .client_ca_pem = ca };

	if (ca.n)
		d.client_cert = gw_str_eq(gw_json_str(yyjson_obj_get(root, "client_cert")), GW_LIT("required"))
				    ? GW_TLS_CLIENT_REQUIRED
				    : GW_TLS_CLIENT_OPTIONAL;
	if (gw_tls_listener_ctx(&d, &ctx, &bad))
		ctx = NULL;
	yyjson_doc_free(doc);
	return ctx;
}

static void take(struct gw_admin *ad, struct gw_msg *m)
{
	struct gw_secret *key = gw_secret_new(m->secret.p, m->secret.n);
	struct gw_tls_ctx *ctx = key ? make(m, key) : NULL;

	gw_wipe((void *)(uintptr_t)m->secret.p, m->secret.n);
	gw_secret_unref(key);
	ad->tls_generation = m->version;
	if (ctx)
		gw_h1_set_tls(ad->server, ctx);
	else /* the one before stays: locked out by a mistake is worse */
		gw_log(GW_ERROR,
		       "the admin listener's certificate or client authorities cannot be used; save them again");
}

/* Not before confd has said what to show: after an upgrade a client would meet a server without a certificate. Until then it waits in the
 * socket's queue, or the admin process before this one takes it. */
void gw_adm_tls_listen(struct gw_admin *ad)
{
	int fd = gw_role_fd(&ad->start, "admin.tls");

	if (fd < 0 || ad->start.is_standby || !ad->has_tls_answer || ad->is_listening_tls)
		return;
	ad->is_listening_tls = true;
	if (gw_h1_listen_tls(ad->server, fd, LISTEN_TLS))
		gw_log(GW_ERROR, "cannot poll the admin API's TLS socket");
}

static void on_answer(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_admin *ad = ctx;

	ad->is_asking_tls = false;
	if (err)
		return;
	if (m->status == 0 && m->secret.n && m->body.n) {
		take(ad, m);
	} else if (-(int64_t)m->status == GW_E_NOT_FOUND) { /* no certificate any more */
		ad->tls_generation = 0;
		gw_h1_set_tls(ad->server, NULL);
	} else if (m->status != 0) {
		return;
	}
	ad->has_tls_answer = true;
	gw_adm_tls_listen(ad);
}

void gw_adm_tls_tick(struct gw_admin *ad)
{
	struct gw_msg m = { .type = GW_MSG_LEASE };

	if (gw_role_fd(&ad->start, "admin.tls") < 0 || !ad->confd || ad->is_asking_tls ||
	    (ad->tls_ticks++ % EVERY_TICKS && ad->has_tls_answer))
		return;
	GW_MSG_SET(&m, name, GW_LIT("admin-tls"));
	GW_MSG_SET(&m, version, ad->tls_generation);
	ad->is_asking_tls = gw_channel_ask(ad->confd, &m, ASK_MS, on_answer, ad) == GW_OK;
}

struct gw_str gw_adm_source(struct gw_adm_req *q)
{
	const struct gw_tls *t = q->conn ? gw_h1_tls(q->conn) : NULL;
	char subject[SUBJECT_BYTES];
	struct gw_str s;

	if (!q->conn)
		return GW_NIL;
	if (!t || !gw_tls_peer_subject(t, subject, sizeof subject))
		return gw_h1_peer(q->conn);
	s = gw_arena_printf(&q->arena, "%.*s (%s)", GW_FMT(gw_h1_peer(q->conn)), subject);
	return s.p ? s : gw_h1_peer(q->conn);
}
