"""A conversation of an agent whose provider changes at each turn: what the gateway made of one vendor's answer must be accepted by the next
vendor, and by the first one again. The providers look at each request with the eyes of their vendors (tests/matrix/judge.py)."""
import json
import sys

import pytest

from harness import ROOT, Gateway, http_ask

sys.path[:0] = [str(ROOT / "tests/matrix"), str(ROOT / "tests/fixtures")]
import agent  # noqa: E402
import judge  # noqa: E402
import objects  # noqa: E402
import vendors  # noqa: E402

# Names as the vendors have them: what a model can do is known by its name.
MODELS = {"openai": "gpt-5", "responses": "gpt-5", "anthropic": "claude-sonnet-4-5", "gemini": "gemini-3-flash", "bedrock": "anthropic.claude-sonnet-4-5",
          "cohere": "command-a-reasoning"}
DIALECTS = list(MODELS)


def dialect_of(path):
    return ("openai" if "chat/completions" in path else "responses" if path.endswith("/responses") else "anthropic" if path.endswith("/messages")
            else "gemini" if "enerateContent" in path else "bedrock" if "/converse" in path else "cohere")


class Providers(vendors.Server):
    """All vendors at one address. The model's name ends in the number of the turn."""

    def handle(self, method, path, headers, body):
        if method == "GET":
            return vendors.as_json(200, {"data": [], "models": []})
        dialect, doc = dialect_of(path), json.loads(body)
        model = doc.get("model") or path.split("/models/" if dialect == "gemini" else "/model/")[1].split(":")[0].split("/")[0]
        stream = doc.get("stream", False) or "stream" in path.rsplit("/", 1)[-1]
        try:
            judge.JUDGE[dialect](doc)
        except Exception as e:
            return self.refusal(dialect, f"{type(e).__name__} {e}")
        kind, text = agent.reply(dialect, int(model[-1]), model, stream, judge.proof)
        return 200, {"content-type": kind}, text

    def refusal(self, dialect, why):
        return vendors.as_json(400, {"message": why} if dialect in ("bedrock", "cohere") else
                               {"error": {"message": why, "type": "invalid_request_error", "code": 400, "status": "INVALID_ARGUMENT"}, "type": "error"})


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    providers = Providers()
    gw = Gateway(tmp_path_factory.mktemp("agent"))
    gw.providers = providers
    try:
        gw.start()
        out = [{"kind": "org", "id": "play"}, {"kind": "team", "id": "play", "org": "play"}]
        for dialect, kind in {**objects.TYPES, "openai": "openai"}.items():  # OpenAI itself: kin of it take more
            base = providers.url + {"gemini": "/v1beta", "bedrock": "", "cohere": ""}.get(dialect, "/v1")
            out += [{"kind": "provider", "id": dialect, "type": kind, "base_url": base, "allow_private": ["127.0.0.1/32"]},
                    {"kind": "credential", "id": dialect, "provider": dialect, "secret": "sk-upstream-agent-key"}]
            for turn in range(3):
                name = f"{dialect}-{turn}"
                out += [{"kind": "deployment", "id": name, "provider": dialect, "credential": dialect, "upstream_model": f"{MODELS[dialect]}-t{turn}",
                         "activation": "immediate"}, {"kind": "model", "id": name, "targets": [{"deployment": name}]}]
        gw.ctl("apply", "-f", "-", stdin="\n---\n".join(json.dumps(o) for o in out))
        gw.key = json.loads(gw.ctl("key", "create", "--org", "play", "--team", "play", "--name", "play", "-o", "json"))["token"]
        yield gw
    finally:
        gw.finish()
        providers.stop()


def converse(gw, client, route, stream):
    """The bodies that the providers of `route` got."""
    a, got = agent.AGENT[client](), []
    for turn, provider in enumerate(route):
        path, body = a.ask(f"{provider}-{turn}", stream, turn == 2)
        answer = http_ask("POST", gw.url + path, body, {"Authorization": f"Bearer {gw.key}"})
        assert answer.status == 200, f"turn {turn} at {provider}: {answer.status} {answer.text}"
        got.append(json.loads(gw.providers.seen[-1][3]))
        text, calls = a.take(answer, stream)
        want = agent.case(provider, turn, judge.proof)["reply"]["blocks"]
        assert [(n, args) for _, n, args in calls] == [(b["call"]["name"], b["call"]["args"]) for b in want if "call" in b], answer.text
        if turn == 2:
            assert json.loads(text) == {"n": 1}, answer.text
        else:
            a.answer_calls([(i, name, f"result {turn}{k} of {provider}") for k, (i, name, _) in enumerate(calls)], agent.FORM if turn == 1 else None)
    return got


def what_is_lost(client, route, got):
    """Texts of the history that the last provider did not get."""
    need = [agent.SYSTEM, agent.QUESTION, agent.PICTURE, agent.FORM, "get_weather", "now", f"result 00 of {route[0]}", f"result 01 of {route[0]}",
            f"result 10 of {route[1]}", "Let me look."]
    if "cohere" in route[:1] or (client == "cohere"):
        need.remove("Let me look.")  # there it is a plan, which is a thought elsewhere
    return [n for n in need if not agent.is_there(n, got[2])]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client", DIALECTS)
def play_the_provider_changes_at_each_turn(gateway, client, stream):
    """There and back for every pair of vendors."""
    faults = []
    for first in DIALECTS:
        for second in DIALECTS:
            route = (first, second, first)
            try:
                lost = what_is_lost(client, route, converse(gateway, client, route, stream))
                assert not lost, f"lost: {lost}"
            except Exception as e:  # all routes are looked at, then told together
                faults.append(f"{' > '.join(route)}: {type(e).__name__}: {str(e)[:500]}")
    assert not faults, f"{len(faults)} of 36\n" + "\n".join(faults)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client,maker", [(c, m) for c in DIALECTS for m in ("anthropic", "gemini", "bedrock")
                                          if c == m or c in ("openai", "anthropic")])
def play_proofs_find_their_maker_again(gateway, client, maker, stream):
    """Signed thoughts of the first turn come back to the one who signed them, after another vendor was asked between."""
    got = converse(gateway, client, (maker, "cohere", maker), stream)
    has_no_place = maker == "gemini" and client == "anthropic"  # Gemini signs calls, and Anthropic's calls hold no proof
    assert agent.is_there(judge.proof(maker, 0), got[2]) or has_no_place, got[2]
