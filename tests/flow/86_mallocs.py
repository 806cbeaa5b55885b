"""What a request costs the worker, counted by callgrind on the release build: nothing is allocated for a request once its connection, its key
and its model have been met, and instructions stay below a ceiling. Neither depends on the machine or its load."""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import harness

sys.path.insert(0, str(harness.ROOT / "bench"))
import profile_run  # noqa: E402

# A quarter above what was measured (bench/RESULTS.md): another compiler may need as much, another scan of the body is seen.
WORKER, LOGGER = 52_000, 15_000
REQUESTS, CONNECTIONS = 1000, 16


@pytest.fixture(scope="module")
def release():
    """The release build, which ./run and ./dev bench use too; LLMGW_RELEASE names another."""
    folder = pathlib.Path(os.environ.get("LLMGW_RELEASE", harness.ROOT / "build"))
    if not (folder / "build.ninja").exists():
        subprocess.run(["meson", "setup", str(folder), str(harness.ROOT), "--buildtype=release", "-Dtests=false"], check=True, capture_output=True)
    subprocess.run(["ninja", "-C", str(folder)], check=True, capture_output=True)
    return folder


def play_no_allocation_and_few_instructions_a_request(release):
    assert shutil.which("valgrind"), "valgrind is needed: apt-get install valgrind"
    with profile_run.Counted(release) as s:
        s.start_mock()
        s.start_gateway()
        # Two lengths: what connections and their buffers take is in both, so the difference is the requests' own.
        fewer, more = (s.counted("http", n, 400, "--connections", CONNECTIONS) for n in (REQUESTS, 3 * REQUESTS))
    took = profile_run.mallocs(more["worker"]) - profile_run.mallocs(fewer["worker"])
    assert profile_run.mallocs(fewer["worker"]) > 0, "connections take buffers: if none is seen, the counting is broken"
    assert took <= 0.005 * 2 * REQUESTS, (took, more["worker"].callers.most_common(8))
    for role, ceiling in (("worker", WORKER), ("logger", LOGGER)):
        each = (more[role].total - fewer[role].total) / (2 * REQUESTS)
        assert ceiling / 10 < each <= ceiling, (role, each)
