"""Clients over TLS: versions, suites, names, resumption at any worker, certificates swapped under load, and what a flood of handshakes,
a slow one, garbage and plain HTTP get. The checks are those of testssl and its kin, by the tools that are there."""
import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import threading
import time

import pytest

from authority import Authority
from client import Stream, chat_body
from harness import BUILD, Gateway, Mock, free_port, http_ask, until

PORT, ADMIN_PORT = free_port(), free_port()
OPTIONS = ("--listen-tls", f"127.0.0.1:{PORT}", "--admin-listen-tls", f"127.0.0.1:{ADMIN_PORT}")


def setup(g):
    g.ca = Authority(g.where / "ca")
    g.ca.sign("a", "a.example")
    g.ca.sign("b", "b.example", "*.b.example")
    g.ca.sign("next", "a.example")
    apply(g, [g.ca.certificate("a", is_default=True), g.ca.certificate("b")])


def apply(g, objects, status=200):
    a = g.admin("POST", "config:apply", objects)
    assert a.status == status, a.text
    return a


def context(g=None, least=ssl.TLSVersion.TLSv1_2, most=ssl.TLSVersion.TLSv1_3):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.minimum_version, c.maximum_version = least, most
    if g:
        c.load_verify_locations(cadata=g.ca.pem)
    else:
        c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    return c


@contextlib.contextmanager
def connected(c, name="a.example", port=PORT, session=None, timeout=20):
    with socket.create_connection(("127.0.0.1", port), timeout) as raw, c.wrap_socket(raw, server_hostname=name, session=session) as s:
        yield s


def ask(s, path="/livez", name="a.example"):
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
    got = b""
    while b"\r\n\r\n" not in got:
        piece = s.recv(65536)
        assert piece, got
        got += piece
    return got


def shown(g, name, **how):
    """Names of the certificate that a client who asks for `name` gets."""
    with connected(context(g), "a.example", **how) if name is None else plain_context(g, name) as s:
        return {v for k, v in s.getpeercert()["subjectAltName"] if k == "DNS"}


@contextlib.contextmanager
def plain_context(g, name):
    c = context(g)
    c.check_hostname = False
    with connected(c, name) as s:
        yield s


def metric(g, name):
    text = http_ask("GET", g.admin_url + "/metrics", headers={"Authorization": f"Bearer {g.token}"}).text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("llmgw_" + name + " "))


@pytest.mark.smoke
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def play_chat_and_stream(shared, version):
    g = shared
    with connected(context(g, version, version)) as s:
        assert s.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
    c = http.client.HTTPSConnection("127.0.0.1", PORT, timeout=30, context=context(None, version, version))
    with contextlib.closing(c):
        headers = {"Authorization": f"Bearer {g.key}", "Content-Type": "application/json"}
        for _ in range(3):  # keep-alive
            c.request("POST", "/v1/chat/completions", json.dumps(chat_body("echo: over tls")), headers)
            r = c.getresponse()
            assert r.status == 200 and b"over tls" in r.read()
        c.request("POST", "/v1/chat/completions", json.dumps(chat_body("mock: bytes=3000000")), headers)
        assert len(c.getresponse().read()) > 2_900_000, "more than any queue holds"
        c.request("POST", "/v1/chat/completions", json.dumps(chat_body("mock: chunks=50", stream=True)), headers)
        assert c.getresponse().read().count(b"data: ") >= 50
        c.request("POST", "/v1/chat/completions", json.dumps(chat_body("x" * 2_000_000)), headers)
        r = c.getresponse()
        assert r.status == 200, r.read()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def play_upload_of_20_mb(shared, version):
    """A form of 20 MB through TLS arrives whole at the provider (its length), streamed and not held."""
    g, part = shared, bytes(range(256)) * (20 * 4096)
    body = (b'--b0und\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            b'--b0und\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n' + part + b"\r\n--b0und--\r\n")
    g.ctl("apply", "-f", "-", stdin="{kind: team, id: play, org: play, raw_relay: true}")
    with connected(context(g, version, version)) as s:
        s.sendall(f"POST /providers/mock/mirror HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer {g.key}\r\nConnection: close\r\n"
                  f"Content-Type: multipart/form-data; boundary=b0und\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        s.sendall(body)
        got = b""
        while piece := s.recv(65536):
            got += piece
    head, _, answer = got.partition(b"\r\n\r\n")
    assert b" 200 " in head.splitlines()[0], got[:500]
    told = json.loads(answer[answer.index(b"{"):answer.rindex(b"}") + 1])
    assert told["bytes"] == len(body), told
    pids = [w["pid"] for w in g.status()["workers"]]
    peak = max(int(next(x.split()[1] for x in open(f"/proc/{p}/status") if x.startswith("VmHWM"))) for p in pids)
    assert peak < 64 * 1024 or "asan" in str(BUILD), f"{peak} KiB: held, not streamed"


def openssl(*args):
    r = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{PORT}", "-servername", "a.example", *args], input=b"", capture_output=True,
                       timeout=60, check=False)
    return r.stdout + r.stderr


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def play_old_versions_are_refused(shared, version):
    out = openssl(version, "-cipher", "ALL:@SECLEVEL=0")
    assert b"Cipher is (NONE)" in out, out[-600:]


@pytest.mark.parametrize("suite", ["AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "NULL-SHA256", "DHE-RSA-AES128-GCM-SHA256",
                                   "ECDHE-ECDSA-DES-CBC3-SHA"])
def play_weak_suites_are_refused(shared, suite):
    out = openssl("-tls1_2", "-cipher", suite + ":@SECLEVEL=0")
    assert b"Cipher is (NONE)" in out or b"no cipher match" in out or b"cannot be set" in out.lower() or b"Error with command" in out, out[-600:]


@pytest.mark.parametrize("args,cipher", [(("-tls1_2",), b"ECDHE-ECDSA-"), (("-tls1_3",), b"TLS_"), (("-tls1_3", "-groups", "X25519"), b"TLS_"),
                                         (("-tls1_2", "-curves", "P-384:P-256"), b"ECDHE-ECDSA-")])
def play_modern_ones_are_taken(shared, args, cipher):
    out = openssl(*args)
    assert b"Cipher is " + cipher in out, out[-800:]


def play_renegotiation_is_refused(shared):
    with connected(context(None, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)) as s:
        assert b"200 OK" in ask(s)
    r = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{PORT}", "-tls1_2"], input=b"R\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n", capture_output=True,
                       timeout=60, check=False)
    out = r.stdout + r.stderr
    assert b"no renegotiation" in out.lower() or b"alert" in out.lower() or b"RENEGOTIATING" in out, out[-600:]
    assert b"alive" not in out.split(b"RENEGOTIATING")[-1] or b"no renegotiation" in out.lower()


def play_alpn(shared):
    c = context()
    c.set_alpn_protocols(["h2", "http/1.1"])
    with connected(c) as s:
        assert s.selected_alpn_protocol() == "http/1.1"
    c.set_alpn_protocols(["h2"])
    with pytest.raises((ssl.SSLError, ConnectionError)), connected(c):
        pass


def play_certificate_by_name(shared):
    g = shared
    assert shown(g, "a.example") == {"a.example"}
    assert shown(g, "b.example") == {"b.example", "*.b.example"}
    assert shown(g, "x.b.example") == {"b.example", "*.b.example"}
    assert shown(g, "X.B.Example") == {"b.example", "*.b.example"}
    for name in ("x.y.b.example", "nobody.example"):
        assert shown(g, name) == {"a.example"}, "the default"
    c = context(g)
    c.check_hostname = False
    with connected(c, None) as s:
        assert ("DNS", "a.example") in s.getpeercert()["subjectAltName"], "no name asked for"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def play_resumption_at_any_worker(shared, version):
    c = context(None, version, version)
    with connected(c) as s:
        ask(s)  # tickets of TLS 1.3 come with the first answer
        session = s.session
    reused = []
    for _ in range(24):  # each goes to one of two workers
        with connected(c, session=session) as s:
            ask(s)
            reused.append(s.session_reused)
            session = s.session
    assert all(reused), reused
    until(lambda: metric(shared, "tls_resumed_total") >= 24)


def play_plain_http_to_the_tls_port(shared):
    a = http_ask("GET", f"http://127.0.0.1:{PORT}/livez")
    assert a.status == 400 and a.json["error"]["code"] == "tls_required" and "https://" in a.json["error"]["message"], a.text
    until(lambda: metric(shared, "tls_failed_plain_http_total") >= 1)


GARBAGE = {"garbage": b"\x00\xff" * 50, "ssl2": b"\x80\x2e\x01\x00\x02" + b"\x00" * 40, "alert": b"\x15\x03\x01\x00\x02\x02\x28",
           "empty record": b"\x16\x03\x01\x00\x00" * 20, "huge record": b"\x16\x03\x01\xff\xff" + b"a" * 70000,
           "cut hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 60, "zeros": b"\x00" * 2000, "not a hello": b"\x16\x03\x03\x00\x04\x0e\x00\x00\x00"}


@pytest.mark.parametrize("name", GARBAGE)
def play_garbage(shared, name):
    with socket.create_connection(("127.0.0.1", PORT), 20) as s:
        with contextlib.suppress(OSError):  # refused while it is sent
            s.sendall(GARBAGE[name])
            s.shutdown(socket.SHUT_WR)
        got = b""
        with contextlib.suppress(OSError):
            while piece := s.recv(4096):
                got += piece
        assert b"HTTP/" not in got, got
    with connected(context(shared)) as s:
        assert b"200 OK" in ask(s), "the next client is served"


def hello():
    """The bytes of a real ClientHello."""
    out = ssl.MemoryBIO()
    o = context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="a.example")
    with pytest.raises(ssl.SSLWantReadError):
        o.do_handshake()
    return out.read()


def play_hello_in_pieces_and_slow_handshake(shared):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    o = context(shared).wrap_bio(incoming, outgoing, server_hostname="a.example")
    with socket.create_connection(("127.0.0.1", PORT), 40) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            try:
                o.do_handshake()
                break
            except ssl.SSLWantReadError:
                for b in outgoing.read():  # byte by byte
                    s.sendall(bytes([b]))
                incoming.write(s.recv(65536))
        o.write(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        s.sendall(outgoing.read())
        while True:
            incoming.write(s.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                assert b"200 OK" in o.read(65536)
                break
    before, begun = metric(shared, "tls_failed_timeout_total"), time.monotonic()
    with socket.create_connection(("127.0.0.1", PORT), 40) as s:
        s.sendall(hello()[:100])
        assert s.recv(100) == b"", "cut"
    assert time.monotonic() - begun > 5
    until(lambda: metric(shared, "tls_failed_timeout_total") > before)


def play_bad_certificates_are_refused_when_saved(shared):
    g = shared
    g.ca.sign_expired("expired", "a")
    pem = {n: (g.ca.folder / f"{n}.pem").read_text() for n in ("a", "b", "expired")}
    g.ca.run("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", "weak.key", "-out", "weak.pem", "-days", "2", "-subj", "/CN=weak.example")
    rows = [({"chain": pem["a"], "private_key": g.ca.key("b")}, "/private_key", "does not belong"), ({"chain": pem["expired"], "private_key": g.ca.key("a")}, "/chain", "expired"),
            ({"chain": g.ca.pem + pem["a"], "private_key": g.ca.key("a")}, "/chain", "order"), ({"chain": pem["a"], "private_key": "not a key"}, "/private_key", "cannot be read"),
            ({"chain": pem["a"]}, "/private_key", "required"), ({"private_key": g.ca.key("a")}, "/chain", "required"), ({"chain": "junk", "private_key": g.ca.key("a")}, "/chain", "BEGIN"),
            ({"chain": (g.ca.folder / "weak.pem").read_text(), "private_key": g.ca.key("weak")}, "/chain", "2048"),
            ({"chain": pem["a"] + g.ca.key("a"), "private_key": g.ca.key("a")}, "/chain", "private key must never"),
            ({"chain": pem["a"], "private_key": g.ca.key("a"), "org": "play"}, "/org", "platform")]
    for object_, pointer, words in rows:
        a = g.admin("PUT", "certificates/bad", {"id": "bad", **object_})
        assert a.status == 400 and words in a.text and pointer in a.text, (pointer, words, a.text)
        assert "PRIVATE KEY" not in a.text
    a = g.admin("GET", "certificates/a")
    assert a.json["names"] == "a.example" and a.json["not_after"] and "private_key" not in a.json and "PRIVATE" not in a.text, a.text
    a = g.admin("PATCH", "certificates/a", {"chain": pem["b"]})
    assert a.status == 400 and "does not belong" in a.text, a.text
    again = g.admin("PUT", "certificates/a", {k: v for k, v in g.ca.certificate("a", is_default=True).items() if k != "kind"})
    assert again.status == 200 and again.json["version"] == g.admin("GET", "certificates/a").json["version"], "saving the same changes nothing"
    left = metric(g, "tls_certificate_expiry_timestamp_seconds") - time.time()
    assert 86400 < left < 3 * 86400 and metric(g, "tls_certificates") == 4, "two at each worker"
    assert "expires within three weeks" in g.log()


def play_swap_under_load(shared):
    g = shared
    failures, done, over = [], [0], threading.Event()

    def run():
        while not over.is_set():
            try:
                with plain_context(g, "a.example") as s:
                    for _ in range(3):
                        assert b"200 OK" in ask(s)
                done[0] += 1
            except (OSError, AssertionError) as e:
                failures.append(repr(e))

    threads = [threading.Thread(target=run, daemon=True) for _ in range(4)]
    with connected(context(g)) as held:
        assert b"200 OK" in ask(held)
        old = held.getpeercert()["serialNumber"]
        for t in threads:
            t.start()
        try:
            for name in ("next", "a", "next", "a", "next"):
                a = g.admin("PUT", "certificates/a", {"id": "a", "is_default": True, "chain": g.ca.chain(name), "private_key": g.ca.key(name)})
                assert a.status == 200, a.text
                want = done[0] + 8
                until(lambda n=want: done[0] >= n, 30)
        finally:
            over.set()
            for t in threads:
                t.join(60)
        assert not failures, failures[:3]
        assert b"200 OK" in ask(held), "a connection that stands is not touched"

    def is_new():
        with plain_context(g, "a.example") as s:
            return s.getpeercert()["serialNumber"] != old
    until(is_new)
    apply(g, [g.ca.certificate("a", is_default=True)])


def play_flood_does_not_starve_streams(shared):
    g = shared
    streams = [Stream(g, "mock: chunks=60 chunk_ms=20", timeout=60) for _ in range(4)]
    gaps, last = [0.0] * 4, [time.monotonic()] * 4
    first = hello()
    socks, over = [], threading.Event()

    def flood():
        while not over.is_set() and len(socks) < 3000:
            with contextlib.suppress(OSError):
                s = socket.create_connection(("127.0.0.1", PORT), 5)
                s.sendall(first)
                socks.append(s)
                if len(socks) > 200:
                    socks.pop(0).close()

    def read(i):
        while streams[i].next() is not None:
            now = time.monotonic()
            gaps[i] = max(gaps[i], now - last[i])
            last[i] = now

    threads = [threading.Thread(target=flood, daemon=True)] + [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads[1:]:
        t.join(60)
    over.set()
    threads[0].join(10)
    for s in socks:
        s.close()
    assert all(s.end == "done" for s in streams), [s.end for s in streams]
    assert max(gaps) < 3, f"an open stream waits for slices of handshakes, not for all of them: {gaps}"
    with connected(context(g)) as s:
        assert b"200 OK" in ask(s)


def play_killed_worker_and_upgrade_keep_the_port(shared):
    g = shared
    g.kill("worker", 0)
    for _ in range(10):  # its slot is adopted, then served again
        with connected(context(g)) as s:
            assert b"200 OK" in ask(s)
    until(g.all_up, 20)
    old = g.status()["pid"]
    assert "the new processes serve" in g.ctl("upgrade")
    g.master_pids.append(until(lambda: g.status()["pid"] != old and g.status()["pid"], 20))
    until(g.all_up, 20)
    for _ in range(10):
        with connected(context(g)) as s:
            assert b"200 OK" in ask(s)
    with connected(context(g), port=ADMIN_PORT) as s:
        assert b"200 OK" in ask(s, "/livez")


# --- the admin API's listener ---

def admin_ask(g, c, path="/admin/v1/orgs", method="GET", body=None):
    h = http.client.HTTPSConnection("127.0.0.1", ADMIN_PORT, timeout=20, context=c)
    with contextlib.closing(h):
        h.request(method, path, body=json.dumps(body) if body else None, headers={"Authorization": f"Bearer {g.token}", "Content-Type": "application/json"})
        r = h.getresponse()
        return r.status, r.read()


def play_admin_over_tls_with_client_certificates(shared):
    g = shared
    c = context()
    until(lambda: admin_ask(g, c)[0] == 200)
    g.ca.sign("operator", "operator-7", usage="clientAuth")
    other = Authority(g.where / "stranger")
    other.sign("stranger", "stranger-1", usage="clientAuth")
    before = g.admin("GET", "settings/default").json
    assert g.admin("PATCH", "settings/default", {"admin_client_ca": g.ca.pem, "admin_client_cert": "required"}).status == 200
    try:
        def is_required():
            try:
                return admin_ask(g, context())[0] is None
            except (OSError, http.client.HTTPException):
                return True
        until(is_required, 20)
        c = context()
        c.load_cert_chain(g.ca.folder / "operator.pem", g.ca.folder / "operator.key")
        status, body = admin_ask(g, c, "/admin/v1/orgs/mtls", "PUT", {"id": "mtls"})
        assert status in (200, 201), body
        until(lambda: any(b"operator-7" in f.read_bytes() for f in (g.data / "segments").iterdir() if f.is_file()), 10, "the subject in the trail")
        c = context()
        c.load_cert_chain(other.folder / "stranger.pem", other.folder / "stranger.key")
        with pytest.raises((OSError, http.client.HTTPException)):
            admin_ask(g, c)
        assert g.admin("PATCH", "settings/default", {"admin_client_cert": "optional"}).status == 200
        until(lambda: admin_ask(g, context())[0] == 200, 20)
        with pytest.raises((OSError, http.client.HTTPException)):
            admin_ask(g, c)  # a bad one is worse than none
    finally:
        assert g.admin("PATCH", "settings/default", {"admin_client_ca": None, "admin_client_cert": None}).status == 200, before


# --- nothing configured ---

def play_without_certificate(where):
    m = Mock(where)
    m.start()
    port = free_port()
    g = Gateway(where, mock=m, options=("--listen-tls", f"127.0.0.1:{port}"))
    try:
        g.start()
        with pytest.raises((ssl.SSLError, ConnectionError)), connected(context(), port=port):
            pass
        until(lambda: metric(g, "tls_failed_no_certificate_total") >= 1)
        assert g.chat().status == 200
        ca = Authority(where / "ca")
        ca.sign("late", "late.example")
        apply(g, [ca.certificate("late")])

        def served():
            with connected(context(), "late.example", port) as s:
                return b"200 OK" in ask(s)
        until(served)
        assert g.admin("DELETE", "certificates/late").status == 200

        def refused():
            try:
                with connected(context(), "late.example", port):
                    return False
            except (ssl.SSLError, ConnectionError):
                return True
        until(refused)
    finally:
        g.finish()
        m.stop()
