/* Boot options: one row each in schemas/boot.def, read from flags, environment and a YAML file by the same code. Every
 * value first becomes text with a note of where it stands, so that an error can say "--workers" or "boot.yaml line 3"
 * alike. */
#include "lib/sys/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/msgpack.h"
#include "lib/sys/fd.h"
#include "lib/text.h"
#include "lib/yaml.h"

enum type { T_STR, T_U64, T_BOOL, T_DUR, T_SIZE };
enum option {
#define GW_BOOT(name, type, def, doc) OPT_##name,
#include "schemas/boot.def"
#undef GW_BOOT
	N_OPTIONS
};
enum { FILE_BYTES = 1 << 20, WHY_BYTES = 512, NAME_BYTES = 64 };

const struct gw_boot_row gw_boot_rows[] = {
#define GW_BOOT(name, type, def, doc) { #name, #type, def, doc },
#include "schemas/boot.def"
#undef GW_BOOT
};
const unsigned gw_boot_n_rows = N_OPTIONS;

static const struct {
	size_t offset;
	enum type type;
} fields[N_OPTIONS] = {
#define GW_BOOT(name, type, def, doc) { offsetof(struct gw_boot, name), T_##type },
#include "schemas/boot.def"
#undef GW_BOOT
};

/* Name as people type it: data-dir as a flag, LLMGW_DATA_DIR in the environment. */
static const char *flag_names[N_OPTIONS] = {
#define GW_BOOT(name, type, def, doc) #name,
#include "schemas/boot.def"
#undef GW_BOOT
};

static char why_text[WHY_BYTES];

static enum gw_err fail(enum gw_err e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static enum gw_err fail(enum gw_err e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why_text, sizeof(why_text), fmt, ap);
	va_end(ap);
	return e;
}

/* Options live as long as the process; a start without memory for them is no start. */
static char *keep(struct gw_str s)
{
	char *z = malloc(s.n + 1);

	GW_REQUIRE(z != NULL);
	if (s.n)
		memcpy(z, s.p, s.n);
	z[s.n] = 0;
	return z;
}

static void spell(const char *name, char from, char to, bool is_upper, char out[NAME_BYTES])
{
	size_t i = 0;

	for (; name[i] && i < NAME_BYTES - 1; i++) {
		char c = name[i] == from ? to : name[i];

		out[i] = (char)(is_upper && c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
	}
	out[i] = 0;
}

static int find(struct gw_str name)
{
	for (int i = 0; i < N_OPTIONS; i++)
		if (gw_str_eq(name, gw_str_z(gw_boot_rows[i].name)))
			return i;
	return -1;
}

static bool is_bool(struct gw_str s, bool *out)
{
	bool is_true = gw_str_eq(s, GW_LIT("true")) || gw_str_eq(s, GW_LIT("1"));

	if (!is_true && !gw_str_eq(s, GW_LIT("false")) && !gw_str_eq(s, GW_LIT("0")))
		return false;
	*out = is_true;
	return true;
}

/* What a wrong value of this option should have looked like. */
static const char *remedy(int i)
{
	if (i == OPT_workers)
		return "not a number; give 0 for one per core";
	switch (fields[i].type) {
	case T_U64:
		return "not a number; give decimal digits";
	case T_BOOL:
		return "neither true nor false";
	case T_DUR:
		return "not a duration; give for example 500ms, 30s, 5m or 2h";
	case T_SIZE:
		return "not a size; give for example 64KiB, 32MiB or 1GiB";
	case T_STR:
		break;
	}
	return i == OPT_log_level ? "not a level; give debug, info, warn or error" : "not usable as text";
}

static bool is_level(struct gw_str s)
{
	return gw_str_eq(s, GW_LIT("debug")) || gw_str_eq(s, GW_LIT("info")) || gw_str_eq(s, GW_LIT("warn")) ||
	       gw_str_eq(s, GW_LIT("error"));
}

/* Text into the field; false when it does not fit the type. */
static bool set(struct gw_boot *b, int i, struct gw_str v)
{
	void *at = (char *)b + fields[i].offset;

	switch (fields[i].type) {
	case T_STR:
		if (memchr(v.p ? v.p : "", 0, v.n) || v.n >= PATH_MAX || (i == OPT_log_level && !is_level(v)))
			return false;
		*(const char **)at = keep(v);
		return true;
	case T_U64:
		return gw_str_u64(v, at);
	case T_BOOL:
		return is_bool(v, at);
	case T_DUR:
		return gw_duration_read(v, at);
	case T_SIZE:
		return gw_size_read(v, at);
	}
	return false;
}

/* --- flags --- */

static enum gw_err unknown_flag(struct gw_str name)
{
	int near = gw_nearest(name, flag_names, N_OPTIONS);

	if (near >= 0)
		return fail(GW_E_UNKNOWN_FIELD, "--%.*s: there is no such option; did you mean --%s?", GW_FMT(name),
			    flag_names[near]);
	return fail(GW_E_UNKNOWN_FIELD, "--%.*s: there is no such option; --help lists them", GW_FMT(name));
}

static int find_flag(struct gw_str name)
{
	for (int i = 0; i < N_OPTIONS; i++)
		if (gw_str_eq(name, gw_str_z(flag_names[i])))
			return i;
	return -1;
}

/* One flag at argv[*at]; moves *at past its value. */
static enum gw_err read_flag(int argc, char **argv, int *at, struct gw_boot *b, bool *has)
{
	struct gw_str arg = gw_str_z(argv[*at]), name, value = GW_NIL;
	bool has_value, dummy;
	int i;

	if (!gw_str_has_prefix(arg, GW_LIT("--")))
		return fail(GW_E_INVALID, "%.64s: unexpected argument; options begin with --", argv[*at]);
	has_value = gw_str_cut(gw_str_skip(arg, 2), '=', &name, &value);
	name.n = name.n < NAME_BYTES ? name.n : NAME_BYTES;
	i = find_flag(name);
	if (i < 0)
		return unknown_flag(name);
	if (has[i])
		return fail(GW_E_INVALID, "--%s: given twice", flag_names[i]);
	if (!has_value && fields[i].type == T_BOOL) {
		/* Alone it means true; a following word is its value only if it is one. */
		if (*at + 1 < argc && is_bool(gw_str_z(argv[*at + 1]), &dummy))
			value = gw_str_z(argv[++*at]);
		else
			value = GW_LIT("true");
	} else if (!has_value) {
		if (*at + 1 >= argc)
			return fail(GW_E_MISSING, "--%s: a value must follow", flag_names[i]);
		value = gw_str_z(argv[++*at]);
	}
	if (!set(b, i, value))
		return fail(GW_E_INVALID, "--%s: '%.64s' is %s", flag_names[i], value.p, remedy(i));
	has[i] = true;
	return GW_OK;
}

static enum gw_err read_env(struct gw_boot *b, bool *has)
{
	for (int i = 0; i < N_OPTIONS; i++) {
		char name[NAME_BYTES + 8] = "LLMGW_";
		const char *v;

		spell(gw_boot_rows[i].name, '_', '_', true, name + 6);
		v = getenv(name);
		if (has[i] || !v)
			continue;
		if (!set(b, i, gw_str_z(v)))
			return fail(GW_E_INVALID, "%s in the environment: '%.64s' is %s", name, v, remedy(i));
		has[i] = true;
	}
	return GW_OK;
}

/* --- file --- */

static void where(const struct gw_yaml_pos *pos, struct gw_str key, uint32_t *line, uint32_t *column)
{
	struct gw_buf pointer;

	*line = *column = 0;
	gw_buf_init(&pointer, 1024);
	gw_buf_putc(&pointer, '/');
	for (size_t i = 0; i < key.n; i++) {
		if (key.p[i] == '~' || key.p[i] == '/')
			gw_buf_puts(&pointer, key.p[i] == '~' ? GW_LIT("~0") : GW_LIT("~1"));
		else
			gw_buf_putc(&pointer, key.p[i]);
	}
	if (!pointer.err)
		(void)gw_yaml_where(pos, gw_buf_view(&pointer), line, column);
	gw_buf_done(&pointer);
}

/* Scalars as text; false for lists, maps, null, negative and fractional numbers. */
static bool scalar_text(yyjson_val *v, char number[24], struct gw_str *out)
{
	if (yyjson_is_str(v))
		*out = gw_json_str(v);
	else if (yyjson_is_bool(v))
		*out = yyjson_is_true(v) ? GW_LIT("true") : GW_LIT("false");
	else if (yyjson_is_uint(v))
		*out = gw_str(number, (size_t)snprintf(number, 24, "%llu", (unsigned long long)yyjson_get_uint(v)));
	else
		return false;
	return true;
}

static enum gw_err read_pair(const char *path, const struct gw_yaml_pos *pos, yyjson_val *key, struct gw_boot *b,
			     bool *has)
{
	struct gw_str name = gw_json_str(key), text = GW_NIL;
	int i = find(name), near;
	uint32_t line, column;
	char number[24];

	where(pos, name, &line, &column);
	if (i < 0) {
		near = gw_nearest(name, flag_names, N_OPTIONS);
		return fail(GW_E_UNKNOWN_FIELD, "%.200s line %u, column %u: unknown option '%.*s'%s%s%s", path, line,
			    column, (int)(name.n < 64 ? name.n : 64), name.p, near < 0 ? "" : "; did you mean ",
			    near < 0 ? "" : gw_boot_rows[near].name, near < 0 ? "" : "?");
	}
	if (i == OPT_config)
		return fail(GW_E_INVALID,
			    "%.200s line %u, column %u: a boot file cannot name another one; remove 'config'", path,
			    line, column);
	if (!scalar_text(yyjson_obj_iter_get_val(key), number, &text))
		return fail(GW_E_INVALID, "%.200s line %u, column %u: %s is not one plain value", path, line, column,
			    gw_boot_rows[i].name);
	if (has[i]) {
		/* A stronger source has it already; a wrong value is still an error, found now and not after the flag
		 * is gone. */
		struct gw_boot scratch;

		if (set(&scratch, i, text))
			return GW_OK;
	} else if (set(b, i, text)) {
		has[i] = true;
		return GW_OK;
	}
	return fail(GW_E_INVALID, "%.200s line %u, column %u: %s: '%.*s' is %s", path, line, column,
		    gw_boot_rows[i].name, (int)(text.n < 64 ? text.n : 64), text.p, remedy(i));
}

enum gw_err gw_boot_read_yaml(const char *path, struct gw_str text, struct gw_boot *b, bool *has)
{
	struct gw_json_fault fault = { 0 };
	struct gw_yaml_pos *pos = NULL;
	yyjson_doc *doc = NULL;
	enum gw_err e = gw_yaml_read_pos(text, false, &doc, &pos, &fault);
	yyjson_val *root;

	if (e)
		return fail(e, "%.200s line %u, column %u: %s", path, fault.line, fault.column,
			    fault.what ? fault.what : "cannot be read as YAML");
	root = yyjson_doc_get_root(doc);
	if (yyjson_is_obj(root)) {
		yyjson_obj_iter it = yyjson_obj_iter_with(root);
		yyjson_val *key;

		while (!e && (key = yyjson_obj_iter_next(&it)))
			e = read_pair(path, pos, key, b, has);
	} else if (!yyjson_is_null(root)) {
		e = fail(GW_E_INVALID, "%.200s: the boot file must be a map of options, one 'name: value' a line",
			 path);
	}
	gw_yaml_pos_free(pos);
	yyjson_doc_free(doc);
	return e;
}

static enum gw_err read_config_file(struct gw_boot *b, bool *has)
{
	struct gw_buf text;
	enum gw_err e;

	gw_buf_init(&text, FILE_BYTES);
	e = gw_read_file(AT_FDCWD, b->config, &text);
	if (e == GW_E_NOT_FOUND)
		e = fail(e, "--config: there is no file %.200s", b->config);
	else if (e)
		e = fail(e, "--config: %.200s cannot be read: %s", b->config, gw_err_info(e)->doc);
	else
		e = gw_boot_read_yaml(b->config, gw_buf_view(&text), b, has);
	gw_buf_done(&text);
	return e;
}

/* --- the resolved set --- */

/* Roles and llmgwctl derive names from data_dir, so it has one spelling: absolute, without trailing slashes. */
static enum gw_err make_absolute(struct gw_boot *b)
{
	char cwd[PATH_MAX], full[2 * PATH_MAX];
	struct gw_str d = gw_str_z(b->data_dir);

	while (gw_str_has_prefix(d, GW_LIT("./")))
		d = gw_str_skip(d, 2);
	while (d.n > 1 && d.p[d.n - 1] == '/')
		d.n--;
	if (d.n == 0)
		return fail(GW_E_INVALID, "--data-dir: give a folder");
	if (d.p[0] == '/') {
		b->data_dir = keep(d);
		return GW_OK;
	}
	if (!getcwd(cwd, sizeof(cwd)))
		return fail(GW_E_IO, "--data-dir: the current folder has no name; give an absolute path");
	snprintf(full, sizeof(full), "%s/%.*s", strcmp(cwd, "/") == 0 ? "" : cwd, GW_FMT(d));
	b->data_dir = keep(gw_str_z(full));
	return GW_OK;
}

void gw_boot_runtime_dir(const char *data_dir, struct gw_buf *out)
{
	struct gw_str env = gw_str_z(getenv("RUNTIME_DIRECTORY")), first, rest;

	/* systemd gives a colon-separated list when the unit names several. */
	(void)gw_str_cut(env, ':', &first, &rest);
	if (first.n > 0 && first.p[0] == '/') {
		gw_buf_puts(out, first);
		return;
	}
	gw_buf_printf(out, "/dev/shm/llmgw-%u-%08x", (unsigned)geteuid(), gw_crc32c(0, data_dir, strlen(data_dir)));
}

static enum gw_err resolve(struct gw_boot *b)
{
	enum gw_err e = make_absolute(b);
	struct gw_buf dir;

	if (e || b->runtime_dir[0])
		return e;
	gw_buf_init(&dir, PATH_MAX);
	gw_boot_runtime_dir(b->data_dir, &dir);
	e = dir.err;
	if (!e)
		b->runtime_dir = keep(gw_buf_view(&dir));
	gw_buf_done(&dir);
	return e ? fail(e, "--runtime-dir: the path in RUNTIME_DIRECTORY is too long") : GW_OK;
}

static void set_defaults(struct gw_boot *b, const bool *has)
{
	for (int i = 0; i < N_OPTIONS; i++)
		if (!has || !has[i])
			GW_REQUIRE(set(b, i, gw_str_z(gw_boot_rows[i].def)));
}

static void name_flags(void)
{
	static char names[N_OPTIONS][NAME_BYTES];

	for (int i = 0; i < N_OPTIONS; i++) {
		spell(gw_boot_rows[i].name, '_', '-', false, names[i]);
		flag_names[i] = names[i];
	}
}

enum gw_err gw_boot_read(int argc, char **argv, struct gw_boot *out, const char **why)
{
	bool has[N_OPTIONS] = { false };
	struct gw_boot b = { 0 };
	enum gw_err e = GW_OK;

	name_flags();
	*why = why_text;
	why_text[0] = 0;
	for (int at = 1; !e && at < argc; at++)
		e = read_flag(argc, argv, &at, &b, has);
	if (!e)
		e = read_env(&b, has);
	if (!e && has[OPT_config] && b.config[0])
		e = read_config_file(&b, has);
	if (!e) {
		set_defaults(&b, has);
		e = resolve(&b);
	}
	if (e)
		return e;
	*out = b;
	return GW_OK;
}

/* --- msgpack, help --- */

void gw_boot_pack(const struct gw_boot *boot, struct gw_buf *b)
{
	gw_mp_map(b, N_OPTIONS);
	for (int i = 0; i < N_OPTIONS; i++) {
		const void *at = (const char *)boot + fields[i].offset;

		gw_mp_str(b, gw_str_z(gw_boot_rows[i].name));
		if (fields[i].type == T_STR)
			gw_mp_str(b, gw_str_z(*(const char *const *)at));
		else if (fields[i].type == T_BOOL)
			gw_mp_bool(b, *(const bool *)at);
		else
			gw_mp_u64(b, *(const uint64_t *)at);
	}
}

/* One value; a newer binary's unknown option and an option of another type are skipped, the default stays. */
static void unpack_value(struct gw_mp *r, int i, struct gw_boot *b)
{
	enum gw_mp_type t = gw_mp_peek(r);
	void *at = (char *)b + (i < 0 ? 0 : fields[i].offset);

	if (i >= 0 && fields[i].type == T_STR && (t == GW_MP_STR || t == GW_MP_BIN))
		*(const char **)at = keep(gw_mp_read_str(r));
	else if (i >= 0 && fields[i].type == T_BOOL && t == GW_MP_BOOL)
		*(bool *)at = gw_mp_read_bool(r);
	else if (i >= 0 && fields[i].type != T_STR && fields[i].type != T_BOOL && t == GW_MP_INT)
		*(uint64_t *)at = gw_mp_read_u64(r);
	else
		gw_mp_skip(r);
}

enum gw_err gw_boot_unpack(struct gw_str bytes, struct gw_boot *out)
{
	struct gw_mp r = gw_mp_reader(bytes);
	struct gw_boot b = { 0 };
	uint32_t n = gw_mp_read_map(&r);

	set_defaults(&b, NULL);
	for (uint32_t k = 0; k < n && !r.err; k++) {
		int i = find(gw_mp_read_str(&r));

		unpack_value(&r, i, &b);
	}
	if (r.err)
		return r.err;
	*out = b;
	return GW_OK;
}

void gw_boot_help(struct gw_buf *b)
{
	name_flags();
	gw_buf_puts(
	    b, GW_LIT("Options (also LLMGW_<NAME> in the environment, or a key of the file given by --config):\n"));
	for (int i = 0; i < N_OPTIONS; i++) {
		const char *arg = fields[i].type == T_STR    ? " TEXT"
				  : fields[i].type == T_U64  ? " N"
				  : fields[i].type == T_DUR  ? " TIME"
				  : fields[i].type == T_SIZE ? " SIZE"
							     : "";

		gw_buf_printf(b, "  --%s%s%*s%s", flag_names[i], arg,
			      (int)(26 - strlen(flag_names[i]) - strlen(arg)) > 1
				  ? (int)(26 - strlen(flag_names[i]) - strlen(arg))
				  : 1,
			      "", gw_boot_rows[i].doc);
		if (gw_boot_rows[i].def[0])
			gw_buf_printf(b, " Default: %s.", gw_boot_rows[i].def);
		gw_buf_putc(b, '\n');
	}
}
