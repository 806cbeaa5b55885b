"""Every row of schemas/providers.def is asked once whole and once as a stream, at a stand-in that takes what the vendor takes and answers as the vendor does
(vendor_rows.py). A row without a stand-in fails."""
import binascii
import json
import re
import struct

import pytest

from harness import ROOT, Gateway, http_ask
from vendor_rows import IN, OUT, PIECES, ROWS, TEXT, NoChat
from vendors import Server, as_json

NAMES = re.findall(r"^GW_PROVIDER\(([\w-]+),", (ROOT / "schemas/providers.def").read_text(), re.M)
CHATS = [n for n in NAMES if not isinstance(ROWS.get(n), NoChat)]
KEY = "sk-vendor-0123456789"


def frame(kind, payload):
    """One message of an event stream of AWS."""
    def header(name, value):
        return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()

    headers = header(":event-type", kind) + header(":content-type", "application/json") + header(":message-type", "event")
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    data = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + body
    return data + struct.pack(">I", binascii.crc32(data))


def converse_stream():
    return b"".join([frame("messageStart", {"role": "assistant"}), *(frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": p}}) for p in PIECES),
                     frame("contentBlockStop", {"contentBlockIndex": 0}), frame("messageStop", {"stopReason": "end_turn"}),
                     frame("metadata", {"usage": {"inputTokens": IN, "outputTokens": OUT, "totalTokens": IN + OUT}, "metrics": {"latencyMs": 5}})])


class Vendor(Server):
    def __init__(self, row):
        self.row, self.wrong, self.asked = row, [], []
        super().__init__()

    def handle(self, method, path, headers, body):
        ask = json.loads(body) if body else {}
        is_stream = ask.get("stream", False) is True or "stream" in path.lower()
        fault = (405, f"method {method}") if method != "POST" else self.row.fault(path, headers, ask, is_stream)
        if fault:
            self.wrong.append(fault)
            return as_json(fault[0], {"error": {"message": f"stand-in: {fault[1]}", "type": "invalid_request_error"}})
        self.asked.append(ask)
        if not is_stream:
            return as_json(200, self.row.reply)
        if self.row.stream is None:
            return 200, {"content-type": "application/vnd.amazon.eventstream"}, converse_stream()
        return 200, {"content-type": "text/event-stream"}, self.row.stream(ask).encode()


def member(ask, path):
    for name in path.split("."):
        ask = ask.get(name) if isinstance(ask, dict) else None
    return ask


@pytest.fixture(scope="module")
def g(tmp_path_factory):
    g = Gateway(tmp_path_factory.mktemp("vendors"))
    g.start()
    g.ctl("apply", "-f", "-", stdin=json.dumps([{"kind": "org", "id": "play"}, {"kind": "team", "id": "play", "org": "play"}]))
    g.key = json.loads(g.ctl("key", "create", "--org", "play", "--team", "play", "-o", "json"))["token"]
    g.vendors, objects = {}, []
    for name in [n for n in CHATS if n in ROWS]:
        v = g.vendors[name] = Vendor(ROWS[name])
        objects += [{"kind": "provider", "id": f"p-{name}", "type": name, "base_url": v.url + v.row.base, "allow_private": ["127.0.0.1/32"], **v.row.config},
                    {"kind": "credential", "id": f"c-{name}", "provider": f"p-{name}", "secret": KEY},
                    {"kind": "deployment", "id": f"d-{name}", "provider": f"p-{name}", "credential": f"c-{name}", "upstream_model": "up-model", "probe": "none",
                     "activation": "immediate"},
                    {"kind": "model", "id": f"m-{name}", "targets": [{"deployment": f"d-{name}"}]}]
    g.ctl("apply", "-f", "-", stdin=json.dumps(objects))
    yield g
    g.finish()
    for v in g.vendors.values():
        v.stop()


def play_every_row_has_a_stand_in():
    assert set(NAMES) == set(ROWS), set(NAMES) ^ set(ROWS)


def play_the_document_says_what_each_rests_on():
    page = (ROOT / "docs/PROVIDERS.md").read_text()
    words = {"recordings": "| recorded traffic |", "documentation": "| the vendor's documentation or source alone |", "neither": "| neither: whatever is there |"}
    for name, row in ROWS.items():
        line = next(line for line in page.splitlines() if line.startswith(words[row.checked]))
        assert f"`{name}`" in line, (name, row.checked)


def ask(g, name, **more):
    """What clients say, also what some vendors cannot take."""
    body = {"model": f"m-{name}", "max_completion_tokens": 17, "seed": 5, "temperature": 0.5, "logprobs": True, "user": "u-1",
            "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi", "name": "ann"}], **more}
    return http_ask("POST", g.url + "/v1/chat/completions", body, {"Authorization": f"Bearer {g.key}"})


def asked_well(v, name):
    sent = v.asked[-1]
    if v.row.limit:
        assert member(sent, v.row.limit) == 17, sent
        for other in {"max_tokens", "max_completion_tokens", "max_output_tokens"} - {v.row.limit}:
            assert other not in sent, sent
    else:
        assert sent.get("max_tokens", sent.get("max_completion_tokens")) == 17, sent
    if v.row.seed:
        assert member(sent, v.row.seed) == 5, sent
    text = json.dumps(sent)
    assert "Be short." in text and "Hi" in text and f"m-{name}" not in text
    if name in ("mistral", "groq"):
        assert "ann" not in text, "names are refused there"
    assert sent.get("model", "up-model") == "up-model"


@pytest.mark.parametrize("name", CHATS)
def play_a_chat(g, name):
    v = g.vendors[name]
    a = ask(g, name)
    assert a.status == 200, (a.text, v.wrong)
    choice = a.json["choices"][0]
    assert choice["message"]["content"] == TEXT and choice["finish_reason"] == "stop" and choice["message"]["role"] == "assistant", a.text
    assert (a.json["usage"]["prompt_tokens"], a.json["usage"]["completion_tokens"], a.json["usage"]["total_tokens"]) == (IN, OUT, IN + OUT), a.text
    asked_well(v, name)
    assert not v.wrong, v.wrong


@pytest.mark.parametrize("name", CHATS)
def play_a_stream(g, name):
    v = g.vendors[name]
    a = ask(g, name, stream=True, stream_options={"include_usage": True})
    assert a.status == 200, (a.text, v.wrong)
    data = [line[5:].strip() for line in a.text.replace("\r\n", "\n").split("\n") if line.startswith("data:")]
    assert data[-1] == "[DONE]", a.text
    chunks = [json.loads(d) for d in data[:-1]]
    text = "".join(c["delta"].get("content") or "" for k in chunks for c in k["choices"])
    assert text == TEXT, a.text
    assert [c["finish_reason"] for k in chunks for c in k["choices"] if c.get("finish_reason")][:1] == ["stop"], a.text
    usage = [k["usage"] for k in chunks if k.get("usage")][-1]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (IN, OUT), usage
    asked_well(v, name)
    assert not v.wrong, v.wrong


@pytest.mark.parametrize("name", CHATS)
def play_the_smallest_call(g, name):
    """:test of the deployment, which asks by the same row."""
    v = g.vendors[name]
    t = g.admin("POST", f"deployments/d-{name}:test").json
    assert t["ok"] is True, (t, v.wrong)
    assert not v.wrong, v.wrong
