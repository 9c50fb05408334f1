"""Uploads become probes, in order, within the limits of the queue."""

import asyncio
from pathlib import Path

import pytest

from app.domain.errors import FaceNotFound, InferenceFailed, InvalidImage, LikenessError, Overloaded
from app.faces.alignment import LandmarkAligner
from app.images.decode import ImageLimits
from app.pipeline import FacePipeline, PhotoFaces
from app.services.extraction import EmbeddedPhoto, Upload, naming_image
from app.services.timing import StageTimer
from tests.support.fakes import BrokenEmbedder, FakeDetector, FakeEmbedder, photo
from tests.unit.services.bench import Bench, open_bench, uploads

pytestmark = pytest.mark.anyio


async def test_read_returns_the_selected_faces_and_the_size_of_the_photo(bench: Bench) -> None:
    image = photo(10, None, 30)
    everyone, one = await bench.read(image, "all"), await bench.read(image, "center")

    assert [face.face.box.left for face in everyone.faces] == [0, 224]
    assert (everyone.faces_found, everyone.width, everyone.height) == (2, 336, 112)
    assert (len(one.faces), one.faces_found) == (1, 2)


async def test_failing_image_does_not_affect_the_others(bench: Bench) -> None:
    outcomes = await bench.extraction.read_all(uploads(photo(1), b"x", photo(None), photo(2)), "largest", StageTimer())

    assert [type(outcome) for outcome in outcomes] == [PhotoFaces, InvalidImage, FaceNotFound, PhotoFaces]
    assert [outcome.image for outcome in outcomes if isinstance(outcome, LikenessError)] == ["image2", "image3"]


async def test_read_and_embed_returns_probes_in_order_or_the_error_of_each_photo(bench: Bench) -> None:
    images = uploads(photo(0, 85), b"x", photo(170))
    first, broken, third = await bench.extraction.read_and_embed(images, "all", StageTimer())

    assert isinstance(broken, InvalidImage)
    assert isinstance(first, EmbeddedPhoto)
    assert isinstance(third, EmbeddedPhoto)
    vectors = [[round(float(probe.embedding.vector[0]), 3) for probe in each.probes] for each in (first, third)]
    assert vectors == [[1.0, 0.5], [-0.5]]
    assert (first.faces_found, third.faces_found) == (2, 1)


async def test_embedding_no_photo_does_not_run_the_network(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    async with open_bench(tmp_path, embedder=embedder) as bench:
        assert await bench.extraction.embed([], StageTimer()) == []

    assert embedder.batches == []


async def test_failing_network_raises_inference_failed(tmp_path: Path) -> None:
    async with open_bench(tmp_path, embedder=BrokenEmbedder()) as bench:
        with pytest.raises(InferenceFailed, match="RuntimeError"):
            await bench.extraction.probe(Upload("image", photo(1)), "largest", StageTimer())


async def test_photos_beyond_the_capacity_are_refused_one_by_one(tmp_path: Path) -> None:
    async with open_bench(tmp_path, threads=1, max_waiting=2) as bench:
        outcomes = await bench.extraction.read_all(uploads(*[photo(1)] * 5), "largest", StageTimer())

    assert [isinstance(outcome, Overloaded) for outcome in outcomes] == [False, False, False, True, True]


async def test_photos_of_a_request_are_admitted_together_or_not_at_all(tmp_path: Path) -> None:
    async with open_bench(tmp_path, threads=1, max_waiting=1) as bench:
        running = asyncio.create_task(bench.read(photo(1)))
        await asyncio.sleep(0)
        timer = StageTimer()
        with pytest.raises(Overloaded):
            await bench.extraction.read_all(uploads(photo(1), photo(1)), "largest", timer)
        still_running = not running.done()
        await running

    assert still_running
    assert timer.milliseconds()["decode"] == 0


def test_max_faces_keeps_the_largest_faces_and_counts_all() -> None:
    pipeline = FacePipeline(FakeDetector(), LandmarkAligner(), ImageLimits(), max_faces=3)
    photo_faces = pipeline.read(photo(*[40] * 5), "all")

    assert (len(photo_faces.faces), photo_faces.faces_found) == (3, 5)


async def test_faces_of_one_photo_do_not_overflow_the_queue_of_64(bench: Bench) -> None:
    crowd = await bench.read(photo(*[40] * 100), "all")

    assert len(await bench.extraction.embed([crowd], StageTimer())) == 100


def test_naming_image_adds_the_field_to_the_error() -> None:
    with pytest.raises(LikenessError) as caught, naming_image("image2"):
        raise LikenessError
    assert caught.value.image == "image2"


async def test_every_stage_of_a_probe_is_timed(bench: Bench) -> None:
    timer = StageTimer()
    await bench.extraction.probe(Upload("image", photo(1)), "largest", timer)
    times = timer.milliseconds()

    assert times.keys() == {"decode", "detect", "align", "embed", "queue", "total"}
    assert all(milliseconds > 0 for milliseconds in times.values())
    assert max(times.values()) == times["total"]
