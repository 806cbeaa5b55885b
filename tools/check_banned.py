#!/usr/bin/env python3
"""Banned calls (tools/banned.txt), unfinished code, paths of one machine, trailing white space. Usage: tools/check_banned.py [root]"""
import pathlib
import re
import subprocess
import sys

CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\b[Nn]ot implemented yet\b")
LATER = re.compile(r"\b[Ff]or now\b")  # in code; in documents it has other meanings
MACHINE = re.compile(r"(?<![\w.])/(work|root|home/[a-z]\w*)/(?!\.\.)[\w.]")
SKIP_TEXT = re.compile(r"^(tools/(banned\.txt|check_banned\.py)|LICENSE|web/.*lock.*)$")


def rows(root):
    for line in (root / "tools/banned.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, why, *allowed = line.split("|")
            yield name, why, re.compile("|".join(a for a in allowed if a) or r"(?!)")


def without_text(source):
    """Same line numbers, but no comments and no strings."""
    return CODE.sub(lambda m: "".join(c if c == "\n" else " " for c in m.group()), source)


def check_code(name, text, banned, bad):
    plain = without_text(text)
    for word, why, allowed in banned:
        if allowed.fullmatch(name):
            continue
        for m in re.finditer(rf"(?<![\w.>]){word}\s*\(", plain):
            bad.append(f"{name}:{plain.count(chr(10), 0, m.start()) + 1}: {word}() is banned: {why}")


def check_text(name, text, bad):
    for i, line in enumerate(text.splitlines(), 1):
        if UNFINISHED.search(line) or (LATER.search(line) and not name.endswith(".md")):
            bad.append(f"{name}:{i}: unfinished: {line.strip()[:80]}")
        if MACHINE.search(line):
            bad.append(f"{name}:{i}: a path of one machine: {line.strip()[:80]}")
        if line != line.rstrip() and not name.endswith((".md", ".sse", ".http")) and "/fixtures/" not in name:
            bad.append(f"{name}:{i}: white space at the end of the line")


def main(root):
    root, bad = pathlib.Path(root), []
    banned = list(rows(root))
    out = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout
    names = [n for n in out.splitlines() if (root / n).is_file() and not SKIP_TEXT.match(n)]
    for name in names:
        try:
            text = (root / name).read_text()
        except UnicodeDecodeError:
            continue
        if name.endswith((".c", ".h")) and not name.startswith("tests/"):
            check_code(name, text, banned, bad)
        if name.endswith((".c", ".h", ".py", ".sh", ".def", ".md", ".build", ".js", ".mjs", ".txt")) or "." not in name:
            check_text(name, text, bad)
    print("\n".join(bad) or f"{len(names)} files, nothing banned")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "."))
