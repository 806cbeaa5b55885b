"""Stand-ins for what credentials are for: an OpenAI-shaped provider that looks at who asks, and the endpoints that give tokens away (STS, OAuth, the
metadata services of clouds). Nothing here shares code with the gateway; signatures are worked out by botocore."""
import datetime
import http.server
import json
import threading
import urllib.parse

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from harness import free_port


def stamp(seconds):
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return end.strftime("%Y-%m-%dT%H:%M:%SZ")


def signature_fault(headers, method, url_path, body, host, keys, service):
    """None when the request is signed with these keys {id: (secret, token)}, else what is wrong."""
    auth = headers.get("authorization", "")
    if not auth.startswith("AWS4-HMAC-SHA256 "):
        return "not signed"
    parts = dict(p.split("=", 1) for p in auth[len("AWS4-HMAC-SHA256 "):].split(", "))
    key_id, _, region, signed_for, _ = parts["Credential"].split("/")
    if key_id not in keys:
        return f"unknown key {key_id}"
    if signed_for != service:
        return f"signed for {signed_for}"
    secret, token = keys[key_id]
    if headers.get("x-amz-security-token") != token:
        return "wrong session token"
    names = parts["SignedHeaders"].split(";")
    if "host" not in names or "x-amz-date" not in names or (token and "x-amz-security-token" not in names):
        return f"signed headers {names}"
    request = AWSRequest(method, f"http://{host}{url_path}", data=body, headers={n: headers[n] for n in names})
    request.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(Credentials(key_id, secret, token), service, region)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return None if signer.signature(text, request) == parts["Signature"] else "wrong signature"


class Server:
    """Calls handle(method, path, headers, body) -> (status, headers, text) for each request; remembers them."""

    def __init__(self, host="127.0.0.1", port=0):
        self.port, self.seen, self.lock = port or free_port(), [], threading.Lock()
        self.url = f"http://{host}:{self.port}"
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {k.lower(): v for k, v in self.headers.items()}
                with outer.lock:
                    outer.seen.append((self.command, self.path, headers, body))
                status, more, text = outer.handle(self.command, self.path, headers, body)
                self.send_response(status)
                for k, v in {"content-length": str(len(text)), **more}.items():
                    self.send_header(k, v)
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer((host, self.port), Handler)
        self.http.daemon_threads = True
        self.http.socket.listen(256)
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


def as_json(status, obj):
    return status, {"content-type": "application/json"}, json.dumps(obj).encode()


class Provider(Server):
    """Answers chat calls whose `fault(method, path, headers, body)` is None."""

    def __init__(self):
        super().__init__()
        self.fault = lambda *_: None
        self.base_url = self.url + "/v1"

    def handle(self, method, path, headers, body):
        why = self.fault(method, path, headers, body)
        if why:
            return as_json(401, {"error": {"message": f"Access denied: {why}.", "type": "authentication_error", "code": "invalid_api_key"}})
        if method == "GET":
            return as_json(200, {"object": "list", "data": []})
        return as_json(200, {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
                             "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}]})


class Tokens(Server):
    """Every endpoint that gives tokens away. `life`: seconds; `broken`: a (status, text) that is answered instead."""

    def __init__(self, **where):
        super().__init__(**where)
        self.life, self.broken, self.n = 3600, None, 0
        self.given = set()  # bearer tokens
        self.keys = {}  # temporary AWS keys: id -> (secret, token)
        self.base_keys = {}  # that AssumeRole may be signed with
        self.check = lambda form, headers: None  # of forms

    def handle(self, method, path, headers, body):
        if self.broken:
            status, text = self.broken
            return status, {"content-type": "application/json"}, text.encode()
        with self.lock:
            self.n += 1
            n = self.n
        form = dict(urllib.parse.parse_qsl(body.decode()))
        if "Action" in form:
            return self.sts(path, headers, body, form, n)
        if path == "/latest/api/token":
            return 200, {}, b"imds-session"
        if path.startswith("/latest/meta-data/iam/security-credentials/"):
            if headers.get("x-aws-ec2-metadata-token") != "imds-session":
                return 401, {}, b""
            return (200, {}, b"the-role\n") if path.endswith("/") else as_json(200, self.new_keys(n))
        if path.startswith("/container"):
            return as_json(200, self.new_keys(n))
        why = self.check(form, headers)
        if why:
            return as_json(400, {"error": "invalid_client", "error_description": why})
        token = f"tok-{n}-cafe"
        self.given.add(token)
        return as_json(200, {"access_token": token, "expires_in": self.life, "token_type": "Bearer"})

    def new_keys(self, n):
        key = f"ASIATEMP{n}"
        self.keys[key] = (f"tempsecret{n}/+x", f"sess/ion+{n}==")
        return {"AccessKeyId": key, "SecretAccessKey": self.keys[key][0], "Token": self.keys[key][1], "Expiration": stamp(self.life)}

    def sts(self, path, headers, body, form, n):
        web = form["Action"] == "AssumeRoleWithWebIdentity"
        why = self.check(form, headers)
        if not web:
            why = why or signature_fault(headers, "POST", path, body, headers["host"], {**self.base_keys, **self.keys}, "sts")
        if why:
            return 403, {}, f"<ErrorResponse><Error><Code>AccessDenied</Code><Message>{why}</Message></Error></ErrorResponse>".encode()
        k = self.new_keys(n)
        return 200, {"content-type": "text/xml"}, (
            f"<{form['Action']}Response><Result><Credentials><AccessKeyId>{k['AccessKeyId']}</AccessKeyId><SecretAccessKey>{k['SecretAccessKey']}"
            f"</SecretAccessKey><SessionToken>{k['Token']}</SessionToken><Expiration>{k['Expiration']}</Expiration></Credentials></Result>"
            f"</{form['Action']}Response>").encode()

    def is_bearer(self, headers):
        return headers.get("authorization", "").removeprefix("Bearer ") in self.given
