/* Sealed credential secrets. What a row is sealed for comes from its key and from the credential object beside it, never
 * from the row itself: that is what makes a swap of two rows visible. */
#include "confd/sealed.h"

#include "confd/keyring.h"
#include "confd/object.h"

enum { KEY_BYTES = 160, RETIRED_BYTES = 8, MAX_ROW = 66000, MAX_BATCH = 256 };

static struct gw_str row_key(struct gw_str id, uint64_t version, char out[KEY_BYTES])
{
	if (id.n == 0 || id.n + 9 > KEY_BYTES)
		return GW_NIL;
	memcpy(out, id.p, id.n);
	out[id.n] = '\0';
	(void)gw_be64(version, out + id.n + 1);
	return gw_str(out, id.n + 9);
}

static void put_aad(struct gw_buf *b, const struct gw_sealed_place *p)
{
	char num[8];

	gw_buf_put(b, "llmgw/cred/v1", 14);
	if (p->team.n > 0) {
		gw_buf_put(b, "t:", 2);
		gw_buf_puts(b, p->team);
	} else if (p->org.n > 0) {
		gw_buf_put(b, "o:", 2);
		gw_buf_puts(b, p->org);
	}
	gw_buf_putc(b, '\0');
	gw_buf_puts(b, p->id);
	gw_buf_putc(b, '\0');
	gw_buf_puts(b, gw_be64(p->version, num));
}

/* Seals for the place and stores with this retirement stamp. */
static enum gw_err store_row(struct gw_core *core, struct gw_txn *t, const struct gw_sealed_place *p,
			     const struct gw_secret *plain, uint64_t retired_us)
{
	char key[KEY_BYTES], num[8];
	struct gw_buf aad, row;

	gw_buf_init(&aad, 1024);
	gw_buf_init(&row, MAX_ROW);
	put_aad(&aad, p);
	gw_buf_puts(&row, gw_be64(retired_us, num));
	enum gw_err e = aad.err != GW_OK ? aad.err : gw_keyring_seal(core->keyring, t, gw_buf_view(&aad), plain, &row);

	if (e == GW_OK)
		e = gw_txn_put(t, GW_T_SEALED, row_key(p->id, p->version, key), gw_buf_view(&row));
	gw_buf_done(&aad);
	gw_buf_done(&row);
	return e;
}

enum gw_err gw_sealed_put(struct gw_core *core, struct gw_txn *t, struct gw_sealed_place *p,
			  const struct gw_secret *plain)
{
	uint64_t last;
	enum gw_err e = gw_meta_u64(t, "secret_version", &last);

	if (e == GW_OK)
		e = gw_meta_set_u64(t, "secret_version", last + 1);
	if (e != GW_OK)
		return e;
	p->version = last + 1;
	return store_row(core, t, p, plain, 0);
}

static enum gw_err unseal(struct gw_core *core, const struct gw_sealed_place *p, struct gw_str row,
			  struct gw_secret **out)
{
	struct gw_buf aad;

	gw_buf_init(&aad, 1024);
	put_aad(&aad, p);
	enum gw_err e = aad.err != GW_OK ? aad.err
			: row.n < RETIRED_BYTES
			    ? GW_E_CORRUPT
			    : gw_keyring_unseal(core->keyring, gw_buf_view(&aad), gw_str_skip(row, RETIRED_BYTES), out);

	gw_buf_done(&aad);
	return e;
}

enum gw_err gw_sealed_get(struct gw_core *core, struct gw_txn *t, const struct gw_sealed_place *p,
			  struct gw_secret **out)
{
	char key[KEY_BYTES];
	struct gw_str row;
	enum gw_err e = gw_txn_get(t, GW_T_SEALED, row_key(p->id, p->version, key), &row);

	return e == GW_OK ? unseal(core, p, row, out) : e;
}

enum gw_err gw_sealed_retire(struct gw_txn *t, struct gw_str id, uint64_t version, int64_t now_us)
{
	char key[KEY_BYTES], num[8];
	struct gw_str row, k = row_key(id, version, key);
	struct gw_buf b;
	enum gw_err e = gw_txn_get(t, GW_T_SEALED, k, &row);

	if (e != GW_OK)
		return e == GW_E_NOT_FOUND ? GW_OK : e;
	gw_buf_init(&b, MAX_ROW);
	gw_buf_puts(&b, gw_be64((uint64_t)now_us, num));
	gw_buf_puts(&b, gw_str_skip(row, RETIRED_BYTES));
	e = b.err == GW_OK ? gw_txn_put(t, GW_T_SEALED, k, gw_buf_view(&b)) : b.err;
	gw_buf_done(&b);
	return e;
}

/* A handful of row keys, collected before they are written to: a scan must not see its own changes. */
struct batch {
	char key[MAX_BATCH][KEY_BYTES];
	size_t len[MAX_BATCH];
	unsigned n;
};

typedef bool wanted_fn(struct gw_core *core, struct gw_str row, int64_t now_us);

static bool is_due(struct gw_core *core, struct gw_str row, int64_t now_us)
{
	uint64_t at = gw_be64_read(row);

	return at != 0 && (uint64_t)now_us >= at + core->drain_ms * 1000;
}

static bool is_old(struct gw_core *core, struct gw_str row, int64_t now_us)
{
	(void)now_us;
	return gw_keyring_is_old(core->keyring, gw_str_skip(row, RETIRED_BYTES));
}

static enum gw_err collect(struct gw_core *core, struct gw_txn *t, wanted_fn *wanted, int64_t now_us, unsigned max,
			   struct batch *b)
{
	struct gw_scan s;
	enum gw_err e = gw_scan_start(&s, t, GW_T_SEALED, GW_NIL, false);

	b->n = 0;
	if (e != GW_OK)
		return e;
	while (b->n < max && b->n < MAX_BATCH && gw_scan_next(&s)) {
		if (s.value.n < RETIRED_BYTES || s.key.n > KEY_BYTES || !wanted(core, s.value, now_us))
			continue;
		memcpy(b->key[b->n], s.key.p, s.key.n);
		b->len[b->n++] = s.key.n;
	}
	e = s.err;
	gw_scan_end(&s);
	return e;
}

enum gw_err gw_sealed_delete_all(struct gw_txn *t, struct gw_str id)
{
	char prefix[KEY_BYTES], key[KEY_BYTES];
	struct gw_str want = gw_str(prefix, row_key(id, 0, prefix).n - 8);

	for (;;) {
		struct gw_scan s;
		size_t n = 0;
		enum gw_err e = gw_scan_start(&s, t, GW_T_SEALED, want, false);

		if (e != GW_OK)
			return e;
		if (gw_scan_next(&s) && gw_str_has_prefix(s.key, want) && s.key.n <= KEY_BYTES) {
			memcpy(key, s.key.p, s.key.n);
			n = s.key.n;
		}
		e = s.err;
		gw_scan_end(&s);
		if (e != GW_OK || n == 0)
			return e;
		e = gw_txn_del(t, GW_T_SEALED, gw_str(key, n));
		if (e != GW_OK)
			return e;
	}
}

bool gw_sealed_is_due(struct gw_core *core, struct gw_txn *t, int64_t now_us)
{
	static struct batch b;

	return collect(core, t, is_due, now_us, 1, &b) == GW_OK && b.n > 0;
}

enum gw_err gw_sealed_sweep(struct gw_core *core, struct gw_txn *t, int64_t now_us, unsigned *n)
{
	static struct batch b; /* 40 KiB: not for the stack; only the one writer comes here */
	enum gw_err e = collect(core, t, is_due, now_us, MAX_BATCH, &b);

	for (unsigned i = 0; e == GW_OK && i < b.n; i++)
		e = gw_txn_del(t, GW_T_SEALED, gw_str(b.key[i], b.len[i]));
	*n = b.n;
	return e;
}

/* Where a row belongs: id and version from its key, the tenant from the credential object. "=id" is a certificate's key. */
static enum gw_err place_of(struct gw_txn *t, struct gw_str key, yyjson_doc **doc, struct gw_sealed_place *out)
{
	char buf[GW_OBJ_KEY_BYTES];
	struct gw_str json, id = gw_str(key.p, key.n - 9);
	bool is_certificate = id.n > 0 && id.p[0] == '=';
	struct gw_str object = is_certificate ? gw_obj_key(GW_KIND_certificate, gw_str_skip(id, 1), buf)
					      : gw_obj_key(GW_KIND_credential, id, buf);
	enum gw_err e = gw_txn_get(t, GW_T_OBJECT, object, &json);

	if (e != GW_OK)
		return e;
	*doc = yyjson_read(json.p, json.n, 0);
	if (*doc == NULL)
		return GW_E_CORRUPT;
	const yyjson_val *obj = yyjson_doc_get_root(*doc);

	*out = (struct gw_sealed_place){ id, gw_obj_str(obj, "org"), gw_obj_str(obj, "team"),
					 gw_be64_read(gw_str_skip(key, key.n - 8)) };
	return GW_OK;
}

static enum gw_err reseal_row(struct gw_core *core, struct gw_txn *t, struct gw_str key)
{
	struct gw_sealed_place place;
	struct gw_secret *plain = NULL;
	yyjson_doc *doc = NULL;
	struct gw_str row;
	enum gw_err e = key.n > 9 ? gw_txn_get(t, GW_T_SEALED, key, &row) : GW_E_CORRUPT;

	if (e != GW_OK)
		return e;
	uint64_t retired_us = gw_be64_read(row);

	e = place_of(t, key, &doc, &place);
	if (e == GW_E_NOT_FOUND) /* its credential is gone; so is its use */
		return gw_txn_del(t, GW_T_SEALED, key);
	if (e == GW_OK)
		e = unseal(core, &place, row, &plain);
	if (e == GW_OK)
		e = store_row(core, t, &place, plain, retired_us);
	gw_secret_unref(plain);
	yyjson_doc_free(doc);
	return e;
}

enum gw_err gw_sealed_reseal(struct gw_core *core, struct gw_txn *t, unsigned max, unsigned *n)
{
	static struct batch b;
	enum gw_err e = collect(core, t, is_old, 0, max, &b);

	*n = 0;
	for (unsigned i = 0; e == GW_OK && i < b.n; i++) {
		e = reseal_row(core, t, gw_str(b.key[i], b.len[i]));
		*n += e == GW_OK;
		if (e == GW_E_CRYPTO) /* damaged or moved: it stays as it is, and so does its DEK */
			e = GW_OK;
	}
	return e;
}

enum gw_err gw_sealed_count(struct gw_txn *t, uint32_t dek, uint64_t *n)
{
	struct gw_scan s;
	enum gw_err e = gw_scan_start(&s, t, GW_T_SEALED, GW_NIL, false);

	*n = 0;
	if (e != GW_OK)
		return e;
	while (gw_scan_next(&s))
		*n += gw_keyring_blob_dek(gw_str_skip(s.value, RETIRED_BYTES)) == dek;
	e = s.err;
	gw_scan_end(&s);
	return e;
}
