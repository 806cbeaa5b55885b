/* Providers' error replies: the first two bytes are the status, the rest the body. The answer is an error, its message short, clean
 * UTF-8 or not at all, and without the secret; the body for the client is one JSON text. */
#include "input.h"
#include "core/error_body.h"
#include "lib/arena.h"
#include "lib/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct gw_str secret = { "s3cret-v4lue", 12 };
	struct gw_upstream_error u;
	struct gw_json_fault f;
	struct gw_arena a;
	struct gw_buf b;
	yyjson_doc *d;

	if (size < 2)
		return 0;
	gw_arena_init(&a, NULL, 0, 16 << 20);
	gw_buf_init(&b, 1 << 20);
	gw_upstream_error_read(&a, (data[0] << 8 | data[1]) % 700, gw_str((const char *)data + 2, size - 2), GW_NIL,
			       GW_NIL, &secret, 1, &u);
	MUST_HOLD(u.err != GW_OK && u.message.n <= 300);
	MUST_HOLD(u.message.n == 0 || gw_str_is_utf8(u.message));
	MUST_HOLD(u.message.n == 0 || !memmem(u.message.p, u.message.n, secret.p, secret.n));
	gw_upstream_error_body(&b, &u, GW_LIT("id"));
	MUST_HOLD(b.err == GW_OK && !memmem(b.p, b.n, secret.p, secret.n));
	MUST_HOLD(gw_json_read(gw_buf_view(&b), &gw_json_default_limits, &d, &f) == GW_OK);
	yyjson_doc_free(d);
	/* bytes of any kind through the scrubber alone */
	(void)gw_scrub(&a, gw_str((const char *)data, size), &secret, 1);
	gw_buf_done(&b);
	gw_arena_done(&a);
	return 0;
}
