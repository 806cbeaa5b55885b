#!/usr/bin/env python3
"""Instructions per request and per chunk, counted by callgrind on the release build: one worker, the logger and the exporter run under valgrind, a fixed
script of requests goes through them, and what a warm-up used is not counted.

  bench/profile_run.py [--scheme http|https|both] [--requests 2000] [--chunks 20] [--connections 16] [--body-bytes 0] [--top 30] [--build build]

Instructions hardly depend on the machine or its load, so this shows what a change saved where CPU time only shows noise. What they cannot
show: the kernel's share and caches. The last lines are one JSON object per scheme."""
import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from stage import ROOT, Failed, Stage, until

ROLES = ("worker", "logger", "exporter")
ALLOCATE = ("malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign")


class Profile:
    """What callgrind wrote: instructions by function, and how often each function was called."""

    def __init__(self):
        self.exclusive, self.inclusive, self.calls = (collections.Counter() for _ in range(3))
        self.callers = collections.Counter()  # of what allocates

    @property
    def total(self):
        return self.exclusive.total()

    def read(self, path):
        """The callgrind format: `fn=(7) name` begins a function, `calls=N` announces a line with the inclusive cost of a call, any other
        line with numbers is the function's own. A recursive function counts only its outermost frame as inclusive cost by its callers."""
        names, at, callee, is_call = {}, None, None, False
        for line in path.read_text(errors="replace").splitlines():
            m = re.match(r"(c?)fn=\((\d+)\)(?: (.*))?$", line)
            if m:
                if m[3]:
                    names[m[2]] = re.sub(r"'\d+$", "", m[3])
                if m[1]:
                    callee = names[m[2]]
                else:
                    at = names[m[2]]
            elif line.startswith("calls="):
                n = int(line[6:].split()[0])
                self.calls[callee] += n
                if callee in ALLOCATE:
                    self.callers[at] += n
                is_call = True
            elif line[:1] in "0123456789+-*" and at:
                cost = int(line.split()[1]) if len(line.split()) > 1 else 0
                if not is_call:
                    self.exclusive[at] += cost
                if not is_call or callee != at:
                    self.inclusive[at] += cost
                is_call = False
        return self


class Counted(Stage):
    """A stage whose gateway has one worker; it, the logger and the exporter are under callgrind."""

    workers, rows = 1, 0

    def prepare(self):
        """Returns the environment of a master that starts its children under callgrind."""
        if not shutil.which("valgrind"):
            raise Failed("valgrind is not installed (Debian: apt-get install valgrind)")
        self.out = self.folder / "callgrind"
        self.out.mkdir()
        shim = self.folder / "profile_exec.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", str(shim), str(ROOT / "bench/profile_exec.c"), "-ldl"], check=True)
        return dict(os.environ, LD_PRELOAD=str(shim), LLMGW_PROFILE_DIR=str(self.out), LLMGW_PROFILE_EXE=self.binary("llmgw"))

    def start_gateway(self):
        return super().start_gateway(more=("--sandbox=false",), env=self.prepare())

    def pids(self):
        s = self.admin("GET", "status")
        found = {r["role"]: r["pid"] for r in s["roles"] if r["role"] in ROLES}
        found["worker"] = s["workers"][0]["pid"]
        return found

    def control(self, option):
        for pid in self.pids().values():
            r = subprocess.run(["callgrind_control", option, str(pid)], capture_output=True, text=True, timeout=120)
            if r.returncode or "Error" in r.stdout + r.stderr:
                raise Failed(f"callgrind_control {option} {pid}: {r.stdout}{r.stderr}")

    def counted(self, scheme, requests, warmup, *options):
        """Runs the warm-up, then the script, and returns {role: Profile} of the script alone."""
        options = [*options, "--timeout", "120s"]
        self.checked(scheme, "--requests", warmup, *options)
        self.written()
        self.control("--zero")
        before = set(self.out.glob("*.out*"))
        self.checked(scheme, "--requests", requests, *options)
        self.written()
        self.control("--dump")
        fresh = set(self.out.glob("*.out.*")) - before
        found = {role: [p for p in fresh if p.name.startswith(role)] for role in ROLES}
        if any(len(f) != 1 for f in found.values()):
            raise Failed(f"callgrind wrote {sorted(p.name for p in fresh)}")
        return {role: Profile().read(f[0]) for role, f in found.items()}

    def written(self):
        """Logger and exporter work behind: until each request has its row in the index."""
        until(lambda: self.admin("GET", "index")["rows"] >= self.rows, 120, "the index to hold every request")
        time.sleep(0.3)

    def checked(self, scheme, *options):
        r = self.load("llmgw", scheme, *options)
        if r["errors"]:
            raise Failed(f"errors under callgrind: {r['errors_by_kind']} {r['first_error']}")
        self.rows += options[options.index("--requests") + 1]


def mallocs(profile):
    return sum(profile.calls[f] for f in ALLOCATE)


def show(title, profiles, n, unit, top):
    print(f"\n{title}: " + ", ".join(f"{role} {p.total / n:.0f}" for role, p in profiles.items()) + f" instructions a {unit}; "
          f"allocations of the worker: {mallocs(profiles['worker']) / n:.3f}"
          + "".join(f", {k / n:.3f} by {f}" for f, k in profiles["worker"].callers.most_common(4)))
    for role, p in profiles.items():
        print(f"  {role:<44} {'calls':>8} {'inclusive':>10} {'exclusive':>10}   a {unit}")
        for f, own in p.exclusive.most_common(top if role == "worker" else top // 3):
            print(f"  {f[:44]:<44} {p.calls[f] / n:8.2f} {p.inclusive[f] / n:10.0f} {own / n:10.0f}")


def measure(stage, o, scheme):
    result = {"scheme": scheme, "requests": o.requests, "connections": o.connections}
    body = ["--body-bytes", o.body_bytes] if o.body_bytes else []
    plain = stage.counted(scheme, o.requests, max(400, o.requests // 5), "--connections", o.connections, *body)
    show(f"{scheme}, whole answers", plain, o.requests, "request", o.top)
    result.update((f"{role}_per_request", round(p.total / o.requests, 1)) for role, p in plain.items())
    result["mallocs_per_request"] = round(mallocs(plain["worker"]) / o.requests, 4)
    if o.chunks:
        # Two lengths of stream: the difference is what chunks cost, without the requests around them. chunk_ms keeps them apart.
        n, runs = 4 * o.connections, []
        for chunks in (o.chunks, 3 * o.chunks):
            runs.append(stage.counted(scheme, n, o.connections, "--connections", o.connections, "--stream", "--message", f"mock: chunks={chunks} chunk_ms=40"))
        fewer, more = runs
        for role in ROLES:
            for c in ("exclusive", "inclusive", "calls", "callers"):
                getattr(more[role], c).subtract(getattr(fewer[role], c))
        show(f"{scheme}, streams", more, n * 2 * o.chunks, "chunk", o.top)
        result.update((f"{role}_per_chunk", round(p.total / (n * 2 * o.chunks), 1)) for role, p in more.items())
    return result


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--scheme", choices=("http", "https", "both"), default="both")
    p.add_argument("--requests", type=int, default=2000)
    p.add_argument("--chunks", type=int, default=20, help="0: no streams")
    p.add_argument("--connections", type=int, default=16)
    p.add_argument("--body-bytes", type=int, default=0)
    p.add_argument("--top", type=int, default=30)
    p.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    o = p.parse_args()
    results = []
    try:
        with Counted(o.build) as stage:
            stage.start_mock()
            stage.start_gateway()
            for scheme in ("http", "https") if o.scheme == "both" else (o.scheme,):
                results.append(measure(stage, o, scheme))
    except Failed as e:
        print(f"profile: {e}", file=sys.stderr)
        return 1
    print()
    for r in results:
        print(json.dumps(r))
    return 0


if __name__ == "__main__":
    sys.exit(main())
