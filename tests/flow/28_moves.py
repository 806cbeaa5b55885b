"""A model whose deployments speak different dialects: who cannot carry a request is passed over, who carries all of it goes first, strict asks for all or
nothing; nothing of that is an attempt."""
import json

import pytest

from harness import Gateway, Mock, http_ask, until
from vendors import Server, as_json

HELLO = [{"role": "user", "content": "hello"}]
TOOL_USE_FAILED = {"error": {"message": "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.",
                             "type": "invalid_request_error", "code": "tool_use_failed", "failed_generation": "<function=x{"}}
REPLIES = {
    "o": {"id": "c", "object": "chat.completion", "created": 1, "model": "up-1", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
          "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "of o"}}]},
    "a": {"id": "m", "type": "message", "role": "assistant", "model": "up-1", "content": [{"type": "text", "text": "of a"}], "stop_reason": "end_turn",
          "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}},
    "g": {"candidates": [{"content": {"role": "model", "parts": [{"text": "of g"}]}, "finishReason": "STOP", "index": 0}], "modelVersion": "up-1",
          "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}},
    "c": {"id": "c", "finish_reason": "COMPLETE", "message": {"role": "assistant", "content": [{"type": "text", "text": "of c"}]}},
}
TYPES = {"o": "openai-compatible", "a": "anthropic", "g": "gemini", "c": "cohere"}


class Vendor(Server):
    """One provider; `faults` are what it answers to its next calls instead, whoever asks."""

    def __init__(self, letter):
        super().__init__()
        self.letter, self.faults = letter, []

    def handle(self, method, path, headers, body):
        with self.lock:
            fault = self.faults.pop(0) if self.faults else None
        if fault:
            return fault
        if path.endswith("/moderations"):
            return as_json(200, {"id": "modr", "model": "up-1", "results": []})
        if path.endswith("/count_tokens"):
            return as_json(200, {"input_tokens": 41})
        return as_json(200, REPLIES[self.letter])


@pytest.fixture(scope="module")
def vendors():
    all_of_them = {letter: Vendor(letter) for letter in TYPES}
    yield all_of_them
    for v in all_of_them.values():
        v.stop()


@pytest.fixture(scope="module")
def g(tmp_path_factory, vendors):
    where = tmp_path_factory.mktemp("moves")
    mock = Mock(where)
    mock.start()
    gw = Gateway(where, mock=mock)
    try:
        gw.start()
        for letter, type_ in TYPES.items():
            put(gw, f"providers/{letter}", {"type": type_, "base_url": vendors[letter].url + "/v1", "allow_private": ["127.0.0.1/32"]})
            put(gw, f"credentials/{letter}", {"provider": letter, "secret": f"sk-{letter}"})
            put(gw, f"deployments/{letter}", {"provider": letter, "credential": letter, "upstream_model": "up-1", "probe": "none", "activation": "immediate"})
        for letters in ("ao", "aco", "ac", "oa", "a", "go", "ca", "o"):
            put(gw, f"models/{letters}", {"targets": [{"deployment": d, "priority": i} for i, d in enumerate(letters)]})
        put(gw, "models/equal", {"targets": [{"deployment": "a", "weight": 900}, {"deployment": "o", "weight": 1}, {"deployment": "g", "priority": 1}]})
        yield gw
    finally:
        gw.stop()
        mock.stop()


@pytest.fixture(autouse=True)
def quiet(vendors):
    for v in vendors.values():
        v.seen.clear()
        v.faults.clear()


def put(g, path, obj):
    a = g.admin("PUT", path, obj)
    assert a.status in (200, 201, 202), a.text


def ask(g, model, path="/v1/chat/completions", key=None, strict=None, **more):
    headers = {"Authorization": f"Bearer {key or g.key}"} | ({"x-llmgw-strict": strict} if strict else {})
    return http_ask("POST", g.url + path, {"model": model, "messages": HELLO, **more}, headers)


def record_of(g, answer):
    return until(lambda: next((r for r in g.logs("--limit", "20") if r["request_id"] == answer.headers["x-request-id"]), None), 10, "the record")


def calls(vendors):
    return {letter: len(v.seen) for letter, v in vendors.items() if v.seen}


# --- refused ---
def play_who_cannot_is_passed_over(g, vendors):
    """Two choices: Anthropic and Cohere have one. No attempt, no retry, and the record tells."""
    a = ask(g, "aco", n=2)
    assert a.status == 200 and a.headers["x-llmgw-deployment"] == "o" and a.headers["x-llmgw-attempts"] == "1", a.text
    assert calls(vendors) == {"o": 1} and json.loads(vendors["o"].seen[0][3])["n"] == 2
    record = record_of(g, a)
    log = json.loads(record["attempt_log"]) if isinstance(record["attempt_log"], str) else record["attempt_log"]
    assert record["attempts"] == 1 and [(r["deployment"], r.get("skipped"), r.get("param")) for r in log] == [("a", "INVALID", "n"), ("c", "INVALID", "n")], log


def play_the_last_one_says_why(g, vendors):
    a = ask(g, "ac", n=2)
    error = a.json["error"]
    assert a.status == 400 and error["param"] == "n" and "deployment c, provider type cohere" in error["message"], a.text
    assert calls(vendors) == {} and "x-llmgw-attempts" not in a.headers
    record = record_of(g, a)
    assert record.get("attempts", 0) == 0 and record["error"] == "INVALID", record
    a = ask(g, "a", n=2)
    assert a.status == 400 and "deployment" not in a.json["error"]["message"], a.text


def play_what_a_provider_said_is_worth_more(g, vendors):
    """Who can is down, who is up cannot: the client learns that it may try again, not that it asked for something impossible."""
    vendors["o"].faults = [as_json(503, {"error": {"message": "down"}})]
    a = ask(g, "oa", n=2)
    assert a.status == 503 and a.json["error"]["code"] == "overloaded" and "retry-after" in a.headers, a.text
    assert a.headers["x-llmgw-deployment"] == "o" and a.headers["x-llmgw-attempts"] == "1" and calls(vendors) == {"o": 1}


def play_audio_finds_who_hears(g, vendors):
    content = [{"type": "text", "text": "hear"}, {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}]
    a = ask(g, "ao", messages=[{"role": "user", "content": content}])
    assert a.status == 200 and a.headers["x-llmgw-deployment"] == "o", a.text


def play_calls_of_one_vendor_alone(g, vendors):
    """What is not translated goes to who has it."""
    a = ask(g, "ao", "/v1/moderations", input="x")
    assert a.status == 200 and calls(vendors) == {"o": 1}, a.text
    a = ask(g, "a", "/v1/moderations", input="x")
    assert a.status == 400 and "no moderations" in a.json["error"]["message"] and calls(vendors) == {"o": 1}, a.text


def play_who_counts_is_asked_to_count(g, vendors):
    a = ask(g, "ca", "/v1/messages/count_tokens")
    assert a.status == 200 and a.json == {"input_tokens": 41} and calls(vendors) == {"a": 1}, a.text


# --- what is left out ---
def play_who_carries_all_goes_first(g, vendors):
    """Of equals. Weights are for what all of them carry."""
    for _ in range(10):
        a = ask(g, "equal", seed=4)
        assert a.status == 200 and a.headers["x-llmgw-deployment"] == "o" and "x-llmgw-dropped" not in a.headers, a.text
    assert calls(vendors) == {"o": 10}
    until(lambda: ask(g, "equal").headers["x-llmgw-deployment"] == "a", 20, "the other one to be asked")


def play_who_leaves_out_is_there_when_they_fail(g, vendors):
    """Before the deployments of the next priority."""
    vendors["o"].faults = [as_json(503, {"error": {"message": "down"}})]
    a = ask(g, "equal", seed=4)
    assert a.status == 200 and a.headers["x-llmgw-deployment"] == "a" and a.headers["x-llmgw-dropped"] == "seed", a.text
    assert a.headers["x-llmgw-attempts"] == "2" and calls(vendors) == {"o": 1, "a": 1}


def play_priorities_are_the_operators(g, vendors):
    a = ask(g, "ao", seed=4)
    assert a.status == 200 and a.headers["x-llmgw-deployment"] == "a" and a.headers["x-llmgw-dropped"] == "seed", a.text
    vendors["a"].faults = [as_json(529, {"type": "error", "error": {"type": "overloaded_error", "message": "x"}})]
    a = ask(g, "ao", seed=4)
    assert a.headers["x-llmgw-deployment"] == "o" and "x-llmgw-dropped" not in a.headers
    assert "dropped" not in record_of(g, a)  # of the one that answered


# --- strict ---
def play_strict_moves_on(g, vendors):
    a = ask(g, "ao", seed=4, strict="true")
    assert a.status == 200 and a.headers["x-llmgw-deployment"] == "o" and calls(vendors) == {"o": 1}, a.text
    a = ask(g, "a", seed=4, strict="true")
    assert a.status == 400 and "seed" in a.json["error"]["message"] and calls(vendors) == {"o": 1}, a.text


@pytest.mark.parametrize("path", ["settings/default", "orgs/play", "teams/play", "models/ao", "models/ao-alias"])
def play_strict_by_configuration(g, vendors, path):
    """Wherever an operator looks for it; a header does not make it looser."""
    put(g, "models/ao-alias", {"alias_of": "ao"})
    a = g.admin("PATCH", path, {"strict": True})
    assert a.status in (200, 202), a.text
    try:
        a = ask(g, "ao-alias", seed=4, strict="false")
        assert a.status == 200 and a.headers["x-llmgw-deployment"] == "o" and calls(vendors) == {"o": 1}, a.text
    finally:
        g.admin("PATCH", path, {"strict": False})
    assert ask(g, "ao-alias", seed=4).headers["x-llmgw-dropped"] == "seed"


def play_a_strict_key(g, vendors):
    a = g.admin("POST", "keys", {"id": "strict-key", "org": "play", "team": "play", "strict": True})
    assert a.status in (200, 201, 202), a.text
    refused = ask(g, "a", seed=4, key=a.json["token"])
    assert refused.status == 400 and "this key" in refused.json["error"]["message"] and refused.json["error"]["param"] == "seed", refused.text
    assert calls(vendors) == {}


# --- questions that take several calls ---
class Titan(Server):
    """One text a call. `old` is a key that is refused for the text `second`."""

    def handle(self, method, path, headers, body):
        doc = json.loads(body)
        if path.endswith(":batchEmbedContents"):
            return as_json(200, {"embeddings": [{"values": [9, 0, 0]} for _ in doc["requests"]]})
        text = doc["inputText"]
        if text == "fail it":
            return as_json(400, {"message": "Malformed input request"})
        if text == "break down":
            return as_json(500, {"message": "oh"})
        if text == "second" and headers["authorization"] == "Bearer sk-old":
            return as_json(403, {"__type": "UnrecognizedClientException", "message": "The security token included in the request is invalid."})
        return as_json(200, {"embedding": [len(text), 0.5, 0], "inputTextTokenCount": 3})

    def texts(self):
        return [json.loads(s[3])["inputText"] if s[1].endswith("/invoke") else "all" for s in self.seen]


@pytest.fixture(scope="module")
def titan(g):
    v = Titan()
    put(g, "providers/t", {"type": "bedrock", "base_url": v.url, "allow_private": ["127.0.0.1/32"]})
    put(g, "credentials/t", {"provider": "t", "secret": "sk-old", "next_secret": "sk-new"})
    put(g, "deployments/t", {"provider": "t", "credential": "t", "upstream_model": "amazon.titan-embed-text-v2:0", "probe": "none", "activation": "immediate"})
    put(g, "providers/tg", {"type": "gemini", "base_url": v.url + "/v1beta", "allow_private": ["127.0.0.1/32"]})
    put(g, "credentials/tg", {"provider": "tg", "secret": "sk-g"})
    put(g, "deployments/tg", {"provider": "tg", "credential": "tg", "upstream_model": "up-1", "probe": "none", "activation": "immediate"})
    put(g, "models/t", {"targets": [{"deployment": "t"}]})
    put(g, "models/t-tg", {"targets": [{"deployment": "t"}, {"deployment": "tg", "priority": 1}]})
    yield v
    v.stop()


def embed(g, model, *texts):
    return http_ask("POST", g.url + "/v1/embeddings", {"model": model, "input": texts}, {"Authorization": f"Bearer {g.key}"})


def play_each_call_is_an_attempt(g, titan):
    titan.seen.clear()
    a = embed(g, "t", "a", "bb", "ccc")
    assert a.status == 200 and a.headers["x-llmgw-attempts"] == "3" and [e["embedding"][0] for e in a.json["data"]] == [1, 2, 3], a.text
    record = record_of(g, a)
    assert record["attempts"] == 3 and record["tokens_input"] == 9 and str(record["attempt_log"]).count("deployment") == 3, record
    assert not record.get("is_retry_hidden"), record


def play_a_part_that_fails_ends_the_rest(g, titan):
    titan.seen.clear()
    a = embed(g, "t", "a", "fail it", "c", "d")
    assert a.status == 400 and "Texts 2 to 2 of 4" in a.json["error"]["message"] and "Malformed input" in a.json["error"]["message"], a.text
    assert titan.texts() == ["a", "fail it"]
    record = record_of(g, a)
    assert record["attempts"] == 2 and record["tokens_input"] == 3 and record["error"] == "UP_BAD_REQUEST", record  # the first one is paid for


def play_a_part_is_made_again_alone(g, titan):
    """At the same deployment, with the other key of a rotation: what is there is not bought twice."""
    titan.seen.clear()
    a = embed(g, "t", "a", "second", "c")
    assert a.status == 200 and titan.texts() == ["a", "second", "second", "c"] and a.headers["x-llmgw-attempts"] == "4", a.text
    assert [e["embedding"][0] for e in a.json["data"]] == [1, 6, 1] and a.json["usage"]["prompt_tokens"] == 9


def play_vectors_of_two_models_are_not_mixed(g, titan):
    titan.seen.clear()
    a = embed(g, "t-tg", "a", "break down", "c")
    assert a.status == 200 and a.headers["x-llmgw-deployment"] == "tg" and titan.texts() == ["a", "break down", "all"], a.text
    assert [e["embedding"] for e in a.json["data"]] == [[9, 0, 0]] * 3
    assert record_of(g, a)["attempts"] == 3


# --- what a model wrote by chance ---
def play_a_tool_call_that_failed_is_tried_again(g, vendors):
    """Once at the same deployment, then elsewhere; it is no fault of the deployment."""
    vendors["o"].faults = [as_json(400, TOOL_USE_FAILED)]
    a = ask(g, "oa")
    assert a.status == 200 and a.headers["x-llmgw-deployment"] == "o" and calls(vendors) == {"o": 2}, a.text
    vendors["o"].faults = [as_json(400, TOOL_USE_FAILED)] * 2
    a = ask(g, "oa")
    assert a.status == 200 and a.headers["x-llmgw-deployment"] == "a" and a.headers["x-llmgw-attempts"] == "3", a.text
    vendors["o"].faults = [as_json(400, TOOL_USE_FAILED)] * 3
    a = ask(g, "o")
    assert a.status == 400 and a.json["error"]["code"] == "tool_use_failed" and a.headers["x-llmgw-attempts"] == "2", a.text


def play_a_tool_call_that_failed_in_a_stream(g, vendors):
    """As Groq tells it: a stream that begins with an error."""
    event = {"error": TOOL_USE_FAILED["error"] | {"status_code": 400}}
    broken = (200, {"content-type": "text/event-stream"}, f"event: error\ndata: {json.dumps(event)}\n\n".encode())
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up-1", "choices": [{"index": 0, "delta": {"content": "well"}, "finish_reason": "stop"}]}
    vendors["o"].faults = [broken, (200, {"content-type": "text/event-stream"}, f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode())]
    a = ask(g, "o", stream=True)
    assert a.status == 200 and "well" in a.text and "tool_use_failed" not in a.text and calls(vendors) == {"o": 2}, a.text
