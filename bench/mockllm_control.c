/* /mock/...: what tests tell the mock to do next and what it saw. Shared by all threads under one lock; the lock is not
 * touched by a request when there are no rules and nothing is kept.
 *
 *   POST /mock/next   {"model":"m" (absent or "*": any), "fault":"429", "count":2, "after":0}
 *   POST /mock/tune   {"delay_ms":..,"chunk_ms":..,"chunks":..,"bytes":..}  new defaults
 *   POST /mock/reset  forget rules, counters and kept requests
 *   GET  /mock/scripts  how the scripts of --scripts are reached
 *   GET  /mock/stats  counters and the last requests, byte for byte (base64): ?last=N */
#include <stdlib.h>
#include "bench/mockllm.h"
#include "lib/json_write.h"
#include "lib/text.h"

enum { MAX_RULES = 256 };
struct rule {
	char model[160], fault[64];
	uint64_t count, after;
};
struct kept {
	struct gw_buf head, body;
	uint64_t serial, connection;
};

struct mock_counts mock_counts;
static uv_mutex_t lock;
static struct rule rules[MAX_RULES];
static atomic_uint n_rules;
static struct kept *kept;
static uint64_t n_kept;

void mock_control_init(void)
{
	GW_REQUIRE(uv_mutex_init(&lock) == 0);
	if (mock_options.keep == 0)
		return;
	kept = calloc(mock_options.keep, sizeof(*kept));
	GW_REQUIRE(kept != NULL);
	for (uint32_t i = 0; i < mock_options.keep; i++) {
		gw_buf_init(&kept[i].head, 2 << 20);
		gw_buf_init(&kept[i].body, MOCK_MAX_REQUEST);
	}
}

static bool rule_fits(const struct rule *r, struct gw_str model)
{
	return r->count > 0 && (r->model[0] == '*' || gw_str_eq(gw_str_z(r->model), model));
}

bool mock_rule_take(struct gw_str model, char *out, size_t n)
{
	bool found = false;

	if (atomic_load_explicit(&n_rules, memory_order_acquire) == 0)
		return false;
	uv_mutex_lock(&lock);
	for (unsigned i = 0; i < n_rules && !found; i++) {
		/* NIL model: the head of a request, when only `early` can be meant */
		if (model.p ? !rule_fits(&rules[i], model)
			    : rules[i].count == 0 || strcmp(rules[i].fault, "early") != 0)
			continue;
		if (rules[i].after > 0) {
			rules[i].after--;
			continue;
		}
		if (model.p && strcmp(rules[i].fault, "early") == 0)
			continue;
		rules[i].count--;
		memcpy(out, rules[i].fault, n < sizeof(rules[i].fault) ? n : sizeof(rules[i].fault));
		found = true;
	}
	uv_mutex_unlock(&lock);
	return found;
}

void mock_journal(struct mock_conn *c)
{
	struct kept *k;

	if (!kept)
		return;
	uv_mutex_lock(&lock);
	k = &kept[n_kept++ % mock_options.keep];
	gw_buf_clear(&k->head, 65536);
	gw_buf_clear(&k->body, 65536);
	gw_buf_puts(&k->head, c->rq.head);
	gw_buf_puts(&k->body, c->rq.body);
	k->serial = c->serial;
	k->connection = c->id;
	uv_mutex_unlock(&lock);
}

static void copy_text(char *to, size_t size, yyjson_val *v)
{
	size_t n = yyjson_get_len(v) < size ? yyjson_get_len(v) : size - 1;

	if (yyjson_is_str(v))
		memcpy(to, yyjson_get_str(v), n), to[n] = '\0';
}

static bool add_rule(yyjson_val *v)
{
	struct rule r = { .model = "*", .count = 1 };
	unsigned at = 0;
	bool fits;

	copy_text(r.model, sizeof(r.model), yyjson_obj_get(v, "model"));
	copy_text(r.fault, sizeof(r.fault), yyjson_obj_get(v, "fault"));
	if (strcmp(r.fault, "early-response") == 0)
		memcpy(r.fault, "early", 6);
	if (yyjson_obj_get(v, "count"))
		r.count = yyjson_get_uint(yyjson_obj_get(v, "count"));
	r.after = yyjson_get_uint(yyjson_obj_get(v, "after"));
	if (strcmp(r.fault, "none") != 0 && !mock_fault_find(gw_str_z(r.fault)))
		return false;
	uv_mutex_lock(&lock);
	while (at < n_rules && rules[at].count > 0)
		at++;
	fits = at < MAX_RULES;
	if (fits) {
		rules[at] = r;
		if (at == n_rules)
			atomic_store_explicit(&n_rules, at + 1, memory_order_release);
	}
	uv_mutex_unlock(&lock);
	return fits;
}

static void set_tune(yyjson_val *v)
{
	struct mock_tune *t = &mock_options.tune;
	struct {
		const char *name;
		uint64_t *to;
	} rows[] = {
		{ "delay_ms", &t->delay_ms }, { "chunk_ms", &t->chunk_ms }, { "chunks", &t->chunks },
		{ "bytes", &t->bytes },       { "cut", &t->cut },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (yyjson_is_uint(yyjson_obj_get(v, rows[i].name)))
			*rows[i].to = yyjson_get_uint(yyjson_obj_get(v, rows[i].name));
}

bool mock_control_script(const char *path)
{
	yyjson_doc *doc = yyjson_read_file(path, 0, NULL, NULL);
	yyjson_val *root = yyjson_doc_get_root(doc), *rule;
	size_t i, n;
	bool ok = yyjson_is_obj(root);

	set_tune(yyjson_obj_get(root, "tune"));
	yyjson_arr_foreach(yyjson_obj_get(root, "rules"), i, n, rule) ok = add_rule(rule) && ok;
	yyjson_doc_free(doc);
	return ok;
}

static void reset(void)
{
	uv_mutex_lock(&lock);
	atomic_store(&n_rules, 0);
	n_kept = 0;
	atomic_store(&mock_counts.requests, 0);
	atomic_store(&mock_counts.chat, 0);
	atomic_store(&mock_counts.streams, 0);
	atomic_store(&mock_counts.cancelled, 0);
	atomic_store(&mock_counts.bytes_in, 0);
	uv_mutex_unlock(&lock);
}

static void put_kept(struct gw_json_out *w, const struct kept *k)
{
	struct gw_buf b64;

	gw_buf_init(&b64, 2 * MOCK_MAX_REQUEST);
	gw_jw_obj(w);
	gw_jw_ku64(w, "serial", k->serial);
	gw_jw_ku64(w, "connection", k->connection);
	gw_b64_put(&b64, k->head.p, k->head.n);
	gw_jw_kstr(w, "head", gw_buf_view(&b64));
	gw_buf_clear(&b64, SIZE_MAX);
	gw_b64_put(&b64, k->body.p, k->body.n);
	gw_jw_kstr(w, "body", gw_buf_view(&b64));
	gw_jw_end_obj(w);
	gw_buf_done(&b64);
}

static void stats(struct mock_conn *c)
{
	struct gw_json_out w;
	struct gw_str last, name;
	uint64_t from, want = mock_options.keep;

	gw_buf_clear(&c->body, 65536);
	gw_jw_init(&w, &c->body);
	gw_jw_obj(&w);
	gw_jw_ku64(&w, "requests", mock_counts.requests);
	gw_jw_ku64(&w, "chat", mock_counts.chat);
	gw_jw_ku64(&w, "streams", mock_counts.streams);
	gw_jw_ku64(&w, "accepted", mock_counts.accepted);
	gw_jw_ku64(&w, "open_connections", mock_counts.open);
	gw_jw_ku64(&w, "cancelled", mock_counts.cancelled);
	gw_jw_ku64(&w, "bytes_in", mock_counts.bytes_in);
	gw_jw_ku64(&w, "tls_resumed", mock_counts.tls_resumed);
	gw_jw_key(&w, GW_LIT("bodies"));
	gw_jw_arr(&w);
	if (gw_str_cut(c->rq.query, '=', &name, &last) && gw_str_eq(name, GW_LIT("last")))
		(void)gw_str_u64(last, &want);
	uv_mutex_lock(&lock);
	want = want < mock_options.keep ? want : mock_options.keep;
	from = n_kept > want ? n_kept - want : 0;
	for (; kept && from < n_kept; from++)
		put_kept(&w, &kept[from % mock_options.keep]);
	uv_mutex_unlock(&lock);
	gw_jw_end_arr(&w);
	gw_jw_end_obj(&w);
	mock_whole(c, 200, "application/json", gw_buf_view(&c->body), "");
}

void mock_control(struct mock_conn *c)
{
	struct gw_str path = c->rq.path;
	yyjson_doc *doc;
	bool ok = true;

	if (gw_str_eq(path, GW_LIT("/mock/stats"))) {
		stats(c);
		return;
	}
	if (gw_str_eq(path, GW_LIT("/mock/scripts"))) {
		mock_script_list(c);
		return;
	}
	doc = yyjson_read(c->rq.body.p ? c->rq.body.p : "", c->rq.body.n, 0);
	if (gw_str_eq(path, GW_LIT("/mock/next")))
		ok = add_rule(yyjson_doc_get_root(doc));
	else if (gw_str_eq(path, GW_LIT("/mock/tune")))
		set_tune(yyjson_doc_get_root(doc));
	else if (gw_str_eq(path, GW_LIT("/mock/reset")))
		reset();
	else
		ok = false;
	yyjson_doc_free(doc);
	if (ok)
		mock_whole(c, 200, "application/json", GW_LIT("{\"ok\":true}"), "");
	else
		mock_error(c, 400, "invalid_request_error", "bad_rule", "unknown path, unknown fault or too many rules",
			   "");
}
