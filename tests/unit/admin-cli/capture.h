#pragma once
/* Runs a piece of llmgwctl with standard output and error caught, for the tests of admin-cli/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "admin-cli/cli.h"

static char said[1 << 16], printed[1 << 16]; /* standard error, standard output of the last catch */
static int caught[2], kept[2];

static inline void catch_begin(void)
{
	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 2; i++) {
		kept[i] = dup(i + 1);
		caught[i] = memfd_create("caught", 0);
		dup2(caught[i], i + 1);
	}
}

static inline void catch_end(void)
{
	char *const to[2] = { printed, said };

	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 2; i++) {
		ssize_t n;

		dup2(kept[i], i + 1);
		close(kept[i]);
		n = pread(caught[i], to[i], sizeof said - 1, 0);
		to[i][n > 0 ? n : 0] = 0;
		close(caught[i]);
	}
}

static inline void assert_says(const char *part)
{
	if (!strstr(said, part))
		fail_msg("'%s' is not in '%s'", part, said);
}

static inline struct cli *cli_new(void)
{
	struct cli *c = calloc(1, sizeof *c);

	gw_arena_init(&c->arena, c->block, sizeof c->block, 64 << 20);
	return c;
}

static inline void cli_free(struct cli *c)
{
	gw_arena_done(&c->arena);
	free(c);
}

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
	snprintf(test_dir, sizeof test_dir, "/tmp/llmgw-test-XXXXXX");
	return mkdtemp(test_dir) ? 0 : -1;
}
static inline int drop_dir(void **state)
{
	(void)state;
	return nftw(test_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
static inline const char *put_file(const char *name, const void *p, size_t n)
{
	static char path[256];
	int fd;

	snprintf(path, sizeof path, "%s/%s", test_dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	close(fd);
	return path;
}
