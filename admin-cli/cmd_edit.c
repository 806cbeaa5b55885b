/* edit: an object as YAML in the editor of the user. What the gateway refuses comes back with its words under the line that is meant; what
 * somebody else changed meanwhile is told (If-Match) and nothing is overwritten unseen. The file is nobody else's to read, and a file that was
 * left as it was changes nothing. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "admin-cli/cli.h"
#include "core/config.h"
#include "lib/secret.h"
#include "lib/sys/fd.h"
#include "lib/yaml.h"

enum { TEXT_MAX = 4 << 20, ROUNDS_MAX = 50 };

struct edit {
	struct cli *c;
	enum gw_cf_kind kind;
	const char *id;
	char etag[40], dir[256], path[512];
	uint64_t version;
	bool was_sent;
	struct gw_buf body; /* what stands in the file, without our remarks */
	struct gw_buf remarks; /* a line each */
};

/* --- the object as text --- */
/* Without what the gateway sets itself; the kind in front, so that the text is one that apply takes too. */
static void object_text(struct edit *e, yyjson_val *obj, struct gw_buf *out)
{
	struct gw_json_fault fault;
	struct gw_json_out w;
	struct gw_buf b;
	yyjson_doc *doc;
	size_t i, n;
	yyjson_val *key, *v;

	gw_buf_init(&b, TEXT_MAX);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "kind", gw_str_z(gw_cf_kinds[e->kind].name));
	yyjson_obj_foreach(obj, i, n, key, v)
	{
		const struct gw_cf_field *f = gw_cf_field_find(e->kind, gw_json_str(key));

		if (!f || (f->flags & GW_CF_RO))
			continue;
		gw_jw_key(&w, gw_json_str(key));
		gw_jw_val(&w, v);
	}
	gw_jw_end_obj(&w);
	if (gw_json_read(gw_buf_view(&b), &gw_json_default_limits, &doc, &fault) == GW_OK) {
		gw_yaml_write(out, yyjson_doc_get_root(doc));
		yyjson_doc_free(doc);
	}
	gw_buf_done(&b);
}

/* The object now, its text and its version. */
static int read_object(struct edit *e, struct gw_buf *text)
{
	struct gw_json_fault fault;
	struct cli_reply r;
	yyjson_doc *doc;
	int rc = cli_fetch(e->c, gw_cf_kinds[e->kind].plural, e->id, &r);

	if (!rc && gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault) == GW_OK) {
		snprintf(e->etag, sizeof e->etag, "%s", r.etag);
		e->version = yyjson_get_uint(yyjson_obj_get(yyjson_doc_get_root(doc), "version"));
		object_text(e, yyjson_doc_get_root(doc), text);
		yyjson_doc_free(doc);
	}
	cli_reply_done(&r);
	return rc;
}

/* --- the file --- */
static bool make_file(struct edit *e)
{
	const char *base = getenv("XDG_RUNTIME_DIR");

	if (!base || base[0] != '/' || access(base, W_OK) != 0)
		base = getenv("TMPDIR");
	if (!base || base[0] != '/')
		base = "/tmp";
	snprintf(e->dir, sizeof e->dir, "%.200s/llmgwctl-XXXXXX", base);
	if (!mkdtemp(e->dir)) /* 0700 */
		return false;
	snprintf(e->path, sizeof e->path, "%s/%s-%.64s.yaml", e->dir, gw_cf_kinds[e->kind].name, e->id);
	return true;
}

static void drop_file(struct edit *e)
{
	unlink(e->path);
	rmdir(e->dir);
}

/* "...line 12, column 3: ..." */
static uint64_t line_of(struct gw_str remark)
{
	struct gw_str head, tail;
	uint64_t n = 0;

	for (size_t i = 0; i + 5 < remark.n; i++)
		if (gw_str_has_prefix(gw_str_skip(remark, i), GW_LIT("line "))) {
			gw_str_cut(gw_str_skip(remark, i + 5), ',', &head, &tail);
			if (gw_str_u64(head, &n))
				return n;
		}
	return 0;
}

static void put_remarks(struct edit *e, uint64_t line, struct gw_buf *out)
{
	struct gw_str rest = gw_buf_view(&e->remarks), one;

	while (rest.n) {
		if (!gw_str_cut(rest, '\n', &one, &rest))
			rest = GW_NIL;
		if (line_of(one) == line && one.n)
			gw_buf_printf(out, "#! %s%.*s\n", line ? "^ " : "", GW_FMT(one));
	}
}

/* The body with our remarks: those about a line under it, the others on top. All begin with "#! " and are taken out again. */
static bool write_file(struct edit *e)
{
	struct gw_str rest = gw_buf_view(&e->body), one;
	struct gw_buf out;
	bool ok;

	gw_buf_init(&out, TEXT_MAX);
	gw_buf_printf(&out,
		      "#! %s \"%s\", version %llu. Lines that begin with #! are left out.\n"
		      "#! Save to change it; leave it as it is, or empty it, to change nothing.\n",
		      gw_cf_kinds[e->kind].name, e->id, (unsigned long long)e->version);
	put_remarks(e, 0, &out);
	for (uint64_t line = 1; rest.n; line++) {
		if (!gw_str_cut(rest, '\n', &one, &rest))
			rest = GW_NIL;
		gw_buf_puts(&out, one);
		gw_buf_putc(&out, '\n');
		put_remarks(e, line, &out);
	}
	ok = !out.err && gw_write_file(AT_FDCWD, e->path, gw_buf_view(&out), 0600) == GW_OK;
	gw_wipe(out.p, out.n);
	gw_buf_done(&out);
	return ok;
}

static bool read_back(struct edit *e, struct gw_buf *text)
{
	struct gw_str rest, one;
	struct gw_buf all;
	bool ok;

	gw_buf_init(&all, TEXT_MAX);
	ok = gw_read_file(AT_FDCWD, e->path, &all) == GW_OK;
	rest = gw_buf_view(&all);
	while (ok && rest.n) {
		if (!gw_str_cut(rest, '\n', &one, &rest))
			rest = GW_NIL;
		if (gw_str_has_prefix(one, GW_LIT("#! ")))
			continue;
		gw_buf_puts(text, one);
		gw_buf_putc(text, '\n');
	}
	if (all.p)
		gw_wipe(all.p, all.n);
	gw_buf_done(&all);
	return ok && !text->err;
}

/* --- the editor --- */
/* It may be given with options ("code --wait"), so a shell takes it apart. Interrupts are the editor's while it runs. */
static int run_editor(struct edit *e)
{
	const char *visual = getenv("VISUAL"), *plain = getenv("EDITOR");
	const char *editor = visual && visual[0] ? visual : plain && plain[0] ? plain : "vi";
	struct gw_str line = gw_arena_printf(&e->c->arena, "%s \"$1\"", editor);
	char *argv[] = { "sh", "-c", gw_arena_z(&e->c->arena, line), "sh", e->path, NULL };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, was_int, was_quit;
	posix_spawnattr_t attr;
	sigset_t defaults;
	int status = -1;
	pid_t pid;

	if (!argv[2] || posix_spawnattr_init(&attr) != 0)
		return -1;
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGINT);
	sigaddset(&defaults, SIGQUIT);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	sigaction(SIGINT, &ignore, &was_int);
	sigaction(SIGQUIT, &ignore, &was_quit);
	if (posix_spawn(&pid, "/bin/sh", NULL, &attr, argv, environ) != 0 || waitpid(pid, &status, 0) != pid)
		status = -1;
	sigaction(SIGINT, &was_int, NULL);
	sigaction(SIGQUIT, &was_quit, NULL);
	posix_spawnattr_destroy(&attr);
	if (status)
		cli_error("the editor (%s) failed; nothing was changed", editor);
	return status;
}

/* --- sending --- */
/* The text as the body of a call; kind and id are not to be changed. with_kind: for a transaction, with the version that was read. */
static int body_of(struct edit *e, yyjson_val *obj, bool with_kind, struct gw_buf *out)
{
	struct gw_json_out w;
	size_t i, n;
	yyjson_val *key, *v;

	if (!yyjson_equals_str(yyjson_obj_get(obj, "kind"), gw_cf_kinds[e->kind].name) ||
	    !yyjson_equals_str(yyjson_obj_get(obj, "id"), e->id)) {
		cli_error("kind and id stay as they are: %s, %s", gw_cf_kinds[e->kind].name, e->id);
		return CLI_INVALID;
	}
	gw_jw_init(&w, out);
	if (with_kind)
		gw_jw_arr(&w);
	gw_jw_obj(&w);
	yyjson_obj_foreach(obj, i, n, key, v)
	{
		if (!with_kind && yyjson_equals_str(key, "kind"))
			continue;
		gw_jw_key(&w, gw_json_str(key));
		gw_jw_val(&w, v);
	}
	if (with_kind)
		gw_jw_ku64(&w, "version", e->version);
	gw_jw_end_obj(&w);
	if (with_kind)
		gw_jw_end_arr(&w);
	return out->err ? CLI_FAILED : CLI_OK;
}

static int put(struct edit *e, struct gw_str body)
{
	const struct cli_how how = { .if_match = e->etag };
	struct gw_str path =
	    cli_path(e->c, "/admin/v1/%s/%.*s", gw_cf_kinds[e->kind].plural, GW_FMT(cli_enc(e->c, e->id)));
	struct cli_reply r;
	struct gw_buf q;
	int rc;

	gw_buf_init(&q, 256);
	cli_query(&q, "wait", e->c->o.wait);
	cli_query(&q, "timeout", e->c->o.server_timeout);
	e->c->pos_base = "/0"; /* faults are about the one object of the file */
	rc = cli_call_how(e->c, "PUT", path, gw_buf_view(&q), body, &how, &r);
	if (!rc && r.status >= 400)
		rc = cli_say_error(e->c, &r);
	cli_reply_done(&r);
	gw_buf_done(&q);
	return rc;
}

static int send_text(struct edit *e, struct gw_str text)
{
	bool in_txn = cli_txn_is_open(e->c);
	struct gw_json_fault fault;
	struct gw_buf json, body;
	yyjson_doc *doc = NULL;
	unsigned n;
	int rc;

	gw_buf_init(&json, TEXT_MAX);
	gw_buf_init(&body, TEXT_MAX);
	rc = cli_read_text(e->c, text, "edit", &json);
	if (!rc && (gw_json_read(gw_buf_view(&json), &gw_json_default_limits, &doc, &fault) ||
		    yyjson_arr_size(yyjson_doc_get_root(doc)) != 1)) {
		cli_error("there must be one object in the file");
		rc = CLI_INVALID;
	}
	if (!rc)
		rc = body_of(e, yyjson_arr_get_first(yyjson_doc_get_root(doc)), in_txn, &body);
	if (!rc)
		rc = in_txn ? cli_txn_add(e->c, gw_buf_view(&body), &n) : put(e, gw_buf_view(&body));
	yyjson_doc_free(doc);
	if (json.p)
		gw_wipe(json.p, json.n);
	if (body.p)
		gw_wipe(body.p, body.n);
	gw_buf_done(&json);
	gw_buf_done(&body);
	return rc;
}

/* Somebody was quicker: what it is now stands in the remarks, and the next save is about that version. */
static void tell_race(struct edit *e)
{
	struct gw_buf now;
	struct gw_str rest, one;

	gw_buf_init(&now, TEXT_MAX);
	if (read_object(e, &now) == CLI_OK) {
		gw_buf_printf(&e->remarks, "It was changed meanwhile and is now (version %llu):\n",
			      (unsigned long long)e->version);
		rest = gw_buf_view(&now);
		while (rest.n) {
			if (!gw_str_cut(rest, '\n', &one, &rest))
				rest = GW_NIL;
			gw_buf_printf(&e->remarks, "    %.*s\n", GW_FMT(one));
		}
		gw_buf_puts(&e->remarks, GW_LIT("Take over what you want of it; saving replaces it.\n"));
	}
	gw_buf_done(&now);
}

static bool is_blank(struct gw_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != ' ' && s.p[i] != '\n' && s.p[i] != '\t' && s.p[i] != '\r')
			return false;
	return true;
}

/* One round of the editor. Returns -1 to go on with another, else the exit status. last: of the round before, 0 in the first. */
static int round_trip(struct edit *e, int *last)
{
	struct gw_buf text;
	int rc;

	gw_buf_init(&text, TEXT_MAX);
	if (!write_file(e) || run_editor(e) || !read_back(e, &text)) {
		gw_buf_done(&text);
		return CLI_FAILED;
	}
	if (is_blank(gw_buf_view(&text)) || gw_str_eq(gw_buf_view(&text), gw_buf_view(&e->body))) {
		if (*last)
			cli_error("%s %s is left as it was; what was wrong:\n%.*s", gw_cf_kinds[e->kind].name, e->id,
				  GW_FMT(gw_buf_view(&e->remarks)));
		else
			cli_note("%s %s is left as it was", gw_cf_kinds[e->kind].name, e->id);
		gw_buf_done(&text);
		return *last;
	}
	gw_wipe(e->body.p, e->body.n);
	gw_buf_done(&e->body);
	e->body = text;
	gw_buf_clear(&e->remarks, TEXT_MAX);
	cli_say_to(&e->remarks);
	rc = send_text(e, gw_buf_view(&e->body));
	cli_say_to(NULL);
	e->was_sent = rc == CLI_OK;
	if (rc == CLI_CONFLICT)
		tell_race(e);
	*last = rc;
	return rc == CLI_OK || rc == CLI_UNREACHABLE || rc == CLI_AUTH ? rc : -1;
}

int cli_cmd_edit(struct cli *c)
{
	const char *plural = cli_plural(c->args[0]);
	struct edit e = { .c = c, .id = c->args[1] };
	int rc, last = CLI_OK;

	if (!plural || !gw_cf_kind_by_plural(gw_str_z(plural), &e.kind))
		return CLI_USAGE;
	gw_buf_init(&e.body, TEXT_MAX);
	gw_buf_init(&e.remarks, TEXT_MAX);
	rc = read_object(&e, &e.body);
	if (!rc && !make_file(&e)) {
		cli_error("cannot make a file to edit in %s", e.dir);
		rc = CLI_FAILED;
	}
	if (!rc) {
		rc = -1;
		for (int i = 0; i < ROUNDS_MAX && rc < 0; i++)
			rc = round_trip(&e, &last);
		if (rc < 0)
			rc = last;
		if (rc == CLI_UNREACHABLE || rc == CLI_AUTH)
			cli_error("%.*s", GW_FMT(gw_buf_view(&e.remarks)));
		if (rc && last)
			cli_hint("Your text is kept in %s", e.path);
		else
			drop_file(&e);
		if (!rc && e.was_sent)
			cli_note(cli_txn_is_open(c) ? "%s %s is kept for commit" : "%s %s is changed",
				 gw_cf_kinds[e.kind].name, e.id);
	}
	if (e.body.p)
		gw_wipe(e.body.p, e.body.n);
	gw_buf_done(&e.body);
	gw_buf_done(&e.remarks);
	return rc;
}
