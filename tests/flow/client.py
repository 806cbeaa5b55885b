"""Clients of the plays: raw bytes, streams event by event, and load that never stops asking."""
import base64
import contextlib
import http.client
import json
import select
import socket
import threading
import time

from harness import http_ask


def talk(port, data, timeout=10, is_last=True):
    """Sends bytes as they are and returns all that comes until the other side closes (or nothing comes for `timeout`)."""
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        got = b""
        with contextlib.suppress(ConnectionError, TimeoutError):  # refused while it is sent: the answer is there all the same
            s.sendall(data)
            if is_last:
                s.shutdown(socket.SHUT_WR)
        try:
            while piece := s.recv(65536):
                got += piece
        except (TimeoutError, ConnectionError):
            pass
        return got


def chat_body(text="hello", model="mock-1", **more):
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def last_request(mock):
    """Head and body of the last request that the provider received, byte for byte."""
    kept = http_ask("GET", mock.url.removesuffix("/v1") + "/mock/stats?last=1").json["bodies"][-1]
    return base64.b64decode(kept["head"]), base64.b64decode(kept["body"])


def mock_stats(mock):
    return http_ask("GET", mock.url.removesuffix("/v1") + "/mock/stats?last=0").json


def mock_tell(mock, what, body):
    a = http_ask("POST", mock.url.removesuffix("/v1") + "/mock/" + what, body)
    assert a.status == 200, a.text


def next_fault(mock, fault, count=1, model="*", after=0):
    mock_tell(mock, "next", {"fault": fault, "count": count, "model": model, "after": after})


class Stream:
    """One streamed chat; events as they come. Ends: `done` ([DONE] and a clean end), `cut` (neither)."""

    def __init__(self, gateway, text="hello", model="mock-1", key=None, timeout=30, **more):
        self.c = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=timeout)
        body = json.dumps(chat_body(text, model, stream=True, **more))
        self.c.request("POST", "/v1/chat/completions", body,
                       {"Authorization": f"Bearer {key or gateway.key}", "Content-Type": "application/json"})
        self.r = self.c.getresponse()
        self.sock = self.c.sock or self.r.fp.raw._sock
        self.status, self.id = self.r.status, self.r.getheader("x-request-id")
        self.events, self.end = [], None

    def next(self):
        """Data of the next event, None at the end."""
        data = b""
        try:
            while line := self.r.readline():
                if line.startswith(b"data: "):
                    data += line[6:].strip()
                if not line.strip() and data:
                    self.events.append(data)
                    return data
        except (OSError, http.client.HTTPException):
            self.end = "cut"
            return None
        is_whole = self.r.isclosed() and self.events and self.events[-1] == b"[DONE]"
        self.end = "done" if is_whole else "cut"
        return None

    def rest(self):
        while self.next() is not None:
            pass
        self.close()
        return self

    def text(self):
        out = ""
        for e in self.events:
            if e != b"[DONE]":
                for choice in json.loads(e).get("choices", []):
                    out += choice["delta"].get("content") or ""
        return out

    def close(self):
        self.r.close()
        self.c.close()


class Load:
    """Clients that ask again and again over keep-alive connections until stopped. Like any pool they do not use a connection
    that the server has closed, and never repeat a request. Keeps the ids of requests answered whole, and every failure."""

    def __init__(self, gateway, clients=8, body=None, pause=0.0, fresh=False, key=None):
        self.gateway, self.pause, self.fresh, self.key = gateway, pause, fresh, key
        self.body = json.dumps(body or chat_body())
        self.acked, self.failures, self.slowest = [], [], 0.0
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(clients)]

    def start(self):
        for t in self.threads:
            t.start()
        return self

    def stop(self):
        self.is_over.set()
        for t in self.threads:
            t.join(60)
            assert not t.is_alive(), "a client hangs"
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def wait_for(self, n, seconds=20):
        """Until n further requests were answered."""
        want, end = len(self.acked) + n, time.monotonic() + seconds
        while len(self.acked) < want:
            assert time.monotonic() < end, f"{len(self.acked)} answers, {self.failures[:3]}"
            time.sleep(0.005)  # the pause between two looks

    def ask(self, c):
        headers = {"Authorization": f"Bearer {self.key or self.gateway.key}", "Content-Type": "application/json"}
        is_new = c.sock is None
        begun = time.monotonic()
        try:
            if is_new:
                c.connect()
        except OSError as e:
            return self.failures.append(("connect", repr(e)))
        try:
            c.request("POST", "/v1/chat/completions", self.body, headers)
            r = c.getresponse()
            body = r.read()
        except (OSError, http.client.HTTPException) as e:
            c.close()
            return self.failures.append(("lost", repr(e)))
        self.slowest = max(self.slowest, time.monotonic() - begun)
        if r.status == 200 and (b"[DONE]" in body or b'"usage"' in body):
            self.acked.append(r.getheader("x-request-id"))
        else:
            self.failures.append(("answer", f"{r.status} {body[:300]}"))
        return None

    def run(self):
        c = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=30)
        while not self.is_over.is_set():
            if c.sock and (self.fresh or select.select([c.sock], [], [], 0)[0]):
                c.close()
            self.ask(c)
            if self.pause:
                self.is_over.wait(self.pause)
        c.close()
