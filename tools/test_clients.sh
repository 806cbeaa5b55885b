#!/usr/bin/env bash
# The clients that tests use: Python environments in tests/.venv and tests/.venv-api, and the Node SDKs in tests/node_modules. Does nothing when
# they are there in the pinned versions.
set -euo pipefail
cd "$(dirname "$0")/../tests"
if ! cmp -s requirements.txt .venv/installed.txt 2>/dev/null; then
	[ -x .venv/bin/python ] || python3 -m venv .venv
	.venv/bin/python -m pip install -q --disable-pip-version-check -r requirements.txt
	cp requirements.txt .venv/installed.txt
fi
if ! cmp -s requirements-api.txt .venv-api/installed.txt 2>/dev/null; then
	[ -x .venv-api/bin/python ] || python3 -m venv .venv-api
	.venv-api/bin/python -m pip install -q --disable-pip-version-check -r requirements-api.txt
	cp requirements-api.txt .venv-api/installed.txt
fi
if ! cmp -s package-lock.json node_modules/installed.json 2>/dev/null; then
	npm ci --no-audit --no-fund --loglevel=error >/dev/null
	cp package-lock.json node_modules/installed.json
fi
