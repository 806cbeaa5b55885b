"""User memory of open streams: what one costs while it is open, and that it is given back when they close. Counted as private pages of the workers
(RssAnon), release build; sockets in the kernel are the same for everybody and not counted."""
import asyncio
import json
import os
import pathlib
import subprocess
import sys

import pytest

import harness

sys.path.insert(0, str(harness.ROOT / "bench"))
import stage  # noqa: E402

# Promised are 24 KiB for both; http stays well below, and shall.
STREAMS, PER_STREAM_KIB, BACK = 1000, {"http": 14, "https": 24}, 1.2
IDLE_MIB = 20


@pytest.fixture(scope="module")
def release():
    """The release build, which ./run and ./dev bench use too; LLMGW_RELEASE names another."""
    folder = pathlib.Path(os.environ.get("LLMGW_RELEASE", harness.ROOT / "build"))
    if not (folder / "build.ninja").exists():
        subprocess.run(["meson", "setup", str(folder), str(harness.ROOT), "--buildtype=release", "-Dtests=false"], check=True, capture_output=True)
    subprocess.run(["ninja", "-C", str(folder)], check=True, capture_output=True)
    return folder


def private_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    raise AssertionError(f"no RssAnon for {pid}")


def workers(s):
    return [w["pid"] for w in s.admin("GET", "status")["workers"]]


async def open_stream(s, model):
    """A stream of which the first content has arrived; it goes on with a chunk each second."""
    reader, writer = await asyncio.open_connection("127.0.0.1", s.port)
    body = json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": "mock: chunks=100000 chunk_ms=1000"}]})
    writer.write((f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {s.key}\r\nContent-Type: application/json\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
    seen = b""
    while b'"content":"word' not in seen:
        more = await reader.read(65536)
        assert more, seen
        seen += more
    assert seen.startswith(b"HTTP/1.1 200"), seen[:200]
    return reader, writer


async def hold(s, model, n, look):
    """n streams at once, opened a few at a time; `look` is called while all are open."""
    held = []
    for _ in range(0, n, 50):
        held += await asyncio.gather(*(open_stream(s, model) for _ in range(50)))
    drains = [asyncio.create_task(drain(r)) for r, _ in held]  # clients that read: nothing piles up because of them
    await asyncio.sleep(2)
    seen = look()
    for t in drains:
        t.cancel()
    for _, w in held:
        w.transport.abort()
    return seen


async def drain(reader):
    while await reader.read(65536):
        pass


@pytest.mark.parametrize("scheme", ["http", "https"])
def play_memory_of_streams(release, scheme):
    with stage.Stage(release) as s:
        s.start_mock()
        s.start_gateway()
        pids = workers(s)
        s.load("llmgw", scheme, "--requests", 2000, "--connections", 16)  # what a working gateway has anyway
        base = sum(map(private_kib, pids))
        open_ = asyncio.run(hold(s, f"bench-{scheme}", STREAMS, lambda: sum(map(private_kib, pids))))
        per_stream = (open_ - base) / STREAMS
        harness.until(lambda: sum(map(private_kib, pids)) <= base * BACK, 30, f"the memory of closed streams to be given back (base {base} KiB)")
        after = sum(map(private_kib, pids))
        print(f"{scheme}: base {base} KiB, {per_stream:.1f} KiB a stream, {after} KiB after they closed")
        assert 0 < per_stream <= PER_STREAM_KIB[scheme], (base, open_)
        assert workers(s) == pids


def play_memory_of_an_idle_tree(release):
    """The whole tree with two workers that nobody has asked anything: proportional size, so that what processes share counts once."""
    with stage.Stage(release) as s:
        s.start_mock()
        master = s.start_gateway()
        r = s.load("direct", "http", "--requests", 10, "--connections", 1, pid=master)
        mib = r["memory"]["end"]["pss_bytes"] / 1048576
        print(f"idle: {mib:.1f} MiB")
        assert 2 < mib <= IDLE_MIB, mib
