#!/usr/bin/env python3
"""The 36 cells of client dialect x provider dialect: what translating costs, a chat of 1 KB, in CPU time or in instructions.

    ./dev bench matrix [--rounds N] [--instructions]

A request cell is the request there and the whole reply back; an event cell one of 64 events of a stream. Cells of a dialect with itself are for
comparison: the gateway passes those bytes as they are. Times are medians of N rounds (15) of about a millisecond each; instructions are counted by
callgrind (valgrind), which does not change from run to run. Promised: 15 us a request and 2 us an event between OpenAI and Anthropic, OpenAI and Gemini."""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
REQUEST_US, EVENT_US = 15, 2
PROMISED = [("openai", "anthropic"), ("anthropic", "openai"), ("openai", "gemini"), ("gemini", "openai")]


def times(program, rounds):
    out = subprocess.run([program, "time", str(rounds)], check=True, capture_output=True, text=True).stdout
    return {tuple(line.split()[:3]): float(line.split()[3]) / 1000 for line in out.splitlines()}


def instructions(program):
    """One run; the dump between the two marks of a cell has its count."""
    with tempfile.TemporaryDirectory() as where:
        r = subprocess.run(["valgrind", "--tool=callgrind", "--dump-before=matrix_mark", f"--callgrind-out-file={where}/out", program, "count"],
                           check=True, capture_output=True, text=True)
        dumps = {}
        for p in pathlib.Path(where).glob("out.*"):
            text = p.read_text()
            dumps[int(re.search(r"^part: (\d+)", text, re.M)[1])] = int(re.search(r"^(?:totals|summary): (\d+)", text, re.M)[1])
    cells = {}
    for i, line in enumerate(r.stdout.splitlines()):  # parts: what came before the cell, the cell
        client, provider, kind, n = line.split()
        cells[client, provider, kind] = dumps[2 * i + 2] / int(n)
    return cells


def table(cells, title, value, digits):
    names = list(dict.fromkeys(c for c, _, _ in cells))
    lines = [f"| {title} | " + " | ".join(names) + " |", "|---" + "|--:" * len(names) + "|"]
    for c in names:
        row = [f"{value(c, p):,.{digits}f}" for p in names]
        lines.append(f"| {c} | " + " | ".join(f"({v})" if c == p else v for v, p in zip(row, names, strict=True)) + " |")
    return "\n".join(lines)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--rounds", type=int, default=15)
    a.add_argument("--instructions", action="store_true", help="counted by callgrind instead of timed")
    a.add_argument("--build", default=ROOT / "build", type=pathlib.Path)
    o = a.parse_args()
    program = str(o.build / "bench/matrix")
    cells = instructions(program) if o.instructions else times(program, o.rounds)
    unit, digits = ("instructions", 0) if o.instructions else ("us CPU", 2)
    print(table(cells, f"{unit} a request and its reply; client \\ provider", lambda c, p: cells[c, p, "request"] + cells[c, p, "reply"], digits))
    print()
    print(table(cells, f"{unit} an event; client \\ provider", lambda c, p: cells[c, p, "event"], digits))
    if o.instructions:
        return 0
    missed = 0
    print()
    for c, p in PROMISED:
        whole, event = cells[c, p, "request"] + cells[c, p, "reply"], cells[c, p, "event"]
        missed += whole > REQUEST_US or event > EVENT_US
        print(f"{c} at {p}: {whole:.2f} us a request (at most {REQUEST_US}: {'kept' if whole <= REQUEST_US else 'MISSED'}), "
              f"{event:.2f} us an event (at most {EVENT_US}: {'kept' if event <= EVENT_US else 'MISSED'})")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
