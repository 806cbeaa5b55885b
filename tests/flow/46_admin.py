"""The admin API for people and scripts: accounts and tokens that live and die at once, calls that are done once, many objects in one call,
and limits for those who guess or hurry."""
import concurrent.futures
import http.client
import json
import time
import urllib.parse

from harness import http_ask, until


def make(g, path, body, ok=(200, 201, 202), **kw):
    a = g.admin("PUT", path, body, **kw)
    assert a.status in ok, a.text
    return a.json


def token(g, name, **more):
    return make(g, f"tokens/{name}", {"role": "viewer", **more})["token"]


def model(target="mock-1", **more):
    return {"targets": [{"deployment": target}], **more}


def sign_in(g, account, password, **kw):
    return http_ask("POST", g.admin_url + "/admin/v1/session", {"account": account, "password": password}, **kw)


def play_token_is_refused_at_once(shared):
    g = shared
    t = token(g, "short-lived")
    for field in ({"disabled": True}, {"expires_at": "2020-01-01T00:00:00Z"}):
        assert g.admin("GET", "whoami", token=t).json["key"] == "token:short-lived"
        g.admin("PATCH", "tokens/short-lived", field)
        assert g.admin("GET", "whoami", token=t).status == 401, "no second of grace"
        g.admin("PATCH", "tokens/short-lived", dict.fromkeys(field))
    assert g.admin("GET", "whoami", token=t).status == 200
    assert t not in g.admin("GET", "tokens/short-lived").text and t not in g.admin("GET", "config:export").text
    until(lambda: g.admin("GET", "tokens/short-lived").json.get("last_used_at"), 40, "the time of last use")
    # ends by itself, to the second
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    g.admin("PATCH", "tokens/short-lived", {"expires_at": soon})
    until(lambda: g.admin("GET", "whoami", token=t).status == 401, 10, "the token's end")
    g.admin("DELETE", "tokens/short-lived")
    assert http_ask("POST", g.url + "/v1/chat/completions", {"model": "mock-1", "messages": []},
                    {"Authorization": f"Bearer {t}"}).status == 401, "tokens of the admin API are nothing on the data plane"


def play_password_session(shared):
    g = shared
    made = json.loads(g.ctl("account", "create", "alice", "--role", "platform-admin", "-o", "json", stdin="correct horse battery\n"))
    assert made["id"] == "alice" and "horse" not in json.dumps(made)
    wrong, unknown = sign_in(g, "alice", "wrong password"), sign_in(g, "nobody", "wrong password")
    assert wrong.status == unknown.status == 401
    assert wrong.json["error"]["message"] == unknown.json["error"]["message"], "who has an account is not told"
    a = sign_in(g, "alice", "correct horse battery")
    assert a.status == 200, a.text
    t = a.json["token"]
    assert g.admin("GET", "whoami", token=t).json["key"] == "account:alice"
    assert g.admin("PUT", "models/by-alice", model(), token=t).status in (200, 201, 202)
    last = g.admin("GET", "generations?limit=3").text
    assert '"account:alice"' in last
    other = sign_in(g, "alice", "correct horse battery").json["token"]
    assert g.admin("DELETE", "session", token=other).status == 200
    assert g.admin("GET", "whoami", token=other).status == 401 and g.admin("GET", "whoami", token=t).status == 200
    assert g.admin("DELETE", "session").status == 409, "a key is no session"
    g.admin("PATCH", "accounts/alice", {"disabled": True})
    assert g.admin("GET", "whoami", token=t).status == 401
    assert sign_in(g, "alice", "correct horse battery").status == 401
    text = g.admin("GET", "config:export").text + g.admin("GET", "generations?full=true").text
    assert "horse" not in text and t not in text
    g.ctl("account", "disable", "alice", "--yes")
    assert "alice" in g.ctl("account", "list")


def play_sign_in_by_command(shared):
    g = shared
    g.ctl("account", "create", "bob", "--role", "viewer", stdin="a viewer's password\n")
    r = json.loads(g.ctl("login", "bob", "-o", "json", stdin="a viewer's password\n"))
    assert g.admin("GET", "models", token=r["token"]).status == 200
    assert g.admin("PUT", "models/nope", model(), token=r["token"]).status == 403
    assert g.ctl("login", "bob", stdin="not that one at all\n", ok=False).returncode == 6
    t = g.ctl("token", "create", "made-here", "--role", "viewer").strip().split()[-1]
    assert g.admin("GET", "whoami", token=t).status == 200
    assert "made-here" in g.ctl("token", "list")
    g.ctl("token", "revoke", "made-here", "--yes")
    assert g.admin("GET", "whoami", token=t).status == 401


def play_call_is_done_once(shared):
    g = shared
    h = {"Idempotency-Key": "make-key-1"}
    first = g.admin("POST", "keys", {"id": "once"}, h)
    again = g.admin("POST", "keys", {"id": "once"}, h)
    assert (first.status, again.status) == (201, 201) and first.json["token"] == again.json["token"]
    assert g.admin("POST", "keys", {"id": "other"}, h).status == 422
    assert g.admin("POST", "keys", {"id": "once"}).status == 409
    # many at once under one name: one object, one answer
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: g.admin("POST", "keys", {"name": "storm"}, {"Idempotency-Key": "storm"}), range(16)))
    assert {a.status for a in answers} <= {201, 202} and len({a.json["id"] for a in answers}) == 1
    assert len(g.admin("GET", "keys?name=storm").json["items"]) == 1
    g.kill("confd")
    until(lambda: g.admin("GET", "models").status == 200, 20, "confd to be back")
    assert until(lambda: g.admin("POST", "keys", {"id": "once"}, h).json.get("token"), 10) == first.json["token"]


def play_many_in_one_call(shared):
    g = shared
    items = [{"op": "create", "object": {"id": f"bulk-{n}", **model()}} for n in range(200)]
    a = g.admin("POST", "models:bulk", {"items": items})
    assert a.status == 200 and a.json["done"] == 200 and a.json["failed"] == 0, a.text
    assert g.chat(model="bulk-199").status == 200
    generation = g.admin("GET", "status").json["confd"]["generation"]
    bad = [{"op": "delete", "id": "bulk-0"}, {"op": "patch", "id": "bulk-1", "patch": {"targets": [{"deployment": "nowhere"}]}},
           {"op": "create", "object": {"id": "bulk-2", **model()}}, {"op": "frobnicate"}]
    a = g.admin("POST", "models:bulk", {"items": bad})
    assert a.status == 400 and [r["status"] for r in a.json["error"]["results"]] == [200, 400, 409, 400], a.text
    assert g.admin("GET", "models/bulk-0").status == 200, "nothing stays when one fails"
    a = g.admin("POST", "models:bulk", {"items": bad, "partial": True})
    assert a.status in (200, 202) and (a.json["done"], a.json["failed"]) == (1, 3), a.text
    assert g.admin("GET", "models/bulk-0").status == 404
    assert g.admin("GET", "status").json["confd"]["generation"] == generation + 1, "one call, one generation"
    a = g.admin("POST", "models:bulk", {"items": [{"op": "delete", "id": f"bulk-{n}"} for n in range(1, 200)]})
    assert a.status in (200, 202) and a.json["done"] == 199
    assert g.admin("POST", "models:bulk", {"items": [{"op": "delete", "id": "x"}] * 1001}).status == 413
    assert g.admin("POST", "models:bulk", {"items": [], "frob": 1}).status == 400
    stale = g.admin("POST", "teams:bulk", {"items": [{"op": "patch", "id": "play", "patch": {}, "version": 1}]})
    assert stale.status == 412


def play_allow_names_what_the_path_takes(shared):
    g = shared
    for method, path, want in [("DELETE", "models", {"GET", "POST"}), ("POST", "models/m", {"GET", "PUT", "PATCH", "DELETE"}),
                               ("GET", "session", {"POST", "DELETE"}), ("PUT", "status", {"GET"}), ("GET", "config:apply", {"POST"})]:
        a = g.admin(method, path, {} if method in ("POST", "PUT") else None)
        assert a.status == 405 and set(a.headers["allow"].split(", ")) == want, (method, path, a.status, a.headers)


def play_refused_calls_are_recorded_unknown_ones_counted(shared):
    g = shared
    t = token(g, "watcher")
    refused = g.admin("PUT", "models/forbidden", model(), token=t)
    assert refused.status == 403
    until(lambda: any(r.get("request_id") == refused.headers["x-request-id"] and r["actor"] == "token:watcher" and r["error"] == "FORBIDDEN"
                      for r in g.logs("--class", "admin", "--from", "5m", "--filter", "actor=token:watcher")), 10, "the refused call in the trail")
    before = g.admin("GET", "status").json
    for _ in range(3):
        assert http_ask("GET", g.admin_url + "/admin/v1/keys").status == 401
    assert http_ask("GET", "/admin/v1/keys", unix=g.unix).status == 401
    now = g.admin("GET", "status").json
    assert now["unauthenticated_admin_calls"] == before["unauthenticated_admin_calls"] + 4

    def of(s, source):
        return sum(x["calls"] for x in s["unauthenticated_sources"] if x["source"].startswith(source))

    assert of(now, "127.0.0.1") == of(before, "127.0.0.1") + 3 and of(now, "unix") == of(before, "unix") + 1


def play_guessing_and_hurrying_are_told_to_wait(shared):
    g = shared
    g.admin("PATCH", "settings/default", {"admin_failures": 5})
    try:
        until(lambda: g.admin("GET", "models", token="lgw_wrong-0").status == 429, 10, "429 for a guesser")
        a = g.admin("GET", "models", token="lgw_wrong-1")
        assert a.status == 429 and int(a.headers["retry-after"]) >= 1 and a.json["error"]["name"] == "LIMIT"
        assert sign_in(g, "alice", "whatever it may be").status == 429
        assert g.admin("GET", "models").status == 200, "who was let in before is not shut out by a neighbour"
    finally:
        g.admin("PATCH", "settings/default", {"admin_failures": None})
    t = token(g, "hasty")
    g.admin("PATCH", "settings/default", {"admin_rate": 1})
    try:
        until(lambda: g.admin("GET", "models", token=t).status == 429, 20, "429 for a hasty caller")
    finally:
        until(lambda: g.admin("PATCH", "settings/default", {"admin_rate": None}).status in (200, 202), 20)
    until(lambda: g.admin("GET", "models", token=t).status == 200, 10)


def play_openapi_is_valid_and_whole(shared):
    """A real validator takes it, every route is in it, and it asks for no token."""
    import re

    from openapi_spec_validator import validate

    from harness import ROOT
    g = shared
    a = http_ask("GET", g.admin_url + "/openapi.json")
    assert a.status == 200
    doc = a.json
    validate(doc)
    routes = re.findall(r'^GW_ROUTE\((\w+),\s*(\w+),\s*"([^"]+)"', (ROOT / "schemas" / "routes.def").read_text(), re.M)
    for name, method, path in routes:
        operation = doc["paths"][path.replace("{kind}", "models")][method.lower()]
        assert operation["operationId"] == name + ("_model" if "{kind}" in path else "")
        assert operation.get("security") == ([] if operation["x-llmgw-roles"] == "NONE" else None)
    kinds = re.findall(r"^GW_KIND\((\w+)", (ROOT / "schemas" / "config.def").read_text(), re.M)
    assert set(kinds) <= set(doc["components"]["schemas"])
    assert doc["components"]["schemas"]["settings"]["properties"]["retries"]["maximum"] == 5


def play_a_promise_that_is_not_kept_is_refused(shared):
    g, h = shared, {"Idempotency-Key": "once-please"}
    for method, path, body in (("POST", "keyring:rotate-dek", None), ("POST", "config:republish", None), ("POST", "upgrade", None), ("POST", "backup", {}),
                               ("POST", "deployments/mock-1:test", None), ("POST", "index:rebuild", None), ("POST", "session", {"account": "a", "password": "b"})):
        a = g.admin(method, path, body, h)
        assert a.status == 400 and "Idempotency-Key" in a.text, (path, a.text)
    spec = http_ask("GET", g.admin_url + "/openapi.json").json["paths"]
    names = lambda path: {p["name"] for p in spec["/admin/v1/" + path]["post"]["parameters"]}
    assert "Idempotency-Key" in names("config:apply") and "Idempotency-Key" not in names("keyring:rotate-dek") | names("index:rebuild")


def play_health_of_all_deployments(shared):
    g = shared
    until(lambda: g.admin("GET", "deployments/mock-1:health").json["state"] == "active", 10)
    make(g, "deployments/dead", {"id": "dead", "provider": "mock", "upstream_model": "m", "activation": "immediate", "probe": "none"})
    rows = {x["id"]: x for x in g.admin("GET", "deployments:health").json["items"]}
    assert rows["mock-1"]["state"] == "active" and rows["mock-1"]["provider"] == "mock" and rows["dead"]["upstream_model"] == "m" and "state" in rows["dead"]
    assert [x["id"] for x in g.admin("GET", "deployments:health?provider=mock&limit=1").json["items"]] == ["dead"]
    make(g, "orgs/elsewhere", {"id": "elsewhere"})
    other = token(g, "elsewhere-viewer", role="viewer", org="elsewhere")
    assert g.admin("GET", "deployments:health", token=other).json["items"] == [], "a tenant sees its own"
    assert g.admin("POST", "deployments:health").status == 405


def tail(g, query, last=None, n=1, filters=""):
    """n events of a tail: (id, record)."""
    u = urllib.parse.urlsplit(g.admin_url)
    c = http.client.HTTPConnection(u.hostname, u.port, timeout=20)
    c.request("GET", "/admin/v1/logs:tail" + query, headers={"Authorization": f"Bearer {g.token}", **({"Last-Event-ID": last} if last else {})})
    r = c.getresponse()
    assert r.status == 200, r.read()
    out, one = [], {}
    while len(out) < n:
        line = r.readline().decode().rstrip("\n")
        if line.startswith("id: "):
            one["id"] = line[4:]
        elif line.startswith("data: "):
            out.append((one["id"], json.loads(line[6:])))
    c.close()
    return out


def play_tail_goes_on_behind_the_last_event(shared):
    g = shared
    ask = lambda: g.chat().headers["x-request-id"]
    first = ask()
    until(lambda: first in {r["request_id"] for r in g.logs("--limit", "10")}, 10)
    seen = tail(g, "?from=1h&filter=request_id=" + first)
    assert seen[0][1]["request_id"] == first
    missed = [ask() for _ in range(5)]
    until(lambda: set(missed) <= {r["request_id"] for r in g.logs("--limit", "10")}, 10)
    got = tail(g, "", seen[0][0], 5)
    assert sorted(r["request_id"] for _, r in got) == sorted(missed), "all that came meanwhile, once"
    assert len({i for i, _ in got}) == 5
    assert tail(g, "", got[2][0], 2) == got[3:], "in the trail's order"
    g.kill("logger")  # another segment
    later = [ask() for _ in range(3)]
    got = tail(g, "", got[4][0], 3)
    assert sorted(r["request_id"] for _, r in got) == sorted(later)
    for bad in ("x", "1700000000000-00000000-00000001", "../../etc.5", "9" * 300):
        assert g.admin("GET", "logs:tail", headers={"Last-Event-ID": bad}).status == 400, bad
