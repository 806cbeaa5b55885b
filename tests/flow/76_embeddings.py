"""Embeddings at each kind of provider (rows of schemas/embeddings.def): a stand-in for each looks at the path, the key and the members as the vendor's reference has
them, refuses everything else, and answers in the vendor's shape; asked by the SDKs of OpenAI and Google. A shape without a stand-in here fails."""
import base64
import json
import re
import struct
import threading

import openai
import pytest
from google import genai

from harness import ROOT, Gateway, http_ask
from vendors import Server, as_json

KEY = "emb-key-0123456789abcdef"
SHAPES = {m[1]: (int(m[2]), int(m[3]), int(m[4])) for m in re.finditer(r"^GW_EMBED\(\w+, (\w+), (\d+), (\d+), (\d+),", (ROOT / "schemas/embeddings.def").read_text(), re.M)}


def vector(text, n=3):
    return [float(len(text)), 0.5, -0.25] + [0.0] * (n - 3)


def packed(v):
    return base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode()


class Wrong(Exception):
    pass


def need(is_so, why):
    if not is_so:
        raise Wrong(why)


def only(doc, *names):
    need(set(doc) <= set(names), f"unknown members {sorted(set(doc) - set(names))}")


def like_openai(doc, texts, dimensions, total_only=False, b64=True):
    data = [{"object": "embedding", "index": i, "embedding": packed(v) if b64 else v} for i, v in enumerate(vector(t, dimensions or 3) for t in texts)]
    usage = {"total_tokens": 2 * len(texts), **({} if total_only else {"prompt_tokens": 2 * len(texts)})}
    return {"object": "list", "data": data[::-1], "model": doc["model"], "usage": usage}  # in any order: they have an index


def as_openai(path, doc):
    need(path == "/v1/embeddings", path)
    only(doc, "model", "input", "encoding_format", "dimensions", "user")
    doc["input"] = [doc["input"]] if isinstance(doc["input"], str) else doc["input"]
    return like_openai(doc, doc["input"], doc.get("dimensions"), b64=doc.get("encoding_format") == "base64")


def as_voyage(path, doc):
    need(path == "/v1/embeddings", path)
    only(doc, "model", "input", "input_type", "truncation", "output_dimension", "output_dtype", "encoding_format")
    need(doc.get("input_type") in (None, "query", "document") and doc.get("encoding_format") in (None, "base64"), "input_type, encoding_format")
    return like_openai(doc, doc["input"], doc.get("output_dimension"), total_only=True, b64="encoding_format" in doc)


def as_mistral(path, doc):
    need(path == "/v1/embeddings", path)
    only(doc, "model", "input", "metadata", "output_dimension", "output_dtype", "encoding_format")
    return like_openai(doc, doc["input"], doc.get("output_dimension"), b64=doc.get("encoding_format") == "base64")


def as_jina(path, doc):
    need(path == "/v1/embeddings", path)
    only(doc, "model", "input", "task", "dimensions", "embedding_type", "normalized", "late_chunking", "truncate")
    need(doc.get("task") in (None, "retrieval.query", "retrieval.passage", "separation", "classification", "text-matching"), "task")
    return like_openai(doc, doc["input"], doc.get("dimensions"), total_only=True, b64=doc.get("embedding_type") == "base64")


def as_cohere(path, doc):
    need(path == "/v2/embed", path)
    only(doc, "model", "texts", "input_type", "embedding_types", "output_dimension", "truncate")
    need(doc["input_type"] in ("search_document", "search_query", "classification", "clustering"), "input_type")
    return {"id": "e", "embeddings": {"float": [vector(t, doc.get("output_dimension") or 3) for t in doc["texts"]]}, "texts": doc["texts"],
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 2 * len(doc["texts"])}}}


def as_gemini(path, doc):
    need(path == "/v1beta/models/up-1:batchEmbedContents", path)
    only(doc, "requests")
    for r in doc["requests"]:
        only(r, "model", "content", "taskType", "title", "outputDimensionality")
        need(r["model"] == "models/up-1", r["model"])
    return {"embeddings": [{"values": vector(r["content"]["parts"][0]["text"], r.get("outputDimensionality") or 3)} for r in doc["requests"]]}


def as_titan(path, doc):
    need(path == "/model/amazon.titan-embed-text-v2%3A0/invoke", path)
    only(doc, "inputText", "dimensions", "normalize")
    v = vector(doc["inputText"], doc.get("dimensions") or 3)
    return {"embedding": v, "embeddingsByType": {"float": v}, "inputTextTokenCount": 2}


def as_bedrock_cohere(path, doc):
    need(path == "/model/cohere.embed-multilingual-v3/invoke", path)
    only(doc, "texts", "input_type", "truncate", "embedding_types", "output_dimension")
    need(doc["input_type"] in ("search_document", "search_query", "classification", "clustering"), "input_type")
    vectors = [vector(t, doc.get("output_dimension") or 3) for t in doc["texts"]]
    # embedding_types makes it an object
    return {"id": "e", "response_type": "embeddings_by_type", "embeddings": {"float": vectors} if "embedding_types" in doc else vectors, "texts": doc["texts"]}


def as_ollama(path, doc):
    need(path == "/api/embed", path)
    only(doc, "model", "input", "truncate", "options", "keep_alive", "dimensions")
    return {"model": doc["model"], "embeddings": [vector(t, doc.get("dimensions") or 3) for t in doc["input"]], "total_duration": 14143917, "load_duration": 1019500,
            "prompt_eval_count": 2 * len(doc["input"])}


def as_vertex(model, most):
    def answer(path, doc):
        need(path == f"/v1/projects/p-1/locations/us-central1/publishers/google/models/{model}:predict", path)
        only(doc, "instances", "parameters")
        only(doc.get("parameters", {}), "outputDimensionality", "autoTruncate")
        need(1 <= len(doc["instances"]) <= most, f"{len(doc['instances'])} instances")
        for i in doc["instances"]:
            only(i, "content", "task_type", "title")
        n = doc.get("parameters", {}).get("outputDimensionality") or 3
        return {"predictions": [{"embeddings": {"values": vector(i["content"], n), "statistics": {"truncated": False, "token_count": 2}}} for i in doc["instances"]],
                "metadata": {"billableCharacterCount": 3}}
    return answer


def as_multimodal(path, doc):
    need(path.endswith("/models/multimodalembedding@001:predict") or path.endswith("/models/multimodalembedding%40001:predict"), path)
    only(doc, "instances", "parameters")
    only(doc.get("parameters", {}), "dimension")
    only(doc["instances"][0], "text")
    need(len(doc["instances"]) == 1, "instances")
    return {"predictions": [{"textEmbedding": vector(doc["instances"][0]["text"], doc.get("parameters", {}).get("dimension") or 3)}], "deployedModelId": "1"}


VERTEX = "/v1/projects/p-1/locations/us-central1/publishers/google"
# shape: (provider type, path of its base, upstream model, stand-in, header of the key, tokens a text)
VENDORS = {
    "openai": ("openai", "/v1", "up-1", as_openai, "authorization", 2), "voyage": ("voyage", "/v1", "up-1", as_voyage, "authorization", 2),
    "cohere": ("cohere", "", "up-1", as_cohere, "authorization", 2), "gemini": ("gemini", "/v1beta", "up-1", as_gemini, "x-goog-api-key", 0),
    "titan": ("bedrock", "", "amazon.titan-embed-text-v2:0", as_titan, "authorization", 2),
    "bedrock_cohere": ("bedrock", "", "cohere.embed-multilingual-v3", as_bedrock_cohere, "authorization", 0),
    "ollama": ("ollama", "/v1", "up-1", as_ollama, "authorization", 2),
    "vertex": ("vertex", VERTEX, "text-embedding-005", as_vertex("text-embedding-005", 250), "authorization", 2),
    "vertex_gemini": ("vertex", VERTEX, "gemini-embedding-001", as_vertex("gemini-embedding-001", 1), "authorization", 2),
    "vertex_multimodal": ("vertex", VERTEX, "multimodalembedding@001", as_multimodal, "authorization", 0),
    "mistral": ("mistral", "/v1", "up-1", as_mistral, "authorization", 2), "jina": ("jina", "/v1", "up-1", as_jina, "authorization", 2),
}


class Vendor(Server):
    """One of them; what was wrong with a question is in its answer and in `wrong`."""

    def __init__(self, shape):
        self.answer, self.header, self.wrong, self.calls, self.guard = VENDORS[shape][3], VENDORS[shape][4], [], [], threading.Lock()
        super().__init__()

    def handle(self, method, path, headers, body):
        try:
            need(method == "POST", method)
            need(headers.get(self.header) in (KEY, f"Bearer {KEY}"), f"key in {self.header}: {headers}")
            need((self.header == "authorization") == headers.get(self.header, "").startswith("Bearer "), "Bearer or not")
            if path == "/v1/rerank":
                return as_json(200, self.rerank(json.loads(body)))
            doc = json.loads(body)
            with self.guard:
                self.calls.append(doc)
            return as_json(200, self.answer(path, doc))
        except (Wrong, KeyError, TypeError) as e:
            self.wrong.append(repr(e))
            return as_json(400, {"error": {"message": f"wrong: {e}"}})

    def rerank(self, doc):
        if self.answer is as_voyage:
            only(doc, "model", "query", "documents", "top_k", "return_documents", "truncation")
            n = doc.get("top_k", 9)
            results = [{"relevance_score": 0.5 / (i + 1), "index": i} for i in range(len(doc["documents"]))][:n]
            return {"object": "list", "data": results, "model": doc["model"], "usage": {"total_tokens": 26}}
        only(doc, "model", "query", "documents", "top_n", "return_documents")
        results = [{"index": i, "relevance_score": 0.5 / (i + 1)} for i in range(len(doc["documents"]))][:doc.get("top_n", 9)]
        return {"model": doc["model"], "object": "list", "usage": {"total_tokens": 26}, "results": results}


@pytest.fixture(scope="module")
def g(tmp_path_factory):
    g = Gateway(tmp_path_factory.mktemp("embed"))
    g.start()
    g.ctl("apply", "-f", "-", stdin=json.dumps([{"kind": "org", "id": "play"}, {"kind": "team", "id": "play", "org": "play"}]))
    g.key = json.loads(g.ctl("key", "create", "--org", "play", "--team", "play", "-o", "json"))["token"]
    g.vendors = {}
    objects = []
    for shape, (kind, base, upstream, *_rest) in VENDORS.items():
        v = g.vendors[shape] = Vendor(shape)
        objects += [{"kind": "provider", "id": f"p-{shape}", "type": kind, "base_url": v.url + base, "allow_private": ["127.0.0.1/32"],
                     **({"project": "p-1", "location": "us-central1"} if kind == "vertex" else {"region": "us-east-1"} if kind == "bedrock" else {})},
                    {"kind": "credential", "id": f"c-{shape}", "provider": f"p-{shape}", "secret": KEY},
                    {"kind": "deployment", "id": f"d-{shape}", "provider": f"p-{shape}", "credential": f"c-{shape}", "upstream_model": upstream,
                     "probe": "none", "activation": "immediate"},
                    {"kind": "model", "id": shape, "targets": [{"deployment": f"d-{shape}"}]},
                    {"kind": "model", "id": "alias-" + shape.replace("gemini", "google"), "alias_of": shape}]
    g.ctl("apply", "-f", "-", stdin=json.dumps(objects))
    yield g
    g.finish()
    for v in g.vendors.values():
        v.stop()


def play_every_shape_has_a_stand_in():
    assert set(SHAPES) == set(VENDORS), set(SHAPES) ^ set(VENDORS)


TEXTS = ["a", "bb", "ccc"]


@pytest.mark.parametrize("shape", VENDORS)
def play_openais_clients(g, shape):
    v, (batch, _, _), tokens = g.vendors[shape], SHAPES[shape], VENDORS[shape][5]
    client = openai.OpenAI(base_url=g.url + "/v1", api_key=g.key, max_retries=0)
    for more in ({}, {"encoding_format": "float"}):  # the SDK asks for base64 by itself
        n = len(v.calls)
        got = client.embeddings.create(model=shape, input=TEXTS, **more)
        assert [(e.index, e.embedding) for e in sorted(got.data, key=lambda e: e.index)] == [(i, vector(t)) for i, t in enumerate(TEXTS)], v.wrong
        # what the vendor tells; of those that say nothing, an estimate
        assert (got.usage.prompt_tokens == 3 * tokens) if tokens else (0 < got.usage.prompt_tokens < 10), got.usage
        assert got.usage.total_tokens == got.usage.prompt_tokens, got.usage
        assert len(v.calls) - n == (1 if batch >= 3 else 3)
    assert not v.wrong, v.wrong


@pytest.mark.parametrize("shape", VENDORS)
def play_the_length_of_vectors(g, shape):
    """What a provider offers is asked for in its words; what it does not is refused before it is asked. OpenAI's own bytes pass."""
    v, (_, least, most) = g.vendors[shape], SHAPES[shape]
    client = openai.OpenAI(base_url=g.url + "/v1", api_key=g.key, max_retries=0)
    n = max(least, 4)
    got = client.embeddings.create(model=shape, input="abc", dimensions=n, encoding_format="float")
    assert got.data[0].embedding == vector("abc", n)
    assert not v.wrong, v.wrong
    if shape == "openai":
        return
    calls = len(v.calls)
    for beyond in ([least - 1] if least > 1 else []) + [most + 1]:
        a = http_ask("POST", g.url + "/v1/embeddings", {"model": shape, "input": "x", "dimensions": beyond}, {"Authorization": f"Bearer {g.key}"})
        assert a.status == 400 and a.json["error"]["param"] == "dimensions", a.text
    assert len(v.calls) == calls


@pytest.mark.parametrize("shape", VENDORS)
def play_googles_clients(g, shape):
    """google-genai against every vendor: a list by batchEmbedContents; embedContent by hand. The SDK takes several texts for one question to models that are called
    gemini-something, so the aliases here are not."""
    shape_alias = "alias-" + shape.replace("gemini", "google")
    v, least = g.vendors[shape], max(SHAPES[shape][1], 4)
    client = genai.Client(api_key=g.key, http_options={"base_url": g.url})
    got = client.models.embed_content(model=shape_alias, contents=TEXTS, config={"task_type": "RETRIEVAL_QUERY", "output_dimensionality": least})
    assert [e.values for e in got.embeddings] == [vector(t, least) for t in TEXTS], v.wrong
    a = http_ask("POST", f"{g.url}/v1beta/models/{shape}:embedContent", {"content": {"parts": [{"text": "ab"}, {"text": "c"}]}}, {"x-goog-api-key": g.key})
    assert a.status == 200 and a.json["embedding"]["values"] == vector("abc"), a.text
    assert not v.wrong, v.wrong


def play_one_vector_for_several_parts(g):
    """What the SDK asks of models called gemini-*: embedContent with all texts in one content."""
    client = genai.Client(api_key=g.key, http_options={"base_url": g.url})
    got = client.models.embed_content(model="gemini", contents=TEXTS)
    assert [e.values for e in got.embeddings] == [vector("abbccc")]


@pytest.mark.parametrize("shape,sent", [("voyage", {"input_type": "query"}), ("cohere", {"input_type": "search_query"}), ("jina", {"task": "retrieval.query"}),
                                        ("vertex", "RETRIEVAL_QUERY"), ("gemini", "RETRIEVAL_QUERY"), ("mistral", None), ("openai", None)])
def play_what_the_text_is_for(g, shape, sent):
    """In the vendor's word, or named as left out."""
    a = http_ask("POST", f"{g.url}/v1beta/models/{shape}:embedContent", {"content": {"parts": [{"text": "q"}]}, "taskType": "RETRIEVAL_QUERY", "title": "T"},
                 {"x-goog-api-key": g.key})
    assert a.status == 200, a.text
    last = g.vendors[shape].calls[-1]
    dropped = a.headers.get("x-llmgw-dropped", "").split(",")
    if isinstance(sent, dict):
        assert sent.items() <= last.items()
    elif sent:
        assert sent in json.dumps(last) and '"T"' in json.dumps(last)
    assert ("input_type" in a.headers.get("x-llmgw-dropped", "")) == (sent is None), dropped
    assert ("title" in a.headers.get("x-llmgw-dropped", "")) == (shape not in ("vertex", "gemini")), dropped
    assert not g.vendors[shape].wrong


def play_bad_questions_of_googles_clients(g):
    calls = len(g.vendors["openai"].calls)
    ask = lambda path, body: http_ask("POST", f"{g.url}/v1beta/models/{path}", body, {"x-goog-api-key": g.key})  # noqa: E731
    text = {"parts": [{"text": "x"}]}
    for path, body, word in (("openai:embedContent", {}, "content"), ("openai:embedContent", {"content": {"parts": [{"inlineData": {}}]}}, "text"),
                             ("openai:batchEmbedContents", {"requests": []}, "requests"), ("openai:embedContent", {"content": text, "taskType": 7}, "taskType"),
                             ("openai:batchEmbedContents", {"requests": [{"content": text}, {"content": text, "taskType": "CLUSTERING"}]}, "taskType"),
                             ("voyage:embedContent", {"content": text, "outputDimensionality": 9}, "length")):
        a = ask(path, body)
        assert a.status == 400 and word in a.json["error"]["message"] and a.json["error"]["status"] == "INVALID_ARGUMENT", (path, body, a.text)
    a = ask("nobody:embedContent", {"content": text})
    assert a.status == 404 and a.json["error"]["status"] == "NOT_FOUND", a.text
    assert len(g.vendors["openai"].calls) == calls


def play_more_texts_than_a_call_takes(g):
    client = openai.OpenAI(base_url=g.url + "/v1", api_key=g.key, max_retries=0)
    v = g.vendors["bedrock_cohere"]
    n = len(v.calls)
    texts = ["x" * (i % 7 + 1) for i in range(200)]
    got = client.embeddings.create(model="bedrock_cohere", input=texts)
    assert [e.embedding for e in got.data] == [vector(t) for t in texts]
    assert sorted(len(c["texts"]) for c in v.calls[n:]) == [8, 96, 96]


@pytest.mark.parametrize("shape", ["voyage", "jina"])
def play_rerank(g, shape):
    a = http_ask("POST", g.url + "/v1/rerank", {"model": shape, "query": "q", "documents": ["x", "y", "z"], "top_n": 2}, {"Authorization": f"Bearer {g.key}"})
    assert a.status == 200 and [(r["index"], r["relevance_score"]) for r in a.json["results"]] == [(0, 0.5), (1, 0.25)], (a.text, g.vendors[shape].wrong)
    assert not g.vendors[shape].wrong
