#pragma once
#include "lib/str.h"

/* How many tokens a text has, when nobody who knows has told: a provider that is silent about usage, a stream that was cut, a question for a
 * count at a provider that does not count, a reservation before the call. Pure, one pass, no memory, never exact: docs/COST.md has the
 * measured errors of each family and kind of text, and how to measure them again.
 *
 * Each character costs what characters of its kind cost on average at their place in a run of the kind: the first letter of a word about a
 * token, the next few nothing, the tenth a part of one. So a count only grows, may be fed in pieces cut anywhere, also inside of a
 * character or of a JSON escape, and comes out the same. The costs are fitted to real tokenizers by tools/estimate_fit.py. */

/* Whose vocabulary. */
enum gw_estimate_family {
	GW_EF_O200K, /* OpenAI since gpt-4o; what is not known */
	GW_EF_CL100K, /* OpenAI before: gpt-4, gpt-3.5, embeddings */
	GW_EF_CLAUDE,
	GW_EF_GEMINI,
	GW_EF_OPEN, /* Llama 3 and its kin: Mistral, Qwen, DeepSeek, Command */
	GW_EF_COUNT
};
/* By the provider's name of the model ("us.anthropic.claude-...", "gpt-4o-mini"). */
enum gw_estimate_family gw_estimate_family_of(struct gw_str model);
const char *gw_estimate_family_name(enum gw_estimate_family f);

/* ---- text, in pieces ---- */

struct gw_estimate {
	uint64_t units; /* 1/256 of a token */
	uint8_t family; /* enum gw_estimate_family */
	/* the run of characters under way */
	uint8_t kind, group, at;
	uint8_t
	    foreign; /* words for which letters like those of "über" or "été" are remembered: they do not occur in English */
	/* a character or an escape of which the end is still to come */
	uint8_t pending, need;
	uint16_t high; /* first half of an escaped pair */
	uint32_t code;
};
static inline struct gw_estimate gw_estimate_begin(enum gw_estimate_family f)
{
	return (struct gw_estimate){ .family = (uint8_t)f };
}
/* Plain text. Bytes that are no UTF-8 count too. */
void gw_estimate_text(struct gw_estimate *e, struct gw_str text);
/* The same as it stands between the quotes of a JSON string, with its escapes. One estimate takes either the one or the other. */
void gw_estimate_escaped(struct gw_estimate *e, struct gw_str inside);
/* A JSON value of a reply: a string's text, of lists and objects the texts that a model wrote (content, arguments, names of calls), not the
 * frame around them. Text that is no JSON is counted up to the fault. */
void gw_estimate_value(struct gw_estimate *e, struct gw_str json);
/* A call of a tool begins: its name, and what stands around a call. The arguments follow as text. */
void gw_estimate_call(struct gw_estimate *e, struct gw_str name);
/* Tokens that were counted apart. */
static inline void gw_estimate_add(struct gw_estimate *e, uint64_t tokens)
{
	e->units += tokens << 8;
}
/* What it comes to so far, rounded. */
static inline uint64_t gw_estimate_tokens(const struct gw_estimate *e)
{
	return (e->units + 128) >> 8;
}

/* ---- requests and replies ---- */

/* Input tokens of a request's body as a client sent it, in any dialect: conversations, embeddings, reranking (whose queries count once a
 * document), completions, counts. Read are the members that become a prompt, by their names: messages, system, tools, schemas, pictures
 * and documents by their size, lists of token numbers one each; what only steers the call is passed over. One pass, no memory: cheap
 * enough to reserve for a request before it is sent (a reservation adds the request's own limit of output tokens to it). What is no
 * JSON counts up to the fault. */
uint64_t gw_estimate_request(enum gw_estimate_family f, struct gw_str body);
/* Output tokens of a whole reply's body, in any dialect. */
uint64_t gw_estimate_reply(enum gw_estimate_family f, struct gw_str body);

/* ---- media ---- */

enum gw_media_kind { GW_MEDIA_UNKNOWN, GW_MEDIA_IMAGE, GW_MEDIA_AUDIO, GW_MEDIA_VIDEO, GW_MEDIA_DOCUMENT };
struct gw_media {
	enum gw_media_kind kind;
	uint32_t width, height; /* of a picture; 0: not known */
	uint64_t seconds; /* of sound and film, rounded up; guessed by the size where the head does not tell */
	uint64_t bytes; /* of the file */
};
/* From the first bytes of a file in base64 (PNG, JPEG, GIF, WebP, WAV, PDF, ...): a few of them are looked at, wherever they lie. */
void gw_media_look(struct gw_str base64, struct gw_media *out);
/* is_low: the client asked for the low detail of OpenAI's pictures. */
uint64_t gw_media_tokens(enum gw_estimate_family f, const struct gw_media *m, bool is_low);
