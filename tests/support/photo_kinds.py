"""
Photos as phones and programs send them: each way to change a photo and to save it, and a command that measures them.

`python -m tests.support.photo_kinds PHOTOS --url URL` sends each photo of a folder, changed and saved in each of these
ways, to `/verify` of a running service beside the unchanged photo, and prints the table of docs/evaluation.md.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Callable
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import tifffile
import typer
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.support.api import Api
from tests.support.encoding import encoded

OUTCOMES = ("match", "no match", "refused or no face")


def turned(photo: Image.Image, degrees: float) -> bytes:
    """Return it turned clockwise, on a black canvas that holds all of it."""
    return encoded(photo.rotate(-degrees, expand=True, resample=Image.Resampling.BICUBIC), "JPEG", quality=95)


def with_damaged_chunk(photo: Image.Image, kind: bytes) -> bytes:
    """Return a PNG with a wrong checksum in its text, profile or density."""
    text = PngInfo()
    text.add_text("Comment", "text")
    data = bytearray(encoded(photo, "PNG", pnginfo=text, dpi=(72, 72), icc_profile=bytes(200)))
    start = data.index(kind)
    data[start + 4 + int.from_bytes(data[start - 4 : start], "big")] ^= 1
    return bytes(data)


def in_planes(photo: Image.Image, bits: int = 16, compression: str | None = None) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        np.moveaxis(_deep(photo, bits), 2, 0),
        photometric="rgb",
        planarconfig="separate",
        compression=compression,
    )
    return file.getvalue()


def png_of_12_bits(photo: Image.Image) -> bytes:
    return bytes(cv2.imencode(".png", _deep(photo, 12)[:, :, ::-1])[1])


def _deep(photo: Image.Image, bits: int) -> np.ndarray:
    return np.asarray((np.asarray(photo).astype(np.float64) * (2**bits - 1) / 255).round(), np.uint16)


def _base64(photo: Image.Image, prefix: str, *, url_safe: bool) -> str:
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    return prefix + encode(encoded(photo, "JPEG", quality=95)).decode()


KINDS: dict[str, Callable[[Image.Image], bytes | str]] = {
    "unchanged": lambda photo: encoded(photo, "JPEG", quality=95),
    **{f"turned by {degrees} degrees without EXIF": partial(turned, degrees=degrees) for degrees in (90, 180, 270)},
    **{f"tilted by {degrees} degrees": partial(turned, degrees=degrees) for degrees in (-75, -60, -45, -30)},
    **{f"tilted by {degrees} degrees": partial(turned, degrees=degrees) for degrees in (30, 45, 60, 75)},
    "JPEG without its end marker": lambda photo: encoded(photo, "JPEG", quality=95)[:-2],
    **{
        f"PNG, bad checksum in {kind.decode()}": partial(with_damaged_chunk, kind=kind)
        for kind in (b"tEXt", b"iCCP", b"pHYs")
    },
    "TIFF, 16 bits a channel in planes": in_planes,
    "TIFF, 12 bits in 16 in planes, compressed": partial(in_planes, bits=12, compression="zlib"),
    "HEIC": lambda photo: encoded(photo, "HEIF", quality=90),
    "PNG, 12 bits in 16": png_of_12_bits,
    "base64 with the URL-safe alphabet": lambda photo: _base64(photo, "", url_safe=True),
    "`DATA:` URI in capitals": lambda photo: _base64(photo, "DATA:IMAGE/JPEG;BASE64,", url_safe=False),
}
"""Bytes are sent as a part of a form, text in JSON."""


def outcome(api: Api, photo: Image.Image, sent: bytes | str) -> str:
    """Return one of `OUTCOMES`: a wrong face, or one in the wrong place, does not match."""
    unchanged = encoded(photo, "JPEG", quality=95)
    if isinstance(sent, str):
        reference = base64.b64encode(unchanged).decode()
        response = api.http.post("/verify", json={"image1": sent, "image2": reference})
    else:
        response = api.verify(sent, unchanged)
    if response.status_code == 422:
        return OUTCOMES[2]
    return OUTCOMES[0] if response.raise_for_status().json()["match"] else OUTCOMES[1]


def main(
    photos: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Photos of one face each.")],
    url: Annotated[str, typer.Option(help="Of the service.")] = "http://127.0.0.1:8000",
    every: Annotated[int, typer.Option(min=1, help="Use one photo of so many.")] = 1,
    only: Annotated[str, typer.Option(help="Use kinds with such names: 'tilted*'.")] = "*",
) -> None:
    """Print how many photos of each kind match the unchanged photo."""
    paths = sorted(photos.rglob("*.jpg"))[::every]
    typer.echo(f"| kind | photos | {', '.join(OUTCOMES)} |\n|---|---|---|")
    with Api.at(url) as api:
        for kind, change in [(kind, change) for kind, change in KINDS.items() if fnmatch(kind, only)]:
            found: Counter[str] = Counter()
            for path in paths:
                with Image.open(path) as file:
                    photo = file.convert("RGB")
                found[outcome(api, photo, change(photo))] += 1
            typer.echo(f"| {kind} | {len(paths)} | {', '.join(str(found[each]) for each in OUTCOMES)} |")


if __name__ == "__main__":
    typer.run(main)
