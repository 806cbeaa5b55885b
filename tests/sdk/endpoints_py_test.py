"""The official OpenAI SDK for Python on the endpoints beside chat, sync and as streams; uploads larger than what is held in memory."""
import asyncio
import base64
import io
import os

import openai
import pytest

URL, KEY = os.environ["LLMGW_URL"], os.environ["LLMGW_KEY"]
FILES = {"x-llmgw-provider": "mock"}  # this key reaches two providers: endpoints without a model need a name


def client(**kw):
    return openai.OpenAI(**{"base_url": URL, "api_key": KEY, "max_retries": 0, "timeout": 30, **kw})


def sound(n):
    f = io.BytesIO(b"RIFF" + b"\0" * n)
    f.name = "speech.wav"
    return f


def test_embeddings():
    r = client().embeddings.create(model="mock-1", input="hello")  # asks for base64 and decodes it
    assert r.data[0].embedding == [0.5, -1.0, 2.0] and r.usage.prompt_tokens == 11
    r = client().embeddings.create(model="mock-1", input=["a", "b"], encoding_format="float")
    assert r.data[0].embedding == [0.5, -1.0, 2.0]


def test_completions():
    c = client().completions.create(model="mock-1", prompt="x")
    assert c.choices[0].text == "one two three" and c.usage.total_tokens == 8
    parts = list(client().completions.create(model="mock-1", prompt="x", stream=True))
    assert "".join(p.choices[0].text for p in parts) == "one two three" and all(p.usage is None for p in parts)
    parts = list(client().completions.create(model="mock-1", prompt="x", stream=True, stream_options={"include_usage": True}))
    assert parts[-1].usage.total_tokens == 8 and parts[-1].choices == []


def test_moderations():
    r = client().moderations.create(model="mock-1", input="x")
    assert r.results[0].flagged and r.results[0].category_scores.violence == 0.97
    with pytest.raises(openai.NotFoundError) as e:
        client().moderations.create(input="x")  # the API's default model, which nobody configured here
    assert e.value.code == "model_not_found" and "omni-moderation-latest" in e.value.message


def test_responses():
    r = client().responses.create(model="mock-1", input="hello")
    assert r.output_text == "one two three" and r.usage.input_tokens_details.cached_tokens == 4
    events = list(client().responses.create(model="mock-1", input="hello", stream=True))
    assert [e.type for e in events] == ["response.created"] + ["response.output_text.delta"] * 3 + ["response.completed"]
    assert events[-1].response.usage.total_tokens == 14
    c = client(default_headers=FILES)
    assert c.responses.retrieve("resp_1").id == "resp_1"
    assert c.responses.cancel("resp_1").status == "cancelled"
    assert c.responses.input_items.list("resp_1").data[0].role == "user"
    assert c.responses.delete("resp_1") is None
    with pytest.raises(openai.NotFoundError):
        c.responses.retrieve("resp_missing")


def test_stored_things_need_a_provider():
    with pytest.raises(openai.BadRequestError) as e:
        client().files.list()
    assert "x-llmgw-provider" in e.value.message


def test_images():
    r = client().images.generate(model="mock-1", prompt="x")
    assert base64.b64decode(r.data[0].b64_json).startswith(b"\x89PNG")
    image = io.BytesIO(b"\x89PNG" + b"\0" * 1000)
    image.name = "a.png"
    assert client().images.edit(model="mock-1", image=image, prompt="x").data
    image.seek(0)
    assert client().images.create_variation(model="mock-1", image=image).data


@pytest.mark.parametrize("size", [100, 2 << 20])
def test_transcriptions(size):
    t = client().audio.transcriptions.create(model="mock-1", file=sound(size))
    assert "model mock-1" in t.text and t.usage.seconds == 7
    assert client().audio.transcriptions.create(model="mock-1", file=sound(size), response_format="text").strip() == "what was said"
    assert "what was said" in client().audio.translations.create(model="mock-1", file=sound(size)).text


def test_transcription_stream():
    events = list(client().audio.transcriptions.create(model="mock-1", file=sound(10), stream=True))
    assert [e.type for e in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]


def test_speech(tmp_path):
    want = b"".join(bytes((k * 31 + i) & 255 for i in range(4000)) for k in range(5))
    assert client().audio.speech.create(model="mock-1", voice="alloy", input="hello").content == want
    with client().audio.speech.with_streaming_response.create(model="mock-1", voice="alloy", input="hello") as r:
        r.stream_to_file(tmp_path / "a.mp3")
    assert (tmp_path / "a.mp3").read_bytes() == want


def test_files_and_batches():
    c = client(default_headers=FILES)
    f = c.files.create(file=("a.jsonl", b"{}\n" * 400000), purpose="batch")
    assert f.id == "file-mock" and f.bytes > 1200000
    assert c.files.list().data[0].id == "file-mock" and c.files.retrieve("file-9").id == "file-9"
    assert len(c.files.content("file-64").content) == 64 * 16384
    assert c.files.delete("file-9").deleted
    b = c.batches.create(input_file_id=f.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert b.status == "validating" and c.batches.retrieve(b.id).id == b.id
    assert c.batches.cancel(b.id).status == "cancelling" and len(c.batches.list().data) == 1


def test_async():
    async def go():
        c = openai.AsyncOpenAI(base_url=URL, api_key=KEY, max_retries=0, timeout=30)
        r, t, e = await asyncio.gather(c.responses.create(model="mock-1", input="x"), c.audio.transcriptions.create(model="mock-1", file=sound(400000)),
                                       c.embeddings.create(model="mock-1", input="x"))
        assert r.output_text and t.text and e.data
        await c.close()

    asyncio.run(go())


def test_errors():
    with pytest.raises(openai.BadRequestError) as e:
        client().post("/embeddings", body={"model": "mock-1"}, cast_to=object)
    assert e.value.param == "input"
    with pytest.raises(openai.AuthenticationError):
        client(api_key="sk-wrong").audio.transcriptions.create(model="mock-1", file=sound(2 << 20))
    with pytest.raises(openai.NotFoundError):
        client().audio.transcriptions.create(model="no-such", file=sound(2 << 20))
    with pytest.raises(openai.PermissionDeniedError):
        openai.OpenAI(base_url=URL.removesuffix("/v1") + "/providers/mock", api_key=KEY, max_retries=0).models.list()
