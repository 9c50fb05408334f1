"""Images that lie about their size or are none, each a few kilobytes to send."""

import struct
import zlib
from functools import cache

from PIL import Image

from .photos import encoded, hopper, jpeg, png

SIDE = 30_000
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9"/></svg>'
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
)
HTML = b"<!doctype html><html><body>hello</body></html>"
TEXT = b"This is a text and not an image. " * 50


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(side: int, depth: int, colour: int, pixels: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def huge_png_header() -> bytes:
    """30,000 x 30,000 RGB by its header, with next to no pixels behind it."""
    return png_of(SIDE, 8, 2, zlib.compress(b"\0" * 4096))


@cache
def huge_png() -> bytes:
    """A complete and valid 30,000 x 30,000 image: half a megabyte of file, 2.7 GB as RGB."""
    deflate = zlib.compressobj(1)
    rows = b"".join(deflate.compress(b"\0" * ((1 + SIDE // 8) * 1000)) for _ in range(SIDE // 1000))
    return png_of(SIDE, 1, 0, rows + deflate.flush())


def huge_jpeg() -> bytes:
    data = bytearray(jpeg(hopper()))
    start = data.index(b"\xff\xc0") + 5
    data[start : start + 4] = struct.pack(">HH", SIDE, SIDE)
    return bytes(data)


def huge_bmp() -> bytes:
    data = bytearray(encoded(hopper(), "BMP"))
    data[18:26] = struct.pack("<ii", SIDE, SIDE)
    return bytes(data)


def huge_gif() -> bytes:
    data = bytearray(encoded(hopper().quantize(16), "GIF"))
    data[6:10] = struct.pack("<HH", SIDE, SIDE)
    return bytes(data)


def just_over_forty_megapixels() -> bytes:
    return png(Image.new("L", (8001, 5000)))


def padded(data: bytes, size: int) -> bytes:
    """The same JPEG with bytes behind its end."""
    return data + b"\0" * (size - len(data))
