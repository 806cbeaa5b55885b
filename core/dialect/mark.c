/* Marks on proofs of other makers (mark.h). */
#include "core/dialect/mark.h"

#include "core/provider.h"
#include "lib/text.h"

enum { PROOF_BYTES = 32 << 20 };

#define MARK       "llmgw."
#define MARK_BYTES "bGxtZ3cu" /* the same six bytes in base64, whatever follows them */

static struct gw_str maker_name(enum gw_dialect_id of)
{
	return of == GW_D_NONE ? GW_LIT("none") : gw_str_z(gw_dialect_name(of));
}

static struct gw_str as_bytes(struct gw_arena *a, struct gw_str s)
{
	struct gw_buf b;
	struct gw_str out;

	gw_buf_init(&b, PROOF_BYTES);
	gw_b64_put(&b, s.p, s.n);
	out = b.err ? GW_NIL : gw_arena_str(a, gw_buf_view(&b));
	gw_buf_done(&b);
	return out;
}

struct gw_str ir_mark_put(struct gw_arena *a, struct gw_str proof, enum gw_dialect_id of, enum gw_dialect_id own,
			  bool is_bytes)
{
	struct gw_str s;

	if (of == own && proof.n)
		return proof;
	if (!proof.n || (unsigned)of >= GW_D_COUNT)
		of = GW_D_NONE;
	if (of == GW_D_NONE)
		proof = GW_LIT("");
	s = gw_arena_printf(a, MARK "%.*s.%.*s", GW_FMT(maker_name(of)), GW_FMT(proof));
	return is_bytes && s.p ? as_bytes(a, s) : s;
}

void ir_mark_quote(struct gw_buf *b, struct gw_str proof, enum gw_dialect_id of, enum gw_dialect_id own)
{
	size_t at;

	if (of == own && proof.n) {
		gw_json_quote(b, proof);
		return;
	}
	if (!proof.n || (unsigned)of >= GW_D_COUNT)
		of = GW_D_NONE;
	gw_buf_puts(b, GW_LIT("\"" MARK));
	gw_buf_puts(b, maker_name(of));
	gw_buf_putc(b, '.');
	at = b->n;
	gw_json_quote(b, of == GW_D_NONE ? GW_LIT("") : proof);
	if (b->err)
		return;
	memmove(b->p + at, b->p + at + 1, b->n - at - 1); /* the quote that begins it */
	b->n--;
}

/* SDKs write base64 in either alphabet, with padding or without. */
static struct gw_str from_bytes(struct gw_arena *a, struct gw_str s)
{
	struct gw_buf b;
	struct gw_str out = GW_LIT("");
	bool is_ok;

	gw_buf_init(&b, PROOF_BYTES);
	is_ok = gw_b64_read(&b, s);
	if (!is_ok) {
		gw_buf_clear(&b, PROOF_BYTES);
		while (s.n && s.p[s.n - 1] == '=')
			s.n--;
		is_ok = gw_b64url_read(&b, s);
	}
	if (is_ok)
		out = gw_arena_str(a, gw_buf_view(&b));
	gw_buf_done(&b);
	return out;
}

struct gw_str ir_mark_take(struct gw_arena *a, struct gw_str proof, enum gw_dialect_id own, bool is_bytes,
			   enum gw_dialect_id *of)
{
	struct gw_str s = proof, maker, rest;

	*of = own;
	if (is_bytes) {
		if (!gw_str_has_prefix(proof, GW_LIT(MARK_BYTES)))
			return proof;
		s = from_bytes(a, proof);
		if (!s.p)
			return s;
	}
	if (!gw_str_has_prefix(s, GW_LIT(MARK)) || !gw_str_cut(gw_str_skip(s, sizeof(MARK) - 1), '.', &maker, &rest))
		return proof;
	for (unsigned i = 0; i <= GW_D_NONE; i++) {
		if (i == GW_D_COUNT || !gw_str_eq(maker, maker_name((enum gw_dialect_id)i)))
			continue;
		*of = (enum gw_dialect_id)i;
		return rest;
	}
	return proof;
}

/* Each body is looked through, so by the needle's rarest byte: from one to the next is a fifth of what memmem costs. */
static bool is_in(struct gw_str body, struct gw_str needle, char rare)
{
	size_t before = gw_str_find(needle, rare), at = before;

	while (at < body.n) {
		const char *hit = memchr(body.p + at, rare, body.n - at);

		if (!hit)
			return false;
		at = (size_t)(hit - body.p);
		if (body.n - at >= needle.n - before && memcmp(hit - before, needle.p, needle.n) == 0)
			return true;
		at++;
	}
	return false;
}

bool ir_mark_is_in(enum gw_dialect_id d, struct gw_str body)
{
	/* chat says whose proof it is in a member of its own, beside it */
	static const struct {
		struct gw_str needle;
		char rare;
	} marks[GW_D_COUNT][2] = {
#define NEEDLE(s, rare) { { s, sizeof(s) - 1 }, rare }
		[GW_D_OPENAI] = { NEEDLE("\"signature_of\"", '_') },
		[GW_D_RESPONSES] = { NEEDLE("\"" MARK, '.') },
		[GW_D_ANTHROPIC] = { NEEDLE("\"" MARK, '.') },
		[GW_D_GEMINI] = { NEEDLE("\"" MARK_BYTES, 'Z') },
		[GW_D_BEDROCK] = { NEEDLE("\"" MARK, '.'), NEEDLE("\"" MARK_BYTES, 'Z') },
#undef NEEDLE
	};

	for (unsigned i = 0; (unsigned)d < GW_D_COUNT && i < 2 && marks[d][i].needle.n; i++)
		if (is_in(body, marks[d][i].needle, marks[d][i].rare))
			return true;
	return false;
}
