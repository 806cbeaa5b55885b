#pragma once
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/str.h"

/* Boot options, rows in schemas/boot.def. Only the master reads them from the outside; every other role gets the
 * resolved set in its INIT message. */
#define GW_BT_STR  const char *
#define GW_BT_U64  uint64_t
#define GW_BT_BOOL bool
#define GW_BT_DUR  uint64_t /* ms */
#define GW_BT_SIZE uint64_t /* bytes */
struct gw_boot {
#define GW_BOOT(name, type, def, doc) GW_BT_##type name;
#include "schemas/boot.def"
#undef GW_BOOT
};
struct gw_boot_row {
	const char *name, *type, *def, *doc;
};
extern const struct gw_boot_row gw_boot_rows[];
extern const unsigned gw_boot_n_rows;

/* Flags (argv from 1), then environment, then the file, then defaults. On failure *why (static buffer) names the option
 * and the remedy. On success data_dir is absolute and runtime_dir is never empty. --help and --version are the
 * caller's. */
GW_MUST enum gw_err gw_boot_read(int argc, char **argv, struct gw_boot *out, const char **why);
/* The part for the file's text; has[i] tells that a stronger source gave row i already. Shared with the fuzzer. */
GW_MUST enum gw_err gw_boot_read_yaml(const char *path, struct gw_str text, struct gw_boot *b, bool *has);
/* Where sockets and rings live when runtime_dir is not given; data_dir absolute. llmgwctl finds admin.sock by it. */
void gw_boot_runtime_dir(const char *data_dir, struct gw_buf *out);
/* As msgpack, for INIT; and back (strings are copied to malloc'ed memory that lives as long as the process). */
void gw_boot_pack(const struct gw_boot *boot, struct gw_buf *b);
GW_MUST enum gw_err gw_boot_unpack(struct gw_str bytes, struct gw_boot *out);
void gw_boot_help(struct gw_buf *b);
