#pragma once
#include "lib/err.h"
#include "lib/secret.h"
#include "lib/str.h"

/* Where the root key comes from (boot option root_key): a 0600 file outside of the data folder, env:NAME, cred:NAME
 * ($CREDENTIALS_DIRECTORY/NAME) or cmd:/absolute/argv. Content: 32 bytes raw, as 64 hex digits or as base64. */
enum gw_root_kind { GW_ROOT_FILE, GW_ROOT_ENV, GW_ROOT_CRED, GW_ROOT_CMD };
struct gw_root_source {
	enum gw_root_kind kind;
	const char *text; /* path, name or command line, without the prefix */
	struct gw_secret *loaded; /* read before lock-down by gw_root_preload; owned by whoever called that */
};
/* False: not a source. `text` stays where it is. */
bool gw_root_source_read(const char *option, struct gw_root_source *out);
const char *gw_root_kind_name(enum gw_root_kind k);
/* 32 bytes. The environment variable is wiped and unset; the command has 10 s, no shell and an empty environment.
 * *why: words for the operator, a literal. GW_E_NOT_FOUND: there is none (yet); GW_E_FORBIDDEN: others could read it. */
GW_MUST enum gw_err gw_root_read(const struct gw_root_source *s, struct gw_secret **out, const char **why);
/* Sources that are out of reach once the process is locked down (a command, the environment, systemd's folder) are read now;
 * gw_root_read then gives what was read. Nothing happens for files. */
GW_MUST enum gw_err gw_root_preload(struct gw_root_source *s, const char **why);
/* File sources only: a new random key, written to the path (or beside it as "<path>.new"), 0600, synced. */
GW_MUST enum gw_err gw_root_make(const struct gw_root_source *s, bool is_beside, struct gw_secret **out,
				 const char **why);
/* The key that a rotation left at "<path>.new"; GW_E_NOT_FOUND. */
GW_MUST enum gw_err gw_root_read_beside(const struct gw_root_source *s, struct gw_secret **out);
/* "<path>.new" becomes the key file; or goes away. */
GW_MUST enum gw_err gw_root_adopt_beside(const struct gw_root_source *s);
void gw_root_drop_beside(const struct gw_root_source *s);
