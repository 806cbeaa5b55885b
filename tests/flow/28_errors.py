"""Every way in which a provider fails, in each provider's own words, told to each vendor's own SDK: the class that is raised, the status, the stable
code, the message, the request ids, when to come back; before an answer and in the middle of a stream. The provider is a script here, and shares
nothing with the gateway."""
import http.server
import json
import os
import re
import struct
import sys
import threading
import time
import zlib

import anthropic
import botocore.config
import botocore.exceptions
import botocore.session
import cohere
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types
from mistralai.client import Mistral
from mistralai.client.errors import SDKError

from authority import Authority
from harness import ROOT, Gateway, Mock, free_port, until
from trail import settled

sys.path[:0] = [str(ROOT / "tests/matrix")]
import objects  # noqa: E402
import speak  # noqa: E402

SECRET = "sk-upstream-matrix-key"
DIALECTS = list(objects.TYPES)
CLIENTS = ["openai", "responses", "anthropic", "gemini", "bedrock", "cohere", "mistral"]
JSON = {"Content-Type": "application/json"}
ID_HEADER = {"openai": "x-request-id", "responses": "x-request-id", "anthropic": "request-id", "bedrock": "x-amzn-RequestId", "cohere": "x-debug-trace-id",
             "gemini": "x-goog-request-id"}


def oai(message, code=None, kind="invalid_request_error", param=None):
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def ant(kind, message):
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_body"}


def ggl(code, status, message, *details):
    return {"error": {"code": code, "message": message, "status": status, **({"details": list(details)} if details else {})}}


def aws(name, message):
    return {"__type": name, "message": message}


def coh(message, **more):
    return {"id": "i", "message": message, **more}


KEY = f"Incorrect API key provided: {SECRET}. See https://vendor.example/keys."
# what happened -> what the gateway says of it (row, status, code), and how each provider says it: status, body[, headers]
CASES = {
    "auth": ("UP_AUTH", 502, "upstream_auth_failed", {
        "openai": (401, oai(KEY, "invalid_api_key")), "anthropic": (401, ant("authentication_error", "invalid x-api-key")),
        "gemini": (400, ggl(400, "INVALID_ARGUMENT", "API key not valid.", {"@type": "x", "reason": "API_KEY_INVALID"})),
        "bedrock": (403, aws("UnrecognizedClientException", "The security token included in the request is invalid.")),
        "cohere": (401, coh("invalid api token"))}),
    "billing": ("UP_BILLING", 502, "upstream_insufficient_quota", {
        "openai": (429, oai("You exceeded your current quota", "insufficient_quota", "insufficient_quota")),
        "anthropic": (400, ant("invalid_request_error", "Your credit balance is too low to access the API.")),
        "gemini": (403, ggl(403, "PERMISSION_DENIED", "off", {"@type": "x", "reason": "BILLING_DISABLED"})),
        "bedrock": (402, aws("PaymentRequired", "pay")), "cohere": (429, coh("You are using a Trial key, limited to 1000 calls / month"))}),
    "permission": ("UP_PERMISSION", 502, "upstream_permission_denied", {
        "openai": (403, oai("Project has no access", "model_access_denied")), "anthropic": (403, ant("permission_error", "no")),
        "gemini": (403, ggl(403, "PERMISSION_DENIED", "no")), "bedrock": (403, aws("AccessDeniedException", "You don't have access to the model")),
        "cohere": (403, coh("forbidden"))}),
    "region": ("UP_REGION", 502, "upstream_region_denied", {
        "openai": (403, oai("Country, region, or territory not supported", "unsupported_country_region_territory")),
        "anthropic": (403, ant("forbidden", "Claude is not available in your region")),
        "gemini": (400, ggl(400, "FAILED_PRECONDITION", "User location is not supported for the API use.")),
        "bedrock": (403, aws("AccessDeniedException", "This model is not available in your region.")),
        "cohere": (403, coh("not available in this region"))}),
    "model": ("UP_NOT_FOUND", 502, "upstream_model_not_found", {
        "openai": (404, oai("The model `x` does not exist", "model_not_found")), "anthropic": (404, ant("not_found_error", "model: x")),
        "gemini": (404, ggl(404, "NOT_FOUND", "models/x is not found")),
        "bedrock": (400, aws("ValidationException", "The provided model identifier is invalid.")), "cohere": (404, coh("model 'x' not found"))}),
    "deployment": ("UP_NO_DEPLOYMENT", 502, "upstream_deployment_not_found", {
        "openai": (404, oai("The API deployment for this resource does not exist.", "DeploymentNotFound")),
        "bedrock": (400, aws("ValidationException", "Invocation of model ID x with on-demand throughput isn't supported."))}),
    "rate": ("UP_LIMIT", 429, "rate_limit_exceeded", {
        "openai": (429, oai("Rate limit reached for requests", "rate_limit_exceeded", "requests"), {"Retry-After": "7"}),
        "anthropic": (429, ant("rate_limit_error", "slow down"), {"retry-after": "7"}),
        "gemini": (429, ggl(429, "RESOURCE_EXHAUSTED", "quota", {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"})),
        "bedrock": (429, aws("ThrottlingException", "Too many tokens, please wait before trying again."), {"Retry-After": "7"}),
        "cohere": (429, coh("Too many requests. Please try again in 7s"))}),
    "overloaded": ("UP_OVERLOADED", 503, "overloaded", {
        "openai": (503, oai("The engine is currently overloaded", "engine_overloaded", "server_error"), {"retry-after-ms": "7000"}),
        "anthropic": (529, ant("overloaded_error", "Overloaded"), {"retry-after": "7"}),
        "gemini": (503, ggl(503, "UNAVAILABLE", "The model is overloaded. Please retry in 7.0s")),
        "bedrock": (503, aws("ServiceUnavailableException", "busy"), {"Retry-After": "7"}), "cohere": (503, coh("busy"), {"Retry-After": "7"})}),
    "server": ("UP_SERVER", 502, "upstream_error", {
        "openai": (500, oai("The server had an error", None, "server_error")), "anthropic": (500, ant("api_error", "Internal server error")),
        "gemini": (500, ggl(500, "INTERNAL", "An internal error has occurred")), "bedrock": (500, aws("InternalServerException", "oops")),
        "cohere": (500, coh("internal"))}),
    "slow": ("UP_TIMEOUT", 504, "upstream_timeout", {
        "openai": (504, oai("upstream timed out", None, "server_error")), "anthropic": (504, ant("timeout_error", "late")),
        "gemini": (504, ggl(504, "DEADLINE_EXCEEDED", "late")), "bedrock": (408, aws("ModelTimeoutException", "late")), "cohere": (504, coh("late"))}),
    "context": ("UP_CONTEXT", 400, "context_length_exceeded", {
        "openai": (400, oai("This model's maximum context length is 8192 tokens.", "context_length_exceeded", param="messages")),
        "anthropic": (400, ant("invalid_request_error", "prompt is too long: 9000 tokens > 8192 maximum")),
        "gemini": (400, ggl(400, "INVALID_ARGUMENT", "The input token count (9000) exceeds the maximum number of tokens allowed (8192).")),
        "bedrock": (400, aws("ValidationException", "Input is too long for requested model.")),
        "cohere": (400, coh("too many tokens", error_type="TOO_MANY_TOKENS"))}),
    "filter": ("UP_FILTERED", 400, "content_filter", {
        "openai": (400, {"error": {"message": "filtered", "type": None, "param": "prompt", "code": "content_filter", "innererror": {
            "code": "ResponsibleAIPolicyViolation"}}}),
        "anthropic": (400, ant("invalid_request_error", "Output blocked by content filtering policy")),
        "gemini": (400, ggl(400, "INVALID_ARGUMENT", "The prompt violates our safety_violations")),
        "bedrock": (400, aws("ValidationException", "blocked by the content filtering policy")), "cohere": (400, coh("content_policy_violation"))}),
    "bad": ("UP_BAD_REQUEST", 400, None, {
        "openai": (400, oai("Invalid 'temperature'", "invalid_value", param="temperature")),
        "anthropic": (400, ant("invalid_request_error", "temperature: must be at most 1")),
        "gemini": (400, ggl(400, "INVALID_ARGUMENT", "Invalid value at 'generation_config.temperature'")),
        "bedrock": (400, aws("ValidationException", "temperature: 3 is not valid")), "cohere": (422, coh("invalid temperature"))}),
    # told as if all were well, or not told at all
    "inside": ("UP_OVERLOADED", 503, "overloaded", {
        "openai": (200, oai("busy", "engine_overloaded")), "anthropic": (200, ant("overloaded_error", "busy")), "gemini": (200, ggl(503, "UNAVAILABLE", "busy")),
        "responses": (200, {"id": "resp_1", "object": "response", "status": "failed", "output": [], "error": {
            "code": "server_is_overloaded", "message": "busy"}})}),
    "fastapi": ("UP_BAD_REQUEST", 400, None, {
        "openai": (422, {"detail": [{"loc": ["body", "temperature"], "msg": "Input should be less than 2", "type": "less_than"}]})}),
    "octets": ("UP_CONTEXT", 400, "context_length_exceeded", {
        "openai": (400, oai("This model's maximum context length is 65536 tokens."), {"Content-Type": "application/octet-stream"})}),
    "string": ("UP_AUTH", 502, "upstream_auth_failed", {
        "openai": (400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: sk***Zz. You can obtain one."})}),
    "page": ("UP_SERVER", 502, "upstream_error", {d: (502, b"<html><h1>502 Bad Gateway</h1>evil</html>", {"Content-Type": "text/html"}) for d in DIALECTS}),
    "empty": ("UP_GARBLED", 502, "upstream_protocol_error", {d: (200, b"") for d in DIALECTS}),
    "half": ("UP_GARBLED", 502, "upstream_protocol_error", {d: (200, b'{"id": "x", "choices": [{"message": {"con') for d in DIALECTS}),
}
for _row, _status, _code, by in CASES.values():
    if "openai" in by:
        by.setdefault("responses", by["openai"])
PAIRS = [(case, p) for case, (_, _, _, by) in CASES.items() for p in by]
TEXT = {"ask": {"messages": [{"role": "user", "text": "Hi"}]},
        "reply": {"blocks": [{"text": "Hello there"}], "finish": "stop", "usage": {"input": 11, "output": 7}}}
# in the middle of a stream, after the first words: row, code, and each provider's event
MID = {
    "overloaded": ("UP_OVERLOADED", "overloaded", {
        "openai": speak.sse(oai("busy", "engine_overloaded")), "anthropic": speak.sse(ant("overloaded_error", "busy"), "error"),
        "responses": speak.sse({"type": "response.failed", "sequence_number": 9, "response": {"id": "r", "error": {
            "code": "server_is_overloaded", "message": "busy"}}}, "response.failed"),
        "gemini": speak.sse(ggl(503, "UNAVAILABLE", "busy"), end="\r\n"), "bedrock": None, "cohere": None}),
    "server": ("UP_SERVER", "upstream_error", {
        "openai": speak.sse({"error": "an error was encountered while running the model"}), "anthropic": speak.sse(ant("api_error", "oops"), "error"),
        "responses": speak.sse({"type": "error", "sequence_number": 9, "code": "server_error", "message": "oops", "param": None}, "error"),
        "gemini": speak.sse(ggl(500, "INTERNAL", "oops"), end="\r\n"), "bedrock": None,
        "cohere": speak.sse({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "oops"}}, "message-end")}),
    "rate": ("UP_LIMIT", "rate_limit_exceeded", {
        "openai": speak.sse({"error": {"message": "slower", "code": 429}}), "anthropic": speak.sse(ant("rate_limit_error", "slower"), "error"),
        "responses": speak.sse({"type": "response.failed", "sequence_number": 9, "response": {"id": "r", "error": {
            "code": "rate_limit_exceeded", "message": "slower"}}}, "response.failed"),
        "gemini": speak.sse(ggl(429, "RESOURCE_EXHAUSTED", "slower"), end="\r\n"), "bedrock": None}),
}


def exception_frame(name, message):
    def header(key, value):
        return bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    headers = header(":exception-type", name) + header(":content-type", "application/json") + header(":message-type", "exception")
    payload = json.dumps({"message": message}).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


MID["overloaded"][2]["bedrock"] = exception_frame("serviceUnavailableException", "busy")
MID["server"][2]["bedrock"] = exception_frame("modelStreamErrorException", "oops")
MID["rate"][2]["bedrock"] = exception_frame("throttlingException", "slower")
MID_PAIRS = [(case, p) for case, (_, _, by) in MID.items() for p, event in by.items() if event]


class Provider(http.server.BaseHTTPRequestHandler):
    """All dialects at one address; the model's name says what happens: CASE or mid-CASE, and the dialect behind two dashes."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        in_path = re.search(r"/models?/([^/:]+)", self.path)
        case, dialect = (body.get("model") or in_path[1]).split("--")
        if dialect == "openai" and self.path.endswith("/responses"):
            dialect = "responses"  # providers of that dialect are asked in it by who speaks it
        if case.startswith("mid-"):
            return self.midway(case.removeprefix("mid-"), dialect)
        status, doc, *more = CASES[case][3][dialect]
        data = doc if isinstance(doc, bytes) else json.dumps(doc).encode()
        self.send_response(status)
        for name, value in (JSON | {ID_HEADER[dialect]: f"up-{case}", "Content-Length": str(len(data))} | (more[0] if more else {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def midway(self, case, dialect):
        frames = speak.STREAM[dialect](TEXT, "m")
        words = next(i for i, f in enumerate(frames) if b"Hello" in f)
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.amazon.eventstream" if dialect == "bedrock" else "text/event-stream")
        self.send_header(ID_HEADER[dialect], f"up-{case}")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"".join(frames[:words + 1]))
        self.wfile.flush()
        time.sleep(0.1)  # so that the words are out before it fails
        self.wfile.write(MID[case][2][dialect])
        self.close_connection = True


@pytest.fixture(scope="module")
def g(tmp_path_factory):
    where = tmp_path_factory.mktemp("errors")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    mock = Mock(where)
    mock.start()
    gw = Gateway(where, mock=mock, options=("--listen-tls", f"127.0.0.1:{(tls_port := free_port())}"))
    ca = Authority(where / "ca")
    ca.sign("localhost", "localhost")
    gw.tls_url = f"https://localhost:{tls_port}"
    os.environ |= {"AWS_CA_BUNDLE": str(ca.folder / "ca.pem")}
    try:
        gw.start()
        names = [f"{c}--{p}" for c, p in PAIRS] + [f"mid-{c}--{p}" for c, p in MID_PAIRS]
        config = json.loads("[" + objects.config([], f"http://127.0.0.1:{server.server_address[1]}/v1").replace("\n---\n", ",") + "]")
        for o in config:
            if o["kind"] == "provider":
                o["first_token_timeout"] = "5s"
        for name in names:
            p = name.split("--")[1]
            config += [{"kind": "deployment", "id": name, "provider": f"m-{p}", "credential": f"m-{p}", "upstream_model": name, "probe": "none",
                        "activation": "immediate"}, {"kind": "model", "id": name, "targets": [{"deployment": name}]}]
        a = gw.admin("POST", "config:apply", [ca.certificate("localhost", is_default=True), *config])
        assert a.status == 200, a.text
        gw.clients = make_clients(gw)
        yield gw
    finally:
        try:
            gw.finish()
        finally:
            mock.stop()
            server.shutdown()


def make_clients(gw):
    root, key = f"http://127.0.0.1:{gw.port}", gw.key
    os.environ["AWS_BEARER_TOKEN_BEDROCK"] = key
    bedrock = botocore.session.get_session().create_client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=gw.tls_url,
        config=botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=20, connect_timeout=5))
    gemini = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=root, timeout=20000, retry_options=types.HttpRetryOptions(attempts=1)))
    return {"openai": openai.OpenAI(base_url=root + "/v1", api_key=key, max_retries=0, timeout=20),
            "anthropic": anthropic.Anthropic(base_url=root, api_key=key, max_retries=0, timeout=20),
            "gemini": gemini, "bedrock": bedrock, "cohere": cohere.ClientV2(base_url=root, api_key=key, timeout=20),
            "mistral": Mistral(server_url=root, api_key=key, timeout_ms=20000)}


HI = [{"role": "user", "content": "Hi"}]
ONCE = {"max_retries": 0}


def ask(g, client, model, stream):
    """A call as that SDK makes it; a stream is read to its end."""
    c = g.clients["openai" if client == "responses" else client]
    if client == "openai":
        r = c.chat.completions.create(model=model, messages=HI, stream=stream)
    elif client == "responses":
        r = c.responses.create(model=model, input="Hi", stream=stream, store=False)
    elif client == "anthropic":
        r = c.messages.create(model=model, messages=HI, max_tokens=10, stream=stream)
    elif client == "gemini":
        r = c.models.generate_content_stream(model=model, contents="Hi") if stream else c.models.generate_content(model=model, contents="Hi")
    elif client == "bedrock":
        say = {"modelId": model, "messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
        r = c.converse_stream(**say)["stream"] if stream else c.converse(**say)
    elif client == "cohere":
        r = c.chat_stream(model=model, messages=HI, request_options=ONCE) if stream else c.chat(model=model, messages=HI, request_options=ONCE)
    else:
        r = c.chat.stream(model=model, messages=HI) if stream else c.chat.complete(model=model, messages=HI)
    return r


# the class that each SDK raises for a status that the gateway tells
RAISED = {
    "openai": {400: openai.BadRequestError, 429: openai.RateLimitError, 502: openai.InternalServerError, 503: openai.InternalServerError,
               504: openai.InternalServerError},
    "anthropic": {400: anthropic.BadRequestError, 429: anthropic.RateLimitError, 502: anthropic.InternalServerError, 529: anthropic.InternalServerError,
                  504: anthropic.InternalServerError},
    "gemini": {400: genai_errors.ClientError, 429: genai_errors.ClientError, 502: genai_errors.ServerError, 503: genai_errors.ServerError,
               504: genai_errors.ServerError},
    "cohere": {400: cohere.BadRequestError, 429: cohere.TooManyRequestsError, 502: cohere.core.api_error.ApiError, 503: cohere.ServiceUnavailableError,
               504: cohere.GatewayTimeoutError},
    "mistral": dict.fromkeys((400, 429, 502, 503, 504), SDKError),
}
RAISED["responses"] = RAISED["openai"]
ANTHROPIC_TYPE = {"UP_AUTH": "api_error", "UP_BILLING": "billing_error", "UP_PERMISSION": "permission_error", "UP_REGION": "permission_error",
                  "UP_NOT_FOUND": "not_found_error", "UP_NO_DEPLOYMENT": "not_found_error", "UP_LIMIT": "rate_limit_error",
                  "UP_OVERLOADED": "overloaded_error", "UP_SERVER": "api_error", "UP_TIMEOUT": "timeout_error", "UP_GARBLED": "api_error"}
GEMINI_STATUS = {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}
AWS_NAME = {400: "ValidationException", 429: "ThrottlingException", 502: "ModelErrorException", 503: "ServiceUnavailableException",
            504: "ModelTimeoutException"}


def raised(g, client, model, stream):
    """(exception, status, message, code or None, headers in lower case)"""
    with pytest.raises(Exception) as caught:
        r = ask(g, client, model, stream)
        if stream:
            list(r)
    e = caught.value
    if client == "bedrock":
        assert isinstance(e, botocore.exceptions.ClientError), repr(e)
        meta = e.response["ResponseMetadata"]
        return e, meta["HTTPStatusCode"], e.response["Error"]["Message"], None, meta["HTTPHeaders"]
    if client in ("openai", "responses"):
        return e, e.status_code, e.body["message"], e.code, dict(e.response.headers)
    if client == "anthropic":
        return e, e.status_code, e.body["error"]["message"], None, dict(e.response.headers)
    if client == "gemini":
        reason = next((d["reason"] for d in e.details["error"].get("details", []) if "reason" in d), None)
        return e, e.code, e.message, reason, dict(e.response.headers)
    if client == "cohere":
        body = e.body if isinstance(e.body, dict) else {"message": str(e.body)}
        return e, e.status_code, body["message"], None, {k.lower(): v for k, v in e.headers.items()}
    return e, e.status_code, json.loads(e.body)["error"]["message"], json.loads(e.body)["error"]["code"], dict(e.headers)


def check_told(client, case, e, status, message, code, headers):
    row, http_status, want_code, _ = CASES[case]
    if client == "anthropic" and row == "UP_OVERLOADED":
        http_status = 529
    assert status == http_status, (status, message)
    if client == "bedrock":
        assert e.response["Error"]["Code"] == AWS_NAME[http_status], e.response
    else:
        assert type(e) is RAISED[client][http_status] or (client == "anthropic" and isinstance(e, RAISED[client][http_status])), type(e)
    assert message, "an error says something"
    if code is not None or client in ("openai", "responses", "mistral"):
        assert code == want_code or (want_code is None and case in ("bad", "fastapi")), code
    if client == "anthropic":
        assert e.body["error"]["type"] == ANTHROPIC_TYPE.get(row, "invalid_request_error"), e.body
        assert e.request_id == headers["x-request-id"]
        assert row != "UP_CONTEXT" or "prompt is too long" in message, "coding tools compact at these words"
    if client == "gemini":
        assert e.status == GEMINI_STATUS[http_status], e.status
    if client == "bedrock":
        assert e.response["ResponseMetadata"]["RequestId"] == headers["x-request-id"]
    if client in ("openai", "responses"):
        assert e.request_id == headers["x-request-id"]
    if http_status >= 500 and client != "cohere":
        assert headers["x-request-id"] in message, "people copy the message"


def check_headers(case, status, headers):
    if case in ("rate", "overloaded"):
        assert (headers["retry-after"], headers["retry-after-ms"]) == ("7", "7000"), headers
    if status == 429:
        assert headers["x-should-retry"] == "true"
    elif status >= 500:
        assert headers["x-should-retry"] == "false", "the gateway has used up its own tries"
    assert headers["x-llmgw-upstream-request-id"] == f"up-{case}", headers


def check_record(r, case, provider, status, headers, message):
    assert r["error"] == CASES[case][0] and r["status"] == status and r["upstream_status"] == CASES[case][3][provider][0], dict(r)
    assert r["upstream_request_id"] == f"up-{case}" and json.loads(r["attempt_log"])[0]["error"] == CASES[case][0]
    seen = json.dumps(dict(r), default=repr) + message + json.dumps(headers)
    for word in (SECRET, "vendor.example", "127.0.0.1:", "<h", "evil", "sk***"):
        assert word not in seen, (word, seen)
    if case == "page":
        assert "a web page" in r["error_detail"], dict(r)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client", CLIENTS)
def play_before_an_answer(g, client, stream):
    faults, all_told = [], {pair: raised(g, client, "--".join(pair), stream) for pair in PAIRS}
    trail = settled(g.data, [told[4]["x-request-id"] for told in all_told.values()])
    for (case, provider), told in all_told.items():
        try:
            check_told(client, case, *told)
            check_headers(case, told[1], told[4])
            check_record(trail.end(told[4]["x-request-id"]), case, provider, told[1], told[4], told[2])
        except BaseException as e:  # all are looked at, then told together
            if isinstance(e, KeyboardInterrupt):
                raise
            faults.append(f"{case} by {provider}: {type(e).__name__}: {str(e)[:500]}")
    assert not faults, "\n".join(faults)


def check_midway(g, client, case, provider):
    row, code, _ = MID[case]
    seen = []
    try:
        for event in ask(g, client, f"mid-{case}--{provider}", True):
            seen.append(event)
    except Exception as e:
        if client in ("openai", "responses"):
            assert isinstance(e, openai.APIError) and e.code == code, (repr(e), getattr(e, "body", None))
        elif client == "anthropic":
            assert isinstance(e, anthropic.APIStatusError) and e.body["error"]["type"] == ANTHROPIC_TYPE[row], repr(e)
        elif client == "gemini":
            http_status = next(s for s, k, *_ in [(c[1], c[0]) for c in CASES.values()] if k == row)
            assert isinstance(e, genai_errors.APIError) and (e.code, e.status) == (http_status, GEMINI_STATUS[http_status]), repr(e)
        elif client == "bedrock":
            want = {"UP_LIMIT": "throttlingException", "UP_OVERLOADED": "serviceUnavailableException", "UP_SERVER": "modelStreamErrorException"}[row]
            assert isinstance(e, botocore.exceptions.EventStreamError) and want in str(e), repr(e)
        elif client == "cohere":  # its SDK has no exception for it: the last event says it, and the stream breaks off
            assert seen[-1].type == "message-end" and seen[-1].delta.finish_reason == "ERROR" and seen[-1].delta.error, seen[-1]
        assert any("Hello" in str(event) for event in seen), "the words before it arrived"
        return
    pytest.fail(f"the SDK saw no error: {seen[-1]!r}")


@pytest.mark.parametrize("client", CLIENTS)
def play_midway(g, client):
    faults = []
    for case, provider in MID_PAIRS:
        try:
            check_midway(g, client, case, provider)
        except BaseException as e:
            if isinstance(e, KeyboardInterrupt):
                raise
            faults.append(f"{case} by {provider}: {type(e).__name__}: {str(e)[:500]}")
    assert not faults, "\n".join(faults)
