#pragma once
/* A confd process and the test around it that plays master, admin, two workers, logger and agent over real channels.
 * Included by process_test.c only. */
#include "fixture.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "core/key.h"
#include "lib/sys/boot.h"
#include "lib/sys/fd.h"
#include "lib/sys/msgio.h"
#include "lib/sys/role.h"
#include "shm/control.h"
#include "shm/image.h"
#include "shm/revoke.h"

enum { WORKERS = 2, ADMIN = WORKERS, LOGGER, AGENT, MASTER, ENDS };

struct end { /* our side of a channel */
	int fd;
	struct gw_msg_in in;
};
struct play {
	char dir[128], data[160], run[160], root[192];
	struct gw_boot boot;
	struct gw_revoke *revoke;
	struct gw_beats *beats;
	pid_t pid;
	struct end end[ENDS];
	uint64_t corr;
	/* the last answer */
	int status;
	uint64_t generation, flags;
	char text[65536], detail[256];
	/* what the workers were sent last */
	uint64_t sent_generation[WORKERS];
	uint32_t n_images[WORKERS];
};

static inline void send_to(struct play *p, int end, struct gw_msg *m)
{
	assert_int_equal(gw_msg_send(p->end[end].fd, m, 2000), GW_OK);
}

/* Next message of this end, or false after ms. The caller has the descriptors. */
static inline bool receive(struct play *p, int end, struct gw_msg *m, int ms)
{
	uint64_t until = gw_now_ms() + (uint64_t)ms;

	for (;;) {
		enum gw_err e = gw_msg_recv(p->end[end].fd, &p->end[end].in, m);
		struct pollfd pf = { .fd = p->end[end].fd, .events = POLLIN };
		uint64_t now = gw_now_ms();

		if (e == GW_OK)
			return true;
		if (e != GW_E_AGAIN || now >= until)
			return false;
		poll(&pf, 1, (int)(until - now));
	}
}

static inline void close_fds(struct gw_msg *m)
{
	for (uint32_t i = 0; i < m->n_fds; i++)
		close(m->fds[i]);
	m->n_fds = 0;
}

static inline bool expect(struct play *p, int end, enum gw_msg_type type, struct gw_msg *m, int ms)
{
	uint64_t until = gw_now_ms() + (uint64_t)ms;

	while (gw_now_ms() < until && receive(p, end, m, (int)(until - gw_now_ms()))) {
		if (m->type == type)
			return true;
		close_fds(m);
	}
	return false;
}

static inline void pair(struct play *p, int end, int *other)
{
	int fds[2];

	assert_int_equal(gw_socketpair(fds, true), GW_OK);
	if (p->end[end].fd >= 0) {
		close(p->end[end].fd);
		gw_msg_in_done(&p->end[end].in);
		p->end[end].in = (struct gw_msg_in){ 0 };
	}
	p->end[end].fd = fds[0];
	*other = fds[1];
}

static inline void start(struct play *p, bool is_standby)
{
	static const char *const names[] = { "chan.worker.0", "chan.worker.1", "chan.admin", "chan.logger",
					     "chan.agent" };
	struct gw_msg m = { .type = GW_MSG_INIT };
	struct gw_buf table, options;
	int master, others[MASTER];

	pair(p, MASTER, &master);
	p->pid = fork();
	if (p->pid == 0) {
		if (dup2(master, 3) < 0)
			_exit(9);
		(void)fcntl(3, F_SETFD, 0);
		gw_close_from(4);
		execl("/proc/self/exe", "confd_test", "confd", (char *)NULL);
		_exit(9);
	}
	close(master);
	gw_buf_init(&table, 4096);
	gw_buf_init(&options, 65536);
	gw_mp_arr(&table, MASTER);
	for (int i = 0; i < MASTER; i++) {
		pair(p, i, &others[i]);
		gw_mp_str(&table, gw_str_z(names[i]));
		m.fds[i] = others[i];
	}
	m.n_fds = MASTER;
	gw_boot_pack(&p->boot, &options);
	GW_MSG_SET(&m, role, GW_ROLE_CONFD);
	GW_MSG_SET(&m, slot, 0);
	GW_MSG_SET(&m, epoch, 1);
	GW_MSG_SET(&m, options, gw_buf_view(&options));
	GW_MSG_SET(&m, table, gw_buf_view(&table));
	GW_MSG_SET(&m, flags, is_standby ? GW_INIT_STANDBY : 0);
	send_to(p, MASTER, &m);
	for (int i = 0; i < MASTER; i++)
		close(others[i]);
	gw_buf_done(&table);
	gw_buf_done(&options);
	struct gw_msg ready;

	assert_true(expect(p, MASTER, GW_MSG_READY, &ready, 20000));
}

static inline int stop(struct play *p, int sig)
{
	int status = 0;

	kill(p->pid, sig);
	for (int i = 0; i < 1000; i++) {
		if (waitpid(p->pid, &status, WNOHANG) == p->pid)
			return status;
		gw_sleep_ms(10);
	}
	kill(p->pid, SIGKILL);
	waitpid(p->pid, &status, 0);
	fail_msg("confd did not end");
	return status;
}

static inline int setup(void **state)
{
	struct play *p = calloc(1, sizeof(*p));

	snprintf(p->dir, sizeof(p->dir), "/tmp/llmgw-confd-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->data, sizeof(p->data), "%s/data", p->dir);
	snprintf(p->run, sizeof(p->run), "%s/run", p->dir);
	snprintf(p->root, sizeof(p->root), "%s/root.key", p->dir);
	assert_int_equal(mkdir(p->run, 0700), 0);
	assert_int_equal(gw_crypto_init(), GW_OK);
	for (int i = 0; i < ENDS; i++)
		p->end[i].fd = -1;
	p->boot = (struct gw_boot){ .config = "",
				    .data_dir = p->data,
				    .runtime_dir = p->run,
				    .root_key = p->root,
				    .root_key_previous = "",
				    .listen = "",
				    .admin_listen = "",
				    .workers = WORKERS,
				    .drain_timeout = 600000,
				    .orphan_grace = 500,
				    .log_level = "warn",
				    .sandbox = true };
	assert_int_equal(gw_revoke_open(p->run, true, true, &p->revoke), GW_OK);
	assert_int_equal(gw_beats_open(p->run, true, &p->beats), GW_OK);
	start(p, false);
	*state = p;
	return 0;
}

static inline int teardown(void **state)
{
	struct play *p = *state;

	if (p->pid > 0)
		(void)stop(p, SIGKILL);
	for (int i = 0; i < ENDS; i++) {
		close(p->end[i].fd);
		gw_msg_in_done(&p->end[i].in);
	}
	nftw(p->dir, fx_rm_one, 16, FTW_DEPTH | FTW_PHYS);
	free(p);
	return 0;
}

/* --- what the roles do --- */

static inline void ask(struct play *p, const char *method, const char *kind, const char *body, unsigned flags)
{
	struct gw_msg m = { .type = GW_MSG_CALL };

	GW_MSG_SET(&m, corr, ++p->corr);
	GW_MSG_SET(&m, name, gw_str_z(method));
	GW_MSG_SET(&m, kind, gw_str_z(kind));
	GW_MSG_SET(&m, body, gw_str_z(body));
	GW_MSG_SET(&m, actor, GW_LIT(PLATFORM));
	GW_MSG_SET(&m, flags, flags);
	send_to(p, ADMIN, &m);
}

static inline bool answered(struct play *p, int ms)
{
	struct gw_msg m;

	if (!expect(p, ADMIN, GW_MSG_ANSWER, &m, ms))
		return false;
	assert_int_equal(m.corr, p->corr);
	p->status = (int)m.status;
	p->generation = m.generation;
	p->flags = m.flags;
	snprintf(p->text, sizeof(p->text), "%.*s", GW_FMT(m.body));
	snprintf(p->detail, sizeof(p->detail), "%.*s", GW_FMT(m.detail));
	return true;
}

static inline void ack(struct play *p, int worker, uint64_t generation, enum gw_err e)
{
	struct gw_msg m = { .type = GW_MSG_IMAGE_ACK };

	GW_MSG_SET(&m, generation, generation);
	GW_MSG_SET(&m, status, (uint64_t) - (int64_t)e);
	GW_MSG_SET(&m, detail, GW_LIT("it looks odd"));
	send_to(p, worker, &m);
}

/* A worker takes the next images; their number and generation are noted, `set` (optional) is filled. */
static inline void take_images(struct play *p, int worker, struct gw_image_set *set)
{
	struct gw_msg m;

	assert_true(expect(p, worker, GW_MSG_IMAGE, &m, 10000));
	p->sent_generation[worker] = m.generation;
	p->n_images[worker] = m.n_fds;
	struct gw_mp r = gw_mp_reader(m.table);

	assert_int_equal(gw_mp_read_arr(&r), 2 * m.n_fds);
	assert_int_equal(m.digest.n, 32 * m.n_fds);
	for (uint32_t i = 0; i < m.n_fds; i++) {
		struct gw_str text = gw_mp_read_str(&r);
		uint64_t size = gw_mp_read_u64(&r);
		enum gw_image_name name;
		uint8_t digest[32];

		assert_true(gw_image_by_text(text, &name));
		struct gw_image *im;

		assert_int_equal(gw_image_open(m.fds[i], name, size, &im), GW_OK);
		gw_image_digest(im, digest);
		assert_memory_equal(digest, m.digest.p + i * 32, 32);
		if (set != NULL) {
			gw_image_close(set->image[name]);
			set->image[name] = im;
		} else {
			gw_image_close(im);
		}
	}
	if (set != NULL)
		set->generation = m.generation;
}

static inline void both_follow(struct play *p)
{
	for (int w = 0; w < WORKERS; w++) {
		take_images(p, w, NULL);
		ack(p, w, p->sent_generation[w], GW_OK);
	}
}

/* A write that both workers follow. */
static inline int call(struct play *p, const char *method, const char *kind, const char *body)
{
	ask(p, method, kind, body, GW_CALL_NO_WAIT);
	assert_true(answered(p, 10000));
	return p->status;
}

static inline bool lease(struct play *p, int end, const char *name, char *out, size_t n, uint64_t *status)
{
	struct gw_msg m = { .type = GW_MSG_LEASE }, a;

	GW_MSG_SET(&m, corr, 77);
	GW_MSG_SET(&m, name, gw_str_z(name));
	send_to(p, end, &m);
	if (!expect(p, end, GW_MSG_LEASED, &a, 5000))
		return false;
	assert_int_equal(a.corr, 77);
	*status = a.status;
	snprintf(out, n, "%.*s", GW_FMT(a.secret));
	return true;
}

static inline void seed(struct play *p)
{
	assert_int_equal(
	    call(p, "apply", "",
		 "[{\"kind\":\"provider\",\"id\":\"p1\",\"type\":\"openai\"},"
		 "{\"kind\":\"credential\",\"id\":\"c1\",\"provider\":\"p1\",\"secret\":\"sk-canary-process\"},"
		 "{\"kind\":\"deployment\",\"id\":\"d1\",\"provider\":\"p1\",\"credential\":\"c1\",\"upstream_model\":"
		 "\"u\"},"
		 "{\"kind\":\"model\",\"id\":\"m1\",\"targets\":[{\"deployment\":\"d1\"}]}]"),
	    200);
}

/* The logger is sent these changes, in order, and confirms them. */
static inline void take_audits(struct play *p, uint64_t first, uint64_t last)
{
	for (uint64_t seq = first; seq <= last; seq++) {
		struct gw_msg m, done = { .type = GW_MSG_AUDITED };

		assert_true(expect(p, LOGGER, GW_MSG_AUDIT, &m, 3000));
		assert_int_equal(m.corr, seq);
		GW_MSG_SET(&done, corr, seq);
		send_to(p, LOGGER, &done);
	}
}
