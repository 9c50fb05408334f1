"""A body is read up to the limit, whatever its Content-Length says and however it is split."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from app.api import error_handlers
from app.api.middleware.body_limit import BodyLimit

LIMIT = 1000
MIB = 2**20


class Counting:
    """An application that answers with the length of the body, and counts the chunks that were read."""

    def __init__(self) -> None:
        app = FastAPI()
        app.add_middleware(BodyLimit, max_bytes=LIMIT, seconds=20)
        error_handlers.install(app)
        app.post("/")(self.route)
        self.client = TestClient(app)
        self.given = 0

    async def route(self, request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    def chunks(self, sizes: list[int]) -> Iterator[bytes]:
        for size in sizes:
            self.given += 1
            yield b"x" * size


@pytest.mark.parametrize("sizes", [[], [0], [LIMIT], [1] * LIMIT, [LIMIT, 0, 0], [0, 400, 600]])
def test_body_up_to_the_limit_is_read_completely(sizes: list[int]) -> None:
    counting = Counting()

    assert counting.client.post("/", content=counting.chunks(sizes)).json() == {"bytes": sum(sizes)}


@pytest.mark.parametrize("sizes", [[LIMIT + 1], [1] * (LIMIT + 1), [LIMIT, 0, 1], [10 * LIMIT, 1]])
def test_body_beyond_the_limit_is_refused(sizes: list[int]) -> None:
    counting = Counting()
    response = counting.client.post("/", content=counting.chunks(sizes))

    assert (response.status_code, response.json()["code"]) == (413, "image_too_large")
    assert response.json()["detail"].startswith("expected at most 1000 bytes, got 1")


def test_body_that_is_announced_to_be_longer_is_not_read() -> None:
    counting = Counting()
    response = counting.client.post("/", content=counting.chunks([1]), headers={"Content-Length": str(LIMIT + 1)})

    assert (response.status_code, response.json()["detail"]) == (413, "expected at most 1000 bytes, got 1001 or more")
    assert counting.given == 0


@pytest.mark.parametrize("length", ["0", "10", "-1", "nonsense"])
def test_wrong_content_length_does_not_change_the_limit(length: str) -> None:
    counting = Counting()
    response = counting.client.post("/", content=b"x" * (LIMIT + 1), headers={"Content-Length": length})

    assert response.status_code == 413
