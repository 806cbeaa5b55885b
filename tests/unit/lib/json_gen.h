#pragma once
/* Random JSON for the lib/json tests: documents, and damage done to them. Included once per program, after util.h. */
#include "lib/json.h"

UNUSED static void gen_space(struct gw_buf *b)
{
	static const char *const spaces[] = { "", "", "", "", " ", "\n", "\t ", "\r\n" };

	gw_buf_puts(b, gw_str_z(spaces[rng_below(N_OF(spaces))]));
}

UNUSED static void gen_string(struct gw_buf *b, bool is_key)
{
	static const char *const pieces[] = { "a",
					      "b",
					      "key",
					      "\\n",
					      "\\\"",
					      "\\\\",
					      "\\u0061",
					      "\\u00e9",
					      "\xc3\xa9",
					      "\\ud83d\\ude00",
					      "\xf0\x9f\x98\x80",
					      "\\/",
					      "\\u0000",
					      " ",
					      "longer text without anything special in it",
					      "\xe4\xb8\xad\xe6\x96\x87" };
	size_t n = is_key ? 1 + rng_below(3) : rng_below(6);

	gw_buf_putc(b, '"');
	for (size_t i = 0; i < n; i++)
		gw_buf_puts(b, gw_str_z(pieces[rng_below(N_OF(pieces))]));
	if (is_key) /* mostly different */
		gw_buf_put_u64(b, rng_below(rng_below(20) ? 1000000 : 10));
	gw_buf_putc(b, '"');
}

UNUSED static void gen_number(struct gw_buf *b)
{
	static const char *const picks[] = { "0",
					     "-0",
					     "0.0",
					     "-0.0",
					     "1e5",
					     "1E-5",
					     "1.5e+3",
					     "9223372036854775807",
					     "-9223372036854775808",
					     "18446744073709551615",
					     "18446744073709551616",
					     "1e308",
					     "-1.7976931348623157e308",
					     "5e-324",
					     "1e-400",
					     "123456789012345678901234567890",
					     "0.1",
					     "3.141592653589793238462643383279" };

	if (rng_below(2))
		gw_buf_puts(b, gw_str_z(picks[rng_below(N_OF(picks))]));
	else
		gw_buf_put_i64(b, (int64_t)rng() >> rng_below(64));
}

UNUSED static void gen_value(struct gw_buf *b, unsigned depth)
{
	static const char *const words[] = { "true", "false", "null" };
	size_t kind = rng_below(depth < 6 ? 7 : 4), n;

	gen_space(b);
	switch (kind) {
	case 0:
	case 1:
		gen_string(b, false);
		break;
	case 2:
		gen_number(b);
		break;
	case 3:
		gw_buf_puts(b, gw_str_z(words[rng_below(3)]));
		break;
	case 4:
		n = rng_below(5);
		gw_buf_putc(b, '[');
		gen_space(b);
		for (size_t i = 0; i < n; i++) {
			if (i)
				gw_buf_putc(b, ',');
			gen_value(b, depth + 1);
		}
		gw_buf_putc(b, ']');
		break;
	default:
		n = rng_below(depth == 0 && rng_below(4) == 0 ? 60 : 6);
		gw_buf_putc(b, '{');
		gen_space(b);
		for (size_t i = 0; i < n; i++) {
			if (i)
				gw_buf_putc(b, ',');
			gen_space(b);
			gen_string(b, true);
			gen_space(b);
			gw_buf_putc(b, ':');
			gen_value(b, depth + 1);
		}
		gw_buf_putc(b, '}');
	}
	gen_space(b);
}

/* Damages n_edits places: other bytes, gone bytes, doubled stretches. */
UNUSED static void gen_damage(struct gw_buf *b, size_t n_edits)
{
	static const char bytes[] = "\"\\{}[]:,0123456789eE+-.tfn ul\n\x01\x7f\x80\xbf\xc3\xed\xf0\xff";

	for (size_t i = 0; i < n_edits && b->n; i++) {
		size_t at = rng_below(b->n), len = 1 + rng_below(8);
		char copy[8];

		switch (rng_below(3)) {
		case 0:
			b->p[at] = bytes[rng_below(sizeof(bytes))];
			break;
		case 1:
			memmove(b->p + at, b->p + at + 1, b->n - at - 1);
			b->n--;
			break;
		default:
			len = len > b->n - at ? b->n - at : len;
			memcpy(copy, b->p + at, len);
			gw_buf_put(b, copy, len);
		}
	}
}
