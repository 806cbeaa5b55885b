#pragma once
#include "lib/crypto.h"
#include "lib/str.h"

/* Virtual keys: "lgw_" + 10 characters public id (base62) + 43 characters base62 (256 bit) + 6 characters CRC-32C (base62).
 * Index of ANY token: HMAC-SHA-256(pepper, SHA-256(token)); tokens of other gateways work by import of their SHA-256. */
enum { GW_KEY_TOKEN_BYTES = 63 };
void gw_key_token(const uint8_t random[40], char out[GW_KEY_TOKEN_BYTES + 1]);
/* For "lgw_" tokens: length and CRC fit (a typo is told apart from an unknown key); true for all other tokens. */
bool gw_key_is_plausible(struct gw_str token);
void gw_key_index(struct gw_hmac *pepper, struct gw_str token, uint8_t index[32]);
void gw_key_index_of_sha256(struct gw_hmac *pepper, const uint8_t sha256[32], uint8_t index[32]);
uint64_t gw_key_revoke_hash(const uint8_t index[32]);
uint64_t gw_cred_revoke_hash(struct gw_str credential_id, uint64_t version);

/* The token out of request headers: `Authorization: Bearer`, `x-api-key`, `api-key`, `x-goog-api-key`; on the paths that allow it also out of
 * the query (`?key=`, as Gemini's clients may send it). Two places with different tokens: GW_E_TWO_KEYS. None: GW_E_NO_KEY. The view is a
 * secret: do not log. */
struct gw_key_headers {
	struct gw_str authorization, x_api_key, api_key, x_goog_api_key;
	struct gw_str query; /* gw_key_of_query, or NIL */
};
enum { GW_KEY_QUERY_BYTES = 512 };
/* The value of `key=` in a query; decoded into `room` where it is encoded, else a view. NIL: there is none, or it is none that could be a key. */
struct gw_str gw_key_of_query(struct gw_str query, char room[GW_KEY_QUERY_BYTES]);
/* Is this pair of a query a key of ours, whatever it is called? Such a one is never passed on. token: the one in use, or NIL. */
bool gw_key_is_in_query(struct gw_str query, struct gw_str token);
GW_MUST enum gw_err gw_key_from_headers(const struct gw_key_headers *h, struct gw_str *token);
