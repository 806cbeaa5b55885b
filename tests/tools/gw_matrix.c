/* What translation costs, without a server: each client dialect against each provider dialect, a chat of 1 KB, whole and streamed.
 * bench/matrix.py runs it and prints the tables (./dev bench matrix).
 *
 *   matrix time ROUNDS   lines "CLIENT PROVIDER KIND NANOSECONDS": CPU of one request, reply or streamed event, median of the rounds
 *   matrix count         lines "CLIENT PROVIDER KIND N": under callgrind with --dump-before=matrix_mark; the dump between two marks is one
 *                        line's cost, N times over
 * A request goes client to provider, a reply and a stream back. The inputs of all dialects are made from one of OpenAI. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/dialect/translate.h"
#include "lib/sys/clock.h"

enum {
	TEXT_BYTES = 1024,
	EVENTS = 64,
	PIECE_BYTES = 16,
	ROOM = 4 << 20,
	COUNTED = 10,
	MAX_ROUNDS = 99,
	ROUND_NS = 1000000
};
enum kind { REQUEST, REPLY, STREAM, KINDS };
static const char *const kind_names[] = { "request", "reply", "event" };

static struct gw_buf inputs[GW_D_COUNT][KINDS];
static char text[TEXT_BYTES + 1];

void matrix_mark(void);
__attribute__((noinline)) void matrix_mark(void)
{
	__asm__ volatile("" ::: "memory"); /* a place to find, nothing to do */
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "matrix: %s\n", what);
	exit(1);
}

static struct gw_carry carry_of(const struct gw_dialect *client, enum kind k)
{
	return (struct gw_carry){ .model = GW_LIT("alias"),
				  .request_id = GW_LIT("01234567-89ab-7cde-8f01-23456789abcd"),
				  .seed = 7,
				  .now_s = 1700000000,
				  .is_stream = k == STREAM,
				  .wants_usage = true,
				  .wants_reasoning_text = true,
				  .framing = client->framing };
}

static enum gw_err request(const struct gw_dialect *from, const struct gw_dialect *to, struct gw_str body,
			   struct gw_arena *a, struct gw_arena *keep, struct gw_buf *out)
{
	struct gw_str path_model = GW_LIT("alias");
	struct gw_carry carry = carry_of(from, REQUEST);
	struct gw_translate_in in = {
		.from = from,
		.to = to,
		.body = body,
		.is_checked = true,
		.path_model = from->id == GW_D_GEMINI || from->id == GW_D_BEDROCK ? &path_model : NULL,
		.opts = { .model = GW_LIT("upstream-1"), .default_max_tokens = 4096, .carry = &carry },
	};
	struct gw_translate_out said = { .body = out };

	return gw_translate_request(a, keep, &in, &said);
}

static enum gw_err stream(const struct gw_dialect *from, const struct gw_dialect *to, struct gw_str bytes,
			  struct gw_buf *out)
{
	struct gw_carry carry = carry_of(to, STREAM);
	struct gw_translate t;
	enum gw_err e = gw_translate_open(&t, from, to, &carry);

	if (e)
		return e;
	e = gw_translate_feed(&t, bytes, out);
	if (!e)
		e = gw_translate_end(&t, out);
	gw_translate_close(&t);
	return e;
}

/* One of `kind` between a client and a provider, with the memory of an attempt: made and given back. */
static enum gw_err once(enum kind k, const struct gw_dialect *client, const struct gw_dialect *provider,
			struct gw_str in, struct gw_buf *out)
{
	struct gw_arena a, keep;
	enum gw_err e;

	if (k == STREAM)
		return stream(provider, client, in, out);
	gw_arena_init(&a, NULL, 0, ROOM);
	gw_arena_init(&keep, NULL, 0, ROOM);
	if (k == REQUEST) {
		e = request(client, provider, in, &a, &keep, out);
	} else {
		struct gw_carry carry = carry_of(client, REPLY);
		struct gw_told told = { 0 };

		e = gw_translate_reply(&a, provider, client, &carry, in, out, &told);
	}
	gw_arena_done(&keep);
	gw_arena_done(&a);
	return e;
}

/* ---- inputs ---- */

static void put_openai(struct gw_buf *b, enum kind k)
{
	if (k == REQUEST) {
		gw_buf_printf(
		    b,
		    "{\"model\":\"alias\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":"
		    "\"user\",\"content\":\"%s\"}],\"temperature\":0.5,\"max_completion_tokens\":256}",
		    text);
	} else if (k == REPLY) {
		gw_buf_printf(
		    b,
		    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"m\","
		    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},\"finish_"
		    "reason\":"
		    "\"stop\"}],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":222,\"total_tokens\":233}}",
		    text);
	}
	for (size_t i = 0; k == STREAM && i < EVENTS; i++)
		gw_buf_printf(
		    b,
		    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
		    "\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{%s\"content\":\"%.*s\"}}]}\n\n",
		    i ? "" : "\"role\":\"assistant\",", (int)PIECE_BYTES, text + i * PIECE_BYTES);
	if (k == STREAM)
		gw_buf_puts(b, GW_LIT("data: "
				      "{\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":"
				      "\"stop\"}]}\n\n"
				      "data: "
				      "{\"id\":\"chatcmpl-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,"
				      "\"completion_tokens\":222,"
				      "\"total_tokens\":233}}\n\ndata: [DONE]\n\n"));
}

static void make_inputs(void)
{
	const struct gw_dialect *openai = gw_dialect_of(GW_D_OPENAI);

	for (size_t i = 0; i < TEXT_BYTES; i++)
		text[i] = "the quick brown fox jumps over the lazy dog "[i % 44];
	for (int k = 0; k < KINDS; k++) {
		gw_buf_init(&inputs[GW_D_OPENAI][k], ROOM);
		put_openai(&inputs[GW_D_OPENAI][k], (enum kind)k);
	}
	for (int d = 0; d < GW_D_COUNT; d++) {
		const struct gw_dialect *other = gw_dialect_of((enum gw_dialect_id)d);

		for (int k = 0; k < KINDS && d != GW_D_OPENAI; k++) {
			bool is_there = k == REQUEST;

			gw_buf_init(&inputs[d][k], ROOM);
			must(!once((enum kind)k, is_there ? openai : other, is_there ? other : openai,
				   gw_buf_view(&inputs[GW_D_OPENAI][k]), &inputs[d][k]) &&
				 inputs[d][k].n >= TEXT_BYTES,
			     "an input cannot be made");
		}
	}
}

/* ---- cells ---- */

struct cell {
	enum kind kind;
	const struct gw_dialect *client, *provider;
	struct gw_buf out;
};

static void run(struct cell *c, unsigned n)
{
	int source = (int)(c->kind == REQUEST ? c->client : c->provider)->id;
	struct gw_str in = gw_buf_view(&inputs[source][c->kind]);

	while (n--) {
		gw_buf_clear(&c->out, ROOM);
		must(!once(c->kind, c->client, c->provider, in, &c->out) && c->out.n >= TEXT_BYTES / 2, "a cell fails");
	}
}

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void time_cell(struct cell *c, uint64_t rounds)
{
	double ns[MAX_ROUNDS];
	unsigned n = 1;
	uint64_t took;

	do { /* as many as make a round */
		uint64_t from = gw_cpu_ns();

		n *= 2;
		run(c, n);
		took = gw_cpu_ns() - from;
	} while (took < ROUND_NS && n < 1u << 20);
	for (uint64_t i = 0; i < rounds; i++) {
		uint64_t from = gw_cpu_ns();

		run(c, n);
		ns[i] = (double)(gw_cpu_ns() - from) / n / (c->kind == STREAM ? EVENTS : 1);
	}
	qsort(ns, rounds, sizeof(ns[0]), by_size);
	printf("%s %s %s %.0f\n", c->client->name, c->provider->name, kind_names[c->kind], ns[rounds / 2]);
}

static void count_cell(struct cell *c)
{
	run(c, 2);
	matrix_mark();
	run(c, COUNTED);
	matrix_mark();
	printf("%s %s %s %d\n", c->client->name, c->provider->name, kind_names[c->kind],
	       c->kind == STREAM ? COUNTED * EVENTS : COUNTED);
}

int main(int argc, char **argv)
{
	bool is_time = argc == 3 && !strcmp(argv[1], "time");
	uint64_t rounds = 0;

	if (is_time ? !gw_str_u64(gw_str_z(argv[2]), &rounds) || rounds < 1 || rounds > MAX_ROUNDS
		    : argc != 2 || strcmp(argv[1], "count")) {
		fprintf(stderr, "usage: matrix time ROUNDS (at most %d) | matrix count\n", MAX_ROUNDS);
		return 2;
	}
	make_inputs();
	for (int c = 0; c < GW_D_COUNT; c++) {
		for (int p = 0; p < GW_D_COUNT; p++) {
			for (int k = 0; k < KINDS; k++) {
				struct cell cell = { .kind = (enum kind)k,
						     .client = gw_dialect_of((enum gw_dialect_id)c),
						     .provider = gw_dialect_of((enum gw_dialect_id)p) };

				gw_buf_init(&cell.out, ROOM);
				if (is_time)
					time_cell(&cell, rounds);
				else
					count_cell(&cell);
				gw_buf_done(&cell.out);
			}
		}
	}
	for (int i = 0; i < GW_D_COUNT * KINDS; i++)
		gw_buf_done(&inputs[i / KINDS][i % KINDS]);
	return 0;
}
