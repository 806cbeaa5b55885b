/* account: what it was and what it cost; END goes into the ring, then the last bytes leave. */
#include "core/price.h"
#include "core/provider.h"
#include "lib/sys/clock.h"
#include "worker/api.h"
#include "worker/guess.h"

static uint64_t us_between(uint64_t from, uint64_t to)
{
	return from && to > from ? (to - from) / 1000 : 0;
}

static void name_deployment(struct gw_req *r)
{
	struct gw_record *rec = &r->rec;

	if (r->at.candidate < 0)
		return;
	const struct gw_candidate *c = &r->plan.candidates[r->at.candidate];
	rec->deployment = c->deployment;
	rec->provider = c->provider;
	rec->upstream_model = c->upstream_model;
	rec->region = c->region;
	rec->credential = c->credential;
	rec->credential_version = r->use_next_secret ? c->credential_next_version : c->credential_version;
	rec->upstream_request_id = r->at.upstream_request_id;
	rec->upstream_status = (uint64_t)r->at.status;
	rec->upstream_error = r->at.said;
}

/* Pictures whose tokens nobody told have a price for each size and quality. */
static bool is_picture(const struct gw_req *r)
{
	return r->api && r->usage.images && r->api->units.size.n && !r->usage.input && !r->usage.output;
}

/* The list that a request is billed by: of those of the plan, the first that holds now. Where that is the catalogue's and the provider
 * says that another model answered (a router, a dated snapshot), that model's. */
static const struct gw_price *list_of(struct gw_req *r, const struct gw_candidate *c, struct gw_price *told)
{
	const struct gw_price *p = gw_price_at(c->prices, c->n_prices, r->rec.ts_start_us);
	char room[GW_PRICE_VERSION_BYTES];

	if (!(p && p->is_operators) && is_picture(r) &&
	    gw_price_find_picture(gw_str_z(gw_providers[c->provider_type].name), c->priced_model, r->api->units.quality,
				  r->api->units.size, told, room)) {
		told->version = gw_arena_str(&r->arena, told->version);
		return told;
	}
	if ((p && p->is_operators) || c->is_base_model || !r->response_model.n ||
	    gw_str_eq(r->response_model, c->upstream_model) ||
	    !gw_price_find_exact(gw_str_z(gw_providers[c->provider_type].name), r->response_model, told, room))
		return p;
	told->version = gw_arena_str(&r->arena, told->version);
	return told;
}

void gw_account_price(struct gw_req *r, struct gw_cost *cost, struct gw_str *version)
{
	struct gw_price told;
	const struct gw_price *p = list_of(r, &r->plan.candidates[r->at.candidate], &told);

	gw_cost_of(p, &r->usage, cost);
	*version = !cost->is_known ? GW_NIL : cost->is_providers ? GW_LIT("provider") : p->version;
}

/* What failed attempts cost is in the sum, and told beside it. */
static void add_failed(struct gw_req *r)
{
	struct gw_record *rec = &r->rec;

	rec->cost_failed_nanousd = r->failed_nanousd;
	rec->is_unpriced |= r->is_failed_unpriced;
	if (__builtin_add_overflow(rec->cost_nanousd, r->failed_nanousd, &rec->cost_nanousd))
		rec->cost_nanousd = INT64_MAX;
}

static void put_cost(struct gw_req *r)
{
	struct gw_record *rec = &r->rec;
	struct gw_cost cost;

	if (r->usage.is_known || rec->units) {
		gw_account_price(r, &cost, &rec->price);
		rec->is_unpriced = !cost.is_known;
		rec->cost_nanousd = cost.total;
		rec->cost_input_nanousd = cost.input;
		rec->cost_output_nanousd = cost.output;
		rec->input_price_pusd = cost.input_price;
		rec->output_price_pusd = cost.output_price;
	}
	if (r->failed_nanousd || r->is_failed_unpriced)
		add_failed(r);
}

static void put_usage(struct gw_req *r)
{
	const struct gw_usage *u = &r->usage;
	struct gw_record *rec = &r->rec;

	rec->tokens_input = u->input;
	rec->tokens_output = u->output;
	rec->tokens_cached = u->cache_read;
	rec->tokens_reasoning = u->reasoning;
	rec->tokens_cache_write_5m = u->cache_write_5m;
	rec->tokens_cache_write_1h = u->cache_write_1h;
	rec->tokens_audio_in = u->audio_in;
	rec->tokens_audio_out = u->audio_out;
	rec->tokens_image_in = u->image_in;
	rec->tokens_image_out = u->image_out;
	rec->web_searches = u->searches;
	rec->provider_cost_nanousd = u->has_cost ? (int64_t)(u->provider_cost & INT64_MAX) : 0;
	if (u->tier != GW_TIER_DEFAULT)
		rec->service_tier = gw_str_z(gw_tier_name((enum gw_tier)u->tier));
	rec->is_estimated |= u->is_estimated;
	rec->usage_source = u->is_partial     ? GW_LIT("partial")
			    : u->is_estimated ? GW_LIT("estimated")
			    : u->is_known     ? GW_LIT("provider")
					      : GW_LIT("none");
}

static void take_times(struct gw_req *r, uint64_t now)
{
	struct gw_record *rec = &r->rec;
	const struct gw_up_times *t = &r->at.times;

	rec->total_us = us_between(r->first_byte_ns, now);
	rec->ttft_us = r->err ? 0 : us_between(r->first_byte_ns, r->first_content_ns);
	/* Waiting for the provider: in relay from "sent", and while the client's own bytes were on the way. */
	rec->upstream_us =
	    r->parts_us + us_between(t->sent_ns ? t->sent_ns : t->queued_ns, t->end_ns ? t->end_ns : now);
	rec->queue_us = us_between(t->queued_ns, t->connected_ns ? t->connected_ns : t->sent_ns);
	rec->connect_us = r->at.is_reused ? 0 : us_between(t->queued_ns, t->connected_ns);
	uint64_t waited = rec->upstream_us + us_between(r->first_byte_ns, r->rq_done_ns);
	rec->overhead_us = rec->total_us > waited ? rec->total_us - waited : 0;
}

/* Steps that took no time tell nothing. */
enum { STEP_SHOWN_NS = 10000 };

static char *put_u64(char *at, uint64_t v)
{
	char digits[20];
	size_t n = sizeof(digits);

	do {
		digits[--n] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	memcpy(at, digits + n, sizeof(digits) - n);
	return at + sizeof(digits) - n;
}

static void put_steps(struct gw_req *r)
{
	char text[GW_STEP_COUNT * 48], *at = text;

	for (int i = 0; i < GW_STEP_COUNT; i++) {
		size_t n;

		if (r->step_ns[i] < STEP_SHOWN_NS)
			continue;
		if (at > text)
			*at++ = ',';
		n = strlen(gw_steps[i].name); /* names of steps are short words */
		memcpy(at, gw_steps[i].name, n);
		at += n;
		*at++ = '=';
		at = put_u64(at, r->step_ns[i] / 1000);
	}
	if (at > text)
		r->rec.steps_us = gw_arena_str(&r->arena, gw_str(text, (size_t)(at - text)));
}

static void fill(struct gw_req *r)
{
	struct gw_record *rec = &r->rec;

	name_deployment(r);
	take_times(r, gw_now_ns());
	rec->response_model = r->response_model;
	rec->finish_reason = r->finish_reason;
	rec->attempts = r->attempts;
	if (gw_buf_len(&r->attempt_log) && (r->attempts > 1 || r->n_passed_over || r->err))
		rec->attempt_log = gw_arena_printf(&r->arena, "[%.*s]", GW_FMT(gw_buf_view(&r->attempt_log)));
	rec->status = (uint64_t)r->status;
	gw_guess_usage(r);
	if (r->api)
		gw_api_account(r);
	put_usage(r);
	if (r->at.candidate >= 0)
		put_cost(r);
	rec->bytes_out = r->bytes_out + (r->out == GW_OUT_STREAMING ? r->tail.n : 0);
	rec->chunks = r->chunks;
	put_steps(r);
}

static enum gw_labelled class_of(int status)
{
	if (status >= 200 && status < 300)
		return GW_L_requests_2xx;
	return status >= 400 && status < 500 ? GW_L_requests_4xx : GW_L_requests_5xx;
}

/* The cell of these labels. Printing and finding them costs more than all the counting, so those seen last are remembered; cells
 * stay where they are as long as the process lives. */
static struct gw_cell *cell_of(struct gw_worker *w, const struct gw_record *rec)
{
	struct gw_cell_ids ids = { rec->model, rec->provider, rec->deployment, rec->org, rec->team };
	const struct gw_str part[] = { rec->model, rec->provider, rec->deployment, rec->org, rec->team };
	char text[GW_CELL_MEMO_BYTES], *at = text;
	uint64_t h = 0;

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		if (part[i].n >= (size_t)(text + sizeof(text) - at))
			return gw_slot_cell(w->page, &ids);
		if (part[i].n)
			memcpy(at, part[i].p, part[i].n);
		at += part[i].n;
		*at++ = 0; /* ids hold no NUL */
		h = h * 31 + part[i].n + (uint8_t)at[-1 - (part[i].n > 0)];
	}
	struct gw_cell_memo *m = &w->cell_memo[h % GW_CELL_MEMOS];
	size_t n = (size_t)(at - text);

	if (m->cell && m->n == n && memcmp(m->text, text, n) == 0)
		return m->cell;
	m->cell = gw_slot_cell(w->page, &ids);
	m->n = n;
	memcpy(m->text, text, n);
	return m->cell;
}

static void count(struct gw_req *r)
{
	const struct gw_record *rec = &r->rec;
	struct gw_cell *c = cell_of(r->w, rec);
	bool is_cut = r->err && r->out == GW_OUT_STREAMING;

	gw_count(&c->counter[is_cut ? GW_L_requests_5xx : class_of(r->status)], 1);
	gw_count(&c->counter[GW_L_tokens_input], rec->tokens_input);
	gw_count(&c->counter[GW_L_tokens_output], rec->tokens_output);
	gw_count(&c->counter[GW_L_tokens_cached], rec->tokens_cached);
	gw_count(&c->counter[GW_L_tokens_reasoning], rec->tokens_reasoning);
	gw_count(&c->counter[GW_L_tokens_cache_write], rec->tokens_cache_write_5m + rec->tokens_cache_write_1h);
	gw_count(&c->counter[GW_L_requests_unpriced], rec->is_unpriced);
	gw_count(&c->counter[GW_L_requests_estimated], r->usage.is_estimated);
	gw_count(&c->counter[GW_L_cost_nanousd], (uint64_t)rec->cost_nanousd);
#ifdef GW_PLANT_double_count
	gw_count(&c->counter[GW_L_cost_nanousd], (uint64_t)rec->cost_nanousd);
#endif
	gw_count(&c->counter[GW_L_attempts_failed], r->attempts - r->n_parts - (r->attempts && !r->err ? 1 : 0));
	gw_observe(&c->hist[GW_LH_duration], rec->total_us);
	if (rec->ttft_us)
		gw_observe(&c->hist[GW_LH_ttft], rec->ttft_us);
	gw_observe(&c->hist[GW_LH_overhead], rec->overhead_us);
	gw_count(&r->w->page->metric[GW_M_stream_chunks], r->chunks);
}

enum gw_step_id gw_step_account(struct gw_req *r)
{
	if (r->owes_end) {
		fill(r);
		gw_record_end(r);
		count(r);
	}
	gw_answer_deliver(r);
	return GW_STEP_end;
}
