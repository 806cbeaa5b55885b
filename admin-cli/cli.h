#pragma once
#include <stdio.h>
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/json_write.h"

/* llmgwctl: a client of the admin API. Data goes to standard output, everything else to standard error.
 *
 *   main.c   commands as rows: parsing, help          client.c   HTTP by libcurl, over the admin socket or TCP
 *   args.c   options as rows                          print.c    table, JSON, YAML
 *   cmd_*.c  one file a family of commands
 *
 * Exit status: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 not valid, 6 not allowed, 7 not reachable, 8 differs. */
enum cli_exit {
	CLI_OK,
	CLI_FAILED,
	CLI_USAGE,
	CLI_NOT_FOUND,
	CLI_CONFLICT,
	CLI_INVALID,
	CLI_AUTH,
	CLI_UNREACHABLE,
	CLI_DIFFERS
};
enum { CLI_MAX_ARGS = 16, CLI_MAX_FILTERS = 32 };

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
void cli_help(FILE *f, const struct cli_command *cmd); /* NULL: all */
void cli_doc_commands(struct gw_buf *b);

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
/* As above; on an HTTP error says what is wrong and returns the exit status. */
int cli_call_ok(struct cli *c, const char *method, struct gw_str path, struct gw_str query, struct gw_str body,
		struct cli_reply *r);
void cli_reply_done(struct cli_reply *r);
/* The error body in words on standard error; returns the exit status of that HTTP status. */
int cli_say_error(struct cli *c, const struct cli_reply *r);
/* Server-sent events: data of each goes to fn until it returns false or the stream ends. */
typedef bool cli_event_fn(void *ctx, struct gw_str data);
int cli_stream(struct cli *c, struct gw_str path, struct gw_str query, cli_event_fn *fn, void *ctx);
/* A POST to the data plane with a virtual key; pieces of the body to fn as they come. */
int cli_post_gateway(struct cli *c, struct gw_str url, struct gw_str key, struct gw_str body, cli_event_fn *piece,
		     void *ctx, long *status);
const char *cli_data_dir(struct cli *c);
/* A virtual key for test calls: --key @FILE or $LLMGW_KEY. */
struct gw_str cli_key(struct cli *c);

/* cmd_objects.c */
int cli_list(struct cli *c, const char *plural);

/* print.c */
enum cli_format { CLI_TABLE, CLI_JSON, CLI_YAML };
enum cli_format cli_format(const struct cli *c);
/* JSON text as asked for; `columns` (NULL-terminated names, dotted paths) and member `rows` ("items") say how the table looks. */
int cli_print(struct cli *c, struct gw_str json, const char *rows, const char *const *columns);
void cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void cli_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool cli_confirm(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* input.c */
/* -f: the file as JSON text (an array of objects), whatever it was. Says what is wrong with line and column. */
int cli_read_objects(struct cli *c, struct gw_buf *json);
/* A secret from --from-env or standard input, without the last line end; wiped by the caller. */
int cli_read_secret(struct cli *c, struct gw_buf *out);

/* Path and query building. */
struct gw_str cli_path(struct cli *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3))); /* parts must be encoded already */
struct gw_str cli_enc(struct cli *c, const char *text); /* percent-encoded */
/* "deployment", "deployments" -> "deployments"; says so and returns NULL when there is none. */
const char *cli_plural(const char *kind);
void cli_query(struct gw_buf *q, const char *name, const char *value); /* appended when value is not NULL */

#define GW_OPTION(name, key, arg, is_global, doc)
#define GW_COMMAND(words, args, run, options, doc, examples) cli_run_fn cli_cmd_##run;
#include "schemas/commands.def"
#undef GW_OPTION
#undef GW_COMMAND
