/* Multipart forms: where they are cut does not matter, and a model that was found lies where the reader says. First byte: the step. */
#include "input.h"
#include "core/form.h"

static struct gw_form a, b;

static enum gw_err run(struct gw_form *f, struct gw_str text, size_t step)
{
	enum gw_err e = GW_OK;

	gw_form_init(f, GW_LIT("x"));
	for (size_t i = 0; i < text.n && !e; i += step) {
		size_t k = text.n - i < step ? text.n - i : step;
		char *piece = malloc(k);

		memcpy(piece, text.p + i, k);
		e = gw_form_feed(f, gw_str(piece, k));
		free(piece);
	}
	return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct gw_str text, boundary;

	if (n < 2)
		return 0;
	text = input(data + 1, n - 1);
	if (gw_form_boundary(text, &boundary) == GW_OK) {
		MUST_HOLD(boundary.n > 0 && boundary.n <= GW_FORM_BOUNDARY_MAX);
		gw_form_init(&a, boundary);
	}
	enum gw_err e = run(&a, text, n);
	MUST_HOLD(run(&b, text, 1 + data[0] % 24) == e);
	if (e)
		return 0;
	MUST_HOLD(a.is_done == b.is_done && a.at == b.at);
	for (int i = 0; i < GW_FORM_FIELDS; i++) {
		MUST_HOLD(a.has[i] == b.has[i]);
		MUST_HOLD(
		    gw_str_eq(gw_form_value(&a, (enum gw_form_field)i), gw_form_value(&b, (enum gw_form_field)i)));
	}
	if (a.has[GW_FORM_MODEL]) {
		MUST_HOLD(a.model_at + a.model_n <= text.n);
		MUST_HOLD(gw_str_eq(gw_str(text.p + a.model_at, a.model_n), gw_form_value(&a, GW_FORM_MODEL)));
	}
	return 0;
}
