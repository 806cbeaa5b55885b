"""One stand-in for each row of schemas/providers.def, by the vendors' references and recorded traffic: where chats are asked, how the key comes, which members
are refused, and the vendor's own way to say the same thing: where usage stands, how streams are framed and end. Shares no code with the gateway."""
import json

TEXT, PIECES, IN, OUT = "Hello there.", ["Hello", " there", "."], 11, 7
USAGE = {"prompt_tokens": IN, "completion_tokens": OUT, "total_tokens": IN + OUT}
HEAD = {"id": "up-1", "created": 1760000000, "model": "up-model"}


def whole(usage=USAGE, choice=(), message=(), **more):
    return {**HEAD, "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT, **dict(message)}, "finish_reason": "stop",
                                                              **dict(choice)}], **({"usage": usage} if usage else {}), **more}


def sse(objects, done=True, eol="\n", between=""):
    text = between.join(f"data: {json.dumps(o)}{eol}{eol}" if not isinstance(o, str) else o for o in objects)
    return text + (f"data: [DONE]{eol}{eol}" if done else "")


def chunk(delta, finish=None, choice=(), **more):
    return {**HEAD, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **dict(choice)}], **more}


def deltas(**more):
    """Role first, then the text."""
    return [chunk({"role": "assistant", "content": ""}, **more)] + [chunk({"content": p}, **more) for p in PIECES]


def usage_chunk(choices=()):
    return {**HEAD, "object": "chat.completion.chunk", "choices": list(choices), "usage": USAGE}


# ---- ways of streaming ----

def as_openai(ask, **more):
    return sse(deltas(**more) + [chunk({}, "stop", **more)] + ([usage_chunk()] if (ask.get("stream_options") or {}).get("include_usage") else []))


def usage_at_the_end(ask, **more):
    """In the chunk that says why it ended, asked for or not."""
    return sse(deltas(**more) + [chunk({}, "stop", usage=USAGE, **more)])


def as_azure(ask):
    filters = {"hate": {"filtered": False, "severity": "safe"}}
    first = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": filters}]}
    return "data: " + json.dumps(first) + "\n\n" + as_openai(ask)


def as_groq(ask):
    parts = deltas()
    parts[0]["x_groq"] = {"id": "req_1", "seed": 1}
    end = chunk({}, "stop", x_groq={"id": "req_1", "usage": {**USAGE, "queue_time": 0.1, "total_time": 0.2}})
    return sse([*parts, end] + ([usage_chunk()] if (ask.get("stream_options") or {}).get("include_usage") else []))


def as_zai(ask):
    """Its role in every delta."""
    parts = [chunk({"role": "assistant", "reasoning_content": "hm"})] + [chunk({"role": "assistant", "content": p}) for p in PIECES]
    return sse(parts + [chunk({"role": "assistant", "content": ""}, "stop", usage=USAGE)])


def as_deepseek(ask):
    return ": keep-alive\n\n" + sse([{**c, "usage": None} for c in deltas()] + [chunk({"content": ""}, "stop", usage={
        **USAGE, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 7, "prompt_tokens_details": {"cached_tokens": 4}})])


def as_openrouter(ask):
    parts = [": OPENROUTER PROCESSING\n\n"] + [chunk({"role": "assistant", "content": p}, provider="Up", choice={"native_finish_reason": None}) for p in PIECES]
    end = [chunk({"role": "assistant", "content": ""}, "stop", provider="Up", choice={"native_finish_reason": "stop"})]
    return sse(parts + end + [usage_chunk([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "stop"}])])


def as_perplexity(ask):
    """Running totals, the text so far beside each piece, CRLF, and no [DONE]."""
    out, so_far = [], ""
    for p in PIECES:
        so_far += p
        out.append(chunk({"role": "assistant", "content": p}, choice={"message": {"role": "assistant", "content": so_far}}, usage={**USAGE, "completion_tokens": 1}))
    end = chunk({"role": "assistant", "content": ""}, "stop", choice={"message": {"role": "assistant", "content": so_far}}, usage={**USAGE, "search_context_size": "low"})
    return sse(out + [{**end, "object": "chat.completion.done"}], done=False, eol="\r\n")


def as_vllm(ask):
    """Usage so far on each chunk when it is asked for so; here at the end. A comment at the start."""
    return ": ping\n\n" + as_openai(ask, system_fingerprint=None)


def as_llamacpp(ask):
    end = chunk({}, "stop", timings={"prompt_n": IN, "predicted_n": OUT})
    return sse(deltas() + [end] + ([{**usage_chunk(), "timings": {}}] if (ask.get("stream_options") or {}).get("include_usage") else []))


def as_tgi(ask):
    """Finish without a text, usage with empty choices where it is asked for."""
    return sse([chunk({"role": "assistant", "content": p, "tool_calls": None}, choice={"logprobs": None}) for p in PIECES] + [chunk({"role": "assistant", "content": ""}, "stop")]
               + ([usage_chunk()] if (ask.get("stream_options") or {}).get("include_usage") else []))


ANTHROPIC = {"id": "msg_1", "type": "message", "role": "assistant", "model": "up-model", "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn",
             "stop_sequence": None, "usage": {"input_tokens": IN, "output_tokens": OUT, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}}


def as_anthropic(ask):
    events = [{"type": "message_start", "message": {**ANTHROPIC, "content": [], "stop_reason": None, "usage": {"input_tokens": IN, "output_tokens": 1}}}, {"type": "ping"},
              {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
              *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": p}} for p in PIECES), {"type": "content_block_stop", "index": 0},
              {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": OUT}}, {"type": "message_stop"}]
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)


GEMINI_USAGE = {"promptTokenCount": IN, "candidatesTokenCount": OUT, "totalTokenCount": IN + OUT}


def gemini(text, finish="STOP"):
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **({"finishReason": finish} if finish else {})}],
            "usageMetadata": GEMINI_USAGE, "modelVersion": "up-model", "responseId": "r1"}


def as_gemini(ask):
    return "".join(f"data: {json.dumps(gemini(p, 'STOP' if p == '.' else None))}\r\n\r\n" for p in PIECES)


COHERE_USAGE = {"billed_units": {"input_tokens": IN, "output_tokens": OUT}, "tokens": {"input_tokens": float(IN), "output_tokens": float(OUT)}}


def as_cohere(ask):
    events = [{"id": "c1", "type": "message-start", "delta": {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}},
              {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
              *({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": p}}}} for p in PIECES), {"type": "content-end", "index": 0},
              {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": COHERE_USAGE}}]
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events) + "data: [DONE]\n\n"


RESPONSE = {"id": "resp_1", "object": "response", "created_at": 1760000000, "status": "completed", "model": "up-model", "output": [
    {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [{"type": "output_text", "text": TEXT, "annotations": []}]}],
    "usage": {"input_tokens": IN, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": OUT, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": IN + OUT}}


def as_responses(ask):
    item = {"type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant", "content": []}
    open_ = {**RESPONSE, "status": "in_progress", "output": [], "usage": None}
    events = [{"type": "response.created", "response": open_}, {"type": "response.in_progress", "response": open_},
              {"type": "response.output_item.added", "output_index": 0, "item": item},
              {"type": "response.content_part.added", "item_id": "msg_1", "output_index": 0, "content_index": 0, "part": {"type": "output_text", "text": "", "annotations": []}},
              *({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": p} for p in PIECES),
              {"type": "response.output_text.done", "item_id": "msg_1", "output_index": 0, "content_index": 0, "text": TEXT},
              {"type": "response.output_item.done", "output_index": 0, "item": RESPONSE["output"][0]}, {"type": "response.completed", "response": RESPONSE}]
    return "".join(f"event: {e['type']}\ndata: {json.dumps({**e, 'sequence_number': i})}\n\n" for i, e in enumerate(events))


# ---- what is refused ----

MISTRAL = {"model", "messages", "temperature", "top_p", "max_tokens", "stream", "stop", "random_seed", "metadata", "response_format", "tools", "tool_choice", "presence_penalty",
           "frequency_penalty", "n", "prediction", "parallel_tool_calls", "reasoning_effort", "prompt_mode", "guardrails", "prompt_cache_key", "safe_prompt"}
COHERE = {"model", "messages", "tools", "strict_tools", "documents", "citation_options", "response_format", "safety_mode", "max_tokens", "stop_sequences", "temperature", "seed",
          "frequency_penalty", "presence_penalty", "k", "p", "logprobs", "tool_choice", "thinking", "priority", "stream"}
GEMINI_MEMBERS = {"contents", "systemInstruction", "generationConfig", "tools", "toolConfig", "safetySettings", "cachedContent", "labels"}
ANTHROPIC_MEMBERS = {"model", "messages", "max_tokens", "system", "metadata", "stop_sequences", "stream", "temperature", "top_k", "top_p", "tools", "tool_choice", "thinking",
                     "service_tier", "output_config", "container", "mcp_servers"}
CONVERSE = {"messages", "system", "inferenceConfig", "toolConfig", "additionalModelRequestFields", "additionalModelResponseFieldPaths", "guardrailConfig", "promptVariables",
            "requestMetadata", "performanceConfig", "outputConfig", "serviceTier"}
BEARER, X_API_KEY, API_KEY, GOOGLE = ("authorization", "Bearer "), ("x-api-key", ""), ("api-key", ""), ("x-goog-api-key", "")


class Row:
    """base: path of the provider's base_url. path: what is asked for a chat, and for a stream where that is another. limit: what it calls the length of an answer.
    seed: the same of the seed; None: it has none. without: members it refuses. only: all it knows."""

    def __init__(self, base, path, stream=as_openai, reply=None, key=BEARER, limit="max_tokens", seed="seed", without=(), only=None, stream_path=None, checked="recordings", **config):
        self.base, self.path, self.stream_path, self.key, self.limit, self.seed = base, path, stream_path or path, key, limit, seed
        self.stream, self.reply, self.without, self.only, self.config, self.checked = stream, reply or whole(), set(without), only, config, checked

    def fault(self, path, headers, ask, is_stream):
        name, prefix = self.key
        if path != (self.stream_path if is_stream else self.path):
            return 404, f"path {path}"
        if headers.get(name) != prefix + "sk-vendor-0123456789":
            return 401, f"key: {headers.get(name)}"
        others = {"authorization", "x-api-key", "api-key", "x-goog-api-key"} - {name}
        if others & set(headers):
            return 401, f"more keys: {others & set(headers)}"
        extra = set(ask) & self.without | (set(ask) - self.only if self.only is not None else set())
        if extra:
            return 422 if self.only else 400, f"refused members {sorted(extra)}"
        return None


class NoChat:
    """Embeddings alone; played in 76_embeddings.py."""

    def __init__(self, checked):
        self.checked = checked


C = "/chat/completions"
ROWS = {
    "openai": Row("/v1", "/v1" + C, limit="max_completion_tokens"),
    "openai-compatible": Row("/v1", "/v1" + C, limit="max_completion_tokens", checked="neither"),
    "openai-responses": Row("/v1", "/v1/responses", as_responses, RESPONSE, limit="max_output_tokens", seed=None, without=("messages", "max_tokens", "max_completion_tokens", "seed")),
    "anthropic": Row("/v1", "/v1/messages", as_anthropic, ANTHROPIC, X_API_KEY, seed=None, only=ANTHROPIC_MEMBERS),
    "gemini": Row("/v1beta", "/v1beta/models/up-model:generateContent", as_gemini, gemini(TEXT), GOOGLE, limit="generationConfig.maxOutputTokens", seed="generationConfig.seed",
                  only=GEMINI_MEMBERS, stream_path="/v1beta/models/up-model:streamGenerateContent?alt=sse"),
    "vertex": Row("/v1/projects/p/locations/us-central1/publishers/google", "/v1/projects/p/locations/us-central1/publishers/google/models/up-model:generateContent", as_gemini,
                  gemini(TEXT), limit="generationConfig.maxOutputTokens", seed="generationConfig.seed", only=GEMINI_MEMBERS,
                  stream_path="/v1/projects/p/locations/us-central1/publishers/google/models/up-model:streamGenerateContent?alt=sse", project="p", location="us-central1"),
    "bedrock": Row("", "/model/up-model/converse", None, {"output": {"message": {"role": "assistant", "content": [{"text": TEXT}]}}, "stopReason": "end_turn",
                   "usage": {"inputTokens": IN, "outputTokens": OUT, "totalTokens": IN + OUT}, "metrics": {"latencyMs": 5}}, limit="inferenceConfig.maxTokens", seed=None,
                   only=CONVERSE, stream_path="/model/up-model/converse-stream", region="us-east-1"),
    "cohere": Row("", "/v2/chat", as_cohere, {"id": "c1", "finish_reason": "COMPLETE", "message": {"role": "assistant", "content": [{"type": "text", "text": TEXT}]},
                  "usage": COHERE_USAGE}, only=COHERE),
    "azure": Row("/openai/v1", "/openai/v1" + C, as_azure, whole(prompt_filter_results=[]), API_KEY, limit="max_completion_tokens", resource="r"),
    "azure-classic": Row("/openai/deployments", f"/openai/deployments/up-model{C}?api-version=2024-10-21", as_azure, whole(prompt_filter_results=[]), API_KEY,
                         limit="max_completion_tokens", resource="r", api_version="2024-10-21"),
    "mistral": Row("/v1", "/v1" + C, usage_at_the_end, whole(message={"tool_calls": None, "prefix": False}, p="abc"), seed="random_seed", only=MISTRAL),
    "groq": Row("/openai/v1", "/openai/v1" + C, as_groq, whole({**USAGE, "queue_time": 0.1}, x_groq={"id": "req_1"}), limit="max_completion_tokens",
                without=("logprobs", "top_logprobs", "logit_bias")),
    "deepseek": Row("/v1", "/v1" + C, as_deepseek, whole({**USAGE, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 7})),
    "xai": Row("/v1", "/v1" + C, as_openai, whole({**USAGE, "num_sources_used": 0}), limit="max_completion_tokens"),
    "openrouter": Row("/api/v1", "/api/v1" + C, as_openrouter, whole({**USAGE, "cost": 0.0001, "is_byok": False}, provider="Up", choice={"native_finish_reason": "stop"}), limit=None),
    "together": Row("/v1", "/v1" + C, usage_at_the_end, whole(prompt=[], choice={"seed": 5}), checked="documentation"),
    "fireworks": Row("/inference/v1", "/inference/v1" + C, usage_at_the_end, checked="documentation"),
    "perplexity": Row("", C, as_perplexity, whole({**USAGE, "search_context_size": "low"}, citations=[], search_results=[], choice={"delta": {"role": "assistant", "content": ""}})),
    "cerebras": Row("/v1", "/v1" + C, as_openai, whole(time_info={"queue_time": 0.1}), limit="max_completion_tokens"),
    "nvidia": Row("/v1", "/v1" + C, as_openai, whole(message={"reasoning_content": None}), checked="documentation"),
    "huggingface": Row("/v1", "/v1" + C, as_openai),
    "writer": Row("/v1", "/v1/chat", as_openai, whole(message={"graph_data": None, "llm_data": None}), checked="documentation"),
    "ollama": Row("/v1", "/v1" + C, as_openai, whole(system_fingerprint="fp_ollama"), without=("tool_choice", "n")),
    "vllm": Row("/v1", "/v1" + C, as_vllm, whole(message={"reasoning": None, "tool_calls": []}, choice={"stop_reason": None}, prompt_logprobs=None), limit=None, checked="documentation"),
    "sglang": Row("/v1", "/v1" + C, as_openai, whole(message={"reasoning_content": None, "tool_calls": None}, choice={"matched_stop": 2}, metadata={"weight_version": "d"}), limit=None,
                  checked="documentation"),
    "llamacpp": Row("/v1", "/v1" + C, as_llamacpp, whole(timings={"prompt_n": IN}, __verbose={}), limit=None, checked="documentation"),
    "tgi": Row("/v1", "/v1" + C, as_tgi, whole(system_fingerprint="3.0-native", choice={"logprobs": None})),
    "lmstudio": Row("/v1", "/v1" + C, as_openai, whole(stats={}, system_fingerprint="up-model"), checked="documentation"),
    "moonshot": Row("/v1", "/v1" + C, usage_at_the_end, whole({**USAGE, "cached_tokens": 4}), checked="documentation"),
    "zai": Row("/api/paas/v4", "/api/paas/v4" + C, as_zai, whole(message={"reasoning_content": "hm"}, request_id="r-1"), checked="documentation"),
    "alibaba": Row("/compatible-mode/v1", "/compatible-mode/v1" + C, as_openai, whole(message={"reasoning_content": ""}), checked="documentation"),
    "voyage": NoChat("recordings"), "jina": NoChat("documentation"),
}
