import re
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from app.domain.arrays import Pixels
from training.cli.main import cli
from training.data.crops import CropGeometry
from training.errors import TrainingError

CONFIG = """
[run]
threads = 1
[data]
roots = ["{people}"]
[network]
name = "tiny"
embedding_size = 8
[batch]
people = 3
faces = 2
[loss]
miner = "batch-hard"
distillation_weight = 0
[optimizer]
steps = 2
"""


@pytest.fixture
def toml(people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(CONFIG.format(people=people))
    return tmp_path / "run.toml"


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_a_run_without_a_folder_is_named_by_date_and_time(toml: Path) -> None:
    done = CliRunner().invoke(cli, ["train", str(toml)], catch_exceptions=False)
    assert done.exit_code == 0
    (run,) = (toml.parent / "runs").iterdir()
    assert re.fullmatch(r"\d{8}-\d{6}", run.name)
    assert (run / "run.json").exists()


def test_a_run_to_go_on_with_needs_its_folder(toml: Path) -> None:
    with pytest.raises(TrainingError, match="expected --output with --resume"):
        CliRunner().invoke(cli, ["train", str(toml), "--resume"], catch_exceptions=False)


def test_crops_are_prepared_for_a_network(hopper: Pixels, collins: Pixels, tmp_path: Path, models_dir: Path) -> None:
    for name, pixels in (("hopper", hopper), ("collins", collins)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "photos" / name / "1.png")
    command = ["prepare", "--images", str(tmp_path / "photos"), "--output", str(tmp_path / "crops")]
    command += ["--network", "nn4", "--format", "jpg", "--models-dir", str(models_dir)]
    done = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert done.exit_code == 0
    with Image.open(tmp_path / "crops" / "hopper" / "1.png.jpg") as crop:
        assert crop.size == (CropGeometry(96).side,) * 2
