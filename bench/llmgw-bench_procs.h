#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What processes use, whole trees with their threads and children: CPU time by the kernel's own per-process clocks (to the
 * nanosecond, threads that have ended included), memory, context switches. */
enum { BENCH_MAX_PIDS = 4096, BENCH_MAX_ROOTS = 64 };

struct bench_root { /* a process named on the command line */
	int pid;
	bool is_tree;
};

struct bench_proc {
	int pid;
	bool is_gone;
	uint64_t base_ns, last_ns; /* its own CPU time */
	uint64_t reaped_base, reaped_last; /* clock ticks of its children that have ended */
	uint64_t switches_base[2], switches_last[2]; /* voluntary, not */
};

struct bench_use { /* since bench_procs_begin, but for memory, which is now */
	uint64_t cpu_ns, rss_bytes, pss_bytes, voluntary, involuntary;
	uint32_t processes, threads;
};

struct bench_procs {
	struct bench_root roots[BENCH_MAX_ROOTS];
	uint32_t n_roots, n;
	bool has_begun;
	struct bench_proc *items;
};

/* Looks who there is; false with a text when a named process is not there. */
bool bench_procs_find(struct bench_procs *p, char *why, size_t n);
void bench_procs_begin(struct bench_procs *p);
/* Cheap enough for every moment of a run: CPU and resident memory. */
struct bench_use bench_procs_read(struct bench_procs *p);
/* Also proportional memory and context switches: milliseconds for large processes. */
struct bench_use bench_procs_read_all(struct bench_procs *p);
void bench_procs_free(struct bench_procs *p);
