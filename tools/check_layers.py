#!/usr/bin/env python3
"""Layers: fails when a file includes what its folder may not, or when headers include each other in a circle.

The tables are those of docs/ARCHITECTURE.md. Usage: tools/check_layers.py [root]"""
import pathlib
import re
import sys

BRICKS = {"lib", "lib/sys", "schemas"}
ROLE = BRICKS | {"core", "shm", "net"}
# folder -> folders it may include. "lib" is lib/ without lib/sys/.
MAY = {
    "lib": {"lib", "schemas"},
    "lib/sys": BRICKS,
    "schemas": set(),
    "core": {"lib", "schemas", "core"},
    "shm": BRICKS | {"shm"},
    "net": BRICKS | {"net"},
    "master": BRICKS | {"shm", "master"},
    "confd": ROLE | {"confd"},
    "admin": ROLE | {"admin"},
    "worker": ROLE | {"worker"},
    "logger": ROLE | {"logger"},
    "agent": ROLE | {"agent"},
    "exporter": ROLE | {"exporter"},
    "admin-cli": BRICKS | {"core", "admin-cli"},
    "bench": BRICKS | {"net", "bench"},
    ".": {"lib/sys"},  # llmgw.c
}
# rows that another folder prints (llmgwctl doc pipeline)
ALSO = {("admin-cli", "worker/req_steps.def")}
# a foreign header -> the only files that may name it
OWNER = [
    (r"uv\.h", r"(net|confd|admin|worker|logger|agent|exporter|bench)/.*"),
    (r"llhttp\.h|ares\.h|ares_.*\.h", r"net/.*"),
    (r"curl/.*", r"net/.*|admin-cli/client\.c"),
    (r"lmdb\.h", r"(shm/image|confd/store).*\.[ch]"),
    (r"yyjson\.h", r"lib/json.*\.[ch]"),
    (r"yaml\.h", r"lib/yaml.*\.[ch]"),
    (r"msgpack(\.h|/.*)", r"lib/msgpack.*\.c"),
    (r"(mbedtls|psa)/.*", r"lib/(crypto|secret).*\.c|net/tls.*\.[ch]"),
    (r"sqlite3\.h", r"exporter/.*\.c|admin/query.*\.c"),
    (r"zstd\.h|zlib\.h", r"lib/compress.*\.c"),
    (r"pthread\.h|threads\.h", r"(?!master/|core/).*"),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def folder_of(path):
    """The row of MAY that a file belongs to."""
    if path.startswith("lib/sys/"):
        return "lib/sys"
    return path.split("/")[0] if "/" in path else "."


def check_file(name, text, bad):
    folder, ours = folder_of(name), []
    for kind, inc in INCLUDE.findall(text):
        if kind == '"':
            ours.append(inc)
            if "/" not in inc or inc.startswith("."):
                bad.append(f'{name}: "{inc}" must be written from the project root')
            elif folder_of(inc) not in MAY[folder] and (folder, inc) not in ALSO:
                bad.append(f"{name}: {folder}/ may not include {inc}")
        for pattern, who in OWNER:
            if re.fullmatch(pattern, inc) and kind == "<" and not re.fullmatch(who, name):
                bad.append(f"{name}: <{inc}> belongs to {who}")
    return ours


def find_circles(graph, bad):
    state = {}

    def walk(n, path):
        if state.get(n) == 2 or n not in graph:
            return
        if state.get(n) == 1:
            bad.append("circle: " + " -> ".join(path[path.index(n):] + [n]))
            return
        state[n] = 1
        for m in graph[n]:
            walk(m, path + [n])
        state[n] = 2

    for n in graph:
        walk(n, [])


def main(root):
    root, bad, graph = pathlib.Path(root), [], {}
    files = [f for d in {m.split("/")[0] for m in MAY if m != "."} for f in (root / d).rglob("*.[ch]")]
    for f in sorted(files + list(root.glob("*.[ch]"))):
        name = f.relative_to(root).as_posix()
        graph[name] = check_file(name, f.read_text(errors="replace"), bad)
    find_circles(graph, bad)
    print("\n".join(bad) or f"{len(graph)} files, layers clean")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "."))
