#pragma once
#include "agent/agent.h"
#include "core/token.h"
#include "lib/url.h"

/* One fetch of a token, between its parts: token.c (the question, what came, the answer), token_ask.c (what is asked of STS and OAuth
 * endpoints), token_machine.c (what is asked of the machine, the container and the platform). */

/* One call each; a fetch may need several, one after the other. */
enum step { STS, OAUTH, KEYS, IMDS_TOKEN, IMDS_ROLE, EXCHANGE, IMPERSONATE };

enum { TOKEN_HEADERS = 5, TOKEN_FORM_MAX = 32 << 10, TOKEN_NEAR = 6 };

struct fetch {
	struct gw_agent *ag;
	uint64_t corr;
	enum step step;
	struct gw_arena arena; /* in `block` alone, which is wiped */
	struct gw_token_ask ask;
	struct gw_str secret; /* stored, in the arena */
	struct gw_str base; /* keys that STS is asked with: stored or of the machine; the first token of an exchange */
	struct gw_str imds_token, imds_role;
	struct gw_str ca_pem, body, host, proxy, proxy_credential;
	struct gw_secret *proxy_secret;
	struct gw_strs allow_private;
	bool is_impersonated; /* the token of an exchange is shown for a service account's */
	const char *why; /* static: why it cannot even be asked; NULL = nothing in particular */
	struct gw_up_req *up;
	struct gw_buf reply;
	int status;
	int64_t skew_s; /* the endpoint's clock less ours; 0 = it does not say */
	yyjson_doc *doc;
	char block[192 << 10];
};

struct call {
	struct gw_url url;
	struct gw_str method, path;
	struct gw_up_header h[TOKEN_HEADERS];
	uint32_t n;
	/* Addresses of the machine's own surroundings that may be reached though they are private. Such a call never goes by a proxy. */
	struct gw_str near[TOKEN_NEAR];
	uint32_t n_near;
	bool is_near;
};

void gw_token_add(struct call *c, const char *name, struct gw_str value);
/* Where to: token_url, or the usual place. Without a path of its own the vendor's is used. */
GW_MUST enum gw_err gw_token_aim(struct fetch *f, struct call *c, struct gw_str usual, struct gw_str path);
/* A form into the arena; the buffer is wiped. */
GW_MUST enum gw_err gw_token_keep_body(struct fetch *f, struct gw_buf *b);
/* A small text file that the platform keeps up to date; NIL: none. Its place comes from our environment, never from the configuration. */
struct gw_str gw_token_read_file(struct fetch *f, const char *path);

/* What is asked next, by f->step. Errors: f->why may say more. */
GW_MUST enum gw_err gw_token_ask_call(struct fetch *f, struct call *c);
/* Of the machine (token_machine.c). */
GW_MUST enum gw_err gw_token_ask_machine(struct fetch *f, struct call *c);
GW_MUST enum gw_err gw_token_ask_container(struct fetch *f, struct call *c);
GW_MUST enum gw_err gw_token_ask_app_service(struct fetch *f, struct call *c);
GW_MUST enum gw_err gw_token_ask_federated(struct fetch *f, struct call *c);
GW_MUST enum gw_err gw_token_ask_exchange(struct fetch *f, struct call *c);
/* Folders that hold the files of the platform's identity, for the sandbox. Returns how many; texts are static. */
enum { GW_TOKEN_FOLDERS = 5 };
uint32_t gw_token_folders(const char *out[GW_TOKEN_FOLDERS]);
