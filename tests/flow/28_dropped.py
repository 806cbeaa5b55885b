"""Nothing is lost silently between dialects: what a provider's dialect cannot carry is named in the answer and in the record; with x-llmgw-strict the
request is refused before anything is sent."""
import json
import sys

import pytest

from client import mock_stats
from harness import ROOT, http_ask, running, until

sys.path[:0] = [str(ROOT / "tests/matrix")]
import objects  # noqa: E402
import speak  # noqa: E402

CASES = {"text": json.loads((ROOT / "tests/matrix/cases/text/case.json").read_text())}
ASK = {"model": "text--anthropic", "messages": [{"role": "user", "content": "hello"}], "seed": 4, "logit_bias": {"50256": -100}}


@pytest.fixture(scope="module")
def g(tmp_path_factory):
    where = tmp_path_factory.mktemp("dropped")
    speak.write_scripts(CASES, where / "scripts")
    with running(where, ["--play", str(where / "scripts")]) as g:
        g.ctl("apply", "-f", "-", stdin=objects.config(CASES, g.mock.url))
        yield g


def ask(g, body, **headers):
    return http_ask("POST", g.url + "/v1/chat/completions", body, {"Authorization": f"Bearer {g.key}", **headers})


@pytest.mark.parametrize("more", [{}, {"stream": True}], ids=["whole", "stream"])
def play_what_was_left_out_is_named(g, more):
    a = ask(g, ASK | more)
    assert a.status == 200, a.text
    assert sorted(a.headers["x-llmgw-dropped"].split(", ")) == ["logit_bias", "seed"]
    assert ("data: " in a.text) == bool(more)


def play_the_record_has_it(g):
    a = ask(g, ASK)
    items = until(lambda: [r for r in g.logs() if r.get("dropped")], 10, "a record with dropped")
    assert a.status == 200 and sorted(items[0]["dropped"].split(", ")) == ["logit_bias", "seed"]


def play_nothing_is_named_when_all_is_carried(g):
    a = ask(g, {k: v for k, v in ASK.items() if k not in ("seed", "logit_bias")}, **{"x-llmgw-strict": "true"})
    assert a.status == 200 and "x-llmgw-dropped" not in a.headers, a.headers


@pytest.mark.parametrize("word", ["true", "1"])
def play_strict_refuses_and_sends_nothing(g, word):
    before = mock_stats(g.mock)["requests"]
    a = ask(g, ASK, **{"x-llmgw-strict": word})
    error = a.json["error"]
    assert a.status == 400 and "seed" in error["message"] and "logit_bias" in error["message"], a.text
    assert mock_stats(g.mock)["requests"] == before


def play_strict_is_off_by_other_words(g):
    assert ask(g, ASK, **{"x-llmgw-strict": "false"}).status == 200
