/* Log-linear histogram arithmetic (lib/hist.h). Below 2^(sub_bits+1) each value has a slot of its own; above, each
 * power of two is cut into 2^sub_bits slots. */
#include "lib/hist.h"

static uint32_t index_of(uint64_t v, uint32_t sub_bits)
{
	uint32_t msb = v ? 63u - (uint32_t)__builtin_clzll(v) : 0;
	uint32_t shift = msb > sub_bits ? msb - sub_bits : 0;

	return (shift << sub_bits) + (uint32_t)(v >> shift);
}

uint32_t gw_hist_slots(uint32_t sub_bits, uint32_t max_bits)
{
	return index_of(max_bits < 64 ? (1ull << max_bits) - 1 : UINT64_MAX, sub_bits) + 1;
}

uint32_t gw_hist_index(uint64_t v, uint32_t sub_bits, uint32_t max_bits)
{
	if (max_bits < 64 && v >> max_bits) /* larger values share the last slot */
		v = (1ull << max_bits) - 1;
	return index_of(v, sub_bits);
}

uint64_t gw_hist_value(uint32_t i, uint32_t sub_bits)
{
	uint64_t one = 1ull << sub_bits;
	uint32_t shift;

	if (i < 2 * one)
		return i;
	shift = (i >> sub_bits) - 1;
	return (((i & (one - 1)) | one) + 1) * (1ull << shift) - 1; /* wraps to the highest value in the last slot */
}

/* Counters may be in shared memory with a writer at work: one plain read each. */
static uint64_t count_at(const uint64_t *slots, uint32_t i)
{
	return __atomic_load_n(&slots[i], __ATOMIC_RELAXED);
}

uint64_t gw_hist_quantile(const uint64_t *slots, uint32_t n, uint32_t sub_bits, double q)
{
	uint64_t total = 0, rank, seen = 0;
	uint32_t last = 0;
	double exact;

	for (uint32_t i = 0; i < n; i++)
		total += count_at(slots, i);
	if (total == 0)
		return 0;
	q = q < 0 ? 0 : q > 1 ? 1 : q;
	exact = q * (double)total;
	rank = (uint64_t)exact;
	if ((double)rank < exact || rank == 0)
		rank++;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t c = count_at(slots, i);

		seen += c;
		if (c)
			last = i;
		if (seen >= rank)
			break;
	}
	return gw_hist_value(last, sub_bits);
}
