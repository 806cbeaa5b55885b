/* The root key: the one secret that is not in the database. It is read before confd locks itself down. Rotation of a file
 * goes through "<path>.new": written first, named by the keyring's commit, renamed last, so that a crash at any point
 * leaves exactly one file that opens the keyring, and the start finds out which. */
#include "confd/root_key.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/crypto.h"
#include "lib/sys/clock.h"
#include "lib/sys/fd.h"
#include "lib/text.h"

enum { KEY_BYTES = 32, MAX_TEXT = 256, COMMAND_MS = 10000, MAX_ARGS = 16, MAX_PATH = 4096 };

bool gw_root_source_read(const char *option, struct gw_root_source *out)
{
	static const struct {
		const char *prefix;
		enum gw_root_kind kind;
	} rows[] = {
		{ "env:", GW_ROOT_ENV },
		{ "cred:", GW_ROOT_CRED },
		{ "cmd:", GW_ROOT_CMD },
		{ "file:", GW_ROOT_FILE },
	};

	if (option == NULL || option[0] == '\0')
		return false;
	*out = (struct gw_root_source){ GW_ROOT_FILE, option, NULL };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strncmp(option, rows[i].prefix, strlen(rows[i].prefix)) == 0)
			*out = (struct gw_root_source){ rows[i].kind, option + strlen(rows[i].prefix), NULL };
	}
	return out->text[0] != '\0' && (out->kind != GW_ROOT_CMD || out->text[0] == '/');
}

const char *gw_root_kind_name(enum gw_root_kind k)
{
	static const char *const names[] = { "file", "env", "cred", "cmd" };

	return names[k];
}

/* Raw, hex or base64 to 32 bytes. */
static enum gw_err decode(struct gw_str text, struct gw_secret **out)
{
	uint8_t raw[KEY_BYTES];
	struct gw_buf b;
	struct gw_str t = text;
	bool is_ok = text.n == KEY_BYTES;

	if (is_ok)
		memcpy(raw, text.p, KEY_BYTES);
	while (!is_ok && t.n > 0 && (t.p[t.n - 1] == '\n' || t.p[t.n - 1] == '\r' || t.p[t.n - 1] == ' '))
		t.n--;
	if (!is_ok)
		is_ok = gw_hex_read(t, raw, KEY_BYTES);
	gw_buf_init(&b, MAX_TEXT);
	if (!is_ok && gw_b64_read(&b, t) && gw_buf_len(&b) == KEY_BYTES) {
		memcpy(raw, b.p, KEY_BYTES);
		is_ok = true;
	}
	if (b.p != NULL)
		gw_wipe(b.p, b.cap);
	gw_buf_done(&b);
	if (is_ok)
		*out = gw_secret_new(raw, KEY_BYTES);
	gw_wipe(raw, sizeof(raw));
	return !is_ok ? GW_E_INVALID : *out != NULL ? GW_OK : GW_E_NOMEM;
}

static enum gw_err read_fd(int fd, struct gw_secret **out)
{
	char text[MAX_TEXT];
	size_t n = 0;
	ssize_t got;

	while (n < sizeof(text) && ((got = read(fd, text + n, sizeof(text) - n)) > 0 || (got < 0 && errno == EINTR)))
		n += got > 0 ? (size_t)got : 0;
	enum gw_err e = decode(gw_str(text, n), out);

	gw_wipe(text, sizeof(text));
	return e;
}

static enum gw_err read_file(const char *path, struct gw_secret **out, const char **why)
{
	int fd = -1;
	enum gw_err e = gw_open_private(path, &fd);

	if (e == GW_E_NOT_FOUND)
		*why = "there is no such file";
	else if (e == GW_E_FORBIDDEN)
		*why = "it must be a regular file of this user with mode 0600 (chmod 600, no symlink)";
	else if (e != GW_OK)
		*why = "it cannot be opened";
	if (e != GW_OK)
		return e;
	e = read_fd(fd, out);
	if (e == GW_E_INVALID)
		*why = "it must hold 32 bytes: raw, 64 hex digits or base64";
	gw_close(&fd);
	return e;
}

static enum gw_err read_env(const char *name, struct gw_secret **out, const char **why)
{
	char *v = getenv(name);

	if (v == NULL) {
		*why = "the environment variable is not set";
		return GW_E_NOT_FOUND;
	}
	enum gw_err e = decode(gw_str_z(v), out);

	if (e == GW_E_INVALID)
		*why = "the environment variable must hold 64 hex digits or base64 of 32 bytes";
	gw_wipe(v, strlen(v)); /* /proc/self/environ shows this very memory */
	(void)unsetenv(name);
	return e;
}

static enum gw_err read_cred(const char *name, struct gw_secret **out, const char **why)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char path[MAX_PATH];

	if (dir == NULL || strchr(name, '/') != NULL) {
		*why = dir == NULL ? "CREDENTIALS_DIRECTORY is not set: use LoadCredential= in the unit"
				   : "a name without / is needed";
		return GW_E_NOT_FOUND;
	}
	int n = snprintf(path, sizeof(path), "%s/%s", dir, name);

	if (n < 0 || (size_t)n >= sizeof(path))
		return GW_E_INVALID;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0) {
		*why = "systemd gave no credential of that name";
		return GW_E_NOT_FOUND;
	}
	enum gw_err e = read_fd(fd, out);

	if (e == GW_E_INVALID)
		*why = "it must hold 32 bytes: raw, 64 hex digits or base64";
	gw_close(&fd);
	return e;
}

/* --- a command --- */

_Noreturn static void run_child(char **argv, int out_fd)
{
	char *no_env[] = { NULL };

	if (dup2(out_fd, STDOUT_FILENO) < 0)
		_exit(127);
	gw_close_from(3);
	execve(argv[0], argv, no_env);
	_exit(127);
}

/* What the command prints, up to its end or the deadline. */
static size_t collect(int fd, char *text, size_t max, uint64_t end_ms)
{
	size_t n = 0;

	for (;;) {
		uint64_t now = gw_now_ms();
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (now >= end_ms || n == max || poll(&p, 1, (int)(end_ms - now)) <= 0)
			return n;
		ssize_t got = read(fd, text + n, max - n);

		if (got <= 0)
			return n;
		n += (size_t)got;
	}
}

/* True when it ended by itself with 0 before the deadline. */
static bool reap(pid_t pid, uint64_t end_ms)
{
	int status = 0;

	for (;;) {
		pid_t r = waitpid(pid, &status, WNOHANG);

		if (r == pid)
			return WIFEXITED(status) && WEXITSTATUS(status) == 0;
		if (r < 0 && errno != EINTR)
			return false;
		if (gw_now_ms() >= end_ms)
			break;
		struct timespec t = { 0, 5000000 };

		(void)nanosleep(&t, NULL);
	}
	kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	return false;
}

static enum gw_err read_cmd(const char *command, struct gw_secret **out, const char **why)
{
	char line[MAX_PATH], text[MAX_TEXT], *argv[MAX_ARGS + 1];
	size_t n_args = 0, len = strlen(command);
	int p[2];

	if (len >= sizeof(line) || pipe2(p, O_CLOEXEC) != 0)
		return GW_E_INVALID;
	memcpy(line, command, len + 1);
	for (char *at = line; *at != '\0' && n_args < MAX_ARGS;) {
		argv[n_args++] = at;
		at += strcspn(at, " ");
		while (*at == ' ')
			*at++ = '\0';
	}
	argv[n_args] = NULL;
	uint64_t end_ms = gw_now_ms() + COMMAND_MS;
	pid_t pid = fork();

	if (pid == 0)
		run_child(argv, p[1]);
	gw_close(&p[1]);
	size_t n = pid > 0 ? collect(p[0], text, sizeof(text), end_ms) : 0;

	gw_close(&p[0]);
	enum gw_err e = pid > 0 && reap(pid, end_ms) ? decode(gw_str(text, n), out) : GW_E_IO;

	gw_wipe(text, sizeof(text));
	*why = e == GW_E_INVALID ? "the command must print 64 hex digits or base64 of 32 bytes"
				 : "the command failed or took more than 10 s";
	return e;
}

enum gw_err gw_root_read(const struct gw_root_source *s, struct gw_secret **out, const char **why)
{
	*why = "out of memory";
	if (s->loaded != NULL) {
		*out = gw_secret_ref(s->loaded);
		return GW_OK;
	}
	switch (s->kind) {
	case GW_ROOT_FILE:
		return read_file(s->text, out, why);
	case GW_ROOT_ENV:
		return read_env(s->text, out, why);
	case GW_ROOT_CRED:
		return read_cred(s->text, out, why);
	case GW_ROOT_CMD:
		return read_cmd(s->text, out, why);
	}
	return GW_E_INVALID;
}

enum gw_err gw_root_preload(struct gw_root_source *s, const char **why)
{
	struct gw_secret *key;

	if (s->kind == GW_ROOT_FILE)
		return GW_OK;
	enum gw_err e = gw_root_read(s, &key, why);

	if (e == GW_OK)
		s->loaded = key;
	return e;
}

/* --- files that are made --- */

static bool beside(const struct gw_root_source *s, char out[MAX_PATH])
{
	int n = snprintf(out, MAX_PATH, "%s.new", s->text);

	return s->kind == GW_ROOT_FILE && n > 0 && n < MAX_PATH;
}

static enum gw_err write_key(const char *path, struct gw_str key)
{
	struct gw_buf b;

	gw_buf_init(&b, MAX_TEXT);
	gw_hex_put(&b, key.p, key.n);
	gw_buf_putc(&b, '\n');
	enum gw_err e = b.err != GW_OK ? b.err : gw_write_file(AT_FDCWD, path, gw_buf_view(&b), 0600);

	if (b.p != NULL)
		gw_wipe(b.p, b.cap);
	gw_buf_done(&b);
	return e;
}

enum gw_err gw_root_make(const struct gw_root_source *s, bool is_beside, struct gw_secret **out, const char **why)
{
	char path[MAX_PATH];
	uint8_t *bytes;

	if (!beside(s, path))
		return GW_E_INVALID;
	struct gw_secret *key = gw_secret_room(KEY_BYTES, &bytes);

	if (key == NULL)
		return GW_E_NOMEM;
	gw_random(bytes, KEY_BYTES);
	enum gw_err e = write_key(is_beside ? path : s->text, gw_secret_expose(key));

	if (e != GW_OK) {
		*why = "it cannot be written: does its folder exist, and may this user write there?";
		gw_secret_unref(key);
		return e;
	}
	*out = key;
	return GW_OK;
}

enum gw_err gw_root_read_beside(const struct gw_root_source *s, struct gw_secret **out)
{
	char path[MAX_PATH];
	const char *why;

	return beside(s, path) ? read_file(path, out, &why) : GW_E_NOT_FOUND;
}

/* The folder is synced after the rename: a power cut must not bring the old key back beside a re-wrapped keyring. */
static enum gw_err sync_folder(const char *path)
{
	char dir[MAX_PATH];
	const char *slash = strrchr(path, '/');
	int n = slash == NULL ? snprintf(dir, sizeof(dir), ".")
			      : snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);

	if (n < 0 || (size_t)n >= sizeof(dir))
		return GW_E_INVALID;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return gw_err_from_errno(errno);
	enum gw_err e = fsync(fd) == 0 ? GW_OK : gw_err_from_errno(errno);

	gw_close(&fd);
	return e;
}

enum gw_err gw_root_adopt_beside(const struct gw_root_source *s)
{
	char path[MAX_PATH];

	if (!beside(s, path))
		return GW_E_INVALID;
	if (rename(path, s->text) != 0)
		return gw_err_from_errno(errno);
	return sync_folder(s->text);
}

void gw_root_drop_beside(const struct gw_root_source *s)
{
	char path[MAX_PATH];

	if (beside(s, path))
		(void)unlink(path);
}
