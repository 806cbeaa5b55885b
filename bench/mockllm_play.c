/* --play DIR: scripts in the dialects of other providers, byte for byte as files say. DIR/<model>/<dialect>.json is a whole answer, .stream
 * the bytes of a stream, .cut those of a stream that then breaks off, .error an error body behind a line with its status. Which dialect
 * a call is in, and where it names its model, is written here once more: nothing is shared with core/. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "bench/mockllm.h"

enum { FILE_MAX = 1 << 20 };

struct call {
	const char *dialect;
	bool is_stream, is_stream_in_body;
	struct gw_str model; /* in the path; NIL: in the body */
};

static bool ends_with(struct gw_str s, const char *tail)
{
	size_t n = strlen(tail);

	return s.n >= n && memcmp(s.p + s.n - n, tail, n) == 0;
}

/* The segment before `tail`. */
static struct gw_str segment_before(struct gw_str path, const char *tail)
{
	struct gw_str s = gw_str(path.p, path.n - strlen(tail));

	for (size_t i = s.n; i > 0; i--) {
		if (s.p[i - 1] == '/')
			return gw_str_skip(s, i);
	}
	return s;
}

static bool read_call(struct gw_str path, struct call *out)
{
	static const struct {
		const char *tail, *dialect;
		bool is_stream, is_in_path;
	} rows[] = {
		{ "/chat/completions", "openai", false, false }, { "/responses", "responses", false, false },
		{ "/messages", "anthropic", false, false },      { "/v2/chat", "cohere", false, false },
		{ ":generateContent", "gemini", false, true },   { ":streamGenerateContent", "gemini", true, true },
		{ "/converse", "bedrock", false, true },         { "/converse-stream", "bedrock", true, true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!ends_with(path, rows[i].tail))
			continue;
		*out = (struct call){ rows[i].dialect, rows[i].is_stream, !rows[i].is_in_path, GW_NIL };
		if (rows[i].is_in_path)
			out->model = segment_before(path, rows[i].tail);
		return true;
	}
	return false;
}

/* Letters, digits and dashes: a folder of ours and nothing else. */
static bool is_plain(const char *name)
{
	for (const char *p = name; *p; p++) {
		if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') && *p != '-')
			return false;
	}
	return name[0] != 0;
}

static bool load(struct mock_conn *c, const char *model, const char *dialect, const char *kind)
{
	char path[1024];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s/%s.%s", mock_options.play_path, model, dialect, kind);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	gw_buf_clear(&c->body, FILE_MAX);
	do {
		char *room = gw_buf_room(&c->body, 64 << 10);

		n = room ? read(fd, room, 64 << 10) : -1;
		if (n > 0)
			gw_buf_commit(&c->body, (size_t)n);
	} while (n > 0);
	close(fd);
	return n == 0;
}

static void end_cut(struct mock_conn *c)
{
	c->ending = MOCK_CUT;
	c->step = NULL;
}

/* Three uneven pieces, so that events are cut in the middle. */
static void play_stream(struct mock_conn *c, const char *dialect, bool is_cut)
{
	const char *type = strcmp(dialect, "bedrock") == 0 ? "application/vnd.amazon.eventstream" : "text/event-stream";
	struct gw_str all = gw_buf_view(&c->body);
	size_t first = all.n / 3, second = all.n / 2;

	mock_head(c, 200, type, -1, "");
	mock_chunk(c, gw_str(all.p, first));
	mock_chunk(c, gw_str(all.p + first, second - first));
	mock_chunk(c, gw_str_skip(all, second));
	if (is_cut)
		c->step = end_cut;
	else
		mock_last_chunk(c);
}

static void play_error(struct mock_conn *c)
{
	struct gw_str status, body;
	uint64_t code = 500;

	if (gw_str_cut(gw_buf_view(&c->body), '\n', &status, &body))
		(void)gw_str_u64(status, &code);
	mock_whole(c, (int)code, "application/json", body, "");
}

bool mock_play(struct mock_conn *c)
{
	struct call call;
	char model[160];

	if (!mock_options.play_path || !read_call(c->rq.path, &call))
		return false;
	(void)mock_chat_read(c); /* model and stream, where the body has them */
	snprintf(model, sizeof(model), "%.*s", GW_FMT(call.model.p ? call.model : gw_str_z(c->chat.model)));
	if (call.is_stream_in_body)
		call.is_stream = c->chat.is_stream;
	if (!is_plain(model))
		return false;
	c->step = NULL;
	if (call.is_stream && load(c, model, call.dialect, "stream"))
		play_stream(c, call.dialect, false);
	else if (call.is_stream && load(c, model, call.dialect, "cut"))
		play_stream(c, call.dialect, true);
	else if (!call.is_stream && load(c, model, call.dialect, "json"))
		mock_whole(c, 200, "application/json", gw_buf_view(&c->body), "");
	else if (load(c, model, call.dialect, "error"))
		play_error(c);
	else
		return false;
	return true;
}
