#pragma once
/* A core on a fresh data folder, and calls to it in one line. Included by the tests of this folder only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "confd/call.h"
#include "confd/keyring.h"
#include "confd/login.h"
#include "confd/open.h"
#include "lib/crypto.h"
#include "lib/sys/clock.h"
#include "lib/text.h"

#define PLATFORM                                                                                                       \
	"{\"key\":\"boss\",\"roles\":[{\"role\":\"platform-admin\",\"org\":\"\",\"team\":\"\"}],\"source\":\"127.0.0." \
	"1\"}"

struct fixture {
	char dir[128], data[160], root[192];
	struct gw_core core;
	struct gw_core_opts opts;
	/* the last answer */
	int status;
	uint64_t version, generation, retry_ms;
	bool is_replay;
	const char *idem; /* Idempotency-Key of the next calls, or NULL */
	char *text;
	yyjson_doc *doc;
	yyjson_val *body;
};

static inline int fx_rm_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline void fx_open_core(struct fixture *f)
{
	char why[512] = "";
	bool is_first;
	enum gw_err e = gw_core_open(&f->core, &f->opts, &is_first, why);

	if (e != GW_OK)
		print_error("gw_core_open: %s\n", why);
	assert_int_equal(e, GW_OK);
}

static inline struct fixture *fx_new_at(const char *base, uint64_t map_bytes, uint64_t max_bytes)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "%s/llmgw-confd-XXXXXX", base);
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->data, sizeof(f->data), "%s/data", f->dir);
	snprintf(f->root, sizeof(f->root), "%s/root.key", f->dir);
	assert_int_equal(gw_crypto_init(), GW_OK);
	f->opts = (struct gw_core_opts){ .data_dir = f->data,
					 .root_key = f->root,
					 .root_key_previous = "",
					 .drain_ms = 60000,
					 .map_bytes = map_bytes,
					 .max_bytes = max_bytes };
	fx_open_core(f);
	return f;
}

static inline struct fixture *fx_new(void)
{
	return fx_new_at("/tmp", 64 << 20, 1ull << 32);
}

static inline void fx_clear(struct fixture *f)
{
	yyjson_doc_free(f->doc);
	free(f->text);
	f->doc = NULL;
	f->body = NULL;
	f->text = NULL;
}

static inline void fx_reopen(struct fixture *f)
{
	gw_core_close(&f->core);
	fx_open_core(f);
}

static inline void fx_free(struct fixture *f)
{
	fx_clear(f);
	gw_core_close(&f->core);
	nftw(f->dir, fx_rm_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
}

/* As who, which method, kind, body; the answer is in f. Returns the HTTP status. */
static inline int fx_call_as(struct fixture *f, const char *actor, const char *method, const char *kind,
			     const char *body, uint64_t version, unsigned flags)
{
	struct gw_call q = { .method = gw_str_z(method),
			     .kind = gw_str_z(kind),
			     .body = gw_str_z(body),
			     .actor = gw_str_z(actor),
			     .idem = f->idem != NULL ? gw_str_z(f->idem) : GW_NIL,
			     .version = version,
			     .flags = flags };
	struct gw_reply r;
	struct gw_kdf kdf = { .n = 0 };
	bool is_refused = false;

	fx_clear(f);
	gw_reply_init(&r);
	if (gw_kdf_is_needed(&q)) {
		is_refused = gw_kdf_begin(&f->core, &q, &kdf, &r) != GW_OK;
		if (!is_refused)
			gw_kdf_run(&kdf);
		q.kdf = &kdf;
	}
	if (gw_call_class(&q) == GW_CALL_WRITE && !is_refused)
		gw_call_batch(&f->core, &q, &r, 1);
	else if (is_refused)
		assert_int_not_equal(r.status, 200);
	else
		gw_call_run(&f->core, &q, &r);
	f->status = r.status;
	f->version = r.version;
	f->generation = r.generation;
	f->is_replay = r.is_replay;
	f->retry_ms = r.retry_ms;
	gw_kdf_done(&kdf);
	f->text = calloc(1, r.body.n + 1);
	assert_non_null(f->text);
	memcpy(f->text, r.body.p, r.body.n);
	f->doc = yyjson_read(f->text, r.body.n, 0);
	if (f->doc == NULL)
		print_error("not JSON: %s\n", f->text);
	assert_non_null(f->doc);
	f->body = yyjson_doc_get_root(f->doc);
	gw_reply_done(&r);
	return f->status;
}

static inline int fx_call(struct fixture *f, const char *method, const char *kind, const char *body)
{
	return fx_call_as(f, PLATFORM, method, kind, body, 0, 0);
}

#define CALL(f, want, method, kind, body)                                                                              \
	do {                                                                                                           \
		int got_ = fx_call((f), (method), (kind), (body));                                                     \
		if (got_ != (want))                                                                                    \
			print_error("%s:%d: %s %s %s -> %d %s\n", __FILE__, __LINE__, (method), (kind), (body), got_,  \
				    (f)->text);                                                                        \
		assert_int_equal(got_, (want));                                                                        \
	} while (0)
#define CALL_AS(f, actor, want, method, kind, body)                                                                    \
	do {                                                                                                           \
		int got_ = fx_call_as((f), (actor), (method), (kind), (body), 0, 0);                                   \
		if (got_ != (want))                                                                                    \
			print_error("%s:%d: %s %s %s -> %d %s\n", __FILE__, __LINE__, (method), (kind), (body), got_,  \
				    (f)->text);                                                                        \
		assert_int_equal(got_, (want));                                                                        \
	} while (0)

/* Text at a JSON pointer of the last answer, "" when there is none. */
static inline const char *fx_str(const struct fixture *f, const char *pointer)
{
	yyjson_val *v = yyjson_doc_ptr_get(f->doc, pointer);

	return yyjson_is_str(v) ? yyjson_get_str(v) : "";
}
static inline uint64_t fx_u64(const struct fixture *f, const char *pointer)
{
	return yyjson_get_uint(yyjson_doc_ptr_get(f->doc, pointer));
}
static inline size_t fx_len(const struct fixture *f, const char *pointer)
{
	yyjson_val *v = yyjson_doc_ptr_get(f->doc, pointer);

	return yyjson_is_arr(v) ? yyjson_arr_size(v) : yyjson_obj_size(v);
}

/* Provider p1, credential c1 (secret), deployment d1, model m1. */
static inline void fx_seed(struct fixture *f)
{
	CALL(f, 201, "put", "provider", "{\"id\":\"p1\",\"type\":\"openai\"}");
	CALL(f, 201, "put", "credential",
	     "{\"id\":\"c1\",\"provider\":\"p1\",\"secret\":\"sk-canary-0123456789abcdef\"}");
	CALL(f, 201, "put", "deployment",
	     "{\"id\":\"d1\",\"provider\":\"p1\",\"credential\":\"c1\",\"upstream_model\":\"gpt-4o\"}");
	CALL(f, 201, "put", "model", "{\"id\":\"m1\",\"targets\":[{\"deployment\":\"d1\"}]}");
}

static inline void fx_sha256_hex(const char *text, char out[65])
{
	uint8_t hash[32];

	gw_sha256(gw_str_z(text), hash);
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

/* What a worker would get for the credential; "" when refused. Static buffer. */
static inline const char *fx_lease(struct fixture *f, const char *id, uint64_t version, bool is_next)
{
	static char text[256];
	struct gw_leased l;

	text[0] = '\0';
	if (gw_lease(&f->core, gw_str_z(id), version, 3 /* GW_ROLE_WORKER */, &l) != GW_OK)
		return text;
	const struct gw_secret *s = is_next ? l.next : l.secret;

	if (s != NULL)
		snprintf(text, sizeof(text), "%.*s", GW_FMT(gw_secret_expose(s)));
	gw_leased_done(&l);
	return text;
}
