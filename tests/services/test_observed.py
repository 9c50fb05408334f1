"""What happens inside is told to whoever counts it: once, and as it was."""

from pathlib import Path

import pytest

from app.domain.errors import FaceNotFound, LikenessError, MultipleFaces, NotFound, Overloaded
from app.faces.quality import QualityBounds
from app.pipeline import FaceSelection
from app.services.timing import StageTimer
from tests.services.bench import open_bench, uploads
from tests.support.fakes import apart, photo
from tests.support.observers import Noticed

pytestmark = pytest.mark.anyio


@pytest.fixture
def noticed() -> Noticed:
    return Noticed()


@pytest.mark.parametrize(
    ("image", "wanted", "events"),
    [
        (photo(10), "largest", [("photo", 1)]),
        (photo(10, None, 30), "all", [("photo", 2)]),
        (photo(10, None, 30), "center", [("photo", 2)]),
        (photo(None), "all", [("photo", 0)]),
    ],
)
async def test_a_photo_is_told_with_the_faces_found_in_it(
    tmp_path: Path, noticed: Noticed, image: bytes, wanted: FaceSelection, events: list[tuple[str, int]]
) -> None:
    async with open_bench(tmp_path, observer=noticed) as bench:
        await bench.extraction.read(*uploads(image), wanted, StageTimer())

    assert noticed.events == events


@pytest.mark.parametrize(
    ("image", "wanted", "error", "events"),
    [
        (photo(None), "largest", FaceNotFound, [("photo", 0), ("rejected", "face_not_found")]),
        (photo(10, 30), "only", MultipleFaces, [("photo", 2), ("rejected", "multiple_faces")]),
        (b"no image", "all", LikenessError, [("rejected", "invalid_image")]),
    ],
)
async def test_an_image_that_could_not_be_used_is_told_with_the_reason(
    tmp_path: Path,
    noticed: Noticed,
    image: bytes,
    wanted: FaceSelection,
    error: type[LikenessError],
    events: list[tuple[str, object]],
) -> None:
    async with open_bench(tmp_path, observer=noticed) as bench:
        with pytest.raises(error):
            await bench.extraction.read(*uploads(image), wanted, StageTimer())

    assert noticed.events == events


async def test_a_face_too_poor_to_enrol_is_a_rejected_image(tmp_path: Path, noticed: Noticed) -> None:
    bounds = QualityBounds(size=0, sharpness=0.5, frontality=0, inside=0)
    async with open_bench(tmp_path, observer=noticed, bounds=bounds) as bench:
        await bench.enroll("guests", "ada", photo(10), photo(20, crisp=False))

    assert sorted(noticed.events) == [("photo", 1), ("photo", 1), ("rejected", "low_quality")]


async def test_a_busy_moment_is_no_fault_of_the_image(tmp_path: Path, noticed: Noticed) -> None:
    async with open_bench(tmp_path, observer=noticed, threads=1, max_waiting=0) as bench:
        outcomes = await bench.extraction.read_all(uploads(photo(1), photo(2)), "all", StageTimer())

    assert [type(outcome) for outcome in outcomes][1] is Overloaded
    assert noticed.events == [("photo", 1)]


@pytest.mark.parametrize(("reds", "match"), [((0, 40), True), ((0, 170), False)])
async def test_a_comparison_is_told_with_its_distance_and_its_outcome(
    tmp_path: Path,
    noticed: Noticed,
    reds: tuple[int, int],
    match: bool,  # noqa: FBT001
) -> None:
    async with open_bench(tmp_path, observer=noticed) as bench:
        pair = uploads(*map(photo, reds))
        await bench.verification.pair(pair, "largest", fmr=None, threshold=1.0, timer=StageTimer())

    assert noticed.events[-1] == ("compared", round(apart(*reds), 3), match)
    assert len(noticed.events) == 3


async def test_of_a_subject_the_nearest_face_is_told(tmp_path: Path, noticed: Noticed) -> None:
    async with open_bench(tmp_path, observer=noticed) as bench:
        await bench.enroll_reds("guests", "ada", 0, 80)
        noticed.events.clear()
        (probe,) = uploads(photo(90))
        await bench.verification.subject(probe, "largest", "guests", "ada", fmr=None, threshold=1.0, timer=StageTimer())
        with pytest.raises(NotFound):
            await bench.verification.subject(
                probe, "largest", "guests", "eve", fmr=None, threshold=1.0, timer=StageTimer()
            )

    assert noticed.events == [("photo", 1), ("compared", round(apart(80, 90), 3), True)]
