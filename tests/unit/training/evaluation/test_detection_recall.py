import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from app.domain.arrays import Pixels
from app.domain.faces import Box
from training.cli.main import cli
from training.evaluation import detection_recall
from training.evaluation.detection_recall import DETECTORS, changes, intersection_over_union


@pytest.fixture
def photos(tmp_path: Path, hopper: Pixels, collins: Pixels) -> Path:
    folder = tmp_path / "photos"
    (folder / "people").mkdir(parents=True)
    for name, photo in {"people/hopper": hopper, "people/collins": collins, "nobody": np.full_like(hopper, 90)}.items():
        cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photo")
    return folder


@pytest.mark.slow
def test_the_report_counts_the_faces_of_each_detector(photos: Path, models_dir: Path, tmp_path: Path) -> None:
    arguments = ["evaluate", "detection-recall", "--images", str(photos), "--json", str(tmp_path / "report.json")]
    done = CliRunner().invoke(cli, [*arguments, "--models-dir", str(models_dir)])
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["images"], report["unreadable"]) == (4, 1)
    assert [row["photos"] for row in report["rows"]] == list(changes())
    plain = report["rows"][0]
    assert plain["looked_at"] == 3
    for name in DETECTORS:
        way = plain["ways"][name]
        assert (way["without_a_face"], way["faces"], way["lost"]) == (1, 2, 0)
        assert way["ms"] > 0
    assert "as they are (3): facenet-pytorch, from 20 px: 1 without a face" in done.output


def test_lost_photos_are_counted(photos: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blind = dict(DETECTORS) | {"as served": replace(DETECTORS["as served"], min_face=1000)}
    monkeypatch.setattr(detection_recall, "DETECTORS", blind)
    monkeypatch.setattr(detection_recall, "changes", lambda: {"as they are": lambda photo: photo})
    (row,) = detection_recall.run(photos, models_dir)["rows"]
    assert row["ways"]["as served"]["lost"] == 2
    assert row["ways"]["as served"]["without_a_face"] == 3


@pytest.mark.parametrize("name", changes())
def test_every_change_gives_a_photo(name: str, collins: Pixels) -> None:
    changed = changes()[name](collins)
    assert changed.dtype == np.uint8
    assert changed.shape[2] == 3
    assert min(changed.shape[:2]) > 200


def test_overlap_is_intersection_over_union() -> None:
    assert intersection_over_union(Box(0, 0, 10, 10), Box(0, 0, 10, 10)) == 1
    assert intersection_over_union(Box(0, 0, 10, 10), Box(5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert intersection_over_union(Box(0, 0, 10, 10), Box(20, 0, 30, 10)) == 0
