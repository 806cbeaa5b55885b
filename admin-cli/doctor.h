#pragma once
#include "admin-cli/cli.h"

/* doctor: findings about this machine (doctor_host.c) and the gateway on it (cmd_doctor.c). Each is ok, warn or bad, with the remedy. */
enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_BAD };
struct doctor {
	struct cli *c;
	struct gw_json_out w; /* {"findings":[...]} as it grows */
	unsigned n[3];
	/* what the gateway said, 0 when it did not answer */
	uint64_t master_pid, workers, ring_bytes;
};
/* remedy "" where nothing is to be done; detail says what was found. */
void doctor_find(struct doctor *d, enum doctor_level l, const char *check, const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
void doctor_host(struct doctor *d); /* limits, kernel, clock, shared memory */
void doctor_files(struct doctor *d, const char *data_dir,
		  const char *root_key); /* root_key "": not a file, or not known */
