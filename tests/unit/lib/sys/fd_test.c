/* Packets with descriptors, private files, whole writes, listening sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/sys/fd.h"

static char dir[] = "/tmp/gw-fd-XXXXXX";

static const char *in_dir(const char *name)
{
	static char paths[8][256];
	static unsigned next;
	char *p = paths[next++ % 8];

	snprintf(p, 256, "%s/%s", dir, name);
	return p;
}

static int n_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_packets(void **state)
{
	int pair[2], file = open("/dev/null", O_RDONLY | O_CLOEXEC), got[GW_PACKET_FDS], many[GW_PACKET_FDS + 1];
	static char big[GW_PACKET_BYTES], back[GW_PACKET_BYTES];
	struct iovec parts[2] = { { "he", 2 }, { "llo", 3 } };
	int before;
	size_t n;

	(void)state;
	assert_int_equal(gw_socketpair(pair, true), GW_OK);
	assert_int_equal(fcntl(pair[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(gw_packet_recv(pair[1], back, sizeof(back), got, 1, &n), -EAGAIN);

	for (int i = 0; i <= GW_PACKET_FDS; i++)
		many[i] = file;
	memset(big, 'x', sizeof(big));
	assert_int_equal(gw_packet_send(pair[0], big, sizeof(big), many, GW_PACKET_FDS), sizeof(big));
	assert_int_equal(gw_packet_recv(pair[1], back, sizeof(back), got, GW_PACKET_FDS, &n), sizeof(big));
	assert_int_equal(n, GW_PACKET_FDS);
	assert_memory_equal(big, back, sizeof(big));
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(fcntl(got[i], F_GETFD), FD_CLOEXEC);
		close(got[i]);
	}
	assert_int_equal(gw_packet_send(pair[0], "x", 1, many, GW_PACKET_FDS + 1), -EINVAL);

	assert_int_equal(gw_packet_sendv(pair[0], parts, 2, NULL, 0), 5);
	assert_int_equal(gw_packet_recv(pair[1], back, sizeof(back), got, 1, &n), 5);
	assert_memory_equal(back, "hello", 5);

	/* Too long for the receiver, or more descriptors than it takes: refused, nothing leaks. */
	before = n_open();
	assert_int_equal(gw_packet_send(pair[0], "long", 4, &file, 1), 4);
	assert_int_equal(gw_packet_recv(pair[1], back, 2, got, 1, &n), -EMSGSIZE);
	assert_int_equal(gw_packet_send(pair[0], "x", 1, many, 3), 1);
	assert_int_equal(gw_packet_recv(pair[1], back, 2, got, 2, &n), -EMSGSIZE);
	assert_int_equal(n, 0);
	assert_int_equal(n_open(), before);

	gw_close(&pair[0]);
	gw_close(&pair[0]);
	assert_int_equal(pair[0], -1);
	assert_int_equal(gw_packet_recv(pair[1], back, 2, got, 2, &n), 0);
	assert_int_equal(gw_packet_send(pair[1], "x", 1, NULL, 0), -EPIPE);
	close(pair[1]);
	close(file);
}

static void test_full_socket(void **state)
{
	static char big[GW_PACKET_BYTES];
	int pair[2];
	ssize_t n;

	(void)state;
	assert_int_equal(gw_socketpair(pair, true), GW_OK);
	do
		n = gw_packet_send(pair[0], big, sizeof(big), NULL, 0);
	while (n > 0);
	assert_int_equal(n, -EAGAIN);
	close(pair[0]);
	close(pair[1]);
}

static void test_files(void **state)
{
	struct gw_buf b;
	struct stat st;
	int fd = -1;

	(void)state;
	assert_int_equal(gw_write_file(AT_FDCWD, in_dir("a"), GW_LIT("first"), 0600), GW_OK);
	assert_int_equal(gw_write_file(AT_FDCWD, in_dir("a"), GW_LIT("second"), 0640), GW_OK);
	assert_int_equal(stat(in_dir("a"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(access(in_dir("a.new"), F_OK), -1);
	gw_buf_init(&b, 6);
	assert_int_equal(gw_read_file(AT_FDCWD, in_dir("a"), &b), GW_OK);
	assert_true(gw_str_eq(gw_buf_view(&b), GW_LIT("second")));
	gw_buf_done(&b);
	gw_buf_init(&b, 5); /* one too few */
	assert_int_equal(gw_read_file(AT_FDCWD, in_dir("a"), &b), GW_E_TOO_BIG);
	gw_buf_done(&b);
	gw_buf_init(&b, 5);
	assert_int_equal(gw_read_file(AT_FDCWD, in_dir("none"), &b), GW_E_NOT_FOUND);
	gw_buf_done(&b);

	/* A link left under the temporary name must not be written through. */
	assert_int_equal(symlink(in_dir("victim"), in_dir("b.new")), 0);
	assert_int_equal(gw_write_file(AT_FDCWD, in_dir("b"), GW_LIT("x"), 0600), GW_OK);
	assert_int_equal(access(in_dir("victim"), F_OK), -1);
	assert_int_not_equal(gw_write_file(AT_FDCWD, in_dir("no/such/folder"), GW_LIT("x"), 0600), GW_OK);

	assert_int_equal(gw_open_private(in_dir("a"), &fd), GW_E_FORBIDDEN); /* 0640 */
	assert_int_equal(gw_open_private(in_dir("b"), &fd), GW_OK);
	close(fd);
	assert_int_equal(symlink(in_dir("b"), in_dir("link")), 0);
	assert_int_equal(gw_open_private(in_dir("link"), &fd), GW_E_FORBIDDEN);
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	assert_int_equal(gw_open_private(in_dir("fifo"), &fd), GW_E_FORBIDDEN);
	assert_int_equal(gw_open_private(in_dir("none"), &fd), GW_E_NOT_FOUND);
	assert_int_equal(gw_open_private(dir, &fd), GW_E_FORBIDDEN);
}

static void test_private_dir(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(gw_private_dir(in_dir("x/y/z")), GW_OK);
	assert_int_equal(gw_private_dir(in_dir("x/y/z/")), GW_OK);
	assert_int_equal(stat(in_dir("x/y/z"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(mkdir(in_dir("wide"), 0755), 0);
	assert_int_equal(gw_private_dir(in_dir("wide")), GW_OK);
	assert_int_equal(stat(in_dir("wide"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(symlink(in_dir("wide"), in_dir("alias")), 0);
	assert_int_equal(gw_private_dir(in_dir("alias")), GW_E_FORBIDDEN);
	assert_int_equal(gw_private_dir(in_dir("alias/")), GW_E_FORBIDDEN);
	assert_int_equal(gw_private_dir(""), GW_E_INVALID);
	if (geteuid() == 0) {
		assert_int_equal(mkdir(in_dir("theirs"), 0700), 0);
		assert_int_equal(chown(in_dir("theirs"), 65534, 65534), 0);
		assert_int_equal(gw_private_dir(in_dir("theirs")), GW_E_FORBIDDEN);
	}
}

static void test_write_all_to_full_disk(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(gw_write_all(fd, "x", 1), GW_E_NO_SPACE);
	close(fd);
}

static void test_close_from(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		int a = dup(0), b = fcntl(0, F_DUPFD, 500);

		gw_close_from(3);
		_exit(fcntl(a, F_GETFD) == -1 && fcntl(b, F_GETFD) == -1 && fcntl(2, F_GETFD) >= 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void connect_to(struct sockaddr *a, socklen_t n, bool expect)
{
	int s = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(s >= 0);
	assert_int_equal(connect(s, a, n), expect ? 0 : -1);
	close(s);
}

static void test_listen_tcp(void **state)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int a = -1, b = -1, c = -1, on = 0;
	socklen_t n = sizeof(on);

	(void)state;
	assert_int_equal(gw_listen_tcp(GW_LIT("127.0.0.1"), 0, &a), GW_OK);
	assert_true(gw_socket_port(a) > 0);
	assert_int_equal(gw_listen_tcp(GW_LIT("127.0.0.1"), gw_socket_port(a), &b), GW_OK); /* SO_REUSEPORT */
	assert_int_equal(gw_socket_port(a), gw_socket_port(b));
	assert_true(fcntl(a, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fcntl(a, F_GETFD), FD_CLOEXEC);
	assert_int_equal(getsockopt(a, SOL_SOCKET, SO_REUSEPORT, &on, &n), 0);
	assert_true(on);
	a4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a4.sin_port = htons(gw_socket_port(a));
	connect_to((struct sockaddr *)&a4, sizeof(a4), true);
	close(a);
	close(b);
	assert_int_equal(gw_listen_tcp(GW_LIT("localhost"), 0, &c), GW_E_INVALID);
	assert_int_equal(gw_listen_tcp(GW_LIT("127.1"), 0, &c), GW_E_INVALID);
	assert_int_equal(gw_listen_tcp(GW_LIT("[::1"), 0, &c), GW_E_INVALID);
	assert_int_equal(gw_listen_tcp(GW_NIL, 0, &c), GW_E_INVALID);
	assert_int_equal(c, -1);
	if (gw_listen_tcp(GW_LIT("[::1]"), 0, &a) == GW_OK) { /* not where IPv6 is switched off */
		a6.sin6_port = htons(gw_socket_port(a));
		connect_to((struct sockaddr *)&a6, sizeof(a6), true);
		close(a);
		assert_int_equal(gw_listen_tcp(GW_LIT("::"), 0, &a), GW_OK);
		a4.sin_port = htons(gw_socket_port(a));
		connect_to((struct sockaddr *)&a4, sizeof(a4), true); /* both families */
		close(a);
	}
}

static void test_port_in_use(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = -1;

	(void)state;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s, 1), 0);
	assert_int_equal(gw_listen_tcp(GW_LIT("127.0.0.1"), gw_socket_port(s), &fd), GW_E_IN_USE);
	close(s);
}

static void test_listen_unix(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char too_long[200];
	struct stat st;
	int first = -1, second = -1, c, s;

	(void)state;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", in_dir("sock"));
	assert_int_equal(gw_listen_unix(a.sun_path, &first), GW_OK);
	assert_int_equal(stat(a.sun_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(gw_listen_unix(a.sun_path, &second), GW_OK); /* the old one is replaced */
	close(first);
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(s, (struct sockaddr *)&a, sizeof(a)), 0);
	c = accept4(second, NULL, NULL, SOCK_CLOEXEC);
	assert_true(c >= 0);
	assert_int_equal(gw_peer_uid(c), geteuid());
	assert_int_equal(gw_peer_uid(0), -1);
	close(c);
	close(s);
	close(second);
	assert_int_equal(gw_write_file(AT_FDCWD, in_dir("plain"), GW_LIT("x"), 0600), GW_OK);
	assert_int_equal(gw_listen_unix(in_dir("plain"), &first), GW_E_CONFLICT);
	memset(too_long, 'x', sizeof(too_long));
	too_long[sizeof(too_long) - 1] = 0;
	assert_int_equal(gw_listen_unix(too_long, &first), GW_E_INVALID);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static void remove_tree(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && unlinkat(fd, e->d_name, 0) != 0)
			remove_tree(fd, e->d_name);
	if (d)
		closedir(d);
	unlinkat(at, name, AT_REMOVEDIR);
}

static int tear_down(void **state)
{
	(void)state;
	remove_tree(AT_FDCWD, dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets),
		cmocka_unit_test(test_full_socket),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_private_dir),
		cmocka_unit_test(test_write_all_to_full_disk),
		cmocka_unit_test(test_close_from),
		cmocka_unit_test(test_listen_tcp),
		cmocka_unit_test(test_port_in_use),
		cmocka_unit_test(test_listen_unix),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
