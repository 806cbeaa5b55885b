/* The HTTP server side under any bytes: a connection gets the input whole, another one in two pieces, a third byte by
 * byte. The answers must be the same, begin like HTTP, and nothing may be left afterwards.
 *
 *   input: u8 where to cut (of 255 parts) | bytes as sent by a client */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/h1_server_int.h"
#include "tests/unit/net/h1_app.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { GOT_BYTES = 4 << 20 };
static uv_loop_t loop;
static struct h1_app app;
static char got[GOT_BYTES];

struct outcome {
	uint32_t statuses, n; /* folded */
	bool is_end;
};

static void check(bool ok)
{
	if (!ok)
		abort();
}

static size_t read_all(int fd, size_t n, bool *is_end)
{
	for (;;) {
		ssize_t r = recv(fd, got + n, sizeof(got) - n, MSG_DONTWAIT);

		if (r <= 0) {
			*is_end = r == 0 || errno != EAGAIN;
			return n;
		}
		n += (size_t)r;
	}
}

static void feed(int fd, const uint8_t *p, size_t len, size_t *n, bool *is_end)
{
	while (len) {
		ssize_t w = send(fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (w < 0 && errno != EAGAIN)
			return;
		p += w > 0 ? w : 0;
		len -= w > 0 ? (size_t)w : 0;
		uv_run(&loop, UV_RUN_NOWAIT);
		*n = read_all(fd, *n, is_end);
	}
}

/* Gives the bytes in steps. Routes that answer later than the turns given here are left out by the caller. */
static struct outcome run(const uint8_t *p, size_t len, size_t step)
{
	struct outcome o = { 0 };
	bool is_end = false;
	size_t n = 0;
	int fds[2];

	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
	gw_h1_adopt(app.server, fds[0]);
	for (size_t i = 0; i < len; i += step)
		feed(fds[1], p + i, len - i < step ? len - i : step, &n, &is_end);
	for (int i = 0; i < 4; i++) {
		uv_run(&loop, UV_RUN_NOWAIT);
		n = read_all(fds[1], n, &is_end);
	}
	check(n == 0 || memcmp(got, "HTTP/1.1 ", n < 9 ? n : 9) == 0);
	for (size_t i = 0; i + 13 <= n; i++) {
		if (memcmp(got + i, "HTTP/1.1 ", 9) == 0 && memcmp(got + i + 9, "100", 3) != 0) {
			/* the class: which of two faults is named may depend on what came first */
			o.statuses = o.statuses * 31 + (got[i + 9] >= '4');
			o.n++;
		}
	}
	o.is_end = is_end;
	close(fds[1]);
	for (int i = 0; i < 50 && app.server->n_alive; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	check(app.server->n_alive == 0 && gw_h1_open(app.server) == 0);
	return o;
}

static bool has(const uint8_t *p, size_t n, const char *what)
{
	return memmem(p, n, what, strlen(what)) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, cut, bytes;
	size_t at;

	if (!app.server) {
		check(uv_loop_init(&loop) == 0);
		app.loop = &loop;
		check(gw_h1_server_new(&loop, &gw_h1_default_limits, &h1_app_ops, &app, &app.server) == GW_OK);
	}
	if (size < 2 || size > 200000)
		return 0;
	at = 1 + (size - 2) * data[0] / 255;
	data++;
	size--;
	if (has(data, size, "/slow") || has(data, size, "/hold") || has(data, size, "/stream"))
		return 0;
	whole = run(data, size, size);
	cut = run(data, size, at);
	check(whole.statuses == cut.statuses && whole.n == cut.n && whole.is_end == cut.is_end);
	if (size < 2000) {
		bytes = run(data, size, 1);
		check(whole.statuses == bytes.statuses && whole.n == bytes.n && whole.is_end == bytes.is_end);
	}
	return 0;
}
