"""Providers that fail in every way: what the client is told, what the record says, when another deployment answers unseen, and that
nothing of the provider's address or of our credential comes through."""
import contextlib
import http.client
import json
import socket
import threading

import pytest

from client import Stream, chat_body, mock_stats, mock_tell, next_fault
from harness import Answer, free_port, http_ask, until
from trail import settled

CHAT = "/v1/chat/completions"
SECRET = "sk-mock-credential"
PROVIDER = """
{{kind: provider, id: {id}, type: openai-compatible, base_url: "{url}", {allow} connect_timeout: 600ms, first_token_timeout: {first},
  idle_timeout: 700ms, queue_timeout: 500ms, total_timeout: 8s}}
---
{{kind: credential, id: {id}, provider: {id}, secret: sk-mock-credential}}
---
{{kind: deployment, id: {id}, provider: {id}, credential: {id}, upstream_model: {upstream}, probe: none, activation: immediate}}
---
{{kind: model, id: {id}, targets: [{{deployment: {id}}}]}}
"""


def provider(g, name, url, allow="allow_private: [127.0.0.1/32],", first="1s", upstream="mock-1"):
    g.ctl("apply", "-f", "-", stdin=PROVIDER.format(id=name, url=url, allow=allow, first=first, upstream=upstream))


def setup(g):
    provider(g, "quick", g.mock.url)
    provider(g, "bad", g.mock.url, upstream="bad-1")
    g.ctl("apply", "-f", "-", stdin="""
{kind: model, id: duo, targets: [{deployment: bad, priority: 0}, {deployment: quick, priority: 1}]}
""")


@pytest.fixture(autouse=True)
def no_rules_left(shared):
    mock_tell(shared.mock, "reset", {})
    yield


def ask(g, model="quick", text="hello", timeout=30, **more):
    """The answer, however it ended; `is_cut` says that its framing was broken off."""
    c = http.client.HTTPConnection("127.0.0.1", g.port, timeout=timeout)
    with contextlib.closing(c):
        c.request("POST", CHAT, json.dumps(chat_body(text, model, **more)), {"Authorization": f"Bearer {g.key}"})
        r = c.getresponse()
        try:
            body, is_cut = r.read(), False
        except http.client.IncompleteRead as e:
            body, is_cut = e.partial, True
    a = Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, body)
    a.is_cut = is_cut
    return a


def record(g, request_id):
    return settled(g.data, [request_id]).end(request_id)


def check_clean(g, a, rec=None):
    """No secret, no address, no words of a strange page."""
    seen = a.body + json.dumps(a.headers).encode() + json.dumps(rec or {}).encode()
    for word in (SECRET.encode(), b"127.0.0.1:", b"169.254", b"<html", b"nginx", b"stolen", b"evil", g.key.encode()):
        assert word not in seen, (word, seen[:600])


WHOLE = [  # fault, status, code, row of errors.def
    ("400", 400, "invalid_value", "UP_BAD_REQUEST"), ("401", 502, "upstream_auth_failed", "UP_AUTH"),
    ("402", 502, "upstream_insufficient_quota", "UP_BILLING"), ("403", 502, "upstream_permission_denied", "UP_PERMISSION"),
    ("404", 502, "upstream_model_not_found", "UP_NOT_FOUND"), ("408", 504, "upstream_timeout", "UP_TIMEOUT"),
    ("413", 413, "request_too_large", "TOO_BIG"), ("422", 400, None, "UP_BAD_REQUEST"),
    ("429", 429, "rate_limit_exceeded", "UP_LIMIT"), ("quota", 502, "upstream_insufficient_quota", "UP_BILLING"),
    ("context", 400, "context_length_exceeded", "UP_CONTEXT"), ("filter", 400, "content_filter", "UP_FILTERED"),
    ("500", 502, "upstream_error", "UP_SERVER"), ("502", 502, "upstream_error", "UP_SERVER"), ("503", 503, "overloaded", "UP_OVERLOADED"),
    ("504", 504, "upstream_timeout", "UP_TIMEOUT"), ("529", 503, "overloaded", "UP_OVERLOADED"),
    ("html", 502, "upstream_protocol_error", "UP_GARBLED"), ("html-502", 502, "upstream_error", "UP_SERVER"),
    ("empty", 502, "upstream_protocol_error", "UP_GARBLED"), ("204", 502, "upstream_protocol_error", "UP_GARBLED"),
    ("truncated-json", 502, "upstream_protocol_error", "UP_GARBLED"), ("deep-json", 502, "upstream_protocol_error", "UP_GARBLED"),
    ("gzip", 502, "upstream_protocol_error", "UP_GARBLED"), ("silent", 504, "upstream_timeout", "UP_TIMEOUT"),
    ("close", 502, "upstream_reset", "UP_RESET"), ("rst", 502, "upstream_reset", "UP_RESET"), ("slow-head", 504, "upstream_timeout", "UP_TIMEOUT"),
    ("garbage", 502, "upstream_protocol_error", "UP_GARBLED"), ("garbage-status", 502, "upstream_protocol_error", "UP_GARBLED"),
    ("redirect", 502, "upstream_redirect", "UP_REDIRECT"), ("1xx-flood", 502, "upstream_protocol_error", "UP_GARBLED"),
    ("header-flood", 502, "upstream_too_large", "UP_TOO_BIG"), ("header-huge", 502, "upstream_too_large", "UP_TOO_BIG"),
    ("both-lengths", 502, "upstream_protocol_error", "UP_GARBLED"), ("cut-body", 502, "upstream_truncated", "UP_CUT"),
    ("echo-auth", 502, "upstream_auth_failed", "UP_AUTH"),
]


@pytest.mark.parametrize("fault,status,code,row", WHOLE, ids=[w[0] for w in WHOLE])
def play_whole_answer(shared, fault, status, code, row):
    g = shared
    next_fault(g.mock, fault, 5)
    a = ask(g)
    assert a.status == status, a.text
    e = a.json["error"]
    assert code is None or e["code"] == code, a.text
    # a provider that hangs up without an answer may be a pooled connection that had ended: asked once more on a fresh one
    tries = ("1", "2") if fault in ("rst", "close") else ("1",)
    assert e["message"] and a.headers["x-llmgw-attempts"] in tries
    if status >= 500:
        assert a.headers["x-request-id"] in e["message"] and a.headers["x-should-retry"] == "false"
    if fault == "429":
        assert a.headers["retry-after"] == "2" and a.headers["retry-after-ms"] == "2000"
    r = record(g, a.headers["x-request-id"])
    assert (r["status"], r["error"], r.get("cost_nanousd", 0)) == (status, row, 0)
    check_clean(g, a, r)
    assert mock_stats(g.mock)["chat"] <= len(tries), "not tried again at the same place"


@pytest.mark.parametrize("fault", ["1xx", "until-close", "extra-bytes", "header-injection", "close-idle", "stale"])
def play_harmless(shared, fault):
    g = shared
    for _ in range(3):
        a = ask(g, text=f"mock: fault={fault}")
        assert a.status == 200 and (a.json.get("choices") or fault == "extra-bytes"), a.text
        check_clean(g, a)
    assert "set-cookie" not in a.headers and "server" not in a.headers


def play_stale_connection_is_not_seen(shared):
    """The provider closes a pooled connection as it is used again: tried once more on a fresh one, which costs no retry."""
    g = shared
    for _ in range(4):
        assert ask(g, text="mock: fault=stale").status == 200
    for _ in range(4):
        a = ask(g)
        assert a.status == 200, a.text
    logs = g.logs("--limit", "8")
    assert all(r["status"] == 200 for r in logs)


STREAM = [  # fault, client's status, row, text before
    ("cut-stream", 200, "UP_CUT", "word0 word1 word2 "), ("stall", 200, "UP_STALLED", "word0 word1 word2 "),
    ("inline-error-mid", 200, "UP_SERVER", "word0 word1 word2 "), ("huge-line", 502, "UP_TOO_BIG", ""),
    ("inline-error", 502, "UP_SERVER", ""), ("slow-first", 504, "UP_TIMEOUT", ""), ("chunk-overflow", 502, "UP_GARBLED", ""),
    ("chunk-huge", 502, "UP_TOO_BIG", ""), ("html", 502, "UP_GARBLED", ""), ("empty", 502, "UP_GARBLED", ""), ("silent", 504, "UP_TIMEOUT", ""),
    ("rst", 502, "UP_RESET", ""), ("500", 502, "UP_SERVER", ""), ("429", 429, "UP_LIMIT", ""), ("redirect", 502, "UP_REDIRECT", ""),
    ("garbage", 502, "UP_GARBLED", ""), ("echo-auth", 502, "UP_AUTH", ""),
]


@pytest.mark.parametrize("fault,status,row,text", STREAM, ids=[s[0] for s in STREAM])
def play_stream(shared, fault, status, row, text):
    g = shared
    next_fault(g.mock, fault, 5)
    a = ask(g, stream=True)
    assert a.status == status, a.text[:500]
    r = record(g, a.headers["x-request-id"])
    assert (r["status"], r["error"]) == (status, row), dict(r)
    check_clean(g, a, r)
    if status != 200:
        assert a.json["error"]["message"]
        return
    assert a.is_cut, "and the framing says it too"
    events = [e[6:] for e in a.text.split("\n\n") if e.startswith("data: ")]
    assert "[DONE]" not in events and json.loads(events[-1])["error"]["type"], "the last event is the error, in the client's dialect"
    assert "".join(json.loads(e)["choices"][0]["delta"].get("content") or "" for e in events[:-1]) == text


def play_cut_is_seen_as_a_cut(shared):
    """A client that only looks at the framing sees that a cut stream is not whole."""
    s = Stream(shared, "mock: fault=cut-stream", model="quick").rest()
    assert s.status == 200 and s.end == "cut" and b"[DONE]" not in s.events


@pytest.mark.parametrize("fault", ["no-done", "crlf", "split", "trailers", "no-usage"])
def play_odd_but_whole_streams(shared, fault):
    g = shared
    next_fault(g.mock, fault)
    s = Stream(g, model="quick").rest()
    assert s.status == 200 and (s.end == "done" or fault == "no-done"), (s.end, s.events[-1])
    assert s.text() in ("hi", "h\u00e9llo", "".join(f"word{i} " for i in range(16)))
    assert record(g, s.id)["status"] == 200 and not record(g, s.id).get("error")


FAILOVER = ["401", "402", "403", "404", "408", "429", "quota", "500", "502", "503", "504", "529", "html", "html-502", "empty", "truncated-json",
            "silent", "close", "rst", "slow-head", "garbage", "garbage-status", "redirect", "1xx-flood", "header-flood", "both-lengths",
            "echo-auth"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", [*FAILOVER, "inline-error", "slow-first"])
def play_failover_unseen(shared, fault, stream):
    if not stream and fault in ("inline-error", "slow-first") or stream and fault == "truncated-json":
        return  # of streams only, or of whole answers only
    g = shared
    # a connection that ends without an answer may be a pooled one that had ended: asked once more there, on a fresh one
    is_stale = fault in ("close", "rst")
    next_fault(g.mock, fault, 2 if is_stale else 1, model="bad-1")
    a = ask(g, "duo", stream=stream)
    assert a.status == 200, a.text
    assert a.headers["x-llmgw-deployment"] == "quick" and a.headers["x-llmgw-attempts"] in (("2", "3") if is_stale else ("2",))
    assert (a.body.endswith(b"data: [DONE]\n\n") if stream else a.json["choices"]) and b"error" not in a.body
    r = record(g, a.headers["x-request-id"])
    log = json.loads(r["attempt_log"])
    assert [x["deployment"] for x in log] == ["bad"] * (len(log) - 1) + ["quick"] and "error" in log[0] and "error" not in log[-1]
    assert (r["attempts"], r["deployment"], r["is_retry_hidden"], r["status"]) == (len(log), "quick", True, 200) and not r.get("error")
    check_clean(g, a, r)


@pytest.mark.parametrize("fault", ["400", "context", "filter", "422", "413"])
def play_no_failover_for_the_clients_own_fault(shared, fault):
    g = shared
    next_fault(g.mock, fault, model="bad-1")
    a = ask(g, "duo")
    assert a.status in (400, 413) and a.headers["x-llmgw-attempts"] == "1" and mock_stats(g.mock)["chat"] == 1


@pytest.mark.parametrize("fault", ["cut-stream", "stall", "inline-error-mid"])
def play_no_failover_after_content(shared, fault):
    g = shared
    next_fault(g.mock, fault, model="bad-1")
    a = ask(g, "duo", stream=True)
    assert a.status == 200 and a.is_cut and a.headers["x-llmgw-deployment"] == "bad" and b"[DONE]" not in a.body
    assert record(g, a.headers["x-request-id"])["attempts"] == 1 and mock_stats(g.mock)["chat"] == 1


def play_all_deployments_fail(shared):
    g = shared
    next_fault(g.mock, "500", model="bad-1")
    next_fault(g.mock, "503", model="mock-1")
    a = ask(g, "duo")
    assert a.status == 503 and a.headers["x-llmgw-attempts"] == "2" and a.headers["x-should-retry"] == "false"


def play_refused_and_unreachable(shared):
    g = shared
    provider(g, "closed", f"http://127.0.0.1:{free_port()}/v1")
    a = ask(g, "closed")
    assert (a.status, a.json["error"]["code"]) == (502, "upstream_connect_refused")
    check_clean(g, a, record(g, a.headers["x-request-id"]))
    with socket.socket() as full, socket.socket() as one, socket.socket() as two, socket.socket() as three:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for s in (one, two, three):  # nobody accepts: the queue is full, further SYNs are dropped
            s.setblocking(False)
            s.connect_ex(full.getsockname())
        provider(g, "hole", f"http://127.0.0.1:{full.getsockname()[1]}/v1")
        a = ask(g, "hole")
        assert (a.status, a.json["error"]["code"]) == (504, "upstream_connect_timeout")
    provider(g, "nowhere", "http://does-not-exist.invalid/v1")
    a = ask(g, "nowhere")
    assert (a.status, a.json["error"]["code"]) == (502, "upstream_dns_failed"), a.text
    assert "does-not-exist" not in a.text


def play_private_addresses_are_refused(shared):
    """Without allow_private nothing private is reached, by number or by name, and nothing is sent there."""
    g = shared
    port = g.mock.port
    for n, host in enumerate(["127.0.0.1", "localhost", "169.254.169.254", "10.1.2.3", "192.168.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"]):
        provider(g, f"private{n}", f"http://{host}:{port}/v1", allow="")
        a = ask(g, f"private{n}")
        assert (a.status, a.json["error"]["code"]) == (502, "upstream_address_denied"), (host, a.text)
        check_clean(g, a)
    provider(g, "narrow", f"http://127.0.0.1:{port}/v1", allow="allow_private: [127.0.0.2/32],")
    assert ask(g, "narrow").json["error"]["code"] == "upstream_address_denied"
    assert mock_stats(g.mock)["chat"] == 0


def play_echoed_credential_never_comes_through(shared):
    """401 with our key in body and headers, a good answer and a stream that say it."""
    g = shared
    for stream in (False, True):
        for fault in ("echo-auth", "echo-auth-ok"):
            a = ask(g, text=f"mock: fault={fault}", stream=stream)
            seen = a.body + json.dumps(a.headers).encode()
            if fault == "echo-auth":
                assert SECRET.encode() not in seen and a.status == 502
            assert "x-echo" not in a.headers and "www-authenticate" not in a.headers
            r = record(g, a.headers["x-request-id"])
            assert SECRET not in json.dumps(r)
    assert SECRET not in g.log() and SECRET not in json.dumps(g.logs("--limit", "1000"))


def play_answer_before_the_body_was_sent(shared):
    g = shared
    next_fault(g.mock, "early")
    body = json.dumps({**chat_body(model="quick"), "padding": "x" * 8_000_000}).encode()
    a = http_ask("POST", g.url + CHAT, body, {"Authorization": f"Bearer {g.key}"})
    assert a.status == 413 and a.json["error"]["code"] == "request_too_large"
    assert ask(g).status == 200


def play_huge_answer_is_relayed_in_bounded_memory(shared):
    g = shared
    before = max(w["rss_bytes"] for w in g.status()["workers"])
    provider(g, "bulk", g.mock.url, first="20s")
    a = ask(g, "bulk", text="mock: fault=huge-json bytes=60000000", timeout=60)
    assert a.status == 502 or (a.status == 200 and a.is_cut), "what is not JSON to its end does not end well"
    after = until(lambda: max(w["rss_bytes"] for w in g.status()["workers"]), 2)
    assert after - before < 60 << 20, (before, after)


def play_crowd_of_failures_leaves_no_trace(shared):
    """Many broken answers at once; afterwards all is as before."""
    g = shared
    next_fault(g.mock, "rst", 30)
    next_fault(g.mock, "cut-body", 30)
    next_fault(g.mock, "garbage", 30)
    statuses = []

    def run():
        for _ in range(30):
            statuses.append(ask(g).status)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert set(statuses) <= {200, 502} and 60 <= statuses.count(502) <= 90 and len(statuses) == 180
    until(lambda: sum(w["requests_in_flight"] for w in g.status()["workers"]) == 0, 5)
    assert ask(g).status == 200
