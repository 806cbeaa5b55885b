/* OpenAI chat requests that go to an OpenAI-compatible provider: read what the gateway decides by, splice what it must change
 * (model, stream_options.include_usage), leave every other byte alone. New fields of the API need no change here. */
#include "core/passthru.h"

#include "core/passthru_impl.h"

/* Fields of a chat request that some reader gives a meaning to. A key that equals one of them but for case would be read by
 * case-insensitive parsers (Go's) and not by others. In order of length. */
#define CHAT_KEYS(X, n)                                                                                                \
	X("n", n)                                                                                                      \
	X("url", n)                                                                                                    \
	X("stop", n)                                                                                                   \
	X("seed", n)                                                                                                   \
	X("user", n)                                                                                                   \
	X("role", n)                                                                                                   \
	X("name", n)                                                                                                   \
	X("type", n)                                                                                                   \
	X("text", n)                                                                                                   \
	X("file", n)                                                                                                   \
	X("tags", n)                                                                                                   \
	X("model", n)                                                                                                  \
	X("top_p", n)                                                                                                  \
	X("top_k", n)                                                                                                  \
	X("tools", n)                                                                                                  \
	X("audio", n)                                                                                                  \
	X("store", n)                                                                                                  \
	X("stream", n)                                                                                                 \
	X("content", n)                                                                                                \
	X("refusal", n)                                                                                                \
	X("file_id", n)                                                                                                \
	X("messages", n)                                                                                               \
	X("logprobs", n)                                                                                               \
	X("metadata", n)                                                                                               \
	X("function", n)                                                                                               \
	X("functions", n)                                                                                              \
	X("verbosity", n)                                                                                              \
	X("arguments", n)                                                                                              \
	X("image_url", n)                                                                                              \
	X("file_data", n)                                                                                              \
	X("action_id", n)                                                                                              \
	X("max_tokens", n)                                                                                             \
	X("logit_bias", n)                                                                                             \
	X("modalities", n)                                                                                             \
	X("prediction", n)                                                                                             \
	X("moderation", n)                                                                                             \
	X("tool_calls", n)                                                                                             \
	X("parameters", n)                                                                                             \
	X("session_id", n)                                                                                             \
	X("temperature", n)                                                                                            \
	X("tool_choice", n)                                                                                            \
	X("json_schema", n)                                                                                            \
	X("input_audio", n)                                                                                            \
	X("top_logprobs", n)                                                                                           \
	X("service_tier", n)                                                                                           \
	X("tool_call_id", n)                                                                                           \
	X("include_usage", n)                                                                                          \
	X("function_call", n)                                                                                          \
	X("stream_options", n)                                                                                         \
	X("response_format", n)                                                                                        \
	X("presence_penalty", n)                                                                                       \
	X("reasoning_effort", n)                                                                                       \
	X("prompt_cache_key", n)                                                                                       \
	X("frequency_penalty", n)                                                                                      \
	X("safety_identifier", n)                                                                                      \
	X("web_search_options", n)                                                                                     \
	X("include_obfuscation", n)                                                                                    \
	X("parallel_tool_calls", n)                                                                                    \
	X("max_completion_tokens", n)
#define NAME(s, n)    { s, sizeof(s) - 1 },
#define SHORTER(s, n) +(sizeof(s) - 1 < (n))
#define FIRST(n)      CHAT_KEYS(SHORTER, n)
#define FIRST_8(n)                                                                                                     \
	FIRST(n), FIRST(n + 1), FIRST(n + 2), FIRST(n + 3), FIRST(n + 4), FIRST(n + 5), FIRST(n + 6), FIRST(n + 7)
/* clang-format off */
static const struct gw_str known[] = { CHAT_KEYS(NAME, 0) };
/* clang-format on */
static const uint8_t known_first[GW_JSON_KNOWN_BYTES + 2] = { FIRST_8(0), FIRST_8(8), FIRST_8(16), FIRST_8(24),
							      FIRST(32) };
_Static_assert(GW_JSON_KNOWN_BYTES == 31, "known_first is written out");
/* Members whose insides are the caller's own names: schemas, maps. */
static const struct gw_str free_form[] = {
#define K(s)                                                                                                           \
	{                                                                                                              \
		s, sizeof(s) - 1                                                                                       \
	}
	K("parameters"),          K("schema"),      K("input_schema"),       K("metadata"),
	K("logit_bias"),          K("guided_json"), K("structured_outputs"), K("chat_template_kwargs"),
	K("mm_processor_kwargs"), K("extra_body"),
#undef K
};
enum { N_KNOWN = sizeof(known) / sizeof(known[0]), N_FREE = sizeof(free_form) / sizeof(free_form[0]) };

/* What a read is about; the outputs for its faults. */
struct read {
	struct gw_arena *a;
	struct gw_str body;
	struct gw_str *param, *why;
	enum gw_err err;
	struct gw_str path_model; /* told by the URL; what the body says does not count then */
};

static enum gw_err refuse(struct read *r, enum gw_err e, struct gw_str param, struct gw_str why)
{
	*r->param = param;
	*r->why = why;
	r->err = e;
	return e;
}

static struct gw_str text_of(const struct read *r, struct gw_json_span s)
{
	return gw_str(r->body.p + s.off, s.len);
}

/* ---- keys that differ only in case, outside free-form parts ---- */

struct variant {
	const struct read *r;
	struct gw_str key; /* found */
};

static bool walk_value(struct variant *v, struct gw_json_span span);

static bool is_one_of(struct gw_str key, const struct gw_str *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (gw_str_eq(key, list[i]))
			return true;
	}
	return false;
}

static bool is_variant(struct gw_str key)
{
	for (size_t i = 0; i < N_KNOWN; i++) {
		if (gw_json_is_case_variant(key, known[i]))
			return true;
	}
	return false;
}

static bool walk_member(void *ctx, struct gw_str raw_key, struct gw_json_span value)
{
	struct variant *v = ctx;
	struct gw_str key = gw_json_unescape(v->r->a, gw_str(raw_key.p - 1, raw_key.n + 2));

	if (!key.p || is_variant(key)) { /* no memory to look: refused */
		v->key = key.p ? key : raw_key;
		return false;
	}
	return is_one_of(key, free_form, N_FREE) || walk_value(v, value);
}

static bool walk_item(void *ctx, struct gw_json_span value)
{
	return walk_value(ctx, value);
}

/* Depth is bounded by the check before. False when a variant was found. */
static bool walk_value(struct variant *v, struct gw_json_span span)
{
	if (span.type == GW_JSON_OBJ)
		gw_json_each(v->r->body, span, walk_member, v);
	else if (span.type == GW_JSON_ARR)
		gw_json_each_item(v->r->body, span, walk_item, v);
	return v->key.p == NULL;
}

static struct gw_json_span whole(struct gw_str body)
{
	size_t from = 0, to = body.n;

	while (from < to && strchr(" \t\r\n", body.p[from]))
		from++;
	while (to > from && strchr(" \t\r\n", body.p[to - 1]))
		to--;
	return (struct gw_json_span){ from, to - from, GW_JSON_OBJ };
}

static enum gw_err refuse_syntax(struct read *r, const struct gw_json_fault *f)
{
	return refuse(
	    r, GW_E_SYNTAX, GW_NIL,
	    gw_arena_printf(r->a, "The body is not JSON that all readers understand alike: %s, at line %u, column %u.",
			    f->what, f->line, f->column));
}

/* Memory is short because of this body alone: the request has a ceiling of its own. */
static enum gw_err refuse_body(struct read *r, enum gw_err e, const struct gw_json_fault *f)
{
	if (e == GW_E_SYNTAX)
		return refuse_syntax(r, f);
	if (e == GW_E_NOMEM)
		return refuse(r, GW_E_TOO_BIG, GW_NIL,
			      GW_LIT("The body has more keys in one object than can be checked. Send fewer."));
	return refuse(r, e, GW_NIL, GW_NIL);
}

/* One strict pass. The known names are asked at every depth, which is cheap and nearly always enough; a refusal is looked at
 * again, because in a tool's schema "Name" is as good a name as any. */
static enum gw_err check(struct read *r, const struct gw_json_want *want, size_t n, struct gw_json_items *items)
{
	struct gw_json_limits strict = gw_json_default_limits, plain = gw_json_default_limits;
	struct gw_json_fault fault, second;
	struct variant v = { .r = r };
	enum gw_err e;

	strict.known = known;
	strict.n_known = N_KNOWN;
	strict.known_first = known_first;
	strict.items = plain.items = items;
	e = gw_json_check(r->a, r->body, &strict, want, n, &fault);
	if (!e)
		return GW_OK;
	if (e != GW_E_SYNTAX || gw_json_check(r->a, r->body, &plain, want, n, &second) != GW_OK)
		return refuse_body(r, e, &fault);
	if (walk_value(&v, whole(r->body)))
		return GW_OK;
	if (v.key.n > 64)
		v.key.n = 64;
	return refuse(r, GW_E_SYNTAX, v.key,
		      gw_arena_printf(r->a,
				      "The key \"%.*s\" differs only in upper and lower case from a field of the API. "
				      "Write it as the API does.",
				      GW_FMT(v.key)));
}

/* ---- types ---- */

static bool is_given(struct gw_json_span s)
{
	return s.type != GW_JSON_NONE && s.type != GW_JSON_NULL;
}

static enum gw_err want_type(struct read *r, struct gw_json_span s, enum gw_json_type type, const char *name,
			     const char *what)
{
	if (!is_given(s) || s.type == type)
		return GW_OK;
	return refuse(r, GW_E_INVALID, gw_str_z(name), gw_arena_printf(r->a, "%s must be %s.", name, what));
}

static enum gw_err want_count(struct read *r, struct gw_json_span s, const char *name, int64_t *out)
{
	int64_t v;

	if (!is_given(s))
		return GW_OK;
	if (s.type != GW_JSON_NUM || !gw_json_int(text_of(r, s), &v) || v < 1)
		return refuse(r, GW_E_INVALID, gw_str_z(name),
			      gw_arena_printf(r->a, "%s must be a whole number of at least 1.", name));
	if (out)
		*out = v;
	return GW_OK;
}

static enum gw_err want_text(struct read *r, struct gw_json_span s, const char *name, struct gw_str *out)
{
	enum gw_err e = want_type(r, s, GW_JSON_STR, name, "text (in quotes)");

	if (e || !is_given(s))
		return e;
	*out = gw_json_unescape(r->a, text_of(r, s));
	return out->p ? GW_OK : refuse(r, GW_E_NOMEM, GW_NIL, GW_NIL);
}

/* ---- parts ---- */

static enum gw_err refuse_message(struct read *r, const struct gw_json_items *m)
{
	if (m->fault == GW_ITEM_NO_OBJECT)
		return refuse(r, GW_E_INVALID, gw_arena_printf(r->a, "messages[%u]", m->at),
			      gw_arena_printf(r->a, "messages[%u] must be an object with role and content.", m->at));
	return refuse(r, m->fault == GW_ITEM_WITHOUT ? GW_E_MISSING : GW_E_INVALID,
		      gw_arena_printf(r->a, "messages[%u].role", m->at),
		      gw_arena_printf(
			  r->a, "messages[%u].role must be text: system, developer, user, assistant or tool.", m->at));
}

static enum gw_err read_messages(struct read *r, struct gw_json_span s, const struct gw_json_items *m, uint32_t *n)
{
	if (!is_given(s))
		return refuse(r, GW_E_MISSING, GW_LIT("messages"),
			      GW_LIT("messages is required: a list of {role, content}."));
	if (s.type != GW_JSON_ARR)
		return refuse(r, GW_E_INVALID, GW_LIT("messages"),
			      GW_LIT("messages must be a list of {role, content}."));
	if (m->fault != GW_ITEM_OK)
		return refuse_message(r, m);
	if (m->n == 0)
		return refuse(r, GW_E_INVALID, GW_LIT("messages"), GW_LIT("messages must have at least one message."));
	*n = m->n;
	return GW_OK;
}

static enum gw_err read_stream(struct read *r, struct gw_chat_request *out)
{
	const struct gw_json_want want = { GW_LIT("include_usage"), &out->include_usage_span };
	enum gw_err e = want_type(r, out->stream_span, GW_JSON_BOOL, "stream", "true or false");

	if (!e)
		e = want_type(r, out->stream_options_span, GW_JSON_OBJ, "stream_options",
			      "an object such as {\"include_usage\": true}");
	if (e)
		return e;
	out->is_stream = out->stream_span.type == GW_JSON_BOOL && r->body.p[out->stream_span.off] == 't';
	if (!is_given(out->stream_options_span))
		return GW_OK;
	if (!out->is_stream)
		return refuse(
		    r, GW_E_INVALID, GW_LIT("stream_options"),
		    GW_LIT("stream_options is only allowed with \"stream\": true. Remove it, or set stream."));
	gw_json_members(r->body, out->stream_options_span, &want, 1);
	e = want_type(r, out->include_usage_span, GW_JSON_BOOL, "stream_options.include_usage", "true or false");
	if (!e)
		out->wants_usage =
		    out->include_usage_span.type == GW_JSON_BOOL && r->body.p[out->include_usage_span.off] == 't';
	return e;
}

static bool take_metadata(void *ctx, struct gw_str raw_key, struct gw_json_span value)
{
	struct read *r = ctx;

	if (value.type == GW_JSON_STR)
		return true;
	if (raw_key.n > 64)
		raw_key.n = 64;
	refuse(r, GW_E_INVALID, gw_arena_printf(r->a, "metadata.%.*s", GW_FMT(raw_key)),
	       gw_arena_printf(r->a, "metadata.%.*s must be text (in quotes).", GW_FMT(raw_key)));
	return false;
}

static enum gw_err read_metadata(struct read *r, struct gw_json_span s, struct gw_chat_request *out)
{
	struct gw_json_span session, action, tags;
	const struct gw_json_want want[] = { { GW_LIT("session_id"), &session },
					     { GW_LIT("action_id"), &action },
					     { GW_LIT("tags"), &tags } };
	enum gw_err e = want_type(r, s, GW_JSON_OBJ, "metadata", "an object of text pairs");

	if (e || !is_given(s))
		return e;
	gw_json_each(r->body, s, take_metadata, r);
	if (r->err)
		return r->err;
	gw_json_members(r->body, s, want, 3);
	e = want_text(r, session, "metadata.session_id", &out->session_id);
	if (!e)
		e = want_text(r, action, "metadata.action_id", &out->action_id);
	if (!e)
		e = want_text(r, tags, "metadata.tags", &out->tags);
	return e;
}

static enum gw_err read_model(struct read *r, struct gw_chat_request *out)
{
	enum gw_err e;

	if (r->path_model.n) {
		out->model = r->path_model;
		return GW_OK;
	}
	if (!is_given(out->model_span))
		return refuse(r, GW_E_MISSING, GW_LIT("model"),
			      GW_LIT("model is required: the name of a model, see GET /v1/models."));
	e = want_text(r, out->model_span, "model", &out->model);
	if (!e && out->model.n == 0)
		e = refuse(r, GW_E_INVALID, GW_LIT("model"),
			   GW_LIT("model must not be empty: the name of a model, see GET /v1/models."));
	return e;
}

enum gw_err gw_chat_read(struct gw_arena *a, struct gw_str body, struct gw_chat_request *out, struct gw_str *param,
			 struct gw_str *why)
{
	return gw_chat_read_at(a, body, GW_NIL, out, param, why);
}

enum gw_err gw_chat_read_at(struct gw_arena *a, struct gw_str body, struct gw_str path_model,
			    struct gw_chat_request *out, struct gw_str *param, struct gw_str *why)
{
	struct gw_json_span messages, n, max, max_new, temperature, top_p, tools, metadata, user, safety;
	struct gw_chat_request q = { .max_tokens = -1 };
	struct gw_json_items each = { .of = GW_LIT("messages"), .key = GW_LIT("role"), .type = GW_JSON_STR };
	const struct gw_json_want want[] = {
		{ GW_LIT("model"), &q.model_span },
		{ GW_LIT("messages"), &messages },
		{ GW_LIT("stream"), &q.stream_span },
		{ GW_LIT("stream_options"), &q.stream_options_span },
		{ GW_LIT("n"), &n },
		{ GW_LIT("max_tokens"), &max },
		{ GW_LIT("max_completion_tokens"), &max_new },
		{ GW_LIT("temperature"), &temperature },
		{ GW_LIT("top_p"), &top_p },
		{ GW_LIT("tools"), &tools },
		{ GW_LIT("metadata"), &metadata },
		{ GW_LIT("user"), &user },
		{ GW_LIT("safety_identifier"), &safety },
	};
	struct read r = { .a = a, .body = body, .path_model = path_model, .param = param, .why = why };
	enum gw_err e = check(&r, want, sizeof(want) / sizeof(want[0]), &each);

	if (!e)
		e = read_model(&r, &q);
	if (!e)
		e = read_messages(&r, messages, &each, &q.n_messages);
	if (!e)
		e = read_stream(&r, &q);
	if (!e)
		e = want_count(&r, n, "n", NULL);
	if (!e)
		e = want_count(&r, max, "max_tokens", &q.max_tokens);
	if (!e)
		e = want_count(&r, max_new, "max_completion_tokens", &q.max_tokens);
	if (!e)
		e = want_type(&r, temperature, GW_JSON_NUM, "temperature", "a number");
	if (!e)
		e = want_type(&r, top_p, GW_JSON_NUM, "top_p", "a number");
	if (!e)
		e = want_type(&r, tools, GW_JSON_ARR, "tools", "a list");
	if (!e)
		e = read_metadata(&r, metadata, &q);
	if (!e)
		e = want_text(&r, safety, "safety_identifier", &q.user);
	if (!e)
		e = want_text(&r, user, "user", &q.user);
	if (!e)
		*out = q;
	return e;
}

/* ---- splice ---- */

/* Replace `len` bytes at `at` by `with`. */
struct edit {
	size_t at, len;
	struct gw_str with;
};

/* The text as a JSON string in the arena. */
static struct gw_str quote(struct gw_arena *a, struct gw_str s)
{
	static const char hex[] = "0123456789abcdef";
	char *p = s.n > SIZE_MAX / 8 ? NULL : gw_alloc_bytes(a, 6 * s.n + 2);
	size_t n = 0;

	if (!p)
		return GW_NIL;
	p[n++] = '"';
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\') {
			p[n++] = '\\';
			p[n++] = (char)c;
		} else if (c < 0x20) {
			memcpy(p + n, "\\u00", 4);
			p[n + 4] = hex[c >> 4];
			p[n + 5] = hex[c & 15];
			n += 6;
		} else {
			p[n++] = (char)c;
		}
	}
	p[n++] = '"';
	return gw_str(p, n);
}

/* What makes the provider tell the usage of a stream; false when it is asked for already. */
static bool usage_edit(struct gw_str body, const struct gw_chat_request *rq, struct edit *out)
{
	struct gw_json_span options = rq->stream_options_span, usage = rq->include_usage_span;

	if (!rq->is_stream || rq->wants_usage)
		return false;
	if (usage.type != GW_JSON_NONE) {
		*out = (struct edit){ usage.off, usage.len, GW_LIT("true") };
	} else if (options.type == GW_JSON_OBJ) {
		size_t i = options.off + 1;

		while (i < body.n && strchr(" \t\r\n", body.p[i]))
			i++;
		*out = (struct edit){ options.off + 1, 0,
				      body.p[i] == '}' ? GW_LIT("\"include_usage\":true")
						       : GW_LIT("\"include_usage\":true,") };
	} else if (options.type == GW_JSON_NULL) {
		*out = (struct edit){ options.off, options.len, GW_LIT("{\"include_usage\":true}") };
	} else {
		*out = (struct edit){ rq->stream_span.off + rq->stream_span.len, 0,
				      GW_LIT(",\"stream_options\":{\"include_usage\":true}") };
	}
	return true;
}

enum gw_err gw_chat_splice(struct gw_arena *a, struct gw_str body, const struct gw_chat_request *rq,
			   struct gw_str upstream_model, struct gw_str pieces[8], uint32_t *n_pieces)
{
	struct edit edits[2];
	uint32_t n_edits = 0, n = 0;
	size_t at = 0;

	if (rq->model_span.type == GW_JSON_NONE) { /* the path had it */
		struct gw_str quoted = quote(a, upstream_model);

		edits[n_edits] =
		    (struct edit){ whole(body).off + 1, 0, gw_arena_printf(a, "\"model\":%.*s,", GW_FMT(quoted)) };
		if (!quoted.p || !edits[n_edits++].with.p)
			return GW_E_NOMEM;
	} else if (!gw_str_eq(rq->model, upstream_model) || rq->model_span.type != GW_JSON_STR) {
		edits[n_edits] = (struct edit){ rq->model_span.off, rq->model_span.len, quote(a, upstream_model) };
		if (!edits[n_edits++].with.p)
			return GW_E_NOMEM;
	}
	n_edits += usage_edit(body, rq, &edits[n_edits]);
	if (n_edits == 2 && edits[1].at < edits[0].at) {
		struct edit first = edits[1];

		edits[1] = edits[0];
		edits[0] = first;
	}
	for (uint32_t i = 0; i < n_edits; i++) {
		pieces[n++] = gw_str(body.p + at, edits[i].at - at);
		pieces[n++] = edits[i].with;
		at = edits[i].at + edits[i].len;
	}
	pieces[n++] = gw_str(body.p + at, body.n - at);
	*n_pieces = n;
	return GW_OK;
}

/* ---- for the other endpoints (passthru_impl.h) ---- */

enum gw_err gw_passthru_check(struct gw_arena *a, struct gw_str body, const struct gw_json_want *want, size_t n,
			      struct gw_str *param, struct gw_str *why)
{
	struct read r = { .a = a, .body = body, .param = param, .why = why };

	return check(&r, want, n, NULL);
}

bool gw_passthru_known_is_sound(void)
{
	for (unsigned i = 0; i < N_KNOWN; i++)
		if (i < known_first[known[i].n] || i >= known_first[known[i].n + 1] ||
		    (i && known[i].n < known[i - 1].n))
			return false;
	return true;
}

struct gw_json_span gw_passthru_whole(struct gw_str body)
{
	return whole(body);
}

struct gw_str gw_passthru_quote(struct gw_arena *a, struct gw_str s)
{
	return quote(a, s);
}
