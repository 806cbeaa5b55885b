/* AWS event stream messages (lib/awsframe.h): the reader gathers bytes until a message is whole and then reads it in one go, so that the
 * result cannot depend on how the bytes were cut. */
#include "lib/awsframe.h"

#include "lib/crc32.h"

enum { PRELUDE = 12, OVERHEAD = 16, KEEP_BYTES = 64 << 10, VALUE_MAX = 65535 };

void gw_awsframe_init(struct gw_awsframe *f, size_t max_bytes)
{
	*f = (struct gw_awsframe){ .max_bytes = max_bytes < GW_AWSFRAME_MAX ? max_bytes : GW_AWSFRAME_MAX };
	gw_buf_init(&f->held, f->max_bytes);
}

void gw_awsframe_done(struct gw_awsframe *f)
{
	gw_buf_done(&f->held);
}

struct gw_str gw_awsframe_rest(const struct gw_awsframe *f)
{
	return gw_buf_view(&f->held);
}

bool gw_awsframe_is_pending(const struct gw_awsframe *f)
{
	return gw_buf_len(&f->held) > 0;
}

static uint64_t be(const char *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | (uint8_t)p[i];
	return v;
}

static void fail(struct gw_awsframe *f, enum gw_err err, const char *why)
{
	f->err = err;
	f->why = why;
}

/* ---- reading ---- */

/* Bytes of a value whose length its type alone says; BYTES and STRING carry theirs. */
static size_t width_of(unsigned type)
{
	static const uint8_t widths[] = { [GW_AWS_INT8] = 1,  [GW_AWS_INT16] = 2,     [GW_AWS_INT32] = 4,
					  [GW_AWS_INT64] = 8, [GW_AWS_TIMESTAMP] = 8, [GW_AWS_UUID] = 16 };

	return type < sizeof(widths) ? widths[type] : 0;
}

static int64_t signed_of(const char *p, size_t n)
{
	switch (n) {
	case 1:
		return (int8_t)be(p, 1);
	case 2:
		return (int16_t)be(p, 2);
	case 4:
		return (int32_t)be(p, 4);
	default:
		return (int64_t)be(p, 8);
	}
}

/* One header off the front of *rest; false when it does not fit or is of no known type. */
static bool read_header(struct gw_str *rest, struct gw_aws_header *h)
{
	struct gw_str s = *rest;
	size_t n_name = s.n ? (uint8_t)s.p[0] : 0, n;

	if (n_name == 0 || s.n < n_name + 2)
		return false;
	*h = (struct gw_aws_header){ .name = gw_str(s.p + 1, n_name), .type = (uint8_t)s.p[1 + n_name] };
	s = gw_str_skip(s, n_name + 2);
	n = width_of(h->type);
	if (h->type > GW_AWS_UUID)
		return false;
	if (h->type == GW_AWS_BYTES || h->type == GW_AWS_STRING) {
		if (s.n < 2)
			return false;
		n = (size_t)be(s.p, 2);
		s = gw_str_skip(s, 2);
	}
	if (s.n < n)
		return false;
	if (h->type == GW_AWS_BYTES || h->type == GW_AWS_STRING || h->type == GW_AWS_UUID)
		h->bytes = gw_str(s.p, n);
	else
		h->number = n ? signed_of(s.p, n) : h->type == GW_AWS_TRUE;
	*rest = gw_str_skip(s, n);
	return true;
}

static void keep_known(struct gw_awsframe_message *m, const struct gw_aws_header *h)
{
	const struct {
		struct gw_str name;
		struct gw_str *to;
	} known[] = {
		{ GW_LIT(":message-type"), &m->message_type },     { GW_LIT(":event-type"), &m->event_type },
		{ GW_LIT(":exception-type"), &m->exception_type }, { GW_LIT(":content-type"), &m->content_type },
		{ GW_LIT(":error-code"), &m->error_code },         { GW_LIT(":error-message"), &m->error_message }
	};

	if (h->type != GW_AWS_STRING || h->name.p[0] != ':')
		return;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (gw_str_eq(h->name, known[i].name))
			*known[i].to = h->bytes;
	}
}

static bool read_headers(struct gw_awsframe *f, struct gw_str rest, struct gw_awsframe_message *m)
{
	uint32_t n = 0;

	while (rest.n) {
		struct gw_aws_header *h = &f->headers[n];

		if (n == GW_AWSFRAME_N_HEADERS) {
			fail(f, GW_E_TOO_BIG, "more headers in a message than are read");
			return false;
		}
		if (!read_header(&rest, h)) {
			fail(f, GW_E_UP_GARBLED, "a header does not fit its message or has an unknown type");
			return false;
		}
		for (uint32_t i = 0; i < n; i++) {
			if (gw_str_eq(f->headers[i].name, h->name)) {
				fail(f, GW_E_UP_GARBLED, "a header twice");
				return false;
			}
		}
		keep_known(m, h);
		n++;
	}
	m->headers = f->headers;
	m->n_headers = n;
	return true;
}

/* raw is one message by its length. */
static void deliver(struct gw_awsframe *f, struct gw_str raw, gw_awsframe_fn *fn, void *ctx)
{
	struct gw_awsframe_message m = { .raw = raw,
					 .message_type = GW_LIT(""),
					 .event_type = GW_LIT(""),
					 .exception_type = GW_LIT(""),
					 .content_type = GW_LIT(""),
					 .error_code = GW_LIT(""),
					 .error_message = GW_LIT("") };
	size_t n_headers = (size_t)be(raw.p + 4, 4);

	if (gw_crc32(0, raw.p, raw.n - 4) != be(raw.p + raw.n - 4, 4)) {
		fail(f, GW_E_UP_GARBLED, "checksum of a message");
		return;
	}
	m.payload = gw_str(raw.p + PRELUDE + n_headers, raw.n - n_headers - OVERHEAD);
	if (read_headers(f, gw_str(raw.p + PRELUDE, n_headers), &m))
		fn(ctx, &m);
}

/* Judges the first 12 bytes; sets f->want. The checksum first: a length that was damaged says nothing. */
static void read_prelude(struct gw_awsframe *f, const char *p)
{
	uint64_t total = be(p, 4), headers = be(p + 4, 4);

	if (gw_crc32(0, p, 8) != be(p + 8, 4))
		fail(f, GW_E_UP_GARBLED, "checksum of a prelude");
	else if (total < OVERHEAD || headers > total - OVERHEAD)
		fail(f, GW_E_UP_GARBLED, "lengths that do not fit each other");
	else if (headers > GW_AWSFRAME_HEADERS_MAX || total - OVERHEAD - headers > GW_AWSFRAME_PAYLOAD_MAX ||
		 total > f->max_bytes)
		fail(f, GW_E_TOO_BIG, "a message longer than its ceiling");
	else
		f->want = (size_t)total;
}

/* Moves up to `up_to` bytes of the message under way from *in to held; true when held has that many. */
static bool gather(struct gw_awsframe *f, struct gw_str *in, size_t up_to)
{
	size_t need = up_to - gw_buf_len(&f->held), n = in->n < need ? in->n : need;

	gw_buf_put(&f->held, in->p, n);
	*in = gw_str_skip(*in, n);
	if (f->held.err)
		fail(f, f->held.err, "no room for a message");
	return !f->err && n == need;
}

enum gw_err gw_awsframe_feed(struct gw_awsframe *f, const char *p, size_t n, gw_awsframe_fn *fn, void *ctx)
{
	struct gw_str in = gw_str(p, n);

	while (in.n && !f->err) {
		if (!gw_awsframe_is_pending(f) && in.n >= PRELUDE) {
			read_prelude(f, in.p);
			if (!f->err && in.n >= f->want) { /* whole: nothing is copied */
				deliver(f, gw_str(in.p, f->want), fn, ctx);
				in = gw_str_skip(in, f->want);
				f->want = 0;
				continue;
			}
		} else if (!f->want) {
			if (!gather(f, &in, PRELUDE))
				break;
			read_prelude(f, f->held.p + f->held.off);
		}
		if (f->err || !gather(f, &in, f->want))
			break;
		deliver(f, gw_buf_view(&f->held), fn, ctx);
		gw_buf_clear(&f->held, KEEP_BYTES);
		f->want = 0;
	}
	return f->err;
}

/* ---- writing ---- */

static void put_be(struct gw_buf *out, uint64_t v, size_t n)
{
	char b[8];

	for (size_t i = 0; i < n; i++)
		b[i] = (char)(v >> 8 * (n - 1 - i));
	gw_buf_put(out, b, n);
}

/* Bytes of the header, or 0 when it cannot be written. */
static size_t size_of(const struct gw_aws_header *h)
{
	size_t width = width_of(h->type), n = 2 + h->name.n + width;

	if (h->name.n == 0 || h->name.n > 255 || h->type > GW_AWS_UUID)
		return 0;
	if (h->type == GW_AWS_BYTES || h->type == GW_AWS_STRING)
		return h->bytes.n <= VALUE_MAX ? n + 2 + h->bytes.n : 0;
	if (h->type == GW_AWS_UUID)
		return h->bytes.n == 16 ? n : 0;
	if (width && width < 8) {
		int64_t limit = (int64_t)1 << (8 * width - 1);

		return h->number >= -limit && h->number < limit ? n : 0;
	}
	return n;
}

static void put_header(struct gw_buf *out, const struct gw_aws_header *h)
{
	put_be(out, h->name.n, 1);
	gw_buf_puts(out, h->name);
	put_be(out, h->type, 1);
	if (h->type == GW_AWS_BYTES || h->type == GW_AWS_STRING)
		put_be(out, h->bytes.n, 2);
	if (h->type == GW_AWS_BYTES || h->type == GW_AWS_STRING || h->type == GW_AWS_UUID)
		gw_buf_puts(out, h->bytes);
	else
		put_be(out, (uint64_t)h->number, width_of(h->type));
}

enum gw_err gw_awsframe_put(struct gw_buf *out, const struct gw_aws_header *headers, size_t n_headers,
			    struct gw_str payload)
{
	size_t begin, n = 0;

	if (n_headers > GW_AWSFRAME_N_HEADERS || payload.n > GW_AWSFRAME_PAYLOAD_MAX)
		return GW_E_TOO_BIG;
	for (size_t i = 0; i < n_headers; i++) {
		size_t k = size_of(&headers[i]);

		for (size_t j = 0; j < i; j++)
			k = gw_str_eq(headers[i].name, headers[j].name) ? 0 : k;
		if (k == 0)
			return GW_E_INVALID;
		n += k;
	}
	if (n > GW_AWSFRAME_HEADERS_MAX)
		return GW_E_TOO_BIG;
	if (out->err || !gw_buf_room(out, OVERHEAD + n + payload.n))
		return out->err;
	begin = out->n; /* asking for room may have moved it */
	put_be(out, OVERHEAD + n + payload.n, 4);
	put_be(out, n, 4);
	put_be(out, gw_crc32(0, out->p + begin, 8), 4);
	for (size_t i = 0; i < n_headers; i++)
		put_header(out, &headers[i]);
	gw_buf_puts(out, payload);
	put_be(out, gw_crc32(0, out->p + begin, out->n - begin), 4);
	return out->err;
}

static enum gw_err put_json(struct gw_buf *out, struct gw_str what, struct gw_str type, struct gw_str kind,
			    struct gw_str payload)
{
	const struct gw_aws_header h[] = {
		{ .name = what, .type = GW_AWS_STRING, .bytes = type },
		{ .name = GW_LIT(":content-type"), .type = GW_AWS_STRING, .bytes = GW_LIT("application/json") },
		{ .name = GW_LIT(":message-type"), .type = GW_AWS_STRING, .bytes = kind }
	};

	return gw_awsframe_put(out, h, sizeof(h) / sizeof(h[0]), payload);
}

enum gw_err gw_awsframe_put_event(struct gw_buf *out, struct gw_str event_type, struct gw_str payload)
{
	return put_json(out, GW_LIT(":event-type"), event_type, GW_LIT("event"), payload);
}

enum gw_err gw_awsframe_put_exception(struct gw_buf *out, struct gw_str exception_type, struct gw_str payload)
{
	return put_json(out, GW_LIT(":exception-type"), exception_type, GW_LIT("exception"), payload);
}
