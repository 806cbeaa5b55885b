#pragma once
#include <uv.h>
#include "lib/segment_retired.h"
#include "lib/sys/role.h"
#include "net/channel.h"
#include "shm/control.h"
#include "shm/inflight.h"
#include "shm/ring.h"
#include "shm/slot.h"
#include "shm/trail.h"

/* The logger: records of all workers (their rings) and admin acts (confd, admin) into hash-chained segments.
 *
 *   recv.c     frames from the rings, in sequence, into the batch
 *   append.c   the batch into blocks: write, fdatasync, then the ring's tail moves
 *   store.c    segment files: what an earlier logger left, new ones, rotation, disk full
 *   recover.c  END for what dead workers left unfinished
 *   retain.c   removal of old segments: what is due, its record, its tombstone
 *   examine.c  reading an old segment whole before it goes
 *   main.c     start, channels, signing key, the clock
 *
 * A record counts when it is durable; only then is its ring space given back or its sender answered. */

/* Durable and seen position of one (slot, epoch). */
struct gw_lg_mark {
	uint32_t epoch;
	uint64_t seq;
};

/* How far one incarnation of a slot has come, and the requests of its own last START and END. */
struct gw_lg_epoch {
	struct gw_lg_mark mark;
	uint8_t last_start[16], last_end[16];
};
enum { GW_LG_PRIORS = 16 }; /* a worker in a crash loop may begin this often while no logger runs */

/* One worker slot that this logger serves. */
struct gw_lg_slot {
	bool is_owned;
	int slot;
	struct gw_ring_shared *ring;
	struct gw_inflight *inflight;
	struct gw_slot *page;
	struct gw_ring_reader reader;
	struct gw_lg_epoch seen; /* last one taken into a batch */
	struct gw_lg_epoch prior[GW_LG_PRIORS]; /* the incarnations before it, overwritten in turn */
	uint32_t n_prior;
	uint64_t seen_at; /* ring position after it */
	bool is_dirty; /* took something since the last durable moment */
	uint64_t idle_head; /* ring head at the last poll: unchanged and unread = nobody sends, take it from the ring */
	uint32_t gone_epoch; /* a worker of this epoch died: recover when the ring is read */
	uint32_t looked_epoch; /* live epoch and silence at the last look for dead entries */
	bool looked_stale;
	uint32_t n_orphaned; /* looks in a row that found its logger dead */
	bool is_settled; /* its logger is dead and nothing is left to do */
};

enum { GW_LG_SPANS = 64 };
/* One class of segments, its open file and what must still become durable. */
struct gw_lg_file {
	enum gw_seg_class cls;
	int fd; /* -1 = none open */
	uint64_t segment_no, offset;
	int64_t opened_us;
	struct gw_seg_writer chain; /* after the last durable block */
	uint8_t prev_hash[32];
	struct gw_buf
	    frames; /* payload of the block under way: kept until it is durable, so that it can go to another file */
	uint32_t n_frames;
	int64_t first_us, last_us;
	struct gw_buf out; /* header not written yet, and the block of one flush */
	uint64_t blocks_since_checkpoint;
	int64_t checkpoint_us;
	struct gw_seg_span spans[GW_LG_SPANS], batch_spans[GW_LG_SPANS]; /* of the file; of frames */
	uint32_t n_spans, n_batch_spans;
	int64_t spend_nanousd;
	uint64_t n_records;
	int64_t batch_cost; /* of frames */
};

/* An audit sender that waits for durability. */
struct gw_lg_wait {
	struct gw_channel *ch;
	uint64_t corr;
};
enum { GW_LG_WAITS = 4096, GW_LG_IDS = 65536, GW_LG_BATCH_MS = 8 /* group commit */ };

/* A segment file by its name. */
struct gw_lg_found {
	char name[96];
	uint64_t no;
	enum gw_seg_class cls;
};

/* An old segment that was read whole before it may go (examine.c). */
struct gw_lg_exam {
	bool is_busy, is_damaged;
	const char *what; /* damaged: a literal */
	struct gw_seg_info info;
	struct gw_seg_verdict verdict;
	int64_t first_us, last_us;
	struct gw_seg_span spans[GW_RETIRED_SPANS];
	uint32_t n_spans;
	uint8_t links[GW_RETIRED_LINKS][32]; /* hashes in the middle of it that another segment continues */
	uint32_t n_links;
	uint8_t signed_hash[32], signature[64]; /* of its last checkpoint */
	bool is_signed;
};

/* What operators set (settings object). */
struct gw_lg_keep {
	uint64_t days, max_bytes, admin_days;
	bool is_known; /* confd has been asked; nothing is removed before */
};
enum gw_lg_retain_step { GW_LG_REST, GW_LG_SCAN, GW_LG_RECORD, GW_LG_REMOVE };

/* One removal at a time: scan (pool thread) -> record in the class admin, made durable -> tombstone and unlink (pool thread). */
struct gw_lg_retain {
	uv_work_t work;
	enum gw_lg_retain_step step;
	bool is_working, has_lock; /* lock: one logger removes, also during an upgrade */
	int lock_fd;
	uint64_t next_ms, asked_ms;
	struct gw_lg_keep keep, wanted; /* of this turn; as confd told last */
	struct gw_trail *page;
	struct gw_export *index;
	/* the turn: asked */
	int dir_fd;
	int64_t now_us;
	uint64_t unread_no; /* 0 = not known */
	bool is_short, wants_reserve;
	/* found */
	struct gw_lg_found due;
	bool has_due, is_left, is_held, is_unread, has_reserve; /* is_left: its tombstone stands already */
	enum gw_retired_why why;
	uint64_t due_bytes, n_files, bytes, free_bytes;
	int64_t oldest_us;
	struct gw_lg_exam exam;
	char damaged[96]; /* name of the one that is due and damaged, "" = none */
	const char *damage;
	uint8_t (*needed)[32]; /* what the class's other segments continue */
	size_t n_needed;
	struct gw_buf old, made; /* the file of tombstones */
	enum gw_err err;
	uint64_t seq; /* own numbering of records */
};

struct gw_logger {
	uv_loop_t loop;
	struct gw_role_start start;
	struct gw_beats *beats;
	struct gw_channel *master, *confd, *admin;
	struct gw_channel *workers[GW_MAX_SLOTS];
	struct gw_lg_slot slots[GW_MAX_SLOTS];
	struct gw_lg_file request, admin_file;
	int dir_fd; /* segment folder */
	uint8_t node[16], writer[16];
	struct gw_signer *signer;
	uint8_t public_key[65];
	bool may_open; /* the signing key is here, or we waited long enough */
	uint64_t confd_seq, refused_seq; /* last change_seq taken; own numbering of refused acts */
	uint64_t confd_refused; /* change_seq that found no room: none after it is taken before it; 0 = none */
	struct gw_lg_wait waits[GW_LG_WAITS];
	uint32_t n_waits;
	uint8_t (*ended_ids)[16]; /* synthetic ENDs found in the last segments: not written twice */
	uint32_t n_ended_ids;
	struct gw_buf scratch, pack;
	uv_timer_t tick, batch_end, orphan;
	uint64_t ticks, started_ms, batch_since_ms, retry_at_ms;
	uint64_t flushed_ms; /* the last try to write */
	bool is_draining, is_stopping, has_reserve;
	struct gw_lg_retain retain;
};

/* The slots that are not workers: admin acts by confd, refused acts by admin, removals by retention. */
enum { GW_LG_SLOT_CONFD = 255, GW_LG_SLOT_ADMIN = 254, GW_LG_SLOT_SELF = 253 };
/* Newest files of a class that a starting logger reads to know what is durable: they are never removed. */
enum { GW_LG_STOCK_FILES = 4 };

/* store.c */
void gw_lg_store_open(struct gw_logger *l);
/* What other loggers have made durable since the start: before their slots are taken over. */
void gw_lg_store_look_again(struct gw_logger *l);
/* Ready for appending: an open file with room; false when it cannot be (disk full, key not here yet). */
bool gw_lg_file_ready(struct gw_logger *l, struct gw_lg_file *f);
void gw_lg_file_close(struct gw_logger *l, struct gw_lg_file *f); /* footer, cut to size */
/* The file is suspect (failed write or sync): never written again. */
void gw_lg_file_abandon(struct gw_lg_file *f);
void gw_lg_release_reserve(struct gw_logger *l);
bool gw_lg_make_reserve(int dir_fd);
/* Segment files of both classes, oldest first; free it. */
struct gw_lg_found *gw_lg_list(int dir_fd, size_t *n);
/* A writer holds a lock on its file for as long as it may append to it: only what nobody writes may be cut or removed. */
bool gw_lg_is_written_by_another(int fd);

/* retain.c */
void gw_lg_retain(struct gw_logger *l); /* each half second: a step, when there is one to do */
/* Its two halves, for tests: what is due, and its removal. On any thread. */
void gw_lg_retain_scan(struct gw_lg_retain *r);
void gw_lg_retain_remove(struct gw_lg_retain *r);
/* Between them: signatures, and the new file of tombstones. False: it stays. */
bool gw_lg_retain_prepare(struct gw_logger *l);

/* examine.c: needed = hashes that other segments continue. */
void gw_lg_examine(int dir_fd, const struct gw_lg_found *f, const uint8_t (*needed)[32], size_t n_needed,
		   struct gw_lg_exam *out);

/* append.c */
void gw_lg_add(struct gw_logger *l, struct gw_lg_file *f, const struct gw_seg_record *rec, int64_t ts_us, int64_t cost);
/* Room for one more record of that size; flushes when there is none. False: the disk does not take it, leave it in the ring. */
bool gw_lg_has_room(struct gw_logger *l, struct gw_lg_file *f, size_t body_bytes);
/* All batches onto the disk; then tails move and waiters are answered. True when nothing is left waiting. */
bool gw_lg_flush(struct gw_logger *l);
bool gw_lg_is_due(const struct gw_logger *l);

/* recv.c */
/* That incarnation of the slot, begun (or remembered again) when it is not known. */
struct gw_lg_epoch *gw_lg_epoch_of(struct gw_lg_slot *s, uint32_t epoch);
/* Its incarnation has come this far; cost of an END into *cost (may be NULL). Older records change nothing. */
void gw_lg_note(struct gw_lg_slot *s, const struct gw_seg_record *rec, int64_t *cost);
/* Maps the slot's regions; false when they are not there. */
bool gw_lg_slot_map(struct gw_logger *l, int slot);
void gw_lg_slot_open(struct gw_logger *l, int slot);
/* The worker says that its ring has something new. */
void gw_lg_on_records(struct gw_logger *l, const struct gw_msg *m);
/* Everything up to the ring's head, as it is now, into the batch. */
void gw_lg_read_ring(struct gw_logger *l, struct gw_lg_slot *s);
void gw_lg_poll_rings(struct gw_logger *l, bool is_forced);
void gw_lg_on_audit(struct gw_logger *l, struct gw_channel *ch, struct gw_msg *m);
bool gw_lg_rings_empty(const struct gw_logger *l);

/* recover.c */
void gw_lg_recover(struct gw_logger *l, struct gw_lg_slot *s, uint32_t dead_epoch);
/* Is any request of any epoch under way in the slot, as far as its table says? */
bool gw_lg_has_entries(const struct gw_lg_slot *s);
/* Entries of epochs that cannot be alive any more. */
void gw_lg_look_for_dead(struct gw_logger *l);
int gw_logger_main(void);
