/* The cut does not matter, and a text that the strict reader takes is scanned to its end. First byte: where to cut. */
#include "input.h"
#include "lib/json.h"
#include "lib/json_scan.h"

/* usage.prompt_tokens, choices.0.finish_reason, model, a.b.c, a */
static const struct gw_scan_node tree[] = {
	GW_SCAN_NODE("", 1, 4, -1),     GW_SCAN_NODE("usage", 5, 1, -1), GW_SCAN_NODE("choices", 6, 1, -1),
	GW_SCAN_NODE("model", 0, 0, 2), GW_SCAN_NODE("a", 7, 1, 4),      GW_SCAN_NODE("prompt_tokens", 0, 0, 0),
	GW_SCAN_NODE("0", 8, 1, -1),    GW_SCAN_NODE("b", 9, 1, -1),     GW_SCAN_NODE("finish_reason", 0, 0, 1),
	GW_SCAN_NODE("c", 0, 0, 3)
};
enum { N = 5 };

struct result {
	struct gw_scan_value v[N];
	bool is_broken, is_done;
};

static void scan(struct result *r, struct gw_str text, size_t step)
{
	struct gw_json_scan s;

	memset(r, 0, sizeof(*r));
	gw_json_scan_init(&s, tree, r->v, N);
	for (size_t i = 0; i < text.n; i += step)
		gw_json_scan_feed(&s, text.p + i, text.n - i < step ? text.n - i : step);
	r->is_broken = s.is_broken;
	r->is_done = s.is_done;
	for (int i = 0; i < N; i++) { /* what does not count is made equal */
		if (!r->v[i].type)
			r->v[i].len = r->v[i].is_cut = 0;
		memset(r->v[i].text + r->v[i].len, 0, sizeof(r->v[i].text) - r->v[i].len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct gw_str text;
	struct result whole, pieces;
	yyjson_doc *doc;
	size_t step;

	if (n < 2)
		return 0;
	text = input(data + 1, n - 1);
	step = 1 + data[0] % 16;
	scan(&whole, text, n);
	scan(&pieces, text, step);
	MUST_HOLD(memcmp(&whole, &pieces, sizeof(whole)) == 0);
	if (gw_json_read(text, NULL, &doc, NULL) == GW_OK) {
		yyjson_val *model = yyjson_obj_get(yyjson_doc_get_root(doc), "model");

		MUST_HOLD(!whole.is_broken);
		MUST_HOLD((model != NULL) == (whole.v[2].type != GW_JSON_NONE));
		yyjson_doc_free(doc);
	}
	return 0;
}
