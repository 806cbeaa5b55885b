/* The whole confd process, started as the master starts it (this program again, with a role in argv), locked down, driven over
 * real channels by a test that plays master, admin, workers, logger and agent. */
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

#if defined(__SANITIZE_ADDRESS__)
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; }
#endif

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

static void send_to(struct play *p, int end, struct gw_msg *m)
{
	assert_int_equal(gw_msg_send(p->end[end].fd, m, 2000), GW_OK);
}

/* Next message of this end, or false after ms. The caller has the descriptors. */
static bool receive(struct play *p, int end, struct gw_msg *m, int ms)
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

static void close_fds(struct gw_msg *m)
{
	for (uint32_t i = 0; i < m->n_fds; i++)
		close(m->fds[i]);
	m->n_fds = 0;
}

static bool expect(struct play *p, int end, enum gw_msg_type type, struct gw_msg *m, int ms)
{
	uint64_t until = gw_now_ms() + (uint64_t)ms;

	while (gw_now_ms() < until && receive(p, end, m, (int)(until - gw_now_ms()))) {
		if (m->type == type)
			return true;
		close_fds(m);
	}
	return false;
}

static void pair(struct play *p, int end, int *other)
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

static void start(struct play *p, bool is_standby)
{
	static const char *const names[] = { "chan.worker.0", "chan.worker.1", "chan.admin", "chan.logger", "chan.agent" };
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

static int stop(struct play *p, int sig)
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

static int setup(void **state)
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
	p->boot = (struct gw_boot){ .config = "", .data_dir = p->data, .runtime_dir = p->run, .root_key = p->root,
				    .root_key_previous = "", .listen = "", .admin_listen = "", .workers = WORKERS,
				    .drain_timeout = 600000, .orphan_grace = 500, .log_level = "warn", .sandbox = true };
	assert_int_equal(gw_revoke_open(p->run, true, true, &p->revoke), GW_OK);
	assert_int_equal(gw_beats_open(p->run, true, &p->beats), GW_OK);
	start(p, false);
	*state = p;
	return 0;
}

static int teardown(void **state)
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

static void ask(struct play *p, const char *method, const char *kind, const char *body, unsigned flags)
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

static bool answered(struct play *p, int ms)
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

static void ack(struct play *p, int worker, uint64_t generation, enum gw_err e)
{
	struct gw_msg m = { .type = GW_MSG_IMAGE_ACK };

	GW_MSG_SET(&m, generation, generation);
	GW_MSG_SET(&m, status, (uint64_t)-(int64_t)e);
	GW_MSG_SET(&m, detail, GW_LIT("it looks odd"));
	send_to(p, worker, &m);
}

/* A worker takes the next images; their number and generation are noted, `set` (optional) is filled. */
static void take_images(struct play *p, int worker, struct gw_image_set *set)
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

static void both_follow(struct play *p)
{
	for (int w = 0; w < WORKERS; w++) {
		take_images(p, w, NULL);
		ack(p, w, p->sent_generation[w], GW_OK);
	}
}

/* A write that both workers follow. */
static int call(struct play *p, const char *method, const char *kind, const char *body)
{
	ask(p, method, kind, body, GW_CALL_NO_WAIT);
	assert_true(answered(p, 10000));
	return p->status;
}

static bool lease(struct play *p, int end, const char *name, char *out, size_t n, uint64_t *status)
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

static void seed(struct play *p)
{
	assert_int_equal(call(p, "apply", "",
			      "[{\"kind\":\"provider\",\"id\":\"p1\",\"type\":\"openai\"},"
			      "{\"kind\":\"credential\",\"id\":\"c1\",\"provider\":\"p1\",\"secret\":\"sk-canary-process\"},"
			      "{\"kind\":\"deployment\",\"id\":\"d1\",\"provider\":\"p1\",\"credential\":\"c1\",\"upstream_model\":\"u\"},"
			      "{\"kind\":\"model\",\"id\":\"m1\",\"targets\":[{\"deployment\":\"d1\"}]}]"),
			 200);
}

/* The logger is sent these changes, in order, and confirms them. */
static void take_audits(struct play *p, uint64_t first, uint64_t last)
{
	for (uint64_t seq = first; seq <= last; seq++) {
		struct gw_msg m, done = { .type = GW_MSG_AUDITED };

		assert_true(expect(p, LOGGER, GW_MSG_AUDIT, &m, 3000));
		assert_int_equal(m.corr, seq);
		GW_MSG_SET(&done, corr, seq);
		send_to(p, LOGGER, &done);
	}
}

/* --- the plays --- */

static void starts_and_serves(void **state)
{
	struct play *p = *state;
	struct gw_msg m;
	char text[256];
	uint64_t status;
	struct stat st;

	/* everybody who serves gets the whole set; so does the master, who keeps it for later */
	for (int w = 0; w < WORKERS; w++) {
		take_images(p, w, NULL);
		assert_int_equal(p->n_images[w], GW_IMAGE_COUNT);
	}
	assert_true(expect(p, AGENT, GW_MSG_IMAGE, &m, 5000));
	close_fds(&m);
	assert_true(expect(p, MASTER, GW_MSG_IMAGE, &m, 5000));
	assert_int_equal(m.flags & 1, 1);
	assert_int_equal(m.n_fds, GW_IMAGE_COUNT);
	close_fds(&m);
	snprintf(text, sizeof(text), "%s/admin.token", p->data);
	assert_int_equal(stat(text, &st), 0);
	take_audits(p, 1, 3);
	/* keys for those whose they are */
	assert_true(lease(p, 0, "pepper", text, sizeof(text), &status));
	assert_int_equal(status, 0);
	assert_true(lease(p, 0, "audit-signing", text, sizeof(text), &status));
	assert_int_not_equal(status, 0);
	assert_string_equal(text, "");
	assert_true(lease(p, LOGGER, "audit-signing", text, sizeof(text), &status));
	assert_int_equal(status, 0);
	assert_false(lease(p, ADMIN, "pepper", text, sizeof(text), &status)); /* not even an answer */
	seed(p);
	assert_true(lease(p, 1, "c1", text, sizeof(text), &status));
	assert_string_equal(text, "sk-canary-process");
	assert_true(lease(p, AGENT, "c1", text, sizeof(text), &status));
	assert_string_equal(text, "sk-canary-process");
	/* the audit outbox empties into the logger */
	take_audits(p, 4, 7);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(call(p, "status", "", "{}"), 200);
		if (strstr(p->text, "\"outbox\":0") != NULL)
			break;
		gw_sleep_ms(20);
	}
	assert_non_null(strstr(p->text, "\"outbox\":0"));
	assert_true(atomic_load(&p->beats->roles[GW_ROLE_CONFD].beat_ns) + 2000000000ull > gw_now_ns());
	assert_int_equal(stop(p, SIGTERM), 0);
	p->pid = 0;
}

/* An answer says "applied" when it is, and names who lags when it is not. */
static void visibility(void **state)
{
	struct play *p = *state;

	both_follow(p);
	ask(p, "put", "org", "{\"id\":\"o1\"}", 0);
	take_images(p, 0, NULL);
	assert_int_equal(p->n_images[0], 1); /* only what changed */
	ack(p, 0, p->sent_generation[0], GW_OK);
	assert_false(answered(p, 200));
	take_images(p, 1, NULL);
	ack(p, 1, p->sent_generation[1], GW_OK);
	assert_true(answered(p, 2000));
	assert_int_equal(p->status, 201);
	assert_int_equal(p->flags & 1, 1);
	assert_int_equal(p->generation, p->sent_generation[0]);
	/* worker 1 sleeps */
	uint64_t begun = gw_now_ms();

	ask(p, "put", "org", "{\"id\":\"o2\"}", 0);
	take_images(p, 0, NULL);
	ack(p, 0, p->sent_generation[0], GW_OK);
	assert_true(answered(p, 3000));
	assert_true(gw_now_ms() - begun >= 1000);
	assert_int_equal(p->status, 202);
	assert_int_equal(p->flags & 1, 0);
	assert_string_equal(p->detail, "[1]");
	/* it dies: nobody is left to wait for */
	ask(p, "put", "org", "{\"id\":\"o3\"}", 0);
	take_images(p, 0, NULL);
	ack(p, 0, p->sent_generation[0], GW_OK);
	close(p->end[1].fd);
	p->end[1].fd = -1;
	assert_true(answered(p, 700));
	assert_int_equal(p->status, 201);
	/* what is not served is not waited for; wait=none neither */
	ask(p, "put", "key", "{\"id\":\"k\",\"purpose\":\"admin\"}", GW_CALL_NO_WAIT);
	assert_true(answered(p, 500));
	take_images(p, 0, NULL);
	ack(p, 0, p->sent_generation[0], GW_OK);
	ask(p, "put", "role_binding", "{\"id\":\"b\",\"key\":\"k\",\"role\":\"viewer\"}", 0);
	assert_true(answered(p, 500));
	assert_int_equal(p->status, 201);
}

/* A new worker (PEER) has the whole present set, whatever the master gave it. */
static void new_worker(void **state)
{
	struct play *p = *state;
	struct gw_msg m = { .type = GW_MSG_PEER };
	struct gw_image_set set = { 0 };
	struct gw_str row;
	int other;

	both_follow(p);
	seed(p);
	both_follow(p);
	pair(p, 1, &other);
	GW_MSG_SET(&m, role, GW_ROLE_WORKER);
	GW_MSG_SET(&m, slot, 1);
	GW_MSG_SET(&m, epoch, 2);
	GW_MSG_SET(&m, pid, 1);
	m.fds[0] = other;
	m.n_fds = 1;
	send_to(p, MASTER, &m);
	close(other);
	take_images(p, 1, &set);
	assert_int_equal(p->n_images[1], GW_IMAGE_COUNT);
	assert_int_equal(gw_image_get(set.image[GW_IMAGE_CONFIG], GW_DB_MODEL, GW_LIT("\x1fm1"), &row), GW_OK);
	/* the master's older set reached it last: it says so, and gets the present one again */
	ack(p, 1, p->sent_generation[1], GW_OK);
	ack(p, 1, p->sent_generation[1] - 1, GW_OK);
	take_images(p, 1, &set);
	assert_int_equal(p->n_images[1], GW_IMAGE_COUNT);
	for (int i = 0; i < GW_IMAGE_COUNT; i++)
		gw_image_close(set.image[i]);
}

/* A refused image: the one before is sent again, changes are blocked, a rollback frees them. */
static void refusal(void **state)
{
	struct play *p = *state;
	struct gw_msg m;
	char body[64];

	both_follow(p);
	seed(p);
	both_follow(p);
	uint64_t good = p->sent_generation[0];

	ask(p, "put", "org", "{\"id\":\"o1\"}", 0);
	take_images(p, 0, NULL);
	take_images(p, 1, NULL);
	ack(p, 0, p->sent_generation[0], GW_OK);
	ack(p, 1, p->sent_generation[1], GW_E_CORRUPT);
	assert_true(expect(p, 0, GW_MSG_IMAGE_BACK, &m, 2000));
	assert_int_equal(m.generation, good);
	take_images(p, 0, NULL);
	assert_int_equal(p->sent_generation[0], good);
	assert_int_equal(p->n_images[0], GW_IMAGE_COUNT);
	ack(p, 0, good, GW_OK);
	take_images(p, 1, NULL);
	ack(p, 1, good, GW_OK);
	assert_true(answered(p, 3000));
	assert_int_equal(p->status, 202);
	assert_int_equal(call(p, "put", "org", "{\"id\":\"o2\"}"), 409);
	assert_non_null(strstr(p->text, "refused"));
	assert_int_equal(call(p, "get", "org", "{\"id\":\"o1\"}"), 200);
	snprintf(body, sizeof(body), "{\"to\":%llu,\"kinds\":[\"org\"]}", (unsigned long long)good);
	assert_int_equal(call(p, "rollback", "", body), 200);
	both_follow(p);
	assert_int_equal(p->n_images[0], GW_IMAGE_COUNT);
	assert_int_equal(call(p, "put", "org", "{\"id\":\"o2\"}"), 201);
	both_follow(p);
	assert_int_equal(call(p, "get", "org", "{\"id\":\"o1\"}"), 404);
}

/* Revocation reaches shared memory before any image, within the time of the commit. */
static void revocation(void **state)
{
	struct play *p = *state;
	struct gw_msg m;
	uint8_t pepper_bytes[64], index[32];
	uint64_t status;
	struct gw_msg ask_pepper = { .type = GW_MSG_LEASE };

	both_follow(p);
	seed(p);
	both_follow(p);
	GW_MSG_SET(&ask_pepper, corr, 5);
	GW_MSG_SET(&ask_pepper, name, GW_LIT("pepper"));
	send_to(p, 0, &ask_pepper);
	assert_true(expect(p, 0, GW_MSG_LEASED, &m, 2000));
	assert_int_equal(m.secret.n, 32);
	memcpy(pepper_bytes, m.secret.p, 32);
	assert_int_equal(call(p, "put", "key", "{\"id\":\"k1\"}"), 201);
	char *token = strstr(p->text, "\"token\":\"");

	assert_non_null(token);
	struct gw_secret *s = gw_secret_new(pepper_bytes, 32);
	struct gw_hmac *h = gw_hmac_new(s);

	gw_key_index(h, gw_str(token + 9, 63), index);
	both_follow(p);
	assert_false(gw_revoke_has(p->revoke, gw_key_revoke_hash(index)));
	uint64_t before = gw_now_ns();

	assert_int_equal(call(p, "patch", "key", "{\"id\":\"k1\",\"patch\":{\"disabled\":true}}"), 200);
	/* the answer (which waits for nobody here) comes after the cell */
	assert_true(gw_revoke_has(p->revoke, gw_key_revoke_hash(index)));
	print_message("disable to answer: %.1f ms\n", (double)(gw_now_ns() - before) / 1e6);
	both_follow(p);
	assert_int_equal(call(p, "patch", "key", "{\"id\":\"k1\",\"patch\":{\"disabled\":false}}"), 200);
	assert_false(gw_revoke_has(p->revoke, gw_key_revoke_hash(index)));
	both_follow(p);
	assert_int_equal(call(p, "delete", "key", "{\"id\":\"k1\"}"), 200);
	assert_true(gw_revoke_has(p->revoke, gw_key_revoke_hash(index)));
	both_follow(p);
	/* a credential: the cell, and word to all who lease */
	assert_int_equal(call(p, "patch", "credential", "{\"id\":\"c1\",\"patch\":{\"disabled\":true}}"), 200);
	assert_true(gw_revoke_has(p->revoke, gw_cred_revoke_hash(GW_LIT("c1"), 1)));
	assert_true(expect(p, 0, GW_MSG_LEASE_DROP, &m, 2000));
	assert_true(gw_str_eq(m.name, GW_LIT("c1")));
	char text[64];

	assert_true(lease(p, 0, "c1", text, sizeof(text), &status));
	assert_int_not_equal(status, 0);
	/* a crash of confd forgets no revocation */
	(void)stop(p, SIGKILL);
	start(p, false);
	assert_true(gw_revoke_has(p->revoke, gw_key_revoke_hash(index)));
	assert_true(gw_revoke_has(p->revoke, gw_cred_revoke_hash(GW_LIT("c1"), 1)));
	gw_hmac_free(h);
	gw_secret_unref(s);
}

/* Killed at any time: the next one publishes what was committed, and sends what the logger has not confirmed. */
static void restart(void **state)
{
	struct play *p = *state;
	struct gw_image_set set = { 0 };
	struct gw_msg m;
	struct gw_str row;
	char key[] = { GW_KIND_org, 'o', '1' };

	both_follow(p);
	ask(p, "put", "org", "{\"id\":\"o1\"}", GW_CALL_NO_WAIT);
	assert_true(answered(p, 5000));
	uint64_t generation = p->generation;

	(void)stop(p, SIGKILL); /* perhaps before the images went out */
	start(p, false);
	take_images(p, 0, &set);
	assert_int_equal(set.generation, generation);
	assert_int_equal(p->n_images[0], GW_IMAGE_COUNT);
	assert_int_equal(gw_image_get(set.image[GW_IMAGE_CONFIG], GW_DB_OBJECT, gw_str(key, 3), &row), GW_OK);
	for (int i = 0; i < GW_IMAGE_COUNT; i++)
		gw_image_close(set.image[i]);
	for (uint64_t seq = 1; seq <= 4; seq++) {
		assert_true(expect(p, LOGGER, GW_MSG_AUDIT, &m, 3000));
		assert_int_equal(m.corr, seq);
	}
}

/* Killed again and again between commit, build and sending: after each start both workers have the same whole set, of the
 * newest committed generation, and every answered write is in it. */
static void kill_storm(void **state)
{
	struct play *p = *state;
	unsigned seed = 99, answered_writes = 0;
	char body[64], key[32] = { GW_KIND_org };

	for (int round = 0; round < 15; round++) {
		struct gw_image_set set[WORKERS] = { 0 };
		unsigned first = answered_writes;
		struct gw_str row;

		for (int i = 0; i < 6; i++) {
			snprintf(body, sizeof(body), "{\"id\":\"r%u\"}", answered_writes);
			ask(p, "put", "org", body, GW_CALL_NO_WAIT);
			if (i == 5)
				break; /* nobody waits for the last one */
			assert_true(answered(p, 5000));
			answered_writes += p->status == 201;
			assert_true(p->status == 201 || p->status == 200); /* 200: it was committed unanswered */
			if (p->status == 200)
				answered_writes++;
		}
		seed = seed * 1103515245 + 12345;
		usleep((seed >> 16) % 12000);
		(void)stop(p, SIGKILL);
		start(p, false);
		for (int w = 0; w < WORKERS; w++) {
			take_images(p, w, &set[w]);
			assert_int_equal(p->n_images[w], GW_IMAGE_COUNT);
			for (unsigned i = first; i < answered_writes; i++) {
				int n = snprintf(key + 1, sizeof(key) - 1, "r%u", i);

				assert_int_equal(gw_image_get(set[w].image[GW_IMAGE_CONFIG], GW_DB_OBJECT, gw_str(key, (size_t)n + 1), &row), GW_OK);
			}
			for (int i = 0; i < GW_IMAGE_COUNT; i++)
				gw_image_close(set[w].image[i]);
		}
		assert_int_equal(set[0].generation, set[1].generation);
		assert_int_equal(call(p, "status", "", "{}"), 200);
		assert_int_equal(p->generation, set[0].generation);
	}
	assert_true(answered_writes >= 15 * 5);
}

/* In-place upgrade: the old one lets go, the new one takes over and goes on from there. */
static void handover(void **state)
{
	struct play *p = *state, next = *p;
	struct gw_msg m = { .type = GW_MSG_HANDOVER }, a;

	both_follow(p);
	assert_int_equal(call(p, "put", "org", "{\"id\":\"o1\"}"), 201);
	for (int i = 0; i < ENDS; i++)
		next.end[i] = (struct end){ .fd = -1 };
	start(&next, true);
	next.corr = 1000;
	ask(&next, "get", "org", "{\"id\":\"o1\"}", 0);
	assert_true(answered(&next, 2000));
	assert_int_equal(next.status, 503);
	/* the outbox goes to the logger first */
	GW_MSG_SET(&m, flags, GW_HANDOVER_RELEASE);
	send_to(p, MASTER, &m);
	take_audits(p, 1, 4);
	assert_true(expect(p, MASTER, GW_MSG_HANDED, &a, 4000));
	assert_int_equal(a.flags, GW_HANDOVER_RELEASE);
	assert_int_equal(call(p, "put", "org", "{\"id\":\"o2\"}"), 503);
	GW_MSG_SET(&m, flags, GW_HANDOVER_GO);
	send_to(&next, MASTER, &m);
	assert_true(expect(&next, MASTER, GW_MSG_HANDED, &a, 10000));
	assert_int_equal(a.flags, GW_HANDOVER_GO);
	assert_int_equal(a.status, 0);
	take_images(&next, 0, NULL);
	assert_int_equal(next.n_images[0], GW_IMAGE_COUNT);
	assert_int_equal(call(&next, "get", "org", "{\"id\":\"o1\"}"), 200);
	assert_int_equal(call(&next, "put", "org", "{\"id\":\"o2\"}"), 201);
	assert_int_equal(stop(p, SIGTERM), 0);
	p->pid = 0;
	/* its master dies: it goes on for a while, then ends by itself */
	close(next.end[MASTER].fd);
	next.end[MASTER].fd = -1;
	assert_int_equal(call(&next, "get", "org", "{\"id\":\"o2\"}"), 200);
	int status = 0;

	for (int i = 0; i < 800 && waitpid(next.pid, &status, WNOHANG) == 0; i++)
		gw_sleep_ms(10);
	assert_true(WIFEXITED(status));
	for (int i = 0; i < ENDS; i++) {
		close(next.end[i].fd);
		gw_msg_in_done(&next.end[i].in);
	}
}

/* Strange messages from peers change nothing. */
static void strangers(void **state)
{
	struct play *p = *state;
	struct gw_msg m = { .type = GW_MSG_CALL };
	char text[64];
	uint64_t status;

	both_follow(p);
	GW_MSG_SET(&m, corr, 3);
	GW_MSG_SET(&m, name, GW_LIT("put"));
	GW_MSG_SET(&m, kind, GW_LIT("org"));
	GW_MSG_SET(&m, body, GW_LIT("{\"id\":\"evil\"}"));
	GW_MSG_SET(&m, actor, GW_LIT(PLATFORM));
	send_to(p, 0, &m); /* workers do not write */
	assert_int_equal(call(p, "get", "org", "{\"id\":\"evil\"}"), 404);
	assert_true(lease(p, 0, "../../etc/passwd", text, sizeof(text), &status));
	assert_int_not_equal(status, 0);
	/* more leases than anybody needs are refused, politely */
	unsigned refused = 0;

	for (int i = 0; i < 5000; i++) {
		struct gw_msg l = { .type = GW_MSG_LEASE }, a;

		GW_MSG_SET(&l, corr, (uint64_t)i);
		GW_MSG_SET(&l, name, GW_LIT("nope"));
		send_to(p, 1, &l);
		assert_true(expect(p, 1, GW_MSG_LEASED, &a, 3000));
		refused += a.status == (uint64_t)-(int64_t)GW_E_LIMIT;
	}
	print_message("%u of 5000 leases refused by the rate limit\n", refused);
	/* bytes that are no message end that channel and no other */
	assert_true(write(p->end[1].fd, "garbage", 7) == 7);
	assert_int_equal(call(p, "get", "org", "{\"id\":\"evil\"}"), 404);
	assert_int_equal(call(p, "put", "org", "{\"id\":\"good\"}"), 201);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(starts_and_serves, setup, teardown),
		cmocka_unit_test_setup_teardown(visibility, setup, teardown),
		cmocka_unit_test_setup_teardown(new_worker, setup, teardown),
		cmocka_unit_test_setup_teardown(refusal, setup, teardown),
		cmocka_unit_test_setup_teardown(revocation, setup, teardown),
		cmocka_unit_test_setup_teardown(restart, setup, teardown),
		cmocka_unit_test_setup_teardown(kill_storm, setup, teardown),
		cmocka_unit_test_setup_teardown(handover, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers, setup, teardown),
	};

	if (argc == 2 && strcmp(argv[1], "confd") == 0)
		return gw_confd_main();
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
