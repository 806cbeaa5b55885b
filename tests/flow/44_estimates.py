"""Usage that the provider did not tell: silent providers of each dialect, streams that break off, clients that leave, questions with one answer. The
record says what was counted by whom, the cost follows from it, clients whose dialect always tells usage are told the estimate."""
import json
import re
import sys

import pytest

from client import Stream, chat_body
from harness import ROOT, Gateway, Mock, http_ask, until
from trail import settled
from vendors import Server, as_json

sys.path[:0] = [str(ROOT / "tests/matrix"), str(ROOT / "tests/fixtures")]
import ask  # noqa: E402
import objects  # noqa: E402
import run as recorded  # noqa: E402
import speak  # noqa: E402
import vendor_types as vendor  # noqa: E402

QUESTION = "Why does the sea look blue in summer and grey in winter? Please answer in two or three short sentences."
ANSWER = ("Water absorbs red light more strongly than blue light, so what comes back to our eyes from a deep sea is mostly blue. "
          "In summer the sky above it is clear and adds its own colour, while in winter the clouds that it mirrors are grey, and storms stir up sand.")
INPUT, OUTPUT = 22, 56  # tokens of o200k_base, counted by its own tokenizer
CASE = {"ask": {"messages": [{"role": "user", "text": QUESTION}]},
        "reply": {"blocks": [{"text": ANSWER}], "finish": "stop", "usage": {"input": 1111, "output": 2222}}}
PAIRS = [(c, p) for c in vendor.DIALECTS for p in vendor.DIALECTS]
PRICE = "input_price: 1000000, output_price: 10000000"


def without_usage(doc):
    if isinstance(doc, dict):
        return {k: without_usage(v) for k, v in doc.items() if k not in ("usage", "usageMetadata")}
    return [without_usage(v) for v in doc] if isinstance(doc, list) else doc


def silent_frame(frame):
    """A frame of a stream without what it tells of usage; nothing when it told nothing else."""
    if frame.startswith(b"data: [DONE]"):
        return frame
    head, data = re.fullmatch(rb"((?:event: .*?\r?\n)?)data: (.*?)\s*", frame, re.S).groups()
    doc = json.loads(data)
    if doc.get("choices") == []:
        return b""
    return head + b"data: " + json.dumps(without_usage(doc)).encode() + b"\r\n\r\n"


def write_silent(to):
    (to / "silent").mkdir(parents=True)
    for dialect in speak.REPLY:
        base = to / "silent" / dialect
        base.with_suffix(".json").write_text(json.dumps(without_usage(speak.REPLY[dialect](CASE, "silent"))))
        frames = speak.STREAM[dialect](CASE, "silent")
        frames = frames[:-1] if dialect == "bedrock" else [silent_frame(f) for f in frames]
        base.with_suffix(".stream").write_bytes(b"".join(frames))


@pytest.fixture(scope="module")
def g(tmp_path_factory):
    where = tmp_path_factory.mktemp("estimates")
    speak.write_scripts({"broken": {**CASE, "cut": True}}, where / "scripts")
    write_silent(where / "scripts")
    mock = Mock(where, extra=["--play", str(where / "scripts")])
    mock.start()
    g = Gateway(where, mock=mock)
    try:
        g.start()
        config = objects.config({"silent": CASE, "broken": CASE}, mock.url)
        g.ctl("apply", "-f", "-", stdin=config.replace('"activation": "immediate"', '"activation": "immediate", "input_price": 1000000, "output_price": 10000000'))
        yield g
    finally:
        g.finish()
        mock.stop()


def post(g, path, body, **headers):
    return http_ask("POST", g.url + path, body, {"Authorization": f"Bearer {g.key}", **headers})


def record_of(g, answer_or_id):
    i = answer_or_id if isinstance(answer_or_id, str) else answer_or_id.headers["x-request-id"]
    return settled(g.data, [i]).end(i)


def near(n, true, percent):
    return abs(n - true) * 100 <= true * percent


def told(client, a):
    """(input, output) as the client reads them."""
    if client == "bedrock" and a.headers["content-type"] != "application/json":
        return recorded.usage_of(client, recorded.events_of(client, a.body))
    docs = recorded.events_of(client, a.body) if "event-stream" in a.headers["content-type"] else [a.json]
    flat = [d for doc in docs for d in (doc if isinstance(doc, list) else [doc])]
    return recorded.usage_of(client, flat)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client,provider", PAIRS, ids=[f"{c}-to-{p}" for c, p in PAIRS])
def play_a_silent_provider(g, client, provider, stream):
    path, body = ask.ASK[client](CASE, f"silent--{provider}", stream)
    a = post(g, path, body)
    assert a.status == 200, a.text
    r = record_of(g, a)
    assert r["usage_source"] == "estimated", dict(r)
    assert near(r["tokens_input"], INPUT + 7, 30) and near(r["tokens_output"], OUTPUT, 15), dict(r)
    assert r["cost_nanousd"] == r["tokens_input"] * 1000 + r["tokens_output"] * 10000
    assert a.headers.get("x-llmgw-estimated") == (None if stream else "1")
    passes = client == provider or (client, provider) == ("responses", "openai")
    if passes:
        assert told(client, a) in (None, (0, 0)), "bytes pass as they are"
    else:
        assert told(client, a) == (r["tokens_input"], r["tokens_output"]), a.text


@pytest.mark.parametrize("client", ["openai", "anthropic"])
@pytest.mark.parametrize("provider", vendor.DIALECTS)
def play_a_stream_that_is_cut(g, client, provider):
    """Half of the answer came. Anthropic and Gemini had told the input by then: that holds."""
    path, body = ask.ASK[client](CASE, f"broken--{provider}", True)
    conn = Raw(g, path, body)
    r = record_of(g, conn.id)
    assert r["error"] == "UP_CUT" and b"sea is mostly" not in conn.body[-20:]
    if provider in ("anthropic", "gemini"):
        assert r["usage_source"] == "partial" and r["tokens_input"] == 1111, dict(r)
    else:
        assert r["usage_source"] == "estimated" and near(r["tokens_input"], INPUT + 7, 30), dict(r)
    assert 0 < r["tokens_output"] <= OUTPUT * 1.2 and r["cost_nanousd"] == r["tokens_input"] * 1000 + r["tokens_output"] * 10000


class Raw:
    """A stream read to where it breaks."""

    def __init__(self, g, path, body):
        import http.client
        c = http.client.HTTPConnection("127.0.0.1", g.port, timeout=20)
        c.request("POST", path, json.dumps(body), {"Authorization": f"Bearer {g.key}", "content-type": "application/json"})
        a = c.getresponse()
        self.id = a.headers["x-request-id"]
        try:
            self.body = a.read()
        except http.client.IncompleteRead as e:
            self.body = e.partial
        c.close()


def play_a_client_that_leaves(g):
    s = Stream(g, "mock: chunks=400 chunk_ms=10")
    for _ in range(40):
        s.next()
    s.close()
    r = record_of(g, s.id)
    assert (r["error"], r["usage_source"]) == ("CLIENT_GONE", "estimated"), dict(r)
    assert 30 <= r["tokens_output"] <= 160 and r["tokens_input"] > 5 and r["cost_nanousd"] > 0, dict(r)


def play_a_long_stream_is_sampled(g):
    """Far more pieces than are all looked at: the sum is right all the same."""
    s = Stream(g, "mock: chunks=6000 chunk_ms=1")
    for _ in range(700):
        s.next()
    s.close()
    r = record_of(g, s.id)
    assert r["usage_source"] == "estimated" and 700 * 0.7 <= r["tokens_output"] <= 3000, dict(r)


def play_what_never_began_costs_nothing(g):
    for words in ("mock: fault=429", "mock: fault=500"):
        a = post(g, "/v1/chat/completions", chat_body(words))
        assert a.status >= 400
        r = record_of(g, a)
        assert r["usage_source"] == "none" and not r.get("cost_nanousd") and "tokens_input" not in r, dict(r)


def play_what_the_provider_told_is_not_touched(g):
    for stream in (False, True):
        a = post(g, "/v1/chat/completions", chat_body("mock: prompt=9 completion=5", stream=stream))
        r = record_of(g, a)
        assert (r["usage_source"], r["tokens_input"], r["tokens_output"]) == ("provider", 9, 5) and "x-llmgw-estimated" not in a.headers


def play_sums_say_how_much_is_estimated(g):
    a = post(g, "/v1/chat/completions", {"model": "silent--cohere", "messages": [{"role": "user", "content": QUESTION}]})
    r = record_of(g, a)

    def row():
        items = json.loads(g.ctl("usage", "--by", "model", "--from", "1h", "-o", "json"))["items"]
        found = [i for i in items if i["model"] == "silent--cohere" and i["estimated"]]
        return found[0] if found and found[0]["requests"] == found[0]["estimated"] else None
    item = until(row, 10, "the roll-ups to have it")
    assert item["cost_estimated_nanousd"] == item["cost_nanousd"] >= r["cost_nanousd"]
    assert "ESTIMATED_USD" in g.ctl("usage", "--by", "model", "--from", "1h")
    lines = http_ask("GET", g.admin_url + "/metrics").text.splitlines()
    assert any(x.startswith("llmgw_requests_estimated_total") and 'model="silent--cohere"' in x and not x.endswith(" 0") for x in lines)


class Silent(Server):
    """Embeddings and reranking without a word about usage."""

    def handle(self, method, path, headers, body):
        asked = json.loads(body or b"{}")
        if path.endswith(":batchEmbedContents"):
            return as_json(200, {"embeddings": [{"values": [0.5, 1.0]} for _ in asked["requests"]]})
        if path == "/v1/embeddings":
            return as_json(200, {"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]})
        if path.endswith("/rerank"):
            return as_json(200, {"id": "r", "results": [{"index": i, "relevance_score": 0.5} for i in range(len(asked["documents"]))]})
        return as_json(404, {"message": "not here"})


@pytest.fixture(scope="module")
def vendor_port(g):
    s = Silent()
    kinds = {"gemini": "/v1beta", "cohere": "", "openai-compatible": "/v1"}
    g.ctl("apply", "-f", "-", stdin="\n---\n".join(f"""
{{kind: provider, id: v-{k}, type: {k}, base_url: "{s.url}{base}", allow_private: [127.0.0.1/32]}}
---
{{kind: credential, id: v-{k}, provider: v-{k}, secret: sk-upstream-estimate}}
---
{{kind: deployment, id: v-{k}, provider: v-{k}, credential: v-{k}, upstream_model: some-embedding, activation: immediate, {PRICE}}}
---
{{kind: model, id: v-{k}, targets: [{{deployment: v-{k}}}]}}""" for k, base in kinds.items()))
    yield s
    s.stop()


@pytest.mark.parametrize("kind", ["gemini", "openai-compatible"])
def play_embeddings_of_a_silent_provider(g, vendor_port, kind):
    a = post(g, "/v1/embeddings", {"model": f"v-{kind}", "input": [QUESTION, ANSWER]})
    r = record_of(g, a)
    assert a.status == 200 and r["usage_source"] == "estimated" and "tokens_output" not in r, (a.text, dict(r))
    assert near(r["tokens_input"], INPUT + OUTPUT, 15) and r["cost_nanousd"] == r["tokens_input"] * 1000
    if kind == "gemini":
        assert a.json["usage"] == {"prompt_tokens": r["tokens_input"], "total_tokens": r["tokens_input"]}


def play_embeddings_of_numbers(g, vendor_port):
    """A text that comes as numbers of tokens needs no guess."""
    r = record_of(g, post(g, "/v1/embeddings", {"model": "v-openai-compatible", "input": [[1, 2, 3], [4, 5]]}))
    assert (r["usage_source"], r["tokens_input"]) == ("estimated", 5)


def play_reranking_of_a_silent_provider(g, vendor_port):
    body = {"query": "blue sea", "documents": [QUESTION, ANSWER, "no"]}
    r = record_of(g, post(g, "/v1/rerank", {"model": "v-cohere", **body}))
    assert (r["usage_source"], r["unit"], r["units"]) == ("estimated", "query", 1), dict(r)
    r = record_of(g, post(g, "/v1/rerank", {"model": "v-openai-compatible", **body}))
    assert r["usage_source"] == "estimated" and near(r["tokens_input"], 3 * 2 + INPUT + OUTPUT + 1, 15), dict(r)


COUNTS = {
    "anthropic": ("/v1/messages/count_tokens", lambda m: {"model": m, "messages": [{"role": "user", "content": QUESTION}]}, lambda d: d["input_tokens"]),
    "gemini": ("/v1beta/models/{}:countTokens", lambda m: {"contents": [{"role": "user", "parts": [{"text": QUESTION}]}]}, lambda d: d["totalTokens"]),
    "bedrock": ("/model/{}/count-tokens", lambda m: {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": QUESTION}]}]}}},
                lambda d: d["inputTokens"]),
    "responses": ("/v1/responses/input_tokens", lambda m: {"model": m, "input": QUESTION}, lambda d: d["input_tokens"]),
}


@pytest.mark.parametrize("client", COUNTS)
def play_a_count_where_nobody_counts(g, client):
    """An estimate in the client's shape, marked; nothing is asked, nothing billed. Strict clients are told that nobody counts."""
    path, body, read = COUNTS[client]
    model = "silent--cohere"
    a = post(g, path.format(model), body(model))
    assert a.status == 200 and a.headers["x-llmgw-estimated"] == "1", a.text
    assert near(read(a.json), INPUT + 7, 40)
    r = record_of(g, a)
    assert r["is_estimated"] is True and r["usage_source"] == "none" and not r.get("cost_nanousd") and not r.get("error"), dict(r)
    strict = post(g, path.format(model), body(model), **{"x-llmgw-strict": "true"})
    assert strict.status in (400, 404) and "x-llmgw-estimated" not in strict.headers, strict.text


def play_a_count_that_cannot_be_read(g):
    for client, body in (("anthropic", {"model": "silent--cohere", "messages": [{"role": "nobody", "content": 5}]}), ("bedrock", {}), ("gemini", {"contents": 5})):
        a = post(g, COUNTS[client][0].format("silent--cohere"), body)
        assert a.status == 400, a.text
