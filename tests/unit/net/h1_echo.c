/* The HTTP test server as a program: h1_echo PORT [once]. Prints "port N" when it listens (PORT 0: any) and runs
 * until it gets SIGTERM or SIGINT; prints counters then. Used by tests/corpora/http_corpus.py. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/sys/fd.h"
#include "tests/unit/net/h1_app.h"

static void on_signal(uv_signal_t *h, int number)
{
	struct h1_app *app = h->data;
	const struct gw_h1_stats *st = gw_h1_stats(app->server);

	(void)number;
	printf("served %d done %d gone %d open %u accepted %llu malformed %llu in %llu out %llu\n", app->served,
	       app->done, app->gone, gw_h1_open(app->server), (unsigned long long)st->accepted,
	       (unsigned long long)st->malformed, (unsigned long long)st->bytes_in, (unsigned long long)st->bytes_out);
	fflush(stdout);
	gw_h1_server_close(app->server);
	uv_close((uv_handle_t *)&app->term, NULL);
	uv_close((uv_handle_t *)&app->interrupt, NULL);
}

int main(int argc, char **argv)
{
	struct gw_h1_limits lim = gw_h1_default_limits;
	struct h1_app app = { 0 };
	uint64_t port = 0;
	uv_loop_t loop;
	int fd;

	if (argc > 1 && !gw_str_u64(gw_str_z(argv[1]), &port))
		return 2;
	lim.connections_per_ip = 0;
	if (uv_loop_init(&loop) || gw_listen_tcp(GW_LIT("127.0.0.1"), (uint16_t)port, &fd) ||
	    gw_h1_server_new(&loop, &lim, &h1_app_ops, &app, &app.server) || gw_h1_listen(app.server, fd, 0))
		return 1;
	app.loop = &loop;
	(void)uv_signal_init(&loop, &app.term);
	(void)uv_signal_init(&loop, &app.interrupt);
	app.term.data = app.interrupt.data = &app;
	(void)uv_signal_start(&app.term, on_signal, SIGTERM);
	(void)uv_signal_start(&app.interrupt, on_signal, SIGINT);
	printf("port %u\n", gw_socket_port(fd));
	fflush(stdout);
	uv_run(&loop, UV_RUN_DEFAULT);
	close(fd);
	return uv_loop_close(&loop) == 0 ? 0 : 1;
}
