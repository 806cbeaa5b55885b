"""Workers remember keys and plans. Every change that they could have missed is seen by the first request after its writer was told so,
on every worker, however often the old answer had been used."""
import json
import time

import pytest

from client import last_request
from harness import Mock, until

ROUNDS = 16  # fresh connections: both workers are met


def put(g, path, body):
    a = g.admin("PUT", path, body)
    assert a.status in (200, 201), a.text
    return a


def warm(g, **kw):
    """The same question until every worker knows the answer."""
    for _ in range(ROUNDS):
        a = g.chat(**kw)
        assert a.status == 200, a.text
    return a


def new_key(g, name, **fields):
    return put(g, f"keys/{name}", {"org": "play", "team": "play", **fields}).json["token"]


def all_say(g, status, **kw):
    got = [g.chat(**kw).status for _ in range(ROUNDS)]
    assert got == [status] * ROUNDS, got


def play_key(shared):
    """Revoked, narrowed to other models, expired, deleted; its team and its org switched off."""
    g = shared
    token = new_key(g, "memo-revoked")
    warm(g, key=token)
    g.ctl("key", "revoke", "memo-revoked", "--yes")
    all_say(g, 401, key=token)

    token = new_key(g, "memo-narrow")
    warm(g, key=token)
    assert g.admin("PATCH", "keys/memo-narrow", {"models": ["something-else"]}).status == 200
    all_say(g, 403, key=token)
    assert g.admin("PATCH", "keys/memo-narrow", {"models": ["mock-*"]}).status == 200
    all_say(g, 200, key=token)
    assert g.admin("DELETE", "keys/memo-narrow").status in (200, 204)
    all_say(g, 401, key=token)

    soon = time.time() + 3
    token = new_key(g, "memo-expires", expires_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(soon + 1)))
    warm(g, key=token)
    until(lambda: time.time() > soon + 1, 10)
    all_say(g, 401, key=token)


@pytest.mark.parametrize("kind", ["team", "org", "user"])
def play_owner_switched_off(shared, kind):
    g = shared
    put(g, "orgs/memo-org", {})
    put(g, "teams/memo-team", {"org": "memo-org"})
    put(g, "users/memo-user", {"org": "memo-org", "team": "memo-team"})
    token = put(g, f"keys/memo-owned-{kind}", {"org": "memo-org", "team": "memo-team", "user": "memo-user"}).json["token"]
    warm(g, key=token)
    assert g.admin("PATCH", f"{kind}s/memo-{kind}", {"disabled": True}).status == 200
    all_say(g, 401, key=token)
    assert g.admin("PATCH", f"{kind}s/memo-{kind}", {"disabled": False}).status == 200
    all_say(g, 200, key=token)
    if kind == "team":
        assert g.admin("PATCH", "teams/memo-team", {"models": ["other"]}).status == 200
        all_say(g, 403, key=token)
        assert g.admin("PATCH", "teams/memo-team", {"models": []}).status == 200


def play_alias_and_targets(shared):
    """An alias that points elsewhere, a model with another target, a tenant's own model of the same name, a deployment with another name
    and price, settings."""
    g = shared
    for n in ("a", "b"):
        put(g, f"deployments/memo-{n}", {"provider": "mock", "credential": "mock", "upstream_model": f"up-{n}", "activation": "immediate",
                                         "input_price": 1000000})
        put(g, f"models/memo-{n}", {"targets": [{"deployment": f"memo-{n}"}]})
    put(g, "models/memo-alias", {"alias_of": "memo-a"})

    def upstream(model):
        names = set()
        for _ in range(ROUNDS):
            assert g.chat(model=model).status == 200
            names.add(json.loads(last_request(g.mock)[1])["model"])
        return names

    assert upstream("memo-alias") == {"up-a"}
    assert g.admin("PATCH", "models/memo-alias", {"alias_of": "memo-b"}).status == 200
    assert upstream("memo-alias") == {"up-b"}
    assert upstream("memo-a") == {"up-a"}
    assert g.admin("PATCH", "models/memo-a", {"targets": [{"deployment": "memo-b"}]}).status == 200
    assert upstream("memo-a") == {"up-b"}
    assert g.admin("PATCH", "deployments/memo-b", {"upstream_model": "up-c"}).status == 200
    assert upstream("memo-a") == upstream("memo-alias") == {"up-c"}
    put(g, "models/memo-own", {"name": "memo-a", "org": "play", "team": "play", "targets": [{"deployment": "memo-a"}]})
    assert upstream("memo-a") == {"up-a"}
    assert "x-llmgw-cost-usd" not in warm(g, model="memo-alias").headers
    assert g.admin("PATCH", "settings/default", {"server_timing": True}).status == 200
    before = warm(g, model="memo-alias").headers["x-llmgw-cost-usd"]
    assert g.admin("PATCH", "deployments/memo-b", {"input_price": 3000000}).status == 200
    assert float(warm(g, model="memo-alias").headers["x-llmgw-cost-usd"]) == pytest.approx(3 * float(before))


def play_credential(shared):
    """Rotated, then swapped for another one."""
    g = shared

    def secret():
        return {last_request(g.mock)[0].decode().lower().split("authorization: bearer ")[1].split("\r\n")[0] for _ in range(ROUNDS)
                if g.chat(model="memo-cred").status == 200}

    for n in ("one", "two"):
        put(g, f"credentials/memo-{n}", {"provider": "mock", "secret": f"sk-memo-{n}"})
    put(g, "deployments/memo-cred", {"provider": "mock", "credential": "memo-one", "upstream_model": "mock-1", "activation": "immediate"})
    put(g, "models/memo-cred", {"targets": [{"deployment": "memo-cred"}]})
    warm(g, model="memo-cred")
    assert secret() == {"sk-memo-one"}
    g.ctl("credential", "set", "memo-one", "--provider", "mock", stdin="sk-memo-rotated")
    assert secret() == {"sk-memo-rotated"}
    assert g.admin("PATCH", "deployments/memo-cred", {"credential": "memo-two"}).status == 200
    assert secret() == {"sk-memo-two"}


def play_provider(shared, where):
    """Another address, other egress rules, other limits."""
    g = shared
    put(g, "providers/memo-p", {"type": "openai-compatible", "base_url": g.mock.url, "allow_private": ["127.0.0.1/32"]})
    put(g, "deployments/memo-p", {"provider": "memo-p", "upstream_model": "mock-1", "activation": "immediate"})
    put(g, "models/memo-p", {"targets": [{"deployment": "memo-p"}]})
    warm(g, model="memo-p")
    assert g.admin("PATCH", "providers/memo-p", {"allow_private": []}).status == 200
    all_say(g, 502, model="memo-p")
    assert g.admin("PATCH", "providers/memo-p", {"allow_private": ["127.0.0.1/32"]}).status == 200
    warm(g, model="memo-p")
    assert g.admin("PATCH", "providers/memo-p", {"first_token_timeout": "1s"}).status == 200
    all_late = [g.chat("mock: delay_ms=3000", model="memo-p").status for _ in range(2)]
    assert all_late == [504, 504], all_late
    other = Mock(where)
    other.start()
    try:
        assert g.admin("PATCH", "providers/memo-p", {"base_url": other.url}).status == 200
        for _ in range(ROUNDS):
            assert g.chat("to the other one", model="memo-p").status == 200
            assert b"to the other one" in last_request(other)[1]
    finally:
        other.stop()
