"""The contract's routes as a caller would wrap them: one method a route, raw responses out."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx2

from tests.support.background import map_in_threads

Fields = dict[str, Any]
Part = tuple[str, tuple[str, bytes, str]]


def part(name: str, data: bytes) -> Part:
    return name, ("photo.jpg", data, "image/jpeg")


class Likeness:
    def __init__(self, http: httpx2.Client) -> None:
        self.http = http

    def post(self, path: str, *parts: Part, **fields: Any) -> httpx2.Response:
        return self.http.post(path, files=list(parts), data=fields)

    def verify(self, first: bytes, second: bytes, **fields: Any) -> httpx2.Response:
        return self.post("/verify", part("image1", first), part("image2", second), **fields)

    def identify(self, image: bytes, **fields: Any) -> httpx2.Response:
        return self.post("/identify", part("image", image), **fields)

    def detect(self, image: bytes, **fields: Any) -> httpx2.Response:
        return self.post("/detect", part("image", image), **fields)

    def embed(self, *images: bytes, **fields: Any) -> httpx2.Response:
        return self.post("/embed", *(part("image", image) for image in images), **fields)

    def enroll(self, gallery: str, subject: str, *images: bytes, key: str | None = None) -> httpx2.Response:
        headers = {"Idempotency-Key": key} if key else {}
        parts = [part("image", image) for image in images]
        return self.http.post(f"{subject_path(gallery, subject)}/faces", files=parts, headers=headers)

    def verify_subject(self, gallery: str, subject: str, image: bytes, **fields: Any) -> httpx2.Response:
        return self.post(f"{subject_path(gallery, subject)}/verify", part("image", image), **fields)

    def describe(self, gallery: str, subject: str, metadata: Any) -> httpx2.Response:
        return self.http.put(subject_path(gallery, subject), json={"metadata": metadata})

    def create(self, gallery: str) -> None:
        response = self.http.put(f"/galleries/{quote(gallery, safe='')}")
        assert response.is_success, response.text

    def delete(self, path: str) -> None:
        response = self.http.delete(path)
        assert response.is_success, response.text

    def face_ids(self, gallery: str, subject: str) -> list[str]:
        return [face["face_id"] for face in self.http.get(f"{subject_path(gallery, subject)}/faces").json()["faces"]]

    def candidates(self, image: bytes, gallery: str, **fields: Any) -> list[Fields]:
        """The candidates of the one face that was asked about."""
        (face,) = self.identify(image, gallery=gallery, **fields).json()["faces"]
        return list(face["candidates"])

    def subject_pages(self, gallery: str, limit: int) -> Iterator[list[str]]:
        cursor: str | None = None
        while True:
            query = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
            page = self.http.get(f"/galleries/{quote(gallery, safe='')}/subjects", params=query).json()
            yield [subject_id_of(subject) for subject in page["subjects"]]
            cursor = page["next_cursor"]
            if not cursor:
                return


def subject_id_of(subject: Fields) -> str:
    """docs/api.md names the id in a candidate only; a subject resource may call it `subject_id` or `id`."""
    return str(subject.get("subject_id", subject.get("id")))


def subject_path(gallery: str, subject: str) -> str:
    return f"/galleries/{quote(gallery, safe='')}/subjects/{quote(subject, safe='')}"


def at_once(calls: list[Callable[[], Any]], workers: int = 8) -> list[Any]:
    return list(map_in_threads(lambda call: call(), calls, workers))
