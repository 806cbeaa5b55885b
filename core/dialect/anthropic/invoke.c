/* Streams of Anthropic's events as Bedrock's InvokeModelWithResponseStream sends them: what the SDK's Bedrock client reads. */
#include "core/dialect/anthropic/endpoints.h"
#include "lib/awsframe.h"
#include "lib/text.h"

static void put_chunk(struct gw_str json, struct gw_buf *payload, struct gw_buf *out)
{
	gw_buf_clear(payload, 64 << 10);
	gw_buf_puts(payload, GW_LIT("{\"bytes\":\""));
	gw_b64_put(payload, json.p, json.n);
	gw_buf_puts(payload, GW_LIT("\"}"));
	if ((payload->err || gw_awsframe_put_event(out, GW_LIT("chunk"), gw_buf_view(payload))) && !out->err)
		out->err = GW_E_NOMEM;
}

void anthropic_invoke_chunks(struct gw_str sse, struct gw_buf *out)
{
	const struct gw_str data = GW_LIT("data: ");
	struct gw_str line;
	struct gw_buf payload;

	gw_buf_init(&payload, GW_AWSFRAME_MAX);
	while (sse.n && gw_str_cut(sse, '\n', &line, &sse)) {
		if (gw_str_has_prefix(line, data))
			put_chunk(gw_str_skip(line, data.n), &payload, out);
	}
	gw_buf_done(&payload);
}
