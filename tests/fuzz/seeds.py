#!/usr/bin/env python3
"""Beginnings for the fuzz targets of the dialects, from recorded traffic: tests/fuzz/seeds.py RECORDINGS CORPUS_DIR.

Every request, reply and stream below RECORDINGS (fixtures of ./dev fixtures) becomes one input of its own dialect's target and of the
pipeline's, toward another dialect each time; the words that the readers know become their dictionary. Prints how many were written; nothing where RECORDINGS is absent."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fixtures"))
import run  # noqa: E402

DIALECTS = ("openai", "responses", "anthropic", "gemini", "bedrock", "cohere")
REQUEST, REPLY, STREAM = 0, 1, 2
MAX_BYTES = 64 << 10


def lines_of(dialect, stream):
    """One frame a line, as dialect_input.h wants them."""
    if dialect != "bedrock":
        return b"\n".join(line[5:].strip() for line in stream.splitlines() if line.startswith(b"data:"))
    out, at = [], 0
    while at + 16 <= len(stream):
        total, headers = int.from_bytes(stream[at:at + 4], "big"), int.from_bytes(stream[at + 4:at + 8], "big")
        head, payload = stream[at + 12:at + 12 + headers], stream[at + 12 + headers:at + total - 4]
        mark = b"\x0b:event-type\x07"
        if total < 16 or mark not in head:
            break
        name = head.split(mark)[1]
        name = name[2:2 + int.from_bytes(name[:2], "big")]
        out.append(name + b" " + payload)
        at += total
    return b"\n".join(out)


def exchanges(root):
    for meta in sorted(root.rglob("meta.json")):
        try:
            x = run.Exchange(meta.parent)
        except ValueError:
            continue
        if x.dialect:
            request, reply = x.text("request.json"), x.text("response.json")
            yield x.dialect, request and request.encode(), reply and reply.encode(), x.stream()


def write_dictionary(path):
    words = set()
    for source in sorted((pathlib.Path(__file__).resolve().parents[2] / "core/dialect").rglob("*.c")):
        words.update(re.findall(r'"([A-Za-z][A-Za-z0-9_.:/-]{2,40})"', source.read_text()))
    path.write_text("".join(f'"\\"{word}\\""\n' for word in sorted(words)))


def main():
    root, corpus = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    if not root.is_dir():
        return
    corpus.mkdir(parents=True, exist_ok=True)
    write_dictionary(corpus / "dialect.dict")
    written = 0
    for number, (dialect, request, reply, stream) in enumerate(exchanges(root)):
        own, pipeline = corpus / f"dialect_{dialect}", corpus / "dialect_pipeline"
        own.mkdir(parents=True, exist_ok=True)
        pipeline.mkdir(parents=True, exist_ok=True)
        for what, body in ((REQUEST, request), (REPLY, reply), (STREAM, stream)):
            if not body or len(body) > MAX_BYTES:
                continue
            lines = lines_of(dialect, body) if what == STREAM else body
            (own / f"seed-{number}-{what}").write_bytes(bytes([what]) + lines)
            head = bytes([what, DIALECTS.index(dialect), (number + what) % (len(DIALECTS) + 1), number % 256])
            (pipeline / f"seed-{number}-{what}").write_bytes(head + body)
            written += 2
    print(f"{written} seeds")


main()
