"""The classic mistakes of setting up: what deployments/{id}:test says is plain, names what to correct, and holds no secret; what can be seen at save is said then."""
import json
import time
from email.utils import formatdate

import pytest

from clouds import CloudGateway
from vendors import Server, as_json, signature_fault

AWS = ("AKIAIOSFODNN7EXAMPL", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


class Refusing(Server):
    """Answers what it is told to; an endpoint of tokens too."""

    answer = (500, {}, b"")

    def handle(self, method, path, headers, body):
        return self.answer(method, path, headers, body) if callable(self.answer) else self.answer


@pytest.fixture(scope="module")
def g(tmp_path_factory):
    v = Refusing()
    g = CloudGateway(tmp_path_factory.mktemp("mistakes"))
    g.start()
    g.vendor = v
    yield g
    g.finish()
    v.stop()


def test_of(g, kind, credential, answer, base="/v1", **provider):
    """A provider of this kind with this credential, asked for one token."""
    g.vendor.answer = answer
    for path in ("deployments/d", "credentials/c", "providers/p"):
        g.admin("DELETE", path)
    g.ctl("apply", "-f", "-", stdin=json.dumps([
        {"kind": "provider", "id": "p", "type": kind, "base_url": g.vendor.url + base, "allow_private": ["127.0.0.1/32"], **provider},
        {"kind": "credential", "id": "c", "provider": "p", **credential},
        {"kind": "deployment", "id": "d", "provider": "p", "credential": "c", "upstream_model": "up-model", "probe": "none", "activation": "immediate"}]))
    t = g.admin("POST", "deployments/d:test").json
    assert t["ok"] is False, t
    return t


def oai(message, code, status, kind="invalid_request_error"):
    return as_json(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


def aws(status, message, name):
    status, headers, text = as_json(status, {"message": message})
    return status, {**headers, "x-amzn-errortype": name + ":http://internal.amazon.com/coral/"}, text


KEYS = {"type": "aws", "region": "us-east-1", "secret": ":".join(AWS)}
KEY = {"secret": "sk-own-secret-0123456789"}
VERTEX = {"project": "p-1", "location": "us-central1"}
# what is wrong: kind of provider, credential, more of the provider, the vendor's answer, the error, words of the hint, words of the vendor that are kept
MISTAKES = {
    "another region than the address": ("bedrock", KEYS, {"region": "us-east-1"}, aws(403, "Credential should be scoped to a valid region.", "InvalidSignatureException"),
                                        {"UP_AUTH", "UP_PERMISSION"}, "region", "valid region"),
    "keys that AWS does not know": ("bedrock", KEYS, {"region": "us-east-1"}, aws(403, "The security token included in the request is invalid.", "UnrecognizedClientException"),
                                    {"UP_AUTH"}, "does not know this access key", "security token"),
    "a session that ended": ("bedrock", KEYS, {"region": "us-east-1"}, aws(403, "The security token included in the request is expired", "ExpiredTokenException"), {"UP_AUTH"},
                             "role_arn", "expired"),
    "the wrong secret": ("bedrock", KEYS, {"region": "us-east-1"}, aws(403, "The request signature we calculated does not match the signature you provided. Check your AWS "
                         "Secret Access Key and signing method.", "InvalidSignatureException"), {"UP_AUTH"}, "not the one of this access key id", "does not match"),
    "a clock that is slow": ("bedrock", KEYS, {"region": "us-east-1"}, lambda *_: (403, {
        "content-type": "application/json", "x-amzn-errortype": "InvalidSignatureException", "date": formatdate(time.time() + 3600, usegmt=True)},
        b'{"message":"Signature expired: 20260101T000000Z is now earlier than 20260101T005500Z (20260101T010000Z - 5 min.)"}'), {"UP_AUTH"},
        ["clock of this machine is slow", "s behind theirs"], "Signature expired"),
    "a model that is not enabled": ("bedrock", KEYS, {"region": "us-east-1"}, aws(403, "You don't have access to the model with the specified model ID.",
                                    "AccessDeniedException"), {"UP_PERMISSION", "UP_AUTH", "UP_NOT_FOUND"}, "not enabled", "access to the model"),
    "a model that wants a profile": ("bedrock", KEYS, {"region": "us-east-1"}, aws(400, "Invocation of model ID up-model with on-demand throughput isn\u2019t supported. Retry "
                                     "your request with the ID or ARN of an inference profile.", "ValidationException"), {"UP_BAD_REQUEST", "UP_NOT_FOUND", "UP_NO_DEPLOYMENT"}, "inference profile",
                                     "on-demand"),
    "a key that is not Gemini's": ("gemini", KEY, {}, as_json(400, {"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status":
                                   "INVALID_ARGUMENT", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}}), {"UP_AUTH"},
                                   "AIza", "not valid"),
    "an expired key of Gemini": ("gemini", KEY, {}, as_json(400, {"error": {"code": 400, "message": "API key expired. Please renew the API key.", "status":
                                 "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}), {"UP_AUTH"}, "expired", "expired"),
    "an API that is not switched on": ("vertex", KEY, VERTEX, as_json(403, {"error": {"code": 403, "message": "Vertex AI API has not been used in project p-1 before or it is "
                                       "disabled.", "status": "PERMISSION_DENIED"}}), {"UP_PERMISSION"}, "aiplatform.googleapis.com", "has not been used"),
    "a quota of zero": ("gemini", KEY, {}, as_json(429, {"error": {"code": 429, "message": "You exceeded your current quota. * Quota exceeded for metric: free_tier_requests, "
                        "limit: 0, model: up-model", "status": "RESOURCE_EXHAUSTED"}}), {"UP_LIMIT", "UP_BILLING"}, "quota", "limit: 0"),
    "a revoked key": ("openai", KEY, {}, oai("Incorrect API key provided: sk-own-s***6789.", "invalid_api_key", 401), {"UP_AUTH"}, "revoked", "Incorrect API key"),
    "an account without credit": ("openai", KEY, {}, oai("You exceeded your current quota, please check your plan and billing details.", "insufficient_quota", 429,
                                  "insufficient_quota"), {"UP_BILLING"}, "billing", "quota"),
    "a model of another project": ("openai", KEY, {}, oai("Project `proj_x` does not have access to model `up-model`", "model_not_found", 403), {"UP_NOT_FOUND", "UP_PERMISSION"},
                                   "not enabled", "does not have access"),
    "no such model": ("openai", KEY, {}, oai("The model `up-model` does not exist or you do not have access to it.", "model_not_found", 404), {"UP_NOT_FOUND"}, "upstream_model",
                      "does not exist"),
    "a key that is not Anthropic's": ("anthropic", KEY, {}, as_json(401, {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}), {"UP_AUTH"},
                                      "another vendor", "invalid x-api-key"),
    "Anthropic without credit": ("anthropic", KEY, {}, as_json(400, {"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is too low to "
                                 "access the Anthropic API."}}), {"UP_BILLING", "UP_BAD_REQUEST"}, "credit", "too low"),
    "a model's name for the deployment's": ("azure", KEY, {"resource": "r"}, as_json(404, {"error": {"code": "DeploymentNotFound", "message": "The API deployment for this "
                                            "resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again."}}),
                                            {"UP_NO_DEPLOYMENT", "UP_NOT_FOUND"}, "name of the deployment", "does not exist"),
    "a key of another resource": ("azure", KEY, {"resource": "r"}, as_json(401, {"error": {"code": "401", "message": "Access denied due to invalid subscription key or wrong API "
                                  "endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}),
                                  {"UP_AUTH"}, "another Azure resource", "Access denied"),
}


@pytest.mark.parametrize("name", MISTAKES)
def play_a_mistake_at_the_provider(g, name):
    kind, credential, provider, answer, errors, hints, kept = MISTAKES[name]
    t = test_of(g, kind, credential, answer, **provider)
    assert t["error"] in errors, t
    for word in [hints] if isinstance(hints, str) else hints:
        assert word in t["hint"], t
    assert kept in t["message"], t
    assert not any(s in json.dumps(t) for s in ("sk-own-secret", AWS[1])), t


# where tokens are fetched: the credential, the endpoint's answer, words of the hint, words that are kept
TOKENS = {
    "a role that cannot be assumed": ({**KEYS, "role_arn": "arn:aws:iam::1:role/r"}, (403, {"content-type": "text/xml"}, b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>"
                                      b"User: arn:aws:iam::1:user/u is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::1:role/r</Message></Error>"
                                      b"</ErrorResponse>"), "trust policy", "sts:AssumeRole"),
    "STS and a slow clock": ({**KEYS, "role_arn": "arn:aws:iam::1:role/r"}, lambda *_: (403, {"date": formatdate(time.time() + 3600, usegmt=True)}, b"<ErrorResponse><Error><Code>"
                             b"SignatureDoesNotMatch</Code><Message>Signature expired: 20260101T000000Z is now earlier than 20260101T005500Z</Message></Error></ErrorResponse>"),
                             "clock of this machine is slow", "behind theirs"),
    "an expired client secret": ({"type": "azure", "tenant_id": "t", "client_id": "c", "secret": "own-client-secret-1"}, as_json(401, {
        "error": "invalid_client", "error_description": "AADSTS7000222: The provided client secret keys for app 'c' are expired."}), "has expired", "AADSTS7000222"),
    "the id of the client secret": ({"type": "azure", "tenant_id": "t", "client_id": "c", "secret": "own-client-secret-1"}, as_json(401, {
        "error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent is the client secret value."}), "not its id",
        "AADSTS7000215"),
    "a directory that is none": ({"type": "azure", "tenant_id": "t", "client_id": "c", "secret": "own-client-secret-1"}, as_json(400, {
        "error": "invalid_request", "error_description": "AADSTS90002: Tenant 't' not found."}), "tenant_id", "AADSTS90002"),
    "a deleted key of a service account": ({"type": "gcp", "secret": json.dumps({"type": "authorized_user", "client_id": "i", "client_secret": "cs-own-1", "refresh_token": "rt-own-1"})},
                                           as_json(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}), "key file", "Invalid JWT"),
}


@pytest.mark.parametrize("name", TOKENS)
def play_a_mistake_where_tokens_are_fetched(g, name):
    credential, answer, hint, kept = TOKENS[name]
    t = test_of(g, "openai-compatible", {**credential, "token_url": g.vendor.url}, answer)
    assert t["error"] == "CRED_MISSING" and hint in t["hint"] and kept in t["message"] and "credential c" in t["message"], t
    assert not any(s in json.dumps(t) for s in ("own-client-secret", "cs-own-1", "rt-own-1", AWS[1])), t


def play_a_region_that_signs_for_another(g):
    """The real check: a stand-in of eu-west-1 that works signatures out refuses those for us-east-1 and takes the others."""
    def answer(method, path, headers, body):
        if "/eu-west-1/bedrock/" not in headers.get("authorization", ""):
            return aws(403, "Credential should be scoped to a valid region.", "InvalidSignatureException")
        fault = signature_fault(headers, method, path, body, headers["host"], {AWS[0]: (AWS[1], None)}, "bedrock")
        return aws(403, fault, "InvalidSignatureException") if fault else as_json(200, {
            "output": {"message": {"role": "assistant", "content": [{"text": "pong"}]}}, "stopReason": "end_turn", "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}})

    t = test_of(g, "bedrock", KEYS, answer, base="", region="us-east-1")
    assert "region" in t["hint"], t
    a = g.admin("PATCH", "providers/p", {"region": "eu-west-1"})
    assert a.status == 200, a.text
    assert g.admin("POST", "deployments/d:test").json["ok"] is True


def play_what_begins_as_anothers_key_is_said_at_save(g):
    g.ctl("apply", "-f", "-", stdin=json.dumps([{"kind": "provider", "id": "o", "type": "openai"}, {"kind": "provider", "id": "b", "type": "bedrock", "region": "us-east-1"},
                                               {"kind": "provider", "id": "gate", "type": "openai", "base_url": "https://gateway.example/v1"}]))
    r = g.ctl("credential", "set", "odd", "--provider", "o", stdin="sk-ant-api03-own-0123456789", ok=False)
    assert r.returncode == 0 and "Anthropic" in r.stderr and "sk-ant" not in r.stderr, r.stderr
    assert "Anthropic" in g.admin("GET", "credentials/odd").json["warning"]
    g.ctl("credential", "set", "odd", "--provider", "o", stdin="sk-proj-own-0123456789")
    assert not g.admin("GET", "credentials/odd").json.get("warning")
    a = g.admin("POST", "credentials", {"id": "gated", "provider": "gate", "secret": "sk-ant-api03-own-0123456789"})
    assert a.status == 201 and not a.json.get("warning"), "an address of one's own may take any key"
    a = g.admin("POST", "credentials", {"id": "swapped", "provider": "b", "type": "aws", "region": "us-east-1", "secret": f"{AWS[1]}:AKIAIOSFODNN7EXAMPLE"})
    assert a.status == 201 and "each other" in a.json["warning"], a.text
