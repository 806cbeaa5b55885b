/* The error table (rows in schemas/errors.def) and the panic: the only way this program gives up. */
#include "lib/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct gw_err_info errors[] = {
#define GW_ERROR(name, http, type, code, retry, cools, doc) { #name, http, type, code, GW_RETRY_##retry, cools, doc },
#include "schemas/errors.def"
#undef GW_ERROR
};

enum { N_ERRORS = sizeof(errors) / sizeof(errors[0]), FIRST_ERROR = GW_E_BASE_ + 1 };
_Static_assert(GW_E_END_ - FIRST_ERROR == N_ERRORS, "one row per enum value");

const struct gw_err_info *gw_err_info(enum gw_err e)
{
	int row = (int)e - FIRST_ERROR;

	return row >= 0 && row < N_ERRORS ? &errors[row] : &errors[GW_E_BUG - FIRST_ERROR];
}

enum gw_err gw_err_by_name(struct gw_str name)
{
	for (int i = 0; i < N_ERRORS; i++)
		if (gw_str_eq(name, gw_str_z(errors[i].name)))
			return (enum gw_err)(FIRST_ERROR + i);
	return GW_OK;
}

/* libuv's own codes that are not a negated errno (uv/errno.h): resolver failures and end of file. */
enum { UV_EAI_LAST = -3014, UV_EAI_FIRST = -3000, UV_END_OF_FILE = -4095 };

static const struct {
	int no;
	enum gw_err err;
} by_errno[] = {
	{ ENOMEM, GW_E_NOMEM },
	{ EAGAIN, GW_E_AGAIN },
	{ EINTR, GW_E_AGAIN },
	{ ENOSPC, GW_E_NO_SPACE },
	{ EDQUOT, GW_E_NO_SPACE },
	{ ENOENT, GW_E_NOT_FOUND },
	{ EEXIST, GW_E_CONFLICT },
	{ EMSGSIZE, GW_E_TOO_BIG },
	{ EFBIG, GW_E_TOO_BIG },
	{ EMFILE, GW_E_BUSY },
	{ ENFILE, GW_E_BUSY },
	{ ENOBUFS, GW_E_BUSY },
	{ ECONNREFUSED, GW_E_UP_REFUSED },
	{ EHOSTUNREACH, GW_E_UP_REFUSED },
	{ ENETUNREACH, GW_E_UP_REFUSED },
	{ ENETDOWN, GW_E_UP_REFUSED },
	{ EADDRNOTAVAIL, GW_E_UP_REFUSED },
	{ ETIMEDOUT, GW_E_UP_CONNECT },
	{ ECONNRESET, GW_E_UP_RESET },
	{ ECONNABORTED, GW_E_UP_RESET },
	{ EPIPE, GW_E_UP_RESET },
};

enum gw_err gw_err_from_errno(int err)
{
	int no = err < 0 ? -err : err;

	if (err == 0)
		return GW_OK;
	if (err == UV_END_OF_FILE)
		return GW_E_UP_RESET;
	if (err >= UV_EAI_LAST && err <= UV_EAI_FIRST)
		return GW_E_UP_RESOLVE;
	for (size_t i = 0; i < sizeof(by_errno) / sizeof(by_errno[0]); i++)
		if (by_errno[i].no == no)
			return by_errno[i].err;
	return GW_E_IO;
}

static struct {
	char *slot;
	size_t slot_n;
	char context[64];
} panic;

void gw_panic_slot(char *slot, size_t n)
{
	panic.slot = n ? slot : NULL;
	panic.slot_n = n;
}

void gw_panic_context(struct gw_str what)
{
	size_t n = what.n < sizeof(panic.context) - 1 ? what.n : sizeof(panic.context) - 1;

	if (n)
		memcpy(panic.context, what.p, n);
	panic.context[n] = '\0';
}

_Noreturn void gw_panic(const char *file, int line, const char *what)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "panic at %s:%d: %s%s%s\n", file, line, what,
			 panic.context[0] ? " while at " : "", panic.context);
	size_t len = n < 0 ? 0 : (size_t)n;

	if (len >= sizeof(text)) {
		len = sizeof(text) - 1;
		text[len - 1] = '\n';
	}
	if (panic.slot && len) {
		size_t keep = len - 1 < panic.slot_n - 1 ? len - 1 : panic.slot_n - 1; /* without the newline */

		memcpy(panic.slot, text, keep);
		panic.slot[keep] = '\0';
	}
	if (write(STDERR_FILENO, text, len) < 0)
		abort(); /* nobody left to tell */
	abort();
}
