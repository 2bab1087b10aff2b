"""Files of an archive as a program of its own writes them: for what Litestream never
writes, or not so many of. Pages are stored as LZ4 blocks that are all literals."""

import os
import struct

CHECKSUM = 1 << 63


def make_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0xD800000000000000 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = make_table()


def crc64(data, crc=0):
    crc ^= 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFFFFFFFFFF


def literals(data):
    more = len(data) - 15
    return bytes([0xF0]) + b"\xff" * (more // 255) + bytes([more % 255]) + data


def leb128(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def encode(min_txid, max_txid, page_size, page_count, pages, time_ms=0):
    """`pages`: {page number: bytes}."""
    header = struct.pack(">4sIIIQQQQ", b"LTX1", 2, page_size, page_count, min_txid,
                         max_txid, time_ms, 0).ljust(100, b"\0")
    out, summed, index = [header], [header], b""
    offset = len(header)
    for number in sorted(pages):
        payload = literals(pages[number])
        head = struct.pack(">IHI", number, 1, len(payload))
        out += [head, payload]
        summed += [head, pages[number]]
        index += leb128(number) + leb128(offset) + leb128(len(head) + len(payload))
        offset += len(head) + len(payload)
    index += b"\0"
    end = bytes(6) + index + struct.pack(">QQ", len(index), 0)
    return b"".join(out) + end + struct.pack(">Q", crc64(b"".join(summed) + end)
                                             | CHECKSUM)


def path_of(archive, level, min_txid, max_txid):
    return os.path.join(archive, "ltx", str(level), "%016x-%016x.ltx"
                        % (min_txid, max_txid))


def write(archive, level, min_txid, max_txid, page_size, page_count, pages, seconds=None):
    """One file, whose time is `seconds` since 1970."""
    path = path_of(archive, level, min_txid, max_txid)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    seconds = max_txid if seconds is None else seconds
    with open(path + ".tmp", "wb") as file:
        file.write(encode(min_txid, max_txid, page_size, page_count, pages,
                          seconds * 1000))
    os.utime(path + ".tmp", (seconds, seconds))
    os.rename(path + ".tmp", path)
    return path
