#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "core/dialect/translate.h"
#include "core/error_body.h"
#include "core/provider.h"
#include "lib/text.h"

/* A place to translate in, for tests of dialects: bodies in, bodies out, compared by value. */

struct room {
	struct gw_arena a, keep;
	struct gw_buf out;
	struct gw_carry carry;
	struct gw_told told;
	struct gw_translate_out said;
};

static inline void room_open(struct room *r)
{
	*r = (struct room){ 0 };
	gw_arena_init(&r->a, NULL, 0, 64 << 20);
	gw_arena_init(&r->keep, NULL, 0, 1 << 20);
	gw_buf_init(&r->out, 16 << 20);
	r->carry = (struct gw_carry){ .model = GW_LIT("alias"),
				      .request_id = GW_LIT("01234567-89ab-7cde-8f01-23456789abcd"),
				      .seed = 7,
				      .now_s = 1700000000,
				      .wants_usage = true,
				      .wants_reasoning_text = true };
}

static inline void room_close(struct room *r)
{
	gw_buf_done(&r->out);
	gw_arena_done(&r->keep);
	gw_arena_done(&r->a);
}

static inline const yyjson_val *room_tree(struct room *r, struct gw_str text)
{
	const yyjson_val *root = NULL;

	if (gw_json_tree(&r->a, gw_arena_str(&r->a, text), NULL, &root, NULL))
		fail_msg("no JSON: %.*s", GW_FMT(text));
	return root;
}

static inline bool room_equal(yyjson_val *a, yyjson_val *b)
{
	if (yyjson_is_num(a) && yyjson_is_num(b))
		return yyjson_get_num(a) == yyjson_get_num(b);
	if (yyjson_get_type(a) != yyjson_get_type(b))
		return false;
	if (yyjson_is_obj(a)) {
		yyjson_obj_iter it;
		yyjson_val *k;

		if (yyjson_obj_size(a) != yyjson_obj_size(b))
			return false;
		yyjson_obj_iter_init(a, &it);
		while ((k = yyjson_obj_iter_next(&it))) {
			yyjson_val *other = yyjson_obj_getn(b, yyjson_get_str(k), yyjson_get_len(k));

			if (!other || !room_equal(yyjson_obj_iter_get_val(k), other))
				return false;
		}
		return true;
	}
	if (yyjson_is_arr(a)) {
		yyjson_arr_iter it;
		yyjson_val *x;
		size_t i = 0;

		if (yyjson_arr_size(a) != yyjson_arr_size(b))
			return false;
		yyjson_arr_iter_init(a, &it);
		while ((x = yyjson_arr_iter_next(&it))) {
			if (!room_equal(x, yyjson_arr_get(b, i++)))
				return false;
		}
		return true;
	}
	return yyjson_equals(a, b);
}

static inline void room_same(struct room *r, struct gw_str got, const char *want)
{
	if (!room_equal((yyjson_val *)(uintptr_t)room_tree(r, got),
			(yyjson_val *)(uintptr_t)room_tree(r, gw_str_z(want))))
		fail_msg("\n got %.*s\nwant %s", GW_FMT(got), want);
}

static inline enum gw_err room_request(struct room *r, const struct gw_dialect *from, const struct gw_dialect *to,
				       const char *model, uint64_t quirks, const char *body)
{
	const struct gw_str path_model = GW_LIT("alias");
	struct gw_translate_in in = {
		.from = from,
		.to = to,
		.body = gw_str_z(body),
		.wants_needs = true,
		.path_model = from->id == GW_D_GEMINI || from->id == GW_D_BEDROCK ? &path_model : NULL,
		.opts = { .model = gw_str_z(model), .quirks = quirks, .default_max_tokens = 4096, .carry = &r->carry }
	};

	gw_buf_clear(&r->out, SIZE_MAX);
	r->said = (struct gw_translate_out){ .body = &r->out };
	return gw_translate_request(&r->a, &r->keep, &in, &r->said);
}

static inline void room_gives(struct room *r, const struct gw_dialect *from, const struct gw_dialect *to,
			      const char *model, uint64_t quirks, const char *body, const char *want,
			      const char *dropped)
{
	enum gw_err e = room_request(r, from, to, model, quirks, body);

	if (e)
		fail_msg("%s: %.*s %.*s\n%s", gw_err_info(e)->name, GW_FMT(r->said.param), GW_FMT(r->said.why), body);
	room_same(r, gw_buf_view(&r->out), want);
	if (!gw_str_eq(r->said.dropped, gw_str_z(dropped)))
		fail_msg("dropped %.*s, not %s\n%s", GW_FMT(r->said.dropped), dropped, body);
}

static inline void room_refuses(struct room *r, const struct gw_dialect *from, const struct gw_dialect *to,
				const char *model, const char *body, const char *param)
{
	enum gw_err e = room_request(r, from, to, model, 0, body);

	if ((e != GW_E_INVALID && e != GW_E_MISSING) || !gw_str_eq(r->said.param, gw_str_z(param)) ||
	    r->said.why.n < 10)
		fail_msg("%d, param %.*s, not %s (%.*s)\n%s", (int)e, GW_FMT(r->said.param), param, GW_FMT(r->said.why),
			 body);
}

static inline enum gw_err room_reply(struct room *r, const struct gw_dialect *from, const struct gw_dialect *to,
				     const char *body)
{
	gw_buf_clear(&r->out, SIZE_MAX);
	r->told = (struct gw_told){ 0 };
	return gw_translate_reply(&r->a, from, to, &r->carry, gw_str_z(body), &r->out, &r->told);
}

/* The stream in two pieces cut at `at`. */
static inline enum gw_err room_stream(struct room *r, const struct gw_dialect *from, const struct gw_dialect *to,
				      struct gw_str in, size_t at)
{
	struct gw_translate t;
	enum gw_err e;

	gw_buf_clear(&r->out, SIZE_MAX);
	if (gw_translate_open(&t, from, to, &r->carry))
		fail();
	e = gw_translate_feed(&t, gw_str(in.p, at), &r->out);
	if (!e)
		e = gw_translate_feed(&t, gw_str_skip(in, at), &r->out);
	if (!e)
		e = gw_translate_end(&t, &r->out);
	r->told = t.told;
	r->told.finish = gw_arena_str(&r->a, t.told.finish);
	gw_translate_close(&t);
	return e;
}

static inline bool room_has(struct room *r, const char *text)
{
	struct gw_str s = gw_buf_view(&r->out);
	size_t n = strlen(text);

	for (size_t i = 0; i + n <= s.n; i++) {
		if (!memcmp(s.p + i, text, n))
			return true;
	}
	return false;
}
