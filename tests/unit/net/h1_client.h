#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "tests/unit/net/h1_app.h"

/* The server under test, its loop, and clients of it in the same thread: raw sockets that never block. */
enum { H1_CLIENT_BYTES = 32 << 20 };
struct world {
	uv_loop_t loop;
	struct h1_app app;
	int listen_fd;
	uint16_t port;
};
struct client {
	struct world *w;
	int fd;
	char *got; /* NUL-terminated */
	size_t n;
	bool is_end;
};
void world_open(struct world *w, const struct gw_h1_limits *lim);
void world_close(struct world *w); /* checks that nothing is left */
/* Turns the loop for about ms. */
void world_run(struct world *w, int ms);
void client_open(struct client *c, struct world *w);
void client_close(struct client *c);
void client_reset(struct client *c); /* RST */
void client_send(struct client *c, const char *text);
/* As much as the kernel takes; returns how much. */
size_t client_try_send(struct client *c, const char *p, size_t n);
void client_read(struct client *c);
void client_forget(struct client *c);
/* Turns and reads until `text` came (`times` times), the end came, or `ms` passed; false: it did not come. */
bool client_wait(struct client *c, const char *text, int times, int ms);
bool client_wait_end(struct client *c, int ms);
int client_count(const struct client *c, const char *text);
