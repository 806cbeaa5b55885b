/* Errors told to clients, providers' errors classified (made ones and recorded ones), and what scrubbing takes out and leaves. */
#include "tests/unit/lib/util.h"

#include "core/error_body.h"
#include "lib/arena.h"
#include "lib/json.h"

static struct gw_arena arena;

/* ---- bodies ---- */

static void bodies(void **st)
{
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 65536);
	gw_error_body(&b, GW_E_MISSING, GW_LIT("messages is \"required\""), GW_LIT("messages"), GW_LIT("req-1"));
	assert_str(gw_buf_view(&b),
		   "{\"error\":{\"message\":\"messages is \\\"required\\\"\",\"type\":\"invalid_request_error\","
		   "\"param\":\"messages\",\"code\":\"missing_field\"}}");
	gw_buf_clear(&b, 65536);
	gw_error_body(&b, GW_E_UP_BAD_REQUEST, GW_NIL, GW_NIL, GW_NIL); /* no code of its own: null */
	assert_str(gw_buf_view(&b), "{\"error\":{\"message\":\"The provider refused the request as "
				    "invalid.\",\"type\":\"invalid_request_error\","
				    "\"param\":null,\"code\":null}}");
	gw_buf_clear(&b, 65536);
	gw_error_body(&b, GW_E_UP_TIMEOUT, GW_NIL, GW_NIL, GW_LIT("0198-x"));
	assert_str(gw_buf_view(&b),
		   "{\"error\":{\"message\":\"The provider did not begin its answer in time. (request id 0198-x)\","
		   "\"type\":\"timeout_error\",\"param\":null,\"code\":\"upstream_timeout\"}}");
	gw_buf_clear(&b, 65536);
	gw_error_body(&b, GW_E_UP_AUTH, GW_LIT("Incorrect API key provided: sk-canary"), GW_NIL, GW_LIT("r\"1"));
	assert_null(memmem(b.p, b.n, "canary", 6));
	assert_non_null(memmem(b.p, b.n, "request id r?1", 14));
	gw_buf_clear(&b, 65536);
	gw_error_event(&b, GW_E_UP_CUT, GW_NIL, GW_LIT("q"));
	assert_str(
	    gw_buf_view(&b),
	    "data: {\"error\":{\"message\":\"The provider's answer ended before it was complete. (request id q)\","
	    "\"type\":\"api_connection_error\",\"param\":null,\"code\":\"upstream_truncated\"}}\n\n");
	gw_buf_done(&b);
}

/* Every row gives one JSON text with all four members, whatever the message. */
static void all_rows(void **st)
{
	(void)st;
	for (int e = GW_E_BASE_ + 1; e < GW_E_END_; e++) {
		struct gw_json_fault f;
		struct gw_buf b;
		yyjson_doc *d;
		yyjson_val *o;

		gw_buf_init(&b, 65536);
		gw_error_body(&b, (enum gw_err)e, GW_LIT("bad \xff utf-8 \x01 and \"quotes\""), GW_LIT("p"),
			      GW_LIT("id"));
		assert_int_equal(gw_json_read(gw_buf_view(&b), &gw_json_default_limits, &d, &f), GW_OK);
		o = yyjson_obj_get(yyjson_doc_get_root(d), "error");
		assert_int_equal(yyjson_obj_size(o), 4);
		assert_true(yyjson_is_str(yyjson_obj_get(o, "message")));
		assert_true(yyjson_is_str(yyjson_obj_get(o, "type")));
		assert_true(yyjson_is_str(yyjson_obj_get(o, "code")) || yyjson_is_null(yyjson_obj_get(o, "code")));
		yyjson_doc_free(d);
		gw_buf_done(&b);
	}
}

/* ---- classification ---- */

static struct gw_upstream_error classify(int status, const char *body)
{
	struct gw_upstream_error u;

	gw_upstream_error_read(&arena, status, gw_str_z(body), GW_NIL, GW_NIL, NULL, 0, &u);
	return u;
}

static void by_status(void **st)
{
	static const struct {
		int status;
		enum gw_err err;
	} all[] = {
		{ 400, GW_E_UP_BAD_REQUEST }, { 401, GW_E_UP_AUTH },      { 402, GW_E_UP_BILLING },
		{ 403, GW_E_UP_PERMISSION },  { 404, GW_E_UP_NOT_FOUND }, { 405, GW_E_UP_BAD_REQUEST },
		{ 408, GW_E_UP_TIMEOUT },     { 409, GW_E_UP_SERVER },    { 413, GW_E_TOO_BIG },
		{ 422, GW_E_UP_BAD_REQUEST }, { 424, GW_E_UP_SERVER },    { 429, GW_E_UP_LIMIT },
		{ 498, GW_E_UP_OVERLOADED },  { 500, GW_E_UP_SERVER },    { 502, GW_E_UP_SERVER },
		{ 503, GW_E_UP_OVERLOADED },  { 504, GW_E_UP_TIMEOUT },   { 520, GW_E_UP_SERVER },
		{ 529, GW_E_UP_OVERLOADED },  { 301, GW_E_UP_REDIRECT },  { 307, GW_E_UP_REDIRECT },
		{ 0, GW_E_UP_SERVER },
	};

	(void)st;
	for (size_t i = 0; i < N_OF(all); i++) {
		assert_int_equal(classify(all[i].status, "<html>rate limit overloaded prompt is too long</html>").err,
				 all[i].err);
		assert_int_equal(classify(all[i].status, "").err, all[i].err);
		assert_null(classify(all[i].status, "<html>").message.p);
	}
}

static void by_code_and_words(void **st)
{
	static const struct {
		int status;
		const char *body;
		enum gw_err err;
	} all[] = {
		{ 400, "{\"error\":{\"code\":\"context_length_exceeded\",\"message\":\"x\"}}", GW_E_UP_CONTEXT },
		{ 400, "{\"error\":{\"code\":null,\"message\":\"This model's maximum context length is 8192 tokens\"}}",
		  GW_E_UP_CONTEXT },
		{ 400, "{\"error\":{\"code\":\"content_policy_violation\"}}", GW_E_UP_FILTERED },
		{ 400,
		  "{\"error\":{\"message\":\"filtered due to the prompt triggering Azure OpenAI's content management "
		  "policy\"}}",
		  GW_E_UP_FILTERED },
		{ 429, "{\"error\":{\"code\":\"insufficient_quota\",\"type\":\"insufficient_quota\"}}",
		  GW_E_UP_BILLING },
		{ 429,
		  "{\"error\":{\"code\":\"rate_limit_exceeded\",\"type\":\"tokens\",\"message\":\"too many tokens per "
		  "min (TPM)\"}}",
		  GW_E_UP_LIMIT },
		{ 429, "{\"error\":{\"type\":\"insufficient_quota\",\"code\":null}}", GW_E_UP_BILLING },
		{ 413, "{\"error\":{\"code\":\"rate_limit_exceeded\",\"type\":\"tokens\"}}", GW_E_UP_LIMIT },
		{ 400, "{\"code\":\"invalid-argument\",\"error\":\"Incorrect API key provided.\"}", GW_E_UP_AUTH },
		{ 400, "{\"error\":{\"message\":\"credit balance is too low\"}}", GW_E_UP_BILLING },
		{ 401, "{\"error\":{\"type\":\"authentication_error\",\"code\":\"invalid_request_error\"}}",
		  GW_E_UP_AUTH },
		{ 403, "{\"error\":{\"code\":\"unsupported_country_region_territory\"}}", GW_E_UP_REGION },
		{ 400, "{\"error\":{\"code\":\"model_not_found\"}}", GW_E_UP_NOT_FOUND },
		/* words of a prompt that is echoed say nothing */
		{ 400,
		  "{\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"invalid: 429 rate limit overloaded\"}}",
		  GW_E_UP_BAD_REQUEST },
		{ 404, "{\"error\":{\"message\":\"prompt is too long\"}}", GW_E_UP_NOT_FOUND },
		{ 502, "{\"error\":{\"message\":\"maximum context length\"}}", GW_E_UP_SERVER },
		/* no status: an event of a stream */
		{ 200, "{\"error\":{\"type\":\"rate_limit_error\"}}", GW_E_UP_LIMIT },
		{ 200, "{\"error\":{\"code\":\"server_error\"}}", GW_E_UP_SERVER },
		{ 200, "{\"error\":{\"type\":\"overloaded_error\"}}", GW_E_UP_OVERLOADED },
		{ 200, "{\"error\":{\"code\":429,\"message\":\"x\"}}", GW_E_UP_LIMIT },
		{ 200, "{\"error\":{\"code\":\"tool_use_failed\",\"type\":\"invalid_request_error\"}}",
		  GW_E_UP_TOOL_CALL },
		{ 200, "{\"error\":\"something\"}", GW_E_UP_SERVER },
		{ 498, "{\"message\":\"invalid token\"}", GW_E_UP_AUTH },
		/* read in two ways: only the status counts */
		{ 400, "{\"error\":{\"code\":\"context_length_exceeded\",\"code\":\"x\"}}", GW_E_UP_BAD_REQUEST },
	};

	(void)st;
	for (size_t i = 0; i < N_OF(all); i++) {
		enum gw_err e = classify(all[i].status, all[i].body).err;

		if (e != all[i].err)
			fail_msg("%d %s: %s", all[i].status, all[i].body, gw_err_info(e)->name);
	}
}

static void parts(void **st)
{
	struct gw_upstream_error u = classify(
	    400, "{\"error\":{\"message\":\"bad \\u00e9\",\"code\":\"unsupported_parameter\",\"param\":\"max_tokens\","
		 "\"type\":\"invalid_request_error\"}}");
	struct gw_buf b;

	(void)st;
	assert_str(u.message, "bad \xc3\xa9");
	assert_str(u.code, "unsupported_parameter");
	assert_str(u.param, "max_tokens");
	gw_buf_init(&b, 65536);
	gw_upstream_error_body(&b, &u, GW_LIT("id"));
	assert_str(
	    gw_buf_view(&b),
	    "{\"error\":{\"message\":\"bad \xc3\xa9\",\"type\":\"invalid_request_error\",\"param\":\"max_tokens\","
	    "\"code\":\"unsupported_parameter\"}}");
	gw_buf_clear(&b, 65536);
	u = classify(401, "{\"error\":{\"message\":\"Incorrect API key provided: "
			  "sk-proj-12345678\",\"code\":\"invalid_api_key\",\"param\":\"key\"}}");
	gw_upstream_error_body(&b, &u, GW_LIT("id"));
	assert_str(gw_buf_view(&b),
		   "{\"error\":{\"message\":\"The provider refused the gateway's credential; the operator must look at "
		   "it. (request id id)\","
		   "\"type\":\"api_connection_error\",\"param\":null,\"code\":\"upstream_auth_failed\"}}");
	gw_buf_done(&b);
	/* a code that is no word is none */
	assert_null(classify(400, "{\"error\":{\"code\":\"a b\"}}").code.p);
	assert_null(classify(400, "{\"error\":{\"code\":\"sk-abcdefgh1234567\"}}").code.p);
	assert_str(classify(400, "{\"error\":{\"message\":{\"detail\":1},\"code\":400}}").code, "400");
	assert_str(classify(422, "{\"detail\":\"Input should be a string\"}").message, "Input should be a string");
	assert_str(classify(400, "{\"errorMessage\":\"m\"}").message, "m");
}

static void long_messages(void **st)
{
	static char body[70000];
	struct gw_upstream_error u;
	size_t n = (size_t)snprintf(body, sizeof(body), "{\"error\":{\"message\":\"x");

	(void)st;
	while (n < 3000) {
		memcpy(body + n, "\xc3\xa9 ", 3);
		n += 3;
	}
	memcpy(body + n, "\"}}", 4);
	u = classify(400, body);
	assert_in_range(u.message.n, 296, 300);
	assert_true(gw_str_is_utf8(u.message));
	memset(body, ' ', sizeof(body) - 1); /* more than is looked at */
	body[0] = '{';
	body[sizeof(body) - 2] = '}';
	assert_int_equal(classify(400, body).err, GW_E_UP_BAD_REQUEST);
}

static uint64_t retry(const char *s, const char *ms)
{
	struct gw_upstream_error u;

	gw_upstream_error_read(&arena, 429, GW_NIL, gw_str_z(s), gw_str_z(ms), NULL, 0, &u);
	return u.retry_after_ms;
}

static void retry_after(void **st)
{
	(void)st;
	assert_int_equal(retry(NULL, NULL), 0);
	assert_int_equal(retry("20", NULL), 20000);
	assert_int_equal(retry("1.5", NULL), 1500);
	assert_int_equal(retry(" 2 ", NULL), 2000);
	assert_int_equal(retry("20", "150"), 150);
	assert_int_equal(retry("20", "x"), 20000);
	assert_int_equal(retry("1", "0"), 1000);
	assert_int_equal(retry("-1", NULL), 0);
	static const struct {
		const char *text;
		int64_t now;
		uint64_t ms;
	} dates[] = {
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 - 90, 90000 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 784111777, 0 }, /* now, and the past */
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 1900000000, 0 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 700000000, 86400000 },
		{ "Thu, 29 Feb 2024 00:00:05 GMT", 1709164800, 5000 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 0, 0 }, /* no clock */
		{ "Sunday, 06-Nov-94 08:49:37 GMT", 784111000, 0 },
		{ "Sun, 06 Nov 1994 08:49:37 CET", 784111000, 0 },
		{ "Sun, 06 Now 1994 08:49:37 GMT", 784111000, 0 },
		{ "Sun, x6 Nov 1994 08:49:37 GMT", 784111000, 0 },
		{ "Sun, 06 Nov 1994 28:49:37 GMT", 784111000, 0 },
	};
	for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++)
		assert_int_equal(gw_retry_after_ms(gw_str_z(dates[i].text), GW_NIL, dates[i].now), dates[i].ms);
	assert_int_equal(retry("Wed, 21 Oct 2026 07:28:00 GMT", NULL), 0);
	assert_int_equal(retry("99999999999999999", NULL), 86400000);
	assert_int_equal(retry("99999999999999999999999", NULL), 0);
	assert_int_equal(retry("1.99999999999999999999", NULL), 1999);
}

static void in_words(void **st)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} said[] = {
		{ "please try again in 7m12s.", 432000 },
		{ "please try again in 1.213s. visit", 1213 },
		{ "try again in 350ms", 350 },
		{ "please try again in 1h2m3s", 3723000 },
		{ "please retry after 7 seconds.", 7000 },
		{ "please retry after 1 minute 5 seconds", 65000 },
		{ "please retry in 48.9399s", 48940 },
		{ "try again in 2 days", 86400000 },
		{ "try again in 9999999999h", 86400000 },
		{ "try again in 99999999999999999999h", 0 },
		{ "try again in 0s", 0 },
		{ "try again in a while", 0 },
		{ "try again in 5", 0 },
		{ "try again later", 0 },
		{ "", 0 },
	};

	(void)st;
	for (size_t i = 0; i < N_OF(said); i++) {
		struct gw_str text = exact(gw_str_z(said[i].text));
		uint64_t ms = gw_retry_words_ms(text);

		if (ms != said[i].ms)
			fail_msg("%s: %llu", said[i].text, (unsigned long long)ms);
		free((char *)(uintptr_t)text.p);
	}
}

struct told {
	const char *name, *value;
};

static struct gw_str told_header(const void *from, struct gw_str name)
{
	for (const struct told *t = from; t->name; t++)
		if (gw_str_eq(name, gw_str_z(t->name)))
			return gw_str_z(t->value);
	return GW_NIL;
}

static void resets(void **st)
{
	static const struct told
	    used_up[] = { { "x-ratelimit-remaining-requests", "0" },
			  { "x-ratelimit-reset-requests", "120ms" },
			  { "x-ratelimit-remaining-tokens", "0" },
			  { "x-ratelimit-reset-tokens", "6m0s" },
			  { NULL, NULL } },
	    one_left[] = { { "x-ratelimit-remaining-requests", "1" },
			   { "x-ratelimit-reset-requests", "1h" },
			   { "x-ratelimit-remaining-tokens", "0" },
			   { "x-ratelimit-reset-tokens", "2s" },
			   { NULL, NULL } },
	    date[] = { { "anthropic-ratelimit-input-tokens-remaining", "0" },
		       { "anthropic-ratelimit-input-tokens-reset", "2023-11-14T22:13:50Z" },
		       { NULL, NULL } },
	    past[] = { { "anthropic-ratelimit-requests-remaining", "0" },
		       { "anthropic-ratelimit-requests-reset", "2020-01-01T00:00:00Z" },
		       { NULL, NULL } },
	    epoch_ms[] = { { "x-ratelimit-remaining", "0" }, { "x-ratelimit-reset", "1700000030000" }, { NULL, NULL } },
	    epoch_s[] = { { "x-ratelimit-remaining", "0" }, { "x-ratelimit-reset", "1700000030" }, { NULL, NULL } },
	    seconds[] = { { "x-ratelimit-remaining", "0" }, { "x-ratelimit-reset", "17" }, { NULL, NULL } },
	    garbage[] = { { "x-ratelimit-remaining", "0" }, { "x-ratelimit-reset", "soon" }, { NULL, NULL } };
	const int64_t now = 1700000000;

	(void)st;
	assert_int_equal(gw_retry_reset_ms(told_header, used_up, now), 360000);
	assert_int_equal(gw_retry_reset_ms(told_header, one_left, now), 2000);
	assert_int_equal(gw_retry_reset_ms(told_header, date, now), 30000);
	assert_int_equal(gw_retry_reset_ms(told_header, past, now), 0);
	assert_int_equal(gw_retry_reset_ms(told_header, epoch_ms, now), 30000);
	assert_int_equal(gw_retry_reset_ms(told_header, epoch_s, now), 30000);
	assert_int_equal(gw_retry_reset_ms(told_header, seconds, now), 17000);
	assert_int_equal(gw_retry_reset_ms(told_header, garbage, now), 0);
}

/* ---- scrubbing ---- */

static void scrub(const char *in, const char *want)
{
	static const struct gw_str secrets[] = { { "hunter22", 8 }, { "x", 1 }, { "hunter22-long", 13 } };

	assert_str(gw_scrub(&arena, gw_str_z(in), secrets, 3), want);
}

static void taken_out(void **st)
{
	(void)st;
	scrub("key hunter22 is bad", "key [removed] is bad");
	scrub("key hunter22-long.", "key [removed].");
	scrub("aahunter22bb", "aa[removed]bb");
	scrub("Incorrect API key provided: sk-proj-abc123. See https://platform.openai.com/account/api-keys.",
	      "Incorrect API key provided: [removed]. See [removed].");
	scrub("sk-ab****yz9", "[removed]");
	scrub("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "token [removed]");
	scrub("Authorization: Bearer abc", "Authorization: Bearer ***");
	scrub("id 0123456789abcdef0123456789abcdef", "id [removed]");
	scrub("x9Kd83hfQpw0ZmN4vB7cTy", "[removed]");
	scrub("connect to 10.1.2.3:8080 failed", "connect to [removed] failed");
	scrub("host=192.168.0.1, bad", "[removed], bad");
	scrub("at [fe80::1]:443", "at [removed]");
	scrub("at 2001:db8::1", "at [removed]");
	scrub("dial vllm-7.internal:8000: refused", "dial [removed]: refused");
	scrub("localhost:11434/v1 refused", "[removed] refused");
	scrub("mail ops@example.com", "mail [removed]");
	scrub("in organization org-AbCdEfGh12345678 on tokens", "in organization [removed] on tokens");
	scrub("Your api key: ****aB3d is invalid", "Your api key: [removed] is invalid");
	scrub("call with ?key=abcd failed", "call with [removed] failed");
	scrub("X-Amz-Signature=abcdef, api_key=hunting", "[removed], [removed]");
	scrub("https://user:pa$$word@host/v1", "[removed]$$[removed]");
	scrub("dial http.team.svc.cluster.local failed", "dial [removed] failed");
	scrub("ip-10-0-1-2.eu-west-1.compute.internal/x is down", "[removed] is down");
	scrub("User: arn:aws:sts::123456789012:assumed-role/gw/i-1 may not invoke", "User: [removed] may not invoke");
	scrub("account 123456789012, project 9876543210", "account [removed], project [removed]");
	scrub("abcdefghijklmnopqrstuvwxyzabcdefghijklmnop", "[removed]");
	scrub("a\nb\tc\x01"
	      "d\x7f",
	      "a b c d ");
	scrub("", "");
}

/* What vendors' keys look like, as far as is known; none of them is a real one. */
static void keys_of_all_vendors(void **st)
{
	static const char *const keys[] = {
		"sk-proj-Ab3dEf6hIj9kLm2nOp5q",
		"sk-ant-api03-Ab3dEf6hIj9kLm2nOp5q-AA",
		"sk-or-v1-0a1b2c3d4e5f60718293a4b5c6d7e8f9",
		"AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
		"AQ.Ab8RN6Lz0123",
		"ya29.a0AfH6SMBx1",
		"AKIAIOSFODNN7EXAMPLE",
		"ASIAIOSFODNN7EXAMPLE",
		"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		"ABSKQmVkcm9ja0FQSUtleS0x",
		"bedrock-api-key-YmVkcm9jay5h1",
		"gsk_Ab3dEf6hIj9kLm2nOp5q",
		"xai-Ab3dEf6hIj9kLm2nOp5q",
		"hf_Ab3dEf6hIj9kLm2nOp5q",
		"pplx-Ab3dEf6hIj9kLm2nOp5q",
		"csk-ab3def6hij9klm2nop5q",
		"fw_Ab3dEf6hIj9k",
		"tgp_v1_Ab3dEf6hIj9kLm2nOp5q",
		"nvapi-Ab3dEf6hIj9k-Lm2n",
		"r8_Ab3dEf6hIj9kLm2nOp5q",
		"pa-Ab3dEf6hIj9kLm2n",
		"jina_0a1b2c3d4e5f60718293a4b5",
		"0a1b2c3d4e5f60718293a4b5c6d7e8f9",
		"Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4z",
		"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln",
		"lgw_Ab3dEf6hIj9kLm2nOp5q",
	};
	char text[256];

	(void)st;
	for (size_t i = 0; i < N_OF(keys); i++) {
		struct gw_str out;

		snprintf(text, sizeof(text), "Incorrect key: '%s', see \"%s\" (%s)", keys[i], keys[i], keys[i]);
		out = gw_scrub(&arena, gw_str_z(text), NULL, 0);
		for (size_t at = 0; at + 10 <= strlen(keys[i]); at++) {
			if (memmem(out.p, out.n, keys[i] + at, 10))
				fail_msg("%s -> %.*s", keys[i], GW_FMT(out));
		}
	}
}

static void left_alone(void **st)
{
	static const char *const texts[] = {
		"The model `gpt-4o-mini-2024-07-18` does not exist.",
		"claude-3-5-sonnet-20241022 and anthropic.claude-3-5-sonnet-20240620-v1:0",
		"meta-llama/Llama-3.1-70B-Instruct-Turbo, Qwen2.5-72B-Instruct, llama3:8b, openai/gpt-4o",
		"This model's maximum context length is 128000 tokens. However, you requested 130000 tokens (100 in "
		"the messages).",
		"Invalid 'messages[0].content[1].image_url': expected a string; got 3.5.1 (see section 4.2).",
		"max_completion_tokens: integer_below_min_value",
		"tool_call_id call_rI3WKPYvVwl is missing",
		"req 0198c0de-0000-7000-8000-000000000000",
		"caf\xc3\xa9 \xe4\xb8\xad\xe6\x96\x87 r\xc3\xa9sum\xc3\xa9",
		"api-endpoint is not known",
		"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2",
		"top_k=5, temperature=0.7, monkey=1",
	};

	(void)st;
	for (size_t i = 0; i < N_OF(texts); i++)
		scrub(texts[i], texts[i]);
}

/* Whatever stands around it, a secret that was given is never in the output; and scrubbing twice changes nothing more. */
static void never_a_secret(void **st)
{
	static const char *const bits[] = { "hunter22",  "hunter22-long", "hunt",   "er22", " ",
					    "[removed]", "[rem",          "\"",     "sk-",  "a",
					    "=",         "hunter2",       "://",    "2",    "\n",
					    "-long",     "Bearer ",       "1.2.3.", "4" };

	(void)st;
	for (int round = 0; round < 30000; round++) {
		struct gw_str secrets[] = { GW_LIT("hunter22"), GW_LIT("hunter22-long") }, out, exact_in;
		struct gw_mark m = gw_arena_mark(&arena);
		struct gw_buf b;

		gw_buf_init(&b, 65536);
		for (size_t k = rng_below(12); k > 0; k--)
			gw_buf_puts(&b, gw_str_z(bits[rng_below(N_OF(bits))]));
		exact_in = exact(gw_buf_view(&b));
		out = gw_scrub(&arena, exact_in, secrets, 2);
		assert_non_null(out.p);
		if (out.n && memmem(out.p, out.n, "hunter22", 8))
			fail_msg("'%.*s' -> '%.*s'", GW_FMT(exact_in), GW_FMT(out));
		free((char *)(uintptr_t)exact_in.p);
		gw_buf_done(&b);
		gw_arena_reset(&arena, m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies),         cmocka_unit_test(all_rows),
		cmocka_unit_test(by_status),      cmocka_unit_test(by_code_and_words),
		cmocka_unit_test(parts),          cmocka_unit_test(long_messages),
		cmocka_unit_test(retry_after),    cmocka_unit_test(in_words),
		cmocka_unit_test(resets),         cmocka_unit_test(taken_out),
		cmocka_unit_test(left_alone),     cmocka_unit_test(keys_of_all_vendors),
		cmocka_unit_test(never_a_secret),
	};
	int failed;

	gw_arena_init(&arena, NULL, 0, 1 << 20);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	gw_arena_done(&arena);
	return failed;
}
