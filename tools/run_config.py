#!/usr/bin/env python3
"""What ./run sets up, as objects for `llmgwctl apply`. Usage:

    run_config.py found                names of providers.def rows whose environment variable is set, with that variable
    run_config.py provider ROW         the provider of a row; its base URL from the environment, if given
    run_config.py models ROW           its deployments and models with their prices
    run_config.py demo URL             the demo provider and model on loopback
Everything comes from schemas/providers.def; nothing secret is read but the fact that a variable is set."""
import ipaddress
import json
import os
import pathlib
import re
import sys
import urllib.parse

ROW = re.compile(r"^GW_PROVIDER\((.*?)\)\s*$", re.S | re.M)


def rows():
    text = (pathlib.Path(__file__).resolve().parents[1] / "schemas/providers.def").read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for m in ROW.finditer(text):
        fields = []
        for part in re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', m.group(1)):
            fields.append("".join(re.findall(r'"([^"]*)"', part)) if '"' in part else part.strip())
        name, dialect, base, auth, creds, scope, quirks, env, base_env, models, doc = fields
        yield {"name": name, "env": env, "base_env": base_env, "models": models}


def is_loopback(url):
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def emit(*objects):
    print(json.dumps(list(objects), indent=1))


def provider(row):
    o = {"kind": "provider", "id": row["name"], "type": row["name"]}
    base = os.environ.get(row["base_env"], "") if row["base_env"] else ""
    if base:
        o["base_url"] = base
        if is_loopback(base):
            o["allow_private"] = ["127.0.0.1/32"]
            print(f"notice: {row['base_env']} points to this machine, so provider {row['name']} may reach 127.0.0.1", file=sys.stderr)
    emit(o)


def models(row):
    out = []
    for item in filter(None, row["models"].split(",")):
        name, rest = item.split("=", 1)
        upstream, price_in, price_out, price_cached = rest.rsplit(":", 3)
        dep = f"{row['name']}-{name}"
        out.append({"kind": "deployment", "id": dep, "provider": row["name"], "credential": row["name"], "upstream_model": upstream,
                    "input_price": int(price_in), "output_price": int(price_out), "cached_price": int(price_cached)})
        out.append({"kind": "model", "id": name, "targets": [{"deployment": dep}]})
    emit(*out)


def demo(url):
    emit({"kind": "provider", "id": "demo", "type": "openai-compatible", "base_url": url, "allow_private": ["127.0.0.1/32"]},
         {"kind": "deployment", "id": "demo", "provider": "demo", "upstream_model": "demo", "input_price": 150000,
          "output_price": 600000},
         {"kind": "model", "id": "demo", "targets": [{"deployment": "demo"}]})


def main(what, arg=None):
    if what == "found":
        for r in rows():
            if r["env"] and os.environ.get(r["env"]):
                print(r["name"], r["env"], (r["models"].split("=")[0] if r["models"] else ""))
    elif what == "demo":
        demo(arg)
    else:
        row = next(r for r in rows() if r["name"] == arg)
        {"provider": provider, "models": models}[what](row)


if __name__ == "__main__":
    main(*sys.argv[1:])
