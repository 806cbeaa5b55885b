"""The trail: every request with a known key leaves exactly one START and one END, with the right numbers, durable within a
second, and provably complete. Money is exact."""
import json
import os
import re
import shutil
import subprocess
import threading
import time
from fractions import Fraction

import pytest

from client import Load, Stream, chat_body, talk
from harness import binary, http_ask, until
from trail import Trail, settled

CHAT = "/v1/chat/completions"
PRICES = {"cheap": (150_000, 600_000, 75_000), "odd": (333_333, 1_000_001, 0), "half": (500, 0, 250), "free": (0, 0, 0)}


def setup(g):
    for name, (i, o, c) in PRICES.items():
        g.ctl("apply", "-f", "-", stdin=f"""
{{kind: deployment, id: {name}, provider: mock, credential: mock, upstream_model: mock-1, input_price: {i}, output_price: {o}, cached_price: {c}}}
---
{{kind: model, id: {name}, targets: [{{deployment: {name}}}]}}
""")
    until(lambda: all(g.chat(model=m).status == 200 for m in PRICES), 10, "the deployments to pass their probes")


def ask(g, body, key=None):
    a = http_ask("POST", g.url + CHAT, body, {"Authorization": f"Bearer {key or g.key}"})
    return a, a.headers.get("x-request-id")


def intact(g):
    """What `audit verify` says of a trail without faults."""
    v = json.loads(g.ctl("audit", "verify", "--data-dir", str(g.data)))
    assert (v["faults"], v["signatures"], v["unsigned_checkpoints"]) == (0, "checked", 0), v
    return v


def metric(g, name, **labels):
    """Sum of a metric over all rows whose labels fit."""
    total = 0
    for line in http_ask("GET", g.admin_url + "/metrics").text.splitlines():
        m = re.fullmatch(r"llmgw_(\w+)(?:\{(.*)\})? (\S+)", line)
        if m and m[1] == name and all(f'{k}="{v}"' in (m[2] or "") for k, v in labels.items()):
            total += float(m[3])
    return total


@pytest.mark.smoke
def play_each_request_once(shared):
    g = shared
    before = until(lambda: (lambda t: t if len(t.ends) == metric(g, "records_ended_total") else None)(Trail(g.data)), 5)
    cases = [(chat_body(), 200, None), (chat_body(stream=True), 200, None), (chat_body(n=0), 400, "INVALID"), ("{", 400, "SYNTAX"),
             (chat_body(model="nope"), 404, "MODEL_NOT_FOUND"), (chat_body("mock: fault=500"), 502, "UP_SERVER"),
             (chat_body("mock: fault=429"), 429, "UP_LIMIT"), (chat_body("mock: fault=400"), 400, "UP_BAD_REQUEST")]
    ids = {}
    for body, status, error in cases:
        a, i = ask(g, body.encode() if isinstance(body, str) else body)
        assert a.status == status, a.text
        ids[i] = (status, error)
    models = http_ask("GET", g.url + "/v1/models", headers={"x-api-key": g.key})
    ids[models.headers["x-request-id"]] = (200, None)
    unknown = metric(g, "requests_unauthenticated_total")
    for headers in ({}, {"x-api-key": "sk-nobody"}):
        assert http_ask("POST", g.url + CHAT, chat_body(), headers).status == 401
    talk(g.port, b"GARBAGE\r\n\r\n")
    t = settled(g.data, ids).check()
    assert len(t.ends) - len(before.ends) == len(ids), "strangers and noise leave no record"
    assert until(lambda: metric(g, "requests_unauthenticated_total") == unknown + 2, 5)
    for i, (status, error) in ids.items():
        r = t.end(i)
        assert (r["status"], r.get("error")) == (status, error)
        assert (r["org"], r["team"], r["client_ip"]) == ("play", "play", "127.0.0.1") and r["key"].startswith("key-")
        s = t.starts[i][0]
        assert s["request_id"] == i and s["key"] == r["key"] and s["ts_start_us"] == r["ts_start_us"] and "status" not in s
    shown = {r["request_id"]: r for r in g.logs("--limit", "1000")}
    assert ids.keys() <= shown.keys()
    for i, (status, error) in ids.items():
        assert shown[i]["status"] == status and (shown[i].get("error") or None) == error


def play_numbers_of_a_record(shared):
    g = shared
    body = json.dumps(chat_body("mock: chunks=4 chunk_ms=60 prompt=9 completion=5 cached=3", stream=True, model="cheap"))
    a, i = ask(g, body.encode())
    r = settled(g.data, [i]).end(i)
    want = {"endpoint": "chat.completions", "is_stream": True, "requested_model": "cheap", "model": "cheap", "deployment": "cheap",
            "provider": "mock", "upstream_model": "mock-1", "credential": "mock", "credential_version": 1, "attempts": 1, "status": 200,
            "upstream_status": 200, "finish_reason": "stop", "tokens_input": 9, "tokens_output": 5, "tokens_cached": 3,
            "usage_source": "provider", "input_price_pusd": 150_000, "output_price_pusd": 600_000, "response_model": "mock-1"}
    assert {k: r.get(k) for k in want} == want
    assert r["bytes_out"] == len(a.body) and r["bytes_in"] > len(body) and r["generation"] == int(a.headers["x-llmgw-generation"])
    assert r["total_us"] >= 4 * 60_000 and 50_000 <= r["ttft_us"] < r["total_us"] and r["upstream_us"] >= 4 * 60_000
    assert r["overhead_us"] < 60_000 and r["upstream_request_id"].startswith("req-mock-")
    assert abs(time.time() * 1e6 - r["ts_start_us"]) < 60e6


@pytest.mark.parametrize("model", PRICES)
def play_cost_is_exact(shared, model):
    g = shared
    wanted = {}
    for n, (prompt, out, cached) in enumerate([(1, 1, 0), (1, 0, 1), (7, 3, 2), (1001, 999, 500), (2_000_000, 131_072, 1_999_999), (3, 0, 9)]):
        a, i = ask(g, chat_body(f"mock: prompt={prompt} completion={out} cached={cached}", model=model, stream=n % 2 == 1))
        assert a.status == 200
        pi, po, pc = PRICES[model]
        cached = min(cached, prompt)
        pico = (prompt - cached) * pi + cached * (pc or pi) + out * po
        nano = Fraction(pico, 1000)
        wanted[i] = int(nano + Fraction(1, 2))  # half up, once
    t = settled(g.data, wanted)
    assert {i: t.end(i).get("cost_nanousd", 0) for i in wanted} == wanted


def play_bad_usage_is_not_believed(shared):
    """What is no usage is none: the gateway counts itself, and says so (44_estimates.py has the numbers)."""
    g = shared
    for fault in ("no-usage", "negative-usage", "nan-usage", "string-usage"):
        for stream in (False, True):
            a, i = ask(g, chat_body(f"mock: fault={fault}", stream=stream))
            r = settled(g.data, [i]).end(i)
            assert a.status == 200 and r["usage_source"] == "estimated" and 0 < r["cost_nanousd"] < 200_000, (fault, dict(r))


@pytest.mark.smoke
def play_tail_lags_less_than_a_second(shared):
    g = shared
    env = dict(os.environ, LLMGW_ADMIN_URL=g.admin_url, LLMGW_ADMIN_TOKEN=g.token)
    p = subprocess.Popen([binary("llmgwctl"), "logs", "tail"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True)
    seen = {}

    def read():
        for line in p.stdout:
            seen[json.loads(line)["request_id"]] = time.monotonic()

    threading.Thread(target=read, daemon=True).start()
    try:
        until(lambda: ask(g, chat_body()) and seen, 10, "the tail to begin")
        lags = []
        for _ in range(10):
            _, i = ask(g, chat_body())
            done = time.monotonic()
            until(lambda: i in seen, 5, "the record in the tail")
            lags.append(seen[i] - done)
        assert max(lags) <= 1.0, lags
    finally:
        p.terminate()
        p.wait(10)


def play_query(shared):
    g = shared
    other = json.loads(g.ctl("key", "create", "key-q", "--org", "play", "--team", "play", "-o", "json"))["token"]
    ids = [ask(g, chat_body(n=n), key=other)[1] for n in (1, 0, 1, 0, 0)]
    settled(g.data, ids)
    assert sorted(r["request_id"] for r in g.logs("--filter", "key=key-q")) == sorted(ids)
    last = ask(g, chat_body(n=0), key=other)[1]
    settled(g.data, [last])
    assert g.logs("--filter", "key=key-q")[0]["request_id"] == last, "newest first"
    wrong = g.logs("--filter", "key=key-q", "--filter", "status>399", "--limit", "2")
    assert len(wrong) == 2 and wrong[0]["request_id"] == last and wrong[1]["status"] == 400
    assert g.logs("--filter", "key=key-q", "--to", "2020-01-01T00:00:00Z") == []
    assert len(g.logs("--filter", "key=key-q", "--from", "5m")) == 6
    r = g.ctl("logs", "query", "--filter", "nonsense=1", ok=False)
    assert r.returncode != 0 and "nonsense" in r.stderr
    changes = g.logs("--class", "admin", "--filter", "object=key-q")
    assert [(c["kind"], c["act"]) for c in changes] == [("key", "create")] and other not in json.dumps(changes)


def play_a_page_of_the_log_is_whole_while_requests_begin(shared):
    """A page that is full, and behind it records that do not count (a request that has only begun): nothing of the page is lost."""
    g = shared
    ids = [ask(g, chat_body())[1] for _ in range(12)]
    settled(g.data, ids)
    s = Stream(g, "mock: chunks=200 chunk_ms=20")
    s.next()
    until(lambda: s.id in Trail(g.data).starts, 5)
    for limit in (1, 3, 7):
        rows = g.logs("--limit", str(limit))
        assert len(rows) == limit and all(r["request_id"] in ids for r in rows)
    s.close()


def play_client_that_leaves_has_a_record(shared):
    g = shared
    s = Stream(g, "mock: chunks=100 chunk_ms=50")
    s.next()
    s.next()
    s.close()
    r = settled(g.data, [s.id]).end(s.id)
    assert (r["error"], r["status"]) == ("CLIENT_GONE", 200) and r["chunks"] < 50


def play_metrics_equal_records(shared):
    """Last but for the trail's own check: everything that this gateway has served so far, summed both ways."""
    g = shared
    with Load(g, 4) as load:
        load.wait_for(200)
    assert not load.failures
    t = settled(g.data, load.acked).check()
    until(lambda: sum(w["requests_in_flight"] for w in g.status()["workers"]) == 0, 5)
    t = Trail(g.data).check()
    for model in ("mock-1", *PRICES):
        ends = [t.end(i) for i in t.ends if t.end(i).get("model") == model]
        for field, name in (("tokens_input", "tokens_input"), ("tokens_output", "tokens_output"), ("tokens_cached", "tokens_cached"),
                            ("cost_nanousd", "cost_nanousd")):
            want = sum(r.get(field, 0) for r in ends)
            assert metric(g, name + "_total", model=model) == want, (model, field)
        classes = [5 if r["status"] < 300 and r.get("error") else r["status"] // 100 for r in ends]  # cut in the middle: 5xx
        for klass in (2, 4, 5):
            assert metric(g, f"requests_{klass}xx_total", model=model) == classes.count(klass), (model, klass)
    assert metric(g, "records_started_total") == len(t.starts) and metric(g, "records_ended_total") == len(t.ends)


@pytest.mark.smoke
def play_verify(shared, tmp_path):
    g = shared
    ask(g, chat_body())
    assert intact(g)["records"] > 0
    key = g.admin("GET", "audit/key").json["public_key"]
    copy = tmp_path / "copy"

    def fresh():
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(g.data / "segments", copy)
        return sorted(copy.glob("seg-request-*.lga"))[0]

    def verdict():
        return g.ctl("audit", "verify", "--dir", str(copy), "--public-key", key, ok=False)

    fresh()
    assert verdict().returncode == 0
    f = fresh()
    data = bytearray(f.read_bytes())
    data[4096 + 500] ^= 1
    f.write_bytes(data)
    r = verdict()
    assert r.returncode != 0 and f.name in r.stdout + r.stderr, "a bit that was turned"
    f = fresh()
    data = bytearray(f.read_bytes())
    first = 4096 + ((int.from_bytes(data[4104:4108], "little") + 72 + 36 + 7) & ~7)
    f.write_bytes(data[:4096] + data[first:])
    assert verdict().returncode != 0, "a block that was taken out"


def play_restart_keeps_the_trail(gateway):
    g = gateway
    first = [ask(g, chat_body())[1] for _ in range(20)]
    assert g.stop() == 0
    t = Trail(g.data).check()
    assert set(first) == t.ends.keys(), "an orderly stop leaves nothing in the rings"
    g.start_again()
    second = [ask(g, chat_body())[1] for _ in range(20)]
    t = settled(g.data, first + second).check()
    assert set(first + second) == t.ends.keys()
    assert intact(g)["checkpoints"] > 0
    key = g.admin("GET", "audit/key").json["public_key"]
    wrong = key[:-2] + ("00" if key[-2:] != "00" else "11")
    r = g.ctl("audit", "verify", "--data-dir", str(g.data), "--public-key", wrong, ok=False)
    assert r.returncode != 0 and "signature" in r.stderr, "another signer's key"
