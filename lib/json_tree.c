/* JSON into a tree whose memory is an arena's: for what is read, turned into something else and forgotten (dialects). Nothing is freed alone;
 * the arena's ceiling is the tree's. */
#include "lib/json_impl.h"

static void *tree_alloc(void *ctx, size_t n)
{
	return gw_alloc(ctx, n);
}

/* yyjson grows its block only while it reads, and tells what it had. */
static void *tree_grow(void *ctx, void *old, size_t had, size_t n)
{
	void *p;

	if (n <= had)
		return old;
	p = gw_alloc(ctx, n);
	if (p && old)
		memcpy(p, old, had);
	return p;
}

static void tree_free(void *ctx, void *p)
{
	(void)ctx;
	(void)p;
}

/* Behind the string that began before p. */
static const uint8_t *string_end(const uint8_t *p, const uint8_t *end)
{
	for (p = gw_json_plain_end(p, end); p < end && *p != '"'; p = gw_json_plain_end(p + 1, end)) {
		if (*p == '\\' && ++p == end)
			break;
	}
	return p;
}

/* Nesting deeper than max, strings passed over. */
static bool is_too_deep(struct gw_str text, uint32_t max)
{
	const uint8_t *p = (const uint8_t *)text.p, *end = p + text.n;
	uint32_t depth = 0;

	for (; p < end; p++) {
		if (*p == '{' || *p == '[') {
			if (++depth > max)
				return true;
		} else if (*p == '}' || *p == ']') {
			if (depth)
				depth--;
		} else if (*p == '"') {
			p = string_end(p + 1, end);
		}
	}
	return false;
}

static enum gw_err refuse(struct gw_json_fault *fault, size_t at, const char *what)
{
	if (fault)
		*fault = (struct gw_json_fault){ .offset = at, .line = 1, .column = 1, .what = what };
	return GW_E_SYNTAX;
}

enum gw_err gw_json_tree(struct gw_arena *a, struct gw_str text, const struct gw_json_limits *lim,
			 const yyjson_val **out, struct gw_json_fault *fault)
{
	const yyjson_alc alc = { tree_alloc, tree_grow, tree_free, a };
	yyjson_read_err why;
	yyjson_doc *doc;

	*out = NULL;
	if (lim) {
		enum gw_err err = gw_json_check(a, text, lim, NULL, 0, fault);

		if (err)
			return err;
	} else if (is_too_deep(text, gw_json_default_limits.max_depth)) {
		return refuse(fault, 0, "nested too deep");
	}
	/* the cast is safe: without YYJSON_READ_INSITU the text is copied, not written */
	doc = yyjson_read_opts((char *)(uintptr_t)text.p, text.n, YYJSON_READ_NOFLAG, &alc, &why);
	if (doc) {
		*out = yyjson_doc_get_root(doc);
		return GW_OK;
	}
	if (why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
		return GW_E_NOMEM;
	return refuse(fault, why.pos, why.msg);
}
