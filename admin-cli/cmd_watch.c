/* watch: changes as they are made. Who may read the change log is told each change with what it changed and by whom; others (member, viewer)
 * are told what is different from one look to the next. Goes on while the gateway is away and catches up when it is back. */
#include "admin-cli/cli.h"
#include "core/config.h"
#include "lib/sys/clock.h"
#include "lib/text.h"

enum { PAGE = 200, LOOK_MS = 1000, LEAST_MS = 100 };

struct watch {
	struct cli *c;
	const char *plural, *id; /* id NULL: all of the kind */
	enum gw_cf_kind kind;
	uint64_t seq; /* the last change that was told */
	uint64_t told, most;
	yyjson_doc *seen; /* the last list, where the log is not ours to read */
	bool is_away;
};

/* One event: a line and the fields that changed; as JSON: the change on one line. */
static void tell(struct watch *w, yyjson_val *change)
{
	char ts[64], actor[128], text[64];
	struct gw_json_out out;
	struct gw_buf b;

	gw_buf_init(&b, 4 << 20);
	gw_jw_init(&out, &b);
	if (cli_format(w->c) != CLI_TABLE) {
		gw_jw_val(&out, change);
		printf("%.*s\n", GW_FMT(gw_buf_view(&b)));
	} else {
		cli_cell("", yyjson_obj_get(change, "ts"), ts, sizeof ts);
		cli_cell("", yyjson_obj_get(change, "actor"), actor, sizeof actor);
		cli_cell("", yyjson_obj_get(change, "generation"), text, sizeof text);
		printf("%s%s%s%s%s%s%s ", ts, actor[0] ? " by " : "", actor, text[0] ? " generation " : "", text,
		       ts[0] ? ": " : "", cli_paint(CLI_PLAIN));
		gw_jw_obj(&out);
		gw_jw_key(&out, GW_LIT("changes"));
		gw_jw_arr(&out);
		gw_jw_val(&out, change);
		gw_jw_end_arr(&out);
		gw_jw_end_obj(&out);
		cli_show_diff(w->c, gw_buf_view(&b), stdout);
	}
	gw_buf_done(&b);
	fflush(stdout);
	w->told++;
}

static bool is_enough(const struct watch *w)
{
	return w->most && w->told >= w->most;
}

/* --- by the change log --- */
static int ask_log(struct watch *w, uint64_t before, bool is_full, struct cli_reply *r)
{
	static const struct cli_how how = { .is_silent = true };
	char number[24];
	struct gw_buf q;
	int rc;

	gw_buf_init(&q, 1024);
	cli_query(&q, "kind", gw_cf_kinds[w->kind].name);
	cli_query(&q, "id", w->id);
	snprintf(number, sizeof number, "%d", is_full ? PAGE : 1);
	cli_query(&q, "limit", number);
	cli_query(&q, "full", is_full ? "true" : NULL);
	snprintf(number, sizeof number, "%llu", (unsigned long long)before);
	cli_query(&q, "before", before ? number : NULL);
	rc = cli_call_how(w->c, "GET", GW_LIT("/admin/v1/generations"), gw_buf_view(&q), GW_NIL, &how, r);
	gw_buf_done(&q);
	return rc;
}

static yyjson_doc *read_doc(const struct cli_reply *r)
{
	struct gw_json_fault fault;
	yyjson_doc *doc;

	return r->status == 200 && gw_json_read(gw_buf_view(&r->body), &gw_json_default_limits, &doc, &fault) == GW_OK
		   ? doc
		   : NULL;
}

static uint64_t seq_of(yyjson_val *entry)
{
	return yyjson_get_uint(yyjson_obj_get(entry, "seq"));
}

/* Changes after w->seq, newest first in the log, told oldest first: pages further back are told before this one. */
static bool tell_since(struct watch *w, uint64_t before, unsigned depth)
{
	struct cli_reply r;
	yyjson_doc *doc = NULL;
	bool ok = ask_log(w, before, true, &r) == CLI_OK && (doc = read_doc(&r)) != NULL;

	cli_reply_done(&r);
	if (!ok)
		return false;
	yyjson_val *items = yyjson_obj_get(yyjson_doc_get_root(doc), "items"), *oldest = yyjson_arr_get_last(items);
	uint64_t next = yyjson_get_uint(yyjson_obj_get(yyjson_doc_get_root(doc), "next"));
	if (oldest && seq_of(oldest) > w->seq + 1 && next && depth < 64)
		ok = tell_since(w, next, depth + 1);
	for (size_t i = yyjson_arr_size(items); ok && i-- > 0 && !is_enough(w);) {
		yyjson_val *v = yyjson_arr_get(items, i);

		if (seq_of(v) <= w->seq)
			continue;
		w->seq = seq_of(v);
		tell(w, v);
	}
	yyjson_doc_free(doc);
	return ok;
}

static bool look_at_log(struct watch *w)
{
	struct cli_reply r;
	yyjson_doc *doc = NULL;
	bool ok = ask_log(w, 0, false, &r) == CLI_OK && (doc = read_doc(&r)) != NULL;
	uint64_t newest = ok ? seq_of(yyjson_arr_get_first(yyjson_obj_get(yyjson_doc_get_root(doc), "items"))) : 0;

	cli_reply_done(&r);
	yyjson_doc_free(doc);
	return ok && (newest <= w->seq || tell_since(w, 0, 0));
}

/* --- by comparing lists --- */
static yyjson_doc *look_at_list(struct watch *w)
{
	static const struct gw_json_limits big = { .max_depth = 64, .max_nodes = 1u << 28 };
	struct gw_json_fault fault;
	yyjson_doc *doc = NULL;
	struct gw_buf all, q, words;

	gw_buf_init(&q, 1024);
	gw_buf_init(&words, 4096);
	cli_query(&q, "id", w->id);
	cli_say_to(&words); /* a gateway that is away is told once, by the loop */
	if (cli_fetch_all(w->c, w->plural, gw_buf_view(&q), 0, &all) != CLI_OK ||
	    gw_json_read(gw_buf_view(&all), &big, &doc, &fault))
		doc = NULL;
	cli_say_to(NULL);
	gw_buf_done(&all);
	gw_buf_done(&q);
	gw_buf_done(&words);
	return doc;
}

static void tell_pair(struct watch *w, yyjson_val *before, yyjson_val *after)
{
	struct gw_json_fault fault;
	struct gw_json_out out;
	yyjson_doc *doc;
	struct gw_buf b;

	gw_buf_init(&b, 4 << 20);
	gw_jw_init(&out, &b);
	gw_jw_obj(&out);
	gw_jw_kstr(&out, "act", !before ? GW_LIT("create") : after ? GW_LIT("update") : GW_LIT("delete"));
	gw_jw_kstr(&out, "kind", gw_str_z(gw_cf_kinds[w->kind].name));
	gw_jw_kstr(&out, "id", gw_json_str(yyjson_obj_get(after ? after : before, "id")));
	gw_jw_key(&out, GW_LIT("before"));
	before ? gw_jw_val(&out, before) : gw_jw_null(&out);
	gw_jw_key(&out, GW_LIT("after"));
	after ? gw_jw_val(&out, after) : gw_jw_null(&out);
	gw_jw_end_obj(&out);
	if (gw_json_read(gw_buf_view(&b), &gw_json_default_limits, &doc, &fault) == GW_OK) {
		tell(w, yyjson_doc_get_root(doc));
		yyjson_doc_free(doc);
	}
	gw_buf_done(&b);
}

/* Both lists are in the order of their ids. */
static void compare(struct watch *w, yyjson_doc *now)
{
	yyjson_val *a = yyjson_obj_get(yyjson_doc_get_root(w->seen), "items"),
		   *b = yyjson_obj_get(yyjson_doc_get_root(now), "items");
	yyjson_arr_iter ia = yyjson_arr_iter_with(a), ib = yyjson_arr_iter_with(b);
	yyjson_val *x = yyjson_arr_iter_next(&ia), *y = yyjson_arr_iter_next(&ib);

	while ((x || y) && !is_enough(w)) {
		int order =
		    !x   ? 1
		    : !y ? -1
			 : gw_str_cmp(gw_json_str(yyjson_obj_get(x, "id")), gw_json_str(yyjson_obj_get(y, "id")));

		if (order < 0)
			tell_pair(w, x, NULL);
		else if (order > 0)
			tell_pair(w, NULL, y);
		else if (!yyjson_equals(yyjson_obj_get(x, "version"), yyjson_obj_get(y, "version")))
			tell_pair(w, x, y);
		if (order <= 0)
			x = yyjson_arr_iter_next(&ia);
		if (order >= 0)
			y = yyjson_arr_iter_next(&ib);
	}
}

static bool look(struct watch *w)
{
	yyjson_doc *now;

	if (!w->seen)
		return look_at_log(w);
	now = look_at_list(w);
	if (!now)
		return false;
	compare(w, now);
	yyjson_doc_free(w->seen);
	w->seen = now;
	return true;
}

/* Where the log stands now; CLI_AUTH: it is not for this caller, lists are compared instead. */
static int first_look(struct watch *w)
{
	struct cli_reply r;
	yyjson_doc *doc;
	int rc = ask_log(w, 0, false, &r);

	if (rc)
		rc = cli_call_ok(w->c, "GET", GW_LIT("/admin/v1/generations"), GW_LIT("limit=1"), GW_NIL,
				 &r); /* says it */
	else if (r.status == 403)
		rc = (w->seen = look_at_list(w)) ? CLI_OK : CLI_AUTH;
	else if (r.status >= 400)
		rc = cli_say_error(w->c, &r);
	if (!rc && !w->seen && (doc = read_doc(&r)) != NULL) {
		w->seq = seq_of(yyjson_arr_get_first(yyjson_obj_get(yyjson_doc_get_root(doc), "items")));
		yyjson_doc_free(doc);
	}
	cli_reply_done(&r);
	if (rc == CLI_AUTH && !w->seen)
		cli_error("this token may not read %s", w->plural);
	return rc;
}

int cli_watch(struct cli *c, const char *plural, const char *id)
{
	struct watch w = { .c = c, .plural = plural, .id = id };
	uint64_t ms = LOOK_MS;
	int rc;

	if (!gw_cf_kind_by_plural(gw_str_z(plural), &w.kind))
		return CLI_USAGE;
	if (c->o.interval && (!gw_duration_read(gw_str_z(c->o.interval), &ms) || ms < LEAST_MS)) {
		cli_error("--interval: a span from 100ms, not \"%s\"", c->o.interval);
		return CLI_USAGE;
	}
	if (c->o.count && (!gw_str_u64(gw_str_z(c->o.count), &w.most) || !w.most)) {
		cli_error("--count: a number from 1, not \"%s\"", c->o.count);
		return CLI_USAGE;
	}
	rc = first_look(&w);
	if (rc)
		return rc;
	cli_say_live();
	cli_note("watching %s%s%s on %s; Ctrl-C ends it", plural, id ? " " : "", id ? id : "", cli_server(c));
	while (!is_enough(&w)) {
		struct gw_mark mark = gw_arena_mark(&c->arena);
		bool ok = look(&w);

		gw_arena_reset(&c->arena, mark);
		if (!ok && !w.is_away)
			cli_note("the gateway does not answer; still watching");
		else if (ok && w.is_away)
			cli_note("the gateway is back");
		w.is_away = !ok;
		if (!is_enough(&w))
			gw_sleep_ms(ms);
	}
	yyjson_doc_free(w.seen);
	return CLI_OK;
}

int cli_cmd_watch(struct cli *c)
{
	const char *plural = cli_plural(c->args[0]);

	return plural ? cli_watch(c, plural, c->n_args > 1 ? c->args[1] : NULL) : CLI_USAGE;
}
