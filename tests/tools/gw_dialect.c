/* The dialects without a server: one JSON command a line on stdin, one JSON answer a line on stdout. For tests/fixtures/run.py.
 *
 *   {"op":"request","from":D,"to":D,"body":TEXT,["path_model":M],["stream":true]}  -> {"err","param","why","dropped","body":TEXT}
 *   {"op":"reply","from":D,"to":D,"body":TEXT}                   -> {"err","finish","model","usage":{..},"body":TEXT}
 *   {"op":"stream","from":D,"to":D,"body":TEXT|"b64":B64}        -> {"err","error_json","finish","model","usage","content","body"|"b64"}
 *       "splits": N: the stream is also fed cut at each of up to N places, and byte by byte; "split_fault": first place with another result
 *   {"op":"error","status":N,"body":TEXT}   -> {"err":row,"http","message","told":{dialect:TEXT,..}}
 *   {"op":"embed","shape":S,"inputs":N,"body":TEXT}   -> {"err","usage","body":TEXT in OpenAI's shape}
 *   {"op":"rerank","documents":N,"body":TEXT}   -> {"err","usage","results":[[index,score],..]}
 *   {"op":"scan","kind":"chat"|"text","stream":BOOL,"body":TEXT}   -> {"broken","usage","done"}: what passthru reads of a reply
 *   {"op":"token","body":TEXT}   -> {"err"}: a token endpoint's answer
 *   options of all: "model", "quirks", "usage" (client asked for it, default true), "framing":"array" */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/api.h"
#include "core/dialect/embed.h"
#include "core/dialect/translate.h"
#include "core/error_body.h"
#include "core/token.h"
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
	void (*fn)(struct job *j);
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
			  .quirks = (uint64_t)number(j, "quirks"),
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

static void do_error(struct job *j)
{
	struct gw_upstream_error ue = { 0 };
	struct gw_error_told told;
	struct gw_buf b;

	gw_upstream_error_read(&j->a, (int)number(j, "status"), j->body, GW_NIL, GW_NIL, NULL, 0, &ue);
	put_err(j, ue.err);
	gw_jw_kstr(&j->w, "message", ue.message);
	gw_error_tell_upstream(&told, &ue, j->carry.request_id);
	gw_jw_ku64(&j->w, "http", (uint64_t)told.http);
	gw_jw_key(&j->w, GW_LIT("told"));
	gw_jw_obj(&j->w);
	for (int id = 0; id < GW_D_COUNT; id++) {
		gw_buf_init(&b, 64 << 10);
		gw_dialect_error((enum gw_dialect_id)id, &told, &b);
		gw_jw_kstr(&j->w, gw_dialect_name((enum gw_dialect_id)id), gw_buf_view(&b));
		gw_buf_done(&b);
	}
	gw_jw_end_obj(&j->w);
}

static void put_usage(struct job *j, const struct gw_usage *u)
{
	struct gw_told t = { .usage = *u };

	put_told(j, &t);
}

static void do_embed(struct job *j)
{
	uint32_t n = (uint32_t)number(j, "inputs");
	struct embed_reply reply = { 0 };
	const yyjson_val *root;
	struct gw_buf out;
	enum gw_err e = gw_json_tree(&j->a, j->body, NULL, &root, NULL);

	gw_buf_init(&out, MAX_BODY);
	if (!e)
		e = embed_reply_init(&j->a, n, &reply);
	if (!e)
		e = embed_reply_read(&j->a, root, embed_shape_find(text(j, "shape")), 0, n, &reply);
	if (!e)
		e = embed_reply_write(&reply, false, GW_LIT("the-model"), &out);
	put_err(j, e);
	put_usage(j, &reply.usage);
	gw_jw_kstr(&j->w, "body", gw_buf_view(&out));
	gw_buf_done(&out);
}

static void do_rerank(struct job *j)
{
	struct rerank_reply reply = { 0 };
	const yyjson_val *root;
	enum gw_err e = gw_json_tree(&j->a, j->body, NULL, &root, NULL);

	if (!e)
		e = rerank_reply_read(&j->a, root, (uint32_t)number(j, "documents"), &reply);
	put_err(j, e);
	put_usage(j, &reply.usage);
	gw_jw_key(&j->w, GW_LIT("results"));
	gw_jw_arr(&j->w);
	for (uint32_t i = 0; i < reply.n; i++) {
		gw_jw_arr(&j->w);
		gw_jw_u64(&j->w, reply.results[i].index);
		gw_jw_double(&j->w, reply.results[i].score);
		gw_jw_end_arr(&j->w);
	}
	gw_jw_end_arr(&j->w);
}

struct passed {
	enum gw_ep_usage kind;
	struct gw_usage usage;
	struct gw_scan_value values[GW_UP_PATHS];
	struct gw_buf scratch;
	bool is_broken, is_done;
};

static void on_passed(void *ctx, const struct gw_sse_event *ev)
{
	struct passed *p = ctx;
	struct gw_chat_event ce = { 0 };

	if (gw_api_event(p->kind, ev, true, p->values, &p->scratch, &ce))
		p->is_broken = true;
	if (ce.has_values)
		gw_usage_take(&p->usage, p->values);
	p->is_done |= ce.kind == GW_EV_DONE;
}

static void do_scan(struct job *j)
{
	struct passed p = { .kind = gw_str_eq(text(j, "kind"), GW_LIT("text")) ? GW_EPU_TEXT : GW_EPU_CHAT };
	struct gw_json_scan scan;
	struct gw_sse sse;

	gw_buf_init(&p.scratch, 1 << 20);
	if (flag(j, "stream", false)) {
		gw_sse_init(&sse, 1 << 20, 4 << 20);
		p.is_broken |= gw_sse_feed(&sse, j->body.p, j->body.n, on_passed, &p) != GW_OK;
		gw_sse_done(&sse);
	} else {
		gw_json_scan_init(&scan, gw_api_usage_tree(p.kind), p.values, GW_UP_PATHS);
		gw_json_scan_feed(&scan, j->body.p, j->body.n);
		gw_usage_take(&p.usage, p.values);
		p.is_broken = scan.is_broken || !scan.is_done;
	}
	gw_jw_kbool(&j->w, "broken", p.is_broken);
	gw_jw_kbool(&j->w, "done", p.is_done);
	put_usage(j, &p.usage);
	gw_buf_done(&p.scratch);
}

static void do_token(struct job *j)
{
	struct gw_token_got got = { 0 };

	gw_buf_init(&got.value, 16 << 10);

	put_err(j, gw_token_read_oauth(&j->a, j->body, 0, &got));
	gw_buf_done(&got.value);
}

static const struct {
	const char *op;
	void (*fn)(struct job *j);
	bool has_dialects;
} ops[] = {
	{ "request", do_request, true }, { "reply", do_reply, true },  { "stream", do_stream, true },
	{ "error", do_error, false },    { "embed", do_embed, false }, { "rerank", do_rerank, false },
	{ "scan", do_scan, false },      { "token", do_token, false },
};
enum { N_OPS = sizeof(ops) / sizeof(ops[0]) };

static const char *set_up(struct job *j, struct gw_str line)
{
	if (gw_json_tree(&j->a, line, NULL, &j->cmd, NULL) || !yyjson_is_obj((yyjson_val *)(uintptr_t)j->cmd))
		return "the command is no JSON object";
	j->from = gw_dialect_find(text(j, "from"));
	j->to = gw_dialect_find(text(j, "to"));
	for (unsigned i = 0; i < N_OPS && !j->fn; i++) {
		if (gw_str_eq(text(j, "op"), gw_str_z(ops[i].op))) {
			j->fn = ops[i].fn;
			if (!ops[i].has_dialects)
				j->from = j->to = gw_dialect_of(GW_D_OPENAI);
		}
	}
	if (!j->fn)
		return "there is no such op";
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
	if (why)
		gw_jw_kstr(&j.w, "bad", gw_str_z(why));
	else
		j.fn(&j);
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
