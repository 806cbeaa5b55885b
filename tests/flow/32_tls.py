"""Providers over https, which is what providers are: the certificate is checked against the system's authorities or the provider's own,
by name and by date; sessions are resumed; and a credential is never sent to a peer that could not prove who it is."""
import json
import socket
import ssl
import threading
import urllib.request

import pytest

from authority import Authority
from client import Load, Stream, chat_body
from harness import Mock, http_ask, until
from trail import settled

CHAT = "/v1/chat/completions"


def tls_mock(folder, authority, cert, where):
    m = Mock(where, extra=["--tls-cert", str(authority.folder / f"{cert}.pem"), "--tls-key", str(authority.folder / f"{cert}.key")])
    m.where.mkdir(exist_ok=True)
    m.start()
    m.url = f"https://localhost:{m.port}/v1"
    return m


def provider(g, name, url, ca=None):
    objects = [{"kind": "provider", "id": name, "type": "openai-compatible", "base_url": url, "allow_private": ["127.0.0.1/32", "::1/128"],
                "connect_timeout": "1500ms", **({"ca_pem": ca} if ca else {})},
               {"kind": "credential", "id": name, "provider": name, "secret": "sk-over-tls-0123456789"},
               {"kind": "deployment", "id": name, "provider": name, "credential": name, "upstream_model": "mock-1", "probe": "none",
                "activation": "immediate"}, {"kind": "model", "id": name, "targets": [{"deployment": name}]}]
    a = g.admin("POST", "config:apply", objects)
    assert a.status == 200, a.text


def setup(g):
    g.ca = Authority(g.where / "ca")
    g.other_ca = Authority(g.where / "other-ca")
    g.ca.sign("good", "localhost")
    g.ca.sign("wrong-host", "api.example.com")
    g.ca.sign_expired("expired", "good")
    g.https = tls_mock(g.where, g.ca, "good", g.where / "https-mock")
    provider(g, "secure", g.https.url, g.ca.pem)


@pytest.fixture(scope="module", autouse=True)
def https_mock_ends(shared):
    yield
    shared.https.stop()


def stats(m):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return json.load(urllib.request.urlopen(f"https://localhost:{m.port}/mock/stats?last=1", context=context, timeout=10))


@pytest.mark.smoke
def play_chat_over_tls(shared):
    g = shared
    a = g.chat(model="secure")
    assert a.status == 200 and a.json["choices"], a.text
    s = Stream(g, "echo: over tls", model="secure").rest()
    assert s.end == "done" and s.text() == "over tls"
    before = stats(g.https)["accepted"]
    for _ in range(20):
        assert g.chat(model="secure").status == 200
    assert stats(g.https)["accepted"] - before <= 6, "connections are pooled (the count has its own)"
    big = g.chat("mock: bytes=2000000", model="secure")
    assert big.status == 200 and len(big.body) > 1_900_000


@pytest.mark.parametrize("name,cert,ca", [("tls-unknown-authority", "good", None), ("tls-other-authority", "good", "other"),
                                          ("tls-wrong-host", "wrong-host", "own"), ("tls-expired", "expired", "own")])
def play_who_cannot_prove_it_gets_nothing(shared, name, cert, ca):
    g = shared
    m = tls_mock(g.where, g.ca, cert, g.where / f"mock-{name}")
    try:
        provider(g, name, m.url, {"own": g.ca.pem, "other": g.other_ca.pem, None: None}[ca])
        a = g.chat(model=name)
        assert (a.status, a.json["error"]["code"]) == (502, "upstream_tls_failed"), a.text
        assert "localhost" not in a.text and "sk-over" not in a.text
        assert stats(m)["chat"] == 0, "not one byte of the request was sent"
        assert settled(g.data, [a.headers["x-request-id"]]).end(a.headers["x-request-id"])["error"] == "UP_TLS"
    finally:
        m.stop()


def play_plain_http_behind_https(shared):
    g = shared
    provider(g, "plain", f"https://localhost:{g.port}/v1", g.ca.pem)  # the gateway itself: a server that answers a hello with 400
    a = g.chat(model="plain")
    assert (a.status, a.json["error"]["code"]) == (502, "upstream_tls_failed"), a.text


def play_handshake_that_never_ends(shared):
    g = shared
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(16)
        provider(g, "mute", f"https://localhost:{s.getsockname()[1]}/v1", g.ca.pem)
        a = g.chat(model="mute")
        assert a.status == 504 and a.json["error"]["code"] == "upstream_connect_timeout", a.text


def play_sessions_are_resumed(shared):
    g = shared
    before = stats(g.https)["tls_resumed"]

    def burst():
        threads = [threading.Thread(target=g.chat, args=("mock: delay_ms=150",), kwargs={"model": "secure"}) for _ in range(24)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    burst()
    assert stats(g.https)["tls_resumed"] > before, "further connections take up a session"


def play_load_over_tls(shared):
    g = shared
    with Load(g, 8, body=chat_body(model="secure", stream=True)) as load:
        load.wait_for(300)
    assert load.failures == []
    settled(g.data, load.acked).check()
    until(lambda: not any(w["requests_in_flight"] for w in g.status()["workers"]), 5)
    assert http_ask("GET", g.url + "/readyz").status == 200


def play_bodies_are_streamed_over_tls(shared):
    """An upload of 20 MB and a download of 10 MB through records of 16 KiB, byte for byte."""
    auth = {"Authorization": f"Bearer {shared.key}", "Content-Type": "multipart/form-data; boundary=b", "x-llmgw-provider": "secure"}
    head = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nsecure\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = head + bytes(range(256)) * 80000 + b"\r\n--b--\r\n"
    a = http_ask("POST", shared.url + "/v1/audio/transcriptions", body, auth, timeout=120)
    assert a.status == 200 and f", {len(body)} bytes, model mock-1" in a.json["text"], a.text  # "secure" and "mock-1" are equally long
    a = http_ask("GET", shared.url + "/v1/files/file-640/content", None, auth, timeout=120)
    assert a.status == 200 and a.body == b"".join(bytes([97 + i % 26]) * 16384 for i in range(640))
