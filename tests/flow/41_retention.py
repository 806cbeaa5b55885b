"""Old segments go by age or size, oldest first, each with a record and a tombstone; the chain stays provable, also after a crash in between."""
import json
import shutil

from client import chat_body
from harness import http_ask, until
from trail import settled

CHAT = "/v1/chat/completions"
PATCH = {"Content-Type": "application/merge-patch+json"}
MADE, STAY = 7, 4


def ask(g):
    return http_ask("POST", g.url + CHAT, chat_body(), {"Authorization": f"Bearer {g.key}"}).headers["x-request-id"]


def segments(g):
    return sorted(p.name for p in (g.data / "segments").glob("seg-request-*.lga"))


def verify(g, *more):
    """What `audit verify` prints, and whether it found the trail intact."""
    r = g.ctl("audit", "verify", *(more or ("--data-dir", str(g.data))), ok=False)
    return json.loads(r.stdout.splitlines()[-1]), r


def metric(g, name):
    text = http_ask("GET", g.admin_url + "/metrics").text
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"llmgw_trail_{name} "))


def play_old_segments_go_and_the_chain_stays(gateway, tmp_path):
    g = gateway
    ids = [ask(g)]
    settled(g.data, ids)
    while len(segments(g)) < MADE:  # each start begins a segment
        assert g.stop() == 0
        g.start_again()
        ids.append(ask(g))
        settled(g.data, ids)
    before = segments(g)
    copies = tmp_path / "copies"
    shutil.copytree(g.data / "segments", copies)

    a = g.admin("PATCH", "settings/default", {"trail_max_bytes": 1}, PATCH)
    assert a.status == 200, a.text
    assert g.admin("PATCH", "settings/default", {"trail_days": "week"}, PATCH).status == 400
    until(lambda: len(segments(g)) == STAY, 30, "retention to remove the oldest")
    gone = len(before) - STAY
    assert segments(g) == before[gone:], "oldest first, and never the newest"
    until(lambda: metric(g, "retired_total") == gone, 15)
    until(lambda: metric(g, "segments") < metric(g, "retired_total") + len(before) * 2, 15)
    assert metric(g, "retired_unread_total") == 0, "the index had read them"
    assert g.status()["trail"]["retired"] == gone

    v, r = verify(g)
    assert r.returncode == 0 and (v["faults"], v["retired_segments"], v["signatures"]) == (0, gone, "checked"), r.stderr
    assert "tombstones" in r.stderr
    acts = until(lambda: (lambda x: x if len(x) == gone else None)(g.logs("--class", "admin", "--filter", "kind=segment")), 10)
    assert sorted(x["object"] for x in acts) == before[:gone]
    assert all((x["act"], x["actor"], x["after"]["why"], x["after"]["index"]) == ("retire", "system", "size", "read") for x in acts)
    shown = {x["request_id"] for x in g.logs("--limit", "100")}
    assert set(ids[gone:]) <= shown and not shown & set(ids[:gone]), "what is gone is not shown, what stays is"

    # a copy on another machine proves the same; without the tombstones it does not
    out = tmp_path / "out"
    g.ctl("audit", "export", "--all", "--dir", str(out), "--data-dir", str(g.data))
    key = (out / "public-key").read_text().strip()
    v, r = verify(g, "--dir", str(out), "--public-key", key)
    assert r.returncode == 0 and v["retired_segments"] == gone, r.stderr
    (out / "retired-request.lgt").unlink()
    v, r = verify(g, "--dir", str(out), "--public-key", key)
    assert r.returncode != 0 and "no tombstone tells of them" in r.stderr

    # died between tombstone and unlink: the file is still there
    assert g.stop() == 0
    left = before[gone - 1]
    shutil.copy(copies / left, g.data / "segments" / left)
    v, r = verify(g, "--dir", str(g.data / "segments"), "--public-key", key)
    assert r.returncode == 0 and f"{left} has a tombstone and is still there" in r.stderr, r.stderr
    g.start_again()
    until(lambda: left not in segments(g), 30, "the removal to be finished")
    v, r = verify(g)
    assert r.returncode == 0 and v["faults"] == 0, r.stderr

    # one that is missing without a tombstone is found
    assert g.stop() == 0
    (g.data / "segments" / segments(g)[0]).unlink()
    v, r = verify(g, "--dir", str(g.data / "segments"), "--public-key", key)
    assert r.returncode != 0 and v["faults"] >= 1
