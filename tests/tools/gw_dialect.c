/* The dialects without a server: one JSON command a line on stdin, one JSON answer a line on stdout. For tests/fixtures/run.py.
 *
 *   {"op":"request","from":D,"to":D,"body":TEXT,["path_model":M],["stream":true]}  -> {"err","param","why","dropped","body":TEXT}
 *   {"op":"reply","from":D,"to":D,"body":TEXT}                   -> {"err","finish","model","usage":{..},"body":TEXT}
 *   {"op":"stream","from":D,"to":D,"body":TEXT|"b64":B64}        -> {"err","error_json","finish","model","usage","content","body"|"b64"}
 *       "splits": N: the stream is also fed cut at each of up to N places, and byte by byte; "split_fault": first place with another result
 *   options of all: "model", "quirks", "usage" (client asked for it, default true), "framing":"array" */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/dialect/translate.h"
#include "lib/json_write.h"
#include "lib/text.h"

enum { MAX_BODY = 64 << 20 };

struct job {
	struct gw_arena a;
	const yyjson_val *cmd;
	const struct gw_dialect *from, *to;
	struct gw_str body;
	struct gw_carry carry;
	struct gw_json_out w;
};

static struct gw_str text(const struct job *j, const char *key)
{
	const yyjson_val *v = gw_json_get(j->cmd, gw_str_z(key));

	return yyjson_is_str((yyjson_val *)(uintptr_t)v) ? gw_json_str(v) : GW_NIL;
}

static bool flag(const struct job *j, const char *key, bool otherwise)
{
	const yyjson_val *v = gw_json_get(j->cmd, gw_str_z(key));

	return v ? yyjson_get_bool((yyjson_val *)(uintptr_t)v) : otherwise;
}

static uint64_t number(const struct job *j, const char *key)
{
	return yyjson_get_uint((yyjson_val *)(uintptr_t)gw_json_get(j->cmd, gw_str_z(key)));
}

static void put_err(struct job *j, enum gw_err e)
{
	gw_jw_key(&j->w, GW_LIT("err"));
	if (e)
		gw_jw_str(&j->w, gw_str_z(gw_err_info(e)->name));
	else
		gw_jw_null(&j->w);
}

static void put_told(struct job *j, const struct gw_told *t)
{
	gw_jw_kstr(&j->w, "finish", t->finish);
	gw_jw_kstr(&j->w, "model", t->model);
	gw_jw_kbool(&j->w, "content", t->has_content);
	gw_jw_key(&j->w, GW_LIT("usage"));
	gw_jw_obj(&j->w);
	gw_jw_kbool(&j->w, "is_known", t->usage.is_known);
#define PUT(field) gw_jw_ku64(&j->w, #field, t->usage.field)
	PUT(input), PUT(output), PUT(cache_read), PUT(cache_write_5m), PUT(cache_write_1h), PUT(reasoning),
	    PUT(audio_in), PUT(audio_out);
#undef PUT
	gw_jw_end_obj(&j->w);
}

static void do_request(struct job *j)
{
	struct gw_str model = text(j, "path_model"), upstream = text(j, "model");
	struct gw_buf body;
	struct gw_translate_out out = { .body = &body };
	struct gw_translate_in in = {
		.from = j->from,
		.to = j->to,
		.body = j->body,
		.path_model = model.n ? &model : NULL,
		.is_stream = flag(j, "stream", false),
		.opts = { .model = upstream,
			  .quirks = (unsigned)number(j, "quirks"),
			  .default_max_tokens = 4096,
			  .carry = &j->carry },
	};
	enum gw_err e;

	gw_buf_init(&body, MAX_BODY);
	e = gw_translate_request(&j->a, &j->a, &in, &out);
	put_err(j, e);
	gw_jw_kstr(&j->w, "param", out.param);
	gw_jw_kstr(&j->w, "why", out.why);
	gw_jw_kstr(&j->w, "dropped", out.dropped);
	gw_jw_kstr(&j->w, "body", gw_buf_view(&body));
	gw_buf_done(&body);
}

static void do_reply(struct job *j)
{
	struct gw_told told = { 0 };
	struct gw_buf body;

	gw_buf_init(&body, MAX_BODY);
	put_err(j, gw_translate_reply(&j->a, j->from, j->to, &j->carry, j->body, &body, &told));
	put_told(j, &told);
	gw_jw_kstr(&j->w, "body", gw_buf_view(&body));
	gw_buf_done(&body);
}

/* The stream fed in two pieces cut at `at`, or byte by byte when at is SIZE_MAX. */
static enum gw_err run(struct job *j, struct gw_translate *t, size_t at, struct gw_buf *out)
{
	enum gw_err e = gw_translate_open(t, j->from, j->to, &j->carry);

	if (e)
		return e;
	if (at == SIZE_MAX) {
		for (size_t i = 0; !e && i < j->body.n; i++)
			e = gw_translate_feed(t, gw_str(j->body.p + i, 1), out);
	} else {
		e = gw_translate_feed(t, gw_str(j->body.p, at), out);
		if (!e)
			e = gw_translate_feed(t, gw_str_skip(j->body, at), out);
	}
	return e ? e : gw_translate_end(t, out);
}

static bool is_same(struct job *j, size_t at, enum gw_err want_err, const struct gw_told *want,
		    const struct gw_buf *want_out)
{
	struct gw_translate t;
	struct gw_buf out;
	bool same;

	gw_buf_init(&out, MAX_BODY);
	same = run(j, &t, at, &out) == want_err && gw_str_eq(gw_buf_view(&out), gw_buf_view(want_out)) &&
	       memcmp(&t.told.usage, &want->usage, sizeof(want->usage)) == 0 && gw_str_eq(t.told.finish, want->finish);
	gw_translate_close(&t);
	gw_buf_done(&out);
	return same;
}

static void put_splits(struct job *j, enum gw_err e, const struct gw_told *told, const struct gw_buf *out)
{
	size_t n = (size_t)number(j, "splits"), step, fault = SIZE_MAX;

	if (!n)
		return;
	step = j->body.n > n ? j->body.n / n : 1;
	for (size_t at = 0; at <= j->body.n && fault == SIZE_MAX; at += step)
		if (!is_same(j, at, e, told, out))
			fault = at;
	if (fault == SIZE_MAX && !is_same(j, SIZE_MAX, e, told, out))
		fault = SIZE_MAX - 1;
	if (fault != SIZE_MAX)
		gw_jw_ki64(&j->w, "split_fault", fault == SIZE_MAX - 1 ? -1 : (int64_t)fault);
}

static void do_stream(struct job *j)
{
	struct gw_translate t;
	struct gw_buf out, raw;
	enum gw_err e;

	gw_buf_init(&out, MAX_BODY);
	gw_buf_init(&raw, MAX_BODY);
	if (text(j, "b64").n && gw_b64_read(&raw, text(j, "b64")))
		j->body = gw_buf_view(&raw);
	e = run(j, &t, 0, &out);
	put_err(j, e);
	put_told(j, &t.told);
	gw_jw_kstr(&j->w, "error_json", t.error_json);
	if (j->carry.framing == GW_FRAMING_AWS) {
		struct gw_buf b64;

		gw_buf_init(&b64, MAX_BODY);
		gw_b64_put(&b64, out.p, out.n);
		gw_jw_kstr(&j->w, "b64", gw_buf_view(&b64));
		gw_buf_done(&b64);
	} else {
		gw_jw_kstr(&j->w, "body", gw_buf_view(&out));
	}
	put_splits(j, e, &t.told, &out);
	gw_translate_close(&t);
	gw_buf_done(&raw);
	gw_buf_done(&out);
}

static const char *set_up(struct job *j, struct gw_str line)
{
	if (gw_json_tree(&j->a, line, NULL, &j->cmd, NULL) || !yyjson_is_obj((yyjson_val *)(uintptr_t)j->cmd))
		return "the command is no JSON object";
	j->from = gw_dialect_find(text(j, "from"));
	j->to = gw_dialect_find(text(j, "to"));
	if (!j->from || !j->to)
		return "unknown dialect: has it a row in schemas/dialects.def?";
	j->body = text(j, "body");
	j->carry = (struct gw_carry){
		.model = text(j, "model").n ? text(j, "model") : GW_LIT("the-model"),
		.request_id = GW_LIT("01234567-89ab-7cde-8f01-23456789abcd"),
		.seed = 42,
		.now_s = 1700000000,
		.is_stream = gw_str_eq(text(j, "op"), GW_LIT("stream")),
		.wants_usage = flag(j, "usage", true),
		.wants_reasoning_text = true,
		.framing = gw_str_eq(text(j, "framing"), GW_LIT("array")) ? GW_FRAMING_ARRAY : j->to->framing,
	};
	return NULL;
}

static void answer(struct gw_str line)
{
	struct gw_buf out;
	struct job j = { 0 };
	const char *why;

	gw_arena_init(&j.a, NULL, 0, 512 << 20);
	gw_buf_init(&out, MAX_BODY);
	gw_jw_init(&j.w, &out);
	gw_jw_obj(&j.w);
	why = set_up(&j, line);
	struct gw_str op = why ? GW_NIL : text(&j, "op");
	if (why)
		gw_jw_kstr(&j.w, "bad", gw_str_z(why));
	else if (gw_str_eq(op, GW_LIT("request")))
		do_request(&j);
	else if (gw_str_eq(op, GW_LIT("reply")))
		do_reply(&j);
	else if (gw_str_eq(op, GW_LIT("stream")))
		do_stream(&j);
	else
		gw_jw_kstr(&j.w, "bad", GW_LIT("op is request, reply or stream"));
	gw_jw_end_obj(&j.w);
	gw_buf_putc(&out, '\n');
	if (out.err)
		puts("{\"bad\":\"the answer is too big\"}");
	else
		fwrite(out.p, 1, out.n, stdout);
	fflush(stdout);
	gw_buf_done(&out);
	gw_arena_done(&j.a);
}

int main(void)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	while ((n = getline(&line, &cap, stdin)) > 0)
		answer(gw_str(line, (size_t)n - (line[n - 1] == '\n')));
	free(line);
	return 0;
}
