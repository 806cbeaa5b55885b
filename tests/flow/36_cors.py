"""Pages in browsers: preflights without a key for the origins that are listed, and answers, errors too, that the page may read."""
import json

import pytest

from client import chat_body, talk
from harness import http_ask, until

APP = "https://app.example.com"


def settings(g, **fields):
    a = g.admin("PATCH", "settings/default", fields)
    assert a.status == 200, a.text


def setup(g):
    settings(g, cors_origins=[APP, "http://localhost:3000"], cors_max_age="10m")


def preflight(g, origin=APP, method="POST", path="/v1/chat/completions", headers="authorization,content-type,x-stainless-os"):
    h = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return http_ask("OPTIONS", g.url + path, headers={k: v for k, v in h.items() if v})


@pytest.mark.smoke
def play_preflight_and_answer(shared):
    g = shared
    a = preflight(g)
    assert a.status == 204 and not a.body
    assert a.headers["access-control-allow-origin"] == APP and "POST" in a.headers["access-control-allow-methods"]
    assert "x-stainless-os" in a.headers["access-control-allow-headers"] and a.headers["access-control-max-age"] == "600"
    assert "origin" in a.headers["vary"] and "access-control-allow-credentials" not in a.headers
    ask = {"Origin": APP, "Authorization": f"Bearer {g.key}"}
    a = http_ask("POST", g.url + "/v1/chat/completions", chat_body(), ask)
    assert a.status == 200 and a.headers["access-control-allow-origin"] == APP and "x-request-id" in a.headers["access-control-expose-headers"]
    a = http_ask("POST", g.url + "/v1/chat/completions", chat_body(stream=True), ask)
    assert a.status == 200 and a.headers["access-control-allow-origin"] == APP and b"[DONE]" in a.body
    assert http_ask("GET", g.url + "/v1/models", headers=ask).headers["access-control-allow-origin"] == APP


def play_errors_can_be_read(shared):
    g = shared
    rows = [(401, {}, chat_body()), (401, {"Authorization": "Bearer lgw_wrong"}, chat_body()), (404, {"Authorization": f"Bearer {g.key}"}, chat_body(model="nope")),
            (400, {"Authorization": f"Bearer {g.key}"}, b"{"), (413, {"Authorization": f"Bearer {g.key}", "Content-Length": "99999999"}, None)]
    for status, headers, body in rows:
        if body is None:
            got = talk(g.port, f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nOrigin: {APP}\r\nAuthorization: Bearer {g.key}\r\nContent-Length: 99999999\r\n\r\n".encode(), is_last=False)
            assert got.startswith(b"HTTP/1.1 413") and f"access-control-allow-origin: {APP}".encode() in got, got
            continue
        a = http_ask("POST", g.url + "/v1/chat/completions", body, {"Origin": APP, **headers})
        assert a.status == status and a.headers["access-control-allow-origin"] == APP, (status, a.headers)
    a = http_ask("GET", g.url + "/nothing", headers={"Origin": APP})
    assert a.status == 404 and a.headers["access-control-allow-origin"] == APP


@pytest.mark.parametrize("origin", ["https://evil.test", "https://app.example.com.evil.test", "https://app.example.com:444", "http://app.example.com", "null", "https://APP.example.com"])
def play_other_origins_get_nothing(shared, origin):
    g = shared
    a = preflight(g, origin)
    assert a.status == 405 and "access-control-allow-origin" not in a.headers and "access-control-allow-methods" not in a.headers
    a = http_ask("POST", g.url + "/v1/chat/completions", chat_body(), {"Origin": origin, "Authorization": f"Bearer {g.key}"})
    assert a.status == 200 and "access-control-allow-origin" not in a.headers and a.headers["vary"] == "origin"


def play_what_is_no_preflight(shared):
    g = shared
    assert preflight(g, method="").status == 405
    assert preflight(g, method="PUT").status == 405
    assert preflight(g, path="/nothing").status == 404
    assert preflight(g, headers="x\x7f").status in (204, 400)
    assert "access-control-allow-headers" not in preflight(g, headers="a;b").headers
    a = preflight(g, path="/v1/models", method="GET")
    assert a.status == 204 and a.headers["access-control-allow-origin"] == APP


def play_live_and_off_by_default(gateway):
    g = gateway
    a = http_ask("GET", g.url + "/livez", headers={"Origin": APP})
    assert not any(h.startswith("access-control") or h == "vary" for h in a.headers), a.headers
    assert preflight(g).status == 405
    settings(g, cors_origins=["*"], cors_headers=["authorization", "content-type"])
    a = until(lambda: (p := preflight(g, "https://anybody.test")).status == 204 and p)
    assert a.headers["access-control-allow-origin"] == "*" and "access-control-allow-credentials" not in a.headers
    assert a.headers["access-control-allow-headers"] == "authorization, content-type"
    settings(g, cors_origins=[])
    until(lambda: preflight(g).status == 405)


@pytest.mark.parametrize("value", [["app.example.com"], ["https://app.example.com/"], ["https://App.example.com"], ["https://a\r\nx: y"], "https://app.example.com", [7], [""]])
def play_bad_settings(shared, value):
    a = shared.admin("PATCH", "settings/default", {"cors_origins": value})
    assert a.status == 400 and "cors_origins" in a.text, a.text
    assert json.loads(shared.admin("GET", "settings/default").text)["cors_origins"] == [APP, "http://localhost:3000"]
