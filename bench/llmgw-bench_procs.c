/* CPU, memory and context switches of process trees. Children are found through /proc/PID/task/TID/children, so a look costs
 * a few reads for each process of the tree and nothing for the rest of the machine. */
#include "bench/llmgw-bench_procs.h"
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "lib/err.h"
#include "lib/str.h"
#include "lib/sys/clock.h"

static struct gw_str read_proc(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t r = 0;

	if (fd < 0)
		return GW_NIL;
	while (n < size && (r = read(fd, buf + n, size - n)) > 0)
		n += (size_t)r;
	close(fd);
	return gw_str(buf, n);
}

/* The next run of digits; false at the end. */
static bool next_number(struct gw_str *s, uint64_t *v)
{
	size_t n = 0;

	while (s->n > 0 && !isdigit((unsigned char)*s->p))
		*s = gw_str_skip(*s, 1);
	while (n < s->n && isdigit((unsigned char)s->p[n]))
		n++;
	if (n == 0 || !gw_str_u64(gw_str(s->p, n), v))
		return false;
	*s = gw_str_skip(*s, n);
	return true;
}

static struct bench_proc *known(struct bench_procs *p, int pid)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (p->items[i].pid == pid && !p->items[i].is_gone)
			return &p->items[i];
	return NULL;
}

static bool exists(int pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	return access(path, R_OK) == 0;
}

static void add(struct bench_procs *p, int pid)
{
	if (pid > 0 && p->n < BENCH_MAX_PIDS && !known(p, pid) && exists(pid))
		p->items[p->n++] = (struct bench_proc){ .pid = pid };
}

static void add_children(struct bench_procs *p, int pid)
{
	char path[320], buf[16384];
	struct gw_str s;
	uint64_t child;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/children", pid, e->d_name);
		s = read_proc(path, buf, sizeof(buf));
		while (next_number(&s, &child))
			add(p, (int)child);
	}
	closedir(d);
}

static bool is_of_tree(const struct bench_procs *p, uint32_t i)
{
	for (uint32_t k = 0; k < p->n_roots; k++)
		if (p->roots[k].pid == p->items[i].pid && !p->roots[k].is_tree)
			return false;
	return true;
}

/* The list grows while it is walked: children of children are found in the same pass. */
static void look(struct bench_procs *p)
{
	for (uint32_t k = 0; k < p->n_roots; k++)
		add(p, p->roots[k].pid);
	for (uint32_t i = 0; i < p->n; i++)
		if (!p->items[i].is_gone && is_of_tree(p, i))
			add_children(p, p->items[i].pid);
}

bool bench_procs_find(struct bench_procs *p, char *why, size_t n)
{
	if (!p->items) {
		p->items = calloc(BENCH_MAX_PIDS, sizeof(p->items[0]));
		GW_REQUIRE(p->items != NULL);
	}
	for (uint32_t i = 0; i < p->n_roots; i++) {
		if (!exists(p->roots[i].pid)) {
			snprintf(why, n, "no process %d", p->roots[i].pid);
			return false;
		}
	}
	look(p);
	return true;
}

void bench_procs_free(struct bench_procs *p)
{
	free(p->items);
	p->items = NULL;
	p->n = 0;
}

/* CPU ticks of children that have ended and were waited for: fields 16 and 17, counted behind the name. */
static uint64_t reaped_ticks(int pid)
{
	char path[64], buf[1024];
	struct gw_str s, field;
	uint64_t a = 0, b = 0;
	size_t end;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	s = read_proc(path, buf, sizeof(buf));
	for (end = s.n; end > 0 && s.p[end - 1] != ')'; end--)
		;
	s = gw_str_skip(s, end + 1);
	for (int i = 3; i <= 17 && s.n > 0; i++) {
		gw_str_cut(s, ' ', &field, &s);
		if (i == 16)
			(void)gw_str_u64(field, &a);
		if (i == 17)
			(void)gw_str_u64(field, &b);
	}
	return a + b;
}

static uint64_t rss_of(int pid)
{
	char path[64], buf[256];
	struct gw_str s;
	uint64_t pages = 0;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	s = read_proc(path, buf, sizeof(buf));
	if (!next_number(&s, &pages) || !next_number(&s, &pages))
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t named(struct gw_str text, const char *name)
{
	const char *at = text.n ? memmem(text.p, text.n, name, strlen(name)) : NULL;
	struct gw_str rest;
	uint64_t v = 0;

	if (!at)
		return 0;
	rest = gw_str(at + strlen(name), text.n - (size_t)(at - text.p) - strlen(name));
	return next_number(&rest, &v) ? v : 0;
}

static uint64_t pss_of(int pid)
{
	char path[64], buf[4096];

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	return named(read_proc(path, buf, sizeof(buf)), "\nPss:") * 1024;
}

/* Context switches are counted by thread; those of threads that have ended are lost, which is said in the docs. */
static uint32_t read_threads(int pid, uint64_t switches[2])
{
	char path[320], buf[4096];
	uint32_t n = 0;
	struct gw_str s;
	DIR *d;

	switches[0] = switches[1] = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d));) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, e->d_name);
		s = read_proc(path, buf, sizeof(buf));
		switches[0] += named(s, "\nvoluntary_ctxt_switches:");
		switches[1] += named(s, "\nnonvoluntary_ctxt_switches:");
		n++;
	}
	closedir(d);
	return n;
}

void bench_procs_begin(struct bench_procs *p)
{
	if (p->n_roots == 0)
		return;
	look(p);
	for (uint32_t i = 0; i < p->n; i++) {
		struct bench_proc *q = &p->items[i];

		q->base_ns = q->last_ns = gw_cpu_ns_of(q->pid);
		q->reaped_base = q->reaped_last = reaped_ticks(q->pid);
		(void)read_threads(q->pid, q->switches_base);
		memcpy(q->switches_last, q->switches_base, sizeof(q->switches_last));
	}
	p->has_begun = true;
}

static void read_one(struct bench_proc *q, struct bench_use *u, bool all)
{
	uint64_t ns = q->is_gone ? 0 : gw_cpu_ns_of(q->pid), now[2];

	if (ns == 0) {
		q->is_gone = true;
		return;
	}
	q->last_ns = ns > q->last_ns ? ns : q->last_ns;
	u->processes++;
	u->rss_bytes += rss_of(q->pid);
	if (!all)
		return;
	q->reaped_last = reaped_ticks(q->pid);
	u->pss_bytes += pss_of(q->pid);
	u->threads += read_threads(q->pid, now);
	for (int k = 0; k < 2; k++)
		q->switches_last[k] = now[k] > q->switches_last[k] ? now[k] : q->switches_last[k];
}

static struct bench_use sum(struct bench_procs *p, bool all)
{
	struct bench_use u = { 0 };
	uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK), reaped = 0, seen = 0;

	if (p->n_roots == 0)
		return u;
	look(p);
	for (uint32_t i = 0; i < p->n; i++) {
		struct bench_proc *q = &p->items[i];

		read_one(q, &u, all);
		u.cpu_ns += q->last_ns - q->base_ns;
		u.voluntary += q->switches_last[0] - q->switches_base[0];
		u.involuntary += q->switches_last[1] - q->switches_base[1];
		reaped += (q->reaped_last - q->reaped_base) * tick_ns;
		seen += q->is_gone ? q->last_ns : 0;
	}
	/* children that came and went between two looks: only their parents' counters know */
	if (p->has_begun && all && reaped > seen + tick_ns)
		u.cpu_ns += reaped - seen;
	return u;
}

struct bench_use bench_procs_read(struct bench_procs *p)
{
	return sum(p, false);
}

struct bench_use bench_procs_read_all(struct bench_procs *p)
{
	return sum(p, true);
}
