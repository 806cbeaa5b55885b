#pragma once
#include "net/h1_server.h"

/* A small application on net/h1_server for tests: echoes, streams, answers late. Routes in h1_app.c. */
struct h1_app {
	uv_loop_t *loop;
	struct gw_h1_server *server;
	uv_signal_t term, interrupt; /* of the program */
	int served, gone, done, drained, empty; /* calls seen */
	uint64_t queued_max; /* largest queue to a client seen while streaming */
	struct h1_job *held; /* GET /hold: answered by the test */
};
extern const struct gw_h1_ops h1_app_ops; /* ctx is the app */
struct gw_h1_conn *h1_app_held(struct h1_app *a);
void h1_app_empty(void *ctx);
