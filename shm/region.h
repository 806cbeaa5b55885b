#pragma once
#include "lib/sys/map.h"
#include "shm/heritage.h"

/* A shared file: a header that says exactly what it is, then the content. A process whose code has another layout
 * (layout hash from struct sizes and rows) refuses to map it. Offsets only, never pointers. */
struct gw_region_head {
	uint64_t magic; /* 'LLMGWSHM' */
	uint64_t size_bytes;
	uint64_t layout_hash; /* of the kind */
	char kind[16];
	uint8_t pad[24];
};
_Static_assert(sizeof(struct gw_region_head) == 64, "one cache line");

/* Makes (fully allocated) or opens the file; *was_there tells. An existing file of another layout or size is replaced only
 * when may_replace, else GW_E_CORRUPT. */
GW_MUST enum gw_err gw_region_make(const char *path, const char *kind, uint64_t layout_hash, size_t size,
				   bool may_replace, bool *was_there, struct gw_map *out);
GW_MUST enum gw_err gw_region_open(const char *path, const char *kind, uint64_t layout_hash, bool is_writable,
				   struct gw_map *out);
/* FNV-1a over any text, for layout hashes. */
uint64_t gw_layout_hash(const char *text, size_t n);
