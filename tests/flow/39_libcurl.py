"""Providers over HTTP/2 and through forward proxies (libcurl, docs/adr/0013): the same promises as over the native client. The gateway runs
with a proxy in its environment that must never be asked."""
import base64
import json
import os
import pathlib
import threading

import pytest

from authority import Authority
from client import Load, Stream, chat_body
from forward_proxy import ForwardProxy
from h2_provider import H2
from harness import Gateway, Mock, http_ask, until

SECRET, PROXY_SECRET = "sk-over-libcurl-0123456789", "walker:proxy-canary-5f3a9c7d"


def objects(name, url, ca=None, **more):
    return [{"kind": "provider", "id": name, "type": "openai-compatible", "base_url": url, "allow_private": ["127.0.0.0/8", "::1/128"],
             "connect_timeout": "2s", "first_token_timeout": "1500ms", "idle_timeout": "700ms", "total_timeout": "60s",
             **({"ca_pem": ca} if ca else {}), **more},
            {"kind": "credential", "id": name, "provider": name, "secret": SECRET},
            {"kind": "deployment", "id": name, "provider": name, "credential": name, "upstream_model": "mock-1", "probe": "none", "activation": "immediate"},
            {"kind": "model", "id": name, "targets": [{"deployment": name}]}]


def put(g, name, url, ca=None, **more):
    a = g.admin("POST", "config:apply", objects(name, url, ca, **more))
    assert a.status == 200, a.text


def put_proxy(g, name, url, proxy, ca=None, secret=None, **more):
    """A provider behind a proxy; the credential of the proxy belongs to the provider, so it comes second."""
    put(g, name, url, ca, proxy=proxy, **more)
    if secret:
        for a in (g.admin("PUT", f"credentials/{name}-proxy", {"provider": name, "secret": secret}),
                  g.admin("PATCH", f"providers/{name}", {"proxy_credential": f"{name}-proxy"})):
            assert a.status in (200, 201), a.text


def code(a):
    return a.json["error"]["code"]


@pytest.fixture(scope="module")
def g(tmp_path_factory):
    where = tmp_path_factory.mktemp("libcurl")
    trap = ForwardProxy()
    ca = Authority(where / "ca")
    ca.sign("good", "localhost")
    ca.sign("other", "api.example.com")
    h2 = H2(ca, "good")
    mock = Mock(where)
    mock.start()
    tls = Mock(where / "tls", extra=["--tls-cert", str(ca.folder / "good.pem"), "--tls-key", str(ca.folder / "good.key")])
    tls.where.mkdir()
    tls.start()
    tls.url = f"https://localhost:{tls.port}/v1"
    names = ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")
    os.environ.update(dict.fromkeys(names, trap.url))
    # what AddressSanitizer keeps of freed memory would count as held
    names += ("ASAN_OPTIONS",)
    os.environ["ASAN_OPTIONS"] = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "quarantine_size_mb=4:thread_local_quarantine_size_kb=64"]))
    gw = Gateway(where, mock=mock)
    try:
        gw.start()
        for n in names:
            os.environ.pop(n)
        gw.trap, gw.ca, gw.h2, gw.tls = trap, ca, h2, tls
        put(gw, "h2", h2.url, ca.pem, http_version="2")
        gw.pids = {w["pid"] for w in gw.processes("worker")}
        yield gw
        assert trap.lines() == [], "the environment's proxy was asked"
        assert {w["pid"] for w in gw.processes("worker")} == gw.pids, "a worker died"
        assert "ERROR: AddressSanitizer" not in gw.log()
    finally:
        for n in names:
            os.environ.pop(n, None)
        gw.finish()
        for m in (mock, tls, h2, trap):
            m.stop()


# --- HTTP/2 ---
@pytest.mark.smoke
def play_whole_and_streamed(g):
    a = g.chat("two words", model="h2")
    assert a.status == 200 and a.json["choices"][0]["message"]["content"] == "two words", a.text
    s = Stream(g, "over http two", model="h2").rest()
    assert s.end == "done" and s.text() == "overhttptwo"
    sent = g.h2.seen()["headers"]
    assert sent["authorization"] == f"Bearer {SECRET}" and sent["accept-encoding"] == "identity" and "expect" not in sent
    assert sent[":path"] == "/v1/chat/completions" and "cookie" not in sent
    big = g.chat("h2: big=3000000", model="h2")
    assert big.status == 200 and len(big.json["choices"][0]["message"]["content"]) == 3_000_000


def play_many_streams_share_a_connection(g):
    before = g.h2.seen()["connections"]
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(g.chat("h2: wait=400", model="h2").status)) for _ in range(60)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    seen = g.h2.seen()
    assert answers == [200] * 60
    assert seen["most"] >= 30, "streams run side by side"
    assert seen["connections"] - before <= 4, "over few connections"


def play_a_client_that_leaves_ends_its_stream_alone(g):
    """The provider hears of it at once: by RST_STREAM, or with the last stream of a connection by its end. Four streams over two workers, so
    that there are both."""
    stay, leave = [Stream(g, "h2: drip", model="h2") for _ in range(4)], [Stream(g, "h2: drip", model="h2") for _ in range(4)]
    for s in stay + leave:
        assert s.next()
    assert g.h2.seen()["now"] == 8
    for s in leave:
        s.close()
    until(lambda: g.h2.seen()["now"] == 4, 5, "the provider has ended four streams")
    resets = g.h2.seen()["resets"]
    assert resets and {c for _, c in resets} <= {5, 8}, resets  # STREAM_CLOSED or CANCEL
    for s in stay:
        for _ in range(10):
            assert s.next(), "the other streams go on"
        s.close()
    until(lambda: g.h2.seen()["now"] == 0, 5, "all streams are over")


@pytest.mark.parametrize("what,status,word", [("rst", 502, "upstream_reset"), ("close", 502, "upstream_reset"), ("silent", 504, "upstream_timeout")])
def play_no_answer(g, what, status, word):
    a = g.chat(f"h2: {what}", model="h2")
    assert (a.status, code(a)) == (status, word), a.text
    assert g.chat("fine", model="h2").status == 200


@pytest.mark.parametrize("what", ["rst-mid", "close-mid", "stall"])
def play_half_an_answer(g, what):
    s = Stream(g, f"h2: {what}", model="h2").rest()
    assert s.status == 200 and s.text() == "one" and b"[DONE]" not in s.events
    assert b"error" in s.events[-1], s.events
    assert g.chat("fine", model="h2").status == 200


def play_goaway(g):
    """A stream that GOAWAY does not count in was not served: the request goes again over a new connection, here with the same fate. After
    one that came behind an answer nothing is lost."""
    for _ in range(5):
        a = g.chat("h2: goaway-after", model="h2")
        assert a.status == 200, a.text
    a = g.chat("h2: goaway", model="h2")
    assert a.status == 502 and code(a) in ("upstream_reset", "upstream_stale_connection", "upstream_protocol_error"), a.text
    assert g.chat("fine", model="h2").status == 200


def pss(g):
    rollups = [pathlib.Path(f"/proc/{w['pid']}/smaps_rollup").read_text() for w in g.processes("worker")]
    return sum(int(line.split()[1]) for r in rollups for line in r.splitlines() if line.startswith("Pss:")) * 1024


def play_slow_clients_hold_little(g):
    """Four clients that do not read: the provider is stopped long before it has sent everything, and others are served meanwhile."""
    size, before = 200_000_000, pss(g)
    total = sum(g.h2.seen()["sent"].values())
    slow = [Stream(g, f"h2: flood={size}", model="h2") for _ in range(4)]
    for s in slow:
        assert s.next()

    def is_quiet():
        a = sum(g.h2.seen()["sent"].values())
        g.chat("meanwhile", model="h2")
        return sum(g.h2.seen()["sent"].values()) - a < 10_000
    until(is_quiet, 40, "the provider is stopped")
    sent, grown = sum(g.h2.seen()["sent"].values()) - total, pss(g) - before
    assert sent < 4 * 40_000_000, f"{sent} bytes were taken from the provider"
    assert grown < 4 * 40_000_000, f"{grown} bytes more in the workers"
    assert g.chat("still here", model="h2").status == 200
    for s in slow:
        s.close()
    until(lambda: g.h2.seen()["now"] == 0, 20, "the provider's streams are reset")


def play_a_large_upload(g):
    """Multipart bodies are streamed: 24 MB of a file arrive whole."""
    edge, blob = b"edge--", os.urandom(1 << 20) * 24
    body = (b"--" + edge + b'\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--' + edge +
            b'\r\nContent-Disposition: form-data; name="model"\r\n\r\nh2\r\n--' + edge +
            b'\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + blob + b"\r\n--" + edge + b"--\r\n")
    a = http_ask("POST", g.url + "/v1/audio/transcriptions", body, {"Authorization": f"Bearer {g.key}", "Content-Type": "multipart/form-data; boundary=edge--"}, 60)
    assert a.status == 200, a.text
    assert g.h2.seen()["bodies"][-1] > len(blob) and a.json["got"] == g.h2.seen()["bodies"][-1]


def play_11_where_2_is_not_offered(g):
    put(g, "fallback", g.tls.url, g.ca.pem, http_version="2")
    for _ in range(3):
        a = g.chat("plain old", model="fallback")
        assert a.status == 200, a.text
    s = Stream(g, "echo: plain old", model="fallback").rest()
    assert s.end == "done" and s.text() == "plain old"


def play_who_cannot_prove_it_gets_nothing(g):
    other = H2(g.ca, "other")
    try:
        put(g, "stranger", g.h2.url, None, http_version="2")
        put(g, "misnamed", other.url, g.ca.pem, http_version="2")
        for name in ("stranger", "misnamed"):
            a = g.chat(model=name)
            assert (a.status, code(a)) == (502, "upstream_tls_failed"), a.text
        assert other.seen()["streams"] == 0
    finally:
        other.stop()


def play_dead_and_denied(g):
    put(g, "dead", "https://localhost:1024/v1", g.ca.pem, http_version="2")
    a = g.chat(model="dead")
    assert (a.status, code(a)) == (502, "upstream_connect_refused"), a.text
    put(g, "denied", g.h2.url, g.ca.pem, http_version="2")
    g.admin("PATCH", "providers/denied", {"allow_private": []})
    n = g.h2.seen()["streams"]
    a = g.chat(model="denied")
    assert (a.status, code(a)) == (502, "upstream_address_denied"), a.text
    assert g.h2.seen()["streams"] == n


def play_under_load(g):
    with Load(g, clients=16, body=chat_body("busy", "h2")) as load:
        load.wait_for(600, 60)
    assert load.failures == [] and len(load.acked) >= 600


def play_probe_and_test_go_the_same_way(g):
    n = g.h2.seen()["streams"]
    a = g.admin("POST", "deployments/h2:test")
    assert a.status == 200 and a.json["ok"] is True, a.text
    assert g.h2.seen()["streams"] == n + 1 and g.h2.seen()["headers"]["authorization"] == f"Bearer {SECRET}"


# --- forward proxies ---
@pytest.fixture
def proxy(request):
    p = ForwardProxy(**getattr(request, "param", {}))
    yield p
    p.stop()


def nowhere(g, *texts):
    """None of these in what the gateway printed or recorded."""
    trail = b"".join(p.read_bytes() for p in g.data.rglob("*") if p.is_file() and "segment" in str(p))
    assert trail, "there are records"
    for t in texts:
        assert t not in g.log() and t.encode() not in trail, t


@pytest.mark.smoke
@pytest.mark.parametrize("proxy", [{}, {"user": PROXY_SECRET}], indirect=True, ids=["open", "with a user"])
@pytest.mark.parametrize("scheme", ["https", "http", "h2"])
def play_through_a_proxy(g, proxy, scheme):
    name = f"via-{scheme}-{'user' if proxy.user else 'open'}"
    url = {"https": g.tls.url, "http": g.mock.url, "h2": g.h2.url}[scheme]
    put_proxy(g, name, url, proxy.url, None if scheme == "http" else g.ca.pem, PROXY_SECRET if proxy.user else None,
              http_version="2" if scheme == "h2" else "1.1")
    a = g.chat("around the corner", model=name)
    assert a.status == 200, a.text
    s = Stream(g, "a b", model=name).rest()
    assert s.end == "done"
    assert g.admin("POST", f"deployments/{name}:test").json["ok"] is True
    lines, heads = proxy.lines(), "\n".join(proxy.requests)
    if scheme == "http":
        assert lines[0] == f"POST {url}/chat/completions HTTP/1.1"
    else:
        host = url.split("/")[2]
        assert set(lines) == {f"CONNECT {host} HTTP/1.1"}
        assert SECRET not in heads, "the provider's credential is not the proxy's business"
    assert ("proxy-authorization" in heads.lower()) == bool(proxy.user)
    nowhere(g, PROXY_SECRET, PROXY_SECRET.split(":")[1], base64.b64encode(PROXY_SECRET.encode()).decode())


@pytest.mark.parametrize("proxy", [{"user": PROXY_SECRET}], indirect=True)
@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("secret", [None, "walker:wrong-canary-77aa"])
def play_a_proxy_that_wants_another_credential(g, proxy, scheme, secret):
    name = f"unknown-{scheme}-{'none' if secret is None else 'wrong'}"
    put_proxy(g, name, g.tls.url if scheme == "https" else g.mock.url, proxy.url, g.ca.pem if scheme == "https" else None, secret)
    a = g.chat(model=name)
    assert (a.status, code(a)) == (502, "upstream_proxy_failed"), a.text
    assert "407" in a.text and "proxy_credential" in a.text and "canary" not in a.text and "localhost" not in a.text, a.text
    t = g.admin("POST", f"deployments/{name}:test")
    assert t.json["ok"] is False and "canary" not in t.text, t.text
    nowhere(g, "wrong-canary-77aa", base64.b64encode(b"walker:wrong-canary-77aa").decode())


@pytest.mark.parametrize("proxy,status,word", [({"fail": 403}, 502, "upstream_proxy_failed"), ({"fail": 502}, 502, "upstream_proxy_failed"),
                                               ({"fail": "close"}, 502, None), ({"fail": "silent"}, 504, "upstream_connect_timeout")], indirect=["proxy"])
def play_a_proxy_that_fails(g, proxy, status, word):
    name = f"failing-{str(proxy.fail)}"
    put_proxy(g, name, g.tls.url, proxy.url, g.ca.pem)
    a = g.chat(model=name)
    assert a.status == status and (word is None or code(a) == word), a.text


def play_a_dead_proxy(g, proxy):
    put_proxy(g, "dead-proxy", g.tls.url, "http://localhost:1024", g.ca.pem)
    a = g.chat(model="dead-proxy")
    assert (a.status, code(a)) == (502, "upstream_connect_refused") and "proxy" in a.text, a.text


def play_a_proxy_over_tls(g):
    p = ForwardProxy(user=PROXY_SECRET, tls=(str(g.ca.folder / "good.pem"), str(g.ca.folder / "good.key")))
    try:
        put_proxy(g, "tls-proxy", g.tls.url, p.url, g.ca.pem, PROXY_SECRET)
        a = g.chat(model="tls-proxy")
        assert a.status == 200, a.text
        assert p.lines()[0].startswith("CONNECT ")
    finally:
        p.stop()


def play_egress_rules_are_about_the_proxy(g, proxy):
    put_proxy(g, "private-proxy", g.tls.url, proxy.url, g.ca.pem)
    g.admin("PATCH", "providers/private-proxy", {"allow_private": []})
    a = g.chat(model="private-proxy")
    assert (a.status, code(a)) == (502, "upstream_address_denied"), a.text
    assert proxy.lines() == []
    # an address behind the proxy is looked at as well
    put_proxy(g, "private-target", "https://169.254.169.254/v1", proxy.url, g.ca.pem)
    a = g.chat(model="private-target")
    assert (a.status, code(a)) == (502, "upstream_address_denied"), a.text
    assert proxy.lines() == []


def play_what_is_refused(g):
    base = {"type": "openai-compatible", "base_url": "https://localhost:9/v1"}
    for more, field in (({"proxy": "http://user:pass@proxy.example:3128"}, "user name"), ({"proxy": "socks5://proxy.example:1080"}, "http"),
                        ({"proxy": "http://proxy.example:3128/path"}, "host and port alone"), ({"http_version": "3"}, "http_version"),
                        ({"http_version": "2", "base_url": "http://localhost:9/v1"}, "https://"), ({"proxy_credential": "h2"}, "proxy")):
        a = g.admin("PUT", "providers/bad", {**base, **more})
        assert a.status == 400 and field in a.text, (more, a.text)
        assert "pass@" not in a.text
    a = g.admin("PUT", "providers/bad", {**base, "proxy": "http://proxy.example:3128", "proxy_credential": "h2"})
    assert a.status == 400 and "for the provider" in a.text, "the credential of another provider"


def play_tenants_set_no_proxy(g):
    g.admin("PUT", "orgs/tenant", {})
    a = g.admin("POST", "tokens", {"id": "tenant-admin", "role": "org-admin", "org": "tenant"})
    token = a.json["token"]
    a = g.admin("PUT", "providers/theirs", {"type": "openai-compatible", "org": "tenant", "base_url": "https://api.example.com/v1", "http_version": "2"}, token=token)
    assert a.status in (200, 201), a.text
    a = g.admin("PATCH", "providers/theirs", {"proxy": "http://127.0.0.1:3128"}, token=token)
    assert a.status == 403, a.text


def play_records_say_what_happened(g):
    g.chat("h2: rst", model="h2")
    until(lambda: "upstream_reset" in json.dumps(g.logs("--limit", "20")) or "UP_RESET" in json.dumps(g.logs("--limit", "20")), 10, "the record")
