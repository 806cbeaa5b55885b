"""Runs inside of a network namespace (74_clouds.py makes it): the loopback device gets the addresses of the metadata services, and the identities of a machine and
of a task are fetched from where they really are. Prints each that was served."""
import fcntl
import json
import pathlib
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from clouds import Cloud, CloudGateway  # noqa: E402
from forward_proxy import ForwardProxy  # noqa: E402
from vendors import Provider, signature_fault  # noqa: E402

SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, UP = 0x8914, 0x8916, 0x891C, 0x49


def set_address(device, address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        sockaddr = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
        fcntl.ioctl(s, SIOCSIFADDR, struct.pack("16s16s8x", device, sockaddr))
        sockaddr = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton("255.255.255.255" if b":" in device else "255.0.0.0"))
        fcntl.ioctl(s, SIOCSIFNETMASK, struct.pack("16s16s8x", device, sockaddr))
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh22x", device, UP))


def put(g, p, proxy, **credential):
    for path in ("models/mock-1", "deployments/d", "credentials/c"):
        g.admin("DELETE", path)
    g.ctl("apply", "-f", "-", stdin=json.dumps([
        {"kind": "provider", "id": "p", "type": "openai-compatible", "base_url": p.base_url, "allow_private": ["127.0.0.0/8", "::1/128"], "proxy": proxy.url},
        {"kind": "credential", "id": "c", "provider": "p", **credential},
        {"kind": "deployment", "id": "d", "provider": "p", "credential": "c", "upstream_model": "m", "activation": "immediate"},
        {"kind": "model", "id": "mock-1", "targets": [{"deployment": "d"}]}]))


def served(g, name):
    a = g.chat()
    assert a.status == 200, (name, a.text, g.admin("POST", "deployments/d:test").text, g.log()[-3000:])
    print(name, flush=True)


def main(where):
    set_address(b"lo", "127.0.0.1")
    set_address(b"lo:1", "169.254.169.254")
    set_address(b"lo:2", "169.254.170.2")
    machine, task, sts, provider, proxy = Cloud(host="169.254.169.254", port=80), Cloud(host="169.254.170.2", port=80), Cloud(), Provider(), ForwardProxy()
    g = CloudGateway(where, {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/abc"})
    g.start()
    g.ctl("apply", "-f", "-", stdin=json.dumps([{"kind": "settings", "id": "default", "ambient_credentials": True}, {"kind": "org", "id": "play"},
                                               {"kind": "team", "id": "play", "org": "play"}]))
    g.key = json.loads(g.ctl("key", "create", "--org", "play", "--team", "play", "-o", "json"))["token"]
    provider.fault = lambda m, path, h, b: None if machine.is_bearer(h) else "wrong token"
    put(g, provider, proxy, type="gcp", source="instance")
    served(g, "gcp")
    put(g, provider, proxy, type="azure", source="instance")
    served(g, "azure")
    provider.fault = lambda m, path, h, b: signature_fault(h, m, path, b, h["host"], {**machine.keys, **task.keys, **sts.keys}, "bedrock")
    put(g, provider, proxy, type="aws", region="us-east-1", source="instance")
    served(g, "aws")
    # the keys come from the machine, the role from STS: token_url would stand for both, so it is not set, and STS is out of reach here; the proxy is asked for it
    put(g, provider, proxy, type="aws", region="us-east-1", source="instance", role_arn="arn:aws:iam::1:role/r")
    assert g.chat().status == 503
    assert any(line.startswith("CONNECT sts.us-east-1.amazonaws.com:443") for line in proxy.lines()), proxy.lines()
    print("role", flush=True)
    put(g, provider, proxy, type="aws", region="us-east-1", source="container")
    served(g, "ecs")
    assert task.paths() == ["/v2/credentials/abc"], task.paths()
    assert not any("169.254" in line for line in proxy.lines()), proxy.lines()
    for s in (machine, task, sts, provider, proxy):
        s.stop()
    g.finish()


main(pathlib.Path(sys.argv[1]))
