/* What came back from the endpoints beside chat: one event of a stream decided, and where usage is told.
 *
 * Completions stream like chat, with text instead of deltas. Responses, images and audio send typed events: `{"type": "..."}`, one of
 * which ends the answer and tells the usage; those pass byte for byte. */
#include "core/api.h"

/* A whole response, images, and the typed events of streams: the last ones carry the response as a member. Breadth first: the
 * children of a row stand together. */
static const struct gw_scan_node typed_tree[] = {
	GW_SCAN_NODE("", 1, 7, -1),
	GW_SCAN_NODE("type", 0, 0, GW_UP_ID),
	GW_SCAN_NODE("model", 0, 0, GW_UP_MODEL),
	GW_SCAN_NODE("status", 0, 0, GW_UP_FINISH),
	GW_SCAN_NODE("usage", 8, 7, GW_UP_USAGE),
	GW_SCAN_NODE("error", 15, 3, GW_UP_ERROR),
	GW_SCAN_NODE("response", 18, 5, -1),
	GW_SCAN_NODE("service_tier", 0, 0, GW_UP_TIER),
	GW_SCAN_NODE("input_tokens", 0, 0, GW_UP_INPUT), /* 8: of usage */
	GW_SCAN_NODE("output_tokens", 0, 0, GW_UP_OUTPUT),
	GW_SCAN_NODE("total_tokens", 0, 0, GW_UP_TOTAL),
	GW_SCAN_NODE("input_tokens_details", 23, 4, -1),
	GW_SCAN_NODE("output_tokens_details", 27, 3, -1),
	GW_SCAN_NODE("cost_in_usd_ticks", 0, 0, GW_UP_TICKS),
	GW_SCAN_NODE("server_side_tool_usage_details", 30, 1, -1),
	GW_SCAN_NODE("code", 0, 0, GW_UP_ERROR_CODE), /* 15: of error */
	GW_SCAN_NODE("type", 0, 0, GW_UP_ERROR_TYPE),
	GW_SCAN_NODE("message", 0, 0, GW_UP_ERROR_MESSAGE),
	GW_SCAN_NODE("model", 0, 0, GW_UP_MODEL), /* 18: of response */
	GW_SCAN_NODE("status", 0, 0, GW_UP_FINISH),
	GW_SCAN_NODE("usage", 8, 7, GW_UP_USAGE),
	GW_SCAN_NODE("error", 15, 3, GW_UP_ERROR),
	GW_SCAN_NODE("service_tier", 0, 0, GW_UP_TIER),
	GW_SCAN_NODE("cached_tokens", 0, 0, GW_UP_CACHED), /* 23: of input_tokens_details */
	GW_SCAN_NODE("cache_write_tokens", 0, 0, GW_UP_CACHE_WRITE),
	GW_SCAN_NODE("audio_tokens", 0, 0, GW_UP_AUDIO_IN),
	GW_SCAN_NODE("image_tokens", 0, 0, GW_UP_IMAGE_IN),
	GW_SCAN_NODE("reasoning_tokens", 0, 0, GW_UP_REASONING), /* 27: of output_tokens_details */
	GW_SCAN_NODE("audio_tokens", 0, 0, GW_UP_AUDIO_OUT),
	GW_SCAN_NODE("image_tokens", 0, 0, GW_UP_IMAGE_OUT),
	GW_SCAN_NODE("web_search_calls", 0, 0, GW_UP_SEARCHES) /* 30: of server_side_tool_usage_details */
};
/* Audio: tokens, or seconds in places of their own. */
static const struct gw_scan_node media_tree[] = { GW_SCAN_NODE("", 1, 4, -1),
						  GW_SCAN_NODE("model", 0, 0, GW_UP_MODEL),
						  GW_SCAN_NODE("duration", 0, 0, GW_UP_FINISH),
						  GW_SCAN_NODE("usage", 5, 4, GW_UP_USAGE),
						  GW_SCAN_NODE("error", 9, 3, GW_UP_ERROR),
						  GW_SCAN_NODE("input_tokens", 0, 0, GW_UP_INPUT), /* 5: of usage */
						  GW_SCAN_NODE("output_tokens", 0, 0, GW_UP_OUTPUT),
						  GW_SCAN_NODE("seconds", 0, 0, GW_UP_ID),
						  GW_SCAN_NODE("input_token_details", 12, 2, -1),
						  GW_SCAN_NODE("code", 0, 0, GW_UP_ERROR_CODE), /* 9: of error */
						  GW_SCAN_NODE("type", 0, 0, GW_UP_ERROR_TYPE),
						  GW_SCAN_NODE("message", 0, 0, GW_UP_ERROR_MESSAGE),
						  GW_SCAN_NODE("cached_tokens", 0, 0,
							       GW_UP_CACHED), /* 12: of input_token_details */
						  GW_SCAN_NODE("audio_tokens", 0, 0, GW_UP_AUDIO_IN) };
/* Only the type of an event. */
static const struct gw_scan_node type_tree[] = { GW_SCAN_NODE("", 1, 1, -1), GW_SCAN_NODE("type", 0, 0, 0) };

const struct gw_scan_node *gw_api_usage_tree(enum gw_ep_usage usage)
{
	switch (usage) {
	case GW_EPU_TYPED:
		return typed_tree;
	case GW_EPU_MEDIA:
		return media_tree;
	case GW_EPU_NONE:
	case GW_EPU_CHAT:
	case GW_EPU_TEXT:
		break;
	}
	return gw_usage_tree;
}

/* "12", "12.34": whole seconds, the last one begun counts. */
static uint64_t read_seconds(const struct gw_scan_value *v)
{
	struct gw_str text = gw_scan_str(v), whole, rest;
	uint64_t n = 0;
	bool is_more = false;

	if ((v->type != GW_JSON_NUM && v->type != GW_JSON_STR) || v->is_cut)
		return 0;
	gw_str_cut(text, '.', &whole, &rest);
	if (!gw_str_u64(whole, &n) || n > 1000000)
		return 0;
	for (size_t i = 0; i < rest.n; i++) {
		if (rest.p[i] < '0' || rest.p[i] > '9')
			return 0;
		is_more |= rest.p[i] != '0';
	}
	return n + is_more;
}

uint64_t gw_api_seconds(const struct gw_scan_value values[GW_UP_PATHS])
{
	uint64_t n = read_seconds(&values[GW_UP_ID]);

	return n ? n : read_seconds(&values[GW_UP_FINISH]);
}

/* ---- typed events ---- */

static void pick(struct gw_str data, struct gw_scan_value *values)
{
	struct gw_json_scan scan;

	gw_json_scan_init(&scan, typed_tree, values, GW_UP_PATHS);
	gw_json_scan_feed(&scan, data.p, data.n);
}

static bool ends_with(struct gw_str s, struct gw_str tail)
{
	return s.n >= tail.n && gw_str_eq(gw_str_skip(s, s.n - tail.n), tail);
}

static bool is_one_of(struct gw_str s, const char *const *list)
{
	for (; *list; list++) {
		if (gw_str_eq(s, gw_str_z(*list)))
			return true;
	}
	return false;
}

/* The type stands first in what all known providers send: `event:` says it too, but may be missing. */
static struct gw_str type_of(const struct gw_sse_event *ev)
{
	struct gw_str head = GW_LIT("{\"type\":\""), rest, type;

	if (ev->event.n)
		return ev->event;
	if (!gw_str_has_prefix(ev->data, head))
		return GW_NIL;
	rest = gw_str_skip(ev->data, head.n);
	return gw_str_cut(rest, '"', &type, &rest) ? type : GW_NIL;
}

static enum gw_err typed(const struct gw_sse_event *ev, struct gw_scan_value *values, struct gw_chat_event *out)
{
	static const char *const ends[] = { "response.completed",   "response.incomplete",
					    "response.failed",      "transcript.text.done",
					    "speech.audio.done",    "image_generation.completed",
					    "image_edit.completed", NULL };
	struct gw_str type = type_of(ev);
	struct gw_scan_value found;
	struct gw_json_scan scan;

	if (type.n == 0) { /* somewhere else in the object */
		gw_json_scan_init(&scan, type_tree, &found, 1);
		gw_json_scan_feed(&scan, ev->data.p, ev->data.n);
		if (scan.is_broken || !scan.is_done)
			return GW_E_UP_GARBLED;
		type = found.type == GW_JSON_STR ? gw_scan_str(&found) : GW_NIL;
	}
	if (gw_str_eq(type, GW_LIT("error"))) {
		pick(ev->data, values);
		out->has_values = true;
		out->kind = GW_EV_ERROR;
	} else if (is_one_of(type, ends)) {
		pick(ev->data, values);
		out->has_values = true;
		out->kind = gw_str_eq(type, GW_LIT("response.failed")) ? GW_EV_ERROR : GW_EV_DONE;
	} else {
		out->has_content = ends_with(type, GW_LIT(".delta")) || ends_with(type, GW_LIT(".partial_image")) ||
				   ends_with(type, GW_LIT(".done"));
		if (ends_with(type, GW_LIT(".delta")))
			out->said = ev->data;
	}
	return GW_OK;
}

enum gw_err gw_api_event(enum gw_ep_usage usage, const struct gw_sse_event *ev, bool wants_usage,
			 struct gw_scan_value *values, struct gw_buf *scratch, struct gw_chat_event *out)
{
	enum gw_err e;

	if (usage == GW_EPU_TEXT || usage == GW_EPU_CHAT) {
		e = gw_chat_event(ev, wants_usage, NULL, values, scratch, out);
		/* every piece of a completion is text */
		out->has_content |= !e && ev->has_data && (out->kind == GW_EV_PASS || out->kind == GW_EV_EDIT);
		if (out->has_content && !out->said.n)
			out->said = ev->data;
		return e;
	}
	*out = (struct gw_chat_event){ .kind = GW_EV_PASS };
	if (!ev->has_data || ev->data.n == 0)
		return GW_OK;
	if (gw_str_eq(gw_str_trim(ev->data), GW_LIT("[DONE]"))) { /* some send it here too */
		out->kind = GW_EV_DONE;
		return GW_OK;
	}
	return typed(ev, values, out);
}
