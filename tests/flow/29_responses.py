"""What clients of /v1/responses are told where the provider speaks chat: the request's parameters, log probabilities, and how a stream ends that
breaks."""
import http.client
import json

import pytest

import vendors
from harness import http_ask, running

TOOLS = [{"type": "function", "name": "look", "description": "d", "parameters": {"type": "object", "properties": {}}, "strict": False}]
ASK = {"model": "chat", "input": "hello", "instructions": "Be kind.", "tools": TOOLS, "temperature": 0.5, "include": ["message.output_text.logprobs"],
       "top_logprobs": 1, "metadata": {"who": "me"}}
PROBS = {"content": [{"token": "Hi", "logprob": -0.25, "bytes": [72, 105], "top_logprobs": [{"token": "Hi", "logprob": -0.25, "bytes": [72, 105]}]}],
         "refusal": None}
HEAD = {"id": "chatcmpl-1", "created": 1, "model": "up"}


def chunk(delta, finish=None, logprobs=None):
    return {**HEAD, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}]}


class Chat(vendors.Server):
    """Ends its streams as the user's words say: well, without an end, or with an error."""

    def handle(self, method, path, headers, body):
        doc = json.loads(body)
        words = doc["messages"][-1]["content"]
        if not doc.get("stream"):
            return vendors.as_json(200, {**HEAD, "object": "chat.completion", "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
                                         "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "logprobs": PROBS,
                                                      "finish_reason": "stop"}]})
        events = [chunk({"role": "assistant", "content": ""}), chunk({"content": "Hi"}, logprobs=PROBS)]
        if words == "hello":
            events.append(chunk({}, "stop"))
        if words == "error":
            events.append({"error": {"message": "busy", "type": "server_error", "code": "overloaded"}})
        text = "".join(f"data: {json.dumps(e)}\n\n" for e in events) + ("data: [DONE]\n\n" if words == "hello" else "")
        return 200, {"content-type": "text/event-stream"}, text.encode()


@pytest.fixture(scope="module")
def g(tmp_path_factory):
    chat = Chat()
    try:
        with running(tmp_path_factory.mktemp("responses")) as gw:
            gw.ctl("apply", "-f", "-", stdin=f"""
{{kind: provider, id: chat, type: vllm, base_url: "{chat.url}/v1", allow_private: [127.0.0.1/32]}}
---
{{kind: credential, id: chat, provider: chat, secret: sk-x}}
---
{{kind: deployment, id: chat, provider: chat, credential: chat, upstream_model: up, probe: none, activation: immediate}}
---
{{kind: model, id: chat, targets: [{{deployment: chat}}]}}
""")
            yield gw
    finally:
        chat.stop()


def ask(g, **more):
    a = http_ask("POST", g.url + "/v1/responses", {**ASK, **more}, {"Authorization": f"Bearer {g.key}"})
    assert a.status == 200, a.text
    return a.json


def events_of(g, **more):
    try:
        text = http_ask("POST", g.url + "/v1/responses", {**ASK, "stream": True, **more}, {"Authorization": f"Bearer {g.key}"}).text
    except http.client.IncompleteRead as e:  # a stream that broke has no last chunk
        text = e.partial.decode()
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ") and line != "data: [DONE]"]


def told_again(response):
    for name in ("instructions", "tools", "temperature", "metadata", "top_logprobs"):
        assert response[name] == ASK[name], name
    assert response["model"] == "chat"


def play_a_reply_tells_the_request_again(g):
    told_again(ask(g))


def play_each_response_of_a_stream_tells_it_again(g):
    events = events_of(g)
    assert [e["sequence_number"] for e in events] == list(range(len(events)))
    whole = [e for e in events if "response" in e]
    assert [e["type"] for e in whole] == ["response.created", "response.in_progress", "response.completed"]
    for e in whole:
        told_again(e["response"])


def play_log_probabilities(g):
    part = ask(g)["output"][0]["content"][0]
    assert part["text"] == "Hi" and part["logprobs"][0]["token"] == "Hi" and part["logprobs"][0]["logprob"] == -0.25
    assert part["logprobs"][0]["top_logprobs"][0]["logprob"] == -0.25
    events = events_of(g)
    delta, = [e for e in events if e["type"] == "response.output_text.delta"]
    done, = [e for e in events if e["type"] == "response.output_text.done"]
    assert [p["token"] for p in delta["logprobs"]] == ["Hi"] == [p["token"] for p in done["logprobs"]]
    assert events[-1]["response"]["output"][0]["content"][0]["logprobs"][0]["logprob"] == -0.25


@pytest.mark.parametrize("how", ["error", "cut"])
def play_a_stream_that_breaks(g, how):
    events = events_of(g, input=how)
    assert [e["sequence_number"] for e in events] == list(range(len(events)))
    assert [e["type"] for e in events[-2:]] == ["error", "response.failed"]
    assert [e["delta"] for e in events if e["type"] == "response.output_text.delta"] == ["Hi"]
    failed = events[-1]["response"]
    assert failed["status"] == "failed" and failed["id"] == events[0]["response"]["id"] and failed["error"]["code"] and failed["error"]["message"]
    assert events[-2]["error"]["message"] == failed["error"]["message"], events[-2]
