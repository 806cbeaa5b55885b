"""What a request costs: the catalogue, the operator's own prices and their days, what nobody knows. And the catalogue's tool."""
import json
import pathlib
import subprocess
import sys
import time

import pytest

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
        "alibaba/q": {"input": 1000000, "input>32k": 2000000}, "azure/eu/gpt-x": {"input": 1}, "ollama/own": {"input": 0},
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
