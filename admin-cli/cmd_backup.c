/* backup: the gateway's answer goes into a file, whose hash is checked before it gets its name. restore: offline, done by the llmgw program, which
 * alone knows the store. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "admin-cli/cli.h"
#include "lib/backup.h"
#include "lib/crypto.h"
#include "lib/sys/fd.h"

enum { HASH_BYTES = 32 };

/* The hash covers all but the last 32 bytes, which are known only at the end: so many are held back. */
struct sink {
	int fd;
	bool has_failed;
	uint64_t n;
	struct gw_sha256_ctx hash;
	char tail[HASH_BYTES], before;
	size_t n_tail;
};

static void take(struct sink *s, const char *p, size_t n)
{
	if (!n)
		return;
	gw_sha256_add(&s->hash, p, n);
	s->before = p[n - 1];
}

static bool on_piece(void *ctx, struct gw_str data)
{
	struct sink *s = ctx;

	s->n += data.n;
	if (gw_write_all(s->fd, data.p, data.n)) {
		s->has_failed = true;
		return false;
	}
	if (data.n >= HASH_BYTES) {
		take(s, s->tail, s->n_tail);
		take(s, data.p, data.n - HASH_BYTES);
		memcpy(s->tail, data.p + data.n - HASH_BYTES, HASH_BYTES);
		s->n_tail = HASH_BYTES;
		return true;
	}
	size_t over = s->n_tail + data.n > HASH_BYTES ? s->n_tail + data.n - HASH_BYTES : 0;

	take(s, s->tail, over);
	memmove(s->tail, s->tail + over, s->n_tail - over);
	memcpy(s->tail + s->n_tail - over, data.p, data.n);
	s->n_tail += data.n - over;
	return true;
}

static bool is_whole(struct sink *s)
{
	uint8_t hash[32];

	gw_sha256_end(&s->hash, hash);
	return s->n_tail == HASH_BYTES && s->before == GW_BACKUP_END && gw_ct_eq(hash, s->tail, HASH_BYTES);
}

int cli_cmd_backup(struct cli *c)
{
	struct sink s = { .fd = -1 };
	char part[4200];
	int rc;

	snprintf(part, sizeof part, "%s.part", c->args[0]);
	if (gw_crypto_init() != GW_OK)
		return CLI_FAILED;
	unlink(part);
	s.fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (s.fd < 0) {
		cli_error("cannot make %s", part);
		return CLI_FAILED;
	}
	gw_sha256_start(&s.hash);
	rc = cli_post_download(c, GW_LIT("/admin/v1/backup"),
			       c->o.with_logs ? GW_LIT("{\"with_logs\":true}") : GW_LIT("{}"), on_piece, &s);
	if (!rc && (s.has_failed || fsync(s.fd) != 0)) {
		cli_error("cannot write %s: is the disk full?", part);
		rc = CLI_FAILED;
	} else if (!rc && !is_whole(&s)) {
		cli_error("the backup did not arrive whole; try again");
		rc = CLI_FAILED;
	}
	gw_close(&s.fd);
	if (!rc && rename(part, c->args[0]) != 0) {
		cli_error("cannot rename %s to %s", part, c->args[0]);
		rc = CLI_FAILED;
	}
	if (rc)
		unlink(part);
	else
		cli_note("%s: %llu bytes, hash good. It is of no use without the root key: keep that elsewhere.",
			 c->args[0], (unsigned long long)s.n);
	return rc;
}

/* Becomes llmgw, which lies beside llmgwctl, else where the shell finds it. Comes back when there is none. */
static void run_llmgw(char *const argv[])
{
	char here[4000], path[4096];
	/* beside it; in a build folder programs are in folders of their own */
	static const char *const places[] = { "llmgw", "../llmgw" };
	ssize_t n = readlink("/proc/self/exe", here, sizeof here - 1);

	while (n > 0 && here[n - 1] != '/')
		n--;
	for (int i = 0; i < 2 && n > 0; i++) {
		snprintf(path, sizeof path, "%.*s%s", (int)n, here, places[i]);
		execv(path, argv);
	}
	execvp("llmgw", argv);
}

int cli_cmd_restore(struct cli *c)
{
	const char *argv[12] = { "llmgw", "restore", c->args[0], "--data-dir", NULL };
	int n = 5;

	if (!c->o.data_dir) {
		cli_error("--data-dir: name the new data folder");
		return CLI_USAGE;
	}
	argv[4] = c->o.data_dir;
	if (c->o.root_key) {
		argv[n++] = "--root-key";
		argv[n++] = c->o.root_key;
	}
	run_llmgw((char *const *)(uintptr_t)argv);
	cli_error("the program llmgw is not beside llmgwctl, nor in PATH");
	return CLI_FAILED;
}
