"""The vendors' SDKs for Python, each in its own dialect, against models of every provider dialect: only base URL and key differ from the
vendors' documentation. What the models say is written in tests/matrix/cases; `CASE--DIALECT` is a case at a provider of that dialect."""
import asyncio
import json
import os

import anthropic
import botocore.config
import botocore.session
import cohere
import openai
import pytest
from google import genai
from google.genai import types
from mistralai.client import Mistral

ROOT, KEY = os.environ["LLMGW_URL"].removesuffix("/v1"), os.environ["LLMGW_KEY"]
HELLO, PLAN, OSLO = "Hello, w\u00f6rld! \U0001f44b", "Let me look.", {"city": "Oslo"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"name": "get_weather", "description": "Weather of a city"}
OPENAI_TOOL = {"type": "function", "function": {**TOOL, "parameters": SCHEMA}}
ASK = [{"role": "user", "content": "Say hello"}]
WEATHER = [{"role": "user", "content": "Weather in Oslo?"}]
DIALECTS = ["openai", "responses", "anthropic", "gemini", "bedrock", "cohere"]


def pytest_generate_tests(metafunc):
    if "provider" in metafunc.fixturenames:
        metafunc.parametrize("provider", DIALECTS)


def check_openai(client, provider):
    chat = client.chat.completions
    r = chat.create(model=f"text--{provider}", messages=ASK)
    assert r.choices[0].message.content == HELLO and r.choices[0].finish_reason == "stop" and r.usage.total_tokens == 18
    text = "".join(c.choices[0].delta.content or "" for c in chat.create(model=f"text--{provider}", messages=ASK, stream=True))
    assert text == HELLO
    r = chat.create(model=f"tool--{provider}", messages=WEATHER, tools=[OPENAI_TOOL], tool_choice="required")
    call = r.choices[0].message.tool_calls[0]
    assert r.choices[0].finish_reason == "tool_calls" and (call.function.name, json.loads(call.function.arguments)) == ("get_weather", OSLO)
    with chat.stream(model=f"tool--{provider}", messages=WEATHER, tools=[OPENAI_TOOL]) as s:
        streamed = s.get_final_completion().choices[0].message.tool_calls[0]
    assert (streamed.function.name, json.loads(streamed.function.arguments)) == ("get_weather", OSLO)
    r = chat.create(model=f"text--{provider}", tools=[OPENAI_TOOL], messages=[
        *WEATHER, r.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}])
    assert r.choices[0].message.content == HELLO


def test_openai(provider):
    check_openai(openai.OpenAI(base_url=ROOT + "/v1", api_key=KEY, max_retries=0, timeout=20), provider)


def test_azure(provider):
    check_openai(openai.AzureOpenAI(azure_endpoint=ROOT, api_key=KEY, api_version="2024-10-21", max_retries=0, timeout=20), provider)


def test_openai_responses(provider):
    c = openai.OpenAI(base_url=ROOT + "/v1", api_key=KEY, max_retries=0, timeout=20).responses
    tool = {"type": "function", **TOOL, "parameters": {**SCHEMA, "additionalProperties": False}, "strict": True}
    r = c.create(model=f"text--{provider}", input="Say hello", store=False)
    assert r.output_text == HELLO and r.status == "completed" and r.usage.total_tokens == 18
    events = list(c.create(model=f"text--{provider}", input="Say hello", stream=True, store=False))
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == HELLO
    assert events[-1].type == "response.completed" and events[-1].response.output_text == HELLO
    r = c.create(model=f"tool--{provider}", input="Weather in Oslo?", tools=[tool], tool_choice="required", store=False)
    call = r.output[-1]
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "get_weather", OSLO)
    with c.stream(model=f"tool--{provider}", input="Weather in Oslo?", tools=[tool], store=False) as s:
        kinds = [e.type for e in s]
        last = s.get_final_response().output[-1]
    assert "response.function_call_arguments.delta" in kinds and (last.name, json.loads(last.arguments)) == ("get_weather", OSLO)
    again = [{"role": "user", "content": "Weather in Oslo?"}, *r.output, {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}]
    assert c.create(model=f"text--{provider}", input=again, tools=[tool], store=False).output_text == HELLO


def test_anthropic(provider):
    c = anthropic.Anthropic(base_url=ROOT, api_key=KEY, max_retries=0, timeout=20).messages
    ask = {"max_tokens": 100, "system": "Be brief."}
    tools = [{**TOOL, "input_schema": SCHEMA}]
    r = c.create(model=f"text--{provider}", messages=ASK, **ask)
    assert r.content[0].text == HELLO and r.stop_reason == "end_turn" and (r.usage.input_tokens, r.usage.output_tokens) == (11, 7)
    with c.stream(model=f"text--{provider}", messages=ASK, **ask) as s:
        assert "".join(s.text_stream) == HELLO and s.get_final_message().stop_reason == "end_turn"
    r = c.create(model=f"tool--{provider}", messages=WEATHER, tools=tools, tool_choice={"type": "any"}, **ask)
    call = r.content[-1]
    assert r.stop_reason == "tool_use" and (call.name, call.input) == ("get_weather", OSLO)
    with c.stream(model=f"tool--{provider}", messages=WEATHER, tools=tools, **ask) as s:
        assert s.get_final_message().content[-1].input == OSLO
    history = [*WEATHER, {"role": "assistant", "content": r.content},
               {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "rain"}]}]
    assert c.create(model=f"text--{provider}", messages=history, tools=tools, **ask).content[0].text == HELLO


def test_gemini(provider):
    client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=ROOT, timeout=20000))
    c = client.models
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[{**TOOL, "parameters_json_schema": SCHEMA}])],
                                         automatic_function_calling={"disable": True})
    r = c.generate_content(model=f"text--{provider}", contents="Say hello")
    assert r.text == HELLO and r.usage_metadata.total_token_count == 18 and r.candidates[0].finish_reason == "STOP"
    parts = list(c.generate_content_stream(model=f"text--{provider}", contents="Say hello"))
    assert "".join(p.text or "" for p in parts) == HELLO and parts[-1].candidates[0].finish_reason == "STOP"
    r = c.generate_content(model=f"tool--{provider}", contents="Weather in Oslo?", config=config)
    assert (r.function_calls[0].name, r.function_calls[0].args) == ("get_weather", OSLO)
    calls = [call for p in c.generate_content_stream(model=f"tool--{provider}", contents="Weather in Oslo?", config=config) for call in p.function_calls or []]
    assert [(call.name, call.args) for call in calls] == [("get_weather", OSLO)]
    history = [types.UserContent("Weather in Oslo?"), r.candidates[0].content,
               types.UserContent(types.Part.from_function_response(name="get_weather", response={"output": "rain"}))]
    assert c.generate_content(model=f"text--{provider}", contents=history, config=config).text == HELLO


def test_gemini_calls_by_itself(provider):
    def get_weather(city: str) -> str:
        """Weather of a city."""
        asked.append(city)
        return "rain"

    asked = []
    client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=ROOT, timeout=20000))
    c = client.models
    config = types.GenerateContentConfig(tools=[get_weather], automatic_function_calling={"maximum_remote_calls": 2})
    c.generate_content(model=f"tool--{provider}", contents="Weather in Oslo?", config=config)
    assert asked and set(asked) == {"Oslo"}


def test_cohere(provider):
    c = cohere.ClientV2(base_url=ROOT, api_key=KEY, timeout=20)
    r = c.chat(model=f"text--{provider}", messages=ASK)
    assert r.message.content[0].text == HELLO and r.finish_reason == "COMPLETE" and r.usage.tokens.output_tokens == 7
    events = list(c.chat_stream(model=f"text--{provider}", messages=ASK))
    assert "".join(e.delta.message.content.text for e in events if e.type == "content-delta") == HELLO
    assert events[0].type == "message-start" and events[-1].delta.finish_reason == "COMPLETE"
    r = c.chat(model=f"tool--{provider}", messages=WEATHER, tools=[OPENAI_TOOL], tool_choice="REQUIRED")
    call = r.message.tool_calls[0]
    assert r.finish_reason == "TOOL_CALL" and (call.function.name, json.loads(call.function.arguments)) == ("get_weather", OSLO)
    events = list(c.chat_stream(model=f"tool--{provider}", messages=WEATHER, tools=[OPENAI_TOOL]))
    assert json.loads("".join(e.delta.message.tool_calls.function.arguments for e in events if e.type == "tool-call-delta")) == OSLO
    history = [*WEATHER, r.message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    assert c.chat(model=f"text--{provider}", messages=history, tools=[OPENAI_TOOL]).message.content[0].text == HELLO


def test_mistral(provider):
    c = Mistral(server_url=ROOT, api_key=KEY, timeout_ms=20000).chat
    r = c.complete(model=f"text--{provider}", messages=ASK, safe_prompt=False)
    assert r.choices[0].message.content == HELLO and r.usage.total_tokens == 18
    assert "".join(e.data.choices[0].delta.content or "" for e in c.stream(model=f"text--{provider}", messages=ASK) if e.data.choices) == HELLO
    r = c.complete(model=f"tool--{provider}", messages=WEATHER, tools=[OPENAI_TOOL], tool_choice="any")
    call = r.choices[0].message.tool_calls[0]
    assert r.choices[0].finish_reason == "tool_calls" and (call.function.name, json.loads(call.function.arguments)) == ("get_weather", OSLO)
    history = [*WEATHER, r.choices[0].message, {"role": "tool", "tool_call_id": call.id, "name": "get_weather", "content": "rain"}]
    assert c.complete(model=f"text--{provider}", messages=history, tools=[OPENAI_TOOL]).choices[0].message.content == HELLO


def test_mistral_streams_tools():
    """Only as Mistral streams them, in one piece: its SDK refuses OpenAI's, whichever server sends them."""
    c = Mistral(server_url=ROOT, api_key=KEY, timeout_ms=20000).chat
    events = list(c.stream(model="mistral-tool--openai", messages=WEATHER, tools=[OPENAI_TOOL]))
    calls = [call for e in events for ch in e.data.choices for call in ch.delta.tool_calls or []]
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == [("get_weather", OSLO)]


@pytest.fixture(scope="module")
def bedrock():
    """Over TLS: botocore sends a bearer token over nothing else."""
    os.environ |= {"AWS_BEARER_TOKEN_BEDROCK": KEY, "AWS_CA_BUNDLE": os.environ["LLMGW_CA"]}
    return botocore.session.get_session().create_client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=os.environ["LLMGW_TLS_URL"],
        config=botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=20, connect_timeout=5))


def test_bedrock(bedrock, provider):
    def say(text):
        return [{"role": "user", "content": [{"text": text}]}]

    tools = {"tools": [{"toolSpec": {**TOOL, "inputSchema": {"json": SCHEMA}}}]}
    r = bedrock.converse(modelId=f"text--{provider}", messages=say("Say hello"), inferenceConfig={"maxTokens": 100})
    assert r["output"]["message"]["content"][0]["text"] == HELLO and r["stopReason"] == "end_turn" and r["usage"]["totalTokens"] == 18
    events = list(bedrock.converse_stream(modelId=f"text--{provider}", messages=say("Say hello"))["stream"])
    assert "".join(e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e) == HELLO
    assert {"messageStop": {"stopReason": "end_turn"}} in events and events[-1]["metadata"]["usage"]["outputTokens"] == 7
    r = bedrock.converse(modelId=f"tool--{provider}", messages=say("Weather in Oslo?"), toolConfig={**tools, "toolChoice": {"any": {}}})
    call = r["output"]["message"]["content"][-1]["toolUse"]
    assert r["stopReason"] == "tool_use" and (call["name"], call["input"]) == ("get_weather", OSLO)
    events = list(bedrock.converse_stream(modelId=f"tool--{provider}", messages=say("Weather in Oslo?"), toolConfig=tools)["stream"])
    deltas = [e["contentBlockDelta"]["delta"] for e in events if "contentBlockDelta" in e]
    assert json.loads("".join(d["toolUse"]["input"] for d in deltas if "toolUse" in d)) == OSLO
    result = {"role": "user", "content": [{"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "rain"}]}}]}
    r = bedrock.converse(modelId=f"text--{provider}", messages=[*say("Weather in Oslo?"), r["output"]["message"], result], toolConfig=tools)
    assert r["output"]["message"]["content"][0]["text"] == HELLO


def test_langchain(provider):
    from langchain_openai import ChatOpenAI

    for own in ({}, {"use_responses_api": True, "store": False}):
        text, tool = (ChatOpenAI(base_url=ROOT + "/v1", api_key=KEY, model=f"{case}--{provider}", max_retries=0, timeout=20, **own) for case in ("text", "tool"))
        assert text.invoke("Say hello").text == HELLO
        assert "".join(p.text for p in text.stream("Say hello")) == HELLO
        tool = tool.bind_tools([OPENAI_TOOL])
        first = tool.invoke("Weather in Oslo?")
        assert [(c["name"], c["args"]) for c in first.tool_calls] == [("get_weather", OSLO)]
        whole = None
        for piece in tool.stream("Weather in Oslo?"):
            whole = piece if whole is None else whole + piece
        assert [(c["name"], c["args"]) for c in whole.tool_calls] == [("get_weather", OSLO)]
        assert text.invoke([("user", "Weather in Oslo?"), first, {"role": "tool", "tool_call_id": first.tool_calls[0]["id"], "content": "rain"}]).text == HELLO


def test_llama_index(provider):
    from llama_index.core.llms import ChatMessage
    from llama_index.core.tools import FunctionTool
    from llama_index.llms.openai_like import OpenAILike

    def get_weather(city: str) -> str:
        """Weather of a city."""
        return "rain"

    text, tool = (OpenAILike(api_base=ROOT + "/v1", api_key=KEY, model=f"{case}--{provider}", is_chat_model=True, is_function_calling_model=True,
                             max_retries=0, timeout=20) for case in ("text", "tool"))
    ask = [ChatMessage(role="user", content="Say hello")]
    assert text.chat(ask).message.content == HELLO
    assert "".join(p.delta or "" for p in text.stream_chat(ask)) == HELLO
    r = tool.chat_with_tools([FunctionTool.from_defaults(get_weather)], user_msg="Weather in Oslo?")
    assert [(c.tool_name, c.tool_kwargs) for c in tool.get_tool_calls_from_response(r)] == [("get_weather", OSLO)]
    for p in tool.stream_chat_with_tools([FunctionTool.from_defaults(get_weather)], user_msg="Weather in Oslo?"):
        last = p
    assert [(c.tool_name, c.tool_kwargs) for c in tool.get_tool_calls_from_response(last)] == [("get_weather", OSLO)]


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_openai_agents(provider, api):
    import agents

    agents.set_tracing_disabled(True)
    asked = []

    @agents.function_tool
    def get_weather(city: str) -> str:
        """Weather of a city."""
        asked.append(city)
        return "rain"

    def agent(case, client, **more):
        kind = agents.OpenAIChatCompletionsModel if api == "chat" else agents.OpenAIResponsesModel
        return agents.Agent(name="a", instructions="Be brief.", model=kind(model=f"{case}--{provider}", openai_client=client), **more)

    async def run():
        async with openai.AsyncOpenAI(base_url=ROOT + "/v1", api_key=KEY, max_retries=0, timeout=20) as c:
            assert (await agents.Runner.run(agent("text", c), "Say hello")).final_output == HELLO
            streamed = agents.Runner.run_streamed(agent("text", c), "Say hello")
            async for _ in streamed.stream_events():
                pass
            assert streamed.final_output == HELLO
            caller = agent("tool", c, tools=[get_weather], tool_use_behavior="stop_on_first_tool")
            assert (await agents.Runner.run(caller, "Weather in Oslo?")).final_output == "rain"

    asyncio.run(run())
    assert asked == ["Oslo"]
