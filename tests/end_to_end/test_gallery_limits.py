"""A key for some galleries sees no other one, however its name is written."""

import json

import pytest

from .contract import answered, problem
from .likeness import part, subject_path
from .operating import Wire, with_key
from .photos import base64_of, collins, hopper, jpeg

HOPPER = jpeg(hopper())


@pytest.fixture(scope="module")
def mine(guarded, admin, keys):
    """A client limited to the galleries mine and ours; Grace Hopper is in mine, Eileen Collins in theirs."""
    answered(admin.enroll("mine", "hopper", HOPPER), 201)
    answered(admin.enroll("theirs", "collins", jpeg(collins())), 201)
    client = with_key(guarded, keys["limited"])
    yield client
    client.http.close()


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
    ("GET", "/metrics"),
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_route_of_another_gallery_is_forbidden(mine, admin, method, path):
    problem(mine.http.request(method, path), 403, "forbidden")
    problem(mine.http.request(method, f"/v1{path}"), 403, "forbidden")
    assert len(admin.face_ids("theirs", "collins")) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_gallery_that_does_not_exist_is_as_forbidden_as_one_that_does(mine, admin, method):
    problem(mine.http.request(method, "/galleries/nowhere"), 403, "forbidden")
    problem(admin.http.get("/galleries/nowhere"), 404, "not_found")


SPELLINGS = [
    "/galleries/%74heirs",
    "/galleries/mine%2f..%2ftheirs",
    "/galleries/mine/../theirs",
    "/galleries/./theirs",
    "//galleries/theirs",
    "/galleries//theirs",
    "/GALLERIES/theirs",
    "/galleries/Mine",
    "/galleries/mine%00",
    "/galleries/mine%20",
    "/galleries/theirs;mine",
    "/galleries/theirs?gallery=mine",
    "/galleries/theirs/",
    "/galleries/%2e%2e/galleries/theirs",
    "http://localhost/galleries/theirs",
]


@pytest.mark.parametrize("path", SPELLINGS)
@pytest.mark.usefixtures("mine")
def test_no_spelling_of_the_path_leads_to_another_gallery(guarded, keys, path):
    with Wire(guarded) as wire:
        wire.head("GET", path, 0, X_API_Key=keys["limited"], Connection="close")
        assert wire.status() in {403, 404}


def test_its_own_galleries_answer_and_are_all_it_lists(mine):
    assert answered(mine.http.get("/galleries/%6dine"))["id"] == "mine"
    assert mine.http.put("/galleries/ours").is_success
    assert {gallery["id"] for gallery in mine.http.get("/galleries").json()["galleries"]} == {"mine", "ours"}
    assert mine.candidates(HOPPER, "mine")[0]["subject_id"] == "hopper"


WHERE = {
    "form": lambda gallery: {"data": {"gallery": gallery}},
    "query": lambda gallery: {"params": {"gallery": gallery}},
}


@pytest.mark.parametrize("gallery", ["theirs", "default", "nowhere", "Mine", "mine "])
@pytest.mark.parametrize("where", WHERE.values(), ids=WHERE)
def test_identify_searches_no_other_gallery_that_is_sent_along(mine, where, gallery):
    problem(mine.http.post("/identify", files=[part("image", HOPPER)], **where(gallery)), 403, "forbidden")


def test_identify_searches_no_other_gallery_that_json_names(mine):
    image = base64_of(HOPPER)
    problem(mine.http.post("/identify", json={"image": image, "gallery": "theirs"}), 403, "forbidden")
    problem(mine.http.post("/identify", json={"image": image}, params={"gallery": "theirs"}), 403, "forbidden")
    for other in (None, 1, ["theirs"], {"id": "theirs"}):
        problem(mine.http.post("/identify", json={"image": image, "gallery": other}), 422, "invalid_request")


def test_identify_without_a_gallery_means_the_default_one(mine):
    problem(mine.identify(HOPPER), 403, "forbidden")


def test_a_gallery_named_twice_is_never_the_other_one(mine):
    image = [part("image", HOPPER)]
    json_body = json.dumps({"image": base64_of(HOPPER)})[:-1] + ', "gallery": "mine", "gallery": "theirs"}'
    answers = [mine.http.post("/identify", content=json_body, headers={"content-type": "application/json"})]
    for one, other in (("mine", "theirs"), ("theirs", "mine")):
        answers.append(mine.http.post("/identify", files=image, data={"gallery": [one, other]}))
        answers.append(mine.http.post("/identify", files=image, data={"gallery": one}, params={"gallery": other}))
        answers.append(mine.http.post("/identify", files=image, params=[("gallery", one), ("gallery", other)]))
    assert {answer.status_code for answer in answers} <= {403, 422}


def test_an_idempotency_key_answers_in_its_own_gallery_only(mine, admin):
    answered(admin.enroll("theirs", "twin", HOPPER, key="same"), 201)
    first = answered(mine.enroll("mine", "twin", HOPPER, key="same"), 201)["enrolled"][0]["face_id"]
    assert first not in admin.face_ids("theirs", "twin")
