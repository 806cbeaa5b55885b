/* Help with examples first, the reference page and the man page: all printed from the rows of schemas/commands.def. */
#include "admin-cli/cli.h"

static const char *const first_examples[] = {
	"llmgwctl status",
	"llmgwctl credential set openai-main --provider openai --from-env OPENAI_API_KEY",
	"llmgwctl model add gpt-4o --provider openai --upstream gpt-4o --credential openai-main",
	"llmgwctl key create --name ci",
	"llmgwctl top",
	"llmgwctl get models -o wide",
};
enum { N_FIRST = sizeof first_examples / sizeof first_examples[0] };

static void help_options(FILE *f, const struct cli_command *cmd, bool is_global)
{
	for (unsigned i = 0; i < cli_n_options; i++) {
		const struct cli_option *o = &cli_options[i];
		int room = 22 - (int)strlen(o->name);

		if (o->is_global == is_global && cli_takes(cmd, o))
			fprintf(f, "  --%s%s%-*s %s\n", o->name, o->arg[0] ? " " : "", room > 0 ? room : 1, o->arg,
				o->doc);
	}
}

static void help_all(FILE *f)
{
	fprintf(f, "llmgwctl: control of an llmgw gateway\n\nExamples:\n");
	for (int i = 0; i < N_FIRST; i++)
		fprintf(f, "  %s\n", first_examples[i]);
	fprintf(f, "\nCommands:\n");
	for (unsigned i = 0; i < cli_n_commands; i++) {
		char left[80];

		snprintf(left, sizeof left, "%s %s", cli_commands[i].words, cli_commands[i].args);
		fprintf(f, "  %-38s %s\n", left, cli_commands[i].doc);
	}
	fprintf(f, "\n`llmgwctl help <command>` says more.\n\nExit status:\n");
	for (int i = 0; i < CLI_N_EXITS; i++)
		fprintf(f, "  %d  %-12s %s\n", i, cli_exits[i].name, cli_exits[i].doc);
}

void cli_help(FILE *f, const struct cli_command *cmd)
{
	if (!cmd) {
		help_all(f);
		return;
	}
	fprintf(f, "%s\n\nExamples:\n", cmd->doc);
	for (const char *p = cmd->examples; *p;) {
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

/* --- the reference page --- */
static void md_option(struct gw_buf *b, const struct cli_option *o)
{
	gw_buf_printf(b, "- `--%s%s%s` %s\n", o->name, o->arg[0] ? " " : "", o->arg, o->doc);
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
			if (!cli_options[k].is_global && cli_takes(c, &cli_options[k]))
				md_option(b, &cli_options[k]);
	}
	gw_buf_puts(b, GW_LIT("\n## Global options\n\n"));
	for (unsigned k = 0; k < cli_n_options; k++)
		if (cli_options[k].is_global)
			md_option(b, &cli_options[k]);
	gw_buf_puts(b, GW_LIT("\n## Exit status\n\n| status | name | |\n|---|---|---|\n"));
	for (int i = 0; i < CLI_N_EXITS; i++)
		gw_buf_printf(b, "| %d | `%s` | %s |\n", i, cli_exits[i].name, cli_exits[i].doc);
	gw_buf_puts(b,
		    GW_LIT("\nWith `-o json` an error is one JSON object on standard error: "
			   "`{\"error\":{\"code\":...,\"message\":...,\"hint\":...,\"exit\":...}}`; `code` is the name "
			   "above or the gateway's own (docs/reference/errors.md).\n"));
}

/* --- the man page --- */
/* A backslash, a hyphen that is to be copied, and a point or quote at the beginning of a line mean something to roff. */
static void roff(struct gw_buf *b, const char *text, bool is_line_start)
{
	for (const char *p = text; *p; p++) {
		if (is_line_start && (*p == '.' || *p == '\''))
			gw_buf_puts(b, GW_LIT("\\&"));
		if (*p == '\\')
			gw_buf_puts(b, GW_LIT("\\e"));
		else if (*p == '-')
			gw_buf_puts(b, GW_LIT("\\-"));
		else if (*p == '~')
			gw_buf_puts(b, GW_LIT("\\(ti"));
		else if (*p == '^')
			gw_buf_puts(b, GW_LIT("\\(ha"));
		else
			gw_buf_putc(b, *p);
		is_line_start = *p == '\n';
	}
}

static void man_option(struct gw_buf *b, const struct cli_option *o)
{
	gw_buf_puts(b, GW_LIT(".TP\n\\fB\\-\\-"));
	roff(b, o->name, false);
	gw_buf_puts(b, GW_LIT("\\fR"));
	if (o->arg[0])
		gw_buf_printf(b, " \\fI%s\\fR", o->arg);
	gw_buf_putc(b, '\n');
	roff(b, o->doc, true);
	gw_buf_putc(b, '\n');
}

static void man_command(struct gw_buf *b, const struct cli_command *c)
{
	bool has_options = false;

	gw_buf_puts(b, GW_LIT(".SS \""));
	roff(b, c->words, false);
	gw_buf_puts(b, c->args[0] ? GW_LIT(" ") : GW_LIT(""));
	roff(b, c->args, false);
	gw_buf_puts(b, GW_LIT("\"\n"));
	roff(b, c->doc, true);
	gw_buf_puts(b, GW_LIT("\n.PP\n.nf\n.RS 4\n"));
	roff(b, c->examples, true);
	gw_buf_puts(b, GW_LIT("\n.RE\n.fi\n"));
	for (unsigned k = 0; k < cli_n_options; k++)
		if (!cli_options[k].is_global && cli_takes(c, &cli_options[k])) {
			man_option(b, &cli_options[k]);
			has_options = true;
		}
	if (has_options)
		gw_buf_puts(b, GW_LIT(".PP\n"));
}

static void man_tail(struct gw_buf *b)
{
	gw_buf_puts(b, GW_LIT(".SH EXIT STATUS\n"));
	for (int i = 0; i < CLI_N_EXITS; i++) {
		gw_buf_printf(b, ".TP\n\\fB%d\\fR (%s)\n", i, cli_exits[i].name);
		roff(b, cli_exits[i].doc, true);
		gw_buf_putc(b, '\n');
	}
	gw_buf_puts(
	    b,
	    GW_LIT(".SH ENVIRONMENT\n"
		   ".TP\n\\fBLLMGW_ADMIN_URL\\fR\nAddress of the admin API.\n"
		   ".TP\n\\fBLLMGW_ADMIN_TOKEN\\fR\nThe admin token itself.\n"
		   ".TP\n\\fBLLMGW_DATA_DIR\\fR\nData folder of a gateway on this machine.\n"
		   ".TP\n\\fBLLMGW_CONTEXT\\fR\nContext to use, as with \\-\\-context.\n"
		   ".TP\n\\fBLLMGW_URL\\fR, \\fBLLMGW_KEY\\fR\nData plane and virtual key for test calls.\n"
		   ".TP\n\\fBVISUAL\\fR, \\fBEDITOR\\fR\nWhat edit opens; vi when neither is set.\n"
		   ".TP\n\\fBNO_COLOR\\fR\nNo colours, when it is not empty.\n"
		   ".SH FILES\n"
		   ".TP\n\\fI~/.config/llmgw/contexts.yaml\\fR\nContexts (0600). It names files or variables that hold "
		   "tokens, never a token.\n"
		   ".TP\n\\fI~/.local/state/llmgw/\\fR\nThe open transaction of each context (0600).\n"
		   ".TP\n\\fIDATA_DIR/admin.token\\fR\nThe first admin token of a gateway on this machine.\n"));
}

void cli_doc_man(struct gw_buf *b)
{
	gw_buf_puts(
	    b, GW_LIT(".\\\" Printed by `llmgwctl doc man` from schemas/commands.def.\n"
		      ".TH LLMGWCTL 1 \"\" \"llmgw " LLMGW_VERSION "\" \"llmgw\"\n"
		      ".SH NAME\nllmgwctl \\- control of an llmgw gateway\n"
		      ".SH SYNOPSIS\n\\fBllmgwctl\\fR \\fIcommand\\fR [\\fIargument\\fR ...] [\\fIoption\\fR ...]\n"
		      ".SH DESCRIPTION\n"
		      "A client of the admin API of a gateway: data goes to standard output, everything else to "
		      "standard error.\nErrors name the field and the remedy; with \\fB\\-o json\\fR they are one JSON "
		      "object on standard error.\n"
		      ".SH EXAMPLES\n.nf\n.RS 4\n"));
	for (int i = 0; i < N_FIRST; i++) {
		roff(b, first_examples[i], true);
		gw_buf_putc(b, '\n');
	}
	gw_buf_puts(b, GW_LIT(".RE\n.fi\n.SH COMMANDS\n"));
	for (unsigned i = 0; i < cli_n_commands; i++)
		man_command(b, &cli_commands[i]);
	gw_buf_puts(b, GW_LIT(".SH GLOBAL OPTIONS\n"));
	for (unsigned k = 0; k < cli_n_options; k++)
		if (cli_options[k].is_global)
			man_option(b, &cli_options[k]);
	man_tail(b);
}
