#pragma once
#include "core/cred.h"
#include "lib/buf.h"

/* Tokens and temporary keys: what is asked of the vendor's endpoint and what its answer says. Pure: clock and signatures come from the
 * caller (agent/token.c). Values are secrets: the buffers that hold them are the caller's, to be wiped. */

/* What a credential and its provider say, and nothing more. */
struct gw_token_ask {
	enum gw_cred_kind kind;
	enum gw_cred_source source;
	struct gw_str region, role_arn, external_id, tenant_id, client_id, scope, token_url;
};

/* name=value of a form, encoded; '&' before all but the first. */
void gw_form_put(struct gw_buf *b, const char *name, struct gw_str value);

/* STS: form of AssumeRole, or of AssumeRoleWithWebIdentity when there is a token of that kind. */
void gw_token_sts_form(struct gw_buf *b, const struct gw_token_ask *a, struct gw_str web_identity);
/* JWT of a service account, but for its signature: "header.claims". */
void gw_token_jwt(struct gw_buf *b, const struct gw_gcp_key *k, struct gw_str scope, struct gw_str audience,
		  int64_t now_us);

/* What came: the value as it is leased, and how long it lives. */
struct gw_token_got {
	struct gw_buf value; /* a bearer token, or AWS keys "id:secret:session" */
	uint64_t life_ms;
};
/* {"access_token", "expires_in"}; of managed identities "expires_on" (Unix time); of impersonations {"accessToken", "expireTime"}. */
GW_MUST enum gw_err gw_token_read_oauth(struct gw_arena *a, struct gw_str body, int64_t now_us,
					struct gw_token_got *got);
/* {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"} of instances and containers. */
GW_MUST enum gw_err gw_token_read_keys(struct gw_arena *a, struct gw_str body, int64_t now_us,
				       struct gw_token_got *got);
/* The XML of STS. */
GW_MUST enum gw_err gw_token_read_sts(struct gw_str body, int64_t now_us, struct gw_token_got *got);
/* The endpoint's own words about a failure, "" when there are none; not scrubbed. */
struct gw_str gw_token_why(struct gw_arena *a, struct gw_str body);
/* Of clocks that differ by so much that signatures and ends are judged wrongly: " This machine's clock is ...", else "". */
struct gw_str gw_token_skew_words(struct gw_arena *a, int64_t skew_s);
/* When a token of this life that came now is fetched anew, in ms from now: 5 minutes before its end (a fifth of its life, when that is
 * shorter), sooner by up to 30 s (a twentieth) by chance. */
uint64_t gw_token_refresh_ms(uint64_t life_ms, uint32_t random);
