/* Fake roles for the plays of the supervisor: they beat, answer and misbehave on demand, with the real master around them.
 * Orders are files below data_dir: "toy.<role>" or "toy.worker.<slot>" holding one word:
 *   crash  abort at once      mute  never READY      fatal  FATAL      nostandby  exit when started in standby
 *   keep   confd: does not answer RELEASE
 * A worker answers GET /pid, /confd (asks confd for its number), /stream?ms=N (a byte each 20 ms), /generation.
 * admin.unix takes lines: STATUS, UPGRADE, CONFD. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/fd.h"
#include "lib/sys/map.h"
#include "lib/sys/role.h"
#include "shm/control.h"
#include "shm/slot.h"

enum { MAX_PEERS = 80, MAX_CONNS = 512, MAX_LISTEN = GW_MAX_WORKERS };

struct conn {
	int fd;
	uint64_t end_ms, next_ms;
	bool waits_confd;
};
static struct gw_role_start start;
static struct {
	uint32_t role, slot;
	int fd;
	struct gw_msg_in in;
	uint64_t order;
} peers[MAX_PEERS];
static uint64_t n_orders;
static struct gw_msg_in from_master;
static struct conn conns[MAX_CONNS];
static int listening[MAX_LISTEN];
static struct gw_slot *page;
static struct gw_beats *beats;
static bool draining, standby;
static uint64_t drain_end_ms, generation, orphan_ms;
static volatile sig_atomic_t got_term;

static void on_term(int s)
{
	got_term = s;
}

static bool has_order(const char *word)
{
	char path[512], text[32] = "";

	for (int k = 0; k < 2; k++) {
		int fd;

		if (k)
			snprintf(path, sizeof(path), "%s/toy.%s.%u", start.boot.data_dir, start.role_name, start.slot);
		else
			snprintf(path, sizeof(path), "%s/toy.%s", start.boot.data_dir, start.role_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, text, sizeof(text) - 1) < 0)
			text[0] = 0;
		close(fd);
		if (strncmp(text, word, strlen(word)) == 0)
			return true;
	}
	return false;
}

static void add_peer(uint32_t role, uint32_t slot, int fd)
{
	for (int i = 0; i < MAX_PEERS; i++)
		if (peers[i].fd >= 0 && peers[i].role == role && peers[i].slot == slot)
			gw_close(&peers[i].fd);
	for (int i = 0; i < MAX_PEERS; i++)
		if (peers[i].fd < 0) {
			peers[i].role = role;
			peers[i].slot = slot;
			peers[i].fd = fd;
			peers[i].order = ++n_orders;
			peers[i].in = (struct gw_msg_in){ 0 };
			return;
		}
	abort();
}

static int peer_fd(uint32_t role) /* the latest */
{
	uint64_t best = 0;
	int fd = -1;

	for (int i = 0; i < MAX_PEERS; i++)
		if (peers[i].fd >= 0 && peers[i].role == role && peers[i].order > best) {
			best = peers[i].order;
			fd = peers[i].fd;
		}
	return fd;
}

static void send_simple(int fd, enum gw_msg_type type, uint64_t corr, uint64_t flags, const char *body)
{
	struct gw_msg m = { .type = type };

	GW_MSG_SET(&m, corr, corr);
	GW_MSG_SET(&m, flags, flags);
	GW_MSG_SET(&m, body, gw_str_z(body));
	if (fd >= 0 && gw_msg_send(fd, &m, 100))
		gw_log(GW_WARN, "toy: send failed");
}

static void send_images(void)
{
	struct gw_msg m = { .type = GW_MSG_IMAGE };
	uint8_t digest[32] = { 1 };
	struct gw_buf names;
	int fd;

	if (gw_memfd("toy", 4096, &fd))
		abort();
	gw_buf_init(&names, 256);
	gw_mp_arr(&names, 2);
	gw_mp_str(&names, GW_LIT("config"));
	gw_mp_u64(&names, 4096);
	GW_MSG_SET(&m, table, gw_buf_view(&names));
	GW_MSG_SET(&m, digest, gw_str((char *)digest, 32));
	GW_MSG_SET(&m, generation, start.epoch);
	m.fds[0] = fd;
	m.n_fds = 1;
	if (gw_msg_send(GW_ROLE_MASTER_FD, &m, 100))
		abort();
	for (int i = 0; i < MAX_PEERS; i++)
		if (peers[i].fd >= 0 && peers[i].role == GW_ROLE_WORKER && gw_msg_send(peers[i].fd, &m, 100))
			gw_log(GW_WARN, "toy: image not sent");
	close(fd);
	gw_buf_done(&names);
}

static void begin_serving(void)
{
	standby = false;
	if (start.role == GW_ROLE_WORKER) {
		char name[16];
		uint32_t n = start.slot % GW_MAX_WORKERS;

		snprintf(name, sizeof(name), "listen.%u", n);
		listening[n] = gw_role_fd(&start, name);
		atomic_store(&page->is_ready, 1);
	} else if (start.role == GW_ROLE_ADMIN) {
		listening[0] = gw_role_fd(&start, "admin.unix");
	} else if (start.role == GW_ROLE_CONFD) {
		send_images();
	}
}

static void begin_drain(uint64_t ms)
{
	draining = true;
	drain_end_ms = gw_now_ms() + ms;
	for (int i = 0; i < MAX_LISTEN; i++)
		listening[i] = -1;
}

static void on_handover(const struct gw_msg *m)
{
	if (m->flags == GW_HANDOVER_GO) {
		if (has_order("nogo"))
			_exit(1);
		begin_serving();
	} else if (has_order("keep")) {
		return;
	}
	send_simple(GW_ROLE_MASTER_FD, GW_MSG_HANDED, 0, m->flags, "");
}

static int asker = -1; /* connection on admin.unix that waits */

static void tell_asker(struct gw_str s)
{
	if (asker >= 0 && (gw_write_all(asker, s.p, s.n) || gw_write_all(asker, "\n", 1)))
		gw_log(GW_WARN, "toy: asker gone");
	gw_close(&asker);
}

static void on_master(struct gw_msg *m)
{
	switch (m->type) {
	case GW_MSG_PEER:
		add_peer((uint32_t)m->role, (uint32_t)m->slot, m->fds[0]);
		m->fds[0] = -1;
		break;
	case GW_MSG_DRAIN:
		begin_drain(m->deadline_ms);
		break;
	case GW_MSG_ADOPT: {
		char name[16];
		uint32_t n = (uint32_t)m->slot % GW_MAX_WORKERS;

		snprintf(name, sizeof(name), "listen.%u", n);
		if (!draining)
			listening[n] = m->flags ? gw_role_fd(&start, name) : -1;
		break;
	}
	case GW_MSG_IMAGE:
		generation = m->generation > generation ? m->generation : generation;
		if (page)
			atomic_store(&page->generation, generation);
		break;
	case GW_MSG_HANDOVER:
		on_handover(m);
		break;
	case GW_MSG_STATUS_IS:
		tell_asker(m->body);
		break;
	case GW_MSG_UPGRADED:
		tell_asker(m->detail);
		break;
	default:
		break;
	}
}

static void reply_http(struct conn *c, const char *body)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
			 strlen(body), body);

	if (gw_write_all(c->fd, text, (size_t)n))
		gw_log(GW_WARN, "toy: client gone");
	gw_close(&c->fd);
}

static void on_peer(int i, struct gw_msg *m)
{
	char text[32];

	if (m->type == GW_MSG_CALL || m->type == GW_MSG_LEASE) { /* confd */
		snprintf(text, sizeof(text), "%d", (int)getpid());
		send_simple(peers[i].fd, GW_MSG_ANSWER, m->corr, 0, text);
	} else if (m->type == GW_MSG_ANSWER && start.role == GW_ROLE_ADMIN) {
		tell_asker(m->body);
	} else if (m->type == GW_MSG_ANSWER && m->corr < MAX_CONNS && conns[m->corr].fd >= 0) {
		snprintf(text, sizeof(text), "%.*s", GW_FMT(m->body));
		reply_http(&conns[m->corr], text);
	} else if (m->type == GW_MSG_IMAGE) {
		on_master(m);
	}
}

static void read_channel(int *fd, struct gw_msg_in *in, int peer)
{
	while (*fd >= 0) {
		struct gw_msg m;
		enum gw_err e = gw_msg_recv(*fd, in, &m);

		if (e == GW_E_AGAIN)
			return;
		if (e) {
			gw_close(fd);
			return;
		}
		if (peer < 0)
			on_master(&m);
		else
			on_peer(peer, &m);
		for (uint32_t k = 0; k < m.n_fds; k++)
			gw_close(&m.fds[k]);
	}
}

static void on_request(struct conn *c)
{
	char text[600];
	ssize_t n = read(c->fd, text, sizeof(text) - 1);

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			gw_close(&c->fd);
		return;
	}
	text[n] = 0;
	if (start.role == GW_ROLE_ADMIN) {
		asker = c->fd;
		c->fd = -1;
		if (strncmp(text, "STATUS", 6) == 0)
			send_simple(GW_ROLE_MASTER_FD, GW_MSG_STATUS, 7, 0, "");
		else if (strncmp(text, "UPGRADE", 7) == 0)
			send_simple(GW_ROLE_MASTER_FD, GW_MSG_UPGRADE, 8, 0, "");
		else
			send_simple(peer_fd(GW_ROLE_CONFD), GW_MSG_CALL, 9, 0, "");
	} else if (strncmp(text, "GET /confd", 10) == 0) {
		send_simple(peer_fd(GW_ROLE_CONFD), GW_MSG_LEASE, (uint64_t)(c - conns), 0, "");
		c->waits_confd = true;
	} else if (strncmp(text, "GET /stream?ms=", 15) == 0) {
		struct gw_str ms, rest;
		uint64_t v = 0;

		gw_str_cut(gw_str_z(text + 15), ' ', &ms, &rest);
		(void)!gw_str_u64(ms, &v);
		c->end_ms = gw_now_ms() + v;
		c->next_ms = 1;
		if (gw_write_all(c->fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 38))
			gw_close(&c->fd);
	} else {
		snprintf(text, sizeof(text), strncmp(text, "GET /gen", 8) == 0 ? "%llu" : "%llu",
			 strncmp(text, "GET /gen", 8) == 0 ? (unsigned long long)generation
							   : (unsigned long long)getpid());
		reply_http(c, text);
	}
}

static void stream(struct conn *c, uint64_t now)
{
	if (now >= c->end_ms) {
		(void)!write(c->fd, "done", 4);
		gw_close(&c->fd);
	} else if (now >= c->next_ms) {
		c->next_ms = now + 20;
		if (write(c->fd, ".", 1) < 0)
			gw_close(&c->fd);
	}
}

static void accept_from(int fd)
{
	for (int i = 0; i < MAX_CONNS; i++)
		if (conns[i].fd < 0) {
			conns[i] = (struct conn){ .fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) };
			return;
		}
}

static void beat(void)
{
	if (page)
		atomic_store(&page->beat_ns, gw_now_ns());
	else
		atomic_store(&beats->roles[start.role].beat_ns, gw_now_ns());
}

static bool may_end(void)
{
	for (int i = 0; i < MAX_CONNS; i++)
		if (conns[i].fd >= 0 && start.role == GW_ROLE_WORKER && gw_now_ms() < drain_end_ms)
			return false;
	return true;
}

static void look_at_time(int master_fd)
{
	uint64_t now = gw_now_ms();

	beat();
	for (int i = 0; i < MAX_CONNS; i++)
		if (conns[i].fd >= 0 && conns[i].end_ms)
			stream(&conns[i], now);
	if (got_term && !draining)
		begin_drain(start.boot.drain_timeout);
	if (master_fd < 0 && standby)
		_exit(1);
	if (master_fd < 0 && orphan_ms == 0)
		orphan_ms = now;
	if (orphan_ms && !draining && now - orphan_ms > start.boot.orphan_grace)
		begin_drain(start.boot.drain_timeout);
	if (draining && may_end())
		exit(0);
}

static void turn(int *master_fd)
{
	struct pollfd p[1 + MAX_PEERS + MAX_LISTEN + MAX_CONNS];
	size_t n = 0;

	p[n++] = (struct pollfd){ .fd = *master_fd, .events = POLLIN };
	for (int i = 0; i < MAX_PEERS; i++)
		p[n++] = (struct pollfd){ .fd = peers[i].fd, .events = POLLIN };
	for (int i = 0; i < MAX_LISTEN; i++)
		p[n++] = (struct pollfd){ .fd = listening[i], .events = POLLIN };
	for (int i = 0; i < MAX_CONNS; i++)
		p[n++] = (struct pollfd){ .fd = conns[i].end_ms || conns[i].waits_confd ? -1 : conns[i].fd,
					  .events = POLLIN };
	if (poll(p, n, 10) <= 0)
		return;
	if (p[0].revents)
		read_channel(master_fd, &from_master, -1);
	for (int i = 0; i < MAX_PEERS; i++)
		if (p[1 + i].revents && peers[i].fd == p[1 + i].fd)
			read_channel(&peers[i].fd, &peers[i].in, i);
	for (int i = 0; i < MAX_LISTEN; i++)
		if (p[1 + MAX_PEERS + i].revents && listening[i] >= 0)
			accept_from(listening[i]);
	for (int i = 0; i < MAX_CONNS; i++)
		if (p[1 + MAX_PEERS + MAX_LISTEN + i].revents && conns[i].fd == p[1 + MAX_PEERS + MAX_LISTEN + i].fd)
			on_request(&conns[i]);
}

static void open_all(const char *name)
{
	struct sigaction term = { .sa_handler = on_term };

	gw_role_begin(&start, name, strcmp(name, "worker") == 0);
	sigaction(SIGTERM, &term, NULL);
	for (int i = 0; i < MAX_PEERS; i++)
		peers[i].fd = -1;
	for (int i = 0; i < MAX_CONNS; i++)
		conns[i].fd = -1;
	for (int i = 0; i < MAX_LISTEN; i++)
		listening[i] = -1;
	if (has_order("crash"))
		abort();
	if (has_order("fatal"))
		gw_role_fatal("toy %s was told to fail", name);
	if (has_order("nostandby") && start.is_standby)
		_exit(3);
	if (start.role == GW_ROLE_WORKER ? gw_slot_open(start.boot.runtime_dir, (int)start.slot, true, &page)
					 : gw_beats_open(start.boot.runtime_dir, false, &beats))
		gw_role_fatal("toy: no region");
	if (page)
		gw_slot_start(page, (uint32_t)getpid(), start.epoch);
	for (uint32_t i = 0; i < start.n_fds; i++) {
		const char *f = start.fds[i].name;
		enum gw_role r;
		uint64_t slot = 0;

		if (strncmp(f, "chan.worker.", 12) == 0 && gw_str_u64(gw_str_z(f + 12), &slot))
			add_peer(GW_ROLE_WORKER, (uint32_t)slot, start.fds[i].fd);
		else if (strncmp(f, "chan.", 5) == 0 && gw_role_by_name(gw_str_z(f + 5), &r))
			add_peer((uint32_t)r, 0, start.fds[i].fd);
	}
}

static _Noreturn void run(const char *name)
{
	int master_fd = GW_ROLE_MASTER_FD;

	open_all(name);
	standby = start.is_standby;
	if (!standby)
		begin_serving();
	beat();
	if (!has_order("mute"))
		gw_role_ready(3);
	for (;;) {
		turn(&master_fd);
		look_at_time(master_fd);
	}
}

int gw_confd_main(void)
{
	run("confd");
}
int gw_admin_main(void)
{
	run("admin");
}
int gw_worker_main(void)
{
	run("worker");
}
int gw_logger_main(void)
{
	run("logger");
}
int gw_agent_main(void)
{
	run("agent");
}
int gw_confd_restore_main(int argc, char **argv)
{
	(void)argv;
	return argc ? 2 : 1; /* no toy has anything to restore */
}
int gw_exporter_main(void)
{
	run("exporter");
}
