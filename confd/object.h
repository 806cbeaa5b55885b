#pragma once
#include "confd/core.h"

/* Objects as rows of the store, and the small facts that are read off them. */

enum { GW_OBJ_KEY_BYTES = 128 };
/* Row key in OBJECT: kind u8 | id. An id longer than any that exists gives an empty key (not found). */
struct gw_str gw_obj_key(enum gw_cf_kind kind, struct gw_str id, char out[GW_OBJ_KEY_BYTES]);
/* Kind and id back from a row key. */
bool gw_obj_key_read(struct gw_str key, enum gw_cf_kind *kind, struct gw_str *id);
/* Canonical JSON, copied into the call's arena. GW_E_NOT_FOUND. */
GW_MUST enum gw_err gw_obj_text(struct gw_ctx *c, enum gw_cf_kind kind, struct gw_str id, struct gw_str *json);
/* Its tree as well. */
GW_MUST enum gw_err gw_obj_get(struct gw_ctx *c, enum gw_cf_kind kind, struct gw_str id, struct gw_str *json,
			       yyjson_val **obj);
/* A text member, or NIL. */
struct gw_str gw_obj_str(const yyjson_val *obj, const char *name);
uint64_t gw_obj_u64(const yyjson_val *obj, const char *name);

/* As callers see it: without key index; `is_portable`: without anything that the server sets, and with "kind" first.
 * `extra` members (a new key's token) may be added by the caller before the object is ended. */
void gw_obj_print(struct gw_json_out *w, enum gw_cf_kind kind, const yyjson_val *obj, bool is_portable,
		  struct gw_str token);

/* Tenant prefix of image and model index keys: "", "o:<org>", "t:<team>". */
struct gw_str gw_obj_tenant(struct gw_ctx *c, const yyjson_val *obj);
/* tenant | 0x1f | name of a model object. */
struct gw_str gw_obj_model_key(struct gw_ctx *c, const yyjson_val *model);

/* Every object that `obj` refers to. */
typedef enum gw_err gw_ref_fn(void *ctx, const char *field, size_t index, enum gw_cf_kind kind, struct gw_str id);
enum { GW_REF_SINGLE = -1 };
GW_MUST enum gw_err gw_refs_each(enum gw_cf_kind kind, const yyjson_val *obj, gw_ref_fn *fn, void *ctx);
/* Row key in REF. */
struct gw_str gw_ref_key(struct gw_ctx *c, enum gw_cf_kind to, struct gw_str to_id, enum gw_cf_kind from,
			 struct gw_str from_id);
