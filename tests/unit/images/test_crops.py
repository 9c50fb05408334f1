"""Kept crops: small files of one size, and nothing else is taken for one."""

import numpy as np
import pytest

from app.images.crops import CROP_SIZE, MAX_CROP_BYTES, decode_crop, encode_crop
from app.images.jpeg import encode_jpeg
from tests.support.photos import hopper


def test_a_crop_of_a_photo_is_nearly_as_it_was() -> None:
    pixels = np.asarray(hopper().resize((CROP_SIZE, CROP_SIZE)), np.uint8)
    file = encode_crop(pixels)
    difference = np.abs(decode_crop(file).astype(int) - pixels)

    assert len(file) <= MAX_CROP_BYTES
    assert np.median(difference) <= 2


def test_noise_fits_as_well() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (CROP_SIZE, CROP_SIZE, 3), np.uint8)

    assert len(encode_crop(noise)) <= MAX_CROP_BYTES


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "."),
        (b"\xff\xd8 no picture", "."),
        (encode_jpeg(np.zeros((112, 113, 3), np.uint8)), "expected a crop of 112 x 112 pixels, got 113 x 112"),
        (encode_crop(np.zeros((112, 112, 3), np.uint8)) + bytes(MAX_CROP_BYTES), "at most 12288 bytes"),
        (encode_crop(np.zeros((112, 112, 3), np.uint8))[:-40], "."),
    ],
    ids=["nothing", "no picture", "another size", "too long", "cut short"],
)
def test_what_is_no_crop_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        decode_crop(data)
