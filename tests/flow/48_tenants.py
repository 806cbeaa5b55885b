"""Tenants: what an org brings is its own, nobody else sees that it exists; and who may call what, cell by cell. The table below is written by
hand: a route whose rights change in schemas/routes.def must change here too, with somebody's eyes on it."""
import http.client
import re

import pytest

from harness import ROOT, Mock, http_ask

CHAT = "/v1/chat/completions"
# callers: platform-admin, org-admin, team-admin, member, viewer, auditor of acme (team red), then viewer and auditor of the platform
CALLERS = "POTMVAva"
ROLES = {"P": {"role": "platform-admin"}, "O": {"role": "org-admin", "org": "acme"}, "T": {"role": "team-admin", "org": "acme", "team": "red"},
         "M": {"role": "member", "org": "acme", "team": "red", "user": "acme-u"}, "V": {"role": "viewer", "org": "acme"},
         "A": {"role": "auditor", "org": "acme"}, "v": {"role": "viewer"}, "a": {"role": "auditor"}}
tokens = {}


def put(g, path, body, token=None):
    a = g.admin("PUT", path, body, token=token)
    assert a.status in (200, 201, 202), (path, a.text)
    return a.json


def tenant(g, org, team, token):
    """One of each kind, made by the tenant's own admin."""
    more = {"org": org, "team": team}
    put(g, f"users/{org}-u", {"org": org}, token)
    put(g, f"keys/{org}-k", {**more, "user": f"{org}-u"}, token)
    put(g, f"providers/{org}-p", {**more, "type": "openai-compatible", "base_url": g.mock.url}, token)
    put(g, f"credentials/{org}-c", {**more, "provider": f"{org}-p", "secret": f"sk-{org}-secret-0123"}, token)
    put(g, f"deployments/{org}-d", {**more, "provider": f"{org}-p", "credential": f"{org}-c", "upstream_model": "mock-1", "probe": "none",
                                    "activation": "immediate"}, token)
    put(g, f"models/{org}-m", {**more, "targets": [{"deployment": f"{org}-d"}]}, token)
    put(g, f"tokens/{org}-t", {**more, "role": "viewer"}, token)
    put(g, f"accounts/{org}-a", {**more, "role": "viewer"}, token)


def setup(g):
    for org, team in (("acme", "red"), ("rival", "blue")):
        put(g, f"orgs/{org}", {})
        put(g, f"teams/{team}", {"org": org})
        tokens[org] = put(g, f"tokens/{org}-boss", {"role": "org-admin", "org": org})["token"]
        tenant(g, org, team, tokens[org])
        put(g, f"tokens/{org}-boss", {"role": "org-admin", "org": org})
        g.admin("PATCH", f"providers/{org}-p", {"allow_private": ["127.0.0.1/32"]})
    for c in CALLERS:
        tokens[c] = put(g, f"tokens/caller-{'platform-' if c.islower() else ''}{c.lower()}", ROLES[c])["token"]


def status_of(g, method, path, body, token):
    """The status alone. Only tails never end; the others are read, for a few exports at once are the limit."""
    c = http.client.HTTPConnection("127.0.0.1", g.admin_port, timeout=30)
    try:
        h = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            h["Authorization"] = f"Bearer {token}"
        c.request(method, path, body, h)
        r = c.getresponse()
        if "event-stream" not in (r.getheader("content-type") or ""):
            r.read()
        return r.status
    finally:
        c.close()


MODEL = '{"org":"%(org)s","team":"%(team)s","targets":[{"deployment":"%(org)s-d"}]}'
DRY = "?dry_run=true"
# route: method, path, body, statuses of CALLERS for their own org's object, the same for another's ("=": no object, once is enough)
CELLS = {
    "objects_list": ("GET", "/admin/v1/models", None, "200 200 200 200 200 200 200 200", "="),
    "objects_create": ("POST", "/admin/v1/models" + DRY, '{"id":"new-%(org)s","org":"%(org)s","team":"%(team)s","targets":[{"deployment":"%(org)s-d"}]}',
                       "201 201 201 403 403 403 403 403", "201 403 403 403 403 403 403 403"),
    "objects_get": ("GET", "/admin/v1/models/%(org)s-m", None, "200 200 200 200 200 200 200 200", "200 404 404 404 404 404 200 200"),
    "objects_put": ("PUT", "/admin/v1/models/%(org)s-m" + DRY, MODEL, "200 200 200 403 403 403 403 403", "200 404 404 404 403 403 403 403"),
    "objects_patch": ("PATCH", "/admin/v1/models/%(org)s-m" + DRY, '{"hidden":true}', "200 200 200 403 403 403 403 403",
                      "200 404 404 404 403 403 403 403"),
    "objects_delete": ("DELETE", "/admin/v1/models/%(org)s-m" + DRY, None, "200 200 200 403 403 403 403 403", "200 404 404 404 403 403 403 403"),
    "objects_bulk": ("POST", "/admin/v1/models:bulk" + DRY, '{"items":[{"op":"delete","id":"%(org)s-m"}]}', "200 200 200 403 403 403 403 403",
                     "200 404 404 404 403 403 403 403"),
    "cred_rotate": ("POST", "/admin/v1/credentials/%(org)s-c:rotate" + DRY, '{"secret":"sk-another-one"}', "200 200 200 403 403 403 403 403",
                    "200 404 404 403 403 403 403 403"),
    "dep_test": ("POST", "/admin/v1/deployments/%(org)s-d:test", None, "200 200 200 403 403 403 403 403", "200 404 404 403 403 403 403 403"),
    "dep_health": ("GET", "/admin/v1/deployments/%(org)s-d:health", None, "200 200 200 403 200 403 200 403", "200 404 404 403 404 403 200 403"),
    "dep_healths": ("GET", "/admin/v1/deployments:health", None, "200 200 200 403 200 403 200 403", "="),
    "account_password": ("POST", "/admin/v1/accounts/%(org)s-a:password" + DRY, '{"password":"a long enough password"}',
                         "200 200 200 404 403 403 403 403", "200 404 404 404 404 404 403 403"),
    "config_apply": ("POST", "/admin/v1/config:apply" + DRY, '[{"kind":"model","id":"%(org)s-m","org":"%(org)s","team":"%(team)s","hidden":true,'
                     '"targets":[{"deployment":"%(org)s-d"}]}]', "200 200 200 403 403 403 403 403", "200 404 404 403 403 403 403 403"),
    "config_diff": ("POST", "/admin/v1/config:diff", '[{"kind":"model","id":"%(org)s-m","org":"%(org)s","team":"%(team)s",'
                    '"targets":[{"deployment":"%(org)s-d"}]}]', "200 200 200 403 403 403 403 403", "200 404 404 403 403 403 403 403"),
    "config_validate": ("POST", "/admin/v1/config:validate", '[{"kind":"model","id":"%(org)s-m","org":"%(org)s","team":"%(team)s",'
                        '"targets":[{"deployment":"%(org)s-d"}]}]', "200 200 200 403 403 403 403 403", "200 404 404 403 403 403 403 403"),
    "config_export": ("GET", "/admin/v1/config:export", None, "200 200 200 403 403 200 403 200", "="),
    "generations": ("GET", "/admin/v1/generations", None, "200 200 200 403 403 200 403 200", "="),
    "generation_diff": ("GET", "/admin/v1/generations:diff?from=1", None, "200 403 403 403 403 403 403 200", "="),
    "rollback": ("POST", "/admin/v1/generations:rollback" + DRY, '{"to":3,"kinds":["settings"]}', "200 403 403 403 403 403 403 403", "="),
    "keyring": ("GET", "/admin/v1/keyring", None, "200 403 403 403 403 403 403 403", "="),
    "keyring_dek": ("POST", "/admin/v1/keyring:rotate-dek", None, "200 403 403 403 403 403 403 403", "="),
    "keyring_root": ("POST", "/admin/v1/keyring:rotate-root", None, "200 403 403 403 403 403 403 403", "="),
    "republish": ("POST", "/admin/v1/config:republish", None, "200 403 403 403 403 403 403 403", "="),
    "status": ("GET", "/admin/v1/status", None, "200 403 403 403 403 403 200 200", "="),
    "workers": ("GET", "/admin/v1/workers", None, "200 403 403 403 403 403 200 200", "="),
    "crashes": ("GET", "/admin/v1/crashes", None, "200 403 403 403 403 403 403 200", "="),
    "upgrade": ("POST", "/admin/v1/upgrade", None, "--- 403 403 403 403 403 403 403", "="),  # the allowed cell: tests/flow/60_upgrade.py
    "backup": ("POST", "/admin/v1/backup", "{}", "200 403 403 403 403 403 403 403", "="),
    "logs": ("GET", "/admin/v1/logs", None, "200 200 200 200 200 200 200 200", "="),
    "logs_export": ("GET", "/admin/v1/logs:export", None, "200 200 200 200 200 200 200 200", "="),
    "usage": ("GET", "/admin/v1/usage", None, "200 200 200 200 200 200 200 200", "="),
    "index_status": ("GET", "/admin/v1/index", None, "200 403 403 403 403 403 200 200", "="),
    "index_rebuild": ("POST", "/admin/v1/index:rebuild", None, "--- 403 403 403 403 403 403 403", "="),  # tests of the index do it
    "logs_tail": ("GET", "/admin/v1/logs:tail", None, "200 200 200 200 200 200 200 200", "="),
    "audit_key": ("GET", "/admin/v1/audit/key", None, "200 403 403 403 403 403 403 200", "="),
    "whoami": ("GET", "/admin/v1/whoami", None, "200 200 200 200 200 200 200 200", "="),
    "session_close": ("DELETE", "/admin/v1/session", None, "409 409 409 409 409 409 409 409", "="),  # tokens are no sessions
}
OPEN = {"session_open": "POST", "metrics": "GET", "livez": "GET", "readyz": "GET", "openapi": "GET"}  # nobody needs to be known


def routes():
    text = (ROOT / "schemas" / "routes.def").read_text()
    return re.findall(r"^GW_ROUTE\((\w+),\s*(\w+),\s*\"([^\"]+)\"", text, re.M)


def play_every_route_by_every_role(shared):
    g, wrong = shared, []
    known = set(CELLS) | set(OPEN)
    assert {name for name, _, _ in routes()} - known == set(), "a route without cells here"
    for name, (method, path, body, own, other) in CELLS.items():
        if name not in {n for n, _, _ in routes()}:
            continue
        for org, team, want in (("acme", "red", own), ("rival", "blue", other)):
            for c, status in zip(CALLERS, want.split() if want != "=" else [], strict=False):
                if status == "---":
                    continue
                names = {"org": org, "team": team}
                got = status_of(g, method, path % names, body % names if body else None, tokens[c])
                if got != int(status):
                    wrong.append((name, org, c, "wanted", status, "got", got))
        assert status_of(g, method, path % {"org": "acme", "team": "red"}, None, None) == 401, name
    assert wrong == []


def play_another_tenant_is_not_there(shared):
    """All that an org-admin can read, and every error it can get, without one word of the other org."""
    g, t = shared, tokens["acme"]
    texts = [g.admin("GET", path, token=t).text for path in
             ("orgs", "teams", "users", "keys", "role_bindings", "providers", "credentials", "deployments", "models", "tokens", "accounts",
              "config:export", "generations?limit=200&full=true", "logs?limit=1000", "models?org=rival")]
    for kind in ("users/%s-u", "keys/%s-k", "providers/%s-p", "credentials/%s-c", "deployments/%s-d", "models/%s-m", "tokens/%s-t", "accounts/%s-a"):
        theirs, nothing = (g.admin("GET", kind % who, token=t) for who in ("rival", "nobody"))
        assert theirs.status == nothing.status == 404
        assert theirs.text.replace("rival", "nobody").split("request_id")[0] == nothing.text.split("request_id")[0], "word for word"
        for method, body in (("PATCH", {"labels": {"a": "b"}}), ("DELETE", None)):
            assert g.admin(method, kind % "rival", body, token=t).status == 404
    for body in ({"targets": [{"deployment": "rival-d"}]}, {"alias_of": "rival-m"}, {"targets": [{"deployment": "acme-d"}], "teams": ["blue"]}):
        a = g.admin("PUT", "models/steal", {"org": "acme", **body}, token=t)
        b = g.admin("PUT", "models/steal", {"org": "acme", **{k: [{"deployment": "nobody-d"}] if k == "targets" else ["nope"] if k == "teams"
                                                             else "nobody-m" for k, v in body.items()}}, token=t)
        assert a.status == b.status == 400 and "rival-d" not in a.text.replace('"rival-d\\"', "")
    a = g.admin("PUT", "deployments/steal", {"org": "acme", "provider": "acme-p", "credential": "rival-c", "upstream_model": "x"}, token=t)
    assert a.status == 400
    for text in texts:
        assert "rival" not in text and "blue" not in text
    # the platform sees both
    assert {"acme-m", "rival-m"} <= {m["id"] for m in g.admin("GET", "models").json["items"]}


def play_fields_of_the_platform(shared):
    g, t = shared, tokens["acme"]
    for field, value in (("allow_private", ["10.0.0.0/8"]), ("ca_pem", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n")):
        a = g.admin("PATCH", "providers/acme-p", {field: value}, token=t)
        assert a.status in (400, 403) and field in a.text, a.text
    a = g.admin("PATCH", "deployments/acme-d", {"shared": True}, token=t)
    assert a.status == 403
    assert g.admin("PUT", "settings/default", {}, token=t).status in (403, 404)
    assert g.admin("PUT", "models/m-platform", {"targets": [{"deployment": "acme-d"}]}, token=t).status == 403
    assert g.admin("PUT", "models/acme-m2", {"org": "acme", "targets": [{"deployment": "acme-d"}], "teams": ["no-such-team"]}).status == 400


def names(g, key):
    return [m["id"] for m in http_ask("GET", g.url + "/v1/models", headers={"Authorization": f"Bearer {key}"}).json["data"]]


@pytest.fixture(scope="module")
def keys(shared):
    return {org: put(shared, f"keys/{org}-caller", {"org": org, "team": team}, tokens[org])["token"]
            for org, team in (("acme", "red"), ("rival", "blue"))}


def play_own_models_answer_only_their_own(shared, keys):
    g = shared
    assert g.chat(model="acme-m", key=keys["acme"]).status == 200
    assert g.chat(model="acme-m", key=keys["rival"]).status == 404
    assert "acme-m" in names(g, keys["acme"]) and "acme-m" not in names(g, keys["rival"])


def play_one_name_twice_is_listed_once(shared, keys):
    """A tenant's model of a platform's name: the tenant's keys are served by it and see one entry."""
    g, t = shared, tokens["acme"]
    own = Mock(g.where / "acme-mock", extra=["--require-key", "sk-acme-secret-0123"])
    own.where.mkdir()
    own.start()
    try:
        put(g, "models/twice-platform", {"name": "twice", "targets": [{"deployment": "mock-1"}], "owned_by": "platform"})
        put(g, "models/twice-acme", {"org": "acme", "team": "red", "name": "twice", "targets": [{"deployment": "acme-d"}], "owned_by": "acme"}, t)
        assert names(g, keys["acme"]).count("twice") == 1 and names(g, keys["rival"]).count("twice") == 1
        a = g.chat(model="twice", key=keys["acme"])
        assert a.status == 200 and a.headers["x-llmgw-deployment"] == "acme-d"
        assert g.chat(model="twice", key=keys["rival"]).headers["x-llmgw-deployment"] == "mock-1"
        g.admin("PATCH", "models/twice-acme", {"disabled": True}, token=t)
        assert names(g, keys["acme"]).count("twice") == 1
        assert g.chat(model="twice", key=keys["acme"]).headers["x-llmgw-deployment"] == "mock-1"
    finally:
        own.stop()


def play_platform_shares_and_stops_sharing(shared, keys):
    """A tenant's model on a platform deployment: only when the platform says so; its credential stays unseen."""
    g, t = shared, tokens["acme"]
    body = {"org": "acme", "targets": [{"deployment": "shared-d"}]}
    put(g, "deployments/shared-d", {"provider": "mock", "credential": "mock", "upstream_model": "mock-1", "probe": "none", "activation": "immediate"})
    assert g.admin("PUT", "models/on-shared", body, token=t).status == 400
    g.admin("PATCH", "deployments/shared-d", {"shared": True})
    put(g, "models/on-shared", body, t)
    assert g.chat(model="on-shared", key=keys["acme"]).status == 200
    assert g.chat(model="on-shared", key=keys["rival"]).status == 404
    assert g.admin("GET", "deployments/shared-d", token=t).status == 404, "used, not seen"
    assert g.admin("PUT", "deployments/mine", {"org": "acme", "provider": "mock", "credential": "mock", "upstream_model": "x"}, token=t).status == 400
    a = g.admin("PATCH", "deployments/shared-d", {"shared": None})
    assert a.status == 409 and a.json["error"]["used_by"] == [{"kind": "model", "id": "on-shared"}], a.text
    g.admin("DELETE", "models/on-shared", token=t)
    assert g.admin("PATCH", "deployments/shared-d", {"shared": None}).status in (200, 202)
    put(g, "models/for-acme", {"org": "acme", "targets": [{"deployment": "shared-d"}]})
    assert g.chat(model="for-acme", key=keys["acme"]).status == 200, "the platform gives to whom it likes"
    assert g.admin("PATCH", "models/for-acme", {"hidden": True}, token=t).status == 400
    put(g, "models/platform-plain", {"targets": [{"deployment": "mock-1"}]})
    assert g.admin("PUT", "models/alias", {"org": "acme", "alias_of": "platform-plain"}, token=t).status == 400
    g.admin("PATCH", "models/platform-plain", {"shared": True})
    put(g, "models/alias", {"org": "acme", "alias_of": "platform-plain"}, t)
    assert g.chat(model="alias", key=keys["acme"]).status == 200
