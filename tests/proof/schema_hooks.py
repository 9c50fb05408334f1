"""Hooks for schemathesis (SCHEMATHESIS_HOOKS): what its generator cannot know about this service."""

import base64
import itertools
import re
from typing import Any
from urllib.parse import unquote

import requests
import schemathesis
from hypothesis import strategies as st
from requests.auth import AuthBase

from app.domain.clock import RFC_3339
from tests.support.photos import COLLINS, COLLINS_AGAIN, small_jpeg

PHOTOS = {"<photo one>": COLLINS, "<photo two>": COLLINS_AGAIN, "<photo three>": small_jpeg(COLLINS, side=300)}
ENROL = "POST /galleries/{gallery}/subjects/{subject}/faces"
DELETE_FACE = "DELETE /galleries/{gallery}/subjects/{subject}/faces/{face}"
PUT_SUBJECT = "PUT /galleries/{gallery}/subjects/{subject}"
IMPORT = "POST /galleries/{gallery}/import"
MERGE = "POST /galleries/{gallery}/subjects/{subject}/merge"
CLUSTER = "POST /cluster"
LISTS = {ENROL: "image", "POST /compare": "others"}
"""Lists of photos. The service takes one photo without a list too, which the schema leaves out."""
LINES = b"""{"format": "likeness-gallery-1", "gallery": "any", "model": null}
{"subject_id": "imported", "metadata": {}, "faces": []}
"""
OR_VECTORS = {
    "POST /verify": {"image1": {"embedding1"}, "image2": {"embedding2"}},
    "POST /identify": {"image": {"embedding"}},
    "POST /galleries/{gallery}/subjects/{subject}/verify": {"image": {"embedding"}},
    ENROL: {"image": {"embedding", "embeddings"}},
}
"""The vectors that may take the place of each photo, in JSON."""
FUTURE = "2999-01-01T00:00:00Z"
FINE = 0.02
"""Rates below may be finer than the calibration supports. That limit depends on the model and on the number of faces
enrolled, so no schema can describe it; test_errors.py covers it."""

schemathesis.openapi.format("binary", st.sampled_from(sorted(PHOTOS)))
schemathesis.openapi.format("byte", st.sampled_from([base64.b64encode(data).decode() for data in PHOTOS.values()]))
numbers = itertools.count()
enrolled: list[dict[str, str]] = []
"""Faces that may be deleted: their ids are made by the service and cannot be guessed."""


class PhotosInPlace(AuthBase):
    """Put photos in place of their names last: bytes would not pass the generator's own validation."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if isinstance(request.body, bytes) and b"multipart" in str(request.headers.get("content-type")).encode():
            for name, photo in PHOTOS.items():
                request.body = request.body.replace(name.encode(), photo)
        return request


@schemathesis.hook
def before_call(_context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    kwargs["auth"] = PhotosInPlace()
    case.body = LINES if case.operation.label == IMPORT else case.body  # no schema describes the lines
    if case.operation.label == DELETE_FACE and len(enrolled) > 1:
        case.path_parameters.update(enrolled.pop())
    for name in ("fmr", "fpir"):
        if isinstance(case.body, dict) and _is_too_fine(case.body.get(name)):
            case.body[name] = FINE
    if case.operation.label == PUT_SUBJECT and case.body is None:
        case.body = []  # the service takes null for no body, which the schema leaves out (see `json_body`)
    _replace_vectors(case, OR_VECTORS.get(case.operation.label, {}))
    _damage_unpadded_images(case.body)
    _adapt_lists_and_subjects(case)
    if isinstance(case.body, dict) and _is_time(case.body.get("expires_at")):
        case.body["expires_at"] = FUTURE  # no schema can say that a time is not past
    if case.query:
        case.query.pop("cursor", None)  # cursors are made by the service, and an invented one is refused
    if key := (case.headers or {}).get("idempotency-key"):
        # a key used for two different requests is refused, which no schema can describe
        case.headers["idempotency-key"] = f"{next(numbers)}-{key}"[:255]


@schemathesis.hook
def after_call(_context: Any, case: Any, response: Any) -> None:
    if case.operation.label == ENROL and response.status_code == 201 and len(enrolled) < 100:
        ids = {name: unquote(value) for name, value in case.path_parameters.items()}
        enrolled.extend({**ids, "face": face["face_id"]} for face in response.json()["enrolled"])


def _damage_unpadded_images(body: Any) -> None:
    """Make base64 without padding invalid: the service takes it, but the format `byte` leaves it out."""
    for name, value in body.items() if isinstance(body, dict) else ():
        if name.startswith("image") and isinstance(value, str) and len(value) % 4 and value.isalnum():
            body[name] = "A"


def _adapt_lists_and_subjects(case: Any) -> None:
    label, body = case.operation.label, case.body
    if not isinstance(body, dict):
        return
    field = LISTS.get(label, "")
    if isinstance(body.get(field), str):
        body[field] = 7
    if label == MERGE and body.get("from") == unquote(str(case.path_parameters.get("subject"))):
        body["from"] += "-other"  # no schema can say that these are two subjects
    if label == CLUSTER and isinstance(body.get("image"), list):
        del body["image"][5:]  # hundreds of photos take longer than a client waits


def _replace_vectors(case: Any, images: dict[str, set[str]]) -> None:
    """Send photos instead of vectors: no schema can say that a vector has the length 1, or that one is given."""
    body, in_json = case.body, case.media_type == "application/json"
    for image, vectors in images.items() if isinstance(body, dict) else ():
        for name in [name for name in vectors & body.keys() if _is_vectors(body[name])]:
            del body[name]
        if body.get(image) is None and not vectors & body.keys():
            body[image] = base64.b64encode(COLLINS).decode() if in_json else "<photo one>"


def _is_vectors(value: Any) -> bool:
    """Return whether a schema takes it for a vector, several vectors, or none."""
    if value is None or isinstance(value, int | float):
        return not isinstance(value, bool)
    return isinstance(value, list) and value != [] and all(map(_is_vectors, value))


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(RFC_3339, value) is not None


def _is_too_fine(value: Any) -> bool:
    return isinstance(value, float) and 0 < value < FINE
