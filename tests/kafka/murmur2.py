"""The hash by which Java's producers choose the partition of a key."""

import struct

M, MASK = 0x5bd1e995, 0xffffffff

# From the tests of Kafka's own clients.
KNOWN = [
    (b"21", -973932308),
    (b"foobar", -790332482),
    (b"a-little-bit-long-string", -985981536),
    (b"a-little-bit-longer-string", -1486304829),
    (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    (b"abc", 479470107),
]


def murmur2(data):
    h = (0x9747b28c ^ len(data)) & MASK
    whole = len(data) // 4 * 4
    for (k,) in struct.iter_unpack("<I", data[:whole]):
        k = k * M & MASK
        k = (k ^ k >> 24) * M & MASK
        h = h * M & MASK ^ k
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * M & MASK
    h = (h ^ h >> 13) * M & MASK
    return h ^ h >> 15


def partition_of(key, partitions):
    return (murmur2(key) & 0x7fffffff) % partitions


def check_known():
    """Raises unless this is the function that Java has."""
    for data, want in KNOWN:
        got = murmur2(data)
        if got != want & MASK:
            raise AssertionError("murmur2(%r) is %d, in Java %d" % (data, got, want))
