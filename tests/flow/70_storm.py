"""A hundred configuration writes a second while requests go on: none fails, and what was written last is what is served."""
import http.client
import json
import statistics
import threading
import time

from client import Load
from harness import SLOW, until
from trail import settled

SECONDS = 5


class Writer(threading.Thread):
    """Writes at a pace of its own, on one connection, whatever the answers' delay."""

    def __init__(self, g, number, per_second):
        super().__init__(daemon=True)
        self.g, self.number, self.pause = g, number, 1 / per_second
        self.statuses, self.times = [], []

    def run(self):
        c = http.client.HTTPConnection("127.0.0.1", self.g.admin_port, timeout=30)
        begun = time.monotonic()
        n = 0
        while time.monotonic() - begun < SECONDS:
            body = json.dumps({"targets": [{"deployment": "mock-1", "weight": n % 1000 + 1}], "owned_by": f"n{n}"})
            at = time.monotonic()
            c.request("PUT", f"/admin/v1/models/storm-{self.number}-{n % 10}", body,
                      {"Authorization": f"Bearer {self.g.token}", "Content-Type": "application/json"})
            r = c.getresponse()
            r.read()
            self.statuses.append(r.status)
            self.times.append(time.monotonic() - at)
            n += 1
            ahead = begun + n * self.pause - time.monotonic()
            if ahead > 0:
                threading.Event().wait(ahead)  # the pace of the load
        c.close()


def play_a_hundred_writes_a_second(shared):
    g = shared
    until(lambda: g.chat().status == 200, 5)
    writers = [Writer(g, n, 10) for n in range(10)]
    with Load(g, 6) as load, Load(g, 2, fresh=True) as fresh:
        for w in writers:
            w.start()
        for w in writers:
            w.join(60)
    assert load.failures == [] and fresh.failures == []
    statuses = [s for w in writers for s in w.statuses]
    assert set(statuses) <= {200, 201, 202}, sorted(set(statuses))
    assert len(statuses) >= 100 * SECONDS * (0.9 if SLOW == 1 else 0.4), f"{len(statuses)} writes in {SECONDS} s"
    assert statuses.count(202) <= len(statuses) // 50, f"{statuses.count(202)} writes were not served in time"
    times = sorted(t for w in writers for t in w.times)
    assert statistics.median(times) < 0.2 * SLOW, f"median {statistics.median(times)}"
    status = g.status()
    assert len({w["generation"] for w in status["workers"]} | {status["generation"]}) == 1, "all have arrived at the same generation"
    for w in writers:
        for k in range(min(10, len(w.statuses))):
            last = max(n for n in range(len(w.statuses)) if n % 10 == k)
            assert g.admin("GET", f"models/storm-{w.number}-{k}").json["owned_by"] == f"n{last}"
    assert g.chat(model="storm-0-0").status == 200
    settled(g.data, load.acked + fresh.acked, 10).check()
    memfds = sum("memfd:" in line for line in open(f"/proc/{status['workers'][0]['pid']}/maps", encoding="utf-8"))
    assert memfds <= 2 * 18 + 4, f"{memfds} images mapped"


def play_keys_by_the_hundred(shared):
    """Keys made in bulk and one by one are usable at once; those that were deleted are not."""
    g = shared
    keys = [{"kind": "key", "id": f"key-bulk{n}", "org": "play", "team": "play"} for n in range(500)]
    a = g.admin("POST", "config:apply", keys)
    assert a.status in (200, 202), a.text
    tokens = {c["id"]: c["token"] for c in a.json["changes"]}
    assert len(tokens) == 500
    for n in range(0, 500, 25):
        assert g.chat(key=tokens[f"key-bulk{n}"]).status == 200
    with Load(g, 4) as load:
        for n in range(40):
            one = g.admin("PUT", f"keys/key-one{n}", {"org": "play", "team": "play"})
            assert g.chat(key=one.json["token"]).status == 200
            assert g.admin("DELETE", f"keys/key-one{n}").status == 200
            assert g.chat(key=one.json["token"]).status == 401
    assert load.failures == []
