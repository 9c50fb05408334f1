"""Images as bytes, and headers that promise more pixels than there are."""

import io
import struct
import zlib

from PIL import Image

ORIENTATION = 0x0112


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[ORIENTATION] = orientation
    return made


def exif_block(*entries: tuple[int, int, int, bytes]) -> bytes:
    """Return EXIF of raw entries (tag, type, count, four bytes), which may be invalid."""
    body = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in sorted(entries))
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", 0)


def png_header(width: int, height: int) -> bytes:
    """A PNG of that size by its header, with a handful of pixels behind it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 64)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*each) for each in chunks)


def ppm_header(width: int, height: int) -> bytes:
    return b"P6 %d %d 255\n" % (width, height)


def bmp_header(width: int, height: int) -> bytes:
    data = encoded(Image.new("RGB", (8, 8)), "BMP")
    return data[:18] + struct.pack("<ii", width, height) + data[26:]


def jpeg_header(width: int, height: int) -> bytes:
    data = encoded(Image.new("RGB", (8, 8)), "JPEG")
    size = data.index(b"\xff\xc0") + 5
    return data[:size] + struct.pack(">HH", height, width) + data[size + 4 :]


def tiff_header(width: int, height: int) -> bytes:
    entries = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 8)]
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", 0)


def gif_header(width: int, height: int) -> bytes:
    """A GIF whose screen is one pixel, and whose only frame is that large."""
    data = encoded(Image.new("P", (8, 8)), "GIF")
    frame = data.index(b"\x2c\0\0\0\0") + 5
    return data[:6] + struct.pack("<HH", 1, 1) + data[10:frame] + struct.pack("<HH", width, height) + data[frame + 4 :]


def webp_header(width: int, height: int) -> bytes:
    """A lossless WebP, whose size is two times 14 bits behind its signature byte."""
    data = encoded(Image.new("RGB", (8, 8)), "WEBP", lossless=True)
    size = data.index(b"VP8L") + 9
    bits = (width - 1) | (height - 1) << 14
    flags = struct.unpack("<I", data[size : size + 4])[0] & ~0xFFFFFFF
    return data[:size] + struct.pack("<I", flags | bits) + data[size + 4 :]


def png_chunk(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
