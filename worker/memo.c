/* Remembered subjects and plans, see memo.h. Two set-associative tables of pointers to counted entries. */
#include "worker/memo.h"

#include <stdlib.h>

#include "core/key.h"
#include "lib/crypto.h"
#include "worker/worker.h"

/* Room inside the entry; longer ones take more from the arena. */
enum { WHO_BYTES = 640, WHERE_BYTES = 3072, ENTRY_MAX_BYTES = 4 << 20, NAME_MAX_BYTES = 256 };

static size_t first_bytes(enum gw_memo_kind kind)
{
	return kind == GW_MEMO_WHO ? WHO_BYTES : WHERE_BYTES;
}

static size_t size_of(const struct gw_memo *m)
{
	return sizeof(*m) + m->arena.used_bytes;
}

/* ---- entries ---- */

static struct gw_memo *new_entry(struct gw_memos *t, enum gw_memo_kind kind, struct gw_sip_tag tag)
{
	struct gw_memo *m = t->spare[kind];

	if (m) {
		t->spare[kind] = m->next;
		t->n_spare[kind]--;
	} else {
		m = malloc(sizeof(*m) + first_bytes(kind));
		if (!m)
			return NULL;
	}
	*m = (struct gw_memo){ .kind = kind, .refs = 1, .epoch = t->epoch, .tag = tag };
	gw_arena_init(&m->arena, m->first, first_bytes(kind), ENTRY_MAX_BYTES);
	return m;
}

void gw_memo_unref(struct gw_worker *w, struct gw_memo *m)
{
	struct gw_memos *t = &w->memos;

	GW_REQUIRE(m->refs > 0);
	if (--m->refs > 0)
		return;
	if (m->is_counted)
		t->bytes -= size_of(m);
	gw_arena_done(&m->arena);
	if (t->n_spare[m->kind] >= GW_MEMO_SPARE) {
		free(m);
		return;
	}
	m->next = t->spare[m->kind];
	t->spare[m->kind] = m;
	t->n_spare[m->kind]++;
}

/* ---- tables ---- */

static struct gw_memo_slot *set_of(struct gw_memos *t, enum gw_memo_kind kind, struct gw_sip_tag tag)
{
	return &t->slots[kind][(tag.t[1] & (GW_MEMO_SETS - 1)) * GW_MEMO_WAYS];
}

static struct gw_memo *find(struct gw_memos *t, enum gw_memo_kind kind, struct gw_sip_tag tag)
{
	struct gw_memo_slot *set = set_of(t, kind, tag);

	for (int i = 0; i < GW_MEMO_WAYS; i++)
		if (set[i].tag == tag.t[0] && set[i].m && set[i].m->tag.t[1] == tag.t[1])
			return set[i].m;
	return NULL;
}

/* The slot of this tag, an empty one, an outdated one, or the next in turn. */
static struct gw_memo_slot *slot_for(struct gw_memos *t, struct gw_memo_slot *set, const struct gw_memo *m)
{
	struct gw_memo_slot *best = &set[t->turn++ % GW_MEMO_WAYS];
	int worth = 0;

	for (int i = 0; i < GW_MEMO_WAYS; i++) {
		const struct gw_memo *old = set[i].m;
		int w = !old                                                           ? 2
			: old->tag.t[0] == m->tag.t[0] && old->tag.t[1] == m->tag.t[1] ? 3
										       : old->epoch != t->epoch;

		if (w > worth) {
			worth = w;
			best = &set[i];
		}
	}
	return best;
}

static void keep(struct gw_worker *w, struct gw_memo *m)
{
	struct gw_memos *t = &w->memos;
	struct gw_memo_slot *slot;

	if (t->bytes + size_of(m) > GW_MEMO_MAX_BYTES)
		gw_memo_forget(w);
	slot = slot_for(t, set_of(t, m->kind, m->tag), m);
	if (slot->m)
		gw_memo_unref(w, slot->m);
	*slot = (struct gw_memo_slot){ m->tag.t[0], m };
	m->refs++;
	m->is_counted = true;
	t->bytes += size_of(m);
}

void gw_memo_swapped(struct gw_worker *w)
{
	w->memos.epoch++;
}

void gw_memo_forget(struct gw_worker *w)
{
	struct gw_memos *t = &w->memos;

	for (int k = 0; k < GW_MEMO_KINDS; k++) {
		for (int i = 0; i < GW_MEMO_SETS * GW_MEMO_WAYS; i++) {
			if (t->slots[k][i].m)
				gw_memo_unref(w, t->slots[k][i].m);
			t->slots[k][i] = (struct gw_memo_slot){ 0 };
		}
		for (struct gw_memo *m = t->spare[k], *next; m; m = next) {
			next = m->next;
			free(m);
		}
		t->spare[k] = NULL;
		t->n_spare[k] = 0;
	}
}

static struct gw_sip_key key_of(struct gw_memos *t, enum gw_memo_kind kind)
{
	if (!t->has_key) {
		gw_random(t->key, sizeof(t->key));
		t->has_key = true;
	}
	return t->key[kind];
}

/* ---- who ---- */

static enum gw_err make_who(struct gw_worker *w, const uint8_t index[32], int64_t now_us, struct gw_memo *m)
{
	struct gw_rows rows = gw_worker_rows(w);
	struct gw_str row;
	enum gw_err e = gw_image_key(&w->images, index, &row);

	if (e)
		return e == GW_E_NOT_FOUND ? GW_E_BAD_KEY : e;
	return gw_plan_subject(&m->arena, &rows, row, now_us, index, &m->subject);
}

enum gw_err gw_memo_who(struct gw_worker *w, struct gw_str token, int64_t now_us, struct gw_memo **out)
{
	struct gw_memos *t = &w->memos;
	struct gw_sip_tag tag = gw_siphash(key_of(t, GW_MEMO_WHO), token);
	struct gw_memo *m = find(t, GW_MEMO_WHO, tag), *old = m;
	enum gw_err e;

	if (m && m->epoch == t->epoch) {
		if (m->subject.expires_at_us && now_us >= m->subject.expires_at_us)
			return GW_E_KEY_EXPIRED;
		m->refs++;
	} else {
		uint8_t index[32];

		if (old) /* of other images: the row may have changed, the index has not */
			memcpy(index, old->subject.key_index, sizeof(index));
		else
			gw_key_index(w->pepper, token, index);
		m = new_entry(t, GW_MEMO_WHO, tag);
		if (!m)
			return GW_E_NOMEM;
		e = make_who(w, index, now_us, m);
		if (e) {
			gw_memo_unref(w, m);
			return e;
		}
		keep(w, m);
	}
	*out = m;
	return gw_revoke_has(w->revoke, gw_key_revoke_hash(m->subject.key_index)) ? GW_E_KEY_DISABLED : GW_OK;
}

/* ---- where ---- */

/* All of a subject that a plan depends on, but its access lists, and the name. Ids have no zero byte. */
static struct gw_sip_tag where_tag(struct gw_memos *t, const struct gw_subject *s, struct gw_str name)
{
	char text[2 * 64 + 2 + NAME_MAX_BYTES];
	const struct gw_str parts[3] = { s->org, s->team, name };
	size_t n = 0;

	for (int i = 0; i < 3; i++) {
		if (parts[i].n)
			memcpy(text + n, parts[i].p, parts[i].n);
		n += parts[i].n;
		if (i < 2)
			text[n++] = '\0';
	}
	return gw_siphash(key_of(t, GW_MEMO_WHERE), gw_str(text, n));
}

enum gw_err gw_memo_where(struct gw_worker *w, const struct gw_subject *s, struct gw_str name, struct gw_memo **out)
{
	struct gw_memos *t = &w->memos;
	bool may_keep = s->org.n <= 64 && s->team.n <= 64 && name.n <= NAME_MAX_BYTES;
	struct gw_sip_tag tag = may_keep ? where_tag(t, s, name) : (struct gw_sip_tag){ 0 };
	struct gw_memo *m = may_keep ? find(t, GW_MEMO_WHERE, tag) : NULL;
	struct gw_rows rows;
	enum gw_err e;

	if (m && m->epoch == t->epoch) {
		e = gw_plan_may_call(s, m->plan.name);
		if (!e) {
			m->refs++;
			*out = m;
		}
		return e;
	}
	m = new_entry(t, GW_MEMO_WHERE, tag);
	if (!m)
		return GW_E_NOMEM;
	rows = gw_worker_rows(w);
	e = gw_plan_resolve(&m->arena, &rows, s, name, &m->plan);
	if (e) {
		gw_memo_unref(w, m);
		return e;
	}
	if (may_keep)
		keep(w, m);
	*out = m;
	return GW_OK;
}
