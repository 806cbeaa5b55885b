#pragma once
#include "core/record.h"

/* The shape of the index of requests (rows: schemas/index.def): its tables as text of SQL, and where a row's record lies. The exporter
 * writes it, the admin process reads it; neither knows a column by name.
 *
 *   request   pos, one column per row of index.def       seg      the segments and how far each is read
 *   dim       texts that columns of kind DIM stand for   tuple    combinations of the dims of roll-ups
 *   rollup    span (1 = minute, 60 = hour), at (minutes since 1970), tuple, packed sums (core/rollup.h)
 *   meta      numbers by name: coverage_us, caught_up
 *
 * pos = segment id << 32 | offset of the record's frame / 8: unique, and newest last. */
enum gw_icol_how { GW_IC_DIM, GW_IC_NUM, GW_IC_TEXT, GW_IC_ID };
enum gw_icol_index { GW_II_NONE, GW_II_UNIQUE, GW_II_ALL, GW_II_SET };
struct gw_icol {
	const char *name;
	enum gw_icol_how how;
	enum gw_icol_index index;
	enum gw_record_id field;
};
enum gw_icol_id {
#define GW_ICOL(field, how, index) GW_ICOL_##field,
#include "schemas/index.def"
#undef GW_ICOL
	GW_ICOL_COUNT
};
extern const struct gw_icol gw_icols[GW_ICOL_COUNT];
const struct gw_icol *gw_icol_by_name(struct gw_str name);

/* How far a segment is read. */
enum gw_iseg_state { GW_IS_ACTIVE, GW_IS_DONE, GW_IS_EXPIRED /* its rows are gone, or were never taken */ };

static inline int64_t gw_ipos(uint32_t seg, uint64_t offset)
{
	return (int64_t)((uint64_t)seg << 32 | offset >> 3);
}
static inline uint32_t gw_ipos_seg(int64_t pos)
{
	return (uint32_t)((uint64_t)pos >> 32);
}
static inline uint64_t gw_ipos_offset(int64_t pos)
{
	return ((uint64_t)pos & UINT32_MAX) << 3;
}

void gw_index_create_sql(struct gw_buf *out);
void gw_index_insert_sql(struct gw_buf *out, unsigned rows); /* of each row: pos, then the columns */
/* Of the tables above: another number is another index. Positive, for PRAGMA user_version. */
int32_t gw_index_version(void);
/* "requests-00000007.db" -> 7. */
bool gw_index_name_read(struct gw_str name, uint64_t *no);
