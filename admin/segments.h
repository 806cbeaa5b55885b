#pragma once
#include "core/record.h"
#include "lib/segment.h"

/* Segment files as the admin process reads them: listed, mapped one at a time, never written. */
struct gw_adm_segment {
	char name[96];
	uint64_t no;
};
struct gw_adm_segments {
	struct gw_adm_segment *v;
	size_t n;
};
/* Files of the class, oldest first. */
GW_MUST enum gw_err gw_adm_segments_list(const char *dir, enum gw_seg_class cls, struct gw_adm_segments *out);
void gw_adm_segments_free(struct gw_adm_segments *s);
/* Mapped whole; unmap with gw_adm_segment_close. */
GW_MUST enum gw_err gw_adm_segment_open(const char *dir, const char *name, struct gw_str *bytes);
void gw_adm_segment_close(struct gw_str *bytes);

/* What a caller may see and wants to see. */
struct gw_adm_want {
	enum gw_seg_class cls;
	int64_t from_us, to_us;
	struct gw_str org, team; /* tenant limits of the caller; empty = all */
	struct gw_str user; /* member: own records only */
	struct gw_record_filter *filter;
	struct gw_str text; /* somewhere in error or error_detail; empty = any */
	bool with_starts;
};
/* Unpacks a request record; false when it is not wanted. */
bool gw_adm_want_record(const struct gw_adm_want *want, const struct gw_seg_record *rec, struct gw_record *r);
bool gw_adm_want_admin(const struct gw_adm_want *want, const struct gw_seg_record *rec, struct gw_admin_record *r);
/* The record as one JSON object, or false when it is not wanted. */
bool gw_adm_record_json(const struct gw_adm_want *want, const struct gw_seg_record *rec, struct gw_buf *out);
struct gw_adm_req;
/* The query parameters class, from, to, starts, filter, and the caller's own limits. *why on failure. */
GW_MUST enum gw_err gw_adm_want_read(struct gw_adm_req *q, struct gw_arena *a, struct gw_adm_want *w,
				     struct gw_str *why);
