#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes inputs for the fuzzers to start from: small databases, their pages, their rows.

    tests/fuzz/seed_corpus.py [folder, build/fuzz/corpus unless given]

Writes <folder>/fuzz_database, fuzz_page, fuzz_record, fuzz_s3, fuzz_audit, fuzz_told, fuzz_signal and
fuzz_archived, and fuzz_ltx and fuzz_pages from the archives of tests/archive/fixtures. Needs nothing but
Python.
"""

import pathlib
import re
import sqlite3
import struct
import sys
import tempfile

PAGE_SIZES = (512, 1024, 4096)

SCHEMA = """
create table t(a, b, c, d);
create index t_b on t(b, c);
create table w(k primary key, v) without rowid;
create table gone(x);
"""


def rows(page_size):
    """Values of every storage class and size, among them some that overflow."""
    wide = [0, 1, -1, 127, -129, 40000, 2**23, 2**31, -(2**47), 2**63 - 1]
    for i in range(60):
        text = "x" * (i * i % 90)
        blob = bytes(page_size * 2) if i % 20 == 7 else bytes(i % 11)
        yield wide[i % len(wide)], text, i / 8, None if i % 3 == 0 else blob


def make_database(path, page_size, auto_vacuum):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"pragma page_size={page_size}")
    db.execute(f"pragma auto_vacuum={auto_vacuum}")
    db.execute("begin")
    for statement in SCHEMA.split(";"):
        db.execute(statement)
    data = list(rows(page_size))
    db.executemany("insert into t values(?, ?, ?, ?)", data)
    db.executemany(
        "insert into w values(?, ?)",
        [("k" * (i * 7 % 130) + str(i), i) for i in range(40)],
    )
    db.executemany("insert into gone values(?)", [(bytes(page_size),)] * 6)
    db.execute("commit")
    db.execute("drop table gone")
    db.close()
    return data


def pages_of(data, page_size):
    return [data[i : i + page_size] for i in range(0, len(data), page_size)]


def loop_freelist(file, page_size):
    """The same file, its first trunk leading to itself; None without a freelist."""
    trunk = int.from_bytes(file[32:36], "big")
    if trunk == 0:
        return None
    at = (trunk - 1) * page_size
    return file[:at] + file[32:36] + bytes(4) + file[at + 8 :]


def varint(n):
    """For n of 0 and above and less than 2^56."""
    groups = [n & 0x7F]
    n >>= 7
    while n:
        groups.insert(0, 0x80 | n & 0x7F)
        n >>= 7
    return bytes(groups)


def encode_value(value):
    """(serial type, body)"""
    if value is None:
        return 0, b""
    if isinstance(value, float):
        return 7, struct.pack(">d", value)
    if isinstance(value, str):
        return 13 + 2 * len(value), value.encode()
    if isinstance(value, bytes):
        return 12 + 2 * len(value), value
    if value in (0, 1):
        return 8 + value, b""
    for serial, size in ((1, 1), (2, 2), (3, 3), (4, 4), (5, 6)):
        if -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1:
            return serial, value.to_bytes(size, "big", signed=True)
    return 6, value.to_bytes(8, "big", signed=True)


def encode_record(values):
    parts = [encode_value(v) for v in values]
    types = b"".join(varint(t) for t, _ in parts)
    return varint(len(types) + 1) + types + b"".join(body for _, body in parts)


def write(folder, name, data):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def seed_archives(folder):
    """Two files each, as tests/fuzz/fuzz_ltx.c takes them: blocks, and frames."""
    fixtures = pathlib.Path(__file__).parent.parent / "archive" / "fixtures"
    for fixture in sorted(fixtures.iterdir()):
        level = fixture / "archive" / "ltx" / "0"
        first, second = (
            (level / f"{n:016x}-{n:016x}.ltx").read_bytes() for n in (1, 2)
        )
        for signed in (0, 1):
            head = struct.pack(">HB", len(first), signed)
            write(folder, f"{fixture.name}-{signed}", head + first + second)
            head = struct.pack(">HB", 0xFFFF, signed)
            write(folder, f"{fixture.name}-{signed}-one", head + first)


def seed_answers(folder):
    """What a server of S3 says, as tests/fuzz/fuzz_s3.c takes it."""
    row = ("<Contents><Key>a&amp;b/0000/%016x-%016x.ltx</Key><LastModified>2026-11-28T"
           "10:00:00.000Z</LastModified><Size>%d</Size></Contents>")
    write(folder, "list", ("\0<?xml version='1.0'?><ListBucketResult xmlns='x'>"
                           "<IsTruncated>true</IsTruncated><NextContinuationToken>t&#39;"
                           "</NextContinuationToken>" + row % (1, 1, 9) + row % (2, 9, 8)
                           + "<Contents><Key>a&amp;b/x</Key><Size/></Contents>"
                           "</ListBucketResult>").encode())
    write(folder, "fault", b"\1<Error><Code>AuthorizationHeaderMalformed</Code><Message>"
          b"m</Message><Region>eu-1</Region></Error>")
    write(folder, "headers", b"\2HTTP/1.1 206 x\r\nETag: \"x\"\r\nDate: Sun, 06 Nov "
          b"2044 08:49:37 GMT\r\nContent-Range: bytes 0-9/10\r\nContent-Length: 10\r\n"
          b"x-amz-meta-litestream-timestamp: 2026-11-28T10:00:00Z\r\n")
    write(folder, "text", b"\3<a><b/>&#x41;&lt;</a><!-- x -->")


def seed_logs(folder):
    """Lines of an audit log, a key and a checkpoint; nobody signed them."""
    key = "a/log+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    note = "a/log\\n1\\n%s=\\n\\n\u2014 a/log %s\\n" % ("A" * 43, "A" * 91 + "=")
    time = '"time":"2026-11-07T13:37:55.200Z"'
    lines = ['"op":"file","key":"%s"' % key, '"op":"gap","why":"w"',
             '"txn":1,"op":"insert","table":"t"', '"op":"checkpoint","note":"%s"' % note,
             '"op":"key","key":"%s"' % key, '"op":"key","key":""',
             '"op":"checkpoint","note":""', '"op":"stop"']
    text = "".join('{"n":%d,%s,%s}\n' % (n, time, line) for n, line in enumerate(lines))
    write(folder, "log", text.encode())
    write(folder, "key", key.encode())
    write(folder, "note", note.replace("\\n", "\n").encode())


def seed_told(folder):
    """Lines of a log, and behind DB rows of a database."""
    def line(op, table, rest):
        return '{"n":1,"time":"2026-11-07T13:37:55.200Z","txn":1,"op":"%s"%s%s}\n' % (
            op, ',"table":"%s"' % table if table else "", rest)
    schema = ',"type":"%s","was":"%s","ddl":"CREATE TABLE t(id INTEGER PRIMARY KEY, a%s)"'
    text = line("schema", "t", schema % ("read", "", ""))
    text += line("read", "t", ',"key":{"id":1},"new":{"id":1,"a":"x"}')
    text += line("update", "t", ',"key":{"id":1.0},"changed":{"a":["x",2.5]}')
    text += line("insert", "t", ',"key":{"rowid":7},"new":{"a":null,"b":true}')
    text += line("update", "t", ',"key":{"rowid":7},"changed":{"a":[null,9]}')
    text += line("schema", "t", schema % ("altered", "", ", b DEFAULT 1"))
    text += line("schema", "u", schema % ("renamed", "t", ""))
    text += line("delete", "u", ',"key":{"id":1},"old":{"id":1,"a":2.5}')
    text += line("settings", "", ',"changed":{"column.exclude.list":[null,"t.a"]}')
    text += line("insert", "w", ',"key":{"p":"' + "k" * 40 + '","q":-1},"new":{"p":1}')
    text += "DB" + line("read", "u", ',"key":{"id":1},"new":{"id":1,"a":3}')
    text += "DB" + line("read", "u", ',"key":{"rowid":3},"new":{"a":9,"b":true}')
    write(folder, "rows", text.encode())


def seed_signals(folder):
    """Signals of a stranger, and what was asked for as the state directory keeps it."""
    signals = {
        "log": '{"id":"1","type":"log","data":{"message":"at {}"}}',
        "snapshot": '{"id":"a","type":"execute-snapshot","data":{"data-collections":["t","u.*"],'
                    '"type":"blocking","additional-conditions":[{"data-collection":"t",'
                    '"filter":"a > 1"}],"surrogate-key":"a"}}',
        "text": '{"type":"stop-snapshot","data":"{\\"data-collections\\":[\\"t\\"]}"}',
        "pause": '{"id":7,"type":"pause-snapshot"}'}
    for name, text in signals.items():
        write(folder, name, text.encode())
    write(folder, "kept", (
        '{"paused":true,"asked":[{"id":"a","blocking":false,"conditions":["a > 1"],'
        '"tables":[["t",1],["u",0]],"at":1,"begun":true,"shape":31,"after":5,"until":9,'
        '"rows":3,"total":8},{"id":"b","blocking":true,"conditions":[],"tables":[["w",0]],'
        '"at":0,"begun":true,"shape":7,"after":null,"until":"0317026162","rows":0,'
        '"total":0}]}\nfile 12 40 40 c0ffee00c0ffee').encode())


def described_page(page):
    """Without its largest hole, as tests/lib/described_archive.h has it."""
    hole = max(re.findall(rb"\0*", page), key=len)
    if len(hole) == len(page):
        return b"\0"
    first, _, last = page.partition(hole) if hole else (page, b"", b"")
    return b"\x80" + struct.pack(">HH", len(first), len(last)) + first + last


def described_file(level, first, last, page_size, page_count, pages, appears=0, vanishes=0, note=0):
    """`pages` by number; its time is that of its last TXID, in seconds."""
    size = (page_size // 512).bit_length() - 1
    head = struct.pack(">BBBBBHhBB", level, first, last - first, appears << 4 | size, vanishes,
                       page_count, last, note, len(pages))
    before = 0
    for number in sorted(pages):
        head += bytes([number - before - 1]) + described_page(pages[number])
        before = number
    return head


def history(folder, page_size):
    """Pages of a database by number, after each of its transactions."""
    path = pathlib.Path(folder) / f"history-{page_size}"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"pragma page_size={page_size}")
    for statement in (
            "create table t(a integer primary key, b)",
            "insert into t values(1, 'one'), (2, zeroblob(900)), (3, 2.5)",
            "create table w(k primary key, v) without rowid",
            "insert into w select a, b from t",
            "update t set b = 'two' where a < 3",
            "drop table t",
            "vacuum"):
        db.execute(statement)
        yield dict(enumerate(pages_of(path.read_bytes(), page_size), 1))
    db.close()


def seed_described(folder, temp):
    """Archives as tests/fuzz/fuzz_archived.c takes them: as they are written and merged, with files
    that go and come, of a stranger, with holes, and with another page size behind them."""
    states = {size: list(history(temp, size)) for size in (512, 1024)}
    count = len(states[512])

    def file(level, first, last, size=512, without=(), **rest):
        before = states[size][first - 2] if first > 1 else {}
        after = states[size][last - 1]
        pages = {n: page for n, page in after.items()
                 if before.get(n) != page and n not in without}
        return described_file(level, first, last, size, len(after), pages, **rest)

    def files(*args, first=2, **rest):
        return [file(0, n, n, *args, **rest) for n in range(first, count + 1)]

    def filled(txid, page_count, numbers):
        pages = {n: bytes([64 + txid]) * 512 for n in numbers}
        return described_file(0, txid, txid, 512, page_count, pages)

    one, whole = file(0, 1, 1), file(9, 1, 5, note=0x85)
    # Pages that were cut off come back without an image; behind it one that never was.
    regrown = filled(1, 5, range(1, 6)) + filled(2, 4, [2]) + filled(3, 5, [1]) + filled(4, 2, [])
    singles = b"".join([one, *files()])
    merged = b"".join([file(1, 2, 3), file(1, 4, 6), file(2, 2, 5), whole])
    archives = {
        "single": singles,
        "merged": singles + merged,
        "going": one + b"".join(file(0, n, n, vanishes=3 * n) for n in range(2, count + 1)) + merged,
        "coming": one + b"".join(file(0, n, n, appears=n) for n in range(2, count + 1)) + merged,
        "gap": b"".join([one, *files()[:1], *files()[3:], merged]),
        "hole": b"".join([one, *files()[:1], file(1, 1, 3, without=(2,)), *files()[2:]]),
        "regrown": regrown + filled(5, 5, [4]),
        "missing": regrown + filled(5, 6, []),
        "turned": b"".join([one, *files()[:3], file(9, 1, 5, 1024), *files(1024, first=6)]),
        "large": file(0, 1, 1, 1024) + b"".join(files(1024)),
    }
    # Choices: flags; from the first state on, or TXID 3 to 5, or from a time on.
    for name, archive in archives.items():
        for flags in (0x00, 0x20, 0x22, 0x28, 0x34):
            for way in (b"\x01\0\0", b"\x22\3\5", b"\x03\2\0"):
                honest = name in ("single", "going", "coming") and (0x01, 0xc1)[way[0] & 1]
                reads = 0x11 if flags & 2 else 0x51  # also the first state, before all others
                choices = bytes([flags | honest]) + way + bytes([0, 0, reads, 0])
                write(folder, f"{name}-{flags:x}-{way[0]:x}", choices + archive)
    write(folder, "faults", b"\x22\x01\0\0\x09\x05\x13\0" + singles + merged)


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/fuzz/corpus")
    seed_archives(out / "fuzz_ltx")
    seed_answers(out / "fuzz_s3")
    seed_logs(out / "fuzz_audit")
    seed_told(out / "fuzz_told")
    seed_signals(out / "fuzz_signal")
    seed_archives(out / "fuzz_pages")
    with tempfile.TemporaryDirectory() as temp:
        seed_described(out / "fuzz_archived", temp)
        for page_size in PAGE_SIZES:
            for auto_vacuum in (0, 1, 2):
                name = f"{page_size}-{auto_vacuum}"
                path = pathlib.Path(temp) / name
                data = make_database(path, page_size, auto_vacuum)
                file = path.read_bytes()
                write(out / "fuzz_database", name, file)
                looped = loop_freelist(file, page_size)
                if looped:
                    write(out / "fuzz_database", f"{name}-loop", looped)
                if page_size != 512:
                    continue
                pages = pages_of(file, page_size)
                for i, page in enumerate(pages[:40]):
                    chosen = bytes([i == 0, 0])
                    rest = b"".join(pages[:8])
                    write(out / "fuzz_page", f"{name}-{i}", chosen + page + rest)
                for i, row in enumerate(data[:24]):
                    write(out / "fuzz_record", f"{i}", b"\x20" + encode_record(row))


if __name__ == "__main__":
    main()
