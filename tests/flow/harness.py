"""What every play needs: mockllm and llmgw in a folder of their own, on free ports, and ways to ask and to break them.

No play sleeps: it waits for an event with `until(what, seconds)`. Every process is ended by its own number."""
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LLMGW_BUILD", ROOT / "build-asan")).absolute()
SHARED = pathlib.Path(os.environ.get("LLMGW_SHARED", ROOT / ".." / "shared")).resolve()
SLOW = 3 if "asan" in BUILD.name or "tsan" in BUILD.name else 1  # sanitizers take their time


def binary(name):
    """Path of a built program (some live in subfolders of the build folder)."""
    for p in (BUILD / name, BUILD / "master" / name, BUILD / "admin-cli" / name, BUILD / "bench" / name, BUILD / "tests" / "unit" / "master" / name,
              BUILD / "tests" / "unit" / "net" / name, BUILD / "tests" / "plant" / name):
        if p.is_file():
            return str(p)
    raise FileNotFoundError(f"{name} is not built in {BUILD}")


_given = set()


def free_port():
    """A port nobody listens on. Below the range that the kernel gives to outgoing connections."""
    for port in range(20000 + os.getpid() % 9000, 32000):
        if port in _given:
            continue
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError("no free port")


def until(what, seconds=10, text=None):
    """Waits until what() is true and returns its value; exceptions of a service that is not there yet count as false."""
    end = time.monotonic() + seconds * SLOW
    last = None
    while time.monotonic() < end:
        try:
            v = what()
            if v:
                return v
            last = v
        except (OSError, AssertionError, KeyError, ValueError, http.client.HTTPException) as e:
            last = e
        time.sleep(0.01)  # the pause between two looks
    raise AssertionError(f"waited {seconds * SLOW} s in vain for {text or getattr(what, '__name__', what)}; last: {last!r}")


def alive(pid):
    """True while it runs and is still one of ours: numbers are given again on a busy machine, and a zombie does not run."""
    try:
        if b"llmgw" not in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
            return False
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.unix_path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.unix_path)


def http_ask(method, url, body=None, headers=None, timeout=20, unix=None):
    """One request on a connection of its own; any status is an answer."""
    headers = dict(headers or {})
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    if unix:
        c, path = _UnixConnection(unix, timeout), url
    else:
        u = urllib.parse.urlsplit(url)
        c = http.client.HTTPConnection(u.hostname, u.port, timeout=timeout)
        path = (u.path or "/") + ("?" + u.query if u.query else "")
    with contextlib.closing(c):
        c.request(method, path, body=body, headers=headers)
        r = c.getresponse()
        return Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())


class Process:
    """A program with its output in a file."""

    started = []  # of the present play; conftest.py ends what a failed play left running

    def __init__(self, where, name):
        self.where, self.name, self.p = pathlib.Path(where), name, None
        Process.started.append(self)
        self.log_path = self.where / f"{name}.log"

    def launch(self, argv, env=None):
        with open(self.log_path, "ab") as log:
            self.p = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env)

    @property
    def pid(self):
        return self.p.pid

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def finish(self):
        self.end()

    def end(self, seconds=20):
        if self.p and self.p.poll() is None:
            self.p.send_signal(signal.SIGTERM)
            try:
                self.p.wait(seconds * SLOW)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
                raise AssertionError(f"{self.name} did not stop in {seconds * SLOW} s:\n{self.log()[-3000:]}")
        return self.p.returncode if self.p else None


class Mock(Process):
    """The scripted provider (bench/mockllm)."""

    def __init__(self, where, script=None, extra=()):
        super().__init__(where, "mockllm")
        self.port, self.script, self.extra = free_port(), script, list(extra)
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def start(self):
        argv = [binary("mockllm"), "--listen", f"127.0.0.1:{self.port}"]
        if self.script:
            argv += ["--script", str(self.script)]
        self.launch(argv + self.extra)
        until(lambda: socket.create_connection(("127.0.0.1", self.port), 1).close() or True, 10, "mockllm to listen")

    def stop(self):
        self.end()


class Supervised(Process):
    """A master with its roles, real or toy."""

    program = "llmgw"

    def __init__(self, where, workers=2, options=()):
        super().__init__(where, self.program)
        self.data, self.workers, self.options = self.where / "data", workers, list(options)
        self.runtime = pathlib.Path("/dev/shm") / f"llmgw-play-{os.getpid()}-{free_port()}"
        self.port, self.admin_port = free_port(), free_port()
        self.url, self.admin_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.admin_port}"
        self.unix = str(self.runtime / "admin.sock")
        self.master_pids = []

    def argv(self):
        given = {"--data-dir": str(self.data), "--runtime-dir": str(self.runtime), "--listen": f"127.0.0.1:{self.port}",
                 "--admin-listen": f"127.0.0.1:{self.admin_port}", "--workers": str(self.workers), "--ring-size": "4MiB"}
        given.update(zip(self.options[::2], self.options[1::2], strict=True))  # options: name, value, name, value ...
        a = [binary(self.program), *(x for pair in given.items() for x in pair)]
        return a + (["--allow-root"] if os.geteuid() == 0 else [])

    def launch_master(self):
        self.launch(self.argv())
        self.master_pids.append(self.p.pid)

    def processes(self, role=None):
        return [p for p in self.status()["processes"] if role is None or p["role"] == role]

    def pid_of(self, role, number=None):
        for p in self.processes(role):
            if p["pid"] and (number is None or p.get("number") == number):
                return p["pid"]
        raise AssertionError(f"no process of role {role}")

    def kill(self, role, number=None, sig=signal.SIGKILL):
        pid = self.pid_of(role, number)
        os.kill(pid, sig)
        return pid

    def all_up(self):
        s = self.status()
        return s["state"] == "serving" and all(p["state"] == "up" and p.get("ready", True) for p in s["processes"]
                                               if p["state"] != "draining")  # those of an older master finish their streams

    def serving(self):
        return self.status()["state"] == "serving"

    def stop(self, seconds=30):
        """Orderly; returns the master's exit code."""
        rc = self.end(seconds)
        self.no_sanitizer_spoke()
        return rc

    def no_sanitizer_spoke(self):
        assert "AddressSanitizer" not in self.log() and "runtime error:" not in self.log(), self.log()[-6000:]

    is_finished = False

    def finish(self):
        """Ends everything that this object started, however the play went, and says when a process is left over."""
        if self.is_finished or not self.p:
            return self.p.returncode if self.p else None
        self.is_finished = True
        pids = self.role_pids()
        rc = self.end(60)
        for pid in self.master_pids:
            if alive(pid):
                os.kill(pid, signal.SIGTERM)
        left = [p for p in pids if alive(p)]
        with contextlib.suppress(AssertionError):
            until(lambda: not any(alive(p) for p in left), 5)
        for p in left:
            if alive(p):
                os.kill(p, signal.SIGKILL)
        for f in self.runtime.glob("*") if self.runtime.exists() else ():
            f.unlink()
        if self.runtime.exists():
            self.runtime.rmdir()
        self.no_sanitizer_spoke()
        return rc

    def role_pids(self):
        with contextlib.suppress(OSError, AssertionError, ValueError, KeyError):
            return [p["pid"] for p in self.status()["processes"] if p["pid"]]
        return []


class Toy(Supervised):
    """The real master around fake roles (tests/unit/master/toy_roles.c)."""

    program = "toy_llmgw"

    def ask(self, line, timeout=30):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout * SLOW)
            s.connect(self.unix)
            s.sendall(line.encode() + b"\n")
            return s.makefile().read().strip()

    def status(self):
        return json.loads(self.ask("STATUS", 5))

    def order(self, role, word):
        (self.data / f"toy.{role}").write_text(word)

    def recall(self, role):
        (self.data / f"toy.{role}").unlink()

    def get(self, path, timeout=20):
        return http_ask("GET", self.url + path, timeout=timeout).text

    def start(self):
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.launch_master()
        until(self.all_up, 10, "the toy gateway to be up")
        return self


class Gateway(Supervised):
    """The whole thing. With a Mock it has a provider `mock`, a deployment and a model `mock-1`, and a key."""

    program = os.environ.get("LLMGW_PROGRAM", "llmgw")  # tests/plant has others, with a fault in them

    def __init__(self, where, workers=2, options=(), mock=None):
        super().__init__(where, workers, options)
        self.mock, self.key, self.token = mock, None, None
        self.root_key = self.where / "root.key"

    def argv(self):
        return super().argv() + ["--root-key", str(self.root_key)]

    def start(self):
        self.launch_master()
        until(self.is_ready, 20, "/readyz")
        self.token = until(lambda: (self.data / "admin.token").read_text().strip(), 5, "the first token")
        if self.mock:
            self.add_mock()
        return self

    def start_again(self):
        """Same data, same ports, after stop() or a death."""
        self.launch_master()
        until(self.is_ready, 20, "/readyz")
        return self

    def is_ready(self):
        if self.p.poll() is not None:
            raise RuntimeError(f"llmgw ended with {self.p.returncode}:\n{self.log()[-3000:]}")
        return http_ask("GET", self.url + "/readyz", timeout=2).status == 200

    # --- admin ---
    def admin(self, method, path, body=None, headers=None, token=None, unix=False):
        h = {"Authorization": f"Bearer {token or self.token}"}
        h.update(headers or {})
        if unix:
            return http_ask(method, "/admin/v1/" + path, body, h, unix=self.unix)
        return http_ask(method, f"{self.admin_url}/admin/v1/{path}", body, h)

    def status(self):
        """As the toy's: one list of processes; worker numbers from their slots."""
        a = self.admin("GET", "status", unix=True)
        assert a.status == 200, a.text
        s = a.json
        s["processes"] = s["roles"] + [dict(w, role="worker", number=w["slot"] % 16) for w in s["workers"]]
        s["state"] = "stopping" if s["draining"] else "serving"
        s["pid"] = s["master_pid"]
        return s

    def ctl(self, *args, stdin=None, ok=True):
        """llmgwctl with this gateway's address and token; the answer's stdout."""
        env = dict(os.environ, LLMGW_ADMIN_URL=self.admin_url, LLMGW_ADMIN_TOKEN=self.token or "", LLMGW_URL=self.url,
                   LLMGW_KEY=self.key or "")
        r = subprocess.run([binary("llmgwctl"), *args], input=stdin, capture_output=True, text=True, env=env, timeout=60 * SLOW)
        if ok:
            assert r.returncode == 0, f"llmgwctl {' '.join(args)}: {r.returncode}\n{r.stdout}\n{r.stderr}"
            return r.stdout
        return r

    def ctl_as(self, token, *args):
        """llmgwctl with another's token."""
        own, self.token = self.token, token
        try:
            return self.ctl(*args)
        finally:
            self.token = own

    def add_mock(self):
        self.ctl("apply", "-f", "-", stdin=mock_config(self.mock.url))
        self.key = json.loads(self.ctl("key", "create", "--org", "play", "--team", "play", "--name", "play", "-o", "json"))["token"]

    def logs(self, *query):
        """Request records, newest first."""
        return json.loads(self.ctl("logs", "query", "-o", "json", *query))["items"]

    # --- data plane ---
    def chat(self, text="hello", model="mock-1", key=None, timeout=30, **more):
        body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
        return http_ask("POST", self.url + "/v1/chat/completions", body, {"Authorization": f"Bearer {key or self.key}"}, timeout)


@contextlib.contextmanager
def running(where, mock_options=()):
    """A gateway with a Mock behind it, in `where`; both are ended whatever happens."""
    mock = Mock(where, extra=list(mock_options))
    mock.start()
    gw = Gateway(where, mock=mock)
    try:
        gw.start()
        yield gw
    finally:
        gw.finish()
        mock.stop()


def mock_config(url):
    """Objects for a mockllm upstream, as an operator would write them."""
    return f"""\
kind: org
id: play
---
kind: team
id: play
org: play
---
kind: provider
id: mock
type: openai-compatible
base_url: {url}
allow_private: [127.0.0.1/32]
---
kind: credential
id: mock
provider: mock
secret: sk-mock-credential
---
kind: deployment
id: mock-1
provider: mock
credential: mock
upstream_model: mock-1
input_price: 150000
output_price: 600000
---
kind: model
id: mock-1
targets: [{{deployment: mock-1}}]
"""
