#pragma once
#include "core/provider.h"
#include "lib/arena.h"
#include "lib/err.h"

/* What the secret of a credential must be, by its kind, and what is read out of it. Pure. */

/* Fit for a header's value, and for AWS' keys: printable ASCII without spaces, not empty. */
bool gw_cred_is_sendable(struct gw_str s);

/* AWS keys: "id:secret" or "id:secret:session token". */
struct gw_aws_keys {
	struct gw_str access_key, secret_key, session_token; /* session_token "" = none */
};
bool gw_aws_keys_read(struct gw_str text, struct gw_aws_keys *out);

/* A Google key file. */
struct gw_gcp_key {
	bool is_user; /* authorized_user: a refresh token; else a service account */
	struct gw_str client_email, private_key, private_key_id, token_uri; /* service account */
	struct gw_str client_id, client_secret, refresh_token; /* authorized user */
};
/* *why (static text) says what is wrong: GW_E_INVALID. Views into the text or copies in the arena. */
GW_MUST enum gw_err gw_gcp_key_read(struct gw_arena *a, struct gw_str json, struct gw_gcp_key *out, const char **why);

/* A file of Google's workload identity federation (type external_account) whose token stands in a file. */
struct gw_gcp_external {
	struct gw_str audience, subject_token_type, token_url;
	struct gw_str impersonation_url; /* "" = the exchanged token is used itself */
	struct gw_str file, field; /* field "": the file is the token */
};
GW_MUST enum gw_err gw_gcp_external_read(struct gw_arena *a, struct gw_str json, struct gw_gcp_external *out,
					 const char **why);
/* The token in a file that is JSON; NIL when it is not there. */
struct gw_str gw_gcp_subject(struct gw_arena *a, struct gw_str json, struct gw_str field);

/* What is sealed for a secret that was given, in the arena (to be wiped); people may give AWS keys as the JSON of the AWS command line too.
 * *who: whom it belongs to ("" = it does not say). GW_E_INVALID with *why, for people: begins with the field's name. */
GW_MUST enum gw_err gw_cred_secret_take(struct gw_arena *a, enum gw_cred_kind kind, struct gw_str given,
					struct gw_str *seal, struct gw_str *who, const char **why);
