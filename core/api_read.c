/* Requests of the endpoints beside chat: one strict pass over the JSON, the few members that matter, and the splice. Also what may
 * stand in a relayed URL. */
#include "core/api.h"
#include "core/passthru_impl.h"

enum { MAX_IMAGES = 1000, MAX_SIDE = 65536, MAX_PICTURE_WORD = 16 };

struct read {
	struct gw_arena *a;
	const struct gw_endpoint_info *ep;
	struct gw_str body, path_model;
	struct gw_str *param, *why;
};

static enum gw_err refuse(struct read *r, enum gw_err e, struct gw_str param, struct gw_str why)
{
	*r->param = param;
	*r->why = why;
	return e;
}

static bool is_given(struct gw_json_span s)
{
	return s.type != GW_JSON_NONE && s.type != GW_JSON_NULL;
}

static struct gw_str text_of(const struct read *r, struct gw_json_span s)
{
	return gw_str(r->body.p + s.off, s.len);
}

/* ---- keys ---- */

/* Fields beside those of chat that decide something: spelt otherwise they would be read by some and not by others. */
static const struct gw_str own_fields[] = {
	{ "input", 5 },
	{ "prompt", 6 },
	{ "voice", 5 },
	{ "instructions", 12 },
	{ "previous_response_id", 20 },
	{ "background", 10 },
	{ "input_file_id", 13 },
	{ "endpoint", 8 },
	{ "stream_format", 13 },
};

struct keys {
	struct read *r;
	struct gw_str found;
};

static bool look_at_key(void *ctx, struct gw_str raw_key, struct gw_json_span value)
{
	struct keys *k = ctx;
	struct gw_str key = gw_json_unescape(k->r->a, gw_str(raw_key.p - 1, raw_key.n + 2));

	(void)value;
	for (size_t i = 0; key.p && i < sizeof(own_fields) / sizeof(own_fields[0]); i++) {
		if (gw_json_is_case_variant(key, own_fields[i]))
			k->found = key;
	}
	if (!key.p)
		k->found = raw_key; /* no memory to look: refused */
	return k->found.p == NULL;
}

static enum gw_err check_keys(struct read *r)
{
	struct keys k = { .r = r };
	struct gw_json_span whole = gw_passthru_whole(r->body);

	gw_json_each(r->body, whole, look_at_key, &k);
	if (!k.found.p)
		return GW_OK;
	if (k.found.n > 64)
		k.found.n = 64;
	return refuse(r, GW_E_SYNTAX, k.found,
		      gw_arena_printf(r->a,
				      "The key \"%.*s\" differs only in upper and lower case from a field of the API. "
				      "Write it as the API does.",
				      GW_FMT(k.found)));
}

/* ---- members ---- */

static enum gw_err want_text(struct read *r, struct gw_json_span s, const char *name, struct gw_str *out)
{
	if (!is_given(s))
		return GW_OK;
	if (s.type != GW_JSON_STR)
		return refuse(r, GW_E_INVALID, gw_str_z(name),
			      gw_arena_printf(r->a, "%s must be text (in quotes).", name));
	*out = gw_json_unescape(r->a, text_of(r, s));
	return out->p ? GW_OK : refuse(r, GW_E_NOMEM, GW_NIL, GW_NIL);
}

static enum gw_err want_bool(struct read *r, struct gw_json_span s, const char *name, bool *out)
{
	if (!is_given(s))
		return GW_OK;
	if (s.type != GW_JSON_BOOL)
		return refuse(r, GW_E_INVALID, gw_str_z(name),
			      gw_arena_printf(r->a, "%s must be true or false.", name));
	*out = r->body.p[s.off] == 't';
	return GW_OK;
}

static enum gw_err read_model(struct read *r, struct gw_chat_request *q)
{
	enum gw_err e;

	if (r->path_model.n) {
		q->model = r->path_model;
		return GW_OK;
	}
	e = want_text(r, q->model_span, "model", &q->model);
	if (e || q->model.n)
		return e;
	if (is_given(q->model_span))
		return refuse(r, GW_E_INVALID, GW_LIT("model"),
			      GW_LIT("model must not be empty: the name of a model, see GET /v1/models."));
	if (r->ep->fallback[0] == 0)
		return refuse(r, GW_E_MISSING, GW_LIT("model"),
			      GW_LIT("model is required: the name of a model, see GET /v1/models."));
	q->model = gw_str_z(r->ep->fallback);
	return GW_OK;
}

/* stream_options of completions tell about usage; those of responses do not. */
static enum gw_err read_stream(struct read *r, struct gw_chat_request *q)
{
	const struct gw_json_want want = { GW_LIT("include_usage"), &q->include_usage_span };
	struct gw_json_span o = q->stream_options_span;
	enum gw_err e = want_bool(r, q->stream_span, "stream", &q->is_stream);

	if (e || !is_given(o))
		return e;
	if (o.type != GW_JSON_OBJ)
		return refuse(r, GW_E_INVALID, GW_LIT("stream_options"), GW_LIT("stream_options must be an object."));
	if (!q->is_stream)
		return refuse(
		    r, GW_E_INVALID, GW_LIT("stream_options"),
		    GW_LIT("stream_options is only allowed with \"stream\": true. Remove it, or set stream."));
	gw_json_members(r->body, o, &want, 1);
	return want_bool(r, q->include_usage_span, "stream_options.include_usage", &q->wants_usage);
}

static struct gw_str soft_text(struct read *r, struct gw_json_span s)
{
	return s.type == GW_JSON_STR ? gw_json_unescape(r->a, text_of(r, s)) : GW_NIL;
}

/* Context for the record; metadata is the caller's own, so that nothing in it is refused here. */
static void read_context(struct read *r, struct gw_json_span metadata, struct gw_json_span user,
			 struct gw_json_span safety, struct gw_chat_request *q)
{
	struct gw_json_span session = { 0 }, action = { 0 }, tags = { 0 };
	const struct gw_json_want want[] = { { GW_LIT("session_id"), &session },
					     { GW_LIT("action_id"), &action },
					     { GW_LIT("tags"), &tags } };

	q->user = soft_text(r, is_given(user) ? user : safety);
	if (metadata.type != GW_JSON_OBJ)
		return;
	gw_json_members(r->body, metadata, want, 3);
	q->session_id = soft_text(r, session);
	q->action_id = soft_text(r, action);
	q->tags = soft_text(r, tags);
}

static uint64_t characters(struct gw_str s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* "1024x1024" */
static uint64_t pixels_of(struct gw_str size)
{
	struct gw_str w, h;
	uint64_t x, y;

	if (!gw_str_cut(size, 'x', &w, &h) || !gw_str_u64(w, &x) || !gw_str_u64(h, &y) || x > MAX_SIDE || y > MAX_SIDE)
		return 0;
	return x * y;
}

/* "1024x1024", "hd"; what is no such word is none. */
static struct gw_str picture_word(struct gw_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9')))
			return GW_NIL;
	}
	return s.n <= MAX_PICTURE_WORD ? s : GW_NIL;
}

static enum gw_err read_units(struct read *r, struct gw_json_span needed, struct gw_json_span n,
			      struct gw_json_span size, struct gw_json_span quality, struct gw_api_units *units)
{
	struct gw_str text = GW_NIL;
	int64_t count = 1;
	enum gw_err e;

	*units = (struct gw_api_units){ 0 };
	if (gw_str_has_prefix(gw_str_z(r->ep->name), GW_LIT("images."))) {
		if (is_given(n) &&
		    (n.type != GW_JSON_NUM || !gw_json_int(text_of(r, n), &count) || count < 1 || count > MAX_IMAGES))
			return refuse(r, GW_E_INVALID, GW_LIT("n"), GW_LIT("n must be a whole number of at least 1."));
		*units = (struct gw_api_units){ .unit = "image",
						.n = (uint64_t)count,
						.pixels = (uint64_t)count * pixels_of(soft_text(r, size)),
						.size = picture_word(soft_text(r, size)),
						.quality = picture_word(soft_text(r, quality)) };
	} else if (r->ep->usage == GW_EPU_MEDIA) {
		e = want_text(r, needed, r->ep->needs, &text);
		if (e)
			return e;
		*units = (struct gw_api_units){ .unit = "character", .n = characters(text) };
	}
	return GW_OK;
}

enum gw_err gw_api_read(struct gw_arena *a, const struct gw_endpoint_info *ep, struct gw_str body,
			struct gw_str path_model, struct gw_chat_request *out, struct gw_api_units *units,
			struct gw_str *param, struct gw_str *why)
{
	struct gw_json_span needed = { 0 }, metadata = { 0 }, user = { 0 }, safety = { 0 }, n = { 0 }, size = { 0 },
			    quality = { 0 };
	struct gw_chat_request q = { .max_tokens = -1 };
	const struct gw_json_want want[] = {
		{ GW_LIT("model"), &q.model_span },
		{ GW_LIT("stream"), &q.stream_span },
		{ GW_LIT("stream_options"), &q.stream_options_span },
		{ GW_LIT("metadata"), &metadata },
		{ GW_LIT("user"), &user },
		{ GW_LIT("safety_identifier"), &safety },
		{ GW_LIT("n"), &n },
		{ GW_LIT("size"), &size },
		{ GW_LIT("quality"), &quality },
		{ gw_str_z(ep->needs), &needed },
	};
	struct read r = { .a = a, .ep = ep, .body = body, .path_model = path_model, .param = param, .why = why };
	enum gw_err e = GW_OK;

	*units = (struct gw_api_units){ 0 };
	*out = q;
	if (body.n == 0 && ep->model == GW_EPM_ROUTE && ep->needs[0] == 0)
		return GW_OK;
	e = gw_passthru_check(a, body, want, sizeof(want) / sizeof(want[0]) - (ep->needs[0] == 0), param, why);
	if (!e)
		e = check_keys(&r);
	if (!e && ep->model == GW_EPM_IN_JSON)
		e = read_model(&r, &q);
	if (!e && ep->needs[0] && !is_given(needed))
		e = refuse(&r, GW_E_MISSING, gw_str_z(ep->needs), gw_arena_printf(a, "%s is required.", ep->needs));
	if (!e && ep->model == GW_EPM_IN_JSON && ep->reply == GW_EPR_AS_JSON)
		e = read_stream(&r, &q);
	if (!e)
		e = read_units(&r, needed, n, size, quality, units);
	if (e)
		return e;
	read_context(&r, metadata, user, safety, &q);
	if (ep->usage != GW_EPU_TEXT)
		q.wants_usage = true; /* there is nothing to ask for */
	*out = q;
	return GW_OK;
}

/* ---- what is sent ---- */

enum gw_err gw_api_splice(struct gw_arena *a, const struct gw_endpoint_info *ep, struct gw_str body,
			  const struct gw_chat_request *rq, struct gw_str upstream_model, struct gw_str pieces[8],
			  uint32_t *n_pieces)
{
	struct gw_json_span whole;
	struct gw_str quoted;

	if (ep->model != GW_EPM_IN_JSON) {
		pieces[0] = body;
		*n_pieces = 1;
		return GW_OK;
	}
	if (rq->model_span.type == GW_JSON_STR)
		return gw_chat_splice(a, body, rq, upstream_model, pieces, n_pieces);
	quoted = gw_passthru_quote(a, upstream_model);
	if (!quoted.p)
		return GW_E_NOMEM;
	if (rq->model_span.type == GW_JSON_NULL) {
		pieces[0] = gw_str(body.p, rq->model_span.off);
		pieces[1] = quoted;
		pieces[2] = gw_str_skip(body, rq->model_span.off + rq->model_span.len);
		*n_pieces = 3;
		return GW_OK;
	}
	whole = gw_passthru_whole(body);
	pieces[0] = gw_str(body.p, whole.off + 1);
	pieces[1] = GW_LIT("\"model\":");
	pieces[2] = quoted;
	pieces[3] = GW_LIT(","); /* a body that needs a member has one */
	pieces[4] = gw_str_skip(body, whole.off + 1);
	*n_pieces = 5;
	return GW_OK;
}

/* ---- URLs ---- */

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* The byte at *i, decoded once; -1 for what may not stand in a path. */
static int path_byte(struct gw_str s, size_t *i)
{
	char c = s.p[(*i)++];
	int high, low, v;

	if (c != '%')
		return (unsigned char)c > ' ' && (unsigned char)c < 0x7f && !strchr("\\?#\"<>^`{|}", c) ? c : -1;
	if (*i + 2 > s.n)
		return -1;
	high = hex(s.p[(*i)++]);
	low = hex(s.p[(*i)++]);
	v = high * 16 + low;
	return high < 0 || low < 0 || v < ' ' || v == 0x7f || v == '/' || v == '\\' || v == '%' ? -1 : v;
}

bool gw_api_path_is_plain(struct gw_str path)
{
	size_t at = 0;

	while (at < path.n) {
		size_t n = 0, dots = 0, first_param = 0;

		while (at < path.n && path.p[at] != '/') {
			int c = path_byte(path, &at);

			if (c < 0)
				return false;
			/* "..;x" is ".." to readers that know path parameters */
			first_param += c == ';';
			if (!first_param) {
				n++;
				dots += c == '.';
			}
		}
		if (n == 0 || n == dots)
			return false;
		if (at < path.n && ++at == path.n)
			return false; /* ends with a slash */
	}
	return path.n > 0;
}

struct gw_str gw_api_query_without(struct gw_arena *a, struct gw_str query, struct gw_str name)
{
	char *p = gw_alloc_bytes(a, query.n);
	size_t n = 0;

	while (p && query.n) {
		struct gw_str pair, key, value;

		gw_str_cut(query, '&', &pair, &query);
		gw_str_cut(pair, '=', &key, &value);
		if (pair.n == 0 || gw_str_eq(key, name))
			continue;
		if (n)
			p[n++] = '&';
		memcpy(p + n, pair.p, pair.n);
		n += pair.n;
	}
	return n ? gw_str(p, n) : GW_NIL;
}
