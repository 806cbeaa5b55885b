/* The table of the data plane's URLs and the one function that looks a request up in it. Paths are compared as they came:
 * what is spelt with %XX, "//" or "/../" is simply not in the table. */
#include "core/endpoint.h"

const struct gw_endpoint_info gw_endpoints[] = {
#define GW_ENDPOINT(id, name, method, path, body, model, reply, usage, needs, fallback, dialect, doc)                  \
	{ GW_EP_##id, GW_EPB_##body, GW_EPM_##model, GW_EPR_##reply, GW_EPU_##usage, name,                             \
	  method,     path,          needs,          fallback,       GW_D_##dialect, doc },
#include "schemas/endpoints.def"
#undef GW_ENDPOINT
};
const unsigned gw_n_endpoints = sizeof(gw_endpoints) / sizeof(gw_endpoints[0]);

enum { ID_MAX = 200 };

static bool is_id_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
	       c == '.';
}

/* One segment that means the same to every reader of URLs; "." and ".." do not. */
static bool take_id(struct gw_str *path, struct gw_str *arg)
{
	size_t n = 0;
	bool is_dots = true;

	while (n < path->n && is_id_byte(path->p[n]))
		is_dots &= path->p[n++] == '.';
	if (n == 0 || n > ID_MAX || is_dots)
		return false;
	*arg = gw_str(path->p, n);
	*path = gw_str_skip(*path, n);
	return true;
}

/* The path of a row, with or without its /v1. */
static bool fits(const struct gw_endpoint_info *e, struct gw_str path, struct gw_str *arg)
{
	struct gw_str want = gw_str_z(e->path);

	*arg = GW_NIL;
	if (gw_str_has_prefix(want, GW_LIT("/v1/")) && !gw_str_has_prefix(path, GW_LIT("/v1/")))
		want = gw_str_skip(want, 3);
	size_t hole = gw_str_find(want, '{');

	if (hole == want.n)
		return gw_str_eq(path, want);
	if (path.n <= hole || memcmp(path.p, want.p, hole) != 0)
		return false;
	path = gw_str_skip(path, hole);
	want = gw_str_skip(want, hole);
	if (gw_str_has_prefix(want, GW_LIT("{path}"))) { /* and what it must end with */
		want = gw_str_skip(want, sizeof("{path}") - 1);
		*arg = path;
		return path.n > want.n && memcmp(path.p + path.n - want.n, want.p, want.n) == 0;
	}
	return take_id(&path, arg) && gw_str_eq(path, gw_str_skip(want, 4)); /* behind "{id}" */
}

/* Azure's ways to the same calls: /openai/deployments/{model}/chat/completions, /openai/v1/chat/completions. *model is what the first
 * names; rows that have a place of their own for an argument are not reached so. */
static bool take_azure(struct gw_str *path, struct gw_str *model)
{
	const struct gw_str deployments = GW_LIT("/openai/deployments/"), v1 = GW_LIT("/openai/v1/");

	*model = GW_NIL;
	if (gw_str_has_prefix(*path, v1)) {
		*path = gw_str_skip(*path, v1.n - sizeof("/v1/") + 1);
		return true;
	}
	if (!gw_str_has_prefix(*path, deployments))
		return true;
	*path = gw_str_skip(*path, deployments.n);
	return take_id(path, model) && !gw_str_has_prefix(*path, GW_LIT("/v1/"));
}

/* Google's ways to the same calls: /v1beta1, /v1alpha, and below a project and a location of Vertex AI, which say nothing here. What is left
 * begins with /publishers/, /models/ or /tunedModels/. */
static bool take_google(struct gw_str *path)
{
	static const char *const versions[] = { "/v1/", "/v1beta1/", "/v1beta/", "/v1alpha/" };
	struct gw_str rest = *path, id;

	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		struct gw_str v = gw_str_z(versions[i]);

		if (gw_str_has_prefix(rest, v)) {
			rest = gw_str_skip(rest, v.n - 1);
			break;
		}
	}
	if (gw_str_has_prefix(rest, GW_LIT("/projects/"))) {
		rest = gw_str_skip(rest, sizeof("/projects/") - 1);
		if (!take_id(&rest, &id) || !gw_str_has_prefix(rest, GW_LIT("/locations/")))
			return false;
		rest = gw_str_skip(rest, sizeof("/locations/") - 1);
		if (!take_id(&rest, &id))
			return false;
	} else if (!gw_str_has_prefix(rest, GW_LIT("/publishers/")) &&
		   !gw_str_has_prefix(rest, GW_LIT("/tunedModels/")) &&
		   !gw_str_has_prefix(*path, GW_LIT("/v1alpha/"))) {
		return true; /* as it came */
	}
	*path = rest;
	return gw_str_has_prefix(rest, GW_LIT("/publishers/")) || gw_str_has_prefix(rest, GW_LIT("/models/")) ||
	       gw_str_has_prefix(rest, GW_LIT("/tunedModels/"));
}

enum { IS_GET = 1, IS_POST = 2, IS_DELETE = 4, IS_PUT = 8, IS_PATCH = 16 };

static unsigned bit_of(const char *method)
{
	if (method[0] == 'P')
		return method[1] == 'O' ? IS_POST : method[1] == 'U' ? IS_PUT : IS_PATCH;
	return method[0] == 'G' ? IS_GET : IS_DELETE;
}

/* HEAD is answered like GET, without a body. */
static bool may(const struct gw_endpoint_info *e, struct gw_str method)
{
	struct gw_str want = gw_str_z(e->method);

	return gw_str_eq(method, want) || (want.p[0] == 'G' && gw_str_eq(method, GW_LIT("HEAD")));
}

static struct gw_str allowed(unsigned methods)
{
	static const char *const words[] = {
		"",       "GET, HEAD",         "POST",         "GET, HEAD, POST",
		"DELETE", "GET, HEAD, DELETE", "POST, DELETE", "GET, HEAD, POST, DELETE",
	};
	if (methods & (IS_PUT | IS_PATCH)) /* the raw relay takes all */
		return GW_LIT("GET, HEAD, POST, PUT, PATCH, DELETE");
	return gw_str_z(words[methods]);
}

enum gw_err gw_endpoint_find(struct gw_str method, struct gw_str path, const struct gw_endpoint_info **out,
			     struct gw_str *arg, struct gw_str *allow)
{
	unsigned methods = 0;
	struct gw_str model = GW_NIL;

	if (gw_str_has_prefix(path, GW_LIT("/openai/")) && !take_azure(&path, &model))
		return GW_E_NO_ROUTE;
	if ((gw_str_has_prefix(path, GW_LIT("/v1")) || gw_str_has_prefix(path, GW_LIT("/projects/"))) &&
	    !take_google(&path))
		return GW_E_NO_ROUTE;
	for (const struct gw_endpoint_info *e = gw_endpoints; e < gw_endpoints + gw_n_endpoints; e++) {
		struct gw_str rest;

		if (!fits(e, path, &rest) || (model.n && e->model != GW_EPM_IN_JSON))
			continue;
		methods |= bit_of(e->method);
		if (!may(e, method))
			continue;
		*out = e;
		*arg = model.n ? model : rest;
		return GW_OK;
	}
	if (methods == 0)
		return GW_E_NO_ROUTE;
	*allow = allowed(methods);
	return GW_E_BAD_METHOD;
}

enum gw_dialect_id gw_endpoint_dialect(struct gw_str path)
{
	static const struct {
		const char *prefix;
		enum gw_dialect_id dialect;
	} places[] = {
		{ "/v1/messages", GW_D_ANTHROPIC },  { "/v1beta", GW_D_GEMINI },
		{ "/v1/projects/", GW_D_GEMINI },    { "/v1alpha/", GW_D_GEMINI },
		{ "/v1/publishers/", GW_D_GEMINI },  { "/projects/", GW_D_GEMINI },
		{ "/model/", GW_D_BEDROCK },         { "/v2/", GW_D_COHERE },
		{ "/v1/responses", GW_D_RESPONSES },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (gw_str_has_prefix(path, gw_str_z(places[i].prefix)))
			return places[i].dialect;
	}
	return GW_D_NONE;
}

const struct gw_endpoint_info *gw_endpoint_for(const struct gw_endpoint_info *e, enum gw_dialect_id dialect)
{
#define GW_MODELS_AS(d)                                                                                                \
	{                                                                                                              \
		{ .id = GW_EP_MODELS,                                                                                  \
		  .name = "models.list",                                                                               \
		  .method = "GET",                                                                                     \
		  .path = "/v1/models",                                                                                \
		  .needs = "",                                                                                         \
		  .fallback = "",                                                                                      \
		  .dialect = (d) },                                                                                    \
		    { .id = GW_EP_MODEL,                                                                               \
		      .name = "models.get",                                                                            \
		      .method = "GET",                                                                                 \
		      .path = "/v1/models/{path}",                                                                     \
		      .needs = "",                                                                                     \
		      .fallback = "",                                                                                  \
		      .dialect = (d) },                                                                                \
	}
	static const struct gw_endpoint_info anthropic[] = GW_MODELS_AS(GW_D_ANTHROPIC),
					     gemini[] = GW_MODELS_AS(GW_D_GEMINI);
#undef GW_MODELS_AS
	const struct gw_endpoint_info *as = dialect == GW_D_ANTHROPIC ? anthropic : gemini;

	if (e->dialect != GW_D_NONE)
		return e;
	return e->id == GW_EP_MODELS ? &as[0] : e->id == GW_EP_MODEL ? &as[1] : e;
}

bool gw_endpoint_takes_query_key(const struct gw_endpoint_info *e)
{
	return e->dialect == GW_D_GEMINI || e->id == GW_EP_MODELS || e->id == GW_EP_MODEL || e->model == GW_EPM_RAW;
}
