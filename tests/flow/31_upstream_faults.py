"""Every script of the corpus of upstream faults, played by mockllm by its own name and put before the gateway: what the client is told, what the
record says, whether another deployment answers unseen where the corpus says so, that nothing leaks and no worker dies."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

from authority import Authority
from client import chat_body, mock_stats, mock_tell, next_fault
from harness import SHARED, SLOW, Answer, Gateway, Mock, http_ask, until
from trail import settled

CORPUS = SHARED / "corpora" / "upstream_faults"
pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus of upstream faults: set LLMGW_SHARED")
CASES = {c["id"]: c for c in json.loads((CORPUS / "cases.json").read_text())} if CORPUS.is_dir() else {}
DNS = "127.0.0.77"
SECRET = "sk-of-the-faults-0123456789"

# id -> streamed?, status, code of the error. 200 with "cut": what had come stays, the end says that it is not whole.
EXPECT = {
    "refuse": (0, 502, "upstream_connect_refused"), "blackhole": (0, 504, "upstream_connect_timeout"), "accept-silent": (0, 504, "upstream_timeout"),
    "close-after-accept": (0, 502, "upstream_reset"), "rst-after-request": (0, 502, "upstream_reset"), "stale-keepalive": (0, 200, None),
    "slow-headers": (0, 504, "upstream_timeout"), "slow-first-token": (1, 504, "upstream_timeout"), "inter-token-stall": (1, 200, "cut"),
    "cut-chunked": (1, 200, "cut"), "cut-cl": (0, 502, "upstream_truncated"), "garbage-status": (0, 502, "upstream_protocol_error"),
    "garbage-bytes": (0, 502, "upstream_protocol_error"), "no-json": (0, 502, "upstream_protocol_error"),
    "truncated-json": (0, 502, "upstream_protocol_error"), "huge-json": (0, 502, None), "deep-json": (0, 502, "upstream_protocol_error"),
    "nan-usage": (0, 200, None), "429": (0, 429, "rate_limit_exceeded"), "429-storm": (0, 429, "rate_limit_exceeded"), "529": (0, 503, "overloaded"),
    "500": (0, 502, "upstream_error"), "401": (0, 502, "upstream_auth_failed"), "tls-expired": (0, 502, "upstream_tls_failed"),
    "tls-wrong-host": (0, 502, "upstream_tls_failed"), "tls-selfsigned": (0, 502, "upstream_tls_failed"), "tls-truncation": (0, 502, None),
    "tls-stall": (0, 504, "upstream_connect_timeout"), "h2-goaway": (0, 502, "upstream_protocol_error"), "chunk-huge": (1, 502, "upstream_too_large"),
    "chunk-overflow": (1, 502, "upstream_protocol_error"), "gzip-unasked": (0, 502, "upstream_protocol_error"),
    "gzip-bomb": (0, 502, "upstream_protocol_error"), "redirect": (0, 502, "upstream_redirect"), "1xx-flood": (0, 502, "upstream_protocol_error"),
    "header-flood": (0, 502, "upstream_too_large"), "header-injection": (0, 200, None), "trailers": (1, 200, None),
    "early-response": (0, 413, "request_too_large"), "dns-fail": (0, 502, "upstream_dns_failed"), "dns-slow": (0, 504, None), "dns-flip": (0, 200, None),
}


def certificates(folder):
    """A CA; what it signs well, with a date that is over, for another host; and one that signed itself."""
    ca = Authority(folder)
    ca.sign("good", "localhost")
    ca.sign("wrong-host", "api.example.com")
    ca.sign_expired("expired", "good")
    ca.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "selfsigned.key", "-out", "selfsigned.pem", "-days",
           "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    return folder


def can_replace_names():
    """A name server on port 53 and an /etc/resolv.conf of our own need root and mount namespaces."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    probe = subprocess.run(["unshare", "-m", "mount", "--bind", "/etc/hosts", "/etc/resolv.conf"], capture_output=True, check=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, contextlib.suppress(OSError):
        s.bind((DNS, 53))
        return probe.returncode == 0
    return False


class NamedGateway(Gateway):
    """One that asks our name server."""

    resolv_conf = None

    def argv(self):
        a = super().argv()
        return a if not self.resolv_conf else ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(self.resolv_conf), *a]


def objects(name, url, upstream, ca):
    private = ["127.0.0.0/8", "::1/128"]
    return [{"kind": "provider", "id": name, "type": "openai-compatible", "base_url": url, "allow_private": private, "connect_timeout": "600ms",
             "first_token_timeout": "1s", "idle_timeout": "700ms", "queue_timeout": "500ms", "total_timeout": "20s", **({"ca_pem": ca} if ca else {})},
            {"kind": "credential", "id": name, "provider": name, "secret": SECRET},
            {"kind": "deployment", "id": name, "provider": name, "credential": name, "upstream_model": upstream, "probe": "none", "activation": "immediate"},
            {"kind": "model", "id": name, "targets": [{"deployment": name}]}]


@pytest.fixture(scope="module")
def g(tmp_path_factory):
    where = tmp_path_factory.mktemp("faults")
    certs, names = certificates(where / "certs"), can_replace_names()
    m = Mock(where, extra=["--scripts", str(CORPUS), "--script-certs", str(certs), *(["--dns", f"{DNS}:53"] if names else [])])
    m.start()
    gw = NamedGateway(where, mock=m)
    if names:
        gw.resolv_conf = where / "resolv.conf"
        gw.resolv_conf.write_text(f"nameserver {DNS}\noptions timeout:1 attempts:1\n")
    gw.has_names = names
    try:
        gw.start()
        gw.scripts = {s["id"]: s for s in http_ask("GET", m.url.removesuffix("/v1") + "/mock/scripts").json}
        ca = (certs / "ca.pem").read_text()
        all_objects = objects("well", m.url, "mockup", None)
        for i, s in gw.scripts.items():
            url = s.get("url") or (f"http://{s['name']}:{m.port}/v1" if s["by"] == "name" else m.url)
            all_objects += objects(i, url, f"mock-{i}" if s["by"] == "fault" else "mockup", ca if url.startswith("https") else None)
            all_objects.append({"kind": "model", "id": f"duo-{i}", "targets": [{"deployment": i, "priority": 0}, {"deployment": "well", "priority": 1}]})
        a = gw.admin("POST", "config:apply", all_objects)
        assert a.status == 200, a.text
        gw.pids = {w["pid"] for w in gw.status()["workers"]}
        yield gw
    finally:
        try:
            gw.finish()
        finally:
            m.stop()


def ask(g, model, text="hello", timeout=60, **more):
    c = http.client.HTTPConnection("127.0.0.1", g.port, timeout=timeout)
    with contextlib.closing(c):
        c.request("POST", "/v1/chat/completions", json.dumps(chat_body(text, model, **more)), {"Authorization": f"Bearer {g.key}"})
        r = c.getresponse()
        try:
            body, cut = r.read(), False
        except http.client.IncompleteRead as e:
            body, cut = e.partial, True
    a = Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, body)
    a.is_cut = cut
    return a


def check_clean(g, a, record):
    seen = a.body + json.dumps(a.headers).encode() + json.dumps(dict(record), default=repr).encode()
    for word in (SECRET.encode(), b"127.0.0.1:", b"169.254", b"<html", b"stolen", b"evil", b".mock", g.key.encode()):
        assert word not in seen, (word, seen[:600])


def check_alive(g):
    workers = g.status()["workers"]
    assert {w["pid"] for w in workers} == g.pids and not any(w["restarts"] for w in workers), "no worker died"


def play_all_scripts_are_played(g):
    assert set(g.scripts) == set(CASES) == set(EXPECT) and len(CASES) == 42
    assert [i for i, s in g.scripts.items() if s["by"] == "certificate"] == []
    # what this file expects agrees with the corpus where that names a status
    for i, (_, status, _) in EXPECT.items():
        named = {int(x) for x in re.findall(r"(?<![\d])(413|429|502|504)(?![\d])", CASES[i]["gateway"])}
        assert not named or status in named or (i, status) in {("huge-json", 502), ("cut-cl", 502)}, (i, status, named)


def skip_names(g, i):
    if CASES[i]["id"].startswith("dns-") and not g.has_names:
        pytest.skip(f"{i}: a name server of our own needs root, port 53 and mount namespaces; tests/unit/net/resolve_test.c plays names too")


def send(g, i, model):
    stream = {"stream": True} if EXPECT[i][0] else {}
    text = "hello"
    if i == "huge-json":
        text = "mock: bytes=60000000"
    if i == "early-response":
        next_fault(g.mock, i)
        return ask(g, model, "x" * 4_000_000)
    return ask(g, model, text, **stream)


@pytest.mark.parametrize("i", EXPECT)
def play_script(g, i):
    skip_names(g, i)
    stream, status, code = EXPECT[i]
    mock_tell(g.mock, "reset", {})
    if i == "stale-keepalive":
        assert [ask(g, i).status for _ in range(5)] == [200] * 5, "the next request finds the connection dead and is sent on a fresh one"
    a = send(g, i, i)
    if i == "huge-json":
        assert a.status == 502 or a.status == 200 and a.is_cut
    elif i == "dns-slow":
        assert a.status in (502, 504), a.text
    else:
        assert a.status == status, (a.status, a.text[:500])
    r = settled(g.data, [a.headers["x-request-id"]]).end(a.headers["x-request-id"])
    assert r["status"] == a.status and bool(r.get("error")) == (a.status != 200 or code == "cut" or i == "huge-json"), dict(r)
    check_clean(g, a, r)
    if code == "cut":
        assert a.is_cut and b"[DONE]" not in a.body and b'"error"' in a.body.rsplit(b"data: ", 1)[1]
    elif a.status != 200:
        assert code is None or a.json["error"]["code"] == code, a.text
    if i == "429":
        assert a.headers["retry-after"] == "2"
    if i == "header-injection":
        assert "set-cookie" not in a.headers and "server" not in a.headers
    if i == "nan-usage":
        assert all(isinstance(r.get(k, 0), int) and 0 <= r.get(k, 0) < 10**9 for k in ("tokens_input", "tokens_output", "cost_nanousd")), dict(r)
    check_alive(g)


@pytest.mark.parametrize("i", [i for i in EXPECT if CASES and CASES[i]["retry_or_failover"].startswith("yes")])
def play_failover_where_the_corpus_says_so(g, i):
    skip_names(g, i)
    mock_tell(g.mock, "reset", {})
    a = send(g, i, f"duo-{i}")
    assert a.status == 200 and not a.is_cut, (a.status, a.text[:500])
    is_known_by_now = i == "dns-slow" and a.headers["x-llmgw-deployment"] == i  # the answer to an earlier question has come
    if i != "stale-keepalive" and not is_known_by_now:
        assert a.headers["x-llmgw-deployment"] == "well" and int(a.headers["x-llmgw-attempts"]) >= 2, a.headers
    r = settled(g.data, [a.headers["x-request-id"]]).end(a.headers["x-request-id"])
    assert r["status"] == 200 and not r.get("error")
    check_clean(g, a, r)
    check_alive(g)


@pytest.mark.parametrize("i", ["inter-token-stall", "cut-chunked"])
def play_no_failover_after_content(g, i):
    a = send(g, i, f"duo-{i}")
    assert a.status == 200 and a.is_cut and a.headers["x-llmgw-deployment"] == i


def play_storm_of_429_is_no_storm_of_retries(g):
    """Forty requests at once, all refused: no request asks the same deployment twice."""
    mock_tell(g.mock, "reset", {})
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: ask(g, "429-storm"), range(40)))
    assert {a.status for a in answers} == {429}
    assert mock_stats(g.mock)["chat"] <= 40 * 1.2, "at most a fifth more calls than requests"


def play_slow_names_hold_up_nobody(g):
    skip_names(g, "dns-slow")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        slow = [pool.submit(ask, g, "dns-slow") for _ in range(4)]
        began, n = time.monotonic(), 0
        while not all(s.done() for s in slow):
            assert ask(g, "well").status == 200
            n += 1
        took = time.monotonic() - began
    assert n >= 3 and took < 5 * SLOW, (n, took)


def play_addresses_that_change_are_followed(g):
    """flip.mock is 127.0.0.1, where the provider is, and 127.0.0.2, where nobody is, in turn; the time to live is a second."""
    skip_names(g, "dns-flip")
    seen = set()

    def both():
        seen.add(ask(g, "dns-flip", "mock: fault=close-idle").status)
        return seen >= {200, 502}
    until(both, 20, "both addresses to be used")


def play_afterwards_all_is_as_before(g):
    until(lambda: sum(w["requests_in_flight"] for w in g.status()["workers"]) == 0, 10)
    assert ask(g, "well").status == 200
    check_alive(g)
    assert SECRET not in g.log()
