#pragma once
#include "core/dialect/dialect.h"

/* The text completions of old (POST /v1/completions), as a client's dialect only: a prompt becomes a chat's one message, the answer's text is
 * told as a text_completion. Providers of the OpenAI kind are asked for the real thing; this is for all others. No row of dialects.def: nobody is
 * spoken to in it. */
extern const struct gw_dialect gw_text;
