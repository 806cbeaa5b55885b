"""The master around fake roles: start, deaths, stops, crash loops, adoption, drain, upgrade. Everything it promises without
the other processes' help."""
import errno
import json
import os
import shutil
import signal
import socket
import threading
import time

import pytest

import harness
from harness import Toy, alive, until


@pytest.fixture
def toy(where):
    t = Toy(where, workers=3)
    t.start()
    yield t
    t.finish()


class Load(threading.Thread):
    """Connects again and again until stopped; keeps failures and the time from connect to first byte."""

    def __init__(self, toy, path="/pid"):
        super().__init__(daemon=True)
        self.toy, self.path, self.times, self.failures, self.answers = toy, path, [], [], set()
        self.is_over = threading.Event()

    def run(self):
        while not self.is_over.is_set():
            t = time.monotonic()
            try:
                self.answers.add(self.toy.get(self.path, 15))
                self.times.append(time.monotonic() - t)
            except (OSError, ValueError) as e:
                self.failures.append(repr(e))

    def stop(self):
        self.is_over.set()
        self.join(30)
        return self

    def p99(self):
        return sorted(self.times)[int(len(self.times) * 0.99)]


@pytest.mark.smoke
def play_start_and_stop(where):
    t = Toy(where, workers=2).start()
    s = t.status()
    assert {p["role"] for p in s["processes"]} == {"worker", "confd", "admin", "logger", "agent", "exporter"}
    assert len(t.processes("worker")) == 2 and s["state"] == "serving"
    pids = t.role_pids()
    assert t.stop() == 0
    assert not any(alive(p) for p in pids)
    assert not list(t.runtime.glob("ring.*")), "empty rings are given back"
    assert not (t.runtime / "admin.sock").exists()
    t.finish()


def play_refuses_what_it_must(where):
    t = Toy(where).start()
    second = Toy(where / "second")
    second.data, second.p = t.data, None
    second.where.mkdir()
    second.launch_master()
    assert second.p.wait(20) == 1 and "is in use by another llmgw" in second.log() and str(t.pid) in second.log()
    third = Toy(where / "third")
    third.where.mkdir()
    third.port = t.port
    third.launch_master()
    assert third.p.wait(20) == 1 and "is taken by another program" in third.log()
    big = Toy(where / "big", options=["--ring-size", "900GiB"])
    big.where.mkdir()
    big.launch_master()
    assert big.p.wait(20) == 1 and "--ring-size" in big.log(), big.log()
    bad = Toy(where / "bad", options=["--listen", "localhost:80"])
    bad.where.mkdir()
    bad.launch_master()
    assert bad.p.wait(20) == 1 and "not an IP address" in bad.log(), bad.log()
    for x in (second, third, big, bad):
        x.finish()
    assert t.all_up()
    t.finish()


@pytest.mark.parametrize("role", ["confd", "admin", "logger", "agent", "exporter", "worker"])
def play_kill_each_role(toy, role):
    others = {p["pid"] for p in toy.processes() if p["role"] != role}
    before = toy.pid_of(role)
    toy.kill(role)
    until(lambda: toy.all_up() and not alive(before) and before not in toy.role_pids(), 5, f"a new {role}")
    s = toy.status()
    assert others <= {p["pid"] for p in s["processes"]}, "only that one was replaced"
    crash = s["crashes"][0]
    assert crash["role"] == role and crash["pid"] == before and crash["exit"] == "signal 9"
    # whoever was replaced is wired to all others again
    assert toy.ask("CONFD") == str(toy.pid_of("confd"))
    assert toy.get("/confd") == str(toy.pid_of("confd"))


def play_respawn_is_quick(toy):
    took = []
    for _ in range(3):
        pid = toy.kill("agent")
        t = time.monotonic()
        until(lambda: any(p["pid"] not in (0, pid) for p in toy.processes("agent")), 5)
        took.append(time.monotonic() - t)
        until(lambda: toy.all_up(), 10)
        break  # a second death in a row waits on purpose
    assert took[0] < 0.05 * harness.SLOW + 0.05, took


def play_images_outlive_confd(toy):
    before = until(lambda: toy.get("/generation") != "0" and toy.get("/generation"), 5)
    confd = toy.kill("confd", sig=signal.SIGSTOP)
    worker = toy.kill("worker", 1)
    until(lambda: toy.all_up() and worker not in toy.role_pids(), 4, "the worker to be up while confd is stopped")
    got = {toy.get("/generation") for _ in range(30)}
    assert got == {before}, "a worker that starts without confd serves the last images"
    os.kill(confd, signal.SIGCONT)


def play_stopped_worker_is_adopted_and_replaced(toy):
    load = [Load(toy) for _ in range(2)]
    pid = toy.kill("worker", 1, signal.SIGSTOP)
    # what was connected before the adoption waits at most for it
    until(lambda: [p for p in toy.processes("worker") if p["pid"] == pid and p["adopted_by"] is not None], 1, "adoption")
    for x in load:
        x.start()
    until(lambda: not alive(pid), 8, "the stopped worker to be replaced")
    until(toy.all_up, 5)
    for x in load:
        x.stop()
        assert not x.failures and len(x.times) > 50
        assert x.p99() < 0.25 * harness.SLOW, x.p99()
    until(lambda: all(p["adopted_by"] is None for p in toy.processes("worker")), 3, "the socket to be given back")


def play_crash_loop_of_one_worker(toy):
    toy.order("worker.1", "crash")
    toy.kill("worker", 1)
    until(lambda: toy.status()["deaths"] >= 4, 10, "some deaths")
    load = Load(toy)
    cpu = cpu_ticks(toy.pid)
    t = time.monotonic()
    load.start()
    until(lambda: toy.status()["deaths"] >= 6, 20)
    used = (cpu_ticks(toy.pid) - cpu) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - t)
    load.stop()
    assert not load.failures and load.p99() < 0.25 * harness.SLOW, (load.failures, load.p99())
    assert used < 0.05 * harness.SLOW, f"the master used {used:.0%} of a core"
    backoff = [p for p in toy.processes("worker") if p["number"] == 1][0]
    assert backoff["state"] in ("backoff", "starting") and backoff["adopted_by"] is not None
    toy.recall("worker.1")
    until(toy.all_up, 10, "the worker once the cause is gone")


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat") as f:
        x = f.read().rsplit(")", 1)[1].split()
    return int(x[11]) + int(x[12])


def play_fatal_text_reaches_status(toy):
    toy.order("agent", "fatal")
    toy.kill("agent")
    until(lambda: any("was told to fail" in c["what"] for c in toy.status()["crashes"]), 5)
    toy.recall("agent")
    until(toy.all_up, 10)


def play_drain_lets_streams_end(toy):
    out = []
    t = threading.Thread(target=lambda: out.append(toy.get("/stream?ms=1500")))
    t.start()
    until(lambda: stream_is_open(toy), 3)
    toy.p.send_signal(signal.SIGTERM)
    until(lambda: is_refused(toy), 3, "new connections to be refused")
    t.join(20)
    assert out and out[0].endswith("done")
    assert toy.p.wait(20) == 0


def is_refused(toy):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", toy.port)) == errno.ECONNREFUSED


def stream_is_open(toy):
    """At least one connection to the data port is established."""
    want = f":{toy.port:04X}"
    with open("/proc/net/tcp") as f:
        return any(x.split()[1].endswith(want) and x.split()[3] == "01" for x in f if ":" in x.split()[1])


def play_second_signal_cuts(toy):
    t = threading.Thread(target=lambda: swallow(lambda: toy.get("/stream?ms=60000", 90)), daemon=True)
    t.start()
    until(lambda: stream_is_open(toy), 3)
    toy.p.send_signal(signal.SIGTERM)
    until(lambda: "stopping" in toy.log(), 3)
    toy.p.send_signal(signal.SIGTERM)
    assert toy.p.wait(15) == 0


def swallow(fn):
    try:
        fn()
    except OSError:
        pass


def new_master(toy, before):
    """For a moment both masters answer: what is asked once is looked at once."""
    return until(lambda: next((p for p in [toy.status()["pid"]] if p not in before), None), 15, "the new master")


@pytest.mark.smoke
def play_upgrade_under_load(toy):
    first = toy.pid
    old = set(toy.role_pids())
    load = [Load(toy) for _ in range(2)]
    streams = []
    ts = [threading.Thread(target=lambda: streams.append(toy.get("/stream?ms=4000", 60))) for _ in range(6)]
    for t in ts + load:
        t.start()
    until(lambda: stream_is_open(toy), 3)
    answer = toy.ask("UPGRADE")
    assert "the new processes serve" in answer, answer
    pid = new_master(toy, {first})
    toy.master_pids.append(pid)
    until(toy.all_up, 10)
    for t in ts:
        t.join(60)
    for x in load:
        x.stop()
        assert not x.failures, x.failures[:5]
    assert len(streams) == 6 and all(s.endswith("done") for s in streams), [s[-10:] for s in streams]
    assert toy.p.wait(20) == 0, "the old master ends by itself"
    assert not any(alive(p) for p in old)
    s = toy.status()
    assert {p["slot"] // 16 for p in s["processes"] if p["role"] == "worker"} == {1}
    assert toy.get("/confd") == str(toy.pid_of("confd"))
    assert toy.get("/generation") != "0"
    # and back into the first half
    os.kill(pid, signal.SIGUSR2)
    third = new_master(toy, {first, pid})
    toy.master_pids.append(third)
    until(toy.all_up, 10)
    until(lambda: not alive(pid), 10)
    assert {p["slot"] // 16 for p in toy.processes("worker")} == {0}
    toy.kill("worker", 0)
    until(toy.all_up, 5, "the third master to supervise")
    stop_adopted(toy, third)


def stop_adopted(toy, pid):
    """A master that is not our own child any more."""
    roles = toy.role_pids()
    os.kill(pid, signal.SIGTERM)
    until(lambda: not alive(pid), 20)
    assert not any(alive(p) for p in roles)


@pytest.mark.parametrize("role,word", [("worker", "nostandby"), ("confd", "nogo"), ("logger", "nostandby")])
def play_upgrade_goes_back(toy, role, word):
    keep = {p["pid"] for p in toy.processes() if p["role"] != "confd"}
    load = Load(toy)
    load.start()
    toy.order(role, word)
    answer = toy.ask("UPGRADE")
    assert "rolled back" in answer, answer
    until(lambda: toy.all_up() and toy.status()["pid"] == toy.pid, 10)
    load.stop()
    assert not load.failures
    assert keep <= set(toy.role_pids()), "nobody but confd was touched"
    assert toy.get("/confd") == str(toy.pid_of("confd"))
    assert toy.ask("CONFD") == str(toy.pid_of("confd"))
    toy.recall(role)
    answer = toy.ask("UPGRADE")
    assert "the new processes serve" in answer, "a later one works"
    pid = new_master(toy, {toy.pid})
    toy.master_pids.append(pid)
    until(toy.all_up, 10)
    assert toy.p.wait(20) == 0
    stop_adopted(toy, pid)


def play_upgrade_waits_not_for_ever(toy):
    toy.order("agent", "mute")
    t = time.monotonic()
    answer = toy.ask("UPGRADE", 40)
    assert "rolled back" in answer and 8 < time.monotonic() - t < 13 + 3 * harness.SLOW, answer
    until(toy.all_up, 5)
    toy.recall("agent")


def play_upgrade_with_a_confd_that_does_not_let_go(toy):
    toy.order("confd", "keep")
    answer = toy.ask("UPGRADE", 40)
    assert "the new processes serve" in answer, answer
    pid = new_master(toy, {toy.pid})
    toy.master_pids.append(pid)
    until(toy.all_up, 10)
    assert toy.p.wait(20) == 0
    stop_adopted(toy, pid)


def play_upgrade_to_another_binary(where):
    """The file at the path is opened afresh: one that does not run changes nothing, a new one is taken."""
    copy = where / "bin" / "toy_llmgw"
    copy.parent.mkdir()
    shutil.copy(harness.binary("toy_llmgw"), copy)
    t = Toy(where)
    real = t.argv()
    t.argv = lambda: [str(copy), *real[1:]]
    t.start()
    broken = where / "broken"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    os.replace(broken, copy)
    answer = t.ask("UPGRADE")
    assert "rolled back" in answer or "cannot start" in answer, answer
    until(t.all_up, 5)
    fresh = where / "fresh"
    shutil.copy(harness.binary("toy_llmgw"), fresh)
    os.replace(fresh, copy)
    assert "the new processes serve" in t.ask("UPGRADE")
    pid = new_master(t, {t.pid})
    t.master_pids.append(pid)
    until(t.all_up, 10)
    assert os.readlink(f"/proc/{pid}/exe") == str(copy)
    assert t.p.wait(20) == 0
    stop_adopted(t, pid)
    t.finish()


def play_master_dies_and_the_next_one_takes_over(toy):
    old = toy.role_pids()
    streams = []
    s = threading.Thread(target=lambda: streams.append(toy.get("/stream?ms=5000", 60)))
    s.start()
    until(lambda: stream_is_open(toy), 3)
    os.kill(toy.pid, signal.SIGKILL)
    toy.p.wait()
    assert toy.get("/pid") in map(str, old), "they serve on"
    toy.launch_master()
    until(lambda: toy.p.poll() is None and toy.all_up() and toy.status()["pid"] == toy.pid, 15, "the next master")
    assert "and will be relieved" in toy.log()
    s.join(60)
    assert streams and streams[0].endswith("done"), "a stream of the old workers ends in peace"
    until(lambda: not any(alive(p) for p in old if p), 15, "the old processes to finish")
    until(lambda: toy.status()["leftover_processes"] == 0, 5)
    assert toy.get("/confd") == str(toy.pid_of("confd"))


def play_everything_dies_at_once(toy):
    for pid in [toy.pid, *toy.role_pids()]:
        os.kill(pid, signal.SIGKILL)
    toy.p.wait()
    epochs = None
    toy.launch_master()
    until(toy.all_up, 15)
    assert epochs is None and toy.status()["leftover_processes"] == 0


def play_notify(where):
    """systemd's protocol: READY when all serve, STOPPING at the end, MAINPID at an upgrade."""
    path = str(where / "notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(20)
        os.environ["NOTIFY_SOCKET"] = path
        try:
            t = Toy(where).start()
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert s.recv(4096).startswith(b"READY=1")
        assert "the new processes serve" in t.ask("UPGRADE")
        pid = new_master(t, {t.pid})
        t.master_pids.append(pid)
        got = {s.recv(4096).split(b"\n")[0], s.recv(4096).split(b"\n")[0]}
        assert got == {f"MAINPID={pid}".encode(), b"READY=1"}, got
        until(t.all_up, 10)
        assert t.p.wait(20) == 0
        os.kill(pid, signal.SIGTERM)
        assert s.recv(4096) == b"STOPPING=1"
        until(lambda: not alive(pid), 20)
    t.finish()


def play_status_is_json_with_every_field(toy):
    s = toy.status()
    assert json.loads(json.dumps(s)) == s
    for key in ("version", "state", "pid", "started_at", "generation", "crash_loop", "processes", "crashes", "last_upgrade"):
        assert key in s, key
    for p in s["processes"]:
        assert p["seccomp"] and p["landlock"] and p["beat_age_ms"] < 2000
