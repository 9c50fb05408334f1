"""Images and fields are read from multipart forms and from JSON."""

import asyncio
import base64
import json
import tempfile
from contextlib import closing
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient
from starlette.types import Message

from app.api.image_fields import ImageField
from app.api.json_body import BodyLimits
from app.api.state import state_of
from app.api.uploads import Submission, read_submission
from app.concurrency.worker_pool import WorkerPool
from app.domain.errors import ImageTooLarge, InvalidRequest, TooManyFields
from tests.unit.api.guarded import UnreadBody

ANY_BYTES = bytes(range(256)) + b"\r\n--boundary\r\n"
LIMITS = BodyLimits(max_image_bytes=5_000_000, max_metadata_bytes=1000)
Part = tuple[str, tuple[str | None, bytes]]


def submitted(kind: str, body: bytes, *names: str, max_each: int = 1, query: bytes = b"") -> Submission:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": query}
    with closing(WorkerPool("body", threads=1, max_waiting=1, deadline=60)) as workers:
        fields = [ImageField(name, max_each) for name in names or ("image",)]
        return asyncio.run(read_submission(Request(scope, receive), fields, LIMITS, workers))


def form(*parts: Part, names: tuple[str, ...] = ("image",), max_each: int = 1) -> Submission:
    request = httpx2.Request("POST", "http://test", files=list(parts))
    return submitted(request.headers["content-type"], request.read(), *names, max_each=max_each)


def from_json(body: dict[str, Any], *names: str, max_each: int = 1) -> Submission:
    return submitted("application/json", json.dumps(body).encode(), *names, max_each=max_each)


def test_bytes_of_a_part_arrive_unchanged() -> None:
    (upload,) = form(("image", ("a.jpg", ANY_BYTES))).uploads

    assert (upload.name, upload.data) == ("image", ANY_BYTES)


@pytest.mark.parametrize("prefix", ["", "data:image/jpeg;base64,", "data:;base64,", "\n"])
@pytest.mark.parametrize("width", [4, 76, 1000])
def test_base64_may_be_wrapped_and_may_be_a_data_uri(prefix: str, width: int) -> None:
    encoded = base64.b64encode(ANY_BYTES).decode()
    lines = "\r\n".join(encoded[start : start + width] for start in range(0, len(encoded), width))

    assert from_json({"image": prefix + lines}).uploads[0].data == ANY_BYTES


@pytest.mark.parametrize("prefix", ["", "DATA:image/jpeg;base64,", "Data:;Base64,"])
@pytest.mark.parametrize("padding", ["=", ""])
def test_base64_may_be_url_safe_and_without_padding(prefix: str, padding: str) -> None:
    for data in (ANY_BYTES, b"\xfb\xff", b"\xff", b"\xfb\xef\xbe"):
        encoded = base64.urlsafe_b64encode(data).decode()
        text = encoded if padding else encoded.rstrip("=")
        assert from_json({"image": prefix + text}).uploads[0].data == data


@pytest.mark.parametrize("text", ["A", "AAAAA", "AA=A", "ä===", "data:image/png,%89PNG", "AAAA AAA?"])
def test_invalid_base64_is_refused_with_the_name_of_its_field(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^image: expected base64, got .+") as caught:
        from_json({"image": text})
    assert [field for field, _ in caught.value.errors] == ["image"]


def test_images_are_ordered_by_field_and_then_as_sent() -> None:
    parts: list[Part] = [(name, ("a", data)) for name, data in (("b", b"1"), ("a", b"2"), ("b", b"3"))]
    by_form = form(*parts, names=("a", "b"), max_each=2)
    texts = {"b": [base64.b64encode(data).decode() for data in (b"1", b"3")], "a": "Mg=="}

    assert [(upload.name, upload.data) for upload in by_form.uploads] == [("a", b"2"), ("b", b"1"), ("b", b"3")]
    assert [upload.data for upload in from_json(texts, "a", "b", max_each=2).uploads] == [b"2", b"1", b"3"]


def test_too_many_images_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="image: expected at most 2, got 3"):
        from_json({"image": ["AAAA"] * 3}, max_each=2)
    with pytest.raises(InvalidRequest, match="image: expected at most 1, got 2"):
        form(("image", ("a", b"1")), ("image", ("b", b"2")))


def test_too_large_image_is_named() -> None:
    with pytest.raises(ImageTooLarge, match="at most 5000000 bytes, got 5000001") as caught:
        form(("image1", ("a", b"1")), ("image2", ("b", b"x" * 5_000_001)), names=("image1", "image2"))
    assert caught.value.image == "image2"


def test_large_part_is_never_written_to_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def rollover(_: object) -> None:
        pytest.fail("a photo was spooled to a file")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", rollover)

    assert len(form(("image", ("a", b"x" * 3_000_000))).uploads[0].data) == 3_000_000


def test_too_large_image_in_json_is_named_before_it_is_decoded() -> None:
    with pytest.raises(ImageTooLarge, match="at most 5000000 bytes") as caught:
        from_json({"image1": "AAAA", "image2": "A" * 7_500_000}, "image1", "image2")
    assert caught.value.image == "image2"


def test_a_text_may_be_as_long_as_the_largest_image_in_lines() -> None:
    lines = base64.encodebytes(bytes(5_000_000)).decode()

    assert len(from_json({"image": lines}).uploads[0].data) == 5_000_000


@pytest.mark.parametrize("padded", ["AA==" * 400_000, "AAA=" + "A" * 2**21])
def test_padding_before_the_end_is_refused(padded: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^image: expected base64, got something else"):
        from_json({"image": padded})


def test_more_than_64_fields_are_refused_wherever_they_are() -> None:
    fields = {f"field{number}": 1 for number in range(63)}

    assert len(from_json({"image": "AAAA"} | fields).fields) == 63
    with pytest.raises(TooManyFields):
        from_json({"image": "AAAA", "one": 1, "more": 1} | fields)
    with pytest.raises(TooManyFields):
        form(*((name, (None, b"1")) for name in [*fields, "one", "more"]))
    query = "&".join(f"{name}=1" for name in [*fields, "one", "more"]).encode()
    with pytest.raises(TooManyFields):
        submitted("application/json", b'{"image": "AAAA"}', query=query)


def test_a_form_of_very_many_files_is_refused() -> None:
    with pytest.raises(TooManyFields):
        form(*[("image", ("a", b"1"))] * 129, max_each=32)


def test_a_very_long_name_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidRequest) as caught:
        from_json({"image": "AAAA", "x" * 101: 1})
    assert len(str(caught.value)) < 100


def test_other_fields_keep_their_type() -> None:
    by_form = form(("image", ("a", b"1")), ("fmr", (None, b"0.1")))
    by_json = from_json({"image": "AAAA", "fmr": 0.1, "note": ["x"]})

    assert by_form.fields == {"fmr": "0.1"}
    assert by_json.fields == {"fmr": 0.1, "note": ["x"]}


def test_fields_of_query_and_body_are_merged() -> None:
    submission = submitted("application/json", b'{"image": "AAAA", "a": 1}', query=b"b=2&c=%C3%BC")

    assert submission.fields == {"a": 1, "b": "2", "c": "ü"}


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", " application/json ;x=y"])
def test_parameters_of_the_content_type_are_ignored(kind: str) -> None:
    assert submitted(kind, b'{"image": "AAAA"}').uploads[0].data == b"\0\0\0"


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_unsupported_content_type_is_refused(kind: str) -> None:
    with pytest.raises(InvalidRequest, match="expected a body of type multipart/form-data or application/json"):
        submitted(kind, b"image=x")


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/verify", "/identify", "/detect", "/embed", "/galleries/g/subjects/s/faces"])
async def test_body_is_not_read_if_the_queue_is_full(app: FastAPI, client: TestClient, path: str) -> None:  # noqa: ARG001
    workers = state_of(app).require_services().extraction._workers
    with workers.reserve(workers.capacity):
        status = await UnreadBody().post(app, path)

    assert status == 503
