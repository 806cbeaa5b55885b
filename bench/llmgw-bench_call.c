/* Single HTTP calls outside the load: /metrics, the admin API, /readyz. Blocking, one connection each, bounded in time and
 * size. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "bench/llmgw-bench.h"

enum { CALL_SECONDS = 20 };

static int open_socket(const struct gw_url *u, struct gw_buf *why)
{
	uv_getaddrinfo_t q;
	char host[256];
	struct timeval limit = { .tv_sec = CALL_SECONDS };
	struct sockaddr_storage a;
	socklen_t n;
	int fd;

	snprintf(host, sizeof(host), "%.*s", GW_FMT(u->host));
	if (uv_getaddrinfo(uv_default_loop(), &q, NULL, host, NULL, NULL) != 0) {
		gw_buf_printf(why, "no address for %s", host);
		return -1;
	}
	n = q.addrinfo->ai_addrlen;
	memcpy(&a, q.addrinfo->ai_addr, n);
	uv_freeaddrinfo(q.addrinfo);
	if (a.ss_family == AF_INET)
		((struct sockaddr_in *)&a)->sin_port = htons(u->port);
	else
		((struct sockaddr_in6 *)&a)->sin6_port = htons(u->port);
	fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0 ||
	    connect(fd, (struct sockaddr *)&a, n) != 0) {
		gw_buf_printf(why, "cannot connect to %s:%u: %s", host, u->port, uv_strerror(-errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static bool exchange(int fd, struct gw_str request, struct gw_buf *in)
{
	ssize_t r;

	while (request.n > 0) {
		r = send(fd, request.p, request.n, MSG_NOSIGNAL);
		if (r <= 0)
			return false;
		request = gw_str_skip(request, (size_t)r);
	}
	for (;;) {
		char *room = gw_buf_room(in, 65536);

		if (!room)
			return false;
		r = recv(fd, room, 65536, 0);
		if (r <= 0)
			return r == 0;
		gw_buf_commit(in, (size_t)r);
	}
}

static void unchunk(struct gw_str s, struct gw_buf *out)
{
	struct gw_str line, rest;

	while (gw_str_cut(s, '\n', &line, &rest)) {
		size_t n = 0;

		for (size_t i = 0; i < line.n && line.p[i] > ' ' && line.p[i] != ';'; i++)
			n = n * 16 + (size_t)(line.p[i] <= '9' ? line.p[i] - '0' : (line.p[i] | 32) - 'a' + 10);
		if (n == 0 || n > rest.n)
			return;
		gw_buf_puts(out, gw_str(rest.p, n));
		s = gw_str_skip(rest, n + 2);
	}
}

/* Status, and the body into out. The peer closes the connection after the answer. */
static int take_answer(struct gw_str all, struct gw_buf *out)
{
	const char *end = all.n ? memmem(all.p, all.n, "\r\n\r\n", 4) : NULL;
	struct gw_str head, body;
	uint64_t status;

	if (!end || !gw_str_has_prefix(all, GW_LIT("HTTP/1.1 ")) || !gw_str_u64(gw_str(all.p + 9, 3), &status)) {
		gw_buf_puts(out, GW_LIT("no HTTP answer"));
		return -1;
	}
	head = gw_str(all.p, (size_t)(end - all.p));
	body = gw_str_skip(all, head.n + 4);
	if (memmem(head.p, head.n, "chunked", 7))
		unchunk(body, out);
	else
		gw_buf_puts(out, body);
	return (int)status;
}

int bench_call(const char *method, const char *url, const char *token, struct gw_str body, struct gw_buf *out)
{
	struct gw_url u;
	struct gw_buf request, in;
	int fd, status = -1;

	if (gw_url_parse(gw_str_z(url), &u) != GW_OK || u.is_https) {
		gw_buf_printf(out, "%s is not an http address", url);
		return -1;
	}
	fd = open_socket(&u, out);
	if (fd < 0)
		return -1;
	gw_buf_init(&request, 32 << 20);
	gw_buf_init(&in, 64 << 20);
	gw_buf_printf(&request, "%s %.*s%s HTTP/1.1\r\nHost: %.*s:%u\r\nConnection: close\r\nContent-Length: %zu\r\n",
		      method, GW_FMT(u.path), u.path.n ? "" : "/", GW_FMT(u.host), u.port, body.n);
	if (token && *token)
		gw_buf_printf(&request, "Authorization: Bearer %s\r\n", token);
	gw_buf_puts(&request, body.n ? GW_LIT("Content-Type: application/json\r\n\r\n") : GW_LIT("\r\n"));
	gw_buf_puts(&request, body);
	if (exchange(fd, gw_buf_view(&request), &in))
		status = take_answer(gw_buf_view(&in), out);
	else
		gw_buf_printf(out, "%s: the connection broke or nothing came for %d s", url, CALL_SECONDS);
	close(fd);
	gw_buf_done(&request);
	gw_buf_done(&in);
	return status;
}
