/* What a request gets so that the provider knows whose it is (core/auth.h). */
#include "core/auth.h"

#include "core/cred.h"
#include "lib/sigv4.h"

struct room {
	char *p;
	size_t n;
	bool is_full;
};

/* Text that follows what was put before; take gives all since `from`. */
static void put(struct room *r, struct gw_str s)
{
	if (s.n > GW_AUTH_ROOM - r->n) {
		r->is_full = true;
		return;
	}
	if (s.n)
		memcpy(r->p + r->n, s.p, s.n);
	r->n += s.n;
}

static void put_encoded(struct room *r, struct gw_str s)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i], three[3] = { '%', digits[(uint8_t)c >> 4], digits[(uint8_t)c & 15] };
		bool is_plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
				c == '-' || c == '.' || c == '_' || c == '~';

		put(r, is_plain ? gw_str(&c, 1) : gw_str(three, 3));
	}
}

static struct gw_str since(const struct room *r, size_t from)
{
	return gw_str(r->p + from, r->n - from);
}

static void add_header(struct gw_auth_add *out, struct gw_str name, struct gw_str value)
{
	out->v[out->n++] = (struct gw_auth_header){ name, value };
}

static void add_query(struct room *r, struct gw_str path, struct gw_str name, struct gw_str secret,
		      struct gw_auth_add *out)
{
	put(r, path);
	put(r, gw_str_find(path, '?') == path.n ? GW_LIT("?") : GW_LIT("&"));
	put_encoded(r, name);
	put(r, GW_LIT("="));
	put_encoded(r, secret);
	out->path = since(r, 0);
}

/* ---- signatures ---- */

/* Host as net/ writes it: with a port that is not the scheme's own, IPv6 literals in brackets. */
static struct gw_str put_host(struct room *r, const struct gw_candidate *c)
{
	bool is_v6 = gw_str_find(c->host, ':') < c->host.n;
	size_t from = r->n;

	put(r, is_v6 ? GW_LIT("[") : GW_LIT(""));
	put(r, c->host);
	put(r, is_v6 ? GW_LIT("]") : GW_LIT(""));
	if (c->port != (c->is_https ? 443 : 80)) {
		char digits[6];
		size_t at = sizeof(digits);

		for (unsigned v = c->port; v || at == sizeof(digits); v /= 10)
			digits[--at] = (char)('0' + v % 10);
		digits[--at] = ':';
		put(r, gw_str(digits + at, sizeof(digits) - at));
	}
	return since(r, from);
}

static bool is_covered(struct gw_str name)
{
	static const struct gw_str content_type = { "content-type", 12 };

	return gw_str_ieq(name, content_type) || (name.n > 5 && gw_str_ieq(gw_str(name.p, 6), GW_LIT("x-amz-"))) ||
	       (name.n > 6 && gw_str_ieq(gw_str(name.p, 7), GW_LIT("x-amzn-")));
}

static enum gw_err sign(const struct gw_candidate *c, struct gw_str secret, const struct gw_auth_request *rq,
			struct room *r, struct gw_auth_add *out)
{
	struct gw_sigv4_header h[GW_AUTH_SIGNED + 2];
	struct gw_aws_keys keys;
	char hash[64];
	size_t n = 0;
	enum gw_err e;

	if (!gw_aws_keys_read(secret, &keys) || c->sign_region.n == 0)
		return GW_E_CRED_MISSING;
	struct gw_sigv4 s = { .access_key = keys.access_key,
			      .secret_key = keys.secret_key,
			      .region = c->sign_region,
			      .service = gw_str_z(gw_providers[c->provider_type].scope),
			      .now_us = rq->now_us,
			      .method = rq->method,
			      .headers = h,
			      .body_hash = rq->is_streamed ? GW_LIT("UNSIGNED-PAYLOAD") : gw_str(hash, sizeof(hash)) };

	if (!gw_str_cut(rq->path, '?', &s.path, &s.query))
		s.query = GW_LIT("");
	h[s.n_headers++] = (struct gw_sigv4_header){ GW_LIT("host"), put_host(r, c) };
	if (keys.session_token.n) {
		size_t from = r->n;

		put(r, keys.session_token);
		add_header(out, GW_LIT("x-amz-security-token"), since(r, from));
		h[s.n_headers++] = (struct gw_sigv4_header){ out->v[0].name, out->v[0].value };
	}
	for (uint32_t i = 0; i < rq->n_headers; i++) {
		if (!is_covered(rq->headers[i].name))
			continue;
		if (s.n_headers == sizeof(h) / sizeof(h[0]))
			return GW_E_TOO_BIG;
		h[s.n_headers++] = (struct gw_sigv4_header){ rq->headers[i].name, rq->headers[i].value };
	}
	if (!rq->is_streamed)
		gw_sigv4_hash(rq->body, rq->n_body, hash);
	out->room_n = r->n;
	if (r->is_full || GW_AUTH_ROOM - r->n < GW_SIGV4_DATE + GW_SIGV4_AUTH_MAX)
		return GW_E_TOO_BIG;
	char *date = r->p + r->n, *value = date + GW_SIGV4_DATE;
	e = gw_sigv4_sign(&s, date, value, &n);
	out->room_n = r->n + GW_SIGV4_DATE + n;
	add_header(out, GW_LIT("x-amz-date"), gw_str(date, GW_SIGV4_DATE));
	add_header(out, GW_LIT("authorization"), gw_str(value, n));
	return e;
}

enum gw_err gw_auth_make(const struct gw_candidate *c, struct gw_str secret, const struct gw_auth_request *rq,
			 char *room, struct gw_auth_add *out)
{
	struct room r = { .p = room };

	*out = (struct gw_auth_add){ .path = rq->path };
	if (secret.n == 0)
		return GW_OK;
	switch (c->auth) {
	case GW_AUTH_NONE:
		return GW_OK;
	case GW_AUTH_SIGV4:
		return sign(c, secret, rq, &r, out);
	case GW_AUTH_QUERY_KEY:
		add_query(&r, rq->path, GW_LIT("key"), secret, out);
		break;
	case GW_AUTH_QUERY:
		add_query(&r, rq->path, c->auth_name, secret, out);
		break;
	case GW_AUTH_BEARER:
	case GW_AUTH_X_API_KEY:
	case GW_AUTH_API_KEY:
	case GW_AUTH_X_GOOG_API_KEY:
	case GW_AUTH_HEADER:
		put(&r, gw_auth_header_prefix(c->auth));
		put(&r, secret);
		add_header(out, c->auth == GW_AUTH_HEADER ? c->auth_name : gw_auth_header_name(c->auth), since(&r, 0));
		break;
	}
	out->room_n = r.n;
	return r.is_full ? GW_E_TOO_BIG : GW_OK;
}

uint32_t gw_auth_secret_parts(enum gw_auth_kind kind, struct gw_str secret, struct gw_str parts[GW_AUTH_PARTS])
{
	struct gw_aws_keys keys;

	if (secret.n == 0)
		return 0;
	parts[0] = secret;
	if (kind != GW_AUTH_SIGV4 || !gw_aws_keys_read(secret, &keys))
		return 1;
	parts[0] = keys.secret_key;
	parts[1] = keys.session_token;
	return keys.session_token.n ? 2 : 1;
}
