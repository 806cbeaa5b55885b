"""What a request costs: the catalogue, the operator's own prices and their days, what nobody knows. And the catalogue's tool."""
import datetime
import http.client
import http.server
import json
import math
import os
import pathlib
import random
import subprocess
import sys
import threading
import time
from fractions import Fraction

import pytest

import vendors
from client import chat_body
from harness import http_ask, until
from trail import settled

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "prices.py"
WORDS = "mock: prompt=1000 completion=100 cached=400"


def setup(g):
    for name, more in {"listed": "upstream_model: gpt-4o-mini", "strange": "upstream_model: our-own-7b",
                       "gratis": "upstream_model: our-own-7b, free: true", "base": "upstream_model: prod-eu, base_model: gpt-4o-mini"}.items():
        g.ctl("apply", "-f", "-", stdin=f"""
{{kind: deployment, id: {name}, provider: mock, credential: mock, activation: immediate, {more}}}
---
{{kind: model, id: {name}, targets: [{{deployment: {name}}}]}}
""")
    until(lambda: g.chat(model="base").status == 200, 10, "the models to be served")


def record(g, model, words=WORDS, key=None, **more):
    a = http_ask("POST", g.url + "/v1/chat/completions", chat_body(words, model=model, **more), {"Authorization": f"Bearer {key or g.key}"})
    assert a.status == 200, a.text
    i = a.headers["x-request-id"]
    return settled(g.data, [i]).end(i), a


@pytest.mark.smoke
def play_the_catalogues_price(shared):
    r, a = record(shared, "listed")
    assert r["price"].startswith("catalogue 20") and r["price"].endswith(" openai/gpt-4o-mini")
    assert (r["cost_input_nanousd"], r["cost_output_nanousd"]) == (600 * 150 + 400 * 75, 100 * 600)
    assert r["cost_nanousd"] == r["cost_input_nanousd"] + r["cost_output_nanousd"] and not r.get("is_unpriced")
    r, _ = record(shared, "base", stream=True)
    assert r["cost_nanousd"] == 600 * 150 + 400 * 75 + 100 * 600 and r["upstream_model"] == "prod-eu"


def metric_of(g, name, model):
    lines = [line for line in http_ask("GET", g.admin_url + "/metrics").text.splitlines()
             if line.startswith(f"llmgw_{name}") and f'model="{model}"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def play_unknown_is_not_zero(shared):
    g = shared
    before = metric_of(g, "requests_unpriced_total", "strange")
    r, a = record(g, "strange")
    assert r["is_unpriced"] is True and "cost_nanousd" not in r and "price" not in r and r["tokens_input"] == 1000
    assert until(lambda: metric_of(g, "requests_unpriced_total", "strange") == before + 1, 5)
    r, a = record(g, "gratis")
    assert "cost_nanousd" not in r and "is_unpriced" not in r and r["price"].startswith("deployment gratis@")
    by = until(lambda: (lambda b: b if {"strange", "gratis"} <= b.keys() else None)(
        {i["model"]: i for i in json.loads(g.ctl("usage", "--by", "model", "--from", "1h", "-o", "json"))["items"]}), 10, "the roll-ups to have both")
    assert by["strange"]["unpriced"] >= 1 and by["gratis"]["unpriced"] == 0


def play_prices_of_the_operator(shared):
    g = shared
    g.ctl("apply", "-f", "-", stdin="""
{kind: price, id: p-all, model: "our-own*", input: 1000000, output: 2000000, cache_read: 100000}
---
{kind: price, id: p-team, model: "our-own*", for_org: play, for_team: play, input: 3000000}
""")
    r, _ = record(g, "strange")
    assert r["price"].startswith("price p-team@") and r["cost_nanousd"] == 1000 * 3000
    key = json.loads(g.ctl("key", "create", "--org", "play", "--name", "no-team", "-o", "json"))["token"]
    r, _ = record(g, "strange", key=key)
    assert r["price"].startswith("price p-all@") and r["cost_nanousd"] == 600 * 1000 + 400 * 100 + 100 * 2000
    g.ctl("delete", "price", "p-team", "--yes")
    # from a moment on, without a further change
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
    g.ctl("apply", "-f", "-", stdin=f"{{kind: price, id: p-soon, model: our-own-7b, effective_from: '{at}', input: 5000000}}")
    assert record(g, "strange")[0]["price"].startswith("price p-all@")
    until(lambda: record(g, "strange")[0]["price"].startswith("price p-soon@"), 20, "the day of the new price")
    assert record(g, "strange")[0]["cost_nanousd"] == 1000 * 5000
    assert record(g, "gratis")[0]["price"].startswith("deployment gratis@"), "the deployment's own goes first"
    for p in ("p-soon", "p-all"):
        g.ctl("delete", "price", p, "--yes")
    assert record(g, "strange")[0]["is_unpriced"] is True


@pytest.mark.parametrize("price, pointer", [
    ({"id": "x"}, "/model"), ({"id": "x", "model": "m", "input": -1}, "/input"), ({"id": "x", "model": "m", "input": 0.5}, "/input"),
    ({"id": "x", "model": "m", "input": 1000000001}, "/input"), ({"id": "x", "model": "a*b"}, "/model"),
    ({"id": "x", "model": "m", "provider_type": "nobody"}, "/provider_type"), ({"id": "x", "model": "m", "for_org": "nobody"}, "/for_org"),
    ({"id": "x", "model": "m", "long_above": 1500}, "/long_above"), ({"id": "x", "model": "m", "org": "play"}, "/org"),
    ({"id": "x", "model": "m", "effective_from": "2026-02-01T00:00:00Z", "effective_until": "2026-01-01T00:00:00Z"}, "/effective_until")])
def play_a_price_that_cannot_be(shared, price, pointer):
    a = shared.admin("PUT", "prices/x", price)
    assert a.status in (400, 404, 409, 422) and pointer in a.text, a.text


# --- the catalogue's tool ---

MAP = {
    "sample_spec": {"litellm_provider": "one of these", "input_cost_per_token": 0},
    "gpt-x": {"litellm_provider": "openai", "mode": "chat", "max_input_tokens": 1000, "max_output_tokens": 100, "input_cost_per_token": 7.5e-08,
              "output_cost_per_token": 3e-07, "cache_read_input_token_cost": 0.0000000075, "input_cost_per_token_batches": 3.75e-08,
              "input_cost_per_token_above_200k_tokens": 1.5e-07, "input_cost_per_token_above_200k_tokens_priority": 3e-07,
              "search_context_cost_per_query": {"search_context_size_low": 0.03, "search_context_size_high": 0.05}},
    "azure/eu/gpt-x": {"litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 1e-12},
    "dashscope/q": {"litellm_provider": "dashscope", "tiered_pricing": [{"range": [0, 32000.0], "input_cost_per_token": 1e-06},
                                                                       {"range": [32000.0, 128000.0], "input_cost_per_token": 2e-06}]},
    "dear": {"litellm_provider": "openai", "input_cost_per_token": 0.0011, "output_cost_per_token": 1e-06},
    "owing": {"litellm_provider": "openai", "input_cost_per_token": -1e-06},
    "words": {"litellm_provider": "openai", "input_cost_per_token": "free"},
    "nothing": {"litellm_provider": "openai", "input_cost_per_token": 0.0, "output_cost_per_token": 0},
    "ollama/own": {"litellm_provider": "ollama", "input_cost_per_token": 0.0},
    "1024-x-1024/50-steps/p": {"litellm_provider": "openai", "output_cost_per_image": 0.04},
    "1024-x-1024/max-steps/p": {"litellm_provider": "openai", "output_cost_per_image": 0.08},
    "azure/hd/1024-x-1792/d": {"litellm_provider": "azure", "input_cost_per_pixel": 7.1e-08, "output_cost_per_token": 0.0},
    "elsewhere/m": {"litellm_provider": "nobody-knows", "input_cost_per_token": 1e-06},
}


def make(where, text):
    where.mkdir()
    (where / "map.json").write_text(text)
    subprocess.run([sys.executable, TOOL, "make", where / "map.json", "--source", "play 1", "--date", "2026-01-02", "--out", where / "prices.json",
                    "--quarantine", where / "quarantine.json"], check=True, capture_output=True)
    subprocess.run([sys.executable, TOOL, "table", where / "prices.json", where / "table.c"], check=True)
    return where


def play_tool_makes_the_same_of_the_same(tmp_path):
    text = json.dumps(MAP)
    one, two = make(tmp_path / "one", text), make(tmp_path / "two", text)
    for name in ("prices.json", "quarantine.json", "table.c"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    prices = json.loads((one / "prices.json").read_text())
    got = {f'{p["provider"]}/{p["model"]}': p["rates"] for p in prices["prices"]}
    assert got == {
        "alibaba/q": {"input": 1000000, "input>32k": 2000000}, "azure/eu/gpt-x": {"input": 1}, "ollama/own": {"input": 0}, "openai/p#1024x1024": {"image": 40000000000},
        "azure/d#hd/1024x1792": {"image": 71000 * 1024 * 1792},
        "openai/gpt-x": {"input": 75000, "input@batch": 37500, "input>200k": 150000, "input>200k@priority": 300000, "output": 300000,
                         "cache_read": 7500, "search_low": 30000000000, "search_high": 50000000000}}
    assert {q["model"]: q["why"] for q in json.loads((one / "quarantine.json").read_text())["quarantine"]} == {
        "dear": "above 0.001 USD a unit", "owing": "negative", "words": "not a number"}
    assert prices["date"] == "2026-01-02" and len(prices["sha256"]) == 64 and prices["without_price"] == 1


def play_tool_refuses_what_is_no_map(tmp_path):
    (tmp_path / "map.json").write_text('{"a": NaN')
    r = subprocess.run([sys.executable, TOOL, "make", tmp_path / "map.json", "--source", "s", "--date", "d", "--out", tmp_path / "o",
                        "--quarantine", tmp_path / "q"], capture_output=True)
    assert r.returncode != 0 and not (tmp_path / "o").exists()


def play_the_committed_catalogue():
    """Pinned, sorted, whole numbers; nothing above the ceiling."""
    c = json.loads((ROOT / "schemas" / "prices.json").read_text(), parse_float=lambda s: pytest.fail(f"a fraction: {s}"))
    names = [(p["provider"], p["model"]) for p in c["prices"]]
    assert names == sorted(set(names)) and len(names) == c["models"] and len(c["sha256"]) == 64
    per_token = {"input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "reasoning", "audio_in", "audio_out", "image_in", "image_out"}
    for p in c["prices"]:
        for rate, value in p["rates"].items():
            assert isinstance(value, int) and value >= 0
            assert value <= 10**9 or rate.partition(">")[0].partition("@")[0] not in per_token, (p["model"], rate)


def play_pictures_by_size_and_quality(shared):
    g = shared
    g.ctl("apply", "-f", "-", stdin="""
{kind: deployment, id: pictures, provider: mock, credential: mock, upstream_model: our-pictures, base_model: gpt-image-1, activation: immediate, probe: none}
---
{kind: model, id: pictures, targets: [{deployment: pictures}]}
""")

    def ask(**more):
        a = http_ask("POST", g.url + "/v1/images/generations", {"model": "pictures", "prompt": "x", **more}, {"Authorization": f"Bearer {g.key}"})
        assert a.status == 200, a.text
        return settled(g.data, [a.headers["x-request-id"]]).end(a.headers["x-request-id"])
    r = ask(n=2, size="1024x1536", quality="high")
    assert (r["cost_nanousd"], r["units"], r["unit"], r["unit_detail"]) == (2 * 250000000, 2, "image", "1024x1536 high"), dict(r)
    assert r["price"].endswith(" openai/gpt-image-1#high/1024x1536")
    assert ask(size="1024x1024", quality="low")["cost_nanousd"] == 11000000
    r = ask(size="1024x1024", quality="nonsense; of \"mine\"")
    assert r.get("is_unpriced") and r["unit_detail"] == "1024x1024", dict(r)
    assert ask(size="333x333", quality="low").get("is_unpriced")


@pytest.mark.parametrize("reason,row", [("error", "UP_SERVER"), ("insufficient_system_resource", "UP_OVERLOADED")])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def play_a_failure_told_as_the_reason_to_end(shared, reason, row, stream):
    """Mistral and DeepSeek end an answer with it. What it used was used, and is billed."""
    head = {"id": "c", "created": 1, "model": "m"}
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    events = [{**head, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}, "finish_reason": None}]},
              {**head, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": usage}]
    whole = {**head, "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hel"}, "finish_reason": reason}],
             "usage": usage}

    class Ends(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            data = "".join(f"data: {json.dumps(e)}\n\n" for e in events) + "data: [DONE]\n\n" if stream else json.dumps(whole)
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream" if stream else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data.encode())

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ends)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    shared.ctl("apply", "-f", "-", stdin=f"""
{{kind: provider, id: ends, type: openai-compatible, base_url: "http://127.0.0.1:{server.server_address[1]}/v1", allow_private: [127.0.0.1/32]}}
---
{{kind: credential, id: ends, provider: ends, secret: sk-x}}
---
{{kind: deployment, id: ends, provider: ends, credential: ends, upstream_model: m, probe: none, activation: immediate, input_price: 1000000, output_price: 2000000}}
---
{{kind: model, id: ends, targets: [{{deployment: ends}}]}}
""")
    c = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=30)
    try:
        c.request("POST", "/v1/chat/completions", json.dumps(chat_body("x", model="ends", stream=stream)), {"Authorization": f"Bearer {shared.key}"})
        a = c.getresponse()
        try:
            text = a.read().decode()
        except http.client.IncompleteRead as e:
            text = e.partial.decode()
    finally:
        server.shutdown()
        c.close()
    assert '"error"' in text and (stream or a.status >= 500), text
    r = settled(shared.data, [a.headers["x-request-id"]]).end(a.headers["x-request-id"])
    assert (r["error"], r["cost_nanousd"]) == (row, 10 * 1000 + 2 * 2000), dict(r)


# --- the law of the bill, against exact fractions ---

CLASSES = ["input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "reasoning", "audio_in", "audio_out", "image_in", "image_out", "search_low",
           "search_medium", "search_high", "query", "image", "second", "character", "pixel"]
TIERS = ["default", "flex", "priority", "batch"]
COUNTS = ["input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "image_in", "reasoning", "audio_out", "image_out", "searches",
          "queries", "images", "seconds", "characters", "pixels"]


def held(rates, percent, is_anthropic, u, tier):
    """Price of each class as docs/COST.md says it: the highest threshold that is passed, there the tier's own before the default's."""
    out = {}
    for cls in CLASSES:
        fits = [(above, t == tier, pico) for (c, t, above), pico in rates.items() if c == cls and t in (tier, "default") and (not above or u["input"] > above * 1000)]
        if fits:
            above, is_own, pico = max(fits)
            share = 100 if is_own and tier != "default" else percent.get(tier) or 100
            out[cls] = pico * share // 100  # a price is whole pico-USD; only the sum is rounded
    if is_anthropic and "input" in out:
        out.setdefault("cache_read", out["input"] // 10)
        out.setdefault("cache_write_5m", out["input"] + out["input"] // 4)
        out.setdefault("cache_write_1h", out["input"] * 2)
    return out


def bill(rates, percent, is_anthropic, u, tier, size):
    """(known, nano-USD): each token in one class, the sum exact, rounded half up once."""
    p, left, total = held(rates, percent, is_anthropic, u, tier), u["input"], Fraction(0)

    def take(name, pico):
        nonlocal left, total
        n = min(u[name], left)
        left, total = left - n, total + Fraction(n * pico, 1000)
    write = p.get("cache_write_5m", p.get("input", 0))
    take("cache_read", p.get("cache_read", p.get("input", 0)))
    take("cache_write_1h", p.get("cache_write_1h", write))
    take("cache_write_5m", write)
    for name in ("audio_in", "image_in"):
        if name in p:
            take(name, p[name])
    total += Fraction(left * p.get("input", 0), 1000)
    left = u["output"]
    for name in ("audio_out", "image_out", "reasoning"):
        if name in p:
            take(name, p[name])
    total += Fraction(left * p.get("output", 0), 1000)
    by_tokens = bool(u["input"] or u["output"]) and ("input" in p or "output" in p)
    sizes = [f"search_{size}", "search_medium", "search_low", "search_high"]
    total += Fraction(u["searches"] * next((p[s] for s in sizes if s in p), 0) + u["queries"] * p.get("query", 0), 1000)
    known = by_tokens or (u["queries"] and "query" in p)
    for count, cls in (("images", "image"), ("seconds", "second"), ("characters", "character"), ("pixels", "pixel")):
        known = known or (u[count] and cls in p)
        if not by_tokens and not (cls == "pixel" and "image" in p):
            total += Fraction(u[count] * p.get(cls, 0), 1000)
    return bool(known), math.floor(total + Fraction(1, 2)) if known else 0


def play_costs_are_exact():
    """4,000 random bills; nothing is lost to a float, nothing is rounded twice."""
    build = pathlib.Path(os.environ.get("LLMGW_BUILD") or ROOT / "build-asan")
    tool = build / "tests/tools/gw-price"
    if not tool.exists():
        pytest.skip("tests/tools/gw-price is built with -Dtests=true only")
    assert subprocess.run([tool, "classes"], capture_output=True, text=True, check=True).stdout.split() == CLASSES
    rng, lines, want = random.Random(43), [], []
    for _ in range(4000):
        rates = {}
        for cls in rng.sample(CLASSES, rng.randint(1, len(CLASSES))):
            for _ in range(rng.randint(1, 3)):
                rates[cls, rng.choice(TIERS), rng.choice((0, 0, 32, 128, 200))] = rng.choice((0, 1, rng.randrange(10**6), rng.randrange(10**9)))
        percent = {t: rng.choice((0, 50, 33, 175)) for t in TIERS[1:]}
        anthropic, tier, size = rng.random() < 0.3, rng.choice(TIERS), rng.randrange(4)
        u = {name: rng.choice((0, 0, 1, rng.randrange(1000), rng.randrange(300000), rng.randrange(10**9))) for name in COUNTS}
        flat = [len(rates)] + [x for (c, t, above), pico in rates.items() for x in (CLASSES.index(c), TIERS.index(t), above, pico)]
        lines.append(" ".join(map(str, [*flat, *percent.values(), int(anthropic), TIERS.index(tier), size, *(u[n] for n in COUNTS)])))
        want.append(bill(rates, percent, anthropic, u, tier, ("medium", "low", "medium", "high")[size]))
    got = subprocess.run([tool], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
    assert len(got) == len(want)
    for line, told, (known, nano) in zip(lines, got, want, strict=True):
        is_known, total, of_input, of_output = map(int, told.split())
        assert (bool(is_known), total if is_known else 0) == (known, nano), (line, told, known, nano)
        assert 0 <= of_input and 0 <= of_output and of_input + of_output <= total


def play_the_price_source_is_in_the_sbom():
    got = subprocess.run([sys.executable, ROOT / "tools/sbom.py", "0", "0"], capture_output=True, text=True, check=True).stdout
    data = next(c for c in json.loads(got)["components"] if c["bom-ref"] == "prices")
    catalogue = json.loads((ROOT / "schemas/prices.json").read_text())
    assert data["hashes"] == [{"alg": "SHA-256", "content": catalogue["sha256"]}] and data["purl"].startswith("pkg:pypi/litellm@")
    assert data["purl"].rpartition("@")[2] in catalogue["source"]


# --- attempts, changes, and people ---

def play_what_a_failed_attempt_cost(shared):
    """Anthropic tells the input before it fails: that is charged, told beside the sum, and by the price of the deployment that took it."""
    g = shared

    class Fails(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            start = {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [], "stop_reason": None,
                                                          "usage": {"input_tokens": 1000, "output_tokens": 1}}}
            data = (f"event: message_start\ndata: {json.dumps(start)}\n\n"
                    'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n').encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("request-id", "req_failed")
            self.end_headers()
            self.wfile.write(data)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fails)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        g.ctl("apply", "-f", "-", stdin=f"""
{{kind: provider, id: dear, type: anthropic, base_url: "http://127.0.0.1:{server.server_address[1]}/v1", allow_private: [127.0.0.1/32]}}
---
{{kind: credential, id: dear, provider: dear, secret: sk-x}}
---
{{kind: deployment, id: dear, provider: dear, credential: dear, upstream_model: c, probe: none, activation: immediate, input_price: 7000000, output_price: 9000000}}
---
{{kind: model, id: tried, targets: [{{deployment: dear, priority: 0}}, {{deployment: listed, priority: 1}}]}}
""")
        a = http_ask("POST", g.url + "/v1/chat/completions", chat_body(WORDS, model="tried", stream=True), {"Authorization": f"Bearer {g.key}"})
    finally:
        server.shutdown()
    assert a.status == 200 and "[DONE]" in a.text
    r = settled(g.data, [a.headers["x-request-id"]]).end(a.headers["x-request-id"])
    own, failed = 600 * 150 + 400 * 75 + 100 * 600, 1000 * 7000 + 9000
    assert (r["deployment"], r["cost_failed_nanousd"], r["cost_nanousd"]) == ("listed", failed, own + failed), dict(r)
    assert r["tokens_input"] == 1000 and r["cost_input_nanousd"] + r["cost_output_nanousd"] == own and r["price"].endswith("openai/gpt-4o-mini")
    tries = json.loads(r["attempt_log"])
    assert (tries[0]["error"], tries[0]["tokens_input"], tries[0]["cost_nanousd"], tries[0]["upstream_request_id"]) == ("UP_OVERLOADED", 1000, failed, "req_failed")
    assert tries[1]["cost_nanousd"] == own
    shown = until(lambda: g.ctl("logs", "show", a.headers["x-request-id"], ok=False).stdout, 10, "the index to have it")
    for words in ("The provider is overloaded. (UP_OVERLOADED)", "req_failed", "1. dear", "2. listed", "failed attempts", "catalogue 20", "read from cache",
                  "0.000180000 USD", "as the provider counted"):
        assert words in shown, (words, shown)


class Cohere(vendors.Server):
    """Its own template is counted and not billed."""

    def handle(self, method, path, headers, body):
        usage = {"billed_units": {"input_tokens": 5.0, "output_tokens": 3.0}, "tokens": {"input_tokens": 500.0, "output_tokens": 7.0}}
        if not json.loads(body).get("stream"):
            return vendors.as_json(200, {"id": "c", "finish_reason": "COMPLETE", "usage": usage,
                                         "message": {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]}})
        events = [{"type": "message-start", "id": "c", "delta": {"message": {"role": "assistant"}}},
                  {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": "Hi"}}}}, {"type": "content-end", "index": 0},
                  {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}}]
        return 200, {"content-type": "text/event-stream"}, "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events).encode()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v2/chat"])
def play_what_cohere_bills(shared, path, stream):
    cohere = Cohere()
    try:
        shared.ctl("apply", "-f", "-", stdin=f"""
{{kind: provider, id: co, type: cohere, base_url: "{cohere.url}", allow_private: [127.0.0.1/32]}}
---
{{kind: credential, id: co, provider: co, secret: x-y-z}}
---
{{kind: deployment, id: co, provider: co, credential: co, upstream_model: command, probe: none, activation: immediate, input_price: 1000000, output_price: 2000000}}
---
{{kind: model, id: co, targets: [{{deployment: co}}]}}
""")
        a = http_ask("POST", shared.url + path, json.dumps({"model": "co", "messages": [{"role": "user", "content": "x"}], "stream": stream}),
                     {"Authorization": f"Bearer {shared.key}", "Content-Type": "application/json"})
    finally:
        cohere.stop()
    assert a.status == 200, a.text
    r = settled(shared.data, [a.headers["x-request-id"]]).end(a.headers["x-request-id"])
    assert (r["tokens_input"], r["tokens_output"], r["cost_nanousd"]) == (500, 7, 5 * 1000 + 3 * 2000), dict(r)


def play_the_price_at_the_start_holds(shared):
    """A stream that outlives a change of prices is billed by those it began with."""
    g = shared
    g.ctl("apply", "-f", "-", stdin="{kind: price, id: p-mid, model: our-own-7b, input: 1000000}")
    until(lambda: record(g, "strange")[0].get("price", "").startswith("price p-mid@"), 10, "the first price")
    version = record(g, "strange")[0]["price"]
    c = http.client.HTTPConnection("127.0.0.1", g.port, timeout=30)
    c.request("POST", "/v1/chat/completions", json.dumps(chat_body(WORDS + " chunk_ms=300 chunks=6", model="strange", stream=True)),
              {"Authorization": f"Bearer {g.key}"})
    answer = c.getresponse()
    answer.read(1)
    g.ctl("apply", "-f", "-", stdin="{kind: price, id: p-mid, model: our-own-7b, input: 9000000}")
    answer.read()
    i = answer.headers["x-request-id"]
    r = settled(g.data, [i]).end(i)
    assert (r["price"], r["cost_nanousd"]) == (version, 1000 * 1000), dict(r)
    until(lambda: record(g, "strange")[0]["cost_nanousd"] == 1000 * 9000, 10, "the second price")
    g.ctl("delete", "price", "p-mid", "--yes")


def play_doctor_tells_the_age_of_prices(shared):
    found = json.loads(shared.ctl("doctor", "-o", "json", ok=False).stdout)
    found = next(f for f in found["findings"] if f["check"] == "prices")
    catalogue = json.loads((ROOT / "schemas/prices.json").read_text())
    days = (datetime.date.today() - datetime.date.fromisoformat(catalogue["date"])).days
    assert catalogue["date"] in found["found"] and f"{catalogue['models']} models" in found["found"]
    assert found["level"] == ("warn" if days > 90 else "ok") and ("remedy" in found) == (days > 90), (days, found)
