"""From nothing to serving, and back: start, readiness, first token, restart with the same data, orderly stop, refusals."""
import os
import stat
import subprocess

import pytest

import harness
from harness import Gateway, alive, until


@pytest.mark.smoke
def play_first_start(where):
    g = Gateway(where).start()
    assert stat.S_IMODE(os.stat(g.data / "admin.token").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(g.data).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(g.runtime).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(g.unix).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(g.root_key).st_mode) == 0o600
    for path in ("/livez", "/readyz", "/healthz"):
        assert harness.http_ask("GET", g.url + path).status == 200, path
    s = until(lambda: g.all_up() and g.status(), 5)
    assert {p["role"] for p in s["processes"]} == {"worker", "confd", "admin", "logger", "agent", "exporter"}
    assert g.token not in g.log(), "the token is in its file, nowhere else"
    pids = g.role_pids()
    assert g.stop() == 0
    assert not any(alive(p) for p in pids)
    g.finish()


def play_second_start_keeps_the_data(where, mock):
    g = Gateway(where, mock=mock).start()
    assert g.chat().status == 200
    token = g.token
    before = until(lambda: len(g.logs()) >= 1 and g.logs(), 5)
    assert g.stop() == 0
    g.launch_master()
    until(g.is_ready, 20)
    assert (g.data / "admin.token").read_text().strip() == token
    until(lambda: g.chat().status == 200, 5, "the old key and model")
    ids = {r["request_id"] for r in g.logs()}
    assert {r["request_id"] for r in before} <= ids, "records outlive a restart"
    g.finish()


def play_every_role_is_locked_down(gateway):
    until(gateway.all_up, 5)
    for p in gateway.status()["processes"]:
        words = dict(line.split(":\t", 1) for line in open(f"/proc/{p['pid']}/status").read().splitlines() if ":\t" in line)
        assert words["NoNewPrivs"] == "1" and words["Seccomp"] == "2", p
        assert os.stat(f"/proc/{p['pid']}/environ").st_uid == 0, "non-dumpable: its memory and environment belong to root"


def play_the_environment_of_the_operator_stays_outside(where):
    os.environ["CANARY_PROVIDER_KEY"] = "sk-canary-environment"
    try:
        g = Gateway(where).start()
    finally:
        del os.environ["CANARY_PROVIDER_KEY"]
    if os.geteuid() == 0:
        for pid in g.role_pids():
            assert b"sk-canary" not in open(f"/proc/{pid}/environ", "rb").read()
    g.finish()


def play_wrong_options_are_explained(where):
    def run(*argv, env=None):
        return subprocess.run([harness.binary("llmgw"), *argv], capture_output=True, text=True, timeout=20,
                              env=dict(os.environ, **(env or {})))

    r = run("--wrokers", "3")
    assert r.returncode == 2 and "--workers" in r.stderr, r.stderr
    r = run("--workers", "many")
    assert r.returncode == 2 and "--workers" in r.stderr
    r = run(env={"LLMGW_DRAIN_TIMEOUT": "soon"})
    assert r.returncode == 2 and "LLMGW_DRAIN_TIMEOUT" in r.stderr, r.stderr
    r = run("--help")
    assert r.returncode == 0 and "--data-dir" in r.stdout
    r = run("--version")
    assert r.returncode == 0 and r.stdout.startswith("llmgw ")
    r = run("worker")
    assert r.returncode == 1 and "started by" in r.stderr, r.stderr
    if os.geteuid() == 0:
        r = run("--data-dir", str(where / "d"), "--runtime-dir", str(where / "r"))
        assert r.returncode == 1 and "--allow-root" in r.stderr


def play_status_and_crashes_are_shown(gateway):
    out = gateway.ctl("status")
    assert "confd" in out and "worker" in out.lower() or "SLOT" in out
    pid = gateway.kill("worker", 0)
    until(lambda: gateway.all_up() and pid not in gateway.role_pids(), 10)
    assert str(pid) in gateway.ctl("crashes", "-o", "json") or "signal 9" in gateway.ctl("crashes", "-o", "json")
