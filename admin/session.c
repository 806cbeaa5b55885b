/* Signing in and out with a password, and setting one. The password passes through to confd unread and is wiped here. */
#include "admin/admin.h"
#include "lib/crypto.h"
#include "lib/text.h"

/* confd derives a key from the password for the better part of a second, several at once when many sign in. */
enum { SIGN_IN_MS = 20000 };

void gw_adm_session_open(struct gw_adm_req *q)
{
	uint64_t wait_ms = gw_adm_limit_failed(q->ad, gw_h1_peer(q->conn), false);

	q->retry_ms = wait_ms;
	if (wait_ms) {
		q->ad->n_throttled++;
		gw_adm_fail(q, GW_E_LIMIT,
			    GW_LIT("Too many failed sign-ins or unknown tokens from this address. Wait a moment."));
		return;
	}
	q->who.json = GW_LIT("{\"key\":\"\"}");
	gw_adm_call(q, "session-open", q->body, 0, SIGN_IN_MS);
	gw_wipe((char *)(uintptr_t)q->body.p, q->body.n);
}

void gw_adm_session_close(struct gw_adm_req *q)
{
	char body[100] = "{\"sha256\":\"";
	struct gw_buf b;

	gw_buf_init(&b, 256);
	gw_buf_puts(&b, gw_str_z(body));
	gw_hex_put(&b, q->sha, sizeof q->sha);
	gw_buf_puts(&b, GW_LIT("\"}"));
	gw_adm_call(q, "session-close", gw_buf_view(&b), 0, 0);
	gw_buf_done(&b);
}

void gw_adm_account_password(struct gw_adm_req *q)
{
	struct gw_str body;

	q->kind_text = GW_LIT("accounts");
	q->kind = GW_KIND_account;
	body = gw_adm_body_with_id(q);
	if (!body.p)
		return;
	gw_adm_call(q, "account-password", body, 0, SIGN_IN_MS);
	gw_wipe((char *)(uintptr_t)body.p, body.n);
}
