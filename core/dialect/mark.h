#pragma once
#include "core/dialect/ir.h"

/* Proofs of reasoning are for their maker alone. A client whose dialect has a place for a proof gets those of other makers too, marked:
 * "llmgw.<maker>.<proof>", "llmgw.none." for reasoning that came without one. It brings them back unread, the reader takes the mark off,
 * and the proof finds its maker again. What a maker gets in its own dialect as bytes must hold no mark: it would refuse the request. So such
 * bodies are looked for (ir_mark_is_in) and written anew by the IR, whose writers leave other makers' proofs out and say so. */

/* The proof as a client of dialect `own` gets it. is_bytes: the place holds base64. .p NULL: the arena is full. */
struct gw_str ir_mark_put(struct gw_arena *a, struct gw_str proof, enum gw_dialect_id of, enum gw_dialect_id own,
			  bool is_bytes);
/* The same as a JSON string, for places without base64. */
void ir_mark_quote(struct gw_buf *b, struct gw_str proof, enum gw_dialect_id of, enum gw_dialect_id own);
/* Takes the mark off. *of: the maker, `own` when there is no mark. The result is a view of `proof` or in the arena; .p NULL: the arena is full. */
struct gw_str ir_mark_take(struct gw_arena *a, struct gw_str proof, enum gw_dialect_id own, bool is_bytes,
			   enum gw_dialect_id *of);
/* Might a body of this dialect hold a mark? One cheap search; a false alarm costs time and nothing else. */
bool ir_mark_is_in(enum gw_dialect_id d, struct gw_str body);
