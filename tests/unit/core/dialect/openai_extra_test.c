/* Members that a vendor of OpenAI's dialect has beside the reply: clients of that dialect get them, those of others do not. */
#include "translate_room.h"

#define CHOICE(body) "\"choices\":[{\"index\":0," body "}]"
#define EXTRAS       "\"search_results\":[{\"title\":\"T\",\"url\":\"https://a.example/\"}],\"system_fingerprint\":\"fp\""

static const char whole[] = "{\"id\":\"x\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"sonar\"," CHOICE(
    "\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"finish_reason\":\"stop\"") "," EXTRAS "}";
static const char stream[] = "data: {\"id\":\"x\",\"model\":\"sonar\",\"mood\":1," CHOICE(
    "\"delta\":{\"content\":\"Hi\"}") "}\n\n"
				      "data: {\"id\":\"x\",\"model\":\"sonar\"," CHOICE(
					  "\"delta\":{},\"finish_reason\":\"stop\"") "," EXTRAS "}\n\n"
										     "data: [DONE]\n\n";

static void same_dialect_keeps_them(void **state)
{
	struct room room, *r = &room;

	(void)state;
	room_open(r);
	assert_int_equal(room_reply(r, &gw_openai, &gw_openai, whole), GW_OK);
	assert_true(room_has(r, EXTRAS "}"));
	room_tree(r, gw_buf_view(&r->out));
	r->carry.wants_usage = false;
	for (size_t at = 0; at < sizeof(stream); at += 7) {
		assert_int_equal(room_stream(r, &gw_openai, &gw_openai, gw_str_z(stream), at), GW_OK);
		assert_true(room_has(r, "\"finish_reason\":\"stop\"}]," EXTRAS "}\n\n"));
	}
	room_close(r);
}

static void others_do_not_get_them(void **state)
{
	static const struct gw_dialect *const others[] = { &gw_responses, &gw_anthropic, &gw_gemini, &gw_cohere };
	struct room room, *r = &room;

	(void)state;
	room_open(r);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(room_reply(r, &gw_openai, others[i], whole), GW_OK);
		assert_false(room_has(r, "search_results"));
		assert_int_equal(room_stream(r, &gw_openai, others[i], gw_str_z(stream), 9), GW_OK);
		assert_false(room_has(r, "search_results"));
	}
	room_close(r);
}

/* What the gateway writes itself is written once, whatever a provider says. */
static void ours_are_ours(void **state)
{
	static const char hostile[] =
	    "{\"id\":\"x\",\"model\":\"a\",\"model\":\"b\",\"usage\":7,\"error\":null,\"service_tier\":[],\"\":"
	    "1," CHOICE("\"message\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"") "}";
	struct room room, *r = &room;

	(void)state;
	room_open(r);
	assert_int_equal(room_reply(r, &gw_openai, &gw_openai, hostile), GW_OK);
	assert_false(room_has(r, "\"error\"") || room_has(r, "\"usage\"") || room_has(r, "\"service_tier\""));
	assert_true(room_has(r, "\"\":1}"));
	room_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_dialect_keeps_them),
		cmocka_unit_test(others_do_not_get_them),
		cmocka_unit_test(ours_are_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
