#pragma once
#include "core/estimate.h"
#include "worker/req.h"

/* Usage that nobody told: what is estimated when, and what the record says of it. The counting itself is in core/estimate.h. */

/* Whose vocabulary the model under way has. */
enum gw_estimate_family gw_guess_family(const struct gw_req *r);
/* A stream of OpenAI's API goes by: what the model wrote, and that the provider told output. Most providers tell usage at the end, so that this
 * is for nothing: of a long stream one piece in eight is looked at and stands for the others. */
enum { GW_GUESS_ALL = 64, GW_GUESS_EVERY = 8 };
static inline void gw_guess_said(struct gw_req *r, struct gw_str json)
{
	r->said_bytes += json.n;
	if (r->said_pieces++ >= GW_GUESS_ALL && r->said_pieces % GW_GUESS_EVERY)
		return;
	r->sampled_bytes += json.n;
	gw_estimate_value(&r->said, json);
}
void gw_guess_told(struct gw_req *r);
/* A whole reply that is too long to be held is let go: its first part stands for all. */
void gw_guess_sample(struct gw_req *r, struct gw_str first);
/* Input tokens of a question with one answer whose provider was silent. */
void gw_guess_input(const struct gw_req *r, struct gw_usage *u);
/* judge: nobody is left to ask. True: it was a question for a count of tokens, and the estimate is the answer. */
bool gw_guess_count(struct gw_req *r);
/* account: fills r->usage where it is not known, or known in part. */
void gw_guess_usage(struct gw_req *r);
