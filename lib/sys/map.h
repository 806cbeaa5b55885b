#pragma once
#include <stddef.h>
#include <stdint.h>
#include "lib/err.h"

/* Shared mappings. */
struct gw_map {
	void *p;
	size_t n;
};
/* Named file under dir, fully allocated (posix_fallocate), 0600; opens an existing one of the same size unchanged.
 * GW_E_NO_SPACE with nothing left behind when it does not fit; GW_E_CONFLICT for an existing one of another size (it
 * may still hold records: who may remove it is for the caller to know); GW_E_FORBIDDEN when it is not ours or not
 * 0600. */
GW_MUST enum gw_err gw_map_file(const char *path, size_t n, int *out_fd, bool *was_there);
/* GW_E_CORRUPT when the file is shorter than n. */
GW_MUST enum gw_err gw_map_fd(int fd, size_t n, bool is_writable, struct gw_map *out);
void gw_unmap(struct gw_map *m);
/* memfd, sized or empty (n = 0); sealing allowed, never executable where the kernel can say so. */
GW_MUST enum gw_err gw_memfd(const char *name, size_t n, int *out_fd);
GW_MUST enum gw_err gw_memfd_seal(int fd); /* WRITE|SHRINK|GROW|SEAL; GW_E_IN_USE while mapped writable */
bool gw_memfd_is_sealed(int fd);
size_t gw_fd_size(int fd);
/* Bytes free on the file system of `path`. */
uint64_t gw_fs_free_bytes(const char *path);
