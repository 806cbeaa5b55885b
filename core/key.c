/* Virtual keys: the spelling of our own tokens, the index under which any token is found, and the token in request headers.
 * A token carries 256 random bits behind a public id and ends with a checksum, so that a typo is told apart from an unknown key. */
#include "core/key.h"

#include "lib/text.h"
#include "lib/url.h"

enum { ID_DIGITS = 10, SECRET_DIGITS = 43, CRC_DIGITS = 6, PREFIX = 4, MAX_TOKEN = 512 };
_Static_assert(PREFIX + ID_DIGITS + SECRET_DIGITS + CRC_DIGITS == GW_KEY_TOKEN_BYTES, "the parts of a token");

static const char digits62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* The lowest n base-62 digits of the big-endian number of `len` bytes, most significant first; destroys the number. */
static void put_base62(uint8_t *number, size_t len, char *out, int n)
{
	for (int i = n - 1; i >= 0; i--) {
		unsigned rest = 0;

		for (size_t j = 0; j < len; j++) {
			unsigned v = rest << 8 | number[j];

			number[j] = (uint8_t)(v / 62);
			rest = v % 62;
		}
		out[i] = digits62[rest];
	}
}

static void put_crc(const char *text, size_t n, char out[CRC_DIGITS])
{
	uint32_t crc = gw_crc32c(0, text, n);
	uint8_t be[4] = { (uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc };

	put_base62(be, sizeof(be), out, CRC_DIGITS);
}

void gw_key_token(const uint8_t random[40], char out[GW_KEY_TOKEN_BYTES + 1])
{
	uint8_t number[32];

	memcpy(out, "lgw_", PREFIX);
	memcpy(number, random, 8);
	put_base62(number, 8, out + PREFIX, ID_DIGITS);
	memcpy(number, random + 8, 32);
	put_base62(number, 32, out + PREFIX + ID_DIGITS, SECRET_DIGITS);
	put_crc(out, GW_KEY_TOKEN_BYTES - CRC_DIGITS, out + GW_KEY_TOKEN_BYTES - CRC_DIGITS);
	out[GW_KEY_TOKEN_BYTES] = '\0';
	gw_wipe(number, sizeof(number));
}

bool gw_key_is_plausible(struct gw_str token)
{
	char crc[CRC_DIGITS];

	if (!gw_str_has_prefix(token, GW_LIT("lgw_")))
		return true;
	if (token.n != GW_KEY_TOKEN_BYTES)
		return false;
	put_crc(token.p, GW_KEY_TOKEN_BYTES - CRC_DIGITS, crc);
	return memcmp(crc, token.p + GW_KEY_TOKEN_BYTES - CRC_DIGITS, CRC_DIGITS) == 0;
}

void gw_key_index_of_sha256(struct gw_hmac *pepper, const uint8_t sha256[32], uint8_t index[32])
{
	gw_hmac_once(pepper, gw_str((const char *)sha256, 32), index);
}

void gw_key_index(struct gw_hmac *pepper, struct gw_str token, uint8_t index[32])
{
	uint8_t sha[32];

	gw_sha256(token, sha);
	gw_key_index_of_sha256(pepper, sha, index);
	gw_wipe(sha, sizeof(sha));
}

static uint64_t first_8(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

uint64_t gw_key_revoke_hash(const uint8_t index[32])
{
	return first_8(index);
}

uint64_t gw_cred_revoke_hash(struct gw_str credential_id, uint64_t version)
{
	char text[256];
	size_t n = 0, at = sizeof(text);
	uint8_t sha[32];

	GW_REQUIRE(credential_id.n <= 200);
	memcpy(text, "cred:", 5);
	n = 5;
	if (credential_id.n)
		memcpy(text + n, credential_id.p, credential_id.n);
	n += credential_id.n;
	text[n++] = ':';
	do { /* decimal, from the end of the room */
		text[--at] = (char)('0' + version % 10);
		version /= 10;
	} while (version);
	memmove(text + n, text + at, sizeof(text) - at);
	gw_sha256(gw_str(text, n + sizeof(text) - at), sha);
	return first_8(sha);
}

/* ---- headers ---- */

/* What an HTTP header can carry as one token. */
static bool is_token(struct gw_str s)
{
	uint8_t bad = s.n < 1 || s.n > MAX_TOKEN;

	for (size_t i = 0; i < s.n; i++) /* without a way out, so that it is done many at once */
		bad |= (uint8_t)(s.p[i] - '!') > '~' - '!';
	return !bad;
}

/* Another scheme (Basic, ...) is no key. */
static struct gw_str bearer(struct gw_str header)
{
	struct gw_str h = gw_str_trim(header);

	if (h.n > 7 && gw_str_ieq(gw_str(h.p, 7), GW_LIT("bearer ")))
		return gw_str_trim(gw_str_skip(h, 7));
	return GW_NIL;
}

struct gw_str gw_key_of_query(struct gw_str query, char room[GW_KEY_QUERY_BYTES])
{
	struct gw_str value = GW_NIL;
	struct gw_buf b;

	if (!gw_query_get(query, GW_LIT("key"), &value) || value.n == 0)
		return GW_NIL;
	if (gw_str_find(value, '%') == value.n)
		return value;
	gw_buf_init(&b, GW_KEY_QUERY_BYTES);
	if (!gw_url_decode(&b, value) || b.err || b.n == 0 || b.n > GW_KEY_QUERY_BYTES) {
		value = GW_LIT("%"); /* there is one, and it is nobody's */
	} else {
		memcpy(room, b.p, b.n);
		value = gw_str(room, b.n);
		gw_wipe(b.p, b.n);
	}
	gw_buf_done(&b);
	return value;
}

bool gw_key_is_in_query(struct gw_str query, struct gw_str token)
{
	char room[GW_KEY_QUERY_BYTES];
	struct gw_str value = gw_key_of_query(query, room);
	bool is = value.n && (gw_str_has_prefix(value, GW_LIT("lgw_")) || (token.n && gw_str_eq(value, token)));

	gw_wipe(room, sizeof(room));
	return is;
}

enum gw_err gw_key_from_headers(const struct gw_key_headers *h, struct gw_str *token)
{
	struct gw_str all[5] = { bearer(h->authorization), gw_str_trim(h->x_api_key), gw_str_trim(h->api_key),
				 gw_str_trim(h->x_goog_api_key), h->query };
	struct gw_str found = GW_NIL;

	for (int i = 0; i < 5; i++) {
		if (all[i].n == 0)
			continue;
		if (found.n && !gw_str_eq(found, all[i]))
			return GW_E_TWO_KEYS;
		found = all[i];
	}
	if (found.n == 0)
		return GW_E_NO_KEY;
	if (!is_token(found))
		return GW_E_BAD_KEY;
	*token = found;
	return GW_OK;
}
