/* begin, commit, abort: changes are kept in a file of this user's (0600, one a context) and applied by one call of config:apply, so that all
 * of them are served or none is. Objects that were read carry their version, so that the gateway refuses what somebody changed meanwhile. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>
#include "admin-cli/home.h"
#include "core/config.h"
#include "lib/secret.h"
#include "lib/sys/clock.h"
#include "lib/sys/fd.h"
#include "lib/text.h"

enum { TXN_MAX = 64 << 20 };

static const char *txn_path(struct cli *c)
{
	struct gw_str name = gw_arena_printf(&c->arena, "transaction-%s.json", c->context ? c->context : "default");
	const char *z = gw_arena_z(&c->arena, name);

	return z ? cli_home_path(c, CLI_HOME_STATE, z) : NULL;
}

static bool has_home(void)
{
	return getenv("HOME") || getenv("XDG_STATE_HOME");
}

bool cli_txn_is_open(struct cli *c)
{
	const char *path = has_home() ? txn_path(c) : NULL;

	return path && access(path, F_OK) == 0;
}

/* Two of us at once take turns; the lock goes with the descriptor. */
static int lock_txn(struct cli *c, const char *path)
{
	char *lock = gw_arena_z(&c->arena, gw_arena_printf(&c->arena, "%s.lock", path));
	int fd = lock ? open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;

	if (fd >= 0)
		flock(fd, LOCK_EX);
	return fd;
}

static int no_transaction(void)
{
	cli_error("no transaction is open");
	cli_hint("llmgwctl begin opens one.");
	return CLI_NOT_FOUND;
}

/* The file as a tree, freed by the caller. One that was begun for another gateway is not touched. */
static int read_txn(struct cli *c, const char *path, yyjson_doc **doc)
{
	struct gw_json_fault fault;
	struct gw_buf b;
	int rc;

	gw_buf_init(&b, TXN_MAX);
	rc = cli_home_read(path, &b);
	if (rc == CLI_NOT_FOUND)
		no_transaction();
	if (!rc && gw_json_read(gw_buf_view(&b), &gw_json_default_limits, doc, &fault)) {
		cli_error("%s is damaged (%s)", path, fault.what);
		cli_hint("llmgwctl abort throws it away.");
		rc = CLI_FAILED;
	}
	gw_buf_done(&b);
	if (rc)
		return rc;
	struct gw_str server = gw_json_str(yyjson_obj_get(yyjson_doc_get_root(*doc), "server"));
	if (!gw_str_eq(server, gw_str_z(cli_server(c)))) {
		cli_error("the open transaction is for %.*s, this call goes to %s", GW_FMT(server), cli_server(c));
		cli_hint("Commit or abort it with that gateway's --server or --context.");
		yyjson_doc_free(*doc);
		*doc = NULL;
		return CLI_CONFLICT;
	}
	return CLI_OK;
}

static bool is_same(yyjson_val *a, yyjson_val *b)
{
	return yyjson_equals(yyjson_obj_get(a, "kind"), yyjson_obj_get(b, "kind")) &&
	       yyjson_equals(yyjson_obj_get(a, "id"), yyjson_obj_get(b, "id"));
}

static bool is_among(yyjson_val *list, yyjson_val *o)
{
	size_t i, n;
	yyjson_val *v;

	yyjson_arr_foreach(list, i, n, v) if (is_same(v, o)) return true;
	return false;
}

/* Old ones that are not replaced, then the new ones. */
static unsigned put_objects(struct gw_json_out *w, yyjson_val *old, yyjson_val *more)
{
	size_t i, n;
	unsigned count = 0;
	yyjson_val *v;

	gw_jw_key(w, GW_LIT("objects"));
	gw_jw_arr(w);
	yyjson_arr_foreach(old, i, n, v)
	{
		if (is_among(more, v))
			continue;
		gw_jw_val(w, v);
		count++;
	}
	yyjson_arr_foreach(more, i, n, v)
	{
		gw_jw_val(w, v);
		count++;
	}
	gw_jw_end_arr(w);
	return count;
}

static int write_txn(struct cli *c, const char *path, struct gw_str began, yyjson_val *old, yyjson_val *more,
		     unsigned *n)
{
	struct gw_json_out w;
	struct gw_buf b;
	int rc;

	gw_buf_init(&b, TXN_MAX);
	gw_jw_init(&w, &b);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "began", began);
	gw_jw_kstr(&w, "server", gw_str_z(cli_server(c)));
	*n = put_objects(&w, old, more);
	gw_jw_end_obj(&w);
	if (b.err) {
		cli_error("the transaction is larger than 64 MiB: commit it in parts");
		rc = CLI_FAILED;
	} else {
		rc = cli_home_write(path, gw_buf_view(&b));
	}
	gw_buf_done(&b);
	return rc;
}

/* No secret waits in a file. */
static int check_secrets(yyjson_val *list)
{
	size_t i, n, k, m;
	yyjson_val *o, *key, *v;

	yyjson_arr_foreach(list, i, n, o)
	{
		enum gw_cf_kind kind;

		if (!gw_cf_kind_by_name(gw_json_str(yyjson_obj_get(o, "kind")), &kind))
			continue;
		yyjson_obj_foreach(o, k, m, key, v)
		{
			const struct gw_cf_field *f = gw_cf_field_find(kind, gw_json_str(key));

			if (!f || f->type != GW_CF_SECRET)
				continue;
			cli_error("%s \"%.*s\" holds a secret (%s), and a transaction waits in a file",
				  gw_cf_kinds[kind].name, GW_FMT(gw_json_str(yyjson_obj_get(o, "id"))), f->name);
			cli_hint("Leave %s out here and store it with llmgwctl credential set.", f->name);
			return CLI_INVALID;
		}
	}
	return CLI_OK;
}

/* All that waits is checked together: new objects may refer to each other. The new ones stand first, so that faults point into their file. */
static int validate(struct cli *c, yyjson_val *old, yyjson_val *more)
{
	struct cli_reply r = { 0 };
	struct gw_json_out w;
	struct gw_buf b;
	size_t i, n;
	yyjson_val *v;
	int rc;

	gw_buf_init(&b, TXN_MAX);
	gw_jw_init(&w, &b);
	gw_jw_arr(&w);
	yyjson_arr_foreach(more, i, n, v) gw_jw_val(&w, v);
	yyjson_arr_foreach(old, i, n, v)
	{
		if (!is_among(more, v))
			gw_jw_val(&w, v);
	}
	gw_jw_end_arr(&w);
	rc = cli_call_ok(c, "POST", GW_LIT("/admin/v1/config:validate"), GW_NIL, gw_buf_view(&b), &r);
	cli_reply_done(&r);
	gw_buf_done(&b);
	return rc;
}

int cli_txn_add(struct cli *c, struct gw_str objects, unsigned *n)
{
	const char *path = txn_path(c);
	yyjson_doc *doc = NULL, *more = NULL;
	struct gw_json_fault fault;
	int lock, rc;

	if (!path || gw_json_read(objects, &gw_json_default_limits, &more, &fault))
		return CLI_FAILED;
	lock = lock_txn(c, path);
	rc = check_secrets(yyjson_doc_get_root(more));
	if (!rc)
		rc = read_txn(c, path, &doc);
	if (!rc)
		rc = validate(c, yyjson_obj_get(yyjson_doc_get_root(doc), "objects"), yyjson_doc_get_root(more));
	if (!rc) {
		yyjson_val *root = yyjson_doc_get_root(doc);

		rc = write_txn(c, path, gw_json_str(yyjson_obj_get(root, "began")), yyjson_obj_get(root, "objects"),
			       yyjson_doc_get_root(more), n);
	}
	gw_close(&lock);
	yyjson_doc_free(doc);
	yyjson_doc_free(more);
	return rc;
}

int cli_cmd_begin(struct cli *c)
{
	const char *path = txn_path(c);
	struct gw_buf now;
	unsigned n;
	int rc;

	if (!path)
		return CLI_FAILED;
	if (access(path, F_OK) == 0) {
		cli_error("a transaction is open already");
		cli_hint("llmgwctl diff shows it; llmgwctl commit or llmgwctl abort ends it.");
		return CLI_CONFLICT;
	}
	gw_buf_init(&now, 64);
	gw_time_put(&now, gw_unix_us());
	rc = write_txn(c, path, gw_buf_view(&now), NULL, NULL, &n);
	gw_buf_done(&now);
	if (!rc)
		cli_note("a transaction is open: what apply, edit and model change is kept until llmgwctl commit");
	return rc;
}

static void throw_away(struct cli *c, const char *path)
{
	char *lock = gw_arena_z(&c->arena, gw_arena_printf(&c->arena, "%s.lock", path));

	unlink(path);
	if (lock)
		unlink(lock);
}

int cli_cmd_abort(struct cli *c)
{
	const char *path = txn_path(c);

	if (!path || access(path, F_OK) != 0)
		return path ? no_transaction() : CLI_FAILED;
	if (!cli_confirm(c, "Throw away the changes that wait for commit?"))
		return CLI_USAGE;
	throw_away(c, path);
	cli_note("the transaction is aborted; nothing was changed");
	return CLI_OK;
}

/* The objects that wait, as a JSON array into out. */
static int waiting(struct cli *c, const char *path, struct gw_buf *out)
{
	yyjson_doc *doc = NULL;
	struct gw_json_out w;
	int rc = read_txn(c, path, &doc);

	gw_buf_init(out, TXN_MAX);
	if (rc)
		return rc;
	gw_jw_init(&w, out);
	gw_jw_val(&w, yyjson_obj_get(yyjson_doc_get_root(doc), "objects"));
	yyjson_doc_free(doc);
	return out->err ? CLI_FAILED : CLI_OK;
}

int cli_txn_diff(struct cli *c, struct cli_reply *r)
{
	const char *path = txn_path(c);
	struct gw_buf objects = { 0 };
	int rc;

	*r = (struct cli_reply){ 0 };
	if (!path)
		return CLI_FAILED;
	rc = waiting(c, path, &objects);
	if (!rc)
		rc = cli_call_ok(c, "POST", GW_LIT("/admin/v1/config:diff"), GW_NIL, gw_buf_view(&objects), r);
	gw_buf_done(&objects);
	return rc;
}

static int apply_waiting(struct cli *c, struct gw_str objects)
{
	static const char *const columns[] = { "act", "kind", "id", "version", "token", NULL };
	struct cli_reply r;
	struct gw_buf q;
	int rc;

	gw_buf_init(&q, 256);
	cli_query(&q, "wait", c->o.wait);
	cli_query(&q, "timeout", c->o.server_timeout);
	rc = cli_call_ok(c, "POST", GW_LIT("/admin/v1/config:apply"), gw_buf_view(&q), objects, &r);
	gw_buf_done(&q);
	if (!rc)
		rc = cli_print(c, gw_buf_view(&r.body), "changes", columns);
	if (!rc && r.status == 202)
		cli_note("Saved; some workers do not serve it yet (llmgwctl workers).");
	cli_reply_done(&r);
	return rc;
}

int cli_cmd_commit(struct cli *c)
{
	const char *path = txn_path(c);
	struct gw_buf objects = { 0 };
	struct cli_reply diff = { 0 };
	unsigned changes = 0;
	int lock, rc;

	if (!path)
		return CLI_FAILED;
	if (access(path, F_OK) != 0)
		return no_transaction();
	lock = lock_txn(c, path);
	rc = cli_txn_diff(c, &diff);
	if (!rc)
		changes = cli_show_diff(c, gw_buf_view(&diff.body), stderr);
	if (!rc && !changes)
		cli_note("nothing would change; the transaction is closed");
	else if (!rc && !cli_confirm(c, "Apply %u change%s to %s?", changes, changes == 1 ? "" : "s", cli_server(c)))
		rc = CLI_USAGE;
	if (!rc && changes && !c->o.dry_run) {
		rc = waiting(c, path, &objects);
		if (!rc)
			rc = apply_waiting(c, gw_buf_view(&objects));
	}
	if (!rc && !c->o.dry_run)
		throw_away(c, path);
	else if (rc == CLI_CONFLICT)
		cli_hint("The transaction is kept. Read the object again (llmgwctl edit), or llmgwctl abort.");
	gw_close(&lock);
	gw_buf_done(&objects);
	cli_reply_done(&diff);
	return rc;
}
