/* Boot options: precedence, every type, and that each mistake is named with its place and its remedy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/msgpack.h"
#include "lib/sys/boot.h"
#include "lib/sys/fd.h"

static char dir[] = "/tmp/gw-boot-XXXXXX";
static char file[64];
static const char *why;

#define READ(b, ...) read_args((b), (char *[]){ (char *)"llmgw", __VA_ARGS__, NULL })

static enum gw_err read_args(struct gw_boot *b, char **argv)
{
	int n = 0;

	while (argv[n])
		n++;
	memset(b, 0x5a, sizeof(*b));
	why = NULL;
	return gw_boot_read(n, argv, b, &why);
}

static void write_config(const char *text)
{
	assert_int_equal(gw_write_file(AT_FDCWD, file, gw_str_z(text), 0600), GW_OK);
}

static int clean(void **state)
{
	(void)state;
	for (unsigned i = 0; i < gw_boot_n_rows; i++) {
		char name[64] = "LLMGW_";

		for (size_t k = 0; gw_boot_rows[i].name[k]; k++) {
			char c = gw_boot_rows[i].name[k];

			name[6 + k] = (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
			name[7 + k] = 0;
		}
		unsetenv(name);
	}
	unsetenv("RUNTIME_DIRECTORY");
	return 0;
}

static void test_defaults(void **state)
{
	struct gw_boot b;

	(void)state;
	assert_int_equal(READ(&b, NULL), GW_OK);
	assert_string_equal(b.data_dir, "/var/lib/llmgw");
	assert_string_equal(b.listen, "0.0.0.0:4000");
	assert_int_equal(b.workers, 0);
	assert_int_equal(b.ring_size, 32 << 20);
	assert_int_equal(b.drain_timeout, 600000);
	assert_true(b.sandbox);
	assert_false(b.allow_root);
	assert_int_equal(strncmp(b.runtime_dir, "/dev/shm/llmgw-", 15), 0);
}

static void test_precedence(void **state)
{
	struct gw_boot b;

	(void)state;
	write_config("workers: 3\nlisten: 127.0.0.1:1\ndrain_timeout: 7s\nlog_level: warn\n");
	assert_int_equal(READ(&b, (char *)"--config", file), GW_OK);
	assert_int_equal(b.workers, 3);
	assert_string_equal(b.listen, "127.0.0.1:1");
	assert_int_equal(b.drain_timeout, 7000);
	setenv("LLMGW_WORKERS", "4", 1);
	setenv("LLMGW_LISTEN", "127.0.0.1:2", 1);
	assert_int_equal(READ(&b, (char *)"--config", file), GW_OK);
	assert_int_equal(b.workers, 4);
	assert_int_equal(READ(&b, (char *)"--config", file, (char *)"--workers=5"), GW_OK);
	assert_int_equal(b.workers, 5);
	assert_string_equal(b.listen, "127.0.0.1:2");
	assert_string_equal(b.log_level, "warn");
	setenv("LLMGW_CONFIG", file, 1);
	assert_int_equal(READ(&b, (char *)"--workers", (char *)"6"), GW_OK);
	assert_int_equal(b.workers, 6);
	assert_string_equal(b.log_level, "warn");
}

static void test_every_spelling(void **state)
{
	struct gw_boot b;

	(void)state;
	assert_int_equal(READ(&b, (char *)"--data-dir", (char *)"/a/b//", (char *)"--runtime-dir=/r",
			      (char *)"--ring-size=64KiB", (char *)"--orphan-grace", (char *)"1500ms",
			      (char *)"--allow-root", (char *)"--sandbox=false"),
			 GW_OK);
	assert_string_equal(b.data_dir, "/a/b");
	assert_string_equal(b.runtime_dir, "/r");
	assert_int_equal(b.ring_size, 65536);
	assert_int_equal(b.orphan_grace, 1500);
	assert_true(b.allow_root);
	assert_false(b.sandbox);
	assert_int_equal(READ(&b, (char *)"--allow-root", (char *)"false", (char *)"--sandbox", (char *)"--workers=1"),
			 GW_OK);
	assert_false(b.allow_root);
	assert_true(b.sandbox);
	write_config("allow_root: true\nworkers: 2\nring_size: 1MiB\norphan_grace: 250\n");
	assert_int_equal(READ(&b, (char *)"--config", file), GW_OK);
	assert_true(b.allow_root);
	assert_int_equal(b.orphan_grace, 250);
	write_config("# nothing\n");
	assert_int_equal(READ(&b, (char *)"--config", file), GW_OK);
}

static void expect(enum gw_err got, const char *text)
{
	assert_int_not_equal(got, GW_OK);
	assert_non_null(why);
	if (!strstr(why, text))
		fail_msg("'%s' does not say '%s'", why, text);
}

static void test_mistakes(void **state)
{
	struct gw_boot b;

	(void)state;
	expect(READ(&b, (char *)"--workers=abc"), "--workers: 'abc' is not a number; give 0 for one per core");
	expect(READ(&b, (char *)"--workers=-1"), "--workers: '-1' is not a number");
	expect(READ(&b, (char *)"--worker=3"), "--worker: there is no such option; did you mean --workers?");
	expect(READ(&b, (char *)"--data_dir=x"), "did you mean --data-dir?");
	expect(READ(&b, (char *)"--quite-another-thing"), "--help");
	expect(READ(&b, (char *)"--workers"), "--workers: a value must follow");
	expect(READ(&b, (char *)"--workers=1", (char *)"--workers=2"), "--workers: given twice");
	expect(READ(&b, (char *)"stray"), "stray: unexpected argument");
	expect(READ(&b, (char *)"--drain-timeout=soon"), "--drain-timeout: 'soon' is not a duration; give for example");
	expect(READ(&b, (char *)"--ring-size=big"), "--ring-size: 'big' is not a size");
	expect(READ(&b, (char *)"--sandbox=maybe"), "--sandbox: 'maybe' is neither true nor false");
	expect(READ(&b, (char *)"--log-level=loud"),
	       "--log-level: 'loud' is not a level; give debug, info, warn or error");
	expect(READ(&b, (char *)"--data-dir="), "--data-dir: give a folder");
	expect(READ(&b, (char *)"--config=/no/such/file"), "--config: there is no file /no/such/file");
	setenv("LLMGW_RING_SIZE", "much", 1);
	expect(READ(&b, NULL), "LLMGW_RING_SIZE in the environment: 'much' is not a size");
}

static void test_mistakes_in_the_file(void **state)
{
	struct gw_boot b;

	(void)state;
	write_config("workers: 2\nworkerz: 3\n");
	expect(READ(&b, (char *)"--config", file), "line 2, column 1: unknown option 'workerz'; did you mean workers?");
	write_config("workers: two\n");
	expect(READ(&b, (char *)"--config", file), "line 1");
	expect(READ(&b, (char *)"--config", file), "workers: 'two' is not a number");
	/* A flag that covers the mistake does not hide it. */
	expect(READ(&b, (char *)"--workers=1", (char *)"--config", file), "workers: 'two' is not a number");
	write_config("workers: [1, 2]\n");
	expect(READ(&b, (char *)"--config", file), "workers is not one plain value");
	write_config("workers: 1.5\n");
	expect(READ(&b, (char *)"--config", file), "workers is not one plain value");
	write_config("config: /other\n");
	expect(READ(&b, (char *)"--config", file), "cannot name another one");
	write_config("- a\n- b\n");
	expect(READ(&b, (char *)"--config", file), "must be a map");
	write_config("workers: 1\nworkers: 2\n");
	expect(READ(&b, (char *)"--config", file), "line 2");
	write_config("workers: {\n");
	expect(READ(&b, (char *)"--config", file), "line ");
	write_config("listen: \"a\\0b\"\n");
	expect(READ(&b, (char *)"--config", file), "line 1");
}

static void test_data_dir_is_absolute(void **state)
{
	struct gw_boot b, c;
	char want[4200], *cwd = getcwd(NULL, 0);

	(void)state;
	assert_int_equal(READ(&b, (char *)"--data-dir=./var/"), GW_OK);
	snprintf(want, sizeof(want), "%s/var", cwd);
	assert_string_equal(b.data_dir, want);
	assert_int_equal(READ(&c, (char *)"--data-dir", want), GW_OK);
	assert_string_equal(b.runtime_dir, c.runtime_dir); /* one folder, one place */
	assert_int_equal(READ(&c, (char *)"--data-dir=/elsewhere"), GW_OK);
	assert_string_not_equal(b.runtime_dir, c.runtime_dir);
	setenv("RUNTIME_DIRECTORY", "/run/llmgw:/run/other", 1);
	assert_int_equal(READ(&c, NULL), GW_OK);
	assert_string_equal(c.runtime_dir, "/run/llmgw");
	free(cwd);
}

static void test_pack(void **state)
{
	struct gw_boot b, c;
	struct gw_buf p;

	(void)state;
	assert_int_equal(READ(&b, (char *)"--workers=9", (char *)"--allow-root", (char *)"--listen=[::1]:8"), GW_OK);
	gw_buf_init(&p, 65536);
	gw_boot_pack(&b, &p);
	assert_int_equal(p.err, GW_OK);
	assert_int_equal(gw_boot_unpack(gw_buf_view(&p), &c), GW_OK);
	assert_int_equal(c.workers, 9);
	assert_true(c.allow_root && c.sandbox);
	assert_string_equal(c.listen, "[::1]:8");
	assert_string_equal(c.runtime_dir, b.runtime_dir);
	assert_int_equal(c.drain_timeout, 600000);
	for (size_t n = 0; n < p.n; n++) {
		struct gw_boot d = { .workers = 77 };

		assert_int_not_equal(gw_boot_unpack(gw_str(p.p, n), &d), GW_OK);
		assert_int_equal(d.workers, 77);
	}
	/* From a newer or older binary: unknown options and other types are passed over, the rest is default. */
	gw_buf_clear(&p, 65536);
	gw_mp_map(&p, 3);
	gw_mp_str(&p, GW_LIT("not_yet_invented"));
	gw_mp_arr(&p, 1);
	gw_mp_u64(&p, 1);
	gw_mp_str(&p, GW_LIT("workers"));
	gw_mp_str(&p, GW_LIT("many"));
	gw_mp_str(&p, GW_LIT("listen"));
	gw_mp_str(&p, GW_LIT("1.2.3.4:5"));
	assert_int_equal(gw_boot_unpack(gw_buf_view(&p), &c), GW_OK);
	assert_int_equal(c.workers, 0);
	assert_string_equal(c.listen, "1.2.3.4:5");
	gw_buf_done(&p);
}

static void test_help(void **state)
{
	struct gw_buf b;

	(void)state;
	gw_buf_init(&b, 65536);
	gw_boot_help(&b);
	gw_buf_putc(&b, 0);
	assert_int_equal(b.err, GW_OK);
	assert_non_null(strstr(b.p, "--data-dir TEXT"));
	for (unsigned i = 0; i < gw_boot_n_rows; i++)
		assert_non_null(strstr(b.p, gw_boot_rows[i].doc));
	gw_buf_done(&b);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(file, sizeof(file), "%s/boot.yaml", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(dir);
}

/* Options live as long as the process, on purpose. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:keep\n";
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_defaults, clean),
		cmocka_unit_test_setup(test_precedence, clean),
		cmocka_unit_test_setup(test_every_spelling, clean),
		cmocka_unit_test_setup(test_mistakes, clean),
		cmocka_unit_test_setup(test_mistakes_in_the_file, clean),
		cmocka_unit_test_setup(test_data_dir_is_absolute, clean),
		cmocka_unit_test_setup(test_pack, clean),
		cmocka_unit_test_setup(test_help, clean),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
