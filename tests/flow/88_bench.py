"""llmgw-bench as people use it: short runs against mockllm and the gateway. Figures are checked for being right, never for being good:
nothing here needs a quiet machine."""
import base64
import html.parser
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from client import next_fault
from harness import SLOW, Mock, binary, free_port, http_ask, until

QUIET = ["--quiet", "--json"]


def bench(*args, key="sk-any", status=0, timeout=120, env=None):
    """The result object, or (for another status than 0) the words."""
    r = subprocess.run([binary("llmgw-bench"), *map(str, args)], capture_output=True, text=True, timeout=timeout * SLOW,
                       env={**os.environ, "LLMGW_KEY": key, **(env or {})}, check=False)
    assert r.returncode == status, (r.returncode, r.stdout[-2000:], r.stderr[-2000:])
    assert "Sanitizer" not in r.stderr and "runtime error" not in r.stderr, r.stderr
    return json.loads(r.stdout) if status == 0 and "--json" in args else r.stdout + r.stderr


def load(url, *args, seconds="1s", **more):
    return bench("--url", url, "--model", "mock-1", *QUIET, "--duration", seconds, "--warmup", "100ms", *args, **more)


def play_open_loop_asks_at_its_rate(mock):
    r = load(mock.url, "--rate", 100, "--connections", 32, seconds="2s")
    assert (r["loop"], r["errors"]) == ("open", 0) and 190 <= r["requests"] <= 202, r["requests"]
    assert r["latency_us"]["n"] == r["requests"] and r["latency_us"]["p50"] <= r["latency_us"]["p99"] <= r["latency_us"]["max"]
    assert 5 <= len(r["points"]) <= 15 and abs(sum(p["rps"] for p in r["points"]) / len(r["points"]) - 100) < 40


def play_poisson_and_ramps(mock):
    r = load(mock.url, "--rate", 200, "--arrivals", "poisson", seconds="2s")
    assert r["arrivals"] == "poisson" and r["errors"] == 0 and 300 <= r["requests"] <= 500
    r = bench("--url", mock.url, *QUIET, "--rate", "0..200", "--duration", "2s", "--warmup", "0s")
    assert r["errors"] == 0 and 195 <= r["requests"] <= 201, "the area under the ramp"


def play_connections_ramp_up(mock):
    r = load(mock.url, "--connections", "5..300", "--think", "100ms", seconds="2s")
    assert r["errors"] == 0 and r["peak_connections"] > 200, r["peak_connections"]
    assert r["points"][0]["connections"] < 150 < r["points"][-1]["connections"]


def play_thousands_of_connections(mock):
    r = load(mock.url, "--connections", 3000, "--think", "1s", "--tree", mock.pid)
    assert r["errors"] == 0 and r["peak_connections"] == 3000 and r["memory"]["peak_rss_bytes"] > 1 << 20


def play_errors_are_counted_by_kind(mock):
    for fault, kind in (("500", "status_5xx"), ("429", "status_429"), ("401", "status_401"), ("404", "status_4xx"), ("rst", "closed"),
                        ("garbage", "garbled"), ("cut-stream", "cut_stream")):
        next_fault(mock, fault, 7)
        stream = ["--stream"] if fault == "cut-stream" else []
        r = bench("--url", mock.url, *QUIET, "--requests", 40, "--connections", 4, *stream)
        # a connection that is cut in the middle of a chunk is closed, not ended: both kinds are true of it
        kinds = r["errors_by_kind"]
        assert sum(kinds.values()) == r["errors"] == 7 and (kind in kinds or kinds == {"closed": 7}), (fault, kinds)
        assert r["requests"] == 33
    next_fault(mock, "silent", 2)
    r = bench("--url", mock.url, *QUIET, "--requests", 10, "--connections", 2, "--timeout", "300ms")
    assert r["errors_by_kind"] == {"timeout": 2} and r["requests"] == 8
    next_fault(mock, "500", 1)
    assert "status_5xx 1" in bench("--url", mock.url, "--quiet", "--requests", 5, "--fail-on-errors", status=4)


def play_a_stall_is_seen_by_all_it_delays(mock):
    """Coordinated omission: the provider stands still for 700 ms. Counted from when requests were due, a good part waited."""
    def stall():
        time.sleep(0.8)  # somewhere in the run
        os.kill(mock.pid, signal.SIGSTOP)
        time.sleep(0.7)  # the stall itself
        os.kill(mock.pid, signal.SIGCONT)

    seen = {}
    for name, args in (("open", ["--rate", 200, "--connections", 4]), ("closed", ["--connections", 4])):
        t = threading.Thread(target=stall)
        t.start()
        seen[name] = load(mock.url, "--message", "mock: delay_ms=5", *args, seconds="2s")
        t.join()
    slow = [p for p in seen["open"]["latency_us"]["curve"] if p[1] > 200_000]
    assert slow and slow[0][0] <= 0.9, "at least a tenth came due while nothing answered"
    assert seen["open"]["errors"] == 0 and seen["open"]["latency_us"]["max"] > 600_000
    # who waits politely sees it once for each connection: 4 among hundreds
    assert seen["closed"]["latency_us"]["p90"] < 200_000 < seen["closed"]["latency_us"]["max"]


def play_streams(mock):
    r = load(mock.url, "--stream", "--rate", 20, "--message", "mock: chunks=10 chunk_ms=20 delay_ms=40", seconds="2s")
    assert r["errors"] == 0 and r["ttft_us"]["n"] == r["requests"] and r["gap_us"]["n"] == 9 * r["requests"]
    assert r["ttft_us"]["p50"] >= 55_000 and 15_000 < r["gap_us"]["p50"] < 40_000 * SLOW and r["latency_us"]["p50"] > 200_000


MIX = """
url: {url}
rate: 100
duration: 2s
warmup: 0s
connections: 64
models: [mock-1, "other-{{1..3}}"]
keys_file: {keys}
mix:
  - {{name: short, kind: chat, weight: 80, prompt_bytes: [300, 3000]}}
  - {{name: long, kind: stream, weight: 20, mock: "chunks=5 chunk_ms=5"}}
"""


def play_profile(mock, where):
    (where / "keys").write_text("sk-one\nsk-two\n\nsk-three\n")
    (where / "mix.yaml").write_text(MIX.format(url=mock.url, keys=where / "keys"))
    r = bench("--profile", where / "mix.yaml", *QUIET)
    by_name = {c["name"]: c for c in r["classes"]}
    n = {k: c["latency_us"]["n"] for k, c in by_name.items()}
    assert r["errors"] == 0 and n["short"] + n["long"] == r["requests"] and 0.6 < n["short"] / r["requests"] < 0.95 and r["keys"] == 3
    assert by_name["long"]["ttft_us"]["n"] == n["long"] and "ttft_us" not in by_name["short"]
    stats = mock_bodies(mock)
    assert {b["model"] for b in stats} == {"mock-1", "other-1", "other-2", "other-3"}
    assert {len(json.dumps(b)) > 2000 for b in stats if not b.get("stream")} == {True, False}


def mock_bodies(mock):
    kept = http_ask("GET", mock.url.removesuffix("/v1") + "/mock/stats?last=64").json["bodies"]
    heads = {re.search(rb"Bearer (\S+)", base64.b64decode(k["head"]))[1] for k in kept}
    assert heads == {b"sk-one", b"sk-two", b"sk-three"}
    return [json.loads(base64.b64decode(k["body"])) for k in kept]


BURNER = """
import subprocess, sys, threading, time
def burn(s):
    end = time.thread_time() + s
    while time.thread_time() < end: pass
if len(sys.argv) > 1:
    t = threading.Thread(target=burn, args=(0.03,)); t.start(); t.join()
else:
    while True: subprocess.run([sys.executable, __file__, "child"])
"""


def ticks(pid):
    f = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, f[11:15])) / os.sysconf("SC_CLK_TCK")


def play_cpu_of_a_tree_has_short_lived_children_and_threads(mock, where):
    (where / "burner.py").write_text(BURNER)
    p = subprocess.Popen([sys.executable, str(where / "burner.py")])
    try:
        until(lambda: ticks(p.pid) > 0.1, 20)
        before = ticks(p.pid)
        r = load(mock.url, "--rate", 20, "--tree", p.pid, seconds="2s")
        after = ticks(p.pid)
    finally:
        p.kill()
        p.wait()
    # the window lies within the two looks from outside; a child that runs just then is only half told by them
    assert 0.5 * (after - before) <= r["cpu"]["us"] / 1e6 <= (after - before) + 0.3, (r["cpu"], after - before)
    assert r["cpu"]["cores"] == pytest.approx(r["cpu"]["us"] / 1e6 / r["seconds"], rel=0.05)


def play_held_streams_cost_memory_and_give_it_back(mock):
    r = load(mock.url, "--requests", 50, "--connections", 4, "--hold-streams", 300, "--hold-quiet", "300ms", "--settle", "500ms", "--tree", mock.pid)
    m = r["memory"]
    assert r["held_streams"] == 300 and r["errors"] == 0
    assert m["held"]["pss_bytes"] > m["before"]["pss_bytes"] and m["held"]["processes"] == 1 and m["after"]["pss_bytes"] > 0


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.results, self.outside = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.open.append((tag, a))
        self.outside += [v for k, v in attrs if k in ("src", "href") or (v or "").startswith("http")]

    def handle_data(self, data):
        if self.open and self.open[-1] == ("script", {"id": "results", "type": "application/json"}):
            self.results += data


def check_page(path, runs):
    text = path.read_text()
    page = Page(text)
    assert not page.outside, "nothing is loaded from anywhere"
    assert len(json.loads(page.results)) == runs
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        return
    dom = subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom", path.as_uri()],
                         capture_output=True, text=True, timeout=90, check=False, env={**os.environ, "HOME": str(path.parent)}).stdout
    ready = re.search(r'data-ready="(\d+)"', dom)
    assert ready and int(ready[1]) >= 4, "the script ran to its end and drew charts"


def play_page_report_and_compare(mock, where):
    for name, delay in (("a", 0), ("b", 30)):
        bench("--url", mock.url, "--rate", 50, "--duration", "1s", "--warmup", "0s", "--quiet", "--json-file", where / f"{name}.json", "--html",
              where / f"{name}.html", "--title", "<i>title</i>", "--label", name, "--message", f"mock: delay_ms={delay}", "--tree", mock.pid)
        check_page(where / f"{name}.html", 1)
    assert "2 results" in bench("report", "--html", where / "both.html", where / "a.json", where / "b.json")
    check_page(where / "both.html", 2)
    words = bench("compare", where / "a.json", where / "b.json", "--max-worse", 50, status=4)
    assert "WORSE" in words and "latency p50" in words
    r = bench("compare", where / "b.json", where / "b.json", "--max-worse", 1, "--json")
    assert r["latency p50"] == {"first": r["latency p50"]["first"], "second": r["latency p50"]["first"], "change_percent": 0, "worse": False}


def play_pair(mock, where):
    (where / "slow").mkdir()
    slow = Mock(where / "slow", extra=["--delay-ms", "40"])
    slow.start()
    r = bench("pair", "--a", mock.url, "--b", slow.url, "--a-label", "quick", "--b-label", "slow", "--rounds", 3, "--rate", 30, "--duration", "700ms",
              "--warmup", "100ms", *QUIET, "--html", where / "pair.html", "--a-tree", mock.pid, "--b-tree", slow.pid)
    assert (r["a"], r["b"], r["a_errors"], r["b_errors"], r["rounds"]) == ("quick", "slow", 0, 0, 3)
    assert r["p50_us"]["added"] > 20_000 and r["p50_us"]["ratio"] > 1 and r["p50_us"]["b"] > 40_000 and r["cpu_us_per_request"]["a"] > 0
    check_page(where / "pair.html", 6)


def play_find_max(mock):
    """What it finds depends on the machine; that it ends, keeps to its bounds and is honest about the generator does not."""
    p = subprocess.run([binary("llmgw-bench"), "find-max", "--url", mock.url, "--start-rate", "20", "--max-rate", "40", "--p99", "10s", "--precision",
                        "30", "--duration", "600ms", "--warmup", "0s", "--confirm", "1", "--max-runs", "8", "--json", "--quiet"],
                       capture_output=True, text=True, timeout=60, check=False)
    r = json.loads(p.stdout)
    assert r["runs"] <= 8 and r["max_rate"] <= 40 and p.returncode == (0 if r["max_rate"] else 1)
    assert r["confirmed"] and r["at_limit"] or r["generator_limit"] > 0 or r["max_rate"] > 0, r
    # what fails is not found: everything is refused
    next_fault(mock, "500", 100000)
    p = subprocess.run([binary("llmgw-bench"), "find-max", "--url", mock.url, "--start-rate", "16", "--max-rate", "40", "--duration", "300ms",
                        "--warmup", "0s", "--json", "--quiet"], capture_output=True, text=True, timeout=60, check=False)
    r = json.loads(p.stdout)
    assert p.returncode == 1 and r["max_rate"] == 0 and r["failed_at"] > 0 and not r["confirmed"]


def play_gateway_says_where_its_time_goes(gateway):
    gateway.ctl("apply", "-f", "-", stdin="{kind: settings, id: default, server_timing: true}")
    r = bench("--url", gateway.url, "--model", "mock-1", *QUIET, "--rate", 50, "--duration", "1s", "--warmup", "0s", "--metrics",
              gateway.admin_url + "/metrics", "--tree", gateway.pid, key=gateway.key)
    assert r["errors"] == 0 and r["cpu"]["processes"] >= 6 and r["memory"]["end"]["pss_bytes"] > 1 << 20
    assert any(s["name"] in ("total", "overhead") and s["n"] == r["requests"] and s["p50"] > 0 for s in r["server_timing"]), r["server_timing"]
    steps = {m["name"]: m for m in r["metrics"]}
    assert steps["llmgw_duration"]["n"] == r["requests"] and steps["llmgw_duration"]["mean"] >= steps["llmgw_overhead"]["mean"] > 0


def play_tune_leaves_nothing_behind(where):
    before = set(pathlib.Path("/dev/shm").glob("llmgw-tune-*"))
    r = bench("tune", "--gateway", binary("llmgw"), "--mock", binary("mockllm"), "--knob", "boot:workers=1", "--knob", "provider:max_connections=8",
              "--rounds", 1, "--rate", 40, "--duration", "500ms", "--warmup", "200ms", *QUIET, "--html", where / "tune.html",
              env={"TMPDIR": str(where)}, timeout=200)
    assert [(x["knob"], x["value"], x["errors"]) for x in r["rows"]][:2] == [("boot:workers", "1", 0), ("provider:max_connections", "8", 0)]
    assert all(x["ratio"] > 0 for x in r["rows"]) and r["goal"] == "cpu"
    check_page(where / "tune.html", 2 * len(r["rows"]))
    assert not list(where.glob("llmgw-tune-*")) and set(pathlib.Path("/dev/shm").glob("llmgw-tune-*")) <= before
    words = bench("tune", "--gateway", binary("llmgw"), "--mock", binary("mockllm"), "--knob", "boot:workers=many", "--rounds", 1, "--quiet",
                  env={"TMPDIR": str(where)}, status=1)
    assert "boot:workers=many" in words and "workers" in words


WRONG = [
    (["--url", "localhost:4000"], "--url wants http(s)://host:port"), ([], "--url is required"), (["runn"], 'no command "runn"'),
    (["--url", "http://127.0.0.1:1", "--rate", "fast"], "--rate wants a number"), (["--url", "http://127.0.0.1:1", "--duration", "soon"], "--duration wants a duration"),
    (["--url", "http://127.0.0.1:1", "--connections", "0"], "--connections wants 1 to"), (["--url", "http://127.0.0.1:1", "--p99", "1s"], "--p99 belongs to find-max, tune"),
    (["find-max", "--url", "http://127.0.0.1:1", "--rate", "5"], "--rate belongs to run, pair, tune"), (["--url", "http://127.0.0.1:1", "--kind", "video"], "--kind wants"),
    (["--url", "http://127.0.0.1:1", "--rate", "5", "--think", "1s"], "--think is for the closed loop"), (["--url", "http://127.0.0.1:1", "--key-file", "/nowhere"], "cannot read the keys"),
    (["--url", "http://127.0.0.1:1", "--profile", "/nowhere"], "cannot read /nowhere"), (["--url", "http://127.0.0.1:1", "--model", "m-{1..}"], "a range is written"),
    (["pair", "--a", "http://127.0.0.1:1"], "--a URL and --b URL are required"), (["compare", "/nowhere"], "wants two files"), (["report", "x.json"], "report wants --html"),
    (["report", "--html", "x.html", "/nowhere"], "cannot read /nowhere"), (["tune", "--gateway", "/nowhere"], "cannot be run"),
    (["tune", "--gateway", "/bin/true", "--mock", "/bin/true", "--knob", "workers=3"], "--knob wants boot:"), (["--url", "http://127.0.0.1:1", "extra"], "unexpected argument"),
    (["--url", "http://127.0.0.1:1", "--tree", "abc"], "not a process number"), (["--nonsense"], "see --help"),
]


@pytest.mark.parametrize("args,said", WRONG, ids=[w[1][:30] for w in WRONG])
def play_wrong_options(args, said):
    assert said in bench(*args, status=2)


def play_what_cannot_be_done_is_said(mock, where):
    port = free_port()
    words = bench("--url", f"http://127.0.0.1:{port}", "--quiet", "--duration", "1s", status=1)
    assert "0 of 64 connections" in words and "refused" in words
    assert "no process 4194000" in bench("--url", mock.url, "--quiet", "--tree", 4194000, status=1)
    assert "no address for" in bench("--url", "http://does-not-exist.invalid", "--quiet", status=1)
    (where / "bad.json").write_text('{"a": 1}\n')
    assert "no result of llmgw-bench" in bench("compare", where / "bad.json", where / "bad.json", status=2)
    (where / "bad.json").write_text('{"a": \n')
    assert "bad.json:1:" in bench("report", "--html", where / "x.html", where / "bad.json", status=2)
    (where / "bad.yaml").write_text("mix:\n  - {kind: chat, weigth: 3}\n")
    assert 'bad.yaml:2:18: "weigth" is not known here' in bench("--url", mock.url, "--profile", where / "bad.yaml", status=2)
    for command in ("run", "find-max", "pair", "tune", "report", "compare"):
        first = bench(command, "--help").splitlines()
        assert next(line for line in first if line.startswith("  ")).startswith("  llmgw-bench"), "examples come first"
