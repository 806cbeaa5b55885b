/* parse: the key's place, the context headers, the body. Faults of the body wait until the key is known, so that they leave a record. */
#include "core/key.h"
#include "lib/sys/clock.h"
#include "lib/url.h"
#include "worker/api.h"
#include "worker/talk.h"

/* Reading a body of this size takes long enough to be seen among the steps' times. */
enum { WORTH_A_STAMP = 8 << 10 };

static struct gw_str cut(struct gw_str s, size_t max)
{
	return s.n > max ? gw_str(s.p, max) : s;
}

/* traceparent (W3C Trace Context): 00-<32 hex>-<16 hex>-<2 hex>. */
static struct gw_str trace_id(struct gw_str t)
{
	uint8_t raw[16];

	if (t.n < 55 || t.p[2] != '-' || t.p[35] != '-' || !gw_hex_read(gw_str(t.p + 3, 32), raw, 16))
		return GW_NIL;
	return gw_str(t.p + 3, 32);
}

static void read_headers(struct gw_req *r, const struct gw_h1_request *rq, struct gw_key_headers *keys)
{
	struct gw_record *rec = &r->rec;
	struct gw_str timing = GW_NIL, strict = GW_NIL, anthropic = GW_NIL;
	const struct {
		struct gw_str name;
		struct gw_str *out;
		size_t max;
	} wanted[] = {
		{ GW_LIT("authorization"), &keys->authorization, SIZE_MAX },
		{ GW_LIT("x-api-key"), &keys->x_api_key, SIZE_MAX },
		{ GW_LIT("api-key"), &keys->api_key, SIZE_MAX },
		{ GW_LIT("x-goog-api-key"), &keys->x_goog_api_key, SIZE_MAX },
		{ GW_LIT("user-agent"), &rec->user_agent, 200 },
		{ GW_LIT("traceparent"), &r->traceparent, 128 },
		{ GW_LIT("x-llmgw-session"), &rec->session_id, 200 },
		{ GW_LIT("x-llmgw-action"), &rec->action_id, 200 },
		{ GW_LIT("x-llmgw-user"), &rec->user, 200 },
		{ GW_LIT("x-llmgw-tags"), &rec->tags, 300 },
		{ GW_LIT("x-llmgw-timing"), &timing, 8 },
		{ GW_LIT("x-llmgw-strict"), &strict, 8 },
		{ GW_LIT("anthropic-version"), &anthropic, 32 },
	};

	for (uint32_t i = 0; i < rq->n_headers; i++) {
		for (size_t k = 0; k < sizeof wanted / sizeof wanted[0]; k++) {
			if (rq->headers[i].name.n != wanted[k].name.n ||
			    !gw_str_ieq(rq->headers[i].name, wanted[k].name))
				continue;
			*wanted[k].out = cut(rq->headers[i].value, wanted[k].max);
			break;
		}
	}
	if (anthropic.n)
		r->endpoint = gw_endpoint_for(r->endpoint, GW_D_ANTHROPIC);
	else if (keys->x_goog_api_key.n || keys->query.n)
		r->endpoint = gw_endpoint_for(r->endpoint, GW_D_GEMINI);
	rec->trace_id = trace_id(r->traceparent);
	r->wants_timing = gw_str_eq(timing, GW_LIT("1")) || gw_str_ieq(timing, GW_LIT("true"));
	r->is_timed |= r->wants_timing;
	r->is_strict = gw_str_eq(strict, GW_LIT("1")) || gw_str_ieq(strict, GW_LIT("true"));
}

/* What goes into the record as the model's name. Who puts the key there by mistake shall not find it in the trail. */
static struct gw_str shown_model(const struct gw_req *r, struct gw_str name)
{
	struct gw_str token = r->token_header;

	for (size_t at = 0; token.n && at + token.n <= name.n; at++) {
		if (memcmp(name.p + at, token.p, token.n) == 0)
			return GW_LIT("(an API key)");
	}
	return cut(name, 200);
}

void gw_parse_note_body(struct gw_req *r)
{
	struct gw_record *rec = &r->rec;

	rec->is_stream = r->chat.is_stream;
	rec->requested_model = shown_model(r, r->chat.model);
	rec->end_user = cut(r->chat.user, 200);
	if (!rec->session_id.n)
		rec->session_id = cut(r->chat.session_id, 200);
	if (!rec->action_id.n)
		rec->action_id = cut(r->chat.action_id, 200);
	if (!rec->tags.n)
		rec->tags = cut(r->chat.tags, 300);
}

/* "/v1/models/{id}": the id may hold an encoded slash. */
static void read_path(struct gw_req *r)
{
	struct gw_buf b;

	gw_buf_init(&b, 1024);
	if (gw_url_decode(&b, r->path_arg) && !b.err)
		r->path_arg = gw_arena_str(&r->arena, gw_buf_view(&b));
	else
		r->parse_err = GW_E_MODEL_NOT_FOUND;
	gw_buf_done(&b);
	r->rec.requested_model = shown_model(r, r->path_arg);
}

/* Signatures name an account of a provider, never a key of ours: whoever signs has to be told what to set instead. */
static void say_how_to_sign_in(struct gw_req *r, struct gw_str authorization)
{
	if (r->err == GW_E_NO_KEY && gw_str_has_prefix(gw_str_trim(authorization), GW_LIT("AWS4-")))
		r->parse_why =
		    GW_LIT("AWS signatures are not taken here. Send the gateway's API key as \"Authorization: "
			   "Bearer KEY\": AWS SDKs do when AWS_BEARER_TOKEN_BEDROCK is set to it.");
}

/* The key of Gemini's clients may stand in the URL; encoded ones lie in the arena until the request ends. */
static struct gw_str query_key(struct gw_req *r)
{
	char room[GW_KEY_QUERY_BYTES];
	struct gw_str key;

	if (!r->rq->query.n || !gw_endpoint_takes_query_key(r->endpoint))
		return GW_NIL;
	key = gw_key_of_query(r->rq->query, room);
	if (key.p == room) {
		key = gw_arena_str(&r->arena, key);
		gw_wipe(room, sizeof room);
	}
	return key;
}

enum gw_step_id gw_step_parse(struct gw_req *r)
{
	struct gw_key_headers keys = { 0 };

	keys.query = query_key(r);
	read_headers(r, r->rq, &keys);
	r->rec.endpoint = gw_str_z(r->endpoint->name);
	r->rec.ingress_dialect = gw_str_z(gw_dialect_name(r->endpoint->dialect));
	r->rec.client_ip = gw_edge_client(r->w, r->conn, r->rq, &r->arena);
	r->rec.worker = r->w->slot;
	r->err = gw_key_from_headers(&keys, &r->token_header);
	if (r->err)
		say_how_to_sign_in(r, keys.authorization);
	if (r->err || r->endpoint->id == GW_EP_MODELS)
		return GW_STEP_auth;
	if (r->endpoint->id == GW_EP_MODEL) {
		read_path(r);
		return GW_STEP_auth;
	}
	r->parse_err = r->endpoint->id == GW_EP_CHAT
			   ? gw_chat_read_at(&r->arena, r->body, r->path_arg, &r->chat, &r->parse_param, &r->parse_why)
			   : gw_api_parse(r);
	gw_parse_note_body(r);
	if (r->body.n > WORTH_A_STAMP)
		(void)gw_now_ns();
	return GW_STEP_auth;
}
