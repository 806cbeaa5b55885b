/* `audit verify` over folders of segments: whole ones pass; each way to take something away or change it is found. */
#include <pthread.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include "lib/crypto.h"
#include "lib/segment_retired.h"
#include "lib/sys/fd.h"
#include "lib/text.h"
#include "tests/unit/admin-cli/capture.h"

static struct gw_secret *secret;
static struct gw_signer *signer;
static uint8_t public_key[65];
static char key_hex[131];

static int set_up_all(void **state)
{
	struct gw_buf b;

	(void)state;
	if (gw_crypto_init() || gw_signer_make(&secret) || gw_signer_new(secret, &signer))
		return -1;
	gw_signer_public(signer, public_key);
	gw_buf_init(&b, 256);
	gw_hex_put(&b, public_key, 65);
	memcpy(key_hex, b.p, 130);
	gw_buf_done(&b);
	return 0;
}

static int tear_down_all(void **state)
{
	(void)state;
	gw_signer_free(signer);
	gw_secret_unref(secret);
	return 0;
}

struct made {
	char name[96];
	struct gw_buf bytes;
	size_t block_at[16], n_blocks;
	uint8_t final_hash[32];
};

/* A segment with two blocks of five records and a footer; records of slot 0 go on from first_seq. */
static void make(struct made *m, unsigned no, const uint8_t prev[32], uint64_t first_seq)
{
	struct gw_seg_info info = { .cls = GW_SEG_REQUEST, .segment_no = no, .created_us = 1700000000000000 + no };
	struct gw_seg_span span = { 0, 7, first_seq, first_seq + 9 };
	struct gw_seg_writer w;
	struct gw_buf frames;

	memcpy(info.public_key, public_key, 65);
	if (prev)
		memcpy(info.prev_final_hash, prev, 32);
	snprintf(m->name, sizeof m->name, "seg-request-%013u-00c0ffee-%08u.lga", 1700000000u + no, no);
	gw_buf_init(&m->bytes, 1 << 20);
	gw_buf_init(&frames, 1 << 20);
	gw_seg_begin(&w, &info, &m->bytes);
	m->n_blocks = 0;
	for (int b = 0; b < 2; b++) {
		gw_buf_clear(&frames, 1 << 20);
		for (unsigned i = 0; i < 5; i++) {
			struct gw_seg_record r = { 0, 7, GW_REC_END, first_seq++,
						   GW_LIT("\x81\x01\xa3"
							  "abc") };

			gw_seg_frame(&frames, &r);
		}
		m->block_at[m->n_blocks++] = m->bytes.n;
		gw_seg_block(&w, gw_buf_view(&frames), 5, 1, 2, &m->bytes);
	}
	m->block_at[m->n_blocks++] = m->bytes.n;
	assert_int_equal(gw_seg_checkpoint(&w, true, &span, 1, 0, 10, signer, &m->bytes), GW_OK);
	memcpy(m->final_hash, w.hash, 32);
	gw_buf_done(&frames);
}

enum { FILES = 3 };
static struct made made[FILES];

static int set_up(void **state)
{
	if (make_dir(state))
		return -1;
	for (unsigned i = 0; i < FILES; i++) {
		make(&made[i], i + 1, i ? made[i - 1].final_hash : NULL, 1 + 10 * i);
		put_file(made[i].name, made[i].bytes.p, made[i].bytes.n);
	}
	return 0;
}

static int tear_down(void **state)
{
	for (unsigned i = 0; i < FILES; i++)
		gw_buf_done(&made[i].bytes);
	return drop_dir(state);
}

static int verify(const char *key)
{
	struct cli *c = cli_new();
	int rc;

	c->o.dir = test_dir;
	c->o.public_key = key;
	catch_begin();
	rc = cli_cmd_audit_verify(c);
	catch_end();
	cli_free(c);
	return rc;
}

static void remove_file(unsigned i)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", test_dir, made[i].name);
	assert_int_equal(unlink(path), 0);
}

static void whole(void **state)
{
	(void)state;
	assert_int_equal(verify(key_hex), CLI_OK);
	assert_non_null(strstr(printed, "\"segments\":3,\"blocks\":9,\"records\":30,\"checkpoints\":3,\"unsigned_"
					"checkpoints\":0,\"signatures\":\"checked\",\"faults\":0"));
	assert_says("The trail is intact.");
	assert_int_equal(verify(NULL), CLI_OK); /* on a machine without the key */
	assert_non_null(strstr(printed, "not checked"));
	assert_int_equal(verify("12"), CLI_USAGE);
	/* an open file with room behind its last block, and files of others */
	char zeros[8192] = { 0 };
	made[2].bytes.n = made[2].block_at[2];
	gw_buf_put(&made[2].bytes, zeros, sizeof zeros);
	put_file(made[2].name, made[2].bytes.p, made[2].bytes.n);
	put_file("reserve", "x", 1);
	put_file("node.id", "0123456789abcdef", 16);
	put_file("seg-request-0000000000000-00000000-00000009.lga.new", "x", 1);
	assert_int_equal(verify(key_hex), CLI_OK);
}

/* The gateway is in the middle of writing a block: that is no fault, if it is there a moment later. */
static void *finish_block(void *fd)
{
	usleep(120000);
	assert_true(pwrite(*(int *)fd, made[2].bytes.p + made[2].block_at[1], made[2].block_at[2] - made[2].block_at[1],
			   (off_t)made[2].block_at[1]) > 0);
	return NULL;
}

static void live_file(void **state)
{
	(void)state;
	const char *path = put_file(made[2].name, made[2].bytes.p, made[2].block_at[1] + 100);
	int fd = open(path, O_RDWR);
	pthread_t thread;

	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(verify(key_hex), CLI_FAILED); /* nobody writes: torn */
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(pthread_create(&thread, NULL, finish_block, &fd), 0);
	assert_int_equal(verify(key_hex), CLI_OK);
	pthread_join(thread, NULL);
	assert_non_null(strstr(printed, "\"records\":30"));
	assert_int_equal(pwrite(fd, "x", 1, (off_t)made[2].block_at[0] + 90), 1);
	assert_int_equal(verify(key_hex), CLI_FAILED); /* a fault stays one, writer or not */
	close(fd);
}

/* --- tombstones --- */
static bool nothing_needed(void *ctx, const uint8_t hash[32])
{
	(void)ctx;
	(void)hash;
	return false;
}

/* The gateway's part of a removal: a tombstone of made[i] on top of those in the folder. */
static void bury(unsigned i, const struct gw_signer *by)
{
	struct gw_seg_span span = { 0, 7, 1 + 10 * i, 10 + 10 * i };
	struct gw_retired t = { .n_segments = 1,
				.first_no = i + 1,
				.last_no = i + 1,
				.name = gw_str_z(made[i].name),
				.n_blocks = 3,
				.n_records = 10,
				.why = GW_RETIRED_AGE,
				.span = &span,
				.n_spans = 1 };
	struct gw_buf old, out;
	char path[256];

	if (i)
		memcpy(t.prev_hash, made[i - 1].final_hash, 32);
	memcpy(t.final_hash, made[i].final_hash, 32);
	gw_buf_init(&old, GW_RETIRED_BYTES);
	gw_buf_init(&out, GW_RETIRED_BYTES);
	snprintf(path, sizeof path, "%s/retired-request.lgt", test_dir);
	if (access(path, F_OK) == 0)
		assert_int_equal(gw_read_file(AT_FDCWD, path, &old), GW_OK);
	assert_int_equal(gw_retired_add(gw_buf_view(&old), GW_SEG_REQUEST, &t, by, nothing_needed, NULL, &out), GW_OK);
	put_file("retired-request.lgt", out.p, out.n);
	gw_buf_done(&old);
	gw_buf_done(&out);
}

static void oldest_missing(void **state)
{
	(void)state;
	remove_file(0);
	assert_int_equal(verify(key_hex), CLI_FAILED);
	assert_says("no tombstone tells of them");
}

static void oldest_retired(void **state)
{
	(void)state;
	bury(0, signer);
	remove_file(0);
	assert_int_equal(verify(key_hex), CLI_OK);
	assert_non_null(strstr(printed, "\"retired_segments\":1,\"retired_records\":10"));
	assert_says("1 older segments were removed by retention");
	bury(1, signer);
	remove_file(1);
	assert_int_equal(verify(key_hex), CLI_OK);
	remove_file(2); /* of the newest nothing tells: the tombstones alone are whole */
	assert_int_equal(verify(key_hex), CLI_OK);
	assert_non_null(strstr(printed, "\"segments\":0,"));
}

static void retired_and_another_missing(void **state)
{
	(void)state;
	bury(0, signer);
	remove_file(0);
	remove_file(1);
	assert_int_equal(verify(key_hex), CLI_FAILED);
	assert_says("does not continue a segment before it");
	assert_says("records 11 to 20 of slot 0 epoch 7 are missing");
}

/* The gateway died between tombstone and unlink; or somebody put another file there under the name. */
static void retired_and_still_there(void **state)
{
	(void)state;
	bury(0, signer);
	assert_int_equal(verify(key_hex), CLI_OK);
	assert_says("is still there");
	assert_non_null(strstr(printed, "\"records\":20,"));
	put_file(made[0].name, made[1].bytes.p, made[1].bytes.n);
	assert_int_equal(verify(key_hex), CLI_FAILED);
	assert_says("is not the segment that its tombstone tells of");
}

static void forged_tombstone(void **state)
{
	(void)state;
	struct gw_secret *other;
	struct gw_signer *forger;
	struct gw_buf b;
	char path[256];

	assert_int_equal(gw_signer_make(&other), GW_OK);
	assert_int_equal(gw_signer_new(other, &forger), GW_OK);
	bury(0, forger);
	remove_file(0);
	assert_int_equal(verify(key_hex), CLI_FAILED);
	assert_says("retired-request.lgt: signature");
	gw_signer_free(forger);
	gw_secret_unref(other);
	snprintf(path, sizeof path, "%s/retired-request.lgt", test_dir);
	unlink(path);
	bury(0, signer);
	gw_buf_init(&b, GW_RETIRED_BYTES);
	assert_int_equal(gw_read_file(AT_FDCWD, path, &b), GW_OK);
	for (size_t at = 0; at < b.n; at += 3) {
		b.p[at] ^= 0x20;
		put_file("retired-request.lgt", b.p, b.n);
		if (verify(key_hex) != CLI_FAILED)
			fail_msg("a bit at %zu of %zu was not noticed", at, b.n);
		b.p[at] ^= 0x20;
	}
	for (size_t n = 0; n < b.n; n += 5) {
		put_file("retired-request.lgt", b.p, n);
		assert_int_equal(verify(key_hex), CLI_FAILED);
	}
	gw_buf_done(&b);
}

/* An older file of tombstones put back: what it does not tell of is missing. */
static void tombstones_rolled_back(void **state)
{
	(void)state;
	struct gw_buf b;
	char path[256];

	bury(0, signer);
	gw_buf_init(&b, GW_RETIRED_BYTES);
	snprintf(path, sizeof path, "%s/retired-request.lgt", test_dir);
	assert_int_equal(gw_read_file(AT_FDCWD, path, &b), GW_OK);
	bury(1, signer);
	remove_file(0);
	remove_file(1);
	assert_int_equal(verify(key_hex), CLI_OK);
	put_file("retired-request.lgt", b.p, b.n);
	assert_int_equal(verify(key_hex), CLI_FAILED);
	gw_buf_done(&b);
}

static void one_missing(void **state)
{
	(void)state;
	remove_file(1);
	assert_int_equal(verify(key_hex), CLI_FAILED);
	assert_says("does not continue a segment before it");
	assert_says("records 11 to 20 of slot 0 epoch 7 are missing");
	assert_says("NOT intact");
}

static void cut_short(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 4; k++) { /* at each block's border, and inside one */
		size_t n = k < 3 ? made[1].block_at[k] : made[1].block_at[1] + 40;

		put_file(made[1].name, made[1].bytes.p, n);
		assert_int_equal(verify(key_hex), CLI_FAILED);
	}
	put_file(made[1].name, "", 0);
	assert_int_equal(verify(key_hex), CLI_FAILED);
	assert_says("cannot be read");
	put_file(made[1].name, made[1].bytes.p, 100);
	assert_int_equal(verify(key_hex), CLI_FAILED);
	assert_says("header");
}

static void any_bit(void **state)
{
	(void)state;
	for (size_t at = 0; at < made[1].bytes.n; at += at < 200 || at > 4000 ? 7 : 97) {
		made[1].bytes.p[at] ^= 0x10;
		put_file(made[1].name, made[1].bytes.p, made[1].bytes.n);
		if (verify(key_hex) != CLI_FAILED)
			fail_msg("a bit at %zu of %zu was not noticed", at, made[1].bytes.n);
		made[1].bytes.p[at] ^= 0x10;
	}
}

/* Somebody writes the files anew, with everything consistent but the key. */
static void forged(void **state)
{
	(void)state;
	struct gw_secret *other;
	struct gw_signer *forger, *ours = signer;

	assert_int_equal(gw_signer_make(&other), GW_OK);
	assert_int_equal(gw_signer_new(other, &forger), GW_OK);
	signer = forger;
	gw_buf_done(&made[2].bytes);
	make(&made[2], 3, made[1].final_hash, 21);
	signer = ours;
	put_file(made[2].name, made[2].bytes.p, made[2].bytes.n);
	assert_int_equal(verify(key_hex), CLI_FAILED);
	assert_says("signature");
	gw_signer_free(forger);
	gw_secret_unref(other);
}

static void swapped_and_repeated(void **state)
{
	(void)state;
	put_file(made[1].name, made[2].bytes.p, made[2].bytes.n); /* the third under the second's name */
	assert_int_equal(verify(key_hex), CLI_FAILED);
	put_file(made[1].name, made[0].bytes.p, made[0].bytes.n); /* the first once more */
	assert_int_equal(verify(key_hex), CLI_FAILED);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = { T(whole),
					    T(live_file),
					    T(oldest_retired),
					    T(one_missing),
					    T(oldest_missing),
					    T(retired_and_another_missing),
					    T(retired_and_still_there),
					    T(forged_tombstone),
					    T(tombstones_rolled_back),
					    T(cut_short),
					    T(any_bit),
					    T(forged),
					    T(swapped_and_repeated) };

	return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
