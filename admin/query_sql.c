/* Filters as SQL over the columns of schemas/index.def. Values are always bound, names come from the rows. What a column cannot say is left
 * out: every record that is found is checked in full afterwards, so the SQL may let through too much, never too little. */
#include <sqlite3.h>
#include "admin/query.h"

enum { SQL_BYTES = 16384, BINDS = 128 };

struct bind {
	enum { NUMBER, TEXT, ID } kind;
	int64_t number;
	struct gw_str text;
};
struct sql {
	struct gw_q *y;
	struct gw_buf where;
	struct bind v[BINDS], spare; /* spare: takes what is too much */
	int n;
	const struct gw_icol *by; /* column whose index is used */
	bool is_none, has_failed;
};

static void put(struct sql *s, const char *name, const char *op)
{
	gw_buf_printf(&s->where, " AND \"%s\"%s", name, op);
}

static struct bind *next(struct sql *s)
{
	s->has_failed |= s->n == BINDS;
	return s->n < BINDS ? &s->v[s->n++] : &s->spare;
}

static void put_number(struct sql *s, const char *name, const char *op, int64_t v)
{
	put(s, name, op);
	*next(s) = (struct bind){ NUMBER, v, GW_NIL };
}

static void put_text(struct sql *s, const char *name, const char *op, struct gw_str v)
{
	put(s, name, op);
	*next(s) = (struct bind){ TEXT, 0, v };
}

/* An equality: maybe the one whose index leads the way. The first in the order of the rows wins. */
static void prefer(struct sql *s, const struct gw_icol *c, bool is_empty)
{
	if (c->index == GW_II_NONE || (c->index == GW_II_SET && is_empty))
		return;
	if (!s->by || c < s->by)
		s->by = c;
}

static void dim_term(struct sql *s, const struct gw_icol *c, char op, struct gw_str text)
{
	int64_t id;

	if (op == '~') {
		if (!text.n)
			return;
		put_text(s, c->name, " IN (SELECT id FROM dim WHERE instr(text, ?) > 0)", text);
		return;
	}
	id = gw_q_dim(s->y, text);
	s->has_failed |= id == -2;
	if (op == '!') {
		if (id >= 0)
			put_number(s, c->name, " <> ?", id);
		return;
	}
	s->is_none |= id == -1;
	prefer(s, c, id == 0);
	put_number(s, c->name, " = ?", id);
}

static void text_term(struct sql *s, const struct gw_icol *c, char op, struct gw_str text)
{
	if (op == '~') {
		if (!text.n)
			return;
		gw_buf_printf(&s->where, " AND instr(\"%s\", ?) > 0", c->name);
		*next(s) = (struct bind){ TEXT, 0, text };
		return;
	}
	if (op == '=')
		prefer(s, c, text.n == 0);
	put_text(s, c->name, op == '=' ? " = ?" : " <> ?", text);
}

static void term(struct sql *s, const struct gw_filter_term *t)
{
	const struct gw_icol *c = gw_icol_by_name(gw_str_z(t->field->name));

	if (!c || (t->text.n && memchr(t->text.p, 0, t->text.n))) /* the index has texts up to a NUL */
		return;
	switch (c->how) {
	case GW_IC_DIM:
		dim_term(s, c, t->op, t->text);
		break;
	case GW_IC_TEXT:
		text_term(s, c, t->op, t->text);
		break;
	case GW_IC_NUM:
		put_number(s, c->name,
			   t->op == '='   ? " = ?"
			   : t->op == '!' ? " <> ?"
			   : t->op == '>' ? " > ?"
					  : " < ?",
			   t->number);
		break;
	case GW_IC_ID:
		if (t->op != '=')
			break;
		prefer(s, c, false);
		put(s, c->name, " = ?");
		*next(s) = (struct bind){ ID, 0, gw_str((const char *)t->id, 16) };
		break;
	}
}

static void own(struct sql *s, enum gw_icol_id col, struct gw_str v)
{
	if (v.n)
		dim_term(s, &gw_icols[col], '=', v);
}

static void conditions(struct sql *s)
{
	const struct gw_adm_want *w = &s->y->want;

	own(s, GW_ICOL_org, w->org);
	own(s, GW_ICOL_team, w->team);
	own(s, GW_ICOL_user, w->user);
	if (w->from_us > 0)
		put_number(s, "ts_start_us", " >= ?", w->from_us);
	if (w->to_us < INT64_MAX)
		put_number(s, "ts_start_us", " <= ?", w->to_us);
	for (unsigned i = 0; i < gw_record_filter_terms(w->filter); i++) {
		struct gw_filter_term t = gw_record_filter_term(w->filter, i);

		term(s, &t);
	}
	if (w->text.n && !memchr(w->text.p, 0, w->text.n)) {
		gw_buf_puts(&s->where,
			    GW_LIT(" AND (instr(\"error_detail\", ?) > 0 OR \"error\" IN (SELECT id FROM dim "
				   "WHERE instr(text, ?) > 0))"));
		*next(s) = (struct bind){ TEXT, 0, w->text };
		*next(s) = (struct bind){ TEXT, 0, w->text };
	}
}

static sqlite3_stmt *finish(struct sql *s, int64_t lo, int64_t hi)
{
	sqlite3_stmt *q = NULL;
	struct gw_buf b;

	gw_buf_init(&b, 2 * SQL_BYTES);
	gw_buf_puts(&b, GW_LIT("SELECT pos FROM request"));
	if (s->by)
		gw_buf_printf(&b, " INDEXED BY \"by_%s\"", s->by->name);
	gw_buf_puts(&b, GW_LIT(" WHERE pos >= ? AND pos < ?"));
	if (s->by && s->by->index == GW_II_SET) /* lets SQLite see that the partial index has all of them */
		gw_buf_printf(&b, " AND \"%s\" <> %s", s->by->name, s->by->how == GW_IC_TEXT ? "''" : "0");
	gw_buf_puts(&b, gw_buf_view(&s->where));
	gw_buf_puts(&b, s->y->is_ascending ? GW_LIT(" ORDER BY pos") : GW_LIT(" ORDER BY pos DESC"));
	if (!b.err && !s->where.err && sqlite3_prepare_v2(s->y->db, b.p, (int)b.n, &q, NULL) == SQLITE_OK) {
		sqlite3_bind_int64(q, 1, lo);
		sqlite3_bind_int64(q, 2, hi);
		for (int i = 0; i < s->n; i++) {
			const struct bind *v = &s->v[i];

			if (v->kind == NUMBER)
				sqlite3_bind_int64(q, i + 3, v->number);
			else if (v->kind == TEXT)
				sqlite3_bind_text(q, i + 3, v->text.p ? v->text.p : "", (int)v->text.n, SQLITE_STATIC);
			else
				sqlite3_bind_blob(q, i + 3, v->text.p, (int)v->text.n, SQLITE_STATIC);
		}
	}
	gw_buf_done(&b);
	return q;
}

sqlite3_stmt *gw_q_select(struct gw_q *y, int64_t lo, int64_t hi, bool *is_none)
{
	struct sql s = { .y = y };
	sqlite3_stmt *q = NULL;

	gw_buf_init(&s.where, SQL_BYTES);
	conditions(&s);
	*is_none = s.is_none && !s.has_failed;
	if (!s.is_none && !s.has_failed)
		q = finish(&s, lo, hi);
	gw_buf_done(&s.where);
	return q;
}

bool gw_q_has_index(struct gw_q *y)
{
	struct sql s = { .y = y };

	gw_buf_init(&s.where, SQL_BYTES);
	conditions(&s);
	gw_buf_done(&s.where);
	return s.by != NULL || s.is_none;
}
