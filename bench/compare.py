#!/usr/bin/env python3
"""The gateway against its peers, in turn on the same machine, upstream and load (A B C, C B A, ...), and what it costs when it grows.

  ./dev bench compare nginx                        ./dev bench compare nginx haproxy --steps cpu,latency
  ./dev bench compare all --quick                  about 8 minutes, estimated (peers that cannot be set up are left out, and named)
  ./dev bench compare all --full                   about 50 minutes, estimated

Prints each step as it goes, then one table, then one JSON object per scheme and one for the growth steps. What is measured, and what "added"
means, is in bench/README.md."""
import argparse
import hashlib
import json
import statistics
import sys
import time

from stage import ROOT, Failed, Stage, cpu_by_role, strace_command, syscalls

PEERS = ("nginx", "haproxy", "portkey", "litellm")
TARGET_STEPS = ("cpu", "latency", "stream", "body", "memory")  # the gateway and its peers
OWN_STEPS = ("held", "models", "keys", "syscalls")  # the gateway alone
STEPS = TARGET_STEPS + OWN_STEPS
SLOW_PEERS = {"portkey": 400, "litellm": 60}  # requests a second that they are offered at the most
# what the project promises (issue: "Speed to reach now")
LIMIT = {"http": 1.15, "https": 1.5, "chunk": 1.1, "first_chunk_p99_us": 1500, "held": 1.3, "stream_kib": 24, "after": 1.2, "per_request": 4.2,
         "per_chunk": 2.1, "keys_us": 2, "models": 1.1, "body": 1.0, "idle_mib": 20}
MISSED = []


def say(text):
    print(text, flush=True)


def median(rows, *path):
    values = []
    for r in rows:
        for p in path:
            r = r[p]
        values.append(r)
    return statistics.median(values)


def verdict(value, limit, what):
    if value <= limit:
        return f"ok (at most {limit})"
    MISSED.append(f"{what}: {value:.2f}, at most {limit}")
    return f"MISSED (at most {limit})"


def distrust(rows):
    """Runs that the generator itself calls invalid, and errors by kind, for the reader."""
    bad = sorted({why for r in rows for why in r["invalid_because"]})
    kinds = {}
    for r in rows:
        for kind, n in r["errors_by_kind"].items():
            kinds[kind] = kinds.get(kind, 0) + n
    text = f"   [{sum(not r['valid'] for r in rows)} of {len(rows)} runs doubtful: {'; '.join(bad)}]" if bad else ""
    if kinds:
        text += "   errors: " + ", ".join(f"{n} {k}" for k, n in kinds.items()) + " " + next((r["first_error"] for r in rows if r["first_error"]), "")
    return text


class Comparison:
    def __init__(self, stage, o, pids):
        self.stage, self.o, self.pids, self.seen = stage, o, pids, []
        self.peers = [p for p in pids if p != "llmgw"]

    def in_turn(self, targets, scheme, *options, pairs=None, **more):
        """{target: [result of each round]}; the order turns round every round."""
        rows = {t: [] for t in targets}
        self.seen.append(rows)
        for i in range(pairs or self.o.pairs):
            for t in targets if i % 2 == 0 else reversed(targets):
                rows[t].append(self.stage.load(t, scheme, *options, pid=self.pids.get(t), **more))
        return rows

    def count_errors(self, out, rows):
        for t, of in rows.items():
            out["errors_by_target"][t] = out["errors_by_target"].get(t, 0) + sum(r["errors"] for r in of)

    def ratios(self, rows, *path):
        """{peer: median over the rounds of llmgw / peer}"""
        found = {}
        for p in self.peers:
            values = []
            for a, b in zip(rows[p], rows["llmgw"]):
                for k in path:
                    a, b = a[k], b[k]
                if a > 0:
                    values.append(b / a)
            found[p] = round(statistics.median(values), 3) if values else None
        return found

    def closed(self, scheme, out, name, what, *options, promise=None):
        rows = self.in_turn((*self.peers, "llmgw"), scheme, *options, seconds=self.o.seconds)
        ratios = self.ratios(rows, "cpu", "us_per_request")
        for t, of in rows.items():
            say(f"  {t:8} {median(of, 'cpu', 'us_per_request'):9.2f} µs a request  {median(of, 'rps'):8.0f}/s"
                + (f"   llmgw / {t}: {ratios[t]}" if t in ratios else "") + distrust(of))
        out[name] = {"us_per_request": {t: round(median(of, "cpu", "us_per_request"), 2) for t, of in rows.items()},
                     "rps": {t: round(median(of, "rps")) for t, of in rows.items()}, "ratio": ratios,
                     "steal": round(max(r["steal"] for of in rows.values() for r in of), 3)}
        self.count_errors(out, rows)
        if promise and ratios.get("nginx"):
            say(f"  against nginx {ratios['nginx']}: {verdict(ratios['nginx'], promise, f'{scheme} {what}')}")

    def cpu(self, scheme, out):
        for n in self.o.connections:
            say(f"\n{scheme}: CPU per request, closed loop, {n} connections, 1 KB in, 1 KB out, {self.o.pairs} rounds of {self.o.seconds} s")
            self.closed(scheme, out, f"cpu_{n}", f"CPU per request at {n} connections", "--connections", n, promise=LIMIT[scheme])
            self.by_role(scheme, out[f"cpu_{n}"], n)

    def by_role(self, scheme, out, connections, requests=60000):
        """Whose CPU it is. The exporter keeps the index of logs and usage beside the requests, at low priority: its share is told apart."""
        shares = []
        for _ in range(3):
            before = cpu_by_role(self.stage)
            self.stage.load("llmgw", scheme, "--requests", requests, "--connections", connections, pid=self.pids.get("llmgw"))
            after = cpu_by_role(self.stage)
            shares.append({role: (after[role] - before[role]) / requests for role in after})
        us = {role: round(statistics.median(s[role] for s in shares), 2) for role in shares[0]}
        out["by_role_us"] = {role: v for role, v in us.items() if v >= 0.01}
        text = ", ".join(f"{role} {v:.2f}" for role, v in sorted(out["by_role_us"].items(), key=lambda x: -x[1]))
        say(f"  llmgw by role, µs a request: {text}")
        if "nginx" in self.peers:
            out["ratio_without_index"] = round((sum(us.values()) - us.get("exporter", 0)) / out["us_per_request"]["nginx"], 3)
            say(f"  against nginx without the index: {out['ratio_without_index']}")

    def body(self, scheme, out):
        say(f"\n{scheme}: requests of 100 KB, closed loop, 16 connections")
        self.closed(scheme, out, "body_100k", "CPU per request of 100 KB", "--connections", 16, "--body-bytes", 102400, promise=LIMIT["body"])

    def latency(self, scheme, out):
        out["latency"] = {}
        groups = {}
        for p in self.peers:
            groups.setdefault(min(self.o.rate, SLOW_PEERS.get(p, self.o.rate)), []).append(p)
        groups.setdefault(self.o.rate, [])
        for rate, peers in sorted(groups.items(), reverse=True):
            say(f"\n{scheme}: latency at {rate} requests a second (open loop, from when each was due)")
            rows = self.in_turn(("direct", *peers, "llmgw"), scheme, "--rate", rate, "--connections", 64, seconds=self.o.seconds,
                                pairs=max(2, self.o.pairs // 2))
            at = {t: {q: median(r, "latency_us", q) for q in ("p50", "p99")} for t, r in rows.items()}
            for t, v in at.items():
                added = {q: round(v[q] - at["direct"][q], 1) for q in v}
                say(f"  {t:8} p50 {v['p50']:8.0f}  p99 {v['p99']:8.0f} µs   added {added['p50']:8.0f} {added['p99']:8.0f}{distrust(rows[t])}")
                if t != "direct" and (t != "llmgw" or rate == self.o.rate):
                    out["latency"][t] = {"rate": rate, "added_p50_us": added["p50"], "added_p99_us": added["p99"]}
            self.count_errors(out, rows)

    def stream(self, scheme, out):
        say(f"\n{scheme}: paced streams, 20 started a second, 50 chunks each 20 ms apart")
        peers = [p for p in self.peers if p != "litellm"]  # a thousand chunks a second are several cores of it
        rows = self.in_turn(("direct", *peers, "llmgw"), scheme, "--rate", 20, "--connections", 256, "--stream", "--message",
                            "mock: chunks=50 chunk_ms=20", seconds=self.o.seconds, warmup=2, pairs=max(2, min(3, self.o.pairs)))
        ratios = {p: v for p, v in self.ratios({**{p: [] for p in self.peers}, **rows}, "cpu", "us_per_chunk").items() if v}
        out["stream"] = {}
        for t, r in rows.items():
            v = {f"{h}_{q}": median(r, f"{h}_us", q) for h in ("ttft", "gap") for q in ("p50", "p99", "max")}
            v["cpu"] = median(r, "cpu", "us_per_chunk")
            base = v if t == "direct" else base
            added = v["ttft_p50"] - base["ttft_p50"]
            artefact = 35000 <= added <= 50000 or 95000 <= added <= 220000
            say(f"  {t:8} first chunk p50 {v['ttft_p50'] / 1000:7.2f} p99 {v['ttft_p99'] / 1000:7.2f} ms   gap p50 {v['gap_p50'] / 1000:6.2f} p99 "
                f"{v['gap_p99'] / 1000:6.2f} max {v['gap_max'] / 1000:6.2f} ms   {v['cpu']:6.1f} µs CPU a chunk"
                + ("   HELD BACK as if TCP_NODELAY were off (40 ms) or output corked (100-200 ms)" if artefact else "") + distrust(r))
            if t != "direct":
                out["stream"][t] = {"cpu_per_chunk_us": round(v["cpu"], 2), "ratio": ratios.get(t), "artefact_40_200_ms": artefact,
                                    **{f"added_{h}_{q}_us": round(v[f"{h}_{q}"] - base[f"{h}_{q}"], 1) for h in ("ttft", "gap") for q in ("p50", "p99")}}
        self.count_errors(out, rows)
        if ratios.get("nginx"):
            say(f"  CPU per chunk against nginx {ratios['nginx']}: {verdict(ratios['nginx'], LIMIT['chunk'], f'{scheme} CPU per chunk')}")
        p99 = out["stream"]["llmgw"]["added_ttft_p99_us"]
        say(f"  first chunk, added p99 {p99:.0f} µs: {verdict(p99, LIMIT['first_chunk_p99_us'], f'{scheme} first chunk p99')}")

    def memory(self, scheme, out):
        """Idle tree, with streams open, and after they closed: proportional size, shared pages once."""
        say(f"\n{scheme}: memory of the process tree: now, with {self.o.held} streams open, 6 s after they closed")
        out["memory"] = {}
        for t in (*self.peers, "llmgw"):
            held = min(self.o.held, {"portkey": 1000, "litellm": 100}.get(t, self.o.held))
            r = self.stage.load(t, scheme, "--requests", 100, "--connections", 4, "--hold-streams", held, "--hold-message",
                                "mock: chunks=1000000 chunk_ms=5000", "--hold-quiet", "2s", "--settle", "6s", pid=self.pids[t])
            m = {k: v["pss_bytes"] / 1024 for k, v in r["memory"].items() if isinstance(v, dict)}
            out["memory"][t] = {"streams": r["held_streams"], "before_mib": round(m["before"] / 1024, 1),
                                "kib_per_stream": round((m["held"] - m["before"]) / max(1, r["held_streams"]), 2), "after_ratio": round(m["after"] / m["before"], 3)}
            say(f"  {t:8} {m['before'] / 1024:8.1f} MiB   {out['memory'][t]['kib_per_stream']:7.1f} KiB a stream ({r['held_streams']})   after "
                f"{m['after'] / 1024:8.1f} MiB{distrust([r])}")
            out["errors_by_target"][t] = out["errors_by_target"].get(t, 0) + r["errors"]
        own = out["memory"]["llmgw"]
        say(f"  a stream {verdict(own['kib_per_stream'], LIMIT['stream_kib'], f'{scheme} KiB a stream')}; after closing "
            f"{verdict(own['after_ratio'], LIMIT['after'], f'{scheme} memory after closing, of before')}")

    def held(self, scheme, out):
        say(f"\n{scheme}: cost of a short request beside {self.o.held} open streams, and beside none (closed loop, 16 connections)")
        none, many = [], []
        for _ in range(max(1, min(3, self.o.pairs // 2 + 1))):
            none.append(self.stage.load("llmgw", scheme, "--connections", 16, pid=self.pids["llmgw"], seconds=self.o.seconds))
            many.append(self.stage.load("llmgw", scheme, "--connections", 16, "--hold-streams", self.o.held, "--hold-message",
                                        "mock: chunks=1000000 chunk_ms=2000", "--hold-quiet", "4s", pid=self.pids["llmgw"], seconds=self.o.seconds))
            say(f"  none {none[-1]['cpu']['us_per_request']:6.2f} µs {none[-1]['rps']:7.0f}/s   {many[-1]['held_streams']} streams "
                f"{many[-1]['cpu']['us_per_request_without_held']:6.2f} µs {many[-1]['rps']:7.0f}/s   (the streams alone "
                f"{many[-1]['cpu']['held_us_per_second']:.0f} µs a second)")
        ratio = statistics.median(b["cpu"]["us_per_request_without_held"] / a["cpu"]["us_per_request"] for a, b in zip(none, many))
        out["held_streams"], out["held_ratio"] = self.o.held, round(ratio, 3)
        self.count_errors(out, {"llmgw": none + many})
        say(f"  ratio {ratio:.2f}: {verdict(ratio, LIMIT['held'], f'{scheme} request beside {self.o.held} streams')}{distrust(none + many)}")


# --- growth: gateways of their own, small and large, in turn ---

def token(i):
    return f"sk-bench-{i:08d}-{hashlib.md5(str(i).encode()).hexdigest()}"


def grown(o, models=1, keys=1):
    """A gateway with that many models and keys, and the options that make the load use them all."""
    s = Stage(o.build)
    s.__enter__()
    try:
        s.start_mock()
        pid = s.start_gateway()
        for first in range(0, models if models > 1 else 0, 500):
            s.admin("POST", "config:apply", [{"kind": "model", "id": f"bench-m{i}", "targets": [{"deployment": "http"}]} for i in range(first, min(models, first + 500))])
        options = ["--model", f"bench-m{{0..{models - 1}}}" if models > 1 else "bench-http"]
        for first in range(0, keys if keys > 1 else 0, 10000):
            s.admin("POST", "config:apply?wait=none", [{"kind": "key", "id": f"k{i}", "org": "bench", "team": "bench",
                                                        "import_sha256": hashlib.sha256(token(i).encode()).hexdigest()}
                                                       for i in range(first, min(keys, first + 10000))])
        if keys > 1:
            (s.folder / "keys").write_text("\n".join(token(i) for i in range(keys)))
            options += ["--key-file", s.folder / "keys"]
        return s, pid, options
    except BaseException:
        s.__exit__(*sys.exc_info())
        raise


def growth(o, small, large, what):
    """Median CPU per request of both, in turn."""
    stages = []
    try:
        began = time.monotonic()
        for size in (small, large):
            stages.append(grown(o, **size))
        say(f"  set up in {time.monotonic() - began:.0f} s")
        rows = ([], [])
        for i in range(o.pairs + 1):  # the first round warms caches
            for k in (0, 1) if i % 2 == 0 else (1, 0):
                s, pid, options = stages[k]
                r = s.load("llmgw", "http", "--connections", 64, *options, pid=pid, seconds=o.seconds)
                if i > 0:
                    rows[k].append(r)
        a, b = (median(r, "cpu", "us_per_request") for r in rows)
        say(f"  {what}: {a:.2f} µs and {b:.2f} µs a request: {b - a:+.2f} µs, ratio {b / a:.3f}{distrust(rows[0] + rows[1])}")
        return {"small": small, "large": large, "small_us": round(a, 2), "large_us": round(b, 2), "added_us": round(b - a, 2), "ratio": round(b / a, 3),
                "errors": sum(r["errors"] for r in rows[0] + rows[1])}
    finally:
        for s, _, _ in stages:
            s.__exit__(*(sys.exc_info() if sys.exc_info()[0] else (None, None, None)))


def idle(o):
    """A gateway that nobody has asked anything, 2 workers: proportional size of the whole tree."""
    with Stage(o.build) as s:
        s.start_mock()
        pid = s.start_gateway()
        time.sleep(3)
        r = s.load("direct", "http", "--requests", 10, "--connections", 1, pid=pid)
    mib = r["memory"]["end"]["pss_bytes"] / 1048576
    say(f"\nidle, 2 workers, whole tree: {mib:.1f} MiB {verdict(mib, LIMIT['idle_mib'], 'idle MiB')}")
    return round(mib, 2)


def count_syscalls(o, lines):
    say("\nsystem calls of all processes, gateway started under strace: 64 connections, 16000 requests; 64 streams of 100 chunks, 22 ms apart")
    for scheme, out in lines.items():
        with Stage(o.build) as stage:
            stage.start_mock()
            trace = stage.folder / "strace.out"
            stage.start_gateway(under=strace_command(trace))
            r = syscalls(stage, trace, scheme)
        for what in ("per_request", "per_chunk"):
            out[f"syscalls_{what}"] = round(r[what], 3)
            say(f"  {scheme} {what.replace('_', ' ')}: {r[what]:.2f} {verdict(r[what], LIMIT[what], f'{scheme} system calls {what}')}")
            for role, calls in sorted(r[what + "_by_role"].items(), key=lambda x: -sum(x[1].values())):
                say(f"    {role:8} {'  '.join(f'{c} {n}' for c, n in calls.items() if n >= 0.005)}")


def table(lines, targets, versions):
    """One row for each target and scheme."""
    head = f"{'':18} {'version':18} {'CPU/req µs':>10} {'llmgw/it':>8} {'added p50':>9} {'p99 µs':>8} {'chunk µs':>8} {'first chunk p99':>15} {'KiB/stream':>10} {'MiB':>7} {'errors':>6}"
    say("\n" + head + "\n" + "-" * len(head))

    def cell(value, width, digits=1):
        return f"{'–' if value is None else format(value, f'.{digits}f'):>{width}}"

    for scheme, out in lines.items():
        cpu = next((v for k, v in out.items() if k.startswith("cpu_")), {})
        for t in targets:
            lat, st, mem = (out.get(k, {}).get(t, {}) for k in ("latency", "stream", "memory"))
            say(f"{t + ' ' + scheme:18} {versions.get(t, 'this build'):18} {cell(cpu.get('us_per_request', {}).get(t), 10)} {cell(cpu.get('ratio', {}).get(t), 8, 2)} "
                f"{cell(lat.get('added_p50_us'), 9, 0)} {cell(lat.get('added_p99_us'), 8, 0)} {cell(st.get('cpu_per_chunk_us'), 8)} "
                f"{cell(st.get('added_ttft_p99_us'), 15, 0)} {cell(mem.get('kib_per_stream'), 10)} {cell(mem.get('before_mib'), 7)} {out['errors_by_target'].get(t, 0):>6}")


def options():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("peers", nargs="+", choices=[*PEERS, "all"], metavar="PEER", help=f"{', '.join(PEERS)} or all")
    a.add_argument("--quick", action="store_true", help="2 rounds of 2 s, 64 connections, 1,000 streams, http, 20,000 keys")
    a.add_argument("--full", action="store_true", help="5 rounds of 5 s, 64 and 256 connections, 9,000 streams, both schemes, a million keys")
    a.add_argument("--scheme", choices=["http", "https", "both"])
    a.add_argument("--pairs", type=int)
    a.add_argument("--seconds", type=float)
    a.add_argument("--connections", type=lambda v: [int(x) for x in v.split(",")])
    a.add_argument("--rate", type=int, default=2000)
    a.add_argument("--held", type=int, help="open streams of the steps held and memory")
    a.add_argument("--keys", type=int, help="keys of the large gateway in the step keys")
    a.add_argument("--steps", default=",".join(STEPS))
    a.add_argument("--build", default=str(ROOT / "build"))
    o = a.parse_args()
    given = {"scheme": "http", "pairs": 2, "seconds": 2, "connections": [64], "held": 1000, "keys": 20000} if o.quick else \
        {"scheme": "both", "pairs": 5, "seconds": 5, "connections": [64, 256], "held": 9000, "keys": 1000000} if o.full else \
        {"scheme": "both", "pairs": 3, "seconds": 3, "connections": [64], "held": 4000, "keys": 100000}
    for k, v in given.items():
        if getattr(o, k) is None:
            setattr(o, k, v)
    o.steps = o.steps.split(",")
    if set(o.steps) - set(STEPS):
        a.error(f"--steps wants some of {','.join(STEPS)}")
    o.skip_missing = "all" in o.peers
    o.peers = PEERS if o.skip_missing else tuple(dict.fromkeys(o.peers))
    return o


def check_files(o, stage):
    """Both ends of a stream are files of one worker, of mockllm, of the generator: fewer streams where the limit is low."""
    most = (stage.files - 500) // 2
    if o.held > most:
        say(f"note: the limit of open files is {stage.files} (ulimit -Hn): {most} streams instead of {o.held}")
        o.held = most


def start_peers(o, stage):
    pids = {}
    for p in o.peers:
        try:
            pids[p] = stage.start_peer(p)
        except Failed as e:
            if not o.skip_missing:
                raise
            say(f"note: {p} is left out: {e}")
    return pids


def measure(o, lines, own):
    steps, versions, targets = [s for s in o.steps if s in (*TARGET_STEPS, "held")], {}, ["llmgw"]
    if steps:
        with Stage(o.build) as stage:
            check_files(o, stage)
            stage.start_mock()
            pids = {**start_peers(o, stage), "llmgw": stage.start_gateway()}
            versions, targets = stage.versions, list(pids)
            c = Comparison(stage, o, pids)
            if "memory" in steps:  # of both schemes, before load fills pools and rings
                for scheme, out in lines.items():
                    c.memory(scheme, out)
            for scheme, out in lines.items():
                for t in pids:
                    stage.load(t, scheme, "--connections", 16, seconds=1, warmup=0)
                for step in steps:
                    if step != "memory":
                        getattr(c, step)(scheme, out)
                out["doubtful_runs"] = sum(not r["valid"] for rows in c.seen for of in rows.values() for r in of)
                c.seen.clear()
    if "memory" in o.steps:
        own["idle_mib"] = idle(o)
    if "models" in o.steps:
        say("\nhttp: cost with 1,000 models and with 1")
        own["models"] = growth(o, {"models": 1}, {"models": 1000}, "1 and 1,000 models")
        say(f"  {verdict(own['models']['ratio'], LIMIT['models'], 'models 1,000 against 1')}")
    if "keys" in o.steps:
        few = min(10000, o.keys // 2)
        say(f"\nhttp: cost with {o.keys} keys and with {few}, every request with another key")
        own["keys"] = growth(o, {"keys": few}, {"keys": o.keys}, f"{few} and {o.keys} keys")
        say(f"  {verdict(own['keys']['added_us'], LIMIT['keys_us'], 'keys, added µs')}")
    if "syscalls" in o.steps:
        count_syscalls(o, lines)
    return targets, versions


def main():
    o = options()
    lines = {s: {"scheme": s, "errors_by_target": {}} for s in (("http", "https") if o.scheme == "both" else (o.scheme,))}
    own = {"growth": True}
    began = time.monotonic()
    try:
        targets, versions = measure(o, lines, own)
    except Failed as e:
        sys.exit(f"bench: {e}")
    table(lines, targets, versions)
    say(f"\ntook {(time.monotonic() - began) / 60:.1f} minutes; " + ("missed: " + "; ".join(MISSED) if MISSED else "every promise kept"))
    for out in lines.values():
        say(json.dumps({**out, "versions": versions}))
    say(json.dumps(own))


if __name__ == "__main__":
    main()
