"""Whichever of several processes is asked speaks for all of them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.observability import multiprocess

REPOSITORY = Path(__file__).resolve().parents[2]
Values = dict[tuple[str, ...], float]


class Counting:
    """A process that has counted a problem, a batch of four faces and a request under way."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.observability.counting"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._said()

    def render(self, to: Path) -> Values:
        """Each value by its name and its labels."""
        assert self.process.stdin
        self.process.stdin.write(f"{to}\n")
        self.process.stdin.flush()
        self._said()
        families = text_string_to_metric_families(to.read_text())
        return {
            (each.name, *(f"{name}={value}" for name, value in sorted(each.labels.items()))): each.value
            for family in families
            for each in family.samples
        }

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _said(self) -> None:
        assert self.process.stdout
        assert self.process.stdout.readline()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with multiprocess.metrics_folder() as made:
        yield made


@pytest.fixture(scope="module")
def two(folder: Path) -> Iterator[list[Counting]]:  # noqa: ARG001 - they find it in their environment
    with ExitStack() as stack:
        both = [Counting() for _ in range(2)]
        for each in both:
            stack.callback(each.kill)
        yield both


def test_what_each_counted_is_added_up(two: list[Counting], tmp_path: Path) -> None:
    one, other = (each.render(tmp_path / "metrics") for each in two)

    for values in (one, other):
        assert values["likeness_problems_total", "code=unauthorized"] == 2
        assert values["likeness_batch_faces_sum",] == 8
        assert values["likeness_batch_faces_bucket", "le=4.0"] == 2
        assert values["likeness_requests_in_flight",] == 2
        assert values["likeness_queue_depth", "queue=photos"] == 6
        assert values["likeness_queue_limit", "queue=photos"] == 20


def test_what_they_have_in_common_is_said_once(two: list[Counting], tmp_path: Path) -> None:
    values = two[0].render(tmp_path / "metrics")

    assert values["likeness_ready",] == 1
    assert values["likeness_gallery_faces", "gallery=default"] == 5
    assert [value for name, value in values.items() if name[0] == "likeness_build_info"] == [1]


def test_each_process_describes_itself(two: list[Counting], tmp_path: Path) -> None:
    values = two[0].render(tmp_path / "metrics")

    for each in two:
        assert values["process_resident_memory_bytes", f"pid={each.process.pid}"] > 1e6
        assert values["process_cpu_seconds_total", f"pid={each.process.pid}"] > 0


def test_of_one_that_died_counts_what_it_had_done_and_no_longer_what_it_did(
    two: list[Counting], folder: Path, tmp_path: Path
) -> None:
    third = Counting()
    third.kill()
    multiprocess.forget_process(folder, third.process.pid)
    values = two[0].render(tmp_path / "metrics")

    assert values["likeness_problems_total", "code=unauthorized"] == 3
    assert values["likeness_requests_in_flight",] == 2
    assert values["likeness_queue_depth", "queue=photos"] == 6
    assert not [name for name in values if f"pid={third.process.pid}" in name]


def test_the_folder_is_gone_and_the_environment_as_it_was_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(multiprocess.VARIABLE, "somebody's")
    with multiprocess.metrics_folder() as made:
        inside = os.environ[multiprocess.VARIABLE], made.is_dir()

    assert inside == (str(made), True)
    assert not made.exists()
    assert os.environ[multiprocess.VARIABLE] == "somebody's"
