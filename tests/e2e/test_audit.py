"""The audit log: who did what to which subject, without data of the subject; every change of the log is found."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.support.api import Fields, subject_path
from tests.support.commands import found, id_of, new_keys, ran, secret_of, traces_of, with_key
from tests.support.photos import COLLINS, HOPPER
from tests.support.server import Server


class Story(NamedTuple):
    data_dir: Path
    key: str
    export: Fields
    entries: list[Fields]


CHANGES = ["gallery.create", "subject.put", "face.enroll", "face.delete", "subject.delete", "gallery.delete"]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A data directory in which one key did all that is audited, each under a request id that names it."""
    data_dir, ada = tmp_path_factory.mktemp("story") / "data", subject_path("club", "ada")
    (key,) = new_keys(data_dir, ["--scopes", "admin"])
    with Server(data_dir) as server, with_key(server, key) as api:

        def do(request_id: str, method: str, path: str, **body: Any) -> httpx2.Response:
            response = api.http.request(method, path, headers={"X-Request-ID": request_id}, **body)
            assert response.is_success, response.text
            return response

        do("gallery.create", "PUT", "/galleries/club")
        do("subject.put", "PUT", ada, json={"metadata": {"name": "Grace Brewster"}})
        enrolled = do("face.enroll", "POST", f"{ada}/faces", files={"image": ("grace.jpg", HOPPER)}).json()
        export = do("subject.export", "GET", f"{ada}/export").json()
        do("face.delete", "DELETE", f"{ada}/faces/{enrolled['enrolled'][0]['face_id']}")
        do("subject.delete", "DELETE", ada)
        do("enrolled", "POST", "/galleries/new/subjects/eve/faces", files={"image": COLLINS})
        do("gallery.delete", "DELETE", "/galleries/new")
    entries = json.loads(ran(data_dir, "audit", "list", "--json"))["entries"]
    return Story(data_dir, key, export, entries)


def test_each_change_and_each_export_has_its_entry_with_who_and_which_request(story: Story) -> None:
    noted = {(entry["action"], entry["request_id"], entry["by"]) for entry in story.entries if "request_id" in entry}
    assert noted >= {(action, action, f"key:{id_of(story.key)}") for action in [*CHANGES, "subject.export"]}
    assert [entry["seq"] for entry in story.entries] == [*range(1, len(story.entries) + 1)]


def test_no_vector_box_or_metadata_value_is_left_after_the_erasure(story: Story) -> None:
    traces = traces_of(story.export) | {"secret": secret_of(story.key).encode(), "file name": b"grace.jpg"}
    assert found(traces, story.data_dir) == set()


def test_an_untouched_log_is_whole_and_contains_an_earlier_head(story: Story) -> None:
    assert ran(story.data_dir, "audit", "verify", "--head", story.entries[3]["hash"]).startswith("whole")
