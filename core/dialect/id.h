#pragma once

/* Dialects by number; rows: schemas/dialects.def, in this order. NONE: an endpoint or a provider without one. */
enum gw_dialect_id {
	GW_D_OPENAI,
	GW_D_RESPONSES,
	GW_D_ANTHROPIC,
	GW_D_GEMINI,
	GW_D_BEDROCK,
	GW_D_COHERE,
	GW_D_COUNT,
	GW_D_NONE
};
/* "anthropic"; "openai" for NONE, whose errors are told in that shape. */
const char *gw_dialect_name(enum gw_dialect_id id);
