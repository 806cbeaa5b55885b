#pragma once
#include "lib/arena.h"
#include "lib/json.h"
#include "lib/sse.h"

/* OpenAI chat: client and provider speak the same dialect, so bytes pass and only what must change is spliced. */

/* What the gateway reads of a chat completions body. Texts are unescaped, in the arena. */
struct gw_chat_request {
	struct gw_str model;
	bool is_stream, wants_usage; /* stream_options.include_usage */
	struct gw_str user, session_id, action_id, tags; /* user/safety_identifier, metadata.* */
	int64_t max_tokens; /* max_completion_tokens or max_tokens, -1 = none */
	uint32_t n_messages;
	struct gw_json_span model_span, stream_span, stream_options_span, include_usage_span;
};
/* GW_E_SYNTAX, GW_E_INVALID, GW_E_MISSING: *param names the field ("messages", "stream_options.include_usage"), *why the words.
 * Checked: top level object; model non-empty string; messages non-empty array of objects with role; stream bool; stream_options
 * object only with stream true; n, max_tokens, max_completion_tokens integers >= 1 (or null); temperature, top_p numbers; tools array;
 * metadata object with string values; user string; unknown fields pass. Keys that differ from a chat field only in case are refused,
 * but for those inside free-form parts (JSON schemas of tools and response_format, metadata, ...), where they are the caller's own
 * words and no reader takes them for fields. */
GW_MUST enum gw_err gw_chat_read(struct gw_arena *a, struct gw_str body, struct gw_chat_request *out,
				 struct gw_str *param, struct gw_str *why);
/* The same when the URL has told the model (Azure): the body need not, and is not asked. path_model NIL: as above. */
GW_MUST enum gw_err gw_chat_read_at(struct gw_arena *a, struct gw_str body, struct gw_str path_model,
				    struct gw_chat_request *out, struct gw_str *param, struct gw_str *why);
/* The body to send as pieces (views into body and arena): model replaced; for streams include_usage set true. <= 8 pieces.
 * Everything else is byte-exact. */
GW_MUST enum gw_err gw_chat_splice(struct gw_arena *a, struct gw_str body, const struct gw_chat_request *rq,
				   struct gw_str upstream_model, struct gw_str pieces[8], uint32_t *n_pieces);

/* One event of the provider's stream, decided for the client. */
enum gw_chat_event_kind {
	GW_EV_PASS, /* forward raw bytes */
	GW_EV_DROP, /* usage chunk that the client did not ask for: nothing goes out */
	GW_EV_EDIT, /* forward `edited` instead (a "usage":null taken out) */
	GW_EV_DONE, /* [DONE] */
	GW_EV_ERROR /* an error object instead of a chunk */
};
struct gw_chat_event {
	enum gw_chat_event_kind kind;
	bool has_content; /* first text, reasoning, refusal or tool delta (role-only and comments do not count) */
	bool has_values; /* the event told something: `values` are its picks */
	struct gw_str edited; /* in scratch */
	struct gw_str
	    said; /* what the model wrote in it, a JSON value in the event's data; all of the data when it is in several places */
};
/* What lies around the text of the last plain chunk. Nearly all chunks of a stream differ from the one before in nothing but that text: then
 * the two mean the same, and the JSON is not looked at again. Zeroed at the beginning of each stream. */
enum { GW_CHAT_SHAPE_BYTES = 504 };
struct gw_chat_shape {
	uint16_t before_n, after_n; /* quotes included */
	uint16_t cut_back, cut_n; /* a "usage":null behind the text, counted from the end; 0 = there is none */
	char text[GW_CHAT_SHAPE_BYTES];
};
struct gw_scan_value;
/* values: the picks of this event by gw_usage_tree, if it tells something (usage, error, finish_reason, role). shape: may be NULL.
 * scratch: holds `edited` until the next call. GW_E_UP_GARBLED: not one JSON object; NOMEM, TOO_BIG. */
GW_MUST enum gw_err gw_chat_event(const struct gw_sse_event *ev, bool wants_usage, struct gw_chat_shape *shape,
				  struct gw_scan_value *values, struct gw_buf *scratch, struct gw_chat_event *out);
