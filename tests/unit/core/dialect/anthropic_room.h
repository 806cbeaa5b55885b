#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "core/dialect/anthropic/endpoints.h"
#include "core/error_body.h"
#include "core/provider.h"

/* A place to read and write this dialect in, for its tests. */
struct room {
	struct gw_arena a;
	struct gw_carry carry;
	struct ir_request rq;
	struct gw_buf out;
	struct gw_str param, why;
};

static inline int anthropic_set_up(void **state)
{
	static struct room r;

	r = (struct room){ 0 };
	gw_arena_init(&r.a, NULL, 0, 64 << 20);
	gw_buf_init(&r.out, 16 << 20);
	r.carry = (struct gw_carry){ .model = GW_LIT("alias"), .seed = 7, .wants_reasoning_text = true };
	*state = &r;
	return 0;
}

static inline int anthropic_tear_down(void **state)
{
	struct room *r = *state;

	gw_buf_done(&r->out);
	gw_arena_done(&r->a);
	return 0;
}

static inline const yyjson_val *tree(struct room *r, const char *text)
{
	const yyjson_val *root;

	if (gw_json_tree(&r->a, gw_str_z(text), NULL, &root, NULL))
		fail_msg("no JSON: %s", text);
	return root;
}

static inline void same_text(struct gw_str got, const char *want)
{
	if (!gw_str_eq(got, gw_str_z(want)))
		fail_msg("\n got %.*s\nwant %s", GW_FMT(got), want);
}

static inline void same_value(struct room *r, struct gw_str got, const char *want)
{
	const yyjson_val *a = NULL;

	if (gw_json_tree(&r->a, gw_arena_str(&r->a, got), NULL, &a, NULL) ||
	    !yyjson_equals((yyjson_val *)(uintptr_t)a, (yyjson_val *)(uintptr_t)tree(r, want)))
		fail_msg("\n got %.*s\nwant %s", GW_FMT(got), want);
}

static inline struct gw_str dropped(struct room *r)
{
	struct gw_str s = GW_LIT("");

	for (const struct ir_name *n = r->rq.dropped; n; n = n->next)
		s = gw_arena_printf(&r->a, "%.*s%s%.*s", GW_FMT(s), s.n ? " " : "", GW_FMT(n->name));
	return s;
}

static inline enum gw_err read_in(struct room *r, const char *text)
{
	r->rq = (struct ir_request){ .arena = &r->a };
	return gw_anthropic.read_request(&r->a, tree(r, text), &r->rq, &r->param, &r->why);
}

static inline enum gw_err write_as(struct room *r, enum gw_dialect_id source, const char *model, unsigned quirks)
{
	struct gw_write_opts o = {
		.model = gw_str_z(model), .quirks = quirks, .default_max_tokens = 4096, .carry = &r->carry
	};

	r->rq.source = source;
	gw_buf_clear(&r->out, 1 << 20);
	return gw_anthropic.write_request(&r->a, &r->rq, &o, &r->out, &r->param, &r->why);
}

#define T(name)  cmocka_unit_test_setup_teardown(name, anthropic_set_up, anthropic_tear_down)
#define ONE_USER "\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]"
