"""Good faces become templates, bad ones are rejected with a reason, and an idempotency key enrols once."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from app.domain.embeddings import Embedding
from app.domain.errors import (
    AllRejected,
    InferenceFailed,
    InvalidRequest,
    LowQuality,
    ModelMismatch,
    Overloaded,
)
from app.faces.quality import QualityBounds
from app.images.crops import decode_crop
from app.services.timing import StageTimer
from tests.support.fakes import FAKE_MODEL, BrokenEmbedder, FakeDetector, FakeEmbedder, photo
from tests.support.templates import template, unit
from tests.unit.services.bench import ANYBODY, NO_BOUNDS, Bench, ids_and_codes, open_bench

pytestmark = pytest.mark.anyio
HALF = QualityBounds(size=0.5, sharpness=0.5, frontality=0.5, inside=0.5)
POOR: dict[str, tuple[bytes, FakeDetector]] = {
    "size": (photo(10, side=55), FakeDetector()),
    "sharpness": (photo(10, crisp=False), FakeDetector()),
    "frontality": (photo(10), FakeDetector(turned=0.3)),
    "inside": (photo(10), FakeDetector(shift=0.51)),
}


async def test_template_has_the_embedding_face_and_quality(bench: Bench) -> None:
    outcome = await bench.enroll("ada", photo(None, 85))
    (face,) = bench.repository.faces("guests", "ada")

    assert (outcome.answer, outcome.replayed) == ({"enrolled": [face.face_id], "rejected": {}}, False)
    assert face.embedding.vector.tolist() == pytest.approx([0.5, 0.75**0.5])
    assert face.embedding.model == FAKE_MODEL
    assert face.face
    assert face.quality
    assert (face.face.box.left, face.face.confidence) == (112, 0.875)
    assert (face.quality.size, face.quality.inside) == (1.0, 1.0)


async def test_images_of_a_request_are_embedded_in_one_batch(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    async with open_bench(tmp_path, embedder=embedder) as bench:
        await bench.enroll("ada", *map(photo, range(5)))

    assert embedder.batches == [5]


@pytest.mark.parametrize("part", POOR)
async def test_face_below_a_quality_bound_is_rejected_for_that_reason(tmp_path: Path, part: str) -> None:
    image, detector = POOR[part]
    async with open_bench(tmp_path, detector=detector, bounds=HALF) as bench:
        with pytest.raises(AllRejected) as caught:
            await bench.enroll("ada", image)
    (rejected,) = caught.value.rejected

    assert isinstance(rejected.error, LowQuality)
    assert [reason.split()[0] for reason in rejected.error.reasons] == [part]


@pytest.mark.parametrize("part", POOR)
async def test_bound_of_zero_accepts_every_face(tmp_path: Path, part: str) -> None:
    image, detector = POOR[part]
    async with open_bench(tmp_path, detector=detector, bounds=NO_BOUNDS) as bench:
        assert len((await bench.enroll("ada", image)).answer["enrolled"]) == 1


async def test_nothing_is_created_if_every_image_is_rejected(bench: Bench) -> None:
    with pytest.raises(AllRejected, match="no face found") as caught:
        await bench.enroll("ada", photo(None), b"no image", key="key")

    assert [(each.index, each.error.code) for each in caught.value.rejected] == [
        (0, "face_not_found"),
        (1, "invalid_image"),
    ]
    assert bench.repository.galleries() == []


async def test_repeated_key_replays_the_stored_answer(bench: Bench) -> None:
    first, again = [await bench.enroll("ada", photo(10), b"no image", key="key") for _ in range(2)]

    assert (again.answer, first.replayed, again.replayed) == (first.answer, False, True)
    assert bench.repository.gallery("guests").faces == 1


async def test_simultaneous_requests_with_one_key_enrol_once(bench: Bench) -> None:
    outcomes = await asyncio.gather(*(bench.enroll("ada", photo(10), key="key") for _ in range(5)))

    assert bench.repository.gallery("guests").faces == 1
    assert all(outcome.answer == outcomes[0].answer for outcome in outcomes)
    assert [outcome.replayed for outcome in outcomes].count(False) == 1


@pytest.mark.parametrize("images", [[photo(11)], [photo(10), photo(10)], [photo(10) + b" "]])
async def test_key_of_another_request_is_refused(bench: Bench, images: list[bytes]) -> None:
    await bench.enroll("ada", photo(10), key="key")

    with pytest.raises(InvalidRequest, match="'key' was used for another request"):
        await bench.enroll("ada", *images, key="key")


async def test_overload_fails_the_request_and_is_not_stored(tmp_path: Path) -> None:
    images = [photo(red) for red in range(8)]
    async with open_bench(tmp_path, threads=1, max_waiting=1) as bench:
        with pytest.raises(Overloaded):
            await bench.enroll("ada", *images, key="key")
        empty = bench.repository.galleries()
    async with open_bench(tmp_path) as bench:
        answer = (await bench.enroll("ada", *images, key="key")).answer

    assert empty == []
    assert (len(answer["enrolled"]), answer["rejected"]) == (8, {})


async def test_failing_network_enrols_nothing(tmp_path: Path) -> None:
    async with open_bench(tmp_path, embedder=BrokenEmbedder()) as bench:
        with pytest.raises(InferenceFailed):
            await bench.enroll("ada", photo(10))
        assert bench.repository.galleries() == []


async def test_gallery_of_another_model_is_refused(bench: Bench) -> None:
    bench.repository.enroll("guests", "eve", [template("1", "eve", unit(1, 2))])

    with pytest.raises(ModelMismatch):
        await bench.enroll("ada", photo(10))


async def test_crops_are_kept_only_if_the_service_keeps_them_and_of_photos_only(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "off") as bench:
        await bench.enroll_reds("ada", 85)
        assert bench.repository.crop_status("guests").faces == 0
    async with open_bench(tmp_path / "on", keep_crops=True) as bench:
        await bench.enroll_reds("ada", 85)
        vector = Embedding(np.array([1, 0], np.float32), FAKE_MODEL)
        await bench.enrollment.enroll(
            "guests",
            "eve",
            [vector],
            "largest",
            idempotency_key=None,
            present=ids_and_codes,
            timer=StageTimer(),
            caller=ANYBODY,
        )
        (kept,) = bench.repository.faces("guests", "ada", crops=True)
        (given,) = bench.repository.faces("guests", "eve", crops=True)

    assert (kept.crop is not None, given.crop) == (True, None)
    assert abs(float(np.median(decode_crop(kept.crop or b"")[..., 0])) - 85) <= 8
