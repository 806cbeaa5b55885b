// The official OpenAI SDK for Node on the endpoints beside chat. Its forms have the fields in the caller's order: the file often comes before the model.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI, { toFile } from "openai";

const { LLMGW_URL, LLMGW_KEY } = process.env;
const client = (o = {}) => new OpenAI({ baseURL: LLMGW_URL, apiKey: LLMGW_KEY, maxRetries: 0, timeout: 30000, ...o });
const stored = () => client({ defaultHeaders: { "x-llmgw-provider": "mock" } });
const sound = (n) => toFile(Buffer.alloc(n), "a.wav");

test("embeddings", async () => {
	const r = await client().embeddings.create({ model: "mock-1", input: "hello" });
	assert.deepEqual([...r.data[0].embedding], [0.5, -1, 2]);
});

test("completions", async () => {
	let text = "";
	for await (const c of await client().completions.create({ model: "mock-1", prompt: "x", stream: true })) text += c.choices[0].text;
	assert.equal(text, "one two three");
	assert.equal((await client().completions.create({ model: "mock-1", prompt: "x" })).usage.total_tokens, 8);
});

test("moderations", async () => assert.ok((await client().moderations.create({ model: "mock-1", input: "x" })).results[0].flagged));

test("responses", async () => {
	const r = await client().responses.create({ model: "mock-1", input: "x" });
	assert.equal(r.output_text, "one two three");
	let text = "", last;
	for await (const e of await client().responses.create({ model: "mock-1", input: "x", stream: true })) {
		if (e.type === "response.output_text.delta") text += e.delta;
		last = e;
	}
	assert.equal(text, "one two three");
	assert.equal(last.response.usage.total_tokens, 14);
	assert.equal((await stored().responses.retrieve("resp_1")).id, "resp_1");
	await stored().responses.delete("resp_1");
	await assert.rejects(stored().responses.retrieve("resp_missing"), OpenAI.NotFoundError);
});

test("images", async () => {
	assert.ok((await client().images.generate({ model: "mock-1", prompt: "x" })).data[0].b64_json);
	assert.ok((await client().images.edit({ image: await toFile(Buffer.alloc(900000), "a.png"), prompt: "x", model: "mock-1" })).data);
});

for (const size of [100, 2 << 20])
	test(`transcriptions of ${size} bytes, file first`, async () => {
		const t = await client().audio.transcriptions.create({ file: await sound(size), model: "mock-1" });
		assert.match(t.text, /model mock-1/);
	});

test("transcription as a stream", async () => {
	const types = [];
	for await (const e of await client().audio.transcriptions.create({ file: await sound(10), model: "mock-1", stream: true })) types.push(e.type);
	assert.deepEqual(types, ["transcript.text.delta", "transcript.text.delta", "transcript.text.done"]);
});

test("speech", async () => {
	const r = await client().audio.speech.create({ model: "mock-1", voice: "alloy", input: "hello" });
	const got = Buffer.from(await r.arrayBuffer());
	assert.equal(got.length, 20000);
	assert.ok(got.every((b, at) => b === ((Math.floor(at / 4000) * 31 + (at % 4000)) & 255)));
});

test("files and batches", async () => {
	const c = stored();
	const f = await c.files.create({ file: await toFile(Buffer.alloc(1 << 20), "a.jsonl"), purpose: "batch" });
	assert.equal(f.id, "file-mock");
	assert.equal((await (await c.files.content("file-64")).arrayBuffer()).byteLength, 64 * 16384);
	assert.equal((await c.files.list()).data.length, 1);
	const b = await c.batches.create({ input_file_id: f.id, endpoint: "/v1/chat/completions", completion_window: "24h" });
	assert.equal((await c.batches.cancel(b.id)).status, "cancelling");
	await assert.rejects(client().files.list(), OpenAI.BadRequestError);
});

test("errors", async () => {
	await assert.rejects(client().embeddings.create({ model: "no-such", input: "x" }), OpenAI.NotFoundError);
	await assert.rejects(client({ apiKey: "sk-wrong" }).audio.transcriptions.create({ file: await sound(10), model: "mock-1" }), OpenAI.AuthenticationError);
});
