"""Images that have not changed are read once, by the first start."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.support import WriteCrop, changed
from training.config.schema import TrainConfig
from training.data import dataset
from training.data.crops import CropGeometry
from training.data.dataset import CropFormat, FaceSet, read_faces
from training.data.file_index import FileIndex
from training.data.sources import UnusableData
from training.engine import trainer
from training.engine.distributed import Processes
from training.errors import TrainingError

OLD = 1_600_000_000  # a time, in s


@pytest.fixture
def old(people: Path) -> Path:
    """Six people whose images were written long ago."""
    for path in people.rglob("*.png"):
        os.utime(path, (OLD, OLD))
    return people


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read."""
    names: list[str] = []
    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: names.append(path.name) or original(path))  # type: ignore[func-returns-value]
    return names


def listed(people: Path, index: Path) -> FaceSet:
    opened = FileIndex.open(index)
    faces = read_faces([people], index=opened)
    opened.write()
    return faces


def test_only_new_and_changed_images_are_read_again(
    old: Path, tmp_path: Path, write_crop: WriteCrop, read: list[str]
) -> None:
    first = listed(old, tmp_path / "index")
    assert len(read) == 18
    read.clear()
    assert listed(old, tmp_path / "index") == first
    assert read == []
    write_crop(old / "person0" / "0.png", seed=999)
    write_crop(old / "person0" / "new.png", seed=998)
    assert listed(old, tmp_path / "index") == read_faces([old]) != first
    assert sorted(read[:2]) == ["0.png", "new.png"]


def test_an_image_that_has_just_been_written_is_not_remembered(people: Path, tmp_path: Path, read: list[str]) -> None:
    for _ in range(2):
        listed(people, tmp_path / "index")
    assert len(read) == 36


def test_a_damaged_index_is_made_anew(old: Path, tmp_path: Path) -> None:
    first = listed(old, tmp_path / "index")
    (tmp_path / "index").write_bytes(b"\xff\n1 2\n" + (tmp_path / "index").read_bytes()[:333])
    assert listed(old, tmp_path / "index") == first


@pytest.mark.usefixtures("old")
def test_a_resumed_run_reads_no_image_to_list_them(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer.train(config, tmp_path / "run", resume=False)
    monkeypatch.setattr(dataset, "_decode", lambda *_: pytest.fail("read again"))
    trainer.train(config, tmp_path / "run", resume=True)


def test_runs_may_share_an_index(
    old: Path, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = changed(config, "data", index=str(tmp_path / "shared.index"))
    listed(old, tmp_path / "shared.index")
    monkeypatch.setattr(FileIndex, "add", lambda *_: pytest.fail("read again"))
    trainer.train(config, tmp_path / "run", resume=False)


def test_an_index_knows_the_size_of_a_crop(old: Path, tmp_path: Path) -> None:
    listed(old, tmp_path / "index")
    other = CropFormat(CropGeometry(96))
    with pytest.raises(UnusableData, match="expected 124 x 124 pixels, got 144 x 144"):
        read_faces([old], index=FileIndex.open(tmp_path / "index"), crops=other)


def test_the_error_of_the_main_process_is_everyones() -> None:
    def fail() -> None:
        raise TrainingError("no faces")

    with pytest.raises(TrainingError, match="no faces"):
        Processes().from_main(fail)
    assert Processes().from_main(lambda: 3) == 3


def test_faces_are_found_in_one_pass_for_people_without_order() -> None:
    person_of = (2, 0, 2, 1, 0, 2)
    faces = FaceSet(("a", "b", "c"), (Path(),) * 6, person_of, ("",) * 6, (), "")
    assert [each.tolist() for each in faces.faces_of] == [[1, 4], [3], [0, 2, 5]]


def test_listing_many_people_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    people = 20_000
    faces = FaceSet(("x",) * people, (Path(),) * people, tuple(range(people)), ("",) * people, (), "")
    monkeypatch.setattr(np, "flatnonzero", lambda _: pytest.fail("a pass over all faces for one person"))
    assert len(faces.faces_of) == people
