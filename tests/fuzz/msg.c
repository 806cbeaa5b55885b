/* A message that was understood packs into one that means the same. */
#include "input.h"
#include "lib/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct gw_msg m, again;
	struct gw_buf b, c;

	if (gw_msg_unpack(input(data, n), &m))
		return 0;
	MUST_HOLD(m.type > GW_MSG_none_ && m.type <= GW_MSG_COUNT && !(m.has & 1));
	gw_buf_init(&b, 1 << 24);
	gw_buf_init(&c, 1 << 24);
	gw_msg_pack(&b, &m);
	MUST_HOLD(!b.err && gw_msg_unpack(gw_buf_view(&b), &again) == GW_OK && again.type == m.type &&
		  again.has == m.has);
	gw_msg_pack(&c, &again);
	MUST_HOLD(gw_str_eq(gw_buf_view(&b), gw_buf_view(&c)));
	gw_buf_done(&b);
	gw_buf_done(&c);
	return 0;
}
