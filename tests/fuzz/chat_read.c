/* Chat requests: what gw_chat_read accepts can be spliced, and the spliced body is accepted again, with the new model and usage. */
#include "input.h"
#include "core/passthru.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_str body = gw_str((const char *)data, size), param, why, pieces[8];
	struct gw_chat_request q, again;
	struct gw_arena a;
	struct gw_buf b;
	uint32_t n = 0;

	gw_arena_init(&a, NULL, 0, 4 << 20);
	if (gw_chat_read(&a, body, &q, &param, &why) == GW_OK) {
		gw_buf_init(&b, 8 << 20);
		MUST_HOLD(gw_chat_splice(&a, body, &q, GW_LIT("up/model:1"), pieces, &n) == GW_OK && n <= 8);
		for (uint32_t i = 0; i < n; i++)
			gw_buf_puts(&b, pieces[i]);
		MUST_HOLD(gw_chat_read(&a, gw_buf_view(&b), &again, &param, &why) == GW_OK);
		MUST_HOLD(gw_str_eq(again.model, GW_LIT("up/model:1")));
		MUST_HOLD(again.is_stream == q.is_stream && again.n_messages == q.n_messages &&
			  again.max_tokens == q.max_tokens);
		MUST_HOLD(!q.is_stream || again.wants_usage);
		gw_buf_done(&b);
	}
	gw_arena_done(&a);
	return 0;
}
