#pragma once
#include "lib/err.h"
#include "lib/str.h"

/* multipart/form-data (RFC 7578, 2046) that arrives in pieces of any size, read just far enough to know which model is meant. Nothing of
 * the parts is kept but a few short fields. Strict, because several readers must see the same form: a part has exactly one
 * Content-Disposition with one quoted name, no field that decides something comes twice, in another case, encoded, or as a file; nothing
 * stands before the first boundary or behind the last. Bytes are hostile; memory is fixed. */
enum {
	GW_FORM_BOUNDARY_MAX = 70, /* RFC 2046 */
	GW_FORM_HEAD_MAX = 8192, /* header block of one part */
	GW_FORM_PARTS_MAX = 256,
	GW_FORM_VALUE_MAX = 200
};
enum gw_form_field { GW_FORM_MODEL, GW_FORM_STREAM, GW_FORM_N, GW_FORM_USER, GW_FORM_FIELDS };

struct gw_form {
	/* what was found; value[i] counts when has[i] */
	bool has[GW_FORM_FIELDS];
	char value[GW_FORM_FIELDS][GW_FORM_VALUE_MAX];
	uint8_t value_n[GW_FORM_FIELDS];
	uint64_t model_at, model_n; /* where the model's value lies in the body */
	bool is_done; /* the last boundary was read */
	enum gw_err err;
	const char *why; /* a literal, for people */
	/* machine state, private to form.c */
	uint8_t state;
	int8_t field; /* of the part under way, -1 = none that matters */
	bool is_file;
	uint16_t head_n, parts, mark_n, matched;
	uint64_t at, value_at;
	char mark[4 + GW_FORM_BOUNDARY_MAX]; /* CRLF, two dashes, boundary */
	char head[GW_FORM_HEAD_MAX];
};

/* Boundary of a Content-Type "multipart/form-data; boundary=..."; GW_E_BAD_MEDIA when it is something else or cannot be read one way only. */
GW_MUST enum gw_err gw_form_boundary(struct gw_str content_type, struct gw_str *boundary);
void gw_form_init(struct gw_form *f, struct gw_str boundary);
/* GW_E_GARBLED: not a form, or one that could be read in two ways (f->why); the error sticks. */
GW_MUST enum gw_err gw_form_feed(struct gw_form *f, struct gw_str piece);
static inline struct gw_str gw_form_value(const struct gw_form *f, enum gw_form_field i)
{
	return f->has[i] ? gw_str(f->value[i], f->value_n[i]) : GW_NIL;
}
