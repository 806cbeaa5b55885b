"""Histories that cross vendors: what one maker signed is refused by the next, so the gateway leaves it out there, also where bytes would pass; and free-text
tools of OpenAI work at vendors that know functions alone. The vendor here refuses what it did not sign, as the real ones do."""
import json

import anthropic
import openai
import pytest

from harness import http_ask, running, until
from vendors import Server, as_json

OWN = "own-signature=="
CALL = json.dumps({"input": "*** Begin Patch\n+\"ä\"\n"})


def all_of(value, *keys):
    """Every value of these members, at any depth."""
    if isinstance(value, dict):
        for k, v in value.items():
            if k in keys and isinstance(v, str):
                yield v
            yield from all_of(v, *keys)
    elif isinstance(value, list):
        for v in value:
            yield from all_of(v, *keys)


def events(*list_of):
    text = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in list_of)
    return 200, {"content-type": "text/event-stream"}, text.encode()


class Vendor(Server):
    """Anthropic, Bedrock and OpenAI (chat, responses) behind one port, each with its own rule about proofs; /thinker is a chat vendor that thinks aloud."""

    def handle(self, method, path, headers, body):
        asked = json.loads(body or b"{}")
        if path == "/thinker/v1/chat/completions":
            message = {"role": "assistant", "content": "Four.", "reasoning_content": "Two and two."}
            return as_json(200, {"id": "c", "object": "chat.completion", "created": 1, "model": "t", "choices": [
                {"index": 0, "message": message, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
        if path.startswith("/anthropic/"):
            return self.messages(asked)
        if path.endswith("/converse"):
            if any(s != OWN for s in all_of(asked, "signature")) or '"reasoningText": {"text": "Two and two."}' in json.dumps(asked):
                return as_json(400, {"__type": "ValidationException", "message": "Invalid signature in thinking block"})
            return as_json(200, {"output": {"message": {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": OWN}}}, {"text": "Yes."}]}}, "stopReason": "end_turn",
                "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}})
        if path.endswith("/responses"):
            if any(s != OWN for s in all_of(asked, "encrypted_content")):
                return as_json(400, {"error": {"message": "The encrypted content could not be verified.", "type": "invalid_request_error",
                                               "param": None, "code": "invalid_encrypted_content"}})
            return as_json(200, {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "o", "output": [
                {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
                    {"type": "output_text", "text": "Yes.", "annotations": []}]}], "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}})
        if any("thinking_blocks" in m for m in asked.get("messages", [])):
            return as_json(400, {"error": {"message": "Unknown parameter: 'messages[1].thinking_blocks'.", "type": "invalid_request_error",
                                           "param": "messages[1].thinking_blocks", "code": "unknown_parameter"}})
        return as_json(200, {"id": "c", "object": "chat.completion", "created": 1, "model": "o", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}]})

    def messages(self, asked):
        blocks = [b for m in asked["messages"] if isinstance(m["content"], list) for b in m["content"]]
        if any(b["type"] == "thinking" and b.get("signature") != OWN for b in blocks):
            return as_json(400, {"type": "error", "error": {"type": "invalid_request_error",
                                                            "message": "messages.1.content.0: Invalid `signature` in `thinking` block"}})
        usage = {"input_tokens": 3, "output_tokens": 1}
        if asked.get("stream"):
            cuts = [CALL[:4], CALL[4:17], CALL[17:]]
            return events({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "up", "content": [],
                                                                "usage": usage}},
                          {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "patch", "input": {}}},
                          *[{"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": c}} for c in cuts],
                          {"type": "content_block_stop", "index": 0},
                          {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": usage},
                          {"type": "message_stop"})
        if asked.get("tools"):
            said, why = [{"type": "tool_use", "id": "toolu_1", "name": "patch", "input": json.loads(CALL)}], "tool_use"
        else:
            said, why = [{"type": "thinking", "thinking": "hm", "signature": OWN}, {"type": "text", "text": "Yes."}], "end_turn"
        return as_json(200, {"id": "msg_1", "type": "message", "role": "assistant", "model": "up", "content": said, "stop_reason": why,
                             "stop_sequence": None, "usage": usage})


KINDS = {"thinker": ("openai-compatible", "/thinker/v1"), "claude": ("anthropic", "/anthropic/v1"), "converse": ("bedrock", ""),
         "chat": ("openai-compatible", "/v1")}


@pytest.fixture(scope="module")
def vendor():
    v = Vendor()
    yield v
    v.stop()


@pytest.fixture(scope="module")
def g(tmp_path_factory, vendor):
    with running(tmp_path_factory.mktemp("foreign")) as gw:
        for name, (kind, base) in KINDS.items():
            for path, obj in ((f"providers/{name}", {"type": kind, "base_url": vendor.url + base, "allow_private": ["127.0.0.1/32"]}),
                              (f"credentials/{name}", {"provider": name, "secret": "sk-foreign-key"}),
                              (f"deployments/{name}", {"provider": name, "credential": name, "upstream_model": "up", "probe": "none",
                                                       "activation": "immediate"}),
                              (f"models/{name}", {"targets": [{"deployment": name}]})):
                assert gw.admin("PUT", path, obj).status in (200, 201, 202)
        yield gw


def ask(g, path, body, **headers):
    return http_ask("POST", g.url + path, body, {"Authorization": f"Bearer {g.key}", **headers})


# For each client's dialect: the path, a body with a history, what the model said in a reply, and the vendor that passes bytes.
def messages(model, said=None):
    turns = [{"role": "user", "content": "2+2?"}] + ([{"role": "assistant", "content": said}, {"role": "user", "content": "Sure?"}] if said else [])
    return "/v1/messages", {"model": model, "max_tokens": 9, "messages": turns}


def converse(model, said=None):
    turns = [{"role": "user", "content": [{"text": "2+2?"}]}]
    turns += [{"role": "assistant", "content": said}, {"role": "user", "content": [{"text": "Sure?"}]}] if said else []
    return f"/model/{model}/converse", {"messages": turns}


def responses(model, said=None):
    return "/v1/responses", {"model": model, "input": [{"role": "user", "content": "2+2?"}] + (said + [{"role": "user", "content": "Sure?"}] if said else [])}


def chat(model, said=None):
    return "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": "2+2?"}]
                                    + ([said, {"role": "user", "content": "Sure?"}] if said else [])}


CLIENTS = {"messages": (messages, lambda a: a["content"], "thinker", "claude"), "converse": (converse, lambda a: a["output"]["message"]["content"], "thinker", "converse"),
           "responses": (responses, lambda a: a["output"], "claude", "chat"), "chat": (chat, lambda a: a["choices"][0]["message"], "claude", "chat")}


@pytest.mark.parametrize("client", CLIENTS)
def play_a_foreign_thought_stays_behind(g, vendor, client):
    make, said_in, maker, other = CLIENTS[client]
    first = ask(g, *make(maker))
    assert first.status == 200, first.text
    path, body = make(other, said_in(first.json))
    second = ask(g, path, body)
    assert second.status == 200, second.text
    assert "think" in second.headers["x-llmgw-dropped"] or "reasoning" in second.headers["x-llmgw-dropped"] or "encrypted" in second.headers["x-llmgw-dropped"]
    sent = json.loads(vendor.seen[-1][3])
    assert "llmgw." not in json.dumps(sent) and "Sure?" in json.dumps(sent)
    until(lambda: [r for r in g.logs() if r.get("dropped") == second.headers["x-llmgw-dropped"]], 10, "a record with dropped")
    strict = ask(g, path, body, **{"x-llmgw-strict": "true"})
    assert strict.status == 400, strict.text
    # and back at its maker it is not missed
    third = ask(g, *make(maker, said_in(first.json)))
    assert third.status == 200, third.text


@pytest.mark.parametrize("client", ["messages", "converse"])
def play_its_own_passes_to_the_byte(g, vendor, client):
    make, said_in, _, other = CLIENTS[client]
    first = ask(g, *make(other))
    path, body = make(other, said_in(first.json))
    text = json.dumps(body, indent=1)
    a = http_ask("POST", g.url + path, text, {"Authorization": f"Bearer {g.key}", "content-type": "application/json"})
    assert a.status == 200 and "x-llmgw-dropped" not in a.headers, a.text
    assert vendor.seen[-1][3].decode() == text.replace(json.dumps({"model": other})[1:-1], '"model": "up"')


PATCH = {"type": "custom", "name": "patch", "description": "Applies a patch."}


def play_custom_tools_of_responses(g, vendor):
    client = openai.OpenAI(base_url=g.url + "/v1", api_key=g.key, max_retries=0)
    whole = client.responses.create(model="claude", input="Patch it.", tools=[PATCH], store=False)
    call = whole.output[-1]
    assert call.type == "custom_tool_call" and call.input == json.loads(CALL)["input"] and call.call_id == "toolu_1"
    tool = json.loads(vendor.seen[-1][3])["tools"][0]
    assert tool["name"] == "patch" and tool["input_schema"]["required"] == ["input"]
    pieces, done = [], None
    for e in client.responses.create(model="claude", input="Patch it.", tools=[PATCH], store=False, stream=True):
        if e.type == "response.custom_tool_call_input.delta":
            pieces.append(e.delta)
        elif e.type == "response.custom_tool_call_input.done":
            done = e.input
        elif e.type == "response.completed":
            assert e.response.output[-1].input == done
    assert "".join(pieces) == done == json.loads(CALL)["input"] and len(pieces) > 1
    # its call goes back as the model made it
    client.responses.create(model="claude", store=False, tools=[PATCH], input=[
        {"role": "user", "content": "Patch it."}, call.model_dump(exclude_none=True), {"type": "custom_tool_call_output", "call_id": "toolu_1", "output": "ok"}])
    said = json.loads(vendor.seen[-1][3])["messages"]
    assert said[1]["content"][0]["input"] == json.loads(CALL) and said[2]["content"][0]["tool_use_id"] == "toolu_1"


def play_custom_tools_of_chat(g):
    client = openai.OpenAI(base_url=g.url + "/v1", api_key=g.key, max_retries=0)
    tool = {"type": "custom", "custom": {k: v for k, v in PATCH.items() if k != "type"}}
    turn = [{"role": "user", "content": "Patch it."}]
    whole = client.chat.completions.create(model="claude", messages=turn, tools=[tool])
    call = whole.choices[0].message.tool_calls[0]
    assert call.type == "custom" and call.custom.input == json.loads(CALL)["input"]
    text = ""
    for chunk in client.chat.completions.create(model="claude", messages=turn, tools=[tool], stream=True):
        for c in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            text += (c.model_extra.get("custom") or {}).get("input") or ""
    assert text == json.loads(CALL)["input"]


def play_an_sdk_carries_the_marks(g):
    """What the Anthropic SDK parsed of one vendor's thought it sends to Anthropic itself."""
    client = anthropic.Anthropic(base_url=g.url, api_key=g.key, max_retries=0)
    turn = {"role": "user", "content": "2+2?"}
    first = client.messages.create(model="thinker", max_tokens=9, messages=[turn])
    assert [b.type for b in first.content] == ["thinking", "text"] and first.content[0].signature
    second = client.messages.create(model="claude", max_tokens=9, messages=[turn, {"role": "assistant", "content": first.content}, turn])
    assert second.content[-1].text == "Yes."
