"""The GPU benchmark where there is no GPU: it refuses, and its rehearsal on the CPU runs from end to end."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from app.inference.onnx_session import available_providers
from tests.benchmarks import gpu, photos
from tests.benchmarks.machine import REPOSITORY
from tests.benchmarks.report import Report
from tests.benchmarks.served import Answer, Load, NotServed

SCRIPT = REPOSITORY / "tests" / "benchmarks" / "gpu.sh"
app = typer.Typer()
app.command()(gpu.main)


@pytest.fixture
def tools(tmp_path: Path) -> Callable[..., Path]:
    """A PATH of nothing but what the script uses; `nvidia_smi` is the body of a script of that name."""

    def with_(nvidia_smi: str | None) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in ("bash", "env", "dirname", "grep"):
            (folder / name).symlink_to(str(shutil.which(name)))
        if nvidia_smi is not None:
            script = folder / "nvidia-smi"
            script.write_text(f"#!/usr/bin/env bash\n{nvidia_smi}\n")
            script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return folder

    return with_


@pytest.mark.parametrize(
    ("nvidia_smi", "reason"), [(None, "there is no nvidia-smi"), ("echo No devices found", "nvidia-smi lists none")]
)
def test_the_script_refuses_where_there_is_no_gpu_and_installs_nothing(
    tools: Callable[..., Path], tmp_path: Path, nvidia_smi: str | None, reason: str
) -> None:
    path, venv = tools(nvidia_smi), tmp_path / "venv"
    environment = {"PATH": str(path), "VENV": str(venv), "PYTHON": "false"}

    refused = subprocess.run([str(SCRIPT)], env=environment, capture_output=True, text=True, check=False)

    assert refused.returncode == 2
    assert f"error: no NVIDIA GPU here: {reason}" in refused.stderr
    assert not venv.exists()


def test_what_nvidia_smi_says_of_the_first_gpu_counts(
    tools: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tools('[[ $1 == *memory.used* ]] && echo -e "512\\n7" || echo "H100, 81559 MiB, 580.1"')
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}{os.environ['PATH']}")

    assert gpu.used_memory() == 512 * 2**20
    assert gpu.gpu_name() == "H100, 81559 MiB, 580.1"


def test_without_a_gpu_the_command_says_so(tools: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tools(None)))

    refused = CliRunner().invoke(app, ["--provider", "cuda"])

    assert refused.exit_code == 2
    assert "want an NVIDIA GPU" in refused.output


def test_a_provider_that_cannot_be_used_is_no_silent_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    if "cuda" in available_providers():
        pytest.skip("CUDA can be used here")
    monkeypatch.setattr(gpu, "gpu_name", lambda: "a GPU without CUDA")

    refused = CliRunner().invoke(app, ["--provider", "cuda"])

    assert refused.exit_code == 2
    assert "provider 'cuda' was asked for" in refused.output


def test_the_rehearsal_on_the_cpu_runs_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "BATCHES", (1, 2))
    monkeypatch.setattr(gpu, "CLIENTS", (1, 2))
    monkeypatch.setattr(photos, "to_detect", lambda: {"a crowd": photos.crowd(2)})
    monkeypatch.setattr(photos, "pair", lambda: (photos.jpeg(photos.crowd(1)),) * 2)
    path = tmp_path / "report.json"

    done = CliRunner().invoke(app, ["--provider", "cpu", "--seconds", "0.1", "--requests", "4", f"--json={path}"])

    assert done.exit_code in (0, 1), done.output
    report = Report.model_validate_json(path.read_text())
    assert [row.stage for row in report.rows] == ["embed", "embed", "detect", "/verify", "memory of the process"]
    assert all(row.result is not None and row.result == row.result for row in report.rows)
    assert "InsightFace-REST's claim" in " ".join(done.output.split())


class Fast:
    """A service that answers everything; only `load` asks it."""


def test_the_number_of_clients_that_gets_most_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {1: 100, 8: 410, 32: 300}
    answer = Answer(200, b"", 0.0, 0.01, 0.0)
    monkeypatch.setattr(gpu, "load", lambda _s, _q, clients, _t: Load([answer] * rates[clients], [], 1.0))

    row = gpu.verified(Fast(), gpu.Trial())

    assert row.result == pytest.approx(1.0)
    assert "8 clients" in row.case
    assert "410.0 /verify, 820.0 images a second" in row.means


def test_a_request_that_fails_spoils_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Answer(500, b"", 0.0, 0.01, 0.0)
    monkeypatch.setattr(gpu, "load", lambda *_: Load([answer], [], 1.0))

    with pytest.raises(NotServed, match="3 requests failed: 500"):
        gpu.verified(Fast(), gpu.Trial())
