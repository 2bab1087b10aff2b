"""Random values of every storage class, with a liking for the edges."""

import struct

INTEGERS = [0, 1, -1, 2, 127, 128, -128, -129, 255, 256, 32767, 32768, -32768, -32769,
            2**23 - 1, 2**23, -2**23, -2**23 - 1, 2**31 - 1, 2**31, -2**31, 2**47 - 1,
            2**47, -2**47, -2**47 - 1, 2**53, 2**53 + 1, -2**53 - 1, 2**63 - 1, -2**63]
REALS = [0.0, -0.0, 0.5, 1.0, -1.5, 0.1, 1 / 3, 3.0, 1e15, 1e16, 123456789012345680.0,
         1e21, 1e22, 1e23, 1e100, 1.7976931348623157e308, 1e308, 5e-324,
         2.2250738585072014e-308, 1e-5, 1e-7, 0.30000000000000004, 9007199254740993.0,
         -9223372036854775808.0, 9223372036854775807.0, float("nan"), float("inf"),
         float("-inf")]
TEXTS = ["", "a", "b", "A", "abc", "ABC", "YWJj", "Infinity", "null", "12", "-7",
         "1.0", "1e3", " 5", "0x10", "9223372036854775808", "a\0b", "\0", "tab\tline\n",
         "\r\b\f\x01\x1f\x7f", "quote\"back\\slash/", "ünïcödé", "Ünïcödé", "日本語",
         "\U0001f600", "x\U0001f468\u200d\U0001f469z", "\u2028\u2029", "\ufeffbom",
         "\ufffd", "\uffff", "\ud7ff\ue000", "2024-01-02T03:04:05Z", "{\"j\":[1,null]}"]
BROKEN_TEXTS = [b"\xff", b"a\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xf0\x9f\x98z",
                b"\xc0\xafq", b"ok\x80ok", b"\xf5\x80\x80\x80", b"\xfe\xff"]
BLOBS = [b"", b"\0", b"abc", b"ABC", bytes(range(256)), b"\xff" * 3, b"Infinity"]
NO_SURROGATES = bytes(65 if 0xd8 <= i <= 0xdf else i for i in range(256))


class BrokenText(bytes):
    """Bytes to be stored as TEXT that are not UTF-8."""


class Values:
    """Draws values; `page_size` makes the lengths around page limits likely."""

    def __init__(self, rng, page_size, allow_broken_text, big=0.06):
        self.rng = rng
        self.page_size = page_size
        self.allow_broken_text = allow_broken_text
        self.big = big

    def length(self):
        """Bytes of a text or blob: mostly small, at times around the limits where a
        cell begins to overflow or its chain gets one page more."""
        rng = self.rng
        draw = rng.random()
        usable = self.page_size
        if draw > self.big:
            return rng.choice([0, 1, 3, 8, 20, 40, 60, 63, 64, 65, 120])
        if usable >= 16384:
            return rng.choice([500, 2000, usable // 4, usable - rng.randrange(40)])
        if draw > self.big * 0.6:
            return usable - rng.randrange(60)
        if draw > self.big * 0.3:
            return (usable - 12) * 32 // 255 - 23 + rng.randrange(-3, 4)
        if draw > self.big * 0.06:
            return max(0, (usable - 4) * rng.randrange(1, 6) + rng.randrange(-40, 40))
        return usable * rng.randrange(10, 40)

    def integer(self):
        rng = self.rng
        draw = rng.random()
        if draw < 0.5:
            return rng.randrange(-20, 200)
        if draw < 0.9:
            return rng.choice(INTEGERS)
        return rng.getrandbits(64) - 2**63

    def real(self):
        rng = self.rng
        draw = rng.random()
        if draw < 0.4:
            return rng.choice(REALS)
        if draw < 0.8:
            return round(rng.uniform(-1000, 1000), rng.randrange(0, 6))
        return struct.unpack("<d", struct.pack("<Q", rng.getrandbits(64)))[0]

    def text(self):
        rng = self.rng
        draw = rng.random()
        if draw < 0.35:
            return rng.choice(TEXTS)
        if draw < 0.38 and self.allow_broken_text:
            return BrokenText(rng.choice(BROKEN_TEXTS))
        alphabet = "abcdefghijklmnopqrstuvwxyz" if draw < 0.9 else "aé日\U0001f600z"
        start = "".join(rng.choice(alphabet) for _ in range(6))
        length = self.length()
        return (start * (length // 6 + 1))[:length]

    def bytes(self, count):
        """Random bytes; in a UTF-16 database none that a cast to text would make half
        a surrogate pair of: what that text reads as is left open."""
        data = self.rng.randbytes(count)
        return data if self.allow_broken_text else data.translate(NO_SURROGATES)

    def blob(self):
        rng = self.rng
        if rng.random() < 0.3:
            data = rng.choice(BLOBS)
            return data if self.allow_broken_text else data.translate(NO_SURROGATES)
        return self.bytes(self.length())

    def any(self):
        draw = self.rng.random()
        if draw < 0.1:
            return None
        return [self.integer, self.real, self.text, self.blob][
            int((draw - 0.1) / 0.2251)]()

    def of_column(self, decl, strict):
        """A value for a column declared so; in a table that is not STRICT one that
        does not fit now and then."""
        kind = decl.upper()
        draw = self.rng.random()
        if strict:
            if draw < 0.08:
                return None
        else:
            if draw < 0.06:
                return None
            if draw < 0.15:
                return self.any()
        if "INT" in kind:
            return self.integer()
        if "CHAR" in kind or "TEXT" in kind or "CLOB" in kind:
            return self.text()
        if "BLOB" in kind:
            return self.blob()
        if "REAL" in kind or "FLOA" in kind or "DOUB" in kind:
            return self.real()
        if kind in ("NUMERIC", "DECIMAL(10,2)"):
            return self.rng.choice([self.integer, self.real, self.text])()
        return self.any()
