/* Options: one row each, with the commands they belong to, so that a wrong one is answered with where it would be right. */
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "bench/llmgw-bench_cli.h"
#include "lib/secret.h"
#include "lib/sys/fd.h"

static struct bench_cli cli;

enum kind { TEXT, NUMBER, MS, FLAG, PID, TREE, TREE_A, TREE_B, KNOB, HEADER, HELP, VERSION };
static const struct row {
	const char *name;
	enum kind kind;
	void *to;
	uint64_t max;
	int commands;
} rows[] = {
	{ "url", TEXT, &cli.o.url, 0, BENCH_RUN | BENCH_FIND },
	{ "key-file", TEXT, &cli.o.key_file, 0, BENCH_RUN | BENCH_FIND },
	{ "profile", TEXT, &cli.profile, 0, BENCH_LOADS },
	{ "model", TEXT, &cli.model, 0, BENCH_RUN | BENCH_FIND | BENCH_PAIR },
	{ "kind", TEXT, &cli.kind, 0, BENCH_LOADS },
	{ "stream", FLAG, &cli.is_stream, 0, BENCH_LOADS },
	{ "message", TEXT, &cli.message, 0, BENCH_LOADS },
	{ "header", HEADER, NULL, 0, BENCH_RUN | BENCH_FIND | BENCH_PAIR },
	{ "body-bytes", NUMBER, &cli.body_bytes, 32 << 20, BENCH_LOADS },
	{ "rate", TEXT, &cli.rate, 0, BENCH_RUN | BENCH_PAIR | BENCH_TUNE },
	{ "arrivals", TEXT, &cli.arrivals, 0, BENCH_LOADS },
	{ "connections", TEXT, &cli.connections, 0, BENCH_LOADS },
	{ "think", MS, &cli.think_ms, 0, BENCH_RUN | BENCH_PAIR },
	{ "duration", MS, &cli.duration_ms, 0, BENCH_LOADS },
	{ "warmup", MS, &cli.warmup_ms, 0, BENCH_LOADS },
	{ "requests", NUMBER, &cli.requests, 1u << 31, BENCH_RUN },
	{ "timeout", MS, &cli.timeout_ms, 0, BENCH_LOADS },
	{ "seed", NUMBER, &cli.seed, UINT32_MAX, BENCH_LOADS },
	{ "hold-streams", NUMBER, &cli.o.hold_streams, BENCH_MAX_CONNECTIONS, BENCH_RUN },
	{ "hold-message", TEXT, &cli.o.hold_message, 0, BENCH_RUN },
	{ "hold-quiet", MS, &cli.o.quiet_ms, 0, BENCH_RUN },
	{ "settle", MS, &cli.o.settle_ms, 0, BENCH_RUN },
	{ "pid", PID, NULL, 0, BENCH_RUN | BENCH_FIND },
	{ "tree", TREE, NULL, 0, BENCH_RUN | BENCH_FIND },
	{ "metrics", TEXT, &cli.o.metrics_url, 0, BENCH_RUN | BENCH_FIND },
	{ "ca", TEXT, &cli.o.ca_path, 0, BENCH_RUN | BENCH_FIND | BENCH_PAIR },
	{ "server-name", TEXT, &cli.o.host_name, 0, BENCH_RUN | BENCH_FIND | BENCH_PAIR },
	{ "label", TEXT, &cli.label, 0, BENCH_RUN },
	{ "json", FLAG, &cli.is_json, 0, BENCH_LOADS | BENCH_COMPARE },
	{ "json-file", TEXT, &cli.json_file, 0, BENCH_LOADS },
	{ "html", TEXT, &cli.html_file, 0, BENCH_LOADS | BENCH_REPORT },
	{ "title", TEXT, &cli.title, 0, BENCH_LOADS | BENCH_REPORT },
	{ "self-check", FLAG, &cli.is_self_check, 0, BENCH_LOADS },
	{ "fail-on-errors", FLAG, &cli.must_succeed, 0, BENCH_RUN | BENCH_PAIR },
	{ "quiet", FLAG, &cli.o.is_silent, 0, BENCH_LOADS },
	{ "p99", MS, &cli.p99_ms, 0, BENCH_FIND | BENCH_TUNE },
	{ "ttft-p99", MS, &cli.ttft_p99_ms, 0, BENCH_FIND },
	{ "start-rate", NUMBER, &cli.start_rate, BENCH_MAX_RATE, BENCH_FIND },
	{ "max-rate", NUMBER, &cli.max_rate, BENCH_MAX_RATE, BENCH_FIND },
	{ "precision", NUMBER, &cli.precision, 50, BENCH_FIND },
	{ "confirm", NUMBER, &cli.confirm, 20, BENCH_FIND },
	{ "max-runs", NUMBER, &cli.max_runs, 1000, BENCH_FIND },
	{ "rounds", NUMBER, &cli.rounds, 100, BENCH_PAIR | BENCH_TUNE },
	{ "a", TEXT, &cli.urls[0], 0, BENCH_PAIR },
	{ "b", TEXT, &cli.urls[1], 0, BENCH_PAIR },
	{ "a-key-file", TEXT, &cli.key_files[0], 0, BENCH_PAIR },
	{ "b-key-file", TEXT, &cli.key_files[1], 0, BENCH_PAIR },
	{ "a-model", TEXT, &cli.models[0], 0, BENCH_PAIR },
	{ "b-model", TEXT, &cli.models[1], 0, BENCH_PAIR },
	{ "a-label", TEXT, &cli.labels[0], 0, BENCH_PAIR },
	{ "b-label", TEXT, &cli.labels[1], 0, BENCH_PAIR },
	{ "a-tree", TREE_A, NULL, 0, BENCH_PAIR },
	{ "b-tree", TREE_B, NULL, 0, BENCH_PAIR },
	{ "gateway", TEXT, &cli.gateway, 0, BENCH_TUNE },
	{ "mock", TEXT, &cli.mock, 0, BENCH_TUNE },
	{ "upstream", TEXT, &cli.upstream, 0, BENCH_TUNE },
	{ "knob", KNOB, NULL, 0, BENCH_TUNE },
	{ "goal", TEXT, &cli.goal, 0, BENCH_TUNE },
	{ "max-worse", NUMBER, &cli.max_worse, 10000, BENCH_COMPARE },
	{ "help", HELP, NULL, 0, -1 },
	{ "version", VERSION, NULL, 0, -1 },
};
enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

static const struct command {
	const char *name;
	int bit;
	const char *help;
} commands[] = {
	{ "run", BENCH_RUN,
	  "  llmgw-bench --url http://127.0.0.1:4000 --model demo                        64 connections as fast as "
	  "they go, 10 s\n"
	  "  llmgw-bench --url http://127.0.0.1:4000 --model demo --rate 500 --html run.html\n"
	  "  llmgw-bench --url http://127.0.0.1:4000 --profile mix.yaml --tree $(pgrep -o -x llmgw) --metrics "
	  "http://127.0.0.1:4001/metrics\n"
	  "  llmgw-bench --url http://127.0.0.1:4000 --model demo --rate 20 --stream --message \"mock: chunks=50 "
	  "chunk_ms=20\"\n"
	  "  llmgw-bench --url http://127.0.0.1:4000 --model demo --connections 100..10000 --think 1s --duration 60s\n"
	  "\n"
	  "What is asked\n"
	  "  --url URL              http(s)://host:port[/v1]. The key: --key-file FILE (one a line; each request takes "
	  "one of them),\n"
	  "                         else $LLMGW_KEY\n"
	  "  --model NAME           (demo); m-{1..1000} names a thousand\n"
	  "  --kind chat|stream|embeddings   (chat); --stream is short for --kind stream\n"
	  "  --message TEXT         the user's message; mockllm obeys \"mock: bytes=1024 chunks=50 chunk_ms=20 "
	  "delay_ms=5\"\n"
	  "  --body-bytes N         size of the request's body (1024);  --header \"Name: value\": may be repeated\n"
	  "  --profile FILE         a mix of requests, stages, keys in YAML (docs/BENCH.md)\n"
	  "  --ca FILE, --server-name NAME   https: certificates to trust instead of the system's, the name to verify\n"
	  "How much\n"
	  "  --rate N|A..B          open loop: N requests a second come due whatever the answers do; A..B is a ramp "
	  "over --duration\n"
	  "  --arrivals constant|poisson\n"
	  "  --connections N|A..B   (64) without --rate each asks as soon as it has its answer (closed loop)\n"
	  "  --think DUR            closed loop: pause before asking again\n"
	  "  --duration, --warmup DUR   3s, 500ms, 2m (10s, 2s);  --requests N: exactly so many instead, no warm-up\n"
	  "  --timeout DUR          longest wait for an answer (30s);  --seed N: another order of the same mix\n"
	  "  --hold-streams N       keep N more streams open meanwhile; --hold-message TEXT is what they ask (they "
	  "must go on),\n"
	  "                         --hold-quiet DUR how long their own cost is measured first (2s)\n"
	  "What is measured\n"
	  "  --tree PID, --pid PID  CPU, memory and switches of this process and all below it, or of it alone; may be "
	  "repeated\n"
	  "  --settle DUR           look at its memory again this long after all was closed\n"
	  "  --metrics URL          the gateway's /metrics ($LLMGW_ADMIN_TOKEN): its own step times during the run\n"
	  "What is told\n"
	  "  --json                 one JSON object instead of the table;  --json-file FILE: the same into a file\n"
	  "  --html FILE            a page with charts, needs nothing else;  --title TEXT, --label TEXT\n"
	  "  --self-check           exit 3 when the generator itself was saturated or late\n"
	  "  --fail-on-errors       exit 4 when a request failed;  --quiet: no progress\n" },
	{ "find-max", BENCH_FIND,
	  "  llmgw-bench find-max --url http://127.0.0.1:4000 --model demo --p99 20ms\n"
	  "  llmgw-bench find-max --url http://127.0.0.1:4000 --profile mix.yaml --p99 2s --ttft-p99 500ms --html "
	  "max.html\n"
	  "\n"
	  "Searches the highest rate at which p99 stays under the bound and nothing fails: doubling, halving, "
	  "confirmation.\n"
	  "  --p99 DUR (50ms)  --ttft-p99 DUR (no bound)   what must hold\n"
	  "  --start-rate N (100)  --max-rate N (100000)  --precision PERCENT (5)  --confirm RUNS (2)  --max-runs N "
	  "(40)\n"
	  "  --duration DUR (5s)  --connections N (256)   of each run\n"
	  "  all else as for run. A run that the generator could not keep up with does not count as held: then the "
	  "answer is\n"
	  "  what this machine can show, and says so.\n" },
	{ "pair", BENCH_PAIR,
	  "  llmgw-bench pair --a http://127.0.0.1:8080 --b http://127.0.0.1:4000 --rate 500 --rounds 5\n"
	  "  llmgw-bench pair --a http://127.0.0.1:9000/v1 --a-label direct --b http://127.0.0.1:4000 --b-key-file key "
	  "--b-tree 4242\n"
	  "\n"
	  "Two targets in turn (A B, B A, A B ...), so that what the machine does meanwhile meets both; medians and "
	  "ratios.\n"
	  "  --a URL --b URL  --a-label --b-label TEXT  --a-key-file --b-key-file FILE  --a-model --b-model NAME  "
	  "--a-tree --b-tree PID\n"
	  "  --rounds N (5)   and the options of run\n" },
	{ "tune", BENCH_TUNE,
	  "  llmgw-bench tune --gateway /usr/bin/llmgw\n"
	  "  llmgw-bench tune --gateway build/llmgw --rate 2000 --goal p99 --knob boot:workers=1,2,4\n"
	  "\n"
	  "Starts gateways of its own on loopback, in a folder of their own, one knob changed at a time, and measures "
	  "each in turn\n"
	  "with the plain one. The best values are tried together at the end. Nothing of your installation is "
	  "touched.\n"
	  "  --gateway FILE (llmgw beside this program, or in $PATH)   --mock FILE (mockllm likewise)   --upstream URL "
	  "instead of it\n"
	  "  --knob PLACE:NAME=V1,V2,...   boot: an option of llmgw; settings: or provider: a field of that object. "
	  "May be repeated.\n"
	  "                                (boot:workers, boot:ring_size, provider:max_connections)\n"
	  "  --goal cpu|p50|p99|rps (cpu)   --rounds N (3)   --p99 DUR: values whose p99 is above it do not win\n"
	  "  and --rate, --connections, --duration (4s), --profile, --stream, --message, --body-bytes of run\n" },
	{ "report", BENCH_REPORT,
	  "  llmgw-bench report --html all.html before.json after.json\n"
	  "\n"
	  "One page of the results in these files (of --json-file, or lines of JSON). --title TEXT\n" },
	{ "compare", BENCH_COMPARE,
	  "  llmgw-bench compare before.json after.json --max-worse 10\n"
	  "\n"
	  "What changed between two results; with --max-worse PERCENT exit 4 when p50, p99, CPU or errors are worse by "
	  "more.\n" },
};
enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

void bench_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("llmgw-bench: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

static void help(int command)
{
	if (command == BENCH_RUN)
		puts("llmgw-bench: loads an OpenAI-compatible endpoint and says what it costs\n"
		     "Commands: run (the default), find-max, pair, tune, report, compare; each has --help.\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (commands[i].bit == command)
			puts(commands[i].help);
	puts("Exit: 0 done, 1 could not, 2 wrong options, 3 --self-check, 4 --fail-on-errors or --max-worse");
}

static const char *command_names(int bits)
{
	static char text[120];
	size_t n = 0;

	for (size_t i = 0; i < N_COMMANDS; i++)
		if (bits & commands[i].bit)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? ", " : "", commands[i].name);
	return text;
}

static void add_root(struct bench_options *o, const char *arg, bool is_tree)
{
	uint64_t pid;

	if (o->n_roots == BENCH_MAX_ROOTS)
		bench_die("at most %d --pid and --tree", BENCH_MAX_ROOTS);
	if (!gw_str_u64(gw_str_z(arg), &pid) || pid == 0 || pid > 1 << 22)
		bench_die("not a process number: %s", arg);
	o->roots[o->n_roots++] = (struct bench_root){ .pid = (int)pid, .is_tree = is_tree };
}

static void take(const struct row *r, const char *arg)
{
	uint64_t v = 0;

	if (r->commands != -1 && !(r->commands & cli.command))
		bench_die("--%s belongs to %s", r->name, command_names(r->commands));
	switch (r->kind) {
	case TEXT:
		*(const char **)r->to = arg;
		break;
	case NUMBER:
		if (!gw_str_u64(gw_str_z(arg), &v) || v > r->max)
			bench_die("--%s wants a whole number up to %llu, not %s", r->name, (unsigned long long)r->max,
				  arg);
		*(uint64_t *)r->to = v;
		break;
	case MS:
		if (!bench_duration(gw_str_z(arg), (uint64_t *)r->to))
			bench_die("--%s wants a duration such as 3s, 500ms or 2m, not %s", r->name, arg);
		break;
	case FLAG:
		*(bool *)r->to = true;
		break;
	case PID:
	case TREE:
		add_root(&cli.o, arg, r->kind == TREE);
		break;
	case TREE_A:
	case TREE_B:
		if (!gw_str_u64(gw_str_z(arg), &v) || v == 0 || v > 1 << 22)
			bench_die("not a process number: %s", arg);
		cli.trees[r->kind == TREE_B] = (int)v;
		break;
	case KNOB:
		if (cli.n_knobs == BENCH_MAX_KNOBS)
			bench_die("at most %d --knob", BENCH_MAX_KNOBS);
		cli.knobs[cli.n_knobs++] = arg;
		break;
	case HEADER:
		if (cli.o.n_headers == BENCH_MAX_HEADERS || !strchr(arg, ':') || strpbrk(arg, "\r\n"))
			bench_die("--header wants \"Name: value\", at most %d of them", BENCH_MAX_HEADERS);
		cli.o.headers[cli.o.n_headers++] = arg;
		break;
	case HELP:
		help(cli.command);
		exit(0);
	case VERSION:
		puts("llmgw-bench " LLMGW_VERSION);
		exit(0);
	}
}

static void set_defaults(struct bench_cli *c)
{
	c->o.hold_message = "mock: chunks=1000000 chunk_ms=5000";
	c->o.quiet_ms = 2000;
	c->message = "Say hello.";
	c->model = "demo";
	c->body_bytes = 1024;
	c->timeout_ms = 30000;
	c->warmup_ms = c->command == BENCH_RUN ? 2000 : 1000;
	c->duration_ms = c->command == BENCH_FIND ? 5000 : c->command == BENCH_TUNE ? 4000 : 10000;
	c->connections = c->command == BENCH_FIND ? "256" : "64";
	c->p99_ms = c->command == BENCH_FIND ? 50 : 0;
	c->start_rate = 100;
	c->max_rate = 100000;
	c->precision = 5;
	c->confirm = 2;
	c->max_runs = 40;
	c->rounds = c->command == BENCH_TUNE ? 3 : 5;
	c->goal = "cpu";
	c->title = "llmgw-bench";
}

void bench_cli_read(struct bench_cli *c, int argc, char **argv)
{
	struct option longs[N_ROWS + 1] = { 0 };

	cli.command = BENCH_RUN;
	if (argc > 1 && argv[1][0] != '-') {
		cli.command = 0;
		for (size_t i = 0; i < N_COMMANDS; i++)
			if (strcmp(argv[1], commands[i].name) == 0)
				cli.command = commands[i].bit;
		if (strcmp(argv[1], "help") == 0) {
			help(BENCH_RUN);
			exit(0);
		}
		if (cli.command == 0)
			bench_die("there is no command \"%s\": %s", argv[1], command_names(-1));
		argv++;
		argc--;
	}
	set_defaults(&cli);
	for (int i = 0; i < N_ROWS; i++)
		longs[i] = (struct option){ rows[i].name, rows[i].kind != FLAG && rows[i].kind < HELP, NULL, i + 1 };
	for (int ch; (ch = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (ch < 1 || ch > N_ROWS)
			bench_die("see --help");
		take(&rows[ch - 1], optarg);
	}
	cli.files = argv + optind;
	cli.n_files = argc - optind;
	if (cli.n_files > 0 && !(cli.command & (BENCH_REPORT | BENCH_COMPARE)))
		bench_die("unexpected argument: %s", cli.files[0]);
	cli.o.is_terminal = isatty(2) == 1;
	*c = cli;
}

/* --- the plan --- */

static void read_keys(struct bench_plan *p, const char *path)
{
	struct gw_buf text;
	struct gw_str rest, line;
	const char *from_env = getenv("LLMGW_KEY");

	if (!path) {
		if (from_env && *from_env && !bench_names_add(&p->keys, gw_str_z(from_env)))
			bench_die("too many keys");
		return;
	}
	gw_buf_init(&text, 128 << 20);
	if (gw_read_file(AT_FDCWD, path, &text) != GW_OK)
		bench_die("cannot read the keys in %s", path);
	rest = gw_buf_view(&text);
	while (rest.n > 0) {
		gw_str_cut(rest, '\n', &line, &rest);
		while (line.n > 0 && (unsigned char)line.p[line.n - 1] <= ' ')
			line.n--;
		if (line.n > 0 && !bench_names_add(&p->keys, line))
			bench_die("%s holds more than %d keys", path, BENCH_MAX_NAMES * 256);
	}
	gw_wipe(text.p, text.n);
	gw_buf_done(&text);
	if (p->keys.n == 0)
		bench_die("%s holds no key", path);
}

static void one_class(struct bench_cli *c, struct bench_plan *p, const char *model)
{
	struct bench_class *k = &p->classes[0];
	const char *kind = c->kind ? c->kind : c->is_stream ? "stream" : "chat";

	*k = (struct bench_class){ .weight = 1, .inputs = 1, .sizes = { c->body_bytes }, .n_sizes = 1 };
	k->kind = strcmp(kind, "stream") == 0       ? BENCH_STREAM
		  : strcmp(kind, "embeddings") == 0 ? BENCH_EMBEDDINGS
						    : BENCH_CHAT;
	if (k->kind == BENCH_CHAT && strcmp(kind, "chat") != 0)
		bench_die("--kind wants chat, stream or embeddings, not %s", kind);
	snprintf(k->name, sizeof(k->name), "%s", kind);
	k->message = strdup(c->message);
	GW_REQUIRE(k->message != NULL);
	if (!bench_names_expand(&k->models, gw_str_z(model)))
		bench_die("--model: a range is written m-{1..1000}, at most %d names; not %s", BENCH_MAX_NAMES, model);
	p->n_classes = 1;
}

static void read_profile(struct bench_cli *c, struct bench_plan *p, struct bench_profile_more *more)
{
	struct gw_buf text;
	char why[600];

	gw_buf_init(&text, 4 << 20);
	if (gw_read_file(AT_FDCWD, c->profile, &text) != GW_OK)
		bench_die("cannot read %s", c->profile);
	if (!bench_profile_read(gw_buf_view(&text), c->profile, p, more, why, sizeof(why)))
		bench_die("%s", why);
	gw_buf_done(&text);
}

void bench_cli_plan(struct bench_cli *c, const char *key_file, const char *model)
{
	static struct bench_profile_more more;
	struct bench_plan *p = &c->o.plan;
	double a, b, rate_a = 0, rate_b = 0;

	*p = (struct bench_plan){ .warmup_ms = c->warmup_ms,
				  .timeout_ms = c->timeout_ms,
				  .think_ms = c->think_ms,
				  .requests = c->requests,
				  .seed = c->seed };
	if (!bench_range(gw_str_z(c->connections), BENCH_MAX_CONNECTIONS, &a, &b) || (a < 1 && b < 1))
		bench_die("--connections wants 1 to %d, or a ramp such as 100..10000, not %s", BENCH_MAX_CONNECTIONS,
			  c->connections);
	if (c->rate && !bench_range(gw_str_z(c->rate), BENCH_MAX_RATE, &rate_a, &rate_b))
		bench_die("--rate wants a number up to %d, or a ramp such as 100..1000, not %s", BENCH_MAX_RATE,
			  c->rate);
	if (c->arrivals && strcmp(c->arrivals, "poisson") != 0 && strcmp(c->arrivals, "constant") != 0)
		bench_die("--arrivals wants constant or poisson, not %s", c->arrivals);
	if (c->duration_ms == 0)
		bench_die("--duration must be longer than nothing");
	p->stages[0] = (struct bench_stage){ c->duration_ms, rate_a, rate_b, (uint32_t)a, (uint32_t)b };
	p->n_stages = 1;
	p->is_open = rate_a > 0 || rate_b > 0;
	if (c->profile)
		read_profile(c, p, &more);
	if (c->profile && c->rate) { /* the profile's mix at this rate */
		p->n_stages = 1;
		p->stages[0] = (struct bench_stage){ c->duration_ms, rate_a, rate_b, (uint32_t)a, (uint32_t)b };
		p->is_open = rate_a > 0 || rate_b > 0;
	}
	if (p->n_classes == 0)
		one_class(c, p, model);
	for (uint32_t i = 0; i < p->n_classes; i++)
		if (p->classes[i].models.n == 0 && !bench_names_expand(&p->classes[i].models, gw_str_z(model)))
			bench_die("--model: not usable: %s", model);
	if (c->arrivals)
		p->is_poisson = strcmp(c->arrivals, "poisson") == 0;
	if (p->think_ms > 0 && p->is_open)
		bench_die("--think is for the closed loop: with a rate requests come due by the clock");
	if (p->requests > 0) { /* until they are answered, however long that takes */
		p->warmup_ms = 0;
		p->stages[0].ms = 86400000;
		p->n_stages = 1;
	}
	if (!c->o.url && *more.url)
		c->o.url = more.url;
	read_keys(p, key_file ? key_file : *more.keys_file ? more.keys_file : NULL);
}
