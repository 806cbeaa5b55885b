#pragma once
#include "core/dialect/openai/openai.h"
#include "core/provider.h"

/* What the writers of messages share. */

static inline bool openai_has(const struct openai_write *x, uint64_t quirks)
{
	return (x->o->quirks & quirks) != 0;
}

/* The blocks of a turn, one message behind the other. */
struct openai_turn {
	const struct ir_message *first, *end;
	bool is_kept; /* one message from this dialect, written as it was; else anew */
};
#define OPENAI_BLOCKS(t, m, b)                                                                                         \
	for (const struct ir_message *m = (t)->first; m != (t)->end; m = m->next)                                      \
		for (const struct ir_block *b = m->role == (t)->first->role ? m->blocks : NULL; b; b = b->next)

void openai_open_message(struct openai_write *x, const char *role);
/* "content" of a message as it was: a string, null, or the list. */
void openai_write_content(struct openai_write *x, const struct openai_turn *t);
/* Name and unknown members of the turn's first message; what the provider refuses is noted. */
void openai_write_rest(struct openai_write *x, const struct openai_turn *t);
/* A message of the model. */
void openai_write_said(struct openai_write *x, const struct openai_turn *t, bool is_last);
