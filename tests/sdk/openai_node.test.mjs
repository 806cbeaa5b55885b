// The official OpenAI SDK for Node as a client: only baseURL and apiKey differ from its documentation.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import OpenAI from "openai";

const { LLMGW_URL, LLMGW_KEY, LLMGW_FEW_KEY, LLMGW_MOCK } = process.env;
const client = (o = {}) => new OpenAI({ baseURL: LLMGW_URL, apiKey: LLMGW_KEY, maxRetries: 0, timeout: 20000, ...o });
const say = (content) => [{ role: "user", content }];
const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } } }];
const mock = async (what, body) => (await fetch(`${LLMGW_MOCK}/mock/${what}`, body && { method: "POST", body: JSON.stringify(body) })).json();

beforeEach(() => mock("reset", {}));

test("chat", async () => {
	const { data, response } = await client().chat.completions.create({ model: "mock-1", messages: say("echo: café 😀") }).withResponse();
	assert.equal(data.choices[0].message.content, "café 😀");
	assert.equal(data.usage.total_tokens, 18);
	assert.equal(data._request_id, response.headers.get("x-request-id"));
});

test("stream", async () => {
	let text = "", last;
	for await (const c of await client().chat.completions.create({ model: "mock-1", messages: say("echo: one two three"), stream: true })) {
		text += c.choices[0].delta.content ?? "";
		last = c;
	}
	assert.equal(text, "one two three");
	assert.equal(last.choices[0].finish_reason, "stop");
	assert.equal(last.usage ?? null, null);
});

test("stream with usage", async () => {
	const all = [];
	for await (const c of await client().chat.completions.create({
		model: "mock-1", messages: say("hello"), stream: true, stream_options: { include_usage: true } })) all.push(c);
	assert.equal(all.at(-1).usage.completion_tokens, 16);
	assert.deepEqual(all.at(-1).choices, []);
});

test("stream helper", async () => {
	const s = client().chat.completions.stream({ model: "mock-1", messages: say("echo: gathered up") });
	assert.equal(await s.finalContent(), "gathered up");
	assert.equal((await s.finalChatCompletion()).choices[0].message.role, "assistant");
});

test("tools, whole and streamed", async () => {
	const c = client(), ask = { model: "mock-1", messages: say("use the tool"), tools };
	const call = (await c.chat.completions.create(ask)).choices[0].message.tool_calls[0];
	assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris", n: 2 });
	const s = c.chat.completions.stream(ask);
	const whole = (await s.finalChatCompletion()).choices[0].message.tool_calls[0];
	assert.equal(whole.function.name, "weather");
	assert.equal(whole.function.arguments, call.function.arguments);
	const second = await c.chat.completions.create({ model: "mock-1", tools, messages: [
		...say("use the tool"), { role: "assistant", tool_calls: [call] }, { role: "tool", tool_call_id: call.id, content: "sunny" }] });
	assert.equal(second.choices[0].message.content, "The tool said: sunny");
});

test("models", async () => {
	const ids = [];
	for await (const m of client().models.list()) ids.push(m.id);
	assert.ok(ids.includes("mock-1"));
	assert.equal((await client().models.retrieve("mock-1")).id, "mock-1");
	await assert.rejects(client().models.retrieve("nope"), OpenAI.NotFoundError);
});

const errors = [["400", OpenAI.BadRequestError, 400], ["context", OpenAI.BadRequestError, 400], ["401", OpenAI.InternalServerError, 502],
	["429", OpenAI.RateLimitError, 429], ["500", OpenAI.InternalServerError, 502], ["503", OpenAI.InternalServerError, 503],
	["silent", OpenAI.InternalServerError, 504], ["garbage", OpenAI.InternalServerError, 502]];
for (const [fault, klass, status] of errors) {
	for (const stream of [false, true]) {
		test(`error of the provider: ${fault}${stream ? ", streamed" : ""}`, async () => {
			await mock("next", { fault, count: 3 });
			await assert.rejects(client().chat.completions.create({ model: "quick", messages: say("x"), stream }), (e) => {
				assert.ok(e instanceof klass && e.constructor === klass, String(e));
				assert.equal(e.status, status);
				assert.ok(e.requestID && e.error.message && e.type);
				return true;
			});
		});
	}
}

test("errors of the client", async () => {
	const ask = (o, c = client()) => c.chat.completions.create({ model: "mock-1", messages: say("x"), ...o });
	await assert.rejects(ask({ model: "nope" }), (e) => e instanceof OpenAI.NotFoundError && e.code === "model_not_found" && e.param === "model");
	await assert.rejects(ask({ messages: [] }), (e) => e instanceof OpenAI.BadRequestError && e.param === "messages");
	await assert.rejects(ask({}, client({ apiKey: "sk-wrong" })), OpenAI.AuthenticationError);
	await assert.rejects(ask({ model: "private" }, client({ apiKey: LLMGW_FEW_KEY })), OpenAI.PermissionDeniedError);
});

test("an error in the middle of a stream", async () => {
	await mock("next", { fault: "inline-error-mid" });
	let text = "";
	await assert.rejects(async () => {
		for await (const c of await client().chat.completions.create({ model: "quick", messages: say("x"), stream: true }))
			text += c.choices[0].delta.content ?? "";
	}, OpenAI.APIError);
	assert.equal(text, "word0 word1 word2 ");
});

test("timeout of the client", async () => {
	await assert.rejects(client({ timeout: 500 }).chat.completions.create({ model: "mock-1", messages: say("mock: delay_ms=5000") }),
		OpenAI.APIConnectionTimeoutError);
});

test("retry headers are obeyed", async () => {
	await mock("next", { fault: "500", count: 10 });
	await assert.rejects(client({ maxRetries: 5 }).chat.completions.create({ model: "quick", messages: say("x") }), OpenAI.InternalServerError);
	assert.equal((await mock("stats")).chat, 1);
	await mock("reset", {});
	await mock("next", { fault: "429", count: 1 });
	const begun = Date.now();
	assert.ok((await client({ maxRetries: 2 }).chat.completions.create({ model: "quick", messages: say("x") })).choices);
	assert.ok(Date.now() - begun >= 1800);
});

test("leaving a stream early cancels it at the provider", async () => {
	const s = await client().chat.completions.create({ model: "mock-1", messages: say("mock: chunks=500 chunk_ms=20"), stream: true });
	for await (const _ of s) break;
	for (let i = 0; i < 200 && (await mock("stats")).cancelled !== 1; i++) await new Promise((r) => setTimeout(r, 10));
	assert.equal((await mock("stats")).cancelled, 1);
});
