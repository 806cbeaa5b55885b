#pragma once
#include "lib/str.h"

/* Which bytes may stand where in HTTP/1.1 heads (RFC 9110 5.5, 5.6.2). Each byte of every head passes here, in both directions. */
extern const uint8_t gw_http_token_table[256], gw_http_value_table[256];

static inline bool gw_http_is_tchar(char c)
{
	return gw_http_token_table[(unsigned char)c];
}
/* A name: not empty, token characters only. */
static inline bool gw_http_is_token(struct gw_str s)
{
	uint8_t ok = s.n > 0;

	for (size_t i = 0; i < s.n; i++)
		ok &= gw_http_token_table[(unsigned char)s.p[i]];
	return ok;
}
/* A value: no control bytes but the tab, no DEL. Bytes above 0x7f pass. Empty is fine. */
bool gw_http_is_long_value(struct gw_str s);
static inline bool gw_http_is_value(struct gw_str s)
{
	uint8_t ok = 1;

	if (s.n >= 16)
		return gw_http_is_long_value(s);
	for (size_t i = 0; i < s.n; i++)
		ok &= gw_http_value_table[(unsigned char)s.p[i]];
	return ok;
}
