"""Watching the gateway: step times, Server-Timing, metrics whose labels come only from the configuration, and the dashboard and rules
that are shipped with it."""
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess

import pytest

from harness import ROOT, SLOW, Gateway, http_ask, until

RULES = ROOT / "packaging/prometheus/llmgw.rules.yml"
DASHBOARD = ROOT / "packaging/grafana/llmgw.json"
STEPS = [m[1] for m in re.finditer(r"^GW_STEP\((\w+),", (ROOT / "worker/req_steps.def").read_text(), re.M)]


def metrics(g):
    a = http_ask("GET", g.admin_url + "/metrics", headers={"Authorization": f"Bearer {g.token}"})
    assert a.status == 200, a.text
    return a.text


def value(text, series):
    for line in text.splitlines():
        if line.startswith(series + " "):
            return float(line.rsplit(" ", 1)[1])
    return None


def families(text):
    return {m[1] for m in re.finditer(r"^# TYPE (\S+)", text, re.M)}


def series(text):
    return {line.rsplit(" ", 1)[0] for line in text.splitlines() if line and line[0] != "#"}


def play_step_times(gateway):
    g = gateway
    n = 20
    timed = {"Authorization": f"Bearer {g.key}", "x-llmgw-timing": "1"}
    for model in ["mock-1"] * n + ["no-such"]:
        body = {"model": model, "messages": [{"role": "user", "content": "x"}]}
        assert http_ask("POST", g.url + "/v1/chat/completions", body, timed).status == (200 if model == "mock-1" else 404)
    text = until(lambda: (t := metrics(g)) and value(t, 'llmgw_step_seconds_count{step="auth"}') == n + 1 and t, 10)
    for step in STEPS[:-1]:
        count = value(text, f'llmgw_step_seconds_count{{step="{step}"}}')
        want = {"parse": n + 1, "auth": n + 1, "resolve": n + 1, "account": n + 1, "limit": n, "pick": n, "send": n, "relay": n, "fail": 1}
        assert count == want.get(step, 0), step
        buckets = [(float(m[1].replace("+Inf", "inf")), int(m[2]))
                   for m in re.finditer(rf'^llmgw_step_seconds_bucket\{{step="{step}",le="([^"]+)"\}} (\d+)', text, re.M)]
        assert len(buckets) == 24 and buckets == sorted(buckets) and buckets[-1][1] == count
    assert value(text, 'llmgw_step_seconds_sum{step="relay"}') > value(text, 'llmgw_step_seconds_sum{step="limit"}') > 0
    total = value(text, next(s for s in series(text) if s.startswith('llmgw_duration_seconds_sum{model="mock-1"')))
    before = value(text, 'llmgw_step_seconds_count{step="auth"}')
    for _ in range(64):  # over both workers: of those that do not ask one in sixteen is timed
        assert g.chat().status == 200
    now = until(lambda: (v := value(metrics(g), 'llmgw_step_seconds_count{step="auth"}')) > before and v, 10)
    assert 1 <= now - before <= 6
    steps = sum(value(text, f'llmgw_step_seconds_sum{{step="{s}"}}') for s in STEPS[:-1])
    assert steps < total * 1.5 + 1, "steps are parts of the whole"


def parts(header):
    """Server-Timing as a map; each entry is name;dur=milliseconds."""
    out = {}
    for entry in header.split(","):
        name, dur = re.fullmatch(r"\s*([a-z]+);dur=(\d+\.\d{3})", entry).groups()
        out[name] = float(dur)
    return out


def play_server_timing(gateway):
    g = gateway
    body = {"model": "mock-1", "messages": [{"role": "user", "content": "mock: delay_ms=30"}]}
    auth = {"Authorization": f"Bearer {g.key}"}

    def ask(**more):
        return http_ask("POST", g.url + "/v1/chat/completions", {**body, **more}, auth_now)

    auth_now = auth
    assert "server-timing" not in ask().headers, "only on request"
    auth_now = {**auth, "x-llmgw-timing": "1"}
    a = ask()
    t = parts(a.headers["server-timing"])
    assert {"parse", "auth", "resolve", "limit", "pick", "send", "upstream", "gateway", "total"} <= set(t)
    assert t["upstream"] >= 29 and t["total"] >= t["upstream"] and t["relay"] >= 29
    s = parts(ask(stream=True).headers["server-timing"])
    assert {"parse", "auth", "send"} <= set(s) and "total" not in s, "the head leaves before the end is known"
    assert "auth" in parts(ask(model="no-such").headers["server-timing"])
    auth_now = {**auth, "x-llmgw-timing": "0"}
    assert "server-timing" not in ask().headers
    g.ctl("apply", "-f", "-", stdin="kind: settings\nid: default\nserver_timing: true\n")
    a = ask()
    assert "server-timing" in a.headers and "x-llmgw-overhead-us" in a.headers


def junk(g, n, per_connection=5000, batch=250):
    """n chats for models that do not exist, each with another name, over keep-alive connections."""
    key, done = g.key, 0
    while done < n:
        with socket.create_connection(("127.0.0.1", g.port), 60) as s:
            for _ in range(0, min(per_connection, n - done), batch):
                out = b""
                for i in range(done, done + batch):  # names differ by the random part too
                    body = b'{"model":"junk-%d-%s","messages":[{"role":"user","content":"x"}]}' % (i, os.urandom(4).hex().encode())
                    out += b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s" % (
                        key.encode(), len(body), body)
                got, sent = b"", memoryview(out)
                n_answers = 0
                while n_answers < batch:  # write as it takes, read what comes
                    if sent:
                        s.settimeout(0.02)
                        try:
                            sent = sent[s.send(sent[:32768]):]
                        except TimeoutError:
                            pass
                    s.settimeout(60 if not sent else 0.001)
                    try:
                        more = s.recv(1 << 18)
                    except TimeoutError:
                        continue
                    assert more, "closed too early"
                    got += more
                    told, busy = got.count(b"HTTP/1.1 404 "), got.count(b"HTTP/1.1 503 ")  # a slow disk holds clients back
                    n_answers += told + busy
                    done += told
                    assert b"HTTP/1.1 2" not in got
                    got = got[-12:]
    return done


def memory(g):
    """Private memory of the workers in KiB: what is shared is the rings and the images."""
    out = 0
    for p in g.processes("worker"):
        for line in pathlib.Path(f"/proc/{p['pid']}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                out += int(line.split()[1])
    return out


def junk_names(g, n):
    assert g.chat().status == 200
    junk(g, 5000)  # warm
    until(lambda: "llmgw_trail_bytes" in metrics(g), 20, "the first look at the trail")
    before, kib = series(metrics(g)), memory(g)
    done = junk(g, n)
    after = until(lambda: (t := metrics(g)) and value(t, 'llmgw_errors_total{error="MODEL_NOT_FOUND"}') >= done + 5000 and t, 20)
    assert series(after) == before, sorted(series(after) - before)[:5]
    assert "junk" not in after
    limit = 2048 if SLOW == 1 else 128 << 10  # sanitizers keep what was freed for a while
    assert memory(g) - kib < limit, f"{memory(g) - kib} KiB"


@pytest.fixture
def roomy(where, mock):
    """Rings with room for a burst of refusals: each leaves a record."""
    g = Gateway(where, mock=mock, options=["--ring-size", "64MiB"])
    g.start()
    yield g
    g.finish()


def play_junk_model_names_make_no_series(roomy):
    junk_names(roomy, 50000 // SLOW)


@pytest.mark.long
def play_a_million_junk_model_names(roomy):
    junk_names(roomy, 1000000)


def names_in(expr):
    """Metric names of a PromQL expression; recorded ones have colons."""
    return set(re.findall(r"\bllmgw[a-z0-9_:]*", re.sub(r'"[^"]*"', "", expr)))


def dashboard_exprs():
    d = json.loads(DASHBOARD.read_text())
    for p in d["panels"]:
        for t in p.get("targets", []):
            yield p["title"], t["expr"]
    for v in d["templating"]["list"]:
        if v["type"] == "query":
            yield v["name"], v["query"]["query"]
    for a in d["annotations"]["list"]:
        yield a["name"], a["expr"]


def rule_exprs():
    text = RULES.read_text()
    exprs = re.findall(r"^        expr: (?:\|\n((?:          .*\n)+)|(.+))", text, re.M)
    return [a or b for a, b in exprs], set(re.findall(r"record: (\S+)", text))


def play_every_metric_of_dashboard_and_rules_exists(gateway):
    g = gateway
    assert g.chat().status == 200 and g.chat(model="no-such").status == 404
    have = families(until(lambda: (t := metrics(g)) and "llmgw_errors_total{" in t and t, 10))
    exprs, recorded = rule_exprs()
    assert len(exprs) == RULES.read_text().count("        expr:") and len(recorded) >= 8
    wanted = [("rule", e) for e in exprs] + list(dashboard_exprs())
    assert len(wanted) > 60
    for title, e in wanted:
        for name in names_in(e):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in have or base in have or name in recorded, f"{title}: {name}"


def play_dashboard_is_whole():
    d = json.loads(DASHBOARD.read_text())
    ids = [p["id"] for p in d["panels"]]
    assert len(ids) == len(set(ids)) and d["uid"]
    spots = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in d["panels"]]
    assert len(spots) == len(set(spots)) and all(p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in d["panels"])
    for p in d["panels"]:
        assert p["title"] and (p["type"] == "row" or p["targets"])


def play_promtool_accepts_the_rules_and_the_metrics(gateway):
    assert shutil.which("promtool"), "tools/deps.sh test installs it (Debian package prometheus)"
    for argv in (["check", "rules", str(RULES)], ["test", "rules", str(RULES.with_name("llmgw.rules_test.yml"))]):
        r = subprocess.run(["promtool", *argv], capture_output=True, text=True, cwd=RULES.parent, timeout=120)
        assert r.returncode == 0, r.stdout + r.stderr
    assert gateway.chat().status == 200
    r = subprocess.run(["promtool", "check", "metrics"], input=metrics(gateway), capture_output=True, text=True, timeout=60)
    assert "error" not in (r.stdout + r.stderr).lower(), r.stdout + r.stderr


def play_promtool_refuses_a_broken_rule(where):
    """The check can fail."""
    bad = where / "bad.yml"
    bad.write_text(RULES.read_text().replace("sum by (job)", "sum by job)", 1))
    r = subprocess.run(["promtool", "check", "rules", str(bad)], capture_output=True, text=True, timeout=60)
    assert r.returncode != 0
