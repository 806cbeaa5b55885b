#pragma once
#include "core/config.h"

/* The program's own reference, printed from the rows. docs/reference/<topic>.md and schemas/json/<kind>.json are committed copies;
 * a check fails when they differ. */
struct gw_doc_topic {
	const char *name; /* "config" */
	const char *doc; /* what it is, one line */
};
extern const struct gw_doc_topic gw_doc_topics[]; /* config record admin_record errors providers dialects metrics */
extern const unsigned gw_doc_n_topics;
/* Markdown of a topic, or, for "schema.<kind>", the JSON Schema of that kind. GW_E_NOT_FOUND, or the buffer's error. */
GW_MUST enum gw_err gw_doc_print(struct gw_str topic, struct gw_buf *out);
/* JSON Schema (2020-12) of an object as it is written by people. */
void gw_doc_schema(enum gw_cf_kind kind, struct gw_buf *out);
/* OpenAPI 3.1 of the admin API: GET /openapi.json, docs/reference/openapi.json. */
void gw_doc_openapi(struct gw_buf *out);
/* Does this route of the admin API (by name) honour Idempotency-Key? Only what confd changes in a transaction does; others refuse the header. */
bool gw_doc_is_once(const char *route);
/* The schema of one field alone, without the brackets of a document: for OpenAPI and `explain`. */
struct gw_json_out;
void gw_doc_field_schema(const struct gw_cf_field *f, struct gw_json_out *w);
/* "text", "whole number", "duration", ...: what people call the type of a field. */
const char *gw_doc_type(enum gw_cf_type t);
