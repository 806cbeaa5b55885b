#pragma once
#include "core/config.h"
#include "lib/json_write.h"

/* Shared by core/config*.c only. */

extern const struct gw_cf_field gw_cf_rows[]; /* by number; [0] is none */
extern const unsigned gw_cf_n_rows;
extern const size_t gw_cf_sizes[GW_KIND_COUNT];

/* Given by the user: present and not null. */
yyjson_val *gw_cf_given(const yyjson_val *obj, const struct gw_cf_field *f);
/* Number of a U64, NANO, DUR, BOOL or ENUM value (ENUM: index of the word); false when it is not one. */
bool gw_cf_number(const struct gw_cf_field *f, const yyjson_val *v, uint64_t *out);
uint64_t gw_cf_default_number(const struct gw_cf_field *f);
/* Word number i of an ENUM row; NIL past the last. */
struct gw_str gw_cf_word(const struct gw_cf_field *f, uint64_t i);
/* Text of an optional text field with its default (model.name: the id). */
struct gw_str gw_cf_text(const yyjson_val *obj, const struct gw_cf_field *f);
/* The value is what stands when nothing is written. obj: for defaults that are another field. */
bool gw_cf_is_default(const yyjson_val *obj, const struct gw_cf_field *f, const yyjson_val *v);
bool gw_cf_is_number_type(enum gw_cf_type t);
bool gw_cf_is_text_type(enum gw_cf_type t);

/* Adds a fault; message may be NIL when the arena is full. */
void gw_cf_fault(struct gw_cf_check *c, enum gw_err e, struct gw_str pointer, struct gw_str message);
/* Pointer "/name" and below it. */
struct gw_str gw_cf_at(struct gw_cf_check *c, const char *name);
struct gw_str gw_cf_at_index(struct gw_cf_check *c, struct gw_str base, size_t i);
struct gw_str gw_cf_at_key(struct gw_cf_check *c, struct gw_str base, struct gw_str key);
/* What a pointer is called in messages: "targets/0/weight". */
static inline struct gw_str gw_cf_label(struct gw_str pointer)
{
	return gw_str_skip(pointer, 1);
}
/* " Did you mean \"x\"?" or "". */
const char *gw_cf_did_you_mean(struct gw_cf_check *c, struct gw_str word, const char *const *names, size_t n);

/* Checks one given value of a field; faults go to c. */
void gw_cf_check_value(struct gw_cf_check *c, const struct gw_cf_field *f, yyjson_val *v);
void gw_cf_check_targets(struct gw_cf_check *c, const struct gw_cf_field *f, yyjson_val *v);
/* Does the object exist for the owner of c->in? Fault when not. */
void gw_cf_check_ref(struct gw_cf_check *c, struct gw_str pointer, enum gw_cf_kind kind, struct gw_str id);
/* Rules that look at more than one field. */
void gw_cf_check_rules(struct gw_cf_check *c);

/* Syntax of the text types. */
bool gw_cf_is_id(struct gw_str s);
bool gw_cf_is_name(struct gw_str s);
bool gw_cf_is_cidr(struct gw_str s);
/* NULL when it is a bundle of certificates, else what is wrong. */
const char *gw_cf_pem_fault(struct gw_str s);
