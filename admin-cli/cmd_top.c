/* top: a live screen of the gateway. On a terminal it takes the whole of it and reads keys: q ends, s changes the order, p holds still. Elsewhere it
 * is a line (or with -o json an object) an interval. --once: one screen, of everything since the gateway began. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include "admin-cli/top.h"
#include "lib/sys/clock.h"
#include "lib/text.h"

enum { INTERVAL_MS = 1000, LEAST_MS = 100, HEALTH_EVERY = 5 };

struct top {
	struct cli *c;
	struct top_sample *a, *now, *d; /* before, now, between */
	struct top_view v;
	uint64_t interval_ms, most, shown, looks;
	bool on_terminal;
	struct termios was;
};

static volatile sig_atomic_t is_over;

static void on_signal(int sig)
{
	(void)sig;
	is_over = 1;
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

/* --- asking --- */
static yyjson_doc *ask(struct cli *c, struct gw_str path, struct gw_str query)
{
	static const struct cli_how how = { .is_silent = true, .timeout_ms = 5000 };
	struct gw_json_fault fault;
	struct cli_reply r;
	yyjson_doc *doc = NULL;

	if (cli_call_how(c, "GET", path, query, GW_NIL, &how, &r) || r.status != 200 ||
	    gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault))
		doc = NULL;
	cli_reply_done(&r);
	return doc;
}

static void ask_health(struct top *t, struct top_sample *s)
{
	yyjson_doc *list = ask(t->c, GW_LIT("/admin/v1/deployments"), GW_LIT("limit=24"));
	size_t i, n;
	yyjson_val *v;

	s->n_health = 0;
	yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(list), "items"), i, n, v)
	{
		struct top_health *h = &s->health[s->n_health];
		yyjson_doc *one;

		if (s->n_health == TOP_HEALTH || yyjson_get_bool(yyjson_obj_get(v, "disabled")))
			continue;
		cli_cell("", yyjson_obj_get(v, "id"), h->id, sizeof h->id);
		one = ask(t->c, cli_path(t->c, "/admin/v1/deployments/%.*s:health", GW_FMT(cli_enc(t->c, h->id))),
			  GW_NIL);
		if (!one)
			continue;
		cli_cell("", yyjson_obj_get(yyjson_doc_get_root(one), "state"), h->state, sizeof h->state);
		cli_cell("", yyjson_obj_get(yyjson_doc_get_root(one), "reason"), h->reason, sizeof h->reason);
		h->latency_ms = yyjson_get_uint(yyjson_obj_get(yyjson_doc_get_root(one), "latency_ms"));
		s->n_health++;
		yyjson_doc_free(one);
	}
	yyjson_doc_free(list);
}

/* One sample; health is asked for at every fifth look, and kept in between. */
static int sample(struct top *t, struct top_sample *s, const struct top_sample *before)
{
	struct gw_mark mark = gw_arena_mark(&t->c->arena);
	struct gw_json_fault fault;
	struct cli_reply r;
	yyjson_doc *doc;
	int rc;

	memset(s, 0, sizeof *s);
	rc = cli_call_ok(t->c, "GET", GW_LIT("/admin/v1/status"), GW_NIL, GW_NIL, &r);
	if (!rc && gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault) == GW_OK) {
		top_read_status(s, yyjson_doc_get_root(doc));
		yyjson_doc_free(doc);
	}
	cli_reply_done(&r);
	if (!rc) {
		rc = cli_call_ok(t->c, "GET", GW_LIT("/metrics"), GW_NIL, GW_NIL, &r);
		s->at_ms = gw_now_ms();
		if (!rc)
			top_read_metrics(s, gw_buf_view(&r.body));
		cli_reply_done(&r);
	}
	if (!rc && (!before || t->looks % HEALTH_EVERY == 0)) {
		ask_health(t, s);
	} else if (!rc) {
		s->n_health = before->n_health;
		memcpy(s->health, before->health, sizeof s->health);
	}
	t->looks++;
	gw_arena_reset(&t->c->arena, mark);
	return rc;
}

/* --- showing --- */
static void show(struct top *t)
{
	struct winsize ws = { 0 };
	struct gw_buf b;

	gw_buf_init(&b, 4 << 20);
	if (t->on_terminal) {
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws);
		t->v.width = ws.ws_col;
		t->v.height = ws.ws_row > 2 ? ws.ws_row - 2u : 0;
		gw_buf_puts(&b, GW_LIT("\x1b[H\x1b[2J"));
		top_draw(&b, t->d, &t->v);
		gw_buf_printf(&b, "%sq quit  s order: %s  p %s%s", cli_paint(CLI_DIM), top_sort_names[t->v.sort],
			      t->v.is_paused ? "go on" : "pause", cli_paint(CLI_PLAIN));
	} else if (cli_format(t->c) == CLI_JSON) {
		top_json(&b, t->d, &t->v);
	} else if (t->v.is_total) {
		top_draw(&b, t->d, &t->v);
	} else {
		struct gw_buf now;

		gw_buf_init(&now, 64);
		gw_time_put(&now, gw_unix_us());
		gw_buf_printf(&b, "%.*s ", GW_FMT(gw_buf_view(&now)));
		gw_buf_done(&now);
		top_line(&b, t->d, &t->v);
	}
	fwrite(b.p, 1, b.n, stdout);
	fflush(stdout);
	gw_buf_done(&b);
	t->shown++;
}

static void between(struct top *t, const struct top_sample *before)
{
	top_between(t->d, before, t->now);
	t->v.is_total = before == NULL;
	if (before)
		t->v.seconds = (double)(t->now->at_ms - before->at_ms) / 1000;
	else
		t->v.seconds = t->now->uptime_s ? (double)t->now->uptime_s : 1;
}

/* --- the terminal --- */
static void terminal_take(struct top *t)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &t->was) != 0) {
		t->on_terminal = false;
		return;
	}
	raw = t->was;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* a stopped top would leave the terminal as it is now */
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
	fputs("\x1b[?1049h\x1b[?25l", stdout);
}

static void terminal_give_back(struct top *t)
{
	fputs("\x1b[?25h\x1b[?1049l", stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &t->was);
}

static void on_key(struct top *t, char key)
{
	if (key == 'q' || key == 'Q' || key == 4)
		is_over = 1;
	else if (key == 's' || key == 'S')
		t->v.sort = (enum top_sort)((t->v.sort + 1) % TOP_N_SORTS);
	else if (key == 'p' || key == 'P' || key == ' ')
		t->v.is_paused = !t->v.is_paused;
	else
		return;
	if (!is_over)
		show(t);
}

/* Until the next look; keys are taken meanwhile. */
static void wait_and_read(struct top *t, uint64_t until_ms)
{
	for (uint64_t now; !is_over && (now = gw_now_ms()) < until_ms;) {
		struct pollfd p = { .fd = t->on_terminal ? STDIN_FILENO : -1, .events = POLLIN };
		char key;

		if (poll(&p, 1, (int)(until_ms - now)) <= 0 || !t->on_terminal)
			continue;
		if (read(STDIN_FILENO, &key, 1) == 1)
			on_key(t, key);
		else
			is_over = 1; /* the terminal is gone */
	}
}

static bool is_enough(const struct top *t)
{
	return is_over || (t->most && t->shown >= t->most);
}

/* A gateway that is away for a moment (a restart) ends a script's top, not the one that somebody looks at. */
static int loop(struct top *t)
{
	int rc = CLI_OK;

	while (!is_enough(t)) {
		struct top_sample *before = t->now;

		wait_and_read(t, gw_now_ms() + t->interval_ms);
		if (is_over || t->v.is_paused)
			continue;
		t->now = t->a;
		t->a = before;
		struct gw_buf words;
		gw_buf_init(&words, 4096);
		cli_say_to(t->on_terminal ? &words : NULL);
		rc = sample(t, t->now, before);
		cli_say_to(NULL);
		gw_buf_done(&words);
		if (rc && !t->on_terminal)
			return rc;
		if (rc) {
			t->a = t->now;
			t->now = before; /* the last good one stays */
			printf("\x1b[H%sthe gateway does not answer%s\x1b[K", cli_paint(CLI_RED), cli_paint(CLI_PLAIN));
			fflush(stdout);
			continue;
		}
		between(t, before);
		show(t);
	}
	return CLI_OK;
}

static int read_options(struct top *t)
{
	struct cli *c = t->c;

	t->interval_ms = INTERVAL_MS;
	if (c->o.interval &&
	    (!gw_duration_read(gw_str_z(c->o.interval), &t->interval_ms) || t->interval_ms < LEAST_MS)) {
		cli_error("--interval: a span from 100ms, not \"%s\"", c->o.interval);
		return CLI_USAGE;
	}
	if (c->o.count && (!gw_str_u64(gw_str_z(c->o.count), &t->most) || !t->most)) {
		cli_error("--count: a number from 1, not \"%s\"", c->o.count);
		return CLI_USAGE;
	}
	for (int i = 0; c->o.sort_by && i < TOP_N_SORTS; i++)
		if (strcmp(c->o.sort_by, top_sort_names[i]) == 0) {
			t->v.sort = (enum top_sort)i;
			return CLI_OK;
		}
	if (!c->o.sort_by)
		return CLI_OK;
	cli_error("--sort-by: rate, p99, errors, tokens, cost or name, not \"%s\"", c->o.sort_by);
	return CLI_USAGE;
}

int cli_cmd_top(struct cli *c)
{
	struct top t = { .c = c };
	int rc = read_options(&t);

	if (rc)
		return rc;
	t.v.server = cli_server(c);
	t.a = calloc(1, sizeof *t.a);
	t.now = calloc(1, sizeof *t.now);
	t.d = calloc(1, sizeof *t.d);
	t.on_terminal = !c->o.once && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && cli_format(c) == CLI_TABLE;
	catch_signals();
	rc = t.a && t.now && t.d ? sample(&t, t.now, NULL) : CLI_FAILED;
	if (!rc && (c->o.once || t.on_terminal)) {
		if (t.on_terminal)
			terminal_take(&t);
		between(&t, NULL);
		show(&t);
	}
	if (!rc && !c->o.once)
		rc = loop(&t);
	if (t.on_terminal && t.v.server && t.shown)
		terminal_give_back(&t);
	free(t.a);
	free(t.now);
	free(t.d);
	return rc;
}
