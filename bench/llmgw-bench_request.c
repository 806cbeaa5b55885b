/* The bytes of requests, made once: every class with every model and size. Several keys are put in as requests are sent. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include "bench/llmgw-bench.h"
#include "lib/json_write.h"
#include "lib/sys/fd.h"

enum { MAX_VARIANTS = 65536, MAX_VARIANT_BYTES = 512 << 20 };

static void pad(struct gw_buf *b, size_t used, size_t bytes)
{
	char *p = bytes > used ? gw_buf_room(b, bytes - used) : NULL;

	if (!p)
		return;
	for (size_t i = used; i < bytes; i++)
		*p++ = i % 8 == 7 ? ' ' : (char)('a' + i % 26);
	gw_buf_commit(b, bytes - used);
}

/* {"model","stream","messages":[system: padding to the size asked for, user: the message],"max_tokens"} */
static void put_chat(struct gw_buf *b, const struct bench_class *c, size_t bytes)
{
	struct gw_buf tail;

	gw_buf_init(&tail, 32 << 20);
	gw_buf_puts(&tail, GW_LIT("\"},{\"role\":\"user\",\"content\":"));
	gw_json_quote(&tail, gw_str_z(c->message));
	gw_buf_puts(&tail, GW_LIT("}]"));
	if (c->max_tokens)
		gw_buf_printf(&tail, ",\"max_tokens\":%llu", (unsigned long long)c->max_tokens);
	gw_buf_putc(&tail, '}');
	gw_buf_puts(b, c->kind == BENCH_STREAM ? GW_LIT(",\"stream\":true,\"messages\":[") : GW_LIT(",\"messages\":["));
	gw_buf_puts(b, GW_LIT("{\"role\":\"system\",\"content\":\""));
	pad(b, gw_buf_len(b) + gw_buf_len(&tail), bytes);
	gw_buf_puts(b, gw_buf_view(&tail));
	gw_buf_done(&tail);
}

static void put_embeddings(struct gw_buf *b, const struct bench_class *c, size_t bytes)
{
	uint64_t n = c->inputs ? c->inputs : 1;
	size_t each = bytes > gw_buf_len(b) + 16 + 3 * n ? (bytes - gw_buf_len(b) - 16) / n - 3 : 1;

	gw_buf_puts(b, GW_LIT(",\"input\":["));
	for (uint64_t i = 0; i < n; i++) {
		gw_buf_puts(b, i ? GW_LIT(",\"") : GW_LIT("\""));
		pad(b, 0, each);
		gw_buf_putc(b, '"');
	}
	gw_buf_puts(b, GW_LIT("]}"));
}

void bench_put_body(struct gw_buf *b, const struct bench_class *c, const char *model, size_t bytes)
{
	gw_buf_puts(b, GW_LIT("{\"model\":"));
	gw_json_quote(b, gw_str_z(model));
	if (c->kind == BENCH_EMBEDDINGS)
		put_embeddings(b, c, bytes);
	else
		put_chat(b, c, bytes);
}

/* The head; with several keys the place where one goes in. A path that ends in /v1, or none, gets the endpoint's. */
static size_t put_head(struct bench_run *r, struct gw_buf *out, enum bench_kind kind, const char *key,
		       size_t body_bytes)
{
	struct gw_str path = r->url.path;
	bool is_base = path.n == 0 || (path.n >= 3 && memcmp(path.p + path.n - 3, "/v1", 3) == 0);
	const char *end = kind == BENCH_EMBEDDINGS ? "/embeddings" : "/chat/completions";
	size_t key_at = 0;

	gw_buf_printf(out, "POST %s%.*s%s HTTP/1.1\r\nHost: %s%.*s%s:%u\r\nUser-Agent: llmgw-bench\r\n",
		      path.n ? "" : "/v1", GW_FMT(path), is_base ? end : "", r->url.is_ipv6 ? "[" : "",
		      GW_FMT(r->url.host), r->url.is_ipv6 ? "]" : "", r->url.port);
	if (r->o->plan.keys.n > 0) {
		gw_buf_puts(out, GW_LIT("Authorization: Bearer "));
		key_at = gw_buf_len(out);
		gw_buf_puts(out, gw_str_z(key));
		gw_buf_puts(out, GW_LIT("\r\n"));
	}
	for (uint32_t i = 0; i < r->o->n_headers; i++) {
		gw_buf_puts(out, gw_str_z(r->o->headers[i]));
		gw_buf_puts(out, GW_LIT("\r\n"));
	}
	gw_buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n", body_bytes);
	return key_at;
}

static bool make_one(struct bench_run *r, struct gw_buf *out, const struct bench_class *c, const char *model,
		     size_t bytes, size_t *key_at)
{
	struct gw_buf body;
	const struct bench_names *keys = &r->o->plan.keys;
	bool ok;

	gw_buf_init(&body, 64 << 20);
	gw_buf_init(out, 65 << 20);
	bench_put_body(&body, c, model, bytes);
	*key_at =
	    put_head(r, out, c->kind, keys->n == 1 || out == &r->requests.held ? keys->n ? keys->items[0] : "" : "",
		     gw_buf_len(&body));
	gw_buf_puts(out, gw_buf_view(&body));
	ok = !out->err && !body.err;
	gw_buf_done(&body);
	return ok;
}

bool bench_requests_make(struct bench_run *r, char *why, size_t n_why)
{
	struct bench_requests *q = &r->requests;
	const struct bench_plan *p = &r->o->plan;
	struct bench_class held = { .kind = BENCH_STREAM, .message = (char *)(uintptr_t)r->o->hold_message };
	uint64_t n = 0, all = 0;
	size_t key_at;

	for (uint32_t i = 0; i < p->n_classes; i++)
		n += (uint64_t)p->classes[i].models.n * p->classes[i].n_sizes;
	if (n > MAX_VARIANTS) {
		snprintf(why, n_why, "%llu combinations of kinds, models and sizes, at most %d", (unsigned long long)n,
			 MAX_VARIANTS);
		return false;
	}
	q->items = calloc(n, sizeof(q->items[0]));
	GW_REQUIRE(q->items != NULL);
	gw_buf_init(&q->joined, 65 << 20);
	for (uint32_t i = 0; i < p->n_classes; i++) {
		const struct bench_class *c = &p->classes[i];

		q->first[i] = q->n;
		for (uint32_t k = 0; k < c->models.n * c->n_sizes; k++) {
			struct bench_variant *v = &q->items[q->n++];

			v->class_at = i;
			all += make_one(r, &v->whole, c, c->models.items[k / c->n_sizes], c->sizes[k % c->n_sizes],
					&v->key_at)
				   ? v->whole.cap
				   : MAX_VARIANT_BYTES;
			if (all >= MAX_VARIANT_BYTES) {
				snprintf(
				    why, n_why,
				    "the requests of the mix take more than %d MiB: fewer models or smaller prompts",
				    MAX_VARIANT_BYTES >> 20);
				return false;
			}
		}
	}
	q->first[p->n_classes] = q->n;
	return make_one(r, &q->held, &held, p->classes[0].models.items[0], 0, &key_at);
}

struct gw_str bench_requests_pick(struct bench_run *r, struct bench_conn *c)
{
	struct bench_requests *q = &r->requests;
	const struct bench_plan *p = &r->o->plan;
	uint32_t at = bench_plan_pick(p, &r->rng);
	const struct bench_variant *v =
	    &q->items[q->first[at] + bench_rng_below(&r->rng, q->first[at + 1] - q->first[at])];
	struct gw_str whole = gw_buf_view(&v->whole);

	c->class_at = at;
	c->is_stream = p->classes[at].kind == BENCH_STREAM;
	if (p->keys.n <= 1)
		return whole;
	gw_buf_clear(&q->joined, SIZE_MAX);
	gw_buf_put(&q->joined, whole.p, v->key_at);
	gw_buf_puts(&q->joined, gw_str_z(p->keys.items[bench_rng_below(&r->rng, p->keys.n)]));
	gw_buf_puts(&q->joined, gw_str_skip(whole, v->key_at));
	return gw_buf_view(&q->joined);
}

void bench_requests_free(struct bench_requests *q)
{
	for (uint32_t i = 0; i < q->n; i++)
		gw_buf_done(&q->items[i].whole);
	gw_buf_done(&q->held);
	gw_buf_done(&q->joined);
	free(q->items);
	*q = (struct bench_requests){ 0 };
}
