#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tarball.sh [--twice] -- make the tarball, unpack it elsewhere, compare it with its
# MANIFEST, and follow a database with what is in it. It has to be the same when it is
# made once more; with --twice also from a copy of the tree in another folder, which takes
# as long as to build all of it.
set -eu

cd "$(dirname "$0")/../.."
tools=$PWD/tests/tools
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

made()
{
	(cd "$1" && umask "$2" && make -s tarball >"$root/log" 2>&1) || { tail -20 "$root/log"; exit 1; }
	ls "$1"/build/tarball/rowtail-*-linux-*.tar.gz
}

same()
{
	cmp "$root/first.tar.gz" "$1" || { echo "tarball: not the same $2"; exit 1; }
}

tarball=$(made "$PWD" 022)
cp "$tarball" "$root/first.tar.gz"
same "$(made "$PWD" 077)" "when it is made once more"
if [ "${1:-}" = --twice ]; then
	mkdir "$root/another-place"
	git ls-files -z | xargs -0 cp --parents -t "$root/another-place"
	export SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)"
	same "$(made "$root/another-place" 022)" "when it is made elsewhere"
fi

mkdir "$root/elsewhere"
tar -C "$root/elsewhere" -xzf "$root/first.tar.gz"
cd "$root"/elsewhere/rowtail-*-linux-*
sha256sum --quiet --strict -c MANIFEST
[ "$(find . -type f ! -name MANIFEST | wc -l)" = "$(wc -l <MANIFEST)" ] || {
	echo "tarball: MANIFEST has not all files"
	exit 1
}
for part in bin/rowtail LICENSE README.md CHANGELOG.md docs/options.md docs/flow.svg \
	packaging/rowtail.service packaging/rowtail@.service share/man/man1/rowtail.1 \
	share/man/man1/rowtail-audit.1 share/man/man1/rowtail-restore.1 \
	share/bash-completion/completions/rowtail share/zsh/vendor-completions/_rowtail; do
	[ -s "$part" ] || { echo "tarball: $part is missing"; exit 1; }
done
if readelf -S bin/rowtail | grep -q '\.debug_info'; then
	echo "tarball: the program is not stripped"
	exit 1
fi

"$tools/one_event.sh" tarball env -i ./bin/rowtail
echo "tarball: $(basename "$tarball"), $(wc -l <MANIFEST) files, the same twice, an event"
