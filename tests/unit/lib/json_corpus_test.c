/* gw_json_check and gw_json_read on JSONTestSuite: y_ files are accepted, n_ files refused, i_ files decided the same by
 * both readers. Exit code 77 when the shared data is absent. */
#include "util.h"

#include <dirent.h>

#include "lib/json.h"

/* y_ files that our stricter rule refuses on purpose: a document has one meaning, so a key stands once. */
static const char *const stricter[] = { "y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json" };

static bool is_stricter(const char *name)
{
	for (size_t i = 0; i < N_OF(stricter); i++)
		if (!strcmp(name, stricter[i]))
			return true;
	return false;
}

static enum gw_err verdict(struct gw_str text)
{
	struct gw_arena a;
	yyjson_doc *doc;
	enum gw_err err;

	gw_arena_init(&a, NULL, 0, 1 << 20);
	err = gw_json_check(&a, text, NULL, NULL, 0, NULL);
	assert_int_equal(gw_json_read(text, NULL, &doc, NULL), err);
	yyjson_doc_free(doc);
	gw_arena_done(&a);
	return err;
}

static void corpus(void **st)
{
	const char *root = getenv("LLMGW_SHARED");
	unsigned y = 0, n = 0, i = 0, refused_y = 0;
	struct dirent *e;
	char path[512];
	DIR *d;

	(void)st;
	snprintf(path, sizeof(path), "%s/corpora/JSONTestSuite/test_parsing", root ? root : "../shared");
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d))) {
		struct gw_str text;
		enum gw_err err;

		if (!strstr(e->d_name, ".json"))
			continue;
		snprintf(path, sizeof(path), "corpora/JSONTestSuite/test_parsing/%s", e->d_name);
		text = shared_file(path);
		assert_non_null(text.p);
		err = verdict(text);
		if (e->d_name[0] == 'y' && is_stricter(e->d_name)) {
			assert_int_equal(err, GW_E_SYNTAX);
			refused_y++;
		} else if (e->d_name[0] == 'y' && err) {
			fail_msg("%s refused", e->d_name);
		} else if (e->d_name[0] == 'n' && !err) {
			fail_msg("%s accepted", e->d_name);
		}
		y += e->d_name[0] == 'y';
		n += e->d_name[0] == 'n';
		i += e->d_name[0] == 'i';
		free((char *)(uintptr_t)text.p);
	}
	closedir(d);
	assert_true(y >= 95 && n >= 188 && i >= 35);
	assert_int_equal(refused_y, N_OF(stricter));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(corpus) };
	struct gw_str probe = shared_file("corpora/JSONTestSuite/SOURCE.txt");

	if (!probe.p)
		return skip_all("no JSONTestSuite below LLMGW_SHARED");
	free((char *)(uintptr_t)probe.p);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
