"""Lines are put together from chunks and gathered, and no sender waits for lines that it has not sent."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.domain.errors import InvalidRequest
from app.services.import_lines import ImportLines, Line

pytestmark = pytest.mark.anyio


async def sent(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def batches(*chunks: bytes, max_bytes: int = 100) -> list[list[Line]]:
    return [batch async for batch in ImportLines(sent(*chunks), max_bytes).batches()]


async def test_lines_are_numbered_and_empty_ones_left_out() -> None:
    assert await batches(b"a\n\nb", b"c\n  \nd") == [[(1, b"a"), (3, b"bc"), (5, b"d")]]


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_a_line_that_is_too_long_is_dropped_and_the_next_one_read(size: int) -> None:
    body = b"a\n" + b"x" * 101 + b"\n" + b"y" * 100 + b"\nb"
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    assert await batches(*chunks) == [[(1, b"a"), (2, None), (3, b"y" * 100), (4, b"b")]]


async def test_a_long_line_is_not_kept() -> None:
    lines = ImportLines(sent(*[b"x" * 1000] * 1000), max_bytes=100)
    assert [batch async for batch in lines.batches()] == [[(1, None)]]
    assert lines._splitter._parts == []


async def test_a_batch_has_at_most_a_thousand_lines() -> None:
    assert [len(batch) for batch in await batches(b"a\n" * 2500)] == [1000, 1000, 500]


async def test_a_batch_has_about_a_mebibyte() -> None:
    line = b"x" * 2**19 + b"\n"
    assert [len(batch) for batch in await batches(line * 5, max_bytes=2**20)] == [2, 2, 1]


async def test_lines_are_handed_on_while_the_sender_pauses() -> None:
    go_on = asyncio.Event()

    async def pausing() -> AsyncIterator[bytes]:
        yield b"a\nb\n"
        await go_on.wait()
        yield b"c\n"

    found = ImportLines(pausing(), 100).batches()
    assert await anext(found) == [(1, b"a"), (2, b"b")]
    go_on.set()
    assert await anext(found) == [(3, b"c")]


async def test_nothing_is_no_first_line() -> None:
    with pytest.raises(InvalidRequest, match="got none"):
        await ImportLines(sent(b"\n \n"), 100).first()


async def test_what_the_sender_raises_is_raised() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"a\n"
        raise ConnectionError

    found = ImportLines(failing(), 100).batches()
    with pytest.raises(ConnectionError):
        [batch async for batch in found]
