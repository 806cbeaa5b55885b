#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "lib/err.h"
#include "lib/str.h"

/* Descriptors: packets with descriptors over SEQPACKET socketpairs, whole reads and writes, safe opening. All
 * descriptors made here are CLOEXEC. */
enum { GW_PACKET_BYTES = 65536, GW_PACKET_FDS = 64 };

GW_MUST enum gw_err gw_socketpair(int fds[2], bool is_nonblocking);
/* One packet. Returns bytes sent, -EAGAIN, or -errno. nfds <= GW_PACKET_FDS; they stay open here. */
ssize_t gw_packet_send(int fd, const void *p, size_t n, const int *fds, size_t nfds);
/* The same from several pieces of memory. */
struct iovec;
ssize_t gw_packet_sendv(int fd, const struct iovec *parts, size_t n_parts, const int *fds, size_t nfds);
/* One packet. Returns bytes (0 = peer closed) or -errno; -EMSGSIZE when cut. Received descriptors are CLOEXEC and owned
 * by the caller; more than max_fds are closed and reported as -EMSGSIZE. */
ssize_t gw_packet_recv(int fd, void *p, size_t n, int *fds, size_t max_fds, size_t *nfds);
GW_MUST enum gw_err gw_write_all(int fd, const void *p, size_t n);
struct gw_buf;
/* Whole small file into out (ceiling of the buffer). */
GW_MUST enum gw_err gw_read_file(int dirfd, const char *path, struct gw_buf *out);
GW_MUST enum gw_err gw_read_rest(int fd, struct gw_buf *out); /* from where fd stands to the end */
/* Writes path.new with mode, fsyncs, renames, fsyncs the folder. */
GW_MUST enum gw_err gw_write_file(int dirfd, const char *path, struct gw_str content, unsigned mode);
/* mkdir -p, the last component with mode 0700 (set so if it was wider); refuses a symlink or another owner
 * (GW_E_FORBIDDEN). */
GW_MUST enum gw_err gw_private_dir(const char *path);
/* A key file: regular, ours, not readable by group or others, O_NOFOLLOW; else GW_E_FORBIDDEN. GW_E_NOT_FOUND: none
 * there. */
GW_MUST enum gw_err gw_open_private(const char *path, int *out_fd);
void gw_close(int *fd); /* sets -1; accepts -1 */
void gw_close_from(int lowest); /* close_range of everything from `lowest` up */
/* Listening TCP socket, SO_REUSEPORT, non-blocking, backlog 4096. host is a literal address, IPv6 with or
 * without brackets ("::" serves IPv4 too). GW_E_INVALID: not a literal; GW_E_IN_USE: the port is taken. */
GW_MUST enum gw_err gw_listen_tcp(struct gw_str host, uint16_t port, int *out_fd);
GW_MUST enum gw_err gw_listen_unix(const char *path, int *out_fd); /* 0600, replaces an old socket at once */
uint16_t gw_socket_port(int fd);
/* uid of the peer of a Unix socket, or -1. */
int64_t gw_peer_uid(int fd);
