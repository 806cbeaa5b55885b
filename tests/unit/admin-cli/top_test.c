/* What top reads out of /metrics, what lies between two samples, and quantiles of cumulative buckets. */
#include "tests/unit/admin-cli/capture.h"
#include "admin-cli/top.h"

static struct top_sample a, b, d;

static const char first[] =
    "# HELP llmgw_connections Client connections open now.\n# TYPE llmgw_connections gauge\n"
    "llmgw_connections 7\n"
    "llmgw_requests_2xx_total{model=\"m\",provider=\"p\",deployment=\"d1\",org=\"\",team=\"\"} 10\n"
    "llmgw_requests_2xx_total{model=\"m\",provider=\"p\",deployment=\"d2\",org=\"\",team=\"\"} 5\n"
    "llmgw_requests_5xx_total{model=\"q\\\"uo,te\",provider=\"p\"} 1\n"
    "llmgw_duration_seconds_bucket{model=\"m\",provider=\"p\",le=\"0.001\"} 0\n"
    "llmgw_duration_seconds_bucket{model=\"m\",provider=\"p\",le=\"0.002\"} 10\n"
    "llmgw_duration_seconds_bucket{model=\"m\",provider=\"p\",le=\"+Inf\"} 10\n"
    "llmgw_upstream_reused_total 100\nnonsense\n{} 5\nllmgw_x{ 1\nllmgw_y NaN\n";
static const char second[] =
    "llmgw_connections 3\n"
    "llmgw_requests_2xx_total{model=\"m\",provider=\"p\",deployment=\"d1\"} 14\n"
    "llmgw_requests_2xx_total{model=\"m\",provider=\"p\",deployment=\"d2\"} 5\n"
    "llmgw_requests_2xx_total{model=\"new\"} 2\n"
    "llmgw_requests_5xx_total{model=\"q\\\"uo,te\",provider=\"p\"} 0\n" /* a worker came anew */
    "llmgw_duration_seconds_bucket{model=\"m\",provider=\"p\",le=\"0.001\"} 0\n"
    "llmgw_duration_seconds_bucket{model=\"m\",provider=\"p\",le=\"0.002\"} 10\n"
    "llmgw_duration_seconds_bucket{model=\"m\",provider=\"p\",le=\"0.004\"} 14\n"
    "llmgw_duration_seconds_bucket{model=\"m\",provider=\"p\",le=\"+Inf\"} 14\n"
    "llmgw_upstream_reused_total 130\n";

static const struct top_row *model(const struct top_sample *s, const char *name)
{
	for (unsigned i = 0; i < s->n_models; i++)
		if (strcmp(s->model[i].name, name) == 0)
			return &s->model[i];
	fail_msg("no model %s", name);
	return NULL;
}

static void near(double x, double want)
{
	if (x < want * 0.999 - 1e-9 || x > want * 1.001 + 1e-9)
		fail_msg("%f is not %f", x, want);
}

static void samples(void **state)
{
	(void)state;
	memset(&a, 0, sizeof a);
	memset(&b, 0, sizeof b);
	top_read_metrics(&a, gw_str_z(first));
	top_read_metrics(&b, gw_str_z(second));
	assert_int_equal(a.n_models, 2);
	near(model(&a, "m")->ok, 15);
	near(model(&a, "q\\\"uo,te")->bad_5xx, 1);
	near(a.all.ok, 15);
	near(a.connections, 7);
	top_between(&d, &a, &b);
	near(d.connections, 3); /* a gauge is as it is */
	near(model(&d, "m")->ok, 4);
	near(model(&d, "new")->ok, 2);
	near(model(&d, "q\\\"uo,te")->bad_5xx, 0); /* never below nothing */
	near(d.all.ok, 6);
	near(d.up_reused, 30);
	top_between(&d, NULL, &b);
	near(d.all.ok, 21);
}

static void quantiles(void **state)
{
	(void)state;
	const struct top_hist none = { 0 };
	const struct top_hist h = { .bound_s = { 0.001, 0.002, 0.004, 1e9 }, .count = { 10, 30, 40, 40 }, .n = 4 };
	const struct top_hist over = { .bound_s = { 0.001, 1e9 }, .count = { 0, 5 }, .n = 2 };

	assert_true(top_quantile(&none, 0.5) < 0);
	near(top_quantile(&h, 0.25), 0.001);
	near(top_quantile(&h, 0.5), 0.0015);
	near(top_quantile(&h, 0.875), 0.003);
	near(top_quantile(&h, 1), 0.004);
	near(top_quantile(&over, 0.5), 0.001); /* beyond the last bound: at least that */
}

/* More models than there are rows: the rest is counted in the last one, none is lost. */
static void many(void **state)
{
	(void)state;
	struct gw_buf t;

	gw_buf_init(&t, 1 << 20);
	for (int i = 0; i < 1000; i++)
		gw_buf_printf(&t, "llmgw_requests_2xx_total{model=\"m%d\"} 1\n", i);
	memset(&a, 0, sizeof a);
	top_read_metrics(&a, gw_buf_view(&t));
	gw_buf_done(&t);
	assert_int_equal(a.n_models, TOP_MODELS);
	near(a.all.ok, 1000);
	near(a.model[TOP_MODELS - 1].ok, 1000 - TOP_MODELS + 1);
}

static void screens(void **state)
{
	(void)state;
	struct top_view v = { .seconds = 2, .server = "here", .width = 60, .height = 9 };
	struct gw_json_fault fault;
	struct gw_buf out;
	unsigned lines = 0;
	yyjson_doc *doc;

	memset(&a, 0, sizeof a);
	top_read_metrics(&a, gw_str_z(first));
	snprintf(a.model[0].name, sizeof a.model[0].name, "evil\x1b[2J");
	gw_buf_init(&out, 1 << 20);
	top_draw(&out, &a, &v);
	gw_buf_putc(&out, 0);
	assert_null(strchr(out.p, '\x1b'));
	for (char *p = out.p, *e; (e = strchr(p, '\n')); p = e + 1, lines++)
		assert_true(e - p <= 60);
	assert_int_equal(lines, 9); /* no more than the window has */
	gw_buf_clear(&out, 0);
	v.width = v.height = 0;
	top_json(&out, &a, &v);
	assert_int_equal(gw_json_read(gw_buf_view(&out), &gw_json_default_limits, &doc, &fault), GW_OK);
	near(yyjson_get_num(yyjson_obj_get(yyjson_doc_get_root(doc), "requests")), 16);
	yyjson_doc_free(doc);
	gw_buf_clear(&out, 0);
	top_line(&out, &a, &v);
	gw_buf_putc(&out, 0);
	assert_non_null(strstr(out.p, "req/s 8.0"));
	gw_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(samples), cmocka_unit_test(quantiles),
					    cmocka_unit_test(many), cmocka_unit_test(screens) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
