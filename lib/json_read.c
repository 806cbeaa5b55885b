/* JSON into a tree for cold paths (lib/json.h). gw_json_check decides what is accepted, so that there is one rule and
 * not two; yyjson builds the tree of what passed. */
#include "lib/json.h"

enum { SCRATCH_MAX = 64 << 20 };

static enum gw_err refuse(struct gw_json_fault *fault, enum gw_err err, size_t offset, const char *what)
{
	if (fault)
		*fault = (struct gw_json_fault){ .offset = offset, .line = 1, .column = 1, .what = what };
	return err;
}

enum gw_err gw_json_read(struct gw_str text, const struct gw_json_limits *lim, yyjson_doc **out,
			 struct gw_json_fault *fault)
{
	char first[4096];
	struct gw_arena a;
	enum gw_err err;
	yyjson_read_err why;

	*out = NULL;
	gw_arena_init(&a, first, sizeof(first), SCRATCH_MAX);
	err = gw_json_check(&a, text, lim, NULL, 0, fault);
	gw_arena_done(&a);
	if (err)
		return err;
	/* the cast is safe: without YYJSON_READ_INSITU the text is copied, not written */
	*out = yyjson_read_opts((char *)(uintptr_t)text.p, text.n, YYJSON_READ_NOFLAG, NULL, &why);
	if (*out)
		return GW_OK;
	if (why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
		return refuse(fault, GW_E_NOMEM, 0, "not enough memory");
	return refuse(fault, GW_E_SYNTAX, why.pos, why.msg);
}
