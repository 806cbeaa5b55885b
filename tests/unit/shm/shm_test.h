#pragma once
/* What the tests of shm/ share: a private folder on tmpfs, a seeded generator, and children that get killed. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <ftw.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lib/err.h"
#include "lib/str.h"

static char test_dir[64];

static inline int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline int make_dir(void **state)
{
	(void)state;
	snprintf(test_dir, sizeof(test_dir), "/dev/shm/llmgw-test-XXXXXX");
	return mkdtemp(test_dir) ? 0 : -1;
}

static inline int drop_dir(void **state)
{
	(void)state;
	return nftw(test_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* splitmix64 */
static inline uint64_t next_random(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static inline uint64_t below(uint64_t *seed, uint64_t n)
{
	return next_random(seed) % n;
}

/* Memory that the parent still reads when the child is dead. */
static inline void *shared_page(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

/* Kills our child after a random while and waits for it; the exit status must be the kill. */
static inline void kill_child(pid_t pid, unsigned us)
{
	int status;

	usleep(us);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
