"""What a provider that has gone mad, or is an enemy, might answer in each dialect: replies and streams of speak.py, bent out of shape."""
import json
import struct

import speak

CASE = {"reply": {"blocks": [{"text": "Hello there"}, {"call": {"id": "call_1", "name": "now", "args": {"a": 1}}}], "finish": "tool_calls",
                  "usage": {"input": 11, "output": 7}}}
MIB = 1 << 20


# ---- bending a document ----

def leaves(v, bend):
    if isinstance(v, dict):
        return {k: leaves(x, bend) for k, x in v.items()}
    if isinstance(v, list):
        return [leaves(x, bend) for x in v]
    return bend(v)


def of_key(v, names, new):
    """All members of these names become `new`."""
    if isinstance(v, dict):
        return {k: new if k in names else of_key(x, names, new) for k, x in v.items()}
    return [of_key(x, names, new) for x in v] if isinstance(v, list) else v


def keys(v, bend):
    if isinstance(v, dict):
        return {bend(k): keys(x, bend) for k, x in v.items()}
    return [keys(x, bend) for x in v] if isinstance(v, list) else v


def wrong(v):
    """Something of another type."""
    if isinstance(v, str):
        return {"x": [1]}
    return "seven" if isinstance(v, (int, float)) else 3


def is_number(v):
    return isinstance(v, (int, float)) and not isinstance(v, bool)


TEXTS = {"content", "text", "delta"}
IDS = {"id", "call_id", "toolUseId", "item_id"}
INDEX = {"index", "content_index", "output_index", "contentBlockIndex", "sequence_number"}


def plain(doc):
    return speak.compact(doc).encode()


def numbers(doc, literal):
    return plain(leaves(doc, lambda v: "@@" if is_number(v) else v)).replace(b'"@@"', literal)


def grown(doc, names, n):
    """The texts of these members, n bytes long each; at least one member of that kind is there in most documents."""
    return plain(of_key(doc, {k for k in names if _has_text(doc, k)}, "x" * n))


def _has_text(v, name):
    if isinstance(v, dict):
        return isinstance(v.get(name), str) or any(_has_text(x, name) for x in v.values())
    return isinstance(v, list) and any(_has_text(x, name) for x in v)


def with_member(doc, text):
    return b'{"zz":' + text + b"," + plain(doc)[1:]


# name -> document to the bytes that stand for it
BENT = {
    "deep": lambda d: with_member(d, b"[" * 10000 + b"]" * 10000),
    "deep-objects": lambda d: with_member(d, b'{"a":' * 10000 + b"1" + b"}" * 10000),
    "long-array": lambda d: with_member(d, b"[" + b"0," * 999_999 + b"0]"),
    "duplicate-keys": lambda d: plain(d)[:-1] + b"," + plain(d)[1:],
    "case-variants": lambda d: plain(keys(d, str.capitalize)),
    "numbers-infinite": lambda d: numbers(d, b"1e999"),
    "numbers-negative": lambda d: numbers(d, b"-1"),
    "numbers-huge": lambda d: numbers(d, str(2 ** 70).encode()),
    "nulls": lambda d: plain(leaves(d, lambda v: None)),
    "wrong-types": lambda d: plain(leaves(d, wrong)),
    "wrong-numbers": lambda d: plain(leaves(d, lambda v: wrong(v) if is_number(v) else v)),
    "lists-for-objects": lambda d: plain([d]),
    "null-bytes": lambda d: plain(leaves(d, lambda v: "a\0b" if isinstance(v, str) and " " in v else v)).replace(b"\\u0000", b"\0"),
    "escaped-null-bytes": lambda d: plain(leaves(d, lambda v: v + "\0" if isinstance(v, str) and " " in v else v)),
    "bad-utf8": lambda d: plain(d).replace(b"Hello", b"\xff\xfe\xc0\xaf").replace(b'"Hel', b'"\xed\xa0\x80'),
    "indices-huge": lambda d: plain(of_key(d, INDEX, 1 << 31)),
    "ids-long": lambda d: grown(d, IDS, MIB),
    "names-long": lambda d: grown(d, {"name"}, MIB),
    "not-json": lambda d: b"<html>" + plain(d),
    "empty": lambda d: b"{}",
}
WHOLE = {**BENT, "text-of-64-mib": lambda d: grown(d, TEXTS, 64 * MIB), "text-of-6-mib": lambda d: grown(d, TEXTS, 6 * MIB)}


def whole(dialect, shape):
    return WHOLE[shape](speak.REPLY[dialect](CASE, "m"))


# ---- streams ----

def parts(dialect):
    """(event, document) of each frame; the document is None for what is none."""
    out = []
    for frame in speak.STREAM[dialect](CASE, "m"):
        if dialect == "bedrock":
            total, head = struct.unpack_from(">II", frame)
            headers, payload = frame[12:12 + head], frame[12 + head:total - 4]
            at = headers.index(b":event-type") + 11
            n = struct.unpack_from(">H", headers, at + 1)[0]
            out.append((headers[at + 3:at + 3 + n].decode(), json.loads(payload)))
        else:
            lines = frame.decode().replace("\r\n", "\n").split("\n")
            event = next((line[7:] for line in lines if line.startswith("event: ")), None)
            data = next(line[6:] for line in lines if line.startswith("data: "))
            out.append((event, None if data == "[DONE]" else json.loads(data)))
    return out


def framed(dialect, event, text):
    if dialect == "bedrock":
        doc = speak.aws_frame(event, {})
        head = struct.unpack_from(">I", doc, 4)[0]
        body = doc[12:12 + head]
        prelude = struct.pack(">II", 16 + head + len(text), head)
        message = prelude + struct.pack(">I", speak.zlib.crc32(prelude)) + body + text
        return message + struct.pack(">I", speak.zlib.crc32(message))
    end = b"\r\n" if dialect == "gemini" else b"\n"
    return (b"event: " + event.encode() + end if event else b"") + b"data: " + text + end + end


def every(dialect, bend):
    return b"".join(framed(dialect, e, b"[DONE]" if d is None else bend(d)) for e, d in parts(dialect))


def as_it_is(dialect):
    return b"".join(speak.STREAM[dialect](CASE, "m"))


def one_line(dialect, n):
    """The frames up to the first text, which is one line of n bytes and has no end."""
    return b"".join(speak.STREAM[dialect](CASE, "m")[:2]) + (b"\x00\x00\x00\x10" * (n // 4) if dialect == "bedrock" else b'data: {"a":"' + b"x" * n)


def many(dialect, n):
    """The stream with its second frame n times over."""
    frames = speak.STREAM[dialect](CASE, "m")
    return b"".join(frames[:2]) + frames[1] * n + b"".join(frames[2:])


def tiny(dialect, n):
    """A million of the smallest events there are before the rest."""
    return (framed("bedrock", "ping", b"{}") if dialect == "bedrock" else b":\n\n") * n + as_it_is(dialect)


STREAMS = {
    **{name: (lambda d, bend=bend: every(d, bend)) for name, bend in BENT.items()},
    "events-after-the-end": lambda d: as_it_is(d) * 2,
    "two-starts": lambda d: speak.STREAM[d](CASE, "m")[0] + as_it_is(d),
    "backwards": lambda d: b"".join(reversed(speak.STREAM[d](CASE, "m"))),
    "without-its-start": lambda d: b"".join(speak.STREAM[d](CASE, "m")[1:]),
    "many-blocks": lambda d: many(d, 20_000),
    "million-tiny-events": lambda d: tiny(d, 1_000_000 if d != "bedrock" else 100_000),
    "line-of-32-mib": lambda d: one_line(d, 32 * MIB),
    "event-of-32-mib": lambda d: every(d, lambda doc: with_member(doc, b'"' + b"x" * 32 * MIB + b'"')),
    "nothing": lambda d: b"",
}
