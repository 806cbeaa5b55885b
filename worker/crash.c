/* The last words of a worker: which signal, in the slot's panic text. No memory contents, no addresses of data. */
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "lib/err.h"
#include "lib/sys/clock.h"
#include "shm/slot.h"
#include "worker/crash.h"

static struct gw_slot *slot;

#if !defined(__SANITIZE_ADDRESS__)
static void on_fatal(int sig)
{
	static const struct {
		int sig;
		const char *text;
	} names[] = {
		{ SIGSEGV, "killed by SIGSEGV" },
		{ SIGBUS, "killed by SIGBUS" },
		{ SIGFPE, "killed by SIGFPE" },
		{ SIGILL, "killed by SIGILL" },
		{ SIGSYS, "killed by SIGSYS (a system call that the sandbox forbids)" },
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].sig == sig)
			memcpy(slot->panic, names[i].text, strlen(names[i].text) + 1);
	atomic_store(&slot->panic_at_us, (uint64_t)gw_unix_us());
	/* SA_RESETHAND: returning runs into the same fault with the default action */
}
#endif

void gw_crash_slot(struct gw_slot *s)
{
	slot = s;
	gw_panic_slot(s->panic, sizeof s->panic);
#if !defined(__SANITIZE_ADDRESS__)
	static const int sigs[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS };
	struct sigaction sa = { .sa_handler = on_fatal, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER) };

	for (size_t i = 0; i < sizeof sigs / sizeof sigs[0]; i++)
		sigaction(sigs[i], &sa, NULL);
#endif
}
