#pragma once
#include "worker/talk.h"

/* Questions with one answer that no dialect of conversations is about: embeddings, reranking, counts of tokens. They go the way of a talk
 * (talk.h), but body, path and reply are written and read by one of these. Memory: the talk's arena, until the answer is there. */
struct gw_single {
	/* Body of the (next) call to t->body, its path to `path`; what reading needs is kept at t->asked. r->err_param and r->at.detail say
	 * why not. */
	GW_MUST enum gw_err (*write)(struct gw_req *r, const struct gw_candidate *c, struct gw_talk *t,
				     struct gw_buf *path);
	/* The reply's tree; the client's answer to t->out. GW_E_AGAIN: there is more to ask first. */
	GW_MUST enum gw_err (*read)(struct gw_req *r, struct gw_talk *t, const yyjson_val *root);
	/* Which part of the question the call under way is about, in words; NIL: it is all of it. NULL: it always is. */
	struct gw_str (*part)(struct gw_req *r, const struct gw_talk *t);
};
/* relay: a call of several has failed; tells which. */
void gw_single_say_part(struct gw_req *r);
/* NULL: it is a conversation, or bytes that pass. */
const struct gw_single *gw_single_of(const struct gw_req *r, const struct gw_candidate *c);
/* The client's body as a tree. */
GW_MUST enum gw_err gw_single_tree(struct gw_req *r, struct gw_talk *t, const yyjson_val **root);
/* GW_E_INVALID for a model whose provider has nothing of the kind. */
GW_MUST enum gw_err gw_single_refuse(struct gw_req *r, const struct gw_candidate *c, const char *what);
/* A reader's or writer's fault, in words that last. */
GW_MUST enum gw_err gw_single_fault(struct gw_req *r, enum gw_err e, struct gw_str param, struct gw_str why);

extern const struct gw_single gw_single_embed, gw_single_rerank; /* embed.c */
