#pragma once
#include "core/dialect/id.h"
#include "lib/buf.h"
#include "lib/str.h"

/* Rows of schemas/providers.def. */

/* How a request shows whose it is: what is added to it. HEADER and QUERY are chosen by the provider object, which names them. */
enum gw_auth_kind {
	GW_AUTH_NONE,
	GW_AUTH_BEARER,
	GW_AUTH_X_API_KEY,
	GW_AUTH_API_KEY,
	GW_AUTH_X_GOOG_API_KEY,
	GW_AUTH_QUERY_KEY,
	GW_AUTH_HEADER,
	GW_AUTH_QUERY,
	GW_AUTH_SIGV4
};
/* Kinds of credentials, as bits of a row's `creds`; by word: field credential.type. */
enum gw_cred_bit { GW_CRED_KEY = 1, GW_CRED_AWS = 2, GW_CRED_GCP = 4, GW_CRED_AZURE = 8 };
enum gw_cred_kind { GW_CRED_KIND_KEY, GW_CRED_KIND_AWS, GW_CRED_KIND_GCP, GW_CRED_KIND_AZURE };
/* Words of credential.source: where the base credential comes from. */
enum gw_cred_source { GW_CRED_FROM_SECRET, GW_CRED_FROM_INSTANCE, GW_CRED_FROM_CONTAINER, GW_CRED_FROM_WEB_IDENTITY };
/* Words of provider.auth. */
enum gw_provider_auth {
	GW_PROVIDER_AUTH_DEFAULT,
	GW_PROVIDER_AUTH_BEARER,
	GW_PROVIDER_AUTH_HEADER,
	GW_PROVIDER_AUTH_QUERY,
	GW_PROVIDER_AUTH_NONE
};
/* What vendors of OpenAI's dialect do not take as it is; the dialect's writer heeds them (core/dialect/openai). */
enum gw_provider_quirk {
	GW_Q_NONE = 0,
	GW_Q_MAX_TOKENS = 1 << 0, /* max_completion_tokens is called max_tokens */
	GW_Q_RANDOM_SEED = 1 << 1, /* seed is called random_seed */
	GW_Q_NO_STREAM_OPTIONS = 1 << 2, /* stream_options is refused; usage comes by itself */
	GW_Q_TOOL_ID_9 = 1 << 3, /* ids of calls are nine letters and digits */
	GW_Q_NO_LOGPROBS = 1 << 4, /* logprobs, top_logprobs and logit_bias are refused */
	GW_Q_CHOICE_ANY = 1 << 5, /* tool_choice "required" is called "any" */
	GW_Q_NO_NAMES = 1 << 6, /* messages[].name is refused */
	GW_Q_STRICT_FIELDS =
	    1 << 7, /* every unknown member is refused: only what is common, and the vendor's own, is sent */
	GW_Q_REASONING_BACK = 1 << 8, /* reasoning of earlier turns is taken back, in reasoning_content */
	GW_Q_REASONING_WORD = 1 << 9, /* ... in reasoning */
	GW_Q_TOP_K = 1 << 10, /* top_k is taken */
	GW_Q_CACHE_CONTROL = 1 << 11, /* cache_control of content parts and tools is taken */
	GW_Q_NO_TOOL_CHOICE = 1 << 12, /* tool_choice is refused or not heeded */
	GW_Q_DATA_IMAGES = 1 << 13, /* images only as data URLs */
	GW_Q_ALTERNATE = 1 << 14, /* after the system messages, user and assistant must alternate */
	GW_Q_TOOL_NAME = 1 << 15, /* tool messages carry the function's name */
	GW_Q_PREFIX = 1 << 16, /* an assistant message at the end is marked "prefix": true */
	GW_Q_N_ONE = 1 << 17, /* n must be 1 */
	GW_Q_NO_EFFORT = 1 << 18, /* reasoning_effort is refused */
	GW_Q_JSON_OBJECT = 1 << 19, /* response_format knows json_object but no schema */
	GW_Q_NO_JSON_SCHEMA = 1 << 20, /* Anthropic-shaped, without output_config.format and strict tools */
	GW_Q_NO_PARALLEL = 1 << 21, /* parallel_tool_calls is refused */
	GW_Q_DEPLOYMENT_PATH = 1 << 22, /* calls stand below /{model}/, as those of Azure's deployments do */
	GW_Q_NO_RESPONSES = 1 << 23, /* speaks chat completions, but has no /responses: those are translated */
	GW_Q_GEMINI_JSON_SCHEMA =
	    1 << 24, /* Gemini-shaped; takes JSON Schema itself (parametersJsonSchema, responseJsonSchema) */
	GW_Q_GEMINI_FETCHES_URLS = 1 << 25, /* Gemini-shaped; fetches files of any https address (Vertex AI) */
	GW_Q_CHAT_PATH = 1 << 26 /* chat is at /chat, not /chat/completions */
};
enum {
	/* Those that change what is sent: such a vendor gets a body written for it also from clients of its own dialect. */
	GW_Q_EDITED = (1 << 22) - 1 - GW_Q_REASONING_BACK - GW_Q_REASONING_WORD - GW_Q_TOP_K - GW_Q_CACHE_CONTROL
};
struct gw_provider {
	const char *name, *dialect, *base_url;
	enum gw_dialect_id dialect_id;
	enum gw_auth_kind auth;
	unsigned creds; /* enum gw_cred_bit */
	const char *scope;
	unsigned quirks;
	const char *env, *base_env, *models, *doc;
};
extern const struct gw_provider gw_providers[];
extern const unsigned gw_n_providers;
const struct gw_provider *gw_provider_find(struct gw_str name); /* NULL when there is none */
/* Auth header of a kind: name and the text before the secret ("Authorization", "Bearer "). NIL: the kind is no header, or names its own. */
struct gw_str gw_auth_header_name(enum gw_auth_kind k);
struct gw_str gw_auth_header_prefix(enum gw_auth_kind k);
/* What a credential of this kind adds to requests of a provider of this row, whose object says `auth`. */
enum gw_auth_kind gw_auth_kind_of(const struct gw_provider *row, enum gw_provider_auth auth, enum gw_cred_kind kind);
/* What is leased is not what is stored, but a token or temporary keys that are fetched with it. */
bool gw_cred_is_fetched(enum gw_cred_kind kind, enum gw_cred_source source, struct gw_str role_arn);
/* A header that an operator may choose for the key: a token, none that frames the message or names the host. */
bool gw_auth_is_header_name(struct gw_str name);
/* Fit to stand in a base URL: letters, digits, '-', '.', '_'. */
bool gw_provider_is_place(struct gw_str s);
/* The row that word number i of the config field provider.type names; NULL when there is none. */
const struct gw_provider *gw_provider_by_type(uint32_t i);

/* Path and query of a call: base, what the row puts in between, `tail` ("/chat/completions"), `query` (without "?", may be NIL) and the
 * API's version where the provider object names one. */
void gw_provider_path(const struct gw_provider *row, struct gw_str base, struct gw_str model, struct gw_str api_version,
		      struct gw_str tail, struct gw_str query, struct gw_buf *out);
