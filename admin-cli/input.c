/* What goes in: objects from files (YAML or JSON), secrets from standard input or the environment, paths and queries. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>
#include "admin-cli/cli.h"
#include "core/config.h"
#include "lib/secret.h"
#include "lib/sys/clock.h"
#include "lib/sys/fd.h"
#include "lib/text.h"
#include "lib/url.h"
#include "lib/yaml.h"

enum { FILE_MAX = 32 << 20, SECRET_MAX = 16384 };

static int read_all(int fd, struct gw_buf *b)
{
	for (;;) {
		size_t room = b->max - b->n < 65536 ? b->max - b->n : 65536;
		char *p = room ? gw_buf_room(b, room) : NULL;
		ssize_t n = p ? read(fd, p, room) : -1;

		if (n < 0)
			return CLI_FAILED;
		if (n == 0)
			return CLI_OK;
		gw_buf_commit(b, (size_t)n);
	}
}

static int read_file(struct cli *c, struct gw_buf *text)
{
	int fd = STDIN_FILENO, rc;

	if (!c->o.file) {
		cli_error("name a file with -f FILE (- for standard input)");
		return CLI_USAGE;
	}
	if (strcmp(c->o.file, "-") != 0 && (fd = open(c->o.file, O_RDONLY | O_CLOEXEC)) < 0) {
		cli_error("cannot open %s", c->o.file);
		return CLI_FAILED;
	}
	rc = read_all(fd, text);
	if (fd != STDIN_FILENO)
		close(fd);
	if (rc)
		cli_error("cannot read %s (more than 32 MiB?)", c->o.file);
	return rc;
}

/* "${NAME}" and "${FILE:path}" as a whole value are replaced here, on the client: the gateway never sees a name of ours. */
static int put_value(struct gw_json_out *w, const yyjson_val *cv);

static int put_reference(struct gw_json_out *w, struct gw_str s)
{
	char name[512];
	struct gw_buf b;
	const char *v;

	snprintf(name, sizeof name, "%.*s", (int)(s.n - 3), s.p + 2);
	if (strncmp(name, "FILE:", 5) == 0) {
		gw_buf_init(&b, SECRET_MAX);
		if (gw_read_file(AT_FDCWD, name + 5, &b)) {
			cli_error("cannot read %s", name + 5);
			gw_buf_done(&b);
			return CLI_INVALID;
		}
		while (b.n && (b.p[b.n - 1] == '\n' || b.p[b.n - 1] == '\r'))
			b.n--;
		gw_jw_str(w, gw_buf_view(&b));
		gw_wipe(b.p, b.n);
		gw_buf_done(&b);
		return CLI_OK;
	}
	v = getenv(strncmp(name, "ENV:", 4) == 0 ? name + 4 : name);
	if (!v) {
		cli_error("the environment has no %s", name);
		return CLI_INVALID;
	}
	gw_jw_str(w, gw_str_z(v));
	return CLI_OK;
}

static int put_value(struct gw_json_out *w, const yyjson_val *cv)
{
	yyjson_val *v = (yyjson_val *)(uintptr_t)cv, *key, *one;
	struct gw_str s = gw_json_str(v);
	size_t i, n;
	int rc = CLI_OK;

	if (yyjson_is_str(v) && s.n > 3 && s.p[0] == '$' && s.p[1] == '{' && s.p[s.n - 1] == '}')
		return put_reference(w, s);
	if (yyjson_is_obj(v)) {
		gw_jw_obj(w);
		yyjson_obj_foreach(v, i, n, key, one)
		{
			gw_jw_key(w, gw_json_str(key));
			if ((rc = put_value(w, one)) != CLI_OK)
				return rc; /* what was written so far is thrown away */
		}
		gw_jw_end_obj(w);
	} else if (yyjson_is_arr(v)) {
		gw_jw_arr(w);
		yyjson_arr_foreach(v, i, n, one)
		{
			if ((rc = put_value(w, one)) != CLI_OK)
				return rc;
		}
		gw_jw_end_arr(w);
	} else {
		gw_jw_val(w, v);
	}
	return rc;
}

/* A stream of one document that is a list, or an export, is that list. */
static yyjson_val *objects_of(yyjson_val *root)
{
	yyjson_val *first = yyjson_arr_get_first(root);

	if (yyjson_arr_size(root) == 1 && yyjson_is_arr(first))
		return first;
	if (yyjson_arr_size(root) == 1 && yyjson_is_arr(yyjson_obj_get(first, "items")))
		return yyjson_obj_get(first, "items");
	return root;
}

/* Unknown kinds and fields are told here, with their place in the file; the gateway checks everything else. */
static const char *place(struct cli *c, size_t i, struct gw_str name)
{
	uint32_t line = 0, column = 0;
	struct gw_str out;

	if (cli_where(c, gw_arena_printf(&c->arena, "/%zu/%.*s", i, GW_FMT(name)), &line, &column))
		out = gw_arena_printf(&c->arena, "%s: line %u, column %u: ", c->pos_name, line, column);
	else
		out = gw_arena_printf(&c->arena, "%s: object %zu: ", c->pos_name, i + 1);
	return gw_arena_z(&c->arena, out);
}

static int check_names(struct cli *c, yyjson_val *list)
{
	size_t i, n, k, m;
	yyjson_val *o, *key, *v;

	yyjson_arr_foreach(list, i, n, o)
	{
		const char *kind = yyjson_get_str(yyjson_obj_get(o, "kind"));
		enum gw_cf_kind which;

		if (!kind || !gw_cf_kind_by_name(gw_str_z(kind), &which)) {
			const char *names[GW_KIND_COUNT], *near;

			for (int q = 0; q < GW_KIND_COUNT; q++)
				names[q] = gw_cf_kinds[q].name;
			near = kind ? cli_nearest(kind, names, GW_KIND_COUNT) : NULL;
			cli_error("%s: object %zu: kind is missing or unknown%s%s%s%s%s", c->pos_name, i + 1,
				  kind ? ": " : "", kind ? kind : "", near ? "; did you mean \"" : "", near ? near : "",
				  near ? "\"?" : "");
			return CLI_INVALID;
		}
		yyjson_obj_foreach(o, k, m, key, v)
		{
			struct gw_str name = gw_json_str(key);

			if (gw_str_eq(name, GW_LIT("kind")) || gw_cf_field_find(which, name))
				continue;
			cli_no_field(place(c, i, name), gw_cf_kinds[which].plural, name);
			return CLI_INVALID;
		}
	}
	return CLI_OK;
}

void cli_no_field(const char *where, const char *plural, struct gw_str field)
{
	const char *names[128], *near;
	char word[128];
	enum gw_cf_kind k;
	size_t n = 0;

	if (!gw_cf_kind_by_plural(gw_str_z(plural), &k))
		return;
	for (unsigned i = 0; i < gw_cf_kinds[k].n_fields && n < 128; i++)
		names[n++] = gw_cf_kinds[k].fields[i]->name;
	snprintf(word, sizeof word, "%.*s", GW_FMT(field));
	near = cli_nearest(word, names, n);
	cli_error("%s%s has no field \"%s\"%s%s%s", where, gw_cf_kinds[k].name, word, near ? "; did you mean \"" : "",
		  near ? near : "", near ? "\"?" : "");
	cli_hint("llmgwctl explain %s lists its fields.", gw_cf_kinds[k].name);
}

bool cli_where(struct cli *c, struct gw_str pointer, uint32_t *line, uint32_t *column)
{
	struct gw_str p;

	if (!c->pos)
		return false;
	p = gw_arena_printf(&c->arena, "%s%.*s", c->pos_base, GW_FMT(pointer));
	while (p.n && !gw_yaml_where(c->pos, p, line, column)) {
		while (p.n > 0 && p.p[p.n - 1] != '/')
			p.n--;
		p.n -= p.n > 0;
	}
	return p.n > 0;
}

int cli_read_text(struct cli *c, struct gw_str text, const char *name, struct gw_buf *json)
{
	struct gw_json_fault fault = { 0 };
	struct gw_json_out w;
	yyjson_doc *doc = NULL;
	int rc = CLI_OK;

	gw_yaml_pos_free(c->pos);
	c->pos = NULL;
	c->pos_name = name;
	if (gw_yaml_read_pos(text, true, &doc, &c->pos, &fault)) {
		cli_error("%s: line %u, column %u: %s%s%.*s", name, fault.line, fault.column, fault.what,
			  fault.key.n ? ": " : "", GW_FMT(fault.key));
		return CLI_INVALID;
	}
	yyjson_val *root = yyjson_doc_get_root(doc), *list = objects_of(root);
	c->pos_base = list == root ? "" : yyjson_is_arr(yyjson_arr_get_first(root)) ? "/0" : "/0/items";
	rc = check_names(c, list);
	gw_jw_init(&w, json);
	if (!rc)
		rc = put_value(&w, list);
	if (!rc && json->err)
		rc = CLI_FAILED;
	yyjson_doc_free(doc);
	return rc;
}

int cli_read_objects(struct cli *c, struct gw_buf *json)
{
	struct gw_buf text;
	int rc;

	gw_buf_init(&text, FILE_MAX);
	rc = read_file(c, &text);
	if (!rc)
		rc = cli_read_text(c, gw_buf_view(&text), c->o.file, json);
	if (text.p)
		gw_wipe(text.p, text.n);
	gw_buf_done(&text);
	return rc;
}

/* Nobody behind the shoulder reads along; the terminal is put back however this ends. */
static int read_hidden(struct gw_buf *out)
{
	struct termios was, hidden;
	bool is_hidden = tcgetattr(STDIN_FILENO, &was) == 0;
	char line[SECRET_MAX];
	bool ok;

	hidden = was;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	is_hidden = is_hidden && tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) == 0;
	fputs("Secret (not shown), then Enter: ", stderr);
	ok = fgets(line, sizeof line, stdin) != NULL;
	if (is_hidden)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
	fputc('\n', stderr);
	if (ok)
		gw_buf_puts(out, gw_str_z(line));
	gw_wipe(line, sizeof line);
	return ok ? CLI_OK : CLI_FAILED;
}

int cli_read_secret(struct cli *c, struct gw_buf *out)
{
	gw_buf_init(out, SECRET_MAX);
	if (c->o.from_env) {
		const char *v = getenv(c->o.from_env);

		if (!v || !v[0]) {
			cli_error("the environment variable %s is not set", c->o.from_env);
			return CLI_USAGE;
		}
		gw_buf_puts(out, gw_str_z(v));
		return CLI_OK;
	}
	if ((isatty(STDIN_FILENO) ? read_hidden(out) : read_all(STDIN_FILENO, out)) != CLI_OK) {
		cli_error("cannot read the secret from standard input");
		return CLI_FAILED;
	}
	while (out->n && (out->p[out->n - 1] == '\n' || out->p[out->n - 1] == '\r'))
		out->n--;
	if (out->n)
		return CLI_OK;
	cli_error("no secret: pipe it in, or name its environment variable with --from-env");
	return CLI_USAGE;
}

struct gw_str cli_path(struct cli *c, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return gw_arena_str(&c->arena, gw_str(text, n < (int)sizeof text ? (size_t)n : sizeof text - 1));
}

struct gw_str cli_enc(struct cli *c, const char *text)
{
	struct gw_buf b;
	struct gw_str out;

	gw_buf_init(&b, 4096);
	gw_url_encode(&b, gw_str_z(text));
	gw_buf_putc(&b, 0);
	out = gw_arena_str(&c->arena, gw_buf_view(&b));
	gw_buf_done(&b);
	return out.n ? gw_str(out.p, out.n - 1) : out;
}

void cli_query(struct gw_buf *q, const char *name, const char *value)
{
	if (!value)
		return;
	if (q->n)
		gw_buf_putc(q, '&');
	gw_buf_puts(q, gw_str_z(name));
	gw_buf_putc(q, '=');
	gw_url_encode(q, gw_str_z(value));
}

const char *cli_plural(const char *kind)
{
	const char *names[GW_KIND_COUNT], *near;
	char all[512] = "";
	enum gw_cf_kind k;

	if (gw_cf_kind_by_plural(gw_str_z(kind), &k) || gw_cf_kind_by_name(gw_str_z(kind), &k))
		return gw_cf_kinds[k].plural;
	for (int i = 0; i < GW_KIND_COUNT; i++) {
		size_t n = strlen(all);

		names[i] = gw_cf_kinds[i].plural;
		snprintf(all + n, sizeof all - n, "%s%s", i ? ", " : "", names[i]);
	}
	near = cli_nearest(kind, names, GW_KIND_COUNT);
	if (near)
		cli_error("there is no kind \"%s\"; did you mean \"%s\"?", kind, near);
	else
		cli_error("there is no kind \"%s\"; kinds are %s", kind, all);
	return NULL;
}

/* --- members of bodies --- */
void cli_put_opt(struct gw_json_out *w, const char *key, const char *v)
{
	if (v)
		gw_jw_kstr(w, key, gw_str_z(v));
}

int cli_put_expiry(struct gw_json_out *w, const char *when)
{
	struct gw_buf b;
	int64_t us;
	uint64_t ms;

	if (!when)
		return CLI_OK;
	if (gw_duration_read(gw_str_z(when), &ms)) {
		us = gw_unix_us() + (int64_t)ms * 1000;
	} else if (!gw_time_read(gw_str_z(when), &us)) {
		cli_error("--expires: give a span like 30d or a time like 2027-01-01T00:00:00Z");
		return CLI_USAGE;
	}
	gw_buf_init(&b, 64);
	gw_time_put(&b, us);
	gw_jw_kstr(w, "expires_at", gw_buf_view(&b));
	gw_buf_done(&b);
	return CLI_OK;
}
