/* Tokens: their spelling, that a typo shows, the index (RFC 2104 by hand), and which header wins. */
#include "tests/unit/lib/util.h"

#include "core/key.h"
#include "lib/text.h"

static void spelling(void **st)
{
	uint8_t random[40] = { 0 };
	char token[GW_KEY_TOKEN_BYTES + 1];

	(void)st;
	gw_key_token(random, token);
	assert_int_equal(strlen(token), GW_KEY_TOKEN_BYTES);
	assert_memory_equal(token,
			    "lgw_0000000000"
			    "0000000000000000000000000000000000000000000",
			    57);
	memset(random, 0xff, sizeof(random));
	gw_key_token(random, token);
	/* (2^64 - 1) mod 62^10, 2^256 - 1 and the CRC, computed in Python */
	assert_string_equal(token, "lgw_ygHa16AHYFyhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp13qZWHZ");
	for (int i = 0; i < GW_KEY_TOKEN_BYTES; i++)
		assert_non_null(strchr("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_", token[i]));
}

/* The 43 digits read as a number give the 32 random bytes again: all 256 bits are in the token. */
static void keeps_all_bits(void **st)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	(void)st;
	for (int round = 0; round < 200; round++) {
		uint8_t random[40], back[32] = { 0 };
		char token[GW_KEY_TOKEN_BYTES + 1];

		for (size_t i = 0; i < sizeof(random); i++)
			random[i] = (uint8_t)rng();
		gw_key_token(random, token);
		for (int i = 14; i < 14 + 43; i++) {
			unsigned carry = (unsigned)(strchr(digits, token[i]) - digits);

			for (int k = 31; k >= 0; k--) {
				unsigned v = back[k] * 62u + carry;

				back[k] = (uint8_t)v;
				carry = v >> 8;
			}
			assert_int_equal(carry, 0);
		}
		assert_memory_equal(back, random + 8, 32);
	}
}

static void typos_show(void **st)
{
	uint8_t random[40];
	char token[GW_KEY_TOKEN_BYTES + 1];
	unsigned missed = 0;

	(void)st;
	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)(i * 7);
	gw_key_token(random, token);
	assert_true(gw_key_is_plausible(gw_str_z(token)));
	for (int i = 4; i < GW_KEY_TOKEN_BYTES; i++) { /* one wrong character, two swapped */
		char was = token[i];

		token[i] = was == 'a' ? 'b' : 'a';
		missed += gw_key_is_plausible(gw_str_z(token));
		token[i] = was;
		if (i + 1 < GW_KEY_TOKEN_BYTES && token[i] != token[i + 1]) {
			token[i] = token[i + 1];
			token[i + 1] = was;
			missed += gw_key_is_plausible(gw_str_z(token));
			token[i + 1] = token[i];
			token[i] = was;
		}
	}
	assert_int_equal(missed, 0);
	assert_true(gw_key_is_plausible(gw_str_z(token)));
	assert_false(gw_key_is_plausible(gw_str(token, GW_KEY_TOKEN_BYTES - 1)));
	assert_false(gw_key_is_plausible(GW_LIT("lgw_")));
	assert_true(gw_key_is_plausible(GW_LIT("sk-imported-from-elsewhere")));
	assert_true(gw_key_is_plausible(GW_LIT("")));
}

static void index_is_hmac_of_sha(void **st)
{
	struct gw_secret *pepper = gw_secret_new("0123456789abcdef0123456789abcdef", 32);
	struct gw_hmac *h = gw_hmac_new(pepper);
	uint8_t sha[32], want[32], got[32];
	struct gw_str token = GW_LIT("sk-some-token");

	(void)st;
	gw_sha256(token, sha);
	gw_hmac_sha256(GW_LIT("0123456789abcdef0123456789abcdef"), gw_str((char *)sha, 32), want);
	gw_key_index(h, token, got);
	assert_memory_equal(got, want, 32);
	memset(got, 0, 32);
	gw_key_index_of_sha256(h, sha, got);
	assert_memory_equal(got, want, 32);
	assert_int_equal(gw_key_revoke_hash((const uint8_t *)"\x01\x02\x03\x04\x05\x06\x07\x08 and more of it 1234567"),
			 0x0102030405060708);
	gw_hmac_free(h);
	gw_secret_unref(pepper);
}

static void credential_hash(void **st)
{
	uint8_t sha[32];
	uint64_t want = 0;

	(void)st;
	gw_sha256(GW_LIT("cred:openai-main:18446744073709551615"), sha);
	for (int i = 0; i < 8; i++)
		want = want << 8 | sha[i];
	assert_true(gw_cred_revoke_hash(GW_LIT("openai-main"), UINT64_MAX) == want);
	gw_sha256(GW_LIT("cred:a:0"), sha);
	assert_int_equal(gw_cred_revoke_hash(GW_LIT("a"), 0) >> 56, sha[0]);
	assert_true(gw_cred_revoke_hash(GW_LIT("a"), 1) != gw_cred_revoke_hash(GW_LIT("a"), 2));
}

static void expect(const char *auth, const char *x, const char *api, const char *goog, enum gw_err err,
		   const char *token)
{
	struct gw_key_headers h = { gw_str_z(auth), gw_str_z(x), gw_str_z(api), gw_str_z(goog), GW_NIL };
	struct gw_str got = GW_NIL;

	assert_int_equal(gw_key_from_headers(&h, &got), err);
	if (!err)
		assert_str(got, token);
	else
		assert_null(got.p);
}

static void headers(void **st)
{
	(void)st;
	expect("Bearer abc", NULL, NULL, NULL, GW_OK, "abc");
	expect("bearer   abc ", NULL, NULL, NULL, GW_OK, "abc");
	expect(NULL, "abc", NULL, NULL, GW_OK, "abc");
	expect(NULL, NULL, "abc", NULL, GW_OK, "abc");
	expect(NULL, NULL, NULL, "abc", GW_OK, "abc");
	expect("Bearer abc", "abc", "abc", "abc", GW_OK, "abc");
	expect("Bearer abc", "abd", NULL, NULL, GW_E_TWO_KEYS, NULL);
	expect(NULL, "abc", NULL, "abcd", GW_E_TWO_KEYS, NULL);
	expect(NULL, NULL, NULL, NULL, GW_E_NO_KEY, NULL);
	expect("", "", "", "", GW_E_NO_KEY, NULL);
	expect("Bearer ", NULL, NULL, NULL, GW_E_NO_KEY, NULL);
	expect("Bearer", NULL, NULL, NULL, GW_E_NO_KEY, NULL);
	expect("Basic dXNlcg==", NULL, NULL, NULL, GW_E_NO_KEY, NULL);
	expect("Basic dXNlcg==", "abc", NULL, NULL, GW_OK, "abc");
	expect("Bearer a b", NULL, NULL, NULL, GW_E_BAD_KEY, NULL);
	expect("Bearer \xc3\xa9", NULL, NULL, NULL, GW_E_BAD_KEY, NULL);
}

static void expect_query(const char *query, const char *key)
{
	char room[GW_KEY_QUERY_BYTES];
	struct gw_str got = gw_key_of_query(gw_str_z(query), room);

	assert_int_equal(got.n, strlen(key));
	if (got.n)
		assert_memory_equal(got.p, key, got.n);
}

static void in_the_query(void **st)
{
	struct gw_key_headers h = { .query = GW_LIT("a"), .x_goog_api_key = GW_LIT("a") };
	char many[2048] = "key=%41";
	struct gw_str token;

	(void)st;
	expect_query("", "");
	expect_query("key=", "");
	expect_query("alt=sse&key=lgw_1", "lgw_1");
	expect_query("key=sk-%2Fx%2B", "sk-/x+");
	expect_query("key=%zz", "%"); /* nobody's, and not none */
	expect_query("KEY=a&xkey=b", "");
	memset(many + 7, 'a', sizeof(many) - 8);
	expect_query(many, "%");
	assert_int_equal(gw_key_from_headers(&h, &token), GW_OK);
	h.query = GW_LIT("b");
	assert_int_equal(gw_key_from_headers(&h, &token), GW_E_TWO_KEYS);
	assert_true(gw_key_is_in_query(GW_LIT("a=1&key=lgw_x"), GW_NIL));
	assert_true(gw_key_is_in_query(GW_LIT("key=sk%2D1"), GW_LIT("sk-1")));
	assert_false(gw_key_is_in_query(GW_LIT("key=other"), GW_LIT("sk-1")));
	assert_false(gw_key_is_in_query(GW_LIT("a=lgw_x"), GW_LIT("sk-1")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spelling),        cmocka_unit_test(keeps_all_bits),
		cmocka_unit_test(typos_show),      cmocka_unit_test(index_is_hmac_of_sha),
		cmocka_unit_test(credential_hash), cmocka_unit_test(headers),
		cmocka_unit_test(in_the_query),
	};

	if (gw_crypto_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
