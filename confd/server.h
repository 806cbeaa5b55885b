#pragma once
#include <uv.h>
#include "confd/call.h"
#include "confd/login.h"
#include "confd/open.h"
#include "confd/publish.h"
#include "lib/sys/role.h"
#include "net/channel.h"
#include "shm/control.h"
#include "shm/revoke.h"

/* The process around the core: channels to the other roles, the queue of writes, what has been published and who uses it. */
enum {
	GW_CONFD_PEERS = GW_MAX_SLOTS + 2 * GW_ROLE_COUNT,
	GW_CONFD_QUEUE = 256, /* writes under way; further ones are told to come again */
	GW_CONFD_BATCH = 64, /* writes in one transaction */
	GW_CONFD_GROUP_MS = 2, /* how long the first one waits for company */
	GW_CONFD_DERIVING = 8, /* passwords being derived; further ones are told to come again */
	GW_CONFD_AUDITS = 4096, /* audit records on their way to the logger */
	GW_CONFD_TIMES = 1024 /* publications whose times are kept for the figures */
};

struct gw_token;
struct gw_peer {
	struct gw_channel *channel; /* NULL = free */
	enum gw_role role;
	uint32_t slot, epoch;
	uint64_t since_ms;
	uint64_t acked; /* generation it uses */
	bool needs_all; /* a message did not fit into its queue: send the whole set */
	double lease_tokens;
	uint64_t lease_ms;
};

/* What is published: one descriptor per image, kept for processes that start later. */
struct gw_set {
	uint64_t generation;
	bool is_there;
	struct gw_built image[GW_IMAGE_COUNT];
};

enum gw_wait_state { GW_WAIT_FREE, GW_WAIT_DERIVING, GW_WAIT_QUEUED, GW_WAIT_WORKERS };
struct gw_wait { /* one write */
	enum gw_wait_state state;
	struct gw_channel *channel; /* NULL: the asker is gone */
	uint64_t corr, deadline_at_ms, asked_ns;
	struct gw_call call; /* views into text */
	struct gw_buf text;
	struct gw_reply reply;
	struct gw_kdf kdf; /* DERIVING: its passwords, in a pool thread */
	uv_work_t work;
	struct gw_server *server;
};

struct gw_revoked {
	uint64_t hash, generation, since_ms;
};

struct gw_server {
	struct gw_role_start start;
	struct gw_core core;
	struct gw_core_opts opts;
	bool is_open; /* the store is ours */
	bool is_released; /* handed to the next binary */
	uv_loop_t loop;
	struct gw_channel *master;
	struct gw_peer peers[GW_CONFD_PEERS];
	struct gw_beats *beats;
	/* writes */
	struct gw_wait waits[GW_CONFD_QUEUE];
	unsigned queue[GW_CONFD_QUEUE]; /* QUEUED ones in order of arrival */
	unsigned n_queued, n_deriving;
	uv_timer_t group;
	/* images */
	struct gw_token *tokens; /* GW_TOKENS of them */
	uint64_t token_serial;
	struct gw_publisher *publisher;
	uv_async_t published;
	struct gw_set now, before;
	uint64_t refused; /* generation that a worker refused; 0 = none */
	char blocked[256];
	uint64_t committed_ns[64]; /* when generation g was committed, by g mod 64 */
	uint32_t times_us[GW_CONFD_TIMES]; /* commit to last acknowledgement */
	uint64_t n_times, seen_generation;
	uint64_t n_published, last_build_us;
	/* revocation */
	struct gw_revoke *revoke;
	struct gw_revoked *revoked; /* GW_REVOKE_CELLS of them */
	size_t n_revoked;
	/* audit */
	uint64_t audit_sent, audited[GW_CONFD_AUDITS];
	unsigned n_audit_out, n_audited;
	bool is_audit_all; /* send the whole outbox again */
	/* life */
	uv_timer_t tick, orphan, drain;
	uv_signal_t term;
	uint64_t n_ticks;
	bool is_draining, is_stopping, is_releasing, is_backing_up;
	uint64_t release_by_ms;
	char why[512];
};

/* peers.c */
void gw_peers_connect(struct gw_server *s, enum gw_role role, uint32_t slot, uint32_t epoch, int fd);
struct gw_peer *gw_peer_of(struct gw_server *s, const struct gw_channel *ch);
/* Where audit records go, or NULL. */
struct gw_peer *gw_peer_logger(struct gw_server *s);
void gw_peers_lease_drop(struct gw_server *s, struct gw_str id);
/* There is a newer token: ask for it, go on with the old one until then. */
void gw_peers_lease_renew(struct gw_server *s, struct gw_str id);
void gw_peers_close(struct gw_server *s);

/* queue.c */
void gw_queue_call(struct gw_server *s, struct gw_peer *from, struct gw_msg *m);
void gw_queue_flush(struct gw_server *s); /* commit what waits, now */
void gw_queue_check(struct gw_server *s); /* answers that became due: acknowledged, or late */
void gw_queue_channel_gone(struct gw_server *s, const struct gw_channel *ch);
bool gw_queue_is_idle(const struct gw_server *s);
void gw_queue_init(struct gw_server *s);

/* backup_call.c */
void gw_backup_call(struct gw_server *s, struct gw_peer *p, const struct gw_msg *m);

/* images.c */
void gw_images_attach(struct gw_server *s); /* hooks into the core, first publication */
void gw_images_published(struct gw_server *s);
void gw_images_send_all(struct gw_server *s, struct gw_peer *p);
void gw_images_acked(struct gw_server *s, struct gw_peer *p, const struct gw_msg *m);
/* Lowest generation that every live worker uses; UINT64_MAX without workers. */
uint64_t gw_images_applied(const struct gw_server *s);
/* JSON array of the slots that lag behind `generation`. */
void gw_images_lagging(const struct gw_server *s, uint64_t generation, struct gw_buf *out);
void gw_images_status(void *ctx, struct gw_json_out *w);
void gw_images_tick(struct gw_server *s);
void gw_set_drop(struct gw_set *set);

/* revocation.c */
void gw_revocation_open(struct gw_server *s);
void gw_revocation_commit(struct gw_server *s, const struct gw_effects *fx, uint64_t generation);
void gw_revocation_sweep(struct gw_server *s);

/* audit.c */
void gw_audit_connected(struct gw_server *s); /* a logger is there: everything again */
void gw_audit_pump(struct gw_server *s);
void gw_audit_done(struct gw_server *s, uint64_t seq, bool is_durable);
void gw_audit_flush(struct gw_server *s); /* deletes what is durable */
bool gw_audit_is_empty(struct gw_server *s);
