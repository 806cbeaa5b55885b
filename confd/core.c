/* One call's memory and words, and the list of things that follow a commit. */
#include "confd/core.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/sys/clock.h"
#include "lib/yaml.h"

enum { MAX_EFFECT_BYTES = 64 << 20 };

void gw_effects_init(struct gw_effects *fx)
{
	*fx = (struct gw_effects){ 0 };
	gw_buf_init(&fx->keys, MAX_EFFECT_BYTES);
	gw_buf_init(&fx->revoke, MAX_EFFECT_BYTES);
	gw_buf_init(&fx->unrevoke, MAX_EFFECT_BYTES);
	gw_buf_init(&fx->drop, MAX_EFFECT_BYTES);
}

void gw_effects_done(struct gw_effects *fx)
{
	gw_buf_done(&fx->keys);
	gw_buf_done(&fx->revoke);
	gw_buf_done(&fx->unrevoke);
	gw_buf_done(&fx->drop);
}

struct gw_effects_mark gw_effects_mark(const struct gw_effects *fx)
{
	return (struct gw_effects_mark){ fx->is_config_changed, fx->has_audit,  fx->keys.n,
					 fx->revoke.n,          fx->unrevoke.n, fx->drop.n };
}

void gw_effects_reset(struct gw_effects *fx, struct gw_effects_mark m)
{
	fx->is_config_changed = m.is_config_changed;
	fx->has_audit = m.has_audit;
	fx->keys.n = m.keys;
	fx->revoke.n = m.revoke;
	fx->unrevoke.n = m.unrevoke;
	fx->drop.n = m.drop;
}

void gw_ctx_init(struct gw_ctx *c, struct gw_core *core)
{
	*c = (struct gw_ctx){ .core = core, .now_us = gw_unix_us(), .status = 200, .doc = -1 };
	gw_arena_init(&c->arena, NULL, 0, GW_CALL_MEMORY);
}

void gw_ctx_done(struct gw_ctx *c)
{
	for (struct gw_doc_node *d = c->docs; d != NULL; d = d->next)
		yyjson_doc_free(d->doc);
	c->docs = NULL;
	gw_yaml_pos_free(c->pos);
	c->pos = NULL;
	gw_arena_done(&c->arena);
}

enum gw_err gw_ctx_keep(struct gw_ctx *c, yyjson_doc *doc)
{
	struct gw_doc_node *node = GW_NEW(&c->arena, struct gw_doc_node);

	if (node == NULL) {
		yyjson_doc_free(doc);
		return GW_E_NOMEM;
	}
	*node = (struct gw_doc_node){ doc, c->docs };
	c->docs = node;
	return GW_OK;
}

enum gw_err gw_ctx_tree(struct gw_ctx *c, struct gw_str stored, yyjson_val **out)
{
	yyjson_doc *doc = yyjson_read(stored.p, stored.n, 0);

	if (doc == NULL)
		return GW_E_CORRUPT;
	enum gw_err e = gw_ctx_keep(c, doc);

	if (e == GW_OK)
		*out = yyjson_doc_get_root(doc);
	return e;
}

static struct gw_str vprint(struct gw_arena *a, const char *fmt, va_list ap)
{
	char text[1024];
	int n = vsnprintf(text, sizeof(text), fmt, ap);

	if (n < 0)
		n = 0;
	return gw_arena_str(a, gw_str(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1));
}

enum gw_err gw_fail(struct gw_ctx *c, enum gw_err e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	c->problem.message = vprint(&c->arena, fmt, ap);
	va_end(ap);
	c->problem.err = e;
	return e;
}

enum gw_err gw_fault(struct gw_ctx *c, enum gw_err e, struct gw_str pointer, const char *fmt, ...)
{
	struct gw_cf_faults *f = &c->problem.faults;
	va_list ap;

	va_start(ap, fmt);
	struct gw_str text = vprint(&c->arena, fmt, ap);

	va_end(ap);
	struct gw_str at = c->doc < 0 ? gw_arena_str(&c->arena, pointer)
				      : gw_arena_printf(&c->arena, "/%d%.*s", c->doc, GW_FMT(pointer));

	if (f->n < GW_CF_MAX_FAULTS)
		f->v[f->n++] = (struct gw_cf_fault){ e, at, text };
	if (c->problem.err == GW_OK) {
		c->problem.err = e;
		c->problem.message = text;
	}
	return e;
}
