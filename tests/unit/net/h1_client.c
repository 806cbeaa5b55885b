/* Clients for the HTTP server tests (h1_client.h). */
#include "tests/unit/net/h1_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/fd.h"

void world_open(struct world *w, const struct gw_h1_limits *lim)
{
	memset(w, 0, sizeof(*w));
	assert_int_equal(uv_loop_init(&w->loop), 0);
	w->app.loop = &w->loop;
	assert_int_equal(gw_listen_tcp(GW_LIT("127.0.0.1"), 0, &w->listen_fd), GW_OK);
	w->port = gw_socket_port(w->listen_fd);
	assert_int_equal(gw_h1_server_new(&w->loop, lim, &h1_app_ops, &w->app, &w->app.server), GW_OK);
	assert_int_equal(gw_h1_listen(w->app.server, w->listen_fd, 1), GW_OK);
}

void world_close(struct world *w)
{
	gw_h1_server_close(w->app.server);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	close(w->listen_fd);
	assert_int_equal(uv_loop_close(&w->loop), 0);
}

void world_run(struct world *w, int ms)
{
	uint64_t until = gw_now_ms() + (uint64_t)ms;

	do {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		if (ms > 1)
			gw_sleep_ms(1);
	} while (gw_now_ms() < until);
}

void client_open(struct client *c, struct world *w)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(w->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	*c = (struct client){ .w = w, .got = calloc(1, H1_CLIENT_BYTES + 1) };
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(c->fd >= 0 && c->got);
	assert_true(connect(c->fd, (struct sockaddr *)&a, sizeof(a)) == 0 || errno == EINPROGRESS);
}

void client_close(struct client *c)
{
	gw_close(&c->fd);
	free(c->got);
	c->got = NULL;
}

void client_reset(struct client *c)
{
	struct linger l = { .l_onoff = 1 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	client_close(c);
}

size_t client_try_send(struct client *c, const char *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t w = send(c->fd, p + done, n - done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (w <= 0)
			break;
		done += (size_t)w;
	}
	return done;
}

void client_send(struct client *c, const char *text)
{
	size_t n = strlen(text), done = 0;

	for (int i = 0; i < 2000 && done < n; i++) {
		done += client_try_send(c, text + done, n - done);
		uv_run(&c->w->loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(done, n);
}

void client_read(struct client *c)
{
	while (c->n < H1_CLIENT_BYTES && !c->is_end) {
		ssize_t r = recv(c->fd, c->got + c->n, H1_CLIENT_BYTES - c->n, MSG_DONTWAIT);

		if (r < 0 && errno == EAGAIN)
			break;
		if (r <= 0)
			c->is_end = true;
		else
			c->n += (size_t)r;
	}
	c->got[c->n] = 0;
}

void client_forget(struct client *c)
{
	c->n = 0;
	c->got[0] = 0;
}

int client_count(const struct client *c, const char *text)
{
	int n = 0;

	for (const char *at = c->got; (at = memmem(at, c->n - (size_t)(at - c->got), text, strlen(text))) != NULL; at++)
		n++;
	return n;
}

bool client_wait(struct client *c, const char *text, int times, int ms)
{
	uint64_t until = gw_now_ms() + (uint64_t)ms;

	for (;;) {
		uv_run(&c->w->loop, UV_RUN_NOWAIT);
		client_read(c);
		if (client_count(c, text) >= times)
			return true;
		if (c->is_end || gw_now_ms() > until)
			return false;
	}
}

bool client_wait_end(struct client *c, int ms)
{
	uint64_t until = gw_now_ms() + (uint64_t)ms;

	while (!c->is_end && gw_now_ms() < until) {
		uv_run(&c->w->loop, UV_RUN_NOWAIT);
		client_read(c);
	}
	return c->is_end;
}
