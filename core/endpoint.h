#pragma once
#include "core/dialect/id.h"
#include "lib/err.h"
#include "lib/str.h"

/* The data plane's URLs: one static table (rows: schemas/endpoints.def); one parse, one route, default deny. With and without
 * the /v1 prefix. The words of the columns are explained there. */
enum gw_endpoint_id {
	GW_EP_NONE,
	GW_EP_CHAT,
	GW_EP_API,
	GW_EP_MODELS,
	GW_EP_MODEL,
	GW_EP_ROOT,
	GW_EP_LIVEZ,
	GW_EP_READYZ
};
enum gw_ep_body { GW_EPB_NO, GW_EPB_JSON, GW_EPB_FORM, GW_EPB_ANY };
enum gw_ep_model { GW_EPM_OWN, GW_EPM_IN_JSON, GW_EPM_IN_FORM, GW_EPM_IN_PATH, GW_EPM_ROUTE, GW_EPM_RAW };
enum gw_ep_reply { GW_EPR_HERE, GW_EPR_AS_JSON, GW_EPR_AS_IT_IS };
enum gw_ep_usage { GW_EPU_NONE, GW_EPU_CHAT, GW_EPU_TEXT, GW_EPU_TYPED, GW_EPU_MEDIA };

struct gw_endpoint_info {
	enum gw_endpoint_id id;
	enum gw_ep_body body;
	enum gw_ep_model model;
	enum gw_ep_reply reply;
	enum gw_ep_usage usage;
	const char *name; /* "chat.completions" */
	const char *method; /* "POST" */
	const char *path; /* "/v1/files/{id}" */
	const char *needs, *fallback;
	enum gw_dialect_id dialect;
	const char *doc;
};
extern const struct gw_endpoint_info gw_endpoints[];
extern const unsigned gw_n_endpoints;
/* path without query, still percent-encoded. GW_E_NO_ROUTE, GW_E_BAD_METHOD (*allow gets the methods). *arg is what stands for
 * {id} or {path}; the latter is decoded by the caller. Azure's paths
 * (/openai/deployments/{model}/...) find the same rows, with the model as *arg. */
/* Whose client is likely to call this path, also when nothing is there: for errors that come before a request is. */
enum gw_dialect_id gw_endpoint_dialect(struct gw_str path);
/* The row as clients of this dialect (Anthropic's, Gemini's) read its answer: lists of models have the same paths there. `e` itself for all
 * else. */
const struct gw_endpoint_info *gw_endpoint_for(const struct gw_endpoint_info *e, enum gw_dialect_id dialect);
/* May the key stand in the query (`?key=`)? Where Gemini's clients go, and on the raw relay, which they may be pointed at. */
bool gw_endpoint_takes_query_key(const struct gw_endpoint_info *e);
GW_MUST enum gw_err gw_endpoint_find(struct gw_str method, struct gw_str path, const struct gw_endpoint_info **out,
				     struct gw_str *arg, struct gw_str *allow);
