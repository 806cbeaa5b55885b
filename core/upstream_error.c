/* A provider's error reply to a row of errors.def (what which code means: schemas/upstream_errors.def), in the order that avoids false
 * matches: the HTTP status gives the class, a
 * structured code refines it, and only for a few statuses the words of the message do (providers echo prompts in messages, so
 * that "rate limit" in the text of a 400 says nothing). Bodies are hostile; what is kept of them is scrubbed and short. */
#include "core/error_body.h"
#include "core/error_parts.h"

#include "lib/arena.h"

enum { MAX_LOOK = 8192, MAX_MESSAGE = 300, MAX_CODE = 64, DAY_QUOTA_MS = 3600000 };

static enum gw_err by_status(int status)
{
	switch (status) {
	case 401:
		return GW_E_UP_AUTH;
	case 402:
		return GW_E_UP_BILLING;
	case 403:
		return GW_E_UP_PERMISSION;
	case 404:
		return GW_E_UP_NOT_FOUND;
	case 408:
	case 504:
		return GW_E_UP_TIMEOUT;
	case 413:
		return GW_E_TOO_BIG;
	case 429:
		return GW_E_UP_LIMIT;
	case 501: /* what is not implemented does not get better */
		return GW_E_UP_BAD_REQUEST;
	case 498: /* capacity (Groq); Cohere means the token by it and says so */
	case 503:
	case 529:
		return GW_E_UP_OVERLOADED;
	case 407:
	case 409:
	case 424:
	case 499:
	case 511:
		return GW_E_UP_SERVER;
	default:
		if (status >= 300 && status < 400)
			return GW_E_UP_REDIRECT;
		return status >= 400 && status < 500 ? GW_E_UP_BAD_REQUEST : GW_E_UP_SERVER;
	}
}

/* Rows of schemas/upstream_errors.def. */
enum { ALWAYS = 0, SILENT = -1, ANY = 0 };
static const struct {
	const char *code;
	int when;
	enum gw_err err;
} codes[] = {
#define GW_UPERR_CODE(when_, code_, row) { .when = when_, .code = code_, .err = GW_E_##row },
#define GW_UPERR_WORDS(when_, one_, other_, row)
#include "schemas/upstream_errors.def"
#undef GW_UPERR_CODE
#undef GW_UPERR_WORDS
};
static const struct {
	const char *one, *other;
	int when;
	enum gw_err err;
} words[] = {
#define GW_UPERR_CODE(when_, code_, row)
#define GW_UPERR_WORDS(when_, one_, other_, row) { .when = when_, .one = one_, .other = other_, .err = GW_E_##row },
#include "schemas/upstream_errors.def"
#undef GW_UPERR_CODE
#undef GW_UPERR_WORDS
};

/* ---- refining ---- */

/* A code of three digits stands for a status where none was told (OpenRouter, Groq in streams). */
static enum gw_err by_code(enum gw_err e, int status, struct gw_str code)
{
	bool is_silent = status < 300;
	uint64_t number;

	for (size_t i = 0; code.n && i < sizeof(codes) / sizeof(codes[0]); i++) {
		if ((codes[i].when == ALWAYS || codes[i].when == status || (codes[i].when == SILENT && is_silent)) &&
		    gw_str_eq(code, gw_str_z(codes[i].code)))
			return codes[i].err;
	}
	return is_silent && gw_str_u64(code, &number) && number >= 400 && number < 600 ? by_status((int)number) : e;
}

static bool has(struct gw_str text, const char *part)
{
	size_t n = strlen(part);

	return n == 0 || (text.n >= n && memmem(text.p, text.n, part, n) != NULL);
}

static struct gw_str lower(struct gw_arena *a, struct gw_str s)
{
	char *p = gw_alloc_bytes(a, s.n < MAX_LOOK ? s.n : MAX_LOOK);
	size_t n = s.n < MAX_LOOK ? s.n : MAX_LOOK;

	for (size_t i = 0; p && i < n; i++)
		p[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];
	return p ? gw_str(p, n) : GW_NIL;
}

/* "Too many tokens per min" and "too many tokens, please wait" are rates, whatever else the words would say. */
static bool is_a_rate(struct gw_str text)
{
	static const char *const parts[] = { "per min",    "tpm",         "rate limit", "rate_limit",
					     "rate-limit", "please wait", "try again",  "retry" };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (has(text, parts[i]))
			return true;
	}
	return false;
}

static enum gw_err by_words(enum gw_err e, int status, const struct gw_error_parts *p, struct gw_str text)
{
	bool is_asked = status == 400 || status == 403 || status == 413 || status == 422 || status == 424 ||
			status == 429 || status == 500;
	bool is_rate;

	if (!is_asked || text.n == 0)
		return e;
	is_rate = e == GW_E_UP_LIMIT && is_a_rate(text);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if ((words[i].when == status || (words[i].when == ANY && !is_rate)) && has(text, words[i].one) &&
		    has(text, words[i].other))
			return words[i].err;
	}
	/* Google says the same of a quota a minute, and then when to come back */
	if (status == 429 && !is_rate && !p->retry_ms && !p->is_quota && has(text, "exceeded your current quota"))
		return GW_E_UP_BILLING;
	return e;
}

/* ---- the rest ---- */

static struct gw_str cut(struct gw_str s, size_t max)
{
	if (s.n <= max)
		return s;
	while (max > 0 && ((unsigned char)s.p[max] & 0xc0) == 0x80)
		max--;
	return gw_str(s.p, max);
}

/* A code is a word; anything else is left out. */
static struct gw_str only_word(struct gw_arena *a, struct gw_str s, const struct gw_str *secrets, uint32_t n_secrets)
{
	struct gw_str clean;

	if (s.n == 0 || s.n > MAX_CODE)
		return GW_NIL;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      memchr("_-.[]", c, 5)))
			return GW_NIL;
	}
	clean = gw_scrub(a, s, secrets, n_secrets);
	return gw_str_eq(clean, s) ? gw_arena_str(a, s)
				   : GW_NIL; /* the body it stands in goes before the answer is written */
}

/* The class: status, code, type, then words. */
static enum gw_err classify(int status, const struct gw_error_parts *p, struct gw_str text)
{
	enum gw_err e = by_status(status >= 300 || !p->status ? status : p->status), refined;
	const struct gw_str said[] = { p->inner_code, p->reason, p->code, p->type, p->rpc_status };

	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		refined = by_code(e, status, said[i]);
		if (refined == GW_E_UP_PERMISSION && refined != e) /* of what, the words say */
			return by_words(refined, status, p, text);
		if (refined != e)
			return refined;
	}
	if (p->is_flagged && (status == 403 || p->status == 403))
		return GW_E_UP_FILTERED;
	if (status == 498 && (has(p->message, "token") || has(p->message, "key")))
		return GW_E_UP_AUTH;
	return by_words(e, status, p, text);
}

/* ThrottlingException:http://internal.amazon.com/coral/ -> ThrottlingException */
static struct gw_str plain_name(struct gw_str s)
{
	size_t hash = gw_str_find(s, '#');

	if (hash < s.n)
		s = gw_str_skip(s, hash + 1);
	return gw_str(s.p, gw_str_find(s, ':'));
}

/* What the record says of a body that is no JSON. Nothing of the body itself: it is a stranger's page. */
static struct gw_str note_of(struct gw_arena *a, int status, struct gw_str body)
{
	struct gw_str text = gw_str_trim(body);

	if (status < 300)
		return GW_NIL;
	if (!text.n)
		return gw_arena_printf(a, "The provider answered HTTP %d and said nothing.", status);
	return gw_arena_printf(a, "The provider answered HTTP %d with %s (%zu bytes), which tells no more.", status,
			       text.p[0] == '<' ? "a web page" : "text that is not JSON", body.n);
}

/* Until when: the header is the most exact, then what the body names, then the words. */
static uint64_t retry_ms(const struct gw_upstream_reply *in, const struct gw_error_parts *p, enum gw_err e,
			 struct gw_str text)
{
	uint64_t ms = in->asked_ms ? in->asked_ms : gw_retry_after_ms(in->retry_after, in->retry_after_ms, 0);

	if (!ms)
		ms = p->retry_ms;
	if (!ms && (e == GW_E_UP_LIMIT || e == GW_E_UP_OVERLOADED))
		ms = gw_retry_words_ms(text);
	return p->is_per_day && ms < DAY_QUOTA_MS ? DAY_QUOTA_MS : ms;
}

void gw_upstream_error_take(struct gw_arena *a, const struct gw_upstream_reply *in, struct gw_upstream_error *out)
{
	struct gw_error_parts p = { 0 };
	struct gw_str text;

	*out = (struct gw_upstream_error){ 0 };
	if (!gw_error_parts_read(a, in->body, &p))
		out->note = note_of(a, in->status, in->body);
	if (in->error_type.n && !p.code.n)
		p.code = in->error_type;
	p.code = plain_name(p.code);
	text = lower(a, p.message);
	out->err = classify(in->status, &p, text);
	out->retry_after_ms = retry_ms(in, &p, out->err, text);
	if (p.message.n)
		out->message = cut(gw_scrub(a, cut(p.message, MAX_LOOK), in->secrets, in->n_secrets), MAX_MESSAGE);
	out->code = only_word(a, p.code.n ? p.code : p.reason, in->secrets, in->n_secrets);
	out->type = only_word(a, p.type.n ? p.type : p.rpc_status, in->secrets, in->n_secrets);
	out->param = only_word(a, p.param, in->secrets, in->n_secrets);
	out->request_id = only_word(a, p.request_id, in->secrets, in->n_secrets);
}

enum gw_err gw_upstream_finish_error(struct gw_str finish)
{
	if (gw_str_eq(finish, GW_LIT("insufficient_system_resource"))) /* DeepSeek */
		return GW_E_UP_OVERLOADED;
	if (gw_str_eq(finish, GW_LIT("error")) || gw_str_eq(finish, GW_LIT("network_error"))) /* Mistral; Z.ai */
		return GW_E_UP_SERVER;
	return GW_OK;
}

bool gw_upstream_is_error(struct gw_arena *a, struct gw_str body)
{
	struct gw_error_parts p;

	return gw_error_parts_read(a, body, &p) && p.message.n > 0;
}

void gw_upstream_error_read(struct gw_arena *a, int status, struct gw_str body, struct gw_str retry_after,
			    struct gw_str retry_after_ms, const struct gw_str *secrets, uint32_t n_secrets,
			    struct gw_upstream_error *out)
{
	struct gw_upstream_reply in = { .status = status,
					.body = body,
					.retry_after = retry_after,
					.retry_after_ms = retry_after_ms,
					.secrets = secrets,
					.n_secrets = n_secrets };

	gw_upstream_error_take(a, &in, out);
}

/* ---- ids ---- */

const char *const gw_upstream_id_headers[] = { "x-request-id",
					       "request-id",
					       "x-amzn-requestid",
					       "apim-request-id",
					       "x-ms-request-id",
					       "mistral-correlation-id",
					       "x-generation-id",
					       "x-goog-request-id",
					       "x-ds-trace-id",
					       "x-debug-trace-id",
					       "x-kong-request-id",
					       "nvcf-reqid",
					       "cf-ray",
					       NULL };
