#!/usr/bin/env python3
"""How fast a change is served by all workers, at 100,000 keys and 1,000 models, and what publishing costs requests under way.

  bench/visibility.py [--build build] [--keys 100000] [--models 1000] [--writes 200] [--rate 500]

Starts mockllm and a gateway in a folder of their own on loopback, loads the objects, then writes one object after the other (keys and models
in turn, each answered when every worker serves it) while llmgw-bench sends requests at a constant rate; the same load runs once without writes.
Prints one JSON line."""
import argparse
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait(what, seconds, text):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if what():
                return
        except OSError:
            pass
        time.sleep(0.02)
    sys.exit(f"waited {seconds} s in vain for {text}")


class Admin:
    def __init__(self, port, token):
        self.conn = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.head = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(self, method, path, body=None):
        self.conn.request(method, path, None if body is None else json.dumps(body), self.head)
        r = self.conn.getresponse()
        text = r.read()
        if r.status >= 300:
            sys.exit(f"{method} {path}: HTTP {r.status}: {text[:300]!r}")
        return json.loads(text)


def quantile(v, q):
    v = sorted(v)
    return v[min(len(v) - 1, int(q * len(v)))]


def load(admin, url, keys, models):
    admin.call("PATCH", "/admin/v1/settings/default", {"max_connections_per_ip": 10000, "max_in_flight_per_key": 10000})
    objects = [{"kind": "provider", "id": "mock", "type": "openai-compatible", "base_url": url + "/v1", "allow_private": ["127.0.0.1/32"]},
               {"kind": "deployment", "id": "d0", "provider": "mock", "upstream_model": "mock-model", "activation": "immediate"}]
    objects += [{"kind": "model", "id": f"m{i}", "targets": [{"deployment": "d0"}]} for i in range(models)]
    admin.call("POST", "/admin/v1/config:apply", objects)
    for first in range(0, keys, 10000):
        admin.call("POST", "/admin/v1/config:apply?wait=none",
                   [{"kind": "key", "id": f"k{i}", "name": f"key number {i}"} for i in range(first, min(keys, first + 10000))])
    return admin.call("POST", "/admin/v1/keys", {"id": "bench"})["token"]


def bench(build, port, key, rate, seconds):
    return subprocess.Popen([str(build / "llmgw-bench"), "--url", f"http://127.0.0.1:{port}/v1", "--model", "m0", "--rate", str(rate),
                             "--connections", "32", "--duration", str(seconds), "--warmup", "1", "--json"],
                            env={**os.environ, "LLMGW_KEY": key}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def result(p):
    out = p.communicate(timeout=300)[0]
    return json.loads(out.strip().splitlines()[-1])


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--build", default=str(ROOT / "build"))
    a.add_argument("--keys", type=int, default=100000)
    a.add_argument("--models", type=int, default=1000)
    a.add_argument("--writes", type=int, default=200)
    a.add_argument("--rate", type=int, default=500)
    o = a.parse_args()
    build, dir_ = pathlib.Path(o.build), tempfile.mkdtemp(prefix="llmgw-visibility-")
    data, admin_ports = free_port(), free_port()
    procs = []
    try:
        mock = subprocess.Popen([str(build / "mockllm"), "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
        procs.append(mock)
        url = mock.stdout.readline().split()[-1]
        gw = subprocess.Popen([str(build / "llmgw"), "--data-dir", dir_, "--root-key", dir_ + ".key", "--runtime-dir", f"/dev/shm/{os.path.basename(dir_)}",
                               "--listen", f"127.0.0.1:{data}", "--admin-listen", f"127.0.0.1:{admin_ports}", "--allow-root"],
                              stderr=open(dir_ + ".log", "w"))
        procs.append(gw)
        wait(lambda: http_ok(admin_ports), 20, "the gateway")
        admin = Admin(admin_ports, pathlib.Path(dir_, "admin.token").read_text().strip())
        began = time.monotonic()
        key = load(admin, url, o.keys, o.models)
        loaded = time.monotonic() - began
        seconds = max(5, int(o.writes * 0.1) + 2)
        quiet = result(bench(build, data, key, o.rate, seconds))
        p = bench(build, data, key, o.rate, seconds)
        time.sleep(1.5)
        visible = {"key": [], "model": []}
        for i in range(o.writes):
            began = time.monotonic()
            if i % 2:
                admin.call("PATCH", f"/admin/v1/keys/k{i % o.keys}", {"name": f"changed {i}"})
            else:
                admin.call("PATCH", f"/admin/v1/models/m{i % o.models}", {"hidden": bool(i // 2 % 2)})
            visible["model" if i % 2 == 0 else "key"].append((time.monotonic() - began) * 1000)
            time.sleep(max(0, 0.08 - (time.monotonic() - began)))
        busy = result(p)
        print(json.dumps({"keys": o.keys, "models": o.models, "load_s": round(loaded, 1),
                          **{f"{k}_visible_{n}_ms": round(quantile(v, q), 2) for k, v in visible.items() for n, q in (("p50", .5), ("p99", .99))},
                          "p999_quiet_us": quiet["latency_us"]["p999"], "p999_publishing_us": busy["latency_us"]["p999"], "errors": busy.get("errors"),
                          "writes": o.writes, "rate": o.rate}))
    finally:
        for p in reversed(procs):
            p.send_signal(signal.SIGTERM)
        for p in procs:
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()
        shutil.rmtree(dir_, ignore_errors=True)
        shutil.rmtree(f"/dev/shm/{os.path.basename(dir_)}", ignore_errors=True)


def http_ok(port):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    c.request("GET", "/readyz")
    return c.getresponse().status == 200


if __name__ == "__main__":
    main()
