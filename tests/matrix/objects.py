"""What a gateway is given so that each case is a model at each provider dialect: `CASE--DIALECT`, all of them at one mockllm."""
import json

TYPES = {"openai": "openai-compatible", "responses": "openai-responses", "anthropic": "anthropic", "gemini": "gemini", "bedrock": "bedrock",
         "cohere": "cohere"}


def config(cases, url):
    root = url.removesuffix("/v1")
    out = []
    for dialect, kind in TYPES.items():
        base = {"gemini": root + "/v1beta", "bedrock": root, "cohere": root}.get(dialect, url)
        out += [{"kind": "provider", "id": f"m-{dialect}", "type": kind, "base_url": base, "allow_private": ["127.0.0.1/32"]},
                {"kind": "credential", "id": f"m-{dialect}", "provider": f"m-{dialect}", "secret": "sk-upstream-matrix-key"}]
        for case in cases:
            out += [{"kind": "deployment", "id": f"{case}--{dialect}", "provider": f"m-{dialect}", "credential": f"m-{dialect}", "upstream_model": case,
                     "activation": "immediate"},
                    {"kind": "model", "id": f"{case}--{dialect}", "targets": [{"deployment": f"{case}--{dialect}"}]}]
    return "\n---\n".join(json.dumps(o) for o in out)
