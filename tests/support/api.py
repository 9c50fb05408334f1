"""The HTTP API as a caller would wrap it: a method for each route, which returns the raw response."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx2

from tests.support.background import map_in_threads
from tests.support.server import Server

T = TypeVar("T")
Fields = dict[str, Any]
Part = tuple[str, tuple[str, bytes, str]]


def part(name: str, data: bytes) -> Part:
    return name, ("photo.jpg", data, "image/jpeg")


class Api:
    def __init__(self, http: httpx2.Client) -> None:
        self.http = http

    @classmethod
    def at(cls, url: str, **headers: str) -> Self:
        """Return a client of a server; use it as a context manager."""
        return cls(httpx2.Client(base_url=url, timeout=60, headers=headers))

    @classmethod
    def of(cls, server: Server, **headers: str) -> Self:
        return cls.at(server.url, **headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

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
        """Return the candidates of the only face in the answer."""
        (face,) = self.identify(image, gallery=gallery, **fields).json()["faces"]
        return list(face["candidates"])

    def names(self, image: bytes, gallery: str, **fields: Any) -> list[str]:
        """Return the subjects of those candidates."""
        return [candidate["subject_id"] for candidate in self.candidates(image, gallery, **fields)]

    def subject_pages(self, gallery: str, limit: int) -> Iterator[list[str]]:
        cursor: str | None = None
        while True:
            query = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
            page = self.http.get(f"/galleries/{quote(gallery, safe='')}/subjects", params=query).json()
            yield [subject["subject_id"] for subject in page["subjects"]]
            cursor = page["next_cursor"]
            if not cursor:
                return

    def metric(self, start: str) -> float:
        """Return the sum of all series that begin with `start`."""
        lines = self.http.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(start))


def subject_path(gallery: str, subject: str) -> str:
    return f"/galleries/{quote(gallery, safe='')}/subjects/{quote(subject, safe='')}"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def at_once(calls: Iterable[Callable[[], T]], workers: int = 8) -> Sequence[T]:
    return map_in_threads(lambda call: call(), calls, workers)
