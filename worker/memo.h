#pragma once
#include "core/plan.h"
#include "lib/siphash.h"

/* What a worker remembers of its images between requests: the subject behind a token, and the plan for a model name of a team. Making them
 * anew takes a dozen look-ups in LMDB, parsing rows, and for a token three SHA-256 blocks; the same few come again and again.
 *
 * Rules that keep this from ever being seen:
 *   - an entry is made from one set of images and is used only while the worker serves just that set (`epoch`, raised at each swap);
 *   - only what may be used is remembered: refusals are worked out each time;
 *   - what changes without a swap is asked each time: expiry, the revocation cell, health, access lists of the subject;
 *   - entries hold copies and are immutable. A request holds a reference, not an image; the last reference gives the memory back;
 *   - tokens are found by a keyed hash with a random key of this process (lib/siphash.h), they are not kept.
 * Bounded by the number of slots and by GW_MEMO_MAX_BYTES: beyond that everything is forgotten. */
enum { GW_MEMO_SETS = 512, GW_MEMO_WAYS = 4, GW_MEMO_MAX_BYTES = 16 << 20, GW_MEMO_SPARE = 64 };
enum gw_memo_kind { GW_MEMO_WHO, GW_MEMO_WHERE, GW_MEMO_KINDS };

struct gw_memo {
	struct gw_memo *next; /* in the list of spare ones */
	enum gw_memo_kind kind;
	uint32_t refs; /* the table's own included */
	bool is_counted; /* in gw_memos.bytes */
	uint64_t epoch;
	struct gw_sip_tag tag;
	struct gw_subject subject; /* WHO */
	struct gw_plan plan; /* WHERE */
	struct gw_arena arena;
	char first[];
};

struct gw_memos {
	uint64_t epoch;
	bool has_key;
	struct gw_sip_key key[GW_MEMO_KINDS];
	size_t bytes; /* of all entries that are alive */
	uint32_t turn; /* which way of a full set goes next */
	struct gw_memo_slot {
		uint64_t tag;
		struct gw_memo *m;
	} slots[GW_MEMO_KINDS][GW_MEMO_SETS * GW_MEMO_WAYS];
	struct gw_memo *spare[GW_MEMO_KINDS];
	uint32_t n_spare[GW_MEMO_KINDS];
};

struct gw_worker;
/* The subject of this token; *out holds a reference. KEY_DISABLED comes with a subject when only the revocation cell says so, all other
 * errors without: BAD_KEY, KEY_DISABLED, KEY_EXPIRED, FORBIDDEN, NOMEM. Wants pepper and images. */
GW_MUST enum gw_err gw_memo_who(struct gw_worker *w, struct gw_str token, int64_t now_us, struct gw_memo **out);
/* The plan for this name, with the errors of gw_plan_resolve. */
GW_MUST enum gw_err gw_memo_where(struct gw_worker *w, const struct gw_subject *s, struct gw_str name,
				  struct gw_memo **out);
void gw_memo_unref(struct gw_worker *w, struct gw_memo *m);
/* Other images are served from now on: what is remembered is not used again. Key indexes stay good. */
void gw_memo_swapped(struct gw_worker *w);
/* The pepper changed, or the process ends: nothing is remembered any more. */
void gw_memo_forget(struct gw_worker *w);
