#pragma once
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/json_write.h"
#include "lib/msgpack.h"

/* The request record (rows: schemas/record.def) and the admin record (schemas/admin_record.def): structs, tables, msgpack,
 * JSON. Code here knows no field by name. Zero and empty values are left out of the packed form. */
#define GW_CREC_STR  struct gw_str
#define GW_CREC_JSON struct gw_str
#define GW_CREC_U64  uint64_t
#define GW_CREC_I64  int64_t
#define GW_CREC_BOOL bool
#define GW_CREC_ID16 const uint8_t *
struct gw_record {
#define GW_FIELD(name, type, stage, privacy, doc) GW_CREC_##type name;
#include "schemas/record.def"
#undef GW_FIELD
};
enum gw_record_id {
#define GW_FIELD(name, type, stage, privacy, doc) GW_RECORD_##name,
#include "schemas/record.def"
#undef GW_FIELD
	GW_RECORD_COUNT
};
struct gw_admin_record {
#define GW_FIELD(name, type, doc) GW_CREC_##type name;
#include "schemas/admin_record.def"
#undef GW_FIELD
};
enum gw_rfield_type { GW_RF_STR, GW_RF_JSON, GW_RF_U64, GW_RF_I64, GW_RF_BOOL, GW_RF_ID16 };
struct gw_rfield {
	const char *name;
	enum gw_rfield_type type;
	size_t offset;
	bool in_start, is_personal;
	const char *doc;
};
extern const struct gw_rfield gw_record_fields[GW_RECORD_COUNT];
extern const struct gw_rfield gw_admin_fields[];
extern const unsigned gw_admin_n_fields;

/* stage_start: only fields of stage START. Strings longer than 1 KiB are cut at a UTF-8 border, JSON (attempt_log) longer than
 * 4 KiB is left out; a packed record never exceeds GW_RECORD_MAX_BYTES. */
enum { GW_RECORD_MAX_BYTES = 16384 };
void gw_record_pack(const struct gw_record *r, bool stage_start, struct gw_buf *out);
/* The whole record, its START fields taken over from `start`, which gw_record_pack(r, true) made (NIL: packed anew). */
void gw_record_pack_end(const struct gw_record *r, struct gw_str start, struct gw_buf *out);
GW_MUST enum gw_err gw_record_unpack(struct gw_str bytes,
				     struct gw_record *out); /* views into bytes; unknown keys skipped */
/* What the logger needs of each record, without reading the rest. Not set: NULL, 0, false. Values of another type than theirs, and bytes
 * that are no record, are an error as in gw_record_unpack; the insides of other fields are passed over. */
struct gw_record_peek {
	const uint8_t *request_id;
	int64_t cost_nanousd;
	bool is_synthetic;
};
GW_MUST enum gw_err gw_record_peek(struct gw_str bytes, struct gw_record_peek *out);
void gw_record_json(const struct gw_record *r, struct gw_json_out *w); /* one object, empty fields left out */
void gw_admin_record_pack(const struct gw_admin_record *r, struct gw_buf *out);
GW_MUST enum gw_err gw_admin_record_unpack(struct gw_str bytes, struct gw_admin_record *out);
void gw_admin_record_json(const struct gw_admin_record *r, struct gw_json_out *w);
/* Upper bound of the packed END record of this START, for reservation. */
uint32_t gw_record_end_bytes(const struct gw_record *start);

/* Filter "field=value", "field!=value", "field>n", "field<n", "field~text" (contains), joined by AND. */
struct gw_record_filter;
GW_MUST enum gw_err gw_record_filter_parse(struct gw_arena *a, const struct gw_str *terms, unsigned n,
					   struct gw_record_filter **out, struct gw_str *why);
bool gw_record_filter_match(const struct gw_record_filter *f, const struct gw_record *r);
/* The same over the fields of administrative acts. */
GW_MUST enum gw_err gw_admin_filter_parse(struct gw_arena *a, const struct gw_str *terms, unsigned n,
					  struct gw_record_filter **out, struct gw_str *why);
bool gw_admin_filter_match(const struct gw_record_filter *f, const struct gw_admin_record *r);

/* Its terms one by one, for those who can do a part of the work elsewhere (an index). */
struct gw_filter_term {
	const struct gw_rfield *field;
	char op; /* = ! > < ~ */
	struct gw_str text; /* of text fields */
	int64_t number; /* of numbers and BOOL */
	const uint8_t *id; /* of ID16 */
};
unsigned gw_record_filter_terms(const struct gw_record_filter *f); /* f may be NULL */
struct gw_filter_term gw_record_filter_term(const struct gw_record_filter *f, unsigned i);
