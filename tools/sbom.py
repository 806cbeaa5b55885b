#!/usr/bin/env python3
"""What a release is made of, as CycloneDX 1.5 JSON: the programs and the libraries they are linked with, as the building machine had them.
Usage: sbom.py VERSION SOURCE_DATE_EPOCH PROGRAM...    (the same input gives the same bytes)"""
import datetime
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import uuid


def out(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def libraries(program):
    """soname -> file of what it is linked with directly."""
    needed = set(re.findall(r"NEEDED\s+(\S+)", out("objdump", "-p", program)))
    found = dict(re.findall(r"^\s*(\S+) => (\S+)", out("ldd", program), re.M))
    return {n: found[n] for n in needed if n in found}


def package_of(path):
    """Debian names the file by either of its two paths (/lib is a link to /usr/lib)."""
    for p in (path, "/usr" + path, path.removeprefix("/usr")):
        r = subprocess.run(["dpkg-query", "-S", p], capture_output=True, text=True)
        if r.returncode == 0:
            return r.stdout.split(":")[0].split(",")[0]
    return None


def component(soname, path):
    package = package_of(path)
    c = {"type": "library", "bom-ref": soname, "name": package or soname}
    if package:
        version, arch = out("dpkg-query", "-W", "-f", "${Version}\t${Architecture}\n", package).splitlines()[0].split("\t")
        c.update(version=version, purl=f"pkg:deb/debian/{package}@{version}?arch={arch}")
    with open(path, "rb") as f:
        c["hashes"] = [{"alg": "SHA-256", "content": hashlib.sha256(f.read()).hexdigest()}]
    return c


def prices():
    """Where the facts of the price catalogue are from: nothing of that package is in a program but the numbers."""
    c = json.loads((pathlib.Path(__file__).resolve().parent.parent / "schemas/prices.json").read_text())
    name, version = re.fullmatch(r"(\S+) (\S+) \(PyPI\)", c["source"]).groups()
    return {"type": "data", "bom-ref": "prices", "name": f"{name} model price map", "version": version, "purl": f"pkg:pypi/{name}@{version}",
            "licenses": [{"license": {"id": "MIT"}}], "hashes": [{"alg": "SHA-256", "content": c["sha256"]}],
            "description": f"Prices of {c['models']} models, taken {c['date']}; the hash is that of model_prices_and_context_window_backup.json."}


def main():
    version, epoch, programs = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    links, files = {}, {}
    for p in programs:
        name = p.rsplit("/", 1)[-1]
        links[name] = libraries(p)
        files.update(links[name])
    parts = [component(n, files[n]) for n in sorted(files)]
    for p in sorted(programs):
        name = p.rsplit("/", 1)[-1]
        with open(p, "rb") as f:
            parts.append({"type": "application", "bom-ref": name, "name": name, "version": version,
                          "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(f.read()).hexdigest()}]})
    parts.append(prices())
    body = {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {
            "timestamp": datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {"type": "application", "bom-ref": "release", "name": "llmgw", "version": version,
                          "licenses": [{"license": {"id": "Apache-2.0"}}]},
        },
        "components": parts,
        "dependencies": [{"ref": "release", "dependsOn": sorted([*links, "prices"])}]
        + [{"ref": name, "dependsOn": sorted(libs)} for name, libs in sorted(links.items())],
    }
    body["serialNumber"] = "urn:uuid:" + str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True)))
    print(json.dumps(body, indent=1, sort_keys=True))


main()
