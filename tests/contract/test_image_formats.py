"""Images are recognised by content, and every colour mode becomes the same face."""

import gzip
import json
from collections.abc import Callable

import numpy as np
import pytest

from tests.support.answers import Body, answered, overlap, problem, verification
from tests.support.api import Api, part
from tests.support.encoding import encoded
from tests.support.photo_kinds import KINDS, OUTCOMES, outcome
from tests.support.photos import (
    COLLINS,
    HOPPER,
    HOPPER_AGAIN,
    HOPPER_BOX,
    base64_of,
    collins,
    deep,
    deep_grey,
    exif_turned,
    hopper,
    jpeg,
    png,
    with_alpha,
)

FORMATS: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: png(hopper()),
    "WebP": lambda: encoded(hopper(), "WEBP", quality=90),
    "BMP": lambda: encoded(hopper(), "BMP"),
    "TIFF": lambda: encoded(hopper(), "TIFF"),
    "GIF": lambda: encoded(hopper().quantize(256), "GIF"),
    "animated GIF": lambda: encoded(hopper(), "GIF", save_all=True, append_images=[collins()]),
    "progressive JPEG": lambda: encoded(hopper(), "JPEG", progressive=True),
    "grey JPEG": lambda: jpeg(hopper().convert("L")),
    "palette PNG with transparency": lambda: encoded(hopper().quantize(255), "PNG", transparency=0),
    "CMYK JPEG": lambda: jpeg(hopper().convert("CMYK")),
    "16-bit grey PNG": lambda: deep_grey(hopper()),
    "16-bit colour TIFF": lambda: deep(hopper(), ".tiff"),
    "PNG with alpha": lambda: png(with_alpha(hopper())),
}


def embedded(api: Api, photo: bytes) -> Body:
    """Return the only face of a photo."""
    (face,) = answered(api.embed(photo))["results"][0]["faces"]
    return dict(face)


def distance(one: Body, other: Body) -> float:
    return float(((np.array(one["embedding"]) - np.array(other["embedding"])) ** 2).sum())


@pytest.fixture(scope="module")
def faces(api: Api) -> dict[str, Body]:
    """The faces of the people in JPEG."""
    return {name: embedded(api, photo) for name, photo in {"hopper": HOPPER, "collins": COLLINS}.items()}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_of_one_photo_shows_the_same_person(api: Api, faces: dict[str, Body], kind: str) -> None:
    face = embedded(api, FORMATS[kind]())
    assert distance(faces["hopper"], face) < 0.5
    assert distance(faces["collins"], face) > 1.3  # the threshold is below it
    assert overlap(face["box"], HOPPER_BOX) > 0.7


@pytest.fixture(scope="module")
def upright(api: Api) -> Body:
    return verification(api.verify(HOPPER, HOPPER_AGAIN))


@pytest.mark.parametrize("orientation", [5, 6])  # mirrored and turned
def test_an_exif_turned_copy_gives_the_answer_of_the_upright_photo(api: Api, upright: Body, orientation: int) -> None:
    turned = verification(api.verify(exif_turned(hopper(), orientation), HOPPER_AGAIN))
    assert turned["match"] is True
    assert turned["distance"] == pytest.approx(upright["distance"], abs=0.1)
    assert overlap(turned["faces"][0]["box"], upright["faces"][0]["box"]) > 0.9


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("turned")])
def test_a_photo_matches_itself_however_it_was_held_and_saved(api: Api, kind: str) -> None:
    assert outcome(api, collins(), KINDS[kind](collins())) == OUTCOMES[0]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_photo_turned_without_exif_gives_the_answer_of_the_upright_one(api: Api, upright: Body, degrees: int) -> None:
    photo = png(hopper().rotate(-degrees, expand=True))
    turned = verification(api.verify(photo, HOPPER_AGAIN))
    assert turned["match"] is True
    assert turned["distance"] == pytest.approx(upright["distance"], abs=0.1)
    assert [face["rotated"] for face in turned["faces"]] == [360 - degrees, 0]
    left, top, right, bottom = upright["faces"][0]["box"]
    width, height = hopper().size
    boxes = {
        90: (height - bottom, left, height - top, right),
        180: (width - right, height - bottom, width - left, height - top),
        270: (top, width - right, bottom, width - left),
    }
    assert overlap(turned["faces"][0]["box"], boxes[degrees]) > 0.9


def test_with_exif_alone_a_turned_photo_is_not_turned(api: Api) -> None:
    photo = png(hopper().rotate(90, expand=True))
    assert all(face["rotated"] == 0 for face in answered(api.detect(photo, orientation="exif"))["faces"])
    (face,) = answered(api.detect(photo, orientation="auto"))["faces"]
    assert face["rotated"] == 90
    problem(api.http.post("/detect", json={"image": base64_of(photo), "orientation": "left"}), 422, "invalid_request")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("hopper.jpg", "image/jpeg"),
        ("hopper.txt", "text/plain"),
        ("hopper.pdf", "application/pdf"),
        ("hopper", "application/octet-stream"),
        ("../../etc/passwd", "image/gif"),
        ("日本 \U0001f469.jpg", "x/y"),
    ],
)
def test_the_name_and_the_declared_type_are_not_believed(api: Api, name: str, kind: str) -> None:
    files = [("image1", (name, png(hopper()), kind)), part("image2", HOPPER)]
    assert verification(api.http.post("/verify", files=files))["match"] is True


@pytest.mark.parametrize("prefix", ["", "data:image/jpeg;base64,", "DATA:image/png;base64,", "Data:;base64,"])
def test_images_can_be_base64_in_json(api: Api, prefix: str) -> None:
    images = {"image1": prefix + base64_of(HOPPER), "image2": prefix + base64_of(HOPPER_AGAIN)}
    by_json = verification(api.http.post("/verify", json=images))
    by_form = verification(api.verify(HOPPER, HOPPER_AGAIN))
    assert by_json["match"] is True
    assert by_json["distance"] == pytest.approx(by_form["distance"], abs=1e-4)


def test_a_compressed_body_is_refused_with_a_sentence(api: Api) -> None:
    body = gzip.compress(json.dumps({"image": base64_of(HOPPER)}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    response = api.http.post("/detect", content=body, headers=headers)
    assert problem(response, 422, "invalid_request")["detail"] == "expected a body without Content-Encoding, got gzip"


@pytest.mark.parametrize(("field", "value", "source"), [("fmr", 0.001, "fmr"), ("threshold", 0.9, "request")])
def test_json_carries_the_operating_point_too(api: Api, field: str, value: float, source: str) -> None:
    images = {"image1": base64_of(HOPPER), "image2": base64_of(COLLINS)}
    body = verification(api.http.post("/verify", json={**images, field: value}))
    assert body["threshold"]["source"] == source
    assert body["match"] is False
