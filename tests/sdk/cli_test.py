"""Coding tools as people start them, one turn each: from their own dialect to a provider of that dialect and to another one. Each has a home of
its own, reports home to nobody, and has a minute. The large tools (tests/cli/package.json) are asked where they are installed: `tools/test_clients.sh long`."""
import json
import os
import pathlib
import subprocess

import pytest

URL, KEY = os.environ["LLMGW_URL"], os.environ["LLMGW_KEY"]
ROOT = URL.removesuffix("/v1")
BIN = pathlib.Path(__file__).resolve().parent.parent / "cli/node_modules/.bin"
HELLO, ASK = "Hello, w\u00f6rld! \U0001f44b", "Say hello"


def claude(home, model):
    quiet = {f"DISABLE_{what}": "1" for what in ("TELEMETRY", "ERROR_REPORTING", "AUTOUPDATER")}
    env = {"ANTHROPIC_BASE_URL": ROOT, "ANTHROPIC_AUTH_TOKEN": KEY, "ANTHROPIC_MODEL": model, "ANTHROPIC_SMALL_FAST_MODEL": model,
           "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", **quiet}
    return ["claude", "-p", ASK], env


def codex(home, model):
    (home / ".codex").mkdir()
    (home / ".codex/config.toml").write_text(
        f'model = "{model}"\nmodel_provider = "llmgw"\n[model_providers.llmgw]\nname = "llmgw"\nbase_url = "{URL}"\nenv_key = "LLMGW_KEY"\n'
        'wire_api = "responses"\n[analytics]\nenabled = false\n')
    return ["codex", "exec", "--skip-git-repo-check", "--sandbox", "read-only", ASK], {"LLMGW_KEY": KEY}


def gemini(home, model):
    (home / ".gemini").mkdir()
    (home / ".gemini/settings.json").write_text(json.dumps({"security": {"auth": {"selectedType": "gemini-api-key"}}, "general": {"disableAutoUpdate": True},
                                                            "privacy": {"usageStatisticsEnabled": False}, "telemetry": {"enabled": False}}))
    return ["gemini", "-m", model, "-p", ASK], {"GEMINI_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": ROOT, "GEMINI_CLI_TRUST_WORKSPACE": "true"}


def opencode(home, model):
    (home / "opencode.json").write_text(json.dumps({
        "autoupdate": False, "share": "disabled", "model": f"llmgw/{model}", "small_model": f"llmgw/{model}",
        "provider": {"llmgw": {"npm": "@ai-sdk/openai-compatible", "name": "llmgw", "options": {"baseURL": URL, "apiKey": KEY}, "models": {model: {"name": model}}}}}))
    return ["opencode", "run", ASK], {"OPENCODE_CONFIG": str(home / "opencode.json"), "OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"}


TURNS = [(claude, "anthropic"), (claude, "openai"), (gemini, "gemini"), (gemini, "anthropic")]
LARGE = [(codex, "responses"), (codex, "anthropic"), (opencode, "openai"), (opencode, "anthropic")]


@pytest.mark.parametrize("tool, provider", TURNS + [turn for turn in LARGE if (BIN / turn[0].__name__).exists()])
def test_one_turn(tmp_path, tool, provider):
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    (program, *argv), env = tool(home, f"text--{provider}")
    r = subprocess.run([str(BIN / program), *argv], cwd=work, env={"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "xterm-256color", **env},
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert r.returncode == 0 and HELLO in r.stdout, (r.returncode, r.stdout[-2000:], r.stderr[-2000:])
