"""One small photo in every format that is decoded, because each format has a decoder of its own in native code."""

from functools import cache

import numpy as np
from PIL import Image

from tests.support.encoding import encoded, exif
from tests.support.photos import COLLINS, NAVY, png, small


def no_face(side: int = 96) -> bytes:
    return png(Image.new("RGB", (side, side), NAVY))


@cache
def corpus() -> dict[str, bytes]:
    photo = small(COLLINS, 160)
    return {**_jpegs(photo), **_pngs(photo), **_webps(photo), **_tiffs(photo), **_others(photo)}


def _jpegs(photo: Image.Image) -> dict[str, bytes]:
    return {
        "jpeg": encoded(photo, "JPEG", quality=85),
        "jpeg progressive": encoded(photo, "JPEG", quality=85, progressive=True),
        "jpeg grey": encoded(photo.convert("L"), "JPEG"),
        "jpeg cmyk": encoded(photo.convert("CMYK"), "JPEG"),
        "jpeg exif": encoded(photo, "JPEG", exif=exif(6), subsampling=0),
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
        "heif": encoded(photo, "HEIF", quality=60),
        "jpeg 2000": encoded(photo, "JPEG2000"),
        "ppm": encoded(photo, "PPM"),
    }


def _with_alpha(photo: Image.Image) -> Image.Image:
    copy = photo.copy()
    copy.putalpha(200)
    return copy
