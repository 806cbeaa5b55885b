#pragma once
/* The admin process without sockets: what would go to the client and to confd or the logger is kept here for the tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "admin/admin.h"

struct gw_h1_conn {
	void *user;
	int status, n_answers;
	char body[65536];
};
struct fake_admin {
	uint32_t n_asks, n_audits;
	char method[64], kind[64], actor[4096], body[1 << 20];
	uint64_t flags, version;
	gw_answer_fn *fn;
	void *ctx;
	struct gw_admin_record audit; /* of the last refused act */
	char audit_route[64], audit_error[64];
};
extern struct fake_admin fake;
extern struct gw_admin the_admin;

/* One call from head to handler; body NULL = none. Header value auth may be NULL. */
void call(struct gw_h1_conn *c, enum gw_h1_method m, const char *target, const char *auth, const char *type,
	  const char *body);
/* confd's answer to the last question. */
void confd_says(uint64_t status, const char *body);
