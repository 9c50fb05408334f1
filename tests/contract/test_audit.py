"""GET /audit: the newest entries of the audit log, by pages, about a gallery or a subject."""

from typing import Any

import pytest

from tests.support.answers import Body, answered, problem
from tests.support.api import Api
from tests.support.commands import id_of

from .conftest import Service

pytestmark = pytest.mark.any_database


def audit(api: Api, **query: Any) -> Body:
    return answered(api.http.get("/audit", params=query))


def test_the_newest_entries_come_first_by_pages(api: Api, gallery: str, keys: dict[str, str]) -> None:
    for subject in ("ada", "bob", "ada"):
        assert api.http.put(f"/galleries/{gallery}/subjects/{subject}", json={"consent": "form 7"}).is_success
    first = audit(api, gallery=gallery, limit=2)
    second = audit(api, gallery=gallery, before=first["next_before"])

    entries = [*first["entries"], *second["entries"]]
    assert [entry.get("subject") for entry in entries[:3]] == ["ada", "bob", "ada"]
    assert {(entry["action"], entry["by"]) for entry in entries[:3]} == {("subject.put", f"key:{id_of(keys['admin'])}")}
    assert [entry["seq"] for entry in entries] == sorted((entry["seq"] for entry in entries), reverse=True)
    assert (len(first["entries"]), second["next_before"]) == (2, None)
    assert [entry["subject"] for entry in audit(api, gallery=gallery, subject="bob")["entries"]] == ["bob"]
    assert audit(api, limit=1)["entries"][0]["seq"] >= entries[0]["seq"]


def test_a_key_for_some_galleries_reads_about_one_that_it_names(service: Service, keys: dict[str, str]) -> None:
    limited = service.client(keys["limited"])
    assert limited.put("/galleries/mine").is_success
    assert {entry["gallery"] for entry in answered(limited.get("/audit?gallery=mine"))["entries"]} == {"mine"}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "before=0", "before=x", "gallery=%00", "subject=", "page=2"]
)
def test_a_bad_query_is_refused(api: Api, query: str) -> None:
    problem(api.http.get(f"/audit?{query}"), 422, "invalid_request")
