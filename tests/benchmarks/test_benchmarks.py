"""The benchmarks compare equal work, and hold their figures against the right bounds."""

import email
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from email.policy import HTTP
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from app.faces.detector.mtcnn import Mtcnn
from app.gallery.face_index import FaceIndex
from app.gallery.ranking import Query
from app.gallery.records import StoredVector
from app.images.decode import decode as read
from app.images.formats import ACCEPTED
from app.inference.onnx_session import Session
from tests.benchmarks import __main__ as command
from tests.benchmarks import (
    decode,
    detect,
    embed,
    gpu,
    http_cost,
    indexes,
    loader,
    memory,
    peers,
    photos,
    pipeline,
    search,
    smoke,
)
from tests.benchmarks import report as published
from tests.benchmarks.concurrency import percentile, scaling
from tests.benchmarks.measure import FEWEST, Contestant, Effort, Laps, Pace, noise, race, ratio
from tests.benchmarks.overload import judged
from tests.benchmarks.report import (
    PAGE_FILE,
    Report,
    Row,
    Target,
    at_least,
    at_most,
    committed_reports,
    document,
    file_of,
)
from tests.benchmarks.served import Answer, Load, Question
from tests.support.facenet_pytorch import batched_nms
from tests.support.server import MIB, REPOSITORY, ServerFailed
from training.networks.registry import build

BRIEF = Effort(seconds=0.0, requests=50, starts=1)


class FakeClock:
    """A clock that only advances when somebody works."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done: list[str] = []

    def __call__(self) -> float:
        return self.now

    def worker(self, name: str, seconds: float) -> Callable[[], None]:
        def work() -> None:
            self.done.append(name)
            self.now += seconds

        return work


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    monkeypatch.setattr(time, "perf_counter", fake)
    monkeypatch.setattr(time, "monotonic", fake)
    return fake


def raced(clock: FakeClock, pace: Pace, **seconds: float) -> dict[str, Laps]:
    return race({name: Contestant(clock.worker(name, each), clock) for name, each in seconds.items()}, pace)


def test_contestants_take_turns_and_short_ones_are_repeated(clock: FakeClock) -> None:
    laps = raced(clock, Pace(rounds=4, seconds=1e9, turn=1.0), a=0.5, b=4.0)
    warm_up = 4
    assert "".join(clock.done[warm_up:]) == "aab" + "baa" + "baa" + "aab"
    assert {name: (len(each.cpu), each.time().cpu_ms) for name, each in laps.items()} == {"a": (4, 500), "b": (4, 4000)}


def test_a_race_ends_when_its_time_is_over_but_not_before_the_fewest_rounds(clock: FakeClock) -> None:
    assert len(raced(clock, Pace(rounds=100, seconds=1.0, turn=1.0), a=10.0)["a"].cpu) == FEWEST
    assert len(raced(clock, Pace(rounds=100, seconds=95.0, turn=1.0), a=10.0)["a"].cpu) == 10


def test_a_ratio_is_the_median_of_rounds_and_its_noise_the_distance_of_equals_from_one() -> None:
    ours, theirs = np.array([1.0, 10.0, 1.0, 1.0, 1.0]), np.array([2.0, 20.0, 2.0, 2.0, 3.0])
    assert ratio(theirs, ours) == 2.0
    assert noise(np.array([1.02, 0.99] * 30), np.ones(60)) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("target", "result", "verdict"),
    [
        (at_least(3.0), 3.0, "met"),
        (at_least(3.0), 2.999, "missed"),
        (Target(bound=3.0, at_least=True, noise=0.5), 2.9, "missed"),
        (at_most(3.0), 3.0, "met"),
        (at_most(3.0), 3.001, "missed"),
        (at_most(1.0, noise=0.02), 1.02, "met"),
        (at_most(1.0, noise=0.02), 1.021, "missed"),
        (at_most(1.0), None, "missed"),
        (at_most(1.0), float("nan"), "missed"),
        (None, 99.0, "no target"),
    ],
)
def test_a_target_is_met_at_its_bound_and_missed_beyond(target: Target | None, result: float, verdict: str) -> None:
    assert Row(stage="s", case="c", result=result, target=target).verdict == verdict


def test_the_page_in_docs_is_made_from_its_reports() -> None:
    assert document(committed_reports()) == PAGE_FILE.read_text(encoding="utf-8")
    assert [file_of(report.machine.family).is_file() for report in committed_reports()]


def test_an_older_report_keeps_its_figures_and_is_judged_by_the_newest_targets() -> None:
    (report, *_) = committed_reports()
    rows = (
        Row("/verify", "same settings and network", 4.0, target=at_least(3.5)),
        Row("HTTP", "HTTP itself, two uploads of 100 KB", 1.0, "ms CPU", target=at_most(1.2)),
    )
    page = document([report, report.model_copy(update={"rows": rows, "date": "2999-01-01"})])
    assert "| 3.16x as fast | >= 3.50x **missed** |" in page
    assert "| 0.9588 ms CPU | <= 0.6 ms CPU **missed** |" in page


def test_reports_of_two_families_stand_side_by_side_and_each_keeps_its_own() -> None:
    (report, *_) = committed_reports()
    mine = report.machine.model_copy(update={"family": "intel-6-207"})
    rows = (Row("decode", "JPEG 1024x768", 1.1, means="the peer's time", target=at_most(1.0)), Row("new", "case", 2.0))
    page = document([report, report.model_copy(update={"machine": mine, "rows": rows, "date": "2999-01-01"})])
    assert "| stage | case | amd-26-2: times |" in page
    assert (
        "1.01x the peer's time | <= 1.00x + 0.5 % noise **missed** |  | 1.10x the peer's time | <= 1.00x **miss" in page
    )
    assert "| new | case |  | not measured |  |  | 2.00x | no target |" in page


@pytest.mark.parametrize(
    ("now", "factor"),
    [
        (Row("s", "c", 2.0, means="as fast"), 2.0),
        (Row("s", "c", 5.0, means="the peer's time"), 1.25),
        (Row("s", "c", 5.0, unit="ms"), None),
        (Row("s", "c", error="broke off"), None),
    ],
)
def test_a_row_is_slower_by_its_share_of_the_peer(now: Row, factor: float | None) -> None:
    assert smoke.slowdown(now, Row("s", "c", 4.0, means=now.means)) == factor
    assert smoke.slowdown(now, None) is None


@pytest.mark.parametrize(("results", "slower"), [([4.7, 4.5], False), ([4.7, 4.7, 4.7], True), ([4.5], False)])
def test_a_row_has_to_be_slower_each_time(results: list[float], slower: bool) -> None:  # noqa: FBT001
    left = iter(results)
    before = {("s", "c"): Row("s", "c", 4.0, means="the peer's time")}
    found = smoke.slower_rows(lambda _: [Row("s", "c", next(left), means="the peer's time")], before)
    assert found == ({("s", "c")} if slower else set())
    assert not list(left)


def answers(*seconds: float, status: int = 200) -> list[Answer]:
    return [Answer(status, b"", began=0.0, seconds=each, retry_after=0.0) for each in seconds]


def test_a_question_is_a_correct_form() -> None:
    question = Question.of("/embed", [("image", b"\xff\xd8 bytes"), ("image", b"more")], faces="all")
    head = f"Content-Type: {question.content_type}\r\n\r\n".encode()
    form = cast("Any", email.message_from_bytes(head + question.body, policy=HTTP))
    assert [(part.get_filename(), part.get_payload(decode=True)) for part in form.iter_parts()] == [
        ("photo.jpg", b"\xff\xd8 bytes"),
        ("photo.jpg", b"more"),
        (None, b"all"),
    ]


def test_two_cores_are_compared_with_one_round_by_round_and_a_failed_request_spoils_it() -> None:
    one = [Load(answers(*[0.1] * count), [], 1.0) for count in (10, 5, 10)]
    two = [Load(answers(*[0.1] * count), [], 1.0) for count in (19, 10, 18)]
    assert scaling("throughput", one, two).result == pytest.approx(1.9)
    with pytest.raises(ServerFailed, match="1 of 2 requests failed: 500"):
        scaling("throughput", one, [Load([*answers(0.1), *answers(0.1, status=500)], [], 1.0)])
    assert [percentile([1.0, 2.0, 3.0, 4.0], share) for share in (0, 25, 50, 99)] == [1, 1, 2, 4]


def test_overload_is_judged_by_throughput_refusals_and_lost_requests() -> None:
    loads = [Load([*answers(*[0.2] * 9), *answers(*[0.01] * 99, 0.2, status=503)], [], 1.0)]
    lost = [Load(answers(0.1), ["TimeoutError: timed out"], 1.0)]
    assert [(row.result, row.verdict) for row in judged(10.0, loads)] == [(0.9, "met"), (10.0, "met"), (0, "met")]
    assert [row.verdict for row in judged(1.0, lost)][1:] == ["missed", "missed"]


def test_memory_grows_from_the_first_tenth_to_its_peak() -> None:
    samples = [size * MIB for size in [50, 80, 90, 95, 100, *[100] * 44, 101]]
    assert memory.growth(samples, 1000).verdict == "met"
    assert memory.growth([*samples[:-1], 103 * MIB], 1000).verdict == "missed"


def test_the_photos_have_the_sizes_and_faces_that_the_targets_are_for(detector: Mtcnn) -> None:
    for photo in [*photos.to_detect().values(), *photos._composed().values()]:
        assert 0.7e6 < photo.shape[0] * photo.shape[1] < 3.05e6
    assert [len(detector.detect(photos.crowd(faces))) for faces in (1, 3, 9)] == [1, 3, 9]
    for data in photos.pair():
        assert read(data, decode.LIMITS).shape == (768, 1024, 3)
        assert len(detector.detect(read(data, decode.LIMITS))) >= 1


def test_every_accepted_format_is_measured_and_decoded_alike() -> None:
    for data in decode.formats().values():
        if (theirs := decode.by_opencv(data)) is not None:
            assert np.abs(read(data, decode.LIMITS).astype(int) - theirs).mean() < 1
    assert {name.split()[0].upper() for name in decode.formats()} | {"JPEG2000"} >= set(ACCEPTED)


def test_the_suppression_of_the_peer_is_that_of_torchvision() -> None:
    random = np.random.default_rng(3)
    corners = random.uniform(0, 100, (300, 2)).astype(np.float32)
    boxes = torch.from_numpy(np.hstack([corners, corners + random.uniform(5, 40, (300, 2)).astype(np.float32)]))
    scores = torch.from_numpy(random.integers(0, 50, 300).astype(np.float32))  # with ties
    groups = torch.from_numpy(random.integers(0, 3, 300))
    for overlap in (0.5, 0.7):
        kept = peers._Suppression()(boxes, scores, groups, overlap)
        assert kept.tolist() == batched_nms(boxes, scores, groups, overlap).tolist()
    assert peers._Suppression()(boxes[:0], scores[:0], groups[:0], 0.5).tolist() == []


def test_the_peer_finds_the_same_faces(detector: Mtcnn) -> None:
    faces, difference = detect.compare(photos.crowd(3), detector, peers.detector())
    assert faces == 3
    assert difference < 0.01


def test_the_work_of_embedders_and_matrix_products_is_counted_right() -> None:
    (product,) = Session(embed.matrix_product(8), provider="cpu").run(np.eye(8, dtype=np.float32))
    np.testing.assert_array_equal(product, np.random.default_rng(1).standard_normal((8, 8), np.float32))
    assert embed.operations(build("mobilefacenet", 128)) == pytest.approx(2 * 0.234e9, rel=0.01)


def test_the_torch_peer_gives_the_same_vectors() -> None:
    embedder, served = embed.exported("mobilefacenet", 128, views="mirror")
    crops = embed.crops(2, 112)
    with torch.inference_mode():
        plain = embed.default_layout(embedder)(torch.from_numpy(crops)).numpy()
    got = np.stack([item.vector for item in served.embed(embed.aligned(crops))])
    np.testing.assert_allclose(plain, got, atol=1e-5)
    assert np.abs(plain[0] - plain[1]).max() > 0.01


def test_the_three_searches_find_the_same() -> None:
    vectors = search.gallery(500, 16)
    index = FaceIndex(16)
    index.add([StoredVector(str(number), str(number), vector) for number, vector in enumerate(vectors)])
    (hits,) = index.search([Query(vectors[7], 5, search.EVERYTHING)])
    assert [int(hit.face_id) for hit in hits] == search.by_numpy(vectors, vectors[7], 5)
    assert [row.peer for row in search.compared(vectors, BRIEF)] == ["NumPy", "FAISS Flat"]


def test_the_kinds_of_index_are_searched_in_turn_and_the_exact_ones_find_all() -> None:
    pytest.importorskip("milvus_lite", reason="no Milvus: pip install milvus-lite")
    with indexes.measured(1000, 5) as kinds:
        exact = [kind.name for kind in kinds if all(kind.found) and set(kind.found_ten) == {1.0}]
        lines = indexes.table(kinds, 1000).splitlines()

        assert {"exact", "pgvector", "milvus, flat"} <= set(exact)
        assert [len(kind.laps) for kind in kinds] == [5] * 6
        assert all(kind.seconds > 0 and kind.bytes > 1000 for kind in kinds)
        assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {kind.name}" for kind in kinds]


def test_a_pipeline_with_another_distance_is_no_peer() -> None:
    client: Any = SimpleNamespace(must=lambda: SimpleNamespace(body=b'{"distance": 1.0}'))
    near, far = (cast("Any", SimpleNamespace(distance=lambda *_, value=value: value)) for value in (0.99, 0.9))
    pipeline.check_distance(client, near)
    with pytest.raises(pipeline.OtherDistance, match=r"ours is 1.0000, facenet-pytorch's 0.9000"):
        pipeline.check_distance(client, far)


def test_http_is_the_cost_of_the_service_beyond_a_direct_call() -> None:
    itself, whole = http_cost.rows(BRIEF)
    assert whole.ours is not None
    assert itself.result is not None
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


def test_a_missed_or_broken_stage_is_shown_and_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, stage in (("good", good), ("bad", bad), ("broken", broken)):
        monkeypatch.setitem(command.STAGES, name, stage)
    monkeypatch.setattr(published, "REPORTS", tmp_path)
    monkeypatch.setattr(published, "PAGE_FILE", tmp_path / "page.md")
    done = CliRunner().invoke(command.cli, ["broken", "bad", "good", f"--json={tmp_path / 'report'}", "--publish"])
    assert done.exit_code == 1
    report = Report.model_validate_json((tmp_path / "report").read_text())
    assert [row.verdict for row in report.rows] == ["met", "missed", "failed"]
    assert committed_reports() == [report]
    assert "OSError: no port left" in (tmp_path / "page.md").read_text()
    assert CliRunner().invoke(command.cli, ["nonsense"]).exit_code == 2


def test_the_gpu_script_refuses_without_a_gpu_and_installs_nothing(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "env", "dirname", "grep"):
        (tools / name).symlink_to(str(shutil.which(name)))
    environment = {"PATH": str(tools), "VENV": str(tmp_path / "venv"), "PYTHON": "false"}
    script = REPOSITORY / "tests" / "benchmarks" / "gpu.sh"
    refused = subprocess.run([str(script)], env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "error: no NVIDIA GPU here: there is no nvidia-smi" in refused.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize("option", [["--provider", "cpu"], ["--provider=cpu"]])
def test_the_rehearsal_of_the_gpu_script_needs_no_gpu(tmp_path: Path, option: list[str]) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$@"\nexit 3\n')
    python.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "VENV": str(tmp_path / "venv"), "PYTHON": str(python)}
    script = str(REPOSITORY / "tests" / "benchmarks" / "gpu.sh")
    begun = subprocess.run([script, *option], env=environment, capture_output=True, text=True, check=False)
    assert (begun.returncode, begun.stdout) == (3, f"-m venv {tmp_path}/venv\n")


def test_the_gpu_benchmark_runs_on_the_cpu_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "BATCHES", (1, 2))
    monkeypatch.setattr(gpu, "CLIENTS", (1, 2))
    monkeypatch.setattr(photos, "to_detect", lambda: {"a crowd": photos.crowd(2)})
    monkeypatch.setattr(photos, "pair", lambda: (photos.jpeg(photos.crowd(1)),) * 2)
    report = gpu.measured(gpu.Trial(seconds=0.1, requests=4, provider="cpu"))
    assert [row.stage for row in report.rows] == ["embed", "embed", "detect", "/verify", "memory of the process"]
    assert all(row.result is not None for row in report.rows)
    assert "InsightFace-REST's claim" in report.rows[3].means


@pytest.mark.slow
def test_views_of_folders_shards_and_records_are_counted_by_thread_and_by_process(tmp_path: Path) -> None:
    for person in "abcd":
        (tmp_path / "crops" / person).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (144, 144), (40 * number, 90, 120)).save(tmp_path / "crops" / person / f"{number}.png")
    rates = loader.measured(tmp_path / "crops", rounds=1, batches=8)
    sources, ways = ("folders", "shards", "rec"), ("threads", "processes")
    assert set(rates) == {f"{source}, {way}" for source in sources for way in ways}
    assert all(10 < rate < 100_000 for rate in rates.values())
