/* Objects from outside: the first byte chooses the kind, the rest is JSON. What is accepted is canonical at once, and its image row
 * is read back; what is refused says where and what. Also image rows straight from hostile bytes. */
#include "input.h"
#include "core/config_impl.h"
#include "core/config_types.h"

static enum gw_err check_object(struct gw_arena *a, enum gw_cf_kind kind, const yyjson_doc *d, struct gw_buf *out)
{
	struct gw_cf_check c = { .kind = kind, .in = yyjson_doc_get_root((yyjson_doc *)(uintptr_t)d), .arena = a };
	enum gw_err e = gw_cf_check(&c, out);

	MUST_HOLD((e == GW_OK) == (c.faults.n == 0) || e == GW_E_NOMEM);
	for (unsigned i = 0; i < c.faults.n; i++)
		MUST_HOLD(c.faults.v[i].err != GW_OK);
	return e;
}

static void read_row(struct gw_arena *a, enum gw_cf_kind kind, struct gw_str row, bool must)
{
	union {
		uint64_t align;
		char bytes[1024];
	} room;
	enum gw_err e;

	MUST_HOLD(gw_cf_sizes[kind] <= sizeof(room));
	e = gw_cf_read(kind, row, a, &room);
	MUST_HOLD(e == GW_OK || (!must && (e == GW_E_GARBLED || e == GW_E_NOMEM)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_json_limits lim = gw_json_default_limits;
	struct gw_json_fault f;
	struct gw_buf first, second, row;
	struct gw_arena a;
	yyjson_doc *d, *again;
	enum gw_cf_kind kind;

	if (size < 1)
		return 0;
	kind = (enum gw_cf_kind)(data[0] % GW_KIND_COUNT);
	gw_arena_init(&a, NULL, 0, 16 << 20);
	read_row(&a, kind, gw_str((const char *)data + 1, size - 1), false);
	if (gw_json_read(gw_str((const char *)data + 1, size - 1), &lim, &d, &f) == GW_OK) {
		gw_buf_init(&first, 1 << 20);
		gw_buf_init(&second, 1 << 20);
		gw_buf_init(&row, 1 << 20);
		if (check_object(&a, kind, d, &first) == GW_OK) {
			MUST_HOLD(gw_json_read(gw_buf_view(&first), &lim, &again, &f) == GW_OK);
			MUST_HOLD(check_object(&a, kind, again, &second) == GW_OK);
			MUST_HOLD(gw_str_eq(gw_buf_view(&first), gw_buf_view(&second)));
			gw_cf_image_row(kind, yyjson_doc_get_root(again), &row);
			read_row(&a, kind, gw_buf_view(&row), true);
			yyjson_doc_free(again);
		}
		gw_buf_done(&first);
		gw_buf_done(&second);
		gw_buf_done(&row);
		yyjson_doc_free(d);
	}
	gw_arena_done(&a);
	return 0;
}
