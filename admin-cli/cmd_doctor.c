/* doctor: what an operator should know about this machine and the gateway on it. Each finding with its remedy; exit status 1 when one is bad. */
#include <stdarg.h>
#include <stdlib.h>
#include "admin-cli/doctor.h"
#include "admin-cli/top.h"
#include "core/price_impl.h"
#include "lib/sys/clock.h"
#include "lib/text.h"
#include "lib/sys/fd.h"
#include <fcntl.h>

static const char *const levels[] = { "ok", "warn", "bad" };

void doctor_find(struct doctor *d, enum doctor_level l, const char *check, const char *remedy, const char *fmt, ...)
{
	char text[5000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	d->n[l]++;
	gw_jw_obj(&d->w);
	gw_jw_kstr(&d->w, "level", gw_str_z(levels[l]));
	gw_jw_kstr(&d->w, "check", gw_str_z(check));
	gw_jw_kstr(&d->w, "found", gw_str_z(text));
	if (remedy[0])
		gw_jw_kstr(&d->w, "remedy", gw_str_z(remedy));
	gw_jw_end_obj(&d->w);
}

/* --- the gateway --- */
static const char *str(yyjson_val *o, const char *name)
{
	const char *s = yyjson_get_str(yyjson_obj_get(o, name));

	return s ? s : "";
}

static uint64_t num(yyjson_val *o, const char *name)
{
	return yyjson_get_uint(yyjson_obj_get(o, name));
}

static void processes(struct doctor *d, yyjson_val *root)
{
	static const char *const lists[] = { "roles", "workers" };
	char down[512] = "", flapping[512] = "", open[512] = "";
	size_t i, n;
	yyjson_val *v;

	for (size_t k = 0; k < 2; k++) {
		yyjson_arr_foreach(yyjson_obj_get(root, lists[k]), i, n, v)
		{
			const char *state = str(v, "state");
			char name[48];

			if (k)
				snprintf(name, sizeof name, " worker %llu", (unsigned long long)num(v, "slot"));
			else
				snprintf(name, sizeof name, " %s", str(v, "role"));
#define ADD(list) snprintf(list + strlen(list), sizeof list - strlen(list), "%s", name)
			if (strcmp(state, "up") != 0 && strcmp(state, "draining") != 0)
				ADD(down);
			if (num(v, "restarts") > 3)
				ADD(flapping);
			if ((num(v, "sandbox") & 3) != 3)
				ADD(open);
#undef ADD
		}
	}
	doctor_find(d, down[0] ? DOCTOR_BAD : DOCTOR_OK, "processes",
		    down[0] ? "see llmgwctl status, llmgwctl crashes and the log" : "",
		    down[0] ? "not up:%s" : "all up%s", down);
	doctor_find(d, open[0] ? DOCTOR_WARN : DOCTOR_OK, "sandbox",
		    open[0] ? "start without --sandbox=false, on a kernel with seccomp and Landlock" : "",
		    open[0] ? "not locked down:%s" : "every process is locked down%s", open);
	if (flapping[0])
		doctor_find(d, DOCTOR_WARN, "restarts", "llmgwctl crashes shows their last words",
			    "replaced several times:%s", flapping);
}

/* Prices are compiled in: a program of last year bills by prices of last year. */
static void prices(struct doctor *d)
{
	enum { DAY_S = 86400, OLD_DAYS = 90 };
	int64_t made_us = 0, days;
	char day[32];

	snprintf(day, sizeof day, "%sT00:00:00Z", gw_price_catalogue_version);
	if (!gw_time_read(gw_str_z(day), &made_us))
		return;
	days = (gw_unix_us() - made_us) / 1000000 / DAY_S;
	doctor_find(d, days > OLD_DAYS ? DOCTOR_WARN : DOCTOR_OK, "prices",
		    days > OLD_DAYS ? "install a newer release, or set objects of kind price for what you use" : "",
		    "the catalogue is of %s (%lld days old), %u models", gw_price_catalogue_version,
		    (long long)(days > 0 ? days : 0), gw_price_n_rows);
}

static void configuration(struct doctor *d, yyjson_val *root)
{
	yyjson_val *confd = yyjson_obj_get(root, "confd"), *v;
	uint64_t generation = num(root, "generation");
	size_t i, n;

	if (strcmp(str(root, "version"), LLMGW_VERSION) != 0)
		doctor_find(d, DOCTOR_WARN, "versions",
			    "use the llmgwctl of the same release; llmgwctl upgrade replaces the gateway",
			    "the gateway is %s, llmgwctl is %s", str(root, "version"), LLMGW_VERSION);
	else
		doctor_find(d, DOCTOR_OK, "versions", "", "both %s", LLMGW_VERSION);
	if (!yyjson_is_obj(confd)) {
		doctor_find(d, DOCTOR_BAD, "confd", "see the log; requests are served, changes are not possible",
			    "does not answer");
		return;
	}
	if (str(confd, "blocked")[0])
		doctor_find(d, DOCTOR_BAD, "configuration", "llmgwctl generations rollback, or change what it names",
			    "a worker refused it: %s", str(confd, "blocked"));
	yyjson_val *store = yyjson_obj_get(confd, "store");
	uint64_t used = num(store, "used_bytes"), max = num(store, "max_bytes");
	if (max)
		doctor_find(d, used > max / 10 * 8 ? DOCTOR_WARN : DOCTOR_OK, "database",
			    used > max / 10 * 8 ? "delete what is not needed" : "", "%llu of %llu MiB used",
			    (unsigned long long)(used >> 20), (unsigned long long)(max >> 20));
	yyjson_arr_foreach(yyjson_obj_get(root, "workers"), i, n, v)
	{
		if (num(v, "generation") + 1 < generation)
			doctor_find(d, DOCTOR_WARN, "generation",
				    "llmgwctl workers; it is replaced when it goes on lagging",
				    "worker %llu serves %llu, %llu is published", (unsigned long long)num(v, "slot"),
				    (unsigned long long)num(v, "generation"), (unsigned long long)generation);
	}
}

/* Ring use and size; deployments that are down. */
static void load(struct doctor *d, struct top_sample *s)
{
	struct cli_reply r;

	if (cli_call(d->c, "GET", GW_LIT("/metrics"), GW_NIL, GW_NIL, NULL, &r) == CLI_OK && r.status == 200)
		top_read_metrics(s, gw_buf_view(&r.body));
	cli_reply_done(&r);
	d->ring_bytes = (uint64_t)s->ring_size;
	if (s->ring_size > 0)
		doctor_find(d, s->ring_used > s->ring_size / 2 ? DOCTOR_BAD : DOCTOR_OK, "records",
			    s->ring_used > s->ring_size / 2 ? "the logger or the disk is too slow; see the log" : "",
			    "%.0f %% of the rings wait for the disk", 100 * s->ring_used / s->ring_size);
}

static void deployments(struct doctor *d)
{
	struct gw_json_fault fault;
	struct cli_reply r, h;
	yyjson_doc *doc, *one;
	size_t i, n;
	unsigned up = 0, down = 0;
	yyjson_val *v;

	if (cli_call(d->c, "GET", GW_LIT("/admin/v1/deployments"), GW_LIT("limit=200"), GW_NIL, NULL, &r) == CLI_OK &&
	    r.status == 200 && gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault) == GW_OK) {
		yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "items"), i, n, v)
		{
			const char *id = str(v, "id");

			if (yyjson_get_bool(yyjson_obj_get(v, "disabled")) || strcmp(str(v, "probe"), "none") == 0)
				continue;
			if (cli_call(d->c, "GET",
				     cli_path(d->c, "/admin/v1/deployments/%.*s:health", GW_FMT(cli_enc(d->c, id))),
				     GW_NIL, GW_NIL, NULL, &h) == CLI_OK &&
			    h.status == 200 &&
			    gw_json_read(gw_buf_view(&h.body), &gw_json_default_limits, &one, &fault) == GW_OK) {
				yyjson_val *root = yyjson_doc_get_root(one);
				bool is_up = strcmp(str(root, "state"), "active") == 0;

				up += is_up;
				down += !is_up;
				if (!is_up && down <= 10)
					doctor_find(
					    d, DOCTOR_WARN, "deployment",
					    "llmgwctl test deployment says in the provider's words what is wrong",
					    "%s is %s%s%s", id, str(root, "state"), str(root, "reason")[0] ? ": " : "",
					    str(root, "reason"));
				yyjson_doc_free(one);
			}
			cli_reply_done(&h);
		}
		yyjson_doc_free(doc);
	}
	cli_reply_done(&r);
	if (!down && up)
		doctor_find(d, DOCTOR_OK, "deployments", "", "%u active", up);
}

static void gateway(struct doctor *d)
{
	static struct top_sample s;
	static const struct cli_how how = { .is_silent = true };
	struct gw_json_fault fault;
	struct cli_reply r;
	yyjson_doc *doc;
	int rc = cli_call_how(d->c, "GET", GW_LIT("/admin/v1/status"), GW_NIL, GW_NIL, &how, &r);

	if (rc) {
		doctor_find(d, DOCTOR_BAD, "gateway",
			    "start it (systemctl start llmgw, ./run), or name it: --server, --data-dir, --context",
			    "does not answer at %s", cli_server(d->c));
	} else if (r.status != 200) {
		doctor_find(d, DOCTOR_BAD, "admin token", "--token-file, LLMGW_ADMIN_TOKEN or llmgwctl context set",
			    "is not accepted (HTTP %ld)", r.status);
	} else if (gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault) == GW_OK) {
		yyjson_val *root = yyjson_doc_get_root(doc);

		d->master_pid = num(root, "master_pid");
		d->workers = yyjson_arr_size(yyjson_obj_get(root, "workers"));
		doctor_find(d, DOCTOR_OK, "gateway", "", "answers at %s", cli_server(d->c));
		processes(d, root);
		configuration(d, root);
		load(d, &s);
		deployments(d);
		yyjson_doc_free(doc);
	}
	cli_reply_done(&r);
}

/* --- this machine --- */
/* The value of an option in the command line of the running master; else its variable; else the default. */
static const char *boot_option(struct doctor *d, const char *flag, const char *env, const char *def)
{
	struct gw_str rest, word, value = GW_NIL;
	struct gw_buf b;
	char path[64];
	bool is_next = false;

	gw_buf_init(&b, 128 << 10);
	snprintf(path, sizeof path, "/proc/%llu/cmdline", (unsigned long long)d->master_pid);
	if (d->master_pid && gw_read_file(AT_FDCWD, path, &b) == GW_OK) {
		rest = gw_buf_view(&b);
		while (rest.n) {
			if (!gw_str_cut(rest, 0, &word, &rest))
				rest = GW_NIL;
			if (is_next)
				value = word;
			is_next = gw_str_eq(word, gw_str_z(flag));
			if (gw_str_has_prefix(word, gw_str_z(flag)) && word.n > strlen(flag) &&
			    word.p[strlen(flag)] == '=')
				value = gw_str_skip(word, strlen(flag) + 1);
		}
	}
	const char *out = value.n ? gw_arena_z(&d->c->arena, value) : getenv(env);
	gw_buf_done(&b);
	return out ? out : def;
}

/* Is the gateway that answered one of this machine? Its number means nothing elsewhere. */
static bool is_here(const struct doctor *d)
{
	struct gw_buf b;
	char path[64];
	bool here;

	if (!d->master_pid)
		return !d->c->has_own_token;
	gw_buf_init(&b, 4096);
	snprintf(path, sizeof path, "/proc/%llu/comm", (unsigned long long)d->master_pid);
	here = gw_read_file(AT_FDCWD, path, &b) == GW_OK && gw_str_has_prefix(gw_buf_view(&b), GW_LIT("llmgw"));
	gw_buf_done(&b);
	return here;
}

static void machine(struct doctor *d)
{
	const char *data, *key;

	if (!is_here(d)) {
		cli_note("The gateway is on another machine: files, limits and kernel are not looked at. Run llmgwctl "
			 "doctor there.");
		return;
	}
	data =
	    d->c->o.data_dir ? cli_data_dir(d->c) : boot_option(d, "--data-dir", "LLMGW_DATA_DIR", cli_data_dir(d->c));
	key = boot_option(d, "--root-key", "LLMGW_ROOT_KEY", "/etc/llmgw/root.key");
	doctor_files(d, data, key[0] == '/' ? key : "");
	doctor_host(d);
}

static void print_findings(yyjson_val *list)
{
	static const enum cli_colour colours[] = { CLI_GREEN, CLI_YELLOW, CLI_RED };
	size_t i, n;
	yyjson_val *v;

	yyjson_arr_foreach(list, i, n, v)
	{
		char level[8], check[32], found[600], remedy[700];
		int l = 0;

		cli_cell("", yyjson_obj_get(v, "level"), level, sizeof level);
		cli_cell("", yyjson_obj_get(v, "check"), check, sizeof check);
		cli_cell("", yyjson_obj_get(v, "found"), found, sizeof found);
		cli_cell("", yyjson_obj_get(v, "remedy"), remedy, sizeof remedy);
		while (l < 2 && strcmp(level, levels[l]) != 0)
			l++;
		printf("%s%-5s%s %-14s %s\n", cli_paint(colours[l]), level, cli_paint(CLI_PLAIN), check, found);
		if (remedy[0])
			printf("      %-14s -> %s\n", "", remedy);
	}
}

int cli_cmd_doctor(struct cli *c)
{
	static const char *const columns[] = { "level", "check", "found", "remedy", NULL };
	struct doctor d = { .c = c };
	struct gw_json_fault fault;
	yyjson_doc *doc = NULL;
	struct gw_buf b;

	gw_buf_init(&b, 4 << 20);
	gw_jw_init(&d.w, &b);
	gw_jw_obj(&d.w);
	gw_jw_key(&d.w, GW_LIT("findings"));
	gw_jw_arr(&d.w);
	gateway(&d);
	prices(&d);
	machine(&d);
	gw_jw_end_arr(&d.w);
	gw_jw_ku64(&d.w, "bad", d.n[DOCTOR_BAD]);
	gw_jw_ku64(&d.w, "warnings", d.n[DOCTOR_WARN]);
	gw_jw_end_obj(&d.w);
	if (cli_format(c) != CLI_TABLE || c->o.field) {
		cli_print(c, gw_buf_view(&b), "findings", columns);
	} else if (gw_json_read(gw_buf_view(&b), &gw_json_default_limits, &doc, &fault) == GW_OK) {
		print_findings(yyjson_obj_get(yyjson_doc_get_root(doc), "findings"));
		printf("\n%u bad, %u warnings\n", d.n[DOCTOR_BAD], d.n[DOCTOR_WARN]);
		yyjson_doc_free(doc);
	}
	gw_buf_done(&b);
	if (d.n[DOCTOR_BAD])
		cli_error("%u of the findings are bad", d.n[DOCTOR_BAD]);
	return d.n[DOCTOR_BAD] ? CLI_FAILED : CLI_OK;
}
