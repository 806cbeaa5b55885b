/* Where a connection's TLS records lie. Mbed TLS allocates two buffers of 16.7 KB for each connection and zeroes them, so a stream whose chunks
 * have 300 bytes cost 33 KiB. Here they get homes of their own:
 *
 *   incoming   a mapping of its own: a page exists once a record has reached it. Those that the handshake's certificates reached are
 *              given back when it is done, so short records need one page.
 *   outgoing   the same during the handshake. Afterwards one buffer for all connections of the thread: a record leaves it (net/tls.c takes
 *              all bytes at once) before the library returns, and nothing is kept in it between two calls.
 *
 * The library has no public call for this. The fields are those of 3.6, the version with long support whose structures stay as they are; any
 * other version, and any state that is not the expected one, keeps the buffers where they were. */
#include <malloc.h>
#include <mbedtls/build_info.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "net/tls_int.h"

enum { PAGE_BYTES = 4096, HOME_BYTES = 5 * PAGE_BYTES };

#if MBEDTLS_VERSION_NUMBER >= 0x03060000 && MBEDTLS_VERSION_NUMBER < 0x03070000 &&                                     \
    !defined(MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH)
enum { CAN_MOVE = 1 };
#else
enum { CAN_MOVE = 0 };
#endif

/* One loop a thread, so no two connections are ever inside a call at once. */
static _Thread_local unsigned char shared_out[HOME_BYTES];

static unsigned char *new_home(void)
{
	void *p = mmap(NULL, HOME_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void move_one(unsigned char **at, const unsigned char *from, unsigned char *to)
{
	if (*at)
		*at = to + (*at - from);
}

static void move_in(mbedtls_ssl_context *ssl, unsigned char *to)
{
	unsigned char *from = ssl->MBEDTLS_PRIVATE(in_buf);

	move_one(&ssl->MBEDTLS_PRIVATE(in_buf), from, to);
	move_one(&ssl->MBEDTLS_PRIVATE(in_ctr), from, to);
	move_one(&ssl->MBEDTLS_PRIVATE(in_hdr), from, to);
#if defined(MBEDTLS_SSL_DTLS_CONNECTION_ID)
	move_one(&ssl->MBEDTLS_PRIVATE(in_cid), from, to);
#endif
	move_one(&ssl->MBEDTLS_PRIVATE(in_len), from, to);
	move_one(&ssl->MBEDTLS_PRIVATE(in_iv), from, to);
	move_one(&ssl->MBEDTLS_PRIVATE(in_msg), from, to);
	move_one(&ssl->MBEDTLS_PRIVATE(in_offt), from, to);
}

static void move_out(mbedtls_ssl_context *ssl, unsigned char *to)
{
	unsigned char *from = ssl->MBEDTLS_PRIVATE(out_buf);

	move_one(&ssl->MBEDTLS_PRIVATE(out_buf), from, to);
	move_one(&ssl->MBEDTLS_PRIVATE(out_ctr), from, to);
	move_one(&ssl->MBEDTLS_PRIVATE(out_hdr), from, to);
#if defined(MBEDTLS_SSL_DTLS_CONNECTION_ID)
	move_one(&ssl->MBEDTLS_PRIVATE(out_cid), from, to);
#endif
	move_one(&ssl->MBEDTLS_PRIVATE(out_len), from, to);
	move_one(&ssl->MBEDTLS_PRIVATE(out_iv), from, to);
	move_one(&ssl->MBEDTLS_PRIVATE(out_msg), from, to);
}

/* Right after mbedtls_ssl_setup: both are empty, all zero, and nothing but the context knows where they are. */
void tls_mem_begin(struct tls_mem *m, mbedtls_ssl_context *ssl)
{
	unsigned char *in = ssl->MBEDTLS_PRIVATE(in_buf), *out = ssl->MBEDTLS_PRIVATE(out_buf);

	*m = (struct tls_mem){ 0 };
	if (!CAN_MOVE || malloc_usable_size(in) > HOME_BYTES || malloc_usable_size(out) > HOME_BYTES)
		return;
	m->in = new_home();
	m->out = m->in ? new_home() : NULL;
	if (!m->out) {
		tls_mem_end(m, ssl);
		return;
	}
	move_in(ssl, m->in);
	move_out(ssl, m->out);
	m->is_moved = true;
	free(in);
	free(out);
}

/* The handshake is over. */
void tls_mem_settle(struct tls_mem *m, mbedtls_ssl_context *ssl)
{
	bool is_between = ssl->MBEDTLS_PRIVATE(in_left) == 0 && !ssl->MBEDTLS_PRIVATE(in_offt) &&
			  ssl->MBEDTLS_PRIVATE(in_msg) - m->in < PAGE_BYTES / 2;

	if (!m->is_moved)
		return;
	if (ssl->MBEDTLS_PRIVATE(out_left) == 0) {
		move_out(ssl, shared_out);
		munmap(m->out, HOME_BYTES);
		m->out = NULL;
	}
	if (is_between) /* no record is half here, none half read */
		(void)madvise(m->in + PAGE_BYTES, HOME_BYTES - PAGE_BYTES, MADV_DONTNEED);
}

/* Before mbedtls_ssl_free, which would give to free() what malloc() does not know. */
void tls_mem_end(struct tls_mem *m, mbedtls_ssl_context *ssl)
{
	if (m->is_moved) {
		ssl->MBEDTLS_PRIVATE(in_buf) = NULL;
		ssl->MBEDTLS_PRIVATE(out_buf) = NULL;
	}
	if (m->in)
		munmap(m->in, HOME_BYTES);
	if (m->out)
		munmap(m->out, HOME_BYTES);
	*m = (struct tls_mem){ 0 };
}
