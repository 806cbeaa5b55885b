#!/usr/bin/env python3
"""Names of the programs of a suite, for ninja. Usage: tools/meson_tests.py BUILD SUITE"""
import json
import os
import subprocess
import sys

build, suite = sys.argv[1:]
tests = json.loads(subprocess.run(["meson", "introspect", "--tests", build], capture_output=True, check=True).stdout)
names = {os.path.relpath(t["cmd"][0], os.path.abspath(build)) for t in tests if any(s.split(":")[-1] == suite for s in t["suite"])}
print(" ".join(sorted(names)))
