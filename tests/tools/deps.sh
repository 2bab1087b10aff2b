#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deps.sh PACKAGE... -- install those Debian packages that are not there yet.
set -eu

if ! command -v dpkg-query >/dev/null; then
	echo "deps: not a Debian system; install the equivalents of: $*" >&2
	exit 0
fi

missing=
for package in "$@"; do
	state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
	[ "$state" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "deps: neither root nor sudo; install by hand:$missing" >&2
		exit 1
	}
	as_root=sudo
fi
echo "deps: installing$missing"
# The list of packages may be missing or old: refresh it only when needed.
# shellcheck disable=SC2086 # one word a package
install_missing()
{
	$as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
install_missing 2>/dev/null || {
	$as_root apt-get update -qq
	install_missing
}
