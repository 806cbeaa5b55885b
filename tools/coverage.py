#!/usr/bin/env python3
"""Line coverage per folder from gcov. Usage: tools/coverage.py BUILD"""
import collections
import json
import pathlib
import subprocess
import sys

build = pathlib.Path(sys.argv[1]).resolve()
root = pathlib.Path(__file__).resolve().parents[1]
lines = collections.defaultdict(dict)  # file -> line -> hits
for gcda in build.rglob("*.gcda"):
    out = subprocess.run(["gcov", "--json-format", "--stdout", str(gcda)], capture_output=True, text=True, cwd=build).stdout
    for doc in out.splitlines():
        for f in json.loads(doc)["files"] if doc.startswith("{") else ():
            path = (build / f["file"]).resolve()
            if root in path.parents:
                hits = lines[path.relative_to(root).as_posix()]
                for x in f["lines"]:
                    hits[x["line_number"]] = hits.get(x["line_number"], 0) + x["count"]
folders = collections.defaultdict(lambda: [0, 0])
for name, hits in lines.items():
    if name.startswith("tests/"):
        continue
    folder = name.rsplit("/", 1)[0]
    folders[folder][0] += sum(1 for h in hits.values() if h)
    folders[folder][1] += len(hits)
for folder, (hit, n) in sorted(folders.items()):
    print(f"{folder:12} {100 * hit / max(n, 1):5.1f} %  {hit} of {n} lines")
