"""Identities that clouds give: to a container, a pod, an app, a machine; what is asked of whom, by which way, and what is said when the answer is bad."""
import json
import os
import subprocess
import sys
import time

import pytest

from clouds import Cloud, CloudGateway
from forward_proxy import ForwardProxy
from harness import ROOT, http_ask, until
from vendors import Provider, as_json, signature_fault

ROLE = "arn:aws:iam::1:role/r"


@pytest.fixture
def provider():
    p = Provider()
    yield p
    p.stop()


@pytest.fixture
def cloud():
    c = Cloud()
    yield c
    c.stop()


def start(where, env, **more):
    g = CloudGateway(where, env, **more)
    g.start()
    g.ctl("apply", "-f", "-", stdin=json.dumps([{"kind": "settings", "id": "default", "ambient_credentials": True}, {"kind": "org", "id": "play"},
                                               {"kind": "team", "id": "play", "org": "play"}]))
    g.key = json.loads(g.ctl("key", "create", "--org", "play", "--team", "play", "-o", "json"))["token"]
    return g


def objects(p, credential, **provider):
    return [{"kind": "provider", "id": "p", "type": "openai-compatible", "base_url": p.base_url, "allow_private": ["127.0.0.1/32"], **provider},
            {"kind": "credential", "id": "c", "provider": "p", **credential},
            {"kind": "deployment", "id": "d", "provider": "p", "credential": "c", "upstream_model": "m", "activation": "immediate"},
            {"kind": "model", "id": "mock-1", "targets": [{"deployment": "d"}]}]


def put(g, p, credential, **provider):
    g.ctl("apply", "-f", "-", stdin=json.dumps(objects(p, credential, **provider)))


def wants_bearer(provider, cloud):
    provider.fault = lambda m, path, h, b: None if cloud.is_bearer(h) else "wrong token"


def wants_signature(provider, cloud):
    provider.fault = lambda m, path, h, b: signature_fault(h, m, path, b, h["host"], cloud.keys, "bedrock")


def served(g, cloud):
    a = g.chat()
    assert a.status == 200, (a.text, cloud.faults, g.admin("POST", "deployments/d:test").text)


def tested(g):
    return g.admin("POST", "deployments/d:test").json


def token_of(g, name="c"):
    """Its row in the status, from whichever process tells it."""
    def find(tree):
        if isinstance(tree, dict):
            return [x for k, v in tree.items() for x in (v if k == "tokens" and isinstance(v, list) else find(v))]
        return [x for v in tree for x in find(v)] if isinstance(tree, list) else []

    rows = [t for t in find(json.loads(g.ctl("status", "-o", "json"))) if t["credential"] == name]
    return rows[0] if rows else None


# ---- containers, pods, apps ----

def play_a_task_of_ecs(where, provider, cloud):
    """The environment says a path; the address is the platform's (here token_url stands for it)."""
    cloud.container_token = "Basic static-token"
    g = start(where, {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/7f0b-11", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Basic static-token"})
    wants_signature(provider, cloud)
    put(g, provider, {"type": "aws", "region": "us-east-1", "source": "container", "token_url": cloud.url})
    served(g, cloud)
    assert cloud.paths() == ["/v2/credentials/7f0b-11"]
    g.finish()


def play_a_pod_of_eks_whose_token_file_is_renewed(where, provider, cloud):
    """EKS Pod Identity: a whole URL, and a token in a file that is replaced as kubernetes does it: by another link to another folder."""
    pod = where / "pod"
    (pod / "..1").mkdir(parents=True)
    (pod / "..1/token").write_text("jwt-1\n")
    (pod / "..data").symlink_to("..1")
    (pod / "token").symlink_to("..data/token")
    cloud.container_token, cloud.life = "jwt-1", 10
    g = start(where, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": cloud.url + "/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(pod / "token"),
                      "AWS_CONTAINER_AUTHORIZATION_TOKEN": "the file comes first"})
    wants_signature(provider, cloud)
    put(g, provider, {"type": "aws", "region": "us-east-1", "source": "container"})
    served(g, cloud)
    (pod / "..2").mkdir()
    (pod / "..2/token").write_text("jwt-2")
    (pod / "..next").symlink_to("..2")
    (pod / "..next").rename(pod / "..data")
    cloud.container_token = "jwt-2"
    until(lambda: len(cloud.keys) >= 2, 30, "keys by the new token")
    served(g, cloud)
    g.finish()


@pytest.mark.parametrize("env,words", [
    ({}, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.7/v1/credentials"}, "plain http"),
    ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/c", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/nowhere/token"}, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
])
def play_a_container_that_is_none_says_what_it_lacks(where, provider, env, words):
    g = start(where, env)
    put(g, provider, {"type": "aws", "region": "us-east-1", "source": "container"})
    assert g.chat().status == 503
    t = tested(g)
    assert words in t["message"], t
    assert words in token_of(g)["error"]
    g.finish()


def play_an_app_of_azure(where, provider, cloud):
    g = start(where, {"IDENTITY_ENDPOINT": cloud.url + "/msi/token", "IDENTITY_HEADER": "own-header-value"})
    wants_bearer(provider, cloud)
    put(g, provider, {"type": "azure", "source": "container", "client_id": "user-assigned"})
    served(g, cloud)
    assert "client_id=user-assigned" in cloud.seen[-1][1]
    g.finish()


# ---- federation: the platform's token is shown for another ----

def play_web_identity_of_aws(where, provider, cloud):
    (where / "irsa").mkdir()
    (where / "irsa/token").write_text(cloud.subject)
    g = start(where, {"AWS_WEB_IDENTITY_TOKEN_FILE": str(where / "irsa/token")})
    cloud.check = lambda form, h: None if form["RoleArn"] == ROLE and "authorization" not in h else "wrong role"
    wants_signature(provider, cloud)
    put(g, provider, {"type": "aws", "region": "us-east-1", "source": "web_identity", "role_arn": ROLE, "token_url": cloud.url})
    served(g, cloud)
    assert len(cloud.seen) == 1
    g.finish()


def play_web_identity_of_azure(where, provider, cloud):
    (where / "wi").mkdir()
    (where / "wi/token").write_text(cloud.subject)
    g = start(where, {"AZURE_FEDERATED_TOKEN_FILE": str(where / "wi/token"), "AZURE_CLIENT_ID": "app", "AZURE_TENANT_ID": "dir"})
    wants_bearer(provider, cloud)
    put(g, provider, {"type": "azure", "source": "web_identity", "token_url": cloud.url})
    served(g, cloud)
    assert cloud.paths() == ["/dir/oauth2/v2.0/token"]
    g.finish()


@pytest.mark.parametrize("is_json", [False, True])
def play_web_identity_of_google(where, provider, cloud, is_json):
    """An external_account file: an exchange, then a service account's token for it."""
    (where / "own").mkdir()
    (where / "proof").mkdir()
    (where / "proof/token").write_text(json.dumps({"a": 1, "id_token": cloud.subject}) if is_json else cloud.subject)
    source = {"file": str(where / "proof/token"), **({"format": {"type": "json", "subject_token_field_name": "id_token"}} if is_json else {})}
    (where / "own/account.json").write_text(json.dumps({
        "type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://sts.googleapis.com/v1/token", "credential_source": source,
        "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/gw@p.iam.gserviceaccount.com:generateAccessToken"}))
    g = start(where, {"GOOGLE_APPLICATION_CREDENTIALS": str(where / "own/account.json")})
    wants_bearer(provider, cloud)
    put(g, provider, {"type": "gcp", "source": "web_identity", "token_url": cloud.url})
    served(g, cloud)
    assert cloud.paths() == ["/v1/token", "/v1/projects/-/serviceAccounts/gw@p.iam.gserviceaccount.com:generateAccessToken"]
    g.finish()


def play_a_role_behind_the_machines_keys(where, provider, cloud):
    """IMDS gives keys, STS is asked with them, requests are signed with what STS gives."""
    g = start(where, {})
    sent = []

    def check(form, h):
        sent.append((form["RoleArn"], form["ExternalId"], h["authorization"].split("Credential=")[1].split("/")[0]))
        return None

    cloud.check = check
    wants_signature(provider, cloud)
    put(g, provider, {"type": "aws", "region": "us-east-1", "source": "instance", "role_arn": ROLE, "external_id": "e", "token_url": cloud.url})
    served(g, cloud)
    machines, assumed = sorted(cloud.keys)
    assert sent == [(ROLE, "e", machines)]
    assert assumed in provider.seen[-1][2]["authorization"]
    g.finish()


# ---- the real addresses, in a network of their own ----

def play_the_metadata_addresses_themselves(where):
    """169.254.169.254 and 169.254.170.2 as loopback addresses of a network namespace: no token_url, no allow_private for them, a proxy set that must not be asked."""
    if subprocess.run(["unshare", "--net", "--map-root-user", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a network namespace")
    r = subprocess.run(["unshare", "--net", "--map-root-user", sys.executable, ROOT / "tests/flow/clouds_inside.py", where], check=False, capture_output=True, text=True,
                       timeout=300, env=os.environ)
    assert r.returncode == 0, r.stdout[-4000:] + r.stderr[-4000:]
    assert r.stdout.split() == ["gcp", "azure", "aws", "role", "ecs"], r.stdout


# ---- who may ----

def play_a_tenants_admin_may_not_use_the_machine(where, provider, cloud):
    g = start(where, {})
    wants_bearer(provider, cloud)
    put(g, provider, {"type": "azure", "source": "instance", "token_url": cloud.url})
    served(g, cloud)
    asked = len(cloud.seen)
    token = json.loads(g.ctl("token", "create", "--role", "org-admin", "--org", "play", "-o", "json"))["token"]
    a = g.admin("POST", "providers", {"id": "tp", "org": "play", "type": "openai-compatible", "base_url": "https://example.com/v1"}, token=token)
    assert a.status == 201, a.text
    for fields in ({"type": "aws", "region": "us-east-1", "source": "instance"}, {"type": "gcp", "source": "web_identity"}, {"type": "azure", "source": "container"},
                   {"type": "azure", "tenant_id": "t", "client_id": "c", "secret": "s", "token_url": cloud.url}):
        a = g.admin("POST", "credentials", {"id": "tc", "org": "play", "provider": "tp", **fields}, token=token)
        assert a.status in (400, 403), (fields, a.text)
        assert "/source" in a.text or "/token_url" in a.text, a.text
    for method, path, body in (("PATCH", "settings/default", {"ambient_credentials": True}), ("PATCH", "credentials/c", {"source": "instance"}),
                               ("POST", "deployments/d:test", None)):
        a = g.admin(method, path, body, token=token)
        assert a.status in (403, 404), (path, a.status, a.text)
    assert len(cloud.seen) == asked
    g.finish()


# ---- bad answers ----

def slow(seconds):
    def answer(path):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.05)
        return as_json(200, {"access_token": "late", "expires_in": 3600})
    return answer


BAD = {
    "words in oauth's shape": ((400, {"error": "invalid_request", "error_description": "Identity not found"}), ["answered 400", "Identity not found"]),
    "words in google's shape": ((403, {"error": {"code": 403, "message": "Service account is disabled"}}), ["answered 403", "Service account is disabled"]),
    "no words": ((500, "<html>oops</html>"), ["answered 500"]),
    "200 that is none": ((200, {"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume the role"}), ["gave no token", "EC2 cannot assume the role"]),
    "a number for a token": ((200, {"access_token": 7, "expires_in": 3600}), ["not what a token endpoint answers"]),
    "a token without an end": ((200, {"access_token": "t-1"}), ["not what a token endpoint answers"]),
    "an end that is no number": ((200, {"access_token": "t-1", "expires_in": {"s": 1}}), ["not what a token endpoint answers"]),
    "a list": ((200, []), ["not what a token endpoint answers"]),
    "no json": ((200, "token"), ["not what a token endpoint answers"]),
    "twice the same name": ((200, '{"access_token":"a","access_token":"b","expires_in":9}'), ["not what a token endpoint answers"]),
    "a line break in it": ((200, {"access_token": "a\r\nx-evil: 1", "expires_in": 3600}), ["not what a token endpoint answers"]),
    "over when it came": ((200, {"access_token": "t-1", "expires_on": "1700000000"}), ["has ended already"]),
    "over at once": ((200, {"access_token": "t-1", "expires_in": 0}), ["has ended already"]),
    "too much": ((200, "x" * 5_000_000), ["more than a token endpoint"]),
    "a redirect": (lambda c: (302, {"location": c.url + "/elsewhere"}, b""), ["redirect", "not followed"]),
    "another clock": (lambda c: (401, {"date": "Tue, 04 Mar 2031 10:00:00 GMT"}, b'{"error_description":"Signature expired"}'), ["Signature expired", "clock is", "behind theirs"]),
}


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A gateway for all of the bad answers."""
    p, c = Provider(), Cloud()
    g = start(tmp_path_factory.mktemp("bad"), {})
    wants_bearer(p, c)
    yield g, p, c
    g.finish()
    p.stop()
    c.stop()


def told(g, words):
    t = tested(g)
    assert t["error"] == "CRED_MISSING" and all(w in t["message"] for w in words), t
    return t


@pytest.mark.parametrize("name", list(BAD))
def play_bad_answers_are_told_plainly(one, name):
    g, p, c = one
    answer, words = BAD[name]
    if callable(answer):
        c.broken = lambda path: answer(c)
    else:
        c.broken = (answer[0], answer[1] if isinstance(answer[1], str) else json.dumps(answer[1]))
    # another scope is another question: nothing that was learnt before counts
    put(g, p, {"type": "azure", "source": "instance", "scope": f"https://{len(c.seen)}.example/.default", "token_url": c.url})
    t = until(lambda: told(g, words), 10, f"{words}")
    assert "credential c" in t["message"], t
    assert "/elsewhere" not in c.paths()
    a = g.chat()
    assert a.status == 503 and a.json["error"]["code"] == "credential_unavailable", a.text
    assert not any(w in a.text for w in words), "clients are not told"
    c.broken = None


def play_an_endpoint_that_does_not_answer_holds_nothing_up(where, provider, cloud):
    """Ten seconds are the most that one fetch takes; others are fetched meanwhile."""
    other = Cloud()
    g = start(where, {})
    cloud.broken = slow(40)
    wants_bearer(provider, other)
    put(g, provider, {"type": "azure", "source": "instance", "token_url": cloud.url})
    g.ctl("apply", "-f", "-", stdin=json.dumps([
        {"kind": "credential", "id": "c2", "provider": "p", "type": "azure", "source": "instance", "token_url": other.url},
        {"kind": "deployment", "id": "d2", "provider": "p", "credential": "c2", "upstream_model": "m", "activation": "immediate"},
        {"kind": "model", "id": "other", "targets": [{"deployment": "d2"}]}]))
    assert http_ask("POST", g.url + "/v1/chat/completions", {"model": "other", "messages": [{"role": "user", "content": "x"}]},
                    {"Authorization": f"Bearer {g.key}"}).status == 200
    until(lambda: "error" in (token_of(g) or {}), 20, "the fetch to end")
    assert "127.0.0.1" in token_of(g)["error"]
    other.stop()
    g.finish()
    cloud.broken = (500, "")


def play_another_role_is_used_at_once(where, provider, cloud):
    """What a token is fetched with is changed: the old one is not used any more, and no request fails for it."""
    g = start(where, {})
    wants_bearer(provider, cloud)
    put(g, provider, {"type": "azure", "source": "instance", "token_url": cloud.url})
    served(g, cloud)
    cloud.given.clear()
    cloud.resource = "https://another.example"
    a = g.admin("PATCH", "credentials/c", {"scope": "https://another.example/.default"})
    assert a.status == 200, a.text
    served(g, cloud)
    served(g, cloud)
    g.finish()


# ---- by which way ----

@pytest.mark.parametrize("user", [None, "walker:proxy-canary-5f3a9c7d"])
def play_tokens_are_fetched_by_the_providers_proxy(where, provider, cloud, user):
    """What leaves the machine for a provider leaves by its proxy: its calls and the tokens for them."""
    proxy = ForwardProxy(user)
    g = start(where, {})
    wants_bearer(provider, cloud)
    # the provider's base_url is not what the proxy is for when it is asked for a token: both go by it
    fields = objects(provider, {"type": "azure", "tenant_id": "dir", "client_id": "app", "secret": "cs-123456", "token_url": cloud.url}, proxy=proxy.url,
                     allow_private=["127.0.0.0/8", "::1/128"])
    if user:
        fields.insert(1, {"kind": "credential", "id": "way", "provider": "p", "secret": user})
    g.ctl("apply", "-f", "-", stdin=json.dumps(fields))
    if user:
        assert g.chat().status == 503
        assert "proxy" in tested(g)["message"].lower(), tested(g)
        assert "proxy-canary" not in json.dumps(tested(g))
        a = g.admin("PATCH", "providers/p", {"proxy_credential": "way"})
        assert a.status == 200, a.text
        until(lambda: g.chat().status == 200, 15, "the proxy to be told who asks")
    served(g, cloud)
    asked = [line for line in proxy.lines() if "/dir/oauth2/v2.0/token" in line]
    assert asked and len(cloud.seen) == 1, (proxy.lines(), cloud.seen)
    assert any("/chat/completions" in line for line in proxy.lines())
    g.finish()
    proxy.stop()


def play_the_machines_own_endpoints_are_never_asked_by_a_proxy(where, provider, cloud):
    """A container's endpoint at this machine, with a proxy set: straight there."""
    proxy = ForwardProxy()
    g = start(where, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": cloud.url + "/v1/credentials"})
    wants_signature(provider, cloud)
    put(g, provider, {"type": "aws", "region": "us-east-1", "source": "container"}, proxy=proxy.url, allow_private=["127.0.0.0/8", "::1/128"])
    served(g, cloud)
    assert not any("credentials" in line for line in proxy.lines()), proxy.lines()
    g.finish()
    proxy.stop()
