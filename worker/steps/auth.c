/* auth: the key's row, its org, team and user; the START record. From here on the request owes an END. */
#include "core/key.h"
#include "lib/sys/clock.h"
#include "worker/req.h"

/* The keyed hash costs more than the rest of the look-up, and the same few keys come again and again: it is remembered under the SHA-256 of
 * the token, which opens nothing by itself. */
static void index_of(struct gw_worker *w, struct gw_str token, uint8_t index[32])
{
	uint8_t sha[32];
	struct gw_key_memo *m;

	gw_sha256(token, sha);
	m = &w->memo[(sha[0] | sha[1] << 8) & (GW_KEY_MEMOS - 1)];
	if (!m->is_set || memcmp(m->sha, sha, 32) != 0) {
		memcpy(m->sha, sha, 32);
		gw_key_index_of_sha256(w->pepper, sha, m->index);
		m->is_set = true;
	}
	memcpy(index, m->index, 32);
}

static enum gw_err look_up(struct gw_req *r)
{
	struct gw_worker *w = r->w;
	struct gw_rows rows = gw_worker_rows(w);
	struct gw_str row;
	uint8_t index[32];
	enum gw_err e;

	if (!w->pepper || !w->images.image[GW_IMAGE_CONFIG])
		return GW_E_NOT_READY;
	index_of(w, r->token_header, index);
#ifdef GW_PLANT_leak_key
	r->rec.action_id = gw_arena_str(&r->arena, gw_str_skip(r->token_header, r->token_header.n / 2));
#endif
	r->token_header = GW_NIL;
	e = gw_image_key(&w->images, index, &row);
	if (e)
		return e == GW_E_NOT_FOUND ? GW_E_BAD_KEY : e;
	if (gw_revoke_has(w->revoke, gw_key_revoke_hash(index)))
		e = GW_E_KEY_DISABLED;
	enum gw_err subject = gw_plan_subject(&r->arena, &rows, row, gw_unix_us(), index, &r->subject);
	return e ? e : subject;
}

static void name_subject(struct gw_req *r)
{
	r->rec.key = r->subject.key;
	r->rec.org = r->subject.org;
	r->rec.team = r->subject.team;
	if (r->subject.user.n)
		r->rec.user = r->subject.user;
	r->rec.generation = r->w->images.generation;
}

enum gw_step_id gw_step_auth(struct gw_req *r)
{
	enum gw_err e = r->err ? r->err : look_up(r); /* before: no key, or two */

	if (!r->subject.key.n) {
		gw_count(&r->w->page->metric[GW_M_requests_unauthenticated], 1);
		return gw_req_fail(r, e ? e : GW_E_BUG, GW_NIL);
	}
	name_subject(r);
	enum gw_err started = gw_record_start(r);
	if (started)
		return gw_req_fail(r, started, GW_NIL);
	if (e)
		return gw_req_fail(r, e, GW_NIL);
	if (r->parse_err) {
		r->err_param = r->parse_param;
		return gw_req_fail(r, r->parse_err, r->parse_why);
	}
	return r->endpoint->id == GW_EP_CHAT ? GW_STEP_resolve : GW_STEP_models;
}
