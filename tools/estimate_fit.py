#!/usr/bin/env python3
"""The costs of core/estimate_table.c: fitted to counts by real tokenizers, and how far they are off.

  tools/estimate_count.mjs DIR            counts the texts of DIR/train and DIR/test (GROUP_anything.txt) into DIR/counts.json
  tools/estimate_fit.py errors DIR        mean and largest error of each group of DIR/test, by the table as it is
  tools/estimate_fit.py fit DIR           prints a new table (needs numpy and scipy)

Each text is a row: how often a character of each kind stood at each place of a run, divided by its true count; least squares without negative costs, drawn
a little to plain guesses (a word begins with a token, ...) where the texts say nothing. Digits are not fitted: vocabularies take three at a time, Gemini's one.
Claude has no public tokenizer: it gets o200k's costs times 1.1, which is what recorded usage comes to."""
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
KINDS = ("LOWER UPPER LOWER_FOREIGN UPPER_FOREIGN MARKED GREEK CYRILLIC HEBREW ARABIC INDIC THAI LETTER DIGIT SPACE TAB NEWLINE POINT FRAME SIGN SYMBOL CJK_POINT "
         "HAN KANA HANGUL EMOJI BAD").split()
PLACES = 12
FAMILIES = {"O200K": ("o200k", 1.0), "CL100K": ("cl100k", 1.0), "CLAUDE": ("o200k", 1.1), "GEMINI": ("gemini", 1.0), "OPEN": ("open", 1.0)}
PRIOR = {"LOWER": (1, 0, 0, 0, 0, 0, .05, .1, .15), "UPPER": (1, .3), "LOWER_FOREIGN": (1, 0, 0, .1, .2, .2, .25), "UPPER_FOREIGN": (1, .4), "MARKED": (1, .6),
         "GREEK": (1, 0, .3), "CYRILLIC": (.9, 0, 0, .2), "HEBREW": (1, .3), "ARABIC": (1, .2), "INDIC": (1, .3), "THAI": (1, .4), "LETTER": (1, .6), "DIGIT": (1, 0),
         "SPACE": (0, .7, .05, 0), "TAB": (.6, .3, .05), "NEWLINE": (.5, .3, .1), "POINT": (.8, .4, .3), "FRAME": (.8, .5, .3), "SIGN": (1, .5, .3),
         "SYMBOL": (1.2, .8), "CJK_POINT": (.8, .6), "HAN": (.9, .8), "KANA": (.9, .7), "HANGUL": (.9, .7), "EMOJI": (1.5, 1.2), "BAD": (1, .7)}
PULL = SMOOTH = 0.3

COUNTER = r"""
#include "core/estimate_impl.h"
#include <stdio.h>
static uint16_t hot[GW_EF_COUNT][GW_EK_COUNT][GW_EK_PLACES];
#define gw_estimate_cost hot
#include "core/estimate.c"
static char text[8 << 20];
static uint64_t units(size_t n)
{
	struct gw_estimate e = gw_estimate_begin(0);
	gw_estimate_text(&e, gw_str(text, n));
	return e.units >> 8;
}
int main(int argc, char **argv)
{
	for (int a = 1; a < argc; a++) {
		FILE *f = fopen(argv[a], "rb");
		size_t n = f ? fread(text, 1, sizeof(text), f) : 0;
		uint64_t base = units(n);
		if (f)
			fclose(f);
		printf("%llu", (unsigned long long)base);
		for (int k = 0; k < GW_EK_COUNT * GW_EK_PLACES; k++) {
			hot[0][k / GW_EK_PLACES][k % GW_EK_PLACES] = 256;
			printf(" %llu", (unsigned long long)(units(n) - base));
			hot[0][k / GW_EK_PLACES][k % GW_EK_PLACES] = 0;
		}
		puts("");
	}
}
"""
READER = r"""
#include "core/estimate_impl.h"
#include <stdio.h>
#include <stdlib.h>
static char text[8 << 20];
int main(int argc, char **argv)
{
	for (int a = 1; a < argc; a++) {
		FILE *f = fopen(argv[a], "rb");
		size_t n = f ? fread(text, 1, sizeof(text), f) : 0;
		if (f)
			fclose(f);
		for (int k = 0; k < GW_EF_COUNT; k++) {
			struct gw_estimate e = gw_estimate_begin((enum gw_estimate_family)k);
			gw_estimate_text(&e, gw_str(text, n));
			printf("%llu ", (unsigned long long)gw_estimate_tokens(&e));
		}
		puts("");
	}
}
"""


def run(source, more, files):
    """What a small program made of the estimator says of each file: a list of numbers."""
    with tempfile.TemporaryDirectory() as where:
        c, exe = pathlib.Path(where, "t.c"), pathlib.Path(where, "t")
        c.write_text(source)
        subprocess.run(["cc", "-O2", "-std=gnu17", f"-I{ROOT}", str(c), *[str(ROOT / m) for m in more], str(ROOT / "lib/str.c"), "-o", str(exe)], check=True)
        out = subprocess.run([str(exe), *map(str, files)], check=True, capture_output=True, text=True).stdout
    return [list(map(int, line.split())) for line in out.splitlines()]


def group(name):
    return pathlib.Path(name).stem.rsplit("_", 1)[0]


def errors(where, counts):
    names = sorted(n for n in counts if n.startswith("test/"))
    got = run(READER, ["core/estimate.c", "core/estimate_table.c"], [where / n for n in names])
    families = [("o200k", 0), ("cl100k", 1), ("gemini", 3), ("open", 4)]
    print(f"{'group':16}" + "".join(f"{f:>16}" for f, _ in families))
    for g in sorted({group(n) for n in names}):
        row = []
        for family, at in families:
            off = [100 * (v[at] / counts[n][family] - 1) for n, v in zip(names, got) if group(n) == g and counts[n][family]]
            row.append(f"{sum(off) / len(off):+6.1f} | {max(map(abs, off)):5.1f}")
        print(f"{g:16}" + "".join(f"{r:>16}" for r in row))


def solve(family, names, counts, rows):
    import numpy as np
    from scipy.optimize import nnls
    digits = slice(KINDS.index("DIGIT") * PLACES, (KINDS.index("DIGIT") + 1) * PLACES)
    fixed = np.array([1.0] * PLACES if family == "gemini" else [1.0, 0, 0] * (PLACES // 3))
    prior = np.array([list(PRIOR[k]) + [PRIOR[k][-1]] * (PLACES - len(PRIOR[k])) for k in KINDS]).ravel()
    size = {g: sum(group(n) == g for n in names) for g in {group(n) for n in names}}
    a, b = [], []
    for n, row in zip(names, rows):
        true = counts[n][family]
        if true < 20:
            continue
        x, w = np.array(row[1:], float), 10 / size[group(n)] ** 0.5
        rest = true - row[0] - x[digits] @ fixed
        x[digits] = 0
        a.append(x / true * w)
        b.append(rest / true * w)
    for i in range(len(prior)):
        e = np.zeros(len(prior))
        e[i] = PULL
        a.append(e)
        b.append(PULL * prior[i])
        if i % PLACES >= 3:
            e = np.zeros(len(prior))
            e[i], e[i - 1] = SMOOTH, -SMOOTH
            a.append(e)
            b.append(SMOOTH * (prior[i] - prior[i - 1]))
    x, _ = nnls(np.array(a), np.array(b), maxiter=40000)
    x[digits] = fixed
    return x


def fit(where, counts):
    names = sorted(n for n in counts if n.startswith("train/"))
    rows = run(COUNTER, [], [where / n for n in names])
    print("/* Printed by tools/estimate_fit.py: do not edit. What a character costs by its kind and its place in a run, in 1/256 of a token. */")
    print('#include "core/estimate_impl.h"\n\n/* clang-format off */\nconst uint16_t gw_estimate_cost[GW_EF_COUNT][GW_EK_COUNT][GW_EK_PLACES] = {')
    for name, (family, factor) in FAMILIES.items():
        x = solve(family, names, counts, rows)
        print(f"\t[GW_EF_{name}] = {{")
        for k, kind in enumerate(KINDS):
            print(f"\t\t[GW_EK_{kind}] = {{ " + ", ".join(str(min(65535, round(v * 256 * factor))) for v in x[k * PLACES:(k + 1) * PLACES]) + " },")
        print("\t},")
    print("};")


if len(sys.argv) != 3 or sys.argv[1] not in ("errors", "fit"):
    sys.exit(__doc__)
folder = pathlib.Path(sys.argv[2])
{"errors": errors, "fit": fit}[sys.argv[1]](folder, json.loads((folder / "counts.json").read_text()))
