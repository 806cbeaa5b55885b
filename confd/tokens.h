#pragma once
#include "confd/server.h"

/* Tokens and temporary keys (confd/token.c; docs/adr/0013-tokens.md). */
enum { GW_TOKENS = 256 };

GW_MUST enum gw_err gw_tokens_init(struct gw_server *s);
/* Answers a LEASE of a credential that is fetched, now or when the fetch has ended. l: what it is fetched with. */
void gw_tokens_lease(struct gw_server *s, struct gw_peer *p, const struct gw_msg *m, const struct gw_leased *l);
/* The credential was revoked: its token goes at once. */
void gw_tokens_drop(struct gw_server *s, struct gw_str id);
void gw_tokens_tick(struct gw_server *s);
void gw_tokens_status(struct gw_server *s, struct gw_json_out *w);
