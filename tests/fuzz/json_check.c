/* Both JSON readers give one verdict; what passes can be walked, written and read back as the same tree. */
#include "input.h"
#include "lib/json_write.h"

static const struct gw_str known[] = { { "model", 5 }, { "messages", 8 } };
static const struct gw_json_limits limits = { .max_depth = 64, .max_nodes = 100000, .known = known, .n_known = 2 };

static bool on_member(void *ctx, struct gw_str raw_key, struct gw_json_span value);

static bool on_item(void *ctx, struct gw_json_span value)
{
	struct gw_str text = *(struct gw_str *)ctx;

	MUST_HOLD(value.type != GW_JSON_NONE && value.len > 0 && value.off + value.len <= text.n);
	gw_json_each(text, value, on_member, ctx);
	gw_json_each_item(text, value, on_item, ctx);
	return true;
}

static bool on_member(void *ctx, struct gw_str raw_key, struct gw_json_span value)
{
	struct gw_str text = *(struct gw_str *)ctx;

	MUST_HOLD(raw_key.p > text.p && raw_key.p + raw_key.n < text.p + text.n);
	return on_item(ctx, value);
}

static void write_and_read(yyjson_val *v)
{
	struct gw_json_out w;
	struct gw_buf b;
	yyjson_doc *again;

	gw_buf_init(&b, 16 << 20);
	gw_jw_init(&w, &b);
	gw_jw_val(&w, v);
	MUST_HOLD(!b.err && gw_json_read(gw_buf_view(&b), NULL, &again, NULL) == GW_OK);
	MUST_HOLD(yyjson_equals(v, yyjson_doc_get_root(again)));
	yyjson_doc_free(again);
	gw_buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct gw_str text = input(data, n);
	struct gw_json_fault fault = { 0 };
	struct gw_json_span all = { 0, 0, GW_JSON_NONE };
	struct gw_arena a;
	yyjson_doc *doc;
	enum gw_err err;

	gw_arena_init(&a, NULL, 0, 32 << 20);
	err = gw_json_check(&a, text, &limits, NULL, 0, &fault);
	MUST_HOLD(err == GW_OK || (err == GW_E_SYNTAX && fault.what && fault.offset <= n));
	MUST_HOLD(gw_json_read(text, &limits, &doc, NULL) == err);
	if (doc) {
		char first = text.p[strspn(text.p, " \t\r\n")];

		all = (struct gw_json_span){ strspn(text.p, " \t\r\n"), 0, first == '{' ? GW_JSON_OBJ : GW_JSON_ARR };
		all.len = n - all.off;
		if (first == '{')
			gw_json_each(text, all, on_member, &text);
		else if (first == '[')
			gw_json_each_item(text, all, on_item, &text);
		write_and_read(yyjson_doc_get_root(doc));
		yyjson_doc_free(doc);
	}
	gw_arena_done(&a);
	return 0;
}
