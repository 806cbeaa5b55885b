"""An agent in each client dialect: asks, takes the answer into its history as it came, as the vendor's SDK would, runs the tools, asks again."""
import json

import botocore.eventstream
import speak
import vendor_types as vendor

SYSTEM, QUESTION, FORM = "Be brief.", "What is the weather in Oslo and in Rome, and what is on the picture?", "Now as JSON."
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOLS = [{"name": "get_weather", "description": "Weather of a city",
          "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
         {"name": "now", "description": "The time", "parameters": {"type": "object", "properties": {}}}]
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


class OpenAI:
    def __init__(self):
        self.history = [{"role": "system", "content": SYSTEM},
                        {"role": "user", "content": [{"type": "text", "text": QUESTION},
                                                     {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PICTURE}}]}]

    def ask(self, model, stream, has_form):
        body = {"model": model, "messages": self.history, "stream": stream, "reasoning_effort": "low", "max_completion_tokens": 9000,
                "tools": [{"type": "function", "function": t} for t in TOOLS]}
        if has_form:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
        return "/v1/chat/completions", body

    def take(self, answer, stream):
        message = self.of_stream(answer.text) if stream else answer.json["choices"][0]["message"]
        self.history.append(message)
        return message.get("content") or "", [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"]))
                                              for c in message.get("tool_calls") or []]

    def of_stream(self, text):
        state = vendor.ChatCompletionStreamState()
        for _, data in vendor.sse(text):
            if data != "[DONE]":
                state.handle_chunk(vendor.ChatCompletionChunk.model_validate(json.loads(data)))
        message = state.current_completion_snapshot.choices[0].message.model_dump(exclude_none=True)
        message.pop("parsed", None)
        for c in message.get("tool_calls", []):
            c.pop("index", None)
            c["function"].pop("parsed_arguments", None)
        return message

    def answer_calls(self, results, more=None):
        self.history += [{"role": "tool", "tool_call_id": i, "content": text} for i, _, text in results]
        if more:
            self.history.append({"role": "user", "content": more})


class Responses:
    def __init__(self):
        self.history = [{"role": "user", "content": [{"type": "input_text", "text": QUESTION},
                                                     {"type": "input_image", "image_url": "data:image/png;base64," + PICTURE, "detail": "auto"}]}]

    def ask(self, model, stream, has_form):
        body = {"model": model, "input": self.history, "instructions": SYSTEM, "stream": stream, "store": False, "max_output_tokens": 9000,
                "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "low", "summary": "auto"},
                "tools": [{"type": "function", "strict": False, **t} for t in TOOLS]}
        if has_form:
            body["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA}}
        return "/v1/responses", body

    def take(self, answer, stream):
        if stream:
            output = [json.loads(d)["response"] for e, d in vendor.sse(answer.text) if e in ("response.completed", "response.incomplete")][0]["output"]
        else:
            output = answer.json["output"]
        self.history += output
        return ("".join(p["text"] for i in output if i["type"] == "message" for p in i["content"]),
                [(i["call_id"], i["name"], json.loads(i["arguments"])) for i in output if i["type"] == "function_call"])

    def answer_calls(self, results, more=None):
        self.history += [{"type": "function_call_output", "call_id": i, "output": text} for i, _, text in results]
        if more:
            self.history.append({"role": "user", "content": more})


class Anthropic:
    def __init__(self):
        source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
        self.history = [{"role": "user", "content": [{"type": "text", "text": QUESTION}, {"type": "image", "source": source}]}]

    def ask(self, model, stream, has_form):
        body = {"model": model, "system": SYSTEM, "messages": self.history, "stream": stream, "max_tokens": 9000,
                "thinking": {"type": "enabled", "budget_tokens": 2048},
                "tools": [{"name": t["name"], "description": t["description"], "input_schema": t["parameters"]} for t in TOOLS]}
        if has_form:
            body["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
        return "/v1/messages", body

    def take(self, answer, stream):
        if stream:
            snapshot, buffers = None, {}
            for event, data in vendor.sse(answer.text):
                if event != "ping":
                    snapshot = vendor.accumulate_event(event=vendor._MESSAGE_EVENT.validate_python(json.loads(data)), current_snapshot=snapshot,
                                                       json_bufs=buffers, request_headers={})
            content = [b.model_dump(exclude_none=True) for b in snapshot.content]
        else:
            content = answer.json["content"]
        self.history.append({"role": "assistant", "content": content})
        return ("".join(b["text"] for b in content if b["type"] == "text"),
                [(b["id"], b["name"], b["input"]) for b in content if b["type"] == "tool_use"])

    def answer_calls(self, results, more=None):
        content = [{"type": "tool_result", "tool_use_id": i, "content": text} for i, _, text in results]
        self.history.append({"role": "user", "content": content + ([{"type": "text", "text": more}] if more else [])})


class Gemini:
    def __init__(self):
        self.history = [{"role": "user", "parts": [{"text": QUESTION}, {"inlineData": {"mimeType": "image/png", "data": PICTURE}}]}]

    def ask(self, model, stream, has_form):
        config = {"maxOutputTokens": 9000, "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True}}
        if has_form:
            config |= {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
        body = {"systemInstruction": {"parts": [{"text": SYSTEM}]}, "contents": self.history, "generationConfig": config,
                "tools": [{"functionDeclarations": [{"name": t["name"], "description": t["description"], "parametersJsonSchema": t["parameters"]} for t in TOOLS]}]}
        return f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent"), body

    def take(self, answer, stream):
        """A stream is kept as the parts of all chunks in one content; those without anything in them are left out."""
        docs = [json.loads(d) for _, d in vendor.sse(answer.text)] if stream else [answer.json]
        parts = [p for d in docs for c in d.get("candidates", []) for p in c.get("content", {}).get("parts", [])]
        parts = [p for p in parts if p.get("text") != "" or "thoughtSignature" in p]
        for i in range(len(parts) - 1, 0, -1):  # words, not thoughts, are joined
            if set(parts[i]) == set(parts[i - 1]) == {"text"}:
                parts[i - 1:i + 1] = [{"text": parts[i - 1]["text"] + parts[i]["text"]}]
        self.history.append({"role": "model", "parts": parts})
        calls = [p["functionCall"] for p in parts if "functionCall" in p]
        return ("".join(p["text"] for p in parts if "text" in p and not p.get("thought")), [(c.get("id"), c["name"], c.get("args", {})) for c in calls])

    def answer_calls(self, results, more=None):
        parts = [{"functionResponse": {"name": name, "response": {"output": text}} | ({"id": i} if i else {})} for i, name, text in results]
        self.history.append({"role": "user", "parts": parts + ([{"text": more}] if more else [])})
        for p in self.history[-1]["parts"]:
            if "functionResponse" in p:
                p["functionResponse"] = dict(p["functionResponse"])


class Bedrock:
    def __init__(self):
        self.history = [{"role": "user", "content": [{"text": QUESTION}, {"image": {"format": "png", "source": {"bytes": PICTURE}}}]}]

    def ask(self, model, stream, has_form):
        body = {"system": [{"text": SYSTEM}], "messages": self.history, "inferenceConfig": {"maxTokens": 9000},
                "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2048}},
                "toolConfig": {"tools": [{"toolSpec": {"name": t["name"], "description": t["description"], "inputSchema": {"json": t["parameters"]}}}
                                         for t in TOOLS]}}
        if has_form:
            body["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"name": "answer", "schema": json.dumps(SCHEMA)}}}}
        return f"/model/{model}/" + ("converse-stream" if stream else "converse"), body

    def take(self, answer, stream):
        message = self.of_stream(answer.body) if stream else answer.json["output"]["message"]
        self.history.append(message)
        return ("".join(b.get("text", "") for b in message["content"]),
                [(b["toolUse"]["toolUseId"], b["toolUse"]["name"], b["toolUse"]["input"]) for b in message["content"] if "toolUse" in b])

    def of_stream(self, raw):
        buffer, blocks = botocore.eventstream.EventStreamBuffer(), {}
        buffer.add_data(raw)
        for event in buffer:
            doc = json.loads(event.payload)
            if event.headers[":event-type"] == "contentBlockStart":
                blocks[doc["contentBlockIndex"]] = {"toolUse": {**doc["start"]["toolUse"], "input": ""}}
            if event.headers[":event-type"] != "contentBlockDelta":
                continue
            delta, b = doc["delta"], blocks.setdefault(doc["contentBlockIndex"], {})
            if "text" in delta:
                b["text"] = b.get("text", "") + delta["text"]
            elif "toolUse" in delta:
                b["toolUse"]["input"] += delta["toolUse"]["input"]
            elif "reasoningContent" in delta:
                r = b.setdefault("reasoningContent", {})
                if "redactedContent" in delta["reasoningContent"]:
                    r["redactedContent"] = delta["reasoningContent"]["redactedContent"]
                    continue
                r = r.setdefault("reasoningText", {"text": ""})
                r["text"] += delta["reasoningContent"].get("text", "")
                if "signature" in delta["reasoningContent"]:
                    r["signature"] = r.get("signature", "") + delta["reasoningContent"]["signature"]
        for b in blocks.values():
            if "toolUse" in b:
                b["toolUse"]["input"] = json.loads(b["toolUse"]["input"] or "{}")
        return {"role": "assistant", "content": [blocks[i] for i in sorted(blocks)]}

    def answer_calls(self, results, more=None):
        content = [{"toolResult": {"toolUseId": i, "content": [{"text": text}]}} for i, _, text in results]
        self.history.append({"role": "user", "content": content + ([{"text": more}] if more else [])})


class Cohere:
    def __init__(self):
        self.history = OpenAI().history

    def ask(self, model, stream, has_form):
        body = {"model": model, "messages": self.history, "stream": stream, "thinking": {"type": "enabled"}, "max_tokens": 9000,
                "tools": [{"type": "function", "function": t} for t in TOOLS]}
        if has_form:
            body["response_format"] = {"type": "json_object", "json_schema": SCHEMA}
        return "/v2/chat", body

    def take(self, answer, stream):
        message = self.of_stream(answer.text) if stream else answer.json["message"]
        self.history.append(message)
        return ("".join(b.get("text", "") for b in message.get("content") or []),
                [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"] or "{}")) for c in message.get("tool_calls") or []])

    def of_stream(self, text):
        message, content, calls = {"role": "assistant"}, {}, {}
        for event, data in vendor.sse(text):
            if data == "[DONE]":
                break
            doc = json.loads(data)
            told = doc.get("delta", {}).get("message", {})
            if event == "content-start":
                content[doc["index"]] = told["content"]
            elif event == "content-delta":
                for k, v in told["content"].items():
                    content[doc["index"]][k] += v
            elif event == "tool-plan-delta":
                message["tool_plan"] = message.get("tool_plan", "") + told["tool_plan"]
            elif event == "tool-call-start":
                calls[doc["index"]] = told["tool_calls"]
            elif event == "tool-call-delta":
                calls[doc["index"]]["function"]["arguments"] += told["tool_calls"]["function"]["arguments"]
        return message | ({"content": list(content.values())} if content else {}) | ({"tool_calls": list(calls.values())} if calls else {})

    def answer_calls(self, results, more=None):
        self.history += [{"role": "tool", "tool_call_id": i, "content": text} for i, _, text in results]
        if more:
            self.history.append({"role": "user", "content": more})


AGENT = {"openai": OpenAI, "responses": Responses, "anthropic": Anthropic, "gemini": Gemini, "bedrock": Bedrock, "cohere": Cohere}


# ---- what the providers answer ----

def case(dialect, turn, proof):
    """Turn 0: thoughts, words, two calls at once; 1: thoughts and a call without arguments; 2: the answer. With the provider's own proofs."""
    def call(name, args, k, more=None):
        return {"call": {"id": f"call_{dialect[:4]}{turn}{k}", "name": name, "args": args, **(more or {})}}
    signed = {"proof": proof(dialect, turn)} if dialect == "gemini" else {}
    if dialect == "openai":  # whose models show no thoughts; ids as some servers of its dialect make them
        return {"reply": {"blocks": [[{"text": "Let me look."}, call("get_weather", {"city": "Oslo"}, ":0"), call("get_weather", {"city": "Rome"}, ":1")],
                                     [call("now", {}, ":2")], [{"text": '{"n":1}'}]][turn],
                          "finish": "stop" if turn == 2 else "tool_calls", "usage": {"input": 11, "output": 7}}}
    thought = {"reasoning": f"{dialect} thinks {turn}"} | ({"proof": proof(dialect, turn)} if dialect in ("anthropic", "bedrock", "responses") else {})
    blocks = [[thought, {"text": "Let me look."}, call("get_weather", {"city": "Oslo"}, 0, signed), call("get_weather", {"city": "Rome"}, 1)],
              [thought, call("now", {}, 0, signed)],
              [thought, {"text": '{"n":1}'}]][turn]
    return {"reply": {"blocks": blocks, "finish": "stop" if turn == 2 else "tool_calls", "usage": {"input": 11, "output": 7}}}


def reply(dialect, turn, model, stream, proof):
    """(content type, body)"""
    c = case(dialect, turn, proof)
    if not stream:
        return "application/json", speak.compact(speak.REPLY[dialect](c, model)).encode()
    kind = "application/vnd.amazon.eventstream" if dialect == "bedrock" else "text/event-stream"
    return kind, b"".join(speak.STREAM[dialect](c, model))


def is_there(needle, doc):
    """A text is somewhere in the document, perhaps in pieces."""
    return needle in "".join(_texts(doc))


def _texts(value):
    if isinstance(value, dict):
        return [t for v in value.values() for t in _texts(v)]
    if isinstance(value, list):
        return [t for v in value for t in _texts(v)]
    return [value] if isinstance(value, str) else []
