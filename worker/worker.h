#pragma once
#include <uv.h>
#include "core/plan.h"
#include "core/usage.h"
#include "lib/buf.h"
#include "lib/sys/role.h"
#include "lib/text.h"
#include "net/channel.h"
#include "net/h1_server.h"
#include "net/upstream.h"
#include "shm/control.h"
#include "shm/health.h"
#include "shm/image.h"
#include "shm/inflight.h"
#include "shm/revoke.h"
#include "shm/ring.h"
#include "shm/slot.h"
#include "worker/edge.h"
#include "worker/memo.h"
#include "worker/tls.h"

/* One worker process: everything it owns. There is exactly one, made in worker/main.c; other files get a pointer to it.
 *
 *   main.c       start, channels, drain, death        images.c   taking image sets into service
 *   front.c      HTTP server callbacks -> requests    leases.c   credential plaintext from confd
 *   req.c        a request's birth and end            req_fsm.c  the step engine, rows in req_steps.def
 *   relay.c      upstream callbacks -> events         record_out.c  START and END records
 *   tick.c       deadlines, beats, gauges             memo.c     subjects and plans remembered
 *   tls.c        certificates of the TLS listener     edge.c     proxies before us, web pages that may call
 *   steps/       one file a step */
struct gw_req;
struct gw_lease;

/* Requests of one key under way, for the concurrency ceiling. Open addressing by key index, power of two. */
struct gw_key_load {
	uint64_t hash;
	uint32_t n;
};
enum { GW_KEY_LOADS = 16384 };

/* Labels of metrics to their cell (see steps/account.c). */
enum { GW_CELL_MEMOS = 64, GW_CELL_MEMO_BYTES = 232 };
struct gw_cell_memo {
	struct gw_cell *cell;
	size_t n;
	char text[GW_CELL_MEMO_BYTES];
};

/* Which deployment answers for a key where no model is named (see steps/route.c). */
enum gw_route_verdict { GW_ROUTE_FOUND, GW_ROUTE_PROVIDERS, GW_ROUTE_CREDENTIALS, GW_ROUTE_MODELS };
struct gw_route_memo {
	uint64_t generation, hash; /* generation 0: nothing remembered */
	uint8_t key_index[32];
	enum gw_route_verdict verdict;
	char asked_provider[64], asked_deployment[64]; /* what the client named */
	char deployment[64], provider[64], credential[64]; /* what was found; "" = nothing */
};
enum { GW_ROUTE_MEMOS = 64 };

/* What is picked out of a reply, or out of one event of a stream. */
struct gw_picks {
	struct gw_picks *next;
	struct gw_scan_value values[GW_UP_PATHS];
};

struct gw_worker {
	uv_loop_t loop;
	struct gw_role_start start;
	uint32_t slot, epoch;

	/* shared memory */
	const struct gw_control *control;
	struct gw_slot *page;
	struct gw_ring_writer ring;
	struct gw_inflight *inflight;
	struct gw_inflight_free inflight_free;
	const struct gw_revoke *revoke;
	const struct gw_health *health;

	/* channels; NULL while the peer is away */
	struct gw_channel *master, *confd, *logger;

	/* config */
	struct gw_image_set images;
	struct gw_image_job *image_jobs; /* sets on their way in; the first is being hashed */
	struct gw_hmac *pepper;
	struct gw_memos memos; /* what is remembered of the images */
	struct gw_route_memo routes[GW_ROUTE_MEMOS];
	struct gw_cf_limits { /* settings "default", read at each swap */
		uint64_t max_body_bytes, max_in_flight_per_key, retries, hold_ms;
		bool server_timing;
		uint64_t max_upload_bytes;
	} limits;

	/* sockets */
	struct gw_edge edge;
	struct gw_worker_tls tls;
	struct gw_h1_server *server;
	struct gw_upstream *upstream;

	/* requests */
	struct gw_req *active; /* doubly linked */
	uint32_t n_active, n_streams, n_begun;
	struct gw_req *pool; /* free ones */
	struct gw_picks event_picks; /* of the event under way, whichever stream's it is */
	struct gw_picks *spare_picks; /* for whole replies, which come in pieces */
	uint32_t n_spare_picks;
	uint32_t n_pool, peak_active; /* peak: most under way at a full second, since memory was given back */
	uint32_t quiet_seconds; /* since then fewer than half of that */
	struct gw_key_load *loads;
	struct gw_lease *leases;
	uint32_t n_leases, n_asking;
	struct gw_lease_ahead { /* walk over the credentials of the image, to lease those that nobody needed yet */
		uint64_t generation;
		char after[64];
		uint8_t after_n;
		bool is_under_way, is_at_end,
		    is_short; /* short: confd did not answer for some; again at the next tick */
	} ahead;
	struct gw_uuid7 uuid;
	uint64_t rng; /* xorshift state for picking; not for secrets */

	/* record hand-over */
	uint64_t told_head; /* ring position that the logger was told of */
	uint64_t untold_since_ms;
	struct gw_buf pack; /* scratch for packing records */
	struct gw_cell_memo cell_memo[GW_CELL_MEMOS];

	uv_timer_t tick, orphan, drain;
	uv_prepare_t turn_end;
	uint64_t ticks;
	bool has_leases; /* has asked for all credentials once */
	bool is_ready, is_draining, is_stopping;
};

/* images.c */
void gw_worker_image(struct gw_worker *w, struct gw_msg *m);
/* Rows out of the present images; valid until the next call. */
struct gw_rows gw_worker_rows(struct gw_worker *w);
void gw_worker_images_done(struct gw_worker *w);

/* leases.c */
enum gw_err gw_lease_init(struct gw_worker *w);
/* The secret of this credential version, or NULL with the request parked until it comes (then gw_req_run is called). */
struct gw_secret *gw_lease_get(struct gw_worker *w, struct gw_str credential, uint64_t version, bool want_next,
			       struct gw_req *waiter);
void gw_lease_forget_waiter(struct gw_worker *w, const struct gw_req *waiter);
/* The provider refused the token that was leased: who asks next waits for a newer one. */
void gw_lease_refused(struct gw_worker *w, struct gw_str credential, const struct gw_secret *which);
/* is_renewed: there is a newer token, this one is good until it comes. */
void gw_lease_drop(struct gw_worker *w, struct gw_str credential, bool is_renewed);
void gw_lease_tick(struct gw_worker *w, uint64_t now_ms);
void gw_lease_pepper(struct gw_worker *w);
/* Leases those credentials of the present image that nobody needed yet, a few at a time. */
void gw_lease_ahead(struct gw_worker *w);

/* front.c */
extern const struct gw_h1_ops gw_front_ops;

/* record_out.c */
enum gw_err gw_record_start(struct gw_req *r);
void gw_record_end(struct gw_req *r);
void gw_record_flush(struct gw_worker *w, bool is_forced);

/* tick.c */
void gw_tick_start(struct gw_worker *w);
/* Every request under way ends now, with this error and its record. */
void gw_tick_end_all(struct gw_worker *w, enum gw_err e);

/* main.c: readiness may have changed (images, pepper). */
void gw_worker_check_ready(struct gw_worker *w);
