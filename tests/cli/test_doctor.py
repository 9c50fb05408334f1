"""The doctor tells what is wrong, and does not fall ill itself."""

import importlib
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command

MODEL = "mobilefacenet-128"


def copied_models(models_dir: Path, folder: Path) -> Path:
    """Model folders of our own, to be spoiled."""
    for path in models_dir.glob("*/*.*"):
        copy = folder / path.relative_to(models_dir)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return folder


def complaints(done_stdout: str) -> dict[str, str]:
    return {check["name"]: check["detail"] for check in json.loads(done_stdout)["checks"] if not check["ok"]}


def test_a_whole_installation_is_well(likeness: Command) -> None:
    done = likeness("doctor", "--json")

    assert done.exit_code == 0
    assert json.loads(done.stdout)["ok"] is True
    assert [check["name"] for check in json.loads(done.stdout)["checks"]] == [
        "installed",
        "runtime",
        "models",
        "self-test",
        "data",
        "access",
    ]


def test_people_read_a_line_a_check(likeness: Command) -> None:
    done = likeness("doctor", model="none")

    assert done.exit_code == 2
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        "ok   installed",
        "ok   runtime",
        "FAIL models",
        "FAIL self-test",
        "ok   data",
        "ok   access",
    ]


@pytest.mark.parametrize("name", [f"{MODEL}/embedder.onnx", "mtcnn/rnet.onnx"])
def test_a_network_that_is_not_its_manifests_is_told_with_both_digests(
    likeness: Command, models_dir: Path, name: str
) -> None:
    models = copied_models(models_dir, likeness.folder / "models")
    (models / name).write_bytes((models / name).read_bytes() + b"\0")
    done = likeness("doctor", "--json", models_dir=models)

    assert done.exit_code == 2
    assert complaints(done.stdout).keys() == {"models", "self-test"}
    assert f"{models / name} is not the file of its manifest: want sha256:" in complaints(done.stdout)["models"]


@pytest.mark.parametrize("name", [f"{MODEL}/manifest.json", f"{MODEL}/embedder.onnx", "mtcnn/manifest.json"])
def test_a_file_that_is_missing_is_told_by_its_path(likeness: Command, models_dir: Path, name: str) -> None:
    models = copied_models(models_dir, likeness.folder / "models")
    (models / name).unlink()
    done = likeness("doctor", "--json", models_dir=models)

    assert done.exit_code == 2
    assert str(models / name) in complaints(done.stdout)["models"]
    assert "No such file" in complaints(done.stdout)["models"]


def test_a_data_directory_that_cannot_be_written_is_told(likeness: Command) -> None:
    (likeness.folder / "file").touch()
    done = likeness("doctor", "--json", data_dir=likeness.folder / "file" / "data")

    assert done.exit_code == 2
    assert "file" in complaints(done.stdout)["data"]


def test_a_provider_that_cannot_be_used_is_told(likeness: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    done = likeness("doctor", "--json", provider="cuda")

    assert done.exit_code == 2
    assert "provider 'cuda' was asked for" in complaints(done.stdout)["models"]


def test_a_package_that_is_missing_is_told(likeness: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    doctor = importlib.import_module("app.cli.doctor")  # its name in the package is the command's
    monkeypatch.setattr(doctor, "PACKAGES", ("numpy", "no-such-package"))
    done = likeness("doctor", "--json")

    assert done.exit_code == 2
    assert "no-such-package" in complaints(done.stdout)["installed"]
