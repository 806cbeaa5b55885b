/* Texts of the IR that dialects spell differently: arguments as object or string, data URLs, names and ids that must fit a pattern. */
#include "core/dialect/ir_text.h"

#include "lib/json_write.h"
#include "lib/siphash.h"

enum { ID_ALPHABET = 62 };
static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

struct gw_str ir_args_object(struct gw_arena *a, struct gw_str args, bool *was_object)
{
	struct gw_str t = args;
	const yyjson_val *root;
	struct gw_mark mark = gw_arena_mark(a);

	while (t.n && (*t.p == ' ' || *t.p == '\n' || *t.p == '\r' || *t.p == '\t'))
		t = gw_str_skip(t, 1);
	while (t.n && (t.p[t.n - 1] == ' ' || t.p[t.n - 1] == '\n' || t.p[t.n - 1] == '\r' || t.p[t.n - 1] == '\t'))
		t.n--;
	*was_object = true;
	if (!t.n || gw_str_eq(t, GW_LIT("null")))
		return GW_LIT("{}");
	if (*t.p == '{' && gw_json_tree(a, t, NULL, &root, NULL) == GW_OK) {
		gw_arena_reset(a, mark);
		return t;
	}
	*was_object = false;
	struct gw_buf b;
	struct gw_str out;

	gw_buf_init(&b, 6 * args.n + 64);
	gw_buf_puts(&b, GW_LIT("{\"arguments\":"));
	gw_json_quote(&b, args);
	gw_buf_putc(&b, '}');
	out = b.err ? GW_NIL : gw_arena_str(a, gw_buf_view(&b));
	gw_buf_done(&b);
	return out;
}

struct gw_str ir_text_of(struct gw_arena *a, const struct ir_block *blocks, struct gw_str between)
{
	const struct ir_block *b, *only = NULL;
	size_t n = 0, texts = 0;
	char *p;

	for (b = blocks; b; b = b->next) {
		if (b->kind != IR_TEXT || !b->text.n)
			continue;
		n += b->text.n + (texts++ ? between.n : 0);
		only = b;
	}
	if (texts == 0)
		return gw_str("", 0);
	if (texts == 1)
		return only->text;
	p = gw_alloc_bytes(a, n);
	if (!p)
		return GW_NIL;
	n = 0;
	for (b = blocks; b; b = b->next) {
		if (b->kind != IR_TEXT || !b->text.n)
			continue;
		if (n && between.n) {
			memcpy(p + n, between.p, between.n);
			n += between.n;
		}
		memcpy(p + n, b->text.p, b->text.n);
		n += b->text.n;
	}
	return gw_str(p, n);
}

bool ir_data_url(struct gw_str url, struct gw_str *mime, struct gw_str *data)
{
	struct gw_str head, tail;

	if (url.n < 5 || !gw_str_ieq(gw_str(url.p, 5), GW_LIT("data:")))
		return false;
	if (!gw_str_cut(gw_str_skip(url, 5), ',', &head, &tail) || head.n < 7 ||
	    !gw_str_ieq(gw_str_skip(head, head.n - 7), GW_LIT(";base64")))
		return false;
	head.n -= 7;
	head.n = gw_str_find(head, ';'); /* parameters such as charset mean nothing to providers */
	*mime = gw_str_ieq(head, GW_LIT("image/jpg")) ? GW_LIT("image/jpeg") : head;
	*data = tail;
	return true;
}

static bool is_safe(char c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != ',';
}

static void put_safe(struct gw_buf *b, struct gw_str s)
{
	size_t from = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (is_safe(s.p[i]))
			continue;
		gw_buf_put(b, s.p + from, i - from);
		from = i + 1;
	}
	gw_buf_put(b, s.p + from, s.n - from);
}

void ir_write_data_url(struct gw_json_out *w, struct gw_str mime, struct gw_str data)
{
	gw_jw_raw(w, GW_LIT("\"data:"));
	put_safe(w->b, mime);
	gw_buf_puts(w->b, GW_LIT(";base64,"));
	put_safe(w->b, data);
	gw_buf_putc(w->b, '"');
}

/* Fixed: the same name gives the same result in every request, or prompt caches would miss. */
static const struct gw_sip_key hash_key = { { UINT64_C(0x6c6c6d6777206972), UINT64_C(0x6e616d6573206f66) } };

struct gw_str ir_tool_name(struct gw_arena *a, struct gw_str name, size_t max)
{
	static const char hex[] = "0123456789abcdef";
	bool fits = name.n > 0 && name.n <= max;
	uint64_t h;
	size_t n;
	char *p;

	for (size_t i = 0; fits && i < name.n; i++) {
		char c = name.p[i];

		fits =
		    (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
	}
	if (fits)
		return name;
	h = gw_siphash(hash_key, name).t[0];
	n = name.n + 9 <= max ? name.n : max - 9;
	p = gw_alloc_bytes(a, n + 9);
	if (!p)
		return GW_NIL;
	for (size_t i = 0; i < n; i++) {
		char c = name.p[i];
		bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';

		p[i] = ok ? c : '_';
	}
	p[n++] = '_';
	for (int i = 0; i < 8; i++)
		p[n++] = hex[h >> (4 * i) & 15];
	return gw_str(p, n);
}

struct gw_str ir_make_id(struct gw_arena *a, const char *prefix, uint64_t seed, uint64_t counter, size_t n)
{
	struct gw_str pre = gw_str_z(prefix);
	uint64_t in[2] = { seed, counter }, h = 0;
	char *p = gw_alloc_bytes(a, pre.n + n);

	if (!p)
		return GW_NIL;
	memcpy(p, pre.p, pre.n);
	for (size_t i = 0; i < n; i++) {
		if (i % 10 == 0) {
			h = gw_siphash(hash_key, gw_str((const char *)in, sizeof(in))).t[0];
			in[1] += UINT64_C(1) << 32;
		}
		p[pre.n + i] = letters[h % ID_ALPHABET];
		h /= ID_ALPHABET;
	}
	return gw_str(p, pre.n + n);
}
