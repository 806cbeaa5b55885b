"""Behind load balancers: the PROXY protocol from those that are listed, X-Forwarded-For from those that are trusted, and what everybody
else gets for trying. The corpus goes over real sockets."""
import base64
import contextlib
import json
import socket
import time

import pytest

from client import chat_body
from harness import SHARED, Gateway, Mock, http_ask, until
from trail import settled

CASES = json.loads((SHARED / "corpora" / "proxy_protocol" / "cases.json").read_text())


def settings(g, **fields):
    a = g.admin("PATCH", "settings/default", fields)
    assert a.status == 200, a.text


def setup(g):
    settings(g, proxy_protocol_from=["127.0.0.1/32"])


def send(g, data, source="127.0.0.1", timeout=5, end=False):
    with socket.create_connection(("127.0.0.1", g.port), 20, source_address=(source, 0)) as s:
        s.settimeout(timeout)
        got = b""
        with contextlib.suppress(ConnectionError):
            s.sendall(data)
            if end:
                s.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError, TimeoutError):
            while piece := s.recv(65536):
                got += piece
                if b"\r\n\r\n" in got and b"connection: close" not in got:
                    break
        return got


def chat(g, prefix=b"", source="127.0.0.1", headers=()):
    """One chat; the client's address in its record."""
    body = json.dumps(chat_body()).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {g.key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    got = send(g, prefix + head.encode() + b"".join(h.encode() + b"\r\n" for h in headers) + b"\r\n" + body, source, 20)
    assert b" 200 OK" in got, got
    request_id = next(line.split(b": ")[1] for line in got.split(b"\r\n") if line.startswith(b"x-request-id")).decode()
    return settled(g.data, [request_id]).end(request_id)["client_ip"]


@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def play_corpus(shared, case):
    data, expect = base64.b64decode(case["raw_b64"]), case["expect"]
    source = "127.0.0.9" if case["id"] == "untrusted-peer" else "127.0.0.1"
    waits = expect.startswith("wait") or "wait" in case["note"]
    got = send(shared, data, source, 0.5 if waits else 5)
    if expect.startswith("accept"):
        assert b" 401 " in got, got  # /v1/models without a key: it was served
    elif expect == "400" or case["id"] == "untrusted-peer":
        assert got.startswith(b"HTTP/1.1 400 ") and b" 401 " not in got, got
    else:
        assert got == b"", got


def play_header_that_never_comes_is_cut(shared):
    before, begun = time.monotonic(), time.monotonic()
    assert send(shared, b"PRO", timeout=60) == b""
    assert 5 < time.monotonic() - begun < 60, before


@pytest.mark.smoke
def play_address_in_the_record(shared):
    v1 = b"PROXY TCP4 203.0.113.7 127.0.0.1 50000 8080\r\n"
    assert chat(shared, v1) == "203.0.113.7"
    assert chat(shared, b"PROXY TCP6 2001:db8::7 ::1 50000 8080\r\n") == "2001:db8::7"
    assert chat(shared, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([198, 51, 100, 4, 127, 0, 0, 1, 0xc3, 0x50, 0x1f, 0x90])) == "198.51.100.4"
    assert chat(shared, b"PROXY UNKNOWN\r\n") == "127.0.0.1"
    assert chat(shared, source="127.0.0.9") == "127.0.0.9", "who is not listed speaks for himself"
    assert chat(shared, source="127.0.0.9", headers=["X-Forwarded-For: 6.6.6.6"]) == "127.0.0.9"


def play_header_in_pieces(shared):
    data = b"PROXY TCP4 203.0.113.7 127.0.0.1 50000 8080\r\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
    with socket.create_connection(("127.0.0.1", shared.port), 20) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for b in data:
            s.sendall(bytes([b]))
        assert b" 200 OK" in s.recv(65536)
        s.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")  # no second header on a connection
        assert b" 200 OK" in s.recv(65536)


def play_limit_is_the_clients(where):
    m = Mock(where)
    m.start()
    g = Gateway(where, mock=m, workers=1)
    try:
        g.start()
        settings(g, proxy_protocol_from=["127.0.0.1/32"], max_connections_per_ip=3)
        held = []

        def hold(address):
            s = socket.create_connection(("127.0.0.1", g.port), 20)
            s.settimeout(10)
            s.sendall(f"PROXY TCP4 {address} 127.0.0.1 1000 80\r\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            with contextlib.suppress(ConnectionError):
                if s.recv(65536):
                    held.append(s)
                    return True
            s.close()
            return False
        assert [hold("203.0.113.7") for _ in range(4)] == [True, True, True, False]
        assert [hold(f"198.51.100.{i}") for i in range(8)] == [True] * 8, "others behind the same balancer are not counted with him"
        for s in held:
            s.close()
    finally:
        g.finish()
        m.stop()


def play_forwarded_for(gateway):
    g = gateway
    assert chat(g, headers=["X-Forwarded-For: 6.6.6.6"]) == "127.0.0.1", "nobody is trusted"
    settings(g, trusted_proxies=["127.0.0.1/32", "10.0.0.0/8"])
    rows = [(["X-Forwarded-For: 203.0.113.9"], "203.0.113.9"), (["X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.1.2.3"], "203.0.113.9"),
            (["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 10.1.2.3"], "203.0.113.9"), (["X-Forwarded-For: 10.1.1.1"], "10.1.1.1"),
            (["X-Forwarded-For: <script>, 10.1.1.1"], "10.1.1.1"), (["X-Forwarded-For: "], "127.0.0.1"), ([], "127.0.0.1"), (["X-Forwarded-For: [2001:db8::1]:99"], "2001:db8::1")]
    for headers, want in rows:
        assert chat(g, headers=headers) == want, headers
    assert chat(g, source="127.0.0.9", headers=["X-Forwarded-For: 6.6.6.6"]) == "127.0.0.9"
    # both: the balancer says who connected, and that one is a trusted proxy itself
    settings(g, proxy_protocol_from=["127.0.0.1/32"])
    assert chat(g, b"PROXY TCP4 10.4.4.4 127.0.0.1 1 2\r\n", headers=["X-Forwarded-For: 203.0.113.77"]) == "203.0.113.77"
    assert chat(g, b"PROXY TCP4 198.51.100.4 127.0.0.1 1 2\r\n", headers=["X-Forwarded-For: 203.0.113.77"]) == "198.51.100.4"
    settings(g, proxy_protocol_from=[])
    until(lambda: http_ask("GET", g.url + "/livez").status == 200)


@pytest.mark.parametrize("field,value", [("proxy_protocol_from", ["all"]), ("trusted_proxies", ["10.0.0.0/33"]), ("trusted_proxies", "10.0.0.0/8"), ("proxy_protocol_from", ["::/0"] * 65)])
def play_bad_settings(shared, field, value):
    a = shared.admin("PATCH", "settings/default", {field: value})
    assert a.status == 400 and field in a.text, a.text
