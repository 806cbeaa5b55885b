/* The endpoints beside chat inside a worker: routing without a model, forms that come in pieces, back-pressure, no second attempt once a byte of
 * the body was given away. Client and provider are fake_net's. */
#include "tests/unit/worker/fixture.h"

#define BOUNDARY   "multipart/form-data; boundary=x"
#define PART(name) "--x\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"

/* A request whose body has not come yet. */
static struct ask *ask_upload(const char *path, int64_t length)
{
	struct ask *a = calloc(1, sizeof *a);

	a->c = fake_conn();
	a->body = strdup("");
	a->h[0] = (struct gw_h1_header){ GW_LIT("Authorization"), GW_LIT("Bearer " TOKEN) };
	a->h[1] = (struct gw_h1_header){ GW_LIT("Content-Type"), GW_LIT(BOUNDARY) };
	a->rq.headers = a->h;
	a->h[2] = (struct gw_h1_header){ GW_LIT("x-llmgw-deployment"), GW_LIT("d1") };
	a->rq.n_headers = 3;
	a->rq.method = GW_H1_POST;
	a->rq.path = a->rq.target = gw_str_z(path);
	a->rq.has_body = true;
	a->rq.content_length = length;
	a->rq.first_byte_ns = fake_ns;
	a->rq.head_done_ns = fake_ns + 100;
	a->rq.wire_bytes = 200;
	gw_front_ops.on_request(w, a->c, &a->rq);
	return a;
}

static void piece(struct ask *a, const char *text, bool is_end)
{
	gw_front_ops.on_body(w, a->c, gw_str_z(text), is_end, GW_OK);
}

static void assert_sent(const struct gw_up_req *q, const char *want)
{
	struct gw_str got = gw_buf_view(&q->body);

	if (!gw_str_eq(got, gw_str_z(want)))
		fail_msg("sent '%.*s', wanted '%s'", GW_FMT(got), want);
}

static void form_in_pieces(void **state)
{
	struct ask *a = ask_upload("/v1/audio/transcriptions", 1000);
	struct gw_up_req *q;
	struct ended e;

	(void)state;
	assert_int_equal(fake.n_under_way, 0); /* nobody knows the model */
	piece(a, PART("file") "abc\r\n" PART("model") "o", false);
	assert_int_equal(fake.n_under_way, 0);
	piece(a, "ne\r\n--x", false);
	assert_int_equal(fake.n_under_way, 1);
	q = fake.first;
	assert_true(q->must_be_fresh);
	assert_int_equal(q->stream_length, 1000 - 3 + 6); /* "one" became "real-1" */
	assert_sent(q, "");
	q->on_room(q->ctx);
	assert_sent(q, PART("file") "abc\r\n" PART("model") "real-1\r\n--x");
	piece(a, "--\r\n", true);
	assert_sent(q, PART("file") "abc\r\n" PART("model") "real-1\r\n--x--\r\n");
	assert_true(q->is_upload_ended);
	up_head(q, 200, "application/json");
	up_body(q, "{\"text\":\"x\",\"usage\":{\"type\":\"duration\",\"seconds\":4}}");
	up_end(q, GW_OK);
	assert_int_equal(a->c->status, 200);
	read_records(&e);
	assert_int_equal(e.rec.units, 4);
	assert_int_equal(e.n_end, 1);
	ask_done(a);
	assert_nothing_left();
}

static void back_pressure(void **state)
{
	struct ask *a = ask_upload("/v1/files", -1);
	struct gw_up_req *q = fake.first;
	static char block[65537];

	(void)state;
	memset(block, 'b', sizeof block - 1);
	assert_int_equal(fake.n_under_way, 1);
	assert_int_equal(q->stream_length, -1);
	for (int i = 0; i < 6; i++)
		piece(a, block, false);
	assert_true(a->c->is_body_paused);
	assert_int_equal(gw_buf_len(&q->body), 0); /* no connection yet: nothing was given away */
	q->is_full = true;
	q->on_room(q->ctx);
	assert_int_equal(gw_buf_len(&q->body), 65536); /* one slice, then the provider had enough */
	assert_true(a->c->is_body_paused);
	q->is_full = false;
	q->on_room(q->ctx);
	assert_int_equal(gw_buf_len(&q->body), 6 * 65536);
	assert_false(a->c->is_body_paused);
	piece(a, "", true);
	assert_true(q->is_upload_ended);
	up_head(q, 200, "application/json");
	up_body(q, "{}");
	up_end(q, GW_OK);
	ask_done(a);
	assert_nothing_left();
}

/* Before a byte was given away another deployment may answer, after that nobody. */
static void one_attempt_only(void **state)
{
	const char *form = PART("model") "two\r\n" PART("file") "abc";

	(void)state;
	for (int given = 0; given < 2; given++) {
		struct ask *a = ask_upload("/v1/audio/transcriptions", 1000);

		piece(a, form, false);
		assert_int_equal(fake.n_under_way, 1);
		if (given)
			fake.first->on_room(fake.first->ctx);
		up_end(fake.first, GW_E_UP_RESET);
		assert_int_equal(fake.n_under_way, given ? 0 : 1);
		if (!given) {
			struct gw_up_req *q = fake.first;

			q->on_room(q->ctx);
			assert_sent(q, PART("model") "real-2\r\n" PART("file") "abc");
			up_head(q, 400, "application/json");
			up_body(q, "{}");
			up_end(q, GW_OK);
		}
		assert_int_equal(a->c->status, given ? 502 : 400);
		ask_done(a);
	}
	assert_nothing_left();
}

static void bad_uploads(void **state)
{
	static const struct {
		const char *text;
		int status;
		const char *word;
	} rows[] = {
		{ "hello", 400, "begin with the boundary" },
		{ PART("model") "one\r\n" PART("model") "two\r\n", 400, "twice" },
		{ PART("file") "x\r\n--x--\r\n", 400, "model is required" },
		{ PART("model") "nobody\r\n--x", 404, "does not exist" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ask *a = ask_upload("/v1/audio/transcriptions", -1);

		piece(a, rows[i].text, i == 2);
		assert_true(a->c->is_whole);
		assert_int_equal(a->c->status, rows[i].status);
		assert_has(out_of(a), rows[i].word);
		ask_done(a);
	}
	struct ask *a = ask_upload("/v1/files", -1); /* too much, or garbled: the server says so */

	gw_front_ops.on_body(w, a->c, GW_NIL, true, GW_E_TOO_BIG);
	assert_int_equal(a->c->status, 413);
	assert_int_equal(fake.n_under_way, 0);
	ask_done(a);
	a = ask_upload("/v1/audio/transcriptions", -1);
	gw_front_ops.on_gone(w, a->c);
	ask_done(a);
	a = ask_upload("/v1/audio/transcriptions", -1);
	gw_tick_end_all(w, GW_E_DRAINING);
	assert_int_equal(a->c->status, 503);
	ask_done(a);
	assert_nothing_left();
}

static void routes(void **state)
{
	struct ask *a;

	(void)state;
	/* the models of the fixture reach one provider, with three credentials */
	a = ask_with(GW_H1_GET, "/v1/files", TOKEN, "");
	assert_int_equal(a->c->status, 400);
	assert_has(out_of(a), "x-llmgw-deployment");
	ask_done(a);
	a = ask_with(GW_H1_GET, "/providers/p/models", TOKEN, "");
	assert_int_equal(a->c->status, 403);
	ask_done(a);
	a = ask_with(GW_H1_GET, "/providers/p/../models", TOKEN, "");
	assert_int_equal(a->c->status, 400);
	ask_done(a);
	assert_nothing_left();
}

static void binary_reply(void **state)
{
	struct ask *a =
	    ask_with(GW_H1_POST, "/v1/audio/speech", TOKEN, "{\"model\":\"one\",\"input\":\"hey\",\"voice\":\"v\"}");
	struct gw_up_req *q = fake.first;
	struct ended e;

	(void)state;
	assert_int_equal(fake.n_under_way, 1);
	up_head(q, 200, "audio/mpeg");
	up_bytes(q, gw_str("\0\1\2", 3));
	assert_true(a->c->is_started); /* sound is not held back */
	up_bytes(q, gw_str("\3", 1));
	up_end(q, GW_OK);
	assert_int_equal(gw_buf_len(&a->c->out), 4);
	read_records(&e);
	assert_int_equal(e.rec.units, 3);
	assert_int_equal(e.rec.bytes_out, 4);
	ask_done(a);
	assert_nothing_left();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = { T(form_in_pieces), T(back_pressure), T(one_attempt_only),
					    T(bad_uploads),    T(routes),        T(binary_reply) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
