"""Hostile answers of providers, in each dialect, whole and streamed: the client gets an answer of its dialect or a clean error, others are served
meanwhile, the worker lives and stays within its memory, and there is one record."""
import http.client
import json
import pathlib
import sys
import threading

import pytest

from harness import ROOT, SLOW, Gateway, http_ask
from trail import settled

sys.path[:0] = [str(ROOT / "tests/matrix"), str(ROOT / "tests/fixtures")]
import hostile  # noqa: E402
import objects  # noqa: E402
import speak  # noqa: E402
import vendor_types as vendor  # noqa: E402
import vendors  # noqa: E402

DIALECTS = vendor.DIALECTS
# What a worker may have had at most, at any time of the play: private memory, release build. Each hostile reply alone is far above it.
PEAK_MIB = 384 if SLOW == 1 else 2048
CLIENT = {d: "anthropic" if d in ("openai", "responses") else "openai" for d in DIALECTS}  # never the provider's own: that one passes bytes
GOOD = {"reply": {"blocks": [{"text": "all is well"}], "finish": "stop", "usage": {"input": 1, "output": 1}}}


class Providers(vendors.Server):
    """The model's name says what comes: whole--SHAPE, stream--SHAPE, or good."""

    def handle(self, method, path, headers, body):
        if method == "GET":
            return vendors.as_json(200, {"data": [], "models": []})
        dialect = ("openai" if "chat/completions" in path else "responses" if path.endswith("/responses") else "anthropic" if path.endswith("/messages")
                   else "gemini" if "enerateContent" in path else "bedrock" if "/converse" in path else "cohere")
        doc = json.loads(body)
        shape = self.shape if "hostile" in json.dumps(doc) else None
        stream = doc.get("stream", False) or "stream" in path.rsplit("/", 1)[-1]
        if not shape:
            return vendors.as_json(200, speak.REPLY[dialect](GOOD, "m"))
        if not stream:
            return 200, {"content-type": "application/json"}, hostile.whole(dialect, shape)
        kind = "application/vnd.amazon.eventstream" if dialect == "bedrock" else "text/event-stream"
        return 200, {"content-type": kind}, hostile.STREAMS[shape](dialect)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    providers = Providers()
    gw = Gateway(tmp_path_factory.mktemp("hostile"), workers=1)
    gw.providers = providers
    try:
        gw.start()
        out = [{"kind": "org", "id": "play"}, {"kind": "team", "id": "play", "org": "play"}]
        for dialect, kind in objects.TYPES.items():
            base = providers.url + {"gemini": "/v1beta", "bedrock": "", "cohere": ""}.get(dialect, "/v1")
            out += [{"kind": "provider", "id": dialect, "type": kind, "base_url": base, "allow_private": ["127.0.0.1/32"]},
                    {"kind": "credential", "id": dialect, "provider": dialect, "secret": "sk-upstream-hostile-key"},
                    {"kind": "deployment", "id": dialect, "provider": dialect, "credential": dialect, "upstream_model": "m", "activation": "immediate"},
                    {"kind": "model", "id": dialect, "targets": [{"deployment": dialect}]}]
        gw.ctl("apply", "-f", "-", stdin="\n---\n".join(json.dumps(o) for o in out))
        gw.key = json.loads(gw.ctl("key", "create", "--org", "play", "--team", "play", "--name", "play", "-o", "json"))["token"]
        yield gw
    finally:
        gw.finish()
        providers.stop()


def worker_pid(gw):
    return gw.pid_of("worker")


def peak_mib(pid):
    """The most private memory the worker ever had."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    got = {line.split(":")[0]: int(line.split()[1]) for line in status.splitlines() if line.startswith(("VmHWM", "RssFile", "RssShmem"))}
    return (got["VmHWM"] - got["RssFile"] - got["RssShmem"]) / 1024


def body_of(client, model, stream, word):
    """A plain question in the client's dialect, without anything that some provider refuses."""
    if client == "openai":
        return "/v1/chat/completions", {"model": model, "stream": stream, "messages": [{"role": "user", "content": word}]}
    return "/v1/messages", {"model": model, "stream": stream, "max_tokens": 100, "messages": [{"role": "user", "content": word}]}


def ask(gw, client, model, stream, word):
    path, body = body_of(client, model, stream, word)
    c = http.client.HTTPConnection("127.0.0.1", gw.port, timeout=60 * SLOW)
    c.request("POST", path, json.dumps(body), {"Authorization": f"Bearer {gw.key}", "Content-Type": "application/json"})
    r = c.getresponse()
    headers = {k.lower(): v for k, v in r.getheaders()}
    try:
        text, is_whole = r.read(), True
    except http.client.IncompleteRead as e:
        text, is_whole = e.partial, False
    c.close()
    return r.status, headers, text, is_whole


def check_told(client, stream, status, text, is_whole):
    """An answer that the vendor's SDK reads, or an error in the client's shape."""
    if status != 200:
        assert 400 <= status < 600 and json.loads(text)["error"]["message"], text[:300]
    elif not stream:
        vendor.REPLY[client](json.loads(text))
    elif b'"error"' in text[-4096:]:
        last = json.loads(vendor.sse(text.decode())[-1][1])
        assert last["error"]["message"], last
    else:
        assert is_whole, text[-300:]
        vendor.STREAM[client](text.decode())


def one_reply(gw, dialect, shape, stream):
    """What went wrong, or None."""
    client, neighbour = CLIENT[dialect], []
    pid = worker_pid(gw)
    gw.providers.shape = shape

    def good():
        try:
            status, _, text, _ = ask(gw, "openai", "openai", False, "good")
            neighbour.append(status == 200 and b"all is well" in text)
        except Exception as e:  # told below
            neighbour.append(e)
    t = threading.Thread(target=good)
    t.start()
    status, headers, text, is_whole = ask(gw, client, dialect, stream, "hostile")
    t.join(60 * SLOW)
    check_told(client, stream, status, text, is_whole)
    assert neighbour == [True], neighbour
    assert worker_pid(gw) == pid, "the worker died"
    peak = peak_mib(pid)
    assert peak <= PEAK_MIB, f"{peak:.0f} MiB at most"
    return headers["x-request-id"]


def all_shapes(gw, dialect, shapes, stream):
    faults, ids = [], []
    for shape in shapes:
        try:
            ids.append(one_reply(gw, dialect, shape, stream))
        except Exception as e:  # all shapes are looked at, then told together
            faults.append(f"{shape}: {type(e).__name__}: {str(e)[:400]}")
    assert not faults, "\n".join(faults)
    trail = settled(gw.data, ids)
    assert [i for i in ids if len(trail.ends[i]) != 1] == []


@pytest.mark.parametrize("dialect", DIALECTS)
def play_hostile_replies(gateway, dialect):
    all_shapes(gateway, dialect, hostile.WHOLE, False)


@pytest.mark.parametrize("dialect", DIALECTS)
def play_hostile_streams(gateway, dialect):
    all_shapes(gateway, dialect, hostile.STREAMS, True)
