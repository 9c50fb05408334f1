"""Which faces become templates."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import (
    AllRejected,
    InferenceFailed,
    InvalidRequest,
    LowQuality,
    ModelMismatch,
    NotFound,
    Overloaded,
)
from app.domain.identity import SYSTEM
from app.faces.quality import QualityBounds
from tests.services.bench import NO_BOUNDS, Bench, open_bench
from tests.support.fakes import FAKE_MODEL, BrokenEmbedder, FakeDetector, FakeEmbedder, apart, photo
from tests.support.templates import template, unit

pytestmark = pytest.mark.anyio
HALF = QualityBounds(size=0.5, sharpness=0.5, frontality=0.5, inside=0.5)
POOR: dict[str, tuple[bytes, FakeDetector]] = {
    "size": (photo(10, side=55), FakeDetector()),
    "sharpness": (photo(10, crisp=False), FakeDetector()),
    "frontality": (photo(10), FakeDetector(turned=0.3)),
    "inside": (photo(10), FakeDetector(shift=0.51)),
}


async def test_a_good_face_is_enrolled_as_it_was_seen(bench: Bench) -> None:
    answer = await bench.enroll("guests", "ada", photo(None, 85))
    (face,) = bench.repository.faces("guests", "ada")

    assert answer == {"enrolled": [face.face_id], "rejected": {}}
    assert face.embedding.vector.tolist() == pytest.approx([0.5, 0.75**0.5])
    assert face.embedding.model == FAKE_MODEL
    assert (face.face.box.left, face.face.confidence) == (112, 0.875)
    assert (face.quality.size, face.quality.inside) == (1.0, 1.0)


async def test_every_good_image_is_enrolled_and_every_bad_one_told_by_its_index(bench: Bench) -> None:
    answer = await bench.enroll("guests", "ada", b"no image", photo(10), photo(None), photo(20))

    assert answer["rejected"] == {"0": "invalid_image", "2": "face_not_found"}
    assert [face.face_id for face in bench.repository.faces("guests", "ada")] == answer["enrolled"]
    assert len(answer["enrolled"]) == 2


async def test_all_images_of_a_request_are_embedded_together(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    async with open_bench(tmp_path, embedder=embedder) as bench:
        await bench.enroll("guests", "ada", *map(photo, range(5)))

    assert embedder.batches == [5]


@pytest.mark.parametrize("part", POOR)
async def test_a_face_below_a_bound_is_refused_for_that_reason_alone(tmp_path: Path, part: str) -> None:
    image, detector = POOR[part]
    async with open_bench(tmp_path, detector=detector, bounds=HALF) as bench:
        with pytest.raises(AllRejected) as caught:
            await bench.enroll("guests", "ada", image)
    (rejected,) = caught.value.rejected

    assert isinstance(rejected.error, LowQuality)
    assert [reason.split()[0] for reason in rejected.error.reasons] == [part]


@pytest.mark.parametrize("part", POOR)
async def test_a_bound_that_is_not_asked_refuses_nothing(tmp_path: Path, part: str) -> None:
    image, detector = POOR[part]
    async with open_bench(tmp_path, detector=detector, bounds=NO_BOUNDS) as bench:
        answer = await bench.enroll("guests", "ada", image)

    assert len(answer["enrolled"]) == 1


async def test_where_every_image_is_rejected_nothing_is_made(bench: Bench) -> None:
    with pytest.raises(AllRejected, match="no face found") as caught:
        await bench.enroll("guests", "ada", photo(None), b"no image", key="key")

    assert [(each.index, each.error.code) for each in caught.value.rejected] == [
        (0, "face_not_found"),
        (1, "invalid_image"),
    ]
    assert bench.repository.galleries() == []


async def test_the_same_key_enrols_once_and_answers_the_same(bench: Bench) -> None:
    first = await bench.enroll("guests", "ada", photo(10), b"no image", key="key")
    again = await bench.enroll("guests", "ada", photo(10), b"no image", key="key")

    assert again == first
    assert bench.repository.gallery("guests").faces == 1


async def test_the_same_key_at_once_enrols_once(bench: Bench) -> None:
    answers = await asyncio.gather(*(bench.enroll("guests", "ada", photo(10), key="key") for _ in range(5)))

    assert bench.repository.gallery("guests").faces == 1
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("images", [[photo(11)], [photo(10), photo(10)], [photo(10) + b" "]])
async def test_the_same_key_with_other_images_is_refused(bench: Bench, images: list[bytes]) -> None:
    await bench.enroll("guests", "ada", photo(10), key="key")

    with pytest.raises(InvalidRequest, match="'key' was used for another request"):
        await bench.enroll("guests", "ada", *images, key="key")


async def test_a_moment_of_overload_fails_the_request_and_is_not_remembered(tmp_path: Path) -> None:
    images = [photo(red) for red in range(8)]
    async with open_bench(tmp_path, threads=1, max_waiting=1) as bench:
        with pytest.raises(Overloaded):
            await bench.enroll("guests", "ada", *images, key="key")
        empty = bench.repository.galleries()
    async with open_bench(tmp_path) as bench:
        answer = await bench.enroll("guests", "ada", *images, key="key")

    assert empty == []
    assert (len(answer["enrolled"]), answer["rejected"]) == (8, {})


async def test_a_network_that_fails_enrols_nothing(tmp_path: Path) -> None:
    async with open_bench(tmp_path, embedder=BrokenEmbedder()) as bench:
        with pytest.raises(InferenceFailed):
            await bench.enroll("guests", "ada", photo(10))
        assert bench.repository.galleries() == []


async def test_a_gallery_of_another_model_is_refused(bench: Bench) -> None:
    bench.repository.enroll("guests", "eve", [template("1", "eve", unit(1, 2))])

    with pytest.raises(ModelMismatch):
        await bench.enroll("guests", "ada", photo(10))


@pytest.mark.parametrize("what", ["delete_face", "delete_subject", "delete"])
async def test_what_is_deleted_is_gone_from_the_records(bench: Bench, what: str) -> None:
    (face_id,) = await bench.enroll_reds("guests", "ada", 10)
    where = {
        "delete_face": ["guests", "ada", face_id],
        "delete_subject": ["guests", "ada"],
        "delete": ["guests"],
    }
    delete: Any = getattr(bench.galleries, what)
    await delete(*where[what], SYSTEM)

    assert sum(gallery.faces for gallery in await bench.galleries.all()) == 0
    with pytest.raises(NotFound):
        await delete(*where[what], SYSTEM)


async def test_two_colours_are_as_far_apart_as_was_worked_out_by_hand(bench: Bench) -> None:
    await bench.enroll_reds("guests", "ada", 30, 200)
    first, second = (face.embedding.vector for face in bench.repository.faces("guests", "ada"))

    assert float(((first - second) ** 2).sum()) == pytest.approx(apart(30, 200), abs=1e-6)
