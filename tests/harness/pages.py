"""A database byte for byte, as it is after a complete checkpoint, while others have it
open."""

import struct


def image(path):
    """The file with what its WAL has laid over it. Nobody commits meanwhile; rowtail may
    run checkpoints."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    try:
        with open(path + "-wal", "rb") as file:
            wal = file.read()
    except FileNotFoundError:
        wal = b""
    if len(wal) < 32:
        return bytes(data)
    page_size = struct.unpack(">I", wal[8:12])[0]
    salts = wal[16:24]
    pending, pages = {}, None
    at = 32
    while at + 24 + page_size <= len(wal):
        number, commit = struct.unpack(">II", wal[at:at + 8])
        if wal[at + 8:at + 16] != salts:
            break
        pending[number] = wal[at + 24:at + 24 + page_size]
        if commit:
            for page, content in pending.items():
                start = (page - 1) * page_size
                if len(data) < start:
                    data += bytes(start - len(data))
                data[start:start + page_size] = content
            pending, pages = {}, commit
        at += 24 + page_size
    if pages is not None:
        data = data[:pages * page_size]
        data += bytes(pages * page_size - len(data))
    return bytes(data)


def content(path):
    with open(path, "rb") as file:
        return file.read()
