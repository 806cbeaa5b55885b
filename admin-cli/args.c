/* Commands and options from their rows: parsing, help with examples first, "did you mean", the reference page. */
#include <stdlib.h>
#include <unistd.h>
#include "admin-cli/cli.h"
#include "lib/text.h"

const struct cli_command cli_commands[] = {
#define GW_OPTION(name, key, arg, is_global, doc)
#define GW_COMMAND(words, args, run, options, doc, examples) { words, args, cli_cmd_##run, options, doc, examples },
#include "schemas/commands.def"
#undef GW_OPTION
#undef GW_COMMAND
};
const unsigned cli_n_commands = sizeof cli_commands / sizeof cli_commands[0];

const struct cli_option cli_options[] = {
#define GW_OPTION(name, key, arg, is_global, doc) { name, arg, is_global, offsetof(struct cli_opts, key), doc },
#define GW_COMMAND(words, args, run, options, doc, examples)
#include "schemas/commands.def"
#undef GW_OPTION
#undef GW_COMMAND
};
const unsigned cli_n_options = sizeof cli_options / sizeof cli_options[0];

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; (p = strstr(p, word)) != NULL; p += n)
		if ((p == list || p[-1] == ' ') && (p[n] == ' ' || !p[n]))
			return true;
	return false;
}

static bool takes(const struct cli_command *cmd, const struct cli_option *o)
{
	return o->is_global || has_word(cmd->options, o->name);
}

static void help_options(FILE *f, const struct cli_command *cmd, bool is_global)
{
	for (unsigned i = 0; i < cli_n_options; i++) {
		const struct cli_option *o = &cli_options[i];

		if (o->is_global != is_global || !takes(cmd, o))
			continue;
		fprintf(f, "  --%s%s%-*s %s\n", o->name, o->arg[0] ? " " : "",
			(int)(22 - strlen(o->name)) > 0 ? (int)(22 - strlen(o->name)) : 1, o->arg, o->doc);
	}
}

static void help_all(FILE *f)
{
	fprintf(f, "llmgwctl: control of an llmgw gateway\n\nExamples:\n"
		   "  llmgwctl status\n"
		   "  llmgwctl credential set openai-main --provider openai --from-env OPENAI_API_KEY\n"
		   "  llmgwctl model add gpt-4o --provider openai --upstream gpt-4o --credential openai-main\n"
		   "  llmgwctl key create --name ci\n"
		   "  llmgwctl logs tail\n\nCommands:\n");
	for (unsigned i = 0; i < cli_n_commands; i++) {
		char left[80];

		snprintf(left, sizeof left, "%s %s", cli_commands[i].words, cli_commands[i].args);
		fprintf(f, "  %-38s %s\n", left, cli_commands[i].doc);
	}
	fprintf(f, "\n`llmgwctl help <command>` says more. Exit status: 0 done, 1 failed, 2 usage, 3 not found, 4 "
		   "conflict, 5 not valid,\n"
		   "6 not allowed, 7 not reachable, 8 differs (diff).\n");
}

void cli_help(FILE *f, const struct cli_command *cmd)
{
	const char *p;

	if (!cmd) {
		help_all(f);
		return;
	}
	fprintf(f, "%s\n\nExamples:\n", cmd->doc);
	for (p = cmd->examples; *p;) {
		size_t n = strcspn(p, "\n");

		fprintf(f, "  %.*s\n", (int)n, p);
		p += n + (p[n] == '\n');
	}
	fprintf(f, "\nUsage: llmgwctl %s%s%s [options]\n", cmd->words, cmd->args[0] ? " " : "", cmd->args);
	if (cmd->options[0]) {
		fprintf(f, "\nOptions:\n");
		help_options(f, cmd, false);
	}
	fprintf(f, "\nGlobal options:\n");
	help_options(f, cmd, true);
}

void cli_doc_commands(struct gw_buf *b)
{
	gw_buf_puts(
	    b, GW_LIT("# Commands of llmgwctl\n\nPrinted by `llmgwctl doc commands` from schemas/commands.def.\n"));
	for (unsigned i = 0; i < cli_n_commands; i++) {
		const struct cli_command *c = &cli_commands[i];

		gw_buf_printf(b, "\n## llmgwctl %s%s%s\n\n%s\n\n```\n%s\n```\n", c->words, c->args[0] ? " " : "",
			      c->args, c->doc, c->examples);
		for (unsigned k = 0; k < cli_n_options; k++)
			if (!cli_options[k].is_global && takes(c, &cli_options[k]))
				gw_buf_printf(b, "- `--%s%s%s` %s\n", cli_options[k].name,
					      cli_options[k].arg[0] ? " " : "", cli_options[k].arg, cli_options[k].doc);
	}
	gw_buf_puts(b, GW_LIT("\n## Global options\n\n"));
	for (unsigned k = 0; k < cli_n_options; k++)
		if (cli_options[k].is_global)
			gw_buf_printf(b, "- `--%s%s%s` %s\n", cli_options[k].name, cli_options[k].arg[0] ? " " : "",
				      cli_options[k].arg, cli_options[k].doc);
}

/* --- parsing --- */
static const struct cli_option *find_option(struct gw_str name)
{
	static const struct {
		const char *s, *name;
	} shorts[] = { { "f", "file" }, { "o", "output" }, { "y", "yes" } };

	for (size_t i = 0; i < sizeof shorts / sizeof shorts[0]; i++)
		if (gw_str_eq(name, gw_str_z(shorts[i].s)))
			name = gw_str_z(shorts[i].name);
	for (unsigned i = 0; i < cli_n_options; i++)
		if (gw_str_eq(name, gw_str_z(cli_options[i].name)))
			return &cli_options[i];
	return NULL;
}

static int unknown_option(struct gw_str name)
{
	const char *names[64];
	char word[64];
	int near;

	for (unsigned i = 0; i < cli_n_options && i < 64; i++)
		names[i] = cli_options[i].name;
	near = gw_nearest(name, names, cli_n_options);
	snprintf(word, sizeof word, "%.*s", GW_FMT(name));
	if (near >= 0)
		cli_error("there is no option --%s; did you mean --%s?", word, names[near]);
	else
		cli_error("there is no option --%s; see llmgwctl help", word);
	return CLI_USAGE;
}

/* One "--name value", "--name=value" or "-f value"; *i moves over the value. */
static int take_option(struct cli *c, int argc, char **argv, int *i)
{
	struct gw_str word = gw_str_z(argv[*i] + (argv[*i][1] == '-' ? 2 : 1)), name, value = GW_NIL;
	bool has_value = gw_str_cut(word, '=', &name, &value);
	const struct cli_option *o = find_option(name);

	if (!o)
		return unknown_option(name);
	const char **at = (const char **)(void *)((char *)&c->o + o->offset);
	if (!o->arg[0]) {
		*at = "";
		if (has_value)
			cli_error("--%s takes no value", o->name);
		return has_value ? CLI_USAGE : CLI_OK;
	}
	if (has_value)
		*at = value.p;
	else if (*i + 1 < argc)
		*at = argv[++*i];
	else {
		cli_error("--%s needs a value: %s", o->name, o->doc);
		return CLI_USAGE;
	}
	if (o->offset != offsetof(struct cli_opts, filter))
		return CLI_OK;
	if (c->o.n_filters == CLI_MAX_FILTERS) {
		cli_error("--filter may be given at most %d times", CLI_MAX_FILTERS);
		return CLI_USAGE;
	}
	c->o.filters[c->o.n_filters++] = *at;
	return CLI_OK;
}

/* The command whose words are the longest prefix of the arguments; its words are taken off. */
static const struct cli_command *find_command(struct cli *c)
{
	char two[128];
	const struct cli_command *found = NULL;
	unsigned used = 0;

	for (unsigned words = 2; words >= 1 && !found; words--) {
		if (c->n_args < words)
			continue;
		snprintf(two, sizeof two, words == 2 ? "%s %s" : "%s", c->args[0], words == 2 ? c->args[1] : "");
		for (unsigned i = 0; i < cli_n_commands; i++)
			if (strcmp(cli_commands[i].words, two) == 0)
				found = &cli_commands[i];
		used = words;
	}
	if (!found)
		return NULL;
	c->n_args -= used;
	memmove(c->args, c->args + used, c->n_args * sizeof c->args[0]);
	return found;
}

static int unknown_command(struct cli *c)
{
	const char *names[64], *word = c->n_args > 1 ? NULL : c->args[0];
	char two[128];
	int near;

	snprintf(two, sizeof two, "%s%s%s", c->args[0], c->n_args > 1 ? " " : "", c->n_args > 1 ? c->args[1] : "");
	for (unsigned i = 0; i < cli_n_commands && i < 64; i++)
		names[i] = cli_commands[i].words;
	near = gw_nearest(gw_str_z(word ? word : two), names, cli_n_commands);
	if (near >= 0)
		cli_error("there is no command \"%s\"; did you mean \"%s\"?", two, names[near]);
	else
		cli_error("there is no command \"%s\"; `llmgwctl help` lists them", two);
	return CLI_USAGE;
}

static int check_args(const struct cli *c, const struct cli_command *cmd)
{
	unsigned least = 0, most = 0;

	for (const char *p = cmd->args; *p; p++) {
		least += *p == '<';
		most += *p == '<' || *p == '[';
	}
	if (strstr(cmd->args, "..."))
		most = CLI_MAX_ARGS;
	if (c->n_args < least || c->n_args > most) {
		cli_error("usage: llmgwctl %s %s (see llmgwctl help %s)", cmd->words, cmd->args, cmd->words);
		return CLI_USAGE;
	}
	for (unsigned i = 0; i < cli_n_options; i++) {
		const char *v = *(const char *const *)(const void *)((const char *)&c->o + cli_options[i].offset);

		if (v && !takes(cmd, &cli_options[i])) {
			cli_error("\"%s\" takes no --%s (see llmgwctl help %s)", cmd->words, cli_options[i].name,
				  cmd->words);
			return CLI_USAGE;
		}
	}
	return CLI_OK;
}

int cli_parse(int argc, char **argv, struct cli *c, const struct cli_command **cmd)
{
	bool wants_help = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			wants_help = true;
		} else if (argv[i][0] == '-' && argv[i][1]) {
			int rc = take_option(c, argc, argv, &i);

			if (rc)
				return rc;
		} else if (c->n_args < CLI_MAX_ARGS) {
			c->args[c->n_args++] = argv[i];
		} else {
			cli_error("too many arguments: %s", argv[i]);
			return CLI_USAGE;
		}
	}
	if (c->o.output && strcmp(c->o.output, "table") != 0 && strcmp(c->o.output, "json") != 0 &&
	    strcmp(c->o.output, "yaml") != 0) {
		cli_error("--output: table, json or yaml, not \"%s\"", c->o.output);
		return CLI_USAGE;
	}
	if (!c->n_args) {
		cli_help(wants_help ? stdout : stderr, NULL);
		return wants_help ? CLI_OK : CLI_USAGE;
	}
	*cmd = find_command(c);
	if (!*cmd)
		return unknown_command(c);
	if (wants_help) {
		cli_help(stdout, *cmd);
		*cmd = NULL;
		return CLI_OK;
	}
	return check_args(c, *cmd);
}

int cli_cmd_help(struct cli *c)
{
	const struct cli_command *cmd = c->n_args ? find_command(c) : NULL;

	if (c->n_args && !cmd)
		return unknown_command(c);
	cli_help(stdout, cmd);
	return CLI_OK;
}

int cli_cmd_version(struct cli *c)
{
	(void)c;
	printf("llmgwctl %s\n", LLMGW_VERSION);
	return CLI_OK;
}
