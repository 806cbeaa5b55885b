"""The index of requests: what logs, usage and exports answer equals the trail, whatever happens to the exporter or its files; and
nothing on the request path notices."""
import csv
import io
import json
import os
import resource
import signal
import sqlite3
import time
import urllib.parse

import pytest

from client import Load, chat_body
from harness import Gateway, http_ask, until
from trail import Trail, settled, unpack

CHAT = "/v1/chat/completions"
OTHER = """
{kind: org, id: other}
---
{kind: team, id: red, org: other}
---
{kind: user, id: ann, org: other}
"""


def setup(g):
    g.ctl("apply", "-f", "-", stdin=OTHER)
    g.other = json.loads(g.ctl("key", "create", "--org", "other", "--team", "red", "--user", "ann", "-o", "json"))["token"]


def ask(g, text="hello", key=None, model="mock-1", **headers):
    a = http_ask("POST", g.url + CHAT, chat_body(text, model), {"Authorization": f"Bearer {key or g.key}", **headers})
    return a.headers["x-request-id"]


def index(g):
    a = g.admin("GET", "index")
    assert a.status == 200, a.text
    return a.json


def current(g, trail=None):
    """The index's status as soon as it holds every END of the trail."""
    def look():
        t = trail or Trail(g.data)
        s = index(g)
        return s if s["state"] == "current" and s["rows"] == len(t.ends) else None

    return until(look, 10, "the index to hold the whole trail")


def query(g, path, token=None, **params):
    pairs = [(k, v) for k, vs in params.items() for v in (vs if isinstance(vs, list) else [vs])]
    return g.admin("GET", path + "?" + urllib.parse.urlencode(pairs), token=token)


def usage(g, token=None, **params):
    a = query(g, "usage", token, **{"from": "1h", **params})
    assert a.status == 200, a.text
    return a.json


SUMS = ("tokens_input", "tokens_output", "tokens_cached", "tokens_reasoning", "tokens_cache_write_5m", "tokens_cache_write_1h", "tokens_audio_in",
        "tokens_audio_out", "tokens_image_in", "tokens_image_out", "web_searches", "cost_nanousd", "cost_input_nanousd", "cost_output_nanousd", "total_us")


def counted(ends, *dims):
    """The same sums straight from the records."""
    out = {}
    for r in ends:
        s = out.setdefault(tuple(r.get(d, "") for d in dims), dict.fromkeys(("requests", "errors", "streamed", *SUMS), 0))
        s["requests"] += 1
        s["errors"] += bool(r.get("error")) or r.get("status", 0) == 0 or r["status"] >= 400
        s["streamed"] += r.get("ttft_us", 0) > 0
        for k in SUMS:
            s[k] += r.get(k, 0)
    return out


def must_equal_trail(g):
    """Every request of the trail once, and every sum by every dimension."""
    t = Trail(g.data)
    current(g, t)
    ends = [v[0] for v in t.ends.values()]
    got = [r["request_id"] for r in g.logs("--limit", "1000000")]
    assert sorted(got) == sorted(t.ends), f"{len(got)} of {len(t.ends)}"
    for dims in (["org"], ["team", "key"], ["model", "deployment", "provider"], ["user"]):
        u = usage(g, by=",".join(dims))
        assert u["complete"] is True
        have = {tuple(i[d] for d in dims): {k: i[k] for k in ("requests", "errors", "streamed", *SUMS)} for i in u["items"]}
        assert have == counted(ends, *dims), dims
        assert u["total"]["requests"] == len(ends)
    for bucket in ("minute", "hour", "day"):
        assert sum(i["requests"] for i in usage(g, bucket=bucket)["items"]) == len(ends)
    return t


@pytest.mark.smoke
def play_equals_the_trail(shared):
    g = shared
    ids = [ask(g, f"number {i}", **{"x-llmgw-session": f"s-{i % 3}", "x-llmgw-tags": "blue,green" if i % 2 else "blue"}) for i in range(30)]
    ids += [ask(g, "mock: fault=500"), ask(g, model="nope"), ask(g, key=g.other)]
    settled(g.data, ids)
    t = must_equal_trail(g)
    # a record from the index is the record
    for i in (ids[0], ids[30], ids[31]):
        (r,) = g.logs("--filter", f"request_id={i}")
        assert r["ts_start_us"] == t.end(i)["ts_start_us"] and r["status"] == t.end(i)["status"] and r.get("worker") == t.end(i).get("worker")
    assert {r["request_id"] for r in g.logs("--filter", "session_id=s-1")} == set(ids[1:30:3])
    assert [r["request_id"] for r in g.logs("--text", "UP_SERVER")] == [ids[30]]
    assert g.logs("--filter", "session_id=s-1", "--filter", "status>399") == []
    # by tag a request counts under each of its tags; the total counts it once
    u = usage(g, by="tag", filter="tags~blue")
    assert {i["tag"]: i["requests"] for i in u["items"]} == {"blue": 30, "green": 15} and u["total"]["requests"] == 30
    # percentiles within the 3.2 % of the histogram
    exact = sorted(r["total_us"] for r in (v[0] for v in t.ends.values()))
    p50 = usage(g)["total"]["latency_p50_us"]
    assert exact[(len(exact) - 1) // 2] <= p50 <= exact[(len(exact) - 1) // 2] * 1.033 + 1
    for line in ("llmgw_index_records_total", "llmgw_index_lag_seconds", "llmgw_index_rows"):
        assert line in http_ask("GET", g.admin_url + "/metrics").text
    assert "index current" in g.ctl("status")


def play_seen_soon(shared):
    g = shared
    slowest = 0.0
    for i in range(5):
        i = ask(g, "when?")
        settled(g.data, [i])
        begun = time.monotonic()
        until(lambda: sqlite3_has(g, i), 10, "the row in the index")
        slowest = max(slowest, time.monotonic() - begun)
    assert slowest < 10


def newest_db(g):
    return sorted((g.data / "index").glob("requests-*.db"))[-1]


def sqlite3_has(g, request_id):
    db = sqlite3.connect(f"file:{newest_db(g)}?mode=ro", uri=True, timeout=5)
    try:
        return db.execute("SELECT count(*) FROM request WHERE request_id = ?", (bytes.fromhex(request_id.replace("-", "")),)).fetchone()[0] == 1
    finally:
        db.close()


def play_pages(shared):
    g = shared
    settled(g.data, [ask(g, "page", **{"x-llmgw-session": "paged"}) for _ in range(23)])
    current(g)
    whole = [r["request_id"] for r in query(g, "logs", limit=1000, filter="session_id=paged").json["items"]]
    assert len(whole) == 23
    got, after = [], {}
    for _ in range(10):
        p = query(g, "logs", limit=5, filter="session_id=paged", **after).json
        got += [r["request_id"] for r in p["items"]]
        if "next" not in p:
            break
        after = {"after": p["next"]}
    assert got == whole, "pages are the whole answer, in order, nothing twice"
    assert len(g.logs("--filter", "session_id=paged", "--limit", "7")) == 7


def play_exports(shared):
    g = shared
    settled(g.data, [ask(g, 'comma, "quote" and line\nend', **{"x-llmgw-session": "=1+1", "x-llmgw-tags": "csv"}) for _ in range(3)])
    t = Trail(g.data)
    current(g, t)
    want = [r["request_id"] for r in t.all if r.kind == 2]
    rows = [json.loads(x) for x in g.ctl("logs", "export").splitlines()]
    assert [r["request_id"] for r in rows] == want, "oldest first, each once"
    table = list(csv.DictReader(io.StringIO(g.ctl("logs", "export", "--format", "csv", "--filter", "tags=csv"))))
    assert len(table) == 3 and {r["session_id"] for r in table} == {"'=1+1"}, "a spreadsheet must not run it"
    assert [int(r["total_us"]) for r in table] == [t.end(r["request_id"])["total_us"] for r in table]
    raw = query(g, "logs:export", format="msgpack", filter="tags=csv")
    assert raw.headers["content-type"] == "application/vnd.msgpack"
    at, n = 0, 0
    while at < len(raw.body):
        r, at = unpack(raw.body, at)
        r = {k.decode() if isinstance(k, bytes) else k: v for k, v in r.items()}
        assert r["total_us"] == t.end(r["request_id"] if isinstance(r["request_id"], str) else r["request_id"].decode())["total_us"]
        n += 1
    assert n == 3
    acts = [json.loads(x) for x in g.ctl("logs", "export", "--class", "admin").splitlines()]
    assert acts and all("act" in a for a in acts)


def play_own_records_only(shared):
    """A tenant's caller sees its own records, sums and exports, with the index and without."""
    g = shared
    mine, other = ask(g, "mine"), [ask(g, "theirs", key=g.other) for _ in range(3)]
    settled(g.data, [mine, *other])
    current(g)
    token = tenant(g, "org-admin", "other")
    t = Trail(g.data)
    theirs = sorted(i for i, v in t.ends.items() if v[0]["org"] == "other")
    assert 3 <= len(theirs) < len(t.ends)

    def see():
        assert sorted(r["request_id"] for r in query(g, "logs", token, limit=1000).json["items"]) == theirs
        assert query(g, "logs", token, filter="org=play").json["items"] == []
        assert query(g, "logs", token, filter=f"request_id={mine}").json["items"] == []
        lines = query(g, "logs:export", token).text.splitlines()
        assert sorted(json.loads(x)["request_id"] for x in lines) == theirs

    see()
    u = usage(g, token, by="org")
    assert {i["org"]: i["requests"] for i in u["items"]} == {"other": len(theirs)} and u["total"]["requests"] == len(theirs)
    assert usage(g, token, filter="org=play")["items"] == []
    for path, method in (("index", "GET"), ("index:rebuild", "POST")):
        assert g.admin(method, path, token=token).status == 403
    assert query(g, "logs", token, **{"class": "admin"}).status == 403
    db = newest_db(g)
    os.kill(g.pid_of("exporter"), signal.SIGSTOP)
    try:
        db.rename(db.with_name("hidden"))
        see()
    finally:
        db.with_name("hidden").rename(db)
        os.kill(g.pid_of("exporter"), signal.SIGCONT)


def tenant(g, role, org):
    """An admin token for that org alone."""
    made = json.loads(g.ctl("key", "create", "--org", org, "--purpose", "admin", "-o", "json"))
    a = g.admin("POST", "role_bindings", {"id": f"b-{made['id']}", "key": made["id"], "role": role, "org": org})
    assert a.status in (200, 201, 202), a.text
    return made["token"]


BAD = [("logs", {"from": "yesterday"}), ("logs", {"to": "2026-13-01T00:00:00Z"}), ("logs", {"limit": "0"}), ("logs", {"limit": "10001"}),
       ("logs", {"limit": "ten"}), ("logs", {"after": "x"}), ("logs", {"after": "1700000000000-0a1b2c3d-00000007.x"}), ("logs", {"class": "body"}),
       ("logs", {"filter": "color=red"}), ("logs", {"filter": "status~4"}), ("logs", {"filter": "model>3"}), ("logs", {"filter": "="}),
       ("logs", {"filter": "request_id=1"}), ("logs", {"filter": ["status>1"] * 33}), ("logs", {"text": ""}), ("logs", {"text": "x" * 300}),
       ("logs", {"text": "x", "class": "admin"}),
       ("logs:export", {"format": "xml"}), ("logs:export", {"from": "-1"}), ("logs:export", {"after": "../../etc.1"}),
       ("usage", {"by": "color"}), ("usage", {"by": "org,,team"}), ("usage", {"bucket": "week"}), ("usage", {"filter": "status>399"}),
       ("usage", {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}), ("usage", {"class": "admin"}), ("usage", {"text": "x"})]


@pytest.mark.parametrize(("path", "params"), BAD, ids=lambda v: v if isinstance(v, str) else urllib.parse.urlencode(v, True)[:40])
def play_bad_parameters(shared, path, params):
    a = query(shared, path, **params)
    assert a.status == 400, a.text
    assert len(a.json["error"]["message"]) > 10


def play_odd_parameters_are_only_values(shared):
    """Nothing that a caller sends is SQL."""
    g = shared
    current(g)
    n = index(g)["rows"]
    for v in ("' OR 1=1 --", '"; DROP TABLE request; --', "%", "\x00", "ü", "a" * 5000, "NULL"):
        for f in (f"key={v}", f"session_id={v}", f"error~{v}", f"error_detail~{v}"):
            a = query(g, "logs", filter=f)
            assert (a.status, a.json.get("items")) in ((200, []), (400, None)), (f[:50], a.text[:300])
        a = query(g, "usage", filter=f"key={v}")
        assert a.status == 400 or a.json["total"]["requests"] == 0, a.text
    assert index(g)["rows"] == n


def play_killed_under_load(gateway):
    """Killed again and again while requests run: none is lost, none counts twice, none of them waits."""
    g = gateway
    with Load(g, clients=4) as load:
        load.wait_for(50)
        for _ in range(6):
            pid = g.kill("exporter")
            until(lambda pid=pid: g.pid_of("exporter") != pid, 10, "another exporter")
            load.wait_for(60)
    assert load.failures == []
    settled(g.data, load.acked, 20)
    must_equal_trail(g)


def play_a_dead_exporter(gateway):
    """Stopped for good: requests go on, logs answer from the segments; afterwards it catches up."""
    g = gateway
    settled(g.data, [ask(g) for _ in range(5)])
    current(g)
    pid = g.pid_of("exporter")
    os.kill(pid, signal.SIGSTOP)
    try:
        ids = [ask(g, f"unseen {i}") for i in range(10)]
        settled(g.data, ids)
        got = [r["request_id"] for r in g.logs("--limit", "10")]
        assert sorted(got) == sorted(ids), "what is newer than the index comes from the segments"
        assert len(g.logs()) == 15
        rows = [json.loads(x) for x in g.ctl("logs", "export").splitlines()]
        assert len(rows) == 15
    finally:
        if g.pid_of("exporter") == pid:
            os.kill(pid, signal.SIGCONT)
    must_equal_trail(g)


def play_a_damaged_index(gateway):
    g = gateway
    settled(g.data, [ask(g) for _ in range(20)])
    current(g)
    with Load(g, clients=2) as load:
        load.wait_for(10)
        pid = g.pid_of("exporter")
        os.kill(pid, signal.SIGSTOP)
        db = newest_db(g)
        with open(db, "r+b") as f:
            f.write(os.urandom(8192))
        for p in db.parent.glob(db.name + "-*"):
            p.unlink()
        os.kill(pid, signal.SIGKILL)
        assert len(g.logs("--limit", "20")) == 20, "the segments answer"
        load.wait_for(20)
    assert load.failures == []
    until(lambda: (g.data / "index" / "damaged.db").exists(), 20, "the damaged file to be set aside")
    settled(g.data, load.acked)
    must_equal_trail(g)
    assert newest_db(g) != db


def play_rebuild(gateway):
    g = gateway
    settled(g.data, [ask(g) for _ in range(40)])
    current(g)
    first = newest_db(g)
    with Load(g, clients=2) as load:
        load.wait_for(20)
        g.ctl("index", "rebuild", "-o", "json")
        load.wait_for(20)
    assert load.failures == []
    assert newest_db(g) != first and not first.exists()
    settled(g.data, load.acked)
    must_equal_trail(g)
    # and once more, with nothing at all to begin with
    assert g.stop() == 0
    for p in (g.data / "index").iterdir():
        p.unlink()
    g.start_again()
    must_equal_trail(g)


def play_no_room_for_the_index(where, mock):
    """A folder that cannot be written: the exporter says so and waits; requests, records and logs go on."""
    g = Gateway(where, mock=mock).start()
    settled(g.data, [ask(g) for _ in range(3)])
    current(g)
    pid = g.pid_of("exporter")
    db = newest_db(g)
    os.kill(pid, signal.SIGKILL)
    until(lambda: g.pid_of("exporter") != pid, 10)
    # a limit on the size of files stands for a full disk: every write beyond it fails
    pid = g.pid_of("exporter")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
    ids = [ask(g, f"no room {i}") for i in range(10)]
    settled(g.data, ids)
    s = until(lambda: (lambda s: s if s["state"] == "waiting" else None)(index(g)), 20, "the exporter to say that it waits")
    assert "cannot" in s["detail"] and s["errors"] > 0
    assert len(g.logs()) == 13
    settled(g.data, [ask(g, "one more")])
    assert g.pid_of("exporter") == pid, "it waits, it does not die"
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    must_equal_trail(g)
    assert newest_db(g) == db, "nothing was thrown away for lack of room"
    g.finish()


def play_days_of_the_index(gateway):
    """Retention by settings: what leaves the index stays in the trail and in logs."""
    g = gateway
    settled(g.data, [ask(g) for _ in range(5)])
    current(g)
    a = g.admin("PATCH", "settings/default", {"index_max_bytes": 1, "index_days": 1}, {"Content-Type": "application/merge-patch+json"})
    assert a.status in (200, 202), a.text
    assert len(g.logs()) == 5 and usage(g)["total"]["requests"] == 5
    assert g.admin("PATCH", "settings/default", {"index_days": "week"}, {"Content-Type": "application/merge-patch+json"}).status == 400
