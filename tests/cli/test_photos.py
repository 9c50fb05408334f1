"""`likeness verify`, `identify` and `detect` as a person at a terminal, or a script, meets them."""

import json
from pathlib import Path

import numpy as np
import pytest

from app.domain.models import Pixels
from tests.cli.conftest import Command


@pytest.fixture
def hopper_jpg(likeness: Command, hopper: Pixels) -> Path:
    return likeness.photo("people/hopper/one.jpg", hopper)


@pytest.fixture
def collins_png(likeness: Command, collins: Pixels) -> Path:
    return likeness.photo("collins.png", collins)


@pytest.fixture
def nobody_png(likeness: Command) -> Path:
    return likeness.photo("nobody.png", np.full((100, 100, 3), 90, np.uint8))


def test_a_verdict_tells_the_distance_the_threshold_and_its_rates(likeness: Command, hopper_jpg: Path) -> None:
    done = likeness("verify", hopper_jpg, hopper_jpg)

    assert done.exit_code == 0
    assert done.stdout.startswith("match: distance 0.000 <= ")
    assert "(FMR 0.0001, FNMR " in done.stdout


def test_a_threshold_that_was_asked_for_decides(likeness: Command, hopper_jpg: Path, collins_png: Path) -> None:
    loose, tight = (likeness("verify", hopper_jpg, collins_png, "--threshold", value) for value in (4, 0))

    assert (loose.exit_code, tight.exit_code) == (0, 1)
    assert loose.stdout.startswith("match: ")
    assert tight.stdout.startswith("no match: ")


def test_a_threshold_too_fine_to_have_a_rate_says_so(likeness: Command, hopper_jpg: Path) -> None:
    assert "(FMR too fine to tell, FNMR " in likeness("verify", hopper_jpg, hopper_jpg, "--threshold", 0).stdout


@pytest.mark.parametrize("command", ["verify", "identify"])
def test_a_rate_and_a_threshold_together_contradict_each_other(
    likeness: Command, hopper_jpg: Path, command: str
) -> None:
    images = {"verify": [hopper_jpg, hopper_jpg], "identify": [hopper_jpg]}[command]
    rate = {"verify": "--fmr", "identify": "--fpir"}[command]
    done = likeness(command, *images, rate, 0.1, "--threshold", 1)

    assert done.exit_code == 2
    assert f"want {rate} or --threshold, not both" in done.output


@pytest.mark.parametrize("option", [["--fmr", "2"], ["--fmr", "0"], ["--threshold", "nan"], ["--face", "any"]])
def test_an_option_out_of_its_bounds_ends_with_2(likeness: Command, hopper_jpg: Path, option: list[str]) -> None:
    done = likeness("verify", hopper_jpg, hopper_jpg, *option)

    assert done.exit_code == 2
    assert isinstance(done.exception, SystemExit)


@pytest.mark.parametrize("fpir", ["1", "0.5"])
def test_a_candidate_is_listed_with_its_distance(likeness: Command, hopper_jpg: Path, fpir: str) -> None:
    likeness("enroll", hopper_jpg.parent.parent)
    done = likeness("identify", hopper_jpg, "--fpir", fpir)

    assert done.exit_code == 0
    assert done.stdout == "1. hopper  distance 0.000\n"


def test_nobody_is_told_with_the_size_of_the_gallery(likeness: Command, hopper_jpg: Path, collins_png: Path) -> None:
    likeness("enroll", hopper_jpg.parent.parent)
    done = likeness("identify", collins_png)

    assert done.exit_code == 1
    assert done.stdout == "nobody among 1 subjects in gallery 'default'\n"


def test_an_unknown_gallery_is_an_error(likeness: Command, hopper_jpg: Path) -> None:
    done = likeness("identify", hopper_jpg, "--gallery", "none", "--json")

    assert (done.exit_code, json.loads(done.stdout)["code"]) == (2, "not_found")


def test_no_face_is_no_success_of_a_detection(likeness: Command, nobody_png: Path) -> None:
    done = likeness("detect", nobody_png)

    assert (done.exit_code, done.stdout) == (1, "no face found\n")


def test_no_face_is_an_error_of_a_verification_that_names_the_file(
    likeness: Command, hopper_jpg: Path, nobody_png: Path
) -> None:
    done = likeness("verify", hopper_jpg, nobody_png)
    told = json.loads(likeness("verify", hopper_jpg, nobody_png, "--json").stdout)

    assert done.exit_code == 2
    assert done.stderr == f"error: {nobody_png}: no face found in the photo\n"
    assert (told["code"], told["image"]) == ("face_not_found", str(nobody_png))


def test_a_photo_beyond_the_limits_is_refused(likeness: Command, hopper_jpg: Path) -> None:
    done = likeness("detect", hopper_jpg, "--json", max_image_pixels=1000)

    assert (done.exit_code, json.loads(done.stdout)["code"]) == (2, "image_too_large")


def test_a_model_that_is_not_there_is_told_in_words(likeness: Command, hopper_jpg: Path) -> None:
    done = likeness("verify", hopper_jpg, hopper_jpg, model="none")

    assert done.exit_code == 2
    assert done.stderr.startswith("error: no model in ")
