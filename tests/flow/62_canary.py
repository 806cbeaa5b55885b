"""Planted secrets: a provider's key, its next version, tokens of virtual keys, the first admin token and the root key go through every
path that handles them; afterwards none of them is found anywhere but where it must be, in any spelling."""
import base64
import json
import os
import pathlib
import secrets
import urllib.parse

import pytest

from client import Stream, chat_body, mock_stats, next_fault, talk
from harness import Gateway, http_ask, until
from trail import settled

CHAT = "/v1/chat/completions"


def spellings(secret):
    """As text, and as careless code would write it; base64 at each of three offsets, without the ends that depend on neighbours."""
    raw = secret if isinstance(secret, bytes) else secret.encode()
    out = {raw, raw.hex().encode(), raw.hex().upper().encode(), urllib.parse.quote(raw).encode(), raw[::-1]}
    for skip in range(3):
        out.add(base64.b64encode(b"x" * skip + raw)[4:-4])
    for n in range(0, len(raw) - 15, 8):  # a part is enough to be a leak
        out.add(raw[n:n + 16])
    return {s for s in out if len(s) >= 12}


class Canary:
    def __init__(self):
        self.needles = {}

    def add(self, name, secret):
        for s in spellings(secret):
            self.needles[s] = name
        return secret

    def find(self, data, where):
        return [f"{name} in {where}" for s, name in self.needles.items() if s in data]


def processes(g):
    return [g.pid, *(p["pid"] for p in g.status()["processes"])]


def files(g):
    for top in (g.data, g.runtime, g.where):
        for path in sorted(pathlib.Path(top).rglob("*")):
            if path.is_file() and not path.is_socket() and path != g.root_key and path.name != "admin.token":
                yield path


def memory_of_files(g, canary, hits):
    for path in files(g):
        if path.name.startswith("mockllm"):
            continue
        hits += canary.find(path.read_bytes(), path)
    for pid in processes(g):
        for name in ("cmdline", "environ", "comm"):
            hits += canary.find(pathlib.Path(f"/proc/{pid}/{name}").read_bytes(), f"/proc/{pid}/{name}")


def answers(g, canary, hits):
    kinds = ["settings", "orgs", "teams", "users", "keys", "role_bindings", "providers", "credentials", "deployments", "models"]
    paths = [*kinds, "config:export", "generations?full=true&limit=500", "keyring", "status", "workers", "crashes", "logs?limit=10000",
             "logs?limit=10000&starts=true", "logs?class=admin&limit=10000", "whoami", "audit/key", "credentials/mock", "deployments/mock-1:health"]
    for path in paths:
        a = g.admin("GET", path)
        assert a.status == 200, (path, a.text)
        hits += canary.find(a.body + json.dumps(a.headers).encode(), path)
    hits += canary.find(http_ask("GET", g.admin_url + "/metrics").body, "/metrics")
    for path in ("/livez", "/readyz", "/healthz", "/"):
        hits += canary.find(http_ask("GET", g.url + path).body, path)


def data_plane(g, canary, hits, tokens):
    """Good and bad requests; every answer is looked at. The echo of a good answer is the provider's own words and is not looked at."""
    ids = []

    def look(a, where):
        hits.extend(canary.find(a.body + json.dumps(a.headers).encode(), where))
        ids.append(a.headers.get("x-request-id"))

    for text in ("hello", "mock: fault=echo-auth", "mock: fault=401", "mock: fault=rst", "mock: fault=html", "mock: fault=garbage"):
        for stream in (False, True):
            look(http_ask("POST", g.url + CHAT, chat_body(text, stream=stream), {"Authorization": f"Bearer {g.key}"}), text)
    for token in tokens:
        for header in ("Authorization", "x-api-key", "api-key", "x-goog-api-key"):
            look(http_ask("POST", g.url + CHAT, chat_body("x", model="nope"), {header: ("Bearer " if header == "Authorization" else "") + token}), header)
        look(http_ask("POST", g.url + CHAT, chat_body(), {"Authorization": f"Bearer {token}", "x-api-key": "another"}), "two keys")
        look(http_ask("POST", g.url + CHAT, chat_body(model=token), {"Authorization": f"Bearer {token}"}), "key as the model")
        look(http_ask("POST", g.url + CHAT, b"{", {"Authorization": f"Bearer {token}"}), "bad body")
        look(http_ask("GET", f"{g.url}/v1/models?key={token}"), "key in the query")
        look(http_ask("GET", f"{g.url}/v1/{token}"), "key in the path")
        talk(g.port, f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{token}\r\n\r\n".encode(), 5, is_last=False)
    s = Stream(g, "mock: chunks=50 chunk_ms=20")
    s.next()
    s.close()
    return ids


def admin_errors(g, canary, hits, secret):
    """Secrets inside of wrong bodies: the complaint must not repeat them."""
    wrong = [("PUT", "credentials/bad", {"provider": "nowhere", "secret": secret}), ("PUT", "credentials/BAD", {"provider": "mock", "secret": secret}),
             ("PUT", "credentials/bad", {"provider": "mock", "secret": [secret]}), ("PUT", "credentials/bad", {"provider": "mock", "secert": secret}),
             ("POST", "credentials/mock:rotate", {"mode": "sideways", "secret": secret}), ("POST", "credentials/none:rotate", {"mode": "now", "secret": secret}),
             ("POST", "config:apply", [{"kind": "credential", "id": "x", "provider": "nope", "secret": secret}]),
             ("POST", "config:diff", [{"kind": "credential", "id": "mock", "provider": "mock", "secret": secret}]),
             ("POST", "config:validate", [{"kind": "credential", "id": "x", "provider": "mock", "secret": secret, "bogus": 1}]),
             ("PUT", "credentials/bad", ('{"provider":"mock","secret":"%s" oops}' % secret).encode())]
    for method, path, body in wrong:
        a = g.admin(method, path, body)
        hits += canary.find(a.body + json.dumps(a.headers).encode(), f"answer of {method} {path}")
    for token in (secret, g.key):
        hits += canary.find(g.admin("GET", "models", token=token).body, "refused admin call")


@pytest.mark.smoke
def play_no_secret_is_found_anywhere(where, mock):
    canary, hits = Canary(), []
    provider_key = canary.add("provider key", "sk-canary-" + secrets.token_hex(20))
    next_key = canary.add("next provider key", "sk-canary-" + secrets.token_hex(20))
    g = Gateway(where, mock=mock).start()
    g.ctl("credential", "rotate", "mock", stdin=provider_key)
    g.ctl("credential", "rotate", "mock", "--mode", "stage", stdin=next_key)
    canary.add("admin token", g.token)
    canary.add("virtual key", g.key)
    tokens = [canary.add("second key", json.loads(g.ctl("key", "create", "key-c", "--org", "play", "-o", "json"))["token"])]
    canary.add("root key", g.root_key.read_bytes().strip())
    until(lambda: g.chat().status == 200, 5)
    assert mock_stats(mock)["chat"] > 0
    next_fault(mock, "401")
    assert g.chat().status == 200, "with the next secret"
    ids = data_plane(g, canary, hits, [*tokens, g.key])
    admin_errors(g, canary, hits, provider_key)
    a = g.admin("POST", "deployments/mock-1:test")
    hits += canary.find(a.body, "deployment test")
    next_fault(mock, "echo-auth")
    a = g.admin("POST", "deployments/mock-1:test")
    hits += canary.find(a.body, "deployment test that echoes the key")
    g.kill("worker")
    until(lambda: g.chat().status == 200, 10)
    g.kill("confd")
    until(lambda: g.admin("PATCH", "credentials/mock", {"labels": {"a": "b"}}).status == 200, 10)
    settled(g.data, [i for i in ids[:5] if i])
    answers(g, canary, hits)
    hits += canary.find(g.ctl("export").encode() + g.ctl("logs", "query", "--limit", "1000").encode() + g.ctl("doctor", ok=False).stdout.encode(), "llmgwctl")
    memory_of_files(g, canary, hits)
    assert g.stop() == 0
    for path in files(g):
        if not path.name.startswith("mockllm"):
            hits += canary.find(path.read_bytes(), path)
    g.ctl("audit", "verify", "--data-dir", str(g.data))
    g.finish()
    assert not hits, sorted(set(hits))
    planted = where / "data" / "planted"  # the search itself must be able to find
    planted.write_bytes(b"...." + base64.b64encode(b"ab" + provider_key.encode()) + b"....")
    assert canary.find(planted.read_bytes(), planted) and canary.find(provider_key[5:30].encode(), "part")
    os.unlink(planted)
