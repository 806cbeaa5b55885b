#pragma once
#include <uv.h>
#include "core/plan.h"
#include "lib/sys/role.h"
#include "net/channel.h"
#include "net/upstream.h"
#include "shm/control.h"
#include "shm/health.h"
#include "shm/image.h"

/* The agent: the gateway's own calls to providers. It probes new deployments until they pass once and answers `:test`.
 *
 *   images.c   image sets from confd, and which deployments they hold
 *   probe.c    one call to a deployment: credential, request, verdict
 *   token*.c   tokens and temporary keys, fetched for confd (token_fetch.h)
 *   main.c     start, channels, the schedule */
enum { GW_AGENT_DEPLOYMENTS = 4096, GW_AGENT_PROBES = 32, GW_AGENT_FETCHES = 32 };

/* A deployment as the schedule sees it. */
struct gw_ag_dep {
	char id[64];
	uint8_t id_n;
	uint64_t version, key; /* key of its health cell */
	uint64_t due_ms; /* next probe; 0 = none needed */
	uint32_t failures;
	bool is_running, is_present;
};

struct gw_agent {
	uv_loop_t loop;
	struct gw_role_start start;
	struct gw_beats *beats;
	struct gw_health *health;
	struct gw_channel *master, *confd, *admin;
	struct gw_upstream *upstream;
	struct gw_image_set images;
	struct gw_ag_dep deps[GW_AGENT_DEPLOYMENTS];
	uint32_t n_deps, n_running, n_fetching;
	uv_timer_t tick, orphan;
	bool had_images, is_stopping;
};

/* images.c */
void gw_agent_image(struct gw_agent *ag, struct gw_msg *m);
struct gw_rows gw_agent_rows(struct gw_agent *ag);

/* probe.c: one call; fn is told once. is_test: a one-token chat call whatever the row's probe says. */
struct gw_ag_result {
	enum gw_err err;
	int status;
	uint64_t us;
	struct gw_str detail, model;
	int64_t skew_s; /* the provider's clock less ours; 0 = it does not say */
};
typedef void gw_ag_probe_fn(void *ctx, const struct gw_ag_result *r);
GW_MUST enum gw_err gw_agent_probe(struct gw_agent *ag, struct gw_str deployment, bool is_test, gw_ag_probe_fn *fn,
				   void *ctx);

/* token.c: one token for confd */
void gw_agent_token(struct gw_agent *ag, struct gw_msg *m);

/* main.c */
void gw_agent_reschedule(struct gw_agent *ag);
int gw_agent_main(void);
