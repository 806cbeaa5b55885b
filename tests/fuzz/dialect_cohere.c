/* Requests, replies and streams of the Cohere dialect (dialect_input.h). */
#include "dialect_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	return run_dialect(&gw_cohere, data, n);
}
