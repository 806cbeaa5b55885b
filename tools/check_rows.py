#!/usr/bin/env python3
"""No row of a table in schemas/*.def is there twice. What makes a row: its macro and the first of its values, or as many as KEYS says.
Usage: tools/check_rows.py [root]"""
import pathlib
import re
import sys

ROW = re.compile(r"^(GW_[A-Z_]+)\((.*)$", re.M)
# Macros whose first value is no name of a row by itself: how many values are.
KEYS = {"GW_FIELD_DEF": 2, "GW_ENDPOINT": 4, "GW_ROUTE": 1, "GW_UPERR_CODE": 2, "GW_UPERR_WORDS": 3}
# Of these a later value must be unlike too (a URL of a method, a path of a method).
MORE = {"GW_ENDPOINT": (2, 3), "GW_ROUTE": (1, 2)}


def values(text):
    """The first values of a row, outside strings."""
    return [v.strip() for v in re.findall(r'(?:"(?:\\.|[^"\\])*"|[^,"])+', text)]


def doubles(text):
    seen, out = set(), []
    for m in ROW.finditer(re.sub(r"/\*.*?\*/", lambda c: "\n" * c.group().count("\n"), text, flags=re.S)):
        v = values(m[2])
        keys = [tuple(v[:KEYS.get(m[1], 1)])] + ([tuple(v[i] for i in MORE[m[1]])] if m[1] in MORE and len(v) > max(MORE[m[1]]) else [])
        for i, key in enumerate(keys):
            if (m[1], i, key) in seen:
                out.append(f"{m[1]}({', '.join(key)}")
            seen.add((m[1], i, key))
    return out


def check_itself():
    assert doubles('GW_X(a, 1)\nGW_X(b, 1)\n/* GW_X(a, 2)\n*/') == []
    assert doubles('GW_X(a, 1)\nGW_Y(a, 1)\nGW_X(a, "x, y")') == ["GW_X(a"]
    assert doubles("GW_FIELD_DEF(k, a, 1)\nGW_FIELD_DEF(l, a, 1)\nGW_FIELD_DEF(k, a, 2)") == ["GW_FIELD_DEF(k, a"]
    assert doubles("GW_ROUTE(a, GET, /x, 1)\nGW_ROUTE(b, GET, /x, 1)\nGW_ROUTE(c, PUT, /x, 1)") == ["GW_ROUTE(GET, /x"]


def main():
    check_itself()
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    bad = [f"{p.relative_to(root)}: {row} ...) is there twice" for p in sorted((root / "schemas").glob("*.def")) for row in doubles(p.read_text())]
    print("\n".join(bad), end="\n" if bad else "")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
