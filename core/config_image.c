/* Rows of the images: a msgpack map {field number: value} with the fields that are marked IMG, zeros left out; and reading one
 * into the C struct of its kind. Workers read several rows per request, so the reader is one loop without look-ups by name. */
#include "core/config_types.h"

#include "core/config_impl.h"
#include "lib/text.h"

/* The number of a REF's word, time, ... as the row carries it: 0 is left out. */
static uint64_t scalar_of(const struct gw_cf_field *f, const yyjson_val *v)
{
	uint64_t n = 0;

	return v && gw_cf_number(f, v, &n) ? n : gw_cf_default_number(f);
}

static bool is_zero(const yyjson_val *obj, const struct gw_cf_field *f)
{
	yyjson_val *v = gw_cf_given(obj, f);

	if (gw_cf_is_number_type(f->type))
		return scalar_of(f, v) == 0;
	if (gw_cf_is_text_type(f->type))
		return gw_cf_text(obj, f).n == 0;
	return yyjson_arr_size(v) + yyjson_obj_size(v) == 0;
}

static void put_targets(struct gw_buf *out, yyjson_val *list)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(list);
	yyjson_val *t;

	gw_mp_arr(out, (uint32_t)yyjson_arr_size(list));
	while ((t = yyjson_arr_iter_next(&it))) {
		yyjson_val *weight = gw_json_get(t, GW_LIT("weight")), *priority = gw_json_get(t, GW_LIT("priority"));

		gw_mp_arr(out, 3);
		gw_mp_str(out, gw_json_str(gw_json_get(t, GW_LIT("deployment"))));
		gw_mp_u64(out, yyjson_is_uint(weight) ? yyjson_get_uint(weight) : 1);
		gw_mp_u64(out, yyjson_is_uint(priority) ? yyjson_get_uint(priority) : 0);
	}
}

static void put_list(struct gw_buf *out, yyjson_val *list)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(list);
	yyjson_val *v;

	gw_mp_arr(out, (uint32_t)yyjson_arr_size(list));
	while ((v = yyjson_arr_iter_next(&it)))
		gw_mp_str(out, gw_json_str(v));
}

/* JSON text as one string; its length is known only afterwards, so it is written aside first. */
static void put_map(struct gw_buf *out, yyjson_val *map)
{
	struct gw_buf text;
	struct gw_json_out w;

	gw_buf_init(&text, GW_CF_MAX_OBJECT_BYTES);
	gw_jw_init(&w, &text);
	gw_jw_val(&w, map);
	gw_mp_str(out, gw_buf_view(&text));
	gw_buf_done(&text);
}

static void put_field(struct gw_buf *out, const yyjson_val *obj, const struct gw_cf_field *f)
{
	yyjson_val *v = gw_cf_given(obj, f);
	int64_t us = 0;

	gw_mp_u64(out, f->number);
	if (f->type == GW_CF_BOOL)
		gw_mp_bool(out, scalar_of(f, v) != 0);
	else if (gw_cf_is_number_type(f->type))
		gw_mp_u64(out, scalar_of(f, v));
	else if (f->type == GW_CF_TIME)
		gw_mp_i64(out, gw_time_read(gw_cf_text(obj, f), &us) ? us : 0);
	else if (gw_cf_is_text_type(f->type))
		gw_mp_str(out, gw_cf_text(obj, f));
	else if (f->type == GW_CF_TARGETS)
		put_targets(out, v);
	else if (f->type == GW_CF_MAP)
		put_map(out, v);
	else
		put_list(out, v);
}

void gw_cf_image_row(enum gw_cf_kind kind, const yyjson_val *obj, struct gw_buf *out)
{
	const struct gw_cf_kind_info *k = &gw_cf_kinds[kind];
	uint32_t n = 0;

	for (unsigned i = 0; i < k->n_fields; i++)
		n += (k->fields[i]->flags & GW_CF_IMG) && !is_zero(obj, k->fields[i]);
	gw_mp_map(out, n);
	for (unsigned i = 0; i < k->n_fields; i++) {
		if ((k->fields[i]->flags & GW_CF_IMG) && !is_zero(obj, k->fields[i]))
			put_field(out, obj, k->fields[i]);
	}
}

/* ---- reading ---- */

/* Most numbers are below 128 and most texts shorter than 32 bytes: one type byte, taken here without a call. */
static inline uint64_t take_u64(struct gw_mp *r)
{
	return r->at < r->end && *r->at <= 0x7f ? *r->at++ : gw_mp_read_u64(r);
}

static inline struct gw_str take_str(struct gw_mp *r)
{
	if (r->at < r->end && (*r->at & 0xe0) == 0xa0) {
		size_t n = *r->at & 0x1f;

		if (n < (size_t)(r->end - r->at)) {
			struct gw_str s = gw_str((const char *)r->at + 1, n);

			r->at += 1 + n;
			return s;
		}
	}
	return gw_mp_read_str(r);
}

static enum gw_err read_list(struct gw_mp *r, struct gw_arena *a, struct gw_strs *out)
{
	uint32_t n = gw_mp_read_arr(r);
	struct gw_str *v = gw_alloc(a, n * sizeof(*v));

	if (!v)
		return GW_E_NOMEM;
	for (uint32_t i = 0; i < n; i++)
		v[i] = take_str(r);
	*out = (struct gw_strs){ v, n };
	return GW_OK;
}

static enum gw_err read_targets(struct gw_mp *r, struct gw_arena *a, struct gw_cf_targets *out)
{
	uint32_t n = gw_mp_read_arr(r);
	struct gw_cf_target *v = gw_alloc(a, n * sizeof(*v));

	if (!v)
		return GW_E_NOMEM;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t weight, priority;

		if (gw_mp_read_arr(r) != 3)
			return GW_E_GARBLED;
		v[i].deployment = take_str(r);
		weight = take_u64(r);
		priority = take_u64(r);
		if (weight > UINT32_MAX || priority > UINT32_MAX)
			return GW_E_GARBLED;
		v[i].weight = (uint32_t)weight;
		v[i].priority = (uint32_t)priority;
	}
	*out = (struct gw_cf_targets){ v, n };
	return GW_OK;
}

static enum gw_err read_value(const struct gw_cf_field *f, struct gw_mp *r, struct gw_arena *a, char *out)
{
	void *at = out + f->offset;

	switch (f->type) {
	case GW_CF_U64:
	case GW_CF_NANO:
	case GW_CF_DUR:
		*(uint64_t *)at = take_u64(r);
		return GW_OK;
	case GW_CF_ENUM: {
		uint64_t n = take_u64(r);

		if (n > UINT32_MAX)
			return GW_E_GARBLED;
		*(uint32_t *)at = (uint32_t)n;
		return GW_OK;
	}
	case GW_CF_BOOL:
		*(bool *)at = gw_mp_read_bool(r);
		return GW_OK;
	case GW_CF_TIME:
		*(int64_t *)at = gw_mp_read_i64(r);
		return GW_OK;
	case GW_CF_STRS:
	case GW_CF_IDS:
	case GW_CF_REFS:
	case GW_CF_CIDRS:
		return read_list(r, a, at);
	case GW_CF_TARGETS:
		return read_targets(r, a, at);
	case GW_CF_STR:
	case GW_CF_ID:
	case GW_CF_NAME:
	case GW_CF_MAP:
	case GW_CF_REF:
	case GW_CF_URL:
	case GW_CF_PEM:
	case GW_CF_SECRET:
		*(struct gw_str *)at = take_str(r);
		return GW_OK;
	}
	return GW_E_GARBLED;
}

enum gw_err gw_cf_read(enum gw_cf_kind kind, struct gw_str row, struct gw_arena *a, void *out)
{
	struct gw_mp r = gw_mp_reader(row);
	uint32_t n = gw_mp_read_map(&r);

	memset(out, 0, gw_cf_sizes[kind]);
	for (uint32_t i = 0; i < n && !r.err; i++) {
		uint64_t number = take_u64(&r);
		const struct gw_cf_field *f = number < gw_cf_n_rows ? &gw_cf_rows[number] : &gw_cf_rows[0];
		enum gw_err e;

		if (number == 0 || f == gw_cf_rows || (f->kind != kind && f->kind != GW_KIND_common)) {
			gw_mp_skip(&r);
			continue;
		}
		e = read_value(f, &r, a, out);
		if (e)
			return e;
	}
	return r.err;
}
