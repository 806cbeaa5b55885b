#pragma once
#include <uv.h>
#include "core/config.h"
#include "core/record.h"
#include "lib/sys/role.h"
#include "lib/text.h"
#include "net/channel.h"
#include "net/h1_server.h"
#include "shm/control.h"
#include "shm/counters_read.h"
#include "shm/trail.h"
#include "shm/health.h"

/* The admin process: HTTP API, /metrics, log queries. It decides who may call what (routes.c, authn.c); confd decides about objects.
 *
 *   request -> route (one static table) -> authenticate -> role and scope -> handler -> answer
 *
 *   main.c     start, channels                    routes.c   schemas/routes.def as a table, matching
 *   serve.c    HTTP callbacks, answers            authn.c    token -> principal, cached for a second
 *   objects.c  everything that is a CALL to confd activate.c waiting for a deployment's first probe
 *   status.c   processes, workers, crashes        metrics.c  /metrics
 *   query.c    log queries, in a pool thread      tail.c     log tail as server-sent events
 *   refused.c  audit of refused calls               session.c  signing in and out with a password
 *   limits.c   rates of callers and of addresses    backup.c   POST backup */
enum gw_adm_roles {
	GW_ADM_P = 1,
	GW_ADM_O = 2,
	GW_ADM_T = 4,
	GW_ADM_M = 8,
	GW_ADM_V = 16,
	GW_ADM_A = 32,
	GW_ADM_NONE = 0
};
enum gw_adm_scope { GW_ADM_TENANT, GW_ADM_PLATFORM, GW_ADM_OWN };
enum gw_adm_body { GW_ADM_BODY_NONE, GW_ADM_BODY_OBJECT, GW_ADM_BODY_PATCH, GW_ADM_BODY_JSON };
enum gw_adm_audit { GW_ADM_READ, GW_ADM_WRITE };

struct gw_admin;
struct gw_adm_req;
typedef void gw_adm_handler_fn(struct gw_adm_req *q);
struct gw_adm_route {
	const char *name;
	enum gw_h1_method method;
	const char *path;
	unsigned roles;
	enum gw_adm_scope scope;
	enum gw_adm_body body;
	enum gw_adm_audit audit;
	gw_adm_handler_fn *run;
	const char *doc;
};
extern const struct gw_adm_route gw_adm_routes[];
extern const unsigned gw_adm_n_routes;

/* One principal role as confd told it. */
struct gw_adm_grant {
	unsigned role;
	struct gw_str org, team;
};
struct gw_adm_principal {
	struct gw_str key, json; /* json: confd's answer, an object */
	struct gw_adm_grant grants[16];
	unsigned n_grants;
};

struct gw_adm_req {
	struct gw_admin *ad;
	struct gw_h1_conn *conn; /* NULL once the client is gone */
	const struct gw_h1_request *rq; /* valid while conn is */
	const struct gw_adm_route *route;
	struct gw_str kind_text, id; /* decoded */
	enum gw_cf_kind kind;
	struct gw_arena arena;
	struct gw_adm_principal who;
	uint64_t if_match;
	uint8_t sha[32]; /* SHA-256 of the token */
	uint64_t retry_ms; /* with 429: Retry-After */
	char request_id[36];
	struct gw_str body;
	/* what a handler keeps between its turns */
	void *state;
	uv_timer_t *timer;
	char block[8192];
};

struct gw_adm_cached {
	uint8_t sha[32];
	uint64_t until_ms;
	uint64_t
	    good_ms; /* when it was let in last: such a token is asked about although its address is over its limit */
	int64_t expires_us; /* 0 = never */
	uint32_t n;
	char json[1500];
};
enum { GW_ADM_CACHE = 64, GW_ADM_TAILS = 32, GW_ADM_BUCKETS = 1024 };
enum { GW_ADM_SOURCES = 64 };
struct gw_adm_source { /* unauthenticated calls of one address; the last cell is all others together */
	char text[48];
	uint64_t n;
};
struct gw_adm_bucket {
	double left;
	uint64_t at_ms;
};

struct gw_admin {
	uv_loop_t loop;
	struct gw_role_start start;
	struct gw_beats *beats;
	const struct gw_control *control;
	struct gw_health *health;
	struct gw_slots slots;
	struct gw_cells *cells;
	struct gw_channel *master, *confd, *logger, *agent, *exporter;
	struct gw_h1_server *server;
	struct gw_adm_cached cache[GW_ADM_CACHE];
	struct gw_uuid7 uuid;
	struct gw_adm_bucket callers[GW_ADM_BUCKETS], sources[GW_ADM_BUCKETS];
	struct gw_adm_source unauthenticated[GW_ADM_SOURCES];
	uint64_t rate, failures; /* of the settings: calls a second, failures a minute */
	bool is_reading_settings;
	uint64_t n_unauthenticated, n_refused, n_throttled, audit_seq;
	char segments[512], index[512];
	struct gw_export *export; /* the exporter's page; NULL until it is there */
	struct gw_trail *trail; /* the logger's, the same */
	uint64_t n_index_faults;
	uint32_t n_tails, n_queries, n_exports, n_usages, n_open, n_backups;
	uv_timer_t tick, orphan, drain;
	uint64_t ticks;
	uint64_t tls_generation, tls_ticks; /* generation of the certificate in use */
	bool has_tls_answer, is_listening_tls;
	bool is_stopping, is_draining, is_asking_tls;
};

/* routes.c: methods that a path has, for the Allow header: "GET, HEAD, PUT". Into out. */
void gw_adm_route_allow(struct gw_arena *a, struct gw_str path, struct gw_buf *out);
/* routes.c: path without query. GW_E_NO_ROUTE, GW_E_BAD_METHOD, GW_E_NOT_FOUND (no such kind). Fills route, kind, id of q. */
GW_MUST enum gw_err gw_adm_route_find(struct gw_arena *a, enum gw_h1_method m, struct gw_str path,
				      const struct gw_adm_route **out, struct gw_str *kind, struct gw_str *id);

/* serve.c */
extern const struct gw_h1_ops gw_adm_ops;
void gw_adm_answer(struct gw_adm_req *q, int status, struct gw_str type, struct gw_str body, uint64_t version,
		   uint64_t generation);
/* Error in the admin shape {"error":{"name","message"}}; refused authenticated calls are audited. Ends the request. */
void gw_adm_fail(struct gw_adm_req *q, enum gw_err e, struct gw_str message);
void gw_adm_end(struct gw_adm_req *q); /* frees; after the answer, or when the client is gone */
/* Value of a query parameter, decoded, in the arena; false when absent. */
bool gw_adm_param(struct gw_adm_req *q, const char *name, struct gw_str *out);

/* limits.c: 0 = go on, else how long to wait, in ms. `failed`: has_failed counts one, else it is only looked. */
uint64_t gw_adm_limit_call(struct gw_admin *ad, struct gw_str caller);
uint64_t gw_adm_limit_failed(struct gw_admin *ad, struct gw_str source, bool has_failed);
void gw_adm_limit_seen(struct gw_admin *ad, struct gw_str source); /* one more unauthenticated call from there */
void gw_adm_limits_read(struct gw_admin *ad); /* the figures, from confd */

/* objects.c: a question to confd in the caller's name; its answer is the request's. ms 0 = the usual patience. */
/* activate.c: a page of deployments as confd lists them becomes their health. */
void gw_adm_dep_health_page(struct gw_adm_req *q, struct gw_str list);
void gw_adm_call(struct gw_adm_req *q, const char *method, struct gw_str body, uint64_t more_flags, uint64_t ms);
struct gw_str gw_adm_actor(struct gw_adm_req *q); /* the caller as confd wants it */
struct gw_str gw_adm_body_with_id(struct gw_adm_req *q); /* the path's id in front; NIL: answered */

/* authn.c: calls gw_adm_authorized(q) or answers. */
void gw_adm_authenticate(struct gw_adm_req *q);
void gw_adm_forget(struct gw_admin *ad); /* verdicts of before a change */
void gw_adm_authorized(struct gw_adm_req *q); /* serve.c */
/* Roles and scope of the route against the principal. */
GW_MUST enum gw_err gw_adm_may(const struct gw_adm_route *route, const struct gw_adm_principal *who);
/* The widest grant among `roles`: platform (org "") beats org beats team. NULL when there is none. */
const struct gw_adm_grant *gw_adm_widest(const struct gw_adm_principal *who, unsigned roles);
unsigned gw_adm_role_bit(struct gw_str name);

/* tls.c */
void gw_adm_tls_tick(struct gw_admin *ad); /* 500 ms */
void gw_adm_tls_listen(struct gw_admin *ad); /* once it may and knows what to show */
/* Where the call came from, for the audit: address, and the verified subject of a client certificate. NIL: client gone. */
struct gw_str gw_adm_source(struct gw_adm_req *q);

/* refused.c */
void gw_adm_audit_refused(struct gw_adm_req *q, enum gw_err e, int status);

/* activate.c: answers now or when the deployment passed its first probe (at most 5 s). */
void gw_adm_activate(struct gw_adm_req *q, int status, struct gw_str object, uint64_t version, uint64_t generation);
/* The same for all deployments that config:apply changed; body is confd's answer. */
void gw_adm_activate_many(struct gw_adm_req *q, int status, struct gw_str body, uint64_t generation);

/* handlers by route name */
#define GW_ROUTE(name, method, path, roles, scope, body, audit, doc) gw_adm_handler_fn gw_adm_##name;
#include "schemas/routes.def"
#undef GW_ROUTE
int gw_admin_main(void);
