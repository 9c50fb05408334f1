"""`--liveness` loads the network by itself, and reports or refuses."""

import json
from pathlib import Path

import numpy as np
import pytest

from app.domain.arrays import Pixels
from tests.support.photos import hopper as hopper_photo
from tests.support.photos import on_a_wall
from tests.unit.cli.conftest import Command


@pytest.fixture
def real(likeness: Command, hopper: Pixels) -> Path:
    return likeness.photo("people/hopper/real.png", hopper)


@pytest.fixture
def printed(likeness: Command) -> Path:
    return likeness.photo("people/print/printed.png", np.asarray(on_a_wall(hopper_photo())))


def test_verify_says_which_faces_look_live(likeness: Command, real: Path, printed: Path) -> None:
    said = likeness("verify", real, printed, "--liveness", "report")
    first, _, second, third = said.stdout.splitlines()
    assert said.exit_code == 0
    assert first.startswith("match: ")
    assert second.startswith("image1: looks live (score 0.")
    assert third.startswith("image2: does not look live (score 0.0")
    faces = json.loads(likeness("verify", real, printed, "--liveness", "report", "--json").stdout)["faces"]
    assert [face["liveness"]["live"] for face in faces] == [True, False]


def test_verify_refuses_a_picture_of_a_face(likeness: Command, real: Path, printed: Path) -> None:
    refused = likeness("verify", real, printed, "--liveness", "require")
    assert refused.exit_code == 2
    assert f"{printed}: expected a live face" in refused.stderr
    strict = likeness("verify", real, real, "--liveness", "require", liveness_threshold=1)
    assert strict.exit_code == 2


def test_without_the_option_nothing_is_judged(likeness: Command, real: Path, printed: Path) -> None:
    said = likeness("verify", real, printed)
    assert len(said.stdout.splitlines()) == 2
    assert "liveness" not in likeness("verify", real, printed, "--json", liveness="on").stdout


def test_identify_says_whether_the_face_looks_live(likeness: Command, printed: Path) -> None:
    said = likeness("identify", printed, "--liveness", "report")
    assert said.stdout.splitlines()[-1].startswith("face: does not look live (score 0.0")
    assert likeness("identify", printed, "--liveness", "require").exit_code == 2


@pytest.mark.slow
def test_enroll_names_the_photos_that_do_not_look_live(likeness: Command, real: Path, printed: Path) -> None:
    people = real.parents[1]
    required = json.loads(likeness("enroll", people, "--json", "--liveness", "require").stdout)
    assert (required["enrolled"], [each["code"] for each in required["rejected"]]) == (1, ["spoof_suspected"])
    reported = json.loads(likeness("enroll", people, "--gallery", "two", "--json", "--liveness", "report").stdout)
    assert (reported["enrolled"], reported["rejected"]) == (2, [])
    (suspected,) = reported["suspected"]
    assert suspected["file"] == str(printed)
    assert suspected["score"] < 0.1
    said = likeness("enroll", people, "--gallery", "three", "--liveness", "report").stdout
    assert f"{printed}: enrolled, but does not look live (score 0.0" in said
    assert "suspected" not in likeness("enroll", people, "--gallery", "four", "--json").stdout
