#pragma once
#include <stdint.h>

/* Log-linear histogram of u64 values (HDR style): 2^sub_bits buckets per power of two, so the relative error is at
 * most 2^-sub_bits. Counters lie in the caller's array (gw_hist_slots(sub_bits, max_bits) entries), which may be shared memory with
 * one writer; readers may sum several arrays. */
enum { GW_HIST_SUB_BITS = 10 }; /* 0.1 % for bench */
uint32_t gw_hist_slots(uint32_t sub_bits, uint32_t max_bits);
uint32_t gw_hist_index(uint64_t v, uint32_t sub_bits, uint32_t max_bits);
/* Highest value that falls into slot i. */
uint64_t gw_hist_value(uint32_t i, uint32_t sub_bits);
/* Value at quantile q (0..1) over n slots; 0 when empty. */
uint64_t gw_hist_quantile(const uint64_t *slots, uint32_t n, uint32_t sub_bits, double q);
