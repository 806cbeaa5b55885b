/* Chat completions and models as a good provider answers them: whole or streamed, with tools, usage, echo. */
#include <stdio.h>
#include "bench/mockllm.h"
#include "lib/json_write.h"

static const char filler[] =
    "The quick brown fox jumps over the lazy dog while the scripted server keeps talking about nothing. ";

static struct gw_str member(yyjson_val *v, const char *key)
{
	yyjson_val *m = yyjson_obj_get(v, key);

	return yyjson_is_str(m) ? gw_json_str(m) : GW_NIL;
}

static void copy_z(char *to, size_t size, struct gw_str from)
{
	size_t n = from.n < size ? from.n : size - 1;

	memcpy(to, from.p ? from.p : "", n);
	to[n] = '\0';
}

static struct gw_str text_of(yyjson_val *message)
{
	yyjson_val *content = yyjson_obj_get(message, "content"), *part;
	size_t i, n;

	if (yyjson_is_str(content))
		return gw_json_str(content);
	yyjson_arr_foreach(content, i, n, part) if (yyjson_equals_str(yyjson_obj_get(part, "type"),
								      "text")) return member(part, "text");
	return GW_NIL;
}

/* "fault=stall chunks=3 chunk_ms=20": the words a message "mock: ..." or a script may carry. */
void mock_tune_read(struct gw_str words, struct mock_tune *t, char *fault, size_t n_fault)
{
	struct {
		const char *name;
		uint64_t *to;
	} rows[] = {
		{ "delay_ms", &t->delay_ms },
		{ "chunk_ms", &t->chunk_ms },
		{ "chunks", &t->chunks },
		{ "bytes", &t->bytes },
		{ "prompt", (uint64_t *)&t->prompt_tokens },
		{ "completion", (uint64_t *)&t->completion_tokens },
		{ "cached", (uint64_t *)&t->cached_tokens },
		{ "cut", &t->cut },
	};
	struct gw_str word, name, value;

	while (words.n > 0) {
		gw_str_cut(words, ' ', &word, &words);
		if (!gw_str_cut(word, '=', &name, &value))
			continue;
		if (gw_str_eq(name, GW_LIT("fault")))
			copy_z(fault, n_fault, value);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			if (gw_str_eq(name, gw_str_z(rows[i].name)))
				(void)gw_str_u64(value, rows[i].to);
	}
}

static void read_messages(struct mock_conn *c, yyjson_val *root, char *fault, size_t n_fault)
{
	yyjson_val *messages = yyjson_obj_get(root, "messages"), *tools = yyjson_obj_get(root, "tools");
	yyjson_val *last = yyjson_arr_get_last(messages);
	struct gw_str text = text_of(last);

	if (yyjson_equals_str(yyjson_obj_get(last, "role"), "tool")) {
		gw_buf_puts(&c->chat.text, GW_LIT("The tool said: "));
		gw_buf_puts(&c->chat.text, text);
		return;
	}
	if (gw_str_has_prefix(text, GW_LIT("echo: ")))
		gw_buf_puts(&c->chat.text, gw_str_skip(text, 6));
	if (gw_str_has_prefix(text, GW_LIT("mock: ")))
		mock_tune_read(gw_str_skip(text, 6), &c->tune, fault, n_fault);
	if (yyjson_arr_size(tools) > 0 && text.n > 0 && memmem(text.p, text.n, "use the tool", 12)) {
		c->chat.is_tool_call = true;
		copy_z(c->chat.tool, sizeof(c->chat.tool),
		       member(yyjson_obj_get(yyjson_arr_get_first(tools), "function"), "name"));
	}
}

bool mock_chat_read(struct mock_conn *c)
{
	char fault[64] = "";
	yyjson_alc alc;
	yyjson_doc *doc;
	yyjson_val *root;
	struct gw_str name;
	struct gw_str body = c->rq.body;
	bool in_pool = yyjson_read_max_memory_usage(body.n, 0) <= MOCK_JSON_POOL &&
		       yyjson_alc_pool_init(&alc, c->thread->json_pool, MOCK_JSON_POOL);

	gw_buf_clear(&c->chat.text, 65536);
	c->chat.is_stream = c->chat.wants_usage = c->chat.is_tool_call = false;
	doc = yyjson_read_opts((char *)(uintptr_t)body.p, body.n, 0, in_pool ? &alc : NULL, NULL);
	root = yyjson_doc_get_root(doc);
	if (!yyjson_is_obj(root)) {
		yyjson_doc_free(doc);
		return false;
	}
	copy_z(c->chat.model, sizeof(c->chat.model), member(root, "model"));
	c->chat.is_stream = yyjson_is_true(yyjson_obj_get(root, "stream"));
	c->chat.wants_usage = yyjson_is_true(yyjson_obj_get(yyjson_obj_get(root, "stream_options"), "include_usage"));
	read_messages(c, root, fault, sizeof(fault));
	yyjson_doc_free(doc);

	/* which fault, if any: header, rule, message, model name */
	c->fault = NULL;
	if (c->rq.fault.n > 0)
		copy_z(fault, sizeof(fault), c->rq.fault);
	else
		(void)mock_rule_take(gw_str_z(c->chat.model), fault, sizeof(fault));
	name = gw_str_z(c->thread->always ? c->thread->always : fault);
	if (name.n == 0) {
		const char *at = strstr(c->chat.model, "mock-");

		name = at ? gw_str_z(at + 5) : GW_NIL;
	}
	if (name.n > 0)
		c->fault = mock_fault_find(name);
	return true;
}

void mock_usage(struct mock_conn *c, struct gw_buf *b)
{
	const struct mock_tune *t = &c->tune;
	int64_t out = t->completion_tokens >= 0 ? t->completion_tokens : c->chat.is_stream ? (int64_t)c->at : 7;

	gw_buf_puts(b, GW_LIT("{\"prompt_tokens\":"));
	gw_buf_put_i64(b, t->prompt_tokens);
	gw_buf_puts(b, GW_LIT(",\"completion_tokens\":"));
	gw_buf_put_i64(b, out);
	gw_buf_puts(b, GW_LIT(",\"total_tokens\":"));
	gw_buf_put_i64(b, t->prompt_tokens + out);
	gw_buf_puts(b, GW_LIT(",\"prompt_tokens_details\":{\"cached_tokens\":"));
	gw_buf_put_i64(b, t->cached_tokens);
	gw_buf_puts(b, GW_LIT("},\"completion_tokens_details\":{\"reasoning_tokens\":0}}"));
}

static void put_prelude(struct mock_conn *c, struct gw_buf *b, const char *object)
{
	gw_buf_puts(b, GW_LIT("{\"id\":\"chatcmpl-mock-"));
	gw_buf_put_u64(b, c->serial);
	gw_buf_puts(b, GW_LIT("\",\"object\":\""));
	gw_buf_puts(b, gw_str_z(object));
	gw_buf_puts(b, GW_LIT("\",\"created\":1700000000,\"model\":"));
	gw_json_quote(b, gw_str_z(c->chat.model));
	gw_buf_puts(b, GW_LIT(",\"system_fingerprint\":\"fp_mock\",\"choices\":["));
}

/* The whole answer. usage: JSON text, "" = the true one, NULL = none. */
void mock_chat_json(struct mock_conn *c, struct gw_buf *b, const char *usage)
{
	size_t rest = c->tune.bytes > 420 ? c->tune.bytes - 420 : 0, start = b->n;

	put_prelude(c, b, "chat.completion");
	gw_buf_puts(b, GW_LIT("{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"));
	if (c->chat.is_tool_call) {
		gw_buf_printf(b,
			      "null,\"tool_calls\":[{\"id\":\"call_mock_%llu\",\"type\":\"function\",\"function\":{"
			      "\"name\":\"%s\","
			      "\"arguments\":\"{\\\"city\\\":\\\"Paris\\\",\\\"n\\\":2}\"}}]",
			      (unsigned long long)c->serial, c->chat.tool);
	} else if (gw_buf_len(&c->chat.text) > 0) {
		gw_json_quote(b, gw_buf_view(&c->chat.text));
	} else {
		gw_buf_puts(b, GW_LIT("\"Hello from mockllm. "));
		for (size_t n; rest > 0; rest -= n) {
			n = rest < sizeof(filler) - 1 ? rest : sizeof(filler) - 1;
			gw_buf_put(b, filler, n);
		}
		gw_buf_putc(b, '"');
	}
	gw_buf_puts(b, GW_LIT(",\"refusal\":null},\"logprobs\":null,\"finish_reason\":"));
	gw_buf_puts(b, c->chat.is_tool_call ? GW_LIT("\"tool_calls\"}]") : GW_LIT("\"stop\"}]"));
	if (usage) {
		gw_buf_puts(b, GW_LIT(",\"usage\":"));
		if (*usage)
			gw_buf_puts(b, gw_str_z(usage));
		else
			mock_usage(c, b);
	}
	gw_buf_putc(b, '}');
	(void)start;
}

/* One event of a stream; delta_json NULL: an empty delta with the finish reason. */
void mock_chat_event(struct mock_conn *c, const char *delta_json, const char *finish)
{
	struct gw_buf *b = &c->body;

	gw_buf_clear(b, 65536);
	gw_buf_puts(b, GW_LIT("data: "));
	put_prelude(c, b, "chat.completion.chunk");
	gw_buf_puts(b, GW_LIT("{\"index\":0,\"delta\":"));
	gw_buf_puts(b, gw_str_z(delta_json));
	gw_buf_puts(b, GW_LIT(",\"logprobs\":null,\"finish_reason\":"));
	if (finish)
		gw_json_quote(b, gw_str_z(finish));
	else
		gw_buf_puts(b, GW_LIT("null"));
	gw_buf_puts(b, c->chat.wants_usage ? GW_LIT("}],\"usage\":null}\n\n") : GW_LIT("}]}\n\n"));
	mock_chunk(c, gw_buf_view(b));
}

void mock_chat_usage_event(struct mock_conn *c, const char *usage)
{
	struct gw_buf *b = &c->body;

	gw_buf_clear(b, 65536);
	gw_buf_puts(b, GW_LIT("data: "));
	put_prelude(c, b, "chat.completion.chunk");
	gw_buf_puts(b, GW_LIT("],\"usage\":"));
	if (*usage)
		gw_buf_puts(b, gw_str_z(usage));
	else
		mock_usage(c, b);
	gw_buf_puts(b, GW_LIT("}\n\n"));
	mock_chunk(c, gw_buf_view(b));
}

static bool tool_piece(struct mock_conn *c)
{
	static const char *const args[] = { "{\\\"ci", "ty\\\":\\\"Pa", "ris\\\",\\\"n\\\":", "2}" };
	char delta[320];

	if (c->at > 4)
		return false;
	if (c->at == 0)
		snprintf(delta, sizeof(delta),
			 "{\"tool_calls\":[{\"index\":0,\"id\":\"call_mock_%llu\",\"type\":\"function\","
			 "\"function\":{\"name\":\"%s\",\"arguments\":\"\"}}]}",
			 (unsigned long long)c->serial, c->chat.tool);
	else
		snprintf(delta, sizeof(delta), "{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"%s\"}}]}",
			 args[c->at - 1]);
	c->at++;
	mock_chat_event(c, delta, NULL);
	return true;
}

bool mock_chat_piece(struct mock_conn *c)
{
	struct gw_str text = gw_buf_view(&c->chat.text);
	struct gw_buf delta;
	size_t step, from, to;

	if (c->chat.is_tool_call)
		return tool_piece(c);
	if (c->at >= c->tune.chunks)
		return false;
	gw_buf_init(&delta, MOCK_MAX_REQUEST);
	gw_buf_puts(&delta, GW_LIT("{\"content\":"));
	if (c->chat.text.n > 0) { /* equal parts, cut between characters */
		step = (text.n + c->tune.chunks - 1) / c->tune.chunks;
		from = c->at * step < text.n ? c->at * step : text.n;
		to = from + step < text.n ? from + step : text.n;
		while (from < text.n && ((unsigned char)text.p[from] & 0xc0) == 0x80)
			from++;
		while (to < text.n && ((unsigned char)text.p[to] & 0xc0) == 0x80)
			to++;
		gw_json_quote(&delta, gw_str(text.p + from, to > from ? to - from : 0));
		if (to >= text.n)
			c->tune.chunks = c->at + 1;
	} else {
		gw_buf_printf(&delta, "\"word%llu \"", (unsigned long long)c->at);
	}
	gw_buf_puts(&delta, GW_LIT("}"));
	gw_buf_putc(&delta, '\0');
	c->at++;
	mock_chat_event(c, delta.p, NULL);
	gw_buf_done(&delta);
	return true;
}

static void step_done(struct mock_conn *c)
{
	if (c->chat.wants_usage)
		mock_chat_usage_event(c, "");
	mock_chunk(c, GW_LIT("data: [DONE]\n\n"));
	mock_last_chunk(c);
}

static void step_piece(struct mock_conn *c)
{
	if (!mock_chat_piece(c)) {
		mock_chat_event(c, "{}", c->chat.is_tool_call ? "tool_calls" : "stop");
		c->step = step_done;
		return;
	}
	c->step = step_piece;
	c->wait_ms = c->tune.chunk_ms;
}

void mock_chat_start(struct mock_conn *c)
{
	if (!c->chat.is_stream) {
		gw_buf_clear(&c->body, 65536);
		mock_chat_json(c, &c->body, "");
		mock_whole(c, 200, "application/json", gw_buf_view(&c->body), "");
		return;
	}
	atomic_fetch_add_explicit(&mock_counts.streams, 1, memory_order_relaxed);
	mock_head(c, 200, "text/event-stream; charset=utf-8", -1, "Cache-Control: no-cache\r\n");
	mock_chat_event(c, "{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}", NULL);
	c->step = step_piece;
	c->wait_ms = c->tune.chunk_ms;
}
