/* OpenAPI 3.1 of the admin API, printed from schemas/routes.def and schemas/config.def: paths with roles, parameters, bodies and answers; a schema
 * for each kind of object. Routes with {kind} stand once for each kind. */
#include "core/doc.h"

#include "core/config_impl.h"

enum body { NONE, OBJECT, PATCH, JSON };
static const struct row {
	const char *name, *method, *path, *roles, *scope, *audit, *doc;
	enum body body;
} rows[] = {
#define GW_ROUTE(name, method, path, roles, scope, body, audit, doc)                                                   \
	{ #name, #method, path, #roles, #scope, #audit, doc, body },
#include "schemas/routes.def"
#undef GW_ROUTE
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static void kz(struct gw_json_out *w, const char *key, const char *text)
{
	gw_jw_kstr(w, key, gw_str_z(text));
}

static void key_obj(struct gw_json_out *w, const char *key)
{
	gw_jw_key(w, gw_str_z(key));
	gw_jw_obj(w);
}

static void put_ref(struct gw_json_out *w, const char *what, const char *name)
{
	char text[128];

	snprintf(text, sizeof text, "#/components/%s/%s", what, name);
	gw_jw_obj(w);
	kz(w, "$ref", text);
	gw_jw_end_obj(w);
}

static void put_param(struct gw_json_out *w, const char *name, const char *in, const char *schema, const char *doc)
{
	gw_jw_obj(w);
	kz(w, "name", name);
	kz(w, "in", in);
	if (strcmp(in, "path") == 0)
		gw_jw_kbool(w, "required", true);
	gw_jw_key(w, GW_LIT("schema"));
	gw_jw_raw(w, gw_str_z(schema));
	kz(w, "description", doc);
	gw_jw_end_obj(w);
}

static bool is(const struct row *r, const char *name)
{
	return strcmp(r->name, name) == 0;
}

static bool is_kind_row(const struct row *r)
{
	return strstr(r->path, "{kind}") != NULL;
}

bool gw_doc_is_once(const char *route)
{
	static const char *const not_kept[] = { "keyring_dek", "keyring_root", "republish",     "upgrade",
						"backup",      "dep_test",     "index_rebuild", "session_open" };

	for (size_t i = 0; i < sizeof(not_kept) / sizeof(not_kept[0]); i++)
		if (strcmp(route, not_kept[i]) == 0)
			return false;
	return true;
}

static void put_params(struct gw_json_out *w, const struct row *r)
{
	static const char text[] = "{\"type\":\"string\"}", count[] = "{\"type\":\"integer\",\"minimum\":1}";

	gw_jw_key(w, GW_LIT("parameters"));
	gw_jw_arr(w);
	if (strstr(r->path, "{id}"))
		put_param(w, "id", "path", "{\"type\":\"string\",\"pattern\":\"^[a-z0-9][a-z0-9._-]{0,62}$\"}",
			  "Id of the object.");
	if (is(r, "objects_list")) {
		put_param(w, "limit", "query", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000,\"default\":100}",
			  "Rows of a page. A page may be short although `next` is there.");
		put_param(w, "after", "query", text, "`next` of the page before.");
	}
	if (is(r, "logs") || is(r, "logs_tail")) {
		put_param(w, "from", "query", text, "A time (RFC 3339) or a span back from now, like 15m.");
		put_param(w, "filter", "query", text, "field=value, field!=value, field>n, field~text; repeatable.");
		put_param(w, "class", "query", "{\"type\":\"string\",\"enum\":[\"request\",\"admin\"]}",
			  "Which trail.");
	}
	if (is(r, "logs_tail"))
		put_param(w, "Last-Event-ID", "header", text,
			  "`id` of the last event that was seen: the tail goes on behind it.");
	if (is(r, "logs"))
		put_param(w, "limit", "query", count, "At most so many records, newest first.");
	if (strcmp(r->audit, "WRITE") == 0 && strcmp(r->scope, "OWN") != 0 && !is(r, "upgrade") && !is(r, "backup")) {
		put_param(w, "dry_run", "query", "{\"type\":\"boolean\"}", "Say what would be done, do nothing.");
		put_param(w, "wait", "query", "{\"type\":\"string\",\"enum\":[\"applied\",\"none\"]}",
			  "applied: answer when every worker serves it.");
		if (strstr(r->path, "{id}"))
			put_param(w, "If-Match", "header", text, "Version that the object must have (ETag), else 412.");
		if (strcmp(r->method, "POST") == 0 && gw_doc_is_once(r->name))
			put_param(w, "Idempotency-Key", "header", "{\"type\":\"string\",\"maxLength\":255}",
				  "A call with a key is done once; for a day its answer is given again.");
	}
	gw_jw_end_arr(w);
}

static void put_content(struct gw_json_out *w, const char *type, const char *schema_ref)
{
	key_obj(w, "content");
	key_obj(w, type);
	gw_jw_key(w, GW_LIT("schema"));
	if (schema_ref)
		put_ref(w, "schemas", schema_ref);
	else
		gw_jw_raw(w, GW_LIT("{}"));
	gw_jw_end_obj(w);
	gw_jw_end_obj(w);
}

static void put_body(struct gw_json_out *w, const struct row *r, const char *kind)
{
	if (r->body == NONE)
		return;
	key_obj(w, "requestBody");
	gw_jw_kbool(w, "required", r->body != OBJECT || strcmp(r->method, "PUT") == 0);
	if (is(r, "objects_bulk"))
		put_content(w, "application/json", "bulk");
	else if (is(r, "session_open"))
		put_content(w, "application/json", "sign_in");
	else if (r->body == PATCH)
		put_content(w, "application/merge-patch+json", NULL);
	else
		put_content(w, "application/json", r->body == OBJECT ? kind : NULL);
	gw_jw_end_obj(w);
}

static const char *type_of(const struct row *r)
{
	return is(r, "metrics")                          ? "text/plain"
	       : is(r, "logs_tail")                      ? "text/event-stream"
	       : is(r, "backup") || is(r, "logs_export") ? "application/octet-stream"
							 : "application/json";
}

static void put_answer(struct gw_json_out *w, const char *status, const char *words, const struct row *r,
		       const char *ref)
{
	key_obj(w, status);
	kz(w, "description", words);
	put_content(w, type_of(r), ref);
	gw_jw_end_obj(w);
}

static void put_responses(struct gw_json_out *w, const struct row *r, const char *kind)
{
	static const struct {
		const char *status, *name;
	} errors[] = { { "400", "Invalid" },   { "401", "NotKnown" }, { "403", "NotAllowed" }, { "404", "NotFound" },
		       { "409", "Conflict" },  { "412", "Stale" },    { "413", "TooLarge" },   { "415", "OtherType" },
		       { "422", "OtherCall" }, { "429", "TooMany" },  { "503", "NotNow" } };
	bool is_object = is_kind_row(r) && !is(r, "objects_list") && !is(r, "objects_bulk") && !is(r, "objects_delete");

	key_obj(w, "responses");
	put_answer(w, "200", is(r, "objects_list") ? "One page." : "Done.", r, is_object ? kind : NULL);
	if (is(r, "objects_create") || is(r, "objects_put"))
		put_answer(w, "201", "Made. A new key or token shows its secret in `token`, only here.", r, kind);
	if (strcmp(r->audit, "WRITE") == 0)
		put_answer(w, "202", "Saved; some workers do not serve it yet.", r, NULL);
	for (size_t i = 0; i < sizeof errors / sizeof errors[0] && strcmp(r->roles, "NONE") != 0; i++) {
		gw_jw_key(w, gw_str_z(errors[i].status));
		put_ref(w, "responses", errors[i].name);
	}
	gw_jw_end_obj(w);
}

static void put_operation(struct gw_json_out *w, const struct row *r, const char *kind)
{
	static const char *const lower[][2] = {
		{ "GET", "get" }, { "POST", "post" }, { "PUT", "put" }, { "PATCH", "patch" }, { "DELETE", "delete" }
	};
	char id[96];

	for (size_t i = 0; i < sizeof lower / sizeof lower[0]; i++) {
		if (strcmp(lower[i][0], r->method) == 0)
			key_obj(w, lower[i][1]);
	}
	snprintf(id, sizeof id, "%s%s%s", r->name, kind ? "_" : "", kind ? kind : "");
	kz(w, "operationId", id);
	kz(w, "summary", r->doc);
	kz(w, "x-llmgw-roles", r->roles);
	kz(w, "x-llmgw-scope", r->scope);
	put_params(w, r);
	put_body(w, r, kind);
	put_responses(w, r, kind);
	if (strcmp(r->roles, "NONE") == 0) {
		gw_jw_key(w, GW_LIT("security"));
		gw_jw_raw(w, GW_LIT("[]"));
	}
	gw_jw_end_obj(w);
}

/* "/admin/v1/{kind}/{id}" of a kind: "/admin/v1/models/{id}". */
static void put_path(struct gw_json_out *w, const char *path, enum gw_cf_kind kind)
{
	const char *at = strstr(path, "{kind}");
	char text[160];

	if (at)
		snprintf(text, sizeof text, "%.*s%s%s", (int)(at - path), path, gw_cf_kinds[kind].plural, at + 6);
	else
		snprintf(text, sizeof text, "%s", path);
	key_obj(w, text);
	for (unsigned i = 0; i < ROWS; i++)
		if (strcmp(rows[i].path, path) == 0)
			put_operation(w, &rows[i], at ? gw_cf_kinds[kind].name : NULL);
	gw_jw_end_obj(w);
}

static void put_paths(struct gw_json_out *w)
{
	key_obj(w, "paths");
	for (unsigned i = 0; i < ROWS; i++) {
		bool is_seen = false;

		for (unsigned k = 0; k < i; k++)
			is_seen = is_seen || strcmp(rows[k].path, rows[i].path) == 0;
		for (int kind = 0; kind < (is_kind_row(&rows[i]) ? GW_KIND_COUNT : 1) && !is_seen; kind++)
			put_path(w, rows[i].path, (enum gw_cf_kind)kind);
	}
	gw_jw_end_obj(w);
}

static void put_kind(struct gw_json_out *w, enum gw_cf_kind kind)
{
	const struct gw_cf_kind_info *k = &gw_cf_kinds[kind];

	key_obj(w, k->name);
	kz(w, "description", k->doc);
	kz(w, "type", "object");
	key_obj(w, "properties");
	for (unsigned i = 0; i < k->n_fields; i++) {
		gw_jw_key(w, gw_str_z(k->fields[i]->name));
		gw_doc_field_schema(k->fields[i], w);
	}
	gw_jw_end_obj(w);
	gw_jw_end_obj(w);
}

static void put_components(struct gw_json_out *w)
{
	static const char *const errors[][2] = {
		{ "Invalid", "A field is wrong; `faults` name each with a JSON pointer." },
		{ "NotKnown", "No token, or one that is not known, disabled or expired." },
		{ "NotAllowed", "The caller's roles do not allow it." },
		{ "NotFound", "There is no such object, or it is another tenant's." },
		{ "Conflict", "It does not fit the present state; `used_by` names who refers to the object." },
		{ "Stale", "The object has changed since it was read." },
		{ "TooLarge", "The body is larger than the API takes." },
		{ "OtherType", "The body is neither JSON nor YAML." },
		{ "OtherCall", "This Idempotency-Key was used for another call." },
		{ "TooMany", "Too many calls, or failed ones; Retry-After says when to come again." },
		{ "NotNow", "The configuration process does not answer just now." },
	};
	static const struct row plain = { .name = "" };

	key_obj(w, "components");
	key_obj(w, "securitySchemes");
	gw_jw_key(w, GW_LIT("token"));
	gw_jw_raw(w, GW_LIT("{\"type\":\"http\",\"scheme\":\"bearer\"}"));
	gw_jw_end_obj(w);
	key_obj(w, "responses");
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
		put_answer(w, errors[i][0], errors[i][1], &plain, "Error");
	gw_jw_end_obj(w);
	key_obj(w, "schemas");
	for (int k = 0; k < GW_KIND_COUNT; k++)
		put_kind(w, (enum gw_cf_kind)k);
	gw_jw_key(w, GW_LIT("Error"));
	gw_jw_raw(
	    w,
	    GW_LIT(
		"{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{\"error\":{\"type\":\"object\","
		"\"required\":[\"name\",\"message\"],\"properties\":{\"name\":{\"type\":\"string\"},"
		"\"message\":{\"type\":\"string\"},\"request_id\":{\"type\":\"string\"},"
		"\"faults\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
		"\"used_by\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}},"
		"\"examples\":[{\"error\":{\"name\":\"NOT_FOUND\",\"message\":\"There is no model \\\"m\\\".\"}}]}"));
	gw_jw_key(w, GW_LIT("sign_in"));
	gw_jw_raw(w,
		  GW_LIT("{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"account\",\"password\"],"
			 "\"properties\":{\"account\":{\"type\":\"string\"},\"password\":{\"type\":\"string\","
			 "\"writeOnly\":true,\"maxLength\":256}}}"));
	gw_jw_key(w, GW_LIT("bulk"));
	gw_jw_raw(
	    w, GW_LIT("{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"items\"],\"properties\":{"
		      "\"partial\":{\"type\":\"boolean\",\"default\":false},\"items\":{\"type\":\"array\","
		      "\"maxItems\":1000,\"items\":{\"type\":\"object\",\"required\":[\"op\"],\"properties\":{"
		      "\"op\":{\"type\":\"string\",\"enum\":[\"create\",\"put\",\"patch\",\"delete\"]},"
		      "\"id\":{\"type\":\"string\"},\"object\":{\"type\":\"object\"},\"patch\":{\"type\":\"object\"},"
		      "\"version\":{\"type\":\"integer\"}}}}}}"));
	gw_jw_end_obj(w);
	gw_jw_end_obj(w);
}

void gw_doc_openapi(struct gw_buf *out)
{
	struct gw_json_out w;

	gw_jw_init(&w, out);
	gw_jw_obj(&w);
	kz(&w, "openapi", "3.1.0");
	key_obj(&w, "info");
	kz(&w, "title", "llmgw admin API");
	kz(&w, "version", LLMGW_VERSION);
	kz(&w, "description", "Printed from the rows of schemas/routes.def and schemas/config.def.");
	gw_jw_end_obj(&w);
	gw_jw_key(&w, GW_LIT("security"));
	gw_jw_raw(&w, GW_LIT("[{\"token\":[]}]"));
	put_paths(&w);
	put_components(&w);
	gw_jw_end_obj(&w);
	gw_buf_putc(out, '\n');
}
