"""The parts of the stages that can be known beforehand, and the photos that they are given."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from app.domain.models import Pixels
from app.faces.detector.mtcnn import Mtcnn
from app.gallery.faiss_index import FaceIndex
from app.images.decode import ACCEPTED
from app.images.decode import decode as read
from app.inference.onnx_session import Session
from tests.benchmarks import __main__ as command
from tests.benchmarks import decode, detect, embed, end_to_end, http_cost, memory, peers, photos, search
from tests.benchmarks.effort import Effort
from tests.benchmarks.report import Report, Row, at_most
from tests.support.facenet_pytorch import batched_nms
from tests.support.fakes import FakeDetector
from training.networks.registry import build

MIB = 2**20
BRIEF = Effort(seconds=0.0, requests=50, starts=1)


def test_the_photos_to_detect_are_of_the_sizes_that_the_targets_are_for() -> None:
    composed = photos._composed()
    for photo in [*photos.to_detect().values(), *composed.values()]:
        assert 0.7e6 < photo.shape[0] * photo.shape[1] < 3.05e6
        assert photo.flags.c_contiguous


def test_a_crowd_has_as_many_faces_as_it_says(detector: Mtcnn) -> None:
    assert [len(detector.detect(photos.crowd(faces))) for faces in (1, 3, 9)] == [1, 3, 9]


def test_a_photo_that_covers_keeps_its_shape_and_its_middle() -> None:
    photo = np.zeros((100, 300, 3), np.uint8)
    photo[:, 140:160] = 255

    covering = photos.covering(photo, 200, 200)

    assert covering.shape == (200, 200, 3)
    assert covering[:, 95:105].min() == 255
    assert covering[:, :70].max() == 0


def test_an_upload_has_its_size_to_the_byte() -> None:
    assert len(photos.upload(100_000)) == 100_000


def test_the_pair_is_of_two_people_with_a_face_each(detector: Mtcnn) -> None:
    for data in photos.pair():
        photo = read(data, decode.LIMITS)
        assert photo.shape == (768, 1024, 3)
        assert len(detector.detect(photo)) >= 1


@pytest.mark.parametrize("name", decode.formats())
def test_ours_and_opencv_decode_the_same_photo(name: str) -> None:
    data = decode.formats()[name]
    theirs = decode.by_opencv(data)
    if theirs is not None:
        assert np.abs(read(data, decode.LIMITS).astype(int) - theirs).mean() < 1


def test_every_accepted_format_is_measured() -> None:
    assert {name.split()[0].upper() for name in decode.formats()} | {"JPEG2000"} >= set(ACCEPTED)


def test_a_decoder_is_compared_with_its_peer() -> None:
    row = decode.compared("JPEG", decode.formats()["JPEG"], "simplejpeg", decode.by_simplejpeg, BRIEF)

    assert row.result is not None
    assert row.target is not None
    assert row.target.noise > 0
    assert 0.5 < row.result < 5


def test_boxes_that_differ_in_number_are_infinitely_far_apart() -> None:
    photo: Pixels = np.full((112, 224, 3), 200, np.uint8)
    ours = FakeDetector()

    assert detect.compare(photo, ours, lambda _: detect.boxes_of(ours.detect(photo)) + np.float32(0.25)) == (2, 0.25)
    assert detect.compare(photo, ours, lambda _: np.zeros((1, 4), np.float32)) == (1, float("inf"))
    assert detect.compare(photo[:, :0], ours, lambda _: np.zeros((0, 4), np.float32)) == (0, 0.0)


def test_the_peer_s_suppression_is_torchvision_s() -> None:
    random = np.random.default_rng(3)
    corners = random.uniform(0, 100, (300, 2)).astype(np.float32)
    boxes = torch.from_numpy(np.hstack([corners, corners + random.uniform(5, 40, (300, 2)).astype(np.float32)]))
    scores = torch.from_numpy(random.integers(0, 50, 300).astype(np.float32))  # with ties
    groups = torch.from_numpy(random.integers(0, 3, 300))

    for overlap in (0.5, 0.7):
        kept = peers._Suppression()(boxes, scores, groups, overlap)
        assert kept.tolist() == batched_nms(boxes, scores, groups, overlap).tolist()
    assert peers._Suppression()(boxes[:0], scores[:0], groups[:0], 0.5).tolist() == []


def test_the_peer_finds_the_faces_that_ours_does(detector: Mtcnn) -> None:
    faces, difference = detect.compare(photos.crowd(3), detector, peers.detector())

    assert faces == 3
    assert difference < 0.01


def test_a_matrix_product_is_one() -> None:
    given = np.eye(8, dtype=np.float32)

    (product,) = Session(embed.matrix_product(8), provider="cpu").run(given)

    np.testing.assert_array_equal(product, np.random.default_rng(1).standard_normal((8, 8), np.float32))


def test_operations_are_two_a_multiply_add() -> None:
    assert embed.operations(build("mobilefacenet", 128)) == pytest.approx(2 * 0.234e9, rel=0.01)


def test_the_plainly_laid_copy_gives_the_same_vectors() -> None:
    embedder, served = embed.exported("mobilefacenet", 128, views="mirror")
    crops = embed.crops(2, 112)
    with torch.inference_mode():
        plain = embed.plainly_laid(embedder)(torch.from_numpy(crops)).numpy()

    got = np.stack([item.vector for item in served.embed(embed.aligned(crops))])
    np.testing.assert_allclose(plain, got, atol=1e-5)
    assert np.abs(plain[0] - plain[1]).max() > 0.01


def test_the_three_searches_find_the_same() -> None:
    vectors = search.gallery(500, 16)
    rows = list(search.compared(vectors, BRIEF))

    assert [row.peer for row in rows] == ["NumPy", "FAISS Flat"]
    index = FaceIndex(16)
    index.add([(str(number), str(number), vector) for number, vector in enumerate(vectors)])
    hits = index.search(vectors[7], 5, search.EVERYTHING)
    assert [int(hit.face_id) for hit in hits] == search.by_numpy(vectors, vectors[7], 5)


def test_memory_grows_from_the_first_tenth_to_its_peak() -> None:
    samples = [size * MIB for size in [50, 80, 90, 95, 100, *[100] * 44, 101]]

    row = memory.growth(samples, 1000)

    assert row.result == pytest.approx(0.01)
    assert row.verdict == "met"
    assert memory.growth([*samples[:-1], 103 * MIB], 1000).verdict == "missed"


def test_memory_is_asked_every_kind_of_question_about_one_to_forty_faces() -> None:
    asked = memory.questions()

    assert {question.path for question in asked} == {"/verify", "/detect", "/embed", "/identify"}
    assert len(asked) == 4 * len(memory.FACES)


def test_a_pipeline_that_computes_something_else_is_no_peer() -> None:
    client = SimpleNamespace(must=lambda: SimpleNamespace(body=b'{"distance": 1.0}'))

    end_to_end.check_distance(client, SimpleNamespace(distance=lambda *_: 0.99))
    with pytest.raises(end_to_end.OtherDistance, match=r"ours is 1.0000, facenet-pytorch's 0.9000"):
        end_to_end.check_distance(client, SimpleNamespace(distance=lambda *_: 0.9))


def test_http_is_what_the_service_costs_beyond_a_direct_call() -> None:
    itself, whole = http_cost.rows(BRIEF)

    assert itself.result is not None
    assert whole.ours is not None
    assert 0 < itself.result < whole.ours.cpu_ms
    assert whole.result is not None
    assert whole.result > 1


def good(_: Effort) -> Iterator[Row]:
    yield Row(stage="good", case="quick", result=1.0, target=at_most(2.0))


def bad(_: Effort) -> Iterator[Row]:
    yield Row(stage="bad", case="slow", result=3.0, target=at_most(2.0))


def broken(_: Effort) -> Iterator[Row]:
    yield from ()
    raise OSError("no port left")


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, stage in (("good", good), ("bad", bad), ("broken", broken)):
        monkeypatch.setitem(command.STAGES, name, stage)


@pytest.mark.usefixtures("stages")
def test_what_is_missed_or_broken_is_written_down_before_the_run_fails(tmp_path: Path) -> None:
    files = [f"--json={tmp_path / 'report.json'}", f"--document={tmp_path / 'page.md'}"]

    done = CliRunner().invoke(command.cli, ["broken", "bad", "good", *files])

    report = Report.model_validate_json((tmp_path / "report.json").read_text())
    assert done.exit_code == 1
    assert [row.verdict for row in report.rows] == ["met", "missed", "failed"]
    assert report.rows[2].error == "OSError: no port left"
    assert "OSError: no port left" in (tmp_path / "page.md").read_text()


@pytest.mark.usefixtures("stages")
def test_a_run_in_which_all_is_met_succeeds_and_is_compared_with_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    assert CliRunner().invoke(command.cli, ["good", f"--json={path}"]).exit_code == 0

    again = CliRunner().invoke(command.cli, ["good", f"--against={path}"])

    assert again.exit_code == 0
    assert "result then" in again.output


def test_a_stage_that_is_none_is_a_usage_error() -> None:
    done = CliRunner().invoke(command.cli, ["nonsense"])

    assert done.exit_code == 2
    assert "no stage is called nonsense" in done.output
