#pragma once
#include "lib/arena.h"
#include "lib/str.h"

/* What an error body says, wherever its maker puts it; shared by core/upstream_error.c and core/error_parts.c. */
struct gw_error_parts {
	struct gw_str message, code, type, param, request_id;
	struct gw_str inner_code; /* Azure: error.innererror.code */
	struct gw_str reason, rpc_status; /* Google: error.details[].reason, error.status */
	int status; /* told in the body: error.code or status_code as a number */
	uint64_t retry_ms; /* Google: RetryInfo.retryDelay */
	bool is_quota, is_per_day; /* Google: a QuotaFailure; one of a quota a day */
	bool is_flagged; /* OpenRouter: error.metadata names reasons of moderation */
};
enum { GW_ERROR_BODY_BYTES = 65536 };
/* False when the body is no JSON object, no array with one, or too long; *out has nothing then. Texts are in the arena or views of body. */
bool gw_error_parts_read(struct gw_arena *a, struct gw_str body, struct gw_error_parts *out);
