#pragma once
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/str.h"

/* Server-sent events (WHATWG HTML 9.2.6) cut out of a byte stream that arrives in pieces of any size. Lines end in
 * LF, CR or CRLF; a leading BOM is skipped; comments are passed over. An event ends at an empty line; unfinished
 * events at the end of the stream are not delivered (is_pending tells).
 *
 * Each event is delivered once with `raw`: its exact bytes, the closing empty line included (comments before it too),
 * so that a relay can forward it unchanged. Views are valid during the callback only. When an event lies whole in one
 * feed, raw points into the fed bytes and nothing is copied. */
struct gw_sse_event {
	struct gw_str raw;
	struct gw_str event; /* "" = message */
	struct gw_str data;  /* data lines joined by LF, last LF removed; has_data tells "no data line" from empty */
	struct gw_str id;
	bool has_data;
};
typedef void gw_sse_fn(void *ctx, const struct gw_sse_event *ev);

struct gw_sse {
	struct gw_buf held;  /* bytes of the event under way; ceiling max_event_bytes */
	struct gw_buf joined; /* data of multi-line events */
	size_t max_line_bytes;
	bool seen_any, last_cr;
	size_t line_start, scan_at; /* offsets in held / current input, private */
	uint64_t priv[4];
};

/* Defaults: 1 MiB a line, 4 MiB an event (RELIABILITY limits). */
void gw_sse_init(struct gw_sse *s, size_t max_line_bytes, size_t max_event_bytes);
void gw_sse_done(struct gw_sse *s);
/* GW_E_TOO_BIG when a line or an event passes its ceiling (sticky). */
GW_MUST enum gw_err gw_sse_feed(struct gw_sse *s, const char *p, size_t n, gw_sse_fn *fn, void *ctx);
/* Bytes of an unfinished event; empty when the stream ends cleanly. */
struct gw_str gw_sse_rest(const struct gw_sse *s);
