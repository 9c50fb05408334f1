"""Photos are embedded, enrolled and identified over HTTP, with the real networks."""

from starlette.testclient import TestClient


def test_embed_has_a_result_per_image_and_the_problem_of_a_broken_one(client: TestClient, portrait: bytes) -> None:
    response = client.post("/embed", files=[("image", portrait), ("image", b"no image"), ("image", portrait)])
    first, broken, third = response.json()["results"]

    assert response.status_code == 200
    assert [(len(each["faces"]), each["faces_found"], each["error"]) for each in (first, third)] == [(1, 1, None)] * 2
    assert len(first["faces"][0]["embedding"]) == 128
    assert (broken["faces"], broken["error"]["code"]) == ([], "invalid_image")


def test_repeated_enrollment_with_one_idempotency_key_returns_the_stored_answer(
    client: TestClient, gallery: str, portrait: bytes
) -> None:
    path = f"/galleries/{gallery}/subjects/grace/faces"
    images = [("image", portrait), ("image", b"no image")]
    first, second = (client.post(path, files=images, headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert [each["index"] for each in first.json()["enrolled"]] == [0]
    assert [(each["index"], each["problem"]["code"]) for each in first.json()["rejected"]] == [(1, "invalid_image")]
    assert [each["face_id"] for each in client.get(path).json()["faces"]] == [first.json()["enrolled"][0]["face_id"]]


def test_identify_and_verify_recognize_an_enrolled_subject(client: TestClient, gallery: str, portrait: bytes) -> None:
    client.post(f"/galleries/{gallery}/subjects/grace/faces", files={"image": portrait})
    identified = client.post("/identify", files={"image": portrait}, data={"gallery": gallery}).json()
    verified = client.post(f"/galleries/{gallery}/subjects/grace/verify", files={"image": portrait}).json()

    assert [each["subject_id"] for each in identified["faces"][0]["candidates"]] == ["grace"]
    assert (verified["match"], verified["subject_id"]) == (True, "grace")
