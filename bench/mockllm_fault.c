/* The ways in which a provider can fail, one row each. A request picks one by the header `x-mock-fault`, by a rule
 * (/mock/next, script file), by a last message "mock: fault=NAME", or by a model named "...mock-NAME". */
#include <stdio.h>
#include "bench/mockllm.h"

static void raw(struct mock_conn *c, struct gw_str bytes)
{
	gw_buf_puts(&c->out, bytes);
}

static void stream_head(struct mock_conn *c, const char *extra)
{
	mock_head(c, 200, "text/event-stream; charset=utf-8", -1, extra);
	mock_chat_event(c, "{\"role\":\"assistant\",\"content\":\"\"}", NULL);
}

static void wait_forever(struct mock_conn *c)
{
	c->step = wait_forever;
	c->wait_ms = 3600000;
}

/* --- nothing, or not HTTP --- */
static void silent(struct mock_conn *c)
{
	wait_forever(c);
}
static void close_now(struct mock_conn *c)
{
	c->ending = MOCK_CUT;
}
static void reset(struct mock_conn *c)
{
	c->ending = MOCK_RST;
}

static void garbage(struct mock_conn *c)
{
	uint32_t x = 2463534242u;

	for (int i = 0; i < 512; i++) {
		x ^= x << 13, x ^= x >> 17, x ^= x << 5;
		gw_buf_putc(&c->out, (char)(x | 0x80));
	}
	c->ending = MOCK_CUT;
}

static void garbage_status(struct mock_conn *c)
{
	raw(c, GW_LIT("HTTP/1.1 abc\r\nContent-Length: 0\r\n\r\n"));
	c->ending = MOCK_CUT;
}

/* One byte of the head per chunk_ms (default a second). */
static void slow_head(struct mock_conn *c)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

	if (c->at >= sizeof(head) - 1)
		return;
	gw_buf_putc(&c->out, head[c->at++]);
	c->step = slow_head;
	c->wait_ms = c->tune.chunk_ms ? c->tune.chunk_ms : 1000;
}

static void stale(struct mock_conn *c)
{
	c->dies_on_reuse = true;
	mock_chat_start(c);
}

static void close_idle(struct mock_conn *c)
{
	mock_chat_start(c); /* says keep-alive, closes all the same */
	c->ending = MOCK_CUT;
}

/* --- a head, then trouble --- */
static void redirect(struct mock_conn *c)
{
	mock_whole(c, 307, "text/plain", GW_LIT("go there"), "Location: http://169.254.169.254/latest/meta-data/\r\n");
}

static void many_1xx(struct mock_conn *c, int n)
{
	for (int i = 0; i < n; i++)
		raw(c, GW_LIT("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"));
	mock_chat_start(c);
}
static void early_hints(struct mock_conn *c)
{
	many_1xx(c, 3);
}
static void flood_1xx(struct mock_conn *c)
{
	many_1xx(c, 10000);
}

static void header_flood(struct mock_conn *c)
{
	raw(c, GW_LIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"));
	for (int i = 0; i < 10000; i++)
		gw_buf_printf(&c->out, "X-Flood-%d: aaaaaaaaaaaaaaaa\r\n", i);
	raw(c, GW_LIT("\r\n{}"));
}

static void header_huge(struct mock_conn *c)
{
	char *p;

	raw(c, GW_LIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Huge: "));
	p = gw_buf_room(&c->out, 1 << 20);
	if (p)
		memset(p, 'h', 1 << 20), gw_buf_commit(&c->out, 1 << 20);
	raw(c, GW_LIT("\r\n\r\n{}"));
}

static void header_injection(struct mock_conn *c)
{
	gw_buf_clear(&c->body, 65536);
	mock_chat_json(c, &c->body, "");
	mock_whole(c, 200, "application/json", gw_buf_view(&c->body),
		   "X-A: a\r\nSet-Cookie: stolen=1; Path=/\r\nConnection: x-request-id\r\nServer: evil\r\n");
}

static void body_of_type(struct mock_conn *c, int status, const char *type, const char *body)
{
	mock_whole(c, status, type, gw_str_z(body), "");
}
static void html(struct mock_conn *c)
{
	body_of_type(c, 200, "text/html", "<html><body><h1>Welcome</h1></body></html>");
}
static void html_502(struct mock_conn *c)
{
	body_of_type(c, 502, "text/html", "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>");
}
static void empty_body(struct mock_conn *c)
{
	body_of_type(c, 200, "application/json", "");
}
static void truncated_json(struct mock_conn *c)
{
	body_of_type(c, 200, "application/json",
		     "{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion\",\"choices\":[{\"ind");
}
static void status_204(struct mock_conn *c)
{
	mock_head(c, 204, NULL, -2, "");
}

static void deep_json(struct mock_conn *c)
{
	gw_buf_clear(&c->body, 65536);
	for (int i = 0; i < 100000; i++)
		gw_buf_putc(&c->body, '[');
	for (int i = 0; i < 100000; i++)
		gw_buf_putc(&c->body, ']');
	mock_whole(c, 200, "application/json", gw_buf_view(&c->body), "");
}

static void huge_piece(struct mock_conn *c)
{
	char *p = gw_buf_room(&c->out, 65536);

	if (c->tune.cut == 0 || !p)
		return;
	memset(p, 'x', 65536);
	gw_buf_commit(&c->out, 65536);
	c->tune.cut--;
	c->must_flush = true;
	c->step = huge_piece;
}

/* 1 GiB, or `bytes`, in a body that never becomes JSON. */
static void huge_json(struct mock_conn *c)
{
	uint64_t n = c->tune.bytes > 65536 ? c->tune.bytes / 65536 * 65536 : 1ull << 30;

	mock_head(c, 200, "application/json", (int64_t)n, "");
	c->tune.cut = n / 65536;
	c->step = huge_piece;
}

static void gzip(struct mock_conn *c)
{
	/* gzip of "{}": one stored block */
	static const char z[] = "\x1f\x8b\x08\0\0\0\0\0\0\xff\x01\x02\0\xfd\xff{}\x43\xbf\xa6\xa3\x02\0\0\0";

	mock_whole(c, 200, "application/json", gw_str(z, sizeof(z) - 1), "Content-Encoding: gzip\r\n");
}

static void echo_auth(struct mock_conn *c)
{
	char extra[1200];

	gw_buf_clear(&c->body, 65536);
	gw_buf_printf(&c->body,
		      "{\"error\":{\"message\":\"Incorrect API key provided: %.*s\",\"type\":\"invalid_request_error\","
		      "\"param\":null,\"code\":\"invalid_api_key\"}}",
		      GW_FMT(c->rq.authorization));
	snprintf(extra, sizeof(extra), "x-echo: %.*s\r\nWWW-Authenticate: Bearer realm=\"%.*s\"\r\n",
		 GW_FMT(c->rq.authorization), GW_FMT(c->rq.authorization));
	mock_whole(c, 401, "application/json", gw_buf_view(&c->body), extra);
}

/* The credential comes back inside a good answer, whole or in an SSE event. */
static void echo_auth_ok(struct mock_conn *c)
{
	gw_buf_clear(&c->chat.text, 65536);
	gw_buf_puts(&c->chat.text, c->rq.authorization);
	mock_chat_start(c);
}

static void usage_of(struct mock_conn *c, const char *usage)
{
	if (!c->chat.is_stream) {
		gw_buf_clear(&c->body, 65536);
		mock_chat_json(c, &c->body, usage);
		mock_whole(c, 200, "application/json", gw_buf_view(&c->body), "");
		return;
	}
	stream_head(c, "");
	while (mock_chat_piece(c))
		continue;
	mock_chat_event(c, "{}", "stop");
	if (usage)
		mock_chat_usage_event(c, usage);
	mock_chunk(c, GW_LIT("data: [DONE]\n\n"));
	mock_last_chunk(c);
}
static void no_usage(struct mock_conn *c)
{
	usage_of(c, NULL);
}
static void negative_usage(struct mock_conn *c)
{
	usage_of(c, "{\"prompt_tokens\":-5,\"completion_tokens\":-7,\"total_tokens\":-12}");
}
static void nan_usage(struct mock_conn *c)
{
	usage_of(c, "{\"prompt_tokens\":1e999,\"completion_tokens\":1e300,\"total_tokens\":1e999}");
}
static void string_usage(struct mock_conn *c)
{
	usage_of(c, "{\"prompt_tokens\":\"12\",\"completion_tokens\":\"7\",\"total_tokens\":null}");
}

static void cut_body(struct mock_conn *c)
{
	gw_buf_clear(&c->body, 65536);
	mock_chat_json(c, &c->body, "");
	mock_head(c, 200, "application/json", (int64_t)c->body.n, "");
	raw(c, gw_str(c->body.p, c->body.n / 2));
	c->ending = MOCK_CUT;
}

static void until_close(struct mock_conn *c)
{
	c->rq.is_close = true;
	gw_buf_clear(&c->body, 65536);
	mock_chat_json(c, &c->body, "");
	mock_head(c, 200, "application/json", -2, "");
	raw(c, gw_buf_view(&c->body));
	c->ending = MOCK_CLOSE;
}

static void until_close_cut(struct mock_conn *c)
{
	until_close(c);
	c->ending = MOCK_CUT; /* over TLS: no close_notify, so the end proves nothing */
}

/* --- streams --- */
static void cut_stream_step(struct mock_conn *c)
{
	if (c->at < c->tune.cut && mock_chat_piece(c)) {
		c->step = cut_stream_step;
		c->wait_ms = c->tune.chunk_ms;
		return;
	}
	c->ending = MOCK_CUT;
}
static void cut_stream(struct mock_conn *c)
{
	stream_head(c, "");
	c->step = cut_stream_step;
}

static void stall_step(struct mock_conn *c)
{
	if (c->at < c->tune.cut && mock_chat_piece(c)) {
		c->step = stall_step;
		c->wait_ms = c->tune.chunk_ms;
		return;
	}
	wait_forever(c);
}
static void stall(struct mock_conn *c)
{
	stream_head(c, "");
	c->step = stall_step;
}

/* Head at once, the first event after delay_ms (default 120 s). */
static void slow_first_step(struct mock_conn *c)
{
	mock_chunk(c, GW_LIT("data: [DONE]\n\n"));
	mock_last_chunk(c);
}
static void slow_first(struct mock_conn *c)
{
	mock_head(c, 200, "text/event-stream", -1, "");
	c->step = slow_first_step;
	c->wait_ms = c->tune.chunk_ms ? c->tune.chunk_ms : 120000;
}

static const char error_event[] =
    "data: {\"error\":{\"message\":\"The server had an error while processing your request\",\"type\":\"server_error\","
    "\"param\":null,\"code\":\"server_error\"}}\n\n";
static void inline_error(struct mock_conn *c)
{
	mock_head(c, 200, "text/event-stream", -1, "");
	mock_chunk(c, gw_str_z(error_event));
	mock_last_chunk(c);
}
static void inline_error_mid(struct mock_conn *c)
{
	stream_head(c, "");
	while (c->at < c->tune.cut && mock_chat_piece(c))
		continue;
	mock_chunk(c, gw_str_z(error_event));
	mock_last_chunk(c);
}
static void no_done(struct mock_conn *c)
{
	stream_head(c, "");
	while (mock_chat_piece(c))
		continue;
	mock_chat_event(c, "{}", "stop");
	mock_last_chunk(c);
}

static void huge_line(struct mock_conn *c)
{
	size_t n = c->tune.bytes > 65536 ? c->tune.bytes : 2 << 20;
	char *p;

	stream_head(c, "");
	gw_buf_clear(&c->body, 65536);
	gw_buf_puts(&c->body, GW_LIT("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\""));
	p = gw_buf_room(&c->body, n);
	if (p)
		memset(p, 'y', n), gw_buf_commit(&c->body, n);
	gw_buf_puts(&c->body, GW_LIT("\"}}]}\n\n"));
	mock_chunk(c, gw_buf_view(&c->body));
	mock_chunk(c, GW_LIT("data: [DONE]\n\n"));
	mock_last_chunk(c);
}

static void crlf(struct mock_conn *c)
{
	mock_head(c, 200, "text/event-stream", -1, "");
	mock_chunk(c, GW_LIT(": comment\r\n\r\ndata: "
			     "{\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hi\"},"
			     "\"finish_reason\":null}]}\r\n\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{},"
			     "\"finish_reason\":\"stop\"}]}\r\n\r\ndata: [DONE]\r\n\r\n"));
	mock_last_chunk(c);
}

/* The good stream, but every byte is a chunk and a write of its own. */
static void split_step(struct mock_conn *c)
{
	struct gw_str v = gw_buf_view(&c->chat.text);

	if (v.n == 0) {
		mock_last_chunk(c);
		return;
	}
	mock_chunk(c, gw_str(v.p, 1));
	gw_buf_consume(&c->chat.text, 1);
	c->must_flush = true;
	c->step = split_step;
}
static void split(struct mock_conn *c)
{
	static const char text[] =
	    "data: "
	    "{\"id\":\"s\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"split\",\"choices\":[{"
	    "\"index\":0,"
	    "\"delta\":{\"role\":\"assistant\",\"content\":\"h\xc3\xa9llo\"},\"finish_reason\":null}]}\n\n"
	    "data: "
	    "{\"id\":\"s\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"split\",\"choices\":[{"
	    "\"index\":0,"
	    "\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1,\"total_"
	    "tokens\":4}}\n\n"
	    "data: [DONE]\n\n";

	mock_head(c, 200, "text/event-stream", -1, "");
	gw_buf_clear(&c->chat.text, 65536);
	gw_buf_puts(&c->chat.text, GW_LIT(text));
	c->step = split_step;
}

static void trailers(struct mock_conn *c)
{
	stream_head(c, "Trailer: X-Cost\r\n");
	while (mock_chat_piece(c))
		continue;
	mock_chunk(c, GW_LIT("data: [DONE]\n\n"));
	raw(c, GW_LIT("0\r\nX-Cost: 1\r\nX-Other: 5\r\n\r\n"));
}

static void chunk_huge(struct mock_conn *c)
{
	mock_head(c, 200, "text/event-stream", -1, "");
	raw(c, GW_LIT("7fffffff\r\n"));
	c->tune.cut = 256; /* 16 MiB of it */
	c->ending = MOCK_CUT;
	c->step = huge_piece;
}
static void chunk_overflow(struct mock_conn *c)
{
	mock_head(c, 200, "text/event-stream", -1, "");
	raw(c, GW_LIT("10000000000000000\r\ndata: x\r\n"));
	c->step = wait_forever;
}
static void both_lengths(struct mock_conn *c)
{
	raw(c,
	    GW_LIT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"));
}
static void extra_bytes(struct mock_conn *c)
{
	mock_whole(c, 200, "application/json", GW_LIT("{}"), "");
	raw(c, GW_LIT("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsmuggle"));
}

/* An answer while the body still comes; the rest of the body is read and dropped until the close. */
static void early_end(struct mock_conn *c)
{
	c->ending = MOCK_CUT;
}
static void early(struct mock_conn *c)
{
	c->rq.is_close = true;
	mock_error(c, 413, "invalid_request_error", "request_too_large", "too large, said before reading it", "");
	c->step = early_end;
	c->wait_ms = 200;
}

#define LIMITS                                                                                                         \
	"Retry-After: 2\r\nx-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 0\r\n"                    \
	"x-ratelimit-reset-requests: 2s\r\n"
static void too_many(struct mock_conn *c)
{
	mock_error(c, 429, "rate_limit_error", "rate_limit_exceeded", "Rate limit reached for requests", LIMITS);
}
static void quota(struct mock_conn *c)
{
	mock_error(c, 429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota", "");
}
static void context(struct mock_conn *c)
{
	mock_error(c, 400, "invalid_request_error", "context_length_exceeded",
		   "This model's maximum context length is 128000 tokens.", "");
}
static void filter(struct mock_conn *c)
{
	mock_error(c, 400, "invalid_request_error", "content_filter", "The response was filtered.", "");
}

static const struct mock_fault faults[] = {
	{ "400", NULL, 400, "error invalid_request_error" },
	{ "401", NULL, 401, "error invalid_api_key" },
	{ "402", NULL, 402, "error" },
	{ "403", NULL, 403, "error permission" },
	{ "404", NULL, 404, "error model_not_found" },
	{ "408", NULL, 408, "error" },
	{ "409", NULL, 409, "error" },
	{ "413", NULL, 413, "error" },
	{ "422", NULL, 422, "error" },
	{ "429", too_many, 429, "rate limit, Retry-After: 2" },
	{ "quota", quota, 429, "429 insufficient_quota" },
	{ "context", context, 400, "400 context_length_exceeded" },
	{ "filter", filter, 400, "400 content_filter" },
	{ "500", NULL, 500, "error server_error" },
	{ "502", NULL, 502, "error" },
	{ "503", NULL, 503, "error overloaded" },
	{ "504", NULL, 504, "error" },
	{ "529", NULL, 529, "error overloaded" },
	{ "html", html, 0, "200 with HTML" },
	{ "html-502", html_502, 0, "502 with HTML" },
	{ "empty", empty_body, 0, "200 with an empty body" },
	{ "204", status_204, 0, "204 without a body" },
	{ "truncated-json", truncated_json, 0, "200 with half a JSON text" },
	{ "deep-json", deep_json, 0, "100,000 nested arrays" },
	{ "huge-json", huge_json, 0, "a body of 1 GiB, or bytes=" },
	{ "gzip", gzip, 0, "Content-Encoding: gzip though identity was asked" },
	{ "silent", silent, 0, "never answers" },
	{ "close", close_now, 0, "closes without an answer" },
	{ "rst", reset, 0, "resets after the request" },
	{ "stale", stale, 0, "answers, then closes when the connection is used again" },
	{ "close-idle", close_idle, 0, "answers keep-alive, closes at once" },
	{ "slow-head", slow_head, 0, "one byte of the head each chunk_ms (1 s)" },
	{ "slow-first", slow_first, 0, "stream head at once, first event after chunk_ms (120 s)" },
	{ "garbage", garbage, 0, "512 random bytes" },
	{ "garbage-status", garbage_status, 0, "HTTP/1.1 abc" },
	{ "redirect", redirect, 0, "307 to a metadata address" },
	{ "1xx", early_hints, 0, "three 103 before the answer" },
	{ "1xx-flood", flood_1xx, 0, "10,000 times 103" },
	{ "header-flood", header_flood, 0, "10,000 response headers" },
	{ "header-huge", header_huge, 0, "one header of 1 MiB" },
	{ "header-injection", header_injection, 0,
	  "Set-Cookie, Server and Connection headers that must not be relayed" },
	{ "echo-auth", echo_auth, 0, "401 that repeats the Authorization header in body and headers" },
	{ "echo-auth-ok", echo_auth_ok, 0, "a good answer whose text is the Authorization header" },
	{ "no-usage", no_usage, 0, "no usage, even if asked" },
	{ "negative-usage", negative_usage, 0, "usage below zero" },
	{ "nan-usage", nan_usage, 0, "usage 1e999" },
	{ "string-usage", string_usage, 0, "usage as strings" },
	{ "cut-body", cut_body, 0, "closes before Content-Length is reached" },
	{ "cut-stream", cut_stream, 0, "closes after cut= chunks (3)" },
	{ "stall", stall, 0, "stops after cut= chunks, stays open" },
	{ "until-close", until_close, 0, "body without a length, ended by the close" },
	{ "until-close-cut", until_close_cut, 0, "the same; over TLS without close_notify" },
	{ "inline-error", inline_error, 0, "200, first event is an error" },
	{ "inline-error-mid", inline_error_mid, 0, "an error event after cut= chunks" },
	{ "no-done", no_done, 0, "a stream without [DONE]" },
	{ "huge-line", huge_line, 0, "an SSE line of 2 MiB, or bytes=" },
	{ "crlf", crlf, 0, "SSE with CRLF and a comment" },
	{ "split", split, 0, "every byte of the stream in its own chunk and write" },
	{ "trailers", trailers, 0, "chunked with trailers" },
	{ "chunk-huge", chunk_huge, 0, "chunk size 0x7fffffff, 16 MiB of it, then a cut" },
	{ "chunk-overflow", chunk_overflow, 0, "chunk size 2^64" },
	{ "both-lengths", both_lengths, 0, "Content-Length and Transfer-Encoding" },
	{ "extra-bytes", extra_bytes, 0, "a second response nobody asked for" },
	{ "early", early, 0, "413 before the body was read (header or rule only)" },
};

const struct mock_fault *mock_fault_find(struct gw_str name)
{
	const char *alias;

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (gw_str_eq(name, gw_str_z(faults[i].name)))
			return &faults[i];
	if (mock_fault_more(name))
		return mock_fault_more(name);
	alias = mock_script_fault(name); /* an id of the corpus */
	return alias && !gw_str_eq(name, gw_str_z(alias)) ? mock_fault_find(gw_str_z(alias)) : NULL;
}

void mock_fault_list(void)
{
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		printf("  %-18s %s\n", faults[i].name, faults[i].doc);
}
