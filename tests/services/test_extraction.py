"""Bytes to probes, and what it took."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.domain.errors import InferenceFailed, LikenessError, Overloaded
from app.faces.alignment import LandmarkAligner
from app.images.decode import ImageLimits
from app.pipeline import FacePipeline, PhotoFaces
from app.services.extraction import Upload, naming_image
from app.services.timing import STAGES, StageTimer
from tests.services.bench import Bench, open_bench, uploads
from tests.support.fakes import BrokenEmbedder, FakeDetector, FakeEmbedder, photo

pytestmark = pytest.mark.anyio


async def test_a_sight_has_the_faces_wanted_and_the_size_of_the_photo(bench: Bench) -> None:
    (upload,) = uploads(photo(10, None, 30))
    everyone = await bench.extraction.read(upload, "all", StageTimer())
    one = await bench.extraction.read(upload, "center", StageTimer())

    assert [face.face.box.left for face in everyone.faces] == [0, 224]
    assert (everyone.faces_found, everyone.width, everyone.height) == (2, 336, 112)
    assert (len(one.faces), one.faces_found) == (1, 2)


async def test_an_image_that_fails_does_not_spoil_the_others(bench: Bench) -> None:
    outcomes = await bench.extraction.read_all(uploads(photo(1), b"x", photo(None), photo(2)), "largest", StageTimer())

    assert [type(outcome).__name__ for outcome in outcomes] == [
        "PhotoFaces",
        "InvalidImage",
        "FaceNotFound",
        "PhotoFaces",
    ]
    assert [outcome.image for outcome in outcomes if isinstance(outcome, LikenessError)] == ["image2", "image3"]


async def test_probes_come_in_the_order_of_the_photos_and_their_faces(bench: Bench) -> None:
    outcomes = await bench.extraction.read_all(uploads(photo(0, 85), photo(170)), "all", StageTimer())
    probes = await bench.extraction.embed([each for each in outcomes if isinstance(each, PhotoFaces)], StageTimer())

    assert [round(float(probe.embedding.vector[0]), 3) for probe in probes] == [1.0, 0.5, -0.5]
    assert [probe.faces_found for probe in probes] == [2, 2, 1]


async def test_no_sight_needs_no_run_of_the_network(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    async with open_bench(tmp_path, embedder=embedder) as bench:
        assert await bench.extraction.embed([], StageTimer()) == []

    assert embedder.batches == []


async def test_a_network_that_fails_is_a_failed_inference_for_its_caller(tmp_path: Path) -> None:
    async with open_bench(tmp_path, embedder=BrokenEmbedder()) as bench:
        with pytest.raises(InferenceFailed, match="RuntimeError"):
            await bench.extraction.probe(Upload("image", photo(1)), "largest", StageTimer())


async def test_photos_beyond_what_may_wait_are_refused_at_once(tmp_path: Path) -> None:
    async with open_bench(tmp_path, threads=1, max_waiting=2) as bench:
        outcomes = await bench.extraction.read_all(uploads(*[photo(1)] * 5), "largest", StageTimer())

    assert [isinstance(outcome, Overloaded) for outcome in outcomes] == [False, False, False, True, True]


async def test_photos_that_need_each_other_are_refused_together_and_none_is_worked_on(tmp_path: Path) -> None:
    """The one that found a place would keep its request waiting, and others from theirs, for nothing."""
    async with open_bench(tmp_path, threads=1, max_waiting=1) as bench:
        under_way = asyncio.create_task(bench.extraction.read(Upload("image", photo(1)), "largest", StageTimer()))
        await asyncio.sleep(0)
        timer = StageTimer()
        with pytest.raises(Overloaded):
            await bench.extraction.read_all(uploads(photo(1), photo(1)), "largest", timer)
        still = not under_way.done()
        await under_way

    assert still
    assert timer.milliseconds()["decode"] == 0


def test_of_very_many_faces_the_largest_are_taken_and_all_are_counted() -> None:
    pipeline = FacePipeline(FakeDetector(), LandmarkAligner(), ImageLimits(), max_faces=3)
    found = pipeline.read(photo(*[40] * 5), "all")

    assert (len(found.faces), found.faces_found) == (3, 5)


async def test_of_many_faces_only_some_stand_in_line_at_once(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        crowd = await bench.extraction.read(Upload("image", photo(*[40] * 100)), "all", StageTimer())
        probes = await bench.extraction.embed([crowd], StageTimer())

    assert len(probes) == 100  # where at most 64 may wait


def test_an_error_says_which_image_it_was_about() -> None:
    with pytest.raises(LikenessError) as caught, naming_image("image2"):
        raise LikenessError
    assert caught.value.image == "image2"


async def test_every_stage_is_timed(bench: Bench) -> None:
    timer = StageTimer()
    await bench.extraction.probe(Upload("image", photo(1)), "largest", timer)
    times = timer.milliseconds()

    assert times.keys() == {"decode", "detect", "align", "embed", "queue", "total"}
    assert all(milliseconds > 0 for milliseconds in times.values())
    assert max(times.values()) == times["total"]


def test_the_time_of_a_stage_is_the_sum_of_its_turns_even_of_one_that_failed() -> None:
    timer = StageTimer()
    timer.add("queue", 0.5)
    timer.add("queue", 0.25)
    with pytest.raises(LikenessError), timer.stage("decode"):
        raise LikenessError

    assert timer.milliseconds()["queue"] == 750
    assert timer.milliseconds()["decode"] > 0


def test_each_turn_of_a_stage_is_inside_of_a_span_of_its_name() -> None:
    told: list[str] = []

    @contextmanager
    def span(name: str) -> Iterator[None]:
        told.append(f"{name} begins")
        yield
        told.append(f"{name} ends")

    with StageTimer(span).stage("align"):
        told.append("aligning")

    assert told == ["align begins", "aligning", "align ends"]


def test_a_stage_that_did_not_happen_took_no_time() -> None:
    times = StageTimer().milliseconds()

    assert {name: times[name] for name in STAGES} == dict.fromkeys(STAGES, 0.0)
