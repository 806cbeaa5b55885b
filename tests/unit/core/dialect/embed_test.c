/* Embeddings and reranking: each provider's shape, batches, base64 both ways, limits, hostile replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "core/dialect/embed.h"

struct room {
	struct gw_arena a;
	struct gw_buf out;
	struct embed_request rq;
	struct gw_str param, why;
};

static int set_up(void **state)
{
	static struct room r;

	r = (struct room){ 0 };
	gw_arena_init(&r.a, NULL, 0, 64 << 20);
	gw_buf_init(&r.out, 16 << 20);
	*state = &r;
	return 0;
}

static int tear_down(void **state)
{
	struct room *r = *state;

	gw_buf_done(&r->out);
	gw_arena_done(&r->a);
	return 0;
}

static const yyjson_val *tree(struct room *r, struct gw_str text)
{
	const yyjson_val *root;

	if (gw_json_tree(&r->a, gw_arena_str(&r->a, text), NULL, &root, NULL))
		fail_msg("no JSON: %.*s", GW_FMT(text));
	return root;
}

static void same_value(struct room *r, const char *want)
{
	if (!yyjson_equals((yyjson_val *)(uintptr_t)tree(r, gw_buf_view(&r->out)),
			   (yyjson_val *)(uintptr_t)tree(r, gw_str_z(want))))
		fail_msg("\n got %.*s\nwant %s", GW_FMT(gw_buf_view(&r->out)), want);
	gw_buf_clear(&r->out, 1 << 20);
}

static void same_text(struct gw_str got, const char *want)
{
	if (!gw_str_eq(got, gw_str_z(want)))
		fail_msg("\n got %.*s\nwant %s", GW_FMT(got), want);
}

static enum gw_err read_in(struct room *r, const char *body)
{
	return embed_request_read(&r->a, tree(r, gw_str_z(body)), &r->rq, &r->param, &r->why);
}

static void each_shape_is_written(void **state)
{
	static const struct {
		enum embed_shape shape;
		uint32_t n;
		const char *body, *path;
	} cases[] = {
		{ EMBED_OPENAI, 2,
		  "{\"model\":\"m/"
		  "1\",\"input\":[\"a\",\"b\"],\"encoding_format\":\"base64\",\"dimensions\":256,\"user\":\"u\"}",
		  "/v1/embeddings" },
		{ EMBED_VOYAGE, 2,
		  "{\"model\":\"m/"
		  "1\",\"input\":[\"a\",\"b\"],\"encoding_format\":\"base64\",\"output_dimension\":256,\"input_type\":"
		  "\"query\"}",
		  "/v1/embeddings" },
		{ EMBED_COHERE, 2,
		  "{\"model\":\"m/"
		  "1\",\"texts\":[\"a\",\"b\"],\"input_type\":\"search_query\",\"embedding_types\":[\"float\"],"
		  "\"output_dimension\":256}",
		  "/v1/v2/embed" },
		{ EMBED_GEMINI, 1,
		  "{\"requests\":[{\"model\":\"models/m/"
		  "1\",\"content\":{\"parts\":[{\"text\":\"a\"}]},\"outputDimensionality\":256,\"taskType\":"
		  "\"RETRIEVAL_QUERY\"}]}",
		  "/v1/models/m%2F1:batchEmbedContents" },
		{ EMBED_TITAN, 1, "{\"inputText\":\"a\",\"dimensions\":256}", "/v1/model/m%2F1/invoke" },
		{ EMBED_BEDROCK_COHERE, 2,
		  "{\"texts\":[\"a\",\"b\"],\"input_type\":\"search_query\",\"embedding_types\":[\"float\"],\"output_"
		  "dimension\":256}",
		  "/v1/model/m%2F1/invoke" },
		{ EMBED_OLLAMA, 2, "{\"model\":\"m/1\",\"input\":[\"a\",\"b\"],\"dimensions\":256}", "/api/embed" },
		{ EMBED_MISTRAL, 2,
		  "{\"model\":\"m/1\",\"input\":[\"a\",\"b\"],\"encoding_format\":\"base64\",\"output_dimension\":256}",
		  "/v1/embeddings" },
		{ EMBED_JINA, 2,
		  "{\"model\":\"m/"
		  "1\",\"input\":[\"a\",\"b\"],\"embedding_type\":\"base64\",\"dimensions\":256,\"task\":"
		  "\"retrieval.query\"}",
		  "/v1/embeddings" },
		{ EMBED_VERTEX, 2,
		  "{\"instances\":[{\"content\":\"a\",\"task_type\":\"RETRIEVAL_QUERY\"},{\"content\":\"b\",\"task_"
		  "type\":"
		  "\"RETRIEVAL_QUERY\"}],\"parameters\":{\"outputDimensionality\":256}}",
		  "/v1/models/m%2F1:predict" },
		{ EMBED_VERTEX_GEMINI, 1,
		  "{\"instances\":[{\"content\":\"a\",\"task_type\":\"RETRIEVAL_QUERY\"}],\"parameters\":{"
		  "\"outputDimensionality\":256}}",
		  "/v1/models/m%2F1:predict" },
		{ EMBED_VERTEX_MULTIMODAL, 1, "{\"instances\":[{\"text\":\"a\"}],\"parameters\":{\"dimension\":256}}",
		  "/v1/models/m%2F1:predict" },
	};
	struct room *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(read_in(r, "{\"model\":\"x\",\"input\":[\"a\",\"b\"],\"dimensions\":256,\"user\":"
					    "\"u\",\"input_type\":\"query\"}"),
				 GW_OK);
		assert_int_equal(embed_request_write(&r->rq, cases[i].shape, GW_LIT("m/1"), 0, cases[i].n, &r->out,
						     &r->param, &r->why),
				 GW_OK);
		same_value(r, cases[i].body);
		embed_path_write(cases[i].shape, GW_LIT("/v1"), GW_LIT("m/1"), &r->out);
		same_text(gw_buf_view(&r->out), cases[i].path);
		gw_buf_clear(&r->out, 1 << 20);
	}
	assert_int_equal(embed_shape_find(GW_LIT("titan")), EMBED_TITAN);
	assert_int_equal(embed_shape_find(GW_LIT("none")), EMBED_COUNT);
}

/* Gemini's clients: one content or a list; what is not the same for all, or no text, is refused. */
static void geminis_clients(void **state)
{
	static const struct {
		bool is_batch;
		const char *body, *param;
	} bad[] = {
		{ false, "{}", "content" },
		{ false, "[]", "" },
		{ false, "{\"content\":{\"parts\":[{\"text\":\"\"}]}}", "content" },
		{ false, "{\"content\":{\"parts\":[{\"inlineData\":{\"data\":\"\"}}]}}", "content" },
		{ false, "{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"taskType\":1}", "taskType" },
		{ false, "{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"outputDimensionality\":0}",
		  "outputDimensionality" },
		{ false, "{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"title\":[]}", "title" },
		{ true, "{\"requests\":[]}", "requests" },
		{ true, "{\"requests\":{}}", "requests" },
		{ true, "{\"requests\":[1]}", "content" },
		{ true,
		  "{\"requests\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"taskType\":\"CLUSTERING\"},"
		  "{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}",
		  "requests" },
		{ true,
		  "{\"requests\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"outputDimensionality\":2},"
		  "{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"outputDimensionality\":3}]}",
		  "requests" },
	};
	static const double ones[] = { 1.5 };
	struct embed_vector v[2] = { { ones, 1 }, { ones, 1 } };
	struct embed_reply rp = { .vectors = v, .n = 2 };
	struct room *r = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(embed_gemini_read(&r->a, tree(r, gw_str_z(bad[i].body)), bad[i].is_batch, &r->rq,
						   &r->param, &r->why),
				 GW_E_INVALID);
		same_text(r->param, bad[i].param);
	}
	assert_int_equal(
	    embed_gemini_read(&r->a,
			      tree(r, GW_LIT("{\"model\":\"models/x\",\"content\":{\"role\":\"user\",\"parts\":[{"
					     "\"text\":\"a\"},{\"text\":\"b\"}]},\"task_type\":\"RETRIEVAL_DOCUMENT\","
					     "\"title\":\"T\",\"odd\":1}")),
			      false, &r->rq, &r->param, &r->why),
	    GW_OK);
	same_text(r->rq.texts[0], "ab");
	same_text(r->rq.notes.dropped->name, "odd");
	assert_int_equal(embed_request_write(&r->rq, EMBED_VERTEX, GW_LIT("m"), 0, 1, &r->out, &r->param, &r->why),
			 GW_OK);
	same_value(r, "{\"instances\":[{\"content\":\"ab\",\"task_type\":\"RETRIEVAL_DOCUMENT\",\"title\":\"T\"}]}");
	assert_int_equal(embed_gemini_reply(&rp, true, &r->out), GW_OK);
	same_value(r, "{\"embeddings\":[{\"values\":[1.5]},{\"values\":[1.5]}]}");
	rp.usage = (struct gw_usage){ .is_known = true, .input = 7 };
	assert_int_equal(embed_gemini_reply(&rp, false, &r->out), GW_OK);
	same_value(r, "{\"embedding\":{\"values\":[1.5]},\"usageMetadata\":{\"promptTokenCount\":7}}");
}

static void inputs_are_checked(void **state)
{
	static const struct {
		const char *body, *param;
	} cases[] = {
		{ "{\"model\":\"m\"}", "input" },
		{ "{\"input\":\"\"}", "input" },
		{ "{\"input\":[]}", "input" },
		{ "{\"input\":[\"a\",1]}", "input" },
		{ "{\"input\":[[1],[\"a\"]]}", "input" },
		{ "{\"input\":{}}", "input" },
		{ "{\"input\":\"a\",\"model\":1}", "model" },
		{ "{\"input\":\"a\",\"dimensions\":0}", "dimensions" },
		{ "{\"input\":\"a\",\"encoding_format\":\"hex\"}", "encoding_format" },
		{ "{\"input\":\"a\",\"user\":1}", "user" },
	};
	struct room *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_not_equal(read_in(r, cases[i].body), GW_OK);
		same_text(r->param, cases[i].param);
		assert_true(r->why.n > 0);
	}
	/* lengths that a provider does not offer, tokens where texts are wanted */
	assert_int_equal(read_in(r, "{\"input\":\"a\",\"dimensions\":4000,\"odd\":1}"), GW_OK);
	same_text(r->rq.notes.dropped->name, "odd");
	assert_int_equal(embed_request_write(&r->rq, EMBED_TITAN, GW_LIT("m"), 0, 1, &r->out, &r->param, &r->why),
			 GW_E_INVALID);
	same_text(r->param, "dimensions");
	assert_int_equal(read_in(r, "{\"input\":[1,2,3]}"), GW_OK);
	assert_int_equal(r->rq.n, 1);
	assert_int_equal(embed_request_write(&r->rq, EMBED_COHERE, GW_LIT("m"), 0, 1, &r->out, &r->param, &r->why),
			 GW_E_INVALID);
	same_text(r->param, "input");
	assert_int_equal(embed_request_write(&r->rq, EMBED_OPENAI, GW_LIT("m"), 0, 1, &r->out, &r->param, &r->why),
			 GW_OK);
	same_value(r, "{\"model\":\"m\",\"input\":[1,2,3],\"encoding_format\":\"base64\"}");
}

static void each_reply_is_read(void **state)
{
	static const struct {
		enum embed_shape shape;
		const char *body;
		int tokens; /* -1: not told */
	} cases[] = {
		{ EMBED_OPENAI,
		  "{\"data\":[{\"index\":1,\"embedding\":[3]},{\"index\":0,\"embedding\":\"AADAPwAAAMA=\"}],\"usage\":{"
		  "\"prompt_tokens\":4}}",
		  4 },
		{ EMBED_VOYAGE,
		  "{\"data\":[{\"embedding\":[1.5,-2]},{\"embedding\":[3]}],\"usage\":{\"total_tokens\":5}}", 5 },
		{ EMBED_COHERE,
		  "{\"embeddings\":{\"float\":[[1.5,-2],[3]]},\"meta\":{\"billed_units\":{\"input_tokens\":6.0}}}", 6 },
		{ EMBED_BEDROCK_COHERE, "{\"embeddings\":[[1.5,-2],[3]]}", -1 },
		{ EMBED_GEMINI, "{\"embeddings\":[{\"values\":[1.5,-2]},{\"values\":[3]}]}", -1 },
		{ EMBED_OLLAMA, "{\"embeddings\":[[1.5,-2],[3]],\"prompt_eval_count\":7}", 7 },
		{ EMBED_JINA,
		  "{\"data\":[{\"embedding\":[1.5,-2]},{\"embedding\":\"AABAQA==\"}],\"usage\":{\"total_tokens\":8}}",
		  8 },
		{ EMBED_MISTRAL,
		  "{\"data\":[{\"embedding\":[1.5,-2]},{\"embedding\":[3]}],\"usage\":{\"prompt_tokens\":9}}", 9 },
		{ EMBED_VERTEX,
		  "{\"predictions\":[{\"embeddings\":{\"values\":[1.5,-2],\"statistics\":{\"token_count\":4,"
		  "\"truncated\":false}}},"
		  "{\"embeddings\":{\"values\":[3],\"statistics\":{\"token_count\":6}}}]}",
		  10 },
		{ EMBED_VERTEX_MULTIMODAL, "{\"predictions\":[{\"textEmbedding\":[1.5,-2]},{\"textEmbedding\":[3]}]}",
		  -1 },
	};
	struct room *r = *state;
	struct embed_reply rp;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(embed_reply_init(&r->a, 2, &rp), GW_OK);
		assert_int_equal(embed_reply_read(&r->a, tree(r, gw_str_z(cases[i].body)), cases[i].shape, 0, 2, &rp),
				 GW_OK);
		assert_int_equal(rp.vectors[0].n, 2);
		assert_true(rp.vectors[0].v[0] == 1.5 && rp.vectors[0].v[1] == -2 && rp.vectors[1].v[0] == 3);
		assert_int_equal(rp.usage.is_known, cases[i].tokens >= 0);
		assert_int_equal(rp.usage.input, cases[i].tokens < 0 ? 0 : cases[i].tokens);
	}
	/* two calls, one list */
	assert_int_equal(embed_reply_init(&r->a, 2, &rp), GW_OK);
	assert_int_equal(embed_reply_read(&r->a, tree(r, GW_LIT("{\"embedding\":[1.5,-2],\"inputTextTokenCount\":2}")),
					  EMBED_TITAN, 0, 1, &rp),
			 GW_OK);
	assert_int_equal(embed_reply_read(&r->a, tree(r, GW_LIT("{\"embedding\":[0.1],\"inputTextTokenCount\":3}")),
					  EMBED_TITAN, 1, 1, &rp),
			 GW_OK);
	assert_int_equal(embed_reply_write(&rp, true, GW_LIT("alias"), &r->out), GW_OK);
	same_value(r, "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":"
		      "\"AADAPwAAAMA=\"},{\"object\":\"embedding\","
		      "\"index\":1,\"embedding\":\"zczMPQ==\"}],\"model\":\"alias\",\"usage\":{\"prompt_tokens\":5,"
		      "\"total_tokens\":5}}");
	assert_int_equal(embed_reply_write(&rp, false, GW_LIT("alias"), &r->out), GW_OK);
	const yyjson_val *root = tree(r, gw_buf_view(&r->out));
	yyjson_val *data = gw_json_get(root, GW_LIT("data"));
	assert_true(yyjson_get_num(yyjson_arr_get(gw_json_get(yyjson_arr_get(data, 1), GW_LIT("embedding")), 0)) ==
		    0.1);
}

static void hostile_replies_are_garbage(void **state)
{
	static const char *const bodies[] = {
		"[]",
		"{\"data\":[]}",
		"{\"data\":[1,2]}",
		"{\"data\":[{\"embedding\":[]},{\"embedding\":[1]}]}",
		"{\"data\":[{\"embedding\":[1]},{\"embedding\":[\"x\"]}]}",
		"{\"data\":[{\"embedding\":\"AAA=\"},{\"embedding\":[1]}]}",
		"{\"data\":[{\"embedding\":\"AADAfw==\"},{\"embedding\":[1]}]}", /* not a number */
		"{\"data\":[{\"embedding\":[1],\"index\":0},{\"embedding\":[1],\"index\":0}]}", /* one is missing */
		"{\"data\":[{\"embedding\":[1],\"index\":9},{\"embedding\":[1]}]}",
	};
	struct room *r = *state;
	struct embed_reply rp;

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		assert_int_equal(embed_reply_init(&r->a, 2, &rp), GW_OK);
		assert_int_equal(embed_reply_read(&r->a, tree(r, gw_str_z(bodies[i])), EMBED_OPENAI, 0, 2, &rp),
				 GW_E_UP_GARBLED);
	}
}

static void reranking(void **state)
{
	struct room *r = *state;
	struct rerank_request rq;
	struct rerank_reply rp;

	assert_int_equal(
	    rerank_request_read(
		&r->a,
		tree(r, GW_LIT("{\"model\":\"x\",\"query\":\"q\",\"documents\":[\"a\",{\"text\":\"b\"}],\"top_k\":1,"
			       "\"max_tokens_per_doc\":9,\"return_documents\":true,\"odd\":2}")),
		&rq, &r->param, &r->why),
	    GW_OK);
	assert_int_equal(rerank_request_write(&rq, RERANK_COHERE, GW_LIT("m"), &r->out), GW_OK);
	same_value(
	    r, "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"top_n\":1,\"max_tokens_per_doc\":9}");
	assert_int_equal(rerank_request_write(&rq, RERANK_VOYAGE, GW_LIT("m"), &r->out), GW_OK);
	same_value(
	    r, "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"top_k\":1,\"return_documents\":false}");
	same_text(rq.notes.dropped->name, "odd");
	same_text(rq.notes.dropped->next->name, "max_tokens_per_doc");
	assert_int_equal(
	    rerank_reply_read(
		&r->a,
		tree(r, GW_LIT("{\"id\":\"i\",\"results\":[{\"index\":1,\"relevance_score\":0.5}],\"meta\":{"
			       "\"billed_units\":{\"search_units\":1}}}")),
		2, &rp),
	    GW_OK);
	assert_int_equal(rp.usage.queries, 1);
	assert_int_equal(rerank_reply_write(&rp, &rq, GW_LIT("alias"), GW_LIT("rid"), &r->out), GW_OK);
	same_value(r, "{\"id\":\"i\",\"model\":\"alias\",\"results\":[{\"index\":1,\"relevance_score\":0.5,"
		      "\"document\":{\"text\":\"b\"}}],\"meta\":{"
		      "\"billed_units\":{\"search_units\":1}},\"usage\":{\"total_tokens\":0}}");
	assert_int_equal(
	    rerank_reply_read(
		&r->a,
		tree(r, GW_LIT("{\"data\":[{\"index\":0,\"relevance_score\":1}],\"usage\":{\"total_tokens\":8}}")), 2,
		&rp),
	    GW_OK);
	assert_int_equal(rp.usage.input, 8);
	assert_int_equal(
	    rerank_reply_read(&r->a, tree(r, GW_LIT("{\"results\":[{\"index\":2,\"relevance_score\":1}]}")), 2, &rp),
	    GW_E_UP_GARBLED);
	assert_int_equal(rerank_reply_read(&r->a, tree(r, GW_LIT("{\"results\":7}")), 2, &rp), GW_E_UP_GARBLED);
	assert_int_equal(
	    rerank_request_read(&r->a, tree(r, GW_LIT("{\"documents\":[\"a\"]}")), &rq, &r->param, &r->why),
	    GW_E_MISSING);
	same_text(r->param, "query");
	assert_int_equal(
	    rerank_request_read(&r->a, tree(r, GW_LIT("{\"query\":\"q\",\"documents\":[1]}")), &rq, &r->param, &r->why),
	    GW_E_INVALID);
	same_text(r->param, "documents");
	rerank_path_write(RERANK_COHERE, GW_LIT(""), &r->out);
	rerank_path_write(RERANK_JINA, GW_LIT("/v1"), &r->out);
	same_text(gw_buf_view(&r->out), "/v2/rerank/v1/rerank");
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_shape_is_written),       T(geminis_clients), T(inputs_are_checked), T(each_reply_is_read),
		T(hostile_replies_are_garbage), T(reranking),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
