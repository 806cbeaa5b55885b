/* Our names over PSA: known answers, the Wycheproof vectors, and that nothing altered is ever accepted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <yyjson.h>

#include "lib/crypto.h"
#include "lib/text.h"

static void hex(const char *text, uint8_t *out, size_t n)
{
	assert_true(gw_hex_read(gw_str_z(text), out, n));
}

static void expect_hex(const uint8_t *got, const char *text)
{
	uint8_t want[256];
	size_t n = strlen(text) / 2;

	hex(text, want, n);
	assert_memory_equal(got, want, n);
}

/* FIPS 180-4 example values. */
static void test_sha256(void **state)
{
	struct gw_sha256_ctx c;
	uint8_t out[32];

	(void)state;
	gw_sha256(GW_LIT("abc"), out);
	expect_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	gw_sha256(GW_NIL, out);
	expect_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	gw_sha256_start(&c);
	gw_sha256_add(&c, "abcdbcdecdefdefgefghfghighijhi", 30);
	gw_sha256_add(&c, "", 0);
	gw_sha256_add(&c, "jkijkljklmklmnlmnomnopnopq", 26);
	gw_sha256_end(&c, out);
	expect_hex(out, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

/* RFC 4231 cases 1, 2, 6 (key longer than a block). */
static void test_hmac(void **state)
{
	struct gw_secret *key;
	struct gw_hmac *h;
	char k[131];
	uint8_t out[32];

	(void)state;
	memset(k, 0x0b, 20);
	gw_hmac_sha256(gw_str(k, 20), GW_LIT("Hi There"), out);
	expect_hex(out, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	memset(k, 0xaa, 131);
	gw_hmac_sha256(gw_str(k, 131), GW_LIT("Test Using Larger Than Block-Size Key - Hash Key First"), out);
	expect_hex(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	key = gw_secret_new("Jefe", 4);
	h = gw_hmac_new(key);
	for (int i = 0; i < 3; i++) { /* the prepared key is not used up */
		gw_hmac_once(h, GW_LIT("what do ya want for nothing?"), out);
		expect_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	}
	gw_hmac_free(h);
	gw_hmac_free(NULL);
	gw_secret_unref(key);
}

/* RFC 7914 11, and a count that needs the loop (checked with Python's hashlib). */
static void test_pbkdf2(void **state)
{
	struct gw_secret *a = gw_secret_new("passwd", 6), *b = gw_secret_new("password", 8);
	uint8_t out[32];

	(void)state;
	gw_pbkdf2_sha256(a, GW_LIT("salt"), 1, out);
	expect_hex(out, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
	gw_pbkdf2_sha256(b, GW_LIT("saltsaltsaltsalt"), 600000, out);
	expect_hex(out, "3257cf76e56a9cc4e3afa561c3fd4daa6952b61e91c4e365955121042cfb94a2");
	gw_secret_unref(a);
	gw_secret_unref(b);
}

static void test_hkdf_bounds(void **state)
{
	static uint8_t out[8161];

	(void)state;
	assert_int_equal(gw_hkdf_sha256(GW_LIT("key"), GW_NIL, GW_NIL, out, 8160), GW_OK);
	assert_int_equal(gw_hkdf_sha256(GW_LIT("key"), GW_NIL, GW_NIL, out, 8161), GW_E_INVALID);
	assert_int_equal(gw_hkdf_sha256(GW_LIT("key"), GW_NIL, GW_NIL, out, 0), GW_E_INVALID);
}

static void test_aead_round_trip(void **state)
{
	static const uint8_t nonce[12] = "unique nonce";
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 1000, 65536 };
	static char plain[65536];
	struct gw_secret *key;
	uint8_t k[32];

	(void)state;
	gw_random(k, sizeof(k));
	gw_random(plain, sizeof(plain));
	key = gw_secret_new(k, 32);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct gw_secret *opened = NULL;
		struct gw_buf b;

		gw_buf_init(&b, 1 << 20);
		assert_int_equal(gw_aead_seal(key, nonce, GW_LIT("who"), gw_str(plain, sizes[i]), &b), GW_OK);
		assert_int_equal(b.n, sizes[i] + 16);
		assert_int_equal(gw_aead_open(key, nonce, GW_LIT("who"), gw_buf_view(&b), &opened), GW_OK);
		assert_true(gw_str_eq(gw_secret_expose(opened), gw_str(plain, sizes[i])));
		gw_secret_unref(opened);
		gw_buf_done(&b);
	}
	gw_secret_unref(key);
	assert_int_equal(gw_secret_alive(), 0);
}

/* Any bit anywhere: sealed bytes, nonce, associated data, key; and any shorter record. */
static void test_aead_refuses_changes(void **state)
{
	uint8_t nonce[12] = "unique nonce", k[32] = "another key of thirty-two bytes";
	char aad[] = "tenant/credential/7", text[] = "sk-the-secret-value-of-a-provider-account";
	struct gw_secret *key = gw_secret_new(k, 32), *opened = NULL, *short_key = gw_secret_new(k, 16);
	struct gw_str with = { aad, sizeof(aad) };
	struct gw_buf b;

	(void)state;
	gw_buf_init(&b, 1000);
	assert_int_equal(gw_aead_seal(key, nonce, with, gw_str(text, sizeof(text)), &b), GW_OK);
	for (size_t i = 0; i < b.n * 8; i++) {
		b.p[i / 8] ^= (char)(1u << (i % 8));
		assert_int_equal(gw_aead_open(key, nonce, with, gw_buf_view(&b), &opened), GW_E_CRYPTO);
		b.p[i / 8] ^= (char)(1u << (i % 8));
	}
	for (size_t i = 0; i < sizeof(nonce) * 8; i++) {
		nonce[i / 8] ^= (uint8_t)(1u << (i % 8));
		assert_int_equal(gw_aead_open(key, nonce, with, gw_buf_view(&b), &opened), GW_E_CRYPTO);
		nonce[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
	for (size_t i = 0; i < sizeof(aad) * 8; i++) {
		aad[i / 8] ^= (char)(1u << (i % 8));
		assert_int_equal(gw_aead_open(key, nonce, with, gw_buf_view(&b), &opened), GW_E_CRYPTO);
		aad[i / 8] ^= (char)(1u << (i % 8));
	}
	for (size_t i = 0; i < sizeof(k) * 8; i++) {
		struct gw_secret *other;

		k[i / 8] ^= (uint8_t)(1u << (i % 8));
		other = gw_secret_new(k, 32);
		assert_int_equal(gw_aead_open(other, nonce, with, gw_buf_view(&b), &opened), GW_E_CRYPTO);
		gw_secret_unref(other);
		k[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(gw_aead_open(key, nonce, with, gw_str(b.p, n), &opened), GW_E_CRYPTO);
	assert_int_equal(gw_aead_open(short_key, nonce, with, gw_buf_view(&b), &opened), GW_E_CRYPTO);
	assert_null(opened); /* untouched all the time */
	assert_int_equal(gw_aead_open(key, nonce, with, gw_buf_view(&b), &opened), GW_OK);
	gw_secret_unref(opened);
	gw_secret_unref(key);
	gw_secret_unref(short_key);
	gw_buf_done(&b);
	assert_int_equal(gw_secret_alive(), 0);
}

static void test_signatures(void **state)
{
	struct gw_secret *k = NULL, *bad;
	uint8_t pub[65], other_pub[65], hash[32] = { 1 }, sig[64];
	struct gw_signer *s = NULL, *other = NULL;

	(void)state;
	assert_int_equal(gw_signer_make(&k), GW_OK);
	assert_int_equal(gw_secret_len(k), 32);
	assert_int_equal(gw_signer_new(k, &s), GW_OK);
	gw_secret_unref(k);
	assert_int_equal(gw_signer_make(&k), GW_OK);
	assert_int_equal(gw_signer_new(k, &other), GW_OK);
	gw_secret_unref(k);
	gw_signer_public(s, pub);
	gw_signer_public(other, other_pub);
	assert_int_equal(pub[0], 4);
	assert_memory_not_equal(pub, other_pub, 65);
	assert_int_equal(gw_sign(s, hash, sig), GW_OK);
	assert_true(gw_verify(pub, hash, sig));
	assert_false(gw_verify(other_pub, hash, sig));
	for (size_t i = 0; i < 64; i++) {
		sig[i] ^= (uint8_t)(1u << (i % 8));
		assert_false(gw_verify(pub, hash, sig));
		sig[i] ^= (uint8_t)(1u << (i % 8));
	}
	for (size_t i = 0; i < 32; i += 5) {
		hash[i] ^= 0x40;
		assert_false(gw_verify(pub, hash, sig));
		hash[i] ^= 0x40;
	}
	memset(pub + 1, 0, 64); /* not on the curve */
	assert_false(gw_verify(pub, hash, sig));
	memset(sig, 0, 64);
	assert_false(gw_verify(other_pub, hash, sig));
	bad = gw_secret_new("short", 5);
	assert_int_equal(gw_signer_new(bad, &other), GW_E_CRYPTO);
	gw_secret_unref(bad);
	bad = gw_secret_new(sig, 32); /* zero is no private key */
	assert_int_equal(gw_signer_new(bad, &other), GW_E_CRYPTO);
	gw_secret_unref(bad);
	gw_signer_free(s);
	gw_signer_free(other);
	assert_int_equal(gw_secret_alive(), 0);
}

/* RFC 6979 A.2.5: P-256, SHA-256, message "sample". The deterministic form gives these very bytes. */
static void test_signature_known_answer(void **state)
{
	uint8_t k[32], pub[65], hash[32], sig[64];
	struct gw_secret *key;
	struct gw_signer *s = NULL;

	(void)state;
	hex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721", k, 32);
	key = gw_secret_new(k, 32);
	assert_int_equal(gw_signer_new(key, &s), GW_OK);
	gw_secret_unref(key);
	gw_signer_public(s, pub);
	expect_hex(pub, "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
			"7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
	gw_sha256(GW_LIT("sample"), hash);
	assert_int_equal(gw_sign(s, hash, sig), GW_OK);
	expect_hex(sig, "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
			"f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
	gw_signer_free(s);
}

static void test_equal_and_random(void **state)
{
	uint8_t a[64], b[64], zero[64] = { 0 };

	(void)state;
	gw_random(a, sizeof(a));
	memcpy(b, a, sizeof(b));
	assert_true(gw_ct_eq(a, b, 64) && gw_ct_eq(a, zero, 0));
	for (size_t i = 0; i < 64; i++) {
		b[i] ^= 1;
		assert_false(gw_ct_eq(a, b, 64));
		b[i] ^= 1;
	}
	gw_random(b, sizeof(b));
	assert_memory_not_equal(a, b, 64);
	assert_memory_not_equal(a, zero, 64);
}

/* --- Wycheproof --- */

struct vector {
	uint8_t p[16384];
	size_t n;
};

static struct gw_str member(yyjson_val *test, const char *name, struct vector *v)
{
	const char *text = yyjson_get_str(yyjson_obj_get(test, name));

	assert_non_null(text);
	v->n = strlen(text) / 2;
	assert_true(v->n <= sizeof(v->p));
	hex(text, v->p, v->n);
	return gw_str((const char *)v->p, v->n);
}

static yyjson_doc *open_corpus(const char *name)
{
	const char *shared = getenv("LLMGW_SHARED");
	char path[512];

	snprintf(path, sizeof(path), "%s/corpora/wycheproof/%s", shared ? shared : "../shared", name);
	return yyjson_read_file(path, 0, NULL, NULL);
}

static bool expect_valid(yyjson_val *test)
{
	const char *r = yyjson_get_str(yyjson_obj_get(test, "result"));

	assert_true(strcmp(r, "valid") == 0 || strcmp(r, "invalid") == 0 || strcmp(r, "acceptable") == 0);
	return strcmp(r, "invalid") != 0;
}

typedef bool check_fn(yyjson_val *group, yyjson_val *test);

static void run_corpus(const char *name, check_fn *check, size_t n_tests)
{
	yyjson_doc *doc = open_corpus(name);
	yyjson_val *group, *test;
	size_t i, max, k, n, ran = 0;

	if (!doc)
		skip();
	yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "testGroups"), i, max, group)
	{
		yyjson_arr_foreach(yyjson_obj_get(group, "tests"), k, n, test)
		{
			ran++;
			if (check(group, test) != expect_valid(test))
				fail_msg("%s tcId %d", name, yyjson_get_int(yyjson_obj_get(test, "tcId")));
		}
	}
	assert_int_equal(ran, n_tests);
	yyjson_doc_free(doc);
}

/* All of it fits the wrapper: keys of 128, 192 and 256 bits, nonces of any length, tags of 128 bits. */
static bool check_gcm(yyjson_val *group, yyjson_val *test)
{
	static struct vector key, iv, aad, msg, ct, tag;
	struct gw_str plain = member(test, "msg", &msg);
	struct gw_buf sealed, out;
	bool is_good;

	(void)group;
	gw_buf_init(&sealed, 8192);
	gw_buf_init(&out, 8192);
	gw_buf_puts(&sealed, member(test, "ct", &ct));
	gw_buf_puts(&sealed, member(test, "tag", &tag));
	is_good = gw_aead_open_raw(member(test, "key", &key), member(test, "iv", &iv), member(test, "aad", &aad),
				   gw_buf_view(&sealed), &out) == GW_OK;
	assert_true(is_good ? gw_str_eq(gw_buf_view(&out), plain) : out.n == 0);
	if (is_good && key.n == 32 && iv.n == 12) {
		struct gw_secret *k = gw_secret_new(key.p, 32), *opened = NULL;
		struct gw_str with = gw_str((const char *)aad.p, aad.n);

		gw_buf_clear(&out, 8192);
		assert_int_equal(gw_aead_seal(k, iv.p, with, plain, &out), GW_OK);
		assert_true(gw_str_eq(gw_buf_view(&out), gw_buf_view(&sealed)));
		assert_int_equal(gw_aead_open(k, iv.p, with, gw_buf_view(&out), &opened), GW_OK);
		assert_true(gw_str_eq(gw_secret_expose(opened), plain));
		gw_secret_unref(opened);
		gw_secret_unref(k);
	}
	gw_buf_done(&sealed);
	gw_buf_done(&out);
	return is_good;
}

static bool check_hmac(yyjson_val *group, yyjson_val *test)
{
	static struct vector key, msg, tag;
	size_t n = (size_t)yyjson_get_int(yyjson_obj_get(group, "tagSize")) / 8;
	struct gw_str k = member(test, "key", &key), m = member(test, "msg", &msg);
	struct gw_secret *s = gw_secret_new(k.p, k.n);
	struct gw_hmac *h = gw_hmac_new(s);
	uint8_t once[32], whole[32];

	member(test, "tag", &tag);
	gw_hmac_once(h, m, once);
	gw_hmac_sha256(k, m, whole);
	assert_memory_equal(once, whole, 32);
	gw_hmac_free(h);
	gw_secret_unref(s);
	return tag.n == n && gw_ct_eq(whole, tag.p, n); /* a tag of 128 bits is the first half */
}

static bool check_hkdf(yyjson_val *group, yyjson_val *test)
{
	static struct vector ikm, salt, info, okm;
	static uint8_t out[16384];
	size_t n = (size_t)yyjson_get_int(yyjson_obj_get(test, "size"));

	(void)group;
	assert_true(n <= sizeof(out));
	member(test, "okm", &okm);
	if (gw_hkdf_sha256(member(test, "ikm", &ikm), member(test, "salt", &salt), member(test, "info", &info), out, n))
		return false;
	return okm.n == n && memcmp(out, okm.p, n) == 0;
}

static void test_wycheproof_gcm(void **state)
{
	(void)state;
	run_corpus("aes_gcm_test.json", check_gcm, 316);
}
static void test_wycheproof_hmac(void **state)
{
	(void)state;
	run_corpus("hmac_sha256_test.json", check_hmac, 174);
}
static void test_wycheproof_hkdf(void **state)
{
	(void)state;
	run_corpus("hkdf_sha256_test.json", check_hkdf, 86);
}

static int set_up(void **state)
{
	(void)state;
	return gw_crypto_init() ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),           cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_pbkdf2),           cmocka_unit_test(test_hkdf_bounds),
		cmocka_unit_test(test_aead_round_trip),  cmocka_unit_test(test_aead_refuses_changes),
		cmocka_unit_test(test_signatures),       cmocka_unit_test(test_signature_known_answer),
		cmocka_unit_test(test_equal_and_random), cmocka_unit_test(test_wycheproof_gcm),
		cmocka_unit_test(test_wycheproof_hmac),  cmocka_unit_test(test_wycheproof_hkdf),
	};
	yyjson_doc *corpus = open_corpus("hmac_sha256_test.json");
	int failed = cmocka_run_group_tests(tests, set_up, NULL);

	if (!corpus && !failed) {
		printf("SKIP: the Wycheproof vectors are not at LLMGW_SHARED/corpora/wycheproof\n");
		return 77;
	}
	yyjson_doc_free(corpus);
	return failed;
}
