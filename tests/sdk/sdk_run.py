"""Starts mockllm and the gateway, runs the SDK tests of both languages against them, and adds up."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "flow"))

from harness import Gateway, Mock, until  # noqa: E402

OBJECTS = """
{{kind: provider, id: quick, type: openai-compatible, base_url: "{url}", allow_private: [127.0.0.1/32], first_token_timeout: 1s, idle_timeout: 1s}}
---
{{kind: deployment, id: quick, provider: quick, upstream_model: mock-1, probe: none, activation: immediate}}
---
{{kind: model, id: quick, targets: [{{deployment: quick}}]}}
---
{{kind: model, id: private, targets: [{{deployment: quick}}]}}
---
{{kind: model, id: demo, targets: [{{deployment: quick}}]}}
"""


def count(path):
    cases = list(ET.parse(path).getroot().iter("testcase")) if path.exists() else []
    failed = sum(c.find("failure") is not None or c.find("error") is not None for c in cases)
    skipped = sum(c.find("skipped") is not None for c in cases)
    return len(cases) - failed - skipped, failed, skipped


def run_tests(where, g):
    env = dict(os.environ, LLMGW_URL=g.url + "/v1", LLMGW_KEY=g.key, LLMGW_FEW_KEY=g.few, LLMGW_MOCK=g.mock.url.removesuffix("/v1"))
    suites = {"python": [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={where}/python.xml", "openai_py_test.py"],
              "snippets": [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={where}/snippets.xml", "snippets_test.py"],
              "endpoints": [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={where}/endpoints.xml", "endpoints_py_test.py"],
              "node-endpoints": ["node", "--test", "--test-reporter=junit", f"--test-reporter-destination={where}/node-endpoints.xml",
                                 "endpoints_node.test.mjs"],
              "node": ["node", "--test", "--test-reporter=junit", f"--test-reporter-destination={where}/node.xml", "openai_node.test.mjs"]}
    total = [0, 0, 0]
    for name, argv in suites.items():
        r = subprocess.run(argv, cwd=HERE, env=env, capture_output=True, text=True, timeout=300, check=False)
        n = count(where / f"{name}.xml")
        if n[1] or r.returncode or not n[0]:
            report = where / f"{name}.xml"
            print(f"{name}: exit {r.returncode}\n{r.stdout[-6000:]}{r.stderr[-3000:]}")
            print(report.read_text()[-6000:] if name.startswith("node") and report.exists() else "")
            n = n if n[1] else (n[0], n[1] + 1, n[2])
        total = [a + b for a, b in zip(total, n, strict=True)]
    return total


def main():
    with tempfile.TemporaryDirectory() as tmp:
        where = pathlib.Path(tmp)
        mock = Mock(where)
        mock.start()
        g = Gateway(where, mock=mock)
        try:
            g.start()
            g.ctl("apply", "-f", "-", stdin=OBJECTS.format(url=mock.url))
            g.few = json.loads(g.ctl("key", "create", "key-few", "--org", "play", "--team", "play", "--models", "mock-1", "-o", "json"))["token"]
            until(lambda: g.chat().status == 200, 10)
            passed, failed, skipped = run_tests(where, g)
        finally:
            try:
                g.finish()
            finally:
                mock.stop()
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


sys.exit(main())
