"""A key for some galleries opens no other one, however its name is written."""

import json
from typing import Any

import httpx2
import pytest

from app.domain.identity import Scope
from tests.support.answers import answered, problem
from tests.support.api import Api, part, subject_path
from tests.support.commands import id_of
from tests.support.photos import COLLINS, HOPPER, base64_of

from .conftest import Service

IMAGE = [part("image", HOPPER)]


@pytest.fixture(scope="module")
def mine(service: Service, api: Api, keys: dict[str, str]) -> Api:
    """A client limited to the galleries mine and ours; Grace Hopper is in mine, Eileen Collins in theirs."""
    answered(api.enroll("mine", "hopper", HOPPER), 201)
    answered(api.enroll("theirs", "collins", COLLINS), 201)
    return Api(service.client(keys["limited"]))


THEIRS = subject_path("theirs", "collins")
OPERATIONS = [
    ("GET", "/galleries/theirs"),
    ("PUT", "/galleries/theirs"),
    ("DELETE", "/galleries/theirs"),
    ("GET", "/galleries/theirs/subjects"),
    ("GET", THEIRS),
    ("PUT", THEIRS),
    ("DELETE", THEIRS),
    ("GET", f"{THEIRS}/faces"),
    ("POST", f"{THEIRS}/faces"),
    ("DELETE", f"{THEIRS}/faces/none"),
    ("GET", f"{THEIRS}/export"),
    ("POST", f"{THEIRS}/verify"),
    ("GET", "/audit"),
    ("GET", "/audit?gallery=theirs"),
    ("GET", "/metrics"),
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_route_of_another_gallery_is_forbidden(mine: Api, api: Api, method: str, path: str) -> None:
    problem(mine.http.request(method, path), 403, "forbidden")
    problem(mine.http.request(method, f"/v1{path}"), 403, "forbidden")
    assert len(api.face_ids("theirs", "collins")) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("name", ["nowhere", "Mine", "mine%20", "a%252Fb", "%FF", "mine%00", "%74heirs", "a", "%2E%2E"])
def test_a_gallery_that_does_not_exist_is_as_forbidden_as_one_that_does(mine: Api, method: str, name: str) -> None:
    problem(mine.http.request(method, f"/galleries/{name}"), 403, "forbidden")


def test_its_own_galleries_answer_and_are_all_it_lists(mine: Api) -> None:
    assert answered(mine.http.get("/galleries/%6dine"))["id"] == "mine"
    assert mine.http.put("/galleries/ours").is_success
    assert {gallery["id"] for gallery in mine.http.get("/galleries").json()["galleries"]} == {"mine", "ours"}
    assert mine.names(HOPPER, "mine") == ["hopper"]
    answered(mine.http.post("/identify", files=IMAGE, params={"gallery": "mine"}))


@pytest.mark.parametrize("gallery", ["theirs", "default", "nowhere", "Mine", "mine "])
@pytest.mark.parametrize("where", ["data", "params"])
def test_identify_searches_no_other_gallery_that_is_named(mine: Api, where: str, gallery: str) -> None:
    named: dict[str, Any] = {where: {"gallery": gallery}}
    problem(mine.http.post("/identify", files=IMAGE, **named), 403, "forbidden")


def test_identify_searches_no_other_gallery_that_json_names(mine: Api) -> None:
    image = base64_of(HOPPER)
    problem(mine.http.post("/identify", json={"image": image, "gallery": "theirs"}), 403, "forbidden")
    problem(mine.http.post("/identify", json={"image": image}, params={"gallery": "theirs"}), 403, "forbidden")
    problem(mine.http.post("/identify", json={"image": image, "gallery": None}), 403, "forbidden")  # `default`
    for other in (1, ["theirs"], {"id": "theirs"}):
        problem(mine.http.post("/identify", json={"image": image, "gallery": other}), 422, "invalid_request")


def test_identify_without_a_gallery_means_the_default_one(mine: Api) -> None:
    problem(mine.identify(HOPPER), 403, "forbidden")


def test_a_gallery_named_twice_is_never_the_other_one(mine: Api) -> None:
    def post(**parts: Any) -> httpx2.Response:
        return mine.http.post("/identify", **parts)

    twice = json.dumps({"image": base64_of(HOPPER)})[:-1] + ', "gallery": "mine", "gallery": "theirs"}'
    answers = [post(content=twice, headers={"content-type": "application/json"})]
    for one, other in (("mine", "theirs"), ("theirs", "mine")):
        answers.append(post(files=IMAGE, data={"gallery": [one, other]}))
        answers.append(post(files=IMAGE, data={"gallery": one}, params={"gallery": other}))
        answers.append(post(files=IMAGE, params=[("gallery", one), ("gallery", other)]))
    assert {answer.status_code for answer in answers} <= {403, 422}


def test_an_idempotency_key_answers_in_its_own_gallery_only(mine: Api, api: Api) -> None:
    answered(api.enroll("theirs", "twin", HOPPER, key="same"), 201)
    first = answered(mine.enroll("mine", "twin", HOPPER, key="same"), 201)["enrolled"][0]["face_id"]
    assert first not in api.face_ids("theirs", "twin")


def test_a_gallery_with_a_slash_in_its_name_can_be_one_of_them(service: Service) -> None:
    client = service.client(service.new_key(Scope.ADMIN, galleries=["a/b"]))
    assert answered(client.put("/galleries/a%2Fb"), 201)["id"] == "a/b"
    problem(client.get("/galleries/a"), 403, "forbidden")
    assert client.delete("/galleries/a%2Fb").is_success


def test_the_events_of_an_export_name_the_key_and_the_request(service: Service, gallery: str) -> None:
    key = service.new_key(Scope.ADMIN)
    client, path = service.client(key, **{"X-Request-ID": "r-77"}), subject_path(gallery, "ada")
    client.put(f"/galleries/{gallery}")
    client.put(path)
    events = client.get(f"{path}/export").json()["events"]
    assert [(each["action"], each["by"], each["request_id"]) for each in events] == [
        ("subject.put", f"key:{id_of(key)}", "r-77"),
        ("subject.export", f"key:{id_of(key)}", "r-77"),
    ]


@pytest.mark.parametrize(
    ("route", "title"),
    [
        ("GET /galleries", "The key lacks the scope"),
        ("GET /metrics", "The key is for other galleries"),
        ("POST /galleries/theirs/subjects/s/verify", "The key is for other galleries"),
    ],
)
def test_the_title_of_a_403_names_its_cause(service: Service, route: str, title: str) -> None:
    method, path = route.split()
    client = service.client(service.new_key(Scope.VERIFY, Scope.METRICS, galleries=["mine"]))
    assert problem(client.request(method, path), 403, "forbidden")["title"] == title
