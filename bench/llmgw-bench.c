/* llmgw-bench: which command, and the single run. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include "bench/llmgw-bench_cli.h"
#include "lib/crypto.h"
#include "lib/sys/fd.h"

/* Thousands of connections: as many descriptors as this user may have. */
static void raise_files(uint64_t want)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0)
		return;
	l.rlim_cur = l.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &l);
	if (l.rlim_max < want + 64)
		bench_die("%llu connections need as many files, this user may have %llu (ulimit -n)",
			  (unsigned long long)want, (unsigned long long)l.rlim_max);
}

static void check_url(const char *option, const char *url)
{
	struct gw_url u;

	if (url && gw_url_parse(gw_str_z(url), &u) != GW_OK)
		bench_die("--%s wants http(s)://host:port[/path], not %s", option, url);
}

static int cmd_run(struct bench_cli *c)
{
	static struct bench_run run;
	struct gw_buf json, table;
	struct gw_str text;
	struct bench_figures f;
	int result;

	bench_cli_plan(c, c->o.key_file, c->model);
	if (!c->o.url)
		bench_die("--url is required, see --help");
	check_url("url", c->o.url);
	c->o.label = c->label;
	raise_files(bench_plan_connections(&c->o.plan) + c->o.hold_streams);
	result = bench_run(&run, &c->o);
	if (result == 0) {
		f = bench_figures_of(&run);
		gw_buf_init(&json, 64 << 20);
		gw_buf_init(&table, 1 << 20);
		bench_result_json(&run, &json);
		bench_report_text(&run, &table);
		text = gw_buf_view(&json);
		result = bench_emit(c, &text, 1, GW_NIL, gw_buf_view(&table));
		if (result == 0 && c->must_succeed && f.errors > 0)
			result = 4;
		if (result == 0 && c->is_self_check && f.n_invalid > 0)
			result = 3;
		gw_buf_done(&json);
		gw_buf_done(&table);
	}
	bench_run_free(&run);
	bench_plan_free(&c->o.plan);
	return result;
}

int main(int argc, char **argv)
{
	static struct bench_cli c;

	bench_cli_read(&c, argc, argv);
	check_url("url", c.o.url);
	check_url("a", c.urls[0]);
	check_url("b", c.urls[1]);
	check_url("metrics", c.o.metrics_url);
	(void)sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN },
			NULL); /* a server may leave at any time */
	if (setenv("UV_USE_IO_URING", "0", 1) != 0 || gw_crypto_init() != GW_OK)
		bench_die("cannot start");
	switch (c.command) {
	case BENCH_FIND:
		raise_files(1024);
		return bench_cmd_find(&c);
	case BENCH_PAIR:
		raise_files(1024);
		return bench_cmd_pair(&c);
	case BENCH_TUNE:
		raise_files(1024);
		return bench_cmd_tune(&c);
	case BENCH_REPORT:
		return bench_cmd_report(&c);
	case BENCH_COMPARE:
		return bench_cmd_compare(&c);
	default:
		return cmd_run(&c);
	}
}
