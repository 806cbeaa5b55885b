"""Tokens that are fetched, and what dies or fails meanwhile: the process that fetches, the one that keeps them, the endpoint. Renewals are one call each,
however many workers are under load."""
import json
import threading
import time

import pytest

from clouds import Cloud, CloudGateway
from harness import until
from vendors import Provider, as_json, signature_fault

AWS = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
ROLE = "arn:aws:iam::1:role/r"


class Held(Cloud):
    """Answers only when `go` is set; `times` of the questions."""

    def __init__(self):
        super().__init__()
        self.go, self.times = threading.Event(), []
        self.go.set()

    def handle(self, *question):
        self.times.append(time.monotonic())
        self.go.wait(30)
        return super().handle(*question)


@pytest.fixture
def provider():
    p = Provider()
    yield p
    p.stop()


@pytest.fixture
def cloud():
    c = Held()
    yield c
    c.go.set()
    c.stop()


def start(where, provider, cloud, credential, workers=2):
    g = CloudGateway(where, workers=workers)
    g.start()
    g.ctl("apply", "-f", "-", stdin=json.dumps([
        {"kind": "settings", "id": "default", "ambient_credentials": True}, {"kind": "org", "id": "play"}, {"kind": "team", "id": "play", "org": "play"},
        {"kind": "provider", "id": "p", "type": "openai-compatible", "base_url": provider.base_url, "allow_private": ["127.0.0.1/32"]},
        {"kind": "credential", "id": "c", "provider": "p", "token_url": cloud.url, **credential},
        {"kind": "deployment", "id": "d", "provider": "p", "credential": "c", "upstream_model": "m", "activation": "immediate"},
        {"kind": "model", "id": "mock-1", "targets": [{"deployment": "d"}]}]))
    g.key = json.loads(g.ctl("key", "create", "--org", "play", "--team", "play", "-o", "json"))["token"]
    provider.fault = lambda m, path, h, b: None if cloud.is_bearer(h) else "wrong token"
    return g


AZURE = {"type": "azure", "source": "instance"}


class Asking(threading.Thread):
    """One chat, in a thread of its own."""

    def __init__(self, g):
        super().__init__(daemon=True)
        self.g, self.answer = g, None
        self.start()

    def run(self):
        self.answer = self.g.chat(timeout=60)

    def wait(self):
        self.join(60)
        assert self.answer is not None, "no answer"
        return self.answer


@pytest.mark.parametrize("role", ["agent", "confd"])
def play_a_process_dies_while_a_token_is_fetched(where, provider, cloud, role):
    """The request waits for the next process, which fetches anew; nobody is told of an error."""
    cloud.go.clear()
    g = start(where, provider, cloud, AZURE)
    asking = [Asking(g) for _ in range(4)]
    until(lambda: len(cloud.seen) >= 1, 10, "a fetch to begin")
    before = g.pid_of(role)
    g.kill(role)
    until(lambda: g.pid_of(role) != before, 10, f"the next {role}")
    cloud.go.set()
    for a in asking:
        answer = a.wait()
        assert answer.status == 200, answer.text
    g.finish()


def play_confd_dies_while_a_token_is_handed_out(where, provider, cloud):
    """Killed again and again under load, tokens short-lived: what workers hold serves on, and renewals come from the next confd."""
    cloud.life = 8
    g = start(where, provider, cloud, AZURE, workers=4)
    assert g.chat().status == 200
    until(lambda: all(g.chat().status == 200 for _ in range(8)), 10)
    load = Load(g, 4)
    for _ in range(3):
        before = len(cloud.seen)
        g.kill("confd")
        until(lambda: len(cloud.seen) > before, 20, "a fetch by the next confd")  # noqa: B023
    bad = load.stop()
    assert not bad, bad[:3]
    g.finish()


class Load:
    def __init__(self, g, n):
        self.g, self.done, self.bad, self.count = g, threading.Event(), [], 0
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(n)]
        for t in self.threads:
            t.start()

    def run(self):
        while not self.done.is_set():
            a = self.g.chat(timeout=60)
            self.count += 1
            if a.status != 200:
                self.bad.append(a.text)
            time.sleep(0.005)

    def stop(self):
        self.done.set()
        for t in self.threads:
            t.join(60)
        return self.bad


def play_a_renewal_is_one_call_for_four_workers_under_load(where, provider, cloud):
    cloud.life = 6
    g = start(where, provider, cloud, AZURE, workers=4)
    load = Load(g, 8)
    until(lambda: len(cloud.times) >= 4, 60, "three renewals")
    bad = load.stop()
    assert not bad, bad[:3]
    assert load.count > 50
    # fifths of a life: never two calls for one renewal
    gaps = [b - a for a, b in zip(cloud.times, cloud.times[1:], strict=False)]
    assert min(gaps) > 0.5 * cloud.life, gaps
    assert len({h["authorization"] for m, _, h, _ in provider.seen if m == "POST"}) <= len(cloud.times)
    g.finish()


def token_of(g):
    found = [c for c in walk(json.loads(g.ctl("status", "-o", "json"))) if c.get("credential") == "c" and "ends_in_ms" in c]
    return found[0]


def walk(tree):
    if isinstance(tree, dict):
        yield tree
        for v in tree.values():
            yield from walk(v)
    elif isinstance(tree, list):
        for v in tree:
            yield from walk(v)


def play_sts_is_down_when_the_keys_are_due(where, provider, cloud):
    """The old keys serve to their end; then it is said plainly whose they are and what STS says; when it is back, so are we, within seconds."""
    cloud.life = 10
    cloud.base_keys = {AWS[0]: (AWS[1], None)}
    g = start(where, provider, cloud, {"type": "aws", "region": "us-east-1", "role_arn": ROLE, "secret": ":".join(AWS)})
    provider.fault = lambda m, path, h, b: signature_fault(h, m, path, b, h["host"], cloud.keys, "bedrock")
    assert g.chat().status == 200
    cloud.broken = (503, "<ErrorResponse><Error><Code>ServiceUnavailable</Code><Message>STS is out for lunch</Message></Error></ErrorResponse>")
    asked = len(cloud.seen)
    until(lambda: len(cloud.seen) > asked, 20, "a renewal that fails")
    served = 0
    while token_of(g)["state"] == "good":
        a = g.chat()
        if a.status != 200:  # its last moment
            break
        served += 1
    assert served > 0, "served on while the keys were good"
    refused = until(lambda: (lambda a: a if a.status == 503 else None)(g.chat()), 15, "the end of the keys")
    assert refused.json["error"]["code"] == "credential_unavailable" and "lunch" not in refused.text, refused.text
    t = g.admin("POST", "deployments/d:test").json
    assert "credential c" in t["message"] and "answered 503: STS is out for lunch" in t["message"], t
    assert "lunch" in token_of(g)["error"]
    assert any(r.get("credential") == "c" for r in g.logs()), "the record names the credential"
    cloud.broken = None
    since = time.monotonic()
    until(lambda: g.chat().status == 200, 12, "recovery")
    assert time.monotonic() - since < 12
    g.finish()


def play_a_refresh_that_answers_nonsense_keeps_the_old_token(where, provider, cloud):
    cloud.life = 8
    g = start(where, provider, cloud, AZURE)
    assert g.chat().status == 200
    cloud.broken = lambda path: as_json(200, {"access_token": ["not", "a", "text"], "expires_in": 3600})
    asked = len(cloud.seen)
    until(lambda: len(cloud.seen) > asked, 20, "a renewal")
    assert g.chat().status == 200
    cloud.broken = None
    until(lambda: len(cloud.given) >= 2, 20, "the next try")
    assert g.chat().status == 200
    g.finish()
