#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A view of bytes owned by somebody else. Passed by value; never NUL-terminated. */
struct gw_str {
	const char *p;
	size_t n;
};

#define GW_LIT(s) ((struct gw_str){ (s), sizeof(s) - 1 })
#define GW_NIL    ((struct gw_str){ NULL, 0 })
/* For printf("%.*s", GW_FMT(s)); never used with secrets, which are another type (lib/secret.h). */
#define GW_FMT(s) (int)(s).n, (s).p

static inline struct gw_str gw_str(const char *p, size_t n)
{
	return (struct gw_str){ p, n };
}
static inline struct gw_str gw_str_z(const char *z)
{
	return (struct gw_str){ z, z ? strlen(z) : 0 };
}
static inline bool gw_str_eq(struct gw_str a, struct gw_str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool gw_str_has_prefix(struct gw_str s, struct gw_str prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}
static inline struct gw_str gw_str_skip(struct gw_str s, size_t n)
{
	return s.n == 0 ? s : n >= s.n ? gw_str(s.p + s.n, 0) : gw_str(s.p + n, s.n - n);
}

/* ASCII case-insensitive equality (header names). Most pairs differ in length. */
bool gw_str_ieq_same_length(const char *a, const char *b, size_t n);
static inline bool gw_str_ieq(struct gw_str a, struct gw_str b)
{
	/* names of one length mostly differ at once: bit 5 aside, or for good */
	return a.n == b.n && (!a.n || (((a.p[0] ^ b.p[0]) & ~0x20) == 0 && gw_str_ieq_same_length(a.p, b.p, a.n)));
}
/* Order as memcmp, then by length. */
int gw_str_cmp(struct gw_str a, struct gw_str b);
/* First position of `c`, or s.n. */
size_t gw_str_find(struct gw_str s, char c);
/* Without leading and trailing SP and HTAB. */
struct gw_str gw_str_trim(struct gw_str s);
/* Whole string as decimal digits; false on empty, sign, other bytes or overflow. *out untouched on failure. */
bool gw_str_u64(struct gw_str s, uint64_t *out);
bool gw_str_i64(struct gw_str s, int64_t *out);
/* Cuts the part before the first `c` into *head, the rest after it into *tail; false when there is no `c` (head = s). */
bool gw_str_cut(struct gw_str s, char c, struct gw_str *head, struct gw_str *tail);
/* True when the bytes are valid UTF-8 (no surrogates, no overlong forms). */
bool gw_str_is_utf8(struct gw_str s);
