"""Every process but the master may die at any moment: whatever is not in flight on it goes on, and no acknowledged record is
lost or doubled. The numbers of connections come from the kernel, the records from an independent reader of the segments."""
import os
import pathlib
import random
import signal
import socket
import threading
import time

import pytest

import harness
from client import Load, Stream, chat_body
from harness import Gateway, alive, http_ask, until
from trail import Trail, settled

SEED = int(os.environ.get("LLMGW_SEED", "0")) or int(time.time())
ROLES = ["confd", "admin", "logger", "agent", "exporter"]


def connections_of(pid, port):
    """Client connections that this process holds, by the kernel's own tables."""
    inodes = set()
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(fd)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    want, n = f":{port:04X}", 0
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        w = line.split()
        n += w[1].endswith(want) and w[3] in ("01", "08") and w[9] in inodes
    return n


def kill_counted(g, role, number=None, sig=signal.SIGKILL):
    """Ends one process; returns its pid and how many client connections it held: so many requests may fail, no more."""
    pid = g.pid_of(role, number)
    n = connections_of(pid, g.port) if role == "worker" else 0
    os.kill(pid, sig)
    return pid, n


def replaced(g, pid):
    return g.all_up() and pid not in g.role_pids()


def no_refused(load):
    assert not [f for f in load.failures if f[0] == "connect"], "a connect was refused"


def check_failures(load, allowed):
    no_refused(load)
    assert not [f for f in load.failures if f[0] == "answer"], [f for f in load.failures if f[0] == "answer"][:3]
    assert len(load.failures) <= allowed, (len(load.failures), allowed, load.failures[:5])


def play_worker_killed_under_load(gateway):
    g, allowed = gateway, 0
    with Load(g, clients=8, body=chat_body("mock: delay_ms=40")) as load:
        for number in (0, 1):
            load.wait_for(30)
            pid, n = kill_counted(g, "worker", number)
            allowed += n
            load.wait_for(30)
            until(lambda pid=pid: replaced(g, pid), 10, "the worker to be replaced")
    check_failures(load, allowed)
    settled(g.data, load.acked, 10)
    lost = until(lambda: ended(g), 10, "an END for every START").synthetic()
    assert 0 < len(lost) <= allowed, (len(lost), allowed)
    assert all(r["is_synthetic"] and r["key"] for r in lost), [dict(r) for r in lost][:2]
    assert not {r["request_id"] for r in lost} & set(load.acked), "an answered request is not one that was cut"
    assert g.ctl("crashes", "-o", "json").count("signal 9") >= 2


def ended(g):
    """The trail, once every START in it has its END."""
    t = Trail(g.data)
    return t.check()


def play_open_streams_of_others_go_on(gateway):
    """A dead worker takes only its own streams along; they end visibly cut, never as if whole."""
    g = gateway
    streams = [Stream(g, "mock: chunks=60 chunk_ms=50", timeout=60) for _ in range(12)]
    assert all(s.next() is not None for s in streams)
    pid, n = kill_counted(g, "worker", 0)
    threads = [threading.Thread(target=s.rest) for s in streams]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    cut = [s for s in streams if s.end == "cut"]
    assert len(cut) == n and all(s.end == "done" for s in streams if s not in cut), (n, [s.end for s in streams])
    t = settled(g.data, [s.id for s in streams], 10).check()
    assert {r["request_id"] for r in t.synthetic()} == {s.id for s in cut}


@pytest.mark.parametrize("role", ROLES)
def play_other_role_killed_under_load(gateway, role):
    g = gateway
    with Load(g, clients=4) as load:
        load.wait_for(20)
        before = g.pid_of(role)
        os.kill(before, signal.SIGKILL)
        load.wait_for(40)
        until(lambda: replaced(g, before), 10, f"a new {role}")
        load.wait_for(20)
    check_failures(load, 0)
    settled(g.data, load.acked, 10).check()
    if role == "confd":
        g.ctl("model", "add", "after-confd", "--provider", "mock", "--credential", "mock", "--upstream", "mock-1")
        assert g.chat(model="after-confd").status == 200


def play_fifty_random_kills(where, mock):
    """The dose of chaos of every run: fifty kills of any role but the master, under load."""
    # rings that hold what comes while the logger waits out its back-off after several deaths
    g = Gateway(where, workers=3, mock=mock, options=["--ring-size", "32MiB"]).start()
    print(f"seed {SEED} (LLMGW_SEED repeats it)")
    dice, allowed, kills = random.Random(SEED), 0, {}
    with Load(g, clients=6, pause=0.004) as load:
        for _ in range(500 if os.environ.get("LLMGW_LONG") == "1" else 50):
            role, n = kill_child(g, dice)
            allowed += n
            kills[role] = kills.get(role, 0) + 1
            load.wait_for(dice.randrange(1, 25), 60)
        until(g.all_up, 30, "all roles to be up again")
        load.wait_for(20)
    print(f"{kills}; {len(load.acked)} answered, {len(load.failures)} failed of {allowed} that may")
    check_failures(load, allowed)
    settled(g.data, load.acked, 15)
    t = until(lambda: ended(g), 15, "a trail without gaps")
    assert len(set(load.acked)) == len(load.acked)
    answered = [t.end(i) for i in load.acked]
    assert all(r.get("error") is None and r["status"] == 200 for r in answered), "an answered request is recorded as answered"
    g.ctl("audit", "verify", "--dir", str(g.data / "segments"))
    g.finish()


def kill_child(g, dice):
    """Any child of the master; the kernel knows them even while the admin process is away."""
    pid = int(dice.choice(until(lambda: children(g.pid), 20)))
    role = role_of(pid).decode()
    n = connections_of(pid, g.port)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid), 5)
    return role, n


def role_of(pid):
    return (pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") + [b""])[1]


def children(pid):
    return [p for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if alive(p)]


class Newcomers(threading.Thread):
    """New connections one after the other: time from connect to the first byte of the answer."""

    def __init__(self, g):
        super().__init__(daemon=True)
        self.g, self.times, self.failures, self.is_over = g, [], [], threading.Event()

    def run(self):
        ask = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        while not self.is_over.is_set():
            begun = time.monotonic()
            try:
                with socket.create_connection(("127.0.0.1", self.g.port), 20) as s:
                    s.sendall(ask)
                    if not s.recv(1):
                        self.failures.append((begun, "closed"))
                self.times.append((begun, time.monotonic() - begun))
            except OSError as e:
                self.failures.append((begun, repr(e)))

    def stop(self):
        self.is_over.set()
        self.join(30)


def measured(g, seconds, act):
    """Runs newcomers for a while around act(); their p99 and failures."""
    crowd = [Newcomers(g) for _ in range(3)]
    for c in crowd:
        c.start()
    until(lambda: sum(len(c.times) for c in crowd) > 50, 10)
    act()
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end, seconds * 2)
    for c in crowd:
        c.stop()
    times = sorted(t for c in crowd for _, t in c.times)
    return times[int(len(times) * 0.99)], [f for c in crowd for f in c.failures], times


@pytest.mark.parametrize("how", ["stop", "kill", "crash-loop"])
def play_new_connections_are_served_promptly(where, mock, how):
    """One of four workers stops, dies, or dies again and again: p99 from connect to first byte <= 250 ms. Sanitizer builds on a
    busy machine are given three times that; the release figure comes from ./dev bench."""
    g = Gateway(where, workers=4, mock=mock).start()
    killed = []

    def act():
        if how != "crash-loop":
            killed.append(kill_counted(g, "worker", 1, signal.SIGSTOP if how == "stop" else signal.SIGKILL)[0])
            return
        for _ in range(4):
            pid = until(lambda: g.pid_of("worker", 1), 20)
            until(lambda pid=pid: pid not in killed, 1)
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: g.pid_of("worker", 1) != pid, 20)

    p99, failures, times = measured(g, 3, act)
    print(f"{how}: {len(times)} connections, p99 {p99 * 1000:.0f} ms, longest {times[-1] * 1000:.0f} ms, failed {failures}")
    assert len(failures) <= len(killed), failures[:5]  # what the dead worker had just accepted
    assert not [f for f in failures if "refused" in f[1].lower()]
    assert p99 <= 0.25 * harness.SLOW, (p99, times[-20:])
    until(lambda: g.all_up() and not set(killed) & set(g.role_pids()), 20, "the worker to be replaced")
    g.finish()


def play_confd_dead_and_a_worker_killed(gateway):
    """Nobody needs confd to serve: not a running worker, and not one that starts meanwhile."""
    g = gateway
    seconds = 60 if os.environ.get("LLMGW_LONG") == "1" else 4
    worker, end = g.pid_of("worker", 1), time.monotonic() + seconds
    with Load(g, clients=6) as load:
        while time.monotonic() < end:
            # the master replaces a confd that does not answer for 5 s; so the next one is stopped as well
            confd = until(lambda: [p for p in children(g.pid) if role_of(p) == b"confd"], 10)[0]
            os.kill(int(confd), signal.SIGSTOP)
            load.wait_for(30)
            if worker:
                allowed = connections_of(worker, g.port)
                os.kill(worker, signal.SIGKILL)
                worker = None
            until(lambda confd=confd: not alive(confd) or time.monotonic() > end, 20)
        load.wait_for(30)
        if alive(confd):
            os.kill(int(confd), signal.SIGCONT)
        until(g.all_up, 20)
        load.wait_for(30)
    check_failures(load, allowed)
    settled(g.data, load.acked, 15).check()
    assert g.admin("GET", "models").status == 200


def play_master_dies_and_nobody_follows(where, mock):
    """The others serve on with frozen configuration, then drain and end; the next start loses no record."""
    g = Gateway(where, mock=mock, options=["--orphan-grace", "4s"]).start()
    pids = g.role_pids()
    load = Load(g, clients=4).start()
    load.wait_for(30)
    os.kill(g.pid, signal.SIGKILL)
    g.p.wait()
    died = time.monotonic()
    load.wait_for(50)
    until(lambda: time.monotonic() > died + 2, 10)
    assert not load.failures, load.failures[:3]
    workers = [p for p in pids if alive(p)]
    assert len(workers) == len(pids), "all others serve on"
    s = Stream(g, "mock: chunks=20 chunk_ms=50")
    assert s.status == 200
    s.rest()
    assert s.end == "done"
    load.stop()
    check_failures(load, 0)
    until(lambda: not any(alive(p) for p in pids), 20, "the orphans to end")
    assert time.monotonic() - died >= 3.5, "the grace was theirs"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", g.port)) != 0, "nobody listens any more"
    g.start_again()
    t = settled(g.data, load.acked + [s.id], 15).check()
    assert g.chat().status == 200 and len(t.synthetic()) == 0
    g.finish()


def play_everything_dies_at_once(where, mock):
    """As when the machine's out-of-memory killer takes the service: every answered request is in the trail afterwards."""
    g = Gateway(where, mock=mock).start()
    with Load(g, clients=6) as load:
        load.wait_for(60)
        pids = [g.pid, *g.role_pids()]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        g.p.wait()
        load.is_over.set()
    g.start_again()
    t = settled(g.data, load.acked, 15)
    t = until(lambda: ended(g), 15, "a trail without gaps")
    assert all(t.end(i)["status"] == 200 for i in load.acked)
    assert http_ask("GET", g.url + "/readyz").status == 200 and g.chat().status == 200
    g.finish()
