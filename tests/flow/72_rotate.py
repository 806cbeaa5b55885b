"""Credentials rotate and keys come and go while requests go on: nobody else notices, and the trail of changes has no gap."""
import time

from client import Load, last_request, mock_stats
from harness import until


def play_rotation_under_load(gateway):
    """Thirty rotations while requests go on: none fails, and after each only the new secret is sent."""
    g = gateway
    with Load(g, clients=4) as load:
        load.wait_for(20)
        for n in range(30):
            a = g.admin("POST", "credentials/mock:rotate", {"mode": "now", "secret": f"sk-rotation-{n}"})
            assert a.status in (200, 202), a.text
            load.wait_for(5)
        load.wait_for(20)
    assert not load.failures, load.failures[:3]
    assert mock_stats(g.mock)["requests"] >= len(load.acked)
    assert b"Bearer sk-rotation-29" in last_request(g.mock)[0]
    g.ctl("audit", "verify", "--data-dir", str(g.data))


def play_keys_come_and_go_under_load(gateway):
    """A new key works at once, a revoked one stops at once, and nobody else notices."""
    g = gateway
    with Load(g, clients=3) as load:
        load.wait_for(10)
        for n in range(15):
            a = g.admin("POST", "keys", {"id": f"k{n}", "org": "play", "team": "play"})
            assert a.status in (201, 202), a.text
            token = a.json["token"]
            assert g.chat(key=token).status == 200, "the write has answered, so every worker knows the key"
            d = g.admin("PATCH", f"keys/k{n}", {"disabled": True})
            assert d.status in (200, 202), d.text
            begun = time.monotonic()
            until(lambda token=token: g.chat(key=token).status == 401, 2)
            assert time.monotonic() - begun < 1
    assert not load.failures, load.failures[:3]
