#pragma once
#include <stdatomic.h>
#include <uv.h>
#include "lib/buf.h"
#include "lib/json.h"
#include "net/tls.h"

/* mockllm plays an OpenAI-compatible provider on loopback, well or badly, by script. It shares nothing with core/: what
 * it believes about the protocol is written here once more, so that the gateway and its judge cannot share a mistake.
 *
 *   mockllm.c          options, listening, one loop per thread
 *   mockllm_http.c     cutting requests out of the byte stream
 *   mockllm_conn.c     a connection: reading, TLS, the steps of an answer, closing well or badly
 *   mockllm_chat.c     chat completions and models, answered as a good provider would
 *   mockllm_script.c   the corpus of upstream faults by name; addresses that fail before a request is there
 *   mockllm_dns.c      a name server that fails, dawdles, changes its mind
 *   mockllm_endpoints.c  the endpoints beside chat
 *   mockllm_play.c    other providers' dialects, by files
 *   mockllm_fault.c    the table of faults: how a bad provider would
 *   mockllm_control.c  /mock/...: rules for the next requests, counters, what was received
 *
 * An answer is a chain of steps: each puts bytes into conn->out and names the next step (NULL = answer complete) and how
 * long to wait before it. The connection writes, waits, and calls the next one. */
enum mock_place { MOCK_SERVE, MOCK_MUTE, MOCK_HANG_UP, MOCK_REFUSE, MOCK_BLACKHOLE };
struct mock_conn;
struct mock_thread;
typedef void mock_step_fn(struct mock_conn *c);

struct mock_tune { /* what a request's answer looks like; the defaults are options, a request can change its own */
	uint64_t delay_ms, chunk_ms; /* before the first byte; between chunks */
	uint64_t chunks, bytes; /* content chunks of a stream; size of a whole answer's body */
	int64_t prompt_tokens, completion_tokens, cached_tokens; /* completion -1: as many as chunks, or 7 */
	uint64_t cut; /* chunks (or bytes of a whole body) before a cut or a stall */
};

struct mock_options {
	char host[64];
	uint16_t port;
	const char *port_file, *require_key, *cert_path, *key_path, *script_path;
	const char *scripts_path, *script_certs, *dns_host, *play_path;
	uint16_t dns_port;
	uint32_t threads, keep; /* keep: received requests held for /mock/stats */
	struct mock_tune tune;
};
extern struct mock_options mock_options;

enum { MOCK_MAX_REQUEST = 256 << 20, MOCK_MAX_OUT = 256 << 20 };

struct mock_request { /* views into conn->in */
	struct gw_str head; /* request line to empty line */
	struct gw_str method, path, query, authorization, api_key, fault;
	struct gw_str body;
	uint64_t content_length;
	bool is_chunked, is_close, is_http10, wants_continue, is_head_done;
	size_t wire_bytes; /* head and body as received */
};
enum mock_parse { MOCK_MORE, MOCK_HEAD, MOCK_WHOLE, MOCK_BAD };
/* HEAD is told once, as soon as the head is there; WHOLE when the body is too. */
enum mock_parse mock_request_parse(struct gw_buf *in, struct mock_request *rq);

struct mock_chat { /* what the answer needs to know of the request; copies */
	char model[160], tool[80], tool_choice_args[64];
	bool is_stream, wants_usage, is_tool_call;
	struct gw_buf text; /* what to say; empty: filler */
};

struct mock_fault {
	const char *name;
	mock_step_fn *start; /* NULL: `status` with an error body */
	int status;
	const char *doc;
};
const struct mock_fault *mock_fault_find(struct gw_str name);
const struct mock_fault *mock_fault_more(struct gw_str name); /* those of mockllm_script.c */
void mock_fault_list(void); /* for --help */

/* Scripts of a corpus, by id. */
bool mock_script_corpus(
    const char *folder); /* reads folder/cases.json; false when it names a script that is not there */
bool mock_script_open(const char *certs); /* the addresses that scripts need */
const char *mock_script_fault(struct gw_str id); /* NULL: no such script, or none of faults */
void mock_script_list(struct mock_conn *c);
/* Another address with a loop of its own; its port, 0 when it cannot be. */
uint16_t mock_place_open(struct mock_thread *t, enum mock_place place, const char *cert, const char *key);
bool mock_dns_open(uv_loop_t *loop, const char *host, uint16_t port);

enum mock_ending { MOCK_KEEP, MOCK_CLOSE, MOCK_CUT, MOCK_RST };

struct mock_thread {
	uv_loop_t loop;
	uv_tcp_t listener;
	struct gw_tls_ctx *tls;
	char *scratch; /* one read buffer for all connections */
	void *json_pool; /* memory for the tree of one request at a time */
	uv_thread_t id;
	uint32_t open; /* connections */
	enum mock_place place; /* MUTE never reads, HANG_UP closes at once */
	const char *always; /* the fault of every request here; NULL: as they say */
};
enum { MOCK_SCRATCH = 65536, MOCK_JSON_POOL = 1 << 20 };

struct mock_conn {
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_write_t write;
	struct mock_thread *thread;
	struct gw_tls *tls;
	struct gw_buf in, out, sending, body; /* body: scratch for a whole answer */
	struct mock_request rq;
	struct mock_chat chat;
	struct mock_tune tune;
	mock_step_fn *step;
	const struct mock_fault *fault;
	uint64_t wait_ms; /* set by a step: pause before the next one */
	uint64_t at; /* a step's own counter */
	uint64_t id, serial; /* connection number, request number */
	enum mock_ending ending;
	bool is_serving, is_sending, is_waiting, is_closing, is_running, dies_on_reuse, must_flush, is_shaken;
	int n_handles;
};

struct mock_conn *mock_conn_new(struct mock_thread *t);
void mock_conn_start(struct mock_conn *c); /* after accept */
/* Head of an answer. content_length < 0: chunked. extra: header lines with CRLF, or "". */
void mock_head(struct mock_conn *c, int status, const char *type, int64_t content_length, const char *extra);
void mock_chunk(struct mock_conn *c, struct gw_str bytes);
void mock_last_chunk(struct mock_conn *c);
/* A whole answer, and the end of it. */
void mock_whole(struct mock_conn *c, int status, const char *type, struct gw_str body, const char *extra);
void mock_error(struct mock_conn *c, int status, const char *type, const char *code, const char *message,
		const char *extra);

void mock_answer(struct mock_conn *c); /* a whole request is there: choose the first step */
void mock_answer_head(struct mock_conn *c); /* only its head: faults that do not wait for the body */
bool mock_play(struct mock_conn *c); /* an answer by a file of --play; false: there is none for it */
bool mock_endpoint(struct mock_conn *c); /* one of the other endpoints; false: no such path */
void mock_fault_now(struct mock_conn *c); /* the fault that was chosen */
void mock_chat_start(struct mock_conn *c); /* the good answer */
void mock_chat_json(struct mock_conn *c, struct gw_buf *b, const char *usage);
void mock_chat_event(struct mock_conn *c, const char *delta_json, const char *finish);
void mock_chat_usage_event(struct mock_conn *c, const char *usage);
void mock_usage(struct mock_conn *c, struct gw_buf *b);
bool mock_chat_piece(struct mock_conn *c); /* one content chunk; false when there was none left */
bool mock_chat_read(struct mock_conn *c); /* body -> chat, tune; false when it is no JSON object */
void mock_tune_read(struct gw_str words, struct mock_tune *t, char *fault, size_t n_fault);

/* Rules and counters shared by all threads. */
void mock_control_init(void);
bool mock_control_script(const char *path);
void mock_control(struct mock_conn *c);
/* A rule for this model (taken off its count): the fault's name in out, false when there is none. */
bool mock_rule_take(struct gw_str model, char *out, size_t n);
void mock_journal(struct mock_conn *c);
struct mock_counts {
	atomic_uint_fast64_t requests, accepted, open, cancelled, chat, streams, bytes_in, serial, tls_resumed;
};
extern struct mock_counts mock_counts;
