"""What a package brings: the unit that systemd accepts, and a master that speaks its protocol."""
import os
import pathlib
import shutil
import socket
import subprocess

from harness import ROOT, Gateway, Mock, until

UNIT = ROOT / "packaging" / "systemd" / "llmgw.service"


def play_unit_is_accepted_and_tight(where):
    text = UNIT.read_text()
    for line in ("Type=notify", "WatchdogSec=10", "User=llmgw", "StateDirectory=llmgw", "RuntimeDirectory=llmgw", "NoNewPrivileges=yes",
                 "ProtectSystem=strict", "MemoryDenyWriteExecute=yes", "CapabilityBoundingSet=", "Restart=on-failure", "KillMode=mixed"):
        assert f"\n{line}\n" in text, line
    assert shutil.which("systemd-analyze"), "systemd-analyze is needed: tools/deps.sh test installs it"
    unit = where / "llmgw.service"
    unit.write_text(text.replace("/usr/bin/llmgw", "/bin/true").replace("Documentation=", "#"))
    r = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    said = [s for s in (r.stdout + r.stderr).splitlines() if "llmgw.service" in s]
    assert said == [], said
    r = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=25", str(unit)], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout[-2000:]


class Told:
    """The socket of systemd: what services tell it."""

    def __init__(self, where):
        self.path = str(where / "notify")
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.s.bind(self.path)
        self.s.settimeout(0.05)
        self.lines = []

    def has(self, line):
        try:
            while True:
                self.lines += self.s.recv(4096).decode().split("\n")
        except TimeoutError:
            pass
        return line in self.lines


def play_master_tells_systemd(where):
    """READY when it serves, WATCHDOG while its loop turns, STOPPING at the end; the roles tell nothing."""
    told = Told(where)
    os.environ.update(NOTIFY_SOCKET=told.path, WATCHDOG_USEC="400000")
    mock = Mock(where)
    try:
        mock.start()
        g = Gateway(where, mock=mock).start()
    finally:
        del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]
    assert until(lambda: told.has("READY=1"), 10)
    told.lines.clear()
    assert until(lambda: told.has("WATCHDOG=1") and told.lines.count("WATCHDOG=1") >= 3, 10), "at least at half of the interval, again and again"
    assert g.stop() == 0 and until(lambda: told.has("STOPPING=1"), 5)
    mock.stop()


def play_programs_of_the_package_are_those_of_the_unit():
    """The release script installs what the unit, the image and the man page name."""
    script = (ROOT / "tools" / "release.sh").read_text()
    for name in ("llmgw llmgwctl llmgw-bench", "llmgw.service", "llmgw.sysusers", "llmgw.tmpfiles", "doc man", "completion bash", "sbom.py"):
        assert name in script, name
    for p in ("packaging/deb/postinst", "packaging/deb/prerm", "tools/release.sh"):
        assert subprocess.run(["sh" if p.endswith(("inst", "rm")) else "bash", "-n", str(ROOT / p)]).returncode == 0
        assert pathlib.Path(ROOT / p).stat().st_mode & 0o111, p
