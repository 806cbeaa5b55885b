/* core/price without a server, for tests/flow/43_cost.py: a bill a line on stdin, all of it numbers between spaces,
 *   N (class tier above_k pico) * N  flex% priority% batch%  is_anthropic  tier search_size  input output cache_read cache_write_5m
 *   cache_write_1h audio_in image_in reasoning audio_out image_out searches queries images seconds characters pixels
 * and "is_known total input output" a line on stdout. With the word `classes` it prints the names of the classes, a line each. */
#include <stdio.h>
#include <stdlib.h>
#include "core/price.h"

enum { MAX_RATES = 200, MAX_LINE = 1 << 16 };

static uint64_t next(char **at)
{
	return strtoull(*at, at, 10);
}

static void bill(char *line)
{
	struct gw_price_rate rates[MAX_RATES];
	struct gw_price p = { .rates = rates, .n = (uint32_t)next(&line) };
	struct gw_usage u = { .is_known = true };
	uint64_t *counts[] = { &u.input,          &u.output,    &u.cache_read, &u.cache_write_5m,
			       &u.cache_write_1h, &u.audio_in,  &u.image_in,   &u.reasoning,
			       &u.audio_out,      &u.image_out, &u.searches,   &u.queries,
			       &u.images,         &u.seconds,   &u.characters, &u.pixels };
	struct gw_cost c;

	for (uint32_t i = 0; i < p.n && i < MAX_RATES; i++) {
		rates[i].cls = (uint8_t)next(&line);
		rates[i].tier = (uint8_t)next(&line);
		rates[i].above_k = (uint16_t)next(&line);
		rates[i].pico = next(&line);
	}
	for (int t = GW_TIER_FLEX; t <= GW_TIER_BATCH; t++)
		p.percent[t] = (uint16_t)next(&line);
	p.is_anthropic = next(&line) != 0;
	u.tier = (uint8_t)next(&line);
	u.search_size = (uint8_t)next(&line);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		*counts[i] = next(&line);
	gw_cost_of(&p, &u, &c);
	printf("%d %lld %lld %lld\n", c.is_known, (long long)c.total, (long long)c.input, (long long)c.output);
}

int main(int argc, char **argv)
{
	static char line[MAX_LINE];

	if (argc > 1 && argv[1][0] == 'c') {
		for (int i = 0; i < GW_PC_COUNT; i++)
			puts(gw_price_class_name((enum gw_price_class)i));
		return 0;
	}
	while (fgets(line, sizeof(line), stdin))
		bill(line);
	return 0;
}
