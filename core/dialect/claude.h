#pragma once
#include "core/dialect/ir.h"

/* What Claude models want, by whoever they are served (Anthropic, Bedrock): how thinking is told, what excludes it, which sampling is taken. */

enum ir_claude_kind { IR_CLAUDE_UNTOLD, IR_CLAUDE_OFF, IR_CLAUDE_BUDGET, IR_CLAUDE_ADAPTIVE };
struct ir_claude {
	enum ir_claude_kind kind;
	int64_t budget, max_tokens; /* max_tokens: the ceiling that goes out, thoughts included */
	enum ir_effort effort; /* ADAPTIVE */
	bool is_lost; /* it was asked for and cannot be: the caller says so */
};
/* For a request of another dialect. `own`: whose proofs this provider takes. */
struct ir_claude ir_claude_plan(const struct ir_request *rq, struct gw_str model, int64_t default_max_tokens,
				enum gw_dialect_id own);
/* The calls that are being answered were made in a turn without reasoning that this provider could check: refused beside a budget. */
bool ir_claude_lacks_proof(const struct ir_request *rq, enum gw_dialect_id own);
/* Can it be held to a schema (structured output), or by a forced tool alone? */
bool ir_claude_keeps_to_schemas(struct gw_str model);
/* Calls in the history that this provider did not make: its own have ids that begin so. And the same in the bytes of a body with a budget, where
 * results name the call by `member`. */
bool ir_claude_has_strangers(const struct ir_request *rq, struct gw_str own_id);
bool ir_claude_may_be_mixed(struct gw_str body, struct gw_str member, struct gw_str own_id);
/* Does it refuse temperature, top_p and top_k that are not the defaults? */
bool ir_claude_fixes_sampling(struct gw_str model);
