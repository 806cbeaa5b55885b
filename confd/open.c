/* Bringing the core up, and the first start. The token file is written before the commit that makes the token valid: a
 * crash in between leaves a useless file, which the next start replaces; the other way round would lock everybody out. */
#include "confd/open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "confd/edit.h"
#include "confd/keyring.h"
#include "confd/login.h"
#include "confd/row.h"
#include "confd/scope.h"
#include "lib/sys/fd.h"

enum { STORE_FORMAT = 1 };

/* The root key must not lie where backups of the data would carry it along. */
static bool is_inside(const char *path, const char *dir)
{
	char parent[PATH_MAX], real_parent[PATH_MAX], real_dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int n = slash == NULL ? snprintf(parent, sizeof(parent), ".")
			      : snprintf(parent, sizeof(parent), "%.*s", slash == path ? 1 : (int)(slash - path), path);

	if (n < 0 || (size_t)n >= sizeof(parent) || realpath(parent, real_parent) == NULL ||
	    realpath(dir, real_dir) == NULL)
		return false;
	size_t len = strlen(real_dir);

	return strncmp(real_parent, real_dir, len) == 0 && (real_parent[len] == '/' || real_parent[len] == '\0');
}

static enum gw_err open_store(struct gw_core *core, const struct gw_core_opts *o, char why[512])
{
	char dir[PATH_MAX];
	int n = snprintf(dir, sizeof(dir), "%s/config", o->data_dir);
	struct gw_store_opts so = { dir, o->map_bytes, o->max_bytes };
	enum gw_err e = n > 0 && (size_t)n < sizeof(dir) ? gw_private_dir(o->data_dir) : GW_E_INVALID;

	if (e == GW_OK)
		e = gw_store_open(&so, &core->store);
	if (e == GW_OK)
		return GW_OK;
	const char *words = e == GW_E_IN_USE      ? "another llmgw has it open"
			    : e == GW_E_FORBIDDEN ? "it must belong to this user and lie on a local file system"
						  : gw_err_info(e)->doc;

	(void)snprintf(why, 512, "cannot open the database in %.300s: %s", dir, words);
	return e;
}

static const char bad_source[] = "it must be a file, env:NAME, cred:NAME or cmd:/absolute/program";

static enum gw_err no_root(const char *option, const char *words, enum gw_err e, char why[512])
{
	(void)snprintf(why, 512, "root key %.200s: %s", option != NULL ? option : "", words);
	return e;
}

enum gw_err gw_core_preload(struct gw_core_opts *o, char why[512])
{
	struct gw_root_source root, previous;
	const char *words = bad_source;
	enum gw_err e = GW_E_INVALID;

	if (gw_root_source_read(o->root_key, &root))
		e = gw_root_preload(&root, &words);
	if (e != GW_OK)
		return no_root(o->root_key, words, e, why);
	o->root_loaded = root.loaded;
	/* the one before is needed only when the present one does not fit; then its absence is told */
	if (gw_root_source_read(o->root_key_previous, &previous) && gw_root_preload(&previous, &words) == GW_OK)
		o->previous_loaded = previous.loaded;
	return GW_OK;
}

static enum gw_err open_keyring(struct gw_core *core, const struct gw_core_opts *o, char why[512])
{
	struct gw_keyring_opts ko = { 0 };
	const char *words = bad_source;
	enum gw_err e = GW_E_INVALID;

	if (gw_root_source_read(o->root_key, &ko.root)) {
		ko.has_previous = gw_root_source_read(o->root_key_previous, &ko.previous);
		ko.root.loaded = o->root_loaded;
		ko.previous.loaded = o->previous_loaded;
		words = "it must not lie inside of the data folder, where backups would carry it along";
		if (ko.root.kind != GW_ROOT_FILE || !is_inside(ko.root.text, o->data_dir))
			e = gw_keyring_open(core->store, &ko, &core->keyring, &words);
	}
	return e == GW_OK ? GW_OK : no_root(o->root_key, words, e, why);
}

/* --- the first start --- */

static enum gw_err put_first(struct gw_ctx *c, enum gw_cf_kind kind, const char *json, struct gw_edit *out)
{
	static const struct gw_edit_secrets none;
	yyjson_val *obj;
	enum gw_err e = gw_ctx_tree(c, gw_str_z(json), &obj);

	return e == GW_OK ? gw_edit_put(c, kind, obj, &none, out) : e;
}

static enum gw_err write_token(const char *data_dir, struct gw_str token)
{
	char path[PATH_MAX], line[128];
	int n = snprintf(path, sizeof(path), "%s/admin.token", data_dir);

	if (n < 0 || (size_t)n >= sizeof(path) || token.n + 1 > sizeof(line))
		return GW_E_INVALID;
	memcpy(line, token.p, token.n);
	line[token.n] = '\n';
	enum gw_err e = gw_write_file(AT_FDCWD, path, gw_str(line, token.n + 1), 0600);

	gw_wipe(line, sizeof(line));
	return e;
}

struct first {
	struct gw_core *core;
	const char *data_dir;
};

static enum gw_err make_first(struct gw_txn *t, void *arg)
{
	struct first *f = arg;
	struct gw_edit edits[3];
	struct gw_ctx c;

	gw_ctx_init(&c, f->core);
	gw_actor_system(&c);
	c.txn = t;
	enum gw_err e = put_first(&c, GW_KIND_settings, "{\"id\":\"default\"}", &edits[0]);

	if (e == GW_OK)
		e = put_first(&c, GW_KIND_key, "{\"id\":\"admin\",\"name\":\"first admin key\",\"purpose\":\"admin\"}",
			      &edits[1]);
	if (e == GW_OK)
		e = put_first(&c, GW_KIND_role_binding,
			      "{\"id\":\"admin\",\"key\":\"admin\",\"role\":\"platform-admin\"}", &edits[2]);
	if (e == GW_OK)
		e = gw_edits_write(&c, edits, 3);
	if (e == GW_OK)
		e = gw_meta_set_u64(t, "format", STORE_FORMAT);
	if (e == GW_OK)
		e = write_token(f->data_dir, edits[1].token);
	gw_ctx_done(&c);
	return e;
}

static enum gw_err first_start(struct gw_core *core, const char *data_dir, bool *is_first, char why[512])
{
	struct first f = { core, data_dir };
	struct gw_txn t;
	uint64_t format = 0;
	enum gw_err e = gw_txn_read(core->store, &t);

	if (e == GW_OK) {
		e = gw_meta_u64(&t, "format", &format);
		gw_txn_abort(&t);
	}
	*is_first = e == GW_OK && format == 0;
	if (*is_first)
		e = gw_store_update(core->store, make_first, &f);
	if (e == GW_OK && format > STORE_FORMAT) {
		(void)snprintf(why, 512, "the database was written by a newer llmgw (format %llu)",
			       (unsigned long long)format);
		return GW_E_CONFLICT;
	}
	if (e != GW_OK)
		(void)snprintf(why, 512, "the first objects or %.200s/admin.token cannot be written: %s", data_dir,
			       gw_err_info(e)->doc);
	gw_effects_reset(&core->fx, (struct gw_effects_mark){ 0 });
	return e;
}

enum gw_err gw_core_open(struct gw_core *core, const struct gw_core_opts *o, bool *is_first, char why[512])
{
	*core = (struct gw_core){ .drain_ms = o->drain_ms };
	gw_effects_init(&core->fx);
	core->login = gw_login_new();
	enum gw_err e = core->login != NULL ? open_store(core, o, why) : GW_E_NOMEM;

	if (e == GW_OK)
		e = open_keyring(core, o, why);
	if (e == GW_OK) {
		e = gw_rows_open(core);
		if (e != GW_OK)
			(void)snprintf(why, 512, "the objects in %.300s/config cannot be read: %s", o->data_dir,
				       gw_err_info(e)->doc);
	}
	if (e == GW_OK)
		e = first_start(core, o->data_dir, is_first, why);
	if (e != GW_OK)
		gw_core_close(core);
	return e;
}

void gw_core_close(struct gw_core *core)
{
	if (core->store != NULL && core->login != NULL)
		gw_login_flush(core);
	gw_login_free(core->login);
	core->login = NULL;
	gw_secret_unref(core->tickets.now);
	gw_secret_unref(core->tickets.before);
	core->tickets = (struct gw_ticket_keys){ 0 };
	gw_keyring_free(core->keyring);
	core->keyring = NULL;
	gw_store_close(core->store);
	core->store = NULL;
	gw_effects_done(&core->fx);
}
