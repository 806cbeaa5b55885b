#pragma once
#include "admin-cli/cli.h"

/* `llmgwctl import litellm`: what a LiteLLM proxy was told becomes objects of this gateway, in one change. Pure but for the environment:
 *
 *   import.c          ids, the lists, what is told line by line, the objects as JSON
 *   import_litellm.c  the proxy's config.yaml
 *   import_keys.c     rows of its table LiteLLM_VerificationToken
 *   cmd_import.c      files in, diff, question, one call of config:apply
 *
 * Each setting is either carried or told as left out with the reason; nothing is dropped in silence. Secrets go into the objects only. */
enum {
	IMP_PROVIDERS = 256,
	IMP_CREDENTIALS = 512,
	IMP_DEPLOYMENTS = 4096,
	IMP_MODELS = 2048,
	IMP_KEYS = 15000,
	IMP_TARGETS = 16
};
enum { IMP_FALLBACKS = 8, IMP_ID = 64 };

struct imp_provider {
	char id[IMP_ID];
	struct gw_str type, base_url, api_version, project, location, private_range;
	uint64_t total_timeout_ms;
};
struct imp_credential {
	char id[IMP_ID];
	const struct imp_provider *provider;
	struct gw_str from, secret; /* from: what stood in the file, to find the same again */
};
struct imp_deployment {
	char id[IMP_ID];
	const struct imp_provider *provider;
	const struct imp_credential *credential;
	struct gw_str upstream, region;
	uint64_t input_price, output_price, cached_price;
	uint32_t model, weight, order;
};
struct imp_model {
	char id[IMP_ID];
	struct gw_str name, alias_of; /* alias_of: name of another */
	struct gw_str fallbacks[IMP_FALLBACKS];
	uint32_t n_fallbacks;
	bool hidden;
};
struct imp {
	struct cli *c;
	struct gw_arena *a;
	struct gw_str org, team;
	struct imp_provider *providers;
	struct imp_credential *credentials;
	struct imp_deployment *deployments;
	struct imp_model *models;
	uint32_t n_providers, n_credentials, n_deployments, n_models;
	yyjson_val *environment; /* environment_variables of the file */
	yyjson_val *credential_list;
	uint64_t retries, timeout_ms; /* UINT64_MAX, 0 = not said */
	struct gw_json_out told; /* array of { result, what, note } */
	struct gw_buf told_text;
	struct gw_json_out out; /* objects that need no second thought: keys and their owners */
	struct gw_buf out_text;
	uint64_t n_carried, n_left;
	bool has_fault; /* something must be put right first: told as result "error" */
};

bool imp_begin(struct imp *m, struct cli *c); /* out of memory: false */
void imp_done(struct imp *m); /* wipes */
/* A line for the operator. `what` is "model gpt-4o", "general_settings.master_key". */
void imp_carried(struct imp *m, struct gw_str what, const char *note);
void imp_left(struct imp *m, struct gw_str what, const char *note);
void imp_fault(struct imp *m, struct gw_str what, const char *note);
struct gw_str imp_text(struct imp *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Text as an id: lower case, other characters as '-', at most 63. */
void imp_id(char out[IMP_ID], struct gw_str text);
/* The same with "-2", "-3".. behind it until no element of the list (each `size` bytes, id first) has it. */
void imp_unique(char id[IMP_ID], const void *list, size_t size, uint32_t n);
struct gw_str imp_str(yyjson_val *v); /* of a text; NIL otherwise */
bool imp_put_head(struct imp *m, struct gw_json_out *w, const char *kind, const char *id);
/* All objects as a JSON array. settings: the present settings object, or NULL. */
void imp_put_objects(struct imp *m, yyjson_val *settings, struct gw_json_out *w);

void imp_litellm(struct imp *m, yyjson_val *config);
/* Rows as JSON (a list, or an object with one list) or as CSV with a head. False: told why. */
bool imp_keys(struct imp *m, struct gw_str text);
