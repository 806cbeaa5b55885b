"""Every kind of credential end to end: what a provider gets is what it must get, tokens are fetched once, in time, and again when they are refused;
when they cannot be had everybody is told why, and no secret is seen where it does not belong."""
import base64
import concurrent.futures
import json
import subprocess

import pytest
from forward_proxy import ForwardProxy
from harness import Gateway, until
from vendors import Provider, Tokens, signature_fault

AWS = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


@pytest.fixture
def provider():
    p = Provider()
    yield p
    p.stop()


@pytest.fixture
def tokens():
    t = Tokens()
    yield t
    t.stop()


@pytest.fixture
def gateway(where):
    g = Gateway(where)
    g.start()
    g.ctl("apply", "-f", "-", stdin=json.dumps([{"kind": "org", "id": "play"}, {"kind": "team", "id": "play", "org": "play"}]))
    g.key = json.loads(g.ctl("key", "create", "--org", "play", "--team", "play", "-o", "json"))["token"]
    yield g
    g.finish()


def put(g, p, credential, **provider):
    """A provider, its credential, a deployment and the model mock-1."""
    g.ctl("apply", "-f", "-", stdin=json.dumps([
        {"kind": "provider", "id": "p", "type": "openai-compatible", "base_url": p.base_url, "allow_private": ["127.0.0.1/32"], **provider},
        {"kind": "credential", "id": "c", "provider": "p", **credential},
        {"kind": "deployment", "id": "d", "provider": "p", "credential": "c", "upstream_model": "m", "activation": "immediate"},
        {"kind": "model", "id": "mock-1", "targets": [{"deployment": "d"}]}]))


def chats(g, n=1):
    for _ in range(n):
        a = g.chat()
        assert a.status == 200, a.text


def nowhere(g, *secrets):
    """Not in a log, a file, an answer of the admin API."""
    texts = {"log": g.log().encode(), "credentials": g.admin("GET", "credentials").text.encode(), "status": g.ctl("status", "-o", "json").encode(),
             "export": g.ctl("export").encode(), "logs": json.dumps(g.logs()).encode()}
    for f in list(g.data.rglob("*")) + list(g.runtime.glob("*")):
        if f.is_file() and not f.is_socket():
            texts[str(f)] = f.read_bytes()
    for name, text in texts.items():
        for s in secrets:
            assert s.encode() not in text, f"{s} is in {name}"


@pytest.mark.parametrize("auth,name,want", [("header", "X-Own-Key", ("x-own-key", "sk-1/+x")), ("bearer", "", ("authorization", "Bearer sk-1/+x")),
                                            ("query", "the_key", None), ("none", "", ())])
def play_keys_go_where_the_provider_wants_them(gateway, provider, auth, name, want):
    provider.fault = lambda m, path, h, b: None if (
        path.endswith("the_key=sk-1%2F%2Bx") if want is None else
        "sk-1" not in path + str(h) if want == () else h.get(want[0]) == want[1] and "sk-1" not in path) else "no key where it should be"
    put(gateway, provider, {"secret": "sk-1/+x"}, auth=auth, **({"auth_name": name} if name else {}))
    chats(gateway)
    nowhere(gateway, "sk-1/+x")


def play_requests_are_signed_with_static_keys(gateway, provider):
    keys = {AWS[0]: (AWS[1], None)}
    provider.fault = lambda m, path, h, b: signature_fault(h, m, path, b, h["host"], keys, "bedrock")
    put(gateway, provider, {"type": "aws", "region": "eu-west-1", "secret": ":".join(AWS)})
    chats(gateway, 3)
    assert "/eu-west-1/bedrock/" in provider.seen[-1][2]["authorization"]
    # a session token, given as the AWS command line prints it
    keys["ASIA2"] = ("s2/+", "session/token==")
    put(gateway, provider, {"type": "aws", "region": "eu-west-1", "secret": json.dumps(
        {"AccessKeyId": "ASIA2", "SecretAccessKey": "s2/+", "SessionToken": "session/token=="})})
    until(lambda: gateway.chat().status == 200 and "x-amz-security-token" in provider.seen[-1][2], 10)
    assert gateway.admin("GET", "credentials/c").json["principal"] == "ASIA2"
    nowhere(gateway, AWS[1], "session/token==")


def play_a_role_is_assumed_once_and_anew_before_its_keys_end(gateway, provider, tokens):
    tokens.base_keys = {AWS[0]: (AWS[1], None)}
    tokens.life = 10
    tokens.check = lambda form, h: None if (form["RoleArn"], form["ExternalId"]) == ("arn:aws:iam::1:role/r", "ext 1") else "wrong role"
    provider.fault = lambda m, path, h, b: signature_fault(h, m, path, b, h["host"], tokens.keys, "bedrock")
    put(gateway, provider, {"type": "aws", "region": "us-east-1", "secret": ":".join(AWS), "role_arn": "arn:aws:iam::1:role/r", "external_id": "ext 1",
                            "token_url": tokens.url})
    chats(gateway, 3)
    assert len(tokens.keys) == 1, "one fetch for all"
    until(lambda: gateway.chat().status == 200 and len(tokens.keys) >= 3, 40, "two renewals")
    chats(gateway, 5)
    state = json.loads(gateway.ctl("status", "-o", "json"))
    assert '"good"' in json.dumps(state)
    nowhere(gateway, AWS[1], *(s for pair in list(tokens.keys.values()) for s in pair))


def key_file():
    pem = subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], check=True, capture_output=True, text=True).stdout
    public = subprocess.run(["openssl", "pkey", "-pubout"], input=pem, check=True, capture_output=True, text=True).stdout
    return pem, public


def assertion_fault(where, public, form, audience):
    """RS256 and the claims, checked with openssl."""
    if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
        return f"grant_type {form.get('grant_type')}"
    head, claims, sig = form["assertion"].split(".")
    pad = lambda s: base64.urlsafe_b64decode(s + "=" * (-len(s) % 4))  # noqa: E731
    (where / "pub.pem").write_text(public)
    (where / "sig").write_bytes(pad(sig))
    r = subprocess.run(["openssl", "dgst", "-sha256", "-verify", where / "pub.pem", "-signature", where / "sig"], input=f"{head}.{claims}".encode(), check=False,
                       capture_output=True)
    c = json.loads(pad(claims))
    if r.returncode or json.loads(pad(head))["alg"] != "RS256":
        return "wrong signature"
    ok = c["iss"] == "gw@p.iam.gserviceaccount.com" and c["exp"] - c["iat"] == 3600 and c["aud"] == audience and c["scope"].endswith("/cloud-platform")
    return None if ok else f"claims {c}"


def play_a_service_account_is_one_fetch_for_fifty_first_requests(gateway, provider, tokens, where):
    pem, public = key_file()
    tokens.check = lambda form, h: assertion_fault(where, public, form, "https://oauth2.googleapis.com/token")
    provider.fault = lambda m, path, h, b: None if tokens.is_bearer(h) else "wrong token"
    key = {"type": "service_account", "client_email": "gw@p.iam.gserviceaccount.com", "private_key_id": "k1", "private_key": pem}
    put(gateway, provider, {"type": "gcp", "secret": json.dumps(key), "token_url": tokens.url})
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        got = [f.result().status for f in [pool.submit(gateway.chat) for _ in range(50)]]
    assert got == [200] * 50, got
    assert len(tokens.given) == 1, tokens.given
    assert gateway.admin("GET", "credentials/c").json["principal"] == "gw@p.iam.gserviceaccount.com"
    nowhere(gateway, pem.splitlines()[1], *tokens.given)


def play_an_authorized_user_and_entra(gateway, provider, tokens):
    provider.fault = lambda m, path, h, b: None if tokens.is_bearer(h) else "wrong token"
    tokens.check = lambda form, h: None if form == {"grant_type": "refresh_token", "refresh_token": "r/t", "client_id": "i", "client_secret": "cs"} else str(form)
    put(gateway, provider, {"type": "gcp", "secret": json.dumps({"type": "authorized_user", "client_id": "i", "client_secret": "cs", "refresh_token": "r/t"}),
                            "token_url": tokens.url})
    chats(gateway, 2)
    gateway.admin("DELETE", "models/mock-1")
    gateway.admin("DELETE", "deployments/d")
    gateway.admin("DELETE", "credentials/c")
    want = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "Zx8~Q/secret", "scope": "https://cognitiveservices.azure.com/.default"}
    tokens.check = lambda form, h: None if form == want else str(form)
    put(gateway, provider, {"type": "azure", "tenant_id": "dir", "client_id": "app", "secret": "Zx8~Q/secret", "token_url": tokens.url})
    chats(gateway, 2)
    assert tokens.seen[-1][1] == "/dir/oauth2/v2.0/token"
    nowhere(gateway, "Zx8~Q/secret", *tokens.given)


def play_a_refused_token_is_fetched_anew_once(gateway, provider, tokens):
    provider.fault = lambda m, path, h, b: None if tokens.is_bearer(h) else "token expired"
    put(gateway, provider, {"type": "azure", "tenant_id": "dir", "client_id": "app", "secret": "cs-123456", "token_url": tokens.url})
    chats(gateway, 2)
    fetched = tokens.n
    until(lambda: json.loads(gateway.ctl("status", "-o", "json")) and gateway.chat().status == 200, 5)
    # nothing is fetched anew within five seconds of a fetch; after that a refusal leads to one fetch and no failed request
    begun = len(provider.seen)
    end = until(lambda: old_enough(gateway, 3600_000 - 5200), 15)
    assert end
    tokens.given.clear()
    chats(gateway, 1)
    assert tokens.n == fetched + 1
    assert len(provider.seen) >= begun + 2


def old_enough(gateway, left):
    found = [t for t in find(json.loads(gateway.ctl("status", "-o", "json")), "tokens") if t["credential"] == "c"]
    return found and found[0]["ends_in_ms"] < left


def find(tree, key):
    """All of the lists with this name, wherever they are."""
    if isinstance(tree, dict):
        return [x for k, v in tree.items() for x in (v if k == key and isinstance(v, list) else find(v, key))]
    return [x for v in tree for x in find(v, key)] if isinstance(tree, list) else []


def play_no_token_says_why_and_comes_back(gateway, provider, tokens):
    provider.fault = lambda m, path, h, b: None if tokens.is_bearer(h) else "wrong token"
    tokens.broken = (401, json.dumps({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret cs-123456 provided."}))
    put(gateway, provider, {"type": "azure", "tenant_id": "dir", "client_id": "app", "secret": "cs-123456", "token_url": tokens.url})
    a = gateway.chat()
    assert a.status == 503 and a.json["error"]["code"] == "credential_unavailable", a.text
    assert "AADSTS" not in a.text, "clients are not told"
    t = gateway.admin("POST", "deployments/d:test").json
    assert "AADSTS7000215" in json.dumps(t) and "cs-123456" not in json.dumps(t), t
    assert "AADSTS7000215" in gateway.ctl("status", "-o", "json")
    tokens.broken = None
    until(lambda: gateway.chat().status == 200, 30, "recovery")
    nowhere(gateway, "cs-123456", *tokens.given)


def play_rotation_takes_a_new_token(gateway, provider, tokens):
    provider.fault = lambda m, path, h, b: None if tokens.is_bearer(h) else "wrong token"
    put(gateway, provider, {"type": "azure", "tenant_id": "dir", "client_id": "app", "secret": "first-secret-1", "token_url": tokens.url})
    chats(gateway)
    tokens.check = lambda form, h: None if form["client_secret"] == "second-secret-2" else "old secret"
    a = gateway.admin("POST", "credentials/c:rotate", {"mode": "now", "secret": "second-secret-2"})
    assert a.status in (200, 202), a.text
    chats(gateway, 3)
    assert b"second-secret-2" in tokens.seen[-1][3]
    nowhere(gateway, "first-secret-1", "second-secret-2", *tokens.given)


def play_the_machines_identity_is_for_platform_admins(gateway, provider, tokens):
    provider.fault = lambda m, path, h, b: signature_fault(h, m, path, b, h["host"], tokens.keys, "bedrock")
    ambient = {"type": "aws", "region": "us-east-1", "source": "instance", "token_url": tokens.url}
    put(gateway, provider, ambient)
    a = gateway.chat()
    assert a.status == 503, "switched off"
    assert not tokens.seen
    t = gateway.admin("POST", "deployments/d:test").json
    assert "ambient_credentials" in json.dumps(t), t
    gateway.ctl("apply", "-f", "-", stdin=json.dumps([{"kind": "settings", "id": "default", "ambient_credentials": True}]))
    until(lambda: gateway.chat().status == 200, 10)
    assert [s[1].split("/")[2] for s in tokens.seen[:3]] == ["api", "meta-data", "meta-data"]
    # not in an org, not with a secret beside it
    org = gateway.admin("POST", "credentials", {"id": "o", "org": "play", "provider": "p", **ambient})
    assert org.status == 400 and "org" in org.text, org.text
    with_secret = gateway.admin("POST", "credentials", {"id": "o", "provider": "p", "secret": "a:b", **ambient})
    assert with_secret.status == 400 and "/secret" in with_secret.text, with_secret.text


def play_metadata_addresses_cannot_be_reached_otherwise(gateway, provider):
    """A token_url inside the machine's own network is refused by the egress rules unless the provider's allow_private names it."""
    put(gateway, provider, {"type": "azure", "tenant_id": "dir", "client_id": "app", "secret": "cs-123456", "token_url": "http://169.254.169.254/token"})
    assert gateway.chat().status == 503
    t = json.dumps(gateway.admin("POST", "deployments/d:test").json)
    assert "169.254.169.254" in t or "allowed" in t, t


@pytest.mark.parametrize("fields,names", [
    ({"type": "aws", "secret": "a:b"}, "/region"),
    ({"type": "aws", "region": "us-east-1", "secret": "no-colon"}, "/secret"),
    ({"type": "aws", "region": "us-east-1", "secret": "a:b", "role_arn": "role"}, "/role_arn"),
    ({"type": "gcp", "secret": "{}"}, "/secret"),
    ({"type": "azure", "client_id": "x", "secret": "s"}, "/tenant_id"),
    ({"type": "azure", "tenant_id": "x", "secret": "s"}, "/client_id"),
    ({"secret": "s", "role_arn": "arn:x"}, "/role_arn"),
    ({"type": "aws", "region": "us-east-1"}, "/secret"),
])
def play_what_a_kind_needs_is_asked_for_at_save(shared_gateway, fields, names):
    a = shared_gateway.admin("POST", "credentials", {"id": "bad", "provider": "p", **fields})
    assert a.status == 400 and names in a.text, a.text


@pytest.mark.parametrize("fields,names,words", [
    ({"type": "vertex", "location": "global"}, "/project", "required"),
    ({"type": "vertex", "project": "p"}, "/location", "required"),
    ({"type": "vertex", "project": "p", "location": "us-central1-a"}, "/location", "zone"),
    ({"type": "vertex", "project": "p/../x", "location": "eu"}, "/project", "letters"),
    ({"type": "bedrock"}, "/region", "required"),
    ({"type": "bedrock", "region": "Frankfurt"}, "/region", "us-east-1"),
    ({"type": "azure"}, "/resource", "required"),
    ({"type": "azure", "resource": "my.openai.azure.com"}, "/resource", "first part"),
    ({"type": "azure-classic", "resource": "https://my"}, "/resource", "letters"),
])
def play_what_an_address_needs_is_asked_for_at_save(shared_gateway, fields, names, words):
    a = shared_gateway.admin("POST", "providers", {"id": "bad", **fields})
    assert a.status == 400 and names in a.text and words in a.text, a.text


@pytest.mark.parametrize("location,host", [("europe-west4", "europe-west4-aiplatform.googleapis.com"), ("global", "aiplatform.googleapis.com"),
                                           ("us", "aiplatform.us.rep.googleapis.com"), ("eu", "aiplatform.eu.rep.googleapis.com")])
def play_vertex_is_asked_where_its_location_is(gateway, location, host):
    """By what the provider's proxy is asked for: the names are those of the world outside."""
    proxy = ForwardProxy(fail=403)
    gateway.ctl("apply", "-f", "-", stdin=json.dumps([
        {"kind": "provider", "id": "p", "type": "vertex", "project": "pr-1", "location": location, "proxy": proxy.url, "allow_private": ["127.0.0.0/8", "::1/128"]},
        {"kind": "credential", "id": "c", "provider": "p", "secret": "ya29-token"},
        {"kind": "deployment", "id": "d", "provider": "p", "credential": "c", "upstream_model": "m", "probe": "none", "activation": "immediate"},
        {"kind": "model", "id": "mock-1", "targets": [{"deployment": "d"}]}]))
    assert gateway.chat().status >= 500
    assert proxy.lines() and all(line == f"CONNECT {host}:443 HTTP/1.1" for line in proxy.lines()), proxy.lines()
    proxy.stop()


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory):
    g = Gateway(tmp_path_factory.mktemp("save"))
    g.start()
    g.ctl("apply", "-f", "-", stdin=json.dumps([{"kind": "provider", "id": "p", "type": "openai-compatible", "base_url": "http://127.0.0.1:1/v1"}]))
    yield g
    g.finish()


def play_the_command_line_knows_all_types(gateway, provider, tokens):
    g = gateway
    tokens.base_keys = {AWS[0]: (AWS[1], None)}
    provider.fault = lambda m, path, h, b: signature_fault(h, m, path, b, h["host"], tokens.keys, "bedrock")
    g.ctl("apply", "-f", "-", stdin=json.dumps([{"kind": "provider", "id": "p", "type": "openai-compatible", "base_url": provider.base_url,
                                                 "allow_private": ["127.0.0.1/32"]}]))
    g.ctl("credential", "set", "c", "--provider", "p", "--type", "aws", "--region", "us-east-1", "--role-arn", "arn:aws:iam::1:role/r", "--external-id", "e",
          "--token-url", tokens.url, stdin=json.dumps({"AccessKeyId": AWS[0], "SecretAccessKey": AWS[1]}, indent=1) + "\n")
    g.ctl("apply", "-f", "-", stdin=json.dumps([
        {"kind": "deployment", "id": "d", "provider": "p", "credential": "c", "upstream_model": "m", "activation": "immediate"},
        {"kind": "model", "id": "mock-1", "targets": [{"deployment": "d"}]}]))
    chats(g)
    r = g.ctl("credential", "set", "x", "--provider", "p", "--type", "azure", "--client-id", "i", stdin="s", ok=False)
    assert r.returncode != 0 and "tenant_id" in r.stdout + r.stderr
    r = g.ctl("credential", "set", "x", "--provider", "p", "--type", "gcp", stdin="{}", ok=False)
    assert r.returncode != 0 and "key file" in r.stdout + r.stderr
    g.ctl("credential", "set", "m", "--provider", "p", "--type", "gcp", "--source", "instance")
    assert g.admin("GET", "credentials/m").json["source"] == "instance"
