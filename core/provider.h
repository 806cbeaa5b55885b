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
/* What vendors of a dialect do not take as it is; the dialects' writers heed them. */
#define GW_Q_NONE              UINT64_C(0)
#define GW_Q_BIT(n)            (UINT64_C(1) << (n))
#define GW_Q_MAX_TOKENS        GW_Q_BIT(0) /* max_completion_tokens is called max_tokens */
#define GW_Q_RANDOM_SEED       GW_Q_BIT(1) /* seed is called random_seed */
#define GW_Q_NO_STREAM_OPTIONS GW_Q_BIT(2) /* stream_options is refused; usage comes by itself */
#define GW_Q_TOOL_ID_9         GW_Q_BIT(3) /* ids of calls are nine letters and digits */
#define GW_Q_NO_LOGPROBS       GW_Q_BIT(4) /* logprobs, top_logprobs and logit_bias are refused */
#define GW_Q_CHOICE_ANY        GW_Q_BIT(5) /* tool_choice "required" is called "any" */
#define GW_Q_NO_NAMES          GW_Q_BIT(6) /* messages[].name is refused */
#define GW_Q_STRICT_FIELDS                                                                                             \
	GW_Q_BIT(7) /* unknown members are refused: only what is common, and the vendor's own, is sent */
#define GW_Q_REASONING_BACK  GW_Q_BIT(8) /* reasoning of earlier turns is taken back, in reasoning_content */
#define GW_Q_REASONING_WORD  GW_Q_BIT(9) /* ... in reasoning */
#define GW_Q_TOP_K           GW_Q_BIT(10) /* top_k is taken */
#define GW_Q_CACHE_CONTROL   GW_Q_BIT(11) /* cache_control of content parts and tools is taken */
#define GW_Q_NO_TOOL_CHOICE  GW_Q_BIT(12) /* tool_choice is refused or not heeded */
#define GW_Q_DATA_IMAGES     GW_Q_BIT(13) /* images only as data URLs */
#define GW_Q_ALTERNATE       GW_Q_BIT(14) /* after the system messages, user and assistant must alternate */
#define GW_Q_TOOL_NAME       GW_Q_BIT(15) /* tool messages carry the function's name */
#define GW_Q_PREFIX          GW_Q_BIT(16) /* an assistant message at the end is marked "prefix": true */
#define GW_Q_N_ONE           GW_Q_BIT(17) /* n must be 1 */
#define GW_Q_NO_EFFORT       GW_Q_BIT(18) /* reasoning_effort is refused */
#define GW_Q_JSON_OBJECT     GW_Q_BIT(19) /* response_format knows json_object but no schema */
#define GW_Q_NO_JSON_SCHEMA  GW_Q_BIT(20) /* Anthropic-shaped, without output_config.format and strict tools */
#define GW_Q_NO_PARALLEL     GW_Q_BIT(21) /* parallel_tool_calls is refused */
#define GW_Q_DEPLOYMENT_PATH GW_Q_BIT(22) /* calls stand below /{model}/, as those of Azure's deployments do */
#define GW_Q_NO_RESPONSES    GW_Q_BIT(23) /* speaks chat completions, but has no /responses: those are translated */
#define GW_Q_GEMINI_JSON_SCHEMA                                                                                        \
	GW_Q_BIT(24) /* Gemini-shaped; takes JSON Schema itself (parametersJsonSchema, responseJsonSchema) */
#define GW_Q_GEMINI_FETCHES_URLS GW_Q_BIT(25) /* Gemini-shaped; fetches files of any https address (Vertex AI) */
#define GW_Q_CHAT_PATH           GW_Q_BIT(26) /* chat is at /chat, not /chat/completions */
#define GW_Q_NO_DEVELOPER        GW_Q_BIT(27) /* the role developer is not known; it is told as system */
#define GW_Q_BRIDGE              GW_Q_BIT(28) /* a user message may not follow a tool message; the assistant says "." between */
#define GW_Q_REASONING_LOOP      GW_Q_BIT(29) /* ... taken back only since the user spoke last: of the tool loop under way */
#define GW_Q_REASONING_PARTS     GW_Q_BIT(30) /* reasoning goes back as a thinking part of the content */
#define GW_Q_REASONING_DETAILS   GW_Q_BIT(31) /* reasoning goes back in reasoning_details, with its signature */
#define GW_Q_THINKING_TYPE       GW_Q_BIT(32) /* reasoning is switched by "thinking": {"type": "enabled"|"disabled"} */
#define GW_Q_ENABLE_THINKING     GW_Q_BIT(33) /* reasoning is switched by enable_thinking, with thinking_budget */
#define GW_Q_EFFORT_3            GW_Q_BIT(34) /* reasoning_effort knows low, medium and high alone */
#define GW_Q_NO_CUSTOM           GW_Q_BIT(35) /* custom tools are not known: they are told as functions of one text */
#define GW_Q_NO_COMPLETIONS      GW_Q_BIT(36) /* has no /completions: those are asked as chats */
#define GW_Q_PLAIN_HISTORY                                                                                             \
	GW_Q_BIT(37) /* messages with members that the API does not name are refused: reasoning, others' signatures */
#define GW_Q_ALL (GW_Q_BIT(38) - 1) /* each has a case in tests/unit/core/dialect/quirks_test.c */
/* Those that change what is sent or read: such a vendor gets a body written for it also from clients of its own dialect. */
#define GW_Q_EDITED                                                                                                    \
	(GW_Q_MAX_TOKENS | GW_Q_RANDOM_SEED | GW_Q_NO_STREAM_OPTIONS | GW_Q_TOOL_ID_9 | GW_Q_NO_LOGPROBS |             \
	 GW_Q_CHOICE_ANY | GW_Q_NO_NAMES | GW_Q_STRICT_FIELDS | GW_Q_NO_TOOL_CHOICE | GW_Q_DATA_IMAGES |               \
	 GW_Q_ALTERNATE | GW_Q_TOOL_NAME | GW_Q_PREFIX | GW_Q_N_ONE | GW_Q_NO_EFFORT | GW_Q_JSON_OBJECT |              \
	 GW_Q_NO_PARALLEL | GW_Q_BRIDGE | GW_Q_REASONING_LOOP | GW_Q_REASONING_PARTS)
struct gw_provider {
	const char *name, *dialect, *base_url;
	enum gw_dialect_id dialect_id;
	enum gw_auth_kind auth;
	unsigned creds; /* enum gw_cred_bit */
	const char *scope;
	uint64_t quirks;
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
/* Vertex AI's host for a location: of a region, of "global", of the multi-regions "us" and "eu". At most GW_LOCATION_HOST bytes; how many. */
enum { GW_LOCATION_HOST = 96 };
size_t gw_provider_location_host(struct gw_str location, char out[GW_LOCATION_HOST]);
/* Looks like a region of a cloud: us-east-1, europe-west4. */
bool gw_provider_is_region(struct gw_str s);
/* Fit to stand in a base URL: letters, digits, '-', '.', '_'. */
bool gw_provider_is_place(struct gw_str s);
/* The row that word number i of the config field provider.type names; NULL when there is none. */
const struct gw_provider *gw_provider_by_type(uint32_t i);

/* Path and query of a call: base, what the row puts in between, `tail` ("/chat/completions"), `query` (without "?", may be NIL) and the
 * API's version where the provider object names one. */
void gw_provider_path(const struct gw_provider *row, struct gw_str base, struct gw_str model, struct gw_str api_version,
		      struct gw_str tail, struct gw_str query, struct gw_buf *out);
