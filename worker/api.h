#pragma once
#include "core/api.h"
#include "core/form.h"
#include "worker/req.h"

/* What a request has beside a chat's when it is for one of the other endpoints (rows: schemas/endpoints.def). In the request's arena; r->api
 * is NULL for chat and models, which pay a look at a pointer for all of this.
 *
 *   api.c             what is read of the head, where it goes, what comes back, what it is billed by
 *   upload.c          bodies that are streamed: held back until it is known where they go, then passed on as they come
 *   steps/form.c      waits until a form has told its model
 *   steps/route.c     endpoints without a model: which provider */
enum { GW_API_PASS = 10, GW_API_BACK = 8, GW_UPLOAD_HIGH = 256 << 10, GW_UPLOAD_LOW = 64 << 10 };

struct gw_upload {
	bool is_on; /* the body comes in pieces */
	bool is_ended, is_ended_up; /* all of it is here; all of it was given to the provider */
	bool is_given; /* some of it was: no other attempt can have it */
	bool is_flowing; /* the provider takes what comes; else on_room will tell */
	bool has_form, is_spliced;
	enum gw_err err; /* why the rest will not come */
	struct gw_buf hold;
	uint64_t n_in; /* bytes that came */
	uint64_t at; /* where in the body hold begins */
	struct gw_form form; /* fixed memory, large: last but for the arena's sake */
};

struct gw_api {
	struct gw_str provider, deployment; /* asked for: x-llmgw-provider, x-llmgw-deployment */
	struct gw_str content_type, accept, query, method, raw_path;
	int64_t content_length;
	struct gw_up_header pass[GW_API_PASS]; /* of the client's, to the provider */
	uint32_t n_pass;
	struct gw_h1_header back[GW_API_BACK]; /* of the provider's, to the client */
	uint32_t n_back;
	struct gw_api_units units;
	struct gw_upload *up; /* NULL: no body, or one that is held whole */
	bool is_json; /* the reply is JSON: its usage is looked for */
	bool is_count; /* how many tokens it has is asked, not for an answer */
	bool is_embed, is_batch; /* vectors are asked for in Gemini's shape: of one content, of a list */
	bool is_raw_error; /* the provider's own error goes out as it is */
};

static inline bool gw_api_is_raw(const struct gw_req *r)
{
	return r->endpoint->model == GW_EPM_RAW;
}

/* Anthropic's messages in the wrapping of a cloud: the model and whether it streams are in the path, anthropic_version is in the body. */
static inline bool gw_api_is_wrapped(const struct gw_req *r)
{
	return r->endpoint->dialect == GW_D_ANTHROPIC &&
	       !gw_str_has_prefix(gw_str_z(r->endpoint->path), GW_LIT("/v1/messages"));
}

/* Such streams of Bedrock are AWS event streams. */
static inline bool gw_api_is_invoked(const struct gw_req *r)
{
	return r->endpoint->dialect == GW_D_ANTHROPIC &&
	       gw_str_has_prefix(gw_str_z(r->endpoint->path), GW_LIT("/model/"));
}

/* front: may a body of this endpoint come, and how large? */
GW_MUST enum gw_err gw_api_admit(struct gw_worker *w, struct gw_h1_conn *c, const struct gw_h1_request *rq,
				 const struct gw_endpoint_info *ep, size_t *body_max);
/* parse: fills r->api and r->chat; faults as in gw_chat_read. */
GW_MUST enum gw_err gw_api_parse(struct gw_req *r);
/* The step after auth. */
enum gw_step_id gw_api_after_auth(const struct gw_req *r);
/* send: hands the request to the provider. */
GW_MUST enum gw_err gw_api_dispatch(struct gw_req *r, const struct gw_candidate *c);
/* relay: the reply's head is there; false: not a reply of this endpoint. */
bool gw_api_reply_head(struct gw_req *r, const struct gw_up_reply *rep, bool is_json);
/* A piece of a reply that is not JSON: goes out at once, but for the last byte of a known length. */
void gw_api_relay_piece(struct gw_req *r, struct gw_str piece);
/* An error reply of a provider: 404 and the like are about what was asked for, not about us. */
enum gw_err gw_api_error(struct gw_req *r, enum gw_err e);
/* account: units and what they cost. */
void gw_api_account(struct gw_req *r);
void gw_api_done(struct gw_req *r);

/* upload.c */
void gw_upload_take(struct gw_req *r, struct gw_str piece, bool is_end, enum gw_err e);
void gw_upload_pump(void *req); /* as on_room */
/* Known by now: the model of the form, its end, or that there is no more to wait for. */
bool gw_upload_knows_model(const struct gw_req *r);
/* A form that is held whole, read at once. */
GW_MUST enum gw_err gw_upload_read_whole(struct gw_req *r);
/* r->chat from the form's fields. */
GW_MUST enum gw_err gw_upload_take_fields(struct gw_req *r);
/* Bytes that the provider gets; -1 unknown. */
int64_t gw_upload_length(const struct gw_req *r, struct gw_str upstream_model);
/* The form's body as pieces, model replaced or put in. */
GW_MUST enum gw_err gw_upload_splice(struct gw_req *r, struct gw_str upstream_model, struct gw_str pieces[8],
				     uint32_t *n_pieces);
