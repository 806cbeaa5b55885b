/* audit show: what was done on the admin side, newest first. audit export: the segments themselves with their public key, in a folder that
 * `audit verify --dir` proves on any machine. (As rows for a spreadsheet: logs export --class admin.) */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "admin-cli/cli.h"
#include "lib/segment_retired.h"
#include "lib/sys/fd.h"

enum { ROWS_DEFAULT = 50, PAGE_MAX = 10000, QUERY_MAX = 65536, OUT_MAX = 512 << 20 };

static void query_of(struct cli *c, struct gw_buf *q)
{
	gw_buf_init(q, QUERY_MAX);
	cli_query(q, "class", "admin");
	cli_query(q, "from", c->o.from);
	cli_query(q, "to", c->o.to);
	for (unsigned i = 0; i < c->o.n_filters; i++)
		cli_query(q, "filter", c->o.filters[i]);
}

/* One page more into w; *next: where it goes on, "" at the end. */
static int one_page(struct cli *c, struct gw_str filters, uint64_t room, struct gw_json_out *w, uint64_t *n,
		    char next[160])
{
	struct gw_json_fault fault;
	struct cli_reply r;
	yyjson_doc *doc;
	char limit[24];
	struct gw_buf q;
	size_t i, max;
	yyjson_val *v;
	int rc;

	gw_buf_init(&q, QUERY_MAX + 512);
	gw_buf_puts(&q, filters);
	snprintf(limit, sizeof limit, "%llu", (unsigned long long)(room < PAGE_MAX ? room : PAGE_MAX));
	cli_query(&q, "limit", limit);
	cli_query(&q, "after", next[0] ? next : NULL);
	next[0] = 0;
	rc = cli_call_ok(c, "GET", GW_LIT("/admin/v1/logs"), gw_buf_view(&q), GW_NIL, &r);
	gw_buf_done(&q);
	if (!rc && gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault) == GW_OK) {
		yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "items"), i, max, v)
		{
			gw_jw_val(w, v);
			(*n)++;
		}
		cli_cell("", yyjson_obj_get(yyjson_doc_get_root(doc), "next"), next, 160);
		yyjson_doc_free(doc);
	}
	cli_reply_done(&r);
	return rc;
}

int cli_cmd_audit_show(struct cli *c)
{
	static const char *const columns[] = { "ts_us",  "actor",       "role",  "act",         "kind",
					       "object", "status",      "error", "+change_seq", "+source",
					       "+route", "+request_id", NULL };
	uint64_t most = c->o.all ? UINT64_MAX : ROWS_DEFAULT, n = 0;
	struct gw_buf filters, out;
	struct gw_json_out w;
	char next[160] = "";
	int rc;

	if (c->o.limit && !c->o.all && (!gw_str_u64(gw_str_z(c->o.limit), &most) || !most)) {
		cli_error("--limit: a number from 1, not \"%s\"", c->o.limit);
		return CLI_USAGE;
	}
	query_of(c, &filters);
	gw_buf_init(&out, OUT_MAX);
	gw_jw_init(&w, &out);
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("items"));
	gw_jw_arr(&w);
	do {
		rc = one_page(c, gw_buf_view(&filters), most - n, &w, &n, next);
		cli_progress("%llu records", (unsigned long long)n);
	} while (!rc && next[0] && n < most);
	cli_progress_end();
	gw_jw_end_arr(&w);
	gw_jw_end_obj(&w);
	if (!rc)
		rc = cli_print(c, gw_buf_view(&out), "items", columns);
	gw_buf_done(&filters);
	gw_buf_done(&out);
	return rc;
}

/* --- export --- */
static int save_key(struct cli *c, const char *dir)
{
	struct gw_json_fault fault;
	struct cli_reply r;
	yyjson_doc *doc;
	char path[4400], text[160] = "";
	int rc = cli_call_ok(c, "GET", GW_LIT("/admin/v1/audit/key"), GW_NIL, GW_NIL, &r);

	if (!rc && gw_json_read(gw_buf_view(&r.body), &gw_json_default_limits, &doc, &fault) == GW_OK) {
		cli_cell("", yyjson_obj_get(yyjson_doc_get_root(doc), "public_key"), text, sizeof text);
		yyjson_doc_free(doc);
	}
	cli_reply_done(&r);
	snprintf(path, sizeof path, "%s/public-key", dir);
	if (!rc && (!text[0] || gw_write_file(AT_FDCWD, path, gw_str_z(text), 0600))) {
		cli_error("cannot write %s", path);
		rc = CLI_FAILED;
	}
	return rc;
}

static bool is_wanted(const struct cli *c, const char *name)
{
	size_t n = strlen(name);

	if (n < 8 || strncmp(name, "seg-", 4) != 0 || strcmp(name + n - 4, ".lga") != 0)
		return false;
	return c->o.all || strncmp(name, "seg-admin-", 10) == 0;
}

static int copy_one(const char *from, const char *to, const char *name)
{
	char path[4600];
	struct gw_str bytes;
	int fd, rc = CLI_OK;

	snprintf(path, sizeof path, "%s/%s", from, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || !cli_segment_read(fd, NULL, &bytes)) {
		cli_error("%s: cannot be read", path);
		gw_close(&fd);
		return CLI_FAILED;
	}
	gw_close(&fd);
	snprintf(path, sizeof path, "%s/%s", to, name);
	if (gw_write_file(AT_FDCWD, path, bytes, 0600)) {
		cli_error("%s: cannot be written", path);
		rc = CLI_FAILED;
	}
	free((void *)(uintptr_t)bytes.p);
	return rc;
}

static int copy_tombstones(const char *from, const char *to, const char *name)
{
	char path[4600];

	snprintf(path, sizeof path, "%s/%s", from, name);
	return access(path, F_OK) == 0 ? copy_one(from, to, name) : CLI_OK;
}

int cli_cmd_audit_export(struct cli *c)
{
	const char *to = c->o.dir;
	char from[4200];
	unsigned n = 0;
	int rc;

	if (!to) {
		cli_error("name the folder to write into: --dir DIR");
		return CLI_USAGE;
	}
	snprintf(from, sizeof from, "%s/segments", cli_data_dir(c));
	DIR *d = opendir(from);
	if (!d) {
		cli_error("cannot open %s; the segments are on the gateway's machine (--data-dir)", from);
		return CLI_FAILED;
	}
	rc = gw_private_dir(to) == GW_OK ? save_key(c, to) : CLI_FAILED;
	if (rc == CLI_FAILED)
		cli_error("cannot make %s a folder of ours alone", to);
	for (struct dirent *e; !rc && (e = readdir(d));) {
		if (!is_wanted(c, e->d_name))
			continue;
		cli_progress("%s", e->d_name);
		rc = copy_one(from, to, e->d_name);
		n++;
	}
	cli_progress_end();
	closedir(d);
	for (int cls = GW_SEG_REQUEST; cls <= GW_SEG_ADMIN && !rc; cls++) /* last: of all that was removed meanwhile */
		if (c->o.all || cls == GW_SEG_ADMIN)
			rc = copy_tombstones(from, to, gw_retired_file((enum gw_seg_class)cls));
	if (!rc)
		cli_note("%u segments and the public key are in %s\nProve them anywhere: llmgwctl audit verify --dir "
			 "%s --public-key $(cat %s/public-key)",
			 n, to, to, to);
	return rc;
}
