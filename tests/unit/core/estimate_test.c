/* Texts into numbers of tokens: against counts by the real tokenizers, however the text is cut, whatever it holds; requests, replies, pictures. */
#include "tests/unit/lib/util.h"

#include "core/estimate_impl.h"

/* Written for this test; counted by o200k_base, cl100k_base, Gemma's and Llama 3's own tokenizers. */
static const struct sample {
	const char *kind, *text;
	unsigned true_tokens[4];
} samples[] = {
	{ "english",
	  "The gateway keeps one connection per provider open and reuses it for the next request, so a "
	  "conversation does not pay for a new handshake each time. When a provider fails before the fi"
	  "rst word has been sent, another one is asked, and the caller never learns about it.",
	  { 55, 55, 55, 55 } },
	{ "german",
	  "Die Prüfung der Übertragung dauert höchstens zwei Sekunden; danach entscheidet die Steuerung"
	  ", ob der Anbieter gewechselt wird. Ausfälle werden gezählt, und wer häufig ausfällt, bekommt"
	  " für einige Minuten keine Anfragen mehr.",
	  { 46, 66, 47, 66 } },
	{ "french",
	  "Chaque requête est vérifiée avant d'être envoyée au fournisseur. Si la réponse n'arrive pas "
	  "à temps, un autre modèle est interrogé, et l'utilisateur ne s'aperçoit de rien.",
	  { 41, 47, 43, 47 } },
	{ "russian",
	  "Каждый запрос проверяется до отправки поставщику. Если ответ не приходит вовремя, спрашивают"
	  " другую модель, и пользователь этого не замечает.",
	  { 31, 49, 31, 38 } },
	{ "chinese",
	  "网关会为每个请求选择最合适的模型，并且记录它花费了多少。如果供应商没有回答，就会询问下一个，用户不会察觉到任"
	  "何变化。",
	  { 41, 57, 34, 41 } },
	{ "japanese",
	  "ゲートウェイはリクエストごとに最適なモデルを選び、かかった費用を記録します。応答がない場合は次のモデルに問い"
	  "合わせるので、利用者は気づきません。",
	  { 51, 79, 33, 51 } },
	{ "korean",
	  "게이트웨이는 요청마다 가장 알맞은 모델을 고르고 비용을 기록합니다. 응답이 없으면 다음 모델에 물어보므로 "
	  "사용자는 알아차리지 못합니다.",
	  { 39, 70, 46, 40 } },
	{ "c",
	  "static size_t copy_line(char *to, size_t max, const char *from)\n{\n\tsize_t n = 0;\n\n\twhi"
	  "le (n + 1 < max && from[n] && from[n] != '\\n') {\n\t\tto[n] = from[n];\n\t\tn++;\n\t}\n\tto"
	  "[n] = 0;\n\treturn n;\n}\n",
	  { 71, 71, 95, 71 } },
	{ "python",
	  "def read_prices(path):\n    \"\"\"Rows of the file, by the name of the model.\"\"\"\n    out"
	  " = {}\n    with open(path, encoding=\"utf-8\") as f:\n        for line in f:\n            na"
	  "me, _, price = line.strip().partition(\"\\t\")\n            if name and not name.startswith("
	  "\"#\"):\n                out[name] = int(price)\n    return out\n",
	  { 77, 77, 92, 77 } },
	{ "json",
	  "{\"id\": \"order-2231\", \"customer\": {\"name\": \"A. Lindt\", \"country\": \"CH\"}, \"item"
	  "s\": [{\"sku\": \"KX-100\", \"count\": 3, \"price\": 12.50}, {\"sku\": \"KX-200\", \"count\""
	  ": 1, \"price\": 99.90}], \"is_paid\": true, \"note\": null}",
	  { 87, 87, 97, 87 } },
	{ "numbers",
	  "1204, 88317, 4, 901223, 17, 3.14159, 2.71828, 100000, 42, 7, 65536, 4294967296, 2026, 11, 30",
	  { 58, 58, 92, 58 } },
};
enum { N_SAMPLES = sizeof(samples) / sizeof(samples[0]) };
static const enum gw_estimate_family counted[4] = { GW_EF_O200K, GW_EF_CL100K, GW_EF_GEMINI, GW_EF_OPEN };

static struct gw_estimate whole(enum gw_estimate_family f, struct gw_str s, bool is_escaped)
{
	struct gw_estimate e = gw_estimate_begin(f);

	if (is_escaped)
		gw_estimate_escaped(&e, s);
	else
		gw_estimate_text(&e, s);
	return e;
}

static uint64_t tokens(enum gw_estimate_family f, const char *text)
{
	struct gw_estimate e = whole(f, gw_str_z(text), false);

	return gw_estimate_tokens(&e);
}

static void near_the_truth(void **st)
{
	(void)st;
	for (size_t i = 0; i < N_SAMPLES; i++) {
		for (size_t k = 0; k < 4; k++) {
			double off = (double)tokens(counted[k], samples[i].text) / samples[i].true_tokens[k] - 1;

			if (off < -0.3 || off > 0.3)
				fail_msg("%s, %s: %.0f %% off", samples[i].kind, gw_estimate_family_name(counted[k]),
					 off * 100);
		}
	}
}

/* All samples together: what is too much in one is too little in another. */
static void near_on_average(void **st)
{
	(void)st;
	for (size_t k = 0; k < 4; k++) {
		double sum = 0;

		for (size_t i = 0; i < N_SAMPLES; i++)
			sum += (double)tokens(counted[k], samples[i].text) / samples[i].true_tokens[k];
		sum /= N_SAMPLES;
		if (sum < 0.93 || sum > 1.07)
			fail_msg("%s: %.2f", gw_estimate_family_name(counted[k]), sum);
	}
}

static void same_however_cut(struct gw_str s, bool is_escaped)
{
	struct gw_estimate want = whole(GW_EF_O200K, s, is_escaped);

	for (size_t cut = 0; cut <= s.n; cut++) {
		struct gw_estimate e = whole(GW_EF_O200K, gw_str(s.p, cut), is_escaped);
		uint64_t before = e.units;

		if (is_escaped)
			gw_estimate_escaped(&e, gw_str_skip(s, cut));
		else
			gw_estimate_text(&e, gw_str_skip(s, cut));
		assert_int_equal(e.units, want.units);
		assert_true(before <= e.units);
	}
}

static void cut_anywhere(void **st)
{
	static const char *const escaped[] = { "caf\\u00e9 \\ud83d\\ude00 \\u4f60\\u597d",
					       "a\\n\\n\\t\\\"b\\\\ \\/ \\u0041",
					       "\\ud83d alone, \\ude00 too \\ud83d\\ud83d\\ude00", "\\uZZ12 \\q \\" };
	static const char *const odd[] = { "\xff\xfe\x80 a\xc3",   "\xe4\xbd",        "\xf0\x9f\x98",
					   "\xed\xa0\x80\xc0\xaf", "a\x01\x02 b\x7f", "\xf4\x90\x80\x80" };

	(void)st;
	for (size_t i = 0; i < N_SAMPLES; i++)
		same_however_cut(gw_str_z(samples[i].text), false);
	for (size_t i = 0; i < sizeof(escaped) / sizeof(escaped[0]); i++)
		same_however_cut(gw_str_z(escaped[i]), true);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		same_however_cut(gw_str_z(odd[i]), false);
		same_however_cut(gw_str_z(odd[i]), true);
	}
}

/* An escape is the character that it stands for. */
static void escapes(void **st)
{
	static const struct {
		const char *escaped, *text;
	} same[] = { { "caf\\u00e9", "caf\xc3\xa9" },
		     { "\\ud83d\\ude00", "\xf0\x9f\x98\x80" },
		     { "\\u4f60\\u597d\\uff0c", "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c" },
		     { "one\\ntwo\\tthree \\\"four\\\"", "one\ntwo\tthree \"four\"" },
		     { "\\u0061\\u0062", "ab" } };

	(void)st;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		struct gw_estimate e = whole(GW_EF_O200K, gw_str_z(same[i].escaped), true);

		assert_int_equal(e.units, whole(GW_EF_O200K, gw_str_z(same[i].text), false).units);
	}
}

static void small_and_huge(void **st)
{
	size_t n = 8 << 20;
	char *p = malloc(n);
	uint64_t last = 0;

	(void)st;
	assert_non_null(p);
	assert_int_equal(tokens(GW_EF_O200K, ""), 0);
	assert_int_equal(gw_estimate_request(GW_EF_O200K, GW_NIL), 0);
	assert_int_equal(gw_estimate_reply(GW_EF_O200K, GW_NIL), 0);
	for (size_t i = 0; i < n; i++)
		p[i] = samples[0].text[i % strlen(samples[0].text)];
	for (size_t len = 1; len <= n; len *= 2) {
		struct gw_estimate e = whole(GW_EF_O200K, gw_str(p, len), false);

		assert_true(gw_estimate_tokens(&e) >= last);
		last = gw_estimate_tokens(&e);
	}
	assert_in_range(last, n / 8, n / 3);
	memset(p, 0xff, n);
	assert_true(whole(GW_EF_O200K, gw_str(p, n), false).units > 0);
	free(p);
}

static void families(void **st)
{
	static const struct {
		const char *model;
		enum gw_estimate_family family;
	} rows[] = { { "gpt-4o-mini", GW_EF_O200K },
		     { "gpt-4.1", GW_EF_O200K },
		     { "gpt-4-turbo", GW_EF_CL100K },
		     { "gpt-3.5-turbo", GW_EF_CL100K },
		     { "gpt-5", GW_EF_O200K },
		     { "text-embedding-3-small", GW_EF_CL100K },
		     { "us.anthropic.claude-sonnet-4-5-20250929-v1:0", GW_EF_CLAUDE },
		     { "models/gemini-2.5-flash", GW_EF_GEMINI },
		     { "meta-llama/Llama-3.3-70B", GW_EF_OPEN },
		     { "our-own", GW_EF_O200K },
		     { "", GW_EF_O200K } };

	(void)st;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(gw_estimate_family_of(gw_str_z(rows[i].model)), rows[i].family);
}

/* ---- requests ---- */

static uint64_t request(enum gw_estimate_family f, const char *json)
{
	return gw_estimate_request(f, gw_str_z(json));
}

/* The same question in the words of each dialect. */
static void dialects_agree(void **st)
{
	static const char *const same[] = {
		"{\"model\":\"a-very-long-name-of-a-model\",\"temperature\":0.25,\"messages\":[{\"role\":\"user\","
		"\"content\":\"What "
		"is blue?\"}],\"metadata\":{\"a\":\"not a prompt, however long it is\"}}",
		"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"What is "
		"blue?\",\"cache_control\":{\"type\":"
		"\"ephemeral\"}}]}],\"stop\":[\"one\",\"two\"]}",
		"{\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":"
		"\"What is "
		"blue?\"}]}]}",
		"{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"What is "
		"blue?\"}]}],\"safetySettings\":[{\"category\":"
		"\"HARM\"}],\"generationConfig\":{\"temperature\":1,\"stopSequences\":[\"many words are here\"]}}",
		"{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"What is "
		"blue?\"}]}],\"inferenceConfig\":{\"maxTokens\":5}}",
		"{\"input\":{\"converse\":{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"What is "
		"blue?\"}]}]}}}",
		"{\"generateContentRequest\":{\"model\":\"m\",\"contents\":[{\"parts\":[{\"text\":\"What is "
		"blue?\"}]}]}}",
	};
	uint64_t want = tokens(GW_EF_O200K, "What is blue?") + 7; /* 4 for the turn, 3 for the whole */

	(void)st;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		if (request(GW_EF_O200K, same[i]) != want)
			fail_msg("%s: %llu, not %llu", same[i], (unsigned long long)request(GW_EF_O200K, same[i]),
				 (unsigned long long)want);
	}
	assert_int_equal(request(GW_EF_O200K, "{\"input\":\"What is blue?\"}"), want - 7);
	assert_int_equal(request(GW_EF_O200K, "{\"prompt\":[1,2,[3,4],5]}"), 5);
	assert_int_equal(request(GW_EF_O200K, "{\"input\":[\"What is blue?\",\"What is blue?\"]}"),
			 tokens(GW_EF_O200K, "What is blue?What is blue?"));
}

static void tools_and_turns(void **st)
{
	static const char
	    plain[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"Weather?\"}]}",
	    tools[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"Weather?\"}],\"tools\":[{\"type\":\"function\","
		      "\"function\":{\"name\":\"get_weather\",\"parameters\":{\"type\":\"object\",\"properties\":{"
		      "\"city\":{\"type\":\"string\"}}}}}]}",
	    more[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"Weather?\"},{\"role\":\"assistant\","
		     "\"content\":null,\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\",\"function\":{"
		     "\"name\":\"get_weather\",\"arguments\":\"{\\\"city\\\": \\\"Rome\\\"}\"}}]}]}";

	(void)st;
	assert_in_range(request(GW_EF_O200K, tools) - request(GW_EF_O200K, plain), 20, 50);
	assert_in_range(request(GW_EF_CLAUDE, tools) - request(GW_EF_CLAUDE, plain), 480, 540);
	assert_in_range(request(GW_EF_O200K, more) - request(GW_EF_O200K, plain), 15, 35);
}

static void reranking(void **st)
{
	uint64_t query = tokens(GW_EF_OPEN, "blue sea"), a = tokens(GW_EF_OPEN, "water"), b = tokens(GW_EF_OPEN, "sky");

	(void)st;
	assert_in_range(request(GW_EF_OPEN, "{\"query\":\"blue sea\",\"documents\":[\"water\",\"sky\",\"sky\"]}"),
			3 * query + a + 2 * b - 2, 3 * query + a + 2 * b + 2);
}

/* No request and no reply, but bytes. */
static void garbage(void **st)
{
	static const char *const texts[] = { "{",
					     "{\"messages\"",
					     "{\"messages\":",
					     "{\"messages\":[{\"content\":\"abc",
					     "[",
					     "\"",
					     "{]",
					     "{\"messages\":[{]}",
					     "}",
					     "{\"a\":}",
					     "nul",
					     "{\"messages\":{\"messages\":[[[[]]]]}}",
					     "{\"messages\":[,]}",
					     "\\",
					     "{\"input\":\"\\" };
	char deep[4096];

	(void)st;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct gw_estimate e = gw_estimate_begin(GW_EF_O200K);

		assert_true(request(GW_EF_O200K, texts[i]) < 100);
		assert_true(gw_estimate_reply(GW_EF_O200K, gw_str_z(texts[i])) < 100);
		gw_estimate_value(&e, gw_str_z(texts[i]));
		assert_true(gw_estimate_tokens(&e) < 100);
	}
	memset(deep, '[', sizeof(deep));
	memcpy(deep, "{\"messages\":", 12);
	assert_true(gw_estimate_request(GW_EF_O200K, gw_str(deep, sizeof(deep))) < 4096);
}

/* ---- replies ---- */

static void replies(void **st)
{
	static const char *const same[] = {
		"{\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
		"\"content\":\"It is "
		"blue.\",\"refusal\":null},\"finish_reason\":\"stop\"}]}",
		"{\"id\":\"m\",\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"It is "
		"blue.\"}],\"stop_reason\":"
		"\"end_turn\"}",
		"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"It is "
		"blue.\"}],\"role\":\"model\"},\"finishReason\":\"STOP\","
		"\"index\":0}],\"modelVersion\":\"g\"}",
		"{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[{\"text\":\"It is "
		"blue.\"}]}},\"stopReason\":"
		"\"end_turn\"}",
		"{\"id\":\"c\",\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"It is "
		"blue.\"}]},"
		"\"finish_reason\":\"COMPLETE\"}",
		"{\"object\":\"response\",\"instructions\":\"much "
		"text\",\"output\":[{\"type\":\"message\",\"id\":\"i\",\"role\":"
		"\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"It is blue.\",\"annotations\":[]}]}]}",
		"{\"object\":\"text_completion\",\"choices\":[{\"text\":\"It is blue.\",\"index\":0}]}",
	};

	(void)st;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		if (gw_estimate_reply(GW_EF_O200K, gw_str_z(same[i])) != tokens(GW_EF_O200K, "It is blue."))
			fail_msg("%s", same[i]);
	}
	assert_int_equal(gw_estimate_reply(GW_EF_O200K, GW_LIT("{\"data\":[{\"embedding\":[0.1,0.2]}]}")), 0);
}

/* ---- pictures and sounds ---- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static struct gw_str base64(const void *bytes, size_t n, char *room)
{
	const uint8_t *b = bytes;
	size_t at = 0;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v =
		    (uint32_t)b[i] << 16 | (i + 1 < n ? (uint32_t)b[i + 1] << 8 : 0) | (i + 2 < n ? b[i + 2] : 0);

		room[at++] = digits[v >> 18 & 63];
		room[at++] = digits[v >> 12 & 63];
		room[at++] = i + 1 < n ? digits[v >> 6 & 63] : '=';
		room[at++] = i + 2 < n ? digits[v & 63] : '=';
	}
	return gw_str(room, at);
}

static struct gw_media look(const void *bytes, size_t n)
{
	char room[4096];
	struct gw_media m;

	gw_media_look(base64(bytes, n, room), &m);
	return m;
}

static void sizes_of_pictures(void **st)
{
	static const uint8_t png[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0,    0, 13, 'I', 'H',
				       'D',  'R', 0,   0,   4,    0,    0,    0,    3, 0x20, 8, 2,  0,   0 },
			     gif[] = { 'G', 'I', 'F', '8', '9', 'a', 0x2c, 1, 0xc8, 0, 0, 0 },
			     jpeg[] = { 0xff, 0xd8, 0xff, 0xe0, 0, 6,    'J', 'F',  'I', 'F', 0xff, 0xff,
					0xc2, 0,    17,   8,    2, 0x58, 3,   0x20, 3,   1,   1 },
			     vp8x[] = { 'R', 'I', 'F', 'F', 0, 0, 0, 0, 'W',  'E', 'B', 'P',  'V', 'P', '8', 'X',
					10,  0,   0,   0,   0, 0, 0, 0, 0x7f, 2,   0,   0xdf, 1,   0,   0 },
			     vp8l[] = { 'R', 'I', 'F', 'F', 0, 0, 0, 0,    'W',  'E',  'B',  'P', 'V',
					'P', '8', 'L', 0,   0, 0, 0, 0x2f, 0x63, 0xc0, 0x18, 0,   0 },
			     vp8[] = { 'R', 'I', 'F', 'F', 0, 0, 0, 0, 'W',  'E', 'B',  'P',  'V', 'P',  '8',
				       ' ', 0,   0,   0,   0, 0, 0, 0, 0x9d, 1,   0x2a, 0x90, 1,   0x2c, 1 };
	static const struct {
		const uint8_t *bytes;
		size_t n;
		uint32_t width, height;
	} rows[] = { { png, sizeof(png), 1024, 800 },  { gif, sizeof(gif), 300, 200 },
		     { jpeg, sizeof(jpeg), 800, 600 }, { vp8x, sizeof(vp8x), 640, 480 },
		     { vp8l, sizeof(vp8l), 100, 100 }, { vp8, sizeof(vp8), 400, 300 } };

	(void)st;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gw_media m = look(rows[i].bytes, rows[i].n);

		assert_int_equal(m.kind, GW_MEDIA_IMAGE);
		assert_int_equal(m.width, rows[i].width);
		assert_int_equal(m.height, rows[i].height);
		for (size_t n = 0; n < rows[i].n; n++) /* cut anywhere: some size, no fault */
			assert_true(gw_media_tokens(GW_EF_O200K,
						    &(struct gw_media){ look(rows[i].bytes, n).kind, 0, 0, 0, n },
						    false) < 2000);
	}
}

static void other_files(void **st)
{
	uint8_t wav[44] = "RIFF....WAVEfmt ", pdf[9] = "%PDF-1.7", mp3[4] = { 0xff, 0xfb, 0x90, 0 },
		mp4[12] = "....ftypisom";
	struct gw_media m;

	(void)st;
	wav[28] = 20; /* bytes a second: 20, of which 44 are 3 seconds; below 100 is not believed */
	assert_int_equal(look(wav, sizeof(wav)).seconds, 1);
	wav[28] = 110;
	m = look(wav, sizeof(wav));
	assert_int_equal(m.kind, GW_MEDIA_AUDIO);
	assert_int_equal(m.seconds, 1);
	assert_int_equal(gw_media_tokens(GW_EF_GEMINI, &m, false), 32);
	assert_int_equal(look(pdf, 8).kind, GW_MEDIA_DOCUMENT);
	assert_int_equal(look(mp3, sizeof(mp3)).kind, GW_MEDIA_AUDIO);
	assert_int_equal(look(mp4, sizeof(mp4)).kind, GW_MEDIA_VIDEO);
	assert_int_equal(look("hello, world", 12).kind, GW_MEDIA_UNKNOWN);
	assert_int_equal(look("", 0).kind, GW_MEDIA_UNKNOWN);
}

static void what_pictures_cost(void **st)
{
	const struct gw_media square = { GW_MEDIA_IMAGE, 1024, 1024, 0, 0 }, wide = { GW_MEDIA_IMAGE, 4096, 512, 0, 0 },
			      small = { GW_MEDIA_IMAGE, 300, 200, 0, 0 }, unknown = { GW_MEDIA_IMAGE, 0, 0, 0, 0 };

	(void)st;
	assert_int_equal(gw_media_tokens(GW_EF_O200K, &square, false), 765); /* 85 + 4 x 170: OpenAI's own example */
	assert_int_equal(gw_media_tokens(GW_EF_O200K, &square, true), 85);
	assert_int_equal(gw_media_tokens(GW_EF_O200K, &wide, false), 85 + 4 * 170);
	assert_int_equal(gw_media_tokens(GW_EF_CLAUDE, &square, false), 1399);
	assert_int_equal(gw_media_tokens(GW_EF_CLAUDE, &wide, false), 1600);
	assert_int_equal(gw_media_tokens(GW_EF_GEMINI, &small, false), 258);
	assert_int_equal(gw_media_tokens(GW_EF_GEMINI, &square, false), 4 * 258);
	assert_int_equal(gw_media_tokens(GW_EF_O200K, &unknown, false), 765);
}

/* A picture in the words of each dialect costs its size, never its base64. */
static void pictures_in_requests(void **st)
{
	static const uint8_t png[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H',
				       'D',  'R', 0,   0,   4,    0,    0,    0,    4, 0, 8, 2,  0,   0 };
	static const char *const around[] = {
		"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:"
		"image/png;"
		"base64,%s\",\"detail\":\"%s\"}}]}]}",
		"{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"data:image/"
		"png;base64,%s\","
		"\"detail\":\"%s\"}]}]}",
		"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\","
		"\"media_type\":"
		"\"image/png\",\"data\":\"%s\",\"detail\":\"%s\"}}]}]}",
		"{\"contents\":[{\"parts\":[{\"inlineData\":{\"mimeType\":\"image/"
		"png\",\"data\":\"%s\",\"detail\":\"%s\"}}]}]}",
		"{\"messages\":[{\"role\":\"user\",\"content\":[{\"image\":{\"format\":\"png\",\"source\":{\"bytes\":"
		"\"%s\","
		"\"detail\":\"%s\"}}}]}]}",
	};
	char data[256], body[1024];

	(void)st;
	data[base64(png, sizeof(png), data).n] = 0;
	for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(body, sizeof(body), around[i], data, "high");
#pragma GCC diagnostic pop
		if (request(GW_EF_O200K, body) < 772 || request(GW_EF_O200K, body) > 776)
			fail_msg("%s: %llu", body, (unsigned long long)request(GW_EF_O200K, body));
	}
	snprintf(body, sizeof(body),
		 "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"detail\":"
		 "\"low\",\"url\":"
		 "\"data:image/png;base64,%s\"}}]}]}",
		 data);
	assert_in_range(request(GW_EF_O200K, body), 92, 94);
	assert_in_range(request(GW_EF_O200K,
				"{\"messages\":[{\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://"
				"example.com/a.png\"}}]}]}"),
			772, 776);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(near_the_truth),
		cmocka_unit_test(near_on_average),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(escapes),
		cmocka_unit_test(small_and_huge),
		cmocka_unit_test(families),
		cmocka_unit_test(dialects_agree),
		cmocka_unit_test(tools_and_turns),
		cmocka_unit_test(reranking),
		cmocka_unit_test(garbage),
		cmocka_unit_test(replies),
		cmocka_unit_test(sizes_of_pictures),
		cmocka_unit_test(other_files),
		cmocka_unit_test(what_pictures_cost),
		cmocka_unit_test(pictures_in_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
