/* Checks an object from outside against its rows. Every fault says where (a JSON pointer), what is wrong and what to do; one run
 * collects them all, because people correct files, not lines. */
#include "core/config_impl.h"
#include "lib/text.h"

void gw_cf_fault(struct gw_cf_check *c, enum gw_err e, struct gw_str pointer, struct gw_str message)
{
	if (c->faults.n < GW_CF_MAX_FAULTS)
		c->faults.v[c->faults.n++] = (struct gw_cf_fault){ e, pointer, message };
}

struct gw_str gw_cf_at(struct gw_cf_check *c, const char *name)
{
	return gw_arena_printf(c->arena, "/%s", name);
}

struct gw_str gw_cf_at_index(struct gw_cf_check *c, struct gw_str base, size_t i)
{
	return gw_arena_printf(c->arena, "%.*s/%zu", GW_FMT(base), i);
}

/* RFC 6901: ~ and / of a key are escaped. Long keys are cut: the pointer is for people. */
struct gw_str gw_cf_at_key(struct gw_cf_check *c, struct gw_str base, struct gw_str key)
{
	char text[192];
	size_t n = 0;

	for (size_t i = 0; i < key.n && n + 2 < sizeof(text); i++) {
		if (key.p[i] == '~' || key.p[i] == '/') {
			text[n++] = '~';
			text[n++] = key.p[i] == '~' ? '0' : '1';
		} else {
			text[n++] = key.p[i];
		}
	}
	return gw_arena_printf(c->arena, "%.*s/%.*s", GW_FMT(base), (int)n, text);
}

const char *gw_cf_did_you_mean(struct gw_cf_check *c, struct gw_str word, const char *const *names, size_t n)
{
	int i = gw_nearest(word, names, n);
	struct gw_str s;

	if (i < 0)
		return "";
	s = gw_arena_printf(c->arena, " Did you mean \"%s\"?%c", names[i], 0);
	return s.p ? s.p : "";
}

void gw_cf_check_ref(struct gw_cf_check *c, struct gw_str pointer, enum gw_cf_kind kind, struct gw_str id)
{
	struct gw_str org = gw_json_str(gw_json_get(c->in, GW_LIT("org")));
	struct gw_str team = gw_json_str(gw_json_get(c->in, GW_LIT("team")));

	if (!c->lookup || c->lookup(c->lookup_ctx, kind, id, org, team))
		return;
	gw_cf_fault(
	    c, GW_E_INVALID, pointer,
	    gw_arena_printf(
		c->arena,
		"%.*s: there is no %s \"%.*s\" that this object may refer to. Create it first, or correct the id.",
		GW_FMT(gw_cf_label(pointer)), gw_cf_kinds[kind].name, GW_FMT(id)));
}

static void check_unknown(struct gw_cf_check *c)
{
	const struct gw_cf_kind_info *k = &gw_cf_kinds[c->kind];
	yyjson_obj_iter it = yyjson_obj_iter_with((yyjson_val *)(uintptr_t)c->in);
	const char *names[64];
	yyjson_val *key;

	GW_REQUIRE(k->n_fields <= sizeof(names) / sizeof(names[0]));
	for (unsigned i = 0; i < k->n_fields; i++)
		names[i] = k->fields[i]->name;
	while ((key = yyjson_obj_iter_next(&it))) {
		struct gw_str name = gw_json_str(key);
		struct gw_str shown = name.n > 64 ? gw_str(name.p, 64) : name;

		if (gw_cf_field_find(c->kind, name))
			continue;
		gw_cf_fault(c, GW_E_UNKNOWN_FIELD, gw_cf_at_key(c, GW_NIL, name),
			    gw_arena_printf(c->arena, "\"%.*s\" is not a field of a %s.%s", GW_FMT(shown), k->name,
					    gw_cf_did_you_mean(c, name, names, k->n_fields)));
	}
}

/* Fields that the server sets may be sent back as they were read, so that get, edit, put works. */
static void check_read_only(struct gw_cf_check *c, const struct gw_cf_field *f, yyjson_val *v)
{
	yyjson_val *old = c->old ? gw_cf_given(c->old, f) : NULL;

	if (old ? yyjson_equals(old, v) : gw_cf_is_default(c->in, f, v))
		return;
	gw_cf_fault(c, GW_E_INVALID, gw_cf_at(c, f->name),
		    gw_arena_printf(c->arena, "%s is set by the server. Leave it out.", f->name));
}

static void take_secret(struct gw_cf_check *c, const struct gw_cf_field *f, yyjson_val *v)
{
	GW_REQUIRE(c->n_secrets < sizeof(c->secrets) / sizeof(c->secrets[0]));
	if (yyjson_get_len(v) > 0)
		c->secrets[c->n_secrets++] = (struct gw_cf_secret_in){ f, gw_json_str(v) };
}

static void check_field(struct gw_cf_check *c, const struct gw_cf_field *f)
{
	yyjson_val *v = gw_cf_given(c->in, f);
	unsigned before = c->faults.n;

	if (!v) {
		if (f->flags & GW_CF_REQ)
			gw_cf_fault(c, GW_E_MISSING, gw_cf_at(c, f->name),
				    gw_arena_printf(c->arena, "%s is required: %s", f->name, f->doc));
		return;
	}
	if (f->flags & GW_CF_RO) {
		if (!(f->flags & GW_CF_VOL))
			check_read_only(c, f, v);
		return;
	}
	gw_cf_check_value(c, f, v);
	if ((f->flags & GW_CF_WO) && c->faults.n == before)
		take_secret(c, f, v);
}

/* The object with its RO fields as `old` has them. They were checked to be equal where given. */
static void put_canonical(struct gw_cf_check *c, struct gw_buf *out)
{
	const struct gw_cf_kind_info *k = &gw_cf_kinds[c->kind];
	struct gw_cf_set sets[32];
	unsigned n = 0;

	for (unsigned i = 0; i < k->n_fields; i++) {
		const struct gw_cf_field *f = k->fields[i];
		yyjson_val *v = c->old ? gw_cf_given(c->old, f) : NULL;

		if ((f->flags & GW_CF_VOL) && !v && gw_cf_given(c->in, f)) {
			sets[n++] = (struct gw_cf_set){ .field = f->name, .type = GW_CF_SET_STR, .str = GW_LIT("") };
			continue;
		}
		if (!(f->flags & GW_CF_RO) || !v)
			continue;
		GW_REQUIRE(n < sizeof(sets) / sizeof(sets[0]));
		sets[n] =
		    (struct gw_cf_set){ .field = f->name, .type = yyjson_is_str(v) ? GW_CF_SET_STR : GW_CF_SET_U64 };
		if (yyjson_is_str(v))
			sets[n].str = gw_json_str(v);
		else
			sets[n].u64 = yyjson_get_uint(v);
		n++;
	}
	gw_cf_canonical(c->kind, c->in, sets, n, out);
}

enum gw_err gw_cf_check(struct gw_cf_check *c, struct gw_buf *out)
{
	const struct gw_cf_kind_info *k = &gw_cf_kinds[c->kind];
	size_t before = out->n;

	c->faults.n = 0;
	c->n_secrets = 0;
	if (!yyjson_is_obj((yyjson_val *)(uintptr_t)c->in)) {
		gw_cf_fault(
		    c, GW_E_INVALID, GW_LIT(""),
		    gw_arena_printf(c->arena, "A %s must be an object with fields, like {\"id\": \"...\"}.", k->name));
		return GW_E_INVALID;
	}
	check_unknown(c);
	for (unsigned i = 0; i < k->n_fields; i++)
		check_field(c, k->fields[i]);
	if (c->faults.n == 0)
		gw_cf_check_rules(c);
	if (c->faults.n)
		return c->faults.v[0].err;
	put_canonical(c, out);
	if (out->err)
		return out->err;
	if (out->n - before > GW_CF_MAX_OBJECT_BYTES) {
		gw_cf_fault(c, GW_E_TOO_BIG, GW_LIT(""),
			    gw_arena_printf(c->arena,
					    "The %s takes %zu bytes; at most %d are allowed. Shorten its lists.",
					    k->name, out->n - before, GW_CF_MAX_OBJECT_BYTES));
		out->n = before;
		return GW_E_TOO_BIG;
	}
	return GW_OK;
}
