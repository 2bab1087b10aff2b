#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo.sh ROWTAIL -- a shop writes, rowtail prints; ends by itself after 15 s.
set -eu

rowtail=$1
seconds=${DEMO_SECONDS:-12}
here=$(dirname "$0")
folder=$(mktemp -d "${TMPDIR:-/tmp}/rowtail-demo.XXXXXX")
follower=

clean_up()
{
	[ -z "$follower" ] || kill "$follower" 2>/dev/null || true
	rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# What a reader may want to see of an event; the whole of it is shown at the end.
show()
{
	if command -v jq >/dev/null; then
		jq --unbuffered -c \
			'{op, table: .source.table, lsn: .source.lsn, before, after}'
	else
		cat
	fi
}

python3 "$here/shop.py" "$folder/shop.db" --open
mkfifo "$folder/events"
echo '$ rowtail shop.db | jq -c "{op, table: .source.table, lsn: .source.lsn, before, after}"'
tee "$folder/all.jsonl" <"$folder/events" | show &
reader=$!
"$rowtail" "$folder/shop.db" >"$folder/events" &
follower=$!
sleep 0.5

python3 "$here/shop.py" "$folder/shop.db" --seconds "$seconds"

sleep 0.5
kill "$follower"
wait "$follower"
follower=
wait "$reader"
echo
echo "rowtail printed $(wc -l <"$folder/all.jsonl") events. The last update, whole:"
grep '"op":"u"' "$folder/all.jsonl" | tail -n 1 |
	if command -v jq >/dev/null; then jq .; else cat; fi
