#pragma once
/* Shared by the fuzz targets: input as a view in memory of its exact size, and a check that stays on in every build. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MUST_HOLD(cond)                                                                                                \
	do {                                                                                                           \
		if (!(cond)) {                                                                                         \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                     \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

static inline struct gw_str input(const uint8_t *data, size_t n)
{
	return gw_str((const char *)data, n);
}
