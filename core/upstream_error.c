/* A provider's error reply to a row of errors.def, in the order that avoids false matches: the HTTP status gives the class, a
 * structured code refines it, and only for a few statuses the words of the message do (providers echo prompts in messages, so
 * that "rate limit" in the text of a 400 says nothing). Bodies are hostile; what is kept of them is scrubbed and short. */
#include "core/error_body.h"

#include "lib/arena.h"
#include "lib/json.h"

enum { MAX_BODY = 65536, MAX_LOOK = 8192, MAX_MESSAGE = 300, MAX_CODE = 64 };

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

/* Codes that are clear whatever the status. */
static const struct {
	const char *code;
	enum gw_err err;
} sure_codes[] = {
	{ "context_length_exceeded", GW_E_UP_CONTEXT },
	{ "exceed_context_size_error", GW_E_UP_CONTEXT },
	{ "too_many_prompt_tokens", GW_E_UP_CONTEXT },
	{ "TOO_MANY_TOKENS", GW_E_UP_CONTEXT },
	{ "content_filter", GW_E_UP_FILTERED },
	{ "content_policy_violation", GW_E_UP_FILTERED },
	{ "ResponsibleAIPolicyViolation", GW_E_UP_FILTERED },
	{ "invalid_prompt", GW_E_UP_FILTERED },
	{ "invalid_api_key", GW_E_UP_AUTH },
	{ "API_KEY_INVALID", GW_E_UP_AUTH },
	{ "insufficient_quota", GW_E_UP_BILLING },
	{ "billing_hard_limit_reached", GW_E_UP_BILLING },
	{ "billing_error", GW_E_UP_BILLING },
	{ "unsupported_country_region_territory", GW_E_UP_PERMISSION },
	{ "model_not_found", GW_E_UP_NOT_FOUND },
	{ "DeploymentNotFound", GW_E_UP_NOT_FOUND },
};
/* Codes and types that only say something where there is no status: in the middle of a stream. */
static const struct {
	const char *code;
	enum gw_err err;
} stream_codes[] = {
	{ "rate_limit_exceeded", GW_E_UP_LIMIT },
	{ "rate_limit_error", GW_E_UP_LIMIT },
	{ "RateLimitReached", GW_E_UP_LIMIT },
	{ "slow_down", GW_E_UP_OVERLOADED },
	{ "overloaded_error", GW_E_UP_OVERLOADED },
	{ "server_is_overloaded", GW_E_UP_OVERLOADED },
	{ "service_unavailable_error", GW_E_UP_OVERLOADED },
	{ "unavailable_error", GW_E_UP_OVERLOADED },
	{ "capacity_exceeded", GW_E_UP_OVERLOADED },
	{ "authentication_error", GW_E_UP_AUTH },
	{ "permission_error", GW_E_UP_PERMISSION },
	{ "not_found_error", GW_E_UP_NOT_FOUND },
	{ "timeout_error", GW_E_UP_TIMEOUT },
	{ "invalid_request_error", GW_E_UP_BAD_REQUEST },
	{ "server_error", GW_E_UP_SERVER },
	{ "api_error", GW_E_UP_SERVER },
};

/* Lower-case parts of messages; both must be there. */
static const struct {
	const char *one, *other;
	enum gw_err err;
} words[] = {
	{ "context_length_exceeded", "", GW_E_UP_CONTEXT },
	{ "maximum context length", "", GW_E_UP_CONTEXT },
	{ "exceed context limit", "", GW_E_UP_CONTEXT },
	{ "context window", "exceed", GW_E_UP_CONTEXT },
	{ "context window", "too", GW_E_UP_CONTEXT },
	{ "prompt is too long", "", GW_E_UP_CONTEXT },
	{ "prompt too long", "", GW_E_UP_CONTEXT },
	{ "input is too long", "", GW_E_UP_CONTEXT },
	{ "input tokens exceed", "", GW_E_UP_CONTEXT },
	{ "input token count", "exceeds the maximum number of tokens", GW_E_UP_CONTEXT },
	{ "too many tokens", "", GW_E_UP_CONTEXT },
	{ "too_many_prompt_tokens", "", GW_E_UP_CONTEXT },
	{ "model's maximum context limit", "", GW_E_UP_CONTEXT },
	{ "longer than the model's context length", "", GW_E_UP_CONTEXT },
	{ "exceeds the available context size", "", GW_E_UP_CONTEXT },
	{ "`inputs` tokens + `max_new_tokens` must be", "", GW_E_UP_CONTEXT },
	{ "string too long. expected a string with maximum length", "", GW_E_UP_CONTEXT },
	{ "current length is", "while limit is", GW_E_UP_CONTEXT },
	{ "maximum input length is", "", GW_E_UP_CONTEXT },
	{ "content_policy_violation", "", GW_E_UP_FILTERED },
	{ "responsibleaipolicyviolation", "", GW_E_UP_FILTERED },
	{ "content management policy", "", GW_E_UP_FILTERED },
	{ "rejected as a result of our safety system", "", GW_E_UP_FILTERED },
	{ "content_filter_policy", "", GW_E_UP_FILTERED },
	{ "content filtering policy", "", GW_E_UP_FILTERED },
	{ "invalid prompt", "violating our usage policy", GW_E_UP_FILTERED },
	{ "safety_violations", "", GW_E_UP_FILTERED },
	{ "insufficient_quota", "", GW_E_UP_BILLING },
	{ "insufficient balance", "", GW_E_UP_BILLING },
	{ "credit balance is too low", "", GW_E_UP_BILLING },
	{ "billing_hard_limit", "", GW_E_UP_BILLING },
	{ "api key not valid", "", GW_E_UP_AUTH },
	{ "api_key_invalid", "", GW_E_UP_AUTH },
	{ "incorrect api key", "", GW_E_UP_AUTH },
	{ "api key expired", "", GW_E_UP_AUTH },
};

/* ---- the body ---- */

/* The members of a reply that matter, as spans of it. */
struct reply {
	struct gw_json_span error, message, Message, detail, error_message, code, type, param;
};

static struct gw_str text_at(struct gw_arena *a, struct gw_str body, struct gw_json_span s)
{
	struct gw_str raw = gw_str(body.p + s.off, s.len);

	if (s.type == GW_JSON_STR)
		return gw_json_unescape(a, raw);
	return s.type == GW_JSON_NUM ? raw : GW_NIL; /* some providers have numbers for codes */
}

/* error.message, else error itself, message, detail, errorMessage. */
static struct gw_str find_message(struct gw_arena *a, struct gw_str body, const struct reply *r,
				  const struct reply *inner)
{
	const struct gw_json_span *order[] = { &inner->message, &inner->detail, &r->error,        &r->message,
					       &r->Message,     &r->detail,     &r->error_message };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (order[i]->type == GW_JSON_STR)
			return text_at(a, body, *order[i]);
	}
	return GW_NIL;
}

static void wants(struct reply *r, struct gw_json_want w[8])
{
	const struct gw_json_want all[8] = {
		{ GW_LIT("error"), &r->error },
		{ GW_LIT("message"), &r->message },
		{ GW_LIT("Message"), &r->Message },
		{ GW_LIT("detail"), &r->detail },
		{ GW_LIT("errorMessage"), &r->error_message },
		{ GW_LIT("code"), &r->code },
		{ GW_LIT("type"), &r->type },
		{ GW_LIT("param"), &r->param },
	};

	memcpy(w, all, sizeof(all));
}

/* False when the body is no JSON object. */
static bool read_body(struct gw_arena *a, struct gw_str body, struct gw_str *message, struct gw_upstream_error *out)
{
	struct reply r = { 0 }, inner = { 0 };
	struct gw_json_want w[8];

	wants(&r, w);
	if (body.n == 0 || body.n > MAX_BODY || gw_json_check(a, body, &gw_json_default_limits, w, 8, NULL))
		return false;
	if (r.error.type == GW_JSON_OBJ) {
		wants(&inner, w);
		gw_json_members(body, r.error, w, 8);
	}
	*message = find_message(a, body, &r, &inner);
	out->code = text_at(a, body, inner.code.type ? inner.code : r.code);
	out->type = text_at(a, body, inner.type.type ? inner.type : r.type);
	out->param = text_at(a, body, inner.param);
	return true;
}

/* ---- refining ---- */

static enum gw_err by_code(enum gw_err e, int status, struct gw_str code)
{
	uint64_t number;

	for (size_t i = 0; i < sizeof(sure_codes) / sizeof(sure_codes[0]); i++) {
		if (gw_str_eq(code, gw_str_z(sure_codes[i].code)))
			return sure_codes[i].err;
	}
	if (status >= 300) {
		/* too many tokens per minute in one request (Groq): a rate limit told with 413 */
		return status == 413 && gw_str_eq(code, GW_LIT("rate_limit_exceeded")) ? GW_E_UP_LIMIT : e;
	}
	for (size_t i = 0; i < sizeof(stream_codes) / sizeof(stream_codes[0]); i++) {
		if (gw_str_eq(code, gw_str_z(stream_codes[i].code)))
			return stream_codes[i].err;
	}
	if (gw_str_u64(code, &number) && number >= 400 && number < 600)
		return by_status((int)number);
	return e;
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

static enum gw_err by_words(struct gw_arena *a, enum gw_err e, int status, struct gw_str message)
{
	struct gw_str text;
	bool is_asked = status == 400 || status == 403 || status == 413 || status == 422 || status == 424 ||
			status == 429 || status == 500;

	if (!is_asked || message.n == 0)
		return e;
	text = lower(a, message);
	if (e == GW_E_UP_LIMIT &&
	    (has(text, "per minute") || has(text, "per min") || has(text, "tpm") || has(text, "rate")))
		return e; /* "too many tokens per min" is a rate */
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (has(text, words[i].one) && has(text, words[i].other))
			return words[i].err;
	}
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
	return gw_str_eq(clean, s) ? s : GW_NIL;
}

void gw_upstream_error_read(struct gw_arena *a, int status, struct gw_str body, struct gw_str retry_after,
			    struct gw_str retry_after_ms, const struct gw_str *secrets, uint32_t n_secrets,
			    struct gw_upstream_error *out)
{
	struct gw_str message = GW_NIL;
	enum gw_err e = by_status(status);

	*out = (struct gw_upstream_error){ 0 };
	if (read_body(a, body, &message, out)) {
		enum gw_err refined = by_code(e, status, out->code);

		if (refined == e)
			refined = by_code(e, status, out->type);
		e = refined == e ? by_words(a, e, status, message) : refined;
	}
	if (status == 498 && (has(message, "token") || has(message, "key")))
		e = GW_E_UP_AUTH;
	out->err = e;
	out->retry_after_ms = gw_retry_after_ms(retry_after, retry_after_ms, 0);
	if (message.n)
		out->message = cut(gw_scrub(a, cut(message, MAX_LOOK), secrets, n_secrets), MAX_MESSAGE);
	out->code = only_word(a, out->code, secrets, n_secrets);
	out->type = only_word(a, out->type, secrets, n_secrets);
	out->param = only_word(a, out->param, secrets, n_secrets);
}
