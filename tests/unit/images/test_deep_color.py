"""Color of 16 bits a channel: in every layout of a file, and with values of fewer bits than their container."""

import io
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
import tifffile

from app.domain.arrays import Pixels
from app.domain.errors import InvalidImage
from app.images.decode import ImageLimits, decode
from tests.support.encoding import png_chunk

LIMITS = ImageLimits()
LAYOUTS = {
    "in planes": {"planarconfig": "separate"},
    "in planes and strips": {"planarconfig": "separate", "rowsperstrip": 5},
    "in planes, high byte first": {"planarconfig": "separate", "byteorder": ">"},
    "in planes, compressed": {"planarconfig": "separate", "compression": "zlib"},
    "in planes, compressed strips with a predictor": {
        "planarconfig": "separate",
        "compression": "zlib",
        "predictor": True,
        "rowsperstrip": 5,
    },
    "in planes, compressed, high byte first": {"planarconfig": "separate", "compression": "zlib", "byteorder": ">"},
    "in planes and tiles": {"planarconfig": "separate", "tile": (16, 16)},
    "in planes and compressed tiles": {"planarconfig": "separate", "tile": (16, 16), "compression": "zlib"},
    "by pixels": {"planarconfig": "contig"},
    "by pixels and strips": {"planarconfig": "contig", "rowsperstrip": 5},
    "by pixels, compressed": {"planarconfig": "contig", "compression": "zlib"},
    "by pixels, high byte first": {"planarconfig": "contig", "byteorder": ">"},
    "in tiles": {"planarconfig": "contig", "tile": (16, 16)},
}


def random_values(bits: int, channels: int = 3) -> np.ndarray:
    """Return (H, W, channels) values, the largest of which is the largest of that many bits."""
    values = np.random.default_rng(5).integers(0, 2**bits, (24, 40, channels), np.uint16)
    values[0, 0] = 2**bits - 1
    return values


def in_8_bits(values: np.ndarray, bits: int) -> Pixels:
    return np.asarray((values.astype(np.float64) * 255 / (2**bits - 1)).round(), np.uint8)


def tiff(values: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    separate = options.get("planarconfig") == "separate"
    tifffile.imwrite(file, np.moveaxis(values, 2, 0) if separate else values, photometric="rgb", **options)  # type: ignore[arg-type]
    return file.getvalue()


def png(values: np.ndarray) -> bytes:
    order = cv2.COLOR_RGB2BGR if values.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    return bytes(cv2.imencode(".png", cv2.cvtColor(values, order))[1])


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_tiff_uses_the_range_of_its_values_in_every_layout(layout: dict[str, object]) -> None:
    for bits in (10, 12, 14, 16):
        values = random_values(bits)
        assert np.abs(decode(tiff(values, **layout), LIMITS).astype(int) - in_8_bits(values, bits)).max() <= 1, bits


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_a_png_uses_the_range_of_its_values(bits: int) -> None:
    values = random_values(bits)
    assert np.abs(decode(png(values), LIMITS).astype(int) - in_8_bits(values, bits)).max() <= 1


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_deep_grey_uses_the_range_of_its_values(bits: int) -> None:
    grey = random_values(bits, channels=1)
    file = io.BytesIO()
    tifffile.imwrite(file, grey[:, :, 0], photometric="minisblack")
    for data in (file.getvalue(), bytes(cv2.imencode(".png", grey)[1])):
        assert np.abs(decode(data, LIMITS).astype(int) - in_8_bits(grey, bits)).max() <= 1


@pytest.mark.parametrize("bits", [12, 16])
def test_a_png_of_grey_and_transparency_uses_the_range_of_its_grey(bits: int) -> None:
    grey = random_values(bits, channels=1)
    values = np.concatenate([grey, np.full_like(grey, 65535)], axis=2)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 4, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    data = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*each) for each in chunks)
    assert np.abs(decode(data, LIMITS).astype(int) - in_8_bits(grey, bits)).max() <= 1


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_tiff_in_planes_that_lost_bytes_is_refused(compression: str | None) -> None:
    with pytest.raises(InvalidImage, match="broken TIFF image"):
        decode(tiff(random_values(16), planarconfig="separate", compression=compression)[:-100], LIMITS)


def test_deep_transparency_lies_over_white() -> None:
    values = random_values(16, channels=4)
    alpha = values[:, :, 3:] / 65535
    expected = in_8_bits(values[:, :, :3], 16) * alpha + 255 * (1 - alpha)
    for data in (png(values), tiff(values, extrasamples=["unassalpha"])):
        assert np.abs(decode(data, LIMITS) - expected).max() <= 1


@pytest.mark.parametrize("layout", [LAYOUTS["in planes"], LAYOUTS["by pixels"]])
def test_a_deep_tiff_of_8_bits_is_read_as_before(layout: dict[str, object]) -> None:
    values = random_values(8).astype(np.uint8)
    assert np.array_equal(decode(tiff(values, **layout), LIMITS), values)


def repeated_strips(height: int) -> bytes:
    """Return a TIFF of 1 x `height` pixels in planes of 16 bits, with a strip a row that is the whole file."""
    entries, count = 10, 3 * height
    bits, starts = 8 + 2 + 12 * entries + 4, 8 + 2 + 12 * entries + 4 + 6
    sizes = starts + 4 * count
    size = sizes + 4 * count
    tags = [
        *(
            (256, 4, 1, 1),
            (257, 4, 1, height),
            (258, 3, 3, bits),
            (259, 3, 1, 1),
            (262, 3, 1, 2),
            (273, 4, count, starts),
        ),
        *((277, 3, 1, 3), (278, 4, 1, 1), (279, 4, count, sizes), (284, 3, 1, 2)),
    ]
    table = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = b"II*\0" + struct.pack("<IH", 8, entries) + table + bytes(4) + struct.pack("<3H", 16, 16, 16)
    return head + struct.pack(f"<{count}I", *[0] * count) + struct.pack(f"<{count}I", *[size] * count)


def test_strips_that_are_the_whole_file_again_and_again_take_no_memory() -> None:
    data = repeated_strips(1500)  # 160 MB together
    tracemalloc.start()
    try:
        with pytest.raises(InvalidImage, match="expected 3 or 4 planes and 9000 bytes of strips, got 3 and 1"):
            decode(data, LIMITS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
