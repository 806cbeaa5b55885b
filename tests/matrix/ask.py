"""How a client of each dialect asks a case, and what a provider understands of a request: both from the references."""
import json

import speak


def _text_parts(m, text_key="text", kind="text"):
    return {"type": kind, text_key: m["text"]}


def openai(case, model, stream):
    ask, messages = case["ask"], []
    for m in ask["messages"]:
        if m["role"] == "results":
            messages += [{"role": "tool", "tool_call_id": r["id"], "content": r["text"]} for r in m["results"]]
        elif m.get("calls"):
            messages.append({"role": "assistant", "content": None, "tool_calls": [
                {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": speak.compact(c["args"])}} for c in m["calls"]]})
        elif m.get("image"):
            url = f"data:{m['image']['mime']};base64,{m['image']['data']}"
            messages.append({"role": m["role"], "content": [{"type": "text", "text": m["text"]}, {"type": "image_url", "image_url": {"url": url}}]})
        else:
            messages.append({"role": m["role"], "content": m["text"]})
    body = {"model": model, "messages": messages}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if ask.get("tools"):
        body |= {"tools": [{"type": "function", "function": t} for t in ask["tools"]], "tool_choice": ask["choice"]}
    if ask.get("schema"):
        body["response_format"] = {"type": "json_schema", "json_schema": {**ask["schema"], "strict": True}}
    if "max_tokens" in ask:
        body["max_completion_tokens"] = ask["max_tokens"]
    for key in ("temperature", "stop"):
        if key in ask:
            body[key] = ask[key]
    return "/v1/chat/completions", body


def responses(case, model, stream):
    ask, items = case["ask"], []
    for m in ask["messages"]:
        if m["role"] == "results":
            items += [{"type": "function_call_output", "call_id": r["id"], "output": r["text"]} for r in m["results"]]
        elif m.get("calls"):
            items += [{"type": "function_call", "call_id": c["id"], "name": c["name"], "arguments": speak.compact(c["args"])} for c in m["calls"]]
        elif m.get("image"):
            url = f"data:{m['image']['mime']};base64,{m['image']['data']}"
            items.append({"role": m["role"], "content": [{"type": "input_text", "text": m["text"]}, {"type": "input_image", "image_url": url, "detail": "auto"}]})
        elif m["role"] == "assistant":
            items.append({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": m["text"], "annotations": []}]})
        else:
            items.append({"role": m["role"], "content": m["text"]})
    body = {"model": model, "input": items, "store": False}
    if stream:
        body["stream"] = True
    if ask.get("tools"):
        body |= {"tools": [{"type": "function", "strict": False, **t} for t in ask["tools"]], "tool_choice": ask["choice"]}
    if ask.get("schema"):
        body["text"] = {"format": {"type": "json_schema", "strict": True, **ask["schema"]}}
    if "max_tokens" in ask:
        body["max_output_tokens"] = max(16, ask["max_tokens"])
    if "temperature" in ask:
        body["temperature"] = ask["temperature"]
    return "/v1/responses", body


def anthropic(case, model, stream):
    ask, messages, system = case["ask"], [], None
    for m in ask["messages"]:
        if m["role"] == "system":
            system = m["text"]
        elif m["role"] == "results":
            messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": r["id"], "content": r["text"]} for r in m["results"]]})
        elif m.get("calls"):
            messages.append({"role": "assistant", "content": [{"type": "tool_use", "id": c["id"], "name": c["name"], "input": c["args"]} for c in m["calls"]]})
        elif m.get("image"):
            source = {"type": "base64", "media_type": m["image"]["mime"], "data": m["image"]["data"]}
            messages.append({"role": m["role"], "content": [{"type": "text", "text": m["text"]}, {"type": "image", "source": source}]})
        else:
            messages.append({"role": m["role"], "content": m["text"]})
    body = {"model": model, "max_tokens": ask.get("max_tokens", 100), "messages": messages}
    if system:
        body["system"] = system
    if stream:
        body["stream"] = True
    if ask.get("tools"):
        body["tools"] = [{"name": t["name"], "description": t["description"], "input_schema": t["parameters"]} for t in ask["tools"]]
        body["tool_choice"] = {"type": {"required": "any", "auto": "auto"}[ask["choice"]]}
    if ask.get("schema"):
        body["output_config"] = {"format": {"type": "json_schema", "schema": ask["schema"]["schema"]}}
    if "temperature" in ask:
        body["temperature"] = ask["temperature"]
    if "stop" in ask:
        body["stop_sequences"] = ask["stop"]
    return "/v1/messages", body


def gemini(case, model, stream):
    ask, contents, body = case["ask"], [], {}
    for m in ask["messages"]:
        role = "model" if m["role"] == "assistant" else "user"
        if m["role"] == "system":
            body["systemInstruction"] = {"parts": [{"text": m["text"]}]}
        elif m["role"] == "results":
            contents.append({"role": "user", "parts": [{"functionResponse": {"name": r["name"], "response": {"output": r["text"]}}} for r in m["results"]]})
        elif m.get("calls"):
            contents.append({"role": "model", "parts": [{"functionCall": {"name": c["name"], "args": c["args"]}} for c in m["calls"]]})
        else:
            parts = [{"text": m["text"]}]
            if m.get("image"):
                parts.append({"inlineData": {"mimeType": m["image"]["mime"], "data": m["image"]["data"]}})
            contents.append({"role": role, "parts": parts})
    body["contents"] = contents
    if ask.get("tools"):
        body["tools"] = [{"functionDeclarations": [{"name": t["name"], "description": t["description"], "parametersJsonSchema": t["parameters"]}
                                                   for t in ask["tools"]]}]
        body["toolConfig"] = {"functionCallingConfig": {"mode": {"required": "ANY", "auto": "AUTO"}[ask["choice"]]}}
    config = {}
    if ask.get("schema"):
        config |= {"responseMimeType": "application/json", "responseJsonSchema": ask["schema"]["schema"]}
    for ours, theirs in (("max_tokens", "maxOutputTokens"), ("temperature", "temperature"), ("stop", "stopSequences")):
        if ours in ask:
            config[theirs] = ask[ours]
    if config:
        body["generationConfig"] = config
    return f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent"), body


def bedrock(case, model, stream):
    ask, messages, body = case["ask"], [], {}
    for m in ask["messages"]:
        if m["role"] == "system":
            body["system"] = [{"text": m["text"]}]
        elif m["role"] == "results":
            messages.append({"role": "user", "content": [{"toolResult": {"toolUseId": r["id"], "content": [{"text": r["text"]}]}} for r in m["results"]]})
        elif m.get("calls"):
            messages.append({"role": "assistant", "content": [{"toolUse": {"toolUseId": c["id"], "name": c["name"], "input": c["args"]}} for c in m["calls"]]})
        else:
            content = [{"text": m["text"]}]
            if m.get("image"):
                content.append({"image": {"format": "png", "source": {"bytes": m["image"]["data"]}}})
            messages.append({"role": m["role"], "content": content})
    body["messages"] = messages
    if ask.get("tools"):
        body["toolConfig"] = {"tools": [{"toolSpec": {"name": t["name"], "description": t["description"], "inputSchema": {"json": t["parameters"]}}}
                                        for t in ask["tools"]],
                              "toolChoice": {{"required": "any", "auto": "auto"}[ask["choice"]]: {}}}
    if ask.get("schema"):
        body["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {
            "name": ask["schema"]["name"], "schema": json.dumps(ask["schema"]["schema"])}}}}
    config = {theirs: ask[ours] for ours, theirs in (("max_tokens", "maxTokens"), ("temperature", "temperature"), ("stop", "stopSequences")) if ours in ask}
    if config:
        body["inferenceConfig"] = config
    return f"/model/{model}/" + ("converse-stream" if stream else "converse"), body


def cohere(case, model, stream):
    _, body = openai(case, model, False)
    body["stream"] = stream
    choice = body.pop("tool_choice", None)
    if choice == "required":
        body["tool_choice"] = "REQUIRED"
    if "max_completion_tokens" in body:
        body["max_tokens"] = body.pop("max_completion_tokens")
    if "stop" in body:
        body["stop_sequences"] = body.pop("stop")
    if "response_format" in body:
        body["response_format"] = {"type": "json_object", "json_schema": case["ask"]["schema"]["schema"]}
    return "/v2/chat", body


ASK = {"openai": openai, "responses": responses, "anthropic": anthropic, "gemini": gemini, "bedrock": bedrock, "cohere": cohere}


# ---- what the provider got ----

def strings(value):
    """All texts in a document, wherever they are."""
    if isinstance(value, dict):
        return [s for v in value.values() for s in strings(v)] + list(value)
    if isinstance(value, list):
        return [s for v in value for s in strings(v)]
    return [value] if isinstance(value, str) else []


def must_reach(case):
    """Texts that may not be lost on the way to any provider."""
    ask, out = case["ask"], []
    for m in ask["messages"]:
        out += [m["text"]] if "text" in m else []
        out += [r["text"] for r in m.get("results", [])]
        out += [c["name"] for c in m.get("calls", [])]
        out += [m["image"]["data"]] if m.get("image") else []
    return out + [t["name"] for t in ask.get("tools", [])] + [t["description"] for t in ask.get("tools", [])] + ask.get("stop", [])
