/* Image rows in the store. What a row looks like follows from the program (the rows of schemas/config.def and the code that
 * packs them), so the store remembers which program made its rows. */
#include "confd/row.h"

#include <stdio.h>

#include "confd/object.h"
#include "lib/text.h"

enum { MAX_ROW = 1 << 20, BATCH = 5000 };

enum gw_err gw_row_put(struct gw_txn *t, enum gw_cf_kind kind, struct gw_str key, const yyjson_val *obj)
{
	struct gw_buf row;

	if (!gw_cf_kinds[kind].is_served)
		return GW_OK;
	gw_buf_init(&row, MAX_ROW);
	gw_cf_image_row(kind, obj, &row);
	enum gw_err e = row.err == GW_OK ? gw_txn_put(t, GW_T_ROW, key, gw_buf_view(&row)) : row.err;

	gw_buf_done(&row);
	return e;
}

/* Version of the program and a check sum over all that decides what rows look like. */
static struct gw_str layout(char out[64])
{
	uint32_t crc = 0;

	for (int k = 0; k < GW_KIND_COUNT; k++) {
		for (unsigned i = 0; i < gw_cf_kinds[k].n_fields; i++) {
			const struct gw_cf_field *f = gw_cf_kinds[k].fields[i];
			uint64_t facts[] = { f->number, (uint64_t)f->type, f->flags, gw_cf_kinds[k].is_served };

			crc = gw_crc32c(crc, f->name, strlen(f->name));
			crc = gw_crc32c(crc, f->def, strlen(f->def));
			crc = gw_crc32c(crc, facts, sizeof(facts));
		}
	}
	int n = snprintf(out, 64, "%s %08x", LLMGW_VERSION, crc);

	return gw_str(out, (size_t)n);
}

struct remake {
	char from[GW_OBJ_KEY_BYTES + 1];
	size_t n;
	bool is_done;
};

/* The next objects behind `from`, each with its row. */
static enum gw_err remake_some(struct gw_txn *t, void *arg)
{
	struct remake *r = arg;
	struct gw_scan s;
	unsigned n = 0;
	enum gw_err e = gw_scan_start(&s, t, GW_T_OBJECT, gw_str(r->from, r->n), false);

	if (e != GW_OK)
		return e;
	while (e == GW_OK && n < BATCH && gw_scan_next(&s)) {
		enum gw_cf_kind kind;
		struct gw_str id;
		yyjson_doc *doc = yyjson_read(s.value.p, s.value.n, 0);

		n++;
		if (doc == NULL || !gw_obj_key_read(s.key, &kind, &id) || s.key.n >= sizeof(r->from)) {
			e = GW_E_CORRUPT;
		} else {
			memcpy(r->from, s.key.p, s.key.n);
			r->from[s.key.n] = '\0'; /* just behind it */
			r->n = s.key.n + 1;
			e = gw_row_put(t, kind, gw_str(r->from, r->n - 1), yyjson_doc_get_root(doc));
		}
		yyjson_doc_free(doc);
	}
	if (e == GW_OK)
		e = s.err;
	gw_scan_end(&s);
	r->is_done = n < BATCH;
	return e;
}

static enum gw_err put_layout(struct gw_txn *t, void *arg)
{
	char text[64];

	(void)arg;
	return gw_txn_put(t, GW_T_META, GW_LIT("rows"), layout(text));
}

enum gw_err gw_rows_open(struct gw_core *core)
{
	struct remake r = { .n = 0 };
	struct gw_str was;
	struct gw_txn t;
	char text[64];
	enum gw_err e = gw_txn_read(core->store, &t);

	if (e != GW_OK)
		return e;
	e = gw_txn_get(&t, GW_T_META, GW_LIT("rows"), &was);
	bool is_same = e == GW_OK && gw_str_eq(was, layout(text));

	gw_txn_abort(&t);
	if (is_same || (e != GW_OK && e != GW_E_NOT_FOUND))
		return is_same ? GW_OK : e;
	do {
		e = gw_store_update(core->store, remake_some, &r);
		if (core->beat != NULL)
			core->beat(core->beat_ctx);
	} while (e == GW_OK && !r.is_done);
	return e == GW_OK ? gw_store_update(core->store, put_layout, NULL) : e;
}
