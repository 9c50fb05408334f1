"""docker/systemd: the unit is valid, hardened, and sets what the service knows."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .manifests import REPOSITORY, setting_names

FOLDER = REPOSITORY / "docker" / "systemd"
UNIT = (FOLDER / "likeness.service").read_text()
DRAIN_SECONDS = 10
MOST_EXPOSURE = 1.5  # of 10; systemd calls 10 unsafe and a usual service has 9
LACKING = shutil.which("systemd-analyze") is None

needs_systemd = pytest.mark.skipif(LACKING, reason="no systemd-analyze here: apt-get install systemd")


def analyze(tmp_path: Path, *arguments: str, dropin: str | None = None) -> subprocess.CompletedProcess[str]:
    """`systemd-analyze` on a copy of the unit that starts a program which this machine has."""
    unit = tmp_path / "likeness.service"
    unit.write_text(UNIT.replace("/opt/likeness/bin/likeness serve", "/bin/true"))
    if dropin:
        (tmp_path / "likeness.service.d").mkdir()
        shutil.copy(FOLDER / dropin, tmp_path / "likeness.service.d")
    return subprocess.run(["systemd-analyze", *arguments, str(unit)], capture_output=True, text=True, check=False)


def values(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


@needs_systemd
@pytest.mark.parametrize("dropin", [None, "encryption.conf", "gpu.conf"])
def test_systemd_finds_nothing_wrong(tmp_path: Path, dropin: str | None) -> None:
    verified = analyze(tmp_path, "verify", dropin=dropin)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@needs_systemd
def test_systemd_calls_it_hardened(tmp_path: Path) -> None:
    said = analyze(tmp_path, "security", "--offline=yes", "--no-pager").stdout
    (exposure,) = re.findall(r"Overall exposure level for likeness.service: ([\d.]+)", said)
    assert float(exposure) <= MOST_EXPOSURE


@pytest.mark.parametrize("file", sorted(FOLDER.iterdir()), ids=lambda file: file.name)
def test_what_it_sets_are_settings(file: Path) -> None:
    assert set(re.findall(r"^Environment=(LIKENESS_\w+)", file.read_text(), re.MULTILINE)) - setting_names() == set()


def test_it_has_time_to_drain_and_limits() -> None:
    assert int(values("TimeoutStopSec")[0]) > DRAIN_SECONDS
    assert values("MemoryMax") == ["8G"]
    assert values("TasksMax") == ["1024"]


def test_an_error_that_lasts_does_not_restart_it() -> None:
    assert values("Restart") == ["on-failure"]
    assert values("RestartPreventExitStatus") == ["2"]


def test_it_keeps_its_gallery_where_it_may_write() -> None:
    (directory,) = values("StateDirectory")
    assert f"LIKENESS_DATA_DIR=%S/{directory}" in values("Environment")
    assert values("ProtectSystem") == ["strict"]
