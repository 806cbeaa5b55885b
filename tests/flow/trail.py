"""The durable trail, read without a line of the gateway's code: segments, their hash chain, and what stands in them."""
import hashlib
import pathlib
import re
import struct
import uuid

from harness import ROOT, until

START, END = 1, 2
SYNTHETIC = "WORKER_CRASHED"


def unpack(b, at=0):
    """One msgpack value; (value, offset behind it). Only what records use."""
    t = b[at]
    at += 1
    if t < 0x80:
        return t, at
    if t >= 0xe0:
        return t - 256, at
    if t & 0xf0 == 0x80 or t in (0xde, 0xdf):
        n, at = (t & 15, at) if t < 0xde else number(b, at, {0xde: 2, 0xdf: 4}[t])
        out = {}
        for _ in range(n):
            k, at = unpack(b, at)
            out[k], at = unpack(b, at)
        return out, at
    if t & 0xf0 == 0x90 or t in (0xdc, 0xdd):
        n, at = (t & 15, at) if t < 0xdc else number(b, at, {0xdc: 2, 0xdd: 4}[t])
        out = []
        for _ in range(n):
            v, at = unpack(b, at)
            out.append(v)
        return out, at
    if t & 0xe0 == 0xa0 or t in (0xd9, 0xda, 0xdb):
        n, at = (t & 31, at) if t < 0xd9 else number(b, at, {0xd9: 1, 0xda: 2, 0xdb: 4}[t])
        return b[at:at + n].decode(), at + n
    if t in (0xc4, 0xc5, 0xc6):
        n, at = number(b, at, {0xc4: 1, 0xc5: 2, 0xc6: 4}[t])
        return b[at:at + n], at + n
    if t in (0xc0, 0xc2, 0xc3):
        return {0xc0: None, 0xc2: False, 0xc3: True}[t], at
    if 0xcc <= t <= 0xcf:
        return number(b, at, 1 << (t - 0xcc))
    if 0xd0 <= t <= 0xd3:
        n = 1 << (t - 0xd0)
        return int.from_bytes(b[at:at + n], "big", signed=True), at + n
    raise ValueError(f"msgpack type {t:#x}")


def number(b, at, n):
    return int.from_bytes(b[at:at + n], "big"), at + n


FIELDS = re.findall(r"^GW_FIELD\((\w+),", (ROOT / "schemas" / "record.def").read_text(), re.M)


class Record(dict):
    """Fields by name; beside them where it was: slot, epoch, seq, type."""

    def __init__(self, slot, epoch, kind, seq, body):
        super().__init__({FIELDS[k]: v for k, v in unpack(body)[0].items()})
        self.slot, self.epoch, self.kind, self.seq = slot, epoch, kind, seq
        if "request_id" in self:
            self["request_id"] = str(uuid.UUID(bytes=self["request_id"]))


def blocks(data, name):
    """(kind, payload, number of records) of each block; the chain of hashes is checked on the way."""
    assert data[:8] == b"LGWA0002", name
    chain, at = hashlib.sha256(data[:4096]).digest(), 4096
    while at + 72 <= len(data) and data[at:at + 4] == b"LGWB":
        kind, size, n = struct.unpack_from("<III", data, at + 4)
        body = data[at:at + 72 + size]
        assert len(body) == 72 + size, f"{name}: torn block at {at}"
        assert data[at + 40:at + 72] == chain, f"{name}: chain broken at {at}"
        leaves = b"".join(hashlib.sha256(body[i:i + 1024]).digest() for i in range(72, len(body), 1024))
        chain = hashlib.sha256(body[:72] + leaves).digest()
        assert data[at + 72 + size:at + 104 + size] == chain, f"{name}: block hash at {at}"
        yield kind, body[72:], n
        at += (72 + size + 36 + 7) & ~7
    assert not any(data[at:at + 4096]), f"{name}: bytes behind the last block at {at}"


def records(data_dir):
    """All request records of the trail, in the order of their files."""
    out = []
    for path in sorted(pathlib.Path(data_dir, "segments").glob("seg-request-*.lga")):
        for kind, payload, n in blocks(path.read_bytes(), path.name):
            at, seen = 0, 0
            while kind == 1 and at < len(payload):
                size, slot, epoch, rtype, seq = struct.unpack_from("<IIIIQ", payload, at)
                out.append(Record(slot, epoch, rtype, seq, payload[at + 24:at + 24 + size]))
                at += 24 + ((size + 7) & ~7)
                seen += 1
            assert kind != 1 or seen == n, path.name
    return out


class Trail:
    """Records by request id, with the checks that every play of records makes."""

    def __init__(self, data_dir):
        self.all = records(data_dir)
        self.starts, self.ends = {}, {}
        for r in self.all:
            if r.kind in (START, END):
                (self.starts if r.kind == START else self.ends).setdefault(r["request_id"], []).append(r)

    def check(self):
        """Exactly one END for each START and nothing without START; sequences without gap or double."""
        doubled = {i for i, v in list(self.starts.items()) + list(self.ends.items()) if len(v) > 1}
        assert not doubled, f"{len(doubled)} doubled: {list(doubled)[:3]}"
        open_ = self.starts.keys() - self.ends.keys()
        assert not open_, f"{len(open_)} STARTs without END: {list(open_)[:3]}"
        stray = self.ends.keys() - self.starts.keys()
        assert not stray, f"{len(stray)} ENDs without START: {list(stray)[:3]}"
        seqs = {}
        for r in self.all:
            if not r.get("is_synthetic"):
                seqs.setdefault((r.slot, r.epoch), []).append(r.seq)
        for where, got in seqs.items():
            want = list(range(1, len(got) + 1))
            assert sorted(got) == want, f"slot, epoch {where}: {len(got)} records, sequences up to {max(got)}"
        return self

    def end(self, request_id):
        return self.ends[request_id][0]

    def synthetic(self):
        return [r for v in self.ends.values() for r in v if r.get("error") == SYNTHETIC]


def settled(data_dir, ids, seconds=5):
    """The trail as soon as it holds an END for each of these requests."""
    ids = set(ids)

    def look():
        t = Trail(data_dir)
        return t if not ids - t.ends.keys() else None

    return until(look, seconds, "the ENDs of all requests to be durable")
