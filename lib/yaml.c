/* YAML into a JSON tree (lib/yaml.h), from libyaml's events. People write configuration in it, so every fault carries a
 * line and column; what would make one text mean two things (aliases, merge tricks, duplicate keys) is refused. */
#include "lib/yaml.h"
#include "lib/yaml_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

enum { MAX_DEPTH = 64, MAX_NODES = 1000000 };
#define ARENA_MAX ((size_t)256 << 20)

/* Where a node stands. Children are linked, newest first; an item's key is its index, kept in `index`. */
struct place {
	struct place *parent, *children, *next;
	struct gw_str key;
	uint32_t index, line, column;
};

struct gw_yaml_pos {
	struct gw_arena arena; /* holds this struct too */
	struct place *root;
};

/* One open mapping or sequence. */
struct level {
	yyjson_mut_val *val;
	struct place *place;
	yyjson_mut_val *key; /* read, its value not yet */
	struct place *key_place;
	uint32_t n;
};

struct reader {
	yaml_parser_t parser;
	yaml_event_t ev;
	struct gw_str text;
	yyjson_mut_doc *doc;
	struct gw_yaml_pos *pos;
	struct gw_json_fault *fault;
	struct level levels[MAX_DEPTH + 1];
	uint32_t depth, nodes;
	enum gw_err err;
};

/* ---- faults ---- */

static size_t offset_of(struct gw_str text, size_t line0)
{
	size_t at = 0;

	for (size_t i = 0; i < text.n && line0; i++)
		if (text.p[i] == '\n') {
			line0--;
			at = i + 1;
		}
	return at;
}

static yaml_mark_t mark_at(struct gw_str text, size_t offset)
{
	yaml_mark_t m = { 0 };

	for (size_t i = 0; i < text.n && i < offset; i++) {
		m.column++;
		if (text.p[i] == '\n') {
			m.line++;
			m.column = 0;
		}
	}
	return m;
}

/* Marks count from 0, columns in characters; people count from 1. */
static bool refuse_at(struct reader *r, yaml_mark_t mark, const char *what)
{
	r->err = GW_E_SYNTAX;
	if (r->fault)
		*r->fault = (struct gw_json_fault){ .offset = offset_of(r->text, mark.line) + mark.column,
						    .line = (uint32_t)mark.line + 1,
						    .column = (uint32_t)mark.column + 1,
						    .what = what };
	return false;
}

static bool refuse(struct reader *r, const char *what)
{
	return refuse_at(r, r->ev.start_mark, what);
}

static bool no_memory(struct reader *r)
{
	r->err = GW_E_NOMEM;
	if (r->fault)
		*r->fault = (struct gw_json_fault){ .line = 1, .column = 1, .what = "not enough memory" };
	return false;
}

/* libyaml's words are literals of its own. */
static bool refuse_parse(struct reader *r)
{
	const char *what = r->parser.problem ? r->parser.problem : "this is not YAML";

	if (r->parser.error == YAML_MEMORY_ERROR)
		return no_memory(r);
	if (r->parser.error == YAML_READER_ERROR) /* it knows the byte but no line */
		return refuse_at(r, mark_at(r->text, r->parser.problem_offset), what);
	return refuse_at(r, r->parser.problem_mark, what);
}

/* ---- scalars ---- */

static bool put_int(struct reader *r, struct gw_str s, yyjson_mut_val **out)
{
	bool is_based = s.n > 2 && s.p[0] == '0' && (s.p[1] == 'x' || s.p[1] == 'o');
	struct gw_str t = s.p[0] == '+' ? gw_str_skip(s, 1) : s;
	uint64_t u = 0;
	int64_t i;
	double d;

	if (is_based) {
		unsigned bits = s.p[1] == 'x' ? 4 : 3;

		for (size_t k = 2; k < s.n; k++) {
			unsigned c = (unsigned char)s.p[k];

			if (u >> (64 - bits))
				return refuse(r, "number too large");
			u = u << bits | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
		}
		*out = yyjson_mut_uint(r->doc, u);
	} else if (gw_str_u64(t, &u)) {
		*out = yyjson_mut_uint(r->doc, u);
	} else if (gw_str_i64(t, &i)) {
		*out = yyjson_mut_sint(r->doc, i);
	} else if (gw_json_double(t, &d)) { /* too long for 64 bits: as the JSON reader does */
		*out = yyjson_mut_real(r->doc, d);
	} else {
		return refuse(r, "number too large");
	}
	return true;
}

static bool put_float(struct reader *r, struct gw_str s, yyjson_mut_val **out)
{
	bool neg = s.p[0] == '-';
	double d;

	if (neg || s.p[0] == '+')
		s = gw_str_skip(s, 1);
	if (s.p[0] == '.') { /* .5 is no JSON token */
		char *z = gw_alloc_bytes(&r->pos->arena, s.n + 1);

		if (!z)
			return no_memory(r);
		z[0] = '0';
		memcpy(z + 1, s.p, s.n);
		s = gw_str(z, s.n + 1);
	}
	if (!gw_json_double(s, &d))
		return refuse(r, "number too large");
	*out = yyjson_mut_real(r->doc, neg ? -d : d);
	return true;
}

/* The core schema's name of a kind, as tags spell it behind "tag:yaml.org,2002:". */
static const char *const kind_names[] = { "null", "bool", "int", "float", "float", "str" };

/* What a scalar event is. False when its tag is not allowed or does not fit. */
static bool scalar_kind(struct reader *r, struct gw_str s, enum gw_yaml_kind *kind)
{
	const char *tag = (const char *)r->ev.data.scalar.tag;
	struct gw_str prefix = GW_LIT(YAML_DEFAULT_SCALAR_TAG), name;
	bool is_plain = r->ev.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	*kind = is_plain ? gw_yaml_resolve(s) : GW_YAML_STR;
	if (!tag)
		return *kind != GW_YAML_NO_NUMBER ||
		       refuse(r, "infinity and NaN cannot be held (JSON has no such number)");
	prefix.n -= 3; /* without "str" */
	name = gw_str_z(tag);
	if (!gw_str_has_prefix(name, prefix))
		return refuse(r, "tags are not supported");
	name = gw_str_skip(name, prefix.n);
	if (gw_str_eq(name, GW_LIT("str"))) {
		*kind = GW_YAML_STR;
		return true;
	}
	if (gw_str_eq(name, GW_LIT("float")) && *kind == GW_YAML_INT) {
		*kind = GW_YAML_FLOAT;
		return gw_yaml_resolve(s) == GW_YAML_INT && s.n > 1 && (s.p[1] == 'x' || s.p[1] == 'o')
			   ? refuse(r, "the value does not fit its tag")
			   : true;
	}
	if (*kind == GW_YAML_STR || *kind == GW_YAML_NO_NUMBER || !gw_str_eq(name, gw_str_z(kind_names[*kind])))
		return refuse(r, "the tag is not supported, or the value does not fit it");
	return true;
}

static bool read_scalar(struct reader *r, yyjson_mut_val **out)
{
	struct gw_str s = gw_str((const char *)r->ev.data.scalar.value, r->ev.data.scalar.length);
	enum gw_yaml_kind kind;

	if (!scalar_kind(r, s, &kind))
		return false;
	switch (kind) {
	case GW_YAML_NULL:
		*out = yyjson_mut_null(r->doc);
		break;
	case GW_YAML_BOOL:
		*out = yyjson_mut_bool(r->doc, (s.p[0] | 0x20) == 't');
		break;
	case GW_YAML_INT:
		return put_int(r, s, out);
	case GW_YAML_FLOAT:
		return put_float(r, s, out);
	case GW_YAML_STR:
	case GW_YAML_NO_NUMBER:
	default:
		*out = yyjson_mut_strncpy(r->doc, s.p, s.n);
	}
	return *out || no_memory(r);
}

/* ---- places ---- */

static struct place *new_place(struct reader *r, struct place *parent, yaml_mark_t mark)
{
	struct place *p = GW_NEW(&r->pos->arena, struct place);

	if (!p)
		return NULL;
	p->line = (uint32_t)mark.line + 1;
	p->column = (uint32_t)mark.column + 1;
	p->parent = parent;
	if (parent) {
		p->next = parent->children;
		parent->children = p;
	}
	return p;
}

/* ---- duplicate keys ---- */

static int by_key(const void *a, const void *b)
{
	const struct place *const *x = a, *const *y = b;
	int d = gw_str_cmp((*x)->key, (*y)->key);

	if (d)
		return d;
	return (*x)->line != (*y)->line ? ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line)
					: ((*x)->column > (*y)->column) - ((*x)->column < (*y)->column);
}

/* A mapping has ended: its keys are the places below it. Sorting keeps a hostile mapping at n log n. */
static bool check_keys(struct reader *r, const struct level *level)
{
	struct gw_mark m = gw_arena_mark(&r->pos->arena);
	struct place **keys = GW_NEW_N(&r->pos->arena, struct place *, level->n + 1);
	struct place *first = NULL;
	uint32_t n = 0;

	if (!keys)
		return no_memory(r);
	for (struct place *p = level->place->children; p; p = p->next)
		keys[n++] = p;
	qsort(keys, n, sizeof(struct place *), by_key);
	for (uint32_t i = 1; i < n; i++)
		if (gw_str_eq(keys[i - 1]->key, keys[i]->key) &&
		    (!first || keys[i]->line < first->line ||
		     (keys[i]->line == first->line && keys[i]->column < first->column)))
			first = keys[i];
	gw_arena_reset(&r->pos->arena, m);
	return !first ||
	       refuse_at(r, (yaml_mark_t){ .line = first->line - 1, .column = first->column - 1 }, "duplicate key");
}

/* ---- structure ---- */

/* A key of the innermost mapping. */
static bool read_key(struct reader *r, struct level *level)
{
	struct gw_str s = gw_str((const char *)r->ev.data.scalar.value, r->ev.data.scalar.length);
	enum gw_yaml_kind kind;

	if (!scalar_kind(r, s, &kind))
		return false;
	if (kind != GW_YAML_STR)
		return refuse(r, "a key must be a string (put it in quotes)");
	level->key = yyjson_mut_strncpy(r->doc, s.p, s.n);
	level->key_place = new_place(r, level->place, r->ev.start_mark);
	if (!level->key || !level->key_place)
		return no_memory(r);
	level->key_place->key = gw_arena_str(&r->pos->arena, s);
	level->n++;
	return level->key_place->key.p || no_memory(r);
}

/* Puts a value where it belongs; *place is where it stands. Level 0 is the array of documents. */
static bool attach(struct reader *r, yyjson_mut_val *v, struct place **place)
{
	struct level *level = &r->levels[r->depth];

	if (level->key) {
		yyjson_mut_obj_add(level->val, level->key, v);
		*place = level->key_place;
		level->key = NULL;
		return true;
	}
	yyjson_mut_arr_append(level->val, v);
	*place = new_place(r, level->place, r->ev.start_mark);
	if (!*place)
		return no_memory(r);
	(*place)->index = level->n++;
	return true;
}

static bool check_node(struct reader *r, const yaml_char_t *anchor)
{
	if (++r->nodes > MAX_NODES)
		return refuse(r, "more values than allowed");
	return !anchor || refuse(r, "anchors are not supported");
}

static bool on_scalar(struct reader *r)
{
	struct level *level = &r->levels[r->depth];
	yyjson_mut_val *v = NULL;
	struct place *place;

	if (!check_node(r, r->ev.data.scalar.anchor))
		return false;
	if (yyjson_mut_is_obj(level->val) && !level->key)
		return read_key(r, level);
	return read_scalar(r, &v) && attach(r, v, &place);
}

static bool on_open(struct reader *r, bool is_map, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	struct level *level = &r->levels[r->depth];
	struct gw_str core = gw_str_z(is_map ? YAML_DEFAULT_MAPPING_TAG : YAML_DEFAULT_SEQUENCE_TAG);
	yyjson_mut_val *v = is_map ? yyjson_mut_obj(r->doc) : yyjson_mut_arr(r->doc);
	struct place *place;

	if (!check_node(r, anchor))
		return false;
	if (tag && !gw_str_eq(gw_str_z((const char *)tag), core))
		return refuse(r, "tags are not supported");
	if (yyjson_mut_is_obj(level->val) && !level->key)
		return refuse(r, "a key must be a string");
	if (r->depth == MAX_DEPTH)
		return refuse(r, "nested deeper than allowed");
	if (!v)
		return no_memory(r);
	if (!attach(r, v, &place))
		return false;
	r->levels[++r->depth] = (struct level){ .val = v, .place = place };
	return true;
}

/* A document that holds nothing, such as after a trailing "---", is passed over in a stream. */
static bool is_empty_document(const struct reader *r)
{
	return r->depth == 0 && r->ev.type == YAML_SCALAR_EVENT && r->ev.data.scalar.length == 0 &&
	       r->ev.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !r->ev.data.scalar.tag &&
	       !r->ev.data.scalar.anchor;
}

static bool on_event(struct reader *r, bool is_stream)
{
	switch (r->ev.type) {
	case YAML_SCALAR_EVENT:
		return (is_stream && is_empty_document(r)) || on_scalar(r);
	case YAML_MAPPING_START_EVENT:
		return on_open(r, true, r->ev.data.mapping_start.anchor, r->ev.data.mapping_start.tag);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(r, false, r->ev.data.sequence_start.anchor, r->ev.data.sequence_start.tag);
	case YAML_MAPPING_END_EVENT:
		return check_keys(r, &r->levels[r->depth--]);
	case YAML_SEQUENCE_END_EVENT:
		r->depth--;
		return true;
	case YAML_ALIAS_EVENT:
		return refuse(r, "aliases are not supported");
	case YAML_DOCUMENT_START_EVENT:
		return is_stream || r->levels[0].n == 0 || refuse(r, "several documents where one is expected");
	default:
		return true;
	}
}

static bool read_events(struct reader *r, bool is_stream)
{
	bool ok, at_end;

	do {
		if (!yaml_parser_parse(&r->parser, &r->ev))
			return refuse_parse(r);
		at_end = r->ev.type == YAML_STREAM_END_EVENT;
		ok = on_event(r, is_stream);
		yaml_event_delete(&r->ev);
	} while (ok && !at_end);
	return ok;
}

/* ---- the whole ---- */

static struct gw_yaml_pos *pos_new(void)
{
	struct gw_arena a;
	struct gw_yaml_pos *pos;

	gw_arena_init(&a, NULL, 0, ARENA_MAX);
	pos = GW_NEW(&a, struct gw_yaml_pos);
	if (pos)
		pos->arena = a;
	return pos;
}

void gw_yaml_pos_free(struct gw_yaml_pos *pos)
{
	struct gw_arena a;

	if (!pos)
		return;
	a = pos->arena; /* pos itself lies in it */
	gw_arena_done(&a);
}

/* The tree for the caller: the array of documents, or the only one. */
static bool finish(struct reader *r, bool is_stream, yyjson_doc **out)
{
	yyjson_mut_val *root = r->levels[0].val;

	r->pos->root = r->levels[0].place;
	if (!is_stream) {
		yyjson_mut_val *only = yyjson_mut_arr_get_first(root);

		root = only ? only : yyjson_mut_null(r->doc);
		if (r->pos->root->children)
			r->pos->root = r->pos->root->children;
	}
	yyjson_mut_doc_set_root(r->doc, root);
	*out = yyjson_mut_doc_imut_copy(r->doc, NULL);
	return *out || no_memory(r);
}

/* Everything that libyaml would refuse with less to say. */
static bool check_bytes(struct reader *r)
{
	if (gw_str_has_prefix(r->text, GW_LIT("\xef\xbb\xbf")))
		r->text = gw_str_skip(r->text, 3);
	return gw_str_is_utf8(r->text) || refuse_at(r, (yaml_mark_t){ 0 }, "the text is not valid UTF-8");
}

enum gw_err gw_yaml_read_pos(struct gw_str text, bool is_stream, yyjson_doc **out, struct gw_yaml_pos **pos,
			     struct gw_json_fault *fault)
{
	struct reader r = { .text = text, .fault = fault };
	bool ok;

	*out = NULL;
	*pos = NULL;
	if (!yaml_parser_initialize(&r.parser))
		return GW_E_NOMEM;
	r.pos = pos_new();
	r.doc = yyjson_mut_doc_new(NULL);
	ok = r.pos && r.doc;
	if (ok) {
		r.levels[0].val = yyjson_mut_arr(r.doc);
		r.levels[0].place = new_place(&r, NULL, (yaml_mark_t){ 0 });
		ok = r.levels[0].val && r.levels[0].place;
	}
	if (!ok)
		no_memory(&r);
	ok = ok && check_bytes(&r);
	if (ok) {
		yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
		yaml_parser_set_input_string(&r.parser, (const unsigned char *)(r.text.p ? r.text.p : ""), r.text.n);
		ok = read_events(&r, is_stream) && finish(&r, is_stream, out);
	}
	yaml_parser_delete(&r.parser);
	yyjson_mut_doc_free(r.doc);
	if (ok)
		*pos = r.pos;
	else
		gw_yaml_pos_free(r.pos);
	return ok ? GW_OK : r.err;
}

enum gw_err gw_yaml_read(struct gw_str text, bool is_stream, yyjson_doc **out, struct gw_json_fault *fault)
{
	struct gw_yaml_pos *pos;
	enum gw_err err = gw_yaml_read_pos(text, is_stream, out, &pos, fault);

	gw_yaml_pos_free(pos);
	return err;
}

/* ---- looking up places ---- */

/* Is `segment` of a JSON pointer ("~1" for '/', "~0" for '~') this text? */
static bool segment_eq(struct gw_str segment, struct gw_str text)
{
	size_t i = 0, k = 0;

	for (; i < segment.n && k < text.n; i++, k++) {
		char c = segment.p[i];

		if (c == '~' && i + 1 < segment.n)
			c = segment.p[++i] == '1' ? '/' : '~';
		if (c != text.p[k])
			return false;
	}
	return i == segment.n && k == text.n;
}

static const struct place *child(const struct place *p, struct gw_str segment)
{
	for (p = p->children; p; p = p->next) {
		uint64_t index;
		bool is_it = p->key.p ? segment_eq(segment, p->key) : gw_str_u64(segment, &index) && index == p->index;

		if (is_it)
			return p;
	}
	return NULL;
}

bool gw_yaml_where(const struct gw_yaml_pos *pos, struct gw_str pointer, uint32_t *line, uint32_t *column)
{
	const struct place *p = pos->root;
	bool more = pointer.n > 0;
	struct gw_str segment, rest;

	if (more && pointer.p[0] != '/')
		return false;
	rest = gw_str_skip(pointer, 1);
	while (more && p) {
		more = gw_str_cut(rest, '/', &segment, &rest);
		p = child(p, segment);
	}
	if (!p)
		return false;
	*line = p->line;
	*column = p->column;
	return true;
}
