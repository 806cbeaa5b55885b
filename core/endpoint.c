/* The table of the data plane's URLs and the one function that looks a request up in it. Paths are compared as they came:
 * what is spelt with %XX, "//" or "/../" is simply not in the table. */
#include "core/endpoint.h"

static const struct gw_endpoint_info table[] = {
	{ GW_EP_CHAT, "chat.completions", "POST", "/v1/chat/completions", true, true },
	{ GW_EP_MODELS, "models.list", "GET", "/v1/models", true, false },
	{ GW_EP_MODEL, "models.get", "GET", "/v1/models/", true, false },
	{ GW_EP_ROOT, "root", "GET", "/", false, false },
	{ GW_EP_LIVEZ, "livez", "GET", "/livez", false, false },
	{ GW_EP_LIVEZ, "livez", "GET", "/health/liveliness", false, false },
	{ GW_EP_LIVEZ, "livez", "GET", "/health/liveness", false, false },
	{ GW_EP_READYZ, "readyz", "GET", "/readyz", false, false },
	{ GW_EP_READYZ, "readyz", "GET", "/healthz", false, false },
	{ GW_EP_READYZ, "readyz", "GET", "/health", false, false },
	{ GW_EP_READYZ, "readyz", "GET", "/health/readiness", false, false },
};

/* The path of a row, with or without its /v1; *arg is what follows a prefix row. */
static bool fits(const struct gw_endpoint_info *e, struct gw_str path, struct gw_str *arg)
{
	struct gw_str want = gw_str_z(e->path);

	*arg = GW_NIL;
	if (gw_str_has_prefix(want, GW_LIT("/v1/")) && !gw_str_has_prefix(path, GW_LIT("/v1/")))
		want = gw_str_skip(want, 3);
	if (want.n > 1 && want.p[want.n - 1] == '/') {
		if (path.n <= want.n || !gw_str_has_prefix(path, want))
			return false;
		*arg = gw_str_skip(path, want.n);
		return true;
	}
	return gw_str_eq(path, want);
}

/* HEAD is answered like GET, without a body. */
static bool may(const struct gw_endpoint_info *e, struct gw_str method)
{
	struct gw_str want = gw_str_z(e->method);

	return gw_str_eq(method, want) || (gw_str_eq(want, GW_LIT("GET")) && gw_str_eq(method, GW_LIT("HEAD")));
}

enum gw_err gw_endpoint_find(struct gw_str method, struct gw_str path, const struct gw_endpoint_info **out,
			     struct gw_str *arg, struct gw_str *allow)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct gw_str rest;

		if (!fits(&table[i], path, &rest))
			continue;
		if (!may(&table[i], method)) {
			*allow = table[i].has_body ? GW_LIT("POST") : GW_LIT("GET, HEAD");
			return GW_E_BAD_METHOD;
		}
		*out = &table[i];
		*arg = rest;
		return GW_OK;
	}
	return GW_E_NO_ROUTE;
}
