#pragma once
#include "confd/core.h"

/* Who may see and change which object: the second check behind the admin process's route table. */

/* Reads the `actor` JSON of a CALL into c->actor. Nothing given: no grants at all. */
GW_MUST enum gw_err gw_actor_read(struct gw_ctx *c, struct gw_str json);
/* For confd's own acts ("system"). */
void gw_actor_system(struct gw_ctx *c);
bool gw_scope_is_platform(const struct gw_actor *a);
/* `obj` is the object's tree. */
bool gw_scope_may_read(const struct gw_actor *a, enum gw_cf_kind kind, const yyjson_val *obj);
bool gw_scope_may_write(const struct gw_actor *a, enum gw_cf_kind kind, const yyjson_val *obj);
/* May an object of the actor's making refer to `target`? (Tenants: their own objects and the platform's providers.) */
bool gw_scope_may_use(const struct gw_actor *a, enum gw_cf_kind target_kind, const yyjson_val *target);
/* The strongest role the actor has over this object, for the audit record. */
struct gw_str gw_scope_role_name(const struct gw_actor *a, const yyjson_val *obj);
