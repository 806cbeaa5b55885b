"""`llmgwctl import litellm`: a proxy's config.yaml and its table of keys become objects here; old keys go on working; what is not carried is told."""
import hashlib
import json
import os
import subprocess

import pytest

from client import chat_body
from harness import ROOT, binary, http_ask, until

KEY, SECRET = "sk-old-client-1234", "sk-upstream-very-secret"
CONFIG = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o-2024
      api_base: {mock}
      api_key: os.environ/IMP_MOCK_KEY
      rpm: 600
      weight: 3
    model_info: {{id: main, input_cost_per_token: 0.0000025, output_cost_per_token: 1.0e-05, mode: chat}}
  - model_name: gpt-4o
    litellm_params: {{model: openai/gpt-4o-2024, api_base: "{mock}", api_key: os.environ/IMP_MOCK_KEY, order: 2}}
  - model_name: Local Llama
    litellm_params: {{model: hosted_vllm/llama-3, api_base: "{mock}/"}}
  - model_name: Local-Llama
    litellm_params: {{model: hosted_vllm/llama-3, api_base: "{mock}/"}}
  - model_name: small
    litellm_params: {{model: openai/mini, litellm_credential_name: shared}}
  - model_name: "*"
    litellm_params: {{model: "openai/*"}}
  - model_name: strange
    litellm_params: {{model: nobodyknows/x}}
  - model_name: broken
    litellm_params: [1, 2]
credential_list:
  - credential_name: shared
    credential_values: {{api_key: os.environ/IMP_FROM_FILE, api_base: "{mock}"}}
environment_variables: {{IMP_FROM_FILE: sk-in-the-file}}
router_settings:
  num_retries: 3
  timeout: 600
  routing_strategy: simple-shuffle
  model_group_alias: {{"gpt-4": gpt-4o, "hidden-4": {{model: gpt-4o, hidden: true}}, "nowhere": nothing}}
litellm_settings:
  fallbacks: [{{"small": ["gpt-4o"]}}, {{"unknown": ["gpt-4o"]}}]
  drop_params: true
general_settings:
  master_key: sk-master-of-the-proxy
guardrails: [{{guardrail_name: x}}]
"""


def run(g, *args, **env):
    e = {k: v for k, v in os.environ.items() if not k.startswith("OPENAI")}
    e.update(LLMGW_ADMIN_URL=g.admin_url, LLMGW_ADMIN_TOKEN=g.token, **env)
    return subprocess.run([binary("llmgwctl"), "import", "litellm", *args], env=e, capture_output=True, text=True, timeout=60, check=False)


def lines(r):
    return {x["what"]: (x["result"], x["note"]) for x in json.loads(r.stdout)["items"]}


def items(g, kind):
    return {x["id"]: x for x in g.admin("GET", kind + "?limit=1000").json["items"]}


@pytest.fixture
def config(gateway, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(mock=gateway.mock.url))
    return str(path)


def play_configuration(gateway, config):
    g = gateway
    before = {k: items(g, k) for k in ("providers", "credentials", "deployments", "models")}
    r = run(g, config, "--yes", "-o", "json")
    assert r.returncode == 5 and "nothing was changed" in r.stderr, (r.stdout, r.stderr)
    assert {"result": "error", "what": "model_list[0] gpt-4o", "note": "the environment has no IMP_MOCK_KEY"} in json.loads(r.stdout)["items"]
    r = run(g, config, "--dry-run", "-o", "json", IMP_MOCK_KEY=SECRET)
    assert r.returncode == 0 and "nothing was changed" in r.stderr, r.stderr
    assert {k: items(g, k) for k in before} == before

    r = run(g, config, "--yes", "-o", "json", IMP_MOCK_KEY=SECRET)
    assert r.returncode == 0, r.stderr
    for secret in (SECRET, "sk-in-the-file", "sk-master-of-the-proxy"):
        assert secret not in r.stdout + r.stderr
    told = lines(r)
    left = {k for k, v in told.items() if v[0] == "left"}
    assert left >= {"model_list[0] gpt-4o: litellm_params.rpm", "model_list[0] gpt-4o: model_info.mode", "model_list[2] Local Llama", "model_list[5] *",
                    "model_list[6] strange", "model_list[7] broken", "router_settings.routing_strategy", "model_group_alias nowhere", "fallbacks unknown",
                    "litellm_settings.drop_params", "general_settings.master_key", "guardrails"}, left
    assert told["num_retries"][0] == told["timeout"][0] == told["model_group_alias gpt-4"][0] == told["fallbacks small"][0] == "carried"

    d = items(g, "deployments")
    assert (d["main"]["input_price"], d["main"]["output_price"], d["main"]["upstream_model"]) == (2_500_000, 10_000_000, "gpt-4o-2024")
    m = {x.get("name", x["id"]): x for x in items(g, "models").values()}
    assert [(t.get("weight", 1), t.get("priority", 0)) for t in m["gpt-4o"]["targets"]] == [(3, 0), (1, 1)]
    assert m["gpt-4"]["alias_of"] == m["gpt-4o"]["id"] and m["hidden-4"]["hidden"]
    assert [t.get("priority", 0) for t in m["small"]["targets"]] == [0, 1, 2], "its own, then the fallback's"
    made = [p for i, p in items(g, "providers").items() if i not in before["providers"]]
    assert {p["total_timeout"] for p in made} == {600_000} and g.admin("GET", "settings/default").json["retries"] == 3
    for model in ("gpt-4o", "gpt-4", "hidden-4", "small", "Local-Llama"):
        until(lambda: g.chat(model=model).status == 200, 10, f"the first probe of {model}")
    again = run(g, config, "--yes", IMP_MOCK_KEY=SECRET)
    assert again.returncode == 0 and "carried" in again.stdout, again.stderr


def play_keys_go_on_working(gateway, tmp_path):
    g = gateway

    def row(token, **more):
        return dict({"token": hashlib.sha256(token.encode()).hexdigest(), "key_name": "sk-...1234", "spend": 1.5, "models": [], "blocked": None}, **more)

    path = tmp_path / "keys.json"
    path.write_text(json.dumps([
        row(KEY, key_alias="Old Client", team_id="5bb3c1e2-aaaa-bbbb-cccc-0123456789ab", user_id="jane@example.com", max_budget=10),
        row("sk-blocked-1", key_alias="blocked", blocked=True),
        row("sk-expired-1", key_alias="gone", expires="2020-01-01 00:00:00+00"),
        row("sk-narrow-1", key_alias="narrow", models=["other-model"]),
        row("sk-none-1", key_alias="none", models=["no-default-models"]),
        {"token": KEY, "key_alias": "plain"},
    ]))
    ask = lambda token: http_ask("POST", g.url + "/v1/chat/completions", chat_body(), {"Authorization": f"Bearer {token}"}).status
    assert ask(KEY) == 401
    r = run(g, "--keys", str(path), "--yes", "-o", "json")
    assert r.returncode == 0, (r.stdout, r.stderr)
    told = lines(r)
    assert told["keys row 6 plain"] == ("left", "token is not a SHA-256 hash in hex") and told["keys row 5 none"][0] == "left"
    assert told["limits and budgets of 1 keys"][0] == "left" and told["key old-client"][0] == "carried"
    assert ask(KEY) == 200, "the client's own key, which nobody here has seen"
    assert (ask("sk-blocked-1"), ask("sk-expired-1"), ask("sk-narrow-1")) == (401, 401, 404) or \
        all(s in (401, 403, 404) for s in map(ask, ("sk-blocked-1", "sk-expired-1", "sk-narrow-1")))
    k = items(g, "keys")["old-client"]
    assert (k["org"], k["team"], k["user"], k["name"]) == ("litellm", "5bb3c1e2-aaaa-bbbb-cccc-0123456789ab", "jane-example.com", "Old Client")
    assert KEY not in r.stdout + r.stderr and "import_sha256" not in json.dumps(k)
    again = run(g, "--keys", str(path), "--yes")
    assert again.returncode == 0 and "nothing would change" in again.stderr, again.stderr

    csv = tmp_path / "keys.csv"
    csv.write_text('token,key_alias,models,expires,blocked,max_budget\r\n'
                   f'{hashlib.sha256(b"sk-csv-1").hexdigest()},"Quoted, ""alias""","{{mock-1,small}}",2099-12-31 00:00:00,f,0\r\n')
    r = run(g, "--keys", str(csv), "--org", "play", "--yes", "-o", "json")
    assert r.returncode == 0, (r.stdout, r.stderr)
    assert ask("sk-csv-1") == 200
    k = items(g, "keys")["quoted-alias"]
    assert (k["org"], k["models"], k["expires_at"][:10]) == ("play", ["mock-1", "small"], "2099-12-31")


@pytest.mark.parametrize("text, says", [("model_list: [", "line"), ("- a\n- b\n", "not the configuration"), ("a: &x 1\nb: *x\n", "line")])
def play_bad_configurations(shared, tmp_path, text, says):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    r = run(shared, str(path), "--yes")
    assert r.returncode == 5 and says in r.stderr, r.stderr


@pytest.mark.parametrize("text", ["", "{}", "[1, 2", 'token,models\n"x', "token,models\na,b,c\n", "[1, null, {}]"])
def play_bad_keys(shared, tmp_path, text):
    g = shared
    before = items(g, "keys")
    path = tmp_path / "bad"
    path.write_text(text)
    r = run(g, "--keys", str(path), "--yes")
    assert r.returncode in (0, 5) and items(g, "keys") == before, r.stderr
    assert run(g).returncode == 2 and run(g, "/nowhere.yaml").returncode == 1


def play_the_page_about_it(gateway, config, tmp_path):
    """Each command of docs/MIGRATING.md, as it stands there."""
    g = gateway
    commands = [x.split("#")[0].split() for x in (ROOT / "docs" / "MIGRATING.md").read_text().splitlines() if x.startswith("llmgwctl import litellm")]
    assert len(commands) == 4
    hashed = hashlib.sha256(b"sk-page").hexdigest()
    (tmp_path / "keys.csv").write_text(f"token,key_alias\n{hashed},page\n")
    (tmp_path / "keys.json").write_text(json.dumps([{"token": hashed, "key_alias": "page-too"}]))
    g.ctl("apply", "-f", "-", stdin="{kind: org, id: acme}")
    for c in commands:
        args = [str(tmp_path / x) if x.endswith((".yaml", ".csv", ".json")) else x for x in c[3:]]
        r = run(g, *args, "--dry-run", IMP_MOCK_KEY=SECRET)
        assert r.returncode == 0 and "would change" in r.stderr, (c, r.stderr)
