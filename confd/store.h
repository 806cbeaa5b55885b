#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/err.h"
#include "lib/str.h"

/* The live database: one LMDB environment in DATA_DIR/config, opened by confd alone, default sync mode (a commit that
 * returned is on disk). Named databases (all in one transaction, so that an object, its log entry and its audit record
 * stand or fall together):
 *
 *   table    key                                      payload
 *   OBJECT   kind u8 | id                             canonical JSON (core/config.h)
 *   MODEL    tenant | 0x1f | model name               model id                 tenant: "", "o:<org>", "t:<team>"
 *   KEY      32 bytes key index                       key id
 *   REF      kind u8 | id | 0 | kind u8 | id          (empty): the second object refers to the first
 *   SEALED   credential id | 0 | be64 version         sealed secret (confd/sealed.c)
 *   KEYRING  "root", "dek/<be32 id>", "own/<name>"    wrapped keys (confd/keyring.c)
 *   CHANGE   be64 change_seq                          JSON of the change (confd/history.c)
 *   OUTBOX   be64 change_seq                          audit record for the logger, msgpack
 *   META     name                                     text: format, generation, change_seq, ...
 *   LOGIN    confd/login.h                            tokens, sessions, password verifiers of the admin API
 *   IDEM     confd/idem.c                             answers of calls with an Idempotency-Key
 *   ROW      as OBJECT, served kinds only             the object's image row: made once, when the object is written
 *
 * Every value: u8 1 | u32 crc32c(key || payload), little endian | payload; LMDB itself has no checksums. */
enum gw_table {
	GW_T_OBJECT,
	GW_T_MODEL,
	GW_T_KEY,
	GW_T_REF,
	GW_T_SEALED,
	GW_T_KEYRING,
	GW_T_CHANGE,
	GW_T_OUTBOX,
	GW_T_META,
	GW_T_ROW,
	GW_T_LOGIN,
	GW_T_IDEM,
	GW_T_COUNT
};

const char *gw_store_table_name(enum gw_table t);

struct gw_store;
struct gw_store_opts {
	const char *dir; /* the environment's own folder, made when missing */
	uint64_t map_bytes; /* first size of the (sparse) map; 0 = 1 GiB */
	uint64_t max_bytes; /* it is doubled up to this; 0 = 64 GiB */
};
/* GW_E_FORBIDDEN: folder not ours or on a network file system; GW_E_IN_USE: another process has it open. */
GW_MUST enum gw_err gw_store_open(const struct gw_store_opts *o, struct gw_store **out);
void gw_store_close(struct gw_store *s);

/* A transaction; lives on the stack. Read transactions may run in several threads at once; only one thread writes. */
struct gw_txn {
	struct gw_store *store;
	void *handle; /* NULL = ended */
	bool is_write, is_child;
};
GW_MUST enum gw_err gw_txn_read(struct gw_store *s, struct gw_txn *t);
GW_MUST enum gw_err gw_txn_write(struct gw_store *s, struct gw_txn *t);
/* Inside a write transaction: may be aborted alone. The parent is not used until the child has ended. */
GW_MUST enum gw_err gw_txn_child(struct gw_txn *parent, struct gw_txn *t);
/* GW_E_NO_SPACE: map or disk full; nothing was written. */
GW_MUST enum gw_err gw_txn_commit(struct gw_txn *t);
void gw_txn_abort(struct gw_txn *t); /* accepts an ended one; ends read transactions too */

/* Values are views that die with the next write in the same transaction, or its end. GW_E_NOT_FOUND, GW_E_CORRUPT. */
GW_MUST enum gw_err gw_txn_get(struct gw_txn *t, enum gw_table table, struct gw_str key, struct gw_str *value);
GW_MUST enum gw_err gw_txn_put(struct gw_txn *t, enum gw_table table, struct gw_str key, struct gw_str value);
GW_MUST enum gw_err gw_txn_del(struct gw_txn *t, enum gw_table table, struct gw_str key); /* GW_E_NOT_FOUND */
uint64_t gw_txn_count(struct gw_txn *t, enum gw_table table);
uint64_t gw_txn_bytes(struct gw_txn *t, enum gw_table table); /* pages it takes */

/* Walks a table in key order (or backwards) from the first key >= `from` (backwards: < `from`, NIL = the last). End it
 * before the transaction. Do not write to the table meanwhile. */
struct gw_scan {
	struct gw_txn *txn;
	void *cursor;
	bool is_backwards, is_started;
	struct gw_str from, key, value;
	enum gw_err err; /* GW_OK at a normal end */
};
GW_MUST enum gw_err gw_scan_start(struct gw_scan *s, struct gw_txn *t, enum gw_table table, struct gw_str from,
				  bool is_backwards);
bool gw_scan_next(struct gw_scan *s);
void gw_scan_end(struct gw_scan *s);

/* True once after an operation found the map full: abort, gw_store_grow, try again. */
bool gw_store_take_full(struct gw_store *s);
/* Doubles the map. Waits for read transactions of other threads; the caller has none open. GW_E_NO_SPACE at the cap. */
GW_MUST enum gw_err gw_store_grow(struct gw_store *s);
/* A writer waits to grow the map: long readers should end. */
bool gw_store_wants_grow(const struct gw_store *s);
struct gw_store_size {
	uint64_t used_bytes, map_bytes, max_bytes;
};
struct gw_store_size gw_store_size(struct gw_store *s);
/* Frees reader slots of dead processes (a tool that was killed while it read). */
void gw_store_check_readers(struct gw_store *s);

/* A write transaction of its own around fn, committed when it gives GW_OK; again when the map had to grow. */
typedef enum gw_err gw_update_fn(struct gw_txn *t, void *ctx);
GW_MUST enum gw_err gw_store_update(struct gw_store *s, gw_update_fn *fn, void *ctx);

/* 8 bytes big endian, so that numbers sort. */
static inline struct gw_str gw_be64(uint64_t v, char out[8])
{
	for (int i = 0; i < 8; i++)
		out[i] = (char)(v >> (56 - 8 * i));
	return gw_str(out, 8);
}
static inline uint64_t gw_be64_read(struct gw_str s)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 8 && i < s.n; i++)
		v = v << 8 | (uint8_t)s.p[i];
	return v;
}
/* Numbers kept as text in META; 0 when absent. */
GW_MUST enum gw_err gw_meta_u64(struct gw_txn *t, const char *name, uint64_t *out);
GW_MUST enum gw_err gw_meta_set_u64(struct gw_txn *t, const char *name, uint64_t v);
