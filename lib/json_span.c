/* Walking through spans of a text that gw_json_check has accepted (lib/json.h): nothing is validated a second time,
 * so brackets and quotes are all that is looked at. */
#include "lib/json_impl.h"

static size_t skip_space(struct gw_str t, size_t i)
{
	while (i < t.n && (t.p[i] == ' ' || t.p[i] == '\n' || t.p[i] == '\r' || t.p[i] == '\t'))
		i++;
	return i;
}

/* i is at an opening quote; returns the position behind the closing one. */
static size_t skip_string(struct gw_str t, size_t i)
{
	const char *at = t.p + i + 1, *end = t.p + t.n;

	while (at < end) {
		at = (const char *)gw_json_plain_end((const uint8_t *)at, (const uint8_t *)end);
		if (at == end)
			break;
		if (*at == '"')
			return (size_t)(at - t.p) + 1;
		at += *at == '\\' && end - at > 1 ? 2 : 1;
	}
	return t.n;
}

/* Behind the container that opens at i. */
static size_t skip_container(struct gw_str t, size_t i)
{
	unsigned depth = 0;

	while (i < t.n) {
		switch (t.p[i]) {
		case '"':
			i = skip_string(t, i);
			continue;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			if (--depth == 0)
				return i + 1;
			break;
		default:
			break;
		}
		i++;
	}
	return t.n;
}

static size_t skip_scalar(struct gw_str t, size_t i)
{
	while (i < t.n && !strchr(",]} \t\r\n", t.p[i]))
		i++;
	return i;
}

/* The value that begins at i. */
static struct gw_json_span value_at(struct gw_str t, size_t i)
{
	struct gw_json_span s = { .off = i };
	size_t end;

	switch (i < t.n ? t.p[i] : '\0') {
	case '"':
		s.type = GW_JSON_STR;
		end = skip_string(t, i);
		break;
	case '{':
	case '[':
		s.type = t.p[i] == '{' ? GW_JSON_OBJ : GW_JSON_ARR;
		end = skip_container(t, i);
		break;
	case 't':
	case 'f':
		s.type = GW_JSON_BOOL;
		end = skip_scalar(t, i);
		break;
	case 'n':
		s.type = GW_JSON_NULL;
		end = skip_scalar(t, i);
		break;
	default:
		s.type = GW_JSON_NUM;
		end = skip_scalar(t, i);
	}
	s.len = end - i;
	return s;
}

void gw_json_each(struct gw_str text, struct gw_json_span obj, gw_json_member_fn *fn, void *ctx)
{
	/* cut at the object's end, but keep offsets of the whole text */
	struct gw_str t = gw_str(text.p, obj.off + obj.len);
	size_t i;

	if (obj.type != GW_JSON_OBJ)
		return;
	i = skip_space(t, obj.off + 1);
	while (i < t.n && t.p[i] == '"') {
		size_t key_end = skip_string(t, i);
		struct gw_str key = gw_str(t.p + i + 1, key_end - i - 2);
		struct gw_json_span v = value_at(t, skip_space(t, skip_space(t, key_end) + 1)); /* behind ':' */

		if (!fn(ctx, key, v))
			return;
		i = skip_space(t, v.off + v.len);
		if (i < t.n && t.p[i] == ',')
			i = skip_space(t, i + 1);
	}
}

void gw_json_each_item(struct gw_str text, struct gw_json_span arr, gw_json_item_fn *fn, void *ctx)
{
	struct gw_str t = gw_str(text.p, arr.off + arr.len);
	size_t i;

	if (arr.type != GW_JSON_ARR)
		return;
	i = skip_space(t, arr.off + 1);
	while (i < t.n && t.p[i] != ']') {
		struct gw_json_span v = value_at(t, i);

		if (!fn(ctx, v))
			return;
		i = skip_space(t, v.off + v.len);
		if (i < t.n && t.p[i] == ',')
			i = skip_space(t, i + 1);
	}
}

struct pick {
	const struct gw_json_want *want;
	size_t n_want;
};

static bool pick_member(void *ctx, struct gw_str raw_key, struct gw_json_span value)
{
	const struct pick *pick = ctx;

	for (size_t i = 0; i < pick->n_want; i++)
		if (gw_json_inside_eq(raw_key, pick->want[i].key))
			*pick->want[i].out = value;
	return true;
}

void gw_json_members(struct gw_str text, struct gw_json_span obj, const struct gw_json_want *want, size_t n_want)
{
	struct pick pick = { want, n_want };

	for (size_t i = 0; i < n_want; i++)
		*want[i].out = (struct gw_json_span){ 0 };
	gw_json_each(text, obj, pick_member, &pick);
}
