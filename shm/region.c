/* Shared files: made under another name, filled with their header, then renamed, so that no process ever sees half a
 * region; opened only when magic, kind, layout and size are what this binary was built with. */
#include "shm/region.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/sys/fd.h"

static const uint64_t region_magic = 0x4d485357474d4c4cULL; /* the bytes "LLMGWSHM", little endian */

uint64_t gw_layout_hash(const char *text, size_t n)
{
	uint64_t h = 14695981039346656037ULL;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)text[i]) * 1099511628211ULL;
	return h;
}

static void fill_head(struct gw_region_head *h, const char *kind, uint64_t layout_hash, size_t size)
{
	*h = (struct gw_region_head){ .magic = region_magic, .size_bytes = size, .layout_hash = layout_hash };
	snprintf(h->kind, sizeof(h->kind), "%s", kind);
}

/* Opens and checks; *size is that of the file, which the header must confirm. */
static enum gw_err open_checked(const char *path, const char *kind, uint64_t layout_hash, bool is_writable, int *out_fd,
				size_t *size)
{
	struct gw_region_head want, have;
	struct stat st;
	int fd = open(path, (is_writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? GW_E_NOT_FOUND : gw_err_from_errno(errno);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(have) ||
	    pread(fd, &have, sizeof(have), 0) != (ssize_t)sizeof(have)) {
		gw_close(&fd);
		return GW_E_CORRUPT;
	}
	fill_head(&want, kind, layout_hash, (size_t)st.st_size);
	if (memcmp(&want, &have, sizeof(want)) != 0) {
		gw_close(&fd);
		return GW_E_CORRUPT;
	}
	*out_fd = fd;
	*size = (size_t)st.st_size;
	return GW_OK;
}

enum gw_err gw_region_open(const char *path, const char *kind, uint64_t layout_hash, bool is_writable,
			   struct gw_map *out)
{
	size_t size;
	int fd;
	enum gw_err e = open_checked(path, kind, layout_hash, is_writable, &fd, &size);

	if (e)
		return e;
	e = gw_map_fd(fd, size, is_writable, out);
	gw_close(&fd); /* the mapping stays; nobody can cut the file through us */
	return e;
}

static enum gw_err make_new(const char *path, const char *kind, uint64_t layout_hash, size_t size, struct gw_map *out)
{
	struct gw_map map;
	bool was_there;
	char temp[264];
	int fd, n = snprintf(temp, sizeof(temp), "%s.new", path);
	enum gw_err e;

	if (n < 0 || (size_t)n >= sizeof(temp))
		return GW_E_TOO_BIG;
	if (unlink(temp) != 0 && errno != ENOENT)
		return gw_err_from_errno(errno);
	e = gw_map_file(temp, size, &fd, &was_there);
	if (e)
		return e;
	e = gw_map_fd(fd, size, true, &map);
	gw_close(&fd);
	if (!e) {
		fill_head(map.p, kind, layout_hash, size);
		if (rename(temp, path) == 0) {
			*out = map;
			return GW_OK;
		}
		e = gw_err_from_errno(errno);
		gw_unmap(&map);
	}
	unlink(temp);
	return e;
}

enum gw_err gw_region_make(const char *path, const char *kind, uint64_t layout_hash, size_t size, bool may_replace,
			   bool *was_there, struct gw_map *out)
{
	size_t have = 0;
	int fd = -1;
	enum gw_err e = open_checked(path, kind, layout_hash, true, &fd, &have);

	if (!e && have == size) {
		e = gw_map_fd(fd, size, true, out);
		gw_close(&fd);
		if (!e)
			*was_there = true;
		return e;
	}
	gw_close(&fd);
	if (!e)
		e = GW_E_CORRUPT; /* ours, but of another size */
	if (e != GW_E_NOT_FOUND && !(e == GW_E_CORRUPT && may_replace))
		return e;
	e = make_new(path, kind, layout_hash, size, out);
	if (!e)
		*was_there = false;
	return e;
}
