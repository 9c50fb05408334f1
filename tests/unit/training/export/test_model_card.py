"""MODEL_CARD.md says what a report measured, and no more."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.calibrations import COHORTS, calibration
from tests.unit.training.support import RUN_RECORD
from training.cli.main import cli
from training.errors import TrainingError
from training.export import model_card
from training.export.card_calibration import calibration_part
from training.pipeline.served_model import ServedModel

RUN = RUN_RECORD | {"blend": {"share": 0.75, "of": "run", "with": "start.pt"}}


@pytest.fixture
def model(tmp_path: Path, models_dir: Path) -> Path:
    ignored = shutil.ignore_patterns("*.md", "*.pt", "run.json", "calibration.json")
    shutil.copytree(models_dir / "mobilefacenet-128", tmp_path / "mobilefacenet-128", ignore=ignored)
    return tmp_path / "mobilefacenet-128"


@pytest.fixture
def report(model: Path) -> dict[str, Any]:
    """A report without a baseline, whose pairs do not say who is on the photos."""
    return {
        "model": ServedModel.open(model).identity,
        "images": 60,
        "people": None,
        "faces_not_found": 1,
        "all_pairs": {},
        "degraded_probe": {"size": 40, "quality": 40, "noise": 1.0},
        "accuracy": {"mean": 0.75, "error": 0.125},
        "val": {"mean": 0.5, "error": 0.25, "far": 0.01},
        "eer": 0.2,
        "auc": 0.9,
    }


def write(model: Path, report: dict[str, Any], *options: str) -> str:
    """Write the card by the command, and return it."""
    (model / "report.json").write_text(json.dumps(report))
    command = ["card", "--model", str(model), "--report", str(model / "report.json"), *options]
    done = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert done.output == f"wrote {model / 'MODEL_CARD.md'}\n"
    return (model / "MODEL_CARD.md").read_text()


def test_a_model_that_was_measured_alone_has_one_column_of_rates(model: Path, report: dict[str, Any]) -> None:
    text = write(model, report)
    assert "## Measured, beside another model" in text
    assert "| measure | - | mobilefacenet-128 |" in text
    assert "| accuracy over folds | - | 0.7500 +- 0.1250 |\n| VAL at FAR 0.01 | - | 0.5000 +- 0.2500 |" in text
    assert "on 60 images of unknown people, never trained" in text
    assert "Both models" not in text
    assert "Rates are stated down to" not in text
    assert "None yet: the threshold 1.1 is used" in text


def test_rates_of_all_pairs_stand_beside_those_before(model: Path, report: dict[str, Any]) -> None:
    tmr = [{"fmr": 0.01, "tmr": 0.9, "interval": [0.8, 0.95]}]
    report |= {"all_pairs": {"clean": {"impostor_people_pairs": 1770, "finest_fmr": 3 / 1770, "tmr": tmr}}}
    assert "| clean, TMR at FMR 0.01 | - | 0.9000 [0.8000, 0.9500] |" in write(model, report)
    report["baseline"] = {**report, "eer": 0.3, "model": {"id": "other", "threshold_offset": None}}
    text = write(model, report)
    assert "| measure | other | mobilefacenet-128 |" in text
    assert "Both models were measured in the same run." in text
    assert "| EER | 0.3000 | 0.2000 |" in text
    assert "| clean, TMR at FMR 0.01 | 0.9000 [0.8000, 0.9500] | 0.9000 [0.8000, 0.9500] |" in text
    assert "down to FMR 1.7e-03, the finest that 1,770 pairs of people support" in text


def test_a_blended_run_says_so(model: Path, report: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(RUN))
    text = write(model, report, "--run", str(tmp_path))
    assert "0.75 of the trained weights and 0.25 of the starting ones" in text
    assert "## Measured, before and after" in text
    assert '"Before" is' not in text
    report["baseline"] = {**report, "model": {"id": "other", "threshold_offset": None}}
    assert '"Before" is other without threshold offsets, in the same run.' in write(
        model, report, "--run", str(tmp_path)
    )


def test_a_calibration_without_cohorts_has_no_table_of_them() -> None:
    overall, by_cohort = calibration_part(calibration()), calibration_part(calibration(**COHORTS))
    assert "| 0.01 | 1.5000 | 0.1250 |" in overall
    assert "### Within cohorts" not in overall
    assert by_cohort.startswith(f"{overall}\n### Within cohorts")


def test_an_unreadable_record_is_named(model: Path, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{")
    for run, complaint in ((tmp_path / "absent", r"cannot read .*absent/run\.json"), (None, r"cannot read .*report")):
        with pytest.raises(TrainingError, match=complaint):
            model_card.write(model, run, tmp_path / "report.json")
