#pragma once
#include "bench/llmgw-bench_cli.h"

/* A gateway and a mockllm of our own, on loopback, in a folder of their own that goes with them. */
struct bench_child {
	int pid;
	uint16_t port, admin_port;
	char folder[256], runtime[256], url[64], key[128];
};
struct bench_setting { /* one knob turned: place, name, value */
	const char *place, *name, *value;
};
/* False with words in why. Children end with this process, however it ends. */
bool bench_mock_start(struct bench_child *m, const char *program, char *why, size_t n_why);
bool bench_gateway_start(struct bench_child *g, const char *program, const char *upstream,
			 const struct bench_setting *set, size_t n_set, char *why, size_t n_why);
void bench_child_stop(struct bench_child *c);
/* A program beside this one, else in $PATH; false when it is nowhere. */
bool bench_find_program(const char *name, char *path, size_t n);
