/* GET logs:export: all records that the query wants, oldest first, as JSON lines, CSV or msgpack. A pool thread makes a quarter of a megabyte at
 * a time and stops; the next turn begins when the client has taken most of it. So the memory is bounded however much is exported, and
 * a client that goes away ends it. */
#include <stdlib.h>
#include "admin/query.h"
#include "lib/json_write.h"
#include "lib/msgpack.h"
#include "lib/sys/clock.h"
#include "lib/text.h"

enum { EXPORTS_MAX = 4, TURN_MS = 300, TURN_MAX_MS = 30000, PIECE = 256 << 10, QUEUE_LOW = 128 << 10, LOOK_MS = 10 };
enum format { JSONL, CSV, MSGPACK };

struct export
{
	uv_work_t work;
	uv_timer_t timer;
	struct gw_adm_req *q;
	struct gw_admin *ad;
	struct gw_arena arena;
	struct gw_q walk;
	enum format format;
	uint64_t turn_ms;
	bool is_over;
};

/* --- rows: the same over the fields of either class --- */
struct fields {
	const struct gw_rfield *v;
	unsigned n;
	const void *of;
};

static void put_id(struct gw_buf *b, const uint8_t *id)
{
	char text[36];

	gw_uuid_print(id, text);
	gw_buf_put(b, text, sizeof text);
}

/* RFC 4180; a cell that a spreadsheet would take for a formula begins with an apostrophe. */
static void csv_text(struct gw_buf *b, struct gw_str s)
{
	bool is_formula = s.n && memchr("=+-@\t\r", s.p[0], 6) != NULL;

	gw_buf_putc(b, '"');
	if (is_formula)
		gw_buf_putc(b, '\'');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"')
			gw_buf_putc(b, '"');
		gw_buf_putc(b, s.p[i]);
	}
	gw_buf_putc(b, '"');
}

static void csv_cell(struct gw_buf *b, const struct gw_rfield *f, const void *at)
{
	const uint8_t *id;

	switch (f->type) {
	case GW_RF_STR:
	case GW_RF_JSON:
		if (((const struct gw_str *)at)->n)
			csv_text(b, *(const struct gw_str *)at);
		break;
	case GW_RF_U64:
		gw_buf_put_u64(b, *(const uint64_t *)at);
		break;
	case GW_RF_I64:
		gw_buf_put_i64(b, *(const int64_t *)at);
		break;
	case GW_RF_BOOL:
		gw_buf_puts(b, *(const bool *)at ? GW_LIT("true") : GW_LIT("false"));
		break;
	case GW_RF_ID16:
		id = *(const uint8_t *const *)at;
		if (id)
			put_id(b, id);
		break;
	}
}

static void csv_row(struct gw_buf *b, const struct fields *f)
{
	for (unsigned i = 0; i < f->n; i++) {
		if (i)
			gw_buf_putc(b, ',');
		if (f->of)
			csv_cell(b, &f->v[i], (const char *)f->of + f->v[i].offset);
		else
			gw_buf_puts(b, gw_str_z(f->v[i].name));
	}
	gw_buf_puts(b, GW_LIT("\r\n"));
}

/* A map of names, empty fields left out as in JSON. */
static void msgpack_row(struct gw_buf *b, const struct fields *f)
{
	struct gw_buf pairs;
	uint32_t n = 0;

	gw_buf_init(&pairs, 64 << 10);
	for (unsigned i = 0; i < f->n; i++) {
		const void *at = (const char *)f->of + f->v[i].offset;
		struct gw_str text = GW_NIL, name = gw_str_z(f->v[i].name);
		enum gw_rfield_type t = f->v[i].type;
		char id[36];

		if (t == GW_RF_STR || t == GW_RF_JSON)
			text = *(const struct gw_str *)at;
		if (t == GW_RF_ID16 && *(const uint8_t *const *)at) {
			gw_uuid_print(*(const uint8_t *const *)at, id);
			text = gw_str(id, sizeof id);
		}
		if ((t == GW_RF_U64 || t == GW_RF_I64) && *(const uint64_t *)at) {
			gw_mp_str(&pairs, name);
			if (t == GW_RF_U64)
				gw_mp_u64(&pairs, *(const uint64_t *)at);
			else
				gw_mp_i64(&pairs, *(const int64_t *)at);
			n++;
		} else if (t == GW_RF_BOOL && *(const bool *)at) {
			gw_mp_str(&pairs, name);
			gw_mp_bool(&pairs, true);
			n++;
		} else if (text.n) {
			gw_mp_str(&pairs, name);
			gw_mp_str(&pairs, text);
			n++;
		}
	}
	gw_mp_map(b, n);
	gw_buf_puts(b, gw_buf_view(&pairs));
	b->err = b->err ? b->err : pairs.err;
	gw_buf_done(&pairs);
}

static struct fields fields_of(enum gw_seg_class cls)
{
	return cls == GW_SEG_ADMIN ? (struct fields){ gw_admin_fields, gw_admin_n_fields, NULL }
				   : (struct fields){ gw_record_fields, GW_RECORD_COUNT, NULL };
}

/* --- in the pool thread --- */
static bool tell(struct gw_q *y, const struct gw_seg_record *rec)
{
	struct export *x = (struct export *)((char *)y - offsetof(struct export, walk));
	struct fields f = fields_of(y->want.cls);
	struct gw_admin_record a;
	struct gw_record r;
	bool ok =
	    y->want.cls == GW_SEG_ADMIN ? gw_adm_want_admin(&y->want, rec, &a) : gw_adm_want_record(&y->want, rec, &r);

	if (!ok)
		return true;
	f.of = y->want.cls == GW_SEG_ADMIN ? (const void *)&a : &r;
	if (x->format == CSV) {
		csv_row(&y->out, &f);
	} else if (x->format == MSGPACK) {
		msgpack_row(&y->out, &f);
	} else {
		gw_adm_record_json(&y->want, rec, &y->out);
		gw_buf_putc(&y->out, '\n');
	}
	y->n_out++;
	return !y->out.err && y->out.n < PIECE;
}

/* A turn that came nowhere (a long file without a record that is wanted) has more time the next time. */
static void run_turn(uv_work_t *work)
{
	struct export *x = work->data;
	struct gw_q *y = &x->walk;
	struct gw_q_pos before = y->at;

	y->n_out = 0;
	y->is_cut = y->is_full = y->has_moved = false;
	y->until_ms = gw_now_ms() + x->turn_ms;
	gw_q_walk(y);
	bool has_moved = strcmp(before.name, y->at.name) != 0 || before.offset != y->at.offset;
	if (y->is_cut && !has_moved)
		x->turn_ms = x->turn_ms * 2 < TURN_MAX_MS ? x->turn_ms * 2 : TURN_MAX_MS;
}

/* --- on the loop --- */
static void on_closed(uv_handle_t *h)
{
	struct export *x = h->data;

	x->ad->n_exports--;
	gw_buf_done(&x->walk.out);
	gw_arena_done(&x->arena);
	gw_adm_end(x->q);
	free(x);
}

static void end_all(struct export *x, bool is_good)
{
	struct gw_h1_conn *c = x->q->conn;

	if (c) {
		gw_h1_set_user(c, NULL);
		x->q->conn = NULL;
		if (is_good)
			gw_h1_reply_end(c);
		else
			gw_h1_reply_cut(c);
	}
	uv_timer_stop(&x->timer);
	uv_close((uv_handle_t *)&x->timer, on_closed);
}

static void after_turn(uv_work_t *work, int status);

static void next_turn(struct export *x)
{
	x->work.data = x;
	if (uv_queue_work(&x->ad->loop, &x->work, run_turn, after_turn) != 0)
		end_all(x, false);
}

static void on_look(uv_timer_t *t)
{
	struct export *x = t->data;

	if (!x->q->conn) {
		end_all(x, false);
	} else if (gw_h1_queued(x->q->conn) <= QUEUE_LOW) {
		uv_timer_stop(t);
		next_turn(x);
	}
}

static void after_turn(uv_work_t *work, int status)
{
	struct export *x = work->data;
	struct gw_q *y = &x->walk;

	(void)status;
	if (y->is_index_bad && !x->is_over)
		gw_q_report_bad_index(x->ad);
	x->is_over = y->is_index_bad; /* told once */
	if (!x->q->conn || y->err || y->out.err) {
		end_all(x, false);
		return;
	}
	if (y->out.n)
		gw_h1_reply_piece(x->q->conn, gw_buf_view(&y->out));
	gw_buf_clear(&y->out, 2 * PIECE);
	if (!y->is_cut && !y->is_full)
		end_all(x, true);
	else
		uv_timer_start(&x->timer, on_look, 0, LOOK_MS);
}

static bool read_format(struct gw_str s, enum format *out)
{
	static const char *const names[] = { "jsonl", "csv", "msgpack" };

	for (int i = 0; i < 3; i++)
		if (gw_str_eq(s, gw_str_z(names[i]))) {
			*out = (enum format)i;
			return true;
		}
	return false;
}

static void begin(struct export *x)
{
	static const char *const types[] = { "application/x-ndjson", "text/csv; charset=utf-8; header=present",
					     "application/vnd.msgpack" };
	struct gw_h1_answer a = { .status = 200, .content_type = gw_str_z(types[x->format]), .content_length = -1 };
	struct fields head = fields_of(x->walk.want.cls);

	x->ad->n_exports++;
	uv_timer_init(&x->ad->loop, &x->timer);
	x->timer.data = x;
	gw_h1_reply_start(x->q->conn, &a);
	if (x->format == CSV)
		csv_row(&x->walk.out, &head);
	next_turn(x);
}

void gw_adm_logs_export(struct gw_adm_req *q)
{
	struct export *x = q->ad->n_exports < EXPORTS_MAX ? calloc(1, sizeof *x) : NULL;
	struct gw_str v, why = GW_NIL;
	enum gw_err e;

	if (!x) {
		gw_adm_fail(q, GW_E_BUSY, GW_LIT("Too many exports at once; try again when one is done."));
		return;
	}
	*x = (struct export){ .q = q, .ad = q->ad, .turn_ms = TURN_MS };
	x->walk = (struct gw_q){ .is_ascending = true, .limit = UINT64_MAX, .max_bytes = PIECE, .fn = tell };
	gw_arena_init(&x->arena, NULL, 0, 64 << 10);
	gw_buf_init(&x->walk.out, 4 * PIECE);
	e = gw_q_read(q, &x->arena, &x->walk, &why);
	if (!e && gw_adm_param(q, "format", &v) && !read_format(v, &x->format)) {
		e = GW_E_INVALID;
		why = GW_LIT("format: jsonl, csv or msgpack");
	}
	if (!e) {
		begin(x);
		return;
	}
	gw_adm_fail(q, e, why);
	gw_arena_done(&x->arena);
	gw_buf_done(&x->walk.out);
	free(x);
}
