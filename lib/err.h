#pragma once
#include <stdbool.h>
#include "lib/str.h"

/* One scale of errors for the whole program, one row each in schemas/errors.def. 0 is success, all others negative. */
enum gw_retry {
	GW_RETRY_NO, /* the same request would fail anywhere */
	GW_RETRY_NEXT, /* another deployment may answer */
	GW_RETRY_ONCE /* the same deployment once more, then another */
};

enum gw_err {
	GW_OK = 0,
	GW_E_BASE_ = -1000,
#define GW_ERROR(name, http, type, code, retry, cools, doc) GW_E_##name,
#include "schemas/errors.def"
#undef GW_ERROR
	GW_E_END_
};

struct gw_err_info {
	const char *name; /* row name, the metric label */
	int http; /* status on the data plane and the admin API */
	const char *type; /* OpenAI error.type */
	const char *code; /* OpenAI error.code, "" = null */
	enum gw_retry retry;
	bool cools; /* counts against the deployment's health */
	const char *doc;
};

/* Never NULL: an unknown value gives the row BUG. */
const struct gw_err_info *gw_err_info(enum gw_err e);
/* Row by name ("LIMIT"); GW_OK when there is none. */
enum gw_err gw_err_by_name(struct gw_str name);
/* errno or negative libuv code to our scale. */
enum gw_err gw_err_from_errno(int err);

#define GW_MUST __attribute__((warn_unused_result))

/* A broken promise of our own code: one line to stderr and the panic slot (if set), then abort. */
#define GW_REQUIRE(cond) ((cond) ? (void)0 : gw_panic(__FILE__, __LINE__, #cond))
_Noreturn void gw_panic(const char *file, int line, const char *what) __attribute__((cold));
/* Where gw_panic leaves its text (shared memory of the slot), n bytes, NUL-terminated there. NULL = stderr only. */
void gw_panic_slot(char *slot, size_t n);
/* What the process is working on (a request id); shown in the panic text. Copied, at most 63 bytes. */
void gw_panic_context(struct gw_str what);
