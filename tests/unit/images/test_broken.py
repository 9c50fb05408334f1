"""Any bytes give a photo or one of three errors of the domain."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from app.domain.errors import ImageTooLarge, InvalidImage, UnsupportedImage
from app.images.decode import ImageLimits, decode
from tests.support.encoding import encoded

LIMITS = ImageLimits(max_pixels=1_000_000)
KINDS = ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "HEIF", "JPEG2000", "PPM"]
SIGNATURES = [
    b"",
    b"\xff\xd8\xff\xe0",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"RIFF\0\0\0\0WEBPVP8 ",
    b"\0\0\0\x1cftypavif",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"P6 9 9 255\n",
    b"P5 9 9 65535\n",
    b"\0\0\0\x18ftypheic",
]
NOISE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (40, 30, 3), np.uint8))
PHOTOS = {kind: encoded(NOISE, kind) for kind in KINDS}


def outcome(data: bytes) -> str:
    """Return `photo`, or the code of the domain's error; any other error escapes."""
    try:
        pixels = decode(data, LIMITS)
    except (InvalidImage, UnsupportedImage, ImageTooLarge) as error:
        return error.code
    assert pixels.dtype == np.uint8
    assert pixels.shape[2:] == (3,)
    return "photo"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.15, 0.5, 0.85])
def test_a_truncated_file_is_invalid_and_its_format_named(kind: str, share: float) -> None:
    whole = PHOTOS[kind]
    assert decode(whole, LIMITS).shape == (40, 30, 3)
    with pytest.raises(InvalidImage, match=f"^broken {kind} (image|header)"):
        decode(whole[: int(len(whole) * share)], LIMITS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_bytes_of_a_file_are_invalid(kind: str) -> None:
    assert {outcome(PHOTOS[kind][:length]) for length in range(120)} == {"invalid_image"}


@settings(max_examples=100)
@given(signature=st.sampled_from(SIGNATURES), rest=st.binary(max_size=200))
@example(signature=b"", rest=b"")
@example(signature=b"RIFF\x0c\0\0\0WEBPVP8L", rest=bytes(4))
@example(signature=b"RIFF\x0c\0\0\0WEBPVP8 ", rest=bytes(4))
def test_random_bytes_raise_only_the_errors_of_the_domain(signature: bytes, rest: bytes) -> None:
    assert outcome(signature + rest) in {"photo", "invalid_image", "unsupported_image", "image_too_large"}


@settings(max_examples=150)
@given(
    kind=st.sampled_from(KINDS),
    hits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
    kept=st.floats(0.3, 1),
)
def test_a_damaged_photo_raises_only_domain_errors(kind: str, hits: list[tuple[float, int]], kept: float) -> None:
    data = bytearray(PHOTOS[kind][: int(len(PHOTOS[kind]) * kept)])
    for where, value in hits:
        data[int(where * len(data))] = value
    assert outcome(bytes(data)) in {"photo", "invalid_image", "unsupported_image", "image_too_large"}
