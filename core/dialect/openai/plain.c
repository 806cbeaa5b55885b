/* Histories that came out of this gateway, or of another vendor, on their way to one that takes nothing but the plain words (plain.h). */
#include "core/dialect/plain.h"

#include <string.h>

#include "core/provider.h"

static bool has_word(struct gw_str body, struct gw_str word)
{
	return body.n >= word.n && memmem(body.p, body.n, word.p, word.n) != NULL;
}

bool gw_chat_is_refused_as_is(uint64_t quirks, struct gw_str body, uint32_t n_messages)
{
	static const struct gw_str words[] = { { "\"reasoning\"", 11 },
					       { "\"reasoning_content\"", 19 },
					       { "\"reasoning_details\"", 19 },
					       { "\"thinking_blocks\"", 17 },
					       { "\"extra_content\"", 15 } };

	if (quirks & GW_Q_NO_DEVELOPER && has_word(body, GW_LIT("\"developer\"")))
		return true;
	if (!(quirks & GW_Q_PLAIN_HISTORY) || n_messages < 2)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (has_word(body, words[i]))
			return true;
	return false;
}
