#pragma once
#include "core/dialect/ir_reply.h"
#include "core/dialect/ir_text.h"
#include "core/estimate.h"

/* A wire format, in both directions (rows: schemas/dialects.def). Every function is pure: bytes and IR in, IR and bytes out, memory from
 * the arena given; no clock, no socket, no global. Bodies from clients were checked to have one meaning (lib/json.h); replies and events
 * come from providers and are hostile: any type anywhere, any nesting up to the reader's limit, any size up to its ceiling. */

struct gw_error_told; /* core/error_body.h */

enum gw_framing {
	GW_FRAMING_SSE, /* text/event-stream */
	GW_FRAMING_AWS, /* application/vnd.amazon.eventstream */
	GW_FRAMING_ARRAY, /* one JSON array, its elements as they come: Gemini without alt=sse; written only, never asked for */
	GW_FRAMING_LINES /* a JSON object a line */
};

/* What the reply's translation must know of the request; outlives the attempt's IR (in the request's arena). */
struct gw_carry {
	struct gw_str model; /* the name that the client used: what it reads back */
	struct gw_str request_id; /* 36 characters */
	uint64_t seed; /* of made-up ids */
	int64_t now_s; /* Unix time of the request, for "created" */
	bool is_stream, wants_usage; /* the client asked for usage in the stream (OpenAI stream_options) */
	enum gw_framing framing; /* of the client's stream */
	bool is_json_tool; /* the schema was asked for by way of a forced tool; its arguments are the text */
	struct gw_str json_tool;
	struct gw_str
	    asked; /* the client's body: for an estimate of the input when the provider is silent. NIL: there is none */
	enum gw_estimate_family family; /* of the provider's model */
	bool wants_reasoning_text; /* false: the client's dialect has none and did not ask */
	struct gw_arena
	    *keep; /* for names: lasts as long as the request, unlike the attempt's arena; NULL: the one given */
	struct gw_carry_name *customs; /* tools of free text that the provider knows as functions (custom.h): `ours` */
	struct gw_carry_name *names; /* tool names that had to be changed on the way to the provider */
	struct gw_str
	    echo; /* what the client's dialect repeats of the request in its reply: write_echo; n = 0: nothing */
	/* of a stream that an error breaks: where it was. Number of the next event, id and time of the reply; 0 and NIL: not known */
	uint64_t seq;
	struct gw_str reply_id;
	int64_t reply_created;
};
struct gw_carry_name {
	struct gw_carry_name *next;
	struct gw_str ours, theirs; /* as the client knows it; as the provider does */
};
/* The client's name of a tool; `name` itself when it was not changed. */
struct gw_str gw_carry_name_back(const struct gw_carry *c, struct gw_str name);
bool gw_carry_name_note(struct gw_arena *a, struct gw_carry *c, struct gw_str ours, struct gw_str theirs);

/* How a request is written for one deployment. */
struct gw_write_opts {
	struct gw_str model; /* upstream's name of it; not written when the dialect has it in the path */
	uint64_t quirks; /* GW_Q_* of the provider's row */
	int64_t default_max_tokens; /* for dialects that require one: 4096 unless the deployment says otherwise */
	struct gw_carry *carry; /* gets names and the json tool */
	bool needs_usage; /* streams must tell it, whether the client asked or not */
};

struct gw_path_in {
	struct gw_str base; /* base path of the provider, "" or "/v1" */
	struct gw_str model;
	bool is_stream;
};

/* One direction of one stream: what must be remembered between events. `keep` lasts as long as the stream and is small (ceiling: names
 * and ids, never texts); `scratch` is reset after each event. */
struct gw_stream_state {
	const struct gw_dialect *d;
	struct gw_arena *keep, *scratch;
	const struct gw_carry *carry;
	void *own; /* gw_dialect.reader_bytes or .writer_bytes, zeroed */
	/* kept up by dialects that number their events: gw_carry.seq, .reply_id, .reply_created */
	uint64_t seq;
	struct gw_str id;
	int64_t created;
};
/* One frame: an SSE event (name and data) or an AWS message (name = :event-type or :exception-type, payload). */
struct gw_frame {
	struct gw_str event; /* "" = none */
	struct gw_str data;
	bool is_exception; /* AWS :message-type exception or error */
};

struct gw_dialect {
	enum gw_dialect_id id;
	const char *name; /* "anthropic" */
	enum gw_framing framing; /* of its streams when it is the provider */
	bool is_serial; /* its streams want one block at a time */
	size_t reader_bytes, writer_bytes; /* of gw_stream_state.own */

	/* GW_E_INVALID, GW_E_MISSING (*param, *why as core/passthru.h), GW_E_NOMEM. `root` is the checked body's tree. */
	enum gw_err (*read_request)(struct gw_arena *a, const yyjson_val *root, struct ir_request *out,
				    struct gw_str *param, struct gw_str *why);
	/* Members of the request that replies repeat, as they stand in an object, without braces; NULL: there are none. */
	void (*write_echo)(const yyjson_val *root, struct gw_buf *out);
	/* Appends one JSON body. What it cannot carry goes to ir_drop. GW_E_INVALID with *why: it cannot be said at all in this dialect (n > 1,
	 * an image kind): told to the client as a bad request. */
	enum gw_err (*write_request)(struct gw_arena *a, struct ir_request *in, const struct gw_write_opts *o,
				     struct gw_buf *body, struct gw_str *param, struct gw_str *why);
	/* The client's body for a provider of this very dialect, which holds proofs of other makers (mark.h): without them, what was left out noted
	 * in notes->dropped. NULL: reading and writing it does that. */
	enum gw_err (*write_home)(struct gw_arena *a, const yyjson_val *root, const struct gw_write_opts *o,
				  struct ir_request *notes, struct gw_buf *body);
	/* A quick look at the bytes of such a body: might other vendors have had a hand in it, beyond what marks tell (calls of theirs)? False is
	 * certain. NULL: it does not matter to this provider. */
	bool (*may_be_mixed)(struct gw_str body, struct gw_str model);
	/* Path and query of the call, percent-encoded. */
	void (*write_path)(const struct gw_path_in *in, struct gw_buf *out);

	/* GW_E_UP_GARBLED: it cannot be read as a reply. */
	enum gw_err (*read_reply)(struct gw_arena *a, const yyjson_val *root, const struct gw_carry *c,
				  struct ir_reply *out);
	enum gw_err (*write_reply)(struct gw_arena *a, const struct ir_reply *in, const struct gw_carry *c,
				   struct gw_buf *body);

	/* Any number of events to `fn`. GW_E_UP_GARBLED; what fn returned. */
	enum gw_err (*read_event)(struct gw_stream_state *st, const struct gw_frame *f, ir_event_fn *fn, void *ctx);
	/* The connection has ended: whole (END is sent if it was not yet) or GW_E_UP_CUT. */
	enum gw_err (*read_end)(struct gw_stream_state *st, ir_event_fn *fn, void *ctx);
	/* Any number of frames, in the client's framing (carry.framing), to `out`. Not called with ERROR. */
	enum gw_err (*write_event)(struct gw_stream_state *st, const struct ir_event *ev, struct gw_buf *out);

	/* Frees what the writer of a stream grew beside the arenas (texts that must go out whole); NULL: nothing. Called once, also after errors. */
	void (*writer_done)(struct gw_stream_state *st);

	/* An error in this dialect's shape: whole, and as the last frame of a stream. */
	void (*write_error)(const struct gw_error_told *t, struct gw_buf *out);
	void (*write_error_event)(const struct gw_error_told *t, const struct gw_carry *c, struct gw_buf *out);
};
extern const struct gw_dialect gw_openai, gw_responses, gw_anthropic, gw_gemini, gw_bedrock, gw_cohere;
/* NULL for GW_D_NONE and unknown words. */
const struct gw_dialect *gw_dialect_of(enum gw_dialect_id id);
const struct gw_dialect *gw_dialect_find(struct gw_str name);

/* An error as clients of this dialect read it; NONE, and dialects that are not linked: OpenAI's shape. */
int gw_dialect_error_status(enum gw_dialect_id id,
			    enum gw_err e); /* the row's, but where a dialect has one of its own */
void gw_dialect_error(enum gw_dialect_id id, const struct gw_error_told *t, struct gw_buf *out);

/* The head of reading a frame whose object names its kind. *root NULL: there is nothing in it (blank, "[DONE]"). kind: the member "type",
 * else the frame's own name. The tree lasts as long as the event. GW_E_UP_GARBLED: no JSON. */
GW_MUST enum gw_err gw_frame_tree(struct gw_stream_state *st, const struct gw_frame *f, const yyjson_val **root,
				  struct gw_str *kind);
/* Frames, for writers. The AWS ones need lib/awsframe. */
void gw_frame_sse(struct gw_buf *out, const char *event /* NULL: none */, struct gw_str json);
