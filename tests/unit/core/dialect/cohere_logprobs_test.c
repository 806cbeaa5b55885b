/* Log probabilities between Cohere and the others, whole and streamed. */
#include "tests/unit/core/dialect/translate_room.h"

/* One entry a token elsewhere; here one a piece, with the probabilities of all its tokens. */
static void log_probabilities_go_both_ways(void **state)
{
	static const char whole[] =
	    "{\"id\":\"x\",\"finish_reason\":\"COMPLETE\",\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":"
	    "\"text\","
	    "\"text\":\"Hi "
	    "you\"}]},\"logprobs\":[{\"token_ids\":[1],\"text\":\"Hi\",\"logprobs\":[-0.5]},{\"token_ids\":[2,3],"
	    "\"text\":\" you\",\"logprobs\":[-0.25,-0.5]},7,{\"text\":[],\"logprobs\":{}}]}";
	static const char stream[] = "data: {\"type\":\"message-start\",\"id\":\"x\"}\n\ndata: "
				     "{\"type\":\"content-start\",\"index\":0,\"delta\":{\"message\":{"
				     "\"content\":{\"type\":\"text\",\"text\":\"\"}}}}\n\ndata: "
				     "{\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{"
				     "\"content\":{\"text\":\"Hi\"}}},\"logprobs\":{\"token_ids\":[1],\"text\":\"Hi\","
				     "\"logprobs\":[-0.5]}}\n\ndata: "
				     "{\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"COMPLETE\"}}\n\n";
	static const char theirs[] =
	    "{\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":{\"role\":"
	    "\"assistant\","
	    "\"content\":\"Hi\"},\"logprobs\":{\"content\":[{\"token\":\"Hi\",\"logprob\":-0.5,\"bytes\":[72,105],"
	    "\"top_logprobs\":[]}],\"refusal\":null}}]}";
	static const char their_stream[] = "data: "
					   "{\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{"
					   "\"content\":\"Hi\"},\"logprobs\":{\"content\":[{"
					   "\"token\":\"Hi\",\"logprob\":-0.5,\"bytes\":[72,105],\"top_logprobs\":[]}]}"
					   ",\"finish_reason\":\"stop\"}]}\n\n"
					   "data: [DONE]\n\n";
	struct room room, *r = &room;

	(void)state;
	room_open(r);

	assert_int_equal(room_reply(r, &gw_cohere, &gw_openai, whole), GW_OK);
	assert_true(room_has(r, "{\"token\":\"Hi\",\"logprob\":-0.5,\"bytes\":[72,105],\"top_logprobs\":[]}"));
	assert_true(room_has(r, "\"token\":\" you\",\"logprob\":-0.75"));
	assert_int_equal(room_stream(r, &gw_cohere, &gw_openai, gw_str_z(stream), 30), GW_OK);
	assert_true(room_has(r, "\"token\":\"Hi\",\"logprob\":-0.5"));
	assert_int_equal(room_reply(r, &gw_openai, &gw_cohere, theirs), GW_OK);
	assert_true(room_has(r, "\"logprobs\":[{\"token_ids\":[],\"text\":\"Hi\",\"logprobs\":[-0.5]}]"));
	assert_int_equal(room_stream(r, &gw_openai, &gw_cohere, gw_str_z(their_stream), 30), GW_OK);
	assert_true(room_has(r, "\"logprobs\":{\"token_ids\":[],\"text\":\"Hi\",\"logprobs\":[-0.5]}"));
	room_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(log_probabilities_go_both_ways) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
