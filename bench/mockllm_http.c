/* Requests out of bytes: enough HTTP/1.1 for a client that is under test, strict about what it would notice. The body of
 * a chunked request is decoded in place. */
#include <ctype.h>
#include "bench/mockllm.h"

static void take_header(struct mock_request *rq, struct gw_str name, struct gw_str value)
{
	switch (name.n) {
	case 6:
		if (gw_str_ieq(name, GW_LIT("expect")))
			rq->wants_continue = true;
		break;
	case 7:
		if (gw_str_ieq(name, GW_LIT("api-key")))
			rq->api_key = value;
		break;
	case 9:
		if (gw_str_ieq(name, GW_LIT("x-api-key")))
			rq->api_key = value;
		break;
	case 10:
		if (gw_str_ieq(name, GW_LIT("connection")))
			rq->is_close = gw_str_ieq(value, GW_LIT("close"));
		break;
	case 12:
		if (gw_str_ieq(name, GW_LIT("x-mock-fault")))
			rq->fault = value;
		break;
	case 13:
		if (gw_str_ieq(name, GW_LIT("authorization")))
			rq->authorization = value;
		break;
	case 14:
		if (gw_str_ieq(name, GW_LIT("content-length")) && !gw_str_u64(value, &rq->content_length))
			rq->content_length = UINT64_MAX;
		break;
	case 17:
		if (gw_str_ieq(name, GW_LIT("transfer-encoding")))
			rq->is_chunked = gw_str_ieq(value, GW_LIT("chunked"));
		break;
	default:
		break;
	}
}

static bool parse_head(struct mock_request *rq, struct gw_str head)
{
	struct gw_str line, rest, target, version, name, value;

	if (!gw_str_cut(gw_str(head.p, head.n - 2), '\n', &line, &rest) || line.n < 2)
		return false;
	line.n--;
	if (!gw_str_cut(line, ' ', &rq->method, &rest) || !gw_str_cut(rest, ' ', &target, &version))
		return false;
	rq->is_http10 = gw_str_eq(version, GW_LIT("HTTP/1.0"));
	if (!rq->is_http10 && !gw_str_eq(version, GW_LIT("HTTP/1.1")))
		return false;
	gw_str_cut(target, '?', &rq->path, &rq->query);
	rq->is_close = rq->is_http10;
	rest = gw_str_skip(gw_str(head.p, head.n - 2), line.n + 2);
	while (rest.n > 0) {
		gw_str_cut(rest, '\n', &line, &rest);
		if (line.n < 2 || line.p[line.n - 1] != '\r')
			return false;
		line.n--;
		if (!gw_str_cut(line, ':', &name, &value))
			return false;
		take_header(rq, name, gw_str_trim(value));
	}
	rq->head = head;
	return rq->content_length <= MOCK_MAX_REQUEST;
}

/* Walks the chunked body that begins at `at`; with decode the data is moved together. *used is what it took on the wire. */
static enum mock_parse walk_chunks(struct gw_buf *in, size_t at, bool decode, struct gw_str *body, size_t *used)
{
	char *p = in->p + in->off + at, *end = in->p + in->n, *to = p, *from = p, *nl;
	size_t n;

	do {
		nl = memchr(from, '\n', (size_t)(end - from));
		if (!nl)
			return MOCK_MORE;
		for (n = 0; from < nl && isxdigit((unsigned char)*from) && n <= MOCK_MAX_REQUEST; from++)
			n = n * 16 + (size_t)(*from <= '9' ? *from - '0' : (*from | 32) - 'a' + 10);
		from = nl + 1;
		if (n > MOCK_MAX_REQUEST)
			return MOCK_BAD;
		if (n > 0 && (size_t)(end - from) < n + 2)
			return MOCK_MORE;
		if (decode)
			memmove(to, from, n);
		to += n;
		from += n ? n + 2 : 0;
	} while (n > 0);
	for (;;) { /* trailers */
		nl = memchr(from, '\n', (size_t)(end - from));
		if (!nl)
			return MOCK_MORE;
		n = (size_t)(nl - from);
		from = nl + 1;
		if (n <= 1)
			break;
	}
	*body = gw_str(p, (size_t)(to - p));
	*used = (size_t)(from - p);
	return MOCK_WHOLE;
}

enum mock_parse mock_request_parse(struct gw_buf *in, struct mock_request *rq)
{
	struct gw_str v = gw_buf_view(in);
	size_t used, head_bytes;
	char *end;

	end = v.n ? memmem(v.p, v.n, "\r\n\r\n", 4) : NULL;
	if (!end)
		return v.n > (1 << 20) ? MOCK_BAD : MOCK_MORE;
	head_bytes = (size_t)(end - v.p) + 4;
	if (!rq->is_head_done || rq->head.p != v.p) { /* the buffer may have moved since */
		bool was_told = rq->is_head_done;

		*rq = (struct mock_request){ 0 };
		if (!parse_head(rq, gw_str(v.p, head_bytes)))
			return MOCK_BAD;
		rq->is_head_done = true;
		if (!was_told)
			return MOCK_HEAD;
	}
	if (rq->is_chunked) {
		enum mock_parse r = walk_chunks(in, head_bytes, false, &rq->body, &used);

		if (r == MOCK_WHOLE)
			r = walk_chunks(in, head_bytes, true, &rq->body, &used);
		rq->wire_bytes = head_bytes + used;
		return r;
	}
	if (v.n - head_bytes < rq->content_length)
		return MOCK_MORE;
	rq->body = gw_str(v.p + head_bytes, rq->content_length);
	rq->wire_bytes = head_bytes + rq->content_length;
	return MOCK_WHOLE;
}
