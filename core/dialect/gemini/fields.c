/* Names of this wire's members in both spellings, and what a model's name tells. */
#include "core/dialect/gemini/gemini.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static const char *const request_names[GR_N] = { "contents",
						 "systemInstruction",
						 "tools",
						 "toolConfig",
						 "generationConfig",
						 "functionCallingConfig",
						 "allowedFunctionNames" };
static const char *const generation_names[GG_N] = {
	"temperature",
	"topP",
	"topK",
	"maxOutputTokens",
	"candidateCount",
	"stopSequences",
	"seed",
	"presencePenalty",
	"frequencyPenalty",
	"responseMimeType",
	"responseSchema",
	"responseJsonSchema",
	"responseLogprobs",
	"logprobs",
	"thinkingConfig",
};
static const char *const thinking_names[GT_N] = { "includeThoughts", "thinkingBudget", "thinkingLevel" };
static const char *const part_names[GP_N] = { "text",     "thought",      "thoughtSignature", "inlineData",
					      "fileData", "functionCall", "functionResponse" };
static const char *const media_names[GI_N] = { "mimeType", "data", "fileUri", "displayName" };
static const char *const tool_names[GD_N] = { "name", "description", "parameters", "parametersJsonSchema" };

const struct gemini_fields gemini_request_fields = { request_names, GR_N };
const struct gemini_fields gemini_generation_fields = { generation_names, GG_N };
const struct gemini_fields gemini_thinking_fields = { thinking_names, GT_N };
const struct gemini_fields gemini_part_fields = { part_names, GP_N };
const struct gemini_fields gemini_media_fields = { media_names, GI_N };
const struct gemini_fields gemini_tool_fields = { tool_names, GD_N };

/* "maxOutputTokens" as "max_output_tokens". */
static bool is_snake_of(struct gw_str key, const char *camel)
{
	size_t i = 0;

	for (; *camel; camel++) {
		if (*camel >= 'A' && *camel <= 'Z') {
			if (i + 1 >= key.n || key.p[i] != '_' || key.p[i + 1] != *camel - 'A' + 'a')
				return false;
			i += 2;
		} else {
			if (i >= key.n || key.p[i] != *camel)
				return false;
			i++;
		}
	}
	return i == key.n;
}

int gemini_field(const struct gemini_fields *f, struct gw_str key, bool *is_snake)
{
	*is_snake = false;
	for (int i = 0; i < f->n; i++) {
		const char *name = f->names[i];

		if (key.n && *name == key.p[0] && gw_str_eq(gw_str_z(name), key))
			return i;
	}
	if (gw_str_find(key, '_') == key.n)
		return -1;
	for (int i = 0; i < f->n; i++) {
		if (is_snake_of(key, f->names[i])) {
			*is_snake = true;
			return i;
		}
	}
	return -1;
}

void gemini_key(struct gw_json_out *w, const struct gemini_fields *f, int i, uint32_t form)
{
	char snake[48];
	size_t n = 0;

	if (!(form >> i & 1)) {
		gw_jw_key(w, gw_str_z(f->names[i]));
		return;
	}
	for (const char *c = f->names[i]; *c && n + 2 < sizeof(snake); c++) {
		bool is_upper = *c >= 'A' && *c <= 'Z';

		if (is_upper)
			snake[n++] = '_';
		snake[n++] = is_upper ? (char)(*c - 'A' + 'a') : *c;
	}
	gw_jw_key(w, gw_str(snake, n));
}

const yyjson_val *gemini_get(const yyjson_val *obj, const char *name)
{
	const yyjson_val *v = gw_json_get(obj, gw_str_z(name));
	yyjson_obj_iter it;
	yyjson_val *k;

	if (v || !yyjson_is_obj((yyjson_val *)(uintptr_t)obj))
		return v;
	yyjson_obj_iter_init((yyjson_val *)(uintptr_t)obj, &it);
	while ((k = yyjson_obj_iter_next(&it))) {
		if (is_snake_of(gw_json_str(k), name))
			return yyjson_obj_iter_get_val(k);
	}
	return NULL;
}

static bool has(struct gw_str s, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= s.n; i++) {
		if (!memcmp(s.p + i, word, n))
			return true;
	}
	return false;
}

enum gemini_generation gemini_model(struct gw_str model, bool *is_pro)
{
	*is_pro = has(model, "pro");
	if (has(model, "gemma"))
		return GEMINI_GEMMA;
	if (has(model, "gemini-3") || has(model, "gemini-4"))
		return GEMINI_3;
	if (has(model, "gemini-1") || has(model, "gemini-2.0") || has(model, "gemini-pro"))
		return GEMINI_BEFORE_2_5;
	return GEMINI_2_5;
}
