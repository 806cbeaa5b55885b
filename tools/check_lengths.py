#!/usr/bin/env python3
"""Lengths: fails for functions over 80 lines and headers over 250; warns for files over 600 lines. Needs universal-ctags.

Usage: tools/check_lengths.py [root]"""
import json
import pathlib
import subprocess
import sys

FUNCTION, FILE, HEADER = 80, 600, 250


def product_files(root):
    out = subprocess.run(["git", "ls-files", "*.c", "*.h"], cwd=root, capture_output=True, text=True, check=True).stdout
    return [f for f in out.split() if (root / f).is_file()]


def main(root):
    root, bad, n = pathlib.Path(root), [], 0
    files = product_files(root)
    tags = subprocess.run(["ctags", "-L", "-", "--fields=+ne-P", "--kinds-C=f", "--languages=C", "--langmap=C:.c.h", "-o", "-",
                           "--output-format=json"], cwd=root, input="\n".join(files), capture_output=True, text=True)
    if tags.returncode:
        print("check_lengths: needs universal-ctags:", tags.stderr.strip())
        return 1
    for line in tags.stdout.splitlines():
        t = json.loads(line)
        if "end" not in t:
            continue
        n += 1
        length = t["end"] - t["line"] + 1
        if length > FUNCTION:
            bad.append(f"{t['path']}:{t['line']}: {t['name']} has {length} lines, at most {FUNCTION}")
    for f in files:
        lines = (root / f).read_text(errors="replace").count("\n")
        if lines > FILE:
            print(f"warning: {f} has {lines} lines; {FILE} is where a file should be split")
        if f.endswith(".h") and lines > HEADER and not f.startswith("tests/"):
            bad.append(f"{f} has {lines} lines, a header at most {HEADER}")
    print("\n".join(bad) or f"{n} functions in {len(files)} files, lengths clean")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "."))
