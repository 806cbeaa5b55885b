#pragma once
#include "core/dialect/ir.h"

/* A JSON Schema as providers take it that hold their model to it (Anthropic, Bedrock): objects closed, keywords that they refuse left out and noted
 * under `where` ("response_format.json_schema.schema"). */
void ir_schema_closed_write(struct gw_json_out *w, struct ir_request *rq, const yyjson_val *schema, const char *where);
