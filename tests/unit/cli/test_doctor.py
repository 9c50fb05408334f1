"""`likeness doctor` reports every fault and never fails itself."""

import importlib
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import Result

from app.bootstrap.models import PROBE_FILE
from app.inference import openvino_session
from tests.support import openvino
from tests.unit.cli.conftest import Command

CHECKS = ["installed", "runtime", "models", "self-test", "data", "access"]


def failures(done: Result) -> dict[str, str]:
    assert done.exit_code == 2
    return {check["name"]: check["detail"] for check in json.loads(done.stdout)["checks"] if not check["ok"]}


def test_complete_installation_passes_every_check(likeness: Command) -> None:
    done = likeness("doctor", "--json")
    assert (done.exit_code, json.loads(done.stdout)["ok"]) == (0, True)
    assert [check["name"] for check in json.loads(done.stdout)["checks"]] == CHECKS
    assert all(word in done.stdout for word in ("sha256:", "cpu", "onnxruntime"))


def test_text_has_one_line_per_check(likeness: Command) -> None:
    done = likeness("doctor", model="none")
    states = [f"{'FAIL' if name in ('models', 'self-test') else 'ok  '} {name}" for name in CHECKS]
    assert done.exit_code == 2
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == states


def test_damaged_or_missing_model_file_is_reported_with_its_path(likeness: Command, models_dir: Path) -> None:
    models = shutil.copytree(models_dir, likeness.folder / "models")
    path = models / "mtcnn" / "rnet.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    damaged = failures(likeness("doctor", "--json", models_dir=models))
    path.unlink()
    missing = failures(likeness("doctor", "--json", models_dir=models))
    assert damaged.keys() == missing.keys() == {"models", "self-test"}
    assert str(path) in damaged["models"]
    assert f"{path}: No such file" in missing["models"]


def test_the_liveness_network_is_checked_if_the_service_would_load_it(likeness: Command, models_dir: Path) -> None:
    models = shutil.copytree(models_dir, likeness.folder / "models")
    complete = likeness("doctor", models_dir=models, liveness="on")
    assert complete.exit_code == 0
    assert ", with pad for liveness" in complete.stdout
    shutil.rmtree(models / "pad")
    assert likeness("doctor", models_dir=models).exit_code == 0
    assert (
        f"no model in {models / 'pad'}"
        in failures(likeness("doctor", "--json", models_dir=models, liveness="on"))["models"]
    )


MEASURED = json.dumps({"subject": "this network", "cosine": 0.9999, "time_ratio": 0.3})


def test_a_measurement_of_openvino_is_not_told_where_it_is_not_installed(likeness: Command) -> None:
    if openvino_session.is_installed():
        pytest.skip("OpenVINO is installed in this environment")
    likeness.data.mkdir(parents=True, exist_ok=True)
    (likeness.data / PROBE_FILE).write_text(MEASURED)
    assert "OpenVINO" not in likeness("doctor").stdout


@pytest.mark.slow  # `make test-slow` installs OpenVINO
def test_what_the_start_measured_of_openvino_is_told(likeness: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    openvino.install(monkeypatch)
    likeness("doctor")
    probe = likeness.data / PROBE_FILE
    probe.write_text(json.dumps(json.loads(probe.read_text()) | {"time_ratio": 0.3}))
    done = likeness("doctor")
    assert "runs on openvino (OpenVINO takes 0.30 times as long as ONNX Runtime)" in done.stdout


def test_unwritable_data_directory_is_reported(likeness: Command) -> None:
    (likeness.folder / "file").touch()
    assert "file" in failures(likeness("doctor", "--json", data_dir=likeness.folder / "file" / "data"))["data"]


def test_unavailable_provider_and_missing_package_are_reported(
    likeness: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor = importlib.import_module("app.cli.doctor")  # `from app.cli import doctor` would be the command
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(doctor, "PACKAGES", ("numpy", "no-such-package"))
    found = failures(likeness("doctor", "--json", provider="cuda"))
    assert "provider 'cuda' was asked for" in found["models"]
    assert "no-such-package" in found["installed"]
