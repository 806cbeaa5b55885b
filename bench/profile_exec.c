/* Preloaded into the master by bench/profile_run.py: its workers, its logger and its exporter are started under callgrind, everything else as always. The
 * master opens its own binary and executes that descriptor, so there is no path that a wrapper script could take the place of.
 *
 *   LLMGW_PROFILE_DIR   where callgrind writes ROLE.out and ROLE.log      LLMGW_PROFILE_EXE   the binary
 *
 * The master hands its children a short list of variables; these two and LD_PRELOAD are not on it. */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_TEXT = 4096, N_ROLES = 3 };

static long (*real_syscall)(long number, ...);
static char out_file[N_ROLES][MAX_TEXT], log_file[N_ROLES][MAX_TEXT];
static const char *exe;
static const char *const roles[N_ROLES] = { "worker", "logger", "exporter" };

long syscall(long number, ...);

__attribute__((constructor)) static void find_real(void)
{
	const char *dir = getenv("LLMGW_PROFILE_DIR");

	*(void **)&real_syscall = dlsym(RTLD_NEXT, "syscall");
	exe = getenv("LLMGW_PROFILE_EXE");
	for (int i = 0; i < N_ROLES && dir; i++) {
		snprintf(out_file[i], sizeof(out_file[i]), "--callgrind-out-file=%s/%s.out", dir, roles[i]);
		snprintf(log_file[i], sizeof(log_file[i]), "--log-file=%s/%s.log", dir, roles[i]);
	}
}

/* Between fork and exec: nothing here allocates. */
static void exec_traced(char *const argv[], char *const envp[])
{
	for (int i = 0; i < N_ROLES; i++) {
		char *traced[] = { (char *)(size_t) "valgrind",
				   (char *)(size_t) "--tool=callgrind",
				   (char *)(size_t) "--error-limit=no",
				   out_file[i],
				   log_file[i],
				   (char *)(size_t)exe,
				   argv[1],
				   NULL };

		if (strcmp(argv[1], roles[i]) == 0)
			execve("/usr/bin/valgrind", traced, envp);
	}
}

long syscall(long number, ...)
{
	long a[6];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_execveat && exe)
		exec_traced((char *const *)a[2], (char *const *)a[3]);
	return real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
