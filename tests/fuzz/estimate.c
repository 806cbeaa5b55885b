/* Estimates of anything: the same however the text is cut, never more than a few tokens a byte, bodies and pictures of any bytes. First byte: where to cut. */
#include "input.h"
#include "core/estimate.h"

static uint64_t units(struct gw_str s, size_t cut, bool is_escaped, enum gw_estimate_family f)
{
	struct gw_estimate e = gw_estimate_begin(f);
	struct gw_str part[2] = { gw_str(s.p, cut), gw_str_skip(s, cut) };

	for (int i = 0; i < 2; i++) {
		uint64_t before = e.units;

		if (is_escaped)
			gw_estimate_escaped(&e, part[i]);
		else
			gw_estimate_text(&e, part[i]);
		MUST_HOLD(e.units >= before);
	}
	return e.units;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct gw_media m;

	if (n < 2)
		return 0;
	struct gw_str s = gw_str((const char *)data + 1, n - 1);
	size_t cut = data[0] % (s.n + 1);

	for (unsigned f = 0; f < GW_EF_COUNT; f++) {
		struct gw_estimate e = gw_estimate_begin((enum gw_estimate_family)f);

		for (int is_escaped = 0; is_escaped < 2; is_escaped++)
			MUST_HOLD(units(s, cut, is_escaped, (enum gw_estimate_family)f) ==
				  units(s, s.n, is_escaped, (enum gw_estimate_family)f));
		gw_estimate_value(&e, s);
		(void)gw_estimate_request((enum gw_estimate_family)f, s);
		(void)gw_estimate_reply((enum gw_estimate_family)f, s);
		gw_media_look(s, &m);
		(void)gw_media_tokens((enum gw_estimate_family)f, &m, cut & 1);
	}
	return 0;
}
