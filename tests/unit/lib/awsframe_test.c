/* lib/awsframe.h: the shared vectors (good, damaged, recorded, cut), each at every split; what is written is read back
 * (hostile input: awsframe_hostile_test.c). Without the shared data the vectors are left out and the program exits 77. */
#include "awsframe_log.h"

#include <dirent.h>

#include "lib/json.h"
#include "lib/text.h"

/* ---- the shared vectors: whatever lies in the folder ---- */

typedef void vector_fn(const char *name, struct gw_str bytes, yyjson_val *want);

static void each_vector(const char *folder, vector_fn *fn, size_t at_least)
{
	const char *root = getenv("LLMGW_SHARED");
	char path[1024];
	struct dirent *d;
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/%s", root ? root : "../shared", folder);
	DIR *dir = opendir(path);
	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL) {
		size_t len = strlen(d->d_name);
		struct gw_str bytes, text;
		yyjson_doc *doc = NULL;

		if (len < 5 || strcmp(d->d_name + len - 4, ".bin") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, d->d_name);
		bytes = shared_file(path);
		assert_non_null(bytes.p);
		snprintf(path, sizeof(path), "%s/%.*s.expected", folder, (int)len - 4, d->d_name);
		text = shared_file(path);
		if (!text.p) {
			snprintf(path, sizeof(path), "%s/%.*s.expected.json", folder, (int)len - 4, d->d_name);
			text = shared_file(path);
		}
		if (text.p)
			doc = yyjson_read(text.p, text.n, 0);
		fn(d->d_name, bytes, doc ? yyjson_doc_get_root(doc) : NULL);
		yyjson_doc_free(doc);
		free((char *)(uintptr_t)bytes.p);
		free((char *)(uintptr_t)text.p);
		n++;
	}
	closedir(dir);
	assert_true(n >= at_least);
}

/* What the two sources of vectors say about a header, in the words of the log. */
static void put_want(struct gw_buf *b, struct gw_str name, int type, yyjson_val *v)
{
	struct gw_buf bytes;
	long long number = yyjson_is_bool(v) ? yyjson_get_bool(v) : yyjson_is_int(v) ? yyjson_get_sint(v) : 0;

	gw_buf_init(&bytes, 1 << 20);
	if (yyjson_is_str(v))
		assert_true(gw_b64_read(&bytes, gw_json_str(v)));
	gw_buf_puts(b, name);
	gw_buf_printf(b, "|%d|%lld|", type, number);
	gw_hex_put(b, bytes.p, bytes.n);
	gw_buf_putc(b, '\n');
	gw_buf_done(&bytes);
}

/* aws-sdk-go: a list of {name, type, base64 or number}, base64 payload */
static void want_go(struct gw_buf *b, yyjson_val *want)
{
	yyjson_val *h;
	size_t i, n;

	yyjson_arr_foreach(yyjson_obj_get(want, "headers"), i, n, h)
	    put_want(b, gw_json_str(yyjson_obj_get(h, "name")), yyjson_get_int(yyjson_obj_get(h, "type")),
		     yyjson_obj_get(h, "value"));
	assert_true(gw_b64_read(b, gw_json_str(yyjson_obj_get(want, "payload"))));
	gw_buf_putc(b, '\n');
}

static void good(const char *name, struct gw_str bytes, yyjson_val *want)
{
	struct log l;
	struct outcome o = all_ways(bytes, &l);
	yyjson_val *headers = yyjson_obj_get(want, "headers"), *k, *v;
	struct gw_buf b;
	size_t i, n;

	if (o.err || o.pending || l.n != 1 || !want)
		fail_msg("%s: error %d, %u messages", name, o.err, l.n);
	gw_buf_init(&b, 1 << 20);
	if (yyjson_is_arr(headers)) {
		want_go(&b, want);
		assert_same(gw_buf_view(&l.text), gw_buf_view(&b));
	} else { /* botocore: name to plain value, text payload; its types are those of the only vector that has them all */
		gw_buf_puts(&b, gw_json_str(yyjson_obj_get(want, "payload_utf8")));
		assert_same(gw_buf_view(&l.payload), gw_buf_view(&b));
		gw_buf_putc(&l.text, '\0');
		yyjson_obj_foreach(headers, i, n, k, v)
		{
			char line[200], hex[120] = "";
			struct gw_buf x;

			gw_buf_init(&x, 1000);
			if (yyjson_is_str(v))
				gw_hex_put(&x, yyjson_get_str(v), yyjson_get_len(v));
			if (yyjson_is_obj(v))
				gw_buf_puts(&x, gw_json_str(yyjson_obj_get(v, "bytes_hex")));
			snprintf(hex, sizeof(hex), "%.*s", (int)x.n, x.n ? x.p : "");
			gw_buf_done(&x);
			if (yyjson_get_len(k) == 1) /* named after its type */
				snprintf(line, sizeof(line), "%s|%s|%lld|%s\n", yyjson_get_str(k), yyjson_get_str(k),
					 yyjson_is_bool(v) ? (long long)yyjson_get_bool(v)
							   : (long long)yyjson_get_sint(v),
					 hex);
			else
				snprintf(line, sizeof(line), "|%lld|%s\n", (long long)yyjson_get_sint(v), hex);
			if (!strstr(l.text.p, line) || !strstr(l.text.p, yyjson_get_str(k)))
				fail_msg("%s: no %s in %s", name, line, l.text.p);
		}
	}
	assert_int_equal((int32_t)yyjson_get_sint(yyjson_obj_get(want, "total_length")), (int32_t)bytes.n);
	gw_buf_done(&b);
	log_done(&l);
}

static void bad(const char *name, struct gw_str bytes, yyjson_val *want)
{
	struct log l;
	struct outcome o = all_ways(bytes, &l);

	(void)want;
	if (o.err != GW_E_UP_GARBLED || l.n != 0)
		fail_msg("%s: error %d, %u messages", name, o.err, l.n);
	log_done(&l);
}

static bool is(const char *name, const char *what)
{
	return strncmp(name, what, strlen(what)) == 0;
}

static void made(const char *name, struct gw_str bytes, yyjson_val *want)
{
	struct log l;
	struct outcome o = all_ways(bytes, &l);

	(void)want;
	assert_int_equal(o.err, GW_OK);
	assert_int_equal(o.pending, is(name, "truncated_half_frame"));
	if (is(name, "throttling_first"))
		assert_string_equal(l.first_type, "throttlingException");
	else if (is(name, "validation_first"))
		assert_string_equal(l.first_type, "validationException");
	else if (is(name, "service_unavailable_first"))
		assert_string_equal(l.first_type, "serviceUnavailableException");
	else if (is(name, "model_stream_error"))
		assert_string_equal(l.last_type, "modelStreamErrorException");
	else if (is(name, "invoke_chunk"))
		assert_string_equal(l.last_type, "chunk");
	else
		assert_string_equal(l.first_type, "messageStart");
	assert_string_equal(l.message_type, strstr(l.last_type, "Exception") ? "exception" : "event");
	log_done(&l);
}

static void recorded(const char *name, struct gw_str bytes, yyjson_val *want)
{
	struct log l;
	struct outcome o = all_ways(bytes, &l);

	(void)want;
	if (o.err || o.pending || l.n < 3 || l.views == 0)
		fail_msg("%s: error %d, %u messages, %zu bytes left", name, o.err, l.n, o.rest);
	assert_string_equal(l.message_type, "event");
	log_done(&l);
}

static void vectors(void **st)
{
	(void)st;
	each_vector("fixtures/eventstream/positive", good, 10);
	each_vector("fixtures/eventstream/negative", bad, 7);
	each_vector("fixtures/eventstream/synthetic", made, 9);
	each_vector("fixtures/eventstream/bedrock", recorded, 3);
}

/* Every recorded stream of the other folders. */
static void recordings(void **st)
{
	const char *root = getenv("LLMGW_SHARED");
	char path[1024];
	struct dirent *d;
	size_t n = 0;

	(void)st;
	snprintf(path, sizeof(path), "%s/fixtures/bedrock", root ? root : "../shared");
	DIR *dir = opendir(path);
	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "fixtures/bedrock/%s/response.bin", d->d_name);
		struct gw_str bytes = shared_file(path);

		if (!bytes.p)
			continue;
		recorded(d->d_name, bytes, NULL);
		free((char *)(uintptr_t)bytes.p);
		n++;
	}
	closedir(dir);
	assert_true(n >= 8);
}

/* ---- writing and reading back ---- */

static void all_types(void **st)
{
	const struct gw_aws_header h[] = {
		{ .name = GW_LIT("t"), .type = GW_AWS_TRUE, .number = 1 },
		{ .name = GW_LIT("f"), .type = GW_AWS_FALSE },
		{ .name = GW_LIT("i8"), .type = GW_AWS_INT8, .number = -128 },
		{ .name = GW_LIT("i16"), .type = GW_AWS_INT16, .number = -32768 },
		{ .name = GW_LIT("i32"), .type = GW_AWS_INT32, .number = INT32_MIN },
		{ .name = GW_LIT("i64"), .type = GW_AWS_INT64, .number = INT64_MIN },
		{ .name = GW_LIT("b"), .type = GW_AWS_BYTES, .bytes = GW_LIT("\0\xff") },
		{ .name = GW_LIT("s"), .type = GW_AWS_STRING, .bytes = GW_LIT("") },
		{ .name = GW_LIT("ts"), .type = GW_AWS_TIMESTAMP, .number = INT64_MAX },
		{ .name = GW_LIT("u"), .type = GW_AWS_UUID, .bytes = GW_LIT("0123456789abcdef") },
	};
	struct gw_buf out;
	struct log l;

	(void)st;
	gw_buf_init(&out, 1 << 20);
	assert_int_equal(gw_awsframe_put(&out, h, N_OF(h), GW_LIT("payload")), GW_OK);
	assert_int_equal(gw_awsframe_put(&out, NULL, 0, GW_NIL), GW_OK);
	assert_int_equal(gw_awsframe_put_event(&out, GW_LIT("messageStart"), GW_LIT("{}")), GW_OK);
	assert_int_equal(gw_awsframe_put_exception(&out, GW_LIT("throttlingException"), GW_LIT("{}")), GW_OK);
	struct outcome o = all_ways(gw_buf_view(&out), &l);
	assert_int_equal(o.err, GW_OK);
	assert_false(o.pending);
	assert_int_equal(l.n, 4);
	assert_int_equal(l.views, 4);
	assert_str(gw_buf_view(&l.text), "t|0|1|\nf|1|0|\ni8|2|-128|\ni16|3|-32768|\ni32|4|-2147483648|\n"
					 "i64|5|-9223372036854775808|\nb|6|0|00ff\ns|7|0|\nts|8|9223372036854775807|\n"
					 "u|9|0|30313233343536373839616263646566\npayload\n"
					 "\n"
					 ":event-type|7|0|6d6573736167655374617274\n"
					 ":content-type|7|0|6170706c69636174696f6e2f6a736f6e\n"
					 ":message-type|7|0|6576656e74\n{}\n"
					 ":exception-type|7|0|7468726f74746c696e67457863657074696f6e\n"
					 ":content-type|7|0|6170706c69636174696f6e2f6a736f6e\n"
					 ":message-type|7|0|657863657074696f6e\n{}\n");
	assert_string_equal(l.last_type, "throttlingException");
	log_done(&l);
	gw_buf_done(&out);
}

/* A buffer that was read in part: asking for room moves what is left. */
static void behind_read_bytes(void **st)
{
	struct gw_buf out;
	struct log l;

	(void)st;
	gw_buf_init(&out, 200);
	for (int i = 0; i < 50; i++) {
		size_t one = gw_buf_len(&out);

		assert_int_equal(gw_awsframe_put_event(&out, GW_LIT("e"), GW_LIT("{}")), GW_OK);
		struct outcome o = run(&l, gw_str_skip(gw_buf_view(&out), one), 0, 3);
		assert_int_equal(o.err, GW_OK);
		assert_int_equal(l.n, 1);
		log_done(&l);
		gw_buf_consume(&out, one ? one : 0);
	}
	gw_buf_done(&out);
}

static void refuses_to_write(void **st)
{
	static char big[70000];
	struct gw_aws_header h[GW_AWSFRAME_N_HEADERS + 1] = { 0 };
	struct gw_buf out;

	(void)st;
	gw_buf_init(&out, 1 << 20);
	for (size_t i = 0; i < N_OF(h); i++)
		h[i] = (struct gw_aws_header){
			.name = gw_str("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopq", i + 1),
			.type = GW_AWS_TRUE
		};
	assert_int_equal(gw_awsframe_put(&out, h, N_OF(h), GW_NIL), GW_E_TOO_BIG);
	assert_int_equal(gw_awsframe_put(&out, h, N_OF(h) - 1, GW_NIL), GW_OK);
	gw_buf_clear(&out, 0);
	struct {
		struct gw_aws_header h;
	} wrong[] = {
		{ { .name = GW_LIT(""), .type = GW_AWS_TRUE } },
		{ { .name = gw_str(big, 256), .type = GW_AWS_TRUE } },
		{ { .name = GW_LIT("a"), .type = GW_AWS_STRING, .bytes = gw_str(big, 65536) } },
		{ { .name = GW_LIT("a"), .type = GW_AWS_UUID, .bytes = gw_str(big, 15) } },
		{ { .name = GW_LIT("a"), .type = GW_AWS_INT8, .number = 128 } },
		{ { .name = GW_LIT("a"), .type = GW_AWS_INT8, .number = -129 } },
		{ { .name = GW_LIT("a"), .type = GW_AWS_INT16, .number = 32768 } },
		{ { .name = GW_LIT("a"), .type = GW_AWS_INT32, .number = (int64_t)INT32_MAX + 1 } },
		{ { .name = GW_LIT("a"), .type = (enum gw_aws_type)10 } },
	};
	for (size_t i = 0; i < N_OF(wrong); i++)
		assert_int_equal(gw_awsframe_put(&out, &wrong[i].h, 1, GW_NIL), GW_E_INVALID);
	h[1] = h[0];
	assert_int_equal(gw_awsframe_put(&out, h, 2, GW_NIL), GW_E_INVALID);
	struct gw_aws_header three[3];
	for (size_t i = 0; i < 3; i++)
		three[i] = (struct gw_aws_header){ .name = gw_str(big + i, i + 1),
						   .type = GW_AWS_BYTES,
						   .bytes = gw_str(big, 65535) };
	assert_int_equal(gw_awsframe_put(&out, three, 3, GW_NIL), GW_E_TOO_BIG);
	assert_int_equal(out.n, 0);
	gw_buf_done(&out);
	gw_buf_init(&out, 20);
	assert_int_equal(gw_awsframe_put(&out, NULL, 0, GW_LIT("12345")), GW_E_TOO_BIG);
	gw_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_types), cmocka_unit_test(behind_read_bytes),
					    cmocka_unit_test(refuses_to_write) };
	const struct CMUnitTest with_vectors[] = { cmocka_unit_test(vectors), cmocka_unit_test(recordings) };
	struct gw_str probe = shared_file("fixtures/eventstream/SOURCE.txt");
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	if (!probe.p)
		return rc ? rc : skip_all("no fixtures/eventstream below LLMGW_SHARED");
	free((char *)(uintptr_t)probe.p);
	return rc + cmocka_run_group_tests(with_vectors, NULL, NULL);
}
