"""The official OpenAI SDK for Python as a client: only base_url and api_key differ from its documentation."""
import asyncio
import json
import os
import time
import urllib.request

import openai
import pytest

URL, KEY = os.environ["LLMGW_URL"], os.environ["LLMGW_KEY"]
M = [{"role": "user", "content": "hello"}]
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "n": {"type": "integer"}}, "required": ["city"]}}}]


def client(**kw):
    return openai.OpenAI(**{"base_url": URL, "api_key": KEY, "max_retries": 0, "timeout": 20, **kw})


def say(text):
    return [{"role": "user", "content": text}]


def mock(what, body=None):
    r = urllib.request.Request(os.environ["LLMGW_MOCK"] + "/mock/" + what, json.dumps(body).encode() if body is not None else None)
    return json.load(urllib.request.urlopen(r, timeout=10))


@pytest.fixture(autouse=True)
def fresh():
    mock("reset", {})


def test_chat():
    r = client().chat.completions.with_raw_response.create(model="mock-1", messages=say("echo: caf\u00e9 \U0001f600"), temperature=0.5)
    c = r.parse()
    assert c.choices[0].message.content == "caf\u00e9 \U0001f600" and c.choices[0].finish_reason == "stop"
    assert c.usage.prompt_tokens == 11 and c.usage.total_tokens == 18
    assert r.headers["x-llmgw-deployment"] == "mock-1" and c._request_id == r.headers["x-request-id"]


def test_stream():
    chunks = list(client().chat.completions.create(model="mock-1", messages=say("echo: one two three"), stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "one two three"
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[-1].choices[0].finish_reason == "stop"
    assert all(c.usage is None and c.choices for c in chunks)


def test_stream_with_usage():
    chunks = list(client().chat.completions.create(model="mock-1", messages=M, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 16
    assert sum(c.usage is not None for c in chunks) == 1


def test_stream_helper():
    with client().chat.completions.stream(model="mock-1", messages=say("echo: gathered up"), stream_options={"include_usage": True}) as s:
        kinds = {e.type for e in s}
        done = s.get_final_completion()
    assert done.choices[0].message.content == "gathered up" and done.choices[0].message.role == "assistant"
    assert {"chunk", "content.delta", "content.done"} <= kinds and done.usage.prompt_tokens == 11


def test_tools():
    c = client()
    first = c.chat.completions.create(model="mock-1", messages=say("use the tool"), tools=TOOLS, tool_choice="auto")
    call = first.choices[0].message.tool_calls[0]
    assert first.choices[0].finish_reason == "tool_calls" and call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"city": "Paris", "n": 2}
    second = c.chat.completions.create(model="mock-1", tools=TOOLS, messages=[
        *say("use the tool"), first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}])
    assert second.choices[0].message.content == "The tool said: sunny"


def test_tools_streamed():
    with client().chat.completions.stream(model="mock-1", messages=say("use the tool"), tools=TOOLS) as s:
        for _ in s:
            pass
        call = s.get_final_completion().choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Paris", "n": 2})


def test_async():
    async def run():
        async with openai.AsyncOpenAI(base_url=URL, api_key=KEY, max_retries=0) as c:
            got = await asyncio.gather(*[c.chat.completions.create(model="mock-1", messages=say(f"echo: n{n}")) for n in range(20)])
            text = ""
            async for chunk in await c.chat.completions.create(model="mock-1", messages=say("echo: flows"), stream=True):
                text += chunk.choices[0].delta.content or ""
            return [g.choices[0].message.content for g in got], text

    got, text = asyncio.run(run())
    assert got == [f"n{n}" for n in range(20)] and text == "flows"


def test_models():
    c = client()
    ids = [m.id for m in c.models.list()]
    assert "mock-1" in ids and "quick" in ids
    assert c.models.retrieve("mock-1").object == "model"
    with pytest.raises(openai.NotFoundError):
        c.models.retrieve("nope")


ERRORS = [("400", openai.BadRequestError, 400), ("context", openai.BadRequestError, 400), ("401", openai.InternalServerError, 502),
          ("403", openai.InternalServerError, 502), ("404", openai.InternalServerError, 502), ("429", openai.RateLimitError, 429),
          ("quota", openai.InternalServerError, 502), ("500", openai.InternalServerError, 502), ("503", openai.InternalServerError, 503),
          ("529", openai.InternalServerError, 503), ("silent", openai.InternalServerError, 504), ("garbage", openai.InternalServerError, 502),
          ("html", openai.InternalServerError, 502), ("rst", openai.InternalServerError, 502)]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault,klass,status", ERRORS)
def test_errors_of_the_provider(fault, klass, status, stream):
    mock("next", {"fault": fault, "count": 3})
    with pytest.raises(klass) as e:
        client().chat.completions.create(model="quick", messages=M, stream=stream)
    assert type(e.value) is klass and e.value.status_code == status and e.value.request_id
    assert e.value.body["message"] and e.value.type and e.value.body.keys() >= {"message", "type", "param", "code"}


def test_errors_of_the_client():
    for kw, klass, code, param in [
            ({"model": "nope"}, openai.NotFoundError, "model_not_found", "model"), ({"messages": []}, openai.BadRequestError, "invalid_value", "messages"),
            ({"temperature": "hot"}, openai.BadRequestError, "invalid_value", "temperature")]:
        with pytest.raises(klass) as e:
            client().chat.completions.create(**{"model": "mock-1", "messages": M, **kw})
        assert (e.value.code, e.value.param) == (code, param)
    with pytest.raises(openai.AuthenticationError) as e:
        client(api_key="sk-wrong").chat.completions.create(model="mock-1", messages=M)
    assert e.value.code == "invalid_api_key"
    with pytest.raises(openai.PermissionDeniedError) as e:
        client(api_key=os.environ["LLMGW_FEW_KEY"]).chat.completions.create(model="private", messages=M)
    assert e.value.code == "model_not_allowed"


def test_error_in_the_middle_of_a_stream():
    mock("next", {"fault": "inline-error-mid"})
    text = ""
    with pytest.raises(openai.APIError) as e:
        for c in client().chat.completions.create(model="quick", messages=M, stream=True):
            text += c.choices[0].delta.content or ""
    assert text == "word0 word1 word2 " and not isinstance(e.value, openai.APIStatusError) and e.value.body["type"] == "server_error"


def test_cut_stream_is_an_error():
    mock("next", {"fault": "cut-stream"})
    with pytest.raises((openai.APIError, openai.APIConnectionError)):
        list(client().chat.completions.create(model="quick", messages=M, stream=True))


def test_timeout_of_the_client():
    begun = time.monotonic()
    with pytest.raises(openai.APITimeoutError):
        client(timeout=0.5).chat.completions.create(model="mock-1", messages=say("mock: delay_ms=5000"))
    assert time.monotonic() - begun < 4


def test_retry_headers_are_obeyed():
    """The gateway's own tries are used up: the SDK must not multiply them. After a rate limit it waits as told and comes again."""
    mock("next", {"fault": "500", "count": 10})
    with pytest.raises(openai.InternalServerError):
        client(max_retries=5).chat.completions.create(model="quick", messages=M)
    assert mock("stats")["chat"] == 1
    mock("reset", {})
    mock("next", {"fault": "429", "count": 1})
    begun = time.monotonic()
    assert client(max_retries=2).chat.completions.create(model="quick", messages=M).choices
    assert 1.8 <= time.monotonic() - begun < 10 and mock("stats")["chat"] == 2


def test_leaving_a_stream_early():
    with client().chat.completions.create(model="mock-1", messages=say("mock: chunks=500 chunk_ms=20"), stream=True) as s:
        for n, _ in enumerate(s):
            if n == 3:
                break
    for _ in range(200):
        if mock("stats")["cancelled"] == 1:
            break
        time.sleep(0.01)
    assert mock("stats")["cancelled"] == 1
