/* Proofs of reasoning that another maker signed, in the signature of a thinking block: clients of this dialect bring that back unread, and so
 * the proof finds its maker again. */
#include "core/dialect/anthropic/anthropic.h"

static const char mark[] = "llmgw.";
static const char *const makers[GW_D_COUNT] = {
	[GW_D_OPENAI] = "openai", [GW_D_RESPONSES] = "responses", [GW_D_ANTHROPIC] = "anthropic",
	[GW_D_GEMINI] = "gemini", [GW_D_BEDROCK] = "bedrock",     [GW_D_COHERE] = "cohere",
};

struct gw_str anthropic_signature_in(struct gw_str signature, enum gw_dialect_id *of)
{
	struct gw_str rest, name;

	*of = GW_D_ANTHROPIC;
	if (!gw_str_has_prefix(signature, gw_str(mark, sizeof(mark) - 1)) ||
	    !gw_str_cut(gw_str_skip(signature, sizeof(mark) - 1), '.', &name, &rest))
		return signature;
	for (unsigned i = 0; i < GW_D_COUNT; i++) {
		if (!gw_str_eq(name, gw_str_z(makers[i])))
			continue;
		*of = (enum gw_dialect_id)i;
		return rest;
	}
	return signature;
}

struct gw_str anthropic_signature_out(struct gw_arena *a, struct gw_str signature, enum gw_dialect_id of)
{
	if (!signature.n)
		return GW_LIT("");
	if (of == GW_D_ANTHROPIC || (unsigned)of >= GW_D_COUNT)
		return signature;
	return gw_arena_printf(a, "%s%s.%.*s", mark, makers[of], GW_FMT(signature));
}
