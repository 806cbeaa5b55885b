#pragma once
#include "tests/unit/lib/util.h"

#include "core/config_types.h"
#include "core/plan.h"

/* A small map of configuration objects as the rows that plans are made of. Rows that were given out are freed at the next look-up, so that a
 * view that is kept too long is found by ASan. */
struct object {
	enum gw_cf_kind kind;
	const char *id, *json;
};
enum { MAX = 64 };
static struct object objects[MAX];
static unsigned n_objects;
static struct gw_buf row; /* the last row given out: the next look-up overwrites it, as images may */
static struct gw_arena arena;
static bool is_corrupt;

static void give(enum gw_cf_kind kind, const char *id, const char *json)
{
	unsigned i = 0;

	while (i < n_objects && (objects[i].kind != kind || strcmp(objects[i].id, id) != 0))
		i++;
	n_objects += i == n_objects;
	objects[i] = (struct object){ kind, id, json };
}

static enum gw_err to_row(enum gw_cf_kind kind, const char *json, struct gw_buf *b)
{
	struct gw_json_fault f;
	yyjson_doc *d;

	assert_int_equal(gw_json_read(gw_str_z(json), &gw_json_default_limits, &d, &f), GW_OK);
	gw_cf_image_row(kind, yyjson_doc_get_root(d), b);
	yyjson_doc_free(d);
	return b->err;
}

static enum gw_err object(void *ctx, enum gw_cf_kind kind, struct gw_str id, struct gw_str *out)
{
	(void)ctx;
	if (is_corrupt && kind == GW_KIND_provider)
		return GW_E_CORRUPT;
	for (unsigned i = 0; i < n_objects; i++) {
		if (objects[i].kind != kind || !gw_str_eq(id, gw_str_z(objects[i].id)))
			continue;
		gw_buf_done(&row); /* freed: a view that is kept too long is found by ASan */
		gw_buf_init(&row, 1 << 20);
		assert_int_equal(to_row(kind, objects[i].json, &row), GW_OK);
		*out = gw_buf_view(&row);
		return GW_OK;
	}
	return GW_E_NOT_FOUND;
}

/* Names as confd writes them: the tenant of a model by its own org and team. */
static enum gw_err model(void *ctx, struct gw_str tenant, struct gw_str name, struct gw_str *id)
{
	(void)ctx;
	for (unsigned i = 0; i < n_objects; i++) {
		struct gw_buf b;
		struct gw_cf_model m;
		char own[128];
		bool fits;

		if (objects[i].kind != GW_KIND_model)
			continue;
		gw_buf_init(&b, 1 << 20);
		assert_int_equal(to_row(GW_KIND_model, objects[i].json, &b), GW_OK);
		assert_int_equal(gw_cf_read_model(gw_buf_view(&b), &arena, &m), GW_OK);
		snprintf(own, sizeof(own),
			 m.team.n  ? "t:%.*s"
			 : m.org.n ? "o:%.*s"
				   : "",
			 GW_FMT(m.team.n ? m.team : m.org));
		fits = gw_str_eq(tenant, gw_str_z(own)) && gw_str_eq(name, m.name);
		gw_buf_done(&b);
		if (fits) {
			*id = gw_str_z(objects[i].id);
			return GW_OK;
		}
	}
	return GW_E_NOT_FOUND;
}

__attribute__((unused)) static enum gw_err each(void *ctx, enum gw_cf_kind kind,
						bool (*fn)(void *arg, struct gw_str row), void *arg)
{
	bool go_on = true;

	(void)ctx;
	for (unsigned i = 0; i < n_objects && go_on; i++) {
		struct gw_buf b;

		if (objects[i].kind != kind)
			continue;
		gw_buf_init(&b, 1 << 20);
		assert_int_equal(to_row(kind, objects[i].json, &b), GW_OK);
		go_on = fn(arg, gw_buf_view(&b));
		gw_buf_done(&b); /* views are not for keeping */
	}
	return GW_OK;
}

static const struct gw_rows rows = { NULL, object, model, each };
