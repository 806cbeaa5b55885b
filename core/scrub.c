/* Takes out of a provider's words what must not reach clients or records: secrets given, anything that looks like a token, URLs,
 * host:port, hosts of private networks and IP addresses, account ids (numbers of ten digits and more, and so ARNs that have one). Rather a
 * word too many than a key too few. */
#include "core/error_body.h"

#include "lib/arena.h"

static const struct gw_str gone = { "[removed]", 9 };
enum { MIN_SECRET = 4, RUN = 20, HEX_RUN = 32, ANY_RUN = 40, ACCOUNT_DIGITS = 10, STARS = 3 };

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}
static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}
static bool is_alnum(char c)
{
	return is_upper(c) || is_lower(c) || is_digit(c);
}
static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* What a word may consist of; all else separates words and is kept. */
static bool is_word(char c)
{
	return is_alnum(c) || memchr("-_./:+=*@%~#?&[]", c, 16) != NULL || (unsigned char)c >= 0x80;
}

/* "sk-abc", "Bearer"-less tokens of known makers, account ids: prefix and at least 6 further characters. */
static bool has_token_prefix(struct gw_str w)
{
	static const char *const prefixes[] = {
		"sk-",   "sk_",   "pk-",   "lgw_",   "gsk_", "xai-",     "hf_",         "pplx-",
		"AIza",  "AKIA",  "ASIA",  "AROA",   "AIDA", "ABSK",     "ya29.",       "AQ.",
		"eyJ",   "ghp_",  "xox",   "key-",   "api-", "org-",     "org_",        "proj_",
		"proj-", "acct_", "acct-", "ACCT",   "tok_", "r8_",      "nvapi-",      "csk-",
		"fw_",   "tgp_",  "jina_", "glpat-", "pa-",  "esecret_", "github_pat_", "bedrock-api-key-"
	};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		struct gw_str p = gw_str_z(prefixes[i]);
		bool has_mark = false;

		if (w.n < p.n + 6 || !gw_str_has_prefix(w, p))
			continue;
		for (size_t k = p.n; k < w.n; k++) /* "api-endpoint" is a word, "api-k3x9zz" is not */
			has_mark |= is_digit(w.p[k]) || is_upper(w.p[k]) || w.p[k] == '*';
		if (has_mark)
			return true;
	}
	return false;
}

/* Ids of requests and objects are told. */
static bool is_uuid(struct gw_str w)
{
	for (size_t i = 0; w.n == 36 && i < w.n; i++) {
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (is_dash ? w.p[i] != '-' : !is_hex(w.p[i]))
			return false;
	}
	return w.n == 36;
}

/* Base64 of a key's length, whatever its slashes and pluses divide it into. */
static bool is_base64(struct gw_str w)
{
	bool has_upper = false, has_lower = false, has_digit = false;

	for (size_t i = 0; i < w.n; i++) {
		if (!is_alnum(w.p[i]) && !memchr("+/=", w.p[i], 3))
			return false;
		has_upper |= is_upper(w.p[i]);
		has_lower |= is_lower(w.p[i]);
		has_digit |= is_digit(w.p[i]);
	}
	return w.n >= ANY_RUN && has_upper && has_lower && has_digit;
}

/* A run of letters and digits that no language has. Model names are made of shorter runs. */
static bool has_token_run(struct gw_str w)
{
	size_t n = 0, digits = 0, letters = 0, hex = 0, row = 0;

	for (size_t i = 0; i <= w.n; i++) {
		char c = i < w.n ? w.p[i] : ' ';

		if (is_alnum(c)) {
			n++;
			row = is_digit(c) ? row + 1 : 0;
			if (row >= ACCOUNT_DIGITS)
				return true; /* of an account or a project */
			digits += is_digit(c);
			letters += !is_digit(c);
			hex += is_hex(c);
			continue;
		}
		if ((n >= RUN && digits >= 2 && letters >= 2) || (n >= HEX_RUN && hex == n) || n >= ANY_RUN)
			return true;
		n = digits = letters = hex = row = 0;
	}
	return false;
}

/* "****aB3d": what is left of a key that its maker has hidden. */
static bool is_masked(struct gw_str w)
{
	size_t stars = 0, others = 0;

	for (size_t i = 0; i < w.n; i++) {
		stars += w.p[i] == '*';
		others += is_alnum(w.p[i]);
	}
	return stars >= STARS && others > 0;
}

static bool ends_with(struct gw_str s, const char *end)
{
	size_t n = strlen(end);

	return s.n >= n && gw_str_ieq(gw_str_skip(s, s.n - n), gw_str(end, n));
}

/* "api_key=x", "X-Amz-Signature=x" */
static bool is_assignment(struct gw_str w)
{
	static const char *const names[] = { "key", "token", "secret",    "password",  "passwd",
					     "pwd", "sig",   "signature", "credential" };
	size_t eq = gw_str_find(w, '=');

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && eq + MIN_SECRET < w.n; i++) {
		if (ends_with(gw_str(w.p, eq), names[i]))
			return true;
	}
	return false;
}

/* Names that only a private network knows; with or without a path or port. */
static bool is_private_host(struct gw_str w)
{
	static const char *const zones[] = { ".internal", ".local", ".localdomain", ".lan",   ".corp",
					     ".intranet", ".svc",   ".home.arpa",   ".consul" };
	size_t n = 0;

	while (n < w.n && (is_alnum(w.p[n]) || w.p[n] == '.' || w.p[n] == '-' || w.p[n] == '_'))
		n++;
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		if (n > strlen(zones[i]) && ends_with(gw_str(w.p, n), zones[i]))
			return true;
	}
	return false;
}

/* Four numbers with dots, anywhere in the word ("10.0.0.1:8080", "host=10.0.0.1"). */
static bool has_ipv4(struct gw_str w)
{
	unsigned parts = 0, digits = 0;

	for (size_t i = 0; i <= w.n; i++) {
		char c = i < w.n ? w.p[i] : ' ';

		if (is_digit(c)) {
			digits++;
			continue;
		}
		if (digits >= 1 && digits <= 3)
			parts++;
		else
			parts = 0;
		if (parts >= 4)
			return true;
		if (c != '.')
			parts = 0;
		digits = 0;
	}
	return false;
}

/* Hex groups with at least two colons; "::" is enough. Times like 12:30:01 go too, nobody misses them. */
static bool has_ipv6(struct gw_str w)
{
	size_t colons = 0, others = 0;

	for (size_t i = 0; i < w.n; i++) {
		if (w.p[i] == ':')
			colons++;
		else if (!is_hex(w.p[i]) && !memchr("[].%", w.p[i], 4))
			others++;
	}
	return colons >= 2 && others == 0;
}

/* "api.internal:8443", "localhost:11434" */
static bool is_host_port(struct gw_str w)
{
	size_t colon = gw_str_find(w, ':'), digits = 0, letters = 0;

	if (colon == w.n || colon < 2)
		return false;
	for (size_t i = 0; i < colon; i++) {
		if (!is_alnum(w.p[i]) && w.p[i] != '.' && w.p[i] != '-')
			return false;
		letters += !is_digit(w.p[i]);
	}
	while (colon + 1 + digits < w.n && is_digit(w.p[colon + 1 + digits]))
		digits++;
	return letters && digits >= 2 && digits <= 5 && (colon + 1 + digits == w.n || w.p[colon + 1 + digits] == '/');
}

static bool has_url(struct gw_str w)
{
	return w.n >= 3 && (memmem(w.p, w.n, "://", 3) || gw_str_has_prefix(w, GW_LIT("www.")));
}

/* An address with '@' is a person's or an account's. */
static bool has_mail(struct gw_str w)
{
	size_t at = gw_str_find(w, '@');

	return at > 0 && at + 1 < w.n;
}

static bool must_go(struct gw_str w)
{
	return has_url(w) || has_token_prefix(w) || (has_token_run(w) && !is_uuid(w)) || is_base64(w) || is_masked(w) ||
	       is_assignment(w) || has_ipv4(w) || has_ipv6(w) || is_host_port(w) || is_private_host(w) || has_mail(w);
}

/* Position of a secret in the text, and its length. */
static size_t find_secret(struct gw_str text, const struct gw_str *secrets, uint32_t n, size_t *len)
{
	size_t best = text.n;

	*len = 0;
	for (uint32_t i = 0; i < n; i++) {
		const char *at =
		    secrets[i].n >= MIN_SECRET && text.n ? memmem(text.p, text.n, secrets[i].p, secrets[i].n) : NULL;

		if (at && ((size_t)(at - text.p) < best || ((size_t)(at - text.p) == best && secrets[i].n > *len))) {
			best = (size_t)(at - text.p);
			*len = secrets[i].n;
		}
	}
	return best;
}

struct out {
	char *p;
	size_t n, max;
};

static void put(struct out *o, struct gw_str s)
{
	size_t n = s.n < o->max - o->n ? s.n : o->max - o->n;

	if (n)
		memcpy(o->p + o->n, s.p, n);
	o->n += n;
}

/* The text without the secrets in it; each leaves a mark, so that what stood around it cannot join. */
static void put_without_secrets(struct out *o, struct gw_str text, const struct gw_str *secrets, uint32_t n)
{
	while (text.n) {
		size_t len, at = find_secret(text, secrets, n, &len);

		put(o, gw_str(text.p, at));
		if (len)
			put(o, gone);
		text = gw_str_skip(text, at + len);
	}
}

/* Trailing punctuation is the sentence's, not the word's. */
static size_t word_length(struct gw_str s)
{
	size_t n = 0;

	while (n < s.n && is_word(s.p[n]))
		n++;
	while (n > 0 && memchr(".:?", s.p[n - 1], 3))
		n--;
	return n;
}

static void put_without_words(struct out *o, struct gw_str text)
{
	while (text.n) {
		size_t n;
		struct gw_str w;

		if (gw_str_has_prefix(text, gone)) {
			put(o, gone);
			text = gw_str_skip(text, gone.n);
			continue;
		}
		n = word_length(text);
		if (n == 0) {
			char c = text.p[0];
			char space = (unsigned char)c < 0x20 || c == 0x7f ? ' ' : c;

			put(o, gw_str(&space, 1));
			text = gw_str_skip(text, 1);
			continue;
		}
		w = gw_str(text.p, n);
		put(o, must_go(w) ? gone : w);
		text = gw_str_skip(text, n);
	}
}

/* "Bearer x": the word behind is a secret whatever it looks like. */
static void blank_after_bearer(char *p, size_t n)
{
	for (size_t i = 0; i + 7 < n; i++) {
		if (!gw_str_ieq(gw_str(p + i, 7), GW_LIT("bearer ")))
			continue;
		for (size_t k = i + 7; k < n && is_word(p[k]); k++)
			p[k] = '*';
	}
}

struct gw_str gw_scrub(struct gw_arena *a, struct gw_str text, const struct gw_str *secrets, uint32_t n_secrets)
{
	/* A mark is at most twice as long as the shortest secret or word that it stands for. */
	size_t max = text.n <= SIZE_MAX / 16 ? text.n * 3 + gone.n : 0;
	struct out first = { gw_alloc_bytes(a, max), 0, max }, second = { gw_alloc_bytes(a, max * 2), 0, max * 2 };

	if (max == 0 || !first.p || !second.p)
		return GW_NIL;
	put_without_secrets(&first, text, secrets, n_secrets);
	blank_after_bearer(first.p, first.n);
	put_without_words(&second, gw_str(first.p, first.n));
	return gw_str(second.p, second.n);
}
