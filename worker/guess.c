/* Usage that nobody told (guess.h). A provider that was silent about a whole answer: input and output are estimated. A stream that broke off
 * after its first content, whoever's fault: what the provider told until then holds, input if it told none is estimated, and so is what the
 * model wrote after that. An answer that never began, and what is not made of tokens, is not estimated. */
#include "worker/guess.h"

#include "worker/api.h"
#include "worker/talk.h"

enum { SAMPLE_BYTES = 64 << 10 };

enum gw_estimate_family gw_guess_family(const struct gw_req *r)
{
	return r->at.candidate < 0 ? GW_EF_O200K
				   : gw_estimate_family_of(r->plan.candidates[r->at.candidate].upstream_model);
}

static uint64_t said_so_far(const struct gw_req *r)
{
	return r->sampled_bytes ? gw_estimate_tokens(&r->said) * r->said_bytes / r->sampled_bytes : 0;
}

void gw_guess_told(struct gw_req *r)
{
	r->said_when_told = said_so_far(r);
}

static bool is_named(const struct gw_req *r, const char *name)
{
	return gw_str_eq(gw_str_z(r->endpoint->name), gw_str_z(name));
}

/* Is it made of tokens at all? */
static bool is_counted(const struct gw_req *r)
{
	if (r->at.candidate < 0 || r->status >= 400 || (r->api && (r->api->is_count || r->api->is_raw_error)))
		return false;
	if (is_named(r, "rerank")) /* where it was read (embed.c) */
		return false;
	return r->endpoint->dialect != GW_D_NONE || is_named(r, "embeddings") || is_named(r, "completions");
}

/* Vectors are no output. */
static bool has_output(const struct gw_req *r)
{
	return is_counted(r) && !is_named(r, "embeddings") && !(r->api && r->api->is_embed);
}

void gw_guess_sample(struct gw_req *r, struct gw_str first)
{
	if (!has_output(r))
		return;
	if (first.n > SAMPLE_BYTES)
		first.n = SAMPLE_BYTES;
	r->said = gw_estimate_begin(gw_guess_family(r));
	gw_estimate_add(&r->said, gw_estimate_reply(gw_guess_family(r), first));
	r->sampled_bytes = first.n;
}

/* Tokens that the model wrote since the provider told output last. */
static uint64_t said_since(const struct gw_req *r)
{
	const struct gw_talk *t = r->talk;
	uint64_t all, told;

	if (t && t->is_open) {
		all = gw_estimate_tokens(&t->stream.said);
		told = t->stream.said_when_told;
	} else if (r->at.is_sse) {
		all = said_so_far(r);
		told = r->said_when_told;
	} else if (r->sampled_bytes) {
		return gw_estimate_tokens(&r->said) * (r->bytes_out + gw_buf_len(&r->held)) / r->sampled_bytes;
	} else {
		return gw_estimate_reply(gw_guess_family(r), gw_buf_view(&r->held));
	}
	return all > told ? all - told : 0;
}

void gw_guess_input(const struct gw_req *r, struct gw_usage *u)
{
	u->input = gw_estimate_request(gw_guess_family(r), r->body);
	u->is_known = u->is_estimated = true;
	gw_usage_settle(u);
}

static void guess_whole(struct gw_req *r)
{
	gw_guess_input(r, &r->usage);
	if (has_output(r))
		r->usage.output = said_since(r);
	gw_usage_settle(&r->usage);
}

/* What the provider told in a stream that broke off is what it had counted by then. */
static void guess_rest(struct gw_req *r)
{
	struct gw_usage *u = &r->usage;
	bool was_told = u->is_known, has_input = u->input > 0;
	uint64_t more = said_since(r);

	if (has_input && !more)
		return;
	if (!has_input)
		gw_guess_input(r, u);
	u->output += more;
	u->is_known = u->is_estimated = true;
	u->is_partial = was_told;
	gw_usage_settle(u);
}

void gw_guess_usage(struct gw_req *r)
{
	if (!is_counted(r))
		return;
	if (!r->err && !r->usage.is_known)
		guess_whole(r);
	else if (r->err && r->saw_content && r->at.is_sse)
		guess_rest(r);
}
