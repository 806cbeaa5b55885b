/* Why libcurl gave up, in the gateway's rows. The words are ours: libcurl's name hosts and addresses. */
#include "net/curl_int.h"

struct row {
	CURLcode code;
	enum gw_err before, after; /* the head; GW_OK: by how the connection came about */
	const char *words;
};

static const struct row rows[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, GW_E_UP_RESOLVE, GW_E_UP_CUT, "the name could not be resolved" },
	{ CURLE_COULDNT_RESOLVE_PROXY, GW_E_UP_RESOLVE, GW_E_UP_CUT, "the proxy's name could not be resolved" },
	{ CURLE_OPERATION_TIMEDOUT, GW_E_UP_CONNECT, GW_E_UP_CUT, "the connection was not made in time" },
	{ CURLE_SSL_CONNECT_ERROR, GW_E_UP_TLS, GW_E_UP_CUT, "the TLS handshake failed" },
	{ CURLE_SSL_CIPHER, GW_E_UP_TLS, GW_E_UP_CUT, "no common TLS cipher" },
	{ CURLE_SSL_CERTPROBLEM, GW_E_UP_TLS, GW_E_UP_CUT, "the certificate cannot be used" },
	{ CURLE_SSL_ISSUER_ERROR, GW_E_UP_TLS, GW_E_UP_CUT, "the certificate's issuer is not the right one" },
	{ CURLE_SSL_CACERT_BADFILE, GW_E_UP_TLS, GW_E_UP_CUT,
	  "there are no usable CA certificates: install ca-certificates, or correct the provider's ca_pem" },
	{ CURLE_HTTP2, GW_OK, GW_E_UP_CUT, "HTTP/2 was broken off" },
	{ CURLE_HTTP2_STREAM, GW_OK, GW_E_UP_CUT, "the provider reset the stream" },
	{ CURLE_GOT_NOTHING, GW_OK, GW_E_UP_CUT, "closed before an answer" },
	{ CURLE_RECV_ERROR, GW_OK, GW_E_UP_CUT, "closed before an answer" },
	{ CURLE_SEND_ERROR, GW_OK, GW_E_UP_CUT, "closed before the request was sent" },
	{ CURLE_PARTIAL_FILE, GW_OK, GW_E_UP_CUT, "closed in the middle of the answer" },
	{ CURLE_SEND_FAIL_REWIND, GW_E_UP_STALE, GW_E_UP_CUT, "closed as it was reused" },
	{ CURLE_WEIRD_SERVER_REPLY, GW_E_UP_GARBLED, GW_E_UP_GARBLED, "not a valid HTTP answer" },
	{ CURLE_UNSUPPORTED_PROTOCOL, GW_E_UP_GARBLED, GW_E_UP_GARBLED, "not a valid HTTP answer" },
	{ CURLE_BAD_CONTENT_ENCODING, GW_E_UP_GARBLED, GW_E_UP_GARBLED, "an encoding nobody asked for" },
	{ CURLE_FILESIZE_EXCEEDED, GW_E_UP_TOO_BIG, GW_E_UP_TOO_BIG, "the answer is too large" },
	{ (CURLcode)100 /* TOO_LARGE, since 8.6 */, GW_E_UP_TOO_BIG, GW_E_UP_TOO_BIG, "the head is too large" },
	{ CURLE_PROXY, GW_E_UP_PROXY, GW_E_UP_CUT, "the proxy could not be spoken with" },
};

/* The numbers of OpenSSL's X509_V_ERR_*. */
static const char *certificate_words(const struct up_xfer *x)
{
	long why = 0, proxy_why = 0;

	(void)gw_curl()->easy_getinfo(x->easy, CURLINFO_SSL_VERIFYRESULT, &why);
	(void)gw_curl()->easy_getinfo(x->easy, CURLINFO_PROXY_SSL_VERIFYRESULT, &proxy_why);
	switch (why ? why : proxy_why) {
	case 0:
		return "the certificate is for another name";
	case 9:
		return "the certificate is not valid yet";
	case 10:
		return "the certificate has expired";
	case 2:
	case 18:
	case 19:
	case 20:
	case 21:
		return "the certificate's authority is not trusted";
	default:
		return "the certificate could not be verified";
	}
}

/* What the proxy answered to CONNECT; 0: nothing, or yes. */
static long proxy_status(const struct up_xfer *x)
{
	long status = 0;

	if (!x->hub->ep->proxy_n || !x->hub->ep->is_https || x->is_connected)
		return 0;
	(void)gw_curl()->easy_getinfo(x->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	return status >= 200 && status < 300 ? 0 : status;
}

static enum gw_err proxy_error(const struct up_xfer *x, long status, const char **detail)
{
	switch (status) {
	case 407:
		*detail = x->proxy_at ? "the proxy refuses the provider's proxy_credential (407)"
				      : "the proxy wants a credential (407): give the provider a proxy_credential";
		return GW_E_UP_PROXY;
	case 403:
		*detail = "the proxy does not allow connections to this host (403)";
		return GW_E_UP_PROXY;
	case 502:
	case 503:
	case 504:
		*detail = "the proxy cannot reach the provider";
		return GW_E_UP_PROXY;
	default:
		*detail = "the proxy refused the connection";
		return GW_E_UP_PROXY;
	}
}

static enum gw_err connect_error(const struct up_xfer *x, const char **detail)
{
	if (x->was_denied && x->n_sockets == 0) {
		*detail = "every address is in a range that is not allowed";
		return GW_E_UP_DENIED;
	}
	*detail = x->hub->ep->proxy_n ? "the proxy could not be connected to" : "no address could be connected to";
	return GW_E_UP_REFUSED;
}

static enum gw_err by_row(const struct up_xfer *x, const struct row *r, const char **detail)
{
	enum gw_err e = x->has_head ? r->after : r->before;

	*detail = x->has_head && e == GW_E_UP_CUT && r->code != CURLE_HTTP2_STREAM
		      ? "closed in the middle of the answer"
		      : r->words;
	if (e != GW_OK)
		return e;
	if (!x->is_connected) { /* while the tunnel or TLS was made */
		*detail = x->hub->ep->proxy_n ? "closed by the proxy, or during the TLS handshake"
					      : "closed during the TLS handshake";
		return x->hub->ep->is_https ? GW_E_UP_TLS : GW_E_UP_RESET;
	}
	if (x->n_sockets == 0 && r->code != CURLE_HTTP2_STREAM) {
		*detail = "closed as it was reused";
		return GW_E_UP_STALE;
	}
	return GW_E_UP_RESET;
}

enum gw_err up_curl_error(const struct up_xfer *x, CURLcode code, const char **detail)
{
	long status;

	if (x->err != GW_OK) {
		*detail = x->why;
		return x->err;
	}
	if (code == CURLE_OK) {
		*detail = x->has_head ? "" : "closed before an answer";
		return x->has_head ? GW_OK : GW_E_UP_RESET;
	}
	status = proxy_status(x);
	if (status > 0)
		return proxy_error(x, status, detail);
	if (code == CURLE_COULDNT_CONNECT)
		return connect_error(x, detail);
	if (code == CURLE_OUT_OF_MEMORY) { /* also said of a line of the head that never ends */
		bool is_head = x->is_connected && !x->has_head;

		*detail = is_head ? "the head is too large" : "no memory for the request";
		return is_head ? GW_E_UP_TOO_BIG : GW_E_NOMEM;
	}
	if (code == CURLE_PEER_FAILED_VERIFICATION) {
		*detail = certificate_words(x);
		return GW_E_UP_TLS;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].code == code)
			return by_row(x, &rows[i], detail);
	*detail = x->has_head ? "the answer broke off" : "the request could not be made";
	return x->has_head ? GW_E_UP_CUT : GW_E_UP_RESET;
}
