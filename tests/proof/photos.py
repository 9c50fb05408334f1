"""Photos of the repository itself, small enough for thousands of requests, in every format that is decoded."""

import io
from functools import cache

import numpy as np
from PIL import Image

from tests.end_to_end.server import REPOSITORY

IMAGES = REPOSITORY / "docs" / "images"
HOPPER, COLLINS = (IMAGES / "hopper.jpg").read_bytes(), (IMAGES / "collins.jpg").read_bytes()
COLLINS_AGAIN = (IMAGES / "collins-again.jpg").read_bytes()
SIDE = 160
NAVY = (12, 20, 60)
ORIENTATION = 0x0112


@cache
def small(data: bytes, side: int = SIDE) -> Image.Image:
    """The photo with `side` pixels at its longer edge."""
    with Image.open(io.BytesIO(data)) as photo:
        photo.thumbnail((side, side))
        return photo.convert("RGB")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def small_jpeg(data: bytes, side: int = SIDE) -> bytes:
    return encoded(small(data, side), "JPEG", quality=90)


def no_face(side: int = 96) -> bytes:
    return encoded(Image.new("RGB", (side, side), NAVY), "PNG")


@cache
def corpus() -> dict[str, bytes]:
    """The same photo in every wrapping whose decoder is its own piece of native code."""
    photo = small(COLLINS)
    return {**_jpegs(photo), **_pngs(photo), **_webps(photo), **_tiffs(photo), **_others(photo)}


def _jpegs(photo: Image.Image) -> dict[str, bytes]:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return {
        "jpeg": encoded(photo, "JPEG", quality=85),
        "jpeg progressive": encoded(photo, "JPEG", quality=85, progressive=True),
        "jpeg grey": encoded(photo.convert("L"), "JPEG"),
        "jpeg cmyk": encoded(photo.convert("CMYK"), "JPEG"),
        "jpeg exif": encoded(photo, "JPEG", exif=exif, subsampling=0),
        "jpeg several": encoded(photo, "MPO", save_all=True, append_images=[photo]),
    }


def _pngs(photo: Image.Image) -> dict[str, bytes]:
    deep = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    return {
        "png": encoded(photo, "PNG"),
        "png palette": encoded(photo.quantize(64), "PNG", transparency=3),
        "png alpha": encoded(_with_alpha(photo), "PNG"),
        "png deep": encoded(deep, "PNG"),
        "png animated": encoded(photo, "PNG", save_all=True, append_images=[photo.rotate(9)]),
    }


def _webps(photo: Image.Image) -> dict[str, bytes]:
    return {
        "webp": encoded(photo, "WEBP", quality=80),
        "webp lossless": encoded(photo, "WEBP", lossless=True),
        "webp alpha": encoded(_with_alpha(photo), "WEBP"),
        "webp animated": encoded(photo, "WEBP", save_all=True, append_images=[photo.rotate(9)]),
    }


def _tiffs(photo: Image.Image) -> dict[str, bytes]:
    kinds = ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
    grey = photo.convert("L")
    return {
        **{f"tiff {kind}": encoded(photo, "TIFF", compression=kind) for kind in kinds},
        "tiff fax": encoded(grey.convert("1"), "TIFF", compression="group4"),
        "tiff float": encoded(grey.convert("F"), "TIFF"),
    }


def _others(photo: Image.Image) -> dict[str, bytes]:
    return {
        "bmp": encoded(photo, "BMP"),
        "bmp palette": encoded(photo.quantize(16), "BMP"),
        "gif": encoded(photo.quantize(64), "GIF"),
        "gif animated": encoded(photo.quantize(64), "GIF", save_all=True, append_images=[photo.rotate(9).quantize(64)]),
        "avif": encoded(photo, "AVIF", quality=60),
        "jpeg 2000": encoded(photo, "JPEG2000"),
        "ppm": encoded(photo, "PPM"),
    }


def _with_alpha(photo: Image.Image) -> Image.Image:
    copy = photo.copy()
    copy.putalpha(200)
    return copy
