"""CompreFace's routes: the shapes of its answers, its errors, and our scopes, galleries and limits behind them."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.access.api_keys import KeyStore
from app.bootstrap.storage import GALLERY_FILE
from app.domain.identity import Scope
from app.main import create_app
from app.settings import Settings
from app.storage.migrate import open_migrated
from tests.support.answers import answered, is_share
from tests.support.photos import (
    COLLINS,
    COLLINS_AGAIN,
    COLLINS_BOX,
    HOPPER,
    NO_FACE,
    base64_of,
    collins,
    hopper,
    jpeg,
    side_by_side,
)

RECOGNITION = "/api/v1/recognition"
SUBJECTS, FACES, RECOGNIZE = f"{RECOGNITION}/subjects", f"{RECOGNITION}/faces", f"{RECOGNITION}/recognize"
VERIFY, DETECT = "/api/v1/verification/verify", "/api/v1/detection/detect"
BOTH = jpeg(side_by_side(hopper(), collins()))
BOX = {"probability", "x_max", "y_max", "x_min", "y_min"}
NewKey = Callable[..., str]
OPENED_BY: dict[str, str] = {
    f"GET {SUBJECTS}": "enroll",
    f"POST {SUBJECTS}": "enroll",
    f"PUT {SUBJECTS}/nobody": "enroll",
    f"DELETE {SUBJECTS}": "erase",
    f"DELETE {SUBJECTS}/nobody": "erase",
    f"GET {FACES}": "enroll",
    f"POST {FACES}": "enroll",
    f"DELETE {FACES}": "erase",
    f"DELETE {FACES}/none": "erase",
    f"POST {FACES}/delete": "erase",
    f"POST {FACES}/none/verify": "verify",
    f"POST {RECOGNIZE}": "identify",
    f"POST {DETECT}": "verify",
    f"POST {VERIFY}": "verify",
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compreface")


@pytest.fixture(scope="module")
def app(data_dir: Path, models_dir: Path) -> FastAPI:
    return create_app(
        Settings(data_dir=data_dir, models_dir=models_dir, compreface=True, auth="on", rate_limit=0, _env_file=None)
    )


@pytest.fixture(scope="module")
def opened(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def new_key(opened: TestClient, data_dir: Path) -> Iterator[NewKey]:  # noqa: ARG001
    with closing(open_migrated(data_dir / GALLERY_FILE)) as database:
        keys = KeyStore(database)
        yield lambda *scopes, **options: keys.create(scopes or [Scope.ADMIN], **options)[1]


@pytest.fixture
def http(opened: TestClient, new_key: NewKey) -> TestClient:
    """A client with a key of everything in a collection of its own."""
    return client_of(opened, new_key(galleries=[str(uuid.uuid4())]))


def client_of(opened: TestClient, key: str | None) -> TestClient:
    client = TestClient(opened.app, raise_server_exceptions=False, headers={"x-api-key": key} if key else {})
    client.portal = opened.portal  # one event loop for all clients
    return client


def error(response: httpx2.Response, status: int, code: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body.keys() == {"message", "code"}
    assert body["code"] == code, body
    return str(body["message"])


def post(http: TestClient, path: str, image: bytes, **query: Any) -> httpx2.Response:
    return http.post(path, files={"file": ("photo.jpg", image)}, params=query)


def example(http: TestClient, subject: str, image: bytes) -> str:
    body = answered(post(http, FACES, image, subject=subject), 201)
    assert body.keys() == {"image_id", "subject"}
    assert body["subject"] == subject
    return str(body["image_id"])


def test_a_collection_that_nobody_has_used_is_empty(http: TestClient) -> None:
    assert answered(http.get(SUBJECTS)) == answered(http.get(f"{SUBJECTS}/")) == {"subjects": []}
    page = {"page_number": 0, "page_size": 20, "total_pages": 0, "total_elements": 0}
    assert answered(http.get(FACES)) == {"faces": [], **page}
    assert answered(http.delete(SUBJECTS)) == answered(http.delete(FACES)) == {"deleted": 0}
    (face,) = answered(post(http, RECOGNIZE, COLLINS))["result"]
    assert face["subjects"] == []


def test_subjects_are_added_once_and_deleted(http: TestClient) -> None:
    for name in ("ada", "Žofie Nováková"):
        assert answered(http.post(SUBJECTS, json={"subject": name, "api_endpoint": "x"}), 201) == {"subject": name}
    error(http.post(SUBJECTS, json={"subject": "ada"}), 400, 43)
    assert answered(http.get(SUBJECTS)) == {"subjects": ["ada", "Žofie Nováková"]}
    assert answered(http.delete(f"{SUBJECTS}/ada")) == {"subject": "ada"}
    error(http.delete(f"{SUBJECTS}/ada"), 404, 42)
    assert answered(http.delete(SUBJECTS)) == {"deleted": 1}
    assert answered(http.get(SUBJECTS)) == {"subjects": []}


def test_a_renamed_subject_keeps_its_examples_and_one_with_a_name_in_use_is_merged(http: TestClient) -> None:
    first, second = example(http, "ada", COLLINS), example(http, "bob", COLLINS_AGAIN)
    assert answered(http.put(f"{SUBJECTS}/ada", json={"subject": "Ada L.", "api_endpoint": "ada"})) == {"updated": True}
    assert answered(http.get(SUBJECTS)) == {"subjects": ["Ada L.", "bob"]}
    error(http.put(f"{SUBJECTS}/ada", json={"subject": "eve"}), 404, 42)
    error(http.put(f"{SUBJECTS}/bob", json={"subject": ""}), 400, 26)
    assert answered(http.put(f"{SUBJECTS}/bob", json={"subject": "Ada L."})) == {"updated": True}
    assert answered(http.get(SUBJECTS)) == {"subjects": ["Ada L."]}
    kept = answered(http.get(FACES, params={"subject": "Ada L."}))["faces"]
    assert {each["image_id"] for each in kept} == {first, second}


def test_merging_needs_the_scope_erase(opened: TestClient, new_key: NewKey) -> None:
    client = client_of(opened, new_key(Scope.ENROLL, galleries=[str(uuid.uuid4())]))
    for name in ("ada", "bob"):
        answered(client.post(SUBJECTS, json={"subject": name}), 201)
    assert "erase" in error(client.put(f"{SUBJECTS}/bob", json={"subject": "ada"}), 403, 0)
    answered(client.put(f"{SUBJECTS}/bob", json={"subject": "eve"}))


def test_examples_are_listed_by_pages_and_by_subject(http: TestClient) -> None:
    faces = [
        {"image_id": example(http, subject, image), "subject": subject}
        for subject, image in (("collins", COLLINS), ("hopper", HOPPER), ("collins", COLLINS_AGAIN))
    ]
    second = answered(http.get(FACES, params={"page": 1, "size": 2, "sort": "any"}))
    assert second == {"faces": faces[2:], "page_number": 1, "page_size": 2, "total_pages": 2, "total_elements": 3}
    of_one = answered(http.get(FACES, params={"subject": "collins"}))
    assert (of_one["faces"], of_one["total_elements"]) == ([faces[0], faces[2]], 2)


def test_examples_are_deleted_by_id_by_subject_and_all(http: TestClient) -> None:
    first, second, third = (example(http, "collins", COLLINS) for _ in range(3))
    example(http, "hopper", HOPPER)
    assert answered(http.delete(f"{FACES}/{first}")) == {"image_id": first, "subject": "collins"}
    error(http.delete(f"{FACES}/{first}"), 404, 44)
    listed = http.post(f"{FACES}/delete", json=[first, second])
    assert listed.json() == [{"image_id": second, "subject": "collins"}]
    error(http.delete(FACES, params={"subject": ""}), 400, 26)
    assert answered(http.delete(FACES, params={"subject": "collins"})) == {"deleted": 1}
    error(post(http, f"{FACES}/{third}/verify", COLLINS), 404, 44)
    assert answered(http.delete(FACES)) == {"deleted": 1}
    assert answered(http.get(SUBJECTS)) == {"subjects": ["collins", "hopper"]}


def test_recognized_faces_have_boxes_and_subjects_with_similarities(http: TestClient) -> None:
    example(http, "Eileen Collins", COLLINS)
    stranger, known = answered(post(http, RECOGNIZE, BOTH))["result"]
    assert stranger.keys() == known.keys() == {"box", "subjects"}
    assert known["box"].keys() == BOX
    assert all(isinstance(known["box"][side], int) for side in BOX - {"probability"})
    left, top, *_ = COLLINS_BOX
    assert (known["box"]["x_min"], known["box"]["y_min"]) == pytest.approx((left + 512, top), abs=8)
    assert stranger["subjects"] == []
    (subject,) = known["subjects"]
    assert subject == {"subject": "Eileen Collins", "similarity": subject["similarity"]}
    assert is_share(subject["similarity"])
    assert subject["similarity"] > 0.99


def test_the_largest_faces_are_recognized_up_to_the_limit(http: TestClient) -> None:
    everyone = answered(post(http, RECOGNIZE, BOTH, limit=0))["result"]
    assert answered(post(http, RECOGNIZE, BOTH, limit=1))["result"] == everyone[:1]


def test_faces_below_the_threshold_of_detection_do_not_count(http: TestClient) -> None:
    confident, sure = sorted(each["box"]["probability"] for each in answered(post(http, DETECT, BOTH))["result"])
    assert confident < sure
    between = (confident + sure) / 2
    assert len(answered(post(http, DETECT, BOTH, det_prob_threshold=between))["result"]) == 1
    answered(post(http, FACES, BOTH, det_prob_threshold=between, subject="ada"), 201)
    error(post(http, FACES, BOTH, subject="ada"), 400, 31)


def test_plugins_and_status_add_members(http: TestClient) -> None:
    query = {"face_plugins": "landmarks,calculator,age,gender,mask,pose", "status": "True"}
    body = answered(post(http, DETECT, COLLINS, **query))
    (face,) = body["result"]
    assert face.keys() == {"box", "landmarks", "embedding", "execution_time"}
    assert [len(point) for point in face["landmarks"]] == [2] * 5
    assert sum(number**2 for number in face["embedding"]) == pytest.approx(1, abs=1e-5)
    assert face["execution_time"].keys() == body["plugins_versions"].keys() == {"detector", "calculator"}


def test_the_faces_of_a_photo_are_compared_with_an_example(http: TestClient) -> None:
    image_id = example(http, "collins", COLLINS)
    stranger, known = answered(post(http, f"{FACES}/{image_id}/verify", BOTH))["result"]
    assert stranger.keys() == known.keys() == {"box", "similarity"}
    assert stranger["similarity"] < 0.1
    assert known["similarity"] > 0.99


def test_one_face_is_compared_with_all_of_another_photo(http: TestClient) -> None:
    images = {"source_image": ("a.jpg", COLLINS), "target_image": ("b.jpg", BOTH)}
    (result,) = answered(http.post(VERIFY, files=images))["result"]
    assert result["source_image_face"].keys() == {"box"}
    assert [match["similarity"] > 0.5 for match in result["face_matches"]] == [False, True]
    error(http.post(VERIFY, files={**images, "source_image": ("a.jpg", BOTH)}), 400, 31)
    error(http.post(VERIFY, files={**images, "target_image": ("a.png", NO_FACE)}), 400, 28)


def test_images_are_taken_as_base64_too(http: TestClient) -> None:
    photo = base64_of(COLLINS)
    added = answered(http.post(FACES, params={"subject": "ada"}, json={"file": photo}), 201)
    assert added["subject"] == "ada"
    (face,) = answered(http.post(RECOGNIZE, params={"prediction_count": 3}, json={"file": photo}))["result"]
    assert [each["subject"] for each in face["subjects"]] == ["ada"]
    pair = {"source_image": photo, "target_image": photo}
    (result,) = answered(http.post(VERIFY, json=pair))["result"]
    assert result["face_matches"][0]["similarity"] == 1


REFUSED: dict[str, tuple[bytes, dict[str, Any], int]] = {
    "no face": (NO_FACE, {"subject": "ada"}, 28),
    "two faces": (BOTH, {"subject": "ada"}, 31),
    "no image": (b"no image", {"subject": "ada"}, 21),
    "no subject": (COLLINS, {}, 33),
    "a blank subject": (COLLINS, {"subject": " "}, 26),
    "a long subject": (COLLINS, {"subject": 129 * "a"}, 26),
    "a bad threshold": (COLLINS, {"subject": "ada", "det_prob_threshold": 2}, 26),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_an_example_is_refused_with_a_code(http: TestClient, case: str) -> None:
    image, query, code = REFUSED[case]
    assert error(post(http, FACES, image, **query), 400, code)


@pytest.mark.parametrize("query", [{"limit": -1}, {"prediction_count": 0}, {"limit": "many"}, {"status": "perhaps"}])
def test_a_bad_parameter_is_refused(http: TestClient, query: dict[str, Any]) -> None:
    assert next(iter(query)) in error(post(http, RECOGNIZE, COLLINS, **query), 400, 26)


def test_a_missing_image_is_refused(http: TestClient) -> None:
    error(http.post(RECOGNIZE, files={"image": ("photo.jpg", COLLINS)}), 400, 34)
    error(http.post(RECOGNIZE), 400, 34)
    error(http.post(VERIFY, json={"source_image": base64_of(COLLINS)}), 400, 34)
    error(http.post(SUBJECTS), 400, 26)
    error(http.post(f"{FACES}/delete", json={"ids": []}), 400, 26)


def test_an_unknown_route_or_method_is_not_found(http: TestClient) -> None:
    for method, path in (("GET", "/api/v1/nothing"), ("PATCH", SUBJECTS), ("GET", f"{FACES}/some/img")):
        assert http.request(method, path).json().keys() == {"message", "code"}
        assert http.request(method, path).status_code == 404
    assert http.get("/api/v2/nothing").json()["code"] == "not_found"


def test_a_missing_key_and_an_unknown_one_have_codes_of_their_own(opened: TestClient) -> None:
    for operation in OPENED_BY:
        error(client_of(opened, None).request(*operation.split()), 400, 20)
        error(client_of(opened, "00000000-0000-0000-0000-000000000002").request(*operation.split()), 404, 10)


@pytest.mark.parametrize("scope", Scope)
def test_a_scope_opens_its_operations_and_no_others(opened: TestClient, new_key: NewKey, scope: Scope) -> None:
    client = client_of(opened, new_key(scope, galleries=["scopes"]))
    answers = {operation: client.request(*operation.split()).status_code for operation in OPENED_BY}
    allowed = {operation for operation, needed in OPENED_BY.items() if scope in (needed, Scope.ADMIN)}
    assert {operation for operation, status in answers.items() if status == 403} == OPENED_BY.keys() - allowed
    assert not {401, 429, 500} & set(answers.values())


def test_vectors_need_the_scope_embed(opened: TestClient, new_key: NewKey) -> None:
    client = client_of(opened, new_key(Scope.VERIFY, Scope.IDENTIFY))
    for path in (DETECT, RECOGNIZE):
        assert "embed" in error(post(client, path, COLLINS, face_plugins="calculator"), 403, 0)


def test_a_key_works_on_its_own_gallery_or_on_the_default_one(opened: TestClient, new_key: NewKey) -> None:
    own, default = (client_of(opened, new_key(galleries=names)) for names in (["mine"], ["other", "default"]))
    example(own, "ada", COLLINS)
    assert answered(own.get("/galleries/mine/subjects"))["subjects"][0]["faces"] == 1
    assert answered(default.get(SUBJECTS)) == {"subjects": []}
    several = client_of(opened, new_key(galleries=["mine", "other"]))
    assert "one gallery" in error(several.get(SUBJECTS), 403, 0)


def test_every_face_that_is_compared_with_an_example_counts_as_an_attempt(tmp_path: Path, models_dir: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        models_dir=models_dir,
        compreface=True,
        auth="on",
        subject_attempts_per_hour=3,
        _env_file=None,
    )
    with TestClient(create_app(settings)) as opened, closing(open_migrated(tmp_path / GALLERY_FILE)) as database:
        key = KeyStore(database).create([Scope.VERIFY, Scope.ENROLL])[1]
        client = client_of(opened, key)
        image_id = example(client, "collins", COLLINS)
        answered(post(client, f"{FACES}/{image_id}/verify", BOTH))
        refused = post(client, f"{FACES}/{image_id}/verify", BOTH)
    assert "3 comparisons" in error(refused, 429, 0)
    assert int(refused.headers["retry-after"]) > 0


def test_without_the_setting_nothing_of_it_is_there(tmp_path: Path, models_dir: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path, models_dir=models_dir, _env_file=None))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert {client.request(*operation.split()).status_code for operation in OPENED_BY} == {404}
        assert client.get(SUBJECTS).headers["content-type"] == "application/problem+json"
