/* POST backup: confd's copy of the store, then, when asked for, the segments of the trail, then the hash over all of it (lib/backup.h). Sent in
 * pieces as the client takes them; a client that stops reading is cut. */
#include <stdlib.h>
#include <unistd.h>
#include "admin/admin.h"
#include "admin/segments.h"
#include "lib/segment_retired.h"
#include "lib/backup.h"
#include "lib/crypto.h"
#include "lib/sys/clock.h"
#include "lib/sys/fd.h"

enum { ASK_MS = 120000, PIECE = 256 << 10, QUEUE_MOST = 1 << 20, TURN_MS = 1, STALL_MS = 60000 };

struct backup {
	uv_timer_t timer;
	struct gw_adm_req *q;
	int fd; /* confd's part; -1 once it is sent */
	bool with_logs;
	struct gw_sha256_ctx hash;
	struct gw_adm_segments files[2]; /* request, admin */
	size_t list, next;
	struct gw_str bytes; /* of the file being sent */
	size_t at;
	uint64_t moved_ms;
	char piece[PIECE];
};

static void on_closed(uv_handle_t *h)
{
	struct backup *b = h->data;

	gw_close(&b->fd);
	gw_adm_segment_close(&b->bytes);
	for (int i = 0; i < 2; i++)
		gw_adm_segments_free(&b->files[i]);
	b->q->ad->n_backups--;
	gw_adm_end(b->q);
	free(b);
}

static void finish(struct backup *b, bool is_whole)
{
	struct gw_h1_conn *c = b->q->conn;

	uv_timer_stop(&b->timer);
	if (c) {
		gw_h1_set_user(c, NULL);
		b->q->conn = NULL;
		if (is_whole)
			gw_h1_reply_end(c);
		else
			gw_h1_reply_cut(c);
	}
	uv_close((uv_handle_t *)&b->timer, on_closed);
}

static void send_bytes(struct backup *b, struct gw_str s)
{
	gw_sha256_add(&b->hash, s.p, s.n);
	gw_h1_reply_piece(b->q->conn, s);
}

static void put_le(char *out, uint64_t v, int n)
{
	for (int i = 0; i < n; i++)
		out[i] = (char)(v >> (8 * i));
}

static bool begin_one(struct backup *b, const char *name)
{
	char head[11] = { GW_BACKUP_FILE };

	if (gw_adm_segment_open(b->q->ad->segments, name, &b->bytes))
		return false;
	put_le(head + 1, strlen(name), 2);
	put_le(head + 3, b->bytes.n, 8);
	send_bytes(b, gw_str(head, sizeof head));
	send_bytes(b, gw_str_z(name));
	b->at = 0;
	return true;
}

/* The next segment's head; false when there is none. One that retention took away meanwhile is passed over. A class's tombstones come
 * behind its segments: they tell of each that was removed until then. */
static bool begin_file(struct backup *b)
{
	for (; b->list < 2; b->list++, b->next = 0) {
		while (b->next < b->files[b->list].n)
			if (begin_one(b, b->files[b->list].v[b->next++].name))
				return true;
		if (b->next++ == b->files[b->list].n &&
		    begin_one(b, gw_retired_file(b->list ? GW_SEG_ADMIN : GW_SEG_REQUEST)))
			return true;
	}
	return false;
}

/* One piece; false when all is sent. */
static bool send_next(struct backup *b, bool *is_broken)
{
	if (b->fd >= 0) {
		ssize_t n = read(b->fd, b->piece, PIECE);

		if (n > 0)
			send_bytes(b, gw_str(b->piece, (size_t)n));
		else
			gw_close(&b->fd);
		*is_broken = n < 0;
		return n >= 0;
	}
	if (!b->bytes.p && (!b->with_logs || !begin_file(b)))
		return false;
	size_t left = b->bytes.n - b->at, n = left < PIECE ? left : PIECE;

	send_bytes(b, gw_str(b->bytes.p + b->at, n));
	b->at += n;
	if (b->at == b->bytes.n)
		gw_adm_segment_close(&b->bytes);
	return true;
}

static void on_turn(uv_timer_t *t)
{
	struct backup *b = t->data;
	bool is_broken = false;

	if (!b->q->conn || gw_now_ms() - b->moved_ms > STALL_MS) {
		finish(b, false);
		return;
	}
	if (gw_h1_queued(b->q->conn) > QUEUE_MOST)
		return;
	b->moved_ms = gw_now_ms();
	if (send_next(b, &is_broken))
		return;
	if (!is_broken) {
		char end = GW_BACKUP_END;
		uint8_t hash[32];

		send_bytes(b, gw_str(&end, 1));
		gw_sha256_end(&b->hash, hash);
		gw_h1_reply_piece(b->q->conn, gw_str((const char *)hash, sizeof hash));
	}
	finish(b, !is_broken);
}

static void start(struct gw_adm_req *q, int fd)
{
	struct gw_h1_answer a = { .status = 200,
				  .content_type = GW_LIT("application/octet-stream"),
				  .content_length = -1 };
	struct backup *b = calloc(1, sizeof *b);
	bool with_logs = (uintptr_t)q->state == 1;

	if (!b) {
		gw_close(&fd);
		gw_adm_fail(q, GW_E_NOMEM, GW_NIL);
		return;
	}
	b->q = q;
	b->fd = fd;
	b->with_logs = with_logs;
	b->moved_ms = gw_now_ms();
	gw_sha256_start(&b->hash);
	if (with_logs && (gw_adm_segments_list(q->ad->segments, GW_SEG_REQUEST, &b->files[0]) ||
			  gw_adm_segments_list(q->ad->segments, GW_SEG_ADMIN, &b->files[1]))) {
		gw_close(&b->fd);
		gw_adm_segments_free(&b->files[0]);
		free(b);
		gw_adm_fail(q, GW_E_IO, GW_LIT("The segments cannot be listed."));
		return;
	}
	q->ad->n_backups++;
	gw_h1_reply_start(q->conn, &a);
	uv_timer_init(&q->ad->loop, &b->timer);
	b->timer.data = b;
	uv_timer_start(&b->timer, on_turn, 0, TURN_MS);
}

static void on_copy(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_adm_req *q = ctx;

	if (!q->conn)
		gw_adm_end(q); /* the channel closes what nobody took */
	else if (err)
		gw_adm_fail(q, GW_E_CONFD_DOWN, GW_NIL);
	else if (m->status != 200 || m->n_fds != 1)
		gw_adm_answer(q, (int)m->status, GW_LIT("application/json"), m->body, 0, 0);
	else {
		int fd = m->fds[0];

		m->fds[0] = -1;
		start(q, fd);
	}
}

static bool read_body(struct gw_adm_req *q, bool *with_logs)
{
	struct gw_json_fault fault;
	yyjson_doc *doc;
	yyjson_val *v, *root;
	bool ok = true;

	*with_logs = false;
	if (!q->body.n)
		return true;
	if (gw_json_read(q->body, &gw_json_default_limits, &doc, &fault))
		return false;
	root = yyjson_doc_get_root(doc);
	v = yyjson_obj_get(root, "with_logs");
	ok = yyjson_is_obj(root) && yyjson_obj_size(root) == (v ? 1 : 0) && (!v || yyjson_is_bool(v));
	*with_logs = yyjson_get_bool(v);
	yyjson_doc_free(doc);
	return ok;
}

void gw_adm_backup(struct gw_adm_req *q)
{
	struct gw_msg m = { .type = GW_MSG_CALL };
	bool with_logs;

	if (!read_body(q, &with_logs)) {
		gw_adm_fail(q, GW_E_INVALID, GW_LIT("Send {} or {\"with_logs\":true}."));
		return;
	}
	if (q->ad->n_backups) {
		gw_adm_fail(q, GW_E_BUSY, GW_LIT("A backup is being sent already."));
		return;
	}
	q->state = (void *)(uintptr_t)(with_logs ? 1 : 0);
	GW_MSG_SET(&m, name, GW_LIT("backup"));
	GW_MSG_SET(&m, actor, gw_adm_actor(q));
	if (!q->ad->confd || gw_channel_ask(q->ad->confd, &m, ASK_MS, on_copy, q) != GW_OK)
		gw_adm_fail(q, GW_E_CONFD_DOWN, GW_NIL);
}
