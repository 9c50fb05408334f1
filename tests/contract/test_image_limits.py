"""Images too large, too small, broken or none are refused with their problem."""

from collections.abc import Callable

import httpx2
import pytest
from PIL import Image

from tests.support.answers import answered, problem, verification
from tests.support.api import Api
from tests.support.encoding import bmp_header, encoded, gif_header, jpeg_header, png_header
from tests.support.hostile import HTML, PDF, SIDE, SVG, TEXT, huge_png, padded
from tests.support.photos import COLLINS, HOPPER, base64_of, hopper, one_colour, png
from tests.support.server import MIB

FILE_LIMIT = 10 * MIB
HUGE = {"PNG header": png_header(SIDE, SIDE), "PNG": huge_png(), "JPEG header": jpeg_header(SIDE, SIDE)}


@pytest.mark.parametrize("image", HUGE.values(), ids=HUGE)
@pytest.mark.parametrize("path", ["verify", "detect", "embed", "identify", "enroll"])
def test_an_image_of_30000_by_30000_pixels_is_refused(api: Api, gallery: str, image: bytes, path: str) -> None:
    ask: dict[str, Callable[[bytes], httpx2.Response]] = {
        "verify": lambda data: api.verify(data, HOPPER),
        "detect": api.detect,
        "embed": api.embed,
        "identify": api.identify,
        "enroll": lambda data: api.enroll(gallery, "huge", data),
    }
    response = ask[path](image)
    assert "image_too_large" in response.text
    assert response.status_code == (200 if path == "embed" else 413)


@pytest.mark.parametrize("header", [bmp_header, gif_header])
def test_a_header_that_lies_is_refused(api: Api, header: Callable[[int, int], bytes]) -> None:
    response = api.detect(header(SIDE, SIDE))
    problem(response, response.status_code, "image_too_large", "invalid_image")


def test_forty_one_megapixels_are_too_many(api: Api) -> None:
    problem(api.detect(png(Image.new("L", (8001, 5000)))), 413, "image_too_large")


def test_a_file_of_exactly_ten_mebibytes_is_accepted_and_a_larger_one_refused(api: Api) -> None:
    assert verification(api.verify(padded(HOPPER, FILE_LIMIT), COLLINS))["match"] is False
    body = problem(api.verify(HOPPER, padded(COLLINS, FILE_LIMIT + 1)), 413, "image_too_large")
    assert body["image"] == "image2"


def test_base64_beyond_ten_mebibytes_is_refused(api: Api) -> None:
    images = {"image1": base64_of(HOPPER), "image2": base64_of(padded(COLLINS, FILE_LIMIT + 1))}
    problem(api.http.post("/verify", json=images), 413, "image_too_large")


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_a_truncated_image_is_a_broken_image(api: Api, share: float) -> None:
    for whole in (HOPPER, png(hopper())):
        cut = whole[: int(len(whole) * share)]
        problem(api.verify(cut, HOPPER), 422, "invalid_image")
        problem(api.detect(cut), 422, "invalid_image")


@pytest.mark.parametrize("data", [TEXT, HTML, b"\0" * 5000, HOPPER[:2], b"\x89PNG\r\n\x1a\n", b"\xff" * 5000, b""])
def test_bytes_that_are_no_image_are_refused(api: Api, data: bytes) -> None:
    problem(api.verify(HOPPER, data), 422, "invalid_image", "invalid_request")
    problem(api.detect(data), 422, "invalid_image", "invalid_request")


@pytest.mark.parametrize("data", [SVG, PDF], ids=["SVG", "PDF"])
def test_documents_are_not_images(api: Api, data: bytes) -> None:
    response = api.verify(data, HOPPER)
    assert response.status_code in {415, 422}
    problem(response, response.status_code, "unsupported_image", "invalid_image")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (11, 11), (1, 3000), (3000, 1)], ids=str)
def test_an_image_too_small_or_thin_for_a_face_has_none(api: Api, kind: str, size: tuple[int, int]) -> None:
    thin = encoded(one_colour().resize(size), kind)
    problem(api.verify(thin, HOPPER), 422, "face_not_found", "invalid_image")
    assert api.detect(thin).status_code in {200, 422}


def test_the_service_answers_well_after_all_this(api: Api) -> None:
    assert verification(api.verify(HOPPER, COLLINS))["match"] is False
    assert len(answered(api.detect(HOPPER))["faces"]) == 1
