#pragma once
#include "core/estimate.h"

/* Shared by core/estimate*.c and the tool that fits their costs. */

/* Kinds of characters. Those up to BAD have a row of costs in each family. */
enum gw_estimate_kind {
	GW_EK_LOWER,
	GW_EK_UPPER,
	GW_EK_LOWER_FOREIGN, /* the same two where letters with marks are about */
	GW_EK_UPPER_FOREIGN,
	GW_EK_MARKED, /* Latin letters beyond ASCII, and marks */
	GW_EK_GREEK,
	GW_EK_CYRILLIC,
	GW_EK_HEBREW,
	GW_EK_ARABIC,
	GW_EK_INDIC,
	GW_EK_THAI,
	GW_EK_LETTER, /* of all other scripts */
	GW_EK_DIGIT,
	GW_EK_SPACE,
	GW_EK_TAB,
	GW_EK_NEWLINE,
	GW_EK_POINT, /* . , ; : ! ? ' - */
	GW_EK_FRAME, /* quotes, brackets, / = _ */
	GW_EK_SIGN, /* the rest of ASCII */
	GW_EK_SYMBOL,
	GW_EK_CJK_POINT,
	GW_EK_HAN,
	GW_EK_KANA,
	GW_EK_HANGUL,
	GW_EK_EMOJI,
	GW_EK_BAD, /* control characters and bytes that are no text */
	GW_EK_COUNT
};
enum { GW_EK_PLACES = 12 };
/* What a character of a kind costs at its place in a run, in 1/256 of a token. */
extern const uint16_t gw_estimate_cost[GW_EF_COUNT][GW_EK_COUNT][GW_EK_PLACES];
/* What comes next has nothing to do with what came before. */
void gw_estimate_new_run(struct gw_estimate *e);
