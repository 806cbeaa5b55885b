/* Words for the classic mistakes (core/hint.h; rows: schemas/hints.def). */
#include "core/hint.h"

#include "core/cred.h"
#include "core/provider.h"

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* part in small letters, anywhere in text. */
static bool says(struct gw_str text, struct gw_str part)
{
	for (size_t at = 0; at + part.n <= text.n; at++) {
		size_t i = 0;

		while (i < part.n && lower(text.p[at + i]) == part.p[i])
			i++;
		if (i == part.n)
			return true;
	}
	return false;
}

struct gw_str gw_hint_of(enum gw_err err, struct gw_str said)
{
	static const struct {
		const char *said, *hint;
	} rows[] = {
#define GW_HINT(said_, hint_) { said_, hint_ },
#include "schemas/hints.def"
#undef GW_HINT
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (says(said, gw_str_z(rows[i].said)))
			return gw_str_z(rows[i].hint);
	}
	switch ((int)err) {
	case GW_E_UP_AUTH:
		return GW_LIT(
		    "The provider does not take the key: it was revoked, has expired, or is another vendor's.");
	case GW_E_UP_PERMISSION:
		return GW_LIT("The key is known but may not do this: look at its permissions at the provider.");
	case GW_E_UP_BILLING:
		return GW_LIT("The account has no credit or quota left: look at its billing at the provider.");
	case GW_E_UP_NOT_FOUND:
		return GW_LIT("The provider does not know what it was asked for: correct upstream_model, or base_url.");
	case GW_E_UP_NO_DEPLOYMENT:
		return GW_LIT("upstream_model must be the name of the deployment in this Azure resource.");
	case GW_E_UP_REGION:
		return GW_LIT("The provider does not serve the place that this request comes from, or this region.");
	default:
		return GW_NIL;
	}
}

/* How vendors' keys begin, and the type of provider that they are for. */
#define OF(vendor) "The secret begins as keys of " vendor " do, and the provider is another: is it the right key?"
static const struct {
	const char *begin, *type, *words;
} begins[] = {
	{ "sk-ant-", "anthropic", OF("Anthropic") },
	{ "sk-or-", "openrouter", OF("OpenRouter") },
	{ "sk-proj-", "openai", OF("OpenAI") },
	{ "sk-svcacct-", "openai", OF("OpenAI") },
	{ "gsk_", "groq", OF("Groq") },
	{ "xai-", "xai", OF("xAI") },
	{ "AIza", "gemini", OF("Google") },
	{ "hf_", "huggingface", OF("Hugging Face") },
	{ "pplx-", "perplexity", OF("Perplexity") },
	{ "nvapi-", "nvidia", OF("NVIDIA") },
	{ "csk-", "cerebras", OF("Cerebras") },
	{ "fw_", "fireworks", OF("Fireworks") },
	{ "tgp_v1_", "together", OF("Together") },
	{ "jina_", "jina", OF("Jina") },
	{ "ABSK", "bedrock", OF("Amazon Bedrock") },
	{ "ya29.", "vertex", OF("Google Cloud") },
	{ "AKIA", "", OF("AWS (an access key id)") },
};
#undef OF

/* Several types belong to one vendor. */
static bool is_same_vendor(const char *type, const struct gw_provider *row)
{
	static const char *const kin[][2] = { { "openai", "openai-responses" },
					      { "gemini", "vertex" },
					      { "vertex", "gemini" } };

	if (strcmp(type, row->name) == 0)
		return true;
	for (size_t i = 0; i < sizeof(kin) / sizeof(kin[0]); i++) {
		if (strcmp(type, kin[i][0]) == 0 && strcmp(row->name, kin[i][1]) == 0)
			return true;
	}
	return false;
}

struct gw_str gw_hint_key(const struct gw_provider *row, bool has_own_address, struct gw_str secret)
{
	if (!row || has_own_address || row->base_url[0] == '\0')
		return GW_NIL; /* whoever is there may take any key */
	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
		if (gw_str_has_prefix(secret, gw_str_z(begins[i].begin)))
			return is_same_vendor(begins[i].type, row) ? GW_NIL : gw_str_z(begins[i].words);
	}
	return GW_NIL;
}

struct gw_str gw_hint_aws(struct gw_str secret)
{
	struct gw_aws_keys k;

	if (!gw_aws_keys_read(secret, &k))
		return GW_NIL;
	if (gw_str_has_prefix(k.secret_key, GW_LIT("AKIA")) && k.secret_key.n == 20)
		return GW_LIT("The secret access key looks like an access key id: are the two in each other's place?");
	if (gw_str_has_prefix(k.access_key, GW_LIT("ASIA")) && !k.session_token.n)
		return GW_LIT(
		    "The access key is a temporary one (ASIA...), which does not work without its session token.");
	return GW_NIL;
}
