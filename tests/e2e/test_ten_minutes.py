"""
The commands of docs/training.md, "in ten minutes", as they are printed there, without `.venv/bin` on the PATH.

They run on photos of two people and changed copies of them; only the preset has fewer steps and smaller batches.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import httpx2
import numpy as np
import pytest

from app.domain.arrays import Pixels
from app.inference.manifest import digest_of, read_embedder
from tests.support.server import Server

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "training.md"
PHOTOS_A_PERSON = 3
WIDTHS = (0.7, 0.85, 1.0, 1.15, 1.3)  # calibrate wants nine people
SYSTEM = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
FEWER = {r"^people = \d+": "people = 2", r"^faces = \d+": "faces = 2", r"^steps = \d+": "steps = 2"}
FEWER |= {r"^threads = \d+": "threads = 1"}


def commands() -> list[str]:
    section = PAGE.read_text(encoding="utf-8").split("## Your own faces, in ten minutes")[1]
    lines: list[str] = re.findall(r"```\n(.*?)```", section, re.DOTALL)[0].splitlines()
    return lines


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
    (tmp_path / ".venv").symlink_to(sys.prefix)
    write_smaller_preset(tmp_path / "training" / "config" / "presets" / "own-faces.toml")
    write_people(tmp_path / "PHOTOS", {"hopper": hopper, "collins": collins})
    others = {
        f"{name}-{width}": np.asarray(cv2.resize(photo[:, ::-1], None, fx=width, fy=1), np.uint8)
        for name, photo in {"hopper": hopper, "collins": collins}.items()
        for width in WIDTHS
    }
    write_people(tmp_path / "OTHERS", others)
    return tmp_path


def write_smaller_preset(path: Path) -> None:
    text = (ROOT / "training" / "config" / "presets" / path.name).read_text(encoding="utf-8")
    for option, value in FEWER.items():
        text, replaced = re.subn(option, value, text, flags=re.MULTILINE)
        assert replaced == 1
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")


def run(line: str, folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=SYSTEM, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_ten_minutes_end_with_a_served_and_calibrated_model(workplace: Path) -> None:
    *training, serving = commands()
    assert [shlex.split(line)[3] for line in training] == ["prepare", "train", "export", "calibrate"]

    for line in training:
        run(line, workplace)
    command = ["env", "-C", str(workplace), *shlex.split(serving)]
    with Server(workplace / "data", command=command, **SYSTEM) as server:
        photos = {
            name: (workplace / "PHOTOS" / person / "0.jpg").read_bytes()
            for name, person in (("image1", "hopper"), ("image2", "collins"))
        }
        answer = httpx2.post(f"{server.url}/verify", files=photos, timeout=60).json()

    assert answer["model"]["id"] == "mine"
    assert answer["threshold"]["calibrated_on"] == "my-people"
    assert answer["match"] is False


def test_the_starting_weights_are_those_of_the_shipped_model() -> None:
    shipped = ROOT / "models" / "mobilefacenet-128"
    manifest = read_embedder(shipped)

    assert manifest.provenance["weights_sha256"] == digest_of((shipped / "network.pt").read_bytes())
