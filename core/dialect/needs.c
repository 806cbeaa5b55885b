/* The features that a request uses, found by one walk over its IR, and their cells of schemas/features.def (needs.h). Features that every dialect
 * carries in some way are not looked for. */
#include "core/dialect/needs.h"

#include "core/provider.h"

enum cell { CARRIED, MAPPED, OWN, DROPPED, REFUSED };
static const struct {
	const char *name;
	uint8_t cells[GW_D_COUNT];
} rows[] = {
#define GW_FEATURE(name, openai, responses, anthropic, gemini, bedrock, cohere, doc)                                   \
	{ name, { openai, responses, anthropic, gemini, bedrock, cohere } },
#include "schemas/features.def"
#undef GW_FEATURE
};
enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };
_Static_assert(N_ROWS <= 64, "a bit each");
_Static_assert(GW_D_COUNT <= 8, "gw_needs.owners");

/* Vendors that take more or less than their dialect. */
static const struct {
	uint64_t quirk;
	const char *feature;
	enum cell cell;
} exceptions[] = {
	{ GW_Q_NO_LOGPROBS, "logprobs", DROPPED },
	{ GW_Q_NO_LOGPROBS, "top_logprobs", DROPPED },
	{ GW_Q_NO_LOGPROBS, "logit_bias", DROPPED },
	{ GW_Q_N_ONE, "n above 1", REFUSED },
	{ GW_Q_DATA_IMAGES, "image by URL", REFUSED },
	{ GW_Q_NO_PARALLEL, "parallel_tool_calls false", DROPPED },
	{ GW_Q_NO_NAMES, "names of participants", DROPPED },
	{ GW_Q_NO_EFFORT, "reasoning effort", DROPPED },
	{ GW_Q_NO_TOOL_CHOICE, "tool_choice required", DROPPED },
	{ GW_Q_NO_TOOL_CHOICE, "tool_choice of one tool", DROPPED },
	{ GW_Q_TOP_K, "top_k", CARRIED },
	{ GW_Q_CACHE_CONTROL, "prompt-cache marks", CARRIED },
	{ GW_Q_GEMINI_FETCHES_URLS, "image by URL", CARRIED },
	{ GW_Q_GEMINI_FETCHES_URLS, "document by URL", CARRIED },
};
enum { N_EXCEPTIONS = sizeof(exceptions) / sizeof(exceptions[0]) };

static void need(struct gw_needs *n, const char *feature)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		if (!strcmp(rows[i].name, feature)) {
			n->rows |= (uint64_t)1 << i;
			return;
		}
	}
	gw_panic(__FILE__, __LINE__, "a feature without a row");
}

static void need_owner(struct gw_needs *n, enum gw_dialect_id of)
{
	if ((unsigned)of < GW_D_COUNT)
		n->owners |= (uint8_t)(1u << of);
}

/* Members that only their own dialect knows; a null or an empty list says nothing that others could miss. */
static void read_extra(struct gw_needs *n, const struct ir_extra *x)
{
	for (; x; x = x->next) {
		yyjson_val *v = (yyjson_val *)(uintptr_t)x->val;

		if (!yyjson_is_null(v) && !(yyjson_is_arr(v) && yyjson_arr_size(v) == 0))
			need_owner(n, x->of);
	}
}

static void read_media(struct gw_needs *n, const struct ir_block *b)
{
	if (b->kind == IR_AUDIO)
		need(n, "audio input");
	else if (b->kind == IR_IMAGE && b->media.from == IR_URL)
		need(n, "image by URL");
	else if (b->kind == IR_FILE && b->media.from == IR_URL)
		need(n, "document by URL");
	else if (b->kind == IR_FILE && b->media.from == IR_BASE64)
		need(n, "document as base64");
}

static void read_blocks(struct gw_needs *n, const struct ir_block *b)
{
	for (; b; b = b->next) {
		read_media(n, b);
		read_extra(n, b->extra);
		if (b->cache != IR_CACHE_NONE)
			need(n, "prompt-cache marks");
		if (b->signature.n)
			need_owner(n, b->signature_of);
		if (b->kind == IR_OTHER)
			need_owner(n, b->other_of);
		for (const struct ir_block *in = b->content; in; in = in->next) {
			read_media(n, in);
			read_extra(n, in->extra);
		}
	}
}

static void read_messages(struct gw_needs *n, const struct ir_request *rq)
{
	for (const struct ir_message *m = rq->messages; m; m = m->next) {
		if (m->name.n)
			need(n, "names of participants");
		read_extra(n, m->extra);
		read_blocks(n, m->blocks);
	}
}

static void read_tools(struct gw_needs *n, const struct ir_request *rq)
{
	for (const struct ir_tool *t = rq->tools; t; t = t->next) {
		read_extra(n, t->extra);
		if (t->cache != IR_CACHE_NONE)
			need(n, "prompt-cache marks");
		if (t->kind == IR_TOOL_HOSTED)
			need_owner(n, t->hosted_of);
	}
	if (rq->tool_choice.kind == IR_CHOICE_REQUIRED)
		need(n, "tool_choice required");
	if (rq->tool_choice.kind == IR_CHOICE_NAMED)
		need(n, "tool_choice of one tool");
	if (rq->tool_choice.raw)
		need_owner(n, rq->source);
	if (rq->parallel_tool_calls == IR_NO)
		need(n, "parallel_tool_calls false");
}

static void read_sampling(struct gw_needs *n, const struct ir_sampling *s)
{
	if (s->n.is_set && s->n.v > 1)
		need(n, "n above 1");
	if (s->seed.is_set)
		need(n, "seed");
	if (s->top_k.is_set)
		need(n, "top_k");
	if (s->presence_penalty.is_set || s->frequency_penalty.is_set)
		need(n, "penalties");
	if (s->logprobs == IR_YES)
		need(n, "logprobs");
	if (s->top_logprobs.is_set)
		need(n, "top_logprobs");
	if (s->logit_bias)
		need(n, "logit_bias");
	if (s->stop)
		need(n, "stop sequences");
}

/* Tiers that come to what is done without one. */
static bool is_tier_plain(struct gw_str tier)
{
	return tier.n == 0 || gw_str_eq(tier, GW_LIT("auto")) || gw_str_eq(tier, GW_LIT("default"));
}

void gw_needs_read(const struct ir_request *rq, struct gw_needs *n)
{
	*n = (struct gw_needs){ .is_known = true };
	read_messages(n, rq);
	read_tools(n, rq);
	read_sampling(n, &rq->sampling);
	read_extra(n, rq->extra);
	read_extra(n, rq->reasoning.extra);
	read_extra(n, rq->format.extra);
	if (rq->format.kind == IR_FORMAT_JSON)
		need(n, "JSON mode");
	if (rq->format.kind == IR_FORMAT_RAW)
		need_owner(n, rq->source);
	if (rq->reasoning.effort != IR_EFFORT_UNSET)
		need(n, "reasoning effort");
	if (rq->metadata)
		need(n, "metadata");
	if (rq->user.n)
		need(n, "end user");
	if (rq->cache_key.n)
		need(n, "prompt-cache key");
	if (rq->cache != IR_CACHE_NONE)
		need(n, "prompt-cache marks");
	if (!is_tier_plain(rq->service_tier))
		need(n, "service tier");
}

static enum cell cell_of(size_t row, enum gw_dialect_id provider, uint64_t quirks)
{
	for (size_t i = 0; i < N_EXCEPTIONS; i++) {
		if ((exceptions[i].quirk & quirks) && !strcmp(exceptions[i].feature, rows[row].name))
			return exceptions[i].cell;
	}
	return (enum cell)rows[row].cells[provider];
}

enum gw_fit gw_needs_fit(const struct gw_needs *n, enum gw_dialect_id provider, uint64_t quirks)
{
	enum gw_fit fit = GW_FIT_WHOLE;

	if ((unsigned)provider >= GW_D_COUNT)
		return GW_FIT_REFUSED;
	if ((n->owners & ~(1u << provider)) || (n->owners && (quirks & GW_Q_STRICT_FIELDS)))
		fit = GW_FIT_LESS;
	for (size_t i = 0; i < N_ROWS; i++) {
		enum cell cell = n->rows >> i & 1 ? cell_of(i, provider, quirks) : CARRIED;

		if (cell == REFUSED)
			return GW_FIT_REFUSED;
		if (cell == DROPPED)
			fit = GW_FIT_LESS;
	}
	return fit;
}
