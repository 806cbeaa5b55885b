"""The endpoints beside chat: each answered, recorded and billed; bodies that are streamed with bounded memory, refused early, cut, chunked;
endpoints without a model; raw relay for those who may."""
import contextlib
import hashlib
import http.client
import json
import pathlib
import re
import socket
import threading
import time

import pytest

from client import last_request, next_fault
from harness import ROOT, http_ask, until
from trail import settled

MiB = 1 << 20


def setup(g):
    g.ctl("apply", "-f", "-", stdin="""\
kind: deployment
id: priced
provider: mock
credential: mock
upstream_model: up-name
input_price: 1000000
output_price: 2000000
unit_price: 40000000000
---
kind: model
id: api
targets: [{deployment: priced}]
""")


def ask(g, method, path, body=None, key=None, **headers):
    h = {"Authorization": f"Bearer {key or g.key}"}
    h.update({k.replace("_", "-"): v for k, v in headers.items()})
    return http_ask(method, g.url + path, body, h, timeout=60)


def record(g, answer):
    """The END record of this answer."""
    rid = answer.headers["x-request-id"]
    return until(lambda: next((r for r in g.logs("--filter", f"request_id={rid}") if "status" in r), None), 10, "the record")


def multipart(fields, boundary="b0undary"):
    """fields: (name, filename or None, bytes)"""
    out = b""
    for name, filename, value in fields:
        out += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        out += f'; filename="{filename}"\r\nContent-Type: application/octet-stream\r\n\r\n'.encode() if filename else b"\r\n\r\n"
        out += value + b"\r\n"
    return out + f"--{boundary}--\r\n".encode()


FORM = "multipart/form-data; boundary=b0undary"


def play_the_document_names_every_endpoint():
    text = (ROOT / "docs/ENDPOINTS.md").read_text()
    paths = re.findall(r'^GW_ENDPOINT\(\w+, +"[^"]+", +"\w+", +"([^"]+)"', (ROOT / "schemas/endpoints.def").read_text(), re.M)
    assert len(paths) > 34
    for p in paths:
        assert p.replace("/v1/models/{path}", "/v1/models/{id}").replace("/providers/{path}", "/providers/{name}/{path}") in text, p


# --- JSON ---
@pytest.mark.parametrize("path,body,operation,tokens,units", [
    ("/v1/embeddings", {"input": "a"}, "embeddings", (11, 0), None),
    ("/v1/completions", {"prompt": "a"}, "completions", (5, 3), None),
    ("/v1/moderations", {"input": "a"}, "moderations", (0, 0), None),
    ("/v1/responses", {"input": "a"}, "responses.create", (11, 3), None),
    ("/v1/images/generations", {"prompt": "a", "n": 2}, "images.generations", (0, 0), (2, "image")),
    ("/v1/audio/speech", {"input": "hello", "voice": "alloy"}, "audio.speech", (0, 0), (5, "character")),
])
def play_json_in(shared, path, body, operation, tokens, units):
    a = ask(shared, "POST", path, {"model": "api", **body})
    assert a.status == 200, a.text
    head, sent = last_request(shared.mock)
    assert json.loads(sent) == {"model": "up-name", **body}, "only the model's name is another"
    assert b"sk-mock-credential" in head and shared.key.encode() not in head
    r = record(shared, a)
    assert (r["endpoint"], r["status"], r["model"], r["deployment"]) == (operation, 200, "api", "priced")
    assert (r.get("tokens_input", 0), r.get("tokens_output", 0)) == tokens
    if units:
        assert (r["units"], r["unit"]) == units
        assert r["cost_nanousd"] == units[0] * 40000000
    elif sum(tokens):
        assert r["cost_nanousd"] == tokens[0] * 1000 + tokens[1] * 2000
    assert r["bytes_in"] > 20 and r["bytes_out"] == len(a.body)


def play_cached_and_reasoning_tokens_of_responses(shared):
    r = record(shared, ask(shared, "POST", "/v1/responses", {"model": "api", "input": "x"}))
    assert (r["tokens_cached"], r["tokens_reasoning"], r["finish_reason"]) == (4, 1, "completed")


def play_image_tokens_are_billed_as_tokens(shared):
    a = ask(shared, "POST", "/v1/images/generations", {"model": "api", "prompt": "like gpt-image"})
    r = record(shared, a)
    assert (r["tokens_input"], r["tokens_output"], r["cost_nanousd"]) == (20, 100, 20 * 1000 + 100 * 2000)


def play_speech_is_relayed_byte_for_byte(shared):
    a = ask(shared, "POST", "/v1/audio/speech", {"model": "api", "input": "hello", "voice": "x"})
    want = b"".join(bytes((k * 31 + i) & 255 for i in range(4000)) for k in range(5))
    assert a.headers["content-type"] == "audio/mpeg" and a.body == want


def play_model_that_may_be_left_out(shared):
    shared.ctl("apply", "-f", "-", stdin="kind: model\nid: mod\nname: omni-moderation-latest\ntargets: [{deployment: priced}]\n")
    a = ask(shared, "POST", "/v1/moderations", {"input": "a"})
    assert a.status == 200, a.text
    assert json.loads(last_request(shared.mock)[1]) == {"model": "up-name", "input": "a"}
    assert record(shared, a)["requested_model"] == "omni-moderation-latest"


@pytest.mark.parametrize("path,body,status,param", [
    ("/v1/embeddings", {"model": "api"}, 400, "input"),
    ("/v1/embeddings", {"input": "x"}, 400, "model"),
    ("/v1/embeddings", {"model": 5, "input": "x"}, 400, "model"),
    ("/v1/embeddings", {"model": "no-such", "input": "x"}, 404, "model"),
    ("/v1/responses", {"model": "api", "stream": 1}, 400, "stream"),
    ("/v1/images/generations", {"model": "api", "prompt": "x", "n": "two"}, 400, "n"),
    ("/v1/embeddings", {"model": "api", "input": "x", "Input": "y"}, 400, "Input"),
    ("/v1/batches", {"endpoint": "/v1/x"}, 400, "input_file_id"),
])
def play_bad_bodies_name_the_field(shared, path, body, status, param):
    a = ask(shared, "POST", path, body)
    assert (a.status, a.json["error"]["param"]) == (status, param), a.text
    assert set(a.json["error"]) == {"message", "type", "param", "code"}


def play_strangers_and_wrong_methods(shared):
    for path in ("/v1/embeddings", "/v1/files", "/v1/responses/resp_1", "/providers/mock/models"):
        assert ask(shared, "GET" if "resp" in path or "prov" in path else "POST", path, {} if "emb" in path else None, key="sk-none").status == 401
    assert ask(shared, "GET", "/v1/embeddings").status == 405
    assert ask(shared, "DELETE", "/v1/files").status == 405
    assert ask(shared, "GET", "/v1/files/../x").status == 404
    assert ask(shared, "GET", "/v1/files/a%2fb").status == 404


def play_model_access_is_that_of_chat(shared):
    key = json.loads(shared.ctl("key", "create", "--org", "play", "--team", "play", "--models", "mock-1", "-o", "json"))["token"]
    a = ask(shared, "POST", "/v1/embeddings", {"model": "api", "input": "x"}, key=key)
    assert (a.status, a.json["error"]["code"]) == (403, "model_not_allowed")
    a = ask(shared, "POST", "/v1/audio/transcriptions", multipart([("model", None, b"api"), ("file", "a.wav", b"x")]), key=key, Content_Type=FORM)
    assert (a.status, a.json["error"]["code"]) == (403, "model_not_allowed")


# --- streams ---
def play_completions_stream(shared):
    a = ask(shared, "POST", "/v1/completions", {"model": "api", "prompt": "x", "stream": True})
    events = [e[6:] for e in a.text.split("\n\n") if e]
    assert events[-1] == "[DONE]" and "".join(json.loads(e)["choices"][0]["text"] for e in events[:-1]) == "one two three"
    assert "usage" not in a.text, "nobody asked for it"
    assert json.loads(last_request(shared.mock)[1])["stream_options"] == {"include_usage": True}
    r = record(shared, a)
    assert (r["tokens_input"], r["tokens_output"], r["is_stream"]) == (5, 3, True) and r["ttft_us"] > 0


def play_responses_stream_passes_byte_for_byte(shared):
    a = ask(shared, "POST", "/v1/responses", {"model": "api", "input": "x", "stream": True})
    direct = http_ask("POST", shared.mock.url + "/responses", {"model": "up-name", "input": "x", "stream": True},
                      {"Authorization": "Bearer sk-mock-credential"})
    assert a.body == direct.body and a.headers["content-type"].startswith("text/event-stream")
    r = record(shared, a)
    assert (r["tokens_input"], r["tokens_output"], r["tokens_cached"], r["finish_reason"]) == (11, 3, 4, "completed")


def play_responses_stream_that_fails_midway(shared):
    shared.ctl("apply", "-f", "-", stdin="""\
kind: deployment
id: failing
provider: mock
credential: mock
upstream_model: fails
---
kind: model
id: failing
targets: [{deployment: failing}]
""")
    c = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=30)
    c.request("POST", "/v1/responses", json.dumps({"model": "failing", "input": "x", "stream": True}), {"Authorization": f"Bearer {shared.key}"})
    r = c.getresponse()
    with pytest.raises(http.client.IncompleteRead) as cut:
        r.read()
    assert b"one " in cut.value.partial and b'"error"' in cut.value.partial, "what was said before stays said"
    c.close()


def play_stream_goes_out_with_its_first_words(shared):
    """A completion's stream is not held back until the hold time is over."""
    begun = time.monotonic()
    a = ask(shared, "POST", "/v1/completions", {"model": "api", "prompt": "x", "stream": True})
    r = record(shared, a)
    assert r["ttft_us"] < 2_900_000 and time.monotonic() - begun < 60


def play_retry_on_another_deployment(shared):
    shared.ctl("apply", "-f", "-", stdin="""\
kind: deployment
id: second
provider: mock
credential: mock
upstream_model: second
---
kind: model
id: pair
targets: [{deployment: priced}, {deployment: second, priority: 1}]
""")
    next_fault(shared.mock, "500", 1, "up-name")
    a = ask(shared, "POST", "/v1/embeddings", {"model": "pair", "input": "x"})
    assert a.status == 200 and a.headers["x-llmgw-deployment"] == "second" and a.headers["x-llmgw-attempts"] == "2"


# --- forms ---
@pytest.mark.parametrize("order", ["model first", "file first"])
@pytest.mark.parametrize("size", [1000, 3 * MiB])
def play_transcription(shared, order, size):
    fields = [("model", None, b"api"), ("file", "a.wav", b"R" * size)]
    body = multipart(fields if order == "model first" else fields[::-1])
    a = ask(shared, "POST", "/v1/audio/transcriptions", body, Content_Type=FORM)
    assert a.status == 200, a.text
    sent = body.replace(b"\r\n\r\napi\r\n", b"\r\n\r\nup-name\r\n")
    assert a.json["text"] == f"what was said, {len(sent)} bytes, model up-name"
    head, got = last_request(shared.mock)
    assert f"Content-Length: {len(sent)}".encode() in head and (len(got) < len(sent) or got == sent)
    r = record(shared, a)
    assert (r["units"], r["unit"], r["cost_nanousd"]) == (7, "second", 7 * 40000000)
    assert r["bytes_in"] > size and r["endpoint"] == "audio.transcriptions" and r["requested_model"] == "api"


def play_transcription_as_text_and_as_stream(shared):
    a = ask(shared, "POST", "/v1/audio/transcriptions",
            multipart([("model", None, b"api"), ("response_format", None, b"text"), ("file", "a", b"x")]), Content_Type=FORM)
    assert a.text == "what was said\n" and a.headers["content-type"].startswith("text/plain")
    a = ask(shared, "POST", "/v1/audio/transcriptions",
            multipart([("model", None, b"api"), ("stream", None, b"true"), ("file", "a", b"x")]), Content_Type=FORM)
    assert a.text.count("data: ") == 3 and record(shared, a)["tokens_input"] == 30


def play_image_edit_without_a_model(shared):
    shared.ctl("apply", "-f", "-", stdin="kind: model\nid: dalle\nname: dall-e-2\ntargets: [{deployment: priced}]\n")
    for size in (100, MiB):
        body = multipart([("prompt", None, b"x"), ("image", "a.png", b"P" * size)])
        a = ask(shared, "POST", "/v1/images/edits", body, Content_Type=FORM)
        assert a.status == 200, a.text
        got = last_request(shared.mock)[1]
        part = b'--b0undary\r\nContent-Disposition: form-data; name="model"\r\n\r\nup-name\r\n'
        assert got == part + body if size == 100 else got.startswith(part + body[:1000])


@pytest.mark.parametrize("size", [10, MiB])
def play_bad_forms(shared, size):
    pad = ("file", "a", b"z" * size)
    for fields, word in (([("model", None, b"api"), pad, ("model", None, b"mock-1")], "twice"),
                         ([pad, ("Model", None, b"api")], "upper and lower case"),
                         ([pad], "model is required"), ([pad, ("model", None, b"")], "model is required"),
                         ([pad, ("model", "m.txt", b"api")], "plain text")):
        a = ask(shared, "POST", "/v1/audio/transcriptions", multipart(fields), Content_Type=FORM)
        assert a.status == 400 and word in a.json["error"]["message"], a.text
    a = ask(shared, "POST", "/v1/audio/transcriptions", multipart([pad])[:-8], Content_Type=FORM)
    assert a.status == 400, a.text
    a = ask(shared, "POST", "/v1/audio/transcriptions", b"{}" + b" " * size, Content_Type="application/json")
    assert a.status == 415, a.text
    assert ask(shared, "POST", "/v1/embeddings", {"model": "api", "input": "still well"}).status == 200


# --- endpoints without a model ---
def play_files(shared):
    a = ask(shared, "POST", "/v1/files", multipart([("purpose", None, b"batch"), ("file", "a.jsonl", b"{}\n")]), Content_Type=FORM)
    assert a.status == 200 and a.json["id"] == "file-mock", a.text
    r = record(shared, a)
    assert (r["endpoint"], r["provider"], r["status"]) == ("files.create", "mock", 200) and not r.get("model")
    assert ask(shared, "GET", "/v1/files?purpose=batch&llmgw_provider=mock&limit=2").json["query"] == "purpose=batch&limit=2"
    assert ask(shared, "GET", "/v1/files/file-abc").json["id"] == "file-abc"
    assert ask(shared, "DELETE", "/v1/files/file-abc").json["deleted"]
    a = ask(shared, "GET", "/v1/files/file-missing")
    assert (a.status, a.json["error"]["message"]) == (404, "No such File object.")
    assert record(shared, a)["error"] == "NOT_FOUND"


def play_file_content_is_relayed_whole(shared):
    a = ask(shared, "GET", "/v1/files/file-600/content")
    want = hashlib.sha256(b"".join(bytes([97 + i % 26]) * 16384 for i in range(600))).hexdigest()
    assert a.headers["content-type"] == "application/octet-stream" and a.headers["content-length"] == str(600 * 16384)
    assert a.headers["content-disposition"] == 'attachment; filename="a.bin"'
    assert hashlib.sha256(a.body).hexdigest() == want
    assert record(shared, a)["bytes_out"] == 600 * 16384
    assert ask(shared, "GET", "/v1/files/file-x/content").text.count("custom_id") == 2


def play_batches(shared):
    a = ask(shared, "POST", "/v1/batches", {"input_file_id": "file-mock", "endpoint": "/v1/chat/completions", "completion_window": "24h"})
    assert a.status == 200 and a.json["status"] == "validating", a.text
    assert ask(shared, "GET", "/v1/batches/batch_7").json["id"] == "batch_7"
    assert ask(shared, "POST", "/v1/batches/batch_7/cancel").json["status"] == "cancelling"
    assert len(ask(shared, "GET", "/v1/batches").json["data"]) == 1


def play_stored_responses(shared):
    assert ask(shared, "GET", "/v1/responses/resp_7").json["id"] == "resp_7"
    assert ask(shared, "GET", "/v1/responses/resp_7/input_items?limit=3").json["object"] == "list"
    assert ask(shared, "POST", "/v1/responses/resp_7/cancel").json["status"] == "cancelled"
    assert ask(shared, "DELETE", "/v1/responses/resp_7").json["deleted"]
    assert ask(shared, "GET", "/v1/responses/resp_missing").status == 404
    assert ask(shared, "POST", "/v1/responses/input_tokens", {"model": "api", "input": "x"}).json["input_tokens"] == 11


def play_which_provider(gateway):
    """With two providers the client must say which; what a key cannot reach with a model it cannot reach by name either."""
    g = gateway
    assert ask(g, "GET", "/v1/files").status == 200, "the only one"
    g.ctl("apply", "-f", "-", stdin=f"""\
kind: provider
id: other
type: openai-compatible
base_url: {g.mock.url}
allow_private: [127.0.0.1/32]
---
kind: deployment
id: other-1
provider: other
upstream_model: x
activation: immediate
---
kind: model
id: other-1
targets: [{{deployment: other-1}}]
""")
    a = ask(g, "GET", "/v1/files")
    assert a.status == 400 and "x-llmgw-provider" in a.json["error"]["message"], a.text
    assert record(g, ask(g, "GET", "/v1/files", X_LLMGW_Provider="mock"))["provider"] == "mock"
    assert record(g, ask(g, "GET", "/v1/files?llmgw_provider=other"))["provider"] == "other"
    assert record(g, ask(g, "GET", "/v1/files", X_LLMGW_Deployment="other-1"))["deployment"] == "other-1"
    assert ask(g, "GET", "/v1/files", X_LLMGW_Provider="nobody").status == 404
    key = json.loads(g.ctl("key", "create", "--org", "play", "--team", "play", "--models", "mock-1", "-o", "json"))["token"]
    assert record(g, ask(g, "GET", "/v1/files", key=key))["provider"] == "mock", "the only one that this key reaches"
    assert ask(g, "GET", "/v1/files", key=key, X_LLMGW_Provider="other").status == 404
    g.ctl("apply", "-f", "-", stdin="""\
kind: credential
id: second
provider: mock
secret: sk-second-account
---
kind: deployment
id: mock-2
provider: mock
credential: second
upstream_model: mock-2
---
kind: model
id: mock-2
targets: [{deployment: mock-2}]
""")
    a = ask(g, "GET", "/v1/files", X_LLMGW_Provider="mock")
    assert a.status == 400 and "x-llmgw-deployment" in a.json["error"]["message"], a.text
    a = ask(g, "GET", "/v1/files", X_LLMGW_Deployment="mock-2")
    assert a.status == 200 and b"sk-second-account" in last_request(g.mock)[0]
    a = ask(g, "GET", "/v1/files", X_LLMGW_Provider="other", X_LLMGW_Deployment="mock-2")
    assert a.status == 404


# --- raw relay ---
def play_raw_relay(gateway):
    g = gateway
    a = ask(g, "GET", "/providers/mock/mirror")
    assert (a.status, a.json["error"]["code"]) == (403, "permission_denied") and "raw_relay" in a.json["error"]["message"]
    assert record(g, a)["error"] == "FORBIDDEN"
    g.ctl("apply", "-f", "-", stdin="kind: team\nid: play\norg: play\nraw_relay: true\n")
    a = ask(g, "POST", "/providers/mock/mirror?a=1&b=%20", b"\0\1\2", Content_Type="application/x-own", OpenAI_Beta="x=1", X_Evil="1",
            Cookie="c=1", X_Forwarded_For="1.2.3.4", OpenAI_Organization="org-mine")
    assert a.status == 200, a.text
    head = a.json["head"].lower()
    assert head.startswith("post /v1/mirror?a=1&b=%20 http/1.1") and a.json["bytes"] == 3
    assert "authorization: bearer sk-mock-credential" in head and "content-type: application/x-own" in head and "openai-beta: x=1" in head
    for word in (g.key.lower(), "x-evil", "cookie", "x-forwarded", "openai-organization", f":{g.port}"):
        assert word not in head
    r = record(g, a)
    assert (r["endpoint"], r["provider"], r["credential"], r["status"]) == ("raw.post", "mock", "mock", 200)
    a = ask(g, "GET", "/providers/mock/mirror?status=418")
    assert a.status == 418 and a.json == {"short": "and stout"}, "the provider's own answer"
    a = ask(g, "GET", "/providers/mock/mirror?status=418&with_head=1")
    assert a.status == 400 and "sk-mock" not in a.text, "an error that repeats the credential does not go out"
    assert ask(g, "POST", "/providers/mock/embeddings", {"model": "any-name", "input": "x"}).status == 200
    for path in ("../x", "a/../b", "%2e%2e/x", "a/%2E%2E/b", "a//b", "a%2fb", "a%5c..%5cb", "a%252e%252e", "..;/x", "./x", "", "a/", "a%00"):
        a = http_raw(g, f"/providers/mock/{path}")
        assert a in (400, 404), f"{path}: {a}"
    for path in ("/providers/other/mirror", "/providers//mirror", "/providers/mock@evil.example/mirror", "/providers/mock:80/x", "/providers/%6dock/mirror",
                 "/providers/http://evil.example/x"):
        assert http_raw(g, path) in (400, 404), path
    for method in ("PUT", "PATCH"):
        a = ask(g, method, "/providers/mock/mirror?m=1", b"\0\1\2\3", Content_Type="application/x-own")
        assert a.status == 200 and a.json["bytes"] == 4 and a.json["head"].lower().startswith(f"{method.lower()} /v1/mirror?m=1 http/1.1"), a.text
        r = record(g, a)
        assert (r["endpoint"], r["status"]) == (f"raw.{method.lower()}", 200)
        assert ask(g, method, "/v1/chat/completions", {}).status == 405, "everywhere else they are no methods"
    g.ctl("apply", "-f", "-", stdin="kind: team\nid: play\norg: play\nraw_relay: false\n")
    assert ask(g, "GET", "/providers/mock/mirror").status == 403


def http_raw(g, path, method="GET"):
    with socket.create_connection(("127.0.0.1", g.port), 10) as s:
        s.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {g.key}\r\nConnection: close\r\n\r\n".encode())
        return int(s.makefile("rb").readline().split()[1])


# --- uploads ---
class Upstream(threading.Thread):
    """A provider that takes a body at its own pace; `play(sock, head)` does what the play wants."""

    def __init__(self, play):
        super().__init__(daemon=True)
        self.play, self.got, self.n, self.head, self.ended = play, hashlib.sha256(), 0, b"", threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.port, self.failures, self.accepted = self.listener.getsockname()[1], [], 0
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                s, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        s.settimeout(60)
        buf = b""
        try:
            with s:
                while b"\r\n\r\n" not in buf:
                    more = s.recv(65536)
                    if not more:
                        return
                    buf += more
                head, rest = buf.split(b"\r\n\r\n", 1)
                if head.startswith(b"GET"):  # the probe
                    s.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\nConnection: close\r\n\r\n{"object":"list","data":[]}')
                    return
                self.accepted += 1
                self.head = head
                self.take(rest)
                self.play(self, s)
        except OSError as e:
            self.failures.append(repr(e))
        finally:
            self.ended.set()

    def take(self, data):
        self.got.update(data)
        self.n += len(data)

    def length(self):
        return int(next(x for x in self.head.split(b"\r\n") if x.lower().startswith(b"content-length:")).split(b":")[1])

    def read_rest(self, s, until_n=None):
        n = self.length() if until_n is None else until_n
        while self.n < n:
            more = s.recv(1 << 20)
            if not more:
                return False
            self.take(more)
        return True

    @staticmethod
    def answer(s, status, body):
        data = json.dumps(body).encode()
        s.sendall(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode() + data)


def add_upstream(g, up, name):
    g.ctl("apply", "-f", "-", stdin=f"""\
kind: provider
id: {name}
type: openai-compatible
base_url: http://127.0.0.1:{up.port}/v1
allow_private: [127.0.0.1/32]
---
kind: deployment
id: {name}
provider: {name}
upstream_model: {name}
activation: immediate
probe: none
---
kind: model
id: {name}
targets: [{{deployment: {name}}}]
""")


def rss(g):
    return sum(int(x.split()[1]) for p in g.processes("worker") for x in pathlib.Path(f"/proc/{p['pid']}/status").read_text().splitlines()
               if x.startswith("VmRSS"))


def start_upload(g, name, length, path="/v1/files", ctype=FORM, extra=""):
    s = socket.create_connection(("127.0.0.1", g.port), 60)
    size = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    s.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {g.key}\r\nContent-Type: {ctype}\r\n{size}\r\nx-llmgw-provider: {name}\r\n{extra}\r\n".encode())
    return s


def read_answer(s):
    r = http.client.HTTPResponse(s)
    r.begin()
    return r, r.read()


BLOCK = bytes(range(256)) * 4096  # 1 MiB


def play_100_mb_in_bounded_memory(shared):
    """The provider takes nothing for a while: the client is held back, the workers do not grow; then every byte arrives."""
    gate = threading.Event()

    def play(up, s):
        gate.wait(60)
        if up.read_rest(s):
            up.answer(s, 200, {"id": "file-1"})

    up = Upstream(play)
    add_upstream(shared, up, "big")
    before = rss(shared)
    s = start_upload(shared, "big", 100 * MiB)
    s.settimeout(1.0)
    sent = 0
    try:  # until nobody takes more
        while sent < 100 * MiB:
            sent += s.send(BLOCK[sent % MiB:])
    except TimeoutError:
        pass
    assert sent < 64 * MiB, "the client was held back"
    assert rss(shared) - before < 24 * 1024, "KiB"
    s.settimeout(60)
    gate.set()
    grown = 0
    while sent < 100 * MiB:
        sent += s.send(BLOCK[sent % MiB:])
        if sent % (16 * MiB) < 65536:
            grown = max(grown, rss(shared) - before)
    r, body = read_answer(s)
    assert r.status == 200, body
    assert up.n == 100 * MiB and up.got.hexdigest() == hashlib.sha256(BLOCK * 100).hexdigest()
    assert grown < 24 * 1024, f"{grown} KiB"
    rec = until(lambda: next((x for x in shared.logs("--filter", f"request_id={r.getheader('x-request-id')}") if "status" in x), None), 10)
    assert rec["bytes_in"] > 100 * MiB and rec["status"] == 200


def play_chunked_upload(shared):
    def play(up, s):
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            more = s.recv(1 << 20)
            if not more:
                return
            up.take(more)
            data = (data + more)[-5:]
        up.answer(s, 200, {"id": "file-2"})

    up = Upstream(play)
    add_upstream(shared, up, "chunked")
    s = start_upload(shared, "chunked", None)
    for _ in range(8):
        s.sendall(b"%x\r\n" % len(BLOCK) + BLOCK + b"\r\n")
    s.sendall(b"0\r\n\r\n")
    r, body = read_answer(s)
    assert r.status == 200, body
    assert b"transfer-encoding: chunked" in up.head.lower() and up.n > 8 * MiB


def play_client_gone_mid_upload_cancels(shared):
    seen = threading.Event()

    def play(up, s):
        up.read_rest(s, 300000)
        seen.set()
        up.read_rest(s)

    up = Upstream(play)
    add_upstream(shared, up, "leaver")
    s = start_upload(shared, "leaver", 50 * MiB)
    s.sendall(BLOCK)
    assert seen.wait(30)
    s.close()
    assert up.ended.wait(10), "the provider's connection is closed"
    rec = until(lambda: next((x for x in shared.logs("--filter", "endpoint=files.create", "--filter", "provider=leaver") if "status" in x), None), 10)
    assert (rec["status"], rec["error"]) == (499, "CLIENT_GONE")


@pytest.mark.parametrize("status,told", [(413, 413), (400, 400), (401, 502), (500, 502)])
def play_provider_refuses_before_the_end(shared, status, told):
    """Its answer comes at once, the rest of the body is not waited for, and nothing is tried again."""
    def play(up, s):
        up.read_rest(s, 100000)
        up.answer(s, status, {"error": {"message": "no more", "type": "x", "param": None, "code": None}})
        with contextlib.suppress(OSError):
            s.shutdown(socket.SHUT_WR)
            up.read_rest(s)

    up = Upstream(play)
    add_upstream(shared, up, f"early{status}")
    s = start_upload(shared, f"early{status}", 40 * MiB)
    s.sendall(BLOCK)
    r, body = read_answer(s)
    assert r.status == told, body
    assert r.getheader("connection") == "close"
    assert up.accepted == 1
    s.close()


def play_half_a_body_is_never_sent_again(shared):
    """The provider resets after taking a part: another deployment of the model must not get the rest."""
    def reset(up, s):
        up.read_rest(s, 500000)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    first, second = Upstream(reset), Upstream(lambda up, s: up.answer(s, 200, {}))
    for name, up in (("half-1", first), ("half-2", second)):
        add_upstream(shared, up, name)
    shared.ctl("apply", "-f", "-", stdin="kind: model\nid: halves\ntargets: [{deployment: half-1}, {deployment: half-2, priority: 1}]\n")
    body = multipart([("model", None, b"halves"), ("file", "a", BLOCK * 4)])
    s = start_upload(shared, "x", len(body), "/v1/audio/transcriptions")
    with contextlib.suppress(OSError):
        s.sendall(body)
    r, text = read_answer(s)
    assert r.status == 502, text
    assert second.accepted == 0 and r.getheader("x-should-retry") == "false"


def play_a_provider_that_is_not_there_is_passed_over(shared):
    """Nothing of the body was given away, so another deployment may have it."""
    with socket.create_server(("127.0.0.1", 0)) as dead:
        port = dead.getsockname()[1]
    up = Upstream(lambda up, s: up.read_rest(s) and up.answer(s, 200, {"text": "there"}))
    gone = Upstream(lambda up, s: None)
    gone.listener.close()
    gone.port = port
    for name, x in (("nobody", gone), ("somebody", up)):
        add_upstream(shared, x, name)
    shared.ctl("apply", "-f", "-", stdin="kind: model\nid: over\ntargets: [{deployment: nobody}, {deployment: somebody, priority: 1}]\n")
    body = multipart([("model", None, b"over"), ("file", "a", BLOCK * 2)])
    a = ask(shared, "POST", "/v1/audio/transcriptions", body, Content_Type=FORM)
    assert a.status == 200 and a.headers["x-llmgw-deployment"] == "somebody", a.text
    want = body.replace(b"\r\n\r\nover\r\n", b"\r\n\r\nsomebody\r\n")
    assert up.n == len(want) and up.got.hexdigest() == hashlib.sha256(want).hexdigest()


def play_sizes(gateway):
    g = gateway
    g.ctl("apply", "-f", "-", stdin="kind: settings\nid: default\nmax_upload_bytes: 2097152\nmax_body_bytes: 1048576\n")
    s = start_upload(g, "mock", 3 * MiB)  # said
    r, body = read_answer(s)
    assert r.status == 413, body
    s = start_upload(g, "mock", None)  # counted
    with contextlib.suppress(OSError):
        for _ in range(4):
            s.sendall(b"%x\r\n" % len(BLOCK) + BLOCK + b"\r\n")
    r, body = read_answer(s)
    assert r.status == 413, body
    # a form whose model comes too late is held only so far
    body = multipart([("file", "a", BLOCK + BLOCK[:MiB // 2]), ("model", None, b"mock-1")])
    s = start_upload(g, "mock", len(body), "/v1/audio/transcriptions")
    with contextlib.suppress(OSError):
        s.sendall(body)
    r, text = read_answer(s)
    assert r.status == 413 and b"Send model before the files" in text
    body = multipart([("model", None, b"mock-1"), ("file", "a", BLOCK + BLOCK[:MiB // 2])])
    assert ask(g, "POST", "/v1/audio/transcriptions", body, Content_Type=FORM).status == 200
    assert ask(g, "POST", "/v1/files", BLOCK + b"x", Content_Type=FORM).status == 200


def play_expect_100_continue(shared):
    def play(up, s):
        if up.read_rest(s):
            up.answer(s, 200, {"id": "f"})

    up = Upstream(play)
    add_upstream(shared, up, "expects")
    s = start_upload(shared, "expects", MiB, extra="Expect: 100-continue\r\n")
    assert s.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    s.sendall(BLOCK)
    r, body = read_answer(s)
    assert r.status == 200, body
    s = start_upload(shared, "no-such", MiB, extra="Expect: 100-continue\r\n")
    r, body = read_answer(s)
    assert r.status == 404, "told before a byte was sent"


def play_malformed_upload_ends_the_providers_request(shared):
    up = Upstream(lambda up, s: up.read_rest(s, 1 << 40))
    add_upstream(shared, up, "garbled")
    s = start_upload(shared, "garbled", None)
    s.sendall(b"%x\r\n" % len(BLOCK) + BLOCK + b"\r\nnonsense\r\n")
    r, body = read_answer(s)
    assert r.status == 400, body
    assert up.ended.wait(10)


# --- the end of a stream ---
def sse(*events):
    return [f"data: {e if isinstance(e, str) else json.dumps(e)}" for e in events]


def piece(text=None, finish=None):
    return {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}]}


@pytest.mark.parametrize("events, tail, whole", [
    (sse(piece("hi"), piece(finish="stop"), "[DONE]"), "", True),
    (sse(piece("hi"), piece(finish="stop"), "[DONE]"), "\n", True),
    (sse(piece("hi"), piece(finish="stop"), "[DONE]"), "\r\n\r", True),
    (sse(piece("hi"), piece(finish="stop")), "", True),
    (sse(piece("hi"), piece("there")), "", False),
    (sse(piece("hi")) + ['data: {"id":"c","choices":[{"index":0,"delta":{"content":"cut"}'], "", False),
    (sse(piece("hi")) + ['data: {"id":"c","choi'], "", False),
])
def play_last_event_without_an_empty_line(shared, events, tail, whole):
    """A provider that closes the stream right behind its last event: a whole one counts, half of one is a cut."""
    def play(up, s):
        up.read_rest(s)
        body = "\n\n".join(events) + tail
        s.sendall(("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n{body}").encode())

    g, up = shared, Upstream(play)
    add_upstream(g, up, "endless")
    c = http.client.HTTPConnection("127.0.0.1", g.port, timeout=20)
    c.request("POST", "/v1/chat/completions", json.dumps({"model": "endless", "stream": True, "messages": [{"role": "user", "content": "x"}]}),
              {"Authorization": f"Bearer {g.key}", "Content-Type": "application/json"})
    answer = c.getresponse()
    try:
        text, is_cut = answer.read().decode(), False
    except http.client.IncompleteRead as e:
        text, is_cut = e.partial.decode(), True
    c.close()
    assert answer.status == 200 and '"hi"' in text and is_cut == (not whole), text
    i = answer.headers["x-request-id"]
    r = settled(g.data, [i]).end(i)
    assert r.get("error") == (None if whole else "UP_CUT"), r
    if whole and "[DONE]" in events[-1]:
        assert re.search(r"\ndata: \[DONE\](\n\n|\r\n\r\n?)$", text), repr(text)
    assert not up.failures
