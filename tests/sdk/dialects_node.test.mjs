// The vendors' SDKs for Node, each in its own dialect, against models of every provider dialect: only base URL and key differ from the vendors'
// documentation. What the models say is written in tests/matrix/cases; `CASE--DIALECT` is a case at a provider of that dialect.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } from "@aws-sdk/client-bedrock-runtime";
import { GoogleGenAI } from "@google/genai";
import { ChatOpenAI } from "@langchain/openai";
import { Mistral } from "@mistralai/mistralai";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { CohereClientV2 } from "cohere-ai";
import OpenAI, { AzureOpenAI } from "openai";

const { LLMGW_URL, LLMGW_KEY: KEY } = process.env;
const ROOT = LLMGW_URL.replace(/\/v1$/, "");
const HELLO = "Hello, wörld! 👋", OSLO = { city: "Oslo" };
const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const TOOL = { name: "get_weather", description: "Weather of a city" };
const OPENAI_TOOLS = [{ type: "function", function: { ...TOOL, parameters: SCHEMA } }];
const user = (content) => [{ role: "user", content }];
const ASK = user("Say hello"), WEATHER = user("Weather in Oslo?");

async function all(stream) {
	const out = [];
	for await (const e of stream) out.push(e);
	return out;
}

async function checkOpenai(client, provider) {
	const chat = client.chat.completions;
	const r = await chat.create({ model: `text--${provider}`, messages: ASK });
	assert.equal(r.choices[0].message.content, HELLO);
	assert.equal(r.usage.total_tokens, 18);
	const chunks = await all(await chat.create({ model: `text--${provider}`, messages: ASK, stream: true }));
	assert.equal(chunks.map((c) => c.choices[0]?.delta.content ?? "").join(""), HELLO);
	const ask = { model: `tool--${provider}`, messages: WEATHER, tools: OPENAI_TOOLS };
	const message = (await chat.create({ ...ask, tool_choice: "required" })).choices[0].message;
	assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), OSLO);
	const streamed = (await chat.stream(ask).finalChatCompletion()).choices[0].message.tool_calls;
	assert.equal(streamed.length, 1);
	assert.deepEqual(JSON.parse(streamed[0].function.arguments), OSLO);
	const history = [...WEATHER, message, { role: "tool", tool_call_id: message.tool_calls[0].id, content: "rain" }];
	assert.equal((await chat.create({ model: `text--${provider}`, messages: history, tools: OPENAI_TOOLS })).choices[0].message.content, HELLO);
}

const clients = {
	openai: (provider) => checkOpenai(new OpenAI({ baseURL: LLMGW_URL, apiKey: KEY, maxRetries: 0, timeout: 20000 }), provider),

	azure: (provider) => checkOpenai(new AzureOpenAI({ endpoint: ROOT, apiKey: KEY, apiVersion: "2024-10-21", maxRetries: 0, timeout: 20000 }), provider),

	async "openai responses"(provider) {
		const c = new OpenAI({ baseURL: LLMGW_URL, apiKey: KEY, maxRetries: 0, timeout: 20000 }).responses;
		const tools = [{ type: "function", ...TOOL, parameters: { ...SCHEMA, additionalProperties: false }, strict: true }];
		const text = { model: `text--${provider}`, input: "Say hello", store: false };
		assert.equal((await c.create(text)).output_text, HELLO);
		assert.equal((await c.stream(text).finalResponse()).output.at(-1).content[0].text, HELLO); // output_text is only set by create()
		const ask = { model: `tool--${provider}`, input: "Weather in Oslo?", tools, store: false };
		const r = await c.create({ ...ask, tool_choice: "required" });
		assert.deepEqual(JSON.parse(r.output.at(-1).arguments), OSLO);
		assert.deepEqual(JSON.parse((await c.stream(ask).finalResponse()).output.at(-1).arguments), OSLO);
		const input = [...WEATHER, ...r.output, { type: "function_call_output", call_id: r.output.at(-1).call_id, output: "rain" }];
		assert.equal((await c.create({ ...text, input, tools })).output_text, HELLO);
	},

	async anthropic(provider) {
		const c = new Anthropic({ baseURL: ROOT, apiKey: KEY, maxRetries: 0, timeout: 20000 }).messages;
		const tools = [{ ...TOOL, input_schema: SCHEMA }];
		const text = { model: `text--${provider}`, max_tokens: 100, system: "Be brief.", messages: ASK };
		const r = await c.create(text);
		assert.equal(r.content[0].text, HELLO);
		assert.deepEqual([r.stop_reason, r.usage.input_tokens, r.usage.output_tokens], ["end_turn", 11, 7]);
		assert.equal(await c.stream(text).finalText(), HELLO);
		const ask = { model: `tool--${provider}`, max_tokens: 100, messages: WEATHER, tools };
		const called = await c.create({ ...ask, tool_choice: { type: "any" } });
		assert.equal(called.stop_reason, "tool_use");
		assert.deepEqual(called.content.at(-1).input, OSLO);
		assert.deepEqual((await c.stream(ask).finalMessage()).content.at(-1).input, OSLO);
		const messages = [...WEATHER, { role: "assistant", content: called.content },
			{ role: "user", content: [{ type: "tool_result", tool_use_id: called.content.at(-1).id, content: "rain" }] }];
		assert.equal((await c.create({ ...text, messages, tools })).content[0].text, HELLO);
	},

	async gemini(provider) {
		const c = new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: ROOT, timeout: 20000 } }).models;
		const config = { tools: [{ functionDeclarations: [{ ...TOOL, parametersJsonSchema: SCHEMA }] }] };
		const text = { model: `text--${provider}`, contents: "Say hello" }, ask = { model: `tool--${provider}`, contents: "Weather in Oslo?", config };
		const r = await c.generateContent(text);
		assert.equal(r.text, HELLO);
		assert.equal(r.usageMetadata.totalTokenCount, 18);
		assert.equal((await all(await c.generateContentStream(text))).map((p) => p.text ?? "").join(""), HELLO);
		const called = await c.generateContent(ask);
		assert.deepEqual(called.functionCalls.map((f) => [f.name, f.args]), [["get_weather", OSLO]]);
		const calls = (await all(await c.generateContentStream(ask))).flatMap((p) => p.functionCalls ?? []);
		assert.deepEqual(calls.map((f) => [f.name, f.args]), [["get_weather", OSLO]]);
		const contents = [{ role: "user", parts: [{ text: "Weather in Oslo?" }] }, called.candidates[0].content,
			{ role: "user", parts: [{ functionResponse: { name: "get_weather", response: { output: "rain" } } }] }];
		assert.equal((await c.generateContent({ model: text.model, contents, config })).text, HELLO);
	},

	async bedrock(provider) {
		const c = new BedrockRuntimeClient({ region: "us-east-1", endpoint: ROOT, token: { token: KEY }, authSchemePreference: ["httpBearerAuth"],
			requestHandler: new NodeHttpHandler(), maxAttempts: 1 });
		const say = (text) => [{ role: "user", content: [{ text }] }];
		const toolConfig = { tools: [{ toolSpec: { ...TOOL, inputSchema: { json: SCHEMA } } }] };
		const text = { modelId: `text--${provider}`, messages: say("Say hello") }, ask = { modelId: `tool--${provider}`, messages: say("Weather in Oslo?"), toolConfig };
		const r = await c.send(new ConverseCommand(text));
		assert.equal(r.output.message.content[0].text, HELLO);
		assert.deepEqual([r.stopReason, r.usage.totalTokens], ["end_turn", 18]);
		let events = await all((await c.send(new ConverseStreamCommand(text))).stream);
		assert.equal(events.map((e) => e.contentBlockDelta?.delta.text ?? "").join(""), HELLO);
		assert.equal(events.at(-1).metadata.usage.outputTokens, 7);
		const message = (await c.send(new ConverseCommand({ ...ask, toolConfig: { ...toolConfig, toolChoice: { any: {} } } }))).output.message;
		assert.deepEqual(message.content.at(-1).toolUse.input, OSLO);
		events = await all((await c.send(new ConverseStreamCommand(ask))).stream);
		assert.deepEqual(JSON.parse(events.map((e) => e.contentBlockDelta?.delta.toolUse?.input ?? "").join("")), OSLO);
		const result = { toolResult: { toolUseId: message.content.at(-1).toolUse.toolUseId, content: [{ text: "rain" }] } };
		const messages = [...ask.messages, message, { role: "user", content: [result] }];
		assert.equal((await c.send(new ConverseCommand({ ...text, messages, toolConfig }))).output.message.content[0].text, HELLO);
		c.destroy();
	},

	async cohere(provider) {
		const c = new CohereClientV2({ environment: ROOT, token: KEY });
		const o = { maxRetries: 0, timeoutInSeconds: 20 };
		const r = await c.chat({ model: `text--${provider}`, messages: ASK }, o);
		assert.equal(r.message.content[0].text, HELLO);
		assert.deepEqual([r.finishReason, r.usage.tokens.outputTokens], ["COMPLETE", 7]);
		let events = await all(await c.chatStream({ model: `text--${provider}`, messages: ASK }, o));
		assert.equal(events.map((e) => e.type === "content-delta" ? e.delta.message.content.text : "").join(""), HELLO);
		const ask = { model: `tool--${provider}`, messages: WEATHER, tools: OPENAI_TOOLS };
		const { message, finishReason } = await c.chat({ ...ask, toolChoice: "REQUIRED" }, o);
		assert.equal(finishReason, "TOOL_CALL");
		assert.deepEqual(JSON.parse(message.toolCalls[0].function.arguments), OSLO);
		events = await all(await c.chatStream(ask, o));
		assert.deepEqual(JSON.parse(events.map((e) => e.type === "tool-call-delta" ? e.delta.message.toolCalls.function.arguments : "").join("")), OSLO);
		const messages = [...WEATHER, message, { role: "tool", toolCallId: message.toolCalls[0].id, content: "rain" }];
		assert.equal((await c.chat({ model: `text--${provider}`, messages, tools: OPENAI_TOOLS }, o)).message.content[0].text, HELLO);
	},

	async mistral(provider) {
		const c = new Mistral({ serverURL: ROOT, apiKey: KEY, timeoutMs: 20000 }).chat;
		const r = await c.complete({ model: `text--${provider}`, messages: ASK });
		assert.equal(r.choices[0].message.content, HELLO);
		assert.equal(r.usage.totalTokens, 18);
		const chunks = await all(await c.stream({ model: `text--${provider}`, messages: ASK }));
		assert.equal(chunks.map((e) => e.data.choices[0]?.delta.content ?? "").join(""), HELLO);
		const { message } = (await c.complete({ model: `tool--${provider}`, messages: WEATHER, tools: OPENAI_TOOLS, toolChoice: "any" })).choices[0];
		assert.deepEqual(JSON.parse(message.toolCalls[0].function.arguments), OSLO);
		const messages = [...WEATHER, message, { role: "tool", toolCallId: message.toolCalls[0].id, name: "get_weather", content: "rain" }];
		assert.equal((await c.complete({ model: `text--${provider}`, messages, tools: OPENAI_TOOLS })).choices[0].message.content, HELLO);
	},

	async langchain(provider) {
		const make = (kind) => new ChatOpenAI({ model: `${kind}--${provider}`, apiKey: KEY, maxRetries: 0, configuration: { baseURL: LLMGW_URL } });
		assert.equal((await make("text").invoke("Say hello")).content, HELLO);
		assert.equal((await all(await make("text").stream("Say hello"))).map((p) => p.content).join(""), HELLO);
		const caller = make("tool").bindTools(OPENAI_TOOLS);
		assert.deepEqual((await caller.invoke("Weather in Oslo?")).tool_calls.map((c) => c.args), [OSLO]);
		const whole = (await all(await caller.stream("Weather in Oslo?"))).reduce((a, b) => a.concat(b));
		assert.deepEqual(whole.tool_calls.map((c) => c.args), [OSLO]);
	},
};

for (const api of ["chat", "responses"])
	clients[`vercel ${api}`] = async (provider) => {
		const gateway = createOpenAI({ baseURL: LLMGW_URL, apiKey: KEY });
		const more = { maxRetries: 0, providerOptions: { openai: { store: false } } };
		const text = gateway[api](`text--${provider}`), model = gateway[api](`tool--${provider}`);
		assert.equal((await generateText({ model: text, prompt: "Say hello", ...more })).text, HELLO);
		assert.equal((await all(streamText({ model: text, prompt: "Say hello", ...more }).textStream)).join(""), HELLO);
		const asked = [];
		const tools = { get_weather: tool({ description: TOOL.description, inputSchema: jsonSchema(SCHEMA), execute: (input) => (asked.push(input), "rain") }) };
		await generateText({ model, tools, prompt: "Weather in Oslo?", stopWhen: stepCountIs(2), ...more }); // the second ask has the tool's answer
		await all(streamText({ model, tools, prompt: "Weather in Oslo?", stopWhen: stepCountIs(2), ...more }).fullStream);
		assert.deepEqual(asked, [OSLO, OSLO, OSLO, OSLO]);
	};

for (const provider of ["openai", "responses", "anthropic", "gemini", "bedrock", "cohere"])
	for (const [name, check] of Object.entries(clients)) test(`${name} to ${provider}`, { timeout: 60000 }, () => check(provider));

test("mistral streams tools as its provider does, in one piece", async () => {
	const c = new Mistral({ serverURL: ROOT, apiKey: KEY }).chat;
	const events = await all(await c.stream({ model: "mistral-tool--openai", messages: WEATHER, tools: OPENAI_TOOLS }));
	const calls = events.flatMap((e) => e.data.choices.flatMap((ch) => ch.delta.toolCalls ?? []));
	assert.deepEqual(calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]), [["get_weather", OSLO]]);
});
