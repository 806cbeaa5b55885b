/* doctor: this machine: limits, kernel, clock, memory for the rings, files and who may read them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>
#include "admin-cli/doctor.h"
#include "lib/sys/fd.h"
#include "lib/sys/map.h"

enum { NOFILE_LEAST = 16384, SOMAXCONN_LEAST = 4096, WORKER_MORE_MIB = 8, RING_DEFAULT_MIB = 32 };
static const uint64_t MIB = 1 << 20, GIB = 1 << 30;

static bool read_small(const char *path, struct gw_buf *b)
{
	gw_buf_init(b, 64 << 10);
	return gw_read_file(AT_FDCWD, path, b) == GW_OK;
}

static bool read_number(const char *path, uint64_t *out)
{
	struct gw_buf b;
	bool ok = read_small(path, &b);

	while (b.n && (b.p[b.n - 1] == '\n' || b.p[b.n - 1] == ' '))
		b.n--;
	ok = ok && gw_str_u64(gw_buf_view(&b), out);
	gw_buf_done(&b);
	return ok;
}

/* The hard limit in a line of /proc/<pid>/limits: "Max open files  1024  1048576  files". */
static bool process_limit(uint64_t pid, const char *name, uint64_t *out)
{
	struct gw_str rest, line;
	struct gw_buf b;
	char path[64];
	bool ok = false;

	snprintf(path, sizeof path, "/proc/%llu/limits", (unsigned long long)pid);
	if (!pid || !read_small(path, &b))
		return false;
	rest = gw_buf_view(&b);
	while (rest.n && !ok) {
		if (!gw_str_cut(rest, '\n', &line, &rest))
			rest = GW_NIL;
		if (!gw_str_has_prefix(line, gw_str_z(name)))
			continue;
		struct gw_str soft, hard, tail = gw_str_trim(gw_str_skip(line, strlen(name)));
		gw_str_cut(tail, ' ', &soft, &tail);
		gw_str_cut(gw_str_trim(tail), ' ', &hard, &tail);
		ok = gw_str_u64(hard, out);
		if (!ok && gw_str_eq(hard, GW_LIT("unlimited"))) {
			*out = UINT64_MAX;
			ok = true;
		}
	}
	gw_buf_done(&b);
	return ok;
}

static void limits(struct doctor *d)
{
	uint64_t n = 0, lock = 0;
	struct rlimit l;
	bool of_gateway = process_limit(d->master_pid, "Max open files", &n);
	const char *whose = of_gateway ? "of the gateway" : "of this shell";

	if (!of_gateway && getrlimit(RLIMIT_NOFILE, &l) == 0)
		n = l.rlim_max;
	doctor_find(d, n < NOFILE_LEAST ? DOCTOR_WARN : DOCTOR_OK, "open files",
		    n < NOFILE_LEAST ? "raise nofile to 65536 or more (LimitNOFILE= in the unit); each stream needs two"
				     : "",
		    "limit %s is %llu", whose, (unsigned long long)n);
	if (!process_limit(d->master_pid, "Max locked memory", &lock) && getrlimit(RLIMIT_MEMLOCK, &l) == 0)
		lock = l.rlim_max;
	doctor_find(d, lock < MIB ? DOCTOR_WARN : DOCTOR_OK, "locked memory",
		    lock < MIB ? "allow 8 MiB (LimitMEMLOCK=), so that secrets never reach swap" : "",
		    "limit %s is %llu KiB", whose, (unsigned long long)(lock >> 10));
}

static void kernel(struct doctor *d)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	uint64_t backlog = 0;
	bool has_seccomp = access("/proc/sys/kernel/seccomp/actions_avail", R_OK) == 0;

	doctor_find(d, has_seccomp ? DOCTOR_OK : DOCTOR_WARN, "seccomp",
		    has_seccomp ? ""
				: "use a kernel with CONFIG_SECCOMP_FILTER; system calls are not limited without it",
		    has_seccomp ? "there" : "not there");
	doctor_find(d, abi > 0 ? DOCTOR_OK : DOCTOR_WARN, "landlock",
		    abi > 0 ? "" : "use Linux 5.13 or newer with landlock among lsm=; files are not fenced without it",
		    abi > 0 ? "ABI %ld" : "not there", abi);
	if (read_number("/proc/sys/net/core/somaxconn", &backlog))
		doctor_find(d, backlog < SOMAXCONN_LEAST ? DOCTOR_WARN : DOCTOR_OK, "somaxconn",
			    backlog < SOMAXCONN_LEAST
				? "sysctl net.core.somaxconn=4096; bursts of new connections are cut"
				: "",
			    "%llu", (unsigned long long)backlog);
}

static void clock_sync(struct doctor *d)
{
	struct timex t = { 0 };
	int state = adjtimex(&t);

	if (state < 0)
		doctor_find(d, DOCTOR_WARN, "clock", "", "cannot be asked");
	else if (state == TIME_ERROR || (t.status & STA_UNSYNC))
		doctor_find(d, DOCTOR_WARN, "clock",
			    "run chrony or systemd-timesyncd; expiry, budgets and records go by it",
			    "not synchronised");
	else
		doctor_find(d, DOCTOR_OK, "clock", "", "synchronised");
}

/* Rings are allocated at start: while the gateway runs, the room is taken already and an upgrade needs it once more. */
static void shared_memory(struct doctor *d)
{
	uint64_t room = gw_fs_free_bytes("/dev/shm"), cpus = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t n = d->workers ? d->workers : cpus < 2 ? 2 : cpus;
	uint64_t need = (d->ring_bytes ? d->ring_bytes : n * RING_DEFAULT_MIB * MIB) + n * WORKER_MORE_MIB * MIB;

	doctor_find(
	    d, room < need ? DOCTOR_WARN : DOCTOR_OK, "shared memory",
	    room < need
		? "make /dev/shm larger (mount -o remount,size=1G; containers: --shm-size), or --ring-size smaller"
		: "",
	    "%llu MiB free, %llu workers need %llu MiB%s", (unsigned long long)(room / MIB), (unsigned long long)n,
	    (unsigned long long)(need / MIB), d->workers ? " once more for an upgrade" : "");
}

void doctor_host(struct doctor *d)
{
	limits(d);
	kernel(d);
	clock_sync(d);
	shared_memory(d);
}

/* --- files --- */
/* What only its owner may read. want_dir: a folder. Returns the owner, or -1. */
static int64_t check_private(struct doctor *d, const char *path, const char *what, bool want_dir)
{
	struct stat st;

	if (lstat(path, &st) != 0) {
		doctor_find(d, DOCTOR_WARN, what,
			    errno == EACCES ? "run llmgwctl doctor as the gateway's user, or root"
					    : "has the gateway been started with this data folder? (--data-dir)",
			    errno == EACCES ? "%s cannot be looked at" : "%s is not there", path);
		return -1;
	}
	if (want_dir ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode)) {
		doctor_find(d, DOCTOR_BAD, what, "put the real thing there, no link", "%s is not a %s", path,
			    want_dir ? "folder" : "regular file");
		return -1;
	}
	if (st.st_mode & 077) {
		char remedy[600];

		snprintf(remedy, sizeof remedy, "chmod go-rwx %.500s", path);
		doctor_find(d, DOCTOR_BAD, what, remedy, "%s can be reached by others (mode %04o)", path,
			    (unsigned)(st.st_mode & 07777));
	} else {
		doctor_find(d, DOCTOR_OK, what, "", "%s, mode %04o", path, (unsigned)(st.st_mode & 07777));
	}
	return (int64_t)st.st_uid;
}

static void check_owner(struct doctor *d, const char *what, int64_t owner)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof path, "/proc/%llu", (unsigned long long)d->master_pid);
	if (owner < 0 || !d->master_pid || stat(path, &st) != 0 || (int64_t)st.st_uid == owner)
		return;
	doctor_find(d, DOCTOR_BAD, what, "chown it to the user that the gateway runs as",
		    "belongs to user %lld, the gateway runs as %u", (long long)owner, (unsigned)st.st_uid);
}

static void disk(struct doctor *d, const char *dir)
{
	struct statvfs s;

	if (statvfs(dir, &s) != 0)
		return;
	uint64_t room = (uint64_t)s.f_bavail * s.f_frsize;
	doctor_find(d,
		    room < GIB       ? DOCTOR_BAD
		    : room < 5 * GIB ? DOCTOR_WARN
				     : DOCTOR_OK,
		    "disk",
		    room < 5 * GIB ? "make room, or set trail_days or trail_max_bytes (settings): requests are refused "
				     "when records cannot be kept"
				   : "",
		    "%llu MiB free for the trail", (unsigned long long)(room / MIB));
	if (s.f_files && s.f_favail < 1000)
		doctor_find(d, DOCTOR_BAD, "inodes", "remove files from that file system", "%llu left",
			    (unsigned long long)s.f_favail);
}

void doctor_files(struct doctor *d, const char *data_dir, const char *root_key)
{
	static const struct {
		const char *name, *what;
		bool is_dir;
	} inside[] = { { "admin.token", "admin token", false },
		       { "segments", "segments", true },
		       { "config", "database", true } };
	int64_t owner = check_private(d, data_dir, "data folder", true);
	char path[4400];

	check_owner(d, "data folder", owner);
	for (size_t i = 0; owner >= 0 && i < sizeof inside / sizeof inside[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", data_dir, inside[i].name);
		if (access(path, F_OK) == 0)
			check_owner(d, inside[i].what, check_private(d, path, inside[i].what, inside[i].is_dir));
	}
	if (root_key[0]) {
		check_owner(d, "root key", check_private(d, root_key, "root key", false));
		if (strncmp(root_key, data_dir, strlen(data_dir)) == 0)
			doctor_find(d, DOCTOR_WARN, "root key",
				    "keep it on another file system, and back it up apart from the data",
				    "lies inside the data folder");
	}
	if (owner >= 0)
		disk(d, data_dir);
}
