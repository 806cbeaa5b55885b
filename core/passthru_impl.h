#pragma once
#include "core/passthru.h"

/* Shared by core/passthru.c and core/api_*.c only. */

/* One strict pass over a body (one meaning, no key of the API spelt in another case); members in *want. */
GW_MUST enum gw_err gw_passthru_check(struct gw_arena *a, struct gw_str body, const struct gw_json_want *want, size_t n,
				      struct gw_str *param, struct gw_str *why);
/* The table of known names is in order of length, as it must be; asked by a test. */
bool gw_passthru_known_is_sound(void);
/* The object that a checked body is, without the white space around it. */
struct gw_json_span gw_passthru_whole(struct gw_str body);
/* The text as a JSON string in the arena; .p NULL when that is full. */
struct gw_str gw_passthru_quote(struct gw_arena *a, struct gw_str s);
