/* Providers' errors and the rows they become: every recorded failure, one by one, and each provider's shapes in bodies of our own. */
#include "tests/unit/lib/util.h"

#include "core/error_body.h"
#include "lib/arena.h"

static struct gw_arena arena;
static struct gw_mark start;

static struct gw_upstream_error read_error(int status, const char *body)
{
	struct gw_upstream_reply in = { .status = status, .body = gw_str_z(body) };
	struct gw_upstream_error u;

	gw_upstream_error_take(&arena, &in, &u);
	return u;
}

/* ---- recorded ---- */

/* Every exchange of fixtures/ that failed. OK: it is called an error but is none of the provider's. */
static const struct known {
	const char *dir;
	int status; /* 0: told in a stream */
	enum gw_err err;
	const char *words; /* in the message */
	uint64_t retry_ms;
} known[] = {
	{ "anthropic/count_tokens__anthropic-count-tokens-error__0__http404", 404, GW_E_UP_NOT_FOUND,
	  "claude-does-not-exist", 0 },
	{ "anthropic/messages__error-handling-with-anthropic-claude-haiku-4-5-raises-appropriate-auth__0__http401", 401,
	  GW_E_UP_AUTH, "invalid x-api-key", 0 },
	{ "anthropic/messages__real-error-scenarios-anthropic-claude-haiku-4-5-handles-context-length__0__http400", 400,
	  GW_E_UP_CONTEXT, "prompt is too long", 0 },
	{ "anthropic/messages__vercel-anthropic-web-fetch-tool-error", 200, GW_OK, "", 0 },
	{ "azure/chat__real-error-scenarios-azure-grok-4-1-fast-non-reasoning-handles-context__0__http429", 429,
	  GW_E_UP_LIMIT, "exceeded rate limit", 0 },
	{ "bedrock/converse__multimodal-tool-return-matrix-direct-uploaded-file-document-bedrock-no__1__http400", 400,
	  GW_E_UP_BAD_REQUEST, "extraneous key", 0 },
	{ "bedrock/converse__multimodal-tool-return-matrix-direct-uploaded-file-image-bedrock-claud__1__http400", 400,
	  GW_E_UP_BAD_REQUEST, "s3Uri", 0 },
	{ "bedrock/converse__multimodal-tool-return-matrix-direct-uploaded-file-video-bedrock-claud__1__http400", 400,
	  GW_E_UP_BAD_REQUEST, "video", 0 },
	{ "bedrock/converse__multimodal-tool-return-matrix-tool-return-content-uploaded-file-docume__1__http400", 400,
	  GW_E_UP_BAD_REQUEST, "Field required", 0 },
	{ "bedrock/count_tokens__anthropic-bedrock-count-tokens-error__0__http400", 400, GW_E_UP_BAD_REQUEST,
	  "counting tokens", 0 },
	{ "cohere/chat__error-handling-with-cohere-command-a-03-2025-raises-appropriate-auth-e__0__http401", 401,
	  GW_E_UP_AUTH, "Incorrect API key", 0 },
	{ "cohere/embeddings__testcohere-test-embed-error__0__http404", 404, GW_E_UP_NOT_FOUND, "not found", 0 },
	{ "deepseek/chat__error-handling-with-deepseek-deepseek-chat-raises-appropriate-auth-err__0__http401", 401,
	  GW_E_UP_AUTH, "Authentication Fails", 0 },
	{ "deepseek/responses__deepseek-responses-rejects-interleaved-function-calls__0__http400", 400,
	  GW_E_UP_BAD_REQUEST, "No tool output", 0 },
	{ "gemini/count_tokens__testgoogle-test-count-tokens-error__0__http404", 404, GW_E_UP_NOT_FOUND,
	  "not found for API version", 0 },
	{ "gemini/embeddings__testgoogle-test-embed-error__0__http404", 404, GW_E_UP_NOT_FOUND,
	  "not found for API version", 0 },
	{ "gemini/generateContent__real-error-scenarios-gemini-gemini-2-5-flash-handles-context-length-ex__0__http429",
	  429, GW_E_UP_LIMIT, "exceeded your current quota", 48000 },
	{ "gemini/generateContent__vercel-google-429-retry-info", 429, GW_E_UP_LIMIT, "quota", 1 },
	{ "groq/chat__model-name-suggestion-groq__0__http404", 404, GW_E_UP_NOT_FOUND, "does not exist", 0 },
	{ "groq/chat__tool-regular-error__0__http404", 404, GW_E_UP_NOT_FOUND, "does not exist", 0 },
	{ "groq/chat__tool-use-failed-error__0__http400", 400, GW_E_UP_TOOL_CALL, "Tool call validation failed", 0 },
	{ "groq/chat-stream__tool-use-failed-error-streaming__0", 0, GW_E_UP_TOOL_CALL, "Tool c", 0 },
	{ "groq/chat-stream__tool-use-failed-error-streaming-with-text__0", 0, GW_E_UP_TOOL_CALL, "Tool c", 0 },
	{ "mistral/chat__error-handling-with-mistral-mistral-small-latest-raises-appropriate-au__0__http401", 401,
	  GW_E_UP_AUTH, "Invalid API Key", 0 },
	{ "ollama/chat__error-handling-with-ollama-cloud-gpt-oss-120b-raises-appropriate-auth__0__http401", 401,
	  GW_E_UP_AUTH, "Unauthorized", 0 },
	{ "ollama-native/midstream-error.ndjson", 0, GW_E_UP_SERVER, "an error was encountered", 0 },
	{ "openai/chat__model-name-suggestion-openai-chat__0__http404", 404, GW_E_UP_NOT_FOUND, "gpt-5.2-proo", 0 },
	{ "openai/chat__openai-web-search-tool-model-not-supported__0__http400", 400, GW_E_UP_BAD_REQUEST,
	  "Web search options", 0 },
	{ "openai/chat__unknown-model__0__http404", 404, GW_E_UP_NOT_FOUND, "does not exist", 0 },
	{ "openai/completions__completion-bad-request__0__http400", 400, GW_E_UP_BAD_REQUEST, "integer below minimum",
	  0 },
	{ "openai/completions__completion-unknown-model__0__http404", 404, GW_E_UP_NOT_FOUND, "does not exist", 0 },
	{ "openai/embeddings__embeddings-unknown-model__0__http404", 404, GW_E_UP_NOT_FOUND, "does not exist", 0 },
	{ "openai/responses-stream__vercel-openai-error-1", 0, GW_E_UP_BILLING, "exceeded your current quota", 0 },
	{ "openai/responses__multimodal-tool-return-matrix-direct-url-audio-openai-responses__1__http400", 400,
	  GW_E_UP_BAD_REQUEST, "not supported", 0 },
	{ "openai/responses__openai-responses-thinking-with-modified-history__1__http400", 400, GW_E_UP_BAD_REQUEST,
	  "without its required", 0 },
	{ "openai/responses__real-error-scenarios-openai-gpt-5-nano-handles-context-length-exceeded__0__http400", 400,
	  GW_E_UP_CONTEXT, "context window", 0 },
	{ "openai/responses__vercel-openai-error-1", 429, GW_E_UP_BILLING, "exceeded your current quota", 0 },
	{ "openrouter/chat__error-handling-with-openrouter-claude-haiku-4-5-raises-appropriate-aut__0__http401", 401,
	  GW_E_UP_AUTH, "Missing Authentication", 0 },
	{ "vertex/generateContent__multimodal-tool-return-matrix-direct-url-image-google-vertex__2__http400", 400,
	  GW_E_UP_BAD_REQUEST, "Cannot fetch content", 0 },
	{ "vertex/generateContent__real-error-scenarios-vertexai-gemini-2-5-flash-handles-context-length__1__http400",
	  400, GW_E_UP_CONTEXT, "input token count", 0 },
	{ "xai/responses__error-handling-with-xai-grok-4-1-fast-non-reasoning-raises-appropriate__0__http400", 400,
	  GW_E_UP_AUTH, "Incorrect API key", 0 },
};

static const struct known *find_known(struct gw_str dir)
{
	for (size_t i = 0; i < N_OF(known); i++) {
		if (gw_str_eq(dir, gw_str_z(known[i].dir)))
			return &known[i];
	}
	return NULL;
}

/* The error object that a stream tells; NIL when there is none. */
static struct gw_str error_line(struct gw_str stream)
{
	static const char *const heads[] = { "{\"error\":", "{\"type\":\"error\"", "{\"type\":\"response.failed\"" };
	struct gw_str line;

	while (stream.n) {
		gw_str_cut(stream, '\n', &line, &stream);
		if (gw_str_has_prefix(line, GW_LIT("data:")))
			line = gw_str_skip(line, 5);
		line = gw_str_trim(line);
		for (size_t i = 0; i < N_OF(heads); i++) {
			if (gw_str_has_prefix(line, gw_str_z(heads[i])))
				return line;
		}
	}
	return GW_NIL;
}

static void check_known(const struct known *k, struct gw_str body)
{
	struct gw_upstream_reply in = { .status = k->status, .body = k->status ? body : error_line(body) };
	struct gw_upstream_error u;

	gw_upstream_error_take(&arena, &in, &u);
	if (k->err == GW_OK)
		return;
	if (u.err != k->err || !u.message.n || !memmem(u.message.p, u.message.n, k->words, strlen(k->words)) ||
	    (k->retry_ms > 0) != (u.retry_after_ms > 0) || u.retry_after_ms < k->retry_ms)
		fail_msg("%s: %s '%.*s' %llu ms", k->dir, gw_err_info(u.err)->name, GW_FMT(u.message),
			 (unsigned long long)u.retry_after_ms);
	assert_null(memmem(u.message.p, u.message.n, "://", 3));
}

/* One row of INDEX.tsv: true when it is a failure. */
static bool check_row(struct gw_str row)
{
	struct gw_str field[8] = { 0 };
	const struct known *k;
	struct gw_str body;
	uint64_t http = 0;
	char path[1024];
	bool is_error;

	for (size_t i = 0; i < N_OF(field) && row.n; i++)
		gw_str_cut(row, '\t', &field[i], &row);
	snprintf(path, sizeof(path), "fixtures/%.*s/%.*s", GW_FMT(field[0]), GW_FMT(field[6]));
	body = shared_file(path);
	is_error = (gw_str_u64(field[4], &http) && http >= 400) ||
		   memmem(field[5].p ? field[5].p : "", field[5].n, "error", 5) ||
		   (gw_str_eq(field[3], GW_LIT("stream")) && body.p && error_line(body).n);
	k = find_known(field[0]);
	if (is_error && !k)
		fail_msg("%.*s is not listed", GW_FMT(field[0]));
	if (is_error && !body.p)
		fail_msg("%s cannot be read", path);
	if (is_error)
		check_known(k, body);
	free((char *)(uintptr_t)body.p);
	gw_arena_reset(&arena, start);
	return is_error;
}

static bool has_shared;

static void recorded(void **st)
{
	struct gw_str index = shared_file("fixtures/INDEX.tsv"), rest = index, line;
	struct gw_str native = shared_file("fixtures/ollama-native/midstream-error.ndjson");
	unsigned n = 1;

	(void)st;
	if (!has_shared)
		skip();
	check_known(find_known(GW_LIT("ollama-native/midstream-error.ndjson")), native);
	while (rest.n) {
		gw_str_cut(rest, '\n', &line, &rest);
		if (line.n && !gw_str_has_prefix(line, GW_LIT("dir\t")))
			n += check_row(line);
	}
	assert_int_equal(n, N_OF(known)); /* each of the list was met */
	free((char *)(uintptr_t)native.p);
	free((char *)(uintptr_t)index.p);
}

/* ---- shapes, in bodies of our own ---- */

static const struct {
	int status;
	const char *body;
	enum gw_err err;
	const char *message, *code, *param;
} shapes[] = {
	/* OpenAI, Responses streams */
	{ 0, "{\"type\":\"error\",\"code\":\"server_is_overloaded\",\"message\":\"busy\",\"param\":null}",
	  GW_E_UP_OVERLOADED, "busy", "server_is_overloaded", "" },
	{ 0,
	  "{\"type\":\"response.failed\",\"response\":{\"id\":\"r\",\"error\":{\"code\":\"rate_limit_exceeded\","
	  "\"message\":\"slower\"}}}",
	  GW_E_UP_LIMIT, "slower", "rate_limit_exceeded", "" },
	{ 429, "{\"error\":{\"message\":\"You exceeded your current quota\",\"type\":null,\"code\":null}}",
	  GW_E_UP_BILLING, "You exceeded your current quota", "", "" },
	/* Anthropic in a stream */
	{ 0, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
	  GW_E_UP_OVERLOADED, "Overloaded", "", "" },
	/* Google: an array, a key that is refused with 400, a day's quota, gone bad in a stream */
	{ 400,
	  "[{\"error\":{\"code\":400,\"message\":\"API key not valid. Please pass a valid API "
	  "key.\",\"status\":\"INVALID_ARGUMENT\",\"details\":[{\"@type\":\"t\",\"reason\":\"API_KEY_INVALID\"}]}}]",
	  GW_E_UP_AUTH, "API key not valid. Please pass a valid API key.", "400", "" },
	{ 400,
	  "{\"error\":{\"code\":400,\"message\":\"User location is not "
	  "supported\",\"status\":\"FAILED_PRECONDITION\"}}",
	  GW_E_UP_REGION, "User location is not supported", "400", "" },
	{ 400,
	  "{\"error\":{\"code\":400,\"message\":\"This API method requires billing to be enabled.\",\"status\":"
	  "\"FAILED_PRECONDITION\"}}",
	  GW_E_UP_BILLING, "This API method requires billing to be enabled.", "400", "" },
	{ 403,
	  "{\"error\":{\"message\":\"Country, region, or territory not "
	  "supported\",\"code\":\"unsupported_country_region_territory\"}}",
	  GW_E_UP_REGION, "Country, region, or territory not supported", "unsupported_country_region_territory", "" },
	{ 0, "{\"error\":{\"code\":503,\"message\":\"The model is overloaded.\",\"status\":\"UNAVAILABLE\"}}",
	  GW_E_UP_OVERLOADED, "The model is overloaded.", "503", "" },
	/* Bedrock */
	{ 403,
	  "{\"__type\":\"com.amazon.coral.service#UnrecognizedClientException\",\"message\":\"The security token "
	  "included in the request is invalid.\"}",
	  GW_E_UP_AUTH, "The security token included in the request is invalid.", "UnrecognizedClientException", "" },
	{ 403, "{\"__type\":\"AccessDeniedException\",\"Message\":\"no\"}", GW_E_UP_PERMISSION, "no",
	  "AccessDeniedException", "" },
	{ 400, "{\"__type\":\"ServiceQuotaExceededException\",\"message\":\"quota\"}", GW_E_UP_LIMIT, "quota",
	  "ServiceQuotaExceededException", "" },
	{ 424, "{\"message\":\"model\",\"originalStatusCode\":500}", GW_E_UP_SERVER, "model", "", "" },
	{ 400, "{\"message\":\"Input is too long for requested model.\"}", GW_E_UP_CONTEXT,
	  "Input is too long for requested model.", "", "" },
	{ 400,
	  "{\"message\":\"Invocation of model ID anthropic.claude-sonnet-4 with on-demand throughput isn\\u2019t "
	  "supported. Retry your request with the ID or ARN of an inference profile.\"}",
	  GW_E_UP_NO_DEPLOYMENT,
	  "Invocation of model ID anthropic.claude-sonnet-4 with on-demand throughput isn\xe2\x80\x99t supported. "
	  "Retry "
	  "your request with the ID or ARN of an inference profile.",
	  "", "" },
	{ 400, "{\"__type\":\"ValidationException\",\"message\":\"The provided model identifier is invalid.\"}",
	  GW_E_UP_NOT_FOUND, "The provided model identifier is invalid.", "ValidationException", "" },
	{ 429, "{\"message\":\"Too many tokens, please wait before trying again.\"}", GW_E_UP_LIMIT,
	  "Too many tokens, please wait before trying again.", "", "" },
	{ 403, "{\"__type\":\"AccessDeniedException\",\"message\":\"This model is not available in your region.\"}",
	  GW_E_UP_REGION, "This model is not available in your region.", "AccessDeniedException", "" },
	/* Azure */
	{ 404, "{\"error\":{\"code\":\"DeploymentNotFound\",\"message\":\"The API deployment does not exist.\"}}",
	  GW_E_UP_NO_DEPLOYMENT, "The API deployment does not exist.", "DeploymentNotFound", "" },
	{ 400,
	  "{\"error\":{\"code\":\"400\",\"message\":\"filtered\",\"innererror\":{\"code\":"
	  "\"ResponsibleAIPolicyViolation\"}}}",
	  GW_E_UP_FILTERED, "filtered", "400", "" },
	{ 401, "{\"error\":{\"code\":\"401\",\"message\":\"Access denied\"}}", GW_E_UP_AUTH, "Access denied", "401",
	  "" },
	/* Mistral, FastAPI: faults with their place; a message that is an object */
	{ 422, "{\"detail\":[{\"loc\":[\"body\",\"messages\",0],\"msg\":\"field required\",\"type\":\"missing\"}]}",
	  GW_E_UP_BAD_REQUEST, "body.messages.0: field required", "", "body.messages.0" },
	{ 422,
	  "{\"object\":\"error\",\"message\":{\"detail\":[{\"loc\":[\"body\",\"n\"],\"msg\":\"extra\"}]},\"type\":"
	  "\"invalid_request_error\",\"code\":1234}",
	  GW_E_UP_BAD_REQUEST, "body.n: extra", "1234", "body.n" },
	{ 400, "{\"error\":{\"message\":{\"detail\":\"inner words\"}}}", GW_E_UP_BAD_REQUEST, "inner words", "", "" },
	/* Cohere */
	{ 400, "{\"id\":\"i\",\"message\":\"too many tokens: size limit exceeded\",\"error_type\":\"TOO_MANY_TOKENS\"}",
	  GW_E_UP_CONTEXT, "too many tokens: size limit exceeded", "TOO_MANY_TOKENS", "" },
	{ 429,
	  "{\"message\":\"You are using a Trial key, which is limited to 1000 API calls / month. Upgrade for higher "
	  "rate limits.\"}",
	  GW_E_UP_BILLING,
	  "You are using a Trial key, which is limited to 1000 API calls / month. Upgrade for higher rate limits.", "",
	  "" },
	{ 429, "{\"message\":\"You are using a Trial key, which is limited to 10 API calls / minute\"}", GW_E_UP_LIMIT,
	  "You are using a Trial key, which is limited to 10 API calls / minute", "", "" },
	{ 498, "{\"message\":\"invalid token\"}", GW_E_UP_AUTH, "invalid token", "", "" },
	/* Groq */
	{ 498, "{\"error\":{\"message\":\"busy\",\"code\":\"capacity_exceeded\"}}", GW_E_UP_OVERLOADED, "busy",
	  "capacity_exceeded", "" },
	{ 0, "{\"error\":{\"message\":\"x\",\"type\":\"t\",\"status_code\":503}}", GW_E_UP_OVERLOADED, "x", "", "" },
	{ 413,
	  "{\"error\":{\"message\":\"Request too large: tokens per minute "
	  "(TPM)\",\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}",
	  GW_E_UP_LIMIT, "Request too large: tokens per minute (TPM)", "rate_limit_exceeded", "" },
	/* xAI, OpenRouter, Together, DeepSeek, llama.cpp, TGI, Ollama */
	{ 400, "{\"code\":\"invalid-argument\",\"error\":\"Incorrect API key provided.\"}", GW_E_UP_AUTH,
	  "Incorrect API key provided.", "invalid-argument", "" },
	{ 403,
	  "{\"error\":{\"code\":403,\"message\":\"m\",\"metadata\":{\"reasons\":[\"violence\"],\"flagged_input\":\"x\"}"
	  "}}",
	  GW_E_UP_FILTERED, "m", "403", "" },
	{ 0, "{\"error\":{\"code\":502,\"message\":\"Provider disconnected\"}}", GW_E_UP_SERVER,
	  "Provider disconnected", "502", "" },
	{ 403, "{\"error\":{\"message\":\"`inputs` tokens + `max_new_tokens` must be <= 4097\"}}", GW_E_UP_CONTEXT,
	  "`inputs` tokens + `max_new_tokens` must be <= 4097", "", "" },
	{ 402, "{\"error\":{\"message\":\"Insufficient Balance\"}}", GW_E_UP_BILLING, "Insufficient Balance", "", "" },
	{ 400, "{\"error\":{\"code\":400,\"message\":\"m\",\"type\":\"exceed_context_size_error\"}}", GW_E_UP_CONTEXT,
	  "m", "400", "" },
	{ 429, "{\"error\":\"Model is overloaded\",\"error_type\":\"overloaded\"}", GW_E_UP_LIMIT,
	  "Model is overloaded", "overloaded", "" },
	{ 422, "{\"error\":\"Input validation error\",\"error_type\":\"validation\"}", GW_E_UP_BAD_REQUEST,
	  "Input validation error", "validation", "" },
	{ 0, "{\"error\":\"an error was encountered\"}", GW_E_UP_SERVER, "an error was encountered", "", "" },
	{ 429,
	  "{\"code\":\"c\",\"error\":\"Your team has used all available credits or reached its monthly spending "
	  "limit. To generate more, add credits.\"}",
	  GW_E_UP_BILLING,
	  "Your team has used all available credits or reached its monthly spending limit. To generate more, add "
	  "credits.",
	  "c", "" },
	{ 400, "{\"error\":{\"message\":\"Model Not Exist\",\"code\":\"invalid_request_error\"}}", GW_E_UP_NOT_FOUND,
	  "Model Not Exist", "invalid_request_error", "" },
	{ 501, "{\"message\":\"not implemented\"}", GW_E_UP_BAD_REQUEST, "not implemented", "", "" },
	{ 400,
	  "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"You have reached your "
	  "specified API usage limits.\"}}",
	  GW_E_UP_BILLING, "You have reached your specified API usage limits.", "", "" },
	{ 403, "{\"error\":{\"code\":403,\"message\":\"Key limit exceeded (total limit).\"}}", GW_E_UP_BILLING,
	  "Key limit exceeded (total limit).", "403", "" },
	{ 401, "{\"detail\":\"Unauthorized\"}", GW_E_UP_AUTH, "Unauthorized", "", "" },
	/* a page of a proxy, nothing, and what is no object */
	{ 413, "<html><h1>413 Request Entity Too Large</h1></html>", GW_E_TOO_BIG, "", "", "" },
	{ 502, "<html>bad gateway</html>", GW_E_UP_SERVER, "", "", "" },
	{ 522, "", GW_E_UP_SERVER, "", "", "" },
	{ 400, "[]", GW_E_UP_BAD_REQUEST, "", "", "" },
	{ 400, "[[{\"error\":{\"code\":\"insufficient_quota\"}}]]", GW_E_UP_BAD_REQUEST, "", "", "" },
	{ 400, "\"insufficient_quota\"", GW_E_UP_BAD_REQUEST, "", "", "" },
};

static void each_shape(void **st)
{
	(void)st;
	for (size_t i = 0; i < N_OF(shapes); i++) {
		struct gw_upstream_error u = read_error(shapes[i].status, shapes[i].body);

		if (u.err != shapes[i].err || !gw_str_eq(u.message, gw_str_z(shapes[i].message)) ||
		    !gw_str_eq(u.code, gw_str_z(shapes[i].code)) || !gw_str_eq(u.param, gw_str_z(shapes[i].param)))
			fail_msg("%d %s: %s '%.*s' code '%.*s' param '%.*s'", shapes[i].status, shapes[i].body,
				 gw_err_info(u.err)->name, GW_FMT(u.message), GW_FMT(u.code), GW_FMT(u.param));
		gw_arena_reset(&arena, start);
	}
}

static void when_to_come_back(void **st)
{
	static const char minute[] =
	    "{\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\",\"message\":\"You exceeded your current "
	    "quota\",\"details\":["
	    "{\"violations\":[{\"quotaId\":\"GenerateRequestsPerMinutePerProject\"}]},{\"retryDelay\":\"48.9399s\"}]}}";
	static const char day[] =
	    "{\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\",\"message\":\"You exceeded your current "
	    "quota\",\"details\":["
	    "{\"violations\":[{\"quotaId\":\"GenerateRequestsPerDayPerProject\"}]},{\"retryDelay\":\"7s\"}]}}";
	struct gw_upstream_reply in = { .status = 429, .body = GW_LIT(minute), .retry_after = GW_LIT("2") };
	struct gw_upstream_error u;

	(void)st;
	u = read_error(429, minute);
	assert_true(u.err == GW_E_UP_LIMIT && u.retry_after_ms == 48939);
	u = read_error(429, day);
	assert_true(u.err == GW_E_UP_LIMIT && u.retry_after_ms == 3600000);
	gw_upstream_error_take(&arena, &in, &u); /* the header says it first */
	assert_int_equal(u.retry_after_ms, 2000);
	in.asked_ms = 3000; /* read from the headers before */
	gw_upstream_error_take(&arena, &in, &u);
	assert_int_equal(u.retry_after_ms, 3000);
	assert_int_equal(read_error(429, "{\"error\":{\"message\":\"Rate limit reached. Please try again in 7m12s.\"}}")
			     .retry_after_ms,
			 432000);
	assert_int_equal(read_error(400, "{\"error\":{\"message\":\"Please try again in 7m12s.\"}}").retry_after_ms, 0);
	assert_int_equal(read_error(429, "{\"error\":{\"details\":[{\"retryDelay\":\"-5s\"},{\"retryDelay\":"
					 "\"99999999s\"},{\"retryDelay\":7}]}}")
			     .retry_after_ms,
			 0);
}

/* What a page is said to be, with nothing of it. */
static void pages(void **st)
{
	struct gw_upstream_error u = read_error(502, "<html><h1>nginx</h1></html>");

	(void)st;
	assert_str(u.note, "The provider answered HTTP 502 with a web page (27 bytes), which tells no more.");
	assert_str(read_error(503, "busy").note,
		   "The provider answered HTTP 503 with text that is not JSON (4 bytes), which tells no more.");
	assert_str(read_error(500, " ").note, "The provider answered HTTP 500 and said nothing.");
	assert_int_equal(read_error(500, "{\"message\":\"m\"}").note.n, 0);
	assert_true(gw_upstream_is_error(&arena, GW_LIT("{\"error\":\"x\"}")));
	assert_true(gw_upstream_is_error(&arena, GW_LIT("[{\"error\":{\"message\":\"x\"}}]")));
	assert_false(gw_upstream_is_error(&arena, GW_LIT("{\"choices\":[]}")));
	assert_false(gw_upstream_is_error(&arena, GW_LIT("{\"error\":null}")));
}

static void headers(void **st)
{
	struct gw_upstream_reply in = {
		.status = 400,
		.error_type = GW_LIT("ExpiredTokenException:http://internal.amazon.com/coral/com.amazon/"),
		.body = GW_LIT("{\"message\":\"The security token included in the request is expired\"}")
	};
	struct gw_upstream_error u;

	(void)st;
	gw_upstream_error_take(&arena, &in, &u);
	assert_int_equal(u.err, GW_E_UP_AUTH);
	assert_str(u.code, "ExpiredTokenException");
	assert_str(
	    read_error(401,
		       "{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\"},\"request_id\":\"req_011C\"}")
		.request_id,
	    "req_011C");
	assert_string_equal(gw_upstream_id_headers[0], "x-request-id");
	for (const char *const *h = gw_upstream_id_headers; *h; h++)
		assert_true(h[1] || strcmp(*h, "cf-ray") == 0); /* a proxy's id comes last */
}

/* Any bytes at any status end in a row that clients may be told, with texts in bounds. */
static void hostile(void **st)
{
	(void)st;
	for (int round = 0; round < 100000; round++) {
		const char *from = shapes[rng_below(N_OF(shapes))].body;
		struct gw_str body = exact(gw_str_z(from));
		struct gw_upstream_reply in = { .status = (int)rng_below(700), .body = body };
		struct gw_upstream_error u;

		for (size_t k = rng_below(4); k > 0 && body.n; k--)
			((char *)(uintptr_t)body.p)[rng_below(body.n)] = (char)rng();
		gw_upstream_error_take(&arena, &in, &u);
		assert_true(gw_err_info(u.err)->http >= 400 && u.message.n <= 300 && u.code.n <= 64 && u.param.n <= 64);
		free((char *)(uintptr_t)body.p);
		gw_arena_reset(&arena, start);
	}
}

/* The body is in a buffer that the answer to the client is written over. */
static void texts_outlive_the_body(void **st)
{
	char body[] = "{\"error\":{\"message\":\"m\",\"type\":\"t_1\",\"param\":\"p\",\"code\":400}}";
	struct gw_upstream_reply in = { .status = 400, .body = gw_str(body, sizeof(body) - 1) };
	struct gw_upstream_error u;

	(void)st;
	gw_upstream_error_take(&arena, &in, &u);
	memset(body, '?', sizeof(body));
	assert_true(gw_str_eq(u.code, GW_LIT("400")) && gw_str_eq(u.type, GW_LIT("t_1")));
	assert_true(gw_str_eq(u.param, GW_LIT("p")) && gw_str_eq(u.message, GW_LIT("m")));
	gw_arena_reset(&arena, start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recorded), cmocka_unit_test(each_shape), cmocka_unit_test(when_to_come_back),
		cmocka_unit_test(headers),  cmocka_unit_test(pages),      cmocka_unit_test(texts_outlive_the_body),
		cmocka_unit_test(hostile)
	};
	struct gw_str index = shared_file("fixtures/INDEX.tsv");
	int failed;

	has_shared = index.p != NULL;
	free((char *)(uintptr_t)index.p);
	gw_arena_init(&arena, NULL, 0, 1 << 20);
	start = gw_arena_mark(&arena);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	gw_arena_done(&arena);
	return failed || has_shared ? failed : skip_all("no recorded errors: LLMGW_SHARED has no fixtures/");
}
