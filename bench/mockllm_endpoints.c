/* The endpoints beside chat as a good provider answers them: embeddings, completions, moderations, responses, images, audio, files,
 * batches. Stateless: ids carry all there is to know, a file's content follows from its id. */
#include <stdio.h>
#include "bench/mockllm.h"
#include "lib/json_write.h"

enum { AUDIO_CHUNKS = 5, AUDIO_BYTES = 4000 };

static bool ends_with(struct gw_str s, const char *tail)
{
	size_t n = strlen(tail);

	return s.n >= n && memcmp(s.p + s.n - n, tail, n) == 0;
}

static bool has(struct gw_str s, const char *part)
{
	return s.n && memmem(s.p, s.n, part, strlen(part)) != NULL;
}

/* The last segment of "/v1/files/file-1", or the one before with `tail`. */
static struct gw_str id_of(struct gw_str path, const char *tail)
{
	struct gw_str s = gw_str(path.p, path.n - strlen(tail));

	for (size_t i = s.n; i > 0; i--) {
		if (s.p[i - 1] == '/')
			return gw_str_skip(s, i);
	}
	return s;
}

static void answer(struct mock_conn *c)
{
	mock_whole(c, 200, "application/json", gw_buf_view(&c->body), "");
}

static void begin(struct mock_conn *c)
{
	gw_buf_clear(&c->body, 65536);
}

/* ---- JSON in, JSON out ---- */

static void embeddings(struct mock_conn *c)
{
	bool is_base64 = has(c->rq.body, "base64");
	struct gw_buf *b = &c->body;

	begin(c);
	gw_buf_puts(b, GW_LIT("{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":"));
	/* 0.5, -1.0, 2.0 as little-endian floats */
	gw_buf_puts(b, is_base64 ? GW_LIT("\"AAAAPwAAgL8AAABA\"") : GW_LIT("[0.5,-1.0,2.0]"));
	gw_buf_puts(b, GW_LIT("}],\"model\":"));
	gw_json_quote(b, gw_str_z(c->chat.model));
	gw_buf_printf(b, ",\"usage\":{\"prompt_tokens\":%lld,\"total_tokens\":%lld}}", (long long)c->tune.prompt_tokens,
		      (long long)c->tune.prompt_tokens);
	answer(c);
}

static void moderations(struct mock_conn *c)
{
	begin(c);
	gw_buf_puts(&c->body, GW_LIT("{\"id\":\"modr-mock\",\"model\":"));
	gw_json_quote(&c->body, gw_str_z(c->chat.model));
	gw_buf_puts(&c->body, GW_LIT(",\"results\":[{\"flagged\":true,\"categories\":{\"violence\":true},"
				     "\"category_scores\":{\"violence\":0.97},\"category_applied_input_types\":{}}]}"));
	answer(c);
}

static void completion_chunk(struct mock_conn *c, const char *text, const char *finish)
{
	gw_buf_printf(&c->body,
		      "{\"id\":\"cmpl-mock\",\"object\":\"text_completion\",\"created\":1700000000,\"model\":\"%s\","
		      "\"choices\":[{"
		      "\"text\":\"%s\",\"index\":0,\"logprobs\":null,\"finish_reason\":%s}]",
		      c->chat.model, text, finish);
}

static void put_event(struct mock_conn *c, struct gw_str bytes)
{
	if (c->rq.is_http10)
		gw_buf_puts(&c->out, bytes);
	else
		mock_chunk(c, bytes);
}

static void completion_next(struct mock_conn *c)
{
	static const char *const words[] = { "one ", "two ", "three" };

	begin(c);
	gw_buf_puts(&c->body, GW_LIT("data: "));
	if (c->at < 3) {
		completion_chunk(c, words[c->at], "null");
		if (c->chat.wants_usage)
			gw_buf_puts(&c->body, GW_LIT(",\"usage\":null"));
	} else {
		completion_chunk(c, "", "\"stop\"");
		if (c->chat.wants_usage)
			gw_buf_puts(&c->body, GW_LIT(",\"usage\":null"));
	}
	gw_buf_puts(&c->body, GW_LIT("}\n\n"));
	if (c->at == 3 && c->chat.wants_usage) {
		gw_buf_puts(
		    &c->body,
		    GW_LIT("data: {\"id\":\"cmpl-mock\",\"object\":\"text_completion\",\"choices\":[],\"usage\":{"
			   "\"prompt_tokens\":5,\"completion_tokens\":3,\"total_tokens\":8}}\n\n"));
	}
	if (c->at == 3)
		gw_buf_puts(&c->body, GW_LIT("data: [DONE]\n\n"));
	put_event(c, gw_buf_view(&c->body));
	if (c->at++ == 3) {
		mock_last_chunk(c);
		return;
	}
	c->wait_ms = c->tune.chunk_ms;
	c->step = completion_next;
}

static void completions(struct mock_conn *c)
{
	if (c->chat.is_stream) {
		mock_head(c, 200, "text/event-stream", -1, "");
		c->step = completion_next;
		return;
	}
	begin(c);
	completion_chunk(c, "one two three", "\"stop\"");
	gw_buf_puts(&c->body, GW_LIT(",\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3,\"total_tokens\":8}}"));
	answer(c);
}

/* ---- responses ---- */

static void put_response(struct gw_buf *b, const char *id, const char *model, const char *status)
{
	gw_buf_printf(
	    b,
	    "{\"id\":\"%s\",\"object\":\"response\",\"created_at\":1700000000,\"status\":\"%s\",\"error\":null,"
	    "\"model\":\"%s\","
	    "\"parallel_tool_calls\":true,\"tool_choice\":\"auto\",\"tools\":[],\"output\":[{\"type\":\"message\","
	    "\"id\":\"msg_1\","
	    "\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"one two "
	    "three\","
	    "\"annotations\":[]}]}],\"usage\":{\"input_tokens\":11,\"input_tokens_details\":{\"cached_tokens\":4},"
	    "\"output_tokens\":3,\"output_tokens_details\":{\"reasoning_tokens\":1},\"total_tokens\":14}}",
	    id, status, model);
}

static void response_next(struct mock_conn *c)
{
	static const char *const words[] = { "one ", "two ", "three" };
	struct gw_buf *b = &c->body;

	begin(c);
	if (c->at == 0) {
		gw_buf_printf(
		    b,
		    "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{"
		    "\"id\":\"resp_mock\",\"object\":\"response\",\"model\":\"%s\",\"status\":\"in_progress\","
		    "\"output\":[]}}\n\n",
		    c->chat.model);
	} else if (c->at <= 3) {
		gw_buf_printf(b,
			      "event: response.output_text.delta\ndata: "
			      "{\"type\":\"response.output_text.delta\",\"sequence_number\":%u,"
			      "\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"%s\","
			      "\"logprobs\":[]}\n\n",
			      (unsigned)c->at, words[c->at - 1]);
	} else if (strstr(c->chat.model, "fails")) {
		gw_buf_puts(
		    b,
		    GW_LIT("event: error\ndata: {\"type\":\"error\",\"sequence_number\":4,\"error\":{\"type\":"
			   "\"server_error\",\"code\":\"server_error\",\"message\":\"it broke\",\"param\":null}}\n\n"));
	} else {
		gw_buf_puts(
		    b, GW_LIT("event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":4,"
			      "\"response\":"));
		put_response(b, "resp_mock", c->chat.model, "completed");
		gw_buf_puts(b, GW_LIT("}\n\n"));
	}
	put_event(c, gw_buf_view(b));
	if (c->at++ == 4) {
		mock_last_chunk(c);
		return;
	}
	c->wait_ms = c->tune.chunk_ms;
	c->step = response_next;
}

static void response(struct mock_conn *c)
{
	if (c->chat.is_stream) {
		mock_head(c, 200, "text/event-stream; charset=utf-8", -1, "");
		c->step = response_next;
		return;
	}
	begin(c);
	put_response(&c->body, "resp_mock", c->chat.model, "completed");
	answer(c);
}

static void stored_response(struct mock_conn *c, struct gw_str path)
{
	bool is_delete = gw_str_eq(c->rq.method, GW_LIT("DELETE"));
	char id[80];

	begin(c);
	if (ends_with(path, "/input_items")) {
		gw_buf_puts(
		    &c->body,
		    GW_LIT("{\"object\":\"list\",\"data\":[{\"type\":\"message\",\"id\":\"msg_0\",\"role\":\"user\","
			   "\"content\":[{\"type\":\"input_text\",\"text\":\"hello\"}]}],\"has_more\":false}"));
		answer(c);
		return;
	}
	snprintf(id, sizeof(id), "%.*s", GW_FMT(id_of(path, ends_with(path, "/cancel") ? "/cancel" : "")));
	if (strstr(id, "missing")) {
		mock_error(c, 404, "invalid_request_error", "not_found", "There is no response with this id.", "");
		return;
	}
	if (is_delete)
		gw_buf_printf(&c->body, "{\"id\":\"%s\",\"object\":\"response\",\"deleted\":true}", id);
	else
		put_response(&c->body, id, "mock-1", ends_with(path, "/cancel") ? "cancelled" : "completed");
	answer(c);
}

/* ---- images and sound ---- */

static void images(struct mock_conn *c)
{
	bool has_tokens = has(c->rq.body, "gpt-image");

	begin(c);
	gw_buf_puts(&c->body, GW_LIT("{\"created\":1700000000,\"data\":[{\"b64_json\":\"iVBORw0KGgo=\"}]"));
	if (has_tokens)
		gw_buf_puts(&c->body,
			    GW_LIT(",\"usage\":{\"input_tokens\":20,\"output_tokens\":100,\"total_tokens\":120,"
				   "\"input_tokens_details\":{\"text_tokens\":20,\"image_tokens\":0}}"));
	gw_buf_putc(&c->body, '}');
	answer(c);
}

static void speech_next(struct mock_conn *c)
{
	char piece[AUDIO_BYTES];

	for (size_t i = 0; i < sizeof(piece); i++)
		piece[i] = (char)(c->at * 31 + i);
	put_event(c, gw_str(piece, sizeof(piece)));
	if (++c->at == AUDIO_CHUNKS) {
		mock_last_chunk(c);
		return;
	}
	c->must_flush = true;
	c->wait_ms = c->tune.chunk_ms;
	c->step = speech_next;
}

static void speech(struct mock_conn *c)
{
	mock_head(c, 200, "audio/mpeg", -1, "");
	c->step = speech_next;
}

/* The value of a plain field of a multipart body, wherever it stands. */
static struct gw_str form_field(struct gw_str body, const char *name)
{
	char mark[64];
	int n = snprintf(mark, sizeof(mark), "name=\"%s\"\r\n\r\n", name);
	const char *at = body.n ? memmem(body.p, body.n, mark, (size_t)n) : NULL, *end;

	if (!at)
		return GW_NIL;
	at += n;
	end = memmem(at, (size_t)(body.p + body.n - at), "\r\n", 2);
	return end ? gw_str(at, (size_t)(end - at)) : GW_NIL;
}

static void transcription(struct mock_conn *c)
{
	struct gw_str body = c->rq.body, format = form_field(body, "response_format"),
		      stream = form_field(body, "stream");
	struct gw_str model = form_field(body, "model");

	begin(c);
	if (gw_str_eq(format, GW_LIT("text"))) {
		mock_whole(c, 200, "text/plain; charset=utf-8", GW_LIT("what was said\n"), "");
	} else if (gw_str_eq(stream, GW_LIT("true"))) {
		mock_head(c, 200, "text/event-stream", -1, "");
		put_event(c, GW_LIT("data: {\"type\":\"transcript.text.delta\",\"delta\":\"what was \"}\n\n"));
		put_event(c, GW_LIT("data: {\"type\":\"transcript.text.delta\",\"delta\":\"said\"}\n\n"));
		put_event(c, GW_LIT("data: {\"type\":\"transcript.text.done\",\"text\":\"what was "
				    "said\",\"usage\":{\"type\":\"tokens\","
				    "\"input_tokens\":30,\"output_tokens\":4,\"total_tokens\":34}}\n\n"));
		mock_last_chunk(c);
	} else {
		gw_buf_printf(&c->body,
			      "{\"text\":\"what was said, %zu bytes, model "
			      "%.*s\",\"usage\":{\"type\":\"duration\",\"seconds\":7}}",
			      body.n, GW_FMT(model));
		answer(c);
	}
}

/* ---- files and batches ---- */

static void put_file(struct mock_conn *c, struct gw_str id, uint64_t bytes)
{
	gw_buf_printf(&c->body,
		      "{\"id\":\"%.*s\",\"object\":\"file\",\"bytes\":%llu,\"created_at\":1700000000,\"filename\":\"a."
		      "jsonl\",\"purpose\":"
		      "\"batch\",\"status\":\"processed\"}",
		      GW_FMT(id), (unsigned long long)bytes);
}

static void content_next(struct mock_conn *c)
{
	char piece[16384];

	memset(piece, 'a' + (int)(c->at % 26), sizeof(piece));
	gw_buf_put(&c->out, piece, sizeof(piece));
	c->must_flush = true;
	c->step = ++c->at < c->tune.chunks ? content_next : NULL;
}

/* "file-64" has 64 pieces of 16 KiB. */
static void content(struct mock_conn *c, struct gw_str id)
{
	uint64_t n;

	if (gw_str_has_prefix(id, GW_LIT("file-")) && gw_str_u64(gw_str_skip(id, 5), &n) && n > 0) {
		c->tune.chunks = n;
		mock_head(c, 200, "application/octet-stream", (int64_t)(n * 16384),
			  "Content-Disposition: attachment; filename=\"a.bin\"\r\n");
		c->step = content_next;
		return;
	}
	mock_whole(c, 200, "application/jsonl", GW_LIT("{\"custom_id\":\"1\"}\n{\"custom_id\":\"2\"}\n"), "");
}

static void files(struct mock_conn *c, struct gw_str path)
{
	struct gw_str id = id_of(path, ends_with(path, "/content") ? "/content" : "");

	begin(c);
	if (has(id, "missing")) {
		mock_error(c, 404, "invalid_request_error", "not_found", "No such File object.", "");
	} else if (ends_with(path, "/content")) {
		content(c, id);
	} else if (gw_str_eq(c->rq.method, GW_LIT("POST"))) {
		put_file(c, GW_LIT("file-mock"), c->rq.body.n);
		answer(c);
	} else if (gw_str_eq(c->rq.method, GW_LIT("DELETE"))) {
		gw_buf_printf(&c->body, "{\"id\":\"%.*s\",\"object\":\"file\",\"deleted\":true}", GW_FMT(id));
		answer(c);
	} else if (ends_with(path, "/files")) {
		gw_buf_puts(&c->body, GW_LIT("{\"object\":\"list\",\"data\":["));
		put_file(c, GW_LIT("file-mock"), 5);
		gw_buf_puts(&c->body, GW_LIT("],\"has_more\":false,\"query\":"));
		gw_json_quote(&c->body, c->rq.query);
		gw_buf_putc(&c->body, '}');
		answer(c);
	} else {
		put_file(c, id, 5);
		answer(c);
	}
}

static void batches(struct mock_conn *c, struct gw_str path)
{
	bool is_list = gw_str_eq(c->rq.method, GW_LIT("GET")) && ends_with(path, "/batches");
	struct gw_str id = ends_with(path, "/batches") ? GW_LIT("batch_mock")
						       : id_of(path, ends_with(path, "/cancel") ? "/cancel" : "");

	begin(c);
	if (is_list)
		gw_buf_puts(&c->body, GW_LIT("{\"object\":\"list\",\"has_more\":false,\"data\":["));
	gw_buf_printf(&c->body,
		      "{\"id\":\"%.*s\",\"object\":\"batch\",\"endpoint\":\"/v1/chat/"
		      "completions\",\"input_file_id\":\"file-mock\","
		      "\"completion_window\":\"24h\",\"created_at\":1700000000,\"status\":\"%s\"}",
		      GW_FMT(id), ends_with(path, "/cancel") ? "cancelling" : "validating");
	if (is_list)
		gw_buf_puts(&c->body, GW_LIT("]}"));
	answer(c);
}

/* ---- which ---- */

/* What the raw relay is tested with: everything that came, as JSON. */
static void mirror(struct mock_conn *c)
{
	begin(c);
	gw_buf_puts(&c->body, GW_LIT("{\"head\":"));
	gw_json_quote(&c->body, c->rq.head);
	gw_buf_printf(&c->body, ",\"bytes\":%zu}", c->rq.body.n);
	if (has(c->rq.query, "status=418") && !has(c->rq.query, "with_head"))
		mock_whole(c, 418, "application/json", GW_LIT("{\"short\":\"and stout\"}"), "");
	else if (has(c->rq.query, "status=418"))
		mock_whole(c, 418, "application/json", gw_buf_view(&c->body), "");
	else
		answer(c);
}

static void by_model(struct mock_conn *c)
{
	struct gw_str path = c->rq.path;

	if (!mock_chat_read(c)) {
		mock_error(c, 400, "invalid_request_error", "invalid_json",
			   "We could not parse the JSON body of your request.", "");
	} else if (c->fault) {
		mock_fault_now(c);
	} else if (ends_with(path, "/embeddings")) {
		embeddings(c);
	} else if (ends_with(path, "/moderations")) {
		moderations(c);
	} else if (ends_with(path, "/completions")) {
		completions(c);
	} else if (ends_with(path, "/responses")) {
		response(c);
	} else if (ends_with(path, "/images/generations")) {
		images(c);
	} else if (ends_with(path, "/audio/speech")) {
		speech(c);
	} else {
		begin(c);
		gw_buf_puts(&c->body, GW_LIT("{\"object\":\"response.input_tokens\",\"input_tokens\":11}"));
		answer(c);
	}
}

bool mock_endpoint(struct mock_conn *c)
{
	struct gw_str path = c->rq.path;
	bool is_post = gw_str_eq(c->rq.method, GW_LIT("POST"));
	static const char *const modelled[] = { "/embeddings",   "/moderations",        "/completions",  "/responses",
						"/input_tokens", "/images/generations", "/audio/speech", NULL };

	for (int i = 0; is_post && modelled[i]; i++) {
		if (ends_with(path, modelled[i])) {
			by_model(c);
			return true;
		}
	}
	if (has(path, "/responses/"))
		stored_response(c, path);
	else if (is_post && (ends_with(path, "/images/edits") || ends_with(path, "/images/variations")))
		images(c);
	else if (is_post && has(path, "/audio/"))
		transcription(c);
	else if (has(path, "/files"))
		files(c, path);
	else if (has(path, "/batches"))
		batches(c, path);
	else if (ends_with(path, "/mirror"))
		mirror(c);
	else
		return false;
	return true;
}
