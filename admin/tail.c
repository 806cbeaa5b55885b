/* GET logs:tail: records as they become durable, one server-sent event each. Each tail keeps its own place in the newest segment and looks
 * every 200 ms; a client that does not read is cut. */
#include <stdlib.h>
#include "admin/admin.h"
#include "admin/segments.h"
#include "lib/sys/clock.h"

enum { LOOK_MS = 200, PER_LOOK = 2000, QUEUE_MAX = 4 << 20, COMMENT_MS = 15000 };

struct tail {
	uv_timer_t timer;
	struct gw_adm_req *q;
	struct gw_adm_want want;
	uint64_t segment_no; /* file under way, 0 = none */
	struct gw_str bytes;
	struct gw_seg_reader reader;
	struct gw_buf row;
	uint64_t said_ms;
};

static void on_closed(uv_handle_t *h)
{
	struct tail *t = h->data;

	t->q->ad->n_tails--;
	gw_adm_segment_close(&t->bytes);
	gw_buf_done(&t->row);
	if (t->q->conn) {
		struct gw_h1_conn *c = t->q->conn;

		gw_h1_set_user(c, NULL);
		t->q->conn = NULL;
		gw_h1_reply_cut(c);
	}
	gw_adm_end(t->q);
	free(t);
}

static void close_tail(struct tail *t)
{
	uv_timer_stop(&t->timer);
	if (!uv_is_closing((uv_handle_t *)&t->timer))
		uv_close((uv_handle_t *)&t->timer, on_closed);
}

/* The next file after the present one; at the very beginning the newest, read to its end without telling. */
static bool open_next(struct tail *t)
{
	struct gw_adm_segments files;
	const struct gw_adm_segment *pick = NULL;

	if (gw_adm_segments_list(t->q->ad->segments, t->want.cls, &files))
		return false;
	for (size_t i = 0; i < files.n; i++) {
		if (!t->segment_no)
			pick = &files.v[files.n - 1];
		else if (files.v[i].no > t->segment_no && !pick)
			pick = &files.v[i];
	}
	if (pick) {
		struct gw_str bytes;

		if (gw_adm_segment_open(t->q->ad->segments, pick->name, &bytes) == GW_OK) {
			struct gw_seg_reader r;

			if (gw_seg_open(&r, bytes) == GW_OK) {
				gw_adm_segment_close(&t->bytes);
				t->bytes = bytes;
				t->reader = r;
				t->segment_no = pick->no;
				gw_adm_segments_free(&files);
				return true;
			}
			gw_adm_segment_close(&bytes);
		}
	}
	gw_adm_segments_free(&files);
	return false;
}

/* A block that is being written looks broken: the place before it is kept and tried again. */
static bool next_record(struct tail *t, struct gw_seg_record *rec)
{
	struct gw_seg_reader before = t->reader;

	if (gw_seg_next(&t->reader, false, rec))
		return true;
	bool is_footer = t->reader.saw_footer;
	if (!is_footer)
		t->reader = before;
	return false;
}

static bool tell(struct tail *t, const struct gw_seg_record *rec)
{
	gw_buf_clear(&t->row, 64 << 10);
	gw_buf_puts(&t->row, GW_LIT("data: "));
	if (!gw_adm_record_json(&t->want, rec, &t->row))
		return true;
	gw_buf_puts(&t->row, GW_LIT("\n\n"));
	gw_h1_reply_piece(t->q->conn, gw_buf_view(&t->row));
	t->said_ms = gw_now_ms();
	return gw_h1_queued(t->q->conn) < QUEUE_MAX;
}

static void on_look(uv_timer_t *h)
{
	struct tail *t = h->data;
	struct gw_seg_record rec;

	if (!t->q->conn) {
		close_tail(t);
		return;
	}
	for (int n = 0; n < PER_LOOK; n++) {
		if (!t->bytes.p && !open_next(t))
			break;
		if (next_record(t, &rec)) {
			if (!tell(t, &rec)) {
				close_tail(t);
				return;
			}
		} else if (!open_next(t)) {
			break;
		}
	}
	if (gw_now_ms() - t->said_ms > COMMENT_MS) {
		t->said_ms = gw_now_ms();
		gw_h1_reply_piece(t->q->conn, GW_LIT(": still here\n\n"));
	}
}

/* What is there already is passed over. */
static void skip_old(struct tail *t)
{
	if (t->want.from_us == 0)
		t->want.from_us = gw_unix_us();
	if (open_next(t))
		gw_seg_skip_to(&t->reader, t->want.from_us - 1000000);
}

void gw_adm_logs_tail(struct gw_adm_req *q)
{
	struct gw_h1_answer a = { .status = 200, .content_type = GW_LIT("text/event-stream"), .content_length = -1 };
	struct tail *t = q->ad->n_tails < GW_ADM_TAILS ? calloc(1, sizeof *t) : NULL;
	struct gw_str why = GW_NIL;
	enum gw_err e;

	if (!t) {
		gw_adm_fail(q, GW_E_BUSY, GW_LIT("Too many tails at once."));
		return;
	}
	t->q = q;
	e = gw_adm_want_read(q, &q->arena, &t->want, &why);
	if (e) {
		free(t);
		gw_adm_fail(q, e, why);
		return;
	}
	q->ad->n_tails++;
	gw_buf_init(&t->row, 128 << 10);
	skip_old(t);
	t->said_ms = gw_now_ms();
	gw_h1_reply_start(q->conn, &a);
	gw_h1_reply_piece(q->conn, GW_LIT(": tail\n\n"));
	uv_timer_init(&q->ad->loop, &t->timer);
	t->timer.data = t;
	uv_timer_start(&t->timer, on_look, LOOK_MS, LOOK_MS);
}
