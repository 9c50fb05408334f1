"""The service needs only the packages for serving on a CPU, and no network."""

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from tests.support.photos import IMAGES
from tests.support.server import REPOSITORY, environment

SOURCES = ("app", "training", "pyproject.toml", "README.md", "LICENSE", "NOTICE", "constraints.txt")
NOT_NEEDED = ("torch", "matplotlib", "pytest", "onnx", "hypothesis", "scipy", "tensorboard", "httpx2", "requests")
NEEDED = ("onnxruntime", "numpy", "fastapi")
ALONE = ("unshare", "--map-root-user", "--net")
OF_OTHER_EXTRAS = ("app.observability.otel", "app.storage.postgresql", "app.storage.milvus")
"""Modules, and packages of such, that need the extras `otel`, `postgres` and `milvus`."""
IMPORT_ALL = """
import importlib, json, pkgutil, app

def fails(name):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return True

OTHERS = ("__main__", "._kernels")  # the latter is a library for ctypes
names = [module.name for module in pkgutil.walk_packages(app.__path__, "app.") if not module.name.endswith(OTHERS)]
assert len(names) > 50, names
print(json.dumps([name for name in names if fails(name)]))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with `.[cpu]`, installed from a copy so that the repository stays as it is."""
    folder = tmp_path_factory.mktemp("cpu-only")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        (shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy)(REPOSITORY / name, source / name)
    venv.create(folder / "venv")
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    install = ["install", "--quiet", "--no-compile", "--constraint", "constraints.txt", ".[cpu]"]
    done = subprocess.run([*pip, *install], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return python


@pytest.fixture(scope="module")
def outcome(python: Path) -> dict[str, Any]:
    """The outcome of offline.py in a network name space of its own."""
    require_namespaces()
    script = Path(__file__).with_name("offline.py")
    photos = [str(IMAGES / name) for name in ("collins.jpg", "collins-again.jpg")]
    settings = environment(Path("unused"), LIKENESS_MODELS_DIR=str(REPOSITORY / "models"))
    command = [*ALONE, str(python), "-I", str(script), *photos, *NOT_NEEDED, *NEEDED]
    done = subprocess.run(command, cwd=python.parents[2], env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def require_namespaces() -> None:
    if shutil.which("unshare") is None:
        pytest.skip("no unshare(1) here: a process cannot be cut off from the network")
    tried = subprocess.run([*ALONE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this machine lets nobody have a network name space: {tried.stderr.strip()}")


def test_it_verifies_two_photos_without_a_network(outcome: dict[str, Any]) -> None:
    assert outcome["outside"] == []
    assert outcome["answer"]["match"] is True
    assert outcome["answer"]["distance"] < 0.5


def test_it_ends_cleanly_there(outcome: dict[str, Any]) -> None:
    assert outcome["status"] in {0, -15}


def test_nothing_of_training_or_testing_is_installed(outcome: dict[str, Any]) -> None:
    assert outcome["found"] == list(NEEDED)


def test_every_part_of_the_service_but_other_extras_can_be_imported(python: Path) -> None:
    command = [str(python), "-I", "-c", IMPORT_ALL]
    done = subprocess.run(command, cwd=python.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    failed = json.loads(done.stdout)
    assert [name for name in failed if not name.startswith(OF_OTHER_EXTRAS)] == []
    assert {name for name in OF_OTHER_EXTRAS if any(each.startswith(name) for each in failed)} == set(OF_OTHER_EXTRAS)


def test_this_test_runs_elsewhere(python: Path) -> None:
    """Check that it is not the Python of these tests, which would prove nothing."""
    assert Path(sys.prefix) != python.parents[1]
