"""`likeness verify`, `identify` and `detect` as people and scripts use them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from app.domain.arrays import Pixels
from tests.unit.cli.conftest import Command


@pytest.fixture
def hopper_jpg(likeness: Command, hopper: Pixels) -> Path:
    return likeness.photo("people/hopper/one.jpg", hopper)


@pytest.fixture
def collins_png(likeness: Command, collins: Pixels) -> Path:
    return likeness.photo("collins.png", collins)


@pytest.fixture
def nobody_png(likeness: Command) -> Path:
    return likeness.photo("nobody.png", np.full((100, 100, 3), 90, np.uint8))


def test_verify_prints_distance_threshold_and_rates(likeness: Command, hopper_jpg: Path) -> None:
    done = likeness("verify", hopper_jpg, hopper_jpg)
    assert done.exit_code == 0
    assert done.stdout.startswith("match: distance 0.000 <= ")
    assert "(FMR 0.0001, FNMR " in done.stdout
    assert "\nOn lfw_dev 1 in 10,000 pairs of strangers would match as well, and 1 in " in done.stdout


def test_requested_threshold_decides(likeness: Command, hopper_jpg: Path, collins_png: Path) -> None:
    loose, tight = (likeness("verify", hopper_jpg, collins_png, "--threshold", value) for value in (4, 0))
    assert (loose.exit_code, tight.exit_code) == (0, 1)
    assert loose.stdout.startswith("match: ")
    assert tight.stdout.startswith("no match: ")


def test_threshold_below_the_measured_range_has_no_fmr(likeness: Command, hopper_jpg: Path) -> None:
    assert "(FMR below the measured range, FNMR " in likeness("verify", hopper_jpg, hopper_jpg, "--threshold", 0).stdout


@pytest.mark.parametrize("command", ["verify", "identify"])
def test_rate_and_threshold_together_are_refused(likeness: Command, hopper_jpg: Path, command: str) -> None:
    images = {"verify": [hopper_jpg, hopper_jpg], "identify": [hopper_jpg]}[command]
    rate = {"verify": "--fmr", "identify": "--fpir"}[command]
    done = likeness(command, *images, rate, 0.1, "--threshold", 1)
    assert done.exit_code == 2
    assert f"expected {rate} or --threshold, got both" in done.output


@pytest.mark.parametrize("option", [["--fmr", "2"], ["--fmr", "0"], ["--threshold", "nan"], ["--face", "any"]])
def test_invalid_option_exits_with_2(likeness: Command, hopper_jpg: Path, option: list[str]) -> None:
    done = likeness("verify", hopper_jpg, hopper_jpg, *option)
    assert done.exit_code == 2
    assert isinstance(done.exception, SystemExit)


@pytest.mark.parametrize("fpir", ["1", "0.5"])
def test_identify_lists_candidates_with_their_distances(likeness: Command, hopper_jpg: Path, fpir: str) -> None:
    likeness("enroll", hopper_jpg.parent.parent)
    done = likeness("identify", hopper_jpg, "--fpir", fpir)
    assert done.exit_code == 0
    head, row, meaning = done.stdout.splitlines()
    assert head.split() == ["SUBJECT", "DISTANCE", "THRESHOLD", "PROBABILITY"]
    assert re.fullmatch(r"1 +hopper +0\.000 +\d\.\d{3} +99\.99%", row)
    assert meaning.startswith("By the rates of lfw_dev, ")


def test_identify_without_a_candidate_prints_the_size_of_the_gallery(
    likeness: Command, hopper_jpg: Path, collins_png: Path
) -> None:
    likeness("enroll", hopper_jpg.parent.parent)
    done = likeness("identify", collins_png)
    assert done.exit_code == 1
    first, meaning = done.stdout.splitlines()
    assert first == "no candidate among 1 subjects in gallery 'default'"
    assert "1 in 100 searches for a stranger would name someone" in meaning


def test_unknown_gallery_is_an_error(likeness: Command, hopper_jpg: Path) -> None:
    done = likeness("identify", hopper_jpg, "--gallery", "none", "--json")
    assert (done.exit_code, json.loads(done.stdout)["code"]) == (2, "not_found")


def test_detect_without_a_face_exits_with_1(likeness: Command, nobody_png: Path) -> None:
    done = likeness("detect", nobody_png)
    assert (done.exit_code, done.stdout) == (1, "no face found\n")


def test_verify_without_a_face_is_an_error_that_names_the_file(
    likeness: Command, hopper_jpg: Path, nobody_png: Path
) -> None:
    done = likeness("verify", hopper_jpg, nobody_png)
    document = json.loads(likeness("verify", hopper_jpg, nobody_png, "--json").stdout)
    assert done.exit_code == 2
    assert done.stderr == f"error: {nobody_png}: no face found in the photo\n"
    assert (document["code"], document["image"]) == ("face_not_found", str(nobody_png))


@pytest.mark.parametrize("name", ["missing.jpg", "text.jpg"])
def test_verify_names_a_file_that_cannot_be_used(likeness: Command, hopper_jpg: Path, name: str) -> None:
    (likeness.folder / "text.jpg").write_text("this is no image")
    done = likeness("verify", hopper_jpg, likeness.folder / name)
    assert (done.exit_code, name in done.stderr) == (2, True)


def test_photo_beyond_the_limits_is_refused(likeness: Command, hopper_jpg: Path) -> None:
    done = likeness("detect", hopper_jpg, "--json", max_image_pixels=1000)
    assert (done.exit_code, json.loads(done.stdout)["code"]) == (2, "image_too_large")


def test_missing_model_is_an_error(likeness: Command, hopper_jpg: Path) -> None:
    done = likeness("verify", hopper_jpg, hopper_jpg, model="none")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: no model in ")
