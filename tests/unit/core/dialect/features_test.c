/* schemas/features.def is true: for each row and each dialect a request (or a reply) with the feature goes through the writer, and what
 * comes out is what the cell says. Nothing is lost silently on the way: what is neither in the body nor named as dropped fails. */
#include "translate_room.h"

/* One way to ask for a feature. Bodies are written with ' for "; a stream's @ is where its first half ends. */
struct probe {
	const char *feature;
	enum gw_dialect_id from;
	const char *body;
	const char *drops; /* how its loss is named: beginnings, joined by | */
	const char *marks; /* what is in the body when it arrived: one of these, joined by | */
	enum { A_REQUEST, A_REPLY_, A_STREAM } kind;
};

#define ASK(members)   "{'model':'m','messages':[{'role':'user','content':'hi'}]," members "}"
#define A_ASK(members) "{'model':'m','max_tokens':64,'messages':[{'role':'user','content':'hi'}]," members "}"
#define G_ASK(members) "{'contents':[{'role':'user','parts':[{'text':'hi'}]}]," members "}"
#define B_ASK(members) "{'messages':[{'role':'user','content':[{'text':'hi'}]}]," members "}"
#define PART(part)     "{'model':'m','messages':[{'role':'user','content':[{'type':'text','text':'look'}," part "]}]}"
#define TOOL(name)     "{'type':'function','function':{'name':'" name "','parameters':{'type':'object','properties':{}}}}"
#define A_TOOL(name)   "{'name':'" name "','input_schema':{'type':'object','properties':{}}}"
#define G_TOOLS                                                                                                        \
	"'tools':[{'functionDeclarations':[{'name':'fa','parameters':{'type':'OBJECT','properties':{'x':{'type':'"     \
	"STRING'}}}},{'name':'fb'}]}]"
#define TOOLS "'tools':[" TOOL("fa") "," TOOL("fb") "]"
#define SCHEMA                                                                                                         \
	"{'type':'object','properties':{'answer':{'type':'string'}},'required':['answer'],'additionalProperties':"     \
	"false}"
#define REPLY(msg)                                                                                                     \
	"{'id':'x','object':'chat.completion','created':1,'model':'m','choices':[{'index':0,'finish_reason':'stop','"  \
	"message':{'role':'assistant'," msg "}}],'usage':{'prompt_tokens':1,'completion_tokens':1,'total_tokens':2}}"
#define A_REPLY(blocks)                                                                                                \
	"{'id':'x','type':'message','role':'assistant','model':'m','content':[" blocks                                 \
	"],'stop_reason':'end_turn','usage':{'input_tokens':1,'output_tokens':1}}"
#define CALL(id, name, x)                                                                                              \
	"{'id':'" id "','type':'function','function':{'name':'" name "','arguments':'{\\'x\\':\\'" x "\\'}'}}"

static const struct probe probes[] = {
	{ "parallel tool calls", GW_D_OPENAI,
	  "{'model':'m','messages':[{'role':'user','content':'hi'},{'role':'assistant','tool_calls':[" CALL(
	      "c1", "fa", "p77") "," CALL("c2", "fb", "q77") "]},{'role':'tool','tool_call_id':'c1','content':'r77'},{'"
							     "role':'tool','tool_call_id':'c2','content':'s77'}]," TOOLS
							     "}",
	  "messages", "s77", A_REQUEST },
	{ "parallel tool calls", GW_D_ANTHROPIC,
	  "{'model':'m','max_tokens':64,'messages':[{'role':'user','content':'hi'},{'role':'assistant','content':[{'"
	  "type':'tool_use','id':'c1','name':'fa','input':{'x':'p77'}},{'type':'tool_use','id':'c2','name':'fb','input'"
	  ":{}}]},{'role':'user','content':[{'type':'tool_result','tool_use_id':'c1','content':'r77'},{'type':'tool_"
	  "result','tool_use_id':'c2','content':'s77'}]}],'tools':[" A_TOOL("fa") "," A_TOOL("fb") "]}",
	  "messages", "s77", A_REQUEST },
	{ "tool_choice auto", GW_D_OPENAI, ASK(TOOLS ",'tool_choice':'auto'"), "tool_choice", "fb", A_REQUEST },
	{ "tool_choice auto", GW_D_GEMINI, G_ASK(G_TOOLS ",'toolConfig':{'functionCallingConfig':{'mode':'AUTO'}}"),
	  "tool_choice", "fb", A_REQUEST },
	{ "tool_choice none", GW_D_OPENAI, ASK(TOOLS ",'tool_choice':'none'"), "tool_choice", "none|NONE|hi",
	  A_REQUEST },
	{ "tool_choice none", GW_D_ANTHROPIC, A_ASK("'tools':[" A_TOOL("fa") "],'tool_choice':{'type':'none'}"),
	  "tool_choice", "none|NONE|hi", A_REQUEST },
	{ "tool_choice required", GW_D_OPENAI, ASK(TOOLS ",'tool_choice':'required'"), "tool_choice",
	  "required|any|ANY|REQUIRED", A_REQUEST },
	{ "tool_choice required", GW_D_ANTHROPIC, A_ASK("'tools':[" A_TOOL("fa") "],'tool_choice':{'type':'any'}"),
	  "tool_choice", "required|any|ANY|REQUIRED", A_REQUEST },
	{ "tool_choice of one tool", GW_D_OPENAI,
	  ASK(TOOLS ",'tool_choice':{'type':'function','function':{'name':'fb'}}"), "tool_choice", "fb", A_REQUEST },
	{ "tool_choice of one tool", GW_D_ANTHROPIC,
	  A_ASK("'tools':[" A_TOOL("fa") "," A_TOOL("fb") "],'tool_choice':{'type':'tool','name':'fb'}"), "tool_choice",
	  "fb", A_REQUEST },
	{ "tool_choice of some tools", GW_D_OPENAI,
	  ASK(TOOLS ",'tool_choice':{'type':'allowed_tools','allowed_tools':{'mode':'required','tools':[{'type':'"
		    "function','function':{'name':'fb'}}]}}"),
	  "tool_choice", "fb", A_REQUEST },
	{ "tool_choice of some tools", GW_D_GEMINI,
	  G_ASK(G_TOOLS ",'toolConfig':{'functionCallingConfig':{'mode':'ANY','allowedFunctionNames':['fa','fb']}}"),
	  "tool_choice", "fb", A_REQUEST },
	{ "strict tools", GW_D_OPENAI,
	  ASK("'tools':[{'type':'function','function':{'name':'fa','strict':true,'parameters':" SCHEMA "}}]"),
	  "tools[].strict", "strict|OBJECT", A_REQUEST },
	{ "strict tools", GW_D_ANTHROPIC, A_ASK("'tools':[{'name':'fa','strict':true,'input_schema':" SCHEMA "}]"),
	  "tools[].strict", "strict|OBJECT", A_REQUEST },
	{ "JSON mode", GW_D_OPENAI, ASK("'response_format':{'type':'json_object'}"), "response_format",
	  "json_object|application/json|one JSON object", A_REQUEST },
	{ "JSON mode", GW_D_GEMINI, G_ASK("'generationConfig':{'responseMimeType':'application/json'}"),
	  "response_format", "json_object|application/json|one JSON object", A_REQUEST },
	{ "JSON schema", GW_D_OPENAI,
	  ASK("'response_format':{'type':'json_schema','json_schema':{'name':'n','schema':" SCHEMA "}}"),
	  "response_format", "answer", A_REQUEST },
	{ "JSON schema", GW_D_ANTHROPIC, A_ASK("'output_config':{'format':{'type':'json_schema','schema':" SCHEMA "}}"),
	  "response_format", "answer", A_REQUEST },
	{ "strict JSON schema", GW_D_OPENAI,
	  ASK("'response_format':{'type':'json_schema','json_schema':{'name':'n','strict':true,'schema':" SCHEMA "}}"),
	  "response_format", "answer", A_REQUEST },
	{ "strict JSON schema", GW_D_RESPONSES,
	  "{'model':'m','input':'hi','text':{'format':{'type':'json_schema','name':'n','strict':true,'schema':" SCHEMA
	  "}}}",
	  "response_format|text", "answer", A_REQUEST },
	{ "image by URL", GW_D_OPENAI, PART("{'type':'image_url','image_url':{'url':'https://x.example/p77.png'}}"),
	  "messages", "p77.png", A_REQUEST },
	{ "image by URL", GW_D_ANTHROPIC,
	  "{'model':'m','max_tokens':64,'messages':[{'role':'user','content':[{'type':'image','source':{'type':'url','"
	  "url':'https://x.example/p77.png'}}]}]}",
	  "messages", "p77.png", A_REQUEST },
	{ "image as base64", GW_D_OPENAI,
	  PART("{'type':'image_url','image_url':{'url':'data:image/png;base64,iVBORw0KGgo='}}"), "messages",
	  "iVBORw0KGgo=", A_REQUEST },
	{ "image as base64", GW_D_ANTHROPIC,
	  "{'model':'m','max_tokens':64,'messages':[{'role':'user','content':[{'type':'image','source':{'type':'base64'"
	  ",'media_type':'image/png','data':'iVBORw0KGgo='}}]}]}",
	  "messages", "iVBORw0KGgo=", A_REQUEST },
	{ "document as base64", GW_D_OPENAI,
	  PART("{'type':'file','file':{'filename':'a.pdf','file_data':'data:application/pdf;base64,JVBERi0xLjc='}}"),
	  "messages", "JVBERi0xLjc=", A_REQUEST },
	{ "document as base64", GW_D_ANTHROPIC,
	  "{'model':'m','max_tokens':64,'messages':[{'role':'user','content':[{'type':'text','text':'read'},{'type':'"
	  "document','title':'a','source':{'type':'base64','media_type':'application/pdf','data':'JVBERi0xLjc='}}]}]}",
	  "messages", "JVBERi0xLjc=", A_REQUEST },
	{ "document by URL", GW_D_RESPONSES,
	  "{'model':'m','input':[{'role':'user','content':[{'type':'input_text','text':'read'},{'type':'input_file','"
	  "file_url':'https://x.example/d77.pdf'}]}]}",
	  "messages", "d77.pdf", A_REQUEST },
	{ "document by URL", GW_D_ANTHROPIC,
	  "{'model':'m','max_tokens':64,'messages':[{'role':'user','content':[{'type':'text','text':'read'},{'type':'"
	  "document','source':{'type':'url','url':'https://x.example/d77.pdf'}}]}]}",
	  "messages", "d77.pdf", A_REQUEST },
	{ "audio input", GW_D_OPENAI, PART("{'type':'input_audio','input_audio':{'data':'UklGRg==','format':'wav'}}"),
	  "messages", "UklGRg==", A_REQUEST },
	{ "audio input", GW_D_GEMINI,
	  "{'contents':[{'role':'user','parts':[{'text':'hear'},{'inlineData':{'mimeType':'audio/"
	  "wav','data':'UklGRg=='}}]}]}",
	  "messages", "UklGRg==", A_REQUEST },
	{ "several system prompts", GW_D_OPENAI,
	  "{'model':'m','messages':[{'role':'system','content':'one'},{'role':'system','content':'two77'},{'role':'"
	  "user','content':'hi'}]}",
	  "messages|system", "two77", A_REQUEST },
	{ "several system prompts", GW_D_ANTHROPIC,
	  "{'model':'m','max_tokens':64,'system':[{'type':'text','text':'one'},{'type':'text','text':'two77'}],'"
	  "messages':[{'role':'user','content':'hi'}]}",
	  "messages|system", "two77", A_REQUEST },
	{ "system prompt amid the conversation", GW_D_OPENAI,
	  "{'model':'m','messages':[{'role':'user','content':'hi'},{'role':'system','content':'mid77'},{'role':'user','"
	  "content':'ho'}]}",
	  "messages|system", "mid77", A_REQUEST },
	{ "system prompt amid the conversation", GW_D_RESPONSES,
	  "{'model':'m','input':[{'role':'user','content':'hi'},{'role':'developer','content':'mid77'},{'role':'user','"
	  "content':'ho'}]}",
	  "messages|system", "mid77", A_REQUEST },
	{ "stop sequences", GW_D_OPENAI, ASK("'stop':['halt77']"), "stop", "halt77", A_REQUEST },
	{ "stop sequences", GW_D_ANTHROPIC, A_ASK("'stop_sequences':['halt77']"), "stop", "halt77", A_REQUEST },
	{ "logprobs", GW_D_OPENAI, ASK("'logprobs':true,'top_logprobs':3"), "logprobs", "ogprobs", A_REQUEST },
	{ "logprobs", GW_D_GEMINI, G_ASK("'generationConfig':{'responseLogprobs':true,'logprobs':3}"), "logprobs",
	  "ogprobs", A_REQUEST },
	{ "n above 1", GW_D_OPENAI, ASK("'n':2"), "n", "'n':2|candidateCount", A_REQUEST },
	{ "n above 1", GW_D_GEMINI, G_ASK("'generationConfig':{'candidateCount':2}"), "n", "'n':2|candidateCount",
	  A_REQUEST },
	{ "seed", GW_D_OPENAI, ASK("'seed':4277"), "seed", "4277", A_REQUEST },
	{ "seed", GW_D_GEMINI, G_ASK("'generationConfig':{'seed':4277}"), "seed", "4277", A_REQUEST },
	{ "penalties", GW_D_OPENAI, ASK("'presence_penalty':0.25"), "presence_penalty", "0.25", A_REQUEST },
	{ "penalties", GW_D_GEMINI, G_ASK("'generationConfig':{'frequencyPenalty':0.25}"), "frequency_penalty", "0.25",
	  A_REQUEST },
	{ "logit_bias", GW_D_OPENAI, ASK("'logit_bias':{'50256':-100}"), "logit_bias", "50256", A_REQUEST },
	{ "metadata", GW_D_OPENAI, ASK("'metadata':{'team':'blue77'}"), "metadata", "blue77", A_REQUEST },
	{ "metadata", GW_D_BEDROCK, B_ASK("'requestMetadata':{'team':'blue77'}"), "metadata", "blue77", A_REQUEST },
	{ "end user", GW_D_OPENAI, ASK("'user':'u77'"), "user", "u77", A_REQUEST },
	{ "end user", GW_D_ANTHROPIC, A_ASK("'metadata':{'user_id':'u77'}"), "user", "u77", A_REQUEST },
	{ "reasoning effort", GW_D_OPENAI, ASK("'reasoning_effort':'high'"), "reasoning", "high|HIGH|hinking|budget",
	  A_REQUEST },
	{ "reasoning effort", GW_D_RESPONSES, "{'model':'m','input':'hi','reasoning':{'effort':'high'}}", "reasoning",
	  "high|HIGH|hinking|budget", A_REQUEST },
	{ "reasoning budget", GW_D_ANTHROPIC,
	  "{'model':'m','max_tokens':9000,'messages':[{'role':'user','content':'hi'}],'thinking':{'type':'enabled','"
	  "budget_tokens':2000}}",
	  "reasoning|thinking", "2000|low|medium", A_REQUEST },
	{ "reasoning budget", GW_D_GEMINI,
	  G_ASK("'generationConfig':{'maxOutputTokens':9000,'thinkingConfig':{'thinkingBudget':2000}}"),
	  "reasoning_effort", "2000|low|medium", A_REQUEST },
	{ "reasoning signatures", GW_D_ANTHROPIC,
	  "{'model':'m','max_tokens':64,'messages':[{'role':'user','content':'hi'},{'role':'assistant','content':[{'"
	  "type':'thinking','thinking':'hm','signature':'c2lnNzc='},{'type':'text','text':'yes'}]},{'role':'user','"
	  "content':'go'}]}",
	  "messages[]", "c2lnNzc=", A_REQUEST },
	{ "reasoning signatures", GW_D_GEMINI,
	  "{'contents':[{'role':'user','parts':[{'text':'hi'}]},{'role':'model','parts':[{'text':'hm','thought':true,'"
	  "thoughtSignature':'c2lnNzc='},{'text':'yes'}]},{'role':'user','parts':[{'text':'go'}]}]}",
	  "messages[]", "c2lnNzc=", A_REQUEST },
	{ "reasoning signatures", GW_D_BEDROCK,
	  "{'messages':[{'role':'user','content':[{'text':'hi'}]},{'role':'assistant','content':[{'reasoningContent':{'"
	  "reasoningText':{'text':'hm','signature':'c2lnNzc='}}},{'text':'yes'}]},{'role':'user','content':[{'text':'"
	  "go'}]}]}",
	  "messages[]", "c2lnNzc=", A_REQUEST },
	{ "reasoning signatures", GW_D_RESPONSES,
	  "{'model':'m','input':[{'role':'user','content':'hi'},{'type':'reasoning','id':'rs_1','summary':[],'"
	  "encrypted_content':'c2lnNzc='},{'role':'assistant','content':'yes'},{'role':'user','content':'go'}]}",
	  "messages[]", "c2lnNzc=", A_REQUEST },
	{ "prompt-cache marks", GW_D_ANTHROPIC,
	  "{'model':'m','max_tokens':64,'messages':[{'role':'user','content':[{'type':'text','text':'hi','cache_"
	  "control':{'type':'ephemeral'}}]}]}",
	  "cache_control|messages[].content[].cache_control", "cache_control|cachePoint", A_REQUEST },
	{ "prompt-cache marks", GW_D_BEDROCK,
	  "{'messages':[{'role':'user','content':[{'text':'hi'},{'cachePoint':{'type':'default'}}]}]}",
	  "cache_control|messages[].content[].cache_control", "cache_control|cachePoint", A_REQUEST },
	{ "prompt-cache key", GW_D_OPENAI, ASK("'prompt_cache_key':'k77'"), "prompt_cache_key", "k77", A_REQUEST },
	{ "prompt-cache key", GW_D_RESPONSES, "{'model':'m','input':'hi','prompt_cache_key':'k77'}", "prompt_cache_key",
	  "k77", A_REQUEST },
	{ "safety settings", GW_D_GEMINI,
	  G_ASK("'safetySettings':[{'category':'HARM_CATEGORY_HARASSMENT','threshold':'BLOCK_NONE'}]"),
	  "safetySettings", "BLOCK_NONE", A_REQUEST },
	{ "safety settings", GW_D_BEDROCK,
	  B_ASK("'guardrailConfig':{'guardrailIdentifier':'g77','guardrailVersion':'1'}"), "guardrailConfig", "g77",
	  A_REQUEST },
	{ "safety settings", GW_D_COHERE, ASK("'safety_mode':'STRICT'"), "safety_mode", "STRICT", A_REQUEST },
	{ "service tier", GW_D_OPENAI, ASK("'service_tier':'flex'"), "service_tier", "flex", A_REQUEST },
	{ "service tier", GW_D_RESPONSES, "{'model':'m','input':'hi','service_tier':'priority'}", "service_tier",
	  "priority", A_REQUEST },
	{ "parallel_tool_calls false", GW_D_OPENAI, ASK(TOOLS ",'parallel_tool_calls':false"), "parallel_tool_calls",
	  "parallel", A_REQUEST },
	{ "parallel_tool_calls false", GW_D_ANTHROPIC,
	  A_ASK("'tools':[" A_TOOL("fa") "],'tool_choice':{'type':'auto','disable_parallel_tool_use':true}"),
	  "parallel_tool_calls", "parallel", A_REQUEST },
	{ "hosted tools", GW_D_RESPONSES, "{'model':'m','input':'hi','tools':[{'type':'web_search'}]}", "tools",
	  "web_search", A_REQUEST },
	{ "hosted tools", GW_D_ANTHROPIC, A_ASK("'tools':[{'type':'web_search_20250305','name':'web_search'}]"),
	  "tools", "web_search", A_REQUEST },
	{ "hosted tools", GW_D_GEMINI, G_ASK("'tools':[{'googleSearch':{}}]"), "tools", "googleSearch", A_REQUEST },
	{ "hosted tools", GW_D_BEDROCK, B_ASK("'toolConfig':{'tools':[{'systemTool':{'name':'nova_grounding'}}]}"),
	  "tools", "nova_grounding", A_REQUEST },
	{ "stored conversations", GW_D_RESPONSES, "{'model':'m','input':'hi','previous_response_id':'resp_77'}",
	  "previous_response_id", "resp_77", A_REQUEST },

	{ "top_k", GW_D_ANTHROPIC, A_ASK("'top_k':37"), "top_k", "37", A_REQUEST },
	{ "top_k", GW_D_GEMINI, G_ASK("'generationConfig':{'topK':37}"), "top_k", "37", A_REQUEST },
	{ "top_logprobs", GW_D_OPENAI, ASK("'logprobs':true,'top_logprobs':3"), "top_logprobs",
	  "'top_logprobs':3|'logprobs':3", A_REQUEST },
	{ "top_logprobs", GW_D_GEMINI, G_ASK("'generationConfig':{'responseLogprobs':true,'logprobs':3}"),
	  "top_logprobs", "'top_logprobs':3|'logprobs':3", A_REQUEST },
	{ "names of participants", GW_D_OPENAI,
	  "{'model':'m','messages':[{'role':'user','name':'ann77','content':'hi'}]}", "messages[].name", "ann77",
	  A_REQUEST },

	{ "streamed arguments (reply)", GW_D_OPENAI,
	  "data: "
	  "{'id':'x','choices':[{'index':0,'delta':{'role':'assistant','tool_calls':[{'index':0,'id':'c1','type':'"
	  "function','function':{'name':'fa','arguments':'{\\'x\\':\\'p77'}}]}}]}\n\n@data: "
	  "{'id':'x','choices':[{'index':0,'delta':{'tool_calls':[{'index':0,'function':{'arguments':'q\\'}'}}]}}]}"
	  "\n\ndata: {'id':'x','choices':[{'index':0,'delta':{},'finish_reason':'tool_calls'}]}\n\ndata: [DONE]\n\n",
	  "", "p77", A_STREAM },
	{ "streamed arguments (reply)", GW_D_ANTHROPIC,
	  "data: "
	  "{'type':'message_start','message':{'id':'m','role':'assistant','content':[],'usage':{'input_tokens':1,'"
	  "output_tokens':1}}}\n\ndata: "
	  "{'type':'content_block_start','index':0,'content_block':{'type':'tool_use','id':'c1','name':'fa','input':{}}"
	  "}\n\ndata: "
	  "{'type':'content_block_delta','index':0,'delta':{'type':'input_json_delta','partial_json':'{\\'x\\':\\'p77'}"
	  "}\n\n@data: "
	  "{'type':'content_block_delta','index':0,'delta':{'type':'input_json_delta','partial_json':'q\\'}'}}\n\ndata:"
	  " {'type':'content_block_stop','index':0}\n\ndata: "
	  "{'type':'message_delta','delta':{'stop_reason':'tool_use'},'usage':{'output_tokens':2}}\n\ndata: "
	  "{'type':'message_stop'}\n\n",
	  "", "p77", A_STREAM },
	{ "reasoning text (reply)", GW_D_OPENAI, REPLY("'content':'yes','reasoning_content':'hm77'"), "", "hm77",
	  A_REPLY_ },
	{ "reasoning text (reply)", GW_D_ANTHROPIC,
	  A_REPLY("{'type':'thinking','thinking':'hm77','signature':'cw=='},{'type':'text','text':'yes'}"), "", "hm77",
	  A_REPLY_ },
	{ "refusals (reply)", GW_D_OPENAI, REPLY("'content':null,'refusal':'no77'"), "", "no77", A_REPLY_ },
	{ "refusals (reply)", GW_D_RESPONSES,
	  "{'id':'resp_1','object':'response','status':'completed','model':'m','output':[{'type':'message','id':'msg_1'"
	  ",'role':'assistant','status':'completed','content':[{'type':'refusal','refusal':'no77'}]}],'usage':{'input_"
	  "tokens':1,'output_tokens':1,'total_tokens':2}}",
	  "", "no77", A_REPLY_ },
	{ "citations (reply)", GW_D_OPENAI,
	  REPLY("'content':'yes','annotations':[{'type':'url_citation','url_citation':{'url':'https://x.example/"
		"c77','title':'T','start_index':0,'end_index':3}}]"),
	  "", "c77", A_REPLY_ },
	{ "citations (reply)", GW_D_ANTHROPIC,
	  A_REPLY("{'type':'text','text':'yes','citations':[{'type':'web_search_result_location','url':'https://"
		  "x.example/c77','title':'T','cited_text':'q','encrypted_index':'e'}]}"),
	  "", "c77", A_REPLY_ },
};

enum cell { CARRIED, MAPPED, OWN, DROPPED, REFUSED };
static const struct {
	const char *name;
	enum cell cells[GW_D_COUNT];
} rows[] = {
#define GW_FEATURE(name, openai, responses, anthropic, gemini, bedrock, cohere, doc)                                   \
	{ name, { openai, responses, anthropic, gemini, bedrock, cohere } },
#include "schemas/features.def"
#undef GW_FEATURE
};
enum { N_ROWS = sizeof(rows) / sizeof(rows[0]), N_PROBES = sizeof(probes) / sizeof(probes[0]) };

static const char *unquoted(struct room *r, const char *text)
{
	char *out = gw_alloc_bytes(&r->a, strlen(text) + 1);

	assert_non_null(out);
	for (size_t i = 0; i <= strlen(text); i++)
		out[i] = text[i] == '\'' ? '"' : text[i];
	return out;
}

/* Is one of the words (joined by |) in the body? */
static bool arrived(struct room *r, const char *words)
{
	struct gw_str rest = gw_str_z(words), word;

	while (rest.n) {
		if (!gw_str_cut(rest, '|', &word, &rest))
			rest = GW_NIL;
		if (room_has(r, unquoted(r, gw_arena_z(&r->a, word))))
			return true;
	}
	return false;
}

/* Does one of the names told as dropped begin with one of these? */
static bool was_named(struct gw_str dropped, const char *beginnings)
{
	struct gw_str name;

	while (dropped.n) {
		struct gw_str rest = gw_str_z(beginnings), one;

		if (!gw_str_cut(dropped, ',', &name, &dropped))
			dropped = GW_NIL;
		name = gw_str_trim(name);
		while (rest.n) {
			if (!gw_str_cut(rest, '|', &one, &rest))
				rest = GW_NIL;
			if (gw_str_has_prefix(name, one))
				return true;
		}
	}
	return false;
}

/* What a dialect can say depends on the model too: one that takes all that its makers' API has. */
static const char *const models[GW_D_COUNT] = {
	[GW_D_OPENAI] = "gpt-5",
	[GW_D_RESPONSES] = "gpt-5",
	[GW_D_ANTHROPIC] = "claude-sonnet-4-5",
	[GW_D_GEMINI] = "gemini-2.5-flash",
	[GW_D_BEDROCK] = "anthropic.claude-sonnet-4-5-20250929-v1:0",
	[GW_D_COHERE] = "command-a-03-2025",
};
static const char *const words[] = { "CARRIED", "MAPPED", "OWN", "DROPPED", "REFUSED", "LOST SILENTLY", "ERROR" };
enum { LOST = 5, FAULT = 6 };

/* What has come out when half of the stream is in tells pieces from wholes: the latter are MAPPED. */
static enum gw_err half_stream(struct room *r, const struct probe *p, const struct gw_dialect *to, bool *is_early)
{
	struct gw_str text = gw_str_z(unquoted(r, p->body)), first, second;
	struct gw_translate t;
	enum gw_err e;

	assert_true(gw_str_cut(text, '@', &first, &second));
	r->carry.is_stream = true;
	r->carry.framing = to->framing;
	assert_int_equal(gw_translate_open(&t, gw_dialect_of(p->from), to, &r->carry), GW_OK);
	e = gw_translate_feed(&t, first, &r->out);
	*is_early = arrived(r, p->marks);
	if (!e)
		e = gw_translate_feed(&t, second, &r->out);
	if (!e)
		e = gw_translate_end(&t, &r->out);
	gw_translate_close(&t);
	return e;
}

static enum gw_err put_through(struct room *r, const struct probe *p, enum gw_dialect_id to, bool *is_early)
{
	const struct gw_dialect *from_d = gw_dialect_of(p->from), *to_d = gw_dialect_of(to);

	*is_early = true;
	if (p->kind == A_STREAM)
		return half_stream(r, p, to_d, is_early);
	if (p->kind == A_REPLY_)
		return room_reply(r, from_d, to_d, unquoted(r, p->body));
	return room_request(r, from_d, to_d, models[to], 0, unquoted(r, p->body));
}

static int outcome(const struct probe *p, enum gw_dialect_id to, char *why, size_t n)
{
	struct room r;
	enum gw_err e;
	bool is_early;
	int out;

	room_open(&r);
	e = put_through(&r, p, to, &is_early);
	if (e)
		out = e == GW_E_INVALID ? REFUSED : FAULT;
	else if (p->kind == A_REQUEST && was_named(r.said.dropped, p->drops))
		out = DROPPED;
	else if (arrived(&r, p->marks))
		out = is_early ? CARRIED : MAPPED;
	else
		out = p->kind == A_REQUEST ? LOST : DROPPED;
	snprintf(why, n, "%s from %s: %s; dropped [%.*s] %.*s %.*s\n%.*s", p->feature, gw_dialect_name(p->from),
		 words[out], GW_FMT(r.said.dropped), GW_FMT(r.said.param), GW_FMT(r.said.why),
		 GW_FMT(gw_buf_view(&r.out)));
	room_close(&r);
	return out;
}

/* What a probe of `from` must come to in the column `to`. */
static int wanted(enum cell cell, enum gw_dialect_id from, enum gw_dialect_id to)
{
	if (cell == OWN)
		return from == to ? CARRIED : DROPPED;
	return (int)cell;
}

/* In its own dialect everything is put back as it came: that shows a cell only where no other dialect has the feature, or it is OWN. */
static bool is_telling(const struct probe *p, enum gw_dialect_id to, enum cell cell)
{
	if (p->from != to || cell == OWN)
		return true;
	for (size_t k = 0; k < N_PROBES; k++) {
		if (!strcmp(probes[k].feature, p->feature) && probes[k].from != to)
			return false;
	}
	return true;
}

static unsigned lies_of(size_t row, enum gw_dialect_id to)
{
	enum cell cell = rows[row].cells[to];
	unsigned bad = 0, n = 0;

	for (size_t k = 0; k < N_PROBES; k++) {
		const struct probe *p = &probes[k];
		char why[2048];
		int got, want = wanted(cell, p->from, to);

		if (strcmp(p->feature, rows[row].name) || !is_telling(p, to, cell))
			continue;
		n++;
		got = outcome(p, to, why, sizeof(why));
		if (got == want || (want == MAPPED && got == CARRIED && p->kind != A_STREAM))
			continue;
		print_error("%s of %s is not %s: %s\n", rows[row].name, gw_dialect_name(to), words[cell], why);
		bad++;
	}
	return n ? bad : bad + 1;
}

static void every_cell_is_true(void **state)
{
	unsigned bad = 0;

	(void)state;
	for (size_t i = 0; i < N_ROWS; i++) {
		for (int to = 0; to < GW_D_COUNT; to++)
			bad += lies_of(i, (enum gw_dialect_id)to);
	}
	assert_int_equal(bad, 0);
}

/* A row that nobody asks for would be believed; a name misspelled would not be missed. */
static void every_row_has_probes(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ROWS; i++) {
		unsigned n = 0;

		for (size_t k = 0; k < N_PROBES; k++)
			n += !strcmp(probes[k].feature, rows[i].name);
		if (!n)
			fail_msg("no probe of %s", rows[i].name);
	}
	for (size_t k = 0; k < N_PROBES; k++) {
		unsigned n = 0;

		for (size_t i = 0; i < N_ROWS; i++)
			n += !strcmp(probes[k].feature, rows[i].name);
		if (n != 1)
			fail_msg("%s is no row", probes[k].feature);
	}
}

/* What a request needs tells what becomes of it before it is written (core/dialect/needs.h): deployments are chosen by that. */
static void outcomes_are_told_ahead(void **state)
{
	unsigned bad = 0;

	(void)state;
	for (size_t k = 0; k < N_PROBES; k++) {
		for (int to = 0; to < GW_D_COUNT && probes[k].kind == A_REQUEST; to++) {
			const struct probe *p = &probes[k];
			struct room r;
			enum gw_fit told, is;
			enum gw_err e;

			if (p->from == (enum gw_dialect_id)to || !strcmp(p->feature, "stored conversations"))
				continue; /* bytes pass; refused by the reader */
			room_open(&r);
			e = room_request(&r, gw_dialect_of(p->from), gw_dialect_of((enum gw_dialect_id)to), models[to],
					 0, unquoted(&r, p->body));
			is = e ? GW_FIT_REFUSED : r.said.dropped.n ? GW_FIT_LESS : GW_FIT_WHOLE;
			told = gw_needs_fit(&r.said.needs, (enum gw_dialect_id)to, 0);
			if (!r.said.needs.is_known || told != is) {
				print_error("%s from %s to %s: told %d, is %d (%.*s)\n", p->feature,
					    gw_dialect_name(p->from), gw_dialect_name((enum gw_dialect_id)to), told, is,
					    GW_FMT(r.said.dropped));
				bad++;
			}
			room_close(&r);
		}
	}
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_row_has_probes),
					    cmocka_unit_test(every_cell_is_true),
					    cmocka_unit_test(outcomes_are_told_ahead) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
