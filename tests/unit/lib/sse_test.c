/* lib/sse.h: the corpus whole, byte by byte and at every cut; raw bytes; ceilings; endings. Without the shared corpus the
 * corpus test is left out and the program exits 77. */
#include "util.h"

#include "lib/json.h"
#include "lib/sse.h"
#include "lib/text.h"

/* All that happened, as text, so that two runs can be compared; raw kept beside. */
struct log {
	struct gw_buf events; /* event \1 data \1 id \1 has_data \2 length of raw \n */
	struct gw_buf raw;
	unsigned n_data, n_all;
	const char *fed;
	size_t fed_n;
	unsigned views; /* raws that point into the fed bytes */
};

static void on_event(void *ctx, const struct gw_sse_event *ev)
{
	struct log *l = ctx;

	gw_buf_puts(&l->events, ev->event);
	gw_buf_putc(&l->events, '\1');
	gw_buf_puts(&l->events, ev->data);
	gw_buf_putc(&l->events, '\1');
	gw_buf_puts(&l->events, ev->id);
	gw_buf_printf(&l->events, "\1%d\2%zu\n", ev->has_data, ev->raw.n);
	gw_buf_puts(&l->raw, ev->raw);
	l->n_all++;
	l->n_data += ev->has_data;
	l->views += ev->raw.p >= l->fed && ev->raw.p + ev->raw.n <= l->fed + l->fed_n;
}

static void log_start(struct log *l)
{
	*l = (struct log){ 0 };
	gw_buf_init(&l->events, 64 << 20);
	gw_buf_init(&l->raw, 64 << 20);
}

static void log_done(struct log *l)
{
	gw_buf_done(&l->events);
	gw_buf_done(&l->raw);
}

/* Each piece is fed from memory of its own that is gone right after. */
static enum gw_err feed(struct gw_sse *s, struct log *l, struct gw_str piece)
{
	struct gw_str e = exact(piece);
	enum gw_err err;

	l->fed = e.p;
	l->fed_n = e.n;
	err = gw_sse_feed(s, e.p, e.n, on_event, l);
	free((char *)(uintptr_t)e.p);
	return err;
}

/* step 0: in two at `cut` */
static void run(struct log *l, struct gw_str text, size_t cut, size_t step)
{
	struct gw_sse s;
	enum gw_err err = GW_OK;

	log_start(l);
	gw_sse_init(&s, 1 << 20, 4 << 20);
	for (size_t i = 0; step && i < text.n && !err; i += step)
		err = feed(&s, l, gw_str(text.p + i, text.n - i < step ? text.n - i : step));
	if (!step) {
		err = feed(&s, l, gw_str(text.p, cut));
		if (!err)
			err = feed(&s, l, gw_str(text.p + cut, text.n - cut));
	}
	assert_int_equal(err, GW_OK);
	assert_int_equal(gw_sse_end(&s, on_event, l), GW_OK);
	gw_buf_puts(&l->raw, gw_sse_rest(&s));
	gw_buf_printf(&l->events, "pending %d rest %zu", gw_sse_is_pending(&s), gw_sse_rest(&s).n);
	gw_sse_done(&s);
	assert_same(gw_buf_view(&l->raw), text); /* no byte lost, none twice */
}

static void all_ways(struct gw_str text, struct log *whole)
{
	struct log l;

	run(whole, text, text.n, 0);
	for (size_t step = 1; step <= 3; step++) {
		run(&l, text, 0, step);
		assert_same(gw_buf_view(&l.events), gw_buf_view(&whole->events));
		log_done(&l);
	}
	for (size_t cut = 0; cut <= text.n; cut += text.n > 2000 ? 37 : 1) {
		run(&l, text, cut, 0);
		assert_same(gw_buf_view(&l.events), gw_buf_view(&whole->events));
		log_done(&l);
	}
}

/* Only the events with data of a log, without the lengths: what the standard dispatches. */
static void dispatched(struct gw_buf *out, struct gw_str events)
{
	struct gw_str line, rest = events, head, tail;

	while (gw_str_cut(rest, '\n', &line, &rest)) { /* data of the corpus may hold LF: glue until the marker */
		struct gw_buf one;

		gw_buf_init(&one, 1 << 20);
		gw_buf_puts(&one, line);
		while (gw_str_find(gw_buf_view(&one), '\2') == one.n) {
			gw_buf_putc(&one, '\n');
			gw_str_cut(rest, '\n', &line, &rest);
			gw_buf_puts(&one, line);
		}
		gw_str_cut(gw_buf_view(&one), '\2', &head, &tail);
		if (head.p[head.n - 1] == '1') {
			gw_buf_puts(out, gw_str(head.p, head.n - 2));
			gw_buf_putc(out, '\n');
		}
		gw_buf_done(&one);
	}
}

static yyjson_doc *corpus_doc;

/* The corpus writes U+FFFD where we pass bytes on; the same substitution as its parser's. */
static void put_expected(struct gw_buf *b, yyjson_val *events)
{
	size_t i, n;
	yyjson_val *e;

	yyjson_arr_foreach(events, i, n, e)
	{
		struct gw_str type = gw_json_str(yyjson_obj_get(e, "event"));

		gw_buf_puts(b, gw_str_eq(type, GW_LIT("message")) ? GW_LIT("") : type);
		gw_buf_putc(b, '\1');
		gw_buf_puts(b, gw_json_str(yyjson_obj_get(e, "data")));
		gw_buf_putc(b, '\1');
		gw_buf_puts(b, gw_json_str(yyjson_obj_get(e, "id")));
		gw_buf_putc(b, '\n');
	}
}

static void replace_invalid(struct gw_buf *out, struct gw_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((uint8_t)s.p[i] >= 0xfe) /* the corpus has 0xff and 0xfe only */
			gw_buf_puts(out, GW_LIT("\xef\xbf\xbd"));
		else
			gw_buf_putc(out, s.p[i]);
}

static void corpus(void **st)
{
	size_t i, n, k, nk;
	yyjson_val *c, *chunk;

	(void)st;
	yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(corpus_doc), "cases"), i, n, c)
	{
		struct gw_buf text, want, got, clean;
		struct log l;

		gw_buf_init(&text, 1 << 20);
		gw_buf_init(&want, 1 << 20);
		gw_buf_init(&got, 1 << 20);
		gw_buf_init(&clean, 1 << 20);
		yyjson_arr_foreach(yyjson_obj_get(c, "chunks_b64"), k, nk, chunk)
		    assert_true(gw_b64_read(&text, gw_json_str(chunk)));
		all_ways(gw_buf_view(&text), &l);
		put_expected(&want, yyjson_obj_get(c, "events"));
		dispatched(&got, gw_buf_view(&l.events));
		replace_invalid(&clean, gw_buf_view(&got));
		if (!gw_str_eq(gw_buf_view(&clean), gw_buf_view(&want)))
			fail_msg("%s: got '%.*s', want '%.*s'", yyjson_get_str(yyjson_obj_get(c, "name")), (int)clean.n,
				 clean.p, (int)want.n, want.p);
		gw_buf_done(&text);
		gw_buf_done(&want);
		gw_buf_done(&got);
		gw_buf_done(&clean);
		log_done(&l);
	}
	assert_true(n >= 59);
}

static void blocks(void **st)
{
	struct log l;

	(void)st;
	/* comments and nameless blocks come too, without data, so that their bytes can go on */
	all_ways(GW_LIT(": ping\n\n: c\ndata: a\n\nevent: x\n\n\ndata:\n\n"), &l);
	assert_str(gw_buf_view(&l.events), "\1\1\1"
					   "0\2"
					   "8\n" /* : ping */
					   "\1a\1\1"
					   "1\2"
					   "13\n" /* the comment belongs to the event */
					   "x\1\1\1"
					   "0\2"
					   "10\n" /* event without data */
					   "\1\1\1"
					   "0\2"
					   "1\n" /* an empty line */
					   "\1\1\1"
					   "1\2"
					   "7\n" /* empty data is data */
					   "pending 0 rest 0");
	log_done(&l);
	/* CRLF: raw ends with the LF; lone CR: an event does not wait for the next byte */
	all_ways(GW_LIT("data: a\r\n\r\ndata: b\r\n\r\n"), &l);
	assert_str(gw_buf_view(&l.events), "\1a\1\1"
					   "1\2"
					   "11\n\1b\1\1"
					   "1\2"
					   "11\npending 0 rest 0");
	log_done(&l);
	all_ways(GW_LIT("data: a\r\rdata: b\r\r"), &l);
	assert_str(gw_buf_view(&l.events), "\1a\1\1"
					   "1\2"
					   "9\n\1b\1\1"
					   "1\2"
					   "9\npending 0 rest 0");
	log_done(&l);
	all_ways(GW_LIT("data: a\r\n\r"), &l); /* ends between CR and LF */
	assert_str(gw_buf_view(&l.events), "\1a\1\1"
					   "1\2"
					   "10\npending 0 rest 0");
	log_done(&l);
	all_ways(GW_LIT("data: a\r\n\rdata: b\n\n"), &l);
	assert_str(gw_buf_view(&l.events), "\1a\1\1"
					   "1\2"
					   "10\n\1b\1\1"
					   "1\2"
					   "9\npending 0 rest 0");
	log_done(&l);
	/* a lone CR was taken as the end; its LF is left over and means nothing */
	all_ways(GW_LIT("data: a\r\r\n"), &l);
	assert_str(gw_buf_view(&l.events), "\1a\1\1"
					   "1\2"
					   "9\npending 0 rest 1");
	log_done(&l);
}

static void unfinished(void **st)
{
	static const struct {
		const char *text;
		bool pending;
	} cases[] = { { "data: a\n", true },    { "data: a", true },         { "d", true },
		      { ": comment\n", false }, { ": comm", false },         { "", false },
		      { "data: a\n\n", false }, { "data: a\n\n: x", false }, { "id: 5\n: x\n", true },
		      { "\xef\xbb", false } };

	(void)st;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct log l;
		char want[40];

		all_ways(gw_str_z(cases[i].text), &l);
		snprintf(want, sizeof(want), "pending %d", cases[i].pending);
		if (!strstr((gw_buf_putc(&l.events, '\0'), l.events.p), want))
			fail_msg("%s: %s", cases[i].text, l.events.p);
		log_done(&l);
	}
}

/* Whole events in one feed are views into it; an event in pieces is not. */
static void no_copy(void **st)
{
	struct gw_str text = GW_LIT("data: one\n\ndata: two\ndata: three\n\ndata: four\n\n");
	struct gw_sse s;
	struct log l;

	(void)st;
	log_start(&l);
	gw_sse_init(&s, 1000, 1000);
	assert_int_equal(feed(&s, &l, text), GW_OK);
	assert_int_equal(l.views, 3);
	assert_int_equal(s.held.cap, 0);
	assert_int_equal(feed(&s, &l, GW_LIT("data: fi")), GW_OK);
	assert_int_equal(feed(&s, &l, GW_LIT("ve\n\ndata: six\n\n")), GW_OK);
	assert_int_equal(l.n_data, 5);
	assert_int_equal(l.views, 4); /* six again */
	gw_sse_done(&s);
	log_done(&l);
}

/* ---- ceilings ---- */

static enum gw_err feed_many(struct gw_sse *s, struct log *l, struct gw_str piece, size_t times)
{
	enum gw_err err = GW_OK;

	for (size_t i = 0; i < times && !err; i++)
		err = gw_sse_feed(s, piece.p, piece.n, on_event, l);
	return err;
}

static void ceilings(void **st)
{
	static char block[65536];
	struct gw_sse s;
	struct log l;

	(void)st;
	memset(block, 'x', sizeof(block));
	/* a line of 64 MiB stops at 1 MiB and holds no more */
	log_start(&l);
	gw_sse_init(&s, 1 << 20, 4 << 20);
	assert_int_equal(feed_many(&s, &l, gw_str(block, sizeof(block)), 1024), GW_E_TOO_BIG);
	assert_true(s.held.cap <= 2 << 20);
	assert_int_equal(gw_sse_feed(&s, "\n\ndata: a\n\n", 11, on_event, &l), GW_E_TOO_BIG); /* sticky */
	assert_int_equal(l.n_all, 0);
	gw_sse_done(&s);
	/* a million data lines in one event */
	gw_sse_init(&s, 1 << 20, 4 << 20);
	assert_int_equal(feed_many(&s, &l, GW_LIT("data: xyz\n"), 1000000), GW_E_TOO_BIG);
	assert_int_equal(l.n_all, 0);
	gw_sse_done(&s);
	/* 300,000 comments pass, in memory that does not grow */
	gw_sse_init(&s, 1 << 20, 4 << 20);
	assert_int_equal(feed_many(&s, &l, GW_LIT(": keep-alive\n"), 300000), GW_OK);
	assert_true(s.held.cap < 16384 && l.n_all > 300 && l.n_data == 0);
	gw_buf_puts(&l.raw, gw_sse_rest(&s));
	assert_int_equal(l.raw.n, 3900000);
	gw_sse_done(&s);
	log_done(&l);
	/* the edges: exactly at the ceilings is fine, one more is not, at every cut */
	for (size_t extra = 0; extra < 2; extra++)
		for (size_t cut = 0; cut <= 26 + extra; cut++) {
			struct gw_str text = gw_str("data: 0123456789abcdefgh\n\n\n", 26 + extra);

			log_start(&l);
			gw_sse_init(&s, 24, 26); /* the line is 24 long, the event 26 */
			assert_int_equal(gw_sse_feed(&s, text.p, cut, on_event, &l), GW_OK);
			assert_int_equal(gw_sse_feed(&s, text.p + cut, text.n - cut, on_event, &l), GW_OK);
			assert_int_equal(l.n_data, 1);
			gw_sse_done(&s);
			gw_sse_init(&s, extra ? 23 : 24, extra ? 26 : 25);
			if (gw_sse_feed(&s, text.p, cut, on_event, &l) == GW_OK)
				assert_int_equal(gw_sse_feed(&s, text.p + cut, text.n - cut, on_event, &l),
						 GW_E_TOO_BIG);
			assert_int_equal(l.n_data, 1);
			gw_sse_done(&s);
			log_done(&l);
		}
}

/* ---- random streams ---- */

static void random_streams(void **st)
{
	static const char *const pieces[] = { "data: ", "data",         "data:x", "event: e", "id: 1",
					      "id",     ": c",          "\n",     "\n",       "\r",
					      "\r\n",   "\r\n",         "\n\n",   "\r\r",     "\r\n\r\n",
					      "x",      "\xef\xbb\xbf", "\xff",   "retry: 5", "" };

	(void)st;
	for (int round = 0; round < 1200; round++) {
		struct gw_buf b;
		struct log l;

		gw_buf_init(&b, 4000);
		for (size_t i = rng_below(16); i > 0; i--)
			gw_buf_puts(&b, gw_str_z(pieces[rng_below(N_OF(pieces))]));
		all_ways(gw_buf_view(&b), &l);
		log_done(&l);
		gw_buf_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(blocks), cmocka_unit_test(unfinished),
					    cmocka_unit_test(no_copy), cmocka_unit_test(ceilings),
					    cmocka_unit_test(random_streams) };
	const struct CMUnitTest with_corpus[] = { cmocka_unit_test(corpus) };
	struct gw_str text = shared_file("corpora/sse/cases.json");
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	if (!text.p)
		return rc ? rc : skip_all("no corpora/sse below LLMGW_SHARED");
	if (gw_json_read(text, NULL, &corpus_doc, NULL))
		return 1;
	rc += cmocka_run_group_tests(with_corpus, NULL, NULL);
	yyjson_doc_free(corpus_doc);
	free((char *)(uintptr_t)text.p);
	return rc;
}
