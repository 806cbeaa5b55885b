/* The IR's own helpers: order, what is dropped, arguments, data URLs, names and ids that fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "core/dialect/ir_text.h"

struct room {
	struct gw_arena a;
	struct ir_request rq;
};

static int set_up(void **state)
{
	static struct room r;

	r = (struct room){ 0 };
	gw_arena_init(&r.a, NULL, 0, 1 << 20);
	r.rq.arena = &r.a;
	*state = &r;
	return 0;
}

static int tear_down(void **state)
{
	gw_arena_done(&((struct room *)*state)->a);
	return 0;
}

#define IS(got, want)                                                                                                  \
	do {                                                                                                           \
		struct gw_str got_ = (got);                                                                            \
		assert_int_equal(got_.n, sizeof(want) - 1);                                                            \
		assert_memory_equal(got_.p, want, sizeof(want) - 1);                                                   \
	} while (0)

static void turns_merge_neighbours_and_pass_system_over(void **state)
{
	struct room *r = *state;
	static const enum ir_role roles[] = { IR_SYSTEM, IR_USER, IR_SYSTEM, IR_USER, IR_ASSISTANT, IR_USER };
	const struct ir_message *rest;
	struct ir_turn t;

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		assert_non_null(ir_message_add(&r->a, &r->rq, roles[i]));
	rest = r->rq.messages;
	assert_true(ir_next_turn(&rest, &t));
	assert_int_equal(t.role, IR_USER);
	assert_int_equal(t.end->role, IR_ASSISTANT);
	assert_true(ir_next_turn(&rest, &t));
	assert_int_equal(t.role, IR_ASSISTANT);
	assert_true(ir_next_turn(&rest, &t));
	assert_int_equal(t.role, IR_USER);
	assert_null(t.end);
	assert_false(ir_next_turn(&rest, &t));
}

static void what_is_dropped_counts_once(void **state)
{
	struct room *r = *state;

	ir_drop(&r->rq, "seed");
	ir_drop(&r->rq, "logit_bias");
	ir_drop(&r->rq, "seed");
	IS(r->rq.dropped->name, "seed");
	IS(r->rq.dropped->next->name, "logit_bias");
	assert_null(r->rq.dropped->next->next);
}

static void extras_go_home_and_nowhere_else(void **state)
{
	struct room *r = *state;
	const yyjson_val *root;
	struct ir_extra *list = NULL;
	struct gw_json_out w;
	struct gw_buf b;
	yyjson_val *key, *val;
	size_t i, max;

	assert_int_equal(
	    gw_json_tree(&r->a, GW_LIT("{\"top_a\":0.5,\"x\":[1],\"none\":null,\"empty\":[]}"), NULL, &root, NULL),
	    GW_OK);
	yyjson_obj_foreach((yyjson_val *)(uintptr_t)root, i, max, key, val)
	{
		assert_true(ir_extra_add(&r->a, &list, i == 1 ? GW_D_OPENAI : GW_D_COHERE, key, val));
	}
	gw_buf_init(&b, 1000);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	ir_extra_write(list, GW_D_OPENAI, &w, &r->rq, "tools[].");
	gw_jw_end_obj(&w);
	IS(gw_buf_view(&b), "{\"x\":[1]}");
	IS(r->rq.dropped->name, "tools[].top_a");
	assert_null(r->rq.dropped->next); /* null and [] said nothing */
	gw_buf_done(&b);
}

/* Lists keep their order however they were put together, and long ones cost what they weigh. */
static void lists_are_long_and_in_order(void **state)
{
	struct room *r = *state;
	struct gw_arena a;
	struct ir_block *list = NULL, *b;
	char name[16];
	unsigned n = 0;

	gw_arena_init(&a, NULL, 0, 256 << 20);
	for (unsigned i = 0; i < 200000; i++) {
		b = ir_block_add(&a, &list, IR_TEXT);
		assert_non_null(b);
		b->text.n = i;
	}
	for (b = list; b; b = b->next)
		assert_int_equal(b->text.n, n++);
	assert_int_equal(n, 200000);
	list = list->next; /* the first is taken off: the next one knows nothing of the end */
	assert_ptr_equal(ir_block_add(&a, &list, IR_TEXT)->next, NULL);
	for (n = 0, b = list; b; b = b->next)
		n++;
	assert_int_equal(n, 200000);
	gw_arena_done(&a);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "field-%u", i);
		ir_drop(&r->rq, name);
	}
	for (n = 0; r->rq.dropped; r->rq.dropped = r->rq.dropped->next)
		n++;
	assert_in_range(n, 100, 300);
}

static void arguments_become_an_object(void **state)
{
	struct room *r = *state;
	bool was;

	IS(ir_args_object(&r->a, GW_LIT(""), &was), "{}");
	assert_true(was);
	IS(ir_args_object(&r->a, GW_LIT(" null\n"), &was), "{}");
	IS(ir_args_object(&r->a, GW_LIT("null"), &was), "{}");
	IS(ir_args_object(&r->a, GW_LIT(" {\"a\":1}"), &was), "{\"a\":1}");
	assert_true(was);
	IS(ir_args_object(&r->a, GW_LIT("{\"a\":"), &was), "{\"arguments\":\"{\\\"a\\\":\"}");
	assert_false(was);
	IS(ir_args_object(&r->a, GW_LIT("[1]"), &was), "{\"arguments\":\"[1]\"}");
}

static void data_urls_are_taken_apart(void **state)
{
	struct gw_str mime, data;

	(void)state;
	assert_true(ir_data_url(GW_LIT("data:image/jpg;base64,AAAA"), &mime, &data));
	IS(mime, "image/jpeg");
	IS(data, "AAAA");
	assert_true(ir_data_url(GW_LIT("DATA:text/plain;charset=utf-8;base64,QQ=="), &mime, &data));
	IS(mime, "text/plain");
	assert_false(ir_data_url(GW_LIT("https://a.example/x.png"), &mime, &data));
	assert_false(ir_data_url(GW_LIT("data:text/plain,hello"), &mime, &data));
	assert_false(ir_data_url(GW_LIT("data:"), &mime, &data));
}

static void tool_names_fit(void **state)
{
	struct room *r = *state;
	char longest[100];

	IS(ir_tool_name(&r->a, GW_LIT("get_weather-2"), 64), "get_weather-2");
	struct gw_str dotted = ir_tool_name(&r->a, GW_LIT("mcp.server/get"), 64),
		      other = ir_tool_name(&r->a, GW_LIT("mcp_server/get"), 64);
	assert_int_equal(dotted.n, 14 + 9);
	assert_memory_equal(dotted.p, "mcp_server_get_", 15);
	assert_false(gw_str_eq(dotted, other)); /* names that look alike stay apart */
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(ir_tool_name(&r->a, gw_str(longest, sizeof(longest)), 64).n, 64);
}

static void ids_are_the_same_for_the_same_seed(void **state)
{
	struct room *r = *state;
	struct gw_str x = ir_make_id(&r->a, "call_", 7, 0, 24), y = ir_make_id(&r->a, "call_", 7, 0, 24),
		      z = ir_make_id(&r->a, "call_", 7, 1, 24);

	assert_int_equal(x.n, 29);
	assert_true(gw_str_eq(x, y));
	assert_false(gw_str_eq(x, z));
}

static void a_tree_has_a_ceiling(void **state)
{
	struct gw_arena a;
	const yyjson_val *root;
	char deep[200];

	(void)state;
	gw_arena_init(&a, NULL, 0, 4096);
	memset(deep, '[', sizeof(deep));
	assert_int_equal(gw_json_tree(&a, gw_str(deep, sizeof(deep)), NULL, &root, NULL), GW_E_SYNTAX);
	memset(deep, ' ', sizeof(deep));
	assert_int_equal(gw_json_tree(&a, gw_str(deep, sizeof(deep)), NULL, &root, NULL), GW_E_SYNTAX);
	char *big = malloc(20000);
	assert_non_null(big);
	memset(big, '1', 20000);
	big[0] = '"';
	big[19999] = '"';
	assert_int_equal(gw_json_tree(&a, gw_str(big, 20000), NULL, &root, NULL), GW_E_NOMEM);
	free(big);
	gw_arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(turns_merge_neighbours_and_pass_system_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_dropped_counts_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(extras_go_home_and_nowhere_else, set_up, tear_down),
		cmocka_unit_test_setup_teardown(arguments_become_an_object, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lists_are_long_and_in_order, set_up, tear_down),
		cmocka_unit_test(data_urls_are_taken_apart),
		cmocka_unit_test_setup_teardown(tool_names_fit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ids_are_the_same_for_the_same_seed, set_up, tear_down),
		cmocka_unit_test(a_tree_has_a_ceiling),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
