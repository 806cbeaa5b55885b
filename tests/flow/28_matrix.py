"""Any client dialect against any provider dialect: six times six, whole and streamed, over mockllm speaking the provider's own. What comes
out is read by the vendors' own SDKs (tests/fixtures/vendor_types.py); cases are folders of tests/matrix/cases."""
import http.client
import json
import sys

import pytest

from harness import ROOT, http_ask, running

sys.path[:0] = [str(ROOT / "tests/matrix"), str(ROOT / "tests/fixtures")]
import ask  # noqa: E402
import objects  # noqa: E402
import speak  # noqa: E402
import vendor_types as vendor  # noqa: E402

from client import last_request  # noqa: E402

CASES = {p.parent.name: json.loads(p.read_text()) for p in sorted((ROOT / "tests/matrix/cases").glob("*/case.json"))}
PAIRS = [(c, p) for c in vendor.DIALECTS for p in vendor.DIALECTS]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    where = tmp_path_factory.mktemp("matrix")
    speak.write_scripts(CASES, where / "scripts")
    with running(where, ["--play", str(where / "scripts")]) as gw:
        gw.ctl("apply", "-f", "-", stdin=objects.config(CASES, gw.mock.url))
        yield gw


class Broken:
    status, headers = 200, {}

    def __init__(self, body):
        self.body, self.text = body, body.decode(errors="replace")


def call(gw, client, provider, case, stream):
    path, body = ask.ASK[client](CASES[case], f"{case}--{provider}", stream)
    try:
        return http_ask("POST", gw.url + path, body, {"Authorization": f"Bearer {gw.key}"})
    except http.client.IncompleteRead as e:  # the gateway broke off, as it must when the provider did
        return Broken(e.partial)


def said(case, provider):
    """What the case's reply is, neutrally. Cohere's words before a call are a plan, which is reasoning elsewhere."""
    r = CASES[case]["reply"]
    has_calls = any("call" in b for b in r["blocks"])
    text = "" if provider == "cohere" and has_calls else "".join(b.get("text", "") for b in r["blocks"])
    return {"text": text, "finish": r["finish"], "calls": [(b["call"]["name"], b["call"]["args"]) for b in r["blocks"] if "call" in b]}


def understood(table, client, body):
    got = table[client](body)
    return {**got, "calls": [(name, json.loads(args) if args.strip() else {}) for name, args in got["calls"]]}


def expect(client, got, want):
    assert got["finish"] == want["finish"] and got["calls"] == want["calls"], (got, want)
    if not (client == "cohere" and want["calls"]):  # there the words before a call are the plan
        assert got["text"] == want["text"], (got, want)


def error_text(client, body):
    doc = json.loads(body)
    return doc["message"] if client in ("bedrock", "cohere") else doc["error"]["message"]


def check_case(gw, client, provider, case, stream):
    c = CASES[case]
    a = call(gw, client, provider, case, stream)
    if "error" in c:
        assert a.status == c["error"]["told"], (a.status, a.text)
        assert error_text(client, a.text)
        return
    if c.get("cut") and stream:  # the stream breaks: whoever reads it must notice
        assert isinstance(a, Broken) or "error" in a.text.lower() or "exception" in a.text.lower(), a.text
        return
    if c.get("cut"):
        return
    assert a.status == 200, (a.status, a.text)
    sent = "\n".join(ask.strings(json.loads(last_request(gw.mock)[1])))
    for text in ask.must_reach(c):
        if text in c["ask"].get("stop", []) and "responses" in (client, provider):
            assert provider != "responses" or client == "responses" or "stop" in a.headers.get("x-llmgw-dropped", ""), a.headers
            continue  # responses has no stop sequences
        assert text in sent, (text, sent)
    if stream:
        body = a.body if client == "bedrock" else a.text
        expect(client, understood(vendor.STREAM, client, body), said(case, provider))
    else:
        expect(client, understood(vendor.REPLY, client, json.loads(a.text)), said(case, provider))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client,provider", PAIRS, ids=[f"{c}-to-{p}" for c, p in PAIRS])
def play_pair(gateway, client, provider, stream):
    faults = []
    for case in CASES:
        try:
            check_case(gateway, client, provider, case, stream)
        except Exception as e:  # all cases of a pair are looked at, then told together
            faults.append(f"{case}: {type(e).__name__}: {str(e)[:600]}")
    assert not faults, "\n".join(faults)
