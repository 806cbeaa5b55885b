/* The whole confd process, started as the master starts it (this program again, with a role in argv), locked down, driven over
 * real channels by a test that plays master, admin, workers, logger and agent. */
#include "play.h"

#if defined(__SANITIZE_ADDRESS__)
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

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
	assert_true(lease(p, ADMIN, "pepper", text, sizeof(text), &status)); /* admin leases certificates only */
	assert_int_not_equal(status, 0);
	assert_string_equal(text, "");
	seed(p);
	assert_true(lease(p, ADMIN, "c1", text, sizeof(text), &status));
	assert_int_not_equal(status, 0);
	assert_string_equal(text, "");
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

				assert_int_equal(gw_image_get(set[w].image[GW_IMAGE_CONFIG], GW_DB_OBJECT,
							      gw_str(key, (size_t)n + 1), &row),
						 GW_OK);
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
		refused += a.status == (uint64_t) - (int64_t)GW_E_LIMIT;
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
