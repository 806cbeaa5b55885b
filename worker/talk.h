#pragma once
#include "core/dialect/translate.h"
#include "worker/req.h"

/* A conversation whose client and provider speak different dialects, or a dialect that passthru does not know by heart (all but OpenAI's):
 * what send and relay do then. Made at each attempt, because each deployment may be of another kind; NULL for all else.
 *
 * Different dialects: the body is read into the IR and written anew, so are the reply and each event of a stream. The same dialect: bytes
 * pass as they are and are only looked at. */
enum { GW_TALK_REPLY_MAX = 8 << 20, GW_TALK_BODY_FACTOR = 16 };

struct gw_single;
struct gw_talk {
	const struct gw_dialect *provider, *client;
	const struct gw_single *single; /* no conversation: single.h; client may be NULL then */
	void *asked; /* its own, in arena */
	bool is_same; /* bytes pass */
	bool is_open; /* stream is */
	uint32_t n_calls; /* sent: of questions that take several, more than one */
	struct gw_carry carry;
	struct gw_arena arena; /* trees: the request's when the client's dialect repeats it, the reply's */
	struct gw_buf body, in, out,
	    echo; /* to the provider; a whole reply; to the client; what it repeats of the request */
	struct gw_str dropped;
	uint64_t seq; /* of the event behind those that passed as bytes */
	struct gw_translate stream;
};
/* Must this attempt go through here? */
bool gw_talk_is_needed(const struct gw_req *r, const struct gw_candidate *c);
GW_MUST enum gw_err gw_talk_dispatch(struct gw_req *r, const struct gw_candidate *c);
/* Some calls of several went well: the same deployment is asked again only for what is missing, when r->talk is kept. */
bool gw_talk_goes_on(const struct gw_req *r);
/* relay: the head of a reply below 300; false: not one that can be read. */
bool gw_talk_head(struct gw_req *r, const struct gw_up_reply *rep, struct gw_str content_type);
GW_MUST enum gw_err gw_talk_piece(struct gw_req *r, struct gw_str piece);
/* The provider has ended its answer. A whole one is ready in out (or in, when bytes pass). GW_E_AGAIN: another call is under way. */
GW_MUST enum gw_err gw_talk_end(struct gw_req *r);
struct gw_str gw_talk_whole(const struct gw_talk *t);
void gw_talk_done(struct gw_req *r);

/* How a stream of this request is told to the client, whoever makes it. */
struct gw_str gw_talk_stream_type(const struct gw_req *r);
/* A sign of life between events; NIL: the framing has none. */
struct gw_str gw_talk_ping(const struct gw_req *r);
/* Errors in the client's own dialect: whole, and as the last of a stream. */
void gw_talk_error(const struct gw_req *r, const struct gw_error_told *told, bool is_midway, struct gw_buf *out);
