/* Segments for the tests of the exporter (gen.h). */
#include "gen.h"
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEGMENT_BYTES = 64 << 20 };

void gen_init(struct gen *g, const char *name)
{
	char path[400];

	*g = (struct gen){ .fd = -1, .step_us = 1000, .keys = 10, .per_block = 100 };
	snprintf(g->data, sizeof g->data, "%s/llmgw-%s-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", name);
	assert(mkdtemp(g->data));
	snprintf(path, sizeof path, "%s/index", g->data);
	assert(mkdir(path, 0700) == 0);
	snprintf(path, sizeof path, "%s/segments", g->data);
	assert(mkdir(path, 0700) == 0);
	gw_buf_init(&g->out, 2 << 20);
	gw_buf_init(&g->frames, GW_SEG_MAX_FRAMES);
	gw_buf_init(&g->body, 64 << 10);
	g->t0_us = 1700000000LL * 1000000;
}

void gen_done(struct gen *g)
{
	char cmd[400];

	if (g->fd >= 0)
		close(g->fd);
	gw_buf_done(&g->out);
	gw_buf_done(&g->frames);
	gw_buf_done(&g->body);
	snprintf(cmd, sizeof cmd, "rm -rf '%s'", g->data);
	assert(system(cmd) == 0);
}

static void put(struct gen *g)
{
	assert(!g->out.err && pwrite(g->fd, g->out.p, g->out.n, (off_t)g->at) == (ssize_t)g->out.n);
	g->at += g->out.n;
	gw_buf_clear(&g->out, 2 << 20);
}

void gen_file(struct gen *g, int64_t created_us)
{
	struct gw_seg_info info = { .cls = GW_SEG_REQUEST, .segment_no = ++g->seg_no, .created_us = created_us };
	char path[600];

	memcpy(info.prev_final_hash, g->w.hash, 32);
	snprintf(path, sizeof path, "%s/segments/seg-request-%013lld-%08x-%08llu.lga", g->data,
		 (long long)(created_us / 1000), 0xabcdefu, (unsigned long long)g->seg_no);
	g->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert(g->fd >= 0 && ftruncate(g->fd, SEGMENT_BYTES) == 0);
	g->at = 0;
	gw_seg_begin(&g->w, &info, &g->out);
	put(g);
}

void gen_close(struct gen *g)
{
	assert(gw_seg_checkpoint(&g->w, true, NULL, 0, 0, g->n_ends, NULL, &g->out) == GW_OK);
	put(g);
	assert(ftruncate(g->fd, (off_t)g->at + 4096) == 0);
	close(g->fd);
	g->fd = -1;
}

void gen_record(const struct gen *g, uint64_t i, struct gw_record *r, char buf[256])
{
	static const uint8_t zero[16];
	uint32_t n = 0;

	*r = (struct gw_record){ .request_id = zero };
	uint8_t *id = (uint8_t *)buf;
	for (int k = 0; k < 8; k++) {
		id[k] = (uint8_t)(i >> (56 - 8 * k));
		id[8 + k] = (uint8_t)(0x5a ^ k);
	}
	r->request_id = id;
	n = 16;
#define TEXT(member, ...)                                                                                              \
	do {                                                                                                           \
		int k_ = snprintf(buf + n, 256 - n, __VA_ARGS__);                                                      \
		r->member = gw_str(buf + n, (size_t)k_);                                                               \
		n += (uint32_t)k_;                                                                                     \
	} while (0)
	uint64_t key = (i * 2654435761u) % g->keys;
	TEXT(key, "key-%llu", (unsigned long long)key);
	TEXT(org, "org-%llu", (unsigned long long)(key % 5));
	TEXT(team, "team-%llu", (unsigned long long)(key % 20));
	TEXT(model, "model-%llu", (unsigned long long)(i % 7));
	TEXT(deployment, "dep-%llu", (unsigned long long)(i % 9));
	TEXT(provider, "prov-%llu", (unsigned long long)(i % 3));
	TEXT(credential, "cred-%llu", (unsigned long long)(i % 3));
	if (i % 4 == 0)
		TEXT(session_id, "session-%llu", (unsigned long long)(i / 40));
	if (i % 3 == 0)
		TEXT(tags, "a,b%llu", (unsigned long long)(i % 2));
	if (i % 50 == 49) {
		r->error = GW_LIT("UP_SERVER");
		TEXT(error_detail, "the provider failed with %llu", (unsigned long long)i);
	}
#undef TEXT
	r->endpoint = GW_LIT("chat.completions");
	r->user_agent = GW_LIT("OpenAI/Python 1.40.0");
	r->requested_model = r->model;
	r->upstream_model = r->model;
	r->attempt_log = GW_LIT("[{\"deployment\":\"dep\",\"status\":200,\"ms\":12}]");
	r->finish_reason = GW_LIT("stop");
	r->steps_us = GW_LIT("parse=3,auth=2,resolve=4,pick=1,send=20,relay=400");
	r->ts_start_us = g->t0_us + (int64_t)i * g->step_us;
	r->status = i % 50 == 49 ? 502 : 200;
	r->tokens_input = 10 + i % 100;
	r->tokens_output = 20 + i % 200;
	r->tokens_cached = i % 5;
	r->tokens_cache_write_5m = i % 4;
	r->tokens_cache_write_1h = i % 3;
	r->tokens_audio_in = i % 2;
	r->tokens_image_out = i % 6;
	r->web_searches = i % 7 == 0;
	r->cost_input_nanousd = (int64_t)(i % 1000);
	r->is_unpriced = i % 11 == 0;
	r->usage_source = i % 13 ? GW_LIT("provider") : GW_LIT("estimated");
	r->cost_nanousd = (int64_t)(1000 + i % 1000);
	r->total_us = 1000 + (i * 7919) % 1000000;
	r->ttft_us = i % 2 ? 500 + i % 5000 : 0;
	r->is_stream = i % 2;
	r->attempts = 1;
}

void gen_block(struct gen *g, uint32_t n_ends)
{
	int64_t first = g->t0_us + (int64_t)g->n_ends * g->step_us;
	struct gw_record r;
	char buf[256];

	gw_buf_clear(&g->frames, GW_SEG_MAX_FRAMES);
	for (uint32_t k = 0; k < 2 * n_ends; k++) {
		struct gw_seg_record rec = { .slot = 1, .epoch = 7, .type = k % 2 ? GW_REC_END : GW_REC_START };

		gen_record(g, g->n_ends, &r, buf);
		gw_buf_clear(&g->body, 64 << 10);
		gw_record_pack(&r, k % 2 == 0, &g->body);
		rec.seq = ++g->seq;
		rec.body = gw_buf_view(&g->body);
		gw_seg_frame(&g->frames, &rec);
		g->n_ends += k % 2;
	}
	gw_seg_block(&g->w, gw_buf_view(&g->frames), 2 * n_ends, first, g->t0_us + (int64_t)g->n_ends * g->step_us,
		     &g->out);
	put(g);
}

void gen_many(struct gen *g, uint64_t n)
{
	while (n) {
		uint32_t now = n < g->per_block ? (uint32_t)n : g->per_block;

		if (g->fd >= 0 && g->at > SEGMENT_BYTES - (2 << 20))
			gen_close(g);
		if (g->fd < 0)
			gen_file(g, g->t0_us + (int64_t)g->n_ends * g->step_us);
		gen_block(g, now);
		n -= now;
	}
}

void gen_ix(const struct gen *g, struct gw_ix *ix, uint64_t *counts)
{
	*ix = (struct gw_ix){ .count = counts };
	snprintf(ix->dir, sizeof ix->dir, "%s/index", g->data);
	snprintf(ix->segments, sizeof ix->segments, "%s/segments", g->data);
}

enum gw_ex_result gen_drain(struct gw_ix *ix, int64_t now_us)
{
	enum gw_ex_result r = ix->db ? GW_EX_IDLE : gw_ix_open(ix, false);

	for (int i = 0; i < 100000 && (r == GW_EX_IDLE || r == GW_EX_MORE); i++) {
		r = gw_ix_step(ix, now_us);
		if (r == GW_EX_IDLE)
			break;
	}
	return r;
}
