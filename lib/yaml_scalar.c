/* The YAML 1.2 core schema for plain scalars (lib/yaml.h), for reading and for knowing what to quote. */
#include "lib/yaml_impl.h"

static bool is_one_of(struct gw_str s, const char *const *words)
{
	for (; *words; words++)
		if (gw_str_eq(s, gw_str_z(*words)))
			return true;
	return false;
}

static size_t digits(struct gw_str s, size_t i)
{
	while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
		i++;
	return i;
}

/* 0o17, 0x1F: no sign */
static bool is_based_int(struct gw_str s)
{
	if (s.n < 3 || s.p[0] != '0' || (s.p[1] != 'o' && s.p[1] != 'x'))
		return false;
	for (size_t i = 2; i < s.n; i++) {
		char c = s.p[i], low = (char)(c | 0x20);
		bool ok = s.p[1] == 'o' ? c >= '0' && c <= '7' : (c >= '0' && c <= '9') || (low >= 'a' && low <= 'f');

		if (!ok)
			return false;
	}
	return true;
}

/* [-+]? ( \.[0-9]+ | [0-9]+ ( \.[0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static enum gw_yaml_kind resolve_number(struct gw_str s)
{
	size_t i = s.p[0] == '-' || s.p[0] == '+', from = i, e;
	size_t whole;
	bool is_float = false;

	i = digits(s, i);
	whole = i - from;
	if (i < s.n && s.p[i] == '.') {
		from = ++i;
		i = digits(s, i);
		if (whole == 0 && i == from)
			return GW_YAML_STR;
		is_float = true;
	} else if (whole == 0) {
		return GW_YAML_STR;
	}
	if (i < s.n && (s.p[i] | 0x20) == 'e') {
		i++;
		i += i < s.n && (s.p[i] == '-' || s.p[i] == '+');
		e = digits(s, i);
		if (e == i)
			return GW_YAML_STR;
		i = e;
		is_float = true;
	}
	return i < s.n ? GW_YAML_STR : is_float ? GW_YAML_FLOAT : GW_YAML_INT;
}

enum gw_yaml_kind gw_yaml_resolve(struct gw_str s)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const bools[] = { "true", "True", "TRUE", "false", "False", "FALSE", NULL };
	static const char *const no_numbers[] = { ".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", NULL };
	bool is_signed = s.n && (s.p[0] == '-' || s.p[0] == '+');

	if (is_one_of(s, nulls))
		return GW_YAML_NULL;
	if (is_one_of(s, bools))
		return GW_YAML_BOOL;
	if (is_one_of(s, no_numbers) ||
	    (is_signed && is_one_of(gw_str_skip(s, 1), (const char *const[]){ ".inf", ".Inf", ".INF", NULL })))
		return GW_YAML_NO_NUMBER;
	if (is_based_int(s))
		return GW_YAML_INT;
	return resolve_number(s);
}
