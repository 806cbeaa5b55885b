/* Checks one value of a configuration field by the type and range of its row. */
#include "core/config_impl.h"
#include "lib/text.h"
#include "lib/url.h"

/* "label must be <what>." */
static void must_be(struct gw_cf_check *c, struct gw_str at, const char *what)
{
	gw_cf_fault(c, GW_E_INVALID, at, gw_arena_printf(c->arena, "%.*s must be %s.", GW_FMT(gw_cf_label(at)), what));
}

static bool has_control(struct gw_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	}
	return false;
}

static void check_number(struct gw_cf_check *c, const struct gw_cf_field *f, yyjson_val *v)
{
	struct gw_str at = gw_cf_at(c, f->name);
	uint64_t n;

	if (f->type == GW_CF_BOOL) {
		if (!yyjson_is_bool(v))
			must_be(c, at, "true or false");
	} else if (f->type == GW_CF_ENUM) {
		if (!gw_cf_number(f, v, &n))
			gw_cf_fault(c, GW_E_INVALID, at,
				    gw_arena_printf(c->arena, "%s must be one of: %s.", f->name, f->def));
	} else if (!gw_cf_number(f, v, &n) || n < f->min || n > f->max) {
		gw_cf_fault(
		    c, GW_E_INVALID, at,
		    f->type == GW_CF_DUR
			? gw_arena_printf(
			      c->arena,
			      "%s must be a duration such as \"30s\" (or whole milliseconds) from %llu ms to %llu ms.",
			      f->name, (unsigned long long)f->min, (unsigned long long)f->max)
			: gw_arena_printf(c->arena, "%s must be a whole number from %llu to %llu.", f->name,
					  (unsigned long long)f->min, (unsigned long long)f->max));
	}
}

static void check_url(struct gw_cf_check *c, struct gw_str at, struct gw_str s)
{
	struct gw_url u;

	if (gw_url_parse(s, &u))
		must_be(c, at,
			"an http:// or https:// URL with a host and no user name, such as https://api.example.com/v1");
	else if (u.query.n)
		must_be(c, at, "a base URL without a query (the part after '?')");
}

static void check_text_syntax(struct gw_cf_check *c, const struct gw_cf_field *f, struct gw_str at, struct gw_str s)
{
	const char *pem;
	int64_t us;

	switch (f->type) {
	case GW_CF_ID:
	case GW_CF_REF:
		if (!gw_cf_is_id(s))
			must_be(c, at, "1 to 63 characters: lower case letters and digits, and . _ - behind the first");
		else if (f->type == GW_CF_REF)
			gw_cf_check_ref(c, at, f->ref, s);
		break;
	case GW_CF_NAME:
		if (!gw_cf_is_name(s))
			must_be(c, at, "1 to 200 printable ASCII characters without spaces, quotes and backslashes");
		break;
	case GW_CF_URL:
		check_url(c, at, s);
		break;
	case GW_CF_PEM:
		pem = gw_cf_pem_fault(s);
		if (pem)
			gw_cf_fault(c, GW_E_INVALID, at,
				    gw_arena_printf(c->arena, "%s %s. Give PEM certificates, one after the other.",
						    f->name, pem));
		break;
	case GW_CF_TIME:
		if (!gw_time_read(s, &us))
			must_be(c, at, "a time such as \"2027-01-31T12:00:00Z\", or empty");
		break;
	default:
		if (has_control(s))
			must_be(c, at, "text without line breaks and control characters");
	}
}

static void check_text(struct gw_cf_check *c, const struct gw_cf_field *f, yyjson_val *v)
{
	struct gw_str at = gw_cf_at(c, f->name), s = gw_json_str(v);
	uint64_t max = f->type == GW_CF_TIME ? 64 : f->max;

	if (!yyjson_is_str(v)) {
		must_be(c, at, "text (in quotes)");
		return;
	}
	if (s.n == 0) {
		if (f->flags & GW_CF_REQ)
			gw_cf_fault(c, GW_E_MISSING, at,
				    gw_arena_printf(c->arena, "%s must not be empty: %s", f->name, f->doc));
		return;
	}
	if (s.n > max || s.n < f->min) {
		gw_cf_fault(c, GW_E_INVALID, at,
			    gw_arena_printf(c->arena, "%s has %zu bytes; from %llu to %llu are allowed.", f->name, s.n,
					    (unsigned long long)f->min, (unsigned long long)max));
		return;
	}
	check_text_syntax(c, f, at, s);
}

/* ---- lists ---- */

/* A name, or the beginning of names with a '*' at its end. */
static bool is_pattern(struct gw_str s)
{
	return gw_cf_is_name(s) && gw_str_find(s, '*') >= s.n - 1;
}

static void check_item(struct gw_cf_check *c, const struct gw_cf_field *f, struct gw_str at, yyjson_val *v)
{
	struct gw_str s = gw_json_str(v);

	if (!yyjson_is_str(v)) {
		must_be(c, at, "text (in quotes)");
	} else if (f->type == GW_CF_STRS) {
		if (!is_pattern(s))
			must_be(c, at,
				"a name of 1 to 200 printable characters without spaces; '*' only as the last one");
	} else if (f->type == GW_CF_CIDRS) {
		if (!gw_cf_is_cidr(s))
			must_be(c, at, "an address range such as 10.0.0.0/8 or fd00::/8");
	} else if (!gw_cf_is_id(s)) {
		must_be(c, at, "an id: 1 to 63 lower case letters, digits and . _ -");
	} else if (f->type == GW_CF_REFS) {
		gw_cf_check_ref(c, at, f->ref, s);
	}
}

/* Has the list this text before position i? */
static bool is_repeated(yyjson_val *list, size_t i, yyjson_val *v)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(list);

	for (size_t j = 0; j < i; j++) {
		yyjson_val *other = yyjson_arr_iter_next(&it);

		if (yyjson_is_str(other) && gw_str_eq(gw_json_str(other), gw_json_str(v)))
			return true;
	}
	return false;
}

static bool check_list_size(struct gw_cf_check *c, const struct gw_cf_field *f, struct gw_str at, yyjson_val *v,
			    const char *of)
{
	if (!yyjson_is_arr(v)) {
		gw_cf_fault(c, GW_E_INVALID, at, gw_arena_printf(c->arena, "%s must be a list of %s.", f->name, of));
		return false;
	}
	if (yyjson_arr_size(v) < f->min || yyjson_arr_size(v) > f->max) {
		gw_cf_fault(c, GW_E_INVALID, at,
			    gw_arena_printf(c->arena, "%s has %zu items; from %llu to %llu are allowed.", f->name,
					    yyjson_arr_size(v), (unsigned long long)f->min,
					    (unsigned long long)f->max));
		return false;
	}
	return true;
}

static void check_list(struct gw_cf_check *c, const struct gw_cf_field *f, yyjson_val *v)
{
	struct gw_str at = gw_cf_at(c, f->name);
	yyjson_arr_iter it = yyjson_arr_iter_with(v);
	yyjson_val *item;

	if (!check_list_size(c, f, at, v,
			     f->type == GW_CF_CIDRS  ? "address ranges"
			     : f->type == GW_CF_STRS ? "names"
						     : "ids"))
		return;
	for (size_t i = 0; (item = yyjson_arr_iter_next(&it)); i++) {
		struct gw_str here = gw_cf_at_index(c, at, i);

		check_item(c, f, here, item);
		if (yyjson_is_str(item) && is_repeated(v, i, item))
			gw_cf_fault(c, GW_E_INVALID, here,
				    gw_arena_printf(c->arena, "%.*s is in the list twice. Remove one.",
						    GW_FMT(gw_cf_label(here))));
	}
}

static void check_map(struct gw_cf_check *c, const struct gw_cf_field *f, yyjson_val *v)
{
	struct gw_str at = gw_cf_at(c, f->name);
	yyjson_obj_iter it = yyjson_obj_iter_with(v);
	yyjson_val *key;

	if (!yyjson_is_obj(v)) {
		must_be(c, at, "an object of text pairs, like {\"env\": \"prod\"}");
		return;
	}
	if (yyjson_obj_size(v) > f->max)
		gw_cf_fault(c, GW_E_INVALID, at,
			    gw_arena_printf(c->arena, "%s has %zu pairs; at most %llu are allowed.", f->name,
					    yyjson_obj_size(v), (unsigned long long)f->max));
	while ((key = yyjson_obj_iter_next(&it))) {
		struct gw_str k = gw_json_str(key);
		yyjson_val *one = yyjson_obj_iter_get_val(key);

		if (k.n < 1 || k.n > 63 || has_control(k))
			must_be(c, gw_cf_at_key(c, at, k), "named by 1 to 63 bytes of text without control characters");
		if (!yyjson_is_str(one) || yyjson_get_len(one) > 256 || has_control(gw_json_str(one)))
			must_be(c, gw_cf_at_key(c, at, k), "text of at most 256 bytes without control characters");
	}
}

/* ---- targets ---- */

static void check_target_number(struct gw_cf_check *c, struct gw_str at, yyjson_val *t, const char *name, uint64_t min,
				uint64_t max)
{
	yyjson_val *v = gw_json_get(t, gw_str_z(name));
	struct gw_str here = gw_cf_at_key(c, at, gw_str_z(name));

	if (!v || yyjson_is_null(v) || (yyjson_is_uint(v) && yyjson_get_uint(v) >= min && yyjson_get_uint(v) <= max))
		return;
	gw_cf_fault(c, GW_E_INVALID, here,
		    gw_arena_printf(c->arena, "%.*s must be a whole number from %llu to %llu.",
				    GW_FMT(gw_cf_label(here)), (unsigned long long)min, (unsigned long long)max));
}

static void check_target(struct gw_cf_check *c, struct gw_str at, yyjson_val *t)
{
	static const char *const names[] = { "deployment", "weight", "priority" };
	yyjson_obj_iter it = yyjson_obj_iter_with(t);
	yyjson_val *key, *dep = gw_json_get(t, GW_LIT("deployment"));
	struct gw_str here = gw_cf_at_key(c, at, GW_LIT("deployment"));

	if (!yyjson_is_obj(t)) {
		must_be(c, at, "an object like {\"deployment\": \"id\", \"weight\": 1, \"priority\": 0}");
		return;
	}
	while ((key = yyjson_obj_iter_next(&it))) {
		struct gw_str k = gw_json_str(key);

		if (!gw_str_eq(k, GW_LIT("deployment")) && !gw_str_eq(k, GW_LIT("weight")) &&
		    !gw_str_eq(k, GW_LIT("priority")))
			gw_cf_fault(c, GW_E_UNKNOWN_FIELD, gw_cf_at_key(c, at, k),
				    gw_arena_printf(c->arena, "\"%.*s\" is not a field of a target.%s",
						    (int)(k.n < 64 ? k.n : 64), k.p,
						    gw_cf_did_you_mean(c, k, names, 3)));
	}
	check_target_number(c, at, t, "weight", 1, 1000);
	check_target_number(c, at, t, "priority", 0, 15);
	if (!dep || yyjson_is_null(dep))
		gw_cf_fault(c, GW_E_MISSING, here,
			    gw_arena_printf(c->arena, "%.*s is required: which deployment answers.",
					    GW_FMT(gw_cf_label(here))));
	else if (!yyjson_is_str(dep) || !gw_cf_is_id(gw_json_str(dep)))
		must_be(c, here, "the id of a deployment");
	else
		gw_cf_check_ref(c, here, GW_KIND_deployment, gw_json_str(dep));
}

void gw_cf_check_targets(struct gw_cf_check *c, const struct gw_cf_field *f, yyjson_val *v)
{
	struct gw_str at = gw_cf_at(c, f->name);
	yyjson_val *t;

	if (!check_list_size(c, f, at, v, "{deployment, weight, priority}"))
		return;
	for (size_t i = 0; (t = yyjson_arr_get(v, i)); i++) {
		struct gw_str here = gw_cf_at_index(c, at, i), id = gw_json_str(gw_json_get(t, GW_LIT("deployment")));

		check_target(c, here, t);
		for (size_t j = 0; j < i && id.p; j++) {
			if (gw_str_eq(id, gw_json_str(gw_json_get(yyjson_arr_get(v, j), GW_LIT("deployment")))))
				gw_cf_fault(c, GW_E_INVALID, here,
					    gw_arena_printf(c->arena,
							    "%.*s names deployment \"%.*s\" a second time. Give it one "
							    "target with a larger weight.",
							    GW_FMT(gw_cf_label(here)), GW_FMT(id)));
		}
	}
}

void gw_cf_check_value(struct gw_cf_check *c, const struct gw_cf_field *f, yyjson_val *v)
{
	if (gw_cf_is_number_type(f->type))
		check_number(c, f, v);
	else if (gw_cf_is_text_type(f->type))
		check_text(c, f, v);
	else if (f->type == GW_CF_MAP)
		check_map(c, f, v);
	else if (f->type == GW_CF_TARGETS)
		gw_cf_check_targets(c, f, v);
	else
		check_list(c, f, v);
}
