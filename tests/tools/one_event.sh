#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# one_event.sh WHAT PROGRAM... -- does the program follow a new database, and print a row?
set -eu

what=$1
shift
root=$(mktemp -d)
tail=
trap '[ -z "$tail" ] || kill "$tail" 2>/dev/null; rm -rf "$root"' EXIT

sqlite3 "$root/app.db" 'PRAGMA journal_mode=WAL; CREATE TABLE t(id INTEGER PRIMARY KEY)' >/dev/null
"$@" "$root/app.db" >"$root/events" 2>"$root/messages" &
tail=$!
for _ in $(seq 200); do
	grep -q '^rowtail: following' "$root/messages" && break
	sleep 0.1
done
sqlite3 "$root/app.db" 'INSERT INTO t VALUES (42)'
for _ in $(seq 200); do
	[ -s "$root/events" ] && break
	sleep 0.1
done
grep -q '"after":{"id":42}' "$root/events" || { echo "$what: no event"; cat "$root/messages"; exit 1; }
