"""calibration.json and MODEL_CARD.md, made with the served model and changed copies of two faces."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from app.inference.manifest import read_embedder
from app.matching.calibration import read_calibration
from tests.support.networks import weighted_sum
from tests.unit.training.support import RUN_RECORD
from training.calibration import fit
from training.calibration.fit import fit_probability, probabilities
from training.cli.main import cli
from training.data.sources import folder_per_person
from training.errors import TrainingError
from training.evaluation import lfw
from training.evaluation.verification import VerificationTask
from training.export import model_card
from training.export.card_calibration import calibration_part
from training.export.model_package import write_offset
from training.pipeline.detection_cache import FaceFinder, embed_faces
from training.pipeline.served_model import ServedModel


@pytest.fixture
def people(tmp_path: Path, lfw_photos: Path) -> Path:
    """The photos of two people, and a list of pairs."""
    lines = ["2 1", "Hopper 1 2", "Hopper 1 Collins 1", "Collins 2 3", "Hopper 3 Collins 2"]
    (tmp_path / "pairs.txt").write_text("\n".join(lines))
    return lfw_photos


@pytest.fixture
def cohorts(tmp_path: Path, people: Path) -> Path:
    """Two people in one cohort; one person twice, so without an impostor pair, in another."""
    for cohort, photos in (("strangers", ("Hopper_0001", "Collins_0001")), ("alone", ("Hopper_0001", "Hopper_0002"))):
        (tmp_path / "cohorts" / cohort).mkdir(parents=True)
        for photo in photos:
            shutil.copy(people / photo[:-5] / f"{photo}.jpg", tmp_path / "cohorts" / cohort)
    return tmp_path / "cohorts"


@pytest.fixture
def model(tmp_path: Path, models_dir: Path) -> Path:
    """A copy of the default model without calibration and offsets: `crowd` has copies of two faces under many names."""
    folder = tmp_path / "mobilefacenet-128"
    shutil.copytree(models_dir / "mobilefacenet-128", folder, ignore=shutil.ignore_patterns("calibration.json"))
    manifest = json.loads((folder / "manifest.json").read_text()) | {"threshold_offset": None}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_the_service_reads_the_calibration(crowd: Path, cohorts: Path, model: Path, models_dir: Path) -> None:
    options = ["--images", crowd, "--name", "a crowd", "--cohorts", cohorts, "--model", model]
    done = CliRunner().invoke(cli, ["calibrate", *map(str, options), "--models-dir", str(models_dir)])
    line = "FMRs (overall) on a crowd, the finest 4.5e-02 (66 pairs of people)"
    assert done.output.endswith(f"wrote {model / 'calibration.json'}; {line}\n")
    manifest = read_embedder(model)
    found = read_calibration(model, manifest.file.digest, manifest.offset_digest)
    assert found is not None
    assert (found.data.people, found.data.genuine_pairs, found.data.impostor_pairs) == (12, 12, 264)
    assert found.finest_fmr == pytest.approx(3 / 66)
    assert [(cohort.name, cohort.impostor_pairs) for cohort in found.cohorts] == [("strangers", 1)]


def test_a_wrapped_model_that_crops_by_the_box_can_be_calibrated(
    crowd: Path, boxed_model: Path, models_dir: Path
) -> None:
    fit.calibrate(crowd, "a crowd", boxed_model, [], models_dir)
    found = read_calibration(boxed_model, read_embedder(boxed_model).file.digest)
    assert found is not None
    assert (found.data.genuine_pairs, found.data.impostor_pairs) == (12, 264)


@pytest.mark.slow
def test_fmrs_of_the_worst_cohort_need_large_cohorts(crowd: Path, cohorts: Path, model: Path, models_dir: Path) -> None:
    with pytest.raises(TrainingError, match="needs --cohorts"):
        fit.calibrate(crowd, "a crowd", model, [], models_dir, fmr_scope="worst_cohort")
    with pytest.raises(TrainingError, match="1 pairs of people"):
        fit.calibrate(crowd, "a crowd", model, [cohorts], models_dir, fmr_scope="worst_cohort")
    assert not (model / "calibration.json").exists()


def test_too_few_people_for_any_fmr_are_refused(people: Path, model: Path, models_dir: Path) -> None:
    with pytest.raises(TrainingError, match="at least 9 people"):
        fit.calibrate(people, "two people", model, [], models_dir)


@pytest.mark.slow
def test_a_report_of_all_pairs_becomes_a_card(people: Path, model: Path, models_dir: Path, tmp_path: Path) -> None:
    task = VerificationTask.open(people, tmp_path / "pairs.txt", FaceFinder(models_dir))
    report = lfw.run(task, model, model)
    lfw.write(report, tmp_path / "report.json", tmp_path / "plot.png")
    assert report["accuracy"]["mean"] == 1.0
    assert report["faces_not_found"] == 0
    assert report["gain"]["clean"] == []  # one pair of people supports no FMR
    with Image.open(tmp_path / "plot.png") as plot:
        assert plot.width > 500
    (tmp_path / "run.json").write_text(json.dumps(RUN_RECORD))
    text = model_card.write(model, tmp_path, tmp_path / "report.json").read_text()
    assert "| accuracy over folds | 1.0000 +- 0.0000 | 1.0000 +- 0.0000 |" in text
    assert "| VAL at FAR 1 |" in text
    assert "TMR at FMR" not in text.partition("## Calibration")[0]
    assert "c0ffee" in text
    elsewhere = model_card.write(model, None, tmp_path / "report.json").read_text()
    assert "| measure | mobilefacenet-128 | mobilefacenet-128 |" in elsewhere
    assert "Trained elsewhere; nothing was trained by this project." in elsewhere
    assert "fine-tuning" not in elsewhere


@pytest.mark.parametrize("name", ["mobilefacenet-128", "mobilefacenet-128-int8", "sface-128"])
def test_the_card_of_a_shipped_model_is_what_this_code_writes_of_it(models_dir: Path, name: str) -> None:
    served, text = ServedModel.open(models_dir / name), (models_dir / name / "MODEL_CARD.md").read_text()
    assert text.startswith(model_card._head(served))
    assert calibration_part(served.calibration) in text
    assert text.endswith(model_card.LIMITS)


def test_a_report_of_another_model_is_refused_for_a_card(model: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "report.json").write_text('{"model": {"digest": "sha256:other"}}')
    with pytest.raises(TrainingError, match="sha256:other"):
        model_card.write(model, tmp_path, tmp_path / "report.json")


def test_images_that_are_missing_are_counted_and_named(people: Path, models_dir: Path, tmp_path: Path) -> None:
    (people / "Hopper" / "Hopper_0003.jpg").unlink()
    with pytest.raises(TrainingError, match=r"1 images .*Hopper_0003.jpg"):
        VerificationTask.open(people, tmp_path / "pairs.txt", FaceFinder(models_dir))


def test_separated_pairs_give_a_finite_slope() -> None:
    fitted = fit_probability(np.full(20, 0.2, np.float32), np.full(50, 1.9, np.float32))
    at = probabilities(np.array([0.2, 1.9], np.float32), fitted)
    assert 0.9 < at[0] < 1
    assert 0 < at[1] < 0.1
    with pytest.raises(TrainingError, match="genuine pairs are not closer than impostor pairs"):
        fit_probability(np.full(20, 1.9, np.float32), np.full(50, 0.2, np.float32))


@given(gap=st.floats(0.3, 0.8), seed=st.integers(0, 100))
def test_probability_falls_with_distance_and_is_one_half_between_the_two_kinds(gap: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    genuine = random.normal(1 - gap / 2, 0.2, 300).clip(0, 4).astype(np.float32)
    impostors = random.normal(1 + gap / 2, 0.2, 300).clip(0, 4).astype(np.float32)
    fitted = fit_probability(genuine, impostors)
    at = probabilities(np.array([0.5, 1.0, 1.5], np.float32), fitted)
    assert at[0] > at[1] > at[2]
    assert at[1] == pytest.approx(0.5, abs=0.2)


def test_probabilities_are_those_the_service_computes(models_dir: Path) -> None:
    folder = models_dir / "mobilefacenet-128"
    manifest = read_embedder(folder)
    shipped = read_calibration(folder, manifest.file.digest, manifest.offset_digest)
    assert shipped is not None
    distances = np.array([0.1, 1.0, 1.7], np.float32)
    served = [shipped.probability_at(float(distance)) for distance in distances]
    np.testing.assert_allclose(probabilities(distances, shipped.probability), served)


@pytest.mark.slow
def test_rates_are_of_scores_with_offsets(crowd: Path, model: Path, models_dir: Path) -> None:
    weights = np.random.default_rng(0).normal(0, 0.5, 128)
    digest = write_offset(model, weighted_sum([float(weight) for weight in weights]), "a test").digest
    fit.calibrate(crowd, "a crowd", model, [], models_dir)
    found = read_calibration(model, read_embedder(model).file.digest, digest)
    assert found is not None
    paths, person_of = folder_per_person(crowd)
    faces, _ = embed_faces(ServedModel.open(model), FaceFinder(models_dir).find_all(paths, "detect"))
    rows, columns = np.nonzero(np.triu(person_of[:, None] != person_of, 1))
    distances = ((faces.vectors[rows] - faces.vectors[columns]) ** 2).sum(axis=1)
    scores = distances + faces.vectors[rows] @ weights + faces.vectors[columns] @ weights
    threshold = found.at(0.2).threshold
    assert np.mean(scores <= threshold) == pytest.approx(found.at_threshold(threshold).fmr)
    assert np.mean(distances <= threshold) != pytest.approx(found.at_threshold(threshold).fmr)
