/* Bodies of requests and replies into numbers of tokens (estimate.h): one walk over the JSON text that looks at names of members and knows
 * no dialect. What a name means is in the tables below; members that become no prompt are passed over. Replies come from providers: any
 * type may be anywhere, and the text may end anywhere. */
#include "core/estimate_impl.h"

enum { MAX_DEPTH = 64 };
/* What providers put around the texts. OpenAI's rule: 3 and the role for a turn, 3 at the end. The others, calls and Claude's words about tools
 * are what recorded usage comes to (docs/COST.md). */
static const struct frame {
	uint16_t turn, whole, tools, call;
} frames[GW_EF_COUNT] = {
	[GW_EF_O200K] = { 4, 3, 0, 8 },  [GW_EF_CL100K] = { 4, 3, 0, 8 }, [GW_EF_CLAUDE] = { 4, 3, 480, 30 },
	[GW_EF_GEMINI] = { 0, 1, 0, 2 }, [GW_EF_OPEN] = { 4, 3, 0, 8 },
};

/* What is wanted of a value. */
enum mode {
	M_SKIP,
	M_ROOT, /* a request: its members by root_keys */
	M_REPLY, /* the same of a reply, by reply_keys */
	M_LIST, /* turns, texts, or numbers of tokens; an object in place of a list is a request in a wrapper */
	M_TEXT, /* texts, their frame by text_keys */
	M_PLAIN, /* all texts there are, but for ids */
	M_JSON, /* written into the prompt as JSON; a string as text */
	M_TOOLS, /* descriptions of tools */
	M_FORMAT, /* holds a schema somewhere */
	M_MEDIA /* a picture, sound, film or document: its size counts */
};
struct key {
	const char *name;
	uint8_t n, mode;
};
#define KEY(name, mode)                                                                                                \
	{                                                                                                              \
		(name), sizeof(name) - 1, (mode)                                                                       \
	}
static const struct key root_keys[] = {
	KEY("messages", M_LIST),
	KEY("contents", M_LIST),
	KEY("input", M_LIST),
	KEY("prompt", M_LIST),
	KEY("texts", M_LIST),
	KEY("inputs", M_LIST),
	KEY("chat_history", M_LIST),
	KEY("system", M_TEXT),
	KEY("instructions", M_TEXT),
	KEY("systemInstruction", M_TEXT),
	KEY("system_instruction", M_TEXT),
	KEY("content", M_TEXT),
	KEY("suffix", M_TEXT),
	KEY("query", M_TEXT),
	KEY("inputText", M_TEXT),
	KEY("documents", M_PLAIN),
	KEY("tools", M_TOOLS),
	KEY("functions", M_TOOLS),
	KEY("toolConfig", M_TOOLS),
	KEY("response_format", M_FORMAT),
	KEY("generationConfig", M_FORMAT),
	KEY("generation_config", M_FORMAT),
	KEY("text", M_FORMAT),
	KEY("output_config", M_FORMAT),
	KEY("output_format", M_FORMAT),
	KEY("outputConfig", M_FORMAT),
	KEY("requests", M_ROOT),
	KEY("converse", M_ROOT),
	KEY("generateContentRequest", M_ROOT),
};
static const struct key reply_keys[] = {
	KEY("choices", M_TEXT), KEY("content", M_TEXT), KEY("output", M_TEXT), KEY("candidates", M_TEXT),
	KEY("message", M_TEXT), KEY("text", M_TEXT),    KEY("delta", M_TEXT),
};
/* Inside of a turn or a block; what is not here is text. */
static const struct key text_keys[] = {
	KEY("role", M_SKIP),
	KEY("type", M_SKIP),
	KEY("id", M_SKIP),
	KEY("url", M_SKIP),
	KEY("index", M_SKIP),
	KEY("model", M_SKIP),
	KEY("phase", M_SKIP),
	KEY("status", M_SKIP),
	KEY("object", M_SKIP),
	KEY("detail", M_SKIP),
	KEY("item_id", M_SKIP),
	KEY("obfuscation", M_SKIP),
	KEY("service_tier", M_SKIP),
	KEY("system_fingerprint", M_SKIP),
	KEY("call_id", M_SKIP),
	KEY("citations", M_SKIP),
	KEY("annotations", M_SKIP),
	KEY("signature", M_SKIP),
	KEY("cachePoint", M_SKIP),
	KEY("toolUseId", M_SKIP),
	KEY("tool_use_id", M_SKIP),
	KEY("tool_call_id", M_SKIP),
	KEY("cache_control", M_SKIP),
	KEY("finish_reason", M_SKIP),
	KEY("finishReason", M_SKIP),
	KEY("stop_reason", M_SKIP),
	KEY("stopReason", M_SKIP),
	KEY("thoughtSignature", M_SKIP),
	KEY("thought_signature", M_SKIP),
	KEY("reasoning_details", M_SKIP), /* the same text once more, or what cannot be read */
	KEY("executed_tools", M_SKIP),
	KEY("encrypted_content", M_SKIP),
	KEY("redactedContent", M_SKIP),
	KEY("logprobs", M_SKIP),
	KEY("logprobsResult", M_SKIP),
	KEY("safetyRatings", M_SKIP),
	KEY("groundingMetadata", M_SKIP),
	KEY("citationMetadata", M_SKIP),
	KEY("input", M_JSON),
	KEY("args", M_JSON),
	KEY("response", M_JSON),
	KEY("json", M_JSON),
	KEY("image_url", M_MEDIA),
	KEY("video_url", M_MEDIA),
	KEY("document_url", M_MEDIA),
	KEY("file_url", M_MEDIA),
	KEY("input_audio", M_MEDIA),
	KEY("source", M_MEDIA),
	KEY("data", M_MEDIA),
	KEY("file", M_MEDIA),
	KEY("file_data", M_MEDIA),
	KEY("inlineData", M_MEDIA),
	KEY("inline_data", M_MEDIA),
	KEY("fileData", M_MEDIA),
	KEY("audio", M_MEDIA),
};
static const struct key plain_keys[] = { KEY("id", M_SKIP) };
static const struct key format_keys[] = { KEY("schema", M_JSON), KEY("responseSchema", M_JSON),
					  KEY("responseJsonSchema", M_JSON), KEY("structure", M_JSON) };

struct walk {
	struct gw_estimate e;
	const char *p, *end;
	unsigned depth, in_media; /* of these, inside of a picture or file */
	uint64_t tokens; /* beside those of texts */
	/* of the picture or file under way */
	struct gw_media media;
	bool has_media, is_low, is_url, is_bad, has_turns, has_tools;
	/* of reranking */
	uint64_t query_units, n_documents;
};

/* ---- the text ---- */

static void skip_space(struct walk *w)
{
	while (w->p < w->end && (*w->p == ' ' || *w->p == '\n' || *w->p == '\r' || *w->p == '\t'))
		w->p++;
}

static bool eat(struct walk *w, char c)
{
	skip_space(w);
	if (w->p == w->end || *w->p != c)
		return false;
	w->p++;
	return true;
}

/* At an opening quote. A string that is cut is what is left. */
static struct gw_str take_string(struct walk *w)
{
	const char *from = w->p + 1, *q = from, *back;

	for (;;) {
		q = q < w->end ? memchr(q, '"', (size_t)(w->end - q)) : NULL;
		if (!q) {
			w->is_bad = true;
			w->p = w->end;
			return gw_str(from, (size_t)(w->end - from));
		}
		for (back = q; back > from && back[-1] == '\\'; back--)
			;
		if (((q - back) & 1) == 0)
			break;
		q++;
	}
	w->p = q + 1;
	return gw_str(from, (size_t)(q - from));
}

static bool is_scalar_byte(char c)
{
	return c != ',' && c != ']' && c != '}' && c != ' ' && c != '\n' && c != '\r' && c != '\t' && c != '"' &&
	       c != '[' && c != '{' && c != ':';
}

/* The value at p as it stands. */
static struct gw_str take_value(struct walk *w)
{
	const char *from = w->p;
	unsigned depth = 0;

	do {
		if (w->p == w->end) {
			w->is_bad = true;
			break;
		}
		if (*w->p == '"') {
			take_string(w);
			continue;
		}
		if (*w->p == '{' || *w->p == '[')
			depth++;
		else if ((*w->p == '}' || *w->p == ']') && depth)
			depth--;
		else if (!depth) {
			while (w->p < w->end && is_scalar_byte(*w->p))
				w->p++;
			w->is_bad |= w->p == from;
			break;
		}
		w->p++;
	} while (depth);
	return gw_str(from, (size_t)(w->p - from));
}

/* ---- meaning ---- */

static enum mode mode_of(struct gw_str key, const struct key *list, size_t n, enum mode other)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].n == key.n && memcmp(list[i].name, key.p, key.n) == 0)
			return list[i].mode;
	}
	return other;
}
#define MODE_OF(key, list, other) mode_of(key, list, sizeof(list) / sizeof((list)[0]), other)

static void put_media(struct walk *w)
{
	if (!w->has_media && w->is_url) /* of a size that we do not know */
		w->media = (struct gw_media){ .kind = GW_MEDIA_IMAGE };
	if (w->has_media || w->is_url)
		w->tokens += gw_media_tokens(w->e.family, &w->media, w->is_low);
	w->has_media = w->is_low = w->is_url = false;
}

/* A string in a picture's or file's place: "data:image/png;base64,...", base64 alone, an address. */
static void take_payload(struct walk *w, struct gw_str s)
{
	struct gw_media m;
	size_t comma;

	if (gw_str_has_prefix(s, GW_LIT("http")) || gw_str_has_prefix(s, GW_LIT("gs:")) ||
	    gw_str_has_prefix(s, GW_LIT("s3:"))) {
		w->is_url = true;
		return;
	}
	if (gw_str_has_prefix(s, GW_LIT("data:"))) {
		comma = gw_str_find(gw_str(s.p, s.n < 256 ? s.n : 256), ',');
		s = gw_str_skip(s, comma + 1);
	}
	gw_media_look(s, &m);
	if (m.kind == GW_MEDIA_UNKNOWN) { /* a document given as text */
		gw_estimate_new_run(&w->e);
		if (gw_str_find(s, ' ') < s.n)
			gw_estimate_escaped(&w->e, s);
		return;
	}
	w->media = m;
	w->has_media = true;
}

static bool is_key(struct gw_str key, const char *name)
{
	return gw_str_eq(key, gw_str_z(name));
}

static enum mode media_member(struct walk *w, struct gw_str key)
{
	struct walk look = *w;

	if (is_key(key, "detail")) {
		w->is_low |= look.p < look.end && *look.p == '"' && gw_str_eq(take_string(&look), GW_LIT("low"));
		return M_SKIP;
	}
	if (is_key(key, "content") || is_key(key, "text") || is_key(key, "title") || is_key(key, "transcript"))
		return M_TEXT; /* a document in pieces */
	return is_key(key, "url") || is_key(key, "uri") || is_key(key, "fileUri") || is_key(key, "file_uri") ||
		       is_key(key, "data") || is_key(key, "bytes") || is_key(key, "file_data") ||
		       is_key(key, "s3Location") || is_key(key, "file")
		   ? M_MEDIA
		   : M_SKIP;
}

static enum mode member(struct walk *w, enum mode mode, struct gw_str key)
{
	switch (mode) {
	case M_ROOT:
		return MODE_OF(key, root_keys, M_SKIP);
	case M_REPLY:
		return MODE_OF(key, reply_keys, M_SKIP);
	case M_PLAIN:
		return MODE_OF(key, plain_keys, M_PLAIN);
	case M_FORMAT:
		return MODE_OF(key, format_keys, M_FORMAT);
	case M_MEDIA:
		return media_member(w, key);
	default:
		return MODE_OF(key, text_keys, M_TEXT);
	}
}

/* What costs beside the texts. */
static void note(struct walk *w, enum mode mode, struct gw_str key)
{
	if (mode == M_TEXT && is_key(key, "name")) /* of a call; that of a person is rare */
		w->tokens += frames[w->e.family].call;
	else if (mode == M_ROOT && !w->has_tools && MODE_OF(key, root_keys, M_SKIP) == M_TOOLS) {
		w->has_tools = true;
		w->tokens += frames[w->e.family].tools;
	}
}

static void value(struct walk *w, enum mode mode);

static void object(struct walk *w, enum mode mode)
{
	struct gw_str key;

	w->p++;
	if (eat(w, '}'))
		return;
	do {
		uint64_t before = w->e.units;

		skip_space(w);
		if (w->p == w->end || *w->p != '"') {
			w->is_bad = true;
			return;
		}
		key = take_string(w);
		if (!eat(w, ':')) {
			w->is_bad = true;
			return;
		}
		skip_space(w);
		note(w, mode, key);
		value(w, member(w, mode, key));
		if (mode == M_ROOT && is_key(key, "query"))
			w->query_units = w->e.units - before;
	} while (!w->is_bad && eat(w, ','));
	w->is_bad |= !eat(w, '}');
}

static void array(struct walk *w, enum mode mode)
{
	uint64_t n = 0;

	w->p++;
	if (eat(w, ']'))
		return;
	do {
		skip_space(w);
		n++;
		if (mode == M_LIST && w->p < w->end && *w->p == '{') {
			w->tokens += frames[w->e.family].turn;
			w->has_turns = true;
			value(w, M_TEXT);
		} else {
			value(w, mode);
		}
	} while (!w->is_bad && eat(w, ','));
	w->is_bad |= !eat(w, ']');
	if (mode == M_PLAIN && w->depth == 2)
		w->n_documents = n;
}

static void text(struct walk *w, struct gw_str inside)
{
	gw_estimate_new_run(&w->e);
	gw_estimate_escaped(&w->e, inside);
}

/* A string, a number or a word. */
static void scalar(struct walk *w, enum mode mode)
{
	struct gw_str s;

	if (w->p < w->end && *w->p == '"') {
		s = take_string(w);
		if (mode == M_MEDIA) {
			take_payload(w, s);
			if (!w->in_media)
				put_media(w);
		} else if (mode == M_TEXT && s.n > 64 && gw_str_has_prefix(s, GW_LIT("data:")) &&
			   gw_str_find(gw_str(s.p, 64), ',') < 64) {
			take_payload(w, s);
			put_media(w);
		} else if (mode == M_TEXT || mode == M_PLAIN || mode == M_LIST || mode == M_JSON) {
			text(w, s);
		}
		return;
	}
	s = take_value(w);
	if (mode == M_LIST && s.n && s.p[0] >= '0' && s.p[0] <= '9')
		w->tokens++; /* a text that came as numbers of tokens */
}

static void value(struct walk *w, enum mode mode)
{
	skip_space(w);
	bool is_list = w->p < w->end && (*w->p == '[' || *w->p == '{');

	if (is_list && (mode == M_JSON || mode == M_TOOLS)) {
		gw_estimate_new_run(&w->e);
		gw_estimate_text(&w->e, take_value(w));
	} else if (is_list && mode == M_SKIP) {
		take_value(w);
	} else if (!is_list) {
		scalar(w, mode);
	} else if (w->depth == MAX_DEPTH) {
		w->is_bad = true;
	} else {
		w->depth++;
		w->in_media += mode == M_MEDIA;
		if (*w->p == '[')
			array(w, mode);
		else
			object(w, mode == M_LIST ? M_ROOT : mode);
		w->in_media -= mode == M_MEDIA;
		if (mode == M_MEDIA && !w->in_media)
			put_media(w);
		w->depth--;
	}
}

static void walk(struct walk *w, enum gw_estimate_family f, struct gw_str json, enum mode mode)
{
	*w = (struct walk){ .e = gw_estimate_begin(f), .p = json.p, .end = json.p + json.n };
	if (json.n)
		value(w, mode);
}

uint64_t gw_estimate_request(enum gw_estimate_family f, struct gw_str body)
{
	struct walk w;

	walk(&w, f, body, M_ROOT);
	if (w.n_documents > 1)
		w.e.units += w.query_units * (w.n_documents - 1);
	return w.tokens + gw_estimate_tokens(&w.e) + (w.has_turns ? frames[f].whole : 0U);
}

uint64_t gw_estimate_reply(enum gw_estimate_family f, struct gw_str body)
{
	struct walk w;

	walk(&w, f, body, M_REPLY);
	return w.tokens + gw_estimate_tokens(&w.e);
}

void gw_estimate_call(struct gw_estimate *e, struct gw_str name)
{
	gw_estimate_new_run(e);
	gw_estimate_text(e, name);
	e->units += (uint64_t)frames[e->family].call << 8;
}

void gw_estimate_value(struct gw_estimate *e, struct gw_str json)
{
	struct walk w;

	if (json.n >= 2 && json.p[0] == '"') { /* nearly all pieces of a stream */
		gw_estimate_escaped(e, gw_str(json.p + 1, json.n - 2));
		return;
	}
	w = (struct walk){ .e = *e, .p = json.p, .end = json.p + json.n };
	if (json.n)
		value(&w, M_TEXT);
	*e = w.e;
	e->units += w.tokens << 8;
}
