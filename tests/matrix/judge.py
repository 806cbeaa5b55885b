"""What the vendors' services refuse in a request, written from their references and from what they answer to mistakes: the provider of a play
looks at each request with these eyes before it answers. Shares nothing with the program.

Each judge raises Refused with the place and the reason; `own` says whether an opaque proof (signature, encrypted content) is one that this
provider made."""
import base64
import json
import re

import vendor_types


class Refused(Exception):
    pass


def must(ok, where, why):
    if not ok:
        raise Refused(f"{where}: {why}")


def proof(dialect, turn):
    """An opaque proof as its maker would make it."""
    return base64.b64encode(f"{dialect} proof of turn {turn}, nobody else can read it".encode()).decode()


def is_own(dialect, signature):
    try:
        return base64.b64decode(signature, validate=True).decode().startswith(f"{dialect} proof")
    except ValueError:
        return False


def keys(where, obj, allowed):
    must(isinstance(obj, dict), where, "must be an object")
    more = set(obj) - set(allowed.split())
    must(not more, where, f"unknown members {sorted(more)}")


def json_object(where, text):
    try:
        must(isinstance(json.loads(text), dict), where, "arguments must be a JSON object")
    except ValueError:
        raise Refused(f"{where}: arguments are no JSON") from None


NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")

# ---- OpenAI chat ----


def openai(body):
    keys("$", body, "model messages stream stream_options tools tool_choice parallel_tool_calls response_format reasoning_effort temperature top_p n stop"
         " max_completion_tokens max_tokens seed store metadata user logprobs top_logprobs service_tier presence_penalty frequency_penalty logit_bias")
    waiting = []
    for i, m in enumerate(body["messages"]):
        at = f"messages[{i}]"
        keys(at, m, "role content name refusal audio annotations tool_calls tool_call_id")
        if m["role"] == "tool":
            must(m.get("tool_call_id") in waiting, at, "must be a response to a preceding message with 'tool_calls'")
            must(m.get("content") not in (None, "", []), at, "content is missing")
            waiting.remove(m["tool_call_id"])
            continue
        must(not waiting, at, f"tool_call_ids {waiting} did not have response messages")
        content = m.get("content")
        must(content is None or isinstance(content, str) or content, f"{at}.content", "an empty array")
        for p in content if isinstance(content, list) else []:
            must(p.get("type") in ("text", "image_url", "file", "input_audio", "refusal"), f"{at}.content", f"type {p.get('type')}")
            keys(f"{at}.content[]", p, "type text image_url file input_audio refusal")
        if m["role"] != "assistant":
            must(content, at, "content is missing")
        must(m["role"] != "assistant" or content or m.get("tool_calls"), at, "an assistant message needs content or tool_calls")
        for c in m.get("tool_calls") or []:
            keys(f"{at}.tool_calls[]", c, "id type function")
            must(len(c["id"]) <= 40, at, "id is longer than 40")
            must(NAME.match(c["function"]["name"]), at, "name")
            json_object(at, c["function"]["arguments"])
            waiting.append(c["id"])
        must(len(set(waiting)) == len(waiting), at, "ids are given twice")
    must(not waiting, "messages", f"tool_call_ids {waiting} did not have response messages")


# ---- OpenAI responses ----

_ITEM = {"message": "type role content id status phase", "function_call": "type id call_id name arguments status", "function_call_output": "type id call_id output status",
         "reasoning": "type id summary encrypted_content content status"}


def responses(body):
    waiting, before = {}, None
    must(body.get("store") is False, "store", "this provider keeps nothing here")
    items = body["input"] if isinstance(body["input"], list) else []
    for i, m in enumerate(items):
        at, kind = f"input[{i}]", m.get("type", "message")
        must(kind in _ITEM, at, f"type {kind}")
        keys(at, m, _ITEM[kind])
        if before == "reasoning":
            must(kind in ("function_call", "message", "reasoning"), at, "reasoning was provided without its required following item")
        must("id" not in m or m["id"].startswith({"message": "msg", "function_call": "fc", "reasoning": "rs", "function_call_output": "fc"}[kind]), at, f"id {m.get('id')}")
        if kind == "message":
            must(m["role"] in ("user", "assistant", "system", "developer"), at, "role")
            for p in m["content"] if isinstance(m["content"], list) else []:
                want = ("output_text", "refusal") if m["role"] == "assistant" else ("input_text", "input_image", "input_file")
                must(p["type"] in want, at, f"content type {p['type']} with role {m['role']}")
        elif kind == "reasoning":
            must(is_own("responses", m.get("encrypted_content") or ""), at, "the encrypted content could not be verified")
        elif kind == "function_call":
            json_object(at, m["arguments"])
            must(m["call_id"] not in waiting, at, "call_id is given twice")
            waiting[m["call_id"]] = True
        else:
            must(m["call_id"] in waiting, at, "no tool call found for function call output")
            waiting[m["call_id"]] = False
        before = kind
    must(before != "reasoning", "input", "reasoning was provided without its required following item")
    must(not any(waiting.values()), "input", f"no tool output found for function calls {waiting}")


# ---- Anthropic ----

_BLOCK = {"text": "type text cache_control citations", "image": "type source cache_control", "tool_use": "type id name input cache_control caller",
          "tool_result": "type tool_use_id content is_error cache_control", "thinking": "type thinking signature", "redacted_thinking": "type data"}


def _anthropic_results(at, m, calls):
    """All results of the calls before come first in the next message of the user."""
    ids = []
    for b in m["content"] if isinstance(m["content"], list) else []:
        if b["type"] != "tool_result":
            break
        ids.append(b["tool_use_id"])
    must(m["role"] == "user" and sorted(ids) == sorted(calls), at, f"`tool_use` ids {calls} were found without `tool_result` blocks immediately after: {ids}")


def anthropic(body):
    must(body.get("max_tokens", 0) > 0, "max_tokens", "is required")
    thinking = body.get("thinking", {})
    is_on = thinking.get("type") == "enabled"
    if is_on:
        must(1024 <= thinking["budget_tokens"] < body["max_tokens"], "thinking.budget_tokens", "must be at least 1024 and below max_tokens")
        must(body.get("temperature", 1) == 1, "temperature", "may only be set to 1 when thinking is enabled")
        must(body.get("tool_choice", {}).get("type", "auto") in ("auto", "none"), "tool_choice", "thinking may not be enabled when tool_choice forces tool use")
    for b in body["system"] if isinstance(body.get("system"), list) else []:
        must(b["type"] == "text" and b["text"], "system", "text content blocks must be non-empty")
    calls, all_calls, last_role, blocks = [], set(), None, []
    must(body["messages"] and body["messages"][0]["role"] == "user", "messages[0]", "the first message must be the user's")
    for i, m in enumerate(body["messages"]):
        at = f"messages[{i}]"
        keys(at, m, "role content")
        if calls:
            _anthropic_results(at, m, calls)
        calls, blocks = [], m["content"]
        must(blocks, at, "content is empty")
        for b in blocks if isinstance(blocks, list) else []:
            must(b.get("type") in _BLOCK, at, f"type {b.get('type')}")
            keys(at, b, _BLOCK[b["type"]])
            must(b["type"] != "text" or b["text"].strip(), at, "text content blocks must be non-empty")
            if b["type"] in ("thinking", "redacted_thinking"):
                must(m["role"] == "assistant" and is_own("anthropic", b.get("signature") or b.get("data") or ""), at, "Invalid `signature` in `thinking` block")
            elif b["type"] == "tool_use":
                must(re.fullmatch(r"[a-zA-Z0-9_-]+", b["id"]) and b["id"] not in all_calls and isinstance(b["input"], dict), at, f"tool_use {b}")
                calls.append(b["id"])
                all_calls.add(b["id"])
        last_role = m["role"]
    must(not calls, "messages", "the last message has tool_use without results")
    must(last_role == "user", "messages", "this model does not support assistant message prefill")
    must(body.get("tools") or not all_calls, "tools", "messages have tool_use, so tools must be defined")
    turn = [m for m in body["messages"] if m["role"] == "assistant" and isinstance(m["content"], list)]
    ends_in_results = isinstance(body["messages"][-1]["content"], list) and any(b["type"] == "tool_result" for b in body["messages"][-1]["content"])
    if is_on and turn and ends_in_results:
        must(turn[-1]["content"][0]["type"] in ("thinking", "redacted_thinking"), "messages", "Expected `thinking` or `redacted_thinking`, but found something else")


# ---- Gemini ----

_PART = "text thought thoughtSignature inlineData fileData functionCall functionResponse"
SKIP = "skip_thought_signature_validator"


def _gemini_turn(contents):
    """The present turn begins at the last message of the user that is not a result."""
    for i in range(len(contents) - 1, -1, -1):
        if contents[i].get("role", "user") == "user" and not any("functionResponse" in p for p in contents[i]["parts"]):
            return i
    return 0


def _gemini_content(at, c, is_present):
    must(c.get("role", "user") in ("user", "model"), at, "role must be user or model")
    must(c.get("parts"), at, "must include at least one parts field")
    calls = []
    for p in c["parts"]:
        keys(at, p, _PART)
        must(sum(k in p for k in ("text", "inlineData", "fileData", "functionCall", "functionResponse")) == 1, at, f"one of data must be set: {p}")
        must(p.get("text") != "" or "thoughtSignature" in p, at, "a part is empty")
        must("thoughtSignature" not in p or p["thoughtSignature"] == SKIP or is_own("gemini", p["thoughtSignature"]), at, "Thought signature is not valid")
        if "functionCall" in p:
            keys(at, p["functionCall"], "id name args")
            must(isinstance(p["functionCall"].get("args", {}), dict), at, "args")
            must(calls or not is_present or "thoughtSignature" in p, at, f"Function call is missing a thought_signature: {p}")
            calls.append(p["functionCall"]["name"])
        if "functionResponse" in p:
            keys(at, p["functionResponse"], "id name response parts")
            must(isinstance(p["functionResponse"]["response"], dict), at, "response must be a Struct")
    return calls


def gemini(body):
    contents, calls, role = body["contents"], [], None
    must(contents and contents[0].get("role", "user") == "user", "contents[0]", "the first turn must be the user's")
    keys("$", body, "contents systemInstruction tools toolConfig safetySettings generationConfig cachedContent labels")
    for p in body.get("systemInstruction", {"parts": [{"text": "x"}]})["parts"]:
        must(p.get("text"), "systemInstruction", "a part is empty")
    present = _gemini_turn(contents)
    for i, c in enumerate(contents):
        at = f"contents[{i}]"
        results = [p["functionResponse"]["name"] for p in c.get("parts", []) if "functionResponse" in p]
        must(results == calls, at, f"function response parts {results} must equal the function call parts {calls} of the function call turn")
        calls = _gemini_content(at, c, i > present)
        must(not calls or role == "user", at, "function call turn comes immediately after a user turn or after a function response turn")
        role = c.get("role", "user")
    must(role == "user", "contents", "the last turn must be the user's")
    thinking = body.get("generationConfig", {}).get("thinkingConfig", {})
    must(not ("thinkingBudget" in thinking and "thinkingLevel" in thinking), "thinkingConfig", "You can only set one of thinking budget and thinking level")


# ---- Bedrock ----


def bedrock(body):
    vendor_types._fits(vendor_types._bedrock().operation_model("Converse").input_shape, {"modelId": "m", **body}, "$")
    role, calls, has_tools = None, [], False
    must(body["messages"][0]["role"] == "user", "messages[0]", "A conversation must start with a user message.")
    for i, m in enumerate(body["messages"]):
        at = f"messages[{i}]"
        must(m["role"] != role, at, "roles must alternate")
        must(m["content"], at, "The content field is empty")
        results = [b["toolResult"]["toolUseId"] for b in m["content"] if "toolResult" in b]
        must(sorted(results) == sorted(calls), at, f"toolResult blocks {results} do not match the toolUse blocks {calls} of the previous turn")
        has_tools |= bool(results)
        calls, role = [], m["role"]
        for b in m["content"]:
            must("text" not in b or b["text"].strip(), at, "The text field in the ContentBlock object is blank")
            if "reasoningContent" in b:
                text = b["reasoningContent"].get("reasoningText", {})
                must(m["role"] == "assistant" and is_own("bedrock", text.get("signature", "")), at, "Invalid `signature` in `thinking` block")
            if "toolUse" in b:
                must(NAME.match(b["toolUse"]["toolUseId"]) and NAME.match(b["toolUse"]["name"]), at, "toolUseId or name")
                calls.append(b["toolUse"]["toolUseId"])
        must(len(set(calls)) == len(calls), at, "ids are given twice")
    must(role == "user" and not calls, "messages", "the conversation must end with a user message")
    must(not has_tools or body.get("toolConfig"), "toolConfig", "must be defined when using toolUse and toolResult content blocks")
    thinking = body.get("additionalModelRequestFields", {}).get("thinking", {})
    last = [m for m in body["messages"] if m["role"] == "assistant"]
    if thinking.get("type") == "enabled" and last and any("toolResult" in b for b in body["messages"][-1]["content"]):
        must("reasoningContent" in last[-1]["content"][0], "messages", "Expected `thinking` or `redacted_thinking`, but found something else")


# ---- Cohere ----


def cohere(body):
    keys("$", body, "model messages stream tools tool_choice strict_tools documents citation_options response_format safety_mode max_tokens stop_sequences temperature seed"
         " frequency_penalty presence_penalty k p logprobs thinking priority raw_prompting")
    waiting = []
    for i, m in enumerate(body["messages"]):
        at = f"messages[{i}]"
        keys(at, m, {"assistant": "role content tool_calls tool_plan citations", "tool": "role content tool_call_id"}.get(m["role"], "role content"))
        if m["role"] == "tool":
            must(m["tool_call_id"] in waiting, at, "tool call id not found in previous tool calls")
            must(m["content"], at, "content is empty")
            waiting.remove(m["tool_call_id"])
            continue
        must(not waiting, at, f"tool calls {waiting} have no results")
        must(m.get("content") or (m["role"] == "assistant" and m.get("tool_calls")), at, "all elements in history must have a message")
        for p in m["content"] if isinstance(m.get("content"), list) else []:
            must(p["type"] in ({"text", "thinking"} if m["role"] == "assistant" else {"text"} if m["role"] == "system" else {"text", "image_url"}), at, f"type {p['type']}")
            must(p.get("text", "x") and p.get("thinking", "x"), at, "a part is empty")
        for c in m.get("tool_calls", []):
            json_object(at, c["function"]["arguments"] or "{}")  # streams of its own give calls without arguments so
            keys(at, c, "id type function")
            waiting.append(c["id"])
    must(not waiting, "messages", f"tool calls {waiting} have no results")
    must(body["messages"][-1]["role"] in ("user", "tool"), "messages", "the last message must be the user's or a tool's")


JUDGE = {"openai": openai, "responses": responses, "anthropic": anthropic, "gemini": gemini, "bedrock": bedrock, "cohere": cohere}
