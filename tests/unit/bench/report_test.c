/* What a run is told as: JSON, the table, the page; step times out of headers; knobs out of words. */
#include "tests/unit/lib/util.h"

#include "bench/llmgw-bench_cli.h"
#include "lib/json.h"

static struct bench_run run;
static struct bench_options options;
static struct bench_names models;

static void fill(void)
{
	static char *names[] = { (char *)(uintptr_t) "demo" };

	models = (struct bench_names){ names, 1 };
	options = (struct bench_options){ .url = "http://127.0.0.1:4000", .label = "</script><b>", .n_roots = 1 };
	options.plan.n_stages = options.plan.n_classes = 1;
	options.plan.is_open = true;
	options.plan.stages[0] = (struct bench_stage){ 10000, 500, 500, 64, 64 };
	options.plan.classes[0] = (struct bench_class){ .name = "chat", .weight = 1, .models = models };
	run = (struct bench_run){ .o = &options };
	for (uint64_t i = 1; i <= 1000; i++) {
		bench_hist_add(&run.stats.all.latency, i * 1000);
		bench_hist_add(&run.stats.classes[0].latency, i * 1000);
	}
	run.stats.errors[BENCH_E_429] = 3;
	run.stats.in_window = 1000;
	run.stats.window_ns = 2000000000;
	run.stats.own_cpu_ns = 100000000;
	run.stats.used = (struct bench_use){
		.cpu_ns = 20000000, .rss_bytes = 5 << 20, .pss_bytes = 4 << 20, .processes = 3, .voluntary = 2000
	};
	run.stats.points[0] = (struct bench_point){ .at_s = 0.2, .rps = 500, .p99_us = 990 };
	run.stats.n_points = 1;
	memcpy(run.stats.first_error, "HTTP \"429\" <b>", 15);
}

static void json(void **st)
{
	struct gw_buf b;
	yyjson_doc *doc;
	struct gw_json_fault fault;
	yyjson_val *root;

	(void)st;
	fill();
	bench_steps_header(&run, GW_LIT("auth;dur=0.021, resolve;desc=\"x\";dur=0.5 ,bad;dur=x,;dur=1, total;dur=12"));
	bench_steps_header(&run, GW_LIT("auth;dur=0.041"));
	gw_buf_init(&b, 1 << 20);
	bench_result_json(&run, &b);
	assert_int_equal(gw_json_read(gw_buf_view(&b), &gw_json_default_limits, &doc, &fault), GW_OK);
	root = yyjson_doc_get_root(doc);
	assert_int_equal(yyjson_get_uint(yyjson_obj_get(root, "errors")), 3);
	assert_int_equal(yyjson_get_uint(yyjson_ptr_get(root, "/errors_by_kind/status_429")), 3);
	assert_true(yyjson_get_num(yyjson_ptr_get(root, "/rps")) == 500);
	assert_true(yyjson_get_num(yyjson_ptr_get(root, "/cpu/us_per_request")) == 20);
	assert_true(yyjson_get_num(yyjson_ptr_get(root, "/cpu/voluntary_switches_per_request")) == 2);
	assert_in_range((uint64_t)yyjson_get_num(yyjson_ptr_get(root, "/latency_us/p99")), 989, 991);
	assert_int_equal(yyjson_arr_size(yyjson_obj_get(root, "server_timing")), 3);
	assert_in_range((uint64_t)yyjson_get_num(yyjson_ptr_get(root, "/server_timing/0/mean")), 30, 32);
	assert_true(yyjson_is_true(yyjson_obj_get(root, "valid")));
	yyjson_doc_free(doc);
	gw_buf_done(&b);
	bench_run_free(&run);
}

static void table_says_what_to_doubt(void **st)
{
	struct gw_buf b;

	(void)st;
	fill();
	gw_buf_init(&b, 1 << 20);
	run.stats.own_cpu_ns = 1900000000;
	for (int i = 0; i < 100; i++)
		bench_hist_add(&run.stats.late, 5000000);
	bench_report_text(&run, &b);
	gw_buf_putc(&b, '\0');
	assert_non_null(strstr(b.p, "status_429 3"));
	assert_non_null(strstr(b.p, "INVALID        the load generator itself was saturated"));
	assert_non_null(strstr(b.p, "INVALID        requests started late"));
	assert_non_null(strstr(b.p, "20.00 µs a request (3 processes"));
	gw_buf_done(&b);
	bench_run_free(&run);
}

static void page_is_closed_in_itself(void **st)
{
	struct gw_buf b, j;
	struct gw_str text;

	(void)st;
	fill();
	gw_buf_init(&b, 4 << 20);
	gw_buf_init(&j, 1 << 20);
	bench_result_json(&run, &j);
	text = gw_buf_view(&j);
	bench_html(&b, GW_LIT("a <title> & more"), &text, 1);
	gw_buf_putc(&b, '\0');
	assert_non_null(strstr(b.p, "<h1>a &lt;title> &amp; more</h1>"));
	assert_null(strstr(b.p, "</script><b>")); /* data cannot end its element */
	assert_non_null(strstr(b.p, "\\u003c/script>\\u003cb>"));
	assert_null(strstr(b.p, "@RESULTS@"));
	assert_null(strstr(b.p, " src="));
	assert_null(strstr(b.p, "href="));
	gw_buf_done(&b);
	gw_buf_done(&j);
	bench_run_free(&run);
}

static void bodies_have_their_size(void **st)
{
	static const enum bench_kind kinds[] = { BENCH_CHAT, BENCH_STREAM, BENCH_EMBEDDINGS };
	struct gw_json_fault fault;
	yyjson_doc *doc;

	(void)st;
	for (size_t k = 0; k < 3; k++) {
		for (size_t bytes = 0; bytes < 5000; bytes += 499) {
			struct bench_class c = { .kind = kinds[k],
						 .inputs = 3,
						 .message = (char *)(uintptr_t) "say \"hi\"",
						 .max_tokens = 5 };
			struct gw_buf b;

			gw_buf_init(&b, 1 << 20);
			bench_put_body(&b, &c, "a\"b", bytes);
			assert_int_equal(gw_json_read(gw_buf_view(&b), &gw_json_default_limits, &doc, &fault), GW_OK);
			assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "model")), "a\"b");
			if (bytes > 400)
				assert_in_range(gw_buf_len(&b), bytes - 20, bytes + 20);
			yyjson_doc_free(doc);
			gw_buf_done(&b);
		}
	}
}

static void knobs(void **st)
{
	struct bench_knob k;

	(void)st;
	assert_true(bench_knob_read("boot:workers=1,2,4", &k));
	assert_int_equal(k.n, 3);
	assert_string_equal(k.name, "workers");
	assert_string_equal(k.values[2], "4");
	assert_false(bench_knob_read("workers=1", &k) || bench_knob_read("boot:workers", &k) ||
		     bench_knob_read("boot:workers=", &k) || bench_knob_read("boot:=1", &k) ||
		     bench_knob_read("else:workers=1", &k) || bench_knob_read("boot:a=1,,2", &k) ||
		     bench_knob_read("boot:a b=1", &k));
}

static void medians(void **st)
{
	double a[] = { 5, 1, 3 }, b[] = { 4, 1, 3, 2 };

	(void)st;
	assert_true(bench_median(a, 3) == 3 && bench_median(b, 4) == 2.5 && bench_median(a, 0) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json),
		cmocka_unit_test(table_says_what_to_doubt),
		cmocka_unit_test(page_is_closed_in_itself),
		cmocka_unit_test(bodies_have_their_size),
		cmocka_unit_test(knobs),
		cmocka_unit_test(medians),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
