/* Mapping libcurl and setting it up so that it keeps to the gateway's rules: no settings or key logs from the environment, memory wiped
 * before it is freed (requests hold credentials). */
#include "net/curl_lib.h"

#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/secret.h"

static struct gw_curl_lib lib;
static bool is_loaded, is_set_up, has_failed;
static char why[160] = "libcurl has not been loaded";

#define SYM(name)                                                                                                      \
	{                                                                                                              \
		"curl_" #name, offsetof(struct gw_curl_lib, name)                                                      \
	}
static const struct {
	const char *name;
	size_t at;
} symbols[] = {
	SYM(global_init_mem),     SYM(version_info),  SYM(easy_init),       SYM(easy_setopt),
	SYM(easy_getinfo),        SYM(easy_cleanup),  SYM(easy_pause),      SYM(multi_init),
	SYM(multi_setopt),        SYM(multi_assign),  SYM(multi_info_read), SYM(multi_add_handle),
	SYM(multi_remove_handle), SYM(multi_cleanup), SYM(share_init),      SYM(multi_socket_action),
	SYM(share_setopt),        SYM(share_cleanup),
};
#undef SYM

/* --- memory --- */

static void wiping_free(void *p)
{
	if (!p)
		return;
	gw_wipe(p, malloc_usable_size(p));
	free(p);
}

static void *wiping_realloc(void *p, size_t n)
{
	size_t had = p ? malloc_usable_size(p) : 0;
	void *q;

	if (p && n <= had)
		return p;
	q = malloc(n);
	if (q && p) {
		memcpy(q, p, had);
		wiping_free(p);
	}
	return q;
}

static void *plain_malloc(size_t n)
{
	return malloc(n);
}

static void *plain_calloc(size_t n, size_t size)
{
	return calloc(n, size);
}

static char *plain_strdup(const char *s)
{
	return strdup(s);
}

/* --- mapping --- */

static int count_object(struct dl_phdr_info *o, size_t size, void *ctx)
{
	(void)o;
	(void)size;
	(*(unsigned *)ctx)++;
	return 0;
}

/* Loading has touched much code that will never run: until somebody needs it, it need not count as ours. */
static int give_back(struct dl_phdr_info *o, size_t size, void *ctx)
{
	unsigned *skip = ctx;
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	if (*skip > 0) {
		(*skip)--;
		return 0;
	}
	for (int i = 0; i < o->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &o->dlpi_phdr[i];
		uintptr_t from = (o->dlpi_addr + h->p_vaddr) & ~(page - 1), to = o->dlpi_addr + h->p_vaddr + h->p_memsz;

		if (h->p_type == PT_LOAD && (h->p_flags & PF_W) == 0)
			(void)madvise((void *)from, to - from, MADV_DONTNEED); /* clean pages of a file */
	}
	return 0;
}

bool gw_curl_load(void)
{
	unsigned n_before = 0;
	void *so;

	if (is_loaded || has_failed)
		return is_loaded;
	has_failed = true; /* until the end shows otherwise; it is tried once */
	dl_iterate_phdr(count_object, &n_before);
	so = dlopen("libcurl.so.4", RTLD_LAZY | RTLD_LOCAL);
	if (!so) {
		snprintf(why, sizeof(why), "libcurl.so.4 cannot be loaded: install libcurl4");
		return false;
	}
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *f = dlsym(so, symbols[i].name);

		if (!f) {
			snprintf(why, sizeof(why), "libcurl.so.4 has no %s: 7.88 or later is needed", symbols[i].name);
			return false;
		}
		memcpy((char *)&lib + symbols[i].at, &f, sizeof(f));
	}
	dl_iterate_phdr(give_back, &n_before);
	is_loaded = true;
	has_failed = false;
	return true;
}

const struct gw_curl_lib *gw_curl(void)
{
	if (is_set_up)
		return &lib;
	if (!gw_curl_load())
		return NULL;
	/* A key log would hold the keys of every connection; the system's openssl.cnf lies outside of what the sandbox lets us read. */
	(void)unsetenv("SSLKEYLOGFILE");
	(void)setenv("OPENSSL_CONF", "", 1);
	if (lib.global_init_mem(CURL_GLOBAL_ALL, plain_malloc, wiping_free, wiping_realloc, plain_strdup,
				plain_calloc) != CURLE_OK) {
		snprintf(why, sizeof(why), "libcurl could not be set up");
		return NULL;
	}
	if (lib.version_info(CURLVERSION_NOW)->version_num < 0x075800) {
		snprintf(why, sizeof(why), "libcurl is older than 7.88");
		return NULL;
	}
	is_set_up = true;
	return &lib;
}

const char *gw_curl_why(void)
{
	return why;
}
