/* Records from damaged segments: unpacked or refused; what is unpacked can be printed, and packed and unpacked again. */
#include "input.h"
#include "core/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_str bytes = gw_str((const char *)data, size);
	struct gw_record r, back;
	struct gw_record_peek peek;
	struct gw_admin_record admin;
	struct gw_json_out w;
	struct gw_buf b;

	gw_buf_init(&b, 32 << 20);
	if (gw_record_unpack(bytes, &r) == GW_OK) {
		MUST_HOLD(gw_record_peek(bytes, &peek) == GW_OK && peek.request_id == r.request_id);
		MUST_HOLD(peek.cost_nanousd == r.cost_nanousd && peek.is_synthetic == r.is_synthetic);
		gw_record_pack(&r, false, &b);
		MUST_HOLD(b.err == GW_OK && b.n <= GW_RECORD_MAX_BYTES);
		MUST_HOLD(gw_record_unpack(gw_buf_view(&b), &back) == GW_OK);
		MUST_HOLD(back.status == r.status && back.cost_nanousd == r.cost_nanousd &&
			  back.is_stream == r.is_stream);
		gw_buf_clear(&b, 1 << 20);
		gw_jw_init(&w, &b);
		gw_record_json(&r, &w);
		MUST_HOLD(b.err == GW_OK);
		gw_buf_clear(&b, 1 << 20);
	}
	if (gw_admin_record_unpack(bytes, &admin) == GW_OK) {
		gw_jw_init(&w, &b);
		gw_admin_record_json(&admin, &w);
		MUST_HOLD(b.err == GW_OK);
	}
	gw_buf_done(&b);
	return 0;
}
