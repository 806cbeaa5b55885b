/* explain: a kind and its fields from the rows of schemas/config.def: type, range, default, unit, who may set it, an example. */
#include "admin-cli/cli.h"
#include "core/config.h"
#include "core/doc.h"
#include "lib/text.h"

/* Parts of a field that is not flat; these have no rows of their own. */
static const struct part {
	enum gw_cf_type type;
	const char *name, *what, *range, *def, *doc, *example;
} parts[] = {
	{ GW_CF_TARGETS, "deployment", "id of a deployment", "", "required", "Which deployment answers.", "gpt-4o-eu" },
	{ GW_CF_TARGETS, "weight", "whole number", "1 to 1000", "1", "Share of requests among targets of one priority.",
	  "100" },
	{ GW_CF_TARGETS, "priority", "whole number", "0 to 15", "0", "Lower numbers are tried first.", "0" },
};
enum { N_PARTS = sizeof parts / sizeof parts[0] };

static bool is_bytes(enum gw_cf_type t)
{
	return t == GW_CF_STR || t == GW_CF_ID || t == GW_CF_NAME || t == GW_CF_URL || t == GW_CF_PEM ||
	       t == GW_CF_SECRET || t == GW_CF_REF;
}

static void put_range(struct gw_buf *b, const struct gw_cf_field *f)
{
	unsigned long long min = f->min, max = f->max;

	if (f->type == GW_CF_ENUM) {
		for (const char *p = f->def; *p; p++)
			*p == '|' ? gw_buf_puts(b, GW_LIT(", ")) : gw_buf_putc(b, *p);
	} else if (f->type == GW_CF_DUR) {
		gw_duration_put(b, f->min);
		gw_buf_puts(b, GW_LIT(" to "));
		gw_duration_put(b, f->max);
	} else if (f->type == GW_CF_U64 || f->type == GW_CF_NANO) {
		gw_buf_printf(b, "%llu to %llu", min, max);
	} else if (max) {
		const char *what = is_bytes(f->type) ? "bytes" : "entries";

		if (min)
			gw_buf_printf(b, "%llu to %llu %s", min, max, what);
		else
			gw_buf_printf(b, "at most %llu %s", max, what);
	}
}

static const char *unit_of(const struct gw_cf_field *f)
{
	size_t n = strlen(f->name);

	if (f->type == GW_CF_DUR)
		return "ms, s, m, h or d behind the number; bare: milliseconds";
	if (f->type == GW_CF_NANO)
		return "pico-USD a token (1 USD per million tokens = 1000000)";
	if (f->type == GW_CF_TIME)
		return "RFC 3339";
	if (n > 6 && strcmp(f->name + n - 6, "_bytes") == 0)
		return "bytes";
	if (n > 3 && strcmp(f->name + n - 3, "_ms") == 0)
		return "milliseconds";
	return "";
}

static void put_default(struct gw_buf *b, const struct gw_cf_field *f)
{
	struct gw_str word, rest;

	if (f->flags & GW_CF_REQ) {
		gw_buf_puts(b, GW_LIT("required"));
	} else if (f->type == GW_CF_ENUM) {
		gw_str_cut(gw_str_z(f->def), '|', &word, &rest);
		gw_buf_puts(b, word);
	} else {
		gw_buf_puts(b, f->def[0] ? gw_str_z(f->def) : GW_LIT("none"));
	}
}

static const char *who_of(enum gw_cf_kind kind, const struct gw_cf_field *f)
{
	if (f->flags & GW_CF_RO)
		return "the gateway";
	if ((f->flags & GW_CF_PLAT) || gw_cf_kinds[kind].owner == GW_CF_PLATFORM)
		return "platform-admin";
	if (f->kind == GW_KIND_common && (strcmp(f->name, "org") == 0 || strcmp(f->name, "team") == 0))
		return "whoever makes the object; not changed afterwards";
	if (kind == GW_KIND_team)
		return "platform-admin, the org's org-admin";
	if (kind == GW_KIND_key)
		return "platform-admin, org-admin, team-admin within their scope; a member for own keys";
	return "platform-admin, org-admin and team-admin within their scope";
}

static void put_example(struct gw_buf *b, const struct gw_cf_field *f)
{
	static const char *const by_type[] = {
		[GW_CF_STR] = "some text",
		[GW_CF_ID] = "my-id",
		[GW_CF_NAME] = "gpt-4o",
		[GW_CF_BOOL] = "true",
		[GW_CF_STRS] = "[gpt-4o, 'claude*']",
		[GW_CF_IDS] = "[team-a, team-b]",
		[GW_CF_MAP] = "{env: prod}",
		[GW_CF_REFS] = "[a, b]",
		[GW_CF_TARGETS] = "[{deployment: gpt-4o-eu, weight: 100}]",
		[GW_CF_URL] = "https://api.openai.com/v1",
		[GW_CF_CIDRS] = "[10.0.0.0/8]",
		[GW_CF_PEM] = "|\n    -----BEGIN CERTIFICATE-----\n    ...",
		[GW_CF_TIME] = "2027-01-01T00:00:00Z",
		[GW_CF_SECRET] = "${FILE:/run/secrets/openai}",
		[GW_CF_NANO] = "2500000",
	};
	struct gw_str word, rest;

	gw_buf_printf(b, "%s: ", f->name);
	if (f->type == GW_CF_ENUM) {
		struct gw_str first;

		gw_str_cut(gw_str_z(f->def), '|', &first, &rest);
		gw_str_cut(rest.n ? rest : first, '|', &word, &rest);
		gw_buf_puts(b, word);
	} else if (f->type == GW_CF_REF) {
		gw_buf_printf(b, "my-%s", gw_cf_kinds[f->ref].name);
	} else if (f->type == GW_CF_U64 || f->type == GW_CF_DUR) {
		gw_buf_puts(b, f->def[0] ? gw_str_z(f->def) : GW_LIT("1"));
	} else {
		gw_buf_puts(b, gw_str_z(by_type[f->type] ? by_type[f->type] : ""));
	}
}

static void put_type(struct gw_buf *b, const struct gw_cf_field *f)
{
	gw_buf_puts(b, gw_str_z(gw_doc_type(f->type)));
	if (f->type == GW_CF_REF || f->type == GW_CF_REFS)
		gw_buf_printf(b, " of a %s", gw_cf_kinds[f->ref].name);
}

static void line(struct gw_buf *b, const char *name, struct gw_buf *v)
{
	if (v->n)
		gw_buf_printf(b, "  %-9s %.*s\n", name, GW_FMT(gw_buf_view(v)));
	gw_buf_clear(v, 4096);
}

static void explain_field(struct gw_buf *b, enum gw_cf_kind kind, const struct gw_cf_field *f)
{
	struct gw_buf v;

	gw_buf_init(&v, 16384);
	gw_buf_printf(b, "%s.%s\n\n  %s\n\n", gw_cf_kinds[kind].name, f->name, f->doc);
	put_type(&v, f);
	line(b, "type", &v);
	put_range(&v, f);
	line(b, f->type == GW_CF_ENUM ? "values" : "range", &v);
	put_default(&v, f);
	line(b, "default", &v);
	gw_buf_puts(&v, gw_str_z(unit_of(f)));
	line(b, "unit", &v);
	gw_buf_puts(&v, gw_str_z(who_of(kind, f)));
	line(b, "set by", &v);
	gw_buf_puts(&v, (f->flags & GW_CF_WO)    ? GW_LIT("never shown again")
			: (f->flags & GW_CF_IMG) ? GW_LIT("served: workers see a change at once")
						 : GW_NIL);
	line(b, "notes", &v);
	put_example(&v, f);
	line(b, "example", &v);
	for (int i = 0; i < N_PARTS; i++)
		if (parts[i].type == f->type)
			gw_buf_printf(b, "  .%-12s %s%s%s (%s): %s\n", parts[i].name, parts[i].what,
				      parts[i].range[0] ? ", " : "", parts[i].range, parts[i].def, parts[i].doc);
	gw_buf_done(&v);
}

static void explain_kind(struct gw_buf *b, enum gw_cf_kind kind)
{
	const struct gw_cf_kind_info *k = &gw_cf_kinds[kind];

	gw_buf_printf(b, "%s (plural: %s)\n\n  %s\n\nFields:\n", k->name, k->plural, k->doc);
	for (unsigned i = 0; i < k->n_fields; i++) {
		const struct gw_cf_field *f = k->fields[i];

		gw_buf_printf(b, "  %-22s %-18s %s%s\n", f->name, gw_doc_type(f->type), f->doc,
			      f->flags & GW_CF_REQ  ? " (required)"
			      : f->flags & GW_CF_RO ? " (set by the gateway)"
						    : "");
	}
}

static int explain_part(const struct gw_cf_field *f, struct gw_str name)
{
	const char *names[N_PARTS], *near;
	char word[64];
	size_t n = 0;

	if (f->type == GW_CF_MAP) {
		printf("%s.%.*s\n\n  One of the text pairs of %s.\n", f->name, GW_FMT(name), f->name);
		return CLI_OK;
	}
	for (int i = 0; i < N_PARTS; i++) {
		const struct part *p = &parts[i];

		if (p->type != f->type)
			continue;
		names[n++] = p->name;
		if (!gw_str_eq(name, gw_str_z(p->name)))
			continue;
		printf("%s.%s\n\n  %s\n\n  type      %s\n", f->name, p->name, p->doc, p->what);
		if (p->range[0])
			printf("  range     %s\n", p->range);
		printf("  default   %s\n  example   %s: %s\n", p->def, p->name, p->example);
		return CLI_OK;
	}
	snprintf(word, sizeof word, "%.*s", GW_FMT(name));
	near = cli_nearest(word, names, n);
	cli_error("%s has no part \"%s\"%s%s%s", f->name, word, near ? "; did you mean \"" : "", near ? near : "",
		  near ? "\"?" : "");
	return CLI_NOT_FOUND;
}

static void explain_json(enum gw_cf_kind kind, const struct gw_cf_field *f, struct gw_buf *b)
{
	struct gw_json_out w;

	if (!f) {
		gw_doc_schema(kind, b);
		return;
	}
	gw_jw_init(&w, b);
	gw_jw_obj(&w);
	gw_jw_key(&w, gw_str_z(f->name));
	gw_jw_obj(&w);
	gw_doc_field_schema(f, &w);
	gw_jw_end_obj(&w);
	gw_jw_end_obj(&w);
}

int cli_cmd_explain(struct cli *c)
{
	struct gw_str name, field = GW_NIL, part = GW_NIL;
	const struct gw_cf_field *f = NULL;
	enum gw_cf_kind kind;
	const char *plural;
	struct gw_buf b;
	int rc = CLI_OK;

	if (!c->n_args) {
		for (int i = 0; i < GW_KIND_COUNT; i++)
			printf("%-14s %s\n", gw_cf_kinds[i].name, gw_cf_kinds[i].doc);
		return CLI_OK;
	}
	gw_str_cut(gw_str_z(c->args[0]), '.', &name, &field);
	if (!(plural = cli_plural(gw_arena_z(&c->arena, name))) || !gw_cf_kind_by_plural(gw_str_z(plural), &kind))
		return CLI_NOT_FOUND;
	gw_str_cut(field, '.', &field, &part);
	if (field.n && !(f = gw_cf_field_find(kind, field))) {
		cli_no_field("", plural, field);
		return CLI_NOT_FOUND;
	}
	if (part.n)
		return explain_part(f, part);
	gw_buf_init(&b, 1 << 20);
	if (cli_format(c) != CLI_TABLE)
		explain_json(kind, f, &b);
	else if (f)
		explain_field(&b, kind, f);
	else
		explain_kind(&b, kind);
	if (cli_format(c) != CLI_TABLE)
		rc = cli_print(c, gw_buf_view(&b), NULL, NULL);
	else
		fwrite(b.p, 1, b.n, stdout);
	gw_buf_done(&b);
	return rc;
}
