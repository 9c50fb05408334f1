"""The commands of docs/training.md, "in ten minutes", on photos of two people and changed copies of them."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.domain.models import Pixels
from app.inference.manifest import digest_of, read_embedder

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "training.md"
PHOTOS_A_PERSON = 3
NO_MATCH = 1
WIDTHS = (0.7, 0.85, 1.0, 1.15, 1.3)  # calibrate wants nine people
QUICK = ["--set", "optimizer.steps=2", "--set", "batch.people=2", "--set", "batch.faces=2", "--set", "run.threads=1"]


def commands() -> list[list[str]]:
    section = PAGE.read_text(encoding="utf-8").split("## Your own faces, in ten minutes")[1]
    lines = re.findall(r"```\n(.*?)```", section, re.DOTALL)[0].splitlines()
    return [shlex.split(line) for line in lines]


def write_people(folder: Path, photos: dict[str, Pixels]) -> None:
    """Write photos, each darker than the one before."""
    for person, photo in photos.items():
        (folder / person).mkdir(parents=True)
        for number in range(PHOTOS_A_PERSON):
            darker = (photo * (1 - 0.15 * number)).astype(np.uint8)
            cv2.imwrite(str(folder / person / f"{number}.jpg"), darker[..., ::-1])


@pytest.fixture
def workplace(tmp_path: Path, hopper: Pixels, collins: Pixels) -> Path:
    """A folder like the root of the repository, to write in."""
    (tmp_path / "models").mkdir()
    for model in (ROOT / "models").iterdir():
        (tmp_path / "models" / model.name).symlink_to(model)
    (tmp_path / "training").symlink_to(ROOT / "training")
    write_people(tmp_path / "PHOTOS", {"hopper": hopper, "collins": collins})
    others = {
        f"{name}-{width}": np.asarray(cv2.resize(photo[:, ::-1], None, fx=width, fy=1), np.uint8)
        for name, photo in {"hopper": hopper, "collins": collins}.items()
        for width in WIDTHS
    }
    write_people(tmp_path / "OTHERS", others)
    return tmp_path


def run(words: list[str], folder: Path, *, status: int = 0, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == status, done.stderr[-2000:]
    return done.stdout


def test_the_ten_minutes_end_with_a_served_and_calibrated_model(workplace: Path) -> None:
    *training, serving = commands()
    assert [words[3] for words in training] == ["prepare", "train", "export", "calibrate"]
    variable, value = serving[0].split("=")
    assert serving[1:] == ["likeness", "serve"]

    for words in training:
        run([*words[2:], *(QUICK if words[3] == "train" else [])], workplace)
    photos = [str(workplace / "PHOTOS" / person / "0.jpg") for person in ("hopper", "collins")]
    answer = json.loads(run(["app", "verify", "--json", *photos], workplace, status=NO_MATCH, **{variable: value}))

    assert answer["model"]["id"] == "mine"
    assert answer["threshold"]["calibrated_on"] == "my-people"
    assert answer["match"] is False


def test_the_starting_weights_are_those_of_the_shipped_model() -> None:
    shipped = ROOT / "models" / "mobilefacenet-128"
    manifest = read_embedder(shipped)

    assert manifest.provenance["weights_sha256"] == digest_of((shipped / "network.pt").read_bytes())
