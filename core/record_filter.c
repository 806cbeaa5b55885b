/* Filters of log queries: terms like "model=gpt-4o", "total_us>1000000", "error!=", "user_agent~curl", joined by AND. */
#include "core/record.h"

#include "lib/text.h"

enum op { OP_EQ, OP_NE, OP_GT, OP_LT, OP_HAS };
enum { MAX_TERMS = 32 };
struct term {
	const struct gw_rfield *field;
	enum op op;
	struct gw_str text;
	int64_t number;
	uint8_t id[16];
};
struct gw_record_filter {
	unsigned n;
	struct term v[MAX_TERMS];
};

/* The fields that a filter may name: those of request records, or of administrative acts. */
struct fields {
	const struct gw_rfield *v;
	unsigned n;
};

static const struct gw_rfield *find_field(struct fields all, struct gw_str name)
{
	for (unsigned i = 0; i < all.n; i++) {
		if (gw_str_eq(name, gw_str_z(all.v[i].name)))
			return &all.v[i];
	}
	return NULL;
}

static enum gw_err unknown_field(struct fields all, struct gw_arena *a, struct gw_str name, struct gw_str *why)
{
	const char *names[GW_RECORD_COUNT];
	int near;

	for (unsigned i = 0; i < all.n; i++)
		names[i] = all.v[i].name;
	near = gw_nearest(name, names, all.n);
	if (name.n > 64)
		name.n = 64;
	*why = near < 0
		   ? gw_arena_printf(a, "\"%.*s\" is not a field of a record. See `llmgwctl doc record`.", GW_FMT(name))
		   : gw_arena_printf(a, "\"%.*s\" is not a field of a record. Did you mean \"%s\"?", GW_FMT(name),
				     names[near]);
	return GW_E_UNKNOWN_FIELD;
}

/* Splits at the first operator. */
static bool split(struct gw_str term, struct gw_str *name, enum op *op, struct gw_str *value)
{
	size_t i = 0;

	while (i < term.n && !memchr("=!<>~", term.p[i], 5))
		i++;
	if (i == term.n)
		return false;
	*name = gw_str_trim(gw_str(term.p, i));
	*value = gw_str_skip(term, i + 1);
	switch (term.p[i]) {
	case '=':
		*op = OP_EQ;
		return true;
	case '>':
		*op = OP_GT;
		return true;
	case '<':
		*op = OP_LT;
		return true;
	case '~':
		*op = OP_HAS;
		return true;
	default: /* '!' needs its '=' */
		if (value->n == 0 || value->p[0] != '=')
			return false;
		*op = OP_NE;
		*value = gw_str_skip(*value, 1);
		return true;
	}
}

static bool is_text(const struct gw_rfield *f)
{
	return f->type == GW_RF_STR || f->type == GW_RF_JSON;
}

/* The value of a term in the type of its field; NULL or what is wrong with it. */
static const char *read_value(struct term *t)
{
	if (is_text(t->field))
		return t->op == OP_GT || t->op == OP_LT ? "is text: use =, != or ~" : NULL;
	if (t->op == OP_HAS)
		return "is not text: ~ does not apply to it";
	if (t->field->type == GW_RF_ID16) {
		if (t->op != OP_EQ && t->op != OP_NE)
			return "is an id: use = or !=";
		return gw_uuid_read(t->text, t->id) ? NULL : "is an id such as 0198c0de-0000-7000-8000-000000000000";
	}
	if (t->field->type == GW_RF_BOOL) {
		t->number = gw_str_eq(t->text, GW_LIT("true"));
		if (t->op != OP_EQ && t->op != OP_NE)
			return "is true or false: use = or !=";
		return t->number || gw_str_eq(t->text, GW_LIT("false")) ? NULL : "is true or false";
	}
	return gw_str_i64(t->text, &t->number) ? NULL : "is a whole number";
}

static enum gw_err parse(struct fields all, struct gw_arena *a, const struct gw_str *terms, unsigned n,
			 struct gw_record_filter **out, struct gw_str *why)
{
	struct gw_record_filter *f = GW_NEW(a, struct gw_record_filter);

	if (!f)
		return GW_E_NOMEM;
	if (n > MAX_TERMS) {
		*why = gw_arena_printf(a, "A filter has at most %d terms.", MAX_TERMS);
		return GW_E_TOO_BIG;
	}
	for (unsigned i = 0; i < n; i++) {
		struct term *t = &f->v[i];
		struct gw_str name;
		const char *fault;

		if (!split(terms[i], &name, &t->op, &t->text)) {
			*why = gw_arena_printf(a,
					       "\"%.*s\" is not a filter. Write field=value, field!=value, field>n, "
					       "field<n or field~text.",
					       (int)(terms[i].n < 100 ? terms[i].n : 100), terms[i].p);
			return GW_E_INVALID;
		}
		t->field = find_field(all, name);
		if (!t->field)
			return unknown_field(all, a, name, why);
		fault = read_value(t);
		if (fault) {
			*why = gw_arena_printf(a, "%s %s.", t->field->name, fault);
			return GW_E_INVALID;
		}
		t->text = gw_arena_str(a, t->text);
		if (!t->text.p)
			return GW_E_NOMEM;
	}
	f->n = n;
	*out = f;
	return GW_OK;
}

enum gw_err gw_record_filter_parse(struct gw_arena *a, const struct gw_str *terms, unsigned n,
				   struct gw_record_filter **out, struct gw_str *why)
{
	return parse((struct fields){ gw_record_fields, GW_RECORD_COUNT }, a, terms, n, out, why);
}

enum gw_err gw_admin_filter_parse(struct gw_arena *a, const struct gw_str *terms, unsigned n,
				  struct gw_record_filter **out, struct gw_str *why)
{
	return parse((struct fields){ gw_admin_fields, gw_admin_n_fields }, a, terms, n, out, why);
}

static bool number_fits(int64_t v, const struct term *t)
{
	switch (t->op) {
	case OP_EQ:
		return v == t->number;
	case OP_NE:
		return v != t->number;
	case OP_GT:
		return v > t->number;
	case OP_LT:
		return v < t->number;
	case OP_HAS:
		break;
	}
	return false;
}

static bool text_fits(struct gw_str v, const struct term *t)
{
	if (t->op == OP_HAS)
		return t->text.n == 0 || (v.n && memmem(v.p, v.n, t->text.p, t->text.n) != NULL);
	return gw_str_eq(v, t->text) == (t->op == OP_EQ);
}

static bool term_fits(const void *r, const struct term *t)
{
	const void *at = (const char *)r + t->field->offset;
	const uint8_t *id;
	uint64_t u;

	switch (t->field->type) {
	case GW_RF_STR:
	case GW_RF_JSON:
		return text_fits(*(const struct gw_str *)at, t);
	case GW_RF_U64:
		u = *(const uint64_t *)at;
		return number_fits(u > INT64_MAX ? INT64_MAX : (int64_t)u, t);
	case GW_RF_I64:
		return number_fits(*(const int64_t *)at, t);
	case GW_RF_BOOL:
		return number_fits(*(const bool *)at, t);
	case GW_RF_ID16:
		id = *(const uint8_t *const *)at;
		return (id && memcmp(id, t->id, 16) == 0) == (t->op == OP_EQ);
	}
	return false;
}

static bool match(const struct gw_record_filter *f, const void *r)
{
	for (unsigned i = 0; i < f->n; i++) {
		if (!term_fits(r, &f->v[i]))
			return false;
	}
	return true;
}

bool gw_record_filter_match(const struct gw_record_filter *f, const struct gw_record *r)
{
	return match(f, r);
}

bool gw_admin_filter_match(const struct gw_record_filter *f, const struct gw_admin_record *r)
{
	return match(f, r);
}

unsigned gw_record_filter_terms(const struct gw_record_filter *f)
{
	return f ? f->n : 0;
}

struct gw_filter_term gw_record_filter_term(const struct gw_record_filter *f, unsigned i)
{
	static const char ops[] = { [OP_EQ] = '=', [OP_NE] = '!', [OP_GT] = '>', [OP_LT] = '<', [OP_HAS] = '~' };
	const struct term *t = &f->v[i];

	return (struct gw_filter_term){
		.field = t->field, .op = ops[t->op], .text = t->text, .number = t->number, .id = t->id
	};
}
