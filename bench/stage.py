"""What a measurement needs on its stage: mockllm (http and https), a peer, the gateway with its objects, and the load generator. All on
loopback, in a folder of their own, on free ports; everything is ended by its own number."""
import collections
import contextlib
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORKERS = 2


class Failed(Exception):
    """Something on the stage did not do what it must."""


def free_ports(n):
    """Ports below the range that the kernel gives to outgoing connections, so that the load does not take them."""
    found, port = [], 20000 + os.getpid() % 8000
    while len(found) < n:
        port = port + 1 if port < 32000 else 20000
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found


def until(what, seconds, text):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            v = what()
            if v:
                return v
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.02)
    raise Failed(f"waited {seconds} s in vain for {text}")


def answers(port):
    socket.create_connection(("127.0.0.1", port), 1).close()
    return True


def certificates(folder):
    """A CA for this run and a certificate for localhost, by the openssl command."""
    def run(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    (folder / "ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
    run("req", "-x509", *key, "-days", "7", "-subj", "/CN=llmgw bench CA", "-keyout", "ca.key", "-out", "ca.pem")
    run("req", *key, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    run("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "7", "-extfile", "ext",
        "-out", "server.pem")


class Stage:
    """A folder and the processes that were started in it."""

    workers = WORKERS

    def __init__(self, build):
        self.build = pathlib.Path(build).resolve()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="llmgw-bench-"))
        self.processes, self.runtime, self.master = {}, [], None
        self.peer_ports, self.headers, self.versions = {}, {}, {}
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # thousands of streams; children inherit it
        self.files = hard

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.master:  # a tracer that is ended lets go of what it traced; the other way round both end
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.master, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.processes["llmgw"].wait(60)
        for p in reversed(self.processes.values()):
            if p.poll() is None:
                p.send_signal(signal.SIGTERM)
        for name, p in reversed(self.processes.items()):
            try:
                p.wait(30)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        for r in self.runtime:
            shutil.rmtree(r, ignore_errors=True)
        if kind is None:
            shutil.rmtree(self.folder)
        elif kind is not KeyboardInterrupt:
            print(f"bench: what was going on is in {self.folder}")

    def binary(self, name):
        for sub in ("", "bench", "master", "admin-cli"):
            if (self.build / sub / name).is_file():
                return str(self.build / sub / name)
        raise Failed(f"{name} is not built in {self.build}; ninja -C {self.build}")

    def launch(self, name, argv, env=None):
        with open(self.folder / f"{name}.log", "wb") as log:
            self.processes[name] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        return self.processes[name].pid

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    # --- the actors ---
    def start_mock(self, threads=1):
        self.http_upstream, self.https_upstream = free_ports(2)
        certificates(self.folder)
        base = [self.binary("mockllm"), "--threads", str(threads), "--keep", "1", "--listen"]
        self.launch("mock", base + [f"127.0.0.1:{self.http_upstream}"])
        self.launch("mocks", base + [f"127.0.0.1:{self.https_upstream}", "--tls-cert", str(self.folder / "server.pem"),
                                     "--tls-key", str(self.folder / "server.key")])
        until(lambda: answers(self.http_upstream) and answers(self.https_upstream), 10, "mockllm to listen")

    def start_peer(self, name):
        """A peer of bench/peers: set up if it must be, started; the pid that its processes descend from."""
        script = ROOT / "bench/peers" / name / "peer"
        r = subprocess.run([str(script), "setup"], capture_output=True, text=True, timeout=900)
        if r.returncode:
            raise Failed(f"{name} cannot be set up: {r.stderr.strip()[-500:]}")
        self.versions[name] = subprocess.run([str(script), "version"], capture_output=True, text=True, timeout=60).stdout.strip()
        ports = dict(zip(("http", "https"), free_ports(2)))
        where = self.folder / name
        where.mkdir()
        env = dict(os.environ, DIR=str(where), WORKERS=str(WORKERS), FILES=str(self.files), CA=str(self.folder / "ca.pem"),
                   HTTP_UPSTREAM=str(self.http_upstream), HTTPS_UPSTREAM=str(self.https_upstream), HTTP_PORT=str(ports["http"]),
                   HTTPS_PORT=str(ports["https"]))
        pid = self.launch(name, [str(script), "start"], env)
        headers = script.parent / "headers.in"
        self.headers[name] = headers.read_text().split("\n") if headers.exists() else []
        if self.headers[name] or name == "litellm":  # one port for both schemes
            ports["https"] = ports["http"]
        self.peer_ports[name] = ports
        until(lambda: self.peer_serves(name), 300, f"{name} to answer; its log ends:\n{self.log(name)[-1500:]}")
        return pid

    def headers_of(self, name, scheme):
        upstream = str(self.https_upstream if scheme == "https" else self.http_upstream)
        return [h.replace("@SCHEME@", scheme).replace("@UPSTREAM@", upstream) for h in self.headers.get(name, []) if h]

    def peer_serves(self, name):
        if self.processes[name].poll() is not None:
            raise Failed(f"{name} ended:\n{self.log(name)[-2000:]}")
        c = http.client.HTTPConnection("127.0.0.1", self.peer_ports[name]["http"], timeout=20)
        c.request("POST", "/v1/chat/completions", json.dumps({"model": "bench-http", "messages": [{"role": "user", "content": "hello"}]}),
                  {"Authorization": "Bearer sk-mock-credential", "Content-Type": "application/json", **dict(h.split(": ", 1) for h in self.headers_of(name, "http"))})
        return c.getresponse().status == 200

    def start_nginx(self):
        pid = self.start_peer("nginx")
        self.nginx_ports = self.peer_ports["nginx"]
        return pid

    def start_gateway(self, under=(), more=(), env=None):
        """llmgw with two models, one for each mock; returns the pid that its processes descend from. `more`: further options."""
        self.port, self.admin_port = free_ports(2)
        runtime = pathlib.Path("/dev/shm") / self.folder.name
        self.runtime.append(runtime)
        argv = [*under, self.binary("llmgw"), "--data-dir", str(self.folder / "data"), "--runtime-dir", str(runtime), "--root-key",
                str(self.folder / "root.key"), "--listen", f"127.0.0.1:{self.port}", "--admin-listen", f"127.0.0.1:{self.admin_port}",
                "--workers", str(self.workers), *more]
        pid = self.launch("llmgw", argv + (["--allow-root"] if os.geteuid() == 0 else []), env)
        until(self.is_ready, 60, f"llmgw to be ready; its log ends:\n{self.log('llmgw')[-2000:]}")
        self.token = (self.folder / "data/admin.token").read_text().strip()
        self.master = self.admin("GET", "status")["master_pid"] if under else None
        self.configure()
        return pid

    def is_ready(self):
        if self.processes["llmgw"].poll() is not None:
            raise Failed(f"llmgw ended:\n{self.log('llmgw')[-2000:]}")
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        c.request("GET", "/readyz")
        return c.getresponse().status == 200

    def admin(self, method, path, body=None):
        c = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=60)
        c.request(method, "/admin/v1/" + path, None if body is None else json.dumps(body),
                  {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        r = c.getresponse()
        text = r.read()
        if r.status >= 300:
            raise Failed(f"{method} /admin/v1/{path}: HTTP {r.status}: {text[:400].decode(errors='replace')}")
        return json.loads(text)

    def configure(self):
        """The objects of a small installation; limits raised so that one address and one key may carry all the load."""
        self.admin("PATCH", "settings/default", {"max_connections_per_ip": 65536, "max_in_flight_per_key": 65536,
                                                 "max_connections": 65536, "hold_ms": 3000})
        objects = [{"kind": "org", "id": "bench"}, {"kind": "team", "id": "bench", "org": "bench", "models": ["bench-*"]}]
        for scheme, port in (("http", self.http_upstream), ("https", self.https_upstream)):
            more = {"ca_pem": (self.folder / "ca.pem").read_text()} if scheme == "https" else {}
            objects += [
                {"kind": "provider", "id": scheme, "type": "openai-compatible", "base_url": f"{scheme}://127.0.0.1:{port}/v1",
                 "allow_private": ["127.0.0.1/32"], "max_connections": 16384, "connect_timeout": "30s", **more},
                {"kind": "credential", "id": scheme, "provider": scheme, "secret": "sk-mock-credential"},
                {"kind": "deployment", "id": scheme, "provider": scheme, "credential": scheme, "upstream_model": "bench-upstream",
                 "activation": "immediate", "input_price": 150000, "output_price": 600000},
                {"kind": "model", "id": f"bench-{scheme}", "targets": [{"deployment": scheme}]}]
        self.admin("POST", "config:apply", objects)
        self.key = self.admin("POST", "keys", {"id": "bench", "org": "bench", "team": "bench"})["token"]

    # --- load ---
    def load(self, target, scheme, *options, pid=None, seconds=5, warmup=1, timeout=300):
        """One run of llmgw-bench against "direct", "llmgw" or a peer; its result, with the share of the machine that others used."""
        sent = scheme if target == "direct" else "http"
        port = (self.port if target == "llmgw" else self.peer_ports[target][scheme] if target != "direct" else
                self.https_upstream if scheme == "https" else self.http_upstream)
        argv = [self.binary("llmgw-bench"), "--url", f"{sent}://127.0.0.1:{port}/v1", "--json", "--quiet"]
        argv += [] if "--model" in options else ["--model", f"bench-{scheme}"]
        for h in self.headers_of(target, scheme):
            argv += ["--header", h]
        argv += ["--ca", str(self.folder / "ca.pem")] if sent == "https" else []
        argv += ["--tree", str(pid)] if pid else []
        if "--requests" not in options:
            argv += ["--duration", f"{int(seconds * 1000)}ms" if seconds < 80 else f"{int(seconds)}s", "--warmup", f"{int(warmup * 1000)}ms"]
        env = dict(os.environ, LLMGW_KEY=self.key if target == "llmgw" else "sk-mock-credential")
        before, began = machine(), time.time()
        if "--key-file" in options:
            env.pop("LLMGW_KEY")
        p = subprocess.Popen(argv + [str(o) for o in options], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, err = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            p.communicate()
            raise Failed(f"llmgw-bench against {target} did not end in {timeout} s") from None
        if p.returncode not in (0, 3):
            raise Failed(f"llmgw-bench against {target} ({scheme}): {err.strip() or p.returncode}")
        r = json.loads(out)
        r["began"], r["ended"], r["steal"] = began, time.time(), stolen(before, machine())
        return r


def machine():
    """Jiffies of all cores: total and stolen by the host."""
    f = [int(x) for x in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return sum(f[:8]), f[7]


def stolen(a, b):
    return (b[1] - a[1]) / max(1, b[0] - a[0])


# --- system calls ---
def strace_command(out):
    return ["strace", "-f", "-ttt", "-s", "0", "-o", str(out)]


def threads_of(pid):
    try:
        return [int(t) for t in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def roles(stage):
    """Thread number -> role, for every process of the gateway."""
    s, found = stage.admin("GET", "status"), {}
    for t in threads_of(s["master_pid"]):
        found[t] = "master"
    for r in s["roles"]:
        found.update((t, r["role"]) for t in threads_of(r["pid"]))
    for w in s["workers"]:
        found.update((t, "worker") for t in threads_of(w["pid"]))
    return found


def cpu_by_role(stage):
    """Microseconds of CPU that each role has used so far (its running threads)."""
    used = collections.Counter()
    for thread, role in roles(stage).items():
        with contextlib.suppress(OSError), open(f"/proc/{thread}/schedstat") as f:
            used[role] += int(f.read().split()[0]) / 1000
    return used


LINE = re.compile(r"^(\d+) +(\d+\.\d+) (\w+)\(")


def count_calls(trace, began, ended, who):
    """{role: Counter(call)} of the calls that began between two times."""
    counts = collections.defaultdict(collections.Counter)
    with open(trace, errors="replace") as f:
        for line in f:
            m = LINE.match(line)
            if m and began <= float(m[2]) <= ended:
                counts[who.get(int(m[1]), "other")][m[3]] += 1
    return counts


def syscalls(stage, trace, scheme="http", connections=64, requests=16000, streams=64, chunks=100, chunk_ms=22):
    """Runs the fixed script against a gateway that was started under strace; calls per request and per relayed chunk, by role."""
    message = f"mock: chunks={chunks} chunk_ms={chunk_ms}"
    stage.load("llmgw", scheme, "--requests", connections * 10, "--connections", connections)
    plain = stage.load("llmgw", scheme, "--requests", requests, "--connections", connections)
    stage.load("llmgw", scheme, "--requests", streams, "--connections", streams, "--stream", "--message", message)
    stream = stage.load("llmgw", scheme, "--requests", streams, "--connections", streams, "--stream", "--message", message)
    who = roles(stage)
    for r in (plain, stream):
        if r["errors"]:
            raise Failed(f"errors under strace: {r['errors_by_kind']} {r['first_error']}")
    time.sleep(0.5)  # strace writes behind
    result = {"per_request": 0.0, "per_chunk": 0.0}
    for name, r, n in (("per_request", plain, requests), ("per_chunk", stream, streams * chunks)):
        by_role = count_calls(trace, r["began"], r["ended"], who)
        result[name] = sum(c.total() for c in by_role.values()) / n
        result[name + "_by_role"] = {role: {call: round(k / n, 3) for call, k in c.most_common(8)} for role, c in by_role.items()}
    return result
