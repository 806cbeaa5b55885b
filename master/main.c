/* The master's start: options, place, then the loop. `llmgw` without a role name ends up here. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/sys/clock.h"
#include "lib/sys/diag.h"
#include "lib/sys/sandbox.h"
#include "master/master.h"

static struct gw_master master;

static void print_help(void)
{
	struct gw_buf b;

	gw_buf_init(&b, 65536);
	gw_buf_puts(
	    &b,
	    GW_LIT("llmgw: an OpenAI-compatible gateway in front of model providers.\n\nUsage: llmgw [options]\n\n"));
	gw_boot_help(&b);
	gw_buf_puts(&b, GW_LIT("\nSignals: SIGTERM or SIGINT finishes open requests and stops (twice: cuts them); "
			       "SIGUSR2 upgrades in place.\n"
			       "Everything else is configured while it runs, with llmgwctl.\n"));
	fwrite(b.p, 1, b.n, stdout);
	gw_buf_done(&b);
}

/* True when the program is done with what it was asked. */
static bool answer_and_leave(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			print_help();
			return true;
		}
		if (strcmp(argv[i], "--version") == 0) {
			printf("llmgw %s\n", LLMGW_VERSION);
			return true;
		}
	}
	return false;
}

static bool begin(struct gw_master *m, int argc, char **argv)
{
	const char *why = "";

	m->argc = argc;
	m->argv = argv;
	m->exe_fd = m->lock_fd = m->signal_fd = -1;
	m->listen.admin_tcp = m->listen.admin_tls = m->listen.admin_unix = -1;
	for (int i = 0; i < GW_MAX_WORKERS; i++)
		m->listen.fd[i] = m->listen.tls[i] = -1;
	m->upgrade.pidfd = m->upgrade.chan = m->takeover.chan = -1;
	gw_diag_init("master", -1, GW_INFO);
	if (gw_boot_read(argc, argv, &m->boot, &why)) {
		fprintf(stderr, "llmgw: %s\n", why);
		return false;
	}
	gw_diag_init("master", -1, (enum gw_level)gw_role_log_level(m->boot.log_level));
	return true;
}

static bool lock_down(struct gw_master *m)
{
	uint32_t level = 0;
	enum gw_err e;

	gw_harden();
	if (!m->boot.sandbox)
		return true;
	e = gw_sandbox_enter(GW_SB_MASTER, NULL, 0, &level);
	if (e)
		gw_log(GW_ERROR, "cannot enter the sandbox: %s", gw_err_info(e)->doc);
	return e == GW_OK;
}

static void open_control(struct gw_master *m)
{
	struct gw_control *c = m->control;

	for (int i = 0; i < GW_ROLE_COUNT; i++)
		atomic_store(&c->roles[i].pid, 0);
	gw_leftover_publish(m);
	atomic_store(&c->is_draining, 0);
	atomic_store(&c->generation, 0);
	atomic_store(&c->started_us, (uint64_t)gw_unix_us());
	atomic_store(&c->n_workers, m->n_workers);
	atomic_store(&c->first_slot, m->half * GW_MAX_WORKERS);
	atomic_store(&c->master_pid, (uint32_t)getpid());
}

int gw_master_main(int argc, char **argv)
{
	struct gw_master *m = &master;
	const char *why = "";
	enum gw_err e;
	int rc;

	if (answer_and_leave(argc, argv))
		return 0;
	if (!begin(m, argc, argv))
		return 2;
	e = gw_place_prepare(m, &why);
	if (!e)
		e = gw_leftover_find(m, &why);
	gw_child_init(m);
	if (!e)
		e = gw_place_regions(m, &why);
	if (!e)
		e = gw_place_listen(m, &why);
	if (e) {
		fprintf(stderr, "llmgw: %s\n", why);
		return 1;
	}
	open_control(m);
	gw_place_write_lock(m);
	m->stage = GW_STAGE_SERVING;
	if (!lock_down(m))
		return 1;
	gw_log(GW_INFO, "llmgw %s starts: data in %s, sockets in %s", LLMGW_VERSION, m->boot.data_dir,
	       m->boot.runtime_dir);
	rc = gw_loop_run(m);
	/* After a hand-over everything belongs to the new master. */
	if (m->lock_fd >= 0) {
		gw_place_clean(m);
		atomic_store(&m->control->master_pid, 0);
		gw_log(GW_INFO, "stopped");
	}
	return rc;
}

int gw_master_takeover_main(int argc, char **argv)
{
	struct gw_master *m = &master;
	const char *why = "";
	enum gw_err e;

	if (!begin(m, argc, argv))
		return 2;
	e = gw_takeover_receive(m, &why);
	if (!e)
		e = gw_place_prepare(m, &why);
	if (e) {
		gw_log(GW_ERROR, "takeover: %s (%s)", why, gw_err_info(e)->doc);
		return 1;
	}
	if (!lock_down(m))
		return 1;
	e = gw_loop_run(m) == 0 ? GW_OK : GW_E_IO;
	if (m->stage == GW_STAGE_DONE && m->takeover.has_go && m->lock_fd >= 0) {
		gw_place_clean(m);
		atomic_store(&m->control->master_pid, 0);
		gw_log(GW_INFO, "stopped");
	}
	return e ? 1 : 0;
}
