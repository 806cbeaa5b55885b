/* Whatever was read is within the limits and comes back the same after writing; faults have a place. */
#include "input.h"
#include "lib/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct gw_json_fault fault = { 0 };
	struct gw_yaml_pos *pos;
	yyjson_doc *doc, *again;
	struct gw_buf b;
	uint32_t line, column;
	enum gw_err err;

	if (n < 1)
		return 0;
	err = gw_yaml_read_pos(input(data + 1, n - 1), data[0] & 1, &doc, &pos, &fault);
	if (err) {
		MUST_HOLD(err == GW_E_SYNTAX && fault.what && fault.line >= 1 && fault.column >= 1 && !doc && !pos);
		return 0;
	}
	MUST_HOLD(gw_yaml_where(pos, GW_LIT(""), &line, &column) && line >= 1);
	gw_yaml_pos_free(pos);
	gw_buf_init(&b, 64 << 20);
	gw_yaml_write(&b, yyjson_doc_get_root(doc));
	if (!b.err) {
		MUST_HOLD(gw_yaml_read(gw_buf_view(&b), false, &again, &fault) == GW_OK);
		MUST_HOLD(yyjson_equals(yyjson_doc_get_root(doc), yyjson_doc_get_root(again)));
		yyjson_doc_free(again);
	}
	gw_buf_done(&b);
	yyjson_doc_free(doc);
	return 0;
}
