"""A forward proxy for plays: CONNECT for https, whole URLs for http; with or without a user; or one that fails in a way."""
import base64
import select
import socket
import ssl
import threading
from urllib.parse import urlsplit


class ForwardProxy:
    def __init__(self, user=None, fail=None, tls=None):
        """user: "name:password" that is asked for. fail: a status, "close" or "silent" instead of a connection. tls: (cert, key)."""
        self.user, self.fail, self.requests, self.lock = user, fail, [], threading.Lock()
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*tls)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"
        self.open = []
        threading.Thread(target=self.accept, daemon=True).start()

    def stop(self):
        self.listener.close()
        for s in self.open:
            s.close()

    def lines(self):
        with self.lock:
            return [r.split("\r\n", 1)[0] for r in self.requests]

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(s)
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        try:
            if self.context:
                s = self.context.wrap_socket(s, server_side=True)
                self.open.append(s)
            while self.one(s):
                pass
        except (OSError, ValueError):
            pass
        finally:
            s.close()

    def read_head(self, s):
        data = b""
        while b"\r\n\r\n" not in data:
            more = s.recv(65536)
            if not more:
                return None, b""
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        head = head.decode("latin-1")
        with self.lock:
            self.requests.append(head)
        return head, rest

    def drain(self, s, head, rest):
        """What is not read when a socket is closed makes the peer lose the answer."""
        length = next((int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
        got = len(rest)
        while got < length:
            more = s.recv(65536)
            if not more:
                return
            got += len(more)

    def is_allowed(self, head):
        want = "proxy-authorization: basic " + base64.b64encode((self.user or "").encode()).decode()
        return not self.user or any(line.lower() == want.lower() and line[-4:] == want[-4:] for line in head.split("\r\n"))

    def one(self, s):
        head, rest = self.read_head(s)
        if head is None:
            return False
        method, target, _ = head.split("\r\n")[0].split(" ")
        status = None if self.is_allowed(head) else 407
        if status is None and self.fail == "close":
            return False
        if status is None and self.fail == "silent":
            s.recv(1)
            return False
        if status is None and self.fail:
            status = self.fail
        if status:
            self.drain(s, head, rest)
            # what it was sent is in its answer: nothing of that may get further
            body = f"no: {head}".encode("latin-1")
            s.sendall(b"HTTP/1.1 %d No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
            return False
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            with socket.create_connection((host, int(port))) as up:
                s.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                self.relay(s, up, rest)
            return False
        url = urlsplit(target)
        with socket.create_connection((url.hostname, url.port or 80)) as up:
            lines = [line for line in head.split("\r\n")[1:] if not line.lower().startswith(("proxy-", "connection:"))]
            up.sendall("\r\n".join([f"{method} {url.path}{'?' + url.query if url.query else ''} HTTP/1.1", *lines, "Connection: close", "", ""]).encode("latin-1") + rest)
            self.relay(s, up, b"")
        return False

    @staticmethod
    def relay(a, b, first):
        if first:
            b.sendall(first)
        while True:
            ready, _, _ = select.select([a, b], [], [], 60)
            if not ready and not getattr(a, "pending", lambda: 0)():
                return
            for x, y in ((a, b), (b, a)):
                if x in ready or getattr(x, "pending", lambda: 0)():
                    data = x.recv(65536)
                    if not data:
                        return
                    y.sendall(data)
