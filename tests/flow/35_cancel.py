"""Clients that leave and clients that are slow: the provider is told at once, nothing is left behind, and memory stays bounded."""
import json
import os
import pathlib
import random
import socket
import struct
import time

import pytest

from client import Stream, chat_body, mock_stats, mock_tell
from harness import SLOW, until
from trail import Trail, settled

CHAT = "/v1/chat/completions"


def setup(g):
    until(lambda: g.chat().status == 200, 5)


def begin(g, text, stream=True, key=None, receive=None):
    """A chat on a raw socket; returns after the first bytes of a streamed answer."""
    body = json.dumps(chat_body(text, stream=stream)).encode()
    s = socket.socket()
    if receive:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    s.settimeout(20)
    s.connect(("127.0.0.1", g.port))
    s.sendall((f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key or g.key}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body)
    return s


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def workers(g):
    return g.status()["workers"]


def descriptors(g):
    return {w["slot"]: len(os.listdir(f"/proc/{w['pid']}/fd")) for w in workers(g)}


@pytest.mark.smoke
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("when", ["before the first byte", "in the middle", "whole answer"])
def play_leaving_cancels_at_the_provider(shared, how, when):
    g, took = shared, []
    text = {"before the first byte": "mock: delay_ms=20000", "in the middle": "mock: chunks=2000 chunk_ms=10", "whole answer": "mock: delay_ms=20000"}[when]
    for _ in range(5):
        before = mock_stats(g.mock)
        s = begin(g, text, stream=when != "whole answer")
        if when == "in the middle":
            s.recv(4096)
        until(lambda n=before["chat"]: mock_stats(g.mock)["chat"] > n, 5, "the request to arrive")
        left = time.monotonic()
        (reset if how == "reset" else socket.socket.close)(s)
        until(lambda n=before["cancelled"]: mock_stats(g.mock)["cancelled"] > n, 5, "the provider to see it")
        took.append(time.monotonic() - left)
    assert sorted(took)[2] <= 0.1 and max(took) <= 0.1 * SLOW, took


def play_two_hundred_leave_and_all_is_as_before(shared):
    g = shared
    rng = random.Random(7)
    mock_tell(g.mock, "reset", {})
    until(lambda: not any(w["requests_in_flight"] or w["connections"] for w in workers(g)), 10)
    for _ in range(20):
        g.chat()
    until(lambda: not any(w["connections"] for w in workers(g)), 10)
    before, open_before = descriptors(g), mock_stats(g.mock)["open_connections"]
    for n in range(200):
        s = begin(g, rng.choice(["mock: chunks=500 chunk_ms=5", "mock: delay_ms=3000", "mock: chunks=50 chunk_ms=1", "hello"]), stream=rng.random() < 0.7)
        if rng.random() < 0.6:
            s.settimeout(0.05)
            try:
                s.recv(rng.choice([1, 100, 4096]))
            except TimeoutError:
                pass
        if n % 3 == 0:
            s.shutdown(socket.SHUT_WR)
        (reset if n % 2 else socket.socket.close)(s)
    until(lambda: not any(w["requests_in_flight"] or w["streams_open"] or w["connections"] for w in workers(g)), 10, "nothing under way")
    after = until(lambda: (lambda d: d if all(d[k] <= before[k] + 4 for k in before) else None)(descriptors(g)), 10, f"descriptors back at {before}")
    assert set(after) == set(before)
    assert mock_stats(g.mock)["open_connections"] <= open_before + 8
    assert until(lambda: Trail(g.data).check(), 5)
    assert g.chat().status == 200


def play_connection_used_again_after_a_whole_answer(shared):
    """A client that stays keeps its upstream: pooled connections are used again, not made anew for each request."""
    g = shared
    for _ in range(10):
        g.chat()
    before = mock_stats(g.mock)["accepted"]
    for _ in range(50):
        assert g.chat().status == 200
    assert mock_stats(g.mock)["accepted"] - before <= 4


def play_slow_reader_holds_the_provider_back(shared):
    """A client that does not read 40 MB: the worker's memory stays, the provider's writing stalls, other requests go on; when it reads
    again it gets every byte."""
    g = shared
    rss = max(w["rss_bytes"] for w in workers(g))
    slow = [begin(g, "mock: bytes=40000000", stream=False, receive=8192) for _ in range(4)]
    for s in slow:
        s.recv(1000)
    for _ in range(30):
        assert g.chat().status == 200
    until(lambda: sum(w["requests_in_flight"] for w in workers(g)) == 4, 5)
    grown = max(w["rss_bytes"] for w in workers(g)) - rss
    assert grown < 48 << 20, f"{grown >> 20} MiB for four slow readers"
    s, got = slow[0], 1000
    s.settimeout(30)
    while got < 40_000_000 and (piece := s.recv(1 << 20)):
        got += len(piece)
    assert got >= 39_900_000
    for s in slow:
        reset(s)
    until(lambda: not any(w["requests_in_flight"] for w in workers(g)), 10)


def play_slow_stream_reader(shared):
    g = shared
    rss = max(w["rss_bytes"] for w in workers(g))
    streams = [begin(g, "mock: chunks=100000", receive=8192) for _ in range(3)]  # 20 MB each
    for s in streams:
        s.recv(100)
    fast = Stream(g, "mock: chunks=200").rest()
    assert fast.end == "done" and fast.text().count("word") == 200
    until(lambda: g.chat().status == 200, 5)
    grown = max(w["rss_bytes"] for w in workers(g)) - rss
    assert grown < 32 << 20, f"{grown >> 20} MiB"
    for s in streams:
        s.close()
    until(lambda: not any(w["requests_in_flight"] for w in workers(g)), 10)


def play_slow_senders_do_not_hold_a_worker(shared):
    """Heads and bodies that come byte by byte, and connections that say nothing."""
    g = shared
    idle = [socket.create_connection(("127.0.0.1", g.port)) for _ in range(100)]
    for n, s in enumerate(idle):
        s.sendall([b"", b"POST ", b"GET / HTTP/1.1\r\nHost: x\r\nX-A", f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {g.key}\r\n"
                   "Content-Length: 1000\r\n\r\n{".encode()][n % 4])
    for _ in range(20):
        assert g.chat().status == 200
    for s in idle:
        s.close()
    until(lambda: not any(w["connections"] for w in workers(g)), 10)


def play_record_of_a_slow_client(shared):
    g = shared
    s = Stream(g, "mock: chunks=20 chunk_ms=30")
    while s.next() is not None:
        pass
    s.close()
    r = settled(g.data, [s.id]).end(s.id)
    assert s.end == "done" and r["status"] == 200 and r["overhead_us"] < r["total_us"]
    assert pathlib.Path(g.data, "segments").exists()
