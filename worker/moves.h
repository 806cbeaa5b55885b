#pragma once
#include "core/dialect/needs.h"
#include "worker/req.h"

/* Moving on to another deployment of the model before anything was sent, because of what a dialect can carry (docs/DIALECTS.md):
 *
 *   refused      the request cannot be said at this provider (or not without loss, in strict mode): the next one is asked; only when nobody is
 *                left the client is told, by whom and why
 *   set aside    a part would be left out here, and an equal of this one (same priority, up) carries all: that one first; this one is still
 *                there if it fails
 *
 * Neither is an attempt: it costs no retry and counts against nobody. The record's attempt_log names who was passed over. */

/* send: the writer of a dialect has refused. is_unread: the fault is in what the client wrote, whoever it is for. */
void gw_moves_refused(struct gw_req *r, bool is_unread);
/* send: something would be left out here. True when that sets this one aside. */
bool gw_moves_is_set_aside(struct gw_req *r, const struct gw_needs *needs);
static inline bool gw_moves_is_passed_over(const struct gw_req *r)
{
	return r->at.is_refused || r->at.is_aside;
}
/* judge: notes it. False: nobody is left to ask, r->at and r->err_param hold what the client is told. Else r->kept lasts over the reset of the
 * arena that the caller makes (gw_moves_keep). */
bool gw_moves_pass_over(struct gw_req *r);
/* judge: an attempt failed and another one follows: what is told if that one, and all others, cannot carry the request. */
void gw_moves_note_failure(struct gw_req *r);
/* Nobody is left: r->at and r->err_param become what is kept. */
void gw_moves_tell_kept(struct gw_req *r);
/* Moves what is kept out of the attempt's memory: around gw_arena_reset. */
struct gw_moves_room {
	char param[200], detail[500];
	size_t param_n, detail_n;
};
void gw_moves_save(const struct gw_req *r, struct gw_moves_room *room);
void gw_moves_restore(struct gw_req *r, const struct gw_moves_room *room);
