#pragma once
#include "core/config.h"
#include "core/price.h"
#include "core/provider.h"
#include "lib/arena.h"

/* What the resolve step copies out of the images into the request's arena: subjects, candidates, prices, policies.
 * Nothing in it points into an image. Ceiling 16 KiB. Retries and long streams use only this. */
enum { GW_PLAN_MAX_BYTES = 16384, GW_PLAN_MAX_CANDIDATES = 16 };

/* Who asks: from the key row. */
struct gw_subject {
	uint8_t key_index[32];
	struct gw_str key, org, team, user;
	struct gw_strs key_models, team_models; /* access lists, "prefix*" allowed; empty = all */
	int64_t expires_at_us; /* of the key, 0 = never */
	bool may_relay_raw;
	bool is_strict; /* of the key, its team or its org: nothing of a request may be left out */
};
/* One deployment that may answer. */
struct gw_candidate {
	struct gw_str deployment, provider, credential, upstream_model, region;
	uint64_t deployment_version; /* with the id: key of the health cell */
	uint64_t credential_version, credential_next_version;
	uint32_t weight, priority, provider_type; /* row of providers.def */
	bool is_probe_needed; /* pending until its first healthy probe */
	/* how it authenticates (core/auth.h) */
	enum gw_auth_kind auth; /* what its credential does */
	enum gw_auth_kind key_auth; /* what an API key would do at this provider */
	struct gw_str auth_name; /* of HEADER and QUERY */
	struct gw_str sign_region; /* of SIGV4 */
	bool is_token; /* what is leased is fetched and ends: wait longer for it, fetch it anew when it is refused */
	struct gw_str provider_region;
	bool is_regional; /* the host depends on the deployment's region */
	struct gw_str resource, project, location, api_version; /* of the provider, "" where it has none */
	const struct gw_price *prices; /* what may be billed, see gw_price_at; the first that holds does */
	uint32_t n_prices;
	bool is_base_model; /* the operator has said which model it is: a reply's own name for it is not asked */
	struct gw_str
	    priced_model; /* the name that prices are looked up by: base_model, or upstream_model; NIL where the deployment says its price */
	/* endpoint */
	bool is_https;
	struct gw_str host, base_path; /* base_path "" or "/v1" */
	uint16_t port;
	struct gw_str ca_pem;
	struct gw_strs allow_private;
	uint32_t max_connections;
	uint64_t queue_ms, connect_ms, first_token_ms, idle_ms, total_ms;
	uint64_t policy; /* hash of all that shapes the pool */
	bool wants_h2, proxy_is_https;
	struct gw_str proxy_host; /* "" = none */
	uint16_t proxy_port;
	struct gw_str proxy_credential;
	uint64_t proxy_credential_version;
};
struct gw_plan {
	uint64_t generation;
	struct gw_str model; /* object id after aliases */
	struct gw_str name; /* of the model that was asked for, before aliases: what access lists are about */
	uint32_t n_candidates;
	struct gw_candidate *candidates;
	uint32_t retries, hold_ms;
	bool server_timing;
	bool is_strict; /* of the model, an alias on the way to it, or the settings */
};

/* Where rows come from (an image set in workers, a map in tests). Views valid until the next call. */
struct gw_rows {
	void *ctx;
	enum gw_err (*object)(void *ctx, enum gw_cf_kind kind, struct gw_str id, struct gw_str *row);
	/* id of the model object of this name in this tenant ("" platform, "o:org", "t:team") */
	enum gw_err (*model)(void *ctx, struct gw_str tenant, struct gw_str name, struct gw_str *id);
	/* all rows of a kind, until fn returns false; may be NULL: there are none */
	enum gw_err (*each)(void *ctx, enum gw_cf_kind kind, bool (*fn)(void *arg, struct gw_str row), void *arg);
};
/* Key row → subject, with all reasons to refuse it: KEY_DISABLED (key, user, team or org disabled), KEY_EXPIRED, FORBIDDEN (admin key). */
GW_MUST enum gw_err gw_plan_subject(struct gw_arena *a, const struct gw_rows *rows, struct gw_str key_row,
				    int64_t now_us, const uint8_t key_index[32], struct gw_subject *out);
/* Model name → plan: visible in team, org, then platform; access lists of model, team and key; alias chain <= 8; disabled parts
 * left out. MODEL_NOT_FOUND (also when it is another tenant's), MODEL_DENIED, MODEL_DOWN (no enabled deployment), NOMEM. */
GW_MUST enum gw_err gw_plan_resolve(struct gw_arena *a, const struct gw_rows *rows, const struct gw_subject *s,
				    struct gw_str name, struct gw_plan *out);
/* The model object of this name that the subject sees first: its team's, its org's, the platform's; disabled ones are passed over.
 * MODEL_NOT_FOUND. For GET /v1/models: a name is listed once, as what it resolves to. */
GW_MUST enum gw_err gw_plan_find(const struct gw_rows *rows, struct gw_arena *a, const struct gw_subject *s,
				 struct gw_str name, struct gw_cf_model *model);
/* May this subject use this model object (its row)? For GET /v1/models. */
GW_MUST enum gw_err gw_plan_may_use(const struct gw_rows *rows, const struct gw_subject *s,
				    const struct gw_cf_model *m);
/* The part of it that depends on the subject's own lists, for a plan that was made for another key of the same org and team: MODEL_DENIED. */
GW_MUST enum gw_err gw_plan_may_call(const struct gw_subject *s, struct gw_str name);
/* "gpt-*" or exact. Empty list: true. */
bool gw_access_list_has(const struct gw_strs *list, struct gw_str name);
/* The candidate of one deployment, whoever asks: for probes and `:test`. *probe gets the word's index of field deployment.probe
 * (0 models, 1 chat, 2 none). GW_E_NOT_FOUND: it, its provider or its credential is disabled or gone. */
GW_MUST enum gw_err gw_plan_one(struct gw_arena *a, const struct gw_rows *rows, struct gw_str deployment,
				struct gw_plan *out, uint32_t *probe);
