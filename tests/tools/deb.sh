#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deb.sh [--install] -- make the Debian package, have lintian judge it, and follow a database
# with what is in it. With --install the package is installed with apt, else unpacked beside.
set -eu

cd "$(dirname "$0")/../.."
make deb
deb=$(ls "$PWD"/build/deb/rowtail_*_*.deb)
lintian --allow-root --fail-on error,warning "$deb"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
if [ "${1:-}" = --install ]; then
	apt-get install -y --no-install-recommends "$deb" >"$root/log" 2>&1 || {
		cat "$root/log"
		exit 1
	}
	program=/usr/bin/rowtail
	shared=/usr/share
else
	dpkg -x "$deb" "$root"
	program=$root/usr/bin/rowtail
	shared=$root/usr/share
fi
for part in man/man1/rowtail.1.gz man/man1/rowtail-audit.1.gz \
	man/man1/rowtail-restore.1.gz doc/rowtail/changelog.gz \
	doc/rowtail/examples/rowtail.service bash-completion/completions/rowtail \
	zsh/vendor-completions/_rowtail; do
	[ -s "$shared/$part" ] || { echo "deb: $part is missing"; exit 1; }
done

tests/tools/one_event.sh deb "$program"

# As bash asks it: what is offered behind "rowtail --snap" and "rowtail stat".
offered=$(bash -c '. "$0"; COMP_WORDS=(rowtail --snap) COMP_CWORD=1; _rowtail
	echo "${COMPREPLY[@]}"; cd /; COMP_WORDS=(rowtail stat) COMP_CWORD=1; _rowtail
	echo "${COMPREPLY[@]}"; COMP_WORDS=(rowtail a.db -D heartbeat.i) COMP_CWORD=3; _rowtail
	echo "${COMPREPLY[@]}"' "$shared/bash-completion/completions/rowtail")
[ "$offered" = "--snapshot
status
heartbeat.interval.ms=" ] || { echo "deb: bash offers: $offered"; exit 1; }
echo "deb: $(basename "$deb"), an event, completions of bash"
