"""The snippets of docs/clients that are marked `run`, as a reader would paste them: each must end well and print what its fence says it prints."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
PAGES = HERE.parent.parent / "docs" / "clients"
FENCE = re.compile(r"^```(python|js|sh) run expect=(\S+)\n(.*?)^```$", re.M | re.S)
RUNNERS = {"python": [sys.executable, "-"], "js": ["node", "--input-type=module", "-"], "sh": ["bash", "-eu", "-o", "pipefail", "-s"]}


def snippets():
    for page in sorted(PAGES.glob("*.md")):
        for i, m in enumerate(FENCE.finditer(page.read_text())):
            yield pytest.param(m[1], m[2], m[3], id=f"{page.stem}-{i}-{m[1]}")


def test_pages_have_snippets():
    assert len(list(snippets())) >= 10


@pytest.mark.parametrize("language, expect, text", snippets())
def test_snippet(language, expect, text):
    env = dict(os.environ, LLMGW_URL=os.environ["LLMGW_URL"].removesuffix("/v1"), NODE_NO_WARNINGS="1", AI_SDK_LOG_WARNINGS="false")
    r = subprocess.run(RUNNERS[language], input=text, cwd=HERE, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert r.returncode == 0, r.stderr[-3000:]
    assert expect in r.stdout, (r.stdout[-1000:], r.stderr[-1000:])
