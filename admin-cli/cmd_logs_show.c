/* logs show: one record as a person reads it. What was asked and who answered, each attempt with its error in plain words, tokens and cost
 * by class with the price's version, what was left out, and what to do when it failed. -o json gives the record as it is. */
#include <stdlib.h>
#include "admin-cli/cli.h"
#include "core/remedy.h"
#include "lib/text.h"

enum { LABEL = 22 };

static struct gw_str text(yyjson_val *r, const char *name)
{
	return gw_json_str(yyjson_obj_get(r, name));
}

/* Numbers may be told as text where they are larger than 2^53. */
static uint64_t number(yyjson_val *r, const char *name)
{
	yyjson_val *v = yyjson_obj_get(r, name);
	uint64_t n = 0;

	if (yyjson_is_str(v))
		return gw_str_u64(gw_json_str(v), &n) ? n : 0;
	return yyjson_is_uint(v) ? yyjson_get_uint(v) : 0;
}

static bool is_set(yyjson_val *r, const char *name)
{
	return yyjson_is_true(yyjson_obj_get(r, name));
}

static void title(const char *name)
{
	printf("\n%s%s%s\n", cli_paint(CLI_BOLD), name, cli_paint(CLI_PLAIN));
}

static void line(const char *label, struct gw_str value)
{
	if (value.n)
		printf("  %-*s %.*s\n", LABEL, label, GW_FMT(value));
}

static void line_ms(const char *label, uint64_t us)
{
	if (us)
		printf("  %-*s %llu.%llu ms\n", LABEL, label, (unsigned long long)(us / 1000),
		       (unsigned long long)(us % 1000 / 100));
}

static void line_usd(const char *label, uint64_t nano)
{
	printf("  %-*s %llu.%09llu USD\n", LABEL, label, (unsigned long long)(nano / 1000000000),
	       (unsigned long long)(nano % 1000000000));
}

/* ---- the error, in the words of its row ---- */

static void row_of(struct gw_str name, const char *indent)
{
	enum gw_err e = gw_err_by_name(name);

	if (e == GW_OK) {
		printf("%s%.*s\n", indent, GW_FMT(name));
		return;
	}
	printf("%s%s%s%s (%.*s)\n", indent, cli_paint(CLI_RED), gw_err_info(e)->doc, cli_paint(CLI_PLAIN),
	       GW_FMT(name));
}

static void error_of(yyjson_val *r)
{
	struct gw_str name = text(r, "error");
	const char *remedy;

	if (!name.n)
		return;
	title("Error");
	row_of(name, "  ");
	line("code told", gw_str_z(gw_err_info(gw_err_by_name(name))->code));
	line("the provider's code", text(r, "upstream_error"));
	line("in its words", text(r, "error_detail"));
	remedy = gw_err_remedy(gw_err_by_name(name));
	if (remedy[0])
		line("what to do", gw_str_z(remedy));
}

static void attempt(unsigned i, yyjson_val *a)
{
	struct gw_str error = text(a, "error"), id = text(a, "upstream_request_id");
	uint64_t status = number(a, "status"), cost = number(a, "cost_nanousd");

	printf("  %u. %.*s, %llu ms, ", i, GW_FMT(text(a, "deployment")), (unsigned long long)number(a, "ms"));
	if (status)
		printf("HTTP %llu", (unsigned long long)status);
	else
		printf("no answer");
	if (id.n)
		printf(", provider's request id %.*s", GW_FMT(id));
	putchar('\n');
	if (error.n)
		row_of(error, "     ");
	if (yyjson_obj_get(a, "tokens_input"))
		printf("     used %llu tokens in, %llu out%s", (unsigned long long)number(a, "tokens_input"),
		       (unsigned long long)number(a, "tokens_output"), cost ? "" : "\n");
	if (cost)
		printf(" for %llu.%09llu USD\n", (unsigned long long)(cost / 1000000000),
		       (unsigned long long)(cost % 1000000000));
}

static void attempts(yyjson_val *r)
{
	yyjson_val *log = yyjson_obj_get(r, "attempt_log"), *v;
	struct gw_json_fault fault;
	yyjson_doc *doc = NULL;
	size_t i, n;

	if (yyjson_is_str(log) && !gw_json_read(gw_json_str(log), &gw_json_default_limits, &doc, &fault))
		log = yyjson_doc_get_root(doc);
	if (yyjson_is_arr(log) && yyjson_arr_size(log)) {
		title("Attempts");
		yyjson_arr_foreach(log, i, n, v) attempt((unsigned)i + 1, v);
	}
	yyjson_doc_free(doc);
}

/* ---- tokens and money ---- */

static void tokens(yyjson_val *r)
{
	static const struct {
		const char *name, *label;
	} all[] = {
		{ "tokens_input", "input" },
		{ "tokens_cached", "  read from cache" },
		{ "tokens_cache_write_5m", "  written to cache, 5 m" },
		{ "tokens_cache_write_1h", "  written to cache, 1 h" },
		{ "tokens_audio_in", "  sound" },
		{ "tokens_image_in", "  pictures" },
		{ "tokens_output", "output" },
		{ "tokens_reasoning", "  reasoning" },
		{ "tokens_audio_out", "  sound" },
		{ "tokens_image_out", "  pictures" },
		{ "web_searches", "web searches" },
	};
	struct gw_str source = text(r, "usage_source"), unit = text(r, "unit");

	title("Used");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		uint64_t n = number(r, all[i].name);

		if (n)
			printf("  %-*s %llu\n", LABEL + 2, all[i].label, (unsigned long long)n);
	}
	if (unit.n)
		printf("  %-*.*s %llu\n", LABEL + 2, GW_FMT(unit), (unsigned long long)number(r, "units"));
	line("  of", text(r, "unit_detail"));
	if (gw_str_eq(source, GW_LIT("estimated")))
		printf("  %sestimated by the gateway: the provider told nothing, or its stream was cut%s\n",
		       cli_paint(CLI_YELLOW), cli_paint(CLI_PLAIN));
	else if (gw_str_eq(source, GW_LIT("none")))
		printf("  the provider told nothing\n");
	else
		printf("  as the provider counted\n");
	line("service tier", text(r, "service_tier"));
}

static void cost(yyjson_val *r)
{
	uint64_t all = number(r, "cost_nanousd"), in = number(r, "cost_input_nanousd"),
		 out = number(r, "cost_output_nanousd"), failed = number(r, "cost_failed_nanousd"),
		 told = number(r, "provider_cost_nanousd");
	struct gw_str version = text(r, "price");

	title("Cost");
	if (is_set(r, "is_unpriced") && !all) {
		printf("  unknown: no price is known for this model. Set one: llmgwctl explain price\n");
	} else if (!version.n && !all) {
		printf("  nothing was used\n");
	} else {
		line_usd("all", all);
		if (in)
			line_usd("  input", in);
		if (out)
			line_usd("  output", out);
		if (failed)
			line_usd("  failed attempts", failed);
		if (all > in + out + failed && in + out)
			line_usd("  beside tokens", all - in - out - failed);
		if (is_set(r, "is_unpriced"))
			printf("  a part of it has no known price and is missing here\n");
	}
	line("price", version);
	if (told)
		line_usd("the provider says", told);
}

static void began(yyjson_val *r)
{
	struct gw_buf b;

	gw_buf_init(&b, 64);
	gw_time_put(&b, (int64_t)number(r, "ts_start_us"));
	line("began", gw_buf_view(&b));
	gw_buf_done(&b);
}

static void about(yyjson_val *r)
{
	printf("%sRequest %.*s%s\n", cli_paint(CLI_BOLD), GW_FMT(text(r, "request_id")), cli_paint(CLI_PLAIN));
	began(r);
	if (number(r, "status"))
		printf("  %-*s HTTP %llu\n", LABEL, "told to the client", (unsigned long long)number(r, "status"));
	line("asked", text(r, "endpoint"));
	line("in the dialect", text(r, "ingress_dialect"));
	line("model asked for", text(r, "requested_model"));
	line("key", text(r, "key"));
	line("team", text(r, "team"));
	line("org", text(r, "org"));
	line("deployment", text(r, "deployment"));
	line("provider", text(r, "provider"));
	line("its model", text(r, "upstream_model"));
	line("model that answered", text(r, "response_model"));
	line("its request id", text(r, "upstream_request_id"));
	line("finished by", text(r, "finish_reason"));
	line("left out", text(r, "dropped"));
	line_ms("took", number(r, "total_us"));
	line_ms("first content after", number(r, "ttft_us"));
	line_ms("in the gateway", number(r, "overhead_us"));
}

static void show(yyjson_val *r)
{
	about(r);
	error_of(r);
	attempts(r);
	tokens(r);
	cost(r);
}

int cli_cmd_logs_show(struct cli *c)
{
	struct gw_json_fault fault;
	char filter[128];
	struct cli_reply r;
	yyjson_doc *doc = NULL;
	yyjson_val *found;
	struct gw_buf q;
	int rc;

	snprintf(filter, sizeof filter, "request_id=%.100s", c->args[0]);
	gw_buf_init(&q, 4096);
	cli_query(&q, "filter", filter);
	cli_query(&q, "from", "365d");
	cli_query(&q, "limit", "1");
	rc = cli_call_ok(c, "GET", GW_LIT("/admin/v1/logs"), gw_buf_view(&q), GW_NIL, &r);
	gw_buf_done(&q);
	if (!rc && gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault))
		rc = CLI_FAILED;
	found = yyjson_arr_get_first(yyjson_obj_get(yyjson_doc_get_root(doc), "items"));
	if (!rc && !found) {
		cli_error("there is no record of %s", c->args[0]);
		cli_hint(
		    "a record is there a moment after the answer; the id is that of x-request-id, not the provider's");
		rc = CLI_NOT_FOUND;
	} else if (!rc && cli_format(c) == CLI_TABLE) {
		show(found);
	} else if (!rc) {
		struct gw_json_out w;
		struct gw_buf b;

		gw_buf_init(&b, 1 << 20);
		gw_jw_init(&w, &b);
		gw_jw_val(&w, found);
		rc = cli_print(c, gw_buf_view(&b), NULL, NULL);
		gw_buf_done(&b);
	}
	yyjson_doc_free(doc);
	cli_reply_done(&r);
	return rc;
}
