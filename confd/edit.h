#pragma once
#include "confd/core.h"

/* A change of objects, in two halves: every object of the call is prepared by itself (schema, scope, fields that the server
 * sets, secrets sealed), then all are written together (references, unique names, log, audit), so that the order of a
 * stream does not matter and nothing is half done. Both halves work inside one transaction; the caller aborts it on
 * failure, with c->problem filled. */
struct gw_edit {
	enum gw_cf_kind kind;
	struct gw_str id;
	struct gw_str before, after; /* canonical JSON; NIL = not there */
	yyjson_val *before_obj, *after_obj; /* their trees */
	const char *act; /* "create", "update", "delete", "rotate", "none" */
	bool is_same; /* nothing changes: not written */
	uint64_t seq; /* change number; the object's version after it */
	int doc; /* c->doc at preparation */
	struct gw_str token; /* of a new key: shown once */
};

/* Secrets of a credential, taken out of the tree that carried them (whose text is overwritten). */
struct gw_edit_secrets {
	struct gw_secret *secret, *next;
};
/* Kinds without secrets are left as they are. Of a certificate: secret is the private key. */
void gw_edit_secrets_take(enum gw_cf_kind kind, yyjson_val *obj, struct gw_edit_secrets *out);
void gw_edit_secrets_done(struct gw_edit_secrets *s);

/* `in`: the object from outside. */
GW_MUST enum gw_err gw_edit_put(struct gw_ctx *c, enum gw_cf_kind kind, yyjson_val *in,
				const struct gw_edit_secrets *secrets, struct gw_edit *out);
/* `patch`: RFC 7386. */
GW_MUST enum gw_err gw_edit_patch(struct gw_ctx *c, enum gw_cf_kind kind, struct gw_str id, yyjson_val *patch,
				  const struct gw_edit_secrets *secrets, struct gw_edit *out);
GW_MUST enum gw_err gw_edit_delete(struct gw_ctx *c, enum gw_cf_kind kind, struct gw_str id, struct gw_edit *out);
/* The object becomes `after` (canonical, checked before) with new version and stamp; NIL: it goes away. For rollback. */
GW_MUST enum gw_err gw_edit_set(struct gw_ctx *c, enum gw_cf_kind kind, struct gw_str id, struct gw_str after,
				struct gw_edit *out);
enum gw_rotate_mode { GW_ROTATE_NOW, GW_ROTATE_STAGE, GW_ROTATE_PROMOTE };
GW_MUST enum gw_err gw_edit_rotate(struct gw_ctx *c, struct gw_str id, enum gw_rotate_mode mode,
				   const struct gw_secret *secret, struct gw_edit *out);

/* Writes all; raises the generation when something served changed; c->generation is set. */
GW_MUST enum gw_err gw_edits_write(struct gw_ctx *c, struct gw_edit *v, size_t n);

/* --- between the files of the module --- */
enum { GW_EDIT_SETS = 16 };
struct gw_edit_sets {
	struct gw_cf_set v[GW_EDIT_SETS];
	unsigned n;
};
void gw_edit_set_str(struct gw_edit_sets *s, const char *field, struct gw_str v);
void gw_edit_set_u64(struct gw_edit_sets *s, const char *field, uint64_t v);
/* Number of this change. */
GW_MUST enum gw_err gw_edit_seq(struct gw_ctx *c, uint64_t *out);
/* What the server adds to a key or a credential. *is_changed is set when that alone is a change. */
GW_MUST enum gw_err gw_edit_key_fields(struct gw_ctx *c, struct gw_edit *e, struct gw_str import_sha256,
				       struct gw_edit_sets *sets);
GW_MUST enum gw_err gw_edit_secret_fields(struct gw_ctx *c, struct gw_edit *e, const yyjson_val *obj,
					  const struct gw_edit_secrets *secrets, struct gw_edit_sets *sets,
					  bool *is_changed);
/* Secrets by kind (confd/edit_credential.c): the form that is sealed, and whom it belongs to ("" = it does not say). */
GW_MUST enum gw_err gw_edit_cred_secret(struct gw_ctx *c, const yyjson_val *obj, const struct gw_secret *given,
					bool is_next, struct gw_secret **out, struct gw_str *who);
/* Sets `principal` by what is sealed. */
void gw_edit_cred_whose(struct gw_ctx *c, const yyjson_val *obj, const struct gw_secret *sealed,
			struct gw_edit_sets *sets);
/* Sets `warning` by what is sealed: nothing is refused for it. */
void gw_edit_cred_warn(struct gw_ctx *c, const yyjson_val *obj, const struct gw_secret *sealed,
		       struct gw_edit_sets *sets);
/* Is there a secret where the kind wants one, and does the provider take the kind? */
GW_MUST enum gw_err gw_edit_cred_check(struct gw_ctx *c, const struct gw_edit *e, const yyjson_val *obj,
				       const struct gw_edit_secrets *secrets);
/* What the server adds to a certificate (confd/edit_certificate.c); its key is sealed under this id. */
GW_MUST enum gw_err gw_edit_certificate_fields(struct gw_ctx *c, struct gw_edit *e, const yyjson_val *obj,
					       const struct gw_edit_secrets *secrets, struct gw_edit_sets *sets,
					       bool *is_changed);
struct gw_str gw_certificate_sealed_id(struct gw_ctx *c, struct gw_str id);
/* Ends an edit: `obj` with these fields set becomes e->after. */
GW_MUST enum gw_err gw_edit_finish(struct gw_ctx *c, struct gw_edit *e, const yyjson_val *obj,
				   struct gw_edit_sets *sets);
/* Log entry and audit record of one change (confd/change.c). */
GW_MUST enum gw_err gw_change_log(struct gw_ctx *c, const struct gw_edit *e, uint64_t generation);
/* The same for an act that changes no object (key rotation). */
GW_MUST enum gw_err gw_change_note(struct gw_ctx *c, const char *act, const char *kind, struct gw_str id);
