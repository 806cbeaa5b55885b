/* Named gateways: ~/.config/llmgw/contexts.yaml says where each is and which file or variable holds its token; never a token itself.
 *
 * An option beats everything; a context that was asked for by name (--context, LLMGW_CONTEXT) beats the environment; the environment beats
 * the context that is merely current. A context with a server never gets the token of a gateway on this machine by accident. */
#include <stdlib.h>
#include <unistd.h>
#include "admin-cli/home.h"
#include "lib/yaml.h"

enum { FILE_MAX = 1 << 20, CONTEXTS_MAX = 128 };

static const struct field {
	const char *name;
	size_t offset; /* of the option that says the same */
} fields[] = {
	{ "server", offsetof(struct cli_opts, server) },       { "token_file", offsetof(struct cli_opts, token_file) },
	{ "token_env", offsetof(struct cli_opts, token_env) }, { "data_dir", offsetof(struct cli_opts, data_dir) },
	{ "gateway", offsetof(struct cli_opts, gateway) },
};
enum { N_FIELDS = sizeof fields / sizeof fields[0] };

static const char **option(struct cli *c, const struct field *f)
{
	return (const char **)(void *)((char *)&c->o + f->offset);
}

static const char *text_of(struct cli *c, yyjson_val *o, const char *name)
{
	yyjson_val *v = yyjson_obj_get(o, name);

	return yyjson_is_str(v) && yyjson_get_len(v) ? gw_arena_z(&c->arena, gw_json_str(v)) : NULL;
}

/* The file as a tree, an empty one when there is no file; freed by the caller. */
static int read_contexts(struct cli *c, const char **path, yyjson_doc **doc)
{
	struct gw_json_fault fault = { 0 };
	struct gw_buf b;
	int rc;

	*path = cli_home_path(c, CLI_HOME_CONFIG, "contexts.yaml");
	if (!*path)
		return CLI_FAILED;
	gw_buf_init(&b, FILE_MAX);
	rc = cli_home_read(*path, &b);
	if (rc == CLI_NOT_FOUND || (!rc && !b.n)) {
		gw_buf_clear(&b, 0);
		gw_buf_puts(&b, GW_LIT("{}"));
		rc = CLI_OK;
	}
	if (!rc && gw_yaml_read(gw_buf_view(&b), false, doc, &fault)) {
		cli_error("%s: line %u, column %u: %s", *path, fault.line, fault.column, fault.what);
		rc = CLI_INVALID;
	}
	gw_buf_done(&b);
	return rc;
}

static yyjson_val *find(yyjson_val *root, const char *name)
{
	size_t i, n;
	yyjson_val *v;

	yyjson_arr_foreach(yyjson_obj_get(root, "contexts"), i, n, v)
	{
		if (gw_str_eq(gw_json_str(yyjson_obj_get(v, "name")), gw_str_z(name)))
			return v;
	}
	return NULL;
}

static int no_context(yyjson_val *root, const char *name)
{
	const char *names[CONTEXTS_MAX], *near;
	size_t i, n, k = 0;
	yyjson_val *v;

	yyjson_arr_foreach(yyjson_obj_get(root, "contexts"), i, n, v)
	{
		const char *one = yyjson_get_str(yyjson_obj_get(v, "name"));

		if (one && k < CONTEXTS_MAX)
			names[k++] = one;
	}
	near = cli_nearest(name, names, k);
	cli_error("there is no context \"%s\"%s%s%s", name, near ? "; did you mean \"" : "", near ? near : "",
		  near ? "\"?" : "");
	cli_hint("llmgwctl context list shows them; llmgwctl context set makes one.");
	return CLI_NOT_FOUND;
}

static void take(struct cli *c, yyjson_val *ctx, bool was_named)
{
	static const char *const envs[] = { "LLMGW_ADMIN_URL", NULL, NULL, "LLMGW_DATA_DIR", "LLMGW_URL" };
	const char *env_token = getenv("LLMGW_ADMIN_TOKEN");

	for (int i = 0; i < N_FIELDS; i++) {
		const char **o = option(c, &fields[i]);
		bool has_env = envs[i] ? getenv(envs[i]) != NULL : env_token != NULL;

		if (!*o && (was_named || !has_env))
			*o = text_of(c, ctx, fields[i].name);
	}
	c->has_own_token = yyjson_obj_get(ctx, "server") && !yyjson_obj_get(ctx, "data_dir");
}

int cli_context_resolve(struct cli *c)
{
	const char *env = getenv("LLMGW_CONTEXT"),
		   *name = c->o.context    ? c->o.context
			   : env && env[0] ? env
					   : NULL,
		   *path;
	bool was_named = name != NULL;
	yyjson_doc *doc = NULL;
	int rc;

	if (!was_named && !getenv("HOME") && !getenv("XDG_CONFIG_HOME"))
		return CLI_OK; /* a service without a home has no contexts */
	rc = read_contexts(c, &path, &doc);
	if (rc)
		return rc;
	yyjson_val *root = yyjson_doc_get_root(doc), *ctx;
	if (!name)
		name = text_of(c, root, "current");
	ctx = name ? find(root, name) : NULL;
	if (ctx) {
		bool has_server = c->o.server != NULL;

		c->context = gw_arena_z(&c->arena, gw_str_z(name));
		take(c, ctx, was_named);
		c->has_own_token &= !has_server;
	} else if (name) {
		rc = no_context(root, name);
	}
	c->token_env = c->o.token_env;
	yyjson_doc_free(doc);
	return rc;
}

/* --- writing --- */
static void put_one(struct gw_json_out *w, struct cli *c, const char *name, yyjson_val *old, bool is_set)
{
	gw_jw_obj(w);
	gw_jw_kstr(w, "name", gw_str_z(name));
	for (int i = 0; i < N_FIELDS; i++) {
		const char *v = is_set ? *option(c, &fields[i]) : NULL;

		if (!v)
			v = yyjson_get_str(yyjson_obj_get(old, fields[i].name));
		else if (is_set && !v[0])
			continue; /* --gateway '' takes it out */
		if (v && v[0])
			gw_jw_kstr(w, fields[i].name, gw_str_z(v));
	}
	gw_jw_end_obj(w);
}

struct change {
	const char *current, *set, *gone; /* names; NULL: leave it */
};

static int write_contexts(struct cli *c, const char *path, yyjson_val *root, const struct change *ch)
{
	const char *current = ch->current ? ch->current : yyjson_get_str(yyjson_obj_get(root, "current"));
	struct gw_json_fault fault;
	struct gw_json_out w;
	struct gw_buf json, text;
	yyjson_doc *doc = NULL;
	size_t i, n;
	yyjson_val *v;
	int rc = CLI_FAILED;

	gw_buf_init(&json, FILE_MAX);
	gw_buf_init(&text, FILE_MAX);
	gw_jw_init(&w, &json);
	gw_jw_obj(&w);
	if (current && !(ch->gone && strcmp(current, ch->gone) == 0))
		gw_jw_kstr(&w, "current", gw_str_z(current));
	gw_jw_key(&w, GW_LIT("contexts"));
	gw_jw_arr(&w);
	yyjson_arr_foreach(yyjson_obj_get(root, "contexts"), i, n, v)
	{
		const char *name = yyjson_get_str(yyjson_obj_get(v, "name"));

		if (name && !(ch->gone && strcmp(name, ch->gone) == 0) && !(ch->set && strcmp(name, ch->set) == 0))
			put_one(&w, c, name, v, false);
	}
	if (ch->set)
		put_one(&w, c, ch->set, find(root, ch->set), true);
	gw_jw_end_arr(&w);
	gw_jw_end_obj(&w);
	if (gw_json_read(gw_buf_view(&json), &gw_json_default_limits, &doc, &fault) == GW_OK) {
		gw_buf_puts(&text,
			    GW_LIT("# Gateways that llmgwctl knows (llmgwctl context). Tokens are named, not kept.\n"));
		gw_yaml_write(&text, yyjson_doc_get_root(doc));
		rc = cli_home_write(path, gw_buf_view(&text));
		yyjson_doc_free(doc);
	}
	gw_buf_done(&json);
	gw_buf_done(&text);
	return rc;
}

static bool is_name(const char *s)
{
	size_t n = strlen(s);

	for (const char *p = s; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '.' ||
		      *p == '_' || *p == '-'))
			return false;
	return n > 0 && n < 64 && s[0] != '.' && s[0] != '-';
}

/* A file named from here is to be found from everywhere. */
static const char *from_root(struct cli *c, const char *path)
{
	char here[4096];

	if (!path || !path[0] || path[0] == '/' || !getcwd(here, sizeof here))
		return path;
	return gw_arena_z(&c->arena, gw_arena_printf(&c->arena, "%s/%s", here, path));
}

int cli_cmd_context_set(struct cli *c)
{
	struct change ch = { .set = c->args[0] };
	yyjson_doc *doc = NULL;
	const char *path;
	int rc;

	if (!is_name(c->args[0])) {
		cli_error("\"%s\" is no name for a context: letters, digits, points, hyphens; at most 63", c->args[0]);
		return CLI_USAGE;
	}
	if (c->o.server && c->o.server[0] && strncmp(c->o.server, "http://", 7) != 0 &&
	    strncmp(c->o.server, "https://", 8) != 0) {
		cli_error("--server: an address like https://gateway.example:4001, not \"%s\"", c->o.server);
		return CLI_USAGE;
	}
	c->o.token_file = from_root(c, c->o.token_file);
	c->o.data_dir = from_root(c, c->o.data_dir);
	rc = read_contexts(c, &path, &doc);
	if (rc)
		return rc;
	if (!yyjson_obj_get(yyjson_doc_get_root(doc), "current"))
		ch.current = ch.set;
	rc = write_contexts(c, path, yyjson_doc_get_root(doc), &ch);
	if (!rc)
		cli_note("context %s is set%s", ch.set, ch.current ? " and current" : "");
	yyjson_doc_free(doc);
	return rc;
}

int cli_cmd_context_use(struct cli *c)
{
	struct change ch = { .current = c->args[0] };
	yyjson_doc *doc = NULL;
	const char *path;
	int rc = read_contexts(c, &path, &doc);

	if (rc)
		return rc;
	if (!find(yyjson_doc_get_root(doc), ch.current))
		rc = no_context(yyjson_doc_get_root(doc), ch.current);
	else
		rc = write_contexts(c, path, yyjson_doc_get_root(doc), &ch);
	if (!rc)
		cli_note("context %s is current", ch.current);
	yyjson_doc_free(doc);
	return rc;
}

int cli_cmd_context_delete(struct cli *c)
{
	struct change ch = { .gone = c->args[0] };
	yyjson_doc *doc = NULL;
	const char *path;
	int rc = read_contexts(c, &path, &doc);

	if (rc)
		return rc;
	if (!find(yyjson_doc_get_root(doc), ch.gone))
		rc = no_context(yyjson_doc_get_root(doc), ch.gone);
	else if (!cli_confirm(c, "Forget the context %s? (The gateway itself is not touched.)", ch.gone))
		rc = CLI_USAGE;
	else
		rc = write_contexts(c, path, yyjson_doc_get_root(doc), &ch);
	if (!rc)
		cli_note("context %s is forgotten", ch.gone);
	yyjson_doc_free(doc);
	return rc;
}

int cli_cmd_context_list(struct cli *c)
{
	static const char *const columns[] = { "current",   "name",     "server",   "token_file",
					       "token_env", "data_dir", "+gateway", NULL };
	struct gw_json_out w;
	yyjson_doc *doc = NULL;
	const char *path;
	struct gw_buf b;
	size_t i, n, k, m;
	yyjson_val *v, *key, *one;
	int rc = read_contexts(c, &path, &doc);

	if (rc)
		return rc;
	yyjson_val *root = yyjson_doc_get_root(doc);
	gw_buf_init(&b, FILE_MAX);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("items"));
	gw_jw_arr(&w);
	yyjson_arr_foreach(yyjson_obj_get(root, "contexts"), i, n, v)
	{
		gw_jw_obj(&w);
		gw_jw_kstr(&w, "current",
			   yyjson_equals(yyjson_obj_get(root, "current"), yyjson_obj_get(v, "name")) ? GW_LIT("*")
												     : GW_LIT(""));
		yyjson_obj_foreach(v, k, m, key, one)
		{
			gw_jw_key(&w, gw_json_str(key));
			gw_jw_val(&w, one);
		}
		gw_jw_end_obj(&w);
	}
	gw_jw_end_arr(&w);
	gw_jw_end_obj(&w);
	c->kind = "context";
	rc = cli_print(c, gw_buf_view(&b), "items", columns);
	gw_buf_done(&b);
	yyjson_doc_free(doc);
	return rc;
}
