"""`likeness doctor` reports every fault and never fails itself."""

import importlib
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command

MODEL = "mobilefacenet-128"


def copied_models(models_dir: Path, folder: Path) -> Path:
    """Copy the models, so that a test may damage them."""
    for path in models_dir.glob("*/*.*"):
        copy = folder / path.relative_to(models_dir)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return folder


def failures(done_stdout: str) -> dict[str, str]:
    return {check["name"]: check["detail"] for check in json.loads(done_stdout)["checks"] if not check["ok"]}


def test_complete_installation_passes_every_check(likeness: Command) -> None:
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


def test_text_has_one_line_per_check(likeness: Command) -> None:
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
def test_network_that_differs_from_its_manifest_is_reported_with_both_digests(
    likeness: Command, models_dir: Path, name: str
) -> None:
    models = copied_models(models_dir, likeness.folder / "models")
    (models / name).write_bytes((models / name).read_bytes() + b"\0")
    done = likeness("doctor", "--json", models_dir=models)

    assert done.exit_code == 2
    assert failures(done.stdout).keys() == {"models", "self-test"}
    assert f"{models / name} differs from its manifest: expected sha256:" in failures(done.stdout)["models"]


@pytest.mark.parametrize("name", [f"{MODEL}/manifest.json", f"{MODEL}/embedder.onnx", "mtcnn/manifest.json"])
def test_missing_file_is_reported_with_its_path(likeness: Command, models_dir: Path, name: str) -> None:
    models = copied_models(models_dir, likeness.folder / "models")
    (models / name).unlink()
    done = likeness("doctor", "--json", models_dir=models)

    assert done.exit_code == 2
    assert str(models / name) in failures(done.stdout)["models"]
    assert "No such file" in failures(done.stdout)["models"]


def test_unwritable_data_directory_is_reported(likeness: Command) -> None:
    (likeness.folder / "file").touch()
    done = likeness("doctor", "--json", data_dir=likeness.folder / "file" / "data")

    assert done.exit_code == 2
    assert "file" in failures(done.stdout)["data"]


def test_unavailable_provider_and_missing_package_are_reported(
    likeness: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor = importlib.import_module("app.cli.doctor")  # `from app.cli import doctor` would be the command
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(doctor, "PACKAGES", ("numpy", "no-such-package"))
    done = likeness("doctor", "--json", provider="cuda")

    assert done.exit_code == 2
    assert "provider 'cuda' was asked for" in failures(done.stdout)["models"]
    assert "no-such-package" in failures(done.stdout)["installed"]
