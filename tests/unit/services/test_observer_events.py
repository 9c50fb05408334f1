"""The observer receives each event once."""

from pathlib import Path

import pytest

from app.domain.errors import FaceNotFound, InvalidImage, LikenessError, MultipleFaces, NotFound, Overloaded
from app.faces.quality import QualityBounds
from app.pipeline import FaceSelection
from app.services.timing import StageTimer
from tests.support.fakes import apart, photo
from tests.support.observers import RecordingObserver
from tests.unit.services.bench import open_bench, uploads

pytestmark = pytest.mark.anyio


@pytest.fixture
def observer() -> RecordingObserver:
    return RecordingObserver()


@pytest.mark.parametrize(
    ("image", "selection", "faces"),
    [
        (photo(10), "largest", 1),
        (photo(10, None, 30), "all", 2),
        (photo(10, None, 30), "center", 2),
        (photo(None), "all", 0),
    ],
)
async def test_photo_is_observed_with_its_number_of_faces(
    tmp_path: Path, observer: RecordingObserver, image: bytes, selection: FaceSelection, faces: int
) -> None:
    async with open_bench(tmp_path, observer=observer) as bench:
        await bench.read(image, selection)

    assert observer.events == [("photo", faces)]


@pytest.mark.parametrize(
    ("image", "selection", "error", "events"),
    [
        (photo(None), "largest", FaceNotFound, [("photo", 0), ("rejected", "face_not_found")]),
        (photo(10, 30), "only", MultipleFaces, [("photo", 2), ("rejected", "multiple_faces")]),
        (b"no image", "all", InvalidImage, [("rejected", "invalid_image")]),
    ],
)
async def test_rejected_image_is_observed_with_its_reason(
    tmp_path: Path,
    observer: RecordingObserver,
    image: bytes,
    selection: FaceSelection,
    error: type[LikenessError],
    events: list[tuple[str, object]],
) -> None:
    async with open_bench(tmp_path, observer=observer) as bench:
        with pytest.raises(error):
            await bench.read(image, selection)

    assert observer.events == events


async def test_face_of_low_quality_is_observed_as_rejected(tmp_path: Path, observer: RecordingObserver) -> None:
    bounds = QualityBounds(size=0, sharpness=0.5, frontality=0, inside=0)
    async with open_bench(tmp_path, observer=observer, bounds=bounds) as bench:
        await bench.enroll("ada", photo(10), photo(20, crisp=False))

    assert sorted(observer.events) == [("photo", 1), ("photo", 1), ("rejected", "low_quality")]


async def test_overload_is_not_observed_as_rejected(tmp_path: Path, observer: RecordingObserver) -> None:
    async with open_bench(tmp_path, observer=observer, threads=1, max_waiting=0) as bench:
        outcomes = await bench.extraction.read_all(uploads(photo(1), photo(2)), "all", StageTimer())

    assert isinstance(outcomes[1], Overloaded)
    assert observer.events == [("photo", 1)]


@pytest.mark.parametrize(("reds", "match"), [((0, 40), True), ((0, 170), False)])
async def test_comparison_is_observed_with_distance_and_decision(
    tmp_path: Path,
    observer: RecordingObserver,
    reds: tuple[int, int],
    match: bool,  # noqa: FBT001
) -> None:
    async with open_bench(tmp_path, observer=observer) as bench:
        await bench.verify(photo(reds[0]), photo(reds[1]), threshold=1.0)

    assert observer.events == [("photo", 1), ("photo", 1), ("compared", round(apart(*reds), 3), match)]


async def test_comparison_with_a_subject_is_observed_with_its_rounded_distance(
    tmp_path: Path, observer: RecordingObserver
) -> None:
    async with open_bench(tmp_path, observer=observer) as bench:
        await bench.enroll_reds("ada", 0, 80)
        observer.events.clear()
        await bench.verify_subject(120, threshold=1.0)
        with pytest.raises(NotFound):
            await bench.verify_subject(90, "eve", threshold=1.0)

    assert observer.events == [("photo", 1), ("compared", 0.2, True)]
