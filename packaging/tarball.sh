#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tarball.sh FOLDER -- what `make install` has put into FOLDER, with documents and units,
# as FOLDER.tar.gz, which is the same, byte for byte, whenever and wherever it is made of
# the same program. Its time is SOURCE_DATE_EPOCH, or that of the last commit.
set -eu

folder=$1
name=$(basename "$folder")
time=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date -r CHANGELOG.md +%s)}

strip "$folder/bin/rowtail"
install -m 644 LICENSE README.md CHANGELOG.md CONTRIBUTING.md "$folder"
install -d "$folder/docs" "$folder/packaging"
install -m 644 docs/*.md docs/*.svg "$folder/docs"
install -m 644 packaging/*.service packaging/*.path packaging/rowtail.logrotate "$folder/packaging"
# Of links the file counts that they lead to.
(cd "$folder" && find . -type f ! -name MANIFEST | LC_ALL=C sort | sed 's,^\./,,' |
	xargs -d '\n' sha256sum) >"$folder.manifest"
mv "$folder.manifest" "$folder/MANIFEST"

tar -C "$(dirname "$folder")" --format=gnu --sort=name --owner=0 --group=0 --numeric-owner \
	--mode='u+rwX,go+rX,go-w' --mtime="@$time" -cf - "$name" | gzip -9n >"$folder.tar.gz"
