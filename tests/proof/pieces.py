"""Split image files into the chunks of their formats, so that mutations reach behind signatures and checksums."""

import struct
import zlib
from collections.abc import Iterator

PNG, JPEG, RIFF, GIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"RIFF", b"GIF8"
FIXED_SIZES = {
    PNG: [(16, ">I"), (20, ">I")],
    GIF: [(6, "<H"), (8, "<H")],
    b"BM": [(18, "<i"), (22, "<i")],
}
LONE_MARKERS = {0x01, *range(0xD0, 0xDA)}


def split(data: bytes) -> list[bytes]:
    """Return pieces that make `data` again when joined; formats without chunks are cut every 64 bytes."""
    if data.startswith(PNG):
        return [PNG, *_sized(data, 8, ">I", extra=12)]
    if data.startswith(JPEG):
        return [JPEG, *_segments(data)]
    if data.startswith(RIFF):
        return [data[:12], *_sized(data, 12, "<xxxxI", extra=8, even=True)]
    if data[4:8] in (b"ftyp", b"jP  "):
        return list(_sized(data, 0, ">I", extra=0))
    return [data[start : start + 64] for start in range(0, len(data), 64)]


def joined(pieces: list[bytes]) -> bytes:
    """Return one file, with the checksums and total lengths that decoders check."""
    if pieces and pieces[0] == PNG:
        pieces = [PNG, *map(with_crc, pieces[1:])]
    data = b"".join(pieces)
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:] if data.startswith(RIFF) and len(data) > 8 else data


def sized_fields(data: bytes) -> list[tuple[int, str]]:
    """Return the offsets of width and height, each with its struct format."""
    fixed = next((fields for start, fields in FIXED_SIZES.items() if data.startswith(start)), None)
    if fixed:
        return fixed
    if data.startswith(RIFF):
        return [(24, "<I"), (27, "<I")] if data[12:16] == b"VP8X" else [(26, "<H"), (28, "<H")]
    if data.startswith(JPEG):
        return [(at + offset, ">H") for at in _frames(data) for offset in (5, 7)]
    if data.startswith((b"II*\0", b"MM\0*")):
        return _tiff_sizes(data)
    return _marked_sizes(data)


def _marked_sizes(data: bytes) -> list[tuple[int, str]]:
    """Return the sizes behind a mark of AVIF, HEIF or JPEG 2000; otherwise the two digits of a PPM."""
    for mark, offsets in ((b"ispe", (8, 12)), (b"\xff\x51", (6, 10))):
        if (at := data.find(mark)) > 0:
            return [(at + offset, ">I") for offset in offsets]
    return [(3, "<B"), (4, "<B")]


def _sized(data: bytes, start: int, form: str, *, extra: int, even: bool = False) -> Iterator[bytes]:
    """Return pieces that begin with their own length; `extra` is what that length leaves out."""
    while start < len(data):
        head = data[start : start + struct.calcsize(form)]
        size = struct.unpack(form, head)[0] if len(head) == struct.calcsize(form) else 0
        end = start + max(size + extra + (size % 2 if even else 0), 8)
        yield data[start:end]
        start = end


def _segments(data: bytes) -> Iterator[bytes]:
    start = 2
    while start + 4 <= len(data) and data[start] == 0xFF and data[start + 1] != 0xDA:
        lone = data[start + 1] in LONE_MARKERS
        end = start + 2 + (0 if lone else max(struct.unpack_from(">H", data, start + 2)[0], 2))
        yield data[start:end]
        start = end
    yield data[start:]  # the scan, with whatever follows


def _frames(data: bytes) -> Iterator[int]:
    starts = (data.find(bytes([0xFF, marker])) for marker in (0xC0, 0xC1, 0xC2))
    return (at for at in starts if 0 < at < len(data) - 9)


def _tiff_sizes(data: bytes) -> list[tuple[int, str]]:
    if len(data) < 8:
        return []
    order = "<" if data.startswith(b"II") else ">"
    (directory,) = struct.unpack_from(order + "I", data, 4)
    entries = range(directory + 2, min(directory + 2 + 12 * 40, len(data) - 12), 12)
    return [(at + 8, order + "I") for at in entries if struct.unpack_from(order + "H", data, at)[0] in (256, 257)]


def with_crc(piece: bytes) -> bytes:
    if len(piece) < 12:
        return piece
    body = piece[4:-4]
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
