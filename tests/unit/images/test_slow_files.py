"""A file that is made to take long is refused, or decoded in bounded time."""

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from PIL import Image

from app.domain.errors import InvalidImage
from app.images.decode import ImageLimits, decode
from tests.support.encoding import encoded, png_chunk

LIMITS = ImageLimits()
MANY = 10 * 1000 * 1000  # bytes, within the limit
SECONDS = 3.0  # without the limits each of these takes longer; with them, a fifth of this


@contextmanager
def in_time() -> Iterator[None]:
    """Measure the time of this process only: the machine may be busy."""
    start = time.process_time()
    yield
    assert time.process_time() - start < SECONDS


def photo(width: int = 64, height: int = 64, mode: str = "RGB") -> Image.Image:
    return Image.linear_gradient("L").resize((width, height)).convert(mode)


def assert_refused_in_time(data: bytes, complaint: str) -> None:
    assert len(data) < LIMITS.max_bytes
    with in_time(), pytest.raises(InvalidImage, match=complaint):
        decode(data, LIMITS)


def behind_the_palette(gif: bytes) -> int:
    return 13 + 6 * (1 << (gif[10] & 7))


@pytest.mark.parametrize(
    ("kind", "mode", "part", "place"),
    [
        pytest.param("JPEG", "RGB", b"\xff\xfe\x00\x02", lambda _: 2, id="JPEG segments"),
        pytest.param("PNG", "RGB", png_chunk(b"abCd"), lambda _: 33, id="PNG chunks before the pixels"),
        pytest.param("PNG", "P", png_chunk(b"abCd"), lambda _: -12, id="PNG chunks behind the pixels"),
        pytest.param("PNG", "RGB", png_chunk(b"tIME", bytes(7)), lambda _: 33, id="PNG times"),
        pytest.param("GIF", "P", b"\x21\xfe\x01a\x00", behind_the_palette, id="GIF extensions"),
    ],
)
def test_a_file_of_a_million_parts_is_refused(kind: str, mode: str, part: bytes, place: Callable[[bytes], int]) -> None:
    data = encoded(photo(mode=mode), kind)
    at = place(data)
    assert_refused_in_time(data[:at] + part * (MANY // len(part)) + data[at:], "too many parts")


def test_a_ppm_of_one_comment_is_refused() -> None:
    assert_refused_in_time(b"P6\n#" + b"a" * MANY + b"\n1 1\n255\nabc", "too many parts")


def scans_of(data: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Return what precedes the first scan of a JPEG, each scan, and the end."""
    first = data.index(b"\xff\xda")
    starts = [first]
    while (following := data.find(b"\xff\xda", starts[-1] + 2)) >= 0:
        starts.append(following)
    parts = [data[start:end] for start, end in zip(starts, [*starts[1:], -2], strict=True)]
    return data[:first], parts, data[-2:]


def test_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    head, scans, end = scans_of(encoded(Image.new("L", (8000, 5000)), "JPEG", progressive=True))
    data = head + b"".join(scans) + scans[-1] * ((MANY - 400_000) // len(scans[-1])) + end
    assert_refused_in_time(data, "scans")


def test_scan_markers_behind_the_photo_are_not_counted() -> None:
    """A phone appends the film of a moving photo, in which any bytes may occur."""
    for options in ({"progressive": True}, {"comment": b"\xff\xda" * 300}, {}):
        data = encoded(photo(200, 200), "JPEG", **options)
        assert np.array_equal(decode(data + b"\xff\xda" * 300, LIMITS), decode(data, LIMITS))


def test_an_end_marker_within_a_comment_hides_no_scans() -> None:
    head, scans, end = scans_of(encoded(photo(), "JPEG", progressive=True))
    comment = b"\xff\xfe\x00\x04\xff\xd9"
    with pytest.raises(InvalidImage, match="scans"):
        decode(head + scans[0] + comment + b"".join(scans[1:]) + scans[-1] * 200 + end, LIMITS)


def test_later_pages_of_a_tiff_are_not_read() -> None:
    page = photo(64, 64)
    one = encoded(page, "TIFF")
    place = struct.unpack("<I", one[4:8])[0]
    entries = struct.unpack("<H", one[place : place + 2])[0]
    next_at = place + 2 + 12 * entries
    pages = b"".join(
        struct.pack("<HHHIHHI", 1, 256, 3, 1, 64, 0, len(one) + 18 * (number + 1)) for number in range(MANY // 18)
    )
    data = one[:next_at] + struct.pack("<I", len(one)) + one[next_at + 4 :] + pages[:-4] + b"\0\0\0\0"
    with in_time():
        assert np.array_equal(decode(data, LIMITS), np.asarray(page))


def test_a_run_length_encoded_bmp_is_decoded() -> None:
    """Each run has two bytes, and Pillow reads each of them separately."""
    width, height = 400, 400
    rows = b"".join(bytes([1, value % 256]) * width + b"\0\0" for value in range(height)) + b"\0\1"
    palette = b"".join(bytes([value, value, value, 0]) for value in range(256))
    offset = 14 + 40 + len(palette)
    header = struct.pack("<2sIHHI", b"BM", offset + len(rows), 0, 0, offset)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 256, 0)
    image = decode(header + info + palette + rows, LIMITS)
    assert image.shape == (height, width, 3)
    assert image[::-1][7, 0].tolist() == [7, 7, 7]


def test_a_sequential_jpeg_with_thousands_of_scans_is_refused_or_decoded_in_time() -> None:
    head, (scan,), end = scans_of(encoded(Image.new("RGB", (2000, 2000)), "JPEG"))
    with in_time(), suppress(InvalidImage):
        assert decode(head + scan * (MANY // len(scan)) + end, LIMITS).shape == (2000, 2000, 3)
