"""A vendor is a row (docs/ADDING_A_PROVIDER.md): a copy of the sources gets one more row in schemas/providers.def and its name as a word in
schemas/config.def, nothing else; the gateway that is built from it serves the vendor's chats to clients of two dialects, with its quirks."""
import json
import os
import re
import shutil
import subprocess

import pytest

import harness
from client import last_request
from harness import ROOT, Gateway, Mock, http_ask

ROW = ('GW_PROVIDER(acme-ai, openai, "https://api.acme.example/v1", API_KEY, GW_CRED_KEY, "", GW_Q_MAX_TOKENS | GW_Q_RANDOM_SEED | '
       'GW_Q_NO_LOGPROBS | GW_Q_NO_RESPONSES, "ACME_API_KEY", "", "", "Acme, a vendor that is not.")\n')
OBJECTS = """
{{kind: provider, id: acme, type: acme-ai, base_url: "{url}", allow_private: [127.0.0.1/32]}}
---
{{kind: credential, id: acme, provider: acme, secret: acme-secret-key}}
---
{{kind: deployment, id: acme-1, provider: acme, credential: acme, upstream_model: big-1}}
---
{{kind: model, id: big, targets: [{{deployment: acme-1}}]}}
"""


def add_the_row(tree):
    with open(tree / "schemas/providers.def", "a") as f:
        f.write(ROW)
    config = tree / "schemas/config.def"
    text, n = re.subn(r'(GW_FIELD_DEF\(provider, type, +ENUM, "[^"]+)"', r'\1|acme-ai"', config.read_text())
    assert n == 1
    config.write_text(text)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    tree = tmp_path_factory.mktemp("row")
    files = subprocess.run(["git", "ls-files", "--", ":!docs"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    for name in files:
        if (ROOT / name).is_file() and (not name.startswith("tests/") or name.startswith("tests/tools/")):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    add_the_row(tree)
    env = dict(os.environ, CC="ccache gcc" if shutil.which("ccache") else "gcc")
    for argv in (["meson", "setup", "build", "--buildtype=plain", "-Dtests=false"], ["ninja", "-C", "build", "llmgw", "llmgwctl"]):
        r = subprocess.run(argv, cwd=tree, env=env, capture_output=True, text=True, timeout=900)
        assert r.returncode == 0, r.stdout[-3000:] + r.stderr[-3000:]
    (tree / "build/mockllm").symlink_to(harness.binary("mockllm"))
    yield tree / "build"
    shutil.rmtree(tree)


@pytest.fixture
def g(built, where, monkeypatch):
    monkeypatch.setattr(harness, "BUILD", built)
    mock = Mock(where)
    mock.start()
    g = Gateway(where, mock=mock)
    try:
        g.start()
        g.ctl("apply", "-f", "-", stdin=OBJECTS.format(url=mock.url))
        yield g
    finally:
        g.finish()
        mock.stop()


def play_the_row_serves_chats(g):
    a = g.chat(model="big", max_completion_tokens=33, seed=44, logprobs=True)
    assert a.status == 200 and a.json["choices"][0]["message"]["content"], a.text
    assert "logprobs" in a.headers["x-llmgw-dropped"], a.headers
    head, body = last_request(g.mock)
    sent = json.loads(body)
    assert b"api-key: acme-secret-key" in head, head
    assert sent["model"] == "big-1" and sent["max_tokens"] == 33 and sent["random_seed"] == 44, sent
    assert not {"max_completion_tokens", "seed", "logprobs"} & set(sent), sent


def play_clients_of_another_dialect_too(g):
    ask = {"model": "big", "max_tokens": 55, "messages": [{"role": "user", "content": "hello"}]}
    headers = {"x-api-key": g.key, "anthropic-version": "2023-06-01"}
    a = http_ask("POST", g.url + "/v1/messages", ask, headers)
    assert a.status == 200 and a.json["type"] == "message" and a.json["content"][0]["text"], a.text
    assert json.loads(last_request(g.mock)[1])["max_tokens"] == 55
    a = http_ask("POST", g.url + "/v1/messages", {**ask, "stream": True}, headers)
    assert a.status == 200 and "event: message_stop" in a.text, a.text


def play_the_reference_names_it(g, built):
    page = subprocess.run([str(built / "llmgwctl"), "doc", "providers"], check=True, capture_output=True, text=True).stdout
    assert "acme-ai" in page and "ACME_API_KEY" in page
