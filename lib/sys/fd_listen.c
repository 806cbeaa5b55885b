/* Listening sockets, and what can be asked about a socket. Part of lib/sys/fd.h. */
#include "lib/sys/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Literal IPv4, IPv6 or [IPv6]; returns the length for bind, 0 when it is neither. */
static socklen_t read_address(struct gw_str host, uint16_t port, union address *a)
{
	char z[INET6_ADDRSTRLEN + 1];

	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = gw_str(host.p + 1, host.n - 2);
	if (host.n == 0 || host.n >= sizeof(z))
		return 0;
	memcpy(z, host.p, host.n);
	z[host.n] = 0;
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, z, &a->v4.sin_addr) == 1) {
		a->v4.sin_family = AF_INET;
		a->v4.sin_port = htons(port);
		return sizeof(a->v4);
	}
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET6, z, &a->v6.sin6_addr) == 1) {
		a->v6.sin6_family = AF_INET6;
		a->v6.sin6_port = htons(port);
		return sizeof(a->v6);
	}
	return 0;
}

enum gw_err gw_listen_tcp(struct gw_str host, uint16_t port, int *out_fd)
{
	union address a;
	socklen_t n = read_address(host, port, &a);
	int fd, on = 1, off = 0;
	enum gw_err e = GW_OK;

	if (n == 0)
		return GW_E_INVALID;
	fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return gw_err_from_errno(errno);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
		e = gw_err_from_errno(errno);
	/* "::" serves both families whatever the system's default is. */
	if (!e && a.any.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) != 0)
		e = gw_err_from_errno(errno);
	if (!e && (bind(fd, &a.any, n) != 0 || listen(fd, BACKLOG) != 0))
		e = errno == EADDRINUSE ? GW_E_IN_USE : gw_err_from_errno(errno);
	if (e) {
		close(fd);
		return e;
	}
	*out_fd = fd;
	return GW_OK;
}

/* Bound under another name and renamed over the old one: a client finds either the old socket or the new, never
 * none. */
static enum gw_err bind_and_swap(int fd, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int n = snprintf(a.sun_path, sizeof(a.sun_path), "%s.new", path);

	if (n < 0 || (size_t)n >= sizeof(a.sun_path))
		return GW_E_INVALID;
	unlink(a.sun_path);
	/* Linux takes the mode of the bound name from the socket's own inode: no moment with a wider mode. */
	if (fchmod(fd, 0600) != 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		return gw_err_from_errno(errno);
	if (chmod(a.sun_path, 0600) != 0 || listen(fd, BACKLOG) != 0 || rename(a.sun_path, path) != 0) {
		int e = errno;

		unlink(a.sun_path);
		return gw_err_from_errno(e);
	}
	return GW_OK;
}

enum gw_err gw_listen_unix(const char *path, int *out_fd)
{
	struct stat st;
	enum gw_err e;
	int fd;

	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return GW_E_CONFLICT;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return gw_err_from_errno(errno);
	e = bind_and_swap(fd, path);
	if (e) {
		close(fd);
		return e;
	}
	*out_fd = fd;
	return GW_OK;
}

uint16_t gw_socket_port(int fd)
{
	union address a;
	socklen_t n = sizeof(a);

	memset(&a, 0, sizeof(a));
	if (getsockname(fd, &a.any, &n) != 0)
		return 0;
	return a.any.sa_family == AF_INET    ? ntohs(a.v4.sin_port)
	       : a.any.sa_family == AF_INET6 ? ntohs(a.v6.sin6_port)
					     : 0;
}

int64_t gw_peer_uid(int fd)
{
	struct ucred c;
	socklen_t n = sizeof(c);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) != 0 || n != sizeof(c))
		return -1;
	return (int64_t)c.uid;
}
