#pragma once
#include <curl/curl.h>
#include "lib/err.h"

/* libcurl, loaded when a process may need it instead of linked: with all it brings (OpenSSL, nghttp2, GnuTLS, Kerberos, LDAP) it costs
 * 1.2 MiB of relocated pages in each process that maps it, and only workers and the agent speak to providers. Loading maps code, which the
 * sandbox forbids: gw_curl_load comes before lock-down (gw_upstream_new calls it), and what is first used later only runs. */
struct gw_curl_lib {
	__typeof__(&curl_global_init_mem) global_init_mem;
	__typeof__(&curl_version_info) version_info;
	__typeof__(&curl_easy_init) easy_init;
	__typeof__(&(curl_easy_setopt)) easy_setopt;
	__typeof__(&(curl_easy_getinfo)) easy_getinfo;
	__typeof__(&curl_easy_cleanup) easy_cleanup;
	__typeof__(&curl_easy_pause) easy_pause;
	__typeof__(&curl_multi_init) multi_init;
	__typeof__(&(curl_multi_setopt)) multi_setopt;
	__typeof__(&curl_multi_add_handle) multi_add_handle;
	__typeof__(&curl_multi_remove_handle) multi_remove_handle;
	__typeof__(&curl_multi_socket_action) multi_socket_action;
	__typeof__(&curl_multi_info_read) multi_info_read;
	__typeof__(&curl_multi_assign) multi_assign;
	__typeof__(&curl_multi_cleanup) multi_cleanup;
	__typeof__(&curl_share_init) share_init;
	__typeof__(&(curl_share_setopt)) share_setopt;
	__typeof__(&curl_share_cleanup) share_cleanup;
};
/* Maps the library once per process. False: it is not there or lacks something; gw_curl_why says what. */
bool gw_curl_load(void);
/* Loaded and set up, or NULL. */
const struct gw_curl_lib *gw_curl(void);
const char *gw_curl_why(void);
