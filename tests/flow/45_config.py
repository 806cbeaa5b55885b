"""The configuration plane: a change is served by every worker when its writer is told so; credentials and keys change while requests
go on; history, export and rollback give back what was; and nobody writes or sees what is not theirs."""
import concurrent.futures
import json
import statistics
import threading
import time

import pytest

from client import Load, Stream, chat_body, last_request, next_fault
from harness import SLOW, Gateway, Mock, http_ask, until
from trail import settled

CHAT = "/v1/chat/completions"


def put(g, path, body, ok=(200, 201, 202), **kw):
    a = g.admin("PUT", path, body, **kw)
    assert a.status in ok, a.text
    return a


def get(g, path, **kw):
    a = g.admin("GET", path, **kw)
    assert a.status == 200, a.text
    return a.json


def etag(a):
    return a.headers["etag"]


def model(target="mock-1", **more):
    return {"targets": [{"deployment": target}], **more}


@pytest.mark.smoke
def play_new_model_is_served_by_every_worker_at_once(shared):
    """One line of llmgwctl; then forty fresh connections, so that every worker is met: none may say that it does not know it."""
    g, ids = shared, []
    for n in range(3):
        g.ctl("model", "add", f"fresh-{n}", "--provider", "mock", "--upstream", "mock-1", "--credential", "mock")
        for _ in range(40):
            a = g.chat(model=f"fresh-{n}")
            assert a.status == 200, a.text
            ids.append(a.headers["x-request-id"])
    t = settled(g.data, ids)
    assert {t.end(i).slot for i in ids} == {0, 1}, "every worker was asked"


def play_visible_within_milliseconds(shared):
    """From the write's beginning to its answer, which comes when every worker has taken it."""
    g, times = shared, []
    for n in range(30):
        begun = time.monotonic()
        a = put(g, f"models/quick-{n}", model())
        times.append(time.monotonic() - begun)
        assert a.status == 201
        assert g.chat(model=f"quick-{n}").status == 200
    assert statistics.median(times) <= 0.050 * SLOW, times


def play_change_and_delete_are_seen_too(shared):
    g = shared
    put(g, "models/moving", model())
    assert g.chat(model="moving").status == 200
    g.admin("PATCH", "models/moving", {"disabled": True})
    assert all(g.chat(model="moving").status == 404 for _ in range(10))
    assert g.admin("PATCH", "models/moving", {"disabled": None}).json.get("disabled", False) is False
    assert all(g.chat(model="moving").status == 200 for _ in range(10))
    g.ctl("delete", "model", "moving", "--yes")
    assert all(g.chat(model="moving").status == 404 for _ in range(10))
    assert g.admin("GET", "models/moving").status == 404


def play_credential_rotates_without_a_failure(shared):
    g = shared
    with Load(g, 6) as load:
        for n in range(6):
            load.wait_for(30)
            g.ctl("credential", "rotate", "mock", stdin=f"sk-rotated-{n}")
            until(lambda n=n: f"sk-rotated-{n}".encode() in last_request(g.mock)[0], 5)
        load.wait_for(30)
    assert load.failures == []
    c = get(g, "credentials/mock")
    assert c["secret_version"] >= 7 and "rotated" not in json.dumps(c)


def play_staged_credential_takes_over_when_the_first_is_refused(shared):
    g = shared
    g.ctl("credential", "rotate", "mock", "--mode", "stage", stdin="sk-the-next-one")
    assert g.chat().status == 200 and b"sk-the-next-one" not in last_request(g.mock)[0]
    next_fault(g.mock, "401", count=1)
    a = g.chat()
    assert a.status == 200 and b"sk-the-next-one" in last_request(g.mock)[0], "refused: the next version was tried"
    g.ctl("credential", "rotate", "mock", "--mode", "promote")
    until(lambda: g.chat().status == 200 and b"sk-the-next-one" in last_request(g.mock)[0], 3)


def play_wrong_credential_then_right(shared):
    """A credential that the provider refuses is replaced; the first answer after the rotation is right."""
    g = shared
    strict = Mock(g.where / "strict-mock", extra=["--require-key", "sk-right"])
    strict.where.mkdir()
    strict.start()
    try:
        put(g, "providers/strict", {"type": "openai-compatible", "base_url": strict.url, "allow_private": ["127.0.0.1/32"]})
        put(g, "credentials/strict", {"provider": "strict", "secret": "sk-wrong"})
        put(g, "deployments/strict", {"provider": "strict", "credential": "strict", "upstream_model": "mock-1", "activation": "immediate",
                                      "probe": "none"})
        put(g, "models/strict", model("strict"))
        assert g.chat(model="strict").status == 502
        assert g.admin("POST", "credentials/strict:rotate", {"mode": "now", "secret": "sk-right"}).status == 200
        assert all(g.chat(model="strict").status == 200 for _ in range(10))
        a = g.admin("POST", "deployments/strict:test")
        assert a.status == 200, a.text
    finally:
        strict.stop()


def play_revoked_key_is_refused_and_its_streams_end(shared):
    g = shared
    token = json.loads(g.ctl("key", "create", "key-gone", "--org", "play", "--team", "play", "-o", "json"))["token"]
    assert g.chat(key=token).status == 200
    streams = [Stream(g, "mock: chunks=400 chunk_ms=50", key=token) for _ in range(4)]
    other = Stream(g, "mock: chunks=60 chunk_ms=50")
    for s in streams:
        s.next()
    ended = []

    def watch(s):
        s.rest()
        ended.append(time.monotonic())

    threads = [threading.Thread(target=watch, args=(s,)) for s in streams]
    for t in threads:
        t.start()
    begun = time.monotonic()
    g.ctl("key", "revoke", "key-gone", "--yes")
    told = time.monotonic()
    assert [g.chat(key=token).status for _ in range(20)] == [401] * 20, "refused as soon as the revocation was answered"
    for t in threads:
        t.join(20)
    assert len(ended) == 4 and max(ended) - begun <= 1.5 * SLOW, [e - begun for e in ended]
    assert all(s.end == "cut" for s in streams)
    assert other.rest().end == "done", "others' streams go on"
    assert told - begun < 1 * SLOW
    assert settled(g.data, [s.id for s in streams]).end(streams[0].id)["error"] == "KEY_DISABLED"


def play_revocation_is_fast(shared):
    """Counted from the write's beginning: a request that starts 100 ms later is refused, whether or not the answer came."""
    g, late = shared, []
    for n in range(5):
        a = put(g, f"keys/key-fast{n}", {"org": "play", "team": "play"})
        token = a.json["token"]
        assert g.chat(key=token).status == 200
        begun = time.monotonic()
        threading.Thread(target=g.admin, args=("PATCH", f"keys/key-fast{n}", {"disabled": True})).start()
        until(lambda token=token: g.chat(key=token).status == 401, 5)
        late.append(time.monotonic() - begun)
    assert statistics.median(late) <= 0.1 * SLOW, late


def play_rollback(shared):
    g = shared
    put(g, "models/back", model(owned_by="first"))
    before = get(g, "status")["generation"]
    put(g, "models/back", model(owned_by="second"))
    put(g, "models/back-new", model())
    put(g, "keys/key-stays", {"org": "play", "team": "play", "name": "made later"})
    diff = json.loads(g.ctl("generations", "rollback", str(before), "--dry-run", "-o", "json"))
    assert {(c["kind"], c["id"]) for c in diff["changes"]} == {("model", "back"), ("model", "back-new")}, "keys are left alone"
    assert get(g, "models/back")["owned_by"] == "second", "a dry run changes nothing"
    g.ctl("generations", "rollback", str(before), "--yes")
    assert get(g, "models/back")["owned_by"] == "first" and g.admin("GET", "models/back-new").status == 404
    assert get(g, "keys/key-stays")["name"] == "made later"
    assert get(g, "status")["generation"] > before, "a new generation, not an old one"
    owner = {m["id"]: m["owned_by"] for m in http_ask("GET", g.url + "/v1/models", headers={"x-api-key": g.key}).json["data"]}
    assert owner["back"] == "first" and "back-new" not in owner
    log = json.loads(g.ctl("generations", "list", "--limit", "5", "-o", "json"))["items"]
    assert any(e["kind"] == "model" and e["id"] == "back" for e in log)
    old = json.loads(g.ctl("export", "--generation", str(before), "--kinds", "model", "-o", "json"))
    assert [m for m in old["items"] if m["id"] == "back"][0]["owned_by"] == "first"


def play_export_and_apply_give_the_same(shared, where):
    g = shared
    text = g.ctl("export")
    assert "sk-" not in text
    again = json.loads(g.ctl("apply", "-f", "-", "-o", "json", stdin=text))
    assert (again["created"], again["updated"]) == (0, 0), "what was exported is what is there"
    assert g.ctl("diff", "-f", "-", stdin=text, ok=False).returncode == 0
    put(g, "models/lost", model(owned_by="x"))
    text = g.ctl("export", "-o", "yaml")
    g.ctl("delete", "model", "lost", "--yes")
    r = g.ctl("diff", "-f", "-", stdin=text, ok=False)
    assert r.returncode == 8 and "lost" in r.stdout
    g.ctl("apply", "-f", "-", stdin=text)
    assert get(g, "models/lost")["owned_by"] == "x" and g.chat(model="lost").status == 200
    twin = Gateway(where).start()
    try:
        wanted = json.loads(g.ctl("export", "--kinds", "org,team,provider,deployment,model", "-o", "json"))
        items = [i for i in wanted["items"] if i["kind"] != "deployment" or not i.get("credential")]
        items += [{**i, "credential": None} for i in wanted["items"] if i["kind"] == "deployment" and i.get("credential")]
        twin.ctl("apply", "-f", "-", stdin=json.dumps([{k: v for k, v in i.items() if v is not None} for i in items]))
        assert twin.ctl("diff", "-f", "-", stdin=json.dumps([i for i in items if i["kind"] == "model"]), ok=False).returncode == 0
    finally:
        twin.finish()


def play_lost_updates_are_refused(shared):
    g = shared
    first = put(g, "models/race", model())
    assert etag(first) == etag(g.admin("GET", "models/race"))
    second = put(g, "models/race", model(owned_by="a"), headers={"If-Match": etag(first)})
    stale = g.admin("PUT", "models/race", model(owned_by="b"), {"If-Match": etag(first)})
    assert (stale.status, stale.json["error"]["name"]) == (412, "PRECONDITION")
    assert g.admin("DELETE", "models/race", headers={"If-Match": etag(first)}).status == 412
    put(g, "models/race", model(), headers={"If-Match": etag(second)})

    def raise_by_one(_):
        for _ in range(200):
            now = g.admin("GET", "teams/play")
            n = int(now.json.get("labels", {}).get("n", "0"))
            a = g.admin("PATCH", "teams/play", {"labels": {"n": str(n + 1)}}, {"If-Match": etag(now)})
            if a.status in (200, 202):
                return True
            assert a.status == 412, a.text
        return False

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(raise_by_one, range(24)))
    assert get(g, "teams/play")["labels"]["n"] == "24"
    made = [g.admin("POST", "models", {"id": "only-once", **model()}).status for _ in range(2)]
    assert made in ([201, 409], [202, 409])


def play_wrong_input_is_shown_where(shared):
    g = shared
    before = get(g, "status")["confd"]["change_seq"]
    r = g.ctl("apply", "-f", "-", stdin="kind: model\nid: ok\ntargets:\n  - deploymnt: mock-1\n", ok=False)
    assert r.returncode == 5 and "deploymnt" in r.stderr and "line 4, column" in r.stderr, r.stderr
    r = g.ctl("apply", "-f", "-", stdin="kind: model\nid: [unclosed\n", ok=False)
    assert r.returncode == 5 and "line" in r.stderr, r.stderr
    cases = [("models/x", {"targets": [{"deployment": "nowhere"}]}, "/targets/0/deployment"), ("models/x", {"owner": "me"}, "/owner"),
             ("models/UPPER", model(), "/id"), ("providers/p", {"type": "openai", "base_url": "ftp://x"}, "/base_url"),
             ("providers/p", {"base_url": "http://x"}, "/type"), ("deployments/d", {"provider": "mock", "upstream_model": "a b"}, "/upstream_model"),
             ("deployments/d", {"provider": "mock", "upstream_model": "m", "input_price": -1}, "/input_price"),
             ("keys/k", {"expires_at": "tomorrow"}, "/expires_at"), ("models/x", {"version": 5, **model()}, "/version"),
             ("settings/default", {"retries": 99}, "/retries"), ("settings/other", {}, "/id")]
    for path, body, pointer in cases:
        a = g.admin("PUT", path, body)
        assert a.status == 400, (path, body, a.text)
        faults = a.json["error"]["faults"]
        assert pointer in [f["pointer"] for f in faults] and all(f["message"] for f in faults), (path, a.text)
    a = g.admin("PUT", "models/x", b'{"targets":[],"targets":[]}', {"Content-Type": "application/json"})
    assert a.status == 400
    a = g.admin("DELETE", "deployments/mock-1")
    assert a.status == 409 and {"kind": "model", "id": "mock-1"} in a.json["error"]["used_by"]
    half = [{"kind": "model", "id": "half-a", **model()}, {"kind": "model", "id": "half-b", **model("nowhere")}]
    assert g.admin("POST", "config:apply", half).status == 400 and g.admin("GET", "models/half-a").status == 404, "all or nothing"
    assert put(g, "models/dry?dry_run=true", model()).status in (200, 201) and g.admin("GET", "models/dry").status == 404
    assert get(g, "status")["confd"]["change_seq"] == before


def admin_key(g, name, role, org="", team=""):
    a = put(g, f"keys/{name}", {"purpose": "admin", **({"org": org} if org else {}), **({"team": team} if team else {})})
    scope = {k: v for k, v in (("org", org), ("team", team)) if v}
    put(g, f"role_bindings/{name}", {"key": name, "role": role, **scope})
    return a.json["token"]


def play_roles(shared):
    g = shared
    for org, team in (("acme", "red"), ("zeta", "blue")):
        put(g, f"orgs/{org}", {})
        put(g, f"teams/{team}", {"org": org})
        put(g, f"models/m-{org}", model(org=org))
        put(g, f"keys/key-{org}", {"org": org, "team": team})
    viewer = admin_key(g, "v", "viewer")
    assert get(g, "models/mock-1", token=viewer) and get(g, "whoami", token=viewer)["roles"][0]["role"] == "viewer"
    for method, path, body in (("PUT", "models/v", model()), ("PATCH", "models/mock-1", {"hidden": True}), ("DELETE", "models/mock-1", None),
                               ("POST", "config:apply", []), ("POST", "credentials/mock:rotate", {"mode": "now", "secret": "x"}),
                               ("POST", "generations:rollback", {"to": 1}), ("POST", "upgrade", None), ("POST", "keyring:rotate-dek", None)):
        assert g.admin(method, path, body, token=viewer).status == 403, path
    acme = admin_key(g, "a", "org-admin", "acme")
    assert get(g, "models/m-acme", token=acme)["org"] == "acme"
    for path in ("models/m-zeta", "teams/blue", "keys/key-zeta", "orgs/zeta"):
        assert g.admin("GET", path, token=acme).status == 404, path
        assert g.admin("PATCH", path, {"labels": {"a": "b"}}, token=acme).status == 404, path
        assert g.admin("DELETE", path, token=acme).status == 404, path
    for kind in ("models", "teams", "keys", "orgs"):
        assert "zeta" not in g.admin("GET", kind, token=acme).text, kind
    own = [{"kind": "provider", "id": "acme-p", "org": "acme", "type": "openai"},
           {"kind": "credential", "id": "acme-c", "org": "acme", "provider": "acme-p", "secret": "sk-acme"},
           {"kind": "deployment", "id": "acme-d", "org": "acme", "provider": "acme-p", "credential": "acme-c", "upstream_model": "m",
            "probe": "none", "activation": "immediate"}, {"kind": "model", "id": "acme-own", "org": "acme", **model("acme-d")}]
    a = g.admin("POST", "config:apply", own, token=acme)
    assert a.status == 200, a.text
    put(g, "keys/key-own", {"org": "acme", "team": "red"}, token=acme)
    for path, body in (("models/stolen", {"org": "zeta"}), ("models/everywhere", {}), ("keys/key-stolen", {"org": "zeta", "team": "blue"}),
                       ("providers/p2", {"type": "openai", "org": "acme", "allow_private": ["10.0.0.0/8"]}), ("settings/default", {"retries": 1})):
        before = g.admin("GET", path).text
        assert g.admin("PUT", path, body, token=acme).status in (400, 403, 404), path
        assert g.admin("GET", path).text == before, "nothing was written"
    a = g.admin("PUT", "role_bindings/up", {"key": "a", "role": "platform-admin"}, token=acme)
    assert a.status in (403, 404), a.text
    assert "zeta" not in g.ctl_as(acme, "export") and "acme-own" in g.ctl_as(acme, "export")
    zeta = http_ask("POST", g.url + CHAT, chat_body(), {"x-api-key": g.admin("PUT", "keys/key-z2", {"org": "zeta", "team": "blue"}).json["token"]})
    assert zeta.status == 200
    settled(g.data, [zeta.headers["x-request-id"]])
    logs = g.admin("GET", "logs?limit=1000", token=acme)
    assert logs.status == 200 and "zeta" not in logs.text and zeta.headers["x-request-id"] not in logs.text
    team = admin_key(g, "t", "team-admin", "acme", "red")
    assert get(g, "teams/red", token=team) and g.admin("PUT", "keys/key-t1", {"org": "acme", "team": "red"}, token=team).status == 201
    assert g.admin("PUT", "keys/key-t2", {"org": "acme"}, token=team).status in (403, 404)
    serve = put(g, "keys/key-serve", {"org": "acme"}).json["token"]
    assert g.admin("GET", "models", token=serve).status == 403 and g.admin("GET", "models", token="lgw_nobody").status == 401
    assert http_ask("GET", g.admin_url + "/admin/v1/models").status == 401
    refused = until(lambda: [r for r in g.logs("--class", "admin", "--limit", "1000") if r["act"] == "refused"], 5)
    assert any(r["actor"] == "v" and r["status"] == 403 for r in refused), "refused calls of known callers are in the trail"


def play_secrets_are_never_shown(shared):
    g = shared
    put(g, "credentials/shy", {"provider": "mock", "secret": "sk-very-secret-0123456789"})
    token = put(g, "keys/key-shy", {"org": "play"}).json["token"]
    for path in ("credentials/shy", "credentials", "keys/key-shy", "keys", "config:export", "generations?full=true&limit=50", "logs?class=admin",
                 "status", "workers"):
        text = g.admin("GET", path).text
        assert "sk-very-secret" not in text and token not in text, path
    c = get(g, "credentials/shy")
    assert c["last4"] == "6789" and len(c["fingerprint"]) == 8 and "secret" not in c
    put(g, "credentials/shy", {"provider": "mock", "labels": {"a": "b"}})
    assert get(g, "credentials/shy")["fingerprint"] == c["fingerprint"], "a put without secret keeps it"


def play_keyring_rotates(gateway):
    g = gateway
    with Load(g, 3) as load:
        g.ctl("keyring", "rotate-dek")
        until(lambda: not get(g, "keyring")["rotating"], 10)
        load.wait_for(20)
        old = g.root_key.read_bytes()
        g.ctl("keyring", "rotate-root", "--yes")
        until(lambda: g.root_key.read_bytes() != old, 5)
        load.wait_for(20)
    assert load.failures == []
    assert g.stop() == 0
    g.start_again()
    assert until(lambda: g.chat().status == 200, 5), "credential and key open with the new root"
    assert len(get(g, "keyring")["deks"]) >= 1
    put(g, "models/after", model())


def play_configuration_survives_a_restart(gateway):
    g = gateway
    put(g, "models/kept", model(owned_by="k"))
    before = (get(g, "status")["generation"], get(g, "models/kept"))
    assert g.stop() == 0
    g.start_again()
    assert (get(g, "status")["generation"], get(g, "models/kept")) == before
    until(lambda: g.chat(model="kept").status == 200, 10, "the first probe")
    put(g, "models/later", model())
    assert get(g, "status")["generation"] > before[0]


def play_pending_until_the_first_probe(shared):
    """A deployment whose provider does not answer is saved, told as pending, and turns active by itself."""
    g = shared
    late = Mock(g.where / "late-mock")
    late.where.mkdir()
    put(g, "providers/late", {"type": "openai-compatible", "base_url": late.url, "allow_private": ["127.0.0.1/32"]})
    put(g, "credentials/late", {"provider": "late", "secret": "sk-x"})
    g.ctl("apply", "-f", "-", "--wait", "none", stdin=json.dumps([
        {"kind": "deployment", "id": "late", "provider": "late", "credential": "late", "upstream_model": "mock-1"},
        {"kind": "model", "id": "late", **model("late")}]))
    a = until(lambda: (lambda a: a if a.status == 503 else None)(g.chat(model="late")), 10)
    assert a.json["error"]["code"] == "deployment_pending"
    until(lambda: get(g, "deployments/late:health").get("reason"), 10, "the reason")
    late.start()
    try:
        until(lambda: g.chat(model="late").status == 200, 20, "the model to turn active")
    finally:
        late.stop()


def play_unix_socket_and_settings(shared):
    g = shared
    assert g.admin("GET", "models/mock-1", unix=True).status == 200
    put(g, "settings/default", {"max_body_bytes": 2048})
    a = http_ask("POST", g.url + CHAT, {**chat_body(), "p": "x" * 4096}, {"Authorization": f"Bearer {g.key}"})
    assert a.status == 413
    put(g, "settings/default", {"server_timing": True})
    a = g.chat()
    assert a.status == 200 and float(a.headers["x-llmgw-cost-usd"]) > 0 and int(a.headers["x-llmgw-overhead-us"]) > 0
    put(g, "settings/default", {"max_in_flight_per_key": 1})
    streams = [Stream(g, "mock: chunks=100 chunk_ms=50") for _ in range(8)]
    assert {s.status for s in streams} == {200, 429}
    for s in streams:
        s.close()
    put(g, "settings/default", {})
    assert until(lambda: g.chat().status == 200, 3)

