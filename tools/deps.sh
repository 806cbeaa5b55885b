#!/usr/bin/env bash
# Install what a build, a test run or a bench needs, and say what. Usage: tools/deps.sh build|test|fuzz|lint|bench
# Debian 13 has everything. On Debian 12 llhttp, yyjson, mbedTLS 3.6 and msgpack-c 6 come from Debian 13
# with a pin of 100, so that nothing else moves. On any other system the list is printed instead.
set -euo pipefail
what=${1:-build}

BUILD_PKGS="gcc libc6-dev meson ninja-build pkg-config python3 libuv1-dev liblmdb-dev libc-ares-dev libyaml-dev libcurl4-openssl-dev libsqlite3-dev"
NEWER_PKGS="libllhttp-dev libyyjson-dev libmbedtls-dev libmsgpack-c-dev"
TEST_PKGS="clang clang-format universal-ctags libcmocka-dev python3-venv python3-pip nodejs npm strace valgrind curl openssl procps man-db mandoc zsh fish prometheus systemd"
FUZZ_PKGS="clang libclang-rt-dev"
LINT_PKGS="clang-tidy"
BENCH_PKGS="nginx-light strace valgrind python3"

case $what in
build) own=$BUILD_PKGS newer=$NEWER_PKGS ;;
test)  own="$BUILD_PKGS $TEST_PKGS" newer=$NEWER_PKGS ;;
fuzz)  own="$BUILD_PKGS $TEST_PKGS $FUZZ_PKGS" newer=$NEWER_PKGS ;;
lint)  own="$BUILD_PKGS $LINT_PKGS" newer=$NEWER_PKGS ;;
bench) own="$BUILD_PKGS $BENCH_PKGS" newer=$NEWER_PKGS ;;
*) echo "usage: tools/deps.sh build|test|fuzz|lint|bench" >&2; exit 2 ;;
esac
[ -x "$(command -v node || true)" ] && own=${own/nodejs/}
[ -x "$(command -v npm || true)" ] && own=${own/ npm / }
[ -x "$(command -v nginx || true)" ] && own=${own/nginx-light/}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
newer_installed() {
	installed "$1" || return 1
	[ "$1" = libmbedtls-dev ] || return 0
	dpkg --compare-versions "$(dpkg-query -W -f '${Version}' libmbedtls-dev)" ge 3.6
}

id=unknown version=0
[ -r /etc/os-release ] && { id=$(. /etc/os-release; echo "${ID:-unknown}"); version=$(. /etc/os-release; echo "${VERSION_ID:-0}"); }
if [ "$id" != debian ] || { [ "$version" != 12 ] && [ "$version" != 13 ]; }; then
	if pkg-config --exists libuv libllhttp yyjson lmdb libcares yaml-0.1 libcurl sqlite3 'mbedcrypto >= 3.6' msgpack-c 2>/dev/null; then
		exit 0
	fi
	{
		echo "This system ($id $version) is not one that tools/deps.sh can install on. Please install:"
		printf '  %s\n' $own $newer
		echo "(Debian names; mbedTLS must be 3.6 or newer, llhttp 9 or newer), then run this again."
	} >&2
	exit 1
fi

missing=() missing_newer=()
for p in $own; do installed "$p" || missing+=("$p"); done
for p in $newer; do newer_installed "$p" || missing_newer+=("$p"); done
[ ${#missing[@]} -eq 0 ] && [ ${#missing_newer[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || { echo "needs root to install: ${missing[*]} ${missing_newer[*]}" >&2; exit 1; }
	as_root=(sudo)
fi
echo "Installing: ${missing[*]} ${missing_newer[*]}"
export DEBIAN_FRONTEND=noninteractive
if [ "$version" = 12 ] && [ ${#missing_newer[@]} -gt 0 ]; then
	"${as_root[@]}" tee /etc/apt/sources.list.d/llmgw-trixie.sources >/dev/null <<'SRC'
Types: deb
URIs: http://deb.debian.org/debian
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SRC
	"${as_root[@]}" tee /etc/apt/preferences.d/llmgw-trixie >/dev/null <<'PIN'
Package: *
Pin: release n=trixie
Pin-Priority: 100
PIN
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run_apt() { "${as_root[@]}" apt-get "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }; }
run_apt update
[ ${#missing[@]} -eq 0 ] || run_apt install -y --no-install-recommends "${missing[@]}"
if [ ${#missing_newer[@]} -gt 0 ]; then
	names=("${missing_newer[@]}")
	if [ "$version" = 12 ]; then
		# By package, not with -t: that would also move what is already there. Look first, and stop if anything else would.
		names=("${missing_newer[@]/%//trixie}")
		moved=$(apt-get -s install --no-install-recommends "${names[@]}" | sed -nE 's/^(Inst|Remv) ([^ ]+) \[.*/\2/p' |
			grep -vE '^lib(llhttp|yyjson|mbed|msgpack)' || true)
		if [ -n "$moved" ]; then
			echo "Installing ${names[*]} would change packages of this system: $moved" >&2
			echo "Not done. Use a machine or container where that is fine, or Debian 13." >&2
			exit 1
		fi
	fi
	run_apt install -y --no-install-recommends "${names[@]}"
fi
