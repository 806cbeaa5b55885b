/* Request and admin records: tables from the rows, and loops that pack, unpack and print them. No field is known by name. */
#include "core/record.h"

#include "lib/msgpack_raw.h"
#include "lib/text.h"

/* Words of the rows' columns. */
enum { START = 1, END = 0, OPEN = 0, PERSONAL = 1 };
enum { MAX_TEXT = 1024, MAX_JSON = 4096 };

const struct gw_rfield gw_record_fields[GW_RECORD_COUNT] = {
#define GW_FIELD(name_, type_, stage, privacy, doc_)                                                                   \
	{ #name_, GW_RF_##type_, offsetof(struct gw_record, name_), stage, privacy, doc_ },
#include "schemas/record.def"
#undef GW_FIELD
};

const struct gw_rfield gw_admin_fields[] = {
#define GW_FIELD(name_, type_, doc_)                                                                                   \
	{ #name_, GW_RF_##type_, offsetof(struct gw_admin_record, name_), true, false, doc_ },
#include "schemas/admin_record.def"
#undef GW_FIELD
};
const unsigned gw_admin_n_fields = sizeof(gw_admin_fields) / sizeof(gw_admin_fields[0]);

/* ---- access to a field of a struct ---- */

#define AT(type, rec, f)  (*(type const *)(const void *)((const char *)(rec) + (f)->offset))
#define PUT(type, rec, f) (*(type *)(void *)((char *)(rec) + (f)->offset))

static bool is_set(const void *rec, const struct gw_rfield *f)
{
	switch (f->type) {
	case GW_RF_STR:
	case GW_RF_JSON:
		return AT(struct gw_str, rec, f).n > 0;
	case GW_RF_U64:
		return AT(uint64_t, rec, f) != 0;
	case GW_RF_I64:
		return AT(int64_t, rec, f) != 0;
	case GW_RF_BOOL:
		return AT(bool, rec, f);
	case GW_RF_ID16:
		return AT(const uint8_t *, rec, f) != NULL;
	}
	return false;
}

/* Cut at a UTF-8 border. JSON cannot be cut and stay JSON: a longer one is left out. */
static struct gw_str cut(struct gw_str s, enum gw_rfield_type type, size_t max)
{
	if (s.n <= max)
		return s;
	if (type == GW_RF_JSON)
		return GW_NIL;
	while (max > 0 && ((unsigned char)s.p[max] & 0xc0) == 0x80)
		max--;
	return gw_str(s.p, max);
}

static uint8_t *pack_value(const void *rec, const struct gw_rfield *f, size_t max_text, size_t max_json, uint8_t *at)
{
	switch (f->type) {
	case GW_RF_STR:
		return gw_mpr_str(at, cut(AT(struct gw_str, rec, f), f->type, max_text));
	case GW_RF_JSON:
		return gw_mpr_str(at, cut(AT(struct gw_str, rec, f), f->type, max_json));
	case GW_RF_U64:
		return gw_mpr_u64(at, AT(uint64_t, rec, f));
	case GW_RF_I64:
		return gw_mpr_i64(at, AT(int64_t, rec, f));
	case GW_RF_BOOL:
		return gw_mpr_bool(at, AT(bool, rec, f));
	case GW_RF_ID16:
		return gw_mpr_bin(at, AT(const uint8_t *, rec, f), 16);
	}
	return at;
}

/* Most bytes of a field that is set, key included. */
static size_t value_bytes(const void *rec, const struct gw_rfield *f)
{
	if (f->type == GW_RF_STR || f->type == GW_RF_JSON)
		return 7 + AT(struct gw_str, rec, f).n;
	return f->type == GW_RF_ID16 ? 20 : 11;
}

/* Two passes: what is set and how much room it takes, then the bytes. */
static void pack(const void *rec, const struct gw_rfield *fields, unsigned n, size_t max_text, size_t max_json,
		 struct gw_buf *out)
{
	uint8_t set[128];
	unsigned pairs = 0;
	size_t bytes = 5;
	uint8_t *p, *at;

	for (unsigned i = 0; i < n; i++) {
		if (!is_set(rec, &fields[i]))
			continue;
		set[pairs++] = (uint8_t)i;
		bytes += value_bytes(rec, &fields[i]);
	}
	p = (uint8_t *)gw_buf_room(out, bytes);
	if (!p)
		return;
	at = gw_mpr_map(p, pairs);
	for (unsigned i = 0; i < pairs; i++) {
		*at++ = set[i];
		at = pack_value(rec, &fields[set[i]], max_text, max_json, at);
	}
	gw_buf_commit(out, (size_t)(at - p));
}
_Static_assert(GW_RECORD_COUNT <= 128, "a field's number is one byte");

static void unpack_value(struct gw_mp *r, const struct gw_rfield *f, void *rec)
{
	struct gw_str s;

	switch (f->type) {
	case GW_RF_STR:
	case GW_RF_JSON:
		PUT(struct gw_str, rec, f) = gw_mp_read_str(r);
		break;
	case GW_RF_U64:
		PUT(uint64_t, rec, f) = gw_mp_read_u64(r);
		break;
	case GW_RF_I64:
		PUT(int64_t, rec, f) = gw_mp_read_i64(r);
		break;
	case GW_RF_BOOL:
		PUT(bool, rec, f) = gw_mp_read_bool(r);
		break;
	case GW_RF_ID16:
		s = gw_mp_read_str(r);
		if (s.n != 16)
			r->err = GW_E_GARBLED;
		else
			PUT(const uint8_t *, rec, f) = (const uint8_t *)s.p;
		break;
	}
}

/* A value as pack writes it most of the time; NULL: another one. */
static const uint8_t *unpack_usual(const uint8_t *p, const uint8_t *end, const struct gw_rfield *f, void *rec)
{
	struct gw_str s;
	uint64_t v;

	switch (f->type) {
	case GW_RF_STR:
	case GW_RF_JSON:
		return gw_mpr_read_str(p, end, &PUT(struct gw_str, rec, f));
	case GW_RF_U64:
		return gw_mpr_read_u64(p, end, &PUT(uint64_t, rec, f));
	case GW_RF_I64:
		p = gw_mpr_read_u64(p, end, &v);
		if (!p || v > INT64_MAX)
			return NULL;
		PUT(int64_t, rec, f) = (int64_t)v;
		return p;
	case GW_RF_ID16:
		p = gw_mpr_read_str(p, end, &s);
		if (!p || s.n != 16)
			return NULL;
		PUT(const uint8_t *, rec, f) = (const uint8_t *)s.p;
		return p;
	case GW_RF_BOOL:
		break;
	}
	return NULL;
}

static enum gw_err unpack(struct gw_str bytes, const struct gw_rfield *fields, unsigned n, void *rec)
{
	struct gw_mp r = gw_mp_reader(bytes);
	uint32_t pairs = gw_mp_read_map(&r);

	for (uint32_t i = 0; i < pairs && !r.err; i++) {
		const uint8_t *next =
		    r.at < r.end && *r.at < n ? unpack_usual(r.at + 1, r.end, &fields[*r.at], rec) : NULL;

		if (next) {
			r.at = next;
			continue;
		}
		uint64_t number = gw_mp_read_u64(&r);

		if (number < n && !r.err)
			unpack_value(&r, &fields[number], rec);
		else
			gw_mp_skip(&r);
	}
	return r.err;
}

/* Text that should be JSON: as it is when it is, else as a string (a record from a damaged file must not break the line). */
static void print_json(struct gw_str text, struct gw_json_out *w)
{
	char room[2048];
	struct gw_arena a;
	struct gw_json_fault fault;

	gw_arena_init(&a, room, sizeof(room), 1 << 20);
	if (gw_json_check(&a, text, &gw_json_default_limits, NULL, 0, &fault) == GW_OK)
		gw_jw_raw(w, text);
	else
		gw_jw_str(w, text);
	gw_arena_done(&a);
}

static void print_value(const void *rec, const struct gw_rfield *f, struct gw_json_out *w)
{
	char uuid[36];

	gw_jw_key(w, gw_str_z(f->name));
	switch (f->type) {
	case GW_RF_STR:
		gw_jw_str(w, AT(struct gw_str, rec, f));
		break;
	case GW_RF_JSON:
		print_json(AT(struct gw_str, rec, f), w);
		break;
	case GW_RF_U64:
		gw_jw_u64(w, AT(uint64_t, rec, f));
		break;
	case GW_RF_I64:
		gw_jw_i64(w, AT(int64_t, rec, f));
		break;
	case GW_RF_BOOL:
		gw_jw_bool(w, AT(bool, rec, f));
		break;
	case GW_RF_ID16:
		gw_uuid_print(AT(const uint8_t *, rec, f), uuid);
		gw_jw_str(w, gw_str(uuid, sizeof(uuid)));
		break;
	}
}

static void print(const void *rec, const struct gw_rfield *fields, unsigned n, struct gw_json_out *w)
{
	gw_jw_obj(w);
	for (unsigned i = 0; i < n; i++) {
		if (is_set(rec, &fields[i]))
			print_value(rec, &fields[i], w);
	}
	gw_jw_end_obj(w);
}

/* ---- request records ---- */

/* The most a packed field can take: key, head, bytes. */
static size_t worst_bytes(const struct gw_rfield *f, size_t max_text, size_t max_json)
{
	switch (f->type) {
	case GW_RF_STR:
		return 2 + 3 + max_text;
	case GW_RF_JSON:
		return 2 + 3 + max_json;
	case GW_RF_ID16:
		return 2 + 18;
	default:
		return 2 + 9;
	}
}

/* Twice for each request, so the rows are written out as code instead of walked as a table. The map's count has two bytes: it is known
 * only behind the last pair. */
enum { STAGE_START = 1, STAGE_END = 2, MAP_BYTES = 3 };

#define ROOM_STR(v)  (7 + (v).n)
#define ROOM_JSON(v) (7 + (v).n)
#define ROOM_U64(v)  10
#define ROOM_I64(v)  10
#define ROOM_BOOL(v) 2
#define ROOM_ID16(v) 20

#define SET_STR(v)  ((v).n > 0)
#define SET_JSON(v) ((v).n > 0)
#define SET_U64(v)  ((v) != 0)
#define SET_I64(v)  ((v) != 0)
#define SET_BOOL(v) (v)
#define SET_ID16(v) ((v) != NULL)

#define PUT_STR(at, v)  gw_mpr_str(at, (v).n > max_text ? cut(v, GW_RF_STR, max_text) : (v))
#define PUT_JSON(at, v) gw_mpr_str(at, (v).n > max_json ? GW_NIL : (v))
#define PUT_U64(at, v)  gw_mpr_u64(at, v)
#define PUT_I64(at, v)  gw_mpr_i64(at, v)
#define PUT_BOOL(at, v) gw_mpr_bool(at, v)
#define PUT_ID16(at, v) gw_mpr_bin(at, v, 16)

static inline __attribute__((always_inline)) size_t room_for(const struct gw_record *r, unsigned stages)
{
	size_t n = 0;

#define GW_FIELD(name, type, stage, privacy, doc)                                                                      \
	if (stages & (stage ? STAGE_START : STAGE_END))                                                                \
		n += ROOM_##type(r->name);
#include "schemas/record.def"
#undef GW_FIELD
	return n;
}

static inline __attribute__((always_inline)) uint8_t *
put_pairs(const struct gw_record *r, unsigned stages, size_t max_text, size_t max_json, uint8_t *at, uint32_t *pairs)
{
	uint32_t n = 0;

#define GW_FIELD(name, type, stage, privacy, doc)                                                                      \
	if ((stages & (stage ? STAGE_START : STAGE_END)) && SET_##type(r->name)) {                                     \
		*at++ = GW_RECORD_##name;                                                                              \
		at = PUT_##type(at, r->name);                                                                          \
		n++;                                                                                                   \
	}
#include "schemas/record.def"
#undef GW_FIELD
	*pairs += n;
	return at;
}

static void put_map_head(uint8_t *p, uint32_t pairs)
{
	gw_mpr_be(p, 0xde, pairs, 2);
}

/* `first` are packed pairs, n_first of them, that go before. */
static inline __attribute__((always_inline)) void pack_stages(const struct gw_record *r, unsigned stages,
							      size_t max_text, size_t max_json, struct gw_str first,
							      uint32_t n_first, struct gw_buf *out)
{
	uint8_t *p = (uint8_t *)gw_buf_room(out, MAP_BYTES + first.n + room_for(r, stages)), *at;
	uint32_t pairs = n_first;

	if (!p)
		return;
	at = p + MAP_BYTES;
	if (first.n)
		memcpy(at, first.p, first.n);
	at = put_pairs(r, stages, max_text, max_json, at + first.n, &pairs);
	put_map_head(p, pairs);
	gw_buf_commit(out, (size_t)(at - p));
}

void gw_record_pack(const struct gw_record *r, bool stage_start, struct gw_buf *out)
{
	size_t max_text = MAX_TEXT, max_json = MAX_JSON, before = out->n;

	for (;; max_text /= 2, max_json = MAX_JSON / 4, out->n = before) {
		if (stage_start)
			pack_stages(r, STAGE_START, max_text, max_json, GW_NIL, 0, out);
		else
			pack_stages(r, STAGE_START | STAGE_END, max_text, max_json, GW_NIL, 0, out);
		/* Many long texts at once: cut them shorter until it fits. Each field has at least 64 bytes then. */
		if (out->n - before <= GW_RECORD_MAX_BYTES || max_text <= 64)
			return;
	}
}

void gw_record_pack_end(const struct gw_record *r, struct gw_str start, struct gw_buf *out)
{
	const uint8_t *head = (const uint8_t *)start.p;
	size_t before = out->n;

	if (start.n >= MAP_BYTES) {
		GW_REQUIRE(head[0] == 0xde);
		pack_stages(r, STAGE_END, MAX_TEXT, MAX_JSON, gw_str_skip(start, MAP_BYTES),
			    (uint32_t)head[1] << 8 | head[2], out);
		if (out->n - before <= GW_RECORD_MAX_BYTES)
			return;
		out->n = before;
	}
	gw_record_pack(r, false, out);
}

enum gw_err gw_record_unpack(struct gw_str bytes, struct gw_record *out)
{
	*out = (struct gw_record){ 0 };
	return unpack(bytes, gw_record_fields, GW_RECORD_COUNT, out);
}

static void peek_value(struct gw_mp *r, uint64_t number, struct gw_record_peek *out)
{
	struct gw_str s;

	if (number == GW_RECORD_request_id) {
		s = gw_mp_read_str(r);
		if (s.n != 16)
			r->err = GW_E_GARBLED;
		out->request_id = (const uint8_t *)s.p;
	} else if (number == GW_RECORD_cost_nanousd) {
		out->cost_nanousd = gw_mp_read_i64(r);
	} else if (number == GW_RECORD_is_synthetic) {
		out->is_synthetic = gw_mp_read_bool(r);
	} else {
		gw_mp_skip(r);
	}
}

enum gw_err gw_record_peek(struct gw_str bytes, struct gw_record_peek *out)
{
	struct gw_mp r = gw_mp_reader(bytes);
	uint32_t pairs = gw_mp_read_map(&r);

	*out = (struct gw_record_peek){ 0 };
	for (uint32_t i = 0; i < pairs && !r.err; i++) {
		uint64_t number = r.at < r.end && *r.at < 0x80 ? *r.at++ : gw_mp_read_u64(&r);
		const uint8_t *next = r.err ? NULL : gw_mpr_skip(r.at, r.end);

		if (next && number != GW_RECORD_request_id && number != GW_RECORD_cost_nanousd &&
		    number != GW_RECORD_is_synthetic)
			r.at = next;
		else
			peek_value(&r, number, out);
	}
	return r.err;
}

void gw_record_json(const struct gw_record *r, struct gw_json_out *w)
{
	print(r, gw_record_fields, GW_RECORD_COUNT, w);
}

uint32_t gw_record_end_bytes(const struct gw_record *start)
{
	size_t n = 5;

	for (unsigned i = 0; i < GW_RECORD_COUNT; i++) {
		const struct gw_rfield *f = &gw_record_fields[i];
		size_t one = worst_bytes(f, MAX_TEXT, MAX_JSON);

		/* What is known at START is copied into END as it is. */
		if (f->in_start && (f->type == GW_RF_STR || f->type == GW_RF_JSON) &&
		    AT(struct gw_str, start, f).n < MAX_TEXT)
			one = 5 + AT(struct gw_str, start, f).n;
		n += one;
	}
	return n < GW_RECORD_MAX_BYTES ? (uint32_t)n : GW_RECORD_MAX_BYTES;
}

/* ---- admin records: objects before and after are as long as objects are ---- */

enum { MAX_ADMIN_JSON = 1 << 20 };

void gw_admin_record_pack(const struct gw_admin_record *r, struct gw_buf *out)
{
	pack(r, gw_admin_fields, gw_admin_n_fields, MAX_TEXT, MAX_ADMIN_JSON, out);
}

enum gw_err gw_admin_record_unpack(struct gw_str bytes, struct gw_admin_record *out)
{
	*out = (struct gw_admin_record){ 0 };
	return unpack(bytes, gw_admin_fields, gw_admin_n_fields, out);
}

void gw_admin_record_json(const struct gw_admin_record *r, struct gw_json_out *w)
{
	print(r, gw_admin_fields, gw_admin_n_fields, w);
}
