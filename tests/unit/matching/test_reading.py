"""Reading the `calibration.json` of a model folder."""

from pathlib import Path

import pytest

from app.domain.errors import StartError
from app.matching.calibration import CALIBRATION, read_calibration
from tests.support.calibrations import COHORTS, MODEL, calibration

BROKEN = {
    "empty": "",
    "cut off": calibration().model_dump_json()[:100],
    "no object": "[]",
    "a field missing": "{}",
    "a field unknown": calibration().model_dump_json().replace('"fmr_scope"', '"oath"'),
}


def written(folder: Path, text: str) -> Path:
    (folder / CALIBRATION).write_text(text)
    return folder


def test_a_calibration_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = calibration(**COHORTS)

    assert read_calibration(written(tmp_path, made.model_dump_json()), MODEL) == made


def test_a_model_may_have_no_calibration(tmp_path: Path) -> None:
    assert read_calibration(tmp_path, MODEL) is None


def test_the_calibration_of_another_model_is_refused_with_both_names(tmp_path: Path) -> None:
    written(tmp_path, calibration().model_dump_json())

    with pytest.raises(StartError, match=rf"measured on {MODEL}, the model here is sha256:other: calibrate again"):
        read_calibration(tmp_path, "sha256:other")


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_calibration_is_refused_by_its_path(tmp_path: Path, fault: str) -> None:
    written(tmp_path, BROKEN[fault])

    with pytest.raises(StartError, match=rf"{tmp_path / CALIBRATION} is not a calibration"):
        read_calibration(tmp_path, MODEL)
