#!/usr/bin/env bash
# The clients that tests use: Python environments in tests/.venv and tests/.venv-api, and the Node SDKs in tests/node_modules. Does nothing when
# they are there in the pinned versions. Coding tools go to tests/cli/node_modules: two of them always, with the word `long` the large ones too.
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
# Coding tools: exact versions without a lock file, because npm cannot write one for packages of other platforms that it was not given. Install scripts
# are not run by npm, because one of them compiles; the two that put a program in its place are run here.
omit=(--omit=dev)
[ "${1:-}" = long ] && omit=()
cd cli
if ! { cat package.json; echo "${omit[*]}"; } | cmp -s - node_modules/installed.txt; then
	npm install --no-package-lock "${omit[@]}" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	(cd node_modules/@anthropic-ai/claude-code && node install.cjs >/dev/null)
	[ ! -d node_modules/opencode-ai ] || (cd node_modules/opencode-ai && node postinstall.mjs >/dev/null)
	{ cat package.json; echo "${omit[*]}"; } >node_modules/installed.txt
fi
