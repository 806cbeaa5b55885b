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
 * feed, raw points into the fed bytes and nothing is copied.
 * Blocks without a data line (comments alone, `event:` alone, superfluous empty lines) are no events in the sense of
 * the standard; they are delivered too, with has_data = false, so that their bytes can be relayed in time. */
struct gw_sse_event {
	struct gw_str raw;
	struct gw_str event; /* "" = message */
	struct gw_str data; /* data lines joined by LF, last LF removed; has_data tells "no data line" from empty */
	struct gw_str id;
	bool has_data;
};
typedef void gw_sse_fn(void *ctx, const struct gw_sse_event *ev);

struct gw_sse {
	struct gw_buf held; /* bytes of the event under way; ceiling max_event_bytes */
	struct gw_buf joined; /* data of multi-line events */
	struct gw_buf last_id; /* the id persists from event to event */
	size_t max_line_bytes, max_event_bytes;
	/* state of the line scan, private */
	size_t line_bytes, block_bytes; /* of the line and of the event under way */
	uint8_t line_end; /* how the line before this one ended */
	bool last_cr; /* the last byte was a CR that ended a line */
	bool wait_lf; /* the event is complete but for the LF that probably follows its CR */
	bool is_comment; /* the line under way begins with ':' */
	bool has_field; /* a line that is no comment ended in this event */
	bool past_first; /* an event was delivered: no BOM can come any more */
	uint8_t bom; /* bytes of a leading BOM seen; 4 = past the beginning */
	enum gw_err err;
};

/* Defaults: 1 MiB a line, 4 MiB an event (RELIABILITY limits). */
void gw_sse_init(struct gw_sse *s, size_t max_line_bytes, size_t max_event_bytes);
void gw_sse_done(struct gw_sse *s);
/* GW_E_TOO_BIG when a line or an event passes its ceiling (sticky). */
GW_MUST enum gw_err gw_sse_feed(struct gw_sse *s, const char *p, size_t n, gw_sse_fn *fn, void *ctx);
/* The stream has ended: delivers an event whose closing line ended in a CR that could have been half of a CRLF. */
GW_MUST enum gw_err gw_sse_end(struct gw_sse *s, gw_sse_fn *fn, void *ctx);
/* Bytes behind the last delivered event. All `raw` and this together are the input. */
struct gw_str gw_sse_rest(const struct gw_sse *s);
/* True when an event has begun and is not finished; a left-over comment or line end does not count. */
bool gw_sse_is_pending(const struct gw_sse *s);
