/* What libcurl is told. Every option that could make it read a file, obey the environment, follow, remember or look up something by itself
 * is set or left off here on purpose. */
#include "net/curl_int.h"

#include <unistd.h>

#include "lib/http_chars.h"

/* --- the request as text --- */

static void put_base64(struct gw_buf *b, struct gw_str s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < s.n; i += 3) {
		uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;

		v |= i + 1 < s.n ? (uint32_t)(unsigned char)s.p[i + 1] << 8 : 0;
		v |= i + 2 < s.n ? (uint32_t)(unsigned char)s.p[i + 2] : 0;
		gw_buf_putc(b, digits[v >> 18]);
		gw_buf_putc(b, digits[v >> 12 & 63]);
		gw_buf_putc(b, i + 1 < s.n ? digits[v >> 6 & 63] : '=');
		gw_buf_putc(b, i + 2 < s.n ? digits[v & 63] : '=');
	}
}

static void put_line(struct up_xfer *x, struct gw_str name, struct gw_str value)
{
	gw_buf_puts(&x->text, name);
	if (value.n > 0) {
		gw_buf_put(&x->text, ": ", 2);
		gw_buf_puts(&x->text, value);
	} else {
		gw_buf_putc(&x->text, ';'); /* so it spells a header without a value */
	}
	gw_buf_putc(&x->text, '\0');
	x->n_lines++;
}

/* Headers that libcurl would add by itself. */
static void put_absent(struct up_xfer *x, const char *name)
{
	gw_buf_puts(&x->text, gw_str_z(name));
	gw_buf_put(&x->text, ":", 2);
	x->n_lines++;
}

static enum gw_err put_headers(struct up_xfer *x, const struct gw_up_send *s)
{
	bool has_accept = false;

	put_line(x, GW_LIT("Accept-Encoding"), GW_LIT("identity"));
	for (uint32_t i = 0; i < s->n_headers; i++) {
		if (!up_header_may(&s->headers[i]))
			return GW_E_INVALID;
		has_accept |= gw_str_ieq(s->headers[i].name, GW_LIT("accept"));
		put_line(x, s->headers[i].name, s->headers[i].value);
	}
	if (!has_accept)
		put_absent(x, "Accept");
	put_absent(x, "Expect");
	return GW_OK;
}

enum gw_err up_curl_write_text(struct up_xfer *x, const struct gw_up_send *s)
{
	const struct gw_endpoint *ep = x->hub->ep;
	struct gw_buf *b = &x->text;
	uint64_t length;
	enum gw_err e;

	e = put_headers(x, s);
	x->url_at = (uint32_t)b->n;
	gw_buf_puts(b, ep->is_https ? GW_LIT("https://") : GW_LIT("http://"));
	gw_buf_put(b, ep->host_header, ep->host_header_n);
	gw_buf_puts(b, s->path);
	gw_buf_putc(b, '\0');
	x->method_at = (uint32_t)b->n;
	gw_buf_puts(b, s->method);
	gw_buf_putc(b, '\0');
	if (s->proxy_auth.n > 0) {
		x->proxy_at = (uint32_t)b->n;
		gw_buf_puts(b, GW_LIT("Proxy-Authorization: Basic "));
		put_base64(b, s->proxy_auth);
		gw_buf_putc(b, '\0');
	}
	x->is_fresh = s->must_be_fresh || s->is_streamed;
	x->is_head_only = gw_str_eq(s->method, GW_LIT("HEAD"));
	x->upload = up_has_length(s, &length) ? (int64_t)length : s->is_streamed ? -1 : -2;
	return e != GW_OK ? e : b->err;
}

/* The lines as the list that libcurl wants; nothing is written to the text any more, so it stays where it is. */
static struct curl_slist *list_of(struct up_xfer *x)
{
	struct curl_slist *nodes;
	char *p = x->text.p;

	gw_buf_clear(&x->nodes, SIZE_MAX);
	nodes = (struct curl_slist *)(void *)gw_buf_room(&x->nodes, x->n_lines * sizeof(*nodes));
	if (!nodes)
		return NULL;
	for (uint32_t i = 0; i < x->n_lines; i++) {
		nodes[i].data = p;
		nodes[i].next = i + 1 < x->n_lines ? &nodes[i + 1] : NULL;
		p += strlen(p) + 1;
	}
	return nodes;
}

/* --- options --- */

#define SET(option, value)                                                                                             \
	if (r == CURLE_OK)                                                                                             \
	r = lib->easy_setopt(x->easy, option, value)

enum gw_err up_curl_set(struct up_xfer *x)
{
	const struct gw_curl_lib *lib = gw_curl();
	struct curl_slist *lines = list_of(x);
	CURLcode r = lines ? CURLE_OK : CURLE_OUT_OF_MEMORY;

	x->proxy_nodes[0] = (struct curl_slist){ .data = (char *)(uintptr_t) "Proxy-Connection:" };
	if (x->proxy_at) {
		x->proxy_nodes[1] = (struct curl_slist){ .data = x->text.p + x->proxy_at };
		x->proxy_nodes[0].next = &x->proxy_nodes[1];
	}
	SET(CURLOPT_URL, x->text.p + x->url_at);
	SET(CURLOPT_HTTPHEADER, lines);
	SET(CURLOPT_PROXYHEADER, x->hub->ep->proxy_n ? x->proxy_nodes : NULL);
	SET(CURLOPT_RESOLVE, x->resolve_node.data ? &x->resolve_node : NULL);
	SET(CURLOPT_FRESH_CONNECT, (long)x->is_fresh);
	SET(CURLOPT_HTTPGET, 1L);
	SET(CURLOPT_NOBODY, (long)x->is_head_only);
	if (x->upload >= -1) {
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)x->upload);
	}
	SET(CURLOPT_CUSTOMREQUEST, x->text.p + x->method_at);
	return r == CURLE_OK ? GW_OK : GW_E_NOMEM;
}

static CURLcode set_callbacks(struct up_xfer *x)
{
	const struct gw_curl_lib *lib = gw_curl();
	CURLcode r = CURLE_OK;

	SET(CURLOPT_PRIVATE, x);
	SET(CURLOPT_HEADERFUNCTION, up_curl_on_header);
	SET(CURLOPT_HEADERDATA, x);
	SET(CURLOPT_WRITEFUNCTION, up_curl_on_body);
	SET(CURLOPT_WRITEDATA, x);
	SET(CURLOPT_READFUNCTION, up_curl_on_read);
	SET(CURLOPT_READDATA, x);
	SET(CURLOPT_SEEKFUNCTION, up_curl_on_seek);
	SET(CURLOPT_SEEKDATA, x);
	SET(CURLOPT_PREREQFUNCTION, up_curl_on_request);
	SET(CURLOPT_PREREQDATA, x);
	SET(CURLOPT_OPENSOCKETFUNCTION, up_curl_on_socket);
	SET(CURLOPT_OPENSOCKETDATA, x);
	SET(CURLOPT_CLOSESOCKETFUNCTION, up_curl_on_close);
	SET(CURLOPT_CLOSESOCKETDATA, x->hub);
	return r;
}

/* The provider's own certificates by memory; the system's by their file, because libcurl then reads them once per multi instead of once per
 * connection (140 certificates: 8 ms and 1 MiB each time). It is the one file that libcurl opens; the sandbox lets it be read. */
static CURLcode set_ca(struct up_xfer *x)
{
	const struct gw_curl_lib *lib = gw_curl();
	const struct gw_endpoint *ep = x->hub->ep;
	struct curl_blob pem = { ep->ca_pem, ep->ca_pem_n, CURL_BLOB_NOCOPY };
	const char *path = NULL;
	CURLcode r = CURLE_OK;

	for (int i = 0; gw_tls_bundles[i] && !path; i++)
		path = access(gw_tls_bundles[i], R_OK) == 0 ? gw_tls_bundles[i] : NULL;
	if (ep->ca_pem) {
		SET(CURLOPT_CAINFO_BLOB, &pem);
		SET(CURLOPT_PROXY_CAINFO_BLOB, &pem);
		path = NULL;
	}
	SET(CURLOPT_CAINFO, path); /* else a path of the build */
	SET(CURLOPT_PROXY_CAINFO, path);
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_PROXY_CAPATH, NULL);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	return r;
}

static CURLcode set_proxy(struct up_xfer *x)
{
	const struct gw_curl_lib *lib = gw_curl();
	const struct gw_endpoint *ep = x->hub->ep;
	CURLcode r = CURLE_OK;
	struct gw_buf b;

	gw_buf_init(&b, 512);
	if (ep->proxy_n > 0) {
		bool is_v6 = memchr(ep->proxy, ':', ep->proxy_n) != NULL;

		gw_buf_puts(&b, ep->proxy_is_https ? GW_LIT("https://") : GW_LIT("http://"));
		gw_buf_puts(&b, is_v6 ? GW_LIT("[") : GW_NIL);
		gw_buf_put(&b, ep->proxy, ep->proxy_n);
		gw_buf_puts(&b, is_v6 ? GW_LIT("]:") : GW_LIT(":"));
		gw_buf_put_u64(&b, ep->proxy_port);
	}
	gw_buf_putc(&b, '\0');
	if (b.err)
		r = CURLE_OUT_OF_MEMORY;
	SET(CURLOPT_PROXY, b.p); /* "": none, whatever the environment says */
	SET(CURLOPT_NOPROXY, "");
	SET(CURLOPT_HTTPPROXYTUNNEL, (long)ep->is_https);
	SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	gw_buf_done(&b);
	return r;
}

enum gw_err up_curl_options(struct up_xfer *x)
{
	const struct gw_curl_lib *lib = gw_curl();
	const struct gw_upstream *up = x->hub->ep->up;
	CURLcode r = set_callbacks(x);

	if (r == CURLE_OK)
		r = set_ca(x);
	if (r == CURLE_OK)
		r = set_proxy(x);
	SET(CURLOPT_SHARE, x->hub->share);
	SET(CURLOPT_HTTP_VERSION, (long)(x->hub->ep->wants_h2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
	SET(CURLOPT_PIPEWAIT, (long)x->hub->ep->wants_h2);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_MAXAGE_CONN, (long)(up->cfg.idle_ms / 1000));
	return r == CURLE_OK ? GW_OK : GW_E_NOMEM;
}
