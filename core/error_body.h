#pragma once
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/str.h"

/* Errors: what a provider says is read into one row of errors.def (core/upstream_error.c), and told to clients from a small neutral
 * struct that the writer of each dialect takes. */

/* An error as it is told, whatever the client's dialect. All that may be shown is in it and nothing else is. */
struct gw_error_told {
	enum gw_err
	    err; /* the row: gw_err_info(err) has type, retry and doc; a dialect's own words for it are the writer's */
	int http; /* status of a whole reply */
	struct gw_str message; /* never empty; without the request id */
	struct gw_str param, code; /* may be NIL; code is the row's, or the provider's where the request is at fault */
	struct gw_str request_id; /* ours; put behind the message of errors of 500 and above by gw_error_put_message */
	uint64_t retry_after_ms; /* 0 = not told */
};
struct gw_upstream_error;
/* message NIL: the row's text. UP_AUTH, UP_BILLING, UP_PERMISSION, UP_REGION: message and param are not used, because the provider's words are
 * about our account. */
void gw_error_tell(struct gw_error_told *out, enum gw_err e, struct gw_str message, struct gw_str param,
		   struct gw_str request_id);
/* The same of an upstream error, with the provider's code and param where they are about the request (UP_BAD_REQUEST). */
void gw_error_tell_upstream(struct gw_error_told *out, const struct gw_upstream_error *ue, struct gw_str request_id);
/* The message as one JSON string, with the request id behind it for errors of 500 and above. */
void gw_error_put_message(struct gw_buf *out, const struct gw_error_told *told);

/* OpenAI's shape: {"error":{"message","type","param","code"}}, all four keys always. */
void gw_error_write_openai(struct gw_buf *out, const struct gw_error_told *told);
/* Shorter ways to it. */
void gw_error_body(struct gw_buf *out, enum gw_err e, struct gw_str message, struct gw_str param,
		   struct gw_str request_id);
/* The same as an SSE event of a stream that fails midway. */
void gw_error_event(struct gw_buf *out, enum gw_err e, struct gw_str message, struct gw_str request_id);

/* An upstream's error reply → our row (protocols of the providers): status first, then error.code / error.type, then, only for 400, 403, 413, 422, 429, 500,
 * the message. body is what was read of it (<= 64 KiB). message gets the provider's words, cut to 300 bytes, scrubbed: no secret given
 * in `secrets`, no bearer-like token, no URL, no address; NIL when the body is not JSON. */
struct gw_upstream_error {
	enum gw_err err;
	struct gw_str message, code, type, param;
	struct gw_str request_id; /* told in the body; for those that send no header */
	struct gw_str note; /* of a body that is no JSON: what it was, in our words, for the record */
	uint64_t retry_after_ms;
};
/* What there is of the reply. Views; all but status may be empty. */
struct gw_upstream_reply {
	int status; /* 0 or 2xx: an error inside of an answer that had begun */
	struct gw_str body, retry_after, retry_after_ms;
	uint64_t asked_ms; /* what the headers said, where they were read before */
	struct gw_str error_type; /* header x-amzn-errortype */
	const struct gw_str *secrets;
	uint32_t n_secrets;
};
/* Some vendors tell a failure as the reason why an answer ended ("error", "insufficient_system_resource"); OK: it is none. */
enum gw_err gw_upstream_finish_error(struct gw_str finish);
struct gw_arena;
/* Is this the body of an error, whatever its status says? Some providers answer 200 and tell the failure inside. */
bool gw_upstream_is_error(struct gw_arena *a, struct gw_str body);
void gw_upstream_error_take(struct gw_arena *a, const struct gw_upstream_reply *in, struct gw_upstream_error *out);
/* Headers that carry a provider's id of the request, the best first; ends with NULL. */
extern const char *const gw_upstream_id_headers[];
/* status 0 or 2xx: an error event of a stream, classified by its codes alone. */
void gw_upstream_error_read(struct gw_arena *a, int status, struct gw_str body, struct gw_str retry_after,
			    struct gw_str retry_after_ms, const struct gw_str *secrets, uint32_t n_secrets,
			    struct gw_upstream_error *out);
/* How long the provider asks to wait, at most a day; 0 = it does not say. now_s: Unix time, for dates; 0 = dates are not read. */
uint64_t gw_retry_after_ms(struct gw_str retry_after, struct gw_str retry_after_ms, int64_t now_s);
/* A date of HTTP in the one form that may be sent. */
bool gw_http_date_read(struct gw_str s, int64_t *unix_s);
/* The same from the words of a message in lower case: "please try again in 7m12s", "retry after 7 seconds". */
uint64_t gw_retry_words_ms(struct gw_str lower);
/* The same from the headers that tell when a rate is filled again: the longest of those rates of which nothing is left. `header` gives a
 * header's value or NIL. */
uint64_t gw_retry_reset_ms(struct gw_str (*header)(const void *from, struct gw_str name), const void *from,
			   int64_t now_s);
/* Removes secrets and anything that looks like one, URLs and IP addresses; result in the arena. */
struct gw_str gw_scrub(struct gw_arena *a, struct gw_str text, const struct gw_str *secrets, uint32_t n_secrets);
/* An upstream error in OpenAI's shape. */
void gw_upstream_error_body(struct gw_buf *out, const struct gw_upstream_error *ue, struct gw_str request_id);
