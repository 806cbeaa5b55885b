/* Everything that is not data: errors with their hint (in words, or as one JSON object), notes, questions, progress, colours. */
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include "admin-cli/cli.h"
#include "lib/text.h"

const struct cli_exit_row cli_exits[CLI_N_EXITS] = {
	[CLI_OK] = { "ok", "Done." },
	[CLI_FAILED] = { "failed", "It went wrong; the message says why." },
	[CLI_USAGE] = { "usage", "The command line is wrong, or a question could not be asked." },
	[CLI_NOT_FOUND] = { "not_found", "There is no such object, or it is not yours to see." },
	[CLI_CONFLICT] = { "conflict", "The object changed since it was read, exists already, or is in use." },
	[CLI_INVALID] = { "invalid", "What was sent is not valid; the message names field, line and column." },
	[CLI_AUTH] = { "denied", "The token is missing, not known, or may not do this." },
	[CLI_UNREACHABLE] = { "unreachable", "The admin API cannot be reached." },
	[CLI_DIFFERS] = { "differs", "diff: something would change." },
};

static struct {
	bool is_json, is_quiet, is_live, has_error, has_progress, colours;
	char message[8192], hint[8192], code[64];
	long http;
	struct gw_buf details, faults, used_by; /* faults, used_by: JSON arrays */
	struct gw_buf *to; /* not NULL: errors, hints and notes go here instead */
} say;

static bool is_word_json(const char *w)
{
	return strcmp(w, "json") == 0;
}

void cli_say_start(int argc, char **argv)
{
	gw_buf_init(&say.details, 64 << 10);
	gw_buf_init(&say.faults, 256 << 10);
	gw_buf_init(&say.used_by, 64 << 10);
	for (int i = 1; i < argc; i++) {
		const char *next = i + 1 < argc ? argv[i + 1] : "";

		say.is_json |= strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "--output=json") == 0 ||
			       strcmp(argv[i], "-o=json") == 0 || strcmp(argv[i], "-ojson") == 0 ||
			       ((strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0) && is_word_json(next));
	}
}

/* NO_COLOR (any value but none) turns colours off, --color decides over it. */
void cli_say_options(const struct cli *c)
{
	const char *how = c->o.color ? c->o.color : "auto", *no = getenv("NO_COLOR"), *term = getenv("TERM");

	say.is_quiet = c->o.quiet != NULL;
	if (strcmp(how, "always") == 0)
		say.colours = true;
	else if (strcmp(how, "never") == 0)
		say.colours = false;
	else
		say.colours =
		    isatty(STDOUT_FILENO) && !(no && no[0]) && !(term && strcmp(term, "dumb") == 0) && !say.is_json;
}

const char *cli_paint(enum cli_colour k)
{
	static const char *const codes[] = {
		[CLI_PLAIN] = "\x1b[0m",  [CLI_BOLD] = "\x1b[1m",    [CLI_RED] = "\x1b[31m",
		[CLI_GREEN] = "\x1b[32m", [CLI_YELLOW] = "\x1b[33m", [CLI_DIM] = "\x1b[2m"
	};

	return say.colours ? codes[k] : "";
}

void cli_say_live(void)
{
	say.is_live = true;
}

void cli_say_to(struct gw_buf *b)
{
	say.to = b;
}

static bool is_taken(const char *text)
{
	if (say.to)
		gw_buf_printf(say.to, "%s\n", text);
	return say.to != NULL;
}

static void line_out(const char *before, const char *text)
{
	bool red = say.colours && isatty(STDERR_FILENO) && before[0];

	fflush(stdout); /* in the order in which it was said */
	cli_progress_end();
	fprintf(stderr, "%s%s%s%s\n", red ? "\x1b[31m" : "", before, red ? "\x1b[0m" : "", text);
}

static void keep(const char *text)
{
	gw_buf_puts(&say.details, gw_str_z(text));
	gw_buf_putc(&say.details, '\n');
}

__attribute__((format(printf, 1, 0))) static void words(char text[8192], const char *fmt, va_list ap)
{
	vsnprintf(text, 8192, fmt, ap);
	cli_disarm(text, true);
}

#define WORDS(text)                                                                                                    \
	char text[8192];                                                                                               \
	va_list ap;                                                                                                    \
	va_start(ap, fmt);                                                                                             \
	words(text, fmt, ap);                                                                                          \
	va_end(ap)

void cli_error(const char *fmt, ...)
{
	WORDS(text);
	if (is_taken(text))
		return;
	if (!say.is_json)
		line_out("llmgwctl: ", text);
	else if (say.has_error)
		keep(text);
	else
		snprintf(say.message, sizeof say.message, "%s", text);
	say.has_error = true;
}

void cli_hint(const char *fmt, ...)
{
	WORDS(text);
	if (is_taken(text))
		return;
	if (!say.is_json)
		line_out("", text);
	else
		snprintf(say.hint, sizeof say.hint, "%s", text);
}

/* Quiet leaves out what is said beside a success, never what belongs to an error. */
void cli_note(const char *fmt, ...)
{
	WORDS(text);
	if (is_taken(text))
		return;
	if (say.is_json && !(say.is_live && !say.has_error))
		keep(text);
	else if (!say.is_quiet || say.has_error)
		line_out("", text);
}

void cli_error_facts(const char *code, long http, struct gw_str faults, struct gw_str used_by)
{
	snprintf(say.code, sizeof say.code, "%s", code ? code : "");
	say.http = http;
	gw_buf_clear(&say.faults, 256 << 10);
	gw_buf_puts(&say.faults, faults);
	gw_buf_clear(&say.used_by, 64 << 10);
	gw_buf_puts(&say.used_by, used_by);
}

/* What helps when nobody said it better. */
static const char *common_hint(int rc)
{
	static const char *const hints[CLI_N_EXITS] = {
		[CLI_USAGE] = "llmgwctl help <command> shows examples and options.",
		[CLI_NOT_FOUND] = "llmgwctl get <kind> lists what there is.",
		[CLI_CONFLICT] = "Read it again (llmgwctl describe), then change it.",
		[CLI_INVALID] = "llmgwctl explain <kind> says which fields and values there are.",
		[CLI_AUTH] = "Give another token: --token-file, LLMGW_ADMIN_TOKEN or llmgwctl context set.",
		[CLI_UNREACHABLE] = "llmgwctl doctor looks at this machine; --server, --context name another gateway.",
	};

	return rc > 0 && rc < CLI_N_EXITS ? hints[rc] : NULL;
}

static void put_details(struct gw_json_out *w)
{
	struct gw_str rest = gw_buf_view(&say.details), one;

	if (!rest.n)
		return;
	gw_jw_key(w, GW_LIT("details"));
	gw_jw_arr(w);
	while (rest.n) {
		if (!gw_str_cut(rest, '\n', &one, &rest))
			rest = GW_NIL;
		gw_jw_str(w, one);
	}
	gw_jw_end_arr(w);
}

static void error_json(int rc)
{
	const char *hint = say.hint[0] ? say.hint : common_hint(rc);
	struct gw_json_out w;
	struct gw_buf b;

	gw_buf_init(&b, 1 << 20);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("error"));
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "code", gw_str_z(say.code[0] ? say.code : rc < CLI_N_EXITS ? cli_exits[rc].name : "failed"));
	gw_jw_kstr(&w, "message", gw_str_z(say.message));
	if (hint)
		gw_jw_kstr(&w, "hint", gw_str_z(hint));
	gw_jw_ku64(&w, "exit", (uint64_t)rc);
	if (say.http)
		gw_jw_ki64(&w, "status", say.http);
	if (say.faults.n) {
		gw_jw_key(&w, GW_LIT("faults"));
		gw_jw_raw(&w, gw_buf_view(&say.faults));
	}
	if (say.used_by.n) {
		gw_jw_key(&w, GW_LIT("used_by"));
		gw_jw_raw(&w, gw_buf_view(&say.used_by));
	}
	put_details(&w);
	gw_jw_end_obj(&w);
	gw_jw_end_obj(&w);
	fprintf(stderr, "%.*s\n", GW_FMT(gw_buf_view(&b)));
	gw_buf_done(&b);
}

int cli_say_end(int rc)
{
	cli_progress_end();
	if (say.is_json && rc != CLI_OK && rc != CLI_DIFFERS)
		error_json(rc);
	else if (say.is_json && say.details.n && !say.is_quiet)
		fprintf(stderr, "%.*s", GW_FMT(gw_buf_view(&say.details)));
	gw_buf_done(&say.details);
	gw_buf_done(&say.faults);
	gw_buf_done(&say.used_by);
	return rc;
}

bool cli_confirm(struct cli *c, const char *fmt, ...)
{
	char line[16];

	if (c->o.yes)
		return true;
	WORDS(text);
	if (!isatty(STDIN_FILENO)) {
		cli_error("%s\nThis needs --yes when nobody can be asked.", text);
		return false;
	}
	cli_progress_end();
	fprintf(stderr, "%s [y/N] ", text);
	if (fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y'))
		return true;
	cli_error("nothing was changed");
	return false;
}

void cli_progress(const char *fmt, ...)
{
	if (say.is_quiet || say.is_json || !isatty(STDERR_FILENO))
		return;
	WORDS(text);
	fprintf(stderr, "\r\x1b[K%s", text);
	fflush(stderr);
	say.has_progress = true;
}

void cli_progress_end(void)
{
	if (!say.has_progress)
		return;
	say.has_progress = false;
	fputs("\r\x1b[K", stderr);
}

const char *cli_nearest(const char *word, const char *const *names, size_t n)
{
	int near = gw_nearest(gw_str_z(word), names, n);

	return near >= 0 ? names[near] : NULL;
}
