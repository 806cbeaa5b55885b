#pragma once
#include "lib/err.h"
#include "lib/str.h"

/* The data plane's URLs: one static table; one parse, one route, default deny. With and without the /v1 prefix. */
enum gw_endpoint_id { GW_EP_NONE, GW_EP_CHAT, GW_EP_MODELS, GW_EP_MODEL, GW_EP_ROOT, GW_EP_LIVEZ, GW_EP_READYZ };
struct gw_endpoint_info {
	enum gw_endpoint_id id;
	const char *name; /* "chat.completions" */
	const char *method; /* "POST" */
	const char *path; /* "/v1/models/" = prefix when it ends with '/' and id takes an argument */
	bool needs_key, has_body;
};
/* path without query, still percent-encoded. GW_E_NO_ROUTE, GW_E_BAD_METHOD (*allow gets the methods). arg: decoded by the caller. */
GW_MUST enum gw_err gw_endpoint_find(struct gw_str method, struct gw_str path, const struct gw_endpoint_info **out,
				     struct gw_str *arg, struct gw_str *allow);
