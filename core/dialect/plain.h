#pragma once
#include "lib/str.h"

/* A chat completions body that would pass as it is to a provider of its own dialect: does something stand in its messages that this one refuses
 * (GW_Q_NO_DEVELOPER, GW_Q_PLAIN_HISTORY)? Then it is written anew. Looked for as bytes: a text that only quotes these words has
 * backslashes between. */
bool gw_chat_is_refused_as_is(uint64_t quirks, struct gw_str body, uint32_t n_messages);
