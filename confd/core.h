#pragma once
#include "confd/store.h"
#include "core/config.h"
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/crypto.h"
#include "lib/json.h"
#include "lib/json_write.h"
#include "lib/secret.h"

/* What every file of confd shares: the open store and keyring, one call on its way through, and what a commit makes
 * happen outside of the store. Nothing here knows channels or the event loop, so tests drive it in one process. */
struct gw_keyring;
struct gw_login;
struct gw_yaml_pos;

/* What is to be done once a transaction is durable. */
struct gw_effects {
	bool is_config_changed; /* served objects other than keys */
	struct gw_buf keys; /* 32-byte indexes of keys whose row changed */
	struct gw_buf revoke; /* u64 hashes to be refused from now on */
	struct gw_buf unrevoke; /* u64 hashes that are welcome again */
	struct gw_buf drop; /* credential ids, each ended by NUL: workers wipe their lease */
	bool has_audit; /* the outbox got something */
};
struct gw_effects_mark {
	bool is_config_changed, has_audit;
	size_t keys, revoke, unrevoke, drop;
};
void gw_effects_init(struct gw_effects *fx);
void gw_effects_done(struct gw_effects *fx);
struct gw_effects_mark gw_effects_mark(const struct gw_effects *fx);
void gw_effects_reset(struct gw_effects *fx, struct gw_effects_mark m);

struct gw_core {
	struct gw_store *store;
	struct gw_keyring *keyring;
	struct gw_login *login; /* who was used when, whose passwords fail (confd/login.h) */
	struct gw_effects fx;
	uint64_t drain_ms; /* how long an old credential version stays leasable */
	const char *blocked; /* why writes are refused at present, or NULL */
	void (*beat)(void *ctx); /* called now and then during long work; may be NULL */
	void *beat_ctx;
	/* The publisher hears of changes before they are committed (it may build a little too much, never too little); the
	 * process does the rest when they are durable. fx is emptied afterwards. May be NULL. */
	void (*before_commit)(void *ctx, const struct gw_effects *fx, uint64_t generation);
	void (*after_commit)(void *ctx, const struct gw_effects *fx, uint64_t generation);
	void *commit_ctx;
	void (*republish)(void *ctx); /* builds all images anew; may be NULL; with commit_ctx */
	/* more for the answer of `status`: members of a JSON object, put by the process around the core; may be NULL */
	void (*status)(void *ctx, struct gw_json_out *w);
	void *status_ctx;
	uint64_t leases_answered, leases_refused;
	struct gw_ticket_keys { /* of the TLS listener, the same for all workers; only in memory */
		struct gw_secret *now, *before;
		uint64_t made_ms, version;
	} tickets;
};

/* One grant of a caller. Views into the actor JSON's tree. */
enum gw_grant_role {
	GW_GRANT_VIEWER,
	GW_GRANT_PLATFORM_ADMIN,
	GW_GRANT_ORG_ADMIN,
	GW_GRANT_TEAM_ADMIN,
	GW_GRANT_MEMBER,
	GW_GRANT_AUDITOR
}; /* in the order of role_binding.role */
struct gw_grant {
	enum gw_grant_role role;
	struct gw_str org, team;
};
enum { GW_ACTOR_GRANTS = 32 };
struct gw_actor {
	struct gw_str key, user, source, request_id, route;
	struct gw_grant grants[GW_ACTOR_GRANTS];
	unsigned n_grants;
};

struct gw_used_by {
	enum gw_cf_kind kind;
	struct gw_str id;
};
enum { GW_MAX_USED_BY = 20 };
/* Why a call failed, in words for people. */
struct gw_problem {
	enum gw_err err;
	struct gw_str message;
	struct gw_cf_faults faults;
	struct gw_used_by used_by[GW_MAX_USED_BY];
	unsigned n_used_by;
	struct gw_str results; /* JSON array: of each item of a bulk call that was not done */
};

/* One call on its way. Memory of the call is in `arena`; trees are freed with it. */
struct gw_doc_node {
	yyjson_doc *doc;
	struct gw_doc_node *next;
};
struct gw_ctx {
	struct gw_core *core;
	struct gw_txn *txn;
	struct gw_arena arena;
	struct gw_doc_node *docs;
	struct gw_actor actor;
	struct gw_problem problem;
	int64_t now_us;
	bool is_dry_run, is_create_only, is_yaml;
	bool is_raised; /* this call has raised the generation: one call, one generation */
	uint64_t if_match; /* 0 = any */
	int doc; /* number of the document in a stream, -1 = no stream: pointers begin with it */
	struct gw_yaml_pos *pos; /* of a YAML body */
	const char *pos_base; /* where the documents begin in it: "" or "/0/items" */
	/* the answer */
	int status; /* 200 or 201 */
	uint64_t generation, version;
	struct gw_json_out out;
};
enum { GW_CALL_MEMORY = 512 << 20 }; /* ceiling of one call's arena */

void gw_ctx_init(struct gw_ctx *c, struct gw_core *core);
void gw_ctx_done(struct gw_ctx *c);
/* A tree that lives as long as the call. Stored text is trusted to be JSON; GW_E_CORRUPT when it is not. */
GW_MUST enum gw_err gw_ctx_tree(struct gw_ctx *c, struct gw_str stored, yyjson_val **out);
/* Remembers a tree that somebody else read. */
GW_MUST enum gw_err gw_ctx_keep(struct gw_ctx *c, yyjson_doc *doc);
/* Records the problem and gives the code back: `return gw_fail(c, GW_E_CONFLICT, "...", ...)`. */
enum gw_err gw_fail(struct gw_ctx *c, enum gw_err e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Adds a fault at a field; the first one names the whole. */
enum gw_err gw_fault(struct gw_ctx *c, enum gw_err e, struct gw_str pointer, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
