/* A slot's counters and labelled cells, and the sums over slots that /metrics prints. */
#include "tests/unit/shm/shm_test.h"
#include "shm/counters_read.h"

static struct gw_slot *fresh_slot(int n)
{
	char path[256];
	struct gw_slot *s;

	assert_int_equal(gw_region_path(path, test_dir, "slot", n), GW_OK);
	unlink(path);
	assert_int_equal(gw_slot_make(test_dir, n, &s), GW_OK);
	return s;
}

static void drop_slot(struct gw_slot *s, int n)
{
	char path[256];
	struct gw_map m = { s, sizeof(*s) };

	assert_int_equal(gw_region_path(path, test_dir, "slot", n), GW_OK);
	unlink(path);
	gw_unmap(&m);
}

static struct gw_cell_ids ids(const char *model, const char *org)
{
	return (struct gw_cell_ids){ gw_str_z(model), GW_LIT("openai"), GW_LIT("dep-1"), gw_str_z(org), GW_LIT("t") };
}

static struct gw_cell_ids ids_v(struct gw_str model, struct gw_str rest)
{
	return (struct gw_cell_ids){ model, rest, rest, rest, rest };
}

static void counters_outlive_the_process(void **state)
{
	struct gw_slot *s = fresh_slot(0), *again;

	(void)state;
	gw_count(&s->metric[GW_M_connections_accepted], 5);
	gw_gauge(&s->metric[GW_M_connections], 3);
	gw_gauge(&s->metric[GW_M_leases], 2);
	atomic_store(&s->is_ready, 1);
	assert_int_equal(gw_slot_make(test_dir, 0, &again), GW_OK);
	gw_slot_start(again, 77, 9);
	assert_int_equal(atomic_load(&s->pid), 77);
	assert_int_equal(atomic_load(&s->epoch), 9);
	assert_int_equal(atomic_load(&s->is_ready), 0);
	assert_int_equal(atomic_load(&s->metric[GW_M_connections_accepted]), 5);
	assert_int_equal(atomic_load(&s->metric[GW_M_connections]), 0);
	assert_int_equal(atomic_load(&s->metric[GW_M_leases]), 0);
	drop_slot(s, 0);
}

static void error_codes_have_words(void **state)
{
	(void)state;
	assert_int_equal(gw_slot_error_index(GW_OK), 0);
	assert_int_equal(gw_slot_error_index((enum gw_err) - 1), 0);
	assert_int_equal(gw_slot_error_index((enum gw_err) - 5000), 0);
	assert_int_equal(gw_slot_error_index(GW_E_END_), 0);
	for (int e = GW_E_BASE_ + 1; e < GW_E_END_; e++)
		assert_int_equal(gw_slot_error_index((enum gw_err)e), e - GW_E_BASE_);
}

static void buckets(void **state)
{
	static struct gw_shm_hist h;

	(void)state;
	for (unsigned i = 0; i < GW_HIST_BUCKETS - 1; i++) {
		uint64_t bound = gw_hist_bound_us(i);

		memset(&h, 0, sizeof(h));
		gw_observe(&h, bound); /* "le" includes the bound */
		assert_int_equal(atomic_load(&h.bucket[i]), 1);
		gw_observe(&h, bound + 1);
		assert_int_equal(atomic_load(&h.bucket[i + 1]), 1);
		assert_int_equal(atomic_load(&h.count), 2);
		assert_int_equal(atomic_load(&h.sum), 2 * bound + 1);
	}
	memset(&h, 0, sizeof(h));
	gw_observe(&h, 0);
	gw_observe(&h, UINT64_MAX);
	assert_int_equal(atomic_load(&h.bucket[0]), 1);
	assert_int_equal(atomic_load(&h.bucket[GW_HIST_BUCKETS - 1]), 1);
	assert_int_equal(gw_hist_bound_us(0), 64);
	assert_true(gw_hist_bound_us(GW_HIST_BUCKETS - 1) == UINT64_MAX);
}

static void cells_are_found_again(void **state)
{
	struct gw_slot *s = fresh_slot(0);
	struct gw_cell_ids a = ids("gpt-4o", "o1"), b = ids("gpt-4o", "o2");
	struct gw_cell *ca = gw_slot_cell(s, &a), *cb = gw_slot_cell(s, &b);

	(void)state;
	assert_ptr_not_equal(ca, cb);
	assert_ptr_equal(gw_slot_cell(s, &a), ca);
	assert_ptr_equal(gw_slot_cell(s, &b), cb);
	assert_string_equal(ca->labels,
			    "model=\"gpt-4o\",provider=\"openai\",deployment=\"dep-1\",org=\"o1\",team=\"t\"");
	assert_int_equal(atomic_load(&s->n_cells), 2);
	/* Values do not run into each other. */
	struct gw_cell_ids c = { GW_LIT("ab"), GW_LIT("c"), GW_NIL, GW_NIL, GW_NIL };
	struct gw_cell_ids d = { GW_LIT("a"), GW_LIT("bc"), GW_NIL, GW_NIL, GW_NIL };
	assert_ptr_not_equal(gw_slot_cell(s, &c), gw_slot_cell(s, &d));
	drop_slot(s, 0);
}

/* Two cells whose hashes begin at the same place live side by side; so do two with one hash and other labels. */
static void cells_with_one_home(void **state)
{
	struct gw_slot *s = fresh_slot(0);
	struct gw_cell_ids a = ids("m0", "o"), b;
	struct gw_cell *ca = gw_slot_cell(s, &a), *cb = NULL, *forged;
	uint64_t home = atomic_load(&ca->key) % GW_CELLS;
	char name[16];
	unsigned i;

	(void)state;
	for (i = 1; i < 100000; i++) {
		struct gw_slot *probe = s;

		snprintf(name, sizeof(name), "m%u", i);
		b = ids(name, "o");
		cb = gw_slot_cell(probe, &b);
		if (atomic_load(&cb->key) % GW_CELLS == home)
			break;
		atomic_store(&cb->key, 0); /* only looked */
		atomic_store(&s->n_cells, 1);
	}
	assert_true(i < 100000);
	assert_ptr_equal(cb, &s->cells[(home + 1) % GW_CELLS]);
	gw_count(&ca->counter[0], 1);
	gw_count(&cb->counter[0], 10);
	assert_ptr_equal(gw_slot_cell(s, &a), ca);
	assert_ptr_equal(gw_slot_cell(s, &b), cb);
	/* The same 64-bit hash, other labels: not the same cell. */
	ca->labels[7] = 'M';
	forged = gw_slot_cell(s, &a);
	assert_ptr_not_equal(forged, ca);
	assert_true(atomic_load(&forged->key) == atomic_load(&ca->key));
	drop_slot(s, 0);
}

static void labels_are_escaped_and_cut(void **state)
{
	struct gw_slot *s = fresh_slot(0);
	char longer[400];
	struct gw_cell_ids a = ids("a\"b\\c\nd", "o\x7f\xff");
	struct gw_cell *c = gw_slot_cell(s, &a), *c2;

	(void)state;
	assert_string_equal(c->labels,
			    "model=\"a\\\"b\\\\c_d\",provider=\"openai\",deployment=\"dep-1\",org=\"o__\",team=\"t\"");
	/* Five UUIDs fit whole. */
	struct gw_str uuid = GW_LIT("01890a5d-ac96-774b-bcce-b302099a8057");
	a = ids_v(uuid, uuid);
	c = gw_slot_cell(s, &a);
	assert_non_null(strstr(c->labels, "team=\"01890a5d-ac96-774b-bcce-b302099a8057\""));
	/* Long names with the same beginning stay apart and inside the cell. */
	memset(longer, 'x', sizeof(longer));
	a = ids_v(gw_str(longer, 300), uuid);
	c = gw_slot_cell(s, &a);
	a = ids_v(gw_str(longer, 301), uuid);
	c2 = gw_slot_cell(s, &a);
	assert_ptr_not_equal(c, c2);
	assert_true(strlen(c->labels) < GW_CELL_LABEL_BYTES);
	for (unsigned kind = 0; kind < 3; kind++) {
		for (size_t n = 0; n < sizeof(longer); n++) {
			for (size_t i = 0; i < n; i++)
				longer[i] = kind == 0 ? '"' : kind == 1 ? (char)(i % 2 ? 0xa4 : 0xc3) : (char)(i * 37);
			a = ids_v(gw_str(longer, n), gw_str(longer, n));
			c = gw_slot_cell(s, &a);
			assert_true(strnlen(c->labels, GW_CELL_LABEL_BYTES) < GW_CELL_LABEL_BYTES);
			assert_true(gw_str_is_utf8(gw_str_z(c->labels)));
			assert_memory_equal(c->labels, "model=\"", 7);
			assert_null(strpbrk(c->labels, "\n\r\t"));
		}
	}
	drop_slot(s, 0);
}

static void overflow_takes_the_rest(void **state)
{
	struct gw_slot *s = fresh_slot(0);
	struct gw_slots slots = { .slot = { s } };
	struct gw_cells *cells;
	unsigned n_own = 0, n_over = 0;
	uint64_t sum = 0, other = 0;

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		char name[16];
		struct gw_cell_ids a;
		struct gw_cell *c;

		snprintf(name, sizeof(name), "model-%u", i);
		a = ids(name, "o");
		c = gw_slot_cell(s, &a);
		n_over += c == &s->overflow;
		n_own += c != &s->overflow;
		gw_count(&c->counter[GW_L_requests_2xx], 1);
	}
	assert_int_equal(n_own, GW_CELLS / 8 * 7);
	assert_int_equal(n_over, 3000 - n_own);
	assert_int_equal(gw_cells_new(4096, &cells), GW_OK);
	assert_int_equal(gw_cells_gather(cells, &slots), n_own + 1);
	for (unsigned i = 0; i < n_own + 1; i++) {
		const struct gw_cell_sum *c = gw_cells_at(cells, i);

		sum += c->counter[GW_L_requests_2xx];
		if (strstr(c->labels, "model=\"other\""))
			other = c->counter[GW_L_requests_2xx];
		assert_true(i == 0 || strcmp(gw_cells_at(cells, i - 1)->labels, c->labels) < 0);
	}
	assert_int_equal(sum, 3000);
	assert_int_equal(other, n_over);
	gw_cells_free(cells);
	/* A smaller gatherer puts what does not fit into "other" too: nothing is lost. */
	assert_int_equal(gw_cells_new(100, &cells), GW_OK);
	for (unsigned turn = 0; turn < 2; turn++) {
		assert_int_equal(gw_cells_gather(cells, &slots), 101);
		sum = 0;
		for (unsigned i = 0; i < 101; i++)
			sum += gw_cells_at(cells, i)->counter[GW_L_requests_2xx];
		assert_int_equal(sum, 3000);
	}
	gw_cells_free(cells);
	drop_slot(s, 0);
}

static void sums_over_slots(void **state)
{
	struct gw_slot *s[3] = { fresh_slot(0), fresh_slot(1), fresh_slot(5) };
	struct gw_slots slots = { .is_live = { [0] = true, [5] = true } };
	struct gw_cell_ids a = ids("m", "o"), b = ids("n", "o");
	struct gw_hist_sum h;
	struct gw_cells *cells;
	const struct gw_cell_sum *c;

	(void)state;
	assert_int_equal(gw_slots_open(&slots, test_dir), 3);
	assert_int_equal(gw_slots_open(&slots, test_dir), 3);
	for (unsigned i = 0; i < 3; i++) {
		gw_count(&s[i]->metric[GW_M_records_started], 10 + i);
		gw_gauge(&s[i]->metric[GW_M_connections], 100);
		gw_count(&s[i]->errors[gw_slot_error_index(GW_E_LIMIT)], 2);
		gw_observe(&s[i]->hist[GW_MH_loop_lag], 50ULL << i); /* 50, 100, 200 */
		gw_count(&gw_slot_cell(s[i], &a)->counter[GW_L_tokens_input], 7);
		gw_observe(&gw_slot_cell(s[i], &a)->hist[GW_LH_ttft], 1000);
	}
	gw_count(&gw_slot_cell(s[2], &b)->counter[GW_L_tokens_input], 1);
	assert_int_equal(gw_slots_sum(&slots, GW_M_records_started), 33);
	assert_int_equal(gw_slots_sum(&slots, GW_M_connections), 200); /* slot 1 is not alive */
	assert_int_equal(gw_slots_errors(&slots, GW_E_LIMIT), 6);
	assert_int_equal(gw_slots_errors(&slots, GW_E_BUSY), 0);
	gw_slots_hist(&slots, GW_MH_loop_lag, &h);
	assert_int_equal(h.count, 3);
	assert_int_equal(h.sum, 350);
	assert_int_equal(h.bucket[0], 1);
	assert_int_equal(h.bucket[1], 2);
	assert_int_equal(h.bucket[2], 3);
	assert_int_equal(h.bucket[GW_HIST_BUCKETS - 1], 3);
	assert_int_equal(gw_cells_new(64, &cells), GW_OK);
	assert_int_equal(gw_cells_gather(cells, &slots), 2);
	c = gw_cells_at(cells, 0);
	assert_non_null(strstr(c->labels, "model=\"m\""));
	assert_int_equal(c->counter[GW_L_tokens_input], 21);
	assert_int_equal(c->hist[GW_LH_ttft].count, 3);
	assert_int_equal(c->hist[GW_LH_ttft].sum, 3000);
	assert_int_equal(gw_cells_at(cells, 1)->counter[GW_L_tokens_input], 1);
	gw_cells_free(cells);
	gw_slots_close(&slots);
	drop_slot(s[0], 0);
	drop_slot(s[1], 1);
	drop_slot(s[2], 5);
}

/* A worker that was taken over writes into its own page: it can neither add lines to /metrics nor stop the reader. */
static void hostile_labels(void **state)
{
	struct gw_slot *s = fresh_slot(0);
	struct gw_slots slots = { .slot = { s } };
	struct gw_cells *cells;
	static const char *const bad[] = { "",
					   "x",
					   "model=\"a",
					   "model=\"a\"\nfake 1",
					   "m} 1",
					   "model=\"a\\\"",
					   "model=\"\xff\"",
					   "model=\"a\"}\t",
					   "model=\"a\" evil=\"b\"",
					   "model=\"a\nb\"",
					   "model=\"a\x7f\"" };
	uint64_t seed = 1;

	(void)state;
	assert_int_equal(gw_cells_new(4096, &cells), GW_OK);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(s->cells[i].labels, sizeof(s->cells[i].labels), "%s", bad[i]);
		atomic_store(&s->cells[i].key, i + 2);
	}
	memset(s->cells[50].labels, 'a', sizeof(s->cells[50].labels)); /* no NUL */
	atomic_store(&s->cells[50].key, 99);
	assert_int_equal(gw_cells_gather(cells, &slots), 0);
	for (unsigned round = 0; round < 20; round++) {
		for (size_t i = offsetof(struct gw_slot, beat_ns); i < sizeof(*s); i += 8) {
			uint64_t v = next_random(&seed);

			memcpy((char *)s + i, &v, 8);
		}
		gw_cells_gather(cells, &slots);
		gw_slots_sum(&slots, GW_M_bytes_in);
	}
	gw_cells_free(cells);
	drop_slot(s, 0);
}

static void rows_match_the_numbers(void **state)
{
	(void)state;
	assert_string_equal(gw_metric_rows[GW_M_bytes_out].name, "bytes_out");
	assert_int_equal(gw_metric_rows[GW_M_bytes_out].type, GW_COUNTER);
	assert_int_equal(gw_metric_rows[GW_M_connections].type, GW_GAUGE);
	assert_string_equal(gw_metric_hist_rows[GW_MH_swap_pause].name, "swap_pause");
	assert_string_equal(gw_labelled_rows[GW_L_cost_nanousd].name, "cost_nanousd");
	assert_string_equal(gw_labelled_hist_rows[GW_LH_ttft].name, "ttft");
	for (unsigned i = 0; i < GW_M_COUNT; i++)
		assert_true(strlen(gw_metric_rows[i].doc) > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_outlive_the_process),
		cmocka_unit_test(error_codes_have_words),
		cmocka_unit_test(buckets),
		cmocka_unit_test(cells_are_found_again),
		cmocka_unit_test(cells_with_one_home),
		cmocka_unit_test(labels_are_escaped_and_cut),
		cmocka_unit_test(overflow_takes_the_rest),
		cmocka_unit_test(sums_over_slots),
		cmocka_unit_test(hostile_labels),
		cmocka_unit_test(rows_match_the_numbers),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
