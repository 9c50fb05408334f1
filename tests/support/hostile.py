"""Images with a false or enormous size, and documents that are no images; each is small to send."""

import zlib
from functools import cache

from tests.support.encoding import png_chunk

SIDE = 30_000
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9"/></svg>'
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
)
HTML = b"<!doctype html><html><body>hello</body></html>"
TEXT = b"This is a text and not an image. " * 50


@cache
def huge_png() -> bytes:
    """A complete and valid image of 30,000 x 30,000 pixels: a file of half a megabyte, 2.7 GB as RGB."""
    deflate = zlib.compressobj(1)
    rows = b"".join(deflate.compress(b"\0" * ((1 + SIDE // 8) * 1000)) for _ in range(SIDE // 1000))
    header = SIDE.to_bytes(4) * 2 + bytes((1, 0, 0, 0, 0))
    chunks = png_chunk(b"IHDR", header), png_chunk(b"IDAT", rows + deflate.flush()), png_chunk(b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def padded(data: bytes, size: int) -> bytes:
    """Return the same JPEG with bytes behind its end."""
    return data.ljust(size, b"\0")
