/* The call `backup`: the store is copied by a pool thread into a file without a name, which the admin process gets to read. One at a time. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "confd/backup.h"
#include "confd/edit.h"
#include "confd/keyring.h"
#include "confd/scope.h"
#include "confd/server.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"

struct job {
	uv_work_t work;
	struct gw_server *s;
	struct gw_channel *channel;
	uint64_t corr;
	int fd;
	char root_id[16];
	enum gw_err err;
};

static void run(uv_work_t *work)
{
	struct job *j = work->data;

	j->err = gw_backup_write(j->s->core.store, j->root_id, j->fd);
	if (j->err == GW_OK && lseek(j->fd, 0, SEEK_SET) != 0)
		j->err = GW_E_IO;
}

static void answer(struct gw_channel *ch, uint64_t corr, int fd, enum gw_err e, const char *words)
{
	struct gw_msg a = { .type = GW_MSG_ANSWER };
	struct gw_buf b;

	gw_buf_init(&b, 2048);
	if (e == GW_OK)
		gw_buf_puts(&b, GW_LIT("{}"));
	else
		gw_buf_printf(&b, "{\"error\":{\"name\":\"%s\",\"message\":\"%s\"}}", gw_err_info(e)->name, words);
	GW_MSG_SET(&a, corr, corr);
	GW_MSG_SET(&a, status, e == GW_OK ? 200 : (uint64_t)gw_err_info(e)->http);
	GW_MSG_SET(&a, body, gw_buf_view(&b));
	if (e == GW_OK) {
		a.fds[0] = fd;
		a.n_fds = 1;
	}
	if (ch != NULL && gw_channel_send(ch, &a) != GW_OK)
		gw_log_slow(GW_WARN, "a backup could not be handed over: the channel to admin is full");
	gw_buf_done(&b);
}

/* The channel may be another one by now: the asker of before is gone then. */
static void after(uv_work_t *work, int status)
{
	struct job *j = work->data;
	bool is_there = false;

	(void)status;
	for (int i = 0; i < GW_CONFD_PEERS; i++)
		is_there = is_there || (j->channel != NULL && j->s->peers[i].channel == j->channel);
	answer(is_there ? j->channel : NULL, j->corr, j->fd, j->err,
	       j->err == GW_E_BUSY ? "A change had to have the store meanwhile. Try again."
				   : "The copy of the store could not be written.");
	gw_close(&j->fd);
	j->s->is_backing_up = false;
	free(j);
}

static int open_nameless(struct gw_server *s)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/config/backup.tmp", s->start.boot.data_dir);
	int fd;

	if (n < 0 || (size_t)n >= sizeof(path))
		return -1;
	(void)unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		(void)unlink(path);
	return fd;
}

/* Who took a backup is in the trail, also when it was not finished. */
static enum gw_err note(struct gw_txn *t, void *arg)
{
	struct gw_ctx *c = arg;

	c->txn = t;
	return gw_change_note(c, "backup", "backup", GW_LIT(""));
}

static enum gw_err may(struct gw_server *s, struct gw_str actor)
{
	struct gw_ctx c;

	gw_ctx_init(&c, &s->core);
	enum gw_err e = gw_actor_read(&c, actor);

	if (e == GW_OK && !gw_scope_is_platform(&c.actor))
		e = GW_E_FORBIDDEN;
	if (e == GW_OK)
		e = gw_store_update(s->core.store, note, &c);
	gw_ctx_done(&c);
	gw_effects_reset(&s->core.fx, (struct gw_effects_mark){ 0 });
	gw_audit_pump(s);
	return e;
}

void gw_backup_call(struct gw_server *s, struct gw_peer *p, const struct gw_msg *m)
{
	struct job *j = s->is_backing_up ? NULL : calloc(1, sizeof(*j));
	enum gw_err e;

	if (j == NULL) {
		answer(p->channel, m->corr, -1, GW_E_BUSY,
		       "A backup is being taken already. Try again when it is done.");
		return;
	}
	e = may(s, m->actor);
	j->fd = e == GW_OK ? open_nameless(s) : -1;
	if (e == GW_OK && j->fd < 0)
		e = GW_E_IO;
	if (e != GW_OK) {
		answer(p->channel, m->corr, -1, e,
		       e == GW_E_FORBIDDEN ? "Only a platform admin may do this."
					   : "No file could be made in the data folder.");
		gw_close(&j->fd);
		free(j);
		return;
	}
	j->s = s;
	j->channel = p->channel;
	j->corr = m->corr;
	j->work.data = j;
	(void)snprintf(j->root_id, sizeof(j->root_id), "%s", gw_keyring_root_id(s->core.keyring));
	s->is_backing_up = true;
	if (uv_queue_work(&s->loop, &j->work, run, after) != 0) {
		run(&j->work);
		after(&j->work, 0);
	}
}
