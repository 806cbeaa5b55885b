/* What may come next on the command line. The shells' scripts are a few lines that ask `llmgwctl __complete WORD...`; everything they offer
 * comes from the rows (commands, options, kinds, fields) and from the gateway (ids, names), which gets a short deadline.
 *
 * Printed: one candidate a line, a tab, what it is; ":files" alone: names of files. */
#include <stdlib.h>
#include "admin-cli/cli.h"
#include "core/config.h"
#include "core/doc.h"
#include "admin-cli/home.h"
#include "lib/yaml.h"

enum { DEADLINE_MS = 500, PAGE_ROWS = 1000 };

struct typed {
	struct cli *c;
	const struct cli_command *cmd;
	const char *word; /* the one being typed */
	char before[128]; /* "--output=" of it, put back in front of candidates */
	bool wants_files;
};

static void offer(struct typed *t, const char *candidate, const char *what)
{
	char line[1024];

	if (strncmp(candidate, t->word, strlen(t->word)) != 0)
		return;
	snprintf(line, sizeof line, "%s%s", t->before, candidate);
	cli_disarm(line, false);
	printf("%s", line);
	snprintf(line, sizeof line, "%s", what ? what : "");
	cli_disarm(line, false);
	printf("%s%s\n", line[0] ? "\t" : "", line);
}

static void offer_words(struct typed *t, const char *words)
{
	struct gw_str rest = gw_str_z(words), one;
	char z[128];

	while (rest.n) {
		if (!gw_str_cut(rest, ' ', &one, &rest))
			rest = GW_NIL;
		snprintf(z, sizeof z, "%.*s", GW_FMT(one));
		offer(t, z, NULL);
	}
}

/* --- from the gateway --- */
static void offer_ids(struct typed *t, const char *plural, const char *member)
{
	static const struct cli_how how = { .is_silent = true, .timeout_ms = DEADLINE_MS };
	struct gw_json_fault fault;
	struct cli_reply r;
	char query[48];
	yyjson_doc *doc;
	size_t i, n;
	yyjson_val *v;

	snprintf(query, sizeof query, "limit=%d", PAGE_ROWS);
	if (cli_call_how(t->c, "GET", cli_path(t->c, "/admin/v1/%s", plural), gw_str_z(query), GW_NIL, &how, &r) ==
		CLI_OK &&
	    r.status == 200 && gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault) == GW_OK) {
		yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "items"), i, n, v)
		{
			const char *id = yyjson_get_str(yyjson_obj_get(v, member)),
				   *name = yyjson_get_str(yyjson_obj_get(v, "name"));

			if (!id)
				id = yyjson_get_str(yyjson_obj_get(v, "id"));
			if (id)
				offer(t, id, name && strcmp(name, id) != 0 ? name : NULL);
		}
		yyjson_doc_free(doc);
	}
	cli_reply_done(&r);
}

static void offer_contexts(struct typed *t)
{
	const char *path =
	    getenv("HOME") || getenv("XDG_CONFIG_HOME") ? cli_home_path(t->c, CLI_HOME_CONFIG, "contexts.yaml") : NULL;
	struct gw_json_fault fault;
	yyjson_doc *doc;
	struct gw_buf b;
	size_t i, n;
	yyjson_val *v;

	gw_buf_init(&b, 1 << 20);
	if (path && cli_home_read(path, &b) == CLI_OK && gw_yaml_read(gw_buf_view(&b), false, &doc, &fault) == GW_OK) {
		yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "contexts"), i, n, v)
		{
			const char *name = yyjson_get_str(yyjson_obj_get(v, "name"));

			if (name)
				offer(t, name, yyjson_get_str(yyjson_obj_get(v, "server")));
		}
		yyjson_doc_free(doc);
	}
	gw_buf_done(&b);
}

/* --- from the rows --- */
static bool kind_of(const char *word, enum gw_cf_kind *k)
{
	return word && (gw_cf_kind_by_plural(gw_str_z(word), k) || gw_cf_kind_by_name(gw_str_z(word), k));
}

static void offer_kinds(struct typed *t, bool with_plural)
{
	for (int i = 0; i < GW_KIND_COUNT; i++) {
		offer(t, gw_cf_kinds[i].name, gw_cf_kinds[i].doc);
		if (with_plural)
			offer(t, gw_cf_kinds[i].plural, gw_cf_kinds[i].doc);
	}
}

/* "model" and "model.targets"; the fields only when a kind and a point are there. */
static void offer_paths(struct typed *t)
{
	const char *dot = strchr(t->word, '.');
	char name[128], path[256];
	enum gw_cf_kind k;

	if (!dot) {
		offer_kinds(t, false);
		return;
	}
	snprintf(name, sizeof name, "%.*s", (int)(dot - t->word), t->word);
	if (!kind_of(name, &k))
		return;
	for (unsigned i = 0; i < gw_cf_kinds[k].n_fields; i++) {
		snprintf(path, sizeof path, "%s.%s", name, gw_cf_kinds[k].fields[i]->name);
		offer(t, path, gw_cf_kinds[k].fields[i]->doc);
	}
}

/* Lists with commas: what stands before the last one stays. */
static void last_part(struct typed *t)
{
	const char *comma = strrchr(t->word, ',');

	if (!comma)
		return;
	size_t n = strlen(t->before);
	snprintf(t->before + n, sizeof t->before - n, "%.*s", (int)(comma + 1 - t->word), t->word);
	t->word = comma + 1;
}

static void offer_fields(struct typed *t, const char *tail)
{
	char text[160];
	enum gw_cf_kind k;

	if (!kind_of(t->c->n_args ? t->c->args[0] : NULL, &k))
		return;
	for (unsigned i = 0; i < gw_cf_kinds[k].n_fields; i++) {
		snprintf(text, sizeof text, "%s%s", gw_cf_kinds[k].fields[i]->name, tail);
		offer(t, text, gw_cf_kinds[k].fields[i]->doc);
	}
}

static void offer_topics(struct typed *t)
{
	offer_words(t, "commands routes boot pipeline man");
	for (unsigned i = 0; i < gw_doc_n_topics; i++)
		offer(t, gw_doc_topics[i].name, gw_doc_topics[i].doc);
}

/* --- values of options --- */
static void offer_value(struct typed *t, const char *option)
{
	static const struct {
		const char *options, *words;
	} fixed[] = {
		{ "output", "table wide name json yaml jsonpath=" },
		{ "color", "auto always never" },
		{ "wait", "applied none" },
		{ "activation", "probe immediate" },
		{ "purpose", "serve admin" },
		{ "mode", "now stage promote" },
		{ "class", "request admin" },
		{ "role", "viewer platform-admin org-admin team-admin member auditor" },
		{ "format", "jsonl csv msgpack" },
		{ "bucket", "none minute hour day" },
	};
	static const struct {
		const char *option, *plural, *member;
	} asked[] = {
		{ "provider", "providers", "id" }, { "credential", "credentials", "id" },
		{ "org", "orgs", "id" },           { "team", "teams", "id" },
		{ "user", "users", "id" },         { "models", "models", "name" },
		{ "model", "models", "name" },
	};

	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		if (strcmp(option, fixed[i].options) == 0)
			offer_words(t, fixed[i].words);
	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++)
		if (strcmp(option, asked[i].option) == 0) {
			last_part(t);
			offer_ids(t, asked[i].plural, asked[i].member);
		}
	if (strcmp(option, "context") == 0)
		offer_contexts(t);
	else if (strcmp(option, "kinds") == 0 || strcmp(option, "kind") == 0) {
		last_part(t);
		offer_kinds(t, false);
	} else if (strcmp(option, "field") == 0 || strcmp(option, "sort-by") == 0) {
		last_part(t);
		offer_fields(t, "");
	} else if (strcmp(option, "filter") == 0)
		offer_fields(t, "=");
	else if (strcmp(option, "file") == 0 || strcmp(option, "dir") == 0 || strcmp(option, "data-dir") == 0 ||
		 strcmp(option, "token-file") == 0)
		t->wants_files = true;
}

/* --- words --- */
static void offer_options(struct typed *t)
{
	char text[80];

	for (unsigned i = 0; i < cli_n_options; i++) {
		const struct cli_option *o = &cli_options[i];

		if (t->cmd ? !cli_takes(t->cmd, o) : !o->is_global)
			continue;
		snprintf(text, sizeof text, "--%s", o->name);
		offer(t, text, o->doc);
	}
}

/* First words, or second words of a family; each once. */
static void offer_commands(struct typed *t)
{
	const char *first = t->c->n_args ? t->c->args[0] : NULL;

	for (unsigned i = 0; i < cli_n_commands; i++) {
		const char *w = cli_commands[i].words;
		size_t n = strcspn(w, " ");
		char word[64];

		if (first) {
			if (strlen(first) == n && strncmp(w, first, n) == 0 && w[n])
				offer(t, w + n + 1, cli_commands[i].doc);
			continue;
		}
		if (i && strncmp(cli_commands[i - 1].words, w, n) == 0 &&
		    (cli_commands[i - 1].words[n] == ' ' || !cli_commands[i - 1].words[n]))
			continue;
		snprintf(word, sizeof word, "%.*s", (int)n, w);
		offer(t, word, w[n] ? NULL : cli_commands[i].doc);
	}
}

/* Ids of the kind in front, or of what the command's first word names: "key revoke <id>". */
static void offer_id_of(struct typed *t, unsigned words)
{
	char family[64];
	enum gw_cf_kind k;

	(void)words;
	snprintf(family, sizeof family, "%.*s", (int)strcspn(t->cmd->words, " "), t->cmd->words);
	if (kind_of(t->c->n_args ? t->c->args[0] : NULL, &k) || kind_of(family, &k))
		offer_ids(t, gw_cf_kinds[k].plural, "id");
	else if (strcmp(t->cmd->words, "test deployment") == 0)
		offer_ids(t, "deployments", "id");
}

static void offer_argument(struct typed *t)
{
	const char *p = t->cmd->args;
	char hole[64];

	for (unsigned i = 0; *p; i++) {
		size_t n = strcspn(p, " ");

		if (i == t->c->n_args || strstr(p, "...") == p + n - 3) {
			snprintf(hole, sizeof hole, "%.*s", (int)n, p);
			if (strstr(hole, ".field"))
				offer_paths(t);
			else if (strstr(hole, "kind"))
				offer_kinds(t, true);
			else if (strstr(hole, "id"))
				offer_id_of(t, i);
			else if (strstr(hole, "model"))
				offer_ids(t, "models", "name");
			else if (strstr(hole, "shell"))
				offer_words(t, "bash zsh fish");
			else if (strstr(hole, "context"))
				offer_contexts(t);
			else if (strstr(hole, "command"))
				offer_commands(t);
			else if (strstr(hole, "topic"))
				offer_topics(t);
			return;
		}
		p += n + (p[n] == ' ');
	}
}

/* Reads the words before the one being typed; *pending: the option whose value that one is. bash cuts "--a=b" into three words. */
static void read_before(struct typed *t, int argc, char **argv, const char **pending)
{
	struct cli *c = t->c;
	unsigned used;

	*pending = NULL;
	for (int i = 0; i + 1 < argc; i++) {
		const char *w = argv[i];
		struct gw_str name, value = GW_NIL;

		if (strcmp(w, "=") == 0)
			continue;
		if (*pending || w[0] != '-' || !w[1]) {
			if (*pending) {
				const struct cli_option *o = cli_option_of(gw_str_z(*pending), NULL);

				*(const char **)(void *)((char *)&c->o + o->offset) = w;
			} else if (c->n_args < CLI_MAX_ARGS) {
				c->args[c->n_args++] = w;
			}
			*pending = NULL;
			continue;
		}
		bool has_value = gw_str_cut(gw_str_z(w + (w[1] == '-' ? 2 : 1)), '=', &name, &value);
		const struct cli_option *o = cli_option_of(name, cli_command_of(c->args, c->n_args, &used));
		if (o && o->arg[0] && has_value)
			*(const char **)(void *)((char *)&c->o + o->offset) = value.p;
		else if (o && o->arg[0])
			*pending = o->name;
	}
}

static void offer_all(struct typed *t, const char *pending)
{
	struct gw_str name, value;
	unsigned used = 0;

	if (strcmp(t->word, "=") == 0)
		t->word = "";
	t->cmd = cli_command_of(t->c->args, t->c->n_args, &used);
	bool may_go_on = t->cmd && used == 1 && t->c->n_args == 1; /* "test" may be "test chat" */
	if (t->cmd) {
		t->c->n_args -= used;
		memmove(t->c->args, t->c->args + used, t->c->n_args * sizeof t->c->args[0]);
	}
	if (pending) {
		offer_value(t, pending);
	} else if (t->word[0] == '-' && gw_str_cut(gw_str_z(t->word), '=', &name, &value)) {
		const struct cli_option *o =
		    cli_option_of(gw_str_skip(name, name.n > 1 && name.p[1] == '-' ? 2 : 1), t->cmd);

		snprintf(t->before, sizeof t->before, "%.*s=", GW_FMT(name));
		t->word = value.p;
		if (o)
			offer_value(t, o->name);
	} else if (t->word[0] == '-') {
		offer_options(t);
	} else if (!t->cmd) {
		offer_commands(t);
	} else {
		offer_argument(t);
		if (may_go_on && !t->cmd->args[0])
			offer_commands(t);
	}
}

int cli_complete(struct cli *c, int argc, char **argv)
{
	struct typed t = { .c = c, .word = argc > 0 ? argv[argc - 1] : "" };
	const char *pending;

	if (!freopen("/dev/null", "w", stderr)) /* nobody reads a message between two key strokes */
		return CLI_FAILED;
	read_before(&t, argc, argv, &pending);
	if (cli_context_resolve(c) != CLI_OK)
		c->o.server = c->o.server ? c->o.server : "http://127.0.0.1:1"; /* offers what the rows know */
	cli_client_start();
	offer_all(&t, pending);
	if (t.wants_files)
		printf(":files\n");
	cli_client_end();
	return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

/* --- the scripts --- */
static const char bash_script[] =
    "# bash completion of llmgwctl: put it into /usr/share/bash-completion/completions/llmgwctl, or\n"
    "#   source <(llmgwctl completion bash)\n"
    "_llmgwctl() {\n"
    "\tlocal out line word\n"
    "\tCOMPREPLY=()\n"
    "\tout=$(\"${COMP_WORDS[0]}\" __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null) || return 0\n"
    "\tif [ \"$out\" = :files ]; then\n"
    "\t\tcompopt -o filenames 2>/dev/null\n"
    "\t\tword=${COMP_WORDS[COMP_CWORD]#=}\n"
    "\t\twhile IFS= read -r line; do COMPREPLY+=(\"$line\"); done < <(compgen -f -- \"$word\")\n"
    "\t\treturn 0\n"
    "\tfi\n"
    "\twhile IFS= read -r line; do\n"
    "\t\t[ -n \"$line\" ] && COMPREPLY+=(\"${line%%$'\\t'*}\")\n"
    "\tdone <<<\"$out\"\n"
    "\tcase ${#COMPREPLY[@]}:${COMPREPLY[0]-} in 1:*[=.,]) compopt -o nospace 2>/dev/null ;; esac\n"
    "\treturn 0\n"
    "}\n"
    "complete -F _llmgwctl llmgwctl\n";

static const char zsh_script[] =
    "#compdef llmgwctl\n"
    "# zsh completion of llmgwctl: put it into a folder of $fpath as _llmgwctl, or\n"
    "#   source <(llmgwctl completion zsh)\n"
    "_llmgwctl() {\n"
    "\tlocal -a lines items\n"
    "\tlocal line word what\n"
    "\tlines=(\"${(@f)$(\"${words[1]}\" __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
    "\tif [[ \"${lines[1]}\" == :files ]]; then\n"
    "\t\t_files\n"
    "\t\treturn\n"
    "\tfi\n"
    "\tfor line in \"${lines[@]}\"; do\n"
    "\t\t[[ -n \"$line\" ]] || continue\n"
    "\t\tword=\"${line%%$'\\t'*}\" what=\"\"\n"
    "\t\t[[ \"$line\" == *$'\\t'* ]] && what=\"${line#*$'\\t'}\"\n"
    "\t\titems+=(\"${word//:/\\\\:}:${what}\")\n"
    "\tdone\n"
    "\t_describe -V llmgwctl items\n"
    "}\n"
    "if [ \"$funcstack[1]\" = \"_llmgwctl\" ]; then _llmgwctl \"$@\"; else compdef _llmgwctl llmgwctl; fi\n";

static const char fish_script[] =
    "# fish completion of llmgwctl: put it into ~/.config/fish/completions/llmgwctl.fish, or\n"
    "#   llmgwctl completion fish | source\n"
    "function __llmgwctl_complete\n"
    "\tset -l words (commandline -opc)\n"
    "\tset -l cur (commandline -ct)\n"
    "\tset -l out ($words[1] __complete $words[2..-1] \"$cur\" 2>/dev/null)\n"
    "\tif test \"$out[1]\" = :files\n"
    "\t\t__fish_complete_path \"$cur\"\n"
    "\t\treturn\n"
    "\tend\n"
    "\tfor line in $out\n"
    "\t\techo $line\n"
    "\tend\n"
    "end\n"
    "complete -c llmgwctl -f -a '(__llmgwctl_complete)'\n";

int cli_cmd_completion(struct cli *c)
{
	static const char *const names[] = { "bash", "zsh", "fish" }, *const scripts[] = { bash_script, zsh_script,
											   fish_script };

	for (int i = 0; i < 3; i++)
		if (strcmp(c->args[0], names[i]) == 0) {
			fputs(scripts[i], stdout);
			return CLI_OK;
		}
	cli_error("completion is there for bash, zsh and fish, not for \"%s\"", c->args[0]);
	return CLI_USAGE;
}
