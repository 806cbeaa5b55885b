#pragma once
#include "confd/core.h"

/* The calls of docs/CONFIG_CALLS.md, without the channels: a question in, an answer out. */
enum gw_call_flags { GW_CALL_DRY_RUN = 1, GW_CALL_NO_WAIT = 2, GW_CALL_CREATE_ONLY = 4, GW_CALL_YAML = 8 };
struct gw_kdf;
struct gw_call {
	struct gw_str method, kind, body, actor, idem; /* idem: Idempotency-Key, or NIL */
	uint64_t version, deadline_ms;
	unsigned flags;
	const struct gw_kdf *kdf; /* passwords of the body, derived (confd/login.h) */
};
struct gw_reply {
	enum gw_err err;
	int status;
	uint64_t generation, version;
	uint64_t retry_ms; /* GW_E_LIMIT: ask again after */
	bool is_replay; /* the answer of an earlier call with the same Idempotency-Key */
	bool has_written; /* something is to be waited for */
	struct gw_buf body; /* JSON; init by gw_reply_init */
};
void gw_reply_init(struct gw_reply *r);
void gw_reply_done(struct gw_reply *r);

/* READ: any time. WRITE: together with others in one transaction. SOLO: commits by itself. */
enum gw_call_class { GW_CALL_READ, GW_CALL_WRITE, GW_CALL_SOLO, GW_CALL_UNKNOWN };
enum gw_call_class gw_call_class(const struct gw_call *q);
/* Answers READ, SOLO and unknown ones. */
void gw_call_run(struct gw_core *core, const struct gw_call *q, struct gw_reply *r);
/* WRITE calls in one durable transaction; each succeeds or fails alone. */
void gw_call_batch(struct gw_core *core, const struct gw_call *q, struct gw_reply *r, size_t n);

/* --- the methods --- */
typedef enum gw_err gw_method_fn(struct gw_ctx *c, const struct gw_call *q, enum gw_cf_kind kind);
gw_method_fn gw_do_get, gw_do_list, gw_do_put, gw_do_patch, gw_do_delete, gw_do_rotate; /* call_object.c */
gw_method_fn gw_do_bulk; /* call_bulk.c */
gw_method_fn gw_do_apply, gw_do_diff, gw_do_validate, gw_do_export; /* call_stream.c */
gw_method_fn gw_do_generations, gw_do_generation_diff, gw_do_rollback; /* history.c */
gw_method_fn gw_do_audit_key, gw_do_status, gw_do_republish; /* call_ops.c */
gw_method_fn gw_do_keyring_status, gw_do_rotate_dek, gw_do_rotate_root;

/* Idempotency-Key (idem.c): the answer of an earlier call, put into r (GW_OK with r->is_replay), GW_E_CONFLICT with words when
 * the earlier call was another one, else GW_OK; and keeping an answer. Both in the call's transaction. */
GW_MUST enum gw_err gw_idem_find(struct gw_ctx *c, const struct gw_call *q, struct gw_reply *r);
GW_MUST enum gw_err gw_idem_keep(struct gw_ctx *c, const struct gw_call *q, const struct gw_reply *r);
void gw_idem_sweep(struct gw_core *core); /* deletes what is older than a day */
/* The answer to a call that failed before it ran. */
void gw_call_refuse(struct gw_ctx *c, enum gw_err e, struct gw_reply *r);
/* Body as a tree that lives as long as the call; an empty body is an empty object. YAML when the flag says so. */
GW_MUST enum gw_err gw_call_body(struct gw_ctx *c, const struct gw_call *q, bool is_stream, yyjson_val **root);
/* `id` of a parameter object, required. */
GW_MUST enum gw_err gw_call_id(struct gw_ctx *c, yyjson_val *root, struct gw_str *id);
/* Refuses members that are not in `names` (NULL-terminated). */
GW_MUST enum gw_err gw_call_known(struct gw_ctx *c, yyjson_val *root, const char *const *names);
