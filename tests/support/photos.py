"""Photos of two people in the public domain, in every form that the contract names, and images without a face."""

import base64
import io
from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageEnhance

from tests.support.encoding import encoded, exif
from tests.support.server import REPOSITORY

IMAGES = REPOSITORY / "docs" / "images"
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
HOPPER_BOX = (170.0, 112.0, 353.0, 340.0)
COLLINS_BOX = (181.0, 62.0, 268.0, 173.0)
HOPPER_LANDMARKS = ((221.7, 192.2), (309.8, 186.1), (269.4, 239.2), (232.7, 279.6), (306.6, 275.9))
GREY, NAVY = (128, 128, 128), (12, 20, 60)
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""The change of upright pixels that each EXIF orientation undoes."""


def jpeg(image: Image.Image, quality: int = 92) -> bytes:
    return encoded(image, "JPEG", quality=quality)


def png(image: Image.Image) -> bytes:
    return encoded(image, "PNG")


@cache
def hopper() -> Image.Image:
    """Grace Hopper, 512 x 600."""
    with Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg") as photo:
        return photo.convert("RGB")


@cache
def collins() -> Image.Image:
    """Eileen Collins, 512 x 512."""
    return Image.fromarray(skimage.data.astronaut())


@cache
def cat() -> Image.Image:
    return Image.fromarray(skimage.data.chelsea())


def one_colour() -> Image.Image:
    return Image.new("RGB", (300, 200), GREY)


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8))


def scaled(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def variants(image: Image.Image) -> dict[str, bytes]:
    """Return the same person as another camera, crop or website would show them."""
    width, height = image.size
    return {
        "cropped": jpeg(image.crop((width // 8, height // 20, width * 9 // 10, height * 4 // 5))),
        "half the size": jpeg(scaled(image, 0.5)),
        "brighter": jpeg(ImageEnhance.Brightness(image).enhance(1.3)),
        "darker": jpeg(ImageEnhance.Brightness(image).enhance(0.7)),
        "poor JPEG": jpeg(image, quality=35),
    }


HOPPER, COLLINS = jpeg(hopper()), jpeg(collins())
HOPPER_AGAIN, COLLINS_AGAIN = (variants(person())["cropped"] for person in (hopper, collins))
SMALL_HOPPER = variants(hopper())["half the size"]
NO_FACE = png(noise())


@cache
def small(data: bytes, side: int) -> Image.Image:
    """Return the photo with `side` pixels at its longer edge."""
    with Image.open(io.BytesIO(data)) as photo:
        photo.thumbnail((side, side))
        return photo.convert("RGB")


def small_jpeg(data: bytes, side: int = 160) -> bytes:
    return jpeg(small(data, side), quality=90)


def exif_turned(image: Image.Image, orientation: int) -> bytes:
    return encoded(image.transpose(TURNS[orientation]), "JPEG", quality=95, subsampling=0, exif=exif(orientation))


def with_alpha(image: Image.Image) -> Image.Image:
    """Return it transparent in the outer tenth, opaque where the face is."""
    alpha = Image.new("L", image.size, 0)
    alpha.paste(255, (image.width // 10, image.height // 10, image.width * 9 // 10, image.height * 9 // 10))
    copy = image.copy()
    copy.putalpha(alpha)
    return copy


def deep(image: Image.Image, extension: str) -> bytes:
    """Return it with 16 bits a channel, which Pillow cannot write in colour."""
    pixels = np.asarray(image)[..., ::-1].astype(np.uint16) * 257 if image.mode == "RGB" else np.asarray(image)
    written, data = cv2.imencode(extension, pixels)
    assert written
    return data.tobytes()


def deep_grey(image: Image.Image) -> bytes:
    return deep(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257), ".png")


def side_by_side(*images: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", (sum(image.width for image in images), max(image.height for image in images)), GREY)
    offsets = np.cumsum([0, *(image.width for image in images[:-1])])
    for image, left in zip(images, offsets.tolist(), strict=True):
        canvas.paste(image, (left, 0))
    return canvas


def large_at_the_edge_small_in_the_centre() -> Image.Image:
    """Return Grace Hopper's face 15 times as large as that of Eileen Collins, which is in the middle."""
    canvas = Image.new("RGB", (1200, 600), GREY)
    canvas.paste(hopper(), (0, 0))
    canvas.paste(scaled(collins(), 0.5), (488, 240))
    return canvas


def on_a_wall(image: Image.Image) -> Image.Image:
    """Return a picture of the photo: smaller, in the middle of a bright wall."""
    wall, print_ = Image.new("RGB", (900, 900), (180, 170, 160)), scaled(image, 0.6)
    wall.paste(print_, (450 - print_.width // 2, 450 - print_.height // 2))
    return wall


def smeared(image: Image.Image) -> Image.Image:
    """Return it at full size, but with a face that is six pixels wide in its details."""
    return image.resize((16, 19)).resize(image.size)


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def shared(folder: str) -> Path:
    path = SHARED_DATA / folder
    if not path.is_dir():
        pytest.skip(f"no {path}: real photos are not part of the repository")
    return path


def real(name: str) -> bytes:
    return (shared("photos/face_recognition/examples") / name).read_bytes()
