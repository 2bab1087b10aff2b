#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks which file includes which: the layers of the tree (docs/design.md).

    src/base <- btree <- src/history <- src/state <- src/capture
                btree, src/history, schemas <- src/decode
                src/storage, btree, src/history <- src/archive; src/storage: src/base
    src/state, src/base <- src/monitor
    sinks include src/base and src/audit only; src/audit: src/base; schemas: btree and
         src/base
         btree, src/config, src/state, sinks, schemas, src/decode <- src/deliver
                all of them <- src (main, and what follows) <- src/commands

    src/config knows the settings of archives, src/archive/*_settings.h and
    src/storage/*_settings.h, no more.
    Of sinks all others see what holds for every sink, sinks/sink*.h, and which files may
    be written, sinks/output_path.h, and no kind's own (but what rowtail audit redact
    calls, and signals that come by Kafka, sinks/kafka_signals.h).

Project headers are included with quotes and from the root of the tree. The header
of a library may be included only by the folders that own the library. No file includes
itself by way of others; a .c and its .h count as one. Prints one line for each
violation and exits 1 if there is one, or if it found nothing to check.
"""

import pathlib
import re
import sys

LAYERS = {
    "src/base": {"src/base"},
    "btree": {"btree", "src/base"},
    "schemas": {"schemas", "btree", "src/base"},
    "src/audit": {"src/audit", "src/base"},
    "sinks": {"sinks", "src/audit", "src/base"},
    "src/storage": {"src/storage", "src/base"},
    "src/config": {"src/config", "src/archive", "src/storage", "sinks", "schemas",
                   "src/base"},
    "src/monitor": {"src/monitor", "src/state", "src/base"},
    "src/history": {"src/history", "btree", "src/base"},
    "src/state": {"src/state", "src/history", "schemas", "btree", "src/base"},
    "src/capture": {"src/capture", "src/state", "src/history", "btree", "src/base"},
    "src/archive": {"src/archive", "src/storage", "src/history", "btree", "src/base"},
    "src/decode": {"src/decode", "src/history", "schemas", "btree", "src/base"},
    "src/deliver": {"src/deliver", "src/decode", "src/state", "src/config", "sinks",
                    "schemas", "btree", "src/base"},
    "src": {"src", "src/monitor", "src/archive", "src/storage", "src/deliver", "src/decode", "src/capture",
            "src/state", "src/history", "src/config", "sinks", "schemas", "btree", "src/base"},
    "src/commands": {"src/commands", "src", "src/monitor", "src/audit", "src/archive", "src/storage", "src/deliver", "src/decode",
                     "src/capture", "src/state", "src/history", "src/config", "sinks",
                     "schemas", "btree", "src/base"},
}

# What others may include of a folder: the rest is its own.
OPEN_TO_OTHERS = {"sinks": r"sinks/(sink(_\w+)?|output_path|audit_redact|kafka_signals)\.h"}

# What a folder may include of another one, where that is less than all.
OPEN_TO = {("src/config", "src/archive"): r"src/archive/\w+_settings\.h",
           ("src/config", "src/storage"): r"src/storage/\w+_settings\.h"}

# Header of a library -> the files that may include it (regular expressions, whole path).
LIBRARIES = {
    r"sqlite3\.h": [r"schemas/.*", r"src/capture/.*", r"src/base/sqlite_guard\.c",
                    r"src/state/rebuild\.c", r"src/commands/.*"],
    r"pcre2\.h": [r"schemas/.*"],
    r"jansson\.h": [r"src/base/json_text.*", r"schemas/.*", r"src/commands/.*", r"src/config/connector_file[^/]*", r"sinks/kafka_[^/]*",
                    r"sinks/(audit_|position_json)[^/]*", r"src/audit/.*",
                    r"src/monitor/metrics_server\.c",
                    r"src/deliver/(signal|snapshots|asked_snapshot)[^/]*"],
    r"xxhash\.h": [r"src/.*", r"btree/.*", r"schemas/.*", r"sinks/file_[^/]*"],
    r"lz4(frame)?\.h": [r"src/archive/.*"],
    r"openssl/.*": [r"schemas/.*", r"src/config/.*", r"src/storage/s3_sign\.c",
                    r"src/audit/.*"],
    r"microhttpd\.h": [r"src/monitor/metrics_server\.c"],
    r"curl/.*": [r"src/storage/s3_client\.c"],
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
    if not re.fullmatch(OPEN_TO.get((layer, target), ".*"), name):
        return f'{layer} may not include "{name}"'
    if target != layer and not re.fullmatch(OPEN_TO_OTHERS.get(target, ".*"), name):
        return f'"{name}" is for {target} alone, others use {OPEN_TO_OTHERS[target]}'
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


def unit_of(path):
    """A .c and its .h are one."""
    return path.rsplit(".", 1)[0]


def read_includes(root, files):
    graph = {}
    for path in files:
        text = (root / path).read_text(encoding="utf-8")
        targets = graph.setdefault(unit_of(path), set())
        for line in text.splitlines():
            found = INCLUDE.match(line)
            if found and found.group(1) == '"':
                targets.add(unit_of(found.group(2)))
        targets.discard(unit_of(path))
    return graph


def find_circles(graph):
    """What is left when all that includes nothing of the rest is taken away, and then
    all that nothing of the rest includes."""
    left = {unit: targets & graph.keys() for unit, targets in graph.items()}
    while True:
        gone = {unit for unit, targets in left.items() if not targets & left.keys()}
        used = set().union(*(left[unit] for unit in left.keys() - gone))
        gone |= left.keys() - gone - used
        if not gone:
            break
        left = {unit: targets for unit, targets in left.items() if unit not in gone}
    for unit in sorted(left):
        others = ", ".join(sorted(left[unit] & left.keys()))
        yield f"{unit}: in a circle of includes, by way of {others}"


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
    violations += find_circles(read_includes(root, files))
    for line in violations:
        print(line)
    if not files:
        print("layers: no files found")
        return 1
    print(f"layers: {len(files)} files, {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
