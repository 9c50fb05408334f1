"""Images too large, too small, broken or none: refused quickly and cheaply, before their pixels exist."""

import pytest

from tests.benchmarks.machine import cpu_seconds

from .contract import answered, problem, verification
from .hostile import (
    HTML,
    PDF,
    SVG,
    TEXT,
    huge_bmp,
    huge_gif,
    huge_jpeg,
    huge_png,
    huge_png_header,
    just_over_forty_megapixels,
    padded,
)
from .photos import base64_of, collins, encoded, hopper, jpeg, one_colour, png
from .server import MIB

HOPPER, COLLINS = jpeg(hopper()), jpeg(collins())
FILE_LIMIT = 10 * MIB


@pytest.mark.parametrize("image", [huge_png_header, huge_png, huge_jpeg])
@pytest.mark.parametrize("path", ["verify", "detect", "embed", "identify", "enroll"])
def test_an_image_of_30000_by_30000_pixels_is_refused_undecoded(likeness, server, gallery, image, path):
    ask = {
        "verify": lambda data: likeness.verify(data, HOPPER),
        "detect": likeness.detect,
        "embed": likeness.embed,
        "identify": likeness.identify,
        "enroll": lambda data: likeness.enroll(gallery, "huge", data),
    }[path]
    data = image()
    server.forget_peak()
    before, began = server.resident(), cpu_seconds(server.process.pid)
    response = ask(data)
    assert cpu_seconds(server.process.pid) - began < 2
    assert server.peak() - before < 300 * MIB
    assert "image_too_large" in response.text
    assert response.status_code == (200 if path == "embed" else 413)


@pytest.mark.parametrize("image", [huge_bmp, huge_gif])
def test_headers_that_lie_are_refused_undecoded(likeness, server, image):
    server.forget_peak()
    before, began = server.resident(), cpu_seconds(server.process.pid)
    response = likeness.detect(image())
    assert cpu_seconds(server.process.pid) - began < 2
    assert server.peak() - before < 300 * MIB
    problem(response, response.status_code, "image_too_large", "invalid_image")


def test_forty_one_megapixels_are_too_many(likeness):
    problem(likeness.detect(just_over_forty_megapixels()), 413, "image_too_large")


def test_a_file_of_exactly_ten_mebibytes_is_accepted(likeness):
    assert verification(likeness.verify(padded(HOPPER, FILE_LIMIT), COLLINS))["match"] is False


def test_a_file_beyond_ten_mebibytes_is_refused(likeness):
    body = problem(likeness.verify(HOPPER, padded(COLLINS, FILE_LIMIT + 1)), 413, "image_too_large")
    assert body["image"] == "image2"


def test_base64_beyond_ten_mebibytes_is_refused(http):
    images = {"image1": base64_of(HOPPER), "image2": base64_of(padded(COLLINS, FILE_LIMIT + 1))}
    problem(http.post("/verify", json=images), 413, "image_too_large")


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_a_truncated_jpeg_is_a_broken_image(likeness, share):
    cut = HOPPER[: int(len(HOPPER) * share)]
    problem(likeness.verify(cut, HOPPER), 422, "invalid_image")
    problem(likeness.detect(cut), 422, "invalid_image")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_png_is_a_broken_image(likeness, share):
    whole = png(hopper())
    problem(likeness.detect(whole[: int(len(whole) * share)]), 422, "invalid_image")


@pytest.mark.parametrize("data", [TEXT, HTML, b"\0" * 5000, HOPPER[:2], b"\x89PNG\r\n\x1a\n", b"\xff" * 5000])
def test_bytes_that_are_no_image_are_refused(likeness, data):
    problem(likeness.verify(HOPPER, data), 422, "invalid_image")


def test_a_part_of_no_bytes_is_refused(likeness):
    problem(likeness.verify(b"", HOPPER), 422, "invalid_image", "invalid_request")
    problem(likeness.detect(b""), 422, "invalid_image", "invalid_request")


@pytest.mark.parametrize("data", [SVG, PDF], ids=["SVG", "PDF"])
def test_documents_are_not_images_here(likeness, data):
    response = likeness.verify(data, HOPPER)
    assert response.status_code in {415, 422}
    problem(response, response.status_code, "unsupported_image", "invalid_image")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (11, 11), (1, 3000), (3000, 1)])
def test_an_image_too_small_or_thin_for_a_face_has_none(likeness, kind, size):
    thin = encoded(one_colour().resize(size), kind)
    problem(likeness.verify(thin, HOPPER), 422, "face_not_found", "invalid_image")
    assert likeness.detect(thin).status_code in {200, 422}


def test_the_service_answers_well_after_all_this(likeness):
    assert verification(likeness.verify(HOPPER, COLLINS))["match"] is False
    assert len(answered(likeness.detect(HOPPER))["faces"]) == 1
