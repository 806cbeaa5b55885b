"""What stands around conversations, in each dialect: probes and :test, lists of models, counts of tokens, embeddings, reranking, old completions."""
import json

import anthropic
import cohere
import openai
import pytest
from google import genai

from harness import http_ask, running, until
from vendors import Server, as_json

KEY = "sk-upstream-wire-key"
BAD = "sk-upstream-wrong-one"


class Vendor(Server):
    """A provider of each dialect behind one port. What it says follows the vendors' references; keys go where each wants them."""

    def key_of(self, path, headers):
        if path.startswith("/v1beta/"):
            return headers.get("x-goog-api-key")
        return headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")

    def refuse(self, path):
        if path.startswith("/v1beta/"):
            return as_json(400, {"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT",
                                           "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}})
        if path.startswith("/anthropic/"):
            return as_json(401, {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}})
        if path.startswith("/model/"):
            return as_json(403, {"Message": "Authentication failed: Please make sure your API Key is valid."})
        return as_json(401, {"id": "1", "message": "invalid api token"})

    def handle(self, method, path, headers, body):
        if self.key_of(path, headers) != KEY:
            return self.refuse(path)
        if path.startswith("/anthropic/") and "anthropic-version" not in headers:
            return as_json(400, {"type": "error", "error": {"type": "invalid_request_error", "message": "anthropic-version: header is required"}})
        answer = ANSWERS.get((method, path))
        return as_json(200, answer) if answer else as_json(404, {"message": "not here"})


ANSWERS = {
    ("GET", "/anthropic/v1/models?limit=1"): {"data": [], "has_more": False, "first_id": None, "last_id": None},
    ("POST", "/anthropic/v1/messages"): {"id": "msg_1", "type": "message", "role": "assistant", "model": "up-1", "content": [{"type": "text", "text": "p"}],
                                         "stop_reason": "max_tokens", "stop_sequence": None, "usage": {"input_tokens": 8, "output_tokens": 1}},
    ("GET", "/v1beta/models?pageSize=1"): {"models": []},
    ("POST", "/v1beta/models/up-1:generateContent"): {"candidates": [{"content": {"role": "model", "parts": [{"text": "p"}]}, "finishReason": "MAX_TOKENS"}],
                                                      "modelVersion": "up-1"},
    ("POST", "/model/up-1/converse"): {"output": {"message": {"role": "assistant", "content": [{"text": "p"}]}}, "stopReason": "max_tokens",
                                       "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}},
    ("GET", "/v1/models?page_size=1"): {"models": []},
    ("POST", "/v2/chat"): {"id": "c", "finish_reason": "MAX_TOKENS", "message": {"role": "assistant", "content": [{"type": "text", "text": "p"}]}},
}
BASES = {"anthropic": "/anthropic/v1", "gemini": "/v1beta", "bedrock": "", "cohere": ""}
LISTS = {"anthropic": "GET", "gemini": "GET", "bedrock": "POST", "cohere": "GET"}


@pytest.fixture(scope="module")
def vendor():
    v = Vendor()
    yield v
    v.stop()


@pytest.fixture(scope="module")
def g(tmp_path_factory, vendor):
    with running(tmp_path_factory.mktemp("wire")) as gw:
        yield gw


def put(g, path, obj):
    a = g.admin("PUT", path, obj)
    assert a.status in (200, 201, 202), a.text


def deploy(g, vendor, dialect, name, secret, **more):
    put(g, f"providers/{name}", {"type": dialect, "base_url": vendor.url + BASES[dialect], "allow_private": ["127.0.0.1/32"]})
    put(g, f"credentials/{name}", {"provider": name, "secret": secret})
    put(g, f"deployments/{name}", {"provider": name, "credential": name, "upstream_model": "up-1", **more})


@pytest.mark.parametrize("dialect", BASES)
def play_first_probe_and_test(g, vendor, dialect):
    """A deployment turns active by a probe that its provider understands; :test asks it for one token."""
    name = f"probe-{dialect}"
    deploy(g, vendor, dialect, name, KEY)
    until(lambda: g.admin("GET", f"deployments/{name}:health").json.get("state") == "active", 15, "the first probe")
    probes = [s for s in vendor.seen if s[2].get("user-agent", "").endswith(" probe")]
    assert any(s[0] == LISTS[dialect] for s in probes), probes
    a = g.admin("POST", f"deployments/{name}:test")
    assert a.status == 200 and a.json["ok"] is True, a.text


@pytest.mark.parametrize("dialect", BASES)
def play_a_bad_key_is_told(g, vendor, dialect):
    name = f"bad-{dialect}"
    deploy(g, vendor, dialect, name, BAD, probe="none", activation="immediate")
    a = g.admin("POST", f"deployments/{name}:test")
    assert a.json["ok"] is False, a.text
    assert "key" in a.text.lower() or "token" in a.text.lower(), a.text
    assert BAD not in a.text


# --- lists of models ---
def names_of(g):
    a = ask(g, "GET", "/v1/models")
    assert a.status == 200, a.text
    return {m["id"] for m in a.json["data"]}


def ask(g, method, path, body=None, **headers):
    return http_ask(method, g.url + path, body, {"Authorization": f"Bearer {g.key}", **{k.replace("_", "-"): v for k, v in headers.items()}})


@pytest.fixture(scope="module")
def models(g, vendor):
    deploy(g, vendor, "anthropic", "m", KEY, probe="none", activation="immediate")
    for name in ("m-1", "m-2"):
        put(g, f"models/{name}", {"targets": [{"deployment": "m"}]})
    put(g, "models/m-hidden", {"targets": [{"deployment": "m"}], "hidden": True})
    return names_of(g)


def play_models_for_anthropic(g, models):
    client = anthropic.Anthropic(base_url=g.url, api_key=g.key, max_retries=0)
    page = client.models.list(limit=1)
    assert {m.id for m in page.data} == models and "m-hidden" not in models and {"m-1", "m-2"} <= models
    assert not page.has_more and page.first_id == page.data[0].id and page.last_id == page.data[-1].id
    assert client.models.retrieve("m-1").type == "model"
    with pytest.raises(anthropic.NotFoundError) as e:
        client.models.retrieve("m-none")
    assert e.value.body["type"] == "error" and e.value.request_id


def play_models_for_gemini(g, models):
    client = genai.Client(api_key=g.key, http_options={"base_url": g.url})
    assert {m.name for m in client.models.list()} == {f"models/{n}" for n in models}
    assert {m["name"] for m in ask(g, "GET", "/v1beta/models?pageSize=1").json["models"]} == {f"models/{n}" for n in models}
    one = client.models.get(model="m-1")
    assert one.name == "models/m-1" and "generateContent" in one.supported_actions
    a = ask(g, "GET", "/v1beta/models/m-none")
    assert a.status == 404 and a.json["error"]["status"] == "NOT_FOUND"


def play_models_for_the_rest(g, models):
    client = openai.OpenAI(base_url=g.url + "/v1", api_key=g.key, max_retries=0)
    assert {m.id for m in client.models.list()} == models
    assert client.models.retrieve("m-1").object == "model"


# --- signatures ---
def play_a_signature_is_told_what_to_send(g):
    signed = "AWS4-HMAC-SHA256 Credential=AKIA0/20261122/us-east-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
    a = http_ask("POST", g.url + "/model/m-1/converse", {"messages": []}, {"Authorization": signed})
    assert a.status == 401 and "AWS_BEARER_TOKEN_BEDROCK" in a.json["message"] and "Bearer" in a.json["message"], a.text
    assert "AKIA0" not in a.text
    a = http_ask("POST", g.url + "/v1/chat/completions", {"messages": []}, {"Authorization": "Basic eDp5"})
    assert a.status == 401 and "AWS" not in a.text


# --- questions with one answer ---
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "up-1", "content": [{"type": "text", "text": "upon a time"}],
           "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 5, "output_tokens": 3}}
MESSAGE_STREAM = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "upon "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a time"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 3}},
    {"type": "message_stop"}])


class Asked(Server):
    """Counts, embeds and reranks in the shape of each vendor; remembers what it was asked."""

    def handle(self, method, path, headers, body):
        doc = json.loads(body) if body else {}
        if b"break it" in body:
            return as_json(200, {"embeddings": [{"values": "x"}], "embedding": {}, "results": [{"index": 9}], "totalTokens": "many"})
        if b"fail it" in body:
            return as_json(400, {"message": "fail it please is not a text"})
        if path == "/v1/messages":
            return (200, {"content-type": "text/event-stream"}, MESSAGE_STREAM.encode()) if doc.get("stream") else as_json(200, MESSAGE)
        if path == "/v1/completions":
            return as_json(200, {"id": "cmpl-up", "object": "text_completion", "created": 1, "model": "up-1", "echoed": doc,
                                 "choices": [{"text": "real", "index": 0, "logprobs": None, "finish_reason": "stop"}],
                                 "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
        if path.endswith("/count_tokens"):
            return as_json(200, {"input_tokens": 41})
        if path.endswith(":countTokens"):
            return as_json(200, {"totalTokens": 42, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 42}]})
        if path.endswith("/count-tokens"):
            return as_json(200, {"inputTokens": 43})
        if path.endswith(":batchEmbedContents"):
            return as_json(200, {"embeddings": [{"values": vector(r["content"]["parts"][0]["text"])} for r in doc["requests"]]})
        if path == "/v2/embed":
            return as_json(200, {"id": "e", "embeddings": {"float": [vector(t) for t in doc["texts"]]}, "texts": doc["texts"],
                                 "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 7}}})
        if path.endswith("/invoke"):
            return as_json(200, {"embedding": vector(doc["inputText"]), "inputTextTokenCount": 3})
        if path == "/v2/rerank":
            n = min(doc.get("top_n", 99), len(doc["documents"]))
            return as_json(200, {"id": "rr", "results": [{"index": i, "relevance_score": 0.5 / (i + 1)} for i in range(n)],
                                 "meta": {"billed_units": {"search_units": 1}}})
        if path == "/v1/rerank":
            return as_json(200, {"model": doc["model"], "results": [{"index": 1, "relevance_score": 0.75}], "usage": {"total_tokens": 12}})
        return as_json(404, {"message": "not here"})


def record_of(g, model, endpoint):
    """The latest record of such a call that went well; records come a moment after the answer."""
    return until(lambda: next((r for r in g.logs("--limit", "20") if (r.get("requested_model"), r["endpoint"], r.get("status")) == (model, endpoint, 200)),
                              None), 10,
                 f"the record of {endpoint}")


def vector(text):
    return [len(text), 0.5, -0.25]


WIRE = {"anthropic": "/v1", "gemini": "/v1beta", "bedrock": "", "cohere": "", "openai-compatible": "/v1"}


@pytest.fixture(scope="module")
def asked(g):
    v = Asked()
    for kind, base in WIRE.items():
        name = f"w-{kind}"
        put(g, f"providers/{name}", {"type": kind, "base_url": v.url + base, "allow_private": ["127.0.0.1/32"]})
        put(g, f"credentials/{name}", {"provider": name, "secret": KEY})
        upstream = "amazon.titan-embed-text-v2:0" if kind == "bedrock" else "up-1"
        put(g, f"deployments/{name}", {"provider": name, "credential": name, "upstream_model": upstream, "probe": "none", "activation": "immediate"})
        put(g, f"models/{name}", {"targets": [{"deployment": name}]})
    yield v
    v.stop()


COUNTS = {"anthropic": 41, "gemini": 42, "bedrock": 43}
QUESTION = [{"role": "user", "content": "How long is this?"}]


@pytest.mark.parametrize("provider", COUNTS)
def play_counts_for_anthropic(g, asked, provider):
    client = anthropic.Anthropic(base_url=g.url, api_key=g.key, max_retries=0)
    got = client.messages.count_tokens(model=f"w-{provider}", messages=QUESTION, system="Be short.")
    assert got.input_tokens == COUNTS[provider]
    sent = asked.seen[-1][3].decode()
    assert "How long is this?" in sent and "Be short." in sent and "max_tokens" not in sent and f"w-{provider}" not in sent


@pytest.mark.parametrize("provider", COUNTS)
def play_counts_for_gemini(g, asked, provider):
    client = genai.Client(api_key=g.key, http_options={"base_url": g.url})
    assert client.models.count_tokens(model=f"w-{provider}", contents="How long is this?").total_tokens == COUNTS[provider]
    assert "How long is this?" in asked.seen[-1][3].decode()


def play_counts_for_bedrock(g, asked):
    body = {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "How long is this?"}]}]}}}
    a = ask(g, "POST", "/model/w-anthropic/count-tokens", body)
    assert a.status == 200 and a.json == {"inputTokens": 41}, a.text
    a = ask(g, "POST", "/model/w-anthropic/count-tokens", {})
    assert a.status == 400 and "input.converse" in a.text


@pytest.mark.parametrize("provider", ["openai-compatible", "cohere"])
def play_who_does_not_count_says_so(g, asked, provider):
    client = anthropic.Anthropic(base_url=g.url, api_key=g.key, max_retries=0)
    n = len(asked.seen)
    with pytest.raises(anthropic.NotFoundError) as e:
        client.messages.count_tokens(model=f"w-{provider}", messages=QUESTION, extra_headers={"x-llmgw-strict": "true"})
    assert "does not count tokens" in str(e.value) and len(asked.seen) == n
    assert client.messages.count_tokens(model=f"w-{provider}", messages=QUESTION).input_tokens > 5 and len(asked.seen) == n, "estimated"


@pytest.mark.parametrize("provider,tokens,calls", [("gemini", 3, 1), ("cohere", 7, 1), ("bedrock", 9, 3)])
def play_embeddings(g, asked, provider, tokens, calls):
    """As numbers and as base64, which the SDK asks for and unpacks by itself; Titan takes one text a call; Gemini tells no usage: estimated."""
    client = openai.OpenAI(base_url=g.url + "/v1", api_key=g.key, max_retries=0)
    texts = ["a", "bb", "ccc"]
    for more in ({}, {"encoding_format": "float"}):
        n = len(asked.seen)
        got = client.embeddings.create(model=f"w-{provider}", input=texts, **more)
        assert [e.embedding for e in got.data] == [vector(t) for t in texts] and [e.index for e in got.data] == [0, 1, 2]
        assert got.usage.prompt_tokens == tokens and got.model == f"w-{provider}" and len(asked.seen) == n + calls
    record = record_of(g, f"w-{provider}", "embeddings")
    assert record.get("tokens_input", 0) == tokens and record["attempts"] == calls, record


def play_bad_embeddings(g, asked):
    n = len(asked.seen)
    for model, more, word in (("w-gemini", {"input": []}, "input"), ("w-gemini", {"input": [1, 2]}, "texts, not tokens"),
                              ("w-cohere", {"input": "x", "dimensions": 9}, "dimensions"), ("w-bedrock", {"input": ["x"] * 33}, "at most 32 texts"),
                              ("w-anthropic", {"input": "x"}, "has no embeddings")):
        a = ask(g, "POST", "/v1/embeddings", {"model": model, **more})
        assert a.status == 400 and word in a.json["error"]["message"], a.text
    assert len(asked.seen) == n
    a = ask(g, "POST", "/v1/embeddings", {"model": "w-gemini", "input": "x", "user": "me"})
    assert a.status == 200 and a.headers["x-llmgw-dropped"] == "user"
    a = ask(g, "POST", "/v1/embeddings", {"model": "w-gemini", "input": "x", "user": "me"}, x_llmgw_strict="true")
    assert a.status == 400 and "user" in a.json["error"]["message"]


@pytest.mark.parametrize("text,status", [("break it", 502), ("fail it", 400)])
def play_answers_that_are_none(g, asked, text, status):
    """Garbled or refused, also in the middle of several calls: an error, and the next request is none the worse."""
    rerank = {"query": text, "documents": ["x"]}
    for path, model, more in (("/v1/embeddings", "w-gemini", {"input": text}), ("/v1/embeddings", "w-bedrock", {"input": ["a", text, "c"]}),
                              ("/v2/rerank", "w-cohere", rerank), ("/v1/messages/count_tokens", "w-gemini", {"messages": [{"role": "user", "content": text}]})):
        a = ask(g, "POST", path, {"model": model, **more})
        assert a.status == status, (path, model, a.status, a.text)
    a = ask(g, "POST", "/v1/embeddings", {"model": "w-bedrock", "input": ["a", "b"]})
    assert a.status == 200 and len(a.json["data"]) == 2


def play_rerank(g, asked):
    client = cohere.ClientV2(api_key=g.key, base_url=g.url)
    got = client.rerank(model="w-cohere", query="q", documents=["x", "y", "z"], top_n=2)
    assert [(r.index, r.relevance_score) for r in got.results] == [(0, 0.5), (1, 0.25)] and got.meta.billed_units.search_units == 1
    record = record_of(g, "w-cohere", "rerank")
    assert record["unit"] == "query" and record["units"] == 1, record
    a = ask(g, "POST", "/v1/rerank", {"model": "w-openai-compatible", "query": "q", "documents": ["x", {"text": "y"}], "return_documents": True})
    assert a.status == 200 and a.json["results"] == [{"index": 1, "relevance_score": 0.75, "document": {"text": "y"}}], a.text
    assert json.loads(asked.seen[-1][3])["model"] == "up-1"
    assert record_of(g, "w-openai-compatible", "rerank")["tokens_input"] == 12


def play_bad_rerank(g, asked):
    for body, word in (({"query": "q"}, "documents"), ({"documents": ["x"]}, "query"), ({"query": "q", "documents": []}, "documents"),
                       ({"query": "q", "documents": ["x"], "top_n": 0}, "top_n")):
        a = ask(g, "POST", "/v2/rerank", {"model": "w-cohere", **body})
        assert a.status == 400 and word in a.json["message"], a.text
    a = ask(g, "POST", "/v2/rerank", {"model": "w-gemini", "query": "q", "documents": ["x"]})
    assert a.status == 400 and "no reranking" in a.json["message"]


# --- completions of old ---
def play_completions_of_a_chat_model(g, asked):
    client = openai.OpenAI(base_url=g.url + "/v1", api_key=g.key, max_retries=0)
    got = client.completions.create(model="w-anthropic", prompt="Once", max_tokens=20)
    assert got.choices[0].text == "upon a time" and got.choices[0].finish_reason == "stop" and got.object == "text_completion"
    assert got.usage.completion_tokens == 3 and got.model == "w-anthropic"
    sent = json.loads(asked.seen[-1][3])
    assert sent["messages"] == [{"role": "user", "content": "Once"}] and sent["max_tokens"] == 20, sent
    parts = list(client.completions.create(model="w-anthropic", prompt="Once", stream=True, stream_options={"include_usage": True}))
    assert "".join(p.choices[0].text for p in parts if p.choices) == "upon a time"
    assert parts[-2].choices[0].finish_reason == "stop" and parts[-1].usage.total_tokens == 8
    record = record_of(g, "w-anthropic", "completions")
    assert record["tokens_output"] == 3 and record["finish_reason"] == "stop"


def play_completions_that_a_chat_model_cannot_do(g, asked):
    n = len(asked.seen)
    for more, field in (({"prompt": ["a", "b"]}, "prompt"), ({"prompt": [1, 2]}, "prompt"), ({"echo": True}, "echo"), ({"best_of": 3}, "best_of"),
                        ({"suffix": "end"}, "suffix"), ({"logprobs": 2}, "logprobs")):
        a = ask(g, "POST", "/v1/completions", {"model": "w-anthropic", "prompt": "Once", **more})
        assert a.status == 400 and a.json["error"]["param"] == field and "chat model" in a.json["error"]["message"], a.text
    assert len(asked.seen) == n


def play_completions_where_there_are_some(g, asked):
    a = ask(g, "POST", "/v1/completions", {"model": "w-openai-compatible", "prompt": ["a", "b"], "echo": True})
    assert a.status == 200 and a.json["echoed"] == {"model": "up-1", "prompt": ["a", "b"], "echo": True}, a.text
