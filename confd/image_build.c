/* Building images: every image row (made when its object was written, confd/row.c) is read through its check sum and appended.
 * Only rows and fields marked for workers are there: no labels, no fingerprints, nothing of the keyring. */
#include "confd/image_build.h"

#include <stdio.h>

#include "confd/object.h"
#include "lib/sys/fd.h"

enum { KEY_INDEX_BYTES = 32, FIRST_BYTES = 256 };

void gw_built_drop(struct gw_built *b)
{
	gw_close(&b->fd);
}

/* Objects of the kinds [from, to). */
static enum gw_err put_kinds(struct gw_txn *t, struct gw_image_writer *w, unsigned from, unsigned to)
{
	char first = (char)from;
	struct gw_scan scan;
	enum gw_err e = gw_scan_start(&scan, t, GW_T_ROW, gw_str(&first, 1), false);

	if (e != GW_OK)
		return e;
	while (e == GW_OK && gw_scan_next(&scan) && (uint8_t)scan.key.p[0] < to)
		e = gw_image_put(w, GW_DB_OBJECT, scan.key, scan.value);
	if (e == GW_OK)
		e = scan.err;
	gw_scan_end(&scan);
	return e;
}

/* All but keys, which have images of their own. */
static enum gw_err put_objects(struct gw_txn *t, struct gw_image_writer *w)
{
	enum gw_err e = put_kinds(t, w, 0, GW_KIND_key);

	return e == GW_OK ? put_kinds(t, w, GW_KIND_key + 1, GW_KIND_COUNT) : e;
}

static enum gw_err put_models(struct gw_txn *t, struct gw_image_writer *w)
{
	struct gw_scan scan;
	enum gw_err e = gw_scan_start(&scan, t, GW_T_MODEL, GW_NIL, false);

	if (e != GW_OK)
		return e;
	while (e == GW_OK && gw_scan_next(&scan))
		e = gw_image_put(w, GW_DB_MODEL, scan.key, scan.value);
	if (e == GW_OK)
		e = scan.err;
	gw_scan_end(&scan);
	return e;
}

static enum gw_err end(struct gw_image_writer *w, enum gw_err e, struct gw_built *out)
{
	if (e == GW_OK)
		return gw_image_write_end(w, &out->fd, &out->size, out->digest);
	gw_image_write_drop(w);
	return e;
}

enum gw_err gw_build_config(struct gw_txn *t, uint64_t generation, struct gw_built *out)
{
	struct gw_image_writer *w;
	char text[24];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)generation);
	enum gw_err e = gw_image_write_start(GW_IMAGE_CONFIG, gw_txn_bytes(t, GW_T_ROW), &w);

	if (e != GW_OK)
		return e;
	e = put_objects(t, w);
	if (e == GW_OK)
		e = put_models(t, w);
	if (e == GW_OK)
		e = gw_image_put(w, GW_DB_META, GW_LIT("generation"), gw_str(text, (size_t)n));
	return end(w, e, out);
}

/* --- keys --- */

static enum gw_err put_key(struct gw_txn *t, struct gw_image_writer *w, struct gw_str index, struct gw_str id)
{
	char buf[GW_OBJ_KEY_BYTES];
	struct gw_str row;
	enum gw_err e = gw_txn_get(t, GW_T_ROW, gw_obj_key(GW_KIND_key, id, buf), &row);

	if (e == GW_E_NOT_FOUND)
		e = GW_E_CORRUPT; /* an index without its key */
	return e == GW_OK ? gw_image_put(w, GW_DB_KEY, index, row) : e;
}

enum gw_err gw_build_delta(struct gw_txn *t, const uint8_t (*index)[32], size_t n, struct gw_built *out)
{
	struct gw_image_writer *w;
	enum gw_err e = gw_image_write_start(GW_IMAGE_DELTA, n * 512, &w);

	if (e != GW_OK)
		return e;
	for (size_t i = 0; e == GW_OK && i < n; i++) {
		struct gw_str id, key = gw_str((const char *)index[i], KEY_INDEX_BYTES);

		e = gw_txn_get(t, GW_T_KEY, key, &id);
		if (e == GW_OK)
			e = put_key(t, w, key, id);
		else if (e == GW_E_NOT_FOUND)
			e = gw_image_put(w, GW_DB_KEY, key, GW_LIT(""));
	}
	return end(w, e, out);
}

enum gw_err gw_shard_start(struct gw_shard_build *b, struct gw_txn *t, unsigned shard)
{
	size_t expected = gw_txn_bytes(t, GW_T_ROW) / GW_KEY_SHARDS;

	*b = (struct gw_shard_build){ .txn = t, .shard = shard, .first_byte = shard };
	return gw_image_write_start((enum gw_image_name)(GW_IMAGE_KEYS0 + shard), expected, &b->writer);
}

/* The keys of a shard are 16 ranges of the index: first bytes 0x0s, 0x1s, ... 0xfs. Positions at the first key of the
 * present range, or behind it. */
static enum gw_err next_range(struct gw_shard_build *b)
{
	char from = (char)b->first_byte;
	enum gw_err e = gw_scan_start(&b->scan, b->txn, GW_T_KEY, gw_str(&from, 1), false);

	if (e != GW_OK)
		return e;
	b->is_scanning = gw_scan_next(&b->scan);
	b->scan.from = GW_NIL; /* was on this stack; looked at by the first step only */
	if (b->is_scanning)
		return GW_OK;
	gw_scan_end(&b->scan);
	b->first_byte = FIRST_BYTES; /* nothing behind it at all */
	return b->scan.err;
}

enum gw_err gw_shard_step(struct gw_shard_build *b, unsigned n, bool *is_done)
{
	enum gw_err e = GW_OK;

	while (e == GW_OK && n > 0 && b->first_byte < FIRST_BYTES) {
		if (!b->is_scanning) {
			e = next_range(b);
			continue;
		}
		if (b->scan.key.n != KEY_INDEX_BYTES || (uint8_t)b->scan.key.p[0] != b->first_byte) {
			gw_scan_end(&b->scan);
			b->is_scanning = false;
			b->first_byte += GW_KEY_SHARDS;
			continue;
		}
		e = put_key(b->txn, b->writer, b->scan.key, b->scan.value);
		n--;
		if (e == GW_OK && !gw_scan_next(&b->scan)) {
			e = b->scan.err;
			gw_scan_end(&b->scan);
			b->is_scanning = false;
			b->first_byte = FIRST_BYTES;
		}
	}
	if (e != GW_OK)
		gw_shard_drop(b);
	*is_done = e == GW_OK && b->first_byte >= FIRST_BYTES;
	return e;
}

enum gw_err gw_shard_end(struct gw_shard_build *b, struct gw_built *out)
{
	struct gw_image_writer *w = b->writer;

	b->writer = NULL;
	return gw_image_write_end(w, &out->fd, &out->size, out->digest);
}

void gw_shard_drop(struct gw_shard_build *b)
{
	if (b->is_scanning)
		gw_scan_end(&b->scan);
	b->is_scanning = false;
	gw_image_write_drop(b->writer);
	b->writer = NULL;
}
