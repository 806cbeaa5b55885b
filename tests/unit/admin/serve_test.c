/* A call on its way to confd: who it is, what of the body and the query goes on, and what is refused here. */
#include <uv.h>
#include "tests/unit/admin/fake_admin.h"

#define ADMIN "{\"key\":\"k-admin\",\"user\":\"u1\",\"roles\":[{\"role\":\"platform-admin\"}]}"
#define JSON  "application/json"
static struct gw_h1_conn c;
static char token[64];
static unsigned n_tokens;

/* A token nobody has used: what was known of the last one for a second does not count. */
static const char *fresh(void)
{
	snprintf(token, sizeof token, "Bearer t-%u", ++n_tokens);
	return token;
}

static int set_up(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof fake);
	memset(&the_admin, 0, sizeof the_admin);
	the_admin.confd = (struct gw_channel *)(uintptr_t)8;
	the_admin.logger = (struct gw_channel *)(uintptr_t)16;
	return uv_loop_init(&the_admin.loop);
}

static int tear_down(void **state)
{
	(void)state;
	assert_int_equal(the_admin.n_open, 0); /* every request has ended */
	return uv_loop_close(&the_admin.loop);
}

static void as(const char *principal, enum gw_h1_method m, const char *target, const char *body)
{
	call(&c, m, target, fresh(), body ? JSON : NULL, body);
	if (!c.n_answers)
		confd_says(200, principal);
}

static void who_calls(void **state)
{
	(void)state;
	call(&c, GW_H1_GET, "/admin/v1/keys", NULL, NULL, NULL);
	assert_int_equal(c.status, 401);
	assert_int_equal(fake.n_asks, 0);
	assert_int_equal(fake.n_audits, 0); /* nobody: counted, not recorded */
	assert_int_equal(the_admin.n_unauthenticated, 1);

	call(&c, GW_H1_GET, "/admin/v1/keys", fresh(), NULL, NULL);
	assert_string_equal(fake.method, "auth");
	assert_null(strstr(fake.body, "t-1")); /* only the hash leaves this process */
	confd_says(401, "{}");
	assert_int_equal(c.status, 401);
	assert_null(strstr(c.body, "t-"));

	call(&c, GW_H1_GET, "/admin/v1/keys", fresh(), NULL, NULL);
	confd_says(200, "not json");
	assert_int_equal(c.status, 500);

	as("{\"key\":\"k-team\",\"roles\":[{\"role\":\"team-admin\",\"org\":\"acme\",\"team\":\"red\"}]}", GW_H1_POST,
	   "/admin/v1/upgrade", NULL);
	assert_int_equal(c.status, 403);
	assert_int_equal(fake.n_audits, 1); /* somebody: recorded */
	assert_string_equal(fake.audit_route, "upgrade");
	assert_string_equal(fake.audit_error, "FORBIDDEN");

	as("{\"key\":\"k-x\",\"roles\":[{\"role\":\"emperor\"}]}", GW_H1_GET, "/admin/v1/keys", NULL);
	assert_int_equal(c.status, 403);

	as(ADMIN, GW_H1_GET, "/admin/v1/whoami", NULL);
	assert_int_equal(c.status, 200);
	assert_string_equal(c.body, ADMIN);
	uint32_t n = fake.n_asks;
	call(&c, GW_H1_GET, "/admin/v1/whoami", token, NULL, NULL); /* known for a second */
	assert_int_equal(c.status, 200);
	assert_int_equal(fake.n_asks, n);

	the_admin.confd = NULL;
	call(&c, GW_H1_GET, "/admin/v1/keys", fresh(), NULL, NULL);
	assert_int_equal(c.status, 503);
}

/* A client that leaves while confd thinks: the answer finds nobody, nothing is left. */
static void client_leaves(void **state)
{
	(void)state;
	call(&c, GW_H1_GET, "/admin/v1/keys", fresh(), NULL, NULL);
	gw_adm_ops.on_gone(&the_admin, &c);
	confd_says(200, ADMIN);
	assert_int_equal(c.status, 0);
	as(ADMIN, GW_H1_GET, "/admin/v1/keys", NULL);
	assert_string_equal(fake.method, "list");
	gw_adm_ops.on_gone(&the_admin, &c);
	confd_says(200, "{}");
	assert_int_equal(c.n_answers, 1); /* the cut */
}

static void bodies(void **state)
{
	(void)state;
	static const struct {
		const char *body, *sent; /* sent NULL: refused with 400 */
	} puts[] = {
		{ "{}", "{\"id\":\"m 1\"}" },
		{ " \r\n\t{ \r\n }\n", "{\"id\":\"m 1\"}" },
		{ "{\"name\":\"n\"}", "{\"id\":\"m 1\",\"name\":\"n\"}" },
		{ "\n\n  {\"a\":{\"b\":{}}}  ", "{\"id\":\"m 1\",\"a\":{\"b\":{}}}" },
		{ "{\"a\":[{}]}", "{\"id\":\"m 1\",\"a\":[{}]}" },
		{ "{\"a\":\"}\"}", "{\"id\":\"m 1\",\"a\":\"}\"}" },
		{ "{\"a\":{\"id\":\"other\"}}",
		  "{\"id\":\"m 1\",\"a\":{\"id\":\"other\"}}" }, /* an inner id is not the object's */
		{ "{\"id\":\"m 1\",\"x\":1}", "{\"id\":\"m 1\",\"x\":1}" },
		{ "{\"\\u0069d\":\"m 1\"}",
		  "{\"\\u0069d\":\"m 1\"}" }, /* an id that is spelt in another way is an id */
		{ "{\"\\u0069d\":\"other\"}", NULL },
		{ "{\"id\":\"other\"}", NULL },
		{ "{\"id\":7}", NULL },
		{ "{\"id\":\"m 1\",\"id\":\"other\"}", NULL },
		{ "", NULL },
		{ "   ", NULL },
		{ "[]", NULL },
		{ "[\"a\"]", NULL },
		{ "\"text\"", NULL },
		{ "12", NULL },
		{ "null", NULL },
		{ "{", NULL },
		{ "{}}", NULL },
		{ "{\"a\":1}{\"b\":2}", NULL },
	};

	for (size_t i = 0; i < sizeof puts / sizeof puts[0]; i++) {
		fake.body[0] = 0;
		fake.method[0] = 0;
		as(ADMIN, GW_H1_PUT, "/admin/v1/models/m%201", puts[i].body);
		if (!puts[i].sent) {
			if (c.status != 400 || strcmp(fake.method, "auth") != 0)
				fail_msg("%s: %d, %s got %s", puts[i].body, c.status, fake.method, fake.body);
			continue;
		}
		if (strcmp(fake.body, puts[i].sent) != 0)
			fail_msg("'%s' became '%s' (%d)", puts[i].body, fake.body, c.status);
		assert_string_equal(fake.method, "put");
		assert_string_equal(fake.kind, "model");
		confd_says(200, "{}");
		assert_int_equal(c.status, 200);
	}
	as(ADMIN, GW_H1_PATCH, "/admin/v1/models/m%22%7d",
	   "{\"name\":null}"); /* an id that would break out of its quotes */
	assert_string_equal(fake.body, "{\"id\":\"m\\\"}\",\"patch\":{\"name\":null}}");
	confd_says(200, "{}");
	as(ADMIN, GW_H1_POST, "/admin/v1/credentials/c1:rotate", "{\"mode\":\"now\",\"secret\":\"s\"}");
	assert_string_equal(fake.method, "credential-rotate");
	assert_string_equal(fake.body, "{\"id\":\"c1\",\"mode\":\"now\",\"secret\":\"s\"}");
	confd_says(200, "{}");
	as(ADMIN, GW_H1_POST, "/admin/v1/keys", "{\"org\":\"acme\"}");
	assert_string_equal(fake.method, "put");
	confd_says(201, "{}");
	assert_int_equal(c.status, 201);
}

/* What a browser's form can send is refused before anybody is asked. */
static void media_types(void **state)
{
	(void)state;
	static const char *const bad[] = { "text/plain", "application/x-www-form-urlencoded",
					   "multipart/form-data; boundary=x", "", NULL };
	static const char *const good[] = { "application/json", "APPLICATION/JSON; charset=utf-8", "application/yaml",
					    "application/merge-patch+json" };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		call(&c, GW_H1_POST, "/admin/v1/keys", fresh(), bad[i], "{}");
		assert_int_equal(c.status, 415);
	}
	assert_int_equal(fake.n_asks, 0);
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		call(&c, GW_H1_POST, "/admin/v1/keys", fresh(), good[i], "{}");
		assert_int_equal(c.status, 0);
		confd_says(403, "{}");
		assert_int_equal(c.status, 403);
	}
}

static void actor_and_flags(void **state)
{
	(void)state;
	as(ADMIN, GW_H1_POST, "/admin/v1/keys?dry_run=true&wait=none", "{}");
	assert_non_null(strstr(fake.actor, "\"key\":\"k-admin\""));
	assert_non_null(strstr(fake.actor, "\"source\":\"127.0.0.1\""));
	assert_non_null(strstr(fake.actor, "\"route\":\"objects_create\""));
	assert_int_equal(fake.flags, 1 | 2 | 4);
	confd_says(200, "{}");
	as(ADMIN, GW_H1_POST, "/admin/v1/keys?dry_run=false", "{}");
	assert_int_equal(fake.flags, 4);
	confd_says(200, "{}");
	as(ADMIN, GW_H1_POST, "/admin/v1/keys?dry%5frun=true", "{}"); /* names are not decoded: no second spelling */
	assert_int_equal(fake.flags, 4);
	confd_says(404, "{\"error\":{}}");
	assert_int_equal(c.status, 404);
	assert_string_equal(fake.audit_error, "NOT_FOUND"); /* refused by confd: recorded too */
}

static void lists(void **state)
{
	(void)state;
	char target[9000], *p = target;

	as(ADMIN, GW_H1_GET, "/admin/v1/keys?limit=5&after=a%26b&org=ac%22me&limit=7&wait=none", NULL);
	assert_string_equal(fake.body, "{\"limit\":5,\"after\":\"a&b\",\"filter\":{\"org\":\"ac\\\"me\"}}");
	confd_says(200, "{}");
	as(ADMIN, GW_H1_GET, "/admin/v1/keys?limit=-1&x&=&&", NULL);
	assert_non_null(strstr(fake.body, "\"filter\":{"));
	assert_null(strstr(fake.body, "limit"));
	confd_says(200, "{}");
	p += sprintf(p, "/admin/v1/keys?");
	for (int i = 0; i < 900; i++)
		p += sprintf(p, "f%d=%%22&", i);
	as(ADMIN, GW_H1_GET, target, NULL); /* many, all to be escaped: whole or refused, never broken */
	if (!c.n_answers) {
		assert_int_equal(fake.body[strlen(fake.body) - 1], '}');
		confd_says(200, "{}");
	}
}

static void log_limits(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"limit=0",
		"limit=10001",
		"limit=abc",
		"limit=-1",
		"limit=99999999999999999999",
		"from=yesterday",
		"to=%zz1",
		"filter=no_such_field%3D1",
	};
	char target[4000], *p = target;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(target, sizeof target, "/admin/v1/logs?%s", bad[i]);
		if (strcmp(bad[i], "to=%zz1") == 0)
			continue; /* cannot be decoded: as if it were not there */
		as(ADMIN, GW_H1_GET, target, NULL);
		if (c.status != 400)
			fail_msg("%s: %d", bad[i], c.status);
	}
	p += sprintf(p, "/admin/v1/logs?");
	for (int i = 0; i < 40; i++)
		p += sprintf(p, "filter=status%%3D%d&", i);
	as(ADMIN, GW_H1_GET, target, NULL); /* none is dropped silently */
	assert_int_equal(c.status, 400);
	/* the admin trail is not a tenant's */
	as("{\"key\":\"k\",\"roles\":[{\"role\":\"org-admin\",\"org\":\"acme\"}]}", GW_H1_GET,
	   "/admin/v1/logs?class=admin", NULL);
	assert_int_equal(c.status, 403);
	as("{\"key\":\"k\",\"roles\":[{\"role\":\"viewer\"}]}", GW_H1_GET, "/admin/v1/logs?class=admin", NULL);
	assert_int_equal(c.status, 403);
	/* a member without a user owns no records */
	as("{\"key\":\"k\",\"roles\":[{\"role\":\"member\",\"org\":\"acme\",\"team\":\"red\"}]}", GW_H1_GET,
	   "/admin/v1/logs", NULL);
	assert_int_equal(c.status, 403);
	assert_int_equal(the_admin.n_queries, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(who_calls), T(client_leaves), T(bodies), T(media_types), T(actor_and_flags), T(lists), T(log_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
