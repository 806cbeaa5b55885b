/* Writing the store's part of a backup. */
#include "confd/backup.h"

#include <unistd.h>

#include "confd/object.h"
#include "lib/backup.h"
#include "lib/sys/clock.h"
#include "lib/sys/fd.h"
#include "lib/text.h"

enum { ROOM = 8 << 20, FLUSH_AT = 256 << 10 };

static void put_le(struct gw_buf *b, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		gw_buf_putc(b, (char)(v >> (8 * i)));
}

static enum gw_err flush(struct gw_buf *b, int fd)
{
	enum gw_err e = b->err != GW_OK ? b->err : gw_write_all(fd, b->p, b->n);

	gw_buf_clear(b, ROOM);
	return e;
}

static void put_header(struct gw_txn *t, const char *root_id, struct gw_buf *out)
{
	uint64_t generation = 0, seq = 0;
	struct gw_json_out w;
	struct gw_buf json, now;

	(void)!gw_meta_u64(t, "generation", &generation);
	(void)!gw_meta_u64(t, "change_seq", &seq);
	gw_buf_init(&json, GW_BACKUP_MAX_HEADER);
	gw_buf_init(&now, 64);
	gw_time_put(&now, gw_unix_us());
	gw_jw_init(&w, &json);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "program", GW_LIT(LLMGW_VERSION));
	gw_jw_kstr(&w, "created_at", gw_buf_view(&now));
	gw_jw_ku64(&w, "generation", generation);
	gw_jw_ku64(&w, "change_seq", seq);
	gw_jw_kstr(&w, "root_key_id", gw_str_z(root_id));
	gw_jw_key(&w, GW_LIT("tables"));
	gw_jw_arr(&w);
	for (int i = 0; i < GW_T_COUNT; i++)
		gw_jw_str(&w, gw_str_z(gw_store_table_name((enum gw_table)i)));
	gw_jw_end_arr(&w);
	gw_jw_end_obj(&w);
	gw_buf_puts(out, GW_LIT(GW_BACKUP_MAGIC));
	put_le(out, json.n, 4);
	gw_buf_puts(out, gw_buf_view(&json));
	gw_buf_done(&json);
	gw_buf_done(&now);
}

static bool is_left_out(enum gw_table table, struct gw_str key)
{
	return table == GW_T_IDEM || (table == GW_T_LOGIN && key.n > 0 && key.p[0] == 's');
}

static enum gw_err put_table(struct gw_txn *t, enum gw_table table, struct gw_buf *b, int fd)
{
	struct gw_scan s;
	enum gw_err e = gw_scan_start(&s, t, table, GW_NIL, false);

	if (e != GW_OK)
		return e;
	while (e == GW_OK && gw_scan_next(&s)) {
		if (is_left_out(table, s.key))
			continue;
		gw_buf_putc(b, GW_BACKUP_ROW);
		put_le(b, (uint64_t)table, 1);
		put_le(b, s.key.n, 4);
		put_le(b, s.value.n, 4);
		gw_buf_puts(b, s.key);
		gw_buf_puts(b, s.value);
		if (gw_store_wants_grow(t->store))
			e = GW_E_BUSY;
		else if (b->n >= FLUSH_AT)
			e = flush(b, fd);
	}
	if (e == GW_OK)
		e = s.err;
	gw_scan_end(&s);
	return e;
}

enum gw_err gw_backup_write(struct gw_store *s, const char *root_id, int fd)
{
	struct gw_buf b;
	struct gw_txn t;
	enum gw_err e = gw_txn_read(s, &t);

	if (e != GW_OK)
		return e;
	gw_buf_init(&b, ROOM);
	put_header(&t, root_id, &b);
	for (int i = 0; i < GW_T_COUNT && e == GW_OK; i++)
		e = put_table(&t, (enum gw_table)i, &b, fd);
	if (e == GW_OK)
		e = flush(&b, fd);
	gw_txn_abort(&t);
	gw_buf_done(&b);
	return e;
}
