"""System calls per request and per relayed chunk, counted by strace over a fixed script on the release build. The count hardly depends on the
machine or its load, so what it shows is a change of the program: a write that was one is now two, a timer that runs too often."""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import harness

sys.path.insert(0, str(harness.ROOT / "bench"))
import stage  # noqa: E402

PER_REQUEST, PER_CHUNK = 4.6, 2.5
WORKER_PER_REQUEST = 4.2  # of the above: the request path itself


@pytest.fixture(scope="module")
def release():
    """The release build, which ./run and ./dev bench use too; LLMGW_RELEASE names another."""
    folder = pathlib.Path(os.environ.get("LLMGW_RELEASE", harness.ROOT / "build"))
    if not (folder / "build.ninja").exists():
        subprocess.run(["meson", "setup", str(folder), str(harness.ROOT), "--buildtype=release", "-Dtests=false"], check=True, capture_output=True)
    subprocess.run(["ninja", "-C", str(folder)], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("scheme", ["http", "https"])
def play_system_calls(release, scheme):
    assert shutil.which("strace"), "strace is needed: apt-get install strace"
    with stage.Stage(release) as s:
        s.start_mock()
        trace = s.folder / "strace.out"
        s.start_gateway(under=stage.strace_command(trace))
        r = stage.syscalls(s, trace, scheme)
    # Less than four calls cannot carry a request over two sockets: then the counting is broken, not the program good.
    assert 3.9 <= r["per_request"] <= PER_REQUEST, r
    assert 1.9 <= r["per_chunk"] <= PER_CHUNK, r
    assert sum(r["per_request_by_role"]["worker"].values()) <= WORKER_PER_REQUEST, r
    assert "worker" in r["per_request_by_role"] and "logger" in r["per_request_by_role"], r
