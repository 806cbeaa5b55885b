/* Files of this user (admin-cli/home.h). */
#include "admin-cli/home.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/sys/fd.h"

const char *cli_home_path(struct cli *c, enum cli_home which, const char *name)
{
	const char *xdg = getenv(which == CLI_HOME_CONFIG ? "XDG_CONFIG_HOME" : "XDG_STATE_HOME"),
		   *home = getenv("HOME");
	struct gw_str s;

	if (xdg && xdg[0] == '/')
		s = gw_arena_printf(&c->arena, "%s/llmgw/%s", xdg, name);
	else if (home && home[0] == '/')
		s = gw_arena_printf(&c->arena, "%s/%s/llmgw/%s", home,
				    which == CLI_HOME_CONFIG ? ".config" : ".local/state", name);
	else
		s = GW_NIL;
	if (!s.p) {
		cli_error("the environment has no HOME: set it, or %s",
			  which == CLI_HOME_CONFIG ? "XDG_CONFIG_HOME" : "XDG_STATE_HOME");
		return NULL;
	}
	return gw_arena_z(&c->arena, s);
}

int cli_home_read(const char *path, struct gw_buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n = 0;

	if (fd < 0 && errno == ENOENT)
		return CLI_NOT_FOUND;
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		cli_error("cannot read %s", path);
		gw_close(&fd);
		return CLI_FAILED;
	}
	if ((st.st_mode & 077) || (st.st_uid != geteuid() && st.st_uid != 0)) {
		cli_error("%s can be read or written by others: chmod 600 it", path);
		gw_close(&fd);
		return CLI_FAILED;
	}
	for (char *p; (p = gw_buf_room(out, 65536)) != NULL && (n = read(fd, p, 65536)) > 0;)
		gw_buf_commit(out, (size_t)n);
	gw_close(&fd);
	if (n == 0 && !out->err)
		return CLI_OK;
	cli_error("cannot read %s", path);
	return CLI_FAILED;
}

/* mkdir -p of what the file lies in; the last folder is private. */
static bool make_folder(const char *path)
{
	char dir[4096];
	size_t n = (size_t)snprintf(dir, sizeof dir, "%s", path);

	if (n >= sizeof dir)
		return false;
	for (size_t i = 1; i < n; i++) {
		if (dir[i] != '/')
			continue;
		dir[i] = 0;
		mkdir(dir, 0700);
		dir[i] = '/';
	}
	*strrchr(dir, '/') = 0;
	return gw_private_dir(dir) == GW_OK;
}

int cli_home_write(const char *path, struct gw_str text)
{
	if (make_folder(path) && gw_write_file(AT_FDCWD, path, text, 0600) == GW_OK)
		return CLI_OK;
	cli_error("cannot write %s", path);
	return CLI_FAILED;
}
