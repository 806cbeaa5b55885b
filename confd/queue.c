/* Calls from the admin process. Reads are answered at once; writes gather for two milliseconds, are committed together, and
 * each is answered when every live worker uses its generation, or after its deadline with the list of those that do not. */
#include "confd/server.h"
#include "lib/sys/clock.h"
#include "lib/sys/diag.h"

enum { MAX_TEXT = 40 << 20, KEEP_BYTES = 1 << 16, DEFAULT_WAIT_MS = 1000, MAX_WAIT_MS = 5000 };

static void send_answer(struct gw_channel *ch, uint64_t corr, const struct gw_reply *r, int status, bool is_applied,
			struct gw_str lagging)
{
	struct gw_msg a = { .type = GW_MSG_ANSWER };

	if (ch == NULL)
		return;
	GW_MSG_SET(&a, corr, corr);
	GW_MSG_SET(&a, status, (uint64_t)status);
	GW_MSG_SET(&a, body, gw_buf_view(&r->body));
	GW_MSG_SET(&a, generation, r->generation);
	GW_MSG_SET(&a, version, r->version);
	GW_MSG_SET(&a, flags, is_applied);
	if (r->retry_ms > 0)
		GW_MSG_SET(&a, retry_ms, r->retry_ms);
	if (lagging.n > 0)
		GW_MSG_SET(&a, detail, lagging);
	if (gw_channel_send(ch, &a) != GW_OK)
		gw_log_slow(GW_WARN, "an answer was not sent: the channel to admin is full");
}

/* --- one write --- */

static struct gw_str keep(struct gw_buf *b, struct gw_str s, size_t *at)
{
	struct gw_str out = gw_str(b->p + *at, s.n);

	*at += s.n;
	return out;
}

/* The message dies after the handler: its texts are copied, one after another. */
static enum gw_err copy_call(struct gw_wait *w, const struct gw_msg *m)
{
	size_t at = 0;

	gw_buf_clear(&w->text, KEEP_BYTES);
	gw_buf_puts(&w->text, m->name);
	gw_buf_puts(&w->text, m->kind);
	gw_buf_puts(&w->text, m->body);
	gw_buf_puts(&w->text, m->actor);
	gw_buf_puts(&w->text, m->idem);
	if (w->text.err != GW_OK)
		return w->text.err;
	w->call = (struct gw_call){ .version = m->version, .deadline_ms = m->deadline_ms, .flags = (unsigned)m->flags };
	w->call.method = keep(&w->text, m->name, &at);
	w->call.kind = keep(&w->text, m->kind, &at);
	w->call.body = keep(&w->text, m->body, &at);
	w->call.actor = keep(&w->text, m->actor, &at);
	w->call.idem = keep(&w->text, m->idem, &at);
	return GW_OK;
}

static void release(struct gw_wait *w)
{
	if (w->text.p != NULL)
		gw_wipe(w->text.p, w->text.cap);
	gw_buf_clear(&w->text, KEEP_BYTES);
	gw_kdf_done(&w->kdf);
	gw_reply_done(&w->reply);
	w->state = GW_WAIT_FREE;
	w->channel = NULL;
}

static void finish(struct gw_server *s, struct gw_wait *w, bool is_late)
{
	struct gw_buf lagging;

	gw_buf_init(&lagging, 4096);
	if (is_late)
		gw_images_lagging(s, w->reply.generation, &lagging);
	send_answer(w->channel, w->corr, &w->reply, is_late ? 202 : w->reply.status, !is_late && w->reply.status < 300,
		    gw_buf_view(&lagging));
	gw_buf_done(&lagging);
	release(w);
}

static struct gw_wait *free_wait(struct gw_server *s)
{
	for (int i = 0; i < GW_CONFD_QUEUE; i++) {
		if (s->waits[i].state == GW_WAIT_FREE)
			return &s->waits[i];
	}
	return NULL;
}

static void on_group(uv_timer_t *t)
{
	gw_queue_flush(t->data);
}

/* An error that is not from the call itself. */
static void refuse(struct gw_peer *p, uint64_t corr, enum gw_err e, const char *message)
{
	struct gw_reply r;

	gw_reply_init(&r);
	gw_buf_printf(&r.body, "{\"error\":{\"name\":\"%s\",\"message\":\"%s\"}}", gw_err_info(e)->name, message);
	send_answer(p->channel, corr, &r, gw_err_info(e)->http, false, GW_NIL);
	gw_reply_done(&r);
}

static void put_in_line(struct gw_server *s, struct gw_wait *w)
{
	w->state = GW_WAIT_QUEUED;
	s->queue[s->n_queued++] = (unsigned)(w - s->waits);
	if (s->n_queued == 1)
		uv_timer_start(&s->group, on_group, GW_CONFD_GROUP_MS, 0);
	else if (s->n_queued >= GW_CONFD_BATCH)
		gw_queue_flush(s);
}

/* --- passwords: derived beside the loop, then a write like any other --- */

static void derive(uv_work_t *work)
{
	struct gw_wait *w = work->data;

	gw_kdf_run(&w->kdf);
}

static void on_derived(uv_work_t *work, int status)
{
	struct gw_wait *w = work->data;
	struct gw_server *s = w->server;

	(void)status;
	s->n_deriving--;
	if (s->is_open && !s->is_released) {
		w->call.kdf = &w->kdf;
		put_in_line(s, w);
		return;
	}
	w->reply.status = gw_err_info(GW_E_CONFD_DOWN)->http;
	gw_buf_printf(&w->reply.body, "{\"error\":{\"name\":\"CONFD_DOWN\",\"message\":\"The configuration process "
				      "is stopping. Try again in a second.\"}}");
	finish(s, w, false);
}

static void begin_derive(struct gw_server *s, struct gw_wait *w)
{
	if (gw_kdf_begin(&s->core, &w->call, &w->kdf, &w->reply) != GW_OK) {
		finish(s, w, false);
		return;
	}
	w->state = GW_WAIT_DERIVING;
	w->server = s;
	w->work.data = w;
	s->n_deriving++;
	if (uv_queue_work(&s->loop, &w->work, derive, on_derived) != 0) {
		derive(&w->work);
		on_derived(&w->work, 0);
	}
}

static void enqueue(struct gw_server *s, struct gw_peer *p, const struct gw_msg *m)
{
	struct gw_wait *w = free_wait(s);
	uint64_t wait_ms = GW_MSG_HAS(m, deadline_ms) ? m->deadline_ms : DEFAULT_WAIT_MS;

	if (w == NULL) {
		refuse(p, m->corr, GW_E_BUSY, "Too many changes at once. Send the next one after an answer.");
		return;
	}
	if (copy_call(w, m) != GW_OK) {
		refuse(p, m->corr, GW_E_TOO_BIG, "The body is larger than 32 MiB. Send it in parts.");
		return;
	}
	if (gw_kdf_is_needed(&w->call) && s->n_deriving >= GW_CONFD_DERIVING) {
		refuse(p, m->corr, GW_E_BUSY, "Too many sign-ins at once. Try again in a moment.");
		return;
	}
	gw_reply_init(&w->reply);
	w->channel = p->channel;
	w->corr = m->corr;
	w->asked_ns = gw_now_ns();
	w->deadline_at_ms = gw_now_ms() + (wait_ms < MAX_WAIT_MS ? wait_ms : MAX_WAIT_MS);
	if (gw_kdf_is_needed(&w->call))
		begin_derive(s, w);
	else
		put_in_line(s, w);
}

void gw_queue_call(struct gw_server *s, struct gw_peer *p, struct gw_msg *m)
{
	struct gw_call q = { m->name, m->kind,    m->body,        m->actor,
			     m->idem, m->version, m->deadline_ms, (unsigned)m->flags,
			     NULL };
	struct gw_reply r;

	if (!s->is_open || s->is_draining || s->is_releasing) {
		refuse(p, m->corr, GW_E_CONFD_DOWN,
		       "The configuration process is starting or stopping. Try again in a second.");
		return;
	}
	if (gw_str_eq(m->name, GW_LIT("backup"))) {
		gw_backup_call(s, p, m);
		return;
	}
	if (gw_call_class(&q) == GW_CALL_WRITE) {
		enqueue(s, p, m);
		if (m->body.n > 0) /* the channel's copy; ours is wiped with the answer */
			gw_wipe((char *)(uintptr_t)m->body.p, m->body.n);
		return;
	}
	if (gw_call_class(&q) == GW_CALL_SOLO)
		gw_queue_flush(s);
	gw_reply_init(&r);
	gw_call_run(&s->core, &q, &r);
	send_answer(p->channel, m->corr, &r, r.status, r.status < 300, GW_NIL);
	gw_reply_done(&r);
}

/* --- batches --- */

static void flush_some(struct gw_server *s)
{
	static struct gw_call calls[GW_CONFD_BATCH];
	static struct gw_reply replies[GW_CONFD_BATCH];
	unsigned n = s->n_queued < GW_CONFD_BATCH ? s->n_queued : GW_CONFD_BATCH;
	unsigned taken[GW_CONFD_BATCH];

	for (unsigned i = 0; i < n; i++) {
		taken[i] = s->queue[i];
		calls[i] = s->waits[taken[i]].call;
		replies[i] = s->waits[taken[i]].reply;
	}
	s->n_queued -= n;
	memmove(s->queue, s->queue + n, s->n_queued * sizeof(s->queue[0]));
	gw_call_batch(&s->core, calls, replies, n);
	uint64_t applied = gw_images_applied(s);

	for (unsigned i = 0; i < n; i++) {
		struct gw_wait *w = &s->waits[taken[i]];

		w->reply = replies[i];
		if (w->reply.has_written && (w->call.flags & GW_CALL_NO_WAIT) == 0 && applied < w->reply.generation)
			w->state = GW_WAIT_WORKERS;
		else
			finish(s, w, false);
	}
}

void gw_queue_flush(struct gw_server *s)
{
	uv_timer_stop(&s->group);
	while (s->n_queued > 0 && s->is_open)
		flush_some(s);
}

void gw_queue_check(struct gw_server *s)
{
	uint64_t applied = gw_images_applied(s), now = gw_now_ms();

	for (int i = 0; i < GW_CONFD_QUEUE; i++) {
		struct gw_wait *w = &s->waits[i];

		if (w->state != GW_WAIT_WORKERS)
			continue;
		if (applied >= w->reply.generation && s->refused == 0)
			finish(s, w, false);
		else if (now >= w->deadline_at_ms)
			finish(s, w, true);
	}
}

void gw_queue_channel_gone(struct gw_server *s, const struct gw_channel *ch)
{
	for (int i = 0; i < GW_CONFD_QUEUE; i++) {
		if (s->waits[i].channel == ch)
			s->waits[i].channel = NULL;
	}
}

bool gw_queue_is_idle(const struct gw_server *s)
{
	for (int i = 0; i < GW_CONFD_QUEUE; i++) {
		if (s->waits[i].state != GW_WAIT_FREE)
			return false;
	}
	return true;
}

void gw_queue_init(struct gw_server *s)
{
	uv_timer_init(&s->loop, &s->group);
	s->group.data = s;
	for (int i = 0; i < GW_CONFD_QUEUE; i++)
		gw_buf_init(&s->waits[i].text, MAX_TEXT);
}
