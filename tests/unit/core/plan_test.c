/* From key and name to a plan, over a small map of objects: who is refused and why, visibility by tenant, access lists, aliases,
 * what is left out of the candidates, ceilings. */
#include "tests/unit/lib/util.h"

#include "core/provider.h"
#include "tests/unit/core/rows.h"

static int set_up(void **st)
{
	(void)st;
	n_objects = 0;
	is_corrupt = false;
	give(GW_KIND_org, "acme", "{\"id\":\"acme\"}");
	give(GW_KIND_team, "red", "{\"id\":\"red\",\"org\":\"acme\"}");
	give(GW_KIND_provider, "p",
	     "{\"id\":\"p\",\"version\":3,\"type\":\"openai\",\"base_url\":\"http://127.0.0.1:9000/v1/\","
	     "\"allow_private\":[\"127.0.0.1/32\"],\"connect_timeout\":700}");
	give(GW_KIND_credential, "c", "{\"id\":\"c\",\"provider\":\"p\",\"secret_version\":4,\"next_version\":5}");
	give(GW_KIND_deployment, "d",
	     "{\"id\":\"d\",\"version\":9,\"provider\":\"p\",\"credential\":\"c\",\"upstream_model\":\"gpt-4o-2024\","
	     "\"input_price\":150000,\"output_price\":600000,\"region\":\"eu\"}");
	give(GW_KIND_deployment, "d2",
	     "{\"id\":\"d2\",\"provider\":\"p\",\"upstream_model\":\"other\",\"activation\":\"immediate\"}");
	give(GW_KIND_model, "m",
	     "{\"id\":\"m\",\"name\":\"gpt-4o\",\"targets\":[{\"deployment\":\"d\"},{\"deployment\":\"d2\",\"weight\":"
	     "3,\"priority\":1}]}");
	gw_arena_init(&arena, NULL, 0, 1 << 20);
	return 0;
}

static int tear_down(void **st)
{
	(void)st;
	gw_arena_done(&arena);
	gw_buf_done(&row);
	row = (struct gw_buf){ 0 };
	return 0;
}

static const uint8_t key_index[32] = { 7 };

static enum gw_err subject_of(const char *key, int64_t now_us, struct gw_subject *s)
{
	struct gw_buf b;
	enum gw_err e;

	gw_buf_init(&b, 1 << 20);
	assert_int_equal(to_row(GW_KIND_key, key, &b), GW_OK);
	e = gw_plan_subject(&arena, &rows, gw_buf_view(&b), now_us, key_index, s);
	gw_buf_done(&b); /* nothing of the subject may point into the row */
	return e;
}

static enum gw_err resolve(const char *key, const char *name, struct gw_plan *p)
{
	struct gw_subject s;

	*p = (struct gw_plan){ .generation = 42 };
	assert_int_equal(subject_of(key, 0, &s), GW_OK);
	return gw_plan_resolve(&arena, &rows, &s, gw_str_z(name), p);
}

static void subjects(void **st)
{
	struct gw_subject s;

	(void)st;
	give(GW_KIND_org, "off", "{\"id\":\"off\",\"disabled\":true}");
	give(GW_KIND_team, "offteam", "{\"id\":\"offteam\",\"org\":\"acme\",\"disabled\":true}");
	give(GW_KIND_user, "offuser", "{\"id\":\"offuser\",\"disabled\":true}");
	give(GW_KIND_team, "listed", "{\"id\":\"listed\",\"org\":\"acme\",\"models\":[\"a\",\"b\"]}");
	assert_int_equal(subject_of("{\"id\":\"k\",\"org\":\"acme\",\"team\":\"listed\",\"models\":[\"x*\"]}", 0, &s),
			 GW_OK);
	assert_str(s.key, "k");
	assert_str(s.org, "acme");
	assert_str(s.team, "listed");
	assert_int_equal(s.key_models.n, 1);
	assert_str(s.key_models.v[0], "x*");
	assert_str(s.team_models.v[1], "b");
	assert_memory_equal(s.key_index, key_index, 32);
	assert_int_equal(subject_of("{\"id\":\"k\",\"disabled\":true}", 0, &s), GW_E_KEY_DISABLED);
	assert_int_equal(subject_of("{\"id\":\"k\",\"purpose\":\"admin\"}", 0, &s), GW_E_FORBIDDEN);
	assert_int_equal(subject_of("{\"id\":\"k\",\"expires_at\":\"1970-01-01T00:00:01Z\"}", 999999, &s), GW_OK);
	assert_int_equal(subject_of("{\"id\":\"k\",\"expires_at\":\"1970-01-01T00:00:01Z\"}", 1000000, &s),
			 GW_E_KEY_EXPIRED);
	assert_int_equal(subject_of("{\"id\":\"k\",\"org\":\"off\"}", 0, &s), GW_E_KEY_DISABLED);
	assert_int_equal(subject_of("{\"id\":\"k\",\"org\":\"acme\",\"team\":\"offteam\"}", 0, &s), GW_E_KEY_DISABLED);
	assert_int_equal(subject_of("{\"id\":\"k\",\"user\":\"offuser\"}", 0, &s), GW_E_KEY_DISABLED);
	assert_int_equal(subject_of("{\"id\":\"k\",\"org\":\"never-was\"}", 0, &s),
			 GW_E_KEY_DISABLED); /* closed when in doubt */
	assert_int_equal(subject_of("{\"id\":\"k\",\"user\":\"never-was\"}", 0, &s), GW_E_KEY_DISABLED);
}

/* Strictness adds up; nothing takes it away again. */
static void strictness(void **st)
{
	static const struct {
		const char *org, *team, *key, *model, *alias, *settings;
		bool is_subject, is_plan;
	} cases[] = {
		{ "", "", "", "", "", "", false, false },         { "true", "", "false", "", "", "", true, false },
		{ "false", "true", "", "", "", "", true, false }, { "", "", "true", "", "", "", true, false },
		{ "", "", "", "true", "false", "", false, true }, { "", "", "", "", "true", "", false, true },
		{ "", "", "", "", "false", "true", false, true },
	};
	(void)st;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text[6] = { cases[i].org,   cases[i].team,  cases[i].key,
					cases[i].model, cases[i].alias, cases[i].settings };
		char more[6][32], obj[6][256];
		struct gw_subject s;
		struct gw_plan p = { 0 };

		for (int k = 0; k < 6; k++)
			snprintf(more[k], sizeof(more[k]), text[k][0] ? ",\"strict\":%s" : "%s", text[k]);
		snprintf(obj[0], 256, "{\"id\":\"so\"%s}", more[0]);
		snprintf(obj[1], 256, "{\"id\":\"st\",\"org\":\"so\"%s}", more[1]);
		snprintf(obj[2], 256, "{\"id\":\"k\",\"org\":\"so\",\"team\":\"st\"%s}", more[2]);
		snprintf(obj[3], 256, "{\"id\":\"sm\",\"name\":\"sm\",\"targets\":[{\"deployment\":\"d2\"}]%s}",
			 more[3]);
		snprintf(obj[4], 256, "{\"id\":\"sa\",\"name\":\"sa\",\"alias_of\":\"sm\"%s}", more[4]);
		snprintf(obj[5], 256, "{\"id\":\"default\"%s}", more[5]);
		give(GW_KIND_org, "so", obj[0]);
		give(GW_KIND_team, "st", obj[1]);
		give(GW_KIND_model, "sm", obj[3]);
		give(GW_KIND_model, "sa", obj[4]);
		give(GW_KIND_settings, "default", obj[5]);
		assert_int_equal(subject_of(obj[2], 0, &s), GW_OK);
		assert_int_equal(s.is_strict, cases[i].is_subject);
		assert_int_equal(gw_plan_resolve(&arena, &rows, &s, GW_LIT("sa"), &p), GW_OK);
		assert_int_equal(p.is_strict, cases[i].is_plan);
	}
}

static void a_plan(void **st)
{
	struct gw_plan p;
	struct gw_candidate *c;

	(void)st;
	assert_int_equal(resolve("{\"id\":\"k\"}", "gpt-4o", &p), GW_OK);
	assert_int_equal(p.generation, 42);
	assert_str(p.model, "m");
	assert_int_equal(p.retries, 2); /* no settings object: the defaults */
	assert_int_equal(p.hold_ms, 3000);
	assert_int_equal(p.n_candidates, 2);
	c = &p.candidates[0];
	assert_str(c->deployment, "d");
	assert_int_equal(c->deployment_version, 9);
	assert_str(c->provider, "p");
	assert_ptr_equal(&gw_providers[c->provider_type], gw_provider_find(GW_LIT("openai")));
	assert_str(c->credential, "c");
	assert_int_equal(c->credential_version, 4);
	assert_int_equal(c->credential_next_version, 5);
	assert_str(c->upstream_model, "gpt-4o-2024");
	assert_str(c->region, "eu");
	assert_int_equal(c->n_prices, 1);
	assert_str(c->prices[0].version, "deployment d@9");
	assert_int_equal(c->prices[0].rates[0].pico, 150000);
	assert_int_equal(c->prices[0].rates[1].pico, 600000);
	assert_true(c->is_probe_needed);
	assert_false(c->is_https);
	assert_str(c->host, "127.0.0.1");
	assert_int_equal(c->port, 9000);
	assert_str(c->base_path, "/v1");
	assert_int_equal(c->allow_private.n, 1);
	assert_str(c->allow_private.v[0], "127.0.0.1/32");
	assert_int_equal(c->connect_ms, 700);
	assert_int_equal(c->total_ms, 1800000);
	assert_int_equal(p.candidates[1].weight, 3);
	assert_int_equal(p.candidates[1].priority, 1);
	assert_int_equal(p.candidates[1].credential.n, 0);
	assert_false(p.candidates[1].is_probe_needed);
	assert_ptr_equal(p.candidates[1].host.p, c->host.p); /* one provider: one copy */
	assert_true(p.candidates[1].policy == c->policy);
	assert_int_equal(resolve("{\"id\":\"k\"}", "gpt-4", &p), GW_E_MODEL_NOT_FOUND);
	assert_int_equal(resolve("{\"id\":\"k\"}", "", &p), GW_E_MODEL_NOT_FOUND);
	assert_int_equal(resolve("{\"id\":\"k\"}", "m", &p), GW_E_MODEL_NOT_FOUND); /* the id is not the name */
}

/* What a plan says about authentication: the provider's own way for keys, the credential's kind, the nearest region. */
static void authentication(void **st)
{
	struct gw_plan p;
	struct gw_candidate *c;

	(void)st;
	assert_int_equal(resolve("{\"id\":\"k\"}", "gpt-4o", &p), GW_OK);
	c = &p.candidates[0];
	assert_int_equal(c->auth, GW_AUTH_BEARER);
	assert_false(c->is_token);
	give(GW_KIND_provider, "p",
	     "{\"id\":\"p\",\"type\":\"openai\",\"base_url\":\"http://127.0.0.1:9000/v1/\",\"auth\":\"header\","
	     "\"auth_name\":\"X-Key\",\"region\":\"us-west-2\",\"project\":\"pr\",\"location\":\"lo\",\"resource\":"
	     "\"re\","
	     "\"api_version\":\"2024-10-21\"}");
	give(GW_KIND_credential, "c",
	     "{\"id\":\"c\",\"provider\":\"p\",\"secret_version\":4,\"region\":\"eu-central-1\"}");
	assert_int_equal(resolve("{\"id\":\"k\"}", "gpt-4o", &p), GW_OK);
	for (uint32_t i = 0; i < 2; i++) { /* the second shares the first's endpoint */
		c = &p.candidates[i];
		assert_int_equal(c->auth, GW_AUTH_HEADER);
		assert_str(c->auth_name, "X-Key");
		assert_str(c->project, "pr");
		assert_str(c->location, "lo");
		assert_str(c->resource, "re");
		assert_str(c->api_version, "2024-10-21");
	}
	assert_str(p.candidates[0].sign_region, "eu"); /* the deployment's own */
	give(GW_KIND_credential, "c",
	     "{\"id\":\"c\",\"provider\":\"p\",\"secret_version\":4,\"type\":\"aws\",\"role_arn\":\"arn:aws:iam::1:"
	     "role/r\"}");
	give(GW_KIND_deployment, "d",
	     "{\"id\":\"d\",\"provider\":\"p\",\"credential\":\"c\",\"upstream_model\":\"x\"}");
	assert_int_equal(resolve("{\"id\":\"k\"}", "gpt-4o", &p), GW_OK);
	c = &p.candidates[0];
	assert_int_equal(c->auth, GW_AUTH_SIGV4);
	assert_int_equal(p.candidates[1].auth, GW_AUTH_HEADER); /* no credential of its own */
	assert_true(c->is_token);
	assert_str(c->sign_region, "us-west-2");
	give(GW_KIND_provider, "p", "{\"id\":\"p\",\"type\":\"openai\"}");
	give(GW_KIND_credential, "c", "{\"id\":\"c\",\"provider\":\"p\",\"type\":\"aws\",\"region\":\"eu-central-1\"}");
	assert_int_equal(resolve("{\"id\":\"k\"}", "gpt-4o", &p), GW_OK);
	assert_str(p.candidates[0].sign_region, "eu-central-1");
	assert_false(p.candidates[0].is_token);
}

static void settings(void **st)
{
	struct gw_plan p;

	(void)st;
	give(GW_KIND_settings, "default",
	     "{\"id\":\"default\",\"retries\":0,\"hold_ms\":10,\"server_timing\":true,\"activation\":\"immediate\"}");
	assert_int_equal(resolve("{\"id\":\"k\"}", "gpt-4o", &p), GW_OK);
	assert_int_equal(p.retries, 0);
	assert_int_equal(p.hold_ms, 10);
	assert_true(p.server_timing);
	assert_false(p.candidates[0].is_probe_needed);
}

static void default_base_url(void **st)
{
	struct gw_plan p;

	(void)st;
	give(GW_KIND_provider, "oai", "{\"id\":\"oai\",\"type\":\"openai\"}");
	give(GW_KIND_deployment, "od",
	     "{\"id\":\"od\",\"provider\":\"oai\",\"upstream_model\":\"m\",\"probe\":\"none\"}");
	give(GW_KIND_model, "om", "{\"id\":\"om\",\"targets\":[{\"deployment\":\"od\"}]}");
	assert_int_equal(resolve("{\"id\":\"k\"}", "om", &p), GW_OK);
	assert_str(p.candidates[0].host, "api.openai.com");
	assert_int_equal(p.candidates[0].port, 443);
	assert_true(p.candidates[0].is_https);
	assert_false(p.candidates[0].is_probe_needed);
}

/* A tenant's model on the platform's deployment is for confd to allow; on another team's or org's: never, whoever wrote it. */
static void foreign_deployments(void **st)
{
	struct gw_plan p;

	(void)st;
	give(GW_KIND_model, "sm", "{\"id\":\"sm\",\"org\":\"acme\",\"targets\":[{\"deployment\":\"d2\"}]}");
	assert_int_equal(resolve("{\"id\":\"k\",\"org\":\"acme\"}", "sm", &p), GW_OK);
	give(GW_KIND_deployment, "d2",
	     "{\"id\":\"d2\",\"provider\":\"p\",\"upstream_model\":\"other\",\"org\":\"acme\",\"team\":\"blue\"}");
	assert_int_equal(resolve("{\"id\":\"k\",\"org\":\"acme\"}", "sm", &p), GW_E_MODEL_DOWN);
	give(GW_KIND_deployment, "d2",
	     "{\"id\":\"d2\",\"provider\":\"p\",\"upstream_model\":\"other\",\"org\":\"rival\"}");
	assert_int_equal(resolve("{\"id\":\"k\",\"org\":\"acme\"}", "sm", &p), GW_E_MODEL_DOWN);
	assert_int_equal(resolve("{\"id\":\"k\"}", "gpt-4o", &p), GW_OK);
	for (uint32_t i = 0; i < p.n_candidates; i++)
		assert_false(gw_str_eq(p.candidates[i].deployment, GW_LIT("d2")));
}

static void tenants(void **st)
{
	struct gw_plan p;

	(void)st;
	give(GW_KIND_deployment, "d2",
	     "{\"id\":\"d2\",\"provider\":\"p\",\"upstream_model\":\"other\",\"activation\":\"immediate\",\"shared\":"
	     "true}");
	give(GW_KIND_model, "om",
	     "{\"id\":\"om\",\"name\":\"gpt-4o\",\"org\":\"acme\",\"targets\":[{\"deployment\":\"d2\"}]}");
	give(GW_KIND_model, "tm",
	     "{\"id\":\"tm\",\"name\":\"gpt-4o\",\"org\":\"acme\",\"team\":\"red\",\"targets\":[{\"deployment\":\"d2\"}"
	     "]}");
	give(GW_KIND_model, "sm",
	     "{\"id\":\"sm\",\"name\":\"secret\",\"org\":\"acme\",\"targets\":[{\"deployment\":\"d2\"}]}");
	assert_int_equal(resolve("{\"id\":\"k\",\"org\":\"acme\",\"team\":\"red\"}", "gpt-4o", &p), GW_OK);
	assert_str(p.model, "tm");
	assert_int_equal(resolve("{\"id\":\"k\",\"org\":\"acme\"}", "gpt-4o", &p), GW_OK);
	assert_str(p.model, "om");
	assert_int_equal(resolve("{\"id\":\"k\"}", "gpt-4o", &p), GW_OK);
	assert_str(p.model, "m");
	assert_int_equal(resolve("{\"id\":\"k\",\"org\":\"acme\"}", "secret", &p), GW_OK);
	assert_int_equal(resolve("{\"id\":\"k\"}", "secret", &p), GW_E_MODEL_NOT_FOUND);
	give(GW_KIND_model, "off",
	     "{\"id\":\"off\",\"name\":\"dark\",\"disabled\":true,\"targets\":[{\"deployment\":\"d2\"}]}");
	assert_int_equal(resolve("{\"id\":\"k\"}", "dark", &p), GW_E_MODEL_NOT_FOUND);
}

static void access_lists(void **st)
{
	struct gw_plan p;
	struct gw_str list[] = { GW_LIT("gpt-4o"), GW_LIT("claude-*") };
	struct gw_strs l = { list, 2 }, empty = { 0 }, all = { (struct gw_str[]){ GW_LIT("*") }, 1 };

	(void)st;
	assert_true(gw_access_list_has(&empty, GW_LIT("x")));
	assert_true(gw_access_list_has(&all, GW_LIT("x")));
	assert_true(gw_access_list_has(&l, GW_LIT("gpt-4o")));
	assert_false(gw_access_list_has(&l, GW_LIT("gpt-4o-mini")));
	assert_true(gw_access_list_has(&l, GW_LIT("claude-")));
	assert_true(gw_access_list_has(&l, GW_LIT("claude-3")));
	assert_false(gw_access_list_has(&l, GW_LIT("claude")));
	give(GW_KIND_team, "lim", "{\"id\":\"lim\",\"org\":\"acme\",\"models\":[\"gpt-4o\"]}");
	give(GW_KIND_model, "r", "{\"id\":\"r\",\"teams\":[\"red\"],\"targets\":[{\"deployment\":\"d\"}]}");
	assert_int_equal(resolve("{\"id\":\"k\",\"models\":[\"gpt-*\"]}", "gpt-4o", &p), GW_OK);
	assert_int_equal(resolve("{\"id\":\"k\",\"models\":[\"other\"]}", "gpt-4o", &p), GW_E_MODEL_DENIED);
	assert_int_equal(resolve("{\"id\":\"k\",\"org\":\"acme\",\"team\":\"lim\"}", "gpt-4o", &p), GW_OK);
	assert_int_equal(resolve("{\"id\":\"k\",\"org\":\"acme\",\"team\":\"lim\",\"models\":[\"x\"]}", "gpt-4o", &p),
			 GW_E_MODEL_DENIED);
	assert_int_equal(resolve("{\"id\":\"k\",\"org\":\"acme\",\"team\":\"lim\"}", "r", &p), GW_E_MODEL_DENIED);
	assert_int_equal(resolve("{\"id\":\"k\",\"org\":\"acme\",\"team\":\"red\"}", "r", &p), GW_OK);
	assert_int_equal(resolve("{\"id\":\"k\"}", "r", &p), GW_E_MODEL_DENIED);
}

static void aliases(void **st)
{
	struct gw_plan p;

	(void)st;
	give(GW_KIND_model, "fast", "{\"id\":\"fast\",\"alias_of\":\"m\"}");
	give(GW_KIND_model, "faster", "{\"id\":\"faster\",\"alias_of\":\"fast\"}");
	give(GW_KIND_model, "a", "{\"id\":\"a\",\"alias_of\":\"b\"}");
	give(GW_KIND_model, "b", "{\"id\":\"b\",\"alias_of\":\"a\"}");
	give(GW_KIND_model, "loose", "{\"id\":\"loose\",\"alias_of\":\"gone\"}");
	give(GW_KIND_model, "r", "{\"id\":\"r\",\"teams\":[\"red\"],\"targets\":[{\"deployment\":\"d\"}]}");
	give(GW_KIND_model, "door", "{\"id\":\"door\",\"alias_of\":\"r\"}");
	give(GW_KIND_model, "theirs", "{\"id\":\"theirs\",\"org\":\"acme\",\"targets\":[{\"deployment\":\"d\"}]}");
	give(GW_KIND_model, "leak", "{\"id\":\"leak\",\"alias_of\":\"theirs\"}");
	assert_int_equal(resolve("{\"id\":\"k\",\"models\":[\"faster\"]}", "faster", &p),
			 GW_OK); /* the name asked for is what is allowed */
	assert_str(p.model, "m");
	assert_int_equal(p.n_candidates, 2);
	assert_int_equal(resolve("{\"id\":\"k\"}", "a", &p), GW_E_MODEL_DOWN);
	assert_int_equal(resolve("{\"id\":\"k\"}", "loose", &p), GW_E_MODEL_NOT_FOUND);
	assert_int_equal(resolve("{\"id\":\"k\"}", "door", &p), GW_E_MODEL_DENIED); /* no way around the other's list */
	assert_int_equal(resolve("{\"id\":\"k\",\"org\":\"acme\",\"team\":\"red\"}", "door", &p), GW_OK);
	assert_int_equal(resolve("{\"id\":\"k\"}", "leak", &p), GW_E_MODEL_NOT_FOUND);
}

static void alias_chains(void **st)
{
	static char json[10][64], id[10][8];
	struct gw_plan p;

	(void)st;
	for (int i = 0; i < 10; i++) { /* s0 -> m, s1 -> s0, ... */
		snprintf(id[i], sizeof(id[i]), "s%d", i);
		snprintf(json[i], sizeof(json[i]), "{\"id\":\"s%d\",\"alias_of\":\"%s\"}", i, i ? id[i - 1] : "m");
		give(GW_KIND_model, id[i], json[i]);
	}
	assert_int_equal(resolve("{\"id\":\"k\"}", "s7", &p), GW_OK); /* 8 steps */
	assert_int_equal(resolve("{\"id\":\"k\"}", "s8", &p), GW_E_MODEL_DOWN);
}

static void left_out(void **st)
{
	struct gw_plan p;

	(void)st;
	give(GW_KIND_deployment, "off",
	     "{\"id\":\"off\",\"provider\":\"p\",\"upstream_model\":\"m\",\"disabled\":true}");
	give(GW_KIND_provider, "poff", "{\"id\":\"poff\",\"type\":\"openai\",\"disabled\":true}");
	give(GW_KIND_deployment, "dpoff", "{\"id\":\"dpoff\",\"provider\":\"poff\",\"upstream_model\":\"m\"}");
	give(GW_KIND_credential, "coff", "{\"id\":\"coff\",\"provider\":\"p\",\"disabled\":true}");
	give(GW_KIND_deployment, "dcoff",
	     "{\"id\":\"dcoff\",\"provider\":\"p\",\"credential\":\"coff\",\"upstream_model\":\"m\"}");
	give(GW_KIND_provider, "evil",
	     "{\"id\":\"evil\",\"type\":\"openai\",\"base_url\":\"https://evil.example/v1\"}");
	give(GW_KIND_deployment, "steal",
	     "{\"id\":\"steal\",\"provider\":\"evil\",\"credential\":\"c\",\"upstream_model\":\"m\"}");
	give(GW_KIND_model, "bad",
	     "{\"id\":\"bad\",\"targets\":[{\"deployment\":\"off\"},{\"deployment\":\"dpoff\"},{\"deployment\":"
	     "\"dcoff\"},"
	     "{\"deployment\":\"steal\"},{\"deployment\":\"never\"}]}");
	give(GW_KIND_model, "half",
	     "{\"id\":\"half\",\"targets\":[{\"deployment\":\"off\"},{\"deployment\":\"d\"},{\"deployment\":\"steal\"}]"
	     "}");
	assert_int_equal(resolve("{\"id\":\"k\"}", "bad", &p), GW_E_MODEL_DOWN);
	assert_int_equal(resolve("{\"id\":\"k\"}", "half", &p), GW_OK);
	assert_int_equal(p.n_candidates, 1);
	assert_str(p.candidates[0].deployment, "d");
	is_corrupt = true; /* damage is told, not taken for absence */
	assert_int_equal(resolve("{\"id\":\"k\"}", "half", &p), GW_E_CORRUPT);
}

static void policy(void **st)
{
	static const char *const variants[] = {
		"{\"id\":\"q\",\"version\":1,\"type\":\"openai\"}",
		"{\"id\":\"q\",\"version\":2,\"type\":\"openai\"}",
		"{\"id\":\"q\",\"version\":1,\"type\":\"openai\",\"ca_pem\":\"A\"}",
		"{\"id\":\"q\",\"version\":1,\"type\":\"openai\",\"ca_pem\":\"B\"}",
		"{\"id\":\"q\",\"version\":1,\"type\":\"openai\",\"allow_private\":[\"10.0.0.0/8\"]}",
	};
	uint64_t seen[N_OF(variants)];

	(void)st;
	give(GW_KIND_deployment, "dq", "{\"id\":\"dq\",\"provider\":\"q\",\"upstream_model\":\"m\"}");
	give(GW_KIND_model, "mq", "{\"id\":\"mq\",\"targets\":[{\"deployment\":\"dq\"}]}");
	give(GW_KIND_provider, "q", variants[0]);
	for (size_t i = 0; i < N_OF(variants); i++) {
		struct gw_plan p;

		objects[n_objects - 1].json = variants[i];
		assert_int_equal(resolve("{\"id\":\"k\"}", "mq", &p), GW_OK);
		seen[i] = p.candidates[0].policy;
		for (size_t k = 0; k < i; k++)
			assert_true(seen[i] != seen[k]);
	}
}

/* Sixteen candidates at sixteen providers with long texts: a plan that does not fit is an error, not a half plan. */
static void ceiling(void **st)
{
	static char prov[16][2048], dep[16][512], ids[16][2][8], targets[1024], cidrs[1024];
	struct gw_plan p;
	size_t n = 0;

	(void)st;
	for (int i = 0; i < 32; i++)
		n += (size_t)snprintf(cidrs + n, sizeof(cidrs) - n, "%s\"10.%d.0.0/16\"", i ? "," : "", i);
	n = (size_t)snprintf(targets, sizeof(targets), "{\"id\":\"big\",\"targets\":[");
	for (int i = 0; i < 16; i++) {
		snprintf(ids[i][0], 8, "p%d", i);
		snprintf(ids[i][1], 8, "e%d", i);
		snprintf(prov[i], sizeof(prov[i]), "{\"id\":\"p%d\",\"type\":\"openai\",\"allow_private\":[%s]}", i,
			 cidrs);
		snprintf(dep[i], sizeof(dep[i]), "{\"id\":\"e%d\",\"provider\":\"p%d\",\"upstream_model\":\"m\"}", i,
			 i);
		give(GW_KIND_provider, ids[i][0], prov[i]);
		give(GW_KIND_deployment, ids[i][1], dep[i]);
		n += (size_t)snprintf(targets + n, sizeof(targets) - n, "%s{\"deployment\":\"e%d\"}", i ? "," : "", i);
	}
	snprintf(targets + n, sizeof(targets) - n, "]}");
	give(GW_KIND_model, "big", targets);
	assert_int_equal(resolve("{\"id\":\"k\"}", "big", &p), GW_E_NOMEM);
	assert_int_equal(p.n_candidates, 0);
	for (int i = 0; i < 16; i++)
		snprintf(prov[i], sizeof(prov[i]), "{\"id\":\"p%d\",\"type\":\"openai\"}", i);
	assert_int_equal(resolve("{\"id\":\"k\"}", "big", &p), GW_OK);
	assert_int_equal(p.n_candidates, 16);
}

/* An arena that fills at any point gives NOMEM. */
static void small_arenas(void **st)
{
	struct gw_subject s;

	(void)st;
	assert_int_equal(subject_of("{\"id\":\"k\"}", 0, &s), GW_OK);
	for (size_t max = 0; max < 4096; max += 16) {
		static char first[4096];
		struct gw_arena a;
		struct gw_plan p = { 0 };
		enum gw_err e;

		gw_arena_init(&a, first, max, max);
		e = gw_plan_resolve(&a, &rows, &s, GW_LIT("gpt-4o"), &p);
		assert_true(e == GW_E_NOMEM || (e == GW_OK && p.n_candidates == 2));
		assert_true(e == GW_OK || max < 3500);
		gw_arena_done(&a);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(subjects),     T(a_plan),           T(strictness),   T(authentication),
		T(settings),     T(default_base_url), T(tenants),      T(foreign_deployments),
		T(access_lists), T(aliases),          T(alias_chains), T(left_out),
		T(policy),       T(ceiling),          T(small_arenas)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
