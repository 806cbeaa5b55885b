"""Chat completions through the whole gateway: what comes back, what the provider sees, who may, and how each wrong request is
told so. Bytes that need no change must pass as they are, both ways."""
import json
import re
import shutil
import subprocess

import pytest

from client import Stream, chat_body, last_request, mock_stats, talk
from harness import http_ask

CHAT = "/v1/chat/completions"


OBJECTS = """
{kind: model, id: other-name, alias_of: mock-1}
---
{kind: model, id: vendor-name, name: vendor/name, alias_of: mock-1}
---
{kind: model, id: hidden, hidden: true, targets: [{deployment: mock-1}]}
---
{kind: model, id: off, disabled: true, targets: [{deployment: mock-1}]}
---
{kind: model, id: team-only, org: play, team: play, targets: [{deployment: mock-1}]}
---
{kind: team, id: second, org: play}
---
{kind: team, id: narrow, org: play, models: [other-name]}
---
{kind: model, id: secret-team, teams: [second], targets: [{deployment: mock-1}]}
"""


def setup(g):
    g.ctl("apply", "-f", "-", stdin=OBJECTS)
    wanted = {"few": ["--models", "mock-1"], "prefix": ["--models", "vendor/*"], "stranger": ["--team", "second"],
              "narrow": ["--team", "narrow"], "disabled": [], "expired": ["--expires", "2020-01-01T00:00:00Z"]}
    g.keys = {}
    for name, options in wanted.items():
        team = [] if "--team" in options else ["--team", "play"]
        g.keys[name] = json.loads(g.ctl("key", "create", f"key-{name}", "--org", "play", *team, *options, "-o", "json"))["token"]
    g.ctl("key", "revoke", "key-disabled", "--yes")


def neutral(b):
    """The mock numbers its answers; everything else is the same for the same request."""
    return re.sub(rb"(chatcmpl-mock-|call_mock_)\d+", rb"\1N", b)


def post(g, body, headers=None, key=None, path=CHAT):
    h = {"Authorization": f"Bearer {key or g.key}", "Content-Type": "application/json", **(headers or {})}
    return http_ask("POST", g.url + path, body if isinstance(body, (bytes, dict)) else body.encode(), h)


def direct(mock, body):
    """The provider asked without a gateway."""
    return http_ask("POST", mock.url + "/chat/completions", body, {"Content-Type": "application/json"})


ODD = ('{ "temperature" : 1.50e0,\t"model":"mo\\u0063k-1" ,"messages":[{"role":"user","content":"caf\\u00e9 \u00e9 \\ud83d\\ude00 \\/"}],'
       '"x_unknown":{"deep":[1,2.0,-0,1E5,"\\b\\f"],"n":null}, "user":"u-1"\r\n}')


@pytest.mark.smoke
def play_whole_answer_passes_byte_for_byte(shared):
    g = shared
    raw = ODD.replace("mo\\u0063k-1", "mock-1").encode()
    a = post(g, raw)
    assert a.status == 200 and a.headers["content-type"] == "application/json"
    assert last_request(g.mock)[1] == raw, "the model's name is the same on both sides: not one byte may differ"
    assert neutral(a.body) == neutral(direct(g.mock, raw).body)
    for name in ("x-request-id", "x-llmgw-deployment", "x-llmgw-attempts", "x-llmgw-generation"):
        assert a.headers.get(name), name
    assert a.headers["x-llmgw-deployment"] == "mock-1" and a.headers["x-llmgw-attempts"] == "1"
    a = post(g, ODD)
    assert a.status == 200 and last_request(g.mock)[1] == ODD.encode(), "an escaped name is the same name"


def play_alias_only_splices_the_model(shared):
    g = shared
    a = post(g, ODD.replace("mo\\u0063k-1", "other-name"))
    assert a.status == 200 and a.headers["x-llmgw-deployment"] == "mock-1"
    assert last_request(g.mock)[1] == ODD.replace("mo\\u0063k-1", "mock-1").encode()


@pytest.mark.smoke
def play_stream_passes_and_usage_is_taken_out(shared):
    g = shared
    body = json.dumps(chat_body(stream=True)).encode()
    a = post(g, body)
    assert a.status == 200 and a.headers["content-type"].startswith("text/event-stream")
    assert last_request(g.mock)[1] == body.replace(b'"stream": true', b'"stream": true,"stream_options":{"include_usage":true}')
    assert neutral(a.body) == neutral(direct(g.mock, body).body), "a client that asked for no usage gets none, and nothing else differs"
    asked = json.dumps(chat_body(stream=True, stream_options={"include_usage": True})).encode()
    b = post(g, asked)
    assert last_request(g.mock)[1] == asked
    assert neutral(b.body) == neutral(direct(g.mock, asked).body) and b'"usage":{"prompt_tokens":11' in b.body
    for options in ({}, {"include_usage": False}, None, {"include_obfuscation": False}):
        body = chat_body(stream=True, stream_options=options)
        c = post(g, json.dumps(body))
        sent = json.loads(last_request(g.mock)[1])
        assert c.status == 200 and b"usage" not in c.body, options
        assert sent["stream_options"] == {**(options or {}), "include_usage": True}
    off = post(g, json.dumps(chat_body(stream=False)))
    assert off.status == 200 and off.json["object"] == "chat.completion" and b"stream_options" not in last_request(g.mock)[1]


def play_tools_pass(shared):
    g = shared
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {
        "Model": {"type": "string"}, "city": {"type": "string"}}}}}]
    body = json.dumps(chat_body("use the tool", tools=tools)).encode()
    a = post(g, body)
    assert neutral(a.body) == neutral(direct(g.mock, body).body)
    assert a.json["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "weather"
    body = json.dumps(chat_body("use the tool", tools=tools, stream=True)).encode()
    assert neutral(post(g, body).body) == neutral(direct(g.mock, body).body)


def play_stream_comes_as_it_is_made(shared):
    s = Stream(shared, "mock: chunks=5 chunk_ms=120")
    assert s.status == 200
    first = s.next()
    assert mock_stats(shared.mock)["chat"] and first and s.end is None
    assert shared.status()["workers"] and sum(w["streams_open"] for w in shared.status()["workers"]) >= 0
    s.rest()
    assert s.end == "done" and s.text() == "word0 word1 word2 word3 word4 "


def play_large_answers_and_bodies_pass(shared):
    g = shared
    body = json.dumps(chat_body("mock: bytes=3000000")).encode()
    a = post(g, body)
    assert a.status == 200 and len(a.body) > 2_900_000 and neutral(a.body) == neutral(direct(g.mock, body).body)
    body = json.dumps({**chat_body("x"), "padding": "p" * 5_000_000}).encode()
    a = post(g, body)
    assert a.status == 200 and last_request(g.mock)[1] == body


@pytest.mark.parametrize("header", ["Authorization", "x-api-key", "api-key", "x-goog-api-key"])
def play_key_in_each_header(shared, header):
    g = shared
    value = ("Bearer " if header == "Authorization" else "") + g.key
    a = http_ask("POST", g.url + CHAT, chat_body(), {header: value})
    assert a.status == 200
    head, _ = last_request(g.mock)
    assert g.key.encode() not in head and b"sk-mock-credential" in head
    both = http_ask("POST", g.url + CHAT, chat_body(), {header: value, "Authorization": f"Bearer {g.key}"})
    assert both.status == 200, "twice the same key is no contradiction"
    if header != "Authorization":
        a = http_ask("POST", g.url + CHAT, chat_body(), {header: value, "Authorization": "Bearer sk-another"})
        assert (a.status, a.json["error"]["code"]) == (401, "ambiguous_api_key")


def play_headers_of_the_client_do_not_reach_the_provider(shared):
    g = shared
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    a = post(g, chat_body(), {"Cookie": "c=1", "X-Forwarded-For": "10.0.0.1", "traceparent": trace, "x-llmgw-session": "s-1",
                              "x-llmgw-action": "a-1", "x-llmgw-user": "u-1", "x-llmgw-tags": "t1,t2", "X-Stainless-Lang": "py"})
    assert a.status == 200
    head = last_request(g.mock)[0].lower()
    assert trace.encode() in head
    for word in (b"cookie", b"forwarded", b"x-llmgw", b"stainless", g.key.lower().encode()):
        assert word not in head, word
    a = post(g, chat_body("mock: fault=header-injection"))
    assert a.status == 200
    assert not {"set-cookie", "server", "x-powered-by"} & a.headers.keys(), a.headers


def play_records_carry_the_context(shared):
    g = shared
    a = post(g, {**chat_body(), "user": "end-1", "metadata": {"session_id": "ms", "action_id": "ma", "tags": "mt"}})
    b = post(g, {**chat_body(), "metadata": {"session_id": "ms"}}, {"x-llmgw-session": "hs", "x-llmgw-user": "hu", "x-llmgw-tags": "x,y"})
    from trail import settled
    t = settled(g.data, [a.headers["x-request-id"], b.headers["x-request-id"]])
    one, two = t.end(a.headers["x-request-id"]), t.end(b.headers["x-request-id"])
    assert (one["end_user"], one["session_id"], one["action_id"], one["tags"]) == ("end-1", "ms", "ma", "mt")
    assert (two["session_id"], two["user"], two["tags"]) == ("hs", "hu", "x,y"), "headers win over the body"


@pytest.mark.smoke
def play_open_endpoints(shared):
    g = shared
    for path in ("/livez", "/readyz", "/healthz", "/health", "/health/liveliness", "/health/readiness", "/health/liveness"):
        assert http_ask("GET", g.url + path).status == 200, path
    a = http_ask("HEAD", g.url + "/")
    assert a.status == 200 and a.body == b""
    assert http_ask("HEAD", g.url + "/livez").status == 200


def play_models(shared):
    g = shared
    auth = {"Authorization": f"Bearer {g.key}"}
    a = http_ask("GET", g.url + "/v1/models", headers=auth)
    names = [m["id"] for m in a.json["data"]]
    assert a.json["object"] == "list" and {"mock-1", "other-name", "team-only"} <= set(names) and "hidden" not in names
    assert "secret-team" not in names and "off" not in names
    assert a.json["data"][0].keys() == {"id", "object", "created", "owned_by"}
    one = http_ask("GET", g.url + "/v1/models/mock-1", headers=auth)
    assert one.status == 200 and one.json["id"] == "mock-1"
    assert http_ask("GET", g.url + "/models", headers=auth).json == a.json, "with and without /v1"
    none = http_ask("GET", g.url + "/v1/models/nope", headers=auth)
    assert (none.status, none.json["error"]["code"]) == (404, "model_not_found")
    slash = http_ask("GET", g.url + "/v1/models/vendor%2Fname", headers=auth)
    assert slash.status == 200 and slash.json["id"] == "vendor/name"
    assert http_ask("GET", g.url + "/v1/models").status == 401


def play_access(shared):
    g = shared
    few = g.keys["few"]
    assert post(g, chat_body(), key=few).status == 200
    a = post(g, chat_body(model="other-name"), key=few)
    assert (a.status, a.json["error"]["code"], a.json["error"]["param"]) == (403, "model_not_allowed", "model")
    names = [m["id"] for m in http_ask("GET", g.url + "/v1/models", headers={"x-api-key": few}).json["data"]]
    assert names == ["mock-1"]
    assert post(g, chat_body(model="vendor/name"), key=g.keys["prefix"]).status == 200
    assert post(g, chat_body(), key=g.keys["prefix"]).status == 403
    assert post(g, chat_body(model="team-only")).status == 200
    assert post(g, chat_body(model="team-only"), key=g.keys["stranger"]).status == 404, "another team's model is not there"
    assert post(g, chat_body(model="secret-team")).status in (403, 404)
    assert post(g, chat_body(), key=g.keys["narrow"]).status == 403, "the team's list"
    assert post(g, chat_body(model="other-name"), key=g.keys["narrow"]).status == 200
    assert post(g, chat_body(model="hidden")).status == 200
    a = post(g, chat_body(model="off"))
    assert (a.status, a.json["error"]["code"]) == (404, "model_not_found")


def play_bad_keys(shared):
    g = shared
    cases = [({}, "missing_api_key"), ({"Authorization": "Bearer sk-nobody"}, "invalid_api_key"),
             ({"Authorization": "Bearer " + g.key[:-1] + ("a" if g.key[-1] != "a" else "b")}, "invalid_api_key"),
             ({"Authorization": "Basic dTpw"}, "missing_api_key"), ({"Authorization": "Bearer " + "k" * 600}, "invalid_api_key"),
             ({"x-api-key": g.keys["disabled"]}, "key_disabled"), ({"x-api-key": g.keys["expired"]}, "key_expired")]
    for headers, code in cases:
        a = http_ask("POST", g.url + CHAT, chat_body(), headers)
        assert a.status == 401 and a.json["error"]["type"] == "invalid_request_error", (headers, a.text)
        assert a.json["error"]["code"] == code, (headers, a.text)
    a = post(g, chat_body(), key=g.token)
    assert (a.status, a.json["error"]["type"]) == (403, "permission_error"), "an admin token is no key for models"
    big = http_ask("POST", g.url + CHAT, json.dumps({**chat_body(), "p": "x" * 300_000}).encode(), {"Authorization": "Bearer sk-nobody"})
    assert big.status == 401


M = [{"role": "user", "content": "x"}]
BAD = [  # body, status, code, param
    ({}, 400, "missing_field", "model"), ({"model": "mock-1"}, 400, "missing_field", "messages"),
    ({"model": "", "messages": M}, 400, "invalid_value", "model"), ({"model": 3, "messages": M}, 400, "invalid_value", "model"),
    ({"model": None, "messages": M}, 400, "missing_field", "model"), ({"model": "mock-1", "messages": []}, 400, "invalid_value", "messages"),
    ({"model": "mock-1", "messages": "hi"}, 400, "invalid_value", "messages"),
    ({"model": "mock-1", "messages": ["hi"]}, 400, "invalid_value", "messages[0]"),
    ({"model": "mock-1", "messages": M + [{"content": "x"}]}, 400, "missing_field", "messages[1].role"),
    ({"model": "mock-1", "messages": [{"role": 1}]}, 400, "invalid_value", "messages[0].role"),
    (chat_body(stream="yes"), 400, "invalid_value", "stream"), (chat_body(stream=1), 400, "invalid_value", "stream"),
    (chat_body(stream_options={"include_usage": True}), 400, "invalid_value", "stream_options"),
    (chat_body(stream=True, stream_options=[]), 400, "invalid_value", "stream_options"),
    (chat_body(stream=True, stream_options={"include_usage": 1}), 400, "invalid_value", "stream_options.include_usage"),
    (chat_body(n=0), 400, "invalid_value", "n"), (chat_body(n=1.5), 400, "invalid_value", "n"),
    (chat_body(max_tokens=-1), 400, "invalid_value", "max_tokens"), (chat_body(max_tokens="5"), 400, "invalid_value", "max_tokens"),
    (chat_body(max_completion_tokens=0), 400, "invalid_value", "max_completion_tokens"),
    (chat_body(temperature="hot"), 400, "invalid_value", "temperature"), (chat_body(top_p=[]), 400, "invalid_value", "top_p"),
    (chat_body(tools={}), 400, "invalid_value", "tools"), (chat_body(metadata=[]), 400, "invalid_value", "metadata"),
    (chat_body(metadata={"a": 1}), 400, "invalid_value", "metadata.a"), (chat_body(user=5), 400, "invalid_value", "user"),
    (chat_body(model="nope"), 404, "model_not_found", "model"),
    ("", 400, "invalid_json", None), ("{", 400, "invalid_json", None), ("[]", 400, "invalid_json", None), ("null", 400, "invalid_json", None),
    ('{"model":"mock-1"} x', 400, "invalid_json", None), ("{'model':1}", 400, "invalid_json", None),
    ('{"model":"mock-1","messages":[{"role":"user","content":NaN}]}', 400, "invalid_json", None),
    ('\ufeff{"model":"mock-1","messages":[]}', 400, "invalid_json", None),
]


@pytest.mark.parametrize("body,status,code,param", BAD, ids=lambda v: str(v)[:40] if isinstance(v, (dict, str)) else "")
def play_bad_body_is_told_by_field(shared, body, status, code, param):
    before = mock_stats(shared.mock)["requests"]
    a = post(shared, body if isinstance(body, dict) else body.encode())
    e = a.json["error"]
    assert (a.status, e["code"], e["param"]) == (status, code, param), a.text
    assert e["message"] and e["type"] == "invalid_request_error" and a.headers["x-request-id"]
    assert e["param"] is None or e["param"].split("[")[0].split(".")[0] in e["message"] or status == 404
    assert mock_stats(shared.mock)["requests"] == before, "nothing may reach the provider"


def play_bad_http(shared):
    g = shared
    auth = f"Authorization: Bearer {g.key}\r\n"
    cases = [
        (f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nHost: y\r\n{auth}\r\n", 400), (f"POST {CHAT} HTTP/1.1\r\n{auth}\r\n", 400),
        (f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n{auth}{auth}\r\n", 400), (f"GET {CHAT} HTTP/1.1\r\nHost: x\r\n{auth}\r\n", 405),
        (f"DELETE /v1/models HTTP/1.1\r\nHost: x\r\n{auth}\r\n", 405), (f"GET /nothing HTTP/1.1\r\nHost: x\r\n{auth}\r\n", 404),
        (f"BREW {CHAT} HTTP/1.1\r\nHost: x\r\n\r\n", 501), ("GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505), ("\x16\x03\x01\x02\x00", 400),
        ("GET /" + "a" * 9000 + " HTTP/1.1\r\nHost: x\r\n\r\n", 414), ("GET / HTTP/1.1\r\nHost: x\r\nX: " + "b" * 40000 + "\r\n\r\n", 431),
        (f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: 99999999999\r\n\r\n", 413),
    ]
    for raw, status in cases:
        got = talk(g.port, raw.encode("latin-1"), 5, is_last=False)
        assert got.startswith(b"HTTP/1.1 %d " % status), (raw[:90], got[:200])
        body = json.loads(got.split(b"\r\n\r\n", 1)[1])
        assert body["error"]["message"] and body["error"]["type"], raw[:90]
        assert b"\r\nallow: " in got.lower() or status != 405
    too_long = json.dumps({**chat_body(), "p": "x" * (33 << 20)}).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: {len(too_long)}\r\nExpect: 100-continue\r\n\r\n"
    got = talk(g.port, head.encode(), 5, is_last=False)
    assert got.startswith(b"HTTP/1.1 413 ") and b"request_too_large" in got and b"100 Continue" not in got
    chunks = (b"%x\r\n%s\r\n" % (1 << 20, b" " * (1 << 20))) * 33 + b"0\r\n\r\n"
    got = talk(g.port, f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n{auth}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks, 10, is_last=False)
    assert got.startswith(b"HTTP/1.1 413 ") or got == b"", got[:200]


def messages(text):
    return '"messages":[{"role":"user","content":%s}]' % text


AMBIGUOUS = [
    '{"model":"mock-1","model":"other-name",' + messages('"a"') + "}",
    '{"model":"mock-1","mod\\u0065l":"other-name",' + messages('"a"') + "}",
    '{"model":"mock-1","Model":"other-name",' + messages('"a"') + "}",
    '{"model":"mock-1","MODEL":"other-name",' + messages('"a"') + "}",
    '{"model":"mock-1","\u017ftream":true,' + messages('"a"') + "}",
    '{"model":"mock-1","messages":[{"role":"user","content":"a","content":"b"}]}',
    '{"model":"mock-1","messages":[{"role":"user","Content":"b","content":"a"}]}',
    '{"model":"mock-1","messages":[{"role":"user","role":"system","content":"b"}]}',
    '{"model":"mock-1","stream":true,"stream":false,' + messages('"a"') + "}",
    '{"model":"mock-1","stream":true,"stream_options":{"include_usage":true,"include_usage":false},' + messages('"a"') + "}",
    '{"model":"mock-1",' + messages('"\\ud800"') + "}", '{"model":"mock-1",' + messages('"\\udc00\\ud800"') + "}",
    '{"model":"mock-1","seed":1e999,' + messages('"a"') + "}", '{"model":"mock-1","seed":-1e999,' + messages('"a"') + "}",
    '{"model":"mock-1","seed":01,' + messages('"a"') + "}", '{"model":"mock-1","seed":1.,' + messages('"a"') + "}",
    '{"model":"mock-1","seed":NaN,' + messages('"a"') + "}", '{"model":"mock-1","seed":Infinity,' + messages('"a"') + "}",
    '{"model":"mock-1",' + messages('"a"') + ",}", '{"model":"mock-1",/**/' + messages('"a"') + "}",
    '{"model":"mock-1",' + messages('"a\tb"') + "}", '{"model":"mock-1",' + messages('"\\x41"') + "}",
    b'{"model":"mock-1",' + messages('"').encode()[:-2] + b'\xff"}]}', b'{"model":"mock-1",' + messages('"').encode()[:-2] + b'\xc0\xaf"}]}',
    b'{"model":"mock-1",' + messages('"').encode()[:-2] + b'\xed\xa0\x80"}]}',
    '{"model":"mock-1",' + messages('"a"') + '}{"model":"other-name"}', '{"model":"mock-1",' + messages('"a"') + "}\x00",
    '{"model":"mock-1","a":{"b":1,"b":2},' + messages('"a"') + "}", '{"model":"mock-1","":1,"":2,' + messages('"a"') + "}",
    '{"model":"mock-1","seed":12345678901234567890123,' + messages('"a"') + "}", '{"model":"mock-1","seed":1e-999,' + messages('"a"') + "}",
    '{"model":"mock-1","seed":-0,' + messages('"\\u0000"') + "}", '{"model":"mock-1","s\\u0065ed":5,' + messages('"\\ud83d\\ude00\\u00e9"') + "}",
    '{"__proto__":{"model":"other-name"},"model":"mock-1",' + messages('"a"') + "}",
]
READERS = {
    "python": ["python3", "-c", "import json,sys\nd=json.loads(sys.stdin.buffer.read())\n"
               "print(json.dumps([d.get('model'),d['messages'][0].get('content'),d['messages'][0].get('role'),bool(d.get('stream'))]))"],
    "node": ["node", "-e", "const d=JSON.parse(require('fs').readFileSync(0,'utf8'));"
             "console.log(JSON.stringify([d.model,d.messages[0].content,d.messages[0].role,!!d.stream]))"],
    "go": ["go", "run", "reader.go"],
}
GO = """package main
import ("encoding/json";"fmt";"io";"os")
type message struct { Role string `json:"role"`; Content string `json:"content"` }
type chat struct { Model string `json:"model"`; Stream bool `json:"stream"`; Messages []message `json:"messages"` }
func main() {
	b, _ := io.ReadAll(os.Stdin); var c chat
	if json.Unmarshal(b, &c) != nil { os.Exit(1) }
	out, _ := json.Marshal([]any{c.Model, c.Messages[0].Content, c.Messages[0].Role, c.Stream}); fmt.Println(string(out))
}
"""


def readings(body, where):
    """What other readers understand; None = refused."""
    out = {}
    for name, argv in READERS.items():
        if not shutil.which(argv[0]):
            continue
        (where / "reader.go").write_text(GO)
        r = subprocess.run(argv, input=body, capture_output=True, cwd=where, timeout=60)
        out[name] = json.loads(r.stdout) if r.returncode == 0 else None
    return out


def play_one_meaning_for_all_readers(shared, tmp_path):
    """A body that any reader takes differently, or refuses, must be refused; what we admit all read as we do."""
    admitted = 0
    for body in AMBIGUOUS:
        raw = body if isinstance(body, bytes) else body.encode()
        a = post(shared, raw)
        if a.status == 400:
            assert a.json["error"]["code"] == "invalid_json", (raw, a.text)
            continue
        assert a.status == 200, (raw, a.text)
        admitted += 1
        ours = [json.loads(last_request(shared.mock)[1])["model"], json.loads(raw)["messages"][0]["content"], "user", False]
        for name, theirs in readings(raw, tmp_path).items():
            assert theirs == ours, f"{name} reads {theirs}, we {ours}: {raw}"
    assert 3 <= admitted <= 6, "the harmless ones pass, all others are refused"


def play_keep_alive_and_pipelining(shared):
    g = shared
    body = json.dumps(chat_body()).encode()
    one = (f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {g.key}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body
    got = talk(g.port, one * 2 + one.replace(b"\r\n", b"\r\nConnection: close\r\n", 1), 10, is_last=False)
    assert got.count(b"HTTP/1.1 200 ") == 3 and got.count(b"chatcmpl-mock-") == 3
    old = one.replace(b"HTTP/1.1", b"HTTP/1.0")
    got = talk(g.port, old, 10, is_last=False)
    assert got.startswith(b"HTTP/1.1 200 ") and b"connection: close" in got.lower()
    stream = json.dumps(chat_body(stream=True)).encode()
    old = (f"POST {CHAT} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {g.key}\r\nContent-Length: {len(stream)}\r\n\r\n").encode() + stream
    got = talk(g.port, old, 10, is_last=False)
    head, rest = got.split(b"\r\n\r\n", 1)
    assert b"chunked" not in head.lower() and rest.startswith(b"data: {") and rest.endswith(b"data: [DONE]\n\n"), got[:400]
