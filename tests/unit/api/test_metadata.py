"""Any JSON object is accepted as metadata, unless a later response could not contain it."""

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
UNSERIALIZABLE = {
    "NaN": b"NaN",
    "infinity": b"1e999",
    "lone surrogate": rb'"\ud800"',
    "nested surrogate": rb'[{"a": "\udfff"}]',
    "surrogate as a name": rb'{"\ud800": 1}',
    **NESTED,
}


def put(client: TestClient, gallery: str, value: bytes) -> int:
    body = b'{"metadata": {"value": ' + value + b"}}"
    return client.put(f"/galleries/{gallery}/subjects/ada", content=body, headers=JSON).status_code


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(metadata=st.dictionaries(TEXT, VALUES, max_size=5))
def test_any_json_object_is_kept(client: TestClient, gallery: str, metadata: dict[str, Any]) -> None:
    path = f"/galleries/{gallery}/subjects/ada"
    stored = client.put(path, content=json.dumps({"metadata": metadata}), headers=JSON)

    assert stored.json()["metadata"] == metadata
    assert client.get(path).json()["metadata"] == metadata


@pytest.mark.parametrize("name", UNSERIALIZABLE)
def test_unserializable_metadata_is_refused_and_not_stored(client: TestClient, gallery: str, name: str) -> None:
    assert put(client, gallery, UNSERIALIZABLE[name]) == 422
    assert client.get(f"/galleries/{gallery}/subjects").json()["subjects"] == []


def test_thirty_levels_of_nesting_are_accepted(client: TestClient, gallery: str) -> None:
    assert put(client, gallery, b"[" * 30 + b"]" * 30) == 201


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"metadata": {}}'])
def test_subject_may_be_created_without_metadata(client: TestClient, gallery: str, body: bytes) -> None:
    response = client.put(f"/galleries/{gallery}/subjects/ada", content=body, headers=JSON)

    assert (response.status_code, response.json()["metadata"]) == (201, {})


def test_put_without_metadata_keeps_them(client: TestClient, gallery: str) -> None:
    path = f"/galleries/{gallery}/subjects/ada"
    client.put(path, json={"metadata": {"name": "Ada"}})
    assert client.put(path).json()["metadata"] == {"name": "Ada"}
    assert client.put(path, json={}).json()["metadata"] == {"name": "Ada"}
