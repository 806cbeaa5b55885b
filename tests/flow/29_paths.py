"""The paths and places of the key that SDKs of clouds use: Vertex AI's and Bedrock's ways to Anthropic and Gemini models, `?key=` of Gemini's clients, which
is seen nowhere afterwards."""
import base64
import json
import pathlib
import urllib.parse

import anthropic
import pytest
from google import genai
from google.oauth2.credentials import Credentials

from harness import http_ask, running, until
from vendors import Server, as_json

MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "up-1", "content": [{"type": "text", "text": "upon a time"}],
           "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 5, "output_tokens": 3}}
STREAM = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "upon "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a time"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 3}},
    {"type": "message_stop"}])
CANDIDATES = {"candidates": [{"content": {"role": "model", "parts": [{"text": "upon a time"}]}, "finishReason": "STOP", "index": 0}], "modelVersion": "up-1",
              "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8}}
CHAT = {"id": "c", "object": "chat.completion", "created": 1, "model": "up-1", "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "upon a time"}}]}
ASK = [{"role": "user", "content": "Once"}]
MODELS = {"gemini": "gemini", "anthropic": "anthropic", "openai": "openai-compatible"}


class Vendor(Server):
    broken = False

    def handle(self, method, path, headers, body):
        doc = json.loads(body) if body else {}
        if self.broken:
            return as_json(500, {"error": {"message": f"failed at {path} for {json.dumps(headers)}"}})
        if path.startswith("/v1/messages"):
            strange = {"anthropic_version", "anthropic_beta"} & set(doc)
            if strange or doc.get("model") != "up-1":  # as Anthropic itself
                return as_json(400, {"type": "error", "error": {"type": "invalid_request_error", "message": f"{strange}: Extra inputs are not permitted"}})
            if path.endswith("/count_tokens"):
                return as_json(200, {"input_tokens": 41})
            return (200, {"content-type": "text/event-stream"}, STREAM.encode()) if doc.get("stream") else as_json(200, MESSAGE)
        if ":streamGenerateContent" in path:
            return 200, {"content-type": "text/event-stream"}, f"data: {json.dumps(CANDIDATES)}\n\n".encode()
        return as_json(200, CANDIDATES if "generateContent" in path else CHAT)


@pytest.fixture(scope="module")
def vendor():
    v = Vendor()
    yield v
    v.stop()


@pytest.fixture(scope="module")
def g(tmp_path_factory, vendor):
    with running(tmp_path_factory.mktemp("paths")) as gw:
        for name, type_ in MODELS.items():
            put(gw, f"providers/{name}", {"type": type_, "base_url": vendor.url + "/v1", "allow_private": ["127.0.0.1/32"]})
            put(gw, f"credentials/{name}", {"provider": name, "secret": f"sk-up-{name}"})
            put(gw, f"deployments/{name}", {"provider": name, "credential": name, "upstream_model": "up-1", "probe": "none", "activation": "immediate"})
            put(gw, f"models/{name}", {"targets": [{"deployment": name}]})
        put(gw, "models/odd", {"name": "org/claude:v1@2", "targets": [{"deployment": "anthropic"}]})
        put(gw, "models/tuned", {"name": "tunedModels/t-1", "targets": [{"deployment": "gemini"}]})
        yield gw


def put(g, path, obj):
    a = g.admin("PUT", path, obj)
    assert a.status in (200, 201, 202), a.text


# --- Anthropic's messages by way of the clouds ---
def clouds(g):
    return {"vertex": anthropic.AnthropicVertex(base_url=g.url + "/v1", project_id="p-1", region="us-east5", access_token=g.key, max_retries=0),
            "bedrock": anthropic.AnthropicBedrock(base_url=g.url, api_key=g.key, aws_region="us-east-1", max_retries=0)}


@pytest.mark.parametrize("model", ["anthropic", "openai", "gemini", "org/claude:v1@2"])
@pytest.mark.parametrize("cloud", ["vertex", "bedrock"])
def play_messages_by_way_of_a_cloud(g, vendor, cloud, model):
    """Whole and streamed, by the vendors' own SDKs, whoever answers."""
    client = clouds(g)[cloud]
    got = client.messages.create(model=model, max_tokens=50, messages=ASK)
    assert got.content[0].text == "upon a time" and got.usage.input_tokens == 5
    sent = json.loads(vendor.seen[-1][3])
    assert "anthropic_version" not in sent, sent
    if model not in ("openai", "gemini"):
        with client.messages.stream(model=model, max_tokens=50, messages=ASK) as stream:
            assert stream.get_final_text() == "upon a time" and stream.get_final_message().usage.output_tokens == 3
        with pytest.raises(anthropic.NotFoundError):
            client.messages.create(model="none", max_tokens=50, messages=ASK)


def play_counts_by_way_of_vertex(g, vendor):
    assert clouds(g)["vertex"].messages.count_tokens(model="anthropic", messages=ASK).input_tokens == 41


def play_betas_of_bedrock_are_a_header_again(g, vendor):
    client = clouds(g)["bedrock"]
    client.messages.create(model="anthropic", max_tokens=50, messages=ASK, extra_headers={"anthropic-beta": "context-1m-2025-08-07"})
    assert vendor.seen[-1][2]["anthropic-beta"] == "context-1m-2025-08-07" and "anthropic_beta" not in json.loads(vendor.seen[-1][3])


@pytest.mark.parametrize("path,word", [("/model/anthropic/other", "/invoke"), ("/v1/publishers/anthropic/models/anthropic:predict", ":rawPredict"),
                                       ("/v1beta/models/gemini:predict", ":batchEmbedContents")])
def play_other_calls_are_told_what_there_is(g, path, word):
    a = http_ask("POST", g.url + path, {"messages": ASK}, {"Authorization": f"Bearer {g.key}"})
    assert a.status == 404 and word in a.text, a.text


# --- Gemini's ways ---
def play_gemini_by_way_of_vertex(g, vendor):
    express = genai.Client(vertexai=True, api_key=g.key, http_options={"base_url": g.url})
    project = genai.Client(vertexai=True, project="p-1", location="us-central1", credentials=Credentials(token=g.key), http_options={"base_url": g.url})
    alpha = genai.Client(api_key=g.key, http_options={"base_url": g.url, "api_version": "v1alpha"})
    for client in (express, project, alpha):
        assert client.models.generate_content(model="gemini", contents="Once").text == "upon a time"
        assert "".join(p.text for p in client.models.generate_content_stream(model="gemini", contents="Once")) == "upon a time"
    assert project.models.generate_content(model="models/gemini", contents="Once").text == "upon a time"
    assert alpha.models.generate_content(model="tunedModels/t-1", contents="Once").text == "upon a time"


def places(g, token):
    """Every place in which what came could have been kept: files, records, metrics, memory files."""
    needles = {token, urllib.parse.quote(token, safe=""), base64.b64encode(token.encode()).decode().rstrip("=")[:-2]}
    found = []
    for folder in (g.where, g.runtime):
        for path in folder.rglob("*"):
            if path.is_file() and any(n.encode() in path.read_bytes() for n in needles):
                found.append(path)
    texts = {"logs": json.dumps(g.logs()), "metrics": http_ask("GET", g.admin_url + "/metrics").text}
    return found + [name for name, text in texts.items() if any(n in text for n in needles)]


def play_a_key_in_the_url(g, vendor):
    """Gemini's clients may send it so. It opens the door and is seen nowhere: not upstream, not in errors, records, logs, files."""
    made = g.admin("POST", "keys", {"id": "in-url", "org": "play", "team": "play"})
    token = made.json["token"]
    body = {"contents": [{"role": "user", "parts": [{"text": "Once"}]}]}
    before = len(vendor.seen)

    def ask(path, method="POST", **headers):
        return http_ask(method, g.url + path, body if method == "POST" else None, headers)

    answers = [ask(f"/v1beta/models/gemini:generateContent?key={token}"), ask(f"/v1beta/models/gemini:streamGenerateContent?alt=sse&key={token}"),
               ask(f"/v1beta1/publishers/google/models/anthropic:generateContent?key={token}"), ask(f"/v1beta/models?key={token}", "GET"),
               ask("/v1beta/models/gemini:generateContent?key=" + "".join(f"%{ord(c):02X}" for c in token))]
    assert [a.status for a in answers] == [200] * 5, [a.text for a in answers]
    assert "candidates" in answers[0].json and "models" in answers[3].json
    refused = [ask(f"/v1beta/models/none:generateContent?key={token}"), ask(f"/v1beta/models/gemini:unknown?key={token}"), ask(f"/v1beta/no/such?key={token}"),
               ask(f"/v1/chat/completions?key={token}"), ask(f"/v1beta/models/{token}:generateContent?key={token}"),
               ask(f"/v1beta/models/gemini:generateContent?key={token}x"), ask(f"/v1beta/models/gemini:generateContent?key={token}", **{"x-goog-api-key": g.key})]
    assert [a.status for a in refused] == [404, 404, 404, 401, 404, 401, 401], [(a.status, a.text) for a in refused]
    vendor.broken = True
    refused.append(ask(f"/v1beta/models/gemini:generateContent?key={token}"))
    vendor.broken = False
    # a call that passes with its query: what is ours is taken out of it
    assert ask(f"/v1/embeddings?key={token}&x=1", Authorization=f"Bearer {token}").status in (200, 400)
    passed = http_ask("POST", g.url + f"/v1/moderations?key={token}&x=1", {"model": "openai", "input": "x"}, {"Authorization": f"Bearer {g.key}"})
    assert passed.status == 200 and vendor.seen[-1][1].endswith("/moderations?x=1"), vendor.seen[-1]
    for a in answers + refused + [passed]:
        assert token not in a.text and token not in json.dumps(a.headers), a.text
    for seen in vendor.seen[before:]:
        assert token.encode() not in json.dumps([seen[1], seen[2]]).encode() + seen[3] and "key=" not in seen[1], seen
    until(lambda: len([r for r in g.logs("--limit", "100") if r.get("key") == "in-url"]) >= 7, 10, "the records")
    assert places(g, token) == []
    assert pathlib.Path(g.log_path).exists()  # the log was among the files
