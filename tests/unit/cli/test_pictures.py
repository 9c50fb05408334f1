"""`likeness verify --draw` and `--plot`."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.cli.plotting import densities
from app.domain.arrays import Pixels
from app.matching.calibration import CALIBRATION, Calibration
from tests.unit.cli.conftest import Command


@pytest.fixture
def photos(likeness: Command, hopper: Pixels, collins: Pixels) -> tuple[Path, Path]:
    return likeness.photo("hopper.png", hopper), likeness.photo("collins.png", collins)


@pytest.mark.slow
def test_verify_draws_both_photos_and_plots_the_distance(likeness: Command, photos: tuple[Path, Path]) -> None:
    drawn, plotted = likeness.folder / "drawn.png", likeness.folder / "plotted.png"
    done = likeness("verify", *photos, "--draw", drawn, "--plot", plotted)
    assert done.exit_code == 1, done.output
    with Image.open(drawn) as picture, Image.open(photos[0]) as hopper:
        assert picture.size == (512 + 600, 600)  # the second photo has 512 x 512
        left = np.asarray(picture)[:, :512]
        assert 0.001 < (left != np.asarray(hopper)).any(-1).mean() < 0.05
    with Image.open(plotted) as picture:
        assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 10


def test_plot_needs_a_calibration(likeness: Command, photos: tuple[Path, Path], models_dir: Path) -> None:
    models = likeness.folder / "models"
    (models / "bare").mkdir(parents=True)
    (models / "mtcnn").symlink_to(models_dir / "mtcnn")
    for file in (models_dir / "mobilefacenet-128").iterdir():
        if file.name != CALIBRATION:
            (models / "bare" / file.name).symlink_to(file)
    done = likeness("verify", *photos, "--plot", "out.png", models_dir=models, model="bare")
    assert (done.exit_code, "expected a calibrated model for --plot" in done.stderr) == (2, True)


def test_densities_are_the_shares_of_the_calibration(models_dir: Path) -> None:
    calibration = Calibration.model_validate_json((models_dir / "mobilefacenet-128" / CALIBRATION).read_bytes())
    edges, strangers, one_person = densities(calibration)
    last = [rates for rates in calibration.rates if rates.fmr < 1][-1]
    assert edges[-1] == pytest.approx(last.threshold)
    assert strangers.sum() == pytest.approx(last.fmr, abs=1e-5)
    assert one_person.sum() == pytest.approx(1 - last.fnmr, abs=1e-5)
    middles = (edges[1:] + edges[:-1]) / 2
    assert (middles * one_person).sum() < 1 < (middles * strangers).sum()
