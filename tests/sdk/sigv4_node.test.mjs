// lib/sigv4 against the vendor's own signer: 500 requests made from a fixed seed, with odd paths, queries, headers and bodies. The signatures must be
// the same, byte for byte.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash, createHmac } from "node:crypto";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { SignatureV4 } from "@smithy/signature-v4";

const TOOL = resolve(process.env.LLMGW_BUILD ?? resolve(import.meta.dirname, "../../build-asan"), "tests/tools/gw-sigv4");
const N = 500, SEED = 20261122;

class Sha256 {
	constructor(key) { this.h = key === undefined ? createHash("sha256") : createHmac("sha256", key); }
	update(data) { this.h.update(data); }
	async digest() { return new Uint8Array(this.h.digest()); }
}

function random(seed) { // mulberry32
	return (n) => {
		seed = (seed + 0x6d2b79f5) | 0;
		let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) % n;
	};
}

const CHARS = [..."abzAZ059-._~ !'()*+,;=:@&$%/?#[]\"<>\\^`{|}", "ä", "€", "😀"];
const escape = (s) => encodeURIComponent(s).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

function request(rnd) {
	const word = (max, from = CHARS) => Array.from({ length: 1 + rnd(max) }, () => from[rnd(from.length)]).join("");
	const name = () => word(12, [..."abcdefghijklmnopqrstuvwxyz0123456789-"]);
	// As it is sent: encoded once. Dots and double slashes are taken out for the signature.
	const segments = Array.from({ length: rnd(6) }, () => (rnd(8) ? escape(word(12)) : ["..", ".", "", "%2F"][rnd(4)]));
	const query = {}, headers = { host: `${name()}.amazonaws.com` };
	for (let i = rnd(5); i; i--) query[word(8)] = rnd(4) ? word(12) : Array.from({ length: 1 + rnd(3) }, () => word(6));
	for (let i = rnd(6); i; i--)
		headers[rnd(3) ? `x-${name()}` : ["content-type", "user-agent", "x-amzn-trace-id", "accept", "connection", "x-amz-target"][rnd(6)]] =
			`${" ".repeat(rnd(3))}${word(20, [..."abcXYZ019 ,;=/\t"])}${" ".repeat(rnd(3))}`;
	return { method: ["GET", "POST", "PUT", "DELETE"][rnd(4)], path: `/${segments.join("/")}${rnd(4) ? "" : "/"}`, query, headers,
		body: rnd(3) ? word(300) : "", region: ["us-east-1", "eu-central-1", "us-gov-west-1"][rnd(3)],
		service: ["bedrock", "sts", "execute-api"][rnd(3)], access: `AKIA${word(16, [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"])}`,
		secret: word(40, [..."abcXYZ019+/"]), token: rnd(2) ? word(200, [..."abcXYZ019+/="]) : undefined, at: 1000 * rnd(2 ** 31) };
}

async function theirs(r) {
	const signer = new SignatureV4({ credentials: { accessKeyId: r.access, secretAccessKey: r.secret, sessionToken: r.token }, region: r.region,
		service: r.service, sha256: Sha256, applyChecksum: false });
	const signed = await signer.sign({ method: r.method, protocol: "https:", hostname: r.headers.host, path: r.path, query: r.query, headers: r.headers,
		body: r.body }, { signingDate: new Date(r.at) });
	return { date: signed.headers["x-amz-date"], authorization: signed.headers.authorization };
}

function line(r) {
	const query = Object.entries(r.query).flatMap(([k, v]) => [v].flat().map((x) => `${escape(k)}=${escape(x)}`)).join("&");
	const headers = Object.entries({ ...r.headers, ...(r.token && { "x-amz-security-token": r.token }) });
	return JSON.stringify({ access: r.access, secret: r.secret, region: r.region, service: r.service, now_us: r.at * 1000, method: r.method, path: r.path,
		query, headers, body: r.body });
}

test(`${N} signatures are those of @smithy/signature-v4`, async () => {
	assert.ok(existsSync(TOOL), `${TOOL} is not built`);
	const rnd = random(SEED), requests = Array.from({ length: N }, () => request(rnd));
	const run = spawnSync(TOOL, { input: requests.map((r) => `${line(r)}\n`).join(""), encoding: "utf8", maxBuffer: 64 << 20 });
	assert.equal(run.status, 0, run.stderr);
	const ours = run.stdout.trimEnd().split("\n").map((l) => JSON.parse(l));
	assert.equal(ours.length, N);
	for (const [i, r] of requests.entries()) assert.deepEqual(ours[i], await theirs(r), `request ${i}: ${JSON.stringify(r)}`);
});
