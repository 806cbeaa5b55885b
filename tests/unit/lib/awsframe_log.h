#pragma once
#include "util.h"

#include "lib/awsframe.h"
#include "lib/text.h"

/* What a reader of AWS frames says, as text, for the tests of lib/awsframe: fed whole, in pieces, cut anywhere. */

enum { ROOM = 64 << 20 };

/* All that happened, as text, so that two runs can be compared; raw kept beside, and the last message's parts. */
struct log {
	struct gw_buf text, raw, payload;
	unsigned n, views;
	const char *fed;
	size_t fed_n;
	char first_type[64], last_type[64], message_type[64];
};

static inline void copy_type(char to[64], struct gw_str s)
{
	snprintf(to, 64, "%.*s", (int)s.n, s.n ? s.p : "");
}

static inline void on_message(void *ctx, const struct gw_awsframe_message *m)
{
	struct log *l = ctx;
	struct gw_str type = m->event_type.n ? m->event_type : m->exception_type;

	l->n++;
	l->views += l->fed && m->raw.p >= l->fed && m->raw.p + m->raw.n <= l->fed + l->fed_n;
	for (uint32_t i = 0; i < m->n_headers; i++) {
		const struct gw_aws_header *h = &m->headers[i];

		gw_buf_puts(&l->text, h->name);
		gw_buf_printf(&l->text, "|%d|%lld|", (int)h->type, (long long)h->number);
		gw_hex_put(&l->text, h->bytes.p, h->bytes.n);
		gw_buf_putc(&l->text, '\n');
	}
	gw_buf_puts(&l->text, m->payload);
	gw_buf_putc(&l->text, '\n');
	gw_buf_puts(&l->raw, m->raw);
	gw_buf_clear(&l->payload, ROOM);
	gw_buf_puts(&l->payload, m->payload);
	if (l->n == 1)
		copy_type(l->first_type, type);
	copy_type(l->last_type, type);
	copy_type(l->message_type, m->message_type);
}

static inline void log_start(struct log *l)
{
	*l = (struct log){ 0 };
	gw_buf_init(&l->text, ROOM);
	gw_buf_init(&l->raw, ROOM);
	gw_buf_init(&l->payload, ROOM);
}

static inline void log_done(struct log *l)
{
	gw_buf_done(&l->text);
	gw_buf_done(&l->raw);
	gw_buf_done(&l->payload);
}

static inline enum gw_err feed(struct gw_awsframe *f, struct log *l, struct gw_str piece)
{
	struct gw_str e = exact(piece);
	enum gw_err err;

	l->fed = e.p;
	l->fed_n = e.n;
	err = gw_awsframe_feed(f, e.p, e.n, on_message, l);
	free((char *)(uintptr_t)e.p);
	return err;
}

struct outcome {
	enum gw_err err;
	bool pending;
	size_t rest;
};

/* step 0: in two at `cut` */
static inline struct outcome run(struct log *l, struct gw_str text, size_t cut, size_t step)
{
	struct gw_awsframe f;
	struct outcome o = { 0 };

	log_start(l);
	gw_awsframe_init(&f, 1 << 20);
	for (size_t i = 0; step && i < text.n && !o.err; i += step)
		o.err = feed(&f, l, gw_str(text.p + i, text.n - i < step ? text.n - i : step));
	if (!step) {
		o.err = feed(&f, l, gw_str(text.p, cut));
		if (!o.err)
			o.err = feed(&f, l, gw_str(text.p + cut, text.n - cut));
	}
	o.pending = gw_awsframe_is_pending(&f);
	o.rest = gw_awsframe_rest(&f).n;
	assert_true((f.why != NULL) == (o.err != GW_OK));
	if (!o.err) {
		gw_buf_puts(&l->raw, gw_awsframe_rest(&f));
		assert_same(gw_buf_view(&l->raw), text); /* no byte lost, none twice */
	}
	gw_awsframe_done(&f);
	return o;
}

static inline struct outcome all_ways(struct gw_str text, struct log *whole)
{
	struct outcome o = run(whole, text, text.n, 0), got;
	struct log l;

	for (size_t step = 1; step <= 5; step++) {
		got = run(&l, text, 0, step);
		assert_int_equal(got.err, o.err);
		assert_int_equal(got.pending, got.err ? got.pending : o.pending);
		assert_same(gw_buf_view(&l.text), gw_buf_view(&whole->text));
		log_done(&l);
	}
	for (size_t cut = 0; cut <= text.n; cut += text.n > 6000 ? text.n / 300 : 1) {
		got = run(&l, text, cut, 0);
		assert_int_equal(got.err, o.err);
		assert_same(gw_buf_view(&l.text), gw_buf_view(&whole->text));
		log_done(&l);
	}
	return o;
}
