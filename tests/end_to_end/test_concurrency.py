"""Many callers at once each get their own answer."""

from functools import partial

from .contract import answered, problem, verification
from .likeness import at_once
from .photos import another, collins, hopper, jpeg

HOPPER, COLLINS = jpeg(hopper()), jpeg(collins())


def test_verifications_at_once_are_not_mixed_up(likeness):
    pairs = [(HOPPER, another(hopper())), (HOPPER, COLLINS), (COLLINS, another(collins()))]
    alone = [verification(likeness.verify(*pair))["distance"] for pair in pairs]
    together = at_once([partial(likeness.verify, *pair) for pair in pairs * 6])
    distances = [verification(response)["distance"] for response in together]
    assert all(abs(got - want) < 1e-3 for got, want in zip(distances, alone * 6, strict=True))


def test_a_bad_request_among_good_ones_fails_alone(likeness):
    good, bad = partial(likeness.verify, HOPPER, COLLINS), partial(likeness.verify, HOPPER, b"no image")
    responses = at_once([good, bad] * 6)
    assert all(verification(response)["match"] is False for response in responses[::2])
    assert all(problem(response, 422, "invalid_image") for response in responses[1::2])


def test_enrolments_at_once_are_all_kept(likeness, gallery):
    calls = [partial(likeness.enroll, gallery, f"subject {number}", HOPPER) for number in range(12)]
    assert all(response.status_code == 201 for response in at_once(calls))
    body = answered(likeness.http.get(f"/galleries/{gallery}"))
    assert (body["subjects"], body["faces"]) == (12, 12)
    assert len(likeness.candidates(HOPPER, gallery, top_k="12")) == 12


def test_faces_enrolled_at_once_for_one_subject_are_all_kept(likeness, gallery):
    at_once([partial(likeness.enroll, gallery, "hopper", HOPPER)] * 8)
    assert len(set(likeness.face_ids(gallery, "hopper"))) == 8
