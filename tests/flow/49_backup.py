"""A backup is taken from a gateway that works, and another machine becomes that gateway: the same keys, models, credentials, history, and a trail
that verifies. What is damaged, foreign or in the way is refused and leaves nothing."""
import json
import os
import shutil
import threading

import pytest

from client import last_request
from harness import SLOW, Gateway, until


def put(g, path, body):
    a = g.admin("PUT", path, body)
    assert a.status in (200, 201, 202), a.text
    return a


@pytest.fixture(scope="module")
def source(shared):
    """With an account, a token, two data keys, and some requests in the trail."""
    g = shared
    g.ctl("account", "create", "keeper", "--role", "platform-admin", stdin="the keeper's password\n")
    g.kept_token = g.ctl("token", "create", "kept", "--role", "platform-admin").strip()
    g.ctl("credential", "rotate", "mock", stdin="sk-in-the-backup-0123456789")
    g.ctl("keyring", "rotate-dek")
    until(lambda: not g.admin("GET", "keyring").json["rotating"], 20, "the rotation's end")
    g.request_ids = [g.chat().headers["x-request-id"] for _ in range(20)]
    until(lambda: {r["request_id"] for r in g.logs("--limit", "100")} >= set(g.request_ids), 20, "the records")
    return g


def restored(g, where, file, key=None, ok=True):
    where.mkdir()
    root = where / "root.key"
    shutil.copy(key or g.root_key, root)
    os.chmod(root, 0o600)
    return g.ctl("restore", str(file), "--data-dir", str(where / "data"), "--root-key", str(root), ok=ok)


def take(g, where, *options):
    file = where / "llmgw.bak"
    g.ctl("backup", str(file), *options)
    assert file.stat().st_mode & 0o777 == 0o600 and not file.with_suffix(".bak.part").exists()
    return file


def play_another_machine_becomes_the_gateway(source, tmp_path):
    g = source
    file = take(g, tmp_path, "--with-logs")
    raw = file.read_bytes()
    assert b"sk-in-the-backup" not in raw and g.key.encode() not in raw and g.kept_token.encode() not in raw, "secrets are sealed"
    assert g.root_key.read_bytes() not in raw
    out = restored(g, tmp_path / "there", file)
    assert "restored generation" in out
    objects = json.loads(g.ctl("export", "-o", "json"))["items"]
    public = g.admin("GET", "audit/key").json["public_key"]
    there = Gateway(tmp_path / "there", mock=None)
    there.mock, there.token = g.mock, g.token
    there.launch_master()
    until(there.is_ready, 20, "/readyz")
    until(lambda: there.admin("GET", "models").status == 200, 20)
    there.key = g.key
    assert until(lambda: there.chat().status == 200, 20 * SLOW), "the same key, model and credential"
    assert b"sk-in-the-backup-0123456789" in last_request(g.mock)[0]
    assert json.loads(there.ctl("export", "-o", "json"))["items"] == objects
    assert there.admin("GET", "whoami", token=g.kept_token).json["key"] == "token:kept"
    assert json.loads(there.ctl("login", "keeper", "-o", "json", stdin="the keeper's password\n"))["account"] == "keeper"
    assert {r["request_id"] for r in there.logs("--limit", "1000")} >= set(g.request_ids)
    assert '"act":"rotate"' in there.admin("GET", "generations?limit=200").text.replace(" ", "")
    r = there.ctl("audit", "verify", "--dir", str(there.data / "segments"), "--public-key", public, ok=False)
    assert r.returncode == 0, r.stdout + r.stderr
    # and it goes on by itself
    put(there, "models/after", {"targets": [{"deployment": "mock-1"}]})
    assert there.chat(model="after").status == 200
    there.finish()


def play_backup_under_writes_is_one_moment(source, tmp_path):
    """Pairs of objects are written together while the backup is taken: it has both or none."""
    g, stop = source, threading.Event()

    def write():
        n = 0
        while not stop.is_set():
            n += 1
            g.admin("POST", "config:apply?wait=none", [{"kind": "user", "id": f"a-{n}", "org": "play"}, {"kind": "user", "id": f"b-{n}", "org": "play"}])

    t = threading.Thread(target=write)
    t.start()
    try:
        until(lambda: g.admin("GET", "users/a-30").status == 200, 20)
        file = take(g, tmp_path)
    finally:
        stop.set()
        t.join()
    restored(g, tmp_path / "there", file)
    there = Gateway(tmp_path / "there", mock=None)
    there.token = g.token
    there.launch_master()
    until(there.is_ready, 20, "/readyz")
    ids = {u["id"] for u in json.loads(until(lambda: there.ctl("get", "users", "--all", "-o", "json"), 20))["items"]}
    assert len(ids) >= 60 and {i[2:] for i in ids if i[0] == "a"} == {i[2:] for i in ids if i[0] == "b"}
    there.finish()


def play_what_is_not_right_is_refused(source, tmp_path):
    g = source
    file = take(g, tmp_path)
    raw = file.read_bytes()

    def refused(name, content, key=None, words=""):
        broken = tmp_path / f"{name}.bak"
        broken.write_bytes(content)
        r = restored(g, tmp_path / name, broken, key, ok=False)
        assert r.returncode == 1 and words in r.stderr, (name, r.stderr)
        assert not (tmp_path / name / "data" / "config").exists() and not (tmp_path / name / "data" / "segments").exists()

    middle = len(raw) // 2
    refused("flipped", raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1:], words="hash")
    refused("cut", raw[:-100], words="damaged")
    refused("empty", b"", words="cannot read")
    refused("foreign", b"PK\x03\x04" + os.urandom(5000), words="not a backup")
    other = tmp_path / "other.key"
    other.write_bytes(os.urandom(32) if g.root_key.stat().st_size == 32 else bytes(reversed(g.root_key.read_bytes())))
    os.chmod(other, 0o600)
    refused("wrong-key", raw, other, words="root key")
    full = tmp_path / "full"
    (full / "data").mkdir(parents=True)
    (full / "data" / "something").write_text("mine")
    shutil.copy(g.root_key, full / "root.key")
    r = g.ctl("restore", str(file), "--data-dir", str(full / "data"), "--root-key", str(full / "root.key"), ok=False)
    assert r.returncode == 1 and "not empty" in r.stderr and (full / "data" / "something").read_text() == "mine"
    t = put(g, "tokens/no-backup", {"role": "auditor"}).json["token"]
    assert g.admin("POST", "backup", {}, token=t).status == 403
    assert g.admin("POST", "backup", {"frob": 1}).status == 400
