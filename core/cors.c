/* CORS: an origin is compared as a whole, never by prefix or pattern, and what is echoed is the configured text. */
#include "core/cors.h"

enum { ORIGIN_BYTES = 255, ASKED_BYTES = 2048 };

/* What pages may read of an answer, beside the few that every page may. */
static const char exposed[] =
    "access-control-expose-headers: x-request-id, x-llmgw-deployment, x-llmgw-attempts, x-llmgw-generation, "
    "x-llmgw-upstream-request-id, x-llmgw-cost-usd, x-llmgw-overhead-us, retry-after, retry-after-ms, "
    "x-should-retry\r\n";

static bool is_any(const struct gw_cors *c)
{
	for (uint32_t i = 0; i < c->n_origins; i++)
		if (gw_str_eq(c->origins[i], GW_LIT("*")))
			return true;
	return false;
}

const char *gw_cors_origin_fault(struct gw_str s)
{
	size_t at;

	if (gw_str_eq(s, GW_LIT("*")))
		return NULL;
	if (s.n > ORIGIN_BYTES)
		return "is too long";
	at = gw_str_has_prefix(s, GW_LIT("https://")) ? 8 : gw_str_has_prefix(s, GW_LIT("http://")) ? 7 : 0;
	if (at == 0 || at == s.n)
		return "must be an origin, such as https://app.example.com, or \"*\"";
	for (size_t i = at; i < s.n; i++) {
		char ch = s.p[i];
		bool ok = (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || memchr("-._:[]", ch, 6);

		if (ch >= 'A' && ch <= 'Z')
			return "must be in lower case, as browsers send it";
		if (ch == '/')
			return "must have no path and no slash at its end";
		if (!ok)
			return "has a character that no origin has";
	}
	return NULL;
}

bool gw_cors_may(const struct gw_cors *c, struct gw_str origin)
{
	if (origin.n == 0)
		return false;
	for (uint32_t i = 0; i < c->n_origins; i++)
		if (gw_str_eq(c->origins[i], origin))
			return true;
	return is_any(c);
}

void gw_cors_put(const struct gw_cors *c, struct gw_str origin, struct gw_buf *lines)
{
	bool any = is_any(c);

	if (!any && c->n_origins) /* caches must not give one page's answer to another */
		gw_buf_puts(lines, GW_LIT("vary: origin\r\n"));
	if (!gw_cors_may(c, origin))
		return;
	gw_buf_puts(lines, GW_LIT("access-control-allow-origin: "));
	gw_buf_puts(lines, any ? GW_LIT("*") : origin); /* equal to one of ours, so nothing of the client's making */
	gw_buf_puts(lines, GW_LIT("\r\n"));
	gw_buf_put(lines, exposed, sizeof(exposed) - 1);
}

/* Header names, commas and blanks; whatever else came is not repeated. */
static bool is_list(struct gw_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char ch = s.p[i];
		bool ok = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
			  memchr("-_, ", ch, 4);

		if (!ok)
			return false;
	}
	return s.n <= ASKED_BYTES;
}

void gw_cors_put_allowed(const struct gw_cors *c, struct gw_str asked, struct gw_buf *out)
{
	if (c->n_headers == 0 && is_list(asked))
		gw_buf_puts(out, asked);
	for (uint32_t i = 0; i < c->n_headers; i++) {
		if (i)
			gw_buf_puts(out, GW_LIT(", "));
		gw_buf_puts(out, c->headers[i]);
	}
}
