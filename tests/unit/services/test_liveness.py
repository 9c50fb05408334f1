"""Photos are judged when that is asked for, refused when a live face is required, and never by surprise."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.domain.embeddings import Probe
from app.domain.errors import AllRejected, InvalidRequest, SpoofSuspected
from app.domain.faces import Liveness
from app.domain.identity import anonymous
from app.faces.liveness import LivenessMode
from app.pipeline import FaceSelection
from app.services.enrollment import EnrollmentResult
from app.services.extraction import EmbeddedPhoto, Upload
from app.services.timing import StageTimer
from tests.support.fakes import FakeLiveness, photo
from tests.support.observers import RecordingObserver
from tests.unit.services.bench import ANYBODY, Bench, open_bench

pytestmark = pytest.mark.anyio
PALE, RED = 51, 204  # scores 0.2 and 0.8


async def probes(
    bench: Bench, image: bytes, liveness: LivenessMode, selection: FaceSelection = "largest"
) -> Sequence[Probe]:
    uploads = [Upload("image", image, liveness=liveness)]
    (embedded,) = await bench.extraction.read_and_embed(uploads, selection, StageTimer())
    assert isinstance(embedded, EmbeddedPhoto)
    return embedded.probes


async def enroll(bench: Bench, *images: bytes, liveness: LivenessMode, key: str | None = None) -> dict[str, Any]:
    """Return the liveness of each enrolled image by its index, and the code of each rejected one."""

    def present(result: EnrollmentResult) -> dict[str, Any]:
        scores = {str(each.index): each.liveness and each.liveness.score for each in result.enrolled}
        return scores | {str(each.index): each.error.code for each in result.rejected}

    uploads = [Upload("image", image, liveness=liveness) for image in images]
    outcome = await bench.enrollment.enroll(
        "guests",
        "ada",
        uploads,
        "largest",
        idempotency_key=key,
        present=present,
        timer=StageTimer(),
        caller=anonymous("anybody"),
    )
    return outcome.answer


async def test_every_face_is_judged_if_that_is_asked_for(tmp_path: Path) -> None:
    async with open_bench(tmp_path, liveness=FakeLiveness()) as bench:
        off = await probes(bench, photo(PALE), "off")
        reported = await probes(bench, photo(PALE, RED), "report", "all")
        required = await probes(bench, photo(RED), "require")

    assert [probe.liveness for probe in off] == [None]
    assert [probe.liveness for probe in reported] == [Liveness(0.2, live=False), Liveness(0.8, live=True)]
    assert [probe.liveness for probe in required] == [Liveness(0.8, live=True)]


async def test_only_the_selected_faces_have_to_be_live(tmp_path: Path) -> None:
    async with open_bench(tmp_path, liveness=FakeLiveness()) as bench:
        beside = Upload("image", photo(PALE, RED, PALE), liveness="require")
        one = await bench.extraction.read(beside, "center", StageTimer())
        with pytest.raises(SpoofSuspected, match=r"expected a live face, got one .* \(score 0\.2\)") as caught:
            await bench.extraction.read(beside, "all", StageTimer())

    assert one.faces_found == 3
    assert caught.value.image == "image"


async def test_the_time_is_measured_only_where_it_is_spent(tmp_path: Path) -> None:
    async with open_bench(tmp_path, liveness=FakeLiveness()) as bench:
        off, on = StageTimer(), StageTimer()
        await bench.extraction.read(Upload("image", photo(RED)), "largest", off)
        await bench.extraction.read(Upload("image", photo(RED), liveness="report"), "largest", on)

    assert "liveness" not in off.milliseconds()
    assert on.milliseconds()["liveness"] >= 0


@pytest.mark.parametrize("liveness", ["report", "require"])
async def test_a_service_without_the_network_refuses_to_judge(tmp_path: Path, liveness: LivenessMode) -> None:
    async with open_bench(tmp_path) as bench:
        uploads = [Upload("image", photo(RED)), Upload("image", photo(RED), liveness=liveness)]
        with pytest.raises(InvalidRequest, match="started without LIKENESS_LIVENESS=on") as caught:
            await bench.extraction.read_all(uploads, "largest", StageTimer())
        with pytest.raises(InvalidRequest, match="started without LIKENESS_LIVENESS=on"):
            await bench.extraction.read(uploads[1], "largest", StageTimer())
        with pytest.raises(InvalidRequest, match="started without LIKENESS_LIVENESS=on"):
            await enroll(bench, photo(RED), liveness=liveness)

    assert [field for field, _ in caught.value.errors] == ["liveness"]


async def test_a_refused_photo_is_observed_with_its_faces_and_its_reason(tmp_path: Path) -> None:
    observer = RecordingObserver()
    async with open_bench(tmp_path, liveness=FakeLiveness(), observer=observer) as bench:
        with pytest.raises(SpoofSuspected):
            await bench.extraction.read(Upload("image", photo(PALE), liveness="require"), "largest", StageTimer())

    assert observer.events == [("photo", 1), ("rejected", "spoof_suspected")]


async def test_pictures_of_faces_are_not_enrolled_where_live_ones_are_required(tmp_path: Path) -> None:
    async with open_bench(tmp_path, liveness=FakeLiveness()) as bench:
        mixed = await enroll(bench, photo(PALE), photo(RED), liveness="require")
        reported = await enroll(bench, photo(PALE), liveness="report")
        with pytest.raises(AllRejected) as caught:
            await enroll(bench, photo(PALE), liveness="require")

    assert mixed == {"0": "spoof_suspected", "1": 0.8}
    assert reported == {"0": 0.2}
    assert [each.error.code for each in caught.value.rejected] == ["spoof_suspected"]


async def test_a_retry_that_judges_otherwise_is_another_request(tmp_path: Path) -> None:
    async with open_bench(tmp_path, liveness=FakeLiveness()) as bench:
        await enroll(bench, photo(RED), liveness="report", key="one")
        again = await enroll(bench, photo(RED), liveness="report", key="one")
        with pytest.raises(InvalidRequest, match="another request"):
            await enroll(bench, photo(RED), liveness="require", key="one")

    assert again == {"0": 0.8}


async def test_identification_judges_each_face(tmp_path: Path) -> None:
    async with open_bench(tmp_path, liveness=FakeLiveness()) as bench:
        await bench.enroll_reds("ada", RED)
        result = await bench.identification.identify(
            Upload("image", photo(RED, PALE), liveness="report"),
            "all",
            "guests",
            caller=ANYBODY,
            top_k=1,
            fpir=None,
            threshold=None,
            timer=StageTimer(),
        )

    assert [probe.liveness and probe.liveness.live for probe in result.probes] == [True, False]
