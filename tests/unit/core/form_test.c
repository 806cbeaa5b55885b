/* Multipart forms in pieces of every size: what is found, where it lies, and what is refused because two readers could differ. */
#include "tests/unit/lib/util.h"

#include "core/form.h"

#define B       "--x-1\r\n"
#define D(name) "Content-Disposition: form-data; name=\"" name "\"\r\n\r\n"
#define FILE_PART                                                                                                      \
	B "Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: "                        \
	  "audio/wav\r\n\r\nRIFF\r\n--x-2\r\n\r\n-\r\r\n--x\r\n"
#define END "--x-1--\r\n"

static struct gw_form f;

static enum gw_err feed(const char *text, size_t step)
{
	size_t n = strlen(text);
	enum gw_err e = GW_OK;

	gw_form_init(&f, GW_LIT("x-1"));
	for (size_t i = 0; i < n && !e; i += step) {
		/* memory of its own: ASan sees a byte too far */
		size_t k = n - i < step ? n - i : step;
		char *p = malloc(k);

		assert_non_null(p);
		memcpy(p, text + i, k);
		e = gw_form_feed(&f, gw_str(p, k));
		free(p);
	}
	return e;
}

static void finds(void **st)
{
	static const char *const forms[] = {
		B D("model") "whisper-1\r\n" FILE_PART END,
		FILE_PART B D("model") "whisper-1\r\n" B D("stream") "true\r\n" END,
		FILE_PART B "content-type: text/plain; "
			    "charset=UTF-8\r\ncontent-disposition:form-data;name=model\r\n\r\nwhisper-1\r\n--x-1--",
		B D("Modell") "\r\n" B D("model") "whisper-1\r\n" END,
	};

	(void)st;
	for (size_t i = 0; i < N_OF(forms); i++) {
		for (size_t step = 1; step < 90; step++) {
			assert_int_equal(feed(forms[i], step), GW_OK);
			assert_true(f.is_done && f.has[GW_FORM_MODEL]);
			assert_str(gw_form_value(&f, GW_FORM_MODEL), "whisper-1");
			assert_memory_equal(forms[i] + f.model_at, "whisper-1", 9);
			assert_int_equal(f.model_n, 9);
		}
	}
	assert_int_equal(feed(forms[1], 7), GW_OK);
	assert_str(gw_form_value(&f, GW_FORM_STREAM), "true");
	assert_int_equal(feed(B D("model") "\r\n" END, 3), GW_OK);
	assert_true(f.has[GW_FORM_MODEL] && f.model_n == 0);
	assert_int_equal(feed(FILE_PART END, 5), GW_OK);
	assert_true(f.is_done && !f.has[GW_FORM_MODEL]);
	/* a value that looks like the beginning of a delimiter */
	assert_int_equal(feed(B D("model") "a\r\n--x-\r\r\n--\r\n" END, 1), GW_OK);
	assert_str(gw_form_value(&f, GW_FORM_MODEL), "a\r\n--x-\r\r\n--");
}

static void refuses(void **st)
{
	static const char *const bad[] = {
		"hello" B D("model") "a\r\n" END,
		"\r\n" B D("model") "a\r\n" END,
		B D("model") "a\r\n" B D("model") "b\r\n" END,
		B D("model") "a\r\n" B D("Model") "b\r\n" END,
		B D("mod\\el") "a\r\n" END,
		B "Content-Disposition: form-data; name=\"model\"; name=\"x\"\r\n\r\na\r\n" END,
		B "Content-Disposition: form-data; name=\"x\"; name*=utf-8''model\r\n\r\na\r\n" END,
		B "Content-Disposition: form-data; name=\"x\"\r\nContent-Disposition: form-data; "
		  "name=\"model\"\r\n\r\na\r\n" END,
		B "Content-Disposition: form-data; name=\"model\"; filename=\"m\"\r\n\r\na\r\n" END,
		B "Content-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: "
		  "base64\r\n\r\nYQ==\r\n" END,
		B "Content-Disposition: form-data; name=\"model\"\r\nContent-Type: text/plain; "
		  "charset=utf-16\r\n\r\na\r\n" END,
		B "Content-Disposition: attachment; name=\"model\"\r\n\r\na\r\n" END,
		B "Content-Disposition: form-data\r\n\r\na\r\n" END,
		B "Content-Disposition form-data\r\n\r\na\r\n" END,
		B "Content-Disposition : form-data; name=\"model\"\r\n\r\na\r\n" END,
		B " folded: x\r\n" D("model") "a\r\n" END,
		B "X: y\nContent-Disposition: form-data; name=\"model\"\r\n\r\na\r\n" END,
		B "\r\na\r\n" END,
		B D("model") "a\r\n--x-1 \r\n" END,
		B D("model") "a\r\n--x-11\r\n" END,
		B D("model") "a\r\n--x-1-\r\n",
		B D("model") "a\r\n" END "more",
		B D("model") "a\r\n--x-1--more",
	};
	char longest[600] = B D("model");

	(void)st;
	for (size_t i = 0; i < N_OF(bad); i++) {
		for (size_t step = 1; step < 70; step += 11) {
			if (feed(bad[i], step) != GW_E_GARBLED)
				fail_msg("let through: %s", bad[i]);
			assert_true(strlen(f.why) > 0);
		}
	}
	memset(longest + strlen(longest), 'a', 201);
	assert_int_equal(feed(longest, 64), GW_E_GARBLED);
}

static void ceilings(void **st)
{
	struct gw_str line = GW_LIT("x: y\r\n"), part = GW_LIT("\r\n--x-1\r\n" D("p"));
	enum gw_err e;

	(void)st;
	assert_int_equal(feed(B, 64), GW_OK);
	for (int i = 0; i < 1400 && !f.err; i++)
		e = gw_form_feed(&f, line);
	assert_int_equal(f.err, GW_E_GARBLED);
	assert_int_equal(feed(B D("p"), 64), GW_OK);
	for (int i = 0; i < 254; i++) {
		e = gw_form_feed(&f, part);
		assert_int_equal(e, GW_OK);
	}
	e = gw_form_feed(&f, part);
	assert_int_equal(e, GW_OK);
	e = gw_form_feed(&f, part);
	assert_int_equal(e, GW_E_GARBLED);
}

static void boundaries(void **st)
{
	static const struct {
		const char *type, *want;
	} rows[] = {
		{ "multipart/form-data; boundary=abc", "abc" },
		{ "Multipart/Form-Data;boundary=\"a b:c\"", "a b:c" },
		{ "multipart/form-data; charset=utf-8; Boundary=----WebKit7", "----WebKit7" },
		{ "multipart/form-data; boundary=abc;", "abc" },
		{ "multipart/form-data", NULL },
		{ "multipart/form-data; boundary=", NULL },
		{ "multipart/form-data; boundary=\"\"", NULL },
		{ "multipart/form-data; boundary=a; boundary=b", NULL },
		{ "multipart/form-data; boundary=\"a", NULL },
		{ "multipart/form-data; boundary=\"a\\\"b\"", NULL },
		{ "multipart/form-data; boundary=a@b", NULL },
		{ "multipart/form-data; boundary=\"a \"", NULL },
		{ "multipart/form-data, boundary=a", NULL },
		{ "multipart/mixed; boundary=abc", NULL },
		{ "application/json", NULL },
		{ "", NULL },
		{ "multipart/form-data; "
		  "boundary=01234567890123456789012345678901234567890123456789012345678901234567890",
		  NULL },
	};

	(void)st;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct gw_str got;
		enum gw_err e = gw_form_boundary(gw_str_z(rows[i].type), &got);

		if (e != (rows[i].want ? GW_OK : GW_E_BAD_MEDIA))
			fail_msg("%s", rows[i].type);
		if (rows[i].want)
			assert_str(got, rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(finds), cmocka_unit_test(refuses),
					    cmocka_unit_test(ceilings), cmocka_unit_test(boundaries) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
