/* CPU time of process trees, from the scheduler's own nanosecond counters. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "bench/llmgw-bench.h"

static int pids[BENCH_MAX_PIDS];
static uint32_t n_pids;

/* A small file of /proc as text; empty when the process has gone. */
static struct gw_str read_proc(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return GW_NIL;
	n = read(fd, buf, size);
	close(fd);
	return gw_str(buf, n > 0 ? (size_t)n : 0);
}

static int pid_of(const char *name)
{
	uint64_t v;

	return gw_str_u64(gw_str_z(name), &v) && v <= INT32_MAX ? (int)v : 0;
}

/* Parent of a process: the second field after the name, which may hold anything up to the last parenthesis. */
static int parent_of(int pid)
{
	char path[64], buf[1024];
	struct gw_str s, field;
	size_t end;
	uint64_t v;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	s = read_proc(path, buf, sizeof(buf));
	for (end = s.n; end > 0 && s.p[end - 1] != ')'; end--)
		;
	s = gw_str_skip(s, end + 3); /* ") S " */
	gw_str_cut(s, ' ', &field, &s);
	return gw_str_u64(field, &v) ? (int)v : 0;
}

static bool is_known(int pid)
{
	for (uint32_t i = 0; i < n_pids; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

static bool belongs(int pid)
{
	for (int p = pid, hops = 0; p > 1 && hops < 64; p = parent_of(p), hops++)
		for (uint32_t i = 0; i < bench_options.n_roots; i++)
			if (bench_options.roots[i].pid == p && (p == pid || bench_options.roots[i].is_tree))
				return true;
	return false;
}

/* Processes once seen stay in the list: one that has ended since adds nothing more, as its counters are gone. */
bool bench_cpu_find(char *why, size_t n)
{
	DIR *d;
	char path[64];

	for (uint32_t i = 0; i < bench_options.n_roots; i++) {
		snprintf(path, sizeof(path), "/proc/%d/schedstat", bench_options.roots[i].pid);
		if (access(path, R_OK) != 0) {
			snprintf(why, n, "no process %d (or no scheduler statistics of it)",
				 bench_options.roots[i].pid);
			return false;
		}
	}
	d = opendir("/proc");
	if (!d || bench_options.n_roots == 0) {
		if (d)
			closedir(d);
		return true;
	}
	for (struct dirent *e; (e = readdir(d)) && n_pids < BENCH_MAX_PIDS;) {
		int pid = pid_of(e->d_name);

		if (pid > 0 && !is_known(pid) && belongs(pid))
			pids[n_pids++] = pid;
	}
	closedir(d);
	return true;
}

static uint64_t cpu_of(int pid)
{
	char path[300], buf[256];
	uint64_t sum = 0, v;
	struct gw_str first, rest;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d));) {
		if (pid_of(e->d_name) <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, e->d_name);
		gw_str_cut(read_proc(path, buf, sizeof(buf)), ' ', &first, &rest);
		if (gw_str_u64(first, &v))
			sum += v;
	}
	closedir(d);
	return sum;
}

struct bench_cpu bench_cpu_read(void)
{
	struct bench_cpu all = { 0 };

	for (uint32_t i = 0; i < n_pids; i++) {
		uint64_t ns = cpu_of(pids[i]);

		all.ns += ns;
		all.processes += ns > 0;
	}
	return all;
}
