"""A service that keeps crops tells it, and gives the person's crop in the person's export."""

import base64

from app.images.crops import CROP_SIZE, decode_crop
from tests.support.answers import answered
from tests.support.api import Api, subject_path
from tests.support.photos import HOPPER


def test_crops_are_counted_and_exported(judging: Api, gallery: str) -> None:
    answered(judging.enroll(gallery, "hopper", HOPPER), 201)
    detail = answered(judging.http.get(f"/galleries/{gallery}"))
    (face,) = answered(judging.http.get(f"{subject_path(gallery, 'hopper')}/export"))["faces"]
    crop = base64.b64decode(face["crop"])

    assert (detail["keeps_crops"], detail["crops"], "re_embedding" in detail) == (True, 1, False)
    assert decode_crop(crop).shape == (CROP_SIZE, CROP_SIZE, 3)
    judging.delete(subject_path(gallery, "hopper"))
    assert answered(judging.http.get(f"/galleries/{gallery}"))["crops"] == 0


def test_a_service_keeps_none_by_default(api: Api, gallery: str) -> None:
    answered(api.enroll(gallery, "hopper", HOPPER), 201)
    detail = answered(api.http.get(f"/galleries/{gallery}"))
    (face,) = answered(api.http.get(f"{subject_path(gallery, 'hopper')}/export"))["faces"]

    assert (detail["keeps_crops"], detail["crops"]) == (False, 0)
    assert "crop" not in face
