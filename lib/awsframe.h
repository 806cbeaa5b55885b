#pragma once
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/str.h"

/* Messages of application/vnd.amazon.eventstream (what Bedrock streams): cut out of a byte stream that arrives in pieces of any size,
 * and written. Big endian:
 *
 *   u32 total length | u32 length of the headers | u32 CRC-32 of these 8 bytes | headers | payload | u32 CRC-32 of all before it
 *   a header: u8 length of the name, name, u8 type, value
 *
 * Used like lib/sse.h: each message is delivered once; views are valid during the callback only; a message that lies whole in one feed
 * is not copied. Lengths are judged as soon as the first 12 bytes are there, before anything is kept for the message. */
enum {
	GW_AWSFRAME_HEADERS_MAX = 128 << 10, /* bytes of headers */
	GW_AWSFRAME_PAYLOAD_MAX = 24 << 20,
	GW_AWSFRAME_MAX = 16 + GW_AWSFRAME_HEADERS_MAX + GW_AWSFRAME_PAYLOAD_MAX,
	GW_AWSFRAME_N_HEADERS = 64 /* headers of one message; the format has no such limit, Bedrock sends three */
};

enum gw_aws_type {
	GW_AWS_TRUE,
	GW_AWS_FALSE,
	GW_AWS_INT8,
	GW_AWS_INT16,
	GW_AWS_INT32,
	GW_AWS_INT64,
	GW_AWS_BYTES,
	GW_AWS_STRING,
	GW_AWS_TIMESTAMP, /* Unix milliseconds */
	GW_AWS_UUID
};

struct gw_aws_header {
	struct gw_str name; /* 1..255 bytes */
	enum gw_aws_type type;
	int64_t number; /* of the INTs and TIMESTAMP; 1 of TRUE, 0 of FALSE */
	struct gw_str bytes; /* of BYTES, STRING (not checked for UTF-8) and UUID (16 bytes) */
};

struct gw_awsframe_message {
	struct gw_str raw; /* the message's exact bytes, for relays */
	struct gw_str payload;
	const struct gw_aws_header *headers;
	uint32_t n_headers;
	/* The string headers that say what it is; "" when there is none of that name and type. */
	struct gw_str message_type; /* event, exception, error */
	struct gw_str event_type, exception_type, content_type, error_code, error_message;
};
typedef void gw_awsframe_fn(void *ctx, const struct gw_awsframe_message *m);

struct gw_awsframe {
	struct gw_buf held; /* bytes of the message under way */
	size_t max_bytes; /* of one message */
	size_t want; /* bytes of the message under way, once its prelude was read; 0 before */
	const char *why; /* what was wrong, for the log; NULL while all is well */
	enum gw_err err;
	struct gw_aws_header headers[GW_AWSFRAME_N_HEADERS];
};

/* max_bytes: the caller's own ceiling of one message, at most GW_AWSFRAME_MAX counts. */
void gw_awsframe_init(struct gw_awsframe *f, size_t max_bytes);
void gw_awsframe_done(struct gw_awsframe *f);
/* Delivers each message that is complete. GW_E_TOO_BIG past a ceiling, GW_E_UP_GARBLED when a checksum, a length or a header is wrong; both
 * stay, `why` says more, and nothing is delivered after them (there is no way to find the next message). */
GW_MUST enum gw_err gw_awsframe_feed(struct gw_awsframe *f, const char *p, size_t n, gw_awsframe_fn *fn, void *ctx);
/* Bytes behind the last delivered message. All `raw` and this together are the input. */
struct gw_str gw_awsframe_rest(const struct gw_awsframe *f);
/* True when a message has begun and is not finished: at the end of the stream it was cut. */
bool gw_awsframe_is_pending(const struct gw_awsframe *f);

/* Appends one message. GW_E_TOO_BIG (a limit above, or out's ceiling), GW_E_INVALID (name empty or over 255 bytes, twice the same name, a
 * UUID that is not 16 bytes, bytes over 65,535, a number out of its type's range); then nothing was appended. */
GW_MUST enum gw_err gw_awsframe_put(struct gw_buf *out, const struct gw_aws_header *headers, size_t n_headers,
				    struct gw_str payload);
/* The usual three headers: `:event-type` or, of an exception, `:exception-type`; `:content-type` application/json; `:message-type`. */
GW_MUST enum gw_err gw_awsframe_put_event(struct gw_buf *out, struct gw_str event_type, struct gw_str payload);
GW_MUST enum gw_err gw_awsframe_put_exception(struct gw_buf *out, struct gw_str exception_type, struct gw_str payload);
