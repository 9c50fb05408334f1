"""Metadata is the caller's own, and can always be read back."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)
JSON = {"Content-Type": "application/json"}
NESTED = {"deep": b"[" * 40 + b"]" * 40, "very deep": b"[" * 900 + b"]" * 900, "endless": b"[" * 100_000}
UNSAYABLE = {
    "NaN": b"NaN",
    "infinity": b"1e999",
    "half a pair": rb'"\ud800"',
    "half a pair inside": rb'[{"a": "\udfff"}]',
    "half a pair as a name": rb'{"\ud800": 1}',
    **NESTED,
}


def put(client: TestClient, gallery: str, value: bytes) -> int:
    body = b'{"metadata": {"value": ' + value + b"}}"
    return client.put(f"/galleries/{gallery}/subjects/ada", content=body, headers=JSON).status_code


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(metadata=st.dictionaries(TEXT, VALUES, max_size=5))
def test_whatever_json_can_say_is_kept(client: TestClient, gallery: str, metadata: dict[str, Any]) -> None:
    path = f"/galleries/{gallery}/subjects/ada"
    put_back = client.put(path, content=json.dumps({"metadata": metadata}), headers=JSON)

    assert put_back.json()["metadata"] == metadata
    assert client.get(path).json()["metadata"] == metadata


@pytest.mark.parametrize("what", UNSAYABLE)
def test_what_could_not_be_read_back_is_refused_and_spoils_no_later_answer(
    client: TestClient, gallery: str, what: str
) -> None:
    assert put(client, gallery, UNSAYABLE[what]) == 422
    assert client.get(f"/galleries/{gallery}/subjects").json()["subjects"] == []


def test_thirty_levels_are_accepted(client: TestClient, gallery: str) -> None:
    assert put(client, gallery, b"[" * 30 + b"]" * 30) == 201


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"metadata": {}}'])
def test_a_subject_may_be_made_without_metadata(client: TestClient, gallery: str, body: bytes) -> None:
    response = client.put(f"/galleries/{gallery}/subjects/ada", content=body, headers=JSON)

    assert (response.status_code, response.json()["metadata"]) == (201, {})


def test_a_put_without_a_body_keeps_the_metadata(client: TestClient, gallery: str) -> None:
    path = f"/galleries/{gallery}/subjects/ada"
    client.put(path, json={"metadata": {"name": "Ada"}})
    assert client.put(path).json()["metadata"] == {"name": "Ada"}
    assert client.put(path, json={}).json()["metadata"] == {"name": "Ada"}
