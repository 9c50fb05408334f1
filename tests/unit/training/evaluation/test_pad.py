"""Rates of the liveness check: what is counted, and how sure it is."""

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from app.domain.arrays import Pixels
from tests.support.photos import GREY, hopper, on_a_wall
from training.cli.main import cli
from training.errors import TrainingError
from training.evaluation import pad


def test_attacks_that_reach_the_threshold_and_live_faces_below_it_are_wrong() -> None:
    found = pad.rates({"live": [0.5, 0.4999, 0.9, None], "spoof/print": [0.5, 0.2], "spoof/screen": [0.1, None]}, 0.5)
    assert (found["bpcer"]["wrong"], found["bpcer"]["judged"], found["bpcer"]["no_face"]) == (1, 3, 1)
    assert found["attacks"]["spoof/print"]["rate"] == 0.5
    assert (found["attacks"]["spoof/screen"]["rate"], found["attacks"]["spoof/screen"]["no_face"]) == (0, 1)
    assert found["apcer"] == found["attacks"]["spoof/print"]  # the worst type


def test_intervals_are_those_of_clopper_and_pearson() -> None:
    none, half = pad.rates({"live": [1.0] * 11}, 0.5)["bpcer"], pad.rates({"live": [1.0] * 5 + [0.0] * 5}, 0.5)["bpcer"]
    assert none["interval"] == pytest.approx([0, 1 - 0.025 ** (1 / 11)])
    assert half["interval"] == pytest.approx([0.1871, 0.8129], abs=1e-4)
    assert pad.rates({"live": [None]}, 0.5)["bpcer"]["interval"] == [0, 1]


def test_the_folders_are_measured_through_the_served_pipeline(tmp_path: Path, models_dir: Path) -> None:
    for name in ("live", "spoof/print"):
        (tmp_path / name).mkdir(parents=True)
    hopper().save(tmp_path / "live" / "hopper.png")
    Image.new("RGB", (90, 90), GREY).save(tmp_path / "live" / "nobody.png")
    on_a_wall(hopper()).save(tmp_path / "spoof" / "print" / "hopper.png")
    (tmp_path / "spoof" / "broken.jpg").write_bytes(b"no image")
    report = pad.run(tmp_path, models_dir, models_dir / "pad", 0.5)
    assert (report["bpcer"]["wrong"], report["bpcer"]["judged"], report["bpcer"]["no_face"]) == (0, 1, 1)
    assert report["attacks"]["spoof/print"]["wrong"] == 0
    assert (report["attacks"]["spoof"]["photos"], report["attacks"]["spoof"]["no_face"]) == (1, 1)
    assert [each["threshold"] for each in report["thresholds"]] == list(pad.THRESHOLDS)
    lines = pad.summary(report).splitlines()
    assert "live: BPCER 0.0% [0.0%, 97.5%], 0 of 1 photos; 1 without a face" in lines
    assert "spoof: APCER not measured, 0 of 0 photos; 1 without a face" in lines
    everywhere = pad.run(tmp_path, models_dir, models_dir / "pad", 0.5, all_live=True)
    assert (everywhere["bpcer"]["photos"], everywhere["bpcer"]["wrong"], everywhere["attacks"]) == (4, 1, {})


def test_a_folder_without_live_or_spoof_is_refused(tmp_path: Path, hopper: Pixels) -> None:
    Image.fromarray(hopper).save(tmp_path / "hopper.png")
    with pytest.raises(TrainingError, match=r"expected photos in .*live"):
        pad.photos_by_type(tmp_path)


def test_the_command_writes_the_report_and_prints_the_rates(tmp_path: Path, models_dir: Path) -> None:
    for name in ("live", "attack"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        hopper().save(tmp_path / "photos" / name / "hopper.png")
    arguments = ["--images", tmp_path / "photos", "--models-dir", models_dir, "--json", tmp_path / "pad.json"]
    done = CliRunner().invoke(cli, ["evaluate", "pad", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "pad.json").read_text())
    assert (report["bpcer"]["wrong"], report["apcer"]["wrong"]) == (0, 1)
    assert "live: BPCER 0.0% [0.0%, 97.5%], 0 of 1 photos" in done.output
    assert "attack: APCER 100.0% [2.5%, 100.0%], 1 of 1 photos" in done.output
