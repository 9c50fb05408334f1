"""The built wheel serves its default model from an empty directory, without a network."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.unit.deployment.manifests import REPOSITORY

OFFLINE = REPOSITORY / "tests" / "proof" / "offline.py"
SOURCES = ("app", "training", "models", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
ALONE = ("unshare", "--map-root-user", "--net")
MODELS = "app/bundled_models"
README_ANSWER = (REPOSITORY / "README.md").read_text().split("```json\n")[1].split("```")[0]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources so that the repository stays as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, source / name, symlinks=True)
        else:
            shutil.copy(REPOSITORY / name, source / name)
    _run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with the wheel in it; other packages are those of the tests' environment."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python3.*/site-packages")
    theirs = [path for path in sys.path if path.endswith("-packages")]
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel)
    (packages / "tests.pth").write_text("\n".join(theirs))  # plain paths: an editable install there is not followed
    return python


def _run(*command: object, **options: Any) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("LIKENESS_", "PYTHONPATH"))}


def test_it_holds_the_models_that_serving_needs_and_no_weights_to_train_on(wheel: Path) -> None:
    files = zipfile.ZipFile(wheel).namelist()
    models = {name.removeprefix(f"{MODELS}/") for name in files if name.startswith(MODELS)}
    embedder = {"MODEL_CARD.md", "calibration.json", "embedder.onnx", "manifest.json"}
    with_offsets = embedder | {"threshold_offset.onnx"}

    assert models == {
        *(f"mobilefacenet-128/{name}" for name in with_offsets),
        *(f"mobilefacenet-128-int8/{name}" for name in with_offsets),
        *(f"sface-128/{name}" for name in (*with_offsets, "LICENSE")),
        *(f"pad/{name}" for name in ("LICENSE", "MODEL_CARD.md", "liveness.onnx", "manifest.json")),
        *(f"mtcnn/{name}" for name in ("LICENSE", "manifest.json", "pnet.onnx", "rnet.onnx", "onet.onnx")),
    }


def test_it_holds_every_file_of_the_packages(wheel: Path) -> None:
    files = set(zipfile.ZipFile(wheel).namelist())
    sources = [path for package in ("app", "training") for path in (REPOSITORY / package).rglob("*") if path.is_file()]
    kept = [path for path in sources if path.suffix != ".pyc" and "bundled_models" not in path.parts]

    assert [path for path in kept if str(path.relative_to(REPOSITORY)) not in files] == []
    assert {"app/py.typed", "training/py.typed"} <= files


def test_the_installed_command_is_the_wheels_and_says_its_version(python: Path, wheel: Path, tmp_path: Path) -> None:
    said = _run(python.with_name("likeness"), "--version", cwd=tmp_path, env=_environment())
    where = _run(python, "-c", "import app; print(app.__file__)", cwd=tmp_path, env=_environment())

    assert said.split() == ["likeness", wheel.name.split("-")[1]]
    assert Path(where.strip()).is_relative_to(python.parents[1])


def test_it_gives_the_readmes_answer_from_an_empty_directory_without_a_network(python: Path, tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a process cannot be cut off from the network here")
    photos = [REPOSITORY / "docs" / "images" / name for name in ("collins.jpg", "collins-again.jpg")]
    said = _run(*ALONE, python, "-I", OFFLINE, *photos, cwd=tmp_path, env=_environment())
    outcome = json.loads(said.splitlines()[-1])
    answer, printed = outcome["answer"], json.loads(README_ANSWER)
    threshold = printed.pop("threshold")

    assert outcome["outside"] == []
    assert {name: answer[name] for name in printed} == pytest.approx(printed, rel=1e-3)
    assert {name: answer["threshold"][name] for name in threshold} == threshold
    assert answer["model"]["id"] == "mobilefacenet-128"
    assert outcome["status"] in {0, -15}
    assert list(tmp_path.iterdir()) == []
