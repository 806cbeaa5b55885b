/* Reading requests by tables of members (ir_read.h). */
#include "core/dialect/ir_read.h"

static void put_path(struct gw_buf *b, const struct ir_at *at)
{
	if (!at)
		return;
	put_path(b, at->up);
	if (at->key.n) {
		if (b->n)
			gw_buf_putc(b, '.');
		gw_buf_puts(b, at->key);
	} else {
		gw_buf_putc(b, '[');
		gw_buf_put_u64(b, at->index);
		gw_buf_putc(b, ']');
	}
}

static bool fail(struct ir_read *r, enum gw_err e, const struct ir_at *at, const char *why)
{
	struct gw_buf b;

	if (r->err)
		return false;
	gw_buf_init(&b, 1024);
	put_path(&b, at);
	r->err = e;
	*r->param = gw_arena_str(r->a, gw_buf_view(&b));
	*r->why = gw_str_z(why);
	gw_buf_done(&b);
	return false;
}

bool ir_read_bad(struct ir_read *r, const struct ir_at *at, const char *why)
{
	return fail(r, GW_E_INVALID, at, why);
}

bool ir_read_missing(struct ir_read *r, const struct ir_at *at, const char *why)
{
	return fail(r, GW_E_MISSING, at, why);
}

bool ir_read_nomem(struct ir_read *r)
{
	if (!r->err)
		r->err = GW_E_NOMEM;
	return false;
}

bool ir_read_str(struct ir_read *r, const struct ir_at *at, yyjson_val *v, struct gw_str *out)
{
	if (!yyjson_is_str(v))
		return ir_read_bad(r, at, "must be a string");
	*out = gw_json_str(v);
	return true;
}

static bool read_i64(struct ir_read *r, const struct ir_at *at, yyjson_val *v, struct ir_i64 *out)
{
	if (!yyjson_is_int(v) || (yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX))
		return ir_read_bad(r, at, "must be an integer");
	*out = (struct ir_i64){ true, yyjson_get_sint(v) };
	return true;
}

static bool read_value(struct ir_read *r, const struct ir_at *at, yyjson_val *v, const struct ir_member *m, void *base)
{
	void *to = (char *)base + m->offset;

	switch (m->kind) {
	case IR_M_STR:
		return ir_read_str(r, at, v, to);
	case IR_M_I64:
		return read_i64(r, at, v, to);
	case IR_M_F64:
		if (!yyjson_is_num(v))
			return ir_read_bad(r, at, "must be a number");
		*(struct ir_f64 *)to = (struct ir_f64){ true, yyjson_get_num(v) };
		return true;
	case IR_M_TRI:
		if (!yyjson_is_bool(v))
			return ir_read_bad(r, at, "must be true or false");
		*(enum ir_tri *)to = yyjson_get_bool(v) ? IR_YES : IR_NO;
		return true;
	case IR_M_OBJ:
		if (!yyjson_is_obj(v))
			return ir_read_bad(r, at, "must be an object");
		*(const yyjson_val **)to = v;
		return true;
	case IR_M_FN:
		return m->fn(r, at, v, base);
	case IR_M_SKIP:
		break;
	}
	return true;
}

static const struct ir_member *find(const struct ir_member *rows, size_t n, struct gw_str key)
{
	for (size_t i = 0; i < n; i++) {
		if (rows[i].name[0] == key.p[0] && gw_str_eq(gw_str_z(rows[i].name), key))
			return &rows[i];
	}
	return NULL;
}

bool ir_read_members(struct ir_read *r, const struct ir_at *at, yyjson_val *obj, const struct ir_member *rows,
		     size_t n_rows, void *base, struct ir_extra **extra, enum gw_dialect_id of)
{
	yyjson_val *k, *v;
	size_t i, max;

	if (!yyjson_is_obj(obj))
		return ir_read_bad(r, at, "must be an object");
	yyjson_obj_foreach(obj, i, max, k, v)
	{
		struct gw_str key = gw_json_str(k);
		const struct ir_member *m = key.n ? find(rows, n_rows, key) : NULL;
		struct ir_at here = { .up = at, .key = key };

		if (m && m->kind == IR_M_SKIP)
			continue;
		if (!m || yyjson_is_null(v)) {
			if (!ir_extra_add(r->a, extra, of, k, v))
				return ir_read_nomem(r);
			continue;
		}
		if (!read_value(r, &here, v, m, base))
			return false;
	}
	return true;
}

bool ir_read_keep(struct ir_read *r, const struct ir_at *at, const yyjson_val *v, struct ir_extra **extra,
		  enum gw_dialect_id of)
{
	struct ir_extra *x = GW_NEW(r->a, struct ir_extra);

	if (!x)
		return ir_read_nomem(r);
	*x = (struct ir_extra){ .of = of, .key = at->key, .val = v };
	while (*extra)
		extra = &(*extra)->next;
	*extra = x;
	return true;
}

struct gw_str ir_get_str(const yyjson_val *obj, struct gw_str key)
{
	yyjson_val *v = yyjson_is_obj((yyjson_val *)(uintptr_t)obj) ? gw_json_get(obj, key) : NULL;

	return yyjson_is_str(v) ? gw_json_str(v) : GW_NIL;
}

struct gw_str ir_tree_text(struct gw_arena *a, const yyjson_val *v)
{
	struct gw_json_out w;
	struct gw_buf b;
	struct gw_str out;

	gw_buf_init(&b, 32 << 20);
	gw_jw_init(&w, &b);
	gw_jw_val(&w, v);
	out = b.err ? GW_NIL : gw_arena_str(a, gw_buf_view(&b));
	gw_buf_done(&b);
	return out;
}
