/* GET logs:tail: records as they become durable, one server-sent event each. A tail keeps its own place in the newest segments and looks
 * every 200 ms; a client that does not read is cut. Each event's id is its place in the trail: with Last-Event-ID a tail goes on behind it,
 * as far back as the newest twelve segments. */
#include <stdlib.h>
#include "admin/admin.h"
#include "admin/query.h"
#include "admin/segments.h"
#include "lib/sys/clock.h"

enum { LOOK_MS = 200, PER_LOOK = 2000, FRAME_HEAD = 24, QUEUE_MAX = 4 << 20, COMMENT_MS = 15000, FOLLOWED = 12 };

/* A file that is read as it grows. During an upgrade two loggers write side by side, so there may be several. */
struct followed {
	struct gw_adm_segment file;
	struct gw_str bytes; /* NIL once it is read to its footer */
	struct gw_seg_reader reader;
};

struct tail {
	uv_timer_t timer;
	struct gw_adm_req *q;
	struct gw_adm_want want;
	struct followed f[FOLLOWED];
	uint32_t n;
	uint64_t first_no; /* older files are not looked at */
	struct gw_buf row;
	uint64_t said_ms;
};

static void on_closed(uv_handle_t *h)
{
	struct tail *t = h->data;

	t->q->ad->n_tails--;
	for (uint32_t i = 0; i < t->n; i++)
		gw_adm_segment_close(&t->f[i].bytes);
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

static bool is_followed(const struct tail *t, const struct gw_adm_segment *s)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (strcmp(t->f[i].file.name, s->name) == 0)
			return true;
	return false;
}

/* The oldest makes room: nothing is written to it any more. */
static void forget_oldest(struct tail *t)
{
	uint32_t oldest = 0;

	for (uint32_t i = 1; i < t->n; i++)
		if (t->f[i].file.no < t->f[oldest].file.no)
			oldest = i;
	t->first_no = t->f[oldest].file.no + 1;
	gw_adm_segment_close(&t->f[oldest].bytes);
	t->f[oldest] = t->f[--t->n];
}

static void follow(struct tail *t, const struct gw_adm_segment *s)
{
	struct followed f = { .file = *s };

	if (gw_adm_segment_open(t->q->ad->segments, s->name, &f.bytes) != GW_OK)
		return;
	if (gw_seg_open(&f.reader, f.bytes) != GW_OK) {
		gw_adm_segment_close(&f.bytes);
		return;
	}
	if (t->n == FOLLOWED)
		forget_oldest(t);
	t->f[t->n++] = f;
}

/* New files; at the very beginning the newest one and the one before it. */
static void find_files(struct tail *t)
{
	struct gw_adm_segments files;

	if (gw_adm_segments_list(t->q->ad->segments, t->want.cls, &files))
		return;
	if (!t->first_no)
		t->first_no = files.n && files.v[files.n - 1].no > 1 ? files.v[files.n - 1].no - 1 : 1;
	for (size_t i = 0; i < files.n; i++)
		if (files.v[i].no >= t->first_no && !is_followed(t, &files.v[i]))
			follow(t, &files.v[i]);
	gw_adm_segments_free(&files);
}

/* A block that is being written looks broken: the place before it is kept and tried again. */
static bool next_record(struct followed *f, struct gw_seg_record *rec)
{
	struct gw_seg_reader before = f->reader;

	if (!f->bytes.p)
		return false;
	if (gw_seg_next(&f->reader, false, rec))
		return true;
	if (f->reader.saw_footer)
		gw_adm_segment_close(&f->bytes);
	else
		f->reader = before;
	return false;
}

static bool tell(struct tail *t, const struct followed *f, const struct gw_seg_record *rec)
{
	struct gw_q_pos at = { .offset = (uint64_t)(rec->body.p - f->bytes.p) - FRAME_HEAD };

	memcpy(at.name, f->file.name, sizeof at.name);
	gw_buf_clear(&t->row, 64 << 10);
	gw_buf_puts(&t->row, GW_LIT("id: "));
	gw_q_pos_put(&t->row, &at);
	gw_buf_puts(&t->row, GW_LIT("\ndata: "));
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
	find_files(t);
	for (uint32_t i = 0, told = 0; i < t->n && told < PER_LOOK; i++) {
		for (; told < PER_LOOK && gw_h1_queued(t->q->conn) < QUEUE_MAX / 2 && next_record(&t->f[i], &rec);
		     told++) {
			if (tell(t, &t->f[i], &rec))
				continue;
			close_tail(t);
			return;
		}
	}
	if (gw_now_ms() - t->said_ms > COMMENT_MS) {
		t->said_ms = gw_now_ms();
		gw_h1_reply_piece(t->q->conn, GW_LIT(": still here\n\n"));
	}
}

/* By number, then by time of making: names end in "-<no>.lga" and begin with the time. */
static int order(const struct followed *f, const struct gw_q_pos *p)
{
	uint64_t no = 0;
	size_t n = strlen(p->name);

	if (!gw_str_u64(gw_str(p->name + n - 12, 8), &no) || f->file.no != no)
		return f->file.no < no ? -1 : 1;
	return strcmp(f->file.name, p->name);
}

/* Up to the event that the client saw last, that one included. */
static void skip_seen(struct tail *t, const struct gw_q_pos *p)
{
	struct gw_seg_record rec;
	uint64_t no = 1;

	(void)gw_str_u64(gw_str(p->name + strlen(p->name) - 12, 8), &no); /* gw_q_pos_read has looked */
	t->first_no = no ? no : 1;
	find_files(t);
	for (uint32_t i = 0; i < t->n; i++) {
		struct followed *f = &t->f[i], before = *f;
		int o = order(f, p);

		while (o <= 0 && next_record(f, &rec)) {
			if (o == 0 && (uint64_t)(rec.body.p - f->bytes.p) - FRAME_HEAD > p->offset) {
				f->reader = before.reader; /* this one was not seen */
				break;
			}
			before.reader = f->reader;
		}
	}
}

/* What is there already is passed over: by its time when a time was asked for, else all of it. */
static void skip_old(struct tail *t)
{
	int64_t from = t->want.from_us ? t->want.from_us : gw_unix_us();
	struct gw_seg_record rec;

	find_files(t);
	for (uint32_t i = 0; i < t->n; i++) {
		gw_seg_skip_to(&t->f[i].reader, from - 1000000);
		while (!t->want.from_us && next_record(&t->f[i], &rec))
			;
	}
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
	struct gw_str seen = gw_str_trim(gw_h1_header(q->rq, GW_LIT("last-event-id"), NULL));
	struct gw_q_pos last = { 0 };

	if (seen.n && !gw_q_pos_read(seen, t->want.cls, &last)) {
		free(t);
		gw_adm_fail(q, GW_E_INVALID, GW_LIT("Last-Event-ID is not the id of an event of this tail."));
		return;
	}
	q->ad->n_tails++;
	gw_buf_init(&t->row, 128 << 10);
	if (seen.n)
		skip_seen(t, &last);
	else
		skip_old(t);
	t->said_ms = gw_now_ms();
	gw_h1_reply_start(q->conn, &a);
	gw_h1_reply_piece(q->conn, GW_LIT(": tail\n\n"));
	uv_timer_init(&q->ad->loop, &t->timer);
	t->timer.data = t;
	uv_timer_start(&t->timer, on_look, LOOK_MS, LOOK_MS);
}
