"""The corpora of malformed and borderline HTTP against the real data plane: every case over a socket of its own, whole and in pieces."""
import os
import re
import subprocess
import sys

import pytest

from harness import ROOT, SHARED, SLOW, until

pytestmark = pytest.mark.skipif(not (SHARED / "corpora").is_dir(), reason="no corpora: set LLMGW_SHARED")


def setup(g):
    g.ctl("apply", "-f", "-", stdin="{kind: settings, id: default, max_connections_per_ip: 1024}")


def run(g, *options):
    """(passed, words) of the runner; MUST failures make it fail."""
    r = subprocess.run([sys.executable, str(ROOT / "tests" / "corpora" / "http_corpus.py"), f"127.0.0.1:{g.port}", "--key", g.key,
                        "--gateway", "--silence", str(1.0 * SLOW), *options], capture_output=True, text=True, timeout=170, check=False,
                       env=dict(os.environ, LLMGW_SHARED=str(SHARED)))
    assert r.returncode == 0, r.stdout[-5000:] + r.stderr[-2000:]
    return int(re.search(r"(\d+) passed", r.stdout)[1]), r.stdout


@pytest.mark.parametrize("name,least", [("http11_malformed", 150), ("http11probe", 100), ("llhttp_md", 100)])
def play_corpus(shared, name, least):
    passed, words = run(shared, "--set", name, "--skip-app")
    assert passed >= least, words
    assert shared.chat().status == 200 and not [w for w in shared.status()["workers"] if w["restarts"]]


def play_in_pieces(shared):
    """The same verdict when the bytes come in two pieces, cut anywhere."""
    passed, words = run(shared, "--set", "http11_malformed", "--skip-app", "--cuts", "4", "--jobs", "192")
    assert passed >= 150, words
    until(lambda: not any(w["connections"] for w in shared.status()["workers"]), 10)
    assert shared.chat().status == 200
