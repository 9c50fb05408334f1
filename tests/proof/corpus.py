"""One small photo in every format that is decoded, because each format has a decoder of its own in native code."""

import io
from functools import cache

import numpy as np
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.support.encoding import encoded, exif, png_chunk
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
        "jpeg without its end": encoded(photo, "JPEG", quality=85)[:-2],
        "jpeg progressive without its end": encoded(photo, "JPEG", quality=85, progressive=True, exif=exif(3))[:-2],
    }


def _pngs(photo: Image.Image) -> dict[str, bytes]:
    deep = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    return {
        "png": encoded(photo, "PNG"),
        "png palette": encoded(photo.quantize(64), "PNG", transparency=3),
        "png alpha": encoded(_with_alpha(photo), "PNG"),
        "png deep": encoded(deep, "PNG"),
        "png animated": encoded(photo, "PNG", save_all=True, append_images=[photo.rotate(9)]),
        "png side chunks": _with_side_chunks(photo),
        "png damaged side chunks": _with_side_chunks(photo, damage=1),
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
        "tiff planar": _deep_tiff(photo, "separate"),
        "tiff planar strips": _deep_tiff(photo, "separate", rowsperstrip=40),
        "tiff deep": _deep_tiff(photo, "contig", compression="zlib"),
    }


def _others(photo: Image.Image) -> dict[str, bytes]:
    return {
        "bmp": encoded(photo, "BMP"),
        "bmp palette": encoded(photo.quantize(16), "BMP"),
        "gif": encoded(photo.quantize(64), "GIF"),
        "gif animated": encoded(photo.quantize(64), "GIF", save_all=True, append_images=[photo.rotate(9).quantize(64)]),
        "avif": encoded(photo, "AVIF", quality=60),
        "heif": encoded(photo, "HEIF", quality=60),
        "heif exif": encoded(photo, "HEIF", quality=60, exif=exif(6)),
        "heif alpha": encoded(_with_alpha(photo), "HEIF", quality=60),
        "heif several": encoded(photo, "HEIF", quality=60, save_all=True, append_images=[photo.rotate(9)]),
        "jpeg 2000": encoded(photo, "JPEG2000"),
        "ppm": encoded(photo, "PPM"),
    }


def _with_alpha(photo: Image.Image) -> Image.Image:
    copy = photo.copy()
    copy.putalpha(200)
    return copy


def _with_side_chunks(photo: Image.Image, damage: int = 0) -> bytes:
    """Return a PNG with text, a profile, a density and a chunk of unknown kind, whose checksum `damage` changes."""
    about = PngInfo()
    about.add_text("Comment", "text")
    data = encoded(photo, "PNG", pnginfo=about, dpi=(72, 72), icc_profile=bytes(200))
    chunk = png_chunk(b"teSt", b"content")
    return data[:33] + chunk[:-1] + bytes([chunk[-1] ^ damage]) + data[33:]


def _deep_tiff(photo: Image.Image, layout: str, **options: object) -> bytes:
    """Return a TIFF of 16 bits a channel, in planes (`separate`) or by pixels (`contig`)."""
    values = np.asarray(photo).astype(np.uint16) * 257
    file = io.BytesIO()
    planes = np.moveaxis(values, 2, 0) if layout == "separate" else values
    tifffile.imwrite(file, planes, photometric="rgb", planarconfig=layout, **options)  # type: ignore[arg-type]
    return file.getvalue()
