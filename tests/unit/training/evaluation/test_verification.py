"""Photos and pairs of them, and the faces found in them."""

from pathlib import Path

import pytest
from PIL import Image

from app.domain.arrays import Pixels
from training.errors import TrainingError
from training.evaluation.verification import VerificationTask
from training.pipeline.detection_cache import FaceFinder

ROWS = ["first,second,same,fold", "a/1.png,b/1.png,1,0", "a/1.png,a/2.png,0,0", "b/1.png,b/2.png,1,1"]


@pytest.fixture
def finder(models_dir: Path) -> FaceFinder:
    return FaceFinder(models_dir)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Pairs that contradict the folders, so that these are no people; no photo shows anybody."""
    for name in ("a/1", "a/2", "b/1", "b/2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (80, 80)).save(tmp_path / f"{name}.png")
    (tmp_path / "pairs.csv").write_text("\n".join(ROWS))
    return tmp_path / "pairs.csv"


def test_photos_without_any_face_are_refused(pairs: Path, finder: FaceFinder) -> None:
    with pytest.raises(TrainingError, match="no face found in any of the 4 images"):
        VerificationTask.open(pairs.parent, pairs, finder)


def test_pairs_that_contradict_the_folders_know_no_people(pairs: Path, finder: FaceFinder, hopper: Pixels) -> None:
    Image.fromarray(hopper).save(pairs.parent / "a" / "1.png")
    task = VerificationTask.open(pairs.parent, pairs, finder)
    assert task.detected.found.tolist() == [True, False, False, False]
    assert task.person_of is None
    with pytest.raises(TrainingError, match="expected pairs whose folders are people"):
        _ = task.known_people
