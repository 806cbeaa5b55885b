/* What all dialects share beside the IR: names changed on the way, frames both ways. */
#include "core/dialect/dialect.h"

struct gw_str gw_carry_name_back(const struct gw_carry *c, struct gw_str name)
{
	for (const struct gw_carry_name *n = c->names; n; n = n->next) {
		if (gw_str_eq(n->theirs, name))
			return n->ours;
	}
	return name;
}

bool gw_carry_name_note(struct gw_arena *a, struct gw_carry *c, struct gw_str ours, struct gw_str theirs)
{
	struct gw_carry_name *n;

	if (gw_str_eq(ours, theirs) || gw_str_eq(gw_carry_name_back(c, theirs), ours))
		return true;
	if (c->keep)
		a = c->keep;
	n = GW_NEW(a, struct gw_carry_name);
	if (!n)
		return false;
	*n = (struct gw_carry_name){ c->names, gw_arena_str(a, ours), gw_arena_str(a, theirs) };
	c->names = n;
	return n->ours.p && n->theirs.p;
}

enum gw_err gw_frame_tree(struct gw_stream_state *st, const struct gw_frame *f, const yyjson_val **root,
			  struct gw_str *kind)
{
	struct gw_str data = gw_str_trim(f->data);
	yyjson_val *type;
	enum gw_err e;

	*root = NULL;
	*kind = f->event;
	if (!data.n || gw_str_eq(data, GW_LIT("[DONE]")))
		return GW_OK;
	e = gw_json_tree(st->scratch, data, NULL, root, NULL);
	if (e)
		return e == GW_E_SYNTAX ? GW_E_UP_GARBLED : e;
	type = yyjson_is_obj((yyjson_val *)(uintptr_t)*root) ? gw_json_get(*root, GW_LIT("type")) : NULL;
	if (yyjson_is_str(type) && yyjson_get_len(type))
		*kind = gw_json_str(type);
	return GW_OK;
}

void gw_frame_sse(struct gw_buf *out, const char *event, struct gw_str json)
{
	if (event) {
		gw_buf_puts(out, GW_LIT("event: "));
		gw_buf_puts(out, gw_str_z(event));
		gw_buf_putc(out, '\n');
	}
	gw_buf_puts(out, GW_LIT("data: "));
	gw_buf_puts(out, json);
	gw_buf_puts(out, GW_LIT("\n\n"));
}
