/* Reference pages, printed from the rows as Markdown. */
#include "core/doc.h"

#include "core/config_impl.h"
#include "core/dialect/id.h"
#include "core/provider.h"
#include "core/record.h"
#include "core/remedy.h"
#include "lib/text.h"

const struct gw_doc_topic gw_doc_topics[] = {
	{ "config", "Configuration objects and their fields." },
	{ "record", "Fields of the request record." },
	{ "admin_record", "Fields of the record of administrative acts." },
	{ "errors", "Errors: status, type and code, and what follows them." },
	{ "providers", "Providers that are known without configuration." },
	{ "dialects", "What becomes of each feature between client and provider." },
	{ "metrics", "Metrics of /metrics." },
};
const unsigned gw_doc_n_topics = sizeof(gw_doc_topics) / sizeof(gw_doc_topics[0]);

const char *gw_doc_type(enum gw_cf_type t)
{
	static const char *const names[] = {
		[GW_CF_STR] = "text",
		[GW_CF_ID] = "id",
		[GW_CF_NAME] = "name",
		[GW_CF_U64] = "whole number",
		[GW_CF_BOOL] = "true or false",
		[GW_CF_DUR] = "duration",
		[GW_CF_ENUM] = "word",
		[GW_CF_STRS] = "list of names",
		[GW_CF_IDS] = "list of ids",
		[GW_CF_MAP] = "text pairs",
		[GW_CF_REF] = "id",
		[GW_CF_REFS] = "list of ids",
		[GW_CF_TARGETS] = "targets",
		[GW_CF_URL] = "URL",
		[GW_CF_CIDRS] = "list of CIDRs",
		[GW_CF_PEM] = "PEM certificates",
		[GW_CF_TIME] = "time",
		[GW_CF_SECRET] = "secret",
		[GW_CF_NANO] = "pico-USD per token",
	};

	return names[t];
}

/* A cell of a table: '|' would end it. */
static void put_cell(struct gw_buf *out, struct gw_str s)
{
	gw_buf_putc(out, ' ');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '|')
			gw_buf_putc(out, '\\');
		gw_buf_putc(out, s.p[i]);
	}
	gw_buf_puts(out, GW_LIT(" |"));
}

static void put_cell_z(struct gw_buf *out, const char *z)
{
	put_cell(out, gw_str_z(z));
}

static void put_code(struct gw_buf *out, const char *z)
{
	gw_buf_printf(out, " `%s` |", z);
}

static void put_head(struct gw_buf *out, const char *title, const char *intro)
{
	gw_buf_printf(out, "# %s\n\n<!-- Printed by `llmgwctl doc`; change the row, not this page. -->\n\n%s\n", title,
		      intro);
}

/* ---- config ---- */

static void put_type(struct gw_buf *out, const struct gw_cf_field *f)
{
	gw_buf_printf(out, " %s", gw_doc_type(f->type));
	if (f->type == GW_CF_REF || f->type == GW_CF_REFS)
		gw_buf_printf(out, " of %s", gw_cf_kinds[f->ref].name);
	gw_buf_puts(out, GW_LIT(" |"));
}

static void put_limits(struct gw_buf *out, const struct gw_cf_field *f)
{
	unsigned long long min = f->min, max = f->max;

	if (f->type == GW_CF_ENUM) {
		put_cell_z(out, f->def);
	} else if (f->type == GW_CF_DUR) {
		gw_buf_putc(out, ' ');
		gw_duration_put(out, f->min);
		gw_buf_puts(out, GW_LIT(" to "));
		gw_duration_put(out, f->max);
		gw_buf_puts(out, GW_LIT(" |"));
	} else if (gw_cf_is_number_type(f->type) && f->type != GW_CF_BOOL) {
		gw_buf_printf(out, " %llu to %llu |", min, max);
	} else if (gw_cf_is_text_type(f->type) && max) {
		gw_buf_printf(out, " at most %llu bytes |", max);
	} else if (max) {
		gw_buf_printf(out, " at most %llu |", max);
	} else {
		gw_buf_puts(out, GW_LIT("  |"));
	}
}

static void put_default(struct gw_buf *out, const struct gw_cf_field *f)
{
	struct gw_str def = gw_str_z(f->def), word;

	if (f->flags & GW_CF_REQ) {
		put_cell_z(out, "required");
		return;
	}
	if (f->type == GW_CF_ENUM) {
		gw_str_cut(def, '|', &word, &def);
		def = word;
	}
	put_cell(out, def);
}

static void put_flags(struct gw_buf *out, const struct gw_cf_field *f)
{
	static const struct {
		unsigned flag;
		const char *text;
	} all[] = { { GW_CF_RO, "set by the server" },
		    { GW_CF_WO, "write only" },
		    { GW_CF_PLAT, "platform-admin only" } };
	const char *sep = " ";

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!(f->flags & all[i].flag))
			continue;
		gw_buf_printf(out, "%s%s", sep, all[i].text);
		sep = ", ";
	}
	gw_buf_puts(out, GW_LIT(" |"));
}

static void put_fields(struct gw_buf *out, const struct gw_cf_field *const *fields, unsigned n, bool is_common)
{
	gw_buf_puts(out, GW_LIT("\n| field | type | range | default | | |\n|---|---|---|---|---|---|\n"));
	for (unsigned i = 0; i < n; i++) {
		const struct gw_cf_field *f = fields[i];

		if ((f->kind == GW_KIND_common) != is_common)
			continue;
		gw_buf_putc(out, '|');
		put_code(out, f->name);
		put_type(out, f);
		put_limits(out, f);
		put_default(out, f);
		put_flags(out, f);
		put_cell_z(out, f->doc);
		gw_buf_putc(out, '\n');
	}
}

static void print_config(struct gw_buf *out)
{
	put_head(out, "Configuration objects",
		 "Everything but the boot options is an object: `llmgwctl get KIND`, `llmgwctl apply -f FILE`, `PUT "
		 "/admin/v1/PLURAL/ID`.\n"
		 "Fields that are left out have their default. Durations are written like `30s`, `5m`, or as "
		 "milliseconds.\n");
	gw_buf_puts(out, GW_LIT("## Every object\n"));
	put_fields(out, gw_cf_kinds[0].fields, gw_cf_kinds[0].n_fields, true);
	for (unsigned i = 0; i < GW_KIND_COUNT; i++) {
		const struct gw_cf_kind_info *k = &gw_cf_kinds[i];

		gw_buf_printf(out, "\n## %s\n\n%s Collection: `%s`.%s%s\n", k->name, k->doc, k->plural,
			      k->owner == GW_CF_PLATFORM ? " Belongs to the platform." : "",
			      k->is_served ? "" : " Not served to workers: changes do not raise the generation.");
		put_fields(out, k->fields, k->n_fields, false);
	}
}

/* ---- records ---- */

static void put_records(struct gw_buf *out, const struct gw_rfield *f, unsigned n, bool is_request)
{
	static const char *const types[] = {
		[GW_RF_STR] = "text",   [GW_RF_JSON] = "JSON",          [GW_RF_U64] = "number",
		[GW_RF_I64] = "number", [GW_RF_BOOL] = "true or false", [GW_RF_ID16] = "UUID",
	};

	gw_buf_puts(out, is_request ? GW_LIT("\n| no. | field | type | known at | | |\n|---|---|---|---|---|---|\n")
				    : GW_LIT("\n| no. | field | type | |\n|---|---|---|---|\n"));
	for (unsigned i = 0; i < n; i++) {
		gw_buf_printf(out, "| %u |", i);
		put_code(out, f[i].name);
		put_cell_z(out, types[f[i].type]);
		if (is_request) {
			put_cell_z(out, f[i].in_start ? "start" : "end");
			put_cell_z(out, f[i].is_personal ? "personal" : "");
		}
		put_cell_z(out, f[i].doc);
		gw_buf_putc(out, '\n');
	}
}

static void print_record(struct gw_buf *out)
{
	put_head(out, "Request record",
		 "One record per request with a known key: START before anything leaves for a provider, END before the "
		 "last byte of the answer.\n"
		 "`llmgwctl logs query FIELD=VALUE ...` filters by these names. Empty fields are left out. The number "
		 "is the msgpack key.");
	put_records(out, gw_record_fields, GW_RECORD_COUNT, true);
}

static void print_admin_record(struct gw_buf *out)
{
	put_head(out, "Record of administrative acts",
		 "One record per change of the configuration and per refused call with a known caller, in the same "
		 "segments.");
	put_records(out, gw_admin_fields, gw_admin_n_fields, false);
}

/* ---- errors ---- */

static void print_errors(struct gw_buf *out)
{
	put_head(out, "Errors",
		 "`{\"error\":{\"message\",\"type\",\"param\",\"code\"}}` on both listeners. `code` is stable. *Next*: "
		 "another deployment may be tried;\n"
		 "*once*: the same one on a fresh connection. *Cools*: counts against the deployment's health.\n");
	gw_buf_puts(
	    out,
	    GW_LIT(
		"| name | status | type | code | retry | cools | | what to do |\n|---|---|---|---|---|---|---|---|\n"));
	for (int e = GW_E_BASE_ + 1; e < GW_E_END_; e++) {
		static const char *const retry[] = {
			[GW_RETRY_NO] = "", [GW_RETRY_NEXT] = "next", [GW_RETRY_ONCE] = "once"
		};
		const struct gw_err_info *i = gw_err_info((enum gw_err)e);

		gw_buf_printf(out, "| `%s` | %d |", i->name, i->http);
		put_code(out, i->type);
		if (i->code[0])
			put_code(out, i->code);
		else
			put_cell_z(out, "null");
		put_cell_z(out, retry[i->retry]);
		put_cell_z(out, i->cools ? "yes" : "");
		put_cell_z(out, i->doc);
		put_cell_z(out, gw_err_remedy((enum gw_err)e));
		gw_buf_putc(out, '\n');
	}
}

/* ---- providers ---- */

static void print_providers(struct gw_buf *out)
{
	put_head(out, "Providers", "Values of a provider's `type`. *Environment* is what `./run` looks at.\n");
	gw_buf_puts(out, GW_LIT("| type | dialect | base URL | key in | environment | |\n|---|---|---|---|---|---|\n"));
	for (unsigned i = 0; i < gw_n_providers; i++) {
		const struct gw_provider *p = &gw_providers[i];
		struct gw_str header = gw_auth_header_name(p->auth);

		gw_buf_putc(out, '|');
		put_code(out, p->name);
		put_cell_z(out, p->dialect);
		put_cell_z(out, p->base_url[0] ? p->base_url : "from `base_url`");
		gw_buf_printf(out, " %.*s |", GW_FMT(p->auth == GW_AUTH_QUERY_KEY ? GW_LIT("?key=") : header));
		gw_buf_printf(out, " %s%s%s |", p->env, p->base_env[0] ? ", " : "", p->base_env);
		put_cell_z(out, p->doc);
		gw_buf_putc(out, '\n');
	}
}

/* ---- dialects ---- */

struct feature {
	const char *name, *cells[GW_D_COUNT], *doc;
};
#define GW_FEATURE(name, openai, responses, anthropic, gemini, bedrock, cohere, doc)                                   \
	{ name, { #openai, #responses, #anthropic, #gemini, #bedrock, #cohere }, doc },
static const struct feature features[] = {
#include "schemas/features.def"
};
#undef GW_FEATURE

static void put_lower(struct gw_buf *out, const char *word)
{
	gw_buf_putc(out, ' ');
	for (; *word; word++)
		gw_buf_putc(out, (char)(*word | 0x20));
	gw_buf_puts(out, GW_LIT(" |"));
}

static void print_dialects(struct gw_buf *out)
{
	put_head(
	    out, "Dialects",
	    "What becomes of each feature of a chat when the provider speaks the dialect of the column, whatever the "
	    "client speaks.\n"
	    "*carried*: the provider gets it as it is meant. *mapped*: in other words that come to the same, or "
	    "nearly. "
	    "*own*: carried for clients\n"
	    "of the same dialect, dropped for others. *dropped*: left out, and named in the answer's `x-llmgw-dropped` "
	    "and in the record;\n"
	    "with `x-llmgw-strict: true` it is a 400 instead. *refused*: a 400 that says what to do. Rows marked "
	    "(reply) "
	    "are about what a client\n"
	    "of the dialect reads. The same dialect on both sides passes bytes as they are.\n");
	gw_buf_puts(out, GW_LIT("| feature |"));
	for (int d = 0; d < GW_D_COUNT; d++)
		put_cell_z(out, gw_dialect_name((enum gw_dialect_id)d));
	gw_buf_puts(out, GW_LIT(" |\n|---|---|---|---|---|---|---|---|\n"));
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		gw_buf_putc(out, '|');
		put_cell_z(out, features[i].name);
		for (int d = 0; d < GW_D_COUNT; d++)
			put_lower(out, features[i].cells[d]);
		put_cell_z(out, features[i].doc);
		gw_buf_putc(out, '\n');
	}
}

/* ---- metrics ---- */

struct metric {
	const char *name, *type, *unit, *per, *doc;
};
#define GW_METRIC(name, type, unit, doc)   { #name, #type, unit, "worker", doc },
#define GW_METRIC_HIST(name, unit, doc)    { #name, "HISTOGRAM", unit, "worker", doc },
#define GW_LABELLED(name, type, unit, doc) { #name, #type, unit, "model, provider, deployment, org, team", doc },
#define GW_LABELLED_HIST(name, unit, doc)  { #name, "HISTOGRAM", unit, "model, provider, deployment, org, team", doc },
static const struct metric metrics[] = {
#include "schemas/metrics.def"
#define GW_XMETRIC(name, type, unit, doc) { "index_" #name, #type, unit, "gateway", doc },
#include "schemas/export_metrics.def"
#undef GW_XMETRIC
#define GW_XMETRIC(name, type, unit, doc) { "trail_" #name, #type, unit, "gateway", doc },
#include "schemas/trail_metrics.def"
#undef GW_XMETRIC
};

/* As in schemas/metrics.def: prefix, unit in the name, _total on counters. */
static void put_metric_name(struct gw_buf *out, const struct metric *m)
{
	bool is_counter = gw_str_eq(gw_str_z(m->type), GW_LIT("COUNTER")),
	     is_time = gw_str_eq(gw_str_z(m->unit), GW_LIT("us"));

	if (gw_str_eq(gw_str_z(m->unit), GW_LIT("16ns"))) { /* one family for all steps */
		gw_buf_printf(out, "| `llmgw_step_seconds{step=\"%s\"}` |", m->name + strlen("step_"));
		return;
	}
	gw_buf_printf(out, "| `llmgw_%s%s%s` |", m->name, is_time ? "_seconds" : "", is_counter ? "_total" : "");
}

static void print_metrics(struct gw_buf *out)
{
	put_head(out, "Metrics",
		 "`GET /metrics` of the admin API, Prometheus text format. Labels come only from configured ids.\n");
	gw_buf_puts(out, GW_LIT("| name | type | per | |\n|---|---|---|---|\n"));
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		char type[16] = { 0 };

		for (size_t k = 0; k + 1 < sizeof(type) && metrics[i].type[k]; k++)
			type[k] = (char)(metrics[i].type[k] | 0x20);
		put_metric_name(out, &metrics[i]);
		put_cell_z(out, type);
		put_cell_z(out, metrics[i].per);
		put_cell_z(out, metrics[i].doc);
		gw_buf_putc(out, '\n');
	}
}

enum gw_err gw_doc_print(struct gw_str topic, struct gw_buf *out)
{
	static const struct {
		const char *name;
		void (*print)(struct gw_buf *out);
	} all[] = {
		{ "config", print_config },
		{ "record", print_record },
		{ "admin_record", print_admin_record },
		{ "errors", print_errors },
		{ "providers", print_providers },
		{ "metrics", print_metrics },
		{ "dialects", print_dialects },
	};
	enum gw_cf_kind kind;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (gw_str_eq(topic, gw_str_z(all[i].name))) {
			all[i].print(out);
			return out->err;
		}
	}
	if (gw_str_has_prefix(topic, GW_LIT("schema.")) && gw_cf_kind_by_name(gw_str_skip(topic, 7), &kind)) {
		gw_doc_schema(kind, out);
		return out->err;
	}
	return GW_E_NOT_FOUND;
}
