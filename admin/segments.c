/* Listing, mapping and filtering of segments for queries and tails. */
#include "admin/segments.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int by_no(const void *a, const void *b)
{
	const struct gw_adm_segment *x = a, *y = b;

	return x->no < y->no ? -1 : x->no > y->no;
}

static bool read_name(const char *name, const char *prefix, struct gw_adm_segment *s)
{
	size_t n = strlen(name);

	if (n < 24 || n >= sizeof s->name || strcmp(name + n - 4, ".lga") != 0 ||
	    strncmp(name, prefix, strlen(prefix)) != 0)
		return false;
	memcpy(s->name, name, n + 1);
	return gw_str_u64(gw_str(name + n - 12, 8), &s->no);
}

enum gw_err gw_adm_segments_list(const char *dir, enum gw_seg_class cls, struct gw_adm_segments *out)
{
	const char *prefix = cls == GW_SEG_REQUEST ? "seg-request-" : "seg-admin-";
	DIR *d = opendir(dir);
	struct gw_adm_segment one;
	size_t cap = 0;

	*out = (struct gw_adm_segments){ 0 };
	if (!d)
		return GW_E_IO;
	for (struct dirent *e; (e = readdir(d));) {
		if (!read_name(e->d_name, prefix, &one))
			continue;
		if (out->n == cap) {
			struct gw_adm_segment *v = realloc(out->v, (cap = cap ? cap * 2 : 64) * sizeof *v);

			if (!v)
				break;
			out->v = v;
		}
		out->v[out->n++] = one;
	}
	closedir(d);
	if (out->n)
		qsort(out->v, out->n, sizeof out->v[0], by_no);
	return GW_OK;
}

void gw_adm_segments_free(struct gw_adm_segments *s)
{
	free(s->v);
	*s = (struct gw_adm_segments){ 0 };
}

enum gw_err gw_adm_segment_open(const char *dir, const char *name, struct gw_str *bytes)
{
	char path[700];
	struct stat st;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return GW_E_NOT_FOUND;
	void *p = fstat(fd, &st) == 0 && st.st_size > 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0)
							: MAP_FAILED;
	close(fd);
	if (p == MAP_FAILED)
		return GW_E_IO;
	*bytes = gw_str(p, (size_t)st.st_size);
	return GW_OK;
}

void gw_adm_segment_close(struct gw_str *bytes)
{
	if (bytes->p)
		munmap((void *)(uintptr_t)bytes->p, bytes->n);
	*bytes = GW_NIL;
}

static bool may_see(const struct gw_adm_want *w, struct gw_str org, struct gw_str team, struct gw_str user)
{
	return (!w->org.n || gw_str_eq(w->org, org)) && (!w->team.n || gw_str_eq(w->team, team)) &&
	       (!w->user.n || gw_str_eq(w->user, user));
}

static bool has(struct gw_str s, struct gw_str part)
{
	return s.n >= part.n && memmem(s.p, s.n, part.p, part.n) != NULL;
}

static bool has_text(const struct gw_record *r, struct gw_str text)
{
	return !text.n || has(r->error, text) || has(r->error_detail, text);
}

bool gw_adm_want_record(const struct gw_adm_want *want, const struct gw_seg_record *rec, struct gw_record *r)
{
	if (rec->type != GW_REC_END && !(want->with_starts && rec->type == GW_REC_START))
		return false;
	return gw_record_unpack(rec->body, r) == GW_OK && r->ts_start_us >= want->from_us &&
	       r->ts_start_us <= want->to_us && may_see(want, r->org, r->team, r->user) &&
	       (!want->filter || gw_record_filter_match(want->filter, r)) && has_text(r, want->text);
}

static bool request_json(const struct gw_adm_want *want, const struct gw_seg_record *rec, struct gw_buf *out)
{
	struct gw_record r;
	struct gw_json_out w;

	if (!gw_adm_want_record(want, rec, &r))
		return false;
	gw_jw_init(&w, out);
	gw_record_json(&r, &w);
	return !out->err;
}

bool gw_adm_want_admin(const struct gw_adm_want *want, const struct gw_seg_record *rec, struct gw_admin_record *r)
{
	/* admin acts belong to the platform: only callers without a tenant limit see them */
	return !want->org.n && rec->type == GW_REC_ADMIN && gw_admin_record_unpack(rec->body, r) == GW_OK &&
	       r->ts_us >= want->from_us && r->ts_us <= want->to_us &&
	       (!want->filter || gw_admin_filter_match(want->filter, r));
}

bool gw_adm_record_json(const struct gw_adm_want *want, const struct gw_seg_record *rec, struct gw_buf *out)
{
	struct gw_admin_record r;
	struct gw_json_out w;

	if (want->cls == GW_SEG_REQUEST)
		return request_json(want, rec, out);
	if (!gw_adm_want_admin(want, rec, &r))
		return false;
	gw_jw_init(&w, out);
	gw_admin_record_json(&r, &w);
	return !out->err;
}
