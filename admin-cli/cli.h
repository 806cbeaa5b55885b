#pragma once
#include <stdio.h>
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/json_write.h"

/* llmgwctl: a client of the admin API. Data goes to standard output, everything else to standard error.
 *
 *   main.c      finds the command, runs it       client.c   HTTP by libcurl, over the admin socket or TCP
 *   args.c      words into commands and options  say.c      errors, hints, notes, questions, progress, colours
 *   help.c      help, reference, man page        print.c    which format; table.c, jsonpath.c: how
 *   complete.c  what may come next               context.c  named gateways        txn.c  changes that wait for `commit`
 *   cmd_*.c     one file a family of commands */
enum cli_exit { /* printed in help, man page and reference: part of the interface */
		CLI_OK,
		CLI_FAILED,
		CLI_USAGE,
		CLI_NOT_FOUND,
		CLI_CONFLICT,
		CLI_INVALID,
		CLI_AUTH,
		CLI_UNREACHABLE,
		CLI_DIFFERS,
		CLI_N_EXITS
};
struct cli_exit_row {
	const char *name, *doc; /* "not_found" */
};
extern const struct cli_exit_row cli_exits[CLI_N_EXITS];
enum { CLI_MAX_ARGS = 16, CLI_MAX_FILTERS = 32, CLI_MAX_NAMES = 512 };

struct cli_opts { /* NULL = not given; switches: "" */
#define GW_OPTION(name, key, arg, is_global, doc) const char *key;
#define GW_COMMAND(words, args, run, options, doc, examples)
#include "schemas/commands.def"
#undef GW_OPTION
#undef GW_COMMAND
	const char *filters[CLI_MAX_FILTERS];
	unsigned n_filters;
};
struct cli {
	struct cli_opts o;
	const char *args[CLI_MAX_ARGS];
	unsigned n_args;
	struct gw_yaml_pos *pos; /* where in the file what was sent stands; NULL when nothing was read */
	const char *pos_base; /* its pointers begin with this, the gateway's do not */
	const char *pos_name; /* what the file is called in messages */
	const char *kind; /* of what is printed, for -o name and did-you-mean; NULL: the rows say it */
	const char *context; /* name of the context in use; NULL: none */
	const char *token_env; /* of the context: the variable that holds the token */
	bool has_own_token; /* of the context: no token of this machine goes to its server */
	struct gw_arena arena;
	char block[16384];
};
typedef int cli_run_fn(struct cli *c);
struct cli_command {
	const char *words, *args;
	cli_run_fn *run;
	const char *options, *doc, *examples;
};
struct cli_option {
	const char *name, *arg;
	bool is_global;
	size_t offset;
	const char *doc;
};
extern const struct cli_command cli_commands[];
extern const unsigned cli_n_commands;
extern const struct cli_option cli_options[];
extern const unsigned cli_n_options;

/* args.c */
int cli_parse(int argc, char **argv, struct cli *c, const struct cli_command **cmd);
/* The command that begins with these words (the longest), or NULL; *used = how many words it has. */
const struct cli_command *cli_command_of(const char *const *words, unsigned n, unsigned *used);
bool cli_takes(const struct cli_command *cmd, const struct cli_option *o);
/* By long name or by the letter of its short form; `cmd` (may be NULL) decides what a letter with two meanings is. */
const struct cli_option *cli_option_of(struct gw_str name, const struct cli_command *cmd);

/* help.c */
void cli_help(FILE *f, const struct cli_command *cmd); /* NULL: all */
void cli_doc_commands(struct gw_buf *b);
void cli_doc_man(struct gw_buf *b); /* llmgwctl.1, man(7) macros */

/* complete.c: `__complete WORD...`, the last word is the one being typed. One candidate a line, a tab, what it is. */
int cli_complete(struct cli *c, int argc, char **argv);

/* context.c: fills server, token, data folder from the context in use, where no option or variable says otherwise. */
int cli_context_resolve(struct cli *c);

/* input.c: place in the file of what a fault's pointer names, else of what that is in. */
bool cli_where(struct cli *c, struct gw_str pointer, uint32_t *line, uint32_t *column);

/* client.c */
void cli_client_start(void);
void cli_client_end(void);
struct cli_reply {
	long status;
	struct gw_buf body;
	char etag[40];
};
/* One call. path is absolute ("/admin/v1/models"); query may be NIL; body with its type or NIL. Fills r (init inside; done by the caller).
 * Unreachable: says so and returns CLI_UNREACHABLE. HTTP errors are returned in r->status, nothing is said. */
int cli_call(struct cli *c, const char *method, struct gw_str path, struct gw_str query, struct gw_str body,
	     const char *type, struct cli_reply *r);
/* The same with If-Match (as the ETag came; NULL: none) and without a word when the gateway is not reachable. */
struct cli_how {
	const char *if_match;
	bool is_silent;
	long timeout_ms; /* 0: as --timeout says */
};
int cli_call_how(struct cli *c, const char *method, struct gw_str path, struct gw_str query, struct gw_str body,
		 const struct cli_how *how, struct cli_reply *r);
/* As above; on an HTTP error says what is wrong and returns the exit status. */
int cli_call_ok(struct cli *c, const char *method, struct gw_str path, struct gw_str query, struct gw_str body,
		struct cli_reply *r);
void cli_reply_done(struct cli_reply *r);
/* The error body in words on standard error; returns the exit status of that HTTP status. */
int cli_say_error(struct cli *c, const struct cli_reply *r);
/* Server-sent events: data of each goes to fn until it returns false or the stream ends. */
typedef bool cli_event_fn(void *ctx, struct gw_str data);
int cli_stream(struct cli *c, struct gw_str path, struct gw_str query, cli_event_fn *fn, void *ctx);
/* The body of a GET as it comes, whatever it is. */
int cli_download(struct cli *c, struct gw_str path, struct gw_str query, cli_event_fn *piece, void *ctx);
/* A POST whose answer is large: pieces to fn as they come, which returns false to give up. Says what is wrong. */
int cli_post_download(struct cli *c, struct gw_str path, struct gw_str body, cli_event_fn *piece, void *ctx);
/* A POST to the data plane with a virtual key; pieces of the body to fn as they come. */
int cli_post_gateway(struct cli *c, struct gw_str url, struct gw_str key, struct gw_str body, cli_event_fn *piece,
		     void *ctx, long *status);
const char *cli_data_dir(struct cli *c);
/* What calls go to, for people and for telling two gateways apart. */
const char *cli_server(struct cli *c);
/* A virtual key for test calls: --key @FILE or $LLMGW_KEY. */
struct gw_str cli_key(struct cli *c);

/* cmd_logs.c: one line about the index of records; v = its status. */
void cli_index_line(yyjson_val *v);

/* cmd_objects.c */
int cli_list(struct cli *c, const char *plural);
/* All pages of a list, at most `most` rows (0: all), as {"items":[...]} into out (init inside). */
int cli_fetch_all(struct cli *c, const char *plural, struct gw_str filters, uint64_t most, struct gw_buf *out);
/* One object and its ETag; says what is wrong, with the nearest id when there is none. */
int cli_fetch(struct cli *c, const char *plural, const char *id, struct cli_reply *r);
/* Objects (a JSON array) to config:apply; while a transaction is open they are kept for its commit instead. */
int cli_apply(struct cli *c, struct gw_str objects, struct cli_reply *r, bool *is_kept);

/* cmd_watch.c: changes of a kind, or of one object, until interrupted or --count. */
int cli_watch(struct cli *c, const char *plural, const char *id);

/* cmd_audit.c: a whole segment, also one that is being written; free() the bytes. key NULL: signatures are not looked at. */
bool cli_segment_read(int fd, const uint8_t *key, struct gw_str *bytes);

/* print.c */
enum cli_format { CLI_TABLE, CLI_JSON, CLI_YAML, CLI_NAME, CLI_JSONPATH };
enum cli_format cli_format(const struct cli *c); /* wide is a table too */
/* JSON text as asked for; `columns` (NULL-terminated names, dotted paths; "+name": only with -o wide) and member `rows` ("items")
 * say how the table looks. */
int cli_print(struct cli *c, struct gw_str json, const char *rows, const char *const *columns);
/* --output, --field, --sort-by, --no-headers fit together? Says what does not. */
int cli_check_format(const struct cli *c);

/* table.c: pure. "a.b.0" inside v, a name with dots as it is when there is one. */
yyjson_val *cli_at(yyjson_val *v, const char *path);
/* A value as one line: texts bare, moments (columns ts_..) as time of day, else JSON; control characters made harmless. */
void cli_cell(const char *column, yyjson_val *v, char *out, size_t n);
void cli_disarm(char *text, bool has_lines);
struct cli_table {
	yyjson_val *const *rows;
	size_t n;
	const char *const *columns;
	size_t cell_max; /* bytes */
	bool no_headers;
	const char *bold, *plain; /* around the head; "" where there are no colours */
};
void cli_table_put(struct gw_buf *b, const struct cli_table *t);
/* By the value at a path: numbers by size, else texts; "-path": from the end. Stable. */
void cli_sort(yyjson_val **rows, size_t n, const char *path);

/* jsonpath.c: pure. kubectl's templates in a documented subset; false: *why says what is wrong. */
bool cli_jsonpath(struct gw_arena *a, const char *text, yyjson_val *root, struct gw_buf *out, const char **why);

/* say.c */
void cli_say_start(int argc, char **argv); /* before parsing: are errors to be JSON? */
void cli_say_options(const struct cli *c); /* after it: colours, quiet */
int cli_say_end(int rc); /* prints what was kept back; returns rc */
void cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void cli_hint(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void cli_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Notes are said at once, also beside JSON: for what goes on until it is interrupted. */
void cli_say_live(void);
/* From now on into this buffer, a line each; NULL: as before. For who wants to say it in another place. */
void cli_say_to(struct gw_buf *b);
/* The gateway's own name of the error and JSON arrays of what is at fault: for errors as JSON. */
void cli_error_facts(const char *code, long http, struct gw_str faults, struct gw_str used_by);
bool cli_confirm(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* One line on standard error that the next one replaces; only on a terminal. NULL takes it away. */
void cli_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void cli_progress_end(void);
enum cli_colour { CLI_PLAIN, CLI_BOLD, CLI_RED, CLI_GREEN, CLI_YELLOW, CLI_DIM };
const char *cli_paint(enum cli_colour k); /* for standard output; "" where there are no colours */
/* Names to guess from; the nearest or NULL. */
const char *cli_nearest(const char *word, const char *const *names, size_t n);

/* input.c */
/* -f: the file as JSON text (an array of objects), whatever it was. Says what is wrong with line and column. */
int cli_read_objects(struct cli *c, struct gw_buf *json);
/* The same of a text; `name` stands for it in messages. */
int cli_read_text(struct cli *c, struct gw_str text, const char *name, struct gw_buf *json);
/* A secret from --from-env or standard input, without the last line end; wiped by the caller. Not echoed. */
int cli_read_secret(struct cli *c, struct gw_buf *out);
/* A member of a request's body, left out where v is NULL; expires_at from "30d" (from now) or a time. */
void cli_put_opt(struct gw_json_out *w, const char *key, const char *v);
int cli_put_expiry(struct gw_json_out *w, const char *when);

/* Path and query building. */
struct gw_str cli_path(struct cli *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3))); /* parts must be encoded already */
struct gw_str cli_enc(struct cli *c, const char *text); /* percent-encoded */
/* "deployment", "deployments" -> "deployments"; says so, with the nearest, and returns NULL when there is none. */
const char *cli_plural(const char *kind);
/* An unknown field of a kind, with the nearest one. */
void cli_no_field(const char *where, const char *plural, struct gw_str field);
void cli_query(struct gw_buf *q, const char *name, const char *value); /* appended when value is not NULL */

/* txn.c: changes that wait for `commit`, in a file of this user's, one a context. */
bool cli_txn_is_open(struct cli *c);
/* Objects (a JSON array) into it; one that is there already is replaced. */
int cli_txn_add(struct cli *c, struct gw_str objects, unsigned *n);
/* What its commit would change: the answer of config:diff. */
int cli_txn_diff(struct cli *c, struct cli_reply *r);

/* cmd_diff.c: an answer of config:diff in words, field by field; how many objects would change. */
unsigned cli_show_diff(struct cli *c, struct gw_str json, FILE *f);
/* The same in the format asked for; CLI_DIFFERS when something would change. */
int cli_print_diff(struct cli *c, struct gw_str json);

#define GW_OPTION(name, key, arg, is_global, doc)
#define GW_COMMAND(words, args, run, options, doc, examples) cli_run_fn cli_cmd_##run;
#include "schemas/commands.def"
#undef GW_OPTION
#undef GW_COMMAND
