/* The rows of schemas/remedies.def, by error. */
#include "core/remedy.h"

static const struct {
	enum gw_err err;
	const char *text;
} remedies[] = {
#define GW_REMEDY(name, text_) { GW_E_##name, text_ },
#include "schemas/remedies.def"
#undef GW_REMEDY
};

const char *gw_err_remedy(enum gw_err e)
{
	for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++) {
		if (remedies[i].err == e)
			return remedies[i].text;
	}
	return "";
}
