/* A count of tokens at a model of which no provider counts (guess.h): the client gets the estimate in its own dialect, marked, unless it asked
 * for strictness. Nothing is sent and nothing is billed. */
#include "worker/guess.h"

#include "core/dialect/anthropic/endpoints.h"
#include "core/dialect/bedrock/endpoints.h"
#include "core/dialect/gemini/endpoints.h"
#include "lib/json_write.h"
#include "worker/api.h"

static bool is_openai(const struct gw_req *r)
{
	return gw_str_eq(gw_str_z(r->endpoint->name), GW_LIT("responses.input_tokens"));
}

/* Everybody was passed over for having no such call; what a provider has said itself holds. */
static bool is_nobody_able(const struct gw_req *r)
{
	if (!r->api || !r->conn || r->is_strict || r->at.status || r->attempts > r->free_attempts + 1)
		return false;
	return r->api->is_count ? r->at.err == GW_E_NOT_FOUND : is_openai(r) && r->at.err == GW_E_INVALID;
}

static void put_openai(uint64_t n, struct gw_buf *out)
{
	struct gw_json_out w;

	gw_jw_init(&w, out);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "object", GW_LIT("response.input_tokens"));
	gw_jw_ku64(&w, "input_tokens", n);
	gw_jw_end_obj(&w);
}

bool gw_guess_count(struct gw_req *r)
{
	uint64_t n;

	if (!is_nobody_able(r))
		return false;
	n = gw_estimate_request(gw_guess_family(r), r->body);
	gw_buf_clear(&r->held, 16 << 10);
	switch (r->endpoint->dialect) {
	case GW_D_ANTHROPIC:
		anthropic_count_reply(n, &r->held);
		break;
	case GW_D_GEMINI:
		gw_gemini_count_reply_write(n, &r->held);
		break;
	case GW_D_BEDROCK:
		gw_bedrock_count_reply_write(n, &r->held);
		break;
	default:
		put_openai(n, &r->held);
		break;
	}
	if (r->held.err)
		return false;
	r->at.err = GW_OK;
	r->at.detail = r->err_param = GW_NIL;
	r->rec.is_estimated = true;
	r->status = 200;
	gw_answer_whole(r, GW_LIT("application/json"), gw_buf_view(&r->held));
	return true;
}
