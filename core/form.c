/* The incremental reader of multipart forms, see form.h. A delimiter begins with CR and has no other CR in it, so that a
 * broken match can begin anew only at the byte that broke it. */
#include "core/form.h"

#include "lib/json.h"

enum state {
	AT_START, /* the first delimiter, without its CRLF */
	AFTER_MARK, /* CRLF: a part follows; "--": the end */
	AFTER_CR,
	AFTER_DASH,
	IN_HEAD,
	IN_DATA,
	AFTER_END, /* behind the last delimiter: CRLF or nothing */
	AFTER_END_CR,
	OVER
};

static const struct gw_str names[GW_FORM_FIELDS] = {
	[GW_FORM_MODEL] = { "model", 5 },
	[GW_FORM_STREAM] = { "stream", 6 },
	[GW_FORM_N] = { "n", 1 },
	[GW_FORM_USER] = { "user", 4 },
};

static enum gw_err fail(struct gw_form *f, const char *why)
{
	f->err = GW_E_GARBLED;
	f->why = why;
	return f->err;
}

/* ---- Content-Type ---- */

static bool is_boundary_byte(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c && strchr("'()+_,-./:=? ", c));
}

/* The value of a parameter at the front of s, quoted or not; s moves behind it. No escapes: one reader keeps them, another does not. */
static bool take_value(struct gw_str *s, struct gw_str *value)
{
	size_t n = 0;

	if (s->n && s->p[0] == '"') {
		*s = gw_str_skip(*s, 1);
		while (n < s->n && s->p[n] != '"' && s->p[n] != '\\')
			n++;
		if (n == s->n || s->p[n] != '"')
			return false;
		*value = gw_str(s->p, n);
		*s = gw_str_skip(*s, n + 1);
	} else {
		while (n < s->n && s->p[n] != ';' && s->p[n] != ' ' && s->p[n] != '\t' && s->p[n] != '"')
			n++;
		*value = gw_str(s->p, n);
		*s = gw_str_skip(*s, n);
	}
	*s = gw_str_trim(*s);
	return true;
}

/* The next "; name=value" of a header. False at the end, or with *is_bad. */
static bool next_param(struct gw_str *s, struct gw_str *name, struct gw_str *value, bool *is_bad)
{
	size_t n;

	*s = gw_str_trim(*s);
	if (s->n == 0)
		return false;
	*is_bad = true;
	if (s->p[0] != ';')
		return false;
	*s = gw_str_trim(gw_str_skip(*s, 1));
	if (s->n == 0) { /* a last semicolon */
		*is_bad = false;
		return false;
	}
	n = gw_str_find(*s, '=');
	if (n == s->n || n == 0)
		return false;
	*name = gw_str(s->p, n);
	*s = gw_str_skip(*s, n + 1);
	for (size_t i = 0; i < name->n; i++) {
		if (memchr(" \t;\"", name->p[i], 4))
			return false;
	}
	if (!take_value(s, value))
		return false;
	*is_bad = false;
	return true;
}

enum gw_err gw_form_boundary(struct gw_str content_type, struct gw_str *boundary)
{
	struct gw_str rest = content_type, name, value;
	size_t n = gw_str_find(rest, ';');
	bool is_bad = false;

	*boundary = GW_NIL;
	if (!gw_str_ieq(gw_str_trim(gw_str(rest.p, n)), GW_LIT("multipart/form-data")))
		return GW_E_BAD_MEDIA;
	rest = gw_str_skip(rest, n);
	while (next_param(&rest, &name, &value, &is_bad)) {
		if (!gw_str_ieq(name, GW_LIT("boundary")))
			continue;
		if (boundary->n || value.n == 0 || value.n > GW_FORM_BOUNDARY_MAX || value.p[value.n - 1] == ' ')
			return GW_E_BAD_MEDIA;
		for (size_t i = 0; i < value.n; i++) {
			if (!is_boundary_byte(value.p[i]))
				return GW_E_BAD_MEDIA;
		}
		*boundary = value;
	}
	return is_bad || boundary->n == 0 ? GW_E_BAD_MEDIA : GW_OK;
}

void gw_form_init(struct gw_form *f, struct gw_str boundary)
{
	memset(f, 0, offsetof(struct gw_form, mark));
	GW_REQUIRE(boundary.n <= GW_FORM_BOUNDARY_MAX);
	memcpy(f->mark, "\r\n--", 4);
	memcpy(f->mark + 4, boundary.p, boundary.n);
	f->mark_n = (uint16_t)(4 + boundary.n);
	f->matched = 2; /* the first one has no line before it */
	f->field = -1;
	f->why = "";
}

/* ---- head of a part ---- */

static enum gw_err take_name(struct gw_form *f, struct gw_str name)
{
	for (int i = 0; i < GW_FORM_FIELDS; i++) {
		if (gw_json_is_case_variant(name, names[i]))
			return fail(f, "A field's name differs only in upper and lower case from one of the API.");
		if (!gw_str_eq(name, names[i]))
			continue;
		if (f->has[i])
			return fail(f, i == GW_FORM_MODEL ? "The field model is there twice."
							  : "A field of the form is there twice.");
		f->field = (int8_t)i;
	}
	return GW_OK;
}

static enum gw_err take_disposition(struct gw_form *f, struct gw_str value, bool *has_name)
{
	size_t n = gw_str_find(value, ';');
	struct gw_str rest = gw_str_skip(value, n), name, v, found = GW_NIL;
	bool is_bad = false;

	if (!gw_str_ieq(gw_str_trim(gw_str(value.p, n)), GW_LIT("form-data")))
		return fail(f, "A part of the form is not form-data.");
	while (next_param(&rest, &name, &v, &is_bad)) {
		if (gw_str_ieq(name, GW_LIT("name*")))
			return fail(f, "A part's name is encoded (name*=).");
		if (gw_str_ieq(name, GW_LIT("filename")) || gw_str_ieq(name, GW_LIT("filename*"))) {
			f->is_file = true;
		} else if (gw_str_ieq(name, GW_LIT("name"))) {
			if (found.p)
				return fail(f, "A part of the form has two names.");
			found = v;
		}
	}
	if (is_bad)
		return fail(f, "A part's Content-Disposition cannot be read.");
	if (!found.p)
		return fail(f, "A part of the form has no name.");
	*has_name = true;
	return take_name(f, found);
}

static bool is_plain_type(struct gw_str v)
{
	struct gw_str type = gw_str_trim(gw_str(v.p, gw_str_find(v, ';'))), rest = gw_str_skip(v, gw_str_find(v, ';')),
		      name, value;
	bool is_bad = false;

	if (!gw_str_ieq(type, GW_LIT("text/plain")))
		return false;
	while (next_param(&rest, &name, &value, &is_bad)) {
		if (!gw_str_ieq(name, GW_LIT("charset")) ||
		    !(gw_str_ieq(value, GW_LIT("utf-8")) || gw_str_ieq(value, GW_LIT("us-ascii"))))
			return false;
	}
	return !is_bad;
}

/* A header of a part. *is_odd: fine for a file, not for a field that decides something. */
static enum gw_err take_header(struct gw_form *f, struct gw_str line, bool *has_name, bool *is_odd)
{
	struct gw_str name, value;

	if (!gw_str_cut(line, ':', &name, &value) || name.n == 0 || name.p[0] == ' ' || name.p[0] == '\t' ||
	    name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t')
		return fail(f, "A part's header cannot be read.");
	value = gw_str_trim(value);
	if (gw_str_ieq(name, GW_LIT("content-disposition")))
		return *has_name ? fail(f, "A part has two Content-Dispositions.")
				 : take_disposition(f, value, has_name);
	if (gw_str_ieq(name, GW_LIT("content-transfer-encoding")))
		*is_odd |= !gw_str_ieq(value, GW_LIT("binary")) && !gw_str_ieq(value, GW_LIT("8bit")) &&
			   !gw_str_ieq(value, GW_LIT("7bit"));
	else if (gw_str_ieq(name, GW_LIT("content-type")))
		*is_odd |= !is_plain_type(value);
	return GW_OK;
}

/* The whole header block is there, without the blank line's CRLF. */
static enum gw_err take_head(struct gw_form *f)
{
	struct gw_str rest = gw_str(f->head, f->head_n), line;
	bool has_name = false, is_odd = false;
	enum gw_err e = GW_OK;

	f->field = -1;
	f->is_file = false;
	while (!e && rest.n) {
		if (!gw_str_cut(rest, '\n', &line, &rest) || line.n < 2 || line.p[line.n - 1] != '\r' ||
		    memchr(line.p, '\r', line.n - 1) || memchr(line.p, 0, line.n))
			return fail(f, "A part's header has a bare line end.");
		e = take_header(f, gw_str(line.p, line.n - 1), &has_name, &is_odd);
	}
	if (e)
		return e;
	if (!has_name)
		return fail(f, "A part of the form has no Content-Disposition.");
	if (f->field >= 0 && (f->is_file || is_odd))
		return fail(f, "A field such as model must be plain text, not a file or an encoded part.");
	if (f->field >= 0)
		f->value_n[f->field] = 0;
	f->value_at = f->at;
	f->matched = 0;
	f->state = IN_DATA;
	return GW_OK;
}

static enum gw_err head_byte(struct gw_form *f, char c)
{
	if (f->head_n == GW_FORM_HEAD_MAX)
		return fail(f, "A part's header is longer than 8 KiB.");
	f->head[f->head_n++] = c;
	if (c != '\n')
		return GW_OK;
	if (f->head_n == 2 && f->head[0] == '\r')
		return fail(f, "A part of the form has no header.");
	if (f->head_n >= 4 && memcmp(f->head + f->head_n - 4, "\r\n\r\n", 4) == 0) {
		f->head_n -= 2;
		return take_head(f);
	}
	return GW_OK;
}

/* ---- data of a part ---- */

static enum gw_err keep(struct gw_form *f, const char *p, size_t n)
{
	uint8_t *have;

	if (f->field < 0)
		return GW_OK;
	have = &f->value_n[f->field];
	if (n > (size_t)(GW_FORM_VALUE_MAX - *have))
		return fail(f, "A field such as model is longer than 200 bytes.");
	memcpy(f->value[f->field] + *have, p, n);
	*have = (uint8_t)(*have + n);
	return GW_OK;
}

static void end_part(struct gw_form *f)
{
	f->state = AFTER_MARK;
	if (f->field < 0)
		return;
	f->has[f->field] = true;
	if (f->field == GW_FORM_MODEL) {
		f->model_at = f->value_at;
		f->model_n = f->value_n[GW_FORM_MODEL];
	}
	f->field = -1;
}

/* Bytes of data up to the next delimiter; *used is how many were looked at. f->at is moved by the caller. */
static enum gw_err data(struct gw_form *f, struct gw_str s, size_t *used)
{
	enum gw_err e;
	size_t i = 0;

	while (i < s.n) {
		if (f->matched == 0) {
			const char *cr = memchr(s.p + i, '\r', s.n - i);
			size_t end = cr ? (size_t)(cr - s.p) : s.n;

			e = keep(f, s.p + i, end - i);
			if (e)
				return e;
			i = end;
			if (cr) {
				i++;
				f->matched = 1;
			}
			continue;
		}
		if (s.p[i] == f->mark[f->matched]) {
			i++;
			if (++f->matched == f->mark_n) {
				end_part(f);
				break;
			}
			continue;
		}
		e = keep(f, f->mark, f->matched);
		if (e)
			return e;
		f->matched = 0; /* this byte is looked at again */
	}
	*used = i;
	return GW_OK;
}

/* ---- between parts ---- */

static enum gw_err mark_byte(struct gw_form *f, char c)
{
	switch ((enum state)f->state) {
	case AT_START:
		if (c != f->mark[f->matched])
			return fail(f, "The body does not begin with the boundary that the Content-Type names.");
		if (++f->matched == f->mark_n)
			f->state = AFTER_MARK;
		return GW_OK;
	case AFTER_MARK:
		if (c != '\r' && c != '-')
			return fail(f, "A boundary is followed by other bytes.");
		f->state = c == '-' ? AFTER_DASH : AFTER_CR;
		return GW_OK;
	case AFTER_CR:
		if (c != '\n')
			return fail(f, "A boundary is followed by other bytes.");
		if (++f->parts > GW_FORM_PARTS_MAX)
			return fail(f, "The form has more than 256 parts.");
		f->head_n = 0;
		f->state = IN_HEAD;
		return GW_OK;
	case AFTER_DASH:
		if (c != '-')
			return fail(f, "A boundary is followed by other bytes.");
		f->is_done = true;
		f->state = AFTER_END;
		return GW_OK;
	case AFTER_END:
		f->state = AFTER_END_CR;
		return c == '\r' ? GW_OK : fail(f, "There are bytes behind the form's end.");
	case AFTER_END_CR:
		f->state = OVER;
		return c == '\n' ? GW_OK : fail(f, "There are bytes behind the form's end.");
	case IN_HEAD:
		return head_byte(f, c);
	case IN_DATA:
	case OVER:
		break;
	}
	return fail(f, "There are bytes behind the form's end.");
}

enum gw_err gw_form_feed(struct gw_form *f, struct gw_str piece)
{
	size_t i = 0;

	while (i < piece.n && !f->err) {
		size_t used = 1;

		if (f->state == IN_DATA) {
			if (data(f, gw_str_skip(piece, i), &used))
				break;
			f->at += used;
		} else {
			f->at++;
			if (mark_byte(f, piece.p[i]))
				break;
		}
		i += used;
	}
	return f->err;
}
