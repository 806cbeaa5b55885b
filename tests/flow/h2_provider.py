"""A provider that speaks HTTP/2 over TLS (ALPN h2 alone), in a process of its own. What it does with a chat is said in the last message:

  h2: big=N         a whole answer with N bytes of text          h2: flood=N      a stream of N bytes, as fast as it may
  h2: drip          an event every 20 ms until it is reset       h2: wait=MS      a whole answer after so long
  h2: silent        no answer                                    h2: stall        a head, a piece, then nothing
  h2: rst           RST_STREAM instead of an answer              h2: rst-mid      RST_STREAM in the middle of a stream
  h2: close         the connection goes instead of an answer     h2: close-mid    in the middle of a stream
  h2: goaway        GOAWAY that does not count this stream in    h2: goaway-after GOAWAY behind a good answer
  anything else     is echoed

Its control port (plain HTTP/1.1, GET) tells what it has seen as JSON."""
import asyncio
import json
import ssl
import subprocess
import sys
import urllib.request

STATE = {"connections": 0, "open": 0, "streams": 0, "now": 0, "most": 0, "resets": [], "bodies": [], "paths": [], "headers": {}, "sent": {}}


class Provider(asyncio.Protocol):
    def connection_made(self, transport):
        from h2.config import H2Configuration
        from h2.connection import H2Connection
        self.transport, self.tasks, self.bodies, self.room = transport, {}, {}, asyncio.Event()
        self.can_write = asyncio.Event()
        self.can_write.set()
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.flush()
        STATE["connections"] += 1
        STATE["open"] += 1

    def connection_lost(self, exc):
        STATE["open"] -= 1
        for t in self.tasks.values():
            t.cancel()
        STATE["now"] -= len(self.tasks)
        self.tasks = {}

    def pause_writing(self):
        self.can_write.clear()

    def resume_writing(self):
        self.can_write.set()

    def flush(self):
        data = self.h2.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def data_received(self, data):
        import h2.events as ev
        import h2.exceptions
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            self.transport.close()
            return
        for e in events:
            if isinstance(e, ev.RequestReceived):
                STATE["streams"] += 1
                STATE["headers"] = dict(e.headers)
                STATE["paths"].append(STATE["headers"].get(":path"))
                self.bodies[e.stream_id] = (dict(e.headers), bytearray())
            elif isinstance(e, ev.DataReceived):
                self.bodies[e.stream_id][1].extend(e.data)
                self.h2.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
            elif isinstance(e, ev.StreamEnded):
                self.begin(e.stream_id)
            elif isinstance(e, ev.StreamReset):
                STATE["resets"].append([e.stream_id, int(e.error_code)])
                self.over(e.stream_id)
            elif isinstance(e, (ev.WindowUpdated, ev.RemoteSettingsChanged)):
                self.room.set()
            elif isinstance(e, ev.ConnectionTerminated):
                self.transport.close()
        self.flush()

    def over(self, n):
        t = self.tasks.pop(n, None)
        if t:
            STATE["now"] -= 1
            t.cancel()

    def begin(self, n):
        STATE["now"] += 1
        STATE["most"] = max(STATE["most"], STATE["now"])
        self.tasks[n] = asyncio.ensure_future(self.serve(n))
        self.tasks[n].add_done_callback(lambda t: self.tasks.pop(n, None) and STATE.update(now=STATE["now"] - 1))

    def head(self, n, kind, end=False):
        self.h2.send_headers(n, [(":status", "200"), ("content-type", kind), ("x-request-id", f"h2-{n}")], end_stream=end)
        self.flush()

    async def put(self, n, data, end=False):
        while data:
            await self.can_write.wait()
            await asyncio.sleep(0)  # others have their turn, and what comes in is read
            window = min(self.h2.local_flow_control_window(n), self.h2.max_outbound_frame_size)
            if window <= 0:
                self.room.clear()
                await self.room.wait()
                continue
            self.h2.send_data(n, data[:window])
            STATE["sent"][str(n)] = STATE["sent"].get(str(n), 0) + len(data[:window])
            data = data[window:]
            self.flush()
        if end:
            self.h2.end_stream(n)
            self.flush()

    async def whole(self, n, text):
        self.head(n, "application/json")
        await self.put(n, json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "mock-1", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}).encode(), end=True)

    @staticmethod
    def event(text, finish=None):
        return b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "mock-1", "choices": [
            {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}]}).encode() + b"\n\n"

    async def stream(self, n, texts, pause=0.0):
        self.head(n, "text/event-stream")
        for t in texts:
            await self.put(n, self.event(t))
            if pause:
                await asyncio.sleep(pause)
        await self.put(n, self.event(None, "stop") + b"data: [DONE]\n\n", end=True)

    async def serve(self, n):
        headers, body = self.bodies.pop(n)
        STATE["bodies"] = (STATE["bodies"] + [len(body)])[-100:]
        if headers[":path"].endswith("/models"):
            self.head(n, "application/json")
            await self.put(n, b'{"object":"list","data":[{"id":"mock-1","object":"model"}]}', end=True)
            return
        try:
            asked = json.loads(body)
            text = asked["messages"][-1]["content"]
        except (ValueError, KeyError, TypeError):
            self.head(n, "application/json")
            await self.put(n, json.dumps({"got": len(body), "sum": sum(body) % 65536}).encode(), end=True)
            return
        what, _, number = text.removeprefix("h2: ").partition("=") if text.startswith("h2: ") else ("echo", "", "")
        forever = iter(lambda: "tick ", None)
        if what == "big":
            await self.whole(n, "x" * int(number))
        elif what == "flood":
            await self.stream(n, ["y" * 1000] * (int(number) // 1000))
        elif what == "drip":
            await self.stream(n, forever, 0.02)
        elif what == "wait":
            await asyncio.sleep(int(number) / 1000)
            await self.whole(n, "late")
        elif what == "silent":
            await asyncio.sleep(3600)
        elif what == "stall":
            self.head(n, "text/event-stream")
            await self.put(n, self.event("one"))
            await asyncio.sleep(3600)
        elif what in ("rst", "rst-mid"):
            if what == "rst-mid":
                self.head(n, "text/event-stream")
                await self.put(n, self.event("one"))
                await asyncio.sleep(0.05)
            self.h2.reset_stream(n, 2)
            self.flush()
        elif what in ("close", "close-mid"):
            if what == "close-mid":
                self.head(n, "text/event-stream")
                await self.put(n, self.event("one"))
                await asyncio.sleep(0.05)
            self.transport.abort()
        elif what == "goaway":
            self.h2.close_connection(last_stream_id=max(0, n - 2))
            self.flush()
            self.transport.close()
        elif what == "goaway-after":
            await self.whole(n, "good")
            self.h2.close_connection(last_stream_id=n)
            self.flush()
            self.transport.close()
        elif asked.get("stream"):
            await self.stream(n, text.split(" "))
        else:
            await self.whole(n, text)


async def control(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    body = json.dumps(STATE).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()
    writer.close()


async def main(cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["h2"])
    loop = asyncio.get_running_loop()
    s = await loop.create_server(Provider, "127.0.0.1", 0, ssl=context)
    c = await asyncio.start_server(control, "127.0.0.1", 0)
    print(s.sockets[0].getsockname()[1], c.sockets[0].getsockname()[1], flush=True)
    await asyncio.gather(s.serve_forever(), c.serve_forever())


class H2:
    """Such a provider for a play."""

    def __init__(self, authority, cert):
        self.process = subprocess.Popen([sys.executable, __file__, str(authority.folder / f"{cert}.pem"), str(authority.folder / f"{cert}.key")],
                                        stdout=subprocess.PIPE, text=True)
        self.port, self.control = map(int, self.process.stdout.readline().split())
        self.url = f"https://localhost:{self.port}/v1"

    def seen(self):
        return json.load(urllib.request.urlopen(f"http://127.0.0.1:{self.control}/", timeout=20))

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
