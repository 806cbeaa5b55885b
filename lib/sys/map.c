/* Shared mappings: named files on tmpfs (rings, control page) and sealed memfds (images). Files are allocated whole
 * when they are made, so that a full file system is a clear error at start and never a SIGBUS later. */
#include "lib/sys/map.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/sys/fd.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
enum { SEALS = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

static enum gw_err allocate(int fd, size_t n)
{
	int e;

	do
		e = posix_fallocate(fd, 0, (off_t)n);
	while (e == EINTR);
	return e == 0 ? GW_OK : e == EFBIG || e == ENOSPC || e == ENOMEM || e == EDQUOT ? GW_E_NO_SPACE : GW_E_IO;
}

/* An existing file counts only when it is ours, regular and of the right size. Size 0 is one whose maker died before
 * the allocation: it is filled now. */
static enum gw_err take_existing(const char *path, size_t n, int *out_fd, bool *was_there)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	enum gw_err e = GW_OK;

	if (fd < 0)
		return gw_err_from_errno(errno);
	if (fstat(fd, &st) != 0)
		e = GW_E_IO;
	else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
		e = GW_E_FORBIDDEN;
	else if (st.st_size == 0)
		e = allocate(fd, n);
	else if ((size_t)st.st_size != n)
		e = GW_E_CONFLICT;
	if (e == GW_E_NO_SPACE)
		unlink(path);
	if (e) {
		close(fd);
		return e;
	}
	*was_there = st.st_size != 0;
	*out_fd = fd;
	return GW_OK;
}

/* Asked first: tmpfs compares a request with its whole size only, and would fill the machine's memory before it says no. */
static bool has_room(int fd, size_t n)
{
	struct statvfs st;

	return fstatvfs(fd, &st) != 0 || st.f_blocks == 0 || n <= (uint64_t)st.f_bavail * st.f_frsize;
}

enum gw_err gw_map_file(const char *path, size_t n, int *out_fd, bool *was_there)
{
	int fd;
	enum gw_err e;

	if (n == 0 || n > PTRDIFF_MAX)
		return GW_E_INVALID;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == EEXIST)
		return take_existing(path, n, out_fd, was_there);
	if (fd < 0)
		return errno == ENOSPC || errno == EDQUOT ? GW_E_NO_SPACE : gw_err_from_errno(errno);
	e = has_room(fd, n) ? allocate(fd, n) : GW_E_NO_SPACE;
	if (e) {
		unlink(path);
		close(fd);
		return e;
	}
	*was_there = false;
	*out_fd = fd;
	return GW_OK;
}

enum gw_err gw_map_fd(int fd, size_t n, bool is_writable, struct gw_map *out)
{
	void *p;

	/* Touching a page behind the end of the file is a SIGBUS, so the size is not taken on trust. */
	if (n == 0 || gw_fd_size(fd) < n)
		return GW_E_CORRUPT;
	p = mmap(NULL, n, is_writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return errno == ENOMEM ? GW_E_NOMEM : gw_err_from_errno(errno);
	*out = (struct gw_map){ p, n };
	return GW_OK;
}

void gw_unmap(struct gw_map *m)
{
	if (m->p)
		munmap(m->p, m->n);
	*m = (struct gw_map){ NULL, 0 };
}

enum gw_err gw_memfd(const char *name, size_t n, int *out_fd)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	enum gw_err e;

	if (fd < 0 && errno == EINVAL) /* Linux before 6.3 does not know NOEXEC_SEAL */
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return gw_err_from_errno(errno);
	e = n ? allocate(fd, n) : GW_OK;
	if (e) {
		close(fd);
		return e;
	}
	*out_fd = fd;
	return GW_OK;
}

enum gw_err gw_memfd_seal(int fd)
{
	/* F_SEAL_WRITE is refused with EBUSY while a writable shared mapping exists. */
	if (fcntl(fd, F_ADD_SEALS, SEALS) != 0)
		return errno == EBUSY ? GW_E_IN_USE : GW_E_IO;
	return GW_OK;
}

bool gw_memfd_is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & SEALS) == SEALS;
}

size_t gw_fd_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size > 0 ? (size_t)st.st_size : 0;
}

uint64_t gw_fs_free_bytes(const char *path)
{
	struct statvfs st;

	return statvfs(path, &st) == 0 ? (uint64_t)st.f_bavail * st.f_frsize : 0;
}
