/* Records and what they add up to: logs query, tail, export; usage; the index that serves them. */
#include <stdlib.h>
#include "admin-cli/cli.h"
#include "lib/sys/clock.h"
#include "lib/text.h"

enum { PAGE_MAX = 10000, PAGES_MAX = 10000, BAR = 24, QUERY_BYTES = 65536, ITEMS_BYTES = 512 << 20, LOOK_MS = 200 };

/* --- logs --- */
static void query_of(struct cli *c, struct gw_buf *q)
{
	gw_buf_init(q, QUERY_BYTES);
	cli_query(q, "from", c->o.from);
	cli_query(q, "to", c->o.to);
	cli_query(q, "class", c->o.class_);
	cli_query(q, "text", c->o.text);
	for (unsigned i = 0; i < c->o.n_filters; i++)
		cli_query(q, "filter", c->o.filters[i]);
}

static const char *const *log_columns(const struct cli *c)
{
	static const char *const request[] = { "ts_start_us",
					       "key",
					       "team",
					       "model",
					       "deployment",
					       "status",
					       "error",
					       "tokens_input",
					       "tokens_output",
					       "usage_source",
					       "cost_nanousd",
					       "total_us",
					       "ttft_us",
					       "request_id",
					       "+org",
					       "+user",
					       "+provider",
					       "+attempts",
					       "+session_id",
					       "+error_detail",
					       "+price",
					       "+upstream_error",
					       NULL };
	static const char *const admin[] = { "ts_us",  "actor",  "role",  "act",    "kind",
					     "object", "status", "error", "source", NULL };

	return c->o.class_ && strcmp(c->o.class_, "admin") == 0 ? admin : request;
}

/* Pages until `most` rows are there or nothing is left. A page that the gateway had no time to fill goes on in the next one. */
struct pages {
	struct gw_json_out w;
	struct gw_buf items;
	uint64_t most, n;
	char next[128];
	bool has_next, is_complete;
};

static int one_page(struct cli *c, struct pages *p, struct gw_str filters)
{
	uint64_t room = p->most - p->n < PAGE_MAX ? p->most - p->n : PAGE_MAX;
	struct gw_json_fault fault;
	struct cli_reply r;
	yyjson_doc *doc;
	yyjson_val *v;
	char limit[32];
	size_t i, n;
	struct gw_buf q;

	snprintf(limit, sizeof limit, "%llu", (unsigned long long)room);
	gw_buf_init(&q, QUERY_BYTES + 256);
	gw_buf_puts(&q, filters);
	cli_query(&q, "limit", limit);
	cli_query(&q, "after", p->has_next ? p->next : NULL);
	int rc = cli_call_ok(c, "GET", GW_LIT("/admin/v1/logs"), gw_buf_view(&q), GW_NIL, &r);
	gw_buf_done(&q);
	if (!rc && gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault)) {
		cli_error("the gateway's answer is not JSON (%s)", fault.what);
		rc = CLI_FAILED;
	} else if (!rc) {
		struct gw_str next = gw_json_str(yyjson_obj_get(yyjson_doc_get_root(doc), "next"));

		yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "items"), i, n, v) gw_jw_val(&p->w, v);
		p->n += n;
		p->is_complete = yyjson_get_bool(yyjson_obj_get(yyjson_doc_get_root(doc), "complete"));
		p->has_next =
		    next.n > 0 && next.n < sizeof p->next && !(p->has_next && gw_str_eq(next, gw_str_z(p->next)));
		if (p->has_next)
			snprintf(p->next, sizeof p->next, "%.*s", GW_FMT(next));
		yyjson_doc_free(doc);
	}
	cli_reply_done(&r);
	return rc;
}

int cli_cmd_logs_query(struct cli *c)
{
	struct pages p = { .most = 100 };
	struct gw_buf q;
	int rc = CLI_OK;

	if (c->o.limit && (!gw_str_u64(gw_str_z(c->o.limit), &p.most) || !p.most)) {
		cli_error("--limit %s: give a number of rows", c->o.limit);
		return CLI_USAGE;
	}
	query_of(c, &q);
	gw_buf_init(&p.items, ITEMS_BYTES);
	gw_jw_init(&p.w, &p.items);
	gw_jw_obj(&p.w);
	gw_jw_key(&p.w, GW_LIT("items"));
	gw_jw_arr(&p.w);
	for (int i = 0; !rc && i < PAGES_MAX && p.n < p.most && (i == 0 || p.has_next); i++)
		rc = one_page(c, &p, gw_buf_view(&q));
	gw_jw_end_arr(&p.w);
	gw_jw_kbool(&p.w, "complete", p.is_complete);
	if (p.has_next)
		gw_jw_kstr(&p.w, "next", gw_str_z(p.next));
	gw_jw_end_obj(&p.w);
	if (!rc && p.items.err) {
		cli_error("that is too much for one answer; llmgwctl logs export writes any number of records");
		rc = CLI_FAILED;
	}
	if (!rc)
		rc = cli_print(c, gw_buf_view(&p.items), "items", log_columns(c));
	gw_buf_done(&p.items);
	gw_buf_done(&q);
	return rc;
}

static bool on_record(void *ctx, struct gw_str data)
{
	(void)ctx;
	printf("%.*s\n", GW_FMT(data));
	return fflush(stdout) == 0;
}

int cli_cmd_logs_tail(struct cli *c)
{
	struct gw_buf q;
	int rc;

	query_of(c, &q);
	rc = cli_stream(c, GW_LIT("/admin/v1/logs:tail"), gw_buf_view(&q), on_record, NULL);
	gw_buf_done(&q);
	return rc;
}

struct exported {
	uint64_t bytes, said_ms;
	bool has_failed;
};

static bool on_export(void *ctx, struct gw_str piece)
{
	struct exported *x = ctx;

	x->has_failed = fwrite(piece.p, 1, piece.n, stdout) != piece.n;
	x->bytes += piece.n;
	if (gw_now_ms() - x->said_ms > LOOK_MS) {
		x->said_ms = gw_now_ms();
		cli_progress("%llu KiB", (unsigned long long)x->bytes / 1024);
	}
	return !x->has_failed;
}

int cli_cmd_logs_export(struct cli *c)
{
	struct exported x = { .said_ms = gw_now_ms() };
	struct gw_buf q;
	int rc;

	query_of(c, &q);
	cli_query(&q, "format", c->o.format);
	rc = cli_download(c, GW_LIT("/admin/v1/logs:export"), gw_buf_view(&q), on_export, &x);
	gw_buf_done(&q);
	cli_progress_end();
	if (x.has_failed || fflush(stdout) != 0) {
		cli_error("standard output cannot be written");
		return CLI_FAILED;
	}
	return rc;
}

/* --- usage --- */
static uint64_t number(yyjson_val *v, const char *name)
{
	yyjson_val *m = yyjson_obj_get(v, name);

	return yyjson_is_sint(m) && yyjson_get_sint(m) < 0 ? 0 : yyjson_get_uint(m);
}

static void put_ms(struct gw_json_out *w, yyjson_val *v, const char *from, const char *to)
{
	char text[32];
	uint64_t us = number(v, from);

	snprintf(text, sizeof text, "%llu.%llu", (unsigned long long)(us / 1000),
		 (unsigned long long)(us % 1000 / 100));
	gw_jw_kstr(w, to, gw_str_z(text));
}

static void put_usd(struct gw_json_out *w, yyjson_val *v, const char *from, const char *name)
{
	int64_t cost = yyjson_get_sint(yyjson_obj_get(v, from));
	uint64_t size = cost < 0 ? (uint64_t)-cost : (uint64_t)cost;
	char text[64];

	snprintf(text, sizeof text, "%s%llu.%06llu", cost < 0 ? "-" : "", (unsigned long long)(size / 1000000000),
		 (unsigned long long)(size % 1000000000 / 1000));
	gw_jw_kstr(w, name, gw_str_z(text));
}

/* One row as people read it: dollars, milliseconds, and a bar against the largest cost (requests, where nothing costs). */
static void put_row(struct gw_json_out *w, yyjson_val *v, const char *measure, uint64_t most)
{
	static const char *const sums[] = { "requests",
					    "errors",
					    "tokens_input",
					    "tokens_output",
					    "tokens_cached",
					    "tokens_reasoning",
					    "tokens_cache_write_5m",
					    "tokens_cache_write_1h",
					    "tokens_audio_in",
					    "tokens_audio_out",
					    "tokens_image_in",
					    "tokens_image_out",
					    "web_searches",
					    "unpriced",
					    "estimated" };
	char bar[BAR + 1];

	for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++)
		gw_jw_ku64(w, sums[i], number(v, sums[i]));
	put_usd(w, v, "cost_nanousd", "cost_usd");
	put_usd(w, v, "cost_estimated_nanousd", "estimated_usd");
	put_ms(w, v, "latency_p50_us", "p50_ms");
	put_ms(w, v, "latency_p95_us", "p95_ms");
	put_ms(w, v, "latency_p99_us", "p99_ms");
	put_ms(w, v, "ttft_p50_us", "ttft_p50_ms");
	put_ms(w, v, "ttft_p99_us", "ttft_p99_ms");
	size_t n = most ? (size_t)((double)number(v, measure) / (double)most * BAR + 0.5) : 0;
	memset(bar, '#', sizeof bar);
	bar[n < BAR ? n : BAR] = 0;
	gw_jw_kstr(w, "bar", gw_str_z(bar));
}

static const char *const dims[] = { "at", "org", "team", "user", "key", "model", "provider", "deployment", "tag" };
enum { N_DIMS = sizeof dims / sizeof dims[0] };

static void put_table(yyjson_val *root, struct gw_buf *out)
{
	yyjson_val *items = yyjson_obj_get(root, "items"), *v;
	uint64_t cost = 0, requests = 0;
	struct gw_json_out w;
	size_t i, n;

	yyjson_arr_foreach(items, i, n, v)
	{
		cost = number(v, "cost_nanousd") > cost ? number(v, "cost_nanousd") : cost;
		requests = number(v, "requests") > requests ? number(v, "requests") : requests;
	}
	gw_jw_init(&w, out);
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("items"));
	gw_jw_arr(&w);
	yyjson_arr_foreach(items, i, n, v)
	{
		gw_jw_obj(&w);
		for (int k = 0; k < N_DIMS; k++)
			if (yyjson_obj_get(v, dims[k]))
				gw_jw_kstr(&w, dims[k], gw_json_str(yyjson_obj_get(v, dims[k])));
		put_row(&w, v, cost ? "cost_nanousd" : "requests", cost ? cost : requests);
		gw_jw_end_obj(&w);
	}
	gw_jw_obj(&w);
	v = yyjson_arr_get_first(items);
	for (int k = 0; v && k < N_DIMS; k++)
		if (yyjson_obj_get(v, dims[k])) {
			gw_jw_kstr(&w, dims[k], GW_LIT("TOTAL"));
			break;
		}
	put_row(&w, yyjson_obj_get(root, "total"), "requests", 0);
	gw_jw_end_obj(&w);
	gw_jw_end_arr(&w);
	gw_jw_end_obj(&w);
}

static int show_usage(struct cli *c, yyjson_val *root)
{
	static const char *const sums[] = { "requests",
					    "errors",
					    "tokens_input",
					    "tokens_output",
					    "cost_usd",
					    "p50_ms",
					    "p99_ms",
					    "+p95_ms",
					    "+ttft_p50_ms",
					    "+ttft_p99_ms",
					    "+tokens_cached",
					    "+tokens_reasoning",
					    "+tokens_cache_write_5m",
					    "+tokens_cache_write_1h",
					    "+tokens_audio_in",
					    "+tokens_audio_out",
					    "+tokens_image_in",
					    "+tokens_image_out",
					    "+web_searches",
					    "unpriced",
					    "estimated_usd",
					    "+estimated",
					    "+bar",
					    NULL };
	const char *columns[N_DIMS + sizeof sums / sizeof sums[0]];
	yyjson_val *first = yyjson_arr_get_first(yyjson_obj_get(root, "items"));
	size_t n = 0;
	struct gw_buf b;
	int rc;

	for (int k = 0; first && k < N_DIMS; k++)
		if (yyjson_obj_get(first, dims[k]))
			columns[n++] = dims[k];
	memcpy(columns + n, sums, sizeof sums);
	gw_buf_init(&b, 64 << 20);
	put_table(root, &b);
	rc = b.err ? CLI_FAILED : cli_print(c, gw_buf_view(&b), "items", columns);
	gw_buf_done(&b);
	if (!yyjson_get_bool(yyjson_obj_get(root, "complete")))
		cli_note("the index is still being made: later sums will be larger (llmgwctl index status)");
	return rc;
}

int cli_cmd_usage(struct cli *c)
{
	struct gw_json_fault fault;
	struct cli_reply r;
	yyjson_doc *doc;
	struct gw_buf q;
	int rc;

	query_of(c, &q);
	cli_query(&q, "by", c->o.by);
	cli_query(&q, "bucket", c->o.bucket);
	rc = cli_call_ok(c, "GET", GW_LIT("/admin/v1/usage"), gw_buf_view(&q), GW_NIL, &r);
	gw_buf_done(&q);
	if (!rc && cli_format(c) != CLI_TABLE) {
		rc = cli_print(c, gw_buf_view(&r.body), "items", NULL);
	} else if (!rc && gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault)) {
		cli_error("the gateway's answer is not JSON (%s)", fault.what);
		rc = CLI_FAILED;
	} else if (!rc) {
		rc = show_usage(c, yyjson_doc_get_root(doc));
		yyjson_doc_free(doc);
	}
	cli_reply_done(&r);
	return rc;
}

/* --- the index --- */
void cli_index_line(yyjson_val *v)
{
	uint64_t lag = number(v, "lag_us");

	if (!v)
		return;
	printf("index %.*s, %llu requests, %llu MiB", GW_FMT(gw_json_str(yyjson_obj_get(v, "state"))),
	       (unsigned long long)number(v, "rows"), (unsigned long long)(number(v, "size_bytes") >> 20));
	if (lag)
		printf(", %llu s behind", (unsigned long long)(lag / 1000000));
	if (number(v, "rebuild_total"))
		printf(", rebuilding");
	if (yyjson_obj_get(v, "detail"))
		printf(": %.*s", GW_FMT(gw_json_str(yyjson_obj_get(v, "detail"))));
	putchar('\n');
}

static int ask_status(struct cli *c, struct cli_reply *r)
{
	return cli_call_ok(c, "GET", GW_LIT("/admin/v1/index"), GW_NIL, GW_NIL, r);
}

int cli_cmd_index_status(struct cli *c)
{
	struct cli_reply r;
	int rc = ask_status(c, &r);

	if (!rc)
		rc = cli_print(c, gw_buf_view(&r.body), NULL, NULL);
	cli_reply_done(&r);
	return rc;
}

/* True while a rebuild is under way. */
static bool show_progress(struct cli *c, int *rc)
{
	struct gw_json_fault fault;
	struct cli_reply r;
	yyjson_doc *doc;
	bool is_busy = false;

	*rc = ask_status(c, &r);
	if (!*rc && !gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault)) {
		yyjson_val *v = yyjson_doc_get_root(doc);
		uint64_t total = number(v, "rebuild_total"), done = number(v, "rebuild_done");

		is_busy = total > 0;
		if (is_busy)
			cli_progress("rebuilding: %llu of %llu MiB", (unsigned long long)(done >> 20),
				     (unsigned long long)(total >> 20));
		yyjson_doc_free(doc);
	}
	cli_reply_done(&r);
	return is_busy;
}

int cli_cmd_index_rebuild(struct cli *c)
{
	struct cli_reply r;
	int rc = cli_call_ok(c, "POST", GW_LIT("/admin/v1/index:rebuild"), GW_NIL, GW_NIL, &r);

	cli_reply_done(&r);
	while (!rc && show_progress(c, &rc))
		gw_sleep_ms(LOOK_MS);
	cli_progress_end();
	if (!rc)
		rc = cli_cmd_index_status(c);
	return rc;
}
