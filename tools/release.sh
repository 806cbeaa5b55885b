#!/usr/bin/env bash
# Makes a release: llmgw-VERSION-ARCH.tar.gz, llmgw_VERSION_ARCH.deb, the SBOM and SHA256SUMS. The same commit on the same system gives the
# same bytes: times are the commit's, names and owners are fixed, nothing of the building machine's paths is in it.
# Usage: tools/release.sh [OUT]           into OUT (default: dist/)
#        tools/release.sh --check [OUT]   builds twice, in different folders, the second time without a cache, and compares
set -euo pipefail
cd "$(dirname "$0")/.."
check=0
[ "${1:-}" = --check ] && { check=1; shift; }
out=$(mkdir -p "${1:-dist}" && cd "${1:-dist}" && pwd)
export LC_ALL=C TZ=UTC
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 1)
export SOURCE_DATE_EPOCH
version=$(sed -n "s/^project('llmgw'.* version: '\([^']*\)'.*/\1/p" meson.build)
arch=$(dpkg --print-architecture)

build() { # build folder
	local cc=gcc map
	map="-ffile-prefix-map=$(realpath -m --relative-to="$1" .)/= -ffile-prefix-map=$PWD/= -ffile-prefix-map=$1=build"
	[ "${NO_CACHE:-0}" = 0 ] && command -v ccache >/dev/null && cc="ccache gcc"
	CC=$cc meson setup "$1" --buildtype=release -Dtests=false --prefix=/usr -Dc_args="$map" >"$1.log" 2>&1 &&
		nice ninja -C "$1" >>"$1.log" 2>&1 || { tail -n 30 "$1.log" >&2; exit 1; }
}

stage() { # build folder, root of the tree
	local b=$1 root=$2 ctl=$1/llmgwctl f
	install -d "$root"/usr/bin "$root"/usr/lib/{systemd/system,sysusers.d,tmpfiles.d} "$root"/usr/share/{doc/llmgw,man/man1,llmgw} \
		"$root"/usr/share/bash-completion/completions "$root"/usr/share/zsh/vendor-completions "$root"/usr/share/fish/vendor_completions.d
	for f in llmgw llmgwctl llmgw-bench; do install -m 755 "$b/$f" "$root/usr/bin/$f"; strip --strip-unneeded "$root/usr/bin/$f"; done
	install -m 644 packaging/systemd/llmgw.service "$root/usr/lib/systemd/system/"
	install -m 644 packaging/systemd/llmgw.sysusers "$root/usr/lib/sysusers.d/llmgw.conf"
	install -m 644 packaging/systemd/llmgw.tmpfiles "$root/usr/lib/tmpfiles.d/llmgw.conf"
	"$ctl" doc man | gzip -9n >"$root/usr/share/man/man1/llmgwctl.1.gz"
	"$ctl" completion bash >"$root/usr/share/bash-completion/completions/llmgwctl"
	"$ctl" completion zsh >"$root/usr/share/zsh/vendor-completions/_llmgwctl"
	"$ctl" completion fish >"$root/usr/share/fish/vendor_completions.d/llmgwctl.fish"
	install -m 644 README.md CHANGELOG.md SECURITY.md docs/*.md "$root/usr/share/doc/llmgw/"
	install -m 644 LICENSE "$root/usr/share/doc/llmgw/copyright"
	for f in grafana prometheus; do [ ! -d packaging/$f ] || cp -r packaging/$f "$root/usr/share/llmgw/"; done
	python3 tools/sbom.py "$version" "$SOURCE_DATE_EPOCH" "$root"/usr/bin/* >"$root/usr/share/doc/llmgw/sbom.cdx.json"
	chmod -R u=rwX,go=rX "$root"
	find "$root" -exec touch -hcd "@$SOURCE_DATE_EPOCH" {} +
}

# What the programs need, by the packages of the machine that built them.
depends() { # tree
	local t; t=$(mktemp -d)
	mkdir "$t/debian"
	printf 'Source: llmgw\n\nPackage: llmgw\nArchitecture: any\n' >"$t/debian/control"
	(cd "$t" && dpkg-shlibdeps -O "$1"/usr/bin/* 2>/dev/null) | sed -n 's/^shlibs:Depends=//p'
	rm -rf "$t"
}

pack() { # tree, folder for the results
	local root=$1 to=$2 name=llmgw-$version-$arch size
	tar -C "$root" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --transform "s,^\./,$name/,;s,^\.\$,$name," -cf - . |
		gzip -9n >"$to/$name.tar.gz"
	size=$(du -sk --apparent-size "$root" | cut -f1)
	local needs; needs=$(depends "$root")
	install -d "$root/DEBIAN"
	install -m 755 packaging/deb/postinst packaging/deb/prerm "$root/DEBIAN/"
	cat >"$root/DEBIAN/control" <<CONTROL
Package: llmgw
Version: $version
Architecture: $arch
Maintainer: The llmgw authors <llmgw@localhost>
Installed-Size: $size
Depends: $needs
Recommends: ca-certificates
Section: net
Priority: optional
Description: gateway for language models
 One OpenAI-compatible endpoint in front of every model provider: keys, routing,
 prices, limits, records. Changed while it runs, without a failed request.
CONTROL
	find "$root/DEBIAN" -exec touch -hcd "@$SOURCE_DATE_EPOCH" {} +
	dpkg-deb --root-owner-group -Zxz --build "$root" "$to/llmgw_${version}_$arch.deb" >/dev/null
	cp "$root/usr/share/doc/llmgw/sbom.cdx.json" "$to/llmgw-$version.cdx.json"
	(cd "$to" && sha256sum "$name.tar.gz" "llmgw_${version}_$arch.deb" "llmgw-$version.cdx.json" >SHA256SUMS)
}

once() { # name of the build, folder for the results
	local work; work=$(mktemp -d)
	build "$work/build-$1"
	stage "$work/build-$1" "$work/tree"
	pack "$work/tree" "$2"
	rm -rf "$work"
}

once first "$out"
if [ $check = 1 ]; then
	again=$(mktemp -d)
	NO_CACHE=1 once again "$again"
	if ! diff "$out/SHA256SUMS" "$again/SHA256SUMS"; then
		echo "two builds of one commit differ; the second is in $again" >&2
		exit 1
	fi
	rm -rf "$again"
	echo "two builds of one commit are equal"
fi
cat "$out/SHA256SUMS"
