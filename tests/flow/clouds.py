"""Stand-ins for what clouds put beside a machine, a container or a pod: metadata services, credential endpoints, federation. Each looks at what it is asked
as the real one does and answers in its shape; `broken` makes it answer what it should not. Nothing here shares code with the gateway."""
import json
import os
import time
import urllib.parse

from harness import Gateway
from vendors import Server, Tokens, as_json, stamp


class CloudGateway(Gateway):
    """With more in its environment, as the platform would put it there."""

    def __init__(self, where, env=None, **more):
        super().__init__(where, **more)
        self.env = env or {}

    def launch(self, argv, env=None):
        super().launch(argv, {**os.environ, **(env or {}), **self.env})


class Cloud(Tokens):
    """All of them at one address: they differ in their paths. `faults` collects what was wrong with questions that were refused."""

    def __init__(self, life=3600, **where):
        super().__init__(**where)
        self.life, self.faults = life, []
        self.container_token = None  # that container endpoints want in Authorization
        self.subject = "platform-token-1"  # of the file that the platform keeps
        self.resource = "https://cognitiveservices.azure.com"

    def paths(self):
        return [path.split("?")[0] for _, path, _, _ in self.seen]

    def refuse(self, why, status=400, body=None):
        self.faults.append(why)
        return as_json(status, body or {"error": "invalid_request", "error_description": why})

    def bearer(self, **more):
        with self.lock:
            self.n += 1
            token = f"tok-{self.n}-cloud"
        self.given.add(token)
        return {"access_token": token, "token_type": "Bearer", **more}

    def handle(self, method, path, headers, body):
        if self.broken:
            return self.broken(path) if callable(self.broken) else (self.broken[0], {"content-type": "application/json"}, self.broken[1].encode())
        place, _, query = path.partition("?")
        query = dict(urllib.parse.parse_qsl(query))
        form = dict(urllib.parse.parse_qsl(body.decode())) if "form" in headers.get("content-type", "") else {}
        if place.startswith("/computeMetadata/"):
            return self.google_metadata(method, place, headers)
        if place == "/metadata/identity/oauth2/token":
            return self.azure_metadata(method, query, headers)
        if place == "/msi/token":
            return self.app_service(method, query, headers)
        if place.startswith(("/v2/credentials/", "/v1/credentials")):
            return self.container(method, headers)
        if form.get("client_assertion"):
            return self.entra_federated(form)
        if form.get("grant_type") == "urn:ietf:params:oauth:grant-type:token-exchange":
            return self.exchange(form)
        if place.endswith(":generateAccessToken"):
            return self.impersonate(headers, json.loads(body))
        if form.get("Action") == "AssumeRoleWithWebIdentity" and form.get("WebIdentityToken") != self.subject:
            return 400, {}, b"<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>Couldn't retrieve verification key</Message></Error></ErrorResponse>"
        return super().handle(method, path, headers, body)

    def google_metadata(self, method, place, headers):
        if method != "GET" or headers.get("metadata-flavor") != "Google" or place != "/computeMetadata/v1/instance/service-accounts/default/token":
            return self.refuse(f"not a question for the metadata server: {method} {place} {headers.get('metadata-flavor')}", 403)
        return as_json(200, self.bearer(expires_in=self.life))

    def azure_metadata(self, method, query, headers):
        if method != "GET" or headers.get("metadata") != "true" or query.get("api-version") != "2018-02-01" or query.get("resource") != self.resource:
            return self.refuse(f"not a question for IMDS: {method} {query} {headers.get('metadata')}")
        # numbers are text there
        return as_json(200, self.bearer(expires_in=str(self.life), expires_on=str(int(time.time()) + self.life), resource=self.resource))

    def app_service(self, method, query, headers):
        if method != "GET" or headers.get("x-identity-header") != "own-header-value" or query.get("api-version") != "2019-08-01" or query.get("resource") != self.resource:
            return self.refuse(f"not a question for the app's identity endpoint: {method} {query} {headers.get('x-identity-header')}")
        return as_json(200, self.bearer(expires_on=str(int(time.time()) + self.life), resource=self.resource, client_id=query.get("client_id", "")))

    def container(self, method, headers):
        if method != "GET" or headers.get("authorization") != self.container_token:
            return self.refuse(f"wrong token {headers.get('authorization')}", 403, {"code": "AccessDenied", "message": "Unauthorized Client"})
        with self.lock:
            self.n += 1
            n = self.n
        return as_json(200, {"RoleArn": "arn:aws:iam::1:role/task", **self.new_keys(n)})

    def entra_federated(self, form):
        want = {"grant_type": "client_credentials", "client_id": "app", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": self.subject, "scope": self.resource + "/.default"}
        if form != want:
            return self.refuse(f"AADSTS700211: No matching federated identity record found: {form}")
        return as_json(200, self.bearer(expires_in=self.life))

    def exchange(self, form):
        want = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
                "scope": "https://www.googleapis.com/auth/cloud-platform", "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "subject_token": self.subject}
        if form != want:
            return self.refuse(f"not the exchange that it should be: {form}")
        self.exchanged = self.bearer(expires_in=self.life)
        self.given.clear()  # good for impersonation alone
        return as_json(200, {**self.exchanged, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})

    def impersonate(self, headers, body):
        if headers.get("authorization") != f"Bearer {self.exchanged['access_token']}" or body != {
                "scope": ["https://www.googleapis.com/auth/cloud-platform"], "lifetime": "3600s"}:
            return self.refuse(f"impersonation: {body}", 403, {"error": {"code": 403, "message": "Permission 'iam.serviceAccounts.getAccessToken' denied", "status": "PERMISSION_DENIED"}})
        return as_json(200, {"accessToken": self.bearer()["access_token"], "expireTime": stamp(self.life)})


__all__ = ["Cloud", "CloudGateway", "Server"]
