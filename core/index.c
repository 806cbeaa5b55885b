/* The shape of the index as SQL, printed from schemas/index.def. */
#include "core/index.h"

#include "core/rollup.h"
#include "lib/text.h"

const struct gw_icol gw_icols[GW_ICOL_COUNT] = {
#define GW_ICOL(field, how, index) { #field, GW_IC_##how, GW_II_##index, GW_RECORD_##field },
#include "schemas/index.def"
#undef GW_ICOL
};

const struct gw_icol *gw_icol_by_name(struct gw_str name)
{
	for (unsigned i = 0; i < GW_ICOL_COUNT; i++)
		if (gw_str_eq(name, gw_str_z(gw_icols[i].name)))
			return &gw_icols[i];
	return NULL;
}

static const char *sql_type(enum gw_icol_how how)
{
	return how == GW_IC_TEXT ? "TEXT" : how == GW_IC_ID ? "BLOB" : "INTEGER";
}

static void put_index(const struct gw_icol *c, struct gw_buf *out)
{
	if (c->index == GW_II_NONE)
		return;
	gw_buf_printf(out, "CREATE %sINDEX \"by_%s\" ON request(\"%s\")", c->index == GW_II_UNIQUE ? "UNIQUE " : "",
		      c->name, c->name);
	if (c->index == GW_II_SET)
		gw_buf_printf(out, " WHERE \"%s\" <> %s", c->name, c->how == GW_IC_TEXT ? "''" : "0");
	gw_buf_puts(out, GW_LIT(";\n"));
}

void gw_index_create_sql(struct gw_buf *out)
{
	gw_buf_puts(out, GW_LIT("CREATE TABLE request(pos INTEGER PRIMARY KEY"));
	for (unsigned i = 0; i < GW_ICOL_COUNT; i++)
		gw_buf_printf(out, ", \"%s\" %s", gw_icols[i].name, sql_type(gw_icols[i].how));
	gw_buf_puts(out, GW_LIT(");\n"));
	for (unsigned i = 0; i < GW_ICOL_COUNT; i++)
		put_index(&gw_icols[i], out);
	gw_buf_puts(out, GW_LIT("CREATE TABLE dim(id INTEGER PRIMARY KEY, text TEXT UNIQUE, seen INTEGER);\n"
				"INSERT INTO dim VALUES(0, '', 9223372036854775807);\n"
				"CREATE TABLE tuple(id INTEGER PRIMARY KEY"));
	for (unsigned i = 0; i < GW_RD_COUNT; i++)
		gw_buf_printf(out, ", \"%s\" INTEGER", gw_rollup_dim_names[i]);
	gw_buf_puts(out, GW_LIT(", UNIQUE("));
	for (unsigned i = 0; i < GW_RD_COUNT; i++)
		gw_buf_printf(out, "%s\"%s\"", i ? ", " : "", gw_rollup_dim_names[i]);
	gw_buf_puts(out,
		    GW_LIT("));\n"
			   "CREATE TABLE rollup(span INTEGER, at INTEGER, tuple INTEGER, data BLOB, "
			   "PRIMARY KEY(span, at, tuple)) WITHOUT ROWID;\n"
			   "CREATE TABLE seg(id INTEGER PRIMARY KEY, name TEXT UNIQUE, no INTEGER, created_ms INTEGER, "
			   "offset INTEGER, block_no INTEGER, hash BLOB, state INTEGER, rows INTEGER, min_us INTEGER, "
			   "max_us INTEGER);\n"
			   "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;\n"
			   "INSERT INTO meta VALUES('coverage_us', 0), ('caught_up', 0), ('rows', 0);\n"));
}

void gw_index_insert_sql(struct gw_buf *out, unsigned rows)
{
	gw_buf_puts(out, GW_LIT("INSERT OR IGNORE INTO request VALUES"));
	for (unsigned row = 0; row < rows; row++) {
		gw_buf_puts(out, row ? GW_LIT(",(?") : GW_LIT("(?"));
		for (unsigned i = 0; i < GW_ICOL_COUNT; i++)
			gw_buf_puts(out, GW_LIT(",?"));
		gw_buf_putc(out, ')');
	}
}

int32_t gw_index_version(void)
{
	struct gw_buf b;
	uint32_t v;

	gw_buf_init(&b, 16384);
	gw_index_create_sql(&b);
	v = gw_crc32c(0, b.p, b.n);
	gw_buf_done(&b);
	return (int32_t)(v & INT32_MAX) | 1;
}

bool gw_index_name_read(struct gw_str name, uint64_t *no)
{
	struct gw_str prefix = GW_LIT("requests-"), suffix = GW_LIT(".db");

	if (name.n != prefix.n + 8 + suffix.n || !gw_str_has_prefix(name, prefix) ||
	    !gw_str_eq(gw_str_skip(name, name.n - suffix.n), suffix))
		return false;
	return gw_str_u64(gw_str(name.p + prefix.n, 8), no);
}
