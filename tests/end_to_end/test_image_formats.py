"""Images are recognised by content, and every colour mode becomes the same face."""

import pytest

from .contract import overlap, verification
from .likeness import part
from .photos import (
    HOPPER_BOX,
    TURNS,
    another,
    base64_of,
    collins,
    deep,
    deep_grey,
    encoded,
    exif_turned,
    hopper,
    jpeg,
    png,
    with_alpha,
)

HOPPER, COLLINS = jpeg(hopper()), jpeg(collins())
WRAPPINGS = {
    "PNG": lambda: png(hopper()),
    "WebP": lambda: encoded(hopper(), "WEBP", quality=90),
    "lossless WebP": lambda: encoded(hopper(), "WEBP", lossless=True),
    "WebP with alpha": lambda: encoded(with_alpha(hopper()), "WEBP", quality=90),
    "BMP": lambda: encoded(hopper(), "BMP"),
    "TIFF": lambda: encoded(hopper(), "TIFF"),
    "TIFF with LZW": lambda: encoded(hopper(), "TIFF", compression="tiff_lzw"),
    "GIF": lambda: encoded(hopper().quantize(256), "GIF"),
    "animated GIF": lambda: encoded(hopper(), "GIF", save_all=True, append_images=[collins()]),
    "progressive JPEG": lambda: encoded(hopper(), "JPEG", progressive=True),
    "grey JPEG": lambda: jpeg(hopper().convert("L")),
    "grey PNG": lambda: png(hopper().convert("L")),
    "grey PNG with alpha": lambda: png(with_alpha(hopper()).convert("LA")),
    "palette PNG": lambda: png(hopper().quantize(256)),
    "palette PNG with transparency": lambda: encoded(hopper().quantize(255), "PNG", transparency=0),
    "CMYK JPEG": lambda: jpeg(hopper().convert("CMYK")),
    "CMYK TIFF": lambda: encoded(hopper().convert("CMYK"), "TIFF"),
    "16-bit grey PNG": lambda: deep_grey(hopper()),
    "16-bit colour PNG": lambda: deep(hopper(), ".png"),
    "16-bit colour TIFF": lambda: deep(hopper(), ".tiff"),
    "PNG with alpha": lambda: png(with_alpha(hopper())),
}


@pytest.mark.parametrize("kind", WRAPPINGS)
def test_every_wrapping_of_one_photo_shows_the_same_person(likeness, kind):
    wrapped = WRAPPINGS[kind]()
    body = verification(likeness.verify(HOPPER, wrapped))
    assert body["match"] is True
    assert body["distance"] < 0.5
    assert overlap(body["faces"][1]["box"], HOPPER_BOX) > 0.7
    assert verification(likeness.verify(COLLINS, wrapped))["match"] is False


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "16-bit colour PNG", "16-bit colour TIFF"])
def test_lossless_wrappings_give_the_same_vector_as_each_other(likeness, kind):
    body = verification(likeness.verify(encoded(hopper(), "WEBP", lossless=True), WRAPPINGS[kind]()))
    assert body["distance"] < 1e-3


@pytest.mark.parametrize("orientation", TURNS)
def test_an_exif_turned_copy_gives_the_answer_of_the_upright_photo(likeness, orientation):
    upright = verification(likeness.verify(HOPPER, another(hopper())))
    turned = verification(likeness.verify(exif_turned(hopper(), orientation), another(hopper())))
    assert turned["match"] is True
    assert turned["distance"] == pytest.approx(upright["distance"], abs=0.1)
    assert overlap(turned["faces"][0]["box"], upright["faces"][0]["box"]) > 0.9


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
def test_the_name_and_the_declared_type_are_not_believed(likeness, name, kind):
    files = [("image1", (name, png(hopper()), kind)), part("image2", HOPPER)]
    assert verification(likeness.http.post("/verify", files=files))["match"] is True


@pytest.mark.parametrize("prefix", ["", "data:image/jpeg;base64,", "data:image/png;base64,", "data:;base64,"])
def test_images_can_be_base64_in_json(likeness, prefix):
    images = {"image1": prefix + base64_of(HOPPER), "image2": prefix + base64_of(another(hopper()))}
    by_json = verification(likeness.http.post("/verify", json=images))
    by_form = verification(likeness.verify(HOPPER, another(hopper())))
    assert by_json["match"] is True
    assert by_json["distance"] == pytest.approx(by_form["distance"], abs=1e-4)


@pytest.mark.parametrize(("field", "value", "source"), [("fmr", 0.001, "fmr"), ("threshold", 0.9, "request")])
def test_json_carries_the_operating_point_too(likeness, field, value, source):
    images = {"image1": base64_of(HOPPER), "image2": base64_of(COLLINS)}
    body = verification(likeness.http.post("/verify", json={**images, field: value}))
    assert body["threshold"]["source"] == source
    assert body["match"] is False
