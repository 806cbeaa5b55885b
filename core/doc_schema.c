/* JSON Schemas of the configuration objects, printed from the rows. */
#include "core/doc.h"

#include "core/config_impl.h"

static const char id_pattern[] = "^[a-z0-9][a-z0-9._-]{0,62}$";
static const char name_pattern[] = "^[!#-&(-\\[\\]-~]{1,200}$";

static void put_kz(struct gw_json_out *w, const char *key, const char *text)
{
	gw_jw_kstr(w, key, gw_str_z(text));
}

static void put_words(const struct gw_cf_field *f, struct gw_json_out *w)
{
	put_kz(w, "type", "string");
	gw_jw_key(w, GW_LIT("enum"));
	gw_jw_arr(w);
	for (uint64_t i = 0; gw_cf_word(f, i).p; i++)
		gw_jw_str(w, gw_cf_word(f, i));
	gw_jw_end_arr(w);
	if (!(f->flags & GW_CF_REQ))
		gw_jw_kstr(w, "default", gw_cf_word(f, 0));
}

static void put_range(const struct gw_cf_field *f, struct gw_json_out *w)
{
	gw_jw_ku64(w, "minimum", f->min);
	gw_jw_ku64(w, "maximum", f->max);
}

/* A duration is text or milliseconds. */
static void put_duration(const struct gw_cf_field *f, struct gw_json_out *w)
{
	gw_jw_key(w, GW_LIT("oneOf"));
	gw_jw_arr(w);
	gw_jw_obj(w);
	put_kz(w, "type", "string");
	put_kz(w, "pattern", "^[0-9]+(ms|s|m|h|d)?$");
	gw_jw_end_obj(w);
	gw_jw_obj(w);
	put_kz(w, "type", "integer");
	put_range(f, w);
	gw_jw_end_obj(w);
	gw_jw_end_arr(w);
	put_kz(w, "default", f->def);
}

static void put_list(const struct gw_cf_field *f, const char *pattern, struct gw_json_out *w)
{
	put_kz(w, "type", "array");
	gw_jw_ku64(w, "minItems", f->min);
	gw_jw_ku64(w, "maxItems", f->max);
	gw_jw_kbool(w, "uniqueItems", true);
	gw_jw_key(w, GW_LIT("items"));
	gw_jw_obj(w);
	put_kz(w, "type", "string");
	if (pattern)
		put_kz(w, "pattern", pattern);
	gw_jw_end_obj(w);
}

static void put_targets(const struct gw_cf_field *f, struct gw_json_out *w)
{
	put_kz(w, "type", "array");
	gw_jw_ku64(w, "maxItems", f->max);
	gw_jw_key(w, GW_LIT("items"));
	gw_jw_raw(
	    w,
	    GW_LIT("{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"deployment\"],\"properties\":{"
		   "\"deployment\":{\"type\":\"string\"},"
		   "\"weight\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000,\"default\":1},"
		   "\"priority\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":15,\"default\":0}}}"));
}

static void put_map(const struct gw_cf_field *f, struct gw_json_out *w)
{
	put_kz(w, "type", "object");
	gw_jw_ku64(w, "maxProperties", f->max);
	gw_jw_key(w, GW_LIT("additionalProperties"));
	gw_jw_raw(w, GW_LIT("{\"type\":\"string\",\"maxLength\":256}"));
}

static void put_text(const struct gw_cf_field *f, struct gw_json_out *w)
{
	bool may_be_empty = !(f->flags & GW_CF_REQ);

	put_kz(w, "type", "string");
	if (f->type == GW_CF_TIME)
		put_kz(w, "format", "date-time");
	else if (f->type == GW_CF_URL)
		put_kz(w, "format", "uri");
	else if (!may_be_empty && (f->type == GW_CF_ID || f->type == GW_CF_REF))
		put_kz(w, "pattern", id_pattern);
	else if (!may_be_empty && f->type == GW_CF_NAME)
		put_kz(w, "pattern", name_pattern);
	if (f->max)
		gw_jw_ku64(w, "maxLength", f->max);
	if (f->def[0])
		put_kz(w, "default", f->def);
	if (f->type == GW_CF_SECRET || (f->flags & GW_CF_WO))
		gw_jw_kbool(w, "writeOnly", true);
}

void gw_doc_field_schema(const struct gw_cf_field *f, struct gw_json_out *w)
{
	gw_jw_obj(w);
	put_kz(w, "description", f->doc);
	if (f->flags & GW_CF_RO)
		gw_jw_kbool(w, "readOnly", true);
	if (f->type == GW_CF_BOOL) {
		put_kz(w, "type", "boolean");
		gw_jw_kbool(w, "default", gw_cf_default_number(f) != 0);
	} else if (f->type == GW_CF_ENUM) {
		put_words(f, w);
	} else if (f->type == GW_CF_DUR) {
		put_duration(f, w);
	} else if (gw_cf_is_number_type(f->type)) {
		put_kz(w, "type", "integer");
		put_range(f, w);
		gw_jw_ku64(w, "default", gw_cf_default_number(f));
	} else if (gw_cf_is_text_type(f->type)) {
		put_text(f, w);
	} else if (f->type == GW_CF_MAP) {
		put_map(f, w);
	} else if (f->type == GW_CF_TARGETS) {
		put_targets(f, w);
	} else {
		put_list(f,
			 f->type == GW_CF_IDS || f->type == GW_CF_REFS ? id_pattern
			 : f->type == GW_CF_STRS                       ? name_pattern
								       : NULL,
			 w);
	}
	gw_jw_end_obj(w);
}

void gw_doc_schema(enum gw_cf_kind kind, struct gw_buf *out)
{
	const struct gw_cf_kind_info *k = &gw_cf_kinds[kind];
	struct gw_json_out w;

	gw_jw_init(&w, out);
	gw_jw_obj(&w);
	put_kz(&w, "$schema", "https://json-schema.org/draft/2020-12/schema");
	put_kz(&w, "title", k->name);
	put_kz(&w, "description", k->doc);
	put_kz(&w, "type", "object");
	gw_jw_kbool(&w, "additionalProperties", false);
	gw_jw_key(&w, GW_LIT("required"));
	gw_jw_arr(&w);
	for (unsigned i = 0; i < k->n_fields; i++) {
		if (k->fields[i]->flags & GW_CF_REQ)
			gw_jw_str(&w, gw_str_z(k->fields[i]->name));
	}
	gw_jw_end_arr(&w);
	gw_jw_key(&w, GW_LIT("properties"));
	gw_jw_obj(&w);
	for (unsigned i = 0; i < k->n_fields; i++) {
		gw_jw_key(&w, gw_str_z(k->fields[i]->name));
		gw_doc_field_schema(k->fields[i], &w);
	}
	gw_jw_end_obj(&w);
	gw_jw_end_obj(&w);
	gw_buf_putc(out, '\n');
}
