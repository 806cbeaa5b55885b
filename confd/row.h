#pragma once
#include "confd/core.h"

/* Image rows, kept beside their objects: an object is turned into the form that workers read once, when it is written, so
 * that building an image is copying. */
GW_MUST enum gw_err gw_row_put(struct gw_txn *t, enum gw_cf_kind kind, struct gw_str key, const yyjson_val *obj);
/* At start: when this program makes other rows than the one that wrote the store, all are made anew. */
GW_MUST enum gw_err gw_rows_open(struct gw_core *core);
