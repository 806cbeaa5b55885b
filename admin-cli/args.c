/* Words of the command line into a command, its arguments and options, by the rows of schemas/commands.def; "did you mean". */
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

bool cli_takes(const struct cli_command *cmd, const struct cli_option *o)
{
	return o->is_global || has_word(cmd->options, o->name);
}

const struct cli_command *cli_command_of(const char *const *words, unsigned n, unsigned *used)
{
	char two[128];

	for (unsigned k = 2; k >= 1; k--) {
		if (n < k)
			continue;
		snprintf(two, sizeof two, k == 2 ? "%s %s" : "%s", words[0], k == 2 ? words[1] : "");
		for (unsigned i = 0; i < cli_n_commands; i++)
			if (strcmp(cli_commands[i].words, two) == 0) {
				*used = k;
				return &cli_commands[i];
			}
	}
	return NULL;
}

/* -f is --follow where a command follows, else --file. */
static const char *long_name(struct gw_str letter, const struct cli_command *cmd)
{
	static const struct {
		char letter;
		const char *name;
	} shorts[] = { { 'o', "output" }, { 'y', "yes" }, { 'q', "quiet" }, { 'w', "watch" }, { 'h', "help" } };

	if (letter.n != 1)
		return NULL;
	if (letter.p[0] == 'f')
		return cmd && has_word(cmd->options, "follow") && !has_word(cmd->options, "file") ? "follow" : "file";
	for (size_t i = 0; i < sizeof shorts / sizeof shorts[0]; i++)
		if (letter.p[0] == shorts[i].letter)
			return shorts[i].name;
	return NULL;
}

const struct cli_option *cli_option_of(struct gw_str name, const struct cli_command *cmd)
{
	const char *word = long_name(name, cmd);

	if (word)
		name = gw_str_z(word);
	for (unsigned i = 0; i < cli_n_options; i++)
		if (gw_str_eq(name, gw_str_z(cli_options[i].name)))
			return &cli_options[i];
	return NULL;
}

/* --- parsing --- */
static int unknown_option(struct gw_str name, bool is_long)
{
	const char *names[CLI_MAX_NAMES], *near;
	char word[64];

	for (unsigned i = 0; i < cli_n_options && i < CLI_MAX_NAMES; i++)
		names[i] = cli_options[i].name;
	snprintf(word, sizeof word, "%.*s", GW_FMT(name));
	near = cli_nearest(word, names, cli_n_options);
	if (near)
		cli_error("there is no option %s%s; did you mean --%s?", is_long ? "--" : "-", word, near);
	else
		cli_error("there is no option %s%s; see llmgwctl help", is_long ? "--" : "-", word);
	return CLI_USAGE;
}

static int keep_filter(struct cli *c, const char *text)
{
	if (c->o.n_filters == CLI_MAX_FILTERS) {
		cli_error("--filter may be given at most %d times", CLI_MAX_FILTERS);
		return CLI_USAGE;
	}
	c->o.filters[c->o.n_filters++] = text;
	return CLI_OK;
}

/* One "--name value", "--name=value" or "-f value"; *i moves over the value. */
static int take_option(struct cli *c, int argc, char **argv, int *i)
{
	bool is_long = argv[*i][1] == '-';
	struct gw_str word = gw_str_z(argv[*i] + (is_long ? 2 : 1)), name, value = GW_NIL;
	bool has_value = gw_str_cut(word, '=', &name, &value);
	unsigned used;
	const struct cli_option *o = cli_option_of(name, cli_command_of(c->args, c->n_args, &used));

	if (!o || (is_long && name.n == 1))
		return unknown_option(name, is_long);
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
	return o->offset == offsetof(struct cli_opts, filter) ? keep_filter(c, *at) : CLI_OK;
}

/* The command's words are taken off the arguments. */
static const struct cli_command *take_command(struct cli *c)
{
	unsigned used = 0;
	const struct cli_command *found = cli_command_of(c->args, c->n_args, &used);

	c->n_args -= used;
	memmove(c->args, c->args + used, c->n_args * sizeof c->args[0]);
	return found;
}

static int unknown_command(struct cli *c)
{
	const char *names[CLI_MAX_NAMES], *near;
	char two[128], family[256] = "";
	size_t n = strlen(c->args[0]);

	snprintf(two, sizeof two, "%s%s%s", c->args[0], c->n_args > 1 ? " " : "", c->n_args > 1 ? c->args[1] : "");
	for (unsigned i = 0; i < cli_n_commands && i < CLI_MAX_NAMES; i++) {
		const char *w = cli_commands[i].words;

		names[i] = w;
		if (strncmp(w, c->args[0], n) == 0 && w[n] == ' ') {
			size_t at = strlen(family);

			snprintf(family + at, sizeof family - at, "%s%s", at ? ", " : "", w + n + 1);
		}
	}
	near = cli_nearest(two, names, cli_n_commands);
	if (!near)
		near = cli_nearest(c->args[0], names, cli_n_commands);
	if (near)
		cli_error("there is no command \"%s\"; did you mean \"%s\"?", two, near);
	else if (family[0])
		cli_error("there is no command \"%s\"; %s can: %s", two, c->args[0], family);
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

		if (v && !cli_takes(cmd, &cli_options[i])) {
			cli_error("\"%s\" takes no --%s (see llmgwctl help %s)", cmd->words, cli_options[i].name,
				  cmd->words);
			return CLI_USAGE;
		}
	}
	return CLI_OK;
}

static int read_words(int argc, char **argv, struct cli *c, bool *wants_help)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			*wants_help = true;
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
	return CLI_OK;
}

int cli_parse(int argc, char **argv, struct cli *c, const struct cli_command **cmd)
{
	bool wants_help = false;
	int rc;

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return cli_cmd_version(c);
	rc = read_words(argc, argv, c, &wants_help);
	if (!rc)
		rc = cli_check_format(c);
	if (rc)
		return rc;
	if (!c->n_args) {
		cli_help(wants_help ? stdout : stderr, NULL);
		return wants_help ? CLI_OK : CLI_USAGE;
	}
	*cmd = take_command(c);
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
	const struct cli_command *cmd = c->n_args ? take_command(c) : NULL;

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
