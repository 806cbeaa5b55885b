#pragma once
#include "lib/err.h"

/* What to do about an error (schemas/remedies.def); "" where the row's own text says it. */
const char *gw_err_remedy(enum gw_err e);
