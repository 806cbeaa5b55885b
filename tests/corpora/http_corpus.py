#!/usr/bin/env python3
"""Malformed HTTP against a listening server: the three corpora of $LLMGW_SHARED/corpora, over real sockets.

    http_corpus.py HOST:PORT [--only ID,...] [--set NAME,...] [--cuts N] [--silence S] [--skip-app] [--key TOKEN]
                   [--gateway] [--strict] [-v]

Sets: http11_malformed, http11probe, llhttp_md. --cuts N sends every case N more times, in two pieces, cut at evenly spaced
offsets (each offset when N is large), and wants the same answer as for the whole. --skip-app leaves out what only the
gateway itself can judge (model names). --key replaces the corpus's API key. --gateway: the server is the
gateway, not an echo: POSTs go to the chat endpoint, and where the corpus wants 2xx an orderly no to the odd body will do. Failures of level MUST make the exit code 1, with
--strict also those of SHOULD and POLICY. Prints `N passed, N failed, N skipped`; exit 77 when the corpora are not there.
"""
import argparse
import asyncio
import base64
import json
import os
import re
import sys

HOST_LINE = "Host: gw.test\r\n"
JSON_POST = ("POST /v1/chat/completions HTTP/1.1\r\n" + HOST_LINE + "Authorization: Bearer sk-test-0000\r\n"
             "Content-Type: application/json\r\n")
# Kinds of generated cases that are plays in time rather than bytes; covered by tests of the deadlines and limits.
BEHAVIOUR = {"slow-header", "slow-body", "slow-read", "idle-connect"}
# What only the gateway can judge: model names.
APP = {"BODY-05"}


# What may come instead of 2xx when the message is good and its body is no chat request.
NO = [400, 401, 404, 405, 415, 422]
# "GARBAGE" without a line end behind a good message: the gateway has answered that message with 400 (so the judge wants an end), and
# waits for the rest of the line until its deadline.
UNFINISHED = {"CH-33"}


def for_gateway(case, key):
    if case.raw is not None and b"/v1/" not in case.raw:
        to = rb"POST /v1/chat/completions HTTP/1.1\r\nx-api-key: %s\r\n" % key.encode()
        case.raw = re.sub(rb"^POST /[^ ?]* HTTP/1\.1\r\n", to, case.raw, count=1)
    if any(isinstance(s, int) and 200 <= s < 300 for s in case.expect):
        case.expect = case.expect + NO
        case.check = None if case.check == "echo" else case.check
    case.must_close = case.must_close and case.id not in UNFINISHED
    return case


def generate(gen):
    kind = gen["kind"]
    if kind == "long-target":
        text = "GET /" + "A" * gen["bytes"] + " HTTP/1.1\r\n" + HOST_LINE + "\r\n"
    elif kind == "long-header-value":
        text = "GET / HTTP/1.1\r\n" + HOST_LINE + "X-Big: " + "B" * gen["bytes"] + "\r\n\r\n"
    elif kind == "long-header-name":
        text = "GET / HTTP/1.1\r\n" + HOST_LINE + "B" * gen["bytes"] + ": 1\r\n\r\n"
    elif kind == "many-headers":
        text = "GET / HTTP/1.1\r\n" + HOST_LINE + "".join("X-H-%d: v\r\n" % i for i in range(gen["count"])) + "\r\n"
    elif kind == "declared-body":
        text = JSON_POST + "Content-Length: %d\r\n\r\n" % gen["bytes"]
    elif kind == "json-depth":
        body = "[" * gen["depth"]
        text = JSON_POST + "Content-Length: %d\r\n\r\n" % len(body) + body
    elif kind == "json-keys":
        body = "{" + ",".join('"k%d":0' % i for i in range(gen["count"])) + "}"
        text = JSON_POST + "Content-Length: %d\r\n\r\n" % len(body) + body
    elif kind == "chunked-body":
        chunk = "%x\r\n%s\r\n" % (gen["chunk"], " " * gen["chunk"])
        text = JSON_POST + "Transfer-Encoding: chunked\r\n\r\n" + chunk * (gen["bytes"] // gen["chunk"]) + "0\r\n\r\n"
    elif kind == "pipeline":
        text = ("GET /v1/models HTTP/1.1\r\n" + HOST_LINE + "\r\n") * gen["count"]
    else:
        return None
    return text.encode()


class Case:
    """What is sent, and what may come back: statuses, 'close' (end without an answer), 'wait' (silence)."""

    def __init__(self, ident, raw, expect, level, must_close=False, max_responses=1, check=None, is_timed=False):
        self.id, self.raw, self.expect, self.level = ident, raw, expect, level
        self.must_close, self.max_responses, self.check = must_close, max_responses, check
        self.is_timed = is_timed


def malformed_cases(folder, key):
    with open(os.path.join(folder, "http11_malformed", "cases.json"), encoding="utf-8") as f:
        data = json.load(f)
    for c in data["cases"]:
        if "raw_b64" in c:
            raw = base64.b64decode(c["raw_b64"])
        elif c["gen"]["kind"] in BEHAVIOUR:
            raw = None
        else:
            raw = generate(c["gen"])
        if raw is not None and key:
            raw = raw.replace(b"sk-test-0000", key.encode())
        yield Case(c["id"], raw, c["expect"], c["level"], c["must_close"], c["max_responses"])


def probe_expectation(c):
    """The corpus keeps expectations as words; returns (set of outcomes, extra check or None)."""
    status, text = c["expect_status"], (c["expect_text"] or "")
    two = list(range(200, 300))
    if status and status.startswith("Exact("):
        return [int(status[6:-1])] + (["close"] if c["allow_close"] else []), None
    if status and status.startswith("Range2xx"):
        return two, None
    # "2xx" may always be met by an application's no to a strange body: 400, 401, 404, 405, 415, 422
    lenient = [400, 401, 404, 405, 415, 422]
    special = {
        "!101": (two + lenient + [426, 501], None),
        "non-101 (426 preferred)": (two + lenient + [426, 501], None),
        "non-1xx response": (two + lenient + [417], "no-1xx"),
        "405 with Allow": (two + lenient, None),
        "405 response must include an Allow header": (two + lenient, None),
        "405 with Allow header": ([405, 404], "allow"),
        "405 + Allow header": ([405, 404], "allow"),
        "204 without CL": (two + lenient, "204-without-length"),
        "2xx + echo": (two, "echo"),
        "2xx + close": (two, "closed"),
        "2xx with Date header": (two, "date"),
        "IMF-fixdate format": (two, "date"),
        "2xx with Allow header": (two + lenient, None),
        "2xx with Content-Type": (two, "type"),
        "2xx with no body": (two, "no-body"),
        "2xx (Range ignored)": (two, None),
    }
    if text in special:
        return special[text]
    out = [int(s) for s in re.findall(r"\b[1-5]\d\d\b", text)]
    low = text.lower()
    if "2xx" in low or low.startswith("reject/drop"):
        out += two
    if low.startswith("reject/drop"):
        out += [400]
    if "close" in low:
        out.append("close")
    if "timeout" in low:
        out += ["wait", "close", 408]
    if "400" in low:
        out += [501] if "501" in low else []
    return out or two + lenient, None


def probe_cases(folder, host):
    with open(os.path.join(folder, "http11probe", "cases.json"), encoding="utf-8") as f:
        data = json.load(f)
    levels = {"Must": "MUST", "Should": "SHOULD", "May": "MAY", "NotApplicable": "MAY"}
    for c in data["cases"]:
        expect, check = probe_expectation(c)
        if c["id"] == "MAL-POST-CL-HUGE-NO-BODY":
            expect = expect + [413]  # larger than our limit: said before the body (RFC 9110 15.5.14)
        raw = base64.b64decode(c["raw_b64"]).replace(b"@@HOST@@", host.encode())
        level = levels[c["level"]] if c["scored"] else "MAY"
        yield Case(c["id"], raw, expect, level, False, 2, check)


def llhttp_cases(folder):
    """Requests that strict llhttp refuses must be refused here; for the others any orderly outcome will do, because we are
    stricter (Host is missing in most)."""
    with open(os.path.join(folder, "llhttp_md", "cases.json"), encoding="utf-8") as f:
        cases = json.load(f)
    for i, c in enumerate(cases):
        kind = c["meta"].get("type", "")
        if not kind.startswith("request"):
            continue
        raw = base64.b64decode(c["raw_b64"])
        refused = [400, 405, 408, 411, 413, 414, 417, 431, 501, 505, "close", "wait"]
        code = c["error"]["code"] if c["error"] else 0
        # 5: bytes after `Connection: close` (one answer, then the end); 22, 23: a pause at Upgrade, which we ignore
        strict = kind == "request" and code not in (0, 5, 22, 23)
        expect = refused if strict else refused + list(range(200, 300)) + [404]
        yield Case("llhttp-%03d %s" % (i, c["name"][:50]), raw, expect, "MUST", False, 1 if code == 5 else 8)


STATUS = re.compile(rb"(?:^|\n)HTTP/1\.[01] (\d{3})")


async def talk(host, port, pieces, silence):
    """Sends the pieces; returns (bytes received, saw the end). Ends when nothing came for `silence` seconds."""
    reader, writer = await asyncio.open_connection(host, port)
    got, is_end = b"", False

    async def send():
        try:
            for i, p in enumerate(pieces):
                if i:
                    await asyncio.sleep(0.01)
                writer.write(p)
                await writer.drain()
        except OSError:
            pass

    sender = asyncio.ensure_future(send())
    try:
        while len(got) < 8 << 20:
            data = await asyncio.wait_for(reader.read(65536), silence)
            if not data:
                is_end = True
                break
            got += data
    except asyncio.TimeoutError:
        pass
    except OSError:
        is_end = True
    sender.cancel()
    writer.close()
    return got, is_end


def check_extra(name, got, raw):
    head, _, body = got.partition(b"\r\n\r\n")
    low = head.lower()
    return {
        "no-1xx": not got.startswith(b"HTTP/1.1 1"),
        "allow": b"405" not in head[:13] or b"\nallow:" in low,
        "204-without-length": not head.startswith(b"HTTP/1.1 204") or b"content-length" not in low,
        "echo": b"hello" in body,
        "closed": True,
        "date": re.search(rb"\ndate: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r", low and head)
        is not None,
        "type": b"\ncontent-type:" in low,
        "no-body": body == b"",
    }[name]


def judge(case, got, is_end):
    """(outcome, statuses, list of complaints)"""
    statuses = [int(s) for s in STATUS.findall(got)]
    final = [s for s in statuses if s != 100] or ([100] if statuses else [])
    first = final[0] if final else ("close" if is_end else "wait")
    bad = []
    if first not in case.expect:
        bad.append("status %s" % first)
    if case.must_close and isinstance(first, int) and first >= 400 and not is_end:
        bad.append("left open")
    if len([s for s in statuses if s != 100]) > case.max_responses:
        bad.append("%d answers" % len(statuses))
    if b"/smuggled" in got:
        bad.append("smuggled")
    if case.check == "closed" and not is_end:
        bad.append("left open")
    if case.check and isinstance(first, int) and 200 <= first < 300 and not check_extra(case.check, got, case.raw):
        bad.append("check %s" % case.check)
    if case.check == "allow" and not check_extra("allow", got, case.raw):
        bad.append("no Allow")
    if got and not got.startswith(b"HTTP/1.1 "):
        bad.append("not HTTP")
    return first, [s for s in statuses if s != 100], bad


async def run_case(case, args, gate):
    async with gate:
        try:
            got, is_end = await talk(args.host, args.port, [case.raw], args.silence * (6 if len(case.raw) > 1 << 20 else 1))
        except OSError as e:
            return case, ["cannot connect: %s" % e]
        first, statuses, bad = judge(case, got, is_end)
        offsets = []
        if args.cuts and 1 < len(case.raw) <= 100000:
            step = max(1, (len(case.raw) - 1) // args.cuts)
            offsets = range(1, len(case.raw), step)
    for at in offsets:
        async with gate:
            try:
                got, is_end = await talk(args.host, args.port, [case.raw[:at], case.raw[at:]], args.silence)
            except OSError as e:
                return case, bad + ["cannot connect: %s" % e]
            _, again, more = judge(case, got, is_end)
        if again != statuses:
            bad.append("cut at %d: %s instead of %s" % (at, again, statuses))
        bad += ["cut at %d: %s" % (at, m) for m in more if m not in bad]
    return case, bad


async def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("address", metavar="HOST:PORT")
    ap.add_argument("--only", default="")
    ap.add_argument("--set", default="http11_malformed,http11probe,llhttp_md")
    ap.add_argument("--cuts", type=int, default=0)
    ap.add_argument("--silence", type=float, default=0.7)
    ap.add_argument("--jobs", type=int, default=64)
    ap.add_argument("--skip-app", action="store_true")
    ap.add_argument("--key", default="")
    ap.add_argument("--gateway", action="store_true")
    ap.add_argument("--strict", action="store_true")
    ap.add_argument("-v", action="store_true")
    args = ap.parse_args()
    args.host, port = args.address.rsplit(":", 1)
    args.port = int(port)

    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    folder = os.path.join(os.environ.get("LLMGW_SHARED") or os.path.join(root, "..", "shared"), "corpora")
    if not os.path.isdir(folder):
        print("SKIP: no corpora at %s (set LLMGW_SHARED)" % folder)
        return 77
    sets = args.set.split(",")
    cases = []
    if "http11_malformed" in sets:
        cases += malformed_cases(folder, args.key)
    if "http11probe" in sets:
        cases += probe_cases(folder, args.address)
    if "llhttp_md" in sets:
        cases += llhttp_cases(folder)
    if args.only:
        cases = [c for c in cases if c.id.split()[0] in args.only.split(",")]
    if args.gateway:
        cases = [for_gateway(c, args.key) for c in cases]
    todo = [c for c in cases if c.raw is not None and not (args.skip_app and c.id in APP)]

    gate = asyncio.Semaphore(args.jobs)
    results = await asyncio.gather(*[run_case(c, args, gate) for c in todo])
    failed = [(c, bad) for c, bad in results if bad]
    hard = [c for c, _ in failed if c.level == "MUST"]
    for c, bad in failed:
        print("%s [%s]: %s" % (c.id, c.level, "; ".join(bad[:5])))
        if args.v:
            print("   sent %r" % c.raw[:300])
    if failed:
        print("of these on MUST: %d" % len(hard))
    print("%d passed, %d failed, %d skipped" % (len(results) - len(failed), len(failed), len(cases) - len(todo)))
    return 1 if hard or (args.strict and failed) else 0


sys.exit(asyncio.run(main()))
