#!/usr/bin/env python3
"""Compares the gateway with a peer, in turn on the same machine, upstream and load (A B A B ...), and prints medians.

  bench/compare.py nginx [--scheme http|https|both] [--pairs 5] [--seconds 5] [--connections 64] [--steps cpu,latency,stream,held,syscalls]

What is measured, and what "added" means, is in bench/README.md. The last lines are one JSON object per scheme."""
import argparse
import json
import statistics
import sys

from stage import ROOT, Failed, Stage, strace_command, syscalls

STEPS = ("cpu", "latency", "stream", "held", "syscalls")
HELD = 4000
# what the project promises
LIMIT = {"http": 1.5, "https": 2.0, "per_request": 5.0, "per_chunk": 2.5, "held": 1.5}


def say(text):
    print(text, flush=True)


def median(rows, *path):
    values = []
    for r in rows:
        for p in path:
            r = r[p]
        values.append(r)
    return statistics.median(values)


def verdict(value, limit):
    return f"{'ok' if value <= limit else 'MISSED'} (at most {limit})"


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

    def in_turn(self, targets, scheme, *options, pairs=None, **more):
        """{target: [result of each round]}; the order turns round every round."""
        rows = {t: [] for t in targets}
        self.seen.append(rows)
        for i in range(pairs or self.o.pairs):
            for t in targets if i % 2 == 0 else reversed(targets):
                rows[t].append(self.stage.load(t, scheme, *options, pid=self.pids.get(t), **more))
        return rows

    def cpu(self, scheme, out):
        say(f"\n{scheme}: CPU per request, closed loop, {self.o.connections} connections, 1 KB in, 1 KB out, {self.o.pairs} pairs of {self.o.seconds} s")
        rows = self.in_turn(("nginx", "llmgw"), scheme, "--connections", self.o.connections, seconds=self.o.seconds)
        ratios = [b["cpu"]["us_per_request"] / a["cpu"]["us_per_request"] for a, b in zip(rows["nginx"], rows["llmgw"])]
        for i, (a, b) in enumerate(zip(rows["nginx"], rows["llmgw"])):
            say(f"  pair {i + 1}: nginx {a['cpu']['us_per_request']:6.2f} µs {a['rps']:8.0f}/s   llmgw {b['cpu']['us_per_request']:6.2f} µs "
                f"{b['rps']:8.0f}/s   ratio {ratios[i]:.2f}")
        out.update(cpu_per_request_us=round(median(rows["llmgw"], "cpu", "us_per_request"), 2),
                   peer_cpu_per_request_us=round(median(rows["nginx"], "cpu", "us_per_request"), 2),
                   cpu_per_request_ratio=round(statistics.median(ratios), 3),
                   rps=round(median(rows["llmgw"], "rps")), peer_rps=round(median(rows["nginx"], "rps")),
                   steal=round(max(r["steal"] for t in rows.values() for r in t), 3))
        out["errors"] += sum(r["errors"] for r in rows["llmgw"])
        out["peer_errors"] += sum(r["errors"] for r in rows["nginx"])
        say(f"  ratio {out['cpu_per_request_ratio']}: {verdict(out['cpu_per_request_ratio'], LIMIT[scheme])}{distrust(rows['llmgw'] + rows['nginx'])}")

    def latency(self, scheme, out):
        rate = self.o.rate
        say(f"\n{scheme}: latency at {rate} requests a second (open loop, from when each was due)")
        rows = self.in_turn(("direct", "nginx", "llmgw"), scheme, "--rate", rate, "--connections", self.o.connections,
                            seconds=self.o.seconds, pairs=max(3, self.o.pairs // 2))
        at = {t: {q: median(r, "latency_us", q) for q in ("p50", "p99", "p999")} for t, r in rows.items()}
        for t, v in at.items():
            say(f"  {t:7} p50 {v['p50']:8.0f}  p99 {v['p99']:8.0f}  p99.9 {v['p999']:8.0f} µs{distrust(rows[t])}")
        for t, name in (("llmgw", "added"), ("nginx", "peer_added")):
            for q in ("p50", "p99"):
                out[f"{name}_{q}_us"] = round(at[t][q] - at["direct"][q], 1)
        out["rate"] = rate
        out["errors"] += sum(r["errors"] for r in rows["llmgw"])

    def stream(self, scheme, out):
        say(f"\n{scheme}: paced streams, 20 started a second, 50 chunks each 20 ms apart")
        rows = self.in_turn(("direct", "nginx", "llmgw"), scheme, "--rate", 20, "--connections", 256, "--stream", "--message",
                            "mock: chunks=50 chunk_ms=20", seconds=self.o.seconds, warmup=2, pairs=3)
        at = {}
        for t, r in rows.items():
            at[t] = {f"{h}_{q}": median(r, f"{h}_us", q) for h in ("ttft", "gap") for q in ("p50", "p99", "max")}
            at[t]["cpu"] = median(r, "cpu", "us_per_chunk")
            say(f"  {t:7} first chunk p50 {at[t]['ttft_p50'] / 1000:7.2f} p99 {at[t]['ttft_p99'] / 1000:7.2f} ms   gap p50 {at[t]['gap_p50'] / 1000:6.2f} "
                f"p99 {at[t]['gap_p99'] / 1000:6.2f} max {at[t]['gap_max'] / 1000:6.2f} ms   {at[t]['cpu']:6.1f} µs CPU a chunk{distrust(r)}")
        for q in ("p50", "p99"):
            out[f"added_first_chunk_{q}_us"] = round(at["llmgw"][f"ttft_{q}"] - at["direct"][f"ttft_{q}"], 1)
            out[f"added_gap_{q}_us"] = round(at["llmgw"][f"gap_{q}"] - at["direct"][f"gap_{q}"], 1)
        out.update(cpu_per_chunk_us=round(at["llmgw"]["cpu"], 2), peer_cpu_per_chunk_us=round(at["nginx"]["cpu"], 2))
        added = at["llmgw"]["ttft_p50"] - at["direct"]["ttft_p50"]
        out["artefact_40_200_ms"] = 35000 <= added <= 50000 or 95000 <= added <= 220000
        if out["artefact_40_200_ms"]:
            say("  MISSED: the first chunk is held back as if TCP_NODELAY were off (40 ms) or output were corked (200 ms)")
        out["errors"] += sum(r["errors"] for r in rows["llmgw"])

    def held(self, scheme, out):
        say(f"\n{scheme}: cost of a short request beside {HELD} open streams, and beside none (closed loop, 16 connections)")
        none, many = [], []
        for i in range(3):
            none.append(self.stage.load("llmgw", scheme, "--connections", 16, pid=self.pids["llmgw"], seconds=self.o.seconds))
            many.append(self.stage.load("llmgw", scheme, "--connections", 16, "--hold-streams", HELD, "--hold-message",
                                        "mock: chunks=1000000 chunk_ms=2000", "--hold-quiet", "4s", pid=self.pids["llmgw"],
                                        seconds=self.o.seconds))
            say(f"  none {none[-1]['cpu']['us_per_request']:6.2f} µs {none[-1]['rps']:7.0f}/s   {many[-1]['held_streams']} streams "
                f"{many[-1]['cpu']['us_per_request_without_held']:6.2f} µs {many[-1]['rps']:7.0f}/s   (the streams alone "
                f"{many[-1]['cpu']['held_us_per_second']:.0f} µs a second)")
        ratio = statistics.median(b["cpu"]["us_per_request_without_held"] / a["cpu"]["us_per_request"] for a, b in zip(none, many))
        out["held_streams"], out["held_ratio"] = HELD, round(ratio, 3)
        out["errors"] += sum(r["errors"] for r in none + many)
        say(f"  ratio {ratio:.2f}: {verdict(ratio, LIMIT['held'])}{distrust(none + many)}")


def count_syscalls(o, lines):
    say("\nsystem calls of all processes, gateway started under strace: 64 connections, 6400 requests; 64 streams of 100 chunks, 30 ms apart")
    for scheme, out in lines.items():
        with Stage(o.build) as stage:
            stage.start_mock()
            trace = stage.folder / "strace.out"
            stage.start_gateway(under=strace_command(trace))
            r = syscalls(stage, trace, scheme)
        for what in ("per_request", "per_chunk"):
            out[f"syscalls_{what}"] = round(r[what], 3)
            say(f"  {scheme} {what.replace('_', ' ')}: {r[what]:.2f} {verdict(r[what], LIMIT[what])}")
            for role, calls in sorted(r[what + "_by_role"].items(), key=lambda x: -sum(x[1].values())):
                say(f"    {role:8} {'  '.join(f'{c} {n}' for c, n in calls.items() if n >= 0.005)}")


def main():
    a = argparse.ArgumentParser(description="gateway against a peer, in turn")
    a.add_argument("peer", choices=["nginx"])
    a.add_argument("--scheme", choices=["http", "https", "both"], default="both")
    a.add_argument("--pairs", type=int, default=5)
    a.add_argument("--seconds", type=float, default=5)
    a.add_argument("--connections", type=int, default=64)
    a.add_argument("--rate", type=int, default=2000)
    a.add_argument("--steps", default=",".join(STEPS))
    a.add_argument("--build", default=str(ROOT / "build"))
    o = a.parse_args()
    steps = o.steps.split(",")
    if set(steps) - set(STEPS):
        a.error(f"--steps wants some of {','.join(STEPS)}")
    lines = {s: {"peer": o.peer, "scheme": s, "errors": 0, "peer_errors": 0} for s in (("http", "https") if o.scheme == "both" else (o.scheme,))}
    try:
        if set(steps) - {"syscalls"}:
            with Stage(o.build) as stage:
                stage.start_mock()
                c = Comparison(stage, o, {"nginx": stage.start_nginx(), "llmgw": stage.start_gateway()})
                for scheme, out in lines.items():
                    for t in ("nginx", "llmgw"):
                        stage.load(t, scheme, "--connections", o.connections, seconds=1, warmup=0)
                    for step in steps:
                        if step != "syscalls":
                            getattr(c, step)(scheme, out)
                    out["doubtful_runs"] = sum(not r["valid"] for rows in c.seen for of in rows.values() for r in of)
                    c.seen.clear()
        if "syscalls" in steps:
            count_syscalls(o, lines)
    except Failed as e:
        sys.exit(f"bench: {e}")
    say("")
    for out in lines.values():
        say(json.dumps(out))


if __name__ == "__main__":
    main()
