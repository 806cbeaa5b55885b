#!/usr/bin/env python3
"""Adds up test results. Arguments: JUnit files, or NAME=p,f,s for a suite that counted itself, or NAME!=reason for one that
could not run (one failure). Prints every failure with the end of its words, then `N passed, N failed, N skipped`.

With --no-skips a skip counts as a failure: where the shared data is present nothing may be left out."""
import pathlib
import sys
import xml.etree.ElementTree as ET


class Sum:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.words = []

    def fail(self, name, text):
        self.failed += 1
        self.words.append(f"FAILED  {name}\n" + "\n".join("    " + x for x in text.strip().splitlines()[-25:]))

    def skip(self, name, text, may_skip):
        if may_skip:
            self.skipped += 1
            self.words.append(f"skipped {name}: {text.strip()[:200]}")
        else:
            self.fail(name, "it was skipped although everything it needs is here: " + text.strip()[:300])

    def add_case(self, case, may_skip):
        name = f"{case.get('classname', '')} {case.get('name', '')}".strip()
        text = " ".join((e.text or "") for e in case if e.tag in ("system-out", "system-err"))
        bad = [e for e in case if e.tag in ("failure", "error")]
        left = [e for e in case if e.tag == "skipped"]
        if bad:
            self.fail(name, (bad[0].get("message") or "") + "\n" + (bad[0].text or "") + "\n" + text)
        elif left:
            self.skip(name, (left[0].get("message") or "") + " " + (left[0].text or "") + text[-200:], may_skip)
        else:
            self.passed += 1


def main(argv):
    may_skip = "--no-skips" not in argv
    total = Sum()
    for a in (x for x in argv if not x.startswith("--")):
        if "!=" in a:
            name, reason = a.split("!=", 1)
            total.fail(name, reason)
        elif "=" in a and not pathlib.Path(a).exists():
            name, counts = a.rsplit("=", 1)
            p, f, s = map(int, counts.split(","))
            total.passed += p
            for _ in range(f):
                total.fail(name, "see its lines above")
            for _ in range(s):
                total.skip(name, "", may_skip)
        elif not pathlib.Path(a).exists():
            total.fail(a, "it left no results")
        else:
            for case in ET.parse(a).getroot().iter("testcase"):
                total.add_case(case, may_skip)
    print("\n".join(total.words))
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
