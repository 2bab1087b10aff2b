#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks which file includes which: the layers of the tree (docs/design.md).

    src/base <- btree <- schemas <- src/config <- src      sinks include src/base only

Project headers are included with quotes and from the root of the tree. The header
of a library may be included only by the folders that own the library. Prints one
line for each violation and exits 1 if there is one, or if it found nothing to check.
"""

import pathlib
import re
import sys

LAYERS = {
    "src/base": {"src/base"},
    "btree": {"btree", "src/base"},
    "schemas": {"schemas", "btree", "src/base"},
    "sinks": {"sinks", "src/base"},
    "src/config": {"src/config", "sinks", "schemas", "src/base"},
    "src": {"src", "src/config", "sinks", "schemas", "btree", "src/base"},
}

# Header of a library -> the files that may include it (regular expressions, whole path).
LIBRARIES = {
    r"sqlite3\.h": [r"schemas/.*", r"src/[^/]*"],
    r"pcre2\.h": [r"schemas/.*", r"src/[^/]*"],
    r"jansson\.h": [r"schemas/.*", r"src/[^/]*", r"sinks/kafka_[^/]*"],
    r"xxhash\.h": [r"src/[^/]*", r"src/config/.*", r"btree/.*", r"schemas/.*",
                   r"sinks/file_[^/]*"],
    r"openssl/.*": [r"schemas/.*", r"src/[^/]*", r"src/config/.*"],
    r"librdkafka/.*": [r"sinks/kafka_[^/]*"],
}

# A decoder of pages in memory has no business with files, threads or printing.
FORBIDDEN = {
    "btree": [r"unistd\.h", r"fcntl\.h", r"pthread\.h", r"time\.h", r"sys/.*"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def folder_of(path):
    """The layer of a file or of an included header; None outside of all layers."""
    parts = path.split("/")
    if len(parts) == 3 and "/".join(parts[:2]) in LAYERS:
        return "/".join(parts[:2])
    return parts[0] if len(parts) == 2 and parts[0] in LAYERS else None


def check_project(root, path, layer, name):
    target = folder_of(name)
    if target is None or not (root / name).is_file():
        return f'"{name}" is no header of a layer, written from the root'
    if target not in LAYERS[layer]:
        return f'{layer} may not include {target} ("{name}")'
    return None


def check_library(path, layer, name):
    for header, owners in LIBRARIES.items():
        if re.fullmatch(header, name) and not any(
            re.fullmatch(owner, path) for owner in owners
        ):
            return f"<{name}> belongs to {', '.join(owners)}"
    for header in FORBIDDEN.get(layer, []):
        if re.fullmatch(header, name):
            return f"<{name}> has no place in {layer}"
    return None


def check_file(root, path, layer):
    text = (root / path).read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        kind, name = found.groups()
        if kind == '"':
            wrong = check_project(root, path, layer, name)
        else:
            wrong = check_library(path, layer, name)
        if wrong:
            yield f"{path}:{number}: {wrong}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    files = sorted(
        str(file.relative_to(root))
        for layer in LAYERS
        for file in (root / layer).glob("*.[ch]")
    )
    violations = [
        line for path in files for line in check_file(root, path, folder_of(path))
    ]
    for line in violations:
        print(line)
    if not files:
        print("layers: no files found")
        return 1
    print(f"layers: {len(files)} files, {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
