/* AWS Signature Version 4 (lib/sigv4.h). The canonical request is never put together: its bytes go into the hash as they are made. */
#include "lib/sigv4.h"

#include "lib/crypto.h"

enum { HASH = 32, HEX = 64, SEGMENTS = 128 };

/* Where canonical bytes go: a hash, and a buffer where a test wants to see them. */
struct sink {
	struct gw_sha256_ctx hash;
	struct gw_buf *show;
};

static void put(struct sink *k, struct gw_str s)
{
	if (s.n == 0)
		return;
	gw_sha256_add(&k->hash, s.p, s.n);
	if (k->show)
		gw_buf_puts(k->show, s);
}

static void hex(const uint8_t *p, size_t n, char *to)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		to[2 * i] = digits[p[i] >> 4];
		to[2 * i + 1] = digits[p[i] & 15];
	}
}

static void sink_end(struct sink *k, char out[HEX])
{
	uint8_t hash[HASH];

	gw_sha256_end(&k->hash, hash);
	hex(hash, HASH, out);
}

static bool is_plain(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	       c == '_' || c == '~';
}

/* ---- path ---- */

static void put_encoded(struct sink *k, struct gw_str s)
{
	static const char digits[] = "0123456789ABCDEF";

	while (s.n) {
		size_t n = 0;

		while (n < s.n && (is_plain(s.p[n]) || s.p[n] == '/'))
			n++;
		put(k, gw_str(s.p, n));
		s = gw_str_skip(s, n);
		if (s.n) {
			char three[3] = { '%', digits[(uint8_t)*s.p >> 4], digits[(uint8_t)*s.p & 15] };

			put(k, gw_str(three, 3));
			s = gw_str_skip(s, 1);
		}
	}
}

/* Segments without "", "." and what ".." takes back. */
static enum gw_err put_path(struct sink *k, struct gw_str path, bool is_raw)
{
	struct gw_str seg[SEGMENTS], rest = path, head, tail;
	size_t n = 0;

	if (path.n == 0 || is_raw) {
		put_encoded(k, path.n ? path : GW_LIT("/"));
		return GW_OK;
	}
	do {
		bool is_last = !gw_str_cut(rest, '/', &head, &tail);

		if (gw_str_eq(head, GW_LIT(".."))) {
			n -= n > 0;
		} else if (head.n && !gw_str_eq(head, GW_LIT("."))) {
			if (n == SEGMENTS)
				return GW_E_TOO_BIG;
			seg[n++] = head;
		}
		rest = is_last ? GW_NIL : tail;
	} while (rest.p);
	for (size_t i = 0; i < n; i++) {
		put(k, GW_LIT("/"));
		put_encoded(k, seg[i]);
	}
	if (n == 0 || path.p[path.n - 1] == '/')
		put(k, GW_LIT("/"));
	return GW_OK;
}

/* ---- query ---- */

struct param {
	struct gw_str name, value; /* as sent */
};

/* Next byte of the canonical form of text that may be encoded in part: escapes stay, all else that is not plain becomes one. at counts
 * source bytes, sub the digits of an escape under way. -1 = end. */
struct reader {
	struct gw_str s;
	size_t at, sub;
};

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}

static int next_byte(struct reader *r)
{
	static const char digits[] = "0123456789ABCDEF";
	char c;

	if (r->at >= r->s.n)
		return -1;
	c = r->s.p[r->at];
	if (r->sub == 0 && (is_plain(c) || (c == '%' && r->at + 2 < r->s.n && is_hex(r->s.p[r->at + 1]) &&
					    is_hex(r->s.p[r->at + 2])))) {
		r->at++;
		return (uint8_t)c;
	}
	switch (r->sub++) {
	case 0:
		return '%';
	case 1:
		return digits[(uint8_t)c >> 4];
	default:
		r->sub = 0;
		r->at++;
		return digits[(uint8_t)c & 15];
	}
}

static int compare(struct gw_str a, struct gw_str b)
{
	struct reader x = { .s = a }, y = { .s = b };

	for (;;) {
		int i = next_byte(&x), j = next_byte(&y);

		if (i != j)
			return i < j ? -1 : 1;
		if (i < 0)
			return 0;
	}
}

static void put_part(struct sink *k, struct gw_str s)
{
	struct reader r = { .s = s };
	int c;

	while ((c = next_byte(&r)) >= 0) {
		char one = (char)c;

		put(k, gw_str(&one, 1));
	}
}

static enum gw_err put_query(struct sink *k, struct gw_str query)
{
	struct param v[GW_SIGV4_PARAMS];
	struct gw_str rest = query, one;
	size_t n = 0;

	while (rest.n) {
		struct param p;
		size_t at;

		gw_str_cut(rest, '&', &one, &rest);
		if (one.n == 0)
			continue;
		if (n == GW_SIGV4_PARAMS)
			return GW_E_TOO_BIG;
		if (!gw_str_cut(one, '=', &p.name, &p.value))
			p.value = GW_LIT("");
		for (at = n++; at > 0; at--) { /* few: insertion */
			int order = compare(p.name, v[at - 1].name);

			if (order > 0 || (order == 0 && compare(p.value, v[at - 1].value) >= 0))
				break;
			v[at] = v[at - 1];
		}
		v[at] = p;
	}
	for (size_t i = 0; i < n; i++) {
		put(k, i ? GW_LIT("&") : GW_LIT(""));
		put_part(k, v[i].name);
		put(k, GW_LIT("="));
		put_part(k, v[i].value);
	}
	return GW_OK;
}

/* ---- headers ---- */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static int compare_names(struct gw_str a, struct gw_str b)
{
	for (size_t i = 0; i < a.n && i < b.n; i++) {
		if (lower(a.p[i]) != lower(b.p[i]))
			return (uint8_t)lower(a.p[i]) < (uint8_t)lower(b.p[i]) ? -1 : 1;
	}
	return a.n < b.n ? -1 : a.n > b.n;
}

/* Proxies add, drop or rewrite these. */
static bool is_unsigned(struct gw_str name)
{
	static const char *const never[] = { "connection", "expect",          "keep-alive",    "proxy-authenticate",
					     "te",         "trailer",         "upgrade",       "proxy-authorization",
					     "user-agent", "x-amzn-trace-id", "authorization", "transfer-encoding" };

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		if (gw_str_ieq(name, gw_str_z(never[i])))
			return true;
	}
	return false;
}

struct signed_headers {
	struct gw_sigv4_header v[GW_SIGV4_HEADERS]; /* by name; the same name in the order given */
	size_t n;
};

static bool add_header(struct signed_headers *h, struct gw_sigv4_header add)
{
	size_t at;

	if (is_unsigned(add.name))
		return true;
	if (h->n == GW_SIGV4_HEADERS)
		return false;
	for (at = h->n++; at > 0 && compare_names(add.name, h->v[at - 1].name) < 0; at--)
		h->v[at] = h->v[at - 1];
	h->v[at] = add;
	return true;
}

static void put_lower(struct sink *k, struct gw_str s)
{
	char part[64];

	while (s.n) {
		size_t n = s.n < sizeof(part) ? s.n : sizeof(part);

		for (size_t i = 0; i < n; i++)
			part[i] = lower(s.p[i]);
		put(k, gw_str(part, n));
		s = gw_str_skip(s, n);
	}
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Without blanks around, one space for each run of them inside. */
static void put_value(struct sink *k, struct gw_str s)
{
	while (s.n && is_blank(s.p[0]))
		s = gw_str_skip(s, 1);
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	while (s.n) {
		size_t n = 0;

		while (n < s.n && !is_blank(s.p[n]))
			n++;
		put(k, gw_str(s.p, n));
		s = gw_str_skip(s, n);
		if (s.n)
			put(k, GW_LIT(" "));
		while (s.n && is_blank(s.p[0]))
			s = gw_str_skip(s, 1);
	}
}

static bool is_repeated(const struct signed_headers *h, size_t i)
{
	return i > 0 && compare_names(h->v[i].name, h->v[i - 1].name) == 0;
}

static void put_headers(struct sink *k, const struct signed_headers *h)
{
	for (size_t i = 0; i < h->n; i++) {
		if (is_repeated(h, i)) {
			put(k, GW_LIT(","));
		} else {
			if (i)
				put(k, GW_LIT("\n"));
			put_lower(k, h->v[i].name);
			put(k, GW_LIT(":"));
		}
		put_value(k, h->v[i].value);
	}
	put(k, GW_LIT("\n"));
}

/* ---- time, key, result ---- */

/* YYYYMMDDTHHMMSSZ (proleptic Gregorian, days counted from 0000-03-01). */
static bool put_date(int64_t now_us, char to[GW_SIGV4_DATE])
{
	int64_t s = now_us / 1000000, days = s / 86400, day_s = s % 86400, z = days + 719468, era = z / 146097,
		doe = z % 146097, yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365,
		doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153,
		month = mp < 10 ? mp + 3 : mp - 9, year = yoe + era * 400 + (month <= 2);
	const int64_t v[] = { year / 100, year % 100, month, doy - (153 * mp + 2) / 5 + 1 };
	const int64_t t[] = { day_s / 3600, day_s / 60 % 60, day_s % 60 };

	if (now_us < 0 || year > 9999)
		return false;
	for (int i = 0; i < 4; i++) {
		to[2 * i] = (char)('0' + v[i] / 10);
		to[2 * i + 1] = (char)('0' + v[i] % 10);
	}
	to[8] = 'T';
	for (int i = 0; i < 3; i++) {
		to[9 + 2 * i] = (char)('0' + t[i] / 10);
		to[10 + 2 * i] = (char)('0' + t[i] % 10);
	}
	to[15] = 'Z';
	return true;
}

struct out {
	char *p;
	size_t n, max;
	bool is_full;
};

static void add(struct out *o, struct gw_str s)
{
	if (s.n > o->max - o->n) {
		o->is_full = true;
		return;
	}
	if (s.n)
		memcpy(o->p + o->n, s.p, s.n);
	o->n += s.n;
}

static void add_scope(struct out *o, const struct gw_sigv4 *s, const char *date)
{
	add(o, gw_str(date, 8));
	add(o, GW_LIT("/"));
	add(o, s->region);
	add(o, GW_LIT("/"));
	add(o, s->service);
	add(o, GW_LIT("/aws4_request"));
}

static void add_names(struct out *o, const struct signed_headers *h)
{
	for (size_t i = 0; i < h->n; i++) {
		if (is_repeated(h, i))
			continue;
		if (i)
			add(o, GW_LIT(";"));
		size_t from = o->n;

		add(o, h->v[i].name);
		for (size_t at = from; at < o->n; at++)
			o->p[at] = lower(o->p[at]);
	}
}

static bool signing_key(const struct gw_sigv4 *s, const char *date, uint8_t key[HASH])
{
	char first[4 + 512] = "AWS4";

	if (s->secret_key.n > sizeof(first) - 4)
		return false;
	if (s->secret_key.n)
		memcpy(first + 4, s->secret_key.p, s->secret_key.n);
	gw_hmac_sha256(gw_str(first, 4 + s->secret_key.n), gw_str(date, 8), key);
	gw_wipe(first, sizeof(first));
	gw_hmac_sha256(gw_str((const char *)key, HASH), s->region, key);
	gw_hmac_sha256(gw_str((const char *)key, HASH), s->service, key);
	gw_hmac_sha256(gw_str((const char *)key, HASH), GW_LIT("aws4_request"), key);
	return true;
}

static enum gw_err hash_request(const struct gw_sigv4 *s, const struct signed_headers *h, char out[HEX])
{
	char names[GW_SIGV4_AUTH_MAX];
	struct out list = { .p = names, .max = sizeof(names) };
	struct sink k = { .show = s->show_request };
	enum gw_err e;

	gw_sha256_start(&k.hash);
	put(&k, s->method);
	put(&k, GW_LIT("\n"));
	e = put_path(&k, s->path, s->is_raw_path);
	put(&k, GW_LIT("\n"));
	if (!e)
		e = put_query(&k, s->query);
	put(&k, GW_LIT("\n"));
	put_headers(&k, h);
	put(&k, GW_LIT("\n"));
	add_names(&list, h);
	put(&k, gw_str(names, list.n));
	put(&k, GW_LIT("\n"));
	put(&k, s->body_hash);
	sink_end(&k, out);
	return e ? e : list.is_full ? GW_E_TOO_BIG : GW_OK;
}

enum gw_err gw_sigv4_sign(const struct gw_sigv4 *s, char date[GW_SIGV4_DATE], char out[GW_SIGV4_AUTH_MAX], size_t *n)
{
	char text[1024], request[HEX], sig[HEX];
	struct out t = { .p = text, .max = sizeof(text) }, o = { .p = out, .max = GW_SIGV4_AUTH_MAX };
	struct signed_headers h = { .n = 0 };
	uint8_t key[HASH], mac[HASH];
	enum gw_err e;

	if (!put_date(s->now_us, date))
		return GW_E_INVALID;
	for (uint32_t i = 0; i < s->n_headers; i++) {
		if (!add_header(&h, s->headers[i]))
			return GW_E_TOO_BIG;
	}
	if (!add_header(&h, (struct gw_sigv4_header){ GW_LIT("x-amz-date"), gw_str(date, GW_SIGV4_DATE) }))
		return GW_E_TOO_BIG;
	e = hash_request(s, &h, request);
	if (e)
		return e;
	add(&t, GW_LIT("AWS4-HMAC-SHA256\n"));
	add(&t, gw_str(date, GW_SIGV4_DATE));
	add(&t, GW_LIT("\n"));
	add_scope(&t, s, date);
	add(&t, GW_LIT("\n"));
	add(&t, gw_str(request, HEX));
	if (s->show_text)
		gw_buf_put(s->show_text, text, t.n);
	if (t.is_full || !signing_key(s, date, key))
		return GW_E_TOO_BIG;
	gw_hmac_sha256(gw_str((const char *)key, HASH), gw_str(text, t.n), mac);
	gw_wipe(key, sizeof(key));
	hex(mac, HASH, sig);
	add(&o, GW_LIT("AWS4-HMAC-SHA256 Credential="));
	add(&o, s->access_key);
	add(&o, GW_LIT("/"));
	add_scope(&o, s, date);
	add(&o, GW_LIT(", SignedHeaders="));
	add_names(&o, &h);
	add(&o, GW_LIT(", Signature="));
	add(&o, gw_str(sig, HEX));
	*n = o.n;
	return o.is_full ? GW_E_TOO_BIG : GW_OK;
}

void gw_sigv4_hash(const struct gw_str *pieces, size_t n, char out[64])
{
	struct sink k = { 0 };

	gw_sha256_start(&k.hash);
	for (size_t i = 0; i < n; i++)
		gw_sha256_add(&k.hash, pieces[i].p, pieces[i].n);
	sink_end(&k, out);
}
