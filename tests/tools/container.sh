#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# container.sh -- the steps of packaging/Containerfile without a container engine: each
# stage is a root file system made by debootstrap, whose RUN lines are run by chroot. What
# comes of it follows a database in a folder that is mounted into it, as its user, as
# process 1 of a PID namespace of its own, beside an application outside. Takes some
# minutes, root and Debian's archive; where it cannot be it says "not run" and why.
set -euo pipefail

cd "$(dirname "$0")/../.."
file=packaging/Containerfile
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

not_run()
{
	echo "container: not run, $1"
	exit 0
}

failed()
{
	echo "container: $1"
	exit 1
}

[ "$(id -u)" = 0 ] || not_run "it needs root, for chroot"
for tool in debootstrap unshare sqlite3 git; do
	command -v "$tool" >/dev/null || not_run "$tool is not installed"
done
unshare --mount --pid --fork true 2>/dev/null || not_run "no mounts and namespaces here"

root=$(mktemp -d "${TMPDIR:-/var/tmp}/rowtail-container.XXXXXX")
chmod 711 "$root"
runner=
clean_up()
{
	[ -z "$runner" ] || kill -KILL "$runner" 2>/dev/null || true
	rm -rf --one-file-system "$root"
}
trap clean_up EXIT

# inside STAGE COMMAND -- with /proc and /dev/null of its own; the mounts end with it.
inside()
{
	unshare --mount --pid --fork --kill-child sh -c '
		mount -t proc proc "$1/proc" && mount --bind /dev/null "$1/dev/null" &&
		exec chroot "$1" /bin/sh -c "cd \"$2\" && $3"' sh "$root/$1" "$dir" "$2"
}

echo "container: a root file system of Debian 12"
debootstrap --variant=minbase bookworm "$root/base" "$mirror" >"$root/log" 2>&1 || {
	tail -3 "$root/log"
	not_run "debootstrap cannot make one from $mirror"
}
# As in the images of Debian: the updates, too. The resolver is the machine's.
echo "deb http://deb.debian.org/debian-security bookworm-security main" \
	>>"$root/base/etc/apt/sources.list"
cp -L /etc/resolv.conf /etc/hosts "$root/base/etc/"
touch "$root/base/dev/null"

stage= user=root dir=/ entry=
# Lines that end in a backslash go on.
sed -e ':a' -e '/\\$/N; s/\\\n//; ta' "$file" >"$root/steps"
while read -r word rest <&3; do
	case $word in
	'' | '#'*) ;;
	FROM)
		case $rest in
		docker.io/library/debian:12*) ;;
		*) failed "FROM $rest: not Debian 12" ;;
		esac
		stage=$(echo "$rest" | sed -n 's/.* AS //p') dir=/
		stage=${stage:-last}
		cp -a "$root/base" "$root/$stage"
		;;
	RUN)
		echo "container: $stage: RUN ${rest:0:60}…"
		inside "$stage" "$rest" >"$root/log" 2>&1 </dev/null || {
			tail -20 "$root/log"
			failed "RUN $rest"
		}
		;;
	WORKDIR) dir=$rest && mkdir -p "$root/$stage$dir" ;;
	USER) user=$rest ;;
	ENTRYPOINT) entry=$(echo "$rest" | tr -d '[]" ') ;;
	CMD) ;;
	COPY)
		set -- $rest
		mkdir -p "$root/$stage${!#}"
		if [ "${1#--from=}" != "$1" ]; then
			cp -a "$root/${1#--from=}$2/." "$root/$stage$3"
		else
			git ls-files -z | xargs -0 cp -a --parents -t "$root/$stage$2"
		fi
		;;
	*) failed "what is $word?" ;;
	esac
done 3<"$root/steps"
[ "$stage" = last ] && [ -n "$entry" ] || failed "no second stage with an ENTRYPOINT"
[ "$user" != root ] || failed "it runs as root"
[ -z "$(ls "$root/last/usr/bin" | grep -E '^(gcc|make)$' || true)" ] || failed "a compiler is in it"

mkdir "$root/data"
sqlite3 "$root/data/app.db" 'PRAGMA journal_mode=WAL; CREATE TABLE t(id INTEGER PRIMARY KEY)' >/dev/null
chown -R "$user" "$root/data"
# await FILE PATTERN WHY -- a line of it comes.
await()
{
	for _ in $(seq 300); do
		grep -q "$2" "$1" && return
		sleep 0.1
	done
	cat "$root/messages"
	failed "$3"
}
# follow ARGUMENT... -- the last stage, its program as process 1; ends with it.
follow()
{
	: >"$root/messages"
	unshare --mount --pid --fork --kill-child bash -c '
		root=$1 user=$2; shift 2
		mount --bind "$root/data" "$root/last/data" && mount -t proc proc "$root/last/proc" &&
		exec chroot --userspec="$user" "$root/last" "$@"' \
		bash "$root" "$user" "$entry" "$@" >>"$root/events" 2>"$root/messages" &
	runner=$!
	await "$root/messages" '^rowtail: following' "it does not follow"
}
event()
{
	await "$2" "\"after\":{\"id\":$1}" "no event of row $1 in $2"
}
write()
{
	setpriv --reuid="${user%:*}" --regid="${user#*:}" --clear-groups \
		sqlite3 -cmd '.timeout 5000' "$root/data/app.db" "$1" >/dev/null
}
# To what is process 1 in there: the child of unshare.
stop()
{
	kill -TERM "$(cat "/proc/$runner/task/$runner/children")"
	wait "$runner" || failed "exit $? at SIGTERM"
	runner=
}

follow /data/app.db
write 'INSERT INTO t VALUES (1)'
event 1 "$root/events"
write 'PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES (2)'
event 2 "$root/events"
stop
[ "$(write 'PRAGMA integrity_check' && sqlite3 "$root/data/app.db" 'SELECT count(*) FROM t')" = 2 ] ||
	failed "rows are missing"

# With a state: what is written while it does not run, once.
mkdir -p "$root/data/out" && chown "$user" "$root/data/out"
follow /data/app.db --state /state --to file:/data/out/app.jsonl
stop
write 'INSERT INTO t VALUES (3)'
follow /data/app.db --state /state --to file:/data/out/app.jsonl
event 3 "$root/data/out/app.jsonl"
stop
[ "$(grep -c '"after":{"id":3}' "$root/data/out/app.jsonl")" = 1 ] || failed "row 3 came twice"
echo "container: built, followed as $user beside an application outside, $(du -sm "$root/last" | cut -f1) MB"
