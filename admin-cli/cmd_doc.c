/* doc: the reference, printed from the rows. docs/reference/ and schemas/json/ hold committed copies; `./dev check` compares. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "admin-cli/cli.h"
#include "core/doc.h"
#include "lib/sys/boot.h"
#include "lib/sys/fd.h"

static void doc_routes(struct gw_buf *b)
{
	gw_buf_puts(b, GW_LIT("# Routes of the admin API\n\nPrinted by `llmgwctl doc routes` from schemas/routes.def. "
			      "Roles: P platform-admin, O org-admin, T team-admin,\n"
			      "M member, V viewer, A auditor; NONE needs no token.\n\n| method | path | roles | scope "
			      "| |\n|---|---|---|---|---|\n"));
#define GW_ROUTE(name, method, path, roles, scope, body, audit, doc)                                                   \
	gw_buf_printf(b, "| %s | `%s` | %s | %s | %s |\n", #method, path, #roles, #scope, doc);
#include "schemas/routes.def"
#undef GW_ROUTE
}

static void doc_boot(struct gw_buf *b)
{
	gw_buf_puts(b, GW_LIT("# Boot options\n\nPrinted by `llmgwctl doc boot` from schemas/boot.def. Each is a flag, "
			      "an environment variable and a key of the boot file.\n\n"
			      "| flag | environment | default | |\n|---|---|---|---|\n"));
	for (unsigned i = 0; i < gw_boot_n_rows; i++) {
		const struct gw_boot_row *r = &gw_boot_rows[i];
		char flag[64], env[64];

		snprintf(flag, sizeof flag, "%s", r->name);
		snprintf(env, sizeof env, "%s", r->name);
		for (char *p = flag; *p; p++)
			if (*p == '_')
				*p = '-';
		for (char *p = env; *p; p++)
			if (*p >= 'a' && *p <= 'z')
				*p = (char)(*p - 32);
		gw_buf_printf(b, "| `--%s` | `LLMGW_%s` | `%s` | %s |\n", flag, env, r->def, r->doc);
	}
}

static void doc_pipeline(struct gw_buf *b)
{
	static const struct {
		const char *name, *edges, *doc;
	} steps[] = {
#define GW_STEP(name, edges, doc) { #name, #edges, doc },
#include "worker/req_steps.def"
#undef GW_STEP
	};

	gw_buf_puts(b, GW_LIT("# The request pipeline\n\nPrinted by `llmgwctl doc pipeline` from "
			      "worker/req_steps.def.\n\n```dot\ndigraph request {\n"));
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
		for (const char *p = steps[i].edges; (p = strstr(p, "E(")) != NULL;) {
			p += 2;
			gw_buf_printf(b, "  %s -> %.*s;\n", steps[i].name, (int)strcspn(p, ")"), p);
		}
	gw_buf_puts(b, GW_LIT("}\n```\n\n| step | |\n|---|---|\n"));
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
		gw_buf_printf(b, "| %s | %s |\n", steps[i].name, steps[i].doc);
}

static void doc_openapi(struct gw_buf *b)
{
	gw_doc_openapi(b);
}

static const struct {
	const char *name;
	void (*print)(struct gw_buf *b);
	const char *doc;
} own[] = {
	{ "commands", cli_doc_commands, "Commands and options of llmgwctl." },
	{ "routes", doc_routes, "Routes of the admin API with their roles." },
	{ "boot", doc_boot, "Boot options." },
	{ "openapi", doc_openapi, "OpenAPI 3.1 of the admin API, as JSON." },
	{ "pipeline", doc_pipeline, "The steps of a request." },
};
enum { OWN = sizeof own / sizeof own[0] };

static enum gw_err print(const char *topic, struct gw_buf *b)
{
	for (int i = 0; i < OWN; i++)
		if (strcmp(own[i].name, topic) == 0) {
			own[i].print(b);
			return b->err;
		}
	return gw_doc_print(gw_str_z(topic), b);
}

static int write_page(struct cli *c, const char *dir, const char *topic, const char *file)
{
	char path[4400];
	struct gw_buf b;
	int rc = CLI_OK;

	(void)c;
	gw_buf_init(&b, 8 << 20);
	snprintf(path, sizeof path, "%s/%s", dir, file);
	if (print(topic, &b) || gw_write_file(AT_FDCWD, path, gw_buf_view(&b), 0644)) {
		cli_error("cannot write %s", path);
		rc = CLI_FAILED;
	}
	gw_buf_done(&b);
	return rc;
}

static int write_all(struct cli *c, const char *dir)
{
	char name[128], topic[128];
	int rc = CLI_OK;

	mkdir(dir, 0755);
	for (int i = 0; i < OWN && !rc; i++) {
		snprintf(name, sizeof name, "%s.%s", own[i].name, strcmp(own[i].name, "openapi") == 0 ? "json" : "md");
		rc = write_page(c, dir, own[i].name, name);
	}
	for (unsigned i = 0; i < gw_doc_n_topics && !rc; i++) {
		snprintf(name, sizeof name, "%s.md", gw_doc_topics[i].name);
		rc = write_page(c, dir, gw_doc_topics[i].name, name);
	}
	for (int k = 0; k < GW_KIND_COUNT && !rc; k++) {
		snprintf(topic, sizeof topic, "schema.%s", gw_cf_kinds[k].name);
		snprintf(name, sizeof name, "%s.schema.json", gw_cf_kinds[k].name);
		rc = write_page(c, dir, topic, name);
	}
	return rc;
}

int cli_cmd_doc(struct cli *c)
{
	struct gw_buf b;

	if (c->o.all && !c->o.dir) {
		cli_error("name the folder: llmgwctl doc --all --dir DIR");
		return CLI_USAGE;
	}
	if (c->o.all)
		return write_all(c, c->o.dir);
	if (!c->n_args) {
		for (int i = 0; i < OWN; i++)
			printf("%-14s %s\n", own[i].name, own[i].doc);
		for (unsigned i = 0; i < gw_doc_n_topics; i++)
			printf("%-14s %s\n", gw_doc_topics[i].name, gw_doc_topics[i].doc);
		printf("%-14s JSON Schema of a kind, e.g. schema.model\n", "schema.<kind>");
		printf("%-14s The manual page llmgwctl.1.\n", "man");
		return CLI_OK;
	}
	gw_buf_init(&b, 8 << 20);
	if (strcmp(c->args[0], "man") == 0) {
		cli_doc_man(&b);
	} else if (print(c->args[0], &b)) {
		cli_error("there is no topic \"%s\"; `llmgwctl doc` lists them", c->args[0]);
		gw_buf_done(&b);
		return CLI_NOT_FOUND;
	}
	fwrite(b.p, 1, b.n, stdout);
	gw_buf_done(&b);
	return CLI_OK;
}
