/* The endpoints beside chat, where they differ from it: what is read of the head, how large a body may be, where the request goes, which
 * headers pass, what comes back, what it is billed by. The steps call in here when r->api is set. */
#include "worker/api.h"

#include "core/key.h"
#include "lib/sys/clock.h"
#include "lib/url.h"
#include "worker/home.h"
#include "worker/moves.h"
#include "worker/single.h"

enum { WHOLE_MAX = 256 << 10, PATH_MAX_BYTES = 6000 };

/* ---- head ---- */

/* Headers that say something about the call itself. Everything that authenticates, frames, or names the client stays here. */
static const char *const to_provider[] = { "openai-beta", "idempotency-key", "anthropic-version", "anthropic-beta",
					   "range",       "if-none-match",   "if-modified-since", "accept-language" };
static const char *const to_client[] = { "content-disposition", "etag",          "last-modified",
					 "content-range",       "accept-ranges", "openai-processing-ms",
					 "retry-after" };

static bool is_one_of(struct gw_str name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (gw_str_ieq(name, gw_str_z(list[i])))
			return true;
	}
	return false;
}

static bool read_head(struct gw_req *r, struct gw_api *a)
{
	static const char *const methods[] = {
		[GW_H1_GET] = "GET", [GW_H1_HEAD] = "HEAD",   [GW_H1_POST] = "POST",
		[GW_H1_PUT] = "PUT", [GW_H1_PATCH] = "PATCH", [GW_H1_DELETE] = "DELETE"
	};
	const struct gw_h1_request *rq = r->rq;
	const struct {
		struct gw_str name;
		struct gw_str *out;
	} wanted[] = {
		{ GW_LIT("x-llmgw-provider"), &a->provider },
		{ GW_LIT("x-llmgw-deployment"), &a->deployment },
		{ GW_LIT("content-type"), &a->content_type },
		{ GW_LIT("accept"), &a->accept },
	};
	bool ok = true;

	a->method = gw_str_z(methods[rq->method]);
	a->content_length = rq->has_body ? rq->content_length : 0;
	for (uint32_t i = 0; i < rq->n_headers; i++) {
		const struct gw_h1_header *h = &rq->headers[i];

		for (size_t k = 0; k < sizeof(wanted) / sizeof(wanted[0]); k++) {
			if (!gw_str_ieq(h->name, wanted[k].name))
				continue;
			*wanted[k].out = gw_arena_str(&r->arena, h->value);
			ok &= wanted[k].out->p != NULL;
		}
		if (a->n_pass == GW_API_PASS ||
		    !is_one_of(h->name, to_provider, sizeof(to_provider) / sizeof(to_provider[0])))
			continue;
		struct gw_up_header *to = &a->pass[a->n_pass++];

		to->name = gw_arena_str(&r->arena, h->name);
		to->value = gw_arena_str(&r->arena, h->value);
		ok &= to->name.p && to->value.p;
	}
	return ok;
}

/* The provider may be named in the query as well, for those who cannot set a header. */
static void read_query(struct gw_req *r, struct gw_api *a)
{
	struct gw_str named, query = r->rq->query;

	if (gw_endpoint_takes_query_key(r->endpoint) || gw_key_is_in_query(query, r->token_header))
		query = gw_api_query_without(&r->arena, query, GW_LIT("key")); /* was for us */
	a->query = gw_arena_str(&r->arena, query);
	if (r->path_arg.n && !strchr(r->endpoint->path, '{'))
		a->query = gw_api_query_without(&r->arena, query, GW_LIT("api-version")); /* said to us */
	if (r->endpoint->model != GW_EPM_ROUTE || !gw_query_get(query, GW_LIT("llmgw_provider"), &named))
		return;
	if (!a->provider.n)
		a->provider = gw_arena_str(&r->arena, named);
	a->query = gw_api_query_without(&r->arena, query, GW_LIT("llmgw_provider"));
}

static enum gw_err read_raw(struct gw_req *r, struct gw_api *a)
{
	struct gw_str rest;

	if (!gw_str_cut(r->path_arg, '/', &a->provider, &rest) || !a->provider.n || !gw_api_path_is_plain(rest)) {
		r->parse_why =
		    GW_LIT("The path is /providers/{name}/{path}; the path may have no dot segments, empty segments, "
			   "encoded slashes, backslashes or percent signs.");
		return GW_E_INVALID;
	}
	a->provider = gw_arena_str(&r->arena, a->provider);
	a->raw_path = gw_arena_str(&r->arena, rest);
	return a->provider.p && a->raw_path.p ? GW_OK : GW_E_NOMEM;
}

/* ---- body ---- */

static enum gw_err begin_upload(struct gw_req *r, struct gw_api *a)
{
	bool is_form = r->endpoint->body == GW_EPB_FORM;
	struct gw_str boundary = GW_NIL;

	if (is_form && gw_form_boundary(a->content_type, &boundary)) {
		r->parse_why = GW_LIT("The body must be multipart/form-data with a boundary.");
		return GW_E_BAD_MEDIA;
	}
	a->up = gw_alloc(&r->arena, is_form ? sizeof(*a->up) : offsetof(struct gw_upload, form));
	if (!a->up)
		return GW_E_NOMEM;
	a->up->is_on = r->rq->has_body && !r->body.p;
	a->up->has_form = is_form;
	gw_buf_init(&a->up->hold, is_form ? r->w->limits.max_body_bytes : 1 << 20);
	if (!is_form)
		return GW_OK;
	gw_form_init(&a->up->form, boundary);
	return a->up->is_on ? GW_OK : gw_upload_read_whole(r);
}

/* A call whose path says both what model and what to do with it. */
struct call {
	struct gw_str model;
	bool is_stream, is_count, is_embed, is_batch;
};

static enum gw_err read_call(struct gw_req *r, struct call *out)
{
	static const struct {
		enum gw_dialect_id dialect;
		const char *tail;
		struct call is;
	} calls[] = {
		{ GW_D_GEMINI, ":generateContent", { .is_stream = false } },
		{ GW_D_GEMINI, ":streamGenerateContent", { .is_stream = true } },
		{ GW_D_GEMINI, ":countTokens", { .is_count = true } },
		{ GW_D_GEMINI, ":embedContent", { .is_embed = true } },
		{ GW_D_GEMINI, ":batchEmbedContents", { .is_embed = true, .is_batch = true } },
		{ GW_D_BEDROCK, "/converse", { .is_stream = false } },
		{ GW_D_BEDROCK, "/converse-stream", { .is_stream = true } },
		{ GW_D_BEDROCK, "/count-tokens", { .is_count = true } },
		{ GW_D_ANTHROPIC, ":rawPredict", { .is_stream = false } },
		{ GW_D_ANTHROPIC, ":streamRawPredict", { .is_stream = true } },
		{ GW_D_ANTHROPIC, "/invoke", { .is_stream = false } },
		{ GW_D_ANTHROPIC, "/invoke-with-response-stream", { .is_stream = true } },
	};
	struct gw_buf b;
	bool ok;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct gw_str tail = gw_str_z(calls[i].tail), arg = r->path_arg;

		if (calls[i].dialect != r->endpoint->dialect || arg.n <= tail.n ||
		    memcmp(arg.p + arg.n - tail.n, tail.p, tail.n) != 0)
			continue;
		gw_buf_init(&b, 1024);
		if (gw_str_has_prefix(gw_str_z(r->endpoint->path), GW_LIT("/v1/tunedModels/")))
			gw_buf_puts(&b, GW_LIT("tunedModels/")); /* a part of the name */
		ok = gw_url_decode(&b, gw_str(arg.p, arg.n - tail.n)) && !b.err;
		*out = calls[i].is;
		out->model = ok ? gw_arena_str(&r->arena, gw_buf_view(&b)) : GW_NIL;
		gw_buf_done(&b);
		return out->model.p ? GW_OK : GW_E_NO_ROUTE;
	}
	r->parse_why =
	    r->endpoint->dialect == GW_D_GEMINI
		? GW_LIT("Of Gemini's calls of a model there are :generateContent, :streamGenerateContent, "
			 ":countTokens, :embedContent and :batchEmbedContents.")
	    : r->endpoint->dialect == GW_D_BEDROCK
		? GW_LIT("Of Bedrock's calls of a model there are /converse, /converse-stream, /count-tokens, "
			 "/invoke and /invoke-with-response-stream.")
		: GW_LIT("Of Vertex AI's calls of Anthropic models there are :rawPredict and "
			 ":streamRawPredict.");
	return GW_E_NO_ROUTE;
}

enum gw_err gw_api_parse(struct gw_req *r)
{
	struct call call = { 0 };
	/* rows without a place in their path have an argument only when the URL named the model before them */
	const struct gw_str path_model = strchr(r->endpoint->path, '{') ? GW_NIL : r->path_arg;
	struct gw_api *a = gw_alloc(&r->arena, sizeof(*a));
	enum gw_err e = GW_OK;

	if (!a || !read_head(r, a))
		return GW_E_NOMEM;
	r->api = a;
	read_query(r, a);
	if (gw_api_is_raw(r))
		e = read_raw(r, a);
	else if (r->endpoint->model == GW_EPM_IN_PATH)
		e = read_call(r, &call);
	if (e)
		return e;
	switch (r->endpoint->body) {
	case GW_EPB_NO:
		return GW_OK;
	case GW_EPB_JSON:
		e = gw_api_read(&r->arena, r->endpoint, r->body, path_model, &r->chat, &a->units, &r->parse_param,
				&r->parse_why);
		if (r->endpoint->model == GW_EPM_IN_PATH) {
			r->chat.model = call.model;
			r->chat.is_stream = call.is_stream;
			a->is_count = call.is_count;
			a->is_embed = call.is_embed;
			a->is_batch = call.is_batch;
		} else {
			a->is_count = gw_str_eq(gw_str_z(r->endpoint->name), GW_LIT("messages.count_tokens"));
		}
		return e;
	case GW_EPB_FORM:
	case GW_EPB_ANY:
		return begin_upload(r, a);
	}
	return GW_E_BUG;
}

enum gw_err gw_api_admit(struct gw_worker *w, struct gw_h1_conn *c, const struct gw_h1_request *rq,
			 const struct gw_endpoint_info *ep, size_t *body_max)
{
	uint64_t max = w->limits.max_upload_bytes;

	if (ep->body == GW_EPB_NO || !rq->has_body)
		return GW_OK;
	if (ep->body == GW_EPB_JSON)
		max = w->limits.max_body_bytes;
	*body_max = max;
	if (rq->content_length >= 0 && (uint64_t)rq->content_length > max)
		return GW_E_TOO_BIG;
	if (ep->body != GW_EPB_JSON && (rq->content_length < 0 || rq->content_length > WHOLE_MAX))
		gw_h1_stream_body(c);
	return GW_OK;
}

enum gw_step_id gw_api_after_auth(const struct gw_req *r)
{
	switch (r->endpoint->model) {
	case GW_EPM_OWN:
		return GW_STEP_models;
	case GW_EPM_IN_JSON:
	case GW_EPM_IN_PATH:
		return GW_STEP_resolve;
	case GW_EPM_IN_FORM:
		return r->api->up->is_on ? GW_STEP_form : GW_STEP_resolve;
	case GW_EPM_ROUTE:
	case GW_EPM_RAW:
		return GW_STEP_route;
	}
	return GW_STEP_fail;
}

/* ---- to the provider ---- */

/* Base path, then the row's path without /v1 and with the id in its place (or what the client put behind the provider's name), then
 * the query. */
static struct gw_str path_of(struct gw_req *r, const struct gw_candidate *c)
{
	const struct gw_api *a = r->api;
	struct gw_str base = c->base_path, path;
	struct gw_buf b;
	struct gw_str row = gw_str_skip(gw_str_z(r->endpoint->path), 3), tail = GW_NIL, id = GW_NIL;
	size_t hole = gw_str_find(row, '{');

	if (gw_api_is_raw(r)) {
		row = GW_LIT("/");
		id = a->raw_path;
	} else if (hole < row.n) {
		tail = gw_str_skip(row, hole + 4);
		row.n = hole;
		id = r->path_arg;
	}
	if (base.n + row.n + id.n + tail.n + a->query.n > PATH_MAX_BYTES)
		return GW_NIL;
	path = gw_arena_printf(&r->arena, "%.*s%.*s%.*s", GW_FMT(row), GW_FMT(id), GW_FMT(tail));
	gw_buf_init(&b, PATH_MAX_BYTES + 1024);
	gw_provider_path(&gw_providers[c->provider_type], base, c->upstream_model, c->api_version, path, a->query, &b);
	path = b.err ? GW_NIL : gw_arena_str(&r->arena, gw_buf_view(&b));
	gw_buf_done(&b);
	return path;
}

static enum gw_err body_of(struct gw_req *r, const struct gw_candidate *c, struct gw_str pieces[8], uint32_t *n)
{
	const struct gw_api *a = r->api;

	*n = 0;
	if (r->endpoint->body == GW_EPB_NO || (a->up && a->up->is_on))
		return GW_OK;
	if (r->endpoint->body == GW_EPB_FORM)
		return gw_upload_splice(r, c->upstream_model, pieces, n);
	if (r->endpoint->dialect == GW_D_RESPONSES) {
		enum gw_err e = gw_home_body(r, c, &gw_responses, &pieces[0]);

		*n = 1;
		if (e || pieces[0].p)
			return e;
	}
	return gw_api_splice(&r->arena, r->endpoint, r->body, &r->chat, c->upstream_model, pieces, n);
}

/* Calls of OpenAI's API that are not translated: who speaks another dialect would not know the path. Those without a model, and raw ones,
 * are between the client and the provider that it names. */
static bool has_call(const struct gw_req *r, const struct gw_candidate *c)
{
	const struct gw_provider *p = &gw_providers[c->provider_type];

	if (r->endpoint->model == GW_EPM_ROUTE || gw_api_is_raw(r))
		return true;
	if (p->dialect_id != GW_D_OPENAI && p->dialect_id != GW_D_RESPONSES)
		return false;
	return !(p->quirks & GW_Q_NO_RESPONSES) ||
	       !gw_str_has_prefix(gw_str_z(r->endpoint->name), GW_LIT("responses."));
}

enum gw_err gw_api_dispatch(struct gw_req *r, const struct gw_candidate *c)
{
	if (!has_call(r, c)) {
		enum gw_err none = gw_single_refuse(r, c, r->endpoint->name);

		gw_moves_refused(r, true);
		return none;
	}
	const struct gw_api *a = r->api;
	struct gw_str path = path_of(r, c), *pieces = GW_NEW_N(&r->arena, struct gw_str, 8);
	bool is_streamed = a->up && a->up->is_on, is_json = r->endpoint->body == GW_EPB_JSON;
	struct gw_send_more more = { .method = a->method, .pass = a->pass, .n_pass = a->n_pass };
	uint32_t n = 0;
	enum gw_err e = path.p && pieces ? body_of(r, c, pieces, &n) : GW_E_NOMEM;

	if (e)
		return e;
	if (is_json && r->body.n)
		more.content_type = GW_LIT("application/json");
	else if (r->endpoint->body != GW_EPB_NO)
		more.content_type = a->content_type;
	more.accept = r->endpoint->reply == GW_EPR_AS_IT_IS
			  ? (a->accept.n ? a->accept : GW_LIT("*/*"))
			  : (r->chat.is_stream ? GW_LIT("text/event-stream") : GW_LIT("application/json"));
	if (is_streamed) {
		more.is_streamed = true;
		more.stream_length = gw_upload_length(r, c->upstream_model);
		more.on_room = gw_upload_pump;
	}
	return gw_send_with(r, c, path, pieces, n, &more);
}

/* ---- what comes back ---- */

bool gw_api_reply_head(struct gw_req *r, const struct gw_up_reply *rep, bool is_json)
{
	struct gw_api *a = r->api;

	a->is_json = is_json;
	a->n_back = 0;
	gw_json_scan_init(&r->scan, gw_api_usage_tree(r->endpoint->usage), r->values, GW_UP_PATHS);
	for (uint32_t i = 0; i < rep->n_headers && a->n_back < GW_API_BACK; i++) {
		const struct gw_up_header *h = &rep->headers[i];

		if (!is_one_of(h->name, to_client, sizeof(to_client) / sizeof(to_client[0])))
			continue;
		a->back[a->n_back++] =
		    (struct gw_h1_header){ gw_arena_str(&r->arena, h->name), gw_arena_str(&r->arena, h->value) };
	}
	return is_json || r->endpoint->reply == GW_EPR_AS_IT_IS;
}

void gw_api_relay_piece(struct gw_req *r, struct gw_str piece)
{
	uint64_t left;

	if (!r->first_content_ns)
		r->first_content_ns = gw_now_ns();
	if (r->out == GW_OUT_NONE)
		gw_answer_start_stream(r, r->content_type, r->at.content_length);
	if (r->at.content_length < 0) {
		gw_relay_send(r, piece); /* END goes before the last chunk's head */
		return;
	}
	left = (uint64_t)r->at.content_length - r->bytes_out;
	if (piece.n >= left && left) { /* END goes before the last byte */
		gw_buf_clear(&r->held, 16 << 10);
		gw_buf_puts(&r->held, gw_str(piece.p + left - 1, 1));
		piece.n = left - 1;
	}
	gw_relay_send(r, piece);
}

/* Whether the words may go out as they are: they may repeat what we sent. */
static bool has_secret(const struct gw_req *r)
{
	struct gw_str body = gw_buf_view(&r->held), secrets[GW_REQ_SECRETS];
	uint32_t n = gw_req_secrets(r, secrets);

	for (uint32_t i = 0; i < n; i++) {
		if (memmem(body.p, body.n, secrets[i].p, secrets[i].n))
			return true;
	}
	return false;
}

enum gw_err gw_api_error(struct gw_req *r, enum gw_err e)
{
	int status = r->at.status;

	/* About our own account: nothing for clients. */
	if (status == 401 || status == 402 || status == 407 || (e == GW_E_UP_BILLING || e == GW_E_UP_AUTH))
		return e;
	if (gw_api_is_raw(r) && !r->up_err && !has_secret(r)) {
		r->api->is_raw_error = true;
		return e;
	}
	if (r->endpoint->model != GW_EPM_ROUTE && !gw_api_is_raw(r))
		return status == 415 ? GW_E_BAD_MEDIA : e;
	return status == 404 ? GW_E_NOT_FOUND : status == 409 ? GW_E_CONFLICT : status == 415 ? GW_E_BAD_MEDIA : e;
}

/* ---- the bill ---- */

/* What was used beside tokens goes into the usage; the price is found where all prices are. */
void gw_api_account(struct gw_req *r)
{
	struct gw_api_units u = r->api->units;
	uint64_t seconds;

	if (r->api->up)
		r->rec.bytes_in = r->conn ? r->rq->wire_bytes : r->rec.bytes_in;
	if (r->err || r->at.candidate < 0 || r->status >= 400)
		return;
	seconds = r->endpoint->usage == GW_EPU_MEDIA && r->api->is_json ? gw_api_seconds(r->values) : 0;
	if (seconds)
		u = (struct gw_api_units){ .unit = "second", .n = seconds };
	if (!u.unit)
		return;
	r->rec.unit = gw_str_z(u.unit);
	r->rec.units = u.n;
	if (u.size.n || u.quality.n)
		r->rec.unit_detail = gw_arena_printf(&r->arena, "%.*s%s%.*s", GW_FMT(u.size),
						     u.size.n && u.quality.n ? " " : "", GW_FMT(u.quality));
	if (u.unit[0] == 'i')
		r->usage.images = u.n;
	else if (u.unit[0] == 's')
		r->usage.seconds = u.n;
	else
		r->usage.characters = u.n;
	r->usage.pixels = u.pixels;
	gw_usage_settle(&r->usage);
}

void gw_api_done(struct gw_req *r)
{
	if (r->api && r->api->up)
		gw_buf_done(&r->api->up->hold);
}
