/* net/h1_server over time: deadlines, slow and vanished clients, memory, accepting, drain. Limits are short here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/fd.h"
#include "net/h1_server_int.h"
#include "tests/unit/net/h1_client.h"

#define H "Host: gw.test\r\n"

static struct world w;

static struct gw_h1_limits limits(void)
{
	struct gw_h1_limits l = gw_h1_default_limits;

	l.head_ms = 150;
	l.idle_ms = 300;
	l.body_total_ms = 600;
	l.body_grace_ms = 150;
	l.write_stall_ms = 200;
	l.out_high_bytes = 100 << 10;
	l.out_low_bytes = 20 << 10;
	return l;
}

static int setup(void **state)
{
	struct gw_h1_limits l = limits();

	(void)state;
	world_open(&w, &l);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

/* ---- deadlines ---- */

static void silent_client_is_closed(void **state)
{
	uint64_t start = gw_now_ms();
	struct client c;

	(void)state;
	client_open(&c, &w);
	assert_true(client_wait_end(&c, 2000));
	assert_in_range(gw_now_ms() - start, 140, 600);
	assert_int_equal(c.n, 0);
	client_close(&c);
}

static void slow_head_gets_408_at_an_absolute_deadline(void **state)
{
	const char *head = "GET / HTTP/1.1\r\nHost: gw.test\r\nX: "
			   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	uint64_t start = gw_now_ms();
	struct client c;

	(void)state;
	client_open(&c, &w);
	for (size_t i = 0; head[i] && !c.is_end; i++) { /* a byte every 10 ms does not help */
		char one[2] = { head[i], 0 };

		client_try_send(&c, one, 1);
		world_run(&w, 10);
		client_read(&c);
		if (c.n)
			break;
	}
	assert_true(client_wait(&c, "HTTP/1.1 408", 1, 1000));
	assert_in_range(gw_now_ms() - start, 140, 600);
	assert_true(client_wait_end(&c, 500));
	client_close(&c);
}

static void idle_connection_is_closed(void **state)
{
	struct client c;
	uint64_t start;

	(void)state;
	client_open(&c, &w);
	for (int i = 0; i < 3; i++) { /* requests begin the idle time anew */
		client_forget(&c);
		client_send(&c, "GET / HTTP/1.1\r\n" H "\r\n");
		assert_true(client_wait(&c, "hello", 1, 1000));
		world_run(&w, 200);
		client_read(&c);
		assert_false(c.is_end);
	}
	start = gw_now_ms();
	client_forget(&c);
	assert_true(client_wait_end(&c, 2000));
	assert_in_range(gw_now_ms() - start, 50, 500);
	assert_int_equal(c.n, 0);
	client_close(&c);
}

static void slow_body_gets_408(void **state)
{
	static char kilobyte[1001];
	uint64_t start = gw_now_ms();
	struct client c;

	(void)state;
	memset(kilobyte, 'b', 1000);
	client_open(&c, &w);
	client_send(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\nabc");
	assert_true(client_wait(&c, "HTTP/1.1 408", 1, 2000));
	assert_in_range(gw_now_ms() - start, 140, 500);
	assert_true(client_wait_end(&c, 500));
	client_close(&c);
	start = gw_now_ms(); /* fast enough, but too long */
	client_open(&c, &w);
	client_send(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 1000000\r\n\r\n");
	while (c.n == 0 && gw_now_ms() < start + 3000) {
		client_send(&c, kilobyte);
		world_run(&w, 10);
		client_read(&c);
	}
	assert_non_null(strstr(c.got, "HTTP/1.1 408"));
	assert_in_range(gw_now_ms() - start, 550, 1200);
	client_close(&c);
	world_run(&w, 20);
	assert_int_equal(w.app.served, 0); /* never whole, never served */
	assert_int_equal(w.app.done, 2);
}

/* ---- slow and vanished clients ---- */

static void slow_reader_holds_bounded_memory(void **state)
{
	struct client c;
	uint64_t until;

	(void)state;
	client_open(&c, &w);
	client_send(&c, "GET /stream?20000 HTTP/1.1\r\n" H "\r\n");
	world_run(&w, 100);
	assert_in_range(w.app.queued_max, 100 << 10, (100 << 10) + 2000);
	assert_int_equal(w.app.done, 0);
	until = gw_now_ms() + 5000;
	while (client_count(&c, "\r\n0\r\n\r\n") == 0 && gw_now_ms() < until) {
		if (c.n < 20000000)
			client_read(&c);
		uv_run(&w.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(c.n - (size_t)(strstr(c.got, "\r\n\r\n") + 4 - c.got), 20000 * 1007 + 5);
	assert_true(w.app.drained > 1);
	assert_in_range(w.app.queued_max, 100 << 10, (100 << 10) + 2000);
	world_run(&w, 2);
	assert_int_equal(w.app.done, 1);
	client_close(&c);
}

static void reader_that_stalls_is_cut(void **state)
{
	uint64_t start = gw_now_ms();
	struct client c;

	(void)state;
	client_open(&c, &w);
	client_send(&c, "GET /stream?20000 HTTP/1.1\r\n" H "\r\n");
	while (w.app.done == 0 && gw_now_ms() < start + 3000)
		world_run(&w, 5);
	assert_in_range(gw_now_ms() - start, 190, 1000);
	assert_int_equal(w.app.gone, 1);
	assert_int_equal(w.app.done, 1);
	assert_int_equal(gw_h1_open(w.app.server), 0);
	client_close(&c);
}

static void gone_within(struct client *c, void (*leave)(struct client *), int times)
{
	uint64_t start;

	client_open(c, &w);
	client_send(c, "GET /hold HTTP/1.1\r\n" H "\r\n");
	world_run(&w, 400); /* longer than the idle time: a served request has no deadline here */
	assert_int_equal(w.app.gone, times - 1);
	start = gw_now_ms();
	leave(c);
	while (w.app.gone < times && gw_now_ms() < start + 1000)
		uv_run(&w.loop, UV_RUN_ONCE); /* woken by the event itself, not by a tick of ours */
	assert_in_range(gw_now_ms() - start, 0, 100);
	world_run(&w, 5);
	assert_int_equal(w.app.gone, times);
	assert_int_equal(w.app.done, times);
	assert_int_equal(gw_h1_open(w.app.server), 0);
}

static void half_close(struct client *c)
{
	shutdown(c->fd, SHUT_WR);
}

static void client_that_goes_is_noticed(void **state)
{
	struct client c;

	(void)state;
	gone_within(&c, client_close, 1);
	gone_within(&c, client_reset, 2);
	gone_within(&c, half_close, 3);
	client_close(&c);
}

static void client_goes_in_the_middle_of_everything(void **state)
{
	static const char *const parts[] = { "GET",
					     "GET / HTTP/1.1\r\nHo",
					     "POST /echo HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\nabc",
					     "GET /slow?5 HTTP/1.1\r\n" H "\r\n",
					     "GET /stream?3000 HTTP/1.1\r\n" H "\r\n",
					     "" };

	(void)state;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		for (int how = 0; how < 2; how++) {
			struct client c;

			client_open(&c, &w);
			client_send(&c, parts[i]);
			world_run(&w, 1);
			how ? client_reset(&c) : client_close(&c);
			world_run(&w, 15);
			assert_int_equal(gw_h1_open(w.app.server), 0);
		}
	}
	assert_int_equal(w.app.server->n_alive, 0);
}

/* ---- memory ---- */

static void idle_connection_holds_no_buffers(void **state)
{
	struct gw_h1_conn *conn;
	struct client c;

	(void)state;
	world_close(&w);
	world_open(&w, &gw_h1_default_limits);
	client_open(&c, &w);
	client_send(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nabcde");
	assert_true(client_wait(&c, "abcde", 1, 1000));
	world_run(&w, 2);
	conn = w.app.server->conns;
	assert_non_null(conn->head.p); /* kept for the next request */
	world_run(&w, GW_H1_TRIM_MS + 200);
	assert_null(conn->head.p);
	assert_null(conn->body.p);
	assert_null(conn->out.p);
	assert_null(conn->fields.p);
	assert_true(sizeof(*conn) <= 2048);
	client_forget(&c);
	client_send(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nabcde");
	assert_true(client_wait(&c, "abcde", 1, 1000));
	client_close(&c);
}

/* ---- accepting ---- */

static void caps(void **state)
{
	struct gw_h1_limits l = limits();
	struct client c[5];

	(void)state;
	world_close(&w);
	l.idle_ms = l.head_ms = 5000;
	l.connections_per_ip = 3;
	world_open(&w, &l);
	for (int i = 0; i < 4; i++)
		client_open(&c[i], &w);
	assert_true(client_wait_end(&c[3], 500)); /* one too many of this address */
	client_close(&c[0]);
	world_run(&w, 10);
	client_open(&c[0], &w);
	client_send(&c[0], "GET / HTTP/1.1\r\n" H "\r\n");
	assert_true(client_wait(&c[0], "hello", 1, 1000));
	for (int i = 0; i < 4; i++)
		client_close(&c[i]);
	world_close(&w);
	l.connections_per_ip = 0;
	l.connections = 3;
	world_open(&w, &l);
	for (int i = 0; i < 4; i++)
		client_open(&c[i], &w);
	client_send(&c[3], "GET / HTTP/1.1\r\n" H "\r\n");
	assert_false(client_wait(&c[3], "hello", 1, 100)); /* waits in the queue of the kernel */
	assert_false(c[3].is_end);
	assert_int_equal(gw_h1_open(w.app.server), 3);
	client_close(&c[1]);
	assert_true(client_wait(&c[3], "hello", 1, 1000));
	client_close(&c[0]);
	client_close(&c[2]);
	client_close(&c[3]);
}

static void shortage_of_descriptors_pauses_accepting(void **state)
{
	enum { N = 200 };
	static struct client c[N];
	struct rlimit old, few;
	int served = 0, refused = 0, open_before;
	uint64_t turns = 0, until;

	(void)state;
	world_close(&w);
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = 120;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	world_open(&w, &gw_h1_default_limits);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0); /* the clients are in this process, too */
	assert_int_equal(w.app.server->fd_ceiling, 90);
	client_open(&c[0], &w);
	client_send(&c[0], "GET / HTTP/1.1\r\n" H "\r\n");
	assert_true(client_wait(&c[0], "hello", 1, 1000));
	for (int i = 1; i < N; i++)
		client_open(&c[i], &w);
	world_run(&w, 50);
	open_before = (int)gw_h1_open(w.app.server);
	assert_in_range(open_before, 1, 60);
	assert_true(gw_h1_stats(w.app.server)->accept_paused > 0);
	until = gw_now_ms() + 200;
	while (gw_now_ms() < until) {
		uv_run(&w.loop, UV_RUN_ONCE);
		turns++;
	}
	assert_true(turns < 200); /* it waits, it does not spin */
	client_forget(&c[0]);
	client_send(&c[0], "GET / HTTP/1.1\r\n" H "\r\n"); /* those that are in are served */
	assert_true(client_wait(&c[0], "hello", 1, 1000));
	for (int i = 1; i < N; i++) {
		client_read(&c[i]);
		refused += c[i].is_end;
		client_close(&c[i]);
	}
	world_run(&w, 300);
	client_open(&c[1], &w);
	client_send(&c[1], "GET / HTTP/1.1\r\n" H "\r\n");
	served += client_wait(&c[1], "hello", 1, 1000);
	assert_int_equal(served, 1);
	assert_true(refused < 20);
	client_close(&c[0]);
	client_close(&c[1]);
}

static void out_of_descriptors_altogether(void **state)
{
	struct rlimit old, few;
	struct client a, b, d;
	uint64_t turns = 0, until;
	int top;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &old);
	client_open(&a, &w);
	client_send(&a, "GET / HTTP/1.1\r\n" H "\r\n");
	assert_true(client_wait(&a, "hello", 1, 1000));
	client_open(&b, &w);
	client_open(&d, &w);
	top = open("/dev/null", O_RDONLY);
	few = old;
	few.rlim_cur = (rlim_t)top + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	until = gw_now_ms() + 250;
	while (gw_now_ms() < until) {
		uv_run(&w.loop, UV_RUN_ONCE);
		turns++;
	}
	assert_true(turns < 300);
	assert_true(gw_h1_stats(w.app.server)->accept_paused >= 1);
	assert_true(w.app.server->reserve_fd >= 0);
	client_read(&b);
	assert_true(b.is_end); /* turned away, not left hanging */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	close(top);
	client_close(&b);
	client_open(&b, &w);
	client_send(&b, "GET / HTTP/1.1\r\n" H "\r\n");
	assert_true(client_wait(&b, "hello", 1, 1000));
	client_close(&a);
	client_close(&b);
	client_close(&d);
}

static void unix_sockets(void **state)
{
	char folder[] = "/tmp/llmgw-h1-XXXXXX";
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct client c = { .w = &w };
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", folder);
	assert_int_equal(gw_listen_unix(a.sun_path, &fd), GW_OK);
	assert_int_equal(gw_h1_listen(w.app.server, fd, 2), GW_OK);
	c.got = calloc(1, H1_CLIENT_BYTES + 1);
	c.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(c.fd, (struct sockaddr *)&a, sizeof(a)), 0);
	client_send(&c, "GET / HTTP/1.1\r\n" H "\r\n");
	assert_true(client_wait(&c, "hello", 1, 1000));
	assert_true(gw_h1_is_unix(w.app.server->conns));
	assert_memory_equal(gw_h1_peer(w.app.server->conns).p, "unix", 4);
	client_close(&c);
	gw_h1_unlisten(w.app.server, 2);
	world_run(&w, 5);
	close(fd);
	unlink(a.sun_path);
	rmdir(folder);
	client_open(&c, &w); /* the other one still listens */
	client_send(&c, "GET / HTTP/1.1\r\n" H "\r\n");
	assert_true(client_wait(&c, "hello", 1, 1000));
	assert_memory_equal(gw_h1_peer(w.app.server->conns).p, "127.0.0.1", 9);
	client_close(&c);
}

/* ---- drain ---- */

static void drain(void **state)
{
	struct gw_h1_limits l = limits();
	struct client idle, busy, active;
	uint64_t start;

	(void)state;
	world_close(&w);
	l.idle_ms = l.head_ms = 60000;
	world_open(&w, &l);
	client_open(&idle, &w);
	client_open(&busy, &w);
	client_open(&active, &w);
	client_send(&idle, "GET / HTTP/1.1\r\n" H "\r\n");
	assert_true(client_wait(&idle, "hello", 1, 1000));
	client_send(&active, "GET / HTTP/1.1\r\n" H "\r\n");
	assert_true(client_wait(&active, "hello", 1, 1000));
	client_send(&busy, "GET /slow?1500 HTTP/1.1\r\n" H "\r\n");
	world_run(&w, 5);
	start = gw_now_ms();
	gw_h1_drain(w.app.server, h1_app_empty);
	world_run(&w, 100);
	client_read(&idle);
	assert_false(idle.is_end); /* a request may be on its way */
	client_forget(&active);
	client_send(&active, "GET / HTTP/1.1\r\n" H "\r\n");
	assert_true(client_wait(&active, "hello", 1, 1000));
	assert_int_equal(client_count(&active, "connection: close\r\n"), 1);
	assert_true(client_wait_end(&active, 500));
	client_close(&active);
	assert_true(client_wait_end(&idle, 2000));
	assert_in_range(gw_now_ms() - start, 900, 1400);
	assert_int_equal(w.app.empty, 0);
	client_close(&idle);
	assert_true(client_wait(&busy, "late\n", 1, 2000));
	assert_int_equal(client_count(&busy, "connection: close\r\n"), 1);
	assert_true(client_wait_end(&busy, 500));
	client_close(&busy);
	world_run(&w, 20);
	assert_int_equal(w.app.empty, 1);
	assert_int_equal(gw_h1_open(w.app.server), 0);
}

static void drain_with_nothing_open(void **state)
{
	(void)state;
	gw_h1_drain(w.app.server, h1_app_empty);
	assert_int_equal(w.app.empty, 0); /* not from inside the call */
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_int_equal(w.app.empty, 1);
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_WORLD(silent_client_is_closed),
		IN_A_WORLD(slow_head_gets_408_at_an_absolute_deadline),
		IN_A_WORLD(idle_connection_is_closed),
		IN_A_WORLD(slow_body_gets_408),
		IN_A_WORLD(slow_reader_holds_bounded_memory),
		IN_A_WORLD(reader_that_stalls_is_cut),
		IN_A_WORLD(client_that_goes_is_noticed),
		IN_A_WORLD(client_goes_in_the_middle_of_everything),
		IN_A_WORLD(idle_connection_holds_no_buffers),
		IN_A_WORLD(caps),
		IN_A_WORLD(shortage_of_descriptors_pauses_accepting),
		IN_A_WORLD(out_of_descriptors_altogether),
		IN_A_WORLD(unix_sockets),
		IN_A_WORLD(drain),
		IN_A_WORLD(drain_with_nothing_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
