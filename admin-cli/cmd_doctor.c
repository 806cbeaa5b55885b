/* doctor: what an operator should know about this machine and the gateway on it. Each line is ok, warn or bad, with the remedy. */
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "admin-cli/cli.h"
#include "lib/sys/map.h"

struct report {
	unsigned warns, bads;
};

static void say(struct report *r, const char *level, const char *what, const char *remedy)
{
	printf("%-5s %s%s%s\n", level, what, remedy[0] ? ": " : "", remedy);
	r->warns += level[0] == 'w';
	r->bads += level[0] == 'b';
}

static void check_limits(struct report *r)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_max < 16384)
		say(r, "warn", "open files limit",
		    "raise nofile to 65536 or more (LimitNOFILE= in the unit); each stream needs two");
	else
		say(r, "ok", "open files limit", "");
	if (getrlimit(RLIMIT_MEMLOCK, &l) == 0 && l.rlim_cur < 1 << 20)
		say(r, "warn", "locked memory limit", "allow 8 MiB (LimitMEMLOCK=), so that secrets never reach swap");
	else
		say(r, "ok", "locked memory limit", "");
}

static void check_private(struct report *r, const char *path, const char *what)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		say(r, "warn", what, "is not there (has the gateway been started with this data folder?)");
	else if (st.st_mode & 077)
		say(r, "bad", what, "can be read by others: chmod go-rwx it");
	else
		say(r, "ok", what, "");
}

static void check_files(struct cli *c, struct report *r)
{
	char path[4200];
	const char *dir = cli_data_dir(c);

	check_private(r, dir, "data folder");
	snprintf(path, sizeof path, "%s/admin.token", dir);
	check_private(r, path, "admin token");
	uint64_t disk = gw_fs_free_bytes(dir);
	if (disk && disk < 1ull << 30)
		say(r, "bad", "disk", "less than 1 GiB free for the trail: make room");
	else
		say(r, "ok", "disk", "");
	uint64_t shm = gw_fs_free_bytes("/dev/shm");
	if (shm && shm < 256ull << 20)
		say(r, "warn", "shared memory", "less than 256 MiB free in /dev/shm: rings may not fit");
	else
		say(r, "ok", "shared memory", "");
}

static void check_roles(yyjson_val *root, struct report *r)
{
	static const char *const lists[] = { "roles", "workers" };
	size_t i, n;
	yyjson_val *v;
	bool all_up = true, all_boxed = true, flaps = false;

	for (size_t k = 0; k < 2; k++) {
		yyjson_arr_foreach(yyjson_obj_get(root, lists[k]), i, n, v)
		{
			const char *state = yyjson_get_str(yyjson_obj_get(v, "state"));

			all_up &= state && (strcmp(state, "up") == 0 || strcmp(state, "draining") == 0);
			all_boxed &= (yyjson_get_uint(yyjson_obj_get(v, "sandbox")) & 3) == 3;
			flaps |= yyjson_get_uint(yyjson_obj_get(v, "restarts")) > 3;
		}
	}
	say(r, all_up ? "ok" : "bad", "processes", all_up ? "" : "not all are up, see llmgwctl status and the log");
	say(r, all_boxed ? "ok" : "warn", "sandbox",
	    all_boxed ? "" : "seccomp or Landlock is off (old kernel, or --sandbox=false)");
	if (flaps)
		say(r, "warn", "restarts", "a process was replaced several times, see llmgwctl crashes");
	if (yyjson_is_null(yyjson_obj_get(root, "confd")))
		say(r, "bad", "confd", "does not answer: requests are served, changes are not possible");
}

int cli_cmd_doctor(struct cli *c)
{
	struct report r = { 0 };
	struct gw_json_fault fault;
	struct cli_reply reply;
	yyjson_doc *doc;

	check_limits(&r);
	check_files(c, &r);
	if (cli_call(c, "GET", GW_LIT("/admin/v1/status"), GW_NIL, GW_NIL, NULL, &reply) != CLI_OK) {
		say(&r, "bad", "gateway", "does not answer");
	} else if (reply.status != 200) {
		say(&r, "bad", "admin token", "is not accepted");
	} else if (gw_json_read(gw_buf_view(&reply.body), &gw_json_default_limits, &doc, &fault) == GW_OK) {
		check_roles(yyjson_doc_get_root(doc), &r);
		yyjson_doc_free(doc);
	}
	cli_reply_done(&reply);
	printf("\n%u bad, %u warnings\n", r.bads, r.warns);
	return r.bads ? CLI_FAILED : CLI_OK;
}
