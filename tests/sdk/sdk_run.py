"""Starts mockllm and the gateway, runs the SDK tests of both languages against them, and adds up."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "flow"), str(HERE.parent / "matrix")]

import objects  # noqa: E402
import speak  # noqa: E402
from authority import Authority  # noqa: E402
from harness import Gateway, Mock, free_port, until  # noqa: E402

CASES = {name: json.loads((HERE.parent / "matrix/cases" / name / "case.json").read_text()) for name in ("text", "tool")}

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


def suites(where, only):
    """Each file of tests here as a suite of its language; `only`: those whose name has one of the words."""
    out = {}
    for path in sorted([*HERE.glob("*_test.py"), *HERE.glob("*.test.mjs")]):
        name = path.name.split(".")[0]
        if only and not any(word in name for word in only):
            continue
        if path.suffix == ".py":
            out[name] = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={where}/{name}.xml", path.name]
        else:
            out[name] = ["node", "--test", "--test-reporter=junit", f"--test-reporter-destination={where}/{name}.xml", path.name]
    return out


def run_tests(where, g, only):
    env = dict(os.environ, LLMGW_URL=g.url + "/v1", LLMGW_KEY=g.key, LLMGW_FEW_KEY=g.few, LLMGW_MOCK=g.mock.url.removesuffix("/v1"),
               LLMGW_TLS_URL=g.tls_url, LLMGW_CA=str(g.ca_path))
    total = [0, 0, 0]
    for name, argv in suites(where, only).items():
        r = subprocess.run(argv, cwd=HERE, env=env, capture_output=True, text=True, timeout=300, check=False)
        n = count(where / f"{name}.xml")
        if n[1] or r.returncode or not n[0]:
            report = where / f"{name}.xml"
            print(f"{name}: exit {r.returncode}\n{r.stdout[-6000:]}{r.stderr[-3000:]}")
            print(report.read_text()[-6000:] if "node" in name and report.exists() else "")
            n = n if n[1] else (n[0], n[1] + 1, n[2])
        total = [a + b for a, b in zip(total, n, strict=True)]
    return total


def write_mistral_tool(to):
    """Mistral streams a call in one piece, with its name; its SDK reads nothing else."""
    to.mkdir()
    call = {"id": "D681PevKs", "type": "function", "index": 0, "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
    head = {"id": "cmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "mistral-tool"}
    deltas = [{"role": "assistant", "content": ""}, {"content": "", "tool_calls": [call]}]
    chunks = [{**head, "choices": [{"index": 0, "delta": d, "finish_reason": "tool_calls" if d is deltas[-1] else None}]} for d in deltas]
    (to / "openai.stream").write_bytes(b"".join(map(speak.sse, chunks)) + b"data: [DONE]\n\n")


def other_providers(where):
    """A second mockllm, which speaks the dialect of every provider."""
    (where / "dialects").mkdir()
    speak.write_scripts(CASES, where / "scripts")
    write_mistral_tool(where / "scripts/mistral-tool")
    mock = Mock(where / "dialects", extra=["--play", str(where / "scripts")])
    mock.start()
    return mock


def main():
    with tempfile.TemporaryDirectory() as tmp:
        where = pathlib.Path(tmp)
        mock = Mock(where)
        mock.start()
        others = other_providers(where)
        g = Gateway(where, mock=mock, options=("--listen-tls", f"127.0.0.1:{(tls_port := free_port())}"))
        ca = Authority(where / "ca")
        ca.sign("localhost", "localhost")
        g.tls_url, g.ca_path = f"https://localhost:{tls_port}", ca.folder / "ca.pem"
        try:
            g.start()
            g.ctl("apply", "-f", "-", stdin=OBJECTS.format(url=mock.url))
            g.ctl("apply", "-f", "-", stdin=objects.config([*CASES, "mistral-tool"], others.url))
            assert g.admin("POST", "config:apply", [ca.certificate("localhost", is_default=True)]).status == 200
            g.few = json.loads(g.ctl("key", "create", "key-few", "--org", "play", "--team", "play", "--models", "mock-1", "-o", "json"))["token"]
            until(lambda: g.chat().status == 200, 10)
            passed, failed, skipped = run_tests(where, g, [a for a in sys.argv[1:] if a not in ("quick", "full", "long")])
        finally:
            try:
                g.finish()
            finally:
                mock.stop()
                others.stop()
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


sys.exit(main())
