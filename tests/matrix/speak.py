"""What a provider of each dialect would answer to a case, and what its clients would ask: written from the references, sharing nothing with
the program, so that it can judge it. A case is neutral; here it gets its wire form."""
import json
import struct
import zlib

ERROR_BODY = {
    ("openai", 429): {"error": {"message": "Rate limit reached", "type": "requests", "param": None, "code": "rate_limit_exceeded"}},
    ("openai", 400): {"error": {"message": "Invalid 'temperature'", "type": "invalid_request_error", "param": "temperature", "code": "invalid_value"}},
    ("anthropic", 429): {"type": "error", "error": {"type": "rate_limit_error", "message": "Rate limit reached"}, "request_id": "req_1"},
    ("anthropic", 400): {"type": "error", "error": {"type": "invalid_request_error", "message": "temperature: invalid"}, "request_id": "req_1"},
    ("gemini", 429): {"error": {"code": 429, "message": "Resource has been exhausted", "status": "RESOURCE_EXHAUSTED"}},
    ("gemini", 400): {"error": {"code": 400, "message": "Invalid value at temperature", "status": "INVALID_ARGUMENT"}},
    ("bedrock", 429): {"__type": "ThrottlingException", "message": "Too many requests"},
    ("bedrock", 400): {"__type": "ValidationException", "message": "temperature is invalid"},
    ("cohere", 429): {"id": "1", "message": "Too many requests"},
    ("cohere", 400): {"id": "1", "message": "invalid request: temperature"},
}


def error_of(dialect, status):
    return ERROR_BODY["openai" if dialect == "responses" else dialect, status]


def compact(v):
    return json.dumps(v, ensure_ascii=False, separators=(",", ":"))


def halves(text):
    """Never empty pieces, so that streams have more than one delta."""
    n = max(1, len(text) // 2)
    return [p for p in (text[:n], text[n:]) if p]


def sse(doc, event=None, end="\n"):
    name = f"event: {event}{end}" if event else ""
    return (name + "data: " + compact(doc) + end + end).encode()


# ---- OpenAI ----

def openai_reply(case, model):
    r = case["reply"]
    text = "".join(b["text"] for b in r["blocks"] if "text" in b)
    message = {"role": "assistant", "content": text or None, "refusal": None}
    calls = [b["call"] for b in r["blocks"] if "call" in b]
    reasoning = "".join(b["reasoning"] for b in r["blocks"] if "reasoning" in b)
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = [{"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": compact(c["args"])}} for c in calls]
    u = r["usage"]
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": r["finish"]}],
            "usage": {"prompt_tokens": u["input"], "completion_tokens": u["output"], "total_tokens": u["input"] + u["output"]}}


def openai_stream(case, model):
    r, out = case["reply"], []
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": model}

    def chunk(delta, finish=None):
        out.append(sse({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": None}))
    chunk({"role": "assistant", "content": ""})
    k = 0
    for b in r["blocks"]:
        for piece in halves(b.get("reasoning", "")):
            chunk({"reasoning_content": piece})
        for piece in halves(b.get("text", "")):
            chunk({"content": piece})
        if "call" in b:
            c = b["call"]
            chunk({"tool_calls": [{"index": k, "id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": ""}}]})
            for piece in halves(compact(c["args"])):
                chunk({"tool_calls": [{"index": k, "function": {"arguments": piece}}]})
            k += 1
    chunk({}, r["finish"])
    u = r["usage"]
    out.append(sse({**head, "choices": [], "usage": {"prompt_tokens": u["input"], "completion_tokens": u["output"], "total_tokens": u["input"] + u["output"]}}))
    return out + [b"data: [DONE]\n\n"]


# ---- Responses ----

def _items(case):
    items = []
    for i, b in enumerate(case["reply"]["blocks"]):
        if "text" in b:
            items.append({"type": "message", "id": f"msg_{i}", "status": "completed", "role": "assistant",
                          "content": [{"type": "output_text", "text": b["text"], "annotations": []}]})
        elif "call" in b:
            c = b["call"]
            items.append({"type": "function_call", "id": f"fc_{i}", "call_id": c["id"], "name": c["name"], "arguments": compact(c["args"]), "status": "completed"})
        else:
            items.append({"type": "reasoning", "id": f"rs_{i}", "summary": [{"type": "summary_text", "text": b["reasoning"]}]}
                         | ({"encrypted_content": b["proof"]} if "proof" in b else {}))
    return items


def responses_reply(case, model, items=None, status=None):
    r = case["reply"]
    u = r["usage"]
    status = status or ("incomplete" if r["finish"] == "length" else "completed")
    return {"id": "resp_1", "object": "response", "created_at": 1700000000, "status": status, "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None, "instructions": None, "model": model,
            "output": _items(case) if items is None else items, "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [],
            "top_p": 1.0, "metadata": {}, "text": {"format": {"type": "text"}},
            "usage": None if status == "in_progress" else {
                "input_tokens": u["input"], "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}, "output_tokens": u["output"],
                "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": u["input"] + u["output"]}}


def responses_stream(case, model):
    out = []

    def put(kind, **more):
        out.append(sse({"type": kind, "sequence_number": len(out), **more}, kind))
    put("response.created", response=responses_reply(case, model, [], "in_progress"))
    put("response.in_progress", response=responses_reply(case, model, [], "in_progress"))
    for i, item in enumerate(_items(case)):
        if item["type"] == "message":
            text = item["content"][0]["text"]
            put("response.output_item.added", output_index=i, item={**item, "status": "in_progress", "content": []})
            put("response.content_part.added", item_id=item["id"], output_index=i, content_index=0, part={"type": "output_text", "text": "", "annotations": []})
            for piece in halves(text):
                put("response.output_text.delta", item_id=item["id"], output_index=i, content_index=0, delta=piece, logprobs=[])
            put("response.output_text.done", item_id=item["id"], output_index=i, content_index=0, text=text, logprobs=[])
            put("response.content_part.done", item_id=item["id"], output_index=i, content_index=0, part=item["content"][0])
        elif item["type"] == "function_call":
            put("response.output_item.added", output_index=i, item={**item, "status": "in_progress", "arguments": ""})
            for piece in halves(item["arguments"]):
                put("response.function_call_arguments.delta", item_id=item["id"], output_index=i, delta=piece)
            put("response.function_call_arguments.done", item_id=item["id"], output_index=i, name=item["name"],
                arguments=item["arguments"])
        else:
            text = item["summary"][0]["text"]
            put("response.output_item.added", output_index=i, item={**item, "summary": []})
            put("response.reasoning_summary_part.added", item_id=item["id"], output_index=i, summary_index=0, part={"type": "summary_text", "text": ""})
            for piece in halves(text):
                put("response.reasoning_summary_text.delta", item_id=item["id"], output_index=i, summary_index=0, delta=piece)
            put("response.reasoning_summary_text.done", item_id=item["id"], output_index=i, summary_index=0, text=text)
            put("response.reasoning_summary_part.done", item_id=item["id"], output_index=i, summary_index=0, part=item["summary"][0])
        put("response.output_item.done", output_index=i, item=item)
    last = responses_reply(case, model)
    put("response." + last["status"], response=last)
    return out


# ---- Anthropic ----

_A_STOP = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def _a_block(b):
    if "text" in b:
        return {"type": "text", "text": b["text"]}
    if "reasoning" in b:
        return {"type": "thinking", "thinking": b["reasoning"], "signature": b.get("proof", "c2ln")}
    c = b["call"]
    return {"type": "tool_use", "id": c["id"], "name": c["name"], "input": c["args"]}


def anthropic_reply(case, model):
    r = case["reply"]
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [_a_block(b) for b in r["blocks"]],
            "stop_reason": _A_STOP[r["finish"]], "stop_sequence": None,
            "usage": {"input_tokens": r["usage"]["input"], "output_tokens": r["usage"]["output"]}}


def anthropic_stream(case, model):
    r, out = case["reply"], []

    def put(kind, **more):
        out.append(sse({"type": kind, **more}, kind))
    put("message_start", message={**anthropic_reply(case, model), "content": [], "stop_reason": None,
                                  "usage": {"input_tokens": r["usage"]["input"], "output_tokens": 1}})
    put("ping")
    for i, b in enumerate(r["blocks"]):
        block = _a_block(b)
        if block["type"] == "text":
            put("content_block_start", index=i, content_block={"type": "text", "text": ""})
            for piece in halves(b["text"]):
                put("content_block_delta", index=i, delta={"type": "text_delta", "text": piece})
        elif block["type"] == "thinking":
            put("content_block_start", index=i, content_block={"type": "thinking", "thinking": "", "signature": ""})
            for piece in halves(b["reasoning"]):
                put("content_block_delta", index=i, delta={"type": "thinking_delta", "thinking": piece})
            put("content_block_delta", index=i, delta={"type": "signature_delta", "signature": block["signature"]})
        else:
            put("content_block_start", index=i, content_block={**block, "input": {}})
            for piece in halves(compact(block["input"])) if block["input"] else []:
                put("content_block_delta", index=i, delta={"type": "input_json_delta", "partial_json": piece})
        put("content_block_stop", index=i)
    put("message_delta", delta={"stop_reason": _A_STOP[r["finish"]], "stop_sequence": None}, usage={"output_tokens": r["usage"]["output"]})
    put("message_stop")
    return out


# ---- Gemini ----

def _g_part(b):
    if "text" in b:
        return {"text": b["text"]}
    if "reasoning" in b:
        return {"text": b["reasoning"], "thought": True}
    signature = {"thoughtSignature": b["call"]["proof"]} if "proof" in b["call"] else {}
    return {"functionCall": {"name": b["call"]["name"], "args": b["call"]["args"]}, **signature}


def gemini_reply(case, model):
    r = case["reply"]
    u = r["usage"]
    return {"candidates": [{"content": {"role": "model", "parts": [_g_part(b) for b in r["blocks"]]},
                            "finishReason": "MAX_TOKENS" if r["finish"] == "length" else "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": u["input"], "candidatesTokenCount": u["output"], "totalTokenCount": u["input"] + u["output"]},
            "modelVersion": model, "responseId": "g1"}


def gemini_stream(case, model):
    whole = gemini_reply(case, model)
    candidate = whole["candidates"][0]
    pieces = []
    for b in case["reply"]["blocks"]:
        for key in ("text", "reasoning"):
            pieces += [{**_g_part({key: p})} for p in halves(b.get(key, ""))]
        if "call" in b:
            pieces.append(_g_part(b))
    out = [sse({"candidates": [{"content": {"role": "model", "parts": [p]}, "index": 0}], "modelVersion": model, "responseId": "g1",
                "usageMetadata": {"promptTokenCount": case["reply"]["usage"]["input"]}}, end="\r\n") for p in pieces]
    return out + [sse({"candidates": [{"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": candidate["finishReason"], "index": 0}],
                       "usageMetadata": whole["usageMetadata"], "modelVersion": model, "responseId": "g1"}, end="\r\n")]


# ---- Bedrock ----

def _b_block(b):
    if "text" in b:
        return {"text": b["text"]}
    if "reasoning" in b:
        return {"reasoningContent": {"reasoningText": {"text": b["reasoning"], "signature": b.get("proof", "c2ln")}}}
    c = b["call"]
    return {"toolUse": {"toolUseId": c["id"], "name": c["name"], "input": c["args"]}}


def _b_usage(case):
    u = case["reply"]["usage"]
    return {"inputTokens": u["input"], "outputTokens": u["output"], "totalTokens": u["input"] + u["output"]}


def bedrock_reply(case, model):
    r = case["reply"]
    return {"output": {"message": {"role": "assistant", "content": [_b_block(b) for b in r["blocks"]]}}, "stopReason": _A_STOP[r["finish"]],
            "usage": _b_usage(case), "metrics": {"latencyMs": 5}}


def aws_frame(name, doc, kind="event"):
    def header(key, value):
        return bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    headers = header(":event-type", name) + header(":content-type", "application/json") + header(":message-type", kind)
    payload = compact(doc).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def bedrock_stream(case, model):
    out = [aws_frame("messageStart", {"p": "abc", "role": "assistant"})]
    for i, b in enumerate(case["reply"]["blocks"]):
        if "text" in b:
            deltas = [{"text": p} for p in halves(b["text"])]
        elif "reasoning" in b:
            deltas = [{"reasoningContent": {"text": p}} for p in halves(b["reasoning"])] + [{"reasoningContent": {"signature": b.get("proof", "c2ln")}}]
        else:
            c = b["call"]
            out.append(aws_frame("contentBlockStart", {"contentBlockIndex": i, "start": {"toolUse": {"toolUseId": c["id"], "name": c["name"]}}}))
            deltas = [{"toolUse": {"input": p}} for p in halves(compact(c["args"]))] if c["args"] else []
        out += [aws_frame("contentBlockDelta", {"contentBlockIndex": i, "delta": d, "p": "ab"}) for d in deltas]
        out.append(aws_frame("contentBlockStop", {"contentBlockIndex": i}))
    out.append(aws_frame("messageStop", {"stopReason": _A_STOP[case["reply"]["finish"]]}))
    return out + [aws_frame("metadata", {"usage": _b_usage(case), "metrics": {"latencyMs": 5}})]


# ---- Cohere ----

_C_STOP = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}


def _c_usage(case):
    u = case["reply"]["usage"]
    return {"billed_units": {"input_tokens": u["input"], "output_tokens": u["output"]}, "tokens": {"input_tokens": float(u["input"]), "output_tokens": float(u["output"])}}


def _c_call(c):
    return {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": compact(c["args"])}}


def cohere_reply(case, model):
    r, message = case["reply"], {"role": "assistant"}
    content = []
    for b in r["blocks"]:
        if "text" in b and not any("call" in x for x in r["blocks"]):
            content.append({"type": "text", "text": b["text"]})
        elif "reasoning" in b:
            content.append({"type": "thinking", "thinking": b["reasoning"]})
        elif "text" in b:
            message["tool_plan"] = b["text"]
    if content:
        message["content"] = content
    calls = [_c_call(b["call"]) for b in r["blocks"] if "call" in b]
    if calls:
        message["tool_calls"] = calls
    return {"id": "co-1", "finish_reason": _C_STOP[r["finish"]], "message": message, "usage": _c_usage(case)}


def cohere_stream(case, model):
    r, out = case["reply"], []

    def put(kind, **more):
        out.append(sse({"type": kind, **more}, kind))
    put("message-start", id="co-1", delta={"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}})
    has_calls, i = any("call" in x for x in r["blocks"]), 0
    for b in r["blocks"]:
        if "call" in b:
            c = _c_call(b["call"])
            put("tool-call-start", index=i, delta={"message": {"tool_calls": {**c, "function": {"name": c["function"]["name"], "arguments": ""}}}})
            for piece in halves(c["function"]["arguments"]) if b["call"]["args"] else []:
                put("tool-call-delta", index=i, delta={"message": {"tool_calls": {"function": {"arguments": piece}}}})
            put("tool-call-end", index=i)
            i += 1
        elif has_calls and "text" in b:
            for piece in halves(b["text"]):
                put("tool-plan-delta", delta={"message": {"tool_plan": piece}})
        else:
            key = "text" if "text" in b else "thinking"
            put("content-start", index=i, delta={"message": {"content": {"type": key, key: ""}}})
            for piece in halves(b.get("text") or b.get("reasoning")):
                put("content-delta", index=i, delta={"message": {"content": {key: piece}}})
            put("content-end", index=i)
            i += 1
    put("message-end", delta={"finish_reason": _C_STOP[r["finish"]], "usage": _c_usage(case)})
    return out + [b"data: [DONE]\n\n"]


REPLY = {"openai": openai_reply, "responses": responses_reply, "anthropic": anthropic_reply, "gemini": gemini_reply, "bedrock": bedrock_reply,
         "cohere": cohere_reply}
STREAM = {"openai": openai_stream, "responses": responses_stream, "anthropic": anthropic_stream, "gemini": gemini_stream,
          "bedrock": bedrock_stream, "cohere": cohere_stream}


def write_scripts(cases, to):
    """The files that mockllm plays: to/<case>/<dialect>.json, .stream, .cut, .error."""
    for name, case in cases.items():
        (to / name).mkdir(parents=True)
        for dialect in REPLY:
            base = to / name / dialect
            if "error" in case:
                status = case["error"]["status"]
                base.with_suffix(".error").write_text(f"{status}\n{compact(error_of(dialect, status))}")
                continue
            base.with_suffix(".json").write_text(compact(REPLY[dialect](case, name)))
            frames = STREAM[dialect](case, name)
            if case.get("cut"):
                base.with_suffix(".cut").write_bytes(b"".join(frames[:len(frames) // 2]))
            else:
                base.with_suffix(".stream").write_bytes(b"".join(frames))
