#pragma once
#include "confd/core.h"

/* Bringing the core up: store, keyring, and on the very first start the first objects and the first admin token. */
struct gw_core_opts {
	const char *data_dir; /* absolute */
	const char *root_key, *root_key_previous; /* boot options; previous may be empty */
	struct gw_secret *root_loaded, *previous_loaded; /* by gw_core_preload; NULL: read when opened */
	uint64_t drain_ms;
	uint64_t map_bytes, max_bytes; /* of the store; 0 = default */
};
/* Before lock-down: reads root keys that cannot be read after it. */
GW_MUST enum gw_err gw_core_preload(struct gw_core_opts *o, char why[512]);
/* *why: words for the operator. *is_first: the token was written to <data_dir>/admin.token. */
GW_MUST enum gw_err gw_core_open(struct gw_core *core, const struct gw_core_opts *o, bool *is_first, char why[512]);
void gw_core_close(struct gw_core *core);

/* Keys and secrets for other roles. GW_E_FORBIDDEN: not for this role; GW_E_CRED_MISSING: no such credential, or disabled. */
/* Names: a credential's id; "pepper", "audit-signing", "tls-tickets" (key in use, and the one before as `next`),
 * "certificate/<id>" (its private key), "admin-tls" (that of the admin listener, `text` says the rest). */
struct gw_leased {
	uint64_t version, next_version;
	struct gw_secret *secret, *next;
	uint64_t life_ms; /* 0: the usual */
	struct gw_buf
	    text; /* JSON {"chain", "client_ca", "client_cert"}; {"credential", "provider"} of one that is fetched */
	bool
	    is_fetched; /* what is leased is a token: the secret (NULL: the machine's own identity) is for the agent alone */
};
GW_MUST enum gw_err gw_lease(struct gw_core *core, struct gw_str name, uint64_t version, int role,
			     struct gw_leased *out);
void gw_leased_done(struct gw_leased *l);

/* Background work in small transactions; each returns true when there is more to do at once. */
bool gw_maintain_rekey(struct gw_core *core); /* re-encrypts after a DEK rotation; begins one when the DEK is worn */
bool gw_maintain_secrets(struct gw_core *core); /* secrets whose time is over */
bool gw_maintain_history(struct gw_core *core);
enum { GW_HISTORY_DAYS = 30 };
static const uint64_t GW_HISTORY_BYTES = 1ull << 30;

/* Audit outbox: entries from `after` on, oldest first. fn returns false to stop. */
typedef bool gw_outbox_fn(void *ctx, uint64_t seq, struct gw_str record);
GW_MUST enum gw_err gw_outbox_each(struct gw_core *core, uint64_t after, gw_outbox_fn *fn, void *ctx);
GW_MUST enum gw_err gw_outbox_delete(struct gw_core *core, const uint64_t *seqs, size_t n);
