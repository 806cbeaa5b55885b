/* Descriptors: packets with descriptors attached, and files opened so that nobody can slip another file under them. */
#include "lib/sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/buf.h"

enum gw_err gw_socketpair(int fds[2], bool is_nonblocking)
{
	int type = SOCK_SEQPACKET | SOCK_CLOEXEC | (is_nonblocking ? SOCK_NONBLOCK : 0);

	return socketpair(AF_UNIX, type, 0, fds) == 0 ? GW_OK : gw_err_from_errno(errno);
}

ssize_t gw_packet_sendv(int fd, const struct iovec *parts, size_t n_parts, const int *fds, size_t nfds)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * GW_PACKET_FDS)];
		struct cmsghdr align;
	} control;
	/* sendmsg does not write through msg_iov; the type just is not const. */
	struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = n_parts };
	ssize_t n;

	if (nfds > GW_PACKET_FDS)
		return -EINVAL;
	if (nfds) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	do
		n = sendmsg(fd, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t gw_packet_send(int fd, const void *p, size_t n, const int *fds, size_t nfds)
{
	struct iovec part = { (void *)(uintptr_t)p, n };

	return gw_packet_sendv(fd, &part, 1, fds, nfds);
}

/* Takes the descriptors out of the control data; those past max_fds are closed. Returns how many came. */
static size_t take_fds(struct msghdr *m, int *fds, size_t max_fds)
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++, n++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (n < max_fds)
				fds[n] = fd;
			else
				close(fd);
		}
	}
	return n;
}

ssize_t gw_packet_recv(int fd, void *p, size_t n, int *fds, size_t max_fds, size_t *nfds)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * GW_PACKET_FDS)];
		struct cmsghdr align;
	} control;
	struct iovec v = { p, n };
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
	};
	ssize_t got;
	size_t came;

	*nfds = 0;
	do
		got = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	came = take_fds(&m, fds, max_fds);
	if (came <= max_fds && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		*nfds = came;
		return got;
	}
	for (size_t i = 0; i < came && i < max_fds; i++)
		close(fds[i]);
	return -EMSGSIZE;
}

enum gw_err gw_write_all(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		ssize_t w = write(fd, at, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return errno == ENOSPC || errno == EDQUOT ? GW_E_NO_SPACE : gw_err_from_errno(errno);
		at += w;
		n -= (size_t)w;
	}
	return GW_OK;
}

enum gw_err gw_read_rest(int fd, struct gw_buf *out)
{
	ssize_t r;

	do {
		/* One byte more than fits shows that the file is too big; the buffer's own ceiling says so. */
		size_t step = out->max - out->n < 16384 ? out->max - out->n + 1 : 16384;
		char chunk[16384];

		r = read(fd, chunk, step < sizeof(chunk) ? step : sizeof(chunk));
		if (r < 0 && errno == EINTR)
			continue;
		if (r > 0)
			gw_buf_put(out, chunk, (size_t)r);
	} while ((r > 0 || (r < 0 && errno == EINTR)) && !out->err);
	return r < 0 ? gw_err_from_errno(errno) : out->err;
}

enum gw_err gw_read_file(int dirfd, const char *path, struct gw_buf *out)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	enum gw_err e;

	if (fd < 0)
		return errno == ENOENT ? GW_E_NOT_FOUND : gw_err_from_errno(errno);
	e = gw_read_rest(fd, out);
	close(fd);
	return e;
}

static enum gw_err sync_parent(int dirfd, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	char dir[PATH_MAX];
	int fd, r;

	if (n >= sizeof(dir))
		return GW_E_INVALID;
	memcpy(dir, path, n);
	dir[n] = 0;
	fd = openat(dirfd, slash ? (n ? dir : "/") : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return gw_err_from_errno(errno);
	r = fsync(fd);
	close(fd);
	return r == 0 ? GW_OK : GW_E_IO;
}

static enum gw_err write_new(int dirfd, const char *tmp, struct gw_str content, unsigned mode)
{
	int fd;
	enum gw_err e;

	/* What a crash left under this name goes first, so that EXCL can refuse a link put there by somebody else. */
	unlinkat(dirfd, tmp, 0);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == ENOSPC || errno == EDQUOT ? GW_E_NO_SPACE : gw_err_from_errno(errno);
	e = gw_write_all(fd, content.p, content.n);
	if (!e && (fchmod(fd, mode) != 0 || fsync(fd) != 0))
		e = errno == ENOSPC || errno == EDQUOT ? GW_E_NO_SPACE : GW_E_IO;
	close(fd);
	return e;
}

enum gw_err gw_write_file(int dirfd, const char *path, struct gw_str content, unsigned mode)
{
	char tmp[PATH_MAX];
	int n = snprintf(tmp, sizeof(tmp), "%s.new", path);
	enum gw_err e;

	if (n < 0 || (size_t)n >= sizeof(tmp))
		return GW_E_INVALID;
	e = write_new(dirfd, tmp, content, mode);
	if (!e && renameat(dirfd, tmp, dirfd, path) != 0)
		e = gw_err_from_errno(errno);
	if (e) {
		unlinkat(dirfd, tmp, 0);
		return e;
	}
	return sync_parent(dirfd, path);
}

enum gw_err gw_private_dir(const char *path)
{
	char p[PATH_MAX];
	size_t n = strlen(path);
	struct stat st;
	enum gw_err e = GW_OK;
	int fd;

	/* A trailing slash would make O_NOFOLLOW follow. */
	while (n > 1 && path[n - 1] == '/')
		n--;
	if (n == 0 || n >= sizeof(p))
		return GW_E_INVALID;
	memcpy(p, path, n);
	p[n] = 0;
	for (size_t i = 1; i < n; i++) {
		if (p[i] != '/')
			continue;
		p[i] = 0;
		if (mkdir(p, 0755) != 0 && errno != EEXIST)
			return gw_err_from_errno(errno);
		p[i] = '/';
	}
	if (mkdir(p, 0700) != 0 && errno != EEXIST)
		return errno == ENOSPC || errno == EDQUOT ? GW_E_NO_SPACE : gw_err_from_errno(errno);
	fd = open(p, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP || errno == ENOTDIR ? GW_E_FORBIDDEN : gw_err_from_errno(errno);
	if (fstat(fd, &st) != 0)
		e = GW_E_IO;
	else if (st.st_uid != geteuid())
		e = GW_E_FORBIDDEN;
	else if ((st.st_mode & 077) && fchmod(fd, 0700) != 0)
		e = GW_E_IO;
	close(fd);
	return e;
}

enum gw_err gw_open_private(const char *path, int *out_fd)
{
	/* NONBLOCK: a fifo put there must not hang the start. */
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? GW_E_NOT_FOUND : errno == ELOOP ? GW_E_FORBIDDEN : gw_err_from_errno(errno);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 077)) {
		*out_fd = fd;
		return GW_OK;
	}
	close(fd);
	return GW_E_FORBIDDEN;
}

void gw_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void gw_close_from(int lowest)
{
	close_range((unsigned)lowest, ~0u, 0);
}
