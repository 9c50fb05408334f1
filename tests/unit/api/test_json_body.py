"""A JSON body is refused at the first chunk beyond a limit; what follows is not read."""

import asyncio
from collections.abc import Iterator

import pytest
from fastapi import Request
from starlette.types import Message

from app.api.json_body import BodyLimits, JsonLimits, parse_json, read_chunks
from app.domain.errors import ImageTooLarge, InvalidRequest, LikenessError, MetadataTooLarge, TooManyFields

LIMITS = BodyLimits(max_image_bytes=3_000_000, max_metadata_bytes=1000)
CHUNK = 10_000


class Body:
    """A body that repeats `unit` for ever; `read` is the number of chunks that were read."""

    def __init__(self, unit: bytes) -> None:
        self._chunk, self.read = unit * (CHUNK // len(unit)), 0

    async def receive(self) -> Message:
        self.read += 1
        return {"type": "http.request", "body": self._chunk, "more_body": True}


def read_until_refused(
    unit: bytes, limits: JsonLimits, headers: list[tuple[bytes, bytes]] | None = None
) -> tuple[LikenessError, int]:
    body = Body(unit)
    with pytest.raises(LikenessError) as caught:
        asyncio.run(read_chunks(Request({"type": "http", "headers": headers or []}, body.receive), limits))
    return caught.value, body.read


@pytest.mark.parametrize(
    ("unit", "refusal", "chunks"),
    [
        (b'"k":1,', TooManyFields, 7),
        (b"[],", TooManyFields, 7),
        (b"[", InvalidRequest, 3),
        (b"\\n", InvalidRequest, 27),
        (b"A", ImageTooLarge, 432),
    ],
)
def test_a_body_of_images_is_refused_early(unit: bytes, refusal: type[LikenessError], chunks: int) -> None:
    error, read = read_until_refused(unit, LIMITS.json_of_images(1))

    assert type(error) is refusal
    assert read == chunks


@pytest.mark.parametrize(("unit", "refusal"), [(b'"k":1,', TooManyFields), (b"A", MetadataTooLarge)])
def test_a_body_of_metadata_is_refused_early(unit: bytes, refusal: type[LikenessError]) -> None:
    error, read = read_until_refused(unit, LIMITS.json_of_metadata())

    assert type(error) is refusal
    assert read < 10


@pytest.mark.parametrize(
    ("limits", "refusal"), [(LIMITS.json_of_images(1), ImageTooLarge), (LIMITS.json_of_metadata(), MetadataTooLarge)]
)
def test_a_body_that_is_announced_to_be_too_long_is_not_read(limits: JsonLimits, refusal: type[LikenessError]) -> None:
    length = str(limits.max_bytes + 1)
    error, read = read_until_refused(b"A", limits, [(b"content-length", length.encode())])

    assert (type(error), read) == (refusal, 0)
    assert str(error) == f"expected a JSON body of at most {limits.max_bytes} bytes, got {length}"


def test_the_cap_follows_the_number_of_images() -> None:
    caps = [LIMITS.json_of_images(count).max_bytes for count in (0, 1, 2, 32)]

    assert caps[1] - caps[0] == LIMITS.max_encoded_image == 4_250_000
    assert [cap - caps[0] for cap in caps] == [count * LIMITS.max_encoded_image for count in (0, 1, 2, 32)]


def nested(levels: int) -> list[bytes]:
    return [b"[" * levels, b"]" * levels]


@pytest.mark.parametrize("chunks", [nested(1000), [b"{"], [], [b"\xff"], [b'"\\ud800"']])
def test_what_is_no_json_is_an_error_of_the_request(chunks: list[bytes]) -> None:
    with pytest.raises(InvalidRequest, match="expected a JSON body, got one that cannot be read"):
        parse_json(chunks)


def test_chunks_are_parsed_together() -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"a": "\xc3'
        yield b'\xbc", "b": [1, 2.5, null, tr'
        yield b"ue]}"

    assert parse_json([*chunks()]) == {"a": "ü", "b": [1, 2.5, None, True]}
