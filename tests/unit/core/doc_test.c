/* The printed reference: every row is on its page, tables are whole, schemas are JSON and agree with gw_cf_check. */
#include "tests/unit/lib/util.h"

#include "core/doc.h"
#include "core/record.h"
#include "core/remedy.h"
#include "lib/json.h"

static struct gw_buf page(const char *topic)
{
	struct gw_buf b;

	gw_buf_init(&b, 1 << 20);
	assert_int_equal(gw_doc_print(gw_str_z(topic), &b), GW_OK);
	gw_buf_putc(&b, '\0');
	return b;
}

static void has(const struct gw_buf *b, const char *name)
{
	char cell[128];

	snprintf(cell, sizeof(cell), "| `%s` |", name);
	if (!strstr(b->p, cell))
		fail_msg("no row for %s", name);
}

/* Every failure of a provider says what to do about it. */
static void errors_have_remedies(void **st)
{
	struct gw_buf b = page("errors");

	(void)st;
	for (int e = GW_E_BASE_ + 1; e < GW_E_END_; e++) {
		const struct gw_err_info *i = gw_err_info((enum gw_err)e);
		const char *remedy = gw_err_remedy((enum gw_err)e);

		if (strncmp(i->name, "UP_", 3) == 0 && strcmp(i->name, "UP_STALE") != 0 && !remedy[0])
			fail_msg("%s has no remedy", i->name);
		if (remedy[0] && !strstr(b.p, remedy))
			fail_msg("the remedy of %s is not printed", i->name);
	}
	gw_buf_done(&b);
}

static void all_rows_are_there(void **st)
{
	struct gw_buf b = page("config");

	(void)st;
	for (unsigned k = 0; k < GW_KIND_COUNT; k++) {
		char head[64];

		snprintf(head, sizeof(head), "\n## %s\n", gw_cf_kinds[k].name);
		assert_non_null(strstr(b.p, head));
		for (unsigned i = 0; i < gw_cf_kinds[k].n_fields; i++)
			has(&b, gw_cf_kinds[k].fields[i]->name);
	}
	gw_buf_done(&b);
	b = page("record");
	for (unsigned i = 0; i < GW_RECORD_COUNT; i++)
		has(&b, gw_record_fields[i].name);
	gw_buf_done(&b);
	b = page("errors");
	for (int e = GW_E_BASE_ + 1; e < GW_E_END_; e++)
		has(&b, gw_err_info((enum gw_err)e)->name);
	gw_buf_done(&b);
	b = page("metrics");
	has(&b, "llmgw_connections_accepted_total");
	has(&b, "llmgw_duration_seconds");
	has(&b, "llmgw_ring_used_bytes");
	gw_buf_done(&b);
	b = page("providers");
	has(&b, "openai-compatible");
	gw_buf_done(&b);
}

/* Lines of one table have the same number of cells. */
static void tables_are_whole(void **st)
{
	(void)st;
	for (unsigned t = 0; t < gw_doc_n_topics; t++) {
		struct gw_buf b = page(gw_doc_topics[t].name);
		struct gw_str rest = gw_str(b.p, b.n - 1), line;
		unsigned want = 0;

		while (rest.n) {
			unsigned cells = 0;

			gw_str_cut(rest, '\n', &line, &rest);
			if (line.n == 0 || line.p[0] != '|') {
				want = 0;
				continue;
			}
			for (size_t i = 0; i < line.n; i++)
				cells += line.p[i] == '|' && (i == 0 || line.p[i - 1] != '\\');
			if (want && cells != want)
				fail_msg("%s: %.*s", gw_doc_topics[t].name, GW_FMT(line));
			want = cells;
		}
		gw_buf_done(&b);
	}
}

static void schemas(void **st)
{
	(void)st;
	for (unsigned k = 0; k < GW_KIND_COUNT; k++) {
		char topic[64];
		struct gw_buf b;
		struct gw_json_fault f;
		yyjson_doc *d;
		yyjson_val *root, *props;

		snprintf(topic, sizeof(topic), "schema.%s", gw_cf_kinds[k].name);
		b = page(topic);
		assert_int_equal(gw_json_read(gw_str(b.p, b.n - 1), &gw_json_default_limits, &d, &f), GW_OK);
		root = yyjson_doc_get_root(d);
		props = yyjson_obj_get(root, "properties");
		assert_int_equal(yyjson_obj_size(props), gw_cf_kinds[k].n_fields);
		assert_false(yyjson_get_bool(yyjson_obj_get(root, "additionalProperties")));
		for (unsigned i = 0; i < gw_cf_kinds[k].n_fields; i++) {
			yyjson_val *p = yyjson_obj_get(props, gw_cf_kinds[k].fields[i]->name);

			assert_true(yyjson_get_len(yyjson_obj_get(p, "description")) > 0);
			assert_true(yyjson_obj_get(p, "type") || yyjson_obj_get(p, "oneOf"));
		}
		yyjson_doc_free(d);
		gw_buf_done(&b);
	}
}

static void unknown_topics(void **st)
{
	static const char *const names[] = { "", "conf", "schema.", "schema.models", "schema.x" };
	struct gw_buf b;

	(void)st;
	gw_buf_init(&b, 1 << 20);
	for (size_t i = 0; i < N_OF(names); i++)
		assert_int_equal(gw_doc_print(gw_str_z(names[i]), &b), GW_E_NOT_FOUND);
	assert_int_equal(gw_buf_len(&b), 0);
	gw_buf_done(&b);
	gw_buf_init(&b, 100); /* too small is told */
	assert_int_equal(gw_doc_print(GW_LIT("config"), &b), GW_E_TOO_BIG);
	gw_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_rows_are_there),
					    cmocka_unit_test(errors_have_remedies), cmocka_unit_test(tables_are_whole),
					    cmocka_unit_test(schemas), cmocka_unit_test(unknown_topics) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
