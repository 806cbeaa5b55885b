#pragma once
#include <llhttp.h>
#include "lib/buf.h"
#include "net/upstream.h"

/* Answers out of bytes: llhttp in its strict form (every lenient flag off) and the rules on top of it. The plainest of answers, those with
 * their head in one piece and a length, are read without it. No sockets, no loop: the fuzzer drives it directly. Hostile input throughout. */
enum {
	GW_H1P_HEAD_BYTES = 64 << 10, /* names and values of one head */
	GW_H1P_HEADERS = 128,
	GW_H1P_INTERIM = 16, /* 1xx answers before the real one */
	GW_H1P_TRAILER_BYTES = 16 << 10,
	GW_H1P_CHUNK_EXT_BYTES = 16 << 10
};

/* A head while it is read. Most connections are not reading one, so those that are borrow it from all of their loop. */
struct gw_h1p_head {
	struct gw_h1p_head *next;
	struct gw_buf bytes; /* of names and values, one behind the other */
	const char *from; /* NULL: rows lie in bytes; else there, while on_head runs */
	struct {
		uint32_t at, name_n, value_at, value_n;
	} rows[GW_H1P_HEADERS];
};
struct gw_h1p_heads {
	struct gw_h1p_head *spare;
	uint32_t n_spare;
};
void gw_h1p_heads_done(struct gw_h1p_heads *s);

struct gw_h1p {
	llhttp_t p;
	struct gw_h1p_heads *heads;
	struct gw_h1p_head *head; /* NULL: none is under way */
	uint32_t n_headers, n_interim, n_trailer_bytes, n_ext_bytes;
	int64_t content_length, left; /* left: of a plain answer's body */
	int status;
	enum gw_err err;
	const char *why; /* a literal */
	bool is_begun, is_plain; /* a byte has come; llhttp does not see this answer */
	bool is_head_request, has_head, is_done, has_te, in_value;
	/* true = go on; false = stop parsing at once (the request is gone) */
	bool (*on_head)(void *ctx);
	bool (*on_body)(void *ctx, struct gw_str piece);
	void *ctx;
};

/* heads: shared by the parsers of one loop. */
void gw_h1p_init(struct gw_h1p *h, struct gw_h1p_heads *heads);
void gw_h1p_done(struct gw_h1p *h);
/* Before each request. */
void gw_h1p_start(struct gw_h1p *h, bool is_head_request);
/* GW_OK with is_done or not; *used < n when bytes follow a finished answer. GW_E_UP_GARBLED, GW_E_UP_TOO_BIG, GW_E_NOMEM. */
GW_MUST enum gw_err gw_h1p_feed(struct gw_h1p *h, const char *p, size_t n, size_t *used);
/* The peer closed: GW_OK when that ends the answer (body without a length), GW_E_UP_CUT when it was on its way, GW_E_UP_RESET
 * when there was no head yet. */
GW_MUST enum gw_err gw_h1p_eof(struct gw_h1p *h);
/* Whether the connection may serve another request after this finished answer. */
bool gw_h1p_may_reuse(const struct gw_h1p *h);
/* Views into the head; valid during on_head. */
void gw_h1p_headers(const struct gw_h1p *h, struct gw_up_header out[GW_H1P_HEADERS]);
