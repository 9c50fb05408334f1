"""A form is read as Starlette reads it, however its bytes arrive."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartParser

from app.api.multipart import MAX_FIELD_BYTES, Part, read_form
from app.domain.errors import InvalidRequest, TooManyFields

BOUNDARY = "limit"
NAMES = st.sampled_from(["image", "größe", "a b", 'quo\\"te'])
PARTS = st.lists(st.tuples(NAMES, st.booleans(), st.binary(max_size=60) | st.just(b"\r\n--limi\r\n--")), max_size=5)


def body(parts: list[tuple[str, bool, bytes]]) -> bytes:
    heads = [(f'name="{name}"' + ('; filename="f.jpg"' if is_file else ""), data) for name, is_file, data in parts]
    written = [
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + data for head, data in heads
    ]
    return b"\r\n".join([*written, f"--{BOUNDARY}--\r\n".encode()])


async def in_pieces(data: bytes, size: int) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def read(data: bytes, size: int = 10**9, charset: str = "utf-8", most: int = 9) -> list[Part]:
    content_type = f"multipart/form-data; boundary={BOUNDARY}; charset={charset}"
    return asyncio.run(read_form(content_type, in_pieces(data, size), max_files=most, max_fields=most))


async def by_starlette(data: bytes, charset: str) -> list[Part]:
    headers = Headers({"content-type": f"multipart/form-data; boundary={BOUNDARY}; charset={charset}"})
    form = await MultiPartParser(headers, in_pieces(data, 10**9)).parse()
    parts = [(name, await each.read() if isinstance(each, UploadFile) else each) for name, each in form.multi_items()]
    await form.close()
    return parts


@given(PARTS, st.integers(1, 200), st.sampled_from(["utf-8", "latin-1", "unheard-of"]))
def test_parts_are_starlettes(parts: list[tuple[str, bool, bytes]], size: int, charset: str) -> None:
    data = body(parts)
    assert read(data, size, charset) == asyncio.run(by_starlette(data, charset))


@pytest.mark.parametrize("charset", ["hex", "undefined", "idna", "a\0b", "unheard-of"])
def test_a_charset_that_decodes_nothing_is_no_error(charset: str) -> None:
    assert read(body([("x", False, b"\xc3\xa4.")]), charset=charset) == [("x", "\xc3\xa4.")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"nothing", "parts between boundaries"),
        (body([("x", False, b"1")]).replace(b"name=", b"title="), "expected a name"),
        (body([("x", False, b"1" * (MAX_FIELD_BYTES + 1))]), "at most 1048576 bytes"),
    ],
)
def test_a_broken_form_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        read(data)


@pytest.mark.parametrize("is_file", [True, False])
def test_one_part_too_many_is_refused_before_the_rest_is_read(is_file: bool) -> None:  # noqa: FBT001
    data = body([("x", is_file, b"1")] * 4)
    assert len(read(data, most=4)) == 4
    with pytest.raises(TooManyFields, match=r"expected at most 3 (files|fields)"):
        read(data + b"never read", size=40, most=3)
